//! The last thirty days of an inbound connector: what was accepted and refused each day, as a chart
//! and as a table, from the numbers that are kept beside the trace.

use std::collections::BTreeMap;
use std::time::Duration;

use relais_smtp::time::Timestamp;
use relais_store::trace::tally::{Measure, TallyQuery};

use super::ask::{Centre, address};
use super::charts::{self, Chart, Column};
use crate::lang::Lang;
use crate::times;

/// Days that are shown, today among them.
const DAYS: i64 = 30;
const DAY_MILLIS: i64 = 86_400_000;
/// Summer time makes a day an hour longer.
const BACK: Duration = Duration::from_secs(30 * 86_400 + 3_600);

/// Accepted and refused.
type Counts = [u64; 2];

/// The chart of one connector; `None`: it is not known now.
pub(super) async fn chart(
    centre: &Centre,
    lang: Lang,
    (organisation, name): (&str, &str),
) -> Option<Chart> {
    let now = centre.context.clock.now();
    let query = TallyQuery {
        by_step: true,
        organisation: Some(organisation.into()),
        ..TallyQuery::new(Measure::Connector, now.before(BACK))
    };
    let told = centre.context.store.tallies(vec![query]).await.ok()?;
    let own = told.iter().flatten().filter(|tally| *tally.name == *name);
    let hours = own.map(|tally| {
        let counts = match tally.outcome {
            "accepted" => [tally.count, 0],
            "refused" => [0, tally.count],
            _ => [0, 0],
        };
        (tally.time, counts)
    });
    Some(drawn(lang, now, name, hours))
}

/// The day of a moment by the clock of the reader, counted.
fn day_of(lang: Lang, time: Timestamp) -> i64 {
    lang.1.shift(time).as_millis().div_euclid(DAY_MILLIS)
}

fn drawn(
    lang: Lang,
    now: Timestamp,
    name: &str,
    hours: impl Iterator<Item = (Timestamp, Counts)>,
) -> Chart {
    let today = day_of(lang, now);
    let mut days: BTreeMap<i64, Counts> = (today - DAYS + 1..=today)
        .map(|day| (day, [0, 0]))
        .collect();
    for (time, counts) in hours {
        if let Some(day) = days.get_mut(&day_of(lang, time)) {
            *day = [day[0] + counts[0], day[1] + counts[1]];
        }
    }
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
        csv: String::new(),
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
        let chart = drawn(lang, now, "Printers", hours.into_iter());
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
        let chart = drawn(lang, at("2026-11-30T10:00:00Z"), "x", std::iter::empty());
        assert!(chart.is_empty && chart.svg.is_empty());
    }
}
