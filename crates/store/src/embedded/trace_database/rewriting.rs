//! Events written anew without an address, and everything that was derived from them: lists of the
//! index, sketches, the senders of devices. What was there before does not stay in free pages.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use rusqlite::{Connection, params};

use super::sketches::{self, Sheet};
use super::whole::{self, Wholes};
use super::{
    BUSY_TIME_MAX, CLEAN_PAGES, TraceDatabaseError, TraceDatabases, TraceWriter, fault, postings,
};
use crate::files;
use crate::trace::dialogue::DialogueKey;
use crate::trace::erase::{Erased, Erasure};
use crate::trace::{Event, delta};

/// Events erased by one act; who has more repeats it.
const EVENTS_MAX: usize = 500_000;

/// Events written anew in one turn of the trace's thread, which has mail's events to write too.
const TURN_EVENTS_MAX: usize = 500;

/// Sheets that they stand on: some 25 ms each for a new sketch.
const TURN_SHEETS_MAX: usize = 8;

/// Where an address stands.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Positions, by day.
    pub(crate) days: BTreeMap<String, Vec<u64>>,
    /// Messages and refusals that those events tell of, as conversations are kept under: those of
    /// messages are their queue ids.
    pub(crate) keys: HashSet<i64>,
}

/// Positions of a day, in their order, in turns that are short.
pub(crate) fn turns(positions: &[u64]) -> impl Iterator<Item = &[u64]> {
    let mut left = positions;
    std::iter::from_fn(move || {
        let mut sheets = BTreeSet::new();
        let is_one_too_many = |position: &u64| {
            sheets.insert(sketches::sheet_of(*position));
            sheets.len() > TURN_SHEETS_MAX
        };
        let most = left.len().min(TURN_EVENTS_MAX);
        let end = left[..most].iter().position(is_one_too_many);
        let (turn, rest) = left.split_at(end.unwrap_or(most));
        left = rest;
        (!turn.is_empty()).then_some(turn)
    })
}

impl TraceDatabases {
    /// Where the address stands. Reads every event: the index does not know what stands within
    /// replies and details.
    pub(crate) fn places(
        &self,
        wanted: &Erasure,
        erased: &mut Erased,
    ) -> Result<Places, TraceDatabaseError> {
        let mut places = Places::default();
        let mut left = EVENTS_MAX;
        for day in self.days()? {
            let looked = self.open_for_reading(&day).and_then(|connection| {
                let Some(connection) = connection else {
                    return Ok(Vec::new());
                };
                let found = positions(&connection, wanted, &mut left, &mut places.keys);
                found.map_err(|error| fault(&day, &error))
            });
            match looked {
                Ok(found) => {
                    erased.events += found.len() as u64;
                    // Devices may have it, though none of the day's events has any more.
                    places.days.insert(day, found);
                }
                Err(error) => {
                    tracing::warn!(%error, "a day of the trace cannot be read");
                    erased.unread.push(day);
                }
            }
        }
        erased.has_more |= left == 0;
        let aside = files::names(&self.folder)?.into_iter();
        let is_log = |name: &str| name.ends_with("-wal") || name.ends_with("-shm");
        erased
            .unread
            .extend(aside.filter(|name| name.contains(".damaged") && !is_log(name)));
        Ok(places)
    }
}

fn positions(
    connection: &Connection,
    wanted: &Erasure,
    left: &mut usize,
    keys: &mut HashSet<i64>,
) -> rusqlite::Result<Vec<u64>> {
    let mut found = Vec::new();
    // Downwards: what an event has in common with an older one is read there, before that changes.
    let sql = "SELECT position, json FROM event ORDER BY position DESC";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut wholes = Wholes::default();
    while let Some(row) = rows.next()? {
        if *left == 0 {
            break;
        }
        let position = row.get(0)?;
        let json = wholes.of(connection, position, row.get_ref(1)?.as_str()?)?;
        if !wanted.eraser.is_in(&json) {
            continue;
        }
        let event = Event::from_json(&json).ok();
        let whose = event.as_ref().and_then(|event| event.organisation.clone());
        if let Some(own) = &wanted.organisation
            && whose.as_deref() != Some(own.as_str())
        {
            continue;
        }
        let event = event.as_ref();
        let message = event
            .and_then(|event| event.queue_id)
            .map(DialogueKey::Message);
        let refusal = event
            .and_then(|event| event.reference)
            .map(DialogueKey::Refusal);
        keys.extend(
            [message, refusal]
                .into_iter()
                .flatten()
                .map(DialogueKey::number),
        );
        found.push(position);
        *left -= 1;
    }
    Ok(found)
}

