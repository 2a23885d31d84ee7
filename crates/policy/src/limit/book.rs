//! The book of all counts: whether a message has room in every limit that applies, when it may
//! leave, and what is told of it. One book for all sessions, behind one lock ([`Counts`]): two
//! sessions never take the last place both.
//!
//! **Hard** limits count when a message comes in, **soft** ones when it leaves: what another limit
//! holds back uses nothing up meanwhile.
//!
//! Bounded: settings name organisations, connectors, credentials and domains; of devices and
//! senders there may be any number. An organisation that has [`METERS_PER_ORGANISATION_MAX`] counts
//! of such, or its share when there are [`METERS_MAX`] in all, has one count for all others
//! together, under the same limit: inventing senders is no way round.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_smtp::time::Timestamp;

use super::share::Bounds;
use super::{
    Applying, BACKLOG_MAX, Forecast, Known, LimitName, Meter, RecipientKey, WARNING_PERCENT,
    Weight, Whose,
};
use crate::document::Limit;

/// Counts of devices and senders that one organisation may have: each at most 97 buckets of
/// 16 octets beside what waits, so 20 MB at the very most.
pub const METERS_PER_ORGANISATION_MAX: usize = 10_000;
/// Counts of devices and senders of all organisations together, but for the share of each.
pub const METERS_MAX: usize = 100_000;
const METERS: Bounds = Bounds {
    own: METERS_PER_ORGANISATION_MAX,
    all: METERS_MAX,
};
/// A limit that is nearly used is told of once in this time.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(3_600);
/// Rounds in which several limits agree on a time; each moves it on by a bucket at least, and the
/// backlog ends it long before.
const ROUNDS_MAX: usize = 10_000;

/// The book, for all who count and all who show.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Mutex<Book>>);

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Book {
    meters: HashMap<LimitName, Counted>,
    /// Counts of devices and senders, by organisation.
    many: HashMap<Arc<str>, usize>,
    many_total: usize,
    known: Known,
    /// Open connections of those that have one.
    open: HashMap<(Arc<str>, Whose), u64>,
    /// Names of which nothing is left, to be taken off the shelf.
    emptied: Vec<LimitName>,
    /// Messages were counted since it was kept.
    has_news: bool,
}

#[derive(Debug)]
struct Counted {
    meter: Meter,
    told: Option<Timestamp>,
    /// Not kept yet as it is now.
    changed: bool,
}

/// A message that wants in.
#[derive(Clone, Copy, Debug)]
pub struct Coming<'a> {
    /// Whose it is.
    pub organisation: &'a Arc<str>,
    /// Each recipient, and whether it is outside the organisation's accepted domains.
    pub recipients: &'a [(RecipientKey, bool)],
}

/// When a message may leave, and the limit for which it waits.
type Plan<'a> = (Timestamp, Option<&'a (LimitName, Limit)>);

/// A message that was counted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admitted {
    /// When it was counted.
    pub at: Timestamp,
    /// When it may leave.
    pub due: Timestamp,
    /// The limit for which it waits, if it does.
    pub slowest: Option<(LimitName, Limit)>,
    /// Limits that are nearly used, of which nobody heard lately.
    pub warnings: Vec<Warning>,
    counted: Vec<(LimitName, Timestamp, u64)>,
    learnt: Vec<RecipientKey>,
    organisation: Arc<str>,
}

/// A limit that is nearly used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// Which.
    pub name: LimitName,
    /// How it stands.
    pub used: Use,
}

/// Why a message does not come in: what, how much, until when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reached {
    /// Which limit.
    pub name: LimitName,
    /// How much.
    pub limit: Limit,
    /// When there is room.
    pub until: Timestamp,
}

/// How a limit stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Use {
    /// How much there may be.
    pub limit: Limit,
    /// In the window that ends now.
    pub used: u64,
    /// Accepted, and waiting for its time.
    pub waiting: u64,
    /// What comes.
    pub forecast: Forecast,
}

