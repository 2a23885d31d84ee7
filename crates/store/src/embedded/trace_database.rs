//! The trace at rest: one SQLite database for each day (UTC), `trace/2026-11-24.db`.
//!
//! *Why days:* retention removes files, not rows; a damaged file costs one day; a question about
//! the last hour opens one or two.
//!
//! *Why synced:* an event comes from the outbox of the queue database, which forgets it as soon as
//! [`TraceWriter::append`] has returned. That deletion is synced with the next message. With
//! `synchronous=NORMAL` the event's own row could still be unsynced then, and a power cut would
//! lose it on both sides. So FULL: one sync per batch, and batches grow with the load.
//!
//! *Why an index of our own:* a B-tree index for each token costs a random page per event once a
//! day's file is larger than its cache. Here each batch writes, for each value that occurs in it
//! (address, client, connector, token …), one row with the list of its events (`postings.rs`),
//! clustered by segments of 65,536 events: the busier the server, the cheaper each event, and the
//! pages written are always the same few. What such lists could not hold (words inside subjects,
//! sizes, TLS) is narrowed down by sketches (`sketches.rs`), and what charts show is counted beside
//! the events (`tallies.rs`).
//!
//! Not here: the outbox and its positions, and what a query means (`trace/query.rs`).

mod search;
mod rewriting;
mod tallies;
mod sketches;
mod whole;
mod postings;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use relais_smtp::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, params};

use self::postings::Collected;
pub(crate) use self::rewriting::{Places, turns};
use self::sketches::{Sheet, Sheets};
use crate::files::{self, FileError};
use crate::trace::tally::Tallies;
use crate::trace::{Event, EventKind};

/// Version of what is written; a file of a newer one is neither read nor written. In the first one
/// every event was whole; its days become days of this version when they are written to.
const SCHEMA_VERSION: i64 = 2;
const FIRST_VERSION: i64 = 1;

/// `position` grows with the time of storing, over all days. `client` and `token` are there for
/// refused attempts only, to group them without reading their JSON. A segment is known by its
/// number, `position >> 16`, with the span of its events' times. `json` may tell only how the event
/// differs from another of the same file (`trace/delta.rs`): read through `whole.rs`.
const SCHEMA: &str = "
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    client TEXT,
    token TEXT,
    json TEXT NOT NULL
) STRICT;
CREATE INDEX event_refused ON event (time, client, token) WHERE client IS NOT NULL;
CREATE TABLE posting (
    segment INTEGER NOT NULL,
    key INTEGER NOT NULL,
    first INTEGER NOT NULL,
    further BLOB,
    PRIMARY KEY (segment, key, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE segment (
    number INTEGER PRIMARY KEY,
    time_min INTEGER NOT NULL,
    time_max INTEGER NOT NULL
) STRICT;
";

/// Octets of a page of a new day: SQLite writes its log and its file page by page, and most of what
/// is written are events one after the other. Days made with 4 KiB stay as they are.
const PAGE_OCTETS: i64 = 8_192;

/// Pages of the log after which SQLite moves them into the file: 16 MiB, so that the pages of an
/// index that a busy second writes again and again are moved once.
const CHECKPOINT_PAGES: i64 = 2_048;

/// Page cache of a writing connection, in KiB: the index pages of a segment, some times over.
const WRITER_CACHE_KIB: i64 = 8_192;

/// Page cache of a reading connection, in KiB.
const READER_CACHE_KIB: i64 = 1_024;

/// The log file is cut back to this after a burst, in octets.
const LOG_OCTETS_KEPT: i64 = 32 * 1_024 * 1_024;

/// Another process (a backup, a tool) may hold a database this long before we give up.
const BUSY_TIME_MAX: Duration = Duration::from_secs(5);

/// Nothing of what was moved or replaced stays in pages that are in use: this costs no writing.
const CLEAN_PAGES: &str = "FAST";

/// Days open for writing at once: about midnight, and while an outbox of yesterday is emptied.
const DAYS_OPEN_MAX: usize = 2;

/// Days removed by one [`TraceWriter::purge`]; see there.
const PURGED_DAYS_MAX: usize = 1;

const DAY_MILLIS: i64 = 86_400_000;

/// The trace cannot be written, or read at all.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum TraceDatabaseError {
    /// A database answered with an error.
    #[error("the trace of {day}: {because}")]
    Database {
        day: String,
        because: String,
        /// The file itself is no good, rather than the disk or the moment.
        damaged: bool,
    },
    /// Written by a newer version of Relais.
    #[error("the trace of {day} was written by a newer version of Relais")]
    Newer { day: String },
    /// The folder or a file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The folder with the databases. Cheap to clone; holds nothing open.
#[derive(Clone, Debug)]
pub(crate) struct TraceDatabases {
    folder: PathBuf,
    /// What of the index is in memory.
    sheets: Sheets,
}

/// An event to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceRecord<'a> {
    /// Unique, growing without large gaps: 65,536 of them share one segment of the index.
    pub(crate) position: u64,
    /// Its JSON, or how it differs from one of the same group: a line of `delta::lines_of`.
    pub(crate) line: &'a str,
    /// The same.
    pub(crate) event: &'a Event,
}

/// What [`TraceWriter::append`] did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Appended {
    /// Events that were not there yet.
    pub(crate) new: usize,
    /// Damaged days that were set aside to go on: to be told to a person.
    pub(crate) set_aside: Vec<SetAside>,
}

