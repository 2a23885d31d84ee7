//! Behind a load balancer: who may say who the client is, and what counts from then on.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::world::{Client, ERP, GOOD, PRINTER, STRANGER, Wish, World};

/// In the listener's `proxy_protocol_from`, and in no connector.
const PROXY: &str = "10.0.0.10";

async fn behind_proxy() -> World {
    World::new(Wish {
        proxies: &["10.0.0.10/32", "2001:db8:5::/64"],
        connections_max: 4,
        per_stranger_max: 2,
        ..Wish::default()
    })
    .await
}

fn line_of(client: &str) -> String {
    format!("PROXY TCP4 {client} 198.51.100.1 4000 25\r\n")
}

/// A connection through the proxy.
async fn through(world: &World, client: &str) -> Client {
    let mut connection = world.connect(PROXY).await;
    connection.send(&line_of(client)).await;
    connection
}

#[tokio::test(start_paused = true)]
async fn the_client_is_whom_the_header_names_in_connector_trace_and_received() {
    let world = behind_proxy().await;
    let mut client = through(&world, PRINTER).await;
    assert!(client.reply().await.starts_with("220 "));
    client.play(&[("EHLO scan2", "250")]).await;
    let reply = client
        .mail("scan@contoso.test", "b@example.org", GOOD)
        .await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    let events = world.events("message.accepted").await;
    let event = events.first().expect("one message");
    assert_eq!(event.inbound_connector.as_deref(), Some("Printers"));
    let address = event.client.as_ref().map(|one| one.address.to_string());
    assert_eq!(address.as_deref(), Some(PRINTER));
    let content = world.content().await;
    assert!(
        content.contains(PRINTER) && !content.contains(PROXY),
        "{content}"
    );
}

#[tokio::test(start_paused = true)]
async fn smtp_sent_in_one_piece_with_the_header_is_not_lost() {
    let world = behind_proxy().await;
    let mut client = world.connect(PROXY).await;
    let early = "EHLO scan2\r\nMAIL FROM:<scan@contoso.test>\r\nQUIT\r\n";
    client.send(&(line_of(ERP) + early)).await;
    let mut replies = Vec::new();
    for _ in 0..4 {
        replies.push(client.reply().await[..3].to_owned());
    }
    assert_eq!(replies, ["220", "250", "250", "221"]);
}

#[tokio::test(start_paused = true)]
async fn a_binary_header_and_a_mapped_address_name_the_same_client() {
    let world = behind_proxy().await;
    let mut client = world.connect(PROXY).await;
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    let mapped: std::net::Ipv6Addr = "::ffff:10.1.2.9".parse().expect("an address");
    header.extend(mapped.octets());
    header.extend(mapped.octets());
    header.extend([0x0f, 0xa0, 0, 25]);
    client
        .stream
        .write_all(&header)
        .await
        .expect("the server is there");
    assert!(client.reply().await.starts_with("220 "));
    client.play(&[("EHLO scan2", "250")]).await;
    let reply = client
        .mail("scan@contoso.test", "b@example.org", GOOD)
        .await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn a_header_from_anybody_else_is_a_bad_command_and_names_nobody() {
    let world = behind_proxy().await;
    let mut client = world.connect(STRANGER).await;
    assert!(client.reply().await.starts_with("220 "));
    client
        .play(&[
            ("PROXY TCP4 10.1.2.9 198.51.100.1 4000 25", "500 5.5.1"),
            ("EHLO spoofer", "250"),
            ("MAIL FROM:<scan@contoso.test>", "250"),
            (
                "RCPT TO:<b@example.org>",
                "550 5.7.1 Not registered for relay: 203.0.113.7",
            ),
        ])
        .await;
    let mut client = world.connect(STRANGER).await;
    assert!(client.reply().await.starts_with("220 "));
    let binary = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x01\x02\x09\x0a\x01\x02\x09\0\x01\0\x02";
    client.send(binary).await;
    assert!(client.reply().await.starts_with("500"), "no header, no 220");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_names_nobody_is_closed_after_five_seconds_and_recorded_once() {
    let world = behind_proxy().await;
    for expected in [1, 1] {
        let began = Instant::now();
        let mut client = world.connect(PROXY).await;
        let reply = client.reply().await;
        assert!(
            reply.starts_with("421 4.3.5 PROXY header missing") && reply.contains("(PROXY "),
            "{reply}"
        );
        assert!(client.is_closed().await);
        assert!(began.elapsed() >= Duration::from_secs(5));
        let events = world.events("connection.refused").await;
        assert_eq!(events.len(), expected, "{events:?}");
        assert_eq!(events[0].token.as_deref(), Some("PROXY"));
        let detail = events[0].detail.as_deref().unwrap_or_default();
        assert!(detail.contains("within 5 s"), "{detail}");
        drop(client);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_speaks_smtp_itself_is_closed_at_once() {
    let world = behind_proxy().await;
    let began = Instant::now();
    let mut client = world.connect(PROXY).await;
    let reply = client.say("EHLO proxy").await;
    assert!(reply.starts_with("421 4.3.5"), "{reply}");
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn checks_of_a_load_balancer_are_no_news() {
    let world = behind_proxy().await;
    drop(world.connect(PROXY).await);
    let mut client = world.connect(PROXY).await;
    client.send("PROXY UNKNOWN\r\n").await;
    assert!(client.reply().await.starts_with("220 "));
    client.play(&[("QUIT", "221")]).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(world.events("connection.refused").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_limits_count_the_client_and_not_the_proxy() {
    let world = behind_proxy().await;
    let mut held = Vec::new();
    for expected in ["220 ", "220 ", "421 4.7.0"] {
        let mut client = through(&world, STRANGER).await;
        let reply = client.reply().await;
        assert!(reply.starts_with(expected), "{reply}");
        held.push(client);
    }
    let mut other = through(&world, "203.0.113.8").await;
    assert!(other.reply().await.starts_with("220 "));
}

#[tokio::test(start_paused = true)]
async fn connections_without_a_header_yet_count_in_the_total() {
    let world = behind_proxy().await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(world.connect(PROXY).await);
    }
    let reply = world.connect(PROXY).await.reply().await;
    assert!(reply.contains("(CONN-LIMIT "), "{reply}");
    assert_eq!(world.connections(), 4);
    drop(silent);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_server_does_not_wait_for_a_header() {
    let mut world = behind_proxy().await;
    let mut silent = world.connect(PROXY).await;
    let service = world.take_service();
    let began = Instant::now();
    service.drain(Duration::from_secs(22)).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(silent.is_closed().await);
}
