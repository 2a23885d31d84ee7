//! Signatures on the way out: on top, counted, told; and no mail of a signing domain without one.

use relais_net::dkim::SigningKey;
use relais_policy::dkim::{DomainKeys, Key};
use relais_policy::document::{Dkim, DkimAlgorithm};
use relais_policy::proof::ProofKey;
use relais_smtp::domain::Domain;
use relais_store::dkim::DkimChange;
use relais_store::secret::{SecretKind, SecretName};
use relais_store::trace::EventKind;

use super::peer::Peer;
use super::world::{SETTINGS, World, mail, minutes, pass, seconds};

fn settings() -> String {
    SETTINGS.replace("enabled = false", "enabled = true")
}

const ED25519_WAITING: (DkimAlgorithm, bool) = (DkimAlgorithm::Ed25519, false);

fn secret_name() -> SecretName {
    SecretName::new("contoso", SecretKind::DkimKey, "contoso.test s1")
}

/// A key of contoso.test, active or waiting; its secret is kept.
async fn with_key(world: &World, active: bool) {
    with_key_of(world, DkimAlgorithm::Ed25519, active).await;
}

/// Its public half.
pub(super) async fn with_key_of(world: &World, algorithm: DkimAlgorithm, active: bool) -> String {
    let keys = add_key(world, DomainKeys::new("t".into()), (algorithm, active)).await;
    let public = keys.keys[0].public.clone();
    change_keys(world, None, keys).await;
    public
}

async fn change_keys(world: &World, before: Option<DomainKeys>, after: DomainKeys) {
    let change = DkimChange {
        key: ProofKey::new("contoso", &Domain::parse("contoso.test").unwrap()),
        before,
        after: Some(after),
        time: world.clock.now(),
        audit: None,
        events: Vec::new(),
    };
    assert_eq!(world.store.change_dkim(change).await, Ok(true));
}

/// These and one more.
async fn add_key(
    world: &World,
    keys: DomainKeys,
    (algorithm, active): (DkimAlgorithm, bool),
) -> DomainKeys {
    let now = world.clock.now();
    let private = SigningKey::generate(algorithm.signing()).unwrap();
    let kept = private.to_secret().unwrap();
    (world
        .store
        .put_secret(&secret_name(), &kept, now, None)
        .await)
        .unwrap();
    let key = Key::new("s1".into(), algorithm, private.public().unwrap(), now);
    let keys = keys.with_key(key);
    match active {
        true => keys.activated_by_hand("s1", &Dkim::default(), now).0,
        false => keys,
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_stands_on_top_of_the_unchanged_content_by_data_and_by_bdat() {
    for extensions in [&["SIZE 10000000"][..], &["PIPELINING", "CHUNKING"]] {
        let world = World::delivering(&settings()).await;
        with_key(&world, true).await;
        let peer = Peer::start(&world, "192.0.2.1", 25).await;
        peer.offers(extensions);
        world.domain("b.example", "192.0.2.1");
        world.accept(mail(&["bob@b.example"])).await;
        pass(seconds(2)).await;

        let took = &peer.took()[0];
        let content = mail(&["bob@b.example"]).content;
        assert!(
            took.content.ends_with(&content),
            "the octets behind it are the same"
        );
        let front = String::from_utf8(took.content[..took.content.len() - content.len()].into());
        let front = front.unwrap();
        assert!(
            front.starts_with("DKIM-Signature: v=1; a=ed25519-sha256;"),
            "{front}"
        );
        assert!(
            front.contains(" d=contoso.test;") && front.contains(" s=s1;"),
            "{front}"
        );
        // `printf 'hello\r\n.dot\r\n' | sha256sum`, in Base64.
        assert!(
            front.contains("bh=uREeX0YCBH7w5ITIbWaJZLj5VDKfozdfhxU+a7W96g8=;"),
            "{front}"
        );
        if extensions[0].starts_with("SIZE") {
            let said = &peer.heard("MAIL")[0].line;
            assert!(
                said.contains(&format!("SIZE={}", took.content.len())),
                "{said}"
            );
        }
        for kind in [EventKind::DeliveryAttempted, EventKind::RecipientDelivered] {
            let event = &world.events(kind)[0];
            assert_eq!(*event.signed_by, ["contoso.test".into()]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_state_of_the_keys_cannot_be_read_mail_waits_and_says_why() {
    let world = World::delivering(&settings()).await;
    change_keys(&world, None, DomainKeys::damaged()).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["bob@b.example"])).await;
    pass(minutes(2)).await;
    assert!(peer.took().is_empty());
    let event = &world.events(EventKind::RecipientDeferred)[0];
    let reply = event.reply.as_deref().unwrap_or_default();
    assert!(
        reply.contains("must be signed by contoso.test") && reply.contains("cannot be read"),
        "{reply}"
    );
    // A new key alone is not enough; once DNS shows it, it signs.
    let waiting = add_key(&world, DomainKeys::damaged(), ED25519_WAITING).await;
    change_keys(&world, Some(DomainKeys::damaged()), waiting.clone()).await;
    pass(minutes(10)).await;
    assert!(peer.took().is_empty());
    let active = waiting.activated_by_hand("s1", &Dkim::default(), world.clock.now());
    change_keys(&world, Some(waiting), active.0).await;
    pass(minutes(10)).await;
    assert!(peer.took()[0].content.starts_with(b"DKIM-Signature:"));
}

#[tokio::test(start_paused = true)]
async fn while_dns_shows_no_key_mail_leaves_unsigned_and_the_trace_says_so() {
    let world = World::delivering(&settings()).await;
    with_key(&world, false).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["bob@b.example"])).await;
    pass(seconds(2)).await;
    assert_eq!(peer.took()[0].content, mail(&["bob@b.example"]).content);
    let event = &world.events(EventKind::RecipientDelivered)[0];
    assert!(event.signed_by.is_empty());
    let detail = event.detail.as_deref().unwrap_or_default();
    assert!(
        detail.contains("unsigned: DKIM of contoso.test waits"),
        "{detail}"
    );
}

#[tokio::test(start_paused = true)]
async fn mail_of_a_signing_domain_waits_for_its_key_and_never_leaves_without() {
    let world = World::delivering(&settings()).await;
    with_key(&world, true).await;
    let kept = world.store.secret(&secret_name()).await.unwrap().unwrap();
    (world
        .store
        .forget_secret(&secret_name(), world.clock.now(), None)
        .await)
        .unwrap();
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["bob@b.example"])).await;
    pass(minutes(10)).await;
    assert!(peer.took().is_empty());
    let event = &world.events(EventKind::RecipientDeferred)[0];
    let reply = event.reply.as_deref().unwrap_or_default();
    assert!(
        reply.contains("must be signed by contoso.test and cannot be"),
        "{reply}"
    );

    let now = world.clock.now();
    (world
        .store
        .put_secret(&secret_name(), &kept, now, None)
        .await)
        .unwrap();
    pass(minutes(30)).await;
    let took = &peer.took()[0].content;
    assert!(
        took.starts_with(b"DKIM-Signature:"),
        "{:?}",
        String::from_utf8_lossy(took)
    );
}
