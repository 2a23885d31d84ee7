//! The trace databases: what is written is found, whatever the day, the page and the damage.

mod lists;
mod wholes;

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use relais_smtp::identifier::{QueueId, Reference};
use tempfile::TempDir;

use super::search::{RefusedPage, TracePage};
use super::*;
use crate::trace::tally::{Measure, QueueSample, TALLY_NAMES_MAX, TALLY_OTHERS, Tally, TallyQuery};
use crate::trace::{ClientSummary, To, TraceQuery, delta};

const NOON: i64 = 1_795_521_600_000;
const DAY: i64 = DAY_MILLIS;
const SEGMENT: u64 = 1 << 16;

struct Trace {
    folder: TempDir,
    databases: TraceDatabases,
    writer: TraceWriter,
}

/// Those that follow each other are a group.
fn lines_of(events: &[(u64, Event)]) -> String {
    let groups = events.chunk_by(|(a, _), (b, _)| a + 1 == *b);
    groups
        .map(|group| delta::lines_of(group.iter().map(|(_, event)| event)))
        .collect()
}

fn records_of<'a>(events: &'a [(u64, Event)], lines: &'a str) -> Vec<TraceRecord<'a>> {
    let told = events.iter().zip(lines.lines());
    told.map(|((position, event), line)| TraceRecord {
        position: *position,
        line,
        event,
    })
    .collect()
}

impl Trace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let databases = TraceDatabases::new(folder.path().join("trace"));
        let writer = databases.writer().unwrap();
        Self {
            folder,
            databases,
            writer,
        }
    }

    fn append(&mut self, events: &[(u64, Event)]) -> Appended {
        let lines = lines_of(events);
        self.writer.append(&records_of(events, &lines)).unwrap()
    }

    fn search(&self, text: &str) -> Vec<u64> {
        let page = self
            .databases
            .search(&TraceQuery::parse(text).unwrap())
            .unwrap();
        assert_eq!((&*page.damaged, &*page.unread), (&[][..], &[][..]));
        page.rows.iter().map(|row| row.position).collect()
    }

    fn names(&self) -> Vec<String> {
        files::names(&self.folder.path().join("trace")).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("trace").join(name)
    }
}

fn text(text: &str) -> Option<Arc<str>> {
    Some(Arc::from(text))
}

fn at(millis: i64, kind: EventKind) -> Event {
    Event::new(Timestamp::from_millis(millis), kind)
}

fn delivered(millis: i64, to: &str) -> Event {
    Event {
        to: Some(To::One(Arc::from(to))),
        reply: text("250 2.0.0 ok"),
        ..at(millis, EventKind::RecipientDelivered)
    }
}

fn refused(millis: i64, client: &str, token: Option<&str>) -> Event {
    Event {
        client: Some(Arc::new(ClientSummary {
            address: client.parse().unwrap(),
            helo: None,
            credential: None,
            certificate: None,
        })),
        token: token.map(Arc::from),
        reply: text("550 5.7.1 No"),
        ..at(millis, EventKind::AttemptRefused)
    }
}

#[test]
fn an_empty_trace_answers_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let databases = TraceDatabases::new(folder.path().join("trace"));
    assert_eq!(
        databases.search(&TraceQuery::default()),
        Ok(TracePage::default())
    );
    assert_eq!(databases.last_position(), Ok(None));
    assert_eq!(
        databases.refused(Timestamp::default(), 10),
        Ok(RefusedPage::default())
    );
    assert!(!folder.path().join("trace").exists());
}

#[test]
fn events_go_into_the_database_of_their_day_and_come_back_newest_first() {
    let mut trace = Trace::new();
    let events = [
        (1, delivered(NOON - DAY, "a@example.org")),
        (2, delivered(NOON, "b@example.org")),
        (3, delivered(NOON + DAY, "c@example.org")),
    ];
    assert_eq!(
        trace.append(&events),
        Appended {
            new: 3,
            set_aside: Vec::new()
        }
    );
    assert_eq!(
        trace.databases.days().unwrap(),
        ["2026-11-25", "2026-11-24", "2026-11-23"]
    );
    assert_eq!(trace.search(""), [3, 2, 1]);
    assert_eq!(trace.search("to:b"), [2]);
    assert_eq!(trace.databases.last_position(), Ok(Some(3)));
    let page = trace.databases.search(&TraceQuery::default()).unwrap();
    assert_eq!(page.rows[0].json, events[2].1.to_json());
    assert_eq!(page.next, None);
}

