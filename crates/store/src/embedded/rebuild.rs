//! At start the index is filled from the narrow table, piece by piece, while mail goes on: the
//! store opens at once, and leasing begins with the first entries.

use std::collections::HashMap;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::group;
use super::readers::{self, Found, Want};
use super::schema;
use super::writer::Shared;
use crate::error::StoreError;
use crate::index::{HELD, NewSlot, SPOOLED, SlotState};
use crate::queue::QueueKey;

/// Rows read and put in at a time.
const ROWS_MAX: usize = 20_000;

/// Queues by their number in the database.
pub(super) type QueueNames = HashMap<i64, QueueKey>;

struct Entry {
    message: i64,
    number: u32,
    queue: i64,
    state: SlotState,
    sound: bool,
}

/// Reads the queues. One whose row is damaged is left out: its recipients are found by address.
pub(super) fn queue_names(connection: &Connection) -> rusqlite::Result<QueueNames> {
    // A database that only was read since an older Relais wrote it has no sources.
    let has_sources: bool = connection.query_row(
        "SELECT count(*) FROM pragma_table_info('queue') WHERE name = 'source'",
        [],
        |row| row.get(0),
    )?;
    let source = if has_sources { "source" } else { "''" };
    let mut statement = connection.prepare(&format!(
        "SELECT id, organisation, destination, checksum, {source} FROM queue"
    ))?;
    let mut organisations: HashMap<String, std::sync::Arc<str>> = HashMap::new();
    let mut names = QueueNames::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let organisation: String = row.get(1)?;
        let organisation = organisations
            .entry(organisation)
            .or_insert_with_key(|name| name.as_str().into());
        let destination: String = row.get(2)?;
        let key = QueueKey {
            source: row.get::<_, String>(4)?.into(),
            ..QueueKey::new(organisation.clone(), destination)
        };
        if row.get::<_, i64>(3)? == group::key_checksum(&key) {
            names.insert(row.get(0)?, key);
        }
    }
    Ok(names)
}

/// Fills the index with everything up to and including message `last`. Blocks.
pub(super) fn fill(
    shared: &Shared,
    names: &QueueNames,
    last: i64,
    now: Timestamp,
) -> Result<Vec<QueueId>, StoreError> {
    let mut after = (-1, 0);
    let mut kept: Vec<Entry> = Vec::new();
    let mut damaged = Vec::new();
    loop {
        let entries = shared
            .readers
            .ask_blocking(|connection| read(connection, after, last))?;
        let ended = entries.len() < ROWS_MAX;
        if let Some(entry) = entries.last() {
            after = (entry.message, entry.number);
        }
        kept.extend(entries);
        // The last message of a piece may go on in the next.
        let end = kept.last().map_or(0, |entry| entry.message);
        let cut = if ended {
            kept.len()
        } else {
            kept.partition_point(|e| e.message < end)
        };
        let rest = kept.split_off(cut);
        enter(shared, names, &kept, now, &mut damaged)?;
        shared.bell.ring();
        kept = rest;
        if ended {
            return Ok(damaged);
        }
    }
}

fn read(connection: &Connection, after: (i64, u32), last: i64) -> Result<Vec<Entry>, StoreError> {
    let sql = "SELECT message, number, queue, due, expires, attempts, flags, checksum
               FROM recipient WHERE (message, number) > (?1, ?2) AND message <= ?3
               ORDER BY message, number LIMIT ?4";
    let mut statement = connection.prepare_cached(sql).map_err(schema::fault)?;
    let rows = statement.query_map(params![after.0, after.1, last, ROWS_MAX], entry_of);
    rows.and_then(Iterator::collect).map_err(schema::fault)
}

fn entry_of(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let (message, number, queue) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let whole = |attempts: i64, flags: i64| {
        let (attempts, flags) = (u16::try_from(attempts).ok()?, u8::try_from(flags).ok()?);
        Some((attempts, flags))
    };
    let (attempts, flags) = whole(row.get(5)?, row.get(6)?).unwrap_or_default();
    let state = SlotState {
        due: row.get(3)?,
        expires: row.get(4)?,
        attempts,
        flags,
    };
    let sound = row.get::<_, i64>(7)? == group::row_checksum(message, number, queue, state);
    Ok(Entry {
        message,
        number,
        queue,
        state,
        sound,
    })
}

fn enter(
    shared: &Shared,
    names: &QueueNames,
    entries: &[Entry],
    now: Timestamp,
    damaged: &mut Vec<QueueId>,
) -> Result<(), StoreError> {
    let mut ready = Vec::new();
    for of_message in entries.chunk_by(|one, other| one.message == other.message) {
        let Some(queue_id) = QueueId::from_i64(of_message[0].message) else {
            continue;
        };
        let sound: Option<Vec<NewSlot>> = of_message.iter().map(|e| slot_of(e, names)).collect();
        let slots = match sound {
            Some(slots) => slots,
            None => {
                damaged.push(queue_id);
                repaired(shared, queue_id, of_message, names, now)?
            }
        };
        ready.push((queue_id, slots));
    }
    let mut index = shared.index();
    ready
        .iter()
        .for_each(|(queue_id, slots)| index.insert(*queue_id, slots));
    Ok(())
}

fn slot_of(entry: &Entry, names: &QueueNames) -> Option<NewSlot> {
    let key = names.get(&entry.queue).filter(|_| entry.sound)?;
    Some(NewSlot {
        number: entry.number,
        key: key.clone(),
        state: entry.state.recovered(),
    })
}

/// Where a row is not what was written, the address says which queue it belongs to; the rest is
/// not known, so it waits for a person.
fn repaired(
    shared: &Shared,
    queue_id: QueueId,
    entries: &[Entry],
    names: &QueueNames,
    now: Timestamp,
) -> Result<Vec<NewSlot>, StoreError> {
    let found = shared
        .readers
        .ask_blocking(|connection| readers::find(connection, queue_id, Want::Content))?;
    let spooled = match &found {
        Found::Whole(message) if matches!(message.content, readers::FoundContent::Spooled(_)) => {
            SPOOLED
        }
        Found::Whole(_) | Found::Damaged | Found::Nothing => 0,
    };
    let state = SlotState {
        due: now.as_millis(),
        expires: i64::MAX,
        attempts: 0,
        flags: HELD | spooled,
    };
    let repair = |entry: &Entry| {
        let number = usize::try_from(entry.number).unwrap_or(usize::MAX);
        let key = match &found {
            Found::Whole(message) => {
                let recipient = message.record.recipients.get(number);
                recipient.map(|recipient| {
                    let destination = recipient.forward_path.host().to_string();
                    QueueKey::new(message.record.facts.organisation.clone(), destination)
                })
            }
            Found::Damaged | Found::Nothing => None,
        };
        let nowhere = || QueueKey::new("", "");
        NewSlot {
            number: entry.number,
            key: key.unwrap_or_else(nowhere),
            state,
        }
    };
    let slots = entries
        .iter()
        .map(|e| slot_of(e, names).unwrap_or_else(|| repair(e)));
    Ok(slots.collect())
}
