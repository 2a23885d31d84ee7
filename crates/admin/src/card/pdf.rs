//! The card as PDF: one page of A4, in Helvetica, which every reader and printer has, so that no
//! font is carried. ISO 32000-1 §9.6.2.2, Annex D.
//!
//! Not here: characters beyond Windows-1252, which are printed as a question mark; the page in the
//! browser prints them.

use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::{Card, Code};

/// A4 in points. ISO 216.
const PAGE: [f32; 2] = [595.0, 842.0];
const MARGIN: f32 = 48.0;
/// Where the second column of the table begins.
const SECOND: f32 = 250.0;
/// Between two lines, as a part of the size of the letters.
const LEADING: f32 = 1.35;
/// The side of the QR code: 3.5 cm, read at arm's length.
const CODE_SIDE: f32 = 100.0;

const REGULAR: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");

/// Widths of the characters from space to tilde, in thousandths of the size: Adobe's metrics of
/// Helvetica.
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];
/// Of all others, wide enough for each.
const WIDTH_OTHER: u16 = 667;
/// Bold letters are wider by less than this.
const BOLD_FACTOR: f32 = 1.1;

/// Letters of one size.
#[derive(Clone, Copy)]
struct Face {
    size: f32,
    is_bold: bool,
}

const TITLE: Face = Face {
    size: 20.0,
    is_bold: true,
};
const HEAD: Face = Face {
    size: 11.0,
    is_bold: true,
};
const TEXT: Face = Face {
    size: 11.0,
    is_bold: false,
};
const SMALL: Face = Face {
    size: 9.0,
    is_bold: false,
};

/// The whole file.
pub(crate) fn write(card: &Card) -> Vec<u8> {
    let mut sheet = Sheet {
        content: Content::new(),
        y: PAGE[1] - MARGIN,
    };
    let full = PAGE[0] - 2.0 * MARGIN;
    sheet.paragraph(MARGIN, full, TITLE, &card.title);
    sheet.paragraph(MARGIN, full, HEAD, &card.site);
    sheet.paragraph(MARGIN, full, SMALL, &card.edition);
    sheet.line();
    for (label, value) in &card.rows {
        sheet.row(label, value);
    }
    sheet.y -= 8.0;
    sheet.paragraph(MARGIN, full, TEXT, &card.also);
    sheet.paragraph(MARGIN, full, TEXT, &card.leave);
    sheet.line();
    for [says, means, act] in &card.panel {
        sheet.paragraph(MARGIN, full, HEAD, says);
        sheet.paragraph(MARGIN, full, TEXT, &format!("{means} {act}"));
    }
    if let Some(code) = &card.code {
        sheet.code(code);
    }
    file(card, &sheet.content.finish())
}

