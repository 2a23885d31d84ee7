//! What outbound connectors need beside their settings: secrets that are written and never read
//! back.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_net::login::{Kept, KeptName, PASSWORD_OCTETS_MAX};
use relais_policy::settings::Settings;
use relais_smtp::secret::Secret;
use relais_store::secret::{SecretKind, SecretName};
use relais_store::shelf::ShelfAudit;

use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/connectors/outbound/secret", post(keep_secret))
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
    let value = Secret::from(asked.value);
    let Some(what) = Kept::parse(&asked.kind) else {
        let detail = format!("There is no secret {} of a connector.", asked.kind);
        return Err(Problem::bad_request(detail));
    };
    if value.is_empty() || value.expose().len() > PASSWORD_OCTETS_MAX {
        let detail = format!("The secret must have 1 to {PASSWORD_OCTETS_MAX} octets.");
        return Err(Problem::bad_request(detail));
    }
    let name = stored_name(&KeptName {
        organisation,
        connector: asked.which.name.as_str().into(),
        what,
    })?;
    let audit = ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act: "secret.kept",
        detail: vec![name.to_string()],
    };
    let now = context.clock.now();
    context
        .store
        .put_secret(&name, &value, now, Some(audit))
        .await?;
    Ok(Json(json!({ "kept": name.to_string() })))
}

/// Where delivery looks for it.
fn stored_name(name: &KeptName) -> Result<SecretName, Problem> {
    let (kind, key) = name.place();
    let kind = SecretKind::parse(kind)
        .ok_or_else(|| Problem::bad_request(format!("There is no kind {kind}.")))?;
    Ok(SecretName::new(&*name.organisation, kind, key))
}
