//! Conversations at rest: one SQLite database for each day (UTC), `dialogue/2026-11-24.db`, removed
//! after `[retention] dialogue_days`. Not synced: what a power cut takes was a help only. Bounded
//! in octets a day and in number a second, so that a busy server pays for a sample and a quiet one
//! keeps all.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::files;
use crate::trace::dialogue::{
    DIALOGUE_OCTETS_MAX, DIALOGUES_MAX, Dialogue, DialogueKey, DialogueSide,
};
use crate::trace::erase::Eraser;

/// Days that conversations are kept where nothing else is said.
const DIALOGUE_DAYS_DEFAULT: u32 = 7;

/// Octets of text of one day; then only what has a refusal is kept, up to twice as much.
const DAY_OCTETS_MAX: u64 = 256 << 20;

/// Conversations without a refusal that are kept in one second.
const WELL_PER_SECOND_MAX: u32 = 50;

/// Those with one.
const REFUSED_PER_SECOND_MAX: u32 = 200;

/// Conversations written anew in one turn of the trace's thread: up to 8 MiB.
const TURN_ROWS_MAX: usize = 500;

/// Another process may hold the database this long.
const BUSY_TIME_MAX: Duration = Duration::from_secs(2);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS dialogue (
    key INTEGER NOT NULL,
    time INTEGER NOT NULL,
    side TEXT NOT NULL,
    peer TEXT NOT NULL,
    refusal INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS dialogue_key ON dialogue (key);
";

/// The folder with the databases. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct DialogueDatabases {
    folder: PathBuf,
    /// Days that they are kept; 0: no new ones.
    days_kept: Arc<AtomicU32>,
}

/// The one writer.
#[derive(Debug)]
pub(super) struct DialogueWriter {
    databases: DialogueDatabases,
    open: Option<(String, Connection, u64)>,
    /// Second, and how many of each kind were kept in it.
    second: (i64, u32, u32),
}

impl DialogueDatabases {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            days_kept: Arc::new(AtomicU32::new(DIALOGUE_DAYS_DEFAULT)),
        }
    }

    /// From now on they are kept for so many days.
    pub(super) fn keep(&self, days: u32) {
        self.days_kept.store(days, Ordering::Relaxed);
    }

    /// Days that they are kept.
    pub(super) fn days_kept(&self) -> u32 {
        self.days_kept.load(Ordering::Relaxed)
    }

    pub(super) fn writer(&self) -> DialogueWriter {
        DialogueWriter {
            databases: self.clone(),
            open: None,
            second: (0, 0, 0),
        }
    }

    fn days(&self) -> Vec<String> {
        let names = files::names(&self.folder).unwrap_or_default();
        let days = names.iter().filter_map(|name| name.strip_suffix(".db"));
        let mut days: Vec<_> = days.map(ToOwned::to_owned).collect();
        days.reverse();
        days
    }

    /// What is kept of one message or refusal, oldest first. A day that cannot be read is left out.
    pub(super) fn find(&self, key: DialogueKey) -> Vec<Dialogue> {
        let mut found = Vec::new();
        for day in self.days() {
            let read = self.read_day(&day, key, &mut found);
            if let Err(error) = read {
                tracing::warn!(day, %error, "conversations of a day cannot be read");
            }
        }
        found.sort_by_key(|dialogue| dialogue.time);
        found.truncate(DIALOGUES_MAX);
        found
    }

    fn read_day(
        &self,
        day: &str,
        key: DialogueKey,
        found: &mut Vec<Dialogue>,
    ) -> rusqlite::Result<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = self.folder.join(format!("{day}.db"));
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(BUSY_TIME_MAX)?;
        let sql = "SELECT time, side, peer, refusal, text FROM dialogue
                   WHERE key = ?1 ORDER BY rowid LIMIT ?2";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query(params![key.number(), DIALOGUES_MAX])?;
        while let Some(row) = rows.next()? {
            found.push(Dialogue {
                key,
                time: Timestamp::from_millis(row.get(0)?),
                side: DialogueSide::of(row.get_ref(1)?.as_str()?),
                peer: row.get(2)?,
                has_refusal: row.get(3)?,
                text: row.get(4)?,
            });
        }
        Ok(())
    }
}

