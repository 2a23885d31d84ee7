//! RCPT at a bounce domain, and recipients that are suppressed.

use std::time::Duration;

use relais_policy::bounce::{BounceKey, BounceKeys, BounceToken, Place, TOKEN_DAYS};
use relais_policy::suppression::{Cause, Suppression};
use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;
use relais_smtp::identifier::QueueId;
use relais_store::store::SuppressionChange;

use crate::world::{GOOD, PRINTER, STRANGER, World, apply, settings_with, world};

const DAY: Duration = Duration::from_secs(86_400);

async fn bounces() -> World {
    let world = world().await;
    let with = settings_with(
        "mailbox_host = \"10.1.0.20:25\"",
        "mailbox_host = \"10.1.0.20:25\"\nbounce_domain = \"bounce.contoso.test\"",
    );
    apply(&world.store, &with).await;
    world
}

fn token(world: &World, number: u16) -> BounceToken {
    BounceToken {
        queue_id: QueueId::new(world.clock.now(), 0, number),
        recipient: Some(0),
    }
}

fn signed(world: &World, keys: &BounceKeys, number: u16) -> String {
    let domain = Domain::parse("bounce.contoso.test").expect("a domain");
    let place = Place {
        organisation: "contoso",
        domain: &domain,
    };
    let now = world.clock.now();
    keys.sign(token(world, number), place, now).to_string()
}

async fn key(world: &World) -> BounceKeys {
    let now = world.clock.now();
    let keys = world.store.bounce_keys("contoso", [5; 32], now);
    keys.await.expect("keys")
}

#[tokio::test(start_paused = true)]
async fn only_an_address_that_we_signed_is_taken_and_from_anybody() {
    let world = bounces().await;
    let key = key(&world).await;
    let ours = signed(&world, &key, 1);
    let other = BounceKeys::new(BounceKey::new([6; 32]), world.clock.now());
    let forged = signed(&world, &other, 1);
    for client in [STRANGER, PRINTER] {
        for sender in ["", "mailer-daemon@example.org", "scan@contoso.test"] {
            let sender = match (client, sender) {
                (PRINTER, "mailer-daemon@example.org") => continue,
                (_, sender) => sender,
            };
            let mut client = world.greeted(client).await;
            client
                .play(&[(&format!("MAIL FROM:<{sender}>"), "250")])
                .await;
            for (to, expected) in [
                (forged.as_str(), "550 5.1.1"),
                ("scan@bounce.contoso.test", "550 5.1.1"),
                (
                    "b1-0000000000000-000-0000000000000000@bounce.contoso.test",
                    "550 5.1.1",
                ),
                (ours.as_str(), "250"),
                (ours.to_uppercase().as_str(), "250"),
            ] {
                let reply = client.say(&format!("RCPT TO:<{to}>")).await;
                assert!(reply.starts_with(expected), "{sender} {to}: {reply}");
            }
        }
    }
    let mut client = world.greeted(STRANGER).await;
    let reply = client.mail("", &ours, GOOD).await;
    assert!(reply.starts_with("250 2.0.0 Queued as"), "{reply}");
    let queued = world.queue().await;
    assert_eq!(
        (queued.len(), queued[0].organisation.as_str()),
        (1, "contoso")
    );
}

