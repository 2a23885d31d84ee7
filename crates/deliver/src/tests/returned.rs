//! Signed envelope senders, and what comes back to them. RFC 3464, RFC 5965, RFC 3834.

use relais_policy::bounce::{BounceToken, Place};
use relais_policy::proof::{Proof, ProofKey, ProofToken, Standing};
use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;
use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::identifier::QueueId;
use relais_store::known::BounceChange;
use relais_store::proof::ProofChange;
use relais_store::store::Store;
use relais_store::trace::erase::ERASED_ADDRESS;
use relais_store::trace::{Event, EventKind, To};

use super::peer::{Act, Peer, Took};
use super::world::{Mail, World, mail, pass, recipient, seconds};

const SETTINGS: &str = r#"
[[organisation]]
name = "contoso"
language = "fr"
postmaster = "it@contoso.test"

[[organisation.domain]]
name = "contoso.test"
verification = "assumed"
mailbox_host = "192.0.2.9:25"
bounce_domain = "bounce.contoso.test"

[[organisation.recipient]]
address = "anna@contoso.test"

[[organisation.recipient]]
address = "it@contoso.test"

[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["10.1.2.0/24"]
owner = "anna@contoso.test"
"#;

/// A next hop, and the mailboxes of `contoso.test`.
async fn world(settings: &str) -> (World, Peer, Peer) {
    let world = World::delivering(settings).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    let mailboxes = Peer::start(&world, "192.0.2.9", 25).await;
    world.domain("b.example", "192.0.2.1");
    (world, peer, mailboxes)
}

/// A message of a device, with its `message.accepted`.
async fn sent(world: &World, to: &[&str]) -> QueueId {
    let mail = Mail {
        from: "scan@contoso.test",
        ..mail(to)
    };
    let many = mail
        .to
        .iter()
        .map(|one| one.forward_path.to_string().into())
        .collect();
    let queue_id = world.accept(mail).await;
    let mut accepted = Event::new(world.clock.now(), EventKind::MessageAccepted);
    accepted.queue_id = Some(queue_id);
    accepted.organisation = Some("contoso".into());
    accepted.inbound_connector = Some("Printers".into());
    accepted.from = Some("scan@contoso.test".into());
    accepted.subject = Some("scan".into());
    accepted.to = Some(To::Many(many));
    world.store.record(accepted);
    pass(seconds(5)).await;
    queue_id
}

/// A stranger's message for anna, with its `message.accepted`; the address it was passed on with.
async fn passed_on(world: &World, mailboxes: &Peer, from: &'static str) -> (QueueId, String) {
    let strangers = Mail {
        connector: None,
        from,
        content: b"From: ben@example.org\r\n\r\nhello\r\n".to_vec(),
        ..mail(&["anna@contoso.test"])
    };
    let queue_id = world.accept(strangers).await;
    let mut accepted = Event::new(world.clock.now(), EventKind::MessageAccepted);
    accepted.queue_id = Some(queue_id);
    accepted.organisation = Some("contoso".into());
    accepted.from = Some(from.into());
    accepted.to = Some(To::Many(vec!["anna@contoso.test".into()]));
    world.store.record(accepted);
    pass(seconds(5)).await;
    (queue_id, mailboxes.took().last().unwrap().from.clone())
}

/// Something comes back from outside, to this address.
async fn comes_back(world: &World, to: &str, content: &str) -> QueueId {
    let content = content
        .replace("\r\n", "\n")
        .replace('\n', "\r\n")
        .into_bytes();
    let returned = Mail {
        from: "",
        content,
        ..mail(&[to])
    };
    let queue_id = world.accept(returned).await;
    pass(seconds(5)).await;
    queue_id
}

fn failure(recipient: &str, status: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.b.example\nSubject: Undelivered Mail\nContent-Type: \
         multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\nno\n--x\n\
         Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.b.example\n\n\
         Final-Recipient: rfc822; {recipient}\nAction: failed\nStatus: {status}\n\
         Diagnostic-Code: smtp; 550 {status} no such user\n\n--x--\n"
    )
}

fn detail(event: &Event) -> &str {
    event.detail.as_deref().unwrap_or_default()
}

async fn suppressed(store: &Store, recipient: &str) -> bool {
    let recipient = Mailbox::parse(recipient).unwrap();
    store
        .suppression("contoso", &recipient)
        .await
        .unwrap()
        .is_some()
}

