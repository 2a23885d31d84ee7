//! The embedded store: SQLite and spool files in one folder, one process, one node.
//!
//! One thread writes ([`writer`]), a few read ([`readers`]), one feeds the trace ([`trace_feed`]).
//! What is due, leased or held is known in memory ([`crate::index`]); leases live only there, so a
//! crash frees them all.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use arc_swap::ArcSwap;
use relais_policy::restriction::Restrictions;
use relais_policy::settings::{Mode, Settings};
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use tokio::sync::{Semaphore, broadcast, oneshot, watch};

use crate::bell::Bell;
use crate::bounces::Bounces;
use crate::cache::FreshMessage;
use crate::checksum::Checksum;
use crate::content::{ContentReader, ContentWriter};
use crate::describe;
use crate::disk::Disk;
use crate::error::{CommitError, StoreError};
use crate::index::{NewSlot, SPOOLED, SlotState};
use crate::queue::{Committed, Content, NewMessage, QueueCounts};
use crate::restriction::LookedThrough;
use crate::secret::Vault;
use crate::trace::Event;

mod opening;
mod reporting;
mod administering;
mod delivering;
mod upkeep;
mod kept_content;
mod legal_holds;
mod erasing;
mod rebuild;
mod writer;
mod restored;
mod doubt;
mod group;
mod operation;
mod trace_feed;
mod dialogue_database;
pub(crate) mod kept_table;
mod standing_holds;
mod readers;
mod record;
mod line;
mod schema;
pub(crate) mod trace_database;
pub(crate) mod restriction_tables;
pub(crate) mod proof_table;
pub(crate) mod shelf_table;
pub(crate) mod settings_tables;
#[cfg(test)]
mod tests;

use dialogue_database::DialogueDatabases;
use line::Door;
use operation::{Commit, Prepared, Work};
pub(crate) use restored::after_restore;
pub(crate) use schema::SCHEMA_VERSION;
use trace_database::TraceDatabases;
use trace_feed::Feed;
use writer::{Op, Shared, Writer};

/// Events that a live reader may lag behind.
const LIVE_EVENTS_MAX: usize = 4_096;

/// Searches of the trace and backups worked on at once. Each holds one of the process's few
/// threads for files for up to seconds, and mail needs those.
const QUESTIONS_MAX: usize = 2;

/// The embedded store. See [`crate::store::Store`] for what its methods promise.
pub struct Embedded {
    shared: Arc<Shared>,
    /// `None`: opened for reading.
    ops: Option<Door<Op>>,
    feed: Option<Feed>,
    databases: TraceDatabases,
    dialogues: DialogueDatabases,
    live: broadcast::Sender<Arc<[Event]>>,
    settings: Arc<ArcSwap<Settings>>,
    restrictions: Arc<ArcSwap<Restrictions>>,
    looked_through: LookedThrough,
    vault: Vault,
    bounces: Bounces,
    /// Questions beside the mail, at the same time: [`QUESTIONS_MAX`].
    questions: Semaphore,
    mode: Mode,
    disk: Arc<dyn Disk>,
    disk_reserve: u64,
    /// True once the index is complete.
    rebuilt: watch::Receiver<bool>,
    /// Days that the trace is kept.
    trace_days: u32,
    /// When the hourly upkeep was done, in milliseconds.
    hourly: AtomicI64,
    /// When it was noted last how the queue stands, in milliseconds.
    sampled: AtomicI64,
    /// The last queue id that the database remembers.
    remembered: AtomicI64,
    recipients_at_open: u64,
    folder: PathBuf,
}

impl Embedded {
    pub(crate) fn next_queue_id(&self, now: Timestamp) -> QueueId {
        self.shared.ids.next(now)
    }

    pub(crate) fn trace_days(&self) -> u32 {
        self.trace_days
    }

    pub(crate) fn may_commit(&self) -> Result<(), CommitError> {
        self.shared.health.may_commit()
    }

    pub(crate) fn content_writer(&self) -> ContentWriter {
        ContentWriter::new(self.shared.spool.clone())
    }

