//! The DNS desk: what is proposed, how it compares, what receivers will see; over a DNS that is a
//! list of lines.

use relais_policy::desk::{
    Assessment, Outcome, RecordState, Site, Subject, ZoneEntry, assess, propose, zone_entries,
};
use relais_policy::dkim::{Key, KeyState};
use relais_policy::document::DkimAlgorithm;
use relais_policy::proof::{Proof, ProofKey, ProofToken};
use relais_policy::settings::Mode;
use relais_policy::spf::{Fact, Facts, Question};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

use crate::world::build;

/// Answers from lines `name TYPE value`; `FAIL` for a name that gets no answer.
fn answer(lines: &[&str], question: &Question) -> Fact {
    let (name, kind) = match question {
        Question::Texts(name) => (name.clone(), "TXT"),
        Question::Addresses(name) => (name.clone(), "A"),
        Question::Mx(name) => (name.clone(), "MX"),
        Question::Reverse(address) => (address.to_string(), "PTR"),
    };
    let found = lines.iter().filter_map(|line| {
        let (owner, rest) = line.split_once(' ')?;
        let (known, value) = rest.split_once(' ').unwrap_or((rest, ""));
        (owner == name && (known == kind || known == "FAIL")).then_some((known, value))
    });
    let found: Vec<_> = found.collect();
    if found.iter().any(|(kind, _)| *kind == "FAIL") {
        return Fact::Failed("no answer in time".to_owned());
    }
    let values = found.into_iter().map(|(_, value)| value.to_owned());
    match question {
        Question::Addresses(_) => {
            let addresses: Vec<_> = values.map(|it| it.parse().expect("an address")).collect();
            if addresses.is_empty() {
                Fact::Nothing
            } else {
                Fact::Addresses(addresses)
            }
        }
        _ => {
            let texts: Vec<_> = values.collect();
            if texts.is_empty() {
                Fact::Nothing
            } else {
                Fact::Texts(texts)
            }
        }
    }
}

struct Desk {
    settings: relais_policy::settings::Settings,
    site: Site,
    keys: Vec<Key>,
}

fn desk(domain: &str, connectors: &str) -> Desk {
    let settings = build(
        Mode::Lan,
        &format!(
            "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
             [[organisation.domain]]\nname = \"contoso.test\"\n{domain}\n\
             [[organisation.inbound_connector]]\nname = \"Printers\"\n\
             sender_ip_addresses = [\"10.1.2.0/24\"]\n\
             [[organisation.inbound_connector]]\nname = \"Others\"\nsender_domains = \
             [\"fabrikam.test\"]\nsender_ip_addresses = [\"10.1.3.0/24\"]\n{connectors}"
        ),
    );
    let token = ProofToken::stored("abcdefghijklmnopqrstuvwxyz");
    let settings = settings.with_proof(key(), Proof::new(token, Timestamp::from_millis(0)));
    Desk {
        settings,
        site: Site {
            hostname: "relay.provider.test".to_owned(),
            source_addresses: vec![
                "192.0.2.1".parse().expect("an address"),
                "10.0.0.5".parse().expect("an address"),
            ],
            zone: None,
            shows_policies: false,
        },
        keys: vec![Key::new(
            "r1".to_owned(),
            DkimAlgorithm::Rsa2048,
            "AAAA".to_owned(),
            Timestamp::from_millis(0),
        )],
    }
}

fn name(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn key() -> ProofKey {
    ProofKey::new("contoso", &name("contoso.test"))
}

impl Desk {
    fn subject<'a>(&'a self, key: &'a ProofKey) -> Subject<'a> {
        let subject = Subject::of(&self.settings, key, &self.site).expect("it is accepted");
        Subject {
            keys: self.keys.clone(),
            ..subject
        }
    }

    fn look(&self, lines: &[&str]) -> Assessment {
        let (key, mut facts) = (key(), Facts::new());
        loop {
            match assess(&self.subject(&key), &facts) {
                Ok(found) => return found,
                Err(open) => {
                    assert!(
                        facts.len() < 100 && !open.is_empty(),
                        "questions without end"
                    );
                    for question in open {
                        let fact = answer(lines, &question);
                        assert!(facts.insert(question, fact).is_none(), "asked twice");
                    }
                }
            }
        }
    }
}

fn record<'a>(found: &'a Assessment, purpose: &str) -> (String, &'a RecordState) {
    let record = found.records.iter().find(|it| it.purpose == purpose);
    let record = record.unwrap_or_else(|| panic!("no {purpose} in {:#?}", found.records));
    let line = format!("{} {} {}", record.name, record.type_name(), record.value());
    (line, &record.state)
}

