//! One window that slides: what left, and what will leave, in each bucket of time.

use std::collections::VecDeque;

use relais_smtp::time::Timestamp;

use super::{BACKLOG_MAX, LimitKey};

/// The pace of now is that of this part of the window: the last ten seconds, ten minutes, four
/// hours.
const PACE_PART: i64 = 6;

/// What left, or will leave, in each bucket of time: one limit of one owner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Meter {
    key: LimitKey,
    /// Number of the bucket since 1970, and what leaves in it; in order, buckets ahead included.
    buckets: VecDeque<(i64, u64)>,
}

/// What comes, if it goes on like this.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Forecast {
    /// What a window would hold at the pace of now.
    pub at_this_pace: u64,
    /// When the limit is reached at this pace; `None`: not within a window from now.
    pub reached: Option<Timestamp>,
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
        let ahead = self.buckets.iter().rev();
        let ahead = ahead.take_while(|(bucket, _)| *bucket > now);
        ahead.map(|(_, count)| count).sum()
    }

    /// When `count` more may leave, not before `from`, so that no window holds more than `limit`,
    /// neither one that is over then nor one with what waits already. More than the whole limit at
    /// once leaves when nothing else is near, or it never would.
    pub fn earliest(&self, limit: u64, from: Timestamp, count: u64) -> Timestamp {
        let start = self.bucket(from);
        let mut at = start;
        while let Some(next) = self.hindrance(limit, at, count) {
            at = next;
        }
        if at == start {
            return from;
        }
        Timestamp::from_millis(at.saturating_mul(self.key.grain().0)).max(from)
    }

    /// If `count` more in this bucket would fill a window beyond the limit: the first bucket later
    /// on that is free of what hinders it here.
    fn hindrance(&self, limit: u64, at: i64, count: u64) -> Option<i64> {
        let (_, length) = self.key.grain();
        let is_too_much = |used: u64| used > 0 && used.saturating_add(count) > limit;
        let first = self.buckets.partition_point(|(one, _)| *one < at - length);
        let mut begin = first;
        let mut used = 0_u64;
        let mut next = None;
        // Each window that `at` is in and that ends where something leaves; a window between two
        // such holds no more.
        for place in first..self.buckets.len() {
            let (end, counted) = self.buckets[place];
            if end > at + length {
                break;
            }
            used = used.saturating_add(counted);
            while self.buckets[begin].0 < end - length {
                used = used.saturating_sub(self.buckets[begin].1);
                begin += 1;
            }
            let ends_before = end <= at;
            if !ends_before && is_too_much(used) {
                next = Some(end + 1);
            }
        }
        if next.is_some() {
            return next;
        }
        let oldest = self.buckets.get(first)?.0;
        is_too_much(self.within(at)).then_some(oldest + length + 1)
    }

    /// Counts what leaves at this time.
    pub fn count(&mut self, at: Timestamp, count: u64) {
        let bucket = self.bucket(at);
        let place = self.buckets.partition_point(|(one, _)| *one < bucket);
        match self.buckets.get_mut(place) {
            Some((one, counted)) if *one == bucket => *counted = counted.saturating_add(count),
            _ => self.buckets.insert(place, (bucket, count)),
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
            let at = Timestamp::from_millis(bucket.saturating_mul(millis));
            self.count(at, *count);
        }
    }

    /// What comes, if it goes on as in the last part of the window.
    pub fn forecast(&self, limit: u64, now: Timestamp) -> Forecast {
        let (millis, length) = self.key.grain();
        let (here, part) = (self.bucket(now), length / PACE_PART);
        let lately = |(one, _): &&(i64, u64)| (here - part + 1..=here).contains(one);
        let lately: u64 = self
            .buckets
            .iter()
            .filter(lately)
            .map(|(_, count)| count)
            .sum();
        let expected = |steps: i64| {
            let more = u128::from(lately) * u128::from(steps.unsigned_abs());
            let more = more / u128::from(part.unsigned_abs());
            let known = u128::from(self.within(here + steps));
            known + more
        };
        let step = (0..=length).find(|steps| expected(*steps) >= u128::from(limit));
        let reached = step.map(|steps| match steps {
            0 => now,
            steps => Timestamp::from_millis((here + steps).saturating_mul(millis)),
        });
        Forecast {
            at_this_pace: lately.saturating_mul(PACE_PART.unsigned_abs()),
            reached,
        }
    }

    /// Forgets what lies before the window; `true`: nothing is left. What lies further ahead than a
    /// backlog can reach was counted by a clock that has gone back since, and counts as of now.
    pub fn tidy(&mut self, now: Timestamp) -> bool {
        let latest = self.latest(now);
        let mut wrong = 0_u64;
        while let Some((bucket, count)) = self.buckets.back().copied() {
            if bucket <= latest {
                break;
            }
            wrong = wrong.saturating_add(count);
            self.buckets.pop_back();
        }
        if wrong > 0 {
            self.count(now, wrong);
        }
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

    /// Reads it back, tidied.
    pub fn from_text(key: LimitKey, text: &str, now: Timestamp) -> Self {
        let mut meter = Self::new(key);
        let (millis, _) = key.grain();
        for line in text.lines() {
            let read = |line: &str| -> Option<(i64, u64)> {
                let (bucket, count) = line.split_once(' ')?;
                Some((bucket.parse().ok()?, count.parse().ok()?))
            };
            if let Some((bucket, count)) = read(line) {
                meter.count(Timestamp::from_millis(bucket.saturating_mul(millis)), count);
            }
        }
        meter.tidy(now);
        meter
    }

    /// The last bucket in which something may leave that came in until now.
    fn latest(&self, now: Timestamp) -> i64 {
        self.bucket(now.after(BACKLOG_MAX)) + self.key.grain().1
    }

    fn bucket(&self, time: Timestamp) -> i64 {
        time.as_millis().div_euclid(self.key.grain().0)
    }

    /// What leaves in the window that ends with this bucket.
    fn within(&self, bucket: i64) -> u64 {
        let oldest = bucket - self.key.grain().1;
        let first = self.buckets.partition_point(|(one, _)| *one < oldest);
        let counts = self.buckets.range(first..);
        counts
            .take_while(|(one, _)| *one <= bucket)
            .map(|(_, count)| count)
            .sum()
    }
}
