//! The mission, sentence by sentence, as a postmaster would check it: the real binary, a receiving
//! server found by MX through a name server of our own, real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use serde_json::Value;
use tokio::runtime::Runtime;

use relais_net::dns_server::{DnsServer, ZoneRecord};

use crate::observed::wait_for;
use crate::receiver::Receiver;
use crate::support::{PATIENCE, Place, Server, Session};

/// A name server as long as this lives.
pub(crate) struct Names {
    pub(crate) address: SocketAddr,
    _server: DnsServer,
    _runtime: Runtime,
}

impl Names {
    /// Besides `example.org`, whose first exchange does not answer, one domain that takes no mail.
    pub(crate) fn serve() -> Self {
        let mx = |preference, host: &str| ZoneRecord::Mx(preference, host.to_owned());
        let records = [
            ("example.org", mx(10, "away.example.org")),
            ("example.org", mx(20, "mx.example.org")),
            (
                "away.example.org",
                ZoneRecord::Address([127, 0, 0, 9].into()),
            ),
            ("mx.example.org", ZoneRecord::Address([127, 0, 0, 1].into())),
            ("nomail.example", mx(0, ".")),
        ];
        let records = records
            .map(|(name, record)| (name.to_owned(), record))
            .to_vec();
        let runtime = Runtime::new().expect("a runtime");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime
            .block_on(DnsServer::start(address, records))
            .expect("a free port");
        Self {
            address: server.address(),
            _server: server,
            _runtime: runtime,
        }
    }
}

/// The bootstrap file of a relay in a closed network: these names, this port for MX delivery.
fn closed_network(names: &Names, receiver: &Receiver) -> Place {
    Place::new(&format!(
        "[dns]\nnameservers = [\"{}\"]\n[deliver]\nsmtp_port = {}\n\
         allow_private_destinations = true\n",
        names.address,
        receiver.address().port()
    ))
}

/// One organisation whose printers sit on loopback; mail leaves as `outbound` says.
fn contoso(outbound: &str) -> String {
    format!(
        "[[organisation]]\nname = \"contoso\"\nlanguage = \"fr\"\npostmaster = \"it@contoso.test\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         [[organisation.recipient]]\naddress = \"anna@contoso.test\"\n\
         [[organisation.inbound_connector]]\nname = \"Printers\"\n\
         sender_ip_addresses = [\"127.0.0.1\", \"::1\"]\npreset = \"tolerant\"\n\
         owner = \"anna@contoso.test\"\n{outbound}"
    )
}

fn smart_host(receiver: &Receiver) -> String {
    let address = receiver.address();
    contoso(&format!(
        "[[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{address}\"]\n"
    ))
}

/// `(token, reference)` of `550 … (TOKEN REFERENCE)`.
fn named(reply: &str) -> (String, String) {
    let inside = reply
        .rsplit_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    let (token, reference) = inside
        .and_then(|inside| inside.split_once(' '))
        .unwrap_or_else(|| panic!("{reply}"));
    (token.to_owned(), reference.to_owned())
}

/// Says lines, each of which must be answered with its code.
#[track_caller]
fn dialogue(session: &mut Session, lines: &[(&str, &str)]) -> String {
    let mut last = String::new();
    for (line, code) in lines {
        last = session.say(line);
        assert!(last.starts_with(code), "{line}: {last}");
    }
    last
}

