//! Commit, lease, settle.

use relais_store::queue::{Content, Criteria, RecipientChange, SettleError, Settlement};

use crate::world::{
    NOW, World, at, commit, content_of, deferred, key, lease_one, message, message_with, read,
    settlement,
};

async fn what_is_committed_is_leased_with_all_it_had(world: World) {
    let store = world.store();
    let new = message(
        store,
        &["anna@example.org", "bob@example.org", "eve@example.net"],
        NOW,
    );
    let (facts, recipients) = (new.facts.clone(), new.recipients.clone());
    let queue_id = store.commit(new).await.unwrap().queue_id();
    assert_eq!(queue_id, facts.queue_id);

    let leased = lease_one(store, "example.org", NOW).await.unwrap();
    assert_eq!(*leased.facts, facts);
    assert_eq!(leased.key, key("example.org"));
    assert_eq!(read(store, &leased.content).await, content_of(queue_id));
    let addresses: Vec<_> = leased
        .recipients
        .iter()
        .map(|r| r.recipient.clone())
        .collect();
    assert_eq!(
        addresses,
        [
            recipients[0].recipient.clone(),
            recipients[1].recipient.clone()
        ]
    );
    assert_eq!(leased.recipients[1].number, 1);
    assert_eq!(leased.recipients[0].attempts, 0);
    assert_eq!(leased.recipients[0].expires_at, recipients[0].expires_at);
    assert!(lease_one(store, "example.org", NOW).await.is_none());
    assert!(lease_one(store, "example.net", NOW).await.is_some());
}

async fn a_settled_recipient_is_gone_for_good(mut world: World) {
    let queue_id = commit(world.store(), &["anna@example.org"], NOW).await;
    let leased = lease_one(world.store(), "example.org", NOW).await.unwrap();
    world
        .store()
        .settle(settlement(&leased, &RecipientChange::Done, NOW))
        .await
        .unwrap();
    world.restart(at(1)).await;
    assert!(
        lease_one(world.store(), "example.org", at(100_000))
            .await
            .is_none()
    );
    assert_eq!(world.store().counts().queued, 0);
    let listed = world
        .store()
        .list(&Default::default(), None, 10)
        .await
        .unwrap();
    assert!(listed.iter().all(|message| message.queue_id != queue_id));
}

async fn a_deferred_recipient_comes_back_at_its_time_and_not_before(mut world: World) {
    commit(world.store(), &["anna@example.org"], NOW).await;
    let leased = lease_one(world.store(), "example.org", NOW).await.unwrap();
    world
        .store()
        .settle(settlement(&leased, &deferred(at(300)), NOW))
        .await
        .unwrap();
    for restarted in [false, true] {
        if restarted {
            world.restart(at(1)).await;
        }
        let store = world.store();
        assert!(lease_one(store, "example.org", at(299)).await.is_none());
        assert_eq!(store.due(at(299), 10).await.unwrap(), []);
        assert_eq!(store.next_due(at(10)).await.unwrap(), Some(at(300)));
        let due = store.due(at(300), 10).await.unwrap();
        assert_eq!(due.len(), 1);
        assert_eq!(
            (&due[0].key, due[0].due, due[0].oldest),
            (&key("example.org"), 1, at(300))
        );
    }
    let leased = lease_one(world.store(), "example.org", at(300))
        .await
        .unwrap();
    assert_eq!(leased.recipients[0].attempts, 1);
    assert_eq!(
        leased.recipients[0].last_reply.as_deref(),
        Some("451 4.3.0 later")
    );
}

async fn an_old_token_settles_nothing(world: World) {
    let store = world.store();
    let queue_id = commit(store, &["anna@example.org"], NOW).await;
    let old = lease_one(store, "example.org", NOW).await.unwrap();
    // The lease was for a minute.
    assert!(lease_one(store, "example.org", at(59)).await.is_none());
    let new = lease_one(store, "example.org", at(60)).await.unwrap();
    assert!(new.lease.token > old.lease.token);
    let late = store
        .settle(settlement(&old, &RecipientChange::Done, at(61)))
        .await;
    assert_eq!(late, Err(SettleError::LeaseLost { queue_id }));
    assert_eq!(
        store.renew(&old.lease, at(500)).await,
        Err(SettleError::LeaseLost { queue_id })
    );
    store
        .settle(settlement(&new, &RecipientChange::Done, at(61)))
        .await
        .unwrap();
    let twice = store
        .settle(settlement(&new, &RecipientChange::Done, at(61)))
        .await;
    assert_eq!(twice, Err(SettleError::LeaseLost { queue_id }));
}

