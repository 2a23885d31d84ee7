//! What a person, or a guard, does to restricted entities and to groups of refused attempts: the
//! values. Their tables are in `embedded/restriction_tables.rs`; what a restriction means is in
//! `relais_policy::restriction`.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// As `Restrict`, but nothing is changed, and zero told, if the entity is restricted otherwise
    /// than whoever judged it saw: looked at in the same turn of the store as the change is made.
    Replace {
        /// How it was restricted then.
        seen: Option<Restriction>,
        /// How it is to be.
        restriction: Restriction,
    },
    /// As `Release`, of what is still restricted just so.
    ReleaseSeen {
        /// How it was restricted when somebody judged that it may be released.
        seen: Restriction,
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

/// Such a group is listed again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShownAgain {
    /// Of the client.
    pub address: IpAddr,
    /// The reason.
    pub token: String,
    /// By whom.
    pub by: String,
    /// When.
    pub time: Timestamp,
}

impl IgnoredAttempts {
    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// What was restricted when the queue was last looked through for it.
#[derive(Debug)]
pub(crate) struct LookedThrough {
    last: Mutex<Arc<Restrictions>>,
    /// Something may be held for what is restricted no more.
    again: AtomicBool,
}

impl LookedThrough {
    /// At the start: whoever attempts a message looks whether it is restricted, so that the queue
    /// is as good as looked through for what is; what is held may wait for nothing any more.
    pub(crate) fn since(restrictions: Arc<Restrictions>) -> Self {
        Self {
            last: Mutex::new(restrictions),
            again: AtomicBool::new(true),
        }
    }

    /// For what the queue was looked through.
    pub(crate) fn last(&self) -> Arc<Restrictions> {
        Arc::clone(&self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// It was looked through for these.
    pub(crate) fn note(&self, restrictions: Arc<Restrictions>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = restrictions;
    }

    /// What is held must be looked at once more.
    pub(crate) fn ask_again(&self) {
        self.again.store(true, Ordering::Release);
    }

    /// Whether somebody asked for that since this was asked last.
    pub(crate) fn take_again(&self) -> bool {
        self.again.swap(false, Ordering::AcqRel)
    }
}
