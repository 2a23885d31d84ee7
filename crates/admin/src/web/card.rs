//! The page of a device card, as HTML that prints on A4 or Letter, as PDF and as a picture; given a
//! code, sent by mail, printed with a password, revoked.
//!
//! Not here: what stands on it (`crate::card`), and the page that its code leads to (`waiting`).

use std::net::IpAddr;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use relais_policy::settings::{OwnedConnector, Settings};

use super::ask::{Centre, Refused, address, list, quoted, text};
use super::door::{Change, Reader, Visit};
use super::form::Form;
use super::page::{self, Frame};
use super::switching::{Side, gone};
use crate::card::issued::{self, DAYS_DEFAULT, DAYS_MAX, Issued};
use crate::card::{
    Asked, Beside, Card, FIELDS, Paper, Wish, advice, card, maker, makers, pdf, png,
};
use crate::lang::Lang;
use crate::permission::Action;
use crate::plain::clean;
use crate::times;

/// What was done, with the key of its sentence.
const DONE: [(&str, &str); 2] = [("sent", "card-done-sent"), ("revoked", "card-done-revoked")];

pub(super) fn routes() -> Router<Centre> {
    let address = |rest: &str| format!("/connectors/inbound/{{organisation}}/{{name}}/{rest}");
    Router::new()
        .route(&address("card"), get(show).post(link))
        .route(&address("card.pdf"), get(print))
        .route(&address("card.png"), get(picture))
        .route(&address("card/send"), post(send))
        .route(&address("card/password"), post(with_password))
        .route(&address("card/revoke"), post(revoke))
}

#[derive(Template)]
#[template(path = "card.html")]
struct CardPage {
    frame: Frame,
    base: String,
    card: Card,
    fields: Vec<(&'static str, String, String)>,
    /// All that shapes the card, to be sent once more.
    chosen: Vec<(&'static str, String)>,
    makers: Vec<(String, bool)>,
    card_language: &'static str,
    papers: [Paper; 2],
    advice: Vec<String>,
    source: String,
    pdf: String,
    png: String,
    /// What the code shows; empty: there is none.
    code_words: String,
    days: u64,
    days_max: u64,
    issued: Vec<Given>,
}

/// A card that somebody has.
struct Given {
    id: String,
    made: String,
    until: String,
    by: String,
    /// Sent to, printed with, for which device.
    what: String,
}

fn asked<'a>(
    centre: &'a Centre,
    settings: &'a Settings,
    owned: &'a OwnedConnector<'a>,
) -> Asked<'a> {
    let context = &centre.context;
    Asked {
        context,
        settings,
        owned,
    }
}

fn language(visit: &Visit, chosen: &str) -> Lang {
    match chosen {
        "" => visit.lang,
        chosen => Lang::of(Some(chosen), None),
    }
}

fn wish(visit: &Visit, asked: &Asked<'_>) -> Wish {
    let query = &visit.query;
    let lang = language(visit, query.get("lang"));
    let paper = Paper::of(query.get("paper")).unwrap_or_default();
    let wish = asked.wish(|name| query.get(name), maker(query.get("maker")), lang);
    wish.on(paper)
}

fn base(organisation: &str, name: &str) -> String {
    Side::Inbound.base(organisation, name)
}

/// The code that the address names, if it is this connector's and still leads somewhere.
async fn live_code(
    centre: &Centre,
    visit: &Visit,
    named: (&str, &str),
) -> Option<(String, Issued)> {
    let token = visit.query.get("link");
    let found = issued::leads_to(&centre.context, token).await?;
    let is_ours = (&*found.organisation, &*found.connector) == named;
    is_ours.then(|| (found.address(token), found))
}

fn beside(code: Option<&(String, Issued)>) -> Beside<'_> {
    Beside {
        link: code.map_or("", |(address, _)| address),
        until: code.map(|(_, issued)| issued.ends()),
        password: "",
    }
}

