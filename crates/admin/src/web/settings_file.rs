//! Import / export: the settings as a file to take away, and a file put back: first what it would
//! change, then the change, all of it at once, as `relais apply` does.
//!
//! Not here: what other programs call their settings.

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use relais_policy::document::{Document, FILE_OCTETS_MAX};

use super::ask::{Centre, Refused, address, list, text};
use super::door::{Change, Reader, Visit};
use super::form::Form;
use super::page::{self, Frame};
use super::records::{Input, Note, Records, Sheet, Sure, Table, View};
use crate::lang::Lang;
use crate::permission::Action;
use crate::plain::clean;

/// Where the page is.
const HERE: &str = "/settings/file";
/// Octets of a form: percent-encoded, a file is three times as long at most. The file itself is
/// held to its own bound where it is read.
const FORM_OCTETS_MAX: usize = 3 * FILE_OCTETS_MAX + 4_096;
/// Lines of a difference that are shown.
const LINES_MAX: usize = 400;
/// Characters of a value in it: a difference is read, not copied.
const VALUE_CHARACTERS_MAX: usize = 200;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/settings/file", get(show).post(import))
        .route("/settings/file.toml", get(export))
        .layer(DefaultBodyLimit::max(FORM_OCTETS_MAX))
}

/// Whoever may not change settings has nothing to do here, and a file has hashes of passwords.
fn must_change(visit: &Visit) -> Result<(), Refused> {
    if visit.may(Action::ChangeSettings) {
        return Ok(());
    }
    Err(Refused {
        status: StatusCode::FORBIDDEN,
        detail: visit.lang.t("error-read-only"),
    })
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let none = (StatusCode::OK, String::new());
    answer(&centre, &visit, none, &Form::default())
}

fn answer(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, String),
    typed: &Form,
) -> Response {
    if let Err(refused) = must_change(visit) {
        return page::refused(visit, &refused);
    }
    let lang = visit.lang;
    let version = centre.settings(visit.caller()).version.to_string();
    let done = match visit.query.get("done") {
        "" => String::new(),
        version => lang.with("file-done", version),
    };
    let file = Input::file(
        "file",
        lang.t("file-file"),
        ".toml,application/toml,text/plain",
    );
    let document = Input::long("document", lang.t("file-text"), typed.raw("document"));
    let prune = Input::tick(
        "prune",
        lang.t("file-prune"),
        !typed.get("prune").is_empty(),
    );
    let sheet = Sheet::new("import", HERE, lang.t("file-look"))
        .title(lang.t("file-import"))
        .words(lang.t("file-import-words"))
        .input(file.hint(lang.t("file-file-hint")))
        .input(document.hint(lang.t("file-text-hint")))
        .input(prune.hint(lang.t("file-prune-hint")));
    let table = Table {
        headings: Vec::new(),
        rows: Vec::new(),
        empty: lang.with("file-export-words", &version),
    };
    let mut notes: Vec<_> = Note::mistake(mistake).into_iter().collect();
    notes.push(Note::plain(lang.t("file-words")));
    let frame = Frame::new(visit, "settings-file", &lang.t("nav-settings-file"));
    let records = Records {
        notes,
        views: views(visit, HERE),
        begin: Some((lang.t("file-export"), "/settings/file.toml")),
        sheets: vec![sheet],
        ..Records::new(
            frame.command("relais export").done(done),
            table,
            "GET /api/v1/settings",
        )
    };
    (status, page::send(&records)).into_response()
}

/// This page, and the one that takes over from the relay before.
pub(super) fn views(visit: &Visit, here: &str) -> Vec<View> {
    let all = [
        (HERE, "import-view-file"),
        ("/settings/import", "import-title"),
    ];
    let view = |(path, key): (&str, &str)| View {
        name: visit.lang.t(key),
        address: path.to_owned(),
        is_here: path == here,
    };
    all.map(view).into()
}

