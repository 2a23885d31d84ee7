//! What a client sees when all is well, and what the store has then.

use relais_store::trace::To;

use crate::world::{ERP, GOOD, Wish, World, world};

#[tokio::test(start_paused = true)]
async fn a_message_is_answered_with_its_queue_id_and_is_in_the_store() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    let reply = client
        .mail("scan@contoso.test", "b@example.org", GOOD)
        .await;
    let id = reply
        .strip_prefix("250 2.0.0 Queued as ")
        .expect("accepted");
    let queue = world.queue().await;
    let [message] = queue.as_slice() else {
        panic!("one message, not {}", queue.len())
    };
    assert_eq!(message.queue_id.to_string(), id);
    assert_eq!(message.organisation, "contoso");
    assert_eq!(message.from, "scan@contoso.test");
    assert_eq!(message.recipients[0].to, "b@example.org");
    let lifetime = message.recipients[0].expires_at.since(message.accepted_at);
    assert_eq!(lifetime.as_secs(), 12 * 3_600, "of the outbound connector");
    assert_eq!(client.say("QUIT").await, "221 2.0.0 Bye");
    assert!(client.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_is_in_the_trace_with_client_and_connector() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    client
        .mail("scan@contoso.test", "b@example.org", GOOD)
        .await;
    let events = world.events("message.accepted").await;
    let [event] = events.as_slice() else {
        panic!("one event")
    };
    assert_eq!(event.organisation.as_deref(), Some("contoso"));
    assert_eq!(event.inbound_connector.as_deref(), Some("ERP"));
    assert_eq!(event.from.as_deref(), Some("scan@contoso.test"));
    assert_eq!(event.header_from.as_deref(), Some("scan@contoso.test"));
    assert_eq!(event.subject.as_deref(), Some("Scan 7"));
    assert_eq!(event.to, Some(To::Many(vec!["b@example.org".into()])));
    assert_eq!(event.settings_version, Some(1));
    assert!(event.size.is_some_and(|size| size > GOOD.len() as u64));
    let summary = event.client.as_ref().expect("a client");
    assert_eq!(summary.address.to_string(), ERP);
    assert_eq!(summary.helo.as_deref(), Some("device.test"));
    assert!(
        world.events("message.repaired").await.is_empty(),
        "nothing was wrong with it"
    );
}

#[tokio::test(start_paused = true)]
async fn many_messages_go_through_one_session() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    for _ in 0..50 {
        let reply = client
            .mail("scan@contoso.test", "b@example.org", GOOD)
            .await;
        assert!(reply.starts_with("250 2.0.0 Queued as "), "{reply}");
    }
    assert_eq!(world.queue().await.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn pipelined_commands_are_answered_in_order() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    let pipeline = "MAIL FROM:<scan@contoso.test>\r\nRCPT TO:<b@example.org>\r\n\
                    RCPT TO:<nobody@contoso.test>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n";
    client.send(pipeline).await;
    for begins in ["250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "354"] {
        let reply = client.reply().await;
        assert!(reply.starts_with(begins), "{reply}");
    }
    client
        .send(&format!(
            "{GOOD}.\r\nMAIL FROM:<scan@contoso.test>\r\nQUIT\r\n"
        ))
        .await;
    for begins in ["250 2.0.0 Queued as ", "250 2.1.0", "221"] {
        let reply = client.reply().await;
        assert!(reply.starts_with(begins), "{reply}");
    }
    assert!(client.is_closed().await);
    assert_eq!(world.queue().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_in_chunks_is_accepted_whole() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    let (mail, rcpt) = ("MAIL FROM:<scan@contoso.test>", "RCPT TO:<b@example.org>");
    client.play(&[(mail, "250"), (rcpt, "250")]).await;
    let (head, body) = GOOD.split_at(40);
    client.send(&format!("BDAT {}\r\n{head}", head.len())).await;
    assert!(client.reply().await.starts_with("250"));
    client
        .send(&format!("BDAT {} LAST\r\n{body}", body.len()))
        .await;
    assert!(client.reply().await.starts_with("250 2.0.0 Queued as "));
    assert!(world.content().await.ends_with(GOOD));
}

#[tokio::test(start_paused = true)]
async fn parameters_of_dsn_reach_the_store() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    client
        .play(&[
            ("MAIL FROM:<scan@contoso.test> RET=HDRS ENVID=a+2B7", "250"),
            (
                "RCPT TO:<b@example.org> NOTIFY=SUCCESS ORCPT=rfc822;old@example.org",
                "250",
            ),
            ("DATA", "354"),
            (&format!("{GOOD}."), "250"),
        ])
        .await;
    let now = world.clock.now();
    let due = world.store.due(now, 1).await.expect("readable");
    let until = now.after(std::time::Duration::from_secs(9));
    let leased = world
        .store
        .lease(&due[0].key, 1, 1, now, until)
        .await
        .expect("leased");
    assert_eq!(leased[0].facts.parameters.envid.as_deref(), Some("a+7"));
    let recipient = &leased[0].recipients[0].recipient;
    assert!(
        recipient
            .notify
            .is_some_and(|notify| notify.success && !notify.failure)
    );
    let original = recipient.original.as_ref().expect("given");
    assert_eq!(&*original.address, "old@example.org");
}

#[tokio::test(start_paused = true)]
async fn a_submission_listener_demands_authentication() {
    let world = World::new(Wish {
        submission: true,
        ..Wish::default()
    })
    .await;
    let mut client = world.greeted(ERP).await;
    let reply = client.say("MAIL FROM:<scan@contoso.test>").await;
    assert!(
        reply.starts_with("530 5.7.0") && reply.contains("(AUTH-REQUIRED "),
        "{reply}"
    );
}

#[tokio::test(start_paused = true)]
async fn neither_tls_nor_authentication_is_offered_yet() {
    let world = world().await;
    let mut client = world.connect(ERP).await;
    client.reply().await;
    let extensions = client.say("EHLO erp.contoso.test").await;
    for offered in [
        "PIPELINING",
        "SIZE 67108864",
        "8BITMIME",
        "SMTPUTF8",
        "CHUNKING",
        "DSN",
    ] {
        assert!(extensions.contains(offered), "{offered} in {extensions}");
    }
    assert!(
        !extensions.contains("STARTTLS") && !extensions.contains("AUTH"),
        "{extensions}"
    );
}
