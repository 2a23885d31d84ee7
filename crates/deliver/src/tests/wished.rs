//! What messages wish of TLS: REQUIRETLS and `TLS-Required: No`.

use relais_net::zone::ZoneRecord;
use relais_smtp::envelope::Ret;
use relais_store::trace::EventKind;

use super::encrypted::{NOW, believing, reply, server, tls};
use super::peer::Peer;
use super::world::{Mail, SETTINGS, World, mail, minutes, pass, seconds};

async fn world(known: bool, knows_tls: bool) -> (World, Peer) {
    let mut world = World::new(SETTINGS).await;
    world.domain("b.example", "192.0.2.1");
    let (tls, pem) = server("mx.b.example", NOW);
    let believed = [pem.as_str()];
    world.tls = believing(if known { &believed } else { &[] });
    world.start();
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    if knows_tls {
        peer.knows_tls(tls);
    }
    (world, peer)
}

fn requiring() -> Mail {
    let mut mail = mail(&["a@b.example"]);
    mail.parameters.require_tls = true;
    mail.parameters.ret = Some(Ret::Full);
    mail
}

fn not_requiring() -> Mail {
    let mut mail = mail(&["a@b.example"]);
    mail.content = b"TLS-Required: No\r\nSubject: report\r\n\r\nx\r\n".to_vec();
    mail
}

/// TLSA records that nothing fits.
fn demand_the_impossible(world: &World) {
    let record = ZoneRecord::Tlsa(3, 0, 0, b"another".to_vec());
    world.dns.set("_25._tcp.mx.b.example", vec![record]);
    world.dns.set_signed("b.example", true);
}

#[tokio::test(start_paused = true)]
async fn requiretls_goes_to_a_server_that_proves_its_name_and_offers_it() {
    let (world, peer) = world(true, true).await;
    peer.also_offers("REQUIRETLS");
    world.accept(requiring()).await;
    pass(seconds(5)).await;
    assert_eq!(peer.took().len(), 1);
    assert!(peer.heard("MAIL")[0].line.contains(" REQUIRETLS"));
    let delivered = &world.events(EventKind::RecipientDelivered)[0];
    assert_eq!(tls(delivered).as_deref(), Some("1.3 name"));
}

#[tokio::test(start_paused = true)]
async fn requiretls_fails_at_once_where_it_cannot_be_kept() {
    for (known, knows_tls, offers, words) in [
        (true, true, false, "does not offer REQUIRETLS"),
        (true, false, true, "it does not offer STARTTLS"),
        (
            false,
            true,
            true,
            "no authority that we know issued its certificate",
        ),
    ] {
        let (world, peer) = world(known, knows_tls).await;
        if offers {
            peer.also_offers("REQUIRETLS");
        }
        let sender = Peer::start(&world, "192.0.2.9", 25).await;
        world.accept(requiring()).await;
        pass(seconds(5)).await;
        assert!(peer.took().is_empty(), "{words}");
        let failed = world.events(EventKind::RecipientFailed);
        assert!(reply(&failed[0]).contains(words), "{}", reply(&failed[0]));
        let notice = String::from_utf8(sender.took()[0].content.clone()).unwrap();
        assert!(notice.contains("Status: 5.7.30"), "{notice}");
        assert!(!notice.contains(".dot"), "its content stays here: {notice}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_proved_nothing_is_not_used_for_requiretls() {
    let (world, peer) = world(true, true).await;
    peer.also_offers("REQUIRETLS");
    for next in [mail(&["a@b.example"]), requiring(), mail(&["a@b.example"])] {
        world.accept(next).await;
        pass(seconds(1)).await;
    }
    assert_eq!(peer.took().len(), 3);
    let delivered = world.events(EventKind::RecipientDelivered);
    let proofs: Vec<_> = delivered.iter().filter_map(tls).collect();
    assert_eq!(
        proofs,
        ["1.3 no", "1.3 name", "1.3 name"],
        "a proof does no harm"
    );
}

#[tokio::test(start_paused = true)]
async fn mail_that_says_so_goes_whatever_the_destination_publishes() {
    for knows_tls in [true, false] {
        let (world, peer) = world(false, knows_tls).await;
        demand_the_impossible(&world);
        world.accept(mail(&["a@b.example"])).await;
        pass(seconds(5)).await;
        assert_eq!(peer.took().len(), 0, "other mail waits");
        world.accept(not_requiring()).await;
        pass(minutes(2)).await;
        assert_eq!(peer.took().len(), 1, "with TLS: {knows_tls}");
        let delivered = &world.events(EventKind::RecipientDelivered)[0];
        assert_eq!(tls(delivered).as_deref(), knows_tls.then_some("1.3 no"));
    }
}

#[tokio::test(start_paused = true)]
async fn its_session_serves_no_other_mail() {
    let (world, peer) = world(false, true).await;
    demand_the_impossible(&world);
    world.accept(not_requiring()).await;
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(2)).await;
    assert_eq!(peer.took().len(), 1);
    let deferred = world.events(EventKind::RecipientDeferred);
    assert!(reply(&deferred[0]).contains("TLSA records"));
}

#[tokio::test(start_paused = true)]
async fn requiretls_counts_more_than_the_field() {
    let (world, peer) = world(false, false).await;
    let mut both = not_requiring();
    both.parameters.require_tls = true;
    world.accept(both).await;
    pass(seconds(5)).await;
    assert!(peer.took().is_empty());
}
