//! Content checks with the real binary: Rspamd and ClamAV of Debian, one that is slow, one that is
//! not there; what becomes of the message, and where it can be read.

use crate::bounces::Outside;
use crate::checkers::{GTUBE, INFECTED, SlowClamd, clamd, milter, rspamd};
use crate::receiver::Receiver;
use crate::support::{BEHIND_PROXY, Place, Server, Session};
use crate::web::{Browser, first};

/// Connectors by address: what they check, and what follows.
fn settings(connectors: &[(&str, &str, &str)], more: &str, hop: &str) -> String {
    let mut text = format!(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n{more}\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         mailbox_host = \"{hop}\"\n\
         [[organisation.recipient]]\naddress = \"anna@contoso.test\"\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{hop}\"]\n"
    );
    for (name, address, content) in connectors {
        text.push_str(&format!(
            "[[organisation.inbound_connector]]\nname = \"{name}\"\n\
             sender_ip_addresses = [\"{address}\"]\npreset = \"tolerant\"\ncontent = {content}\n"
        ));
    }
    text
}

fn checker(name: &str, kind: &str, address: &str) -> String {
    format!("[[content_checker]]\nname = \"{name}\"\nkind = \"{kind}\"\naddress = \"{address}\"\n")
}

/// Up to the 354.
#[track_caller]
fn begin(session: &mut Session, from: &str, to: &str) {
    session.hear();
    for (line, code) in [
        ("EHLO scan.contoso.test".to_owned(), "250"),
        (format!("MAIL FROM:<{from}>"), "250"),
        (format!("RCPT TO:<{to}>"), "250"),
        ("DATA".to_owned(), "354"),
    ] {
        let reply = session.say(&line);
        assert!(reply.starts_with(code), "{line}: {reply}");
    }
}

fn message(body: &str) -> String {
    format!("From: scan@contoso.test\r\nSubject: scan\r\n\r\n{body}\r\n.")
}

/// The reply to a message of that client.
#[track_caller]
fn send(server: &Server, client: &str, body: &str) -> String {
    let mut session = server.session_from(client);
    begin(&mut session, "scan@contoso.test", "anna@example.org");
    session.say(&message(body))
}

#[track_caller]
fn queue_id(reply: &str) -> String {
    let id = reply.trim().strip_prefix("250 2.0.0 Queued as ");
    id.unwrap_or_else(|| panic!("{reply}")).to_owned()
}

/// The reference in `(CONTENT 7F3K2)`.
fn reference(reply: &str) -> &str {
    let words = reply.trim_end().trim_end_matches(')');
    words.rsplit(' ').next().unwrap_or_default()
}

