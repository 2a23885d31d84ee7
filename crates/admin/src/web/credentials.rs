//! Credentials: what devices and applications sign in with. A password is shown once, on the page
//! that made it.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::ask::{Centre, Refused, address, list, segment, text};
use super::certificates;
use super::door::{Reader, SessionForm, Visit};
use super::files;
use super::form::Form;
use super::page::{self, Frame};
use super::records::{self, Act, Cell, Input, Note, Pick, Records, Row, Sheet, Sure, Table};
use super::switching::{Side, gone};
use crate::card::issued::DAYS_DEFAULT;
use crate::card::{Paper, makers};
use crate::permission::Action;
use crate::times;

/// For so long the old password counts too, where nothing else is chosen: a day of devices.
const OVERLAP_DEFAULT: &str = "24h";
/// What was done, with the key of its sentence.
const DONE: [(&str, &str); 3] = [
    ("enable", "credentials-done-enable"),
    ("disable", "credentials-done-disable"),
    ("revoke", "credentials-done-revoke"),
];
/// Columns of the file.
const HEAD: [&str; 11] = [
    "user",
    "organisation",
    "inbound_connector",
    "may_send_as",
    "source_addresses",
    "tls_min",
    "enabled",
    "expires",
    "previous_until",
    "last_used",
    "last_address",
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/credentials", get(show).post(add))
        .route("/credentials.csv", get(file))
        .route("/credentials.json", get(file))
        .route("/credentials/{user}/{act}", post(act))
}

/// Which are shown.
fn fits(visit: &Visit, one: &Value) -> bool {
    let wanted = visit.query.get("q").to_lowercase();
    let is_off = one["enabled"] == false;
    let is_of_state = match visit.query.get("state") {
        "on" => !is_off,
        "off" => is_off,
        "unused" => one["last_used"].is_null(),
        _ => true,
    };
    let connector = visit.query.get("connector");
    let is_of = connector.is_empty() || text(one, "inbound_connector") == connector;
    let texts = [
        text(one, "user").to_owned(),
        records::joined(&one["may_send_as"]),
    ];
    is_of_state && is_of && texts.iter().any(|it| it.to_lowercase().contains(&wanted))
}

async fn found(centre: &Centre, visit: &Visit) -> Result<Vec<Value>, Refused> {
    let answer = centre.get(visit.caller(), "/credentials", &[]).await?;
    let all = list(&answer, "credentials").iter();
    Ok(all.filter(|one| fits(visit, one)).cloned().collect())
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    answer(
        &centre,
        &visit,
        (StatusCode::OK, String::new()),
        &Form::default(),
    )
    .await
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

async fn compose(
    centre: &Centre,
    visit: &Visit,
    mistake: String,
    typed: &Form,
) -> Result<Records, Refused> {
    let lang = visit.lang;
    let may_change = visit.may(Action::ChangeSettings);
    let all = found(centre, visit).await?;
    let filters = ["q", "state", "connector"].map(|name| (name, visit.query.get(name)));
    let is_filtered = filters.iter().any(|(_, value)| !value.is_empty());
    let done = records::done(visit, &DONE);
    let frame = Frame::new(visit, "credentials", &lang.t("nav-credentials"));
    let frame = frame.command("relais credential list").done(done);
    let headings = [
        "credentials-user",
        "credentials-connector",
        "credentials-may-send-as",
        "credentials-sources",
        "column-state",
        "credentials-last",
    ];
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: all.iter().map(|one| row(visit, one, may_change)).collect(),
        empty: lang.t(match is_filtered {
            true => "credentials-none",
            false => "credentials-empty",
        }),
    };
    let sheets = match may_change {
        true => new(centre, visit, typed).into_iter().collect(),
        false => Vec::new(),
    };
    Ok(Records {
        notes: Note::mistake(mistake).into_iter().collect(),
        views: certificates::views(lang, "/credentials"),
        filter: Some(filter(visit)),
        files: records::files("/credentials", &filters),
        sheets,
        ..Records::new(frame, table, "GET /api/v1/credentials")
    })
}

fn filter(visit: &Visit) -> Sheet {
    let (lang, state) = (visit.lang, visit.query.get("state"));
    let pick = |name: &str, key: &str| Pick::new(name, lang.t(key), name == state);
    let states = vec![
        pick("", "filter-any"),
        pick("on", "credentials-on"),
        pick("off", "credentials-off"),
        pick("unused", "credentials-never"),
    ];
    let sought = Input::text("q", lang.t("credentials-sought"), visit.query.get("q"));
    Sheet::new("filter", "/credentials", lang.t("filter-button"))
        .input(sought)
        .input(Input::choice("state", lang.t("column-state"), states))
}

