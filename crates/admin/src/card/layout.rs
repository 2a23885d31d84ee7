//! Where everything stands on the card's one page. What prints it is `pdf` and `png`.

use super::fonts::Face;
use super::{Card, Code};

const MARGIN: f32 = 48.0;
/// Where the second column of the table begins.
const SECOND: f32 = 250.0;
/// Where the second and the third column of what the panel says begin.
const PANEL: [f32; 3] = [MARGIN, 205.0, 375.0];
/// Between a text and the lines around it.
const PADDING: f32 = 4.0;
/// Between two lines, as a part of the size of the letters.
const LEADING: f32 = 1.3;
/// The side of the QR code: 3.5 cm, read at arm's length.
const CODE_SIDE: f32 = 100.0;
/// What is tried until all of it fits on the page, as a part of the usual size.
const SCALES: [f32; 5] = [1.0, 0.92, 0.85, 0.78, 0.7];
/// Behind the heads of tables, from black to white.
const SHADE: f32 = 0.92;

/// Something on the page. From its lower left corner, in points.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mark {
    /// `y` is the line that the letters stand on.
    Text {
        x: f32,
        y: f32,
        face: Face,
        text: String,
    },
    /// A rectangle, from black to white.
    Area {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        gray: f32,
    },
}

/// The whole page.
pub(super) fn page(card: &Card) -> Vec<Mark> {
    let mut marks = Vec::new();
    for scale in SCALES {
        let mut sheet = Sheet {
            marks: Vec::new(),
            width: card.paper.size()[0],
            y: card.paper.size()[1] - MARGIN,
            scale,
        };
        sheet.whole(card);
        let bottom = match card.code {
            Some(_) => MARGIN + CODE_SIDE + PADDING,
            None => MARGIN,
        };
        marks = sheet.marks;
        if sheet.y >= bottom {
            break;
        }
    }
    marks
}

struct Sheet {
    marks: Vec<Mark>,
    /// Of the paper.
    width: f32,
    /// The next line's top.
    y: f32,
    scale: f32,
}

impl Sheet {
    fn face(&self, size: f32, is_bold: bool) -> Face {
        Face {
            size: size * self.scale,
            is_bold,
        }
    }

    fn whole(&mut self, card: &Card) {
        let (title, site) = (self.face(20.0, true), self.face(11.0, true));
        let (text, small) = (self.face(10.5, false), self.face(9.0, false));
        let full = self.width - 2.0 * MARGIN;
        self.paragraph(MARGIN, full, title, &card.title);
        self.paragraph(MARGIN, full, site, &card.site);
        self.paragraph(MARGIN, full, small, &card.edition);
        self.y -= PADDING;
        self.table(&[MARGIN, SECOND], &card.heads, true);
        for (label, value) in &card.rows {
            self.row(label, value);
        }
        self.y -= 2.0 * PADDING;
        self.paragraph(MARGIN, full, text, &card.also);
        self.paragraph(MARGIN, full, text, &card.leave);
        self.y -= PADDING;
        self.table(&PANEL, &card.panel_heads, true);
        for one in &card.panel {
            self.table(&PANEL, one, false);
        }
        if let Some(code) = &card.code {
            self.code(code, &card.code_words);
        }
    }

    fn paragraph(&mut self, x: f32, width: f32, face: Face, text: &str) {
        if text.is_empty() {
            return;
        }
        for line in wrapped(text, width, face) {
            self.y -= face.size * LEADING;
            self.marks.push(Mark::Text {
                x,
                y: self.y,
                face,
                text: line,
            });
        }
        self.y -= face.size * 0.35;
    }

    /// One row of cells with a line below; a head has a shade behind it.
    fn table(&mut self, columns: &[f32], cells: &[String], is_head: bool) {
        let size = if is_head { 9.0 } else { 9.5 };
        let (top, mut low) = (self.y, self.y);
        let at = self.marks.len();
        for (place, cell) in cells.iter().enumerate() {
            let Some(left) = columns.get(place) else {
                break;
            };
            let right = columns.get(place + 1).copied();
            let right = right.unwrap_or(self.width - MARGIN + PADDING) - 2.0 * PADDING;
            self.y = top - PADDING / 2.0;
            let face = self.face(size, is_head || place == 0);
            self.paragraph(left + PADDING, right - left - PADDING, face, cell);
            low = low.min(self.y);
        }
        self.y = low - PADDING / 2.0;
        if is_head {
            let shade = Mark::Area {
                x: MARGIN,
                y: self.y,
                width: self.width - 2.0 * MARGIN,
                height: top - self.y,
                gray: SHADE,
            };
            self.marks.insert(at, shade);
        }
        self.line();
    }

