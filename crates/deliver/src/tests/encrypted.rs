//! TLS towards next hops: each level against servers with, without, and with bad TLS.

use std::time::Duration;

use relais_net::tls::{
    CertificateStore, ClientAuthorities, ClientTls, KeyKind, RootCertStore, ServerCertificate,
    ServerTls, self_signed,
};
use relais_smtp::time::Timestamp;
use relais_store::trace::{Event, EventKind};

use super::peer::{Act, Peer};
use super::world::{SETTINGS, World, mail, minutes, pass, seconds};

/// 24 November 2026: the world's beginning.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

/// TLS of a server whose certificate signs itself, and that certificate.
pub(super) fn server(name: &str, made: Timestamp) -> (ServerTls, String) {
    let (chain, key) = self_signed(name, KeyKind::EcdsaP256, made).unwrap();
    let store = CertificateStore::new();
    store.install(ServerCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap());
    (ServerTls::new(store, ClientAuthorities::default()), chain)
}

pub(super) fn believing(roots: &[&str]) -> ClientTls {
    ClientTls::new(
        RootCertStore::empty(),
        roots.iter().map(|one| one.as_bytes()),
    )
    .unwrap()
}

/// An outbound connector with these lines.
pub(super) fn settings(lines: &str) -> String {
    format!(
        "{SETTINGS}\n[[organisation.outbound_connector]]\nname = \"Out\"\n\
         smart_hosts = [\"smart.example:25\"]\n{lines}\n"
    )
}

pub(super) async fn world(settings: &str, tls: ClientTls) -> World {
    let mut world = World::new(settings).await;
    world.address("smart.example", &["192.0.2.1"]);
    world.tls = tls;
    world.start();
    world
}

pub(super) fn reply(event: &Event) -> &str {
    event.reply.as_deref().unwrap_or_default()
}

/// `1.3 no`, as the trace has it.
pub(super) fn tls(event: &Event) -> Option<String> {
    let tls = event.tls.as_ref()?;
    assert!(tls.cipher.starts_with("TLS_"), "{}", tls.cipher);
    Some(format!("{} {}", tls.version, tls.verified))
}

const ALL_LEVELS: [(&str, Option<&str>); 5] = [
    ("tls = \"none\"", None),
    ("tls = \"opportunistic\"", Some("1.3 no")),
    ("tls = \"encryption-only\"", Some("1.3 no")),
    ("tls = \"certificate-validation\"", Some("1.3 chain")),
    (
        "tls = \"domain-validation\"\ntls_domain = \"smart.example\"",
        Some("1.3 name"),
    ),
];

