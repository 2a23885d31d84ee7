//! Restricted entities: in force at once, told, audited, released.

use crate::support::{Answer, BEHIND_PROXY, CONTOSO, Place, Server, Session};

const DEVICE: &str = "10.1.2.9";

fn server() -> Server {
    let server = Place::new(BEHIND_PROXY).serve();
    let devices = CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]");
    server.apply(&devices).expect(0);
    server
}

#[track_caller]
fn block(server: &Server, kind: &str, value: &str) -> Answer {
    let arguments = ["restricted", "block", kind, value, "--reason", "bulk mail"];
    server.relais(&arguments).expect(0)
}

#[track_caller]
fn release(server: &Server, kind: &str, value: &str) {
    server
        .relais(&["restricted", "release", kind, value])
        .expect(0);
}

/// A session of the device, greeted.
#[track_caller]
fn device(server: &Server) -> Session {
    let mut session = server.session_from(DEVICE);
    let banner = session.hear();
    assert!(banner.starts_with("220 "), "{banner}");
    session.say("EHLO scan2");
    session
}

/// MAIL and RCPT; the first reply that is no 250, or the last.
#[track_caller]
fn try_mail(session: &mut Session) -> String {
    session.say("RSET");
    let reply = session.say("MAIL FROM:<scan@contoso.test>");
    if !reply.starts_with("250 ") {
        return reply;
    }
    session.say("RCPT TO:<b@example.org>")
}

#[test]
fn a_blocked_address_is_closed_at_connect_and_its_open_session_at_the_next_message() {
    let server = server();
    let mut open = device(&server);
    assert!(try_mail(&mut open).starts_with("250 "));
    let told = block(&server, "ip", "10.1.2.0/24").out;
    assert_eq!(told, "Blocked: ip 10.1.2.0/24, until it is released.\n");

    let reply = try_mail(&mut open);
    assert!(
        reply.starts_with("554 5.7.1 Client address blocked (IP-BLOCKED "),
        "{reply}"
    );
    assert_eq!(open.hear(), "", "closed");
    let mut fresh = server.session_from(DEVICE);
    assert!(fresh.hear().starts_with("554 5.7.1 Client address blocked"));
    assert_eq!(fresh.hear(), "", "closed");
    let mut other = server.session_from("203.0.113.7");
    assert!(other.hear().starts_with("220 "));

    release(&server, "ip", "10.1.2.0/24");
    assert!(try_mail(&mut device(&server)).starts_with("250 "));
}

#[test]
fn every_other_kind_is_refused_by_its_own_token_in_the_open_session() {
    let server = server();
    let mut session = device(&server);
    for (kind, value, expected) in [
        (
            "connector",
            "Printers",
            "550 5.7.1 Connector blocked, contact your administrator (CONN-BLOCKED ",
        ),
        (
            "organisation",
            "contoso",
            "550 5.7.1 Organization suspended (TENANT-BLOCKED ",
        ),
        (
            "address",
            "Scan@contoso.test",
            "550 5.7.1 Sender blocked (FROM-BLOCKED ",
        ),
        (
            "domain",
            "contoso.test",
            "550 5.7.1 Sender blocked (FROM-BLOCKED ",
        ),
        (
            "address",
            "b@example.org",
            "550 5.7.1 Recipient blocked by policy (RCPT-BLOCKED ",
        ),
        (
            "domain",
            "example.org",
            "550 5.7.1 Recipient blocked by policy (RCPT-BLOCKED ",
        ),
    ] {
        block(&server, kind, value);
        let reply = try_mail(&mut session);
        assert!(reply.starts_with(expected), "{kind} {value}: {reply}");
        release(&server, kind, value);
        let reply = try_mail(&mut session);
        assert!(
            reply.starts_with("250 "),
            "{kind} {value} released: {reply}"
        );
    }
}

#[test]
fn simulate_and_why_say_the_same_as_the_reply() {
    let server = server();
    block(&server, "connector", "Printers");
    let reply = try_mail(&mut device(&server));
    let reference = reply.trim_end_matches(')').rsplit(' ').next().expect("one");
    let why = server.relais(&["why", reference]).expect(0).out;
    assert!(why.contains("Connector blocked"), "{why}");
    let question = [
        "--json",
        "simulate",
        "--ip",
        DEVICE,
        "--from",
        "scan@contoso.test",
        "--to",
        "b@example.org",
    ];
    let answer = server.relais(&question).expect(0).json();
    assert_eq!(answer["token"], "CONN-BLOCKED");
    let step = answer["steps"]
        .as_array()
        .and_then(|steps| steps.last())
        .expect("a step");
    assert_eq!(step["question"], "restricted");
    release(&server, "connector", "contoso/Printers");
    let answer = server.relais(&question).expect(0).json();
    assert_eq!(answer["verdict"], "permit");
}

