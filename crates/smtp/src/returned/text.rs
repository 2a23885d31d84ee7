//! Texts of others, cut and made printable; addresses and codes found in them.

use alloc::boxed::Box;
use alloc::string::{String, ToString};

use super::DIAGNOSTIC_CHARACTERS_MAX;
use crate::address::Mailbox;
use crate::reply::EnhancedStatus;
use crate::safe;

/// Longest run of characters that may be an address, in octets: RFC 5321 §4.5.3.1.3 and brackets.
const ADDRESS_OCTETS_MAX: usize = 320;

/// On one line, printable, at most so many characters.
pub(super) fn line(text: &str, characters_max: usize) -> Box<str> {
    let mut out = String::new();
    let mut count = 0;
    for word in text.split_whitespace() {
        let gap = usize::from(count > 0);
        let left = characters_max.saturating_sub(count + gap);
        if left == 0 {
            break;
        }
        if gap > 0 {
            out.push(' ');
        }
        let before = out.chars().count();
        out.extend(word.chars().filter(|c| safe::is_printable(*c)).take(left));
        count = count + gap + (out.chars().count() - before);
    }
    out.into()
}

/// The first words of a text.
pub(super) fn first_words(text: String) -> Option<Box<str>> {
    // Twice as many octets hold enough characters and white space.
    let end = text.floor_char_boundary(8 * DIAGNOSTIC_CHARACTERS_MAX);
    let words = line(&text[..end], DIAGNOSTIC_CHARACTERS_MAX);
    (!words.is_empty()).then_some(words)
}

/// The first address of a line: in angle brackets, or a word of its own.
pub(super) fn address(line: &str) -> Option<Mailbox> {
    let mut rest = line;
    while let Some((_, behind)) = rest.split_once('<') {
        let end = behind.find('>')?;
        if let Some(mailbox) = parse(&behind[..end]) {
            return Some(mailbox);
        }
        rest = &behind[end..];
    }
    line.split_whitespace().find_map(|word| {
        let bare = word.trim_matches(['<', '>', '(', ')', '[', ']', ',', ';', ':', '"', '\'', '.']);
        bare.contains('@').then(|| parse(bare)).flatten()
    })
}

/// An address, with what programs write before it.
pub(super) fn parse(text: &str) -> Option<Mailbox> {
    let text = text.trim();
    let text = text
        .strip_prefix('<')
        .and_then(|t| t.strip_suffix('>'))
        .unwrap_or(text);
    let text = match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => &text[7..],
        _ => text,
    };
    if text.len() > ADDRESS_OCTETS_MAX {
        return None;
    }
    Mailbox::parse(text).ok()
}

/// `5.1.1` somewhere in a text.
pub(super) fn status(text: &str) -> Option<EnhancedStatus> {
    let is_between = |c: char| !(c.is_ascii_digit() || c == '.');
    text.split(is_between)
        .filter(|word| (5..=11).contains(&word.len()))
        .find_map(|word| EnhancedStatus::parse(word.trim_end_matches('.')))
}

/// A reply code of three digits somewhere in a text: its class. Only failures count.
pub(super) fn code_class(text: &str) -> Option<u8> {
    let is_between = |c: char| !c.is_ascii_alphanumeric() && c != '.';
    text.split(is_between).find_map(|word| {
        let is_code = word.len() == 3 && word.bytes().all(|octet| octet.is_ascii_digit());
        match word.as_bytes().first() {
            Some(b'4') if is_code => Some(4),
            Some(b'5') if is_code => Some(5),
            _ => None,
        }
    })
}

/// Whether a text holds another, letters in any case. The other is in lower case.
pub(super) fn holds(text: &str, other: &str) -> bool {
    text.to_lowercase().contains(other)
}

/// What stands between the tags, roughly: line ends for blocks, no entities.
pub(super) fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((text, behind)) = rest.split_once('<') {
        out.push_str(text);
        let Some((tag, behind)) = behind.split_once('>') else {
            rest = "";
            break;
        };
        let name = tag.trim_start_matches('/').get(..2).unwrap_or(tag);
        let is_block = ["br", "p", "p ", "di", "tr", "td", "h1", "h2", "li"]
            .iter()
            .any(|block| name.eq_ignore_ascii_case(block));
        out.push(if is_block { '\n' } else { ' ' });
        rest = behind;
    }
    out.push_str(rest);
    out.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&nbsp;", " ")
        .to_string()
}
