//! What destinations publish about TLS: DANE and MTA-STS, met, not met, hidden and taken back.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use relais_net::simulated_dns::DnsFault;
use relais_net::web::WebError;
use relais_net::zone::ZoneRecord;
use relais_store::shelf::Shelf;
use relais_store::trace::EventKind;

use super::encrypted::{NOW, believing, reply, server, tls};
use super::peer::Peer;
use super::world::{SETTINGS, World, hours, mail, minutes, pass, seconds};

const HOST: &str = "mx.b.example";
const TLSA: &str = "_25._tcp.mx.b.example";
const POLICY_AT: &str = "https://mta-sts.b.example/.well-known/mta-sts.txt";

/// A world with `b.example`, whose mail server has TLS and a certificate that signs itself, and who
/// is believed about it if `known`.
async fn world(known: bool) -> (World, Peer, Vec<u8>) {
    let mut world = World::new(SETTINGS).await;
    world.domain("b.example", "192.0.2.1");
    let (tls, pem) = server(HOST, NOW);
    let believed = [pem.as_str()];
    world.tls = believing(if known { &believed } else { &[] });
    world.start();
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.knows_tls(tls);
    (world, peer, der(&pem))
}

fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    BASE64_STANDARD
        .decode(lines.collect::<String>())
        .expect("base64")
}

/// `3 0 0`: the certificate itself.
fn tlsa(world: &World, usage: u8, data: Vec<u8>) {
    world
        .dns
        .set(TLSA, vec![ZoneRecord::Tlsa(usage, 0, 0, data)]);
}

/// One message, and a little time.
async fn send(world: &World) {
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(5)).await;
}

