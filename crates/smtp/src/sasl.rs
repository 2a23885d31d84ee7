//! The exchanges of AUTH, without hands: what the client sent → what to send it, or what to decide.
//!
//! PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login, as devices speak it), SCRAM-SHA-256 and
//! SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677, RFC 9266), XOAUTH2 and OAUTHBEARER (RFC 7628).
//!
//! A user that is named beside the one who authenticates (authorization identity) must be the same:
//! nobody acts for another. Names and passwords are compared as they come, without SASLprep
//! (RFC 4013): both are ASCII here.
//!
//! Not here: base64 and lines (`server`); whether a password or token is right, and what may be
//! done with it (the driver, `relais-policy`).

pub mod client;
mod bearer;
mod plain;
pub mod scram;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use self::scram::{ChannelBinding, ServerNonce, Verifier};
use crate::secret::Secret;

/// A way to authenticate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mechanism {
    /// User and password in one message.
    Plain,
    /// User and password, each asked for.
    Login,
    /// The password is proved, not sent.
    ScramSha256,
    /// The same, bound to the TLS channel.
    ScramSha256Plus,
    /// A token, in the form of Google and Microsoft.
    XOAuth2,
    /// A token. RFC 7628.
    OAuthBearer,
}

impl Mechanism {
    /// All, in the order in which they are offered: simple programs take the first they know.
    pub const ALL: [Self; 6] = [
        Self::Plain,
        Self::Login,
        Self::ScramSha256,
        Self::ScramSha256Plus,
        Self::XOAuth2,
        Self::OAuthBearer,
    ];

    /// As in the EHLO reply.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    /// In any case: .NET writes `login`.
    pub fn read(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.name().eq_ignore_ascii_case(name))
    }
}

/// What the client claims to be, and what speaks for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Claim {
    /// Whether the password is right is to be found out.
    Password {
        /// As the client wrote it.
        user: Box<str>,
        /// What it knows.
        password: Secret,
    },
    /// The proof is right, and the client does not know it yet: may it be told? [`Claim::Judged`]
    /// follows when it has taken note. Who guesses too often must not learn what is right.
    Proved {
        /// As the client wrote it.
        user: Box<str>,
    },
    /// The exchange itself has found it out.
    Judged {
        /// As the client wrote it.
        user: Box<str>,
        /// It knows the password of the verifier that [`Exchange::with_verifier`] was given.
        proved: bool,
    },
    /// A token, to be checked with who issued it.
    Bearer {
        /// As the client wrote it; OAUTHBEARER may leave it out.
        user: Option<Box<str>>,
        /// The token.
        token: Secret,
    },
}

impl Claim {
    /// The user that was tried, if one was named.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Password { user, .. } | Self::Proved { user } | Self::Judged { user, .. } => {
                Some(user)
            }
            Self::Bearer { user, .. } => user.as_deref(),
        }
    }
}

/// What follows a message of the client.
#[derive(Debug, Eq, PartialEq)]
pub enum Progress {
    /// Send this, and wait for the next message.
    Challenge(Vec<u8>),
    /// SCRAM needs the verifier of this user: [`Exchange::with_verifier`].
    Verifier {
        /// As the client wrote it.
        user: Box<str>,
    },
    /// All has been said: decide.
    Decide(Claim),
}

/// The client's message is not of the mechanism's form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a message of this mechanism")]
pub struct Malformed;

/// One authentication under way.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    state: State,
}

/// What was said so far.
#[derive(Debug)]
enum State {
    /// Nothing.
    Begun,
    /// LOGIN: the user.
    Login { user: Box<str> },
    /// SCRAM: the client's first message.
    ScramAsked(scram::ClientFirst),
    /// SCRAM: the server's first message.
    Scram(Box<scram::Conversation>),
    /// SCRAM: the password was proved; the server's signature waits for leave to be sent.
    ScramProved { user: Box<str>, signature: Vec<u8> },
    /// SCRAM: the server's signature was sent.
    ScramSigned { user: Box<str> },
    /// A claim was made, or the message was no message.
    Over,
}

/// `Username:`. Some devices (Xerox) hang up at any other prompt.
const LOGIN_USER_PROMPT: &[u8] = b"Username:";
/// `Password:`.
const LOGIN_PASSWORD_PROMPT: &[u8] = b"Password:";

