//! The pace of an outbound connector: connections, messages per minute, recipients.

use std::time::Duration;

use relais_store::trace::EventKind;

use super::peer::{Act, Peer};
use super::world::{SETTINGS, World, hours, mail, minutes, pass, seconds};

async fn paced(pace: &str) -> (World, Peer) {
    let settings = format!(
        "{SETTINGS}\n[[organisation.outbound_connector]]\nname = \"Out\"\n\
         smart_hosts = [\"192.0.2.1:587\"]\npace = {pace}\n"
    );
    let world = World::delivering(&settings).await;
    let peer = Peer::start(&world, "192.0.2.1", 587).await;
    (world, peer)
}

#[tokio::test(start_paused = true)]
async fn connections_stay_within_the_pace() {
    let (world, peer) = paced("{ connections = 3 }").await;
    peer.script(|heard| match heard.verb.as_str() {
        "CONTENT" => Act::SayLater(Duration::from_millis(500), "250 2.0.0 taken"),
        _ => Act::Usual,
    });
    for number in 0..300 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    pass(minutes(2)).await;
    assert_eq!(peer.took().len(), 300);
    assert_eq!(peer.open_max(), 3);
}

#[tokio::test(start_paused = true)]
async fn messages_per_minute_are_evenly_spread() {
    let (world, peer) = paced("{ messages_per_minute = 30 }").await;
    for number in 0..100 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    pass(minutes(4)).await;
    let took = peer.took();
    assert_eq!(took.len(), 100);
    let gaps = took.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(gaps.min().unwrap() >= Duration::from_millis(1_950));
    assert!(took.last().unwrap().at <= seconds(205));
    assert!(world.events(EventKind::RecipientDeferred).is_empty());
}

#[tokio::test(start_paused = true)]
async fn recipients_per_day_are_counted_over_a_sliding_day_and_nothing_bounces() {
    let (world, peer) = paced("{ recipients_per_day = 10 }").await;
    for number in 0..30 {
        // Of an ordinary lifetime, which the pace alone must not end.
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    pass(hours(23)).await;
    assert_eq!(peer.took().len(), 10);
    pass(hours(2)).await;
    assert_eq!(peer.took().len(), 20);
    pass(hours(25)).await;
    assert_eq!(peer.took().len(), 30);
    assert!(world.events(EventKind::RecipientDeferred).is_empty());
    assert!(world.events(EventKind::RecipientExpired).is_empty());
    // Who waits for the pace is not stalled.
    assert!(world.events(EventKind::AlertRaised).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_begin_the_day_anew() {
    let (mut world, peer) = paced("{ recipients_per_day = 10 }").await;
    for number in 0..20 {
        let mut message = mail(&[&format!("r{number}@b.example")]);
        message.lifetime = hours(5 * 24);
        world.accept(message).await;
    }
    pass(hours(1)).await;
    assert_eq!(peer.took().len(), 10);
    world.drain(minutes(1)).await;
    world.start();
    pass(hours(22)).await;
    assert_eq!(peer.took().len(), 10);
    pass(hours(3)).await;
    assert_eq!(peer.took().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn what_the_pace_holds_waits_five_days_and_no_longer() {
    let (world, peer) = paced("{ recipients_per_day = 1 }").await;
    let mailbox = Peer::start(&world, "192.0.2.9", 25).await;
    for number in 0..10 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    pass(hours(6 * 24)).await;
    assert_eq!(peer.took().len(), 5);
    let expired = world.events(EventKind::RecipientExpired);
    assert_eq!(expired.len(), 5);
    assert!(!mailbox.took().is_empty());
    assert_eq!(world.in_queue(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pause_and_a_change_of_hosts_do_not_begin_the_day_anew() {
    let (world, peer) = paced("{ recipients_per_day = 10 }").await;
    let second = Peer::start(&world, "192.0.2.2", 587).await;
    for number in 0..9 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    pass(hours(1)).await;
    assert_eq!(peer.took().len(), 9);
    let moved = format!(
        "{SETTINGS}\n[[organisation.outbound_connector]]\nname = \"Out\"\n\
         smart_hosts = [\"192.0.2.2:587\"]\npace = {{ recipients_per_day = 10 }}\n"
    );
    world.apply(&moved).await;
    for number in 0..9 {
        world.accept(mail(&[&format!("s{number}@b.example")])).await;
    }
    pass(hours(2)).await;
    assert_eq!(second.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn recipients_per_transaction_cut_a_message() {
    let (world, peer) = paced("{ recipients_per_transaction = 2 }").await;
    world
        .accept(mail(&["a@b.example", "b@b.example", "c@b.example"]))
        .await;
    pass(seconds(10)).await;
    let most = peer.took().iter().map(|took| took.to.len()).max();
    assert_eq!((peer.took_for().len(), most), (3, Some(2)));
}
