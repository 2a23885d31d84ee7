//! What comes back, and what follows from it: the keys of signed envelope senders, and the
//! recipients that an organisation sends nothing to. Both are kept on shelves and asked for at
//! RCPT, so both stand in memory too.
//!
//! Not here: putting them on shelves (`store`).

use std::collections::HashMap;
use std::sync::RwLock;

use relais_policy::bounce::{BounceKeys, TOKEN_DAYS};
use relais_policy::suppression::{
    Cause, SUPPRESSIONS_PER_ORGANISATION_MAX, Suppression, address_key,
};
use relais_smtp::address::Mailbox;
use relais_smtp::time::Timestamp;
use tokio::sync::{Mutex, OnceCell};

use crate::secret::SecretError;
use crate::shelf::ShelfAudit;
use crate::trace::Event;

/// What stands in memory.
#[derive(Debug, Default)]
pub(crate) struct Bounces {
    /// By organisation.
    pub(crate) keys: Mutex<HashMap<Box<str>, BounceKeys>>,
    /// By key of the shelf; read at the first question.
    pub(crate) suppressed: OnceCell<RwLock<HashMap<String, Suppression>>>,
    /// Changes one after the other, so that memory and shelf agree.
    pub(crate) changing: Mutex<()>,
}

/// A change to the suppressed recipients of an organisation.
#[derive(Clone, Debug)]
pub struct SuppressionChange {
    /// Whose.
    pub organisation: String,
    /// Suppressed from now on; who was already gets the new reason.
    pub put: Vec<(Mailbox, Suppression)>,
    /// Released; who was not suppressed is no fault.
    pub taken: Vec<Mailbox>,
    /// When.
    pub time: Timestamp,
    /// For the audit, where a person did it.
    pub audit: Option<ShelfAudit>,
    /// For the trace.
    pub events: Vec<Event>,
}

impl SuppressionChange {
    /// Nothing yet.
    pub fn new(organisation: impl Into<String>, time: Timestamp) -> Self {
        Self {
            organisation: organisation.into(),
            put: Vec::new(),
            taken: Vec::new(),
            time,
            audit: None,
            events: Vec::new(),
        }
    }
}

/// What another key of envelope senders, wanted by a person, does to addresses that are out there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OldAddresses {
    /// They count for as long as they would have.
    Count,
    /// None counts any more: the key may be known to others, or cannot be read.
    Revoked,
}

/// Why the key of envelope senders is not another one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BounceKeyError {
    /// Addresses that the key before the last one signed would count no more.
    #[error(
        "the key was changed less than {TOKEN_DAYS} days ago: until {} what the one before signed \
         still comes back",
        .0.to_rfc3339()
    )]
    TooSoon(Timestamp),
    /// It cannot be read or kept.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// A suppressed recipient as listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedSuppression {
    /// Whose.
    pub organisation: String,
    /// In lower case.
    pub address: String,
    /// Why, and since when.
    pub suppression: Suppression,
}

/// Names of organisations have no space.
pub(crate) fn key_of(organisation: &str, recipient: &Mailbox) -> String {
    format!("{organisation} {}", address_key(recipient))
}

/// The oldest that no person asked for, where there would be too many.
pub(crate) fn who_gives_way(
    all: &HashMap<String, Suppression>,
    organisation: &str,
    more: usize,
) -> Vec<String> {
    let own = format!("{organisation} ");
    let own: Vec<_> = all
        .iter()
        .filter(|(key, _)| key.starts_with(&own))
        .collect();
    let over = (own.len() + more).saturating_sub(SUPPRESSIONS_PER_ORGANISATION_MAX);
    if over == 0 {
        return Vec::new();
    }
    let mut old: Vec<_> = own
        .into_iter()
        .filter(|(_, one)| one.cause != Cause::Request)
        .collect();
    old.sort_by_key(|(_, one)| one.since);
    old.into_iter()
        .take(over)
        .map(|(key, _)| key.clone())
        .collect()
}
