//! The table of the shelves. Plain functions over a connection or transaction of whoever owns the
//! database.

use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::settings_tables::{NewAuditEntry, append_audit};
use crate::error::StoreError;
use crate::shelf::{SHELF_ENTRIES_MAX, Shelf, ShelfChange, ShelfEntry};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS shelf (
    shelf TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    since INTEGER NOT NULL,     -- milliseconds
    PRIMARY KEY (shelf, key)
) STRICT, WITHOUT ROWID;
";

/// Makes the table where it is absent.
pub(crate) fn create(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(SCHEMA).map_err(fault)
}

/// Everything on a shelf, by key. A folder that an older Relais left, read without a server, has no
/// such table yet.
pub(crate) fn all(connection: &Connection, shelf: Shelf) -> Result<Vec<ShelfEntry>, StoreError> {
    if !exists(connection)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT key, value, since FROM shelf WHERE shelf = ?1 ORDER BY key";
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let rows = statement
        .query_map([shelf.name()], |row| {
            Ok(ShelfEntry {
                key: row.get(0)?,
                value: row.get(1)?,
                since: Timestamp::from_millis(row.get(2)?),
            })
        })
        .map_err(fault)?;
    rows.collect::<Result<_, _>>().map_err(fault)
}

/// The value of one thing.
pub(crate) fn one(
    connection: &Connection,
    shelf: Shelf,
    key: &str,
) -> Result<Option<String>, StoreError> {
    if !exists(connection)? {
        return Ok(None);
    }
    let sql = "SELECT value FROM shelf WHERE shelf = ?1 AND key = ?2";
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let value = statement.query_row(params![shelf.name(), key], |row| row.get(0));
    value.optional().map_err(fault)
}

fn exists(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'shelf'";
    let found = connection.query_row(sql, [], |_| Ok(())).optional();
    found.map(|found| found.is_some()).map_err(fault)
}

/// Makes a change with its audit entry.
pub(crate) fn change(
    transaction: &Transaction<'_>,
    change: &ShelfChange,
) -> Result<(), StoreError> {
    change.check()?;
    let name = change.shelf.name();
    for key in &change.taken {
        let sql = "DELETE FROM shelf WHERE shelf = ?1 AND key = ?2";
        transaction
            .execute(sql, params![name, key])
            .map_err(fault)?;
    }
    for (key, value) in &change.put {
        let sql = "INSERT OR REPLACE INTO shelf (shelf, key, value, since)
                   VALUES (?1, ?2, ?3, ?4)";
        let values = params![name, key, value, change.time.as_millis()];
        transaction.execute(sql, values).map_err(fault)?;
    }
    if !change.put.is_empty() {
        bound(transaction, change.shelf)?;
    }
    let Some(audit) = &change.audit else {
        return Ok(());
    };
    let entry = NewAuditEntry {
        time: change.time,
        actor: &audit.actor,
        via: audit.via,
        act: audit.act,
        detail: &audit.detail,
        settings_version: None,
    };
    append_audit(transaction, &entry).map(|_| ())
}

fn bound(transaction: &Transaction<'_>, shelf: Shelf) -> Result<(), StoreError> {
    let name = shelf.name();
    let sql = "SELECT count(*) FROM shelf WHERE shelf = ?1";
    let count: usize = transaction
        .query_row(sql, [name], |row| row.get(0))
        .map_err(fault)?;
    if count > SHELF_ENTRIES_MAX {
        return Err(StoreError::Fault(format!(
            "{name} has {SHELF_ENTRIES_MAX} entries already: remove some"
        )));
    }
    Ok(())
}

fn fault(error: rusqlite::Error) -> StoreError {
    StoreError::Fault(format!("the shelves: {error}"))
}