impl TraceWriter {
    /// Writes these events of a day anew, one of its [`turns`]; when it returns, they are on stable
    /// storage. [`TraceWriter::finish_rewriting`] comes behind the last one. How many there were.
    pub(crate) fn rewrite(
        &mut self,
        day: &str,
        positions: &[u64],
        wanted: &Erasure,
    ) -> Result<u64, TraceDatabaseError> {
        let databases = self.databases.clone();
        let mut crossing = std::mem::take(&mut self.crossing);
        let rewritten = if let Some(open) = self.open.iter_mut().find(|open| open.day == day) {
            let current = open.sheet.as_ref().map(|sheet| sheet.number);
            // The sheet in memory is made anew only if something on it changes.
            let rewritten = rewrite(
                &mut open.connection,
                positions,
                wanted,
                (current, &mut crossing),
            );
            rewritten.and_then(|rewritten| {
                if let Some(number) = current.filter(|number| rewritten.sheets.contains(number)) {
                    open.sheet = Some(Sheet::of_stored(&open.connection, number)?);
                    databases.sheets.set(day, open.sheet.as_ref());
                }
                Ok(rewritten.count)
            })
        } else {
            match self.finished_day(day)? {
                Some(connection) => {
                    let rewritten = rewrite(connection, positions, wanted, (None, &mut crossing));
                    rewritten.map(|rewritten| rewritten.count)
                }
                None => Ok(0),
            }
        };
        self.crossing = crossing;
        rewritten.map_err(|error| self.give_up(day, &error))
    }

    /// The devices of a day, and its log cut; false: a reader was in the way of that, and the rest
    /// is done.
    pub(crate) fn finish_rewriting(
        &mut self,
        day: &str,
        wanted: &Erasure,
    ) -> Result<bool, TraceDatabaseError> {
        let finished = if let Some(open) = self.open.iter_mut().find(|open| open.day == day) {
            finish(&mut open.connection, wanted, false)
        } else {
            match self.finished_day(day)? {
                Some(connection) => finish(connection, wanted, true),
                None => Ok(true),
            }
        };
        self.rewriting = None;
        self.crossing.clear();
        finished.map_err(|error| self.give_up(day, &error))
    }

    /// What state its connection is in is not worth knowing: opened again, it recovers by itself.
    fn give_up(&mut self, day: &str, error: &rusqlite::Error) -> TraceDatabaseError {
        self.open.retain(|open| open.day != day);
        self.databases.sheets.set(day, None);
        self.rewriting = None;
        self.crossing.clear();
        fault(day, error)
    }

    /// A day that nobody writes to any more, open from one turn to the next. `None`: its file was
    /// removed meanwhile, and is not made anew.
    fn finished_day(&mut self, day: &str) -> Result<Option<&mut Connection>, TraceDatabaseError> {
        let is_it = |(open, _): &(String, Connection)| open == day;
        if !self.rewriting.as_ref().is_some_and(is_it) {
            self.rewriting = None;
            if !files::exists(&self.databases.file_of(day)) {
                return Ok(None);
            }
            let connection = super::open_for_writing(&self.databases, day)?;
            self.rewriting = Some((day.to_owned(), connection));
        }
        Ok(self.rewriting.as_mut().map(|(_, connection)| connection))
    }
}

/// Sheets on which events stand that are told by an event of another sheet, by the place of that
/// one: what it has goes from their sketches only when it is written anew itself.
pub(super) type Crossing = BTreeMap<u64, u64>;

/// What one turn did.
struct Rewritten {
    count: u64,
    /// Those that have to be made anew, or were.
    sheets: BTreeSet<u64>,
}

