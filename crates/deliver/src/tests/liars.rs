//! Peers that lie: each message still ends in exactly one result, in bounded time, and a dead or
//! lying peer holds one connection at most.

use std::time::Duration;

use relais_net::simulation::{Faults, Side};
use relais_store::trace::EventKind;

use super::peer::{Act, Peer};
use super::world::{SETTINGS, World, hours, mail, minutes, pass, seconds};

const STEPS: [&str; 7] = [
    "GREETING", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT", "QUIT",
];

/// A peer that does `act` at `step`, until the time given; then it is good.
async fn liar(step: &'static str, act: Act, until: Duration) -> (World, Peer) {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(move |heard| {
        if heard.verb == step && heard.at < until {
            act.clone()
        } else {
            Act::Usual
        }
    });
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    (world, peer)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_lies_at_any_step_gets_the_message_once_when_it_has_come_to_its_senses() {
    let acts = [
        Act::Close(""),
        Act::Close("421 4.3.2 closing"),
        Act::Say("421 4.3.2 closing"),
        Act::Say("hello there"),
        Act::Say("999 what"),
        Act::Say("250"),
        Act::Drip(
            Duration::from_secs(20),
            b"250-2.0.0 slow and endless, never done",
        ),
        Act::Drip(Duration::from_millis(100), b"2"),
        Act::Silence,
        Act::Say("451 4.3.0 later"),
    ];
    for step in STEPS {
        for act in &acts {
            let (world, peer) = liar(step, act.clone(), minutes(20)).await;
            pass(hours(3)).await;
            let expired = world.events(EventKind::RecipientExpired).len();
            let failed = world.events(EventKind::RecipientFailed).len();
            assert_eq!((expired, failed), (0, 0), "{act:?} at {step}");
            assert_eq!(peer.took().len(), 1, "{act:?} at {step}");
            assert_eq!(world.in_queue(), 0, "{act:?} at {step}");
            assert!(
                peer.open_max() <= 2,
                "{act:?} at {step}: {}",
                peer.open_max()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waits_end_at_the_times_of_the_rfc() {
    for (step, longest) in [
        ("GREETING", minutes(5)),
        ("EHLO", minutes(5)),
        ("MAIL", minutes(5)),
        ("RCPT", minutes(5)),
        ("DATA", minutes(2)),
        ("CONTENT", minutes(10)),
    ] {
        for act in [
            Act::Silence,
            Act::Drip(Duration::from_secs(30), b"250-ok ok ok ok ok ok ok"),
        ] {
            let (world, _peer) = liar(step, act, hours(9)).await;
            pass(longest - seconds(10)).await;
            assert!(
                world.events(EventKind::RecipientDeferred).is_empty(),
                "{step}"
            );
            pass(seconds(40)).await;
            let deferred = world.events(EventKind::RecipientDeferred);
            assert_eq!(deferred.len(), 1, "{step}");
            let reply = deferred[0].reply.as_deref().unwrap();
            assert!(reply.contains("in time"), "{step}: {reply}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_accepted_waits_and_is_called_a_possible_duplicate() {
    let (world, peer) = liar("CONTENT", Act::Close(""), minutes(1)).await;
    pass(seconds(30)).await;
    let deferred = world.events(EventKind::RecipientDeferred);
    assert_eq!(deferred.len(), 1);
    assert_eq!(deferred[0].detail.as_deref(), Some("possible duplicate"));
    assert_eq!(peer.heard("CONTENT").len(), 1, "not sent again at once");
    pass(minutes(3)).await;
    assert_eq!(peer.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_break_at_any_octet() {
    for octets in [0, 1, 10, 30, 60, 100, 150, 200, 250, 300, 400] {
        for side in [Side::Dialler, Side::Listener] {
            let world = World::delivering(SETTINGS).await;
            let peer = Peer::start(&world, "192.0.2.1", 25).await;
            let address = "192.0.2.1:25".parse().unwrap();
            let faults = Faults {
                reset_after: Some((side, octets)),
                ..Faults::default()
            };
            world.wire.set_faults(address, Some(faults));
            world.domain("b.example", "192.0.2.1");
            world.accept(mail(&["a@b.example"])).await;
            pass(minutes(10)).await;
            world.wire.set_faults(address, None);
            pass(hours(2)).await;
            assert!(!peer.took().is_empty(), "{octets}");
            assert_eq!(world.in_queue(), 0, "{octets}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn octets_that_come_one_by_one_are_read_all_the_same() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    let faults = Faults {
        octets_per_read_max: Some(1),
        ..Faults::default()
    };
    world
        .wire
        .set_faults("192.0.2.1:25".parse().unwrap(), Some(faults));
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(1)).await;
    assert_eq!(peer.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_said_while_content_is_on_its_way_is_heard() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match heard.verb.as_str() {
        "DATA" => Act::Say("354 go on\r\n552 5.3.4 too big"),
        _ => Act::Usual,
    });
    world.domain("b.example", "192.0.2.1");
    let mut message = mail(&["a@b.example"]);
    for _ in 0..30_000 {
        message
            .content
            .extend_from_slice(b"a line of content that is sent\r\n");
    }
    world.accept(message).await;
    pass(minutes(3)).await;
    // A reply out of turn ends the session; nothing is taken for granted.
    assert!(peer.took().is_empty() || world.events(EventKind::RecipientDelivered).is_empty());
}

#[tokio::test(start_paused = true)]
async fn hostile_text_reaches_the_trace_in_one_line() {
    let text = "550-5.7.1 first\r\n550-5.7.1 \x1b[31msecond\r\n550 5.7.1 third";
    let (world, _peer) = liar("RCPT", Act::Say(text), hours(1)).await;
    pass(seconds(10)).await;
    let failed = world.events(EventKind::RecipientFailed);
    let reply = failed[0].reply.as_deref().unwrap();
    assert!(!reply.contains('\n') && !reply.contains('\r'), "{reply:?}");
}