fn row(visit: &Visit, one: &Value, may_change: bool) -> Row {
    let lang = visit.lang;
    let or = |text: String, key: &str| if text.is_empty() { lang.t(key) } else { text };
    let (user, connector) = (text(one, "user"), text(one, "inbound_connector"));
    let owner = text(one, "organisation");
    let is_on = one["enabled"] != false;
    let until = |key: &str, words: &str| match one[key].as_str() {
        Some(time) => lang.with(words, &times::full(lang, Some(time))),
        None => String::new(),
    };
    let state = match is_on {
        true => Cell::status("good", &lang.t("credentials-on")),
        false => Cell::status("bad", &lang.t("credentials-off")),
    };
    let state = state
        .line(&until("expires", "credentials-until"))
        .line(&until("previous_until", "credentials-previous"));
    let last = match one["last_used"].as_str() {
        None => Cell::new(&lang.t("credentials-never")),
        time => Cell::whole(&times::full(lang, time)).line(text(one, "last_address")),
    };
    let path = format!("/credentials/{}", segment(user));
    let act = |name: &str, key: &str| Act::new(format!("{path}/{name}"), lang.t(key), user);
    let switch = match is_on {
        true => act("disable", "credentials-disable"),
        false => act("enable", "credentials-enable"),
    };
    let acts = vec![
        act("rotate", "credentials-rotate"),
        switch,
        act("revoke", "credentials-revoke").danger(),
    ];
    let page = format!(
        "/connectors/inbound/{}/{}",
        segment(owner),
        segment(connector)
    );
    Row {
        cells: vec![
            Cell::word(user),
            Cell::new(connector).leads_to(page),
            Cell::new(&or(
                records::joined(&one["may_send_as"]),
                "credentials-any-address",
            )),
            Cell::new(&or(
                records::joined(&one["source_addresses"]),
                "credentials-anywhere",
            )),
            state,
            last,
        ],
        acts: if may_change { acts } else { Vec::new() },
    }
}

/// The form for a new one; none where there is no connector for it.
fn new(centre: &Centre, visit: &Visit, typed: &Form) -> Option<Sheet> {
    let (lang, settings) = (visit.lang, centre.settings(visit.caller()));
    let owners = settings.document.organisation.as_slice();
    let connectors = owners.iter().flat_map(|owner| {
        let names = owner.inbound_connector.iter();
        names.map(move |one| (&owner.name, &one.name))
    });
    let picks: Vec<_> = connectors
        .map(|(owner, name)| {
            let value = format!("{owner}/{name}");
            let label = match owners.len() {
                1 => name.clone(),
                _ => format!("{owner} / {name}"),
            };
            let is_chosen = typed.get("connector") == value;
            Pick::new(&value, label, is_chosen)
        })
        .collect();
    if picks.is_empty() {
        return None;
    }
    let field = |name, key: &str| Input::text(name, lang.t(key), typed.get(name));
    let hinted = |name, key: &str, hint: &str| field(name, key).hint(lang.t(hint));
    let user = hinted("user", "credentials-user", "credentials-user-hint").wanted();
    let connector = Input::choice("connector", lang.t("credentials-connector"), picks);
    let sheet = Sheet::new("add", "/credentials", lang.t("credentials-make"))
        .title(lang.t("credentials-add"))
        .input(user)
        .input(connector)
        .input(hinted(
            "may_send_as",
            "credentials-may-send-as",
            "credentials-may-hint",
        ))
        .input(hinted(
            "source_addresses",
            "credentials-sources",
            "credentials-sources-hint",
        ))
        .input(hinted(
            "expires",
            "credentials-expires",
            "credentials-expires-hint",
        ));
    Some(sheet)
}

