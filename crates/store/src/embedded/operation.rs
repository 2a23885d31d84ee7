//! What callers hand to the writer: everything prepared, so that its turn is short.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::trace_feed::Told;
use crate::cache::FreshMessage;
use crate::error::{CommitError, SettleError};
use crate::index::NewSlot;
use crate::queue::{Content, Lease, RecipientChange};

/// A message ready to be written.
pub(super) struct Prepared {
    pub(super) message: Arc<FreshMessage>,
    pub(super) envelope: Vec<u8>,
    pub(super) slots: Vec<NewSlot>,
}

/// A message, and who waits for the proof.
pub(super) struct Commit {
    pub(super) prepared: Prepared,
    pub(super) told: Vec<Told>,
    pub(super) reply: Option<oneshot::Sender<Result<(), CommitError>>>,
}

/// The result of a lease, and who waits for it to be durable.
pub(super) struct Settle {
    pub(super) lease: Lease,
    pub(super) changes: Vec<(u32, RecipientChange)>,
    pub(super) told: Vec<Told>,
    pub(super) notices: Vec<Prepared>,
    pub(super) reply: oneshot::Sender<Result<(), SettleError>>,
}

/// What goes into groups.
pub(super) enum Work {
    Commit(Box<Commit>),
    Settle(Box<Settle>),
}

impl Work {
    /// Its messages, notices included.
    pub(super) fn messages(&self) -> &[Prepared] {
        match self {
            Self::Commit(commit) => std::slice::from_ref(&commit.prepared),
            Self::Settle(settle) => &settle.notices,
        }
    }

    /// Its events.
    pub(super) fn told(&self) -> &[Told] {
        match self {
            Self::Commit(commit) => &commit.told,
            Self::Settle(settle) => &settle.told,
        }
    }

    /// Octets that it adds to a transaction, about.
    pub(super) fn octets(&self) -> usize {
        self.messages().iter().map(Prepared::octets).sum()
    }
}

impl Prepared {
    fn octets(&self) -> usize {
        let inline = match &self.message.content {
            Content::Inline(octets) => octets.len(),
            Content::Spooled(_) => 0,
        };
        self.envelope.len() + inline
    }
}
