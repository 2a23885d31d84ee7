//! The life of a queue entry: commit, lease, settle, hold, release, expire; and the proofs.
//!
//! States of a recipient: *waiting* (due at a time), *held* (waits for a person); *active* is a
//! waiting one under a lease. Delivered, failed, expired and discarded recipients leave the queue;
//! the message goes with the last of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::dkim::BodyHash;
use relais_smtp::envelope::{EnvelopeRecipient, SenderParameters};
use relais_smtp::identifier::QueueId;
use relais_smtp::reply::Reply;
use relais_smtp::time::Timestamp;

use crate::door::Via;
use crate::spool::SpoolFile;
use crate::trace::{ClientSummary, Event};

pub use crate::error::{CommitError, SettleError, StoreError};

/// Content up to this size lives in the message's row; larger content has its own spool file.
pub const INLINE_OCTETS_MAX: usize = 64 * 1_024;

/// What is scheduled together: one organisation's mail for one destination, and from one source
/// where its way depends on that.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QueueKey {
    /// Organisation.
    pub organisation: Arc<str>,
    /// Recipient domain, or address literal in brackets, as `Host` displays it.
    pub destination: Arc<str>,
    /// As `RouteSource` displays it; empty where no outbound connector asks for it.
    pub source: Arc<str>,
}

impl QueueKey {
    /// Mail whose way depends on nothing but this.
    pub fn new(organisation: impl Into<Arc<str>>, destination: impl Into<Arc<str>>) -> Self {
        Self {
            organisation: organisation.into(),
            destination: destination.into(),
            source: "".into(),
        }
    }
}

/// A message as the store keeps it, without content and without recipients.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MessageFacts {
    /// Its unique name.
    pub queue_id: QueueId,
    /// The organisation it belongs to.
    pub organisation: Arc<str>,
    /// The connector by which it came; `None` for strangers and our own notices.
    pub inbound_connector: Option<Arc<str>>,
    /// The client; `None` for our own notices.
    pub client: Option<Arc<ClientSummary>>,
    /// Where notices go.
    pub reverse_path: ReversePath,
    /// What MAIL said, where the connector put another address in its place.
    pub replaced: Option<Mailbox>,
    /// Parameters of MAIL.
    pub parameters: SenderParameters,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Octets of the content as stored.
    pub size: u64,
    /// Octets above 127 somewhere.
    pub eight_bit: bool,
    /// Octets above 127 in the header section.
    pub utf8_header: bool,
    /// First address of the header From.
    pub header_from: Option<Arc<str>>,
    /// Subject, decoded, at most 256 characters.
    pub subject: Option<Arc<str>>,
    /// Message-ID without brackets.
    pub message_id: Option<Arc<str>>,
    /// For DKIM, made while the body streamed in; `None`: an older version took the message.
    pub body_hash: Option<BodyHash>,
    /// This message is itself a notice of ours: it never causes another.
    pub is_notice: bool,
}

/// A recipient to be committed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewRecipient {
    /// With its DSN parameters.
    pub recipient: EnvelopeRecipient,
    /// Its queue.
    pub key: QueueKey,
    /// First attempt not before; usually the time of acceptance.
    pub due: Timestamp,
    /// When its time is up.
    pub expires_at: Timestamp,
    /// Something about it is restricted: it waits until that is released.
    pub is_restricted: bool,
    /// It waits for a person from the beginning.
    pub held: bool,
}

/// A message to be committed.
#[derive(Debug)]
pub struct NewMessage {
    /// All but content and recipients.
    pub facts: MessageFacts,
    /// At least one.
    pub recipients: Vec<NewRecipient>,
    /// Content, complete; large content already synced.
    pub content: Content,
    /// Events that are stored in the same transaction (`message.accepted` …).
    pub events: Vec<Event>,
}

