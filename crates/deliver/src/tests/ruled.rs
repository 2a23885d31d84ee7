//! What rules about replies make of them.

use relais_smtp::reply::EnhancedStatus;
use relais_store::queue::{Criteria, QueueAct};
use relais_store::trace::EventKind;

use super::peer::{Act, Heard, Peer};
use super::world::{SETTINGS, World, hours, mail, minutes, pass, seconds};

fn says(text: &'static str) -> impl Fn(&Heard) -> Act + Send + Sync + 'static {
    move |heard| match heard.verb.as_str() {
        "RCPT" => Act::Say(text),
        _ => Act::Usual,
    }
}

/// Egress addresses are chosen for public destinations only, which documentation addresses are not.
const PUBLIC: &str = "203.0.112.1";

fn rule(name: &str, reply: &str, act: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\nreply = [\"{reply}\"]\n{act}\n")
}

#[tokio::test(start_paused = true)]
async fn a_site_that_asks_to_be_left_alone_hears_nothing_for_that_long() {
    let world = World::delivering(SETTINGS).await;
    world.rules(&rule("slow-down", "421 4.7.28*", "back_off = \"30m\""));
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(says("421 4.7.28 unusual rate"));
    world.domain("b.example", "192.0.2.1");
    for number in 0..20 {
        world.accept(mail(&[&format!("r{number}@b.example")])).await;
    }
    pass(seconds(5)).await;
    // Those who were under way when it said so.
    let asked = peer.heard("RCPT").len();
    assert!((1..=10).contains(&asked), "{asked}");
    pass(minutes(29)).await;
    assert_eq!(peer.heard("RCPT").len(), asked);
    let deferred = world.events(EventKind::RecipientDeferred);
    let detail = deferred[0].detail.as_deref().unwrap();
    let expected = "rule slow-down: the site rests for 30m";
    assert!(detail.ends_with(expected), "{detail}");
    peer.script(|_| Act::Usual);
    pass(hours(2)).await;
    assert_eq!(peer.took().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_wants_mail_tried_now_ends_the_rest_of_a_rule() {
    let world = World::delivering(SETTINGS).await;
    world.rules(&rule("slow-down", "421 *", "back_off = \"6h\""));
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(says("421 4.7.28 unusual rate"));
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(5)).await;
    peer.script(|_| Act::Usual);
    pass(hours(1)).await;
    assert!(peer.took().is_empty());
    let now = world.clock.now();
    let everything = Criteria::default();
    let retry = world.store.act(QueueAct::Retry, &everything, "anna", now);
    retry.await.unwrap();
    pass(seconds(5)).await;
    assert_eq!(peer.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_block_of_our_address_fails_nobody_and_another_address_goes_on() {
    let mut world = World::new(SETTINGS).await;
    let own = ["198.51.100.1", "198.51.100.2"].map(|one| one.parse().unwrap());
    world.options().source_addresses = own.to_vec();
    world.start();
    let peer = Peer::start(&world, PUBLIC, 25).await;
    // Whichever of the two it hears first is blocked.
    let blocked = std::sync::OnceLock::new();
    peer.script(move |heard| {
        let first = *blocked.get_or_init(|| heard.from.ip());
        match heard.verb.as_str() {
            "MAIL" if heard.from.ip() == first => {
                Act::Say("550 5.7.1 Client host blocked using zen.spamhaus.org")
            }
            _ => Act::Usual,
        }
    });
    world.domain("b.example", PUBLIC);
    world.accept(mail(&["a@b.example"])).await;
    pass(hours(3)).await;
    assert_eq!(peer.took().len(), 1);
    assert!(world.events(EventKind::RecipientFailed).is_empty());
    let alarms = world.events(EventKind::AlertRaised);
    assert_eq!(alarms.len(), 1);
    let detail = alarms[0].detail.as_deref().unwrap();
    let expected = "rule egress-address-on-a-block-list: ";
    assert!(detail.starts_with(expected), "{detail}");
    assert!(detail.contains("zen.spamhaus.org"), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn a_rule_can_give_up_what_a_code_would_try_again() {
    let world = World::delivering(SETTINGS).await;
    let act = "destination = [\"b.example\"]\ntreat_as = \"permanent\"";
    world.rules(&rule("gone", "450 4.1.1 *", act));
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(says("450 4.1.1 unknown"));
    let mailbox = Peer::start(&world, "192.0.2.9", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.domain("c.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    world.accept(mail(&["a@c.example"])).await;
    pass(seconds(10)).await;
    let failed = world.recipients(EventKind::RecipientFailed);
    assert_eq!(failed, ["a@b.example"]);
    let deferred = world.recipients(EventKind::RecipientDeferred);
    assert_eq!(deferred, ["a@c.example"]);
    let notice = String::from_utf8(mailbox.took().pop().unwrap().content).unwrap();
    let status = EnhancedStatus::new(5, 1, 1);
    let expected = format!("Status: {status}\r\n");
    assert!(notice.contains(&expected), "{notice}");
}

#[tokio::test(start_paused = true)]
async fn a_rule_suspends_a_destination_for_a_time_and_says_why() {
    let world = World::delivering(SETTINGS).await;
    world.rules(&rule("moved", "451 *moving*", "suspend = \"2h\""));
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(says("451 4.3.0 we are moving house"));
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(10)).await;
    let suspended = world.store.suspended().await.unwrap();
    assert_eq!(suspended.len(), 1);
    assert_eq!(suspended[0].by, "rule moved");
    assert_eq!(suspended[0].reason, "451 4.3.0 we are moving house");
    assert_eq!(world.events(EventKind::AlertRaised).len(), 1);
    peer.script(|_| Act::Usual);
    pass(hours(1)).await;
    world.store.maintain(world.clock.now()).await;
    assert!(peer.took().is_empty());
    pass(hours(1)).await;
    world.store.maintain(world.clock.now()).await;
    pass(seconds(10)).await;
    assert_eq!(peer.took().len(), 1);
}