impl Exchange {
    /// Begins; the client's first message is the next.
    pub fn begin(mechanism: Mechanism) -> Self {
        Self {
            mechanism,
            state: State::Begun,
        }
    }

    /// What to send where the command brought no first message.
    pub fn prompt(&self) -> &'static [u8] {
        match self.mechanism {
            Mechanism::Login => LOGIN_USER_PROMPT,
            Mechanism::Plain
            | Mechanism::ScramSha256
            | Mechanism::ScramSha256Plus
            | Mechanism::XOAuth2
            | Mechanism::OAuthBearer => b"",
        }
    }

    /// The client's next message.
    pub fn message(&mut self, message: &Secret) -> Result<Progress, Malformed> {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Begun => self.first(message),
            State::Login { user } => Ok(Progress::Decide(Claim::Password {
                user,
                password: message.clone(),
            })),
            State::Scram(conversation) => {
                let user: Box<str> = conversation.user().into();
                match conversation.finish(message.expose())? {
                    Some(signature) => {
                        self.state = State::ScramProved {
                            user: user.clone(),
                            signature,
                        };
                        Ok(Progress::Decide(Claim::Proved { user }))
                    }
                    None => Ok(Progress::Decide(Claim::Judged {
                        user,
                        proved: false,
                    })),
                }
            }
            // The client has nothing to add to our signature. RFC 4954 §4.
            State::ScramSigned { user } if message.is_empty() => {
                Ok(Progress::Decide(Claim::Judged { user, proved: true }))
            }
            State::ScramProved { .. }
            | State::ScramSigned { .. }
            | State::ScramAsked(_)
            | State::Over => Err(Malformed),
        }
    }

    fn first(&mut self, message: &Secret) -> Result<Progress, Malformed> {
        match self.mechanism {
            Mechanism::Plain => plain::read(message).map(Progress::Decide),
            Mechanism::Login => {
                let user = String::from_utf8_lossy(message.expose()).into();
                self.state = State::Login { user };
                Ok(Progress::Challenge(LOGIN_PASSWORD_PROMPT.to_vec()))
            }
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                let first = scram::ClientFirst::read(message.expose())?;
                let user = first.user().into();
                self.state = State::ScramAsked(first);
                Ok(Progress::Verifier { user })
            }
            Mechanism::XOAuth2 => bearer::xoauth2(message).map(Progress::Decide),
            Mechanism::OAuthBearer => bearer::oauthbearer(message).map(Progress::Decide),
        }
    }

    /// The answer to [`Progress::Verifier`]: the verifier of that user (or one that looks like it),
    /// a nonce of ours, and what the TLS channel gives.
    pub fn with_verifier(
        &mut self,
        verifier: Verifier,
        nonce: &ServerNonce,
        channel: &ChannelBinding,
    ) -> Result<Progress, Malformed> {
        let State::ScramAsked(first) = core::mem::replace(&mut self.state, State::Over) else {
            return Err(Malformed);
        };
        let plus = self.mechanism == Mechanism::ScramSha256Plus;
        let conversation = first.answer(verifier, nonce, channel, plus)?;
        let challenge = conversation.server_first().as_bytes().to_vec();
        self.state = State::Scram(Box::new(conversation));
        Ok(Progress::Challenge(challenge))
    }

    /// The answer to [`Claim::Proved`] is yes: the server's signature, to be sent as a challenge.
    /// `None`: nothing waits, the exchange is over.
    pub fn signature(&mut self) -> Option<Vec<u8>> {
        match core::mem::replace(&mut self.state, State::Over) {
            State::ScramProved { user, signature } => {
                self.state = State::ScramSigned { user };
                Some(signature)
            }
            _ => None,
        }
    }

    /// What is sent before the refusal of a token, to which the client answers with a message that
    /// says nothing. RFC 7628 §3.2.3.
    pub fn refusal_challenge(&self) -> Option<&'static [u8]> {
        match self.mechanism {
            Mechanism::XOAuth2 => Some(bearer::XOAUTH2_REFUSED),
            Mechanism::OAuthBearer => Some(bearer::OAUTHBEARER_REFUSED),
            Mechanism::Plain
            | Mechanism::Login
            | Mechanism::ScramSha256
            | Mechanism::ScramSha256Plus => None,
        }
    }
}

#[cfg(test)]
mod tests;
