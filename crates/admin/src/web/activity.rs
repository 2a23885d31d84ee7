//! The last thirty days of an inbound connector: what was accepted and refused each day, as a chart
//! and as a table, and as a file, from the numbers that are kept beside the trace.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::trace::tally::{Measure, TallyQuery};

use super::ask::{Centre, Refused, address, segment};
use super::charts::{self, Chart, Column};
use super::door::{Reader, Visit};
use super::switching::gone;
use super::{files, page};
use crate::lang::Lang;
use crate::permission::Action;
use crate::times;

/// Days that are shown, today among them.
const DAYS: i64 = 30;
const DAY_MILLIS: i64 = 86_400_000;
/// Summer time makes a day an hour longer.
const BACK: Duration = Duration::from_secs(30 * 86_400 + 3_600);

/// Columns of the file.
const HEAD: [&str; 3] = ["day", "accepted", "refused"];

/// Accepted and refused.
type Counts = [u64; 2];
/// The same of each day, the oldest first.
type Days = BTreeMap<i64, Counts>;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route(
            "/connectors/inbound/{organisation}/{name}/days.csv",
            get(file),
        )
        .route(
            "/connectors/inbound/{organisation}/{name}/days.json",
            get(file),
        )
}

/// The chart of one connector; `None`: it is not known now.
pub(super) async fn chart(centre: &Centre, lang: Lang, named: (&str, &str)) -> Option<Chart> {
    let days = days(centre, lang, named).await.ok()?;
    Some(drawn(lang, named, &days))
}

async fn days(
    centre: &Centre,
    lang: Lang,
    (organisation, name): (&str, &str),
) -> Result<Days, StoreError> {
    let now = centre.context.clock.now();
    let query = TallyQuery {
        by_step: true,
        organisation: Some(organisation.into()),
        ..TallyQuery::new(Measure::Connector, now.before(BACK))
    };
    let told = centre.context.store.tallies(vec![query]).await?;
    let own = told.iter().flatten().filter(|tally| *tally.name == *name);
    let hours = own.map(|tally| {
        let counts = match tally.outcome {
            "accepted" => [tally.count, 0],
            "refused" => [0, tally.count],
            _ => [0, 0],
        };
        (tally.time, counts)
    });
    Ok(by_day(lang, now, hours))
}