#[test]
fn rspamd_and_clamd_of_debian_judge_what_clients_and_strangers_send() {
    let (Some(rspamd), Some(clamd)) = (rspamd(), clamd()) else {
        return;
    };
    let (outside, receiver) = (Outside::new(), Receiver::start());
    let bootstrap = format!(
        "[dns]\nnameservers = [\"{}\"]\n{BEHIND_PROXY}{}{}",
        outside.address(),
        checker("rspamd", "rspamd", &rspamd.address()),
        checker("antivirus", "clamav", &clamd.address())
    );
    let server = Place::new(&bootstrap).serve();
    let both = "{ checks = [\"rspamd\", \"antivirus\"] }";
    let connectors = [
        ("Printers", "10.1.2.9", both),
        (
            "Cameras",
            "10.1.2.10",
            "{ checks = [\"antivirus\"], on_finding = \"hold\" }",
        ),
    ];
    let strangers = "inbound_content = { checks = [\"antivirus\"] }";
    let hop = receiver.address().to_string();
    server
        .apply(&settings(&connectors, strangers, &hop))
        .expect(0);

    let id = queue_id(&send(&server, "10.1.2.9", "hello"));
    receiver.wait_for_recipient("anna@example.org");
    let why = server.relais(&["why", &id]).expect(0).out;
    assert!(why.contains("antivirus: nothing found"), "{why}");
    assert!(why.contains("rspamd: no action"), "{why}");

    let reply = send(&server, "10.1.2.9", GTUBE);
    assert!(
        reply.starts_with("550 5.7.1 Content refused by rspamd: reject"),
        "{reply}"
    );
    assert!(reply.contains("(CONTENT "), "{reply}");
    let why = server.relais(&["why", reference(&reply)]).expect(0).out;
    assert!(
        why.contains("GTUBE") && why.contains("antivirus: nothing found"),
        "{why}"
    );

    let reply = send(&server, "10.1.2.9", INFECTED);
    assert!(
        reply.starts_with("550 5.7.1 Malware found: Relais.Test"),
        "{reply}"
    );

    let held = queue_id(&send(&server, "10.1.2.10", INFECTED));
    server.await_event("recipient.held", &held);
    let listed = server
        .relais(&["--json", "queue", "show", &held])
        .expect(0)
        .out;
    assert!(listed.contains("\"held\""), "{listed}");
    server.relais(&["queue", "release", &held]).expect(0);
    server.await_event("recipient.delivered", &held);

    let mut stranger = server.session_from("198.51.100.7");
    begin(&mut stranger, "bob@example.org", "anna@contoso.test");
    let reply = stranger.say(&message(INFECTED));
    assert!(reply.starts_with("550 5.7.1 Malware found"), "{reply}");
    // More than this clamd takes.
    let large = format!("{}\r\n", "x".repeat(70)).repeat(30_000);
    let reply = send(&server, "10.1.2.9", &large);
    assert!(
        reply.starts_with("451 4.7.1 Content cannot be checked now: antivirus (CHECK-LATER "),
        "{reply}"
    );
}

#[test]
fn a_checker_that_is_not_there_does_what_each_connector_says() {
    let receiver = Receiver::start();
    let bootstrap = format!(
        "{BEHIND_PROXY}{}",
        checker("gone", "clamav", "unix:/nonexistent/clamd.ctl")
    );
    let server = Place::new(&bootstrap).serve();
    let connectors = [
        ("Strict", "10.1.2.1", "{ checks = [\"gone\"] }"),
        (
            "Lax",
            "10.1.2.2",
            "{ checks = [\"gone\"], on_fault = \"pass\" }",
        ),
        (
            "Held",
            "10.1.2.3",
            "{ checks = [\"gone\"], on_fault = \"hold\" }",
        ),
        ("Unknown", "10.1.2.4", "{ checks = [\"never-heard-of\"] }"),
    ];
    let hop = receiver.address().to_string();
    server.apply(&settings(&connectors, "", &hop)).expect(0);

    let reply = send(&server, "10.1.2.1", "hello");
    assert!(
        reply.starts_with("451 4.7.1 Content cannot be checked now: gone"),
        "{reply}"
    );
    let passed = queue_id(&send(&server, "10.1.2.2", "hello"));
    server.await_event("recipient.delivered", &passed);
    let why = server.relais(&["why", &passed]).expect(0).out;
    assert!(why.contains("gone: cannot be reached"), "{why}");
    let held = queue_id(&send(&server, "10.1.2.3", "hello"));
    server.await_event("recipient.held", &held);
    let reply = send(&server, "10.1.2.4", "hello");
    assert!(reply.contains("checked now: never-heard-of"), "{reply}");

    let set = [
        "connector",
        "inbound",
        "set",
        "Strict",
        "--content-on-fault",
        "pass",
    ];
    server.relais(&set).expect(0);
    queue_id(&send(&server, "10.1.2.1", "hello"));
    let set = [
        "connector",
        "inbound",
        "set",
        "Unknown",
        "--content-check",
        "",
    ];
    server.relais(&set).expect(0);
    queue_id(&send(&server, "10.1.2.4", "hello"));
}

