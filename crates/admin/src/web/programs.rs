//! What programs have: keys of the API, and webhooks with what was posted to them. A key is shown
//! once, on the page that made it.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use relais_store::trace::EventKind;

use super::ask::{Centre, Refused, address, list, quoted, segment, text};
use super::door::{Reader, SessionForm, Visit};
use super::form::Form;
use super::page::{self, Frame};
use super::records::{self, Act, Cell, Input, Note, Pick, Records, Row, Sheet, Sure, Table};
use super::switching::gone;
use super::{files, names};
use crate::permission::Action;
use crate::phrasebook::told_part;
use crate::scope::NOUNS;
use crate::times;

/// Columns of the files.
const KEYS_HEAD: [&str; 9] = [
    "id",
    "name",
    "scopes",
    "organisation",
    "credential",
    "since",
    "by",
    "expires",
    "last_used",
];
const HOOKS_HEAD: [&str; 7] = [
    "id",
    "name",
    "address",
    "events",
    "organisation",
    "enabled",
    "since",
];
const DELIVERIES_HEAD: [&str; 6] = ["id", "event", "state", "time", "tries", "body"];
/// What is done to a webhook, with the key of its word.
const HOOKS_ACTS: [(&str, &str); 5] = [
    ("test", "hooks-test"),
    ("enable", "hooks-enable"),
    ("disable", "hooks-disable"),
    ("rotate", "hooks-rotate"),
    ("remove", "hooks-remove"),
];
/// What was done, with the key of its sentence.
const HOOKS_DONE: [(&str, &str); 5] = [
    ("test", "hooks-done-test"),
    ("enable", "hooks-done-enable"),
    ("disable", "hooks-done-disable"),
    ("remove", "hooks-done-remove"),
    ("resend", "hooks-done-resend"),
];
/// What is asked once more, with the key of its question.
const HOOKS_QUESTIONS: [(&str, &str); 2] = [
    ("rotate", "hooks-rotate-question"),
    ("remove", "hooks-remove-question"),
];
/// Deliveries of a page, and of a file.
const DELIVERIES: &str = "100";
const DELIVERIES_OF_FILE: &str = "1000";

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/api-keys", get(show_keys).post(add_key))
        .route("/api-keys.csv", get(keys_file))
        .route("/api-keys.json", get(keys_file))
        .route("/api-keys/{id}/revoke", post(revoke))
        .route("/webhooks", get(show_hooks).post(add_hook))
        .route("/webhooks.csv", get(hooks_file))
        .route("/webhooks.json", get(hooks_file))
        .route("/webhooks/{id}", get(show_deliveries))
        .route("/webhooks/{id}/deliveries.csv", get(deliveries_file))
        .route("/webhooks/{id}/deliveries.json", get(deliveries_file))
        .route("/webhooks/{id}/{act}", post(act))
}

fn organisations(centre: &Centre, visit: &Visit) -> Vec<String> {
    let settings = centre.settings(visit.caller());
    let names = settings.document.organisation.iter();
    names.map(|one| one.name.clone()).collect()
}

fn filled<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    Some(form.get(name)).filter(|text| !text.is_empty())
}

/// A choice of one organisation, or of all.
fn of_organisation(visit: &Visit, names: &[String], typed: &Form, sheet: Sheet) -> Sheet {
    let chosen = typed.get("organisation");
    match records::of_organisation(visit.lang, names, chosen, Some("programs-all")) {
        Some(choice) => sheet.input(choice),
        None => sheet,
    }
}

// ---- keys ---------------------------------------------------------------------------------------

async fn show_keys(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let none = (StatusCode::OK, String::new());
    keys(&centre, &visit, none, &Form::default()).await
}

async fn keys(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, String),
    typed: &Form,
) -> Response {
    let (lang, may_act) = (visit.lang, visit.may(Action::ManagePeople));
    let answer = match centre.get(visit.caller(), "/api-keys", &[]).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(visit, &refused),
    };
    let headings = [
        "programs-name",
        "keys-scopes",
        "filter-organisation",
        "keys-made",
        "column-state",
        "keys-last",
    ];
    let rows = list(&answer, "keys").iter();
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: rows.map(|one| key_row(visit, one, may_act)).collect(),
        empty: lang.t("keys-empty"),
    };
    let done = match visit.query.get("done") {
        "" => String::new(),
        name => lang.with("keys-revoked", name),
    };
    let frame = Frame::new(visit, "api-keys", &lang.t("nav-api-keys"));
    let frame = frame.command("relais api-key list").done(done);
    let names = organisations(centre, visit);
    let field = |name, key| Input::text(name, lang.t(key), typed.get(name));
    let scopes = field("scopes", "keys-scopes").wanted();
    let scopes = scopes.hint(lang.with("keys-scopes-hint", &NOUNS.join(", ")));
    let sheet = Sheet::new("add", "/api-keys", lang.t("keys-make"))
        .title(lang.t("keys-add"))
        .input(field("name", "programs-name").wanted())
        .input(scopes);
    let sheet = of_organisation(visit, &names, typed, sheet)
        .input(field("credential", "keys-credential").hint(lang.t("keys-credential-hint")))
        .input(field("expires", "keys-expires").hint(lang.t("keys-expires-hint")));
    let records = Records {
        notes: Note::mistake(mistake).into_iter().collect(),
        files: records::files("/api-keys", &[]),
        sheets: may_act.then_some(sheet).into_iter().collect(),
        ..Records::new(frame, table, "GET /api/v1/api-keys")
    };
    (status, page::send(&records)).into_response()
}

