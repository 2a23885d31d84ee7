//! The queue: shown, changed by a person; delivery suspended.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use relais_smtp::identifier::QueueId;
use relais_store::grouping::{By, Common, Group};
use relais_store::queue::{Criteria, ListedMessage, QueueAct, RecipientStateName};
use relais_store::suspension::{Suspension, SuspensionScope};
use relais_store::trace::{parse_since, parse_until};

use super::restricted::is_of;
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Parameters, Problem};

/// Messages of a page where nothing else is asked for.
const PAGE_DEFAULT: usize = 1_000;
/// Messages of a page at most.
const PAGE_MAX: usize = 10_000;

/// Held from the look at who suspended something to what is written: nobody else's suspension comes
/// in between and is lifted unseen.
static SUSPENDING: Mutex<()> = Mutex::const_new(());

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/queue", get(list))
        .route("/queue/count", get(count))
        .route("/queue/groups", get(groups))
        .route("/queue/{id}", get(show))
        .route("/queue/act", post(act))
        .route("/queue/suspended", get(suspended).post(suspend))
}

/// Which entries are meant, as people write it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    queue_id: Option<String>,
    destination: Option<String>,
    organisation: Option<String>,
    /// Accepted longer ago than this span, or before this time.
    older: Option<String>,
    state: Option<String>,
    /// Reverse-path: an address, a domain, or `<>`.
    sender: Option<String>,
    /// Part of the last reply.
    reason: Option<String>,
    /// Not newer than this message.
    up_to: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

fn read_queue_id(text: &str) -> Result<QueueId, Problem> {
    text.parse()
        .map_err(|_| Problem::bad_request(format!("\"{text}\" is no queue id.")))
}

fn read_state(text: &str) -> Result<RecipientStateName, Problem> {
    let states = [
        RecipientStateName::Queued,
        RecipientStateName::Active,
        RecipientStateName::Deferred,
        RecipientStateName::Held,
    ];
    states
        .into_iter()
        .find(|state| state.name() == text)
        .ok_or_else(|| {
            Problem::bad_request(format!(
                "\"{text}\" is no state: queued, active, deferred, held."
            ))
        })
}

impl Selection {
    fn criteria(&self, context: &AdminContext) -> Result<Criteria, Problem> {
        let now = context.clock.now();
        Ok(Criteria {
            queue_id: self.queue_id.as_deref().map(read_queue_id).transpose()?,
            destination: self.destination.clone(),
            organisation: self.organisation.clone(),
            accepted_before: self
                .older
                .as_deref()
                .map(|text| parse_since(text, now))
                .transpose()?,
            state: self.state.as_deref().map(read_state).transpose()?,
            sender: self.sender.clone(),
            reason: self.reason.clone(),
            up_to: self.up_to.as_deref().map(read_queue_id).transpose()?,
            is_restricted: false,
            only: None,
        })
    }
}

async fn list(
    State(context): State<AdminContext>,
    Parameters(selection): Parameters<Selection>,
) -> Result<Json<Value>, Problem> {
    let criteria = selection.criteria(&context)?;
    let after = selection.cursor.as_deref().map(read_queue_id).transpose()?;
    let limit = selection.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let page = context.store.page(&criteria, after, limit).await?;
    let next = page.next.map(|queue_id| queue_id.to_string());
    let messages: Vec<_> = page.messages.iter().map(message_json).collect();
    Ok(Json(json!({ "messages": messages, "next_cursor": next })))
}

/// How many are meant. `newest` is `up_to` of an act that is to change these and no later ones.
async fn count(
    State(context): State<AdminContext>,
    Parameters(selection): Parameters<Selection>,
) -> Result<Json<Value>, Problem> {
    let criteria = selection.criteria(&context)?;
    let count = context.store.count(&criteria).await?;
    Ok(Json(json!({
        "messages": count.messages,
        "recipients": count.recipients,
        "newest": count.newest.map(|queue_id| queue_id.to_string()),
    })))
}

/// By what the queue is grouped, and which of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grouping {
    by: String,
    destination: Option<String>,
    organisation: Option<String>,
    older: Option<String>,
    state: Option<String>,
    sender: Option<String>,
    reason: Option<String>,
}

