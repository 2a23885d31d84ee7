//! What `relais simulate` says: the contract's JSON, and that it agrees with the decisions.

use relais_policy::attribution::Facts;
use relais_policy::bounce::{BounceToken, TokenFault};
use relais_policy::restriction::{Effect, Entity, Restriction, Restrictions};
use relais_policy::simulate::{Answer, Question, simulate};
use relais_smtp::identifier::{QueueId, Reference};
use relais_smtp::time::Timestamp;

use crate::world::{Worlds, facts, forward_path, mailbox, reverse_path, rows};

fn question(client: &str, from: &str, to: &str) -> Question {
    Question {
        facts: facts(client),
        reverse_path: reverse_path(from),
        forward_path: forward_path(to),
        header_from: None,
        size: None,
        size_octets_max: 50 << 20,
        returned: None,
        senders: std::collections::BTreeMap::new(),
    }
}

fn ask(question: &Question) -> Answer {
    ask_while(&Restrictions::default(), question)
}

fn ask_while(restrictions: &Restrictions, question: &Question) -> Answer {
    simulate(
        Worlds::new().get("lan"),
        &restrictions.in_force(Timestamp::from_millis(0)),
        question,
        Reference::from_bits(0),
    )
}

/// `question: answer (because)`, one a line.
fn steps(answer: &Answer) -> Vec<String> {
    let line = |step: &relais_policy::simulate::SimulationStep| {
        format!("{}: {} ({})", step.question, step.answer, step.because)
    };
    answer.steps.iter().map(line).collect()
}

#[test]
fn a_permitted_message_is_told_step_by_step() {
    let answer = ask(&question("10.1.2.9", "scan@contoso.test", "b@example.org"));
    assert_eq!(
        steps(&answer),
        [
            "attribution: ip 10.1.2.9 in 10.1.2.0/24 (longest prefix)",
            "tls: clear (the connector offers TLS)",
            "sender: scan@contoso.test (contoso.test is a verified domain of contoso)",
            "size: not given (at most 20971520 octets)",
            "recipient: b@example.org (example.org lies in recipient_domains)",
            "header-from: scan@contoso.test (in a verified domain)",
            "route: smart-host mx1.partner.test:25, [2001:db8::25]:2525 \
             (outbound connector Partner names it)",
            "signing: unsigned (DKIM of contoso.test waits until DNS shows a key: \
             relais dkim list)",
        ]
    );
    assert_eq!(
        serde_json::to_string(&Answer {
            steps: Vec::new(),
            ..answer
        })
        .unwrap(),
        concat!(
            r#"{"verdict":"permit","token":null,"reply":null,"organisation":"contoso","#,
            r#""inbound_connector":"Printers","outbound_connector":"Partner","#,
            r#""route":{"kind":"smart-host","hosts":["mx1.partner.test:25","#,
            r#""[2001:db8::25]:2525"]},"signed_by":[],"steps":[]}"#
        )
    );
}

#[test]
fn a_refused_message_ends_at_its_first_refusal() {
    let answer = ask(&question("10.1.2.9", "scan@fabrikam.test", "b@example.org"));
    assert_eq!(
        (answer.verdict, answer.token, answer.reply.as_deref()),
        (
            "refuse",
            Some("FROM-DOMAIN"),
            Some("550 5.7.1 Sender domain not verified: fabrikam.test (FROM-DOMAIN 22222)")
        )
    );
    assert_eq!(answer.organisation.as_deref(), Some("contoso"));
    assert_eq!(answer.route, None);
    assert_eq!(
        steps(&answer),
        [
            "attribution: ip 10.1.2.9 in 10.1.2.0/24 (longest prefix)",
            "tls: clear (the connector offers TLS)",
            "sender: refused (FROM-DOMAIN) (Sender domain not verified: fabrikam.test)",
        ]
    );
}

#[test]
fn each_step_can_refuse() {
    const TABLE: &str = "\
        10.1.2.66 a@contoso.test b@example.org - - attribution CONN-OFF
        10.1.5.1 a@contoso.test b@example.org - - attribution SRC-SHARED
        10.1.4.1 a@contoso.test b@example.org - - tls TLS-REQUIRED
        10.9.9.9 a@example.org b@example.org - - sender FROM-DOMAIN
        10.9.9.9 a@contoso.test b@example.org - 22000000 size SIZE
        10.1.2.9 a@contoso.test b@example.com - - recipient RCPT-SCOPE
        192.0.2.9 a@example.org b@example.org - - recipient SRC-UNKNOWN
        10.1.2.9 a@contoso.test b@example.org a@example.org - header-from HDR-DOMAIN";
    for row in TABLE.lines() {
        let cells = row.split_whitespace().collect::<Vec<_>>();
        let [client, from, to, header, size, step, token] = cells[..] else {
            panic!("{row}")
        };
        let mut question = question(client, from, to);
        question.header_from = (header != "-").then(|| mailbox(header));
        question.size = size.parse().ok();
        let answer = ask(&question);
        assert_eq!(answer.token, Some(token), "{client} {from} {to}");
        let last = answer.steps.last().expect("a step");
        assert_eq!(last.question, step, "{client} {from} {to}");
        assert!(last.answer.contains(token), "{}", last.answer);
        assert!(answer.reply.is_some_and(|reply| reply.contains(token)));
    }
}

#[test]
fn a_strangers_message_belongs_to_its_recipients_organisation() {
    let answer = ask(&question("192.0.2.9", "a@example.org", "anna@contoso.test"));
    assert_eq!(
        (answer.verdict, answer.inbound_connector.as_deref()),
        ("permit", None)
    );
    assert_eq!(answer.organisation.as_deref(), Some("contoso"));
    assert_eq!(answer.route.map(|route| route.kind), Some("mailbox-host"));
}

