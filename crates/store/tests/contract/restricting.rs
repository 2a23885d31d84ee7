//! Restricted entities, and groups of refused attempts that nobody wants to see.

use std::sync::Arc;

use relais_policy::restriction::{Effect, Entity, EntityKind, Restriction};
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use relais_store::queue::{
    Criteria, ListedMessage, NewMessage, QueueAct, RecipientChange, RecipientStateName,
};
use relais_store::restriction::{EntityChange, IgnoredAttempts, ShownAgain};
use relais_store::store::Store;
use relais_store::trace::{ClientSummary, Event, Released, TraceQuery};

use crate::administering::suspension;
use crate::world::{NOW, World, at, commit, key, lease_one, message, settlement};

fn ip(value: &str) -> Entity {
    Entity::parse(EntityKind::Ip, value).unwrap()
}

fn restriction(entity: Entity, reason: &str, until: Option<Timestamp>) -> Restriction {
    Restriction {
        entity,
        effect: Effect::Refuse,
        evidence: Vec::new(),
        reason: reason.to_owned(),
        by: "anna".to_owned(),
        since: at(0),
        until,
    }
}

async fn restrict(store: &Store, restriction: Restriction) {
    let change = EntityChange::Restrict(restriction);
    assert_eq!(
        store
            .change_entities(change, relais_store::queue::BY_ITSELF)
            .await,
        Ok(1)
    );
}

async fn release(store: &Store, entity: Entity) -> usize {
    let change = EntityChange::Release {
        entity,
        by: "bob".to_owned(),
        time: at(2),
    };
    store
        .change_entities(change, relais_store::queue::BY_ITSELF)
        .await
        .unwrap()
}

const RESTRICTED: RecipientChange = RecipientChange::Restricted { expires_at: NOW };

/// What the server does each second.
async fn upkeep(store: &Store, now: Timestamp) {
    store.maintain(now).await;
    store.follow_restrictions(now).await;
}

/// Details of the events of this name, oldest first.
async fn details(store: &Store, name: &str) -> Vec<String> {
    let query = TraceQuery::parse(&format!("event:{name}")).unwrap();
    let rows = store.trace(&query).await.unwrap();
    let events = rows
        .iter()
        .rev()
        .map(|row| Event::from_json(&row.json).unwrap());
    events
        .map(|event| event.detail.unwrap().to_string())
        .collect()
}

async fn who_hears_of_a_release_hears_which_entity_and_whether_a_person_did_it(world: World) {
    let store = world.store();
    let odd = Entity::device("contoso", "Site: A", [10, 1, 2, 9].into());
    let mut live = store.live();
    restrict(store, restriction(odd.clone(), "bulk mail: much", None)).await;
    assert_eq!(release(store, odd.clone()).await, 1);
    restrict(store, restriction(odd.clone(), "bulk mail", Some(at(3)))).await;
    let over = EntityChange::Expire { time: at(4) };
    assert_eq!(
        store
            .change_entities(over, relais_store::queue::BY_ITSELF)
            .await,
        Ok(1)
    );
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let events = live.recv().await.unwrap();
        heard.extend(
            events
                .iter()
                .filter_map(|event| event.released.as_deref().cloned()),
        );
    }
    let released = |by_person| Released {
        entity: odd.clone(),
        by_person,
    };
    assert_eq!(heard, [released(true), released(false)]);
}

async fn a_restriction_is_in_force_at_once_and_after_a_restart_until_it_is_released(
    mut world: World,
) {
    let made = restriction(ip("203.0.113.0/24"), "bulk mail", None);
    restrict(world.store(), made.clone()).await;
    for restarted in [false, true] {
        if restarted {
            world.restart(at(1)).await;
        }
        let all = world.store().restrictions();
        assert_eq!(all.get(&made.entity), Some(&made));
        let address = "203.0.113.7".parse().unwrap();
        assert!(all.in_force(at(1)).of_ip(address).is_some());
    }
    assert_eq!(release(world.store(), made.entity.clone()).await, 1);
    assert_eq!(release(world.store(), made.entity).await, 0);
    assert!(world.store().restrictions().is_empty());
    world.restart(at(3)).await;
    assert!(world.store().restrictions().is_empty());
}

