//! What is asked for in lists, and of messages as a whole: looked up, never scanned for.

use super::*;

#[test]
fn a_list_of_addresses_and_what_is_partly_delivered_are_looked_up_and_never_scanned_for() {
    let mut trace = Trace::new();
    let id = |number: u16| QueueId::new(Timestamp::from_millis(NOON), 1, number);
    let of = |number: u16, event: Event| Event {
        queue_id: Some(id(number)),
        ..event
    };
    let failed = |to: &str| Event {
        kind: EventKind::RecipientFailed,
        ..delivered(NOON, to)
    };
    let mut events: Vec<_> = (1..60_000)
        .map(|at| (at, delivered(NOON, &format!("user{at}@x.test"))))
        .collect();
    events[99].1 = of(1, failed("lost@example.org"));
    events[199].1 = of(1, delivered(NOON, "found@example.org"));
    events[299].1 = of(2, failed("alone@example.org"));
    events[399].1 = Event {
        from: text("Lost@example.org"),
        ..delivered(NOON, "b@x.test")
    };
    trace.append(&events);
    // A hundredth of what looking at each would cost.
    let within = |text: &str, budget: u64| {
        let query = TraceQuery::parse(text).unwrap();
        let page = trace.databases.search_within(&query, budget).unwrap();
        assert_eq!(page.next, None, "{text}");
        page.rows.iter().map(|row| row.position).collect::<Vec<_>>()
    };
    assert_eq!(within("lost@example.org, nobody@x.test", 600), [400, 100]);
    assert_eq!(within("user7@x.test; user9@x.test", 600), [9, 7]);
    assert_eq!(within("status:partly", 40_000), [100]);
}

/// Messages of which one recipient was not reached, and another was, by number of the first event.
fn partly(trace: &mut Trace, messages: u64) {
    let mut events = Vec::new();
    for number in 0..messages {
        let id = QueueId::new(Timestamp::from_millis(NOON), 1, number as u16);
        let failed = Event {
            kind: EventKind::RecipientFailed,
            queue_id: Some(id),
            ..delivered(NOON, "lost@example.org")
        };
        let reached = Event {
            queue_id: Some(id),
            ..delivered(NOON, "found@example.org")
        };
        events.extend([(2 * number + 1, failed), (2 * number + 2, reached)]);
    }
    trace.append(&events);
}

#[test]
fn what_is_partly_delivered_is_looked_for_within_one_budget_and_page_by_page_all_is_found() {
    let mut trace = Trace::new();
    partly(&mut trace, 100);
    let mut query = TraceQuery::parse("status:partly").unwrap();
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        // Enough to read what is there and to open the day, and for some of them.
        let page = trace.databases.search_within(&query, 12_000).unwrap();
        assert!(page.rows.len() < 100, "{}", page.rows.len());
        found.extend(page.rows.iter().map(|row| row.position));
        pages += 1;
        let Some(next) = page.next else { break };
        assert!(page.searched_to.is_some());
        assert!(
            query.before.is_none_or(|before| next < before),
            "it gets on"
        );
        query.before = Some(next);
    }
    let all: Vec<_> = (0..100).rev().map(|number| 2 * number + 1).collect();
    assert_eq!(found, all);
    assert!(pages > 1);
}

#[test]
fn what_is_partly_delivered_is_looked_for_in_the_days_of_its_life_only() {
    let mut trace = Trace::new();
    partly(&mut trace, 1);
    let lost = Event {
        kind: EventKind::RecipientFailed,
        queue_id: Some(QueueId::new(Timestamp::from_millis(NOON), 1, 9)),
        ..delivered(NOON, "alone@example.org")
    };
    trace.append(&[(10, lost)]);
    let day = |after: i64| Timestamp::from_millis(NOON + after * DAY).day();
    for day in [day(2), day(60)] {
        std::fs::write(trace.databases.file_of(&day), vec![b'x'; 8_192]).unwrap();
    }
    let query = TraceQuery {
        until: Some(Timestamp::from_millis(NOON + 3_600_000)),
        ..TraceQuery::parse("status:partly").unwrap()
    };
    let page = trace.databases.search(&query).unwrap();
    assert_eq!(
        page.rows.iter().map(|row| row.position).collect::<Vec<_>>(),
        [1]
    );
    let damaged: Vec<_> = page.damaged.iter().map(|(day, _)| day.clone()).collect();
    assert_eq!(
        damaged,
        [day(2)],
        "the other one cannot have any of its events"
    );
}
