//! What exports of old relays become: proposals that the settings accept, and reports that say the
//! rest. The exports are our own, in the form of each source.

use proptest::prelude::*;

use relais_policy::document::{
    AuthMethod, ConnectorState, Document, DomainKind, InboundConnector, InboundTls, Organisation,
    OutboundTls, Verification,
};
use relais_policy::migration::{
    FINDINGS_MAX, Finding, Proposal, Source, Surroundings, TEXT_OCTETS_MAX, decode, read,
    without_passwords,
};
use relais_policy::settings::{Mode, Settings};

const EXCHANGE: &str = include_str!("../migration/exchange.json");
const EXCHANGE_ONLINE: &str = include_str!("../migration/exchange-online.json");
const POSTFIX: &str = include_str!("../migration/postfix.txt");
const IIS: &str = include_str!("../migration/iis.xml");
const DEVICES: &str = include_str!("../migration/devices.csv");

const ALL: [(Source, &str); 5] = [
    (Source::Exchange, EXCHANGE),
    (Source::ExchangeOnline, EXCHANGE_ONLINE),
    (Source::Postfix, POSTFIX),
    (Source::Iis, IIS),
    (Source::Csv, DEVICES),
];

fn contoso() -> Document {
    Document {
        organisation: vec![Organisation::new("contoso")],
    }
}

fn read_into(document: &Document, mode: Mode, source: Source, text: &str) -> Proposal {
    let around = Surroundings {
        mode,
        settings: document,
        organisation: &document.organisation[0],
    };
    read(source, text, &around).unwrap_or_else(|error| panic!("{source:?}: {error}"))
}

fn proposed(source: Source, text: &str) -> Proposal {
    read_into(&contoso(), Mode::Lan, source, text)
}

#[track_caller]
fn says(findings: &[Finding], object: &str, words: &str) {
    let mut all = findings.iter();
    let is_said = all.any(|one| one.object.contains(object) && one.message.contains(words));
    assert!(is_said, "{object}: {words}, in\n{}", lines(findings));
}

fn lines(findings: &[Finding]) -> String {
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn inbound<'a>(proposal: &'a Proposal, name: &str) -> &'a InboundConnector {
    let mut all = proposal.organisation.inbound_connector.iter();
    all.find(|one| one.name == name)
        .unwrap_or_else(|| panic!("{name}: {:?}", proposal.report.created))
}

fn networks(connector: &InboundConnector) -> String {
    let all = connector.sender_ip_addresses.iter();
    let all: Vec<_> = all.map(ToString::to_string).collect();
    all.join(" ")
}

#[test]
fn every_proposal_is_valid_enables_nothing_and_verifies_no_domain() {
    for (source, text) in ALL {
        let proposal = proposed(source, text);
        let mut document = contoso();
        assert!(proposal.add_to(&mut document));
        let built = Settings::build(Mode::Lan, 1, document.clone());
        assert!(built.is_ok(), "{source:?}: {:?}", built.err());
        let written = document.to_toml();
        assert_eq!(Document::from_toml(&written).as_ref(), Ok(&document));
        let one = &document.organisation[0];
        let is_off = |state| matches!(state, ConnectorState::Disabled | ConnectorState::Draft);
        assert!(one.inbound_connector.iter().all(|it| is_off(it.state)));
        assert!(one.outbound_connector.iter().all(|it| is_off(it.state)));
        let is_dns = |verification| verification == Verification::Dns;
        assert!(one.domain.iter().all(|it| is_dns(it.verification)));
        assert!(!proposal.is_empty(), "{source:?}");
        assert!(!proposal.report.created.is_empty(), "{source:?}");
    }
}

#[test]
fn no_secret_of_the_old_side_is_in_what_is_proposed_or_said() {
    for (source, text) in ALL {
        let proposal = proposed(source, text);
        let shown = format!("{proposal:?}");
        for secret in ["very-secret-word", "493265646565c9e3e7b4"] {
            assert!(!shown.contains(secret), "{source:?}");
        }
    }
    assert!(!without_passwords(Source::Postfix, POSTFIX).contains("very-secret-word"));
    let kept = proposed(
        Source::Postfix,
        &without_passwords(Source::Postfix, POSTFIX),
    );
    assert_eq!(kept, proposed(Source::Postfix, POSTFIX));
}

