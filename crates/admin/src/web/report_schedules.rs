//! Reports by e-mail: which are sent to whom and when, added, sent now, removed.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use relais_policy::settings::Mode;

use super::ask::{Centre, Refused, address, list, quoted, segment, text};
use super::door::{Reader, SessionForm, Visit};
use super::files;
use super::form::Form;
use super::page::{self, Frame};
use super::records::{self, Act, Cell, Input, Note, Pick, Records, Row, Sheet, Sure, Table};
use crate::lang::Lang;
use crate::permission::Action;
use crate::phrasebook::told;
use crate::schedules::{Every, REPORTS};
use crate::times;

/// Where the page is.
const HERE: &str = "/reports/schedules";
/// Columns of the files.
const HEAD: [&str; 9] = [
    "id",
    "organisation",
    "reports",
    "every",
    "to",
    "language",
    "next",
    "sent",
    "fault",
];
/// How often, with the keys of the words.
const EVERY: [(&str, &str); 3] = [
    ("day", "report-every-day"),
    ("week", "report-every-week"),
    ("month", "report-every-month"),
];

/// The subject of a report by e-mail: where it is from, and its day.
pub(crate) fn report_title(lang: Lang, every: Every, (place, day): (&str, &str)) -> String {
    let key = match every {
        Every::Day => "report-mail-day",
        Every::Week => "report-mail-week",
        Every::Month => "report-mail-month",
    };
    lang.fill(key, &[("place", place), ("day", day)])
}

/// Its last sentence: how one hears no more.
pub(crate) fn report_end(lang: Lang, hostname: &str) -> String {
    lang.with("report-mail-end", hostname)
}

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/reports/schedules", get(show).post(add))
        .route("/reports/schedules/{id}/send", post(send))
        .route("/reports/schedules/{id}/remove", post(remove))
        .route("/reports/schedules.csv", get(file))
        .route("/reports/schedules.json", get(file))
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let none = (StatusCode::OK, String::new());
    answer(&centre, &visit, none, &Form::default()).await
}

async fn answer(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, String),
    typed: &Form,
) -> Response {
    records::shown(visit, status, compose(centre, visit, mistake, typed).await)
}

async fn compose(
    centre: &Centre,
    visit: &Visit,
    mistake: String,
    typed: &Form,
) -> Result<Records, Refused> {
    let lang = visit.lang;
    let answer = centre.get(visit.caller(), HERE, &[]).await?;
    let may_change = visit.may(Action::ChangeSettings);
    let headings = [
        "report-which",
        "report-every",
        "report-to",
        "report-next",
        "report-sent",
    ];
    let rows = list(&answer, "schedules").iter();
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: rows.map(|one| row(lang, one, may_change)).collect(),
        empty: lang.t("report-none"),
    };
    let settings = centre.settings(visit.caller());
    let names = settings.document.organisation.iter();
    let names: Vec<_> = names.map(|one| one.name.clone()).collect();
    let sheet = may_change.then(|| form(visit, &names, typed));
    let done = match (visit.query.get("done"), visit.query.get("made")) {
        ("add", to) => lang.with("report-done-add", to),
        ("send", to) => lang.with("report-done-send", to),
        ("remove", to) => lang.with("report-done-remove", to),
        _ => String::new(),
    };
    let frame = Frame::new(visit, "reports", &lang.t("report-schedules"));
    let mut notes: Vec<_> = Note::mistake(mistake).into_iter().collect();
    notes.push(Note::plain(lang.t("report-schedules-words")));
    Ok(Records {
        notes,
        files: records::files(HERE, &[]),
        sheets: sheet.into_iter().collect(),
        ..Records::new(
            frame.command("relais report list").done(done),
            table,
            "GET /api/v1/reports/schedules",
        )
    })
}

fn name_of(lang: Lang, report: &str) -> String {
    lang.t(&format!("chart-{report}"))
}

fn row(lang: Lang, one: &Value, may_change: bool) -> Row {
    let id = text(one, "id");
    let to = records::joined(&one["to"]);
    let reports = list(one, "reports").iter().filter_map(Value::as_str);
    let reports: Vec<_> = reports.map(|report| name_of(lang, report)).collect();
    let every = records::key_of(&EVERY, text(one, "every"));
    let language = match text(one, "language") {
        "fr" => "Français",
        _ => "English",
    };
    let sent = match one["sent"].as_str() {
        Some(time) => times::full(lang, Some(time)),
        None => lang.t("report-never"),
    };
    let act = |act: &str, key: &str| {
        Act::new(format!("{HERE}/{}/{act}", segment(id)), lang.t(key), &to).hide("to", &to)
    };
    let acts = match may_change {
        true => vec![
            act("send", "report-send"),
            act("remove", "report-remove").danger(),
        ],
        false => Vec::new(),
    };
    Row {
        cells: vec![
            Cell::new(&reports.join(", ")).line(text(one, "organisation")),
            Cell::whole(&every.map(|key| lang.t(key)).unwrap_or_default()).line(language),
            Cell::new(&to),
            Cell::whole(&times::full(lang, one["next"].as_str())),
            Cell::whole(&sent).line(&told(lang.0, text(one, "fault"))),
        ],
        acts,
    }
}

