//! The trace: no event of a committed message is ever missing.

use std::sync::atomic::Ordering;

use relais_smtp::identifier::Reference;
use relais_store::queue::RecipientChange;
use relais_store::trace::tally::{Measure, Tally, TallyQuery};
use relais_store::trace::{ClientSummary, Event, EventKind, TraceQuery};

use crate::world::{NOW, World, at, commit, deferred, lease_one, settlement};

fn query(text: &str) -> TraceQuery {
    TraceQuery::parse(text).unwrap()
}

async fn every_event_of_a_committed_message_is_in_the_trace(mut world: World) {
    let mut ids = Vec::new();
    for second in 0..10 {
        ids.push(commit(world.store(), &["a@example.org"], at(second)).await);
        if second % 3 == 0 {
            let leased = lease_one(world.store(), "example.org", at(second))
                .await
                .unwrap();
            let change = if second == 3 {
                deferred(at(2))
            } else {
                RecipientChange::Done
            };
            world
                .store()
                .settle(settlement(&leased, &change, at(second)))
                .await
                .unwrap();
        }
        if second % 4 == 1 {
            world.restart(at(second)).await;
        }
    }
    for id in &ids {
        let rows = world
            .store()
            .trace(&query(&format!("id:{id}")))
            .await
            .unwrap();
        assert!(
            rows.iter().any(|row| row.json.contains("message.accepted")),
            "{id}: {rows:?}"
        );
    }
    let count = async |text: &str| world.store().trace(&query(text)).await.unwrap().len();
    assert_eq!(count("event:message.accepted").await, 10);
    assert_eq!(count("event:recipient.delivered").await, 3);
    assert_eq!(count("event:recipient.deferred").await, 1);
}

async fn rows_come_newest_first_and_in_pages(world: World) {
    for second in 0..5 {
        commit(world.store(), &["a@example.org"], at(second)).await;
    }
    let mut page = TraceQuery {
        limit: 2,
        ..TraceQuery::default()
    };
    let mut seen = Vec::new();
    loop {
        let rows = world.store().trace(&page).await.unwrap();
        let Some(last) = rows.last() else { break };
        assert!(rows.len() <= 2);
        page.before = Some(last.position);
        seen.extend(rows);
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|one, other| one.position > other.position));
    assert!(seen[0].json.contains(&at(4).to_rfc3339()));
}