impl DialogueDatabases {
    /// Which conversations of some messages or refusals (none: of all) have an address: rows, by
    /// day. A day that cannot be read is named in `unread`.
    pub(super) fn places(
        &self,
        eraser: &Eraser,
        keys: Option<&HashSet<i64>>,
        unread: &mut Vec<String>,
    ) -> Vec<(String, Vec<i64>)> {
        let mut places = Vec::new();
        for day in self.days() {
            match self.places_of_day(&day, eraser, keys) {
                Ok(rows) => places.push((day, rows)),
                Err(error) => {
                    tracing::warn!(day, %error, "conversations of a day cannot be read");
                    unread.push(day);
                }
            }
        }
        places.retain(|(_, rows)| !rows.is_empty());
        places
    }

    fn places_of_day(
        &self,
        day: &str,
        eraser: &Eraser,
        keys: Option<&HashSet<i64>>,
    ) -> rusqlite::Result<Vec<i64>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.file_of(day), flags)?;
        connection.busy_timeout(BUSY_TIME_MAX)?;
        let mut found = Vec::new();
        let mut statement = connection.prepare("SELECT rowid, key, text FROM dialogue")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(1)?;
            let is_wanted = keys.is_none_or(|keys| keys.contains(&key));
            if is_wanted && eraser.is_in(row.get_ref(2)?.as_str()?) {
                found.push(row.get(0)?);
            }
        }
        Ok(found)
    }

    fn file_of(&self, day: &str) -> PathBuf {
        self.folder.join(format!("{day}.db"))
    }
}

/// Rows of a day, in turns that are short.
pub(super) fn turns(rows: &[i64]) -> impl Iterator<Item = &[i64]> {
    rows.chunks(TURN_ROWS_MAX)
}

impl DialogueWriter {
    /// Writes conversations of a day anew, one of its [`turns`], without an address. How many.
    pub(super) fn erase(
        &mut self,
        day: &str,
        rows: &[i64],
        eraser: &Eraser,
    ) -> Result<u64, String> {
        let erased = self.erase_rows(day, rows, eraser);
        erased.map_err(|error| format!("conversations of {day}: {error}"))
    }

    fn erase_rows(&self, day: &str, rows: &[i64], eraser: &Eraser) -> rusqlite::Result<u64> {
        let file = self.databases.file_of(day);
        // Its days were over meanwhile.
        if !files::exists(&file) {
            return Ok(0);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(BUSY_TIME_MAX)?;
        connection.pragma_update(None, "secure_delete", true)?;
        let transaction = connection.transaction()?;
        let mut count = 0;
        for row in rows {
            let sql = "SELECT text FROM dialogue WHERE rowid = ?1";
            let mut statement = transaction.prepare_cached(sql)?;
            let text: Option<String> = statement.query_row([row], |row| row.get(0)).optional()?;
            let Some(text) = text.and_then(|text| eraser.replace(&text)) else {
                continue;
            };
            let sql = "UPDATE dialogue SET text = ?2 WHERE rowid = ?1";
            transaction
                .prepare_cached(sql)?
                .execute(params![row, text])?;
            count += 1;
        }
        transaction.commit()?;
        Ok(count)
    }

    /// Cuts the log of a day, so that nothing of what was overwritten stays in it; false: a reader
    /// is in the way, and nobody waits for it here.
    pub(super) fn cut_log(&mut self, day: &str) -> Result<bool, String> {
        let cut = || -> rusqlite::Result<bool> {
            let file = self.databases.file_of(day);
            if !files::exists(&file) {
                return Ok(true);
            }
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(file, flags)?;
            connection.busy_timeout(Duration::ZERO)?;
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            connection.query_row(sql, [], |row| Ok(row.get::<_, i64>(0)? == 0))
        };
        cut().map_err(|error| format!("conversations of {day}: {error}"))
    }

    /// Keeps what the bounds allow, in one transaction.
    pub(super) fn append(&mut self, dialogues: &[Dialogue]) -> Result<(), String> {
        let Some(last) = dialogues.last() else {
            return Ok(());
        };
        let day = last.time.day();
        if self.open.as_ref().is_none_or(|(open, ..)| *open != day) {
            self.open = Some(self.open_day(day)?);
        }
        let mut second = self.second;
        let Some((_, connection, octets)) = &mut self.open else {
            return Ok(());
        };
        let written = write(connection, octets, &mut second, dialogues);
        self.second = second;
        written.map_err(|error| {
            self.open = None;
            error.to_string()
        })
    }

    fn open_day(&self, day: String) -> Result<(String, Connection, u64), String> {
        files::make_folder(&self.databases.folder).map_err(|error| error.to_string())?;
        let file = self.databases.folder.join(format!("{day}.db"));
        let opened = || -> rusqlite::Result<(Connection, u64)> {
            let connection = Connection::open(&file)?;
            connection.busy_timeout(BUSY_TIME_MAX)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "OFF")?;
            // No text stays in the unused part of a page that was moved.
            connection.pragma_update(None, "secure_delete", "FAST")?;
            connection.execute_batch(SCHEMA)?;
            let sql = "SELECT coalesce(sum(length(text)), 0) FROM dialogue";
            let octets = connection.query_row(sql, [], |row| row.get(0))?;
            Ok((connection, octets))
        };
        let (connection, octets) = opened().map_err(|error| error.to_string())?;
        Ok((day, connection, octets))
    }

