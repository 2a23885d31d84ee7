//! Keys of the API: who has which, new ones, and their end. New ones are made over the local
//! socket and by owners in the admin centre only: a key makes no keys.

use std::collections::HashMap;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_smtp::time::Timestamp;

use super::restricted::end_of;
use crate::context::{AdminContext, Caller};
use crate::keys::{self, ApiKey, By, KeyError, Wish};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/api-keys", get(list).post(add))
        .route("/api-keys/{id}/revoke", post(revoke))
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        let status = match error {
            KeyError::Wish(_) => StatusCode::BAD_REQUEST,
            KeyError::TooMany => StatusCode::CONFLICT,
            KeyError::Unknown(_) => StatusCode::NOT_FOUND,
            KeyError::Store(error) => return error.into(),
        };
        Self::new(status, format!("{error}."))
    }
}

async fn list(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let keys = keys::list(&context.store).await?;
    let uses: HashMap<_, _> = keys::uses(&context.store).await?.into_iter().collect();
    let now = context.clock.now();
    let rows = keys
        .iter()
        .map(|key| key_json(key, uses.get(&key.id).copied(), now));
    Ok(Json(json!({ "keys": rows.collect::<Vec<_>>() })))
}

fn key_json(key: &ApiKey, last_used: Option<Timestamp>, now: Timestamp) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes(),
        "organisation": key.organisation,
        "credential": key.credential,
        "since": key.since,
        "by": key.by,
        "expires": key.expires().map(Timestamp::to_rfc3339),
        "is_over": key.is_over(now),
        "last_used": last_used.map(Timestamp::to_rfc3339),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    name: String,
    scopes: Vec<String>,
    #[serde(default)]
    organisation: Option<String>,
    #[serde(default)]
    credential: Option<String>,
    /// `90d`, a day or an RFC 3339 time.
    #[serde(default)]
    expires: Option<String>,
}

/// As [`list`] tells it, with `key`; the only time that it is told.
async fn add(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Add>,
) -> Result<Json<Value>, Problem> {
    let expires = end_of(&context, wanted.expires.as_deref())?;
    let organisation = belongs(&context, &wanted)?;
    let wish = Wish {
        name: wanted.name,
        scopes: wanted.scopes,
        organisation,
        credential: wanted.credential,
        expires,
    };
    let by = by(&context, &caller);
    let (whole, key) = keys::add(&context.store, &context.chance, wish, &by).await?;
    let mut told = key_json(&key, None, context.clock.now());
    told["key"] = json!(whole);
    Ok(Json(told))
}

/// The organisation that the key is bound to: a credential's own where one is named.
fn belongs(context: &AdminContext, wanted: &Add) -> Result<Option<String>, Problem> {
    let settings = context.store.settings();
    let organisation = wanted.organisation.as_deref();
    if let Some(name) = organisation.filter(|name| settings.organisation(name).is_none()) {
        let detail = format!("There is no organisation \"{name}\".");
        return Err(Problem::not_found(detail));
    }
    let Some(user) = wanted.credential.as_deref() else {
        return Ok(organisation.map(ToOwned::to_owned));
    };
    let owner = settings.credential(user);
    let owner = owner.map(|(owner, _)| owner.organisation.name.as_str());
    let own = owner.filter(|own| organisation.is_none_or(|name| name == *own));
    let own = own.ok_or_else(|| Problem::not_found(format!("There is no credential {user}.")))?;
    Ok(Some(own.to_owned()))
}

async fn revoke(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let by = by(&context, &caller);
    let key = keys::revoke(&context.store, &id, &by).await?;
    Ok(Json(json!({ "revoked": key.id, "name": key.name })))
}

fn by<'a>(context: &AdminContext, caller: &'a Caller) -> By<'a> {
    By {
        actor: &caller.actor,
        via: caller.via,
        now: context.clock.now(),
    }
}