fn key_row(visit: &Visit, one: &Value, may_act: bool) -> Row {
    let lang = visit.lang;
    let (id, name) = (text(one, "id"), text(one, "name"));
    let time = |key: &str| times::full(lang, one[key].as_str());
    let state = match (one["is_over"] == true, one["expires"].is_null()) {
        (true, _) => Cell::status("bad", &lang.t("keys-over")),
        (false, true) => Cell::status("good", &lang.t("keys-on")),
        (false, false) => Cell::status("good", &lang.t("keys-on"))
            .line(&lang.with("credentials-until", &time("expires"))),
    };
    let whose = match text(one, "organisation") {
        "" => lang.t("programs-all"),
        name => name.to_owned(),
    };
    let last = match one["last_used"].is_null() {
        true => Cell::new(&lang.t("credentials-never")),
        false => Cell::whole(&time("last_used")),
    };
    let path = format!("/api-keys/{}/revoke", segment(id));
    let act = Act::new(path, lang.t("credentials-revoke"), name);
    let act = act.danger().hide("name", name);
    Row {
        cells: vec![
            Cell::new(name).line(id),
            Cell::code(&records::joined(&one["scopes"])),
            Cell::new(&whose).line(text(one, "credential")),
            Cell::new(text(one, "by")).line(&time("since")),
            state,
            last,
        ],
        acts: may_act.then_some(act).into_iter().collect(),
    }
}

async fn keys_file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match centre.get(visit.caller(), "/api-keys", &[]).await {
        Ok(answer) => files::of(&visit, "api-keys", &KEYS_HEAD, list(&answer, "keys")),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn add_key(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let wanted = json!({
        "name": form.get("name"),
        "scopes": records::parted(form.get("scopes")),
        "organisation": filled(&form, "organisation"),
        "credential": filled(&form, "credential"),
        "expires": filled(&form, "expires"),
    });
    match centre.post(visit.caller(), "/api-keys", &wanted).await {
        Ok(answer) => {
            let facts = [
                ("programs-name", text(&answer, "name")),
                ("keys-key", text(&answer, "key")),
            ];
            let section = ("api-keys", "nav-api-keys");
            records::once(&visit, section, "keys-once", &facts, (None, "/api-keys"))
        }
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(&visit, &refused),
        Err(refused) => keys(&centre, &visit, (refused.status, refused.detail), &form).await,
    }
}

/// Asks once more before what cannot be undone.
fn sure(
    visit: &Visit,
    (section, title): (&'static str, &str),
    (question, about): (&str, &str),
    (path, word, back): (&str, &str, &str),
) -> Response {
    let lang = visit.lang;
    page::send(&Sure {
        frame: Frame::new(visit, section, &lang.t(title)),
        notes: Vec::new(),
        question: lang.with(question, about),
        lines: Vec::new(),
        sheet: Sheet::new("sure", path, lang.t(word))
            .hide("confirmed", "1")
            .hide("name", about)
            .danger(),
        back: back.to_owned(),
    })
}

async fn revoke(
    State(centre): State<Centre>,
    Path(id): Path<String>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (path, name) = (
        format!("/api-keys/{}/revoke", segment(&id)),
        form.get("name"),
    );
    if form.get("confirmed").is_empty() {
        let section = ("api-keys", "nav-api-keys");
        let ask = ("keys-revoke-question", name);
        return sure(
            &visit,
            section,
            ask,
            (&path, "credentials-revoke", "/api-keys"),
        );
    }
    match centre.post(visit.caller(), &path, &json!({})).await {
        Ok(answer) => page::go(&address("/api-keys", &[("done", text(&answer, "name"))])),
        Err(refused) => page::refused(&visit, &refused),
    }
}

// ---- webhooks -----------------------------------------------------------------------------------

async fn show_hooks(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let none = (StatusCode::OK, String::new());
    hooks(&centre, &visit, none, &Form::default()).await
}

async fn hooks(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, String),
    typed: &Form,
) -> Response {
    let (lang, may_act) = (visit.lang, visit.may(Action::ChangeSettings));
    let answer = match centre.get(visit.caller(), "/webhooks", &[]).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(visit, &refused),
    };
    let headings = [
        "programs-name",
        "hooks-address",
        "hooks-events",
        "column-state",
    ];
    let rows = list(&answer, "webhooks").iter();
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: rows.map(|one| hook_row(visit, one, may_act)).collect(),
        empty: lang.t("hooks-empty"),
    };
    let done = records::done(visit, &HOOKS_DONE);
    let frame = Frame::new(visit, "webhooks", &lang.t("nav-webhooks"));
    let frame = frame.command("relais webhook list").done(done);
    let records = Records {
        notes: Note::mistake(mistake).into_iter().collect(),
        files: records::files("/webhooks", &[]),
        sheets: may_act
            .then(|| new_hook(centre, visit, typed))
            .into_iter()
            .collect(),
        ..Records::new(frame, table, "GET /api/v1/webhooks")
    };
    (status, page::send(&records)).into_response()
}

