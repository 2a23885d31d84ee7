//! What was said on a connection about one message or refusal: lines without secrets and without
//! content, kept for some days beside the trace. A help for people, never a proof: under load, or
//! where the disk is slow, some are not kept.
//!
//! Not here: what may be told (the sessions decide), and where it stands
//! (`embedded/dialogue_database.rs`).

use relais_smtp::identifier::{QueueId, Reference};
use relais_smtp::time::Timestamp;

/// Octets of one conversation: some two hundred lines. The rest is cut.
pub const DIALOGUE_OCTETS_MAX: usize = 16 * 1_024;

/// Conversations of one answer.
pub const DIALOGUES_MAX: usize = 50;

/// Of what it was.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DialogueKey {
    /// A message.
    Message(QueueId),
    /// A refusal.
    Refusal(Reference),
}

impl DialogueKey {
    /// As stored: messages are positive, refusals negative.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Message(id) => id.as_i64(),
            Self::Refusal(reference) => -1 - i64::from(reference.as_bits()),
        }
    }
}

/// With whom.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DialogueSide {
    /// The client.
    Client,
    /// The next hop.
    NextHop,
}

impl DialogueSide {
    /// `client`, `next-hop`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::NextHop => "next-hop",
        }
    }

    /// The same, read back.
    pub(crate) fn of(name: &str) -> Self {
        if name == Self::Client.name() {
            Self::Client
        } else {
            Self::NextHop
        }
    }
}

/// One conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dialogue {
    /// Of what.
    pub key: DialogueKey,
    /// When it ended.
    pub time: Timestamp,
    /// With whom.
    pub side: DialogueSide,
    /// Its address, or name and address.
    pub peer: String,
    /// Whether somebody said no in it: such are kept first.
    pub has_refusal: bool,
    /// `> ` before what the other side was told, `< ` before what it said where it is the server;
    /// the client's lines have `< `, ours `> `.
    pub text: String,
}
