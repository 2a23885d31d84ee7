//! Queue ids of one node: always growing, whatever the clock says.

use std::sync::atomic::{AtomicI64, Ordering};

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

/// The embedded store is one node.
const NODE: u8 = 0;

/// The last id given.
#[derive(Debug, Default)]
pub(crate) struct QueueIds(AtomicI64);

impl QueueIds {
    /// Behind everything given before.
    pub(crate) fn new(last: i64) -> Self {
        Self(AtomicI64::new(last.max(0)))
    }

    /// The next one.
    pub(crate) fn next(&self, now: Timestamp) -> QueueId {
        let by_clock = QueueId::new(now, NODE, 0);
        let follow = |last: i64| {
            let after = QueueId::from_i64(last).map_or(by_clock, QueueId::next);
            Some(by_clock.max(after).as_i64())
        };
        let before = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, follow);
        let last = before.unwrap_or_else(|last| last);
        by_clock.max(QueueId::from_i64(last).map_or(by_clock, QueueId::next))
    }

    /// The last one given.
    pub(crate) fn last(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_when_the_clock_jumps_back() {
        let ids = QueueIds::default();
        let now = Timestamp::from_millis(1_795_514_400_000);
        let first = ids.next(now);
        let second = ids.next(Timestamp::from_millis(1_795_514_300_000));
        let third = ids.next(now);
        assert!(first < second && second < third);
        let later = Timestamp::from_millis(1_795_514_400_005);
        assert_eq!(ids.next(later), QueueId::new(later, 0, 0));
    }
}
