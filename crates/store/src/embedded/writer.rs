//! The one thread that writes the queue database: takes everything that waits, one transaction, one
//! sync, then tells everybody. No artificial delay: what arrives during a sync is the next group.
//!
//! After a failed write or sync nothing is believed: the store is sealed until the database was
//! closed, opened again, and everything in its log written anew (a page that failed to sync may
//! look well in memory and be absent from the disk). What was refused meanwhile is taken out again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use relais_smtp::identifier::QueueId;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::group::{self, Outbox, Plan};
use super::readers::Readers;
use super::schema;
use super::trace_feed::{Feed, Told};
use crate::bell::Bell;
use crate::cache::{Cache, FreshMessage};
use crate::disk::DiskFile;
use crate::error::{CommitError, SettleError, StoreError};
use crate::health::Health;
use crate::identifiers::QueueIds;
use crate::index::{Index, NewSlot};
use crate::queue::{Lease, QueueKey, RecipientChange};
use crate::spool::Spool;
use crate::trace::Event;

/// Operations that may wait for the writer; more wait at the door.
pub(super) const OPS_MAX: usize = 1_024;
/// Octets of content in one group: bounds the size of a transaction and the wait for it.
const GROUP_OCTETS_MAX: usize = 32 * 1_024 * 1_024;

/// What writer, readers and callers share.
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) index: Mutex<Index>,
    pub(super) cache: Cache,
    pub(super) health: Arc<Health>,
    pub(super) spool: Arc<Spool>,
    pub(super) readers: Readers,
    pub(super) bell: Bell,
    pub(super) ids: QueueIds,
    /// Position of the next event.
    pub(super) position: AtomicU64,
    /// Outbox rows before this position are in the trace.
    pub(super) traced: Arc<AtomicU64>,
    /// Keeps other processes away until everything is stored.
    pub(super) lock: Mutex<Option<Box<dyn DiskFile>>>,
}

