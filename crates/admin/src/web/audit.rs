//! The audit log: who changed what, before and after, by which door; filtered, taken away as CSV
//! or JSON, and a change of the settings taken back where that is safe.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::ask::{Centre, Refused, address, list, quoted, text};
use super::door::{Reader, SessionForm, Visit};
use super::page::{self, Frame};
use super::records::{self, Act, Cell, Input, Note, Pick, Records, Row, Sheet, Sure, Table};
use super::{files, names};
use crate::permission::Action;
use crate::phrasebook::told_part;
use crate::times;

/// Entries of a page.
const ROWS: &str = "50";
/// Entries of a file.
const EXPORTED: &str = "10000";
/// The filters, as they stand in the address and in the API.
const FILTERS: [&str; 6] = ["actor", "act", "via", "from", "q", "since"];
/// Doors that changes come by, with the keys of their names.
const DOORS: [(&str, &str); 5] = [
    ("web", "audit-door-web"),
    ("api", "audit-door-api"),
    ("socket", "audit-door-socket"),
    ("data-folder", "audit-door-folder"),
    ("start", "audit-door-start"),
];
/// Columns of the file.
const HEAD: [&str; 8] = [
    "number", "time", "actor", "via", "act", "detail", "hash", "from",
];
/// Characters of a hash that tell two apart for who compares by eye.
const HASH_CHARACTERS: usize = 12;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/audit", get(show))
        .route("/audit.csv", get(file))
        .route("/audit.json", get(file))
        .route("/audit/revert", post(revert))
}

