//! The parts of a message, as far as a notice needs them. RFC 2045, RFC 2046, RFC 6522.
//!
//! Returned messages are not opened: a notice within the message that a notice returns says
//! nothing about ours.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::text;
use crate::header;

/// Multiparts within each other. Notices have one, those of mailing lists two or three.
const DEPTH_MAX: usize = 8;
/// Parts in all.
const PARTS_MAX: usize = 64;
/// Octets of one part that are decoded.
const PART_OCTETS_MAX: usize = 64 * 1_024;

/// What a part is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// `message/delivery-status`, `message/global-delivery-status`.
    DeliveryStatus,
    /// `message/feedback-report`.
    FeedbackReport,
    /// `text/plain`, or nothing said.
    Text,
    /// `text/html`: read only where there is no other text.
    Html,
}

/// The parts that matter, decoded, in order.
pub(super) struct Walk {
    found: Vec<(Kind, Vec<u8>)>,
    seen: usize,
}

/// What the header section of a part says of it.
struct Shape {
    /// In lower case, without parameters.
    content_type: String,
    boundary: Option<String>,
    encoding: String,
}

impl Walk {
    pub(super) fn of_message(section: &[u8], body: &[u8]) -> Self {
        let mut walk = Self {
            found: Vec::new(),
            seen: 0,
        };
        walk.enter(&Shape::read(section), body, 0);
        walk
    }

    /// The first of that kind.
    pub(super) fn find(&self, kind: Kind) -> Option<&[u8]> {
        let found = self.found.iter().find(|(one, _)| *one == kind);
        found.map(|(_, octets)| &octets[..])
    }

    /// The first text for people.
    pub(super) fn text(&self) -> Option<String> {
        if let Some(octets) = self.find(Kind::Text) {
            return Some(String::from_utf8_lossy(octets).into_owned());
        }
        self.find(Kind::Html)
            .map(|octets| text::without_tags(&String::from_utf8_lossy(octets)))
    }

    fn enter(&mut self, shape: &Shape, body: &[u8], depth: usize) {
        self.seen += 1;
        if self.seen > PARTS_MAX || depth > DEPTH_MAX {
            return;
        }
        // Without a boundary it is text at best.
        if shape.content_type.starts_with("multipart/")
            && let Some(boundary) = &shape.boundary
        {
            self.enter_parts(boundary, body, depth);
            return;
        }
        let kind = match shape.content_type.as_str() {
            "message/delivery-status" | "message/global-delivery-status" => Kind::DeliveryStatus,
            "message/feedback-report" => Kind::FeedbackReport,
            "text/html" => Kind::Html,
            "" | "text/plain" => Kind::Text,
            other if other.starts_with("multipart/") => Kind::Text,
            _ => return,
        };
        if self.found.iter().all(|(one, _)| *one != kind) {
            self.found.push((kind, decode(&shape.encoding, body)));
        }
    }

    /// Linear: every line is looked at once for each multipart that it stands in.
    fn enter_parts(&mut self, boundary: &str, body: &[u8], depth: usize) {
        let mut begin: Option<usize> = None;
        let mut at = 0;
        for line in body.split_inclusive(|octet| *octet == b'\n') {
            let start = at;
            at += line.len();
            let Some(is_last) = delimiter(line, boundary) else {
                continue;
            };
            if let Some(begin) = begin {
                self.enter_part(&body[begin..start], depth);
            }
            if is_last || self.seen > PARTS_MAX {
                return;
            }
            begin = Some(at);
        }
        // Cut off, or its end was forgotten.
        if let Some(begin) = begin {
            self.enter_part(&body[begin..], depth);
        }
    }

    fn enter_part(&mut self, part: &[u8], depth: usize) {
        let end = header::header_section_end(part).unwrap_or(part.len());
        let (section, body) = part.split_at(end);
        self.enter(&Shape::read(section), body, depth + 1);
    }
}