#[test]
fn repairs_and_flags_are_told() {
    let mut observed = question("10.1.3.1", "a@contoso.test", "anna@contoso.test");
    observed.header_from = Some(mailbox("b@example.org"));
    let lines = steps(&ask(&observed));
    assert_eq!(
        lines[5],
        "header-from: a@contoso.test instead of b@example.org \
         (b@example.org is not verified and goes to Reply-To)"
    );
    assert_eq!(
        lines[0],
        "attribution: ip 10.1.3.1 in 10.1.3.0/24 (longest prefix; observing)"
    );
    let mut flagged = question("10.9.9.9", "a@contoso.test", "b@example.org");
    flagged.header_from = Some(mailbox("b@example.org"));
    assert_eq!(
        steps(&ask(&flagged))[5],
        "header-from: b@example.org, flagged (example.org is not verified)"
    );
}

#[test]
fn an_empty_server_refuses_and_says_why() {
    let question = Question {
        facts: Facts::of_address("127.0.0.1".parse().unwrap()),
        ..question("127.0.0.1", "a@contoso.test", "b@example.org")
    };
    let answer = simulate(
        Worlds::new().get("empty"),
        &Restrictions::default().in_force(Timestamp::from_millis(0)),
        &question,
        Reference::from_bits(0),
    );
    assert_eq!(answer.token, Some("SRC-UNKNOWN"));
    assert_eq!(answer.organisation, None);
}

/// `ip 10.1.2.0/24 until 60`
fn restriction(text: &str) -> Restriction {
    let (text, until) = match text.split_once(" until ") {
        Some((text, second)) => (text, Some(at(second))),
        None => (text, None),
    };
    let (kind, value) = text.split_once(' ').expect("kind and value");
    let kind = kind.parse().expect("a kind");
    Restriction {
        entity: Entity::parse(kind, value).expect("a value of its kind"),
        effect: Effect::Refuse,
        evidence: Vec::new(),
        reason: "spam".to_owned(),
        by: "anna".to_owned(),
        since: Timestamp::from_millis(0),
        until,
    }
}

fn at(second: &str) -> Timestamp {
    Timestamp::from_millis(second.parse::<i64>().expect("a number") * 1_000)
}

#[test]
fn what_is_restricted_is_refused_and_the_rest_is_not() {
    let (worlds, reference) = (Worlds::new(), Reference::from_bits(0));
    let mut wrong = Vec::new();
    for row in rows(include_str!("../tables/restricted.md")) {
        let [restricted, second, client, from, to, expected] = row.as_slice() else {
            panic!("six cells: {row:?}");
        };
        let all = Restrictions::build(restricted.split("; ").map(restriction));
        let in_force = all.in_force(at(second));
        let answer = simulate(
            worlds.get("lan"),
            &in_force,
            &question(client, from, to),
            reference,
        );
        let found = answer.reply.map_or_else(
            || answer.verdict.to_owned(),
            |reply| reply.replace(&format!(" {reference})"), ")"),
        );
        if found != *expected {
            wrong.push(format!("{}\n    found: {found}", row.join(" | ")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_restriction_is_a_step_of_its_own() {
    let all = Restrictions::build([restriction("ip 10.1.2.9")]);
    let answer = ask_while(
        &all,
        &question("10.1.2.9", "a@contoso.test", "b@example.org"),
    );
    assert_eq!(
        steps(&answer),
        [
            "attribution: ip 10.1.2.9 in 10.1.2.0/24 (longest prefix)",
            "restricted: refused (IP-BLOCKED) (Client address blocked)",
        ]
    );
}

/// What AUTH would refuse, `simulate` refuses: the same function is asked.
#[test]
fn a_login_that_would_be_refused_is_refused() {
    for (client, expected) in [
        ("192.0.2.99 credential=erp tls", "permit"),
        ("192.0.2.99 credential=erp", "AUTH-TLS"),
        ("10.1.2.9 credential=nobody tls", "AUTH-BAD"),
    ] {
        let answer = ask(&question(client, "a@contoso.test", "b@example.org"));
        assert_eq!(answer.token.unwrap_or(answer.verdict), expected, "{client}");
    }
}

#[test]
fn a_signed_address_at_a_bounce_domain_is_taken_from_anybody_and_no_other() {
    let token = BounceToken {
        queue_id: QueueId::new(Timestamp::from_millis(1_795_910_400_000), 0, 1),
        recipient: None,
    };
    for (returned, expected) in [
        (
            Some(Ok(token)),
            "a signed envelope sender of contoso: about 0AP",
        ),
        (
            Some(Err(TokenFault::Forged)),
            "refused (RCPT-UNKNOWN) (its signature is not ours)",
        ),
        (
            Some(Err(TokenFault::Expired)),
            "refused (RCPT-UNKNOWN) (its time is over)",
        ),
        (
            None,
            "refused (RCPT-UNKNOWN) (its signature cannot be checked now)",
        ),
    ] {
        let asked = Question {
            returned,
            ..question(
                "198.51.100.7",
                "ben@example.org",
                "b1-x@bounce.contoso.test",
            )
        };
        let answer = simulate(
            Worlds::new().get("bounces"),
            &Restrictions::default().in_force(Timestamp::from_millis(0)),
            &asked,
            Reference::from_bits(0),
        );
        let steps = steps(&answer).join("\n");
        assert!(steps.contains(expected), "{steps}");
        let route = answer.route.as_ref().map(|route| route.kind);
        assert_eq!(route, expected.starts_with('a').then_some("bounces"));
    }
}
