//! Writing header fields and paragraphs: folding, encoded words (RFC 2047), line ends.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

/// Preferred length of a line, in characters. RFC 5322 §2.1.1.
const LINE_CHARACTERS: usize = 78;
/// A word longer than this is cut, in octets: a line never comes near 998 (RFC 5322 §2.1.1).
const WORD_OCTETS_MAX: usize = 900;
/// Encoded characters of one encoded word. With `=?UTF-8?Q?` and `?=` 72 of the 75 that RFC 2047 §2
/// allows, less than a line even behind `Subject: `.
const ENCODED_CHARACTERS_MAX: usize = 56;

/// Appends `name: value` with CRLF, folded at spaces. Runs of spaces become one; characters that
/// may not be shown have been replaced by the caller or are replaced here.
pub(super) fn field(name: &str, value: &str, out: &mut String) {
    let value = crate::safe::printable(value);
    out.push_str(name);
    out.push(':');
    let mut column = name.len() + 1;
    for word in words(&value) {
        let width = word.chars().count();
        // The first word stays beside the name: a field whose first line is empty is obsolete.
        let fold = column + 1 + width > LINE_CHARACTERS && column > name.len() + 1;
        if fold {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + width;
    }
    out.push_str("\r\n");
}

/// A field whose value is free text: as it is where that is possible, else in encoded words.
pub(super) fn encoded_field(name: &str, value: &str, out: &mut String) {
    let value = crate::safe::printable(value);
    let plain = value.is_ascii() && !value.contains("=?");
    if plain {
        return field(name, &value, out);
    }
    // One encoded word a line.
    out.push_str(name);
    out.push(':');
    for (number, word) in encoded_words(&value).iter().enumerate() {
        out.push_str(if number == 0 { " " } else { "\r\n " });
        out.push_str(word);
    }
    out.push_str("\r\n");
}

/// `text` in encoded words, UTF-8 and "Q". RFC 2047 §4.2, §5 (3): only letters, digits and a few
/// marks stand for themselves, so that they may stand in a phrase too.
pub fn encoded_words(text: &str) -> Vec<String> {
    let mut encoded = Vec::new();
    let mut current = String::new();
    for character in text.chars() {
        let mut unit = String::new();
        match character {
            ' ' => unit.push('_'),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '!' | '*' | '+' | '-' | '/' => unit.push(character),
            other => {
                for octet in other.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to memory cannot fail.
                    let _ = write!(unit, "={octet:02X}");
                }
            }
        }
        if current.len() + unit.len() > ENCODED_CHARACTERS_MAX {
            encoded.push(core::mem::take(&mut current));
        }
        current.push_str(&unit);
    }
    encoded.push(current);
    encoded
        .iter()
        .map(|word| alloc::format!("=?UTF-8?Q?{word}?="))
        .collect()
}

/// Appends a paragraph: `first` before its first line, as many spaces before the others. Lines
/// break at U+0020 only, so that French punctuation stays with its word.
pub(super) fn paragraph(first: &str, text: &str, out: &mut String) {
    let indent = first.chars().count();
    out.push_str(first);
    let mut column = indent;
    let mut at_start = true;
    for word in words(text) {
        let width = word.chars().count();
        if !at_start && column + 1 + width > LINE_CHARACTERS - 2 {
            out.push_str("\r\n");
            out.extend(core::iter::repeat_n(' ', indent));
            column = indent;
            at_start = true;
        }
        if !at_start {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
        at_start = false;
    }
    out.push_str("\r\n");
}

/// The words of a text; those that are too long for any line in pieces.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ')
        .filter(|word| !word.is_empty())
        .flat_map(|word| {
            let mut rest = word;
            core::iter::from_fn(move || {
                if rest.is_empty() {
                    return None;
                }
                let (piece, behind) = rest.split_at(rest.floor_char_boundary(WORD_OCTETS_MAX));
                rest = behind;
                Some(piece)
            })
        })
}

/// At most `characters` of a text, with `...` where it was cut.
pub(super) fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.into(),
        Some((at, _)) => alloc::format!("{}...", &text[..at]),
    }
}

