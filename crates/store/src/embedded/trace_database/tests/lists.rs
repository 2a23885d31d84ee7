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