#[test]
fn an_event_stored_twice_is_there_once() {
    let mut trace = Trace::new();
    let events: Vec<_> = (1..=5)
        .map(|n| (n, delivered(NOON, "b@example.org")))
        .collect();
    assert_eq!(trace.append(&events[..3]).new, 3);
    assert_eq!(trace.append(&events).new, 2);
    assert_eq!(trace.append(&events).new, 0);
    assert_eq!(trace.search("to:b@example.org"), [5, 4, 3, 2, 1]);
}

#[test]
fn what_append_has_returned_is_seen_by_another_reader_at_once() {
    let mut trace = Trace::new();
    let other = TraceDatabases::new(trace.folder.path().join("trace"));
    for position in 1..=20 {
        trace.append(&[(position, delivered(NOON, "b@example.org"))]);
        let rows = other
            .search(&TraceQuery::parse("to:b").unwrap())
            .unwrap()
            .rows;
        assert_eq!(rows.len() as u64, position);
    }
}

#[test]
fn a_finished_day_is_one_file() {
    let mut trace = Trace::new();
    for day in 0..4 {
        trace.append(&[(
            day,
            delivered(NOON + i64::try_from(day).unwrap() * DAY, "b@x.test"),
        )]);
    }
    let names = trace.names();
    assert!(names.contains(&"2026-11-24.db".to_owned()), "{names:?}");
    assert!(
        !names.iter().any(|name| name.starts_with("2026-11-24.db-")),
        "{names:?}"
    );
    assert_eq!(trace.search(""), [3, 2, 1, 0]);
}

#[test]
fn late_events_of_yesterday_keep_their_place_in_the_pages() {
    let mut trace = Trace::new();
    let midnight = NOON - NOON.rem_euclid(DAY) + DAY;
    // Positions alternate between the two days.
    let events: Vec<_> = (0..20_u64)
        .map(|n| {
            let side = if n % 2 == 0 { -1 } else { 1 };
            (
                n + 1,
                delivered(
                    midnight + side * i64::try_from(n + 1).unwrap(),
                    "b@example.org",
                ),
            )
        })
        .collect();
    trace.append(&events);
    let mut query = TraceQuery::parse("to:example.org").unwrap();
    query.limit = 3;
    let mut all = Vec::new();
    loop {
        let page = trace.databases.search(&query).unwrap();
        assert!(page.rows.len() <= 3);
        all.extend(page.rows.iter().map(|row| row.position));
        let Some(next) = page.next else { break };
        query.before = Some(next);
    }
    assert_eq!(all, (1..=20).rev().collect::<Vec<_>>());
}

#[test]
fn a_search_whose_budget_is_spent_says_where_to_go_on() {
    let mut trace = Trace::new();
    let events: Vec<_> = (0..600)
        .map(|n| {
            (
                SEGMENT - 300 + n,
                delivered(NOON + i64::try_from(n).unwrap(), "b@x.test"),
            )
        })
        .collect();
    trace.append(&events);
    let mut query = TraceQuery::parse("subject:zq").unwrap();
    let mut pages = 0;
    loop {
        let page = trace.databases.search_within(&query, 100).unwrap();
        assert_eq!(page.rows, []);
        pages += 1;
        // A page that ended by its bound says until when it looked, the last one to the end.
        assert_eq!(page.searched_to.is_some(), page.next.is_some());
        let Some(next) = page.next else { break };
        assert!(query.before.is_none_or(|before| next < before));
        let place = i64::try_from(next - (SEGMENT - 300)).unwrap();
        assert_eq!(page.searched_to, Some(Timestamp::from_millis(NOON + place)));
        query.before = Some(next);
    }
    assert!((6..=8).contains(&pages), "{pages}");
}

