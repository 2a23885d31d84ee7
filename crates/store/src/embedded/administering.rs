//! The embedded store as a person sees it: list, act, suspend, trace, settings, audit.

use std::sync::Arc;

use relais_policy::document::Document;
use relais_policy::settings::{ResolvedNames, Settings};
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, Transaction};

use super::group::{self, Planned};
use super::readers::{self, Found, Want};
use super::settings_tables::{self, NewAuditEntry};
use super::writer::Writer;
use super::{Embedded, proof_table, restriction_tables, schema, shelf_table};
use crate::bounces::Bounces;
use crate::describe;
use crate::door::Via;
use crate::error::StoreError;
use crate::index::{Choice, Chosen, GIVE_UP, HELD, SlotState, ViewedSlot};
use crate::known::KnownChange;
use crate::proof::{ProofChange, gone};
use crate::queue::{ActResult, Actor, Criteria, ListedMessage, QueueAct, QueueCount, QueuePage};
use crate::restriction::{EntityChange, IgnoredAttempts, LookedThrough, ShownAgain};
use crate::secret::Vault;
use crate::settings::{AuditEntry, ChangeError, CredentialUse, SettingsChange, SettingsVersion};
use crate::shelf::{Shelf, ShelfChange, ShelfEntry};
use crate::suspension::{self, SUSPENSIONS_MAX, Suspension, SuspensionScope};
use crate::trace::{Event, EventKind, RefusedGroup, To};

/// Recipients changed in one transaction: others commit in between.
const ACT_RECIPIENTS_MAX: usize = 500;
/// Messages looked at under one lock of the index, while listing.
const SCAN_VISITS_MAX: usize = 10_000;

