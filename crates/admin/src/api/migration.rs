//! Taking over from the relay that was there before: what its export would become, and adding that,
//! all of it disabled.

use axum::extract::{Extension, Path, State};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::Document;
use relais_policy::migration::{self, Finding, Proposal, Source, Surroundings};

use super::directory::organisation_of;
use super::settings::{Intent, change};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/import/{source}", post(import))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    /// May be left out where there is only one.
    organisation: Option<String>,
    /// What the old side wrote.
    text: String,
    /// False: nothing is added.
    #[serde(default)]
    apply: bool,
}

async fn import(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(source): Path<String>,
    Input(request): Input<Import>,
) -> Result<Json<Value>, Problem> {
    let source = Source::named(&source).ok_or_else(|| {
        let known = Source::ALL.map(Source::name).join(", ");
        Problem::not_found(format!(
            "There is no import from {source}: there are {known}."
        ))
    })?;
    let before = context.store.settings();
    let mut document = Document::clone(&before.document);
    let organisation = organisation_of(&mut document, request.organisation.as_deref())?.clone();
    let around = Surroundings {
        mode: before.mode,
        settings: &before.document,
        organisation: &organisation,
    };
    let proposal = migration::read(source, &request.text, &around)
        .map_err(|error| Problem::bad_request(format!("The export cannot be read: {error}.")))?;
    let make = |current: &Document| {
        let mut document = current.clone();
        match proposal.add_to(&mut document) {
            true => Ok(document),
            false => Err(Problem::not_found(format!(
                "There is no organisation {}.",
                organisation.name
            ))),
        }
    };
    let intent = Intent::dry_run(!request.apply);
    let changed = change(&context, &caller, intent, None, make).await?;
    let mut answer = changed.to_json();
    answer["source"] = json!(source.name());
    answer["organisation"] = json!(organisation.name);
    answer["report"] = report(&proposal);
    answer["document"] = json!(proposal.document());
    Ok(Json(answer))
}

/// `{"created":[{"object","message"}],"changed":[…],"unsupported":[…],"dangerous":[…]}`
fn report(proposal: &Proposal) -> Value {
    let line = |one: &Finding| json!({ "object": one.object, "message": one.message });
    let parts = proposal.report.parts().into_iter();
    let parts = parts.map(|(name, findings)| {
        let lines: Vec<_> = findings.iter().map(line).collect();
        (name.to_owned(), Value::from(lines))
    });
    Value::Object(parts.collect())
}
