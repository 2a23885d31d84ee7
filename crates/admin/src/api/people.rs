//! Administrators of the admin centre, and the link that makes the first one.

use std::net::SocketAddr;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_net::tls::CertificateStore;

use crate::context::{AdminContext, Caller};
use crate::people::{Administrator, By, PeopleError, Place};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/setup-link", post(make_link))
        .route("/admins", get(list).post(add))
        .route("/admins/{name}/reset", post(reset))
        .route("/admins/{name}/role", post(set_place))
        .route("/admins/{name}/remove", post(remove))
        .route("/sessions", get(sessions))
        .route("/sessions/end", post(end_sessions))
}

impl From<PeopleError> for Problem {
    fn from(error: PeopleError) -> Self {
        let status = match error {
            PeopleError::Unknown | PeopleError::NoOrganisation(_) | PeopleError::NoConnector(_) => {
                StatusCode::NOT_FOUND
            }
            PeopleError::Taken
            | PeopleError::TooMany
            | PeopleError::Untried
            | PeopleError::NoLocalOwner
            | PeopleError::NoIssuer
            | PeopleError::LastOwner => StatusCode::CONFLICT,
            PeopleError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            PeopleError::Issuer(_) | PeopleError::IssuerAway(_) => StatusCode::BAD_GATEWAY,
            PeopleError::Name
            | PeopleError::PasskeyName
            | PeopleError::PasskeysFull
            | PeopleError::Passkey(_)
            | PeopleError::Password
            | PeopleError::Guessable
            | PeopleError::Wrong
            | PeopleError::Slowed
            | PeopleError::Connectorless
            | PeopleError::Late
            | PeopleError::Incomplete
            | PeopleError::NotHttps
            | PeopleError::NoRole(_)
            | PeopleError::NoRoleByDraft(_)
            | PeopleError::Link => StatusCode::BAD_REQUEST,
        };
        Self::new(status, format!("{error}.")).because(error)
    }
}

fn by<'a>(context: &AdminContext, caller: &'a Caller) -> By<'a> {
    By {
        actor: &caller.actor,
        via: caller.via,
        now: context.clock.now(),
    }
}

