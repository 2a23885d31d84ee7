//! Refused attempts: what knocked and was turned away, grouped.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_store::store::RefusedGroup;
use relais_store::trace::{To, parse_since};

use crate::context::AdminContext;
use crate::problem::{Parameters, Problem};

/// Groups of an answer at most.
const GROUPS_MAX: usize = 1_000;
/// How far back where nothing else is asked for.
const SINCE_DEFAULT: &str = "24h";

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/attempts", get(list))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    since: Option<String>,
    limit: Option<usize>,
}

async fn list(
    State(context): State<AdminContext>,
    Parameters(selection): Parameters<Selection>,
) -> Result<Json<Value>, Problem> {
    let since = selection.since.as_deref().unwrap_or(SINCE_DEFAULT);
    let since = parse_since(since, context.clock.now())?;
    let limit = selection.limit.unwrap_or(GROUPS_MAX).clamp(1, GROUPS_MAX);
    let groups = context.store.refused(since, limit).await?;
    let groups: Vec<_> = groups.iter().map(group_json).collect();
    Ok(Json(json!({ "attempts": groups })))
}

/// One line of `relais --json attempts list`.
fn group_json(group: &RefusedGroup) -> Value {
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
    })
}
