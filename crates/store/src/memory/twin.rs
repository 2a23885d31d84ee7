//! The broken twins of the store in memory: what a crash loses when a promise is not kept.
//! `LeaseForgotten` is in the index, which both stores share.

use std::collections::{BTreeMap, VecDeque};

use relais_smtp::identifier::QueueId;

use super::{Durable, State, Stored};
use crate::options::BrokenTwin;

/// With `SyncDropped` the disk writes by itself after so many writes of ours.
const WRITES_UNSYNCED_MAX: u32 = 10;
/// With `CommitEarly` so many commits at most have been acknowledged, but not written.
const COMMITS_EARLY_MAX: usize = 4;

/// Remembers what a crash takes back.
#[derive(Default)]
pub(super) struct Twin {
    broken: Option<BrokenTwin>,
    writes: u32,
    /// What a crash goes back to: messages, and how many events.
    last: Option<(BTreeMap<i64, Stored>, usize)>,
    /// Acknowledged, but not yet written.
    early: VecDeque<QueueId>,
}

impl State {
    /// A write is about to be made; a commit names its message.
    pub(super) fn note_write(&mut self, commit: Option<QueueId>) {
        self.twin.before_write(&self.durable, commit);
    }
}

impl Twin {
    pub(super) fn new(broken: Option<BrokenTwin>) -> Self {
        Self {
            broken,
            ..Self::default()
        }
    }

    fn before_write(&mut self, durable: &Durable, commit: Option<QueueId>) {
        match self.broken {
            Some(BrokenTwin::SyncDropped) => {
                if self.writes.is_multiple_of(WRITES_UNSYNCED_MAX) {
                    self.last = Some((durable.messages.clone(), durable.events.len()));
                }
                self.writes += 1;
            }
            Some(BrokenTwin::CommitEarly) => {
                self.early.extend(commit);
                if self.early.len() > COMMITS_EARLY_MAX {
                    self.early.pop_front();
                }
            }
            Some(BrokenTwin::LeaseForgotten) | None => {}
        }
    }

    /// The power fails.
    pub(super) fn crash(&mut self, durable: &mut Durable) {
        if let Some((messages, events)) = self.last.take() {
            durable.messages = messages;
            durable.events.truncate(events);
        }
        for id in self.early.drain(..) {
            durable.messages.remove(&id.as_i64());
            durable.events.retain(|event| event.queue_id != Some(id));
        }
    }
}