#[test]
fn text_that_is_a_reference_or_queue_id_finds_just_that() {
    let mut trace = Trace::new();
    let id = QueueId::new(Timestamp::from_millis(NOON), 1, 9);
    let reference: Reference = "7F3K2".parse().unwrap();
    let mention = Event {
        subject: text("about 7F3K2"),
        ..delivered(NOON, "b@example.org")
    };
    trace.append(&[
        (
            1,
            Event {
                reference: Some(reference),
                ..refused(NOON, "192.0.2.1", Some("X"))
            },
        ),
        (2, mention),
        (
            3,
            Event {
                queue_id: Some(id),
                ..delivered(NOON, "b@example.org")
            },
        ),
    ]);
    assert_eq!(trace.search("7F3K2"), [1]);
    assert_eq!(trace.search("7f3k2"), [1]);
    assert_eq!(trace.search(&id.to_string()), [3]);
    assert_eq!(trace.search("192.0.2.1"), [1]);
    assert_eq!(trace.search("B@example.org"), [3, 2]);
    // One that was never given out is text like any other.
    assert_eq!(trace.search("about"), [2]);
    assert_eq!(trace.search("bout 7f3k"), [2]);
}

#[test]
fn damaged_days_are_set_aside_and_the_rest_goes_on() {
    let garbage: &[&[u8]] = &[
        b"this is no database, but long enough for a header",
        &[0xff; 9_000],
    ];
    for content in garbage {
        let mut trace = Trace::new();
        trace.append(&[(1, delivered(NOON - DAY, "a@x.test"))]);
        std::fs::write(trace.file("2026-11-24.db"), content).unwrap();
        // Reading names it and gives the rest.
        let page = trace.databases.search(&TraceQuery::default()).unwrap();
        assert_eq!(page.rows.len(), 1);
        assert_eq!(page.damaged.len(), 1);
        assert_eq!(page.damaged[0].0, "2026-11-24");
        assert_eq!(trace.databases.last_position(), Ok(Some(1)));
        // Writing sets it aside and begins anew; nothing was deleted.
        let appended = trace.append(&[(2, delivered(NOON, "b@x.test"))]);
        assert_eq!((appended.new, appended.set_aside.len()), (1, 1));
        assert_eq!(appended.set_aside[0].name, "2026-11-24.damaged");
        assert_eq!(
            std::fs::read(trace.file("2026-11-24.damaged")).unwrap(),
            *content
        );
        assert_eq!(trace.search(""), [2, 1]);
    }
}

#[test]
fn a_database_with_other_tables_is_set_aside_and_one_of_the_future_is_left_alone() {
    let mut trace = Trace::new();
    let foreign = Connection::open(trace.file("2026-11-24.db")).unwrap();
    foreign.execute_batch("CREATE TABLE event (a)").unwrap();
    drop(foreign);
    let newer = Connection::open(trace.file("2026-11-25.db")).unwrap();
    newer
        .execute_batch("CREATE TABLE thing (a); PRAGMA user_version = 99")
        .unwrap();
    drop(newer);
    assert_eq!(
        trace
            .append(&[(1, delivered(NOON, "a@x.test"))])
            .set_aside
            .len(),
        1
    );
    let event = delivered(NOON + DAY, "a@x.test");
    let record = TraceRecord {
        position: 2,
        line: &event.to_json(),
        event: &event,
    };
    let error = trace.writer.append(&[record]).unwrap_err();
    assert_eq!(
        error,
        TraceDatabaseError::Newer {
            day: "2026-11-25".to_owned()
        }
    );
    // Not damaged: setting it aside would hide what the newer version wrote.
    let page = trace.databases.search(&TraceQuery::default()).unwrap();
    assert_eq!(
        (page.rows.len(), page.damaged.len(), page.unread.len()),
        (1, 0, 1)
    );
}

#[test]
fn damage_in_the_middle_of_a_day_costs_that_day_at_most() {
    let mut trace = Trace::new();
    let subject = "x".repeat(500);
    let event = |millis| Event {
        subject: text(&subject),
        ..delivered(millis, "b@example.org")
    };
    let events: Vec<_> = (1..=2_000).map(|n| (n, event(NOON))).collect();
    trace.append(&[(0, delivered(NOON - DAY, "b@example.org"))]);
    trace.append(&events);
    trace.writer.open.clear();
    let file = trace.file("2026-11-24.db");
    let mut content = std::fs::read(&file).unwrap();
    let middle = content.len() / 2;
    content[middle..middle + 65_536].fill(0xa5);
    std::fs::write(&file, content).unwrap();
    let query = TraceQuery {
        limit: 10_000,
        ..TraceQuery::parse("to:b@example.org").unwrap()
    };
    let page = trace.databases.search(&query).unwrap();
    assert_eq!(page.damaged.len(), 1, "{:?}", page.damaged);
    assert_eq!(page.rows.last().unwrap().position, 0);
    let mut writer = trace.databases.writer().unwrap();
    let aside = writer
        .set_aside(&page.damaged[0].0, &page.damaged[0].1)
        .unwrap();
    assert_eq!(aside.name, "2026-11-24.damaged");
    let page = trace.databases.search(&query).unwrap();
    assert_eq!((page.rows.len(), page.damaged.len()), (1, 0));
}

