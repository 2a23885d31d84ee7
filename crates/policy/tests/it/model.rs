//! Every combination of state, way of identification, factors given and factors held, against the
//! rule in plain words.

use relais_policy::attribution::{Attribution, Facts, attribute};
use relais_policy::permission::may_send;
use relais_policy::settings::{Mode, Settings};
use relais_policy::tls::Certificate;

use crate::world::{build, refused, reverse_path};

/// Which of address, certificate, credential.
#[derive(Clone, Copy, Debug)]
struct Factors {
    address: bool,
    certificate: bool,
    credential: bool,
}

fn all_factors() -> impl Iterator<Item = Factors> {
    (0..8).map(|bits| Factors {
        address: bits & 1 != 0,
        certificate: bits & 2 != 0,
        credential: bits & 4 != 0,
    })
}

fn settings(state: &str, identified_by: &str, given: Factors) -> Settings {
    let addresses = if given.address {
        "[\"10.1.2.0/24\"]"
    } else {
        "[]"
    };
    let certificate = if given.certificate {
        "scan.contoso.test"
    } else {
        ""
    };
    let credential = if given.credential {
        "[[organisation.credential]]\nuser = \"scan\"\ninbound_connector = \"C\"\n"
    } else {
        ""
    };
    build(
        Mode::Lan,
        &format!(
            "[[organisation]]\nname = \"contoso\"\n\
             [[organisation.domain]]\nname = \"contoso.test\"\n\
             verification = \"assumed\"\n[[organisation.inbound_connector]]\nname = \"C\"\n\
             state = \"{state}\"\nidentified_by = \"{identified_by}\"\n\
             sender_ip_addresses = {addresses}\n\
             tls_sender_certificate_name = \"{certificate}\"\n{credential}"
        ),
    )
}

fn facts(held: Factors) -> Facts {
    let address = if held.address {
        "10.1.2.9"
    } else {
        "192.0.2.9"
    };
    let mut facts = Facts::of_address(address.parse().expect("an address"));
    facts.certificate = held
        .certificate
        .then(|| Certificate::verified(["scan.contoso.test"]));
    facts.credential = held.credential.then(|| "scan".to_owned());
    facts
}

#[test]
fn a_connector_takes_its_clients_and_nobody_else() {
    for state in ["draft", "observing", "enabled", "disabled"] {
        for identified_by in ["any", "all"] {
            for given in all_factors() {
                let settings = settings(state, identified_by, given);
                for held in all_factors() {
                    let case = format!("{state} {identified_by} given {given:?} held {held:?}");
                    expect(&settings, state, identified_by == "all", given, held, &case);
                }
            }
        }
    }
}

fn expect(
    settings: &Settings,
    state: &str,
    wants_all: bool,
    given: Factors,
    held: Factors,
    case: &str,
) {
    let pairs = [
        (given.address, held.address),
        (given.certificate, held.certificate),
        (given.credential, held.credential),
    ];
    let some = pairs.iter().any(|(given, held)| *given && *held);
    let all = pairs.iter().all(|(given, held)| !given || *held);
    let in_use = matches!(state, "observing" | "enabled");
    let facts = facts(held);
    let found = attribute(settings, &facts);
    let verdict = may_send(settings, &found, &facts, &reverse_path("a@contoso.test"));
    let verdict = match verdict {
        Ok(permit) if permit.stranger => "stranger".to_owned(),
        Ok(_) => "permit".to_owned(),
        Err(refusal) => refused(&refusal),
    };
    let expected = match (some, in_use) {
        (false, _) => "stranger",
        (true, false) => "550 5.7.1 Connector disabled (CONN-OFF)",
        (true, true) if !wants_all || all => "permit",
        (true, true) => {
            "550 5.7.1 Shared address: authenticate or use client certificate (SRC-SHARED)"
        }
    };
    assert_eq!(verdict, expected, "{case}");
    let is_missing = matches!(found, Attribution::FactorMissing { .. });
    assert_eq!(is_missing, expected.contains("SRC-SHARED"), "{case}");
}
