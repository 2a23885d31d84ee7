//! The settings file: what is said about a wrong one, and that a right one comes back unchanged.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use toml::{Table, Value};

use super::schema::{DefaultValue, Kind, sections};
use super::*;

/// Every key written out, none at its default.
const FULL: &str = include_str!("../../tests/tables/full.toml");

fn error(text: &str) -> String {
    match Document::from_toml(text) {
        Ok(_) => panic!("the file is taken: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_wrong_file_is_refused_with_its_place_and_the_nearest_name() {
    let table = include_str!("../../tests/tables/document_refused.txt");
    let cases = table.split("\n---\n").skip(1).collect::<Vec<_>>();
    assert!(cases.len() > 10);
    for case in cases {
        let (text, expected) = case.split_once("\n=> ").expect("a file and its message");
        let expected = expected.trim_end();
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn text_that_is_no_toml_is_refused_with_its_place() {
    for (text, place) in [
        ("[[organisation]]\nname = \"a\n", "line 2, column 10: "),
        (
            "[[organisation]]\nname = \"a\"\nname = \"b\"\n",
            "line 3, column 1: ",
        ),
        ("\u{0}", "line 1, column 2: "),
        ("[[organisation", "line 1, column 15: "),
    ] {
        let message = error(text);
        assert!(message.starts_with(place), "{text:?}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_file_above_its_bound_is_not_read() {
    let text = "#".repeat(FILE_OCTETS_MAX + 1);
    assert!(error(&text).contains("at most 16 MiB"));
}

#[test]
fn absent_keys_take_the_defaults_of_the_reference() {
    let minimal = r#"
        [[organisation]]
        name = "a"
        [[organisation.domain]]
        name = "a.test"
        [[organisation.recipient]]
        address = "a@a.test"
        [[organisation.inbound_connector]]
        name = "I"
        [[organisation.outbound_connector]]
        name = "O"
        [[organisation.credential]]
        user = "c"
        inbound_connector = "I"
    "#;
    let table = Document::from_toml(minimal)
        .expect("the test's file is valid")
        .to_table();
    let defaults = Defaults::new();
    let mut seen = BTreeSet::new();
    each_key("", &table, &mut |path, value| {
        seen.insert(path.to_owned());
        let setting = sections().iter().find_map(|section| {
            section
                .keys
                .iter()
                .find(|setting| section.path_of(setting.key) == path)
        });
        let setting = setting.unwrap_or_else(|| panic!("{path} is not in the reference"));
        match setting.default {
            DefaultValue::Required => {}
            DefaultValue::Absent => panic!("{path} is written though it was absent"),
            DefaultValue::Toml(_)
                if setting.kind == Kind::Blocks || setting.kind == Kind::Table => {}
            DefaultValue::Toml(_) => assert!(defaults.is_default(path, value), "{path} = {value}"),
        }
    });
    for section in sections() {
        for setting in section.keys {
            let path = section.path_of(setting.key);
            let left_out =
                setting.default == DefaultValue::Absent || setting.kind == Kind::TextTable;
            assert_eq!(seen.contains(&path), !left_out, "{path}");
        }
    }
}

#[test]
fn objects_made_in_code_equal_those_of_a_minimal_file() {
    let text = "[[organisation]]\nname = \"a\"\n\
                [[organisation.domain]]\nname = \"a.test\"\n\
                [[organisation.inbound_connector]]\nname = \"I\"\n\
                [[organisation.outbound_connector]]\nname = \"O\"\n\
                [[organisation.credential]]\nuser = \"c\"\ninbound_connector = \"I\"\n";
    let mut organisation = Organisation::new("a");
    organisation.domain.push(AcceptedDomain::new("a.test"));
    organisation
        .inbound_connector
        .push(InboundConnector::new("I"));
    organisation
        .outbound_connector
        .push(OutboundConnector::new("O"));
    organisation.credential.push(Credential::new("c", "I"));
    assert_eq!(
        Document::from_toml(text),
        Ok(Document {
            organisation: vec![organisation]
        })
    );
}

#[test]
fn the_reference_has_exactly_the_keys_of_the_types() {
    let table = Document::from_toml(FULL)
        .expect("the test's file is valid")
        .to_table();
    let mut written = BTreeSet::new();
    each_key("", &table, &mut |path, _| {
        written.insert(path.to_owned());
    });
    let listed = sections()
        .iter()
        .flat_map(|section| {
            section
                .keys
                .iter()
                .map(|setting| section.path_of(setting.key))
        })
        .collect::<BTreeSet<_>>();
    assert_eq!(written, listed);
    assert!(
        sections()
            .iter()
            .all(|section| section.keys.iter().all(|key| key.doc.ends_with('.')))
    );
}

/// Every key of a document with its path; keys within free tables are left out.
fn each_key(prefix: &str, table: &Table, visit: &mut dyn FnMut(&str, &Value)) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        visit(&path, value);
        if super::schema::section(&path).is_none() {
            continue;
        }
        match value {
            Value::Table(inner) => each_key(&path, inner, visit),
            Value::Array(items) => {
                items
                    .iter()
                    .filter_map(Value::as_table)
                    .for_each(|t| each_key(&path, t, visit));
            }
            _ => {}
        }
    }
}

#[test]
fn every_choice_of_the_reference_can_be_written() {
    let full = Document::from_toml(FULL)
        .expect("the test's file is valid")
        .to_table();
    for section in sections() {
        for setting in section.keys {
            let Kind::Choice(choices) = setting.kind else {
                continue;
            };
            for choice in choices {
                let path = section.path_of(setting.key);
                let mut changed = Value::Table(full.clone());
                let mut place = &mut changed;
                for step in path.split('.') {
                    place = match place {
                        Value::Array(items) => &mut items[0],
                        other => other,
                    };
                    place = place.get_mut(step).expect("the full file has every key");
                }
                *place = Value::String((*choice).to_owned());
                assert!(changed.try_into::<Document>().is_ok(), "{path} = {choice}");
            }
        }
    }
}

#[test]
fn export_reads_well_and_leaves_defaults_out() {
    let text = r#"
        [[organisation]]
        name = "contoso"
        limits = { recipients_per_day = 50000 }
        [[organisation.domain]]
        name = "contoso.test"
        dkim = { rotate_days = 180 }
        [[organisation.inbound_connector]]
        name = "Printers"
        sender_ip_addresses = ["10.1.2.9", "10.1.3.0/24"]
        limits = { connections = { value = 2, hard = true }, message_size_max = 26214400 }
        [[organisation.outbound_connector]]
        name = "All"
        retry = { lifetime = "2d" }
    "#;
    let document = Document::from_toml(text).expect("the test's file is valid");
    assert_eq!(
        document.to_toml(),
        r#"[[organisation]]
name = "contoso"
display_name = ""
language = "en"
postmaster = ""
limits = { recipients_per_day = 50000 }

[[organisation.domain]]
name = "contoso.test"
kind = "authoritative"
verification = "dns"
mailbox_host = ""

[[organisation.inbound_connector]]
name = "Printers"
state = "enabled"
sender_ip_addresses = ["10.1.2.9", "10.1.3.0/24"]
sender_domains = ["*"]
recipient_domains = ["*"]
limits = { message_size_max = "25 MiB", connections = { value = 2, hard = true } }

[[organisation.outbound_connector]]
name = "All"
recipient_domains = ["*"]
smart_hosts = []
tls = "opportunistic"
retry = { lifetime = "2d" }
"#
    );
}

#[test]
fn a_full_document_comes_back_from_toml_and_json() {
    let document = Document::from_toml(FULL).expect("the test's file is valid");
    assert_eq!(
        Document::from_toml(&document.to_toml()),
        Ok(document.clone())
    );
    let json = serde_json::to_string(&document).unwrap();
    assert_eq!(serde_json::from_str::<Document>(&json).unwrap(), document);
}

#[test]
fn an_empty_file_is_an_empty_document() {
    assert_eq!(Document::from_toml(""), Ok(Document::default()));
    assert_eq!(Document::default().to_toml(), "");
}

fn any_limit() -> impl Strategy<Value = Limit> {
    (0..=LIMIT_VALUE_MAX, any::<bool>()).prop_map(|(value, hard)| Limit { value, hard })
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (
        (of(any_limit()), of(any_limit()), of(any_limit())),
        (of(any_limit()), of(any_limit()), of(any_limit())),
        of((0..=BYTE_COUNT_MAX).prop_map(ByteCount)),
        of(any::<u32>()),
    )
        .prop_map(|((a, b, c), (d, e, f), size, recipients)| Limits {
            messages_per_minute: a,
            recipients_per_hour: b,
            external_recipients_per_hour: c,
            recipients_per_day: d,
            new_recipients_per_day: e,
            message_size_max: size,
            recipients_per_message: recipients,
            connections: f,
        })
}

fn any_network() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<u32>(), 0_u8..=32).prop_map(|(bits, length)| {
            IpNet::new(std::net::Ipv4Addr::from(bits).into(), length)
                .unwrap()
                .trunc()
        }),
        (any::<u128>(), 0_u8..=128)
            .prop_filter("mapped addresses become IPv4", |(bits, _)| bits >> 32
                != 0xffff)
            .prop_map(|(bits, length)| {
                IpNet::new(std::net::Ipv6Addr::from(bits).into(), length)
                    .unwrap()
                    .trunc()
            })
            .prop_filter("mapped addresses become IPv4", |network| {
                network.addr() == network.addr().to_canonical()
            }),
    ]
}

fn any_inbound() -> impl Strategy<Value = InboundConnector> {
    (
        (".*", vec(any_network(), 0..9), ".*", vec(".*", 0..3)),
        (
            0_usize..4,
            any::<bool>(),
            any::<bool>(),
            vec(".*", 0..4),
            vec(".*", 0..4),
        ),
        (
            of(any::<bool>()),
            of(0_usize..3),
            any_limits(),
            any_limits(),
            ".*",
        ),
    )
        .prop_map(|(one, two, three)| InboundConnector {
            name: one.0,
            kind: ConnectorKind::OnPremises,
            state: [
                ConnectorState::Draft,
                ConnectorState::Observing,
                ConnectorState::Enabled,
                ConnectorState::Disabled,
            ][two.0],
            sender_ip_addresses: one.1,
            tls_sender_certificate_name: one.2,
            tls_sender_certificate_fingerprints: Vec::new(),
            sender_dns_names: one.3,
            identified_by: if two.1 {
                IdentifiedBy::All
            } else {
                IdentifiedBy::Any
            },
            test_recipients: Vec::new(),
            cleartext_auth: two.2,
            sender_domains: two.3,
            sender_addresses: Vec::new(),
            sender_replacement: three.4.clone(),
            sender_replaced: if two.2 {
                SenderReplaced::All
            } else {
                SenderReplaced::Local
            },
            accept_null_sender: two.1,
            recipient_domains: two.4,
            tls: if two.1 {
                InboundTls::Off
            } else {
                InboundTls::Required
            },
            preset: three.0.map(|t| {
                if t {
                    PresetName::Tolerant
                } else {
                    PresetName::Strict
                }
            }),
            header_from: three.1.map(|at| {
                [
                    HeaderFromPolicy::Refuse,
                    HeaderFromPolicy::Flag,
                    HeaderFromPolicy::Repair,
                ][at]
            }),
            envelope_sender: if two.2 {
                EnvelopeSender::Kept
            } else {
                EnvelopeSender::Signed
            },
            sending_hours: three.4.clone(),
            outbound_connector: three.4.clone(),
            archive_address: three.4.clone(),
            tags: vec![three.4.clone()],
            content: content_of(&three.4, two.1),
            subjects: two.1.then_some(Subjects::Masked),
            content_days: two.2.then_some(7),
            legacy_tls_until: three.4.clone(),
            limits: three.2,
            limits_per_device: three.3,
            owner: three.4,
        })
}

/// One whose keys have few or many values.
fn content_of(text: &str, is_strict: bool) -> ContentPolicy {
    if is_strict {
        return ContentPolicy::default();
    }
    ContentPolicy {
        checks: vec![text.to_owned()],
        timeout: Span(7),
        on_fault: OnFault::Hold,
        on_finding: OnFinding::Hold,
        forbidden_extensions: vec!["exe".to_owned(), text.to_owned()],
        forbidden_types: vec!["video/*".to_owned()],
    }
}

fn any_outbound() -> impl Strategy<Value = OutboundConnector> {
    (
        (".*", any::<bool>(), vec(".*", 0..4), vec(".*", 0..4), ".*"),
        (
            ".*",
            ".*",
            proptest::collection::btree_map(".*", ".*", 0..3),
            vec(".*", 0..4),
            vec(".*", 0..4),
        ),
        (
            of(any::<u32>()),
            of(any::<u32>()),
            of(any::<u32>()),
            of(any::<u32>()),
        ),
        (
            0..=SPAN_SECONDS_MAX,
            0..=SPAN_SECONDS_MAX,
            0..=SPAN_SECONDS_MAX,
        ),
    )
        .prop_map(|(one, two, three, four)| OutboundConnector {
            name: one.0,
            state: if one.1 {
                ConnectorState::Enabled
            } else {
                ConnectorState::Draft
            },
            recipient_domains: one.2,
            sender_domains: two.3,
            inbound_connectors: two.4,
            smart_hosts: one.3,
            public_hosts_only: four.0 % 2 == 0,
            tls: OutboundTls::EncryptionOnly,
            tls_domain: one.4,
            auth: OutboundAuth {
                method: AuthMethod::Xoauth2,
                user: two.0,
                password_file: two.1,
                parameters: two.2,
            },
            source_addresses: Vec::new(),
            ip_version: Some(IpVersion::Prefer4),
            pace: Pace {
                connections: three.0,
                messages_per_minute: three.1,
                recipients_per_day: three.2,
                recipients_per_transaction: three.3,
            },
            retry: Retry {
                first: Span(four.0),
                max: Span(four.1),
                lifetime: Span(four.2),
            },
        })
}

fn any_domain() -> impl Strategy<Value = AcceptedDomain> {
    (
        (".*", any::<bool>(), any::<bool>(), ".*", ".*", any::<u32>()),
        any_limits(),
    )
        .prop_map(
            |((name, relay, proved, mailbox_host, bounce_domain, rotate_days), limits)| {
                AcceptedDomain {
                    name,
                    kind: if relay {
                        DomainKind::InternalRelay
                    } else {
                        DomainKind::Authoritative
                    },
                    verification: if proved {
                        Verification::Assumed
                    } else {
                        Verification::Dns
                    },
                    subdomains: relay,
                    mailbox_host,
                    public_hosts_only: proved,
                    bounce_domain,
                    passed_on_sender: if proved {
                        PassedOnSender::Rewritten
                    } else {
                        PassedOnSender::Auto
                    },
                    dmarc: if relay {
                        DmarcPolicy::Reject
                    } else {
                        DmarcPolicy::Record
                    },
                    dkim: Dkim {
                        enabled: proved,
                        algorithms: vec![DkimAlgorithm::Ed25519],
                        rotate_days,
                    },
                    mta_sts: MtaSts {
                        mode: if relay {
                            MtaStsMode::Enforce
                        } else {
                            MtaStsMode::Off
                        },
                        max_age: Span(u64::from(rotate_days % 10_000_000)),
                        mx: vec!["*.contoso.test".to_owned()],
                    },
                    limits: Limits {
                        connections: None,
                        ..limits
                    },
                }
            },
        )
}

fn any_document() -> impl Strategy<Value = Document> {
    let credential = (".*", ".*", vec(any_network(), 0..3), ".*", any_limits()).prop_map(
        |(user, text, from, to, limits)| Credential {
            password_hash: text.clone(),
            scram_sha_256: text.clone(),
            previous_password_hash: text.clone(),
            previous_scram_sha_256: text.clone(),
            previous_until: text.clone(),
            enabled: text.is_empty(),
            expires: text,
            source_addresses: from,
            tls_min: "1.3".to_owned(),
            may_send_as: vec![to.clone()],
            limits,
            ..Credential::new(user, to)
        },
    );
    let recipient =
        (".*", any::<bool>()).prop_map(|(address, mailbox)| DirectoryEntry { address, mailbox });
    let organisation = (
        (
            ".*",
            ".*",
            any::<bool>(),
            ".*",
            any_limits(),
            any_limits(),
            any::<u32>(),
        ),
        (
            vec(any_domain(), 0..3),
            vec(recipient, 0..3),
            vec(any_inbound(), 0..3),
        ),
        (vec(any_outbound(), 0..3), vec(credential, 0..3)),
    )
        .prop_map(|(one, two, three)| Organisation {
            name: one.0,
            display_name: one.1,
            language: if one.2 {
                Language::French
            } else {
                Language::English
            },
            postmaster: one.3,
            limits: one.4,
            limits_per_sender: Limits {
                connections: None,
                ..one.5
            },
            licences: Licences {
                seats: one.6,
                policy: LicencePolicy::Enforce,
            },
            triggers: Triggers {
                volume: Trigger {
                    mode: Some(TriggerMode::Block),
                    minimum: Some(one.6),
                    factor: None,
                },
                ..Triggers::default()
            },
            inbound_content: content_of("antivirus", one.2),
            subjects: match one.2 {
                true => Subjects::Masked,
                false => Subjects::Shown,
            },
            content_days: one.2.then_some(one.6),
            content_max: ByteCount(u64::from(one.6)),
            domain: two.0,
            recipient: two.1,
            inbound_connector: two.2,
            outbound_connector: three.0,
            credential: three.1,
        });
    vec(organisation, 0..3).prop_map(|organisation| Document { organisation })
}

/// Pieces of settings files in any order.
const TOML_LIKE: &str =
    "(\\[\\[organisation(\\.domain)?\\]\\]|[a-z_]{1,8} = |[\\[\\]{}\"',.=\\n]|\\PC){0,40}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_exported_is_read_back_equal(document in any_document()) {
        prop_assert_eq!(Document::from_toml(&document.to_toml()), Ok(document));
    }

    #[test]
    fn what_is_stored_as_json_is_read_back_equal(document in any_document()) {
        let json = serde_json::to_string(&document).unwrap();
        prop_assert_eq!(serde_json::from_str::<Document>(&json).unwrap(), document);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in TOML_LIKE) {
        let _ = Document::from_toml(&text);
    }
}
