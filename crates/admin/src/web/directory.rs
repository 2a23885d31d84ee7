//! The directory: mailboxes and people of an organisation; searched, added one by one, and imported
//! from CSV after a look at what would change.

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::ask::{Centre, Refused, address, list, quoted, text};
use super::audit::changes;
use super::door::{Reader, SessionForm, Visit};
use super::files;
use super::form::Form;
use super::page::{self, Frame};
use super::records::{self, Act, Cell, Input, Note, Records, Row, Sheet, Sure, Table};
use crate::permission::Action;

/// Entries of a page.
const ROWS: usize = 100;
/// Entries that are asked for at once for a file.
const ROWS_OF_FILE: &str = "50000";
/// Largest import in octets, as it comes from the page: some 100,000 addresses. More by command.
const IMPORT_OCTETS_MAX: usize = 8 << 20;
/// Lines of a difference that are shown.
const CHANGES_SHOWN: usize = 50;
/// Columns of the file: those that an import reads, and whose it is.
const HEAD: [&str; 3] = ["address", "mailbox", "organisation"];

pub(super) fn routes() -> Router<Centre> {
    let large = DefaultBodyLimit::max(IMPORT_OCTETS_MAX);
    Router::new()
        .route("/directory", get(show).post(add))
        .route("/directory.csv", get(file))
        .route("/directory.json", get(file))
        .route("/directory/remove", post(remove))
        .route("/directory/import", post(import).layer(large))
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let none = (StatusCode::OK, String::new());
    answer(&centre, &visit, none, &Form::default()).await
}

/// The page, with what went wrong and what was typed.
async fn answer(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, String),
    typed: &Form,
) -> Response {
    records::shown(visit, status, compose(centre, visit, mistake, typed).await)
}

fn filters(visit: &Visit) -> [(&'static str, &str); 2] {
    ["q", "organisation"].map(|name| (name, visit.query.get(name)))
}

async fn compose(
    centre: &Centre,
    visit: &Visit,
    mistake: String,
    typed: &Form,
) -> Result<Records, Refused> {
    let (lang, filters) = (visit.lang, filters(visit));
    let (limit, cursor) = (ROWS.to_string(), visit.query.get("cursor"));
    let asked = [&filters[..], &[("limit", &limit), ("cursor", cursor)]].concat();
    let answer = centre.get(visit.caller(), "/directory", &asked).await?;
    let settings = centre.settings(visit.caller());
    let names = settings.document.organisation.iter();
    let names: Vec<_> = names.map(|one| one.name.clone()).collect();
    let may_change = visit.may(Action::ChangeSettings);
    let command = match filters[1].1 {
        "" => "relais directory list".to_owned(),
        name => format!("relais directory list --organisation {}", quoted(name)),
    };
    let done = match visit.query.get("done") {
        "" => String::new(),
        count => lang.n("directory-done", count.parse().unwrap_or(0)),
    };
    let frame = Frame::new(visit, "directory", &lang.t("nav-directory"));
    let mut headings = vec![lang.t("directory-address"), lang.t("directory-kind")];
    if names.len() > 1 {
        headings.push(lang.t("filter-organisation"));
    }
    let rows = list(&answer, "recipients").iter();
    let rows = rows.map(|one| row(visit, one, names.len() > 1, may_change));
    let table = Table {
        headings,
        rows: rows.collect(),
        empty: lang.t(match filters[0].1.is_empty() {
            true => "directory-empty",
            false => "directory-none",
        }),
    };
    let total = answer["total"].as_u64().unwrap_or(0);
    let mut notes: Vec<_> = Note::mistake(mistake).into_iter().collect();
    if total > 0 {
        notes.push(Note::plain(lang.n("directory-total", total)));
    }
    let older = answer["next_cursor"].as_str();
    let older =
        older.map(|next| address("/directory", &[&filters[..], &[("cursor", next)]].concat()));
    let sheets = match may_change && !names.is_empty() {
        true => sheets(visit, &names, typed),
        false => Vec::new(),
    };
    Ok(Records {
        notes,
        filter: Some(filter(visit, &names)),
        files: records::files("/directory", &filters),
        older: older.unwrap_or_default(),
        sheets,
        ..Records::new(
            frame.command(command).done(done),
            table,
            address("GET /api/v1/directory", &filters),
        )
    })
}

fn filter(visit: &Visit, names: &[String]) -> Sheet {
    let (lang, [q, organisation]) = (visit.lang, filters(visit));
    let sheet = Sheet::new("filter", "/directory", lang.t("filter-button"));
    let sheet = sheet.input(Input::text("q", lang.t("directory-address"), q.1));
    match records::of_organisation(lang, names, organisation.1, Some("filter-any")) {
        Some(choice) => sheet.input(choice),
        None => sheet,
    }
}

fn row(visit: &Visit, one: &Value, has_several: bool, may_change: bool) -> Row {
    let (lang, address, owner) = (visit.lang, text(one, "address"), text(one, "organisation"));
    let kind = match one["mailbox"] == true {
        true => "directory-mailbox",
        false => "directory-person",
    };
    let mut cells = vec![Cell::new(address), Cell::new(&lang.t(kind))];
    if has_several {
        cells.push(Cell::new(owner));
    }
    let remove = Act::new("/directory/remove", lang.t("directory-remove"), address);
    let remove = remove
        .hide("organisation", owner)
        .hide("address", address)
        .danger();
    Row {
        cells,
        acts: may_change.then_some(remove).into_iter().collect(),
    }
}

fn sheets(visit: &Visit, names: &[String], typed: &Form) -> Vec<Sheet> {
    let lang = visit.lang;
    let of_whom =
        |sheet: Sheet| match records::of_organisation(lang, names, typed.get("organisation"), None)
        {
            Some(choice) => sheet.input(choice),
            None => sheet,
        };
    let add = Sheet::new("add", "/directory", lang.t("directory-add-button"));
    let add = of_whom(add.title(lang.t("directory-add")))
        .input(Input::text("address", lang.t("directory-address"), typed.get("address")).wanted())
        .input(Input::tick("person", lang.t("directory-is-person"), false));
    let import = Sheet::new("import", "/directory/import", lang.t("directory-look"));
    let csv = Input::long("csv", lang.t("directory-csv"), typed.raw("csv"));
    let import = of_whom(import.title(lang.t("directory-import")))
        .input(csv.hint(lang.t("directory-csv-hint")).wanted())
        .input(Input::tick("prune", lang.t("directory-prune"), false));
    vec![add, import]
}

/// All that fit, page by page.
async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = [("limit", ROWS_OF_FILE), ("cursor", &*cursor)];
        let asked = [&filters(&visit)[..], &page].concat();
        let answer = match centre.get(visit.caller(), "/directory", &asked).await {
            Ok(answer) => answer,
            Err(refused) => return page::refused(&visit, &refused),
        };
        all.extend_from_slice(list(&answer, "recipients"));
        match answer["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return files::of(&visit, "directory", &HEAD, &all),
        }
    }
}