impl Embedded {
    pub(crate) async fn list(
        &self,
        criteria: &Criteria,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<QueuePage, StoreError> {
        self.index_complete().await?;
        let limit = limit.min(describe::LIST_MAX);
        let mut views: Vec<(QueueId, Vec<ViewedSlot>)> = Vec::new();
        let mut after = after;
        loop {
            // A block, not `drop(index)`: the guard must be seen to end before the await.
            {
                let index = self.shared.index();
                let wanted = limit - views.len();
                let (found, next) = index.scan(criteria, after, SCAN_VISITS_MAX, wanted);
                views.extend(found.into_iter().map(|id| (id, index.view(id))));
                after = next;
            }
            if after.is_none() || views.len() >= limit {
                break;
            }
            tokio::task::yield_now().await;
        }
        let listed = self.shared.readers.ask(move |connection| {
            let list = |(id, slots)| listed(connection, id, slots).transpose();
            views
                .into_iter()
                .filter_map(list)
                .collect::<Result<Vec<_>, StoreError>>()
        });
        let messages = listed.await?;
        Ok(QueuePage {
            messages,
            next: after,
        })
    }

    pub(crate) async fn count(&self, criteria: &Criteria) -> Result<QueueCount, StoreError> {
        self.index_complete().await?;
        let (mut count, mut after) = (QueueCount::default(), None);
        loop {
            let (found, next) = {
                let index = self.shared.index();
                index.count(criteria, after, SCAN_VISITS_MAX)
            };
            count.messages += found.messages;
            count.recipients += found.recipients;
            count.newest = found.newest.or(count.newest);
            if next.is_none() {
                return Ok(count);
            }
            after = next;
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn act(
        &self,
        act: QueueAct,
        criteria: &Criteria,
        actor: Actor<'_>,
        now: Timestamp,
    ) -> Result<ActResult, StoreError> {
        self.index_complete().await?;
        let mut result = ActResult::default();
        let mut after = None;
        loop {
            let part = ActPart {
                act: act.clone(),
                criteria: criteria.clone(),
                actor: actor.name.to_owned(),
                via: actor.via,
                after,
                now,
                audited: result.changed > 0,
            };
            let done = self.exclusively(move |writer| part.run(writer)).await??;
            result.changed += done.changed;
            result.active += done.active;
            after = done.next;
            if after.is_none() {
                return Ok(result);
            }
        }
    }

    pub(crate) async fn suspend(&self, suspension: Suspension) -> Result<(), StoreError> {
        if self.shared.index().suspended().len() >= SUSPENSIONS_MAX {
            return Err(StoreError::Fault(format!(
                "{SUSPENSIONS_MAX} suspensions are in force already: resume some"
            )));
        }
        let work = move |writer: &mut Writer| {
            writer.transact(|transaction| {
                shelf_table::change(transaction, &suspension.begin())?;
                Ok::<_, StoreError>(((), Vec::new()))
            })?;
            writer.shared.index().suspend(suspension);
            Ok(())
        };
        self.exclusively(work).await?
    }

    pub(crate) async fn resume(
        &self,
        scope: &SuspensionScope,
        actor: Actor<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (scope, change) = (scope.clone(), suspension::end(scope, actor, now));
        let work = move |writer: &mut Writer| {
            let was = writer.shared.index().suspended();
            if !was.iter().any(|one| one.scope == scope) {
                return Ok(false);
            }
            writer.transact(|transaction| {
                shelf_table::change(transaction, &change)?;
                schema::forget_old_suspension(transaction, scope.destination.as_deref())?;
                Ok::<_, StoreError>(((), Vec::new()))
            })?;
            writer.shared.index().resume(&scope);
            writer.shared.bell.ring();
            Ok(true)
        };
        self.exclusively(work).await?
    }

    /// Those whose time is over.
    pub(super) async fn end_suspensions(&self, now: Timestamp) {
        let over = self.shared.index().suspensions_over(now);
        for scope in over {
            // A store that is sealed ends them later.
            let _ = self.resume(&scope, suspension::THE_CLOCK.into(), now).await;
        }
    }

    pub(crate) async fn suspended(&self) -> Result<Vec<Suspension>, StoreError> {
        Ok(self.shared.index().suspended())
    }

    pub(crate) async fn refused(
        &self,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<RefusedGroup>, StoreError> {
        let (databases, feed) = (self.databases.clone(), self.feed.clone());
        self.events_handed_over().await;
        self.blocking(move || {
            feed.iter().for_each(|feed| feed.flush());
            let page = databases.refused(since, limit).map_err(trace_fault)?;
            feed.iter()
                .for_each(|feed| feed.set_aside(page.damaged.clone()));
            Ok(page.groups)
        })
        .await
    }

    pub(crate) async fn change_settings(
        &self,
        change: SettingsChange,
        beside: Option<ShelfChange>,
    ) -> Result<u64, ChangeError> {
        let version = change.expected_version + 1;
        let settings = Settings::build(self.mode, version, change.document.clone())
            .map_err(ChangeError::Invalid)?;
        let in_force = self.settings.clone();
        let work = move |writer: &mut Writer| {
            let before = in_force.load_full();
            let settings = settings.following(&before);
            let version = writer.transact(|transaction| {
                let version = settings_tables::change(transaction, &change)?;
                proof_table::forget(transaction, gone(&before.proofs, &settings))?;
                if let Some(beside) = &beside {
                    shelf_table::change(transaction, beside)?;
                }
                let event = Event {
                    settings_version: Some(version),
                    detail: Some(change.summary.join("; ").into()),
                    ..Event::new(change.time, EventKind::SettingsChanged)
                };
                Ok::<_, ChangeError>((version, vec![event]))
            })?;
            // On the writer's thread, so that snapshots follow each other as versions do.
            in_force.store(Arc::new(settings));
            Ok(version)
        };
        self.exclusively(work).await?
    }

    pub(crate) fn looked_through(&self) -> &LookedThrough {
        &self.looked_through
    }

    pub(crate) async fn change_entities(
        &self,
        change: EntityChange,
        via: Via,
    ) -> Result<usize, StoreError> {
        let in_force = self.restrictions.clone();
        let work = move |writer: &mut Writer| {
            let (concerned, all) = writer.transact(|transaction| {
                let (concerned, events) = restriction_tables::change(transaction, &change, via)?;
                let all = restriction_tables::load(transaction)?;
                Ok::<_, StoreError>(((concerned, all), events))
            })?;
            // On the writer's thread, so that snapshots follow each other as changes do.
            in_force.store(Arc::new(all));
            Ok(concerned)
        };
        self.exclusively(work).await?
    }

    pub(crate) async fn ignore_attempts(
        &self,
        ignored: IgnoredAttempts,
        via: Via,
    ) -> Result<(), StoreError> {
        let work = move |writer: &mut Writer| {
            writer.transact(|transaction| {
                restriction_tables::ignore(transaction, &ignored, via)?;
                Ok::<_, StoreError>(((), Vec::new()))
            })
        };
        self.exclusively(work).await?
    }

    pub(crate) async fn show_attempts_again(
        &self,
        shown: ShownAgain,
        via: Via,
    ) -> Result<bool, StoreError> {
        let work = move |writer: &mut Writer| {
            writer.transact(|transaction| {
                let was_ignored = restriction_tables::show_again(transaction, &shown, via)?;
                Ok::<_, StoreError>((was_ignored, Vec::new()))
            })
        };
        self.exclusively(work).await?
    }

    pub(crate) async fn set_client_names(&self, names: ResolvedNames) -> Result<(), StoreError> {
        let in_force = self.settings.clone();
        let work = move |_: &mut Writer| {
            let settings = in_force.load().with_client_names(Arc::new(names));
            in_force.store(Arc::new(settings));
        };
        self.exclusively(work).await
    }

    pub(crate) async fn change_proof(&self, change: ProofChange) -> Result<bool, StoreError> {
        let in_force = self.settings.clone();
        let work = move |writer: &mut Writer| {
            let settings = in_force.load_full();
            if !change.fits(&settings) {
                return Ok(false);
            }
            let note = change.note();
            writer.transact(|transaction| {
                proof_table::change(transaction, &change, note.as_ref())?;
                let event = note.map(|(_, lines)| change.event(&lines, settings.version));
                Ok::<_, StoreError>(((), event.into_iter().collect()))
            })?;
            in_force.store(Arc::new(settings.with_proof(change.key, change.after)));
            Ok(true)
        };
        self.exclusively(work).await?
    }

    pub(crate) async fn change_known(&self, change: impl KnownChange) -> Result<bool, StoreError> {
        let in_force = self.settings.clone();
        let work = move |writer: &mut Writer| {
            let settings = in_force.load_full();
            if !change.fits(&settings) {
                return Ok(false);
            }
            let shelved = change.shelved()?;
            writer.transact(|transaction| {
                shelf_table::change(transaction, &shelved)?;
                Ok::<_, StoreError>(((), change.events().to_vec()))
            })?;
            in_force.store(Arc::new(change.applied(&settings)));
            Ok(true)
        };
        self.exclusively(work).await?
    }

    pub(crate) async fn note_credential_uses(
        &self,
        uses: Vec<CredentialUse>,
    ) -> Result<(), StoreError> {
        let settings = self.settings();
        let work = move |writer: &mut Writer| {
            writer.transact(|transaction| {
                let exists = |user: &str| settings.credential(user).is_some();
                settings_tables::note_uses(transaction, &uses, exists)?;
                Ok::<_, StoreError>(((), Vec::new()))
            })
        };
        self.exclusively(work).await?
    }

    pub(crate) async fn change_shelf(&self, change: ShelfChange) -> Result<(), StoreError> {
        let work = move |writer: &mut Writer| {
            writer.transact(|transaction| {
                shelf_table::change(transaction, &change)?;
                Ok::<_, StoreError>(((), change.events))
            })
        };
        self.exclusively(work).await?
    }

    pub(crate) async fn shelf(&self, shelf: Shelf) -> Result<Vec<ShelfEntry>, StoreError> {
        let ask = move |connection: &Connection| shelf_table::all(connection, shelf);
        self.shared.readers.ask(ask).await
    }

    pub(crate) async fn shelf_value(
        &self,
        shelf: Shelf,
        key: &str,
    ) -> Result<Option<String>, StoreError> {
        let key = key.to_owned();
        let ask = move |connection: &Connection| shelf_table::one(connection, shelf, &key);
        self.shared.readers.ask(ask).await
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(crate) fn bounces(&self) -> &Bounces {
        &self.bounces
    }

    pub(crate) async fn ignored_attempts(&self) -> Result<Vec<IgnoredAttempts>, StoreError> {
        self.shared.readers.ask(restriction_tables::ignored).await
    }

    pub(crate) async fn credential_uses(&self) -> Result<Vec<CredentialUse>, StoreError> {
        self.shared.readers.ask(settings_tables::uses).await
    }

    pub(crate) async fn settings_versions(
        &self,
        limit: usize,
    ) -> Result<Vec<SettingsVersion>, StoreError> {
        self.shared
            .readers
            .ask(move |connection| settings_tables::versions(connection, limit))
            .await
    }

    pub(crate) async fn settings_document(
        &self,
        version: u64,
    ) -> Result<Option<Document>, StoreError> {
        self.shared
            .readers
            .ask(move |connection| settings_tables::load(connection, version))
            .await
    }

    pub(crate) async fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.shared
            .readers
            .ask(move |connection| settings_tables::audit(connection, limit))
            .await
    }

    pub(crate) async fn verify_audit(&self) -> Result<Option<u64>, StoreError> {
        self.shared.readers.ask(settings_tables::verify_audit).await
    }

    /// Waits until the trace thread was given the events of everything acknowledged before.
    pub(super) async fn events_handed_over(&self) {
        if self.ops.is_some() {
            // Closed: they were handed over at the end.
            let _ = self.exclusively(|_| ()).await;
        }
    }

    /// Waits until the index has everything that was queued at the start.
    pub(super) async fn index_complete(&self) -> Result<(), StoreError> {
        let mut rebuilt = self.rebuilt.clone();
        rebuilt
            .wait_for(|rebuilt| *rebuilt)
            .await
            .map(|_| ())
            .map_err(|_| StoreError::Closed)
    }

    /// Does what may take seconds on a thread that may block, a few at a time.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _permit = self.questions.acquire().await;
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|_| Err(StoreError::Fault("a read was cut off".to_owned())))
    }
}

pub(super) fn trace_fault(error: super::trace_database::TraceDatabaseError) -> StoreError {
    StoreError::Fault(error.to_string())
}

fn listed(
    connection: &Connection,
    id: QueueId,
    slots: Vec<ViewedSlot>,
) -> Result<Option<ListedMessage>, StoreError> {
    let Found::Whole(message) = readers::find(connection, id, Want::FactsOnly)? else {
        return Ok(None);
    };
    let recipients = slots.into_iter().filter_map(|(number, _, state, active)| {
        let recipient = message
            .record
            .recipients
            .get(usize::try_from(number).ok()?)?;
        Some(describe::listed_recipient(
            number,
            recipient,
            (state, active),
            message.reply(number),
        ))
    });
    Ok(Some(describe::listed(
        &message.record.facts,
        recipients.collect(),
    )))
}

pub(super) fn audit(
    transaction: &Transaction<'_>,
    act: &str,
    detail: &[String],
    actor: Actor<'_>,
    time: Timestamp,
) -> Result<(), StoreError> {
    let entry = NewAuditEntry {
        time,
        actor: actor.name,
        via: actor.via,
        act,
        detail,
        settings_version: None,
    };
    settings_tables::append_audit(transaction, &entry).map(|_| ())
}

/// A part of an act, done by the writer.
struct ActPart {
    act: QueueAct,
    criteria: Criteria,
    actor: String,
    via: Via,
    after: Option<QueueId>,
    now: Timestamp,
    /// An earlier part has the audit entry.
    audited: bool,
}

/// What a part did.
struct PartDone {
    changed: u64,
    active: u64,
    next: Option<QueueId>,
}

impl ActPart {
    fn run(self, writer: &mut Writer) -> Result<PartDone, StoreError> {
        writer.shared.health.may_write()?;
        let Self {
            act,
            criteria,
            actor,
            via,
            after,
            now,
            audited,
        } = self;
        let choice = writer
            .shared
            .index()
            .choose(&act, &criteria, after, now, ACT_RECIPIENTS_MAX);
        let done = PartDone {
            changed: choice
                .chosen
                .iter()
                .map(|chosen| chosen.slots.len() as u64)
                .sum(),
            active: choice.active,
            next: choice.next,
        };
        if done.changed == 0 {
            return Ok(done);
        }
        let kind = describe::event_of_act(&act);
        let detail = describe::detail_of_act(&act, &actor);
        apply(writer, choice, kind, &detail, now, |transaction| {
            if audited || act.follows_restrictions() {
                return Ok(());
            }
            let lines = describe::criteria_lines(&criteria);
            let actor = Actor { name: &actor, via };
            audit(transaction, describe::act_name(&act), &lines, actor, now)
        })?;
        Ok(done)
    }
}

/// Holds what is left of a message that cannot be delivered. With a damaged row it never expires:
/// nobody knows whom to tell.
pub(super) fn hold_damaged(
    writer: &mut Writer,
    queue_id: QueueId,
    detail: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let criteria = Criteria {
        queue_id: Some(queue_id),
        ..Criteria::default()
    };
    let act = QueueAct::Delete;
    let mut choice = writer
        .shared
        .index()
        .choose(&act, &criteria, None, now, ACT_RECIPIENTS_MAX);
    let forever = detail == describe::ROW_DAMAGED;
    let index = writer.shared.index();
    for chosen in &mut choice.chosen {
        for (number, _, state, _) in index.view(chosen.queue_id) {
            let slot = chosen
                .slots
                .iter_mut()
                .find(|(chosen, _)| *chosen == number);
            let expires = if forever { i64::MAX } else { state.expires };
            let flags = (state.flags & !GIVE_UP) | HELD;
            let held = SlotState {
                expires,
                flags,
                ..state
            };
            slot.into_iter().for_each(|(_, after)| *after = Some(held));
        }
    }
    drop(index);
    apply(
        writer,
        choice,
        Some(EventKind::RecipientHeld),
        detail,
        now,
        |_| Ok(()),
    )
}

/// Makes a choice durable, then true; or takes it back.
fn apply(
    writer: &mut Writer,
    choice: Choice,
    kind: Option<EventKind>,
    detail: &str,
    now: Timestamp,
    also: impl FnOnce(&Transaction<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let plans: Vec<(Chosen, Planned)> = {
        let index = writer.shared.index();
        let plan = |chosen: Chosen| {
            let planned = group::planned(chosen.queue_id, chosen.slots.clone(), &index);
            (chosen, planned)
        };
        choice.chosen.into_iter().map(plan).collect()
    };
    let keys = std::mem::take(writer.keys());
    let written = writer.transact(|transaction| {
        let (mut files, mut events) = (Vec::new(), Vec::new());
        for (chosen, planned) in &plans {
            if let Some(kind) = kind.filter(|_| chosen.token != 0) {
                events.extend(events_of(transaction, chosen, kind, detail, now)?);
            }
            let gone = group::change(transaction, chosen.queue_id, planned, &[], &keys, None);
            files.extend(gone.map_err(schema::fault)?);
        }
        also(transaction)?;
        Ok::<_, StoreError>((files, events))
    });
    *writer.keys() = keys;
    let mut index = writer.shared.index();
    for (chosen, _) in &plans {
        match (&written, chosen.token) {
            (Ok(_), 0) => index.finish_mark(chosen.queue_id, &chosen.slots),
            (Ok(_), token) => {
                index.finish_settle(chosen.queue_id, token, &chosen.slots);
            }
            (Err(_), 0) => {}
            (Err(_), token) => {
                let numbers: Vec<u32> = chosen.slots.iter().map(|(number, _)| *number).collect();
                index.abandon_settle(token, &numbers);
                index.release_lease(token);
            }
        }
    }
    drop(index);
    writer
        .shared
        .cache
        .remove(plans.iter().map(|(chosen, _)| chosen.queue_id));
    writer.shared.bell.ring();
    written?
        .iter()
        .for_each(|name| writer.shared.spool.remove(name));
    Ok(())
}

/// One event for each recipient chosen; with a damaged row, with what is known.
fn events_of(
    connection: &Connection,
    chosen: &Chosen,
    kind: EventKind,
    detail: &str,
    now: Timestamp,
) -> Result<Vec<Event>, StoreError> {
    let found = readers::find(connection, chosen.queue_id, Want::FactsOnly)?;
    let event = |(number, _): &(u32, Option<SlotState>)| {
        let bare = || Event {
            queue_id: Some(chosen.queue_id),
            to: Some(To::One("".into())),
            detail: Some(detail.into()),
            ..Event::new(now, kind)
        };
        let Found::Whole(message) = &found else {
            return bare();
        };
        let number = usize::try_from(*number).unwrap_or(usize::MAX);
        message
            .record
            .recipients
            .get(number)
            .map_or_else(bare, |to| {
                describe::recipient_event(now, kind, &message.record.facts, to, detail.to_owned())
            })
    };
    Ok(chosen.slots.iter().map(event).collect())
}
