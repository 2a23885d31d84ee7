//! Triggers: how they stand for each organisation, changing one, and what one would have found in
//! the trace, had it been on.

use std::time::Duration;

use axum::extract::{Extension, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::{Document, TriggerMode, Triggers};
use relais_policy::trigger::rehearsal::{Finding, Rehearsal};
use relais_policy::trigger::{Heard, TriggerKind};
use relais_store::trace::{
    Event, EventKind, TRACE_LIMIT_MAX, TraceQuery, TraceQueryError, TraceTerm,
};

use super::settings::{Intent, change};
use super::suppression::organisation_named;
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

/// How far back a rehearsal looks at most, in days; and where nothing is said.
const DAYS_MAX: u32 = 30;
/// Events of a rehearsal; the newest count. As many as a relay of some hundred devices has in a
/// month; a minute's work.
const EVENTS_MAX: usize = 500_000;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/triggers", get(list))
        .route("/triggers/set", post(set))
        .route("/triggers/simulate", post(simulate))
}

async fn list(State(context): State<AdminContext>) -> Json<Value> {
    let settings = context.store.settings();
    let rows = settings.document.organisation.iter().flat_map(|one| {
        let row = |kind: TriggerKind| trigger_json(&one.name, kind, &one.triggers);
        TriggerKind::ALL.map(row)
    });
    Json(json!({ "triggers": rows.collect::<Vec<_>>() }))
}

fn trigger_json(organisation: &str, kind: TriggerKind, triggers: &Triggers) -> Value {
    let terms = kind.terms(triggers);
    let usual = kind.terms(&Triggers::default());
    json!({
        "organisation": organisation,
        "trigger": kind.name(),
        "mode": terms.mode.name(),
        "minimum": terms.minimum,
        "factor": terms.factor,
        "is_default": terms == usual,
    })
}

fn kind_named(name: &str) -> Result<TriggerKind, Problem> {
    let known = TriggerKind::ALL.map(TriggerKind::name).join(", ");
    TriggerKind::from_name(name).ok_or_else(|| {
        Problem::not_found(format!(
            "There is no trigger \"{name}\"; there are {known}."
        ))
    })
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    #[serde(default)]
    organisation: Option<String>,
    trigger: String,
    #[serde(default)]
    mode: Option<TriggerMode>,
    #[serde(default)]
    minimum: Option<u32>,
    #[serde(default)]
    factor: Option<u32>,
    #[serde(default)]
    dry_run: bool,
}