fn file(card: &Card, content: &[u8]) -> Vec<u8> {
    let [catalog, tree, page, regular, bold, stream, info] = [1, 2, 3, 4, 5, 6, 7].map(Ref::new);
    let mut pdf = Pdf::new();
    let language = TextStr(card.lang.code());
    pdf.catalog(catalog).pages(tree).lang(language);
    pdf.document_info(info).title(TextStr(&card.title));
    pdf.pages(tree).kids([page]).count(1);
    let mut one = pdf.page(page);
    one.media_box(Rect::new(0.0, 0.0, PAGE[0], PAGE[1]));
    one.parent(tree).contents(stream);
    one.resources()
        .fonts()
        .pair(REGULAR, regular)
        .pair(BOLD, bold);
    one.finish();
    for (id, name) in [(regular, "Helvetica"), (bold, "Helvetica-Bold")] {
        pdf.type1_font(id)
            .base_font(Name(name.as_bytes()))
            .encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    pdf.stream(stream, content);
    pdf.finish()
}

struct Sheet {
    content: Content,
    /// The next line's top.
    y: f32,
}

impl Sheet {
    fn paragraph(&mut self, x: f32, width: f32, face: Face, text: &str) {
        if text.is_empty() {
            return;
        }
        for line in wrapped(text, width, face) {
            self.y -= face.size * LEADING;
            self.show(x, self.y, face, &line);
        }
        self.y -= face.size * 0.4;
    }

    /// Both cells begin at the same height; the taller one decides where the next row begins.
    fn row(&mut self, label: &str, value: &str) {
        let top = self.y;
        self.paragraph(MARGIN, SECOND - MARGIN - 12.0, TEXT, label);
        let left = self.y;
        self.y = top;
        self.paragraph(SECOND, PAGE[0] - MARGIN - SECOND, HEAD, value);
        self.y = self.y.min(left);
        self.line();
    }

    fn line(&mut self) {
        self.y -= 2.0;
        self.content.set_line_width(0.5);
        self.content.move_to(MARGIN, self.y);
        self.content.line_to(PAGE[0] - MARGIN, self.y);
        self.content.stroke();
        self.y -= 2.0;
    }

    fn show(&mut self, x: f32, y: f32, face: Face, text: &str) {
        let name = if face.is_bold { BOLD } else { REGULAR };
        self.content.begin_text();
        self.content.set_font(name, face.size);
        self.content.next_line(x, y);
        self.content.show(Str(&encoded(text)));
        self.content.end_text();
    }

    /// At the bottom, with its address in letters beside it.
    fn code(&mut self, code: &Code) {
        let size = CODE_SIDE / small(code.width);
        for (x, y) in &code.dark {
            let left = MARGIN + small(*x) * size;
            let low = MARGIN + CODE_SIDE - small(y + 1) * size;
            self.content.rect(left, low, size, size);
        }
        self.content.fill_nonzero();
        self.y = MARGIN + CODE_SIDE;
        let beside = MARGIN + CODE_SIDE + 16.0;
        self.paragraph(beside, PAGE[0] - MARGIN - beside, SMALL, &code.address);
    }
}

/// A number of modules: 177 at most. ISO/IEC 18004.
fn small(number: usize) -> f32 {
    f32::from(u16::try_from(number).unwrap_or(u16::MAX))
}

/// The octets of Windows-1252.
fn encoded(text: &str) -> Vec<u8> {
    let octet = |one: char| match one {
        '\u{202f}' => 0xa0,
        ' '..='~' | '\u{a0}'..='\u{ff}' => u8::try_from(one).unwrap_or(b'?'),
        '€' => 0x80,
        '…' => 0x85,
        'Œ' => 0x8c,
        '‘' => 0x91,
        '’' => 0x92,
        '“' => 0x93,
        '”' => 0x94,
        '–' => 0x96,
        '—' => 0x97,
        'œ' => 0x9c,
        _ => b'?',
    };
    text.chars().map(octet).collect()
}

/// In points.
fn width(text: &str, face: Face) -> f32 {
    let of = |octet: u8| {
        let at = octet.checked_sub(b' ').map(usize::from);
        at.and_then(|at| WIDTHS.get(at))
            .copied()
            .unwrap_or(WIDTH_OTHER)
    };
    let thousandths: f32 = encoded(text)
        .into_iter()
        .map(|one| f32::from(of(one)))
        .sum();
    let factor = if face.is_bold { BOLD_FACTOR } else { 1.0 };
    thousandths * face.size * factor / 1_000.0
}

/// Lines that fit; a word that is too long for a line is cut.
fn wrapped(text: &str, most: f32, face: Face) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut rest = word;
        while !rest.is_empty() {
            let Some(line) = lines.last_mut() else {
                return lines;
            };
            let gap = if line.is_empty() { "" } else { " " };
            if width(&format!("{line}{gap}{rest}"), face) <= most {
                line.push_str(gap);
                line.push_str(rest);
                break;
            }
            if !line.is_empty() {
                lines.push(String::new());
                continue;
            }
            let first = rest.chars().next().map_or(rest.len(), char::len_utf8);
            let fits =
                |cut: &usize| rest.is_char_boundary(*cut) && width(&rest[..*cut], face) <= most;
            let cut = (first..rest.len()).rev().find(fits).unwrap_or(first);
            line.push_str(&rest[..cut]);
            rest = &rest[cut..];
            lines.push(String::new());
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::Lang;

    #[test]
    fn lines_fit_and_nothing_is_lost() {
        let text = "relay-of-the-second-floor.lyon.example.com (or 10.1.0.5) été";
        for most in [20.0, 60.0, 140.0, 400.0] {
            let lines = wrapped(text, most, TEXT);
            assert!(
                lines.iter().all(|line| width(line, TEXT) <= most),
                "{lines:?}"
            );
            let together: String = lines.concat().split(' ').collect();
            assert_eq!(together, text.replace(' ', ""));
        }
        assert!(wrapped("  ", 100.0, TEXT).is_empty());
    }

    #[test]
    fn french_is_printed_and_what_is_beyond_is_marked() {
        assert_eq!(encoded("é\u{202f}:’œ"), [0xe9, 0xa0, b':', 0x92, 0x9c]);
        assert_eq!(encoded("打\n"), b"??");
    }

    #[test]
    fn a_card_is_one_page_with_its_words_and_its_code() {
        let card = Card {
            lang: Lang::of(Some("fr"), None),
            title: "Numérisation (vers) e-mail".to_owned(),
            site: "Lyon".to_owned(),
            edition: String::new(),
            rows: vec![("Serveur".to_owned(), "relay.contoso.test".to_owned())],
            also: String::new(),
            leave: String::new(),
            panel: vec![["a".to_owned(), "b".to_owned(), "c".to_owned()]],
            code: crate::qr::code("http://relay.contoso.test/wait/x"),
        };
        let file = write(&card);
        let text = String::from_utf8_lossy(&file);
        assert!(
            text.starts_with("%PDF-") && text.ends_with("%%EOF"),
            "{text}"
        );
        assert!(text.contains("(relay.contoso.test)"), "{text}");
        assert!(text.contains("/Count 1") && text.contains("WinAnsiEncoding"));
    }
}
