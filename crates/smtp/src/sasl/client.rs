//! The client's side of AUTH: what we know and what the server offers → what to say next.
//!
//! The strongest mechanism that both know is taken, and no other after a refusal: a server that
//! counts failures would lock the account. Over SCRAM the server must prove that it knows the
//! password too; a "yes" without that proof counts for nothing.
//!
//! Not here: base64 and lines ([`crate::client`]); chance (the nonce comes in); whether to log in
//! at all (`relais-net`, `hop`).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::scram::{ChannelBinding, Prover};
use super::{Malformed, Mechanism};
use crate::secret::Secret;

/// What we know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClientCredential {
    /// A password.
    Password {
        /// As the server knows us.
        user: Box<str>,
        /// What goes with it.
        password: Secret,
    },
    /// A token of an issuer that the server believes.
    Bearer {
        /// As the server knows us.
        user: Box<str>,
        /// The access token.
        token: Secret,
    },
    /// The certificate of the TLS handshake. RFC 4422, appendix A.
    External {
        /// As whom; empty: as the certificate says.
        user: Box<str>,
    },
}

/// A way to log in that a client knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientMechanism {
    /// One that our own server speaks too.
    Common(Mechanism),
    /// The certificate of the TLS handshake. RFC 4422, appendix A.
    External,
}

impl ClientMechanism {
    /// As in the EHLO reply.
    pub fn name(self) -> &'static str {
        match self {
            Self::Common(mechanism) => mechanism.name(),
            Self::External => "EXTERNAL",
        }
    }

    /// In any case.
    pub fn read(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case(Self::External.name()) {
            return Some(Self::External);
        }
        Mechanism::read(name).map(Self::Common)
    }
}

impl ClientCredential {
    /// Mechanisms that serve, strongest first.
    fn mechanisms(&self) -> &'static [ClientMechanism] {
        match self {
            Self::Password { .. } => &[
                ClientMechanism::Common(Mechanism::ScramSha256Plus),
                ClientMechanism::Common(Mechanism::ScramSha256),
                ClientMechanism::Common(Mechanism::Plain),
                ClientMechanism::Common(Mechanism::Login),
            ],
            Self::Bearer { .. } => &[
                ClientMechanism::Common(Mechanism::OAuthBearer),
                ClientMechanism::Common(Mechanism::XOAuth2),
            ],
            Self::External { .. } => &[ClientMechanism::External],
        }
    }
}

/// What our side brings to an exchange.
#[derive(Clone, Debug)]
pub struct ClientSide {
    /// What we know.
    pub credential: ClientCredential,
    /// Only this mechanism; `None`: the strongest.
    pub mechanism: Option<ClientMechanism>,
    /// What the TLS channel gives.
    pub channel: ChannelBinding,
    /// Printable characters of chance, of 18 octets at least, without a comma. RFC 5802 §5.1.
    pub nonce: Box<str>,
    /// The server's name and port, for OAUTHBEARER. RFC 7628 §3.1.
    pub server: (Box<str>, u16),
}

/// One login under way.
#[derive(Debug)]
pub struct ClientExchange {
    mechanism: ClientMechanism,
    credential: ClientCredential,
    server: (Box<str>, u16),
    state: State,
}

/// What comes next.
#[derive(Debug)]
enum State {
    /// The first message, with the command or to the first challenge.
    First,
    LoginPassword,
    Scram(Box<Prover>),
    /// The server's last word is awaited.
    Said,
}

const PLUS: ClientMechanism = ClientMechanism::Common(Mechanism::ScramSha256Plus);
const LOGIN: ClientMechanism = ClientMechanism::Common(Mechanism::Login);
const OAUTHBEARER: ClientMechanism = ClientMechanism::Common(Mechanism::OAuthBearer);
/// Between the parts of what carries a token.
const SEPARATOR: char = '\u{1}';
/// What answers the server's explanation of its refusal. RFC 7628 §3.2.3.
const OAUTHBEARER_NOTED: &[u8] = b"\x01";