/// The days as a file.
async fn file(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path((organisation, name)): Path<(String, String)>,
) -> Response {
    match lines(&centre, &visit, (&organisation, &name)).await {
        Ok(lines) => files::of(&visit, "days", &HEAD, &lines),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn lines(centre: &Centre, visit: &Visit, named: (&str, &str)) -> Result<Vec<Value>, Refused> {
    let settings = centre.settings(visit.caller());
    let is_there = settings.inbound_connector(named.0, named.1).is_some();
    if !is_there || !visit.may(Action::ReadMail) {
        return Err(gone(visit));
    }
    let days = days(centre, visit.lang, named).await?;
    let line = |(day, counts): (&i64, &Counts)| json!({ "day": date_of(*day), "accepted": counts[0], "refused": counts[1] });
    Ok(days.iter().map(line).collect())
}

/// The day of a moment by the clock of the reader, counted.
fn day_of(lang: Lang, time: Timestamp) -> i64 {
    lang.1.shift(time).as_millis().div_euclid(DAY_MILLIS)
}

fn by_day(lang: Lang, now: Timestamp, hours: impl Iterator<Item = (Timestamp, Counts)>) -> Days {
    let today = day_of(lang, now);
    let mut days: Days = (today - DAYS + 1..=today)
        .map(|day| (day, [0, 0]))
        .collect();
    for (time, counts) in hours {
        if let Some(day) = days.get_mut(&day_of(lang, time)) {
            *day = [day[0] + counts[0], day[1] + counts[1]];
        }
    }
    days
}

fn drawn(lang: Lang, (organisation, name): (&str, &str), days: &Days) -> Chart {
    let sum = |part: usize| days.values().map(|counts| counts[part]).sum::<u64>();
    let sums = [sum(0), sum(1)].map(|count| lang.number(count));
    let values = [("accepted", &*sums[0]), ("refused", &*sums[1])];
    let words = [lang.t("status-accepted"), lang.t("status-refused")];
    let chart = Chart {
        id: "activity",
        title: lang.t("activity-title"),
        finding: lang.fill("activity-finding", &values),
        is_empty: sum(0) + sum(1) == 0,
        svg: String::new(),
        legend: vec![
            ("url(#activity-1)", words[0].clone()),
            ("url(#activity-4)", words[1].clone()),
        ],
        meanings: Vec::new(),
        head: vec![lang.t("activity-day"), words[0].clone(), words[1].clone()],
        rows: Vec::new(),
        csv: format!(
            "/connectors/inbound/{}/{}/days.csv",
            segment(organisation),
            segment(name)
        ),
        more: None,
        gauges: Vec::new(),
    };
    if chart.is_empty {
        return Chart {
            finding: lang.t("activity-none"),
            ..chart
        };
    }
    let column = |(day, counts): (&i64, &Counts)| {
        let date = date_of(*day);
        let told = words.iter().zip(counts);
        let told = told.map(|(word, count)| format!("{word} {}", lang.number(*count)));
        let told: Vec<_> = told.collect();
        let q = format!("connector:\"{name}\"");
        let until = date_of(day + 1);
        let range = [("q", q.as_str()), ("since", &date), ("until", &until)];
        Column {
            label: format!("{date} – {}", told.join(", ")),
            tick: tick_of(lang, *day),
            address: address("/trace", &range),
            // Refused has the pattern that it has in every chart.
            parts: vec![counts[0], 0, 0, counts[1]],
        }
    };
    let columns: Vec<_> = days.iter().map(column).collect();
    let rows = days
        .iter()
        .rev()
        .map(|(day, counts)| vec![date_of(*day), counts[0].to_string(), counts[1].to_string()]);
    let label = |value| lang.number(value);
    Chart {
        svg: charts::columns("activity", &chart.finding, &columns, &label),
        rows: rows.collect(),
        ..chart
    }
}

/// `2026-11-30`.
fn date_of(day: i64) -> String {
    Timestamp::from_millis(day * DAY_MILLIS).day()
}

/// `30 Nov`: noon of that day in UTC, which is shown as the day it is.
fn tick_of(lang: Lang, day: i64) -> String {
    let noon = Timestamp::from_millis(day * DAY_MILLIS + DAY_MILLIS / 2);
    let shown = times::of(Lang(lang.0, Default::default()), noon);
    let mut words = shown.split(' ');
    match (words.next(), words.next()) {
        (Some(day), Some(month)) => format!("{day} {month}"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("a time")
    }

    #[test]
    fn thirty_days_are_told_each_with_what_came_and_what_was_refused() {
        let lang = Lang::of(Some("en"), None);
        let now = at("2026-11-30T10:00:00Z");
        let hours = [
            (at("2026-11-30T09:00:00Z"), [3, 0]),
            (at("2026-11-30T08:00:00Z"), [2, 1]),
            (at("2026-11-01T00:00:00Z"), [4, 0]),
            // Before the first day.
            (at("2026-10-31T23:00:00Z"), [100, 100]),
        ];
        let days = by_day(lang, now, hours.into_iter());
        let chart = drawn(lang, ("contoso", "Printers"), &days);
        assert_eq!(chart.rows.len(), 30);
        assert_eq!(chart.rows[0], ["2026-11-30", "5", "1"]);
        assert_eq!(chart.rows[29], ["2026-11-01", "4", "0"]);
        assert!(
            chart.finding.contains('9') && chart.finding.contains('1'),
            "{}",
            chart.finding
        );
        assert_eq!(
            chart.svg.matches("class=\"part\"").count(),
            3,
            "{}",
            chart.svg
        );
        assert!(chart.svg.contains(">1 Nov<"), "{}", chart.svg);
    }

    #[test]
    fn nothing_is_a_sentence_and_no_picture() {
        let lang = Lang::of(Some("fr"), None);
        let days = by_day(lang, at("2026-11-30T10:00:00Z"), std::iter::empty());
        let chart = drawn(lang, ("contoso", "x"), &days);
        assert!(chart.is_empty && chart.svg.is_empty());
    }
}
