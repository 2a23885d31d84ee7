//! The body: relaxed, and hashed while it streams by. RFC 6376 §3.4.4.

use alloc::vec::Vec;
use core::fmt;

use memchr::memchr3;
use sha2::{Digest, Sha256};

/// SHA-256.
pub const BODY_HASH_OCTETS: usize = 32;

/// Octets gathered before they are hashed: words of prose are short, and each call costs.
const GATHERED_OCTETS: usize = 4 * 1_024;

/// The SHA-256 of a body in relaxed form.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct BodyHash([u8; BODY_HASH_OCTETS]);

impl BodyHash {
    /// As it was kept.
    pub const fn from_bytes(octets: [u8; BODY_HASH_OCTETS]) -> Self {
        Self(octets)
    }

    /// To be kept.
    pub fn as_bytes(&self) -> &[u8; BODY_HASH_OCTETS] {
        &self.0
    }
}

impl fmt::Debug for BodyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BodyHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Hashes a body that comes in pieces, cut anywhere. Needs the same small memory for any body.
#[derive(Clone, Debug, Default)]
pub struct BodyHasher {
    relaxer: Relaxer,
    gatherer: Gatherer,
}

impl BodyHasher {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        self.relaxer.take(piece, &mut self.gatherer);
    }

    /// The body is complete.
    pub fn finish(mut self) -> BodyHash {
        self.relaxer.end(&mut self.gatherer);
        let Gatherer { gathered, mut hash } = self.gatherer;
        hash.update(&gathered);
        BodyHash(hash.finalize().into())
    }
}

/// A whole body in relaxed form.
pub fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut relaxer = Relaxer::default();
    let mut out = Vec::with_capacity(body.len() + 2);
    relaxer.take(body, &mut out);
    relaxer.end(&mut out);
    out
}

/// Where the relaxed form goes.
trait Sink {
    fn write(&mut self, octets: &[u8]);
}

impl Sink for Vec<u8> {
    fn write(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }
}

#[derive(Clone, Debug, Default)]
struct Gatherer {
    gathered: Vec<u8>,
    hash: Sha256,
}

impl Sink for Gatherer {
    fn write(&mut self, octets: &[u8]) {
        if self.gathered.len() + octets.len() > GATHERED_OCTETS {
            self.hash.update(&self.gathered);
            self.gathered.clear();
        }
        if octets.len() >= GATHERED_OCTETS {
            self.hash.update(octets);
        } else {
            self.gathered.extend_from_slice(octets);
        }
    }
}

/// What is not written yet: it depends on what follows.
#[derive(Clone, Debug, Default)]
struct Relaxer {
    /// Something was written.
    begun: bool,
    /// Line ends held back: at the end of the body they vanish.
    line_ends: u64,
    /// White space held back: at the end of a line it vanishes.
    blank: bool,
    /// A CR whose LF may be in the next piece.
    cr: bool,
}

impl Relaxer {
    fn take(&mut self, mut piece: &[u8], sink: &mut impl Sink) {
        while let Some(first) = piece.first() {
            if core::mem::take(&mut self.cr) {
                if *first == b'\n' {
                    self.blank = false;
                    self.line_ends += 1;
                    piece = &piece[1..];
                    continue;
                }
                // A CR alone is text like any other.
                self.text(b"\r", sink);
            }
            match first {
                b' ' | b'\t' => {
                    self.blank = true;
                    piece = &piece[1..];
                }
                b'\r' => {
                    self.cr = true;
                    piece = &piece[1..];
                }
                _ => {
                    let end = memchr3(b' ', b'\t', b'\r', piece).unwrap_or(piece.len());
                    let (text, rest) = piece.split_at(end);
                    self.text(text, sink);
                    piece = rest;
                }
            }
        }
    }

    /// What was held back turns out to stand before text.
    fn text(&mut self, text: &[u8], sink: &mut impl Sink) {
        for _ in 0..core::mem::take(&mut self.line_ends) {
            sink.write(b"\r\n");
        }
        if core::mem::take(&mut self.blank) {
            sink.write(b" ");
        }
        sink.write(text);
        self.begun = true;
    }

    /// A body that is not empty ends with one line end; one of empty lines is empty.
    fn end(&mut self, sink: &mut impl Sink) {
        if core::mem::take(&mut self.cr) {
            self.text(b"\r", sink);
        }
        if self.begun {
            sink.write(b"\r\n");
        }
    }
}
