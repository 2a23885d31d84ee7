//! `relais connector inbound listen`: the conversation of a device, as it happens.

use std::process::{Child, Stdio};

use crate::support::{BEHIND_PROXY, CONTOSO, Lines, Place, Server, Session};

const DEVICE: &str = "10.1.2.9";

fn server() -> Server {
    let server = Place::new(BEHIND_PROXY).serve();
    let devices = CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]");
    server.apply(&devices).expect(0);
    server
}

/// A person who listens for *Printers*.
struct Listener {
    child: Child,
    lines: Lines,
}

impl Listener {
    #[track_caller]
    fn start(server: &Server) -> Self {
        let arguments = ["connector", "inbound", "listen", "Printers"];
        let mut command = server.place.command(&arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let lines = Lines::collect(child.stdout.take().expect("piped"));
        lines.wait_for("that it listens", |line| {
            line == "Listening for Printers (enabled). Press Scan now on the device."
        });
        Self { child, lines }
    }

    /// Its exit code, and all that it printed.
    fn ended(mut self) -> (i32, Vec<String>) {
        let status = self.child.wait().expect("the program ends");
        (status.code().unwrap_or(-1), self.lines.to_the_end())
    }
}

#[track_caller]
fn greeted(server: &Server, client: &str) -> Session {
    let mut session = server.session_from(client);
    let banner = session.hear();
    assert!(banner.starts_with("220 "), "{banner}");
    session.say("EHLO scan2");
    session
}

#[test]
fn a_message_is_told_line_by_line_and_secrets_and_content_are_not() {
    let server = server();
    let listener = Listener::start(&server);
    let mut device = greeted(&server, DEVICE);
    listener
        .lines
        .wait_for("the greeting, as it happens", |line| {
            line == "  > EHLO scan2"
        });
    device.say("AUTH PLAIN AHNjYW4AdmVyeS1zZWNyZXQ=");
    device.say("MAIL FROM:<scan@contoso.test>");
    device.say("RCPT TO:<b@example.org>");
    device.say("DATA");
    let reply = device.say("From: scan@contoso.test\r\n\r\nconfidential\r\n.");
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    device.say("QUIT");
    let (code, lines) = listener.ended();
    assert_eq!(code, 0, "{lines:#?}");
    for expected in [
        "10.1.2.9 connected",
        "  < 220 relay.contoso.test ESMTP Relais",
        "  > AUTH PLAIN [hidden]",
        "  > MAIL FROM:<scan@contoso.test>",
        "  < 354 End data with <CR><LF>.<CR><LF>",
        "  (44 octets of content)",
        &format!("  < {reply}"),
        "  > QUIT",
        "10.1.2.9 left",
        &format!("Accepted: {reply}"),
    ] {
        assert!(
            lines.iter().any(|line| line == expected),
            "{expected}\n{lines:#?}"
        );
    }
    let all = lines.join("\n");
    assert!(
        !all.contains("AHNj") && !all.contains("confidential"),
        "{all}"
    );
}

#[test]
fn a_refusal_ends_with_its_cause_and_fix() {
    let server = server();
    let listener = Listener::start(&server);
    let mut device = greeted(&server, DEVICE);
    let reply = device.say("MAIL FROM:<scan@fabrikam.test>");
    device.say("QUIT");
    let (code, lines) = listener.ended();
    assert_eq!(code, 4);
    let at = lines
        .iter()
        .position(|line| *line == format!("Refused: {reply}"));
    let told = &lines[at.unwrap_or_else(|| panic!("{lines:#?}"))..];
    assert!(
        told[1].contains("not a verified domain of the organisation"),
        "{told:#?}"
    );
    assert!(told[2].contains("sender"), "{told:#?}");
}

#[test]
fn other_clients_are_not_told_and_a_stranger_only_with_its_refusal() {
    let server = server();
    let listener = Listener::start(&server);
    let mut stranger = greeted(&server, "203.0.113.7");
    stranger.say("MAIL FROM:<scan@contoso.test>");
    let reply = stranger.say("RCPT TO:<b@example.org>");
    stranger.say("QUIT");
    let told = listener
        .lines
        .wait_for("the stranger", |line| line.contains("203.0.113.7"));
    let reference = reply.trim_end_matches(')').rsplit(' ').next().expect("one");
    let adopt = format!("relais attempts adopt {reference} --name \"Printers\"");
    assert!(told.contains(&adopt), "{told}");
    let mut device = greeted(&server, DEVICE);
    device.say("MAIL FROM:<scan@fabrikam.test>");
    drop(device);
    let (_, lines) = listener.ended();
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("203.0.113.7 connected")),
        "{lines:#?}"
    );
}

#[test]
fn a_connection_test_is_no_result_and_no_device_is_said_so() {
    let server = server();
    let listener = Listener::start(&server);
    greeted(&server, DEVICE).say("QUIT");
    listener
        .lines
        .wait_for("the end", |line| line == "10.1.2.9 left");
    let mut device = greeted(&server, DEVICE);
    device.say("MAIL FROM:<scan@fabrikam.test>");
    drop(device);
    assert_eq!(listener.ended().0, 4);

    let listen = ["connector", "inbound", "listen"];
    let short = [&listen[..], &["Printers", "--timeout", "1s"]].concat();
    let answer = server.relais(&short).expect(4);
    assert!(
        answer.err.contains("no message of Printers came"),
        "{answer:?}"
    );
    server
        .relais(&[&listen[..], &["Copiers"]].concat())
        .expect(3);
    server
        .relais(&[&listen[..], &["Printers", "--timeout", "soon"]].concat())
        .expect(2);
}
