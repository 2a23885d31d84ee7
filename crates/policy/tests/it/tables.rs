//! One test per table.

use std::collections::BTreeSet;

use relais_policy::attribution::Attribution;
use relais_policy::encryption::Demand;
use relais_policy::login::{LoginPlace, credential_of_token, login_place, may_log_in};
use relais_policy::notice::{Addressee, addressee};
use relais_policy::outcome::{
    Judgement, Outcome, Scope, judge_broken, judge_reply, judge_unsuited,
};
use relais_policy::permission::{
    HeaderFromVerdict, header_from, may_deliver_to, may_greet, may_send,
};
use relais_policy::route::{Mx, MxHosts, RouteKind, RouteSource, mx_hosts, route};
use relais_policy::settings::Mode;
use relais_policy::source::{
    Listed, Listing, ReverseNames, Verdict, check_source, sign_of_dynamic,
};
use relais_smtp::address::Host;
use relais_smtp::client::{Protocol, Stage, Unsuited};
use relais_smtp::content::Preset;
use relais_smtp::domain::Domain;
use relais_smtp::header::FromField;
use relais_smtp::reply::Reply;
use relais_smtp::time::Timestamp;

use crate::world::{
    Worlds, attributed, build, certificate, facts, forward_path, mailbox, refused, reverse_path,
    rows,
};