async fn set(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Set>,
) -> Result<Json<Value>, Problem> {
    let kind = kind_named(&wanted.trigger)?;
    let name = organisation_named(&context.store.settings(), wanted.organisation.as_deref())?;
    let make = |current: &Document| {
        let mut document = current.clone();
        let mut all = document.organisation.iter_mut();
        let owner = all.find(|one| one.name == name);
        let owner = owner.ok_or_else(|| Problem::not_found("It was deleted meanwhile."))?;
        let written = kind.written_mut(&mut owner.triggers);
        written.mode = wanted.mode.or(written.mode);
        written.minimum = wanted.minimum.or(written.minimum);
        written.factor = wanted.factor.or(written.factor);
        Ok(document)
    };
    let intent = Intent::dry_run(wanted.dry_run);
    let changed = change(&context, &caller, intent, None, make).await?;
    Ok(Json(changed.to_json()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Simulate {
    #[serde(default)]
    organisation: Option<String>,
    trigger: String,
    #[serde(default)]
    minimum: Option<u32>,
    #[serde(default)]
    factor: Option<u32>,
    #[serde(default)]
    days: Option<u32>,
}

async fn simulate(
    State(context): State<AdminContext>,
    Input(wanted): Input<Simulate>,
) -> Result<Json<Value>, Problem> {
    let kind = kind_named(&wanted.trigger)?;
    let settings = context.store.settings();
    let name = organisation_named(&settings, wanted.organisation.as_deref())?;
    let days = wanted.days.unwrap_or(DAYS_MAX);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Problem::bad_request(format!("1 to {DAYS_MAX} days.")));
    }
    let owner = settings.organisation(&name);
    let mut triggers = owner.map(|owner| owner.triggers).unwrap_or_default();
    let written = kind.written_mut(&mut triggers);
    written.minimum = wanted.minimum.or(written.minimum);
    written.factor = wanted.factor.or(written.factor);
    let terms = kind.terms(&triggers);
    let (all, is_whole) = heard_since(&context, kind, &name, days).await?;
    let mut rehearsal = Rehearsal::new(kind, triggers);
    for heard in &all {
        rehearsal.hear(heard);
    }
    let since = all.first().map(|first| first.time.to_rfc3339());
    let (findings, heard) = rehearsal.end();
    Ok(Json(json!({
        "organisation": name,
        "trigger": kind.name(),
        "mode": terms.mode.name(),
        "minimum": terms.minimum,
        "factor": terms.factor,
        "days": days,
        "since": since,
        "is_whole": is_whole,
        "events": heard,
        "findings": findings.iter().map(finding_json).collect::<Vec<_>>(),
    })))
}

fn finding_json(finding: &Finding) -> Value {
    let found = &finding.found;
    json!({
        "time": finding.time.to_rfc3339(),
        "kind": found.entity.kind().name(),
        "value": found.entity.value(),
        "reason": found.reason,
        "evidence": found.evidence,
        "would_wait": finding.would_wait,
    })
}

/// Kinds of events that a trigger hears.
fn kinds_of(kind: TriggerKind) -> &'static [EventKind] {
    match kind {
        TriggerKind::Volume | TriggerKind::FromMismatch | TriggerKind::NewNetwork => {
            &[EventKind::MessageAccepted]
        }
        TriggerKind::UnverifiedDomain => &[EventKind::AttemptRefused, EventKind::MessageAccepted],
        TriggerKind::UnknownRecipients => &[
            EventKind::AttemptRefused,
            EventKind::RecipientFailed,
            EventKind::NoticeReceived,
            EventKind::MessageAccepted,
        ],
        TriggerKind::Complaints => &[EventKind::NoticeReceived, EventKind::MessageAccepted],
        TriggerKind::Content => &[EventKind::MessageAccepted, EventKind::AttemptRefused],
    }
}

/// What an organisation's clients did, oldest first; `false`: there was more than is looked at.
async fn heard_since(
    context: &AdminContext,
    kind: TriggerKind,
    organisation: &str,
    days: u32,
) -> Result<(Vec<Heard>, bool), Problem> {
    let mut all = Vec::new();
    let mut is_whole = true;
    let now = context.clock.now();
    let since = now.before(Duration::from_secs(u64::from(days) * 86_400));
    for event_kind in kinds_of(kind) {
        let terms = [
            TraceTerm::new("organisation", organisation),
            TraceTerm::new("event", event_kind.name()),
        ];
        let terms: Result<Vec<_>, TraceQueryError> = terms.into_iter().collect();
        let mut query = TraceQuery {
            since: Some(since),
            terms: terms.map_err(|error| Problem::bad_request(error.to_string()))?,
            limit: TRACE_LIMIT_MAX,
            ..TraceQuery::default()
        };
        loop {
            let page = context.store.trace_page(&query).await?;
            for row in &page.rows {
                if let Ok(event) = Event::from_json(&row.json) {
                    all.extend(context.store.heard(&event).await);
                }
            }
            query.before = page.next;
            if page.next.is_none() || all.len() >= EVENTS_MAX {
                is_whole &= page.next.is_none();
                break;
            }
        }
    }
    // Pages come newest first; of the same moment, in the order in which it was told.
    all.reverse();
    all.sort_by_key(|heard| heard.time);
    Ok((all, is_whole))
}
