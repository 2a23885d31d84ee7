//! Texts with macros, and what they become. RFC 7208 §7.
//!
//! Not here: `%{p}` as the validated name: it is `unknown`, which RFC 7208 §7.3 allows and §5.5
//! recommends not to use.

use std::fmt::Write as _;
use std::net::IpAddr;

/// Longest name that is asked for, in octets; longer ones lose labels from the left (RFC 7208
/// §7.3).
const NAME_OCTETS_MAX: usize = 253;
/// And longest expansion that is made at all.
const EXPANDED_OCTETS_MAX: usize = 8 * 1_024;

/// A text with macros, read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MacroText(Vec<Piece>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Literal(String),
    Macro {
        letter: char,
        /// Labels kept from the right; none: all.
        kept: Option<usize>,
        reversed: bool,
        delimiters: String,
    },
}

/// Where the text stands: `c`, `r` and `t` are for explanations alone (RFC 7208 §7.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Record,
    Explanation,
}

/// What macros stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    pub(super) local_part: &'a str,
    pub(super) sender_domain: &'a str,
    pub(super) helo: &'a str,
    pub(super) domain: &'a str,
    /// None: nobody in particular.
    pub(super) client: Option<IpAddr>,
}

impl MacroText {
    /// `macro-string`.
    pub(super) fn parse(text: &str, place: Place) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if next != '%' {
                if !('!'..='~').contains(&next) {
                    return None;
                }
                literal.push(next);
                rest = &rest[1..];
                continue;
            }
            rest = &rest[1..];
            if let Some(inside) = rest.strip_prefix('{') {
                let (body, after) = inside.split_once('}')?;
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(piece(body, place)?);
                rest = after;
                continue;
            }
            literal.push_str(match rest.as_bytes().first()? {
                b'%' => "%",
                b'_' => " ",
                b'-' => "%20",
                _ => return None,
            });
            rest = &rest[1..];
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Some(Self(pieces))
    }

    /// `domain-spec`: ends with a top label or a macro. RFC 7208 §7.1.
    pub(super) fn parse_domain(text: &str, place: Place) -> Option<Self> {
        let ends_well = text.ends_with('}')
            || ["%%", "%_", "%-"].iter().any(|end| text.ends_with(end))
            || ends_with_top_label(text);
        if !ends_well {
            return None;
        }
        Self::parse(text, place)
    }

    /// Whether the client's address is in it.
    pub(super) fn needs_client(&self) -> bool {
        let needs = |piece: &Piece| match piece {
            Piece::Macro { letter, .. } => matches!(letter.to_ascii_lowercase(), 'i' | 'v' | 'p'),
            Piece::Literal(_) => false,
        };
        self.0.iter().any(needs)
    }

    /// The name, in lower case, without a final dot.
    pub(super) fn name(&self, values: &Values<'_>) -> String {
        let mut name = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => name.push_str(text),
                Piece::Macro { .. } => name.push_str(&expand(piece, values)),
            }
            if name.len() > EXPANDED_OCTETS_MAX {
                // No record that means a name is like this.
                return String::new();
            }
        }
        let mut name = name.to_ascii_lowercase();
        if name.ends_with('.') {
            name.pop();
        }
        let Some(over) = name
            .len()
            .checked_sub(NAME_OCTETS_MAX)
            .filter(|over| *over > 0)
        else {
            return name;
        };
        // Whole labels from the left. RFC 7208 §7.3.
        let kept = name.bytes().skip(over - 1).position(|octet| octet == b'.');
        kept.map_or_else(String::new, |at| name.split_off(over + at))
    }
}

fn ends_with_top_label(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let Some((_, label)) = text.rsplit_once('.') else {
        return false;
    };
    let good = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    !label.is_empty()
        && label.bytes().all(good)
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|octet| octet.is_ascii_digit())
}

