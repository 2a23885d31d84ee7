//! Single sign-on: set up with an issuer, tried before it is in force; and the way there and back.
//!
//! The state of a sign-in is bound to the browser by a cookie of its own: the session's comes with
//! requests from our own pages only, and people come back from the issuer's.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::ask::{Centre, Refused, list, text};
use super::cookies::Cookie;
use super::door::{Reader, SessionForm, Visit, local_path};
use super::fields::{Mistake, is_wrong};
use super::form::Form;
use super::page::{self, Frame};
use super::signing::{begin_session, change_people, mistake, tell_refused};
use crate::people::issuer::{BACK, Returned, Which};
use crate::people::{How, PeopleError};
use crate::permission::Action;

/// What a role means where nothing was written yet: the names of the guide for Entra.
const MEANINGS: &str = "Relais.Owner = owner\nRelais.Operator = operator\n\
                        Relais.Helpdesk = helpdesk\nRelais.Auditor = auditor\n";
/// App roles, as Entra writes them. Not groups: of those a token names a limited number only.
const CLAIM: &str = "roles";

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/sso", get(show).post(draft))
        .route("/sso/try", get(begin_try))
        .route("/sso/adopt", post(adopt))
        .route("/sso/remove", post(remove))
        .route("/sign-in/with", get(begin))
        .route(BACK, get(back))
}

#[derive(Template)]
#[template(path = "sso.html")]
struct Sso {
    frame: Frame,
    may_manage: bool,
    mistakes: Vec<Mistake>,
    /// Issuer, as whom, and where it sends people back to.
    in_force: Vec<(String, String)>,
    has_draft: bool,
    tried: String,
    redirect_uri: String,
    issuer: String,
    client_id: String,
    centre: String,
    claim: String,
    meanings: String,
}

impl Sso {
    fn bad(&self, field: &str) -> bool {
        is_wrong(&self.mistakes, field)
    }

