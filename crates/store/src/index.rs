//! The working queue in memory: what is due, under lease, held, about to expire. Shared by the
//! embedded and the in-memory store; the database is the truth, this is how it is found quickly.
//!
//! A recipient costs about 150 octets here, so that 1,000,000 of them stay well below 600 MB.
//! Nothing here blocks, allocates without a bound or knows a clock.
//!
//! Not here: addresses, content, last replies (they stay in the store until a lease asks).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use crate::queue::{Criteria, DueQueue, QueueCount, QueueCounts, QueueKey, WaitingQueue};
use crate::suspension::{Suspension, SuspensionScope};

mod lease;
mod slot;
#[cfg(test)]
mod tests;

pub(crate) use slot::{DELAY_TOLD, GIVE_UP, HELD, PASSED, RESTRICTED, SPOOLED, SlotState};
use slot::{Slot, Slots};

/// [`DueQueue::due`] is counted up to here: more is only "many", and counting a long queue at each
/// question would cost more than the answer is worth.
pub(crate) const DUE_COUNT_MAX: usize = 1_000;

/// Queues looked into for [`Index::next_due`] beyond their first entry; with more queues due the
/// scheduler is busy anyway and asks again.
const NEXT_DUE_QUEUES_MAX: usize = 1_000;

/// A recipient that enters the index.
#[derive(Clone, Debug)]
pub(crate) struct NewSlot {
    pub(crate) number: u32,
    pub(crate) key: QueueKey,
    pub(crate) state: SlotState,
}

/// What a lease gives, before facts and content are added.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Grant {
    pub(crate) queue_id: QueueId,
    pub(crate) token: u64,
    pub(crate) key: QueueKey,
    pub(crate) slots: Vec<(u32, SlotState)>,
}

/// The state of a recipient after a settlement: gone, or this.
pub(crate) type Resolved = (u32, Option<SlotState>);

/// Recipients of one message that an act concerns, taken out of circulation under `token`.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) queue_id: QueueId,
    /// Zero for recipients that are active and only get a mark.
    pub(crate) token: u64,
    pub(crate) slots: Vec<Resolved>,
}

/// A part of an act: see [`Index::choose`].
#[derive(Debug, Default)]
pub(crate) struct Choice {
    pub(crate) chosen: Vec<Chosen>,
    /// Recipients left alone because an attempt is under way.
    pub(crate) active: u64,
    /// Go on behind this message; `None`: that was all.
    pub(crate) next: Option<QueueId>,
}

/// Number, key, state, and whether it is under lease.
pub(crate) type ViewedSlot = (u32, QueueKey, SlotState, bool);

#[derive(Debug)]
struct Queue {
    key: QueueKey,
    /// Waiting recipients: due, queue id, number.
    due: BTreeSet<(i64, i64, u32)>,
    /// What stands in `heads` for this queue.
    head: Option<i64>,
    recipients: usize,
    suspended: bool,
    /// See [`DueQueue::asked_for`].
    asked_for: bool,
    /// Recipients under lease.
    active: usize,
    /// See [`WaitingQueue::results`].
    results: u64,
}

#[derive(Debug)]
struct LeaseState {
    queue_id: i64,
    /// On the lease clock.
    until: i64,
    /// Leased and not being settled.
    numbers: Vec<u32>,
    /// A settlement is on its way to the disk: these neither lapse nor settle twice.
    settling: Vec<u32>,
    purpose: Purpose,
}

/// What a lease was given for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    /// An attempt: all of it was due.
    Attempt,
    /// The end of its time, or of a person's patience.
    Ending,
    /// A person's act; `now`: who asks wants it tried now.
    Act { now: bool },
}

/// Milliseconds by which leases run. It follows the times that callers give, but no jump of theirs:
/// a wall clock that is set must not take a lease from somebody who is still at work with it.
#[derive(Clone, Copy, Debug, Default)]
struct LeaseClock {
    wall: Option<i64>,
    elapsed: i64,
}

/// Between two looks, a lease never runs for longer than this, whatever the wall clock says. Who
/// delivers looks at least once a minute.
const LEASE_STEP_MAX_MILLIS: i64 = 60_000;
/// No lease is prolonged by more than this: a day, in milliseconds.
const LEASE_TIME_MAX_MILLIS: i64 = 86_400_000;

