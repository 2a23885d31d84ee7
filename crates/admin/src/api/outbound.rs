//! What outbound connectors need beside their settings: secrets that are written and never read
//! back, the walk to their smart hosts, presets.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_net::login::{Kept, KeptName, PASSWORD_OCTETS_MAX};
use relais_net::oauth::TokenError;
use relais_policy::preset::outbound_presets;
use relais_policy::settings::Settings;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::secret::Secret;

use super::secrets::stored_name;
use super::settings::Beside;
use crate::context::{AdminContext, Caller, Outbound};
use crate::problem::{Input, Problem};
use crate::walk::Walk;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/connectors/outbound/secret", post(keep_secret))
        .route("/connectors/outbound/test", post(walk_hosts))
        .route("/connectors/outbound/login", post(begin_login))
        .route("/connectors/outbound/login/poll", post(poll_login))
        .route("/connectors/outbound/presets", get(presets))
}

/// Which connector; the organisation may be left out where there is only one.
#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    organisation: Option<String>,
    name: String,
}

/// Its organisation, if there is such a connector.
fn find(settings: &Settings, which: &Which) -> Result<Arc<str>, Problem> {
    let organisations = settings.document.organisation.as_slice();
    let organisation = match (&which.organisation, organisations) {
        (Some(name), _) => name.as_str(),
        (None, [only]) => only.name.as_str(),
        (None, _) => {
            let detail = "There is not exactly one organisation: name one with --organisation.";
            return Err(Problem::bad_request(detail));
        }
    };
    if settings
        .outbound_connector(organisation, &which.name)
        .is_none()
    {
        let detail = format!("There is no outbound connector \"{}\".", which.name);
        return Err(Problem::not_found(detail));
    }
    Ok(organisation.into())
}

async fn presets() -> Json<Value> {
    let presets = outbound_presets();
    let presets = presets.iter().map(|one| {
        json!({
            "name": one.name,
            "title": one.title,
            "fix": one.fix,
            "keys": serde_json::to_value(&one.keys).unwrap_or_default(),
        })
    });
    Json(json!({ "presets": presets.collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
struct AskedWalk {
    #[serde(flatten)]
    which: Which,
    to: String,
    #[serde(default)]
    from: Option<String>,
}

async fn walk_hosts(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(asked): Input<AskedWalk>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let organisation = find(&settings, &asked.which)?;
    let Some(outbound) = &context.outbound else {
        let detail = "Nothing is dialled without the running server.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let Some(connector) = settings.outbound_connector(&organisation, &asked.which.name) else {
        return Err(Problem::not_found("There is no such outbound connector."));
    };
    let mailbox = |text: &str| {
        Mailbox::parse(text.trim())
            .map_err(|error| Problem::bad_request(format!("\"{text}\" is no address: {error}.")))
    };
    let postmaster = settings
        .organisation(&organisation)
        .map(|one| one.postmaster.clone())
        .filter(|address| !address.is_empty());
    let from = match asked.from.or(postmaster) {
        Some(address) if address != "<>" => ReversePath::Mailbox(mailbox(&address)?),
        _ => ReversePath::Null,
    };
    let walk = Walk {
        context: &context,
        outbound,
        organisation: Arc::clone(&organisation),
        connector,
        from,
        to: mailbox(&asked.to)?,
        // An organisation learns nothing of the networks that the server stands in.
        allow_private: outbound.allow_private
            || (caller.rights.organisation().is_none() && !connector.public_hosts_only),
    };
    Ok(Json(walk.walk().await))
}

/// What a sign-in needs of the server.
fn outbound(context: &AdminContext) -> Result<&Outbound, Problem> {
    context.outbound.as_ref().ok_or_else(|| {
        let detail = "No issuer is asked without the running server.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })
}

async fn begin_login(
    State(context): State<AdminContext>,
    Input(which): Input<Which>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let organisation = find(&settings, &which)?;
    let connector = settings
        .outbound_connector(&organisation, &which.name)
        .ok_or_else(|| Problem::not_found("There is no such outbound connector."))?;
    let begun = outbound(&context)?.logins.begin_sign_in(connector).await?;
    Ok(Json(json!({
        "verification_uri": begun.verification_uri,
        "user_code": begun.user_code,
        "device_code": begun.device_code,
        "interval": begun.interval,
        "expires_in": begun.expires_in,
    })))
}

#[derive(Deserialize)]
struct Poll {
    #[serde(flatten)]
    which: Which,
    device_code: String,
}

async fn poll_login(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(asked): Input<Poll>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let organisation = find(&settings, &asked.which)?;
    let connector = settings
        .outbound_connector(&organisation, &asked.which.name)
        .ok_or_else(|| Problem::not_found("There is no such outbound connector."))?;
    let logins = &outbound(&context)?.logins;
    let polled = logins.poll_sign_in(&organisation, connector, &asked.device_code);
    let (state, because) = match polled.await {
        Ok(refresh) => {
            let name = stored_name(&KeptName {
                organisation: Arc::clone(&organisation),
                connector: asked.which.name.as_str().into(),
                what: Kept::RefreshToken,
            })?;
            let kept = Beside {
                name,
                value: refresh,
            };
            kept.keep(&context, &caller).await?;
            logins.signed_in(&organisation, &asked.which.name);
            ("signed-in", None)
        }
        Err(TokenError::Pending) => ("pending", None),
        Err(TokenError::SlowDown) => ("slow-down", None),
        // The person may be signing in just now: it is asked again. RFC 8628 §3.5.
        Err(error @ TokenError::Unavailable(_)) => ("pending", Some(error.to_string())),
        Err(error @ TokenError::Refused { .. }) => return Err(error.into()),
    };
    Ok(Json(json!({ "state": state, "because": because })))
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        Self::new(StatusCode::CONFLICT, error.to_string())
    }
}

#[derive(Deserialize)]
struct KeepSecret {
    #[serde(flatten)]
    which: Which,
    /// `password`, `client-secret`, `refresh-token`.
    kind: String,
    value: String,
}

async fn keep_secret(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(asked): Input<KeepSecret>,
) -> Result<Json<Value>, Problem> {
    let organisation = find(&context.store.settings(), &asked.which)?;
    let whose = (&*organisation, &*asked.which.name, &*asked.kind);
    let kept = keep(&context, &caller, whose, Secret::from(asked.value)).await?;
    Ok(Json(json!({ "kept": kept })))
}

/// Keeps a secret of this kind of this connector of this organisation; what it is called.
pub(super) async fn keep(
    context: &AdminContext,
    caller: &Caller,
    whose: (&str, &str, &str),
    value: Secret,
) -> Result<String, Problem> {
    let secret = secret_of(whose, value)?;
    secret.keep(context, caller).await?;
    Ok(secret.name.to_string())
}

/// A secret of this kind of this connector of this organisation, if it can be one.
pub(super) fn secret_of(
    (organisation, connector, kind): (&str, &str, &str),
    value: Secret,
) -> Result<Beside, Problem> {
    let Some(what) = Kept::parse(kind) else {
        let detail = format!("There is no secret {kind} of a connector.");
        return Err(Problem::bad_request(detail));
    };
    if value.is_empty() || value.expose().len() > PASSWORD_OCTETS_MAX {
        let detail = format!("The secret must have 1 to {PASSWORD_OCTETS_MAX} octets.");
        return Err(Problem::bad_request(detail));
    }
    let name = stored_name(&KeptName {
        organisation: organisation.into(),
        connector: connector.into(),
        what,
    })?;
    Ok(Beside { name, value })
}
