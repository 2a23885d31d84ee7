//! The tables of the queue database, how they came to be, and how a connection is set up.
//!
//! Steps are numbered and only go forward; a database from a newer Relais is refused, not guessed.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{proof_table, restriction_tables, settings_tables, shelf_table};
use crate::error::StoreError;

/// The file in the data folder.
pub(crate) const DATABASE_FILE: &str = "queue.db";

/// `Rels`, so that `file` and people can tell what this is.
const APPLICATION_ID: i32 = 0x5265_6c73;
/// How long a connection waits for another's lock. There is one writer, so this is only for a
/// checkpoint or a backup in the way.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Statements kept prepared on a connection.
const STATEMENTS_MAX: usize = 64;
/// Page cache of the writer in KiB (negative means KiB to SQLite). A reader has SQLite's default.
const WRITER_CACHE_KIB: i64 = -32_768;

/// Each step runs once, in its own transaction. Steps are never changed, only added.
const STEPS: &[&str] = &[
    "
CREATE TABLE message (
    id INTEGER PRIMARY KEY,     -- QueueId
    envelope BLOB NOT NULL,     -- record.rs
    spool TEXT,                 -- name of the spool file of large content
    content BLOB                -- small content; last, so that facts are read without it
) STRICT;
CREATE INDEX message_spool ON message (spool) WHERE spool IS NOT NULL;
-- Only what changes, and what the index needs at start.
CREATE TABLE recipient (
    message INTEGER NOT NULL,
    number INTEGER NOT NULL,
    queue INTEGER NOT NULL,
    due INTEGER NOT NULL,       -- milliseconds
    expires INTEGER NOT NULL,   -- milliseconds
    attempts INTEGER NOT NULL,
    flags INTEGER NOT NULL,     -- index/slot.rs
    checksum INTEGER NOT NULL,  -- over the columns before
    last_reply TEXT,
    PRIMARY KEY (message, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    organisation TEXT NOT NULL,
    destination TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
-- Events of committed groups that the trace may not have yet, one JSON object a line.
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY,
    lines TEXT NOT NULL
) STRICT;
CREATE TABLE suspension (
    destination TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE number (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
",
    "
-- Where the mail of a queue comes from, as far as its way depends on it.
ALTER TABLE queue ADD COLUMN source TEXT NOT NULL DEFAULT '';
",
];

/// Content that is kept after its message has left the queue (`kept_table.rs`): beside the steps,
/// because an older Relais does not mind it.
const KEPT: &str = "
CREATE TABLE IF NOT EXISTS kept (
    id INTEGER PRIMARY KEY,     -- QueueId
    done INTEGER NOT NULL,      -- milliseconds: the last outcome
    organisation TEXT NOT NULL,
    connector TEXT,
    size INTEGER NOT NULL,      -- octets of the content
    envelope BLOB NOT NULL,     -- record.rs
    spool TEXT,
    content BLOB
) STRICT;
CREATE INDEX IF NOT EXISTS kept_done ON kept (done);
CREATE INDEX IF NOT EXISTS kept_owner ON kept (organisation, connector, done);
CREATE INDEX IF NOT EXISTS kept_spool ON kept (spool) WHERE spool IS NOT NULL;
CREATE INDEX IF NOT EXISTS kept_age ON kept (organisation, done);
-- Sums, so that no message that leaves counts what is kept. Triggers keep them true, whoever
-- writes.
CREATE TABLE IF NOT EXISTS kept_sum (
    organisation TEXT PRIMARY KEY,
    messages INTEGER NOT NULL,
    octets INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS kept_more AFTER INSERT ON kept BEGIN
    INSERT INTO kept_sum (organisation, messages, octets) VALUES (new.organisation, 1, new.size)
        ON CONFLICT (organisation) DO UPDATE
        SET messages = messages + 1, octets = octets + new.size;
END;
CREATE TRIGGER IF NOT EXISTS kept_less AFTER DELETE ON kept BEGIN
    UPDATE kept_sum SET messages = messages - 1, octets = octets - old.size
        WHERE organisation = old.organisation;
    DELETE FROM kept_sum WHERE organisation = old.organisation AND messages <= 0;
END;
";

/// What an older Relais kept is counted once.
const COUNT_KEPT: &str = "
INSERT OR REPLACE INTO kept_sum (organisation, messages, octets)
    SELECT organisation, count(*), sum(size) FROM kept GROUP BY organisation
";

/// The version that this Relais writes.
pub(crate) const SCHEMA_VERSION: i64 = STEPS.len() as i64;

/// Opens the one connection that writes, and brings the tables up to date.
pub(crate) fn open_writer(folder: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(folder.join(DATABASE_FILE)).map_err(fault)?;
    set_up(&connection).map_err(fault)?;
    connection
        .pragma_update(None, "journal_mode", "wal")
        .map_err(fault)?;
    connection
        .pragma_update(None, "synchronous", "full")
        .map_err(fault)?;
    connection
        .pragma_update(None, "cache_size", WRITER_CACHE_KIB)
        .map_err(fault)?;
    // Of what is taken out nothing stays in pages that are in use; `Writer::clean` says more.
    connection
        .pragma_update(None, "secure_delete", "FAST")
        .map_err(fault)?;
    migrate(&mut connection)?;
    settings_tables::create(&connection)?;
    restriction_tables::create(&connection)?;
    proof_table::create(&connection)?;
    shelf_table::create(&connection)?;
    keep_content(&mut connection).map_err(fault)?;
    Ok(connection)
}

fn keep_content(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let sql = "SELECT 1 FROM sqlite_schema WHERE name = 'kept_sum'";
    let is_counted = transaction.prepare(sql)?.exists([])?;
    transaction.execute_batch(KEPT)?;
    if !is_counted {
        transaction.execute(COUNT_KEPT, [])?;
    }
    transaction.commit()
}

/// Opens a connection that reads, beside whoever writes.
pub(crate) fn open_reader(folder: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = folder.join(DATABASE_FILE);
    let connection = Connection::open_with_flags(file, flags).map_err(fault)?;
    set_up(&connection).map_err(fault)?;
    refuse_newer(version(&connection).map_err(fault)?)?;
    Ok(connection)
}

/// Suspensions of an older Relais, which knew destinations only.
pub(crate) fn old_suspensions(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT destination FROM suspension")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// One of them has ended.
pub(crate) fn forget_old_suspension(
    connection: &Connection,
    destination: Option<&str>,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM suspension WHERE destination = ?1";
    connection.execute(sql, [destination]).map_err(fault)?;
    Ok(())
}

/// What SQLite said, without paths.
pub(crate) fn fault(error: rusqlite::Error) -> StoreError {
    StoreError::Fault(format!("the queue database: {error}"))
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "temp_store", "memory")
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn refuse_newer(version: usize) -> Result<(), StoreError> {
    if version <= STEPS.len() {
        return Ok(());
    }
    Err(StoreError::Fault(format!(
        "the queue database was written by a newer Relais (schema {version}, this one knows {}): \
         start that one, or restore a backup made before the upgrade",
        STEPS.len()
    )))
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found = version(connection).map_err(fault)?;
    refuse_newer(found)?;
    for (number, step) in STEPS.iter().enumerate().skip(found) {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        transaction.execute_batch(step).map_err(fault)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(fault)?;
        transaction
            .pragma_update(None, "user_version", number + 1)
            .map_err(fault)?;
        transaction.commit().map_err(fault)?;
    }
    Ok(())
}
