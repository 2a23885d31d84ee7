//! Which connectors fit a client, and why one of them has it.

use relais_policy::attribution::{Facts, attribute};
use relais_policy::candidates::{By, Candidate, Fate, candidates};
use relais_policy::settings::{Mode, Settings};
use relais_policy::tls::Certificate;

use crate::world::build;

const DOCUMENT: &str = r#"
[[organisation]]
name = "contoso"
[[organisation.inbound_connector]]
name = "Everything"
sender_ip_addresses = ["10.0.0.0/8"]
[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["10.1.2.0/24"]
[[organisation.inbound_connector]]
name = "Copier"
state = "disabled"
sender_ip_addresses = ["10.1.2.9"]
[[organisation.inbound_connector]]
name = "Plan"
state = "draft"
sender_ip_addresses = ["10.1.2.0/25"]
[[organisation.inbound_connector]]
name = "Strict"
identified_by = "all"
sender_ip_addresses = ["10.1.0.0/16"]
tls_sender_certificate_name = "copier.contoso.test"
[[organisation.inbound_connector]]
name = "Scan users"
[[organisation.credential]]
user = "scan-1"
inbound_connector = "Scan users"
may_send_as = ["scan@contoso.test"]
"#;

fn words(one: &Candidate<'_>) -> String {
    let by = match &one.by {
        By::Credential(user) => user.clone(),
        By::Certificate(name) => name.clone(),
        By::DnsName(name) => name.to_string(),
        By::Network(network) => network.to_string(),
    };
    let fate = match &one.fate {
        Fate::Won => "won".to_owned(),
        Fate::Lacks(factor) => format!("lacks {factor}"),
        Fate::WiderThan(network) => format!("wider than {network}"),
        Fate::Later => "later".to_owned(),
        Fate::Draft => "draft".to_owned(),
        Fate::Disabled => "disabled".to_owned(),
    };
    format!("{} by {by}: {fate}", one.found.connector.name)
}

fn told(settings: &Settings, facts: &Facts) -> Vec<String> {
    let all = candidates(settings, facts);
    let winners = all.iter().filter(|one| one.fate == Fate::Won);
    let winners: Vec<_> = winners.map(|one| &one.found.connector.name).collect();
    let decided = attribute(settings, facts);
    let decided: Vec<_> = decided
        .connector()
        .map(|found| &found.connector.name)
        .into_iter()
        .collect();
    // What is told is what is decided.
    assert!(
        winners.is_empty() || winners == decided,
        "{winners:?} {decided:?}"
    );
    all.iter().map(words).collect()
}

fn client(address: &str) -> Facts {
    Facts::of_address(address.parse().expect("an address"))
}

#[test]
fn the_narrowest_network_in_use_wins_and_each_other_one_says_why_not() {
    let settings = build(Mode::Lan, DOCUMENT);
    assert_eq!(
        told(&settings, &client("10.1.2.200")),
        [
            "Printers by 10.1.2.0/24: won",
            "Strict by 10.1.0.0/16: wider than 10.1.2.0/24",
            "Everything by 10.0.0.0/8: wider than 10.1.2.0/24",
        ]
    );
    assert_eq!(
        told(&settings, &client("10.1.2.20")),
        [
            "Plan by 10.1.2.0/25: draft",
            "Printers by 10.1.2.0/24: won",
            "Strict by 10.1.0.0/16: wider than 10.1.2.0/24",
            "Everything by 10.0.0.0/8: wider than 10.1.2.0/24",
        ]
    );
    assert!(told(&settings, &client("192.0.2.1")).is_empty());
}

#[test]
fn a_login_goes_before_a_network_and_a_missing_factor_is_named() {
    let settings = build(Mode::Lan, DOCUMENT);
    let logged_in = Facts {
        credential: Some("scan-1".to_owned()),
        ..client("10.1.9.1")
    };
    assert_eq!(
        told(&settings, &logged_in),
        [
            "Scan users by scan-1: won",
            "Strict by 10.1.0.0/16: lacks certificate",
            "Everything by 10.0.0.0/8: later",
        ]
    );
    assert_eq!(
        told(&settings, &client("10.1.9.1")),
        [
            "Strict by 10.1.0.0/16: lacks certificate",
            "Everything by 10.0.0.0/8: later",
        ]
    );
    let with_certificate = Facts {
        certificate: Some(Certificate::verified(["copier.contoso.test"])),
        ..client("10.1.9.1")
    };
    assert_eq!(
        told(&settings, &with_certificate)[0],
        "Strict by copier.contoso.test: won"
    );
}