fn check(found: &Assessment, name: &str) -> (Outcome, bool, String) {
    let check = found.checks.iter().find(|it| it.name == name);
    let check = check.unwrap_or_else(|| panic!("no {name} in {:#?}", found.checks));
    (check.outcome, check.is_ok(), check.words.english.clone())
}

fn predictions(found: &Assessment) -> Vec<&str> {
    let words = found.predictions.iter().map(|it| it.words.english.as_str());
    words.collect()
}

const PUBLISHED: &[&str] = &[
    "contoso.test TXT relais-verification=abcdefghijklmnopqrstuvwxyz",
    "contoso.test TXT v=spf1 mx ip4:192.0.2.1 -all",
    "contoso.test MX mail.contoso.test",
    "mail.contoso.test A 198.51.100.7",
    "r1._domainkey.contoso.test TXT v=DKIM1; p=AA AA",
    "_dmarc.contoso.test TXT v=DMARC1; p=quarantine",
    "192.0.2.1 PTR relay.provider.test",
    "relay.provider.test A 192.0.2.1",
];

#[test]
fn a_bare_domain_gets_the_complete_set_and_every_word_of_what_is_missing() {
    let found = desk("", "").look(&[]);
    let set: Vec<_> = found.records.iter().map(|it| it.purpose).collect();
    assert_eq!(set, ["verification", "spf", "dkim", "dmarc"]);
    assert!(
        found
            .records
            .iter()
            .all(|it| it.state == RecordState::Absent)
    );
    assert_eq!(
        record(&found, "spf").0,
        "contoso.test TXT v=spf1 ip4:192.0.2.1 ~all",
        "a private address is nothing to the world"
    );
    assert_eq!(
        record(&found, "dmarc").0,
        "_dmarc.contoso.test TXT v=DMARC1; p=none; rua=mailto:it@contoso.test"
    );
    for (name, ok) in [
        ("spf", false),
        ("dkim", false),
        ("dmarc", true),
        ("mx", true),
        ("ptr", true),
    ] {
        let (outcome, is_ok, words) = check(&found, name);
        assert_eq!((outcome, is_ok), (Outcome::Absent, ok), "{name}: {words}");
    }
    assert_eq!(
        predictions(&found),
        ["Printers by MX: Gmail will see SPF none, DKIM none, DMARC none."]
    );
}

#[test]
fn what_is_published_is_found_right_and_receivers_will_pass_it() {
    let found = desk("", "").look(PUBLISHED);
    for one in &found.checks {
        assert_eq!(
            one.outcome,
            Outcome::Good,
            "{}: {}",
            one.name,
            one.words.english
        );
    }
    assert!(
        found
            .records
            .iter()
            .all(|it| it.state == RecordState::Right),
        "{found:#?}"
    );
    assert_eq!(
        predictions(&found),
        [
            "Printers by MX: Gmail will see SPF pass aligned, DKIM pass aligned, DMARC pass \
          (p=quarantine)."
        ]
    );
    assert!(
        check(&found, "spf").2.ends_with("1 of 10 look-ups."),
        "{:?}",
        check(&found, "spf")
    );
}

#[test]
fn an_existing_record_is_merged_and_its_address_named() {
    let lines = [
        "contoso.test TXT v=spf1 include:a.test -all",
        "a.test TXT v=spf1 ip4:198.51.100.9",
    ];
    let found = desk("", "").look(&lines);
    let (line, state) = record(&found, "spf");
    assert_eq!(
        line,
        "contoso.test TXT v=spf1 include:a.test ip4:192.0.2.1 -all"
    );
    assert_eq!(state.found(), ["v=spf1 include:a.test -all"]);
    let (outcome, ok, words) = check(&found, "spf");
    assert_eq!((outcome, ok), (Outcome::Wrong, false));
    assert!(words.contains("192.0.2.1, from which we send, gets fail (-all of contoso.test)"));
}