/// What waits, in groups, the largest first. `selection`: the parameters that mean the group.
async fn groups(
    State(context): State<AdminContext>,
    Parameters(asked): Parameters<Grouping>,
) -> Result<Json<Value>, Problem> {
    let by = By::parse(&asked.by).ok_or_else(|| {
        let detail = format!("\"{}\" is no grouping: destination or reason.", asked.by);
        Problem::bad_request(detail)
    })?;
    let selection = Selection {
        destination: asked.destination,
        organisation: asked.organisation,
        older: asked.older,
        state: asked.state,
        sender: asked.sender,
        reason: asked.reason,
        ..Selection::default()
    };
    let criteria = selection.criteria(&context)?;
    let found = context.store.groups(by, &criteria).await?;
    let groups: Vec<_> = found.groups.iter().map(group_json).collect();
    Ok(Json(json!({
        "groups": groups,
        "messages_read": found.read,
        "is_whole": found.is_whole,
    })))
}

fn group_json(group: &Group) -> Value {
    let selection = match &group.common {
        Common::Destination(name) => json!({ "destination": name }),
        Common::State(name) => json!({ "state": name }),
        Common::Reply(part) => json!({ "state": "deferred", "reason": part }),
    };
    json!({
        "selection": selection,
        "messages": group.messages,
        "recipients": group.recipients,
        "held": group.held,
        "oldest": group.oldest.to_rfc3339(),
        "next_attempt": group.next_attempt.map(|time| time.to_rfc3339()),
        "expires_at": group.expires_at.to_rfc3339(),
        "last_reply": group.last_reply,
    })
}

async fn show(
    State(context): State<AdminContext>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let queue_id = read_queue_id(&id)?;
    let criteria = Criteria {
        queue_id: Some(queue_id),
        ..Criteria::default()
    };
    let messages = context.store.list(&criteria, None, 1).await?;
    let found = messages.first().map(message_json);
    found.map(Json).ok_or_else(|| {
        Problem::not_found(format!("No message {queue_id} is in the queue; `relais why {queue_id}` tells what became of it."))
    })
}

