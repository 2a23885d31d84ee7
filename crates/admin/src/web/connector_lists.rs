//! The lists of connectors: who may send through us, and how mail leaves; with what was seen of
//! each, and which of two takes an address that both name.
//!
//! Not here: one connector (`connectors`).

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use relais_policy::coverage::{self, Wanted};
use relais_smtp::time::Timestamp;

use super::ask::{Centre, list, text};
use super::connectors::{Side, all, row, shown};
use super::door::{Reader, Visit};
use super::files;
use super::page::{self, Frame};
use super::records::{self, Cell, Input, Pick, Records, Sheet, Table};
use super::standing;
use crate::permission::Action;
use crate::times;

/// Connectors of a page.
const ROWS_MAX: usize = 1_000;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/connectors/inbound", get(inbound))
        .route("/connectors/inbound.csv", get(inbound_file))
        .route("/connectors/inbound.json", get(inbound_file))
        .route("/connectors/outbound", get(outbound))
        .route("/connectors/outbound.csv", get(outbound_file))
        .route("/connectors/outbound.json", get(outbound_file))
}

async fn inbound(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    show(&centre, &visit, Side::Inbound).await
}

async fn outbound(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    show(&centre, &visit, Side::Outbound).await
}

/// States of a connector, as they stand in the address, with the key of their words.
const STATES: [(&str, &str); 5] = [
    ("", "filter-any"),
    ("enabled", "connector-enabled"),
    ("observing", "connector-observing"),
    ("draft", "connector-draft"),
    ("disabled", "connector-disabled"),
];

fn filters(visit: &Visit) -> [(&'static str, &str); 3] {
    ["q", "state", "tag"].map(|name| (name, visit.query.get(name)))
}

/// Whether a filter leaves it.
fn fits(visit: &Visit, connector: &Value) -> bool {
    let [(_, sought), (_, chosen), (_, tag)] = filters(visit);
    let keys = [
        "name",
        "organisation",
        "owner",
        "sender_ip_addresses",
        "tls_sender_certificate_name",
        "tls_sender_certificate_fingerprints",
        "sender_dns_names",
        "sender_domains",
        "smart_hosts",
        "recipient_domains",
        "tags",
    ];
    let texts = keys.map(|key| shown(&connector[key]));
    let is_state = chosen.is_empty() || chosen == text(connector, "state");
    let is_tagged = tag.is_empty() || tags(connector).any(|one| one == tag);
    is_state && is_tagged && records::is_among(sought, texts.iter().map(String::as_str))
}

fn tags(connector: &Value) -> impl Iterator<Item = &str> {
    list(connector, "tags").iter().filter_map(Value::as_str)
}

async fn show(centre: &Centre, visit: &Visit, side: Side) -> Response {
    let lang = visit.lang;
    let answer = match all(centre, visit, side).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(visit, &refused),
    };
    let seen = match side {
        Side::Inbound => Seen::of(centre, visit).await,
        Side::Outbound => Seen::default(),
    };
    let found = list(&answer, "connectors").iter();
    let found = found.filter(|one| fits(visit, one)).take(ROWS_MAX);
    let standings = match side {
        Side::Inbound => Vec::new(),
        Side::Outbound => match standing::all(centre, visit.caller()).await {
            Ok(standings) => standings,
            Err(refused) => return page::refused(visit, &refused),
        },
    };
    let rows = found.map(|one| {
        let standing = standing::of(&standings, one);
        line(centre, visit, (side, &seen, standing), one)
    });
    let path = format!("/connectors/{}", side.name());
    let asked = filters(visit);
    let is_filtered = asked.iter().any(|(_, value)| !value.is_empty());
    let (headings, empty, begin) = match side {
        Side::Inbound => (
            INBOUND.as_slice(),
            lang.with(
                "inbound-empty",
                "relais connector inbound add Printers --ip 10.1.2.0/24",
            ),
            (lang.t("edit-add"), "/add-device"),
        ),
        Side::Outbound => (
            OUTBOUND.as_slice(),
            lang.t("outbound-empty"),
            (lang.t("route-add"), "/add-route"),
        ),
    };
    let table = Table {
        headings: headings.iter().map(|key| lang.t(key)).collect(),
        rows: rows.collect(),
        empty: if is_filtered {
            lang.t("records-none")
        } else {
            empty
        },
    };
    let frame = Frame::new(visit, side.name(), &side.title(lang))
        .command(format!("relais connector {} list", side.name()))
        .done(match visit.query.get("done") {
            "removed" => lang.t("edit-removed"),
            _ => String::new(),
        });
    page::send(&Records {
        choices: choices(visit, side),
        begin: visit.may_change().then_some(begin),
        filter: Some(filter(visit, &path, list(&answer, "connectors"))),
        files: records::files(&path, &asked),
        ..Records::new(frame, table, format!("GET /api/v1{path}"))
    })
}

