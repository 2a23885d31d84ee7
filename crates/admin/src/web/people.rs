//! Administrators and roles: who may use the admin centre, and for which organisation.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::ask::{Centre, Refused, address, list, segment, text};
use super::door::{Reader, SessionForm, Visit};
use super::fields::{Mistake, is_wrong};
use super::form::Form;
use super::page::{self, Frame};
use super::signing::{PAGE, change_people};
use crate::permission::{Action, ROLES, Role};
use crate::times;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/people", get(show).post(add))
        .route("/people/{name}/{act}", post(act))
        .route("/people/sign-out", post(sign_out))
}

#[derive(Template)]
#[template(path = "people.html")]
struct People {
    frame: Frame,
    may_manage: bool,
    mistakes: Vec<Mistake>,
    /// A name that was typed and not taken.
    typed: String,
    rows: Vec<Row>,
    sessions: Vec<SessionRow>,
    has_one_owner: bool,
    /// Code, name, what it may do.
    roles: Vec<(&'static str, String, String)>,
    organisations: Vec<String>,
    /// Whoever sees one organisation makes people of that one.
    own: bool,
    connectors: Vec<String>,
    command: &'static str,
}

impl People {
    fn bad(&self, field: &str) -> bool {
        is_wrong(&self.mistakes, field)
    }
}

struct Row {
    name: String,
    is_you: bool,
    path: String,
    role: String,
    role_code: String,
    reach: String,
    organisation: String,
    connector: String,
    factor: String,
    since: String,
}

/// Somebody at a browser.
struct SessionRow {
    id: String,
    name: String,
    browser: String,
    address: String,
    began: String,
    seen: String,
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let made = visit.query.get("made");
    let done = match visit.query.get("done") {
        "role" => visit.lang.with("people-done-role", made),
        "remove" => visit.lang.with("people-done-remove", made),
        "sign-out" => visit.lang.with("people-done-sign-out", made),
        _ => String::new(),
    };
    match compose(&centre, &visit, Vec::new()).await {
        Ok(mut people) => {
            people.frame = people.frame.done(done);
            page::send(&people)
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn compose(
    centre: &Centre,
    visit: &Visit,
    mistakes: Vec<Mistake>,
) -> Result<People, Refused> {
    let lang = visit.lang;
    let answer = centre.get(visit.caller(), "/admins", &[]).await?;
    let rows: Vec<_> = list(&answer, "admins")
        .iter()
        .map(|one| row(visit, one))
        .collect();
    let signed_in = centre.get(visit.caller(), "/sessions", &[]).await?;
    let sessions = list(&signed_in, "sessions").iter();
    let sessions = sessions.map(|one| SessionRow {
        id: text(one, "session").to_owned(),
        name: text(one, "name").to_owned(),
        browser: text(one, "browser").to_owned(),
        address: text(one, "address").to_owned(),
        began: times::shown(lang, one["began"].as_str()),
        seen: times::shown(lang, one["seen"].as_str()),
    });
    // Of the installation, for whoever sees it: an owner of one organisation cannot stand in.
    let own = visit.caller().rights.organisation().is_some();
    let is_owner = |row: &&Row| row.role_code == "owner" && (own || row.organisation.is_empty());
    let owners = rows.iter().filter(is_owner).count();
    let settings = centre.context.store.settings();
    let seen = settings.document.organisation.iter();
    let seen = seen.filter(|one| visit.caller().rights.sees(&one.name));
    let seen: Vec<_> = seen.collect();
    let mut connectors: Vec<_> = seen
        .iter()
        .flat_map(|one| one.inbound_connector.iter().map(|it| it.name.clone()))
        .collect();
    connectors.sort();
    connectors.dedup();
    let roles = ROLES.map(|role| {
        let (name, words) = role_keys(role);
        (role.name(), lang.t(name), lang.t(words))
    });
    let command = "relais admin list";
    Ok(People {
        may_manage: visit.may(Action::ManagePeople),
        mistakes,
        typed: String::new(),
        has_one_owner: owners == 1,
        sessions: sessions.collect(),
        rows,
        roles: roles.into(),
        organisations: seen.iter().map(|one| one.name.clone()).collect(),
        own,
        connectors,
        command: "relais setup-link",
        frame: Frame::new(visit, "people", &lang.t("nav-people")).command(command),
    })
}

/// Keys of a role's name, and of what it may do.
fn role_keys(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Owner => ("role-owner", "role-owner-words"),
        Role::Operator => ("role-operator", "role-operator-words"),
        Role::Helpdesk => ("role-helpdesk", "role-helpdesk-words"),
        Role::Auditor => ("role-auditor", "role-auditor-words"),
        Role::Installer => ("role-installer", "role-installer-words"),
    }
}

fn row(visit: &Visit, one: &Value) -> Row {
    let lang = visit.lang;
    let plain = |key: &str| text(one, key).to_owned();
    let (organisation, connector) = (plain("organisation"), plain("connector"));
    let reach = match (organisation.as_str(), connector.as_str()) {
        ("", _) => lang.t("people-all"),
        (organisation, "") => organisation.to_owned(),
        (organisation, connector) => format!("{organisation} / {connector}"),
    };
    let name = plain("name");
    Row {
        is_you: name == visit.name(),
        path: format!("/people/{}", segment(&name)),
        role: Role::parse(text(one, "role"))
            .map_or_else(String::new, |role| lang.t(role_keys(role).0)),
        role_code: plain("role"),
        reach,
        organisation,
        connector,
        factor: match one["second_factor"].is_null() {
            true => "–".to_owned(),
            false => lang.t("people-factor-on"),
        },
        since: times::shown(lang, one["since"].as_str()),
        name,
    }
}

fn place(form: &Form) -> Value {
    let filled = |name: &str| Some(form.get(name)).filter(|text| !text.is_empty());
    json!({
        "role": form.get("role"),
        "organisation": filled("organisation"),
        "connector": filled("connector"),
    })
}

#[derive(Template)]
#[template(path = "people-secret.html")]
struct Secret {
    frame: Frame,
    words: String,
    password: String,
}

/// The password is in this answer alone.
fn secret(visit: &Visit, answer: &Value) -> Response {
    page::send(&Secret {
        words: visit.lang.with("people-secret", text(answer, "name")),
        password: text(answer, "password").to_owned(),
        frame: Frame::new(visit, "people", &visit.lang.t("nav-people")),
    })
}

async fn add(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let mut wanted = place(&form);
    wanted["name"] = json!(form.get("name"));
    match change_people(&centre, &visit, ("/admins", &wanted)).await {
        Ok(answer) => secret(&visit, &answer),
        Err(refused) => again(&centre, &visit, refused, form.get("name")).await,
    }
}

/// The page once more, with what was wrong; who may not see it gets the no alone.
async fn again(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, Mistake),
    typed: &str,
) -> Response {
    if status == StatusCode::FORBIDDEN {
        return page::failed(visit, status, &mistake.words);
    }
    match compose(centre, visit, vec![mistake]).await {
        Ok(mut people) => {
            typed.clone_into(&mut people.typed);
            (status, page::send(&people)).into_response()
        }
        Err(refused) => page::refused(visit, &refused),
    }
}

/// Ends one session of somebody.
async fn sign_out(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let name = form.get("name");
    let wanted = json!({ "name": name, "session": form.get("session") });
    match change_people(&centre, &visit, ("/sessions/end", &wanted)).await {
        Ok(_) => page::go(&address("/people", &[("done", "sign-out"), ("made", name)])),
        Err(refused) => again(&centre, &visit, refused, "").await,
    }
}

#[derive(Template)]
#[template(path = "people-confirm.html")]
struct Confirm {
    frame: Frame,
    question: String,
    action: String,
    /// A box that may be ticked: the second factor goes too.
    asks_factor: bool,
}

async fn act(
    State(centre): State<Centre>,
    Path((name, act)): Path<(String, String)>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (lang, path) = (visit.lang, format!("/admins/{}/{act}", segment(&name)));
    let (question, body) = match act.as_str() {
        "role" => ("", place(&form)),
        "reset" => {
            let forget = form.get("second_factor") == "1";
            ("people-reset-question", json!({ "second_factor": forget }))
        }
        "remove" => ("people-remove-question", json!({})),
        _ => {
            let words = lang.t("error-not-found");
            return page::failed(&visit, StatusCode::NOT_FOUND, &words);
        }
    };
    if !question.is_empty() && form.get("confirmed").is_empty() {
        return page::send(&Confirm {
            question: lang.with(question, &name),
            action: format!("/people/{}/{act}", segment(&name)),
            asks_factor: act == "reset",
            frame: Frame::new(&visit, "people", &lang.t("nav-people")),
        });
    }
    match change_people(&centre, &visit, (&path, &body)).await {
        Ok(answer) if act == "reset" => secret(&visit, &answer),
        Ok(_) => page::go(&address("/people", &[("done", &act), ("made", &name)])),
        Err((status, mistake)) => {
            // The fields of the form below are not those that this is about.
            let mistake = Mistake::new(PAGE, mistake.words);
            again(&centre, &visit, (status, mistake), "").await
        }
    }
}