#[tokio::test(start_paused = true)]
async fn a_signed_address_opens_no_door_to_other_recipients() {
    let world = bounces().await;
    let ours = format!("RCPT TO:<{}>", signed(&world, &key(&world).await, 1));
    let person = "RCPT TO:<anna@contoso.test>";
    for (first, second) in [(ours.as_str(), person), (person, ours.as_str())] {
        let mut client = world.greeted(STRANGER).await;
        client
            .play(&[("MAIL FROM:<a@example.org>", "250"), (first, "250")])
            .await;
        let reply = client.say(second).await;
        assert!(reply.starts_with("452 4.5.3"), "{second}: {reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_back_shows_no_subject_where_a_connector_masks_them() {
    let world = world().await;
    let with = settings_with(
        "mailbox_host = \"10.1.0.20:25\"",
        "mailbox_host = \"10.1.0.20:25\"\nbounce_domain = \"bounce.contoso.test\"",
    );
    let masked = with.replacen(
        "name = \"Printers\"",
        "name = \"Printers\"\nsubjects = \"masked\"",
        1,
    );
    apply(&world.store, &masked).await;
    let ours = signed(&world, &key(&world).await, 1);
    let notice = "From: mailer@example.org\r\nSubject: Undelivered: Payroll\r\n\r\nno\r\n";
    let mut client = world.greeted(STRANGER).await;
    for (from, to) in [
        ("", ours.as_str()),
        ("", "anna@contoso.test"),
        ("a@example.org", "anna@contoso.test"),
    ] {
        let reply = client.mail(from, to, notice).await;
        assert!(reply.starts_with("250"), "{reply}");
    }
    let accepted = world.events("message.accepted").await;
    let subjects: Vec<_> = accepted.iter().map(|one| one.subject.as_deref()).collect();
    let plain = Some("Undelivered: Payroll");
    assert_eq!(subjects, [Some("***"), Some("***"), plain]);
}

#[tokio::test(start_paused = true)]
async fn an_address_counts_for_some_weeks_only() {
    let world = bounces().await;
    let ours = signed(&world, &key(&world).await, 1);
    for (days, expected) in [(TOKEN_DAYS, "250"), (TOKEN_DAYS + 2, "550 5.1.1")] {
        tokio::time::advance(DAY * u32::from(days)).await;
        let mut client = world.greeted(STRANGER).await;
        client.play(&[("MAIL FROM:<>", "250")]).await;
        let reply = client.say(&format!("RCPT TO:<{ours}>")).await;
        assert!(reply.starts_with(expected), "{days}: {reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signed_address_is_a_door_for_so_many_and_so_large_messages() {
    let world = bounces().await;
    let key = key(&world).await;
    let (ours, other) = (signed(&world, &key, 1), signed(&world, &key, 2));
    let mut client = world.greeted(STRANGER).await;
    let large = format!("{GOOD}{}", "x".repeat(78) + "\r\n")
        + &format!("{}\r\n", "y".repeat(900)).repeat(12_000);
    let reply = client.mail("", &ours, &large).await;
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    assert!(world.queue().await.is_empty());
    let mut taken = 1;
    'sessions: for _ in 0..20 {
        let mut client = world.greeted(STRANGER).await;
        for _ in 0..10 {
            client.play(&[("MAIL FROM:<>", "250")]).await;
            let reply = client.say(&format!("RCPT TO:<{ours}>")).await;
            if !reply.starts_with("250") {
                assert!(
                    reply.starts_with("450 4.7.1") && reply.contains("(RATE "),
                    "{reply}"
                );
                break 'sessions;
            }
            taken += 1;
            client.play(&[("RSET", "250")]).await;
        }
    }
    assert_eq!(taken, 120, "in an hour, for one message");
    let mut client = world.greeted(STRANGER).await;
    let to = format!("RCPT TO:<{other}>");
    client.play(&[("MAIL FROM:<>", "250"), (&to, "250")]).await;
}

#[tokio::test(start_paused = true)]
async fn a_suppressed_recipient_is_refused_with_the_day_and_others_are_not() {
    let world = world().await;
    let suppress = |address: &str| {
        let now = world.clock.now();
        let queue_id = QueueId::new(now, 0, 1);
        let suppression = Suppression::of_notice(Cause::HardBounce, "no", queue_id, now);
        let mut change = SuppressionChange::new("contoso", now);
        change
            .put
            .push((Mailbox::parse(address).unwrap(), suppression));
        world.store.change_suppressions(change)
    };
    suppress("b@example.org").await.expect("stored");
    suppress("anna@contoso.test").await.expect("stored");
    let mut client = world.greeted(PRINTER).await;
    client
        .play(&[("MAIL FROM:<scan@contoso.test>", "250")])
        .await;
    let reply = client.say("RCPT TO:<B@Example.ORG>").await;
    let text = "550 5.1.1 Recipient suppressed after hard bounce on 2026-11-24 (RCPT-SUPPRESSED ";
    assert!(reply.starts_with(text), "{reply}");
    client.play(&[("RCPT TO:<c@example.org>", "250")]).await;
    // Who writes to us is not the one who sends.
    let mut client = world.greeted(STRANGER).await;
    client
        .play(&[
            ("MAIL FROM:<>", "250"),
            ("RCPT TO:<anna@contoso.test>", "250"),
        ])
        .await;
}
