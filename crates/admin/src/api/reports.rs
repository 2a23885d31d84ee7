//! Numbers for charts and reports, from what the store counts beside the events: no request reads
//! the events themselves. Not here: the inventory of devices (`devices`).

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_smtp::time::Timestamp;
use relais_store::trace::parse_since;
use relais_store::trace::tally::{
    Measure, QueueSample, TALLY_STEP_MILLIS, Tally, TallyQuery, delay_class_end,
};

use crate::context::AdminContext;
use crate::problem::{Parameters, Problem};

/// Time of an answer where nothing else is asked for.
const SINCE_DEFAULT: &str = "24h";
/// Names of one list; the first ones are the largest.
const NAMES_MAX: usize = 100;
/// Steps of time that an answer aims at: what a chart can show.
const STEPS_MAX: i64 = 48;
/// How far back an answer may reach: ten years, beyond what is kept.
const SPAN_MAX: Duration = Duration::from_secs(3_660 * 86_400);
/// Clients are compared with what they sent a week before.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Steps of time that people think in, in minutes.
const STEPS_MINUTES: [i64; 7] = [5, 15, 60, 180, 360, 1_440, 10_080];

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/reports", get(reports))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    since: Option<String>,
    organisation: Option<String>,
}

async fn reports(
    State(context): State<AdminContext>,
    Parameters(range): Parameters<Range>,
) -> Result<Json<Value>, Problem> {
    let now = context.clock.now();
    let since = parse_since(range.since.as_deref().unwrap_or(SINCE_DEFAULT), now)?;
    must_be_near(since, now)?;
    let query = |measure| TallyQuery {
        organisation: range.organisation.as_deref().map(Into::into),
        ..TallyQuery::new(measure, since)
    };
    let by_step = |measure| TallyQuery {
        by_step: true,
        ..query(measure)
    };
    // The same hours of another day of the week tell more about devices than the hours before.
    let back = now.since(since).max(WEEK);
    let before = TallyQuery {
        since: since.before(back),
        until: Some(now.before(back)),
        ..query(Measure::Client)
    };
    let queries = vec![
        by_step(Measure::Outcome),
        by_step(Measure::Delay),
        query(Measure::Client),
        before,
        query(Measure::Refusal),
        query(Measure::Tls),
        query(Measure::Route),
        query(Measure::Destination),
        query(Measure::Connector),
    ];
    let told = context.store.tallies(queries).await?;
    let of = |place: usize| told.get(place).map_or(&[][..], Vec::as_slice);
    let samples = context.store.queue_samples(since).await?;
    let step = step_of(now.since(since));
    Ok(Json(json!({
        "since": since.to_rfc3339(),
        "until": now.to_rfc3339(),
        "before_since": since.before(back).to_rfc3339(),
        "step_s": step / 1_000,
        "outcomes": outcomes(of(0), since, now, step),
        "delays": delays(of(1), since, now, step.max(3_600_000)),
        "delay": percentiles(of(1)),
        "queue": queue(&samples, step),
        "clients": changed(of(2), of(3)),
        "refusals": counted(of(4), "token"),
        "tls": counted(of(5), "version"),
        "routes": shares(of(6), "outbound_connector"),
        "destinations": shares(of(7), "domain"),
        "inbound_connectors": shares(of(8), "inbound_connector"),
    })))
}

/// Each step is a row of the answer, so there must not be millions.
fn must_be_near(since: Timestamp, now: Timestamp) -> Result<(), Problem> {
    if now.since(since) <= SPAN_MAX {
        return Ok(());
    }
    let days = SPAN_MAX.as_secs() / 86_400;
    let detail = format!("since reaches too far back: ask for {days} days at most.");
    Err(Problem::bad_request(detail))
}

/// The shortest step that gives no more than [`STEPS_MAX`], in milliseconds.
fn step_of(span: Duration) -> i64 {
    let minutes = i64::try_from(span.as_secs() / 60).unwrap_or(i64::MAX);
    let fits = |step: &&i64| minutes / **step <= STEPS_MAX;
    let step = STEPS_MINUTES.iter().find(fits);
    step.unwrap_or(&STEPS_MINUTES[STEPS_MINUTES.len() - 1]) * 60_000
}

/// The steps of a time, each with what was found in it.
fn steps<T: Default>(
    since: Timestamp,
    until: Timestamp,
    step: i64,
    found: impl Iterator<Item = (Timestamp, T)>,
    add: impl Fn(&mut T, T),
) -> BTreeMap<i64, T> {
    let number = |time: Timestamp| time.as_millis().div_euclid(step);
    let mut steps: BTreeMap<i64, T> = (number(since)..=number(until))
        .map(|number| (number * step, T::default()))
        .collect();
    for (time, value) in found {
        if let Some(there) = steps.get_mut(&(number(time) * step)) {
            add(there, value);
        }
    }
    steps
}