fn form(visit: &Visit, names: &[String], typed: &Form) -> Sheet {
    let lang = visit.lang;
    let every = EVERY.map(|(value, key)| {
        let is_chosen = typed.get("every") == value;
        Pick::new(value, lang.t(key), is_chosen)
    });
    let is_new = typed.get("every").is_empty();
    let reports = REPORTS.map(|report| {
        let mut chosen = typed.all("reports");
        let is_chosen = chosen.any(|one| one == report) || (is_new && report != "queue");
        Pick::new(report, name_of(lang, report), is_chosen)
    });
    let language = match typed.get("language") {
        "" => lang.code(),
        typed => typed,
    };
    let languages = vec![
        Pick::new("en", "English".to_owned(), language == "en"),
        Pick::new("fr", "Français".to_owned(), language == "fr"),
    ];
    let to = Input::long("to", lang.t("report-to"), typed.get("to"));
    let whose = records::of_organisation(lang, names, typed.get("organisation"), None);
    let sheet = Sheet::new("add", HERE, lang.t("report-add-button"))
        .title(lang.t("report-add"))
        .input(Input::ticks(
            "reports",
            lang.t("report-which"),
            reports.into(),
        ))
        .input(Input::choice("every", lang.t("report-every"), every.into()))
        .input(to.hint(lang.t("report-to-hint")).wanted())
        .input(Input::choice(
            "language",
            lang.t("settings-language"),
            languages,
        ));
    match whose {
        Some(choice) => sheet.input(choice),
        None => sheet,
    }
}

async fn add(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let to = records::parted(form.raw("to"));
    let reports: Vec<_> = form.all("reports").collect();
    let settings = centre.settings(visit.caller());
    // One needs no choice on the page, and hosted mode wants it named.
    let only = match (settings.mode, settings.document.organisation.as_slice()) {
        (Mode::Hosted, [one]) => Some(one.name.as_str()),
        _ => None,
    };
    let body = json!({
        "organisation": records::named(&form).or(only),
        "reports": reports,
        "every": form.get("every"),
        "to": to,
        "language": form.get("language"),
    });
    match centre.post(visit.caller(), HERE, &body).await {
        Ok(_) => page::go(&address(HERE, &[("done", "add"), ("made", &to.join(", "))])),
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(&visit, &refused),
        Err(refused) => answer(&centre, &visit, (refused.status, refused.detail), &form).await,
    }
}

async fn send(
    State(centre): State<Centre>,
    Path(id): Path<String>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    act(&centre, &visit, (&id, "send"), form.get("to")).await
}

async fn remove(
    State(centre): State<Centre>,
    Path(id): Path<String>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (lang, to) = (visit.lang, form.get("to"));
    if !form.get("confirmed").is_empty() {
        return act(&centre, &visit, (&id, "remove"), to).await;
    }
    let path = format!("{HERE}/{}/remove", segment(&id));
    let command = format!("relais report remove {}", quoted(&id));
    page::send(&Sure {
        frame: Frame::new(&visit, "reports", &lang.t("report-schedules")).command(command),
        notes: Vec::new(),
        question: lang.with("report-remove-question", to),
        lines: Vec::new(),
        sheet: Sheet::new("sure", path, lang.t("report-remove"))
            .hide("to", to)
            .hide("confirmed", "1")
            .danger(),
        back: HERE.to_owned(),
    })
}

async fn act(centre: &Centre, visit: &Visit, (id, act): (&str, &str), to: &str) -> Response {
    let path = format!("{HERE}/{}/{act}", segment(id));
    match centre.post(visit.caller(), &path, &json!({})).await {
        Ok(_) => page::go(&address(HERE, &[("done", act), ("made", to)])),
        Err(refused) => page::refused(visit, &refused),
    }
}

async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match centre.get(visit.caller(), HERE, &[]).await {
        Ok(answer) => files::of(
            &visit,
            "report-schedules",
            &HEAD,
            list(&answer, "schedules"),
        ),
        Err(refused) => page::refused(&visit, &refused),
    }
}
