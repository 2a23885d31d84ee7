//! Shelves: small things that must survive a restart and are no settings.

use relais_store::shelf::{SHELF_VALUE_OCTETS_MAX, Shelf, ShelfAudit, ShelfChange, ShelfEntry};

use crate::world::{World, at};

async fn what_is_put_on_a_shelf_is_there_after_a_restart_and_what_is_taken_is_not(
    mut world: World,
) {
    let change = ShelfChange::new(Shelf::Pace, at(1))
        .put("contoso a", "1")
        .put("contoso b", "2");
    world.store().change_shelf(change).await.unwrap();
    let change = ShelfChange::new(Shelf::Pace, at(2))
        .put("contoso a", "3")
        .take("contoso b")
        .take("never there");
    world.store().change_shelf(change).await.unwrap();
    for restarted in [false, true] {
        if restarted {
            world.restart(at(3)).await;
        }
        let kept = ShelfEntry {
            key: "contoso a".to_owned(),
            value: "3".to_owned(),
            since: at(2),
        };
        assert_eq!(world.store().shelf(Shelf::Pace).await, Ok(vec![kept]));
        assert_eq!(world.store().shelf(Shelf::Secret).await, Ok(Vec::new()));
    }
}

async fn a_change_of_a_shelf_stands_in_the_audit_where_it_says_so(world: World) {
    let audit = ShelfAudit {
        actor: "anna".to_owned(),
        via: "socket".into(),
        act: "dkim.generated",
        detail: vec!["contoso.test".to_owned()],
    };
    let change = ShelfChange::new(Shelf::DkimKey, at(1)).put("contoso.test", "{}");
    world
        .store()
        .change_shelf(change.audited(audit))
        .await
        .unwrap();
    let entries = world.store().audit(1).await.unwrap();
    assert_eq!(entries[0].act, "dkim.generated");
    assert_eq!(entries[0].actor, "anna");
}

async fn a_value_beyond_the_bound_changes_nothing(world: World) {
    let change = ShelfChange::new(Shelf::Secret, at(1))
        .put("small", "1")
        .put("large", "x".repeat(SHELF_VALUE_OCTETS_MAX + 1));
    assert!(world.store().change_shelf(change).await.is_err());
    assert_eq!(world.store().shelf(Shelf::Secret).await, Ok(Vec::new()));
}

rules!(
    what_is_put_on_a_shelf_is_there_after_a_restart_and_what_is_taken_is_not,
    a_change_of_a_shelf_stands_in_the_audit_where_it_says_so,
    a_value_beyond_the_bound_changes_nothing,
);
