//! The in-memory store, administered: list, act, suspend, trace, settings, upkeep.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use relais_policy::document::Document;
use relais_policy::restriction::Restrictions;
use relais_policy::settings::{ResolvedNames, Settings};
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, Transaction};
use tokio::sync::broadcast;

use super::{Died, Fault, Memory, State, apply};
use crate::bounces::Bounces;
use crate::describe;
use crate::disk::Disk;
use crate::door::Via;
use crate::embedded::proof_table;
use crate::embedded::restriction_tables;
use crate::embedded::settings_tables::{self, NewAuditEntry};
use crate::embedded::shelf_table;
use crate::error::StoreError;
use crate::index::Chosen;
use crate::known::KnownChange;
use crate::proof::{ProofChange, gone};
use crate::queue::{ActResult, Actor, Criteria, ListedMessage, QueueAct, QueueCount, QueuePage};
use crate::restriction::{EntityChange, IgnoredAttempts, LookedThrough, ShownAgain};
use crate::secret::Vault;
use crate::settings::{AuditEntry, ChangeError, CredentialUse, SettingsChange, SettingsVersion};
use crate::shelf::{Shelf, ShelfChange, ShelfEntry};
use crate::suspension::{self, Suspension, SuspensionScope};
use crate::trace::{Event, EventKind, RefusedGroup};

/// Recipients changed in one write.
const ACT_RECIPIENTS_MAX: usize = 500;

