//! Reading what a relay must read of a header section; writing `Received` and missing fields.
//!
//! RFC 5322 with its obsolete forms (§4), RFC 2047 for the subject, RFC 6854 for groups in From.
//! Octets that we do not understand are passed over here and passed on there; nothing is rebuilt.
//!
//! Not here: what follows from a header (`relais-policy`); MIME parts, which a relay never opens.

mod addresses;
mod change;
mod encoded_word;
mod field;
mod received;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use memchr::memmem;

use self::field::Piece;
use crate::address::Mailbox;

pub use self::change::{FieldChange, change};
pub(crate) use self::field::{Field, fields};
pub use self::received::Received;

/// Longest header section that we read, in octets; longer ones are refused (HDR-SIZE). Postfix's
/// limit is 102,400; devices stay below 4 KiB.
pub const HEADER_SECTION_OCTETS_MAX: usize = 256 * 1_024;
/// A message with more Received fields than this loops. RFC 5321 §6.3 suggests 100 or more,
/// Postfix stops at 50, and so do we.
pub const RECEIVED_FIELDS_MAX: usize = 50;

/// What a relay needs to know of a header section.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderSummary {
    /// Number of Received fields.
    pub received_count: usize,
    /// Every address of the From field; `Err` for none, several fields or one not readable.
    pub from: FromField,
    /// The Sender field's address, if one can be read.
    pub sender: Option<Mailbox>,
    /// Message-ID without brackets, at most 998 octets.
    pub message_id: Option<Box<str>>,
    /// Subject, encoded words decoded (RFC 2047), at most 256 characters.
    pub subject: Option<String>,
    /// A Date field is there.
    pub has_date: bool,
    /// A MIME-Version field is there.
    pub has_mime_version: bool,
    /// A Content-Type or Content-Transfer-Encoding field is there.
    pub has_mime_fields: bool,
    /// A line that is no field has a NUL: servers that drop NUL would see a field there, or the end
    /// of the section.
    pub has_hidden_line: bool,
    /// Auto-Submitted other than `no`, or Precedence bulk/junk/list.
    pub is_automatic: bool,
}

/// What the From field says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum FromField {
    /// There is none.
    #[default]
    Missing,
    /// One field whose addresses could all be read; never empty.
    Addresses(Vec<Mailbox>),
    /// Several From fields, or one that cannot be read.
    Unreadable,
}

/// Most addresses in one From field; RFC 5322 names no limit, and nobody writes as so many.
pub const FROM_ADDRESSES_MAX: usize = 100;
/// Longest Message-ID that we keep, in octets: a line may have no more. RFC 5322 §2.1.1.
pub const MESSAGE_ID_OCTETS_MAX: usize = 998;
/// Longest subject that we keep, in characters.
pub const SUBJECT_CHARACTERS_MAX: usize = 256;

/// Where the header section ends: the offset of the first octet of the body, behind the empty
/// line; `None` while `content` shows no end yet. Content that starts with an empty line has an
/// empty header section. Content whose first line is no field has none either: `Some(0)`.
pub fn header_section_end(content: &[u8]) -> Option<usize> {
    if content.starts_with(b"\r\n") {
        return Some(2);
    }
    if content != b"\r" && field::is_no_field(content) {
        return Some(0);
    }
    memmem::find(content, b"\r\n\r\n").map(|at| at + 4)
}

/// What stands before a header section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailboxLine {
    /// Nothing of the kind.
    None,
    /// A `From ` line of so many octets, with its line end; a field follows.
    Octets(usize),
    /// `content` does not show it yet.
    Unknown,
}

/// Whether `content` begins with the line that separates messages in a mailbox file (RFC 4155,
/// appendix A). Programs that read their mail from one leave it there. It counts only where a
/// field follows: text may begin with `From` too.
pub fn mailbox_line(content: &[u8]) -> MailboxLine {
    let quotes = content.iter().take_while(|octet| **octet == b'>').count();
    // `From : x` is a field of an obsolete form.
    if !content[quotes..].starts_with(b"From ") || !field::is_no_field(content) {
        return MailboxLine::None;
    }
    let end = field::line_end(content);
    let (line, rest) = content.split_at(end);
    let next = &rest[..field::line_end(rest)];
    if !line.ends_with(b"\n") || !next.ends_with(b"\n") {
        return MailboxLine::Unknown;
    }
    if field::is_no_field(next) {
        MailboxLine::None
    } else {
        MailboxLine::Octets(end)
    }
}

/// Reads a header section (up to and including the empty line, if there is one). Never fails:
/// what cannot be read is missing. No more than [`HEADER_SECTION_OCTETS_MAX`] is read.
pub fn read(section: &[u8]) -> HeaderSummary {
    let section = &section[..section.len().min(HEADER_SECTION_OCTETS_MAX)];
    let mut summary = HeaderSummary::default();
    for piece in field::pieces(section) {
        match piece {
            Piece::Field(field) => read_field(&field, &mut summary),
            Piece::Other(line) if line.starts_with(b"\r\n") => break,
            Piece::Other(line) => summary.has_hidden_line |= line.contains(&b'\0'),
        }
    }
    summary
}

/// Whether the author lets the message go without TLS if it must: `TLS-Required: No`, and nothing
/// else of that name. RFC 8689 §5.
pub fn says_tls_is_not_required(section: &[u8]) -> bool {
    let section = &section[..section.len().min(HEADER_SECTION_OCTETS_MAX)];
    let fields = field::pieces(section).filter_map(|piece| match piece {
        Piece::Field(field) => Some(field),
        Piece::Other(_) => None,
    });
    let ours = fields.filter(|field| field.name.eq_ignore_ascii_case(b"TLS-Required"));
    let mut says_no = ours.map(|field| first_word(&field).eq_ignore_ascii_case("no"));
    says_no.next() == Some(true) && says_no.all(|no| no)
}

