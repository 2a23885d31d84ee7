//! Connections that read, a few, on threads that may block; and the questions that are asked of
//! single messages. The writer is never asked.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relais_smtp::identifier::QueueId;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Semaphore;

use super::record::{self, Record};
use super::schema;
use crate::checksum::Checksum;
use crate::error::StoreError;

/// Reads at once; more wait. Each holds a page cache of at most 2 MB.
const READERS_MAX: usize = 4;

/// See the sign on the door. Clones share the connections.
#[derive(Clone)]
pub(super) struct Readers(Arc<Pool>);

struct Pool {
    folder: PathBuf,
    idle: Mutex<Vec<(u64, Connection)>>,
    /// Raised when the database is opened anew: older connections are not used again.
    generation: AtomicU64,
    permits: Semaphore,
}

impl Readers {
    pub(super) fn new(folder: &Path) -> Self {
        Self(Arc::new(Pool {
            folder: folder.to_path_buf(),
            idle: Mutex::default(),
            generation: AtomicU64::new(0),
            permits: Semaphore::new(READERS_MAX),
        }))
    }

    /// Asks something on a thread that may block.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _permit = self
            .0
            .permits
            .acquire()
            .await
            .map_err(|_| StoreError::Closed)?;
        let pool = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || pool.ask(question));
        asked
            .await
            .unwrap_or_else(|_| Err(StoreError::Fault("a read was cut off".to_owned())))
    }

    /// The same on this thread.
    pub(super) fn ask_blocking<T>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.0.ask(question)
    }

    /// Connections of before are closed.
    pub(super) fn reset(&self) {
        self.0.generation.fetch_add(1, Ordering::Relaxed);
        self.0.idle().clear();
    }
}

impl Pool {
    fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let generation = self.generation.load(Ordering::Relaxed);
        let idle = self.idle().pop().filter(|(found, _)| *found == generation);
        let connection = match idle {
            Some((_, connection)) => connection,
            None => schema::open_reader(&self.folder)?,
        };
        let answer = question(&connection);
        // After a fault the next question begins afresh.
        if answer.is_ok() && self.generation.load(Ordering::Relaxed) == generation {
            self.idle().push((generation, connection));
        }
        answer
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(u64, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message as found in the database.
pub(super) enum Found {
    /// There is no such row.
    Nothing,
    /// The row is not what was written.
    Damaged,
    /// All is well, as far as the row goes.
    Whole(Box<FoundMessage>),
}

/// See [`Found::Whole`].
pub(super) struct FoundMessage {
    pub(super) record: Record,
    pub(super) content: FoundContent,
    /// Last replies by number.
    pub(super) replies: Vec<(u32, String)>,
}

/// Where the content is.
pub(super) enum FoundContent {
    /// It was not asked for, or it is damaged.
    Absent,
    Inline(Arc<[u8]>),
    Spooled(String),
}

/// What is asked of a message's content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Want {
    Content,
    FactsOnly,
}

/// Reads a message.
pub(super) fn find(
    connection: &Connection,
    queue_id: QueueId,
    want: Want,
) -> Result<Found, StoreError> {
    let sql = "SELECT envelope, spool, content FROM message WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(schema::fault)?;
    let row = statement.query_row([queue_id.as_i64()], |row| {
        let envelope = row.get_ref(0)?.as_blob().unwrap_or_default();
        let record = record::decode(queue_id, envelope).ok();
        let spool: Option<String> = row.get(1)?;
        let content = match (want, spool, &record) {
            (Want::FactsOnly, _, _) | (_, _, None) => FoundContent::Absent,
            (Want::Content, Some(name), Some(_)) => FoundContent::Spooled(name),
            (Want::Content, None, Some(record)) => {
                let octets = row.get_ref(2)?.as_blob().unwrap_or_default();
                let whole = octets.len() as u64 == record.content_size
                    && Checksum::of(octets) == record.content_checksum;
                if whole {
                    FoundContent::Inline(octets.into())
                } else {
                    FoundContent::Absent
                }
            }
        };
        Ok((record, content))
    });
    let Some((record, content)) = row.optional().map_err(schema::fault)? else {
        return Ok(Found::Nothing);
    };
    let Some(record) = record else {
        return Ok(Found::Damaged);
    };
    let replies = replies(connection, queue_id).map_err(schema::fault)?;
    Ok(Found::Whole(Box::new(FoundMessage {
        record,
        content,
        replies,
    })))
}

fn replies(connection: &Connection, queue_id: QueueId) -> rusqlite::Result<Vec<(u32, String)>> {
    let sql = "SELECT number, last_reply FROM recipient
               WHERE message = ?1 AND last_reply IS NOT NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![queue_id.as_i64()], |row| {
        Ok((
            row.get(0)?,
            String::from_utf8_lossy(row.get_ref(1)?.as_bytes()?).into_owned(),
        ))
    })?;
    rows.collect()
}

impl FoundMessage {
    /// The last reply of a recipient.
    pub(super) fn reply(&self, number: u32) -> Option<&str> {
        let found = self.replies.iter().find(|(replied, _)| *replied == number);
        found.map(|(_, reply)| reply.as_str())
    }
}