async fn each_change_is_in_the_trace_and_in_the_audit(world: World) {
    let store = world.store();
    restrict(
        store,
        restriction(ip("203.0.113.7"), "bulk mail", Some(at(60))),
    )
    .await;
    release(store, ip("203.0.113.7")).await;
    let told = details(store, "entity.restricted").await;
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("ip 203.0.113.7: bulk mail; until "),
        "{told:?}"
    );
    assert!(told[0].ends_with("; by anna"), "{told:?}");
    let told = details(store, "entity.released").await;
    assert_eq!(told, ["ip 203.0.113.7: was bulk mail; by bob"]);
    let audit = store.audit(10).await.unwrap();
    let acts: Vec<_> = audit
        .iter()
        .map(|entry| (entry.act.as_str(), entry.actor.as_str()))
        .collect();
    assert_eq!(
        acts,
        [("entity.released", "bob"), ("entity.restricted", "anna")]
    );
    assert_eq!(store.verify_audit().await, Ok(None));
}

async fn a_second_restriction_of_the_same_thing_replaces_the_first(world: World) {
    let store = world.store();
    restrict(store, restriction(ip("203.0.113.7"), "one", None)).await;
    restrict(store, restriction(ip("203.0.113.7/32"), "two", Some(at(9)))).await;
    let all = store.restrictions();
    let reasons: Vec<_> = all.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(reasons, ["two"]);
}

async fn what_is_restricted_otherwise_than_it_was_judged_is_neither_replaced_nor_released(
    world: World,
) {
    let store = world.store();
    let door = relais_store::queue::BY_ITSELF;
    let (first, second) = (
        restriction(ip("203.0.113.7"), "one", None),
        restriction(ip("203.0.113.7"), "two", None),
    );
    let replace = |seen: Option<&Restriction>, new: &Restriction| EntityChange::Replace {
        seen: seen.cloned(),
        restriction: new.clone(),
    };
    let lift = |seen: &Restriction| EntityChange::ReleaseSeen {
        seen: seen.clone(),
        by: "bob".to_owned(),
        time: at(2),
    };
    let standing = || store.restrictions().get(&first.entity).cloned();
    for (change, expected) in [
        (lift(&first), None),
        (replace(Some(&first), &second), None),
        (replace(None, &first), Some(&first)),
        (replace(None, &second), Some(&first)),
        (lift(&second), Some(&first)),
        (replace(Some(&first), &second), Some(&second)),
        (lift(&first), Some(&second)),
        (lift(&second), None),
    ] {
        let before = standing();
        let changed = store.change_entities(change.clone(), door).await;
        assert_eq!(standing().as_ref(), expected, "{change:?}");
        assert_eq!(changed, Ok(usize::from(before != standing())), "{change:?}");
    }
    let acts = store.audit(10).await.unwrap();
    assert_eq!(acts.len(), 3, "{acts:?}");
}

async fn what_is_over_is_forgotten_by_the_upkeep_and_told(world: World) {
    let store = world.store();
    restrict(
        store,
        restriction(ip("203.0.113.7"), "a while", Some(at(10))),
    )
    .await;
    restrict(store, restriction(ip("203.0.113.8"), "for good", None)).await;
    upkeep(store, at(9)).await;
    assert_eq!(store.restrictions().len(), 2);
    upkeep(store, at(10)).await;
    let all = store.restrictions();
    let left: Vec<_> = all.iter().map(|one| one.entity.value()).collect();
    assert_eq!(left, ["203.0.113.8"]);
    let told = details(store, "entity.released").await;
    assert_eq!(told, ["ip 203.0.113.7: was a while; by the clock"]);
}

