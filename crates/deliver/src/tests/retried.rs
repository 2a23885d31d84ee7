//! When mail is tried again, when it expires, and how little a dead destination costs.

use std::time::Duration;

use relais_net::simulated_dns::DnsFault;
use relais_store::queue::{Criteria, QueueAct};
use relais_store::suspension::{Suspension, SuspensionScope};
use relais_store::trace::EventKind;

use super::peer::{Act, Peer};
use super::world::{Mail, SETTINGS, World, hours, mail, minutes, pass, seconds};

#[tokio::test(start_paused = true)]
async fn attempts_come_after_a_minute_and_then_twice_as_late_up_to_an_hour() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match heard.verb.as_str() {
        "RCPT" => Act::Say("450 4.2.1 later"),
        _ => Act::Usual,
    });
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(hours(12)).await;
    let times: Vec<_> = peer.heard("RCPT").iter().map(|heard| heard.at).collect();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (gap, expected) in gaps.iter().zip([1, 2, 4, 8, 16, 32, 60, 60, 60, 60]) {
        let expected = minutes(expected);
        let latest = expected.mul_f64(1.2) + seconds(1);
        assert!(
            *gap >= expected && *gap <= latest,
            "{gap:?} after {expected:?}"
        );
    }
    assert!(gaps.len() >= 14);
    let deferred = world.events(EventKind::RecipientDeferred);
    assert_eq!(deferred[2].attempts, Some(3));
    let next = deferred[2].next_attempt.unwrap().since(deferred[2].time);
    assert!(next >= minutes(4) && next <= minutes(5));
    assert_eq!(deferred[2].reply.as_deref(), Some("450 4.2.1 later"));
}

