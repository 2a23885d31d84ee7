//! Certificates: of clients, as connectors name them and as they were shown; and of our own
//! listeners.
//!
//! Not here: the certificate that a new connector waits for (`inbound_wizard/certificate`).

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use relais_smtp::time::Timestamp;

use super::ask::{Centre, Refused, list, segment, text};
use super::door::{Reader, Visit};
use super::files;
use super::page::{self, Frame};
use super::records::{self, Cell, Input, Note, Records, Row, Sheet, Table, View};
use crate::lang::Lang;
use crate::permission::Action;
use crate::times;

const SHOWN: &str = "/connectors/inbound/certificates";
/// Rows of a page: as many certificates as are remembered, and those that are named.
const ROWS_MAX: usize = 500;
/// A certificate that ends within so many days needs attention; the same as the warnings.
const SOON_DAYS: u64 = 30;
/// Columns of the files.
const HEAD: [&str; 11] = [
    "subject",
    "names",
    "issuer",
    "not_after",
    "fingerprint",
    "organisation",
    "inbound_connector",
    "client",
    "last_seen",
    "state",
    "chain",
];
const LISTENERS_HEAD: [&str; 7] = [
    "listener",
    "names",
    "source",
    "file",
    "not_after",
    "days_left",
    "fingerprint",
];
/// Where the certificate of a listener comes from, with the key of its words.
const SOURCES: [(&str, &str); 3] = [
    ("file", "listeners-file"),
    ("acme", "listeners-acme"),
    ("self-signed", "listeners-own"),
];
/// How a client's certificate stands, with the tone and the key of its words.
const STATES: [(&str, (&str, &str)); 5] = [
    ("trusted", ("good", "certificate-trusted")),
    ("untrusted", ("waiting", "certificate-untrusted")),
    ("expired", ("bad", "certificate-expired")),
    ("early", ("waiting", "certificate-early")),
    ("expected", ("waiting", "certificates-expected")),
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/certificates", get(show))
        .route("/certificates.csv", get(file))
        .route("/certificates.json", get(file))
        .route("/listeners", get(show_listeners))
        .route("/listeners.csv", get(listeners_file))
        .route("/listeners.json", get(listeners_file))
}

/// What clients sign in with: accounts or certificates.
pub(super) fn views(lang: Lang, here: &str) -> Vec<View> {
    let ways = [
        ("/credentials", "certificates-accounts"),
        ("/certificates", "certificates-title"),
    ];
    ways_of(lang, &ways, here)
}

/// The settings, and what the listeners show.
pub(super) fn views_of_settings(visit: &Visit, here: &str) -> Vec<View> {
    if !visit.sees_installation() {
        return Vec::new();
    }
    let ways = [
        ("/settings", "nav-settings"),
        ("/listeners", "listeners-title"),
    ];
    ways_of(visit.lang, &ways, here)
}

fn ways_of(lang: Lang, ways: &[(&str, &str)], here: &str) -> Vec<View> {
    let view = |(address, key): &(&str, &str)| View {
        name: lang.t(key),
        address: (*address).to_owned(),
        is_here: *address == here,
    };
    ways.iter().map(view).collect()
}

// ---- of clients ---------------------------------------------------------------------------------

/// What the filter leaves of those that were shown, and of those that connectors name.
async fn found(centre: &Centre, visit: &Visit) -> Result<Vec<Value>, Refused> {
    let answer = centre.get(visit.caller(), SHOWN, &[]).await?;
    let mut all: Vec<_> = list(&answer, "certificates").iter().map(shown).collect();
    all.sort_by_key(|one| std::cmp::Reverse(text(one, "last_seen").to_owned()));
    all.extend(expected(centre, visit, &all));
    let sought = visit.query.get("q");
    all.retain(|one| {
        let texts = HEAD.map(|key| match &one[key] {
            Value::Array(_) => records::joined(&one[key]),
            _ => text(one, key).to_owned(),
        });
        records::is_among(sought, texts.iter().map(String::as_str))
    });
    Ok(all)
}

