//! The statements of one group: messages in, settlements, outbox; one transaction.

use std::collections::HashMap;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::kept_table::Keeping;
use super::operation::{Prepared, Settle, Work};
use crate::checksum::Checksum;
use crate::index::{Index, Resolved, SPOOLED, SlotState};
use crate::options::STORES_TRACE;
use crate::queue::{Content, QueueKey, RecipientChange};
use crate::trace::{Event, delta};

const INSERT_MESSAGE: &str =
    "INSERT INTO message (id, envelope, spool, content) VALUES (?1, ?2, ?3, ?4)";
const INSERT_RECIPIENT: &str = "INSERT INTO recipient
    (message, number, queue, due, expires, attempts, flags, checksum)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const UPDATE_RECIPIENT: &str = "UPDATE recipient
    SET queue = ?3, due = ?4, expires = ?5, attempts = ?6, flags = ?7, checksum = ?8,
        last_reply = coalesce(?9, last_reply)
    WHERE message = ?1 AND number = ?2";
const DELETE_RECIPIENT: &str = "DELETE FROM recipient WHERE message = ?1 AND number = ?2";
const DELETE_RECIPIENTS: &str = "DELETE FROM recipient WHERE message = ?1";
const DELETE_MESSAGE: &str = "DELETE FROM message WHERE id = ?1";
const HAS_RECIPIENTS: &str = "SELECT 1 FROM recipient WHERE message = ?1 LIMIT 1";
const SPOOL_OF: &str = "SELECT spool FROM message WHERE id = ?1";
const INSERT_QUEUE: &str =
    "INSERT INTO queue (organisation, destination, checksum, source) VALUES (?1, ?2, ?3, ?4)";
const INSERT_OUTBOX: &str = "INSERT INTO outbox (position, lines) VALUES (?1, ?2)";
const DELETE_OUTBOX: &str = "DELETE FROM outbox WHERE position < ?1";
const SET_NUMBER: &str = "INSERT INTO number (name, value) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// Name of the row that remembers the last queue id given.
pub(super) const LAST_QUEUE_ID: &str = "last queue id";

/// What a settlement does to its message.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) resolved: Vec<Resolved>,
    /// Queues of those that stay, in the order of `resolved`.
    keys: Vec<Option<QueueKey>>,
    /// All recipients that the message has are done.
    empties: bool,
    spooled: bool,
}

/// What a group does, as far as it is known before and needed after.
#[derive(Debug)]
pub(super) struct Plan {
    /// One for each operation; empty for messages.
    pub(super) settlements: Vec<Planned>,
    pub(super) new_keys: Vec<QueueKey>,
    /// Spool files of messages that are gone.
    pub(super) gone_files: Vec<String>,
}

/// Where the outbox stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outbox {
    /// Position of the group's first event.
    pub(super) position: u64,
    /// Rows before it are in the trace.
    pub(super) traced: u64,
}

impl Plan {
    pub(super) fn new(group: &[Work], index: &Index) -> Self {
        let plan = |work: &Work| match work {
            Work::Settle(settle) => plan_settlement(settle, index),
            Work::Commit(_) => Planned::default(),
        };
        let settlements = group.iter().map(plan).collect();
        Self {
            settlements,
            new_keys: Vec::new(),
            gone_files: Vec::new(),
        }
    }
}

fn plan_settlement(settle: &Settle, index: &Index) -> Planned {
    let queue_id = settle.lease.queue_id;
    let resolved = index.resolve(queue_id, &settle.changes);
    planned(queue_id, resolved, index)
}

/// For changes that are known already.
pub(super) fn planned(queue_id: QueueId, resolved: Vec<Resolved>, index: &Index) -> Planned {
    let key =
        |(number, state): &Resolved| state.and_then(|_| index.key_of(queue_id, *number)).cloned();
    let keys = resolved.iter().map(key).collect();
    let done = resolved.iter().filter(|(_, state)| state.is_none()).count();
    Planned {
        keys,
        empties: done > 0 && done == index.recipients_of(queue_id),
        spooled: index.flags_of(queue_id) & SPOOLED != 0,
        resolved,
    }
}

