//! Parameters of Content-Type and Content-Disposition: plain, quoted, in pieces, with a character
//! set, with encoded words that should not be there. RFC 2045 §5.1, RFC 2231, RFC 2047 §5.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::header;

/// Parameters of one field that are read. Programs write three or four.
const PARAMETERS_MAX: usize = 256;
/// Octets of one value that are read. File systems give a name 255, which encoded are a few times
/// as many.
const VALUE_OCTETS_MAX: usize = 4_096;

/// The parameters of one field, as they stand there.
pub(super) struct Parameters {
    /// Key in lower case, value without quotes.
    all: Vec<(String, Vec<u8>)>,
    is_whole: bool,
}

impl Parameters {
    /// Of an unfolded value.
    pub(super) fn read(value: &[u8]) -> Self {
        let (mut all, mut is_whole) = (Vec::new(), true);
        let mut rest = after(value, b';');
        while !rest.is_empty() {
            let stop = rest.iter().position(|octet| matches!(octet, b'=' | b';'));
            let Some(stop) = stop else {
                break;
            };
            if rest[stop] == b';' {
                rest = &rest[stop + 1..];
                continue;
            }
            if all.len() >= PARAMETERS_MAX {
                is_whole = false;
                break;
            }
            let key = String::from_utf8_lossy(&rest[..stop])
                .trim()
                .to_ascii_lowercase();
            let (mut found, behind) = read_value(rest[stop + 1..].trim_ascii_start());
            if found.len() > VALUE_OCTETS_MAX {
                is_whole = false;
                found.truncate(VALUE_OCTETS_MAX);
            }
            all.push((key, found));
            rest = after(behind, b';');
        }
        Self { all, is_whole }
    }

    /// Whether there are no more, and none longer, than are read.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Every value of that name that somebody could read here.
    pub(super) fn values(&self, wanted: &str) -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        for (key, value) in &self.all {
            match key.strip_prefix(wanted) {
                Some("") => values.push(value.clone()),
                Some("*") => values.push(percent_decoded(without_charset(value))),
                Some(_) | None => {}
            }
        }
        values.extend(self.in_pieces(wanted));
        values
    }

    /// Every name of a file that somebody could read here, in lower case.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for wanted in ["filename", "name"] {
            let plain = self.all.iter().filter(|(key, _)| key == wanted);
            names.extend(plain.map(|(_, value)| header::decoded(value).to_lowercase()));
            let values = self.values(wanted).into_iter();
            names.extend(values.map(|value| String::from_utf8_lossy(&value).to_lowercase()));
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// `filename*0*=utf-8''a%20; filename*1=b`. RFC 2231 §3, §4.1. A piece that is there twice is
    /// for those who read the first, and for those who read the last.
    fn in_pieces(&self, wanted: &str) -> Vec<Vec<u8>> {
        let (mut first, mut last) = (BTreeMap::<u16, Vec<u8>>::new(), BTreeMap::new());
        for (key, value) in &self.all {
            let Some(number) = key
                .strip_prefix(wanted)
                .and_then(|rest| rest.strip_prefix('*'))
            else {
                continue;
            };
            let (number, is_encoded) = match number.strip_suffix('*') {
                Some(number) => (number, true),
                None => (number, false),
            };
            let Ok(number) = number.parse() else {
                continue;
            };
            let octets = match is_encoded {
                true if number == 0 => percent_decoded(without_charset(value)),
                true => percent_decoded(value),
                false => value.clone(),
            };
            first.entry(number).or_insert_with(|| octets.clone());
            last.insert(number, octets);
        }
        let whole = |pieces: BTreeMap<u16, Vec<u8>>| pieces.into_values().flatten().collect();
        let mut values: Vec<Vec<u8>> = alloc::vec![whole(first), whole(last)];
        values.retain(|value| !value.is_empty());
        values.dedup();
        values
    }
}

/// `utf-8'en'a%20b`.
fn without_charset(value: &[u8]) -> &[u8] {
    let mut parts = value.splitn(3, |octet| *octet == b'\'');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(_), Some(rest)) => rest,
        _ => value,
    }
}

fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%'
            && let [high, low, behind @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            octets.push(high << 4 | low);
            rest = behind;
            continue;
        }
        octets.push(*first);
    }
    octets
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|it| u8::try_from(it).ok())
}

/// Behind the first such octet; empty without one.
fn after(octets: &[u8], mark: u8) -> &[u8] {
    let at = octets.iter().position(|octet| *octet == mark);
    at.map_or(&[][..], |at| &octets[at + 1..])
}

/// A value, quoted or not, and what follows it.
fn read_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|octet| *octet == b';');
        let (value, rest) = text.split_at(end.unwrap_or(text.len()));
        return (value.trim_ascii().to_vec(), rest);
    };
    let mut value = Vec::new();
    let mut at = 0;
    while let Some(octet) = quoted.get(at) {
        match octet {
            b'"' => return (value, &quoted[at + 1..]),
            b'\\' => {
                at += 1;
                value.extend(quoted.get(at));
            }
            other => value.push(*other),
        }
        at += 1;
    }
    (value, &[])
}