impl Shared {
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message ready to be written.
pub(super) struct Prepared {
    pub(super) message: Arc<FreshMessage>,
    pub(super) envelope: Vec<u8>,
    pub(super) slots: Vec<NewSlot>,
}

pub(super) struct Commit {
    pub(super) prepared: Prepared,
    pub(super) told: Vec<Told>,
    pub(super) reply: Option<oneshot::Sender<Result<(), CommitError>>>,
}

pub(super) struct Settle {
    pub(super) lease: Lease,
    pub(super) changes: Vec<(u32, RecipientChange)>,
    pub(super) told: Vec<Told>,
    pub(super) notices: Vec<Prepared>,
    pub(super) reply: oneshot::Sender<Result<(), SettleError>>,
}

/// Work that has a transaction of its own.
pub(super) type Exclusive = Box<dyn FnOnce(&mut Writer) + Send>;

/// What the writer does.
pub(super) enum Op {
    Commit(Box<Commit>),
    Settle(Box<Settle>),
    Exclusive(Exclusive),
    /// The last one: everything before it is stored.
    Close(oneshot::Sender<()>),
}

impl Op {
    fn octets(&self) -> usize {
        match self {
            Self::Commit(commit) => commit.prepared.octets(),
            Self::Settle(settle) => settle.notices.iter().map(Prepared::octets).sum(),
            Self::Exclusive(_) | Self::Close(_) => 0,
        }
    }
}

/// See the sign on the door.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    /// `None` between a fault and recovery.
    connection: Option<Connection>,
    feed: Feed,
    keys: HashMap<QueueKey, i64>,
    /// Messages whose commit failed: they may be in the log all the same.
    doubtful: Vec<QueueId>,
    /// The same for rows of the outbox.
    doubtful_positions: Vec<u64>,
    #[cfg(feature = "broken-twins")]
    twin: Option<crate::options::BrokenTwin>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        connection: Connection,
        feed: Feed,
        keys: HashMap<QueueKey, i64>,
    ) -> Self {
        Self {
            shared,
            connection: Some(connection),
            feed,
            keys,
            doubtful: Vec::new(),
            doubtful_positions: Vec::new(),
            #[cfg(feature = "broken-twins")]
            twin: None,
        }
    }

    /// Works until told to close, or until nobody can ask any more.
    pub(super) fn run(mut self, mut ops: mpsc::Receiver<Op>) {
        let mut waiting = Vec::with_capacity(OPS_MAX);
        while ops.blocking_recv_many(&mut waiting, OPS_MAX) > 0 {
            let mut group = Vec::with_capacity(waiting.len());
            let mut octets = 0;
            for op in waiting.drain(..) {
                match op {
                    Op::Exclusive(work) => {
                        self.commit_group(std::mem::take(&mut group));
                        work(&mut self);
                    }
                    Op::Close(done) => {
                        self.commit_group(std::mem::take(&mut group));
                        self.close();
                        // Nobody waits any more: closed all the same.
                        let _ = done.send(());
                        return;
                    }
                    op @ (Op::Commit(_) | Op::Settle(_)) => {
                        octets += op.octets();
                        group.push(op);
                        if octets >= GROUP_OCTETS_MAX {
                            self.commit_group(std::mem::take(&mut group));
                            octets = 0;
                        }
                    }
                }
            }
            self.commit_group(group);
        }
        self.close();
    }

    /// One transaction of its own. `work` gives its answer and events to be stored with it.
    pub(super) fn transact<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<(T, Vec<Event>), E>,
    ) -> Result<T, E> {
        self.shared.health.may_write()?;
        let connection = self.connection.as_mut().ok_or(StoreError::Closed)?;
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| failed(&self.shared.health, &error))?;
        let (value, events) = work(&transaction)?;
        let told: Vec<Told> = events.into_iter().map(Told::new).collect();
        let position = self.shared.position.load(Ordering::Relaxed);
        let stored = group::insert_outbox(&transaction, position, told.iter())
            .and_then(|()| transaction.commit());
        if let Err(error) = stored {
            self.doubtful_positions.push(position);
            return Err(failed(&self.shared.health, &error).into());
        }
        self.publish(told);
        Ok(value)
    }

    /// The database closed and opened again, its log written anew, what was refused taken out: the
    /// store takes messages again.
    pub(super) fn recover(&mut self) -> Result<(), StoreError> {
        self.connection = None;
        self.shared.readers.reset();
        let mut connection = schema::open_writer(&self.shared.folder)?;
        let busy: i64 = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(schema::fault)?;
        if busy != 0 {
            return Err(StoreError::Fault(
                "a reader is in the way of recovery".to_owned(),
            ));
        }
        group::take_out(
            &mut connection,
            &self.doubtful,
            &self.doubtful_positions,
            self.shared.ids.last(),
        )
        .map_err(schema::fault)?;
        self.doubtful.clear();
        self.doubtful_positions.clear();
        self.connection = Some(connection);
        self.shared.health.unseal();
        self.shared.bell.ring();
        Ok(())
    }

    /// Forgets queues that no recipient belongs to.
    pub(super) fn sweep_queues(&mut self) -> Result<(), StoreError> {
        let index = self.shared.index();
        let unused: Vec<QueueKey> = self
            .keys
            .keys()
            .filter(|key| !index.knows_queue(key))
            .cloned()
            .collect();
        drop(index);
        let ids: Vec<i64> = unused
            .iter()
            .filter_map(|key| self.keys.get(key).copied())
            .collect();
        self.transact(|transaction| {
            group::forget_queues(transaction, &ids).map_err(schema::fault)?;
            Ok::<_, StoreError>(((), Vec::new()))
        })?;
        self.keys.retain(|key, _| !unused.contains(key));
        self.shared.index().sweep_queues();
        Ok(())
    }

    /// Numbers of the queues in the database.
    pub(super) fn keys(&mut self) -> &mut HashMap<QueueKey, i64> {
        &mut self.keys
    }

    fn commit_group(&mut self, mut ops: Vec<Op>) {
        if ops.is_empty() {
            return;
        }
        #[cfg(feature = "broken-twins")]
        self.answer_early(&mut ops);
        match self.write(&ops) {
            Ok(plan) => self.finish(ops, plan),
            Err(error) => self.fail(&mut ops, &error),
        }
    }

    fn write(&mut self, ops: &[Op]) -> Result<Plan, WriteError> {
        if let Err(error) = self.shared.health.may_write() {
            return Err(WriteError::Refused(error));
        }
        let connection = self
            .connection
            .as_mut()
            .ok_or(WriteError::Refused(StoreError::Closed))?;
        let mut plan = Plan::new(ops, &self.shared.index());
        let outbox = Outbox {
            position: self.shared.position.load(Ordering::Relaxed),
            traced: self.shared.traced.load(Ordering::Acquire),
        };
        let written = group::write(connection, ops, &mut plan, &mut self.keys, outbox);
        match written {
            Ok(()) => Ok(plan),
            Err(error) => {
                // Numbers of queues that were made in this transaction are gone with it.
                plan.new_keys.iter().for_each(|key| {
                    self.keys.remove(key);
                });
                Err(WriteError::of(error, outbox.position))
            }
        }
    }

    /// Durable: into the index, then everybody is told.
    fn finish(&mut self, ops: Vec<Op>, plan: Plan) {
        let shared = &self.shared;
        shared
            .cache
            .insert(group::messages(&ops).map(|prepared| prepared.message.clone()));
        let mut index = shared.index();
        let mut settled = Vec::new();
        for (op, planned) in ops.iter().zip(&plan.settlements) {
            match op {
                Op::Commit(commit) => enter(&mut index, &commit.prepared),
                Op::Settle(settle) => {
                    let lease = &settle.lease;
                    let gone = index.finish_settle(lease.queue_id, lease.token, &planned.resolved);
                    if gone || planned.resolved.iter().any(|(_, state)| state.is_some()) {
                        settled.push(lease.queue_id);
                    }
                    settle
                        .notices
                        .iter()
                        .for_each(|notice| enter(&mut index, notice));
                }
                Op::Exclusive(_) | Op::Close(_) => {}
            }
        }
        drop(index);
        shared.cache.remove(settled.into_iter());
        plan.gone_files
            .iter()
            .for_each(|name| shared.spool.remove(name));
        let mut all_told = Vec::with_capacity(ops.len() * 2);
        for op in ops {
            match op {
                Op::Commit(commit) => {
                    let Commit {
                        prepared,
                        told,
                        reply,
                    } = *commit;
                    prepared.message.content.keep();
                    all_told.extend(told);
                    // The session may be gone; the message is ours all the same.
                    let _ = reply.map(|reply| reply.send(Ok(())));
                }
                Op::Settle(settle) => {
                    let Settle {
                        told,
                        notices,
                        reply,
                        ..
                    } = *settle;
                    notices
                        .iter()
                        .for_each(|notice| notice.message.content.keep());
                    all_told.extend(told);
                    let _ = reply.send(Ok(()));
                }
                Op::Exclusive(_) | Op::Close(_) => {}
            }
        }
        shared.bell.ring();
        self.publish(all_told);
    }

    fn publish(&mut self, told: Vec<Told>) {
        if told.is_empty() {
            return;
        }
        let position = self
            .shared
            .position
            .fetch_add(told.len() as u64, Ordering::Relaxed);
        self.feed.send(position, told);
    }

    fn fail(&mut self, ops: &mut Vec<Op>, error: &WriteError) {
        match error {
            // One mistake must not take the others with it.
            WriteError::Mistake(_) if ops.len() > 1 => {
                for op in ops.drain(..) {
                    self.commit_group(vec![op]);
                }
            }
            WriteError::Full if ops.iter().any(|op| matches!(op, Op::Commit(_))) => {
                self.fail_full(ops);
            }
            WriteError::Doubtful { because, position } => {
                self.shared.health.seal(because);
                self.doubtful
                    .extend(group::messages(ops).map(|p| p.message.facts.queue_id));
                self.doubtful_positions.push(*position);
                // Their rows may exist: the sweep decides about their files after recovery.
                group::messages(ops).for_each(|prepared| prepared.message.content.keep());
                self.refuse(ops, error);
            }
            WriteError::Full | WriteError::Mistake(_) | WriteError::Refused(_) => {
                self.refuse(ops, error);
            }
        }
    }

    /// Messages are refused; settlements, which free space, are tried again in the space that the
    /// log takes.
    fn fail_full(&mut self, ops: &mut Vec<Op>) {
        self.shared.health.set_no_room(true);
        if let Some(connection) = &self.connection {
            let checkpoint = "PRAGMA wal_checkpoint(RESTART)";
            if let Err(error) = connection.query_row(checkpoint, [], |_| Ok(())) {
                tracing::warn!(%error, "the log could not be written back on a full disk");
            }
        }
        let (mut commits, settlements): (Vec<Op>, Vec<Op>) =
            ops.drain(..).partition(|op| matches!(op, Op::Commit(_)));
        self.refuse(&mut commits, &WriteError::Full);
        self.commit_group(settlements);
    }

    fn refuse(&mut self, ops: &mut Vec<Op>, error: &WriteError) {
        let mut index = self.shared.index();
        for op in ops.drain(..) {
            match op {
                Op::Commit(commit) => {
                    let _ = commit.reply.map(|reply| reply.send(Err(error.of_commit())));
                }
                Op::Settle(settle) => {
                    let numbers: Vec<u32> = settle.changes.iter().map(|(n, _)| *n).collect();
                    index.abandon_settle(settle.lease.token, &numbers);
                    let _ = settle.reply.send(Err(error.of_settle().into()));
                }
                Op::Exclusive(_) | Op::Close(_) => {}
            }
        }
    }

    /// The trace gets what it has not; the outbox is emptied; the log is written back.
    fn close(&mut self) {
        self.feed.close();
        let traced = self.shared.traced.load(Ordering::Acquire);
        let last = self.shared.ids.last();
        if let Some(mut connection) = self.connection.take()
            && let Err(error) = group::tidy_up(&mut connection, traced, last)
        {
            tracing::warn!(%error, "the outbox could not be emptied at the end");
        }
        self.shared
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// From now on this connection writes nothing.
    #[cfg(feature = "simulation")]
    pub(super) fn break_connection(&mut self) {
        if let Some(connection) = &self.connection {
            connection
                .pragma_update(None, "query_only", true)
                .expect("SQLite knows it");
        }
    }

    /// As if the disk ended there.
    #[cfg(test)]
    pub(super) fn limit_pages(&mut self, pages: i64) {
        if let Some(connection) = &self.connection {
            let sql = format!("PRAGMA max_page_count = {pages}");
            connection
                .query_row(&sql, [], |_| Ok(()))
                .expect("SQLite knows it");
        }
    }

    /// Becomes a broken twin.
    #[cfg(feature = "broken-twins")]
    pub(super) fn break_promise(&mut self, twin: crate::options::BrokenTwin) {
        use crate::options::BrokenTwin;
        self.twin = Some(twin);
        self.shared.index().forgets_leases = twin == BrokenTwin::LeaseForgotten;
        if let Some(connection) = self.connection.as_ref()
            && twin == BrokenTwin::SyncDropped
        {
            connection
                .pragma_update(None, "synchronous", "off")
                .expect("SQLite knows it");
        }
    }

    #[cfg(feature = "broken-twins")]
    fn answer_early(&mut self, ops: &mut [Op]) {
        if self.twin != Some(crate::options::BrokenTwin::CommitEarly) {
            return;
        }
        for op in ops {
            if let Op::Commit(commit) = op {
                let _ = commit.reply.take().map(|reply| reply.send(Ok(())));
            }
        }
    }
}