#[test]
fn a_fresh_relay_refuses_all_mail_and_once_settings_are_applied_a_printer_reaches_the_second_mx() {
    let (names, receiver) = (Names::serve(), Receiver::start());
    let server = closed_network(&names, &receiver).serve();
    server
        .told
        .wait_for("what it does and the next step", |line| {
            line.contains("refuses all mail") && line.contains("relais apply -f")
        });
    let mut printer = server.session();
    let lines = [
        ("HELO printer_2", "250 "),
        ("MAIL FROM:<scan@contoso.test>", "250 "),
        (
            "RCPT TO:<b@example.org>",
            "550 5.7.1 Not registered for relay: 127.0.0.1 (SRC-UNKNOWN ",
        ),
    ];
    dialogue(&mut printer, &lines);
    server.apply(&contoso("")).expect(0);
    let mut printer = server.session();
    let accepted = dialogue(
        &mut printer,
        &[
            ("HELO printer_2", "250 "),
            ("MAIL FROM: scan@contoso.test", "250 "),
            ("RCPT TO:<b@example.org>", "250 "),
            ("DATA", "354 "),
            (
                "From: scan@contoso.test\r\nSubject: scan\r\n\r\n..page\r\n.",
                "250 2.0.0 Queued as ",
            ),
        ],
    );
    let arrival = receiver.wait_for_recipient("b@example.org");
    assert_eq!(arrival.from, "<scan@contoso.test>");
    let text = arrival.text();
    assert!(
        text.ends_with("\r\nSubject: scan\r\n\r\n.page\r\n"),
        "{text}"
    );
    assert!(
        text.contains("\r\nDate: ") && text.contains("\r\nMessage-ID: <"),
        "{text}"
    );
    let id = accepted
        .trim_start_matches("250 2.0.0 Queued as ")
        .to_owned();
    server.await_event("recipient.delivered", &id);
    let events = server
        .relais(&["--json", "trace", &format!("id:{id}")])
        .expect(0)
        .json_lines();
    let delivered = event(&events, "recipient.delivered");
    let port = receiver.address().port();
    assert_eq!(
        delivered["next_hop"],
        format!("mx.example.org[127.0.0.1]:{port}"),
        "{delivered}"
    );
    let repairs = event(&events, "message.accepted")["repairs"].to_string();
    assert!(
        repairs.contains("date") && repairs.contains("message"),
        "{repairs}"
    );
}

#[track_caller]
fn event<'a>(events: &'a [Value], name: &str) -> &'a Value {
    let found = events.iter().find(|event| event["event"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {events:?}"))
}

#[test]
fn reply_trace_why_and_simulate_agree_on_a_refusal() {
    let server = Server::with_settings(&contoso(""));
    let mut session = server.session();
    session.say("EHLO erp.contoso.test");
    let reply = session.say("MAIL FROM:<x@fabrikam.test>");
    let (token, reference) = named(&reply);
    assert_eq!(token, "FROM-DOMAIN", "{reply}");
    server
        .log
        .wait_for("the event", |line| line.contains(&reference));
    let trace = server
        .relais(&["--json", "trace", &format!("ref:{reference}")])
        .expect(0);
    let events = trace.json_lines();
    assert_eq!(events.len(), 1, "{trace:?}");
    assert_eq!(events[0]["event"], "attempt.refused");
    assert_eq!(events[0]["reply"], reply);
    let why = server
        .relais(&["--json", "why", &reference])
        .expect(0)
        .json();
    let question = [
        "--ip",
        "127.0.0.1",
        "--from",
        "x@fabrikam.test",
        "--to",
        "b@example.org",
    ];
    let simulated = server
        .relais(&[&["--json", "simulate"], &question[..]].concat())
        .expect(0)
        .json();
    for told in [
        &events[0]["token"],
        &why["events"][0]["token"],
        &simulated["token"],
    ] {
        assert_eq!(told, token.as_str(), "{why} {simulated}");
    }
    for told in [&events[0]["reference"], &why["events"][0]["reference"]] {
        assert_eq!(told, reference.as_str(), "{why}");
    }
    assert_eq!(simulated["verdict"], "refuse");
    let cause = reply.split(" (").next().unwrap_or_default();
    assert!(
        simulated["reply"]
            .as_str()
            .is_some_and(|reply| reply.starts_with(cause))
    );
    server.relais(&["why", "ZZZZZ"]).expect(3);
}

#[test]
fn recipients_unknown_at_the_next_hop_end_in_one_french_notice_to_the_owner() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&smart_host(&receiver));
    let mut session = server.session();
    dialogue(
        &mut session,
        &[
            ("EHLO erp.contoso.test", "250 "),
            ("MAIL FROM:<erp@contoso.test>", "250 "),
            ("RCPT TO:<b@example.org>", "250 "),
            ("RCPT TO:<nobody-1@example.org>", "250 "),
            ("RCPT TO:<nobody-2@example.org>", "250 "),
            ("DATA", "354 "),
            (
                "From: erp@contoso.test\r\nTo: b@example.org\r\nSubject: facture 7\r\n\
                 Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <7@erp.contoso.test>\r\n\r\n\
                 the secret body\r\n.",
                "250 2.0.0 Queued as ",
            ),
        ],
    );
    let message = receiver.wait_for_recipient("b@example.org");
    assert_eq!(message.to, ["<b@example.org>"]);
    let notice = receiver.wait_for_recipient("anna@contoso.test");
    assert!(notice.from.starts_with("<>"), "{notice:?}");
    let text = notice.text();
    for part in [
        "multipart/report",
        "message/delivery-status",
        "Final-Recipient: rfc822; nobody-1@example.org",
        "Final-Recipient: rfc822; nobody-2@example.org",
        "Action: failed",
        "Status: 5.1.1",
        "Subject: facture 7",
        "Content-Language: fr",
        "No such mailbox here",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(!text.contains("the secret body"), "{text}");
    assert_eq!(receiver.arrivals().len(), 2, "one message, one notice");
}