#[tokio::test(start_paused = true)]
async fn mail_expires_at_the_end_of_its_lifetime_with_its_last_answer() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match heard.verb.as_str() {
        "RCPT" => Act::Say("450 4.2.1 later"),
        _ => Act::Usual,
    });
    let mailbox = Peer::start(&world, "192.0.2.9", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(hours(23)).await;
    assert!(world.events(EventKind::RecipientExpired).is_empty());
    pass(hours(1) + minutes(1)).await;
    let expired = world.events(EventKind::RecipientExpired);
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].reply.as_deref(), Some("450 4.2.1 later"));
    assert_eq!(world.in_queue(), 0);
    let notice = mailbox.took().pop().unwrap();
    let text = String::from_utf8(notice.content).unwrap();
    assert!(
        text.contains("Action: failed\r\nStatus: 4.2.1\r\n"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn mail_expires_without_any_attempt_too() {
    let world = World::delivering(SETTINGS).await;
    let mailbox = Peer::start(&world, "192.0.2.9", 25).await;
    let now = world.clock.now();
    let scope = SuspensionScope::destination("b.example");
    let suspension = Suspension::new(scope, "test", now);
    world.store.suspend(suspension).await.unwrap();
    world
        .accept(Mail {
            lifetime: hours(2),
            ..mail(&["a@b.example"])
        })
        .await;
    pass(hours(2) + minutes(1)).await;
    assert_eq!(
        world.recipients(EventKind::RecipientExpired),
        ["a@b.example"]
    );
    assert_eq!(
        world.events(EventKind::RecipientExpired)[0].attempts,
        Some(0)
    );
    let text = String::from_utf8(mailbox.took().pop().unwrap().content).unwrap();
    assert!(text.contains("Status: 5.4.7"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn mail_that_grew_old_while_we_were_down_is_tried_once_before_it_expires() {
    let mut world = World::new(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("alive.example", "192.0.2.1");
    world.domain("dead.example", "192.0.2.2");
    world.accept(mail(&["a@alive.example"])).await;
    world.accept(mail(&["a@dead.example"])).await;
    pass(hours(48)).await;
    world.start();
    pass(seconds(59)).await;
    assert_eq!(peer.took().len(), 1);
    assert!(world.events(EventKind::RecipientExpired).is_empty());
    assert!(
        world
            .recipients(EventKind::RecipientDeferred)
            .contains(&"a@dead.example".to_owned())
    );
    pass(seconds(60)).await;
    assert_eq!(
        world.recipients(EventKind::RecipientExpired),
        ["a@dead.example"]
    );
}

#[tokio::test(start_paused = true)]
async fn held_mail_expires_too_though_later() {
    let world = World::delivering(SETTINGS).await;
    world
        .accept(Mail {
            lifetime: hours(2),
            ..mail(&["a@b.example"])
        })
        .await;
    let now = world.clock.now();
    world
        .store
        .act(QueueAct::Hold, &Criteria::default(), "test", now)
        .await
        .unwrap();
    pass(hours(5 * 24)).await;
    assert!(world.events(EventKind::RecipientExpired).is_empty());
    pass(hours(24)).await;
    assert_eq!(
        world.recipients(EventKind::RecipientExpired),
        ["a@b.example"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_person_gave_up_fails_at_once_even_behind_a_dead_next_hop() {
    let world = World::delivering(SETTINGS).await;
    let mailbox = Peer::start(&world, "192.0.2.9", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(10)).await;
    let now = world.clock.now();
    world
        .store
        .act(QueueAct::Bounce, &Criteria::default(), "test", now)
        .await
        .unwrap();
    pass(seconds(5)).await;
    assert_eq!(
        world.recipients(EventKind::RecipientFailed),
        ["a@b.example"]
    );
    assert!(world.events(EventKind::RecipientExpired).is_empty());
    assert_eq!(mailbox.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_destination_costs_an_attempt_now_and_then_not_one_for_each_message() {
    let world = World::delivering(SETTINGS).await;
    world.domain("b.example", "192.0.2.1");
    for number in 0..2_000 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    pass(hours(2)).await;
    let dials = world.wire.dials();
    assert!((20..=200).contains(&dials), "{dials} dials in two hours");
    assert_eq!(world.in_queue(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn when_the_destination_is_back_all_is_delivered_soon_and_the_load_ramps_up() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.stop().await;
    world.domain("b.example", "192.0.2.1");
    for number in 0..1_000 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    pass(hours(3)).await;
    peer.listen().await;
    pass(minutes(3)).await;
    let took = peer.took();
    assert!(
        took.len() >= 900,
        "{} of those never tried came at once",
        took.len()
    );
    let first = took[0].connection;
    assert!(
        took.iter().take(2).all(|one| one.connection == first),
        "one connection begins"
    );
    pass(minutes(75)).await;
    assert_eq!(peer.took().len(), 1_000);
    assert!(world.events(EventKind::RecipientExpired).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_site_that_refuses_everything_for_now_is_asked_slowly() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match heard.verb.as_str() {
        "MAIL" if heard.at < Duration::from_secs(100) => Act::Say("451 4.3.0 later"),
        _ => Act::Usual,
    });
    world.domain("b.example", "192.0.2.1");
    for number in 0..2_000 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    pass(seconds(50)).await;
    let asked = peer.heard("MAIL").len();
    assert!((300..=700).contains(&asked), "{asked} in 50 s");
    pass(minutes(20)).await;
    assert_eq!(peer.took().len(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn mail_that_a_person_wants_tried_now_is_tried_now() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.stop().await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(hours(5)).await;
    peer.listen().await;
    pass(seconds(30)).await;
    let now = world.clock.now();
    world
        .store
        .act(QueueAct::Retry, &Criteria::default(), "test", now)
        .await
        .unwrap();
    pass(seconds(5)).await;
    assert_eq!(peer.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_wants_tried_now_does_not_wait_for_a_rest_that_has_just_begun() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|_| Act::Say("421 4.3.2 later"));
    world.domain("b.example", "192.0.2.1");
    world.domain("c.example", "192.0.2.1");
    world.dns.set_fault("c.example", Some(DnsFault::ServFail));
    world.accept(mail(&["a@b.example"])).await;
    world.accept(mail(&["a@c.example"])).await;
    pass(seconds(2)).await;
    assert_eq!(world.events(EventKind::RecipientDeferred).len(), 2);
    peer.script(|_| Act::Usual);
    world.dns.set_fault("c.example", None);
    let now = world.clock.now();
    let all = Criteria::default();
    let retry = world.store.act(QueueAct::Retry, &all, "test", now);
    retry.await.unwrap();
    pass(seconds(1)).await;
    assert_eq!(peer.took_for(), ["a@b.example", "a@c.example"]);
}

#[tokio::test(start_paused = true)]
async fn new_settings_are_followed_without_a_restart() {
    let world = World::delivering(SETTINGS).await;
    let direct = Peer::start(&world, "192.0.2.1", 25).await;
    let smart = Peer::start(&world, "192.0.2.2", 587).await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(5)).await;
    let settings = format!(
        "{SETTINGS}\n[[organisation.outbound_connector]]\nname = \"Out\"\n\
         smart_hosts = [\"192.0.2.2:587\"]\n"
    );
    world.apply(&settings).await;
    world.accept(mail(&["b@b.example"])).await;
    pass(seconds(5)).await;
    assert_eq!((direct.took().len(), smart.took().len()), (1, 1));
}
