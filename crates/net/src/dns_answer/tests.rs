//! Answers as real, broken and hostile servers give them.

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::MX;

use crate::zone::{Zone, ZoneRecord};

use super::*;

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn mx(preference: u16, exchange: &str) -> ZoneRecord {
    ZoneRecord::Mx(preference, exchange.to_owned())
}

fn answer(records: &[(&str, ZoneRecord)], name: &str, record_type: RecordType) -> Message {
    let records: Vec<_> = records
        .iter()
        .map(|(name, record)| ((*name).to_owned(), record.clone()))
        .collect();
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), record_type));
    Zone::new(&records).expect("a zone").answer(&query)
}

#[test]
fn mx_records_come_best_preference_first() {
    let zone = [
        ("a.test", mx(20, "two.test")),
        ("a.test", mx(10, "one.test")),
    ];
    let found = interpret_mx(&domain("a.test"), &answer(&zone, "a.test.", RecordType::MX));
    let hosts: Vec<_> = found
        .unwrap()
        .records
        .into_iter()
        .map(|mx| mx.exchange)
        .collect();
    assert_eq!(hosts, [Some(domain("one.test")), Some(domain("two.test"))]);
}

#[test]
fn a_null_mx_is_a_record_without_a_host() {
    let zone = [("a.test", mx(0, "."))];
    let found = interpret_mx(&domain("a.test"), &answer(&zone, "a.test.", RecordType::MX));
    assert_eq!(
        found.unwrap().records,
        [Mx {
            preference: 0,
            exchange: None
        }]
    );
}

#[test]
fn aliases_of_the_domain_are_followed() {
    let zone = [
        ("a.test", ZoneRecord::Alias("b.test".into())),
        ("b.test", mx(1, "mx.test")),
    ];
    let found = interpret_mx(&domain("a.test"), &answer(&zone, "a.test.", RecordType::MX));
    assert_eq!(found.unwrap().records.len(), 1);
}

#[test]
fn aliases_in_a_circle_are_temporary() {
    let zone = [
        ("a.test", ZoneRecord::Alias("b.test".into())),
        ("b.test", ZoneRecord::Alias("a.test".into())),
    ];
    let found = interpret_mx(&domain("a.test"), &answer(&zone, "a.test.", RecordType::MX));
    assert!(
        matches!(found, Err(DnsError::Temporary { .. })),
        "{found:?}"
    );
}

#[test]
fn records_of_other_names_are_not_believed() {
    let mut message = answer(&[("a.test", mx(1, "mx.test"))], "a.test.", RecordType::MX);
    message.answers[0].name = Name::from_ascii("evil.test.").unwrap();
    let found = interpret_mx(&domain("a.test"), &message);
    assert_eq!(found, Err(DnsError::NoRecords("a.test".into())));
}

#[test]
fn each_response_code_is_told_apart() {
    let zone = [("a.test", mx(1, "mx.test"))];
    let mut message = answer(&zone, "nobody.test.", RecordType::MX);
    let name = domain("nobody.test");
    assert_eq!(
        interpret_mx(&name, &message),
        Err(DnsError::NoSuchDomain("nobody.test".into()))
    );
    for code in [
        ResponseCode::ServFail,
        ResponseCode::Refused,
        ResponseCode::Unknown(3_841),
    ] {
        message.metadata.response_code = code;
        let found = interpret_mx(&name, &message);
        assert!(
            matches!(found, Err(DnsError::Temporary { .. })),
            "{code}: {found:?}"
        );
    }
    let none = answer(&zone, "a.test.", RecordType::A);
    let found = interpret_addresses(&domain("a.test"), &none);
    assert_eq!(found, Err(DnsError::NoRecords("a.test".into())));
}

#[test]
fn mx_records_without_a_usable_host_are_no_reason_to_use_the_domains_address() {
    let mut message = answer(&[("a.test", mx(1, "mx.test"))], "a.test.", RecordType::MX);
    let odd = Name::from_labels([&b"a b"[..], &b"test"[..]]).unwrap();
    message.answers[0].data = RData::MX(MX::new(1, odd));
    let found = interpret_mx(&domain("a.test"), &message);
    assert!(
        matches!(found, Err(DnsError::Temporary { .. })),
        "{found:?}"
    );
}

#[test]
fn thousands_of_records_are_cut_to_the_best() {
    let zone: Vec<_> = (0..200)
        .rev()
        .map(|n| ("a.test", mx(n, "mx.test")))
        .collect();
    let found = interpret_mx(&domain("a.test"), &answer(&zone, "a.test.", RecordType::MX)).unwrap();
    assert_eq!(found.records.len(), MX_MAX);
    assert_eq!(found.records[0].preference, 0);
    let zone: Vec<_> = (0..200)
        .map(|n| ("a.test", ZoneRecord::Address([192, 0, 2, n].into())))
        .collect();
    let found = interpret_addresses(&domain("a.test"), &answer(&zone, "a.test.", RecordType::A));
    assert_eq!(found.unwrap().records.len(), ADDRESSES_MAX);
}

#[test]
fn one_family_is_enough_but_a_failed_one_is_not_nothing() {
    let yes = || {
        Ok(Answer {
            records: vec![IpAddr::from([192, 0, 2, 1])],
            validation: Validation::Insecure,
            real_name: None,
        })
    };
    let nothing = || Err(DnsError::NoRecords("a.test".into()));
    let unknown = || Err(DnsError::NoSuchDomain("a.test".into()));
    let failed = || Err(DnsError::temporary(&domain("a.test"), "time-out"));
    assert_eq!(join_families(yes(), yes()).unwrap().records.len(), 2);
    assert_eq!(join_families(yes(), failed()), yes());
    assert_eq!(join_families(nothing(), yes()), yes());
    assert_eq!(join_families(nothing(), failed()), failed());
    assert_eq!(join_families(failed(), unknown()), failed());
    assert_eq!(join_families(unknown(), nothing()), unknown());
    assert_eq!(join_families(nothing(), nothing()), nothing());
}

#[test]
fn octets_that_are_no_message_are_temporary_and_cut_messages_never_panic() {
    let name = domain("a.test");
    assert!(matches!(
        interpret_octets(&name, b""),
        Err(DnsError::Temporary { .. })
    ));
    let whole = answer(&[("a.test", mx(1, "mx.test"))], "a.test.", RecordType::MX)
        .to_vec()
        .unwrap();
    assert!(interpret_octets(&name, &whole).unwrap().mx.is_ok());
    for end in 0..whole.len() {
        let _ = interpret_octets(&name, &whole[..end]);
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        let _ = interpret_octets(&name, &changed);
    }
}