#[test]
fn a_recipient_whose_domain_takes_no_mail_is_refused_at_once() {
    let (names, receiver) = (Names::serve(), Receiver::start());
    let server = closed_network(&names, &receiver).serve();
    server.apply(&contoso("")).expect(0);
    let mut session = server.session();
    dialogue(
        &mut session,
        &[
            ("EHLO erp.contoso.test", "250 "),
            ("MAIL FROM:<erp@contoso.test>", "250 "),
            (
                "RCPT TO:<a@nomail.example>",
                "556 5.1.10 Recipient domain takes no mail",
            ),
            (
                "RCPT TO:<a@absent.example>",
                "550 5.1.2 Recipient domain does not exist",
            ),
            ("RCPT TO:<b@example.org>", "250 "),
        ],
    );
}

#[test]
fn a_person_holds_releases_deletes_and_bounces_what_waits() {
    let receiver = Receiver::start();
    receiver.go_away(true);
    let server = Server::with_settings(&smart_host(&receiver));
    let send = |name: &str| server.send("erp@contoso.test", &format!("{name}@example.org"));
    let ids = ["held", "deleted", "bounced", "kept"].map(send);
    let [held, deleted, bounced, kept] = &ids;
    server.relais(&["queue", "hold", held]).expect(0);
    server
        .relais(&["queue", "delete", deleted, "--yes"])
        .expect(0);
    receiver.go_away(false);
    server
        .relais(&["queue", "bounce", bounced, "--yes"])
        .expect(0);
    server
        .relais(&["queue", "retry", "--all", "--yes"])
        .expect(0);
    let notice = receiver.wait_for_recipient("anna@contoso.test");
    assert!(
        notice.text().contains("bounced@example.org"),
        "{}",
        notice.text()
    );
    receiver.wait_for_recipient("kept@example.org");
    server.await_event("recipient.delivered", kept);
    // The notice waits until the answer to it is stored, a moment after it came.
    let list = wait_for(|| {
        let list = server
            .relais(&["--json", "queue", "list"])
            .expect(0)
            .json_lines();
        (list.len() <= 1).then_some(list)
    });
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0]["queue_id"], held.as_str());
    assert_eq!(list[0]["recipients"][0]["state"], "held");
    server.relais(&["queue", "release", held]).expect(0);
    receiver.wait_for_recipient("held@example.org");
    server.await_event("recipient.delivered", held);
    server.relais(&["queue", "show", deleted]).expect(3);
    let came = |name: &str| {
        receiver
            .arrivals()
            .iter()
            .filter(|one| one.to[0].starts_with(&format!("<{name}")))
            .count()
    };
    assert_eq!(
        (came("held"), came("deleted"), came("bounced"), came("kept")),
        (1, 0, 0, 1)
    );
}

#[test]
fn settings_change_while_a_session_is_open_and_a_repeated_apply_changes_nothing() {
    let receiver = Receiver::start();
    let settings = smart_host(&receiver);
    let server = Server::with_settings(&settings);
    let mut open = server.session();
    dialogue(
        &mut open,
        &[
            ("EHLO erp.contoso.test", "250 "),
            ("MAIL FROM:<a@contoso.test>", "250 "),
        ],
    );
    let narrow = settings.replace("preset =", "recipient_domains = [\"own\"]\npreset =");
    let version = |server: &Server| {
        server.relais(&["--json", "status"]).expect(0).json()["settings_version"].clone()
    };
    let before = version(&server);
    let file = server.place.path("narrow.toml");
    std::fs::write(&file, &narrow).expect("a file");
    let file = file.to_str().expect("UTF-8");
    server.relais(&["apply", "--dry-run", "-f", file]).expect(0);
    assert_eq!(version(&server), before, "a dry run changes nothing");
    server.relais(&["apply", "-f", file]).expect(0);
    let after = version(&server);
    assert_ne!(after, before);
    server.relais(&["apply", "-f", file]).expect(0);
    assert_eq!(version(&server), after, "applied twice is applied once");
    let export = server.relais(&["export"]).expect(0).out;
    server.apply(&export).expect(0);
    assert_eq!(version(&server), after, "what is exported is what is there");
    let rest = [
        ("RCPT TO:<b@example.org>", "250 "),
        ("DATA", "354 "),
        (
            "From: a@contoso.test\r\n\r\nold rules\r\n.",
            "250 2.0.0 Queued as ",
        ),
    ];
    dialogue(&mut open, &rest);
    receiver.wait_for_recipient("b@example.org");
    let mut fresh = server.session();
    dialogue(
        &mut fresh,
        &[
            ("EHLO erp.contoso.test", "250 "),
            ("MAIL FROM:<a@contoso.test>", "250 "),
            (
                "RCPT TO:<b@example.org>",
                "550 5.7.1 Destination not allowed: example.org (RCPT-SCOPE ",
            ),
        ],
    );
}