#[test]
fn days_beyond_the_retention_are_removed_one_a_call_oldest_first() {
    let mut trace = Trace::new();
    for day in 0..5 {
        let event = delivered(NOON - day * DAY, "a@x.test");
        trace.append(&[(10 - u64::try_from(day).unwrap(), event)]);
    }
    std::fs::write(trace.file("2026-11-20.damaged"), b"x").unwrap();
    std::fs::write(trace.file("notes.txt"), b"x").unwrap();
    let now = Timestamp::from_millis(NOON);
    assert_eq!(
        trace.writer.purge(now, 2),
        Ok(Some("2026-11-20".to_owned()))
    );
    assert_eq!(trace.search("").len(), 4);
    assert_eq!(
        trace.writer.purge(now, 2),
        Ok(Some("2026-11-21".to_owned()))
    );
    assert_eq!(trace.writer.purge(now, 2), Ok(None));
    assert_eq!(trace.search(""), [10, 9, 8]);
    assert!(
        !trace
            .names()
            .iter()
            .any(|name| name.starts_with("2026-11-20"))
    );
    assert!(trace.file("notes.txt").exists());
    // A clock far ahead takes one day a call.
    let future = Timestamp::from_millis(NOON + 5_000 * DAY);
    assert_eq!(
        trace.writer.purge(future, 2),
        Ok(Some("2026-11-22".to_owned()))
    );
    assert_eq!(trace.search(""), [10, 9]);
    // What was open for writing and is removed is begun anew.
    assert_eq!(
        trace.writer.purge(future, 2),
        Ok(Some("2026-11-23".to_owned()))
    );
    trace.append(&[(11, delivered(NOON - DAY, "a@x.test"))]);
    assert_eq!(trace.search(""), [11, 10]);
}

#[test]
fn a_clock_out_of_all_bounds_makes_a_name_that_is_found_again() {
    let mut trace = Trace::new();
    for (position, millis) in [(1, i64::MIN), (2, -1), (3, 0), (4, i64::MAX)] {
        trace.append(&[(position, at(millis, EventKind::AlertRaised))]);
    }
    assert_eq!(
        trace.databases.days().unwrap(),
        ["9999-12-30", "1970-01-01"]
    );
    assert_eq!(trace.search(""), [4, 3, 2, 1]);
}

