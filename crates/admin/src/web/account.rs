//! The person's own page: password; and who else there is.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::ask::{Centre, list, text};
use super::door::{Reader, SessionForm, Visit, forget_session};
use super::page::{self, Frame};
use super::signing::mistake;
use super::times;
use crate::context::Caller;
use crate::people::{By, PeopleError};

pub(super) fn routes() -> Router<Centre> {
    Router::new().route("/account", get(show).post(change_password))
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    frame: Frame,
    mistake: String,
    people: Vec<(String, String, String)>,
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    answer(&centre, &visit, String::new()).await
}

async fn answer(centre: &Centre, visit: &Visit, mistake: String) -> Response {
    let lang = visit.lang;
    let people = match centre.get(visit.name(), "/admins", &[]).await {
        Ok(people) => people,
        Err(refused) => return page::refused(visit, &refused),
    };
    let row = |one: &serde_json::Value| {
        let role = match text(one, "role") {
            "owner" => lang.t("role-owner"),
            _ => lang.t("role-auditor"),
        };
        let since = times::shown(lang, one["since"].as_str());
        (text(one, "name").to_owned(), role, since)
    };
    page::send(&Account {
        mistake,
        people: list(&people, "admins").iter().map(row).collect(),
        frame: Frame::new(visit, "", &lang.t("account-title")).command("relais admin list"),
    })
}

/// The old password is asked for again: a browser that was left open is not enough.
async fn change_password(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (context, caller) = (&centre.context, Caller::web(visit.name()));
    let people = &context.people;
    let no = async |error: String| {
        let page = answer(&centre, &visit, error).await;
        (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
    };
    if form.raw("password") != form.raw("again") {
        return no(visit.lang.t("people-differ")).await;
    }
    let old = (visit.name(), form.raw("old"));
    if let Err(error) = people.sign_in(&context.store, old, visit.peer).await {
        let words = match error {
            PeopleError::Wrong => visit.lang.t("people-old-wrong"),
            error => mistake(&visit, &error),
        };
        return no(words).await;
    }
    let by = By {
        actor: &caller.actor,
        via: caller.via,
        now: context.clock.now(),
    };
    let new = (visit.name(), Some(form.raw("password")));
    match people
        .set_password(&context.store, &context.chance, new, &by)
        .await
    {
        Ok(_) => {
            let cookie = [(header::SET_COOKIE, forget_session())];
            (cookie, page::go("/sign-in")).into_response()
        }
        Err(error) => no(mistake(&visit, &error)).await,
    }
}