#[test]
fn a_backup_taken_while_mail_flows_is_verified_and_restored_with_its_queue_held() {
    let receiver = Receiver::start();
    receiver.go_away(true);
    let server = Server::with_settings(&smart_host(&receiver));
    let waiting = server.send("erp@contoso.test", "waits@example.org");
    server.await_event("recipient.deferred", &waiting);
    let smtp = server.smtp;
    let (stop, stopped) = mpsc::channel::<()>();
    let sender = thread::spawn(move || {
        let mut sent = 0;
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            let mut session = Session::open(smtp);
            session.say("EHLO erp.contoso.test");
            session.say("MAIL FROM:<erp@contoso.test>");
            session.say("RCPT TO:<flow@example.org>");
            session.say("DATA");
            let reply = session.say("From: erp@contoso.test\r\n\r\nflow\r\n.");
            assert!(reply.starts_with("250 "), "{reply}");
            sent += 1;
        }
        sent
    });
    let backup = server.place.path("backup");
    let backup = backup.to_str().expect("UTF-8").to_owned();
    server.relais(&["backup", "create", &backup]).expect(0);
    drop(stop);
    assert!(sender.join().expect("every message was taken") > 0);
    server.relais(&["backup", "verify", &backup]).expect(0);
    let (status, _place) = server.stop();
    assert_eq!(status.code(), Some(0));
    let elsewhere = Place::new("");
    elsewhere.relais(&["backup", "restore", &backup]).expect(0);
    let server = elsewhere.serve();
    let status = server.relais(&["--json", "status"]).expect(0).json();
    assert!(status["held"].as_u64() >= Some(1), "{status}");
    assert_eq!(
        (&status["queued"], &status["deferred"]),
        (&0.into(), &0.into()),
        "{status}"
    );
    let shown = server
        .relais(&["--json", "queue", "show", &waiting])
        .expect(0)
        .json();
    assert_eq!(shown["recipients"][0]["state"], "held", "{shown}");
    receiver.go_away(false);
    server
        .relais(&["queue", "release", "--all", "--yes"])
        .expect(0);
    let arrival = receiver.wait_for_recipient("waits@example.org");
    assert!(
        arrival.text().ends_with("\r\n\r\nhello\r\n"),
        "{}",
        arrival.text()
    );
}

