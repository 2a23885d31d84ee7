//! Alerts: what is raised, the rules, quiet hours, and the channels by which people hear of it.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use relais_policy::alert::{RuleKind, ScopePart};

use super::ask::{Centre, Refused, address, list, segment, text};
use super::door::{Change, Reader, Visit};
use super::files;
use super::form::Form;
use super::page::{self, Frame};
use super::records;
use crate::alerts::words;
use crate::phrasebook::{told_detail, told_part};
use crate::plain::clean;
use crate::times;

/// Columns of the file.
const HEAD: [&str; 8] = [
    "rule",
    "scope",
    "enabled",
    "threshold",
    "unit",
    "for_seconds",
    "urgent",
    "raised",
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/alerts", get(show))
        .route("/alerts.csv", get(file))
        .route("/alerts.json", get(file))
        .route("/alerts/rules", post(add_rule))
        .route("/alerts/rules/{rule}", post(set_rule))
        .route("/alerts/rules/{rule}/remove", post(remove_rule))
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
    new: NewRule,
    channels: Vec<Channel>,
    from: String,
    until: String,
    files: Vec<(&'static str, String)>,
}

struct Raised {
    title: String,
    /// Of which mail, and of what of it.
    about: Vec<String>,
    value: String,
    detail: String,
    since: String,
}

struct Rule {
    /// In the page.
    id: String,
    name: String,
    title: String,
    /// Of which mail, as tokens of the trace; empty: of all.
    scope: String,
    /// Where that mail is seen.
    seen: String,
    /// Its parts, for the form.
    parts: Vec<(String, String)>,
    threshold: u64,
    unit: String,
    /// In a larger unit; empty: it is said already.
    threshold_words: String,
    lasting: u64,
    lasting_words: String,
    is_urgent: bool,
    is_enabled: bool,
}

/// A rule for some mail only that may be made, perhaps filled in from a message.
struct NewRule {
    /// Name, words, whether it is chosen.
    kinds: Vec<(&'static str, String, bool)>,
    parts: Vec<Part>,
    threshold: String,
    is_filled: bool,
}

/// By what mail can be told apart.
struct Part {
    name: &'static str,
    label: String,
    value: String,
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
        "rule-removed" => lang.t("alerts-done-rule-removed"),
        "quiet" => lang.t("alerts-done-quiet"),
        "added" => lang.t("alerts-done-added"),
        "remove" => lang.t("alerts-done-removed"),
        "test" => lang.t("alerts-done-test"),
        "failed" => lang.t("alerts-done-failed"),
        _ => String::new(),
    };
    let raised = list(&answer, "raised").iter().map(|one| raised(visit, one));
    let rules = list(&answer, "rules").iter().enumerate();
    let rules = rules.filter_map(|(number, one)| rule(visit, number, one));
    let channels = list(&answer, "channels").iter().map(|one| Channel {
        id: plain(one, "id"),
        name: plain(one, "name"),
        kind: plain(one, "kind"),
        host: plain(one, "host"),
        told: times::shown(lang, one["told_at"].as_str()),
        fault: told_part(lang.0, &plain(one, "fault")).into_owned(),
    });
    Ok(Alerts {
        raised: raised.collect(),
        rules: rules.collect(),
        new: new_rule(
            visit,
            centre.settings(visit.caller()).document.organisation.len() > 1,
        ),
        channels: channels.collect(),
        files: records::files("/alerts", &[]),
        from: plain(&answer["quiet"], "from"),
        until: plain(&answer["quiet"], "until"),
        frame: Frame::new(visit, "alerts", &lang.t("nav-alerts"))
            .api("GET /api/v1/alerts")
            .command("relais alert list")
            .done(done),
    })
}

fn raised(visit: &Visit, one: &Value) -> Raised {
    let lang = visit.lang;
    let kind = RuleKind::parse(text(one, "rule"));
    let value = one["value"].as_u64().unwrap_or_default();
    let subject = plain(one, "subject");
    let subject = kind.map_or(String::new(), |kind| words::subject(kind, &subject, lang.0));
    let about = [plain(one, "scope"), subject];
    Raised {
        title: kind.map_or("", |kind| words::rule(kind, lang.0)).to_owned(),
        about: about.into_iter().filter(|it| !it.is_empty()).collect(),
        value: kind.map_or(String::new(), |kind| words::value(kind, value, lang.0)),
        detail: told_detail(lang.0, &plain(one, "detail")).into_owned(),
        since: times::shown(lang, one["since"].as_str()),
    }
}

fn rule(visit: &Visit, number: usize, one: &Value) -> Option<Rule> {
    let kind = RuleKind::parse(text(one, "rule"))?;
    let scope = text(one, "scope");
    let parts = ScopePart::ALL.into_iter().map(|part| {
        let value = text(&one["scope_parts"], part.name());
        (part.name().to_owned(), value.to_owned())
    });
    Some(Rule {
        id: match scope {
            "" => kind.name().to_owned(),
            _ => format!("{}-{number}", kind.name()),
        },
        seen: address("/trace", &[("q", scope), ("since", "24h")]),
        parts: parts.filter(|(_, value)| !value.is_empty()).collect(),
        scope: clean(scope).into_owned(),
        name: kind.name().to_owned(),
        title: words::rule(kind, visit.lang.0).to_owned(),
        threshold: one["threshold"].as_u64().unwrap_or_default(),
        unit: words::unit(kind, visit.lang.0).to_owned(),
        threshold_words: words_of(visit, kind.unit(), one["threshold"].as_u64()),
        lasting: one["for_seconds"].as_u64().unwrap_or_default(),
        lasting_words: words_of(visit, "s", one["for_seconds"].as_u64()),
        is_urgent: one["urgent"] == true,
        is_enabled: one["enabled"] == true,
    })
}

/// The form for one more, filled in from a message that somebody wants to hear of such as; nothing
/// is saved by it.
fn new_rule(visit: &Visit, has_organisations: bool) -> NewRule {
    let lang = visit.lang;
    let wanted = visit.query.get("rule");
    let kinds = RuleKind::ALL.into_iter();
    let kinds = kinds.filter(|kind| !kind.scope_parts().is_empty());
    let kinds = kinds.map(|kind| {
        let words = match words::unit(kind, lang.0) {
            "" => words::rule(kind, lang.0).to_owned(),
            unit => format!("{} ({unit})", words::rule(kind, lang.0)),
        };
        (kind.name(), words, kind.name() == wanted)
    });
    let parts = ScopePart::ALL.into_iter();
    let parts = parts.filter(|part| has_organisations || *part != ScopePart::Organisation);
    let parts = parts.map(|part| Part {
        name: part.name(),
        label: match part {
            ScopePart::Organisation => lang.t("filter-organisation"),
            ScopePart::Connector => lang.t("column-connector"),
            ScopePart::From => lang.t("alerts-scope-from"),
            ScopePart::Client => lang.t("alerts-scope-client"),
            ScopePart::To => lang.t("alerts-scope-to"),
        },
        value: clean(visit.query.get(part.name())).into_owned(),
    });
    let threshold = visit.query.get("threshold").parse::<u64>();
    NewRule {
        kinds: kinds.collect(),
        parts: parts.collect(),
        is_filled: threshold.is_ok(),
        threshold: threshold.map(|it| it.to_string()).unwrap_or_default(),
    }
}

/// What a number of seconds is in a larger unit; empty where it says no more.
fn words_of(visit: &Visit, unit: &str, value: Option<u64>) -> String {
    match (unit, value) {
        ("s", Some(seconds)) if seconds >= 120 => times::span(visit.lang, seconds),
        _ => String::new(),
    }
}

/// The rules with what they raised, as a file.
async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let answer = match centre.get(visit.caller(), "/alerts", &[]).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let is_json = visit.path.starts_with("/alerts.json");
    if is_json {
        return files::whole("alerts", &answer);
    }
    let raised = list(&answer, "raised");
    let rules = list(&answer, "rules").iter().map(|rule| {
        let mut line = rule.clone();
        let is_its = |one: &&Value| one["rule"] == rule["rule"] && one["scope"] == rule["scope"];
        let own = raised.iter().filter(is_its);
        let subjects = own.filter_map(|one| one["subject"].as_str());
        line["raised"] = json!(subjects.collect::<Vec<_>>());
        line
    });
    let rules: Vec<_> = rules.collect();
    files::of(&visit, "alerts", &HEAD, &rules)
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

/// Of which mail, as the form says.
fn scope(form: &Form) -> Value {
    let parts = ScopePart::ALL.map(|part| part.name());
    let given = parts.map(|name| (name.to_owned(), json!(form.get(name))));
    Value::Object(given.into_iter().collect())
}

async fn set_rule(
    State(centre): State<Centre>,
    Path(rule): Path<String>,
    Change { visit, form }: Change,
) -> Response {
    let body = json!({
        "rule": rule,
        "scope": scope(&form),
        "threshold": number(&form, "threshold"),
        "for_seconds": number(&form, "lasting"),
        "urgent": !form.get("urgent").is_empty(),
        "enabled": !form.get("enabled").is_empty(),
    });
    change(&centre, &visit, "/alerts/rules", &body, "rule").await
}

/// One for some mail only; without a word on it, it would change the rule for everything.
async fn add_rule(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let scope = scope(&form);
    let is_all = ScopePart::ALL
        .iter()
        .all(|part| text(&scope, part.name()).is_empty());
    if is_all {
        let refused = Refused {
            status: StatusCode::BAD_REQUEST,
            detail: visit.lang.t("alerts-scope-missing"),
        };
        return page::refused(&visit, &refused);
    }
    let body = json!({
        "rule": form.get("rule"),
        "scope": scope,
        "threshold": number(&form, "threshold"),
        "for_seconds": number(&form, "lasting"),
        "urgent": !form.get("urgent").is_empty(),
        "enabled": true,
    });
    change(&centre, &visit, "/alerts/rules", &body, "rule").await
}

async fn remove_rule(
    State(centre): State<Centre>,
    Path(rule): Path<String>,
    Change { visit, form }: Change,
) -> Response {
    let body = json!({ "rule": rule, "scope": scope(&form) });
    change(
        &centre,
        &visit,
        "/alerts/rules/remove",
        &body,
        "rule-removed",
    )
    .await
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
