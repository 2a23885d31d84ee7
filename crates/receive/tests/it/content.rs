//! What happens to content on its way into the store.

use crate::world::{Client, ERP, GOOD, PRINTER, STRANGER, Wish, World, world};

async fn accepted(client: &mut Client, content: &str) {
    let reply = client
        .mail("scan@contoso.test", "b@example.org", content)
        .await;
    assert!(reply.starts_with("250 2.0.0 Queued as "), "{reply}");
}

async fn refused(client: &mut Client, content: &str) -> String {
    let reply = client
        .mail("scan@contoso.test", "b@example.org", content)
        .await;
    assert!(reply.starts_with('5'), "{reply}");
    reply
}

#[tokio::test(start_paused = true)]
async fn received_stands_on_top_and_the_rest_is_unchanged() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    accepted(
        &mut client,
        &GOOD.replace("Body\r\n", "Body\r\n..stuffed\r\n"),
    )
    .await;
    let id = world.queue().await[0].queue_id;
    let content = world.content().await;
    let received = content.strip_suffix(&GOOD.replace("Body\r\n", "Body\r\n.stuffed\r\n\r\n"));
    let received = received
        .expect("the original octets")
        .replace("\r\n\t", " ");
    assert!(
        received.starts_with("Received: from device.test"),
        "{received}"
    );
    for part in [
        "[10.1.3.7]",
        "by relay.contoso.test",
        "with ESMTP",
        &format!("id {id}"),
        "for <b@example.org>",
    ] {
        assert!(received.contains(part), "{part} in {received}");
    }
}

