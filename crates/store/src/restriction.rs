//! What a person, or a guard, does to restricted entities and to groups of refused attempts: the
//! values. Their tables are in `embedded/restriction_tables.rs`; what a restriction means is in
//! `relais_policy::restriction`.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use relais_policy::restriction::{Entity, Restriction, Restrictions};
use relais_smtp::time::Timestamp;

/// A change to the restricted entities.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EntityChange {
    /// Restricts an entity; one that is restricted already gets the new reason and time.
    Restrict(Restriction),
    /// Releases one.
    Release {
        /// Which.
        entity: Entity,
        /// By whom.
        by: String,
        /// When.
        time: Timestamp,
    },
    /// Releases those whose time is over.
    Expire {
        /// Now.
        time: Timestamp,
    },
}

/// A group of refused attempts that nobody wants to see: this address with this reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IgnoredAttempts {
    /// Of the client.
    pub address: IpAddr,
    /// The reason: with another one the address is seen again.
    pub token: String,
    /// By whom.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None`: for good.
    pub until: Option<Timestamp>,
}

impl IgnoredAttempts {
    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// What was restricted when the queue was last looked through for it.
#[derive(Debug, Default)]
pub(crate) struct LookedThrough(Mutex<Option<Arc<Restrictions>>>);

impl LookedThrough {
    /// Whether the queue was looked through for these.
    pub(crate) fn is_for(&self, restrictions: &Arc<Restrictions>) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref()
            .is_some_and(|last| Arc::ptr_eq(last, restrictions))
    }

    /// It was.
    pub(crate) fn note(&self, restrictions: Arc<Restrictions>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(restrictions);
    }
}
