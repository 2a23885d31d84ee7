//! Content that is kept after its message has left the queue, for whoever may read content: a row
//! of its own, moved there in the transaction of the message's last outcome. Small content stands
//! in the row, large content stays in its spool file, which belongs to the row from then on.
//!
//! It never stands in the way of mail: near the disk's reserve nothing more is kept, and below it
//! the oldest goes. Nor does one organisation fill the disk: of each no more octets are kept than
//! its bound, and its oldest makes room for its newest.
//! Backups have none of it (`backup.rs`): else they would outlive the days that were promised.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use relais_policy::retention;
use relais_policy::settings::Settings;
use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Rows, Transaction, params};

use super::record::{self, Record};
use super::schema::fault;
use super::standing_holds;
use crate::checksum::Checksum;
use crate::error::StoreError;
use crate::health::Health;
use crate::legal_hold::LegalHold;
use crate::queue::MessageFacts;

/// Rows that go in one transaction: the writer has mail to write too.
pub(super) const DROPPED_MAX: usize = 500;

const DUE: &str = "SELECT id, envelope FROM kept
    WHERE organisation = ?1 AND connector IS ?2 AND done <= ?3";
const NEXT_ORGANISATION: &str = "SELECT organisation FROM kept
    WHERE organisation >= ?1 ORDER BY organisation LIMIT 1";
const WITHOUT_CONNECTOR: &str = "SELECT 1 FROM kept
    WHERE organisation = ?1 AND connector IS NULL LIMIT 1";
const NEXT_CONNECTOR: &str = "SELECT connector FROM kept
    WHERE organisation = ?1 AND connector >= ?2 ORDER BY connector LIMIT 1";

const OLDEST: &str = "SELECT id, size, envelope FROM kept WHERE organisation = ?1 ORDER BY done";
const SUM: &str = "SELECT messages, octets FROM kept_sum WHERE organisation = ?1";

/// Rows that make room for one message at once, and are read for it.
const DISPLACED_MAX: Most = Most {
    found: DROPPED_MAX,
    read: 2 * DROPPED_MAX,
};
/// What a round frees of a bound that was passed: a sixteenth.
const FREED_PART: u64 = 16;

/// What is asked for each message while an organisation has kept what it may.
#[cfg(test)]
pub(super) const ASKED_WHEN_FULL: [&str; 2] = [OLDEST, SUM];

/// What is asked each second while there is more to drop: never row by row.
#[cfg(test)]
pub(super) const LOOKED_UP: [&str; 4] = [DUE, NEXT_ORGANISATION, WITHOUT_CONNECTOR, NEXT_CONNECTOR];

/// A folder that an older Relais left has no such table yet.
fn exists(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kept'";
    connection.prepare_cached(sql)?.exists([])
}

/// Takes everything out of a copy of the database; its pages still have it.
pub(crate) fn clear_copy(copy: &Connection) -> rusqlite::Result<()> {
    if exists(copy)? {
        copy.execute("DELETE FROM kept", [])?;
    }
    Ok(())
}

/// Whose content is kept, and for how long. Cheap to clone.
#[derive(Clone)]
pub(super) struct Keeping {
    settings: Arc<ArcSwap<Settings>>,
    /// Days where the settings say nothing.
    default: Arc<AtomicU32>,
    health: Arc<Health>,
    /// Whether anybody's is kept, by version of the settings and default.
    known: Arc<Mutex<Option<(u64, u32, bool)>>>,
    /// More has had its days than went in the last round.
    is_more_due: Arc<AtomicBool>,
}

impl Keeping {
    pub(super) fn new(settings: Arc<ArcSwap<Settings>>, health: Arc<Health>) -> Self {
        Self {
            settings,
            default: Arc::default(),
            health,
            known: Arc::default(),
            is_more_due: Arc::default(),
        }
    }

    /// From now on for so many days, where the settings say nothing.
    pub(super) fn keep(&self, days: u32) {
        self.default.store(days, Ordering::Relaxed);
    }