/// Leases and due times go by the wall clock, what ends by itself by the steady one: looking at the
/// queue by both in turns would be a clock that jumps each second, and leases would lapse under who
/// works.
async fn the_upkeep_takes_no_lease_and_ends_nothing_early_while_the_clock_is_ahead(world: World) {
    let store = world.store();
    restrict(
        store,
        restriction(ip("203.0.113.7"), "an hour", Some(at(3_600))),
    )
    .await;
    let waits = suspension("example.net", Some(at(3_600)));
    store.suspend(waits).await.unwrap();
    commit(store, &["a@example.org"], NOW).await;
    let ahead = |second: u64| at(86_400 + second);
    let leased = lease_one(store, "example.org", ahead(0)).await.unwrap();
    for second in 1..10 {
        store.due(ahead(second), 10).await.unwrap();
        store.maintain_by(ahead(second), at(second)).await;
    }
    assert!(lease_one(store, "example.org", ahead(10)).await.is_none());
    let done = settlement(&leased, &RecipientChange::Done, ahead(10));
    store.settle(done).await.unwrap();
    assert_eq!(store.restrictions().len(), 1);
    assert_eq!(store.suspended().await.unwrap().len(), 1);
}

async fn a_connectors_events_belong_to_its_organisation(world: World) {
    let store = world.store();
    let entity = Entity::connector("contoso", "Printers");
    restrict(store, restriction(entity, "noise", None)).await;
    let query = TraceQuery::parse("event:entity.restricted connector:Printers").unwrap();
    let rows = store.trace(&query).await.unwrap();
    let event = Event::from_json(&rows[0].json).unwrap();
    assert_eq!(event.organisation.as_deref(), Some("contoso"));
}

async fn ignored_attempts_are_remembered(mut world: World) {
    let ignored = |address: &str, token: &str, until| IgnoredAttempts {
        address: address.parse().unwrap(),
        token: token.to_owned(),
        by: "anna".to_owned(),
        since: at(1),
        until,
    };
    let store = world.store();
    let short = ignored("203.0.113.7", "SRC-UNKNOWN", Some(at(0)));
    let long = ignored("203.0.113.8", "SRC-UNKNOWN", None);
    store.ignore_attempts(short, "web").await.unwrap();
    store.ignore_attempts(long.clone(), "web").await.unwrap();
    let again = IgnoredAttempts {
        until: Some(at(99)),
        ..long
    };
    store.ignore_attempts(again.clone(), "web").await.unwrap();
    world.restart(at(2)).await;
    let remembered = world.store().ignored_attempts().await.unwrap();
    assert_eq!(remembered, [again], "what is over goes with the next one");
    let audit = world.store().audit(1).await.unwrap();
    assert_eq!(audit[0].act, "attempts.ignored");

    let store = world.store();
    let shown = |token: &str| ShownAgain {
        address: "203.0.113.8".parse().unwrap(),
        token: token.to_owned(),
        by: "bert".to_owned(),
        time: at(3),
    };
    let again = |token| store.show_attempts_again(shown(token), "web");
    assert!(!again("TLS-OLD").await.unwrap(), "another reason");
    assert!(again("SRC-UNKNOWN").await.unwrap());
    assert!(!again("SRC-UNKNOWN").await.unwrap(), "it is listed already");
    assert!(store.ignored_attempts().await.unwrap().is_empty());
    let audit = store.audit(2).await.unwrap();
    let told: Vec<_> = audit.iter().map(|one| (&*one.act, &*one.actor)).collect();
    let expected = [("attempts.shown", "bert"), ("attempts.ignored", "anna")];
    assert_eq!(told, expected);
}

/// A message of this device, to one recipient.
fn from_device(store: &Store, address: [u8; 4], to: &str, is_held: bool) -> NewMessage {
    let mut message = message(store, &[to], at(0));
    message.facts.client = Some(Arc::new(ClientSummary {
        address: address.into(),
        helo: None,
        credential: None,
        certificate: None,
    }));
    message.recipients[0].is_restricted = is_held;
    message
}

async fn sent_by(store: &Store, address: [u8; 4], to: &str, is_held: bool) -> QueueId {
    let message = from_device(store, address, to, is_held);
    store.commit(message).await.unwrap().queue_id()
}

async fn states(store: &Store) -> Vec<(QueueId, RecipientStateName, bool)> {
    let all = store.list(&Criteria::default(), None, 100).await.unwrap();
    let state = |message: &ListedMessage| {
        let one = &message.recipients[0];
        (message.queue_id, one.state, one.is_restricted)
    };
    all.iter().map(state).collect()
}