    /// Both cells begin at the same height; the taller one decides where the next row begins.
    fn row(&mut self, label: &str, value: &str) {
        let top = self.y - PADDING / 2.0;
        let (name, typed) = (self.face(11.0, false), self.face(11.5, true));
        self.y = top;
        let room = SECOND - MARGIN - 2.0 * PADDING;
        self.paragraph(MARGIN + PADDING, room, name, label);
        let left = self.y;
        self.y = top;
        self.paragraph(
            SECOND + PADDING,
            self.width - MARGIN - SECOND - PADDING,
            typed,
            value,
        );
        self.y = self.y.min(left) - PADDING / 2.0;
        self.line();
    }

    fn line(&mut self) {
        self.marks.push(Mark::Area {
            x: MARGIN,
            y: self.y,
            width: self.width - 2.0 * MARGIN,
            height: 0.6,
            gray: 0.45,
        });
    }

    /// At the bottom, with what it is and its address in letters beside it.
    fn code(&mut self, code: &Code, words: &str) {
        let size = CODE_SIDE / small(code.width);
        for (x, y) in &code.dark {
            self.marks.push(Mark::Area {
                x: MARGIN + small(*x) * size,
                y: MARGIN + CODE_SIDE - small(y + 1) * size,
                width: size,
                height: size,
                gray: 0.0,
            });
        }
        let end = self.y;
        self.y = MARGIN + CODE_SIDE;
        let beside = MARGIN + CODE_SIDE + 16.0;
        let room = self.width - MARGIN - beside;
        let (text, small) = (self.face(10.5, false), self.face(9.0, false));
        self.paragraph(beside, room, text, words);
        self.paragraph(beside, room, small, &code.address);
        self.y = end;
    }
}

/// A number of modules: 177 at most. ISO/IEC 18004.
fn small(number: usize) -> f32 {
    f32::from(u16::try_from(number).unwrap_or(u16::MAX))
}

/// Lines that fit; a word that is too long for a line is cut. No-break spaces hold words together.
fn wrapped(text: &str, most: f32, face: Face) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text
        .split([' ', '\n', '\t'])
        .filter(|word| !word.is_empty())
    {
        let mut rest = word;
        while !rest.is_empty() {
            let Some(line) = lines.last_mut() else {
                return lines;
            };
            let gap = if line.is_empty() { "" } else { " " };
            if face.width(&format!("{line}{gap}{rest}")) <= most {
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
                |cut: &usize| rest.is_char_boundary(*cut) && face.width(&rest[..*cut]) <= most;
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
    use crate::card::Paper;
    use crate::card::tests::imagined;

    const TEXT: Face = Face {
        size: 11.0,
        is_bold: false,
    };

    #[test]
    fn lines_fit_and_nothing_is_lost() {
        let text = "relay-of-the-second-floor.lyon.example.com (or 10.1.0.5) été";
        for most in [20.0, 60.0, 140.0, 400.0] {
            let lines = wrapped(text, most, TEXT);
            assert!(
                lines.iter().all(|line| TEXT.width(line) <= most),
                "{lines:?}"
            );
            let together: String = lines.concat().split(' ').collect();
            assert_eq!(together, text.replace(' ', ""));
        }
        assert!(wrapped("  ", 100.0, TEXT).is_empty());
        assert_eq!(wrapped("a\u{202f}: b", 1.0, TEXT).concat(), "a\u{202f}:b");
    }

    #[test]
    fn a_full_card_stays_on_its_page_and_above_its_code() {
        let papers = Paper::ALL.into_iter();
        for (paper, count) in papers.flat_map(|paper| [1, 4, 9].map(|count| (paper, count))) {
            let marks = page(&Card {
                paper,
                ..imagined(count)
            });
            let (mut lowest, mut right) = (f32::MAX, 0.0_f32);
            for mark in &marks {
                let Mark::Text { x, y, face, text } = mark else {
                    continue;
                };
                right = right.max(x + face.width(text));
                // Beside the code is the code's own.
                if *x < MARGIN + CODE_SIDE || *y > MARGIN + CODE_SIDE {
                    lowest = lowest.min(*y);
                }
            }
            let edge = paper.size()[0] - MARGIN + 0.1;
            assert!(right <= edge, "{paper:?} {count}: {right}");
            assert!(lowest > MARGIN + CODE_SIDE, "{count}: {lowest}");
        }
    }
}
