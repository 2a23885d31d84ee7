//! Backups: a consistent copy of everything while mail goes on, its check, and the way back.
//!
//! A backup is a folder: `queue.db` (queue, settings, audit, outbox), `trace/DAY.db`, the spool
//! files that the queue names, and `manifest.json` with the SHA-256 of each. It is written beside
//! its place under another name and renamed when all of it is synced: a folder of the right name is
//! a whole backup. Spool files never change, so they are hard links where the file system allows
//! it: copy the folder to another disk for a backup that outlives this one.
//!
//! The queue is copied first: an event that moves from the outbox to the trace meanwhile is then in
//! both, which is the same as once. A message that is delivered meanwhile loses its spool file; it
//! is dropped from the copy.
//!
//! *A restored queue holds messages that were delivered after the backup.* Sent again, their
//! recipients would get them twice. So [`restore`] holds every recipient, and says so; a person
//! releases them (`relais queue release`), or asks for [`RestoredQueue::Released`].
//!
//! A backup holds content of mail and the settings: folder 0700, files 0600.

mod restoring;
mod verifying;
mod manifest;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction};

use self::manifest::{FORMAT, ListedFile, MANIFEST_NAME, Manifest};
use crate::embedded::trace_database::TraceDatabases;
use crate::embedded::{self, kept_table, settings_tables, shelf_table};
use crate::error::StoreError;
use crate::files::{self, FileError};
use crate::secret;
use crate::shelf::Shelf;

pub use self::restoring::{Restored, RestoredQueue, restore, secrets_line};
pub use self::verifying::{Verified, verify};

/// The queue database, in the data folder and in a backup.
const QUEUE_NAME: &str = "queue.db";

/// The folder of the trace databases.
const TRACE_FOLDER: &str = "trace";

/// A writer may hold a database this long before a copy of it is given up.
const BUSY_TIME_MAX: Duration = Duration::from_secs(30);

/// How the queue database is laid out, as far as backups must know.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// The newest schema that we know (`user_version`).
    schema_version: i64,
    /// Queue id and path of the spool file, relative to the data folder, of each message that has
    /// one.
    spooled: &'static str,
    /// A row if message `?1` exists.
    exists: &'static str,
    /// Removes message `?1` with its recipients; in this order.
    drop_message: &'static [&'static str],
    /// Messages and recipients.
    counts: &'static str,
    /// Holds every recipient, if a reason is given, and gives each until at least that time; how
    /// many are held.
    after_restore: fn(&Transaction<'_>, Option<&str>, Timestamp) -> Result<u64, StoreError>,
}

/// The one in use.
const LAYOUT: Layout = Layout {
    schema_version: embedded::SCHEMA_VERSION,
    spooled: "SELECT id, 'spool/' || substr(spool, -2) || '/' || spool FROM message
              WHERE spool IS NOT NULL ORDER BY id",
    exists: "SELECT 1 FROM message WHERE id = ?1",
    drop_message: &[
        "DELETE FROM recipient WHERE message = ?1",
        "DELETE FROM message WHERE id = ?1",
    ],
    counts: "SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM recipient)",
    after_restore: embedded::after_restore,
};

/// What a new backup holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Created {
    /// Messages of the queue.
    pub messages: u64,
    /// Their recipients.
    pub recipients: u64,
    /// Messages that were delivered while the copy was made, and are not in it.
    pub delivered_meanwhile: u64,
    /// Messages whose content is missing in the store itself: their entry is copied.
    pub without_content: Vec<String>,
    /// Version of the settings; 0: none.
    pub settings_version: u64,
    /// Days of trace.
    pub trace_days: u64,
    /// Days of trace that could not be copied, with the cause; the rest is whole.
    pub trace_damaged: Vec<(String, String)>,
    /// Octets of all files.
    pub octets: u64,
}

/// Why there is no backup, or no restored store. None of these changed a store.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BackupError {
    /// Something stands where the backup should go.
    #[error("{} is there already: name a folder that does not exist", .0.display())]
    TargetExists(PathBuf),
    /// The data folder to restore into is not empty.
    #[error("{} is not empty: a backup is restored into an empty data folder only", .0.display())]
    DataFolderNotEmpty(PathBuf),
    /// The folder is no backup, or was written by a newer version.
    #[error("{} is no backup that this version can read: {because}", .folder.display())]
    NotABackup {
        /// Which.
        folder: PathBuf,
        /// What is missing or unknown.
        because: String,
    },
    /// The backup does not hold what it says.
    #[error("the backup is damaged: {}", .0.join("; "))]
    Damaged(Vec<String>),
    /// A file or folder cannot be used.
    #[error("{0}")]
    File(String),
    /// The tables answered with an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A database cannot be read or written.
    #[error("{file}: {because}")]
    Database {
        /// Name within the data folder or backup.
        file: String,
        /// In SQLite's words.
        because: String,
    },
}

