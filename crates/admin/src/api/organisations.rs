//! Organisations: at a glance, new ones, and their keys without the lists below.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use relais_policy::document::{Document, Organisation};

use super::settings::{Intent, change};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

/// Keys that can be changed here; what is below an organisation has its own nouns.
const KEYS: [&str; 9] = [
    "display_name",
    "postmaster",
    "language",
    "limits",
    "licences",
    "inbound_content",
    "subjects",
    "content_days",
    "content_max",
];

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/organisations", get(list).post(add))
        .route("/organisations/{name}/set", post(set))
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

#[derive(Deserialize)]
struct Add {
    name: String,
    #[serde(flatten)]
    keys: Map<String, Value>,
}

async fn add(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Add>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let made = with_keys(json!({ "name": wanted.name }), &wanted.keys)?;
    let make = |current: &Document| {
        let mut document = current.clone();
        if document
            .organisation
            .iter()
            .any(|one| one.name == wanted.name)
        {
            let detail = format!("There is an organisation {} already.", wanted.name);
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        document.organisation.push(made.clone());
        Ok(document)
    };
    let changed = change(&context, &caller, Intent::Store, None, make).await?;
    Ok((StatusCode::CREATED, Json(changed.to_json())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    keys: Map<String, Value>,
    #[serde(default)]
    dry_run: bool,
}

async fn set(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Input(wanted): Input<Set>,
) -> Result<Json<Value>, Problem> {
    let make = |current: &Document| {
        let mut document = current.clone();
        let mut all = document.organisation.iter_mut();
        let found = all.find(|one| one.name == name && caller.rights.sees(&one.name));
        let found =
            found.ok_or_else(|| Problem::not_found(format!("There is no organisation {name}.")))?;
        *found = with_keys(json!(found), &wanted.keys)?;
        Ok(document)
    };
    let intent = Intent::dry_run(wanted.dry_run);
    let changed = change(&context, &caller, intent, None, make).await?;
    Ok(Json(changed.to_json()))
}

/// The organisation with these keys over its own.
fn with_keys(mut organisation: Value, keys: &Map<String, Value>) -> Result<Organisation, Problem> {
    for (key, value) in keys {
        if !KEYS.contains(&key.as_str()) {
            let detail = format!("{key} is none of {}.", KEYS.join(", "));
            return Err(Problem::bad_request(detail));
        }
        organisation[key] = value.clone();
    }
    serde_json::from_value(organisation)
        .map_err(|error| Problem::bad_request(format!("The keys do not fit: {error}.")))
}