/// The section without the fields Authentication-Results that bear this name; `None`: it has none.
/// RFC 8601 §5.
pub fn without_results_of(section: &[u8], authserv_id: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(section.len());
    for piece in field::pieces(section) {
        match piece {
            Piece::Field(field) if bears_results_of(&field, authserv_id) => {}
            Piece::Field(field) => out.extend_from_slice(field.whole),
            Piece::Other(octets) => out.extend_from_slice(octets),
        }
    }
    (out.len() < section.len()).then_some(out)
}

/// Whether a field says what a name found. RFC 8601 §2.2.
pub(crate) fn bears_results_of(field: &Field<'_>, authserv_id: &str) -> bool {
    let text = field.text();
    field.name.eq_ignore_ascii_case(b"Authentication-Results")
        && first_value(after_comments(&text)).eq_ignore_ascii_case(authserv_id)
}

/// What stands behind spaces and comments. RFC 5322 §3.2.2; a comment without an end hides all.
fn after_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    while rest.starts_with('(') {
        let (mut depth, mut escaped) = (0_u32, false);
        let end = rest.char_indices().find(|(_, c)| {
            match c {
                _ if escaped => {}
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            escaped = !escaped && *c == '\\';
            depth == 0
        });
        rest = end.map_or("", |(at, _)| rest[at + 1..].trim_start());
    }
    rest
}

/// A token, or what a quoted string says. RFC 2045 §5.1.
fn first_value(text: &str) -> String {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', '\r', '\n', ';', '(', '/']);
        return text[..end.unwrap_or(text.len())].to_owned();
    };
    let (mut value, mut letters) = (String::new(), quoted.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => value.extend(letters.next()),
            letter => value.push(letter),
        }
    }
    value
}

/// The value of the first field of a name, on one line; `None`: there is none. Octets that are no
/// UTF-8 become U+FFFD.
pub fn first_field(section: &[u8], name: &str) -> Option<String> {
    let section = &section[..section.len().min(HEADER_SECTION_OCTETS_MAX)];
    field::pieces(section).find_map(|piece| match piece {
        Piece::Field(field) if field.name.eq_ignore_ascii_case(name.as_bytes()) => {
            Some(field.text().into_owned())
        }
        Piece::Field(_) | Piece::Other(_) => None,
    })
}

/// Every field of a section in order: its name, and its value as it is folded, without the last
/// line end. Lines that are no field are passed over.
pub fn names_and_values(section: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    field::pieces(section).filter_map(|piece| match piece {
        Piece::Field(field) => Some((field.name, field.value())),
        Piece::Other(_) => None,
    })
}

/// A value with its encoded words decoded. RFC 2047.
pub(crate) fn decoded(value: &[u8]) -> String {
    encoded_word::decode(value)
}

fn read_field(field: &Field<'_>, summary: &mut HeaderSummary) {
    let is = |name: &str| field.name.eq_ignore_ascii_case(name.as_bytes());
    if is("Received") {
        summary.received_count += 1;
    } else if is("From") {
        summary.from = match summary.from {
            FromField::Missing => read_from(field),
            FromField::Addresses(_) | FromField::Unreadable => FromField::Unreadable,
        };
    } else if is("Sender") {
        let addresses = addresses::read(&field.text(), 1).unwrap_or_default();
        summary.sender = summary
            .sender
            .take()
            .or_else(|| addresses.into_iter().next());
    } else if is("Message-ID") {
        summary.message_id = summary.message_id.take().or_else(|| read_message_id(field));
    } else if is("Subject") {
        summary.subject = summary.subject.take().or_else(|| Some(read_subject(field)));
    } else if is("Date") {
        summary.has_date = true;
    } else if is("MIME-Version") {
        summary.has_mime_version = true;
    } else if is("Content-Type") || is("Content-Transfer-Encoding") {
        summary.has_mime_fields = true;
    } else if is("Auto-Submitted") {
        summary.is_automatic |= !first_word(field).eq_ignore_ascii_case("no");
    } else if is("Precedence") {
        let word = first_word(field);
        summary.is_automatic |= ["bulk", "junk", "list"]
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name));
    }
}

fn read_from(field: &Field<'_>) -> FromField {
    match addresses::read(&field.text(), FROM_ADDRESSES_MAX) {
        Some(addresses) if !addresses.is_empty() => FromField::Addresses(addresses),
        _ => FromField::Unreadable,
    }
}

/// Between the brackets if there are any: devices leave them out.
fn read_message_id(field: &Field<'_>) -> Option<Box<str>> {
    let text = field.text();
    let inner = match text.split_once('<') {
        Some((_, rest)) => rest.split_once('>').map_or(rest, |(inner, _)| inner),
        None => &*text,
    };
    let inner = inner.trim();
    let fits = !inner.is_empty()
        && inner.len() <= MESSAGE_ID_OCTETS_MAX
        && !inner.contains(char::is_control)
        && !inner.contains(char::REPLACEMENT_CHARACTER);
    fits.then(|| inner.into())
}

fn read_subject(field: &Field<'_>) -> String {
    // Twelve octets for each character that we keep are more than any encoding needs.
    let value = field.unfolded(12 * SUBJECT_CHARACTERS_MAX);
    let decoded = encoded_word::decode(&value);
    let clean = decoded
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    clean.take(SUBJECT_CHARACTERS_MAX).collect()
}

/// Up to white space, `;` or `(`.
fn first_word(field: &Field<'_>) -> String {
    let text = field.text();
    let word = text.trim_start().split([' ', '\t', ';', '(']).next();
    word.unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
