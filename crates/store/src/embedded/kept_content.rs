//! Content that is kept after the last outcome, as the embedded store answers for it: found,
//! counted, dropped when its days are over or mail needs its room.

use std::sync::Arc;
use std::time::Duration;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::Connection;

use super::writer::Writer;
use super::{Embedded, kept_table, schema, standing_holds};
use crate::error::StoreError;
use crate::queue::{Content, KeptContent, SpooledContent};

/// Transactions of one round, beside the mail; the rest waits for the next one, a second later.
pub(super) const TURNS_MAX: usize = 4;

impl Embedded {
    pub(crate) fn keep_content(&self, days: u32) {
        self.shared.keeping.keep(days);
    }

    pub(crate) fn content_days(&self) -> u32 {
        self.shared.keeping.default()
    }

    pub(crate) async fn kept(
        &self,
        queue_id: QueueId,
        now: Timestamp,
    ) -> Result<Option<KeptContent>, StoreError> {
        let shared = self.shared.clone();
        let find = move |connection: &Connection| {
            let Some(row) = kept_table::find(connection, queue_id)? else {
                return Ok(None);
            };
            let connector = row.facts.inbound_connector.as_deref();
            let owner = (&*row.facts.organisation, connector);
            // It may still be there, until its turn to go comes.
            let is_over = shared.keeping.is_over(owner, row.done, now);
            if is_over && !standing_holds::is_held(connection, queue_id, now)? {
                return Ok(None);
            }
            let days = shared.keeping.days(owner.0, owner.1);
            let content = match (row.octets, row.spool) {
                (Some(octets), _) => Content::Inline(octets),
                (None, Some(name)) if shared.spool.open(&name, row.size).is_ok() => {
                    let name: Arc<str> = name.as_str().into();
                    Content::Spooled(SpooledContent {
                        file: Arc::new(shared.spool.kept(name.clone())),
                        name,
                        size: row.size,
                        checksum: row.checksum,
                    })
                }
                (None, _) => return Ok(None),
            };
            let span = Duration::from_secs(86_400 * u64::from(days));
            Ok(Some(KeptContent {
                facts: Arc::new(row.facts),
                done: row.done,
                until: row.done.after(span),
                content,
            }))
        };
        self.shared.readers.ask(find).await
    }

    pub(crate) async fn kept_count(
        &self,
        organisation: Option<&str>,
    ) -> Result<(u64, u64), StoreError> {
        let organisation = organisation.map(ToOwned::to_owned);
        let count =
            move |connection: &Connection| kept_table::count(connection, organisation.as_deref());
        self.shared.readers.ask(count).await
    }

    /// What has had its days goes, then what is beyond the bound of its organisation, as much as
    /// one round takes; whether there is more is remembered.
    pub(super) async fn drop_old_content(&self, now: Timestamp) {
        let mut is_more = true;
        for _ in 0..TURNS_MAX {
            is_more = match self.drop_due(now).await {
                // Less than a turn takes may be all that is due, and not all that is too much.
                Ok(dropped) => dropped > 0,
                Err(error) => {
                    tracing::warn!(%error, "content that is kept no longer could not go");
                    // The next hour tries again.
                    false
                }
            };
            if !is_more {
                break;
            }
        }
        self.shared.keeping.note_due(is_more);
    }

    async fn drop_due(&self, now: Timestamp) -> Result<usize, StoreError> {
        let keeping = self.shared.keeping.clone();
        let due = move |connection: &Connection| {
            let due = keeping.due(connection, now)?;
            match due.is_empty() {
                true => keeping.beyond(connection, now),
                false => Ok(due),
            }
        };
        let due = self.shared.readers.ask(due).await?;
        let count = due.len();
        self.drop_content(due).await?;
        Ok(count)
    }

    /// The disk is below its reserve: mail goes before what is kept of it.
    pub(super) async fn make_room(&self, now: Timestamp) {
        let oldest = move |connection: &Connection| kept_table::oldest(connection, now);
        let dropped = match self.shared.readers.ask(oldest).await {
            Ok(oldest) => self.drop_content(oldest).await,
            Err(error) => Err(error),
        };
        if let Err(error) = dropped {
            tracing::warn!(%error, "content that is kept could not make room for mail");
        }
    }

    /// Takes these out, with their files, in one transaction: at most [`kept_table::DROPPED_MAX`].
    pub(super) async fn drop_content(&self, ids: Vec<i64>) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let dropped = self.exclusively(move |writer: &mut Writer| {
            writer.clean(true)?;
            let files = writer.transact(|transaction| {
                let files = kept_table::drop_some(transaction, &ids).map_err(schema::fault)?;
                Ok::<_, StoreError>((files, Vec::new()))
            })?;
            files
                .iter()
                .for_each(|name| writer.shared.spool.remove(name));
            Ok(())
        });
        dropped.await?
    }
}
