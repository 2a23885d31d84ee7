//! Content that is kept after the last outcome, as the embedded store answers for it: found,
//! counted, dropped when its days are over or mail needs its room.

use std::sync::Arc;
use std::time::Duration;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, Transaction};

use super::writer::Writer;
use super::{Embedded, kept_table, schema};
use crate::error::StoreError;
use crate::queue::{Content, KeptContent, SpooledContent};

/// Transactions of one round: the rest waits for the next.
const ROUNDS_MAX: usize = 40;

impl Embedded {
    pub(crate) fn keep_content(&self, days: u32) {
        self.shared.keeping.keep(days);
    }

    pub(crate) fn content_days(&self) -> u32 {
        self.shared.keeping.default()
    }

    pub(crate) async fn kept(&self, queue_id: QueueId) -> Result<Option<KeptContent>, StoreError> {
        let shared = self.shared.clone();
        let find = move |connection: &Connection| {
            let Some(row) = kept_table::find(connection, queue_id)? else {
                return Ok(None);
            };
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
            let connector = row.facts.inbound_connector.as_deref();
            let days = shared.keeping.days(&row.facts.organisation, connector);
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

    /// What has had its days goes.
    pub(super) async fn drop_old_content(&self, now: Timestamp) {
        for _ in 0..ROUNDS_MAX {
            let keeping = self.shared.keeping.clone();
            let purge = move |transaction: &Transaction<'_>| keeping.purge(transaction, now);
            match self.drop_content(purge).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    return tracing::warn!(%error, "content that is kept no longer could not go");
                }
            }
        }
    }

    /// The disk is below its reserve: mail goes before what is kept of it.
    pub(super) async fn make_room(&self) {
        if !matches!(self.kept_count(None).await, Ok((1.., _))) {
            return;
        }
        let oldest =
            |transaction: &Transaction<'_>| Ok((kept_table::drop_oldest(transaction)?, false));
        if let Err(error) = self.drop_content(oldest).await {
            tracing::warn!(%error, "content that is kept could not make room for mail");
        }
    }

    /// Takes the files of what `choose` drops; whether there is more.
    async fn drop_content<C>(&self, choose: C) -> Result<bool, StoreError>
    where
        C: FnOnce(&Transaction<'_>) -> rusqlite::Result<(Vec<String>, bool)> + Send + 'static,
    {
        let dropped = self.exclusively(move |writer: &mut Writer| {
            let (files, has_more) = writer.transact(|transaction| {
                let dropped = choose(transaction).map_err(schema::fault)?;
                Ok::<_, StoreError>((dropped, Vec::new()))
            })?;
            files
                .iter()
                .for_each(|name| writer.shared.spool.remove(name));
            Ok(has_more)
        });
        dropped.await?
    }
}
