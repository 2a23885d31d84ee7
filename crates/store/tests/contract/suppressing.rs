//! Who is suppressed, and the keys of signed envelope senders.

use relais_policy::bounce::{BounceKey, BounceKeys, ROTATE_DAYS, TOKEN_DAYS};
use relais_policy::suppression::{Cause, Suppression};
use relais_smtp::address::Mailbox;
use relais_smtp::identifier::QueueId;
use relais_store::secret::{KeySources, SecretKind, SecretName};
use relais_store::shelf::ShelfAudit;
use relais_store::store::{BounceKeyError, OldAddresses, SuppressionChange};

use crate::world::{World, at};

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

fn suppression(cause: Cause, second: u64) -> Suppression {
    Suppression::of_notice(cause, "550 no", QueueId::new(at(1), 0, 1), at(second))
}

async fn who_is_suppressed_is_known_at_once_and_after_a_restart_until_released(mut world: World) {
    let known = mailbox("B@Example.org");
    let mut change = SuppressionChange::new("contoso", at(1));
    change
        .put
        .push((known.clone(), suppression(Cause::HardBounce, 1)));
    assert_eq!(world.store().change_suppressions(change).await, Ok(0));
    for restarted in [false, true] {
        if restarted {
            world.restart(at(2)).await;
        }
        let store = world.store();
        let found = store
            .suppression("contoso", &mailbox("b@example.org"))
            .await;
        assert_eq!(found, Ok(Some(suppression(Cause::HardBounce, 1))));
        assert_eq!(store.suppression("fabrikam", &known).await, Ok(None));
        let other = store
            .suppression("contoso", &mailbox("c@example.org"))
            .await;
        assert_eq!(other, Ok(None));
    }
    let mut change = SuppressionChange::new("contoso", at(3));
    change.taken = vec![known.clone(), mailbox("never@example.org")];
    change.audit = Some(ShelfAudit {
        actor: "anna".to_owned(),
        via: "socket".into(),
        act: "suppression.released",
        detail: vec!["b@example.org".to_owned()],
    });
    assert_eq!(world.store().change_suppressions(change).await, Ok(1));
    assert_eq!(world.store().suppression("contoso", &known).await, Ok(None));
    let audit = world.store().audit(1).await.unwrap();
    assert_eq!(audit[0].act, "suppression.released");
    world.restart(at(4)).await;
    assert_eq!(world.store().suppression("contoso", &known).await, Ok(None));
    assert_eq!(world.store().suppressions().await, Ok(Vec::new()));
}

async fn the_key_of_envelope_senders_is_made_once_for_each_organisation_and_rotates(world: World) {
    let store = world.store();
    let folder = tempfile::tempdir().unwrap();
    let sources = KeySources {
        environment: None,
        credential: None,
        folder: folder.path().to_path_buf(),
    };
    store.unlock_secrets(sources, [9; 32], at(0)).await.unwrap();
    let keys = |organisation: &'static str, fresh, time| async move {
        (store.bounce_keys(organisation, [fresh; 32], time).await).unwrap()
    };
    let first = |number| BounceKeys::new(BounceKey::new([number; 32]), at(1));
    assert_eq!(keys("contoso", 1, at(1)).await, first(1));
    assert_eq!(keys("contoso", 2, at(1)).await, first(1));
    assert_eq!(keys("fabrikam", 3, at(1)).await, first(3));

    // Half a year later another one signs, and the first still counts; after a restart too.
    let later = at(1 + 86_400 * u64::from(ROTATE_DAYS));
    let rotated = first(1).rotated(BounceKey::new([4; 32]), later);
    assert_eq!(keys("contoso", 4, later).await, rotated);
    assert_eq!(keys("contoso", 5, later).await, rotated);
}