#[test]
fn refused_attempts_are_grouped_by_address_and_token_over_days() {
    let mut trace = Trace::new();
    trace.append(&[
        (1, refused(NOON - 2 * DAY, "192.0.2.1", Some("SRC-UNKNOWN"))),
        (2, refused(NOON - DAY, "192.0.2.1", Some("SRC-UNKNOWN"))),
        (3, refused(NOON, "192.0.2.1", Some("SRC-UNKNOWN"))),
        (4, refused(NOON + 1, "192.0.2.1", Some("FROM-DOMAIN"))),
        (5, refused(NOON + 2, "2001:db8::1", None)),
        (
            6,
            refused(NOON + 3, "::ffff:192.0.2.1", Some("SRC-UNKNOWN")),
        ),
        (7, delivered(NOON + 4, "b@example.org")),
        (8, at(NOON + 5, EventKind::ConnectionRefused)),
    ]);
    let since = Timestamp::from_millis(NOON - DAY);
    let page = trace.databases.refused(since, 10).unwrap();
    let found: Vec<_> = page
        .groups
        .iter()
        .map(|group| {
            (
                group.address.to_string(),
                group.last.token.as_deref(),
                group.count,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("192.0.2.1".to_owned(), Some("SRC-UNKNOWN"), 3),
            ("2001:db8::1".to_owned(), None, 1),
            ("192.0.2.1".to_owned(), Some("FROM-DOMAIN"), 1),
        ]
    );
    assert_eq!(page.groups[0].last.time, Timestamp::from_millis(NOON + 3));
    assert_eq!(trace.databases.refused(since, 1).unwrap().groups.len(), 1);
}

#[test]
fn a_folder_that_may_not_be_written_can_be_read() {
    use std::os::unix::fs::PermissionsExt;

    let mut trace = Trace::new();
    trace.append(&[(1, delivered(NOON, "a@x.test"))]);
    trace.writer.open.clear();
    assert_eq!(
        files::names(&trace.folder.path().join("trace")).unwrap(),
        ["2026-11-24.db"]
    );
    let folder = trace.folder.path().join("trace");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    let found = trace.databases.search(&TraceQuery::default()).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!((found.rows.len(), found.damaged), (1, Vec::new()));
    let odd = Path::new("/a b/é?#%.db");
    assert_eq!(
        immutable_uri(odd),
        "file:/a%20b/%C3%A9%3F%23%25.db?immutable=1"
    );
}

// ---- a model: what the databases find is what matches, whatever the order of storing ------------

#[derive(Clone, Debug)]
struct Made {
    kind: usize,
    address: usize,
    client: usize,
    minutes: i64,
    gap: u64,
}

fn made() -> impl Strategy<Value = Made> {
    (
        0..EventKind::ALL.len(),
        0..5_usize,
        0..4_usize,
        -2_000..2_000_i64,
        1..9_000_u64,
    )
        .prop_map(|(kind, address, client, minutes, gap)| Made {
            kind,
            address,
            client,
            minutes,
            gap,
        })
}

fn build(made: &Made) -> Event {
    let addresses = ["a@x.test", "b@x.test", "A@y.test", "postmaster", ""];
    let clients: [IpAddr; 3] =
        ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|text| text.parse().unwrap());
    let replies = [
        None,
        Some("250 ok"),
        Some("550 5.7.1 no"),
        Some("451 4.7.0 x"),
        Some("odd"),
    ];
    let kind = EventKind::ALL[made.kind];
    let address: Arc<str> = Arc::from(addresses[made.address]);
    Event {
        queue_id: (made.client != 0).then(|| QueueId::new(Timestamp::from_millis(NOON), 1, 1)),
        organisation: text(["contoso", "fabrikam"][made.client % 2]),
        inbound_connector: text(["Printers", "Scanners"][made.address % 2]),
        client: clients.get(made.client).map(|address| {
            Arc::new(ClientSummary {
                address: *address,
                helo: text("scan2"),
                credential: None,
                certificate: None,
            })
        }),
        from: Some(Arc::from(addresses[(made.address + made.client) % 5])),
        to: Some(To::Many(vec![address, Arc::from("c@z.test")])),
        subject: text(["Scan", "NUMÉRISATION \"2\"", "x"][made.client % 3]),
        size: Some(made.gap),
        reply: replies[(made.kind + made.address) % 5].map(Arc::from),
        ..at(NOON + made.minutes * 60_000, kind)
    }
}

const QUERIES: &[&str] = &[
    "",
    "to:a@x.test",
    "to:x.test",
    "to:a",
    "to:postmaster",
    "to:*@x.test",
    "to:c to:a",
    "from:<>",
    "from:y.test",
    "client:192.0.2.1",
    "client:192.0.2.0/24",
    "client:scan2",
    "client:2001*",
    "connector:printers",
    "status:delivered",
    "status:refused",
    "status:failed",
    "code:550",
    "code:5.7.*",
    "code:4*",
    "code:250",
    "size:>4kb",
    "tls:none",
    "subject:scan",
    "subject:numérisation",
    "subject:\"\\\"2\"",
    "event:recipient.*",
    "event:notice.sent",
    "organisation:contoso",
    "organisation:contoso to:b status:refused",
    "scan",
    "odd",
    "@y.test",
    "status:held client:192.0.2.2 from:x.test",
    "token:*",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn the_databases_find_what_matches(
        events in proptest::collection::vec(made(), 1..80),
        batch in 1..20_usize,
        limit in 1..12_usize,
        since in proptest::option::of(-2_000..2_000_i64),
        until in proptest::option::of(-2_000..2_000_i64),
    ) {
        let mut trace = Trace::new();
        let mut position = SEGMENT - 100;
        let events: Vec<_> = events
            .iter()
            .map(|made| {
                position += made.gap;
                (position, build(made))
            })
            .collect();
        for batch in events.chunks(batch) {
            trace.append(batch);
        }
        for text in QUERIES {
            let time = |minutes| Timestamp::from_millis(NOON + minutes * 60_000);
            let mut query = TraceQuery {
                since: since.map(time),
                until: until.map(time),
                limit,
                ..TraceQuery::parse(text).unwrap()
            };
            let expected: Vec<_> = events
                .iter()
                .rev()
                .filter(|(_, event)| query.matches(event))
                .map(|(position, _)| *position)
                .collect();
            let mut found = Vec::new();
            loop {
                let page = trace.databases.search_within(&query, 200).unwrap();
                prop_assert!(page.rows.len() <= limit && page.damaged.is_empty());
                found.extend(page.rows.iter().map(|row| row.position));
                let Some(next) = page.next else { break };
                prop_assert!(query.before.is_none_or(|before| next < before), "{}", text);
                query.before = Some(next);
            }
            prop_assert_eq!(found, expected, "{}", text);
        }
    }
}

