//! Settings that change while mail waits at a site: nothing of it goes by what they were.

use relais_net::tls::ClientTls;

use super::encrypted::{NOW, server};
use super::peer::{Act, Peer};
use super::world::{SETTINGS, World, mail, minutes, pass, seconds};

/// `\0scan\0hunter2`, `\0scan\0better`.
const HUNTER2: &str = "AUTH PLAIN AHNjYW4AaHVudGVyMg==";
const BETTER: &str = "AUTH PLAIN AHNjYW4AYmV0dGVy";

const MESSAGES: usize = 8;

/// By one connection at a time to this smart host.
fn by(host: &str, lines: &str) -> String {
    format!(
        "{SETTINGS}\n[[organisation.outbound_connector]]\nname = \"Out\"\n\
         smart_hosts = [\"{host}:25\"]\npace = {{ connections = 1 }}\n{lines}\n"
    )
}

fn logging_in(host: &str) -> String {
    let lines = "tls = \"encryption-only\"\nauth = { method = \"password\", user = \"scan\" }";
    by(host, lines)
}

/// A host that needs ten seconds for a message.
async fn slow(world: &World, address: &str, closes: bool) -> Peer {
    let peer = Peer::start(world, address, 25).await;
    peer.offers(&["AUTH PLAIN"]);
    peer.knows_tls(server("smart.example", NOW).0);
    peer.script(move |heard| match heard.verb.as_str() {
        "AUTH" => Act::Say("235 2.7.0 welcome"),
        "CONTENT" => Act::SayLater(seconds(10), "250 2.0.0 ok"),
        "MAIL" if closes && heard.transaction > 1 => Act::Close("421 4.3.2 one is enough"),
        _ => Act::Usual,
    });
    peer
}

async fn moving(settings: &str, closes: bool) -> (World, Peer, Peer) {
    let mut world = World::new(settings).await;
    world.address("old.example", &["192.0.2.1"]);
    world.address("new.example", &["192.0.2.2"]);
    world.vault.set_password("hunter2");
    world.tls = ClientTls::without_roots();
    world.start();
    let old = slow(&world, "192.0.2.1", closes).await;
    let new = slow(&world, "192.0.2.2", closes).await;
    for number in 0..MESSAGES {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    pass(seconds(5)).await;
    (world, old, new)
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_an_old_host_goes_to_the_new_one_and_the_new_password_only_there() {
    for closes in [false, true] {
        let (world, old, new) = moving(&logging_in("old.example"), closes).await;
        world.apply(&logging_in("new.example")).await;
        world.vault.set_password("better");
        pass(minutes(5)).await;
        let at_old: Vec<_> = old.heard("AUTH").into_iter().map(|one| one.line).collect();
        assert_eq!(at_old, [HUNTER2]);
        assert_eq!(old.took().len(), 1, "what was under way when they changed");
        assert_eq!(new.took().len(), MESSAGES - 1);
        assert!(new.heard("AUTH").iter().all(|one| one.line == BETTER));
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_by_the_demand_of_now_even_on_a_session_that_stands() {
    let (world, old, _new) = moving(&by("old.example", "tls = \"opportunistic\""), false).await;
    world
        .apply(&by("old.example", "tls = \"certificate-validation\""))
        .await;
    pass(minutes(5)).await;
    assert_eq!(old.took().len(), 1, "what was under way when they changed");
    assert_eq!(world.in_queue(), MESSAGES as u64 - 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_on_where_the_change_is_of_something_else() {
    let settings = by("old.example", "tls = \"opportunistic\"");
    let (world, old, _new) = moving(&settings, false).await;
    world
        .apply(&settings.replace("name = \"Printers\"", "name = \"Scanners\""))
        .await;
    pass(minutes(5)).await;
    assert_eq!(old.took().len(), MESSAGES);
    assert_eq!(old.connections(), 1, "by the session that stands");
}
