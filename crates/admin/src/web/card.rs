//! The device card: one page for whoever stands at the panel, per connector, maker and language, as
//! HTML that prints on A4 and as PDF.
//!
//! A password is never on it: it was shown once, and cannot be read back. Not here: the page that
//! its code leads to (`waiting`).

mod pdf;
mod data;

use std::net::IpAddr;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use relais_policy::document::InboundTls;
use relais_policy::settings::{OwnedConnector, Settings};

use super::ask::{Centre, address, quoted};
use super::door::{Change, Reader, Visit};
use super::page::{self, Frame};
use super::switching::{Side, gone};
use super::waiting;
use crate::lang::Lang;
use crate::plain::{size, taille};
use crate::qr::{Code, code};
use crate::times;
use data::Maker;

/// Names longer than this are hard to type.
const HOST_ADVISED: usize = 40;
/// Longer ones do not fit into the fields of many devices.
const HOST_MAX: usize = 63;
/// Characters of a password of ours.
const PASSWORD_CHARACTERS: usize = 20;
/// Characters of a text that a person gives for the card.
const TEXT_MAX: usize = 120;

pub(super) fn routes() -> Router<Centre> {
    let address = |rest: &str| format!("/connectors/inbound/{{organisation}}/{{name}}/{rest}");
    Router::new()
        .route(&address("card"), get(show).post(link))
        .route(&address("card.pdf"), get(print))
}