/// One that a client showed.
fn shown(one: &Value) -> Value {
    let state = match (one["fault"].is_null(), text(one, "fault")) {
        (true, _) => "trusted",
        (false, "expired") => "expired",
        (false, "not yet valid") => "early",
        (false, _) => "untrusted",
    };
    let mut line = one.clone();
    line["state"] = json!(state);
    line["last_seen"] = line["time"].take();
    line
}

/// Those that connectors name and that were not shown since the start.
fn expected(centre: &Centre, visit: &Visit, shown: &[Value]) -> Vec<Value> {
    let settings = centre.settings(visit.caller());
    let owners = settings.document.organisation.iter();
    let connectors = owners.flat_map(|owner| {
        let all = owner.inbound_connector.iter();
        all.map(move |one| (owner.name.as_str(), json!(one)))
    });
    let mut expected = Vec::new();
    for (organisation, connector) in connectors {
        let name = text(&connector, "name");
        let of_it = |one: &&Value| {
            text(one, "organisation") == organisation && text(one, "inbound_connector") == name
        };
        let line = |subject: &str, fingerprint: &str| {
            json!({
                "subject": subject, "fingerprint": fingerprint, "organisation": organisation,
                "inbound_connector": name, "state": "expected",
            })
        };
        for fingerprint in list(&connector, "tls_sender_certificate_fingerprints") {
            let fingerprint = fingerprint.as_str().unwrap_or_default();
            let is_it = |one: &Value| is_same(text(one, "fingerprint"), fingerprint);
            if !shown.iter().any(is_it) {
                expected.push(line("", fingerprint));
            }
        }
        let wanted = text(&connector, "tls_sender_certificate_name");
        if !wanted.is_empty() && !shown.iter().any(|one| of_it(&one)) {
            expected.push(line(wanted, ""));
        }
    }
    expected
}

/// Thumbprints are written with and without colons, in either case.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.replace(':', "").to_lowercase();
    plain(one) == plain(other)
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let (lang, sought) = (visit.lang, visit.query.get("q"));
    let found = match found(&centre, &visit).await {
        Ok(found) => found,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let now = centre.context.clock.now();
    let headings = [
        "certificates-subject",
        "certificate-until",
        "column-state",
        "certificate-fingerprint",
        "credentials-connector",
        "certificate-client",
    ];
    let rows = found.iter().take(ROWS_MAX);
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: rows.map(|one| row(lang, now, one)).collect(),
        empty: lang.t(match sought {
            "" => "certificates-empty",
            _ => "records-none",
        }),
    };
    let filter = Sheet::new("filter", "/certificates", lang.t("filter-button"));
    let filter = filter.input(Input::text("q", lang.t("records-sought"), sought));
    let frame = Frame::new(&visit, "credentials", &lang.t("certificates-title"));
    page::send(&Records {
        notes: vec![Note::plain(lang.t("certificates-words"))],
        views: views(lang, "/certificates"),
        filter: Some(filter),
        files: records::files("/certificates", &[("q", sought)]),
        ..Records::new(frame, table, format!("GET /api/v1{SHOWN}"))
    })
}

/// When a certificate ends, with the days that are left where they are few.
fn until(lang: Lang, now: Timestamp, not_after: &Value) -> Cell {
    let Some(end) = not_after.as_str().and_then(Timestamp::parse_rfc3339) else {
        return Cell::whole("–");
    };
    let (words, text) = (times::zoned(lang, end), end.to_rfc3339());
    let left = times::relative(lang, now, Some(&text));
    let days = end.since(now).as_secs() / 86_400;
    match (end <= now, days < SOON_DAYS) {
        (true, _) => Cell::status("bad", &words).line(&left),
        (false, true) => Cell::status("waiting", &words).line(&left),
        (false, false) => Cell::whole(&words).line(&left),
    }
}