#[test]
fn too_many_look_ups_and_names_that_lead_nowhere_are_counted_and_named() {
    let spf = format!(
        "contoso.test TXT v=spf1 ip4:192.0.2.1 {} mx:gone1.test a:gone2.test a:gone3.test -all",
        (0..9)
            .map(|n| format!("include:i{n}.test"))
            .collect::<Vec<_>>()
            .join(" ")
    );
    let mut lines = vec![spf.as_str()];
    let others: Vec<_> = (0..9)
        .map(|n| format!("i{n}.test TXT v=spf1 ip4:203.0.113.{n}"))
        .collect();
    lines.extend(others.iter().map(String::as_str));
    let (outcome, ok, words) = check(&desk("", "").look(&lines), "spf");
    assert_eq!((outcome, ok), (Outcome::Wrong, false), "{words}");
    assert!(
        words.contains("it needs 12 look-ups and may need 10"),
        "{words}"
    );
    assert!(
        words.contains("it breaks at a:gone2.test of contoso.test"),
        "{words}"
    );
    assert!(words.contains("3 look-ups find nothing, 2 may"), "{words}");
    assert!(words.contains("mx:gone1.test → gone1.test"), "{words}");
}

#[test]
fn two_records_a_circle_and_everybody_are_faults() {
    for (lines, expected) in [
        (
            vec![
                "contoso.test TXT v=spf1 mx ~all",
                "contoso.test TXT v=spf1 a -all",
            ],
            "count as none",
        ),
        (
            vec!["contoso.test TXT v=spf1 ip4:192.0.2.1 +all"],
            "+all lets everybody send",
        ),
        (
            vec!["contoso.test TXT v=spf1 include:contoso.test ~all"],
            "look-up",
        ),
        (
            vec!["contoso.test TXT v=spf1 ipv4:192.0.2.1 ~all"],
            "is no term of SPF",
        ),
    ] {
        let (outcome, ok, words) = check(&desk("", "").look(&lines), "spf");
        assert_eq!((outcome, ok), (Outcome::Wrong, false), "{words}");
        assert!(words.contains(expected), "{words}");
    }
}

#[test]
fn a_private_domain_need_not_be_published_but_what_is_must_be_right() {
    let private = "verification = \"assumed\"";
    let found = desk(private, "").look(&[]);
    assert!(
        found.checks.iter().all(|it| it.is_ok()),
        "{:#?}",
        found.checks
    );
    let lines = [
        "contoso.test TXT v=spf1 mx ~all",
        "contoso.test TXT v=spf1 a -all",
    ];
    assert!(!check(&desk(private, "").look(&lines), "spf").1);
}

#[test]
fn dns_that_does_not_answer_is_unknown_and_not_absent() {
    let mut lines = PUBLISHED.to_vec();
    lines.insert(0, "contoso.test FAIL");
    let found = desk("", "").look(&lines);
    assert_eq!(check(&found, "spf").0, Outcome::Unknown);
    assert!(matches!(record(&found, "spf").1, RecordState::Unknown(_)));
    assert_eq!(
        predictions(&found),
        [
            "Printers by MX: Gmail will see SPF unknown, DKIM pass aligned, DMARC pass \
          (p=quarantine)."
        ]
    );
}

