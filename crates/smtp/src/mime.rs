//! The parts of a message by name and declared type, while its content passes by. RFC 2045, RFC
//! 2046 §5, RFC 2183, RFC 2231.
//!
//! Nothing is decoded but names, and nothing held but the header section of the part under way:
//! octets in, parts out. Messages within messages are entered. Where readers differ in what they
//! make of a header field, every reading counts: a name that any of them could see is told.
//!
//! Not here: what is in an attachment (archives are not opened, types are as declared); what is
//! allowed (`relais_policy::content`).

mod parameters;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::header;

use self::parameters::Parameters;

/// Parts within each other. People forward a forwarded mail a few times; attacks nest by hundreds.
const DEPTH_MAX: usize = 32;
/// Boundaries that a line is compared with: one for each depth, and as many again for fields that
/// can be read in two ways. One header section has room for thousands, and a message for millions
/// of lines.
const BOUNDARIES_MAX: usize = 2 * DEPTH_MAX;
/// Octets of a boundary. RFC 2046 §5.1.1 gives it 70; a longer one than this would not be seen in a
/// line of which we look at the beginning.
const BOUNDARY_OCTETS_MAX: usize = 200;
/// Parts of one message.
const PARTS_MAX: usize = 1_000;
/// Octets of the header section of one part. Programs write less than one thousand.
const SECTION_OCTETS_MAX: usize = header::HEADER_SECTION_OCTETS_MAX;
/// Octets of a body's line that are looked at: a boundary has 70 at most (RFC 2046 §5.1.1), with
/// hyphens and white space around it.
const LINE_OCTETS_LOOKED_AT: usize = 256;

/// One part.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Part {
    /// In lower case, without parameters; empty: nothing said.
    pub content_type: String,
    /// Every name that the part could have, in lower case.
    pub names: Vec<String>,
}

/// What the structure of a message turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Structure {
    /// All of it was seen.
    Seen,
    /// Some of its parts were not seen: it is nested deeper, or has more parts, boundaries,
    /// parameters or larger header sections than anybody writes; or it has parts behind an encoding
    /// or a boundary that we do not read, and others might.
    Unseen,
}

/// Sees the parts of one message.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Boundaries of the multiparts that we are in, the innermost last.
    boundaries: Vec<Box<[u8]>>,
    place: Place,
    /// The line under way: whole within a header section, cut within a body.
    line: Vec<u8>,
    /// The header section under way.
    section: Vec<u8>,
    found: Vec<Part>,
    count: usize,
    depth: usize,
    structure: Structure,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Header,
    Body,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            boundaries: Vec::new(),
            place: Place::Header,
            line: Vec::new(),
            section: Vec::new(),
            found: Vec::new(),
            count: 0,
            depth: 0,
            structure: Structure::Seen,
        }
    }
}

impl Parts {
    /// Takes a piece of the message, from its header section on. What follows something that we do
    /// not see is passed over: it changes nothing any more.
    pub fn take(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while self.structure == Structure::Seen
            && let Some(end) = memchr::memchr(b'\n', rest)
        {
            let (line, behind) = rest.split_at(end + 1);
            self.add(line);
            self.end_of_line();
            rest = behind;
        }
        if self.structure == Structure::Seen {
            self.add(rest);
        }
    }

    /// Whether all was seen so far.
    pub fn structure(&self) -> Structure {
        self.structure
    }

    /// The parts found since the last call.
    pub fn found(&mut self) -> Vec<Part> {
        core::mem::take(&mut self.found)
    }

    /// The message is over: the last parts, and whether all of them were seen.
    pub fn finish(mut self) -> (Vec<Part>, Structure) {
        if !self.line.is_empty() {
            self.end_of_line();
        }
        if self.place == Place::Header && !self.section.is_empty() {
            self.end_of_section();
        }
        (self.found, self.structure)
    }

    fn add(&mut self, octets: &[u8]) {
        let most = match self.place {
            Place::Header => SECTION_OCTETS_MAX,
            Place::Body => LINE_OCTETS_LOOKED_AT,
        };
        let room = most.saturating_sub(self.line.len());
        if room < octets.len() && self.place == Place::Header {
            self.structure = Structure::Unseen;
        }
        self.line
            .extend_from_slice(&octets[..octets.len().min(room)]);
    }

    fn end_of_line(&mut self) {
        let line = core::mem::take(&mut self.line);
        let is_between = line.starts_with(b"--") && self.look_for_boundary(&line);
        if !is_between && self.place == Place::Header {
            self.header_line(&line);
        }
        // Keeps its room for the next line.
        self.line = line;
        self.line.clear();
    }

    fn header_line(&mut self, line: &[u8]) {
        if line == b"\r\n" || line == b"\n" {
            return self.end_of_section();
        }
        if self.section.len() + line.len() > SECTION_OCTETS_MAX {
            self.structure = Structure::Unseen;
            return;
        }
        self.section.extend_from_slice(line);
    }

    /// Whether the line separates parts of a multipart that we are in; those within it are over.
    fn look_for_boundary(&mut self, line: &[u8]) -> bool {
        for at in (0..self.boundaries.len()).rev() {
            let Some(is_last) = delimiter(line, &self.boundaries[at]) else {
                continue;
            };
            if line.len() >= LINE_OCTETS_LOOKED_AT {
                // What stands behind decides whether it is one, and was not looked at.
                self.structure = Structure::Unseen;
            }
            if self.place == Place::Header {
                self.end_of_section();
            }
            self.boundaries.truncate(if is_last { at } else { at + 1 });
            self.depth = self.boundaries.len();
            self.place = if is_last { Place::Body } else { Place::Header };
            return true;
        }
        false
    }

