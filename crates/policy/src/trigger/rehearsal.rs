//! What one trigger would have done, had it been on: the events of some time, heard in order by a
//! guard that knows nothing before them.
//!
//! Not here: reading events (`relais-admin`).

use std::collections::BTreeMap;
use std::time::Duration;

use relais_smtp::time::Timestamp;

use super::{Found, Guard, Heard, Signal, TriggerKind};
use crate::document::{TriggerMode, Triggers};
use crate::restriction::{Effect, Entity};

/// A person is taken to release what was held after this long.
const RELEASED_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// Findings told; more would be read by nobody.
pub const FINDINGS_MAX: usize = 200;

/// One finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// When.
    pub time: Timestamp,
    /// What.
    pub found: Found,
    /// Messages of the same device within the day after, this one included, that would have
    /// waited.
    pub would_wait: u64,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Rehearsal {
    kind: TriggerKind,
    triggers: Triggers,
    guard: Guard,
    held: BTreeMap<Entity, usize>,
    findings: Vec<Finding>,
    heard: u64,
}

impl Rehearsal {
    /// Of this trigger with these numbers; it holds whatever its mode is, and all others are off.
    pub fn new(kind: TriggerKind, mut triggers: Triggers) -> Self {
        for other in TriggerKind::ALL {
            let mode = if other == kind {
                TriggerMode::Hold
            } else {
                TriggerMode::Off
            };
            other.written_mut(&mut triggers).mode = Some(mode);
        }
        Self {
            kind,
            triggers,
            guard: Guard::default(),
            held: BTreeMap::new(),
            findings: Vec::new(),
            heard: 0,
        }
    }

    /// Which trigger.
    pub fn kind(&self) -> TriggerKind {
        self.kind
    }

    /// Hears the next event.
    pub fn hear(&mut self, heard: &Heard) {
        self.heard += 1;
        let entity = heard.entity();
        let finding = self.held.get(&entity).copied();
        let finding = finding.and_then(|place| self.findings.get_mut(place));
        let is_held = finding
            .as_ref()
            .is_some_and(|one| heard.time < one.time.after(RELEASED_AFTER));
        if !is_held && self.held.remove(&entity).is_some() {
            self.guard.release(&entity, true, heard.time);
        }
        let standing = is_held.then_some(Effect::Hold);
        let found = self.guard.hear(heard, &self.triggers, standing);
        let is_message = matches!(heard.signal, Signal::Message { .. });
        if let Some(finding) = self
            .held
            .get(&entity)
            .and_then(|it| self.findings.get_mut(*it))
        {
            finding.would_wait += u64::from(is_message);
        }
        if let Some(found) = found.filter(|_| self.findings.len() < FINDINGS_MAX) {
            self.held.insert(entity, self.findings.len());
            self.findings.push(Finding {
                time: heard.time,
                found,
                would_wait: u64::from(is_message),
            });
        }
    }

    /// What it found, oldest first, and how many events it heard.
    pub fn end(self) -> (Vec<Finding>, u64) {
        (self.findings, self.heard)
    }
}
