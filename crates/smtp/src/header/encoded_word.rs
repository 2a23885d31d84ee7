//! Encoded words, `=?utf-8?Q?=C3=A9?=` → `é`. RFC 2047, for people who read a trace.
//!
//! Character sets: UTF-8, US-ASCII, ISO-8859-1, ISO-8859-15, windows-1252. Words in other sets stay
//! as they are. Octets that no word declares are UTF-8, or else windows-1252.

use alloc::string::String;
use alloc::vec::Vec;

/// The text, decoded.
pub(super) fn decode(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    // Octets of the words read last: a character may be spread over two words.
    let mut pending: Option<(Charset, Vec<u8>)> = None;
    let mut rest = value;
    while !rest.is_empty() {
        let start = find_start(rest);
        let (plain, behind) = rest.split_at(start);
        let Some(word) = Word::read(behind) else {
            flush(&mut pending, &mut text);
            // Not a word: its first two octets are plain text.
            let plain = &rest[..rest.len().min(start + 2)];
            text.push_str(&undeclared(plain));
            rest = &rest[plain.len()..];
            continue;
        };
        // White space between two words is not shown. RFC 2047 §6.2.
        let joined = pending.is_some() && plain.iter().all(|octet| is_blank(*octet));
        if !joined {
            flush(&mut pending, &mut text);
            text.push_str(&undeclared(plain));
        }
        match &mut pending {
            Some((charset, octets)) if *charset == word.charset => octets.extend(word.octets),
            _ => {
                flush(&mut pending, &mut text);
                pending = Some((word.charset, word.octets));
            }
        }
        rest = word.rest;
    }
    flush(&mut pending, &mut text);
    text
}

/// Where a word may start, or the end.
fn find_start(text: &[u8]) -> usize {
    memchr::memmem::find(text, b"=?").unwrap_or(text.len())
}

fn flush(pending: &mut Option<(Charset, Vec<u8>)>, text: &mut String) {
    if let Some((charset, octets)) = pending.take() {
        text.push_str(&charset.decode(&octets));
    }
}

fn undeclared(octets: &[u8]) -> String {
    match core::str::from_utf8(octets) {
        Ok(text) => text.into(),
        Err(_) => Charset::Windows1252.decode(octets),
    }
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// Of one word's text, in octets. RFC 2047 §2 gives a word 75, devices put a whole subject into
/// one. Where words begin again and again without an end, each is looked for no farther than this.
const TEXT_OCTETS_MAX: usize = 4_096;

struct Word<'a> {
    charset: Charset,
    octets: Vec<u8>,
    rest: &'a [u8],
}

impl<'a> Word<'a> {
    /// Reads `=?charset?encoding?text?=` at the beginning. RFC 2047 §2; its limit of 75 octets is
    /// not kept by devices.
    fn read(text: &'a [u8]) -> Option<Self> {
        let inner = text.strip_prefix(b"=?")?;
        let (charset, inner) = split_at_mark(inner)?;
        let (encoding, inner) = split_at_mark(inner)?;
        let near = &inner[..inner.len().min(TEXT_OCTETS_MAX)];
        let end = memchr::memmem::find(near, b"?=")?;
        let (encoded, rest) = (&inner[..end], &inner[end + 2..]);
        let charset = Charset::read(charset)?;
        let octets = match encoding {
            b"Q" | b"q" => decode_q(encoded)?,
            b"B" | b"b" => decode_base64(encoded)?,
            _ => return None,
        };
        Some(Self {
            charset,
            octets,
            rest,
        })
    }
}

fn split_at_mark(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'?', text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// RFC 2047 §4.2.
fn decode_q(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'_', _) => octets.push(b' '),
            (b'=', [high, low, behind @ ..]) => {
                octets.push(hex(*high)? << 4 | hex(*low)?);
                rest = behind;
            }
            (b'=', _) => return None,
            (other, _) => octets.push(*other),
        }
    }
    Some(octets)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// RFC 4648 §4, padding or not.
fn decode_base64(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(encoded.len() / 4 * 3 + 3);
    let mut bits = 0_u32;
    let mut count = 0;
    for letter in encoded
        .iter()
        .filter(|letter| **letter != b'=' && !is_blank(**letter))
    {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count & 0xff) as u8);
        }
    }
    Some(octets)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Charset {
    Utf8,
    Latin9,
    /// ISO-8859-1 too: what says so is mostly windows-1252.
    Windows1252,
}

impl Charset {
    fn read(name: &[u8]) -> Option<Self> {
        // RFC 2231 §5: a language may follow.
        let name = name.split(|octet| *octet == b'*').next()?;
        let is = |names: &[&str]| {
            names
                .iter()
                .any(|n| name.eq_ignore_ascii_case(n.as_bytes()))
        };
        if is(&["utf-8", "utf8", "us-ascii", "ascii"]) {
            return Some(Self::Utf8);
        }
        if is(&["iso-8859-15", "latin9", "latin-9"]) {
            return Some(Self::Latin9);
        }
        is(&["iso-8859-1", "latin1", "windows-1252", "cp1252"]).then_some(Self::Windows1252)
    }

    fn decode(self, octets: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(octets).into_owned(),
            Self::Latin9 => octets.iter().map(|octet| latin9(*octet)).collect(),
            Self::Windows1252 => octets.iter().map(|octet| windows_1252(*octet)).collect(),
        }
    }
}

fn latin9(octet: u8) -> char {
    match octet {
        0xa4 => '€',
        0xa6 => 'Š',
        0xa8 => 'š',
        0xb4 => 'Ž',
        0xb8 => 'ž',
        0xbc => 'Œ',
        0xbd => 'œ',
        0xbe => 'Ÿ',
        other => char::from(other),
    }
}

fn windows_1252(octet: u8) -> char {
    /// 0x80 to 0x9f.
    const UPPER: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match octet {
        0x80..=0x9f => UPPER[usize::from(octet - 0x80)],
        other => char::from(other),
    }
}
