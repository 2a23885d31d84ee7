//! The person's own page: password, second factor, passkeys, and where they are signed in.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::ask::Centre;
use super::door::{Reader, SessionForm, Visit};
use super::fields::{Mistake, is_wrong};
use super::page::{self, Frame};
use super::signing::{field_of, mistake, no_passkeys, signed_out, tell_refused};
use crate::people::{
    How, LABEL_CHARACTERS_MAX, PeopleError, RelyingParty, base32, id_of_token, telephone_address,
};
use crate::qr::{Code, code};
use crate::times;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/account", get(show).post(change_password))
        .route("/account/factor", post(factor))
        .route("/account/sessions", post(end_sessions))
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    frame: Frame,
    mistakes: Vec<Mistake>,
    /// Signed in with an issuer: there is no password of ours.
    is_local: bool,
    /// A second factor is demanded, and not there yet.
    must_enrol: bool,
    factor: String,
    passkeys: Vec<PasskeyRow>,
    /// Why none is made at this address; empty: one can be.
    no_passkeys: String,
    label_characters_max: usize,
    sessions: Vec<Row>,
}

impl Account {
    fn bad(&self, field: &str) -> bool {
        is_wrong(&self.mistakes, field)
    }
}

/// One passkey.
struct PasskeyRow {
    id: String,
    name: String,
    place: String,
    since: String,
    used: String,
}

/// One session.
struct Row {
    id: String,
    is_here: bool,
    browser: String,
    address: String,
    began: String,
    seen: String,
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    answer(&centre, &visit, Vec::new()).await
}

async fn answer(centre: &Centre, visit: &Visit, mistakes: Vec<Mistake>) -> Response {
    let (context, lang) = (&centre.context, visit.lang);
    let person = context.people.find(&context.store, visit.name()).await;
    let person = person.ok().flatten();
    let factor = person.as_ref().and_then(|person| person.factor.as_ref());
    let factor = factor.map_or_else(String::new, |factor| {
        lang.n("account-codes-left", factor.codes_left() as u64)
    });
    let here = visit.token.as_deref().map(id_of_token).unwrap_or_default();
    let now = context.clock.now();
    let listed = context.people.sessions_of(visit.name(), now);
    let rows = listed.into_iter().map(|one| Row {
        is_here: one.id == here,
        browser: one.kept.browser.clone(),
        address: one.kept.address.clone(),
        began: times::of(lang, one.kept.began()),
        seen: times::of(lang, one.kept.seen()),
        id: one.id,
    });
    let passkeys = person.iter().flat_map(|person| &person.passkeys);
    let passkeys = passkeys.map(|one| PasskeyRow {
        id: one.id.clone(),
        name: one.name.clone(),
        place: one.place.clone(),
        since: times::shown(lang, Some(&one.since)),
        used: times::shown(lang, one.used.as_deref()),
    });
    let why_not = RelyingParty::of(&visit.origin).err();
    let command = format!("relais admin reset {}", visit.name());
    let done = match visit.query.get("done") {
        "factor-off" => lang.t("account-done-factor-off"),
        "passkey" => lang.t("account-done-passkey"),
        "passkey-removed" => lang.t("account-done-passkey-removed"),
        "sessions" => lang.t("account-done-sessions"),
        "region" => lang.t("account-done-region"),
        _ => String::new(),
    };
    page::send(&Account {
        mistakes,
        is_local: person.is_some(),
        must_enrol: visit
            .session
            .as_ref()
            .is_some_and(|one| context.people.lacks_factor(one)),
        factor,
        passkeys: passkeys.collect(),
        no_passkeys: why_not.map_or_else(String::new, |why| no_passkeys(lang, why)),
        label_characters_max: LABEL_CHARACTERS_MAX,
        sessions: rows.collect(),
        frame: Frame::new(visit, "", &lang.t("account-title"))
            .command(command)
            .done(done),
    })
}

