//! A copy of a message in the queue, to another address: for a mailbox that is full, a name that
//! was mistyped, a person who has left. The original stays as it is.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::route::{RouteSource, route};
use relais_policy::schedule::expires_at;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::identifier::QueueId;
use relais_store::queue::{Content, MessageFacts, NewMessage, NewRecipient, QueueKey};
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};
use relais_store::store::why_held;
use relais_store::trace::{Event, EventKind, To};

use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/queue/{id}/resend", post(resend))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resend {
    to: String,
}

/// `{"queue_id","to"}` of the copy, once it is on stable storage.
async fn resend(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Input(wanted): Input<Resend>,
) -> Result<Json<Value>, Problem> {
    let original: QueueId = id
        .parse()
        .map_err(|_| Problem::bad_request(format!("\"{id}\" is no queue id.")))?;
    let typed = wanted.to.trim();
    let to = Mailbox::parse(typed)
        .map_err(|error| Problem::bad_request(format!("\"{typed}\" is no address: {error}.")))?;
    let found = context.store.original(original).await?;
    let found = found.filter(|(facts, _)| caller.rights.sees(&facts.organisation));
    let Some((facts, content)) = found else {
        let detail = "It is not in the queue: content is kept until the last recipient is done.";
        return Err(Problem::not_found(detail));
    };
    let copied = context.store.copy_behind(&[], &content).await;
    let unavailable = |error: &dyn std::fmt::Display| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    };
    let (content, _) = copied.map_err(|error| unavailable(&error))?;
    let message = copy(&context, &facts, content, &to, &caller);
    let queue_id = message.facts.queue_id;
    let audit = ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act: "queue.resent",
        detail: vec![format!(
            "{original} of {} to {to} as {queue_id}",
            facts.organisation
        )],
    };
    // Written down first: what was sent on is never without a name.
    let change = ShelfChange::new(Shelf::Check, context.clock.now()).audited(audit);
    context.store.change_shelf(change).await?;
    let committed = context.store.commit(message).await;
    let committed = committed.map_err(|error| unavailable(&error))?;
    Ok(Json(json!({
        "queue_id": committed.queue_id().to_string(),
        "to": to.to_string(),
    })))
}

/// As it came, for one recipient, with a time of its own.
fn copy(
    context: &AdminContext,
    original: &MessageFacts,
    content: Content,
    to: &Mailbox,
    caller: &Caller,
) -> NewMessage {
    let now = context.clock.now();
    let mut facts = original.clone();
    facts.queue_id = context.store.next_queue_id(now);
    facts.accepted_at = now;
    facts.parameters.smtp_utf8 |= !to.is_ascii();
    let settings = context.store.settings();
    let organisation = Arc::clone(&facts.organisation);
    let sender = match &facts.reverse_path {
        ReversePath::Mailbox(mailbox) => mailbox.domain(),
        ReversePath::Null => None,
    };
    let came_by = facts.inbound_connector.as_deref();
    let source = RouteSource::of(&settings, &organisation, came_by, sender);
    let way = route(&settings, &organisation, to.host(), &source);
    let mut recipient = NewRecipient {
        recipient: EnvelopeRecipient::new(to.clone()),
        key: QueueKey {
            source: source.to_string().into(),
            ..QueueKey::new(Arc::clone(&organisation), to.host().to_string())
        },
        due: now,
        expires_at: expires_at(&way.retry, now),
        is_restricted: false,
        held: false,
    };
    let accepted = Event {
        queue_id: Some(facts.queue_id),
        organisation: Some(organisation),
        inbound_connector: facts.inbound_connector.clone(),
        from: Some(facts.reverse_path.to_string().into()),
        header_from: facts.header_from.clone(),
        to: Some(To::Many(vec![to.to_string().into()])),
        subject: facts.subject.clone(),
        size: Some(facts.size),
        detail: Some(format!("copy of {}, sent by {}", original.queue_id, caller.actor).into()),
        ..Event::new(now, EventKind::MessageAccepted)
    };
    let mut events = vec![accepted];
    // As mail that comes: what is restricted waits, and says so at once.
    if let Some(found) = context.store.restriction_of(&facts, to, now) {
        recipient.is_restricted = true;
        events.push(facts.held_event(&recipient.recipient, why_held(&found), now));
    }
    NewMessage {
        facts,
        recipients: vec![recipient],
        content,
        events,
    }
}