/// What is to be kept, and what no longer: key and text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Kept {
    /// Counts to be put.
    pub put: Vec<(String, String)>,
    /// Counts to be taken away.
    pub taken: Vec<String>,
    /// Known recipients; an empty text is to be taken away.
    pub recipients: Vec<(String, String)>,
    /// Messages were counted since the last time, whether they changed anything or not.
    pub has_news: bool,
}

impl Use {
    /// Hundredths of the limit.
    pub fn percent(&self) -> u64 {
        self.used.saturating_mul(100) / self.limit.value.max(1)
    }

    /// Whether a person should hear of it.
    pub fn is_warning(&self) -> bool {
        self.percent() >= WARNING_PERCENT
    }
}

impl Counts {
    /// The book, for a moment: nothing waits while it is held.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Whether a message of this weight could come in now.
    pub fn check(
        &self,
        applying: &Applying,
        weight: Weight,
        now: Timestamp,
    ) -> Result<(), Reached> {
        if applying.is_empty() {
            return Ok(());
        }
        self.plan(applying, weight, now).map(|_| ())
    }

    /// Counts a message, and remembers its recipients.
    pub fn admit(
        &mut self,
        applying: &Applying,
        coming: Coming<'_>,
        now: Timestamp,
    ) -> Result<Admitted, Reached> {
        let weight = self.weight(coming, now);
        let (due, slowest) = self.plan(applying, weight, now)?;
        let slowest = slowest.filter(|_| due > now).cloned();
        let mut admitted = self.put_down(applying, coming, weight, (now, due));
        admitted.slowest = slowest;
        Ok(admitted)
    }

    /// Counts a message that was taken in before, by a process that did not keep its count.
    pub fn count_again(&mut self, applying: &Applying, coming: Coming<'_>, then: Timestamp) {
        let weight = self.weight(coming, then);
        let planned = self.plan(applying, weight, then);
        let due = planned.map_or(then, |(due, _)| due);
        self.put_down(applying, coming, weight, (then, due));
    }

    /// The message was not taken in after all.
    pub fn take_back(&mut self, admitted: &Admitted) {
        for (name, at, needed) in &admitted.counted {
            if let Some(counted) = self.meters.get_mut(name) {
                counted.meter.take_back(*at, *needed);
                counted.changed = true;
            }
        }
        for key in &admitted.learnt {
            self.known.unlearn(&admitted.organisation, *key);
        }
    }

    /// Whether the organisation wrote to this recipient before.
    pub fn is_known(&self, organisation: &str, key: RecipientKey, now: Timestamp) -> bool {
        self.known.is_known(organisation, key, now)
    }

    /// A connection is this one's from now on.
    pub fn opened(&mut self, organisation: &Arc<str>, whose: &Whose) {
        let owner = (Arc::clone(organisation), whose.clone());
        *self.open.entry(owner).or_insert(0) += 1;
    }

    /// It is no longer. Nothing is kept of who has none.
    pub fn closed(&mut self, organisation: &Arc<str>, whose: &Whose) {
        let owner = (Arc::clone(organisation), whose.clone());
        if let Entry::Occupied(mut open) = self.open.entry(owner) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
    }

    /// Whose connections are open, and how many.
    pub fn open(&self) -> impl Iterator<Item = (&Arc<str>, &Whose, u64)> {
        let open = self.open.iter();
        open.map(|((organisation, whose), count)| (organisation, whose, *count))
    }

    /// How a limit stands.
    pub fn stands(&self, name: &LimitName, limit: Limit, now: Timestamp) -> Use {
        match self.meters.get(name) {
            Some(counted) => counted.stands(limit, now),
            None => Use {
                limit,
                used: 0,
                waiting: 0,
                forecast: Meter::new(name.key).forecast(limit.value, now),
            },
        }
    }

    /// Everything that has a count.
    pub fn names(&self) -> impl Iterator<Item = &LimitName> {
        self.meters.keys()
    }

