//! The person's own page: the password.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::ask::Centre;
use super::door::{Reader, SessionForm, Visit, forget_session};
use super::page::{self, Frame};
use super::signing::mistake;
use crate::people::{By, PeopleError};

pub(super) fn routes() -> Router<Centre> {
    Router::new().route("/account", get(show).post(change_password))
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    frame: Frame,
    mistake: String,
}

async fn show(Reader(visit): Reader) -> Response {
    answer(&visit, String::new())
}

fn answer(visit: &Visit, mistake: String) -> Response {
    let lang = visit.lang;
    page::send(&Account {
        mistake,
        frame: Frame::new(visit, "", &lang.t("account-title"))
            .command(format!("relais admin reset {}", visit.name())),
    })
}

/// The old password is asked for again: a browser that was left open is not enough.
async fn change_password(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (context, caller) = (&centre.context, visit.caller().clone());
    let people = &context.people;
    let no = |error: String| {
        let page = answer(&visit, error);
        (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
    };
    if form.raw("password") != form.raw("again") {
        return no(visit.lang.t("people-differ"));
    }
    let old = (visit.name(), form.raw("old"));
    if let Err(error) = people.sign_in(&context.store, old, visit.peer).await {
        let words = match error {
            PeopleError::Wrong => visit.lang.t("people-old-wrong"),
            error => mistake(&visit, &error),
        };
        return no(words);
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
        Err(error) => no(mistake(&visit, &error)),
    }
}
