//! Signing in and out, the first administrator, and the language.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;

use super::ask::{Centre, address};
use super::cookies::Cookie;
use super::door::{OwnForm, SessionForm, Visit, local_path};
use super::fields::{Mistake, is_wrong};
use super::page::{self, Frame};
use crate::lang::Lang;
use crate::people::issuer::Which;
use crate::people::{
    ADMINISTRATORS_MAX, Administrator, Browser, By, How, IDLE_MAX, LABEL_CHARACTERS_MAX,
    NAME_OCTETS_MAX, NoPasskeys, PASSKEYS_MAX, PASSWORD_CHARACTERS_MIN, PeopleError, RelyingParty,
    Tried,
};
use crate::words::Language;

/// W3C Clear Site Data.
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// What a mistake leads to that is about no field.
pub(super) const PAGE: &str = "content";

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/sign-in", get(show).post(sign_in))
        .route("/sign-in/code", post(show_code))
        .route("/sign-out", post(sign_out))
        .route("/setup", get(show_setup).post(set_up))
        .route("/language", post(choose_language))
}

/// Each mistake in the reader's language.
pub(super) fn mistake(visit: &Visit, error: &PeopleError) -> String {
    let lang = visit.lang;
    match error {
        PeopleError::Name => lang.n("people-name", NAME_OCTETS_MAX as u64),
        PeopleError::Taken => lang.t("people-taken"),
        PeopleError::Password => lang.n("people-password", PASSWORD_CHARACTERS_MIN as u64),
        PeopleError::Guessable => lang.t("people-guessable"),
        PeopleError::Wrong => lang.t("people-wrong"),
        PeopleError::Slowed => lang.t("people-slowed"),
        PeopleError::Link => lang.t("people-link"),
        PeopleError::Late => lang.t("factor-late"),
        PeopleError::PasskeyName => lang.n("passkey-name-hint", LABEL_CHARACTERS_MAX as u64),
        PeopleError::PasskeysFull => lang.n("passkeys-full", PASSKEYS_MAX as u64),
        // Why stands in the trace, and is nothing for a stranger.
        PeopleError::Passkey(_) => lang.t("passkey-refused"),
        PeopleError::LastOwner => lang.t("people-last-owner"),
        PeopleError::Incomplete => lang.t("sso-incomplete"),
        PeopleError::NotHttps => lang.t("sso-not-https"),
        PeopleError::Untried => lang.t("sso-untried"),
        PeopleError::NoLocalOwner => lang.t("sso-no-local-owner"),
        PeopleError::NoIssuer => lang.t("sso-empty"),
        PeopleError::NoRole(name) | PeopleError::NoRoleByDraft(name) => {
            lang.with("sso-no-role", name)
        }
        PeopleError::Issuer(why) | PeopleError::IssuerAway(why) => lang.with("sso-failed", why),
        PeopleError::NoOrganisation(_)
        | PeopleError::NoConnector(_)
        | PeopleError::Connectorless => lang.t("people-place"),
        PeopleError::Unknown => lang.t("people-unknown"),
        PeopleError::TooMany => lang.n("people-too-many", ADMINISTRATORS_MAX as u64),
        PeopleError::Store(_) => error.to_string(),
    }
}

/// The field that a mistake is about, of whatever form has it; else the page.
pub(super) fn field_of(error: &PeopleError) -> &'static str {
    match error {
        PeopleError::Name | PeopleError::Taken => "name",
        PeopleError::Password | PeopleError::Guessable => "password",
        PeopleError::PasskeyName | PeopleError::PasskeysFull => "passkey-name",
        PeopleError::NoOrganisation(_) => "organisation",
        PeopleError::NoConnector(_) | PeopleError::Connectorless => "connector",
        PeopleError::Incomplete | PeopleError::NotHttps => "issuer",
        PeopleError::Unknown
        | PeopleError::Wrong
        | PeopleError::Slowed
        | PeopleError::Link
        | PeopleError::TooMany
        | PeopleError::Late
        | PeopleError::Untried
        | PeopleError::NoLocalOwner
        | PeopleError::Passkey(_)
        | PeopleError::NoIssuer
        | PeopleError::NoRole(_)
        | PeopleError::NoRoleByDraft(_)
        | PeopleError::Issuer(_)
        | PeopleError::IssuerAway(_)
        | PeopleError::LastOwner
        | PeopleError::Store(_) => PAGE,
    }
}