async fn messages_come_oldest_first_within_the_bounds_asked_for(world: World) {
    let store = world.store();
    let mut committed = Vec::new();
    for second in [30, 10, 20] {
        let to = ["a@example.org", "b@example.org", "c@example.org"];
        committed.push((second, commit(store, &to, at(second)).await));
    }
    committed.sort_unstable();
    let leased = store
        .lease(&key("example.org"), 2, 2, at(30), at(90))
        .await
        .unwrap();
    let ids: Vec<_> = leased.iter().map(|leased| leased.lease.queue_id).collect();
    // Two recipients of the oldest message, then its third.
    assert_eq!(ids, [committed[0].1, committed[0].1]);
    let numbers: Vec<Vec<u32>> = leased
        .iter()
        .map(|l| l.recipients.iter().map(|r| r.number).collect())
        .collect();
    assert_eq!(numbers, [vec![0, 1], vec![2]]);
    let rest = store
        .lease(&key("example.org"), 10, 100, at(29), at(90))
        .await
        .unwrap();
    assert_eq!(rest.len(), 1, "the one of second 30 is not due at 29");
    assert_eq!(rest[0].lease.queue_id, committed[1].1);
}

async fn queues_with_something_due_come_oldest_first(world: World) {
    let store = world.store();
    commit(store, &["a@late.example"], at(5)).await;
    commit(store, &["a@early.example", "b@early.example"], at(3)).await;
    commit(store, &["a@future.example"], at(100)).await;
    let due = store.due(at(10), 10).await.unwrap();
    let due: Vec<_> = due
        .iter()
        .map(|queue| (&*queue.key.destination, queue.due, queue.oldest))
        .collect();
    assert_eq!(
        due,
        [("early.example", 2, at(3)), ("late.example", 1, at(5))]
    );
    assert_eq!(store.due(at(10), 1).await.unwrap().len(), 1);
    assert_eq!(store.next_due(at(10)).await.unwrap(), Some(at(100)));
    lease_one(store, "early.example", at(10)).await.unwrap();
    assert_eq!(store.due(at(10), 10).await.unwrap().len(), 1);
    // The lease ends before the next message is due.
    assert_eq!(store.next_due(at(10)).await.unwrap(), Some(at(70)));
}

async fn recipients_may_be_settled_one_after_the_other(mut world: World) {
    let store = world.store();
    commit(store, &["a@example.org", "b@example.org"], NOW).await;
    let leased = lease_one(store, "example.org", NOW).await.unwrap();
    let mut first = settlement(&leased, &RecipientChange::Done, NOW);
    first.changes.truncate(1);
    store.settle(first).await.unwrap();
    let mut again = settlement(&leased, &RecipientChange::Done, NOW);
    again.changes.truncate(1);
    let twice = store.settle(again).await;
    assert!(
        matches!(twice, Err(SettleError::LeaseLost { .. })),
        "{twice:?}"
    );
    assert!(
        lease_one(store, "example.org", at(59)).await.is_none(),
        "the other stays leased"
    );
    let mut second = settlement(&leased, &deferred(at(100)), NOW);
    second.changes.remove(0);
    store.settle(second).await.unwrap();
    world.restart(at(1)).await;
    let leased = lease_one(world.store(), "example.org", at(100))
        .await
        .unwrap();
    assert_eq!(leased.recipients.len(), 1);
    assert_eq!(leased.recipients[0].number, 1);
    assert_eq!(
        leased.recipients[0].recipient.forward_path.to_string(),
        "b@example.org"
    );
}

