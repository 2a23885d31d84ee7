//! Settings: what an organisation is called and who answers for it; and every key of the settings
//! in one table that can be searched, those without a page of their own too. In hosted mode also
//! the organisations.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::ask::{Centre, Refused, address, list, segment, text};
use super::certificates;
use super::content_form;
use super::door::{Reader, SessionForm, Visit};
use super::fields::Reading;
use super::files;
use super::form::Form;
use super::page::{self, Frame};
use super::records::{self, Cell, Input, Note, Pick, Records, Row, Sheet, Table};
use crate::permission::Action;
use crate::phrasebook::{told_part, told_word};

/// Keys of a page: a search finds those behind.
const KEYS_MAX: usize = 500;
/// Columns of the files.
const HEAD: [&str; 3] = ["object", "key", "value"];
const ORGANISATIONS_HEAD: [&str; 9] = [
    "name",
    "display_name",
    "language",
    "postmaster",
    "domains",
    "inbound_connectors",
    "outbound_connectors",
    "recipients",
    "credentials",
];
/// Never shown, though only hashes.
const HIDDEN: [&str; 4] = [
    "password_hash",
    "scram_sha_256",
    "previous_password_hash",
    "previous_scram_sha_256",
];
/// Keys whose values are names that people give.
const NAMES: [&str; 4] = ["name", "display_name", "user", "postmaster"];
/// Lists with a page of their own, as long as an organisation is large.
const ELSEWHERE: [&str; 1] = ["recipient"];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/settings", get(show).post(set))
        .route("/settings/content", post(set_content))
        .route("/settings.csv", get(file))
        .route("/settings.json", get(file))
        .route("/organisations", get(show_organisations).post(add))
        .route("/organisations.csv", get(organisations_file))
        .route("/organisations.json", get(organisations_file))
}

// ---- every key ----------------------------------------------------------------------------------

/// One key with its value, and whose it is.
fn entry(object: &str, key: &str, value: &Value) -> Value {
    let shown = match value {
        Value::String(text) => text.clone(),
        Value::Array(_) => records::joined(value),
        other => other.to_string(),
    };
    json!({ "object": object, "key": key, "value": shown })
}

/// The keys of an object and of the objects below it.
fn flatten(object: &str, prefix: &str, value: &Value, all: &mut Vec<Value>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let whole = match prefix {
            "" => key.clone(),
            prefix => format!("{prefix}.{key}"),
        };
        match value {
            Value::Null => {}
            _ if HIDDEN.contains(&key.as_str()) || ELSEWHERE.contains(&key.as_str()) => {}
            Value::Object(_) => flatten(object, &whole, value, all),
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for item in items {
                    let name = ["name", "address", "user"].map(|name| text(item, name));
                    let name = name.into_iter().find(|name| !name.is_empty());
                    let inner = format!(
                        "{object}, {} {}",
                        key.replace('_', " "),
                        name.unwrap_or("–")
                    );
                    flatten(&inner, "", item, all);
                }
            }
            other => all.push(entry(object, &whole, other)),
        }
    }
}

