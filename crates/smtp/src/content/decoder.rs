//! Content on its way in: DATA with its dots, or the chunks of BDAT. RFC 5321 §4.5.2, RFC 3030 §2.
//!
//! What comes out has CRLF line ends only, whatever came in; else it is refused. Pieces may be cut
//! anywhere. Content that will be refused is read on to its end, and no longer kept.
//!
//! A line that is a lone dot, with a line end before or behind it that is not exactly CRLF, is an
//! end of data for some server of the world (CVE-2023-51764 and its kin). We do not guess: the
//! session ends. The same holds for a lone dot among NULs, which servers that drop NUL would see.

use alloc::vec::Vec;

use memchr::memchr2;

use super::{ContentSummary, Preset};
use crate::refusal::Refusal;

/// Beyond twice the size limit and this much, we do not read on: the session ends. A client that
/// ignores SIZE (RFC 1870) may go a little too far; 1 MiB is a second of a slow line.
pub const FAR_OCTETS: u64 = 1_024 * 1_024;

/// What became of a piece.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decoded {
    /// All of it was read; content goes on.
    More,
    /// The end of data was read, DATA only. Then [`Decoder::outcome`].
    End,
    /// A lone dot between line ends of a wrong form: refuse and close.
    Smuggling,
    /// Far above the size limit: refuse and close.
    TooMuch,
}

/// Reads the content of one transaction.
#[derive(Clone, Debug)]
pub struct Decoder {
    framing: Framing,
    preset: Preset,
    size_octets_max: u64,
    line: Line,
    /// Octets of the present line that earlier pieces had.
    line_octets: u64,
    /// The last line ended with exactly CRLF, or there was none.
    after_crlf: bool,
    /// The last piece ended with a CR that has not been copied: LF may follow.
    held_cr: bool,
    fault: Option<Fault>,
    summary: ContentSummary,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Framing {
    Data,
    Chunks,
}

/// What the present line is so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Line {
    /// Nothing.
    Start,
    /// NULs.
    Nuls,
    /// One dot, and NULs before or behind it if so.
    Dot { nuls: bool },
    /// Anything else.
    Text,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LineEnd {
    Crlf,
    BareCr,
    BareLf,
}

/// Why content will be refused at its end. The first one counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    BareLineEnd,
    TooBig,
}

impl Decoder {
    /// For DATA.
    pub fn data(preset: Preset, size_octets_max: u64) -> Self {
        Self::new(Framing::Data, preset, size_octets_max)
    }

    /// For a sequence of BDAT; the caller counts the octets of each chunk.
    pub fn chunks(preset: Preset, size_octets_max: u64) -> Self {
        Self::new(Framing::Chunks, preset, size_octets_max)
    }

    fn new(framing: Framing, preset: Preset, size_octets_max: u64) -> Self {
        Self {
            framing,
            preset,
            size_octets_max,
            line: Line::Start,
            line_octets: 0,
            after_crlf: true,
            held_cr: false,
            fault: None,
            summary: ContentSummary::default(),
        }
    }