/// Compares every row and shows all that differ.
fn check(table: &str, answer: impl Fn(&Worlds, &[&str]) -> String, expected: usize) {
    let worlds = Worlds::new();
    let mut wrong = Vec::new();
    for row in rows(table) {
        let cells = row.iter().map(String::as_str).collect::<Vec<_>>();
        let found = answer(&worlds, &cells);
        if found != cells[expected] {
            wrong.push(format!("{}\n    found: {found}", cells.join(" | ")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn attribution() {
    let table = include_str!("../tables/attribution.md");
    let facts_of = |row: &[&str]| {
        let mut facts = facts(row[1]);
        facts.certificate = (!row[2].is_empty()).then(|| certificate(row[2]));
        facts.credential = (!row[3].is_empty()).then(|| row[3].to_owned());
        facts
    };
    let name = |worlds: &Worlds, row: &[&str]| {
        let found = attributed(worlds.get(row[0]), &facts_of(row));
        let Some(connector) = found.connector() else {
            return "stranger".to_owned();
        };
        let owner = match row[0] {
            "hosted" => format!("{} ", connector.organisation.name),
            _ => String::new(),
        };
        let all = match found {
            Attribution::FactorMissing { .. } => ", not all",
            Attribution::Connector { .. } | Attribution::Stranger => "",
        };
        format!("{owner}{}{all}", connector.connector.name)
    };
    check(table, name, 4);
    let because = |worlds: &Worlds, row: &[&str]| {
        let facts = facts_of(row);
        attributed(worlds.get(row[0]), &facts).describe(&facts)
    };
    check(table, because, 5);
}

#[test]
fn sender() {
    let answer = |worlds: &Worlds, row: &[&str]| {
        let (settings, facts) = (worlds.get(row[0]), facts(row[1]));
        let found = attributed(settings, &facts);
        let permit = match may_send(settings, &found, &facts, &reverse_path(row[2])) {
            Ok(permit) => permit,
            Err(refusal) => return refused(&refusal),
        };
        let look_up = permit
            .look_up
            .map(|domain| format!(", if {domain} takes mail"));
        let look_up = look_up.unwrap_or_default();
        if permit.stranger {
            return format!("stranger{look_up}");
        }
        let size = permit
            .size_octets_max
            .map(|size| format!(", {size} octets"));
        let preset = permit.preset.map(|preset| match preset {
            Preset::Strict => ", strict",
            Preset::Tolerant => ", tolerant",
        });
        let given = reverse_path(row[2]);
        let instead = match permit.reverse_path.mailbox() {
            Some(mailbox) if permit.reverse_path != given => format!(", as {mailbox}"),
            _ => String::new(),
        };
        format!(
            "permit{instead}{}{}{look_up}",
            size.unwrap_or_default(),
            preset.unwrap_or_default()
        )
    };
    check(include_str!("../tables/sender.md"), answer, 3);
}

#[test]
fn recipient() {
    let answer = |worlds: &Worlds, row: &[&str]| {
        let (settings, facts) = (worlds.get(row[0]), facts(row[1]));
        let found = attributed(settings, &facts);
        let previous = (!row[2].is_empty()).then_some(row[2]);
        match may_deliver_to(settings, &found, &facts, &forward_path(row[3]), previous) {
            Ok(permit) => format!("{} {}", permit.organisation, permit.mailbox),
            Err(refusal) => refused(&refusal),
        }
    };
    check(include_str!("../tables/recipient.md"), answer, 4);
}

#[test]
fn header_from_of_content() {
    let answer = |worlds: &Worlds, row: &[&str]| {
        let (settings, facts) = (worlds.get(row[0]), facts(row[1]));
        let from = match row[3] {
            "missing" => FromField::Missing,
            "unreadable" => FromField::Unreadable,
            list => FromField::Addresses(list.split(", ").map(mailbox).collect()),
        };
        let found = attributed(settings, &facts);
        match header_from(settings, &found, &facts, &reverse_path(row[2]), &from) {
            HeaderFromVerdict::Permit => "permit".to_owned(),
            HeaderFromVerdict::Flag { domain } => format!("flag {domain}"),
            HeaderFromVerdict::Repair { from } => format!("repair {from}"),
            HeaderFromVerdict::Refuse(refusal) => refused(&refusal),
        }
    };
    check(include_str!("../tables/header_from.md"), answer, 4);
}

#[test]
fn login() {
    let now = Timestamp::parse_rfc3339("2026-11-29T12:00:00Z").expect("a time");
    let answer = |worlds: &Worlds, row: &[&str]| match may_log_in(
        worlds.get(row[0]),
        &facts(row[1]),
        row[2],
        now,
    ) {
        Ok(_) => "permit".to_owned(),
        Err(refusal) => refused(&refusal),
    };
    check(include_str!("../tables/login.md"), answer, 3);
}

#[test]
fn login_places() {
    let answer = |worlds: &Worlds, row: &[&str]| {
        let (settings, facts) = (worlds.get(row[0]), facts(row[1]));
        let place = login_place(settings, &attributed(settings, &facts), &facts);
        match place {
            LoginPlace::Nowhere => "nowhere",
            LoginPlace::AfterTls => "after TLS",
            LoginPlace::Here => "here",
        }
        .to_owned()
    };
    check(include_str!("../tables/login_place.md"), answer, 2);
}

#[test]
fn clear_text_for_those_known_by_credential_alone_is_offered_to_private_addresses() {
    let text = "[[organisation]]\nname = \"a\"\n[[organisation.inbound_connector]]\n\
        name = \"Machines\"\ncleartext_auth = true\n[[organisation.credential]]\n\
        user = \"plc\"\ninbound_connector = \"Machines\"\n";
    let settings = build(Mode::Lan, text);
    let place = |client: &str| {
        let facts = facts(client);
        login_place(&settings, &attributed(&settings, &facts), &facts)
    };
    assert_eq!(place("192.168.7.9"), LoginPlace::Here);
    assert_eq!(place("203.0.113.9"), LoginPlace::AfterTls);
}

#[test]
fn a_token_speaks_for_the_credential_of_its_name() {
    let settings = build(
        Mode::Lan,
        "[[organisation]]\nname = \"a\"\n[[organisation.inbound_connector]]\nname = \"Apps\"\n\
         [[organisation.credential]]\nuser = \"erp\"\ninbound_connector = \"Apps\"\n\
         may_send_as = [\"Erp@a.test\", \"shared@a.test\"]\n\
         [[organisation.credential]]\nuser = \"crm\"\ninbound_connector = \"Apps\"\n\
         may_send_as = [\"*@a.test\", \"shared@a.test\"]\n",
    );
    let user = |names: &[&str], named: Option<&str>| {
        credential_of_token(&settings, names, named).map(|one| one.user.as_str())
    };
    assert_eq!(user(&["erp"], None), Some("erp"));
    assert_eq!(user(&["x", "ERP@a.test"], Some("erp@A.test")), Some("erp"));
    assert_eq!(user(&["erp@a.test"], Some("erp")), Some("erp"));
    assert_eq!(user(&["erp@a.test"], Some("crm")), None);
    assert_eq!(user(&["shared@a.test"], None), None, "it may be either");
    assert_eq!(user(&["anna@a.test"], None), None);
    assert_eq!(user(&["*@a.test"], None), None, "no address");
    assert_eq!(user(&[], Some("erp")), None);
}

#[test]
fn greeting() {
    let ourselves = ["relay.contoso.test", "mx.contoso.test"].map(|n| Domain::parse(n).unwrap());
    let answer = |worlds: &Worlds, row: &[&str]| {
        let facts = facts(row[1]);
        let found = attributed(worlds.get(row[0]), &facts);
        match may_greet(&found, &facts, row[2], &ourselves) {
            Ok(()) => "permit".to_owned(),
            Err(refusal) => refused(&refusal),
        }
    };
    check(include_str!("../tables/greeting.md"), answer, 3);
}

#[test]
fn routes() {
    let answer = |worlds: &Worlds, row: &[&str]| {
        let host = mailbox(&format!("a@{}", row[2])).host().clone();
        let source = RouteSource::default();
        let route = route(worlds.get(row[0]), row[1], &host, &source);
        let way = match &route.kind {
            RouteKind::Hosts(hosts) => hosts
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            RouteKind::Mx {
                domain,
                without_ourselves,
            } => {
                assert!(without_ourselves, "nothing else ends a loop");
                format!("mx {domain}")
            }
            RouteKind::Literal(address) => format!("literal {address}"),
            RouteKind::Bounces => "taken in".to_owned(),
        };
        let protocol = match route.protocol {
            Protocol::Smtp => "",
            Protocol::Lmtp => "lmtp ",
        };
        let connector = route.outbound_connector.map(|name| format!("{name}: "));
        format!(
            "{}{protocol}{way} | {}",
            connector.unwrap_or_default(),
            route.because
        )
    };
    // An address literal leaves only by a connector that names it: none does.
    check(include_str!("../tables/route.md"), answer, 3);
}

#[test]
fn a_connector_gives_its_route_tls_pace_and_retry() {
    let worlds = Worlds::new();
    let host = Host::Domain(Domain::parse("example.org").unwrap());
    let route = route(worlds.get("lan"), "contoso", &host, &RouteSource::default());
    let connector = worlds
        .get("lan")
        .outbound_connector("contoso", "Partner")
        .unwrap();
    let demand = Demand::of_connector(connector.tls, &connector.tls_domain);
    assert_eq!(route.tls, demand);
    assert!(demand.needs_tls());
    assert_eq!(route.pace, connector.pace);
    assert_eq!(route.retry, connector.retry);
    assert_ne!(route.retry, Default::default());
}

#[test]
fn an_inbound_connector_leads_all_its_mail_one_way_as_long_as_that_is_open() {
    let text = |state: &str| {
        format!(
            "[[organisation]]\nname = \"contoso\"\n\
             [[organisation.inbound_connector]]\nname = \"Printers\"\n\
             outbound_connector = \"Partner\"\n\
             [[organisation.inbound_connector]]\nname = \"Others\"\n\
             [[organisation.outbound_connector]]\nname = \"All\"\n\
             [[organisation.outbound_connector]]\nname = \"Partner\"\nstate = \"{state}\"\n\
             recipient_domains = [\"partner.test\"]\n"
        )
    };
    let host = Host::Domain(Domain::parse("example.org").unwrap());
    for (state, inbound, outbound) in [
        ("enabled", "Printers", "Partner"),
        ("enabled", "Others", "All"),
        ("disabled", "Printers", "All"),
    ] {
        let settings = build(Mode::Lan, &text(state));
        let source = RouteSource::of(&settings, "contoso", Some(inbound), None);
        // As it is kept with the queue.
        let source = RouteSource::parse(&source.to_string());
        let route = route(&settings, "contoso", &host, &source);
        assert_eq!(
            route.outbound_connector.as_deref(),
            Some(outbound),
            "{state} {inbound}"
        );
    }
}

#[test]
fn mx_records() {
    let ourselves = [Domain::parse("relay.contoso.test").unwrap()];
    let domain = Domain::parse("example.org").unwrap();
    let answer = |_: &Worlds, row: &[&str]| {
        let records = row[0]
            .split(", ")
            .filter(|text| !text.is_empty())
            .map(|text| {
                let (preference, name) = text.split_once(' ').expect("preference and host");
                let exchange = (name != ".").then(|| Domain::parse(name).unwrap());
                Mx {
                    preference: preference.parse().expect("a preference"),
                    exchange,
                }
            });
        let names = |group: &Vec<Domain>| {
            group
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        match mx_hosts(&domain, &records.collect::<Vec<_>>(), &ourselves) {
            MxHosts::Hosts(groups) => groups.iter().map(names).collect::<Vec<_>>().join(" / "),
            MxHosts::NullMx => "null MX".to_owned(),
            MxHosts::OnlyOurselves => "only ourselves".to_owned(),
        }
    };
    check(include_str!("../tables/mx.md"), answer, 1);
}

#[test]
fn a_domain_that_is_our_own_name_without_mx_is_a_loop() {
    let ourselves = Domain::parse("relay.contoso.test").unwrap();
    assert_eq!(
        mx_hosts(&ourselves, &[], std::slice::from_ref(&ourselves)),
        MxHosts::OnlyOurselves
    );
}

#[test]
fn mx_hosts_are_bounded_and_the_best_are_kept() {
    let records = (0..100_u16).rev().map(|preference| {
        let exchange = Some(Domain::parse(&format!("mx{preference}.example")).unwrap());
        Mx {
            preference,
            exchange,
        }
    });
    let domain = Domain::parse("example.org").unwrap();
    let MxHosts::Hosts(groups) = mx_hosts(&domain, &records.collect::<Vec<_>>(), &[]) else {
        panic!("hosts");
    };
    assert_eq!(groups.len(), relais_policy::route::MX_HOSTS_MAX);
    assert_eq!(groups[0][0].as_str(), "mx0.example");
}

fn judged(judgement: &Judgement) -> String {
    let outcome = match judgement.outcome {
        Outcome::Delivered => "delivered",
        Outcome::Deferred => "deferred",
        Outcome::Failed => "failed",
    };
    let scope = match judgement.scope {
        Scope::Recipient => "recipient",
        Scope::RestOfTransaction => "rest",
        Scope::Message => "message",
        Scope::Host => "host",
        Scope::Session => "session",
    };
    format!("{outcome} {scope} {}", judgement.status)
}

fn stage(name: &str) -> Stage {
    match name {
        "connect" => Stage::Connect,
        "greeting" => Stage::Greeting,
        "hello" => Stage::Hello,
        "starttls" => Stage::StartTls,
        "auth" => Stage::Auth,
        "sender" => Stage::Sender,
        "recipient" => Stage::Recipient,
        "data" => Stage::Data,
        "content" => Stage::Content,
        other => panic!("no stage {other}"),
    }
}

#[test]
fn outcomes() {
    let mut wrong = Vec::new();
    for row in rows(include_str!("../tables/outcome.md")) {
        let judgement = match row[1].as_str() {
            "no SMTPUTF8" => judge_unsuited(Unsuited::SmtpUtf8),
            "no 8BITMIME" => judge_unsuited(Unsuited::EightBit),
            "SIZE exceeded" => judge_unsuited(Unsuited::TooBig { limit: 1 }),
            "no REQUIRETLS" => judge_unsuited(Unsuited::RequireTls),
            "broken" => judge_broken(stage(&row[0])),
            reply => judge_reply(
                stage(&row[0]),
                &Reply::parse_stored(reply).expect("a reply"),
            ),
        };
        let expected = row[2..5].join(" ");
        if judged(&judgement) != expected {
            wrong.push(format!(
                "{}\n    found: {}",
                row.join(" | "),
                judged(&judgement)
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_reply_is_final_without_word_on_the_message_and_classes_agree() {
    for code in 200..=599_u16 {
        for stage in [
            Stage::Connect,
            Stage::Greeting,
            Stage::Hello,
            Stage::StartTls,
            Stage::Auth,
            Stage::Sender,
            Stage::Recipient,
            Stage::Data,
            Stage::Content,
        ] {
            for status in ["", " 2.1.0", " 4.2.2", " 5.1.1", " 5.5.3"] {
                let reply = Reply::parse_stored(&format!("{code}{status} text")).expect("a reply");
                let judgement = judge_reply(stage, &reply);
                let class = match judgement.outcome {
                    Outcome::Delivered => 2,
                    Outcome::Deferred => 4,
                    Outcome::Failed => 5,
                };
                assert_eq!(judgement.status.class, class, "{stage:?} {reply}");
                let is_early = matches!(
                    stage,
                    Stage::Connect | Stage::Greeting | Stage::Hello | Stage::StartTls | Stage::Auth
                );
                assert!(
                    !is_early || judgement.outcome == Outcome::Deferred,
                    "{stage:?} {reply}"
                );
                let is_yes = code < 300 && stage == Stage::Content;
                assert_eq!(
                    judgement.outcome == Outcome::Delivered,
                    is_yes,
                    "{stage:?} {reply}"
                );
                let may_fail = code >= 500;
                assert!(
                    may_fail || judgement.outcome != Outcome::Failed,
                    "{stage:?} {reply}"
                );
            }
        }
    }
}

#[test]
fn notices() {
    let answer = |worlds: &Worlds, row: &[&str]| {
        let connector = (!row[2].is_empty()).then_some(row[2]);
        let (who, language) =
            addressee(worlds.get(row[0]), row[1], connector, &reverse_path(row[3]));
        let language = match language {
            relais_policy::document::Language::English => "en",
            relais_policy::document::Language::French => "fr",
        };
        match who {
            Addressee::ReversePath(mailbox) => format!("reverse-path ({language}): {mailbox}"),
            Addressee::Owner(mailbox) => format!("owner ({language}): {mailbox}"),
            Addressee::Postmaster(mailbox) => format!("postmaster ({language}): {mailbox}"),
            Addressee::Nobody { because } => format!("nobody ({language}): {because}"),
        }
    };
    check(include_str!("../tables/notice.md"), answer, 4);
}

#[test]
fn sources() {
    let answer = |worlds: &Worlds, row: &[&str]| {
        let settings = worlds.get(row[0]);
        let reverse = match row[3] {
            "-" => ReverseNames::None,
            "?" => ReverseNames::Unknown("no answer in time".to_owned()),
            name => ReverseNames::Names(vec![Domain::parse(name).expect("a name")]),
        };
        let list = Domain::parse("list.test").expect("a name");
        let listing = Listing {
            list,
            answer: match row[4] {
                "" => Listed::No,
                code => Listed::of_codes(vec![code.parse().expect("an address")]),
            },
        };
        let report = check_source(settings, row[1], &facts(row[2]), &reverse, &[listing]);
        let covering = report.connector.as_ref().map(|one| {
            let needs = one
                .detail
                .split_once("need a ")
                .map(|(_, rest)| rest.split(' ').next());
            let needs = needs.flatten().map(|factor| format!(", needs {factor}"));
            let state = format!("{:?}", one.state).to_lowercase();
            format!("{} {state}{}", one.name, needs.unwrap_or_default())
        });
        let checks = report
            .checks
            .iter()
            .filter_map(|check| match check.verdict {
                Verdict::Good => None,
                Verdict::Bad => Some(format!("{} bad", check.check)),
                Verdict::Unknown => Some(format!("{} unknown", check.check)),
            });
        let parts = covering.into_iter().chain(checks).collect::<Vec<_>>();
        let is_bad = parts.iter().any(|part| part.ends_with(" bad"));
        assert_eq!(report.ok, !is_bad, "{row:?}");
        parts.join(", ")
    };
    check(include_str!("../tables/source.md"), answer, 5);
}

#[test]
fn dynamic_names() {
    let answer = |_: &Worlds, row: &[&str]| {
        let address = row[0].parse().expect("an address");
        let name = Domain::parse(row[1]).expect("a name");
        sign_of_dynamic(address, &name).unwrap_or_default()
    };
    check(include_str!("../tables/dynamic.md"), answer, 2);
}

#[test]
fn every_refusal_that_a_decision_gives_stands_in_a_table() {
    let tables = [
        include_str!("../tables/sender.md"),
        include_str!("../tables/recipient.md"),
        include_str!("../tables/header_from.md"),
        include_str!("../tables/greeting.md"),
        include_str!("../tables/login.md"),
    ];
    let tokens = tables
        .iter()
        .flat_map(|table| rows(table))
        .filter_map(|row| {
            let (_, token) = row.last()?.strip_suffix(')')?.rsplit_once('(')?;
            Some(token.to_owned())
        });
    let expected = [
        "AUTH-BAD",
        "AUTH-DISABLED",
        "AUTH-REQUIRED",
        "AUTH-SRC",
        "AUTH-TLS",
        "AUTH-TLSLEVEL",
        "CERT-EXPIRED",
        "CERT-NOMATCH",
        "CERT-UNTRUSTED",
        "CONN-OFF",
        "FROM-DENIED",
        "FROM-DOMAIN",
        "FROM-LAPSED",
        "FROM-NULL",
        "HDR-DOMAIN",
        "HDR-FROM",
        "HELO-FORGED",
        "RCPT-MANY",
        "RCPT-SCOPE",
        "RCPT-UNKNOWN",
        "SANDBOX",
        "SRC-SHARED",
        "SRC-UNKNOWN",
        "TLS-REQUIRED",
    ];
    assert_eq!(
        tokens.collect::<BTreeSet<_>>(),
        expected.iter().map(|token| (*token).to_owned()).collect()
    );
}

#[test]
fn of_connectors_that_fit_a_domain_equally_the_one_that_asks_for_the_source_is_taken() {
    let out = |name: &str, lines: &str| {
        format!("[[organisation.outbound_connector]]\nname = \"{name}\"\n{lines}\n")
    };
    let text = [
        "[[organisation]]\nname = \"contoso\"\n[[organisation.domain]]\nname = \"contoso.test\"\n\
         verification = \"assumed\"\nsubdomains = true\n[[organisation.domain]]\nname = \
         \"news.test\"\nverification = \"assumed\"\n[[organisation.inbound_connector]]\nname = \
         \"ERP\"\nsender_ip_addresses = [\"10.1.3.0/24\"]\n[[organisation.inbound_connector]]\n\
         name = \"Printers\"\nsender_ip_addresses = [\"10.1.2.0/24\"]\n"
            .to_owned(),
        out("All", "smart_hosts = [\"all.example\"]"),
        out(
            "News",
            "smart_hosts = [\"news.example\"]\nsender_domains = [\"news.test\"]",
        ),
        out(
            "Erp",
            "smart_hosts = [\"erp.example\"]\ninbound_connectors = [\"ERP\"]",
        ),
        out(
            "Both",
            "sender_domains = [\"*.contoso.test\"]\ninbound_connectors = [\"ERP\", \"Printers\"]",
        ),
        out("Exact", "recipient_domains = [\"example.org\"]"),
    ];
    let settings = build(Mode::Lan, &text.concat());
    for (to, from, by, expected) in [
        (
            "example.com",
            "contoso.test",
            Some("Printers"),
            "All takes every domain",
        ),
        (
            "example.com",
            "contoso.test",
            None,
            "All takes every domain",
        ),
        (
            "example.com",
            "news.test",
            Some("Printers"),
            "News takes every domain, for senders in news.test",
        ),
        (
            "example.com",
            "news.test",
            Some("ERP"),
            "Erp takes every domain, for what came by inbound connector ERP",
        ),
        (
            "example.com",
            "a.contoso.test",
            Some("Printers"),
            "Both takes every domain, for what came by inbound connector Printers and senders in \
             a.contoso.test",
        ),
        (
            "example.com",
            "a.contoso.test",
            Some("ERP"),
            "Both takes every domain, for what came by inbound connector ERP and senders in a.contoso.test",
        ),
        // The recipient's domain comes first.
        ("example.org", "news.test", Some("ERP"), "Exact names it"),
        // Nobody's own domain is no source.
        (
            "example.com",
            "fabrikam.test",
            Some("Printers"),
            "All takes every domain",
        ),
    ] {
        let from_domain = Domain::parse(from).expect("a domain");
        let source = RouteSource::of(&settings, "contoso", by, Some(&from_domain));
        let host = mailbox(&format!("a@{to}")).host().clone();
        let route = route(&settings, "contoso", &host, &source);
        assert_eq!(
            route.because,
            format!("outbound connector {expected}"),
            "{from} {by:?}"
        );
    }
    // What nobody asks for is not told apart.
    let printers = |from: &str| {
        let from = Domain::parse(from).expect("a domain");
        let source = RouteSource::of(&settings, "contoso", Some("Printers"), Some(&from));
        source.to_string()
    };
    assert_eq!(printers("contoso.test"), "- Printers");
    assert_eq!(printers("news.test"), "news.test Printers");
}