/// Run by hand, optimised: `cargo test --release -p relais-store measure -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn measure_storing_and_searching() {
    let number = |name: &str, usual: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(usual)
    };
    let (messages, batch) = (number("MESSAGES", 100_000), number("BATCH", 1_000));
    let mut trace = Trace::new();
    let mut events = Vec::new();
    let mut position = 0;
    let (mut cpu, mut wall, mut json_time) =
        (0.0, std::time::Duration::ZERO, std::time::Duration::ZERO);
    for message in 0..messages {
        for event in usual_events(message, messages) {
            position += 1;
            events.push((position, event));
        }
        if events.len() as u64 >= batch || message + 1 == messages {
            let started = std::time::Instant::now();
            let lines = lines_of(&events);
            json_time += started.elapsed();
            let records = records_of(&events, &lines);
            let (started, before) = (std::time::Instant::now(), cpu_seconds());
            trace.writer.append(&records).unwrap();
            wall += started.elapsed();
            cpu += cpu_seconds() - before;
            events.clear();
        }
    }
    let each = |seconds: f64| seconds * 1e6 / position as f64;
    println!(
        "{position} events in batches of {batch}: {:.0}/s, {:.1} µs CPU each; JSON {:.2} µs each",
        position as f64 / wall.as_secs_f64(),
        each(cpu),
        each(json_time.as_secs_f64()),
    );
    let size = std::fs::metadata(trace.file("2026-11-24.db"))
        .unwrap()
        .len();
    println!("{} octets each in the file", size / position);
    for text in [
        "",
        "status:failed",
        "to:u77@d7.test",
        "client:10.0.0.77",
        "subject:\"no 77 \"",
        "code:5.1.*",
        "status:delivered connector:printers",
        "to:*7777@d1.test",
        "nothing here",
        "organisation:contoso to:d7.test status:failed",
        "7F3K2",
    ] {
        let started = std::time::Instant::now();
        let page = trace
            .databases
            .search(&TraceQuery::parse(text).unwrap())
            .unwrap();
        let took = started.elapsed();
        println!(
            "{took:>10.1?} {:>5} rows, all: {:<5} {text}",
            page.rows.len(),
            page.next.is_none()
        );
    }
}

fn usual_events(message: u64, messages: u64) -> [Event; 3] {
    let spread = message.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let time = NOON + i64::try_from(message * 10_000_000 / messages).unwrap();
    let to = format!("u{}@d{}.test", spread % 500_000, spread % 5_000);
    let message_event = Event {
        queue_id: Some(QueueId::new(
            Timestamp::from_millis(time),
            1,
            (message % 16_384) as u16,
        )),
        organisation: text("contoso"),
        inbound_connector: text(["Printers", "Applications"][(spread % 2) as usize]),
        client: Some(Arc::new(ClientSummary {
            address: IpAddr::from([10, 0, (spread / 256 % 4) as u8, (spread % 256) as u8]),
            helo: Some(Arc::from(format!("scan{}", spread % 1_000))),
            credential: None,
            certificate: None,
        })),
        from: Some(Arc::from(format!("device{}@contoso.test", spread % 1_000))),
        header_from: Some(Arc::from(format!("device{}@contoso.test", spread % 1_000))),
        subject: Some(Arc::from(format!(
            "Document no {message} scanned on floor 2"
        ))),
        size: Some(4_096),
        duration_ms: Some(12),
        settings_version: Some(3),
        ..at(time, EventKind::MessageAccepted)
    };
    let attempted = Event {
        kind: EventKind::DeliveryAttempted,
        outbound_connector: text("Microsoft 365"),
        next_hop: text("mx.example.org[192.0.2.1]:25"),
        to: Some(To::Many(vec![Arc::from(to.as_str())])),
        reply: text("250 2.0.0 ok queued as 4XyZ12abc"),
        ..message_event.clone()
    };
    let failed = message % 5_000 == 77;
    let result = Event {
        kind: if failed {
            EventKind::RecipientFailed
        } else {
            EventKind::RecipientDelivered
        },
        to: Some(To::One(Arc::from(to.as_str()))),
        reply: text(if failed {
            "550 5.1.1 No such user"
        } else {
            "250 2.0.0 ok"
        }),
        attempts: Some(1),
        ..attempted.clone()
    };
    [
        Event {
            to: attempted.to.clone(),
            ..message_event
        },
        attempted,
        result,
    ]
}

