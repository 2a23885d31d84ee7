//! The card as PDF: one page, in Helvetica, which every reader and printer has, so that no
//! font is carried. ISO 32000-1 §9.6.2.2, Annex D.
//!
//! Not here: where what stands (`layout`); characters beyond Windows-1252, which are printed as a
//! question mark; the page in the browser prints them.

use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::Card;
use super::layout::{Mark, page};

const REGULAR: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");

/// The whole file.
pub(crate) fn write(card: &Card) -> Vec<u8> {
    let mut content = Content::new();
    for mark in page(card) {
        draw(&mut content, &mark);
    }
    file(card, &content.finish())
}

fn draw(content: &mut Content, mark: &Mark) {
    match mark {
        Mark::Text { x, y, face, text } => {
            let name = if face.is_bold { BOLD } else { REGULAR };
            content.set_fill_gray(0.0);
            content.begin_text();
            content.set_font(name, face.size);
            content.next_line(*x, *y);
            content.show(Str(&encoded(text)));
            content.end_text();
        }
        Mark::Area {
            x,
            y,
            width,
            height,
            gray,
        } => {
            content.set_fill_gray(*gray);
            content.rect(*x, *y, *width, *height);
            content.fill_nonzero();
        }
    }
}

fn file(card: &Card, content: &[u8]) -> Vec<u8> {
    let [catalog, tree, page, regular, bold, stream, info] = [1, 2, 3, 4, 5, 6, 7].map(Ref::new);
    let mut pdf = Pdf::new();
    let language = TextStr(card.lang.code());
    pdf.catalog(catalog).pages(tree).lang(language);
    pdf.document_info(info).title(TextStr(&card.title));
    pdf.pages(tree).kids([page]).count(1);
    let mut one = pdf.page(page);
    let [width, height] = card.paper.size();
    one.media_box(Rect::new(0.0, 0.0, width, height));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Paper;
    use crate::card::tests::imagined;

    #[test]
    fn a_card_has_the_size_of_its_paper() {
        for (paper, size) in [
            (Paper::A4, "[0 0 595 842]"),
            (Paper::Letter, "[0 0 612 792]"),
        ] {
            let file = write(&Card {
                paper,
                ..imagined(1)
            });
            let text = String::from_utf8_lossy(&file);
            assert!(text.contains(size), "{paper:?}: {text}");
        }
    }

    #[test]
    fn french_is_printed_and_what_is_beyond_is_marked() {
        assert_eq!(encoded("é\u{202f}:’œ"), [0xe9, 0xa0, b':', 0x92, 0x9c]);
        assert_eq!(encoded("打\n"), b"??");
    }

    #[test]
    fn a_card_is_one_page_with_its_words_and_its_code() {
        let file = write(&imagined(1));
        let text = String::from_utf8_lossy(&file);
        assert!(
            text.starts_with("%PDF-") && text.ends_with("%%EOF"),
            "{text}"
        );
        assert!(text.contains("(relay.contoso.test)"), "{text}");
        assert!(text.contains("/Count 1") && text.contains("WinAnsiEncoding"));
    }
}