#[tokio::test(start_paused = true)]
async fn several_recipients_are_not_told_of_each_other() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    client
        .play(&[
            ("MAIL FROM:<scan@contoso.test>", "250"),
            ("RCPT TO:<b@example.org>", "250"),
            ("RCPT TO:<secret@example.org>", "250"),
            ("DATA", "354"),
            (&format!("{GOOD}."), "250"),
        ])
        .await;
    assert!(!world.content().await.contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn a_tolerant_device_gets_its_message_repaired_and_recorded() {
    let world = world().await;
    let mut client = world.greeted(PRINTER).await;
    accepted(
        &mut client,
        "Subject: Scan\nContent-Type: text/plain\n\nMärz\n",
    )
    .await;
    let content = world.content().await;
    for part in [
        "\r\nFrom: <scan@contoso.test>\r\n",
        "\r\nDate: Tue, 24 Nov 2026 10:00:0",
        "@relay.contoso.test>\r\n",
        "\r\nMIME-Version: 1.0\r\n",
        "\r\nSubject: Scan\r\nContent-Type: text/plain\r\n\r\nMärz\r\n",
    ] {
        assert!(content.contains(part), "{part} in {content}");
    }
    let events = world.events("message.repaired").await;
    let [event] = events.as_slice() else {
        panic!("one event")
    };
    let repairs = [
        "bare-lf",
        "date",
        "message-id",
        "mime-version",
        "from",
        "undeclared-8bit",
    ];
    assert_eq!(event.repairs, repairs);
    assert_eq!(world.events("message.accepted").await[0].repairs, repairs);
}

#[tokio::test(start_paused = true)]
async fn the_line_of_a_mailbox_file_is_left_out_for_tolerant_devices_only() {
    let world = world().await;
    let line = "From scan@contoso.test Tue Nov 24 10:00:00 2026\r\n";
    let mut printer = world.greeted(PRINTER).await;
    accepted(&mut printer, &format!("{line}{GOOD}Body\r\n")).await;
    let content = world.content().await;
    assert!(
        content.contains(&format!("+0000\r\n{GOOD}Body\r\n")),
        "{content}"
    );
    assert!(!content.contains("From scan@"), "{content}");
    let events = world.events("message.repaired").await;
    assert_eq!(events[0].repairs, ["mailbox-line"]);
    assert_eq!(events[0].header_from.as_deref(), Some("scan@contoso.test"));
    let mut erp = world.greeted(ERP).await;
    let reply = refused(&mut erp, &format!("{line}{GOOD}Body\r\n")).await;
    assert!(reply.contains("(HDR-FROM "), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn text_that_begins_with_from_keeps_its_first_line() {
    let text = "From now on, no paper.\r\nAsk Anna.\r\n";
    for content in [
        text,
        "From now on, no paper.\r\n",
        "From now on\r\n\r\nSubject: x\r\n",
    ] {
        let world = world().await;
        let mut printer = world.greeted(PRINTER).await;
        accepted(&mut printer, content).await;
        let stored = world.content().await;
        assert!(stored.contains(&format!(">\r\n\r\n{content}")), "{stored}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_field_hidden_by_a_nul_is_refused_to_everybody() {
    for hidden in [
        "Fr\0om: x@fabrikam.test",
        "\0From: x@fabrikam.test",
        "From \0: x",
        "\0",
    ] {
        let world = world().await;
        let mut printer = world.greeted(PRINTER).await;
        let content = format!("Subject: a\r\n{hidden}\r\n{GOOD}Body\r\n");
        let reply = refused(&mut printer, &content).await;
        assert!(
            reply.starts_with("550 5.6.0 NUL in a header line (HDR-NUL "),
            "{reply}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn declared_eight_bit_content_is_no_repair() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    client
        .play(&[
            ("MAIL FROM:<scan@contoso.test> BODY=8BITMIME", "250"),
            ("RCPT TO:<b@example.org>", "250"),
            ("DATA", "354"),
            (&format!("{GOOD}März\r\n."), "250"),
        ])
        .await;
    assert!(world.events("message.repaired").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_strict_client_without_from_is_refused_and_recorded() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    let reply = refused(&mut client, "Subject: Bill\r\n\r\nBody\r\n").await;
    assert!(
        reply.starts_with("550 5.6.0") && reply.contains("(HDR-FROM "),
        "{reply}"
    );
    let events = world.events("attempt.refused").await;
    let [event] = events.as_slice() else {
        panic!("one event")
    };
    assert_eq!(event.subject.as_deref(), Some("Bill"));
    assert_eq!(event.reply.as_deref(), Some(reply.as_str()));
    world.assert_empty().await;
    accepted(&mut client, GOOD).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_from_is_refused_flagged_or_repaired_as_the_connector_says() {
    let world = world().await;
    let foreign = GOOD.replace("scan@contoso.test>", "boss@fabrikam.test>");
    let mut strict = world.greeted(ERP).await;
    let reply = refused(&mut strict, &foreign).await;
    assert!(reply.contains("fabrikam.test (HDR-DOMAIN "), "{reply}");
    let refusal = &world.events("attempt.refused").await[0];
    assert_eq!(refusal.header_from.as_deref(), Some("boss@fabrikam.test"));
    let mut printer = world.greeted(PRINTER).await;
    accepted(&mut printer, &foreign).await;
    let event = &world.events("message.accepted").await[0];
    let detail = event.detail.as_deref().expect("flagged");
    assert!(detail.contains("fabrikam.test"), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn a_strangers_message_without_from_passes() {
    let world = world().await;
    let mut client = world.greeted(STRANGER).await;
    client
        .open("someone@example.org", "anna@contoso.test")
        .await;
    let reply = client.say("Subject: Hello\r\n\r\nBody\r\n.").await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    let event = &world.events("message.accepted").await[0];
    assert_eq!(
        (
            event.header_from.as_deref(),
            event.inbound_connector.as_deref()
        ),
        (None, None)
    );
    assert_eq!(
        event.organisation.as_deref(),
        Some("contoso"),
        "the recipient's"
    );
}

#[tokio::test(start_paused = true)]
async fn loops_end_here() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    let received = "Received: from a.test by b.test; Tue, 24 Nov 2026 10:00:00 +0000\r\n";
    let reply = refused(&mut client, &(received.repeat(51) + GOOD)).await;
    assert!(
        reply.starts_with("554 5.4.6") && reply.contains("(LOOP "),
        "{reply}"
    );
    world.assert_empty().await;
}

#[tokio::test(start_paused = true)]
async fn a_monstrous_header_section_is_read_to_its_end_and_refused() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    let monster = format!("X-A: {}\r\n", "a".repeat(900)).repeat(400) + GOOD;
    let reply = refused(&mut client, &monster).await;
    assert!(
        reply.starts_with("552 5.3.4") && reply.contains("(HDR-SIZE "),
        "{reply}"
    );
    world.assert_empty().await;
    accepted(&mut client, GOOD).await;
}

#[tokio::test(start_paused = true)]
async fn content_without_a_header_section_does_not_continue_ours() {
    let world = world().await;
    let mut client = world.greeted(STRANGER).await;
    client
        .open("someone@example.org", "anna@contoso.test")
        .await;
    let reply = client.say("no header, only text\r\n.").await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    let content = world.content().await;
    assert!(
        content.ends_with("\r\n\r\nno header, only text\r\n"),
        "{content}"
    );
}

#[tokio::test(start_paused = true)]
async fn big_content_is_streamed_and_arrives_whole() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    client.open("scan@contoso.test", "b@example.org").await;
    let lines: String = (0..60_000)
        .map(|n| format!("line {n:08} of a large attachment\r\n"))
        .collect();
    client.send(GOOD).await;
    client.send(&lines).await;
    let reply = client.say(".").await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    assert_eq!(world.memory.disk().files().len(), 1, "in a file of its own");
    let content = world.content().await;
    assert!(
        content.ends_with(&format!("{GOOD}{lines}")),
        "octet by octet"
    );
    assert_eq!(world.queue().await[0].size, content.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn content_above_the_connectors_limit_is_refused() {
    let world = world().await;
    let mut client = world.greeted(PRINTER).await;
    let reply = client
        .say("MAIL FROM:<scan@contoso.test> SIZE=9000000")
        .await;
    assert!(
        reply.starts_with("552 5.3.4") && reply.contains("(SIZE "),
        "{reply}"
    );
    assert_eq!(
        world.events("attempt.refused").await[0].size,
        Some(9_000_000)
    );
    client.open("scan@contoso.test", "b@example.org").await;
    client.send(GOOD).await;
    for _ in 0..9 {
        client
            .send(&(String::from("a").repeat(72) + "\r\n").repeat(1_024 * 1_024 / 74))
            .await;
    }
    let reply = client.say(".").await;
    assert!(
        reply.starts_with("552 5.3.4") && reply.contains("(SIZE "),
        "{reply}"
    );
    world.assert_empty().await;
}

#[tokio::test(start_paused = true)]
async fn half_a_message_leaves_nothing() {
    for sent in ["Subject: ha", GOOD, &GOOD.repeat(5_000)] {
        let world = World::new(Wish::default()).await;
        let mut client = world.greeted(ERP).await;
        client.open("scan@contoso.test", "b@example.org").await;
        client.send(sent).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        drop(client);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        world.assert_empty().await;
        assert_eq!(world.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_between_chunks_leaves_nothing() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    let chunk = format!("{GOOD}{}", "line\r\n".repeat(150_000));
    client
        .play(&[
            ("MAIL FROM:<scan@contoso.test>", "250"),
            ("RCPT TO:<b@example.org>", "250"),
            (
                &format!("BDAT {}\r\n{}", chunk.len(), &chunk[..chunk.len() - 2]),
                "250",
            ),
        ])
        .await;
    assert_eq!(world.memory.disk().files().len(), 1, "under way");
    client.play(&[("RSET", "250")]).await;
    world.assert_empty().await;
    accepted(&mut client, GOOD).await;
    assert!(
        world.content().await.ends_with(&format!("{GOOD}\r\n")),
        "only the second"
    );
}
