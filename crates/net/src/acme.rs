//! Certificates by ACME: an account, one order at a time, and the proof that the name is ours.
//! RFC 8555; RFC 8737 for TLS-ALPN-01.
//!
//! The protocol is the library's. Ours are the answers to challenges, the bounds in time, and
//! errors that say what a person can do.
//!
//! Not here: files, and when to renew (the wiring); the door for HTTP (`relais-admin`).

mod alpn;
mod answers;

use std::path::PathBuf;
use std::time::Duration;

use instant_acme::{
    Account, AccountBuilder, AccountCredentials, AuthorizationHandle, AuthorizationStatus,
    ChallengeType, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};

use relais_smtp::domain::Domain;

pub use self::alpn::serve as serve_alpn;
pub use self::answers::ChallengeAnswers;

/// A whole order with its challenge. Public servers take seconds; pebble up to 15 by itself.
const ORDER_TIMEOUT: Duration = Duration::from_secs(300);
/// The server's check of the challenge, and then its signing.
const POLL_TIMEOUT: Duration = Duration::from_secs(120);
/// First wait between polls; it doubles.
const POLL_FIRST: Duration = Duration::from_millis(250);
/// Characters of a server's words that we repeat.
const WORDS_MAX: usize = 400;

/// Whom to ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcmeServer {
    /// Address of the directory, `https://…`.
    pub directory: String,
    /// PEM with the root of a private server; `None`: the system's roots.
    pub extra_ca: Option<PathBuf>,
}

/// How the name is proved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChallengeKind {
    /// A file under `/.well-known/acme-challenge/`, port 80. RFC 8555 §8.3.
    Http01,
    /// A certificate in the handshake, port 443. RFC 8737.
    TlsAlpn01,
}

/// Why there is no certificate. Each names cause and fix.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AcmeError {
    /// The server cannot be asked.
    #[error(
        "the ACME server cannot be asked: {0}; check acme.directory, acme.extra_ca and the way out"
    )]
    Unreachable(String),
    /// The server refuses.
    #[error("the ACME server refuses: {0}")]
    Refused(String),
    /// It could not see our answer to its challenge.
    #[error(
        "the ACME server could not prove that {name} is this machine: {because}; its DNS record must lead here, and the port of the challenge must be open"
    )]
    NotProved {
        /// The name.
        name: Domain,
        /// The server's words.
        because: String,
    },
    /// The server does not know this kind of proof.
    #[error("the ACME server does not offer {0}; choose the other acme.challenge")]
    NotOffered(&'static str),
    /// It took too long.
    #[error("the ACME server took longer than {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// What was kept of the account cannot be read.
    #[error("the saved account cannot be read: {0}; remove the file to register anew")]
    Account(String),
}

/// What a file keeps of an account, its private key among it. Cannot be printed by accident.
pub struct SavedAccount(String);

