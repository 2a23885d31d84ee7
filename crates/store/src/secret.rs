//! Secrets at rest: DKIM keys, passwords of smart hosts, tokens. Encrypted with AES-256-GCM under
//! a master key that stands outside the database; whose, what kind and which one is authenticated
//! with each, so that one cannot be put in another's place. ADR 0015.
//!
//! Not here: where the text is kept (`shelf`), and what a secret is good for (its owner).

mod keys;
mod sealed;
mod sources;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use relais_smtp::time::Timestamp;

use crate::error::StoreError;

pub use self::keys::{KeyError, KeyId, KeySource, Keyring, MASTER_KEY_OCTETS, MasterKey};
pub use self::sources::{KEY_FILE_NAME, KeySources};

pub(crate) use self::sealed::{open, seal, sealed_under};
pub(crate) use self::sources::write_key_file;

/// What a secret is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SecretKind {
    /// A private key that signs mail.
    DkimKey,
    /// What we log in with at a smart host.
    SmartHostPassword,
    /// What an issuer of tokens gave us, or wants from us.
    OauthToken,
    /// The private key of a certificate that we show to a smart host.
    ClientKey,
    /// What signs the tokens in envelope senders.
    BounceKey,
    /// What signs calls of a webhook.
    WebhookKey,
    /// How people prove who they are: what their telephones know, and what an issuer knows of us.
    SignIn,
}

impl SecretKind {
    const ALL: [Self; 7] = [
        Self::DkimKey,
        Self::SmartHostPassword,
        Self::OauthToken,
        Self::ClientKey,
        Self::BounceKey,
        Self::WebhookKey,
        Self::SignIn,
    ];

    /// As stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::DkimKey => "dkim-key",
            Self::SmartHostPassword => "smart-host-password",
            Self::OauthToken => "oauth-token",
            Self::ClientKey => "client-key",
            Self::BounceKey => "bounce-key",
            Self::WebhookKey => "webhook-key",
            Self::SignIn => "sign-in",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Which secret: whose, what, and its own name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SecretName {
    /// Whose; empty: the installation's.
    pub organisation: String,
    /// What.
    pub kind: SecretKind,
    /// Which one, in its owner's words.
    pub name: String,
}

impl SecretName {
    /// Names one.
    pub fn new(organisation: impl Into<String>, kind: SecretKind, name: impl Into<String>) -> Self {
        Self {
            organisation: organisation.into(),
            kind,
            name: name.into(),
        }
    }

    /// Its place on the shelf. The name of an organisation and that of a kind hold no space.
    pub(crate) fn key(&self) -> String {
        format!("{} {} {}", self.organisation, self.kind.name(), self.name)
    }

    /// Back from its place.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        let mut parts = key.splitn(3, ' ');
        let organisation = parts.next()?;
        let kind = SecretKind::parse(parts.next()?)?;
        Some(Self::new(organisation, kind, parts.next()?))
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.organisation.is_empty() {
            "the installation"
        } else {
            &self.organisation
        };
        write!(formatter, "{} {} of {whose}", self.kind.name(), self.name)
    }
}

/// One secret, without what is secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretEntry {
    /// Which.
    pub name: SecretName,
    /// Since when it has its value.
    pub since: Timestamp,
    /// Under which master key.
    pub key: KeyId,
    /// Whether that key is at hand.
    pub readable: bool,
}

/// Why a secret cannot be had or kept. Whatever needs it waits.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SecretError {
    /// There is no master key.
    #[error("the key of the secrets is missing: put {KEY_FILE_NAME} back into the data folder")]
    NoKey,
    /// It was encrypted under another key.
    #[error(
        "{name} is encrypted under key {key}, which is not here: put that {KEY_FILE_NAME} back into the data folder"
    )]
    OtherKey {
        /// Which secret.
        name: SecretName,
        /// Under which key.
        key: KeyId,
    },
    /// The stored text is not what we wrote for this name.
    #[error("{0} is damaged in the store: make it anew")]
    Damaged(SecretName),
    /// The key does not come from our file: only whoever gives it can change it.
    #[error(
        "the key of the secrets comes from {0}: put the new key there, in front of the old one, and restart; what is stored is then encrypted anew"
    )]
    ForeignKey(KeySource),
    /// The key file cannot be written or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How the secrets stand after the master key was looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unlocked {
    /// The key that encrypts, and where it comes from; none: nothing can be read or kept.
    pub key: Option<(KeyId, KeySource)>,
    /// It was made just now: the first start.
    pub made: bool,
    /// Secrets in all.
    pub secrets: usize,
    /// Those whose key is not at hand, by key.
    pub unreadable: Vec<(KeyId, usize)>,
    /// Those that were encrypted anew, because their key is an older one.
    pub encrypted_anew: usize,
    /// What is wrong with the sources of keys.
    pub faults: Vec<KeyError>,
}

/// Keeps the master keys, and the order of those who change secrets.
#[derive(Debug, Default)]
pub(crate) struct Vault {
    keys: ArcSwapOption<Keyring>,
    sources: ArcSwapOption<KeySources>,
    /// Held while a secret is changed: a change of the master key reads them all and writes them
    /// all, and none may be put between.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl Vault {
    /// With these keys from now on; none: locked.
    pub(crate) fn unlock(&self, keys: Option<Keyring>) {
        self.keys.store(keys.map(Arc::new));
    }

    pub(crate) fn keys(&self) -> Option<Arc<Keyring>> {
        self.keys.load_full()
    }

    /// Where keys are looked for, once they were.
    pub(crate) fn sources(&self) -> Option<Arc<KeySources>> {
        self.sources.load_full()
    }

    pub(crate) fn set_sources(&self, sources: KeySources) {
        self.sources.store(Some(Arc::new(sources)));
    }

    /// One with a key of its own, for tests.
    #[cfg(feature = "simulation")]
    pub(crate) fn for_tests() -> Self {
        let vault = Self::default();
        let key = MasterKey::new([7; MASTER_KEY_OCTETS]);
        vault.unlock(Some(Keyring::new(vec![key], KeySource::Environment)));
        vault
    }
}
