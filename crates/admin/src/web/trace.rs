//! Message trace: what happened, newest first.
//!
//! Not here: the story of one message (`story`), events as they come (`live`), the whole of what
//! was found as a file (`export`), what a person keeps (`view`).

use std::collections::BTreeSet;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::Value;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use relais_store::trace::{ADDRESSES_MAX, QUERY_OCTETS_MAX, TraceQuery, addresses_in};

use super::ask::{Centre, address, list, quoted, segment, text};
use super::door::{Reader, SessionForm, Visit, local_path};
use super::page::{self, Frame};
use super::view::{self, COLUMNS, Column, View};
use crate::lang::Lang;
use crate::phrasebook::told_detail;
use crate::plain::{clean, size, taille};
use crate::times;
use crate::zone::Zone;

/// Rows of a page.
const ROWS: &str = "50";
/// How far back where nothing is asked for.
pub(super) const SINCE_DEFAULT: &str = "24h";
/// The tokens that the field beside the search box writes.
const TOKENS: [&str; 16] = [
    "to",
    "from",
    "address",
    "client",
    "connector",
    "status",
    "code",
    "ref",
    "token",
    "size",
    "tls",
    "delay",
    "subject",
    "event",
    "id",
    "message-id",
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/trace", get(show))
        .route("/trace/view", post(keep_view))
        .route("/trace/searches", post(keep_search))
        .route("/zone", post(keep_zone))
}

#[derive(Template)]
#[template(path = "trace.html")]
struct Trace {
    frame: Frame,
    q: String,
    since: String,
    until: String,
    mistake: String,
    built_in: Vec<Choice>,
    ranges: Vec<Choice>,
    saved: Vec<Saved>,
    recent: Vec<Choice>,
    terms: Vec<Term>,
    tokens: [&'static str; 16],
    head: Vec<String>,
    columns: Vec<ColumnChoice>,
    rows: Vec<Row>,
    older: String,
    newest: String,
    /// Until when was looked where the page is not full but there may be more; empty: to the end.
    searched_to: String,
    /// A list of addresses that is none, or too long.
    list_mistake: String,
    pasted: String,
    is_live: bool,
    live: String,
    toggle: String,
    csv: String,
    json: String,
}

/// A link that may be the one in force.
struct Choice {
    name: String,
    address: String,
    is_here: bool,
}

/// A search of this person.
struct Saved {
    name: String,
    address: String,
    number: usize,
}

/// One token of the search, to be taken out.
struct Term {
    words: String,
    without: String,
}

/// A column that can be shown.
struct ColumnChoice {
    name: &'static str,
    label: String,
    is_shown: bool,
}

/// A word, never colour alone.
pub(super) struct Status {
    pub(super) tone: &'static str,
    pub(super) icon: &'static str,
    pub(super) word: String,
}

/// The status of an event or a recipient, in words.
pub(super) fn status(lang: Lang, name: &str) -> Status {
    let (tone, icon, key) = match name {
        "delivered" => ("good", "✓", "status-delivered"),
        "accepted" => ("good", "→", "status-accepted"),
        "deferred" => ("waiting", "…", "status-deferred"),
        "queued" => ("waiting", "…", "status-queued"),
        "active" => ("waiting", "…", "status-active"),
        "held" => ("waiting", "‖", "status-held"),
        "failed" => ("bad", "✕", "status-failed"),
        "refused" => ("bad", "✕", "status-refused"),
        "expired" => ("bad", "✕", "status-expired"),
        "discarded" => ("bad", "✕", "status-discarded"),
        _ => ("plain", "·", "status-other"),
    };
    let word = lang.t(key);
    Status { tone, icon, word }
}

/// The key of what happened, where it is no outcome.
fn step(event: &str) -> &'static str {
    match event {
        "delivery.attempted" => "step-attempted",
        "message.repaired" => "step-repaired",
        "notice.sent" => "step-notice-sent",
        "notice.received" => "step-notice-received",
        "entity.restricted" => "step-restricted",
        "entity.released" => "step-released",
        "check.changed" => "step-check",
        "alert.raised" => "step-alert",
        "settings.changed" => "step-settings",
        _ => "status-other",
    }
}