/// Asks the API for a change of people: a no is in the reader's language, beside its field.
pub(super) async fn change_people(
    centre: &Centre,
    visit: &Visit,
    (path, body): (&str, &Value),
) -> Result<Value, (StatusCode, Mistake)> {
    let asked = centre.post_of_people(visit.caller(), path, body).await;
    asked.map_err(|(refused, cause)| {
        let said = match cause {
            Some(cause) => Mistake::new(field_of(&cause), mistake(visit, &cause)),
            None => Mistake::new(PAGE, refused.detail),
        };
        (refused.status, said)
    })
}

/// Why there are none where the admin centre is reached so.
pub(super) fn no_passkeys(lang: Lang, why: NoPasskeys) -> String {
    match why {
        NoPasskeys::Address => lang.t("passkeys-need-name"),
        NoPasskeys::InClear => lang.t("passkeys-need-tls"),
    }
}

/// Whether passkeys are offered to who signs in.
enum Offer {
    /// Nobody has one.
    None,
    Yes,
    /// Somebody has one, and it cannot be shown here: why.
    Not(String),
}

impl Offer {
    fn of(visit: &Visit, has: bool) -> Self {
        match (has, RelyingParty::of(&visit.origin)) {
            (false, _) => Self::None,
            (true, Ok(_)) => Self::Yes,
            (true, Err(why)) => Self::Not(no_passkeys(visit.lang, why)),
        }
    }
}

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignIn {
    frame: Frame,
    /// Where the sign-in with an issuer begins; empty: there is none.
    with: String,
    passkeys: Offer,
    /// Said where the browser brought a session that is over.
    ended: String,
    next: String,
    name: String,
    mistake: String,
}

async fn show(State(centre): State<Centre>, visit: Visit) -> Response {
    if visit.session.is_some() {
        return page::go("/");
    }
    let title = visit.lang.t("sign-in-title");
    let next = local_path(visit.query.get("next")).to_owned();
    page::send(&SignIn {
        with: with_issuer(&centre, &next).await,
        passkeys: offer(&centre, &visit).await,
        ended: match visit.token {
            Some(_) => visit.lang.n("sign-in-ended", IDLE_MAX.as_secs() / 60),
            None => String::new(),
        },
        next,
        name: String::new(),
        mistake: String::new(),
        frame: Frame::new(&visit, "", &title),
    })
}

async fn offer(centre: &Centre, visit: &Visit) -> Offer {
    let context = &centre.context;
    let has = context.people.anybody_has_passkeys(&context.store).await;
    Offer::of(visit, has)
}

async fn with_issuer(centre: &Centre, next: &str) -> String {
    let context = &centre.context;
    let found = context
        .people
        .sign_in_by(&context.store, Which::InForce)
        .await;
    match found {
        Ok(Some(_)) => address("/sign-in/with", &[("next", next)]),
        Ok(None) | Err(_) => String::new(),
    }
}

