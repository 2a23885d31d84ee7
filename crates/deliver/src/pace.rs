//! A site's pace: the gap between messages, and recipients per day. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use relais_net::clock::Moment;
use relais_policy::document::Pace;

/// Between attempts at a slow site.
const SLOW_GAP: Duration = Duration::from_millis(100);
/// `recipients_per_day` counts in quarters of an hour.
const DAY_BUCKET: Duration = Duration::from_secs(900);
const DAY: Duration = Duration::from_secs(86_400);

/// What was sent when.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    next_message: Option<Moment>,
    /// Recipients by quarters of an hour, oldest first: at most a day and a quarter of an hour.
    day: VecDeque<(Moment, u64)>,
}

impl Pacing {
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
        while self
            .day
            .front()
            .is_some_and(|(from, _)| *from + DAY + DAY_BUCKET <= now)
        {
            self.day.pop_front();
        }
        let sent: u64 = self.day.iter().map(|(_, count)| count).sum();
        let recipients = u64::try_from(recipients).unwrap_or(u64::MAX);
        // A message with more recipients than a day allows goes alone, or it would never go.
        if sent == 0 || sent.saturating_add(recipients) <= per_day {
            return None;
        }
        self.day.front().map(|(from, _)| *from + DAY + DAY_BUCKET)
    }

    /// A message goes out.
    pub(crate) fn count(&mut self, pace: &Pace, slow: bool, now: Moment, recipients: usize) {
        if let Some(per_minute) = pace.messages_per_minute {
            let gap = Duration::from_secs(60) / per_minute.max(1);
            self.next_message = Some(now + gap);
        } else if slow {
            self.next_message = Some(now + SLOW_GAP);
        }
        if pace.recipients_per_day.is_none() {
            return;
        }
        let recipients = u64::try_from(recipients).unwrap_or(u64::MAX);
        match self
            .day
            .back_mut()
            .filter(|(from, _)| *from + DAY_BUCKET > now)
        {
            Some((_, count)) => *count = count.saturating_add(recipients),
            None => self.day.push_back((now, recipients)),
        }
    }
}
