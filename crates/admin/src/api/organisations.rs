//! Organisations at a glance.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::context::AdminContext;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/organisations", get(list))
}

async fn list(State(context): State<AdminContext>) -> Json<Value> {
    let settings = context.store.settings();
    let organisations: Vec<_> = settings
        .document
        .organisation
        .iter()
        .map(|organisation| {
            json!({
                "name": organisation.name,
                "display_name": organisation.display_name,
                "language": organisation.language,
                "postmaster": organisation.postmaster,
                "domains": organisation.domain.len(),
                "inbound_connectors": organisation.inbound_connector.len(),
                "outbound_connectors": organisation.outbound_connector.len(),
                "recipients": organisation.recipient.len(),
                "credentials": organisation.credential.len(),
            })
        })
        .collect();
    Json(json!({ "organisations": organisations }))
}
