//! Sketches: for each mark (`trace/marks.rs`), in which blocks of 64 events it occurs; one sketch
//! for each sheet of 8,192 positions, so that a mark's blocks are the bits of one number.
//!
//! A sketch is made in memory while events come, where searches look at it too ([`Sheets`]), and
//! written when its sheet is full or its day is over: a few pages for thousands of events. A sheet
//! without one is read event by event.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::whole::Wholes;
use crate::trace::Event;
use crate::trace::marks::{self, MARKS, Mark};

/// Bits of a position within its sheet.
pub(super) const SHEET_BITS: u32 = 13;

/// Bits of a position within its block.
pub(super) const BLOCK_BITS: u32 = 6;

/// The blocks of a sheet, a bit each.
pub(super) type Blocks = u128;

/// Octets of them.
const OCTETS: usize = size_of::<Blocks>();

/// Marks whose blocks stand in one row: 2 KiB.
const MARKS_IN_PART: usize = 128;

/// Bits of the number of a part.
const PART_BITS: u32 = 8;

/// Sheets without a sketch that are caught up on at once: some 25 ms each.
const CAUGHT_UP_MAX: usize = 8;

/// Beside the tables of the first version, which does not mind them. `sheet`: those that have a
/// sketch; parts without a bit are left out.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS sheet (number INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS sketch (
    part INTEGER PRIMARY KEY,
    blocks BLOB NOT NULL
) STRICT;
";

/// The sheet of a position.
pub(super) fn sheet_of(position: u64) -> u64 {
    position >> SHEET_BITS
}

/// The sketch of a sheet that is being filled.
pub(super) struct Sheet {
    pub(super) number: u64,
    /// Events marked: where the sheet has others too, they were written before this process.
    events: u64,
    blocks: Arc<Mutex<Vec<Blocks>>>,
}

/// The sketches in memory, by day, for searches. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Sheets(Arc<Mutex<Vec<Seen>>>);

/// One of them.
struct Seen {
    day: String,
    number: u64,
    blocks: Arc<Mutex<Vec<Blocks>>>,
}

impl std::fmt::Debug for Sheets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sheets").finish_non_exhaustive()
    }
}

impl Sheets {
    fn all(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This is the day's sheet now; `None`: it has none in memory any more.
    pub(super) fn set(&self, day: &str, sheet: Option<&Sheet>) {
        let mut all = self.all();
        all.retain(|seen| seen.day != day);
        all.extend(sheet.map(|sheet| Seen {
            day: day.to_owned(),
            number: sheet.number,
            blocks: sheet.blocks.clone(),
        }));
    }

    /// The blocks that may have an event with a mark of each list, if the sheet is in memory.
    pub(super) fn blocks(&self, day: &str, number: u64, lists: &[Vec<Mark>]) -> Option<Blocks> {
        let all = self.all();
        let is_it = |seen: &&Seen| seen.day == day && seen.number == number;
        let blocks = all.iter().find(is_it)?.blocks.clone();
        drop(all);
        let blocks = blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let of_list = |marks: &Vec<Mark>| {
            let marks = marks.iter().map(|mark| blocks[usize::from(*mark)]);
            marks.fold(0, |all, one| all | one)
        };
        Some(
            lists
                .iter()
                .map(of_list)
                .fold(Blocks::MAX, |all, one| all & one),
        )
    }
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sheet")
            .field("number", &self.number)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl Sheet {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            events: 0,
            blocks: Arc::new(Mutex::new(vec![0; MARKS])),
        }
    }

    /// `before`: an event that was written before, with its position.
    pub(super) fn add(&mut self, position: u64, event: &Event, before: Option<(u64, &Event)>) {
        let bit = bit_of(position);
        let in_block = |(other, _): &(u64, _)| other >> BLOCK_BITS == position >> BLOCK_BITS;
        let marked = before.filter(in_block).map(|(_, event)| event);
        self.events += 1;
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        marks::of_event(event, marked, &mut |mark| blocks[usize::from(mark)] |= bit);
    }

    /// Writes it; reads first what it lacks.
    pub(super) fn store(mut self, connection: &Connection) -> rusqlite::Result<()> {
        let (first, end) = span(self.number);
        let sql = "SELECT count(*) FROM event WHERE position >= ?1 AND position < ?2";
        let there: u64 = connection.query_row(sql, [first, end], |row| row.get(0))?;
        if there != self.events {
            self = Self::of_stored(connection, self.number)?;
        }
        let mut insert = connection
            .prepare_cached("INSERT OR REPLACE INTO sketch (part, blocks) VALUES (?1, ?2)")?;
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        for (part, blocks) in blocks.chunks(MARKS_IN_PART).enumerate() {
            if blocks.iter().all(|blocks| *blocks == 0) {
                continue;
            }
            let octets: Vec<u8> = blocks.iter().flat_map(|one| one.to_le_bytes()).collect();
            insert.execute(params![(self.number << PART_BITS) | part as u64, octets])?;
        }
        connection.execute(
            "INSERT OR IGNORE INTO sheet (number) VALUES (?1)",
            [self.number],
        )?;
        Ok(())
    }