/// Content, complete.
#[derive(Clone, Debug)]
pub enum Content {
    /// At most [`INLINE_OCTETS_MAX`].
    Inline(Arc<[u8]>),
    /// In a spool file that is synced, folder included. Only `ContentWriter` and the store make
    /// one.
    Spooled(SpooledContent),
}

/// A synced spool file. Dropped before its commit, the file is removed; after a crash the sweep
/// removes it.
#[derive(Clone, Debug)]
pub struct SpooledContent {
    pub(crate) name: Arc<str>,
    pub(crate) size: u64,
    pub(crate) checksum: u64,
    pub(crate) file: Arc<SpoolFile>,
}

impl Content {
    /// Octets.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(octets) => octets.len() as u64,
            Self::Spooled(spooled) => spooled.size,
        }
    }

    /// Its row is committed, or may be: the file stays.
    pub(crate) fn keep(&self) {
        if let Self::Spooled(spooled) = self {
            spooled.file.keep();
        }
    }
}

/// Content that is kept after its message has left the queue.
#[derive(Clone, Debug)]
pub struct KeptContent {
    /// Of which message.
    pub facts: Arc<MessageFacts>,
    /// Its last outcome.
    pub done: Timestamp,
    /// When it goes.
    pub until: Timestamp,
    /// What is kept.
    pub content: Content,
}

/// Proof that envelope and content are on stable storage. Only the store makes one.
#[must_use = "a committed message is owed a 250"]
#[derive(Debug)]
pub struct Committed {
    pub(crate) queue_id: QueueId,
}

impl Committed {
    /// The message's name.
    pub fn queue_id(&self) -> QueueId {
        self.queue_id
    }
}

/// A right to attempt some recipients of one message until a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    /// Of which message.
    pub queue_id: QueueId,
    /// Fencing token: grows with each lease of a recipient; a settlement under an old one is
    /// refused.
    pub token: u64,
    /// The right ends here unless renewed.
    pub until: Timestamp,
}

/// A message under lease.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The right.
    pub lease: Lease,
    /// Its queue.
    pub key: QueueKey,
    /// The message.
    pub facts: Arc<MessageFacts>,
    /// The recipients concerned, all of the same queue.
    pub recipients: Vec<LeasedRecipient>,
    /// Its content.
    pub content: Content,
}

/// A recipient under lease.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeasedRecipient {
    /// Its place in the message, from 0.
    pub number: u32,
    /// Address and parameters.
    pub recipient: EnvelopeRecipient,
    /// Attempts made so far.
    pub attempts: u32,
    /// When its time is up.
    pub expires_at: Timestamp,
    /// A delay notice was sent.
    pub delay_told: bool,
    /// The last answer, on one line.
    pub last_reply: Option<Arc<str>>,
    /// A person asked to give up (`queue bounce`): fail it now, with a notice.
    pub give_up: bool,
    /// A person let it pass: restrictions do not hold it back.
    pub passed: bool,
    /// It was held, and is leased because its time is up.
    pub held: bool,
}

/// What becomes of a recipient at the end of a lease.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RecipientChange {
    /// Delivered, failed, expired or discarded: it leaves the queue. The event says which.
    Done,
    /// Tried without success: again at this time.
    Deferred {
        /// Not before.
        until: Timestamp,
        /// The answer, on one line.
        last_reply: Arc<str>,
        /// A delay notice is part of this settlement (or was sent before).
        delay_told: bool,
    },
    /// Not tried: back into the queue unchanged, not before this time.
    Returned {
        /// Not before.
        until: Timestamp,
    },
    /// Not tried: something about it is restricted. It waits until that is released.
    Restricted {
        /// Its time is not up before this: it waits for a person.
        expires_at: Timestamp,
    },
    /// Not tried, and it is not to expire yet: what holds it back is our own pace.
    Prolonged {
        /// The new end of its time.
        expires_at: Timestamp,
    },
}

