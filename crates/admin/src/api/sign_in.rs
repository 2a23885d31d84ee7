//! Signing in with an issuer: what is set up, a draft, and its coming into force.

use axum::extract::{Extension, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::{AdminContext, Caller};
use crate::people::issuer::{Meaning, SignIn, Which};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/sign-in", get(show))
        .route("/sign-in/draft", post(draft))
        .route("/sign-in/adopt", post(adopt))
        .route("/sign-in/remove", post(remove))
}

fn told(one: &SignIn) -> Value {
    let mut value = json!(one);
    value["redirect_uri"] = json!(one.redirect_uri());
    value
}

/// `{"in_force","draft"}`, each without its secret.
async fn show(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let (people, store) = (&context.people, &context.store);
    let in_force = people.sign_in_by(store, Which::InForce).await?;
    let draft = people.sign_in_by(store, Which::Draft).await?;
    Ok(Json(json!({
        "in_force": in_force.as_ref().map(told),
        "draft": draft.as_ref().map(told),
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    issuer: String,
    client_id: String,
    centre: String,
    claim: String,
    meanings: Vec<Meaning>,
    /// Absent: the one that is kept.
    #[serde(default)]
    client_secret: Option<String>,
}

async fn draft(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Draft>,
) -> Result<Json<Value>, Problem> {
    let by = caller.by(context.clock.now());
    let draft = SignIn {
        issuer: wanted.issuer,
        client_id: wanted.client_id,
        centre: wanted.centre,
        claim: wanted.claim,
        meanings: wanted.meanings,
        tried: None,
    };
    let secret = wanted.client_secret.as_deref();
    let people = &context.people;
    let kept = people.draft_sign_in(&context.store, (draft, secret), &by);
    Ok(Json(told(&kept.await?)))
}

async fn adopt(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let by = caller.by(context.clock.now());
    context.people.adopt_sign_in(&context.store, &by).await?;
    show(State(context)).await
}

async fn remove(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let by = caller.by(context.clock.now());
    context.people.remove_sign_in(&context.store, &by).await?;
    show(State(context)).await
}