/// Octets in the units of the language.
pub(super) fn octets(lang: Lang, octets: Option<u64>) -> String {
    let words = lang.0.pick(size as fn(u64) -> String, taille);
    octets.map(words).unwrap_or_default()
}

/// Recipients of an event in one line.
pub(super) fn recipients(value: &Value) -> String {
    match value {
        Value::Array(all) => {
            let first = all.first().and_then(Value::as_str).unwrap_or_default();
            match all.len() {
                0 | 1 => first.to_owned(),
                several => format!("{first} +{}", several - 1),
            }
        }
        one => one.as_str().unwrap_or_default().to_owned(),
    }
}

/// One event, as a line of the table; also what the live view adds.
#[derive(Template)]
#[template(path = "trace-row.html")]
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
}

/// One cell.
pub(super) struct Cell {
    /// What its column is called, for where the table is one block below another.
    head: String,
    class: &'static str,
    words: String,
    /// Where it leads; empty: nowhere.
    address: String,
    /// For a time.
    exact: String,
    status: Option<Status>,
    /// Below the status.
    beside: String,
}

impl Row {
    /// With these columns.
    pub(super) fn of(lang: Lang, event: &Value, columns: &[Column]) -> Self {
        let cells = columns.iter().map(|column| cell(lang, event, *column));
        Self {
            cells: cells.collect(),
        }
    }

    /// Beside its own status that of its message, where others of it were delivered.
    fn partly(mut self, lang: Lang, is_partly: bool) -> Self {
        if is_partly {
            let all = self.cells.iter_mut();
            let told = all.filter(|cell| cell.status.is_some());
            told.for_each(|cell| cell.beside = lang.t("status-partly"));
        }
        self
    }
}

fn cell(lang: Lang, event: &Value, column: Column) -> Cell {
    let plain = |class, words: &str| Cell {
        head: lang.t(column.key()),
        class,
        words: clean(words).into_owned(),
        address: String::new(),
        exact: String::new(),
        status: None,
        beside: String::new(),
    };
    match column {
        Column::Time => Cell {
            exact: text(event, "time").to_owned(),
            ..plain("time", &times::of(lang, time_of(event)))
        },
        Column::Status => {
            let mut shown = status(lang, text(event, "status"));
            if shown.icon == "·" || text(event, "event") == "message.repaired" {
                shown.word = lang.t(step(text(event, "event")));
            }
            Cell {
                status: Some(shown),
                ..plain("", "")
            }
        }
        Column::Reference => {
            let queue_id = text(event, "queue_id");
            let name = match queue_id {
                "" => text(event, "reference"),
                queue_id => queue_id,
            };
            let address = match name {
                "" => String::new(),
                name => format!("/trace/{}", segment(name)),
            };
            Cell {
                address,
                ..plain("name", name)
            }
        }
        Column::Client => plain("name", text(&event["client"], "address")),
        Column::Helo => plain("", text(&event["client"], "helo")),
        Column::Connector => plain("", text(event, "inbound_connector")),
        Column::From => plain("address", text(event, "from")),
        Column::To => plain("address", &recipients(&event["to"])),
        Column::Subject => plain("subject", text(event, "subject")),
        Column::Size => plain("number", &octets(lang, event["size"].as_u64())),
        Column::Route => plain("", text(event, "outbound_connector")),
        Column::NextHop => plain("", text(event, "next_hop")),
        Column::Tls => plain("", text(&event["tls"], "version")),
        Column::Reply => plain("subject", &told_detail(lang.0, text(event, "reply"))),
        Column::Duration => {
            let millis = event["duration_ms"].as_u64();
            let words = millis.map(|millis| times::milliseconds(lang, millis));
            plain("number", &words.unwrap_or_default())
        }
    }
}

