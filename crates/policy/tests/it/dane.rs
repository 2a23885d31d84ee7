//! DANE: whose TLSA records count, which of them can be used, and what follows.

use relais_policy::dane::{
    DaneFinding, DaneRequirement, HostSecurity, Matching, Tlsa, TlsaAnswer, base_domains, judge,
    must_ask_for_alias,
};
use relais_smtp::domain::Domain;

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn tlsa(usage: u8, selector: u8, matching: u8, octets: usize) -> Tlsa {
    Tlsa {
        usage,
        selector,
        matching,
        data: vec![usage ^ selector ^ matching; octets].into(),
    }
}

fn judged(answer: TlsaAnswer) -> DaneFinding {
    let (base, mail, host) = ("real.mx.example", "b.example", "mx.b.example");
    judge(&domain(base), &domain(mail), &domain(host), &answer)
}

fn required(records: Vec<Tlsa>) -> DaneRequirement {
    match judged(TlsaAnswer::Secure(records)) {
        DaneFinding::Required(requirement) => requirement,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_records_that_smtp_knows_are_usable() {
    for (usage, selector, matching, octets, usable) in [
        (3, 1, 1, 32, true),
        (3, 0, 1, 32, true),
        (3, 1, 2, 64, true),
        (3, 0, 2, 64, true),
        (3, 0, 0, 300, true),
        (2, 0, 1, 32, true),
        (2, 1, 1, 32, true),
        (2, 1, 2, 64, true),
        (2, 0, 0, 300, true),
        // PKIX-TA and PKIX-EE: RFC 7672 §3.1.3.
        (0, 0, 1, 32, false),
        (1, 1, 1, 32, false),
        // Nobody has given these a meaning.
        (4, 1, 1, 32, false),
        (255, 1, 1, 32, false),
        (3, 2, 1, 32, false),
        (3, 255, 1, 32, false),
        (3, 1, 3, 32, false),
        (3, 1, 255, 32, false),
        // Data that cannot be such a digest.
        (3, 1, 1, 31, false),
        (3, 1, 1, 64, false),
        (3, 1, 2, 32, false),
        (3, 1, 1, 0, false),
        (3, 1, 0, 0, false),
    ] {
        assert_eq!(
            tlsa(usage, selector, matching, octets).usable().is_some(),
            usable,
            "{usage} {selector} {matching} with {octets} octets"
        );
    }
}

#[test]
fn what_the_answer_for_tlsa_says_decides() {
    assert_eq!(judged(TlsaAnswer::None), DaneFinding::NotHere);
    assert_eq!(judged(TlsaAnswer::Insecure), DaneFinding::NotHere);
    assert_eq!(judged(TlsaAnswer::Secure(vec![])), DaneFinding::NotHere);
    assert_eq!(judged(TlsaAnswer::Failed), DaneFinding::Unreachable);
}

#[test]
fn unusable_records_alone_ask_for_encryption_without_authentication() {
    let only = required(vec![
        tlsa(0, 0, 1, 32),
        tlsa(1, 1, 1, 32),
        tlsa(3, 1, 9, 32),
    ]);
    assert_eq!(only.records, []);
    assert_eq!(only.base, domain("real.mx.example"));
    let mixed = required(vec![tlsa(1, 1, 1, 32), tlsa(3, 1, 1, 32)]);
    assert_eq!(mixed.records.len(), 1, "the usable one must match");
}

#[test]
fn names_of_mail_and_host_count_beside_the_base() {
    let requirement = required(vec![tlsa(2, 0, 1, 32)]);
    assert_eq!(
        requirement.names,
        [domain("mx.b.example"), domain("b.example")]
    );
    let itself = domain("b.example");
    let answer = TlsaAnswer::Secure(vec![tlsa(2, 0, 1, 32)]);
    let DaneFinding::Required(without_mx) = judge(&itself, &itself, &itself, &answer) else {
        panic!("it has a usable record");
    };
    assert_eq!(without_mx.names, []);
}

#[test]
fn of_digests_of_one_kind_the_strongest_counts_alone() {
    let kinds = |records| {
        let found = required(records).records;
        found.iter().map(|one| one.matching).collect::<Vec<_>>()
    };
    use Matching::{Full, Sha256, Sha512};
    assert_eq!(
        kinds(vec![tlsa(3, 1, 1, 32), tlsa(3, 1, 2, 64)]),
        [Sha512],
        "an old SHA-256 beside SHA-512"
    );
    assert_eq!(
        kinds(vec![tlsa(3, 1, 1, 32), tlsa(2, 1, 2, 64)]),
        [Sha256, Sha512],
        "they speak of different certificates"
    );
    assert_eq!(
        kinds(vec![tlsa(3, 1, 1, 32), tlsa(3, 0, 2, 64)]),
        [Sha256, Sha512],
        "they speak of different parts"
    );
    assert_eq!(
        kinds(vec![
            tlsa(3, 1, 0, 91),
            tlsa(3, 1, 1, 32),
            tlsa(3, 1, 1, 32)
        ]),
        [Full, Sha256, Sha256],
        "the whole key always counts, and a second key too"
    );
}

fn host(real_name: Option<&str>, addresses_secure: bool, alias_secure: bool) -> HostSecurity {
    HostSecurity {
        host: domain("mx.b.example"),
        real_name: real_name.map(domain),
        addresses_secure,
        alias_secure,
    }
}

#[test]
fn where_tlsa_is_looked_up() {
    let real = Some("real.mx.example");
    let (own, both): (&[&str], &[&str]) = (&["mx.b.example"], &["real.mx.example", "mx.b.example"]);
    for (mx_secure, host, expected) in [
        (true, host(None, true, false), own),
        (true, host(None, false, false), &[]),
        // CNAME, proven to its end: the end first, then the beginning.
        (true, host(real, true, false), both),
        // Only the beginning is proven.
        (true, host(real, false, true), own),
        (true, host(real, false, false), &[]),
        // Forged MX records could lead anywhere.
        (false, host(None, true, false), &[]),
        (false, host(real, true, true), &[]),
    ] {
        let found = base_domains(mx_secure, &host);
        let found: Vec<_> = found.iter().map(Domain::as_str).collect();
        assert_eq!(found, expected, "MX {mx_secure}, {host:?}");
    }
}

#[test]
fn the_alias_is_asked_for_by_itself_only_where_that_can_change_something() {
    let real = Some("real.mx.example");
    assert!(must_ask_for_alias(true, &host(real, false, false)));
    assert!(!must_ask_for_alias(true, &host(real, true, false)));
    assert!(!must_ask_for_alias(true, &host(None, false, false)));
    assert!(!must_ask_for_alias(false, &host(real, false, false)));
}
