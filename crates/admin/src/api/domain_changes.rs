//! Accepted domains added, changed and removed one at a time; the rest of the settings stays as it
//! is, whoever changes it meanwhile.
//!
//! Not here: where a domain stands, and its proof (`domains`).

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use relais_policy::document::{AcceptedDomain, Document, Organisation};
use relais_policy::proof::ProofKey;
use relais_smtp::domain::Domain;

use super::domains::find;
use super::settings::{Intent, change};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

/// Keys that can be given here. How a domain is proved is said where it is proved.
const KEYS: [&str; 4] = ["kind", "subdomains", "mailbox_host", "bounce_domain"];

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/domains", post(add))
        .route("/domains/{name}/set", post(set))
        .route("/domains/{name}/remove", post(remove))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    name: String,
    /// May be left out where there is one only.
    #[serde(default)]
    organisation: Option<String>,
    #[serde(default)]
    keys: Map<String, Value>,
    #[serde(default)]
    dry_run: bool,
}

async fn add(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Add>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let typed = wanted.name.trim();
    let name = Domain::parse(typed)
        .map_err(|error| Problem::bad_request(format!("\"{typed}\": {error}.")))?;
    let made = with_keys(AcceptedDomain::new(name.to_string()), &wanted.keys)?;
    let make = |current: &Document| {
        let mut document = current.clone();
        let owner = owner(&mut document, &caller, wanted.organisation.as_deref())?;
        if owner.domain.iter().any(|one| is_named(one, &name)) {
            let detail = format!("{} has the domain {name} already.", owner.name);
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        owner.domain.push(made.clone());
        Ok(document)
    };
    let intent = Intent::dry_run(wanted.dry_run);
    let changed = change(&context, &caller, intent, None, make).await?;
    Ok((StatusCode::CREATED, Json(changed.to_json())))
}

/// Whose it is to be, among those whom the caller sees.
fn owner<'a>(
    document: &'a mut Document,
    caller: &Caller,
    named: Option<&str>,
) -> Result<&'a mut Organisation, Problem> {
    let all = document.organisation.iter_mut();
    let mut seen: Vec<_> = all.filter(|one| caller.rights.sees(&one.name)).collect();
    match named.filter(|name| !name.is_empty()) {
        Some(name) => {
            let found = seen.into_iter().find(|one| one.name == name);
            found.ok_or_else(|| Problem::not_found(format!("There is no organisation {name}.")))
        }
        None => match seen.len() {
            1 => Ok(seen.swap_remove(0)),
            0 => Err(Problem::bad_request("There is no organisation yet.")),
            _ => Err(Problem::bad_request("Say whose domain it is to be.")),
        },
    }
}

fn is_named(domain: &AcceptedDomain, name: &Domain) -> bool {
    Domain::parse(&domain.name).as_ref() == Ok(name)
}

fn with_keys(domain: AcceptedDomain, keys: &Map<String, Value>) -> Result<AcceptedDomain, Problem> {
    let mut whole = json!(domain);
    for (key, value) in keys {
        if !KEYS.contains(&key.as_str()) {
            let detail = format!("{key} is none of {}.", KEYS.join(", "));
            return Err(Problem::bad_request(detail));
        }
        whole[key] = value.clone();
    }
    serde_json::from_value(whole)
        .map_err(|error| Problem::bad_request(format!("The keys do not fit: {error}.")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    #[serde(default)]
    organisation: Option<String>,
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
    let settings = context.store.settings();
    let key = find(&settings, &name, wanted.organisation.as_deref())?;
    let make = |current: &Document| {
        let mut document = current.clone();
        let found = domain(&mut document, &key)?;
        *found = with_keys(found.clone(), &wanted.keys)?;
        Ok(document)
    };
    let intent = Intent::dry_run(wanted.dry_run);
    let changed = change(&context, &caller, intent, None, make).await?;
    Ok(Json(changed.to_json()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    #[serde(default)]
    organisation: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

async fn remove(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Input(wanted): Input<Remove>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let key = find(&settings, &name, wanted.organisation.as_deref())?;
    let make = |current: &Document| {
        let mut document = current.clone();
        domain(&mut document, &key)?;
        let owners = document.organisation.iter_mut();
        for owner in owners.filter(|one| *one.name == *key.organisation) {
            owner.domain.retain(|one| !is_named(one, &key.domain));
        }
        Ok(document)
    };
    let intent = Intent::dry_run(wanted.dry_run);
    let changed = change(&context, &caller, intent, None, make).await?;
    Ok(Json(changed.to_json()))
}

fn domain<'a>(
    document: &'a mut Document,
    key: &ProofKey,
) -> Result<&'a mut AcceptedDomain, Problem> {
    let owners = document.organisation.iter_mut();
    let own = owners.filter(|one| *one.name == *key.organisation);
    let mut domains = own.flat_map(|one| one.domain.iter_mut());
    let found = domains.find(|one| is_named(one, &key.domain));
    found.ok_or_else(|| {
        let detail = format!("The domain {} has just been removed.", key.domain);
        Problem::not_found(detail)
    })
}