/// Where one begins where nobody may send yet.
fn choices(visit: &Visit, side: Side) -> Vec<(String, String, &'static str)> {
    let is_filtered = filters(visit).iter().any(|(_, value)| !value.is_empty());
    if side == Side::Outbound || is_filtered || !visit.may_change() {
        return Vec::new();
    }
    let lang = visit.lang;
    let all = [
        (
            "kind-printer",
            "import-begin-device-words",
            "/add-device?kind=printer",
        ),
        (
            "kind-application",
            "import-begin-device-words",
            "/add-device?kind=application",
        ),
        ("import-from", "import-from-words", "/settings/import"),
    ];
    all.map(|(title, words, address)| (lang.t(title), lang.t(words), address))
        .into()
}

fn filter(visit: &Visit, path: &str, connectors: &[Value]) -> Sheet {
    let [(_, sought), (_, chosen), (_, tag)] = filters(visit);
    let picks = STATES.map(|(name, key)| Pick::new(name, visit.lang.t(key), name == chosen));
    let sheet = Sheet::new("filter", path, visit.lang.t("filter-button"))
        .input(Input::text("q", visit.lang.t("records-sought"), sought))
        .input(Input::choice(
            "state",
            visit.lang.t("column-state"),
            picks.into(),
        ));
    let known: BTreeSet<_> = connectors.iter().flat_map(tags).collect();
    if known.is_empty() {
        return sheet;
    }
    let any = Pick::new("", visit.lang.t("filter-any"), tag.is_empty());
    let picks = known
        .into_iter()
        .map(|one| Pick::new(one, one.to_owned(), one == tag));
    let picks = std::iter::once(any).chain(picks).collect();
    sheet.input(Input::choice("tag", visit.lang.t("form-tags"), picks))
}

const INBOUND: [&str; 8] = [
    "field-name",
    "filter-organisation",
    "column-state",
    "column-identified",
    "column-senders",
    "fact-tls",
    "inbound-last",
    "inbound-clients",
];
const OUTBOUND: [&str; 9] = [
    "field-name",
    "filter-organisation",
    "column-state",
    "column-hosts",
    "column-for",
    "fact-tls",
    "standing-sign-in",
    "standing-limits",
    "standing-error",
];

/// One connector in the list.
fn line(
    centre: &Centre,
    visit: &Visit,
    (side, seen, standing): (Side, &Seen, &Value),
    value: &Value,
) -> records::Row {
    let lang = visit.lang;
    let row = row(lang, side, value);
    let state = row.state.as_ref();
    let mut marks = match (row.marks.as_slice(), side) {
        ([], Side::Inbound) => Cell::new(&lang.t("by-credential")),
        ([], Side::Outbound) => Cell::new("MX"),
        ([first, ..], _) => Cell::new(first),
    };
    for more in row.marks.iter().skip(1) {
        marks = marks.line(more);
    }
    if side == Side::Inbound {
        for words in overlaps(centre, visit, value) {
            marks = marks.line(&words);
        }
    }
    let tone = state.map_or("", |state| state.tone);
    let word = state.map_or("", |state| state.word.as_str());
    let mut cells = vec![
        tags(value).fold(
            Cell::new(&row.name).leads_to(row.address.clone()),
            Cell::line,
        ),
        Cell::new(&row.organisation),
        Cell::status(tone, word),
        marks,
        Cell::new(&row.domains),
        Cell::new(&row.tls),
    ];
    if side == Side::Inbound {
        let (last, count) = seen.by(&row.organisation, &row.name);
        cells.push(match seen.is_untested(&row.organisation, &row.name) {
            true => Cell::status("waiting", &lang.t("inbound-untested")),
            false => Cell::whole(&times::full(lang, last)),
        });
        cells.push(Cell::number(&lang.number(count)));
    } else {
        let gauges = standing::gauges(lang, standing);
        let limits = match gauges.is_empty() {
            true => lang.t("standing-no-limits"),
            false => String::new(),
        };
        cells.push(standing::sign_in_cell(lang, standing));
        cells.push(Cell::new(&limits).gauges(gauges));
        cells.push(standing::error_cell(lang, standing));
    }
    records::Row {
        cells,
        acts: Vec::new(),
    }
}

