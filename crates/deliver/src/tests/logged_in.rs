//! Logins at smart hosts: what is sent, to whom, and what a refusal costs.

use std::sync::Arc;
use std::time::Duration;

use relais_net::tls::ClientTls;
use relais_store::trace::EventKind;

use super::encrypted::{NOW, believing, reply, server, settings, world};
use super::peer::{Act, Heard, Peer};
use super::world::{World, hours, mail, minutes, pass, seconds};

const AUTH: &str = "auth = { method = \"password\", user = \"scan\" }";
/// At whoever answers, if only over TLS.
const PASSWORD: &str =
    "tls = \"encryption-only\"\nauth = { method = \"password\", user = \"scan\" }";

/// A world whose store keeps the password `hunter2` for the connector `Out`.
async fn knowing(settings: &str, tls: ClientTls) -> World {
    let world = world(settings, tls).await;
    world.vault.set_password("hunter2");
    world
}

/// `\0scan\0hunter2`, `\0scan\0better`.
const HUNTER2: &str = "AUTH PLAIN AHNjYW4AaHVudGVyMg==";
const BETTER: &str = "AUTH PLAIN AHNjYW4AYmV0dGVy";

/// Believes one line.
fn believes(line: &'static str) -> impl Fn(&Heard) -> Act + Send + Sync {
    move |heard| match heard.verb.as_str() {
        "AUTH" if heard.line == line => Act::Say("235 2.7.0 welcome"),
        "AUTH" => Act::Say("535 5.7.8 wrong user or password"),
        _ => Act::Usual,
    }
}

async fn smart_host(world: &World, offers: &str, tls: bool) -> Peer {
    let peer = Peer::start(world, "192.0.2.1", 25).await;
    peer.offers(&["PIPELINING", offers]);
    if tls {
        peer.knows_tls(server("smart.example", NOW).0);
    }
    peer
}

#[tokio::test(start_paused = true)]
async fn a_password_goes_over_tls_and_the_mail_behind_it() {
    let world = knowing(&settings(PASSWORD), ClientTls::without_roots()).await;
    let peer = smart_host(&world, "AUTH PLAIN LOGIN", true).await;
    peer.script(believes(HUNTER2));
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(5)).await;
    assert_eq!(peer.took().len(), 1);
    assert_eq!(peer.heard("AUTH").len(), 1);
    let first = peer.heard("TLS")[0].at;
    assert!(peer.heard("AUTH")[0].at >= first);
}