impl SavedAccount {
    /// The text to be written to a file that only we may read.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A certificate chain with its key, both in PEM.
pub struct Issued {
    /// The server's own certificate first.
    pub chain: String,
    /// ECDSA P-256.
    pub key: String,
}

/// An account with a server. Cheap to clone.
#[derive(Clone)]
pub struct AcmeAccount(Account);

impl AcmeAccount {
    /// Registers, and agrees to the server's terms. `contact`: `mailto:it@contoso.test`, or empty.
    ///
    /// # Errors
    /// See [`AcmeError`].
    pub async fn register(
        server: &AcmeServer,
        contact: &str,
    ) -> Result<(Self, SavedAccount), AcmeError> {
        let contact = [contact];
        let account = NewAccount {
            contact: if contact[0].is_empty() { &[] } else { &contact },
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let builder = builder(server)?;
        let made = within(builder.create(&account, server.directory.clone(), None));
        let (account, credentials) = made.await?;
        let saved = serde_json::to_string(&credentials)
            .map_err(|error| AcmeError::Account(error.to_string()))?;
        Ok((Self(account), SavedAccount(saved)))
    }

    /// The account of which this was kept.
    ///
    /// # Errors
    /// See [`AcmeError`].
    pub async fn restore(server: &AcmeServer, saved: &str) -> Result<Self, AcmeError> {
        let credentials: AccountCredentials =
            serde_json::from_str(saved).map_err(|error| AcmeError::Account(error.to_string()))?;
        let account = within(builder(server)?.from_credentials(credentials)).await?;
        Ok(Self(account))
    }

    /// Orders a certificate for one name, and proves it by `answers`, which a door must be giving.
    /// Five minutes at most.
    ///
    /// # Errors
    /// See [`AcmeError`]. Answers are taken away again in every case.
    pub async fn order(
        &self,
        name: &Domain,
        kind: ChallengeKind,
        answers: &ChallengeAnswers,
    ) -> Result<Issued, AcmeError> {
        let ordered = self.order_unbounded(name, kind, answers);
        tokio::time::timeout(ORDER_TIMEOUT, ordered)
            .await
            .unwrap_or(Err(AcmeError::Timeout(ORDER_TIMEOUT)))
    }

    async fn order_unbounded(
        &self,
        name: &Domain,
        kind: ChallengeKind,
        answers: &ChallengeAnswers,
    ) -> Result<Issued, AcmeError> {
        let identifiers = [Identifier::Dns(name.as_str().to_owned())];
        let mut order = self
            .0
            .new_order(&NewOrder::new(&identifiers))
            .await
            .map_err(fault)?;
        let _given = answers.while_ordering();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            answer(authorization.map_err(fault)?, name, kind, answers).await?;
        }
        let polls = RetryPolicy::new()
            .initial_delay(POLL_FIRST)
            .timeout(POLL_TIMEOUT);
        match order.poll_ready(&polls).await.map_err(fault)? {
            OrderStatus::Ready => {}
            _ => return Err(not_proved(&mut order, name).await),
        }
        let key = order.finalize().await.map_err(fault)?;
        let chain = order.poll_certificate(&polls).await.map_err(fault)?;
        Ok(Issued { chain, key })
    }
}

/// Gives the answer to one challenge, and tells the server to look.
async fn answer(
    mut authorization: AuthorizationHandle<'_>,
    name: &Domain,
    kind: ChallengeKind,
    answers: &ChallengeAnswers,
) -> Result<(), AcmeError> {
    match authorization.status {
        AuthorizationStatus::Valid => return Ok(()),
        AuthorizationStatus::Pending => {}
        other => {
            let because = format!("its authorization is {other:?}");
            return Err(AcmeError::NotProved {
                name: name.clone(),
                because,
            });
        }
    }
    let (wanted, word) = match kind {
        ChallengeKind::Http01 => (ChallengeType::Http01, "http-01"),
        ChallengeKind::TlsAlpn01 => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
    };
    let mut challenge = authorization
        .challenge(wanted)
        .ok_or(AcmeError::NotOffered(word))?;
    let authorized = challenge.key_authorization();
    match kind {
        ChallengeKind::Http01 => answers.give_http(&challenge.token, authorized.as_str()),
        ChallengeKind::TlsAlpn01 => answers.give_alpn(name, authorized.digest().as_ref())?,
    }
    challenge.set_ready().await.map_err(fault)
}

/// The order did not become ready: what the server says about the challenge.
async fn not_proved(order: &mut Order, name: &Domain) -> AcmeError {
    let mut because = String::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        // What `next` gives may be of before the check.
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        let problems = state.challenges.iter().filter_map(|one| one.error.as_ref());
        for problem in problems {
            because = cut(&problem.to_string());
        }
    }
    if because.is_empty() {
        "it gave no reason".clone_into(&mut because);
    }
    AcmeError::NotProved {
        name: name.clone(),
        because,
    }
}

fn builder(server: &AcmeServer) -> Result<AccountBuilder, AcmeError> {
    let builder = match &server.extra_ca {
        Some(path) => Account::builder_with_root(path),
        None => Account::builder(),
    };
    builder.map_err(fault)
}

async fn within<T>(
    asked: impl Future<Output = Result<T, instant_acme::Error>>,
) -> Result<T, AcmeError> {
    match tokio::time::timeout(POLL_TIMEOUT, asked).await {
        Ok(result) => result.map_err(fault),
        Err(_) => Err(AcmeError::Timeout(POLL_TIMEOUT)),
    }
}

fn fault(error: instant_acme::Error) -> AcmeError {
    match error {
        instant_acme::Error::Api(problem) => AcmeError::Refused(cut(&problem.to_string())),
        instant_acme::Error::Timeout(_) => AcmeError::Timeout(POLL_TIMEOUT),
        other => AcmeError::Unreachable(cut(&with_sources(&other))),
    }
}

/// "client error (Connect)" says little; what lies below it says that nobody listens.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(below) = source {
        let more = below.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = below.source();
    }
    words
}

/// A server's words, bounded, on one line.
fn cut(words: &str) -> String {
    let words = words.replace(char::is_control, " ");
    words[..words.floor_char_boundary(WORDS_MAX)].to_owned()
}