impl LeaseClock {
    /// Goes on to the wall clock's `now`.
    fn advance(&mut self, now: i64) -> i64 {
        let step = now.saturating_sub(self.wall.unwrap_or(now));
        self.elapsed += step.clamp(0, LEASE_STEP_MAX_MILLIS);
        self.wall = Some(now);
        self.elapsed
    }

    /// Whether `now` can be the same wall clock, a moment later.
    fn agrees_with(&self, now: i64) -> bool {
        let step = now.saturating_sub(self.wall.unwrap_or(now));
        (0..=LEASE_STEP_MAX_MILLIS).contains(&step)
    }

    /// The wall-clock time at which the lease clock shows `until`, if nothing jumps.
    fn wall_at(&self, until: i64) -> Option<i64> {
        self.wall?.checked_add(until.saturating_sub(self.elapsed))
    }
}

/// See the sign on the door.
#[derive(Debug, Default)]
pub(crate) struct Index {
    queues: Vec<Queue>,
    by_key: HashMap<QueueKey, u32>,
    free: Vec<u32>,
    /// First due time of each queue that has one and is not suspended.
    heads: BTreeSet<(i64, u32)>,
    /// Recipients not under lease: when their time is up, queue id, number.
    expiry: BTreeSet<(i64, i64, u32)>,
    messages: BTreeMap<i64, Slots>,
    leases: HashMap<u64, LeaseState>,
    /// By the lease clock.
    lapses: BTreeSet<(i64, u64)>,
    lease_clock: LeaseClock,
    suspensions: BTreeMap<SuspensionScope, Suspension>,
    last_token: u64,
    queued: u64,
    deferred: u64,
    held: u64,
    /// Broken twin `LeaseForgotten`: leases do not keep others away.
    #[cfg(feature = "broken-twins")]
    pub(crate) forgets_leases: bool,
}

impl Index {
    /// Puts a message's recipients in. A message that is there already is replaced.
    pub(crate) fn insert(&mut self, queue_id: QueueId, slots: &[NewSlot]) {
        self.remove_message(queue_id);
        let id = queue_id.as_i64();
        let mut stored = Vec::with_capacity(slots.len());
        for new in slots {
            let queue = self.intern(&new.key);
            self.queues[queue as usize].recipients += 1;
            stored.push(Slot::new(new.number, queue, new.state));
            self.account(new.state, 1);
            self.enter(id, new.number, queue, new.state);
        }
        stored.sort_unstable_by_key(|slot| slot.number);
        if !stored.is_empty() {
            self.messages.insert(id, Slots::from_vec(stored));
        }
    }

    /// Takes a message out whole, whatever its state.
    pub(crate) fn remove_message(&mut self, queue_id: QueueId) {
        let id = queue_id.as_i64();
        let Some(slots) = self.messages.remove(&id) else {
            return;
        };
        for slot in slots.as_slice() {
            let state = slot.state();
            self.account(state, -1);
            self.queues[slot.queue as usize].recipients -= 1;
            if slot.active {
                self.queues[slot.queue as usize].active -= 1;
            } else {
                self.withdraw(id, slot.number, slot.queue, state);
            }
        }
        let tokens: Vec<u64> = self
            .leases
            .iter()
            .filter(|(_, lease)| lease.queue_id == id)
            .map(|(token, _)| *token)
            .collect();
        for token in tokens {
            self.drop_lease(token);
        }
    }

    /// The queue of a recipient.
    pub(crate) fn key_of(&self, queue_id: QueueId, number: u32) -> Option<&QueueKey> {
        let slot = self.messages.get(&queue_id.as_i64())?.get(number)?;
        self.queues.get(slot.queue as usize).map(|queue| &queue.key)
    }

    /// How many recipients a message has left.
    pub(crate) fn recipients_of(&self, queue_id: QueueId) -> usize {
        self.messages
            .get(&queue_id.as_i64())
            .map_or(0, |slots| slots.as_slice().len())
    }

