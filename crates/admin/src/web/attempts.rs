//! Refused attempts: who knocked and was turned away, grouped; adopt, ignore, block.

mod ignored;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use relais_policy::adopt::{SELF_TEST_HELO, no_client};
use relais_store::trace::Event;

use super::ask::{Centre, Refused, address, list, quoted, segment, text};
use super::door::{Change, Reader, Visit};
use super::files;
use super::news;
use super::page::{self, Frame};
use super::records::{self, Sheet, Sure};
use crate::access::is_attempt_seen;
use crate::permission::Action;
use crate::plain::clean;
use crate::times;
use crate::words::advice;

/// How far back where nothing is asked for.
const SINCE_DEFAULT: &str = "7d";
/// Groups of a page.
const ROWS: &str = "100";
/// The same, of those that the filter leaves.
const ROWS_MAX: usize = 100;
/// Columns of the file.
const HEAD: [&str; 12] = [
    "address",
    "count",
    "time",
    "reference",
    "token",
    "reply",
    "helo",
    "from",
    "to",
    "tls",
    "organisation",
    "inbound_connector",
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/attempts", get(show))
        .route("/attempts.csv", get(file))
        .route("/attempts.json", get(file))
        .route("/attempts/events", get(events))
        .route("/attempts/ignored", get(ignored::show).post(ignored::back))
        .route("/attempts/ignored.csv", get(ignored::file))
        .route("/attempts/ignored.json", get(ignored::file))
        .route("/attempts/{reference}/{act}", post(act))
}

