//! The whole circle: a device sends, the next server accepts, and later sends a notice to where the
//! message came from.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::runtime::Runtime;

use relais_net::dns_server::{DnsServer, ZoneRecord};

use crate::receiver::Receiver;
use crate::support::{Place, Server, Session};

fn settings(next_hop: std::net::SocketAddr) -> String {
    format!(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         bounce_domain = \"bounce.contoso.test\"\n\
         [[organisation.recipient]]\naddress = \"anna@contoso.test\"\n\
         [[organisation.inbound_connector]]\nname = \"Printers\"\n\
         sender_ip_addresses = [\"127.0.0.1\"]\npreset = \"tolerant\"\n\
         owner = \"anna@contoso.test\"\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{next_hop}\"]\n"
    )
}

/// One message in a session of its own; the reply to its content.
#[track_caller]
fn deliver(server: &Server, from: &str, to: &str, content: &str) -> String {
    let mut session = Session::open(server.smtp);
    session.say("EHLO mx.example.org");
    for line in [format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>")] {
        let reply = session.say(&line);
        assert!(reply.starts_with("250 "), "{line}: {reply}");
    }
    assert!(session.say("DATA").starts_with("354 "));
    session.say(&format!(
        "{}\r\n.",
        content.trim_end().replace('\n', "\r\n")
    ))
}

#[test]
fn a_later_bounce_is_shown_suppresses_its_recipient_and_reaches_the_owner() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&settings(receiver.address()));
    let reply = server.send("scan@contoso.test", "gone@example.org");
    let queue_id = reply
        .rsplit(' ')
        .next()
        .expect("a queue id")
        .trim()
        .to_owned();
    let arrival = receiver.wait_for_recipient("gone@example.org");
    let token = arrival
        .from
        .split(['<', '>'])
        .nth(1)
        .expect("an address")
        .to_owned();
    assert!(token.ends_with("@bounce.contoso.test"), "{token}");
    server.await_event("recipient.delivered", &queue_id);
    let imagined = [
        "--json",
        "simulate",
        "--ip",
        "198.51.100.7",
        "--from",
        "<>",
        "--to",
    ];
    let imagined = |to: &str| {
        server
            .relais(&[&imagined[..], &[to]].concat())
            .expect(0)
            .json()
    };
    let answer = imagined(&token);
    assert_eq!(answer["verdict"], "permit", "{answer}");
    assert_eq!(answer["route"]["kind"], "bounces", "{answer}");
    let answer = imagined(&token.replace("b1-", "b1-x"));
    assert_eq!(answer["token"], "RCPT-UNKNOWN", "{answer}");

    // A notice of Postfix, which accepted the message and found out later.
    let notice = "From: MAILER-DAEMON@example.org (Mail Delivery System)\n\
        Subject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\n\
        MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status;\n\
        \tboundary=\"4X.1/mx.example.org\"\n\nThis is a MIME-encapsulated message.\n\n\
        --4X.1/mx.example.org\nContent-Description: Notification\n\nThis is the mail system at \
        host mx.example.org.\n\n<gone@example.org>: unknown user\n\n--4X.1/mx.example.org\n\
        Content-Description: Delivery report\nContent-Type: message/delivery-status\n\n\
        Reporting-MTA: dns; mx.example.org\nX-Postfix-Queue-ID: 4X\n\nFinal-Recipient: rfc822; \
        gone@example.org\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: X-Postfix; unknown \
        user: \"gone\"\n\n--4X.1/mx.example.org--\n";
    let reply = deliver(&server, "", &token, notice);
    assert!(reply.starts_with("250 2.0.0 Queued as "), "{reply}");
    server.await_event("notice.received", &queue_id);

    let why = server.relais(&["why", &queue_id]).expect(0).out;
    assert!(
        why.contains("Something came back about <gone@example.org>"),
        "{why}"
    );
    assert!(why.contains("failure 5.1.1"), "{why}");
    let told = receiver.wait_for_recipient("anna@contoso.test");
    assert!(
        told.from.contains("<>"),
        "a notice has the null reverse-path: {}",
        told.from
    );
    assert!(
        told.text().contains("unknown user: \"gone\""),
        "{}",
        told.text()
    );

    let mut session = server.session();
    session.say("EHLO scan2");
    session.say("MAIL FROM:<scan@contoso.test>");
    let reply = session.say("RCPT TO:<gone@example.org>");
    let today = server
        .relais(&["--json", "suppression", "list"])
        .expect(0)
        .json_lines();
    let day = &today[0]["since"].as_str().expect("a time")[..10];
    let text = format!("550 5.1.1 Recipient suppressed after hard bounce on {day} (");
    assert!(reply.starts_with(&text), "{reply}");
    assert_eq!(today[0]["queue_id"], queue_id.as_str());

    let released = server
        .relais(&["suppression", "release", "GONE@example.org"])
        .expect(0);
    assert_eq!(released.out, "Released: gone@example.org.\n");
    assert!(
        session
            .say("RCPT TO:<gone@example.org>")
            .starts_with("250 ")
    );
    server
        .relais(&["suppression", "release", "gone@example.org"])
        .expect(3);
    let audit = server.relais(&["--json", "audit", "list"]).expect(0).out;
    assert!(audit.contains("suppression.released"), "{audit}");
}