    /// Flags of the first recipient: enough for what all have in common.
    pub(crate) fn flags_of(&self, queue_id: QueueId) -> u8 {
        let slots = self.messages.get(&queue_id.as_i64());
        slots
            .and_then(|slots| slots.as_slice().first())
            .map_or(0, |slot| slot.state().flags)
    }

    /// Whether any recipient, active or not, belongs to this queue.
    pub(crate) fn knows_queue(&self, key: &QueueKey) -> bool {
        self.by_key
            .get(key)
            .is_some_and(|queue| self.queues[*queue as usize].recipients > 0)
    }

    /// See [`crate::store::Store::due`].
    pub(crate) fn due(&mut self, now: Timestamp, limit: usize) -> Vec<DueQueue> {
        self.reap(now);
        let now = now.as_millis();
        let (heads, queues) = (&self.heads, &mut self.queues);
        let heads = heads.range(..=(now, u32::MAX)).take(limit);
        heads
            .map(|&(oldest, queue)| {
                let queue = &mut queues[queue as usize];
                let due = queue.due.range(..=(now, i64::MAX, u32::MAX));
                DueQueue {
                    key: queue.key.clone(),
                    due: due.take(DUE_COUNT_MAX).count(),
                    oldest: Timestamp::from_millis(oldest),
                    asked_for: std::mem::take(&mut queue.asked_for),
                }
            })
            .collect()
    }

    /// See [`crate::store::Store::waiting`].
    pub(crate) fn waiting(&self, now: Timestamp) -> Vec<WaitingQueue> {
        let now = now.as_millis();
        let waits =
            |queue: &&Queue| queue.active > 0 || queue.head.is_some_and(|oldest| oldest <= now);
        let waiting = self.queues.iter().filter(waits).map(|queue| WaitingQueue {
            key: queue.key.clone(),
            results: queue.results,
        });
        waiting.collect()
    }

    /// See [`crate::store::Store::next_due`].
    pub(crate) fn next_due(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.reap(now);
        let now = now.as_millis();
        let behind = (Bound::Excluded((now, i64::MAX, u32::MAX)), Bound::Unbounded);
        let heads = (Bound::Excluded((now, u32::MAX)), Bound::Unbounded);
        let mut next = self.heads.range(heads).next().map(|(due, _)| *due);
        let mut sooner = |due: i64| next = Some(next.map_or(due, |next| next.min(due)));
        for (_, queue) in self
            .heads
            .range(..=(now, u32::MAX))
            .take(NEXT_DUE_QUEUES_MAX)
        {
            let later = self.queues[*queue as usize].due.range(behind).next();
            later.into_iter().for_each(|(due, _, _)| sooner(*due));
        }
        self.expiry
            .range(behind)
            .next()
            .into_iter()
            .for_each(|(at, _, _)| sooner(*at));
        let lapse = self.lapses.first().filter(|(until, _)| *until != i64::MAX);
        let lapse = lapse.and_then(|(until, _)| self.lease_clock.wall_at(*until));
        lapse.into_iter().for_each(sooner);
        next.map(Timestamp::from_millis)
    }

    /// Stops leasing of what a suspension means; one of the same scope is replaced.
    pub(crate) fn suspend(&mut self, suspension: Suspension) {
        let scope = suspension.scope.clone();
        self.suspensions.insert(scope.clone(), suspension);
        self.apply_suspensions(&scope);
    }

    /// Leasing goes on, unless another suspension means it too; `false`: there was none.
    pub(crate) fn resume(&mut self, scope: &SuspensionScope) -> bool {
        let was_there = self.suspensions.remove(scope).is_some();
        self.apply_suspensions(scope);
        was_there
    }

    /// What is suspended, by organisation and destination.
    pub(crate) fn suspended(&self) -> Vec<Suspension> {
        self.suspensions.values().cloned().collect()
    }

    /// Suspensions whose time is over.
    pub(crate) fn suspensions_over(&self, now: Timestamp) -> Vec<SuspensionScope> {
        let over = self.suspensions.values().filter(|one| one.is_over(now));
        over.map(|one| one.scope.clone()).collect()
    }

