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
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::doubt::{self, Doubt, DoubtfulSettlement};
use super::group::{self, Outbox, Plan};
use super::kept_table::Keeping;
use super::line::Line;
use super::operation::{Commit, Prepared, Settle, Work};
use super::readers::Readers;
use super::schema;
use super::trace_feed::{Batch, Feed};
use crate::bell::Bell;
use crate::cache::Cache;
use crate::disk::DiskFile;
use crate::error::{CommitError, StoreError};
use crate::health::Health;
use crate::identifiers::QueueIds;
use crate::index::{Index, Resolved};
use crate::queue::QueueKey;
use crate::spool::Spool;
use crate::trace::Event;

/// Octets of content in one group: bounds the size of a transaction and the wait for it.
const GROUP_OCTETS_MAX: usize = 32 * 1_024 * 1_024;

/// Octets of a database of which all free pages are given back at once: half a second or so, in
/// which mail waits.
const VACUUMED_OCTETS_MAX: u64 = 64 * 1_024 * 1_024;

/// What writer, readers and callers share.
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) index: Mutex<Index>,
    pub(super) cache: Cache,
    pub(super) health: Arc<Health>,
    pub(super) spool: Arc<Spool>,
    /// Whose content is kept after the last outcome.
    pub(super) keeping: Keeping,
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
    /// Positions for so many events: the first of them. Those of a group that fails stay unused.
    pub(super) fn reserve_positions(&self, events: usize) -> u64 {
        self.position.fetch_add(events as u64, Ordering::Relaxed)
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work that has a transaction of its own.
pub(super) type Exclusive = Box<dyn FnOnce(&mut Writer) + Send>;

/// What the writer does.
pub(super) enum Op {
    Work(Work),
    Exclusive(Exclusive),
    /// The last one: everything before it is stored.
    Close(oneshot::Sender<()>),
}

impl Op {
    /// Results of deliveries do not need the disk at once. A crash in between makes duplicates,
    /// which SMTP allows (RFC 1047); a sync saved for each message makes a quiet relay faster.
    fn is_patient(&self) -> bool {
        matches!(self, Self::Work(Work::Settle(_)))
    }
}

/// What is done with a group for which the disk has no room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum IfFull {
    /// The log is written back, and what frees space tried again.
    CutLog,
    Refuse,
}

/// The events of a group on stable storage.
struct Stored {
    /// Of the first one.
    position: u64,
    lines: String,
}

