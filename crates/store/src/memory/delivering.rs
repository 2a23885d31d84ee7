//! The in-memory store as delivery sees it: what is due, leases, settlements.

use std::future::pending;
use std::sync::Arc;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use super::{
    Died, Doubtful, Fault, Memory, State, Stored, StoredContent, StoredRecipient, apply, die,
    enter, note_reply, stored_of,
};
use crate::describe;
use crate::error::{SettleError, StoreError};
use crate::index::{Grant, HELD, Resolved, SlotState};
use crate::queue::{
    Content, DueQueue, Lease, Leased, MessageFacts, QueueKey, Settlement, SpooledContent,
    WaitingQueue,
};
use crate::trace::EventKind;

impl Memory {
    pub(crate) async fn due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueQueue>, StoreError> {
        let Ok(mut state) = self.alive() else {
            return pending().await;
        };
        Ok(state.index.due(now, limit))
    }

    pub(crate) async fn waiting(&self, now: Timestamp) -> Result<Vec<WaitingQueue>, StoreError> {
        let Ok(state) = self.alive() else {
            return pending().await;
        };
        Ok(state.index.waiting(now))
    }

    pub(crate) async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let Ok(mut state) = self.alive() else {
            return pending().await;
        };
        Ok(state.index.next_due(now))
    }

    pub(crate) async fn lease(
        &self,
        key: &QueueKey,
        messages_max: usize,
        recipients_max: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Leased>, StoreError> {
        let messages_max = messages_max.min(describe::LEASE_MESSAGES_MAX);
        let Ok(mut state) = self.alive() else {
            return pending().await;
        };
        let grants = state
            .index
            .lease(key, messages_max, recipients_max, now, until);
        Ok(self.describe_all(&mut state, grants, now, until, true))
    }

    pub(crate) async fn lease_expired(
        &self,
        messages_max: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Leased>, StoreError> {
        let messages_max = messages_max.min(describe::LEASE_MESSAGES_MAX);
        let Ok(mut state) = self.alive() else {
            return pending().await;
        };
        let grants = state.index.lease_expired(messages_max, now, until);
        Ok(self.describe_all(&mut state, grants, now, until, false))
    }

    pub(crate) async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<(), SettleError> {
        let Ok(mut state) = self.alive() else {
            return pending().await;
        };
        let renewed = state.index.renew(lease.queue_id, lease.token, until);
        let lost = SettleError::LeaseLost {
            queue_id: lease.queue_id,
        };
        if renewed { Ok(()) } else { Err(lost) }
    }

    pub(crate) async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        match self.try_settle(settlement) {
            Ok(answer) => answer,
            Err(Died) => pending().await,
        }
    }

    fn try_settle(&self, settlement: Settlement) -> Result<Result<(), SettleError>, Died> {
        let mut state = self.alive()?;
        let Settlement {
            lease,
            changes,
            events,
            notices,
        } = settlement;
        if let Err(error) = self.health.may_write() {
            return Ok(Err(error.into()));
        }
        let numbers: Vec<u32> = changes.iter().map(|(number, _)| *number).collect();
        if !state
            .index
            .begin_settle(lease.queue_id, lease.token, &numbers)
        {
            return Ok(Err(SettleError::LeaseLost {
                queue_id: lease.queue_id,
            }));
        }
        notices.iter().for_each(|notice| notice.content.keep());
        let stored: Vec<Stored> = notices.iter().map(stored_of).collect();
        let mut events = events;
        events.extend(notices.into_iter().flat_map(|notice| notice.events));
        let notices = stored;
        let resolved = state.index.resolve(lease.queue_id, &changes);
        let fault = state.faults.draw();
        match fault {
            Some(Fault::DiesBefore) => return Err(die(&mut state)),
            Some(Fault::Fails) => {
                state.index.abandon_settle(lease.token, &numbers);
                state.doubtful.push(Doubtful {
                    messages: notices,
                    settled: Some((lease.queue_id, resolved)),
                    events,
                });
                let because = self.seal();
                return Ok(Err(StoreError::Sealed { because }.into()));
            }
            Some(Fault::DiesAfter) | None => {}
        }
        #[cfg(feature = "broken-twins")]
        state.note_write(None);
        for (number, change) in &changes {
            note_reply(&mut state.durable, lease.queue_id, *number, change);
        }
        let content = apply(&mut state.durable, lease.queue_id, &resolved);
        let rings = !notices.is_empty() || resolved.iter().any(|(_, state)| state.is_some());
        for notice in notices {
            enter(&mut state, notice);
        }
        if fault == Some(Fault::DiesAfter) {
            state.durable.events.extend(events);
            return Err(die(&mut state));
        }
        state
            .index
            .finish_settle(lease.queue_id, lease.token, &resolved);
        self.publish(&mut state, events);
        drop(state);
        self.discard(content);
        if rings {
            self.bell.ring();
        }
        Ok(Ok(()))
    }

    fn describe_all(
        &self,
        state: &mut State,
        grants: Vec<Grant>,
        now: Timestamp,
        until: Timestamp,
        needs_content: bool,
    ) -> Vec<Leased> {
        let mut all = Vec::with_capacity(grants.len());
        for grant in grants {
            let Some(stored) = state.durable.messages.get(&grant.queue_id.as_i64()) else {
                state.index.remove_message(grant.queue_id);
                continue;
            };
            let content = self.content_of(&stored.content);
            if content.is_none() && needs_content {
                self.hold_damaged(state, &grant, now);
                continue;
            }
            // Who expires or is given up goes even without its content.
            let content = content.unwrap_or_else(|| Content::Inline(Arc::from([])));
            let recipient = |number| {
                let stored = stored.recipients.get(&number)?;
                Some((stored.recipient.clone(), stored.last_reply.clone()))
            };
            all.push(describe::leased(
                &grant,
                until,
                stored.facts.clone(),
                content,
                recipient,
            ));
        }
        all
    }

    pub(crate) async fn original(
        &self,
        queue_id: QueueId,
    ) -> Result<Option<(Arc<MessageFacts>, Content)>, StoreError> {
        let Ok(state) = self.alive() else {
            return pending().await;
        };
        let stored = state.durable.messages.get(&queue_id.as_i64());
        let both = stored.and_then(|one| {
            let content = self.content_of(&one.content)?;
            Some((Arc::clone(&one.facts), content))
        });
        Ok(both)
    }

    fn content_of(&self, content: &StoredContent) -> Option<Content> {
        match content {
            StoredContent::Inline(octets) => Some(Content::Inline(octets.clone())),
            StoredContent::Spooled {
                name,
                size,
                checksum,
            } => {
                self.spool.open(name, *size).ok()?;
                let file = Arc::new(self.spool.kept(name.clone()));
                let (name, size, checksum) = (name.clone(), *size, *checksum);
                Some(Content::Spooled(SpooledContent {
                    name,
                    size,
                    checksum,
                    file,
                }))
            }
        }
    }

    fn hold_damaged(&self, state: &mut State, grant: &Grant, now: Timestamp) {
        let hold = |(number, state): &(u32, SlotState)| {
            (
                *number,
                Some(SlotState {
                    flags: state.flags | HELD,
                    ..*state
                }),
            )
        };
        let resolved: Vec<Resolved> = grant.slots.iter().map(hold).collect();
        let numbers: Vec<u32> = resolved.iter().map(|(number, _)| *number).collect();
        state
            .index
            .begin_settle(grant.queue_id, grant.token, &numbers);
        apply(&mut state.durable, grant.queue_id, &resolved);
        state
            .index
            .finish_settle(grant.queue_id, grant.token, &resolved);
        let Some(stored) = state.durable.messages.get(&grant.queue_id.as_i64()) else {
            return;
        };
        let recipients = numbers
            .iter()
            .filter_map(|number| stored.recipients.get(number));
        let held = |stored_recipient: &StoredRecipient| {
            let detail = describe::CONTENT_MISSING.to_owned();
            let to = &stored_recipient.recipient;
            describe::recipient_event(now, EventKind::RecipientHeld, &stored.facts, to, detail)
        };
        let events = recipients.map(held).collect();
        self.publish(state, events);
    }
}
