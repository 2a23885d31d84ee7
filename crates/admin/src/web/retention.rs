//! Retention & privacy: what is kept of mail and for how long, with the reason of each default;
//! whether subjects are written down; an address erased.
//!
//! Not here: what is kept of one message, which its story shows.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use relais_store::trace::erase::Eraser;

use super::ask::{Centre, Refused, address, list, quoted, segment, text};
use super::door::{Reader, SessionForm, Visit};
use super::form::Form;
use super::page::{self, Frame};
use super::records::{self, Cell, Input, Note, Pick, Records, Row, Sheet, Sure, Table};
use super::trace::octets;
use super::{files, legal_holds};
use crate::api::connector_revision;
use crate::lang::Lang;
use crate::permission::Action;

/// Columns of the files.
const HEAD: [&str; 7] = [
    "organisation",
    "inbound_connector",
    "subjects",
    "content_days",
    "kept_messages",
    "kept_octets",
    "kept_octets_max",
];
/// What is counted of an erasure, with its words.
const COUNTED: [(&str, &str); 3] = [
    ("events", "erase-events"),
    ("conversations", "erase-conversations"),
    ("contents", "erase-contents"),
];
/// What cannot be erased, with its words.
const LEFT: [(&str, &str); 3] = [
    ("unread_days", "erase-unread"),
    ("unread_conversations", "erase-unread-conversations"),
    ("unwritten_events", "erase-unwritten"),
];
/// Where the page is.
const HERE: &str = "/settings/retention";

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/settings/retention", get(show).post(set))
        .route("/settings/retention/connector", post(set_connector))
        .route("/settings/retention/erase", post(erase))
        .route("/settings/retention.csv", get(file))
        .route("/settings/retention.json", get(file))
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

/// One line each: organisations, and their connectors.
fn rows_of(told: &Value, wanted: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    for one in list(told, "organisations") {
        let name = text(one, "name");
        if !wanted.is_empty() && wanted != name {
            continue;
        }
        rows.push(json!({
            "organisation": name,
            "inbound_connector": "",
            "subjects": one["subjects"],
            "content_days": one["content_days"],
            "kept_messages": one["kept_messages"],
            "kept_octets": one["kept_octets"],
            "kept_octets_max": one["kept_octets_max"],
            "is_set": true,
        }));
        for it in list(one, "inbound_connectors") {
            let is_set = !it["subjects_set"].is_null() || !it["content_days_set"].is_null();
            rows.push(json!({
                "organisation": name,
                "inbound_connector": it["name"],
                "subjects": it["subjects"],
                "content_days": it["content_days"],
                "is_set": is_set,
            }));
        }
    }
    rows
}

async fn compose(
    centre: &Centre,
    visit: &Visit,
    mistake: String,
    typed: &Form,
) -> Result<Records, Refused> {
    let lang = visit.lang;
    let told = centre.get(visit.caller(), "/retention", &[]).await?;
    let wanted = visit.query.get("organisation");
    let names = list(&told, "organisations").iter();
    let names: Vec<_> = names.map(|one| text(one, "name").to_owned()).collect();
    let headings = [
        "retention-whose",
        "retention-subjects",
        "retention-content",
        "retention-kept",
    ];
    let rows = rows_of(&told, wanted);
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: rows.iter().map(|one| row(lang, one)).collect(),
        empty: lang.t("retention-empty"),
    };
    let mut notes: Vec<_> = Note::mistake(mistake).into_iter().collect();
    let days = |key: &str, words: &str| {
        let days = told[key].as_u64().unwrap_or(0);
        Note::plain(lang.n(words, days))
    };
    notes.push(days("trace_days", "retention-trace-words"));
    notes.push(days("dialogue_days", "retention-dialogue-words"));
    notes.push(days("content_days", "retention-content-words"));
    notes.push(Note::plain(lang.t("retention-where")));
    let filter = records::of_organisation(lang, &names, wanted, Some("filter-any"));
    let filter =
        filter.map(|choice| Sheet::new("filter", HERE, lang.t("filter-button")).input(choice));
    let frame = Frame::new(visit, "retention", &lang.t("nav-retention"));
    let frame = frame.command("relais organisation set NAME --subjects masked --content-days 3");
    Ok(Records {
        notes,
        views: legal_holds::views(lang, HERE),
        filter,
        files: records::files(HERE, &[("organisation", wanted)]),
        sheets: sheets(visit, &told, &names, typed),
        ..Records::new(frame.done(done(visit)), table, "GET /api/v1/retention")
    })
}

