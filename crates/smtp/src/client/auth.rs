//! AUTH: the lines of a login. RFC 4954.
//!
//! Not here: what the messages say ([`crate::sasl::client`]); when to log in (the driver).

use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize;

use super::{ClientSession, Closed, Stage, State};
use crate::reply::Reply;
use crate::sasl::client::ClientExchange;
use crate::secret::Secret;

/// Challenges of one login. SCRAM has two; nothing known has more than three.
const CHALLENGES_MAX: u32 = 8;

/// A login under way.
#[derive(Debug)]
pub(super) struct Login {
    exchange: ClientExchange,
    challenges: u32,
    /// We gave up, and the server's word on that is awaited.
    given_up: bool,
}

/// How the login ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LoginEnd {
    /// The server believes us.
    Done,
    /// It does not.
    Refused(Reply),
    /// What it said does not belong to the mechanism, or it said yes without having proved that it
    /// knows the password: it may be another server.
    Unsound,
}

impl ClientSession {
    /// Logs in; only after [`super::ClientStep::Ready`], and once. [`ClientSession::login`] tells
    /// how it ended when [`super::ClientStep::Ready`] comes back.
    pub fn log_in(&mut self, mut exchange: ClientExchange) {
        if !matches!(self.state, State::Ready) || self.login.is_some() {
            return;
        }
        self.output.extend_from_slice(b"AUTH ");
        let name = exchange.mechanism().name();
        self.output.extend_from_slice(name.as_bytes());
        if let Some(first) = exchange.initial() {
            self.output.push(b' ');
            // An empty first message is told from none. RFC 4954 §4.
            if first.is_empty() {
                self.output.push(b'=');
            } else {
                self.say_secret(&first);
            }
        }
        self.output.extend_from_slice(b"\r\n");
        self.early = self.reader.is_within_reply();
        self.state = State::Auth(alloc::boxed::Box::new(Login {
            exchange,
            challenges: 0,
            given_up: false,
        }));
    }

    /// How the login ended; `None`: there was none yet.
    pub fn login(&self) -> Option<&LoginEnd> {
        self.login.as_ref()
    }

    /// `more` octets stand behind the reply in the same read.
    pub(super) fn take_auth(&mut self, reply: Reply, more: bool) {
        let State::Auth(login) = &mut self.state else {
            return;
        };
        let code = reply.code();
        let text = reply.lines().last().map_or(&[][..], |line| line.as_bytes());
        let message = STANDARD.decode(text.trim_ascii()).ok();
        match code.get() {
            235 => {
                let last = message.unwrap_or_default();
                let believable = !login.given_up && login.exchange.is_believable(&last);
                if !believable {
                    self.login = Some(LoginEnd::Unsound);
                    // Whoever it is, it now believes us to be logged in: no more is said to it.
                    return self.close(Closed::Protocol { stage: Stage::Auth });
                }
                self.login = Some(LoginEnd::Done);
                self.state = State::Ready;
            }
            334 if !login.given_up => {
                login.challenges += 1;
                let answer = match message {
                    Some(message) if login.challenges <= CHALLENGES_MAX => {
                        login.exchange.challenge(&message).ok()
                    }
                    Some(_) | None => None,
                };
                login.given_up = answer.is_none();
                match answer {
                    Some(answer) => self.say_secret(&answer),
                    None => self.output.push(b'*'),
                }
                self.output.extend_from_slice(b"\r\n");
                self.early = more;
            }
            _ if code.is_positive() || code.is_intermediate() => self.break_protocol(),
            _ => {
                let unsound = login.given_up;
                self.login = Some(if unsound {
                    LoginEnd::Unsound
                } else {
                    LoginEnd::Refused(reply)
                });
                self.state = State::Ready;
            }
        }
    }

    fn say_secret(&mut self, message: &Secret) {
        let mut text = STANDARD.encode(message.expose());
        self.output.extend_from_slice(text.as_bytes());
        text.zeroize();
    }
}

/// Wipes octets that were sent and may hold a password.
pub fn wipe(octets: &mut Vec<u8>) {
    octets.zeroize();
}
