//! The page of a device card, as HTML that prints on A4 and as PDF. Not here: what stands on it
//! (`crate::card`), and the page that its code leads to (`waiting`).

use std::net::IpAddr;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use relais_policy::settings::{OwnedConnector, Settings};

use super::ask::{Centre, address, quoted};
use super::door::{Change, Reader, Visit};
use super::page::{self, Frame};
use super::switching::{Side, gone};
use super::waiting;
use crate::card::{Asked, Card, FIELDS, Wish, advice, card, maker, makers, pdf};
use crate::lang::Lang;

pub(super) fn routes() -> Router<Centre> {
    let address = |rest: &str| format!("/connectors/inbound/{{organisation}}/{{name}}/{rest}");
    Router::new()
        .route(&address("card"), get(show).post(link))
        .route(&address("card.pdf"), get(print))
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
    advice: Vec<String>,
    source: String,
    pdf: String,
    /// What the code shows; empty: there is none.
    code_words: String,
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

fn wish(visit: &Visit, asked: &Asked<'_>) -> Wish {
    let query = &visit.query;
    let language = match query.get("lang") {
        "" => visit.lang,
        chosen => Lang::of(Some(chosen), None),
    };
    asked.wish(|name| query.get(name), maker(query.get("maker")), language)
}

fn base(organisation: &str, name: &str) -> String {
    Side::Inbound.base(organisation, name)
}

/// The address of a link of this connector that still leads somewhere, empty where there is none,
/// and the device that it is about.
async fn live_link(
    centre: &Centre,
    visit: &Visit,
    named: (&str, &str),
) -> (String, Option<IpAddr>) {
    let token = visit.query.get("link");
    match waiting::leads_to(centre, token).await {
        Some(link) if (&*link.organisation, &*link.connector) == named => {
            (format!("{}/wait/{token}", link.origin), link.device)
        }
        Some(_) | None => (String::new(), None),
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
    let (link, device) = live_link(&centre, &visit, (&organisation, &name)).await;
    let card = card(&asked, &wish, &link);
    let base = base(&organisation, &name);
    let chosen = wish.maker.as_ref();
    let makers = makers().into_iter();
    let named = ["maker", "lang", "link"].map(|name| (name, visit.query.get(name)));
    let values = FIELDS.map(|(name, _)| (name, wish.value(name)));
    let query: Vec<_> = named.into_iter().chain(values).collect();
    let again = query.iter().filter(|(name, _)| *name != "link");
    let fields = FIELDS.map(|(name, key)| (name, visit.lang.t(key), wish.value(name).to_owned()));
    let title = visit.lang.with("card-of", &name);
    page::send(&CardPage {
        pdf: address(&format!("{base}/card.pdf"), &query),
        code_words: match (&card.code, device) {
            (None, _) => String::new(),
            (Some(_), None) => visit.lang.t("card-code-words"),
            (Some(_), Some(device)) => visit.lang.with("card-code-of", &device.to_string()),
        },
        chosen: again
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        fields: fields.into(),
        makers: makers
            .map(|one| {
                let is_chosen = chosen.is_some_and(|chosen| chosen.name == one.name);
                (one.name, is_chosen)
            })
            .collect(),
        card_language: wish.lang.code(),
        advice: advice(visit.lang, &wish),
        source: chosen.map_or_else(String::new, |maker| {
            let parts = [
                ("models", maker.models.as_str()),
                ("source", maker.source.as_str()),
                ("day", maker.seen.as_str()),
            ];
            visit.lang.fill("card-source", &parts)
        }),
        card,
        base,
        frame: Frame::new(&visit, "inbound", &title)
            .command(format!("relais connector inbound show {}", quoted(&name))),
    })
}

async fn print(
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
    let (link, _) = live_link(&centre, &visit, (&organisation, &name)).await;
    let octets = pdf(&card(&asked, &wish, &link));
    ([(header::CONTENT_TYPE, "application/pdf")], octets).into_response()
}

/// Makes a link to the page that waits, and shows the card with its code.
async fn link(
    State(centre): State<Centre>,
    Path((organisation, name)): Path<(String, String)>,
    headers: HeaderMap,
    Change { visit, form }: Change,
) -> Response {
    let settings = centre.settings(visit.caller());
    if settings.inbound_connector(&organisation, &name).is_none() {
        return page::refused(&visit, &gone(&visit));
    }
    // As the browser names us; `Change` has seen that it is one of our own pages.
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), _) => origin.to_owned(),
        (None, host) => format!("http://{}", host.unwrap_or_default()),
    };
    let device = form.get("device");
    let device = match (device, device.parse()) {
        ("", _) => None,
        (_, Ok(device)) => Some(device),
        (_, Err(_)) => {
            let words = visit.lang.with("form-network-wrong", device);
            return page::failed(&visit, StatusCode::UNPROCESSABLE_ENTITY, &words);
        }
    };
    let named = (organisation.as_str(), name.as_str());
    let made = waiting::make(&centre, visit.caller(), named, device, &origin).await;
    let token = match made {
        Ok(token) => token,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let query: Vec<_> = ["maker", "lang"]
        .into_iter()
        .chain(FIELDS.map(|(name, _)| name))
        .map(|name| (name, form.get(name)))
        .chain([("link", token.as_str())])
        .collect();
    let path = format!("{}/card", base(&organisation, &name));
    page::go(&address(&path, &query))
}
