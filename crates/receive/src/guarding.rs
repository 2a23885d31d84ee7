//! Triggers at work: every message that is accepted is heard before it is stored, so that the one
//! with which a trigger finds something is held itself; refusals, failures and what comes back are
//! heard as they are told. What is held is taken in up to a bound, so that who sends on for ever
//! fills no disk. What is usual is kept over restarts on a shelf, once a minute and at a
//! graceful end.
//!
//! Not here: what is too much (`relais_policy::trigger`); holding what waits and what is under way
//! (`relais_store`, `relais-deliver`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_net::clock::Clock;
use relais_policy::restriction::{Entity, Restriction, TRIGGERS};
use relais_policy::trigger::{Found, Guard, Heard};
use relais_smtp::time::Timestamp;
use relais_store::restriction::EntityChange;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::{Store, known_text, read_known};
use relais_store::trace::{Event, EventKind, Released};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Between two times that what is usual is kept.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// Recipients of held mail that are taken in for one restricted entity. Ours: more than a device
/// sends over a weekend, and a disk is not filled by a script in a loop.
const HELD_RECIPIENTS_MAX: u32 = 10_000;
/// Octets of the same mail. Ours: 2 GiB.
const HELD_OCTETS_MAX: u64 = 2 << 30;
/// Times that a trigger tries to restrict what others change at the same moment.
const TURNS_MAX: usize = 4;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Guarding(Mutex<State>);

#[derive(Default)]
struct State {
    guard: Guard,
    /// What was taken in of restricted entities since they are, or since the start.
    held: BTreeMap<Entity, Held>,
    /// Organisation and entity of which the shelf does not know what was heard last.
    news: BTreeMap<Entity, String>,
}

/// What was taken in of an entity while it is held.
#[derive(Clone, Copy, Debug)]
struct Held {
    since: Timestamp,
    recipients: u32,
    octets: u64,
}

impl Guarding {
    /// One more recipient for whom mail is held by this, and octets of its message.
    pub(crate) fn took(&self, restriction: &Restriction, octets: u64) {
        let since = restriction.since;
        let fresh = Held {
            since,
            recipients: 0,
            octets: 0,
        };
        let mut state = self.lock();
        let entity = restriction.entity.clone();
        let held = state.held.entry(entity).or_insert(fresh);
        if held.since != since {
            *held = fresh;
        }
        held.recipients = held.recipients.saturating_add(1);
        held.octets = held.octets.saturating_add(octets);
    }

    /// Whether no more is taken in of what is held by this.
    pub(crate) fn is_full(&self, restriction: &Restriction) -> bool {
        let state = self.lock();
        let held = state.held.get(&restriction.entity);
        held.filter(|held| held.since == restriction.since)
            .is_some_and(|held| {
                held.recipients >= HELD_RECIPIENTS_MAX || held.octets >= HELD_OCTETS_MAX
            })
    }

    /// A message is complete: hears it, and restricts its sender where that is too much. In force
    /// when this returns.
    pub(crate) async fn accepted(&self, store: &Store, event: &Event) {
        if let Some(heard) = store.heard(event).await {
            self.hear(store, &heard).await;
        }
    }

    async fn hear(&self, store: &Store, heard: &Heard) {
        let settings = store.settings();
        let Some(organisation) = settings.organisation(&heard.organisation) else {
            return;
        };
        let entity = heard.entity();
        let restrictions = store.restrictions();
        let standing = restrictions.holding(heard.time).of(&entity);
        let effect = standing.map(|restriction| restriction.effect);
        let found = {
            let mut state = self.lock();
            let found = state.guard.hear(heard, &organisation.triggers, effect);
            state.news.insert(entity, heard.organisation.clone());
            found
        };
        if let Some(found) = found {
            let seen = restrictions.get(&found.entity).cloned();
            restrict(store, found, seen, heard.time).await;
        }
    }

    /// Hears what is told until the end, and keeps what is usual.
    pub(crate) async fn keep(&self, store: &Store, clock: &Clock, ending: &CancellationToken) {
        let mut told = store.live();
        self.load(store).await;
        let mut next = clock.moment() + KEEP_EVERY;
        loop {
            tokio::select! {
                biased;
                () = ending.cancelled() => break,
                () = clock.sleep_until(next) => {
                    next = clock.moment() + KEEP_EVERY;
                    self.save(store, clock.now()).await;
                }
                heard = next_of(&mut told) => match heard {
                    Some(events) => self.told(store, &events).await,
                    None => break,
                }
            }
        }
    }

    async fn told(&self, store: &Store, events: &[Event]) {
        for event in events {
            match event.kind {
                EventKind::AttemptRefused
                | EventKind::RecipientFailed
                | EventKind::NoticeReceived => {
                    if let Some(heard) = store.heard(event).await {
                        self.hear(store, &heard).await;
                    }
                }
                EventKind::EntityReleased => {
                    if let Some(released) = event.released.as_deref() {
                        let Released { entity, by_person } = released;
                        let mut state = self.lock();
                        state.guard.release(entity, *by_person, event.time);
                        state.held.remove(entity);
                    }
                }
                // Messages were heard before they were stored.
                _ => {}
            }
        }
    }

