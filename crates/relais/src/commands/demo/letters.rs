//! What is sent in the demo: a scan as printers make them, and a letter of a business application.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use relais_smtp::time::Timestamp;

/// Side of the scanned picture in pixels: one octet each, a PDF of 1 MB.
const PICTURE_SIDE: usize = 1_024;
/// Length of a line of Base64. RFC 2045 §6.8.
const BASE64_LINE: usize = 76;

/// A scan with a PDF attached, as a device writes it: no Date and no Message-ID.
pub(super) fn scan(from: &str, to: &str) -> Vec<u8> {
    let mut message = format!(
        "From: Printer 2nd floor <{from}>\r\n\
         To: {to}\r\n\
         Subject: Scan from printer-2\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"scan-boundary\"\r\n\
         \r\n\
         --scan-boundary\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\
         \r\n\
         Please find the scanned document attached.\r\n\
         .\r\n\
         --scan-boundary\r\n\
         Content-Type: application/pdf; name=\"scan.pdf\"\r\n\
         Content-Disposition: attachment; filename=\"scan.pdf\"\r\n\
         Content-Transfer-Encoding: base64\r\n\
         \r\n"
    )
    .into_bytes();
    let text = STANDARD.encode(pdf());
    for line in text.as_bytes().chunks(BASE64_LINE) {
        message.extend_from_slice(line);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"--scan-boundary--\r\n");
    message
}

/// A letter with a subject and a body beyond ASCII, not encoded: it needs SMTPUTF8 and 8BITMIME.
pub(super) fn invoice(from: &str, to: &[&str], now: Timestamp) -> Vec<u8> {
    format!(
        "From: Comptabilité Contoso <{from}>\r\n\
         To: {}\r\n\
         Subject: Facture n° 2026-114 – échéance dépassée ✓\r\n\
         Date: {}\r\n\
         Message-ID: <2026-114@erp.contoso.test>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\
         \r\n\
         Grüße aus Łódź, la facture de 1 250,00 € est jointe. 請查收。\r\n\
         ..two dots at the start of a line must arrive as two dots\r\n",
        to.join(", "),
        now.to_rfc5322()
    )
    .into_bytes()
}

/// A PDF of one page with a grey picture that fills it.
fn pdf() -> Vec<u8> {
    let side = PICTURE_SIDE;
    let picture: Vec<u8> = (0..side * side)
        .map(|at| u8::try_from((at / side + at % side) % 256).unwrap_or(0))
        .collect();
    let paint = b"q 595 0 0 842 0 0 cm /Scan Do Q".to_vec();
    let head = format!(
        "<< /Type /XObject /Subtype /Image /Width {side} /Height {side} \
         /ColorSpace /DeviceGray /BitsPerComponent 8 /Length {} >>",
        picture.len()
    );
    let objects = [
        (b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(), None),
        (b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(), None),
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] \
              /Resources << /XObject << /Scan 5 0 R >> >> /Contents 4 0 R >>"
                .to_vec(),
            None,
        ),
        (
            format!("<< /Length {} >>", paint.len()).into_bytes(),
            Some(paint),
        ),
        (head.into_bytes(), Some(picture)),
    ];
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (number, (dictionary, stream)) in objects.iter().enumerate() {
        places.push(file.len());
        file.extend_from_slice(format!("{} 0 obj\n", number + 1).as_bytes());
        file.extend_from_slice(dictionary);
        if let Some(stream) = stream {
            file.extend_from_slice(b"\nstream\n");
            file.extend_from_slice(stream);
            file.extend_from_slice(b"\nendstream");
        }
        file.extend_from_slice(b"\nendobj\n");
    }
    let table = file.len();
    let count = places.len() + 1;
    file.extend_from_slice(format!("xref\n0 {count}\n0000000000 65535 f \n").as_bytes());
    for place in places {
        file.extend_from_slice(format!("{place:010} 00000 n \n").as_bytes());
    }
    let tail = format!("trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n");
    file.extend_from_slice(tail.as_bytes());
    file
}

/// The body: what stands behind the header section.
pub(super) fn body(content: &[u8]) -> &[u8] {
    let end = content.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(&[], |end| &content[end + 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scan_has_a_pdf_of_one_megabyte_whose_table_points_at_its_objects() {
        let file = pdf();
        assert!(
            (1_000_000..1_200_000).contains(&file.len()),
            "{}",
            file.len()
        );
        let text = String::from_utf8_lossy(&file);
        let table = text.rfind("xref\n0 6").expect("a table");
        let first = text[table..].lines().nth(3).expect("an entry");
        let place: usize = first[..10].parse().expect("a number");
        assert!(file[place..].starts_with(b"1 0 obj"));
        let message = scan("a@contoso.test", "b@fabrikam.example");
        assert!(message.len() > 1_300_000);
        assert!(!String::from_utf8_lossy(&message).contains("\r\nDate:"));
    }

    #[test]
    fn the_body_begins_behind_the_header_section() {
        assert_eq!(body(b"A: b\r\n\r\nc\r\n\r\nd"), b"c\r\n\r\nd");
        assert_eq!(body(b"A: b\r\n"), b"");
    }
}
