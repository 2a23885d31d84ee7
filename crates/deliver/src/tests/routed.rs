//! Mail of one organisation to one domain, by the way that is asked for its sender or inbound
//! connector.

use std::collections::BTreeSet;

use relais_store::trace::EventKind;

use super::peer::Peer;
use super::world::{Mail, SETTINGS, World, mail, minutes, pass, seconds};

fn settings(news: &str) -> String {
    format!(
        "{SETTINGS}
[[organisation.domain]]
name = \"news.test\"
verification = \"assumed\"
dkim = {{ enabled = false }}

[[organisation.outbound_connector]]
name = \"All\"
smart_hosts = [\"192.0.2.1\"]

[[organisation.outbound_connector]]
name = \"News\"
smart_hosts = [\"192.0.2.2\"]
{news}
"
    )
}

fn from(sender: &'static str, to: &str) -> Mail {
    Mail {
        from: sender,
        ..mail(&[to])
    }
}

#[tokio::test(start_paused = true)]
async fn mail_of_a_sender_domain_leaves_by_its_connector_and_all_other_mail_by_the_other() {
    let world = World::delivering(&settings("sender_domains = [\"news.test\"]")).await;
    let all = Peer::start(&world, "192.0.2.1", 25).await;
    let news = Peer::start(&world, "192.0.2.2", 25).await;
    for number in 0..3 {
        let to = format!("r{number}@b.example");
        world.accept(from("letter@news.test", &to)).await;
        world.accept(from("anna@contoso.test", &to)).await;
    }
    pass(seconds(10)).await;
    let senders = |peer: &Peer| {
        let took = peer.took().into_iter().map(|one| one.from);
        let mut senders: Vec<_> = took.collect();
        senders.dedup();
        (senders, peer.took().len())
    };
    assert_eq!(senders(&news), (vec!["letter@news.test".to_owned()], 3));
    assert_eq!(senders(&all), (vec!["anna@contoso.test".to_owned()], 3));
    let attempted = world.events(EventKind::DeliveryAttempted);
    let why: BTreeSet<_> = attempted
        .iter()
        .filter_map(|one| one.detail.clone())
        .collect();
    let why: Vec<_> = why.iter().map(|one| &**one).collect();
    assert_eq!(
        why,
        [
            "outbound connector All takes every domain",
            "outbound connector News takes every domain, for senders in news.test"
        ]
    );
    for event in world.events(EventKind::RecipientDelivered) {
        let by_news = event.from.as_deref() == Some("letter@news.test");
        let expected = if by_news { "News" } else { "All" };
        assert_eq!(event.outbound_connector.as_deref(), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn mail_whose_connector_is_gone_leaves_by_that_of_everybody() {
    let world = World::delivering(&settings("inbound_connectors = [\"Printers\"]")).await;
    let all = Peer::start(&world, "192.0.2.1", 25).await;
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(2)).await;
    assert!(
        all.took().is_empty(),
        "it came by the inbound connector Printers"
    );
    // Settings that ask for it no more: it leaves by the way of all.
    world.apply(&settings("state = \"disabled\"")).await;
    pass(minutes(10)).await;
    assert_eq!(all.took_for(), ["a@b.example"]);
}

#[tokio::test(start_paused = true)]
async fn smart_hosts_are_tried_in_their_order_and_the_first_has_its_place_back() {
    let settings = format!(
        "{SETTINGS}\n[[organisation.outbound_connector]]\nname = \"Out\"\n\
         smart_hosts = [\"192.0.2.1\", \"192.0.2.2\", \"192.0.2.3\"]\n"
    );
    let world = World::delivering(&settings).await;
    let first = Peer::start(&world, "192.0.2.1", 25).await;
    let third = Peer::start(&world, "192.0.2.3", 25).await;
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(10)).await;
    first.stop().await;
    world.accept(mail(&["b@b.example"])).await;
    pass(seconds(30)).await;
    // Nobody is at the second: the third has it, and nothing was put off.
    assert_eq!(first.took_for(), ["a@b.example"]);
    assert_eq!(third.took_for(), ["b@b.example"]);
    assert!(world.events(EventKind::RecipientDeferred).is_empty());
    first.listen().await;
    pass(minutes(3)).await;
    world.accept(mail(&["c@b.example"])).await;
    pass(seconds(10)).await;
    assert_eq!(first.took_for(), ["a@b.example", "c@b.example"]);
}