fn hold(entity: Entity) -> Restriction {
    Restriction {
        effect: Effect::Hold,
        evidence: vec!["31 recipients".to_owned(), "usual: 0".to_owned()],
        ..restriction(entity, "a jump", None)
    }
}

async fn act(store: &Store, act: QueueAct, queue_id: QueueId) {
    let criteria = Criteria {
        queue_id: Some(queue_id),
        ..Criteria::default()
    };
    store.act(act, &criteria, "anna", at(2)).await.unwrap();
}

async fn mail_in_the_queue_follows_what_is_restricted_over_a_restart(mut world: World) {
    use RecipientStateName::{Held, Queued};
    let store = world.store().clone();
    let of_printer = sent_by(&store, [10, 1, 2, 9], "a@b.example", false).await;
    let of_other = sent_by(&store, [10, 1, 2, 8], "a@b.example", false).await;
    let device = Entity::device("contoso", "Printers", [10, 1, 2, 9].into());
    restrict(&store, hold(device.clone())).await;
    upkeep(&store, at(1)).await;
    let expected = [(of_printer, Held, true), (of_other, Queued, false)];
    assert_eq!(states(&store).await, expected);
    let told = details(&store, "recipient.held").await;
    assert_eq!(
        told,
        ["device contoso/Printers/10.1.2.9 is restricted: a jump"]
    );
    drop(store);
    world.restart(at(2)).await;
    let store = world.store();
    assert_eq!(
        store.restrictions().get(&device),
        Some(&hold(device.clone()))
    );
    upkeep(store, at(3)).await;
    assert_eq!(states(store).await, expected);
    assert_eq!(release(store, device).await, 1);
    upkeep(store, at(4)).await;
    let expected = [(of_printer, Queued, false), (of_other, Queued, false)];
    assert_eq!(states(store).await, expected);
}

async fn what_a_person_holds_stays_and_what_a_person_releases_passes(world: World) {
    use RecipientStateName::{Held, Queued};
    let store = world.store();
    let device = Entity::device("contoso", "Printers", [10, 1, 2, 9].into());
    restrict(store, hold(device.clone())).await;
    let by_person = sent_by(store, [10, 1, 2, 9], "a@b.example", true).await;
    let passed = sent_by(store, [10, 1, 2, 9], "a@b.example", true).await;
    let neither = sent_by(store, [10, 1, 2, 9], "a@b.example", true).await;
    act(store, QueueAct::Hold, by_person).await;
    act(store, QueueAct::Release, passed).await;
    upkeep(store, at(3)).await;
    assert_eq!(
        states(store).await,
        [
            (by_person, Held, false),
            (passed, Queued, false),
            (neither, Held, true)
        ]
    );
    let until = at(60);
    let leased = store
        .lease(&key("b.example"), 9, 9, at(3), until)
        .await
        .unwrap();
    let passes = leased.iter().map(|one| one.recipients[0].passed);
    assert_eq!(passes.collect::<Vec<_>>(), [true]);
    assert_eq!(release(store, device).await, 1);
    upkeep(store, at(4)).await;
    let left = states(store).await;
    assert_eq!((left[0].1, left[2].1), (Held, Queued));
}

async fn a_recipient_settled_as_restricted_waits_until_its_entity_is_released(world: World) {
    let store = world.store();
    let queue_id = sent_by(store, [10, 1, 2, 9], "a@b.example", false).await;
    let domain = Entity::parse(EntityKind::Domain, "b.example").unwrap();
    restrict(store, hold(domain.clone())).await;
    let leased = lease_one(store, "b.example", at(1)).await.unwrap();
    let held = settlement(&leased, &RESTRICTED, at(1));
    store.settle(held).await.unwrap();
    let expected = (queue_id, RecipientStateName::Held, true);
    assert_eq!(states(store).await, [expected]);
    assert_eq!(lease_one(store, "b.example", at(9)).await.map(|_| ()), None);
    release(store, domain).await;
    upkeep(store, at(10)).await;
    assert!(lease_one(store, "b.example", at(10)).await.is_some());
}

