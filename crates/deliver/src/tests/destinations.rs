//! From a domain to hosts and addresses. RFC 5321 §5.1, RFC 7505.

use relais_net::simulated_dns::DnsFault;
use relais_net::zone::ZoneRecord;
use relais_store::trace::{Event, EventKind};

use super::peer::{Act, Peer};
use super::world::{SETTINGS, World, hours, mail, minutes, pass, seconds};

fn reply(events: &[Event]) -> String {
    events
        .iter()
        .filter_map(|event| event.reply.as_deref())
        .collect::<Vec<_>>()
        .join("; ")
}

#[tokio::test(start_paused = true)]
async fn the_better_preference_is_tried_first_and_the_next_one_when_it_fails() {
    let world = World::delivering(SETTINGS).await;
    let first = Peer::start(&world, "192.0.2.1", 25).await;
    let second = Peer::start(&world, "192.0.2.2", 25).await;
    world.mx("b.example", &[(20, "two.b.example"), (10, "one.b.example")]);
    world.address("one.b.example", &["192.0.2.1"]);
    world.address("two.b.example", &["192.0.2.2"]);
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(10)).await;
    first.stop().await;
    world.accept(mail(&["b@b.example"])).await;
    pass(seconds(10)).await;
    assert_eq!(first.took_for(), ["a@b.example"]);
    assert_eq!(second.took_for(), ["b@b.example"]);
    assert!(world.events(EventKind::RecipientDeferred).is_empty());

    first.listen().await;
    pass(minutes(3)).await;
    world.accept(mail(&["c@b.example"])).await;
    pass(seconds(10)).await;
    assert_eq!(
        first.took_for(),
        ["a@b.example", "c@b.example"],
        "back to the first"
    );
}