pub(super) async fn no(centre: &Centre, visit: &Visit, mistake: Mistake) -> Response {
    let page = answer(centre, visit, vec![mistake]).await;
    (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
}

/// As a mistake of this page.
pub(super) fn of(visit: &Visit, error: &PeopleError) -> Mistake {
    Mistake::new(field_of(error), mistake(visit, error))
}

/// The password is asked for again: a browser that was left open is not enough.
pub(super) async fn is_the_person(
    centre: &Centre,
    visit: &Visit,
    (field, password): (&'static str, &str),
) -> Result<(), Mistake> {
    let context = &centre.context;
    let who = (visit.name(), password);
    let signed = context.people.sign_in(&context.store, who, visit.peer);
    let signed = signed.await;
    if let Err(error) = &signed {
        tell_refused(centre, visit, (visit.name(), How::Password), error);
    }
    match signed {
        Ok(_) => Ok(()),
        Err(PeopleError::Wrong) => Err(Mistake::new(field, visit.lang.t("people-old-wrong"))),
        Err(error) => Err(Mistake::new(field, mistake(visit, &error))),
    }
}

async fn change_password(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (context, caller) = (&centre.context, visit.caller());
    if form.raw("password") != form.raw("again") {
        let differ = Mistake::new("again", visit.lang.t("people-differ"));
        return no(&centre, &visit, differ).await;
    }
    if let Err(wrong) = is_the_person(&centre, &visit, ("old", form.raw("old"))).await {
        return no(&centre, &visit, wrong).await;
    }
    let by = caller.by(context.clock.now());
    let new = (visit.name(), Some(form.raw("password")));
    let people = &context.people;
    match people
        .set_password(&context.store, &context.chance, new, &by)
        .await
    {
        Ok(_) => signed_out(&centre),
        Err(error) => no(&centre, &visit, of(&visit, &error)).await,
    }
}

#[derive(Template)]
#[template(path = "factor.html")]
struct Enrol {
    frame: Frame,
    mistake: String,
    picture: Option<Code>,
    secret: String,
}

#[derive(Template)]
#[template(path = "factor-codes.html")]
struct Codes {
    frame: Frame,
    codes: Vec<String>,
}

/// Begins, ends, or takes a factor away.
async fn factor(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (context, lang) = (&centre.context, visit.lang);
    let (people, now) = (&context.people, context.clock.now());
    let by = visit.caller().by(now);
    match form.get("act") {
        "begin" => {
            let old = ("factor-old", form.raw("old"));
            if let Err(wrong) = is_the_person(&centre, &visit, old).await {
                return no(&centre, &visit, wrong).await;
            }
            people.begin_factor(visit.name(), &context.chance, now);
            enrol(&centre, &visit, String::new())
        }
        "confirm" => {
            let who = (visit.name(), form.get("code"));
            let confirmed = people.confirm_factor(&context.store, &context.chance, who, &by);
            match confirmed.await {
                Ok(codes) => page::send(&Codes {
                    codes,
                    frame: Frame::new(&visit, "", &lang.t("factor-codes-title")),
                }),
                Err(PeopleError::Wrong) => enrol(&centre, &visit, lang.t("factor-wrong")),
                Err(error) => no(&centre, &visit, of(&visit, &error)).await,
            }
        }
        _ => {
            let old = ("factor-old", form.raw("old"));
            if let Err(wrong) = is_the_person(&centre, &visit, old).await {
                return no(&centre, &visit, wrong).await;
            }
            match people
                .remove_factor(&context.store, visit.name(), &by)
                .await
            {
                Ok(()) => page::go("/account?done=factor-off"),
                Err(error) => no(&centre, &visit, of(&visit, &error)).await,
            }
        }
    }
}

fn enrol(centre: &Centre, visit: &Visit, mistake: String) -> Response {
    let context = &centre.context;
    let Some(secret) = context
        .people
        .factor_begun(visit.name(), context.clock.now())
    else {
        return page::go("/account");
    };
    let address = telephone_address(&context.hostname, visit.name(), &secret);
    let page = Enrol {
        mistake,
        picture: code(&address),
        secret: base32(&secret),
        frame: Frame::new(visit, "", &visit.lang.t("factor-title")),
    };
    page::send(&page)
}

/// One of them, or all: also this one.
async fn end_sessions(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let context = &centre.context;
    let id = Some(form.get("id")).filter(|id| !id.is_empty());
    context
        .people
        .end_of(&context.store, visit.name(), id, context.clock.now())
        .await;
    match id {
        Some(_) => page::go("/account?done=sessions"),
        None => signed_out(&centre),
    }
}