impl Prepared {
    fn octets(&self) -> usize {
        let inline = match &self.message.content {
            crate::queue::Content::Inline(octets) => octets.len(),
            crate::queue::Content::Spooled(_) => 0,
        };
        self.envelope.len() + inline
    }
}

fn enter(index: &mut Index, prepared: &Prepared) {
    index.insert(prepared.message.facts.queue_id, &prepared.slots);
}

/// What went wrong with a group.
#[derive(Debug)]
enum WriteError {
    /// Nothing was tried.
    Refused(StoreError),
    /// Undone, and nobody's disk is to blame: a constraint, a value too big.
    Mistake(String),
    /// Undone: no space.
    Full,
    /// What is on the disk is not known.
    Doubtful { because: String, position: u64 },
}

impl WriteError {
    fn of(error: rusqlite::Error, position: u64) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
                Self::Mistake(error.to_string())
            }
            _ => Self::Doubtful {
                because: error.to_string(),
                position,
            },
        }
    }

    fn of_commit(&self) -> CommitError {
        match self {
            Self::Refused(StoreError::Closed) => CommitError::Closed,
            Self::Refused(StoreError::Sealed { because } | StoreError::Fault(because))
            | Self::Mistake(because)
            | Self::Doubtful { because, .. } => CommitError::Sealed {
                because: because.clone(),
            },
            Self::Full => CommitError::NoRoom,
        }
    }

    fn of_settle(&self) -> StoreError {
        match self {
            Self::Refused(error) => error.clone(),
            Self::Mistake(because) => StoreError::Fault(because.clone()),
            Self::Full => StoreError::Fault("the disk is full".to_owned()),
            Self::Doubtful { because, .. } => StoreError::Sealed {
                because: because.clone(),
            },
        }
    }
}

/// An error outside of a group: seals the store if the disk is to blame.
pub(super) fn failed(health: &Health, error: &rusqlite::Error) -> StoreError {
    match WriteError::of_reference(error) {
        Blame::Disk => {
            let because = error.to_string();
            health.seal(&because);
            StoreError::Sealed { because }
        }
        Blame::Nobody => StoreError::Fault(format!("the queue database: {error}")),
    }
}

enum Blame {
    Disk,
    Nobody,
}

impl WriteError {
    fn of_reference(error: &rusqlite::Error) -> Blame {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen,
            ) => Blame::Disk,
            _ => Blame::Nobody,
        }
    }
}
