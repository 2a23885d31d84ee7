//! Credentials: made, listed, rotated, revoked. A password is shown once, in the answer that made
//! it; what is kept cannot be read back.

use std::collections::HashMap;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::{
    Credential, Document, Organisation, Span, parse_network, write_network,
};
use relais_policy::password::{Stored, new_password, store};
use relais_smtp::sasl::scram::Verifier;

use super::settings::{Intent, change};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/credentials", get(list).post(add))
        .route("/credentials/{user}/rotate", post(rotate))
        .route("/credentials/{user}/revoke", post(revoke))
        .route("/credentials/{user}/enable", post(enable))
        .route("/credentials/{user}/disable", post(disable))
}

async fn list(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let uses = context.store.credential_uses().await?;
    let uses: HashMap<_, _> = uses.iter().map(|one| (one.user.as_str(), one)).collect();
    let organisations = settings.document.organisation.iter();
    let credentials: Vec<_> = organisations
        .flat_map(|owner| owner.credential.iter().map(move |one| (owner, one)))
        .map(|(owner, one)| {
            let last = uses.get(one.user.as_str());
            json!({
                "user": one.user,
                "organisation": owner.name,
                "inbound_connector": one.inbound_connector,
                "may_send_as": one.may_send_as,
                "source_addresses": sources(one),
                "tls_min": one.tls_min,
                "enabled": one.enabled,
                "expires": told(&one.expires),
                "has_password": !one.password_hash.is_empty(),
                "previous_until": told(&one.previous_until),
                "last_used": last.map(|last| last.time.to_rfc3339()),
                "last_address": last.map(|last| last.address.to_string()),
            })
        })
        .collect();
    Ok(Json(json!({ "credentials": credentials })))
}

fn sources(one: &Credential) -> Vec<String> {
    one.source_addresses.iter().map(write_network).collect()
}

/// Empty is none.
fn told(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    /// Whose; may be left out where there is only one.
    organisation: Option<String>,
    user: String,
    inbound_connector: String,
    #[serde(default)]
    may_send_as: Vec<String>,
    #[serde(default)]
    source_addresses: Vec<String>,
    tls_min: Option<String>,
    expires: Option<String>,
}

async fn add(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Add>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (password, stored) = make_password(&context, None).await?;
    let make = |current: &Document| with_credential(current, &wanted, &stored);
    change(&context, &caller, Intent::Store, None, make).await?;
    let shown = shown(&wanted.user, &password, &wanted.inbound_connector);
    Ok((StatusCode::CREATED, shown))
}

fn with_credential(current: &Document, wanted: &Add, stored: &Stored) -> Result<Document, Problem> {
    let mut document = current.clone();
    let owner = owner(&mut document, wanted.organisation.as_deref())?;
    let name = &wanted.inbound_connector;
    if !owner.inbound_connector.iter().any(|one| one.name == *name) {
        return Err(Problem::not_found(format!(
            "{} has no inbound connector \"{name}\"; make it with `relais connector inbound add`, \
             or name another.",
            owner.name
        )));
    }
    if owner.credential.iter().any(|one| one.user == wanted.user) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!(
                "There is a credential {0} already; give it a new password with `relais credential \
                 rotate {0}`, or take another name.",
                wanted.user
            ),
        ));
    }
    let mut made = Credential::new(&wanted.user, name);
    made.password_hash.clone_from(&stored.password_hash);
    made.scram_sha_256.clone_from(&stored.scram_sha_256);
    made.may_send_as.clone_from(&wanted.may_send_as);
    for source in &wanted.source_addresses {
        let network = parse_network(source)
            .map_err(|error| Problem::bad_request(format!("source_addresses: {error}.")))?;
        made.source_addresses.push(network);
    }
    if let Some(least) = &wanted.tls_min {
        made.tls_min.clone_from(least);
    }
    if let Some(expires) = &wanted.expires {
        made.expires.clone_from(expires);
    }
    owner.credential.push(made);
    Ok(document)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    /// For so long the old password counts too.
    overlap: Span,
}

/// Longest overlap of two passwords: a month of devices on holiday.
const OVERLAP_SECONDS_MAX: u64 = 31 * 24 * 3_600;

