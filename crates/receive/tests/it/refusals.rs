//! Who is refused, with which reply, and what is recorded of it.

use std::time::Duration;

use relais_net::simulated_dns::DnsFault;
use relais_net::zone::ZoneRecord;
use relais_store::trace::To;
use tokio::time::Instant;

use crate::world::{ERP, GOOD, STRANGER, apply, settings_with, world};

#[tokio::test(start_paused = true)]
async fn a_stranger_is_refused_at_rcpt_and_found_again_by_its_reference() {
    let world = world().await;
    let mut client = world.greeted(STRANGER).await;
    client
        .play(&[("MAIL FROM:<someone@example.org>", "250")])
        .await;
    let reply = client.say("RCPT TO:<b@example.com>").await;
    assert!(
        reply.starts_with("550 5.7.1") && reply.contains(STRANGER),
        "{reply}"
    );
    let events = world.events("attempt.refused").await;
    let [event] = events.as_slice() else {
        panic!("one event, not {}", events.len())
    };
    assert_eq!(event.token.as_deref(), Some("SRC-UNKNOWN"));
    assert_eq!(event.reply.as_deref(), Some(reply.as_str()));
    let reference = event.reference.expect("a reference").to_string();
    assert!(
        reply.ends_with(&format!("(SRC-UNKNOWN {reference})")),
        "{reply}"
    );
    assert_eq!(event.from.as_deref(), Some("someone@example.org"));
    assert_eq!(event.to, Some(To::One("b@example.com".into())));
    assert_eq!(
        event.client.as_ref().expect("a client").address.to_string(),
        STRANGER
    );
    assert_eq!(event.organisation, None);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_reaches_recipients_that_the_directory_knows() {
    let world = world().await;
    let mut client = world.greeted(STRANGER).await;
    client.play(&[("MAIL FROM:<>", "250")]).await;
    let reply = client.say("RCPT TO:<nobody@contoso.test>").await;
    assert!(
        reply.starts_with("550 5.1.1") && reply.contains("(RCPT-UNKNOWN "),
        "{reply}"
    );
    client
        .play(&[("RCPT TO:<anna@contoso.test>", "250"), ("DATA", "354")])
        .await;
    assert!(
        client
            .say(&format!("{GOOD}."))
            .await
            .starts_with("250 2.0.0")
    );
}

#[tokio::test(start_paused = true)]
async fn an_unverified_sender_domain_is_refused_with_connector_in_the_trace() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    let reply = client.say("MAIL FROM:<a@fabrikam.test>").await;
    assert!(reply.contains("fabrikam.test (FROM-DOMAIN "), "{reply}");
    let event = &world.events("attempt.refused").await[0];
    assert_eq!(event.inbound_connector.as_deref(), Some("ERP"));
    assert_eq!(event.from.as_deref(), Some("a@fabrikam.test"));
}

#[tokio::test(start_paused = true)]
async fn syntax_errors_in_mail_and_rcpt_are_recorded_as_written_and_others_are_not() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    client
        .play(&[("XYZZY", "500"), ("MAIL FROM:<a b@c>", "501")])
        .await;
    client
        .play(&[
            ("MAIL FROM:<scan@contoso.test>", "250"),
            ("RCPT TO:<@>", "501"),
        ])
        .await;
    let events = world.events("attempt.refused").await;
    let [mail, rcpt] = events.as_slice() else {
        panic!("two events, not {}", events.len())
    };
    assert_eq!(mail.from.as_deref(), Some("a b@c"));
    assert_eq!(rcpt.from.as_deref(), Some("scan@contoso.test"));
    assert_eq!(rcpt.to, Some(To::One("@".into())));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_may_not_greet_with_our_name_but_a_client_may() {
    let world = world().await;
    let mut stranger = world.connect(STRANGER).await;
    stranger.reply().await;
    let reply = stranger.say("EHLO relay.contoso.test").await;
    assert!(
        reply.starts_with("550 5.7.1") && reply.contains("(HELO-FORGED "),
        "{reply}"
    );
    assert_eq!(world.events("connection.refused").await.len(), 1);
    let mut client = world.connect(ERP).await;
    client.reply().await;
    assert!(
        client
            .say("EHLO relay.contoso.test")
            .await
            .starts_with("250")
    );
}