    /// Removes days that lie too long before today.
    pub(super) fn purge(&mut self, now: Timestamp) {
        let keep_days = self.databases.days_kept();
        let kept = now.before(Duration::from_secs(86_400 * u64::from(keep_days)));
        let kept_from = kept.day();
        let folder = &self.databases.folder;
        for name in files::names(folder).unwrap_or_default() {
            if name
                .get(..kept_from.len())
                .is_some_and(|day| *day < *kept_from)
                && let Err(error) = files::remove(&folder.join(&name))
            {
                tracing::warn!(name, %error, "old conversations could not be dropped");
            }
        }
    }
}

fn write(
    connection: &mut Connection,
    octets: &mut u64,
    second: &mut (i64, u32, u32),
    dialogues: &[Dialogue],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO dialogue (key, time, side, peer, refusal, text)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for one in dialogues {
            if !is_kept(*octets, second, one) {
                continue;
            }
            let end = one.text.floor_char_boundary(DIALOGUE_OCTETS_MAX);
            *octets += end as u64;
            insert.execute(params![
                one.key.number(),
                one.time.as_millis(),
                one.side.name(),
                one.peer,
                one.has_refusal,
                &one.text[..end]
            ])?;
        }
    }
    transaction.commit()
}

fn is_kept(octets: u64, second: &mut (i64, u32, u32), one: &Dialogue) -> bool {
    let now = one.time.as_millis() / 1_000;
    if second.0 != now {
        *second = (now, 0, 0);
    }
    let (count, count_max, octets_max) = if one.has_refusal {
        (&mut second.2, REFUSED_PER_SECOND_MAX, 2 * DAY_OCTETS_MAX)
    } else {
        (&mut second.1, WELL_PER_SECOND_MAX, DAY_OCTETS_MAX)
    };
    *count += 1;
    *count <= count_max && octets < octets_max
}

#[cfg(test)]
mod tests {
    use relais_smtp::identifier::{QueueId, Reference};

    use super::*;

    fn dialogue(key: DialogueKey, millis: i64, has_refusal: bool) -> Dialogue {
        Dialogue {
            key,
            time: Timestamp::from_millis(millis),
            side: DialogueSide::Client,
            peer: "10.1.2.9".to_owned(),
            has_refusal,
            text: "< EHLO scan\n> 250 relay\n".to_owned(),
        }
    }