#[test]
fn while_a_checker_thinks_other_sessions_go_on_and_large_content_goes_through_it_whole() {
    let receiver = Receiver::start();
    let slow = SlowClamd::start();
    let bootstrap = format!(
        "{BEHIND_PROXY}{}",
        checker("slow", "clamav", &slow.address.to_string())
    );
    let server = Place::new(&bootstrap).serve();
    let connectors = [
        (
            "Checked",
            "10.1.2.1",
            "{ checks = [\"slow\"], timeout = \"2m\" }",
        ),
        ("Unchecked", "10.1.2.2", "{}"),
        (
            "Hasty",
            "10.1.2.3",
            "{ checks = [\"slow\"], timeout = \"1s\" }",
        ),
    ];
    let hop = receiver.address().to_string();
    server.apply(&settings(&connectors, "", &hop)).expect(0);

    let mut checked = server.session_from("10.1.2.1");
    begin(&mut checked, "scan@contoso.test", "anna@example.org");
    let large = format!("{}\r\n", "x".repeat(70)).repeat(100_000);
    checked.write(message(&large).as_bytes());
    checked.write(b"\r\n");
    assert!(slow.wait_for_content() > large.len() as u64);
    // It has all of the content, and is silent.
    queue_id(&send(&server, "10.1.2.2", "hello"));
    slow.answer(b"stream: OK\0");
    let id = queue_id(&checked.hear());
    server.await_event("recipient.delivered", &id);

    let reply = send(&server, "10.1.2.3", "hello");
    assert!(
        reply.starts_with("451 4.7.1 Content cannot be checked now: slow"),
        "{reply}"
    );
    let why = server.relais(&["why", reference(&reply)]).expect(0).out;
    assert!(why.contains("slow: no answer in time"), "{why}");
}

/// One attachment within a message that is forwarded within a multipart.
const NESTED: &str = "From: scan@contoso.test\r\nSubject: scan\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n\
    Subject: y\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\
    Content-Type: TYPE\r\nContent-Disposition: attachment; filename*=utf-8''FILE\r\n\r\n\
    MZ\r\n--y--\r\n--x--\r\n.";

#[test]
fn attachments_are_judged_by_name_and_by_declared_type_however_deep_they_are() {
    let receiver = Receiver::start();
    let server = Place::new(BEHIND_PROXY).serve();
    let forbidden = "forbidden_extensions = [\"exe\"], forbidden_types = [\"video/*\"]";
    let holding = format!("{{ on_finding = \"hold\", {forbidden} }}");
    let connectors = [
        ("Strict", "10.1.2.1", &*format!("{{ {forbidden} }}")),
        ("Held", "10.1.2.2", &holding),
    ];
    let hop = receiver.address().to_string();
    server.apply(&settings(&connectors, "", &hop)).expect(0);
    let send = |client: &str, kind: &str, file: &str| {
        let mut session = server.session_from(client);
        begin(&mut session, "scan@contoso.test", "anna@example.org");
        session.say(&NESTED.replace("TYPE", kind).replace("FILE", file))
    };
    let reply = send("10.1.2.1", "application/octet-stream", "Invoice%2eEXE");
    assert!(
        reply.starts_with("554 5.7.1 Attachment type not allowed: exe (CONTENT "),
        "{reply}"
    );
    let why = server.relais(&["why", reference(&reply)]).expect(0).out;
    assert!(why.contains("attachment"), "{why}");
    let reply = send("10.1.2.1", "Video/MP4", "a.pdf");
    assert!(
        reply.starts_with("554 5.7.1 Attachment type not allowed: video/mp4"),
        "{reply}"
    );
    let passed = queue_id(&send("10.1.2.1", "application/pdf", "a.pdf"));
    server.await_event("recipient.delivered", &passed);
    let held = queue_id(&send("10.1.2.2", "application/pdf", "a.exe"));
    server.await_event("recipient.held", &held);
}

