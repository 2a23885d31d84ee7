//! Why was this refused, or where is it: the events of one reference or queue id, and what the same
//! functions would decide today.

use std::collections::BTreeMap;

use axum::extract::{Extension, Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use relais_policy::attribution::Facts;
use relais_policy::simulate::{NO_REFERENCE, Question};
use relais_policy::tls::{Certificate, TlsVersion};
use relais_smtp::address::{ForwardPath, Mailbox, ReversePath};
use relais_smtp::identifier::{QueueId, Reference};
use relais_store::queue::Criteria;
use relais_store::trace::dialogue::{Dialogue, DialogueKey};
use relais_store::trace::{Event, EventKind, To, TraceQuery, TraceTerm};

use super::attributed::attributed;
use super::queue::message_json;
use super::simulate::{decide, returned};
use crate::context::{AdminContext, Caller};
use crate::problem::Problem;

/// Events of one answer: a message with a hundred recipients and ten attempts each fits.
const EVENTS_MAX: usize = 2_000;
/// Recipients for which today's decision is told.
const DECISIONS_MAX: usize = 10;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/why/{name}", get(why))
        .route("/why/{name}/dialogues", get(dialogues))
}

async fn why(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (mut told, events) = match (name.parse::<QueueId>(), name.parse::<Reference>()) {
        (Ok(queue_id), _) => why_message(&context, queue_id).await?,
        (Err(_), Ok(reference)) => why_refused(&context, reference).await?,
        (Err(_), Err(error)) => {
            return Err(Problem::not_found(format!("\"{name}\" is {error}.")));
        }
    };
    told["attribution"] = attributed(&context, &caller, &events, facts).await;
    Ok(Json(told))
}

/// What was said with the client and with next hops.
async fn dialogues(
    State(context): State<AdminContext>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let key = match (name.parse::<QueueId>(), name.parse::<Reference>()) {
        (Ok(queue_id), _) => DialogueKey::Message(queue_id),
        (Err(_), Ok(reference)) => DialogueKey::Refusal(reference),
        (Err(_), Err(error)) => {
            return Err(Problem::not_found(format!("\"{name}\" is {error}.")));
        }
    };
    let found = context.store.dialogues(key).await?;
    let dialogue = |one: &Dialogue| {
        json!({
            "time": one.time.to_rfc3339(),
            "with": one.side.name(),
            "peer": one.peer,
            "lines": one.text.lines().collect::<Vec<_>>(),
        })
    };
    let dialogues: Vec<_> = found.iter().map(dialogue).collect();
    Ok(Json(json!({ "dialogues": dialogues })))
}

type Told = (Value, Vec<Event>);

async fn why_message(context: &AdminContext, queue_id: QueueId) -> Result<Told, Problem> {
    let events = events(context, TraceTerm::new("id", &queue_id.to_string())?).await?;
    let criteria = Criteria {
        queue_id: Some(queue_id),
        ..Criteria::default()
    };
    let queued = context.store.list(&criteria, None, 1).await?;
    if events.is_empty() && queued.is_empty() {
        return Err(Problem::not_found(format!(
            "No message {queue_id} is known."
        )));
    }
    let told = json!({
        "kind": "message",
        "queue_id": queue_id.to_string(),
        "in_queue": queued.first().map(message_json),
        "now": decisions(context, &events).await,
        "events": as_json(&events),
    });
    Ok((told, events))
}

async fn why_refused(context: &AdminContext, reference: Reference) -> Result<Told, Problem> {
    let events = events(context, TraceTerm::new("ref", &reference.to_string())?).await?;
    if events.is_empty() {
        let detail = match reference {
            NO_REFERENCE => format!(
                "{reference} stands in what `relais simulate` says, where a real refusal has its \
                 reference: nothing was refused."
            ),
            _ => {
                format!("No refusal has the reference {reference}; it may be older than the trace.")
            }
        };
        return Err(Problem::not_found(detail).about(reference));
    }
    let told = json!({
        "kind": "refusal",
        "reference": reference.to_string(),
        "now": decisions(context, &events).await,
        "events": as_json(&events),
    });
    Ok((told, events))
}

/// Oldest first: as the story is told.
async fn events(context: &AdminContext, term: TraceTerm) -> Result<Vec<Event>, Problem> {
    let query = TraceQuery {
        terms: vec![term],
        limit: EVENTS_MAX,
        ..TraceQuery::default()
    };
    let rows = context.store.trace(&query).await?;
    let events = rows
        .iter()
        .rev()
        .filter_map(|row| Event::from_json(&row.json).ok());
    Ok(events.collect())
}

fn as_json(events: &[Event]) -> Vec<Value> {
    let read = |event: &Event| serde_json::from_str(&event.to_json()).ok();
    events.iter().filter_map(read).collect()
}

/// What would be decided with today's settings: one answer per recipient of the first event that
/// tells client and sender.
async fn decisions(context: &AdminContext, events: &[Event]) -> Vec<Value> {
    let told = events.iter().find(|event| {
        matches!(
            event.kind,
            EventKind::MessageAccepted | EventKind::AttemptRefused
        ) && event.client.is_some()
            && event.from.is_some()
    });
    let Some(event) = told else { return Vec::new() };
    let recipients: Vec<&str> = match &event.to {
        Some(To::One(one)) => vec![one],
        Some(To::Many(many)) => many.iter().map(|one| &**one).collect(),
        // MAIL was refused: nothing was said of recipients, and the sender's part of the decision
        // is the same for all.
        None => vec!["postmaster"],
    };
    let mut decided = Vec::new();
    for to in recipients.iter().take(DECISIONS_MAX) {
        let Some(mut question) = question(context, event, to) else {
            continue;
        };
        question.returned = returned(context, &question).await;
        if let Ok(answer) = serde_json::to_value(decide(context, &question)) {
            decided.push(json!({ "to": to, "decision": answer }));
        }
    }
    decided
}

/// The client, as far as the trace tells of it.
fn facts(event: &Event) -> Option<Facts> {
    let client = event.client.as_ref()?;
    let owned = |text: &Option<std::sync::Arc<str>>| text.as_ref().map(ToString::to_string);
    let certificate = client.certificate.as_deref();
    let tls = event.tls.as_ref();
    Some(Facts {
        address: client.address,
        certificate: certificate.map(|name| Certificate::verified([name])),
        credential: owned(&client.credential),
        helo: owned(&client.helo),
        tls: tls.and_then(|tls| TlsVersion::parse(&tls.version)),
        submission: false,
    })
}

fn question(context: &AdminContext, event: &Event, to: &str) -> Option<Question> {
    let reverse_path = match event.from.as_deref()? {
        "" => ReversePath::Null,
        from => ReversePath::Mailbox(Mailbox::parse(from).ok()?),
    };
    let forward_path = match to {
        to if to.eq_ignore_ascii_case("postmaster") => ForwardPath::Postmaster,
        to => ForwardPath::Mailbox(Mailbox::parse(to).ok()?),
    };
    Some(Question {
        facts: facts(event)?,
        reverse_path,
        forward_path,
        header_from: event
            .header_from
            .as_deref()
            .and_then(|from| Mailbox::parse(from).ok()),
        size: event.size,
        size_octets_max: context.message_size_max,
        returned: None,
        senders: BTreeMap::new(),
    })
}
