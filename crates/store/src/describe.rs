//! Rows put together for those who ask: leases, listed messages, events of a person's act.

use std::sync::Arc;

use relais_policy::schedule::held_until;
use relais_smtp::address::ReversePath;
use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::time::Timestamp;

use crate::index::{DELAY_TOLD, GIVE_UP, Grant, HELD, PASSED, RESTRICTED, SlotState};
use crate::queue::{
    Content, Criteria, Lease, Leased, LeasedRecipient, ListedMessage, ListedRecipient,
    MessageFacts, NewMessage, NewRecipient, QueueAct, RecipientStateName,
};
use crate::trace::{Event, EventKind, To};

/// Most messages that one `list` gives.
pub(crate) const LIST_MAX: usize = 10_000;
/// Most messages leased at once.
pub(crate) const LEASE_MESSAGES_MAX: usize = 1_000;

/// Why a message with a missing or damaged spool file is held.
pub(crate) const CONTENT_MISSING: &str = "the content is missing or damaged on our disk";

/// Why a message whose row is damaged is held.
pub(crate) const ROW_DAMAGED: &str = "the entry in the queue is damaged on our disk";

/// Who did it, for the detail of an event.
pub(crate) fn by(actor: &str) -> String {
    format!("by {actor}")
}

/// A grant with what it is about. `recipient` finds address and last reply by number; what it does
/// not find is left out.
pub(crate) fn leased(
    grant: &Grant,
    until: Timestamp,
    facts: Arc<MessageFacts>,
    content: Content,
    mut recipient: impl FnMut(u32) -> Option<(EnvelopeRecipient, Option<Arc<str>>)>,
) -> Leased {
    let describe = |(number, state): &(u32, SlotState)| {
        let (recipient, last_reply) = recipient(*number)?;
        Some(LeasedRecipient {
            number: *number,
            recipient,
            attempts: u32::from(state.attempts),
            expires_at: Timestamp::from_millis(state.expires),
            delay_told: state.has(DELAY_TOLD),
            last_reply,
            give_up: state.has(GIVE_UP),
            passed: state.has(PASSED),
            held: state.has(HELD),
        })
    };
    Leased {
        lease: Lease {
            queue_id: grant.queue_id,
            token: grant.token,
            until,
        },
        key: grant.key.clone(),
        facts,
        recipients: grant.slots.iter().filter_map(describe).collect(),
        content,
    }
}

/// A message as listed.
pub(crate) fn listed(facts: &MessageFacts, recipients: Vec<ListedRecipient>) -> ListedMessage {
    ListedMessage {
        queue_id: facts.queue_id,
        organisation: facts.organisation.to_string(),
        from: path_text(&facts.reverse_path),
        recipients,
        accepted_at: facts.accepted_at,
        size: facts.size,
        subject: facts.subject.as_deref().map(str::to_owned),
        message_id: facts.message_id.as_deref().map(str::to_owned),
        inbound_connector: facts.inbound_connector.clone(),
        client: facts.client.clone(),
        reverse_path: facts.reverse_path.clone(),
        replaced: facts.replaced.clone(),
    }
}

/// A recipient as listed.
pub(crate) fn listed_recipient(
    number: u32,
    recipient: &EnvelopeRecipient,
    (state, active): (SlotState, bool),
    last_reply: Option<&str>,
) -> ListedRecipient {
    let name = state.name(active);
    let due = Timestamp::from_millis(state.due);
    ListedRecipient {
        number,
        to: recipient.forward_path.to_string(),
        mailbox: recipient.forward_path.clone(),
        is_restricted: state.has(RESTRICTED),
        passed: state.has(PASSED),
        state: name,
        attempts: u32::from(state.attempts),
        next_attempt: match name {
            RecipientStateName::Queued | RecipientStateName::Deferred => Some(due),
            RecipientStateName::Active | RecipientStateName::Held => None,
        },
        last_reply: last_reply.map(str::to_owned),
        expires_at: Timestamp::from_millis(state.expires),
    }
}

