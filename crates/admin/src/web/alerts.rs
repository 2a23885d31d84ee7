//! Alerts: what is raised, the rules, quiet hours, and the channels by which people hear of it.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use relais_policy::alert::RuleKind;

use super::ask::{Centre, Refused, address, list, segment, text};
use super::door::{Change, Reader, Visit};
use super::form::Form;
use super::page::{self, Frame};
use super::times;
use crate::alerts::words;
use crate::plain::clean;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/alerts", get(show))
        .route("/alerts/rules/{rule}", post(set_rule))
        .route("/alerts/quiet", post(set_quiet))
        .route("/alerts/channels", post(add_channel))
        .route("/alerts/channels/{id}/{act}", post(act))
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct Alerts {
    frame: Frame,
    raised: Vec<Raised>,
    rules: Vec<Rule>,
    channels: Vec<Channel>,
    from: String,
    until: String,
}

struct Raised {
    title: String,
    subject: String,
    value: String,
    detail: String,
    since: String,
}

struct Rule {
    name: String,
    title: String,
    threshold: u64,
    unit: String,
    lasting: u64,
    is_urgent: bool,
    is_enabled: bool,
}

struct Channel {
    id: String,
    name: String,
    kind: String,
    host: String,
    told: String,
    fault: String,
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match compose(&centre, &visit).await {
        Ok(alerts) => page::send(&alerts),
        Err(refused) => page::refused(&visit, &refused),
    }
}

fn plain(value: &Value, key: &str) -> String {
    clean(text(value, key)).into_owned()
}

async fn compose(centre: &Centre, visit: &Visit) -> Result<Alerts, Refused> {
    let lang = visit.lang;
    let answer = centre.get(visit.caller(), "/alerts", &[]).await?;
    let done = match visit.query.get("done") {
        "rule" => lang.t("alerts-done-rule"),
        "quiet" => lang.t("alerts-done-quiet"),
        "added" => lang.t("alerts-done-added"),
        "remove" => lang.t("alerts-done-removed"),
        "test" => lang.t("alerts-done-test"),
        "failed" => lang.t("alerts-done-failed"),
        _ => String::new(),
    };
    let raised = list(&answer, "raised").iter().map(|one| raised(visit, one));
    let rules = list(&answer, "rules")
        .iter()
        .filter_map(|one| rule(visit, one));
    let channels = list(&answer, "channels").iter().map(|one| Channel {
        id: plain(one, "id"),
        name: plain(one, "name"),
        kind: plain(one, "kind"),
        host: plain(one, "host"),
        told: times::shown(lang, one["told_at"].as_str()),
        fault: plain(one, "fault"),
    });
    Ok(Alerts {
        raised: raised.collect(),
        rules: rules.collect(),
        channels: channels.collect(),
        from: plain(&answer["quiet"], "from"),
        until: plain(&answer["quiet"], "until"),
        frame: Frame::new(visit, "alerts", &lang.t("nav-alerts"))
            .command("relais alert list")
            .done(done),
    })
}

fn raised(visit: &Visit, one: &Value) -> Raised {
    let lang = visit.lang;
    let kind = RuleKind::parse(text(one, "rule"));
    let value = one["value"].as_u64().unwrap_or_default();
    Raised {
        title: kind.map_or("", |kind| words::rule(kind, lang.0)).to_owned(),
        subject: plain(one, "subject"),
        value: kind.map_or(String::new(), |kind| words::value(kind, value, lang.0)),
        detail: plain(one, "detail"),
        since: times::shown(lang, one["since"].as_str()),
    }
}

fn rule(visit: &Visit, one: &Value) -> Option<Rule> {
    let kind = RuleKind::parse(text(one, "rule"))?;
    Some(Rule {
        name: kind.name().to_owned(),
        title: words::rule(kind, visit.lang.0).to_owned(),
        threshold: one["threshold"].as_u64().unwrap_or_default(),
        unit: kind.unit().to_owned(),
        lasting: one["for_seconds"].as_u64().unwrap_or_default(),
        is_urgent: one["urgent"] == true,
        is_enabled: one["enabled"] == true,
    })
}

/// Changes, and comes back with a sentence.
async fn change(centre: &Centre, visit: &Visit, path: &str, body: &Value, done: &str) -> Response {
    match centre.post(visit.caller(), path, body).await {
        Ok(_) => page::go(&address("/alerts", &[("done", done)])),
        Err(refused) => page::refused(visit, &refused),
    }
}

fn number(form: &Form, name: &str) -> Value {
    form.get(name)
        .parse::<u64>()
        .map_or(Value::Null, |number| json!(number))
}

async fn set_rule(
    State(centre): State<Centre>,
    Path(rule): Path<String>,
    Change { visit, form }: Change,
) -> Response {
    let body = json!({
        "rule": rule,
        "threshold": number(&form, "threshold"),
        "for_seconds": number(&form, "lasting"),
        "urgent": !form.get("urgent").is_empty(),
        "enabled": !form.get("enabled").is_empty(),
    });
    change(&centre, &visit, "/alerts/rules", &body, "rule").await
}

async fn set_quiet(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let time = |name: &str| match form.get(name) {
        "" => Value::Null,
        time => json!(time),
    };
    let body = json!({ "from": time("from"), "until": time("until") });
    change(&centre, &visit, "/alerts/quiet", &body, "quiet").await
}

async fn add_channel(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let to = form
        .get("to")
        .split([',', ' '])
        .filter(|one| !one.is_empty());
    let body = json!({
        "name": form.get("name"),
        "kind": form.get("kind"),
        "address": form.get("address"),
        "to": to.collect::<Vec<_>>(),
        "allow_private": !form.get("allow_private").is_empty(),
        "language": visit.lang.code(),
    });
    change(&centre, &visit, "/alerts/channels", &body, "added").await
}

async fn act(
    State(centre): State<Centre>,
    Path((id, act)): Path<(String, String)>,
    Change { visit, .. }: Change,
) -> Response {
    let path = format!("/alerts/channels/{}/{}", segment(&id), segment(&act));
    match centre.post(visit.caller(), &path, &json!({})).await {
        Ok(told) if told["ok"] == false => page::go("/alerts?done=failed"),
        Ok(_) => page::go(&address("/alerts", &[("done", &act)])),
        Err(refused) => page::refused(&visit, &refused),
    }
}
