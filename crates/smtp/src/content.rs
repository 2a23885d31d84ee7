//! Content framing: end of data, dot-stuffing, line ends, size counting; both directions.
//!
//! The end of data is exactly CRLF.CRLF (RFC 5321 §4.1.1.4), in both presets. Nothing else ends
//! content, so no peer can hide a second message in the first ("smuggling").

mod decoder;

use alloc::vec::Vec;

use memchr::memmem;

pub use self::decoder::{Decoded, Decoder, FAR_OCTETS};

/// How much syntax is forgiven. It never relaxes the end of data, relay rights or TLS rules.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Preset {
    /// For the internet: as the RFCs say.
    #[default]
    Strict,
    /// For known devices: repairs and records.
    Tolerant,
}

/// A repair made to a message, as shown in the trace (`repairs`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Repair {
    /// `bare-lf`: line feeds without carriage return were completed.
    BareLineFeed,
    /// `date`: the Date field was missing.
    Date,
    /// `message-id`: the Message-ID field was missing.
    MessageId,
    /// `mime-version`: 8-bit content or MIME fields without MIME-Version.
    MimeVersion,
    /// `from`: the From field was missing or replaced.
    From,
    /// `sender`: the reverse-path was replaced by the connector's address.
    Sender,
    /// `undeclared-8bit`: 8-bit content that BODY did not announce.
    Undeclared8Bit,
    /// `long-line`: lines longer than 998 octets.
    LongLine,
    /// `path-syntax`: a path with a space or without brackets.
    PathSyntax,
    /// `helo-syntax`: a greeting name of no valid form.
    HeloSyntax,
    /// `mailbox-line`: a `From ` line of a mailbox file before the header section was left out.
    MailboxLine,
    /// `forged-results`: fields Authentication-Results in our name, which were not ours, were
    /// removed. RFC 8601 §5.
    ForgedResults,
}

impl Repair {
    /// The word in trace and log.
    pub fn name(self) -> &'static str {
        match self {
            Self::BareLineFeed => "bare-lf",
            Self::Date => "date",
            Self::MessageId => "message-id",
            Self::MimeVersion => "mime-version",
            Self::From => "from",
            Self::Sender => "sender",
            Self::Undeclared8Bit => "undeclared-8bit",
            Self::LongLine => "long-line",
            Self::PathSyntax => "path-syntax",
            Self::HeloSyntax => "helo-syntax",
            Self::MailboxLine => "mailbox-line",
            Self::ForgedResults => "forged-results",
        }
    }
}

/// What was seen while content streamed through.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ContentSummary {
    /// Octets after unstuffing and repair.
    pub size: u64,
    /// Octets above 127 were seen.
    pub eight_bit: bool,
    /// The longest line, without its line end.
    pub line_octets_max: u64,
    /// Bare LF completed (tolerant preset only).
    pub bare_lf_repaired: u64,
}

/// Appends `content` dot-stuffed for DATA; keeps its place between pieces. Finish with
/// [`DotStuffer::finish`], which adds the end of data, and CRLF before it where content lacks one.
#[derive(Clone, Debug)]
pub struct DotStuffer {
    at_line_start: bool,
    last_was_cr: bool,
}

impl DotStuffer {
    /// At the start of content.
    pub fn new() -> Self {
        Self {
            at_line_start: true,
            last_was_cr: false,
        }
    }

    /// Appends one piece to `out`, stuffed. Content must have CRLF line ends only, as the store
    /// guarantees; a bare CR or LF passes unchanged and never counts as a line end.
    pub fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let Some(last) = piece.last() else { return };
        out.reserve(piece.len() + 1);
        let mut copied = 0;
        // The two places that the search below cannot see: they began in the piece before.
        if self.at_line_start && piece[0] == b'.' {
            out.push(b'.');
        } else if self.last_was_cr && piece.starts_with(b"\n.") {
            out.extend_from_slice(b"\n.");
            copied = 1;
        }
        for at in memmem::find_iter(piece, b"\r\n.") {
            out.extend_from_slice(&piece[copied..at + 3]);
            copied = at + 2;
        }
        out.extend_from_slice(&piece[copied..]);
        self.at_line_start = piece.ends_with(b"\r\n") || (self.last_was_cr && piece == b"\n");
        self.last_was_cr = *last == b'\r';
    }

    /// Appends the end of data.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.at_line_start {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }
}

impl Default for DotStuffer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