/// One transaction. When this returns `Ok`, everything is on stable storage; gives the events as
/// they are stored, for the trace.
pub(super) fn write(
    connection: &mut Connection,
    group: &[Work],
    plan: &mut Plan,
    keys: &mut HashMap<QueueKey, i64>,
    outbox: Outbox,
    keeping: &Keeping,
) -> rusqlite::Result<String> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Plan {
        settlements,
        new_keys,
        gone_files,
    } = plan;
    for (work, planned) in group.iter().zip(settlements) {
        if let Work::Settle(settle) = work {
            let queue_id = settle.lease.queue_id;
            let outcome = settle.told.last().map(|told| (keeping, told.time));
            let changes = &settle.changes;
            let gone = change(&transaction, queue_id, planned, changes, keys, outcome)?;
            gone_files.extend(gone);
        }
        for message in work.messages() {
            insert_message(&transaction, message, keys, new_keys)?;
        }
    }
    let lines = lines_of(group.iter().flat_map(Work::told));
    insert_outbox(&transaction, outbox.position, &lines)?;
    transaction
        .prepare_cached(DELETE_OUTBOX)?
        .execute([outbox.traced])?;
    transaction.commit()?;
    Ok(lines)
}

/// Events as they are stored; nothing in a build that stores none.
pub(super) fn lines_of<'a>(events: impl Iterator<Item = &'a Event>) -> String {
    if STORES_TRACE {
        delta::lines_of(events)
    } else {
        String::new()
    }
}

fn insert_message(
    transaction: &Transaction<'_>,
    prepared: &Prepared,
    keys: &mut HashMap<QueueKey, i64>,
    new_keys: &mut Vec<QueueKey>,
) -> rusqlite::Result<()> {
    let id = prepared.message.facts.queue_id.as_i64();
    let (spool, content) = match &prepared.message.content {
        Content::Inline(octets) => (None, Some(&**octets)),
        Content::Spooled(spooled) => (Some(&*spooled.name), None),
    };
    let mut statement = transaction.prepare_cached(INSERT_MESSAGE)?;
    statement.execute(params![id, prepared.envelope, spool, content])?;
    let mut statement = transaction.prepare_cached(INSERT_RECIPIENT)?;
    for slot in &prepared.slots {
        let queue = match keys.get(&slot.key) {
            Some(queue) => *queue,
            None => {
                let queue = insert_queue(transaction, &slot.key)?;
                keys.insert(slot.key.clone(), queue);
                new_keys.push(slot.key.clone());
                queue
            }
        };
        let SlotState {
            due,
            expires,
            attempts,
            flags,
        } = slot.state;
        let sum = row_checksum(id, slot.number, queue, slot.state);
        statement.execute(params![
            id,
            slot.number,
            queue,
            due,
            expires,
            attempts,
            flags,
            sum
        ])?;
    }
    Ok(())
}

fn insert_queue(transaction: &Transaction<'_>, key: &QueueKey) -> rusqlite::Result<i64> {
    let mut statement = transaction.prepare_cached(INSERT_QUEUE)?;
    statement.insert(params![
        &*key.organisation,
        &*key.destination,
        key_checksum(key),
        &*key.source,
    ])
}

/// Changes recipients; gives the names of the spool files that are gone with the last.
/// `outcome`: who says whether its content is kept, and when the last outcome was.
pub(super) fn change(
    transaction: &Transaction<'_>,
    queue_id: QueueId,
    planned: &Planned,
    changes: &[(u32, RecipientChange)],
    keys: &HashMap<QueueKey, i64>,
    outcome: Option<(&Keeping, Timestamp)>,
) -> rusqlite::Result<Vec<String>> {
    let id = queue_id.as_i64();
    if planned.empties {
        transaction
            .prepare_cached(DELETE_RECIPIENTS)?
            .execute([id])?;
        return delete_message(transaction, id, planned.spooled, outcome);
    }
    let mut removed = false;
    for ((number, state), key) in planned.resolved.iter().zip(&planned.keys) {
        let Some(state) = state else {
            transaction
                .prepare_cached(DELETE_RECIPIENT)?
                .execute(params![id, number])?;
            removed = true;
            continue;
        };
        // Known since the row was written; a queue is forgotten only without recipients. A row
        // that was found damaged gets the queue that its address says.
        let queue = match key.as_ref().and_then(|key| keys.get(key)) {
            Some(queue) => *queue,
            None => key
                .as_ref()
                .map_or(Ok(0), |key| insert_queue(transaction, key))?,
        };
        let reply = changes.iter().find_map(|(changed, change)| match change {
            RecipientChange::Deferred { last_reply, .. } if changed == number => {
                Some(&**last_reply)
            }
            RecipientChange::Deferred { .. }
            | RecipientChange::Done
            | RecipientChange::Returned { .. }
            | RecipientChange::Restricted { .. }
            | RecipientChange::Prolonged { .. } => None,
        });
        let SlotState {
            due,
            expires,
            attempts,
            flags,
        } = *state;
        let sum = row_checksum(id, *number, queue, *state);
        transaction
            .prepare_cached(UPDATE_RECIPIENT)?
            .execute(params![
                id, number, queue, due, expires, attempts, flags, sum, reply
            ])?;
    }
    // Another settlement of the same group may have taken the others.
    let mut left = transaction.prepare_cached(HAS_RECIPIENTS)?;
    if removed && !left.exists([id])? {
        return delete_message(transaction, id, planned.spooled, outcome);
    }
    Ok(Vec::new())
}

