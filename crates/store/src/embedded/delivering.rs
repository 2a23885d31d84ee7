//! The embedded store as delivery sees it: what is due, leases, settlements.

use std::sync::Arc;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::operation::{Settle, Work};
use super::readers::{self, Found, FoundContent, FoundMessage, Want};
use super::writer::{Op, Shared};
use super::{Embedded, administering, prepare};
use crate::describe;
use crate::error::{SettleError, StoreError};
use crate::index::Grant;
use crate::queue::{
    Content, DueQueue, Lease, Leased, MessageFacts, QueueKey, Settlement, SpooledContent,
    WaitingQueue,
};

/// A grant with its message, or why it cannot be had.
enum Fetched {
    Leased(Box<Leased>),
    /// The row or the spool file: hold what is left of it.
    Damaged(QueueId, &'static str),
    /// There is no row.
    Gone(QueueId),
}

/// What a message without its content is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Missing {
    /// Not for an attempt.
    Held,
    /// To expire, or be given up, it needs none.
    Tolerated,
}

impl Embedded {
    pub(crate) async fn due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueQueue>, StoreError> {
        Ok(self.shared.index().due(now, limit))
    }

    pub(crate) async fn waiting(&self, now: Timestamp) -> Result<Vec<WaitingQueue>, StoreError> {
        Ok(self.shared.index().waiting(now))
    }

    pub(crate) async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.shared.index().next_due(now))
    }

    pub(crate) async fn lease(
        &self,
        key: &QueueKey,
        messages_max: usize,
        recipients_max: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Leased>, StoreError> {
        if self.ops.is_none() {
            return Ok(Vec::new());
        }
        let messages_max = messages_max.min(describe::LEASE_MESSAGES_MAX);
        let grants = self
            .shared
            .index()
            .lease(key, messages_max, recipients_max, now, until);
        self.describe_all(grants, now, until, Missing::Held).await
    }

    pub(crate) async fn lease_expired(
        &self,
        messages_max: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Leased>, StoreError> {
        if self.ops.is_none() {
            return Ok(Vec::new());
        }
        let messages_max = messages_max.min(describe::LEASE_MESSAGES_MAX);
        let grants = self.shared.index().lease_expired(messages_max, now, until);
        self.describe_all(grants, now, until, Missing::Tolerated)
            .await
    }

    pub(crate) async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<(), SettleError> {
        if self
            .shared
            .index()
            .renew(lease.queue_id, lease.token, until)
        {
            return Ok(());
        }
        Err(SettleError::LeaseLost {
            queue_id: lease.queue_id,
        })
    }

    pub(crate) async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        let Settlement {
            lease,
            changes,
            events,
            notices,
        } = settlement;
        self.shared.health.may_write()?;
        let ops = self.ops.as_ref().ok_or(StoreError::Closed)?;
        let mut told = events;
        let mut prepared = Vec::with_capacity(notices.len());
        for notice in notices {
            let (notice, notice_told) = prepare(notice);
            prepared.push(notice);
            told.extend(notice_told);
        }
        let (reply, answer) = oneshot::channel();
        // First the place in the line, then the mark: nothing is marked for ever if this future is
        // dropped while it waits.
        let place = ops.place().await?;
        let numbers: Vec<u32> = changes.iter().map(|(number, _)| *number).collect();
        if !self
            .shared
            .index()
            .begin_settle(lease.queue_id, lease.token, &numbers)
        {
            return Err(SettleError::LeaseLost {
                queue_id: lease.queue_id,
            });
        }
        place.take(Op::Work(Work::Settle(Box::new(Settle {
            lease,
            changes,
            told,
            notices: prepared,
            reply,
        }))))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) async fn original(
        &self,
        queue_id: QueueId,
    ) -> Result<Option<(Arc<MessageFacts>, Content)>, StoreError> {
        let shared = self.shared.clone();
        let find = move |connection: &Connection| {
            let Found::Whole(message) = readers::find(connection, queue_id, Want::Content)? else {
                return Ok(None);
            };
            let content = content_of(&shared, &message);
            Ok(content.map(|content| (Arc::new(message.record.facts.clone()), content)))
        };
        self.shared.readers.ask(find).await
    }

    /// Adds facts and content to grants: from memory where they are fresh, from the disk else.
    async fn describe_all(
        &self,
        grants: Vec<Grant>,
        now: Timestamp,
        until: Timestamp,
        missing_content: Missing,
    ) -> Result<Vec<Leased>, StoreError> {
        let mut all = Vec::with_capacity(grants.len());
        let mut missing = Vec::new();
        for grant in grants {
            match fresh(&self.shared, &grant, until) {
                Some(leased) => all.push(leased),
                None => missing.push(grant),
            }
        }
        if missing.is_empty() {
            return Ok(all);
        }
        match self.fetch(missing, now, until, missing_content).await {
            Ok(fetched) => all.extend(fetched),
            Err(error) if all.is_empty() => return Err(error),
            Err(error) => tracing::warn!(%error, "messages due could not be read"),
        }
        all.sort_by_key(|leased| leased.lease.token);
        Ok(all)
    }

    async fn fetch(
        &self,
        grants: Vec<Grant>,
        now: Timestamp,
        until: Timestamp,
        missing_content: Missing,
    ) -> Result<Vec<Leased>, StoreError> {
        let shared = self.shared.clone();
        let tokens: Vec<u64> = grants.iter().map(|grant| grant.token).collect();
        let fetched = self.shared.readers.ask(move |connection| {
            let fetch = |grant: &Grant| {
                let found = readers::find(connection, grant.queue_id, Want::Content)?;
                Ok(fetched(&shared, grant, until, missing_content, found))
            };
            grants
                .iter()
                .map(fetch)
                .collect::<Result<Vec<_>, StoreError>>()
        });
        let fetched = match fetched.await {
            Ok(fetched) => fetched,
            Err(error) => {
                let mut index = self.shared.index();
                tokens.iter().for_each(|token| index.release_lease(*token));
                return Err(error);
            }
        };
        let mut all = Vec::with_capacity(fetched.len());
        for (fetched, token) in fetched.into_iter().zip(tokens) {
            match fetched {
                Fetched::Leased(leased) => all.push(*leased),
                Fetched::Damaged(queue_id, detail) => {
                    self.shared.index().release_lease(token);
                    self.hold_damaged(queue_id, detail, now).await?;
                }
                Fetched::Gone(queue_id) => {
                    tracing::error!(%queue_id, "a message has no row: forgotten");
                    self.shared.index().remove_message(queue_id);
                }
            }
        }
        Ok(all)
    }

    /// A message that cannot be delivered as it is waits for a person; the others go on.
    async fn hold_damaged(
        &self,
        queue_id: QueueId,
        detail: &'static str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        tracing::error!(%queue_id, detail, "a message is held");
        let held = self
            .exclusively(move |writer| administering::hold_damaged(writer, queue_id, detail, now));
        held.await?
    }
}

