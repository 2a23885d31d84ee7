//! A watch over progress: mail that is due and that nobody tries raises `alert.raised`. It looks at
//! the store, not at the scheduler, because a scheduler that hangs would find itself in order.
//!
//! A queue may be due and rightly wait: its site rests after failure, a rule or the pace holds it
//! back. Then the scheduler says until when (`excuses`); an excuse that is not renewed runs out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use relais_net::clock::Moment;
use relais_store::queue::{QueueKey, WaitingQueue};
use relais_store::trace::{Event, EventKind};

use crate::connection::Shared;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A queue with mail that is due, or under an attempt, and of which nothing ends for this long, is
/// stalled. One attempt may take longer only at a peer that answers at the last moment each time,
/// with large content: one such connection is worth a look too.
const STALLED_AFTER: Duration = Duration::from_secs(30 * 60);
/// While it stays so, it is told again after this.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(6 * 3_600);
/// Alarms of one look: a relay that stands still has one cause, not thousands.
const ALARMS_MAX: usize = 10;

/// What was seen of a queue.
#[derive(Debug)]
struct Seen {
    results: u64,
    /// Since when nothing of it moves.
    since: Moment,
    told: Option<Moment>,
}

/// What is remembered between looks.
#[derive(Debug, Default)]
struct Watch(HashMap<QueueKey, Seen>);

impl Watch {
    /// Queues of which to tell now, and for how long nothing of them moved.
    fn look<'a>(
        &mut self,
        now: Moment,
        waiting: &'a [WaitingQueue],
        is_excused: impl Fn(&QueueKey) -> bool,
    ) -> Vec<(&'a WaitingQueue, Duration)> {
        let mut before = std::mem::take(&mut self.0);
        let mut stalled = Vec::new();
        for queue in waiting {
            let fresh = || Seen {
                results: queue.results,
                since: now,
                told: None,
            };
            let mut seen = before.remove(&queue.key).unwrap_or_else(fresh);
            if seen.results != queue.results || is_excused(&queue.key) {
                seen = fresh();
            }
            let still = now.saturating_duration_since(seen.since);
            let told_lately = seen.told.is_some_and(|told| now < told + TOLD_AGAIN_AFTER);
            if still >= STALLED_AFTER && !told_lately && stalled.len() < ALARMS_MAX {
                seen.told = Some(now);
                stalled.push((queue, still));
            }
            self.0.insert(queue.key.clone(), seen);
        }
        stalled
    }
}

/// Looks until stopped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let context = &shared.context;
    let mut watch = Watch::default();
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = context.clock.sleep(LOOK_EVERY) => {}
        }
        let Ok(waiting) = context.store.waiting(context.clock.now()).await else {
            continue;
        };
        let now = context.clock.moment();
        shared.excuses.tidy(now);
        let excused = |key: &QueueKey| shared.excuses.is_excused(key, now);
        for (queue, still) in watch.look(now, &waiting, excused) {
            tell(&shared, queue, still);
        }
    }
}

fn tell(shared: &Shared, queue: &WaitingQueue, still: Duration) {
    let QueueKey {
        organisation,
        destination,
        source: _,
    } = &queue.key;
    let detail = format!(
        "mail to {destination} is due, and no attempt came to an end for {} minutes",
        still.as_secs() / 60
    );
    tracing::error!(%organisation, "{detail}");
    let mut event = Event::new(shared.context.clock.now(), EventKind::AlertRaised);
    event.organisation = Some(Arc::clone(organisation));
    event.detail = Some(detail.into());
    shared.context.store.record(event);
}

#[cfg(test)]
mod tests {
    use relais_net::clock::Clock;
    use relais_smtp::time::Timestamp;

    use super::*;

    fn queue(destination: &str, results: u64) -> WaitingQueue {
        WaitingQueue {
            key: QueueKey::new("contoso", destination),
            results,
        }
    }

    /// Looks each minute at these results of a queue; the minutes at which an alarm was raised.
    fn alarms(results: impl Fn(u32) -> u64, excused: impl Fn(u32) -> bool) -> Vec<u32> {
        let begin = Clock::simulated(Timestamp::default()).moment();
        let mut watch = Watch::default();
        let looks = (0..500).filter(|minute| {
            let now = begin + LOOK_EVERY * *minute;
            let waiting = [queue("b.example", results(*minute))];
            !watch.look(now, &waiting, |_| excused(*minute)).is_empty()
        });
        looks.collect()
    }

    #[tokio::test]
    async fn mail_that_is_due_and_not_tried_raises_an_alarm_once_in_six_hours() {
        assert_eq!(alarms(|_| 3, |_| false), [30, 390]);
    }

    #[tokio::test]
    async fn mail_that_is_tried_now_and_then_raises_none() {
        let none: [u32; 0] = [];
        assert_eq!(alarms(|minute| u64::from(minute / 29), |_| false), none);
        assert_eq!(
            alarms(|minute| u64::from(minute >= 20), |_| false),
            [50, 410]
        );
    }

    #[tokio::test]
    async fn a_site_that_rests_is_an_excuse_for_as_long_as_it_rests() {
        assert_eq!(alarms(|_| 0, |minute| minute < 100), [129, 489]);
    }

    #[tokio::test]
    async fn a_queue_that_is_gone_is_forgotten() {
        let begin = Clock::simulated(Timestamp::default()).moment();
        let mut watch = Watch::default();
        watch.look(begin, &[queue("a.example", 0)], |_| false);
        watch.look(begin + LOOK_EVERY, &[], |_| false);
        assert!(watch.0.is_empty());
    }
}