/// The result of a lease, stored in one transaction.
#[derive(Debug)]
pub struct Settlement {
    /// The right.
    pub lease: Lease,
    /// For each leased recipient, by number. Recipients not named stay leased.
    pub changes: Vec<(u32, RecipientChange)>,
    /// Events of this settlement.
    pub events: Vec<Event>,
    /// Notices, committed with it.
    pub notices: Vec<NewMessage>,
}

/// A queue with something due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DueQueue {
    /// Which.
    pub key: QueueKey,
    /// Recipients due now, not under lease.
    pub due: usize,
    /// The earliest due time among them.
    pub oldest: Timestamp,
    /// A person asked for some of them (retry, release) since this was told last: a destination
    /// that rests is not to rest on.
    pub asked_for: bool,
}

/// A queue with something due or under lease, as a watch over progress sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WaitingQueue {
    /// Which.
    pub key: QueueKey,
    /// Recipients that were tried or left the queue since the store was opened: while it grows,
    /// mail moves.
    pub results: u64,
}

/// Which entries an administrator means. All that are given must hold; nothing given: all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Criteria {
    /// One message.
    pub queue_id: Option<QueueId>,
    /// Recipient domain.
    pub destination: Option<String>,
    /// Organisation.
    pub organisation: Option<String>,
    /// Accepted before.
    pub accepted_before: Option<Timestamp>,
    /// `held`, `waiting`.
    pub state: Option<RecipientStateName>,
    /// Reverse-path: an address, a domain (`example.org` or `@example.org`), or `<>`.
    pub sender: Option<String>,
    /// Part of the last reply, whatever its case.
    pub reason: Option<String>,
    /// Not newer than this message: what a person was shown, and not what came since.
    pub up_to: Option<QueueId>,
    /// Held because something about it is restricted.
    pub is_restricted: bool,
    /// These recipients, by number, and no others: how what must be read is narrowed for an act.
    pub only: Option<Arc<BTreeMap<QueueId, Vec<u32>>>>,
}

impl Criteria {
    /// Whether messages must be read for it: sender and reason are not in the index.
    pub(crate) fn needs_reading(&self) -> bool {
        self.sender.is_some() || self.reason.is_some()
    }

    /// The recipients of a message that fit what must be read; others are taken out of it.
    /// `false`: none is left.
    pub(crate) fn narrow(&self, message: &mut ListedMessage) -> bool {
        if !self
            .sender
            .as_deref()
            .is_none_or(|wanted| is_sender(wanted, &message.from))
        {
            return false;
        }
        if let Some(reason) = &self.reason {
            let reason = reason.to_ascii_lowercase();
            message.recipients.retain(|one| {
                let last = one.last_reply.as_ref();
                last.is_some_and(|last| last.to_ascii_lowercase().contains(&reason))
            });
        }
        !message.recipients.is_empty()
    }
}

fn is_sender(wanted: &str, from: &str) -> bool {
    let wanted = wanted
        .trim()
        .trim_start_matches("*@")
        .trim_start_matches('@');
    let bare = wanted.trim_start_matches('<').trim_end_matches('>');
    if bare.contains('@') || bare.is_empty() {
        return from.eq_ignore_ascii_case(bare);
    }
    let domain = from.rsplit_once('@').map(|(_, domain)| domain);
    domain.is_some_and(|domain| domain.eq_ignore_ascii_case(bare))
}

/// State of a recipient as listed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RecipientStateName {
    /// Due at a time, never tried.
    Queued,
    /// Under lease.
    Active,
    /// Tried, due again.
    Deferred,
    /// Waits for a person.
    Held,
}

impl RecipientStateName {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Active => "active",
            Self::Deferred => "deferred",
            Self::Held => "held",
        }
    }
}

/// How much fits some [`Criteria`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QueueCount {
    /// Messages.
    pub messages: u64,
    /// Their recipients that fit.
    pub recipients: u64,
    /// The newest of the messages.
    pub newest: Option<QueueId>,
}

/// A page of `relais queue list`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueuePage {
    /// Oldest first. Fewer than were asked for where some leave the queue meanwhile.
    pub messages: Vec<ListedMessage>,
    /// Behind which the next page begins; none: this is the last.
    pub next: Option<QueueId>,
}

