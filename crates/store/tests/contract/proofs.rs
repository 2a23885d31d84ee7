//! Proofs of domains: kept, noted where they change where a domain stands, gone with the domain.

use relais_policy::document::Document;
use relais_policy::proof::{Finding, Proof, ProofKey, ProofToken, Standing, TOKEN_OCTETS};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use relais_store::proof::ProofChange;
use relais_store::settings::SettingsChange;
use relais_store::store::Store;
use relais_store::trace::TraceQuery;

use crate::world::{NOW, World, at};

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn key() -> ProofKey {
    ProofKey::new("contoso", &domain("contoso.test"))
}

fn fresh() -> Proof {
    Proof::new(ProofToken::from_octets([3; TOKEN_OCTETS]), NOW)
}

/// The settings become contoso with these domains.
async fn with_domains(store: &Store, domains: &[&str]) {
    let domains = domains
        .iter()
        .map(|name| format!("[[organisation.domain]]\nname = \"{name}\"\n"));
    let text = format!(
        "[[organisation]]\nname = \"contoso\"\n{}",
        domains.collect::<String>()
    );
    let change = SettingsChange {
        expected_version: store.settings().version,
        document: Document::from_toml(&text).unwrap(),
        actor: "anna".to_owned(),
        via: "socket".into(),
        summary: Vec::new(),
        time: NOW,
    };
    store.change_settings(change).await.unwrap();
}

fn change(before: Option<&Proof>, after: &Proof, time: Timestamp) -> ProofChange {
    ProofChange {
        key: key(),
        before: before.cloned(),
        after: after.clone(),
        actor: "daily check".to_owned(),
        via: "start".into(),
        time,
    }
}

/// From a token to verified, and on to the first day of grace.
async fn lapsing(store: &Store) -> Proof {
    let proved = fresh().after(Finding::Present, false, "192.0.2.53 shows it", at(1));
    let lapsing = proved.after(
        Finding::Absent,
        false,
        "192.0.2.53 has no such record",
        at(2),
    );
    let lapsing = lapsing.after(
        Finding::Absent,
        false,
        "192.0.2.53 has no such record",
        at(62),
    );
    for (before, after, time) in [
        (None, &fresh(), NOW),
        (Some(&fresh()), &proved, at(1)),
        (Some(&proved), &lapsing, at(62)),
    ] {
        assert_eq!(
            store.change_proof(change(before, after, time)).await,
            Ok(true)
        );
    }
    lapsing
}

async fn a_proof_is_in_force_at_once_and_after_a_restart(mut world: World) {
    with_domains(world.store(), &["contoso.test"]).await;
    let before = world.store().settings();
    let lapsing = lapsing(world.store()).await;
    assert!(before.proof("contoso", &domain("contoso.test")).is_none());
    for restarted in [false, true] {
        if restarted {
            world.restart(at(70)).await;
        }
        let settings = world.store().settings();
        assert_eq!(settings.version, 1, "a proof is no new version");
        assert_eq!(
            settings.proof("contoso", &domain("contoso.test")),
            Some(&lapsing)
        );
        let a_minute = std::time::Duration::from_secs(60);
        let standing = Standing::Lapsing {
            absent_for: a_minute,
        };
        assert_eq!(lapsing.standing, standing);
        assert!(settings.is_verified_for("contoso", &domain("contoso.test")));
    }
}

async fn where_a_domain_stands_is_told_and_audited(world: World) {
    let store = world.store();
    with_domains(store, &["contoso.test"]).await;
    lapsing(store).await;
    let audit = store.audit(10).await.unwrap();
    let acts: Vec<_> = audit
        .iter()
        .map(|entry| {
            (
                entry.act.as_str(),
                entry.actor.as_str(),
                entry.detail.join("; "),
            )
        })
        .collect();
    let (lapsed, verified) = (
        "organisation contoso, domain contoso.test: lapsing, was verified; 192.0.2.53 has no such \
         record",
        "organisation contoso, domain contoso.test: verified, was pending; 192.0.2.53 shows it",
    );
    assert_eq!(
        acts,
        [
            ("domain.lapsing", "daily check", lapsed.to_owned()),
            ("domain.verified", "daily check", verified.to_owned()),
            ("settings.changed", "anna", String::new()),
        ]
    );
    assert_eq!(store.verify_audit().await, Ok(None));
    let query = TraceQuery::parse("event:check.changed").unwrap();
    let rows = store.trace(&query).await.unwrap();
    assert_eq!(rows.len(), 2, "a token alone is no event");
    assert!(rows[0].json.contains(lapsed), "{}", rows[0].json);
}

