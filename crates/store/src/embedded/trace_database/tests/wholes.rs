//! Events that are told by how they differ from another one.

use rusqlite::Connection;

use super::{DAY, NOON, Trace, delivered, lines_of};
use crate::trace::{Event, TraceQuery, delta};

#[test]
fn a_group_on_both_sides_of_midnight_is_read_whole_on_both_days() {
    let mut trace = Trace::new();
    let midnight = NOON + DAY / 2;
    let events: Vec<_> = (1..=4)
        .map(|position| {
            let time = midnight - 2 + i64::try_from(position).unwrap();
            (position, delivered(time, "anna@x.test"))
        })
        .collect();
    let lines = lines_of(&events);
    assert_eq!(lines.lines().filter_map(delta::back_of).count(), 3);
    trace.append(&events);
    let page = trace.databases.search(&TraceQuery::default()).unwrap();
    let found: Vec<_> = page.rows.iter().rev().map(|row| row.json.clone()).collect();
    let whole: Vec<_> = events.iter().map(|(_, event)| event.to_json()).collect();
    assert_eq!(found, whole);
    assert_eq!(trace.databases.days().unwrap().len(), 2);
}

#[test]
fn an_event_whose_other_one_is_gone_is_no_event_and_stops_nothing() {
    let mut trace = Trace::new();
    let events: Vec<_> = (1..=3)
        .map(|position| (position, delivered(NOON, &format!("r{position}@x.test"))))
        .collect();
    trace.append(&events);
    let connection = Connection::open(trace.databases.file_of("2026-11-24")).unwrap();
    connection
        .execute("DELETE FROM event WHERE position = 1", [])
        .unwrap();
    assert_eq!(trace.search("to:r2@x.test"), [0; 0]);
    trace.append(&[(4, delivered(NOON, "r2@x.test"))]);
    assert_eq!(trace.search("to:r2@x.test"), [4]);
}

#[test]
fn a_day_of_the_first_version_is_read_and_written_on() {
    let mut trace = Trace::new();
    trace.append(&[(1, delivered(NOON, "anna@x.test"))]);
    let first = |trace: &Trace| Connection::open(trace.databases.file_of("2026-11-24")).unwrap();
    first(&trace)
        .pragma_update(None, "user_version", 1)
        .unwrap();
    assert_eq!(trace.search("to:anna@x.test"), [1]);
    trace.writer = trace.databases.writer().unwrap();
    trace.append(&[
        (2, delivered(NOON, "anna@x.test")),
        (3, delivered(NOON, "anna@x.test")),
    ]);
    assert_eq!(trace.search("to:anna@x.test"), [3, 2, 1]);
    let version: i64 = first(&trace)
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    // An older Relais must not take a difference for damage.
    assert_eq!(version, 2);
}

#[test]
fn an_event_is_never_told_by_one_that_was_there_before() {
    let mut trace = Trace::new();
    trace.append(&[(1, delivered(NOON, "anna@x.test"))]);
    let from = |sender: &str, to: &str| Event {
        from: Some(sender.into()),
        ..delivered(NOON, to)
    };
    // The place of the first one is taken, as after a start at which the day could not be read.
    let events = [
        (1, from("scan@x.test", "bob@x.test")),
        (2, from("scan@x.test", "cleo@x.test")),
    ];
    assert_eq!(
        lines_of(&events).lines().filter_map(delta::back_of).count(),
        1
    );
    assert_eq!(trace.append(&events).new, 1);
    assert_eq!(trace.search("to:cleo@x.test from:scan@x.test"), [2]);
}