async fn what_a_person_holds_during_an_attempt_stays_though_it_turns_out_restricted(world: World) {
    let store = world.store();
    let queue_id = sent_by(store, [10, 1, 2, 9], "a@b.example", false).await;
    let leased = lease_one(store, "b.example", at(1)).await.unwrap();
    act(store, QueueAct::Hold, queue_id).await;
    let domain = Entity::parse(EntityKind::Domain, "b.example").unwrap();
    restrict(store, hold(domain.clone())).await;
    let held = settlement(&leased, &RESTRICTED, at(2));
    store.settle(held).await.unwrap();
    release(store, domain).await;
    upkeep(store, at(3)).await;
    let expected = (queue_id, RecipientStateName::Held, false);
    assert_eq!(states(store).await, [expected]);
}

async fn what_a_restriction_lets_go_waits_for_its_turn_all_the_same(world: World) {
    let store = world.store();
    let device = Entity::device("contoso", "Printers", [10, 1, 2, 9].into());
    restrict(store, hold(device.clone())).await;
    // Its connector's pace gives it a time ten minutes ahead.
    let mut ids = Vec::new();
    for is_held in [false, true] {
        let mut message = from_device(store, [10, 1, 2, 9], "a@b.example", is_held);
        message.recipients[0].due = at(600);
        ids.push(store.commit(message).await.unwrap().queue_id());
    }
    let past = sent_by(store, [10, 1, 2, 9], "a@b.example", true).await;
    upkeep(store, at(1)).await;
    release(store, device).await;
    upkeep(store, at(2)).await;
    let leased = lease_one(store, "b.example", at(3)).await.unwrap();
    assert_eq!(leased.lease.queue_id, past);
    store
        .settle(settlement(&leased, &RecipientChange::Done, at(3)))
        .await
        .unwrap();
    assert!(lease_one(store, "b.example", at(599)).await.is_none());
    for _ in ids {
        assert!(lease_one(store, "b.example", at(600)).await.is_some());
    }
}

async fn what_a_person_lets_go_before_it_was_tried_waits_for_its_turn_all_the_same(world: World) {
    let store = world.store();
    let mut message = from_device(store, [10, 1, 2, 9], "a@b.example", true);
    message.recipients[0].due = at(600);
    let queue_id = store.commit(message).await.unwrap().queue_id();
    act(store, QueueAct::Release, queue_id).await;
    assert!(lease_one(store, "b.example", at(599)).await.is_none());
    assert!(lease_one(store, "b.example", at(600)).await.is_some());
}

async fn what_is_held_for_what_was_released_meanwhile_goes_on(world: World) {
    use RecipientStateName::Queued;
    let store = world.store();
    let device = Entity::device("contoso", "Printers", [10, 1, 2, 9].into());
    let tried = sent_by(store, [10, 1, 2, 9], "a@b.example", false).await;
    let leased = lease_one(store, "b.example", at(1)).await.unwrap();
    restrict(store, hold(device.clone())).await;
    upkeep(store, at(2)).await;
    release(store, device).await;
    upkeep(store, at(3)).await;
    // Both were judged before the release, and are stored after the queue was looked through.
    let held = settlement(&leased, &RESTRICTED, at(4));
    store.settle(held).await.unwrap();
    let taken = sent_by(store, [10, 1, 2, 9], "a@b.example", true).await;
    upkeep(store, at(5)).await;
    let expected = [(tried, Queued, false), (taken, Queued, false)];
    assert_eq!(states(store).await, expected);
}