async fn a_renewed_lease_goes_on(world: World) {
    let store = world.store();
    commit(store, &["a@example.org"], NOW).await;
    let leased = lease_one(store, "example.org", NOW).await.unwrap();
    store.renew(&leased.lease, at(600)).await.unwrap();
    assert!(lease_one(store, "example.org", at(599)).await.is_none());
    store
        .settle(settlement(&leased, &RecipientChange::Done, at(599)))
        .await
        .unwrap();
    assert!(lease_one(store, "example.org", at(601)).await.is_none());
}

async fn a_returned_recipient_was_not_tried(world: World) {
    let store = world.store();
    commit(store, &["a@example.org"], NOW).await;
    let leased = lease_one(store, "example.org", NOW).await.unwrap();
    let returned = RecipientChange::Returned { until: at(5) };
    store
        .settle(settlement(&leased, &returned, NOW))
        .await
        .unwrap();
    assert!(lease_one(store, "example.org", at(4)).await.is_none());
    let leased = lease_one(store, "example.org", at(5)).await.unwrap();
    assert_eq!(
        (
            leased.recipients[0].attempts,
            &leased.recipients[0].last_reply
        ),
        (0, &None)
    );
}

async fn what_is_told_of_a_delay_is_remembered(mut world: World) {
    commit(world.store(), &["a@example.org"], NOW).await;
    let leased = lease_one(world.store(), "example.org", NOW).await.unwrap();
    assert!(!leased.recipients[0].delay_told);
    let told = RecipientChange::Deferred {
        until: at(5),
        last_reply: "450 4.2.0 é".into(),
        delay_told: true,
    };
    world
        .store()
        .settle(settlement(&leased, &told, NOW))
        .await
        .unwrap();
    world.restart(at(1)).await;
    let leased = lease_one(world.store(), "example.org", at(5))
        .await
        .unwrap();
    assert!(leased.recipients[0].delay_told);
    assert_eq!(
        leased.recipients[0].last_reply.as_deref(),
        Some("450 4.2.0 é")
    );
}

async fn expired_recipients_are_leased_due_or_not(world: World) {
    let store = world.store();
    let queue_id = commit(store, &["a@example.org", "b@example.net"], NOW).await;
    let leased = lease_one(store, "example.org", NOW).await.unwrap();
    store
        .settle(settlement(&leased, &deferred(at(200_000)), NOW))
        .await
        .unwrap();
    assert!(
        store
            .lease_expired(10, at(86_399), at(90_000))
            .await
            .unwrap()
            .is_empty()
    );
    let expired = store
        .lease_expired(10, at(86_400), at(90_000))
        .await
        .unwrap();
    let mut queues: Vec<_> = expired
        .iter()
        .map(|l| (*l.key.destination).to_owned())
        .collect();
    queues.sort();
    assert_eq!(
        queues,
        ["example.net", "example.org"],
        "one lease for each queue"
    );
    assert!(
        expired
            .iter()
            .all(|leased| leased.lease.queue_id == queue_id)
    );
    assert_eq!(read(store, &expired[0].content).await, content_of(queue_id));
    assert!(
        store
            .lease_expired(10, at(86_400), at(90_000))
            .await
            .unwrap()
            .is_empty()
    );
    for leased in &expired {
        store
            .settle(settlement(leased, &RecipientChange::Done, at(86_400)))
            .await
            .unwrap();
    }
    assert_eq!(
        store.list(&Criteria::default(), None, 10).await.unwrap(),
        []
    );
}

async fn a_notice_is_committed_with_its_settlement_or_not_at_all(mut world: World) {
    let store = world.store();
    commit(store, &["a@example.org"], NOW).await;
    let leased = lease_one(store, "example.org", NOW).await.unwrap();
    let notice = message(store, &["scan@contoso.test"], NOW);
    let late = message(store, &["late@contoso.test"], NOW);
    let with = |notice| Settlement {
        notices: vec![notice],
        ..settlement(&leased, &RecipientChange::Done, NOW)
    };
    store.settle(with(notice)).await.unwrap();
    let lost = store.settle(with(late)).await;
    assert!(matches!(lost, Err(SettleError::LeaseLost { .. })));
    for restarted in [false, true] {
        if restarted {
            world.restart(at(1)).await;
        }
        let listed = world
            .store()
            .list(&Criteria::default(), None, 10)
            .await
            .unwrap();
        let to: Vec<_> = listed.iter().map(|m| m.recipients[0].to.as_str()).collect();
        assert_eq!(to, ["scan@contoso.test"]);
    }
    assert!(
        lease_one(world.store(), "contoso.test", at(1))
            .await
            .is_some()
    );
}

