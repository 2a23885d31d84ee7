//! Stopping: nothing new begins, what is under way ends and is stored, nothing is lost or doubled.

use std::time::Duration;

use relais_store::trace::EventKind;

use super::peer::{Act, Peer, counts};
use super::world::{SETTINGS, World, mail, minutes, pass, seconds};

#[tokio::test(start_paused = true)]
async fn a_drain_under_load_loses_nothing_and_doubles_nothing() {
    let mut world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match heard.verb.as_str() {
        "CONTENT" => Act::SayLater(Duration::from_millis(300), "250 2.0.0 taken"),
        _ => Act::Usual,
    });
    world.domain("b.example", "192.0.2.1");
    for number in 0..500 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    for _ in 0..5 {
        pass(seconds(1)).await;
        let begun = world.began.elapsed();
        world.drain(seconds(30)).await;
        assert!(world.began.elapsed() - begun < seconds(3));
        let took = peer.took().len();
        assert_eq!(world.events(EventKind::RecipientDelivered).len(), took);
        assert_eq!(peer.open(), 0, "every session was ended");
        pass(minutes(1)).await;
        assert_eq!(peer.took().len(), took, "nothing goes on after the drain");
        world.start();
    }
    pass(minutes(5)).await;
    let counts = counts(&peer.took());
    assert_eq!(counts.len(), 500);
    assert!(counts.values().all(|count| *count == 1));
    assert_eq!(world.in_queue(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_does_not_hold_up_the_drain() {
    let mut world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match heard.verb.as_str() {
        "CONTENT" => Act::Silence,
        _ => Act::Usual,
    });
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(5)).await;
    let begun = world.began.elapsed();
    world.drain(seconds(30)).await;
    let took = world.began.elapsed() - begun;
    assert!(took >= seconds(29) && took <= seconds(31), "{took:?}");
    assert_eq!(world.in_queue(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_while_a_host_is_sought_returns_the_message_untried() {
    let mut world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match heard.verb.as_str() {
        "GREETING" => Act::Silence,
        _ => Act::Usual,
    });
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(5)).await;
    world.drain(seconds(30)).await;
    assert_eq!(world.in_queue(), 1);
    assert!(world.events(EventKind::RecipientDeferred).is_empty());
    peer.script(|_| Act::Usual);
    world.start();
    pass(seconds(5)).await;
    assert_eq!(peer.took().len(), 1, "it was not left under lease");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_dropped_says_nothing_any_more() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(1)).await;
    drop(world);
    pass(seconds(1)).await;
    assert_eq!(peer.open(), 0);
    assert!(peer.heard("QUIT").is_empty());
}