/// One message of `relais queue list`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedMessage {
    /// Its name.
    pub queue_id: QueueId,
    /// Organisation.
    pub organisation: String,
    /// Reverse-path, empty for the null one.
    pub from: String,
    /// Recipients still in the queue.
    pub recipients: Vec<ListedRecipient>,
    /// When.
    pub accepted_at: Timestamp,
    /// Octets.
    pub size: u64,
    /// Subject.
    pub subject: Option<String>,
    /// Message-ID.
    pub message_id: Option<String>,
    /// The connector by which it came.
    pub inbound_connector: Option<Arc<str>>,
    /// The client; `None` for what we made ourselves.
    pub client: Option<Arc<ClientSummary>>,
    /// Where notices go.
    pub reverse_path: ReversePath,
    /// What MAIL said, where the connector put another address in its place.
    pub replaced: Option<Mailbox>,
}

/// One recipient of `relais queue list`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedRecipient {
    /// Its number in the message.
    pub number: u32,
    /// Address.
    pub to: String,
    /// The same, parsed.
    pub mailbox: Mailbox,
    /// Held because something about it is restricted.
    pub is_restricted: bool,
    /// A person let it pass: restrictions do not hold it back.
    pub passed: bool,
    /// State.
    pub state: RecipientStateName,
    /// Attempts made.
    pub attempts: u32,
    /// When next.
    pub next_attempt: Option<Timestamp>,
    /// The last answer.
    pub last_reply: Option<String>,
    /// When its time is up.
    pub expires_at: Timestamp,
}

/// Who does something to the queue, and by which door they came, as the audit tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Actor<'a> {
    /// Who.
    pub name: &'a str,
    /// `socket`, `web`, `api`; what the relay does by itself comes by [`BY_ITSELF`].
    pub via: Via,
}

/// By no door.
pub const BY_ITSELF: &str = "server";

impl<'a> From<&'a str> for Actor<'a> {
    fn from(name: &'a str) -> Self {
        Self {
            name,
            via: BY_ITSELF.into(),
        }
    }
}

/// What a person asks of the queue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum QueueAct {
    /// Due now.
    Retry,
    /// Waits for a person. Active ones are held when their attempt ends without delivery.
    Hold,
    /// Held ones go on.
    Release,
    /// Give up, with a notice to the sender: leased next, [`LeasedRecipient::give_up`].
    Bounce,
    /// Dropped without notice; `recipient.discarded` is recorded. Active ones are left.
    Delete,
    /// Waits until something about it is released. Active ones are left: who attempts them looks.
    Restrict {
        /// Why, for the trace.
        because: Arc<str>,
    },
    /// Nothing about it is restricted any more: goes on, unless a person held it.
    Unrestrict,
}

impl QueueAct {
    /// Whether those under way are told of as left alone.
    pub(crate) const fn waits_for_attempts(&self) -> bool {
        !self.follows_restrictions() && !matches!(self, Self::Release)
    }

    /// Whether it follows from what is restricted: the audit tells of that once, not of each part
    /// of the queue.
    pub(crate) const fn follows_restrictions(&self) -> bool {
        matches!(self, Self::Restrict { .. } | Self::Unrestrict)
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ActResult {
    /// Recipients changed.
    pub changed: u64,
    /// Recipients left alone because an attempt is under way.
    pub active: u64,
}

/// Numbers for `status` and `/metrics`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QueueCounts {
    /// Recipients never tried (active ones included).
    pub queued: u64,
    /// Recipients tried and waiting.
    pub deferred: u64,
    /// Recipients held.
    pub held: u64,
    /// The oldest message's time of acceptance.
    pub oldest: Option<Timestamp>,
}

/// Parsed back for a notice: the last reply of a recipient.
pub fn stored_reply(text: &str) -> Option<Reply> {
    Reply::parse_stored(text)
}
