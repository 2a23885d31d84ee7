//! Triggers and the panic switch: what is held by itself, stopping and letting go, each trigger
//! with its numbers, and what one would have found in the trace.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::ask::{Centre, Refused, address, list, text};
use super::door::{Change, Reader, Visit};
use super::form::Form;
use super::page::{self, Frame};
use super::restricted::{KINDS, written};
use crate::plain::clean;
use crate::times;

/// Each trigger, with the keys of its name and of what it counts.
const TRIGGERS: [(&str, &str, &str); 7] = [
    ("volume", "trigger-volume", "trigger-volume-hint"),
    (
        "from-mismatch",
        "trigger-from-mismatch",
        "trigger-from-mismatch-hint",
    ),
    (
        "unverified-domain",
        "trigger-unverified-domain",
        "trigger-unverified-domain-hint",
    ),
    (
        "unknown-recipients",
        "trigger-unknown-recipients",
        "trigger-unknown-recipients-hint",
    ),
    (
        "complaints",
        "trigger-complaints",
        "trigger-complaints-hint",
    ),
    (
        "new-network",
        "trigger-new-network",
        "trigger-new-network-hint",
    ),
    ("content", "trigger-content", "trigger-content-hint"),
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/triggers", get(show))
        .route("/triggers/set", post(set))
        .route("/triggers/stop", post(stop))
        .route("/triggers/release", post(release))
}

#[derive(Template)]
#[template(path = "triggers.html")]
struct Triggers {
    frame: Frame,
    held: Vec<Held>,
    stops: Vec<Stop>,
    triggers: Vec<Trigger>,
    rehearsal: Option<Rehearsal>,
}

/// Something that a trigger restricted.
struct Held {
    kind: String,
    kind_words: String,
    value: String,
    effect: String,
    reason: String,
    evidence: Vec<String>,
    since: String,
}

/// An organisation or inbound connector, and whether it is stopped.
struct Stop {
    kind: &'static str,
    kind_words: String,
    value: String,
    name: String,
    /// Empty: it is not.
    effect: String,
    reason: String,
}

struct Trigger {
    organisation: String,
    name: String,
    title: String,
    hint: String,
    mode: String,
    minimum: u64,
    factor: u64,
    has_numbers: bool,
}

/// What a trigger would have found.
struct Rehearsal {
    title: String,
    sentence: String,
    is_cut: bool,
    findings: Vec<Finding>,
}

struct Finding {
    time: String,
    what: String,
    reason: String,
    would_wait: String,
}