/// `{"address","expires_at","fingerprint","version"}`; the only time that the link is told.
/// `fingerprint`: SHA-256 of the certificate that the browser will see; null without TLS.
async fn make_link(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let centre = context.people.address().ok_or_else(|| {
        let detail = "The admin centre is closed: set [admin] address and restart the server.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let by = by(&context, &caller);
    let made = context
        .people
        .make_link(&context.store, &context.chance, &by);
    let (token, expires) = made.await?;
    let shown = context.certificates.of_centre.as_ref();
    let shown = shown.and_then(CertificateStore::current);
    let shown = shown.as_ref();
    Ok(Json(json!({
        "address": format!("{}/setup?t={token}", entrance(&context, centre)),
        "expires_at": expires.to_rfc3339(),
        "fingerprint": shown.map(|shown| shown.fingerprint().to_owned()),
        "self_signed": shown.map(|shown| shown.is_self_signed()),
        "version": env!("CARGO_PKG_VERSION"),
        "is_set_up": !context.store.settings().document.organisation.is_empty(),
    })))
}

/// The beginning of the centre's address as other machines reach it; none: they do not.
pub(super) fn reached_at(context: &AdminContext) -> Option<String> {
    let listens = context.people.address()?;
    (!listens.ip().is_loopback()).then(|| entrance(context, listens))
}

/// Where a browser finds the centre: by our name where it listens on every address.
fn entrance(context: &AdminContext, listens: SocketAddr) -> String {
    let scheme = if context.certificates.is_centre_encrypted() {
        "https"
    } else {
        "http"
    };
    if listens.ip().is_unspecified() {
        format!("{scheme}://{}:{}", context.hostname, listens.port())
    } else {
        format!("{scheme}://{listens}")
    }
}

async fn list(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let people = context.people.list(&context.store).await?;
    let people: Vec<_> = people
        .iter()
        .filter(|one| sees(&caller, one))
        .map(|one| {
            json!({
                "name": one.name,
                "role": one.role.name(),
                "organisation": one.organisation,
                "connector": one.connector,
                "second_factor": factor_since(one),
                "passkeys": one.passkeys.len(),
                "language": one.language,
                "since": one.since,
            })
        })
        .collect();
    Ok(Json(json!({ "admins": people })))
}

/// Since when more than the password is asked for; none: it is not.
fn factor_since(person: &Administrator) -> Option<&String> {
    let code = person.factor.iter().map(|factor| &factor.since);
    let passkeys = person.passkeys.iter().map(|passkey| &passkey.since);
    code.chain(passkeys).min()
}

/// People of one's own organisation; those of the installation see all.
fn sees(caller: &Caller, person: &Administrator) -> bool {
    let own = caller.rights.organisation();
    own.is_none() || person.organisation.as_deref() == own
}

/// The person, if the caller may see them; else they are not there.
async fn within_reach(
    context: &AdminContext,
    caller: &Caller,
    name: &str,
) -> Result<Administrator, Problem> {
    let found = context.people.find(&context.store, name).await?;
    let found = found.filter(|one| sees(caller, one));
    found.ok_or_else(|| PeopleError::Unknown.into())
}

/// A place within the caller's own reach: nobody makes a person who may more than they.
fn place(context: &AdminContext, caller: &Caller, mut wanted: Place) -> Result<Place, Problem> {
    if let Some(own) = caller.rights.organisation() {
        match wanted
            .organisation
            .as_deref()
            .filter(|name| !name.is_empty())
        {
            None => wanted.organisation = Some(own.to_owned()),
            Some(name) if name == own => {}
            Some(name) => return Err(PeopleError::NoOrganisation(name.to_owned()).into()),
        }
    }
    Ok(wanted.checked(&context.store.settings())?)
}

/// Who is signed in at the admin centre, and where.
async fn sessions(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let all = context
        .people
        .signed_in(&context.store, context.clock.now());
    let own = caller.rights.organisation();
    let seen = all.await.into_iter();
    let seen = seen.filter(|one| own.is_none() || one.kept.organisation() == own);
    let told = seen.map(|one| {
        json!({
            "session": one.id,
            "name": one.kept.name,
            "organisation": one.kept.organisation(),
            "address": one.kept.address,
            "browser": one.kept.browser,
            "began": one.kept.began().to_rfc3339(),
            "seen": one.kept.seen().to_rfc3339(),
            "by_issuer": one.kept.sso,
        })
    });
    Ok(Json(json!({ "sessions": told.collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndSessions {
    name: String,
    /// Absent: all of that person.
    session: Option<String>,
}

async fn end_sessions(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<EndSessions>,
) -> Result<Json<Value>, Problem> {
    let by = by(&context, &caller);
    let (name, id) = (wanted.name.as_str(), wanted.session.as_deref());
    let missing = || Problem::not_found(format!("{name} is signed in nowhere."));
    let own = caller.rights.organisation();
    let all = context.people.signed_in(&context.store, by.now).await;
    let mut theirs = all.iter().filter(|one| one.kept.name == name);
    if !theirs.any(|one| own.is_none() || one.kept.organisation() == own) {
        return Err(missing());
    }
    match context
        .people
        .sign_out(&context.store, (name, id), &by)
        .await?
    {
        true => Ok(Json(json!({ "signed_out": name }))),
        false => Err(missing()),
    }
}

#[derive(Deserialize)]
struct Add {
    name: String,
    #[serde(flatten)]
    place: Place,
}

/// `{"name","role","password"}`; the only time that the password is told.
async fn add(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Add>,
) -> Result<Json<Value>, Problem> {
    let by = by(&context, &caller);
    let place = place(&context, &caller, wanted.place)?;
    let role = place.role;
    let who = (wanted.name.as_str(), place);
    let added = context
        .people
        .add(&context.store, &context.chance, who, &by);
    let password = added.await?;
    Ok(Json(json!({
        "name": wanted.name.trim().to_ascii_lowercase(),
        "role": role.name(),
        "password": password,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    /// The second factor goes too, and so do passkeys: the telephone is lost, and the recovery
    /// codes are.
    #[serde(default)]
    second_factor: bool,
}

/// As [`add`], for a person that exists; their sessions end.
async fn reset(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Input(wanted): Input<Reset>,
) -> Result<Json<Value>, Problem> {
    let by = by(&context, &caller);
    let found = within_reach(&context, &caller, &name).await?;
    if wanted.second_factor {
        let people = &context.people;
        people
            .remove_factor(&context.store, &found.name, &by)
            .await?;
        let all = (found.name.as_str(), None);
        people.remove_passkeys(&context.store, all, &by).await?;
    }
    let who = (found.name.as_str(), None);
    let reset = context
        .people
        .set_password(&context.store, &context.chance, who, &by);
    let password = reset.await?;
    Ok(Json(json!({ "name": name, "password": password })))
}

/// Another role or reach.
async fn set_place(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Input(wanted): Input<Place>,
) -> Result<Json<Value>, Problem> {
    let by = by(&context, &caller);
    let found = within_reach(&context, &caller, &name).await?;
    let place = place(&context, &caller, wanted)?;
    let told = json!({
        "name": found.name,
        "role": place.role.name(),
        "organisation": place.organisation,
        "connector": place.connector,
    });
    let people = &context.people;
    people
        .set_place(&context.store, (&found.name, place), &by)
        .await?;
    Ok(Json(told))
}

async fn remove(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let by = by(&context, &caller);
    let found = within_reach(&context, &caller, &name).await?;
    context
        .people
        .remove(&context.store, &found.name, &by)
        .await?;
    Ok(Json(json!({ "removed": found.name })))
}