/// The text in ASCII: letters lose their accents, typographic marks become plain ones, what remains
/// becomes `?`. For fields that may not have more (RFC 3464 §2.1.1).
pub(super) fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        let shown = match character {
            '\u{e0}'..='\u{e5}' => "a",
            '\u{e7}' => "c",
            '\u{e8}'..='\u{eb}' => "e",
            '\u{ec}'..='\u{ef}' => "i",
            '\u{f1}' => "n",
            '\u{f2}'..='\u{f6}' => "o",
            '\u{f9}'..='\u{fc}' => "u",
            '\u{c0}'..='\u{c5}' => "A",
            '\u{c7}' => "C",
            '\u{c8}'..='\u{cb}' => "E",
            '\u{cc}'..='\u{cf}' => "I",
            '\u{d2}'..='\u{d6}' => "O",
            '\u{d9}'..='\u{dc}' => "U",
            '\u{153}' => "oe",
            '\u{df}' => "ss",
            '\u{2018}' | '\u{2019}' => "'",
            '\u{ab}' | '\u{bb}' | '\u{201c}' | '\u{201d}' => "\"",
            '\u{a0}' | '\u{202f}' => " ",
            '\u{2013}' | '\u{2014}' => "-",
            other if other.is_ascii() => {
                plain.push(other);
                continue;
            }
            _ => "?",
        };
        plain.push_str(shown);
    }
    plain
}

/// A copy in which every line end is CRLF, the last line's too.
pub(super) fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + 2);
    let mut last = b'\n';
    for octet in octets {
        match (last, *octet) {
            (b'\r', b'\n') => out.push(b'\n'),
            (_, b'\n') => out.extend_from_slice(b"\r\n"),
            (b'\r', other) => {
                // The carriage return before stood alone.
                out.extend_from_slice(b"\n");
                out.push(other);
            }
            (_, other) => out.push(other),
        }
        last = *octet;
    }
    match last {
        b'\n' => {}
        b'\r' => out.push(b'\n'),
        _ => out.extend_from_slice(b"\r\n"),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &str) -> String {
        let mut out = String::new();
        field("Name", value, &mut out);
        out
    }

    #[test]
    fn no_value_adds_a_field() {
        assert_eq!(written("a\r\nEvil: b"), "Name: a??Evil: b\r\n");
        assert_eq!(written(""), "Name:\r\n");
        let mut out = String::new();
        encoded_field("Subject", "\u{e9}\r\nEvil: b\u{2028}", &mut out);
        assert_eq!(out, "Subject: =?UTF-8?Q?=C3=A9=3F=3FEvil=3A_b=3F?=\r\n");
    }

    #[test]
    fn long_values_are_folded_and_the_longest_words_cut() {
        let folded = written(&"word ".repeat(40));
        assert!(folded.lines().all(|line| line.len() <= 78), "{folded}");
        assert!(
            folded.lines().skip(1).all(|line| line.starts_with(" word")),
            "{folded}"
        );
        let cut = written(&"\u{e9}".repeat(3_000));
        assert!(cut.lines().all(|line| line.len() <= 998));
    }

    #[test]
    fn encoded_words_end_at_characters_and_stay_short() {
        let words = encoded_words(&"\u{1f600}x ".repeat(50));
        assert!(words.len() > 5 && words.iter().all(|word| word.len() <= 75));
        assert!(
            words
                .iter()
                .all(|word| word.starts_with("=?UTF-8?Q?") && word.ends_with("?="))
        );
        let mut out = String::new();
        encoded_field("Subject", "=?utf-8?q?sly?=", &mut out);
        assert_eq!(out, "Subject: =?UTF-8?Q?=3D=3Futf-8=3Fq=3Fsly=3F=3D?=\r\n");
    }

    #[test]
    fn paragraphs_break_at_plain_spaces_only() {
        let mut out = String::new();
        let text = alloc::format!("{}mot\u{202f}: fin", "mots ".repeat(14));
        paragraph("  - ", &text, &mut out);
        assert!(out.starts_with("  - mots"));
        assert!(out.ends_with("\r\n    mot\u{202f}: fin\r\n"), "{out}");
    }

    #[test]
    fn every_line_end_becomes_crlf() {
        for (octets, expected) in [
            ("", ""),
            ("a", "a\r\n"),
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\nb\rc\r", "a\r\nb\r\nc\r\n"),
            ("a\r\r\n\n", "a\r\n\r\n\r\n"),
        ] {
            assert_eq!(
                with_crlf(octets.as_bytes()),
                expected.as_bytes(),
                "{octets:?}"
            );
        }
    }

    #[test]
    fn french_in_ascii_is_still_readable() {
        assert_eq!(
            ascii("L\u{2019}adresse n\u{2019}a pas \u{e9}t\u{e9} trouv\u{e9}e\u{202f}: \u{3042}"),
            "L'adresse n'a pas ete trouvee : ?"
        );
    }
}