#[test]
fn another_key_by_hand_leaves_old_addresses_good_or_revokes_them() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&settings(receiver.address()));
    let token = |to: &str| {
        server.send("scan@contoso.test", to);
        let from = receiver.wait_for_recipient(to).from;
        from.split(['<', '>'])
            .nth(1)
            .expect("an address")
            .to_owned()
    };
    let asked = |token: &str| {
        let mut session = server.session();
        session.say("EHLO mx.example.org");
        session.say("MAIL FROM:<>");
        session.say(&format!("RCPT TO:<{token}>"))
    };
    let rotate = ["secret", "rotate-bounce-key"];
    let first = token("a@example.org");
    let said = server.relais(&rotate).expect(0).out;
    assert!(
        said.contains("what the last one signed counts until "),
        "{said}"
    );
    let second = token("b@example.org");
    for good in [&first, &second] {
        assert!(asked(good).starts_with("250 "), "{good}: {}", asked(good));
    }
    let refused = server.relais(&rotate);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("less than 35 days ago"), "{refused:?}");
    assert!(
        asked(&first).starts_with("250 "),
        "a refusal changes nothing"
    );

    let revoked = [&rotate[..], &["--revoke"]].concat();
    server.relais(&revoked).expect(0);
    for gone in [&first, &second] {
        assert!(asked(gone).starts_with("550 5.1.1 "), "{}", asked(gone));
    }
    assert!(asked(&token("c@example.org")).starts_with("250 "));
    let audit = server.relais(&["--json", "audit", "list"]).expect(0).out;
    assert_eq!(
        audit.matches("secret.bounce-key-rotated").count(),
        2,
        "{audit}"
    );
}

#[test]
fn a_person_suppresses_and_a_forged_address_is_refused() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&settings(receiver.address()));
    server
        .relais(&[
            "suppression",
            "add",
            "b@example.org",
            "--reason",
            "asked for it",
        ])
        .expect(0);
    let listed = server.relais(&["suppression", "list"]).expect(0).out;
    assert!(
        listed.contains("b@example.org") && listed.contains("asked for it"),
        "{listed}"
    );
    let mut session = server.session();
    session.say("EHLO scan2");
    session.say("MAIL FROM:<scan@contoso.test>");
    let reply = session.say("RCPT TO:<b@example.org>");
    assert!(
        reply.starts_with("550 5.1.1 Recipient suppressed after request on "),
        "{reply}"
    );
    for local in ["scan", "b1-0000000000000-12a-0-0000000000000000"] {
        let reply = session.say(&format!("RCPT TO:<{local}@bounce.contoso.test>"));
        assert!(
            reply.starts_with("550 5.1.1 No such recipient"),
            "{local}: {reply}"
        );
    }
}

/// example.org, which a stranger writes from.
pub(crate) struct Outside {
    server: DnsServer,
    _runtime: Runtime,
}

impl Outside {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let local = Ipv4Addr::LOCALHOST;
        let records = vec![
            (
                "example.org".to_owned(),
                ZoneRecord::NameServer("ns.example.org".to_owned()),
            ),
            (
                "ns.example.org".to_owned(),
                ZoneRecord::Address(local.into()),
            ),
            (
                "example.org".to_owned(),
                ZoneRecord::Mx(10, "mx.example.org".to_owned()),
            ),
            (
                "mx.example.org".to_owned(),
                ZoneRecord::Address(local.into()),
            ),
        ];
        let server = runtime.block_on(DnsServer::start(SocketAddr::from((local, 0)), Vec::new()));
        let server = server.expect("a free port");
        server.replace(&records).expect("names");
        Self {
            server,
            _runtime: runtime,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

#[test]
fn a_bounce_of_strangers_mail_that_was_passed_on_finds_the_stranger() {
    let (outside, receiver) = (Outside::new(), Receiver::start());
    let address = outside.address();
    let place = Place::new(&format!("[dns]\nnameservers = [\"{address}\"]\n"));
    let server = place.serve();
    let hop = receiver.address();
    let settings = settings(hop)
        .replace("\"127.0.0.1\"", "\"10.9.9.9\"")
        .replace(
            "bounce_domain",
            &format!("mailbox_host = \"{hop}\"\npassed_on_sender = \"rewritten\"\nbounce_domain"),
        );
    server.apply(&settings).expect(0);
    let letter = "From: ben@example.org\nSubject: hello\n\nbody\n";
    let reply = deliver(&server, "ben@example.org", "anna@contoso.test", letter);
    assert!(reply.starts_with("250 2.0.0 Queued as "), "{reply}");
    let queue_id = reply
        .rsplit(' ')
        .next()
        .expect("a queue id")
        .trim()
        .to_owned();
    let arrival = receiver.wait_for_recipient("anna@contoso.test");
    let token = arrival
        .from
        .split(['<', '>'])
        .nth(1)
        .expect("an address")
        .to_owned();
    assert!(token.ends_with("@bounce.contoso.test"), "{token}");
    server.await_event("recipient.delivered", &queue_id);

    let notice = "From: MAILER-DAEMON@mailbox.contoso.test\nSubject: Mailbox full\n\nno room\n";
    let reply = deliver(&server, "", &token, notice);
    assert!(reply.starts_with("250 2.0.0 Queued as "), "{reply}");
    let back = receiver.wait_for_recipient("ben@example.org");
    assert!(back.from.contains("<>"), "{}", back.from);
    back.expect_only_a_received_field_above(notice.replace('\n', "\r\n").as_bytes());
    server.await_event("notice.received", &queue_id);
    let why = server.relais(&["why", &queue_id]).expect(0).out;
    assert!(
        why.contains("sent back to its sender ben@example.org as "),
        "{why}"
    );
    let trace = ["--json", "trace", &format!("id:{queue_id}")];
    let trace = server.relais(&trace).expect(0).out;
    assert!(
        trace.contains(&format!("\"envelope_sender\":\"{token}\"")),
        "{trace}"
    );
}