fn outcomes(tallies: &[Tally], since: Timestamp, until: Timestamp, step: i64) -> Vec<Value> {
    debug_assert!(step % TALLY_STEP_MILLIS == 0, "steps are whole ones");
    let found = tallies.iter().map(|tally| {
        let one = BTreeMap::from([(tally.outcome, tally.count)]);
        (tally.time, one)
    });
    let add = |there: &mut BTreeMap<&str, u64>, more: BTreeMap<&'static str, u64>| {
        for (outcome, count) in more {
            *there.entry(outcome).or_default() += count;
        }
    };
    let steps = steps(since, until, step, found, add);
    let row = |(time, counts): (i64, BTreeMap<&str, u64>)| {
        let count = |outcome: &str| counts.get(outcome).copied().unwrap_or(0);
        json!({
            "time": Timestamp::from_millis(time).to_rfc3339(),
            "accepted": count("accepted"),
            "delivered": count("delivered"),
            "deferred": count("deferred"),
            "failed": count("failed") + count("expired"),
            "refused": count("refused"),
        })
    };
    steps.into_iter().map(row).collect()
}

/// Counts by class of delay.
type Classes = BTreeMap<u32, u64>;

fn class_of(tally: &Tally) -> Option<(u32, u64)> {
    Some((tally.name.parse().ok()?, tally.count))
}

fn delays(tallies: &[Tally], since: Timestamp, until: Timestamp, step: i64) -> Vec<Value> {
    let found = tallies.iter().filter_map(|tally| {
        let (class, count) = class_of(tally)?;
        Some((tally.time, BTreeMap::from([(class, count)])))
    });
    let add = |there: &mut Classes, more: Classes| {
        for (class, count) in more {
            *there.entry(class).or_default() += count;
        }
    };
    let steps = steps(since, until, step, found, add);
    let row = |(time, classes): (i64, Classes)| {
        let mut row = percentiles_of(&classes);
        row["time"] = Timestamp::from_millis(time).to_rfc3339().into();
        row
    };
    steps.into_iter().map(row).collect()
}

fn percentiles(tallies: &[Tally]) -> Value {
    let mut classes = Classes::new();
    for (class, count) in tallies.iter().filter_map(class_of) {
        *classes.entry(class).or_default() += count;
    }
    percentiles_of(&classes)
}

fn percentiles_of(classes: &Classes) -> Value {
    let all: u64 = classes.values().sum();
    let within = |share: u64| {
        let mut left = (all * share).div_ceil(100);
        let class = classes.iter().find(|(_, count)| {
            let is_here = left <= **count;
            left = left.saturating_sub(**count);
            is_here
        });
        class.map(|(class, _)| delay_class_end(*class))
    };
    json!({
        "count": all,
        "p50_ms": within(50).filter(|_| all > 0),
        "p95_ms": within(95).filter(|_| all > 0),
    })
}

/// Of each step the moment with the oldest message: a short jam must not hide between two others.
fn queue(samples: &[QueueSample], step: i64) -> Vec<Value> {
    let mut worst: BTreeMap<i64, QueueSample> = BTreeMap::new();
    for sample in samples {
        let number = sample.time.as_millis().div_euclid(step);
        let there = worst.entry(number).or_insert(*sample);
        let rank = |one: &QueueSample| (one.oldest_s, one.queued + one.deferred + one.held);
        if rank(sample) > rank(there) {
            *there = *sample;
        }
    }
    let row = |sample: &QueueSample| {
        json!({
            "time": sample.time.to_rfc3339(),
            "queued": sample.queued,
            "deferred": sample.deferred,
            "held": sample.held,
            "oldest_s": sample.oldest_s,
        })
    };
    worst.values().map(row).collect()
}

/// Sums by name and outcome, the largest first.
fn by_name(tallies: &[Tally]) -> Vec<(&str, BTreeMap<&'static str, u64>)> {
    let mut names: BTreeMap<&str, BTreeMap<&'static str, u64>> = BTreeMap::new();
    for tally in tallies {
        let outcomes = names.entry(&tally.name).or_default();
        *outcomes.entry(tally.outcome).or_default() += tally.count;
    }
    let mut sorted: Vec<_> = names.into_iter().collect();
    sorted.sort_by_key(|(_, outcomes)| std::cmp::Reverse(outcomes.values().sum::<u64>()));
    sorted
}

