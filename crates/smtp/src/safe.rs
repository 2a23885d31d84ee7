//! Making foreign text harmless: replies, subjects, names and addresses that others chose.

use alloc::borrow::Cow;
use alloc::string::String;

/// Whether a character may be shown: no control, no line or paragraph separator, none that turns
/// the direction of writing or hides itself (Unicode Technical Report 36 §3.5).
pub(crate) fn is_printable(character: char) -> bool {
    let deceptive = matches!(
        character,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    !character.is_control() && !deceptive
}

/// On one line: tabs become spaces, other characters that may not be shown become `?`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_printable) {
        return Cow::Borrowed(text);
    }
    let shown = |character| match character {
        '\t' => ' ',
        _ if is_printable(character) => character,
        _ => '?',
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// The same from octets; what is no UTF-8 becomes U+FFFD.
pub(crate) fn printable_octets(octets: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(octets) {
        Cow::Borrowed(text) => printable(text),
        Cow::Owned(text) => Cow::Owned(printable(&text).into_owned()),
    }
}
