//! AUTH: when it may come, the lines of its exchange, and what the driver is asked. RFC 4954.
//!
//! Nothing that the client says here is kept or shown: it may be a password, in a line that is
//! well formed or not. An identity lasts until the end of the session, through every EHLO; only a
//! handshake ends it (RFC 3207 §4.2).
//!
//! Not here: what the messages mean (`sasl`).

use alloc::boxed::Box;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memchr;

use super::transaction::Transaction;
use super::{Answer, Asked, AuthOffer, Question, RefusedStage, ServerSession, State, Step, Wait};
use crate::command::AUTH_LINE_OCTETS_MAX;
use crate::refusal::{AuthFault, Refusal, SyntaxFault};
use crate::reply::Reply;
use crate::sasl::{Exchange, Malformed, Mechanism, Progress};
use crate::secret::Secret;

/// Padding may be left out, as small devices do; all else is as RFC 4648 §4 says.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl ServerSession {
    /// The command.
    pub(super) fn auth(
        &mut self,
        mechanism: &str,
        initial: Option<Secret>,
        transaction: Transaction,
    ) -> Option<Step> {
        let offer = match self.config.auth {
            AuthOffer::None => {
                let fault = Refusal::Syntax(SyntaxFault::NotImplemented);
                return Some(self.refused(fault, RefusedStage::Other, transaction));
            }
            _ if self.hello.is_none() || self.authenticated || transaction.is_open() => {
                return Some(self.out_of_order(transaction));
            }
            AuthOffer::AfterTls => return Some(self.auth_refused(Refusal::AuthNeedsTls)),
            offer @ AuthOffer::Now { .. } => offer,
        };
        let Some(mechanism) = Mechanism::read(mechanism).filter(|one| offer.has(*one)) else {
            return Some(self.auth_refused(Refusal::AuthMechanism));
        };
        let mut exchange = Box::new(Exchange::begin(mechanism));
        let Some(initial) = initial else {
            let prompt = exchange.prompt();
            return self.challenge(exchange, prompt);
        };
        // RFC 4954 §4: an initial response without octets.
        if initial.expose() == b"=" {
            let progress = exchange.message(&Secret::default());
            return self.progress(exchange, progress);
        }
        self.message(exchange, initial.expose())
    }

    /// The next line of the exchange, if it is there.
    pub(super) fn read_auth(
        &mut self,
        input: &[u8],
        exchange: Box<Exchange>,
    ) -> (usize, Option<Step>) {
        let window = &input[..input.len().min(AUTH_LINE_OCTETS_MAX)];
        let Some(end) = memchr(b'\n', window) else {
            if window.len() == AUTH_LINE_OCTETS_MAX {
                self.state = State::LongLine {
                    transaction: Transaction::Idle,
                    discarded: 0,
                    fault: Refusal::AuthSyntax(AuthFault::TooLong),
                };
                return (window.len(), None);
            }
            self.state = State::Auth(exchange);
            return (0, Some(Step::Read(Wait::Command)));
        };
        let step = match input[..end].strip_suffix(b"\r") {
            Some(b"*") => Some(self.auth_refused(Refusal::AuthSyntax(AuthFault::Cancelled))),
            Some(line) => self.message(exchange, line),
            None => Some(self.auth_refused(Refusal::AuthSyntax(AuthFault::Message))),
        };
        (end + 1, step)
    }

    /// The line with which the client takes note that its token was refused. Whatever it says.
    pub(super) fn read_auth_end(&mut self, input: &[u8], reply: Reply) -> (usize, Option<Step>) {
        let window = &input[..input.len().min(AUTH_LINE_OCTETS_MAX)];
        let Some(end) = memchr(b'\n', window) else {
            if window.len() == AUTH_LINE_OCTETS_MAX {
                self.state = State::LongLine {
                    transaction: Transaction::Idle,
                    discarded: 0,
                    fault: Refusal::AuthSyntax(AuthFault::TooLong),
                };
                return (window.len(), None);
            }
            self.state = State::AuthRefused(reply);
            return (0, Some(Step::Read(Wait::Command)));
        };
        reply.write_to(&mut self.output);
        self.state = State::Ready(Transaction::Idle);
        (end + 1, None)
    }

    /// The driver gives SCRAM what it needs.
    pub(super) fn verifier_given(&mut self, mut exchange: Box<Exchange>, answer: Answer) -> State {
        let progress = match answer {
            Answer::Verifier {
                verifier,
                nonce,
                channel,
            } => exchange.with_verifier(verifier, &nonce, &channel),
            _ => Err(Malformed),
        };
        match progress {
            Ok(Progress::Challenge(challenge)) => {
                self.say_challenge(&challenge);
                State::Auth(exchange)
            }
            Ok(Progress::Verifier { .. } | Progress::Decide(_)) | Err(Malformed) => {
                let refusal = Refusal::AuthSyntax(AuthFault::Message);
                State::ToRefuse(refusal, RefusedStage::Auth)
            }
        }
    }

    /// The driver has found the claim true, and allowed; of a proof alone, that the client may
    /// know.
    pub(super) fn authenticate(&mut self, mut exchange: Box<Exchange>) -> State {
        if let Some(signature) = exchange.signature() {
            self.say_challenge(&signature);
            return State::Auth(exchange);
        }
        self.authenticated = true;
        self.say("235 2.7.0 Authentication successful");
        State::Ready(Transaction::Idle)
    }

    /// The driver has not. A client with a token is told in its own words first.
    pub(super) fn not_authenticated(&mut self, exchange: &Exchange, reply: &Reply) -> State {
        self.errors += 1;
        match exchange.refusal_challenge() {
            Some(challenge) if !reply.closes() => {
                self.say_challenge(challenge);
                State::AuthRefused(reply.clone())
            }
            Some(_) | None => {
                reply.write_to(&mut self.output);
                if reply.closes() {
                    State::Closing
                } else {
                    State::Ready(Transaction::Idle)
                }
            }
        }
    }

    fn message(&mut self, mut exchange: Box<Exchange>, line: &[u8]) -> Option<Step> {
        let Ok(message) = BASE64.decode(line.trim_ascii()) else {
            return Some(self.auth_refused(Refusal::AuthSyntax(AuthFault::Message)));
        };
        let progress = exchange.message(&Secret::from(message));
        self.progress(exchange, progress)
    }

    fn progress(
        &mut self,
        exchange: Box<Exchange>,
        progress: Result<Progress, Malformed>,
    ) -> Option<Step> {
        match progress {
            Ok(Progress::Challenge(challenge)) => self.challenge(exchange, &challenge),
            Ok(Progress::Verifier { user }) => {
                self.state = State::Asked(Asked::Verifier { exchange });
                Some(Step::Ask(Question::Verifier { user }))
            }
            Ok(Progress::Decide(claim)) => {
                self.state = State::Asked(Asked::Authenticate { exchange });
                Some(Step::Ask(Question::Authenticate(claim)))
            }
            Err(Malformed) => Some(self.auth_refused(Refusal::AuthSyntax(AuthFault::Message))),
        }
    }

    fn challenge(&mut self, exchange: Box<Exchange>, challenge: &[u8]) -> Option<Step> {
        self.say_challenge(challenge);
        self.state = State::Auth(exchange);
        None
    }

    fn auth_refused(&mut self, refusal: Refusal) -> Step {
        self.refused(refusal, RefusedStage::Auth, Transaction::Idle)
    }

    fn say_challenge(&mut self, challenge: &[u8]) {
        let mut line = BASE64.encode(challenge);
        line.insert_str(0, "334 ");
        self.say(&line);
    }
}