#[tokio::test(start_paused = true)]
async fn dns_refuses_what_can_certainly_not_arrive() {
    let world = world().await;
    world
        .dns
        .set("null.mx.example", vec![ZoneRecord::Mx(0, ".".into())]);
    world.dns.set(
        "text.mx.example",
        vec![ZoneRecord::Text("no mail here".into())],
    );
    world.dns.set(
        "ok.mx.example",
        vec![ZoneRecord::Mx(1, "mail.mx.example".into())],
    );
    world.dns.set(
        "host.mx.example",
        vec![ZoneRecord::Address([192, 0, 2, 1].into())],
    );
    world.dns.set(
        "fails.mx.example",
        vec![ZoneRecord::Mx(1, "mail.mx.example".into())],
    );
    world
        .dns
        .set_fault("fails.mx.example", Some(DnsFault::ServFail));
    let mut client = world.greeted(ERP).await;
    client
        .play(&[
            ("MAIL FROM:<scan@contoso.test>", "250"),
            ("RCPT TO:<b@nothing.mx.example>", "550 5.1.2"),
            ("RCPT TO:<b@text.mx.example>", "550 5.1.2"),
            ("RCPT TO:<b@null.mx.example>", "556 5.1.10"),
            ("RCPT TO:<b@ok.mx.example>", "250"),
            ("RCPT TO:<b@host.mx.example>", "250"),
            ("RCPT TO:<b@fails.mx.example>", "250"),
            ("RCPT TO:<b@never.asked.example>", "250"),
        ])
        .await;
    let tokens = world.events("attempt.refused").await;
    assert!(
        tokens
            .iter()
            .all(|event| event.token.as_deref() == Some("RCPT-DNS"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_dns_delays_a_transaction_once_and_by_a_second() {
    let world = world().await;
    for name in ["one.mx.example", "two.mx.example"] {
        world.dns.set_fault(name, Some(DnsFault::Silence));
    }
    let mut client = world.greeted(ERP).await;
    let begin = Instant::now();
    client
        .play(&[
            ("MAIL FROM:<scan@contoso.test>", "250"),
            ("RCPT TO:<b@one.mx.example>", "250"),
            ("RCPT TO:<b@two.mx.example>", "250"),
        ])
        .await;
    assert!(
        begin.elapsed() < Duration::from_millis(1_100),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn too_many_errors_end_the_session_and_its_events() {
    let world = world().await;
    let mut client = world.greeted(STRANGER).await;
    client.say("MAIL FROM:<someone@example.org>").await;
    let mut last = String::new();
    for _ in 0..100 {
        let reply = client.say("RCPT TO:<b@example.com>").await;
        if reply.is_empty() {
            break;
        }
        last = reply;
        if last.starts_with("421") {
            break;
        }
    }
    assert!(
        last.starts_with("421 4.7.0") && last.contains("(ERRORS "),
        "{last}"
    );
    assert!(client.is_closed().await);
    let events = world.events("attempt.refused").await.len();
    assert!((20..=21).contains(&events), "{events}");
}

#[tokio::test(start_paused = true)]
async fn a_smuggled_end_of_data_closes_the_session() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    client.open("scan@contoso.test", "b@example.org").await;
    client
        .send(&format!(
            "{GOOD}\n.\r\nMAIL FROM:<evil@contoso.test>\r\n.\r\n"
        ))
        .await;
    let reply = client.reply().await;
    assert!(reply.starts_with("521 5.5.2"), "{reply}");
    assert!(client.is_closed().await);
    world.assert_empty().await;
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_is_refused_leaves_the_name_of_the_one_before() {
    let world = world().await;
    let mut client = world.greeted(STRANGER).await;
    client
        .play(&[
            ("MAIL FROM:<someone@example.org>", "250"),
            ("EHLO relay.contoso.test", "550"),
            ("RCPT TO:<anna@contoso.test>", "250"),
            ("DATA", "354"),
        ])
        .await;
    assert!(client.say(&format!("{GOOD}.")).await.starts_with("250"));
    let refused = &world.events("connection.refused").await[0];
    let helo = |event: &relais_store::trace::Event| {
        let client = event.client.as_ref().expect("a client");
        client.helo.as_deref().map(str::to_owned)
    };
    assert_eq!(helo(refused).as_deref(), Some("relay.contoso.test"));
    let accepted = &world.events("message.accepted").await[0];
    assert_eq!(helo(accepted).as_deref(), Some("device.test"));
    assert!(
        world
            .content()
            .await
            .contains("\r\nReceived: from device.test ")
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_of_settings_reaches_an_open_session_with_its_next_transaction() {
    let world = world().await;
    let mut client = world.greeted(ERP).await;
    client
        .play(&[
            ("MAIL FROM:<erp@contoso.test>", "250"),
            ("RCPT TO:<b@example.org>", "250"),
        ])
        .await;
    let disabled = settings_with(
        "preset = \"strict\"",
        "preset = \"strict\"\nstate = \"disabled\"",
    );
    apply(&world.store, &disabled).await;
    // What was decided about the transaction under way holds to its end.
    client.play(&[("DATA", "354")]).await;
    assert!(client.say(&format!("{GOOD}.")).await.starts_with("250"));
    let refused = client.say("MAIL FROM:<erp@contoso.test>").await;
    assert!(refused.contains("(CONN-OFF "), "{refused}");
}
