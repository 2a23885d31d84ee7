//! A site's pace: the gap between messages, and recipients per day, which all sites of a connector
//! share. Pure.
//!
//! Recipients of the last day are kept over restarts as text ([`relais_policy::pace`]): a provider
//! counts on, whatever we do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_net::clock::Moment;
use relais_policy::document::Pace;
use relais_policy::pace::{BUCKET_MILLIS as DAY_BUCKET, DAY_MILLIS as DAY, lines};
use relais_smtp::time::Timestamp;

/// Between attempts at a slow site.
const SLOW_GAP: Duration = Duration::from_millis(100);

/// What a site sent when.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    next_message: Option<Moment>,
    /// Shared by all sites of a connector.
    day: Arc<Mutex<Day>>,
}

/// Recipients of the last day, by quarters of an hour.
#[derive(Debug, Default)]
pub(crate) struct Day {
    /// The zero of `counts`.
    begin: Option<Moment>,
    /// In milliseconds since `begin`, oldest first: at most a day and a quarter of an hour. What
    /// was kept lies before zero.
    counts: VecDeque<(i64, u64)>,
}

impl Pacing {
    /// Counts on what others of the connector sent.
    pub(crate) fn of(day: Arc<Mutex<Day>>) -> Self {
        Self {
            next_message: None,
            day,
        }
    }

    /// Whether the gap after the last message is not over.
    pub(crate) fn waits(&self, now: Moment) -> bool {
        self.next_message.is_some_and(|next| next > now)
    }

    /// The gap is over.
    pub(crate) fn go_on(&mut self) {
        self.next_message = None;
    }

    /// Until when the pace forbids the next message.
    pub(crate) fn until(&mut self, pace: &Pace, now: Moment, recipients: usize) -> Option<Moment> {
        if let Some(next) = self.next_message.filter(|next| *next > now) {
            return Some(next);
        }
        let per_day = u64::from(pace.recipients_per_day?);
        self.day().until(per_day, now, recipients)
    }

    /// A message goes out.
    pub(crate) fn count(&mut self, pace: &Pace, slow: bool, now: Moment, recipients: usize) {
        if let Some(per_minute) = pace.messages_per_minute {
            let gap = Duration::from_secs(60) / per_minute.max(1);
            self.next_message = Some(now + gap);
        } else if slow {
            self.next_message = Some(now + SLOW_GAP);
        }
        if pace.recipients_per_day.is_some() {
            self.day().count(now, recipients);
        }
    }

    fn day(&self) -> MutexGuard<'_, Day> {
        self.day.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Day {
    fn until(&mut self, per_day: u64, now: Moment, recipients: usize) -> Option<Moment> {
        let at = self.at(now);
        self.forget(at);
        let sent: u64 = self.counts.iter().map(|(_, count)| count).sum();
        let recipients = u64::try_from(recipients).unwrap_or(u64::MAX);
        // A message with more recipients than a day allows goes alone, or it would never go.
        if sent == 0 || sent.saturating_add(recipients) <= per_day {
            return None;
        }
        let wait = |(from, _): &(i64, u64)| {
            let left = (*from + DAY + DAY_BUCKET).saturating_sub(at);
            now + Duration::from_millis(u64::try_from(left).unwrap_or(0))
        };
        self.counts.front().map(wait)
    }

    fn count(&mut self, now: Moment, recipients: usize) {
        let at = self.at(now);
        let recipients = u64::try_from(recipients).unwrap_or(u64::MAX);
        match self
            .counts
            .back_mut()
            .filter(|(from, _)| *from + DAY_BUCKET > at)
        {
            Some((_, count)) => *count = count.saturating_add(recipients),
            None => self.counts.push_back((at, recipients)),
        }
    }

    /// The last day's recipients, to be kept; `wall` is the time of `now`. `None`: there are none.
    pub(crate) fn kept(&mut self, now: Moment, wall: Timestamp) -> Option<String> {
        let at = self.at(now);
        self.forget(at);
        let line = |(from, count): &(i64, u64)| {
            let time = wall.as_millis().saturating_sub(at.saturating_sub(*from));
            format!("{time} {count}\n")
        };
        let text: String = self.counts.iter().map(line).collect();
        (!text.is_empty()).then_some(text)
    }

    /// What was kept. What lies ahead, because a clock went back, counts as of now.
    pub(crate) fn restore(kept: &str, now: Moment, wall: Timestamp) -> Self {
        let aged = |(time, count): (i64, u64)| {
            let age = wall.as_millis().saturating_sub(time).max(0);
            (-age, count)
        };
        let mut counts: Vec<(i64, u64)> = lines(kept).map(aged).collect();
        counts.sort_unstable();
        let mut day = Self {
            begin: Some(now),
            counts: counts.into(),
        };
        day.forget(0);
        day
    }

    fn at(&mut self, now: Moment) -> i64 {
        let begin = *self.begin.get_or_insert(now);
        let since = now.saturating_duration_since(begin).as_millis();
        i64::try_from(since).unwrap_or(i64::MAX)
    }

    fn forget(&mut self, at: i64) {
        let is_old = |(from, _): &(i64, u64)| *from + DAY + DAY_BUCKET <= at;
        while self.counts.front().is_some_and(is_old) {
            self.counts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use relais_net::clock::Clock;

    use super::*;

    const WALL: Timestamp = Timestamp::from_millis(1_795_514_400_000);

    fn pace() -> Pace {
        Pace {
            recipients_per_day: Some(10),
            ..Pace::default()
        }
    }

    fn restored(kept: &str, now: Moment, wall: Timestamp) -> Pacing {
        Pacing::of(Arc::new(Mutex::new(Day::restore(kept, now, wall))))
    }

    fn hours(n: u64) -> Duration {
        Duration::from_secs(n * 3_600)
    }

    #[tokio::test]
    async fn a_day_is_counted_on_after_a_restart() {
        let begin = Clock::simulated(WALL).moment();
        let mut before = Pacing::default();
        before.count(&pace(), false, begin, 4);
        before.count(&pace(), false, begin + hours(2), 5);
        let kept = before.day().kept(begin + hours(3), WALL.after(hours(3)));
        let kept = kept.unwrap();

        // Another process, another monotonic clock, twenty hours later.
        let anew = Clock::simulated(WALL).moment();
        let mut after = restored(&kept, anew, WALL.after(hours(23)));
        assert_eq!(after.until(&pace(), anew, 1), None);
        let until = after.until(&pace(), anew, 2).unwrap();
        assert_eq!(until - anew, hours(1) + Duration::from_secs(900));
        assert_eq!(after.until(&pace(), until, 5), None);
        assert!(after.until(&pace(), until, 6).is_some());
    }

    #[tokio::test]
    async fn what_was_kept_longer_ago_than_a_day_or_is_no_count_is_nothing() {
        let now = Clock::simulated(WALL).moment();
        let mut day = Day::restore("0 100\nnonsense\n12\n", now, WALL);
        assert_eq!(day.kept(now, WALL), None);
    }

    #[tokio::test]
    async fn after_a_clock_that_went_back_a_count_is_as_of_now_and_no_earlier_than_it_was() {
        let now = Clock::simulated(WALL).moment();
        let ahead = WALL.after(hours(240)).as_millis();
        let mut pacing = restored(&format!("{ahead} 10\n"), now, WALL);
        let until = pacing.until(&pace(), now, 1).unwrap();
        assert_eq!(until - now, hours(24) + Duration::from_secs(900));
    }
}