async fn sign_in(State(centre): State<Centre>, OwnForm { visit, form }: OwnForm) -> Response {
    let context = &centre.context;
    let (who, now) = (
        (form.get("name"), form.raw("password")),
        context.clock.now(),
    );
    let signed = context.people.sign_in(&context.store, who, visit.peer);
    match signed.await {
        Ok(person) if person.has_factor() => {
            let pending = context
                .people
                .await_code(&person.name, &context.chance, now);
            let again = (pending.as_str(), form.get("next"));
            ask_code(&visit, &person, again, String::new())
        }
        Ok(person) => {
            let next = local_path(form.get("next"));
            begin(&centre, &visit, (&person, How::Password), next).await
        }
        Err(error) => {
            tell_refused(&centre, &visit, (form.get("name"), How::Password), &error);
            let status = match error {
                PeopleError::Slowed => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::FORBIDDEN,
            };
            let title = visit.lang.t("sign-in-title");
            let next = local_path(form.get("next")).to_owned();
            let page = SignIn {
                with: with_issuer(&centre, &next).await,
                passkeys: offer(&centre, &visit).await,
                ended: String::new(),
                next,
                name: form.get("name").to_owned(),
                mistake: mistake(&visit, &error),
                frame: Frame::new(&visit, "", &title),
            };
            (status, page::send(&page)).into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "sign-in-code.html")]
struct Code {
    frame: Frame,
    /// Whether a code of a telephone would do.
    has_code: bool,
    passkeys: Offer,
    next: String,
    pending: String,
    mistake: String,
}

fn ask_code(
    visit: &Visit,
    person: &Administrator,
    (pending, next): (&str, &str),
    mistake: String,
) -> Response {
    page::send(&Code {
        has_code: person.factor.is_some(),
        passkeys: Offer::of(visit, !person.passkeys.is_empty()),
        next: local_path(next).to_owned(),
        pending: pending.to_owned(),
        mistake,
        frame: Frame::new(visit, "", &visit.lang.t("factor-title")),
    })
}

/// The second step, for whoever has a second factor.
async fn show_code(State(centre): State<Centre>, OwnForm { visit, form }: OwnForm) -> Response {
    let (context, now) = (&centre.context, centre.context.clock.now());
    let shown = (form.get("pending"), form.get("code"));
    let known = context
        .people
        .show_code(&context.store, shown, visit.peer, now);
    let known = known.await;
    let name = context.people.awaited(form.get("pending"), now);
    let name = name.unwrap_or_default();
    if let Err(error) = &known {
        tell_refused(&centre, &visit, (&name, How::Code), error);
    }
    match known {
        Ok((person, how)) => {
            begin(
                &centre,
                &visit,
                (&person, how),
                local_path(form.get("next")),
            )
            .await
        }
        Err(error) => {
            let found = context.people.find(&context.store, &name).await;
            if let (PeopleError::Wrong, Ok(Some(person))) = (&error, found) {
                let again = (form.get("pending"), form.get("next"));
                let page = ask_code(&visit, &person, again, visit.lang.t("factor-wrong"));
                return (StatusCode::FORBIDDEN, page).into_response();
            }
            let status = match error {
                PeopleError::Slowed => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::FORBIDDEN,
            };
            page::failed(&visit, status, &mistake(&visit, &error))
        }
    }
}

/// A new session, never one that the browser brought.
pub(super) async fn begin(
    centre: &Centre,
    visit: &Visit,
    (person, how): (&Administrator, How),
    next: &str,
) -> Response {
    let cookie = begin_session(centre, visit, (person, &how)).await;
    ([(header::SET_COOKIE, cookie)], page::go(next)).into_response()
}

/// Somebody did not come in: an event, if there were not too many of them.
pub(super) fn tell_refused(
    centre: &Centre,
    visit: &Visit,
    (name, how): (&str, How),
    error: &PeopleError,
) {
    let (context, peer) = (&centre.context, visit.peer);
    let tried = Tried { name, how, peer };
    let with = (&context.store, &context.chance);
    let now = context.clock.now();
    context.people.tell_refused(with, &tried, error, now);
}

/// The cookie of a new session.
pub(super) async fn begin_session(
    centre: &Centre,
    visit: &Visit,
    who: (&Administrator, &How),
) -> String {
    let (context, now) = (&centre.context, centre.context.clock.now());
    if let Some(token) = &visit.token {
        context.people.end_session(&context.store, token, now).await;
    }
    let address = visit.peer.to_string();
    let browser = Browser {
        address: &address,
        name: &visit.browser,
    };
    let token = context
        .people
        .begin_session(&context.store, &context.chance, who, browser, now)
        .await;
    Cookie::Session.set(centre, &token)
}

/// The answer to whoever signs out: neither cookie nor pages stay in the browser.
pub(super) fn signed_out(centre: &Centre) -> Response {
    (forgotten(centre), page::go("/sign-in")).into_response()
}

fn forgotten(centre: &Centre) -> [(HeaderName, String); 2] {
    [
        (header::SET_COOKIE, Cookie::Session.forget(centre)),
        (CLEAR_SITE_DATA, "\"cache\", \"storage\"".to_owned()),
    ]
}

async fn sign_out(
    State(centre): State<Centre>,
    SessionForm { visit, .. }: SessionForm,
) -> Response {
    let (context, now) = (&centre.context, centre.context.clock.now());
    let leave = match &visit.token {
        Some(token) => context.people.end_session(&context.store, token, now).await,
        None => None,
    };
    let Some(leave) = leave else {
        return signed_out(&centre);
    };
    // The person decides: at the issuer other programs end with it. And by a link, for a form leads
    // to no foreign page here.
    let nobody = Visit {
        session: None,
        ..visit
    };
    let page = page::send(&SignedOut {
        leave: leave.whole(),
        frame: Frame::new(&nobody, "", &nobody.lang.t("signed-out-title")),
    });
    (forgotten(&centre), page).into_response()
}

#[derive(Template)]
#[template(path = "signed-out.html")]
struct SignedOut {
    frame: Frame,
    /// Where the person signs out at the issuer too.
    leave: String,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetUp {
    frame: Frame,
    token: String,
    name: String,
    mistakes: Vec<Mistake>,
}

impl SetUp {
    fn bad(&self, field: &str) -> bool {
        is_wrong(&self.mistakes, field)
    }
}

async fn show_setup(State(centre): State<Centre>, visit: Visit) -> Response {
    let (context, token) = (&centre.context, visit.query.get("t").to_owned());
    let now = context.clock.now();
    match context.people.is_link(&context.store, &token, now).await {
        Ok(true) => {
            let title = visit.lang.t("setup-title");
            page::send(&SetUp {
                token,
                name: String::new(),
                mistakes: Vec::new(),
                frame: Frame::new(&visit, "", &title),
            })
        }
        Ok(false) => {
            tell_refused(&centre, &visit, ("", How::SetupLink), &PeopleError::Link);
            let words = mistake(&visit, &PeopleError::Link);
            page::failed(&visit, StatusCode::GONE, &words)
        }
        Err(error) => page::failed(&visit, StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

async fn set_up(State(centre): State<Centre>, OwnForm { visit, form }: OwnForm) -> Response {
    let context = &centre.context;
    let (token, name, password) = (form.get("token"), form.get("name"), form.raw("password"));
    let again = |mistake: Mistake| {
        let title = visit.lang.t("setup-title");
        let page = SetUp {
            token: token.to_owned(),
            name: name.to_owned(),
            mistakes: vec![mistake],
            frame: Frame::new(&visit, "", &title),
        };
        (StatusCode::UNPROCESSABLE_ENTITY, page::send(&page)).into_response()
    };
    if password != form.raw("again") {
        return again(Mistake::new("again", visit.lang.t("people-differ")));
    }
    let people = &context.people;
    let who = (token, name, password);
    let when = (visit.peer, context.clock.now());
    match people
        .use_link(&context.store, &context.chance, who, when)
        .await
    {
        Ok(person) => {
            // Whose server has no organisation yet begins with the first steps.
            let is_new = context.store.settings().document.organisation.is_empty();
            let next = if is_new { "/setup/you" } else { "/" };
            begin(&centre, &visit, (&person, How::SetupLink), next).await
        }
        Err(error @ PeopleError::Link) => {
            tell_refused(&centre, &visit, (name, How::SetupLink), &error);
            page::failed(&visit, StatusCode::GONE, &mistake(&visit, &error))
        }
        Err(error) => again(Mistake::new(field_of(&error), mistake(&visit, &error))),
    }
}

/// The person's choice is kept with the person; before signing in, in the browser.
async fn choose_language(
    State(centre): State<Centre>,
    OwnForm { visit, form }: OwnForm,
) -> Response {
    let language = match form.get("language") {
        "fr" => Language::French,
        _ => Language::English,
    };
    let code = language.pick("en", "fr");
    let is_ours = |session: &crate::people::Session| session.is_form_token(form.raw("form_token"));
    if visit.session.as_ref().is_some_and(is_ours) {
        let (context, caller) = (&centre.context, visit.caller().clone());
        let by = By {
            actor: &caller.actor,
            via: caller.via,
            now: context.clock.now(),
        };
        let who = (visit.name(), language);
        if let Err(error) = context.people.set_language(&context.store, who, &by).await {
            tracing::warn!(%error, "the language of a person is not kept");
        }
    }
    let cookie = Cookie::Language.set(&centre, code);
    let back = local_path(form.get("back"));
    ([(header::SET_COOKIE, cookie)], page::go(back)).into_response()
}
