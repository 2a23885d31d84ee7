//! BDAT: chunks of content, each answered. RFC 3030 §2.
//!
//! The octets of a chunk follow its command whatever we say, so a refused chunk is read and thrown
//! away before its reply; one that is far too big ends the session.

use alloc::format;
use alloc::vec::Vec;

use super::{Asked, Question, Refused, RefusedStage, ServerSession, State, Step, Wait};
use crate::content::{Decoded, Decoder, FAR_OCTETS};
use crate::envelope::Envelope;
use crate::refusal::{Refusal, SyntaxFault};
use crate::reply::Reply;
use crate::server::transaction::Transaction;

/// A chunk that is being read.
pub(super) struct Chunk {
    pub(super) size: u64,
    pub(super) remaining: u64,
    pub(super) last: bool,
}

impl ServerSession {
    /// The command.
    pub(super) fn bdat(&mut self, size: u64, last: bool, transaction: Transaction) -> Option<Step> {
        if size == 0 && !last && !self.may_be_junk() {
            return Some(self.too_many());
        }
        match transaction {
            Transaction::Recipients {
                envelope, terms, ..
            } => {
                let decoder = Decoder::chunks(terms.preset, terms.size_octets_max);
                if decoder.would_be_far(size) {
                    return Some(self.content_ends_session(decoder.too_big(), envelope));
                }
                self.state = State::Asked(Asked::Chunk {
                    envelope,
                    terms,
                    size,
                    last,
                });
                Some(Step::Ask(Question::Content))
            }
            Transaction::Chunks { envelope, decoder } if decoder.would_be_far(size) => {
                Some(self.content_ends_session(decoder.too_big(), envelope))
            }
            Transaction::Chunks { envelope, decoder } => {
                self.state = State::Chunk {
                    envelope,
                    decoder,
                    size,
                    remaining: size,
                    last,
                };
                None
            }
            Transaction::Idle | Transaction::Sender { .. } => {
                let fault = Refusal::Syntax(SyntaxFault::Order);
                // The transaction is lost: part of its content has been thrown away.
                self.end_transaction();
                self.discard_then(size, Refused::Refusal(fault, RefusedStage::Other))
            }
        }
    }

    /// The driver refused the first chunk.
    pub(super) fn refuse_chunk(&mut self, size: u64, reply: &Reply) -> State {
        self.errors += 1;
        self.end_transaction();
        if reply.closes() || self.is_far(size) {
            reply.write_to(&mut self.output);
            return State::Closing;
        }
        State::Discard {
            remaining: size,
            refused: Refused::Reply(reply.clone()),
        }
    }

    pub(super) fn read_chunk(
        &mut self,
        input: &[u8],
        envelope: Envelope,
        mut decoder: Decoder,
        mut chunk: Chunk,
        content: &mut Vec<u8>,
    ) -> (usize, Option<Step>) {
        let before = content.len();
        let here = at_most(input, chunk.remaining);
        let (used, decoded) = decoder.decode(here, content);
        match decoded {
            Decoded::More => {}
            Decoded::End | Decoded::Smuggling => {
                let step = self.content_ends_session(Refusal::Smuggling, envelope);
                return (used, Some(step));
            }
            Decoded::TooMuch => {
                return (
                    used,
                    Some(self.content_ends_session(decoder.too_big(), envelope)),
                );
            }
        }
        chunk.remaining -= here.len() as u64;
        let step = match (chunk.remaining, content.len() > before) {
            (0, kept) => self.end_of_chunk(envelope, decoder, &chunk, kept),
            (_, kept) => {
                let Chunk {
                    size,
                    remaining,
                    last,
                } = chunk;
                self.state = State::Chunk {
                    envelope,
                    decoder,
                    size,
                    remaining,
                    last,
                };
                Some(if kept {
                    Step::Content
                } else {
                    Step::Read(Wait::Content)
                })
            }
        };
        (used, step)
    }

    fn end_of_chunk(
        &mut self,
        envelope: Envelope,
        decoder: Decoder,
        chunk: &Chunk,
        kept: bool,
    ) -> Option<Step> {
        // What is lost already is refused now: RFC 3030 §4.2 lets the client learn it early.
        if chunk.last || decoder.is_refused() {
            return Some(self.end_of_content(envelope, &decoder));
        }
        let line = format!("250 2.0.0 {} octets received", chunk.size);
        self.say(&line);
        self.state = State::Ready(Transaction::Chunks { envelope, decoder });
        kept.then_some(Step::Content)
    }

    fn discard_then(&mut self, size: u64, refused: Refused) -> Option<Step> {
        if self.is_far(size) {
            let limit = self.config.size_octets_max;
            let refusal = Refusal::TooBig { limit };
            return Some(self.refuse_and_close(refusal, RefusedStage::Content));
        }
        self.state = State::Discard {
            remaining: size,
            refused,
        };
        None
    }

    pub(super) fn discard(
        &mut self,
        input: &[u8],
        remaining: u64,
        refused: Refused,
    ) -> (usize, Option<Step>) {
        let used = at_most(input, remaining).len();
        let remaining = remaining - used as u64;
        if remaining > 0 {
            self.state = State::Discard { remaining, refused };
            return (used, Some(Step::Read(Wait::Content)));
        }
        match refused {
            Refused::Reply(reply) => {
                reply.write_to(&mut self.output);
                self.state = State::Ready(Transaction::Idle);
                (used, None)
            }
            Refused::Refusal(refusal, stage) => {
                (used, Some(self.refused(refusal, stage, Transaction::Idle)))
            }
        }
    }

    /// Whether throwing away `size` octets is more than we do for a client.
    fn is_far(&self, size: u64) -> bool {
        size > self
            .config
            .size_octets_max
            .saturating_mul(2)
            .saturating_add(FAR_OCTETS)
    }
}

/// The first `count` octets of `input`, or all.
fn at_most(input: &[u8], count: u64) -> &[u8] {
    let count = usize::try_from(count)
        .unwrap_or(usize::MAX)
        .min(input.len());
    &input[..count]
}