fn new_hook(centre: &Centre, visit: &Visit, typed: &Form) -> Sheet {
    let lang = visit.lang;
    let field = |name, key| Input::text(name, lang.t(key), typed.get(name));
    let events = EventKind::ALL.iter().map(|kind| {
        let name = kind.name();
        let words = format!("{} ({name})", names::of_event(lang, name));
        let is_chosen = typed.all("events").any(|it| it == name);
        Pick::new(name, words, is_chosen)
    });
    let events = Input::ticks("events", lang.t("hooks-events"), events.collect());
    let names = organisations(centre, visit);
    let sheet = Sheet::new("add", "/webhooks", lang.t("hooks-make"))
        .title(lang.t("hooks-add"))
        .input(field("name", "programs-name").wanted())
        .input(
            field("address", "hooks-address")
                .hint(lang.t("hooks-address-hint"))
                .wanted(),
        );
    of_organisation(visit, &names, typed, sheet).input(events.hint(lang.t("hooks-events-hint")))
}

fn hook_row(visit: &Visit, one: &Value, may_act: bool) -> Row {
    let lang = visit.lang;
    let (id, name) = (text(one, "id"), text(one, "name"));
    let is_on = one["enabled"] == true;
    let path = format!("/webhooks/{}", segment(id));
    let act = |act: &str| {
        let word = lang.t(records::key_of(&HOOKS_ACTS, act).unwrap_or_default());
        Act::new(format!("{path}/{act}"), word, name).hide("name", name)
    };
    let state = match is_on {
        true => Cell::status("good", &lang.t("hooks-on")),
        false => Cell::status("bad", &lang.t("hooks-off")),
    };
    let events = match records::joined(&one["events"]) {
        none if none.is_empty() => Cell::new(&lang.t("hooks-all-events")),
        some => Cell::code(&some),
    };
    let acts = vec![
        act("test"),
        act(if is_on { "disable" } else { "enable" }),
        act("rotate"),
        act("remove").danger(),
    ];
    Row {
        cells: vec![
            Cell::new(name).leads_to(path),
            Cell::new(text(one, "address")).line(text(one, "organisation")),
            events,
            state.line(&told_part(lang.0, text(one, "fault"))),
        ],
        acts: if may_act { acts } else { Vec::new() },
    }
}