    fn end_of_section(&mut self) {
        let section = core::mem::take(&mut self.section);
        self.place = Place::Body;
        self.count += 1;
        if self.count > PARTS_MAX {
            self.structure = Structure::Unseen;
            return;
        }
        let Read {
            part,
            boundaries,
            is_message,
            structure,
        } = read(&section);
        self.found.push(part);
        if structure == Structure::Unseen {
            self.structure = structure;
        }
        if !is_message && boundaries.is_empty() {
            return;
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX || self.boundaries.len() + boundaries.len() > BOUNDARIES_MAX {
            self.structure = Structure::Unseen;
            return;
        }
        self.boundaries.extend(boundaries);
        if is_message {
            self.place = Place::Header;
        }
    }
}

/// Whether a line separates parts, and is the last to do so. RFC 2046 §5.1.1.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let (rest, is_last) = match rest.strip_prefix(b"--") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    rest.trim_ascii().is_empty().then_some(is_last)
}

/// What a header section says.
struct Read {
    part: Part,
    /// By which the part may be parted.
    boundaries: Vec<Box<[u8]>>,
    /// A message is within.
    is_message: bool,
    /// Whether all that is said about parts can be read.
    structure: Structure,
}

fn read(section: &[u8]) -> Read {
    let mut seen = Read {
        part: Part::default(),
        boundaries: Vec::new(),
        is_message: false,
        structure: Structure::Seen,
    };
    let (mut is_multipart, mut is_encoded) = (false, false);
    for (name, value) in header::names_and_values(section) {
        if name.eq_ignore_ascii_case(b"Content-Transfer-Encoding") {
            is_encoded |= !is_identity(value);
        }
        let is_type = name.eq_ignore_ascii_case(b"Content-Type");
        if !is_type && !name.eq_ignore_ascii_case(b"Content-Disposition") {
            continue;
        }
        for value in readings(value) {
            let parameters = Parameters::read(&value);
            if !parameters.is_whole() {
                seen.structure = Structure::Unseen;
            }
            seen.part.names.extend(parameters.names());
            if is_type {
                is_multipart |= seen.content_type(&value, &parameters);
            }
        }
    }
    // Both are never encoded by whom the standard binds, and decoded by some programs all the same.
    // RFC 2045 §6.4.
    let is_hidden = (is_multipart || seen.is_message) && is_encoded;
    if is_hidden || (is_multipart && seen.boundaries.is_empty()) {
        seen.structure = Structure::Unseen;
    }
    seen
}

impl Read {
    /// Takes in one reading of a Content-Type field; whether it is a multipart.
    fn content_type(&mut self, value: &[u8], parameters: &Parameters) -> bool {
        let main = value.split(|octet| *octet == b';').next();
        let kind = String::from_utf8_lossy(main.unwrap_or_default());
        let kind: String = kind.split_whitespace().collect();
        let kind = kind.to_ascii_lowercase();
        let is_multipart = kind.starts_with("multipart/");
        self.is_message |= matches!(&*kind, "message/rfc822" | "message/global");
        // A second Content-Type is for those who read the last one.
        if self.part.content_type.is_empty() || is_multipart {
            self.part.content_type = kind;
        }
        if !is_multipart {
            return false;
        }
        for boundary in parameters.values("boundary") {
            let boundary = boundary.into_boxed_slice();
            if boundary.len() > BOUNDARY_OCTETS_MAX || self.boundaries.len() > BOUNDARIES_MAX {
                self.structure = Structure::Unseen;
            } else if !boundary.is_empty() && !self.boundaries.contains(&boundary) {
                self.boundaries.push(boundary);
            }
        }
        true
    }
}

/// Whether a Content-Transfer-Encoding leaves the octets as they are. RFC 2045 §6.2.
fn is_identity(value: &[u8]) -> bool {
    let value = without_comments(&unfolded(value));
    let value = value.trim_ascii();
    ["", "7bit", "8bit", "binary"]
        .iter()
        .any(|one| value.eq_ignore_ascii_case(one.as_bytes()))
}

/// A field's value as it stands there, and as those read it who know comments.
fn readings(value: &[u8]) -> Vec<Vec<u8>> {
    let value = unfolded(value);
    if !value.contains(&b'(') {
        return alloc::vec![value];
    }
    let other = without_comments(&value);
    alloc::vec![value, other]
}

/// RFC 5322 §3.2.2: comments within each other, none within quotes.
fn without_comments(value: &[u8]) -> Vec<u8> {
    let mut left = Vec::with_capacity(value.len());
    let (mut depth, mut is_quoted, mut is_escaped) = (0_usize, false, false);
    for octet in value {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' if depth == 0 => is_quoted = !is_quoted,
            b'(' if !is_quoted => depth += 1,
            b')' if depth > 0 => {
                depth -= 1;
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            left.push(*octet);
        }
    }
    left
}

fn unfolded(value: &[u8]) -> Vec<u8> {
    let octets = value.iter().filter(|octet| !matches!(octet, b'\r' | b'\n'));
    octets.copied().collect()
}

#[cfg(test)]
mod tests;