/// A database that cannot be used was renamed, to be looked at; nothing of it was deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SetAside {
    pub(crate) day: String,
    /// Its new name, in the same folder.
    pub(crate) name: String,
    pub(crate) because: String,
}

/// The one writer of the databases.
#[derive(Debug)]
pub(crate) struct TraceWriter {
    databases: TraceDatabases,
    /// The last used at the end.
    open: Vec<DayOpen>,
    /// A finished day in which an address is being erased.
    rewriting: Option<(String, Connection)>,
    /// See [`rewriting::Crossing`].
    crossing: rewriting::Crossing,
}

/// How events are written.
#[derive(Clone, Copy)]
enum Lines {
    AsTold,
    /// Each by itself.
    Whole,
}

/// A day that is written to.
#[derive(Debug)]
struct DayOpen {
    day: String,
    connection: Connection,
    /// The sheet that is being filled.
    sheet: Option<Sheet>,
    collected: Collected,
}

impl TraceDatabases {
    /// The databases in a folder; an absent folder is an empty trace until something is written.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            sheets: Sheets::default(),
        }
    }

    /// Makes the folder if absent, and gives the writer. There must be only one.
    pub(crate) fn writer(&self) -> Result<TraceWriter, TraceDatabaseError> {
        files::make_folder(&self.folder)?;
        Ok(TraceWriter {
            databases: self.clone(),
            open: Vec::new(),
            rewriting: None,
            crossing: rewriting::Crossing::new(),
        })
    }

    /// Days that have a database, newest first.
    pub(crate) fn days(&self) -> Result<Vec<String>, TraceDatabaseError> {
        let names = files::names(&self.folder)?;
        let days = names.iter().filter_map(|name| name.strip_suffix(".db"));
        let mut days: Vec<_> = days.filter(|day| is_day(day)).map(str::to_owned).collect();
        days.reverse();
        Ok(days)
    }

    /// The highest position stored in any readable day; `None` in an empty trace.
    pub(crate) fn last_position(&self) -> Result<Option<u64>, TraceDatabaseError> {
        let mut last = None;
        for day in self.days()? {
            let found = self.open_for_reading(&day).and_then(|connection| {
                let Some(connection) = connection else {
                    return Ok(None);
                };
                let sql = "SELECT max(position) FROM event";
                connection
                    .query_row(sql, [], |row| row.get(0))
                    .map_err(|e| fault(&day, &e))
            });
            match found {
                Ok(position) => last = last.max(position),
                // Set aside when it is written to; its positions are in the other days' past.
                Err(error) => tracing::warn!(%error, "a day of the trace cannot be read"),
            }
        }
        Ok(last)
    }

    pub(crate) fn file_of(&self, day: &str) -> PathBuf {
        self.folder.join(format!("{day}.db"))
    }

    /// `None`: the file was made this moment and has no tables yet, or was removed this moment.
    fn open_for_reading(&self, day: &str) -> Result<Option<Connection>, TraceDatabaseError> {
        let file = self.file_of(day);
        let opened = open_read_only(&file).map_err(|error| fault(day, &error));
        let (connection, tables) = match opened {
            Ok(opened) => opened,
            Err(_) if !files::exists(&file) => return Ok(None),
            Err(error) => return Err(error),
        };
        match tables {
            Tables::None => Ok(None),
            Tables::Ours => Ok(Some(connection)),
            Tables::Newer => Err(TraceDatabaseError::Newer {
                day: day.to_owned(),
            }),
            Tables::Foreign => Err(foreign(day)),
        }
    }
}