    /// Reads `input` up to the end of data, appends content to `out`; returns how many octets were
    /// used: all of them with [`Decoded::More`].
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, Decoded) {
        if input.is_empty() {
            return (0, Decoded::More);
        }
        let mut piece = Piece {
            input,
            at: 0,
            kept: 0,
            line_from: 0,
        };
        if self.held_cr {
            self.held_cr = false;
            let end = if input[0] == b'\n' {
                LineEnd::Crlf
            } else {
                LineEnd::BareCr
            };
            let width = usize::from(end == LineEnd::Crlf);
            if let Some(decoded) = self.end_line(&mut piece, end, width, out) {
                return (piece.at, decoded);
            }
            if end == LineEnd::Crlf {
                self.keep(b"\r\n", out);
                piece.kept = piece.at;
            }
        }
        while let Some((end, width)) = self.find_line_end(&mut piece, out) {
            if let Some(decoded) = self.end_line(&mut piece, end, width, out) {
                return (piece.at, decoded);
            }
        }
        let end = input.len() - usize::from(self.held_cr);
        self.keep(&input[piece.kept..end], out);
        self.line_octets += (end - piece.line_from) as u64;
        (
            input.len(),
            if self.is_far() {
                Decoded::TooMuch
            } else {
                Decoded::More
            },
        )
    }

    /// What to say at the end of content: store it, or refuse it.
    pub fn outcome(&self) -> Result<ContentSummary, Refusal> {
        // After the last chunk, no LF can follow any more.
        let fault = if self.held_cr {
            Some(Fault::BareLineEnd)
        } else {
            self.fault
        };
        match fault {
            Some(Fault::BareLineEnd) => Err(Refusal::BareLineEnd),
            Some(Fault::TooBig) => Err(self.too_big()),
            None => {
                let line_octets_max = self.summary.line_octets_max.max(self.line_octets);
                Ok(ContentSummary {
                    line_octets_max,
                    ..self.summary
                })
            }
        }
    }

    /// Whether `more` octets would go so far above the limit that reading on is no use.
    pub fn would_be_far(&self, more: u64) -> bool {
        let far = self
            .size_octets_max
            .saturating_mul(2)
            .saturating_add(FAR_OCTETS);
        self.summary.size.saturating_add(more) > far
    }

    /// Whether the content is lost already, so that a chunk can be refused before the last.
    pub fn is_refused(&self) -> bool {
        self.fault.is_some()
    }

    /// The refusal with this transaction's limit.
    pub fn too_big(&self) -> Refusal {
        Refusal::TooBig {
            limit: self.size_octets_max,
        }
    }

    fn is_far(&self) -> bool {
        self.would_be_far(0)
    }

    /// Goes to the next line end: its kind and width. `None` at the end of the piece.
    fn find_line_end(
        &mut self,
        piece: &mut Piece<'_>,
        out: &mut Vec<u8>,
    ) -> Option<(LineEnd, usize)> {
        while self.line != Line::Text {
            let octet = *piece.input.get(piece.at)?;
            match (self.line, octet) {
                (_, b'\r' | b'\n') => break,
                (Line::Start, b'.') => {
                    if self.framing == Framing::Data {
                        // RFC 5321 §4.5.2: the first dot of a line is not content.
                        self.keep(&piece.input[piece.kept..piece.at], out);
                        piece.kept = piece.at + 1;
                        piece.line_from = piece.at + 1;
                    }
                    self.line = Line::Dot { nuls: false };
                }
                (Line::Start | Line::Nuls, b'\0') => self.line = Line::Nuls,
                (Line::Nuls, b'.') | (Line::Dot { .. }, b'\0') => {
                    self.line = Line::Dot { nuls: true };
                }
                (Line::Start | Line::Nuls | Line::Dot { .. } | Line::Text, _) => {
                    self.line = Line::Text;
                }
            }
            piece.at += 1;
        }
        piece.at += memchr2(b'\r', b'\n', &piece.input[piece.at..])?;
        if piece.input[piece.at] == b'\n' {
            return Some((LineEnd::BareLf, 1));
        }
        match piece.input.get(piece.at + 1) {
            Some(b'\n') => Some((LineEnd::Crlf, 2)),
            Some(_) => Some((LineEnd::BareCr, 1)),
            None => {
                self.held_cr = true;
                None
            }
        }
    }

    /// Ends the present line at `piece.at` and steps over its end. `Some`: no more is read.
    fn end_line(
        &mut self,
        piece: &mut Piece<'_>,
        end: LineEnd,
        width: usize,
        out: &mut Vec<u8>,
    ) -> Option<Decoded> {
        let octets = self.line_octets + (piece.at - piece.line_from) as u64;
        let line = core::mem::replace(&mut self.line, Line::Start);
        let after_crlf = core::mem::replace(&mut self.after_crlf, end == LineEnd::Crlf);
        let line_end_at = piece.at;
        piece.at += width;
        if let Line::Dot { nuls } = line {
            if nuls || !after_crlf || end != LineEnd::Crlf {
                return Some(Decoded::Smuggling);
            }
            if self.framing == Framing::Data {
                // What stands before the dot was kept when the dot was dropped.
                self.line_octets = 0;
                return Some(Decoded::End);
            }
        }
        match (end, self.preset) {
            (LineEnd::Crlf, _) => {}
            (LineEnd::BareLf, Preset::Tolerant) => {
                self.keep(&piece.input[piece.kept..line_end_at], out);
                self.keep(b"\r\n", out);
                piece.kept = piece.at;
                self.summary.bare_lf_repaired += 1;
            }
            (LineEnd::BareLf, Preset::Strict) | (LineEnd::BareCr, _) => {
                // It outranks "too big", so that what is said does not depend on how the octets came.
                self.fault = Some(Fault::BareLineEnd);
            }
        }
        self.summary.line_octets_max = self.summary.line_octets_max.max(octets);
        self.line_octets = 0;
        piece.line_from = piece.at;
        None
    }

    /// Counts a run of content, and appends it unless all is lost.
    fn keep(&mut self, run: &[u8], out: &mut Vec<u8>) {
        self.summary.size += run.len() as u64;
        if self.summary.size > self.size_octets_max {
            self.fault.get_or_insert(Fault::TooBig);
        }
        if self.fault.is_none() {
            self.summary.eight_bit = self.summary.eight_bit || !run.is_ascii();
            out.extend_from_slice(run);
        }
    }
}

/// A piece of input and where we are in it.
struct Piece<'a> {
    input: &'a [u8],
    /// The next octet to look at.
    at: usize,
    /// The first octet that has not been copied.
    kept: usize,
    /// The first octet of the present line that counts.
    line_from: usize,
}
