//! The embedded store's answers from the trace: pages, numbers, devices, the queue over time.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use super::Embedded;
use super::administering::trace_fault;
use super::trace_database::TraceDatabaseError;
use super::trace_database::TraceDatabases;
use crate::error::StoreError;
use crate::trace::dialogue::{Dialogue, DialogueKey};
use crate::trace::tally::{Device, QueueSample, Tally, TallyQuery};
use crate::trace::{TraceAnswer, TraceQuery};

/// How often it is noted how the queue stands, in milliseconds.
const SAMPLE_MILLIS: i64 = 60_000;

impl Embedded {
    pub(crate) async fn trace_page(&self, query: &TraceQuery) -> Result<TraceAnswer, StoreError> {
        let (feed, query) = (self.feed.clone(), query.clone());
        self.of_trace(move |databases| {
            let page = databases.search(&query)?;
            feed.iter()
                .for_each(|feed| feed.set_aside(page.damaged.clone()));
            Ok(TraceAnswer {
                rows: page.rows,
                next: page.next,
                searched_to: page.searched_to,
            })
        })
        .await
    }

    pub(crate) async fn delivered_in_part(
        &self,
        ids: Vec<QueueId>,
    ) -> Result<BTreeSet<QueueId>, StoreError> {
        self.of_trace(move |databases| databases.delivered_in_part(&ids))
            .await
    }

    pub(crate) async fn tallies(
        &self,
        queries: Vec<TallyQuery>,
    ) -> Result<Vec<Vec<Tally>>, StoreError> {
        self.of_trace(move |databases| databases.tallies(&queries))
            .await
    }

    pub(crate) async fn devices(&self, since: Timestamp) -> Result<Vec<Device>, StoreError> {
        self.of_trace(move |databases| databases.devices(since))
            .await
    }

    pub(crate) async fn queue_samples(
        &self,
        since: Timestamp,
    ) -> Result<Vec<QueueSample>, StoreError> {
        self.of_trace(move |databases| databases.queue_samples(since))
            .await
    }

    pub(crate) fn note_dialogue(&self, dialogue: Dialogue) {
        if let Some(feed) = &self.feed {
            feed.note_dialogue(Box::new(dialogue));
        }
    }

    pub(crate) fn keeps_dialogues(&self) -> bool {
        self.feed.is_some() && self.dialogues.days_kept() > 0
    }

    pub(crate) fn dialogue_days(&self) -> u32 {
        self.dialogues.days_kept()
    }

    pub(crate) fn keep_dialogues(&self, days: u32) {
        self.dialogues.keep(days);
    }

    pub(crate) async fn dialogues(&self, key: DialogueKey) -> Result<Vec<Dialogue>, StoreError> {
        let dialogues = self.dialogues.clone();
        self.of_trace(move |_| Ok(dialogues.find(key))).await
    }

    /// Asks the trace on a thread that may block, with everything told before written.
    async fn of_trace<T: Send + 'static>(
        &self,
        question: impl FnOnce(TraceDatabases) -> Result<T, TraceDatabaseError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (databases, feed) = (self.databases.clone(), self.feed.clone());
        self.events_handed_over().await;
        self.blocking(move || {
            feed.iter().for_each(|feed| feed.flush());
            question(databases).map_err(trace_fault)
        })
        .await
    }

    /// Notes how the queue stands, once a minute.
    pub(super) fn note_queue(&self, now: Timestamp) {
        let last = self.sampled.load(Ordering::Relaxed);
        // A clock that went back begins anew.
        if now.as_millis() >= last && now.as_millis() - last < SAMPLE_MILLIS {
            return;
        }
        self.sampled.store(now.as_millis(), Ordering::Relaxed);
        let counts = self.counts();
        let sample = QueueSample {
            time: now,
            queued: counts.queued,
            deferred: counts.deferred,
            held: counts.held,
            oldest_s: counts
                .oldest
                .map_or(0, |oldest| now.since(oldest).as_secs()),
        };
        self.feed.iter().for_each(|feed| feed.note_queue(sample));
    }
}