async fn show(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path((organisation, name)): Path<(String, String)>,
) -> Response {
    let settings = centre.settings(visit.caller());
    let Some(owned) = settings.inbound_connector(&organisation, &name) else {
        return page::refused(&visit, &gone(&visit));
    };
    let asked = asked(&centre, &settings, &owned);
    let wish = wish(&visit, &asked);
    let code = live_code(&centre, &visit, (&organisation, &name)).await;
    let card = card(&asked, &wish, beside(code.as_ref()));
    let issued = match given(&centre, &visit, (&organisation, &name)).await {
        Ok(issued) => issued,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let done = super::records::done(&visit, &DONE);
    let code = code.as_ref().map(|(_, issued)| issued);
    let mut page = of_card(&visit, (&organisation, &name), &wish, (card, code));
    page.issued = issued;
    page.frame = page.frame.done(done);
    page::send(&page)
}

/// The page of this card.
fn of_card(
    visit: &Visit,
    (organisation, name): (&str, &str),
    wish: &Wish,
    (card, code): (Card, Option<&Issued>),
) -> CardPage {
    let lang = visit.lang;
    let base = base(organisation, name);
    let chosen = wish.maker.as_ref();
    let of_maker = chosen.map_or("", |maker| &maker.name);
    let named = [
        ("maker", of_maker),
        ("lang", wish.lang.code()),
        ("paper", wish.paper.name()),
        ("link", visit.query.get("link")),
    ];
    let values = FIELDS.map(|(name, _)| (name, wish.value(name)));
    let query: Vec<_> = named.into_iter().chain(values).collect();
    let again = query.iter().filter(|(name, _)| *name != "link");
    let fields = FIELDS.map(|(name, key)| (name, lang.t(key), wish.value(name).to_owned()));
    let is_chosen = |name: &str| chosen.is_some_and(|chosen| chosen.name == name);
    CardPage {
        pdf: address(&format!("{base}/card.pdf"), &query),
        png: address(&format!("{base}/card.png"), &query),
        code_words: match (&card.code, code) {
            (Some(_), Some(code)) => code_words(lang, code),
            _ => String::new(),
        },
        chosen: again
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        fields: fields.into(),
        makers: makers()
            .into_iter()
            .map(|one| {
                let is_it = is_chosen(&one.name);
                (one.name, is_it)
            })
            .collect(),
        card_language: wish.lang.code(),
        papers: Paper::ALL,
        advice: advice(lang, wish),
        source: chosen.map_or_else(String::new, |maker| {
            let parts = [
                ("models", maker.models.as_str()),
                ("source", maker.source.as_str()),
                ("day", maker.seen.as_str()),
            ];
            lang.fill("card-source", &parts)
        }),
        card,
        days: DAYS_DEFAULT,
        days_max: DAYS_MAX,
        issued: Vec::new(),
        base,
        frame: Frame::new(visit, "inbound", &lang.with("card-of", name))
            .api("GET /api/v1/connectors/inbound/card")
            .command(format!("relais card {}", quoted(name))),
    }
}

fn code_words(lang: Lang, code: &Issued) -> String {
    let until = times::zoned(lang, code.ends());
    match code.device {
        None => lang.with("card-code-words", &until),
        Some(device) => lang.fill(
            "card-code-of",
            &[("device", &device.to_string()), ("until", &until)],
        ),
    }
}

/// The cards that somebody has, for who may read settings.
async fn given(
    centre: &Centre,
    visit: &Visit,
    (organisation, name): (&str, &str),
) -> Result<Vec<Given>, Refused> {
    if !visit.may(Action::ReadSettings) {
        return Ok(Vec::new());
    }
    let query = [("organisation", organisation), ("name", name)];
    let path = "/connectors/inbound/card/issued";
    let answer = centre.get(visit.caller(), path, &query).await?;
    let lang = visit.lang;
    let one = |card: &Value| {
        let words = |key: &str, words: &str| {
            let value = text(card, key);
            (!value.is_empty()).then(|| lang.with(words, &clean(value)))
        };
        let has_ended = card["has_ended"] == true;
        let over = has_ended.then(|| lang.t("card-given-over"));
        let leads = card["has_code"] == true && !has_ended;
        let code = leads.then(|| lang.t("card-given-code"));
        let what = [
            words("sent_to", "card-given-sent"),
            words("password_of", "card-given-password"),
            over,
            code,
            words("device", "card-given-device"),
        ];
        Given {
            id: text(card, "id").to_owned(),
            made: times::full(lang, card["made"].as_str()),
            until: times::full(lang, card["until"].as_str()),
            by: clean(text(card, "by")).into_owned(),
            what: what.into_iter().flatten().collect::<Vec<_>>().join(" "),
        }
    };
    Ok(list(&answer, "cards").iter().map(one).collect())
}

async fn print(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(named): Path<(String, String)>,
) -> Response {
    match drawn(&centre, &visit, &named).await {
        Ok(card) => ([(header::CONTENT_TYPE, "application/pdf")], pdf(&card)).into_response(),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn picture(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(named): Path<(String, String)>,
) -> Response {
    let card = match drawn(&centre, &visit, &named).await {
        Ok(card) => card,
        Err(refused) => return page::refused(&visit, &refused),
    };
    // Some hundredths of a second of one core.
    let made = tokio::task::spawn_blocking(move || png(&card)).await;
    let Some(octets) = made.ok().flatten() else {
        let words = visit.lang.t("card-no-picture");
        return page::failed(&visit, StatusCode::INTERNAL_SERVER_ERROR, &words);
    };
    ([(header::CONTENT_TYPE, "image/png")], octets).into_response()
}

async fn drawn(
    centre: &Centre,
    visit: &Visit,
    (organisation, name): &(String, String),
) -> Result<Card, Refused> {
    let settings = centre.settings(visit.caller());
    let owned = settings.inbound_connector(organisation, name);
    let owned = owned.ok_or_else(|| gone(visit))?;
    let asked = asked(centre, &settings, &owned);
    let wish = wish(visit, &asked);
    let code = live_code(centre, visit, (organisation, name)).await;
    Ok(card(&asked, &wish, beside(code.as_ref())))
}

/// As the browser names us; `Change` has seen that it is one of our own pages.
fn origin(headers: &HeaderMap) -> String {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), _) => origin.to_owned(),
        (None, host) => format!("http://{}", host.unwrap_or_default()),
    }
}