async fn leases_end_with_the_process(mut world: World) {
    commit(world.store(), &["a@example.org"], NOW).await;
    let before = lease_one(world.store(), "example.org", NOW).await.unwrap();
    world.restart(at(1)).await;
    let again = lease_one(world.store(), "example.org", at(1))
        .await
        .unwrap();
    assert_eq!(again.lease.queue_id, before.lease.queue_id);
    assert_eq!(again.recipients, before.recipients);
}

async fn queue_ids_grow_across_restarts_and_clocks_that_go_back(mut world: World) {
    let mut last = world.store().next_queue_id(at(100));
    for round in 0..3 {
        commit(world.store(), &["a@example.org"], at(100)).await;
        let leased = lease_one(world.store(), "example.org", at(100))
            .await
            .unwrap();
        last = last.max(leased.lease.queue_id);
        let done = settlement(&leased, &RecipientChange::Done, at(100));
        world.store().settle(done).await.unwrap();
        world.restart(at(50 - round)).await;
        let next = world.store().next_queue_id(at(50 - round));
        assert!(next > last, "{next} after {last}");
        last = next;
    }
}

async fn the_bell_rings_for_what_may_be_due(world: World) {
    let store = world.store();
    let bell = store.bell();
    commit(store, &["a@example.org"], NOW).await;
    bell.heard().await;
    let leased = lease_one(store, "example.org", NOW).await.unwrap();
    store
        .settle(settlement(&leased, &deferred(at(5)), NOW))
        .await
        .unwrap();
    bell.heard().await;
}

async fn a_message_without_recipients_is_refused(world: World) {
    let store = world.store();
    assert!(store.commit(message(store, &[], NOW)).await.is_err());
    assert_eq!(store.unhealthy(), None);
    commit(store, &["a@example.org"], NOW).await;
}

async fn two_messages_of_one_queue_id_are_a_mistake_that_harms_no_other(world: World) {
    let store = world.store();
    let first = message(store, &["a@example.org"], NOW);
    let queue_id = first.facts.queue_id;
    let content = Content::Inline(content_of(queue_id).into());
    let twin = message_with(queue_id, &["b@example.org"], NOW, content);
    store.commit(first).await.unwrap().queue_id();
    let other = message(store, &["c@example.org"], NOW);
    let (refused, accepted) = tokio::join!(store.commit(twin), store.commit(other));
    assert!(refused.is_err());
    accepted.unwrap().queue_id();
    assert_eq!(store.unhealthy(), None);
    assert_eq!(store.counts().queued, 2);
}

rules! {
    messages_come_oldest_first_within_the_bounds_asked_for,
    queues_with_something_due_come_oldest_first,
    recipients_may_be_settled_one_after_the_other,
    a_renewed_lease_goes_on,
    a_returned_recipient_was_not_tried,
    what_is_told_of_a_delay_is_remembered,
    expired_recipients_are_leased_due_or_not,
    a_notice_is_committed_with_its_settlement_or_not_at_all,
    leases_end_with_the_process,
    queue_ids_grow_across_restarts_and_clocks_that_go_back,
    the_bell_rings_for_what_may_be_due,
    a_message_without_recipients_is_refused,
    two_messages_of_one_queue_id_are_a_mistake_that_harms_no_other,
    what_is_committed_is_leased_with_all_it_had,
    a_settled_recipient_is_gone_for_good,
    a_deferred_recipient_comes_back_at_its_time_and_not_before,
    an_old_token_settles_nothing,
}
