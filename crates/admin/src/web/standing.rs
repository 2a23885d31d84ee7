//! How a way out stands, on its page and in the list: how much of its limits is used, how long its
//! sign-in is good, what went wrong last, and what became of mail in thirty days.
//!
//! Not here: the numbers (`api/standing.rs`).

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use relais_smtp::time::Timestamp;

use super::ask::{Centre, Refused, address, list, segment, text};
use super::charts::{self, Chart, Column};
use super::door::{Reader, Visit};
use super::files;
use super::fixes;
use super::page;
use super::records::{Cell, Gauge};
use super::switching::gone;
use crate::context::Caller;
use crate::lang::Lang;
use crate::phrasebook::{told_detail, told_part};
use crate::plain::clean;
use crate::times;

const PATH: &str = "/connectors/outbound/standing";
/// A sign-in that ends within so many days needs attention.
const SOON_DAYS: u64 = 30;
/// Columns of the file of days.
const HEAD: [&str; 4] = ["day", "delivered", "deferred", "failed"];
/// What became of mail, with the key of its word.
const OUTCOMES: [(&str, &str); 3] = [
    ("delivered", "status-delivered"),
    ("deferred", "status-deferred"),
    ("failed", "status-failed"),
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route(
            "/connectors/outbound/{organisation}/{name}/days.csv",
            get(file),
        )
        .route(
            "/connectors/outbound/{organisation}/{name}/days.json",
            get(file),
        )
}

/// Of all ways out within reach.
pub(super) async fn all(centre: &Centre, caller: &Caller) -> Result<Vec<Value>, Refused> {
    let answer = centre.get(caller, PATH, &[]).await?;
    Ok(list(&answer, "connectors").to_vec())
}

/// Of one.
pub(super) async fn one(
    centre: &Centre,
    visit: &Visit,
    (organisation, name): (&str, &str),
) -> Result<Value, Refused> {
    let asked = [("organisation", organisation), ("name", name)];
    let answer = centre.get(visit.caller(), PATH, &asked).await?;
    let found = list(&answer, "connectors").first().cloned();
    found.ok_or_else(|| gone(visit))
}

/// The call that answers the same.
pub(super) fn call(organisation: &str, name: &str) -> String {
    let asked = [("organisation", organisation), ("name", name)];
    address(&format!("GET /api/v1{PATH}"), &asked)
}

/// The one of that name among all.
pub(super) fn of<'a>(all: &'a [Value], connector: &Value) -> &'a Value {
    let is_it = |one: &&Value| {
        ["organisation", "name"]
            .iter()
            .all(|key| text(one, key) == text(connector, key))
    };
    all.iter().find(is_it).unwrap_or(&Value::Null)
}

/// How much of each limit is used.
pub(super) fn gauges(lang: Lang, standing: &Value) -> Vec<Gauge> {
    let gauge = |limit: &Value| {
        let value = limit["value"].as_u64().unwrap_or(0);
        let used = limit["used"].as_u64();
        let words = |key: &str| {
            let values = [
                ("used", &*lang.number(used.unwrap_or(0))),
                ("value", &*lang.number(value)),
            ];
            lang.fill(key, &values)
        };
        let words = match (text(limit, "limit"), used) {
            ("messages_per_minute", Some(_)) => words("standing-per-minute"),
            ("messages_per_minute", None) => words("standing-per-minute-most"),
            ("recipients_per_day", _) => words("standing-per-day"),
            ("connections", _) => words("standing-connections"),
            ("recipients_per_transaction", _) => words("standing-per-transaction"),
            (other, _) => other.to_owned(),
        };
        Gauge {
            words,
            percent: used.map(|used| (used.saturating_mul(100) / value.max(1)).min(100)),
        }
    };
    list(standing, "limits").iter().map(gauge).collect()
}

/// How the sign-in stands: tone, the words of its state, and further lines.
fn sign_in(lang: Lang, standing: &Value) -> Option<(&'static str, String, Vec<String>)> {
    let login = &standing["login"];
    let key = match text(login, "method") {
        "password" => "standing-password",
        "xoauth2" => "standing-oauth",
        "certificate" => "standing-certificate",
        _ => return None,
    };
    let time = |key: &str| times::full(lang, login[key].as_str());
    let mut lines = Vec::new();
    if login["token_until"].is_string() {
        lines.push(lang.with("standing-token", &time("token_until")));
    }
    if login["not_after"].is_string() {
        let key = match text(login, "ends") {
            "the client secret" => "standing-ends-secret",
            "the certificate" => "standing-ends-certificate",
            _ => "standing-ends-sign-in",
        };
        lines.push(lang.with(key, &time("not_after")));
    }
    let is_soon = login["days_left"]
        .as_u64()
        .is_some_and(|left| left < SOON_DAYS);
    let tone = match (login["because"].as_str(), is_soon) {
        (Some(because), _) => {
            lines.push(clean(&told_part(lang.0, because)).into_owned());
            "bad"
        }
        (None, true) => "waiting",
        (None, false) => "good",
    };
    Some((tone, lang.t(key), lines))
}

/// The same in the list.
pub(super) fn sign_in_cell(lang: Lang, standing: &Value) -> Cell {
    match sign_in(lang, standing) {
        None => Cell::new(&lang.t("standing-no-sign-in")),
        Some((tone, words, lines)) => {
            let cell = Cell::status(tone, &words);
            lines.iter().fold(cell, |cell, line| cell.line(line))
        }
    }
}

