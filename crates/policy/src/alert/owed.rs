//! What a channel owes people: the lines that did not get through yet, until they do. They wait
//! through faults, restarts and quiet hours, within bounds of number and age; what gave way is
//! counted, so that a note never looks whole when it is not.
//!
//! Not here: where it is kept, and the way of a note (`relais-admin`).

use std::time::Duration;

use relais_smtp::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{QuietHours, Told};

/// Lines of one channel: what a person reads, and no more than a shelf takes.
pub const OWED_LINES_MAX: usize = 100;
/// Octets of what stands behind a number, in a line that waits.
const DETAIL_OCTETS_MAX: usize = 300;
/// After so long without success it is given up: nobody reads by this channel any more.
pub const OWED_FOR: Duration = Duration::from_secs(7 * 86_400);
/// Pauses before a channel that failed is tried again; the last one over and over.
pub const PAUSES: [Duration; 4] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
];

/// What one channel owes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Owed {
    /// Oldest first.
    pub lines: Vec<Told>,
    /// Older ones that gave way.
    pub left_out: u64,
    /// Told in quiet hours too.
    pub is_urgent: bool,
    tries: usize,
    /// When it was first tried, and when it is tried next; milliseconds.
    since: i64,
    next: i64,
}

impl Owed {
    /// Nothing yet.
    pub fn new(now: Timestamp) -> Self {
        Self {
            lines: Vec::new(),
            left_out: 0,
            is_urgent: false,
            tries: 0,
            since: now.as_millis(),
            next: now.as_millis(),
        }
    }

    /// More is to be told. A channel that failed is not tried sooner for it: what waits goes
    /// together with what waited before, and neither is told twice.
    pub fn add(&mut self, lines: &[Told], is_urgent: bool) {
        for line in lines {
            let mut line = line.clone();
            let end = line.detail.floor_char_boundary(DETAIL_OCTETS_MAX);
            line.detail.truncate(end);
            self.lines.push(line);
        }
        let beyond = self.lines.len().saturating_sub(OWED_LINES_MAX);
        self.lines.drain(..beyond);
        self.left_out = self.left_out.saturating_add(beyond as u64);
        self.is_urgent |= is_urgent;
    }

    /// Whether the channel is to be tried now. A clock that was set back delays nothing for longer
    /// than the longest pause.
    pub fn is_due(&self, quiet: Option<QuietHours>, now: Timestamp) -> bool {
        let waits_for_morning = !self.is_urgent && quiet.is_some_and(|quiet| quiet.has(now));
        let latest = now.after(self.pause()).as_millis();
        !waits_for_morning && (self.next <= now.as_millis() || self.next > latest)
    }

    /// A new process tries at once: what hindered the old one may be gone.
    pub fn begin_again(&mut self, now: Timestamp) {
        self.tries = 0;
        self.next = now.as_millis();
    }

    /// The channel did not take it. `false`: it is given up.
    pub fn failed(&mut self, now: Timestamp) -> bool {
        let pause = self.pause();
        self.tries = self.tries.saturating_add(1);
        self.next = now.after(pause).as_millis();
        now.since(Timestamp::from_millis(self.since)) < OWED_FOR
    }

    fn pause(&self) -> Duration {
        let [.., last] = PAUSES;
        PAUSES.get(self.tries).copied().unwrap_or(last)
    }
}
