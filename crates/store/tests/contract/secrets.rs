//! Secrets at rest: what is kept under a master key, and what becomes of it without that key.

use std::path::Path;

use relais_policy::document::{Document, Organisation};
use relais_smtp::secret::Secret;
use relais_store::secret::{
    KEY_FILE_NAME, KeySource, KeySources, SecretError, SecretKind, SecretName, Unlocked,
};
use relais_store::settings::{ChangeError, SettingsChange};
use relais_store::shelf::{Shelf, ShelfAudit};
use relais_store::store::Store;
use tempfile::TempDir;

use crate::world::{World, at};

const PASSWORD: &str = "hunter2-hunter2";

fn password() -> SecretName {
    SecretName::new("contoso", SecretKind::SmartHostPassword, "Microsoft 365")
}

fn value(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

fn sources(folder: &Path) -> KeySources {
    KeySources {
        environment: None,
        credential: None,
        folder: folder.to_owned(),
    }
}

async fn unlock(store: &Store, folder: &Path, fresh: u8) -> Unlocked {
    store
        .unlock_secrets(sources(folder), [fresh; 32], at(0))
        .await
        .unwrap()
}

fn audit() -> ShelfAudit {
    ShelfAudit {
        actor: "anna".to_owned(),
        via: "socket".into(),
        act: "secret.stored",
        detail: vec![password().to_string()],
    }
}

/// A world with one secret, and the folder of its key.
async fn with_a_secret(world: &World) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let unlocked = unlock(world.store(), folder.path(), 1).await;
    assert!(unlocked.made);
    world
        .store()
        .put_secret(&password(), &value(PASSWORD), at(1), Some(audit()))
        .await
        .unwrap();
    folder
}

async fn a_secret_is_there_after_a_restart_with_its_key_and_its_text_is_nowhere(mut world: World) {
    let folder = with_a_secret(&world).await;
    world.restart(at(2)).await;
    let unlocked = unlock(world.store(), folder.path(), 2).await;
    assert!(!unlocked.made && unlocked.faults.is_empty());
    assert_eq!((unlocked.secrets, unlocked.unreadable), (1, vec![]));
    let store = world.store();
    assert_eq!(store.secret(&password()).await, Ok(Some(value(PASSWORD))));
    let stored = store.shelf(Shelf::Secret).await.unwrap();
    let told = store.audit(1).await.unwrap();
    let shown = format!("{stored:?} {told:?} {:?}", store.secrets().await);
    assert!(shown.contains("smart-host-password Microsoft 365 of contoso"));
    assert!(!shown.contains(PASSWORD), "{shown}");
    let digits: String = PASSWORD.bytes().map(|b| format!("{b:02x}")).collect();
    assert!(!shown.contains(&digits), "{shown}");

    store.forget_secret(&password(), at(3), None).await.unwrap();
    assert_eq!(store.secret(&password()).await, Ok(None));
    store.forget_secret(&password(), at(3), None).await.unwrap();
}

async fn without_the_key_a_secret_waits_and_no_other_key_takes_its_place(mut world: World) {
    let folder = with_a_secret(&world).await;
    let file = folder.path().join(KEY_FILE_NAME);
    let key = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    world.restart(at(2)).await;
    let unlocked = unlock(world.store(), folder.path(), 2).await;
    assert!(!unlocked.made && unlocked.key.is_none());
    assert_eq!(unlocked.unreadable.len(), 1);
    assert!(
        !file.exists(),
        "a new key would hide that the old one is missing"
    );
    let store = world.store();
    assert_eq!(store.secret(&password()).await, Err(SecretError::NoKey));
    let put = store
        .put_secret(&password(), &value("x"), at(3), None)
        .await;
    assert_eq!(put, Err(SecretError::NoKey));

    std::fs::write(&file, format!("{}\n", "ab".repeat(32))).unwrap();
    let unlocked = unlock(store, folder.path(), 2).await;
    assert_eq!(unlocked.unreadable.len(), 1);
    let refused = store.secret(&password()).await;
    assert!(
        matches!(refused, Err(SecretError::OtherKey { .. })),
        "{refused:?}"
    );

    std::fs::write(&file, "no key at all\n").unwrap();
    let unlocked = unlock(store, folder.path(), 2).await;
    assert_eq!(unlocked.faults.len(), 1);
    assert!(unlocked.key.is_none());

    std::fs::write(&file, key).unwrap();
    unlock(store, folder.path(), 2).await;
    assert_eq!(store.secret(&password()).await, Ok(Some(value(PASSWORD))));
}

async fn a_new_master_key_reads_everything_and_the_old_one_nothing(mut world: World) {
    let folder = with_a_secret(&world).await;
    let file = folder.path().join(KEY_FILE_NAME);
    let old = std::fs::read(&file).unwrap();
    let (before, _) = world.store().master_key().unwrap();
    let told = |old: &_, new: &_| ShelfAudit {
        act: "secret.key-changed",
        detail: vec![format!("{old} → {new}")],
        ..audit()
    };
    let changed = world.store().change_master_key([9; 32], at(2), told).await;
    let (after, count) = changed.unwrap();
    assert_eq!(count, 1);
    assert_ne!(before, after);
    let entries = world.store().audit(1).await.unwrap();
    assert_eq!(entries[0].detail, [format!("{before} → {after}")]);
    for restarted in [false, true] {
        if restarted {
            world.restart(at(3)).await;
            unlock(world.store(), folder.path(), 2).await;
        }
        let secret = world.store().secret(&password()).await;
        assert_eq!(secret, Ok(Some(value(PASSWORD))));
    }
    std::fs::write(&file, old).unwrap();
    let unlocked = unlock(world.store(), folder.path(), 2).await;
    assert_eq!(unlocked.unreadable, [(after, 1)]);
}