async fn a_person_changes_the_key_of_envelope_senders_or_revokes_what_it_signed(mut world: World) {
    let folder = tempfile::tempdir().unwrap();
    let sources = || KeySources {
        environment: None,
        credential: None,
        folder: folder.path().to_path_buf(),
    };
    let store = world.store();
    store
        .unlock_secrets(sources(), [9; 32], at(0))
        .await
        .unwrap();
    let audit = || ShelfAudit {
        actor: "anna".to_owned(),
        via: "socket".into(),
        act: "bounce-key.rotated",
        detail: vec!["contoso".to_owned()],
    };
    let key = |number| BounceKey::new([number; 32]);
    let count = |number| ([number; 32], OldAddresses::Count);
    let first = store.bounce_keys("contoso", [1; 32], at(1)).await.unwrap();
    let rotated = first.rotated(key(2), at(2));
    let found = store
        .rotate_bounce_keys("contoso", count(2), at(2), audit())
        .await;
    assert_eq!(found, Ok(rotated.clone()));
    assert_eq!(store.audit(1).await.unwrap()[0].act, "bounce-key.rotated");
    // Once more at once would lose what the first one signed.
    let refused = store
        .rotate_bounce_keys("contoso", count(3), at(3), audit())
        .await;
    let until = at(2 + 86_400 * u64::from(TOKEN_DAYS));
    assert_eq!(refused, Err(BounceKeyError::TooSoon(until)));
    assert_eq!(
        store.bounce_keys("contoso", [4; 32], at(3)).await,
        Ok(rotated.clone())
    );
    let later = store
        .rotate_bounce_keys("contoso", count(5), until, audit())
        .await;
    assert_eq!(later, Ok(rotated.rotated(key(5), until)));

    // Revoked, nothing of before counts; the same after a restart.
    let revoked = ([6; 32], OldAddresses::Revoked);
    let alone = BounceKeys::new(key(6), until);
    let found = store
        .rotate_bounce_keys("contoso", revoked, until, audit())
        .await;
    assert_eq!(found, Ok(alone.clone()));
    world.restart(until).await;
    let store = world.store();
    store
        .unlock_secrets(sources(), [9; 32], until)
        .await
        .unwrap();
    assert_eq!(
        store.bounce_keys("contoso", [7; 32], until).await,
        Ok(alone)
    );
}

async fn a_key_of_envelope_senders_that_is_forgotten_signs_nothing_more(mut world: World) {
    let folder = tempfile::tempdir().unwrap();
    let sources = || KeySources {
        environment: None,
        credential: None,
        folder: folder.path().to_path_buf(),
    };
    let store = world.store();
    store
        .unlock_secrets(sources(), [9; 32], at(0))
        .await
        .unwrap();
    let keys = |fresh, time| store.bounce_keys("contoso", [fresh; 32], time);
    let alone = |number, time| BounceKeys::new(BounceKey::new([number; 32]), time);
    assert_eq!(keys(1, at(1)).await, Ok(alone(1, at(1))));
    let others = store.bounce_keys("fabrikam", [2; 32], at(1)).await;
    let name = |owner: &str| SecretName::new(owner, SecretKind::BounceKey, "envelope-sender");
    store
        .forget_secret(&name("contoso"), at(2), None)
        .await
        .unwrap();
    assert_eq!(keys(3, at(3)).await, Ok(alone(3, at(3))));
    // Another organisation's is another secret.
    assert_eq!(store.bounce_keys("fabrikam", [4; 32], at(3)).await, others);
    world.restart(at(4)).await;
    let store = world.store();
    store
        .unlock_secrets(sources(), [9; 32], at(4))
        .await
        .unwrap();
    let kept = store.bounce_keys("contoso", [5; 32], at(4)).await;
    assert_eq!(kept, Ok(alone(3, at(3))));
}

rules!(
    a_key_of_envelope_senders_that_is_forgotten_signs_nothing_more,
    who_is_suppressed_is_known_at_once_and_after_a_restart_until_released,
    the_key_of_envelope_senders_is_made_once_for_each_organisation_and_rotates,
    a_person_changes_the_key_of_envelope_senders_or_revokes_what_it_signed,
);
