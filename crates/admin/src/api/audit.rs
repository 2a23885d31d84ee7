//! The audit: who changed what, in a chain of hashes.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::AdminContext;
use crate::problem::{Parameters, Problem};

/// Entries of an answer at most.
const ENTRIES_MAX: usize = 10_000;
/// Entries of an answer where nothing else is asked for.
const ENTRIES_DEFAULT: usize = 100;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/audit", get(list))
        .route("/audit/verify", get(verify))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    limit: Option<usize>,
}

async fn list(
    State(context): State<AdminContext>,
    Parameters(selection): Parameters<Selection>,
) -> Result<Json<Value>, Problem> {
    let limit = selection
        .limit
        .unwrap_or(ENTRIES_DEFAULT)
        .clamp(1, ENTRIES_MAX);
    let entries = context.store.audit(limit).await?;
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| {
            json!({
                "number": entry.number,
                "time": entry.time.to_rfc3339(),
                "actor": entry.actor,
                "via": entry.via,
                "act": entry.act,
                "detail": entry.detail,
                "settings_version": entry.settings_version,
                "hash": entry.hash,
            })
        })
        .collect();
    Ok(Json(json!({ "entries": entries })))
}

async fn verify(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let wrong = context.store.verify_audit().await?;
    Ok(Json(
        json!({ "intact": wrong.is_none(), "first_wrong": wrong }),
    ))
}
