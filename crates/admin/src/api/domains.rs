//! Accepted domains: where they stand, and verification by hand.

use axum::extract::{Extension, Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::{AcceptedDomain, Document, Organisation, Verification};
use relais_policy::settings::{DomainState, Settings};
use relais_smtp::domain::Domain;

use super::settings::{Intent, change};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/domains", get(list))
        .route("/domains/{name}/verify", post(verify))
}

async fn list(State(context): State<AdminContext>) -> Json<Value> {
    let settings = context.store.settings();
    let domains: Vec<_> = settings
        .document
        .organisation
        .iter()
        .flat_map(|organisation| {
            organisation
                .domain
                .iter()
                .map(move |domain| (organisation, domain))
        })
        .map(|(organisation, domain)| domain_json(&settings, organisation, domain))
        .collect();
    Json(json!({ "domains": domains }))
}

fn domain_json(settings: &Settings, organisation: &Organisation, domain: &AcceptedDomain) -> Value {
    let known = Domain::parse(&domain.name).ok();
    let state = known
        .as_ref()
        .and_then(|name| settings.accepted_domain(name))
        .map(|it| it.state);
    let state = match state {
        Some(DomainState::Verified) => "verified",
        Some(DomainState::Pending) | None => "pending",
    };
    json!({
        "organisation": organisation.name,
        "name": domain.name,
        "kind": domain.kind,
        "state": state,
        "verification": domain.verification,
        "subdomains": domain.subdomains,
        "mailbox_host": domain.mailbox_host,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    /// By hand: somebody on this machine says so.
    #[serde(default)]
    assume: bool,
}

async fn verify(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Input(verify): Input<Verify>,
) -> Result<Json<Value>, Problem> {
    if !verify.assume {
        let detail = "Verification by DNS is not there yet; --assume verifies by hand, which the audit records.";
        return Err(Problem::bad_request(detail));
    }
    let wanted = Domain::parse(&name)
        .map_err(|error| Problem::bad_request(format!("\"{name}\": {error}.")))?;
    let make = |current: &Document| assume(current, &wanted);
    Ok(Json(
        change(&context, &caller, Intent::Store, None, make)
            .await?
            .to_json(),
    ))
}

fn assume(current: &Document, wanted: &Domain) -> Result<Document, Problem> {
    let mut document = current.clone();
    let domains = document
        .organisation
        .iter_mut()
        .flat_map(|one| one.domain.iter_mut());
    let found = domains
        .filter(|domain| Domain::parse(&domain.name).as_ref() == Ok(wanted))
        .map(|domain| domain.verification = Verification::Assumed)
        .count();
    if found == 0 {
        let detail = format!(
            "No organisation has the domain {wanted}; add it with `relais domain add {wanted}`."
        );
        return Err(Problem::not_found(detail));
    }
    Ok(document)
}