/// Empty for the null reverse-path.
pub(crate) fn path_text(path: &ReversePath) -> String {
    path.mailbox().map(ToString::to_string).unwrap_or_default()
}

/// The state in which a recipient enters the queue.
pub(crate) fn fresh_state(recipient: &NewRecipient) -> SlotState {
    let flags = match (recipient.held, recipient.is_restricted) {
        // Nobody but a person lets it go.
        (true, _) => HELD,
        (false, true) => HELD | RESTRICTED,
        (false, false) => 0,
    };
    let expires_at = match flags {
        0 => recipient.expires_at,
        _ => recipient.expires_at.max(held_until(recipient.due)),
    };
    SlotState {
        flags,
        ..SlotState::fresh(recipient.due, expires_at)
    }
}

/// What that event says.
pub(crate) fn detail_of_act(act: &QueueAct, actor: &str) -> String {
    match act {
        QueueAct::Restrict { because } => because.to_string(),
        QueueAct::Retry
        | QueueAct::Hold
        | QueueAct::Release
        | QueueAct::Bounce
        | QueueAct::Delete
        | QueueAct::Unrestrict => by(actor),
    }
}

/// The event that an act on a recipient causes, if any.
pub(crate) fn event_of_act(act: &QueueAct) -> Option<EventKind> {
    match act {
        QueueAct::Hold | QueueAct::Restrict { .. } => Some(EventKind::RecipientHeld),
        QueueAct::Delete => Some(EventKind::RecipientDiscarded),
        QueueAct::Retry | QueueAct::Release | QueueAct::Bounce | QueueAct::Unrestrict => None,
    }
}

/// An event about one recipient, with what the facts know.
pub(crate) fn recipient_event(
    time: Timestamp,
    kind: EventKind,
    facts: &MessageFacts,
    to: &EnvelopeRecipient,
    detail: String,
) -> Event {
    Event {
        queue_id: Some(facts.queue_id),
        organisation: Some(facts.organisation.clone()),
        inbound_connector: facts.inbound_connector.clone(),
        client: facts.client.clone(),
        from: Some(path_text(&facts.reverse_path).into()),
        header_from: facts.header_from.clone(),
        to: Some(To::One(to.forward_path.to_string().into())),
        subject: facts.subject.clone(),
        size: Some(facts.size),
        detail: Some(detail.into()),
        ..Event::new(time, kind)
    }
}

/// Name of an act in the audit.
pub(crate) fn act_name(act: &QueueAct) -> &'static str {
    match act {
        QueueAct::Retry => "queue.retried",
        QueueAct::Hold => "queue.held",
        QueueAct::Release => "queue.released",
        QueueAct::Bounce => "queue.bounced",
        QueueAct::Delete => "queue.deleted",
        QueueAct::Restrict { .. } => "queue.held",
        QueueAct::Unrestrict => "queue.released",
    }
}

/// Criteria in words, for the audit.
pub(crate) fn criteria_lines(criteria: &Criteria) -> Vec<String> {
    let Criteria {
        queue_id,
        destination,
        organisation,
        accepted_before,
        state,
        sender,
        reason,
        up_to,
        // Found by the others.
        is_restricted: _,
        only: _,
    } = criteria;
    let lines = [
        queue_id.map(|id| format!("queue id {id}")),
        destination
            .as_ref()
            .map(|name| format!("destination {name}")),
        organisation
            .as_ref()
            .map(|name| format!("organisation {name}")),
        accepted_before.map(|time| format!("accepted before {}", time.to_rfc3339())),
        state.map(|state| format!("state {}", state.name())),
        sender.as_ref().map(|sender| format!("sender {sender}")),
        reason.as_ref().map(|reason| format!("reason {reason:?}")),
        up_to.map(|id| format!("up to {id}")),
    ];
    let lines: Vec<String> = lines.into_iter().flatten().collect();
    if lines.is_empty() {
        vec!["everything".to_owned()]
    } else {
        lines
    }
}

/// Whether a message can be stored: a message without recipients is a mistake of the caller.
pub(crate) fn is_complete(message: &NewMessage) -> bool {
    !message.recipients.is_empty()
}
