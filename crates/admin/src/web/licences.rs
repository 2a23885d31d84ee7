//! Licences: how many seats each organisation has, who counts for one, and who sends without being
//! in the directory.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::ask::{Centre, Refused, address, list, segment, text};
use super::door::{Reader, SessionForm, Visit};
use super::files;
use super::page::{self, Frame};
use super::records::{self, Cell, Input, Note, Pick, Records, Row, Sheet, Table};
use crate::permission::Action;
use crate::times;

/// Columns of the file.
const HEAD: [&str; 4] = ["organisation", "address", "kind", "last_sent"];
/// What is done about people without a seat, with the key of its name.
const POLICIES: [(&str, &str); 3] = [
    ("off", "licences-off"),
    ("report", "licences-report"),
    ("enforce", "licences-enforce"),
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/licences", get(show).post(set))
        .route("/licences.csv", get(file))
        .route("/licences.json", get(file))
}

fn filters(visit: &Visit) -> [(&'static str, &str); 2] {
    ["organisation", "kind"].map(|name| (name, visit.query.get(name)))
}

async fn asked(centre: &Centre, visit: &Visit) -> Result<Value, Refused> {
    let query = [filters(visit)[0]];
    centre.get(visit.caller(), "/licences", &query).await
}

/// Everybody of an answer, one object each.
fn people(visit: &Visit, answer: &Value) -> Vec<Value> {
    let kind = visit.query.get("kind");
    let mut all = Vec::new();
    for one in list(answer, "licences") {
        for (key, name) in [("people", "person"), ("unlisted", "unlisted")] {
            if !kind.is_empty() && kind != name {
                continue;
            }
            all.extend(list(one, key).iter().map(|sender| {
                json!({
                    "organisation": one["organisation"],
                    "address": sender["address"],
                    "kind": name,
                    "last_sent": sender["last_sent"],
                })
            }));
        }
    }
    all
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    answer(&centre, &visit, (StatusCode::OK, String::new())).await
}

async fn answer(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, String),
) -> Response {
    records::shown(visit, status, compose(centre, visit, mistake).await)
}

async fn compose(centre: &Centre, visit: &Visit, mistake: String) -> Result<Records, Refused> {
    let lang = visit.lang;
    let told = asked(centre, visit).await?;
    let licences = list(&told, "licences");
    let mut notes: Vec<_> = Note::mistake(mistake).into_iter().collect();
    notes.extend(licences.iter().map(|one| seats(visit, one)));
    let rows = people(visit, &told);
    let headings = [
        "licences-address",
        "licences-kind",
        "licences-last",
        "filter-organisation",
    ];
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: rows.iter().map(|one| row(visit, one)).collect(),
        empty: lang.t("licences-empty"),
    };
    let settings = centre.settings(visit.caller());
    let names = settings.document.organisation.iter();
    let names: Vec<_> = names.map(|one| one.name.clone()).collect();
    let done = match visit.query.get("done") {
        "" => String::new(),
        name => lang.with("licences-done", name),
    };
    let frame = Frame::new(visit, "licences", &lang.t("nav-licences"));
    let sheets = match (visit.may(Action::ChangeSettings), licences) {
        (true, [only]) => vec![policy(visit, only)],
        _ => Vec::new(),
    };
    Ok(Records {
        notes,
        filter: Some(filter(visit, &names)),
        files: records::files("/licences", &filters(visit)),
        sheets,
        ..Records::new(
            frame.command("relais licences").done(done),
            table,
            address("GET /api/v1/licences", &[filters(visit)[0]]),
        )
    })
}

/// One organisation in a sentence.
fn seats(visit: &Visit, one: &Value) -> Note {
    let lang = visit.lang;
    let number = |key: &str| lang.number(one[key].as_u64().unwrap_or(0));
    let policy = POLICIES
        .iter()
        .find(|(name, _)| *name == text(one, "policy"));
    let policy = policy.map_or_else(String::new, |(_, key)| lang.t(key));
    let words = [
        ("organisation", text(one, "organisation")),
        ("used", &number("used")),
        ("seats", &number("seats")),
        ("mailboxes", &number("mailboxes")),
        ("people", &number("people_without_mailbox")),
        ("policy", &policy),
    ];
    let has_too_many = one["used"].as_u64() > one["seats"].as_u64();
    let is_off = text(one, "policy") == "off";
    Note {
        is_good: (!is_off).then_some(!has_too_many),
        words: lang.fill("licences-seats", &words),
    }
}

fn row(visit: &Visit, one: &Value) -> Row {
    let lang = visit.lang;
    let kind = match text(one, "kind") {
        "person" => Cell::new(&lang.t("licences-person")),
        _ => Cell::status("waiting", &lang.t("licences-unlisted")),
    };
    let q = format!("from:{}", text(one, "address"));
    let trace = address("/trace", &[("q", &q), ("since", "30d")]);
    Row {
        cells: vec![
            Cell::new(text(one, "address")).leads_to(trace),
            kind,
            Cell::whole(&times::full(lang, one["last_sent"].as_str())),
            Cell::new(text(one, "organisation")),
        ],
        acts: Vec::new(),
    }
}

fn filter(visit: &Visit, names: &[String]) -> Sheet {
    let (lang, [organisation, kind]) = (visit.lang, filters(visit));
    let pick = |name: &str, key: &str| Pick::new(name, lang.t(key), name == kind.1);
    let kinds = vec![
        pick("", "filter-any"),
        pick("person", "licences-person"),
        pick("unlisted", "licences-unlisted"),
    ];
    let sheet = Sheet::new("filter", "/licences", lang.t("filter-button")).input(Input::choice(
        "kind",
        lang.t("licences-kind"),
        kinds,
    ));
    match records::of_organisation(lang, names, organisation.1, Some("filter-any")) {
        Some(choice) => sheet.input(choice),
        None => sheet,
    }
}

/// Seats and policy of one organisation.
fn policy(visit: &Visit, one: &Value) -> Sheet {
    let lang = visit.lang;
    let picks =
        POLICIES.map(|(name, key)| Pick::new(name, lang.t(key), name == text(one, "policy")));
    let seats = one["seats"].as_u64().unwrap_or(0).to_string();
    Sheet::new("policy", "/licences", lang.t("form-save"))
        .title(lang.with("licences-policy-of", text(one, "organisation")))
        .words(lang.t("licences-policy-words"))
        .hide("organisation", text(one, "organisation"))
        .input(Input::text("seats", lang.t("licences-seats-field"), &seats))
        .input(Input::choice(
            "policy",
            lang.t("licences-policy"),
            picks.into(),
        ))
}

async fn set(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let organisation = form.get("organisation");
    let Ok(seats) = form.get("seats").parse::<u32>() else {
        let words = visit.lang.with("form-number-wrong", form.get("seats"));
        return answer(&centre, &visit, (StatusCode::UNPROCESSABLE_ENTITY, words)).await;
    };
    let keys = json!({ "licences": { "seats": seats, "policy": form.get("policy") } });
    let path = format!("/organisations/{}/set", segment(organisation));
    let body = json!({ "keys": keys });
    match centre.post(visit.caller(), &path, &body).await {
        Ok(_) => page::go(&address("/licences", &[("done", organisation)])),
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(&visit, &refused),
        Err(refused) => answer(&centre, &visit, (refused.status, refused.detail)).await,
    }
}

async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match asked(&centre, &visit).await {
        Ok(answer) => files::of(&visit, "licences", &HEAD, &people(&visit, &answer)),
        Err(refused) => page::refused(&visit, &refused),
    }
}