    /// With what was typed, all but the secret.
    fn typed(mut self, form: &Form, mistake: Mistake) -> Self {
        let fields = [
            (&mut self.issuer, "issuer"),
            (&mut self.client_id, "client_id"),
            (&mut self.centre, "centre"),
            (&mut self.claim, "claim"),
        ];
        for (field, name) in fields {
            form.get(name).clone_into(field);
        }
        form.raw("meanings").clone_into(&mut self.meanings);
        self.mistakes = vec![mistake];
        self
    }
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match compose(&centre, &visit).await {
        Ok(sso) => page::send(&sso),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn compose(centre: &Centre, visit: &Visit) -> Result<Sso, Refused> {
    let lang = visit.lang;
    let found = centre.get(visit.caller(), "/sign-in", &[]).await?;
    let (in_force, draft) = (&found["in_force"], &found["draft"]);
    let shown = if draft.is_null() { in_force } else { draft };
    let or = |key: &str, other: &str| match text(shown, key) {
        "" => other.to_owned(),
        written => written.to_owned(),
    };
    let facts = ["issuer", "client_id", "redirect_uri", "claim"];
    let words = ["sso-issuer", "sso-client", "sso-redirect", "sso-claim"];
    let facts = facts.iter().zip(words);
    let facts = facts.map(|(key, word)| (lang.t(word), text(in_force, key).to_owned()));
    let facts: Vec<_> = facts.collect();
    let done = match visit.query.get("done") {
        "adopted" => lang.t("sso-done-adopted"),
        "removed" => lang.t("sso-done-removed"),
        _ => String::new(),
    };
    let home = or("centre", &visit.origin);
    Ok(Sso {
        may_manage: visit.may(Action::ManagePeople),
        mistakes: Vec::new(),
        in_force: if in_force.is_null() {
            Vec::new()
        } else {
            facts
        },
        has_draft: !draft.is_null(),
        tried: text(draft, "tried").to_owned(),
        redirect_uri: format!("{}{BACK}", home.trim_end_matches('/')),
        issuer: or("issuer", ""),
        client_id: or("client_id", ""),
        centre: home,
        claim: or("claim", CLAIM),
        meanings: match list(shown, "meanings") {
            [] => MEANINGS.to_owned(),
            all => all.iter().map(line).collect(),
        },
        frame: Frame::new(visit, "sso", &lang.t("nav-sso"))
            .command("relais admin list")
            .done(done),
    })
}

/// `Relais.Desk = helpdesk, contoso`.
fn line(one: &Value) -> String {
    let parts = ["role", "organisation", "connector"].map(|key| text(one, key));
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{} = {}\n", text(one, "value"), parts.join(", "))
}

fn meanings(typed: &str) -> Vec<Value> {
    let lines = typed.lines().filter_map(|line| line.split_once('='));
    let read = lines.map(|(value, place)| {
        let mut parts = place.split(',').map(str::trim);
        json!({
            "value": value.trim(),
            "role": parts.next(),
            "organisation": parts.next(),
            "connector": parts.next(),
        })
    });
    read.collect()
}

/// What was typed becomes the draft; then it can be tried.
async fn draft(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let wanted = draft_of(&form);
    let (status, mistake) = match change_people(&centre, &visit, ("/sign-in/draft", &wanted)).await
    {
        Ok(_) => return page::go("/sso"),
        Err(refused) => refused,
    };
    if status == StatusCode::FORBIDDEN {
        return page::failed(&visit, status, &mistake.words);
    }
    match compose(&centre, &visit).await {
        Ok(sso) => (status, page::send(&sso.typed(&form, mistake))).into_response(),
        Err(refused) => page::refused(&visit, &refused),
    }
}

fn draft_of(form: &Form) -> Value {
    let mut wanted = json!({
        "issuer": form.get("issuer"),
        "client_id": form.get("client_id"),
        "centre": form.get("centre").trim_end_matches('/'),
        "claim": form.get("claim"),
        "meanings": meanings(form.raw("meanings")),
    });
    if !form.raw("client_secret").is_empty() {
        wanted["client_secret"] = json!(form.get("client_secret"));
    }
    wanted
}

async fn adopt(State(centre): State<Centre>, SessionForm { visit, .. }: SessionForm) -> Response {
    match change_people(&centre, &visit, ("/sign-in/adopt", &json!({}))).await {
        Ok(_) => page::go("/sso?done=adopted"),
        Err((status, mistake)) => page::failed(&visit, status, &mistake.words),
    }
}

async fn remove(State(centre): State<Centre>, SessionForm { visit, .. }: SessionForm) -> Response {
    match change_people(&centre, &visit, ("/sign-in/remove", &json!({}))).await {
        Ok(_) => page::go("/sso?done=removed"),
        Err((status, mistake)) => page::failed(&visit, status, &mistake.words),
    }
}

async fn begin(State(centre): State<Centre>, visit: Visit) -> Response {
    let next = local_path(visit.query.get("next")).to_owned();
    leave(&centre, &visit, (Which::InForce, &next)).await
}

/// The draft is tried by whoever may write it.
async fn begin_try(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let is_whole = visit.caller().rights.organisation().is_none();
    if !visit.may(Action::ManagePeople) || !is_whole {
        let words = visit.lang.t("error-read-only");
        return page::failed(&visit, StatusCode::FORBIDDEN, &words);
    }
    leave(&centre, &visit, (Which::Draft, "/sso")).await
}

async fn leave(centre: &Centre, visit: &Visit, what: (Which, &str)) -> Response {
    let (context, now) = (&centre.context, centre.context.clock.now());
    let people = &context.people;
    let when = (visit.peer, now);
    let begun = people.begin_sign_in(&context.store, &context.chance, what, when);
    match begun.await {
        Ok((address, state)) => {
            let headers = [
                (header::LOCATION, address),
                (header::SET_COOKIE, Cookie::SignIn.set(centre, &state)),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(error) => {
            let status = match error {
                PeopleError::Slowed => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::BAD_GATEWAY,
            };
            page::failed(visit, status, &mistake(visit, &error))
        }
    }
}

#[derive(Template)]
#[template(path = "sso-back.html")]
struct Back {
    frame: Frame,
    next: String,
}

async fn back(State(centre): State<Centre>, visit: Visit) -> Response {
    let lang = visit.lang;
    let (state, code) = (visit.query.get("state"), visit.query.get("code"));
    let is_from_sign_out = [state, code, visit.query.get("error")] == ["", "", ""];
    if is_from_sign_out {
        return page::go("/sign-in");
    }
    let is_same = !state.is_empty() && visit.sso.as_deref() == Some(state);
    if !is_same {
        tell_refused(
            &centre,
            &visit,
            ("", How::some_issuer()),
            &PeopleError::Late,
        );
        return page::failed(&visit, StatusCode::FORBIDDEN, &lang.t("sso-other-browser"));
    }
    if code.is_empty() {
        let said: String = visit.query.get("error").chars().take(100).collect();
        let words = lang.with("sso-no-code", &said);
        return page::failed(&visit, StatusCode::FORBIDDEN, &words);
    }
    let (context, now) = (&centre.context, centre.context.clock.now());
    let ended = context
        .people
        .end_sign_in(&context.store, (state, code), now);
    match ended.await {
        Ok(Returned::Person(person, how, next)) => {
            let cookie = begin_session(&centre, &visit, (&person, &how)).await;
            // The session's cookie comes only with requests that a page of ours makes: this one.
            let page = page::send(&Back {
                frame: Frame::new(&visit, "", &lang.t("sso-back-title")),
                next: local_path(&next).to_owned(),
            });
            ([(header::SET_COOKIE, cookie)], page).into_response()
        }
        Ok(Returned::Tried) => page::send(&Back {
            frame: Frame::new(&visit, "", &lang.t("sso-back-title")),
            next: "/sso".to_owned(),
        }),
        Err(error) => {
            tell_refused(&centre, &visit, ("", How::some_issuer()), &error);
            let status = match error {
                PeopleError::Issuer(_) | PeopleError::IssuerAway(_) => StatusCode::BAD_GATEWAY,
                _ => StatusCode::FORBIDDEN,
            };
            page::failed(&visit, status, &mistake(&visit, &error))
        }
    }
}
