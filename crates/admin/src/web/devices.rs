//! Devices and applications, by what was seen of them: nobody keeps this list, the mail does.

mod about;

use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use relais_smtp::time::Timestamp;

use super::ask::{Centre, address, list, segment, text};
use super::door::{Reader, Visit};
use super::files;
use super::page::{self, Frame};
use super::records;
use super::trace::octets;
use crate::lang::Lang;
use crate::plain::clean;
use crate::times;

/// Silent so long: worth a look.
const SILENT: Duration = Duration::from_secs(30 * 86_400);
/// Versions that are too old. RFC 8996.
const TOO_OLD: [&str; 2] = ["1.0", "1.1"];
/// Devices of a page.
const ROWS_MAX: usize = 1_000;
/// The columns of the file.
const HEAD: [&str; 18] = [
    "address",
    "organisation",
    "inbound_connector",
    "helo",
    "first_seen",
    "last_seen",
    "accepted",
    "refused",
    "octets",
    "tls",
    "credential",
    "certificate",
    "from",
    "maker_guess",
    "tags",
    "owner",
    "place",
    "note",
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/devices", get(show))
        .route("/devices/about", get(about::show).post(about::save))
        .route("/devices.csv", get(file))
        .route("/devices.json", get(file))
}

#[derive(Template)]
#[template(path = "devices.html")]
struct Devices {
    frame: Frame,
    filters: Vec<(String, String, bool)>,
    is_filtered: bool,
    filter: String,
    sought: String,
    rows: Vec<Row>,
    files: Vec<(&'static str, String)>,
}

struct Row {
    address: String,
    trace: String,
    name: String,
    connector: String,
    connector_page: String,
    first: String,
    last: String,
    is_silent: bool,
    accepted: String,
    refused: String,
    size: String,
    tls: String,
    is_weak: bool,
    login: String,
    from: String,
    maker: String,
    tags: Vec<String>,
    /// Who looks after it, where it stands, and the note.
    written: Vec<String>,
    about: String,
}

/// What a search looks into.
const SOUGHT: [&str; 8] = [
    "address",
    "helo",
    "maker_guess",
    "inbound_connector",
    "from",
    "owner",
    "place",
    "note",
];

/// Which devices are shown.
fn fits((filter, sought): (&str, &str), device: &Value, now: Timestamp) -> bool {
    let tags = records::joined(&device["tags"]);
    let texts = SOUGHT.iter().map(|key| text(device, key));
    if !records::is_among(sought, texts.chain([tags.as_str()])) {
        return false;
    }
    match filter {
        "silent" => is_silent(device, now),
        "weak-tls" => is_weak(device),
        "refused" => device["refused"].as_u64() > Some(0),
        _ => true,
    }
}

fn is_silent(device: &Value, now: Timestamp) -> bool {
    let last = device["last_seen"]
        .as_str()
        .and_then(Timestamp::parse_rfc3339);
    last.is_some_and(|last| now.since(last) > SILENT)
}

fn is_weak(device: &Value) -> bool {
    let tls = text(device, "tls");
    tls == "none" || TOO_OLD.contains(&tls)
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let (lang, asked) = (visit.lang, asked(&visit));
    let (filter, sought) = asked;
    let answer = match centre.get(visit.caller(), "/devices", &[]).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let now = centre.context.clock.now();
    let devices = list(&answer, "devices").iter();
    let devices = devices.filter(|device| fits(asked, device, now));
    let rows = devices.take(ROWS_MAX).map(|device| row(lang, device, now));
    let choice = |key: &str, name: &str| {
        let address = address("/devices", &[("filter", name), ("q", sought)]);
        (lang.t(key), address, name == filter)
    };
    page::send(&Devices {
        filters: vec![
            choice("devices-all", ""),
            choice("devices-silent", "silent"),
            choice("devices-weak", "weak-tls"),
            choice("devices-refused", "refused"),
        ],
        is_filtered: !filter.is_empty() || !sought.is_empty(),
        filter: filter.to_owned(),
        sought: sought.to_owned(),
        rows: rows.collect(),
        files: records::files("/devices", &[("filter", filter), ("q", sought)]),
        frame: Frame::new(&visit, "devices", &lang.t("nav-devices"))
            .api("GET /api/v1/devices")
            .done(match visit.query.get("done") {
                "" => String::new(),
                device => lang.with("devices-written", device),
            }),
    })
}

/// Filter and search, as they stand in the address.
fn asked(visit: &Visit) -> (&str, &str) {
    (visit.query.get("filter"), visit.query.get("q"))
}

fn row(lang: Lang, device: &Value, now: Timestamp) -> Row {
    let plain = |key: &str| clean(text(device, key)).into_owned();
    let seen = |key: &str| times::shown(lang, device[key].as_str());
    let number = |key: &str| lang.number(device[key].as_u64().unwrap_or(0));
    let (credential, certificate) = (plain("credential"), plain("certificate"));
    let login = match (&*credential, &*certificate) {
        ("", "") => lang.t("devices-by-address"),
        ("", certificate) => lang.with("devices-by-certificate", certificate),
        (credential, _) => lang.with("devices-by-credential", credential),
    };
    let tls = match text(device, "tls") {
        "" => String::new(),
        "none" => lang.t("chart-security-clear"),
        version => format!("TLS {version}"),
    };
    let q = format!("client:{}", text(device, "address"));
    let named = ["organisation", "address"].map(|key| (key, text(device, key)));
    let written = ["owner", "place", "note"].map(plain).into_iter();
    let tags = list(device, "tags").iter().filter_map(Value::as_str);
    Row {
        address: plain("address"),
        trace: address("/trace", &[("q", &q), ("since", "30d")]),
        name: plain("helo"),
        connector: plain("inbound_connector"),
        connector_page: format!(
            "/connectors/inbound/{}/{}",
            segment(text(device, "organisation")),
            segment(text(device, "inbound_connector"))
        ),
        first: seen("first_seen"),
        last: seen("last_seen"),
        is_silent: is_silent(device, now),
        accepted: number("accepted"),
        refused: number("refused"),
        size: octets(lang, device["octets"].as_u64()),
        tls,
        is_weak: is_weak(device),
        login,
        from: plain("from"),
        maker: match text(device, "maker_guess") {
            "" => String::new(),
            maker => lang.with("devices-maker", maker),
        },
        tags: tags.map(|tag| clean(tag).into_owned()).collect(),
        written: written.filter(|text| !text.is_empty()).collect(),
        about: address("/devices/about", &named),
    }
}

async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let answer = match centre.get(visit.caller(), "/devices", &[]).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let (asked, now) = (asked(&visit), centre.context.clock.now());
    let devices = list(&answer, "devices").iter();
    let devices = devices.filter(|device| fits(asked, device, now));
    files::of(&visit, "devices", &HEAD, devices)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_shows_what_is_worth_a_look() {
        let now = Timestamp::parse_rfc3339("2026-11-24T10:00:00Z").expect("a time");
        let device = |last: &str, tls: &str, refused: u64| json!({ "last_seen": last, "tls": tls, "refused": refused });
        let silent = device("2026-10-01T10:00:00Z", "1.3", 0);
        let weak = device("2026-11-24T09:00:00Z", "1.0", 0);
        let clear = device("2026-11-24T09:00:00Z", "none", 2);
        let shown =
            |filter: &str| [&silent, &weak, &clear].map(|device| fits((filter, ""), device, now));
        assert_eq!(shown(""), [true, true, true]);
        assert_eq!(shown("silent"), [true, false, false]);
        assert_eq!(shown("weak-tls"), [false, true, true]);
        assert_eq!(shown("refused"), [false, false, true]);
    }
}