/// Whether a line separates parts, and is the last to do so. RFC 2046 §5.1.1.
fn delimiter(line: &[u8], boundary: &str) -> Option<bool> {
    let rest = line
        .strip_prefix(b"--")?
        .strip_prefix(boundary.as_bytes())?;
    let (rest, is_last) = match rest.strip_prefix(b"--") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    rest.trim_ascii().is_empty().then_some(is_last)
}

impl Shape {
    fn read(section: &[u8]) -> Self {
        let value = header::first_field(section, "Content-Type").unwrap_or_default();
        let content_type = value.split(';').next().unwrap_or_default();
        let encoding = header::first_field(section, "Content-Transfer-Encoding");
        Self {
            content_type: content_type.trim().to_ascii_lowercase(),
            boundary: parameter(&value, "boundary"),
            encoding: encoding.unwrap_or_default().trim().to_ascii_lowercase(),
        }
    }
}

/// A parameter of a structured field, quoted or not. RFC 2045 §5.1.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    // A parameter takes two octets at least, and a line is bounded: so is this loop.
    loop {
        let (key, behind) = rest.split_once('=')?;
        let (found, behind) = read_value(behind.trim_start());
        // What stands before the last `;` is no part of the name.
        let key = key.rsplit(';').next().unwrap_or_default();
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(found).filter(|found| !found.is_empty());
        }
        rest = behind;
    }
}

/// A value, and what follows it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].into(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

fn decode(encoding: &str, body: &[u8]) -> Vec<u8> {
    let body = &body[..body.len().min(2 * PART_OCTETS_MAX)];
    let mut octets = match encoding {
        "base64" => decode_base64(body),
        "quoted-printable" => decode_quoted_printable(body),
        _ => body.to_vec(),
    };
    octets.truncate(PART_OCTETS_MAX);
    octets
}

/// What is no letter of the alphabet is passed over; what is left over at the end too. RFC 2045
/// §6.8.
fn decode_base64(body: &[u8]) -> Vec<u8> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let is_letter = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/');
    let mut letters: Vec<u8> = body.iter().copied().filter(is_letter).collect();
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    let engine = GeneralPurpose::new(&STANDARD, LENIENT);
    engine.decode(letters).unwrap_or_default()
}

/// RFC 2045 §6.7.
fn decode_quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'=' {
            octets.push(*first);
            continue;
        }
        if let Some(behind) = rest.strip_prefix(b"\r\n").or(rest.strip_prefix(b"\n")) {
            rest = behind;
            continue;
        }
        match rest {
            [high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                octets.push(digit(*high) << 4 | digit(*low));
                rest = behind;
            }
            _ => octets.push(b'='),
        }
    }
    octets
}

fn digit(octet: u8) -> u8 {
    match octet {
        b'0'..=b'9' => octet - b'0',
        b'a'..=b'f' => octet - b'a' + 10,
        b'A'..=b'F' => octet - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_quoted_or_not() {
        for (value, boundary) in [
            ("multipart/report; boundary=abc", Some("abc")),
            (
                "multipart/report; report-type=x; Boundary = \"a \\\" b\"; y=z",
                Some("a \" b"),
            ),
            (
                "multipart/report;x=\"; boundary=no\";boundary=yes",
                Some("yes"),
            ),
            ("multipart/report; boundary=", None),
            ("multipart/report; boundary=\"unclosed", Some("unclosed")),
            ("multipart/report", None),
        ] {
            assert_eq!(parameter(value, "boundary").as_deref(), boundary, "{value}");
        }
    }

    #[test]
    fn encodings_are_read_with_all_their_faults() {
        assert_eq!(decode("quoted-printable", b"a=3D=\r\nb=zz=4"), b"a=b=zz=4");
        assert_eq!(decode("base64", b"aGVs\r\nbG8=!"), b"hello");
        assert_eq!(decode("base64", b"aGVsbG8"), b"hello");
        assert_eq!(decode("base64", b"aGVsb"), b"hel");
        assert_eq!(decode("x-unknown", b"as it is"), b"as it is");
    }
}
