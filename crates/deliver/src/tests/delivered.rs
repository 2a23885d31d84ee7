//! Good next hops: octets arrive unchanged, sessions are reused, each recipient has its result.

use relais_store::trace::EventKind;

use super::peer::{Act, Peer, counts};
use super::world::{SETTINGS, World, mail, minutes, pass, seconds};

#[tokio::test(start_paused = true)]
async fn a_message_arrives_with_its_octets_unchanged_and_its_events_tell_the_story() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("b.example", "192.0.2.1");
    let queue_id = world.accept(mail(&["bob@b.example"])).await;
    pass(seconds(2)).await;

    let took = peer.took();
    assert_eq!(took.len(), 1);
    assert_eq!(took[0].from, "anna@contoso.test");
    assert_eq!(took[0].to, ["bob@b.example"]);
    assert_eq!(took[0].content, mail(&["bob@b.example"]).content);
    assert_eq!(world.in_queue(), 0);
    let delivered = &world.events(EventKind::RecipientDelivered)[0];
    assert_eq!(delivered.queue_id, Some(queue_id));
    assert_eq!(
        delivered.next_hop.as_deref(),
        Some("mx.b.example[192.0.2.1]:25")
    );
    assert_eq!(delivered.reply.as_deref(), Some("250 2.0.0 taken"));
    assert_eq!(delivered.attempts, Some(1));
    assert!(delivered.duration_ms.is_some());
    let attempted = &world.events(EventKind::DeliveryAttempted)[0];
    assert_eq!(attempted.next_hop, delivered.next_hop);
    assert_eq!(world.events(EventKind::DeliveryAttempted).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn large_content_from_the_spool_arrives_unchanged_by_data_and_by_bdat() {
    for extensions in [
        &["PIPELINING"][..],
        &["PIPELINING", "CHUNKING"],
        &["8BITMIME"],
    ] {
        let world = World::delivering(SETTINGS).await;
        let peer = Peer::start(&world, "192.0.2.1", 25).await;
        peer.offers(extensions);
        world.domain("b.example", "192.0.2.1");
        let mut message = mail(&["bob@b.example"]);
        for number in 0..20_000 {
            message
                .content
                .extend_from_slice(format!(".line {number}\r\n").as_bytes());
        }
        let content = message.content.clone();
        world.accept(message).await;
        pass(seconds(20)).await;
        assert!(peer.took()[0].content == content, "{extensions:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_for_one_site_share_sessions_and_each_arrives_once() {
    let world = World::new(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("b.example", "192.0.2.1");
    for number in 0..500 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    let mut world = world;
    world.start();
    pass(seconds(20)).await;
    let counts = counts(&peer.took());
    assert_eq!(counts.len(), 500);
    assert!(counts.values().all(|count| *count == 1));
    assert!(
        peer.connections() <= 10,
        "{} connections",
        peer.connections()
    );
    assert_eq!(world.in_queue(), 0);
}

#[tokio::test(start_paused = true)]
async fn domains_with_equal_mail_servers_share_sessions() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.address("mx.host.example", &["192.0.2.1"]);
    for domain in ["a.example", "b.example", "c.example"] {
        world.mx(domain, &[(10, "mx.host.example")]);
        world.accept(mail(&[&format!("x@{domain}")])).await;
        pass(seconds(1)).await;
    }
    assert_eq!(peer.took().len(), 3);
    assert_eq!(peer.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_closed_politely_after_some_seconds() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["bob@b.example"])).await;
    pass(seconds(3)).await;
    assert_eq!(peer.open(), 1);
    pass(seconds(5)).await;
    assert_eq!(peer.heard("QUIT").len(), 1);
    assert_eq!(peer.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_server_closed_while_idle_is_no_failure() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["one@b.example"])).await;
    pass(seconds(2)).await;
    peer.stop().await;
    peer.listen().await;
    world.accept(mail(&["two@b.example"])).await;
    pass(seconds(2)).await;
    assert_eq!(peer.took_for(), ["one@b.example", "two@b.example"]);
    assert!(world.events(EventKind::RecipientDeferred).is_empty());
}

#[tokio::test(start_paused = true)]
async fn mailmax_ends_a_session_before_the_server_must() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.offers(&["PIPELINING", "LIMITS MAILMAX=3"]);
    world.domain("b.example", "192.0.2.1");
    for number in 0..9 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    pass(seconds(20)).await;
    assert_eq!(peer.took().len(), 9);
    let most = (1..=peer.connections())
        .map(|number| {
            peer.took()
                .iter()
                .filter(|took| took.connection == number)
                .count()
        })
        .max();
    assert!(most <= Some(3), "{most:?}");
}