/// Which of two connectors takes an address that both name, in sentences.
fn overlaps(centre: &Centre, visit: &Visit, value: &Value) -> Vec<String> {
    let settings = centre.settings(visit.caller());
    let (organisation, name) = (text(value, "organisation"), text(value, "name"));
    let Some(owned) = settings.inbound_connector(organisation, name) else {
        return Vec::new();
    };
    let wanted = Wanted {
        organisation,
        name,
        networks: &owned.connector.sender_ip_addresses,
    };
    let found = coverage::look(&settings, &wanted).into_iter();
    let found = found.filter(|one| matches!(one.check, "wins" | "loses" | "taken"));
    let words = found.map(|one| visit.lang.0.pick(one.words.english, one.words.french));
    words.collect()
}

/// A device seen so lately is counted.
const DAY: Duration = Duration::from_secs(86_400);

/// What was seen of the clients of inbound connectors.
#[derive(Default)]
struct Seen {
    /// `None`: this person may not know.
    devices: Option<Vec<Value>>,
    now: Timestamp,
}

impl Seen {
    /// Who may not read mail sees connectors only.
    async fn of(centre: &Centre, visit: &Visit) -> Self {
        let devices = match visit.may(Action::ReadMail) {
            true => centre.get(visit.caller(), "/devices", &[]).await.ok(),
            false => None,
        };
        Self {
            devices: devices.map(|all| list(&all, "devices").to_vec()),
            now: centre.context.clock.now(),
        }
    }

    fn own<'a>(
        &'a self,
        organisation: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Value> + Clone {
        self.devices.iter().flatten().filter(move |one| {
            text(one, "organisation") == organisation && text(one, "inbound_connector") == name
        })
    }

    /// No message of its clients was taken yet, as far back as devices are known.
    fn is_untested(&self, organisation: &str, name: &str) -> bool {
        let was_taken = |one: &Value| one["accepted"].as_u64().unwrap_or_default() > 0;
        self.devices.is_some() && !self.own(organisation, name).any(was_taken)
    }

    /// Its last message, and how many clients it had in the last day.
    fn by<'a>(&'a self, organisation: &'a str, name: &'a str) -> (Option<&'a str>, u64) {
        let own = self.own(organisation, name);
        let times = own.filter_map(|one| one["last_seen"].as_str());
        let is_new = |time: &&str| {
            let time = Timestamp::parse_rfc3339(time);
            time.is_some_and(|time| self.now.since(time) <= DAY)
        };
        let count = times.clone().filter(is_new).count();
        (times.max(), u64::try_from(count).unwrap_or(u64::MAX))
    }
}

/// The list as a file.
async fn file(centre: &Centre, visit: &Visit, side: Side) -> Response {
    let answer = match all(centre, visit, side).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(visit, &refused),
    };
    let found = list(&answer, "connectors").iter();
    let found = found.filter(|one| fits(visit, one));
    let columns = match side {
        Side::Inbound => INBOUND_HEAD.as_slice(),
        Side::Outbound => OUTBOUND_HEAD.as_slice(),
    };
    files::of(
        visit,
        &format!("{}-connectors", side.name()),
        columns,
        found,
    )
}

async fn inbound_file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    file(&centre, &visit, Side::Inbound).await
}

async fn outbound_file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    file(&centre, &visit, Side::Outbound).await
}

/// Columns of the files.
const INBOUND_HEAD: [&str; 11] = [
    "organisation",
    "name",
    "state",
    "sender_ip_addresses",
    "tls_sender_certificate_name",
    "tls_sender_certificate_fingerprints",
    "sender_dns_names",
    "sender_domains",
    "recipient_domains",
    "tls",
    "tags",
];
const OUTBOUND_HEAD: [&str; 6] = [
    "organisation",
    "name",
    "state",
    "smart_hosts",
    "recipient_domains",
    "tls",
];
