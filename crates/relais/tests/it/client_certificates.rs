//! Clients that prove themselves by a certificate: whom it leads to, and each way in which one is
//! not believed.

use std::process::Command;

use serde_json::Value;

use crate::authority::{Authority, Wanted};
use crate::receiver::Receiver;
use crate::support::run;
use crate::tls::{Encrypted, has_swaks_with_tls, nowhere};

/// A scanner known by its name, wherever it stands.
const BY_NAME: &str = "[[organisation.inbound_connector]]\nname = \"Scanners\"\n\
                       tls_sender_certificate_name = \"*.scan.contoso.test\"\n";

/// Sends one message over STARTTLS and prints how it ended.
pub(crate) const SEND: &str = r#"
def send(session, sender="scan@contoso.test", to="b@example.org"):
    try:
        session.sendmail(sender, [to], "From: scan@contoso.test\r\nSubject: page\r\n\r\npage\r\n")
        return "sent"
    except smtplib.SMTPRecipientsRefused as refused:
        return refused.recipients[to][1].decode()
    except smtplib.SMTPResponseException as refused:
        return refused.smtp_error.decode()

"#;

#[test]
fn python_with_a_client_certificate_sends_by_both_versions_and_the_trace_shows_its_name() {
    let receiver = Receiver::start();
    let relay = Encrypted::start(BY_NAME, receiver.address());
    let wanted = Wanted::client("DNS:other.test,DNS:Lyon.scan.contoso.test");
    let client = relay.authority.issue("client", &wanted);
    let script = format!(
        "{SEND}for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):\n    \
         print(send(connect(version)))\nprint(send(connect(None, False)))\n"
    );
    let said = relay.python(Some(&client), &script);
    assert_eq!(said[..2], ["sent", "sent"]);
    assert!(
        said[2].contains("Not registered for relay: 127.0.0.1 (SRC-UNKNOWN"),
        "{said:?}"
    );
    let arrivals = receiver.wait_for_count(2);
    assert!(
        arrivals[0].text().contains("with ESMTPS (TLS1."),
        "{}",
        arrivals[0].text()
    );
    let events = relay
        .server
        .relais(&["--json", "trace", "event:message.accepted"]);
    let events = events.expect(0).json_lines();
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(event["inbound_connector"], "Scanners");
        assert_eq!(event["client"]["certificate"], "lyon.scan.contoso.test");
        assert_eq!(event["tls"]["verified"], "certificate");
    }
    let status = relay.server.relais(&["--json", "status"]).expect(0).json();
    assert_eq!(
        status["client_certificates"][0]["name"],
        "lyon.scan.contoso.test"
    );
    assert_eq!(
        status["client_certificates"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn swaks_with_a_client_certificate_sends() {
    if !has_swaks_with_tls() {
        return;
    }
    let receiver = Receiver::start();
    let relay = Encrypted::start(BY_NAME, receiver.address());
    let wanted = Wanted::client("DNS:lyon.scan.contoso.test");
    let client = relay.authority.issue("client", &wanted);
    let mut swaks = Command::new("swaks");
    swaks
        .env("HOME", "/nonexistent")
        .args(["--tls", "--tls-cert"]);
    swaks
        .arg(&client.certificate)
        .arg("--tls-key")
        .arg(&client.key);
    swaks.args([
        "--server",
        "127.0.0.1",
        "--port",
        &relay.starttls.port().to_string(),
    ]);
    swaks.args(["--from", "scan@contoso.test", "--to", "b@example.org"]);
    let answer = run(swaks, "");
    assert_eq!(answer.code, 0, "{answer:?}");
    receiver.wait_for_recipient("b@example.org");
}

#[test]
fn a_certificate_that_is_no_proof_is_told_with_its_reason() {
    let relay = Encrypted::start(BY_NAME, nowhere());
    let foreign = Authority::new(&relay.server.place.path(""), "foreign");
    let good = || Wanted::client("DNS:lyon.scan.contoso.test");
    let ours = &relay.authority;
    let cases = [
        (
            ours.issue("deep", &Wanted::client("DNS:a.b.scan.contoso.test")),
            "no connector names a.b.scan.contoso.test (CERT-NOMATCH",
        ),
        (
            ours.issue(
                "common",
                &Wanted {
                    subject: "/CN=lyon.scan.contoso.test",
                    ..Wanted::client("")
                },
            ),
            "no DNS name in it (CERT-NOMATCH",
        ),
        (
            ours.issue(
                "server-only",
                &Wanted {
                    usage: "serverAuth",
                    ..good()
                },
            ),
            "not made for client authentication (CERT-UNTRUSTED",
        ),
        (
            ours.issue("expired", &Wanted { days: -1, ..good() }),
            "expired (CERT-EXPIRED",
        ),
        (
            foreign.issue("foreign-client", &good()),
            "not issued by a trusted authority (CERT-UNTRUSTED",
        ),
    ];
    for (client, reason) in cases {
        let said = relay.python(Some(&client), &format!("{SEND}print(send(connect()))"));
        let expected = format!("Client certificate not accepted: {reason}");
        assert!(said[0].contains(&expected), "{said:?}\n{expected}");
        // Mail *to* us is a stranger's as ever. A notice: there is no sender to ask DNS about.
        let script = format!("{SEND}print(send(connect(), '', 'anna@contoso.test'))");
        assert_eq!(relay.python(Some(&client), &script), ["sent"]);
    }
    let attempts = relay
        .server
        .relais(&["--json", "attempts", "list"])
        .expect(0);
    let tokens: Vec<Value> = attempts.json_lines();
    let of = |token: &str| tokens.iter().any(|one| one["token"] == token);
    assert!(
        of("CERT-NOMATCH") && of("CERT-EXPIRED") && of("CERT-UNTRUSTED"),
        "{tokens:?}"
    );
}

#[test]
fn a_renewed_certificate_of_the_same_name_is_the_same_client() {
    let relay = Encrypted::start(BY_NAME, nowhere());
    for file in ["first", "second"] {
        let wanted = Wanted::client("DNS:lyon.scan.contoso.test");
        let client = relay.authority.issue(file, &wanted);
        let said = relay.python(Some(&client), &format!("{SEND}print(send(connect()))"));
        assert_eq!(said, ["sent"]);
    }
    let status = relay.server.relais(&["--json", "status"]).expect(0).json();
    assert_eq!(
        status["client_certificates"].as_array().map(Vec::len),
        Some(2)
    );
}

#[test]
fn a_resumed_session_proves_the_certificate_as_the_first_did() {
    let relay = Encrypted::start(BY_NAME, nowhere());
    let wanted = Wanted::client("DNS:lyon.scan.contoso.test");
    let client = relay.authority.issue("client", &wanted);
    for version in ["TLSv1_2", "TLSv1_3"] {
        let script = format!(
            r#"
shared = context(ssl.TLSVersion.{version})
def visit(session=None):
    plain = socket.create_connection(("127.0.0.1", implicit))
    sealed = shared.wrap_socket(plain, server_hostname="relay.contoso.test", session=session)
    lines = sealed.makefile("rwb")
    for line in b"EHLO a.test", b"MAIL FROM:<scan@contoso.test>", b"RCPT TO:<b@example.org>":
        lines.write(line + b"\r\n")
    lines.write(b"QUIT\r\n")
    lines.flush()
    said = lines.read().decode().splitlines()
    return sealed, said[-2]
first, said = visit()
second, again = visit(first.session)
print(second.session_reused, said, again)
"#
        );
        let said = relay.python(Some(&client), &script);
        let expected = "True 250 2.1.5 Recipient ok 250 2.1.5 Recipient ok";
        assert_eq!(said, [expected], "{version}");
    }
}

#[test]
fn a_client_certificate_that_ends_soon_is_told_of_once() {
    let relay = Encrypted::start(BY_NAME, nowhere());
    let wanted = Wanted {
        days: 5,
        ..Wanted::client("DNS:lyon.scan.contoso.test")
    };
    let client = relay.authority.issue("client", &wanted);
    let script = format!("{SEND}print(send(connect()))\nprint(send(connect()))");
    assert_eq!(relay.python(Some(&client), &script), ["sent", "sent"]);
    let events = relay
        .server
        .relais(&["--json", "trace", "event:check.changed"]);
    let events = events.expect(0).json_lines();
    assert_eq!(events.len(), 1, "{events:?}");
    let detail = events[0]["detail"].as_str().expect("a detail");
    assert!(
        detail.starts_with("client certificate lyon.scan.contoso.test expires on "),
        "{detail}"
    );
    assert!(detail.ends_with("within 7 days"), "{detail}");
    assert_eq!(events[0]["inbound_connector"], "Scanners");
    let status = relay.server.relais(&["status"]).expect(0);
    assert!(
        status
            .out
            .contains("Clients    lyon.scan.contoso.test, valid until"),
        "{status:?}"
    );
}

#[test]
fn simulate_knows_certificates_before_anything_happens() {
    let relay = Encrypted::start(BY_NAME, nowhere());
    let ask = |name: &str, tls: &[&str]| {
        let mut arguments = vec!["--json", "simulate", "--ip", "192.0.2.9", "--from"];
        arguments.extend(["scan@contoso.test", "--to", "b@example.org"]);
        arguments.extend(["--certificate-name", name]);
        arguments.extend(tls);
        relay.server.relais(&arguments)
    };
    let answer = ask("lyon.scan.contoso.test", &["--tls", "1.2"])
        .expect(0)
        .json();
    assert_eq!(answer["verdict"], "permit");
    assert_eq!(
        answer["steps"][0]["answer"],
        "certificate lyon.scan.contoso.test"
    );
    assert_eq!(answer["steps"][1]["answer"], "TLS 1.2");
    let answer = ask("a.b.scan.contoso.test", &[]).expect(0).json();
    assert_eq!(answer["token"], "CERT-NOMATCH");
    let answer = ask("lyon.scan.contoso.test", &["--tls", "none"]);
    assert!(answer.err.contains("A certificate needs TLS"), "{answer:?}");
}
