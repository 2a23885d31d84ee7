//! What `Settings::build` refuses, warns of and finds again.

use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;

use super::*;

fn document(text: &str) -> Document {
    Document::from_toml(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn errors(mode: Mode, text: &str) -> Vec<String> {
    match Settings::build(mode, 1, document(text)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn settings(mode: Mode, text: &str) -> Settings {
    Settings::build(mode, 1, document(text)).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
}

/// `[[organisation]] name = "contoso"` with `rest` behind it.
fn contoso(rest: &str) -> String {
    format!("[[organisation]]\nname = \"contoso\"\n{rest}")
}

#[test]
fn each_fault_is_told_with_object_cause_and_fix() {
    let table = include_str!("../../tests/tables/settings_refused.txt");
    let cases = table.split("\n---\n").skip(1).collect::<Vec<_>>();
    assert!(cases.len() > 30);
    for case in cases {
        let (text, expected) = case.split_once("\n=> ").expect("a file and its message");
        let expected = expected.trim_end().lines().collect::<Vec<_>>();
        let found = match Document::from_toml(text) {
            Ok(_) => errors(Mode::Lan, text),
            Err(error) => vec![error.to_string()],
        };
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn all_errors_are_told_up_to_a_bound() {
    let recipients = (0..ERRORS_MAX + 50)
        .map(|n| format!("[[organisation.recipient]]\naddress = \"a{n}@b.test\"\n"))
        .collect::<String>();
    let errors = errors(Mode::Lan, &contoso(&recipients));
    assert_eq!(errors.len(), ERRORS_MAX + 1);
    assert_eq!(
        errors[ERRORS_MAX],
        "settings: 50 more errors are not shown; mend the ones above first"
    );
}

#[test]
fn lan_mode_holds_one_organisation() {
    let two = "[[organisation]]\nname = \"a\"\n[[organisation]]\nname = \"b\"\n";
    let found = errors(Mode::Lan, two);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("organisation b: a second organisation needs mode = \"hosted\""));
    assert!(errors(Mode::Hosted, two).is_empty());
}

/// An organisation of a hosted installation with one connector.
fn hosted(name: &str, network: &str, more: &str) -> String {
    format!(
        "[[organisation]]\nname = \"{name}\"\n[[organisation.inbound_connector]]\nname = \"C\"\n\
         sender_ip_addresses = [\"{network}\"]\n{more}\n"
    )
}

#[test]
fn hosted_mode_takes_public_networks_of_bounded_size_only() {
    for (network, cause) in [
        ("10.1.2.3", Some("private")),
        ("192.168.0.0/24", Some("private")),
        ("100.64.0.1", Some("shared by carriers (CGNAT)")),
        ("127.0.0.1", Some("loopback")),
        ("192.0.2.1", Some("documentation")),
        ("224.0.0.1", Some("multicast")),
        ("2001:db8::/64", Some("documentation")),
        ("fd00::/64", Some("private")),
        ("0.0.0.0/0", Some("unspecified")),
        ("192.175.48.0/23", Some("too wide")),
        ("2620:4f:8000::/63", Some("too wide")),
        ("192.175.48.0/24", None),
        ("192.175.48.7", None),
        ("2620:4f:8000::/64", None),
    ] {
        let text = hosted("a", network, "");
        let found = errors(Mode::Hosted, &text);
        match cause {
            Some(cause) => {
                assert_eq!(found.len(), 1, "{network}: {found:?}");
                assert!(found[0].contains(cause), "{network}: {found:?}");
            }
            None => assert!(found.is_empty(), "{network}: {found:?}"),
        }
        assert!(
            errors(Mode::Lan, &text).is_empty(),
            "LAN mode takes any size: {network}"
        );
    }
}

#[test]
fn an_address_belongs_to_one_organisation_unless_both_demand_more() {
    let all = "identified_by = \"all\"\ntls_sender_certificate_name = \"a.test\"";
    let all_too = "identified_by = \"all\"\ntls_sender_certificate_name = \"b.test\"";
    let alone = "identified_by = \"all\"";
    for (one, other, more, more_too, refused) in [
        ("192.175.48.0/24", "192.175.48.0/24", "", "", 1),
        ("192.175.48.0/24", "192.175.48.7", "", "", 1),
        ("192.175.48.7", "192.175.48.0/24", "", "", 1),
        ("192.175.48.0/25", "192.175.48.128/25", "", "", 0),
        ("192.175.48.7", "192.175.48.0/24", all, "", 1),
        ("192.175.48.7", "192.175.48.0/24", all, alone, 1),
        ("192.175.48.7", "192.175.48.0/24", all, all_too, 0),
        (
            "192.175.48.7",
            "192.175.48.0/24",
            "state = \"draft\"",
            "",
            0,
        ),
        (
            "192.175.48.7",
            "192.175.48.0/24",
            "",
            "state = \"disabled\"",
            1,
        ),
        (
            "192.175.48.7",
            "192.175.48.0/24",
            "",
            "state = \"draft\"",
            0,
        ),
    ] {
        let text = hosted("a", one, more) + &hosted("b", other, more_too);
        let found = errors(Mode::Hosted, &text);
        assert_eq!(found.len(), refused, "{text}\n{found:?}");
        assert!(
            found
                .iter()
                .all(|e| e.contains("overlaps a network of another organisation"))
        );
    }
}

#[test]
fn within_an_organisation_a_narrower_connector_may_lie_in_a_wider_one() {
    let text = contoso(
        r#"
[[organisation.inbound_connector]]
name = "P"
sender_ip_addresses = ["10.0.0.0/8", "10.0.0.0/8"]
[[organisation.inbound_connector]]
name = "Q"
sender_ip_addresses = ["10.1.2.0/24"]
[[organisation.inbound_connector]]
name = "R"
state = "disabled"
sender_ip_addresses = ["10.1.2.0/24"]
"#,
    );
    assert!(errors(Mode::Lan, &text).is_empty());
}

#[test]
fn users_are_unique_over_organisations_and_domains_are_claimed_until_one_is_proved() {
    let organisation = |name: &str, verification: &str| {
        format!(
            "[[organisation]]\nname = \"{name}\"\n[[organisation.domain]]\nname = \"shared.test\"\n\
             verification = \"{verification}\"\n[[organisation.inbound_connector]]\nname = \"C\"\n\
             [[organisation.credential]]\nuser = \"scan\"\ninbound_connector = \"C\"\n"
        )
    };
    let user = "organisation b, credential scan: the user name is taken; users are unique over all \
                organisations";
    let claimed = organisation("a", "assumed") + &organisation("b", "dns");
    assert_eq!(errors(Mode::Hosted, &claimed), [user]);
    let taken = organisation("a", "assumed") + &organisation("b", "assumed");
    let domain = "organisation b, domain shared.test: another organisation has this domain, \
                  verified by hand too; a domain belongs to one only";
    assert_eq!(errors(Mode::Hosted, &taken), [domain, user]);
}

fn proof(standing: Standing) -> Proof {
    let token = crate::proof::ProofToken::stored("t");
    let proof = Proof::new(token, relais_smtp::time::Timestamp::from_millis(0));
    Proof { standing, ..proof }
}

#[test]
fn of_several_claims_one_counts_and_by_hand_goes_first() {
    let organisation = |name: &str, verification: &str| {
        format!(
            "[[organisation]]\nname = \"{name}\"\n[[organisation.domain]]\nname = \"shared.test\"\n\
             verification = \"{verification}\"\n"
        )
    };
    let shared = Domain::parse("shared.test").unwrap();
    let key = |name: &str| ProofKey::new(name, &shared);
    for (second, proved, owner) in [
        ("dns", &["a"][..], Some("a")),
        ("dns", &["b"], Some("b")),
        ("dns", &["a", "b"], Some("a")),
        ("assumed", &["a"], Some("b")),
        ("dns", &[], None),
    ] {
        let text = organisation("a", "dns") + &organisation("b", second);
        let proofs = proved
            .iter()
            .map(|name| (key(name), proof(Standing::Verified)));
        let settings = settings(Mode::Hosted, &text).with_proofs(proofs.collect());
        let found = settings.verified_domain(&shared);
        let found = found.map(|owned| owned.organisation.name.as_str());
        assert_eq!(found, owner, "{second} {proved:?}");
        for name in ["a", "b"] {
            let own = settings.accepted_domain_of(name, &shared).unwrap();
            assert_eq!(
                own.is_verified(),
                owner == Some(name),
                "{name}: {second} {proved:?}"
            );
        }
    }
}

#[test]
fn proofs_of_domains_that_are_gone_are_left_out() {
    let settings = settings(Mode::Lan, WORLD);
    let key = |organisation: &str, domain: &str| {
        ProofKey::new(organisation, &Domain::parse(domain).unwrap())
    };
    let keys = [
        key("contoso", "contoso.test"),
        key("contoso", "gone.test"),
        key("fabrikam", "contoso.test"),
    ];
    let proofs = keys.map(|key| (key, proof(Standing::Pending)));
    let kept = settings.with_proofs(proofs.into_iter().collect());
    let kept = kept
        .proofs
        .iter()
        .map(|(key, _)| key.clone())
        .collect::<Vec<_>>();
    assert_eq!(kept, [key("contoso", "contoso.test")]);
}

const WORLD: &str = r#"
[[organisation]]
name = "contoso"
postmaster = "it@contoso.test"
[[organisation.domain]]
name = "Contoso.test"
verification = "assumed"
subdomains = true
[[organisation.domain]]
name = "lab.contoso.test"
[[organisation.domain]]
name = "bücher.test"
verification = "assumed"
[[organisation.recipient]]
address = "Anna@contoso.test"
[[organisation.recipient]]
address = "bob@paris.contoso.test"
[[organisation.recipient]]
address = "door@contoso.test"
mailbox = false
[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["10.1.2.0/24", "2001:db8:1::/64"]
[[organisation.credential]]
user = "scan"
inbound_connector = "Printers"
[[organisation.outbound_connector]]
name = "Out"
"#;

#[test]
fn accepted_domains_are_found_by_themselves_and_by_their_parents() {
    let settings = settings(Mode::Lan, WORLD);
    for (domain, covered_by, verified) in [
        ("contoso.test", Some("Contoso.test"), true),
        ("CONTOSO.TEST", Some("Contoso.test"), true),
        ("a.b.contoso.test", Some("Contoso.test"), true),
        // Its own entry is pending, so the verified parent covers it.
        ("lab.contoso.test", Some("Contoso.test"), true),
        ("xn--bcher-kva.test", Some("bücher.test"), true),
        ("a.xn--bcher-kva.test", None, false),
        ("xcontoso.test", None, false),
        ("test", None, false),
    ] {
        let found = settings.accepted_domain(&Domain::parse(domain).unwrap());
        assert_eq!(
            found.map(|owned| owned.domain.name.as_str()),
            covered_by,
            "{domain}"
        );
        assert_eq!(
            found.is_some_and(|owned| owned.is_verified()),
            verified,
            "{domain}"
        );
    }
    assert_eq!(
        settings
            .accepted_domain(&Domain::parse("contoso.test").unwrap())
            .unwrap()
            .mailboxes,
        2
    );
}

#[test]
fn the_directory_does_not_regard_case() {
    let settings = settings(Mode::Lan, WORLD);
    for (address, answer) in [
        ("anna@contoso.test", Some(DirectoryAnswer::Mailbox)),
        ("ANNA@CONTOSO.TEST", Some(DirectoryAnswer::Mailbox)),
        ("bob@paris.contoso.test", Some(DirectoryAnswer::Mailbox)),
        ("bob@contoso.test", None),
        ("door@contoso.test", Some(DirectoryAnswer::Person)),
    ] {
        assert_eq!(
            settings.directory(&Mailbox::parse(address).unwrap()),
            answer,
            "{address}"
        );
    }
}

#[test]
fn objects_are_found_by_name() {
    let settings = settings(Mode::Lan, WORLD);
    assert!(settings.organisation("contoso").is_some());
    assert!(settings.organisation("fabrikam").is_none());
    let printers = settings.inbound_connector("contoso", "Printers").unwrap();
    assert!(printers.takes_credential && printers.is_in_use());
    assert!(settings.inbound_connector("contoso", "Nothing").is_none());
    assert!(settings.outbound_connector("contoso", "Out").is_some());
    assert!(settings.outbound_connector("fabrikam", "Out").is_none());
    assert_eq!(
        settings.credential("scan").unwrap().0.connector.name,
        "Printers"
    );
    assert!(settings.credential("scan2").is_none());
    let covering = settings
        .connectors_by_address("10.1.2.9".parse().unwrap())
        .next()
        .unwrap();
    assert_eq!(
        (
            covering.0.to_string().as_str(),
            covering.1.connector.name.as_str()
        ),
        ("10.1.2.0/24", "Printers")
    );
}

#[test]
fn without_an_organisation_nothing_is_found() {
    let settings = Settings::empty(Mode::Lan);
    assert!(
        settings
            .accepted_domain(&Domain::parse("contoso.test").unwrap())
            .is_none()
    );
    assert!(
        settings
            .connectors_by_address("127.0.0.1".parse().unwrap())
            .next()
            .is_none()
    );
    assert!(settings.only_organisation().is_none());
}

#[test]
fn warnings_name_object_cause_and_fix() {
    let text = include_str!("../../tests/tables/warned.toml");
    let warnings = settings(Mode::Lan, text).warnings();
    let lines = warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected = [
        "contoso: no postmaster",
        "domain contoso.test: pending",
        "domain empty.test: authoritative with an empty directory",
        "inbound connector None: no factor",
        "inbound connector Wide: 0.0.0.0/0 is every address there is",
        "inbound connector Wide: 10.0.0.0/15 is wide",
        "inbound connector Wide: 192.175.0.0/16 is wide",
        "inbound connector Wide: 2001:db8::/48 is wide",
        "inbound connector Wide: observing without test_recipients",
        "inbound connector Wide: sender_domains names fabrikam.test",
        "inbound connector Wide: owner nobody@full.test is no mailbox",
        "inbound connector Wide: archive_address archive@full.test is no mailbox",
        "contoso: outbound connectors One and Two have the same recipient domain",
        "credential scan: no password yet",
        "credential scan: may_send_as a@other.test",
    ];
    for (line, part) in lines.iter().zip(expected) {
        assert!(line.contains(part), "{part}\n{lines:#?}");
    }
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    let unremarkable = r#"
[[organisation]]
name = "contoso"
postmaster = "it@contoso.test"
[[organisation.domain]]
name = "contoso.test"
kind = "internal-relay"
verification = "assumed"
[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["10.1.2.0/24"]
limits = { message_size_max = "25 MiB", connections = 3 }
"#;
    assert_eq!(settings(Mode::Lan, unremarkable).warnings(), []);
}

#[test]
fn ten_thousand_networks_are_built_and_searched() {
    let networks = (0..NETWORKS_MAX)
        .map(|n| format!("\"10.{}.{}.0/24\",", n / 256, n % 256))
        .collect::<String>();
    let text = contoso(&format!(
        "[[organisation.inbound_connector]]\nname = \"P\"\nsender_ip_addresses = [{networks}]\n"
    ));
    let settings = settings(Mode::Lan, &text);
    let found = settings
        .connectors_by_address("10.39.15.200".parse().unwrap())
        .next()
        .unwrap();
    assert_eq!(found.0.to_string(), "10.39.15.0/24");
    assert!(
        settings
            .connectors_by_address("10.39.16.1".parse().unwrap())
            .next()
            .is_none()
    );
}

#[test]
fn what_an_earlier_relais_stored_is_taken_though_later_rules_forbid_it() {
    let outbound = |keys: &str| {
        format!(
            "[[organisation]]\nname = \"contoso\"\n[[organisation.outbound_connector]]\n\
             name = \"O\"\nsmart_hosts = [\"h:465\"]\n{keys}\n"
        )
    };
    let domain = |keys: &str| {
        format!(
            "[[organisation]]\nname = \"contoso\"\n[[organisation.domain]]\n\
             name = \"contoso.test\"\n{keys}\n"
        )
    };
    let long = format!("{0}.{0}.{0}.contoso.test", "a".repeat(60));
    for text in [
        outbound("auth = { method = \"certificate\" }"),
        outbound("tls = \"none\""),
        outbound(
            "auth = { method = \"certificate\", parameters = { certificate = \"/c\" } }\ntls = \"none\"",
        ),
        outbound("auth = { method = \"none\", parameters = { x = \"y\" } }"),
        domain("bounce_domain = \"bounce.other.test\""),
        domain(&format!("bounce_domain = \"{long}\"")),
        domain(
            "bounce_domain = \"b.contoso.test\"\n[[organisation.domain]]\nname = \"b.contoso.test\"",
        ),
    ] {
        let document = || Document::from_toml(&text).expect("a document");
        assert!(Settings::build(Mode::Lan, 1, document()).is_err(), "{text}");
        let stored = Settings::build_stored(Mode::Lan, 1, document());
        assert!(stored.is_ok(), "{text}: {stored:?}");
    }
    let wrong = Document::from_toml(&outbound("pace = { connections = 0 }")).expect("a document");
    assert!(Settings::build_stored(Mode::Lan, 1, wrong).is_err());
}