/// `s`, `d2`, `ir`, `l1r-`.
fn piece(body: &str, place: Place) -> Option<Piece> {
    let letter = body.chars().next()?;
    let known = match place {
        Place::Record => "slodiphv",
        Place::Explanation => "slodiphvcrt",
    };
    if !known.contains(letter.to_ascii_lowercase()) {
        return None;
    }
    let rest = &body[1..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = rest.split_at(digits);
    let kept = match number {
        "" => None,
        // Beyond 128 every name is whole.
        number => Some(
            number
                .parse::<u8>()
                .ok()
                .filter(|it| *it > 0 && *it <= 128)?,
        ),
    };
    let unreversed = rest.strip_prefix(['r', 'R']);
    let delimiters = unreversed.unwrap_or(rest);
    if !delimiters.chars().all(|it| ".-+,/_=".contains(it)) {
        return None;
    }
    Some(Piece::Macro {
        letter,
        kept: kept.map(usize::from),
        reversed: unreversed.is_some(),
        delimiters: delimiters.to_owned(),
    })
}

fn expand(piece: &Piece, values: &Values<'_>) -> String {
    let Piece::Macro {
        letter,
        kept,
        reversed,
        delimiters,
    } = piece
    else {
        return String::new();
    };
    let value = match letter.to_ascii_lowercase() {
        's' => format!("{}@{}", values.local_part, values.sender_domain),
        'l' => values.local_part.to_owned(),
        'o' => values.sender_domain.to_owned(),
        'd' => values.domain.to_owned(),
        'i' => values.client.map(dotted).unwrap_or_default(),
        'v' => match values.client {
            Some(IpAddr::V6(_)) => "ip6".to_owned(),
            Some(IpAddr::V4(_)) | None => "in-addr".to_owned(),
        },
        'h' => values.helo.to_owned(),
        _ => "unknown".to_owned(),
    };
    let is_delimiter = |it: char| {
        if delimiters.is_empty() {
            it == '.'
        } else {
            delimiters.contains(it)
        }
    };
    let mut parts: Vec<&str> = value.split(is_delimiter).collect();
    if *reversed {
        parts.reverse();
    }
    let skipped = kept.map_or(0, |kept| parts.len().saturating_sub(kept));
    let joined = parts[skipped..].join(".");
    if letter.is_ascii_uppercase() {
        escape(&joined)
    } else {
        joined
    }
}

fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter();
            let nibbles = nibbles.flat_map(|octet| [octet >> 4, octet & 15]);
            let nibbles = nibbles.map(|nibble| format!("{nibble:x}"));
            nibbles.collect::<Vec<_>>().join(".")
        }
    }
}

/// RFC 3986 §2.1.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            escaped.push(char::from(octet));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(escaped, "%{octet:02x}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7208 §7.4.
    #[test]
    fn macros_become_what_the_rfc_says() {
        let values = |client: &str| Values {
            local_part: "strong-bad",
            sender_domain: "email.example.com",
            helo: "mx.example.org",
            domain: "email.example.com",
            client: client.parse().ok(),
        };
        for (text, client, expected) in [
            ("%{s}", "192.0.2.3", "strong-bad@email.example.com"),
            ("%{d4}", "192.0.2.3", "email.example.com"),
            ("%{d1}", "192.0.2.3", "com"),
            ("%{dr}", "192.0.2.3", "com.example.email"),
            ("%{d2r}", "192.0.2.3", "example.email"),
            ("%{l-}", "192.0.2.3", "strong.bad"),
            ("%{lr-}", "192.0.2.3", "bad.strong"),
            ("%{l1r-}", "192.0.2.3", "strong"),
            (
                "%{ir}.%{v}._spf.%{d2}",
                "192.0.2.3",
                "3.2.0.192.in-addr._spf.example.com",
            ),
            (
                "%{ir}.%{v}._spf.%{d2}",
                "2001:db8::cb01",
                "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com",
            ),
        ] {
            let read = MacroText::parse(text, Place::Record).expect(text);
            assert_eq!(read.name(&values(client)), expected, "{text}");
        }
    }
}
