//! Leases: granting, renewing, lapsing, settling; and the acts of a person, which take recipients
//! out of circulation in the same way.

use std::ops::Bound;

use relais_policy::limit::BACKLOG_MAX;
use relais_policy::schedule::{held_until, released_until};
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use super::slot::{GIVE_UP, HELD, HOLD_AFTER, PASSED, RESTRICTED, Slot, SlotState, Slots};
use super::{
    Choice, Chosen, Grant, Index, LEASE_TIME_MAX_MILLIS, LeaseClock, LeaseState, Purpose, Resolved,
};
use crate::queue::{Criteria, QueueAct, QueueKey, RecipientChange};

/// How long a lease is given for.
fn lease_time(now: Timestamp, until: Timestamp) -> i64 {
    until.as_millis().saturating_sub(now.as_millis()).max(0)
}

/// Messages looked at for one part of an act, so that the index is not locked for long.
const CHOOSE_VISITS_MAX: usize = 10_000;

impl Index {
    /// See [`crate::store::Store::lease`].
    pub(crate) fn lease(
        &mut self,
        key: &QueueKey,
        messages_max: usize,
        recipients_max: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Vec<Grant> {
        self.reap(now);
        let mut grants = Vec::new();
        let Some(&queue) = self.by_key.get(key) else {
            return grants;
        };
        if self.queues[queue as usize].suspended || recipients_max == 0 {
            return grants;
        }
        let mut behind = Bound::Unbounded;
        while grants.len() < messages_max {
            let mut waiting = self.queues[queue as usize]
                .due
                .range((behind, Bound::Unbounded));
            let Some(&(due, id, number)) = waiting.next() else {
                break;
            };
            if due > now.as_millis() {
                break;
            }
            behind = Bound::Excluded((due, id, number));
            let wanted = |slot: &Slot| slot.state().waits() && slot.state().due <= now.as_millis();
            let numbers = self.numbers_of(id, queue, recipients_max, number, wanted);
            let time = lease_time(now, until);
            grants.push(self.grant(id, queue, numbers, time, Purpose::Attempt));
        }
        grants
    }

    /// See [`crate::store::Store::lease_expired`].
    pub(crate) fn lease_expired(
        &mut self,
        messages_max: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Vec<Grant> {
        // Lifetimes may run by another clock than due times: it moves the lease clock only where
        // the two agree.
        if self.lease_clock.agrees_with(now.as_millis()) {
            self.reap(now);
        }
        let mut grants = Vec::new();
        while grants.len() < messages_max {
            let Some(&(at, id, number)) = self.expiry.first() else {
                break;
            };
            if at > now.as_millis() {
                break;
            }
            let slot = self.messages.get(&id).and_then(|slots| slots.get(number));
            let Some(queue) = slot.map(|slot| slot.queue) else {
                break;
            };
            let wanted = |slot: &Slot| slot.state().leaves_at() <= now.as_millis();
            let numbers = self.numbers_of(id, queue, usize::MAX, number, wanted);
            let time = lease_time(now, until);
            grants.push(self.grant(id, queue, numbers, time, Purpose::Ending));
        }
        grants
    }

    /// Prolongs a lease; false if it is gone.
    pub(crate) fn renew(&mut self, queue_id: QueueId, token: u64, until: Timestamp) -> bool {
        let Some(lease) = self.leases.get_mut(&token) else {
            return false;
        };
        if lease.queue_id != queue_id.as_i64() {
            return false;
        }
        if self.lapses.remove(&(lease.until, token)) {
            let LeaseClock { wall, elapsed } = self.lease_clock;
            let time = until.as_millis().saturating_sub(wall.unwrap_or(0));
            let time = time.clamp(0, LEASE_TIME_MAX_MILLIS);
            // Never sooner than before: the wall clock may have been set back since our last look.
            lease.until = lease.until.max(elapsed.saturating_add(time));
            self.lapses.insert((lease.until, token));
        }
        true
    }

    /// Gives up a lease whose facts could not be read: its recipients wait again.
    pub(crate) fn release_lease(&mut self, token: u64) {
        let Some(lease) = self.leases.get_mut(&token) else {
            return;
        };
        let numbers = std::mem::take(&mut lease.numbers);
        let (id, purpose) = (lease.queue_id, lease.purpose);
        self.put_back(id, &numbers, purpose);
        self.end_if_empty(token);
    }

    /// The numbers are to be settled under this lease: from now on they do not lapse. False if the
    /// lease is gone or does not hold all of them (any more): then nothing changes.
    pub(crate) fn begin_settle(&mut self, queue_id: QueueId, token: u64, numbers: &[u32]) -> bool {
        let Some(lease) = self.leases.get_mut(&token) else {
            return false;
        };
        let held = lease.queue_id == queue_id.as_i64()
            && numbers.iter().all(|number| lease.numbers.contains(number));
        if !held {
            return false;
        }
        lease.numbers.retain(|number| !numbers.contains(number));
        lease.settling.extend_from_slice(numbers);
        true
    }

    /// The states that the changes lead to, as of now. Only after `begin_settle`.
    pub(crate) fn resolve(
        &self,
        queue_id: QueueId,
        changes: &[(u32, RecipientChange)],
    ) -> Vec<Resolved> {
        let Some(slots) = self.messages.get(&queue_id.as_i64()) else {
            return Vec::new();
        };
        let resolve = |(number, change): &(u32, RecipientChange)| {
            slots
                .get(*number)
                .map(|slot| (*number, slot.state().changed(change)))
        };
        changes.iter().filter_map(resolve).collect()
    }

    /// The settlement is durable. Says whether the message is gone with it.
    pub(crate) fn finish_settle(
        &mut self,
        queue_id: QueueId,
        token: u64,
        resolved: &[Resolved],
    ) -> bool {
        let id = queue_id.as_i64();
        let mut asked_for = false;
        if let Some(lease) = self.leases.get_mut(&token) {
            asked_for = lease.purpose == Purpose::Act { now: true };
            lease
                .settling
                .retain(|number| !resolved.iter().any(|(settled, _)| settled == number));
        }
        let mut gone = Vec::new();
        for (number, state) in resolved {
            let Some(slot) = self
                .messages
                .get_mut(&id)
                .and_then(|slots| slots.get_mut(*number))
            else {
                continue;
            };
            let (before, queue) = (slot.state(), slot.queue);
            let was_active = std::mem::replace(&mut slot.active, false);
            let of_queue = &mut self.queues[queue as usize];
            of_queue.active -= usize::from(was_active);
            let moved = |after: &SlotState| after.attempts != before.attempts;
            of_queue.results += u64::from(state.as_ref().is_none_or(moved));
            #[cfg(feature = "broken-twins")]
            if self.forgets_leases {
                self.withdraw(id, *number, queue, before);
            }
            let slot = self
                .messages
                .get_mut(&id)
                .and_then(|slots| slots.get_mut(*number));
            if let (Some(slot), Some(after)) = (slot, *state) {
                slot.set_state(after);
                self.account(before, -1);
                self.account(after, 1);
                self.enter(id, *number, queue, after);
                self.queues[queue as usize].asked_for |= asked_for;
            } else {
                gone.push(*number);
                self.account(before, -1);
                self.queues[queue as usize].recipients -= 1;
            }
        }
        self.end_if_empty(token);
        self.remove_slots(id, gone)
    }

    /// The settlement failed: the lease goes on as before, or lapses if its time is up.
    pub(crate) fn abandon_settle(&mut self, token: u64, numbers: &[u32]) {
        let Some(lease) = self.leases.get_mut(&token) else {
            return;
        };
        lease.settling.retain(|number| !numbers.contains(number));
        lease.numbers.extend_from_slice(numbers);
        // Its turn may have passed meanwhile: then the next look at the clock lets it lapse.
        self.lapses.insert((lease.until, token));
    }

    /// The next part of an act: at most `recipients_max` recipients of messages behind `after`.
    /// Those that change are taken out of circulation until [`Index::finish_settle`] or
    /// [`Index::abandon_settle`].
    pub(crate) fn choose(
        &mut self,
        act: &QueueAct,
        criteria: &Criteria,
        after: Option<QueueId>,
        now: Timestamp,
        recipients_max: usize,
    ) -> Choice {
        let (found, next) = self.scan(criteria, after, CHOOSE_VISITS_MAX, recipients_max);
        let mut choice = Choice {
            next,
            ..Choice::default()
        };
        let mut taken = 0;
        for queue_id in found {
            taken += self.choose_of(act, criteria, queue_id, now, &mut choice);
            if taken >= recipients_max {
                choice.next = Some(queue_id);
                break;
            }
        }
        choice
    }

    fn choose_of(
        &mut self,
        act: &QueueAct,
        criteria: &Criteria,
        queue_id: QueueId,
        now: Timestamp,
        choice: &mut Choice,
    ) -> usize {
        let id = queue_id.as_i64();
        let (mut quiet, mut marked) = (Vec::new(), Vec::new());
        let slots = self.messages.get(&id).map_or(&[][..], Slots::as_slice);
        for slot in slots.iter().filter(|slot| self.fits(criteria, id, slot)) {
            let state = slot.state();
            match (acted(act, state, slot.active, now), slot.active) {
                (Some(after), false) => quiet.push((slot.number, slot.queue, after)),
                (Some(after), true) => marked.push((slot.number, after)),
                (None, true) if act.waits_for_attempts() => choice.active += 1,
                (None, _) => {}
            }
        }
        let taken = quiet.len() + marked.len();
        if let Some((_, queue, _)) = quiet.first().copied() {
            let numbers: Vec<u32> = quiet.iter().map(|(number, _, _)| *number).collect();
            let purpose = Purpose::Act {
                now: matches!(
                    act,
                    QueueAct::Retry | QueueAct::Release | QueueAct::Unrestrict
                ),
            };
            let grant = self.grant(id, queue, numbers.clone(), i64::MAX, purpose);
            self.begin_settle(queue_id, grant.token, &numbers);
            let slots = quiet
                .into_iter()
                .map(|(number, _, after)| (number, after))
                .collect();
            choice.chosen.push(Chosen {
                queue_id,
                token: grant.token,
                slots,
            });
        }
        if !marked.is_empty() {
            choice.chosen.push(Chosen {
                queue_id,
                token: 0,
                slots: marked,
            });
        }
        taken
    }

    /// A mark on active recipients is durable.
    pub(crate) fn finish_mark(&mut self, queue_id: QueueId, resolved: &[Resolved]) {
        let Some(slots) = self.messages.get_mut(&queue_id.as_i64()) else {
            return;
        };
        for (number, state) in resolved {
            if let (Some(slot), Some(state)) = (slots.get_mut(*number), state) {
                slot.set_state(*state);
            }
        }
    }

    /// Leases whose time is up end; their recipients are due again.
    pub(super) fn reap(&mut self, now: Timestamp) {
        let elapsed = self.lease_clock.advance(now.as_millis());
        while let Some(&(until, token)) = self.lapses.first() {
            if until > elapsed {
                return;
            }
            self.lapses.remove(&(until, token));
            let Some(lease) = self.leases.get_mut(&token) else {
                continue;
            };
            let numbers = std::mem::take(&mut lease.numbers);
            let (id, purpose) = (lease.queue_id, lease.purpose);
            self.put_back(id, &numbers, purpose);
            self.end_if_empty(token);
        }
    }

    pub(super) fn drop_lease(&mut self, token: u64) {
        if let Some(lease) = self.leases.remove(&token) {
            self.lapses.remove(&(lease.until, token));
        }
    }

    /// Numbers of the message that are free, of that queue and wanted; `first` among them.
    fn numbers_of(
        &self,
        id: i64,
        queue: u32,
        max: usize,
        first: u32,
        wanted: impl Fn(&Slot) -> bool,
    ) -> Vec<u32> {
        let slots = self.messages.get(&id).map_or(&[][..], Slots::as_slice);
        let others = slots
            .iter()
            .filter(|slot| slot.queue == queue && !slot.active && slot.number != first)
            .filter(|slot| wanted(slot))
            .map(|slot| slot.number);
        let mut numbers: Vec<u32> = std::iter::once(first).chain(others.take(max - 1)).collect();
        numbers.sort_unstable();
        numbers
    }

    /// `time` in milliseconds; `i64::MAX`: for good.
    fn grant(
        &mut self,
        id: i64,
        queue: u32,
        numbers: Vec<u32>,
        time: i64,
        purpose: Purpose,
    ) -> Grant {
        let until = self.lease_clock.elapsed.saturating_add(time);
        self.last_token += 1;
        let token = self.last_token;
        let mut granted = Vec::with_capacity(numbers.len());
        for number in &numbers {
            let slot = self
                .messages
                .get_mut(&id)
                .and_then(|slots| slots.get_mut(*number));
            let Some(slot) = slot else { continue };
            let was_active = std::mem::replace(&mut slot.active, true);
            let (state, queue) = (slot.state(), slot.queue);
            self.queues[queue as usize].active += usize::from(!was_active);
            granted.push((*number, state));
            self.withdraw(id, *number, queue, state);
            #[cfg(feature = "broken-twins")]
            if self.forgets_leases && until != i64::MAX {
                self.enter(id, *number, queue, state);
            }
        }
        self.lapses.insert((until, token));
        let lease = LeaseState {
            queue_id: id,
            until,
            numbers,
            settling: Vec::new(),
            purpose,
        };
        self.leases.insert(token, lease);
        Grant {
            queue_id: QueueId::from_i64(id).expect("only queue ids are put in"),
            token,
            key: self.queues[queue as usize].key.clone(),
            slots: granted,
        }
    }

    fn put_back(&mut self, id: i64, numbers: &[u32], purpose: Purpose) {
        // What was leased for an attempt was due. It is due again, whatever the wall clock shows
        // now: set back meanwhile, it would have it wait for days.
        let latest = match (purpose, self.lease_clock.wall) {
            (Purpose::Attempt, Some(wall)) => wall,
            (Purpose::Attempt | Purpose::Ending | Purpose::Act { .. }, _) => i64::MAX,
        };
        for number in numbers {
            let slot = self
                .messages
                .get_mut(&id)
                .and_then(|slots| slots.get_mut(*number));
            let Some(slot) = slot else { continue };
            let was_active = std::mem::replace(&mut slot.active, false);
            // An attempt that came to no end is an end, for the one who asked to hold.
            let before = slot.state();
            let mut after = before.recovered();
            after.due = after.due.min(latest);
            slot.set_state(after);
            let queue = slot.queue;
            self.queues[queue as usize].active -= usize::from(was_active);
            self.account(before, -1);
            self.account(after, 1);
            self.enter(id, *number, queue, after);
        }
    }

    fn end_if_empty(&mut self, token: u64) {
        let empty = |lease: &LeaseState| lease.numbers.is_empty() && lease.settling.is_empty();
        if self.leases.get(&token).is_some_and(empty) {
            self.drop_lease(token);
        }
    }

    fn remove_slots(&mut self, id: i64, mut gone: Vec<u32>) -> bool {
        if gone.is_empty() {
            return false;
        }
        gone.sort_unstable();
        let emptied = self
            .messages
            .get_mut(&id)
            .is_some_and(|slots| slots.remove(&gone));
        if emptied {
            self.messages.remove(&id);
        }
        emptied
    }
}

/// What an act makes of a recipient; `None`: nothing.
fn acted(
    act: &QueueAct,
    state: SlotState,
    active: bool,
    now: Timestamp,
) -> Option<Option<SlotState>> {
    let with = |set: u8, clear: u8| SlotState {
        flags: (state.flags & !clear) | set,
        ..state
    };
    let until = |at: Timestamp, after: SlotState| SlotState {
        expires: after.expires.max(at.as_millis()),
        ..after
    };
    let held = |set: u8, clear: u8| Some(Some(until(held_until(now), with(set, clear))));
    let released = |set: u8, clear: u8, due: i64| {
        let after = until(released_until(now), with(set, clear));
        Some(Some(SlotState { due, ..after }))
    };
    // The pace of a connector gives mail a time, never farther ahead than its backlog: what lies
    // beyond comes from a clock that was wrong. That goes on. What was tried is tried again at
    // once, where a person says so.
    let due = state.due.min(now.after(BACKLOG_MAX).as_millis());
    let asked_for = match state.attempts {
        0 => due,
        _ => now.as_millis(),
    };
    match (act, active) {
        (QueueAct::Retry, false) if state.waits() => {
            let due = now.as_millis();
            Some(Some(SlotState { due, ..state }))
        }
        // What a person holds stays held when the entity is released.
        (QueueAct::Hold, false) if !state.has(HELD) || state.has(RESTRICTED) => {
            held(HELD, RESTRICTED)
        }
        (QueueAct::Restrict { .. }, false) if state.waits() && !state.has(PASSED) => {
            held(HELD | RESTRICTED, 0)
        }
        (QueueAct::Unrestrict, false) if state.has(RESTRICTED) => {
            released(0, HELD | RESTRICTED, due)
        }
        (QueueAct::Release, false) if state.has(RESTRICTED) => {
            released(PASSED, HELD | RESTRICTED, asked_for)
        }
        (QueueAct::Hold, true) if !state.has(HOLD_AFTER) => held(HOLD_AFTER, 0),
        (QueueAct::Release, false) if state.has(HELD) => released(0, HELD, asked_for),
        (QueueAct::Release, true) if state.has(HOLD_AFTER) => Some(Some(with(0, HOLD_AFTER))),
        (QueueAct::Bounce, false) if !state.has(GIVE_UP) => Some(Some(with(GIVE_UP, 0))),
        (QueueAct::Delete, false) => Some(None),
        (
            QueueAct::Retry
            | QueueAct::Hold
            | QueueAct::Release
            | QueueAct::Bounce
            | QueueAct::Delete
            | QueueAct::Restrict { .. }
            | QueueAct::Unrestrict,
            _,
        ) => None,
    }
}
