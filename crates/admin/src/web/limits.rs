//! Limits: how much of each is used, what waits, when it is reached; and what limits could be, by
//! what was sent.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use super::ask::{Centre, list, text};
use super::door::Reader;
use super::lang::Lang;
use super::page::{self, Frame};
use super::times;
use crate::plain::clean;

/// A gauge is so long.
const WHOLE: u64 = 100;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/limits", get(show))
        .route("/limits/proposals", get(proposals))
}

#[derive(Template)]
#[template(path = "limits.html")]
struct Limits {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    organisation: String,
    owner: String,
    limit: String,
    used: String,
    value: String,
    percent: u64,
    gauge: u64,
    is_warning: bool,
    waiting: String,
    kind: String,
    forecast: String,
}

#[derive(Template)]
#[template(path = "limit_proposals.html")]
struct Proposals {
    frame: Frame,
    learnt: String,
    rows: Vec<Proposed>,
}

struct Proposed {
    organisation: String,
    owner: String,
    limit: String,
    peak: String,
    current: String,
    proposed: String,
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let lang = visit.lang;
    let answer = match centre.get(visit.caller(), "/limits", &[]).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let rows = list(&answer, "limits").iter().map(|one| row(lang, one));
    page::send(&Limits {
        rows: rows.collect(),
        frame: Frame::new(&visit, "limits", &lang.t("nav-limits")).command("relais limits"),
    })
}

async fn proposals(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let lang = visit.lang;
    let answer = match centre.get(visit.caller(), "/limits/proposals", &[]).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let number = |value: &Value| match value.as_u64() {
        Some(number) => lang.number(number),
        None => lang.t("limits-none"),
    };
    let since = times::shown(lang, answer["since"].as_str());
    let rows = list(&answer, "proposals").iter().map(|one| Proposed {
        organisation: clean(text(one, "organisation")).into_owned(),
        owner: owner(lang, one),
        limit: what(lang, one),
        peak: number(&one["peak"]),
        current: number(&one["current"]),
        proposed: number(&one["proposed"]),
    });
    page::send(&Proposals {
        rows: rows.collect(),
        learnt: lang.with("limits-learnt", &since),
        frame: Frame::new(&visit, "limits", &lang.t("limits-proposals"))
            .command("relais limits propose"),
    })
}

fn row(lang: Lang, limit: &Value) -> Row {
    let number = |key: &str| lang.number(limit[key].as_u64().unwrap_or(0));
    let percent = limit["percent"].as_u64().unwrap_or(0);
    let kind = if limit["hard"] == true {
        "limits-hard"
    } else {
        "limits-soft"
    };
    let forecast = match limit["reached_at"].as_str() {
        Some(reached) => lang.with("limits-reached", &times::shown(lang, Some(reached))),
        None => lang.with("limits-at-this-pace", &number("at_this_pace")),
    };
    Row {
        organisation: clean(text(limit, "organisation")).into_owned(),
        owner: owner(lang, limit),
        limit: what(lang, limit),
        used: number("used"),
        value: number("value"),
        percent,
        gauge: percent.min(WHOLE),
        is_warning: limit["warning"] == true,
        waiting: number("waiting"),
        kind: lang.t(kind),
        forecast,
    }
}

/// Whose limit it is.
fn owner(lang: Lang, limit: &Value) -> String {
    let whose = clean(text(limit, "whose"));
    match (text(limit, "kind"), &*whose) {
        ("connector", name) => lang.with("limits-of-connector", name),
        ("device", "*") => {
            let connector = clean(text(limit, "inbound_connector"));
            lang.with("limits-of-each-device", &connector)
        }
        ("device", address) => lang.with("limits-of-device", address),
        ("credential", user) => lang.with("limits-of-credential", user),
        ("domain", name) => lang.with("limits-of-domain", name),
        ("sender", "*") => lang.t("limits-of-each-sender"),
        ("sender", address) => lang.with("limits-of-sender", address),
        _ => lang.t("limits-of-organisation"),
    }
}

/// What is limited.
fn what(lang: Lang, limit: &Value) -> String {
    let key = match text(limit, "limit") {
        "messages_per_minute" => "limits-messages-per-minute",
        "recipients_per_hour" => "limits-recipients-per-hour",
        "external_recipients_per_hour" => "limits-external-recipients-per-hour",
        "recipients_per_day" => "limits-recipients-per-day",
        _ => "limits-new-recipients-per-day",
    };
    lang.t(key)
}
