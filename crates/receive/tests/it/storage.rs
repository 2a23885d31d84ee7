//! A 250 is a promise: only after the commit, never with a store that cannot keep it.

use std::time::Duration;

use relais_store::memory::Fault;
use relais_store::trace::To;

use crate::world::{ERP, GOOD, Wish, World, faults, world};

#[tokio::test(start_paused = true)]
async fn a_failed_commit_is_451_and_nothing_is_stored() {
    let world = World::new(Wish {
        faults: faults(&[Some(Fault::Fails)]),
        ..Wish::default()
    })
    .await;
    let mut client = world.greeted(ERP).await;
    let reply = client
        .mail("scan@contoso.test", "b@example.org", GOOD)
        .await;
    assert!(
        reply.starts_with("451 4.3.0") && reply.contains("(LOCAL "),
        "{reply}"
    );
    world.assert_empty().await;
    let reply = client.say("MAIL FROM:<scan@contoso.test>").await;
    assert!(
        reply.starts_with("451 4.3.0"),
        "sealed: refused before content is sent: {reply}"
    );

    world.store.maintain(world.clock.now()).await;
    let reply = client
        .mail("scan@contoso.test", "b@example.org", GOOD)
        .await;
    assert!(
        reply.starts_with("250 2.0.0"),
        "recovered without restart: {reply}"
    );
    let events = world.events("attempt.refused").await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].to, Some(To::Many(vec!["b@example.org".into()])));
}

#[tokio::test(start_paused = true)]
async fn no_250_is_sent_before_the_commit_returns() {
    for fault in [Fault::DiesBefore, Fault::DiesAfter] {
        let world = World::new(Wish {
            faults: faults(&[Some(fault)]),
            ..Wish::default()
        })
        .await;
        let mut client = world.greeted(ERP).await;
        client.open("scan@contoso.test", "b@example.org").await;
        client.send(&format!("{GOOD}.\r\n")).await;
        let reply = tokio::time::timeout(Duration::from_secs(60), client.reply()).await;
        assert!(reply.is_err(), "{fault:?}: {reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_room_mail_is_452_until_there_is_room_again() {
    let wish = Wish {
        disk_reserve: 1_000_000,
        ..Wish::default()
    };
    let world = World::new(wish).await;
    world.memory.disk().set_capacity(Some(500_000));
    world.store.maintain(world.clock.now()).await;
    let mut client = world.greeted(ERP).await;
    let reply = client.say("MAIL FROM:<scan@contoso.test>").await;
    assert!(
        reply.starts_with("452 4.3.1") && reply.contains("(BUSY "),
        "{reply}"
    );
    world.memory.disk().set_capacity(None);
    world.store.maintain(world.clock.now()).await;
    let reply = client
        .mail("scan@contoso.test", "b@example.org", GOOD)
        .await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn a_spool_file_that_cannot_be_synced_is_never_a_250() {
    let world = world().await;
    world.memory.disk().fail_syncs(true);
    let mut client = world.greeted(ERP).await;
    let big = format!("{GOOD}{}", "line\r\n".repeat(50_000));
    let reply = client
        .mail("scan@contoso.test", "b@example.org", &big)
        .await;
    assert!(reply.starts_with("451 4.3.0"), "{reply}");
    assert!(world.queue().await.is_empty());
    world.memory.disk().fail_syncs(false);
    world.store.maintain(world.clock.now()).await;
    let reply = client
        .mail("scan@contoso.test", "b@example.org", &big)
        .await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
}