/// One address; the import of one line.
async fn add(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let has_mailbox = form.get("person").is_empty();
    let quoted = form.get("address").replace('"', "\"\"");
    let csv = format!("address,mailbox\n\"{quoted}\",{has_mailbox}\n");
    change(&centre, &visit, &form, &csv).await
}

async fn change(centre: &Centre, visit: &Visit, form: &Form, csv: &str) -> Response {
    let body = json!({
        "organisation": named(form),
        "csv": csv,
        "prune": !form.get("prune").is_empty(),
    });
    match centre
        .post(visit.caller(), "/directory/import", &body)
        .await
    {
        Ok(done) => {
            let count = list(&done, "changes").len().to_string();
            page::go(&address("/directory", &[("done", &count)]))
        }
        Err(refused) => answer(centre, visit, (refused.status, refused.detail), form).await,
    }
}

fn named(form: &Form) -> Option<&str> {
    Some(form.get("organisation")).filter(|name| !name.is_empty())
}

async fn remove(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let lang = visit.lang;
    let (owner, named) = (form.get("organisation"), form.get("address"));
    if form.get("confirmed").is_empty() {
        let sheet = Sheet::new("sure", "/directory/remove", lang.t("directory-remove"));
        let command = format!("relais directory remove {}", quoted(named));
        return page::send(&Sure {
            frame: Frame::new(&visit, "directory", &lang.t("nav-directory")).command(command),
            notes: Vec::new(),
            question: lang.with("directory-remove-question", named),
            lines: Vec::new(),
            sheet: sheet
                .hide("organisation", owner)
                .hide("address", named)
                .hide("confirmed", "1")
                .danger(),
            back: "/directory".to_owned(),
        });
    }
    let body = json!({ "organisation": owner, "address": named });
    match centre
        .post(visit.caller(), "/directory/remove", &body)
        .await
    {
        Ok(_) => page::go("/directory?done=1"),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// First what would change, then the change.
async fn import(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (lang, csv) = (visit.lang, form.raw("csv"));
    if !form.get("confirmed").is_empty() {
        return change(&centre, &visit, &form, csv).await;
    }
    let prune = form.get("prune");
    let body = json!({
        "organisation": named(&form),
        "csv": csv,
        "prune": !prune.is_empty(),
        "dry_run": true,
    });
    let told = match centre
        .post(visit.caller(), "/directory/import", &body)
        .await
    {
        Ok(told) => told,
        Err(refused) => {
            return answer(&centre, &visit, (refused.status, refused.detail), &form).await;
        }
    };
    let count = list(&told, "changes").len();
    let mut lines = changes(&told);
    if lines.len() > CHANGES_SHOWN {
        lines.truncate(CHANGES_SHOWN);
        lines.push("…".to_owned());
    }
    let button = match count {
        0 => String::new(),
        _ => lang.t("directory-import-button"),
    };
    page::send(&Sure {
        frame: Frame::new(&visit, "directory", &lang.t("directory-import"))
            .command("relais directory import FILE --dry-run"),
        notes: Vec::new(),
        question: lang.n("directory-would-change", count as u64),
        lines,
        sheet: Sheet::new("sure", "/directory/import", button)
            .hide("organisation", form.get("organisation"))
            .hide("csv", csv)
            .hide("prune", prune)
            .hide("confirmed", "1"),
        back: "/directory".to_owned(),
    })
}