#[derive(Template)]
#[template(path = "attempts.html")]
struct Attempts {
    frame: Frame,
    spans: Vec<(String, String, bool)>,
    since: String,
    sought: String,
    /// Groups that are not shown: words that lead to them; empty where there are none.
    ignored: String,
    organisations: Vec<String>,
    files: Vec<(&'static str, String)>,
    groups: Vec<Group>,
}

struct Group {
    reference: String,
    /// It may be a client; a person at the admin centre is none.
    can_adopt: bool,
    address: String,
    story: String,
    time: String,
    count: String,
    reply: String,
    cause: String,
    fix: String,
    tried: Vec<(String, String)>,
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match compose(&centre, &visit).await {
        Ok(attempts) => page::send(&attempts),
        Err(refused) => page::refused(&visit, &refused),
    }
}

fn since_of(visit: &Visit) -> &str {
    match visit.query.get("since") {
        "" => SINCE_DEFAULT,
        since => since,
    }
}

/// The same as a file.
async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let asked = [("since", since_of(&visit))];
    match centre.get(visit.caller(), "/attempts", &asked).await {
        Ok(answer) => {
            let found = list(&answer, "attempts").iter();
            let found = found.filter(|one| fits(&visit, one));
            files::of(&visit, "attempts", &HEAD, found)
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// Whether the filter leaves a group.
fn fits(visit: &Visit, group: &Value) -> bool {
    let texts = HEAD.map(|key| text(group, key));
    records::is_among(visit.query.get("q"), texts)
}

async fn compose(centre: &Centre, visit: &Visit) -> Result<Attempts, Refused> {
    let lang = visit.lang;
    let (since, sought) = (since_of(visit), visit.query.get("q"));
    // Of what is sought, as many as of all are shown.
    let limit = if sought.is_empty() { ROWS } else { "" };
    let asked = [("since", since), ("limit", limit)];
    let ignored = match ignored::count(centre, visit).await? {
        0 => String::new(),
        count => lang.n("ignored-link", count),
    };
    let answer = centre.get(visit.caller(), "/attempts", &asked).await?;
    let settings = centre.settings(visit.caller());
    let organisations = settings.document.organisation.iter();
    let made = visit.query.get("made");
    let done = match visit.query.get("done") {
        "adopt" => lang.with("done-adopt", made),
        "adopt-user" => lang.with("done-adopt-user", made),
        "ignore" => lang.t("done-ignore"),
        "block" => lang.with("done-block", made),
        _ => String::new(),
    };
    let command = format!("relais attempts list --since {}", quoted(since));
    Ok(Attempts {
        spans: times::RANGES
            .map(|(span, key)| {
                let address = address("/attempts", &[("since", span), ("q", sought)]);
                (address, lang.t(key), span == since)
            })
            .into(),
        since: since.to_owned(),
        sought: sought.to_owned(),
        ignored,
        files: records::files("/attempts", &[("since", since), ("q", sought)]),
        organisations: organisations
            .filter(|one| visit.caller().rights.sees(&one.name))
            .map(|one| one.name.clone())
            .collect(),
        groups: list(&answer, "attempts")
            .iter()
            .filter(|one| fits(visit, one))
            .take(ROWS_MAX)
            .map(|one| group(visit, one))
            .collect(),
        frame: Frame::new(visit, "attempts", &lang.t("nav-attempts"))
            .api(address("GET /api/v1/attempts", &[("since", since)]))
            .command(command)
            .done(done),
    })
}

fn group(visit: &Visit, value: &Value) -> Group {
    let lang = visit.lang;
    let plain = |key: &str| clean(text(value, key)).into_owned();
    let reference = plain("reference");
    let helo = value["helo"].as_str();
    let can_adopt = no_client(text(value, "token"), helo).is_none();
    let ourselves = lang.t("attempts-self-test");
    let (cause, fix) = match helo {
        Some(SELF_TEST_HELO) => (&*ourselves, ""),
        _ => advice(text(value, "reply"), lang.0).unwrap_or_default(),
    };
    let tried = [
        ("fact-helo", "helo"),
        ("column-from", "from"),
        ("column-to", "to"),
        ("fact-tls", "tls"),
        ("column-connector", "inbound_connector"),
    ];
    let tried = tried.map(|(key, name)| (lang.t(key), plain(name)));
    Group {
        story: format!("/trace/{}", segment(&reference)),
        address: plain("address"),
        time: times::shown(lang, value["time"].as_str()),
        count: lang.n("attempts-count", value["count"].as_u64().unwrap_or(1)),
        reply: plain("reply"),
        cause: cause.to_owned(),
        fix: fix.to_owned(),
        tried: tried
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        reference,
        can_adopt,
    }
}

/// Says that somebody was refused, as it happens: to whoever sees that attempt.
async fn events(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    if !visit.may(Action::ReadMail) {
        let words = visit.lang.t("error-read-only");
        return page::failed(&visit, StatusCode::FORBIDDEN, &words);
    }
    let (store, rights) = (centre.context.store.clone(), visit.caller.rights.clone());
    let is_told = move |event: &Event| {
        event.status() == Some("refused") && is_attempt_seen(&store.settings(), &rights, event)
    };
    let refusals = stream::unfold(centre.context.store.live(), move |mut receiver| {
        let is_told = is_told.clone();
        async move {
            loop {
                match receiver.recv().await {
                    Ok(events) if events.iter().any(&is_told) => {
                        return Some(((), receiver));
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return Some(((), receiver)),
                    Err(RecvError::Closed) => return None,
                }
            }
        }
    });
    news::send(&centre, &visit, refusals)
}

/// Before an address is shut out.
fn question(visit: &Visit, reference: &str, client: &str) -> Sure {
    let lang = visit.lang;
    let name = if client.is_empty() { reference } else { client };
    let path = format!("/attempts/{}/block", segment(reference));
    let command = format!("relais attempts block {}", quoted(reference));
    Sure {
        frame: Frame::new(visit, "attempts", &lang.t("confirm-title")).command(command),
        notes: Vec::new(),
        question: lang.with("attempts-block-question", &clean(name)),
        lines: Vec::new(),
        sheet: Sheet::new("block", path, lang.t("attempts-block"))
            .hide("confirmed", "1")
            .danger(),
        back: "/attempts".to_owned(),
    }
}

async fn act(
    State(centre): State<Centre>,
    Path((reference, act)): Path<(String, String)>,
    Change { visit, form }: Change,
) -> Response {
    let (name, organisation) = (form.get("name"), form.get("organisation"));
    if act == "block" && form.get("confirmed").is_empty() {
        return page::send(&question(&visit, &reference, form.get("address")));
    }
    let body = match act.as_str() {
        "adopt" if organisation.is_empty() => json!({ "name": name }),
        "adopt" => json!({ "name": name, "organisation": organisation }),
        "ignore" | "block" => json!({}),
        _ => {
            let words = visit.lang.t("error-not-found");
            return page::failed(&visit, StatusCode::NOT_FOUND, &words);
        }
    };
    let path = format!("/attempts/{}/{act}", segment(&reference));
    match centre.post(visit.caller(), &path, &body).await {
        Ok(answer) => {
            let user = text(&answer["made"], "user");
            let (done, made) = match act.as_str() {
                "adopt" if !user.is_empty() => ("adopt-user", user),
                "adopt" => ("adopt", text(&answer["made"], "name")),
                other => (other, text(&answer, "value")),
            };
            page::go(&address("/attempts", &[("done", done), ("made", made)]))
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}
