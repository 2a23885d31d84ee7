//! Reading: command lines, lines that are too long, and the content of DATA.
//!
//! Not here: what a line means (`commands`); BDAT (`chunks`).

use alloc::vec::Vec;
use core::mem;

use memchr::memchr;

use super::transaction::Transaction;
use super::{LONG_LINE_OCTETS_MAX, RefusedStage, ServerSession, State, Step, Then, Wait, chunks};
use crate::command::{self, AUTH_LINE_OCTETS_MAX, COMMAND_LINE_OCTETS_MAX};
use crate::content::{Decoded, Decoder};
use crate::envelope::Envelope;
use crate::refusal::{AuthFault, Refusal, SyntaxFault};

impl ServerSession {
    /// One turn of the machine: octets used, and the step if the driver is needed.
    pub(super) fn turn(&mut self, input: &[u8], content: &mut Vec<u8>) -> (usize, Option<Step>) {
        match mem::replace(&mut self.state, State::Closing) {
            State::Greeting => {
                self.say_greeting();
                self.state = State::Ready(Transaction::Idle);
                (0, None)
            }
            State::Ready(_) if self.errors >= self.config.errors_max => (0, Some(self.too_many())),
            State::Ready(transaction) => self.read_line(input, transaction),
            State::LongLine {
                transaction,
                discarded,
                fault,
            } => self.skip_line(input, transaction, discarded, fault),
            State::Auth(exchange) => self.read_auth(input, exchange),
            State::AuthRefused(reply) => self.read_auth_end(input, reply),
            State::Data { envelope, decoder } => self.read_data(input, envelope, decoder, content),
            State::Chunk {
                envelope,
                decoder,
                size,
                remaining,
                last,
            } => {
                let chunk = chunks::Chunk {
                    size,
                    remaining,
                    last,
                };
                self.read_chunk(input, envelope, decoder, chunk, content)
            }
            State::Discard { remaining, refused } => self.discard(input, remaining, refused),
            State::ToRefuse(refusal, stage) => {
                (0, Some(self.refused(refusal, stage, Transaction::Idle)))
            }
            State::ToStartTls => {
                self.state = State::StartingTls;
                // What came behind the command in clear text must not count as encrypted
                // (CVE-2011-0411).
                (input.len(), Some(Step::StartTls))
            }
            state @ (State::Asked(_)
            | State::Refusing(_)
            | State::Finishing { .. }
            | State::StartingTls) => {
                debug_assert!(false, "the last step was not answered");
                // Nothing can be promised to the client any more, and nothing was.
                drop(state);
                (0, Some(Step::Close))
            }
            State::Closing => (0, Some(Step::Close)),
        }
    }

    fn read_line(&mut self, input: &[u8], transaction: Transaction) -> (usize, Option<Step>) {
        let is_auth = command::is_auth(input);
        let most = if is_auth {
            AUTH_LINE_OCTETS_MAX
        } else {
            COMMAND_LINE_OCTETS_MAX
        };
        let window = &input[..input.len().min(most)];
        // A TLS handshake on a clear-text port: what looks like the end of a line in it is chance.
        // RFC 8446 §5.1.
        if self.hello.is_none() && window.first() == Some(&0x16) {
            let fault = Refusal::Syntax(SyntaxFault::Line);
            return (
                input.len(),
                Some(self.refuse_and_close(fault, RefusedStage::Other)),
            );
        }
        let Some(end) = memchr(b'\n', window) else {
            if window.len() == most {
                let fault = if is_auth {
                    Refusal::AuthSyntax(AuthFault::TooLong)
                } else {
                    Refusal::Syntax(SyntaxFault::Line)
                };
                self.state = State::LongLine {
                    transaction,
                    discarded: 0,
                    fault,
                };
                return (window.len(), None);
            }
            self.state = State::Ready(transaction);
            return (0, Some(Step::Read(Wait::Command)));
        };
        let step = match input[..end].strip_suffix(b"\r") {
            Some(line) => self.command(line, transaction),
            // Taken as a line, so that we stay in step with the client, and refused: RFC 5321
            // §2.3.8 knows CRLF only.
            None => {
                let fault = Refusal::Syntax(SyntaxFault::Line);
                Some(self.refused(fault, RefusedStage::Other, transaction))
            }
        };
        (end + 1, step)
    }

    fn skip_line(
        &mut self,
        input: &[u8],
        transaction: Transaction,
        discarded: usize,
        fault: Refusal,
    ) -> (usize, Option<Step>) {
        if let Some(end) = memchr(b'\n', input) {
            return (
                end + 1,
                Some(self.refused(fault, RefusedStage::Other, transaction)),
            );
        }
        let discarded = discarded + input.len();
        if discarded > LONG_LINE_OCTETS_MAX {
            return (
                input.len(),
                Some(self.refuse_and_close(fault, RefusedStage::Other)),
            );
        }
        self.state = State::LongLine {
            transaction,
            discarded,
            fault,
        };
        (input.len(), Some(Step::Read(Wait::Command)))
    }

    fn read_data(
        &mut self,
        input: &[u8],
        envelope: Envelope,
        mut decoder: Decoder,
        content: &mut Vec<u8>,
    ) -> (usize, Option<Step>) {
        let before = content.len();
        let (used, decoded) = decoder.decode(input, content);
        let step = match decoded {
            Decoded::More => {
                self.state = State::Data { envelope, decoder };
                if content.len() > before {
                    Step::Content
                } else {
                    Step::Read(Wait::Content)
                }
            }
            Decoded::End => self.end_of_content(envelope, &decoder),
            Decoded::Smuggling => self.content_ends_session(Refusal::Smuggling, envelope),
            Decoded::TooMuch => self.content_ends_session(decoder.too_big(), envelope),
        };
        (used, Some(step))
    }

    pub(super) fn end_of_content(&mut self, envelope: Envelope, decoder: &Decoder) -> Step {
        match decoder.outcome() {
            Ok(summary) => {
                self.state = State::Finishing { envelope };
                Step::EndOfContent(summary)
            }
            Err(refusal) => {
                self.errors += 1;
                self.end_transaction();
                self.state = State::Refusing(Then::Ended(envelope));
                Step::Refused {
                    refusal,
                    stage: RefusedStage::Content,
                }
            }
        }
    }
}
