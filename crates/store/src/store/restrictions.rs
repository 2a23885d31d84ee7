//! The queue follows what is restricted: mail of a restricted entity is held, mail of one that was
//! released goes on. Done once after each change, and for what is held after each start and where a
//! message was stored as restricted that is so no more; until then, and for what is under way,
//! whoever attempts a message looks itself.
//!
//! Not here: what a restriction means (`relais_policy::restriction`).

use std::collections::{BTreeMap, BTreeSet};
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
    Criteria, ListedMessage, ListedRecipient, MessageFacts, NewMessage, QueueAct, RecipientChange,
    RecipientStateName, Settlement,
};
use crate::restriction::LookedThrough;
use crate::trace::{Event, EventKind};

/// A message about to be stored, as far as something about it is restricted.
pub(super) struct Judged {
    facts: MessageFacts,
    to: Vec<Mailbox>,
}

impl Judged {
    /// `None`: nothing is.
    pub(super) fn of(message: &NewMessage) -> Option<Self> {
        let restricted = message.recipients.iter().filter(|one| one.is_restricted);
        let to = restricted.map(|one| one.recipient.forward_path.clone());
        let to: Vec<_> = to.collect();
        let facts = || message.facts.clone();
        (!to.is_empty()).then(|| Self { facts: facts(), to })
    }
}

/// Whether a settlement holds somebody because something is restricted.
pub(super) fn holds(settlement: &Settlement) -> bool {
    let mut changes = settlement.changes.iter();
    changes.any(|(_, change)| matches!(change, RecipientChange::Restricted { .. }))
}

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
        replaced: facts.replaced.as_ref(),
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
            replaced: self.replaced.as_ref(),
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

    /// See the head of this file. To be called about once a second, beside [`Store::maintain`]:
    /// where the queue is long, a look through it takes minutes.
    pub async fn follow_restrictions(&self, now: Timestamp) {
        let looked = self.looked_through();
        // Before the look: what is asked for meanwhile is another one.
        let again = looked.take_again();
        let (before, restrictions) = (looked.last(), self.restrictions());
        if !again && Arc::ptr_eq(&before, &restrictions) {
            return;
        }
        match self.look_through(&before, &restrictions, now).await {
            Ok(()) => looked.note(restrictions),
            Err(error) => {
                // The next call tries again.
                looked.ask_again();
                tracing::warn!(%error, "the queue does not follow restrictions yet");
            }
        }
    }

    fn looked_through(&self) -> &LookedThrough {
        match self {
            Self::Embedded(store) => store.looked_through(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.looked_through(),
        }
    }

    /// A message was stored as restricted by what was restricted when it was judged: if that was
    /// released since, the queue was perhaps looked through before the message was in it.
    pub(super) fn note_restricted(&self, judged: &Judged) {
        let Judged { facts, to } = judged;
        let still = |to: &Mailbox| self.restriction_of(facts, to, facts.accepted_at);
        if !to.iter().all(|to| still(to).is_some()) {
            self.looked_through().ask_again();
        }
    }

    /// The same of what was settled as restricted: rare, so that nothing more is asked.
    pub(super) fn note_settled_as_restricted(&self) {
        self.looked_through().ask_again();
    }

    /// First what may go on: of all that is held for a restriction. Then what is to be held, in the
    /// organisations that the new restrictions mean.
    async fn look_through(
        &self,
        before: &Restrictions,
        restrictions: &Restrictions,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let holding = restrictions.holding(now);
        let held = Criteria {
            is_restricted: true,
            ..Criteria::default()
        };
        self.look_at(&held, &holding, now).await?;
        for organisation in meant_anew(before, restrictions) {
            let criteria = Criteria {
                organisation,
                ..Criteria::default()
            };
            self.look_at(&criteria, &holding, now).await?;
        }
        Ok(())
    }

    async fn look_at(
        &self,
        criteria: &Criteria,
        holding: &InForce<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.list_page(criteria, after, READ_AT_ONCE).await?;
            after = page.next;
            let (held, released) = judged(&page.messages, holding);
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

/// The organisations whose mail what is restricted since can mean; `None`: anybody's.
fn meant_anew(before: &Restrictions, now: &Restrictions) -> BTreeSet<Option<String>> {
    let anew = now
        .iter()
        .filter(|one| before.get(&one.entity) != Some(*one));
    let meant: BTreeSet<_> = anew
        .map(|one| one.entity.organisation().map(str::to_owned))
        .collect();
    if meant.contains(&None) {
        return BTreeSet::from([None]);
    }
    meant
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