fn time_of(event: &Value) -> Timestamp {
    let time = event["time"].as_str().and_then(Timestamp::parse_rfc3339);
    time.unwrap_or_default()
}

/// What the built-in searches ask: key of the name, tokens, range.
const BUILT_IN: [(&str, &str, &str); 9] = [
    ("chip-all", "", ""),
    ("search-failed-today", "status:failed", "today"),
    ("search-partly", "status:partly", "7d"),
    ("search-waiting", "status:deferred", ""),
    ("search-refused", "status:refused", ""),
    ("search-slow", "delay:>5m status:delivered", ""),
    ("search-legacy-tls", "tls:<1.2", "7d"),
    ("chip-held", "status:held", "7d"),
    ("chip-delivered", "status:delivered", ""),
];

/// What is asked, as it stands in the address.
struct Asked<'a> {
    q: &'a str,
    since: &'a str,
    until: &'a str,
    cursor: &'a str,
    is_live: bool,
}

impl<'a> Asked<'a> {
    fn of(visit: &'a Visit) -> Self {
        let since = match visit.query.get("since") {
            "" => SINCE_DEFAULT,
            since => since,
        };
        Self {
            q: visit.query.get("q"),
            since,
            until: visit.query.get("until"),
            cursor: visit.query.get("cursor"),
            is_live: visit.query.get("live") == "1",
        }
    }

    fn address(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut pairs = vec![("q", self.q), ("since", self.since), ("until", self.until)];
        pairs.extend_from_slice(more);
        address(path, &pairs)
    }

    fn command(&self) -> String {
        let mut command = "relais trace".to_owned();
        for part in [self.q].into_iter().filter(|part| !part.is_empty()) {
            command.push(' ');
            command.push_str(&quoted(part));
        }
        command.push_str(" --since ");
        command.push_str(&quoted(self.since));
        if !self.until.is_empty() {
            command.push_str(" --until ");
            command.push_str(&quoted(self.until));
        }
        command
    }
}

/// A search box that was given a token beside it: the token belongs into the search.
fn with_token(visit: &Visit) -> Option<String> {
    let (token, value) = (visit.query.get("token"), visit.query.get("value"));
    if value.is_empty() || !TOKENS.contains(&token) {
        return None;
    }
    let value = if value.contains(char::is_whitespace) {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        value.to_owned()
    };
    let q = format!("{} {token}:{value}", visit.query.get("q"));
    let asked = Asked {
        q: q.trim(),
        ..Asked::of(visit)
    };
    Some(asked.address("/trace", &[]))
}

/// A list of addresses that was pasted belongs into the search, instead of the one before.
fn with_addresses(visit: &Visit, pasted: &str) -> Result<Option<String>, String> {
    if pasted.trim().is_empty() {
        return Ok(None);
    }
    let lang = visit.lang;
    let most = ADDRESSES_MAX as u64;
    let list = addresses_in(pasted).map_err(|_| lang.n("trace-list-wrong", most))?;
    let query = TraceQuery::parse(visit.query.get("q")).unwrap_or_default();
    let others = query.terms.iter().filter(|term| term.field != "address");
    let mut words: Vec<_> = others.map(ToString::to_string).collect();
    words.push(match list.as_slice() {
        [one] => format!("address:{one}"),
        several => format!("address:\"{}\"", several.join(", ")),
    });
    let q = words.join(" ");
    if q.len() > QUERY_OCTETS_MAX {
        return Err(lang.n("trace-list-wrong", most));
    }
    let asked = Asked {
        q: &q,
        cursor: "",
        ..Asked::of(visit)
    };
    Ok(Some(asked.address("/trace", &[])))
}