    async fn load(&self, store: &Store) {
        let entries = match store.shelf(Shelf::Trigger).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "what is usual cannot be read: it is learnt anew");
                return;
            }
        };
        let mut state = self.lock();
        for entry in entries {
            if let Some(known) = read_known(&entry.value) {
                state.guard.restore(&entry.key, known);
            }
        }
    }

    /// Keeps what is usual.
    pub(crate) async fn save(&self, store: &Store, now: Timestamp) {
        let mut change = ShelfChange::new(Shelf::Trigger, now);
        let (news, known) = {
            let mut state = self.lock();
            change.taken = state.guard.forget_before(now);
            let news = std::mem::take(&mut state.news);
            let mut known = Vec::with_capacity(news.len());
            for (entity, organisation) in &news {
                let kept = state.guard.kept(organisation, entity);
                known.extend(kept.map(|(key, device)| (key, device.clone())));
            }
            (news, known)
        };
        // Written as text without the lock: every message takes it.
        let texts = known
            .into_iter()
            .map(|(key, device)| (key, known_text(&device)));
        change.put.extend(texts);
        if change.put.is_empty() && change.taken.is_empty() {
            return;
        }
        let taken = change.taken.clone();
        if let Err(error) = store.change_shelf(change).await {
            tracing::warn!(%error, "what is usual could not be kept");
            let mut state = self.lock();
            state.guard.remind(taken);
            state.news.extend(news);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None`: there will be no more.
async fn next_of(told: &mut Receiver<Arc<[Event]>>) -> Option<Arc<[Event]>> {
    loop {
        match told.recv().await {
            Ok(events) => return Some(events),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "triggers were too slow for what happened");
            }
            Err(RecvError::Closed) => return None,
        }
    }
}

/// Restricts what a trigger found, if it is still restricted as when the trigger judged it: what a
/// person says meanwhile stands.
async fn restrict(store: &Store, found: Found, mut seen: Option<Restriction>, now: Timestamp) {
    let restriction = Restriction {
        entity: found.entity,
        effect: found.effect,
        reason: found.reason,
        evidence: found.evidence,
        by: TRIGGERS.to_owned(),
        since: now,
        until: None,
    };
    let entity = &restriction.entity;
    let effect = |one: &Option<Restriction>| {
        let in_force = one.as_ref().filter(|one| !one.is_over(now));
        in_force.map(|one| one.effect)
    };
    for _ in 0..TURNS_MAX {
        let change = EntityChange::Replace {
            seen: seen.clone(),
            restriction: restriction.clone(),
        };
        match store
            .change_entities(change, relais_store::queue::BY_ITSELF)
            .await
        {
            Ok(0) => {
                let standing = store.restrictions().get(entity).cloned();
                if effect(&standing) != effect(&seen) {
                    return;
                }
                seen = standing;
            }
            Ok(_) => {
                let (reason, effect) = (&restriction.reason, restriction.effect.name());
                tracing::warn!(%entity, %reason, effect, "restricted");
                return;
            }
            Err(error) => {
                tracing::error!(
                    %error, %entity, "a trigger found something and could not restrict it"
                );
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use relais_policy::restriction::Effect;
    use relais_policy::trigger::TriggerKind;
    use relais_store::memory::MemoryOptions;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    #[tokio::test]
    async fn what_a_person_restricts_while_a_trigger_speaks_stands() {
        let store = Store::in_memory(MemoryOptions::new(NOW));
        let entity = Entity::device("contoso", "Printers", [10, 1, 2, 9].into());
        let by_person = Restriction {
            entity: entity.clone(),
            effect: Effect::Refuse,
            reason: "stolen".to_owned(),
            evidence: Vec::new(),
            by: "anna".to_owned(),
            since: NOW,
            until: None,
        };
        let found = Found {
            kind: TriggerKind::Volume,
            entity: entity.clone(),
            effect: Effect::Hold,
            reason: "bulk mail".to_owned(),
            evidence: Vec::new(),
        };
        let door = relais_store::queue::BY_ITSELF;
        let change = EntityChange::Restrict(by_person.clone());
        assert_eq!(store.change_entities(change, door).await, Ok(1));
        // The trigger looked before: nothing was restricted.
        restrict(&store, found.clone(), None, NOW).await;
        assert_eq!(store.restrictions().get(&entity), Some(&by_person));
        // What has ended since it looked is nobody's word: it holds.
        let over = Restriction {
            until: Some(NOW),
            ..by_person
        };
        let change = EntityChange::Restrict(over.clone());
        assert_eq!(store.change_entities(change, door).await, Ok(1));
        let ended = EntityChange::Expire { time: NOW };
        assert_eq!(store.change_entities(ended, door).await, Ok(1));
        restrict(&store, found, Some(over), NOW).await;
        let standing = store.restrictions();
        let standing = standing.get(&entity).expect("it is held");
        assert_eq!((standing.effect, &*standing.by), (Effect::Hold, TRIGGERS));
    }
}
