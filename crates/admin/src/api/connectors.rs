//! Connectors as they are in force, with their organisation.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use crate::context::AdminContext;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/connectors/inbound", get(inbound))
        .route("/connectors/outbound", get(outbound))
}

async fn inbound(State(context): State<AdminContext>) -> Json<Value> {
    let settings = context.store.settings();
    let organisations = settings.document.organisation.iter();
    let connectors: Vec<_> = organisations
        .flat_map(|one| one.inbound_connector.iter().map(|it| owned(&one.name, it)))
        .collect();
    Json(json!({ "connectors": connectors }))
}

async fn outbound(State(context): State<AdminContext>) -> Json<Value> {
    let settings = context.store.settings();
    let organisations = settings.document.organisation.iter();
    let connectors: Vec<_> = organisations
        .flat_map(|one| one.outbound_connector.iter().map(|it| owned(&one.name, it)))
        .collect();
    Json(json!({ "connectors": connectors }))
}

/// The connector's own fields with `organisation` beside them.
fn owned(organisation: &str, connector: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(connector).unwrap_or_else(|_| json!({}));
    value["organisation"] = json!(organisation);
    value
}
