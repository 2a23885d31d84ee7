//! Limits: how much of each is used, what waits, when it is reached; setting one; and what limits
//! could be, by what was sent.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::ask::{Centre, list, text};
use super::door::{Reader, SessionForm, Visit};
use super::form::Form;
use super::page::{self, Frame};
use crate::lang::Lang;
use crate::permission::Action;
use crate::plain::clean;
use crate::times;

/// A gauge is so long.
const WHOLE: u64 = 100;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/limits", get(show).post(set))
        .route("/limits/proposals", get(proposals))
}

#[derive(Template)]
#[template(path = "limits.html")]
struct Limits {
    frame: Frame,
    rows: Vec<Row>,
    mistake: String,
    /// Where this person may set one: whose, and which.
    owners: Vec<Choice>,
    keys: Vec<Choice>,
    value: String,
    is_hard: bool,
}

/// One of several, as it is sent and as it is shown.
struct Choice {
    value: String,
    label: String,
    is_chosen: bool,
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
    /// What a press sends: none where this person may not.
    sent: Option<[(&'static str, String); 3]>,
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let typed = Form::default();
    answer(&centre, &visit, (StatusCode::OK, String::new()), &typed).await
}

async fn answer(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, String),
    typed: &Form,
) -> Response {
    let lang = visit.lang;
    let answer = match centre.get(visit.caller(), "/limits", &[]).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(visit, &refused),
    };
    let rows = list(&answer, "limits").iter().map(|one| row(lang, one));
    let may_set = visit.may(Action::ChangeSettings);
    let owners = match may_set {
        true => owners(centre, visit, typed.get("of")),
        false => Vec::new(),
    };
    let keys = KEYS.map(|(value, label)| Choice {
        value: value.to_owned(),
        label: lang.t(label),
        is_chosen: typed.get("limit") == value,
    });
    let done = match visit.query.get("done") {
        "" => String::new(),
        _ => lang.t("limits-done"),
    };
    let whole = page::send(&Limits {
        rows: rows.collect(),
        mistake,
        owners,
        keys: keys.into(),
        value: typed.get("value").to_owned(),
        is_hard: !typed.get("hard").is_empty(),
        frame: Frame::new(visit, "limits", &lang.t("nav-limits"))
            .command("relais limits")
            .done(done),
    });
    (status, whole).into_response()
}

/// Everybody who may have a limit, as "organisation kind name": no name of an organisation has a
/// space.
fn owners(centre: &Centre, visit: &Visit, chosen: &str) -> Vec<Choice> {
    let settings = centre.settings(visit.caller());
    let lang = visit.lang;
    let is_one = settings.document.organisation.len() == 1;
    let mut all = Vec::new();
    for organisation in &settings.document.organisation {
        let mut add = |kind: &str, whose: &str| {
            let mut limit = json!({ "kind": kind, "whose": whose });
            if matches!(kind, "device" | "sender") {
                limit = json!({ "kind": kind, "whose": "*", "inbound_connector": whose });
            }
            let (value, owner) = (
                format!("{} {kind} {whose}", organisation.name),
                owner(lang, &limit),
            );
            let label = match is_one {
                true => owner,
                false => format!("{}: {owner}", organisation.name),
            };
            all.push(Choice {
                is_chosen: value == chosen,
                value,
                label,
            });
        };
        add("organisation", "");
        add("sender", "");
        for connector in &organisation.inbound_connector {
            add("connector", &connector.name);
            add("device", &connector.name);
        }
        organisation
            .credential
            .iter()
            .for_each(|one| add("credential", &one.user));
        organisation
            .domain
            .iter()
            .for_each(|one| add("domain", &one.name));
    }
    all
}

/// A number sets a limit, an empty field takes it away.
async fn set(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let mut of = form.get("of").splitn(3, ' ');
    let mut part = || of.next().unwrap_or_default();
    let (organisation, kind, whose) = (part(), part(), part());
    let value = match form.get("value") {
        "" => None,
        text => match text.parse::<u64>() {
            Ok(value) => Some(value),
            Err(_) => {
                let mistake = visit.lang.with("limits-no-number", text);
                return answer(&centre, &visit, (StatusCode::BAD_REQUEST, mistake), &form).await;
            }
        },
    };
    let body = json!({
        "organisation": organisation,
        "kind": kind,
        "whose": whose,
        "limit": form.get("limit"),
        "value": value,
        "hard": !form.get("hard").is_empty(),
    });
    match centre.post(visit.caller(), "/limits/set", &body).await {
        Ok(_) => page::go("/limits?done=1"),
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(&visit, &refused),
        Err(refused) => answer(&centre, &visit, (refused.status, refused.detail), &form).await,
    }
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
    let may_set = visit.may(Action::ChangeSettings);
    let since = times::full(lang, answer["since"].as_str());
    let rows = list(&answer, "proposals").iter().map(|one| Proposed {
        organisation: clean(text(one, "organisation")).into_owned(),
        owner: owner(lang, one),
        limit: what(lang, one),
        peak: number(&one["peak"]),
        current: number(&one["current"]),
        proposed: number(&one["proposed"]),
        sent: may_set.then(|| sent(one)),
    });
    let rows: Vec<_> = rows.collect();
    page::send(&Proposals {
        rows,
        learnt: lang.with("limits-learnt", &since),
        frame: Frame::new(&visit, "limits", &lang.t("limits-proposals"))
            .command("relais limits propose"),
    })
}

/// The fields that set a limit as proposed.
fn sent(one: &Value) -> [(&'static str, String); 3] {
    let kind = text(one, "kind");
    let whose = match kind {
        "organisation" | "sender" => "",
        "device" => text(one, "inbound_connector"),
        _ => text(one, "whose"),
    };
    let of = format!("{} {kind} {whose}", text(one, "organisation"));
    let value = one["proposed"].as_u64().unwrap_or_default().to_string();
    [
        ("of", of),
        ("limit", text(one, "limit").to_owned()),
        ("value", value),
    ]
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
        Some(reached) => lang.with("limits-reached", &times::full(lang, Some(reached))),
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

/// What is limited: as in the settings, and its words.
const KEYS: [(&str, &str); 7] = [
    ("messages_per_minute", "limits-messages-per-minute"),
    ("recipients_per_hour", "limits-recipients-per-hour"),
    (
        "external_recipients_per_hour",
        "limits-external-recipients-per-hour",
    ),
    ("recipients_per_day", "limits-recipients-per-day"),
    ("new_recipients_per_day", "limits-new-recipients-per-day"),
    ("connections", "limits-connections"),
    ("message_size_max", "limits-message-size"),
];

fn what(lang: Lang, limit: &Value) -> String {
    let name = text(limit, "limit");
    let known = KEYS.iter().find(|(key, _)| *key == name);
    known.map_or_else(|| clean(name).into_owned(), |(_, words)| lang.t(words))
}
