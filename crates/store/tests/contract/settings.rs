//! Versions of the settings, and the audit.

use relais_policy::document::{Credential, Document, Organisation};
use relais_store::door::Via;
use relais_store::queue::Actor;
use relais_store::settings::{ChangeError, CredentialUse, SettingsChange};
use relais_store::suspension::{Suspension, SuspensionScope};
use relais_store::trace::TraceQuery;

use crate::world::{NOW, World, at};

fn document(names: &[&str]) -> Document {
    let organisation = |name: &&str| -> Organisation {
        serde_json::from_value(serde_json::json!({ "name": name })).unwrap()
    };
    Document {
        organisation: names.iter().map(organisation).collect(),
    }
}

fn change(expected_version: u64, names: &[&str]) -> SettingsChange {
    SettingsChange {
        expected_version,
        document: document(names),
        actor: "anna".to_owned(),
        via: "socket".into(),
        summary: vec!["organisation contoso added".to_owned()],
        time: at(expected_version),
    }
}

async fn a_change_is_in_force_at_once_and_after_a_restart(mut world: World) {
    assert_eq!(world.store().settings().version, 0);
    assert_eq!(
        world.store().change_settings(change(0, &["contoso"])).await,
        Ok(1)
    );
    let before = world.store().settings();
    assert_eq!(
        world
            .store()
            .change_settings(change(1, &["fabrikam"]))
            .await,
        Ok(2)
    );
    assert_eq!(before.version, 1, "who has a snapshot keeps it");
    for restarted in [false, true] {
        if restarted {
            world.restart(at(5)).await;
        }
        let settings = world.store().settings();
        assert_eq!(settings.version, 2);
        assert_eq!(*settings.document, document(&["fabrikam"]));
    }
    let versions = world.store().settings_versions(10).await.unwrap();
    let numbers: Vec<_> = versions.iter().map(|version| version.version).collect();
    assert_eq!(numbers, [2, 1]);
    let query = TraceQuery::parse("event:settings.changed").unwrap();
    let rows = world.store().trace(&query).await.unwrap();
    assert_eq!(rows.len(), 2);
}

async fn the_audit_tells_from_which_address_a_change_came(mut world: World) {
    let client = std::net::IpAddr::from([192, 0, 2, 9]);
    let of_web = SettingsChange {
        via: Via::named("web").coming_from(Some(client)),
        ..change(0, &["contoso"])
    };
    assert_eq!(world.store().change_settings(of_web).await, Ok(1));
    let of_terminal = change(1, &["fabrikam"]);
    assert_eq!(world.store().change_settings(of_terminal).await, Ok(2));
    let suspended = Suspension::new(
        SuspensionScope::destination("example.org"),
        Actor {
            name: "anna",
            via: Via::named("api").coming_from(Some(client)),
        },
        at(3),
    );
    world.store().suspend(suspended).await.unwrap();
    for restarted in [false, true] {
        if restarted {
            world.restart(at(5)).await;
        }
        let entries = world.store().audit(10).await.unwrap();
        let told = entries.iter().rev();
        let told: Vec<_> = told
            .map(|one| (one.via.as_str(), one.from.as_deref()))
            .collect();
        let address = Some("192.0.2.9");
        assert_eq!(told, [("web", address), ("socket", None), ("api", address)]);
        assert_eq!(world.store().verify_audit().await, Ok(None));
    }
}

/// Settings with these credentials.
fn with_credentials(expected_version: u64, users: &[&str]) -> SettingsChange {
    let mut change = change(expected_version, &["contoso"]);
    let organisation = &mut change.document.organisation[0];
    organisation
        .inbound_connector
        .push(serde_json::from_value(serde_json::json!({ "name": "P" })).unwrap());
    let credentials = users.iter().map(|user| Credential::new(*user, "P"));
    organisation.credential.extend(credentials);
    change
}

async fn the_last_use_of_each_credential_is_known_after_a_restart_until_it_is_revoked(
    mut world: World,
) {
    let used = |user: &str, second, host| CredentialUse {
        user: user.to_owned(),
        time: at(second),
        address: [192, 0, 2, host].into(),
    };
    let change = with_credentials(0, &["scan-1", "scan-2"]);
    assert_eq!(world.store().change_settings(change).await, Ok(1));
    let batch = vec![used("scan-1", 2, 1), used("gone", 2, 1)];
    world.store().note_credential_uses(batch).await.unwrap();
    let batch = vec![used("scan-2", 3, 2), used("scan-1", 1, 9)];
    world.store().note_credential_uses(batch).await.unwrap();
    let expected = vec![used("scan-1", 2, 1), used("scan-2", 3, 2)];
    assert_eq!(world.store().credential_uses().await, Ok(expected.clone()));
    world.restart(at(5)).await;
    assert_eq!(world.store().credential_uses().await, Ok(expected));
    let change = with_credentials(1, &["scan-2"]);
    assert_eq!(world.store().change_settings(change).await, Ok(2));
    world
        .store()
        .note_credential_uses(Vec::new())
        .await
        .unwrap();
    let left = vec![used("scan-2", 3, 2)];
    assert_eq!(world.store().credential_uses().await, Ok(left));
}

async fn a_change_from_an_old_version_is_a_conflict(world: World) {
    let store = world.store();
    store
        .change_settings(change(0, &["contoso"]))
        .await
        .unwrap();
    let late = store.change_settings(change(0, &["fabrikam"])).await;
    assert_eq!(late, Err(ChangeError::Conflict { current: 1 }));
    assert_eq!(*store.settings().document, document(&["contoso"]));
    assert_eq!(store.audit(10).await.unwrap().len(), 1);
}

async fn an_invalid_document_changes_nothing(world: World) {
    let store = world.store();
    let invalid = store
        .change_settings(change(0, &["contoso", "fabrikam"]))
        .await;
    assert!(
        matches!(invalid, Err(ChangeError::Invalid(_))),
        "two in LAN mode: {invalid:?}"
    );
    assert_eq!(store.settings().version, 0);
    assert_eq!(store.audit(10).await.unwrap(), []);
}

fn example() -> SuspensionScope {
    SuspensionScope::destination("example.org")
}

async fn every_act_of_a_person_is_in_the_audit_and_the_chain_holds(mut world: World) {
    world
        .store()
        .change_settings(change(0, &["contoso"]))
        .await
        .unwrap();
    world
        .store()
        .suspend(Suspension::new(example(), "bob", NOW))
        .await
        .unwrap();
    world.restart(at(1)).await;
    world
        .store()
        .resume(&example(), "bob", at(2))
        .await
        .unwrap();
    let audit = world.store().audit(10).await.unwrap();
    let entries: Vec<_> = audit
        .iter()
        .map(|entry| {
            (
                entry.number,
                entry.act.as_str(),
                entry.actor.as_str(),
                entry.settings_version,
            )
        })
        .collect();
    assert_eq!(
        entries,
        [
            (3, "queue.resumed", "bob", None),
            (2, "queue.suspended", "bob", None),
            (1, "settings.changed", "anna", Some(1)),
        ]
    );
    assert_eq!(world.store().verify_audit().await, Ok(None));
}

rules! {
    the_audit_tells_from_which_address_a_change_came,
    a_change_is_in_force_at_once_and_after_a_restart,
    the_last_use_of_each_credential_is_known_after_a_restart_until_it_is_revoked,
    a_change_from_an_old_version_is_a_conflict,
    an_invalid_document_changes_nothing,
    every_act_of_a_person_is_in_the_audit_and_the_chain_holds,
}