#[test]
fn a_bounce_domain_takes_the_envelope_and_a_domain_of_ours_takes_both() {
    let bounces = "bounce_domain = \"bounce.contoso.test\"\nmailbox_host = \"10.1.0.20\"";
    let lines = [
        "bounce.contoso.test MX relay.provider.test",
        "bounce.contoso.test TXT v=spf1 ip4:192.0.2.1 -all",
        "_dmarc.contoso.test TXT v=DMARC1; p=reject; aspf=s",
    ];
    let mut desk = desk(bounces, "");
    let found = desk.look(&lines);
    assert_eq!(
        record(&found, "bounce-mx").0,
        "bounce.contoso.test MX 10 relay.provider.test"
    );
    assert_eq!(
        record(&found, "mx").0,
        "contoso.test MX 10 relay.provider.test"
    );
    assert_eq!(
        record(&found, "mta-sts").0.split(';').next(),
        Some("_mta-sts.contoso.test TXT v=STSv1")
    );
    assert!(
        found
            .policy_file
            .as_ref()
            .is_some_and(|it| it.text.contains("mx: relay.provider.test"))
    );
    assert!(check(&found, "spf").1, "the root's record is advice now");
    assert_eq!(check(&found, "bounce-spf").0, Outcome::Good);
    assert_eq!(
        predictions(&found),
        ["Printers by MX: Gmail will see SPF pass not aligned, DKIM none, DMARC fail (p=reject)."],
        "strict alignment wants the very domain"
    );
    desk.site.zone = Some(name("relay.provider.test"));
    let found = desk.look(&[]);
    assert_eq!(
        record(&found, "bounce").0,
        "bounce.contoso.test CNAME bounce.relay.provider.test"
    );
    assert_eq!(
        record(&found, "dkim").0,
        "r1._domainkey.contoso.test CNAME r1.contoso.test.dkim.relay.provider.test"
    );
    assert_eq!(
        record(&found, "spf").0,
        "contoso.test TXT v=spf1 include:spf.relay.provider.test ~all"
    );
}

#[test]
fn a_smart_hosts_provider_is_what_spf_must_include() {
    let connector = "[[organisation.outbound_connector]]\nname = \"Microsoft 365\"\n\
                     smart_hosts = [\"contoso-test.mail.protection.outlook.com\"]\n";
    let found = desk("", connector).look(&[]);
    assert_eq!(
        record(&found, "spf").0,
        "contoso.test TXT v=spf1 include:spf.protection.outlook.com ~all"
    );
    let lines = [
        "contoso.test TXT v=spf1 include:spf.protection.outlook.com -all",
        "spf.protection.outlook.com TXT v=spf1 ip4:198.51.100.0/24 -all",
    ];
    let found = desk("", connector).look(&lines);
    assert_eq!(check(&found, "spf").0, Outcome::Good);
    assert!(
        found.checks.iter().all(|it| it.name != "ptr"),
        "not our addresses"
    );
    assert_eq!(
        predictions(&found),
        ["Printers by Microsoft 365: Gmail will see SPF pass aligned, DKIM none, DMARC none."]
    );
}

fn spf_proposed(found: &Assessment) -> Vec<String> {
    let records = found.records.iter().filter(|it| it.purpose == "spf");
    records
        .map(relais_policy::desk::ProposedRecord::value)
        .collect()
}

#[test]
fn a_record_that_would_let_nobody_send_is_not_proposed() {
    let connector = "[[organisation.outbound_connector]]\nname = \"Provider\"\n\
                     smart_hosts = [\"smtp.provider.example\"]\n";
    let desk = desk("", connector);
    let needed = "Mail leaves by smtp.provider.example, and what SPF needs for that is not known \
                  here: the record must have the include that the provider names, or the host's \
                  addresses if it is yours.";
    let found = desk.look(&[]);
    assert_eq!(spf_proposed(&found), [""; 0]);
    let notes: Vec<_> = found.notes.iter().map(|it| it.english.as_str()).collect();
    assert_eq!(notes, [needed]);
    let (outcome, _, words) = check(&found, "spf");
    let expected = format!("contoso.test has no SPF record. {needed}");
    assert_eq!((outcome, words), (Outcome::Absent, expected));
    // What is there already stays.
    let found = desk.look(&["contoso.test TXT v=spf1 ip4:198.51.100.0/24 -all"]);
    assert_eq!(spf_proposed(&found), [""; 0]);
    let (outcome, is_ok, words) = check(&found, "spf");
    let expected = format!("SPF of contoso.test has no mistake; 0 of 10 look-ups. {needed}");
    assert_eq!((outcome, is_ok, words), (Outcome::Good, true, expected));
}

