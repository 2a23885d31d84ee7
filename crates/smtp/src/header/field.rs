//! A header section as fields. RFC 5322 §2.2, §4.5.
//!
//! Lines that are neither a field nor its continuation are passed over: servers differ in what
//! they make of them, so we read every field that any of them could see.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use memchr::memchr;

/// One field, folded as it is.
pub(crate) struct Field<'a> {
    /// Without white space before the colon.
    pub(crate) name: &'a [u8],
    /// Behind the colon, with the line ends of its folding, without the last.
    value: &'a [u8],
    /// All of it, with its CRLF if it has one.
    pub(crate) whole: &'a [u8],
}

impl<'a> Field<'a> {
    /// As it is folded.
    pub(super) fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The value on one line. What is no UTF-8 becomes U+FFFD.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match String::from_utf8_lossy(&self.unfolded(usize::MAX)) {
            Cow::Borrowed(text) => Cow::Owned(text.into()),
            Cow::Owned(text) => Cow::Owned(text),
        }
    }

    /// The value without the line ends of its folding, cut at `octets_max`. RFC 5322 §2.2.3.
    pub(super) fn unfolded(&self, octets_max: usize) -> Vec<u8> {
        let octets = self
            .value
            .iter()
            .filter(|octet| !matches!(octet, b'\r' | b'\n'));
        octets.take(octets_max).copied().collect()
    }
}

/// A part of a section: nothing is left out.
pub(super) enum Piece<'a> {
    Field(Field<'a>),
    /// A line that is no field, or the empty line and all behind it.
    Other(&'a [u8]),
}

/// Cuts a section into fields and what is between them.
pub(super) fn pieces(section: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = section;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if rest.starts_with(b"\r\n") {
            return Some(Piece::Other(core::mem::take(&mut rest)));
        }
        let mut end = line_end(rest);
        let name = field_name(&rest[..end]);
        // Without a name it is one line; a continuation of it is a line that is no field again.
        while name.is_some()
            && rest
                .get(end)
                .is_some_and(|octet| matches!(octet, b' ' | b'\t'))
        {
            end += line_end(&rest[end..]);
        }
        let (whole, behind) = rest.split_at(end);
        rest = behind;
        let Some((name, colon)) = name else {
            return Some(Piece::Other(whole));
        };
        let value = &whole[colon + 1..];
        let value = value.strip_suffix(b"\r\n").unwrap_or(value);
        Some(Piece::Field(Field { name, value, whole }))
    })
}

/// The fields of a section, up to its empty line.
pub(crate) fn fields(section: &[u8]) -> impl Iterator<Item = Field<'_>> {
    pieces(section).filter_map(|piece| match piece {
        Piece::Field(field) => Some(field),
        Piece::Other(_) => None,
    })
}

/// Whether a section that begins so can have no field there. False while it cannot be known.
pub(super) fn is_no_field(content: &[u8]) -> bool {
    let line = &content[..line_end(content)];
    let name = line
        .iter()
        .position(|octet| !is_name(*octet))
        .unwrap_or(line.len());
    let blanks = line[name..]
        .iter()
        .position(|octet| !matches!(octet, b' ' | b'\t'));
    let Some(blanks) = blanks else {
        // All of it may be the beginning of a field.
        return name == 0 && !line.is_empty();
    };
    name == 0 || line[name + blanks] != b':'
}

/// The name, and where its colon is. White space before the colon is obsolete: RFC 5322 §4.5.
fn field_name(line: &[u8]) -> Option<(&[u8], usize)> {
    let colon = memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    let fits = !name.is_empty() && name.iter().all(|octet| is_name(*octet));
    fits.then_some((name, colon))
}

/// RFC 5322 §3.6.8, `ftext`.
fn is_name(octet: u8) -> bool {
    octet.is_ascii_graphic() && octet != b':'
}

/// The length of the first line with its LF.
pub(super) fn line_end(text: &[u8]) -> usize {
    memchr(b'\n', text).map_or(text.len(), |at| at + 1)
}