fn row(lang: Lang, one: &Value) -> Row {
    let (organisation, connector) = (text(one, "organisation"), text(one, "inbound_connector"));
    let days = one["content_days"].as_u64().unwrap_or(0);
    let whose = match connector {
        "" => Cell::whole(organisation),
        connector => Cell::new(connector).line(organisation),
    };
    let inherited = match one["is_set"] == true {
        true => String::new(),
        false => lang.t("retention-inherited"),
    };
    let subjects = match text(one, "subjects") {
        "masked" => "retention-masked",
        _ => "retention-shown",
    };
    let kept = match one["kept_messages"].as_u64() {
        None => String::new(),
        Some(0) => lang.t("retention-nothing"),
        Some(count) => {
            let size = octets(lang, one["kept_octets"].as_u64());
            format!("{} – {size}", lang.n("retention-messages", count))
        }
    };
    // Where nothing is kept, how much it could be is no matter.
    let most = match (one["kept_messages"].as_u64(), days) {
        (None, _) | (Some(0), 0) => String::new(),
        _ => lang.with(
            "retention-most",
            &octets(lang, one["kept_octets_max"].as_u64()),
        ),
    };
    let kept_for = match days {
        0 => lang.t("retention-not-kept"),
        days => lang.n("retention-days", days),
    };
    Row {
        cells: vec![
            whose,
            Cell::whole(&lang.t(subjects)).line(&inherited),
            Cell::whole(&kept_for),
            Cell::whole(&kept).line(&most),
        ],
        acts: Vec::new(),
    }
}

fn picks(lang: Lang, chosen: &str, first: Option<&str>) -> Vec<Pick> {
    let first = first.map(|key| Pick::new("", lang.t(key), chosen.is_empty()));
    let all = [("shown", "retention-shown"), ("masked", "retention-masked")];
    let all = all.map(|(value, key)| Pick::new(value, lang.t(key), chosen == value));
    first.into_iter().chain(all).collect()
}

fn sheets(visit: &Visit, told: &Value, names: &[String], typed: &Form) -> Vec<Sheet> {
    let lang = visit.lang;
    let mut sheets = Vec::new();
    let wanted = visit.query.get("organisation");
    let mut all = list(told, "organisations").iter();
    let chosen = match names {
        [_] => all.next(),
        _ => all.find(|one| text(one, "name") == wanted),
    };
    if let Some(one) = chosen.filter(|_| visit.may(Action::ChangeSettings)) {
        sheets.extend([of_organisation(lang, one), of_connector(lang, one)]);
    }
    if visit.may(Action::Erase) {
        let sheet = Sheet::new("erase", format!("{HERE}/erase"), lang.t("erase-button"))
            .title(lang.t("erase-title"))
            .words(lang.t("erase-words"))
            .danger()
            .input(
                Input::text("address", lang.t("erase-address"), typed.get("address"))
                    .hint(lang.t("erase-address-hint"))
                    .wanted(),
            );
        let whose = typed.get("organisation");
        let all = visit.sees_installation().then_some("erase-everywhere");
        let sheet = match records::of_organisation(lang, names, whose, all) {
            Some(choice) => sheet.input(choice),
            None => sheet,
        };
        sheets.push(sheet);
    }
    sheets
}

