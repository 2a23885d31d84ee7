//! What the simulated clients send: content that is computed from the message's number, so that
//! every octet can be checked where it arrives.

/// The field by which a message is recognised.
const MARK: &str = "X-Ledger: ";
/// Fields that the relay may put above what was sent, beside `Received`: the named repairs.
const REPAIR_FIELDS: [&str; 4] = ["Date", "Message-ID", "MIME-Version", "From"];

/// How the content of one message looks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Form {
    /// About so many octets.
    pub(super) size: usize,
    /// Some octets above 127.
    pub(super) eight_bit: bool,
    /// No Date and no Message-ID: the tolerant preset adds them.
    pub(super) bare: bool,
    /// Lines end with LF on the wire: the tolerant preset mends that.
    pub(super) bare_lf: bool,
}

/// The content as it must arrive, below the fields that are added on the way.
pub(super) fn canonical(number: u64, from: &str, form: Form) -> Vec<u8> {
    let mut content = format!("From: {from}\r\nSubject: message {number}\r\n{MARK}{number}\r\n");
    if !form.bare {
        content.push_str("Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n");
        content.push_str(&format!("Message-ID: <{number}@device.contoso.test>\r\n"));
    }
    if form.eight_bit {
        content.push_str("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n");
        content.push_str("Content-Transfer-Encoding: 8bit\r\n");
    }
    content.push_str("\r\n");
    let mut content = content.into_bytes();
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while content.len() < form.size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state % 9 {
            0 => content.push(b'.'),
            1 => content.extend_from_slice(b".\r\n"),
            2 if form.eight_bit => content.extend_from_slice("é".as_bytes()),
            3 => content.extend_from_slice(b"..\r\n\r\n"),
            _ => {}
        }
        content.extend_from_slice(format!("{state:016x} of message {number}\r\n").as_bytes());
    }
    content
}

/// The content as it goes over the wire, before dot-stuffing.
pub(super) fn as_sent(number: u64, from: &str, form: Form) -> Vec<u8> {
    let mut content = canonical(number, from, form);
    if form.bare_lf {
        content.retain(|octet| *octet != b'\r');
        // The end of data is CRLF.CRLF all the same: its first CRLF ends the last line.
        content.pop();
        content.extend_from_slice(b"\r\n");
    }
    content
}

/// Dot-stuffed, with the end of data (RFC 5321 §4.5.2); `content` ends with CRLF. A line may begin
/// behind an LF alone, too.
pub(super) fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 64);
    let mut at_line_start = true;
    for octet in content {
        if at_line_start && *octet == b'.' {
            out.push(b'.');
        }
        out.push(*octet);
        at_line_start = *octet == b'\n';
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// The number of the message, if it is one of ours.
pub(super) fn number_of(content: &[u8]) -> Option<u64> {
    let mark = MARK.as_bytes();
    let at = content
        .windows(mark.len())
        .position(|window| window == mark)?;
    let digits = content[at + mark.len()..]
        .iter()
        .take_while(|octet| octet.is_ascii_digit());
    std::str::from_utf8(&digits.copied().collect::<Vec<_>>())
        .ok()?
        .parse()
        .ok()
}

/// What is wrong with the content that arrived; `None` if it is what was sent, below `Received` and
/// the fields of named repairs.
pub(super) fn damage(arrived: &[u8], sent: &[u8]) -> Option<String> {
    let Some(added) = arrived.strip_suffix(sent) else {
        return Some(format!(
            "{} octets arrived that do not end with what was sent",
            arrived.len()
        ));
    };
    let Ok(added) = std::str::from_utf8(added) else {
        return Some("octets above 127 in the fields added".to_owned());
    };
    let mut received = 0;
    for line in added.split_terminator("\r\n") {
        if line.starts_with([' ', '\t']) && received > 0 {
            continue;
        }
        let name = line.split(':').next().unwrap_or_default();
        if name == "Received" {
            received += 1;
        } else if !REPAIR_FIELDS.contains(&name) {
            return Some(format!("an undocumented line was added: {line:?}"));
        }
    }
    (received != 1).then(|| format!("{received} Received fields were added"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form {
        size: 900,
        eight_bit: false,
        bare: false,
        bare_lf: false,
    };

    #[test]
    fn what_arrives_with_one_received_field_on_top_is_intact() {
        let sent = canonical(7, "a@contoso.test", FORM);
        let arrived = [b"Received: from x\r\n\tby y\r\n", &sent[..]].concat();
        assert_eq!(
            (number_of(&arrived), damage(&arrived, &sent)),
            (Some(7), None)
        );
    }

    #[test]
    fn every_other_change_is_damage() {
        let sent = canonical(7, "a@contoso.test", FORM);
        let with = |head: &str, tail: &str| [head.as_bytes(), &sent[..], tail.as_bytes()].concat();
        for arrived in [
            with("", ""),
            with("Received: a\r\nReceived: b\r\n", ""),
            with("Received: a\r\nBcc: c\r\n", ""),
            with("Received: a\r\n", "more\r\n"),
            with("Received: a\r\n", "")[..200].to_vec(),
        ] {
            assert!(damage(&arrived, &sent).is_some());
        }
    }

    #[test]
    fn stuffing_makes_no_early_end_of_data() {
        for number in 1..40 {
            let form = Form {
                bare_lf: number % 2 == 0,
                ..FORM
            };
            let wire = stuffed(&as_sent(number, "a@contoso.test", form));
            let end = wire.windows(5).position(|window| window == b"\r\n.\r\n");
            assert_eq!(end, Some(wire.len() - 5));
        }
    }
}