#[tokio::test(start_paused = true)]
async fn each_recipient_has_its_own_result() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match (heard.verb.as_str(), heard.line.as_str()) {
        ("RCPT", line) if line.contains("unknown") => Act::Say("550 5.1.1 no such user"),
        ("RCPT", line) if line.contains("full") => Act::Say("450 4.2.2 mailbox full"),
        _ => Act::Usual,
    });
    world.domain("b.example", "192.0.2.1");
    world
        .accept(mail(&[
            "unknown@b.example",
            "good@b.example",
            "full@b.example",
        ]))
        .await;
    pass(seconds(2)).await;
    assert_eq!(
        world.recipients(EventKind::RecipientDelivered),
        ["good@b.example"]
    );
    assert_eq!(
        world.recipients(EventKind::RecipientFailed),
        ["unknown@b.example"]
    );
    assert_eq!(
        world.recipients(EventKind::RecipientDeferred)[0],
        "full@b.example"
    );
}

#[tokio::test(start_paused = true)]
async fn too_many_recipients_are_tried_again_at_once_and_apart() {
    for reply in ["452 4.5.3 too many", "552 too many recipients"] {
        let world = World::delivering(SETTINGS).await;
        let peer = Peer::start(&world, "192.0.2.1", 25).await;
        let count = std::sync::Mutex::new((0, 0));
        peer.script(move |heard| {
            let mut count = count.lock().unwrap();
            if count.0 != heard.transaction {
                *count = (heard.transaction, 0);
            }
            if heard.verb == "RCPT" {
                count.1 += 1;
                if count.1 > 2 {
                    return Act::Say(reply);
                }
            }
            Act::Usual
        });
        world.domain("b.example", "192.0.2.1");
        let to: Vec<_> = (0..5)
            .map(|number| format!("r{number}@b.example"))
            .collect();
        world
            .accept(mail(&to.iter().map(String::as_str).collect::<Vec<_>>()))
            .await;
        pass(seconds(5)).await;
        assert_eq!(peer.took().len(), 3, "{reply}");
        assert_eq!(peer.took_for().len(), 5, "{reply}");
        assert_eq!(peer.connections(), 1);
        assert!(world.events(EventKind::RecipientDeferred).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn rcptmax_cuts_a_message_into_transactions() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.offers(&["PIPELINING", "LIMITS RCPTMAX=2"]);
    world.domain("b.example", "192.0.2.1");
    world
        .accept(mail(&["a@b.example", "b@b.example", "c@b.example"]))
        .await;
    pass(seconds(2)).await;
    let sizes: Vec<_> = peer.took().iter().map(|took| took.to.len()).collect();
    assert_eq!(sizes, [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn who_has_it_is_settled_before_the_next_transaction_of_the_same_message() {
    let mut world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.offers(&["PIPELINING", "LIMITS RCPTMAX=1"]);
    peer.script(|heard| match heard.verb.as_str() {
        "MAIL" if heard.transaction > 1 => Act::Silence,
        _ => Act::Usual,
    });
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example", "c@b.example"])).await;
    pass(seconds(2)).await;
    assert_eq!(peer.took_for(), ["a@b.example"]);
    assert_eq!(
        world.recipients(EventKind::RecipientDelivered),
        ["a@b.example"]
    );
    world.drain(seconds(30)).await;
    peer.script(|_| Act::Usual);
    world.start();
    pass(minutes(20)).await;
    assert_eq!(peer.took_for(), ["a@b.example", "c@b.example"]);
    assert_eq!(world.in_queue(), 0);
}

#[tokio::test(start_paused = true)]
async fn lmtp_gives_a_result_per_recipient_after_the_content() {
    let settings = SETTINGS.replace("192.0.2.9:25", "lmtp:192.0.2.1:24");
    let world = World::delivering(&settings).await;
    let peer = Peer::start(&world, "192.0.2.1", 24).await;
    peer.script(|heard| match heard.verb.as_str() {
        "CONTENT" if heard.line.starts_with("full") => Act::Say("452 4.2.2 over quota"),
        _ => Act::Usual,
    });
    world
        .accept(mail(&["anna@contoso.test", "full@contoso.test"]))
        .await;
    pass(seconds(2)).await;
    assert_eq!(peer.heard("LHLO").len(), 1);
    assert_eq!(
        world.recipients(EventKind::RecipientDelivered),
        ["anna@contoso.test"]
    );
    assert_eq!(
        world.recipients(EventKind::RecipientDeferred),
        ["full@contoso.test"]
    );
}

#[tokio::test(start_paused = true)]
async fn our_name_stands_in_ehlo_and_an_address_goes_in_brackets() {
    for (hostname, expected) in [
        ("relay.contoso.test", "EHLO relay.contoso.test"),
        ("192.0.2.7", "EHLO [192.0.2.7]"),
        ("2001:db8::7", "EHLO [IPv6:2001:db8::7]"),
    ] {
        let mut world = World::new(SETTINGS).await;
        world.options().hostname = hostname.into();
        world.start();
        let peer = Peer::start(&world, "192.0.2.1", 25).await;
        world.domain("b.example", "192.0.2.1");
        world.accept(mail(&["bob@b.example"])).await;
        pass(seconds(2)).await;
        assert_eq!(peer.heard("EHLO")[0].line, expected);
    }
}