/// Why the newest recipient waits.
fn waits_because(world: &World) -> String {
    let deferred = world.events(EventKind::RecipientDeferred);
    let last = deferred.last().expect("it waits");
    reply(last).to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_its_tlsa_record_names_is_verified_by_dane_without_any_authority() {
    let (world, peer, certificate) = world(false).await;
    tlsa(&world, 3, certificate);
    world.dns.set_signed("b.example", true);
    send(&world).await;
    assert_eq!(peer.took().len(), 1);
    let delivered = &world.events(EventKind::RecipientDelivered)[0];
    assert_eq!(tls(delivered).as_deref(), Some("1.3 dane"));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_no_tlsa_record_names_gets_no_mail_until_it_does() {
    let (world, peer, certificate) = world(false).await;
    tlsa(&world, 3, b"another".to_vec());
    world.dns.set_signed("b.example", true);
    send(&world).await;
    assert!(peer.heard("MAIL").is_empty());
    let because = waits_because(&world);
    for words in [
        "matches none of its TLSA records",
        "mx.b.example[192.0.2.1]:25",
    ] {
        assert!(because.contains(words), "{because}");
    }
    tlsa(&world, 3, certificate);
    pass(minutes(10)).await;
    assert_eq!(peer.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn with_tlsa_records_a_server_without_starttls_gets_no_mail() {
    let mut world = World::new(SETTINGS).await;
    world.domain("b.example", "192.0.2.1");
    tlsa(&world, 3, b"any".to_vec());
    world.dns.set_signed("b.example", true);
    world.start();
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    send(&world).await;
    assert!(peer.heard("MAIL").is_empty());
    let because = waits_because(&world);
    assert!(because.contains("it does not offer STARTTLS"), "{because}");
}

#[tokio::test(start_paused = true)]
async fn tlsa_records_that_are_hidden_hold_the_mail_back() {
    for fault in [DnsFault::ServFail, DnsFault::Silence] {
        let (world, peer, certificate) = world(false).await;
        tlsa(&world, 3, certificate);
        world.dns.set_signed("b.example", true);
        world.dns.set_fault(TLSA, Some(fault));
        world.accept(mail(&["a@b.example"])).await;
        pass(minutes(1)).await;
        assert!(peer.heard("EHLO").is_empty(), "{fault:?}");
        let because = waits_because(&world);
        assert!(
            because.contains("whether mail server mx.b.example demands TLS (DANE) is not known"),
            "{because}"
        );
        world.dns.set_fault(TLSA, None);
        pass(minutes(10)).await;
        assert_eq!(peer.took().len(), 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn records_that_are_not_proven_or_not_usable_demand_no_certificate() {
    for (signed, usage, expected) in [
        (None, 3, "1.3 no"),
        // The MX records could be forged.
        (Some(HOST), 3, "1.3 no"),
        // PKIX-EE alone: TLS must be, and proves nothing.
        (Some("b.example"), 1, "1.3 no"),
    ] {
        let (world, peer, _) = world(false).await;
        tlsa(&world, usage, b"another".to_vec());
        if let Some(signed) = signed {
            world.dns.set_signed(signed, true);
            world.dns.set_signed(TLSA, true);
        }
        send(&world).await;
        assert_eq!(peer.took().len(), 1, "{signed:?} {usage}");
        let delivered = &world.events(EventKind::RecipientDelivered)[0];
        assert_eq!(tls(delivered).as_deref(), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_dane_leaves_the_mail_to_the_next_one_that_does_not() {
    let (world, bad, _) = world(false).await;
    let second = "mx2.b.example";
    world.mx("b.example", &[(10, HOST), (20, second)]);
    world.address(second, &["192.0.2.2"]);
    let (tls_of_second, pem) = server(second, NOW);
    let good = Peer::start(&world, "192.0.2.2", 25).await;
    good.knows_tls(tls_of_second);
    tlsa(&world, 3, b"another".to_vec());
    let record = ZoneRecord::Tlsa(3, 0, 0, der(&pem));
    world.dns.set("_25._tcp.mx2.b.example", vec![record]);
    world.dns.set_signed("b.example", true);
    send(&world).await;
    assert_eq!((bad.took().len(), good.took().len()), (0, 1));
}

fn policy(mode: &str, mx: &str) -> Result<Vec<u8>, WebError> {
    let text = format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 604800\n");
    Ok(text.into_bytes())
}

fn announce(world: &World, id: &str) {
    let text = format!("v=STSv1; id={id};");
    world
        .dns
        .set("_mta-sts.b.example", vec![ZoneRecord::Text(text)]);
}

#[tokio::test(start_paused = true)]
async fn an_enforced_policy_wants_its_hosts_and_a_certificate_that_holds() {
    for (known, mx, expected) in [
        (true, HOST, Ok("1.3 sts")),
        (true, "*.b.example", Ok("1.3 sts")),
        (
            false,
            HOST,
            Err("no authority that we know issued its certificate"),
        ),
        (
            true,
            "other.b.example",
            Err("mail server mx.b.example is not in the domain's MTA-STS policy"),
        ),
    ] {
        let (world, peer, _) = world(known).await;
        announce(&world, "a1");
        world.web.set(POLICY_AT, policy("enforce", mx));
        send(&world).await;
        match expected {
            Ok(verified) => {
                let delivered = &world.events(EventKind::RecipientDelivered)[0];
                assert_eq!(tls(delivered).as_deref(), Some(verified));
            }
            Err(words) => {
                assert!(peer.heard("MAIL").is_empty(), "{mx}");
                let because = waits_because(&world);
                assert!(because.contains(words), "{because}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_in_testing_or_taken_back_demands_nothing() {
    for mode in ["testing", "none"] {
        let (world, peer, _) = world(false).await;
        announce(&world, "a1");
        world.web.set(POLICY_AT, policy(mode, "other.b.example"));
        send(&world).await;
        assert_eq!(peer.took().len(), 1, "{mode}");
        let delivered = &world.events(EventKind::RecipientDelivered)[0];
        assert_eq!(tls(delivered).as_deref(), Some("1.3 no"));
    }
}

/// RFC 8461 §10.2: hiding the record or the policy must gain nothing.
#[tokio::test(start_paused = true)]
async fn a_policy_that_was_seen_once_counts_while_dns_and_web_are_hidden_and_over_a_restart() {
    let (mut world, peer, _) = world(true).await;
    announce(&world, "a1");
    world.web.set(POLICY_AT, policy("enforce", HOST));
    send(&world).await;
    assert_eq!(peer.took().len(), 1);
    // From now on somebody between us strips the offer of TLS, and hides the policy.
    world.dns.set("_mta-sts.b.example", Vec::new());
    world.web.set(POLICY_AT, Err(WebError::NoConnection));
    peer.forgets_tls();
    for restarted in [false, true] {
        if restarted {
            world.drain(seconds(10)).await;
            world.start();
        }
        pass(hours(2)).await;
        send(&world).await;
        assert_eq!(peer.took().len(), 1, "restarted: {restarted}");
        let because = waits_because(&world);
        assert!(because.contains("it does not offer STARTTLS"), "{because}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_whose_time_is_over_is_not_kept() {
    let (world, peer, _) = world(true).await;
    announce(&world, "a1");
    world.web.set(POLICY_AT, policy("enforce", HOST));
    send(&world).await;
    assert_eq!(peer.took().len(), 1);
    assert_eq!(world.store.shelf(Shelf::StsPolicy).await.unwrap().len(), 1);
    world.dns.set("_mta-sts.b.example", Vec::new());
    // Found by mail for somebody else.
    pass(hours(24 * 8)).await;
    world.domain("c.example", "192.0.2.1");
    world.accept(mail(&["a@c.example"])).await;
    pass(seconds(5)).await;
    assert_eq!(world.store.shelf(Shelf::StsPolicy).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_fetched_once_and_again_when_its_id_changes() {
    let (world, peer, _) = world(true).await;
    announce(&world, "a1");
    world.web.set(POLICY_AT, policy("enforce", HOST));
    for _ in 0..3 {
        send(&world).await;
        pass(minutes(10)).await;
    }
    assert_eq!(world.web.asked().len(), 1);
    announce(&world, "a2");
    world
        .web
        .set(POLICY_AT, policy("enforce", "other.b.example"));
    pass(minutes(10)).await;
    send(&world).await;
    assert_eq!(world.web.asked().len(), 2);
    assert_eq!(peer.took().len(), 3);
    let because = waits_because(&world);
    assert!(because.contains("MTA-STS policy"), "{because}");
}

#[tokio::test(start_paused = true)]
async fn without_any_policy_yet_one_that_cannot_be_fetched_holds_up_nothing() {
    let (world, peer, _) = world(false).await;
    announce(&world, "a1");
    world.web.set(POLICY_AT, Err(WebError::TimedOut));
    send(&world).await;
    assert_eq!(peer.took().len(), 1);
    send(&world).await;
    assert_eq!(world.web.asked().len(), 1, "it is not asked again at once");
}

/// RFC 8461 §2: MTA-STS never stands in for DANE that fails, and DANE needs no MTA-STS.
#[tokio::test(start_paused = true)]
async fn dane_comes_before_mta_sts() {
    for (record_fits, verified) in [(true, Some("1.3 dane")), (false, None)] {
        let (world, peer, certificate) = world(true).await;
        announce(&world, "a1");
        world.web.set(POLICY_AT, policy("enforce", HOST));
        let data = if record_fits { certificate } else { vec![1] };
        tlsa(&world, 3, data);
        world.dns.set_signed("b.example", true);
        send(&world).await;
        assert_eq!(peer.took().len(), usize::from(record_fits));
        let delivered = world.events(EventKind::RecipientDelivered);
        let found = delivered.first().and_then(tls);
        assert_eq!(found.as_deref(), verified);
    }
}