#[test]
fn a_block_outlives_the_server_is_listed_traced_and_audited() {
    let server = server();
    let until = "2100-01-01T00:00:00Z";
    let arguments = [
        "restricted",
        "block",
        "ip",
        "203.0.113.7",
        "--reason",
        "port scan",
        "--until",
        until,
    ];
    server.relais(&arguments).expect(0);
    let (_, place) = server.stop();
    let listed = place
        .relais(&["--json", "restricted", "list"])
        .expect(0)
        .json_lines();
    let [one] = listed.as_slice() else {
        panic!("one: {listed:?}");
    };
    assert_eq!(
        (&one["kind"], &one["value"]),
        (&"ip".into(), &"203.0.113.7".into())
    );
    assert_eq!(one["reason"], "port scan");
    assert_eq!(one["until"], "2100-01-01T00:00:00.000Z");

    let server = place.serve();
    let mut stranger = server.session_from("203.0.113.7");
    assert!(stranger.hear().starts_with("554 5.7.1"));
    release(&server, "ip", "203.0.113.7");
    let events = server
        .relais(&["--json", "trace", "event:entity.restricted"])
        .expect(0)
        .json_lines();
    let detail = events[0]["detail"].as_str().unwrap_or_default().to_owned();
    assert!(
        detail.starts_with("ip 203.0.113.7: port scan; until 2100"),
        "{detail}"
    );
    let released = server
        .relais(&["--json", "trace", "event:entity.released"])
        .expect(0);
    assert_eq!(released.json_lines().len(), 1);
    let audit = server
        .relais(&["--json", "audit", "list"])
        .expect(0)
        .json_lines();
    // Others are made without a person, as keys of a new domain.
    let acts: Vec<_> = audit
        .iter()
        .filter_map(|entry| entry["act"].as_str())
        .filter(|act| act.starts_with("entity."))
        .collect();
    assert_eq!(acts[..2], ["entity.released", "entity.restricted"]);
    server.relais(&["audit", "verify"]).expect(0);
}

#[test]
fn a_block_that_is_over_stops_nobody_and_is_told_as_released() {
    let server = server();
    let arguments = [
        "restricted",
        "block",
        "ip",
        DEVICE,
        "--reason",
        "a try",
        "--until",
        "1s",
    ];
    server.relais(&arguments).expect(0);
    server.log.wait_for("the release", |line| {
        line.contains("\"entity.released\"") && line.contains("the clock")
    });
    assert!(try_mail(&mut device(&server)).starts_with("250 "));
    let listed = server.relais(&["restricted", "list"]).expect(0).out;
    assert_eq!(listed, "Nothing is blocked.\n");
}

#[test]
fn what_cannot_be_blocked_or_released_says_why() {
    let server = server();
    for (arguments, code, words) in [
        (
            &["block", "ip", "contoso.test", "--reason", "r"][..],
            1,
            "is no address or network",
        ),
        (
            &["block", "ip", "10.0.0.0/8", "--reason", " "],
            1,
            "Give a reason",
        ),
        (
            &[
                "block",
                "ip",
                "10.0.0.1",
                "--reason",
                "r",
                "--until",
                "2020-01-01",
            ],
            1,
            "in the past",
        ),
        (
            &["block", "connector", "Copiers", "--reason", "r"],
            3,
            "no inbound connector \"Copiers\"",
        ),
        (
            &["block", "credential", "scan-9", "--reason", "r"],
            3,
            "no credential \"scan-9\"",
        ),
        (
            &["block", "organisation", "fabrikam", "--reason", "r"],
            3,
            "no organisation",
        ),
        (
            &["block", "printer", "x", "--reason", "r"],
            2,
            "invalid value",
        ),
        (&["block", "ip", "10.0.0.1"], 2, "--reason"),
        (&["release", "ip", "10.0.0.1"], 3, "is not restricted"),
    ] {
        let arguments = [&["restricted"], arguments].concat();
        let answer = server.relais(&arguments).expect(code);
        assert!(answer.err.contains(words), "{arguments:?}: {answer:?}");
    }
}