async fn rotate(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(user): Path<String>,
    Input(wanted): Input<Rotate>,
) -> Result<Json<Value>, Problem> {
    let Span(seconds) = wanted.overlap;
    if seconds > OVERLAP_SECONDS_MAX {
        return Err(Problem::bad_request(
            "The old password may count for 31 days more at most; give a shorter overlap.",
        ));
    }
    // While both count, one salt must serve both: SCRAM tells it before it knows which was meant.
    let settings = context.store.settings();
    let old = settings.credential(&user).filter(|_| seconds > 0);
    let old = old.and_then(|(_, credential)| Verifier::parse(&credential.scram_sha_256));
    let (password, stored) = make_password(&context, old).await?;
    let until = context
        .clock
        .now()
        .after(std::time::Duration::from_secs(seconds))
        .to_rfc3339();
    let make = |current: &Document| {
        let mut document = current.clone();
        let credential = found(&mut document, &user)?;
        let old_hash =
            std::mem::replace(&mut credential.password_hash, stored.password_hash.clone());
        let old_verifier =
            std::mem::replace(&mut credential.scram_sha_256, stored.scram_sha_256.clone());
        let counts_on = seconds > 0 && !old_hash.is_empty();
        let keep = |old: String| if counts_on { old } else { String::new() };
        credential.previous_password_hash = keep(old_hash);
        credential.previous_scram_sha_256 = keep(old_verifier);
        credential.previous_until = keep(until.clone());
        Ok(document)
    };
    change(&context, &caller, Intent::Store, None, make).await?;
    let settings = context.store.settings();
    let connector = settings
        .credential(&user)
        .map(|(_, credential)| credential.inbound_connector.as_str());
    let mut shown = shown(&user, &password, connector.unwrap_or_default());
    if let Some((_, credential)) = settings.credential(&user) {
        shown.0["previous_until"] = json!(told(&credential.previous_until));
    }
    Ok(shown)
}

async fn revoke(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(user): Path<String>,
) -> Result<Json<Value>, Problem> {
    let make = |current: &Document| {
        let mut document = current.clone();
        found(&mut document, &user)?;
        for owner in &mut document.organisation {
            owner.credential.retain(|one| one.user != user);
        }
        Ok(document)
    };
    let changed = change(&context, &caller, Intent::Store, None, make).await?;
    Ok(Json(changed.to_json()))
}

async fn enable(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(user): Path<String>,
) -> Result<Json<Value>, Problem> {
    switch(&context, &caller, &user, true).await
}

async fn disable(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(user): Path<String>,
) -> Result<Json<Value>, Problem> {
    switch(&context, &caller, &user, false).await
}

async fn switch(
    context: &AdminContext,
    caller: &Caller,
    user: &str,
    enabled: bool,
) -> Result<Json<Value>, Problem> {
    let make = |current: &Document| {
        let mut document = current.clone();
        found(&mut document, user)?.enabled = enabled;
        Ok(document)
    };
    let changed = change(context, caller, Intent::Store, None, make).await?;
    Ok(Json(changed.to_json()))
}

/// A new password, and what is kept of it; its verifier with the salt of `old` if there is one.
/// Slow on purpose, so beside the requests, and few at a time with those who sign in.
async fn make_password(
    context: &AdminContext,
    old: Option<Verifier>,
) -> Result<(String, Stored), Problem> {
    let password = new_password(|bound| context.chance.below(bound));
    let salts = [context.chance.octets(), context.chance.octets()];
    let made = password.clone();
    let make = move || {
        let mut stored = store(&made, salts);
        if let Some(old) = old {
            stored.scram_sha_256 = old.renewed(made.as_bytes()).to_stored();
        }
        stored
    };
    let stored = context.people.work(make).await;
    let stored = stored.ok_or_else(|| {
        let detail = "The password could not be made; try again.";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    Ok((password, stored))
}

/// `{"user","password","inbound_connector"}`: the only time that the password is shown.
fn shown(user: &str, password: &str, connector: &str) -> Json<Value> {
    Json(json!({ "user": user, "password": password, "inbound_connector": connector }))
}

fn found<'a>(document: &'a mut Document, user: &str) -> Result<&'a mut Credential, Problem> {
    let mut all = document
        .organisation
        .iter_mut()
        .flat_map(|owner| owner.credential.iter_mut());
    all.find(|one| one.user == user).ok_or_else(|| {
        Problem::not_found(format!(
            "There is no credential {user}; `relais credential list` shows all."
        ))
    })
}

/// The organisation meant: the one named, or the only one.
fn owner<'a>(
    document: &'a mut Document,
    name: Option<&str>,
) -> Result<&'a mut Organisation, Problem> {
    let Some(name) = name else {
        return match document.organisation.as_mut_slice() {
            [only] => Ok(only),
            [] => Err(Problem::not_found(
                "There is no organisation yet; make one with `relais organisation add NAME`.",
            )),
            _ => Err(Problem::bad_request(
                "There are several organisations; name one with --organisation.",
            )),
        };
    };
    let mut all = document.organisation.iter_mut();
    all.find(|one| one.name == name)
        .ok_or_else(|| Problem::not_found(format!("There is no organisation {name}.")))
}