async fn a_change_of_the_master_key_that_was_cut_off_ends_at_the_next_start(mut world: World) {
    let folder = with_a_secret(&world).await;
    let file = folder.path().join(KEY_FILE_NAME);
    // As it stands when power fails after the file was written, before the secrets were.
    let old = std::fs::read_to_string(&file).unwrap();
    let new = "cd".repeat(32);
    std::fs::write(&file, format!("{new}\n{old}")).unwrap();
    world.restart(at(2)).await;
    let unlocked = unlock(world.store(), folder.path(), 2).await;
    assert_eq!((unlocked.encrypted_anew, unlocked.unreadable), (1, vec![]));
    let left = std::fs::read_to_string(&file).unwrap();
    let keys: Vec<_> = left.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(keys, [new.as_str()], "the old key has done its duty");
    let secret = world.store().secret(&password()).await;
    assert_eq!(secret, Ok(Some(value(PASSWORD))));
}

async fn a_key_of_the_environment_comes_first_and_takes_over_from_the_file(world: World) {
    let folder = with_a_secret(&world).await;
    let given = KeySources {
        environment: Some(Secret::from("ef".repeat(32))),
        ..sources(folder.path())
    };
    let store = world.store();
    let unlocked = store.unlock_secrets(given, [2; 32], at(2)).await.unwrap();
    assert_eq!(unlocked.encrypted_anew, 1);
    assert_eq!(store.master_key().unwrap().1, KeySource::Environment);
    assert_eq!(store.secret(&password()).await, Ok(Some(value(PASSWORD))));
    let told = |_: &_, _: &_| audit();
    let changed = store.change_master_key([3; 32], at(3), told).await;
    assert_eq!(
        changed,
        Err(SecretError::ForeignKey(KeySource::Environment))
    );
}

async fn the_key_file_belongs_to_its_owner_alone(world: World) {
    use std::os::unix::fs::PermissionsExt;

    let folder = with_a_secret(&world).await;
    let file = std::fs::metadata(folder.path().join(KEY_FILE_NAME)).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

async fn settings_and_the_secret_that_belongs_to_them_change_together_or_not_at_all(world: World) {
    let folder = with_a_secret(&world).await;
    let store = world.store();
    let change = |expected_version| SettingsChange {
        expected_version,
        document: Document::from_toml("[[organisation]]\nname = \"contoso\"\n").unwrap(),
        actor: "anna".to_owned(),
        via: "web".into(),
        summary: vec!["organisation contoso added".to_owned()],
        time: at(2),
    };
    let (name, new) = (password(), value("another one"));
    let both = |version| {
        let secret = (&name, &new);
        store.change_settings_with_secret(change(version), secret, Some(audit()))
    };
    assert_eq!(both(7).await, Err(ChangeError::Conflict { current: 0 }));
    assert_eq!(store.secret(&name).await, Ok(Some(value(PASSWORD))));
    assert_eq!(both(0).await, Ok(1));
    assert_eq!(store.secret(&name).await, Ok(Some(new.clone())));
    let acts = store.audit(2).await.unwrap().into_iter().map(|one| one.act);
    assert_eq!(
        acts.collect::<Vec<_>>(),
        ["secret.stored", "settings.changed"]
    );
    drop(folder);
}

async fn a_new_secret_is_not_read_before_the_settings_that_it_belongs_to(world: World) {
    let (folder, name) = (tempfile::tempdir().unwrap(), password());
    let store = world.store();
    unlock(store, folder.path(), 1).await;
    let mut last = 0;
    for version in 0..100_u64 {
        let text = version.to_string();
        let mut document = Document::default();
        document
            .organisation
            .push(Organisation::new(format!("o{text}")));
        let change = SettingsChange {
            expected_version: version,
            document,
            actor: "anna".to_owned(),
            via: "web".into(),
            summary: Vec::new(),
            time: at(2),
        };
        let secret = value(&text);
        let changed = store.change_settings_with_secret(change, (&name, &secret), None);
        let read = async {
            // Until the new one is seen: as often as the change leaves time.
            loop {
                let found = store.settled_secret(&name).await.unwrap();
                let settings = store.settings().version;
                let of = found.as_ref().and_then(Secret::expose_text);
                let belongs_to = of.map_or(0, |text| text.parse::<u64>().unwrap() + 1);
                assert!(
                    settings >= belongs_to,
                    "{belongs_to} was read under {settings}"
                );
                if belongs_to > version {
                    return belongs_to;
                }
                tokio::task::yield_now().await;
            }
        };
        let (changed, read) = tokio::join!(changed, read);
        assert_eq!(changed, Ok(version + 1));
        assert!(read > last);
        last = read;
    }
}

rules!(
    a_new_secret_is_not_read_before_the_settings_that_it_belongs_to,
    settings_and_the_secret_that_belongs_to_them_change_together_or_not_at_all,
    a_secret_is_there_after_a_restart_with_its_key_and_its_text_is_nowhere,
    without_the_key_a_secret_waits_and_no_other_key_takes_its_place,
    a_new_master_key_reads_everything_and_the_old_one_nothing,
    a_change_of_the_master_key_that_was_cut_off_ends_at_the_next_start,
    a_key_of_the_environment_comes_first_and_takes_over_from_the_file,
    the_key_file_belongs_to_its_owner_alone,
);