/// `current`: the sheet that is still in memory, and has no sketch here.
fn rewrite(
    connection: &mut Connection,
    positions: &[u64],
    wanted: &Erasure,
    (current, crossing): (Option<u64>, &mut Crossing),
) -> rusqlite::Result<Rewritten> {
    connection.pragma_update(None, "secure_delete", true)?;
    let transaction = connection.transaction()?;
    let mut sheets = BTreeSet::new();
    let mut count = 0;
    let mut wholes = Wholes::default();
    for position in positions {
        let Some(line) = whole::line_at(&transaction, *position)? else {
            continue;
        };
        let told = wholes.told(&transaction, *position, &line)?;
        let json = told.whole();
        let Some(anew) = wanted.eraser.replace(&json) else {
            continue;
        };
        let sheet = sketches::sheet_of(*position);
        let others = others(*position, &told.lines()).into_iter();
        crossing.extend(others.filter_map(|other| {
            let is_elsewhere = sketches::sheet_of(other) != sheet;
            is_elsewhere.then_some((other, sheet))
        }));
        // What it has in common with another one is erased there, later: see `positions`.
        if let Some(line) = wanted.eraser.replace(&line) {
            let sql = "UPDATE event SET json = ?2 WHERE position = ?1";
            transaction
                .prepare_cached(sql)?
                .execute(params![position, line])?;
        }
        if let (Ok(before), Ok(after)) = (Event::from_json(&json), Event::from_json(&anew)) {
            postings::change(&transaction, *position, (&before, &after))?;
        }
        sheets.insert(sheet);
        sheets.extend(crossing.remove(position));
        count += 1;
    }
    for sheet in sheets.iter().filter(|sheet| Some(**sheet) != current) {
        sketches::make_anew(&transaction, *sheet)?;
    }
    transaction.commit()?;
    connection.pragma_update(None, "secure_delete", CLEAN_PAGES)?;
    Ok(Rewritten { count, sheets })
}

/// Where the events stand that one is told by, the nearest first.
fn others(position: u64, lines: &[&str]) -> Vec<u64> {
    let mut at = position;
    let backs = lines.iter().filter_map(|line| delta::back_of(line));
    backs
        .map_while(|back| {
            at = at.checked_sub(back)?;
            Some(at)
        })
        .collect()
}

/// The devices of a day, and its log cut; whether it is. `is_finished`: nobody writes to the day
/// any more; it becomes one file again.
fn finish(
    connection: &mut Connection,
    wanted: &Erasure,
    is_finished: bool,
) -> rusqlite::Result<bool> {
    connection.pragma_update(None, "secure_delete", true)?;
    let transaction = connection.transaction()?;
    forget_devices(&transaction, wanted)?;
    transaction.commit()?;
    connection.pragma_update(None, "secure_delete", CLEAN_PAGES)?;
    // What the log has, and what it has overwritten, goes with it. Nobody waits for a reader here.
    connection.busy_timeout(Duration::ZERO)?;
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    if is_finished && let Err(error) = connection.pragma_update(None, "journal_mode", "DELETE") {
        tracing::debug!(%error, "the log of a finished day of the trace stays for now");
    }
    connection.busy_timeout(BUSY_TIME_MAX)?;
    Ok(busy? == 0)
}

/// What a device was seen with last, where an address may stand.
const TOLD_OF_DEVICES: [&str; 4] = ["helo", "credential", "certificate", "sender"];