    pub(super) fn default(&self) -> u32 {
        self.default.load(Ordering::Relaxed)
    }

    /// Days that content of this mail is kept.
    pub(super) fn days(&self, organisation: &str, connector: Option<&str>) -> u32 {
        let settings = self.settings.load();
        retention::content_days(&settings, (organisation, connector), self.default())
    }

    /// Whether anything is to be kept now. Asked for each message that leaves: what it looks
    /// through, it looks through once a version of the settings.
    pub(super) fn is_on(&self) -> bool {
        let (settings, default) = (self.settings.load(), self.default());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            |(version, of, _): &&(u64, u32, bool)| (*version, *of) == (settings.version, default);
        let keeps = match known.as_ref().filter(is_known) {
            Some((_, _, keeps)) => *keeps,
            None => {
                let keeps = retention::keeps_content(&settings, default);
                *known = Some((settings.version, default, keeps));
                keeps
            }
        };
        keeps && self.health.may_keep()
    }

    /// Moves a message that leaves the queue to what is kept, if it is to be; its row in the queue
    /// is still to be removed, its file is not. `None`: it is not kept; else the files of what made
    /// room for it.
    pub(super) fn take(
        &self,
        transaction: &Transaction<'_>,
        id: i64,
        done: Timestamp,
    ) -> rusqlite::Result<Option<Vec<String>>> {
        if !self.is_on() {
            return Ok(None);
        }
        let sql = "SELECT envelope FROM message WHERE id = ?1";
        let mut statement = transaction.prepare_cached(sql)?;
        let envelope: Option<Vec<u8>> = statement.query_row([id], |row| row.get(0)).optional()?;
        let Some(envelope) = envelope else {
            return Ok(None);
        };
        let record = QueueId::from_i64(id).and_then(|id| record::decode(id, &envelope).ok());
        let Some(Record {
            facts,
            content_size,
            ..
        }) = record
        else {
            return Ok(None);
        };
        let connector = facts.inbound_connector.as_deref();
        if self.days(&facts.organisation, connector) == 0 {
            return Ok(None);
        }
        let new = New {
            id,
            envelope: &envelope,
            size: content_size,
        };
        let Some(files) = self.room_for(transaction, &facts.organisation, &new, done)? else {
            return Ok(None);
        };
        // Not replaced: the sum follows what is inserted and what is removed.
        drop_some(transaction, &[id])?;
        let sql = "INSERT INTO kept
                       (id, done, organisation, connector, size, envelope, spool, content)
                   SELECT id, ?2, ?3, ?4, ?5, envelope, spool, content FROM message WHERE id = ?1";
        transaction.prepare_cached(sql)?.execute(params![
            id,
            done.as_millis(),
            &*facts.organisation,
            connector,
            content_size,
        ])?;
        Ok(Some(files))
    }

    /// Makes room within what is kept of an organisation: its oldest goes, but for what is under a
    /// hold. `None`: there is none even so; else the files of what went.
    ///
    /// What is kept is beyond the bound by one message at most, where many small ones make room for
    /// a large one: the next round does the rest ([`Keeping::beyond`]).
    fn room_for(
        &self,
        transaction: &Transaction<'_>,
        organisation: &str,
        new: &New<'_>,
        done: Timestamp,
    ) -> rusqlite::Result<Option<Vec<String>>> {
        let max = self.max(organisation);
        let used = octets_of(transaction, organisation)?;
        if used + new.size <= max {
            return Ok(Some(Vec::new()));
        }
        // As long as it is not known what is held, nothing makes room.
        let Ok(holds) = standing_holds::standing(transaction, done) else {
            return Ok(None);
        };
        if standing_holds::cover(&holds, new.id, new.envelope) {
            return Ok(Some(Vec::new()));
        }
        if new.size > max {
            return Ok(None);
        }
        let excess = used + new.size - max;
        let found = oldest_of(transaction, organisation, &holds, (excess, DISPLACED_MAX))?;
        if found.octets < excess {
            self.note_due(true);
        }
        if used - found.octets > max {
            return Ok(None);
        }
        drop_some(transaction, &found.ids).map(Some)
    }