    pub(crate) async fn commit(&self, message: NewMessage) -> Result<Committed, CommitError> {
        self.shared.health.may_commit()?;
        if !describe::is_complete(&message) {
            let because = "a message without recipients".to_owned();
            return Err(CommitError::Sealed { because });
        }
        let queue_id = message.facts.queue_id;
        let (prepared, told) = prepare(message);
        let (reply, answer) = oneshot::channel();
        let commit = Box::new(Commit {
            prepared,
            told,
            reply: Some(reply),
        });
        let ops = self.ops.as_ref().ok_or(CommitError::Closed)?;
        ops.send(Op::Work(Work::Commit(commit)))
            .await
            .map_err(|_| CommitError::Closed)?;
        answer.await.map_err(|_| CommitError::Closed)??;
        Ok(Committed { queue_id })
    }

    pub(crate) fn record(&self, event: Event) {
        let Some(feed) = &self.feed else { return };
        if self.shared.health.is_closed() {
            return;
        }
        let position = self.shared.reserve_positions(1);
        feed.try_send(position, event);
    }

    pub(crate) fn bell(&self) -> Bell {
        self.shared.bell.clone()
    }

    pub(crate) async fn content_reader(
        &self,
        content: &Content,
    ) -> Result<ContentReader, StoreError> {
        Ok(ContentReader::new(content))
    }

    pub(crate) fn recipients_at_open(&self) -> u64 {
        self.recipients_at_open
    }

    pub(crate) fn is_counted(&self) -> bool {
        *self.rebuilt.borrow()
    }

    pub(crate) fn counts(&self) -> QueueCounts {
        self.shared.index().counts()
    }

    pub(crate) fn live(&self) -> broadcast::Receiver<Arc<[Event]>> {
        self.live.subscribe()
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    pub(crate) fn restrictions(&self) -> Arc<Restrictions> {
        self.restrictions.load_full()
    }

    pub(crate) fn free_octets(&self) -> Option<u64> {
        self.shared.health.free()
    }

    pub(crate) fn unhealthy(&self) -> Option<String> {
        self.shared.health.unhealthy()
    }

    /// Has the writer do something in its own time, and waits for the answer.
    async fn exclusively<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let ops = self.ops.as_ref().ok_or_else(read_only)?;
        let (reply, answer) = oneshot::channel();
        let exclusive = Op::Exclusive(Box::new(move |writer| {
            // Nobody waits any more: it is done all the same.
            let _ = reply.send(work(writer));
        }));
        ops.send(exclusive).await?;
        answer.await.map_err(|_| StoreError::Closed)
    }
}

fn read_only() -> StoreError {
    StoreError::Fault("the store was opened for reading only".to_owned())
}

/// All that can be done before the writer's turn.
fn prepare(message: NewMessage) -> (Prepared, Vec<Event>) {
    let NewMessage {
        facts,
        recipients,
        content,
        events,
    } = message;
    let (checksum, flags) = match &content {
        Content::Inline(octets) => (Checksum::of(octets), 0),
        Content::Spooled(spooled) => (spooled.checksum, SPOOLED),
    };
    let addresses = recipients.iter().map(|recipient| &recipient.recipient);
    let envelope = record::encode(&facts, addresses, content.size(), checksum);
    let mut slots = Vec::with_capacity(recipients.len());
    let mut kept = Vec::with_capacity(recipients.len());
    for (recipient, number) in recipients.into_iter().zip(0..) {
        let fresh = describe::fresh_state(&recipient);
        let state = SlotState {
            flags: fresh.flags | flags,
            ..fresh
        };
        slots.push(NewSlot {
            number,
            key: recipient.key,
            state,
        });
        kept.push(recipient.recipient);
    }
    let message = FreshMessage {
        facts: Arc::new(facts),
        recipients: kept,
        content,
    };
    (
        Prepared {
            message: Arc::new(message),
            envelope,
            slots,
        },
        events,
    )
}
