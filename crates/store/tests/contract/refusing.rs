//! When the store says no: without room, sealed, closed. Never a proof then.

use std::time::Duration;

use relais_store::queue::{CommitError, RecipientChange, SettleError, StoreError};

use crate::world::{NOW, World, at, commit, lease_one, message, settlement};

async fn without_room_nothing_is_accepted_but_what_frees_space_is(mut world: World) {
    commit(world.store(), &["a@example.org"], NOW).await;
    world.set_room(false).await;
    let store = world.store();
    assert_eq!(store.may_commit(), Err(CommitError::NoRoom));
    let refused = store.commit(message(store, &["b@example.org"], NOW)).await;
    assert_eq!(
        refused.map(|proof| proof.queue_id()),
        Err(CommitError::NoRoom)
    );
    assert!(store.unhealthy().is_some());
    let leased = lease_one(store, "example.org", at(1)).await.unwrap();
    let notice = message(store, &["scan@contoso.test"], at(1));
    let mut done = settlement(&leased, &RecipientChange::Done, at(1));
    done.notices.push(notice);
    store.settle(done).await.unwrap();
    world.set_room(true).await;
    assert_eq!(world.store().may_commit(), Ok(()));
    assert_eq!(world.store().unhealthy(), None);
    commit(world.store(), &["c@example.org"], at(2)).await;
}

async fn after_a_failed_write_there_is_no_proof_until_recovery(mut world: World) {
    let store = world.store();
    commit(store, &["a@example.org"], NOW).await;
    let leased = lease_one(store, "example.org", NOW).await.unwrap();
    world.break_disk().await;
    let refused = store.commit(message(store, &["b@example.org"], NOW)).await;
    assert!(
        matches!(refused, Err(CommitError::Sealed { .. })),
        "{refused:?}"
    );
    assert!(matches!(
        store.may_commit(),
        Err(CommitError::Sealed { .. })
    ));
    assert!(store.unhealthy().is_some());
    let refused = store.commit(message(store, &["c@example.org"], NOW)).await;
    assert!(
        matches!(refused, Err(CommitError::Sealed { .. })),
        "{refused:?}"
    );
    let done = || settlement(&leased, &RecipientChange::Done, NOW);
    let refused = store.settle(done()).await;
    assert!(
        matches!(refused, Err(SettleError::Store(StoreError::Sealed { .. }))),
        "a sealed store does not take the lease away: {refused:?}"
    );
    store.maintain(at(1)).await;
    assert_eq!((store.may_commit(), store.unhealthy()), (Ok(()), None));
    store.settle(done()).await.unwrap();
    commit(store, &["d@example.org"], at(1)).await;
    world.restart(at(2)).await;
    let listed = world
        .store()
        .list(&Default::default(), None, 10)
        .await
        .unwrap();
    let to: Vec<_> = listed
        .iter()
        .map(|message| message.recipients[0].to.as_str())
        .collect();
    assert_eq!(
        to,
        ["d@example.org"],
        "what was refused is not delivered later"
    );
}

async fn a_closed_store_answers_so(world: World) {
    let store = world.store();
    commit(store, &["a@example.org"], NOW).await;
    let leased = lease_one(store, "example.org", NOW).await.unwrap();
    store.close(Duration::from_secs(10)).await;
    assert_eq!(store.may_commit(), Err(CommitError::Closed));
    let refused = store.commit(message(store, &["b@example.org"], NOW)).await;
    assert_eq!(
        refused.map(|proof| proof.queue_id()),
        Err(CommitError::Closed)
    );
    let refused = store
        .settle(settlement(&leased, &RecipientChange::Done, NOW))
        .await;
    assert_eq!(refused, Err(SettleError::Store(StoreError::Closed)));
    store.close(Duration::from_secs(10)).await;
    store.maintain(at(1)).await;
}

rules! {
    without_room_nothing_is_accepted_but_what_frees_space_is,
    after_a_failed_write_there_is_no_proof_until_recovery,
    a_closed_store_answers_so,
}