    /// Octets of content that are kept of an organisation.
    pub(super) fn max(&self, organisation: &str) -> u64 {
        retention::content_max(&self.settings.load(), organisation)
    }

    /// Whether the next round is to come at once.
    pub(super) fn is_more_due(&self) -> bool {
        self.is_more_due.load(Ordering::Relaxed)
    }

    /// What the last round left.
    pub(super) fn note_due(&self, is_more: bool) {
        self.is_more_due.store(is_more, Ordering::Relaxed);
    }

    /// Whether what was done then has had its days.
    pub(super) fn is_over(
        &self,
        owner: (&str, Option<&str>),
        done: Timestamp,
        now: Timestamp,
    ) -> bool {
        done <= self.ended_by(owner, now)
    }

    /// What was done by then has had its days.
    fn ended_by(
        &self,
        (organisation, connector): (&str, Option<&str>),
        now: Timestamp,
    ) -> Timestamp {
        let days = self.days(organisation, connector);
        now.before(Duration::from_secs(86_400 * u64::from(days)))
    }

    /// Ids of what has had its days, at most [`DROPPED_MAX`]; fewer: there is no more.
    pub(super) fn due(
        &self,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Vec<i64>, StoreError> {
        let holds = standing_holds::standing(connection, now)?;
        let look = || -> rusqlite::Result<Vec<i64>> {
            let mut found = Vec::new();
            if !exists(connection)? {
                return Ok(found);
            }
            let mut statement = connection.prepare_cached(DUE)?;
            for (organisation, connector) in owners(connection)? {
                let ended = self.ended_by((&organisation, connector.as_deref()), now);
                let values = params![organisation, connector, ended.as_millis()];
                if collect(statement.query(values)?, &holds, &mut found)? {
                    break;
                }
            }
            Ok(found)
        };
        look().map_err(fault)
    }
}

impl Keeping {
    /// Ids of what is beyond the bound of its organisation, the oldest first and not under a hold,
    /// at most [`DROPPED_MAX`]. A part of the bound is made free, so that not every message that
    /// comes finds it full.
    pub(super) fn beyond(
        &self,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Vec<i64>, StoreError> {
        let holds = standing_holds::standing(connection, now)?;
        let look = || -> rusqlite::Result<Vec<i64>> {
            let mut ids = Vec::new();
            for (organisation, octets) in sums(connection)? {
                let max = self.max(&organisation);
                if octets <= max || ids.len() == DROPPED_MAX {
                    continue;
                }
                let excess = octets - (max - max / FREED_PART);
                let most = Most {
                    found: DROPPED_MAX - ids.len(),
                    read: usize::MAX,
                };
                let found = oldest_of(connection, &organisation, &holds, (excess, most))?;
                ids.extend(found.ids);
            }
            Ok(ids)
        };
        look().map_err(fault)
    }
}

impl std::fmt::Debug for Keeping {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Keeping")
            .field("default", &self.default())
            .finish_non_exhaustive()
    }
}

/// A message about to be kept.
struct New<'a> {
    id: i64,
    envelope: &'a [u8],
    size: u64,
}

/// How many rows are to be found, and read for it.
#[derive(Clone, Copy)]
struct Most {
    found: usize,
    read: usize,
}

/// What may go, and its octets.
#[derive(Default)]
struct Oldest {
    ids: Vec<i64>,
    octets: u64,
}

