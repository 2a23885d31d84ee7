//! Self-checks: what was found last, and looking now.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;

use relais_policy::check::Group;

use crate::checks::{self, kept};
use crate::context::AdminContext;
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/checks", get(last).post(run))
}

/// `{"verdict","checked_at","checks":[{"check","subject","group","verdict","since","detail",
/// "why","fix",…}],"evidence"}`; each text in French beside it.
async fn last(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    Ok(Json(kept(&context.store).await?.to_json()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// `machine`, `way-out`, `world`, `safety`; none: all.
    #[serde(default)]
    groups: Vec<String>,
}

/// Looks now; at most 15 s. The same answer.
async fn run(
    State(context): State<AdminContext>,
    Input(run): Input<Run>,
) -> Result<Json<Value>, Problem> {
    let read = |name: &String| {
        let unknown = || Problem::bad_request(format!("There is no group of checks {name}."));
        Group::parse(name).ok_or_else(unknown)
    };
    let groups = run.groups.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let groups = if groups.is_empty() {
        Group::ALL.to_vec()
    } else {
        groups
    };
    let report = checks::run(&context, &groups).await?;
    Ok(Json(report.to_json()))
}
