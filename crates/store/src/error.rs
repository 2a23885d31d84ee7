//! Why the store says no. All of these are ours, never the client's fault: a commit that fails
//! becomes 451 or 452, and nothing was promised.

use relais_smtp::identifier::QueueId;

/// Why a message could not be made durable. All of these are ours, never the client's fault.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CommitError {
    /// The store refuses writes until it has recovered from a failed sync or write.
    #[error("the store refuses writes: {because}")]
    Sealed {
        /// The first fault.
        because: String,
    },
    /// The disk reserve is reached.
    #[error("the disk is below its reserve")]
    NoRoom,
    /// The store is closing.
    #[error("the store is closing")]
    Closed,
}

/// Why a question to the store has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// As [`CommitError::Sealed`].
    #[error("the store refuses writes: {because}")]
    Sealed {
        /// The first fault.
        because: String,
    },
    /// The store is closing.
    #[error("the store is closing")]
    Closed,
    /// The database or a file answered with an error; named without paths of content.
    #[error("{0}")]
    Fault(String),
}

/// Why a settlement was not stored.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettleError {
    /// The lease ended, and somebody else may have got another.
    #[error("the lease of {queue_id} was lost")]
    LeaseLost {
        /// Of which message.
        queue_id: QueueId,
    },
    /// The store has a fault.
    #[error(transparent)]
    Store(#[from] StoreError),
}
