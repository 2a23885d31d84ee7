//! How the server is: one screen, and yes or no.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::context::{AdminContext, unready};
use crate::problem::Problem;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/status", get(status))
        .route("/health", get(health))
        .route("/store", get(store))
}

async fn status(State(context): State<AdminContext>) -> Json<Value> {
    let (counts, settings) = (context.store.counts(), context.store.settings());
    let age = counts
        .oldest
        .map(|oldest| context.clock.now().since(oldest).as_secs());
    let because = unready(&context);
    let domains = settings
        .document
        .organisation
        .iter()
        .map(|one| one.domain.len())
        .sum::<usize>();
    let connectors = settings
        .document
        .organisation
        .iter()
        .map(|one| one.inbound_connector.len())
        .sum::<usize>();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": because.is_none(),
        "queued": counts.queued,
        "deferred": counts.deferred,
        "held": counts.held,
        "oldest_age_s": age,
        "because": because,
        "hostname": context.hostname,
        "settings_version": settings.version,
        "organisations": settings.document.organisation.len(),
        "domains": domains,
        "inbound_connectors": connectors,
    }))
}

async fn health(State(context): State<AdminContext>) -> Json<Value> {
    let because = unready(&context);
    Json(json!({ "live": true, "ready": because.is_none(), "because": because }))
}

async fn store(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let counts = context.store.counts();
    Ok(Json(json!({
        "kind": "embedded",
        "healthy": context.store.unhealthy().is_none(),
        "because": context.store.unhealthy(),
        "settings_version": context.store.settings().version,
        "queued": counts.queued,
        "deferred": counts.deferred,
        "held": counts.held,
        "suspended": context.store.suspended().await?,
    })))
}