fn forget_devices(connection: &Connection, wanted: &Erasure) -> rusqlite::Result<()> {
    for column in TOLD_OF_DEVICES {
        let sql = format!(
            "SELECT DISTINCT {column} FROM device WHERE {column} IS NOT NULL
             AND (?1 IS NULL OR organisation = ?1)"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let told = statement.query_map([&wanted.organisation], |row| row.get::<_, String>(0))?;
        let told: Vec<_> = told.collect::<Result<_, _>>()?;
        for text in told.iter().filter(|text| wanted.eraser.is_in(text)) {
            let sql = format!(
                "UPDATE device SET {column} = NULL WHERE {column} = ?1
                 AND (?2 IS NULL OR organisation = ?2)"
            );
            connection.execute(&sql, params![text, wanted.organisation])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use relais_smtp::time::Timestamp;

    use super::super::TraceRecord;
    use super::*;
    use crate::trace::erase::Eraser;
    use crate::trace::{ClientSummary, EventKind, To, TraceQuery, marks};

    const NOON: i64 = 1_795_521_600_000;
    const DAY: i64 = 86_400_000;
    /// More than a sheet.
    const A_DAY: u64 = 9_000;

    fn accepted(position: u64, time: i64) -> Event {
        let is_ann = position.is_multiple_of(100);
        let to = match is_ann {
            true => "Ann@x.test".to_owned(),
            false => format!("b{}@x.test", position % 7),
        };
        let organisation = if position.is_multiple_of(200) {
            "fabrikam"
        } else {
            "contoso"
        };
        Event {
            to: Some(To::Many(vec![to.as_str().into()])),
            from: Some(format!("joann{}@x.test", position % 3).as_str().into()),
            organisation: Some(Arc::from(organisation)),
            reply: is_ann.then(|| "550 5.1.1 <ann@x.test> unknown".into()),
            ..Event::new(Timestamp::from_millis(time), EventKind::RecipientFailed)
        }
    }

    fn append(writer: &mut TraceWriter, events: &[(u64, Event)]) {
        let lines = delta::lines_of(events.iter().map(|(_, event)| event));
        let records = events.iter().zip(lines.lines());
        let records: Vec<_> = records
            .map(|((position, event), line)| TraceRecord {
                position: *position,
                line,
                event,
            })
            .collect();
        writer.append(&records).unwrap();
    }

    fn count(databases: &TraceDatabases, text: &str) -> usize {
        let query = TraceQuery {
            limit: 10_000,
            ..TraceQuery::parse(text).unwrap()
        };
        databases.search(&query).unwrap().rows.len()
    }

    fn erase(
        (databases, writer): (&TraceDatabases, &mut TraceWriter),
        organisation: Option<&str>,
    ) -> u64 {
        let wanted = Erasure {
            eraser: Eraser::new("ann@x.test").unwrap(),
            organisation: organisation.map(ToOwned::to_owned),
        };
        let mut erased = Erased::default();
        let places = databases.places(&wanted, &mut erased).unwrap();
        assert_eq!((erased.has_more, erased.unread.len()), (false, 0));
        for (day, positions) in &places.days {
            for turn in turns(positions) {
                let rewritten = writer.rewrite(day, turn, &wanted).unwrap();
                assert_eq!(rewritten, turn.len() as u64);
            }
            assert!(writer.finish_rewriting(day, &wanted).unwrap());
        }
        erased.events
    }

    fn in_a_file(folder: &Path, text: &str) -> bool {
        let mut files = std::fs::read_dir(folder).unwrap();
        files.any(|file| {
            let octets = std::fs::read(file.unwrap().path()).unwrap();
            let octets = octets.to_ascii_lowercase();
            octets
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        })
    }

    #[test]
    fn an_erased_address_leaves_events_index_sketches_and_files_of_open_and_finished_days() {
        let folder = tempfile::tempdir().unwrap();
        let databases = TraceDatabases::new(folder.path().join("trace"));
        let mut writer = databases.writer().unwrap();
        for (day, first) in [(0, 1), (1, 1 + A_DAY), (2, 1 + 2 * A_DAY)] {
            let positions = first..first + A_DAY;
            let events: Vec<_> = positions
                .map(|position| (position, accepted(position, NOON + day * DAY)))
                .collect();
            append(&mut writer, &events);
        }
        let others = count(&databases, "to:b3@x.test");
        assert_eq!(count(&databases, "to:ann@x.test"), 270);
        // One organisation's first.
        assert_eq!(erase((&databases, &mut writer), Some("fabrikam")), 135);
        assert_eq!(count(&databases, "to:ann@x.test"), 135);
        assert_eq!(count(&databases, "to:ann@x.test organisation:fabrikam"), 0);
        assert_eq!(erase((&databases, &mut writer), None), 135);
        assert_eq!(erase((&databases, &mut writer), None), 0);
        for text in ["to:ann@x.test", "ann@x.test", "to:ann", "\"<ann@x.test>\""] {
            assert_eq!(count(&databases, text), 0, "{text}");
        }
        for text in [
            "to:erased@erased.invalid",
            "to:erased.invalid",
            "\"<erased@erased\"",
        ] {
            assert_eq!(count(&databases, text), 270, "{text}");
        }
        assert_eq!(count(&databases, "to:b3@x.test"), others);
        assert!(count(&databases, "from:joann1@x.test") > 0);
        for text in ["\"ann@x.test", "<ann@x.test"] {
            assert!(!in_a_file(&folder.path().join("trace"), text), "{text}");
        }
        // The day that is open goes on.
        let next = (1 + 3 * A_DAY, accepted(100, NOON + 2 * DAY));
        append(&mut writer, &[next]);
        assert_eq!(count(&databases, "to:ann@x.test"), 1);
    }

    #[test]
    fn an_erased_address_that_stood_in_the_first_events_of_a_day_is_in_no_page_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let databases = TraceDatabases::new(folder.path().join("trace"));
        let mut writer = databases.writer().unwrap();
        for number in 1..300 {
            append(&mut writer, &[(number, accepted(100 * number, NOON))]);
        }
        assert_eq!(erase((&databases, &mut writer), None), 299);
        assert!(!in_a_file(&folder.path().join("trace"), "ann@x.test"));
    }

    #[test]
    fn an_erased_address_leaves_the_sketch_of_events_that_are_told_by_one_of_another_sheet() {
        const SHEET: u64 = 8_192;
        let folder = tempfile::tempdir().unwrap();
        let databases = TraceDatabases::new(folder.path().join("trace"));
        let mut writer = databases.writer().unwrap();
        let before: Vec<_> = (1..SHEET - 2)
            .map(|position| (position, accepted(1, NOON)))
            .collect();
        append(&mut writer, &before);
        // One message from the end of a sheet into the next one, where it has the events of a turn:
        // what is told by the first ones is written anew before they are.
        let of_message = |position| {
            let event = Event {
                queue_id: relais_smtp::identifier::QueueId::from_i64(77),
                ..accepted(100, NOON)
            };
            (position, event)
        };
        let message: Vec<_> = (SHEET - 2..SHEET + 500).map(of_message).collect();
        append(&mut writer, &message);
        let behind: Vec<_> = (SHEET + 500..2 * SHEET + 1)
            .map(|position| (position, accepted(1, NOON)))
            .collect();
        append(&mut writer, &behind);
        let blocks_of = |sheet: u64| {
            let day = databases.days().unwrap().remove(0);
            let connection = databases.open_for_reading(&day).unwrap().unwrap();
            assert!(sketches::numbers(&connection).unwrap().contains(&sheet));
            let query = TraceQuery::parse("\"ann@x.test\"").unwrap();
            let lists: Vec<_> = query.terms.iter().flat_map(marks::of_term).collect();
            sketches::blocks(&connection, (sheet, sketches::Blocks::MAX), &lists).unwrap()
        };
        assert!(blocks_of(0) != 0 && blocks_of(1) != 0);
        assert_eq!(erase((&databases, &mut writer), None), 502);
        assert_eq!((blocks_of(0), blocks_of(1)), (0, 0));
        assert!(writer.crossing.is_empty());
    }

    #[test]
    fn an_erased_address_leaves_every_column_of_the_devices() {
        let folder = tempfile::tempdir().unwrap();
        let databases = TraceDatabases::new(folder.path().join("trace"));
        let mut writer = databases.writer().unwrap();
        let ann = |before: &str| Some(Arc::from(format!("{before}ann@x.test").as_str()));
        let client = ClientSummary {
            address: [10, 1, 2, 9].into(),
            helo: ann("of-"),
            credential: ann(""),
            certificate: ann("E="),
        };
        let event = Event {
            client: Some(Arc::new(client)),
            inbound_connector: Some("Printers".into()),
            from: ann(""),
            kind: EventKind::MessageAccepted,
            ..accepted(1, NOON)
        };
        append(&mut writer, &[(1, event)]);
        assert_eq!(erase((&databases, &mut writer), None), 1);
        let devices = databases
            .devices(Timestamp::from_millis(NOON - DAY))
            .unwrap();
        let [device] = &devices[..] else {
            panic!("{devices:?}");
        };
        assert_eq!(device.helo.as_deref(), Some("of-ann@x.test"), "another one");
        let gone = [&device.credential, &device.certificate, &device.sender];
        assert_eq!(gone, [&None; 3]);
    }

    #[test]
    fn turns_have_few_events_on_few_sheets_and_every_event_once() {
        const SHEET: u64 = 8_192;
        let dense: Vec<_> = (1..2_000).collect();
        let sparse: Vec<_> = (1..30).map(|sheet| sheet * SHEET + 7).collect();
        for (positions, count) in [(dense, 4), (sparse, 4), (Vec::new(), 0)] {
            // In either direction.
            for positions in [positions.clone(), positions.into_iter().rev().collect()] {
                let turns: Vec<_> = turns(&positions).collect();
                assert_eq!(turns.len(), count);
                assert_eq!(turns.concat(), positions);
                for turn in turns {
                    let sheets: BTreeSet<_> = turn.iter().map(|one| one / SHEET).collect();
                    assert!(turn.len() <= 500 && sheets.len() <= 8);
                }
            }
        }
    }
}
