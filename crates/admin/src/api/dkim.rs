//! DKIM keys: which there are and where they stand; made, rotated, looked for and retired.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::dkim::{DomainKeys, Key, KeyState};
use relais_policy::document::{Dkim, DkimAlgorithm};
use relais_policy::proof::ProofKey;
use relais_policy::settings::Settings;
use relais_smtp::time::Timestamp;

use super::domains::{asked, find};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Parameters, Problem};
use crate::signing_keys::{self, KeysError, Standing};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/dkim", get(list))
        .route("/dkim/{domain}/generate", post(generate))
        .route("/dkim/{domain}/rotate", post(rotate))
        .route("/dkim/{domain}/activate", post(activate))
        .route("/dkim/{domain}/retire", post(retire))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    #[serde(default)]
    domain: Option<String>,
    #[serde(default)]
    organisation: Option<String>,
}

async fn list(
    State(context): State<AdminContext>,
    Parameters(selection): Parameters<Selection>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let of_it = match &selection.domain {
        Some(name) => vec![find(&settings, name, selection.organisation.as_deref())?],
        None => settings.domains().map(|(key, _)| key).collect(),
    };
    let domains: Vec<_> = (of_it.iter())
        .filter_map(|key| domain_json(&settings, key))
        .collect();
    Ok(Json(json!({ "domains": domains })))
}

/// `{"organisation","domain","standing","keys":[…]}`
fn domain_json(settings: &Settings, key: &ProofKey) -> Option<Value> {
    let Standing { keys, wanted } = signing_keys::standing(settings, key)?;
    let keys = keys.unwrap_or_default();
    let rows: Vec<_> = keys.keys.iter().map(|one| key_json(key, one)).collect();
    Some(json!({
        "organisation": key.organisation,
        "domain": key.domain.as_str(),
        "standing": keys.standing(&wanted).name(),
        "keys": rows,
        "checked_at": keys.looked_at.map(Timestamp::to_rfc3339),
    }))
}

fn key_json(of: &ProofKey, key: &Key) -> Value {
    json!({
        "selector": key.selector,
        "algorithm": key.algorithm.name(),
        "state": key.state.name(),
        "since": key.since.to_rfc3339(),
        "made_at": key.made_at.to_rfc3339(),
        "missing_since": key.missing_since.map(Timestamp::to_rfc3339),
        "name": format!("{}._domainkey.{}", key.selector, of.domain),
        "type": "TXT",
        "value": key.record(),
        "seen": key.seen,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    #[serde(default)]
    organisation: Option<String>,
    #[serde(default)]
    selector: Option<String>,
    /// Activated without DNS: somebody on this machine says so.
    #[serde(default)]
    assume: bool,
    #[serde(default)]
    algorithm: Option<DkimAlgorithm>,
}

async fn generate(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Input(whose): Input<Whose>,
) -> Result<Json<Value>, Problem> {
    let key = find(
        &context.store.settings(),
        &name,
        whose.organisation.as_deref(),
    )?;
    let choose = |keys: &DomainKeys, wanted: &Dkim, now| {
        if wanted.enabled {
            return Ok(keys.due(wanted, now));
        }
        Err(KeysError::Off(key.domain.clone()))
    };
    signing_keys::make(&context, &key, choose, &caller).await?;
    answer(&context, &key)
}

async fn rotate(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Input(whose): Input<Whose>,
) -> Result<Json<Value>, Problem> {
    let key = find(
        &context.store.settings(),
        &name,
        whose.organisation.as_deref(),
    )?;
    let choose = |keys: &DomainKeys, wanted: &Dkim, _| {
        if !wanted.enabled {
            return Err(KeysError::Off(key.domain.clone()));
        }
        let chosen = wanted.algorithms.iter();
        let chosen = chosen.filter(|one| whose.algorithm.is_none_or(|only| only == **one));
        // A successor that waits already is the one that is asked for.
        let waits = |algorithm: &DkimAlgorithm| {
            let of_it = keys.keys.iter().filter(|key| key.algorithm == *algorithm);
            of_it.into_iter().any(|key| key.state == KeyState::Waiting)
        };
        let chosen = chosen.filter(|algorithm| !waits(algorithm));
        let next = chosen.map(|algorithm| keys.successor(*algorithm));
        next.collect::<Option<Vec<_>>>()
            .ok_or(KeysError::NoSelector)
    };
    signing_keys::make(&context, &key, choose, &caller).await?;
    answer(&context, &key)
}

async fn activate(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Input(whose): Input<Whose>,
) -> Result<Json<Value>, Problem> {
    let key = find(
        &context.store.settings(),
        &name,
        whose.organisation.as_deref(),
    )?;
    if !whose.assume {
        signing_keys::look(&context, asked(&context)?, &key, &caller).await?;
        return answer(&context, &key);
    }
    let by_hand = |before: &DomainKeys, wanted: &Dkim, now| {
        let meant = |one: &&Key| match &whose.selector {
            Some(selector) => one.selector == *selector,
            None => one.state == KeyState::Waiting,
        };
        let mut after = (before.clone(), Vec::new());
        for one in before.keys.iter().filter(meant) {
            let (keys, changes) = after.0.activated_by_hand(&one.selector, wanted, now);
            after = (keys, [after.1, changes].concat());
        }
        Ok(after)
    };
    signing_keys::change(&context, &key, &caller, by_hand).await?;
    answer(&context, &key)
}

async fn retire(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Input(whose): Input<Whose>,
) -> Result<Json<Value>, Problem> {
    let key = find(
        &context.store.settings(),
        &name,
        whose.organisation.as_deref(),
    )?;
    let selector = whose.selector.unwrap_or_default();
    let out_of_use = |before: &DomainKeys, _: &Dkim, now| {
        if before.key(&selector).is_none() {
            return Err(KeysError::NoKey(selector.clone()));
        }
        let last = || KeysError::LastOne(key.domain.clone());
        before.without(&selector, now).ok_or_else(last)
    };
    signing_keys::change(&context, &key, &caller, out_of_use).await?;
    answer(&context, &key)
}

fn answer(context: &AdminContext, key: &ProofKey) -> Result<Json<Value>, Problem> {
    let object = domain_json(&context.store.settings(), key);
    object.map(Json).ok_or_else(|| KeysError::Gone.into())
}

impl From<KeysError> for Problem {
    fn from(error: KeysError) -> Self {
        let status = match &error {
            KeysError::Secret(error) => return error.clone().into(),
            KeysError::Store(error) => return error.clone().into(),
            KeysError::Gone | KeysError::NoKey(_) => StatusCode::NOT_FOUND,
            KeysError::Off(_)
            | KeysError::NoSelector
            | KeysError::LastOne(_)
            | KeysError::Conflict => StatusCode::CONFLICT,
            KeysError::Key(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}