fn filled(visit: &Visit) -> Vec<(&'static str, &str)> {
    let filters = FILTERS.into_iter();
    let filters = filters.map(|name| (name, visit.query.get(name)));
    filters.filter(|(_, value)| !value.is_empty()).collect()
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match compose(&centre, &visit).await {
        Ok(records) => page::send(&records),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn compose(centre: &Centre, visit: &Visit) -> Result<Records, Refused> {
    let (lang, filters) = (visit.lang, filled(visit));
    let paged = [("limit", ROWS), ("before", visit.query.get("before"))];
    let asked = [&filters[..], &paged].concat();
    let answer = centre.get(visit.caller(), "/audit", &asked).await?;
    let whole = centre.get(visit.caller(), "/audit/verify", &[]).await?;
    let wrong = whole["first_wrong"].as_u64();
    let options = filters.iter().map(|(name, value)| match *name {
        "q" => format!(" --text {}", quoted(value)),
        name => format!(" --{name} {}", quoted(value)),
    });
    let command = format!("relais audit list{}", options.collect::<String>());
    let done = match visit.query.get("done") {
        "" => String::new(),
        version => lang.with("audit-reverted", version),
    };
    let frame = Frame::new(visit, "audit", &lang.t("nav-audit")).command(command);
    let may_revert = visit.may(Action::ChangeSettings);
    let rows = list(&answer, "entries").iter();
    let table = Table {
        headings: headings(visit),
        rows: rows.map(|one| row(visit, one, may_revert)).collect(),
        empty: lang.t(if filters.is_empty() {
            "audit-empty"
        } else {
            "audit-none"
        }),
    };
    let older = answer["next_cursor"].as_u64().map(|before| {
        let before = before.to_string();
        address("/audit", &[&filters[..], &[("before", &before)]].concat())
    });
    Ok(Records {
        notes: vec![Note {
            is_good: Some(wrong.is_none()),
            words: match wrong {
                Some(number) => lang.with("audit-broken", &number.to_string()),
                None => lang.t("audit-intact"),
            },
        }],
        filter: Some(filter(visit)),
        files: records::files("/audit", &filters),
        older: older.unwrap_or_default(),
        ..Records::new(
            frame.done(done),
            table,
            address("GET /api/v1/audit", &filters),
        )
    })
}

fn headings(visit: &Visit) -> Vec<String> {
    let lang = visit.lang;
    vec![
        "#".to_owned(),
        format!("{} ({})", lang.t("audit-time"), lang.1.name()),
        lang.t("audit-actor"),
        format!("{}, {}", lang.t("audit-act"), lang.t("audit-hash")),
        lang.t("audit-detail"),
    ]
}

fn filter(visit: &Visit) -> Sheet {
    let (lang, given) = (visit.lang, |name: &str| visit.query.get(name).to_owned());
    let via = given("via");
    let doors = DOORS.map(|(name, key)| Pick::new(name, lang.t(key), via == name));
    let mut picks = vec![Pick::new("", lang.t("filter-any"), via.is_empty())];
    picks.extend(doors);
    let field = |name, key| Input::text(name, lang.t(key), &given(name));
    Sheet::new("filter", "/audit", lang.t("filter-button"))
        .input(field("actor", "audit-actor"))
        .input(field("act", "audit-act"))
        .input(field("q", "audit-text"))
        .input(Input::choice("via", lang.t("audit-via"), picks))
        .input(field("from", "audit-from"))
        .input(field("since", "filter-since"))
}

fn row(visit: &Visit, one: &Value, may_revert: bool) -> Row {
    let lang = visit.lang;
    let number = one["number"].to_string();
    // What the relay does by itself while it runs, and at its start.
    let via = match text(one, "via") {
        "server" => "start",
        via => via,
    };
    let door = DOORS.iter().find(|(name, _)| *name == via);
    let door = door.map_or_else(|| text(one, "via").to_owned(), |(_, key)| lang.t(key));
    let lines = list(one, "detail").iter().filter_map(Value::as_str);
    let mut lines = lines.map(|line| names::told_line(lang, line));
    let detail = Cell::new(&lines.next().unwrap_or_default());
    let detail = lines.fold(detail, |cell, line| cell.line(&line));
    let hash: String = text(one, "hash").chars().take(HASH_CHARACTERS).collect();
    let mut acts = Vec::new();
    if let Some(version) = one["settings_version"].as_u64()
        && may_revert
    {
        let act = Act::new("/audit/revert", lang.t("audit-revert"), &number);
        acts.push(act.hide("version", &version.to_string()));
    }
    Row {
        cells: vec![
            Cell::number(&number),
            Cell::whole(&times::shown(lang, one["time"].as_str())),
            Cell::new(&told_part(lang.0, text(one, "actor")))
                .line(&door)
                .line(text(one, "from")),
            Cell::new(&names::of_act(lang, text(one, "act")))
                .line(text(one, "act"))
                .line(&hash),
            detail,
        ],
        acts,
    }
}

async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let asked = [&filled(&visit)[..], &[("limit", EXPORTED)]].concat();
    match centre.get(visit.caller(), "/audit", &asked).await {
        Ok(answer) => files::of(&visit, "audit", &HEAD, list(&answer, "entries")),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// First what would change, then the change.
async fn revert(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (lang, version) = (visit.lang, form.get("version"));
    let is_confirmed = !form.get("confirmed").is_empty();
    let body = json!({
        "version": version.parse::<u64>().unwrap_or_default(),
        "dry_run": !is_confirmed,
    });
    let path = "/settings/revert";
    let answer = match centre.post(visit.caller(), path, &body).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let back = form.get("back");
    let is_connector = back.starts_with("/connectors/");
    if is_confirmed {
        return page::go(&match is_connector {
            true => address(back, &[("done", "reverted")]),
            false => address("/audit", &[("done", version)]),
        });
    }
    let lines = changes(&answer);
    let question = match lines.is_empty() {
        true => "audit-revert-nothing",
        false => "audit-revert-question",
    };
    let button = match lines.is_empty() {
        true => String::new(),
        false => lang.t("audit-revert"),
    };
    let command = format!("relais audit revert {version}");
    page::send(&Sure {
        frame: Frame::new(&visit, "audit", &lang.t("nav-audit")).command(command),
        notes: Vec::new(),
        question: lang.with(question, version),
        lines,
        sheet: Sheet::new("revert", "/audit/revert", button)
            .hide("version", version)
            .hide("confirmed", "1")
            .hide("back", if is_connector { back } else { "" }),
        back: if is_connector { back } else { "/audit" }.to_owned(),
    })
}

/// What an answer says that a change does, a line each.
pub(super) fn changes(answer: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for one in list(answer, "changes") {
        let mark = match text(one, "act") {
            "created" => '+',
            "removed" => '-',
            _ => '~',
        };
        lines.push(format!("{mark} {}", text(one, "object")));
        for key in list(one, "keys").iter().filter(|_| mark == '~') {
            let side = |side: &str| key[side].as_str().unwrap_or("–").to_owned();
            lines.push(format!(
                "    {}: {} → {}",
                text(key, "key"),
                side("old"),
                side("new")
            ));
        }
    }
    lines
}