async fn hooks_file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match centre.get(visit.caller(), "/webhooks", &[]).await {
        Ok(answer) => files::of(&visit, "webhooks", &HOOKS_HEAD, list(&answer, "webhooks")),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// The key that signs, this once.
fn hook_key(visit: &Visit, answer: &Value) -> Response {
    let facts = [
        ("programs-name", text(answer, "name")),
        ("hooks-key", text(answer, "key")),
    ];
    records::once(
        visit,
        ("webhooks", "nav-webhooks"),
        "hooks-once",
        &facts,
        (None, "/webhooks"),
    )
}

async fn add_hook(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let wanted = json!({
        "name": form.get("name"),
        "address": form.get("address"),
        "events": form.all("events").collect::<Vec<_>>(),
        "organisation": filled(&form, "organisation"),
    });
    match centre.post(visit.caller(), "/webhooks", &wanted).await {
        Ok(answer) => hook_key(&visit, &answer),
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(&visit, &refused),
        Err(refused) => hooks(&centre, &visit, (refused.status, refused.detail), &form).await,
    }
}

async fn act(
    State(centre): State<Centre>,
    Path((id, act)): Path<(String, String)>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let path = format!("/webhooks/{}/{act}", segment(&id));
    let (name, page) = (form.get("name"), format!("/webhooks/{}", segment(&id)));
    let body = match act.as_str() {
        "resend" => json!({ "delivery": form.get("delivery") }),
        "test" | "enable" | "disable" | "rotate" | "remove" => json!({}),
        _ => return page::refused(&visit, &gone(&visit)),
    };
    let question = records::key_of(&HOOKS_QUESTIONS, &act);
    if let Some(question) = question.filter(|_| form.get("confirmed").is_empty()) {
        let word = records::key_of(&HOOKS_ACTS, &act).unwrap_or_default();
        let section = ("webhooks", "nav-webhooks");
        return sure(
            &visit,
            section,
            (question, name),
            (&path, word, "/webhooks"),
        );
    }
    match centre.post(visit.caller(), &path, &body).await {
        Ok(answer) if act == "rotate" => hook_key(&visit, &answer),
        Ok(_) if matches!(act.as_str(), "resend" | "test") => {
            page::go(&address(&page, &[("done", &act), ("made", name)]))
        }
        Ok(_) => page::go(&address("/webhooks", &[("done", &act), ("made", name)])),
        Err(refused) => page::refused(&visit, &refused),
    }
}

// ---- deliveries ---------------------------------------------------------------------------------

/// The webhook of this number, and what was posted to it.
async fn posted(
    centre: &Centre,
    visit: &Visit,
    (id, limit): (&str, &str),
) -> Result<(Value, Value), Refused> {
    let hooks = centre.get(visit.caller(), "/webhooks", &[]).await?;
    let mut all = list(&hooks, "webhooks").iter();
    let hook = all.find(|one| text(one, "id") == id).cloned();
    let hook = hook.ok_or_else(|| gone(visit))?;
    let path = format!("/webhooks/{}/deliveries", segment(id));
    let answer = centre
        .get(visit.caller(), &path, &[("limit", limit)])
        .await?;
    Ok((hook, answer))
}

async fn show_deliveries(
    State(centre): State<Centre>,
    Path(id): Path<String>,
    Reader(visit): Reader,
) -> Response {
    let lang = visit.lang;
    let (hook, answer) = match posted(&centre, &visit, (&id, DELIVERIES)).await {
        Ok(both) => both,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let name = text(&hook, "name");
    let may_act = visit.may(Action::ChangeSettings);
    let headings = ["column-time", "hooks-event", "column-state", "hooks-body"];
    let rows = list(&answer, "deliveries").iter();
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: rows
            .map(|one| delivery_row(&visit, (&id, name), one, may_act))
            .collect(),
        empty: lang.t("hooks-nothing-posted"),
    };
    let done = records::done(&visit, &HOOKS_DONE);
    let path = format!("/webhooks/{}/deliveries", segment(&id));
    let command = format!("relais webhook deliveries {}", quoted(&id));
    let frame = Frame::new(&visit, "webhooks", name)
        .command(command)
        .done(done);
    page::send(&Records {
        notes: vec![Note::plain(text(&hook, "address").to_owned())],
        files: records::files(&path, &[]),
        ..Records::new(frame, table, format!("GET /api/v1{path}"))
    })
}

fn delivery_row(visit: &Visit, (id, name): (&str, &str), one: &Value, may_act: bool) -> Row {
    let lang = visit.lang;
    let state = match text(one, "state") {
        "delivered" => Cell::status("good", &lang.t("hooks-delivered")),
        "failed" => Cell::status("bad", &lang.t("hooks-failed")),
        _ => Cell::status("waiting", &lang.t("hooks-waiting")),
    };
    let tries = list(one, "tries").iter().rev().take(3);
    let state = tries.fold(state, |cell, one| cell.line(&tried(visit, one)));
    let delivery = text(one, "id");
    let path = format!("/webhooks/{}/resend", segment(id));
    let act = Act::new(path, lang.t("hooks-resend"), delivery);
    let act = act.hide("delivery", delivery).hide("name", name);
    Row {
        cells: vec![
            Cell::whole(&times::full(lang, one["time"].as_str())),
            Cell::new(&names::of_event(lang, text(one, "event")))
                .line(text(one, "event"))
                .line(delivery),
            state,
            Cell::folded(text(one, "body")),
        ],
        acts: may_act.then_some(act).into_iter().collect(),
    }
}

/// One try in a line: when, and what came back.
fn tried(visit: &Visit, one: &Value) -> String {
    let time = times::full(visit.lang, one["at"].as_str());
    let status = one["status"].as_u64().map(|code| code.to_string());
    let said = status.unwrap_or_else(|| told_part(visit.lang.0, text(one, "said")).into_owned());
    format!("{time} · {said}")
}

async fn deliveries_file(
    State(centre): State<Centre>,
    Path(id): Path<String>,
    Reader(visit): Reader,
) -> Response {
    match posted(&centre, &visit, (&id, DELIVERIES_OF_FILE)).await {
        Ok((_, answer)) => {
            let rows = list(&answer, "deliveries");
            files::of(&visit, "deliveries", &DELIVERIES_HEAD, rows)
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}