fn of_organisation(lang: Lang, one: &Value) -> Sheet {
    let name = text(one, "name");
    let days = one["content_days_set"].as_u64();
    let days = days.map(|days| days.to_string()).unwrap_or_default();
    let subjects = picks(lang, text(one, "subjects"), None);
    Sheet::new("organisation", HERE, lang.t("form-save"))
        .title(lang.with("retention-of", name))
        .hide("organisation", name)
        .input(
            Input::choice("subjects", lang.t("retention-subjects"), subjects)
                .hint(lang.t("retention-subjects-hint")),
        )
        .input(
            Input::text("content_days", lang.t("retention-content-days"), &days)
                .hint(lang.t("retention-content-days-hint")),
        )
}

fn of_connector(lang: Lang, one: &Value) -> Sheet {
    let name = text(one, "name");
    let connectors = list(one, "inbound_connectors").iter();
    let connectors = connectors.map(|it| Pick::plain(text(it, "name"), ""));
    Sheet::new(
        "connector",
        format!("{HERE}/connector"),
        lang.t("form-save"),
    )
    .title(lang.with("retention-of-connector", name))
    .words(lang.t("retention-of-connector-words"))
    .hide("organisation", name)
    .input(Input::choice(
        "connector",
        lang.t("column-connector"),
        connectors.collect(),
    ))
    .input(Input::choice(
        "subjects",
        lang.t("retention-subjects"),
        picks(lang, "", Some("retention-as-organisation")),
    ))
    .input(
        Input::text("content_days", lang.t("retention-content-days"), "")
            .hint(lang.t("retention-connector-days-hint")),
    )
}

fn done(visit: &Visit) -> String {
    let lang = visit.lang;
    let count = |key: &str| visit.query.get(key).parse::<u64>().ok();
    let counted = COUNTED.map(|(key, words)| count(key).map(|count| lang.n(words, count)));
    if let [Some(events), Some(conversations), Some(contents)] = counted {
        let all = [events, conversations, contents].join(", ");
        let mut lines = vec![lang.with("erase-done", &all)];
        if !visit.query.get("has_more").is_empty() {
            lines.push(lang.t("erase-more"));
        }
        lines.extend(LEFT.iter().filter_map(|(key, words)| {
            let left = visit.query.get(key);
            (!left.is_empty()).then(|| lang.with(words, left))
        }));
        return lines.join(" ");
    }
    match visit.query.get("done") {
        "" => String::new(),
        name => lang.with("settings-done", name),
    }
}

/// A number of days; empty: none said.
fn days_of(lang: Lang, form: &Form) -> Result<Value, String> {
    match form.get("content_days") {
        "" => Ok(Value::Null),
        days => match days.parse::<u32>() {
            Ok(days) => Ok(json!(days)),
            Err(_) => Err(lang.with("retention-days-wrong", days)),
        },
    }
}

async fn set(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let days = match days_of(visit.lang, &form) {
        Ok(days) => days,
        Err(words) => {
            return answer(&centre, &visit, (StatusCode::BAD_REQUEST, words), &form).await;
        }
    };
    let organisation = form.get("organisation");
    let path = format!("/organisations/{}/set", segment(organisation));
    let keys = json!({ "subjects": form.get("subjects"), "content_days": days });
    let set = json!({ "keys": keys });
    let set = centre.post(visit.caller(), &path, &set).await;
    saved(&centre, &visit, &form, organisation, set).await
}

async fn set_connector(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let days = match days_of(visit.lang, &form) {
        Ok(days) => days,
        Err(words) => {
            return answer(&centre, &visit, (StatusCode::BAD_REQUEST, words), &form).await;
        }
    };
    let (organisation, name) = (form.get("organisation"), form.get("connector"));
    let settings = centre.settings(visit.caller());
    let Some(found) = settings.inbound_connector(organisation, name) else {
        let words = visit.lang.t("error-not-found");
        return page::failed(&visit, StatusCode::NOT_FOUND, &words);
    };
    let mut connector = json!(found.connector);
    let subjects = Some(form.get("subjects")).filter(|word| !word.is_empty());
    connector["subjects"] = json!(subjects);
    connector["content_days"] = days;
    let put = json!({
        "organisation": organisation,
        "connector": connector,
        "revision": connector_revision(found.connector),
    });
    let path = "/connectors/inbound/put";
    let set = centre.post(visit.caller(), path, &put).await;
    saved(&centre, &visit, &form, name, set).await
}