impl From<FileError> for BackupError {
    fn from(error: FileError) -> Self {
        Self::File(error.to_string())
    }
}

fn database(file: &str) -> impl Fn(rusqlite::Error) -> BackupError + '_ {
    move |error| BackupError::Database {
        file: file.to_owned(),
        because: error.to_string(),
    }
}

/// Copies a consistent state of the store in `data_dir` into the new folder `target` while it
/// runs. Blocks for as long as copying takes; the store's log grows meanwhile.
///
/// Errors leave nothing behind.
pub fn create(data_dir: &Path, target: &Path, now: Timestamp) -> Result<Created, BackupError> {
    create_with(&LAYOUT, data_dir, target, now)
}

fn create_with(
    layout: &Layout,
    data_dir: &Path,
    target: &Path,
    now: Timestamp,
) -> Result<Created, BackupError> {
    let mut unfinished = target.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    for place in [target, &unfinished] {
        if files::exists(place) {
            return Err(BackupError::TargetExists(place.to_owned()));
        }
    }
    files::make_folder(&unfinished)?;
    let made = fill(layout, data_dir, &unfinished, now).and_then(|created| {
        files::rename(&unfinished, target)?;
        files::sync_folder(parent_of(target))?;
        Ok(created)
    });
    if made.is_err()
        && let Err(error) = files::remove_folder(&unfinished)
    {
        tracing::warn!(%error, "an unfinished backup stays");
    }
    made
}

fn parent_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn fill(
    layout: &Layout,
    data_dir: &Path,
    folder: &Path,
    now: Timestamp,
) -> Result<Created, BackupError> {
    let failed = database(QUEUE_NAME);
    let source = open_source(&data_dir.join(QUEUE_NAME)).map_err(&failed)?;
    let copy = copy_database(&source, &folder.join(QUEUE_NAME)).map_err(&failed)?;
    kept_table::clear_copy(&copy).map_err(&failed)?;
    let mut listed = Vec::new();
    let spooled = copy_spool(layout, data_dir, folder, &source, &copy, &mut listed)?;
    let (messages, recipients) = counts(layout, &copy).map_err(&failed)?;
    let schema_version = schema_version(&copy).map_err(&failed)?;
    let settings_version = settings_tables::current_version(&copy)?;
    let secrets = secrets(&copy)?;
    compact(copy, &folder.join(QUEUE_NAME))?;
    listed.push(list(folder, QUEUE_NAME)?);
    let (trace_days, trace_damaged) = copy_trace(data_dir, folder, &mut listed)?;
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: now.to_rfc3339(),
        schema_version,
        settings_version,
        messages,
        recipients,
        trace_days,
        without_content: spooled.without_content,
        secrets,
        files: listed,
    };
    files::write_new(&folder.join(MANIFEST_NAME), &manifest.to_json())?;
    for inner in folders_of(&manifest.files) {
        files::sync_folder(&folder.join(inner))?;
    }
    files::sync_folder(folder)?;
    Ok(Created {
        messages,
        recipients,
        delivered_meanwhile: spooled.delivered_meanwhile,
        without_content: manifest.without_content,
        settings_version,
        trace_days,
        trace_damaged,
        octets: manifest.files.iter().map(|file| file.size).sum(),
    })
}

/// Folders that hold these files, each once.
fn folders_of(listed: &[ListedFile]) -> Vec<&Path> {
    let mut folders: Vec<_> = listed
        .iter()
        .flat_map(|file| Path::new(&file.path).ancestors().skip(1))
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    folders.sort_unstable();
    folders.dedup();
    folders
}

fn list(folder: &Path, path: &str) -> Result<ListedFile, BackupError> {
    let fingerprint = files::fingerprint(&folder.join(path))?;
    Ok(ListedFile::new(path, &fingerprint))
}

// ---- databases ---------------------------------------------------------------------------------

fn open_source(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(file, flags)?;
    source.busy_timeout(BUSY_TIME_MAX)?;
    Ok(source)
}