fn plain(value: &Value, key: &str) -> String {
    clean(text(value, key)).into_owned()
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match compose(&centre, &visit).await {
        Ok(triggers) => page::send(&triggers),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn compose(centre: &Centre, visit: &Visit) -> Result<Triggers, Refused> {
    let lang = visit.lang;
    let done = match visit.query.get("done") {
        "set" => lang.t("triggers-done-set"),
        "stopped" => lang.with("triggers-done-stopped", visit.query.get("what")),
        "released" => lang.with("triggers-done-released", visit.query.get("what")),
        _ => String::new(),
    };
    let restricted = centre.get(visit.caller(), "/restricted", &[]).await?;
    let restricted = list(&restricted, "restricted");
    let all = centre.get(visit.caller(), "/triggers", &[]).await?;
    let triggers = list(&all, "triggers").iter().map(|one| trigger(visit, one));
    let by_triggers = |one: &&Value| one["by"] == relais_policy::restriction::TRIGGERS;
    let held = restricted.iter().filter(by_triggers);
    Ok(Triggers {
        held: held.map(|one| held_one(visit, one)).collect(),
        stops: stops(centre, visit, restricted),
        triggers: triggers.collect(),
        rehearsal: rehearsal(centre, visit).await?,
        frame: Frame::new(visit, "triggers", &lang.t("nav-triggers"))
            .command("relais trigger list")
            .done(done),
    })
}

fn effect_words(visit: &Visit, one: &Value) -> String {
    let key = match text(one, "effect") {
        "hold" => "triggers-effect-hold",
        _ => "triggers-effect-refuse",
    };
    visit.lang.t(key)
}

fn held_one(visit: &Visit, one: &Value) -> Held {
    let evidence = list(one, "evidence").iter().filter_map(Value::as_str);
    let kind = plain(one, "kind");
    let known = KINDS.iter().find(|(name, _)| *name == kind);
    Held {
        kind_words: known.map_or(String::new(), |(_, key)| visit.lang.t(key)),
        kind,
        value: plain(one, "value"),
        effect: effect_words(visit, one),
        reason: written(visit, text(one, "reason")),
        evidence: evidence.map(|line| written(visit, line)).collect(),
        since: times::shown(visit.lang, one["since"].as_str()),
    }
}

/// Everything that can be stopped, and what is.
fn stops(centre: &Centre, visit: &Visit, restricted: &[Value]) -> Vec<Stop> {
    let lang = visit.lang;
    let settings = centre.settings(visit.caller());
    let one = |kind: &'static str, value: String, name: String| {
        let mut all = restricted.iter();
        let found = all.find(|one| one["kind"] == kind && one["value"] == value.as_str());
        Stop {
            kind,
            kind_words: lang.t(match kind {
                "organisation" => "triggers-organisation",
                _ => "triggers-connector",
            }),
            effect: found.map_or(String::new(), |one| effect_words(visit, one)),
            reason: found.map_or(String::new(), |one| plain(one, "reason")),
            value,
            name,
        }
    };
    let mut stops = Vec::new();
    for owner in &settings.document.organisation {
        // Who sees one organisation stops its connectors; the whole of it is the installation's.
        if visit.caller().rights.organisation().is_none() {
            stops.push(one("organisation", owner.name.clone(), owner.name.clone()));
        }
        for connector in &owner.inbound_connector {
            let value = format!("{}/{}", owner.name, connector.name);
            stops.push(one("connector", value, connector.name.clone()));
        }
    }
    stops
}

/// Name of a trigger, and what it counts.
fn words(visit: &Visit, name: &str) -> [String; 2] {
    let known = TRIGGERS.iter().find(|(one, ..)| *one == name);
    let words = |key: &str| visit.lang.t(key);
    known.map_or_else(Default::default, |(_, title, hint)| {
        [words(title), words(hint)]
    })
}

fn trigger(visit: &Visit, one: &Value) -> Trigger {
    let name = plain(one, "trigger");
    let [title, hint] = words(visit, &name);
    Trigger {
        organisation: plain(one, "organisation"),
        title,
        hint,
        mode: plain(one, "mode"),
        minimum: one["minimum"].as_u64().unwrap_or_default(),
        factor: one["factor"].as_u64().unwrap_or_default(),
        has_numbers: name != "new-network",
        name,
    }
}

/// Where `?simulate=` names a trigger.
async fn rehearsal(centre: &Centre, visit: &Visit) -> Result<Option<Rehearsal>, Refused> {
    let (lang, name) = (visit.lang, visit.query.get("simulate"));
    if name.is_empty() {
        return Ok(None);
    }
    let body = json!({
        "trigger": name,
        "organisation": visit.query.get("organisation"),
        "minimum": number(visit.query.get("minimum")),
        "factor": number(visit.query.get("factor")),
    });
    let told = centre
        .post(visit.caller(), "/triggers/simulate", &body)
        .await?;
    let findings: Vec<_> = list(&told, "findings")
        .iter()
        .map(|one| Finding {
            time: times::shown(lang, one["time"].as_str()),
            what: plain(one, "value"),
            reason: written(visit, text(one, "reason")),
            would_wait: lang.number(one["would_wait"].as_u64().unwrap_or_default()),
        })
        .collect();
    let events = told["events"].as_u64().unwrap_or_default();
    let [title, _] = words(visit, &plain(&told, "trigger"));
    Ok(Some(Rehearsal {
        title,
        sentence: lang.fill(
            "triggers-would",
            &[
                ("found", &lang.number(findings.len() as u64)),
                ("events", &lang.number(events)),
            ],
        ),
        is_cut: told["is_whole"] == false,
        findings,
    }))
}

fn number(text: &str) -> Value {
    text.parse::<u32>()
        .map_or(Value::Null, |number| json!(number))
}

/// Changes, and comes back with a sentence.
async fn change(
    centre: &Centre,
    visit: &Visit,
    (path, body): (&str, Value),
    done: (&str, &str),
) -> Response {
    match centre.post(visit.caller(), path, &body).await {
        Ok(_) => page::go(&address("/triggers", &[("done", done.0), ("what", done.1)])),
        Err(refused) => page::refused(visit, &refused),
    }
}

async fn set(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let body = json!({
        "organisation": form.get("organisation"),
        "trigger": form.get("trigger"),
        "mode": form.get("mode"),
        "minimum": number(form.get("minimum")),
        "factor": number(form.get("factor")),
    });
    change(&centre, &visit, ("/triggers/set", body), ("set", "")).await
}

async fn stop(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let mut body = named(&form);
    body["effect"] = json!(form.get("effect"));
    body["reason"] = json!("panic switch");
    let done = ("stopped", form.get("value"));
    change(&centre, &visit, ("/restricted/block", body), done).await
}

async fn release(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let (body, done) = (named(&form), ("released", form.get("value")));
    change(&centre, &visit, ("/restricted/release", body), done).await
}

fn named(form: &Form) -> Value {
    json!({ "kind": form.get("kind"), "value": form.get("value") })
}