async fn a_change_that_was_refused_leaves_no_event(world: World) {
    let store = world.store();
    commit(store, &["a@example.org"], NOW).await;
    let old = lease_one(store, "example.org", NOW).await.unwrap();
    let new = lease_one(store, "example.org", at(60)).await.unwrap();
    store
        .settle(settlement(&old, &RecipientChange::Done, at(60)))
        .await
        .unwrap_err();
    assert_eq!(store.trace(&query("event:recipient.*")).await.unwrap(), []);
    store
        .settle(settlement(&new, &RecipientChange::Done, at(60)))
        .await
        .unwrap();
    assert_eq!(
        store
            .trace(&query("event:recipient.*"))
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn the_observer_and_live_readers_hear_of_each_event_once_and_in_order(world: World) {
    let mut live = world.store().live();
    for second in 0..3 {
        commit(world.store(), &["a@example.org"], at(second)).await;
    }
    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.extend(live.recv().await.unwrap().iter().map(|event| event.time));
    }
    assert_eq!(heard, [at(0), at(1), at(2)]);
    // The trace answers when the thread has told everybody.
    world.store().trace(&query("")).await.unwrap();
    assert_eq!(world.observed().load(Ordering::Relaxed), 3);
}

fn refused(address: &str, token: &str, second: u64) -> Event {
    Event {
        client: Some(std::sync::Arc::new(ClientSummary {
            address: address.parse().unwrap(),
            helo: None,
            credential: None,
            certificate: None,
        })),
        token: Some(token.into()),
        reference: Some(Reference::from_bits(u32::try_from(second).unwrap())),
        ..Event::new(at(second), EventKind::AttemptRefused)
    }
}

async fn refused_attempts_are_kept_and_grouped_by_address_and_reason(mut world: World) {
    for second in 0..4 {
        world
            .store()
            .record(refused("192.0.2.7", "SRC-UNKNOWN", second));
    }
    world.store().record(refused("192.0.2.7", "FROM-DOMAIN", 4));
    world.store().record(refused("192.0.2.8", "SRC-UNKNOWN", 5));
    for restarted in [false, true] {
        if restarted {
            world.restart(at(6)).await;
        }
        let groups = world.store().refused(at(1), 10).await.unwrap();
        let groups: Vec<_> = groups
            .iter()
            .map(|g| {
                (
                    g.address.to_string(),
                    g.last.token.clone().unwrap(),
                    g.last.time,
                    g.count,
                )
            })
            .collect();
        assert_eq!(
            groups,
            [
                ("192.0.2.8".to_owned(), "SRC-UNKNOWN".into(), at(5), 1),
                ("192.0.2.7".to_owned(), "FROM-DOMAIN".into(), at(4), 1),
                ("192.0.2.7".to_owned(), "SRC-UNKNOWN".into(), at(3), 3),
            ]
        );
    }
    assert_eq!(world.store().refused(at(0), 1).await.unwrap().len(), 1);
}

async fn every_store_counts_the_same(mut world: World) {
    for second in 0..3 {
        commit(world.store(), &["a@example.org"], at(second)).await;
    }
    let leased = lease_one(world.store(), "example.org", at(60))
        .await
        .unwrap();
    let done = settlement(&leased, &RecipientChange::Done, at(60));
    world.store().settle(done).await.unwrap();
    for restarted in [false, true] {
        if restarted {
            world.restart(at(61)).await;
        }
        let queries = vec![
            TallyQuery::new(Measure::Outcome, NOW),
            TallyQuery {
                by_step: true,
                ..TallyQuery::new(Measure::Destination, NOW)
            },
            TallyQuery {
                until: Some(NOW),
                ..TallyQuery::new(Measure::Outcome, NOW)
            },
        ];
        let told = world.store().tallies(queries).await.unwrap();
        let numbers = |place: usize| -> Vec<_> {
            let one = |tally: &Tally| (tally.name.to_string(), tally.outcome, tally.count);
            told[place].iter().map(one).collect()
        };
        let outcome = |outcome, count| (String::new(), outcome, count);
        assert_eq!(
            numbers(0),
            [outcome("accepted", 3), outcome("delivered", 1)]
        );
        assert_eq!(numbers(1), [("example.org".to_owned(), "delivered", 1)]);
        assert_eq!(numbers(2), []);
    }
}

async fn a_page_says_where_the_next_one_begins(world: World) {
    for second in 0..3 {
        commit(world.store(), &["a@example.org"], at(second)).await;
    }
    let mut asked = TraceQuery {
        limit: 2,
        ..query("event:message.accepted")
    };
    let first = world.store().trace_page(&asked).await.unwrap();
    assert_eq!(first.rows.len(), 2);
    assert_eq!(first.next, Some(first.rows[1].position));
    asked.before = first.next;
    let second = world.store().trace_page(&asked).await.unwrap();
    assert_eq!((second.rows.len(), second.next), (1, None));
}

async fn what_only_some_recipients_got_is_partly_delivered(world: World) {
    let store = world.store();
    let both = commit(store, &["a@example.org", "b@example.net"], at(0)).await;
    let lost = commit(store, &["c@example.net"], at(1)).await;
    let end = async |domain: &str, kind: EventKind, second: u64| {
        while let Some(leased) = lease_one(store, domain, at(second)).await {
            let mut settled = settlement(&leased, &RecipientChange::Done, at(second));
            settled
                .events
                .iter_mut()
                .for_each(|event| event.kind = kind);
            store.settle(settled).await.unwrap();
        }
    };
    end("example.net", EventKind::RecipientFailed, 2).await;
    let found = async |text: &str| store.trace(&query(text)).await.unwrap().len();
    assert_eq!(found("status:partly").await, 0, "nobody got any of it yet");
    end("example.org", EventKind::RecipientDelivered, 3).await;
    let page = store.trace_page(&query("status:partly")).await.unwrap();
    assert_eq!(page.rows.len(), 1, "{:?}", page.rows);
    assert!(page.rows[0].json.contains(&both.to_string()));
    assert_eq!(found("status:partly to:c@example.net").await, 0);
    let partly = store.delivered_in_part(vec![both, lost]).await.unwrap();
    assert_eq!(partly.into_iter().collect::<Vec<_>>(), [both]);
}

rules! {
    what_only_some_recipients_got_is_partly_delivered,
    every_store_counts_the_same,
    a_page_says_where_the_next_one_begins,
    every_event_of_a_committed_message_is_in_the_trace,
    rows_come_newest_first_and_in_pages,
    a_change_that_was_refused_leaves_no_event,
    the_observer_and_live_readers_hear_of_each_event_once_and_in_order,
    refused_attempts_are_kept_and_grouped_by_address_and_reason,
}
