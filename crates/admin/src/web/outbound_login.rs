//! Signing in to the issuer of an outbound connector's tokens, on whatever device has a browser:
//! the page shows an address and a code, and asks whether it is done. RFC 8628.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use super::ask::{Centre, Refused, quoted, text};
use super::door::{Change, Reader, Visit};
use super::form::Form;
use super::page::{self, Frame};
use super::switching::Side;
use crate::times;

type Named = Path<(String, String)>;

pub(super) fn routes() -> Router<Centre> {
    let address = |rest: &str| format!("/connectors/outbound/{{organisation}}/{{name}}/{rest}");
    Router::new()
        .route(&address("login"), get(show).post(begin))
        .route(&address("login/done"), post(poll))
}

#[derive(Template)]
#[template(path = "outbound_login.html")]
struct Page {
    frame: Frame,
    base: String,
    mistake: String,
    /// Not done yet.
    waits: bool,
    /// None: nothing was begun.
    begun: Option<Begun>,
}

/// What was told of a sign-in.
struct Begun {
    verification_uri: String,
    user_code: String,
    device_code: String,
    lasts: String,
}

fn send(
    visit: &Visit,
    (organisation, name): (&str, &str),
    begun: Option<Begun>,
    (mistake, waits): (String, bool),
) -> Response {
    let title = visit.lang.with("login-title", name);
    let command = format!("relais connector outbound login {}", quoted(name));
    page::send(&Page {
        frame: Frame::new(visit, "outbound", &title).command(command),
        base: Side::Outbound.base(organisation, name),
        mistake,
        waits,
        begun,
    })
}

async fn show(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path((organisation, name)): Named,
) -> Response {
    let settings = centre.settings(visit.caller());
    match settings.outbound_connector(&organisation, &name) {
        Some(_) => send(&visit, (&organisation, &name), None, (String::new(), false)),
        None => page::refused(&visit, &super::switching::gone(&visit)),
    }
}

async fn begin(
    State(centre): State<Centre>,
    Path((organisation, name)): Named,
    Change { visit, .. }: Change,
) -> Response {
    let which = json!({ "organisation": organisation, "name": name });
    let path = "/connectors/outbound/login";
    let answer = match centre.post(visit.caller(), path, &which).await {
        Ok(answer) => answer,
        Err(refused) => return again(&visit, (&organisation, &name), None, refused),
    };
    let seconds = answer["expires_in"].as_u64().unwrap_or(0);
    let begun = Begun {
        verification_uri: text(&answer, "verification_uri").to_owned(),
        user_code: text(&answer, "user_code").to_owned(),
        device_code: text(&answer, "device_code").to_owned(),
        lasts: times::span(visit.lang, seconds),
    };
    send(
        &visit,
        (&organisation, &name),
        Some(begun),
        (String::new(), false),
    )
}

fn again(visit: &Visit, named: (&str, &str), begun: Option<Begun>, refused: Refused) -> Response {
    send(visit, named, begun, (refused.detail, false))
}

/// What the page told before, as its form brings it back. A link leads to a page, and runs nothing.
fn told(form: &Form) -> Begun {
    let field = |name: &str| form.get(name).to_owned();
    let is_link = |text: &&str| text.starts_with("https://") || text.starts_with("http://");
    let address = Some(form.get("verification_uri")).filter(is_link);
    Begun {
        verification_uri: address.unwrap_or_default().to_owned(),
        user_code: field("user_code"),
        device_code: field("device_code"),
        lasts: field("lasts"),
    }
}

async fn poll(
    State(centre): State<Centre>,
    Path((organisation, name)): Named,
    Change { visit, form }: Change,
) -> Response {
    let asked = json!({
        "organisation": organisation,
        "name": name,
        "device_code": form.get("device_code"),
    });
    let named = (&*organisation, &*name);
    let path = "/connectors/outbound/login/poll";
    match centre.post(visit.caller(), path, &asked).await {
        Ok(answer) if text(&answer, "state") == "signed-in" => {
            let base = Side::Outbound.base(&organisation, &name);
            page::go(&format!("{base}?done=1"))
        }
        Ok(_) => send(&visit, named, Some(told(&form)), (String::new(), true)),
        Err(refused) => again(&visit, named, None, refused),
    }
}