async fn a_proof_made_from_an_old_one_is_not_stored(world: World) {
    let store = world.store();
    assert_eq!(
        store.change_proof(change(None, &fresh(), NOW)).await,
        Ok(false)
    );
    with_domains(store, &["contoso.test"]).await;
    let lapsing = lapsing(store).await;
    let late = fresh().after(Finding::Present, false, "late", at(70));
    assert_eq!(
        store
            .change_proof(change(Some(&fresh()), &late, at(70)))
            .await,
        Ok(false)
    );
    assert_eq!(
        store.change_proof(change(None, &fresh(), at(70))).await,
        Ok(false)
    );
    let settings = store.settings();
    assert_eq!(
        settings.proof("contoso", &domain("contoso.test")),
        Some(&lapsing)
    );
}

async fn a_proof_goes_with_its_domain(mut world: World) {
    with_domains(world.store(), &["contoso.test"]).await;
    lapsing(world.store()).await;
    with_domains(world.store(), &["contoso.test", "other.test"]).await;
    let settings = world.store().settings();
    assert!(settings.proof("contoso", &domain("contoso.test")).is_some());
    with_domains(world.store(), &["other.test"]).await;
    with_domains(world.store(), &["contoso.test"]).await;
    for restarted in [false, true] {
        if restarted {
            world.restart(at(70)).await;
        }
        let settings = world.store().settings();
        assert!(settings.proof("contoso", &domain("contoso.test")).is_none());
        assert!(!settings.is_verified_for("contoso", &domain("contoso.test")));
    }
}

async fn a_proof_that_cannot_be_stored_is_not_in_force(world: World) {
    let store = world.store();
    with_domains(store, &["contoso.test"]).await;
    assert_eq!(
        store.change_proof(change(None, &fresh(), NOW)).await,
        Ok(true)
    );
    store.close(std::time::Duration::from_secs(10)).await;
    let proved = fresh().after(Finding::Present, false, "seen", at(1));
    let closed = store
        .change_proof(change(Some(&fresh()), &proved, at(1)))
        .await;
    assert!(closed.is_err(), "{closed:?}");
    assert!(
        !store
            .settings()
            .is_verified_for("contoso", &domain("contoso.test"))
    );
}

async fn names_of_clients_lead_somewhere_at_once_and_through_changes(world: World) {
    let store = world.store();
    let document = |more: &str| {
        let text = format!(
            "[[organisation]]\nname = \"contoso\"\n[[organisation.inbound_connector]]\nname = \
             \"Copier\"\nsender_dns_names = [\"copier.dyn.example\"]\n{more}"
        );
        Document::from_toml(&text).unwrap()
    };
    let change = |version, document| SettingsChange {
        expected_version: version,
        document,
        actor: "anna".to_owned(),
        via: "socket".into(),
        summary: Vec::new(),
        time: NOW,
    };
    store
        .change_settings(change(0, document("")))
        .await
        .unwrap();
    let address = "192.0.2.9".parse().unwrap();
    let names = [(domain("copier.dyn.example"), vec![address])];
    store
        .set_client_names(names.into_iter().collect())
        .await
        .unwrap();
    assert_eq!(store.settings().connectors_by_name(address).count(), 1);
    store
        .change_settings(change(1, document("state = \"observing\"")))
        .await
        .unwrap();
    let settings = store.settings();
    assert_eq!(
        (
            settings.version,
            settings.connectors_by_name(address).count()
        ),
        (2, 1)
    );
    store
        .set_client_names(std::collections::HashMap::new())
        .await
        .unwrap();
    assert_eq!(store.settings().connectors_by_name(address).count(), 0);
}

rules! {
    names_of_clients_lead_somewhere_at_once_and_through_changes,
    a_proof_is_in_force_at_once_and_after_a_restart,
    where_a_domain_stands_is_told_and_audited,
    a_proof_made_from_an_old_one_is_not_stored,
    a_proof_goes_with_its_domain,
    a_proof_that_cannot_be_stored_is_not_in_force,
}
