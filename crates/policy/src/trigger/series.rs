//! What one device did of one kind: how much in the time that counts, and how much is usual at each
//! hour of the day.
//!
//! A day on which a trigger found something teaches nothing: what an intruder did is not usual. It
//! teaches when a person has released the device.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use relais_smtp::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DAY, Found, Heard, LEARNT_DAYS_MIN, SAMPLES_MAX, Signal, Terms, TriggerKind};
use crate::restriction::{Effect, Entity};

/// What is usual is what was within this many days, and the rest of the week in which they begin:
/// what runs once a month is remembered until it runs again.
pub(super) const REMEMBERED_DAYS: u32 = 35;
/// Weeks that are kept: those of the days above, and one that a clock ahead may have begun.
const WEEKS_MAX: usize = 7;
/// Days of a week.
const WEEK: i64 = 7;
/// Parts of the time that counts.
const BUCKETS: i64 = 60;
/// What a person released teaches at most so many times what would not have been found: whoever
/// lets a device go after a hijack makes no hijack usual.
const GROWTH_MAX: u32 = 4;
/// Addresses and messages remembered as counted. Ours: far more than are too many.
const SEEN_MAX: usize = 200;
/// What may be claimed for one domain: this part of what is never too much.
const DOMAIN_SHARE: u32 = 3;
/// Hours of a day.
const HOURS: usize = 24;
/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// See the head of this file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Series {
    /// Number of the part since 1970, what happened in it, and how much of that since something
    /// was found; in order.
    buckets: VecDeque<(i64, u32, u32)>,
    /// The day under way, since 1970.
    day: i64,
    /// The most of it within the time that counts, by hour.
    today: [u32; HOURS],
    /// Something was found today.
    spoilt: bool,
    /// The most of the days on which something was found and of which no person has spoken yet, by
    /// hour; empty: there is none.
    doubted: Vec<u32>,
    /// What would not have been found on the first of them.
    bound: u32,
    /// The day on which a person released it: nothing more is found then.
    excused: Option<i64>,
    /// The most of earlier days, by hour: the week since 1970, oldest first, and how much. Weeks
    /// end one by one, so that a better one of long ago takes nothing with it.
    weeks: Vec<(i64, [u32; HOURS])>,
    /// Days on which there was something, and which taught.
    days: u32,
    /// The newest of them.
    learnt_on: i64,
    /// The newest messages or attempts.
    samples: VecDeque<String>,
    /// What is counted once; oldest first.
    #[serde(default)]
    seen: VecDeque<(i64, Once)>,
}

/// What an event is about, so that the same counts once. Digests, since only whether they are the
/// same matters; another version may make others, and then counts an hour's twice.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Once {
    address: Option<u64>,
    message: Option<u64>,
    /// Who may have made it up: the owner of this domain.
    claimed_in: Option<u64>,
}