async fn saved(
    centre: &Centre,
    visit: &Visit,
    form: &Form,
    what: &str,
    set: Result<Value, Refused>,
) -> Response {
    match set {
        Ok(_) => {
            let organisation = ("organisation", form.get("organisation"));
            page::go(&address(HERE, &[("done", what), organisation]))
        }
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(visit, &refused),
        Err(refused) => answer(centre, visit, (refused.status, refused.detail), form).await,
    }
}

// ---- erasing ------------------------------------------------------------------------------------

/// First what would be erased, with the address to be typed once more; then the act.
async fn erase(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let (lang, wanted) = (visit.lang, form.get("address"));
    if Eraser::new(wanted).is_none() {
        let wrong = (StatusCode::BAD_REQUEST, lang.t("erase-wrong"));
        return answer(&centre, &visit, wrong, &form).await;
    }
    let is_sure = form.get("typed").eq_ignore_ascii_case(wanted);
    let body = json!({
        "address": wanted,
        "organisation": records::named(&form),
        "dry_run": !is_sure,
    });
    let told = match centre.post(visit.caller(), "/trace/erase", &body).await {
        Ok(told) => told,
        Err(refused) => return page::refused(&visit, &refused),
    };
    if is_sure {
        let count = |key: &str| told[key].as_u64().unwrap_or(0).to_string();
        let mut answer: Vec<(&str, String)> = Vec::new();
        answer.extend(COUNTED.map(|(key, _)| (key, count(key))));
        answer.extend(LEFT.map(|(key, _)| (key, left(&told, key))));
        if told["has_more"] == true {
            answer.push(("has_more", "1".to_owned()));
        }
        let answer: Vec<_> = answer.iter().map(|(key, value)| (*key, &**value)).collect();
        return page::go(&address(HERE, &answer));
    }
    let mistake = match form.get("typed") {
        "" => String::new(),
        _ => lang.t("erase-typed-wrong"),
    };
    let mut lines = counts(lang, &told);
    if told["has_more"] == true {
        lines.push(lang.t("erase-more"));
    }
    lines.extend(LEFT.iter().filter_map(|(key, words)| {
        let left = left(&told, key);
        (!left.is_empty()).then(|| lang.with(words, &left))
    }));
    let command = format!("relais trace erase {}", quoted(wanted));
    let sheet = Sheet::new("sure", format!("{HERE}/erase"), lang.t("erase-button"))
        .words(lang.t("erase-for-good"))
        .hide("address", wanted)
        .hide("organisation", form.get("organisation"))
        .danger()
        .input(Input::text("typed", lang.t("erase-typed"), "").wanted());
    page::send(&Sure {
        frame: Frame::new(&visit, "retention", &lang.t("erase-title"))
            .api("POST /api/v1/trace/erase")
            .command(command),
        notes: Note::mistake(mistake).into_iter().collect(),
        question: lang.with("erase-question", wanted),
        lines,
        sheet,
        back: HERE.to_owned(),
    })
}

/// As people read it; empty: nothing of it is left.
fn left(told: &Value, key: &str) -> String {
    match told[key].as_u64() {
        Some(0) => String::new(),
        Some(count) => count.to_string(),
        None => records::joined(&told[key]),
    }
}

fn counts(lang: Lang, told: &Value) -> Vec<String> {
    let count = |(key, words): (&str, &str)| lang.n(words, told[key].as_u64().unwrap_or(0));
    COUNTED.map(count).into()
}

async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match centre.get(visit.caller(), "/retention", &[]).await {
        Ok(told) => {
            let rows = rows_of(&told, visit.query.get("organisation"));
            files::of(&visit, "retention", &HEAD, &rows)
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}