/// Copies a database in one step, which is one read transaction: writers go on, and nothing that
/// they do meanwhile is in the copy.
fn copy_database(source: &Connection, target: &Path) -> rusqlite::Result<Connection> {
    let mut copy = Connection::open(target)?;
    // Synced once, when all is there.
    copy.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(source, &mut copy)?;
    const ALL_PAGES: std::ffi::c_int = -1;
    let step = backup.step(ALL_PAGES)?;
    drop(backup);
    if !matches!(step, StepResult::Done) {
        // Only after the busy time-out of the source: somebody keeps a lock on it.
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(busy, None));
    }
    // One file, without a log beside it.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(copy)
}

/// Closes the copy and puts one without free pages in its place: what was taken out of the store,
/// or of the copy, may still stand in them.
fn compact(copy: Connection, file: &Path) -> Result<(), BackupError> {
    let failed = database(QUEUE_NAME);
    // Beside it: SQLite's own place for such files may be small, or not ours to write to.
    let compacted = file.with_extension("compacted");
    let name = ValueRef::Text(compacted.as_os_str().as_bytes());
    copy.execute("VACUUM INTO ?1", [ToSqlOutput::Borrowed(name)])
        .map_err(&failed)?;
    copy.close().map_err(|(_, error)| failed(error))?;
    files::rename(&compacted, file)?;
    files::keep_to_owner(file)?;
    files::sync_file(file)?;
    Ok(())
}

fn close_synced(copy: Connection, file: &Path) -> rusqlite::Result<()> {
    copy.close().map_err(|(_, error)| error)?;
    files::keep_to_owner(file)
        .and_then(|()| files::sync_file(file))
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn counts(layout: &Layout, connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    connection.query_row(layout.counts, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// How many secrets there are under each master key.
fn secrets(connection: &Connection) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut keys = BTreeMap::new();
    for kept in shelf_table::all(connection, Shelf::Secret)? {
        if let Some(key) = secret::sealed_under(&kept.value) {
            *keys.entry(key.to_string()).or_default() += 1;
        }
    }
    Ok(keys)
}

/// Queue id and path of every spool file that a queue database names.
fn spooled(layout: &Layout, connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare(layout.spooled)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn copy_trace(
    data_dir: &Path,
    folder: &Path,
    listed: &mut Vec<ListedFile>,
) -> Result<(u64, Vec<(String, String)>), BackupError> {
    let databases = TraceDatabases::new(data_dir.join(TRACE_FOLDER));
    let days = databases
        .days()
        .map_err(|error| BackupError::File(error.to_string()))?;
    if !days.is_empty() {
        files::make_folder(&folder.join(TRACE_FOLDER))?;
    }
    let mut copied = 0;
    let mut damaged = Vec::new();
    for day in days {
        let path = format!("{TRACE_FOLDER}/{day}.db");
        let target = folder.join(&path);
        let made = open_source(&databases.file_of(&day))
            .and_then(|source| copy_database(&source, &target))
            .and_then(|copy| close_synced(copy, &target));
        match made {
            Ok(()) => {
                listed.push(list(folder, &path)?);
                copied += 1;
            }
            Err(error) => {
                // Removed by the retention meanwhile, or damaged: the other days are worth having.
                files::remove(&target)?;
                files::remove(&folder.join(format!("{path}-journal")))?;
                if files::exists(&databases.file_of(&day)) {
                    damaged.push((day, error.to_string()));
                }
            }
        }
    }
    Ok((copied, damaged))
}

// ---- spool files -------------------------------------------------------------------------------

#[derive(Default)]
struct Spooled {
    delivered_meanwhile: u64,
    without_content: Vec<String>,
}

fn copy_spool(
    layout: &Layout,
    data_dir: &Path,
    folder: &Path,
    source: &Connection,
    copy: &Connection,
    listed: &mut Vec<ListedFile>,
) -> Result<Spooled, BackupError> {
    let failed = database(QUEUE_NAME);
    let mut result = Spooled::default();
    for (id, path) in spooled(layout, copy).map_err(&failed)? {
        let target = folder.join(&path);
        files::make_folder(parent_of(&target))?;
        match files::link_or_copy(&data_dir.join(&path), &target) {
            Ok(fingerprint) => listed.push(ListedFile::new(&path, &fingerprint)),
            Err(error) if error.is_absent() => {
                // Its row went before its file: still there means that the file is lost.
                let still_there = source.query_row(layout.exists, [id], |_| Ok(())).optional();
                if still_there.map_err(&failed)?.is_some() {
                    result.without_content.push(shown(id));
                    continue;
                }
                for sql in layout.drop_message {
                    copy.execute(sql, [id]).map_err(&failed)?;
                }
                result.delivered_meanwhile += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(result)
}

fn shown(id: i64) -> String {
    QueueId::from_i64(id).map_or_else(|| id.to_string(), |id| id.to_string())
}
