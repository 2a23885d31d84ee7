//! What is restricted does not leave, whenever that becomes known; and how what is held ends.

use std::time::Duration;

use relais_net::zone::ZoneRecord;
use relais_policy::restriction::{Effect, Entity, EntityKind, Restriction};
use relais_store::queue::{Criteria, QueueAct, RecipientStateName};
use relais_store::restriction::EntityChange;
use relais_store::trace::EventKind;

use super::peer::{Act, Peer};
use super::world::{SETTINGS, World, hours, mail, minutes, pass, seconds};

const DAY: Duration = Duration::from_secs(86_400);

fn b_example() -> Entity {
    Entity::parse(EntityKind::Domain, "b.example").unwrap()
}

/// Nothing to b.example, for good or for so long.
async fn restrict(world: &World, lasts: Option<Duration>) {
    let since = world.clock.now();
    let restriction = Restriction {
        entity: b_example(),
        effect: Effect::Hold,
        reason: "a test".to_owned(),
        evidence: Vec::new(),
        by: "anna".to_owned(),
        since,
        until: lasts.map(|time| since.after(time)),
    };
    let change = EntityChange::Restrict(restriction);
    world
        .store
        .change_entities(change, relais_store::queue::BY_ITSELF)
        .await
        .unwrap();
}

/// What the server does each second.
async fn upkeep(world: &World) {
    let now = world.clock.steady_now();
    world.store.maintain(now).await;
    world.store.follow_restrictions(now).await;
}

async fn state(world: &World) -> (RecipientStateName, bool) {
    let all = world.store.list(&Criteria::default(), None, 10).await;
    let one = &all.unwrap()[0].recipients[0];
    (one.state, one.is_restricted)
}

#[tokio::test(start_paused = true)]
async fn what_is_restricted_does_not_leave_though_it_was_leased_before_and_leaves_when_released() {
    let world = World::delivering(SETTINGS).await;
    let mailbox = Peer::start(&world, "192.0.2.9", 25).await;
    world.domain("b.example", "192.0.2.1");
    world.domain("c.example", "192.0.2.9");
    world.accept(mail(&["a@b.example", "a@c.example"])).await;
    pass(minutes(1)).await;
    assert_eq!(mailbox.took().len(), 1, "c.example has it");
    // The host of b.example comes back a moment after its domain was restricted.
    restrict(&world, None).await;
    let back = Peer::start(&world, "192.0.2.1", 25).await;
    pass(hours(3)).await;
    assert!(back.took().is_empty());
    assert_eq!(world.recipients(EventKind::RecipientHeld), ["a@b.example"]);
    let release = EntityChange::Release {
        entity: b_example(),
        by: "anna".to_owned(),
        time: world.clock.now(),
    };
    world
        .store
        .change_entities(release, relais_store::queue::BY_ITSELF)
        .await
        .unwrap();
    upkeep(&world).await;
    // At its time, as if it had not been held.
    pass(hours(2)).await;
    assert_eq!(back.took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_restricted_during_the_search_for_a_host_does_not_leave() {
    let world = World::delivering(SETTINGS).await;
    let first = Peer::start(&world, "192.0.2.1", 25).await;
    // It greets late, and badly: the search goes on with the second host.
    first.script(|_| Act::SayLater(seconds(60), "421 4.3.2 not now"));
    let second = Peer::start(&world, "192.0.2.2", 25).await;
    world.mx("b.example", &[(10, "mx1.b.example"), (20, "mx2.b.example")]);
    world.address("mx1.b.example", &["192.0.2.1"]);
    world.address("mx2.b.example", &["192.0.2.2"]);
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(30)).await;
    assert_eq!(first.connections(), 1, "the search is under way");
    restrict(&world, None).await;
    pass(minutes(5)).await;
    assert!(second.took().is_empty());
    assert_eq!(world.recipients(EventKind::RecipientHeld), ["a@b.example"]);
    assert_eq!(state(&world).await, (RecipientStateName::Held, true));
    let tried = world.events(EventKind::DeliveryAttempted);
    assert_eq!(tried.len(), 1, "what was tried is told all the same");
}

#[tokio::test(start_paused = true)]
async fn what_is_restricted_waits_though_its_domain_takes_no_mail() {
    let world = World::delivering(SETTINGS).await;
    let null = vec![ZoneRecord::Mx(10, ".".to_owned())];
    world.dns.set("b.example", null);
    restrict(&world, None).await;
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(1)).await;
    assert!(world.events(EventKind::RecipientFailed).is_empty());
    assert_eq!(state(&world).await, (RecipientStateName::Held, true));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_for_a_while_ends_no_restriction() {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    world.domain("b.example", "192.0.2.1");
    restrict(&world, Some(DAY * 3)).await;
    world.accept(mail(&["a@b.example"])).await;
    pass(seconds(10)).await;
    let ahead = i64::try_from((DAY * 10).as_millis()).unwrap();
    world.clock.jump(ahead);
    world.accept(mail(&["c@b.example"])).await;
    for _ in 0..30 {
        pass(minutes(1)).await;
        upkeep(&world).await;
    }
    world.clock.jump(-ahead);
    pass(minutes(1)).await;
    upkeep(&world).await;
    assert!(peer.took().is_empty());
    assert!(world.store.restrictions().get(&b_example()).is_some());
    // The days pass, and it ends at its time.
    for _ in 0..3 {
        pass(DAY).await;
        upkeep(&world).await;
    }
    pass(hours(5)).await;
    assert_eq!(peer.took().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn held_mail_has_days_and_ends_with_one_notice_to_each_person() {
    let world = World::delivering(SETTINGS).await;
    let mailboxes = Peer::start(&world, "192.0.2.9", 25).await;
    restrict(&world, None).await;
    for _ in 0..60 {
        world.accept(mail(&["a@b.example"])).await;
    }
    let mut other = mail(&["a@b.example"]);
    other.from = "it@contoso.test";
    world.accept(other).await;
    let mut silent = mail(&["a@b.example"]);
    silent.from = "";
    world.accept(silent).await;
    pass(DAY * 4).await;
    assert_eq!(world.in_queue(), 62, "longer than its lifetime");
    assert!(mailboxes.took().is_empty());
    pass(DAY * 3).await;
    assert_eq!(world.in_queue(), 0);
    let took = mailboxes.took();
    let mut to: Vec<_> = took.iter().map(|one| one.to[0].as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["anna@contoso.test", "it@contoso.test"]);
    for one in &took {
        assert_eq!(one.from, "");
        let text = String::from_utf8(one.content.clone()).unwrap();
        let is_summary = text.contains("60 messages were held");
        let is_report = text.contains("Final-Recipient: rfc822; a@b.example");
        let alone = one.to[0].starts_with("it@");
        assert_eq!((is_summary, is_report), (!alone, alone), "{text}");
    }
    assert_eq!(world.events(EventKind::RecipientExpired).len(), 62);
    assert_eq!(world.events(EventKind::NoticeSent).len(), 61);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_gives_up_has_a_notice_of_its_own_though_it_was_held() {
    let world = World::delivering(SETTINGS).await;
    let mailboxes = Peer::start(&world, "192.0.2.9", 25).await;
    restrict(&world, None).await;
    for _ in 0..2 {
        world.accept(mail(&["a@b.example"])).await;
    }
    pass(minutes(1)).await;
    let (all, now) = (Criteria::default(), world.clock.now());
    world
        .store
        .act(QueueAct::Bounce, &all, "anna", now)
        .await
        .unwrap();
    pass(minutes(2)).await;
    assert_eq!(mailboxes.took().len(), 2);
}
