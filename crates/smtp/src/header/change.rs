//! Changing a header section by named repairs; every octet that no repair names stays.

use alloc::vec::Vec;

use super::field::{Piece, pieces};

/// A field removed from, or put into, a header section by a named repair.
#[derive(Clone, Copy, Debug)]
pub enum FieldChange<'a> {
    /// Adds a field line at the top, given without CRLF; several in the order given.
    Add(&'a str),
    /// Renames each field of this name (`From` → `Reply-To`).
    Rename {
        /// Present name, any case.
        from: &'a str,
        /// New name.
        to: &'a str,
    },
    /// Removes each field of this name.
    Remove(&'a str),
}

/// The header section with `changes` made, all other octets unchanged. A section of no octets
/// (content that has none) becomes one that ends with an empty line, so that fields may be put
/// before it.
pub fn change(section: &[u8], changes: &[FieldChange<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(section.len() + 256);
    for change in changes {
        if let FieldChange::Add(line) = change {
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    for piece in pieces(section) {
        let field = match piece {
            Piece::Field(field) => field,
            Piece::Other(octets) => {
                out.extend_from_slice(octets);
                continue;
            }
        };
        match fate(field.name, changes) {
            Fate::Stays => out.extend_from_slice(field.whole),
            Fate::IsRemoved => {}
            Fate::IsRenamed(name) => {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(&field.whole[field.name.len()..]);
            }
        }
    }
    if section.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    out
}

enum Fate<'a> {
    Stays,
    IsRemoved,
    IsRenamed(&'a str),
}

/// The first change that names the field counts.
fn fate<'a>(name: &[u8], changes: &[FieldChange<'a>]) -> Fate<'a> {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    for change in changes {
        match change {
            FieldChange::Rename { from, to } if is(from) => return Fate::IsRenamed(to),
            FieldChange::Remove(other) if is(other) => return Fate::IsRemoved,
            FieldChange::Add(_) | FieldChange::Rename { .. } | FieldChange::Remove(_) => {}
        }
    }
    Fate::Stays
}
