//! Legal holds that stand, and which messages they cover: read where something would be dropped.
//!
//! Not here: the holds themselves (`crate::legal_hold`).

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{record, schema, shelf_table};
use crate::error::StoreError;
use crate::legal_hold::LegalHold;
use crate::shelf::Shelf;

/// Those that stand at a time.
pub(super) fn standing(
    connection: &Connection,
    now: Timestamp,
) -> Result<Vec<LegalHold>, StoreError> {
    let entries = shelf_table::all(connection, Shelf::LegalHold)?;
    let holds = entries.iter().filter_map(LegalHold::from_entry);
    Ok(holds.filter(|hold| !hold.is_over(now)).collect())
}

/// Whether one of them covers a message; one that cannot be read may be anybody's.
pub(super) fn cover(holds: &[LegalHold], id: i64, envelope: &[u8]) -> bool {
    if holds.is_empty() {
        return false;
    }
    let record = QueueId::from_i64(id).map(|id| record::decode(id, envelope));
    match record {
        Some(Ok(found)) => holds
            .iter()
            .any(|hold| hold.covers(&found.facts, &found.recipients)),
        Some(Err(_)) | None => true,
    }
}

/// Whether content that is kept of a message is under a hold.
pub(super) fn is_held(
    connection: &Connection,
    queue_id: QueueId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let holds = standing(connection, now)?;
    let id = queue_id.as_i64();
    let look = || -> rusqlite::Result<Option<Vec<u8>>> {
        let sql = "SELECT envelope FROM kept WHERE id = ?1";
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row([id], |row| row.get(0)).optional()
    };
    let envelope = look().map_err(schema::fault)?;
    Ok(envelope.is_some_and(|envelope| cover(&holds, id, &envelope)))
}