async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match found(&centre, &visit).await {
        Ok(all) => files::of(&visit, "credentials", &HEAD, &all),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// The password, this once; and while it is known, a card with it.
fn secret(centre: &Centre, visit: &Visit, answer: &Value) -> Response {
    let facts = [
        ("credentials-user", text(answer, "user")),
        ("credentials-password", text(answer, "password")),
    ];
    let section = ("credentials", "nav-credentials");
    let rest = (password_card(centre, visit, answer), "/credentials");
    records::once(visit, section, "credentials-once", &facts, rest)
}

/// The form that prints the device card with the password on it.
fn password_card(centre: &Centre, visit: &Visit, answer: &Value) -> Option<Sheet> {
    let lang = visit.lang;
    let (user, password) = (text(answer, "user"), text(answer, "password"));
    let settings = centre.settings(visit.caller());
    let (found, credential) = settings.credential(user)?;
    let page = Side::Inbound.base(&found.organisation.name, &found.connector.name);
    let any = Pick::new("", lang.t("card-any-maker"), true);
    let makers = makers().into_iter().map(|one| Pick::plain(&one.name, ""));
    let languages = [("en", "English"), ("fr", "Français")];
    let languages = languages.map(|(code, name)| {
        let is_chosen = code == lang.code();
        Pick::new(code, name.to_owned(), is_chosen)
    });
    let forms = [("pdf", "PDF"), ("png", "PNG")];
    let forms = forms.map(|(code, name)| Pick::new(code, name.to_owned(), code == "pdf"));
    let papers = Paper::ALL.map(|one| {
        let is_usual = one == Paper::default();
        Pick::new(one.name(), one.title().to_owned(), is_usual)
    });
    let choice = |name, key: &str, picks| Input::choice(name, lang.t(key), picks);
    let days = Input::text("days", lang.t("card-ask-days"), &DAYS_DEFAULT.to_string());
    let sheet = Sheet::new(
        "card",
        format!("{page}/card/password"),
        lang.t("card-print-password"),
    );
    Some(
        sheet
            .title(lang.t("card-print-title"))
            .words(lang.t("card-print-words"))
            .hide("user", user)
            .hide("password", password)
            .hide(
                "sender",
                credential.may_send_as.first().map_or("", String::as_str),
            )
            .input(choice("maker", "card-ask-maker", any_and(any, makers)))
            .input(choice("lang", "card-ask-language", languages.into()))
            .input(choice("format", "card-ask-format", forms.into()))
            .input(choice("paper", "card-ask-paper", papers.into()))
            .input(days),
    )
}

fn any_and(first: Pick, others: impl Iterator<Item = Pick>) -> Vec<Pick> {
    std::iter::once(first).chain(others).collect()
}

async fn add(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    // As the list offers it: organisation and connector.
    let (owner, connector) = form.get("connector").split_once('/').unwrap_or_default();
    let expires = Some(form.get("expires")).filter(|text| !text.is_empty());
    let wanted = json!({
        "user": form.get("user"),
        "organisation": owner,
        "inbound_connector": connector,
        "may_send_as": records::parted(form.get("may_send_as")),
        "source_addresses": records::parted(form.get("source_addresses")),
        "expires": expires,
    });
    match centre.post(visit.caller(), "/credentials", &wanted).await {
        Ok(answer) => secret(&centre, &visit, &answer),
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(&visit, &refused),
        Err(refused) => answer(&centre, &visit, (refused.status, refused.detail), &form).await,
    }
}

async fn act(
    State(centre): State<Centre>,
    Path((user, act)): Path<(String, String)>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let lang = visit.lang;
    let path = format!("/credentials/{}/{act}", segment(&user));
    let is_asked = !form.get("confirmed").is_empty();
    let (question, word, body) = match act.as_str() {
        "enable" | "disable" => ("", "", json!({})),
        "rotate" => {
            let overlap = Some(form.get("overlap")).filter(|text| !text.is_empty());
            let overlap = overlap.unwrap_or(OVERLAP_DEFAULT);
            let body = json!({ "overlap": overlap });
            ("credentials-rotate-question", "credentials-rotate", body)
        }
        "revoke" => (
            "credentials-revoke-question",
            "credentials-revoke",
            json!({}),
        ),
        _ => return page::refused(&visit, &gone(&visit)),
    };
    if !question.is_empty() && !is_asked {
        let sheet = Sheet::new("sure", &*path, lang.t(word));
        let sheet = sheet.hide("confirmed", "1");
        let sheet = match act.as_str() {
            "rotate" => {
                let label = lang.t("credentials-overlap");
                let overlap = Input::text("overlap", label, OVERLAP_DEFAULT);
                sheet.input(overlap.hint(lang.t("credentials-overlap-hint")))
            }
            _ => sheet.danger(),
        };
        let command = format!("relais credential {act} {user}");
        return page::send(&Sure {
            frame: Frame::new(&visit, "credentials", &lang.t("nav-credentials")).command(command),
            notes: Vec::new(),
            question: lang.with(question, &user),
            lines: Vec::new(),
            sheet,
            back: "/credentials".to_owned(),
        });
    }
    match centre.post(visit.caller(), &path, &body).await {
        Ok(answer) if act == "rotate" => secret(&centre, &visit, &answer),
        Ok(_) => page::go(&address("/credentials", &[("done", &act), ("made", &user)])),
        Err(refused) => page::refused(&visit, &refused),
    }
}
