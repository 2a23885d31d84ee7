//! A consistent copy of everything while mail goes on.

use std::path::PathBuf;

use axum::extract::{Extension, State};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::checks::note_backup;
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/backup", post(create))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    /// A folder that does not exist yet, on the server's machine.
    target: PathBuf,
}

async fn create(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(request): Input<Create>,
) -> Result<Json<Value>, Problem> {
    if !request.target.is_absolute() {
        return Err(Problem::bad_request("The target is not an absolute path."));
    }
    context
        .store
        .backup(request.target.clone(), caller.actor(), context.clock.now())
        .await?;
    note_backup(&context.store, context.clock.now()).await?;
    Ok(Json(json!({ "target": request.target })))
}