    #[test]
    fn conversations_are_found_by_message_and_by_refusal_until_their_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let databases = DialogueDatabases::new(folder.path().join("dialogue"));
        let noon = 1_795_521_600_000;
        let message = DialogueKey::Message(QueueId::new(Timestamp::from_millis(noon), 0, 1));
        let refusal = DialogueKey::Refusal(Reference::from_bits(7));
        assert_eq!(databases.find(message), []);
        let mut writer = databases.writer();
        let first = dialogue(message, noon, false);
        let next = Dialogue {
            side: DialogueSide::NextHop,
            ..dialogue(message, noon + 86_400_000, true)
        };
        writer
            .append(&[first.clone(), dialogue(refusal, noon, true)])
            .unwrap();
        writer.append(std::slice::from_ref(&next)).unwrap();
        assert_eq!(databases.find(message), [first, next.clone()]);
        assert_eq!(databases.find(refusal).len(), 1);
        writer.purge(Timestamp::from_millis(noon + 8 * 86_400_000));
        assert_eq!(databases.find(message), [next]);
        assert_eq!(databases.find(refusal), []);
    }

    #[test]
    fn of_a_busy_second_a_sample_is_kept_and_refusals_first() {
        let folder = tempfile::tempdir().unwrap();
        let databases = DialogueDatabases::new(folder.path().join("dialogue"));
        let noon = 1_795_521_600_000;
        let (well, refused) = (
            DialogueKey::Refusal(Reference::from_bits(1)),
            DialogueKey::Refusal(Reference::from_bits(2)),
        );
        let mut writer = databases.writer();
        for _ in 0..2 * REFUSED_PER_SECOND_MAX {
            let two = [dialogue(well, noon, false), dialogue(refused, noon, true)];
            writer.append(&two).unwrap();
        }
        let sql = "SELECT count(*) FROM dialogue WHERE key = ?1";
        let count = |key: DialogueKey| -> u32 {
            let (_, connection, _) = writer.open.as_ref().unwrap();
            connection
                .query_row(sql, [key.number()], |row| row.get(0))
                .unwrap()
        };
        assert_eq!(count(well), WELL_PER_SECOND_MAX);
        assert_eq!(count(refused), REFUSED_PER_SECOND_MAX);
    }

    #[test]
    fn a_long_conversation_is_cut_and_a_full_day_keeps_refusals_only() {
        let mut second = (0, 0, 0);
        let key = DialogueKey::Refusal(Reference::from_bits(1));
        let (well, refused) = (dialogue(key, 0, false), dialogue(key, 0, true));
        assert!(is_kept(0, &mut second, &well));
        assert!(!is_kept(DAY_OCTETS_MAX, &mut second, &well));
        assert!(is_kept(DAY_OCTETS_MAX, &mut second, &refused));
        assert!(!is_kept(2 * DAY_OCTETS_MAX, &mut second, &refused));
    }

    #[test]
    fn an_address_is_erased_from_conversations_turn_by_turn_and_leaves_no_page() {
        let folder = tempfile::tempdir().unwrap();
        let databases = DialogueDatabases::new(folder.path().to_owned());
        let mut writer = databases.writer();
        let (noon, count) = (1_795_521_600_000, 1_100);
        let key = |number: u32| DialogueKey::Refusal(Reference::from_bits(number));
        for number in 0..count {
            let one = Dialogue {
                text: format!("< RCPT TO:<ann@x.test>\n> 550 <joann@x.test> {number}\n"),
                ..dialogue(key(number), noon + i64::from(number) * 1_000, true)
            };
            writer.append(&[one]).unwrap();
        }
        let eraser = Eraser::new("ann@x.test").unwrap();
        let mut unread = Vec::new();
        let one = HashSet::from([key(7).number()]);
        let places = databases.places(&eraser, Some(&one), &mut unread);
        assert_eq!(places.iter().map(|(_, rows)| rows.len()).sum::<usize>(), 1);
        let places = databases.places(&eraser, None, &mut unread);
        let [(day, rows)] = &places[..] else {
            panic!("{places:?}");
        };
        let mut erased = Vec::new();
        for turn in turns(rows) {
            erased.push(writer.erase(day, turn, &eraser).unwrap());
        }
        assert_eq!(erased, [500, 500, 100]);
        assert_eq!(writer.cut_log(day), Ok(true));
        assert_eq!(databases.places(&eraser, None, &mut unread), []);
        assert_eq!(unread, [""; 0]);
        let text = &databases.find(key(7))[0].text;
        let anew = "< RCPT TO:<erased@erased.invalid>\n> 550 <joann@x.test> 7\n";
        assert_eq!(text, anew);
        for name in files::names(folder.path()).unwrap() {
            let octets = std::fs::read(folder.path().join(&name)).unwrap();
            let is_in = octets.windows(11).any(|part| part == b"<ann@x.test");
            assert!(!is_in, "{name}");
        }
    }
}
