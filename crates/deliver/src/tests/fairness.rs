//! Nobody waits for another's trouble.

use std::time::Duration;

use relais_net::simulated_dns::DnsFault;
use relais_net::simulation::{ConnectFault, Faults};

use relais_store::trace::EventKind;

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

/// Times from acceptance to the next hop's 250 of one message a second of organisation "few" to this domain.
async fn times_of_the_few(flood: &[&str], to: &str) -> Vec<Duration> {
    let settings = "[[organisation]]\nname = \"many\"\n[[organisation]]\nname = \"few\"\n";
    let world = World::delivering(settings).await;
    let slow = |peer: &Peer| {
        peer.script(|heard| match heard.verb.as_str() {
            "CONTENT" => Act::SayLater(Duration::from_millis(100), "250 2.0.0 taken"),
            _ => Act::Usual,
        });
    };
    let shared = Peer::start(&world, "192.0.2.1", 25).await;
    let other = Peer::start(&world, "192.0.2.2", 25).await;
    slow(&shared);
    slow(&other);
    world.domain("b.example", "192.0.2.1");
    world.domain("c.example", "192.0.2.2");
    let of = |organisation, from, to: String| Mail {
        organisation,
        from,
        ..mail(&[&to])
    };
    for number in 0..10_000 {
        for domain in flood {
            let to = format!("r{number}@{domain}");
            world.accept(of("many", "a@many.example", to)).await;
        }
    }
    pass(seconds(20)).await;
    let mut times = Vec::new();
    for number in 0..40 {
        let sent = world.clock.now();
        let to = format!("few{number}@{to}");
        world.accept(of("few", "a@few.example", to)).await;
        pass(seconds(1)).await;
        let delivered = world.events(EventKind::RecipientDelivered);
        let mut of_few = delivered
            .iter()
            .filter(|one| one.organisation.as_deref() == Some("few"));
        let latest = of_few.next_back().expect("delivered within a second");
        assert!(latest.time >= sent);
        times.push(latest.time.since(sent));
    }
    // The first one opens the connection.
    times.remove(0);
    times.sort();
    times
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_organisation_at_most_doubles_the_time_of_another() {
    let worst = |times: &[Duration]| *times.last().unwrap();
    for to in ["b.example", "c.example"] {
        let alone = worst(&times_of_the_few(&[], to).await);
        let flooded = worst(&times_of_the_few(&["b.example"], to).await);
        assert!(flooded <= alone * 2, "{to}: {flooded:?} beside {alone:?}");
    }
}

/// Messages for the destination that refuses them all: full figures with `RELAIS_LONG`.
fn many_refused() -> usize {
    match std::env::var_os("RELAIS_LONG") {
        Some(_) => 100_000,
        None => 3_000,
    }
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_comes_back_gets_its_mail_in_a_ramp_while_others_flow() {
    let world = World::delivering(SETTINGS).await;
    let bad = Peer::start(&world, "192.0.2.1", 25).await;
    let good = Peer::start(&world, "192.0.2.2", 25).await;
    bad.script(|heard| match heard.verb.as_str() {
        "RCPT" => Act::Say("451 4.3.2 maintenance"),
        _ => Act::Usual,
    });
    world.domain("bad.example", "192.0.2.1");
    world.domain("good.example", "192.0.2.2");
    for number in 0..many_refused() {
        let mut message = mail(&[&format!("r{number}@bad.example")]);
        message.lifetime = hours(5 * 24);
        world.accept(message).await;
    }
    pass(minutes(30)).await;
    assert!(bad.took().is_empty());
    assert_eq!(world.events(EventKind::AlertRaised).len(), 0);
    // Ten times a second at most, while it refused.
    let asked = bad.heard("RCPT").len();
    assert!(asked <= 1_800 * 10 + 100, "{asked}");
    bad.script(|_| Act::Usual);
    while bad.took().is_empty() {
        pass(Duration::from_millis(1)).await;
    }
    pass(Duration::from_millis(10)).await;
    assert!(bad.open() <= 5, "{} connections at once", bad.open());
    for number in 0..60 {
        let sent = world.began.elapsed();
        world
            .accept(mail(&[&format!("r{number}@good.example")]))
            .await;
        pass(seconds(1)).await;
        assert!(bad.open() <= 10);
        let took = good.took();
        assert_eq!(took.len(), number + 1);
        assert!(took.last().unwrap().at - sent < Duration::from_millis(200));
    }
    pass(hours(2)).await;
    assert_eq!(bad.took().len(), many_refused());
}

#[tokio::test(start_paused = true)]
async fn slow_name_servers_of_one_organisations_destinations_hold_up_nobody_else() {
    let settings = "[[organisation]]\nname = \"many\"\n[[organisation]]\nname = \"few\"\n";
    let world = World::delivering(settings).await;
    let good = Peer::start(&world, "192.0.2.2", 25).await;
    world.domain("good.example", "192.0.2.2");
    let of = |organisation, from, to: String| Mail {
        organisation,
        from,
        ..mail(&[&to])
    };
    for number in 0..1_000 {
        let domain = format!("slow{number}.example");
        world.dns.set_fault(&domain, Some(DnsFault::Silence));
        let to = format!("r@{domain}");
        world.accept(of("many", "a@many.example", to)).await;
    }
    for number in 0..30 {
        let sent = world.began.elapsed();
        let to = format!("few{number}@good.example");
        world.accept(of("few", "a@few.example", to)).await;
        pass(seconds(10)).await;
        let took = good.took();
        assert_eq!(took.len(), number + 1);
        assert!(took.last().unwrap().at - sent < seconds(1));
    }
}