/// The oldest of an organisation that are under no hold, until they have so many octets.
fn oldest_of(
    connection: &Connection,
    organisation: &str,
    holds: &[LegalHold],
    (octets, most): (u64, Most),
) -> rusqlite::Result<Oldest> {
    let mut statement = connection.prepare_cached(OLDEST)?;
    let mut rows = statement.query([organisation])?;
    let (mut oldest, mut read) = (Oldest::default(), 0);
    while oldest.octets < octets && oldest.ids.len() < most.found && read < most.read {
        let Some(row) = rows.next()? else {
            break;
        };
        read += 1;
        let (id, size): (i64, u64) = (row.get(0)?, row.get(1)?);
        let envelope = row.get_ref(2)?.as_blob().unwrap_or_default();
        if !standing_holds::cover(holds, id, envelope) {
            oldest.ids.push(id);
            oldest.octets += size;
        }
    }
    Ok(oldest)
}

/// Octets that are kept of an organisation.
fn octets_of(connection: &Connection, organisation: &str) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(SUM)?;
    let sum = statement.query_row([organisation], |row| row.get(1));
    Ok(sum.optional()?.unwrap_or(0))
}

/// Octets that are kept, by organisation.
fn sums(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    if !has_sums(connection)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT organisation, octets FROM kept_sum";
    let mut statement = connection.prepare_cached(sql)?;
    let sums = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    sums.collect()
}

/// A folder that an older Relais left, read without a server, has none yet.
fn has_sums(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kept_sum'";
    connection.prepare_cached(sql)?.exists([])
}

/// Whose content is kept: a step in the index for each of them, not one for each message.
fn owners(connection: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let mut next = connection.prepare_cached(NEXT_ORGANISATION)?;
    let mut bare = connection.prepare_cached(WITHOUT_CONNECTOR)?;
    let mut next_of = connection.prepare_cached(NEXT_CONNECTOR)?;
    let mut owners = Vec::new();
    let mut from = String::new();
    while let Some(organisation) = next
        .query_row([&from], |row| row.get::<_, String>(0))
        .optional()?
    {
        if bare.exists([&organisation])? {
            owners.push((organisation.clone(), None));
        }
        let mut from_connector = String::new();
        while let Some(connector) = next_of
            .query_row([&organisation, &from_connector], |row| {
                row.get::<_, String>(0)
            })
            .optional()?
        {
            from_connector = behind(&connector);
            owners.push((organisation.clone(), Some(connector)));
        }
        from = behind(&organisation);
    }
    Ok(owners)
}

/// The first text behind this one, as SQLite compares them.
fn behind(text: &str) -> String {
    format!("{text}\0")
}