async fn found(centre: &Centre, visit: &Visit) -> Result<Vec<Value>, Refused> {
    let document = centre.get(visit.caller(), "/settings", &[]).await?;
    let (organisation, wanted) = (visit.query.get("organisation"), visit.query.get("q"));
    let mut all = Vec::new();
    for one in list(&document, "organisation") {
        let name = text(one, "name");
        if organisation.is_empty() || name == organisation {
            flatten(&format!("organisation {name}"), "", one, &mut all);
        }
    }
    let wanted = wanted.to_lowercase();
    all.retain(|one| {
        let mut texts = HEAD.iter().map(|key| text(one, key).to_lowercase());
        texts.any(|text| text.contains(&wanted))
    });
    Ok(all)
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
    let all = found(centre, visit).await?;
    let filters = ["q", "organisation"].map(|name| (name, visit.query.get(name)));
    let settings = centre.settings(visit.caller());
    let owners = &settings.document.organisation;
    let names: Vec<_> = owners.iter().map(|one| one.name.clone()).collect();
    let headings = ["settings-object", "settings-key", "settings-value"];
    let rows = all.iter().take(KEYS_MAX).map(|one| row(visit, one));
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: rows.collect(),
        empty: lang.t(match filters[0].1.is_empty() {
            true => "settings-empty",
            false => "records-none",
        }),
    };
    let chosen = owners.iter().find(|one| one.name == filters[1].1);
    let chosen = chosen.or_else(|| (owners.len() == 1).then(|| &owners[0]));
    let sheets = match chosen.filter(|_| visit.may(Action::ChangeSettings)) {
        Some(one) => vec![
            about(visit, &json!(one)),
            content_form::of_strangers(lang, &one.name, &one.inbound_content),
        ],
        None => Vec::new(),
    };
    let mut notes: Vec<_> = Note::mistake(mistake).into_iter().collect();
    let version = settings.version.to_string();
    notes.push(Note::plain(lang.with("settings-words", &version)));
    if all.len() > KEYS_MAX {
        notes.push(Note::plain(lang.n("settings-more", KEYS_MAX as u64)));
    }
    let done = match visit.query.get("done") {
        "" => String::new(),
        name => lang.with("settings-done", name),
    };
    let views = certificates::views_of_settings(visit, "/settings");
    let filter = Sheet::new("filter", "/settings", lang.t("filter-button"));
    let filter = filter.input(Input::text("q", lang.t("records-sought"), filters[0].1));
    let filter = match records::of_organisation(lang, &names, filters[1].1, Some("filter-any")) {
        Some(choice) => filter.input(choice),
        None => filter,
    };
    let frame = Frame::new(visit, "settings", &lang.t("nav-settings"));
    Ok(Records {
        notes,
        views,
        filter: Some(filter),
        files: records::files("/settings", &filters),
        sheets,
        ..Records::new(
            frame.command("relais export").done(done),
            table,
            "GET /api/v1/settings",
        )
    })
}

/// A state is told in words, with its name in settings files beneath.
fn row(visit: &Visit, one: &Value) -> Row {
    let (language, key, value) = (visit.lang.0, text(one, "key"), text(one, "value"));
    let word = told_word(language, value).filter(|_| !NAMES.contains(&key));
    Row {
        cells: vec![
            Cell::new(&told_part(language, text(one, "object"))),
            Cell::word(key),
            match word {
                Some(word) => Cell::new(word).line(value),
                None => Cell::new(value),
            },
        ],
        acts: Vec::new(),
    }
}

/// What an organisation is called, and who answers for it.
fn about(visit: &Visit, one: &Value) -> Sheet {
    let (lang, name) = (visit.lang, text(one, "name"));
    let language = text(one, "language");
    let languages = vec![
        Pick::new("en", "English".to_owned(), language == "en"),
        Pick::new("fr", "Français".to_owned(), language == "fr"),
    ];
    let field = |key: &'static str, label: &str| Input::text(key, lang.t(label), text(one, key));
    let postmaster = field("postmaster", "settings-postmaster");
    Sheet::new("about", "/settings", lang.t("form-save"))
        .title(lang.with("settings-about", name))
        .hide("organisation", name)
        .input(field("display_name", "settings-display-name"))
        .input(postmaster.hint(lang.t("settings-postmaster-hint")))
        .input(
            Input::choice("language", lang.t("settings-language"), languages)
                .hint(lang.t("settings-language-hint")),
        )
}

async fn set(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let keys = keys_of(&form);
    save(&centre, &visit, &form, keys).await
}

/// Who looks at what strangers send.
async fn set_content(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let settings = centre.settings(visit.caller());
    let known = settings.organisation(form.get("organisation"));
    let policy = known.map(|it| &it.inbound_content);
    let whole = json!({ "inbound_content": policy.cloned().unwrap_or_default() });
    let mut reading = Reading::new(visit.lang, &form, whole);
    content_form::read(&mut reading, "inbound_content");
    match reading.done::<Value>() {
        Ok(keys) => save(&centre, &visit, &form, keys).await,
        Err(mistakes) => {
            let words = mistakes.into_iter().map(|one| one.words);
            let words = words.collect::<Vec<_>>().join(" ");
            answer(&centre, &visit, (StatusCode::BAD_REQUEST, words)).await
        }
    }
}