/// What is on the card. Words are in the card's language.
struct Card {
    lang: Lang,
    title: String,
    site: String,
    /// Version of the data, day, whom to ask.
    edition: String,
    rows: Vec<(String, String)>,
    also: String,
    leave: String,
    panel: Vec<[String; 3]>,
    code: Option<Code>,
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

/// The fields that shape a card, all in its address.
const FIELDS: [(&str, &str); 8] = [
    ("server", "card-ask-server"),
    ("ip", "card-ask-ip"),
    ("port", "card-ask-port"),
    ("user", "card-ask-user"),
    ("sender", "card-ask-sender"),
    ("site", "card-ask-site"),
    ("contact", "card-ask-contact"),
    ("device", "card-ask-device"),
];

/// What a person gave, or what is likely.
struct Wish {
    values: [String; 8],
    maker: Option<Maker>,
    lang: Lang,
}

impl Wish {
    fn value(&self, name: &str) -> &str {
        let at = FIELDS.iter().position(|(field, _)| *field == name);
        at.map_or("", |at| &self.values[at])
    }
}

fn wish(centre: &Centre, visit: &Visit, settings: &Settings, owned: &OwnedConnector<'_>) -> Wish {
    let query = &visit.query;
    let owner = owned.organisation;
    let user = owner.credential.iter();
    let mut user = user.filter(|one| one.inbound_connector == owned.connector.name);
    let user = user.next().map(|one| one.user.clone()).unwrap_or_default();
    let mut domains = settings.domains();
    let domain = domains
        .find(|(key, one)| *key.organisation == *owner.name && one.is_verified())
        .map(|(key, _)| key.domain.to_string());
    let sender = domain.map(|domain| format!("scan@{domain}"));
    let port = if user.is_empty() { "25" } else { "587" };
    let likely = |name: &str| match name {
        "server" => centre.context.hostname.clone(),
        "port" => port.to_owned(),
        "user" => user.clone(),
        "sender" => sender.clone().unwrap_or_default(),
        "contact" => owner.postmaster.clone(),
        "device" => only_address(owned),
        _ => String::new(),
    };
    let values = FIELDS.map(|(name, _)| match query.get(name) {
        "" => likely(name),
        given => given.chars().take(TEXT_MAX).collect(),
    });
    let maker = query.get("maker");
    let language = match query.get("lang") {
        "" => visit.lang,
        chosen => Lang::of(Some(chosen), None),
    };
    Wish {
        values,
        maker: data::makers().into_iter().find(|one| one.name == maker),
        lang: language,
    }
}

/// The device's address, where a connector is one device's.
fn only_address(owned: &OwnedConnector<'_>) -> String {
    match owned.connector.sender_ip_addresses.as_slice() {
        [one] if one.prefix_len() == one.max_prefix_len() => one.addr().to_string(),
        _ => String::new(),
    }
}

/// The card itself.
fn card(centre: &Centre, owned: &OwnedConnector<'_>, wish: &Wish, link: &str) -> Card {
    let lang = wish.lang;
    let maker = wish.maker.as_ref();
    let scan = lang.t("card-title");
    let title = maker.map_or_else(|| scan.clone(), |maker| format!("{scan} – {}", maker.name));
    let today = times::date(lang, centre.context.clock.now());
    let version = maker.map_or(1, |maker| maker.version).to_string();
    let edition = [
        ("version", version.as_str()),
        ("day", today.as_str()),
        ("contact", wish.value("contact")),
    ];
    let general = [
        ["card-reach-says", "card-reach-means", "card-reach-do"],
        ["card-login-says", "card-login-means", "card-login-do"],
        ["card-refused-says", "card-refused-means", "card-refused-do"],
    ];
    let general = general.map(|keys| keys.map(|key| lang.t(key)));
    let own = maker.into_iter().flat_map(|maker| maker.panel(lang.0));
    Card {
        lang,
        title,
        site: wish.value("site").to_owned(),
        edition: lang.fill("card-edition", &edition),
        rows: rows(centre, owned, wish),
        also: lang.t("card-also"),
        leave: lang.t("card-leave"),
        panel: own.chain(general).collect(),
        code: Some(link).filter(|link| !link.is_empty()).and_then(code),
    }
}

fn rows(centre: &Centre, owned: &OwnedConnector<'_>, wish: &Wish) -> Vec<(String, String)> {
    let lang = wish.lang;
    let connector = owned.connector;
    let general = |field: &str| match field {
        "server" => lang.t("card-server"),
        "port" => lang.t("card-port"),
        "encryption" => lang.t("card-encryption"),
        "authentication" => lang.t("card-authentication"),
        "user" => lang.t("card-user"),
        "password" => lang.t("card-password"),
        "sender" => lang.t("card-sender"),
        "size" => lang.t("card-size"),
        _ => lang.t("card-pop"),
    };
    let label = |field: &str| {
        let own = wish.maker.as_ref().and_then(|it| it.label(field, lang.0));
        own.map_or_else(|| general(field), ToOwned::to_owned)
    };
    let server = match wish.value("ip") {
        "" => wish.value("server").to_owned(),
        ip => lang.fill(
            "card-or-ip",
            &[("server", wish.value("server")), ("ip", ip)],
        ),
    };
    let encryption = match (connector.tls, wish.value("port")) {
        (InboundTls::Off, _) => lang.t("card-off"),
        (_, "465") => "SSL/TLS".to_owned(),
        (InboundTls::Required | InboundTls::Offered, _) => "STARTTLS".to_owned(),
    };
    let octets = connector.limits.message_size_max.map(|it| it.0);
    let octets = octets.unwrap_or(centre.context.message_size_max);
    let mut rows = vec![
        (label("server"), server),
        (label("port"), wish.value("port").to_owned()),
        (label("encryption"), encryption),
    ];
    match wish.value("user") {
        "" => rows.push((label("authentication"), lang.t("card-off"))),
        user => rows.extend([
            (label("authentication"), lang.t("card-on")),
            (label("user"), user.to_owned()),
            (label("password"), lang.t("card-separately")),
        ]),
    }
    rows.push((label("sender"), wish.value("sender").to_owned()));
    let shown: fn(u64) -> String = lang.0.pick(size, taille);
    rows.push((label("size"), shown(octets)));
    rows.push((label("pop"), lang.t("card-off")));
    rows
}

/// What a person should know before printing it.
fn advice(lang: Lang, wish: &Wish) -> Vec<String> {
    let mut all = Vec::new();
    let host = wish.value("server").chars().count();
    let limits = wish.maker.as_ref().map(|maker| maker.limits.clone());
    let limits = limits.unwrap_or_default();
    if host > limits.host.unwrap_or(HOST_MAX) {
        all.push(lang.n("card-host-too-long", limits.host.unwrap_or(HOST_MAX) as u64));
    } else if host > HOST_ADVISED {
        all.push(lang.n("card-host-long", HOST_ADVISED as u64));
    }
    if wish.value("ip").is_empty() {
        all.push(lang.t("card-no-ip"));
    }
    let fields = [
        (limits.user, wish.value("user").chars().count()),
        (limits.password, PASSWORD_CHARACTERS),
        (limits.sender, wish.value("sender").chars().count()),
    ];
    let too_long = fields.iter().filter_map(|(limit, length)| {
        let limit = (*limit)?;
        (*length > limit).then_some(limit as u64)
    });
    all.extend(too_long.map(|limit| lang.n("card-field-short", limit)));
    all
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
    let wish = wish(&centre, &visit, &settings, &owned);
    let (link, device) = live_link(&centre, &visit, (&organisation, &name)).await;
    let card = card(&centre, &owned, &wish, &link);
    let base = base(&organisation, &name);
    let chosen = wish.maker.as_ref();
    let makers = data::makers().into_iter();
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
    let wish = wish(&centre, &visit, &settings, &owned);
    let (link, _) = live_link(&centre, &visit, (&organisation, &name)).await;
    let octets = pdf::write(&card(&centre, &owned, &wish, &link));
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