#[test]
fn probes_answer_and_counters_move() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&smart_host(&receiver));
    let counter = |name: &str| -> f64 {
        let (status, text) = server.http("/metrics");
        assert_eq!(status, 200);
        let lines = text
            .lines()
            .filter(|line| line.starts_with(name) && !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    let names = [
        "relais_messages_accepted_total",
        "relais_deliveries_total",
        "relais_smtpd_rejects_total",
        "relais_delivery_duration_seconds_count",
    ];
    let before = names.map(counter);
    let id = server.send("erp@contoso.test", "b@example.org");
    server.await_event("recipient.delivered", &id);
    let mut session = server.session();
    session.say("EHLO erp.contoso.test");
    let (_, reference) = named(&session.say("MAIL FROM:<x@fabrikam.test>"));
    server
        .log
        .wait_for("the refusal", |line| line.contains(&reference));
    let after = names.map(counter);
    for (name, (before, after)) in names.iter().zip(before.iter().zip(&after)) {
        assert!(after > before, "{name}: {before} {after}");
    }
    assert_eq!(counter("relais_unaccounted_recipients"), 0.0);
    assert_eq!(
        (server.http("/livez").0, server.http("/readyz").0),
        (200, 200)
    );
}

#[test]
fn ipv4_ipv6_and_mapped_addresses_are_the_same_client() {
    let receiver = Receiver::start();
    let place = Place::new("");
    let file = place.path("relais.toml");
    let text = std::fs::read_to_string(&file).expect("the file");
    std::fs::write(&file, text.replacen("127.0.0.1:0", "[::]:0", 1)).expect("written");
    let server = place.serve();
    server.apply(&smart_host(&receiver)).expect(0);
    let port = server.smtp.port();
    for (host, name) in [("127.0.0.1", "IPv4"), ("::1", "IPv6")] {
        let address = SocketAddr::new(host.parse().expect("an address"), port);
        let mut session = Session::open(address);
        let accepted = dialogue(
            &mut session,
            &[
                ("EHLO erp.contoso.test", "250 "),
                ("MAIL FROM:<a@contoso.test>", "250 "),
                ("RCPT TO:<b@example.org>", "250 "),
                ("DATA", "354 "),
                (
                    "From: a@contoso.test\r\n\r\nhello\r\n.",
                    "250 2.0.0 Queued as ",
                ),
            ],
        );
        let id = accepted.trim_start_matches("250 2.0.0 Queued as ");
        server.await_event("recipient.delivered", id);
        let trace = server
            .relais(&["--json", "trace", &format!("client:{host}")])
            .expect(0);
        assert_eq!(
            trace.json_lines()[0]["client"]["address"],
            host,
            "{name}: {trace:?}"
        );
    }
}

#[test]
fn content_in_chunks_arrives_to_the_octet_and_hidden_messages_are_refused() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&smart_host(&receiver));
    let letter = "From: a@contoso.test\r\nTo: b@example.org\r\nSubject: s\r\nDate: Tue, 24 Nov 2026 \
                  10:00:00 +0000\r\nMessage-ID: <c@contoso.test>\r\n\r\n.a line\r\n.\r\nthe end\r\n";
    let (first, second) = letter.split_at(letter.len() / 2);
    let mut session = server.session();
    dialogue(
        &mut session,
        &[
            ("EHLO a.contoso.test", "250 "),
            ("MAIL FROM:<a@contoso.test>", "250 "),
        ],
    );
    session.say("RCPT TO:<b@example.org>");
    let mut chunks = format!("BDAT {}\r\n{first}", first.len());
    chunks.push_str(&format!("BDAT {} LAST\r\n{second}", second.len()));
    session.write(chunks.as_bytes());
    assert!(session.hear().starts_with("250 "));
    let reply = session.hear();
    assert!(reply.starts_with("250 2.0.0 Queued as "), "{reply}");
    let arrival = receiver.wait_for_recipient("b@example.org");
    arrival.expect_only_a_received_field_above(letter.as_bytes());
    let hidden = "From: a@contoso.test\r\n\r\nseen\r\n\n.\nMAIL FROM:<evil@contoso.test>\r\n\
                  RCPT TO:<c@example.org>\r\nDATA\r\nhidden\r\n.";
    let refused = [
        ("MAIL FROM:<a@contoso.test>", "250 "),
        ("RCPT TO:<b@example.org>", "250 "),
        ("DATA", "354 "),
        (hidden, "521 "),
    ];
    dialogue(&mut session, &refused);
    assert_eq!(session.hear(), "", "the session is closed");
    assert_eq!(receiver.arrivals().len(), 1);
}

#[test]
fn the_supervisor_is_told_of_readiness_and_of_the_end() {
    let place = Place::new("");
    let socket = UnixDatagram::bind(place.path("notify")).expect("a socket");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a time limit");
    let mut command = place.command(&["serve"]);
    command
        .env("NOTIFY_SOCKET", place.path("notify"))
        .env("WATCHDOG_USEC", "4000000");
    let mut child = command
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let told = |what: &str| {
        let mut buffer = [0; 512];
        loop {
            let octets = socket.recv(&mut buffer).expect("a message in time");
            if String::from_utf8_lossy(&buffer[..octets]).contains(what) {
                return;
            }
        }
    };
    told("READY=1");
    told("WATCHDOG=1");
    let mut kill = std::process::Command::new("kill");
    assert!(
        kill.arg(child.id().to_string())
            .status()
            .expect("kill runs")
            .success()
    );
    told("STOPPING=1");
    assert!(child.wait().expect("it ends").success());
}