/// CPU of this process so far, user and system, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

// ---- sketches ----------------------------------------------------------------------------------

/// More than a sheet, with one event that is unlike the others.
fn sheets(rare_at: u64, rare: &Event) -> Vec<(u64, Event)> {
    let one = |position: u64| {
        let mut event = delivered(NOON, "b@example.org");
        event.subject = text("Scan from the office");
        event.size = Some(40_000);
        if position == rare_at {
            event = rare.clone();
        }
        (position, event)
    };
    (0..40_000).map(one).collect()
}

#[test]
fn what_no_list_holds_is_found_at_small_cost() {
    let mut trace = Trace::new();
    let rare = Event {
        subject: text("Quarterly figures 774321"),
        size: Some(12_000_000),
        ..delivered(NOON, "c@example.org")
    };
    for part in sheets(300, &rare).chunks(4_096) {
        trace.append(part);
    }
    for query in ["subject:774321", "figures", "size:>10mb", "to:c@ex*"] {
        let parsed = TraceQuery::parse(query).unwrap();
        // 40,000 events, of which a block is read. All of them would cost 240,000.
        let page = trace.databases.search_within(&parsed, 1_000).unwrap();
        let found: Vec<_> = page.rows.iter().map(|row| row.position).collect();
        assert_eq!((found, page.next), (vec![300], None), "{query}");
    }
}

#[test]
fn an_event_that_comes_late_into_a_finished_sheet_is_found() {
    let mut trace = Trace::new();
    let rare = delivered(NOON, "c@example.org");
    let mut all = sheets(300, &rare);
    let late = all.remove(300);
    for part in all.chunks(4_096) {
        trace.append(part);
    }
    trace.append(&[late]);
    assert_eq!(trace.search("to:c@ex*"), [300]);
}

#[test]
fn a_restart_in_the_middle_of_a_sheet_hides_nothing() {
    let mut trace = Trace::new();
    let rare = delivered(NOON, "c@example.org");
    let all = sheets(300, &rare);
    trace.append(&all[..10_000]);
    trace.writer = trace.databases.writer().unwrap();
    for part in all[10_000..].chunks(4_096) {
        trace.append(part);
    }
    let parsed = TraceQuery::parse("to:c@ex*").unwrap();
    let page = trace.databases.search_within(&parsed, 1_000).unwrap();
    assert_eq!((page.rows.len(), page.next), (1, None));
}

#[test]
fn a_day_that_ended_while_the_server_was_off_gets_its_sketches() {
    let mut trace = Trace::new();
    let rare = delivered(NOON, "c@example.org");
    let all = sheets(300, &rare);
    trace.append(&all[..10_000]);
    trace.writer = trace.databases.writer().unwrap();
    let tomorrow = Timestamp::from_millis(NOON + DAY);
    trace.writer.catch_up(tomorrow).unwrap();
    let parsed = TraceQuery::parse("to:c@ex*").unwrap();
    let page = trace.databases.search_within(&parsed, 2_000).unwrap();
    assert_eq!((page.rows.len(), page.next), (1, None));
}