    fn apply_suspensions(&mut self, changed: &SuspensionScope) {
        for number in 0..self.queues.len() {
            if changed.covers(&self.queues[number].key) {
                self.queues[number].suspended = self.is_suspended(&self.queues[number].key);
                self.update_head(number);
            }
        }
    }

    fn is_suspended(&self, key: &QueueKey) -> bool {
        !self.suspensions.is_empty()
            && SuspensionScope::covering(key)
                .iter()
                .any(|scope| self.suspensions.contains_key(scope))
    }

    /// See [`crate::store::Store::counts`].
    pub(crate) fn counts(&self) -> QueueCounts {
        QueueCounts {
            queued: self.queued,
            deferred: self.deferred,
            held: self.held,
            oldest: self
                .messages
                .first_key_value()
                .and_then(|(id, _)| QueueId::from_i64(*id))
                .map(QueueId::created_at),
        }
    }

    /// Messages that fit, in order, behind `after`: looks at most at `visits` messages. The second
    /// value is where to go on, `None` at the end.
    pub(crate) fn scan(
        &self,
        criteria: &Criteria,
        after: Option<QueueId>,
        visits: usize,
        limit: usize,
    ) -> (Vec<QueueId>, Option<QueueId>) {
        if let Some(only) = &criteria.only {
            return self.scan_only(criteria, only, after, limit);
        }
        let mut found = Vec::new();
        let mut last = None;
        for (visited, (id, slots)) in self.messages_behind(criteria, after).enumerate() {
            if visited >= visits || found.len() >= limit {
                return (found, last);
            }
            last = QueueId::from_i64(*id);
            let fits = slots
                .as_slice()
                .iter()
                .any(|slot| self.fits(criteria, *id, slot));
            found.extend(last.filter(|_| fits));
        }
        (found, None)
    }

