//! The queue follows what is restricted: mail of a restricted entity is held, mail of one that was
//! released goes on. Done once after each change and after each start, in the store's upkeep; until
//! then, and for what is under way, whoever attempts a message looks itself.
//!
//! Not here: what a restriction means (`relais_policy::restriction`).

use std::collections::BTreeMap;
use std::sync::Arc;

use relais_policy::restriction::{InForce, Queued, Restriction, Restrictions};
use relais_smtp::address::Mailbox;
use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use super::{READ_AT_ONCE, Store};
use crate::describe;
use crate::error::StoreError;
use crate::queue::{
    Criteria, ListedMessage, ListedRecipient, MessageFacts, QueueAct, RecipientStateName,
};
use crate::restriction::LookedThrough;
use crate::trace::{Event, EventKind};

/// Who holds and releases in the name of a restriction.
const RELAIS: &str = "relais";

/// Recipients by message.
type Chosen = BTreeMap<QueueId, Vec<u32>>;

/// Of whom a message in the queue is.
fn queued_of(facts: &MessageFacts) -> Queued<'_> {
    Queued {
        organisation: &facts.organisation,
        connector: facts.inbound_connector.as_deref(),
        client: facts.client.as_ref().map(|client| client.address),
        credential: facts
            .client
            .as_ref()
            .and_then(|client| client.credential.as_deref()),
        reverse_path: &facts.reverse_path,
    }
}

/// Why a message is not to leave, in words for the trace.
pub fn why_held(restriction: &Restriction) -> Arc<str> {
    let Restriction { entity, reason, .. } = restriction;
    format!("{entity} is restricted: {reason}").into()
}

impl MessageFacts {
    /// `recipient.held`, for one of its recipients.
    pub fn held_event(&self, to: &EnvelopeRecipient, because: Arc<str>, now: Timestamp) -> Event {
        let because = because.to_string();
        describe::recipient_event(now, EventKind::RecipientHeld, self, to, because)
    }

    /// Why this message is not to leave at this time, whoever gets it.
    pub fn restricted_by<'a>(&self, holding: &InForce<'a>) -> Option<&'a Restriction> {
        holding.of_message(&queued_of(self))
    }
}

impl ListedMessage {
    /// Why one of its recipients is not to get it at this time.
    fn restricted_by<'a>(
        &self,
        recipient: &ListedRecipient,
        holding: &InForce<'a>,
    ) -> Option<&'a Restriction> {
        let client = self.client.as_ref();
        let message = Queued {
            organisation: &self.organisation,
            connector: self.inbound_connector.as_deref(),
            client: client.map(|client| client.address),
            credential: client.and_then(|client| client.credential.as_deref()),
            reverse_path: &self.reverse_path,
        };
        let of_message = holding.of_message(&message);
        of_message.or_else(|| holding.of_mailbox(&recipient.mailbox))
    }
}

impl Store {
    /// Why this recipient of this message is not to be tried at this time, if so: asked before each
    /// attempt.
    pub fn restriction_of(
        &self,
        facts: &MessageFacts,
        to: &Mailbox,
        now: Timestamp,
    ) -> Option<Restriction> {
        let restrictions = self.restrictions();
        let holding = restrictions.holding(now);
        let found = facts.restricted_by(&holding);
        found.or_else(|| holding.of_mailbox(to)).cloned()
    }

    /// See the head of this file.
    pub(super) async fn follow_restrictions(&self, now: Timestamp) {
        let restrictions = self.restrictions();
        if self.looked_through().is_for(&restrictions) {
            return;
        }
        match self.look_through(&restrictions, now).await {
            Ok(()) => self.looked_through().note(restrictions),
            // The next upkeep tries again.
            Err(error) => tracing::warn!(%error, "the queue does not follow restrictions yet"),
        }
    }

    fn looked_through(&self) -> &LookedThrough {
        match self {
            Self::Embedded(store) => store.looked_through(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.looked_through(),
        }
    }

    async fn look_through(
        &self,
        restrictions: &Arc<Restrictions>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let holding = restrictions.holding(now);
        let criteria = Criteria {
            // Nothing to hold: only what is held can be let go.
            state: restrictions.is_empty().then_some(RecipientStateName::Held),
            ..Criteria::default()
        };
        let mut after = None;
        loop {
            let page = self.list_page(&criteria, after, READ_AT_ONCE).await?;
            after = page.next;
            let (held, released) = judged(&page.messages, &holding);
            for (because, chosen) in held {
                self.act_on(QueueAct::Restrict { because }, chosen, now)
                    .await?;
            }
            self.act_on(QueueAct::Unrestrict, released, now).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn act_on(
        &self,
        act: QueueAct,
        chosen: Chosen,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if chosen.is_empty() {
            return Ok(());
        }
        let criteria = Criteria {
            only: Some(Arc::new(chosen)),
            ..Criteria::default()
        };
        self.act(act, &criteria, RELAIS, now).await.map(|_| ())
    }
}

/// What is to be held, by its reason, and what is to be let go.
fn judged(page: &[ListedMessage], holding: &InForce<'_>) -> (BTreeMap<Arc<str>, Chosen>, Chosen) {
    let (mut held, mut released) = (BTreeMap::new(), Chosen::new());
    let put = |into: &mut Chosen, message: &ListedMessage, number: u32| {
        into.entry(message.queue_id).or_default().push(number);
    };
    for message in page {
        for one in &message.recipients {
            let restriction = message.restricted_by(one, holding);
            match (one.state, restriction) {
                (RecipientStateName::Held, None) if one.is_restricted => {
                    put(&mut released, message, one.number);
                }
                (RecipientStateName::Queued | RecipientStateName::Deferred, Some(restriction))
                    if !one.passed =>
                {
                    let chosen = held.entry(why_held(restriction)).or_default();
                    put(chosen, message, one.number);
                }
                // Under way: who attempts it looks itself.
                _ => {}
            }
        }
    }
    (held, released)
}