impl ClientExchange {
    /// Begins with the strongest mechanism that `offered` has; `None`: there is none in common.
    pub fn begin<'a>(
        side: ClientSide,
        offered: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Option<Self> {
        let is_offered = |wanted: ClientMechanism| {
            let mut offered = offered.clone().into_iter();
            offered.any(|name| name.eq_ignore_ascii_case(wanted.name()))
        };
        let bound = side.channel.tls_exporter.is_some();
        let serves = |mechanism: ClientMechanism| {
            side.mechanism.is_none_or(|only| only == mechanism)
                && (mechanism != PLUS || bound)
                && is_offered(mechanism)
        };
        let mechanisms = side.credential.mechanisms().iter().copied();
        let mechanism = mechanisms.clone().find(|one| serves(*one))?;
        let state = match (&side.credential, mechanism) {
            (
                ClientCredential::Password { user, password },
                ClientMechanism::Common(Mechanism::ScramSha256 | Mechanism::ScramSha256Plus),
            ) => State::Scram(Box::new(Prover::new(
                user,
                password.clone(),
                &side.nonce,
                side.channel,
                mechanism == PLUS,
            ))),
            _ => State::First,
        };
        Some(Self {
            mechanism,
            credential: side.credential,
            server: side.server,
            state,
        })
    }

    /// Which one was chosen.
    pub fn mechanism(&self) -> ClientMechanism {
        self.mechanism
    }

    /// What goes with the command; `None`: the server speaks first.
    pub fn initial(&mut self) -> Option<Secret> {
        match &self.state {
            State::First if self.mechanism == LOGIN => None,
            State::First => {
                let first = self.first();
                self.state = State::Said;
                Some(first)
            }
            State::Scram(prover) => Some(Secret::from(prover.first().into_bytes())),
            State::LoginPassword | State::Said => None,
        }
    }

    /// The answer to a challenge.
    pub fn challenge(&mut self, challenge: &[u8]) -> Result<Secret, Malformed> {
        match &mut self.state {
            // LOGIN. The prompts differ between servers; their order does not.
            State::First => {
                self.state = State::LoginPassword;
                match &self.credential {
                    ClientCredential::Password { user, .. } => Ok(user.as_bytes().into()),
                    _ => Err(Malformed),
                }
            }
            State::LoginPassword => {
                self.state = State::Said;
                match &self.credential {
                    ClientCredential::Password { password, .. } => Ok(password.clone()),
                    _ => Err(Malformed),
                }
            }
            State::Scram(prover) => prover.answer(challenge),
            // A token was refused, and this says why; the refusal follows.
            State::Said => match self.mechanism {
                ClientMechanism::Common(Mechanism::XOAuth2) => Ok(Secret::default()),
                ClientMechanism::Common(Mechanism::OAuthBearer) => Ok(OAUTHBEARER_NOTED.into()),
                _ => Err(Malformed),
            },
        }
    }

    /// Whether a yes may be believed; `last` is what came with it.
    pub fn is_believable(&self, last: &[u8]) -> bool {
        match &self.state {
            State::Scram(prover) => prover.knows_server() || prover.is_signature(last),
            State::Said => true,
            State::First | State::LoginPassword => false,
        }
    }

    fn first(&self) -> Secret {
        match (&self.credential, self.mechanism) {
            (ClientCredential::Password { user, password }, _) => {
                let mut message = Vec::with_capacity(user.len() + password.expose().len() + 2);
                message.push(0);
                message.extend_from_slice(user.as_bytes());
                message.push(0);
                message.extend_from_slice(password.expose());
                message.into()
            }
            (ClientCredential::Bearer { user, token }, OAUTHBEARER) => {
                let (host, port) = &self.server;
                let name = super::scram::encode_name(user);
                let head =
                    format!("n,a={name},{SEPARATOR}host={host}{SEPARATOR}port={port}{SEPARATOR}");
                bearer(&head, token)
            }
            (ClientCredential::Bearer { user, token }, _) => {
                bearer(&format!("user={user}{SEPARATOR}"), token)
            }
            (ClientCredential::External { user }, _) => user.as_bytes().into(),
        }
    }
}

fn bearer(head: &str, token: &Secret) -> Secret {
    let mut message = Vec::with_capacity(head.len() + token.expose().len() + 16);
    message.extend_from_slice(head.as_bytes());
    message.extend_from_slice(b"auth=Bearer ");
    message.extend_from_slice(token.expose());
    message.extend_from_slice(b"\x01\x01");
    message.into()
}

/// Mechanisms offered, for people: `PLAIN, LOGIN`.
pub fn named(offered: &[Box<str>]) -> String {
    if offered.is_empty() {
        return "none".into();
    }
    offered.join(", ")
}