    /// Everything that changed since the last time; what is over is forgotten.
    pub fn keep(&mut self, now: Timestamp) -> Kept {
        let mut kept = Kept::default();
        let Self {
            meters,
            many,
            many_total,
            ..
        } = self;
        meters.retain(|name, counted| {
            let is_over = counted.meter.tidy(now);
            if is_over {
                kept.taken.push(name.to_text());
                if name.whose.is_many() {
                    *many_total -= 1;
                    one_less(many, &name.organisation);
                }
            } else if std::mem::take(&mut counted.changed) {
                kept.put.push((name.to_text(), counted.meter.to_text()));
            }
            !is_over
        });
        let mut emptied = std::mem::take(&mut self.emptied);
        emptied.retain(|name| !self.meters.contains_key(name));
        kept.taken.extend(emptied.iter().map(LimitName::to_text));
        kept.recipients = self.known.changes(now);
        kept.has_news = std::mem::take(&mut self.has_news);
        kept
    }

    /// It could not be kept: all of it is still to be.
    pub fn not_kept(&mut self, kept: &Kept) {
        self.has_news |= kept.has_news;
        for (key, _) in &kept.put {
            let name = LimitName::parse(key);
            if let Some(counted) = name.and_then(|name| self.meters.get_mut(&name)) {
                counted.changed = true;
            }
        }
        let over = kept.taken.iter().filter_map(|key| LimitName::parse(key));
        self.emptied.extend(over);
        for (key, _) in &kept.recipients {
            self.known.not_kept(key);
        }
    }

    /// Reads back a count that was kept; `false`: it is none.
    pub fn restore(&mut self, key: &str, text: &str, now: Timestamp) -> bool {
        let Some(name) = LimitName::parse(key) else {
            return false;
        };
        let meter = Meter::from_text(name.key, text, now);
        let name = self.name_with_room(&name);
        self.meter(&name).meter.add(&meter);
        true
    }

    /// Reads back recipients that were kept.
    pub fn restore_recipients(&mut self, key: &str, text: &str) {
        self.known.restore(key, text);
    }

    /// What a message counts for: of the same recipient twice, the second is not new.
    fn weight(&self, coming: Coming<'_>, now: Timestamp) -> Weight {
        let mut weight = Weight::default();
        let mut new: Vec<RecipientKey> = Vec::new();
        for (key, is_external) in coming.recipients {
            weight.recipients += 1;
            weight.external += u64::from(*is_external);
            if !self.known.is_known(coming.organisation, *key, now) {
                new.push(*key);
            }
        }
        new.sort_unstable();
        new.dedup();
        weight.new = new.len() as u64;
        weight
    }

    fn put_down(
        &mut self,
        applying: &Applying,
        coming: Coming<'_>,
        weight: Weight,
        (at, due): (Timestamp, Timestamp),
    ) -> Admitted {
        let Coming {
            organisation,
            recipients,
        } = coming;
        let mut admitted = Admitted {
            at,
            due,
            slowest: None,
            warnings: Vec::new(),
            counted: Vec::new(),
            learnt: Vec::new(),
            organisation: Arc::clone(organisation),
        };
        self.has_news = true;
        for (name, limit) in &applying.0 {
            let needed = name.key.needed(weight);
            if needed > 0 {
                self.count(name, *limit, needed, &mut admitted);
            }
        }
        for (key, _) in recipients {
            if self.known.learn(organisation, *key, at) {
                admitted.learnt.push(*key);
            }
        }
        admitted
    }

    fn count(&mut self, name: &LimitName, limit: Limit, needed: u64, admitted: &mut Admitted) {
        let name = self.name_with_room(name);
        let at = if limit.hard {
            admitted.at
        } else {
            admitted.due
        };
        let counted = self.meter(&name);
        counted.meter.count(at, needed);
        counted.changed = true;
        if let Some(used) = counted.tell(limit, admitted.at) {
            let name = name.clone();
            admitted.warnings.push(Warning { name, used });
        }
        admitted.counted.push((name, at, needed));
    }

    /// The name under which it is counted: its own, or that of all others.
    fn name_with_room(&mut self, name: &LimitName) -> LimitName {
        if !name.whose.is_many() || self.meters.contains_key(name) {
            return name.clone();
        }
        let held = self.many.get(&name.organisation).copied().unwrap_or(0);
        match name.whose.others() {
            Some(whose) if !METERS.have_room(held, self.many_total, self.many.len()) => LimitName {
                organisation: Arc::clone(&name.organisation),
                whose,
                key: name.key,
            },
            _ => name.clone(),
        }
    }