impl TraceWriter {
    /// Stores events; those whose position is there already are left as they are. When it returns,
    /// they are on stable storage. On an error some days may have been stored: repeat the whole.
    ///
    /// A damaged day is set aside and begun anew; the answer says so.
    pub(crate) fn append(
        &mut self,
        records: &[TraceRecord<'_>],
    ) -> Result<Appended, TraceDatabaseError> {
        let mut appended = Appended::default();
        // About midnight events of two days take turns: one transaction for each day.
        let mut by_day: Vec<_> = records.iter().collect();
        by_day.sort_by_key(|record| day_number(record.event.time));
        for run in by_day.chunk_by(|a, b| day_number(a.event.time) == day_number(b.event.time)) {
            let day = day_of(run[0].event.time);
            // The event that one is told by may be in the file of the other day.
            let lines = match run.len() == records.len() {
                true => Lines::AsTold,
                false => Lines::Whole,
            };
            let new = match self.append_to_day(&day, run, lines) {
                Err(TraceDatabaseError::Database {
                    because,
                    damaged: true,
                    ..
                }) => {
                    appended.set_aside.push(self.set_aside(&day, &because)?);
                    self.append_to_day(&day, run, lines)?
                }
                other => other?,
            };
            appended.new += new;
        }
        Ok(appended)
    }

    fn append_to_day(
        &mut self,
        day: &str,
        records: &[&TraceRecord<'_>],
        lines: Lines,
    ) -> Result<usize, TraceDatabaseError> {
        let sheets = self.databases.sheets.clone();
        let day_open = self.connection(day)?;
        let stored = store(day_open, records, lines);
        let sheet = day_open.sheet.as_ref().filter(|_| stored.is_ok());
        sheets.set(day, sheet);
        if stored.is_err() {
            // What state it is in is not worth knowing: opened again, it recovers by itself.
            self.open.retain(|open| open.day != day);
        }
        stored.map_err(|error| fault(day, &error))
    }

    fn connection(&mut self, day: &str) -> Result<&mut DayOpen, TraceDatabaseError> {
        if let Some(found) = self.open.iter().position(|open| open.day == day) {
            let used = self.open.remove(found);
            self.open.push(used);
        } else {
            let connection = open_for_writing(&self.databases, day)?;
            if self.open.len() == DAYS_OPEN_MAX {
                let finished = self.open.remove(0);
                close_finished(&finished.connection);
                self.databases.sheets.set(&finished.day, None);
            }
            self.open.push(DayOpen {
                day: day.to_owned(),
                connection,
                sheet: None,
                collected: Collected::default(),
            });
        }
        Ok(self.open.last_mut().expect("a connection was pushed above"))
    }

    /// Makes sketches of the last day before today that has some to make. To be called about once
    /// an hour: a server that was off at midnight has finished no sheet of the day before.
    pub(crate) fn catch_up(&mut self, now: Timestamp) -> Result<(), TraceDatabaseError> {
        let today = day_of(now);
        let Some(day) = self.databases.days()?.into_iter().find(|day| *day < today) else {
            return Ok(());
        };
        if self.open.iter().any(|open| open.day == day) {
            return Ok(());
        }
        let connection = open_for_writing(&self.databases, &day)?;
        close_finished(&connection);
        Ok(())
    }

    /// Renames the database of a day, so that a new one can be begun. Also for days that reading
    /// found damaged ([`search::TracePage::damaged`]).
    pub(crate) fn set_aside(
        &mut self,
        day: &str,
        because: &str,
    ) -> Result<SetAside, TraceDatabaseError> {
        self.open.retain(|open| open.day != day);
        self.rewriting = None;
        self.databases.sheets.set(day, None);
        let folder = &self.databases.folder;
        let taken = |name: &String| files::exists(&folder.join(name));
        let mut name = format!("{day}.damaged");
        let mut number = 2;
        while taken(&name) {
            name = format!("{day}.damaged-{number}");
            number += 1;
        }
        // The log goes with its database, under the name at which SQLite looks for it.
        for ending in ["-wal", "-shm", ""] {
            let from = folder.join(format!("{day}.db{ending}"));
            match files::rename(&from, &folder.join(format!("{name}{ending}"))) {
                Err(error) if !error.is_absent() => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
        files::sync_folder(folder)?;
        tracing::error!(
            day,
            because,
            name,
            "a damaged day of the trace was set aside"
        );
        Ok(SetAside {
            day: day.to_owned(),
            name,
            because: because.to_owned(),
        })
    }

    /// Removes the oldest day that lies more than `keep_days` before today, with what was set
    /// aside of it; its name, or `None` if there was nothing to remove.
    ///
    /// One day a call, to be called about once an hour: a clock that jumps ahead by years costs
    /// an hour's day each hour until somebody puts it right, not the whole trace at once.
    pub(crate) fn purge(
        &mut self,
        now: Timestamp,
        keep_days: u32,
    ) -> Result<Option<String>, TraceDatabaseError> {
        let kept_from = day_of(now.before(Duration::from_secs(86_400 * u64::from(keep_days))));
        let names = files::names(&self.databases.folder)?;
        let mut days: Vec<_> = names
            .iter()
            .filter_map(|name| name.get(..kept_from.len()))
            .filter(|day| is_day(day) && *day < kept_from.as_str())
            .collect();
        days.dedup();
        let mut removed = None;
        self.rewriting = None;
        for day in days.into_iter().take(PURGED_DAYS_MAX) {
            self.open.retain(|open| open.day != day);
            for name in names.iter().filter(|name| name.starts_with(day)) {
                files::remove(&self.databases.folder.join(name))?;
            }
            removed = Some(day.to_owned());
        }
        Ok(removed)
    }
}

fn store(day: &mut DayOpen, records: &[&TraceRecord<'_>], lines: Lines) -> rusqlite::Result<usize> {
    let transaction = day.connection.transaction()?;
    let collected = &mut day.collected;
    collected.clear();
    let mut new = 0;
    let mut before = None;
    let mut is_all_new = true;
    let mut tallies = Tallies::default();
    {
        let mut insert = transaction.prepare_cached(
            "INSERT OR IGNORE INTO event (position, time, client, token, json)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for TraceRecord {
            position,
            line,
            event,
        } in records
        {
            let client = refused_client(event);
            let token = client.as_ref().and(event.token.as_deref());
            let time = event.time.as_millis();
            let line = match lines {
                Lines::AsTold if is_all_new => Cow::Borrowed(*line),
                // What stands where it was to stand may be another one: nothing is told by it.
                Lines::AsTold | Lines::Whole => Cow::Owned(event.to_json()),
            };
            if insert.execute(params![position, time, client, token, line])? == 1 {
                new += 1;
                collected.add(*position, event);
                tallies.add(event);
                mark(&transaction, &mut day.sheet, (*position, event), before)?;
                before = Some((*position, *event));
            } else {
                is_all_new = false;
            }
        }
    }
    collected.store(&transaction)?;
    tallies::store(&transaction, &mut tallies)?;
    transaction.commit()?;
    Ok(new)
}

/// Puts an event on its sheet; the first of the next one ends the one before.
fn mark(
    transaction: &Transaction<'_>,
    current: &mut Option<Sheet>,
    (position, event): (u64, &Event),
    before: Option<(u64, &Event)>,
) -> rusqlite::Result<()> {
    let number = sketches::sheet_of(position);
    match current {
        Some(sheet) if sheet.number == number => sheet.add(position, event, before),
        Some(sheet) if sheet.number > number => sketches::withdraw(transaction, number)?,
        _ => {
            if let Some(full) = current.take() {
                full.store(transaction)?;
            }
            // An event that comes late after a restart finds its sheet's sketch made.
            sketches::withdraw(transaction, number)?;
            // What of it was written before this process, and by it just now, too.
            *current = Some(Sheet::of_stored(transaction, number)?);
        }
    }
    Ok(())
}

/// The client's address, if this is a refused attempt.
fn refused_client(event: &Event) -> Option<String> {
    let refused = match event.kind {
        EventKind::ConnectionRefused | EventKind::AttemptRefused | EventKind::AuthFailed => true,
        EventKind::MessageAccepted
        | EventKind::MessageRepaired
        | EventKind::DeliveryAttempted
        | EventKind::RecipientDelivered
        | EventKind::RecipientDeferred
        | EventKind::RecipientFailed
        | EventKind::RecipientExpired
        | EventKind::RecipientHeld
        | EventKind::RecipientDiscarded
        | EventKind::NoticeSent
        | EventKind::NoticeReceived
        | EventKind::EntityRestricted
        | EventKind::EntityReleased
        | EventKind::CheckChanged
        | EventKind::AlertRaised
        | EventKind::SettingsChanged => false,
    };
    let client = event.client.as_ref().filter(|_| refused)?;
    Some(client.address.to_canonical().to_string())
}

// ---- opening -----------------------------------------------------------------------------------

fn open_for_writing(
    databases: &TraceDatabases,
    day: &str,
) -> Result<Connection, TraceDatabaseError> {
    let file = databases.file_of(day);
    let is_new = !files::exists(&file);
    let opened = || -> rusqlite::Result<(Connection, Tables)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&file, flags)?;
        connection.busy_timeout(BUSY_TIME_MAX)?;
        let tables = tables_of(&connection)?;
        if matches!(tables, Tables::None) {
            connection.pragma_update(None, "page_size", PAGE_OCTETS)?;
        }
        if matches!(tables, Tables::None | Tables::Ours) {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            connection.pragma_update(None, "journal_size_limit", LOG_OCTETS_KEPT)?;
            connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
            connection.pragma_update(None, "secure_delete", CLEAN_PAGES)?;
        }
        if matches!(tables, Tables::None) {
            let transaction = connection.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            transaction.commit()?;
        }
        if matches!(tables, Tables::None | Tables::Ours) {
            connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            connection.execute_batch(sketches::TABLES)?;
            connection.execute_batch(tallies::TABLES)?;
        }
        Ok((connection, tables))
    };
    let (connection, tables) = opened().map_err(|error| fault(day, &error))?;
    match tables {
        Tables::None | Tables::Ours => {}
        Tables::Newer => {
            return Err(TraceDatabaseError::Newer {
                day: day.to_owned(),
            });
        }
        Tables::Foreign => return Err(foreign(day)),
    }
    if is_new {
        // The name of the file must outlive a power cut, too, before the outbox forgets.
        files::sync_folder(&databases.folder)?;
    }
    Ok(connection)
}

/// A day that is over becomes one file without a log. A reader may prevent it: then the log stays
/// beside it, and is as good.
fn close_finished(connection: &Connection) {
    if let Err(error) = tallies::add_up(connection) {
        tracing::warn!(%error, "a finished day of the trace is not added up");
    }
    // Read event by event, a sheet is as good.
    while let Ok(made) = sketches::catch_up(connection) {
        if made == 0 {
            break;
        }
    }
    if let Err(error) = connection.pragma_update(None, "journal_mode", "DELETE") {
        tracing::debug!(%error, "the log of a finished day of the trace stays for now");
    }
}

/// What stands in a file.
enum Tables {
    None,
    Ours,
    Newer,
    /// Something else, or a part of ours only.
    Foreign,
}

fn tables_of(connection: &Connection) -> rusqlite::Result<Tables> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let sql = "SELECT count(*), count(*) FILTER (WHERE name IN ('event', 'posting', 'segment'))
               FROM sqlite_schema WHERE type = 'table'";
    let (all, ours): (i64, i64) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(match (version, all, ours) {
        (0, 0, _) => Tables::None,
        (FIRST_VERSION..=SCHEMA_VERSION, _, 3) => Tables::Ours,
        (version, ..) if version > SCHEMA_VERSION => Tables::Newer,
        _ => Tables::Foreign,
    })
}

fn foreign(day: &str) -> TraceDatabaseError {
    TraceDatabaseError::Database {
        day: day.to_owned(),
        because: "the file holds other tables than a day of the trace".to_owned(),
        damaged: true,
    }
}

/// Opens without changing anything, beside a writer or without one.
fn open_read_only(file: &Path) -> rusqlite::Result<(Connection, Tables)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(file, flags).and_then(prepared_for_reading);
    match opened {
        // A database with a log needs its shared-memory file; where nobody has it open and the
        // folder may not be written, there is none. Nobody changes the file then.
        Err(error) if cannot_make_files(&error) => {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable_uri(file), flags).and_then(prepared_for_reading)
        }
        other => other,
    }
}

