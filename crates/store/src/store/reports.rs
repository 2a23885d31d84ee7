//! What the trace tells beside single events: pages with their cursor, numbers for charts, devices,
//! the queue over time.

use std::collections::BTreeSet;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use super::Store;
use crate::error::StoreError;
use crate::queue::Actor;
use crate::trace::dialogue::{Dialogue, DialogueKey};
use crate::trace::erase::{Erased, Erasure};
use crate::trace::tally::{Device, QueueSample, Tally, TallyQuery};
use crate::trace::{TraceAnswer, TraceQuery};

impl Store {
    /// Events, newest first, and where the next page begins.
    pub async fn trace_page(&self, query: &TraceQuery) -> Result<TraceAnswer, StoreError> {
        match self {
            Self::Embedded(store) => store.trace_page(query).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.trace_page(query),
        }
    }

    /// What has an address, beside the queue: of the trace, of conversations, of content that is
    /// kept. Reads all of the trace.
    pub async fn count_erasure(&self, wanted: &Erasure) -> Result<Erased, StoreError> {
        match self {
            Self::Embedded(store) => store.count_erasure(wanted).await,
            #[cfg(feature = "simulation")]
            Self::Memory(_) => {
                let _ = wanted;
                Ok(Erased::default())
            }
        }
    }

    /// Erases it there, durably, and gives what was erased, and what could not be. `tell` says what
    /// the audit is told of it, which must not name the address.
    pub async fn erase(
        &self,
        wanted: &Erasure,
        tell: impl FnOnce(&Erased) -> Vec<String> + Send,
        actor: Actor<'_>,
        now: Timestamp,
    ) -> Result<Erased, StoreError> {
        match self {
            Self::Embedded(store) => store.erase(wanted, tell, actor, now).await,
            #[cfg(feature = "simulation")]
            Self::Memory(_) => {
                let _ = (wanted, tell(&Erased::default()), actor, now);
                Ok(Erased::default())
            }
        }
    }

    /// Of these messages those of which some recipient was delivered: beside one who was not, the
    /// message is partly delivered.
    pub async fn delivered_in_part(
        &self,
        ids: Vec<QueueId>,
    ) -> Result<BTreeSet<QueueId>, StoreError> {
        match self {
            Self::Embedded(store) => store.delivered_in_part(ids).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => Ok(store.delivered_in_part(ids)),
        }
    }

    /// Days that the trace is kept.
    pub fn trace_days(&self) -> u32 {
        match self {
            Self::Embedded(store) => store.trace_days(),
            #[cfg(feature = "simulation")]
            Self::Memory(_) => u32::MAX,
        }
    }

    /// Numbers for charts: of the first query, then of the second and so on, each by time, name
    /// and outcome. Reads a few rows an hour, never the events.
    pub async fn tallies(&self, queries: Vec<TallyQuery>) -> Result<Vec<Vec<Tally>>, StoreError> {
        match self {
            Self::Embedded(store) => store.tallies(queries).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => Ok(store.tallies(&queries)),
        }
    }

    /// Devices and applications that were seen since a time, the last seen first; at most
    /// [`crate::trace::tally::DEVICES_MAX`].
    pub async fn devices(&self, since: Timestamp) -> Result<Vec<Device>, StoreError> {
        match self {
            Self::Embedded(store) => store.devices(since).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => Ok(store.devices(since)),
        }
    }

    /// How the queue stood, once a minute, oldest first. The store in memory does not note it.
    pub async fn queue_samples(&self, since: Timestamp) -> Result<Vec<QueueSample>, StoreError> {
        match self {
            Self::Embedded(store) => store.queue_samples(since).await,
            #[cfg(feature = "simulation")]
            Self::Memory(_) => {
                let _ = since;
                Ok(Vec::new())
            }
        }
    }

    /// Keeps a conversation, if there is room: never waits, and may be lost.
    pub fn note_dialogue(&self, dialogue: Dialogue) {
        match self {
            Self::Embedded(store) => store.note_dialogue(dialogue),
            #[cfg(feature = "simulation")]
            Self::Memory(_) => drop(dialogue),
        }
    }

    /// Whether conversations are kept: if not, nobody needs to write them down. The store in memory
    /// keeps none.
    pub fn keeps_dialogues(&self) -> bool {
        match self {
            Self::Embedded(store) => store.keeps_dialogues(),
            #[cfg(feature = "simulation")]
            Self::Memory(_) => false,
        }
    }

    /// From now on conversations are kept for so many days; 0: no new ones.
    pub fn keep_dialogues(&self, days: u32) {
        match self {
            Self::Embedded(store) => store.keep_dialogues(days),
            #[cfg(feature = "simulation")]
            Self::Memory(_) => {}
        }
    }

    /// What was said about one message or refusal, oldest first.
    pub async fn dialogues(&self, key: DialogueKey) -> Result<Vec<Dialogue>, StoreError> {
        match self {
            Self::Embedded(store) => store.dialogues(key).await,
            #[cfg(feature = "simulation")]
            Self::Memory(_) => {
                let _ = key;
                Ok(Vec::new())
            }
        }
    }
}