#[test]
fn connectors_of_exchange_keep_their_ranges_and_say_what_was_dangerous() {
    let proposal = proposed(Source::Exchange, EXCHANGE);
    let report = &proposal.report;
    let relay = inbound(&proposal, "Anonymous Relay");
    assert_eq!(
        networks(relay),
        "10.1.2.0/24 10.1.3.1/32 10.1.3.2/31 10.1.3.4/30 10.1.3.8/31 10.1.4.7/32 192.168.0.0/16"
    );
    assert_eq!(
        relay.limits.message_size_max.map(|size| size.0),
        Some(37_748_736)
    );
    assert_eq!(relay.limits.recipients_per_message, Some(1_000));
    says(&report.changed, "Anonymous Relay", "5000 recipients");
    says(
        &report.dangerous,
        "Anonymous Relay",
        "ExternalAuthoritative",
    );
    says(
        &report.dangerous,
        "Default Frontend",
        "0.0.0.0-255.255.255.255",
    );
    says(&report.unsupported, "Default Frontend", "recognise nobody");
    // Another server's of the same name, with numbers for names.
    let second = inbound(&proposal, "Anonymous Relay (2)");
    assert_eq!(second.tls, InboundTls::Required);
    assert_eq!(
        second
            .limits_per_device
            .messages_per_minute
            .map(|one| one.value),
        Some(30)
    );
    says(&report.changed, "Anonymous Relay", "0.0.0.0:587");
    says(&report.changed, "Anonymous Relay", "switched off");
    says(&report.changed, "Anonymous Relay", "had to log in");

    let out = &proposal.organisation.outbound_connector;
    let names: Vec<_> = out.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["To the provider", "To the partner"]);
    assert_eq!(out[0].smart_hosts, ["smtp.provider.test:587"]);
    assert_eq!(out[0].tls, OutboundTls::DomainValidation);
    assert_eq!(out[0].auth.method, AuthMethod::Password);
    assert_eq!(out[0].auth.user, "relay@contoso.test");
    says(
        &report.unsupported,
        "To the provider",
        "passwords are never",
    );
    assert_eq!(out[1].recipient_domains, ["partner.test", "*.partner.test"]);
    assert_eq!(out[1].smart_hosts, ["10.20.0.5:25"]);
    assert_eq!(out[1].tls, OutboundTls::None);
    says(&report.dangerous, "To the partner", "never encrypted");
    says(&report.changed, "To the partner", "cost");
    says(&report.unsupported, "To the partner", "X400");

    let kinds: Vec<_> = proposal.organisation.domain.iter().collect();
    let kinds: Vec<_> = kinds
        .iter()
        .map(|one| (one.name.as_str(), one.kind))
        .collect();
    let expected = [
        ("contoso.test", DomainKind::Authoritative),
        ("fabrikam.test", DomainKind::InternalRelay),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn one_object_is_read_as_a_list_of_one_and_utf_16_as_utf_8() {
    let one = "{\"Name\": \"Relay\", \"PermissionGroups\": 1, \"RemoteIPRanges\": \"10.1.2.9\", \
               \"AuthMechanism\": 0}";
    let marked = [0xfeff_u16].into_iter().chain(one.encode_utf16());
    let octets: Vec<u8> = marked.flat_map(u16::to_le_bytes).collect();
    let text = decode(&octets).unwrap();
    let proposal = proposed(Source::Exchange, &text);
    assert_eq!(networks(inbound(&proposal, "Relay")), "10.1.2.9/32");
    assert_eq!(proposal, proposed(Source::Exchange, &format!("[{one}]")));
}

#[test]
fn connectors_of_exchange_online_are_known_by_address_or_certificate() {
    let proposal = proposed(Source::ExchangeOnline, EXCHANGE_ONLINE);
    let report = &proposal.report;
    let office = inbound(&proposal, "From the office");
    assert_eq!(networks(office), "192.0.2.10/32 192.0.2.32/28");
    assert_eq!(office.tls_sender_certificate_name, "mail.contoso.test");
    assert_eq!(office.tls, InboundTls::Required);
    assert_eq!(office.sender_domains, ["*"]);
    says(&report.changed, "From the office", "hybrid");
    says(
        &report.unsupported,
        "From the partner",
        "partners need no connector",
    );
    says(&report.unsupported, "By a rule", "transport rule");
    says(
        &report.unsupported,
        "contoso.onmicrosoft.com",
        "Microsoft 365",
    );
    let out = &proposal.organisation.outbound_connector;
    assert_eq!(out.len(), 1);
    assert_eq!(
        out[0].recipient_domains,
        [
            "archive.contoso.test",
            "plant.contoso.test",
            "*.plant.contoso.test"
        ]
    );
    assert_eq!(out[0].smart_hosts, ["mail.contoso.test:25", "192.0.2.9:25"]);
    assert_eq!(out[0].tls, OutboundTls::CertificateValidation);
}

#[test]
fn postfix_gives_networks_relay_host_and_routes_and_reports_its_restrictions() {
    let proposal = proposed(Source::Postfix, POSTFIX);
    let report = &proposal.report;
    let clients = inbound(&proposal, "Postfix mynetworks");
    assert_eq!(networks(clients), "10.1.2.0/24 10.1.3.0/24 2001:db8:1::/64");
    assert_eq!(
        clients.limits.message_size_max.map(|size| size.0),
        Some(26_214_400)
    );
    assert_eq!(clients.limits.recipients_per_message, Some(50));
    assert_eq!(clients.sender_replacement, "it@contoso.test");
    says(
        &report.dangerous,
        "mynetworks",
        "0.0.0.0/0 is every address",
    );
    says(&report.dangerous, "smtpd_relay_restrictions", "open relay");
    says(
        &report.dangerous,
        "smtpd_sasl_auth_enable",
        "without encryption",
    );
    says(&report.unsupported, "mynetworks", "the old machine itself");
    says(
        &report.unsupported,
        "smtpd_recipient_restrictions",
        "not translated",
    );
    says(
        &report.unsupported,
        "smtp_generic_maps",
        "give this file too",
    );
    says(
        &report.unsupported,
        "transport_maps",
        "ldap:/etc/postfix/ldap-transport.cf",
    );
    says(
        &report.unsupported,
        "transport_maps",
        "fabrikam.test went to mailboxes by LMTP",
    );
    says(
        &report.unsupported,
        "transport_maps",
        "boss@contoso.test is no domain",
    );
    says(
        &report.unsupported,
        "transport_maps",
        "for gone.test has no counterpart",
    );
    says(&report.changed, "transport_maps", "looked up by MX");

    let out = &proposal.organisation.outbound_connector;
    let ways: Vec<_> = out
        .iter()
        .map(|one| (one.name.as_str(), one.smart_hosts.join(" ")))
        .collect();
    assert_eq!(
        ways,
        [
            ("Postfix relayhost", "smtp.provider.test:587".to_owned()),
            ("Postfix [10.20.0.5]", "10.20.0.5:25".to_owned()),
            (
                "Postfix mail.old.test:submission",
                "mail.old.test:587".to_owned()
            ),
            (
                "Postfix @ [smtp.fabrikam.test]:465",
                "smtps://smtp.fabrikam.test:465".to_owned()
            ),
        ]
    );
    assert_eq!(out[0].auth.user, "relay-user");
    assert_eq!(out[0].tls, OutboundTls::EncryptionOnly);
    assert_eq!(out[0].retry.lifetime.0, 2 * 86_400);
    assert_eq!(out[1].recipient_domains, ["partner.test", "*.partner.test"]);
    assert_eq!(out[3].sender_domains, ["fabrikam.test"]);
    let domains = proposal.organisation.domain.iter();
    let domains: Vec<_> = domains.map(|one| (one.name.as_str(), one.kind)).collect();
    let expected = [
        ("fabrikam.test", DomainKind::InternalRelay),
        ("contoso.test", DomainKind::Authoritative),
    ];
    assert_eq!(domains, expected);
}

#[test]
fn a_network_with_an_exclusion_is_left_out_rather_than_widened() {
    let text = "mynetworks = !10.1.2.3, 10.1.2.0/24, 10.1.3.0/24\n";
    let proposal = proposed(Source::Postfix, text);
    assert_eq!(
        networks(inbound(&proposal, "Postfix mynetworks")),
        "10.1.3.0/24"
    );
    says(&proposal.report.unsupported, "mynetworks", "!10.1.2.3");
    let unreadable = proposed(Source::Postfix, "mynetworks = !friends, 10.1.2.0/24\n");
    assert!(unreadable.organisation.inbound_connector.is_empty());
}

#[test]
fn a_network_within_an_exclusion_is_left_out() {
    let text = "mynetworks = !10.1.0.0/16, 10.1.2.0/24, 10.3.0.0/24\n";
    let proposal = proposed(Source::Postfix, text);
    let clients = inbound(&proposal, "Postfix mynetworks");
    assert_eq!(networks(clients), "10.3.0.0/24");
    says(&proposal.report.unsupported, "mynetworks", "!10.1.0.0/16");
}

#[test]
fn iis_gives_its_relaying_computers_and_its_smart_host() {
    let proposal = proposed(Source::Iis, IIS);
    let report = &proposal.report;
    let server = inbound(&proposal, "IIS SMTP server 1");
    assert_eq!(networks(server), "10.1.2.9/32 10.1.2.10/32");
    assert_eq!(
        server.limits.message_size_max.map(|size| size.0),
        Some(10 << 20)
    );
    assert_eq!(server.limits.recipients_per_message, Some(100));
    says(
        &report.unsupported,
        "IIS SMTP server 1",
        "127.0.0.1 is the old machine",
    );
    says(
        &report.unsupported,
        "IIS SMTP server 1",
        "Pickup have no counterpart",
    );
    says(
        &report.dangerous,
        "IIS SMTP server 1",
        "basic authentication",
    );
    let out = &proposal.organisation.outbound_connector;
    assert_eq!(out[0].smart_hosts, ["smtp.provider.test:587"]);
    assert_eq!(out[0].auth.user, "relay-user");
    assert_eq!(out[1].recipient_domains, ["partner.test"]);
    assert_eq!(out[1].smart_hosts, ["10.20.0.5:25"]);
    assert_eq!(proposal.organisation.domain[0].name, "apps.contoso.test");

    let list = IIS.find("RelayIpList=\"").unwrap() + "RelayIpList=\"".len();
    let broken = format!("{}77{}", &IIS[..list], &IIS[list..]);
    let unread = proposed(Source::Iis, &broken);
    assert!(unread.organisation.inbound_connector.is_empty());
    says(&unread.report.unsupported, "IIS SMTP server 1", "relay.txt");
    let beside = format!("{broken}\n==> relay.txt <==\n10.1.5.0, 255.255.255.0\n10.1.6.7\n");
    let read = proposed(Source::Iis, &beside);
    let server = inbound(&read, "IIS SMTP server 1");
    assert_eq!(networks(server), "10.1.5.0/24 10.1.6.7/32");
}

#[test]
fn each_device_of_a_list_is_a_connector_with_its_tags_and_its_sender() {
    let proposal = proposed(Source::Csv, DEVICES);
    let scanner = inbound(&proposal, "Scanner Lyon 2");
    assert_eq!(networks(scanner), "10.1.2.9/32");
    assert_eq!(scanner.tags, ["konica-minolta", "lyon"]);
    assert_eq!(scanner.sender_addresses, ["scan@contoso.test"]);
    assert_eq!(
        networks(inbound(&proposal, "Caisse \"3\"")),
        "10.1.2.10/32 10.1.2.11/32"
    );
    assert_eq!(proposal.organisation.inbound_connector.len(), 2);
    assert_eq!(proposal.organisation.domain.len(), 1);
    says(&proposal.report.unsupported, "line 4", "no address");
    says(&proposal.report.dangerous, "line 5", "every address");
    says(&proposal.report.unsupported, "line 6", "pas une adresse");
}

#[test]
fn what_is_there_already_stays_and_a_second_import_adds_nothing() {
    for (source, text) in ALL {
        let mut document = contoso();
        assert!(proposed(source, text).add_to(&mut document));
        let again = read_into(&document, Mode::Lan, source, text);
        assert!(again.is_empty(), "{source:?}: {:?}", again.organisation);
        assert!(again.report.created.is_empty(), "{source:?}");
        says(&again.report.unsupported, "", "skipped");
        let before = document.clone();
        assert!(proposed(source, text).add_to(&mut document));
        assert_eq!(document, before, "{source:?}");
    }
    let mut elsewhere = Document::default();
    assert!(!proposed(Source::Csv, DEVICES).add_to(&mut elsewhere));
}

#[test]
fn a_connector_that_would_take_clients_from_one_in_use_becomes_a_draft() {
    let mut document = contoso();
    let mut wide = InboundConnector::new("Everything");
    wide.sender_ip_addresses = vec!["10.1.0.0/16".parse().unwrap()];
    document.organisation[0].inbound_connector.push(wide);
    let proposal = read_into(&document, Mode::Lan, Source::Csv, DEVICES);
    let scanner = inbound(&proposal, "Scanner Lyon 2");
    assert_eq!(scanner.state, ConnectorState::Draft);
    says(&proposal.report.changed, "Scanner Lyon 2", "in use");
    document.organisation[0].inbound_connector[0].state = ConnectorState::Disabled;
    let proposal = read_into(&document, Mode::Lan, Source::Csv, DEVICES);
    assert_eq!(
        inbound(&proposal, "Scanner Lyon 2").state,
        ConnectorState::Disabled
    );
}

#[test]
fn where_many_share_the_server_private_addresses_are_nobody_s() {
    let proposal = read_into(&contoso(), Mode::Hosted, Source::Exchange, EXCHANGE);
    assert!(proposal.organisation.inbound_connector.is_empty());
    says(
        &proposal.report.unsupported,
        "Anonymous Relay",
        "hosted mode",
    );
}

#[test]
fn a_text_of_another_kind_is_refused_with_what_to_give_instead() {
    for (source, text, hint) in [
        (Source::Exchange, "Name : Relay", "ConvertTo-Json"),
        (Source::Exchange, "[]", "run the command"),
        (Source::Exchange, "[{\"a\": 1}]", "no connector"),
        (Source::ExchangeOnline, "", "run the command"),
        (Source::Postfix, "{}", "postconf -n"),
        (Source::Iis, "<html></html>", "MetaBase.xml"),
        (Source::Csv, "10.1.2.9", "name,ip"),
        (Source::Csv, "", "name,ip"),
    ] {
        let document = contoso();
        let around = Surroundings {
            mode: Mode::Lan,
            settings: &document,
            organisation: &document.organisation[0],
        };
        let error = read(source, text, &around).err();
        let message = error.map(|one| one.message).unwrap_or_default();
        assert!(message.contains(hint), "{source:?} {text}: {message}");
        let large = "x".repeat(TEXT_OCTETS_MAX + 1);
        assert!(read(source, &large, &around).is_err());
    }
}

#[test]
fn a_huge_list_ends_with_a_line_that_says_so_and_stays_valid() {
    let mut text = "name,ip,maker,sender,site\n".to_owned();
    for number in 0..6_000_u32 {
        let (high, low) = (number / 250, number % 250 + 1);
        text.push_str(&format!(
            "Printer,10.{high}.1.{low},Ricoh,a@contoso.test,Lyon\n"
        ));
    }
    let proposal = proposed(Source::Csv, &text);
    let mut document = contoso();
    assert!(proposal.add_to(&mut document));
    assert!(Settings::build(Mode::Lan, 1, document).is_ok());
    for (part, findings) in proposal.report.parts() {
        assert!(findings.len() <= FINDINGS_MAX, "{part}");
    }
    says(&proposal.report.created, "report", "not listed");
}

fn sources() -> impl Strategy<Value = (Source, &'static str)> {
    (0..ALL.len()).prop_map(|at| ALL[at])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is cut out, put in or turned over in an export: an error or a valid proposal.
    #[test]
    fn a_damaged_export_is_never_a_panic_and_never_an_invalid_proposal(
        (source, text) in sources(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        put in "[ -~é\n\t]{0,12}",
    ) {
        let letters: Vec<char> = text.chars().collect();
        let (from, to) = (from.index(letters.len()), to.index(letters.len()));
        let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 40));
        let head: String = letters[..from].iter().collect();
        let tail: String = letters[to..].iter().collect();
        let damaged = format!("{head}{put}{tail}");
        let document = contoso();
        let around = Surroundings {
            mode: Mode::Lan,
            settings: &document,
            organisation: &document.organisation[0],
        };
        let _ = without_passwords(source, &damaged);
        if let Ok(proposal) = read(source, &damaged, &around) {
            let mut document = document.clone();
            prop_assert!(proposal.add_to(&mut document));
            let built = Settings::build(Mode::Lan, 1, document);
            prop_assert!(built.is_ok(), "{:?}", built.err());
        }
    }

    #[test]
    fn any_octets_are_a_text_or_an_error(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(text) = decode(&octets) {
            let document = contoso();
            let around = Surroundings {
                mode: Mode::Hosted,
                settings: &document,
                organisation: &document.organisation[0],
            };
            for source in Source::ALL {
                let _ = read(source, &text, &around);
            }
        }
    }
}