    /// Where the messages are known: no other is looked at.
    fn scan_only(
        &self,
        criteria: &Criteria,
        only: &BTreeMap<QueueId, Vec<u32>>,
        after: Option<QueueId>,
        limit: usize,
    ) -> (Vec<QueueId>, Option<QueueId>) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let fits = |queue_id: &QueueId| {
            let id = queue_id.as_i64();
            let slots = self.messages.get(&id).map_or(&[][..], Slots::as_slice);
            slots.iter().any(|slot| self.fits(criteria, id, slot))
        };
        let mut found: Vec<QueueId> = only
            .range((from, Bound::Unbounded))
            .map(|(queue_id, _)| *queue_id)
            .filter(fits)
            .take(limit.saturating_add(1))
            .collect();
        let next = (found.len() > limit).then(|| {
            found.truncate(limit);
            found.last().copied()
        });
        (found, next.flatten())
    }

    /// How many fit, behind `after`: looks at most at `visits` messages. The second value is where
    /// to go on, `None` at the end.
    pub(crate) fn count(
        &self,
        criteria: &Criteria,
        after: Option<QueueId>,
        visits: usize,
    ) -> (QueueCount, Option<QueueId>) {
        let mut count = QueueCount::default();
        let mut last = None;
        for (visited, (id, slots)) in self.messages_behind(criteria, after).enumerate() {
            if visited >= visits {
                return (count, last);
            }
            last = QueueId::from_i64(*id);
            let slots = slots.as_slice().iter();
            let fitting = slots.filter(|slot| self.fits(criteria, *id, slot)).count();
            if fitting > 0 {
                count.messages += 1;
                count.recipients += fitting as u64;
                count.newest = last;
            }
        }
        (count, None)
    }

    /// The recipients of a message, in order.
    pub(crate) fn view(&self, queue_id: QueueId) -> Vec<ViewedSlot> {
        let Some(slots) = self.messages.get(&queue_id.as_i64()) else {
            return Vec::new();
        };
        let view = |slot: &Slot| {
            let key = self.queues[slot.queue as usize].key.clone();
            (slot.number, key, slot.state(), slot.active)
        };
        slots.as_slice().iter().map(view).collect()
    }

    /// Forgets queues without recipients. To be called now and then.
    pub(crate) fn sweep_queues(&mut self) {
        for number in 0..self.queues.len() {
            let queue = &self.queues[number];
            let slot = u32::try_from(number).unwrap_or(u32::MAX);
            if queue.recipients == 0 && self.by_key.get(&queue.key) == Some(&slot) {
                self.by_key.remove(&queue.key);
                self.free.push(slot);
            }
        }
    }

    fn messages_behind(
        &self,
        criteria: &Criteria,
        after: Option<QueueId>,
    ) -> impl Iterator<Item = (&i64, &Slots)> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.as_i64()));
        let only = criteria.queue_id;
        let from = match (only, from) {
            (Some(only), Bound::Excluded(after)) if only.as_i64() <= after => {
                Bound::Excluded(i64::MAX)
            }
            (Some(only), _) => Bound::Included(only.as_i64()),
            (None, from) => from,
        };
        let before = criteria.accepted_before;
        let up_to = criteria.up_to;
        self.messages
            .range((from, Bound::Unbounded))
            .take_while(move |(id, _)| up_to.is_none_or(|up_to| **id <= up_to.as_i64()))
            .take_while(move |(id, _)| only.is_none_or(|only| only.as_i64() == **id))
            .take_while(move |(id, _)| {
                before.is_none_or(|before| {
                    QueueId::from_i64(**id).is_some_and(|id| id.created_at() < before)
                })
            })
    }

    fn fits(&self, criteria: &Criteria, id: i64, slot: &Slot) -> bool {
        if let Some(only) = &criteria.only {
            let numbers = QueueId::from_i64(id).and_then(|id| only.get(&id));
            if !numbers.is_some_and(|numbers| numbers.contains(&slot.number)) {
                return false;
            }
        }
        if criteria.is_restricted && !slot.state().has(RESTRICTED) {
            return false;
        }
        let key = &self.queues[slot.queue as usize].key;
        criteria
            .destination
            .as_deref()
            .is_none_or(|name| *name == *key.destination)
            && criteria
                .organisation
                .as_deref()
                .is_none_or(|name| *name == *key.organisation)
            && criteria
                .state
                .is_none_or(|state| state == slot.state().name(slot.active))
    }

    fn intern(&mut self, key: &QueueKey) -> u32 {
        if let Some(queue) = self.by_key.get(key) {
            return *queue;
        }
        let queue = Queue {
            key: key.clone(),
            due: BTreeSet::new(),
            head: None,
            recipients: 0,
            suspended: self.is_suspended(key),
            asked_for: false,
            active: 0,
            results: 0,
        };
        let number = if let Some(number) = self.free.pop() {
            self.queues[number as usize] = queue;
            number
        } else {
            self.queues.push(queue);
            u32::try_from(self.queues.len() - 1).expect("fewer queues than recipients, in memory")
        };
        self.by_key.insert(key.clone(), number);
        number
    }

    /// A recipient that is not under lease waits for its time.
    fn enter(&mut self, id: i64, number: u32, queue: u32, state: SlotState) {
        self.expiry.insert((state.leaves_at(), id, number));
        if state.waits() {
            self.queues[queue as usize]
                .due
                .insert((state.due, id, number));
            self.update_head(queue as usize);
        }
    }

    /// The opposite of `enter`.
    fn withdraw(&mut self, id: i64, number: u32, queue: u32, state: SlotState) {
        self.expiry.remove(&(state.leaves_at(), id, number));
        if state.waits() {
            self.queues[queue as usize]
                .due
                .remove(&(state.due, id, number));
            self.update_head(queue as usize);
        }
    }

    fn update_head(&mut self, number: usize) {
        let queue = &mut self.queues[number];
        let head = queue
            .due
            .first()
            .map(|(due, _, _)| *due)
            .filter(|_| !queue.suspended);
        if head == queue.head {
            return;
        }
        let slot = u32::try_from(number).unwrap_or(u32::MAX);
        if let Some(old) = queue.head {
            self.heads.remove(&(old, slot));
        }
        queue.head = head;
        if let Some(new) = head {
            self.heads.insert((new, slot));
        }
    }

    fn account(&mut self, state: SlotState, by: i64) {
        let counter = if state.has(HELD) {
            &mut self.held
        } else if state.attempts > 0 {
            &mut self.deferred
        } else {
            &mut self.queued
        };
        *counter = counter.saturating_add_signed(by);
    }
}
