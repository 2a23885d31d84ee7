//! What callers hand to the writer: everything prepared, so that its turn is short.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::cache::FreshMessage;
use crate::error::{CommitError, SettleError};
use crate::index::NewSlot;
use crate::queue::{Content, INLINE_OCTETS_MAX, Lease, RecipientChange};
use crate::trace::Event;

/// A message ready to be written.
pub(super) struct Prepared {
    pub(super) message: Arc<FreshMessage>,
    pub(super) envelope: Vec<u8>,
    pub(super) slots: Vec<NewSlot>,
}

/// A message, and who waits for the proof.
pub(super) struct Commit {
    pub(super) prepared: Prepared,
    pub(super) told: Vec<Event>,
    pub(super) reply: Option<oneshot::Sender<Result<(), CommitError>>>,
}

/// The result of a lease, and who waits for it to be durable.
pub(super) struct Settle {
    pub(super) lease: Lease,
    pub(super) changes: Vec<(u32, RecipientChange)>,
    pub(super) told: Vec<Event>,
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
    pub(super) fn told(&self) -> &[Event] {
        match self {
            Self::Commit(commit) => &commit.told,
            Self::Settle(settle) => &settle.told,
        }
    }

    /// Octets that it adds to a transaction, about. `keeps`: content may be kept after the last
    /// outcome, and is then moved within the transaction.
    pub(super) fn octets(&self, keeps: bool) -> usize {
        let moved = match self {
            // How much, only its row tells: as much as one may have.
            Self::Settle(_) if keeps => INLINE_OCTETS_MAX,
            Self::Settle(_) | Self::Commit(_) => 0,
        };
        moved + self.messages().iter().map(Prepared::octets).sum::<usize>()
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

#[cfg(test)]
mod tests {
    use relais_smtp::identifier::QueueId;
    use relais_smtp::time::Timestamp;

    use super::*;

    #[test]
    fn a_settlement_counts_as_much_as_the_content_that_it_may_move() {
        let (reply, _answer) = oneshot::channel();
        let queue_id = QueueId::new(Timestamp::from_millis(1_795_514_400_000), 0, 1);
        let settle = Work::Settle(Box::new(Settle {
            lease: Lease {
                queue_id,
                token: 1,
                until: Timestamp::default(),
            },
            changes: Vec::new(),
            told: Vec::new(),
            notices: Vec::new(),
            reply,
        }));
        assert_eq!(settle.octets(false), 0);
        assert_eq!(settle.octets(true), INLINE_OCTETS_MAX);
    }
}