async fn save(centre: &Centre, visit: &Visit, form: &Form, keys: Value) -> Response {
    let organisation = form.get("organisation");
    let path = format!("/organisations/{}/set", segment(organisation));
    match centre
        .post(visit.caller(), &path, &json!({ "keys": keys }))
        .await
    {
        Ok(_) => page::go(&address("/settings", &[("done", organisation)])),
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(visit, &refused),
        Err(refused) => answer(centre, visit, (refused.status, refused.detail)).await,
    }
}

fn keys_of(form: &Form) -> Value {
    json!({
        "display_name": form.get("display_name"),
        "postmaster": form.get("postmaster"),
        "language": form.get("language"),
    })
}

async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match found(&centre, &visit).await {
        Ok(all) => files::of(&visit, "settings", &HEAD, &all),
        Err(refused) => page::refused(&visit, &refused),
    }
}

// ---- organisations ------------------------------------------------------------------------------

async fn show_organisations(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let none = (StatusCode::OK, String::new());
    organisations(&centre, &visit, none, &Form::default()).await
}

async fn organisations(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, String),
    typed: &Form,
) -> Response {
    let lang = visit.lang;
    let answer = match centre.get(visit.caller(), "/organisations", &[]).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(visit, &refused),
    };
    let headings = [
        "settings-name",
        "settings-postmaster",
        "nav-domains",
        "nav-inbound",
        "nav-outbound",
        "nav-directory",
        "nav-credentials",
    ];
    let rows = list(&answer, "organisations").iter();
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: rows.map(|one| organisation(visit, one)).collect(),
        empty: lang.t("organisations-empty"),
    };
    let is_operator = visit.sees_installation();
    let may_add = is_operator && visit.may(Action::ChangeSettings) && visit.is_hosted;
    let field = |name, key: &str| Input::text(name, lang.t(key), typed.get(name));
    let name = field("name", "settings-name").hint(lang.t("organisations-name-hint"));
    let language = typed.get("language");
    let languages = vec![
        Pick::new("en", "English".to_owned(), language != "fr"),
        Pick::new("fr", "Français".to_owned(), language == "fr"),
    ];
    let sheet = Sheet::new("add", "/organisations", lang.t("organisations-make"))
        .title(lang.t("organisations-add"))
        .input(name.wanted())
        .input(field("display_name", "settings-display-name"))
        .input(field("postmaster", "settings-postmaster"))
        .input(Input::choice(
            "language",
            lang.t("settings-language"),
            languages,
        ));
    let done = match visit.query.get("done") {
        "" => String::new(),
        name => lang.with("organisations-done", name),
    };
    let frame = Frame::new(visit, "organisations", &lang.t("nav-organisations"));
    let records = Records {
        notes: Note::mistake(mistake).into_iter().collect(),
        files: records::files("/organisations", &[]),
        sheets: may_add.then_some(sheet).into_iter().collect(),
        ..Records::new(
            frame.command("relais organisation list").done(done),
            table,
            "GET /api/v1/organisations",
        )
    };
    (status, page::send(&records)).into_response()
}

fn organisation(visit: &Visit, one: &Value) -> Row {
    let name = text(one, "name");
    let count = |key: &str| visit.lang.number(one[key].as_u64().unwrap_or(0));
    let number = |key: &str| Cell::number(&count(key));
    let of = |path: &str| address(path, &[("organisation", name)]);
    Row {
        cells: vec![
            Cell::new(name)
                .leads_to(of("/settings"))
                .line(text(one, "display_name")),
            Cell::new(text(one, "postmaster")),
            number("domains"),
            number("inbound_connectors"),
            number("outbound_connectors"),
            number("recipients").leads_to(of("/directory")),
            number("credentials"),
        ],
        acts: Vec::new(),
    }
}

async fn add(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let mut body = keys_of(&form);
    body["name"] = json!(form.get("name"));
    match centre.post(visit.caller(), "/organisations", &body).await {
        Ok(_) => page::go(&address("/organisations", &[("done", form.get("name"))])),
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(&visit, &refused),
        Err(refused) => {
            organisations(&centre, &visit, (refused.status, refused.detail), &form).await
        }
    }
}

async fn organisations_file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match centre.get(visit.caller(), "/organisations", &[]).await {
        Ok(answer) => {
            let rows = list(&answer, "organisations");
            files::of(&visit, "organisations", &ORGANISATIONS_HEAD, rows)
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}
