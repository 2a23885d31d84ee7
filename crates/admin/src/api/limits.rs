//! Limits, and how they stand: used, waiting, what comes.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::limit::{LimitName, Proposal, Use};
use relais_store::counts;
use relais_store::trace::parse_since;

use crate::context::AdminContext;
use crate::limits::overview;
use crate::problem::Problem;

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
    let mut shown: HashMap<&str, usize> = HashMap::new();
    let mut has_room = |organisation| {
        let count = shown.entry(organisation).or_insert(0);
        *count += 1;
        *count <= most
    };
    let all = all.iter().filter(|(name, _)| has_room(&name.organisation));
    let rows: Vec<_> = all.map(row).collect();
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
