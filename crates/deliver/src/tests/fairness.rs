//! Nobody waits for another's trouble.

use std::time::Duration;

use relais_net::simulation::{ConnectFault, Faults};

use super::peer::{Act, Peer};
use super::world::{Mail, SETTINGS, World, hours, mail, minutes, pass, seconds};

#[tokio::test(start_paused = true)]
async fn a_dead_destination_with_a_long_queue_does_not_hold_up_another() {
    let world = World::delivering(SETTINGS).await;
    let good = Peer::start(&world, "192.0.2.2", 25).await;
    world.domain("dead.example", "192.0.2.1");
    world.domain("good.example", "192.0.2.2");
    let timed_out = Faults {
        connect: ConnectFault::TimedOut,
        ..Faults::default()
    };
    world
        .wire
        .set_faults("192.0.2.1:25".parse().unwrap(), Some(timed_out));
    for number in 0..3_000 {
        world
            .accept(mail(&[&format!("r{number}@dead.example")]))
            .await;
    }
    pass(minutes(10)).await;
    let before = good.took().len();
    for number in 0..100 {
        let sent = world.began.elapsed();
        world
            .accept(mail(&[&format!("r{number}@good.example")]))
            .await;
        pass(seconds(1)).await;
        let took = good.took();
        assert_eq!(took.len(), before + number + 1);
        assert!(took.last().unwrap().at - sent < Duration::from_millis(200));
    }
}

#[tokio::test(start_paused = true)]
async fn many_dead_destinations_leave_connections_to_the_living() {
    let mut world = World::new(SETTINGS).await;
    world.options().connections_max = 20;
    world.start();
    let good = Peer::start(&world, "192.0.2.2", 25).await;
    world.domain("good.example", "192.0.2.2");
    let timed_out = Faults {
        connect: ConnectFault::TimedOut,
        ..Faults::default()
    };
    world
        .wire
        .set_faults("192.0.2.1:25".parse().unwrap(), Some(timed_out));
    for number in 0..100 {
        world.domain(&format!("dead{number}.example"), "192.0.2.1");
        for recipient in 0..5 {
            world
                .accept(mail(&[&format!("r{recipient}@dead{number}.example")]))
                .await;
        }
    }
    pass(minutes(10)).await;
    for number in 0..20 {
        let sent = world.began.elapsed();
        world
            .accept(mail(&[&format!("r{number}@good.example")]))
            .await;
        pass(seconds(7)).await;
        let took = good.took();
        assert_eq!(took.len(), number + 1);
        assert!(took.last().unwrap().at - sent < seconds(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_defers_everything_does_not_slow_another() {
    let world = World::delivering(SETTINGS).await;
    let bad = Peer::start(&world, "192.0.2.1", 25).await;
    bad.script(|heard| match heard.verb.as_str() {
        "RCPT" => Act::Say("451 4.7.1 greylisted for ever"),
        _ => Act::Usual,
    });
    let good = Peer::start(&world, "192.0.2.2", 25).await;
    world.domain("bad.example", "192.0.2.1");
    world.domain("good.example", "192.0.2.2");
    for number in 0..3_000 {
        world
            .accept(mail(&[&format!("r{number}@bad.example")]))
            .await;
    }
    for number in 0..50 {
        let sent = world.began.elapsed();
        world
            .accept(mail(&[&format!("r{number}@good.example")]))
            .await;
        pass(seconds(1)).await;
        assert!(good.took().last().unwrap().at - sent < Duration::from_millis(200));
    }
    assert!(bad.open_max() <= 10);
}

#[tokio::test(start_paused = true)]
async fn organisations_take_turns_at_a_site_that_they_share() {
    let settings = "[[organisation]]\nname = \"many\"\n[[organisation]]\nname = \"few\"\n";
    let world = World::new(settings).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match heard.verb.as_str() {
        "CONTENT" => Act::SayLater(Duration::from_millis(100), "250 2.0.0 taken"),
        _ => Act::Usual,
    });
    world.domain("b.example", "192.0.2.1");
    for number in 0..2_000 {
        let one = mail(&[&format!("r{number}@b.example")]);
        world
            .accept(Mail {
                organisation: "many",
                from: "a@many.example",
                ..one
            })
            .await;
    }
    for number in 0..20 {
        let one = mail(&[&format!("few{number}@b.example")]);
        world
            .accept(Mail {
                organisation: "few",
                from: "a@few.example",
                ..one
            })
            .await;
    }
    let mut world = world;
    world.start();
    pass(hours(1)).await;
    let took = peer.took();
    assert_eq!(took.len(), 2_020);
    let last = took
        .iter()
        .rposition(|one| one.from == "a@few.example")
        .unwrap();
    assert!(last < 300, "the last of the few came as number {last}");
}

#[tokio::test(start_paused = true)]
async fn connections_are_never_more_than_allowed_and_everyone_gets_one() {
    let mut world = World::new(SETTINGS).await;
    world.options().connections_max = 3;
    world.start();
    let peers = [
        Peer::start(&world, "192.0.2.1", 25).await,
        Peer::start(&world, "192.0.2.2", 25).await,
        Peer::start(&world, "192.0.2.3", 25).await,
        Peer::start(&world, "192.0.2.4", 25).await,
    ];
    for number in 1..=4 {
        world.domain(&format!("d{number}.example"), &format!("192.0.2.{number}"));
    }
    for round in 0..200 {
        for number in 1..=4 {
            world
                .accept(mail(&[&format!("r{round}@d{number}.example")]))
                .await;
        }
        pass(Duration::from_millis(20)).await;
        let open: usize = peers.iter().map(Peer::open).sum();
        assert!(open <= 3, "{open}");
    }
    pass(minutes(2)).await;
    assert!(peers.iter().all(|peer| peer.took().len() == 200));
}