    /// What of a sheet is stored.
    pub(super) fn of_stored(connection: &Connection, number: u64) -> rusqlite::Result<Self> {
        let mut sheet = Self::new(number);
        let (first, end) = span(number);
        let sql = "SELECT position, json FROM event WHERE position >= ?1 AND position < ?2";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([first, end])?;
        let mut wholes = Wholes::default();
        let mut before: Option<(u64, Event)> = None;
        while let Some(row) = rows.next()? {
            let position = row.get(0)?;
            let json = wholes.of(connection, position, row.get_ref(1)?.as_str()?)?;
            // One that cannot be read matches nothing.
            if let Ok(event) = Event::from_json(&json) {
                let known = before.as_ref().map(|(position, event)| (*position, event));
                sheet.add(position, &event, known);
                before = Some((position, event));
            }
        }
        Ok(sheet)
    }
}

/// The bit of the block that a position lies in.
pub(super) fn bit_of(position: u64) -> Blocks {
    // The position within its sheet.
    let place = position & ((1 << SHEET_BITS) - 1);
    1 << (place >> BLOCK_BITS)
}

fn span(number: u64) -> (u64, u64) {
    (number << SHEET_BITS, (number + 1) << SHEET_BITS)
}

/// An event came late into a sheet that has its sketch: it is read event by event until
/// [`catch_up`] comes round.
pub(super) fn withdraw(transaction: &Transaction<'_>, number: u64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM sheet WHERE number = ?1";
    transaction.prepare_cached(sql)?.execute([number])?;
    Ok(())
}

/// Makes the sketch of a sheet anew: events in it were changed.
pub(super) fn make_anew(transaction: &Transaction<'_>, number: u64) -> rusqlite::Result<()> {
    if !has_sketch(transaction, number)? {
        return Ok(());
    }
    let sql = "DELETE FROM sketch WHERE part >= ?1 AND part < ?2";
    let parts = [number << PART_BITS, (number + 1) << PART_BITS];
    transaction.prepare_cached(sql)?.execute(parts)?;
    Sheet::of_stored(transaction, number)?.store(transaction)
}

/// Makes sketches of the sheets of a finished day that have none. How many were made.
pub(super) fn catch_up(connection: &Connection) -> rusqlite::Result<usize> {
    let sql = "SELECT min(position), max(position) FROM event";
    let (first, last): (Option<u64>, Option<u64>) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(0);
    };
    let mut made = 0;
    for number in sheet_of(first)..=sheet_of(last) {
        if made == CAUGHT_UP_MAX {
            break;
        }
        if !has_sketch(connection, number)? {
            Sheet::of_stored(connection, number)?.store(connection)?;
            made += 1;
        }
    }
    Ok(made)
}

/// Whether a sheet has its sketch.
fn has_sketch(connection: &Connection, number: u64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sheet WHERE number = ?1";
    connection.prepare_cached(sql)?.exists([number])
}

/// The sheets of a day that have their sketch; none in one of an older version.
pub(super) fn numbers(connection: &Connection) -> rusqlite::Result<BTreeSet<u64>> {
    if !are_there(connection)? {
        return Ok(BTreeSet::new());
    }
    let mut statement = connection.prepare_cached("SELECT number FROM sheet")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Of these blocks of a sheet that has a sketch, those that may have an event with at least one
/// mark of each list.
pub(super) fn blocks(
    connection: &Connection,
    (number, of): (u64, Blocks),
    lists: &[Vec<Mark>],
) -> rusqlite::Result<Blocks> {
    let mut parts = Parts {
        connection,
        number,
        read: Vec::new(),
    };
    let mut blocks = of;
    for marks in lists {
        let mut of_list = 0;
        // Classes of size or time are many marks in one or two parts.
        for marks in marks.chunk_by(|a, b| part_of(*a) == part_of(*b)) {
            of_list |= parts.blocks_of(marks)?;
        }
        blocks &= of_list;
        if blocks == 0 {
            break;
        }
    }
    Ok(blocks)
}

fn part_of(mark: Mark) -> u64 {
    u64::from(mark) / MARKS_IN_PART as u64
}

/// The parts of one sketch, each read once: kinds, TLS and sizes stand in the same one.
struct Parts<'a> {
    connection: &'a Connection,
    number: u64,
    /// Those read, by number; empty: without a bit.
    read: Vec<(u64, Vec<u8>)>,
}

