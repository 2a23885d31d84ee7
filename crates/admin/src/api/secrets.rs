//! Secrets at rest: which there are, the change of their master key, and of the keys of
//! envelope senders. Never a value.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_net::login::KeptName;
use relais_smtp::time::Timestamp;
use relais_store::secret::{KeyId, SecretEntry, SecretError, SecretKind, SecretName};
use relais_store::shelf::ShelfAudit;
use relais_store::store::{BounceKeyError, OldAddresses};

use super::suppression::organisation_named;
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/secrets", get(list))
        .route("/secrets/rotate-key", post(rotate_key))
        .route("/secrets/rotate-bounce-key", post(rotate_bounce_key))
        .route("/secrets/forget", post(forget))
}

async fn list(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    // Without a server no key is looked for: whether one can be read is not known then.
    let key = context.store.master_key();
    let row = |entry: &SecretEntry| {
        json!({
            "organisation": entry.name.organisation,
            "kind": entry.name.kind.name(),
            "name": entry.name.name,
            "since": entry.since.to_rfc3339(),
            "key": entry.key.to_string(),
            "readable": context.dns.as_ref().map(|_| entry.readable),
        })
    };
    let entries: Vec<_> = context.store.secrets().await?.iter().map(row).collect();
    Ok(Json(json!({
        "key": key.as_ref().map(|(key, _)| key.to_string()),
        "source": key.as_ref().map(|(_, source)| source.to_string()),
        "secrets": entries,
    })))
}

async fn rotate_key(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let told = |old: &KeyId, new: &KeyId| ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act: "secret.key-rotated",
        detail: vec![format!("key {old} → key {new}")],
    };
    let before = context.store.master_key().map(|(key, _)| key.to_string());
    let (fresh, now) = (context.chance.octets(), context.clock.now());
    let (key, secrets) = context.store.change_master_key(fresh, now, told).await?;
    Ok(Json(json!({
        "key": key.to_string(),
        "before": before,
        "secrets": secrets,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBounceKey {
    /// Absent: the only organisation.
    #[serde(default)]
    organisation: Option<String>,
    /// What was signed until now counts no more.
    #[serde(default)]
    revoke: bool,
}

/// `{"organisation","before_counts_until"}`
async fn rotate_bounce_key(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<RotateBounceKey>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let organisation = organisation_named(&settings, wanted.organisation.as_deref())?;
    let (old, words) = match wanted.revoke {
        true => (OldAddresses::Revoked, "; what it signed counts no more"),
        false => (OldAddresses::Count, ""),
    };
    let audit = ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act: "secret.bounce-key-rotated",
        detail: vec![format!("key of envelope senders of {organisation}{words}")],
    };
    let (fresh, now) = (context.chance.octets(), context.clock.now());
    let keys = context
        .store
        .rotate_bounce_keys(&organisation, (fresh, old), now, audit);
    let until = keys.await?.before_counts_until(now);
    Ok(Json(json!({
        "organisation": organisation,
        "before_counts_until": until.map(Timestamp::to_rfc3339),
    })))
}

impl From<BounceKeyError> for Problem {
    fn from(error: BounceKeyError) -> Self {
        match error {
            BounceKeyError::Secret(error) => error.into(),
            BounceKeyError::TooSoon(_) => {
                let detail = format!("{error}; revoke it if it is known to others.");
                Self::new(StatusCode::CONFLICT, detail)
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forget {
    #[serde(default)]
    organisation: String,
    kind: String,
    name: String,
}

async fn forget(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(which): Input<Forget>,
) -> Result<Json<Value>, Problem> {
    let kind = SecretKind::parse(&which.kind)
        .ok_or_else(|| Problem::bad_request(format!("There is no kind {}.", which.kind)))?;
    let name = SecretName::new(which.organisation, kind, which.name);
    let kept = context.store.secrets().await?;
    if !kept.iter().any(|entry| entry.name == name) {
        return Err(Problem::not_found(format!("There is no {name}.")));
    }
    let audit = ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act: "secret.forgotten",
        detail: vec![name.to_string()],
    };
    let now = context.clock.now();
    context.store.forget_secret(&name, now, Some(audit)).await?;
    if let (Some(outbound), SecretKind::OauthToken) = (&context.outbound, kind) {
        let connector = name.name.split_once(' ').map(|(_, connector)| connector);
        let organisation = Arc::from(&*name.organisation);
        outbound
            .logins
            .forgotten(&organisation, connector.unwrap_or_default());
    }
    Ok(Json(json!({ "forgotten": name.to_string() })))
}

/// Where delivery looks for what is kept for a connector.
pub(super) fn stored_name(name: &KeptName) -> Result<SecretName, Problem> {
    let (kind, key) = name.place();
    let kind = SecretKind::parse(kind)
        .ok_or_else(|| Problem::bad_request(format!("There is no kind {kind}.")))?;
    Ok(SecretName::new(&*name.organisation, kind, key))
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        let status = match &error {
            SecretError::Store(error) => return error.clone().into(),
            SecretError::NoKey | SecretError::OtherKey { .. } | SecretError::ForeignKey(_) => {
                StatusCode::CONFLICT
            }
            SecretError::Damaged(_) | SecretError::Key(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}
