//! The end of the server: nothing lost, nobody left hanging.

use std::time::Duration;

use tokio::time::Instant;

use crate::world::{ERP, GOOD, STRANGER, world};

#[tokio::test(start_paused = true)]
async fn idle_sessions_are_told_at_once_and_a_transaction_may_end() {
    let mut world = world().await;
    let mut idle = world.greeted(STRANGER).await;
    let mut busy = world.greeted(ERP).await;
    busy.open("scan@contoso.test", "b@example.org").await;
    let service = world.take_service();
    let draining = tokio::spawn(service.drain(Duration::from_secs(30)));
    let begin = Instant::now();
    let reply = idle.reply().await;
    assert!(
        reply.starts_with("421 4.3.2") && reply.contains("(BUSY "),
        "{reply}"
    );
    assert!(idle.is_closed().await && begin.elapsed() < Duration::from_secs(1));
    assert!(world.is_unreachable(ERP).await, "nobody new is let in");
    let reply = busy.say(&format!("{GOOD}.")).await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    assert!(busy.reply().await.starts_with("421 4.3.2"));
    assert!(busy.is_closed().await);
    drop((idle, busy));
    draining.await.expect("no panic");
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "not longer than needed"
    );
    assert_eq!(world.queue().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_new_transaction_begins_while_draining() {
    let mut world = world().await;
    let mut client = world.greeted(ERP).await;
    client
        .play(&[("MAIL FROM:<scan@contoso.test>", "250")])
        .await;
    let draining = tokio::spawn(world.take_service().drain(Duration::from_secs(30)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    client
        .send("RSET\r\nMAIL FROM:<scan@contoso.test>\r\n")
        .await;
    assert!(client.reply().await.starts_with("250"));
    assert!(client.reply().await.starts_with("421 4.3.2"));
    drop(client);
    draining.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_end_in_time_is_cut_and_leaves_nothing() {
    let mut world = world().await;
    let mut client = world.greeted(ERP).await;
    client.open("scan@contoso.test", "b@example.org").await;
    client.send(&GOOD.repeat(2_000)).await;
    let begin = Instant::now();
    world.take_service().drain(Duration::from_secs(30)).await;
    assert_eq!(begin.elapsed(), Duration::from_secs(30));
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.assert_empty().await;
    assert!(client.is_closed().await);
}