/// The rows; of those that tell of somebody who got nothing, whether others of the message did.
async fn rows(centre: &Centre, lang: Lang, events: &[Value], columns: &[Column]) -> Vec<Row> {
    let is_lost =
        |event: &&Value| matches!(text(event, "status"), "failed" | "expired" | "discarded");
    let id = |event: &Value| text(event, "queue_id").parse::<QueueId>().ok();
    let mut ids: Vec<_> = events.iter().filter(is_lost).filter_map(id).collect();
    ids.sort_unstable();
    ids.dedup();
    let partly = match ids.is_empty() {
        true => BTreeSet::new(),
        // Without it the rows say less, and are right all the same.
        false => {
            let asked = centre.context.store.delivered_in_part(ids).await;
            asked.unwrap_or_default()
        }
    };
    let is_partly =
        |event: &Value| is_lost(&event) && id(event).is_some_and(|id| partly.contains(&id));
    let all = events.iter();
    all.map(|event| Row::of(lang, event, columns).partly(lang, is_partly(event)))
        .collect()
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    if let Some(address) = with_token(&visit) {
        return page::go(&address);
    }
    let pasted = visit.query.get("addresses").to_owned();
    let list_mistake = match with_addresses(&visit, &pasted) {
        Ok(None) => String::new(),
        Ok(Some(address)) => return page::go(&address),
        Err(mistake) => mistake,
    };
    let (lang, asked) = (visit.lang, Asked::of(&visit));
    let mut view = view::load(&centre, visit.name()).await;
    let now = centre.context.clock.now();
    let (since, until) = (lang.1.time(asked.since, now), lang.1.time(asked.until, now));
    let query = [
        ("q", asked.q),
        ("since", &since),
        ("until", &until),
        ("limit", ROWS),
        ("cursor", asked.cursor),
    ];
    let (answer, mistake) = match centre.get(visit.caller(), "/trace", &query).await {
        Ok(answer) => (answer, String::new()),
        Err(refused) => (Value::Null, refused.detail),
    };
    let recent = recent(&view, &asked);
    if mistake.is_empty() && asked.cursor.is_empty() && view.ran(asked.q, asked.since) {
        // What was asked is answered all the same.
        if let Err(refused) = view::save(&centre, visit.name(), &view).await {
            tracing::debug!(refused.detail, "a search is not remembered");
        }
    }
    let next = answer["next_cursor"].as_u64().map(|next| next.to_string());
    let events = list(&answer, "events");
    let columns = view.columns();
    let heads = columns.iter().map(|column| lang.t(column.key()));
    let is_full = ROWS.parse() == Ok(events.len());
    let live = if asked.is_live { "" } else { "1" };
    page::send(&Trace {
        mistake,
        built_in: built_in(lang, &asked),
        ranges: ranges(lang, &asked),
        saved: saved(&view),
        recent,
        terms: terms(&asked),
        tokens: TOKENS,
        head: heads.collect(),
        columns: choices(lang, &columns),
        rows: rows(&centre, lang, events, &columns).await,
        searched_to: match answer["searched_to"].as_str() {
            Some(time) if next.is_some() && !is_full => times::full(lang, Some(time)),
            _ => String::new(),
        },
        list_mistake,
        pasted,
        older: next
            .map(|next| asked.address("/trace", &[("cursor", &next)]))
            .unwrap_or_default(),
        newest: match asked.cursor {
            "" => String::new(),
            _ => asked.address("/trace", &[]),
        },
        is_live: asked.is_live,
        live: asked.address("/trace/live", &[]),
        toggle: asked.address("/trace", &[("live", live)]),
        csv: asked.address("/trace/export.csv", &[]),
        json: asked.address("/trace/export.json", &[]),
        q: asked.q.to_owned(),
        since: asked.since.to_owned(),
        until: asked.until.to_owned(),
        frame: Frame::new(&visit, "trace", &lang.t("nav-trace"))
            .api(asked.address("GET /api/v1/trace", &[]))
            .command(asked.command()),
    })
}