fn row(lang: Lang, now: Timestamp, one: &Value) -> Row {
    let known = STATES
        .iter()
        .find(|(state, _)| *state == text(one, "state"));
    let (tone, key) = known.map_or(("waiting", "certificate-untrusted"), |(_, it)| *it);
    let (organisation, name) = (text(one, "organisation"), text(one, "inbound_connector"));
    let connector = match name {
        "" => Cell::new(&lang.t("certificates-no-connector")),
        name => {
            let (of, one) = (segment(organisation), segment(name));
            let page = format!("/connectors/inbound/{of}/{one}");
            Cell::new(name).leads_to(page).line(organisation)
        }
    };
    let seen = match one["last_seen"].as_str() {
        Some(time) => times::full(lang, Some(time)),
        None => String::new(),
    };
    let names = records::joined(&one["names"]);
    Row {
        cells: vec![
            Cell::new(text(one, "subject")).line(&names),
            until(lang, now, &one["not_after"]),
            Cell::status(tone, &lang.t(key)),
            Cell::code(text(one, "fingerprint")),
            connector,
            Cell::new(text(one, "client")).line(&seen),
        ],
        acts: Vec::new(),
    }
}

async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match found(&centre, &visit).await {
        Ok(all) => files::of(&visit, "certificates", &HEAD, &all),
        Err(refused) => page::refused(&visit, &refused),
    }
}

// ---- of listeners -------------------------------------------------------------------------------

async fn listeners(centre: &Centre, visit: &Visit) -> Result<Vec<Value>, Refused> {
    visit.must_see_installation(Action::ReadSettings)?;
    let status = centre.get(visit.caller(), "/status", &[]).await?;
    let sought = visit.query.get("q");
    let fits = |one: &&Value| {
        let names = records::joined(&one["names"]);
        let texts = ["listener", "source", "file", "fingerprint"].map(|key| text(one, key));
        records::is_among(sought, texts.into_iter().chain([&*names]))
    };
    let all = list(&status, "certificates").iter();
    Ok(all.filter(fits).cloned().collect())
}

async fn show_listeners(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let (lang, sought) = (visit.lang, visit.query.get("q"));
    let found = match listeners(&centre, &visit).await {
        Ok(found) => found,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let now = centre.context.clock.now();
    let headings = [
        "listeners-listener",
        "certificate-names",
        "listeners-source",
        "certificate-until",
        "certificate-fingerprint",
    ];
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: found.iter().map(|one| listener(lang, now, one)).collect(),
        empty: lang.t(match sought {
            "" => "listeners-empty",
            _ => "records-none",
        }),
    };
    let filter = Sheet::new("filter", "/listeners", lang.t("filter-button"));
    let filter = filter.input(Input::text("q", lang.t("records-sought"), sought));
    let frame = Frame::new(&visit, "settings", &lang.t("listeners-title"));
    page::send(&Records {
        notes: vec![Note::plain(lang.t("listeners-words"))],
        views: views_of_settings(&visit, "/listeners"),
        filter: Some(filter),
        files: records::files("/listeners", &[("q", sought)]),
        ..Records::new(frame.command("relais status"), table, "GET /api/v1/status")
    })
}

fn listener(lang: Lang, now: Timestamp, one: &Value) -> Row {
    let source = records::key_of(&SOURCES, text(one, "source"));
    let source = source.map_or_else(String::new, |key| lang.t(key));
    let until = match one["not_after"].is_null() {
        true => Cell::status("bad", &lang.t("listeners-none")),
        false => until(lang, now, &one["not_after"]),
    };
    Row {
        cells: vec![
            Cell::word(text(one, "listener")),
            Cell::new(&records::joined(&one["names"])),
            Cell::new(&source).line(text(one, "file")),
            until,
            Cell::code(text(one, "fingerprint")),
        ],
        acts: Vec::new(),
    }
}

async fn listeners_file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match listeners(&centre, &visit).await {
        Ok(all) => files::of(&visit, "listeners", &LISTENERS_HEAD, &all),
        Err(refused) => page::refused(&visit, &refused),
    }
}