#[tokio::test(start_paused = true)]
async fn equal_preferences_share_the_load() {
    let world = World::delivering(SETTINGS).await;
    let one = Peer::start(&world, "192.0.2.1", 25).await;
    let two = Peer::start(&world, "192.0.2.2", 25).await;
    world.mx("b.example", &[(10, "one.b.example"), (10, "two.b.example")]);
    world.address("one.b.example", &["192.0.2.1"]);
    world.address("two.b.example", &["192.0.2.2"]);
    for number in 0..40 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
        pass(seconds(10)).await;
    }
    assert!(one.took().len() >= 10 && two.took().len() >= 10);
    assert_eq!(one.took().len() + two.took().len(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_refuses_the_session_is_left_for_another() {
    for act in [
        Act::Say("421 4.3.2 closing"),
        Act::Say("554 5.3.2 no"),
        Act::Close(""),
        Act::Say("what?"),
        Act::Silence,
    ] {
        let world = World::delivering(SETTINGS).await;
        let bad = Peer::start(&world, "192.0.2.1", 25).await;
        let good = Peer::start(&world, "192.0.2.2", 25).await;
        let said = act.clone();
        bad.script(move |_| said.clone());
        world.mx("b.example", &[(10, "one.b.example"), (20, "two.b.example")]);
        world.address("one.b.example", &["192.0.2.1"]);
        world.address("two.b.example", &["192.0.2.2"]);
        world.accept(mail(&["a@b.example"])).await;
        pass(minutes(6)).await;
        assert_eq!(good.took_for(), ["a@b.example"], "{act:?}");
        assert_eq!(
            world.events(EventKind::DeliveryAttempted).len(),
            2,
            "{act:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn both_families_are_tried() {
    for alive in ["2001:db8::25", "192.0.2.1"] {
        let world = World::delivering(SETTINGS).await;
        let peer = Peer::start(&world, alive, 25).await;
        world.mx("b.example", &[(10, "mx.b.example")]);
        world.address("mx.b.example", &["2001:db8::25", "192.0.2.1"]);
        world.accept(mail(&["a@b.example"])).await;
        pass(minutes(1)).await;
        assert_eq!(peer.took().len(), 1, "{alive}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_mx_the_domain_itself_is_the_host() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.address("b.example", &["192.0.2.1"]);
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(5)).await;
    assert_eq!(peer.took().len(), 1);
    let delivered = world.events(EventKind::RecipientDelivered);
    assert_eq!(
        delivered[0].next_hop.as_deref(),
        Some("b.example[192.0.2.1]:25")
    );
}

#[tokio::test(start_paused = true)]
async fn domains_that_can_have_no_mail_fail_at_once_and_say_why() {
    let mx = |host: &str| ZoneRecord::Mx(10, host.to_owned());
    for (records, expected) in [
        (vec![], "does not exist"),
        (vec![mx(".")], "null MX"),
        (vec![mx("relay.contoso.test")], "ourselves"),
        (vec![ZoneRecord::Text("nothing".into())], "has no address"),
        (vec![mx("nowhere.example")], "has no address"),
    ] {
        let world = World::delivering(SETTINGS).await;
        world.dns.set("b.example", records);
        world.accept(mail(&["a@b.example"])).await;
        pass(seconds(5)).await;
        let failed = world.events(EventKind::RecipientFailed);
        assert!(
            reply(&failed).contains(expected),
            "{} / {expected}",
            reply(&failed)
        );
        assert_eq!(world.events(EventKind::NoticeSent).len(), 1, "{expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn we_never_deliver_to_ourselves_or_to_worse_preferences() {
    let world = World::delivering(SETTINGS).await;
    let better = Peer::start(&world, "192.0.2.1", 25).await;
    let worse = Peer::start(&world, "192.0.2.2", 25).await;
    world.mx(
        "b.example",
        &[
            (10, "one.b.example"),
            (20, "relay.contoso.test"),
            (30, "two.b.example"),
        ],
    );
    world.address("one.b.example", &["192.0.2.1"]);
    world.address("two.b.example", &["192.0.2.2"]);
    better.stop().await;
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(2)).await;
    assert_eq!(worse.connections(), 0);
    better.listen().await;
    pass(minutes(5)).await;
    assert_eq!(better.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn private_addresses_found_by_mx_are_never_dialled_unless_allowed() {
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "::1",
        "fe80::1",
        "169.254.0.1",
    ] {
        let mut world = World::new(SETTINGS).await;
        world.options().allow_private_destinations = false;
        world.start();
        let peer = Peer::start(&world, address, 25).await;
        world.domain("b.example", address);
        world.accept(mail(&["a@b.example"])).await;
        pass(seconds(5)).await;
        assert_eq!(peer.connections(), 0, "{address}");
        let failed = world.events(EventKind::RecipientFailed);
        assert!(
            reply(&failed).contains("private addresses only"),
            "{address}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn typed_hosts_are_reached_wherever_they_are() {
    let settings = SETTINGS.replace("192.0.2.9:25", "10.0.0.1:2525");
    let mut world = World::new(&settings).await;
    world.options().allow_private_destinations = false;
    world.start();
    let peer = Peer::start(&world, "10.0.0.1", 2525).await;
    world.accept(mail(&["anna@contoso.test"])).await;
    pass(seconds(5)).await;
    assert_eq!(peer.took().len(), 1);
    let delivered = world.events(EventKind::RecipientDelivered);
    assert_eq!(delivered[0].next_hop.as_deref(), Some("[10.0.0.1]:2525"));
}

#[tokio::test(start_paused = true)]
async fn address_literals_are_refused_unless_a_connector_names_them() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.accept(mail(&["a@[192.0.2.1]"])).await;
    pass(seconds(5)).await;
    assert_eq!(peer.connections(), 0);
    assert!(reply(&world.events(EventKind::RecipientFailed)).contains("address literal"));

    let named = SETTINGS.replace("owner =", "recipient_domains = [\"[192.0.2.1]\"]\nowner =");
    world.apply(&named).await;
    world.accept(mail(&["a@[192.0.2.1]"])).await;
    pass(seconds(90)).await;
    assert_eq!(peer.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn smart_hosts_are_tried_in_order() {
    let settings = format!(
        "{SETTINGS}\n[[organisation.outbound_connector]]\nname = \"Out\"\n\
         smart_hosts = [\"192.0.2.1:587\", \"smart.example:2525\"]\n"
    );
    let world = World::delivering(&settings).await;
    let second = Peer::start(&world, "192.0.2.2", 2525).await;
    world.address("smart.example", &["192.0.2.2"]);
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(40)).await;
    assert_eq!(second.took().len(), 1);
    let delivered = &world.events(EventKind::RecipientDelivered)[0];
    assert_eq!(
        delivered.next_hop.as_deref(),
        Some("smart.example[192.0.2.2]:2525")
    );
    assert_eq!(delivered.outbound_connector.as_deref(), Some("Out"));

    let first = Peer::start(&world, "192.0.2.1", 587).await;
    pass(minutes(2)).await;
    world.accept(mail(&["b@b.example"])).await;
    pass(seconds(10)).await;
    assert_eq!(first.took_for(), ["b@b.example"], "back to the first");
}

#[tokio::test(start_paused = true)]
async fn six_hours_without_dns_bounce_nothing_and_all_is_delivered_soon_after() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    let mailboxes = Peer::start(&world, "192.0.2.9", 25).await;
    let domains: Vec<_> = (0..10).map(|number| format!("d{number}.example")).collect();
    for (number, domain) in domains.iter().enumerate() {
        world.domain(domain, "192.0.2.1");
        let fault = if number % 2 == 0 {
            DnsFault::ServFail
        } else {
            DnsFault::Silence
        };
        world.dns.set_fault(domain, Some(fault));
        for recipient in 0..20 {
            world
                .accept(mail(&[&format!("r{recipient}@{domain}")]))
                .await;
        }
    }
    pass(hours(6)).await;
    assert!(peer.took().is_empty());
    assert_eq!(world.in_queue(), 200);
    assert!(!mailboxes.took().is_empty(), "delays are told");
    for domain in &domains {
        world.dns.set_fault(domain, None);
    }
    pass(minutes(15)).await;
    assert_eq!(peer.took().len(), 200);
    assert_eq!(world.in_queue(), 0);
    assert!(world.events(EventKind::RecipientFailed).is_empty());
    assert!(world.events(EventKind::RecipientExpired).is_empty());
}

#[tokio::test(start_paused = true)]
async fn sessions_that_stand_are_used_while_dns_is_away() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["first@b.example"])).await;
    pass(seconds(1)).await;
    world.dns.set_fault("b.example", Some(DnsFault::ServFail));
    world
        .dns
        .set_fault("mx.b.example", Some(DnsFault::ServFail));
    for number in 0..60 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
        pass(seconds(4)).await;
    }
    assert_eq!(peer.took().len(), 61);
    assert!(world.events(EventKind::RecipientDeferred).is_empty());
}

/// Addresses of the public kind: egress addresses are chosen for these only.
const PUBLIC_FOUR: &str = "203.0.112.1";
const PUBLIC_SIX: &str = "2600:1::1";

#[tokio::test(start_paused = true)]
async fn mail_leaves_from_the_egress_address_of_its_family_or_waits() {
    let mut world = World::new(SETTINGS).await;
    world.options().source_addresses = vec!["198.51.100.1".parse().unwrap()];
    world.start();
    let four = Peer::start(&world, PUBLIC_FOUR, 25).await;
    let six = Peer::start(&world, PUBLIC_SIX, 25).await;
    world.domain("four.example", PUBLIC_FOUR);
    world.domain("six.example", PUBLIC_SIX);
    world.accept(mail(&["a@four.example"])).await;
    world.accept(mail(&["a@six.example"])).await;
    pass(seconds(20)).await;
    assert_eq!(four.took().len(), 1);
    let from = four.heard("MAIL")[0].from.ip().to_string();
    assert_eq!(from, "198.51.100.1");
    assert_eq!(six.connections(), 0, "never from another address");
    let deferred = world.events(EventKind::RecipientDeferred);
    assert_eq!(deferred.len(), 1);
    let said = format!("{:?}", deferred[0]);
    assert!(said.contains("no egress address of the family"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_connector_has_addresses_and_a_version_of_its_own() {
    for (version, is_six) in [
        ("4", false),
        ("6", true),
        ("prefer-4", false),
        ("prefer-6", true),
    ] {
        let connector = format!(
            "{SETTINGS}\n[[organisation.outbound_connector]]\nname = \"Own\"\n\
             source_addresses = [\"198.51.100.2\", \"2001:db8::1\"]\n\
             ip_version = \"{version}\"\n"
        );
        let mut world = World::new(&connector).await;
        world.options().source_addresses = vec!["198.51.100.1".parse().unwrap()];
        world.start();
        let four = Peer::start(&world, PUBLIC_FOUR, 25).await;
        let six = Peer::start(&world, PUBLIC_SIX, 25).await;
        world.mx("b.example", &[(10, "mx.b.example")]);
        world.address("mx.b.example", &[PUBLIC_FOUR, PUBLIC_SIX]);
        world.accept(mail(&["a@b.example"])).await;
        pass(seconds(20)).await;
        let (taken, own) = if is_six {
            (&six, "2001:db8::1")
        } else {
            (&four, "198.51.100.2")
        };
        let deferred = world.events(EventKind::RecipientDeferred);
        assert_eq!(taken.took().len(), 1, "{version}: {deferred:?}");
        let from = taken.heard("MAIL")[0].from.ip().to_string();
        assert_eq!(from, own, "{version}");
        assert_eq!(four.connections() + six.connections(), 1, "{version}");
    }
}

/// `contoso.test` leaves by this smart host.
fn by_smart_host(host: &str, more: &str) -> String {
    format!(
        "{SETTINGS}\n[[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = \
         [{host:?}]\n{more}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn a_smart_host_held_to_public_addresses_is_judged_by_where_its_name_leads_now() {
    let held = "public_hosts_only = true";
    for (host, more, is_dialled) in [
        ("10.0.0.7:25", "", true),
        ("smart.example:25", "", true),
        ("10.0.0.7:25", held, false),
        ("smart.example:25", held, false),
    ] {
        let mut world = World::new(&by_smart_host(host, more)).await;
        world.options().allow_private_destinations = false;
        let private = Peer::start(&world, "10.0.0.7", 25).await;
        let public = Peer::start(&world, "11.0.0.25", 25).await;
        world.address("smart.example", &["10.0.0.7"]);
        world.start();
        world.accept(mail(&["a@b.example"])).await;
        pass(seconds(10)).await;
        assert_eq!(!private.took().is_empty(), is_dialled, "{host} {more}");
        if is_dialled {
            continue;
        }
        let waits = reply(&world.events(EventKind::RecipientDeferred));
        assert!(waits.contains("which public_hosts_only forbids"), "{waits}");
        assert!(private.connections() == 0, "{host}: dialled");
        // The name leads to a public address, and the mail goes; then it is turned round.
        if host.starts_with("smart") {
            world.address("smart.example", &["11.0.0.25"]);
            pass(minutes(5)).await;
            assert_eq!(public.took().len(), 1);
            world.address("smart.example", &["10.0.0.7"]);
            pass(hours(1)).await;
            world.accept(mail(&["b@b.example"])).await;
            pass(seconds(10)).await;
            assert_eq!((public.took().len(), private.connections()), (1, 0));
        }
        // The operator's word counts at once.
        world.apply(&by_smart_host(host, "")).await;
        pass(minutes(10)).await;
        assert_eq!(private.took().len(), 1, "{host}");
    }
}
