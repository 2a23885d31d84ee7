//! Limits of organisations and connectors, and how much of them is used. The counts are those that
//! were kept last, half a minute ago at most.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use relais_policy::document::Limits;
use relais_policy::limit::{LimitKey, LimitName, Meter};
use relais_store::shelf::Shelf;

use crate::context::AdminContext;
use crate::problem::Problem;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/limits", get(list))
}

async fn list(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let kept = context.store.shelf(Shelf::Limit).await?;
    let kept: BTreeMap<_, _> = kept.into_iter().map(|one| (one.key, one.value)).collect();
    let now = context.clock.now();
    let mut rows = Vec::new();
    let mut add = |organisation: &Arc<str>, connector: Option<&str>, limits: &Limits| {
        for key in LimitKey::ALL {
            let Some(limit) = key.of(limits) else {
                continue;
            };
            let name = LimitName {
                organisation: Arc::clone(organisation),
                connector: connector.map(Into::into),
                key,
            };
            let text = kept.get(&name.to_text()).map_or("", String::as_str);
            let meter = Meter::from_text(key, text, now);
            rows.push(json!({
                "organisation": &**organisation,
                "inbound_connector": connector,
                "limit": key.name(),
                "value": limit.value,
                "hard": limit.hard,
                "used": meter.used(now),
                "waiting": meter.waiting(now),
            }));
        }
    };
    for organisation in &context.store.settings().document.organisation {
        let name: Arc<str> = organisation.name.as_str().into();
        add(&name, None, &organisation.limits);
        for connector in &organisation.inbound_connector {
            add(&name, Some(&connector.name), &connector.limits);
        }
    }
    Ok(Json(json!({ "limits": rows })))
}
