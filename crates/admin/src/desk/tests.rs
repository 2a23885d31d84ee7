//! The desk on simulated time: days of looks in milliseconds.

use relais_net::simulated_dns::DnsFault;
use relais_net::zone::ZoneRecord;
use relais_policy::dkim::{DkimTable, DomainKeys};
use relais_policy::document::{DkimAlgorithm, Document};
use relais_policy::settings::Mode;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use relais_store::settings::SettingsChange;
use relais_store::trace::TraceQuery;

use super::*;
use crate::findings::Findings;
use crate::proving::tests::World;

const HOUR: Duration = Duration::from_secs(3_600);

/// A desk beside the proofs, watching by itself.
async fn world() -> World {
    let world = World::new(&["contoso"]).await;
    publish(&world, "v=spf1 ip4:192.0.2.1 -all");
    begin(&world).await;
    world
}

async fn begin(world: &World) {
    let dns = world.context.dns.clone().expect("there is one");
    tokio::spawn(watch(world.context.clone(), dns, world.closing.clone()));
    world.pass(Duration::from_secs(60)).await;
}

fn publish(world: &World, spf: &str) {
    let proof = world.proof("contoso").token.record();
    let texts = [spf, &proof].map(|text| ZoneRecord::Text(text.to_owned()));
    world.dns.set("contoso.test", texts.to_vec());
}

/// What was told of SPF, oldest first.
async fn told(world: &World) -> Vec<String> {
    let query = TraceQuery::parse("event:check.changed").expect("a query");
    let events = world.context.store.trace(&query).await.expect("a trace");
    let detail = |json: &str| {
        let event: serde_json::Value = serde_json::from_str(json).expect("JSON");
        event["detail"].as_str().unwrap_or_default().to_owned()
    };
    let details = events.iter().rev().map(|event| detail(&event.json));
    details.filter(|detail| detail.contains("spf is")).collect()
}

async fn wrong(world: &World) -> Vec<String> {
    let domain = Domain::parse("contoso.test").expect("a domain");
    let key = ProofKey::new("contoso", &domain);
    let finding = world.context.findings.get(&world.context.store, &key).await;
    let finding = finding.expect("a store").expect("it was looked at");
    finding.wrong().map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn a_change_is_seen_within_a_day_told_once_and_mended_within_the_hour() {
    let world = world().await;
    assert_eq!(told(&world).await, [""; 0], "a first look is no change");
    publish(&world, "v=spf1 -all");
    world.pass(27 * HOUR).await;
    let [only] = told(&world).await.try_into().expect("once");
    let expected = "organisation contoso, domain contoso.test; spf is wrong, was good: ";
    assert!(only.starts_with(expected), "{only}");
    assert_eq!(wrong(&world).await, ["spf"]);
    publish(&world, "v=spf1 ip4:192.0.2.1 -all");
    world.pass(2 * HOUR).await;
    assert_eq!(told(&world).await.len(), 2, "hourly while it is wrong");
    assert!(wrong(&world).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn silence_is_no_change_and_a_restart_forgets_nothing() {
    let mut world = world().await;
    world
        .dns
        .set_fault("contoso.test", Some(DnsFault::ServFail));
    world.pass(60 * HOUR).await;
    assert_eq!(told(&world).await, [""; 0]);
    world.closing.cancel();
    world.closing = CancellationToken::new();
    world.context.findings = Findings::default();
    world.dns.set_fault("contoso.test", None);
    publish(&world, "v=spf1 -all");
    begin(&world).await;
    world.pass(27 * HOUR).await;
    assert_eq!(told(&world).await.len(), 1, "it knew what was before");
}

#[tokio::test(start_paused = true)]
async fn a_bounce_domain_counts_once_dns_shows_both_records_and_until_it_shows_otherwise() {
    const BOUNCE: &str = "bounce.contoso.test";
    let world = world().await;
    let text = format!(
        "[[organisation]]\nname = \"contoso\"\n[[organisation.domain]]\nname = \
         \"contoso.test\"\nbounce_domain = \"{BOUNCE}\"\n"
    );
    let change = SettingsChange {
        expected_version: 1,
        document: Document::from_toml(&text).expect("a document"),
        actor: "anna".to_owned(),
        via: "socket".into(),
        summary: Vec::new(),
        time: world.context.clock.now(),
    };
    let changed = world.context.store.change_settings(change).await;
    changed.expect("valid settings");
    let counts = || {
        let settings = world.context.store.settings();
        let mut shown = settings.shown_bounces.values();
        shown.next().is_some_and(|shown| shown.as_str() == BOUNCE)
    };
    let mx = || ZoneRecord::Mx(10, "relay.contoso.test".to_owned());
    let spf = |text: &str| ZoneRecord::Text(text.to_owned());
    let right = "v=spf1 ip4:192.0.2.1 -all";
    for (records, hours, expected) in [
        (vec![], 2, false),
        (vec![mx()], 2, false),
        (vec![mx(), spf("v=spf1 -all")], 2, false),
        (vec![mx(), spf(right)], 2, true),
        (vec![spf(right)], 27, false),
        (vec![mx(), spf(right)], 2, true),
    ] {
        let shown = format!("{records:?}");
        world.dns.set(BOUNCE, records);
        world.pass(hours * HOUR).await;
        assert_eq!(counts(), expected, "{shown}");
    }
    world.dns.set_fault(BOUNCE, Some(DnsFault::ServFail));
    world.pass(60 * HOUR).await;
    assert!(counts(), "silence changes nothing");
}

#[test]
fn keys_of_waiting_domains_stand_in_our_zone_and_take_nobodys_place() {
    let domain = |name: &str| format!("[[organisation.domain]]\nname = \"{name}\"\n");
    let text = format!(
        "[[organisation]]\nname = \"contoso\"\n{}verification = \"assumed\"\n[[organisation]]\n\
         name = \"mallory\"\n{}{}",
        domain("contoso.test"),
        domain("contoso.test"),
        domain("new.test")
    );
    let document = Document::from_toml(&text).expect("a document");
    let settings = Settings::build(Mode::Hosted, 1, document).expect("settings");
    let mut table = DkimTable::default();
    for (organisation, name, selector, public) in [
        ("contoso", "contoso.test", "s1", "ours"),
        ("mallory", "contoso.test", "s1", "theirs"),
        ("mallory", "contoso.test", "s2", "claimed"),
        ("mallory", "new.test", "s1", "new"),
    ] {
        let key = ProofKey::new(organisation, &Domain::parse(name).expect("a domain"));
        let now = Timestamp::from_millis(0);
        let fresh = Key::new(selector.into(), DkimAlgorithm::Rsa2048, public.into(), now);
        let keys = table.get(&key.organisation, &key.domain).cloned();
        let keys = keys.unwrap_or_else(|| DomainKeys::new("t".into()));
        table.set(key, Some(keys.with_key(fresh)));
    }
    let shown = shown_keys(&settings.with_dkim(table));
    let mut shown: Vec<_> = shown
        .iter()
        .flat_map(|(domain, keys)| {
            keys.iter()
                .map(move |key| format!("{domain} {}", key.public))
        })
        .collect();
    shown.sort();
    assert_eq!(
        shown,
        ["contoso.test claimed", "contoso.test ours", "new.test new"]
    );
}