/// See the sign on the door.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    /// `None` between a fault and recovery.
    connection: Option<Connection>,
    /// See [`Writer::clean`].
    cleans: bool,
    feed: Feed,
    keys: HashMap<QueueKey, i64>,
    /// Groups that failed: they may be in the log all the same.
    doubts: Vec<Doubt>,
    #[cfg(test)]
    fails_after_commit: bool,
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
            cleans: false,
            feed,
            keys,
            doubts: Vec::new(),
            #[cfg(test)]
            fails_after_commit: false,
            #[cfg(feature = "broken-twins")]
            twin: None,
        }
    }

    /// Works until told to close, or until nobody can ask any more.
    pub(super) fn run(mut self, line: &Line<Op>) {
        let mut waiting = Vec::new();
        while line.take(&mut waiting, Op::is_patient) {
            let mut group = Vec::with_capacity(waiting.len());
            let mut octets = 0;
            let keeps = self.shared.keeping.is_on();
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
                    Op::Work(work) => {
                        octets += work.octets(keeps);
                        group.push(work);
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
        let position = self.shared.reserve_positions(events.len());
        let lines = group::lines_of(events.iter());
        let stored = group::insert_outbox(&transaction, position, &lines)
            .and_then(|()| transaction.commit());
        if let Err(error) = stored {
            self.doubts.push(Doubt::of_events(position));
            return Err(failed(&self.shared.health, &error).into());
        }
        self.publish(Batch {
            position,
            events: events.into(),
            lines,
        });
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
        let there = doubt::settle(&mut connection, &self.doubts, self.shared.ids.last());
        let there = there.map_err(schema::fault)?;
        self.connection = Some(connection);
        self.cleans = false;
        // What the disk has may differ from what is remembered of it.
        self.shared.cache.clear();
        for (doubt, there) in std::mem::take(&mut self.doubts).into_iter().zip(there) {
            if there {
                self.accept(doubt);
            }
        }
        self.shared.health.unseal();
        self.shared.bell.ring();
        Ok(())
    }

    /// Whether pages that get free are overwritten: where content is kept, and when something is
    /// erased. Always would write each message once more when it leaves; whoever keeps nothing has
    /// such pages filled with the next mail.
    pub(super) fn clean(&mut self, on: bool) -> Result<(), StoreError> {
        if self.cleans == on {
            return Ok(());
        }
        let connection = self.connection.as_ref().ok_or(StoreError::Closed)?;
        let how = if on { "ON" } else { "FAST" };
        let set = connection.pragma_update(None, "secure_delete", how);
        set.map_err(schema::fault)?;
        self.cleans = on;
        Ok(())
    }

    /// Leaves no free page, if the database is small enough for that ([`VACUUMED_OCTETS_MAX`]) and
    /// the disk has room for it; false: they stay.
    pub(super) fn leave_no_free_page(&mut self) -> Result<bool, StoreError> {
        self.shared.health.may_write()?;
        let connection = self.connection.as_ref().ok_or(StoreError::Closed)?;
        let number = |name: &str| -> rusqlite::Result<u64> {
            connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
        };
        let done = || -> rusqlite::Result<bool> {
            if number("freelist_count")? == 0 {
                return Ok(true);
            }
            if number("page_count")? * number("page_size")? > VACUUMED_OCTETS_MAX {
                return Ok(false);
            }
            // A place for temporary files may be missing; that is no fault of the queue's disk.
            connection
                .execute_batch("PRAGMA temp_store = MEMORY; VACUUM; PRAGMA temp_store = DEFAULT")?;
            Ok(true)
        };
        match done() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => Ok(false),
            done => done.map_err(|error| failed(&self.shared.health, &error)),
        }
    }

    /// Moves the log into the database and cuts it: what was overwritten does not stay in it.
    /// False: a reader is in the way, and nobody waits for it here.
    pub(super) fn cut_log(&mut self) -> Result<bool, StoreError> {
        let connection = self.connection.as_ref().ok_or(StoreError::Closed)?;
        let cut = || -> rusqlite::Result<i64> {
            connection.busy_timeout(Duration::ZERO)?;
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            let busy = connection.query_row(sql, [], |row| row.get(0));
            connection.busy_timeout(schema::BUSY_TIMEOUT)?;
            busy
        };
        let busy = cut().map_err(|error| failed(&self.shared.health, &error))?;
        Ok(busy == 0)
    }

    /// A group was on the disk though its callers were told otherwise: what it settled is settled.
    fn accept(&mut self, doubt: Doubt) {
        let (position, settlements) = doubt.into_settlements();
        let mut index = self.shared.index();
        let mut all_told = Vec::new();
        for settlement in settlements {
            let DoubtfulSettlement {
                lease,
                resolved,
                notices,
                told,
            } = settlement;
            let numbers: Vec<u32> = resolved.iter().map(|(number, _)| *number).collect();
            // Lost in the meantime: who has the next lease finds no row.
            if index.begin_settle(lease.queue_id, lease.token, &numbers) {
                index.finish_settle(lease.queue_id, lease.token, &resolved);
            }
            notices.iter().for_each(|notice| enter(&mut index, notice));
            all_told.extend(told);
        }
        drop(index);
        self.publish(Batch {
            position,
            lines: group::lines_of(all_told.iter()),
            events: all_told.into(),
        });
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

    /// Events before this position are in the trace.
    pub(super) fn traced(&self) -> u64 {
        self.shared.traced.load(Ordering::Acquire)
    }

    /// Numbers of the queues in the database.
    pub(super) fn keys(&mut self) -> &mut HashMap<QueueKey, i64> {
        &mut self.keys
    }

    fn commit_group(&mut self, group: Vec<Work>) {
        self.try_group(group, IfFull::CutLog);
    }

    fn try_group(&mut self, mut group: Vec<Work>, if_full: IfFull) {
        if group.is_empty() {
            return;
        }
        #[cfg(feature = "broken-twins")]
        self.answer_early(&mut group);
        match self.write(&group) {
            Ok((plan, stored)) => self.finish(group, plan, stored),
            Err(error) => self.fail(&mut group, error, if_full),
        }
    }

    fn write(&mut self, group: &[Work]) -> Result<(Plan, Stored), WriteError> {
        if let Err(error) = self.shared.health.may_write() {
            return Err(WriteError::Refused(error));
        }
        let keeps = self.shared.keeping.is_on();
        self.clean(keeps).map_err(WriteError::Refused)?;
        let connection = self
            .connection
            .as_mut()
            .ok_or(WriteError::Refused(StoreError::Closed))?;
        let mut plan = Plan::new(group, &self.shared.index());
        let outbox = Outbox {
            position: self
                .shared
                .reserve_positions(group.iter().map(|work| work.told().len()).sum()),
            traced: self.shared.traced.load(Ordering::Acquire),
        };
        let written = group::write(
            connection,
            group,
            &mut plan,
            &mut self.keys,
            outbox,
            &self.shared.keeping,
        );
        #[cfg(test)]
        let written = written.and_then(|lines| self.pretend().map(|()| lines));
        let lines = written.map_err(|error| {
            // Numbers of queues that were made in this transaction are gone with it.
            plan.new_keys.iter().for_each(|key| {
                self.keys.remove(key);
            });
            let settlements = std::mem::take(&mut plan.settlements).into_iter();
            let resolved = settlements.map(|planned| planned.resolved).collect();
            WriteError::of(&error, outbox.position, resolved)
        })?;
        let position = outbox.position;
        Ok((plan, Stored { position, lines }))
    }

    /// Durable: into the index, then everybody is told.
    fn finish(&mut self, group: Vec<Work>, plan: Plan, stored: Stored) {
        let shared = &self.shared;
        shared
            .cache
            .insert(messages(&group).map(|prepared| prepared.message.clone()));
        let mut index = shared.index();
        let mut settled = Vec::new();
        for (work, planned) in group.iter().zip(&plan.settlements) {
            match work {
                Work::Commit(commit) => enter(&mut index, &commit.prepared),
                Work::Settle(settle) => {
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
            }
        }
        drop(index);
        shared.cache.remove(settled.into_iter());
        plan.gone_files
            .iter()
            .for_each(|name| shared.spool.remove(name));
        let mut all_told = Vec::with_capacity(group.len() * 2);
        for work in group {
            match work {
                Work::Commit(commit) => {
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
                Work::Settle(settle) => {
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
            }
        }
        shared.bell.ring();
        self.publish(Batch {
            position: stored.position,
            events: all_told.into(),
            lines: stored.lines,
        });
    }

    fn publish(&mut self, batch: Batch) {
        if !batch.events.is_empty() {
            self.feed.send(batch);
        }
    }

    fn fail(&mut self, group: &mut Vec<Work>, error: WriteError, if_full: IfFull) {
        match error {
            // One mistake must not take the others with it.
            WriteError::Mistake(_) if group.len() > 1 => {
                for work in group.drain(..) {
                    self.commit_group(vec![work]);
                }
            }
            WriteError::Full if if_full == IfFull::CutLog => self.fail_full(group),
            WriteError::Doubtful {
                ref because,
                position,
                ref resolved,
            } => {
                self.shared.health.seal(because);
                // Their rows may exist: the sweep decides about their files after recovery.
                messages(group).for_each(|prepared| prepared.message.content.keep());
                self.doubts.push(doubt::doubt(position, group, resolved));
                self.refuse(group, &error);
            }
            WriteError::Full | WriteError::Mistake(_) | WriteError::Refused(_) => {
                self.refuse(group, &error);
            }
        }
    }

    /// Messages are refused; settlements, which free space, are tried again in the space that the
    /// log takes, once: they keep no content then.
    fn fail_full(&mut self, group: &mut Vec<Work>) {
        self.shared.health.set_no_room(true);
        if let Some(connection) = &self.connection {
            let checkpoint = "PRAGMA wal_checkpoint(RESTART)";
            if let Err(error) = connection.query_row(checkpoint, [], |_| Ok(())) {
                tracing::warn!(%error, "the log could not be written back on a full disk");
            }
        }
        let (mut commits, settlements): (Vec<Work>, Vec<Work>) = group
            .drain(..)
            .partition(|work| matches!(work, Work::Commit(_)));
        self.refuse(&mut commits, &WriteError::Full);
        self.try_group(settlements, IfFull::Refuse);
    }

    fn refuse(&mut self, group: &mut Vec<Work>, error: &WriteError) {
        let mut index = self.shared.index();
        for work in group.drain(..) {
            match work {
                Work::Commit(commit) => {
                    let _ = commit.reply.map(|reply| reply.send(Err(error.of_commit())));
                }
                Work::Settle(settle) => {
                    let numbers: Vec<u32> = settle.changes.iter().map(|(n, _)| *n).collect();
                    index.abandon_settle(settle.lease.token, &numbers);
                    let _ = settle.reply.send(Err(error.of_settle().into()));
                }
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

    /// The next group is written, and its callers are told that it is not.
    #[cfg(test)]
    pub(super) fn fail_after_commit(&mut self) {
        self.fails_after_commit = true;
    }

    #[cfg(test)]
    fn pretend(&mut self) -> rusqlite::Result<()> {
        if !std::mem::take(&mut self.fails_after_commit) {
            return Ok(());
        }
        // SQLITE_IOERR.
        Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(10),
            None,
        ))
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
    fn answer_early(&mut self, group: &mut [Work]) {
        if self.twin != Some(crate::options::BrokenTwin::CommitEarly) {
            return;
        }
        let mut answered = false;
        for work in group {
            if let Work::Commit(commit) = work {
                answered |= commit
                    .reply
                    .take()
                    .is_some_and(|reply| reply.send(Ok(())).is_ok());
            }
        }
        // As on a slow disk: else the fault lasts microseconds, and a gate on a quick machine sees
        // it by luck only.
        if answered {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn messages(group: &[Work]) -> impl Iterator<Item = &Prepared> {
    group.iter().flat_map(Work::messages)
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
    Doubtful {
        because: String,
        position: u64,
        resolved: Vec<Vec<Resolved>>,
    },
}

impl WriteError {
    fn of(error: &rusqlite::Error, position: u64, resolved: Vec<Vec<Resolved>>) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
                Self::Mistake(error.to_string())
            }
            _ => Self::Doubtful {
                because: error.to_string(),
                position,
                resolved,
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
