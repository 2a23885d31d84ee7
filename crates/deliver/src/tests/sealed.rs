//! Strangers' mail that is passed on: sealed by the domain that it came to, in chains that a
//! receiver believes.

use relais_net::mail_authentication::{Checking, Sender};
use relais_net::resolver::Resolver;
use relais_net::zone::ZoneRecord;
use relais_policy::document::DkimAlgorithm;
use relais_smtp::address::ReversePath;
use relais_smtp::dkim::BodyHasher;
use relais_smtp::header::{header_section_end, read, without_results_of};
use relais_store::trace::EventKind;

use super::peer::Peer;
use super::signed::with_key_of;
use super::world::{Mail, SETTINGS, World, mail, pass, seconds};

const MESSAGE: &str = "Received: from mx.example.org\r\nDKIM-Signature: v=1; b=none\r\nFrom: \
                       bob@example.org\r\nSubject: hello\r\n\r\nbody \r\n\r\n";

/// A relay that signs, its mailbox host, and the record of its key.
async fn world(active: bool) -> (World, Peer) {
    let settings = SETTINGS.replace("enabled = false", "enabled = true");
    let world = World::delivering(&settings).await;
    let public = with_key_of(&world, DkimAlgorithm::Rsa2048, active).await;
    let record = ZoneRecord::Text(format!("v=DKIM1; k=rsa; p={public}"));
    world.dns.set("s1._domainkey.contoso.test", vec![record]);
    let mailboxes = Peer::start(&world, "192.0.2.9", 25).await;
    (world, mailboxes)
}

/// As `accept` takes a stranger's message in: what was found stands on top, and nothing else in our
/// name.
fn strangers(arc: &str, message: &str) -> Mail {
    let cleaned = without_results_of(message.as_bytes(), "relay.contoso.test");
    let message = cleaned.map_or(message.to_owned(), |one| String::from_utf8(one).unwrap());
    let found = format!(
        "Authentication-Results: relay.contoso.test;\r\n\tspf=pass smtp.mailfrom=example.org;\
         \r\n\tarc={arc}\r\n"
    );
    Mail {
        connector: None,
        from: "bob@example.org",
        content: format!("{found}{message}").into_bytes(),
        ..mail(&["anna@contoso.test"])
    }
}

/// What the next server says of the chain.
async fn judged(world: &World, content: &[u8]) -> &'static str {
    let (section, body) = content.split_at(header_section_end(content).unwrap());
    let mut checking = Checking::begin(section);
    let mut hasher = BodyHasher::new();
    checking.body(body);
    hasher.update(body);
    let sender = Sender {
        client: "192.0.2.77".parse().unwrap(),
        helo: "relay.contoso.test",
        reverse_path: &ReversePath::Null,
    };
    let resolver = Resolver::simulated(&world.dns);
    let (hash, summary) = (hasher.finish(), read(section));
    let finished = checking.finish(&hash, &summary, sender, &resolver, &world.clock);
    finished.await.arc
}

#[tokio::test(start_paused = true)]
async fn a_strangers_message_is_sealed_and_the_chain_grows_and_holds() {
    let (world, mailboxes) = world(true).await;
    let mut message = MESSAGE.to_owned();
    for (round, arc) in [(1, "none"), (2, "pass"), (3, "pass")] {
        world.accept(strangers(arc, &message)).await;
        pass(seconds(5)).await;
        let took = mailboxes.took().last().unwrap().content.clone();
        let text = String::from_utf8(took.clone()).unwrap();
        assert!(text.starts_with("ARC-Seal: a=rsa-sha256; b="), "{text}");
        assert!(text.ends_with(MESSAGE), "{text}");
        let repeated = format!(
            "ARC-Authentication-Results: i={round}; relay.contoso.test;\r\n\tspf=pass \
             smtp.mailfrom=example.org;\r\n\tarc={arc}\r\n"
        );
        assert!(text.contains(&repeated), "{text}");
        assert_eq!(judged(&world, &took).await, "pass", "{text}");
        assert_eq!(judged(&world, &[&took[..], b"x"].concat()).await, "fail");
        let told = world.events(EventKind::RecipientDelivered);
        let detail = told.last().unwrap().detail.as_deref().unwrap_or_default();
        let expected = format!("sealed by contoso.test (i={round}, cv={arc})");
        assert!(detail.contains(&expected), "{detail}");
        message = text;
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_chain_is_sealed_once_as_broken_and_never_again() {
    let (world, mailboxes) = world(true).await;
    world.accept(strangers("none", MESSAGE)).await;
    pass(seconds(5)).await;
    let sealed = String::from_utf8(mailboxes.took()[0].content.clone()).unwrap();
    let changed = sealed.replace("body", "another body");
    world.accept(strangers("fail", &changed)).await;
    pass(seconds(5)).await;
    let broken = String::from_utf8(mailboxes.took()[1].content.clone()).unwrap();
    assert!(broken.contains("; i=2; s=s1;"), "{broken}");
    assert!(broken.contains(" cv=fail; d=contoso.test;"), "{broken}");
    assert_eq!(judged(&world, broken.as_bytes()).await, "fail");

    let again = strangers("fail", &broken);
    let as_it_is = again.content.clone();
    world.accept(again).await;
    pass(seconds(5)).await;
    assert_eq!(mailboxes.took()[2].content, as_it_is);
    let told = world.events(EventKind::RecipientDelivered);
    let detail = told[2].detail.as_deref().unwrap_or_default();
    assert!(
        detail.contains("not sealed: its chain was broken before"),
        "{detail}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_key_or_results_strangers_mail_leaves_as_it_is() {
    let (waiting, mailboxes) = world(false).await;
    let one = strangers("none", MESSAGE);
    let as_it_is = one.content.clone();
    waiting.accept(one).await;
    pass(seconds(5)).await;
    assert_eq!(mailboxes.took()[0].content, as_it_is);
    let told = waiting.events(EventKind::RecipientDelivered);
    let detail = told[0].detail.as_deref().unwrap_or_default();
    assert!(
        detail.contains("not sealed: DKIM of contoso.test waits"),
        "{detail}"
    );

    let (ready, mailboxes) = world(true).await;
    let unchecked = Mail {
        content: MESSAGE.into(),
        ..strangers("none", MESSAGE)
    };
    ready.accept(unchecked).await;
    pass(seconds(5)).await;
    assert_eq!(mailboxes.took()[0].content, MESSAGE.as_bytes());
}
