//! Restricted entities, and groups of refused attempts that nobody wants to see.

use relais_policy::restriction::{Entity, EntityKind, Restriction};
use relais_smtp::time::Timestamp;
use relais_store::restriction::{EntityChange, IgnoredAttempts};
use relais_store::store::Store;
use relais_store::trace::{Event, TraceQuery};

use crate::world::{World, at};

fn ip(value: &str) -> Entity {
    Entity::parse(EntityKind::Ip, value).unwrap()
}

fn restriction(entity: Entity, reason: &str, until: Option<Timestamp>) -> Restriction {
    Restriction {
        entity,
        reason: reason.to_owned(),
        by: "anna".to_owned(),
        since: at(0),
        until,
    }
}

async fn restrict(store: &Store, restriction: Restriction) {
    let change = EntityChange::Restrict(restriction);
    assert_eq!(store.change_entities(change).await, Ok(1));
}

async fn release(store: &Store, entity: Entity) -> usize {
    let change = EntityChange::Release {
        entity,
        by: "bob".to_owned(),
        time: at(2),
    };
    store.change_entities(change).await.unwrap()
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

async fn what_is_over_is_forgotten_by_the_upkeep_and_told(world: World) {
    let store = world.store();
    restrict(
        store,
        restriction(ip("203.0.113.7"), "a while", Some(at(10))),
    )
    .await;
    restrict(store, restriction(ip("203.0.113.8"), "for good", None)).await;
    store.maintain(at(9)).await;
    assert_eq!(store.restrictions().len(), 2);
    store.maintain(at(10)).await;
    let all = store.restrictions();
    let left: Vec<_> = all.iter().map(|one| one.entity.value()).collect();
    assert_eq!(left, ["203.0.113.8"]);
    let told = details(store, "entity.released").await;
    assert_eq!(told, ["ip 203.0.113.7: was a while; by the clock"]);
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
    store.ignore_attempts(short).await.unwrap();
    store.ignore_attempts(long.clone()).await.unwrap();
    let again = IgnoredAttempts {
        until: Some(at(99)),
        ..long
    };
    store.ignore_attempts(again.clone()).await.unwrap();
    world.restart(at(2)).await;
    let remembered = world.store().ignored_attempts().await.unwrap();
    assert_eq!(remembered, [again], "what is over goes with the next one");
    let audit = world.store().audit(1).await.unwrap();
    assert_eq!(audit[0].act, "attempts.ignored");
}

rules! {
    a_restriction_is_in_force_at_once_and_after_a_restart_until_it_is_released,
    each_change_is_in_the_trace_and_in_the_audit,
    a_second_restriction_of_the_same_thing_replaces_the_first,
    what_is_over_is_forgotten_by_the_upkeep_and_told,
    a_connectors_events_belong_to_its_organisation,
    ignored_attempts_are_remembered,
}
