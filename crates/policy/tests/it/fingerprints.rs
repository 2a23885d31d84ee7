//! Clients known by the SHA-256 of their certificate: most devices have one that they made
//! themselves, which no authority knows.

use relais_policy::attribution::{Facts, attribute};
use relais_policy::settings::{Mode, Settings};
use relais_policy::tls::{Certificate, CertificateFault};

use crate::world::build;

fn device(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn self_signed(digit: char) -> Certificate {
    Certificate::faulty(CertificateFault::Untrusted).with_fingerprint(&device(digit))
}

#[track_caller]
fn found(settings: &Settings, address: &str, certificate: Certificate) -> String {
    let mut facts = Facts::of_address(address.parse().expect("an address"));
    facts.certificate = Some(certificate);
    let found = attribute(settings, &facts);
    let owner = found.connector().map(|one| one.connector.name.clone());
    let owner = owner.unwrap_or_default();
    format!("{owner}: {}", found.describe(&facts))
}

fn connector(name: &str, more: &str) -> String {
    format!("[[organisation.inbound_connector]]\nname = \"{name}\"\n{more}\n")
}

fn known_by(name: &str, digits: &[char]) -> String {
    let all = digits.iter().map(|digit| format!("\"{}\"", device(*digit)));
    let all = all.collect::<Vec<_>>().join(", ");
    connector(
        name,
        &format!("tls_sender_certificate_fingerprints = [{all}]"),
    )
}

#[test]
fn a_certificate_that_nobody_issued_leads_to_the_connector_that_names_it() {
    let text = "[[organisation]]\nname = \"contoso\"\n".to_owned()
        + &known_by("Scanners", &['a', 'b'])
        + &connector("Office", "sender_ip_addresses = [\"10.0.0.0/8\"]")
        + &connector("Named", "tls_sender_certificate_name = \"scan.test\"");
    let settings = build(Mode::Lan, &text);
    for digit in ['a', 'b'] {
        let expected = format!("Scanners: certificate {}", device(digit));
        assert_eq!(found(&settings, "10.1.2.9", self_signed(digit)), expected);
        let by_name = Certificate::verified(["scan.test"]).with_fingerprint(&device(digit));
        assert_eq!(
            found(&settings, "10.1.2.9", by_name),
            expected,
            "before its name"
        );
    }
    let other = found(&settings, "10.1.2.9", self_signed('c'));
    assert_eq!(other, "Office: ip 10.1.2.9 in 10.0.0.0/8");
    for fault in [CertificateFault::Expired, CertificateFault::NotYetValid] {
        let late = Certificate::faulty(fault).with_fingerprint(&device('a'));
        let found = found(&settings, "10.1.2.9", late);
        assert_eq!(found, "Office: ip 10.1.2.9 in 10.0.0.0/8", "{fault:?}");
    }
}

#[test]
fn where_all_factors_must_hold_the_certificate_alone_is_not_enough() {
    let both = "identified_by = \"all\"\nsender_ip_addresses = [\"10.1.2.9\"]\n".to_owned()
        + &format!(
            "tls_sender_certificate_fingerprints = [\"{}\"]",
            device('a')
        );
    let text = "[[organisation]]\nname = \"contoso\"\n".to_owned() + &connector("Both", &both);
    let settings = build(Mode::Lan, &text);
    let at = |address, digit| found(&settings, address, self_signed(digit));
    assert_eq!(
        at("10.1.2.9", 'a'),
        format!("Both: certificate {}", device('a'))
    );
    assert_eq!(at("10.1.2.8", 'a'), "Both: address missing");
    assert_eq!(at("10.1.2.9", 'b'), "Both: certificate missing");
}

#[test]
fn nobody_takes_the_device_of_another_organisation_by_naming_its_certificate() {
    let domain = "[[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n";
    let text = format!("[[organisation]]\nname = \"contoso\"\n{domain}")
        + &connector("Site", "sender_ip_addresses = [\"192.175.48.0/25\"]")
        + "[[organisation]]\nname = \"thief\"\n"
        + &known_by("Thief", &['a']);
    let settings = build(Mode::Hosted, &text);
    let at = |address, certificate| found(&settings, address, certificate);
    let site = "Site: ip 192.175.48.1 in 192.175.48.0/25";
    assert_eq!(at("192.175.48.1", self_signed('a')), site);
    let named = Certificate::verified(["relay.contoso.test"]).with_fingerprint(&device('a'));
    assert_eq!(
        at("192.175.48.200", named),
        ": nobody's client: ip 192.175.48.200"
    );
    let own = format!("Thief: certificate {}", device('a'));
    assert_eq!(at("192.175.48.200", self_signed('a')), own);
}
