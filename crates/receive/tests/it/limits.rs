//! Connections and time.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::world::{ERP, GOOD, PRINTER, STRANGER, Wish, World, apply, settings_with, world};

#[tokio::test(start_paused = true)]
async fn too_many_connections_are_421_at_connect_until_one_ends() {
    let world = World::new(Wish {
        per_stranger_max: 2,
        ..Wish::default()
    })
    .await;
    let one = world.greeted(STRANGER).await;
    let _two = world.greeted(STRANGER).await;
    let mut three = world.connect(STRANGER).await;
    let reply = three.reply().await;
    assert!(
        reply.starts_with("421 4.7.0") && reply.contains("(CONN-LIMIT "),
        "{reply}"
    );
    assert!(three.is_closed().await);
    let _known = world.greeted(ERP).await;
    assert_eq!(world.events("connection.refused").await.len(), 1);
    drop(one);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _four = world.greeted(STRANGER).await;
}

#[tokio::test(start_paused = true)]
async fn the_server_has_a_number_of_connections_in_all() {
    let world = World::new(Wish {
        connections_max: 2,
        ..Wish::default()
    })
    .await;
    let (_one, _two) = (world.greeted(ERP).await, world.greeted(STRANGER).await);
    let reply = world.connect(ERP).await.reply().await;
    assert!(reply.contains("(CONN-LIMIT "), "{reply}");
    assert_eq!(world.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connector_has_its_hard_number_of_connections_and_a_soft_one_turns_nobody_away() {
    for (limits, refused) in [
        ("connections = { value = 2, hard = true }", true),
        ("connections = 2", false),
    ] {
        let world = world().await;
        let printers = "message_size_max = \"8 MiB\"";
        apply(&world.store, &settings_with(printers, limits)).await;
        let one = world.greeted(PRINTER).await;
        let _two = world.greeted("10.1.2.10").await;
        let reply = world.connect("10.1.2.11").await.reply().await;
        assert_eq!(reply.contains("(CONN-LIMIT "), refused, "{limits}: {reply}");
        let _other = world.greeted(ERP).await;
        let events = world.events("connection.refused").await;
        assert_eq!(events.len(), usize::from(refused));
        if let [event] = events.as_slice() {
            assert_eq!(event.inbound_connector.as_deref(), Some("Printers"));
        }
        drop(one);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let _three = world.greeted("10.1.2.11").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_told_421_after_its_time_and_that_is_no_event() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    let begin = Instant::now();
    let reply = client.reply().await;
    assert!(
        reply.starts_with("421 4.4.2") && reply.contains("(TIMEOUT "),
        "{reply}"
    );
    assert_eq!(begin.elapsed().as_secs(), 300);
    assert!(client.is_closed().await);
    assert!(world.events("connection.refused").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_cut_after_its_time_not_each_read() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    let begin = Instant::now();
    for octet in b"NOOP        " {
        tokio::time::sleep(Duration::from_secs(40)).await;
        if client.stream.write_all(&[*octet]).await.is_err() {
            break;
        }
    }
    let reply = client.reply().await;
    assert!(reply.starts_with("421 4.4.2"), "{reply}");
    assert!(
        begin.elapsed() < Duration::from_secs(500),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn content_that_comes_too_slowly_is_cut_recorded_and_leaves_nothing() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    client.open("scan@contoso.test", "b@example.org").await;
    let begin = Instant::now();
    for line in GOOD.split_inclusive('\n').cycle() {
        tokio::time::sleep(Duration::from_secs(20)).await;
        if client.stream.write_all(line.as_bytes()).await.is_err()
            || begin.elapsed() > Duration::from_secs(600)
        {
            break;
        }
    }
    let reply = client.reply().await;
    assert!(
        reply.starts_with("421 4.4.2") && reply.contains("(TIMEOUT "),
        "{reply}"
    );
    let events = world.events("connection.refused").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].time.since(crate::world::START).as_secs(), 180);
    world.assert_empty().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_cut_while_it_sends_is_given_time_to_read_why() {
    for (last, begins) in [("BDAT many", "501"), ("POST / HTTP/1.1", "500")] {
        let world = world().await;
        let mut client = world.greeted(STRANGER).await;
        client.send(&format!("{last}\r\n")).await;
        let reply = client.reply().await;
        assert!(reply.starts_with(begins), "{reply}");
        assert!(client.is_closed().await);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.connections(), 1, "{last}: what still comes is read");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.connections(), 0, "and not for long");
    }
    let world = world().await;
    let mut client = world.greeted(STRANGER).await;
    assert!(client.say("NONSENSE").await.starts_with("500"));
    assert!(client.say("QUIT").await.starts_with("221"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.connections(), 0, "who says QUIT has read all");
}
