//! Refused attempts: what knocked and was turned away, grouped; and what a person makes of them.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use relais_policy::adopt::{AdoptError, Adopted, Attempt, Wish, adopt};
use relais_policy::document::Document;
use relais_policy::restriction::{Effect, Entity, EntityKind};
use relais_smtp::identifier::Reference;
use relais_smtp::time::Timestamp;
use relais_store::restriction::{IgnoredAttempts, ShownAgain};
use relais_store::store::RefusedGroup;
use relais_store::trace::{ClientSummary, Event, To, TraceQuery, TraceTerm, parse_since};

use super::restricted::{Wanted, end_of, restrict};
use super::settings::{Intent, change};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Parameters, Problem};

/// Groups of an answer at most.
const GROUPS_MAX: usize = 1_000;
/// How far back where nothing else is asked for.
const SINCE_DEFAULT: &str = "24h";

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/attempts", get(list))
        .route("/attempts/live", get(live))
        .route("/attempts/ignored", get(ignored))
        .route("/attempts/unignore", post(unignore))
        .route("/attempts/{reference}/ignore", post(ignore))
        .route("/attempts/{reference}/block", post(block))
        .route("/attempts/{reference}/adopt", post(make_client))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    since: Option<String>,
    limit: Option<usize>,
    /// Ignored ones too.
    #[serde(default)]
    all: bool,
}

async fn list(
    State(context): State<AdminContext>,
    Parameters(selection): Parameters<Selection>,
) -> Result<Json<Value>, Problem> {
    let since = selection.since.as_deref().unwrap_or(SINCE_DEFAULT);
    let since = parse_since(since, context.clock.now())?;
    let limit = selection.limit.unwrap_or(GROUPS_MAX).clamp(1, GROUPS_MAX);
    let ignored = Ignored::now(&context).await?;
    let groups = context.store.refused(since, limit).await?;
    let shown = groups.iter().filter_map(|group| {
        let is_ignored = ignored.has(group.address, &group.last);
        (selection.all || !is_ignored).then(|| group_json(group, is_ignored))
    });
    let groups: Vec<_> = shown.collect();
    Ok(Json(json!({ "attempts": groups })))
}

/// Groups that nobody wants to see at this moment.
struct Ignored(HashSet<(IpAddr, String)>);

impl Ignored {
    async fn now(context: &AdminContext) -> Result<Self, Problem> {
        let now = context.clock.now();
        let all = context.store.ignored_attempts().await?;
        let left = all.into_iter().filter(|one| !one.is_over(now));
        Ok(Self(left.map(|one| (one.address, one.token)).collect()))
    }

    fn has(&self, address: IpAddr, event: &Event) -> bool {
        let token = event.token.as_deref().unwrap_or_default();
        self.0.contains(&(address, token.to_owned()))
    }
}

/// One line of `relais --json attempts list`.
fn group_json(group: &RefusedGroup, is_ignored: bool) -> Value {
    let event = &group.last;
    let to = match &event.to {
        Some(To::One(one)) => Some(one.to_string()),
        Some(To::Many(many)) => many.first().map(ToString::to_string),
        None => None,
    };
    json!({
        "reference": event.reference.map(|reference| reference.to_string()),
        "time": event.time.to_rfc3339(),
        "count": group.count,
        "address": group.address.to_string(),
        "token": event.token.as_deref(),
        "reply": event.reply.as_deref(),
        "helo": event.client.as_ref().and_then(|client| client.helo.as_deref()),
        "from": event.from.as_deref(),
        "to": to,
        "tls": event.tls.as_ref().map(|tls| tls.version.to_string()),
        "organisation": event.organisation.as_deref(),
        "inbound_connector": event.inbound_connector.as_deref(),
        "ignored": is_ignored,
    })
}