#[test]
fn an_unknown_provider_beside_a_known_one_is_told_of_too() {
    let connectors = "[[organisation.outbound_connector]]\nname = \"Microsoft 365\"\n\
                      smart_hosts = [\"contoso-test.mail.protection.outlook.com\"]\n\
                      [[organisation.outbound_connector]]\nname = \"Provider\"\n\
                      recipient_domains = [\"example.org\"]\n\
                      smart_hosts = [\"smtp.provider.example\"]\n";
    let found = desk("", connectors).look(&[]);
    assert_eq!(
        spf_proposed(&found),
        ["v=spf1 include:spf.protection.outlook.com ~all"]
    );
    let words = &found.records.iter().find(|it| it.purpose == "spf");
    let words = words
        .map(|it| it.words.english.as_str())
        .unwrap_or_default();
    assert!(
        words.contains("Mail leaves by smtp.provider.example"),
        "{words}"
    );
    assert!(found.notes.is_empty());
}

#[test]
fn our_address_stands_in_a_record_once_it_is_known() {
    let mut desk = desk("", "");
    desk.site
        .source_addresses
        .retain(|address| address.to_string() == "10.0.0.5");
    for lines in [&[][..], &["relay.provider.test A 10.0.0.5"]] {
        let found = desk.look(lines);
        assert_eq!(spf_proposed(&found), [""; 0]);
        let notes: Vec<_> = found.notes.iter().map(|it| it.english.as_str()).collect();
        assert_eq!(
            notes,
            [
                "Our public address is not known yet, so no SPF record can name it: set [deliver] \
                 source_addresses, or publish addresses of relay.provider.test."
            ]
        );
    }
    for line in [
        "relay.provider.test A 192.0.2.1",
        "relay.provider.test FAIL",
    ] {
        let found = desk.look(&[line]);
        assert_eq!(spf_proposed(&found), ["v=spf1 a:relay.provider.test ~all"]);
        assert!(found.notes.is_empty());
    }
    let found = desk.look(&["contoso.test TXT v=spf1 ip4:198.51.100.0/24 -all"]);
    assert_eq!(spf_proposed(&found), [""; 0]);
    assert_eq!(
        check(&found, "spf").0,
        Outcome::Unknown,
        "it may let us send"
    );
    // A private address of a connector is seen by nobody outside.
    let connector = "[[organisation.outbound_connector]]\nname = \"Bulk\"\n\
                     source_addresses = [\"10.0.0.9\"]\n";
    let found = self::desk("", connector).look(&[]);
    assert_eq!(spf_proposed(&found), ["v=spf1 ip4:192.0.2.1 ~all"]);
}

#[test]
fn a_connector_with_addresses_of_its_own_is_judged_by_them() {
    let connector = "[[organisation.outbound_connector]]\nname = \"Bulk\"\n\
                     recipient_domains = [\"example.org\"]\nsource_addresses = [\"192.0.2.9\"]\n";
    let lines = ["contoso.test TXT v=spf1 ip4:192.0.2.1 -all"];
    let found = desk("", connector).look(&lines);
    assert_eq!(
        predictions(&found),
        [
            "Printers by Bulk: Gmail will see SPF fail, DKIM none, DMARC none.",
            "Printers by MX: Gmail will see SPF pass aligned, DKIM none, DMARC none."
        ]
    );
    let merged = "contoso.test TXT v=spf1 ip4:192.0.2.1 ip4:192.0.2.9 -all";
    assert_eq!(record(&found, "spf").0, merged);
}

#[test]
fn without_dns_a_set_is_proposed_all_the_same() {
    let (desk, key) = (desk("", ""), key());
    let found = propose(&desk.subject(&key));
    assert_eq!(found.records.len(), 4);
    assert!(found.records.iter().all(|it| it.state.name() == "unknown"));
}

#[test]
fn a_long_key_is_cut_into_strings_in_a_zone_file() {
    let mut desk = desk("", "");
    desk.keys[0].public = "A".repeat(400);
    let key = key();
    let found = propose(&desk.subject(&key));
    let data = found.records[2].zone_data();
    let strings: Vec<_> = data
        .split("\" \"")
        .map(|it| it.trim_matches('"').len())
        .collect();
    assert_eq!(strings, [255, 163]);
}