fn counted(tallies: &[Tally], key: &str) -> Vec<Value> {
    let rows = by_name(tallies).into_iter().take(NAMES_MAX);
    rows.map(|(name, outcomes)| json!({ key: name, "count": outcomes.values().sum::<u64>() }))
        .collect()
}

fn shares(tallies: &[Tally], key: &str) -> Vec<Value> {
    let rows = by_name(tallies).into_iter().take(NAMES_MAX);
    rows.map(|(name, outcomes)| {
        let count = |outcome: &str| outcomes.get(outcome).copied().unwrap_or(0);
        json!({
            key: name,
            "accepted": count("accepted"),
            "refused": count("refused"),
            "delivered": count("delivered"),
            "deferred": count("deferred"),
            "failed": count("failed") + count("expired"),
        })
    })
    .collect()
}

/// Clients, with what they sent in a time of the same length before.
fn changed(now: &[Tally], before: &[Tally]) -> Vec<Value> {
    let accepted = |tallies: &[Tally]| -> BTreeMap<String, (u64, u64)> {
        let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for tally in tallies {
            let sum = sums.entry(tally.name.to_string()).or_default();
            match tally.outcome {
                "accepted" => sum.0 += tally.count,
                _ => sum.1 += tally.count,
            }
        }
        sums
    };
    let (now, before) = (accepted(now), accepted(before));
    let names: std::collections::BTreeSet<_> = now.keys().chain(before.keys()).collect();
    let mut rows: Vec<_> = names
        .into_iter()
        .map(|name| {
            let (accepted, refused) = now.get(name).copied().unwrap_or_default();
            let (earlier, _) = before.get(name).copied().unwrap_or_default();
            (name, accepted, refused, earlier)
        })
        .collect();
    // The loud ones, and those that went quiet.
    rows.sort_by_key(|(_, accepted, refused, earlier)| {
        std::cmp::Reverse((*accepted.max(earlier), *refused))
    });
    let rows = rows.into_iter().take(NAMES_MAX);
    rows.map(|(name, accepted, refused, before)| {
        json!({ "client": name, "accepted": accepted, "refused": refused, "before": before })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(hour: i64, name: &str, outcome: &'static str, count: u64) -> Tally {
        Tally {
            measure: Measure::Outcome,
            time: Timestamp::from_millis(hour * 3_600_000),
            organisation: "contoso".into(),
            name: name.into(),
            outcome,
            count,
        }
    }

    #[test]
    fn a_chart_has_no_more_steps_than_it_can_show() {
        for (hours, minutes) in [(1, 5), (24, 60), (7 * 24, 360), (30 * 24, 1_440)] {
            let span = Duration::from_secs(hours * 3_600);
            assert_eq!(step_of(span), minutes * 60_000, "{hours} h");
        }
    }

    #[test]
    fn a_question_about_ages_is_refused_before_its_steps_are_made() {
        let now = Timestamp::from_millis(1_796_000_000_000);
        for (since, is_near) in [
            ("3660d", true),
            ("9999999999w", false),
            ("0001-01-01", false),
        ] {
            let since = parse_since(since, now).expect("a time");
            assert_eq!(must_be_near(since, now).is_ok(), is_near);
        }
    }

    #[test]
    fn an_hour_without_mail_is_there_with_zeros() {
        let hour = |hour: i64| Timestamp::from_millis(hour * 3_600_000);
        let found = [
            tally(1, "", "accepted", 2),
            tally(1, "", "accepted", 3),
            tally(3, "", "expired", 1),
        ];
        let rows = outcomes(&found, hour(1), hour(3), 3_600_000);
        let accepted: Vec<_> = rows.iter().map(|row| row["accepted"].as_u64()).collect();
        assert_eq!(accepted, [Some(5), Some(0), Some(0)]);
        assert_eq!(rows[2]["failed"], 1);
    }

    #[test]
    fn half_and_nearly_all_are_told_of_the_delays() {
        let found = [
            tally(0, "10", "delivered", 90),
            tally(0, "24", "delivered", 9),
            tally(0, "30", "delivered", 1),
        ];
        let told = percentiles(&found);
        assert_eq!(told["p50_ms"], delay_class_end(10));
        assert_eq!(told["p95_ms"], delay_class_end(24));
        assert_eq!(percentiles(&[])["p50_ms"], Value::Null);
    }

    #[test]
    fn a_device_gone_quiet_stands_beside_the_loud_ones() {
        let now = [tally(0, "10.1.2.9", "accepted", 10)];
        let before = [tally(0, "10.1.2.7", "accepted", 210)];
        let rows = changed(&now, &before);
        assert_eq!(rows[0]["client"], "10.1.2.7");
        assert_eq!(rows[0]["accepted"], 0);
        assert_eq!(rows[1]["before"], 0);
    }
}
