//! Passkeys: made and removed on the person's own page, shown at the sign-in page.
//!
//! A passkey belongs to the name in the browser's address line, and only a script can ask a browser
//! for one; where there is no name or no script the page says so, and codes of a telephone stay.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::account::{is_the_person, no, of};
use super::ask::Centre;
use super::door::{OwnForm, SessionForm, local_path};
use super::fields::Mistake;
use super::page::{self, Frame};
use super::signing::{begin, mistake, no_passkeys, tell_refused};
use crate::people::{How, PeopleError, RelyingParty};

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/account/passkeys", post(change))
        .route("/sign-in/passkey", post(show))
        .route("/sign-in/passkey/question", post(ask))
}

#[derive(Template)]
#[template(path = "passkey.html")]
struct Making {
    frame: Frame,
    label: String,
    /// What the browser needs, in JSON.
    options: String,
}

/// Begins one, ends that, or takes one away.
async fn change(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (context, now) = (&centre.context, centre.context.clock.now());
    let (people, store) = (&context.people, &context.store);
    let by = visit.caller().by(now);
    let act = form.get("act");
    // Who confirms began with the password a moment ago.
    let field = match act {
        "remove" => "passkey-remove-old",
        _ => "passkey-old",
    };
    if act != "confirm"
        && let Err(wrong) = is_the_person(&centre, &visit, (field, form.raw("old"))).await
    {
        return no(&centre, &visit, wrong).await;
    }
    if act == "remove" {
        let which = (visit.name(), Some(form.get("id")));
        return match people.remove_passkeys(store, which, &by).await {
            Ok(()) => page::go("/account?done=passkey-removed#passkeys"),
            Err(error) => no(&centre, &visit, of(&visit, &error)).await,
        };
    }
    let party = match RelyingParty::of(&visit.origin) {
        Ok(party) => party,
        Err(why) => {
            let why = Mistake::new("passkeys", no_passkeys(visit.lang, why));
            return no(&centre, &visit, why).await;
        }
    };
    if act == "confirm" {
        let answer = (visit.name(), form.raw("answer"));
        return match people.confirm_passkey(store, &party, answer, &by).await {
            Ok(_) => page::go("/account?done=passkey#passkeys"),
            Err(error) => {
                tracing::info!(%error, name = visit.name(), "a passkey is not added");
                no(&centre, &visit, of(&visit, &error)).await
            }
        };
    }
    let with = (store, &context.chance);
    let wanted = (visit.name(), form.get("name"));
    match people.begin_passkey(with, &party, wanted, now).await {
        Ok(options) => page::send(&Making {
            label: form.get("name").to_owned(),
            options,
            frame: Frame::new(&visit, "", &visit.lang.t("passkey-title")),
        }),
        Err(error) => no(&centre, &visit, of(&visit, &error)).await,
    }
}

/// The question, for the script of the sign-in page.
async fn ask(State(centre): State<Centre>, OwnForm { visit, .. }: OwnForm) -> Response {
    let (context, lang) = (&centre.context, visit.lang);
    let asked = match RelyingParty::of(&visit.origin) {
        Ok(party) => {
            let who = (visit.peer, context.clock.now());
            let asked = context.people.ask_passkey(&party, who);
            asked.map_err(|error| (status_of(&error), mistake(&visit, &error)))
        }
        Err(why) => Err((StatusCode::BAD_REQUEST, no_passkeys(lang, why))),
    };
    match asked {
        Ok(options) => ([(header::CONTENT_TYPE, "application/json")], options).into_response(),
        Err((status, words)) => (status, words).into_response(),
    }
}

/// The answer, alone or after the password.
async fn show(State(centre): State<Centre>, OwnForm { visit, form }: OwnForm) -> Response {
    let (context, now) = (&centre.context, centre.context.clock.now());
    let party = match RelyingParty::of(&visit.origin) {
        Ok(party) => party,
        Err(why) => {
            let words = no_passkeys(visit.lang, why);
            return page::failed(&visit, StatusCode::BAD_REQUEST, &words);
        }
    };
    let pending = Some(form.get("pending")).filter(|token| !token.is_empty());
    let answer = (pending, form.raw("answer"));
    let people = &context.people;
    let shown = people.show_passkey(&context.store, &party, answer, (visit.peer, now));
    match shown.await {
        Ok((person, how)) => {
            let next = local_path(form.get("next"));
            begin(&centre, &visit, (&person, how), next).await
        }
        Err(error) => {
            let name = pending.and_then(|token| people.awaited(token, now));
            let how = match pending {
                Some(_) => How::PasswordAndPasskey,
                None => How::Passkey,
            };
            let tried = (name.as_deref().unwrap_or_default(), how);
            tell_refused(&centre, &visit, tried, &error);
            page::failed(&visit, status_of(&error), &mistake(&visit, &error))
        }
    }
}

fn status_of(error: &PeopleError) -> StatusCode {
    match error {
        PeopleError::Slowed => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::FORBIDDEN,
    }
}