async fn export(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    if let Err(refused) = must_change(&visit) {
        return page::refused(&visit, &refused);
    }
    let whole = match centre.get(visit.caller(), "/settings", &[]).await {
        Ok(whole) => whole,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let document: Document = match serde_json::from_value(whole) {
        Ok(document) => document,
        Err(error) => {
            let words = error.to_string();
            return page::failed(&visit, StatusCode::INTERNAL_SERVER_ERROR, &words);
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "application/toml"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"settings.toml\"",
        ),
    ];
    (headers, document.to_toml()).into_response()
}

/// The text of the chosen file, or what was pasted; with the line ends of a file of ours: browsers
/// send those of a field as CRLF.
pub(super) fn given(lang: Lang, form: &Form, pasted: &str) -> Result<String, String> {
    let (chosen, pasted) = (form.raw("file"), form.raw(pasted));
    let text = match (chosen.is_empty(), pasted.trim().is_empty()) {
        (true, true) => return Err(lang.t("file-none")),
        (false, false) => return Err(lang.t("file-both")),
        (false, true) => chosen,
        (true, false) => pasted,
    };
    Ok(text.replace("\r\n", "\n"))
}

/// First what would change, then the change.
async fn import(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let lang = visit.lang;
    let typed = match given(lang, &form, "document") {
        Ok(typed) => typed,
        Err(words) => return answer(&centre, &visit, (StatusCode::BAD_REQUEST, words), &form),
    };
    let document = match Document::from_toml(&typed) {
        Ok(document) => document,
        Err(error) => {
            let words = lang.with("file-wrong", &error.to_string());
            return answer(&centre, &visit, (StatusCode::BAD_REQUEST, words), &form);
        }
    };
    let is_sure = !form.get("confirmed").is_empty();
    let body = json!({
        "document": document,
        "prune": !form.get("prune").is_empty(),
        "dry_run": !is_sure,
    });
    let told = match centre.post(visit.caller(), "/apply", &body).await {
        Ok(told) => told,
        Err(refused) => {
            return answer(&centre, &visit, (refused.status, refused.detail), &form);
        }
    };
    if is_sure {
        let version = told["version"].as_u64().unwrap_or(0).to_string();
        return page::go(&address(HERE, &[("done", &version)]));
    }
    let count = list(&told, "changes").len() as u64;
    let button = match count {
        0 => String::new(),
        _ => lang.t("file-apply"),
    };
    let command = match form.get("prune") {
        "" => "relais apply -f settings.toml --dry-run",
        _ => "relais apply -f settings.toml --prune --dry-run",
    };
    page::send(&Sure {
        frame: Frame::new(&visit, "settings-file", &lang.t("file-import"))
            .api("POST /api/v1/apply")
            .command(command),
        notes: notes(&told),
        question: lang.n("file-would-change", count),
        lines: difference(lang, &told),
        sheet: Sheet::new("sure", HERE, button)
            .hide("document", &typed)
            .hide("prune", form.get("prune"))
            .hide("confirmed", "1"),
        back: HERE.to_owned(),
    })
}

/// What is allowed, and perhaps not meant.
fn notes(told: &Value) -> Vec<Note> {
    let warnings = list(told, "warnings").iter().filter_map(Value::as_str);
    warnings
        .map(|words| Note::plain(clean(words).into_owned()))
        .collect()
}

/// As `relais apply` shows it: objects, and below them their keys.
fn difference(lang: Lang, told: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for change in list(told, "changes") {
        let mark = match text(change, "act") {
            "created" => '+',
            "removed" => '−',
            _ => '~',
        };
        lines.push(format!("{mark} {}", clean(text(change, "object"))));
        for key in list(change, "keys").iter().filter(|_| mark != '−') {
            let value = |side: &str| match key[side].as_str() {
                None => lang.t("file-default"),
                Some(value) => {
                    let value: String = value.chars().take(VALUE_CHARACTERS_MAX).collect();
                    clean(&value).into_owned()
                }
            };
            let name = text(key, "key");
            lines.push(match mark {
                '+' => format!("  {name} = {}", value("new")),
                _ => format!("  {name}: {} → {}", value("old"), value("new")),
            });
        }
    }
    if lines.len() > LINES_MAX {
        lines.truncate(LINES_MAX);
        lines.push("…".to_owned());
    }
    lines
}
