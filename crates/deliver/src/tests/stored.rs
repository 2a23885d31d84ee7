//! A store that is ill, and leases that grow old.

use std::collections::VecDeque;

use relais_store::memory::{Fault, FaultPlan};
use relais_store::store::Store;
use relais_store::trace::EventKind;

use super::peer::{Act, Peer};
use super::world::{Mail, SETTINGS, World, hours, mail, minutes, pass, seconds};

#[tokio::test(start_paused = true)]
async fn a_result_that_the_store_could_not_take_is_stored_when_it_has_recovered() {
    let mut world = World::new(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    let Store::Memory(memory) = &world.store else {
        panic!("not in memory");
    };
    let ordered = VecDeque::from([Some(Fault::Fails), Some(Fault::Fails)]);
    memory.set_faults(FaultPlan {
        ordered,
        ..FaultPlan::default()
    });
    world.start();
    pass(seconds(20)).await;
    assert_eq!(peer.took().len(), 1);
    assert!(
        world.events(EventKind::RecipientDelivered).is_empty(),
        "not stored yet"
    );
    for _ in 0..5 {
        world.store.maintain(world.clock.now()).await;
        pass(seconds(10)).await;
    }
    assert_eq!(world.events(EventKind::RecipientDelivered).len(), 1);
    pass(hours(1)).await;
    assert_eq!(peer.took().len(), 1, "and it was not delivered again");
    assert_eq!(world.in_queue(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deferral_that_waited_for_an_ill_store_follows_a_clock_that_went_back() {
    const TEN_DAYS: i64 = 864_000_000;
    let mut world = World::new(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match heard.verb.as_str() {
        "RCPT" => Act::Say("450 4.2.1 later"),
        _ => Act::Usual,
    });
    world.domain("b.example", "192.0.2.1");
    world.clock.jump(TEN_DAYS);
    world.accept(mail(&["a@b.example"])).await;
    let Store::Memory(memory) = &world.store else {
        panic!("not in memory");
    };
    memory.set_faults(FaultPlan {
        ordered: VecDeque::from([Some(Fault::Fails)]),
        ..FaultPlan::default()
    });
    world.start();
    pass(seconds(20)).await;
    assert_eq!(peer.heard("RCPT").len(), 1);
    world.clock.jump(-TEN_DAYS);
    pass(minutes(2)).await;
    for _ in 0..5 {
        world.store.maintain(world.clock.now()).await;
        pass(seconds(10)).await;
    }
    peer.script(|_| Act::Usual);
    pass(minutes(10)).await;
    assert_eq!(peer.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_while_a_slow_transfer_lasts() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match heard.verb.as_str() {
        "MAIL" | "RCPT" => Act::SayLater(minutes(4), "250 2.0.0 at last"),
        "DATA" => Act::SayLater(seconds(110), "354 go on"),
        "CONTENT" => Act::SayLater(minutes(9), "250 2.0.0 taken"),
        _ => Act::Usual,
    });
    peer.offers(&["8BITMIME"]);
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(hours(2)).await;
    assert_eq!(peer.took().len(), 1);
    assert_eq!(world.events(EventKind::RecipientDelivered).len(), 1);
    assert_eq!(world.in_queue(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_the_store_again_and_again_while_nothing_happens() {
    let world = World::delivering(SETTINGS).await;
    world.domain("b.example", "192.0.2.1");
    for number in 0..50 {
        let one = mail(&[&format!("r{number}@b.example")]);
        world.accept(Mail { from: "", ..one }).await;
    }
    pass(hours(20)).await;
    assert_eq!(world.in_queue(), 50);
    // Twenty hours of waiting for a dead host: some thousand attempts and look-ups, not a million.
    let (dials, questions) = (world.wire.dials(), world.dns.questions());
    assert!((500..5_000).contains(&dials), "{dials} dials");
    assert!(questions < 10_000, "{questions} questions");
}
