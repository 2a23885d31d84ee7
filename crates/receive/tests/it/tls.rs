//! Handshakes that do not come, or fail, in simulated time. Those that succeed are tested with the
//! real binary.

use std::time::Duration;

use relais_net::tls::{
    CertificateStore, ClientAuthorities, KeyKind, ServerCertificate, ServerTls, self_signed,
};
use relais_receive::service::ListenerTls;

use crate::world::{PRINTER, Wish, World};

fn tls(world: impl FnOnce(ServerTls) -> ListenerTls) -> ListenerTls {
    let now = relais_smtp::time::Timestamp::from_millis(1_795_514_400_000);
    let (pem, key) =
        self_signed("relay.contoso.test", KeyKind::EcdsaP256, now).expect("it can be made");
    let store = CertificateStore::new();
    let made = ServerCertificate::from_pem(pem.as_bytes(), key.as_bytes()).expect("right");
    store.install(made);
    world(ServerTls::new(store, ClientAuthorities::default()))
}

async fn with(tls: ListenerTls) -> World {
    World::new(Wish {
        tls,
        ..Wish::default()
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_is_cut_after_its_time() {
    let world = with(tls(ListenerTls::Implicit)).await;
    let began = world.clock.moment();
    let mut client = world.connect(PRINTER).await;
    assert!(client.is_closed().await, "without a word");
    let waited = world.clock.moment().duration_since(began);
    assert!(
        waited >= Duration::from_secs(60) && waited < Duration::from_secs(65),
        "{waited:?}"
    );
    let events = world.events("attempt.refused").await;
    let reply = events[0].reply.as_deref().expect("a reply");
    assert!(
        reply.contains("TLS not accepted: the handshake took too long"),
        "{reply}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_it_says_anything_is_no_news() {
    let world = with(tls(ListenerTls::Implicit)).await;
    drop(world.connect(PRINTER).await);
    while world.connections() > 0 {
        world.clock.sleep(Duration::from_millis(10)).await;
    }
    assert!(world.events("attempt.refused").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn failed_handshakes_of_one_address_are_recorded_once_a_minute() {
    let world = with(tls(ListenerTls::StartTls)).await;
    for _ in 0..3 {
        let mut client = world.greeted(PRINTER).await;
        assert!(client.say("STARTTLS").await.starts_with("220 "));
        client.send("EHLO device.test\r\n").await;
        assert!(client.is_closed().await);
    }
    let events = world.events("attempt.refused").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].token.as_deref(), Some("TLS-OLD"));
    assert_eq!(events[0].inbound_connector.as_deref(), Some("Printers"));
    world.clock.sleep(Duration::from_secs(61)).await;
    let mut client = world.greeted(PRINTER).await;
    client.say("STARTTLS").await;
    client.send("EHLO device.test\r\n").await;
    assert!(client.is_closed().await);
    assert_eq!(world.events("attempt.refused").await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn starttls_without_a_certificate_is_454_and_the_session_goes_on() {
    let empty = ServerTls::new(CertificateStore::new(), ClientAuthorities::default());
    let world = with(ListenerTls::StartTls(empty)).await;
    let mut client = world.greeted(PRINTER).await;
    assert!(
        client
            .say("STARTTLS")
            .await
            .starts_with("454 4.7.0 TLS not available (TLS-TEMP ")
    );
    assert!(
        client
            .say("MAIL FROM:<scan@contoso.test>")
            .await
            .starts_with("250")
    );
}