/// A lease on a message that is still in memory.
fn fresh(shared: &Shared, grant: &Grant, until: Timestamp) -> Option<Leased> {
    // A recipient that was tried has a last reply, which is on the disk.
    if grant.slots.iter().any(|(_, state)| state.attempts > 0) {
        return None;
    }
    let message = shared.cache.get(grant.queue_id)?;
    let recipient = |number: u32| {
        let recipient = message.recipients.get(usize::try_from(number).ok()?)?;
        Some((recipient.clone(), None))
    };
    let (facts, content) = (message.facts.clone(), message.content.clone());
    Some(describe::leased(grant, until, facts, content, recipient))
}

fn fetched(
    shared: &Arc<Shared>,
    grant: &Grant,
    until: Timestamp,
    missing_content: Missing,
    found: Found,
) -> Fetched {
    let message = match found {
        Found::Whole(message) => *message,
        Found::Damaged => return Fetched::Damaged(grant.queue_id, describe::ROW_DAMAGED),
        Found::Nothing => return Fetched::Gone(grant.queue_id),
    };
    let content = match content_of(shared, &message) {
        Some(content) => content,
        None if missing_content == Missing::Tolerated => Content::Inline(Arc::from([])),
        None => return Fetched::Damaged(grant.queue_id, describe::CONTENT_MISSING),
    };
    let recipient = |number: u32| {
        let recipient = message
            .record
            .recipients
            .get(usize::try_from(number).ok()?)?;
        Some((recipient.clone(), message.reply(number).map(Arc::from)))
    };
    let facts = Arc::new(message.record.facts.clone());
    let leased = describe::leased(grant, until, facts, content, recipient);
    if leased.recipients.len() != grant.slots.len() {
        return Fetched::Damaged(grant.queue_id, describe::ROW_DAMAGED);
    }
    Fetched::Leased(Box::new(leased))
}

fn content_of(shared: &Arc<Shared>, message: &FoundMessage) -> Option<Content> {
    match &message.content {
        FoundContent::Absent => None,
        FoundContent::Inline(octets) => Some(Content::Inline(octets.clone())),
        FoundContent::Spooled(name) => {
            let (size, checksum) = (message.record.content_size, message.record.content_checksum);
            shared.spool.open(name, size).ok()?;
            let name: Arc<str> = name.as_str().into();
            let file = Arc::new(shared.spool.kept(name.clone()));
            Some(Content::Spooled(SpooledContent {
                name,
                size,
                checksum,
                file,
            }))
        }
    }
}