#[test]
fn a_day_without_sketches_is_read_as_before() {
    let mut trace = Trace::new();
    let rare = delivered(NOON, "c@example.org");
    trace.append(&sheets(300, &rare)[..1_000]);
    trace.writer = trace.databases.writer().unwrap();
    let file = Connection::open(trace.file("2026-11-24.db")).unwrap();
    file.execute_batch("DROP TABLE sheet; DROP TABLE sketch; DROP TABLE tally; DROP TABLE device;")
        .unwrap();
    assert_eq!(trace.search("to:c@ex*"), [300]);
    let none = TallyQuery::new(Measure::Outcome, Timestamp::from_millis(0));
    assert_eq!(trace.databases.tallies(&[none]).unwrap(), [[]]);
    trace.append(&[(2_000, rare)]);
    assert_eq!(trace.search("to:c@ex*"), [2_000, 300]);
}

// ---- numbers -----------------------------------------------------------------------------------

#[test]
fn an_event_stored_twice_is_counted_once() {
    let mut trace = Trace::new();
    let events: Vec<_> = (1..=5)
        .map(|n| (n, delivered(NOON, "b@example.org")))
        .collect();
    trace.append(&events[..3]);
    trace.append(&events);
    trace.append(&[(9, delivered(NOON + DAY, "b@example.org"))]);
    let all = TallyQuery::new(Measure::Destination, Timestamp::from_millis(NOON - DAY));
    let by_step = TallyQuery {
        by_step: true,
        until: Some(Timestamp::from_millis(NOON + DAY)),
        ..all.clone()
    };
    let told = trace.databases.tallies(&[all, by_step]).unwrap();
    let numbers = |tallies: &[Tally]| -> Vec<_> {
        let one = |tally: &Tally| (tally.name.to_string(), tally.outcome, tally.count);
        tallies.iter().map(one).collect()
    };
    assert_eq!(
        numbers(&told[0]),
        [("example.org".to_owned(), "delivered", 6)]
    );
    assert_eq!(
        numbers(&told[1]),
        [("example.org".to_owned(), "delivered", 5)]
    );
    assert_eq!(told[1][0].time.as_millis(), NOON);
}

#[test]
fn a_finished_day_is_added_up_and_what_comes_late_is_counted_too() {
    let mut trace = Trace::new();
    let all = TallyQuery::new(Measure::Destination, Timestamp::from_millis(NOON - DAY));
    let count = |trace: &Trace| -> u64 {
        let told = trace.databases.tallies(std::slice::from_ref(&all)).unwrap();
        told[0].iter().map(|tally| tally.count).sum()
    };
    for day in 0..4_i64 {
        let at = NOON + day * DAY;
        let position = day.unsigned_abs() * 10;
        trace.append(&[
            (position, delivered(at, "b@example.org")),
            (position + 1, delivered(at + 3_600_000, "b@example.org")),
        ]);
    }
    let file = Connection::open(trace.file("2026-11-24.db")).unwrap();
    let sql = "SELECT count FROM tally WHERE measure = 106";
    assert_eq!(file.query_row(sql, [], |row| row.get(0)), Ok(2));
    assert_eq!(count(&trace), 8);
    trace.append(&[(99, delivered(NOON + 7_200_000, "b@example.org"))]);
    assert_eq!(count(&trace), 9);
}

#[test]
fn names_beyond_the_bound_of_an_hour_are_counted_together() {
    let mut trace = Trace::new();
    let many = TALLY_NAMES_MAX as u64 + 500;
    let events: Vec<_> = (0..many)
        .map(|n| (n + 1, delivered(NOON, &format!("b@d{n}.example"))))
        .collect();
    trace.append(&events);
    let all = TallyQuery::new(Measure::Destination, Timestamp::from_millis(NOON - DAY));
    let told = trace.databases.tallies(&[all]).unwrap().remove(0);
    assert_eq!(told.len(), TALLY_NAMES_MAX + 1);
    assert_eq!(told.iter().map(|tally| tally.count).sum::<u64>(), many);
    let others = told.iter().find(|tally| &*tally.name == TALLY_OTHERS);
    assert_eq!(others.map(|tally| tally.count), Some(500));
}

#[test]
fn the_queue_over_time_is_read_back_oldest_first() {
    let mut trace = Trace::new();
    let sample = |minutes: i64, queued| QueueSample {
        time: Timestamp::from_millis(NOON + minutes * 60_000),
        queued,
        ..QueueSample::default()
    };
    let all = [sample(0, 3), sample(1, 2), sample(24 * 60, 0)];
    for one in &all {
        trace.writer.note_queue(one).unwrap();
    }
    let told = trace.databases.queue_samples(Timestamp::from_millis(NOON));
    assert_eq!(told.unwrap(), all);
}