    fn meter(&mut self, name: &LimitName) -> &mut Counted {
        match self.meters.entry(name.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                if name.whose.is_many() {
                    let organisation = Arc::clone(&name.organisation);
                    *self.many.entry(organisation).or_insert(0) += 1;
                    self.many_total += 1;
                }
                place.insert(Counted {
                    meter: Meter::new(name.key),
                    told: None,
                    changed: false,
                })
            }
        }
    }

    /// The count that decides about this name, if there is one.
    fn counted(&self, name: &LimitName) -> Option<&Counted> {
        if let Some(counted) = self.meters.get(name) {
            return Some(counted);
        }
        let held = self.many.get(&name.organisation).copied().unwrap_or(0);
        if METERS.have_room(held, self.many_total, self.many.len()) {
            return None;
        }
        let others = LimitName {
            organisation: Arc::clone(&name.organisation),
            whose: name.whose.others()?,
            key: name.key,
        };
        self.meters.get(&others)
    }

    /// When a message may leave, and the limit that decides.
    fn plan<'a>(
        &self,
        applying: &'a Applying,
        weight: Weight,
        now: Timestamp,
    ) -> Result<Plan<'a>, Reached> {
        let needed = |name: &LimitName| name.key.needed(weight);
        for (name, limit) in applying.0.iter().filter(|(_, limit)| limit.hard) {
            let needed = needed(name);
            let used = self.counted(name).map_or(0, |one| one.meter.used(now));
            if needed > 0 && used.saturating_add(needed) > limit.value {
                return Err(self.reached(name, *limit, needed, now));
            }
        }
        let (mut due, mut slowest) = (now, None);
        for _ in 0..ROUNDS_MAX {
            let before = due;
            for one in applying.0.iter().filter(|(_, limit)| !limit.hard) {
                let (name, limit) = one;
                let (needed, counted) = (needed(name), self.counted(name));
                let Some(counted) = counted.filter(|_| needed > 0) else {
                    continue;
                };
                let earliest = counted.meter.earliest(limit.value, due, needed);
                if earliest > due {
                    (due, slowest) = (earliest, Some(one));
                }
            }
            if due.since(now) > BACKLOG_MAX {
                let (name, limit) = slowest.unwrap_or(&applying.0[0]);
                return Err(Reached {
                    name: name.clone(),
                    limit: *limit,
                    until: due.before(BACKLOG_MAX).max(now),
                });
            }
            if due == before {
                break;
            }
        }
        Ok((due, slowest))
    }

    fn reached(&self, name: &LimitName, limit: Limit, needed: u64, now: Timestamp) -> Reached {
        let earliest = |one: &Counted| one.meter.earliest(limit.value, now, needed);
        let mut until = self.counted(name).map_or(now, earliest);
        if needed > limit.value {
            // Too much in itself: what would be taken of it fills the window from now on.
            until = until.max(now.after(name.key.window()));
        }
        Reached {
            name: name.clone(),
            limit,
            until,
        }
    }
}

impl Counted {
    fn stands(&self, limit: Limit, now: Timestamp) -> Use {
        Use {
            limit,
            used: self.meter.used(now),
            waiting: self.meter.waiting(now),
            forecast: self.meter.forecast(limit.value, now),
        }
    }

    /// Once in a while, when most of a limit is used.
    fn tell(&mut self, limit: Limit, now: Timestamp) -> Option<Use> {
        let told_lately = self
            .told
            .is_some_and(|told| now < told.after(TOLD_AGAIN_AFTER));
        let used = self.meter.used(now).saturating_mul(100);
        if told_lately || used < limit.value.saturating_mul(WARNING_PERCENT) {
            return None;
        }
        self.told = Some(now);
        Some(self.stands(limit, now))
    }
}

fn one_less(many: &mut HashMap<Arc<str>, usize>, organisation: &Arc<str>) {
    if let Entry::Occupied(mut held) = many.entry(Arc::clone(organisation)) {
        *held.get_mut() -= 1;
        if *held.get() == 0 {
            held.remove();
        }
    }
}