impl Once {
    /// `None`: each counts.
    pub(super) fn of(heard: &Heard) -> Option<Self> {
        let recipient = heard.recipient.as_deref().map(str::to_lowercase);
        let domain = recipient.as_deref().and_then(|to| to.rsplit_once('@'));
        let claimed_in = Some(digest(domain.map_or("", |(_, domain)| owned(domain))));
        let address = recipient.as_deref().map(digest);
        let message = Some(digest(&heard.sample));
        match heard.signal {
            Signal::Message { .. } | Signal::UnverifiedDomain | Signal::BadContent => None,
            Signal::UnknownRecipient => address.map(|address| Self {
                address: Some(address),
                message: None,
                claimed_in: None,
            }),
            Signal::ReturnedRecipient => Some(Self {
                address,
                message,
                claimed_in,
            }),
            Signal::Complaint => Some(Self {
                address: None,
                message,
                claimed_in,
            }),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let same = |one: Option<u64>, other| one.is_some() && one == other;
        same(self.address, other.address) || same(self.message, other.message)
    }
}

/// Whoever has a domain has all below it. Two labels: where that is more than one owner's, as
/// `co.uk`, these have one share together, and nobody is held for it.
fn owned(domain: &str) -> &str {
    let second = domain.rmatch_indices('.').nth(1);
    let below = second.and_then(|(dot, _)| domain.get(dot + 1..));
    below.unwrap_or(domain)
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Too much.
pub(super) struct Over {
    bound: u32,
    count: u32,
    usual: u32,
    busiest: u32,
    samples: Vec<String>,
}

impl Series {
    /// So many more at this time.
    pub(super) fn count(&mut self, window: i64, time: Timestamp, count: u32, sample: &str) {
        let bucket = bucket_of(window, time);
        self.believe(time.as_millis().div_euclid(DAY), bucket);
        // Events of several sessions come nearly in order: what is late counts with the newest.
        match self.buckets.back_mut() {
            Some((last, all, fresh)) if *last >= bucket => {
                *all = all.saturating_add(count);
                *fresh = fresh.saturating_add(count);
            }
            Some(_) | None => self.buckets.push_back((bucket, count, count)),
        }
        let newest = self.newest(bucket);
        while self
            .buckets
            .front()
            .is_some_and(|(one, ..)| *one <= newest - BUCKETS)
        {
            self.buckets.pop_front();
        }
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample.to_owned());
        let all = self.buckets.iter().map(|(_, all, _)| *all);
        let within = all.fold(0, u32::saturating_add);
        if let Some(most) = self.today.get_mut(hour_of(time)) {
            *most = (*most).max(within);
        }
    }

    /// Whether this is news: what is counted already is not, nor what comes from a domain that has
    /// had its share. Anybody who got one message can write as many notices about it as he likes.
    pub(super) fn is_news(&mut self, kind: TriggerKind, minimum: u32, heard: &Heard) -> bool {
        let Some(once) = Once::of(heard) else {
            return true;
        };
        let bucket = bucket_of(kind.window(), heard.time);
        let counts = bucket - BUCKETS + 1..=bucket + BUCKETS;
        self.seen.retain(|(one, _)| counts.contains(one));
        if self.seen.iter().any(|(_, seen)| seen.is_same(&once)) {
            return false;
        }
        let of_domain = self
            .seen
            .iter()
            .filter(|(_, seen)| once.claimed_in.is_some() && seen.claimed_in == once.claimed_in);
        let share = usize::try_from(minimum.div_ceil(DOMAIN_SHARE)).unwrap_or(usize::MAX);
        if of_domain.count() >= share.max(1) {
            return false;
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back((bucket, once));
        true
    }

    /// Whether that is too much.
    pub(super) fn over(&self, terms: Terms, now: Timestamp) -> Option<Over> {
        let day = now.as_millis().div_euclid(DAY);
        if self.excused == Some(day) {
            return None;
        }
        let count = self.within();
        let (usual, busiest) = (self.usual_at(day, hour_of(now)), self.busiest(day));
        let bound = terms
            .minimum
            .max(busiest)
            .max(usual.saturating_mul(terms.factor));
        (count > bound).then(|| Over {
            bound,
            count,
            usual,
            busiest,
            samples: self.samples.iter().cloned().collect(),
        })
    }

    /// What was heard in the first moments of a process counts with what one before it kept.
    pub(super) fn absorb(&mut self, heard: Self) {
        let Some((newest, ..)) = heard.buckets.back() else {
            return;
        };
        self.believe(heard.day, *newest);
        self.buckets.extend(heard.buckets);
        for (today, heard) in self.today.iter_mut().zip(heard.today) {
            *today = today.saturating_add(heard);
        }
        if heard.spoilt && !self.is_doubted() {
            self.bound = heard.bound;
        }
        self.spoilt |= heard.spoilt;
        self.samples.extend(heard.samples);
        let excess = self.samples.len().saturating_sub(SAMPLES_MAX);
        self.samples.drain(..excess);
        self.seen.extend(heard.seen);
        let excess = self.seen.len().saturating_sub(SEEN_MAX);
        self.seen.drain(..excess);
    }

    /// Something was found: counted anew from here, and the day does not teach.
    pub(super) fn spoil(&mut self, now: Timestamp, over: &Over) {
        self.turn_to(now.as_millis().div_euclid(DAY));
        if !self.is_doubted() {
            self.bound = over.bound;
        }
        self.spoilt = true;
        for (_, _, fresh) in &mut self.buckets {
            *fresh = 0;
        }
        for (_, seen) in &mut self.seen {
            seen.claimed_in = None;
        }
    }

    /// A person released it: what was found was legitimate, so that it teaches, and nothing more is
    /// found until the day is over. Counted anew.
    pub(super) fn excuse(&mut self, now: Timestamp) {
        let day = now.as_millis().div_euclid(DAY);
        self.turn_to(day);
        if self.is_doubted() {
            self.put_aside();
            for (today, doubted) in self.today.iter_mut().zip(self.doubted.drain(..)) {
                *today = doubted;
            }
            self.spoilt = false;
            self.excused = Some(day);
        }
        self.begin_anew();
    }

    /// Counted anew: its time was over, and nobody has said what it was.
    pub(super) fn begin_anew(&mut self) {
        self.buckets.clear();
        self.samples.clear();
    }

    fn is_doubted(&self) -> bool {
        self.spoilt || !self.doubted.is_empty()
    }

    /// The figures of today join those of days on which something was found.
    fn put_aside(&mut self) {
        self.doubted.resize(HOURS, 0);
        for (doubted, today) in self.doubted.iter_mut().zip(std::mem::take(&mut self.today)) {
            *doubted = (*doubted).max(today);
        }
    }

    fn newest(&self, bucket: i64) -> i64 {
        self.buckets.back().map_or(bucket, |(last, ..)| *last)
    }

    fn within(&self) -> u32 {
        let counts = self.buckets.iter().map(|(.., fresh)| *fresh);
        counts.fold(0, u32::saturating_add)
    }

    /// Whether it sent on enough days to be judged by them. Of what lies weeks back, or is of a
    /// time that a wrong clock showed, nothing is usual.
    pub(super) fn is_learnt(&self, now: Timestamp) -> bool {
        let day = now.as_millis().div_euclid(DAY);
        self.days >= LEARNT_DAYS_MIN && self.remembered(day).next().is_some()
    }

    /// The weeks that count on this day.
    fn remembered(&self, day: i64) -> impl Iterator<Item = &[u32; HOURS]> {
        let oldest = (day - i64::from(REMEMBERED_DAYS)).div_euclid(WEEK);
        let counts = oldest..=day.div_euclid(WEEK);
        let weeks = self.weeks.iter();
        weeks.filter_map(move |(week, most)| counts.contains(week).then_some(most))
    }

    /// At this hour, the one before and the one after.
    fn usual_at(&self, day: i64, hour: usize) -> u32 {
        let near = [hour + HOURS - 1, hour, hour + 1].map(|hour| hour % HOURS);
        let of_week = |most: &[u32; HOURS]| {
            near.iter()
                .filter_map(|hour| most.get(*hour))
                .max()
                .copied()
        };
        self.remembered(day)
            .filter_map(of_week)
            .max()
            .unwrap_or_default()
    }

    fn busiest(&self, day: i64) -> u32 {
        self.remembered(day)
            .flatten()
            .max()
            .copied()
            .unwrap_or_default()
    }

    /// What lies further ahead than events come late was counted by a clock that was wrong: it is
    /// as if it had not been.
    fn believe(&mut self, day: i64, bucket: i64) {
        if self.newest(bucket) > bucket + BUCKETS {
            self.buckets.retain(|(one, ..)| *one <= bucket);
        }
        if self.day > day + 1 {
            self.today = [0; HOURS];
            self.spoilt = false;
            self.day = day;
            self.learnt_on = self.learnt_on.min(day);
            self.weeks.retain(|(week, _)| *week <= day.div_euclid(WEEK));
        }
        self.turn_to(day);
    }

    /// The days before this one are over: what they taught counts from now on.
    fn turn_to(&mut self, day: i64) {
        if day <= self.day {
            return;
        }
        if std::mem::take(&mut self.spoilt) {
            self.put_aside();
        }
        let (ended, mut today) = (self.day, std::mem::take(&mut self.today));
        if self.excused == Some(ended) {
            let most = self.bound.saturating_mul(GROWTH_MAX);
            today = today.map(|one| one.min(most));
        }
        if today.iter().any(|most| *most > 0) {
            self.learn(ended, today);
        }
        self.day = day;
    }

    fn learn(&mut self, day: i64, today: [u32; HOURS]) {
        if self.remembered(day).next().is_none() {
            self.days = 0;
        }
        if self.days == 0 || day > self.learnt_on {
            self.days = self.days.saturating_add(1);
            self.learnt_on = day;
        }
        let week = day.div_euclid(WEEK);
        let place = self.weeks.partition_point(|(one, _)| *one < week);
        match self.weeks.get_mut(place) {
            Some((one, most)) if *one == week => {
                for (most, new) in most.iter_mut().zip(today) {
                    *most = (*most).max(new);
                }
            }
            Some(_) | None => self.weeks.insert(place, (week, today)),
        }
        if self.weeks.len() > WEEKS_MAX {
            self.weeks.remove(0);
        }
    }
}

fn bucket_of(window: i64, time: Timestamp) -> i64 {
    time.as_millis().div_euclid((window / BUCKETS).max(1))
}

fn hour_of(time: Timestamp) -> usize {
    let hour = time.as_millis().div_euclid(HOUR).rem_euclid(24);
    usize::try_from(hour).unwrap_or_default()
}

impl Over {
    pub(super) fn found(self, kind: TriggerKind, entity: Entity, effect: Effect) -> Found {
        let hours = kind.window() / HOUR;
        let (count, what) = (self.count, kind.counted());
        let within = if hours == 1 {
            "an hour".to_owned()
        } else {
            format!("{hours} hours")
        };
        let samples = self.samples.join(", ");
        Found {
            kind,
            entity,
            effect,
            reason: format!("trigger {}: {count} {what} within {within}", kind.name()),
            evidence: vec![
                format!(
                    "usual at this hour: {}, busiest: {}",
                    self.usual, self.busiest
                ),
                format!("last: {samples}"),
            ],
        }
    }
}