#[tokio::test(start_paused = true)]
async fn mail_leaves_with_a_signed_reverse_path_and_the_trace_shows_both() {
    let (world, peer, _mailboxes) = world(SETTINGS).await;
    let queue_id = sent(&world, &["b@b.example"]).await;
    sent(&world, &["b@b.example", "c@b.example"]).await;
    let took = peer.took();
    let local = took[0]
        .from
        .strip_suffix("@bounce.contoso.test")
        .expect("a bounce address");
    assert!(
        local.starts_with(&format!("b1-{queue_id}-").to_lowercase()),
        "{local}"
    );
    assert_eq!(took[0].content, took[1].content, "nothing else changes");
    // One recipient is named by its place; several are one transaction.
    assert_eq!(local.split('-').count(), 5);
    assert_eq!(
        (
            took.len(),
            took[1].to.len(),
            took[1].from.split('-').count()
        ),
        (2, 2, 4)
    );
    for kind in [EventKind::DeliveryAttempted, EventKind::RecipientDelivered] {
        let event = world.events(kind).into_iter().next().expect("an event");
        assert_eq!(event.from.as_deref(), Some("scan@contoso.test"));
        assert_eq!(
            event.envelope_sender.as_deref(),
            Some(took[0].from.as_str())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn before_dns_shows_the_bounce_domain_the_sender_stays_and_the_trace_says_so() {
    let by_dns = SETTINGS.replace("verification = \"assumed\"\n", "");
    let (world, peer, _mailboxes) = world(&by_dns).await;
    let domain = |text: &str| Domain::parse(text).unwrap();
    let key = ProofKey::new("contoso", &domain("contoso.test"));
    let fresh = Proof::new(ProofToken::stored("t"), world.clock.now());
    let change = ProofChange {
        key: key.clone(),
        before: None,
        after: Proof {
            standing: Standing::Verified,
            ..fresh
        },
        actor: "test".into(),
        via: "socket".into(),
        time: world.clock.now(),
    };
    assert_eq!(world.store.change_proof(change).await, Ok(true));
    sent(&world, &["b@b.example"]).await;
    assert_eq!(peer.took()[0].from, "scan@contoso.test");
    let delivered = &world.events(EventKind::RecipientDelivered)[0];
    assert!(
        detail(delivered).contains("DNS has not shown yet that bounce.contoso.test leads to us"),
        "{}",
        detail(delivered)
    );
    let change = BounceChange {
        key,
        shown: Some(domain("bounce.contoso.test")),
        time: world.clock.now(),
        events: Vec::new(),
    };
    assert_eq!(world.store.change_bounce(change).await, Ok(true));
    sent(&world, &["b@b.example"]).await;
    assert!(peer.took()[1].from.ends_with("@bounce.contoso.test"));
}

#[tokio::test(start_paused = true)]
async fn the_null_reverse_path_and_that_of_a_connector_that_keeps_it_stay() {
    let kept = SETTINGS.replace("owner = ", "envelope_sender = \"kept\"\nowner = ");
    let (world, peer, _mailboxes) = world(&kept).await;
    sent(&world, &["b@b.example"]).await;
    assert_eq!(peer.took()[0].from, "scan@contoso.test");
    world.apply(SETTINGS).await;
    let null = Mail {
        from: "",
        ..mail(&["b@b.example"])
    };
    world.accept(null).await;
    pass(seconds(5)).await;
    assert_eq!(peer.took()[1].from, "");
    let delivered = world.events(EventKind::RecipientDelivered);
    assert!(
        delivered
            .iter()
            .all(|event| event.envelope_sender.is_none())
    );
}

#[tokio::test(start_paused = true)]
async fn a_later_bounce_is_matched_suppresses_and_reaches_the_owner() {
    let (world, peer, mailboxes) = world(SETTINGS).await;
    let queue_id = sent(&world, &["b@b.example"]).await;
    let token = peer.took()[0].from.to_uppercase();
    let back = comes_back(&world, &token, &failure("b@b.example", "5.1.1")).await;

    let received = world.events(EventKind::NoticeReceived);
    let [event] = received.as_slice() else {
        panic!("one notice, not {received:#?}")
    };
    assert_eq!(event.queue_id, Some(queue_id), "it is told of the message");
    assert_eq!(event.inbound_connector.as_deref(), Some("Printers"));
    assert_eq!(event.to, Some(To::Many(vec!["b@b.example".into()])));
    assert_eq!(event.reply.as_deref(), Some("550 5.1.1 no such user"));
    assert!(detail(event).starts_with("failure 5.1.1, delivery status notification"));
    assert!(detail(event).contains(&format!("received as {back}; recipient suppressed after")));
    assert!(suppressed(&world.store, "B@b.example").await);
    let restricted = world.events(EventKind::EntityRestricted);
    assert_eq!(restricted[0].queue_id, Some(queue_id));

    let took = mailboxes.took();
    assert_eq!(took.len(), 1, "the owner, and nobody else");
    assert_eq!(
        (took[0].from.as_str(), took[0].to[0].as_str()),
        ("", "anna@contoso.test")
    );
    let text = String::from_utf8(took[0].content.clone()).unwrap();
    assert!(
        text.contains("<b@b.example>\u{202f}: non remis (5.1.1)"),
        "{text}"
    );
    assert!(
        text.contains("Reporting-MTA: dns; mx.b.example"),
        "what came back is attached"
    );
    let end = world.events(EventKind::RecipientDelivered);
    let end = end
        .iter()
        .find(|event| event.queue_id == Some(back))
        .expect("its own end");
    assert_eq!(detail(end), format!("taken in: it is about {queue_id}"));
    assert_eq!(world.in_queue(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_names_no_recipient_of_ours_suppresses_nobody() {
    let (world, peer, _mailboxes) = world(SETTINGS).await;
    sent(&world, &["b@b.example", "c@b.example"]).await;
    let token = peer.took()[0].from.clone();
    comes_back(&world, &token, &failure("victim@example.net", "5.1.1")).await;
    assert!(!suppressed(&world.store, "victim@example.net").await);
    assert!(!suppressed(&world.store, "b@b.example").await);
    assert_eq!(
        world.events(EventKind::NoticeReceived).len(),
        1,
        "it is told all the same"
    );
    // A full mailbox is no wrong address.
    comes_back(&world, &token, &failure("b@b.example", "5.2.2")).await;
    assert!(!suppressed(&world.store, "b@b.example").await);
}

#[tokio::test(start_paused = true)]
async fn complaints_suppress_and_automatic_replies_only_show() {
    let (world, peer, mailboxes) = world(SETTINGS).await;
    sent(&world, &["b@b.example"]).await;
    let token = peer.took()[0].from.clone();
    let vacation = "From: b@b.example\nAuto-Submitted: auto-replied\nSubject: away\n\nI am away\n";
    comes_back(&world, &token, vacation).await;
    let received = world.events(EventKind::NoticeReceived);
    assert!(
        detail(&received[0]).starts_with("automatic-reply"),
        "{:?}",
        received[0]
    );
    assert_eq!(received[0].reply.as_deref(), Some("I am away"));
    assert!(detail(&received[0]).ends_with("not passed on: nobody wrote it"));
    assert!(mailboxes.took().is_empty());

    let complaint = "From: fbl@b.example\nContent-Type: multipart/report; boundary=x\n\n--x\n\n\
        spam\n--x\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: \
        Gen/1\nVersion: 1\n\n--x--\n";
    comes_back(&world, &token, complaint).await;
    assert!(
        suppressed(&world.store, "b@b.example").await,
        "the address was made for it"
    );
    let text = String::from_utf8(mailboxes.took()[0].content.clone()).unwrap();
    assert!(text.contains("Plainte"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_is_passed_on_is_bounded_and_its_own_failure_tells_nobody() {
    let no_owner = SETTINGS.replace("owner = \"anna@contoso.test\"", "owner = \"x@b.example\"");
    let (world, peer, mailboxes) = world(&no_owner).await;
    peer.script(|heard| match heard.line.contains("x@b.example") {
        true => super::peer::Act::Say("550 5.1.1 no such user"),
        false => super::peer::Act::Usual,
    });
    sent(&world, &["b@b.example"]).await;
    let token = peer.took()[0].from.clone();
    for _ in 0..8 {
        comes_back(&world, &token, &failure("b@b.example", "5.7.1")).await;
    }
    let received = world.events(EventKind::NoticeReceived);
    assert_eq!(received.len(), 8, "all of them are told");
    let kept = received
        .iter()
        .filter(|event| detail(event).ends_with("too many in an hour, and it was said"));
    assert_eq!(kept.count(), 2);
    // The owner's server refuses each: a notice about a notice would be the beginning of a loop.
    assert_eq!(world.events(EventKind::RecipientFailed).len(), 6);
    assert!(world.events(EventKind::NoticeSent).is_empty());
    assert!(mailboxes.took().is_empty());
    assert_eq!(world.in_queue(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_more_of_what_came_back_learns_that_there_is_more() {
    let (world, peer, mailboxes) = world(SETTINGS).await;
    sent(&world, &["b@b.example"]).await;
    let token = peer.took()[0].from.clone();
    for _ in 0..9 {
        comes_back(&world, &token, &failure("b@b.example", "5.7.1")).await;
    }
    let took = mailboxes.took();
    let says =
        |took: &Took| String::from_utf8_lossy(&took.content).contains("Il est revenu plus d’avis");
    let said: Vec<_> = took.iter().map(says).collect();
    assert_eq!(said, [false, false, false, false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_forged_address_that_reached_the_queue_is_about_nothing() {
    let (world, _peer, mailboxes) = world(SETTINGS).await;
    let id = sent(&world, &["b@b.example"]).await;
    let domain = Domain::parse("bounce.contoso.test").unwrap();
    let place = Place {
        organisation: "contoso",
        domain: &domain,
    };
    let token = BounceToken {
        queue_id: id,
        recipient: None,
    };
    let key = relais_policy::bounce::BounceKey::new([1; 32]);
    let forged = token.sign(&key, place, world.clock.now()).to_string();
    comes_back(&world, &forged, &failure("b@b.example", "5.1.1")).await;
    assert!(world.events(EventKind::NoticeReceived).is_empty());
    assert!(!suppressed(&world.store, "b@b.example").await);
    let failed = world.events(EventKind::RecipientFailed);
    let said = failed[0].reply.as_deref().unwrap();
    assert_eq!(said, "no address that we signed, or its time is over");
    assert!(world.events(EventKind::RecipientDiscarded).is_empty());
    // Nobody is told of the failure of a notice.
    assert!(mailboxes.took().is_empty());
}

#[tokio::test(start_paused = true)]
async fn mail_that_waits_when_its_domain_becomes_one_for_bounces_fails_with_a_notice() {
    let without = SETTINGS.replace("bounce_domain = \"bounce.contoso.test\"", "");
    let mut world = World::new(&without).await;
    let mailboxes = Peer::start(&world, "192.0.2.9", 25).await;
    let mail = Mail {
        from: "anna@contoso.test",
        ..mail(&["ben@bounce.contoso.test", "dora@bounce.contoso.test"])
    };
    let queue_id = world.accept(mail).await;
    world.apply(SETTINGS).await;
    world.start();
    pass(seconds(5)).await;
    assert_eq!(world.in_queue(), 0);
    let failed = world.events(EventKind::RecipientFailed);
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|one| one.queue_id == Some(queue_id)));
    assert!(world.events(EventKind::RecipientDiscarded).is_empty());
    let notice = mailboxes.took().pop().expect("a notice");
    assert_eq!(notice.to, ["anna@contoso.test"]);
    let text = String::from_utf8_lossy(&notice.content).replace("=\r\n", "");
    for address in ["ben@bounce.contoso.test", "dora@bounce.contoso.test"] {
        assert!(
            text.contains(&format!("Final-Recipient: rfc822; {address}")),
            "{text}"
        );
    }
    assert!(text.contains("Status: 5.1.1"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_is_taken_in_after_a_restart_too() {
    let mut world = World::new(SETTINGS).await;
    let domain = Domain::parse("bounce.contoso.test").unwrap();
    let now = world.clock.now();
    let keys = world.store.bounce_keys("contoso", [3; 32], now).await;
    let keys = keys.unwrap();
    let token = BounceToken {
        queue_id: world.store.next_queue_id(world.clock.now()),
        recipient: Some(0),
    };
    let place = Place {
        organisation: "contoso",
        domain: &domain,
    };
    let address = keys.sign(token, place, now).to_string();
    comes_back(&world, &address, &failure("b@b.example", "5.1.1")).await;
    assert!(world.events(EventKind::NoticeReceived).is_empty());
    let mailboxes = Peer::start(&world, "192.0.2.9", 25).await;
    world.start();
    pass(seconds(5)).await;
    // The message is older than the trace: its organisation's postmaster is told.
    assert_eq!(world.events(EventKind::NoticeReceived).len(), 1);
    assert_eq!(mailboxes.took()[0].to, ["it@contoso.test"]);
}

#[tokio::test(start_paused = true)]
async fn a_bounce_of_strangers_mail_goes_back_to_the_stranger_as_it_came() {
    let (world, peer, mailboxes) = world(SETTINGS).await;
    world.domain("example.org", "192.0.2.1");
    let (queue_id, token) = passed_on(&world, &mailboxes, "ben@example.org").await;
    assert!(token.ends_with("@bounce.contoso.test"), "{token}");
    let attempted = &world.events(EventKind::DeliveryAttempted)[0];
    assert_eq!(attempted.envelope_sender.as_deref(), Some(&*token));
    assert_eq!(attempted.from.as_deref(), Some("ben@example.org"));

    let notice = failure("anna@contoso.test", "5.2.2");
    comes_back(&world, &token, &notice).await;
    let back = peer.took();
    assert_eq!(back.len(), 1, "{back:?}");
    assert_eq!(
        (back[0].from.as_str(), &back[0].to[..]),
        ("", &["ben@example.org".to_owned()][..])
    );
    assert_eq!(back[0].content, notice.replace('\n', "\r\n").into_bytes());
    let told = &world.events(EventKind::NoticeReceived)[0];
    assert_eq!(told.queue_id, Some(queue_id));
    assert!(
        detail(told).contains("; sent back to its sender ben@example.org as "),
        "{told:?}"
    );
    assert!(!suppressed(&world.store, "anna@contoso.test").await);
    assert_eq!(mailboxes.took().len(), 1, "no person of ours is told");
}

/// A message with this `message.accepted`, to the mailboxes of ours.
async fn traced(world: &World, mail: Mail, change: impl FnOnce(&mut Event)) -> QueueId {
    let to = mail.to.iter();
    let to = to.map(|one| one.forward_path.to_string().into()).collect();
    let (connector, from) = (mail.connector, mail.from);
    let queue_id = world.accept(mail).await;
    let mut accepted = Event::new(world.clock.now(), EventKind::MessageAccepted);
    accepted.queue_id = Some(queue_id);
    accepted.organisation = Some("contoso".into());
    accepted.inbound_connector = connector.map(Into::into);
    accepted.from = Some(from.into());
    accepted.subject = Some("Payroll".into());
    accepted.to = Some(To::Many(to));
    change(&mut accepted);
    world.store.record(accepted);
    pass(seconds(5)).await;
    queue_id
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_about_a_copy_reaches_the_trace_and_an_alert_but_nobody_who_sent() {
    const ARCHIVE: &str = "archive@contoso.test";
    let (world, _peer, mailboxes) = world(SETTINGS).await;
    let copy = EnvelopeRecipient::copy(Mailbox::parse(ARCHIVE).unwrap());
    let copied = Mail {
        from: "scan@contoso.test",
        to: vec![recipient("it@contoso.test"), copy],
        ..mail(&[])
    };
    let queue_id = traced(&world, copied, |accepted| {
        accepted.detail = Some(format!("copy to {ARCHIVE}").into());
    })
    .await;
    let took = mailboxes.took();
    assert_eq!(took.len(), 2, "{took:?}");
    let of = |to: &str| took.iter().find(|one| one.to == [to]).expect(to);
    let token = of(ARCHIVE).from.clone();
    assert!(token.ends_with("@bounce.contoso.test"), "{token}");
    for _ in 0..2 {
        comes_back(&world, &token, &failure(ARCHIVE, "5.2.2")).await;
    }
    assert_eq!(mailboxes.took().len(), 2, "nobody is told");
    let received = world.events(EventKind::NoticeReceived);
    assert_eq!(received.len(), 2);
    let told = detail(&received[0]);
    assert!(
        told.ends_with("; not passed on: it is about the copy for the archive"),
        "{told}"
    );
    let raised = world.events(EventKind::AlertRaised);
    let told: Vec<_> = raised.iter().map(detail).collect();
    let why = "550 5.2.2 no such user";
    let expected = format!("the archive {ARCHIVE} did not get the copy of {queue_id}: {why}");
    assert_eq!(told, [expected]);

    comes_back(
        &world,
        &of("it@contoso.test").from,
        &failure("it@contoso.test", "5.2.2"),
    )
    .await;
    assert_eq!(mailboxes.took().len(), 3, "of the others the owner hears");
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_to_the_address_that_stands_where_one_was_erased() {
    let (world, peer, mailboxes) = world(SETTINGS).await;
    world.domain("erased.invalid", "192.0.2.1");
    let strangers = Mail {
        connector: None,
        from: "ben@example.org",
        content: b"From: ben@example.org\r\n\r\nhello\r\n".to_vec(),
        ..mail(&["anna@contoso.test"])
    };
    traced(&world, strangers, |accepted| {
        accepted.from = Some(ERASED_ADDRESS.into());
    })
    .await;
    let token = mailboxes.took()[0].from.clone();
    comes_back(&world, &token, &failure("anna@contoso.test", "5.2.2")).await;
    assert!(peer.took().is_empty(), "{:?}", peer.took());
    // As of a message that the trace knows no more.
    assert_eq!(mailboxes.took()[1].to, ["it@contoso.test"]);

    let to_erased = Mail {
        from: "scan@contoso.test",
        ..mail(&["b@b.example"])
    };
    world.domain("b.example", "192.0.2.1");
    traced(&world, to_erased, |accepted| {
        accepted.to = Some(To::Many(vec![ERASED_ADDRESS.into()]));
    })
    .await;
    let token = peer.took()[0].from.clone();
    comes_back(&world, &token, &failure("b@b.example", "5.1.1")).await;
    assert!(!suppressed(&world.store, ERASED_ADDRESS).await);
}

#[tokio::test(start_paused = true)]
async fn what_came_back_about_a_message_unknown_by_now_shows_no_subject_that_a_connector_masks() {
    let masked = SETTINGS.replace("owner = ", "subjects = \"masked\"\nowner = ");
    let (world, peer, _mailboxes) = world(&masked).await;
    let queue_id = sent(&world, &["b@b.example"]).await;
    let domain = Domain::parse("bounce.contoso.test").unwrap();
    let (now, fresh) = (world.clock.now(), [9; 32]);
    let keys = world
        .store
        .bounce_keys("contoso", fresh, now)
        .await
        .unwrap();
    let place = Place {
        organisation: "contoso",
        domain: &domain,
    };
    let forgotten = BounceToken {
        queue_id: QueueId::new(now, 7, 7),
        recipient: Some(0),
    };
    let forgotten = keys.sign(forgotten, place, now).to_string();
    for token in [peer.took()[0].from.clone(), forgotten] {
        comes_back(&world, &token, &failure("b@b.example", "5.1.1")).await;
    }
    let received = world.events(EventKind::NoticeReceived);
    assert_eq!(received[0].queue_id, Some(queue_id));
    for event in received {
        assert_eq!(event.subject.as_deref(), Some("***"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_way_back_to_a_stranger_is_narrow_and_no_loop() {
    let (world, peer, mailboxes) = world(SETTINGS).await;
    world.domain("example.org", "192.0.2.1");
    let (_, token) = passed_on(&world, &mailboxes, "ben@example.org").await;
    let advertising = Mail {
        connector: None,
        from: "mallory@b.example",
        ..mail(&[&token])
    };
    world.accept(advertising).await;
    pass(seconds(5)).await;
    assert!(peer.took().is_empty());
    let told = &world.events(EventKind::NoticeReceived)[0];
    assert!(
        detail(told).contains("not passed on: it is no notice"),
        "{told:?}"
    );

    for _ in 0..7 {
        comes_back(&world, &token, &failure("anna@contoso.test", "5.2.2")).await;
    }
    assert_eq!(peer.took().len(), 5, "as many as reach a person");
    peer.script(|heard| match heard.verb.as_str() {
        "RCPT" => Act::Say("550 5.1.1 no such user"),
        _ => Act::Usual,
    });
    let (_, another) = passed_on(&world, &mailboxes, "ben@example.org").await;
    comes_back(&world, &another, &failure("anna@contoso.test", "5.2.2")).await;
    pass(seconds(60)).await;
    assert_eq!(world.events(EventKind::RecipientFailed).len(), 1);
    assert!(
        world.events(EventKind::NoticeSent).is_empty(),
        "nobody is told of it"
    );

    // The null reverse-path of a stranger's notice stays what it is.
    let (_, null) = passed_on(&world, &mailboxes, "").await;
    assert_eq!(null, "");
}