impl Memory {
    pub(crate) async fn list(
        &self,
        criteria: &Criteria,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<QueuePage, StoreError> {
        let state = self.state();
        let limit = limit.min(describe::LIST_MAX);
        let (found, next) = state.index.scan(criteria, after, usize::MAX, limit);
        let found = found.into_iter();
        let messages = found.filter_map(|id| listed(&state, id)).collect();
        Ok(QueuePage { messages, next })
    }

    pub(crate) fn count(&self, criteria: &Criteria) -> QueueCount {
        self.state().index.count(criteria, None, usize::MAX).0
    }

    pub(crate) async fn act(
        &self,
        act: QueueAct,
        criteria: &Criteria,
        actor: Actor<'_>,
        now: Timestamp,
    ) -> Result<ActResult, StoreError> {
        match self.try_act(&act, criteria, actor, now) {
            Ok(answer) => answer,
            Err(Died) => pending().await,
        }
    }

    fn try_act(
        &self,
        act: &QueueAct,
        criteria: &Criteria,
        actor: Actor<'_>,
        now: Timestamp,
    ) -> Result<Result<ActResult, StoreError>, Died> {
        let mut state = self.alive()?;
        let mut result = ActResult::default();
        let mut after = None;
        loop {
            if let Err(error) = self.health.may_write() {
                return Ok(Err(error));
            }
            let choice = state
                .index
                .choose(act, criteria, after, now, ACT_RECIPIENTS_MAX);
            result.active += choice.active;
            let is_told = !act.follows_restrictions() && result.changed == 0;
            if !choice.chosen.is_empty() && is_told {
                let name = describe::act_name(act);
                let lines = describe::criteria_lines(criteria);
                if let Err(error) = audit(&mut state, name, &lines, actor, now) {
                    return Ok(Err(error));
                }
            }
            match state.faults.draw() {
                Some(Fault::Fails) => {
                    for chosen in &choice.chosen {
                        let numbers: Vec<u32> = chosen.slots.iter().map(|(n, _)| *n).collect();
                        state.index.abandon_settle(chosen.token, &numbers);
                        state.index.release_lease(chosen.token);
                    }
                    let because = self.seal();
                    return Ok(Err(StoreError::Sealed { because }));
                }
                Some(Fault::DiesBefore | Fault::DiesAfter) => {
                    state.dead = true;
                    return Err(Died);
                }
                None => {}
            }
            for chosen in choice.chosen {
                result.changed += chosen.slots.len() as u64;
                self.act_on(&mut state, act, &chosen, actor.name, now);
            }
            after = choice.next;
            if after.is_none() {
                break;
            }
        }
        drop(state);
        self.bell.ring();
        Ok(Ok(result))
    }

    fn act_on(
        &self,
        state: &mut State,
        act: &QueueAct,
        chosen: &Chosen,
        actor: &str,
        now: Timestamp,
    ) {
        let kind = describe::event_of_act(act).filter(|_| chosen.token != 0);
        let mut events = Vec::new();
        if let (Some(kind), Some(stored)) =
            (kind, state.durable.messages.get(&chosen.queue_id.as_i64()))
        {
            let recipients = chosen
                .slots
                .iter()
                .filter_map(|(n, _)| stored.recipients.get(n));
            events.extend(recipients.map(|recipient| {
                let (facts, to) = (&stored.facts, &recipient.recipient);
                describe::recipient_event(now, kind, facts, to, describe::detail_of_act(act, actor))
            }));
        }
        let content = apply(&mut state.durable, chosen.queue_id, &chosen.slots);
        if chosen.token == 0 {
            state.index.finish_mark(chosen.queue_id, &chosen.slots);
        } else {
            state
                .index
                .finish_settle(chosen.queue_id, chosen.token, &chosen.slots);
        }
        self.publish(state, events);
        self.discard(content);
    }

    pub(crate) async fn suspend(&self, suspension: Suspension) -> Result<(), StoreError> {
        self.change_shelf(suspension.begin()).await?;
        self.state().index.suspend(suspension);
        Ok(())
    }

    pub(crate) async fn resume(
        &self,
        scope: &SuspensionScope,
        actor: Actor<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let suspended = self.state().index.suspended();
        if !suspended.iter().any(|one| one.scope == *scope) {
            return Ok(false);
        }
        self.change_shelf(suspension::end(scope, actor, now))
            .await?;
        self.state().index.resume(scope);
        self.bell.ring();
        Ok(true)
    }

    pub(crate) async fn suspended(&self) -> Result<Vec<Suspension>, StoreError> {
        Ok(self.state().index.suspended())
    }

    pub(crate) fn live(&self) -> broadcast::Receiver<Arc<[Event]>> {
        self.live.subscribe()
    }

    pub(crate) async fn refused(
        &self,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<RefusedGroup>, StoreError> {
        let state = self.state();
        let mut groups: Vec<RefusedGroup> = Vec::new();
        let mut places = HashMap::new();
        let refused = |event: &&Event| event.status() == Some("refused") && event.time >= since;
        for event in state.durable.events.iter().rev().filter(refused) {
            let Some(client) = &event.client else {
                continue;
            };
            let key = (client.address, event.token.clone());
            if let Some(place) = places.get(&key).copied() {
                let group: &mut RefusedGroup = &mut groups[place];
                group.count += 1;
            } else if groups.len() < limit {
                places.insert(key, groups.len());
                let address = client.address;
                groups.push(RefusedGroup {
                    last: event.clone(),
                    address,
                    count: 1,
                });
            }
        }
        Ok(groups)
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    pub(crate) async fn change_settings(
        &self,
        change: SettingsChange,
        beside: Option<ShelfChange>,
    ) -> Result<u64, ChangeError> {
        let version = change.expected_version + 1;
        let mut state = self.state();
        self.health.may_write()?;
        let settings = Settings::build(self.mode, version, change.document.clone())
            .map_err(ChangeError::Invalid)?;
        let before = self.settings.load_full();
        let settings = settings.following(&before);
        let transaction = begin(tables(&mut state)?)?;
        let version = settings_tables::change(&transaction, &change)?;
        proof_table::forget(&transaction, gone(&before.proofs, &settings))?;
        if let Some(beside) = &beside {
            shelf_table::change(&transaction, beside)?;
        }
        transaction.commit().map_err(fault)?;
        self.settings.store(Arc::new(settings));
        let event = Event {
            settings_version: Some(version),
            detail: Some(change.summary.join("; ").into()),
            ..Event::new(change.time, EventKind::SettingsChanged)
        };
        self.publish(&mut state, vec![event]);
        Ok(version)
    }

    pub(crate) fn restrictions(&self) -> Arc<Restrictions> {
        self.restrictions.load_full()
    }

    pub(crate) fn looked_through(&self) -> &LookedThrough {
        &self.looked_through
    }

    pub(crate) async fn change_entities(
        &self,
        change: EntityChange,
        via: Via,
    ) -> Result<usize, StoreError> {
        let mut state = self.state();
        self.health.may_write()?;
        let transaction = begin(tables(&mut state)?)?;
        let (concerned, events) = restriction_tables::change(&transaction, &change, via)?;
        let all = restriction_tables::load(&transaction)?;
        transaction.commit().map_err(fault)?;
        self.restrictions.store(Arc::new(all));
        self.publish(&mut state, events);
        Ok(concerned)
    }

    pub(crate) async fn ignore_attempts(
        &self,
        ignored: IgnoredAttempts,
        via: Via,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        self.health.may_write()?;
        let transaction = begin(tables(&mut state)?)?;
        restriction_tables::ignore(&transaction, &ignored, via)?;
        transaction.commit().map_err(fault)
    }

    pub(crate) async fn show_attempts_again(
        &self,
        shown: ShownAgain,
        via: Via,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        self.health.may_write()?;
        let transaction = begin(tables(&mut state)?)?;
        let was_ignored = restriction_tables::show_again(&transaction, &shown, via)?;
        transaction.commit().map_err(fault)?;
        Ok(was_ignored)
    }

    pub(crate) async fn change_known(&self, change: impl KnownChange) -> Result<bool, StoreError> {
        let mut state = self.state();
        self.health.may_write()?;
        let settings = self.settings.load_full();
        if !change.fits(&settings) {
            return Ok(false);
        }
        let transaction = begin(tables(&mut state)?)?;
        shelf_table::change(&transaction, &change.shelved()?)?;
        transaction.commit().map_err(fault)?;
        self.settings.store(Arc::new(change.applied(&settings)));
        self.publish(&mut state, change.events().to_vec());
        Ok(true)
    }

    pub(crate) async fn change_shelf(&self, change: ShelfChange) -> Result<(), StoreError> {
        let mut state = self.state();
        self.health.may_write()?;
        let transaction = begin(tables(&mut state)?)?;
        shelf_table::change(&transaction, &change)?;
        transaction.commit().map_err(fault)?;
        self.publish(&mut state, change.events);
        Ok(())
    }

    pub(crate) async fn shelf(&self, shelf: Shelf) -> Result<Vec<ShelfEntry>, StoreError> {
        shelf_table::all(tables(&mut self.state())?, shelf)
    }

    pub(crate) async fn shelf_value(
        &self,
        shelf: Shelf,
        key: &str,
    ) -> Result<Option<String>, StoreError> {
        shelf_table::one(tables(&mut self.state())?, shelf, key)
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(crate) fn bounces(&self) -> &Bounces {
        &self.bounces
    }

    pub(crate) async fn ignored_attempts(&self) -> Result<Vec<IgnoredAttempts>, StoreError> {
        restriction_tables::ignored(tables(&mut self.state())?)
    }

    pub(crate) async fn set_client_names(&self, names: ResolvedNames) -> Result<(), StoreError> {
        // Under the lock, so that no change comes between.
        let _state = self.state();
        let settings = self.settings.load().with_client_names(Arc::new(names));
        self.settings.store(Arc::new(settings));
        Ok(())
    }

    pub(crate) async fn change_proof(&self, change: ProofChange) -> Result<bool, StoreError> {
        let mut state = self.state();
        self.health.may_write()?;
        let settings = self.settings.load_full();
        if !change.fits(&settings) {
            return Ok(false);
        }
        let note = change.note();
        let transaction = begin(tables(&mut state)?)?;
        proof_table::change(&transaction, &change, note.as_ref())?;
        transaction.commit().map_err(fault)?;
        let event = note.map(|(_, lines)| change.event(&lines, settings.version));
        self.publish(&mut state, event.into_iter().collect());
        let settings = settings.with_proof(change.key, change.after);
        self.settings.store(Arc::new(settings));
        Ok(true)
    }

    pub(crate) async fn note_credential_uses(
        &self,
        uses: Vec<CredentialUse>,
    ) -> Result<(), StoreError> {
        let settings = self.settings();
        let mut state = self.state();
        self.health.may_write()?;
        let transaction = begin(tables(&mut state)?)?;
        let exists = |user: &str| settings.credential(user).is_some();
        settings_tables::note_uses(&transaction, &uses, exists)?;
        transaction.commit().map_err(fault)
    }

    pub(crate) async fn credential_uses(&self) -> Result<Vec<CredentialUse>, StoreError> {
        settings_tables::uses(tables(&mut self.state())?)
    }

    pub(crate) async fn settings_versions(
        &self,
        limit: usize,
    ) -> Result<Vec<SettingsVersion>, StoreError> {
        settings_tables::versions(tables(&mut self.state())?, limit)
    }

    pub(crate) async fn settings_document(
        &self,
        version: u64,
    ) -> Result<Option<Document>, StoreError> {
        settings_tables::load(tables(&mut self.state())?, version)
    }

    pub(crate) async fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        settings_tables::audit(tables(&mut self.state())?, limit)
    }

    pub(crate) async fn verify_audit(&self) -> Result<Option<u64>, StoreError> {
        settings_tables::verify_audit(tables(&mut self.state())?)
    }

    pub(crate) async fn maintain(&self, now: Timestamp, steady: Timestamp) {
        let restrictions = self.restrictions.load_full();
        if restrictions.iter().any(|one| one.is_over(steady)) {
            // A store that is sealed forgets them later.
            let _ = self
                .change_entities(
                    EntityChange::Expire { time: steady },
                    crate::queue::BY_ITSELF.into(),
                )
                .await;
        }
        let over = self.state().index.suspensions_over(steady);
        for scope in over {
            let clock = suspension::THE_CLOCK.into();
            let _ = self.resume(&scope, clock, steady).await;
        }
        let mut state = self.state();
        let free = self.free_octets().unwrap_or(0);
        self.health.set_no_room(free < self.disk_reserve);
        if self.disk.syncs_work() {
            state.doubtful.clear();
            self.health.unseal();
        }
        state.index.sweep_queues();
        state.index.due(now, 0);
    }

    pub(crate) fn free_octets(&self) -> Option<u64> {
        self.disk.free_octets(std::path::Path::new("")).ok()
    }

    pub(crate) fn unhealthy(&self) -> Option<String> {
        self.health.unhealthy()
    }

    pub(crate) async fn close(&self, _within: Duration) {
        self.health.close();
    }
}

fn listed(state: &State, id: QueueId) -> Option<ListedMessage> {
    let stored = state.durable.messages.get(&id.as_i64())?;
    let recipients = state
        .index
        .view(id)
        .into_iter()
        .filter_map(|(number, _, slot, active)| {
            let stored = stored.recipients.get(&number)?;
            let last_reply = stored.last_reply.as_deref();
            Some(describe::listed_recipient(
                number,
                &stored.recipient,
                (slot, active),
                last_reply,
            ))
        });
    Some(describe::listed(&stored.facts, recipients.collect()))
}

fn tables(state: &mut State) -> Result<&mut Connection, StoreError> {
    state.durable.tables.as_mut().ok_or(StoreError::Closed)
}

fn begin(tables: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    tables.transaction().map_err(fault)
}

fn audit(
    state: &mut State,
    act: &str,
    detail: &[String],
    actor: Actor<'_>,
    time: Timestamp,
) -> Result<(), StoreError> {
    let transaction = begin(tables(state)?)?;
    let entry = NewAuditEntry {
        time,
        actor: actor.name,
        via: actor.via,
        act,
        detail,
        settings_version: None,
    };
    settings_tables::append_audit(&transaction, &entry)?;
    transaction.commit().map_err(fault)
}

fn fault(error: rusqlite::Error) -> StoreError {
    StoreError::Fault(error.to_string())
}