fn built_in(lang: Lang, asked: &Asked<'_>) -> Vec<Choice> {
    let mut choices: Vec<_> = BUILT_IN
        .iter()
        .map(|(key, q, since)| Choice {
            name: lang.t(key),
            address: address("/trace", &[("q", q), ("since", since)]),
            is_here: asked.q == *q,
        })
        .collect();
    choices.push(Choice {
        name: lang.t("search-biggest"),
        address: "/reports#clients".to_owned(),
        is_here: false,
    });
    choices
}

fn ranges(lang: Lang, asked: &Asked<'_>) -> Vec<Choice> {
    let choice = |(since, key): &(&str, &str)| Choice {
        name: lang.t(key),
        address: address("/trace", &[("q", asked.q), ("since", since)]),
        is_here: asked.since == *since,
    };
    times::RANGES.iter().map(choice).collect()
}

fn saved(view: &View) -> Vec<Saved> {
    let one = |(number, search): (usize, &view::Search)| Saved {
        name: search.name.clone(),
        address: address("/trace", &[("q", &search.q), ("since", &search.since)]),
        number,
    };
    view.searches.iter().enumerate().map(one).collect()
}

/// What was run before this, as it was typed.
fn recent(view: &View, asked: &Asked<'_>) -> Vec<Choice> {
    let others = view.recent.iter();
    let others = others.filter(|search| search.q != asked.q || search.since != asked.since);
    let choice = |search: &view::Search| Choice {
        name: format!("{} ({})", clean(&search.q), clean(&search.since)),
        address: address("/trace", &[("q", &search.q), ("since", &search.since)]),
        is_here: false,
    };
    others.map(choice).collect()
}

/// Each token with the search that has it not.
fn terms(asked: &Asked<'_>) -> Vec<Term> {
    let Ok(query) = TraceQuery::parse(asked.q) else {
        return Vec::new();
    };
    let words: Vec<_> = query.terms.iter().map(ToString::to_string).collect();
    let without = |left_out: usize| {
        let kept = words.iter().enumerate();
        let kept = kept.filter(|(place, _)| *place != left_out);
        let q: Vec<_> = kept.map(|(_, words)| words.as_str()).collect();
        let asked = Asked {
            q: &q.join(" "),
            ..*asked
        };
        asked.address("/trace", &[])
    };
    words
        .iter()
        .enumerate()
        .map(|(place, words)| Term {
            words: words.clone(),
            without: without(place),
        })
        .collect()
}

fn choices(lang: Lang, shown: &[Column]) -> Vec<ColumnChoice> {
    let choice = |column: &Column| ColumnChoice {
        name: column.name(),
        label: lang.t(column.key()),
        is_shown: shown.contains(column),
    };
    COLUMNS.iter().map(choice).collect()
}

/// Keeps which columns and which zone this person wants.
async fn keep_view(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let mut view = view::load(&centre, visit.name()).await;
    view.columns = form.all("column").map(ToOwned::to_owned).collect();
    view.zone = Zone::parse(form.get("zone"));
    match view::save(&centre, visit.name(), &view).await {
        Ok(()) => page::go(back(form.get("back"))),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// Keeps which zone this person's pages are in.
async fn keep_zone(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    match view::keep_zone(&centre, visit.name(), form.get("zone")).await {
        Ok(()) => page::go(local_path(form.get("back"))),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// Keeps a search under a name, or forgets one.
async fn keep_search(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let mut view = view::load(&centre, visit.name()).await;
    match form.get("forget").parse::<usize>() {
        Ok(number) => view.forget(number),
        Err(_) => view.keep(form.get("name"), form.get("q"), form.get("since")),
    }
    match view::save(&centre, visit.name(), &view).await {
        Ok(()) => page::go(back(form.get("back"))),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// Only to the trace.
fn back(path: &str) -> &str {
    let is_ours = path == "/trace" || path.starts_with("/trace?");
    if is_ours && path.bytes().all(|one| one.is_ascii_graphic()) {
        path
    } else {
        "/trace"
    }
}
