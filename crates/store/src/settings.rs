//! Versions of the settings, and the audit of every change: the values. Their tables are in
//! `embedded/settings_tables.rs`.

use std::net::IpAddr;

use relais_policy::document::Document;
use relais_smtp::time::Timestamp;

use crate::door::Via;

/// A change to be made.
#[derive(Clone, Debug)]
pub struct SettingsChange {
    /// The version that the change was made from; refused if another one came between.
    pub expected_version: u64,
    /// The whole new document, already checked by `Settings::build`.
    pub document: Document,
    /// Who.
    pub actor: String,
    /// By which door.
    pub via: Via,
    /// What, one line per changed object.
    pub summary: Vec<String>,
    /// When.
    pub time: Timestamp,
}

/// Why a change was not made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChangeError {
    /// Somebody changed the settings in between.
    #[error("the settings changed meanwhile (version {current}); read them again and repeat")]
    Conflict {
        /// The version now.
        current: u64,
    },
    /// The document is not valid.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<relais_policy::settings::SettingsError>),
    /// The secret that goes with it cannot be kept.
    #[error(transparent)]
    Secret(#[from] crate::secret::SecretError),
    /// The store has a fault.
    #[error(transparent)]
    Store(#[from] crate::error::StoreError),
}

/// One version of the settings, as listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SettingsVersion {
    /// From 1.
    pub version: u64,
    /// When it was made.
    pub time: Timestamp,
    /// By whom.
    pub actor: String,
    /// `socket`, `api`, `web`.
    pub via: String,
    /// What changed, one line per object.
    pub summary: Vec<String>,
    /// Whether its document is still kept.
    pub document_kept: bool,
}

/// One audit entry; append-only, each with the hash of the one before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEntry {
    /// From 1.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: String,
    /// `socket`, `api`, `web`.
    pub via: String,
    /// The client's address; `None` at the machine itself, where nobody came, and by an older
    /// Relais.
    pub from: Option<String>,
    /// `settings.changed`, `queue.deleted`, `backup.created` …
    pub act: String,
    /// What, one line per object.
    pub detail: Vec<String>,
    /// Settings version after it, if it changed them.
    pub settings_version: Option<u64>,
    /// SHA-256 over this entry and the hash before, hex.
    pub hash: String,
}

/// When a credential was last used, and from where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CredentialUse {
    /// Its user.
    pub user: String,
    /// When it last logged in.
    pub time: Timestamp,
    /// From where.
    pub address: IpAddr,
}