fn prepared_for_reading(connection: Connection) -> rusqlite::Result<(Connection, Tables)> {
    connection.busy_timeout(BUSY_TIME_MAX)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    let tables = tables_of(&connection)?;
    Ok((connection, tables))
}

fn cannot_make_files(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

/// RFC 3986 §2.1: what is no plain path character is percent-encoded.
pub(crate) fn immutable_uri(file: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt;

    let mut uri = String::from("file:");
    for octet in file.as_os_str().as_bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*octet));
            }
            _ => {
                // Cannot fail: a String takes everything.
                let _ = write!(uri, "%{octet:02X}");
            }
        }
    }
    uri.push_str("?immutable=1");
    uri
}

fn fault(day: &str, error: &rusqlite::Error) -> TraceDatabaseError {
    // A value of another type is damage, too: no version of ours writes such.
    let damaged = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) || matches!(
        error,
        rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
    );
    TraceDatabaseError::Database {
        day: day.to_owned(),
        because: error.to_string(),
        damaged,
    }
}

// ---- days --------------------------------------------------------------------------------------

/// Days since 1970, kept within the years that `YYYY` can name: a broken clock must not make names
/// that nobody finds again.
fn day_number(time: Timestamp) -> i64 {
    const LAST_DAY: i64 = 2_932_895;
    time.as_millis().div_euclid(DAY_MILLIS).clamp(0, LAST_DAY)
}

fn day_of(time: Timestamp) -> String {
    Timestamp::from_millis(day_number(time) * DAY_MILLIS).day()
}

fn is_day(name: &str) -> bool {
    name.len() == 10
        && name.bytes().enumerate().all(|(place, octet)| match place {
            4 | 7 => octet == b'-',
            _ => octet.is_ascii_digit(),
        })
}