/// One attempt a line, as they are refused; ignored groups are left out. A reader that is too slow
/// gets `{"missed":n}`.
async fn live(
    State(context): State<AdminContext>,
    Parameters(selection): Parameters<LiveSelection>,
) -> Result<Response, Problem> {
    let receiver = context.store.live();
    let readiness = context.readiness.clone();
    let watching = Watching {
        context,
        receiver,
        all: selection.all,
    };
    let lines = stream::unfold(watching, move |mut watching| {
        let readiness = readiness.clone();
        async move {
            let lines = tokio::select! {
                lines = watching.next() => lines?,
                () = readiness.draining() => return None,
            };
            let lines = Ok::<_, std::convert::Infallible>(Bytes::from(lines));
            Some((lines, watching))
        }
    });
    let body = Body::from_stream(lines);
    Ok(([(header::CONTENT_TYPE, super::STREAM_TYPE)], body).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiveSelection {
    #[serde(default)]
    all: bool,
}

struct Watching {
    context: AdminContext,
    receiver: Receiver<Arc<[Event]>>,
    all: bool,
}

impl Watching {
    /// The next lines; `None` when the store closes.
    async fn next(&mut self) -> Option<String> {
        loop {
            let events = match self.receiver.recv().await {
                Ok(events) => events,
                Err(RecvError::Lagged(missed)) => {
                    return Some(format!("{{\"missed\":{missed}}}\n"));
                }
                Err(RecvError::Closed) => return None,
            };
            let refused: Vec<_> = events.iter().filter_map(refused_alone).collect();
            if refused.is_empty() {
                continue;
            }
            let ignored = Ignored::now(&self.context).await.ok()?;
            let shown = refused.iter().filter_map(|group| {
                let is_ignored = ignored.has(group.address, &group.last);
                let shown = self.all || !is_ignored;
                shown.then(|| format!("{}\n", group_json(group, is_ignored)))
            });
            let lines: String = shown.collect();
            if !lines.is_empty() {
                return Some(lines);
            }
        }
    }
}

/// A refused attempt, as a group of one.
fn refused_alone(event: &Event) -> Option<RefusedGroup> {
    let client = event.client.as_ref()?;
    (event.status() == Some("refused")).then(|| RefusedGroup {
        last: event.clone(),
        address: client.address,
        count: 1,
    })
}

/// The refused attempt of that reference, and who it was.
async fn attempt_named(
    context: &AdminContext,
    name: &str,
) -> Result<(Event, Arc<ClientSummary>), Problem> {
    let reference: Reference = name
        .parse()
        .map_err(|error| Problem::not_found(format!("\"{name}\" is {error}.")))?;
    let query = TraceQuery {
        terms: vec![TraceTerm::new("ref", &reference.to_string())?],
        limit: 1,
        ..TraceQuery::default()
    };
    let rows = context.store.trace(&query).await?;
    let event = rows
        .first()
        .and_then(|row| Event::from_json(&row.json).ok());
    let found = event.and_then(|event| {
        let client = event.client.clone()?;
        Some((event, client))
    });
    found.ok_or_else(|| {
        let detail = format!(
            "No refused attempt has the reference {reference}; it may be older than the trace."
        );
        Problem::not_found(detail).about(reference)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Until {
    /// `1h`, `7d`, a day or an RFC 3339 time; absent: for good.
    #[serde(default)]
    until: Option<String>,
}

async fn ignore(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(reference): Path<String>,
    Input(wanted): Input<Until>,
) -> Result<Json<Value>, Problem> {
    let until = end_of(&context, wanted.until.as_deref())?;
    let (event, client) = attempt_named(&context, &reference).await?;
    let token = event.token.as_deref().unwrap_or_default().to_owned();
    let told = json!({
        "address": client.address.to_string(),
        "token": token,
        "until": until.map(Timestamp::to_rfc3339),
    });
    let ignored = IgnoredAttempts {
        address: client.address,
        token,
        by: caller.actor.to_string(),
        since: context.clock.now(),
        until,
    };
    context.store.ignore_attempts(ignored, caller.via).await?;
    Ok(Json(told))
}

/// The groups that are not listed now.
async fn ignored(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let now = context.clock.now();
    let all = context.store.ignored_attempts().await?;
    let mut left: Vec<_> = all.into_iter().filter(|one| !one.is_over(now)).collect();
    left.sort_by_key(|one| std::cmp::Reverse(one.since));
    let line = |one: &IgnoredAttempts| {
        json!({
            "address": one.address.to_string(),
            "token": one.token,
            "by": one.by,
            "since": one.since.to_rfc3339(),
            "until": one.until.map(Timestamp::to_rfc3339),
        })
    };
    let lines: Vec<_> = left.iter().map(line).collect();
    Ok(Json(json!({ "ignored": lines })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    address: IpAddr,
    token: String,
}

async fn unignore(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(group): Input<Group>,
) -> Result<Json<Value>, Problem> {
    let Group { address, token } = group;
    let shown = ShownAgain {
        address,
        token: token.clone(),
        by: caller.actor.to_string(),
        time: context.clock.now(),
    };
    if !context.store.show_attempts_again(shown, caller.via).await? {
        let detail = format!("Refused attempts of {address} ({token}) are not ignored.");
        return Err(Problem::not_found(detail));
    }
    Ok(Json(
        json!({ "address": address.to_string(), "token": token }),
    ))
}

async fn block(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(reference): Path<String>,
    Input(wanted): Input<Until>,
) -> Result<Json<Value>, Problem> {
    let until = end_of(&context, wanted.until.as_deref())?;
    let (event, client) = attempt_named(&context, &reference).await?;
    let token = event.token.as_deref().unwrap_or_default();
    let entity = Entity::parse(EntityKind::Ip, &client.address.to_string())
        .map_err(|error| Problem::bad_request(format!("{error}.")))?;
    let reason = format!("refused attempt {} ({token})", reference.to_uppercase());
    let wanted = Wanted {
        entity,
        effect: Effect::Refuse,
        reason,
        evidence: vec![event.reply.as_deref().unwrap_or_default().to_owned()],
        until,
    };
    restrict(&context, &caller, wanted).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MakeClient {
    name: String,
    #[serde(default)]
    organisation: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// Answers with what was made, and with what changed in the settings.
async fn make_client(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(reference): Path<String>,
    Input(wanted): Input<MakeClient>,
) -> Result<Json<Value>, Problem> {
    let (event, client) = attempt_named(&context, &reference).await?;
    let attempt = Attempt {
        address: client.address,
        token: event.token.as_deref().unwrap_or_default(),
        helo: client.helo.as_deref(),
        from: event.from.as_deref(),
        user: client.credential.as_deref(),
        repaired: !event.repairs.is_empty(),
    };
    let wish = Wish {
        name: wanted.name.trim(),
        organisation: wanted.organisation.as_deref(),
    };
    let (document, adopted) =
        adopt(&context.store.settings(), &attempt, &wish).map_err(problem_of)?;
    // The change is made from the document in force at that moment, whichever it is.
    let make = |_: &_| adopt(&context.store.settings(), &attempt, &wish).map(|made| made.0);
    let intent = Intent::dry_run(wanted.dry_run);
    let changed = change(&context, &caller, intent, None, |document| {
        make(document).map_err(problem_of)
    })
    .await?;
    Ok(Json(json!({
        "made": made_json(&document, &adopted),
        "settings": changed.to_json(),
    })))
}

fn problem_of(error: AdoptError) -> Problem {
    let words = error.to_string();
    match error {
        AdoptError::NoOrganisation | AdoptError::UnknownOrganisation(_) => {
            Problem::not_found(words)
        }
        AdoptError::SeveralOrganisations(_)
        | AdoptError::Covered { .. }
        | AdoptError::WrongPassword { .. }
        | AdoptError::NoClient(_) => Problem::bad_request(words),
    }
}

/// The object as it is, or would be, with its kind and organisation.
fn made_json(document: &Document, adopted: &Adopted) -> Value {
    let owner = |name: &str| document.organisation.iter().find(|one| one.name == name);
    let (kind, organisation, name, found) = match adopted {
        Adopted::Connector { organisation, name } => {
            let mut all = owner(organisation)
                .into_iter()
                .flat_map(|one| &one.inbound_connector);
            let found = all.find(|one| one.name == *name).map(|one| json!(one));
            ("inbound-connector", organisation, name, found)
        }
        Adopted::Credential { organisation, user } => {
            let mut all = owner(organisation)
                .into_iter()
                .flat_map(|one| &one.credential);
            let found = all.find(|one| one.user == *user).map(|credential| {
                json!({
                    "user": credential.user,
                    "inbound_connector": credential.inbound_connector,
                    "source_addresses": credential.source_addresses,
                })
            });
            ("credential", organisation, user, found)
        }
    };
    let mut made = found.unwrap_or_else(|| json!({ "name": name }));
    made["kind_of_object"] = json!(kind);
    made["organisation"] = json!(organisation);
    made
}
