//! Limits of organisations and connectors over sliding windows: when a message may leave, or why it
//! may not come in.
//!
//! A **soft** limit never slows a known client: what exceeds it is accepted at once and becomes due
//! when the window has room, so that no window of that length ever sees more than the limit leave.
//! Only above a backlog of [`BACKLOG_MAX`] the client is told to wait. A **hard** limit refuses.
//!
//! Windows are counted in buckets, a sixtieth to a ninety-sixth of their length; the oldest bucket
//! counts whole, so that the limit is never exceeded by what it holds. Time that goes backwards
//! frees nothing.
//!
//! Not here: who keeps the counts over restarts and shares them between sessions
//! (`relais-receive`); the pace of outbound connectors, which belongs to the next hop.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use relais_smtp::time::Timestamp;

use crate::document::{Limit, Limits};

/// Above this much waiting a soft limit answers 450 (RATE): four hours, when the sender would be
/// told anyway that its mail is late.
pub const BACKLOG_MAX: Duration = Duration::from_secs(4 * 3_600);
/// A limit is told of when so many hundredths of it are used.
pub const WARNING_PERCENT: u64 = 80;

/// What is counted, and over which time.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LimitKey {
    /// `messages_per_minute`.
    MessagesPerMinute,
    /// `recipients_per_hour`.
    RecipientsPerHour,
    /// `external_recipients_per_hour`: outside the organisation's accepted domains.
    ExternalRecipientsPerHour,
    /// `recipients_per_day`.
    RecipientsPerDay,
}

impl LimitKey {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::MessagesPerMinute,
        Self::RecipientsPerHour,
        Self::ExternalRecipientsPerHour,
        Self::RecipientsPerDay,
    ];

    /// As in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::MessagesPerMinute => "messages_per_minute",
            Self::RecipientsPerHour => "recipients_per_hour",
            Self::ExternalRecipientsPerHour => "external_recipients_per_hour",
            Self::RecipientsPerDay => "recipients_per_day",
        }
    }

    /// Reads it back.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The limit of that name, if there is one.
    pub fn of(self, limits: &Limits) -> Option<Limit> {
        match self {
            Self::MessagesPerMinute => limits.messages_per_minute,
            Self::RecipientsPerHour => limits.recipients_per_hour,
            Self::ExternalRecipientsPerHour => limits.external_recipients_per_hour,
            Self::RecipientsPerDay => limits.recipients_per_day,
        }
    }

    /// How much of it a message needs.
    pub fn needed(self, weight: Weight) -> u64 {
        match self {
            Self::MessagesPerMinute => 1,
            Self::RecipientsPerHour | Self::RecipientsPerDay => weight.recipients,
            Self::ExternalRecipientsPerHour => weight.external,
        }
    }

    /// Milliseconds of a bucket, and buckets of the window.
    fn grain(self) -> (i64, i64) {
        match self {
            Self::MessagesPerMinute => (1_000, 60),
            Self::RecipientsPerHour | Self::ExternalRecipientsPerHour => (60_000, 60),
            Self::RecipientsPerDay => (900_000, 96),
        }
    }
}

/// One limit of one organisation or connector.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LimitName {
    /// Whose.
    pub organisation: Arc<str>,
    /// Of this inbound connector; `None`: of the organisation as a whole.
    pub connector: Option<Arc<str>>,
    /// Which.
    pub key: LimitKey,
}

impl LimitName {
    /// `messages_per_minute of connector Printers`.
    pub fn words(&self) -> String {
        match &self.connector {
            Some(connector) => format!("{} of connector {connector}", self.key.name()),
            None => format!("{} of organisation {}", self.key.name(), self.organisation),
        }
    }

    /// As its count is kept. Neither an organisation's name nor a key has a space in it.
    pub fn to_text(&self) -> String {
        let connector = self.connector.as_deref().unwrap_or_default();
        format!("{} {} {connector}", self.organisation, self.key.name())
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let organisation = parts.next()?.into();
        let key = LimitKey::parse(parts.next()?)?;
        let connector = parts.next().filter(|name| !name.is_empty());
        Some(Self {
            organisation,
            connector: connector.map(Into::into),
            key,
        })
    }
}

/// What a message counts for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Weight {
    /// Its recipients.
    pub recipients: u64,
    /// Those of them outside the organisation's accepted domains.
    pub external: u64,
}

/// What left, or will leave, in each bucket of time: one limit of one organisation or connector.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Meter {
    key: LimitKey,
    /// Number of the bucket since 1970, and what leaves in it; in order, buckets ahead included.
    buckets: VecDeque<(i64, u64)>,
}

impl Meter {
    /// Nothing counted yet.
    pub fn new(key: LimitKey) -> Self {
        Self {
            key,
            buckets: VecDeque::new(),
        }
    }

