//! Legal holds: what is kept whatever its age, why and until when; placed, and released after a
//! question.
//!
//! Not here: how long things are kept without one (`retention`).

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use relais_policy::document::Organisation;

use super::ask::{Centre, Refused, address, list, segment, text};
use super::door::{Reader, SessionForm, Visit};
use super::files;
use super::form::Form;
use super::page::{self, Frame};
use super::records::{self, Act, Cell, Input, Note, Pick, Records, Row, Sheet, Sure, Table, View};
use crate::lang::Lang;
use crate::permission::Action;
use crate::times;

/// Where the page is.
const HERE: &str = "/settings/retention/holds";
/// Columns of the files.
const HEAD: [&str; 7] = [
    "organisation",
    "address",
    "connector",
    "reason",
    "by",
    "since",
    "until",
];
/// Between an organisation and its connector in a choice: no organisation has it in its name.
const BETWEEN: char = '/';
/// What was done, with the key of its sentence.
const DONE: [(&str, &str); 2] = [
    ("placed", "hold-done-placed"),
    ("released", "hold-done-released"),
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/settings/retention/holds", get(show).post(place))
        .route("/settings/retention/holds/release", post(release))
        .route("/settings/retention/holds.csv", get(file))
        .route("/settings/retention/holds.json", get(file))
}

/// The two pages about what is kept.
pub(super) fn views(lang: Lang, here: &str) -> Vec<View> {
    let all = [
        ("/settings/retention", "retention-view-days"),
        (HERE, "retention-view-holds"),
    ];
    let view = |(path, key): (&str, &str)| View {
        name: lang.t(key),
        address: path.to_owned(),
        is_here: path == here,
    };
    all.map(view).into()
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
    let told = centre.get(visit.caller(), "/retention/holds", &[]).await?;
    let headings = [
        "hold-what",
        "hold-why",
        "hold-by",
        "hold-since",
        "hold-until",
    ];
    let may = may_place(visit);
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: list(&told, "holds")
            .iter()
            .map(|one| row(lang, one, may))
            .collect(),
        empty: lang.t("hold-none"),
    };
    let mut notes: Vec<_> = Note::mistake(mistake).into_iter().collect();
    notes.push(Note::plain(lang.t("hold-words")));
    let frame = Frame::new(visit, "retention", &lang.t("hold-title"));
    let frame = frame.command("relais legal-hold list");
    let settings = centre.settings(visit.caller());
    let sheets = may.then(|| sheet(lang, &settings.document.organisation, typed));
    Ok(Records {
        notes,
        views: views(lang, HERE),
        files: records::files(HERE, &[]),
        sheets: sheets.into_iter().collect(),
        ..Records::new(
            frame.done(records::done(visit, &DONE)),
            table,
            "GET /api/v1/retention/holds",
        )
    })
}

/// Days of the trace are everybody's, so whoever sees one organisation places none.
fn may_place(visit: &Visit) -> bool {
    visit.may(Action::Erase) && visit.sees_installation()
}

/// What a hold covers, in words.
fn what(lang: Lang, one: &Value) -> String {
    match (text(one, "address"), text(one, "connector")) {
        ("", connector) => lang.with("hold-on-connector", connector),
        (address, _) => lang.with("hold-on-address", address),
    }
}

fn row(lang: Lang, one: &Value, may: bool) -> Row {
    let whose = match text(one, "organisation") {
        "" => lang.t("hold-of-all"),
        name => name.to_owned(),
    };
    let what = what(lang, one);
    let until = match one["until"].as_str() {
        None => lang.t("hold-for-good"),
        until => times::full(lang, until),
    };
    let act = Act::new(format!("{HERE}/release"), lang.t("hold-release"), &what);
    let act = act.danger().hide("id", text(one, "id"));
    Row {
        cells: vec![
            Cell::new(&what).line(&whose),
            Cell::new(text(one, "reason")),
            Cell::new(text(one, "by")),
            Cell::whole(&times::full(lang, one["since"].as_str())),
            Cell::whole(&until),
        ],
        acts: may.then_some(act).into_iter().collect(),
    }
}

