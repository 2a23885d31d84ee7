//! Texts for pages in which times stand as programs write them: each becomes a time as people read
//! it, by the clock of their zone, beside which the exact one stays. Everything else is escaped.
//!
//! Not here: times that a page has by themselves (`times`).

use relais_smtp::time::Timestamp;

use crate::lang::Lang;
use crate::times;

/// `2026-11-24T10:00`: what the shortest one begins with.
const BEGINNING: usize = 16;
/// Octets of `2026-11-24 10:00:00 UTC`, as sentences have it.
const IN_WORDS: usize = 23;

/// Text and attributes of HTML and SVG, by numbers as templates write them. XML 1.0 §2.4.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&#38;"),
            '<' => out.push_str("&#60;"),
            '>' => out.push_str("&#62;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            plain if plain.is_control() => out.push(' '),
            plain => out.push(plain),
        }
    }
    out
}

/// Ready for the page.
pub(super) fn marked(lang: Lang, text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, time, behind)) = next(rest) {
        out.push_str(&escaped(before));
        let (exact, shown) = (time.to_rfc3339(), times::zoned(lang, time));
        out.push_str(&format!(
            "<time datetime=\"{exact}\" title=\"{exact}\">{}</time>",
            escaped(&shown)
        ));
        rest = behind;
    }
    out + &escaped(rest)
}

/// What stands before the first time, the time, and what stands behind it.
fn next(text: &str) -> Option<(&str, Timestamp, &str)> {
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        let begins = character.is_ascii_digit() && !is_of_name(before);
        before = character;
        let (start, rest) = text.split_at(at);
        if let Some((time, length)) = begins.then(|| read(rest)).flatten() {
            return Some((start, time, rest.get(length..)?));
        }
    }
    None
}

/// A time that is part of a name stays: the name of a backup, an identifier.
fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || "-_/=.".contains(character)
}

/// A time that the text begins with, and how long it is.
fn read(text: &str) -> Option<(Timestamp, usize)> {
    if let Some(words) = text.get(..IN_WORDS).filter(|words| words.ends_with(" UTC")) {
        let (day, clock) = words.strip_suffix(" UTC")?.split_once(' ')?;
        return Some((
            Timestamp::parse_rfc3339(&format!("{day}T{clock}Z"))?,
            IN_WORDS,
        ));
    }
    let is_part = |one: char| one.is_ascii_digit() || "TZ:.+-".contains(one);
    let end = text.find(|one| !is_part(one)).unwrap_or(text.len());
    let token = text[..end].trim_end_matches([':', '.', '+', '-']);
    let goes_on = text[end..].chars().next().is_some_and(is_of_name);
    if token.len() < BEGINNING || token.as_bytes().get(10) != Some(&b'T') || goes_on {
        return None;
    }
    Some((Timestamp::parse_rfc3339(token)?, token.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn french(text: &str) -> String {
        marked(Lang::of(Some("fr"), None), text)
    }

    fn time(exact: &str, shown: &str) -> String {
        format!("<time datetime=\"{exact}\" title=\"{exact}\">{shown} UTC</time>")
    }

    #[test]
    fn a_time_within_a_text_is_shown_as_people_read_it_with_the_exact_one_beside_it() {
        let exact = "2026-12-24T09:05:00.000Z";
        let marked = time(exact, "24 déc. 2026 09:05");
        for (before, written, after) in [
            ("", "2026-12-24T09:05:00Z", ""),
            ("jusqu’au ", "2026-12-24T09:05:00.000Z", "; par anna"),
            ("(", "2026-12-24T10:05:00+01:00", ")"),
            ("expire ", "2026-12-24T09:05:00Z", ": put a new one there."),
            ("tentative le ", "2026-12-24 09:05:00 UTC", "."),
        ] {
            let text = format!("{before}{written}{after}");
            assert_eq!(french(&text), format!("{before}{marked}{after}"));
        }
        let two = french("2026-12-24T09:05:00Z -> 2026-12-24T09:05:00Z");
        assert_eq!(two, format!("{marked} -&#62; {marked}"));
    }

    #[test]
    fn what_is_no_time_or_part_of_a_name_stays_and_no_text_becomes_a_part_of_the_page() {
        for text in [
            "",
            "2026-12-24",
            "2026-13-24T09:05:00Z",
            "backup-2026-12-24T09:05:00Z",
            "2026-12-24T09:05:00Z_contoso.toml",
            "12:30:45.123",
            "10.1.2.9",
            "2026-12-24 09:05:00 CET",
            "à 1 é",
        ] {
            assert_eq!(french(text), text);
        }
        assert_eq!(
            french("<b onclick=\"x\">'&"),
            "&#60;b onclick=&#34;x&#34;&#62;&#39;&#38;"
        );
    }
}