async fn what_is_held_has_days_and_fresh_time_when_it_is_released(mut world: World) {
    const DAY: u64 = 86_400;
    let store = world.store();
    let ours = |is_restricted, held| {
        let mut message = from_device(store, [10, 1, 2, 9], "a@b.example", is_restricted);
        message.recipients[0].held = held;
        message
    };
    let mut ids = Vec::new();
    for message in [
        ours(false, false),
        ours(true, false),
        ours(false, true),
        ours(false, false),
    ] {
        ids.push(store.commit(message).await.unwrap().queue_id());
    }
    let leased = lease_one(store, "b.example", at(1)).await.unwrap();
    let expires_at = at(6 * DAY);
    let held = RecipientChange::Restricted { expires_at };
    store
        .settle(settlement(&leased, &held, at(1)))
        .await
        .unwrap();
    act(store, QueueAct::Hold, ids[3]).await;
    world.restart(at(2)).await;
    let store = world.store();
    // Ten o'clock in the morning: to the end of the day.
    let end = at(5 * DAY + 14 * 3_600);
    assert_eq!(expiries(store).await, [at(6 * DAY), end, end, end]);
    let until = at(10 * DAY);
    let expired = store.lease_expired(9, at(5 * DAY), until).await.unwrap();
    assert!(expired.is_empty());
    let criteria = Criteria::default();
    let late = end.before(std::time::Duration::from_secs(60));
    store
        .act(QueueAct::Release, &criteria, "anna", late)
        .await
        .unwrap();
    let fresh = late.after(std::time::Duration::from_secs(DAY));
    assert_eq!(
        expiries(store).await,
        [fresh.max(at(6 * DAY)), fresh, fresh, fresh]
    );
}

async fn expiries(store: &Store) -> Vec<Timestamp> {
    let all = store.list(&Criteria::default(), None, 100).await.unwrap();
    let expiry = |message: &ListedMessage| message.recipients[0].expires_at;
    all.iter().map(expiry).collect()
}

async fn what_ends_while_it_is_held_says_so(world: World) {
    let store = world.store();
    sent_by(store, [10, 1, 2, 9], "a@b.example", true).await;
    sent_by(store, [10, 1, 2, 9], "a@b.example", false).await;
    let late = at(6 * 86_400);
    let expired = store.lease_expired(9, late, late).await.unwrap();
    let held = expired.iter().map(|one| one.recipients[0].held);
    assert_eq!(held.collect::<Vec<_>>(), [false, true]);
}

/// Of the embedded store alone: the one in memory has no backup.
#[tokio::test]
async fn what_was_restricted_at_the_backup_waits_for_a_person_in_a_restored_queue() {
    let world = World::embedded().await;
    let device = Entity::device("contoso", "Printers", [10, 1, 2, 9].into());
    restrict(world.store(), hold(device.clone())).await;
    let held = sent_by(world.store(), [10, 1, 2, 9], "a@b.example", true).await;
    let passed = sent_by(world.store(), [10, 1, 2, 9], "a@b.example", true).await;
    act(world.store(), QueueAct::Release, passed).await;
    let restored = world.restored(at(3)).await;
    let store = restored.store();
    assert_eq!(release(store, device).await, 1);
    upkeep(store, at(4)).await;
    let expected = [held, passed].map(|queue_id| (queue_id, RecipientStateName::Held, false));
    assert_eq!(states(store).await, expected);
    act(store, QueueAct::Release, held).await;
    assert!(lease_one(store, "b.example", at(5)).await.is_some());
}

rules! {
    who_hears_of_a_release_hears_which_entity_and_whether_a_person_did_it,
    mail_in_the_queue_follows_what_is_restricted_over_a_restart,
    what_a_person_holds_stays_and_what_a_person_releases_passes,
    a_recipient_settled_as_restricted_waits_until_its_entity_is_released,
    what_a_person_holds_during_an_attempt_stays_though_it_turns_out_restricted,
    what_a_restriction_lets_go_waits_for_its_turn_all_the_same,
    what_a_person_lets_go_before_it_was_tried_waits_for_its_turn_all_the_same,
    what_is_held_for_what_was_released_meanwhile_goes_on,
    what_is_held_has_days_and_fresh_time_when_it_is_released,
    what_ends_while_it_is_held_says_so,
    a_restriction_is_in_force_at_once_and_after_a_restart_until_it_is_released,
    each_change_is_in_the_trace_and_in_the_audit,
    a_second_restriction_of_the_same_thing_replaces_the_first,
    what_is_restricted_otherwise_than_it_was_judged_is_neither_replaced_nor_released,
    what_is_over_is_forgotten_by_the_upkeep_and_told,
    the_upkeep_takes_no_lease_and_ends_nothing_early_while_the_clock_is_ahead,
    a_connectors_events_belong_to_its_organisation,
    ignored_attempts_are_remembered,
}
