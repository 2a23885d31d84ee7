//! The embedded store's housekeeping: free space, recovery, ageing, sweeps, the end.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use relais_smtp::time::Timestamp;
use tokio::sync::oneshot;

use super::opening::REMEMBER_STEP;
use super::writer::{Op, Writer};
use super::{Embedded, administering, group, opening, schema};
use crate::error::StoreError;
use crate::queue::Actor;
use crate::restriction::EntityChange;

/// Between two rounds of what is done now and then: sweeps, retention. Milliseconds.
const HOURLY_MILLIS: i64 = 3_600_000;

/// Content of what is done is kept while so many reserves are free: the rest is mail's.
const KEEPING_RESERVES: u64 = 2;

impl Embedded {
    pub(crate) async fn maintain(&self, now: Timestamp, steady: Timestamp) {
        if self.ops.is_none() || self.shared.health.is_closed() {
            return;
        }
        self.measure_room().await;
        if self.shared.health.sealed().is_some() {
            self.recover().await;
        } else if self.shared.health.may_commit().is_err() {
            self.make_room(now).await;
        }
        self.feed.iter().for_each(|feed| feed.tick());
        self.note_queue(now);
        self.shared.cache.age(now);
        self.remember_ids().await;
        self.release_ended(steady).await;
        self.end_suspensions(steady).await;
        let last = self.hourly.load(Ordering::Relaxed);
        // A clock that went back starts a new hour.
        if now.as_millis() < last || now.as_millis() - last >= HOURLY_MILLIS {
            self.hourly.store(now.as_millis(), Ordering::Relaxed);
            self.do_hourly(now).await;
        } else if self.shared.keeping.is_more_due() {
            self.drop_old_content(now).await;
        }
    }

    /// Reads the folder from outside, with the trace up to date, on a thread that may block.
    pub(crate) async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (folder, feed) = (self.folder.clone(), self.feed.clone());
        self.events_handed_over().await;
        self.blocking(move || {
            feed.iter().for_each(|feed| feed.flush());
            Ok(work(&folder))
        })
        .await
    }

    /// A backup was made: says the audit.
    pub(crate) async fn note_backup(
        &self,
        summary: &[String],
        actor: Actor<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.ops.is_none() {
            return Ok(());
        }
        let (lines, name, via) = (summary.to_vec(), actor.name.to_owned(), actor.via);
        let note = self.exclusively(move |writer: &mut Writer| {
            writer.transact(|transaction| {
                let actor = Actor { name: &name, via };
                administering::audit(transaction, "backup.created", &lines, actor, now)?;
                Ok::<_, StoreError>(((), Vec::new()))
            })
        });
        note.await?
    }

    pub(crate) async fn close(&self, within: Duration) {
        self.shared.health.close();
        let Some(ops) = &self.ops else { return };
        let (done, closed) = oneshot::channel();
        let close = async {
            if ops.send(Op::Close(done)).await.is_ok() {
                // An error means that the writer is gone: nothing to wait for.
                let _ = closed.await;
            }
        };
        if tokio::time::timeout(within, close).await.is_err() {
            tracing::error!("the store could not be closed in time; the next start recovers");
        }
    }

    /// From now on every write fails, as on a disk that fails, until the store has recovered.
    #[cfg(feature = "simulation")]
    pub async fn break_disk(&self) -> Result<(), StoreError> {
        self.exclusively(|writer| writer.break_connection()).await
    }

    async fn measure_room(&self) {
        let (disk, folder, reserve) = (self.disk.clone(), self.folder.clone(), self.disk_reserve);
        let free = self
            .shared
            .spool
            .run(move || disk.free_octets(&folder))
            .await;
        match free {
            Ok(free) => {
                self.shared.health.set_free(free);
                self.shared.health.set_no_room(free < reserve || free == 0);
                let far = reserve.saturating_mul(KEEPING_RESERVES);
                self.shared.health.set_near_reserve(free < far);
            }
            Err(error) => tracing::warn!(%error, "free space cannot be measured"),
        }
    }

    async fn recover(&self) {
        match self.exclusively(Writer::recover).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => tracing::error!(%error, "the store is still sealed"),
        }
    }

    /// A restriction ends by itself at its time; here it is told and forgotten.
    async fn release_ended(&self, now: Timestamp) {
        if !self.restrictions.load().iter().any(|one| one.is_over(now)) {
            return;
        }
        if let Err(error) = self
            .change_entities(
                EntityChange::Expire { time: now },
                crate::queue::BY_ITSELF.into(),
            )
            .await
        {
            tracing::warn!(%error, "restrictions that are over are not forgotten yet");
        }
    }

    async fn remember_ids(&self) {
        let last = self.shared.ids.last();
        if last - self.remembered.load(Ordering::Relaxed) < REMEMBER_STEP {
            return;
        }
        let remember = self.exclusively(move |writer: &mut Writer| {
            writer.transact(|transaction| {
                group::remember(transaction, last).map_err(schema::fault)?;
                Ok::<_, StoreError>(((), Vec::new()))
            })
        });
        if matches!(remember.await, Ok(Ok(()))) {
            self.remembered.store(last, Ordering::Relaxed);
        }
    }

    async fn do_hourly(&self, now: Timestamp) {
        let ageing = self.ageing(now).await;
        self.feed.iter().for_each(|feed| feed.purge(now, ageing));
        self.drop_old_content(now).await;
        if !*self.rebuilt.borrow() {
            return;
        }
        match self.exclusively(Writer::sweep_queues).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => tracing::warn!(%error, "unused queues could not be forgotten"),
        }
        let shared = self.shared.clone();
        let swept = self
            .shared
            .spool
            .run(move || Ok(opening::sweep(&shared)))
            .await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "the spool could not be swept");
        }
    }
}