    /// What it counts.
    pub fn key(&self) -> LimitKey {
        self.key
    }

    /// What left in the window that ends now.
    pub fn used(&self, now: Timestamp) -> u64 {
        self.within(self.bucket(now))
    }

    /// What waits for its time.
    pub fn waiting(&self, now: Timestamp) -> u64 {
        let now = self.bucket(now);
        let ahead = self.buckets.iter().filter(|(bucket, _)| *bucket > now);
        ahead.map(|(_, count)| count).sum()
    }

    /// When `count` more may leave, not before `from` nor before anything that waits already. More
    /// than the whole limit at once leaves when nothing else is in the window, or it never would.
    pub fn earliest(&self, limit: u64, from: Timestamp, count: u64) -> Timestamp {
        let start = self.bucket(from);
        let last = self.buckets.back().map_or(start, |(last, _)| *last);
        let mut at = start.max(last);
        loop {
            let used = self.within(at);
            if used == 0 || used.saturating_add(count) <= limit {
                break;
            }
            // The oldest that still counts leaves the window next.
            let (_, length) = self.key.grain();
            let oldest = self
                .buckets
                .iter()
                .find(|(bucket, _)| *bucket >= at - length);
            match oldest {
                Some((bucket, _)) => at = bucket + length + 1,
                None => break,
            }
        }
        if at == start {
            return from;
        }
        Timestamp::from_millis(at.saturating_mul(self.key.grain().0)).max(from)
    }

    /// Counts what leaves at this time.
    pub fn count(&mut self, at: Timestamp, count: u64) {
        let bucket = self.bucket(at);
        match self.buckets.iter().rposition(|(one, _)| *one <= bucket) {
            Some(place) if self.buckets[place].0 == bucket => {
                let counted = &mut self.buckets[place].1;
                *counted = counted.saturating_add(count);
            }
            Some(place) => self.buckets.insert(place + 1, (bucket, count)),
            None => self.buckets.push_front((bucket, count)),
        }
    }

    /// It did not leave after all.
    pub fn take_back(&mut self, at: Timestamp, count: u64) {
        let bucket = self.bucket(at);
        if let Some((_, counted)) = self.buckets.iter_mut().find(|(one, _)| *one == bucket) {
            *counted = counted.saturating_sub(count);
        }
        self.buckets.retain(|(_, count)| *count > 0);
    }

    /// Counts what another meter of the same key counted.
    pub fn add(&mut self, other: &Self) {
        let (millis, _) = self.key.grain();
        for (bucket, count) in &other.buckets {
            self.count(
                Timestamp::from_millis(bucket.saturating_mul(millis)),
                *count,
            );
        }
    }

    /// Forgets what lies before the window; `true`: nothing is left.
    pub fn tidy(&mut self, now: Timestamp) -> bool {
        let oldest = self.bucket(now) - self.key.grain().1;
        while self
            .buckets
            .front()
            .is_some_and(|(bucket, _)| *bucket < oldest)
        {
            self.buckets.pop_front();
        }
        self.buckets.is_empty()
    }

    /// As text, to be kept.
    pub fn to_text(&self) -> String {
        let text = |(bucket, count): &(i64, u64)| format!("{bucket} {count}\n");
        self.buckets.iter().map(text).collect()
    }

    /// Reads it back. What lies further ahead than a backlog can reach was written by a clock that
    /// has gone back since, and counts as of now.
    pub fn from_text(key: LimitKey, text: &str, now: Timestamp) -> Self {
        let mut meter = Self::new(key);
        let (millis, length) = key.grain();
        let latest = meter.bucket(now.after(BACKLOG_MAX)) + length;
        for line in text.lines() {
            let read = |line: &str| -> Option<(i64, u64)> {
                let (bucket, count) = line.split_once(' ')?;
                Some((bucket.parse().ok()?, count.parse().ok()?))
            };
            if let Some((bucket, count)) = read(line) {
                let bucket = if bucket > latest {
                    meter.bucket(now)
                } else {
                    bucket
                };
                meter.count(Timestamp::from_millis(bucket.saturating_mul(millis)), count);
            }
        }
        meter.tidy(now);
        meter
    }

    fn bucket(&self, time: Timestamp) -> i64 {
        time.as_millis().div_euclid(self.key.grain().0)
    }

    /// What leaves in the window that ends with this bucket.
    fn within(&self, bucket: i64) -> u64 {
        let oldest = bucket - self.key.grain().1;
        let counts = self.buckets.iter();
        counts
            .filter(|(one, _)| (oldest..=bucket).contains(one))
            .map(|(_, count)| count)
            .sum()
    }
}

#[cfg(test)]
mod tests;