fn delete_message(
    transaction: &Transaction<'_>,
    id: i64,
    spooled: bool,
    outcome: Option<(&Keeping, Timestamp)>,
) -> rusqlite::Result<Vec<String>> {
    let kept = match outcome {
        Some((keeping, done)) => keeping.take(transaction, id, done)?,
        None => None,
    };
    let is_kept = kept.is_some();
    let mut gone = kept.unwrap_or_default();
    if spooled && !is_kept {
        let mut statement = transaction.prepare_cached(SPOOL_OF)?;
        let name = statement.query_row([id], |row| row.get(0)).optional()?;
        gone.extend(name.flatten());
    }
    transaction.prepare_cached(DELETE_MESSAGE)?.execute([id])?;
    Ok(gone)
}

/// Stores events, as [`delta::lines_of`] wrote them, with whatever they belong to.
pub(super) fn insert_outbox(
    transaction: &Transaction<'_>,
    position: u64,
    lines: &str,
) -> rusqlite::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    transaction
        .prepare_cached(INSERT_OUTBOX)?
        .execute(params![position, lines])
        .map(|_| ())
}

/// Takes a message out, with its recipients.
pub(super) fn delete(transaction: &Transaction<'_>, queue_id: QueueId) -> rusqlite::Result<()> {
    let id = queue_id.as_i64();
    transaction
        .prepare_cached(DELETE_RECIPIENTS)?
        .execute([id])?;
    transaction
        .prepare_cached(DELETE_MESSAGE)?
        .execute([id])
        .map(|_| ())
}

/// Remembers the last queue id given, so that ids never repeat though all messages are gone and
/// the clock went back.
pub(super) fn remember(transaction: &Transaction<'_>, last: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(SET_NUMBER)?
        .execute(params![LAST_QUEUE_ID, last])
        .map(|_| ())
}

/// At the end: the outbox as far as it is traced, the last queue id, the log into the database.
pub(super) fn tidy_up(connection: &mut Connection, traced: u64, last: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction
        .prepare_cached(DELETE_OUTBOX)?
        .execute([traced])?;
    remember(&transaction, last)?;
    transaction.commit()?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Forgets queues.
pub(super) fn forget_queues(transaction: &Transaction<'_>, ids: &[i64]) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("DELETE FROM queue WHERE id = ?1")?;
    ids.iter()
        .try_for_each(|id| statement.execute([id]).map(|_| ()))
}

/// Over what decides where and when a recipient goes. 32 bits, to keep the row small.
pub(super) fn row_checksum(id: i64, number: u32, queue: i64, state: SlotState) -> i64 {
    let SlotState {
        due,
        expires,
        attempts,
        flags,
    } = state;
    let mut sum = Checksum::default();
    for part in [id, i64::from(number), queue, due, expires] {
        sum.add(&part.to_le_bytes());
    }
    sum.add(&attempts.to_le_bytes());
    sum.add(&[flags]);
    i64::from(sum.finish() as u32)
}

/// Over a queue's name.
pub(super) fn key_checksum(key: &QueueKey) -> i64 {
    let mut sum = Checksum::default();
    sum.add(key.organisation.as_bytes());
    sum.add(&[0]);
    sum.add(key.destination.as_bytes());
    if !key.source.is_empty() {
        sum.add(&[0]);
        sum.add(key.source.as_bytes());
    }
    i64::from(sum.finish() as u32)
}
