//! FROM-DNS: a stranger's sender must be one whom an answer could reach; nobody else's is asked
//! about.

use std::time::Duration;

use relais_net::simulated_dns::DnsFault;
use relais_net::zone::ZoneRecord;
use tokio::time::Instant;

use crate::world::{ERP, GOOD, STRANGER, World, apply, settings_with, world};

/// The recipient whom strangers reach.
const ANNA: &str = "RCPT TO:<anna@contoso.test>";

fn mail_from(sender: &str) -> String {
    format!("MAIL FROM:<{sender}>")
}

/// A domain without anything in DNS, two that take no mail, two that take some, one that fails.
async fn domains() -> World {
    let world = world().await;
    let set = |name: &str, record| world.dns.set(name, vec![record]);
    set("null.example", ZoneRecord::Mx(0, ".".into()));
    set("text.example", ZoneRecord::Text("no mail here".into()));
    set("host.example", ZoneRecord::Address([192, 0, 2, 1].into()));
    set(
        "host6.example",
        ZoneRecord::Address([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].into()),
    );
    set("mail.example", ZoneRecord::Mx(1, "mail.example".into()));
    set("fails.example", ZoneRecord::Mx(1, "mail.example".into()));
    let fails = Some(DnsFault::ServFail);
    world.dns.set_fault("fails.example", fails);
    world
}

#[tokio::test(start_paused = true)]
async fn a_strangers_sender_that_no_answer_could_reach_is_refused() {
    let world = domains().await;
    let mut client = world.greeted(STRANGER).await;
    let refused = [
        (
            "a@nothing.example",
            "550 5.1.8 Sender domain cannot receive mail (FROM-DNS ",
        ),
        (
            "a@text.example",
            "550 5.1.8 Sender domain cannot receive mail (FROM-DNS ",
        ),
        ("a@null.example", "550 5.7.27 "),
        ("a@fails.example", "451 4.4.3 "),
    ];
    for (sender, reply) in refused {
        let mail = mail_from(sender);
        client
            .play(&[
                (&mail, "250"),
                (ANNA, reply),
                ("DATA", "503"),
                ("RSET", "250"),
            ])
            .await;
    }
    let events = world.events("attempt.refused").await;
    let of_dns = |event: &&relais_store::trace::Event| event.token.as_deref() == Some("FROM-DNS");
    let senders: Vec<_> = events
        .iter()
        .filter(of_dns)
        .filter_map(|event| event.from.as_deref())
        .collect();
    assert_eq!(senders, refused.map(|(sender, _)| sender));
    world.assert_empty().await;
}

#[tokio::test(start_paused = true)]
async fn a_strangers_sender_that_an_answer_could_reach_or_that_has_no_name_passes() {
    let world = domains().await;
    let mut client = world.greeted(STRANGER).await;
    let passing = [
        "a@mail.example",
        "a@host.example",
        "a@host6.example",
        "",
        "a@[192.0.2.1]",
        "anna@contoso.test",
    ];
    for sender in passing {
        let reply = client.mail(sender, "anna@contoso.test", GOOD).await;
        assert!(reply.starts_with("250 2.0.0"), "{sender}: {reply}");
    }
    assert_eq!(world.queue().await.len(), passing.len());
}

#[tokio::test(start_paused = true)]
async fn dns_is_asked_once_and_only_for_a_recipient_that_is_let() {
    let world = domains().await;
    let mut client = world.greeted(STRANGER).await;
    let mail = mail_from("a@null.example");
    client
        .play(&[
            (&mail, "250"),
            ("RCPT TO:<b@example.com>", "550 5.7.1 Not registered"),
            ("RCPT TO:<nobody@contoso.test>", "550 5.1.1"),
        ])
        .await;
    assert_eq!(world.dns.questions(), 0);
    client
        .play(&[
            (ANNA, "550 5.7.27"),
            (ANNA, "550 5.7.27"),
            (ANNA, "550 5.7.27"),
        ])
        .await;
    assert_eq!(world.dns.questions(), 1);
    let mail = mail_from("a@mail.example");
    client
        .play(&[
            ("RSET", "250"),
            (&mail, "250"),
            (ANNA, "250"),
            (ANNA, "250"),
        ])
        .await;
    assert_eq!(world.dns.questions(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_dns_delays_a_stranger_once_by_five_seconds_and_is_451() {
    let world = domains().await;
    world.dns.set_fault("null.example", Some(DnsFault::Silence));
    let mut client = world.greeted(STRANGER).await;
    let begin = Instant::now();
    let mail = mail_from("a@null.example");
    client
        .play(&[(&mail, "250"), (ANNA, "451 4.4.3"), (ANNA, "451 4.4.3")])
        .await;
    let passed = begin.elapsed();
    assert!(
        passed >= Duration::from_secs(5) && passed < Duration::from_millis(5_100),
        "{passed:?}"
    );
    // A slow answer within that time counts.
    let slow = DnsFault::Slow(Duration::from_secs(4));
    world.dns.set_fault("null.example", Some(slow));
    client
        .play(&[("RSET", "250"), (&mail, "250"), (ANNA, "550 5.7.27")])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_may_send_from_its_domain_whatever_dns_says_of_it() {
    let world = domains().await;
    world
        .dns
        .set("contoso.test", vec![ZoneRecord::Mx(0, ".".into())]);
    let mut client = world.greeted(ERP).await;
    let reply = client
        .mail("scan@contoso.test", "anna@contoso.test", GOOD)
        .await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    assert_eq!(world.dns.questions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_is_not_verified_yet_is_as_foreign_as_any() {
    let world = domains().await;
    let pending = settings_with(
        "[[organisation.recipient]]",
        "[[organisation.domain]]\nname = \"null.example\"\n\n[[organisation.recipient]]",
    );
    apply(&world.store, &pending).await;
    let mut client = world.greeted(STRANGER).await;
    let mail = mail_from("a@null.example");
    client.play(&[(&mail, "250"), (ANNA, "550 5.7.27")]).await;
}
