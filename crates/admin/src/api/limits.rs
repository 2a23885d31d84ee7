//! Limits, and how they stand: used, waiting, what comes; and setting one.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Extension, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::{ByteCount, Document, Limit, Limits};
use relais_policy::limit::{LimitKey, LimitName, OpenConnections, Proposal, Use, Whose, place};
use relais_store::counts;
use relais_store::trace::parse_since;

use super::settings::{Intent, change};
use super::suppression::organisation_named;
use crate::context::{AdminContext, Caller};
use crate::limits::{connections, overview};
use crate::problem::{Input, Problem};

/// Rows of each organisation in one answer where nothing else is asked for.
const ROWS_DEFAULT: usize = 1_000;
/// Rows of each organisation in one answer.
const ROWS_MAX: usize = 10_000;
/// Proposals are learnt from so long.
const PROPOSED_SINCE: &str = "30d";

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/limits", get(list))
        .route("/limits/proposals", get(proposals))
        .route("/limits/set", post(set))
}

#[derive(Deserialize)]
struct Asked {
    limit: Option<usize>,
}

/// Of each organisation devices and senders last, those that are used most first, so that a bound
/// cuts the idle ones.
async fn list(
    State(context): State<AdminContext>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let all = overview(&context, context.clock.now()).await?;
    let most = asked.limit.unwrap_or(ROWS_DEFAULT).min(ROWS_MAX);
    let mut shown: HashMap<Arc<str>, usize> = HashMap::new();
    let mut has_room = |organisation: &Arc<str>| {
        let count = shown.entry(Arc::clone(organisation)).or_insert(0);
        *count += 1;
        *count <= most
    };
    let all = all.iter().filter(|(name, _)| has_room(&name.organisation));
    let mut rows: Vec<_> = all.map(row).collect();
    let open = connections(&context);
    let open = open.iter().filter(|one| has_room(&one.organisation));
    rows.extend(open.map(row_of_connections));
    Ok(Json(json!({ "limits": rows })))
}

#[derive(Deserialize)]
struct Observed {
    since: Option<String>,
}

/// What limits could be, by what was seen.
async fn proposals(
    State(context): State<AdminContext>,
    Query(asked): Query<Observed>,
) -> Result<Json<Value>, Problem> {
    let now = context.clock.now();
    let since = asked.since.as_deref().unwrap_or(PROPOSED_SINCE);
    let since = parse_since(since, now)?;
    let observation = counts::observe(&context.store, since, now).await?;
    let settings = context.store.settings();
    let rows: Vec<_> = observation
        .proposals(&settings)
        .iter()
        .map(proposal)
        .collect();
    Ok(Json(json!({
        "since": observation.since().to_rfc3339(),
        "proposals": rows,
    })))
}

fn proposal(one: &Proposal) -> Value {
    json!({
        "organisation": &*one.organisation,
        "kind": one.whose.kind(),
        "whose": one.whose.value(),
        "inbound_connector": one.whose.connector().map(|connector| &**connector),
        "limit": one.key.name(),
        "messages": one.messages,
        "current": one.current,
        "peak": one.peak,
        "proposed": one.proposed,
    })
}

/// The JSON of one limit.
pub(crate) fn row((name, used): &(LimitName, Use)) -> Value {
    let reached = used.forecast.reached.map(|time| time.to_rfc3339());
    json!({
        "organisation": &*name.organisation,
        "kind": name.whose.kind(),
        "whose": name.whose.value(),
        "inbound_connector": name.whose.connector().map(|connector| &**connector),
        "limit": name.key.name(),
        "value": used.limit.value,
        "hard": used.limit.hard,
        "used": used.used,
        "waiting": used.waiting,
        "percent": used.percent(),
        "warning": used.is_warning(),
        "at_this_pace": used.forecast.at_this_pace,
        "reached_at": reached,
    })
}

/// The same of connections: nothing waits, and nothing is to come.
fn row_of_connections(one: &OpenConnections) -> Value {
    json!({
        "organisation": &*one.organisation,
        "kind": one.whose.kind(),
        "whose": one.whose.value(),
        "inbound_connector": one.whose.connector().map(|connector| &**connector),
        "limit": "connections",
        "value": one.limit.value,
        "hard": one.limit.hard,
        "used": one.open,
        "waiting": 0,
        "percent": one.percent(),
        "warning": one.is_warning(),
        "at_this_pace": one.open,
        "reached_at": null,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    #[serde(default)]
    organisation: Option<String>,
    kind: String,
    #[serde(default)]
    whose: Option<String>,
    limit: String,
    /// Absent: there is to be none.
    #[serde(default)]
    value: Option<u64>,
    #[serde(default)]
    hard: bool,
    #[serde(default)]
    dry_run: bool,
}

/// One limit of one owner; all else stays as it is.
async fn set(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Set>,
) -> Result<Json<Value>, Problem> {
    let name = organisation_named(&context.store.settings(), wanted.organisation.as_deref())?;
    let whose = owner_of(&wanted)?;
    let make = |current: &Document| {
        let mut document = current.clone();
        let mut all = document.organisation.iter_mut();
        let owner = all.find(|one| one.name == name);
        let limits = owner.and_then(|owner| place(owner, &whose));
        let (kind, of) = (&wanted.kind, wanted.whose.as_deref().unwrap_or_default());
        let limits =
            limits.ok_or_else(|| Problem::not_found(format!("There is no {kind} \"{of}\".")))?;
        write(limits, &wanted)?;
        Ok(document)
    };
    let intent = Intent::dry_run(wanted.dry_run);
    let changed = change(&context, &caller, intent, None, make).await?;
    Ok(Json(changed.to_json()))
}

/// Of devices and senders it is the limit of each.
fn owner_of(wanted: &Set) -> Result<Whose, Problem> {
    let name = || -> Result<Arc<str>, Problem> {
        let name = wanted.whose.as_deref().filter(|name| !name.is_empty());
        let missing = || Problem::bad_request(format!("Say which {}.", wanted.kind));
        name.map(Into::into).ok_or_else(missing)
    };
    Ok(match wanted.kind.as_str() {
        "organisation" => Whose::Organisation,
        "sender" => Whose::Sender(None),
        "connector" => Whose::Connector(name()?),
        "device" => Whose::Device {
            connector: name()?,
            address: None,
        },
        "credential" => Whose::Credential(name()?),
        "domain" => Whose::Domain(name()?),
        other => {
            let detail = format!(
                "\"{other}\" is none of organisation, connector, device, credential, domain, sender."
            );
            return Err(Problem::bad_request(detail));
        }
    })
}

fn write(limits: &mut Limits, wanted: &Set) -> Result<(), Problem> {
    let hard = wanted.hard;
    let limit = wanted.value.map(|value| Limit { value, hard });
    match (wanted.limit.as_str(), LimitKey::parse(&wanted.limit)) {
        (_, Some(key)) => *key.place(limits) = limit,
        ("connections", _) => limits.connections = limit,
        ("message_size_max", _) => limits.message_size_max = wanted.value.map(ByteCount),
        (other, None) => {
            let windows = LimitKey::ALL.map(LimitKey::name).join(", ");
            let detail =
                format!("\"{other}\" is none of {windows}, connections, message_size_max.");
            return Err(Problem::bad_request(detail));
        }
    }
    Ok(())
}
