//! Octets in front of the stored content, and what is told of them. The stored message never
//! changes; what is sent is counted with them (SIZE, BDAT).
//!
//! Not here: who puts fields there (`outgoing`), sending them (`session`).

use std::sync::Arc;

/// Fields that one copy of a message carries on top.
#[derive(Clone, Debug, Default)]
pub(crate) struct Front {
    octets: Vec<u8>,
    /// Domains that sign.
    pub(crate) signed_by: Vec<Arc<str>>,
    /// Why nobody signs, where somebody wanted it; or who sealed it.
    pub(crate) note: Option<Arc<str>>,
}

impl Front {
    /// All of it.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Octets.
    pub(crate) fn size(&self) -> u64 {
        self.octets.len() as u64
    }

    /// Whole fields with their line ends go above those that are there.
    pub(crate) fn put_on_top(&mut self, fields: &str) {
        self.octets.splice(0..0, fields.bytes());
    }
}

/// A message does not leave now; why, in words for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Withheld(pub(crate) Arc<str>);
