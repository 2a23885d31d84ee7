//! Signatures of DKIM: what is hashed, and the field that is written. RFC 6376, RFC 8463, RFC 8301.
//!
//! Canonicalisation is relaxed on both sides: it outlives the next servers' folding and trailing
//! white space. There is no `l=`: what is added behind the signed part would pass as signed.
//!
//! ```text
//! body, piece by piece ─► BodyHasher ─► BodyHash (kept with the message)
//! header section, terms ─► unsigned() ─► what to sign ─► signature ─► DKIM-Signature: …
//! ```
//!
//! Not here: keys (`relais-net`), which domain signs and when (`relais_policy::dkim`).

mod body;
mod fields;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::Domain;
use crate::time::Timestamp;

pub use self::body::{BODY_HASH_OCTETS, BodyHash, BodyHasher, relaxed_body};
pub use self::fields::relaxed_field;
pub(crate) use self::fields::{Signed, listed, signed};

/// Longest line of the field that we write, without its line end. RFC 5322 §2.1.1 asks for 78.
pub(crate) const LINE_CHARACTERS_MAX: usize = 76;

/// How a signature is made.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// `rsa-sha256`. RFC 8301 forbids `rsa-sha1`.
    RsaSha256,
    /// `ed25519-sha256`. RFC 8463.
    Ed25519Sha256,
}

impl Algorithm {
    /// As in `a=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    /// As in `k=` of the record.
    pub fn key_type(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa",
            Self::Ed25519Sha256 => "ed25519",
        }
    }
}

/// Who signs, and how.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// `d=`
    pub domain: &'a Domain,
    /// `s=`
    pub selector: &'a str,
    /// `a=`
    pub algorithm: Algorithm,
    /// `t=`
    pub time: Timestamp,
}

/// A field without its signature, and what is to be signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unsigned {
    /// Up to and including `b=`.
    field: String,
    /// Behind the signature, beginning with its `;`.
    tail: String,
    input: Vec<u8>,
    line_characters_max: usize,
}

/// Composes the field over a header section (with or without its empty line) and a body.
pub fn unsigned(section: &[u8], body: &BodyHash, terms: &Terms<'_>) -> Unsigned {
    let signed = signed(section);
    let mut line = Folded::new("DKIM-Signature:", LINE_CHARACTERS_MAX);
    line.word(" v=1;");
    line.word(&format!(" a={};", terms.algorithm.name()));
    line.word(" c=relaxed/relaxed;");
    line.word(&format!(" d={};", terms.domain.as_str()));
    line.word(&format!(" s={};", terms.selector));
    line.word(&format!(" t={};", terms.time.as_millis().max(0) / 1_000));
    line.list(" h=", &signed.names);
    line.word(&format!(" bh={};", STANDARD.encode(body.as_bytes())));
    line.word(" b=");
    Unsigned::new(line, String::new(), signed.canonical)
}

impl Unsigned {
    /// Over `input` and the field itself, which ends with `b=` where its signature goes, and has
    /// `tail` behind that: from its `;` on, in lines of its own.
    pub(crate) fn new(line: Folded, tail: String, mut input: Vec<u8>) -> Self {
        // The field itself comes last, without a line end. RFC 6376 §3.7.
        let whole = format!("{}{tail}", line.text);
        relaxed_field(whole.as_bytes(), &mut input);
        input.truncate(input.len() - 2);
        Self {
            field: line.text,
            tail,
            input,
            line_characters_max: line.characters_max,
        }
    }

    /// What is signed: for RSA the text, whose SHA-256 the signature covers; for Ed25519 the
    /// SHA-256 is itself what is signed (RFC 8463 §3).
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// The whole field with its line end.
    pub fn complete(self, signature: &[u8]) -> String {
        let mut line = Folded::behind(self.field, self.line_characters_max);
        line.breakable(&STANDARD.encode(signature));
        line.text.push_str(&self.tail);
        line.text.push_str("\r\n");
        line.text
    }
}

/// A field that is folded where it would be too long. RFC 6376 §3.5 allows white space between
/// tags and within lists and Base64.
pub(crate) struct Folded {
    text: String,
    /// Characters of the last line.
    used: usize,
    /// Of a line, at most.
    characters_max: usize,
}

impl Folded {
    pub(crate) fn new(name: &str, characters_max: usize) -> Self {
        Self::behind(name.into(), characters_max)
    }

    fn behind(text: String, characters_max: usize) -> Self {
        let used = text.rsplit('\n').next().unwrap_or_default().len();
        Self {
            text,
            used,
            characters_max,
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// A word with a space in front, which begins a new line where this one is full.
    pub(crate) fn word(&mut self, word: &str) {
        if self.used + word.len() > self.characters_max {
            self.fold();
        }
        self.push(word);
    }

    pub(crate) fn list(&mut self, tag: &str, names: &[&str]) {
        for (at, name) in names.iter().enumerate() {
            let (before, after) = match at {
                0 => (tag, name.len() + tag.len()),
                _ => (":", name.len() + 1),
            };
            if self.used + after + 1 > self.characters_max {
                if at > 0 {
                    self.push(":");
                    self.fold();
                    self.push(" ");
                    self.push(name);
                    continue;
                }
                self.fold();
            }
            self.push(before);
            self.push(name);
        }
        self.push(";");
    }

    /// Text that may be folded anywhere.
    fn breakable(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            // At least one character stands behind `b=`: white space there would be read
            // differently by different servers.
            let room = self.characters_max.saturating_sub(self.used).max(1);
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.push(now);
            rest = later;
            if !rest.is_empty() {
                self.fold();
                self.push(" ");
            }
        }
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.used += text.len();
    }

    pub(crate) fn fold(&mut self) {
        self.text.push_str("\r\n");
        self.used = 0;
    }
}

#[cfg(test)]
mod tests;