/// What was asked for in a form, as the API takes it.
fn wanted((organisation, name): (&str, &str), form: &Form, headers: &HeaderMap) -> Value {
    let mut body = json!({
        "organisation": organisation,
        "name": name,
        "origin": origin(headers),
        "device": form.get("device"),
        "maker": form.get("maker"),
        "language": form.get("lang"),
        "paper": form.get("paper"),
    });
    if let Ok(days) = form.get("days").parse::<u64>() {
        body["days"] = json!(days);
    }
    for (field, _) in FIELDS.iter().filter(|(field, _)| *field != "device") {
        let given = form.get(field);
        if !given.is_empty() {
            body[*field] = json!(given);
        }
    }
    body
}

/// All that shapes a card, as the page's address has it.
fn shape<'a>(form: &'a Form, more: &[(&'static str, &'a str)]) -> Vec<(&'static str, &'a str)> {
    let named = ["maker", "lang", "paper"].into_iter();
    let all = named.chain(FIELDS.map(|(name, _)| name));
    let mut query: Vec<_> = all.map(|name| (name, form.get(name))).collect();
    query.extend_from_slice(more);
    query
}

/// Makes a link to the page that waits, and shows the card with its code.
async fn link(
    State(centre): State<Centre>,
    Path((organisation, name)): Path<(String, String)>,
    headers: HeaderMap,
    Change { visit, form }: Change,
) -> Response {
    let device = form.get("device");
    if !device.is_empty() && device.parse::<IpAddr>().is_err() {
        let words = visit.lang.with("form-network-wrong", device);
        return page::failed(&visit, StatusCode::UNPROCESSABLE_ENTITY, &words);
    }
    let body = wanted((&organisation, &name), &form, &headers);
    let body = json!({
        "organisation": body["organisation"],
        "name": body["name"],
        "origin": body["origin"],
        "device": body["device"],
        "days": body["days"],
    });
    let path = "/connectors/inbound/card/code";
    match centre.post(visit.caller(), path, &body).await {
        Ok(made) => {
            let query = shape(&form, &[("link", text(&made, "token"))]);
            page::go(&address(
                &format!("{}/card", base(&organisation, &name)),
                &query,
            ))
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// Sends it by mail.
async fn send(
    State(centre): State<Centre>,
    Path((organisation, name)): Path<(String, String)>,
    headers: HeaderMap,
    Change { visit, form }: Change,
) -> Response {
    let mut body = wanted((&organisation, &name), &form, &headers);
    body["to"] = json!(form.get("to"));
    let path = "/connectors/inbound/card/send";
    match centre.post(visit.caller(), path, &body).await {
        Ok(sent) => {
            let query = shape(&form, &[("done", "sent"), ("made", text(&sent, "to"))]);
            page::go(&address(
                &format!("{}/card", base(&organisation, &name)),
                &query,
            ))
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// Prints it with the password, which the page that made it sends along: it is in no address, and
/// nothing of it is kept.
async fn with_password(
    State(centre): State<Centre>,
    Path((organisation, name)): Path<(String, String)>,
    headers: HeaderMap,
    Change { visit, form }: Change,
) -> Response {
    let format = match form.get("format") {
        "png" => "png",
        _ => "pdf",
    };
    let mut body = wanted((&organisation, &name), &form, &headers);
    body["password"] = json!(form.get("password"));
    body["format"] = json!(format);
    let path = "/connectors/inbound/card/password";
    let answer = match centre.post(visit.caller(), path, &body).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let octets = |key: &str| STANDARD.decode(text(&answer, key)).unwrap_or_default();
    match format {
        "png" => ([(header::CONTENT_TYPE, "image/png")], octets("png")).into_response(),
        _ => ([(header::CONTENT_TYPE, "application/pdf")], octets("pdf")).into_response(),
    }
}

/// Ends a card.
async fn revoke(
    State(centre): State<Centre>,
    Path((organisation, name)): Path<(String, String)>,
    Change { visit, form }: Change,
) -> Response {
    let body = json!({
        "organisation": organisation,
        "name": name,
        "token": form.get("card"),
    });
    let path = "/connectors/inbound/card/revoke";
    match centre.post(visit.caller(), path, &body).await {
        Ok(_) => {
            let query = [("done", "revoked")];
            page::go(&address(
                &format!("{}/card", base(&organisation, &name)),
                &query,
            ))
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}
