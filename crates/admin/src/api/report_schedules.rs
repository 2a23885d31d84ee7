//! Reports that are sent by e-mail: listed, added, made due now, removed.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_smtp::address::Mailbox;
use relais_smtp::time::Timestamp;
use relais_store::shelf::ShelfAudit;

use crate::context::{AdminContext, Caller};
use crate::people::hexadecimal;
use crate::problem::{Input, Problem};
use crate::schedules::{self, Every, RECIPIENTS_MAX, REPORTS, SCHEDULES_MAX, Schedule};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/reports/schedules", get(list).post(add))
        .route("/reports/schedules/{id}/send", post(send))
        .route("/reports/schedules/{id}/remove", post(remove))
}

fn shown(one: &Schedule) -> Value {
    let time = |millis: i64| Timestamp::from_millis(millis).to_rfc3339();
    json!({
        "id": one.id,
        "organisation": one.organisation,
        "reports": one.reports,
        "every": one.every,
        "to": one.to,
        "language": one.language,
        "next": time(one.next),
        "sent": one.sent.map(time),
        "fault": one.fault,
    })
}

async fn list(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let all = schedules::list(&context.store).await?;
    let all: Vec<_> = all.iter().map(shown).collect();
    Ok(Json(json!({ "schedules": all })))
}

fn audit(caller: &Caller, act: &'static str, one: &Schedule) -> ShelfAudit {
    ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act,
        detail: vec![one.told()],
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    /// Absent: the only one.
    organisation: Option<String>,
    /// None: all.
    #[serde(default)]
    reports: Vec<String>,
    every: Every,
    to: Vec<String>,
    /// Absent: the organisation's.
    language: Option<String>,
}

async fn add(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Add>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let organisation = wanted.organisation.unwrap_or_default();
    let owner = schedules::sender(&settings, &organisation)?;
    if wanted.to.is_empty() || wanted.to.len() > RECIPIENTS_MAX {
        let detail = format!("Name 1 to {RECIPIENTS_MAX} addresses that it is sent to.");
        return Err(Problem::bad_request(detail));
    }
    if let Some(wrong) = wanted.to.iter().find(|one| Mailbox::parse(one).is_err()) {
        return Err(Problem::bad_request(format!("\"{wrong}\" is no address.")));
    }
    let known = |one: &&String| !REPORTS.contains(&one.as_str());
    if let Some(wrong) = wanted.reports.iter().find(known) {
        let detail = format!("\"{wrong}\" is none of {}.", REPORTS.join(", "));
        return Err(Problem::bad_request(detail));
    }
    let of_owner = || owner.map(|one| json!(one.language)).unwrap_or(json!("en"));
    let language = wanted
        .language
        .map_or_else(of_owner, |language| json!(language));
    let language = language.as_str().unwrap_or("en").to_owned();
    if !["en", "fr"].contains(&language.as_str()) {
        return Err(Problem::bad_request("language is en or fr."));
    }
    let _turn = schedules::TURN.lock().await;
    let all = schedules::list(&context.store).await?.into_iter();
    let of_them = all.filter(|one| one.organisation == organisation);
    if of_them.count() >= SCHEDULES_MAX {
        let detail = format!("There are {SCHEDULES_MAX} of them already: remove some.");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let now = context.clock.now();
    let is_chosen =
        |one: &&&str| wanted.reports.is_empty() || wanted.reports.iter().any(|name| name == **one);
    let schedule = Schedule {
        id: hexadecimal(&context.chance.octets::<4>()),
        organisation,
        reports: REPORTS
            .iter()
            .filter(is_chosen)
            .map(ToString::to_string)
            .collect(),
        every: wanted.every,
        to: wanted.to,
        language,
        next: wanted.every.next_after(now).as_millis(),
        sent: None,
        fault: None,
    };
    let told = audit(&caller, "report.scheduled", &schedule);
    schedules::put(&context.store, &schedule, now, Some(told)).await?;
    Ok(Json(shown(&schedule)))
}

/// The one of that number, if the caller sees it.
async fn found(context: &AdminContext, caller: &Caller, id: &str) -> Result<Schedule, Problem> {
    let all = schedules::list(&context.store).await?.into_iter();
    let sees = |one: &Schedule| match one.organisation.as_str() {
        "" => caller.rights.organisation().is_none(),
        name => caller.rights.sees(name),
    };
    let mut all = all.filter(sees);
    all.find(|one| one.id == id)
        .ok_or_else(|| Problem::not_found(format!("No report {id} is sent by e-mail.")))
}

async fn send(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let _turn = schedules::TURN.lock().await;
    let mut schedule = found(&context, &caller, &id).await?;
    let now = context.clock.now();
    schedule.next = now.as_millis();
    let told = audit(&caller, "report.asked-for", &schedule);
    schedules::put(&context.store, &schedule, now, Some(told)).await?;
    Ok(Json(shown(&schedule)))
}

async fn remove(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let _turn = schedules::TURN.lock().await;
    let schedule = found(&context, &caller, &id).await?;
    let told = audit(&caller, "report.unscheduled", &schedule);
    let now = context.clock.now();
    schedules::remove(&context.store, &schedule.id, now, told).await?;
    Ok(Json(shown(&schedule)))
}