#[tokio::test(start_paused = true)]
async fn a_server_in_order_meets_every_level_and_the_trace_says_which() {
    for (level, expected) in ALL_LEVELS {
        let (server, root) = server("smart.example", NOW);
        let world = world(&settings(level), believing(&[&root])).await;
        let peer = Peer::start(&world, "192.0.2.1", 25).await;
        peer.knows_tls(server);
        world.accept(mail(&["a@b.example"])).await;
        pass(seconds(5)).await;
        assert_eq!(peer.took().len(), 1, "{level}");
        let delivered = &world.events(EventKind::RecipientDelivered)[0];
        assert_eq!(tls(delivered).as_deref(), expected, "{level}");
        let attempted = &world.events(EventKind::DeliveryAttempted)[0];
        assert_eq!(tls(attempted).as_deref(), expected, "{level}");
        assert_eq!(delivered.detail, None);
        // The server is greeted again behind TLS.
        let hellos = peer.heard("EHLO").len();
        assert_eq!(hellos, if expected.is_some() { 2 } else { 1 }, "{level}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_starttls_the_levels_that_need_it_wait_and_say_why() {
    for (level, words) in [
        ("tls = \"none\"", None),
        ("tls = \"opportunistic\"", None),
        (
            "tls = \"encryption-only\"",
            Some("it does not offer STARTTLS (demanded: TLS)"),
        ),
        (
            "tls = \"certificate-validation\"",
            Some("(demanded: TLS with a certificate of a known authority)"),
        ),
        (
            "tls = \"domain-validation\"\ntls_domain = \"smart.example\"",
            Some("(demanded: TLS with a certificate for smart.example)"),
        ),
    ] {
        let world = world(&settings(level), ClientTls::without_roots()).await;
        let peer = Peer::start(&world, "192.0.2.1", 25).await;
        world.accept(mail(&["a@b.example"])).await;
        pass(seconds(5)).await;
        let Some(words) = words else {
            assert_eq!(peer.took().len(), 1, "{level}");
            continue;
        };
        assert!(peer.heard("MAIL").is_empty(), "{level}");
        let deferred = world.events(EventKind::RecipientDeferred);
        assert!(
            reply(&deferred[0]).contains(words),
            "{}",
            reply(&deferred[0])
        );
        assert!(reply(&deferred[0]).contains("smart.example[192.0.2.1]:25"));
        // The server learns it: the mail goes with the next attempt.
        let (server, root) = server("smart.example", NOW);
        drop(root);
        peer.knows_tls(server);
        pass(minutes(10)).await;
        let taken = level.contains("encryption-only");
        assert_eq!(peer.took().len(), usize::from(taken), "{level}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_does_not_fit_makes_the_mail_wait_with_the_fault_named() {
    let long_ago = Timestamp::from_millis(NOW.as_millis() - 1_000 * 3_600 * 24 * 1_000);
    let chain = "tls = \"certificate-validation\"";
    let name = "tls = \"domain-validation\"\ntls_domain = \"*.mail.example\"";
    for (level, made, known, words) in [
        (
            chain,
            NOW,
            false,
            "no authority that we know issued its certificate",
        ),
        (chain, long_ago, true, "its certificate is expired"),
        (name, NOW, true, "its certificate is for smart.example"),
        (
            name,
            NOW,
            false,
            "no authority that we know issued its certificate",
        ),
    ] {
        let (server, root) = server("smart.example", made);
        let roots = if known {
            vec![root.as_str()]
        } else {
            Vec::new()
        };
        let world = world(&settings(level), believing(&roots)).await;
        let peer = Peer::start(&world, "192.0.2.1", 25).await;
        peer.knows_tls(server);
        world.accept(mail(&["a@b.example"])).await;
        pass(minutes(10)).await;
        assert!(peer.took().is_empty() && peer.heard("MAIL").is_empty());
        assert_eq!(peer.heard("EHLO").len(), peer.heard("STARTTLS").len());
        let deferred = world.events(EventKind::RecipientDeferred);
        assert!(deferred.len() > 1);
        for event in &deferred {
            assert!(reply(event).contains(words), "{}", reply(event));
        }
        // Whom nobody asked for a certificate of any worth gets the mail all the same.
        world.apply(&settings("tls = \"encryption-only\"")).await;
        pass(minutes(20)).await;
        assert_eq!(peer.took().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_host_is_tried_where_the_first_cannot_do_what_is_demanded() {
    let both = settings("tls = \"certificate-validation\"").replace(
        "[\"smart.example:25\"]",
        "[\"smart.example:25\", \"192.0.2.2\"]",
    );
    let (server, root) = server("second.example", NOW);
    let world = world(&both, believing(&[&root])).await;
    let first = Peer::start(&world, "192.0.2.1", 25).await;
    let second = Peer::start(&world, "192.0.2.2", 25).await;
    second.knows_tls(server);
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(5)).await;
    assert!(first.heard("MAIL").is_empty());
    assert_eq!(second.took().len(), 1);
    let delivered = &world.events(EventKind::RecipientDelivered)[0];
    assert_eq!(tls(delivered).as_deref(), Some("1.3 chain"));
}

#[tokio::test(start_paused = true)]
async fn opportunistic_tls_that_fails_is_tried_again_in_clear_and_the_trace_says_so() {
    type Script = fn(&super::peer::Heard) -> Act;
    let closes: Script = |heard| match heard.verb.as_str() {
        "STARTTLS" => Act::Close("220 go on"),
        _ => Act::Usual,
    };
    let no_tls: Script = |heard| match heard.verb.as_str() {
        "STARTTLS" => Act::Drip(Duration::ZERO, b"220 go on\r\n\x15\x03\x01\x00\x02\x02\x28"),
        _ => Act::Usual,
    };
    let text: Script = |heard| match heard.verb.as_str() {
        "STARTTLS" => Act::Drip(Duration::ZERO, b"220 go on\r\n"),
        _ => Act::Usual,
    };
    for script in [closes, no_tls, text] {
        let world = world(&settings(""), ClientTls::without_roots()).await;
        let peer = Peer::start(&world, "192.0.2.1", 25).await;
        peer.offers(&["PIPELINING", "STARTTLS"]);
        peer.script(script);
        world.accept(mail(&["a@b.example"])).await;
        pass(minutes(3)).await;
        assert_eq!(peer.took().len(), 1);
        assert_eq!(peer.connections(), 2);
        assert_eq!(peer.heard("STARTTLS").len(), 1);
        let attempts = world.events(EventKind::DeliveryAttempted);
        assert!(
            reply(&attempts[0]).contains("TLS handshake failed"),
            "{}",
            reply(&attempts[0])
        );
        let delivered = &world.events(EventKind::RecipientDelivered)[0];
        assert_eq!(delivered.tls, None);
        let detail = delivered.detail.as_deref().unwrap();
        assert!(detail.starts_with("in clear text: the TLS handshake failed"));
        assert!(world.events(EventKind::RecipientDeferred).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_starttls_goes_on_in_clear_only_where_that_is_allowed() {
    for (level, taken) in [("", 1), ("tls = \"encryption-only\"", 0)] {
        let world = world(&settings(level), ClientTls::without_roots()).await;
        let peer = Peer::start(&world, "192.0.2.1", 25).await;
        peer.offers(&["STARTTLS"]);
        peer.script(|heard| match heard.verb.as_str() {
            "STARTTLS" => Act::Say("454 4.7.0 TLS not available"),
            _ => Act::Usual,
        });
        world.accept(mail(&["a@b.example"])).await;
        pass(seconds(5)).await;
        assert_eq!((peer.took().len(), peer.connections()), (taken, 1));
        let words = "it refused STARTTLS: 454 4.7.0 TLS not available";
        let event = match taken {
            0 => world.events(EventKind::RecipientDeferred)[0].clone(),
            _ => world.events(EventKind::RecipientDelivered)[0].clone(),
        };
        let told = [event.reply, event.detail].map(Option::unwrap_or_default);
        assert!(told.iter().any(|one| one.contains(words)), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_injected_behind_the_220_never_becomes_an_answer() {
    let (server, _) = server("smart.example", NOW);
    let world = world(
        &settings("tls = \"encryption-only\""),
        ClientTls::without_roots(),
    )
    .await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.knows_tls(server);
    peer.script(|heard| match heard.verb.as_str() {
        "STARTTLS" => Act::Say("220 go on\r\n250-evil\r\n250 CHUNKING\r\n250 ok\r\n250 taken"),
        _ => Act::Usual,
    });
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(5)).await;
    assert_eq!(peer.took().len(), 1);
    assert!(
        peer.heard("BDAT").is_empty(),
        "the injected offer counts for nothing"
    );
    assert_eq!(
        tls(&world.events(EventKind::RecipientDelivered)[0]).as_deref(),
        Some("1.3 no")
    );
}

#[tokio::test(start_paused = true)]
async fn port_465_begins_with_tls() {
    let implicit = settings("tls = \"domain-validation\"\ntls_domain = \"smart.example\"")
        .replace("smart.example:25", "smtps://smart.example");
    let (server, root) = server("smart.example", NOW);
    let world = world(&implicit, believing(&[&root])).await;
    let peer = Peer::start(&world, "192.0.2.1", 465).await;
    peer.knows_tls(server);
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(5)).await;
    assert_eq!(peer.took().len(), 1);
    assert!(peer.heard("STARTTLS").is_empty());
    let delivered = &world.events(EventKind::RecipientDelivered)[0];
    assert_eq!(tls(delivered).as_deref(), Some("1.3 name"));
    assert_eq!(
        delivered.next_hop.as_deref(),
        Some("smart.example[192.0.2.1]:465")
    );
}

#[tokio::test(start_paused = true)]
async fn implicit_tls_never_falls_back_to_clear_text() {
    let implicit = settings("").replace("smart.example:25", "smart.example:465");
    let world = world(&implicit, ClientTls::without_roots()).await;
    // It knows no TLS and greets in clear.
    let peer = Peer::start(&world, "192.0.2.1", 465).await;
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(2)).await;
    assert!(peer.heard("EHLO").is_empty() && peer.took().is_empty());
    let deferred = &world.events(EventKind::RecipientDeferred)[0];
    assert!(
        reply(deferred).contains("TLS handshake failed"),
        "{}",
        reply(deferred)
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_in_the_handshake_costs_a_minute_not_five() {
    let world = world(&settings(""), ClientTls::without_roots()).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.offers(&["STARTTLS"]);
    peer.script(|heard| match heard.verb.as_str() {
        "STARTTLS" => Act::Drip(Duration::ZERO, b"220 go on\r\n"),
        _ => Act::Usual,
    });
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(70)).await;
    assert_eq!(peer.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_large_message_goes_whole_through_tls() {
    let (server, _) = server("smart.example", NOW);
    let world = world(
        &settings("tls = \"encryption-only\""),
        ClientTls::without_roots(),
    )
    .await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.knows_tls(server);
    let mut letter = mail(&["a@b.example"]);
    letter.content = b"Subject: large\r\n\r\n".to_vec();
    for number in 0..40_000 {
        letter
            .content
            .extend_from_slice(format!("line {number} of a long letter\r\n").as_bytes());
    }
    let content = letter.content.clone();
    world.accept(letter).await;
    pass(minutes(2)).await;
    assert!(peer.took()[0].content == content);
}