/// One message as `relais queue list --json` prints it.
pub(super) fn message_json(message: &ListedMessage) -> Value {
    let recipients: Vec<_> = message
        .recipients
        .iter()
        .map(|recipient| {
            json!({
                "to": recipient.to,
                "state": recipient.state.name(),
                "attempts": recipient.attempts,
                "next_attempt": recipient.next_attempt.map(|time| time.to_rfc3339()),
                "last_reply": recipient.last_reply,
                "is_restricted": recipient.is_restricted,
                "expires_at": recipient.expires_at.to_rfc3339(),
            })
        })
        .collect();
    json!({
        "queue_id": message.queue_id.to_string(),
        "organisation": message.organisation,
        "from": message.from,
        "recipients": recipients,
        "accepted_at": message.accepted_at.to_rfc3339(),
        "size": message.size,
        "subject": message.subject,
        "message_id": message.message_id,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    act: String,
    #[serde(default)]
    selection: Selection,
    /// Demanded where the selection names nothing.
    #[serde(default)]
    all: bool,
}

async fn act(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(request): Input<Request>,
) -> Result<Json<Value>, Problem> {
    let act = match request.act.as_str() {
        "retry" => QueueAct::Retry,
        "hold" => QueueAct::Hold,
        "release" => QueueAct::Release,
        "bounce" => QueueAct::Bounce,
        "delete" => QueueAct::Delete,
        other => {
            let detail = format!("\"{other}\" is no act: retry, hold, release, bounce, delete.");
            return Err(Problem::bad_request(detail));
        }
    };
    let criteria = request.selection.criteria(&context)?;
    let names = Criteria {
        up_to: None,
        ..criteria.clone()
    };
    if names == Criteria::default() && !request.all {
        return Err(Problem::bad_request(
            "Name a message or criteria, or say that all are meant.",
        ));
    }
    if let Some(queue_id) = criteria.queue_id
        && context.store.list(&criteria, None, 1).await?.is_empty()
    {
        return Err(Problem::not_found(format!(
            "No message {queue_id} is in the queue."
        )));
    }
    let result = context
        .store
        .act(act, &criteria, caller.actor(), context.clock.now())
        .await?;
    Ok(Json(
        json!({ "changed": result.changed, "active": result.active }),
    ))
}

/// `destinations`: those suspended for all organisations; `suspensions`: everything, with why.
async fn suspended(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let suspended = context.store.suspended().await?;
    let for_all = suspended
        .iter()
        .filter(|one| one.scope.organisation.is_none());
    let destinations: Vec<_> = for_all
        .filter_map(|one| one.scope.destination.as_deref())
        .collect();
    let suspensions: Vec<_> = suspended.iter().map(suspension_json).collect();
    Ok(Json(
        json!({ "destinations": destinations, "suspensions": suspensions }),
    ))
}

fn suspension_json(suspension: &Suspension) -> Value {
    json!({
        "organisation": suspension.scope.organisation.as_deref(),
        "destination": suspension.scope.destination.as_deref(),
        "until": suspension.until.map(|time| time.to_rfc3339()),
        "reason": suspension.reason,
        "by": suspension.by,
        "since": suspension.since.to_rfc3339(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuspensionRequest {
    destination: Option<String>,
    organisation: Option<String>,
    /// Demanded where neither of the two is named.
    #[serde(default)]
    all: bool,
    suspended: bool,
    /// `2h`, a day or an RFC 3339 time; absent: until it is resumed.
    until: Option<String>,
    #[serde(default)]
    reason: String,
}

impl SuspensionRequest {
    fn scope(&self, context: &AdminContext) -> Result<SuspensionScope, Problem> {
        if self.destination.is_none() && self.organisation.is_none() && !self.all {
            return Err(Problem::bad_request(
                "Name a destination or an organisation, or say that all mail is meant.",
            ));
        }
        let organisation = self.organisation.as_deref();
        if let Some(name) = organisation
            && self.suspended
            && context.store.settings().organisation(name).is_none()
        {
            return Err(Problem::not_found(format!("No organisation \"{name}\".")));
        }
        let destination = self.destination.as_deref();
        Ok(SuspensionScope {
            organisation: organisation.map(Into::into),
            destination: destination.map(read_destination).transpose()?,
        })
    }
}

async fn suspend(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(request): Input<SuspensionRequest>,
) -> Result<Json<Value>, Problem> {
    let scope = request.scope(&context)?;
    let turn = SUSPENDING.lock().await;
    must_be_theirs(&context, &caller, &scope).await?;
    let now = context.clock.now();
    if request.suspended {
        let until = request.until.as_deref();
        let until = until.map(|text| parse_until(text, now)).transpose()?;
        if until.is_some_and(|until| until <= now) {
            let words = "The end of a suspension must lie ahead: write 2h, or a time to come.";
            return Err(Problem::bad_request(words));
        }
        let suspension = Suspension {
            until,
            reason: request.reason.clone(),
            ..Suspension::new(scope, caller.actor(), now)
        };
        context.store.suspend(suspension).await?;
    } else if !context.store.resume(&scope, caller.actor(), now).await? {
        return Err(Problem::not_found(format!("No suspension of {scope}.")));
    }
    drop(turn);
    suspended(State(context)).await
}

/// What others suspended is neither lifted nor shortened by whoever sees one organisation only.
async fn must_be_theirs(
    context: &AdminContext,
    caller: &Caller,
    scope: &SuspensionScope,
) -> Result<(), Problem> {
    let Some(own) = caller.rights.organisation() else {
        return Ok(());
    };
    let suspended = context.store.suspended().await?;
    let Some(standing) = suspended.iter().find(|one| one.scope == *scope) else {
        return Ok(());
    };
    match is_of(context, own, &standing.by).await? {
        true => Ok(()),
        false => {
            let detail = "Whoever runs the installation has suspended this, and resumes it.";
            Err(Problem::new(StatusCode::FORBIDDEN, detail))
        }
    }
}

fn read_destination(text: &str) -> Result<Arc<str>, Problem> {
    let domain = relais_smtp::domain::Domain::parse(text).map(|domain| domain.to_string());
    domain.or_else(|_| literal(text)).map(Into::into)
}

/// An address literal as it is written in the queue, `[192.0.2.1]`.
fn literal(text: &str) -> Result<String, Problem> {
    let mailbox = relais_smtp::address::Mailbox::parse(&format!("x@{text}"));
    mailbox
        .map(|mailbox| mailbox.host().to_string())
        .map_err(|_| {
            Problem::bad_request(format!(
                "\"{text}\" is no domain and no address in brackets."
            ))
        })
}