/// What went wrong last: when, in words, and what the next hop said.
fn last_error(lang: Lang, standing: &Value) -> Option<(String, String, String)> {
    let error = &standing["last_error"];
    let time = error["time"].as_str()?;
    let said = text(error, "reply");
    let words = match fixes::in_words(lang, said) {
        Some((cause, fix)) => format!("{cause} {fix}"),
        None => lang.t(match text(error, "status") {
            "failed" => "standing-failed",
            _ => "standing-deferred",
        }),
    };
    let hop = text(error, "next_hop");
    // Our own words name the next hop already.
    let hop = if said.contains(hop) { "" } else { hop };
    let told = told_detail(lang.0, said);
    let said = [hop, &*told].into_iter().filter(|part| !part.is_empty());
    let said = said.collect::<Vec<_>>().join(" · ");
    Some((
        times::full(lang, Some(time)),
        words,
        clean(&said).into_owned(),
    ))
}

/// The same in the list.
pub(super) fn error_cell(lang: Lang, standing: &Value) -> Cell {
    match last_error(lang, standing) {
        None => Cell::new(&lang.t("standing-no-error")),
        Some((time, words, said)) => Cell::new(&words).line(&said).line(&time),
    }
}

/// All of it on the connector's own page.
pub(super) struct Part {
    pub(super) gauges: Vec<Gauge>,
    /// Class, mark and words of its sign-in, with more lines.
    pub(super) sign_in: Option<(&'static str, &'static str, String, Vec<String>)>,
    /// When, in words, and what was said.
    pub(super) last_error: Option<(String, String, String)>,
    pub(super) days: Chart,
}

impl Part {
    pub(super) fn new(lang: Lang, standing: &Value) -> Self {
        let sign_in = sign_in(lang, standing).map(|(tone, words, lines)| {
            let mark = match tone {
                "good" => "✓",
                "bad" => "✕",
                _ => "◷",
            };
            (tone, mark, words, lines)
        });
        Self {
            gauges: gauges(lang, standing),
            sign_in,
            last_error: last_error(lang, standing),
            days: days(lang, standing),
        }
    }
}

/// What became of its mail, day by day.
fn days(lang: Lang, standing: &Value) -> Chart {
    let rows = list(standing, "days");
    let number = |row: &Value, key: &str| row[key].as_u64().unwrap_or(0);
    let sum = |key: &str| rows.iter().map(|row| number(row, key)).sum::<u64>();
    let sums = OUTCOMES.map(|(key, _)| sum(key));
    let is_empty = sums.iter().all(|sum| *sum == 0);
    let told = sums.map(|sum| lang.number(sum));
    let finding = match is_empty {
        true => lang.t("standing-days-none"),
        false => lang.fill(
            "standing-days-finding",
            &[
                ("delivered", &told[0]),
                ("deferred", &told[1]),
                ("failed", &told[2]),
            ],
        ),
    };
    let name = text(standing, "name");
    let column = |row: &Value| {
        let begin = format!("{}T00:00:00Z", text(row, "day"));
        let end = Timestamp::parse_rfc3339(&begin).unwrap_or_default();
        let end = end
            .after(std::time::Duration::from_secs(86_400))
            .to_rfc3339();
        let words = OUTCOMES
            .map(|(key, word)| format!("{} {}", lang.t(word), lang.number(number(row, key))));
        let day = times::day(lang, &begin);
        let q = format!("connector:{}", quoted(name));
        let asked = [("q", &*q), ("since", &*begin), ("until", &*end)];
        Column {
            label: format!("{day} – {}", words.join(", ")),
            tick: day,
            address: address("/trace", &asked),
            parts: OUTCOMES.map(|(key, _)| number(row, key)).to_vec(),
        }
    };
    let columns: Vec<_> = rows.iter().map(column).collect();
    let classes = ["url(#days-1)", "url(#days-2)", "url(#days-3)"];
    let mut head = vec![lang.t("standing-day")];
    head.extend(OUTCOMES.map(|(_, word)| lang.t(word)));
    let cells = |row: &Value| {
        let mut cells = vec![text(row, "day").to_owned()];
        cells.extend(OUTCOMES.map(|(key, _)| number(row, key).to_string()));
        cells
    };
    let base = format!(
        "/connectors/outbound/{}/{}/days.csv",
        segment(text(standing, "organisation")),
        segment(name)
    );
    Chart {
        id: "days",
        title: lang.t("standing-days"),
        svg: match is_empty {
            true => String::new(),
            false => charts::columns("days", &finding, &columns, &|value| lang.number(value)),
        },
        finding,
        is_empty,
        legend: classes
            .into_iter()
            .zip(OUTCOMES.map(|(_, word)| lang.t(word)))
            .collect(),
        meanings: Vec::new(),
        head,
        rows: rows.iter().map(cells).collect(),
        csv: base,
        more: None,
        gauges: Vec::new(),
    }
}

/// A name as a value of a token.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The days as a file.
async fn file(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path((organisation, name)): Path<(String, String)>,
) -> Response {
    match one(&centre, &visit, (&organisation, &name)).await {
        Ok(standing) => files::of(&visit, "days", &HEAD, list(&standing, "days")),
        Err(refused) => page::refused(&visit, &refused),
    }
}