#[test]
fn what_strangers_send_is_checked_as_the_command_line_and_the_page_say() {
    let (outside, receiver) = (Outside::new(), Receiver::start());
    let bootstrap = format!(
        "[dns]\nnameservers = [\"{}\"]\n{BEHIND_PROXY}",
        outside.address()
    );
    let server = Place::new(&bootstrap).serve();
    let hop = receiver.address().to_string();
    server.apply(&settings(&[], "", &hop)).expect(0);
    let send = || {
        let mut stranger = server.session_from("198.51.100.7");
        begin(&mut stranger, "bob@example.org", "anna@contoso.test");
        let content = NESTED.replace("TYPE", "application/pdf");
        stranger.say(&content.replace("FILE", "a.exe"))
    };
    queue_id(&send());
    let set = ["organisation", "set", "contoso"];
    let forbid = ["--forbidden-extension", "exe", "--content-timeout", "9s"];
    server.relais(&[&set[..], &forbid].concat()).expect(0);
    let reply = send();
    let refused = "554 5.7.1 Attachment type not allowed: exe (CONTENT ";
    assert!(reply.starts_with(refused), "{reply}");
    let mut browser = first(&server, "en");
    let page = browser.get("/settings").expect(200);
    page.shows("What strangers send to contoso");
    let form = |extensions| {
        [
            ("form_token", page.field("form_token")),
            ("organisation", "contoso".to_owned()),
            ("content_on_finding", "hold".to_owned()),
            ("content_extensions", extensions),
        ]
    };
    let post = |browser: &mut Browser<'_>, extensions: &str| {
        let form = form(extensions.to_owned());
        let form: Vec<_> = form
            .iter()
            .map(|(key, text)| (*key, text.as_str()))
            .collect();
        browser.post("/settings/content", &form)
    };
    post(&mut browser, "exe js").expect(303);
    server.await_event("recipient.held", &queue_id(&send()));
    let kept = server.relais(&["export"]).expect(0).out;
    assert!(kept.contains("timeout = \"9s\""), "{kept}");
    post(&mut browser, "js").expect(303);
    server.await_event("recipient.delivered", &queue_id(&send()));
    post(&mut browser, "e\u{301}\u{7f}").expect(400);
}

#[test]
fn a_milter_refuses_holds_adds_fields_and_what_it_may_not_do_is_named() {
    let Some(milter) = milter() else {
        return;
    };
    let receiver = Receiver::start();
    let bootstrap = format!(
        "{BEHIND_PROXY}{}",
        checker("filter", "milter", &milter.address())
    );
    let server = Place::new(&bootstrap).serve();
    let connectors = [("Checked", "10.1.2.1", "{ checks = [\"filter\"] }")];
    let hop = receiver.address().to_string();
    server.apply(&settings(&connectors, "", &hop)).expect(0);
    let send = |subject: &str| {
        let mut session = server.session_from("10.1.2.1");
        begin(&mut session, "scan@contoso.test", "anna@example.org");
        let line = format!("From: scan@contoso.test\r\nSubject: {subject}\r\n\r\nhello\r\n.");
        session.say(&line)
    };
    let id = queue_id(&send("fine"));
    server.await_event("recipient.delivered", &id);
    let arrival = receiver.wait_for_recipient("anna@example.org");
    assert!(
        arrival.text().contains("X-Seen-By: a milter\r\n"),
        "{}",
        arrival.text()
    );
    let reply = send("refuse");
    assert!(
        reply.starts_with("550 5.7.1 Content refused by filter: 550 5.7.1 Not this one (CONTENT"),
        "{reply}"
    );
    let reply = send("later");
    assert!(
        reply.starts_with("451 4.7.1 Content not taken now by filter"),
        "{reply}"
    );
    let held = queue_id(&send("odd"));
    server.await_event("recipient.held", &held);
    let why = server.relais(&["why", &held]).expect(0).out;
    assert!(why.contains("quarantined: looks odd"), "{why}");
    // Three that were found bad within an hour: the device itself is held.
    for _ in 0..2 {
        let held = queue_id(&send("odd"));
        server.await_event("recipient.held", &held);
    }
    let restricted = server
        .relais(&["--json", "restricted", "list"])
        .expect(0)
        .out;
    assert!(
        restricted.contains("trigger content: 3 messages"),
        "{restricted}"
    );
    let release = ["restricted", "release", "device", "Checked/10.1.2.1"];
    server.relais(&release).expect(0);
    let reply = send("replace");
    assert!(
        reply.starts_with("451 4.7.1 Content cannot be checked now: filter"),
        "{reply}"
    );
    let why = server.relais(&["why", reference(&reply)]).expect(0).out;
    assert!(
        why.contains("it wants to replace the body: not done here"),
        "{why}"
    );
}