#[test]
fn a_key_that_signs_and_has_gone_from_dns_fails_where_one_that_waits_is_none() {
    let mut desk = desk("", "");
    let spf = "contoso.test TXT v=spf1 ip4:192.0.2.1 -all";
    desk.keys[0].state = KeyState::Active;
    let found = desk.look(&[spf]);
    let expected = "Printers by MX: Gmail will see SPF pass aligned, DKIM fail, DMARC none.";
    assert_eq!(predictions(&found), [expected]);
    let key = "r1._domainkey.contoso.test TXT v=DKIM1; k=rsa; p=BBBB";
    let other = desk.look(&[spf, key]);
    assert_eq!(check(&other, "dkim").0, Outcome::Wrong);
}

#[test]
fn what_customers_lead_to_stands_in_our_zone() {
    let mut desk = desk("", "");
    desk.site.zone = Some(name("provider.test"));
    let keys = [(name("contoso.test"), desk.keys.clone())];
    let servers = [name("ns1.provider.test"), name("ns.other.test")];
    let addresses = ["192.0.2.1".parse().expect("an address")];
    let entries = zone_entries(&desk.site, &servers, &addresses, &keys);
    let text = |text: &str| ZoneEntry::Text(text.to_owned());
    let expected = [
        ("spf.provider.test", text("v=spf1 ip4:192.0.2.1 -all")),
        (
            "bounce.provider.test",
            ZoneEntry::Mx(10, "relay.provider.test".to_owned()),
        ),
        ("bounce.provider.test", text("v=spf1 ip4:192.0.2.1 -all")),
        ("ns1.provider.test", ZoneEntry::Address(addresses[0])),
        ("relay.provider.test", ZoneEntry::Address(addresses[0])),
        (
            "r1.contoso.test.dkim.provider.test",
            text("v=DKIM1; k=rsa; p=AAAA"),
        ),
    ];
    let expected = expected.map(|(name, entry)| (name.to_owned(), entry));
    assert_eq!(entries, expected);
    // With it in DNS, everything that the customer publishes is right.
    let lines = [
        "spf.provider.test TXT v=spf1 ip4:192.0.2.1 -all",
        "contoso.test TXT v=spf1 include:spf.provider.test ~all",
        "r1._domainkey.contoso.test TXT v=DKIM1; k=rsa; p=AAAA",
    ];
    let found = desk.look(&lines);
    for name in ["spf", "zone", "dkim"] {
        assert_eq!(
            check(&found, name).0,
            Outcome::Good,
            "{:?}",
            check(&found, name)
        );
    }
    assert_eq!(check(&desk.look(&lines[1..]), "zone").0, Outcome::Absent);
}

#[test]
fn a_policy_that_we_show_is_announced_with_its_version_and_leads_to_us() {
    let domain = "mailbox_host = \"10.1.0.20:25\"\nmta_sts = { mode = \"enforce\" }\n";
    let mut desk = desk(domain, "");
    desk.site.shows_policies = true;
    let found = desk.look(&["relay.provider.test A 192.0.2.1"]);
    let (text, state) = record(&found, "mta-sts");
    let id = text
        .split("id=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    let id = id.expect("an id").to_owned();
    assert_eq!(*state, RecordState::Absent);
    let file = found.policy_file.as_ref().expect("a policy");
    assert!(
        file.text
            .contains("mode: enforce\nmx: relay.provider.test\n"),
        "{}",
        file.text
    );
    assert_eq!(
        record(&found, "mta-sts-host").0,
        "mta-sts.contoso.test CNAME relay.provider.test"
    );
    let announced = format!("_mta-sts.contoso.test TXT v=STSv1; id={id};");
    let lines = [
        "relay.provider.test A 192.0.2.1",
        "mta-sts.contoso.test A 192.0.2.1",
        &announced,
    ];
    let found = desk.look(&lines);
    assert_eq!(*record(&found, "mta-sts").1, RecordState::Right);
    assert_eq!(*record(&found, "mta-sts-host").1, RecordState::Right);
    // An old version: senders would keep the old policy.
    let old = "_mta-sts.contoso.test TXT v=STSv1; id=20200101;";
    let found = desk.look(&["mta-sts.contoso.test A 198.51.100.9", lines[0], old]);
    assert_eq!(*record(&found, "mta-sts").1, RecordState::Absent);
    assert!(matches!(
        record(&found, "mta-sts-host").1,
        RecordState::Differs(_)
    ));
}