/// Puts ids behind others until there are [`DROPPED_MAX`], which is told; not those under a hold.
fn collect(
    mut rows: Rows<'_>,
    holds: &[LegalHold],
    found: &mut Vec<i64>,
) -> rusqlite::Result<bool> {
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let envelope = row.get_ref(1)?.as_blob().unwrap_or_default();
        if standing_holds::cover(holds, id, envelope) {
            continue;
        }
        found.push(id);
        if found.len() == DROPPED_MAX {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ids of the oldest ones that are under no hold, at most [`DROPPED_MAX`].
pub(super) fn oldest(connection: &Connection, now: Timestamp) -> Result<Vec<i64>, StoreError> {
    let holds = standing_holds::standing(connection, now)?;
    let look = || -> rusqlite::Result<Vec<i64>> {
        let mut found = Vec::new();
        if exists(connection)? {
            let sql = "SELECT id, envelope FROM kept ORDER BY done";
            let mut statement = connection.prepare_cached(sql)?;
            collect(statement.query([])?, &holds, &mut found)?;
        }
        Ok(found)
    };
    look().map_err(fault)
}

/// One of them.
pub(super) struct KeptRow {
    pub(super) facts: MessageFacts,
    pub(super) done: Timestamp,
    pub(super) size: u64,
    pub(super) checksum: u64,
    pub(super) octets: Option<Arc<[u8]>>,
    pub(super) spool: Option<String>,
}

/// What is kept of a message, if it is whole.
pub(super) fn find(
    connection: &Connection,
    queue_id: QueueId,
) -> Result<Option<KeptRow>, StoreError> {
    if !exists(connection).map_err(fault)? {
        return Ok(None);
    }
    let sql = "SELECT envelope, done, spool, content FROM kept WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let row = statement.query_row([queue_id.as_i64()], |row| read(queue_id, row));
    Ok(row.optional().map_err(fault)?.flatten())
}

fn read(queue_id: QueueId, row: &Row<'_>) -> rusqlite::Result<Option<KeptRow>> {
    let envelope = row.get_ref(0)?.as_blob().unwrap_or_default();
    let Ok(record) = record::decode(queue_id, envelope) else {
        return Ok(None);
    };
    let spool: Option<String> = row.get(2)?;
    let octets = row.get_ref(3)?.as_blob_or_null().unwrap_or_default();
    let is_whole = |octets: &&[u8]| {
        octets.len() as u64 == record.content_size
            && Checksum::of(octets) == record.content_checksum
    };
    let octets: Option<Arc<[u8]>> = octets.filter(is_whole).map(Into::into);
    let found = octets.is_some() || spool.is_some();
    Ok(found.then_some(KeptRow {
        done: Timestamp::from_millis(row.get(1)?),
        size: record.content_size,
        checksum: record.content_checksum,
        facts: record.facts,
        octets,
        spool,
    }))
}

/// How many, and their octets; of one organisation, or of all.
pub(super) fn count(
    connection: &Connection,
    organisation: Option<&str>,
) -> Result<(u64, u64), StoreError> {
    if !exists(connection).map_err(fault)? {
        return Ok((0, 0));
    }
    let count = || -> rusqlite::Result<(u64, u64)> {
        let sql = match has_sums(connection)? {
            true => {
                "SELECT coalesce(sum(messages), 0), coalesce(sum(octets), 0) FROM kept_sum
                 WHERE ?1 IS NULL OR organisation = ?1"
            }
            false => {
                "SELECT count(*), coalesce(sum(size), 0) FROM kept
                 WHERE ?1 IS NULL OR organisation = ?1"
            }
        };
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row([organisation], |row| Ok((row.get(0)?, row.get(1)?)))
    };
    count().map_err(fault)
}

/// Queue ids of what is kept of messages that are among some, or fit.
pub(super) fn fitting(
    connection: &Connection,
    organisation: Option<&str>,
    among: &HashSet<i64>,
    fits: impl Fn(&MessageFacts, &[EnvelopeRecipient]) -> bool,
) -> Result<Vec<i64>, StoreError> {
    let mut found = Vec::new();
    if !exists(connection).map_err(fault)? {
        return Ok(found);
    }
    let sql = "SELECT id, envelope FROM kept WHERE ?1 IS NULL OR organisation = ?1";
    let mut look = || -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([organisation])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if among.contains(&id) {
                found.push(id);
                continue;
            }
            let envelope = row.get_ref(1)?.as_blob().unwrap_or_default();
            let record = QueueId::from_i64(id).map(|id| record::decode(id, envelope));
            // What cannot be read may be of anybody.
            let is_fit = match record {
                Some(Ok(record)) => fits(&record.facts, &record.recipients),
                Some(Err(_)) | None => true,
            };
            if is_fit {
                found.push(id);
            }
        }
        Ok(())
    };
    look().map_err(fault)?;
    Ok(found)
}

/// Drops these; gives their spool files.
pub(super) fn drop_some(
    transaction: &Transaction<'_>,
    ids: &[i64],
) -> rusqlite::Result<Vec<String>> {
    let sql = "DELETE FROM kept WHERE id = ?1 RETURNING spool";
    let mut delete = transaction.prepare_cached(sql)?;
    let mut files = Vec::new();
    for id in ids {
        let file: Option<Option<String>> = delete.query_row([id], |row| row.get(0)).optional()?;
        files.extend(file.flatten());
    }
    Ok(files)
}