#[tokio::test(start_paused = true)]
async fn at_the_default_level_no_password_goes_to_who_cannot_prove_the_name() {
    let ours = server("smart.example", NOW);
    let other = server("other.example", NOW);
    for (lines, (tls, root), believed, taken, words) in [
        (AUTH, &ours, true, 1, ""),
        (AUTH, &ours, false, 0, "no authority that we know"),
        (
            AUTH,
            &other,
            true,
            0,
            "its certificate is for other.example",
        ),
        (PASSWORD, &other, false, 1, ""),
    ] {
        let roots: &[&str] = if believed { &[root] } else { &[] };
        let world = knowing(&settings(lines), believing(roots)).await;
        let peer = Peer::start(&world, "192.0.2.1", 25).await;
        peer.offers(&["AUTH PLAIN LOGIN"]);
        peer.knows_tls(tls.clone());
        peer.script(believes(HUNTER2));
        world.accept(mail(&["a@b.example"])).await;
        pass(minutes(10)).await;
        assert_eq!(
            (peer.heard("AUTH").len(), peer.took().len()),
            (taken, taken),
            "{lines} {words}"
        );
        if taken == 0 {
            let deferred = &world.events(EventKind::RecipientDeferred)[0];
            let reply = reply(deferred);
            assert!(reply.contains(words), "{reply}");
            assert!(
                reply.contains("(demanded: TLS with a certificate for the smart host)"),
                "{reply}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_tls_no_password_is_sent_however_lenient_the_level() {
    for level in ["", "tls = \"opportunistic\"", "tls = \"encryption-only\""] {
        let lines = format!("{level}\n{AUTH}");
        let world = knowing(&settings(&lines), ClientTls::without_roots()).await;
        let peer = smart_host(&world, "AUTH PLAIN LOGIN", false).await;
        peer.script(believes(HUNTER2));
        world.accept(mail(&["a@b.example"])).await;
        pass(minutes(20)).await;
        assert!(
            peer.heard("AUTH").is_empty() && peer.took().is_empty(),
            "{level}"
        );
        let deferred = &world.events(EventKind::RecipientDeferred)[0];
        assert!(
            reply(deferred).contains("does not offer STARTTLS"),
            "{}",
            reply(deferred)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn clear_text_is_for_private_addresses_of_connectors_that_say_so() {
    for (address, taken) in [("192.0.2.1", 1), ("203.0.113.9", 1), ("8.8.4.4", 0)] {
        let lines = format!("tls = \"none\"\n{AUTH}");
        let world = knowing(&settings(&lines), ClientTls::without_roots()).await;
        world.address("smart.example", &[address]);
        let peer = Peer::start(&world, address, 25).await;
        peer.offers(&["AUTH PLAIN"]);
        peer.script(believes(HUNTER2));
        world.accept(mail(&["a@b.example"])).await;
        pass(seconds(5)).await;
        assert_eq!(
            (peer.took().len(), peer.heard("AUTH").len()),
            (taken, taken)
        );
        if taken == 0 {
            let deferred = &world.events(EventKind::RecipientDeferred)[0];
            assert!(
                reply(deferred).contains("not sent in clear text"),
                "{}",
                reply(deferred)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_rests_long_and_costs_few_logins_however_much_mail_waits() {
    let lines = settings(PASSWORD).replace(
        "[\"smart.example:25\"]",
        "[\"smart.example:25\", \"192.0.2.2\"]",
    );
    let world = knowing(&lines, ClientTls::without_roots()).await;
    let peer = smart_host(&world, "AUTH PLAIN", true).await;
    let second = Peer::start(&world, "192.0.2.2", 25).await;
    second.knows_tls(server("second.example", NOW).0);
    peer.script(believes(BETTER));
    for number in 0..60 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
        pass(minutes(2)).await;
    }
    // In two hours: at once, after 5, 10, 20, 40 minutes, then each hour.
    let tried = peer.heard("AUTH").len();
    assert!((3..=6).contains(&tried), "{tried}");
    assert_eq!(
        second.connections(),
        0,
        "the other host is not asked the same"
    );
    let deferred = world.events(EventKind::RecipientDeferred);
    let first = reply(&deferred[0]);
    assert!(
        first.contains("login as \"scan\" by PLAIN refused: 535 5.7.8 wrong user or password"),
        "{first}"
    );
    assert!(
        deferred
            .iter()
            .any(|one| reply(one).contains("is tried again at"))
    );
    assert_eq!(world.in_queue(), 60);
    for event in world.events(EventKind::RecipientDeferred) {
        assert!(!format!("{event:?}").contains("hunter2") && !reply(&event).contains("AHNj"));
    }
    // The right password ends the rest with the next attempt.
    world.vault.set_password("better");
    pass(hours(2)).await;
    assert_eq!(world.in_queue(), 0);
    assert_eq!(peer.took().len(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_refused_for_now_is_no_verdict() {
    let world = knowing(&settings(PASSWORD), ClientTls::without_roots()).await;
    let peer = smart_host(&world, "AUTH PLAIN", true).await;
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    peer.script(move |heard| match heard.verb.as_str() {
        "AUTH" if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 1 => {
            Act::Say("454 4.7.0 our directory is away")
        }
        "AUTH" => Act::Say("235 ok"),
        _ => Act::Usual,
    });
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(4)).await;
    assert_eq!(peer.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_said_and_nobody_is_dialled() {
    for (lines, words) in [
        (
            PASSWORD.to_owned(),
            "relais connector outbound set \"Out\" --password-stdin",
        ),
        (
            PASSWORD.replace(" }", ", password_file = \"/nowhere/p\" }"),
            "/nowhere/p cannot be read",
        ),
    ] {
        let world = world(&settings(&lines), ClientTls::without_roots()).await;
        world.accept(mail(&["a@b.example"])).await;
        pass(seconds(5)).await;
        let deferred = &world.events(EventKind::RecipientDeferred)[0];
        assert!(reply(deferred).contains(words), "{}", reply(deferred));
        assert_eq!(world.wire.dials(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_mechanism_for_us_is_told_apart() {
    for (offers, words) in [
        ("AUTH GSSAPI CRAM-MD5", "(AUTH: GSSAPI, CRAM-MD5)"),
        ("SIZE 1000000", "(AUTH: none)"),
    ] {
        let world = knowing(&settings(PASSWORD), ClientTls::without_roots()).await;
        let peer = smart_host(&world, offers, true).await;
        world.accept(mail(&["a@b.example"])).await;
        pass(seconds(5)).await;
        assert!(peer.heard("AUTH").is_empty() && peer.took().is_empty());
        let deferred = &world.events(EventKind::RecipientDeferred)[0];
        assert!(reply(deferred).contains(words), "{}", reply(deferred));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_or_lies_at_auth_gets_no_mail() {
    let lies: [fn() -> Act; 4] = [
        || Act::Close(""),
        || Act::Close("421 4.3.2 going"),
        || Act::Say("250 2.0.0 whatever"),
        || Act::Drip(Duration::from_secs(20), b"235 2.7.0 "),
    ];
    for lie in lies {
        let (tls, root) = server("smart.example", NOW);
        let world = knowing(&settings(PASSWORD), believing(&[&root])).await;
        let peer = Peer::start(&world, "192.0.2.1", 25).await;
        peer.offers(&["AUTH PLAIN"]);
        peer.knows_tls(tls);
        peer.script(move |heard| match heard.verb.as_str() {
            "AUTH" => lie(),
            _ => Act::Usual,
        });
        world.accept(mail(&["a@b.example"])).await;
        pass(minutes(8)).await;
        assert!(peer.heard("MAIL").is_empty());
        assert!(!world.events(EventKind::RecipientDeferred).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_of_before_the_settings_changed_serves_no_mail_after_it() {
    let encrypted = settings("tls = \"encryption-only\"");
    let world = knowing(&encrypted, ClientTls::without_roots()).await;
    let peer = smart_host(&world, "AUTH PLAIN", true).await;
    peer.script(believes(HUNTER2));
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(1)).await;
    assert_eq!((peer.took().len(), peer.connections()), (1, 1));
    // As somebody now: the session that is still open was nobody's.
    world.apply(&settings(PASSWORD)).await;
    world.accept(mail(&["b@b.example"])).await;
    pass(seconds(1)).await;
    assert_eq!((peer.took().len(), peer.connections()), (2, 2));
    assert_eq!(peer.heard("AUTH").len(), 1);
    // And as another one.
    let other = PASSWORD.replace("scan", "printer");
    world.apply(&settings(&other)).await;
    world.accept(mail(&["c@b.example"])).await;
    pass(seconds(1)).await;
    assert_eq!(peer.heard("AUTH").len(), 2, "not as the one of before");
}