impl Parts<'_> {
    /// The blocks that have any of some marks of one part.
    fn blocks_of(&mut self, marks: &[Mark]) -> rusqlite::Result<Blocks> {
        let Some(part) = marks.first().map(|mark| part_of(*mark)) else {
            return Ok(0);
        };
        let octets = self.part(part)?;
        if octets.is_empty() {
            return Ok(0);
        }
        let one = |mark: &Mark| {
            let place = usize::from(*mark) % MARKS_IN_PART;
            let octets = octets.get(place * OCTETS..(place + 1) * OCTETS);
            let octets = octets.and_then(|octets| octets.try_into().ok());
            // A row cut short is damage: everything is looked at.
            octets.map_or(Blocks::MAX, Blocks::from_le_bytes)
        };
        Ok(marks.iter().map(one).fold(0, |all, one| all | one))
    }

    fn part(&mut self, part: u64) -> rusqlite::Result<&[u8]> {
        let known = self.read.iter().position(|(number, _)| *number == part);
        let place = if let Some(place) = known {
            place
        } else {
            let sql = "SELECT blocks FROM sketch WHERE part = ?1";
            let mut statement = self.connection.prepare_cached(sql)?;
            let row = (self.number << PART_BITS) | part;
            let octets: Option<Vec<u8>> =
                statement.query_row([row], |row| row.get(0)).optional()?;
            self.read.push((part, octets.unwrap_or_default()));
            self.read.len() - 1
        };
        Ok(&self.read[place].1)
    }
}

/// Tables that an older version did not make.
fn are_there(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE name = 'sketch'";
    connection.prepare_cached(sql)?.exists([])
}

#[cfg(test)]
mod tests {
    use relais_smtp::time::Timestamp;

    use super::*;
    use crate::trace::{EventKind, To, TraceQuery};

    fn event(subject: &str, size: u64) -> Event {
        Event {
            subject: Some(subject.into()),
            size: Some(size),
            ..Event::new(Timestamp::from_millis(0), EventKind::MessageAccepted)
        }
    }

    #[test]
    fn a_sketch_excludes_blocks_and_never_one_that_fits() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE event (position INTEGER PRIMARY KEY, json TEXT)")
            .unwrap();
        connection.execute_batch(TABLES).unwrap();
        let mut sheet = Sheet::new(0);
        for position in 0..8_192_u64 {
            let one = match position {
                100 => event("Facture 774321 jointe", 12_000_000),
                _ => event("Scan from the office", 40_000),
            };
            let json = one.to_json();
            let sql = "INSERT INTO event VALUES (?1, ?2)";
            connection.execute(sql, params![position, json]).unwrap();
            sheet.add(position, &one, None);
        }
        sheet.store(&connection).unwrap();
        let blocks_for = |text: &str| {
            let query = TraceQuery::parse(text).unwrap();
            let lists: Vec<_> = query.terms.iter().flat_map(marks::of_term).collect();
            assert_eq!(numbers(&connection).unwrap(), BTreeSet::from([0]));
            blocks(&connection, (0, Blocks::MAX), &lists).unwrap()
        };
        assert_eq!(blocks_for("subject:774321"), 0b10);
        assert_eq!(blocks_for("FACTURE"), 0b10);
        assert_eq!(blocks_for("size:>10mb"), 0b10);
        assert_eq!(blocks_for("subject:office"), Blocks::MAX);
        assert_eq!(blocks_for("status:failed"), 0);
        assert_eq!(blocks_for("subject:office size:>10mb"), 0b10);
        assert_eq!(blocks_for("subject:zz"), Blocks::MAX);
    }

    #[test]
    fn what_an_event_has_in_common_with_the_one_before_is_marked_in_each_block() {
        let one = |position: u64| Event {
            from: Some(
                ["scan@contoso.test", "nas@contoso.test"][(position / 3 % 2) as usize].into(),
            ),
            to: Some(To::One(
                format!("person-{}@example.org", position / 2).into(),
            )),
            organisation: Some("contoso".into()),
            reply: (position.is_multiple_of(5)).then(|| "250 2.0.0 Ok: queued".into()),
            ..event(["Scan", "Invoice 42"][(position / 7 % 2) as usize], 4_096)
        };
        let (mut sheet, mut plain) = (Sheet::new(0), Sheet::new(0));
        let mut before: Option<(u64, Event)> = None;
        // One that is missing, as a position that was there already is.
        for position in (0..400).filter(|position| *position != 64) {
            let event = one(position);
            let known = before.as_ref().map(|(position, event)| (*position, event));
            sheet.add(position, &event, known);
            plain.add(position, &event, None);
            before = Some((position, event));
        }
        assert!(*sheet.blocks.lock().unwrap() == *plain.blocks.lock().unwrap());
    }

    #[test]
    fn what_this_process_has_not_seen_is_read_before_a_sketch_is_written() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE event (position INTEGER PRIMARY KEY, json TEXT)")
            .unwrap();
        connection.execute_batch(TABLES).unwrap();
        let json = event("Before the restart", 10).to_json();
        let sql = "INSERT INTO event VALUES (5, ?1)";
        connection.execute(sql, [json]).unwrap();
        Sheet::new(0).store(&connection).unwrap();
        let query = TraceQuery::parse("subject:restart").unwrap();
        let lists: Vec<_> = query.terms.iter().flat_map(marks::of_term).collect();
        assert_eq!(blocks(&connection, (0, Blocks::MAX), &lists).unwrap(), 1);
    }
}
