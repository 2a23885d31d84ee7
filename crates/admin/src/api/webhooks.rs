//! Webhooks: which there are, new ones, keys, and what was sent there.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::{AdminContext, Caller};
use crate::people::hexadecimal;
use crate::problem::{Input, Parameters, Problem};
use crate::webhooks::{self, By, Delivery, Webhook, WebhookError, Wish};

/// Deliveries of an answer at most.
const DELIVERIES_MAX: usize = 1_000;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/webhooks", get(list).post(add))
        .route("/webhooks/{id}/rotate", post(rotate))
        .route("/webhooks/{id}/enable", post(enable))
        .route("/webhooks/{id}/disable", post(disable))
        .route("/webhooks/{id}/remove", post(remove))
        .route("/webhooks/{id}/test", post(test))
        .route("/webhooks/{id}/deliveries", get(deliveries))
        .route("/webhooks/{id}/resend", post(resend))
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        let status = match error {
            WebhookError::Wish(_) => StatusCode::BAD_REQUEST,
            WebhookError::TooMany => StatusCode::CONFLICT,
            WebhookError::Unknown(_) => StatusCode::NOT_FOUND,
            WebhookError::Store(error) => return error.into(),
            WebhookError::Secret(error) => return error.into(),
        };
        Self::new(status, format!("{error}."))
    }
}

fn hook_json(hook: &Webhook) -> Value {
    json!({
        "id": hook.id,
        "name": hook.name,
        "address": hook.address,
        "events": hook.events,
        "organisation": hook.organisation,
        "allow_private": hook.allow_private,
        "enabled": hook.enabled,
        "fault": hook.fault,
        "since": hook.since,
    })
}

async fn list(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let hooks = webhooks::list(&context.store).await?;
    let hooks: Vec<_> = hooks.iter().map(hook_json).collect();
    Ok(Json(json!({ "webhooks": hooks })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    name: String,
    address: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    organisation: Option<String>,
    #[serde(default)]
    allow_private: bool,
}

/// As [`list`] tells it, with `key`; the only time that it is told.
async fn add(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Add>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    if let Some(name) = &wanted.organisation
        && settings.organisation(name).is_none()
    {
        let detail = format!("There is no organisation \"{name}\".");
        return Err(Problem::not_found(detail));
    }
    // What is in our own network is nobody's business who is elsewhere.
    if wanted.allow_private && caller.via.door == "api" {
        let detail = "Private addresses are allowed on the server's machine only.";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let wish = Wish {
        name: wanted.name,
        address: wanted.address,
        events: wanted.events,
        organisation: wanted.organisation,
        allow_private: wanted.allow_private,
    };
    let by = by(&context, &caller);
    let (hook, key) = webhooks::add(&context.store, &context.chance, wish, &by).await?;
    context.duties.outbox.ring();
    Ok(Json(with_key(&hook, key)))
}

fn with_key(hook: &Webhook, key: String) -> Value {
    let mut told = hook_json(hook);
    told["key"] = json!(key);
    told
}

async fn rotate(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let by = by(&context, &caller);
    let (hook, key) = webhooks::rotate(&context.store, &context.chance, &id, &by).await?;
    context.duties.outbox.ring();
    Ok(Json(with_key(&hook, key)))
}

async fn enable(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    switch(&context, &caller, &id, true).await
}

async fn disable(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    switch(&context, &caller, &id, false).await
}

async fn switch(
    context: &AdminContext,
    caller: &Caller,
    id: &str,
    enabled: bool,
) -> Result<Json<Value>, Problem> {
    let by = by(context, caller);
    let hook = webhooks::switch(&context.store, id, enabled, &by).await?;
    context.duties.outbox.ring();
    Ok(Json(hook_json(&hook)))
}

async fn remove(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let by = by(&context, &caller);
    let hook = webhooks::remove(&context.store, &id, &by).await?;
    context.duties.outbox.ring();
    Ok(Json(json!({ "removed": hook.id, "name": hook.name })))
}

/// A post that says it is one: `relais.test`.
async fn test(
    State(context): State<AdminContext>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let hook = webhooks::find(&context.store, &id).await?;
    let message = format!("msg_{}", hexadecimal(&context.chance.octets::<12>()));
    let now = context.clock.now();
    let data = json!({ "webhook": hook.name }).to_string();
    let owed = Delivery::new(&hook, "relais.test", &data, message.clone(), now);
    context
        .duties
        .outbox
        .owe(&context.store, vec![owed], now)
        .await?;
    Ok(Json(json!({ "delivery": message })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    limit: Option<usize>,
}

/// Newest first.
async fn deliveries(
    State(context): State<AdminContext>,
    Path(id): Path<String>,
    Parameters(selection): Parameters<Selection>,
) -> Result<Json<Value>, Problem> {
    let hook = webhooks::find(&context.store, &id).await?;
    let limit = selection.limit.unwrap_or(100).clamp(1, DELIVERIES_MAX);
    let rows = context.duties.outbox.of(&hook.id, limit).await;
    let rows = rows.iter().map(|one| {
        json!({
            "id": one.id,
            "event": one.kind,
            "state": one.state,
            "time": relais_smtp::time::Timestamp::from_millis(one.began_ms).to_rfc3339(),
            "tries": one.tries,
            "body": one.body,
        })
    });
    let rows: Vec<_> = rows.collect();
    Ok(Json(json!({ "deliveries": rows })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    delivery: String,
}

async fn resend(
    State(context): State<AdminContext>,
    Path(id): Path<String>,
    Input(which): Input<Again>,
) -> Result<Json<Value>, Problem> {
    let hook = webhooks::find(&context.store, &id).await?;
    let named = (hook.id.as_str(), which.delivery.as_str());
    let now = context.clock.now();
    if context
        .duties
        .outbox
        .again(&context.store, named, now)
        .await?
    {
        return Ok(Json(json!({ "delivery": which.delivery })));
    }
    let detail = format!("There is no delivery {}.", which.delivery);
    Err(Problem::not_found(detail))
}

fn by<'a>(context: &AdminContext, caller: &'a Caller) -> By<'a> {
    By {
        actor: &caller.actor,
        via: caller.via,
        now: context.clock.now(),
    }
}