fn sheet(lang: Lang, owners: &[Organisation], typed: &Form) -> Sheet {
    let chosen = typed.get("connector");
    let none = Pick::new("", lang.t("hold-no-connector"), chosen.is_empty());
    let connectors = owners.iter().flat_map(|owner| {
        let all = owner.inbound_connector.iter();
        all.map(|one| {
            let value = format!("{}{BETWEEN}{}", owner.name, one.name);
            let label = format!("{} – {}", one.name, owner.name);
            Pick::new(&value, label, value == chosen)
        })
    });
    let picks = std::iter::once(none).chain(connectors).collect();
    let names: Vec<_> = owners.iter().map(|owner| owner.name.clone()).collect();
    let sheet = Sheet::new("place", HERE, lang.t("hold-place"))
        .title(lang.t("hold-place-title"))
        .words(lang.t("hold-place-words"))
        .input(
            Input::text("address", lang.t("hold-address"), typed.get("address"))
                .hint(lang.t("hold-address-hint")),
        );
    let all = Some("hold-of-all");
    let sheet = match records::of_organisation(lang, &names, typed.get("organisation"), all) {
        Some(choice) => sheet.input(choice.hint(lang.t("hold-organisation-hint"))),
        None => sheet,
    };
    sheet
        .input(Input::choice("connector", lang.t("hold-connector"), picks))
        .input(Input::text("reason", lang.t("hold-reason"), typed.get("reason")).wanted())
        .input(
            Input::text("until", lang.t("hold-end"), typed.get("until"))
                .hint(lang.t("hold-end-hint")),
        )
}

async fn place(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let connector = form.get("connector").split_once(BETWEEN);
    let organisation = connector.map_or_else(|| records::named(&form), |(owner, _)| Some(owner));
    let body = json!({
        "address": form.get("address"),
        "connector": connector.map(|(_, name)| name),
        "organisation": organisation,
        "reason": form.get("reason"),
        "until": form.get("until"),
    });
    match centre.post(visit.caller(), "/retention/holds", &body).await {
        Ok(placed) => {
            let what = what(visit.lang, &placed);
            page::go(&address(HERE, &[("done", "placed"), ("made", &what)]))
        }
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(&visit, &refused),
        Err(refused) => answer(&centre, &visit, (refused.status, refused.detail), &form).await,
    }
}

/// First what ends with it, then the act.
async fn release(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (lang, id) = (visit.lang, form.get("id"));
    if !form.get("confirmed").is_empty() {
        let path = format!("/retention/holds/{}/release", segment(id));
        return match centre.post(visit.caller(), &path, &json!({})).await {
            Ok(released) => {
                let what = what(lang, &released);
                page::go(&address(HERE, &[("done", "released"), ("made", &what)]))
            }
            Err(refused) => page::refused(&visit, &refused),
        };
    }
    let told = match centre.get(visit.caller(), "/retention/holds", &[]).await {
        Ok(told) => told,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let found = list(&told, "holds")
        .iter()
        .find(|one| text(one, "id") == id);
    let Some(one) = found.filter(|_| may_place(&visit)) else {
        let words = lang.t("error-not-found");
        return page::failed(&visit, StatusCode::NOT_FOUND, &words);
    };
    let sheet = Sheet::new("sure", format!("{HERE}/release"), lang.t("hold-release"));
    page::send(&Sure {
        frame: Frame::new(&visit, "retention", &lang.t("hold-title"))
            .api(format!("POST /api/v1/retention/holds/{id}/release"))
            .command(format!("relais legal-hold release {id}")),
        notes: vec![Note::plain(lang.t("hold-release-words"))],
        question: lang.with("hold-release-question", &what(lang, one)),
        lines: vec![text(one, "reason").to_owned()],
        sheet: sheet.hide("id", id).hide("confirmed", "1").danger(),
        back: HERE.to_owned(),
    })
}

async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match centre.get(visit.caller(), "/retention/holds", &[]).await {
        Ok(told) => files::of(&visit, "legal-holds", &HEAD, list(&told, "holds")),
        Err(refused) => page::refused(&visit, &refused),
    }
}
