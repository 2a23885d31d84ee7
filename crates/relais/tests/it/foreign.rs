//! Software that others wrote sends through the relay, and receives from it. Each test compares the
//! octets at the receiving end with those that were sent.
//!
//! A program that is not installed skips its test, and says so: `./ci` installs them all.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use relais_testkit::postfix::{Postfix, Role};

use crate::receiver::Receiver;
use crate::support::{Answer, Server, is_installed, run};

/// Postfix takes seconds to start on a machine under load.
const POSTFIX_PATIENCE: Duration = Duration::from_secs(60);

/// What tempts a sender or relay to change something: dots at the beginning of lines, a line that
/// is one dot, letters outside ASCII, spaces at the end of lines, a long line, empty lines.
fn letter(number: &str) -> Vec<u8> {
    let long = "x".repeat(900);
    format!(
        "From: ERP <erp@contoso.test>\r\nTo: anna@example.org\r\nSubject: letter {number}\r\n\
         Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@erp.contoso.test>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\nX-Folded: one\r\n\ttwo\r\n\r\n\
         .dot\r\n..dots\r\n.\r\nFrom here on: d\u{e9}j\u{e0} vu, 漢字  \r\n\t\r\n{long}\r\n\r\nend\r\n"
    )
    .into_bytes()
}

/// A relay that takes mail from loopback and passes it on to this server.
#[track_caller]
fn relay_to(smart_host: std::net::SocketAddr) -> Server {
    Server::with_settings(&format!(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         [[organisation.inbound_connector]]\nname = \"Applications\"\n\
         sender_ip_addresses = [\"127.0.0.1\"]\npreset = \"strict\"\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{smart_host}\"]\n"
    ))
}

fn command<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Command {
    let mut command = Command::new(program);
    // No configuration of the person who runs the tests.
    command
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C.UTF-8")
        .args(arguments);
    command
}

fn write(server: &Server, name: &str, octets: &[u8]) -> PathBuf {
    let file = server.place.path(name);
    fs::write(&file, octets).expect("a file");
    file
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

#[track_caller]
fn succeed(command: Command, input: &str) -> Answer {
    let shown = format!("{command:?}");
    let answer = run(command, input);
    assert_eq!(answer.code, 0, "{shown}\n{}\n{}", answer.out, answer.err);
    answer
}

#[test]
fn swaks_sends_pipelined_to_two_recipients() {
    if !is_installed("swaks") {
        return;
    }
    let receiver = Receiver::start();
    let server = relay_to(receiver.address());
    let letter = letter("swaks");
    let file = write(&server, "letter", &letter);
    let arguments = [
        "--server".to_owned(),
        server.smtp.to_string(),
        "--pipeline".to_owned(),
        "--from".to_owned(),
        "erp@contoso.test".to_owned(),
        "--to".to_owned(),
        "anna@example.org,ben@example.org".to_owned(),
        "--data".to_owned(),
        format!("@{}", text(&file)),
    ];
    let answer = succeed(command("swaks", &arguments), "");
    assert!(answer.out.contains("250 2.0.0 Queued as "), "{answer:?}");
    let arrival = receiver.wait_for_recipient("anna@example.org");
    // What swaks reads from a file ends with one more line end.
    let mut sent = letter;
    if arrival.content.ends_with(b"\r\nend\r\n\r\n") {
        sent.extend_from_slice(b"\r\n");
    }
    arrival.expect_only_a_received_field_above(&sent);
    receiver.wait_for_recipient("ben@example.org");
}

#[test]
fn msmtp_sends_as_a_replacement_of_sendmail() {
    if !is_installed("msmtp") {
        return;
    }
    let receiver = Receiver::start();
    let server = relay_to(receiver.address());
    let letter = letter("msmtp");
    let (host, port) = (server.smtp.ip(), server.smtp.port());
    let arguments = [
        "--file=/dev/null".to_owned(),
        format!("--host={host}"),
        format!("--port={port}"),
        "--tls=off".to_owned(),
        "--from=erp@contoso.test".to_owned(),
        "anna@example.org".to_owned(),
    ];
    let input = String::from_utf8(letter.clone())
        .expect("UTF-8")
        .replace("\r\n", "\n");
    succeed(command("msmtp", &arguments), &input);
    let arrival = receiver.wait_for_recipient("anna@example.org");
    arrival.expect_only_a_received_field_above(&letter);
}

#[test]
fn curl_uploads_a_message() {
    if !is_installed("curl") {
        return;
    }
    let receiver = Receiver::start();
    let server = relay_to(receiver.address());
    let letter = letter("curl");
    let file = write(&server, "letter", &letter);
    let arguments = [
        "--silent".to_owned(),
        "--show-error".to_owned(),
        "--disable".to_owned(),
        format!("smtp://{}/erp.contoso.test", server.smtp),
        "--mail-from".to_owned(),
        "erp@contoso.test".to_owned(),
        "--mail-rcpt".to_owned(),
        "anna@example.org".to_owned(),
        "--upload-file".to_owned(),
        text(&file),
    ];
    succeed(command("curl", &arguments), "");
    let arrival = receiver.wait_for_recipient("anna@example.org");
    arrival.expect_only_a_received_field_above(&letter);
}

const PYTHON: &str = r#"
import smtplib, sys
host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
content = open(path, "rb").read()
with smtplib.SMTP(host, port, timeout=30) as smtp:
    # One after the other over one connection, the second with addresses outside ASCII.
    smtp.sendmail("erp@contoso.test", ["anna@example.org"], content,
                  mail_options=["BODY=8BITMIME"])
    smtp.sendmail("caf\u00e9@contoso.test", ["j\u00fcrgen@ex\u00e4mple.example"], content,
                  mail_options=["BODY=8BITMIME", "SMTPUTF8"])
    try:
        smtp.sendmail("erp@fabrikam.test", ["anna@example.org"], content)
    except smtplib.SMTPSenderRefused as refused:
        print(refused.smtp_code, refused.smtp_error.decode())
"#;

#[test]
fn python_sends_twice_over_one_connection_in_utf8_and_understands_a_refusal() {
    if !is_installed("python3") {
        return;
    }
    let receiver = Receiver::start();
    let server = relay_to(receiver.address());
    let letter = letter("python");
    let file = write(&server, "letter", &letter);
    let script = write(&server, "send.py", PYTHON.as_bytes());
    let (host, port) = (server.smtp.ip().to_string(), server.smtp.port().to_string());
    let mut python = Command::new("python3");
    python.args([text(&script), host, port, text(&file)]);
    let answer = succeed(python, "");
    let refused = "550 5.7.1 Sender domain not verified: fabrikam.test (FROM-DOMAIN ";
    assert!(answer.out.starts_with(refused), "{answer:?}");
    let arrival = receiver.wait_for_recipient("anna@example.org");
    arrival.expect_only_a_received_field_above(&letter);
    assert!(arrival.from.contains("BODY=8BITMIME"), "{arrival:?}");
    let arrival = receiver.wait_for("the second", |arrival| arrival.from.contains("caf\u{e9}"));
    assert!(arrival.from.contains("SMTPUTF8"), "{arrival:?}");
    assert!(arrival.to[0].contains("j\u{fc}rgen@"), "{arrival:?}");
    arrival.expect_only_a_received_field_above(&letter);
}

const NODE: &str = r#"
const nodemailer = require("nodemailer");
const fs = require("fs");
const [host, port, letter, built] = process.argv.slice(2);
const smtp = nodemailer.createTransport({ host, port: Number(port), secure: false, pool: true });
const builder = nodemailer.createTransport({ streamTransport: true, buffer: true, newline: "windows" });
(async () => {
  const envelope = (to) => ({ from: "erp@contoso.test", to: [to] });
  await smtp.sendMail({ envelope: envelope("anna@example.org"), raw: fs.readFileSync(letter) });
  const invoice = await builder.sendMail({
    from: "ERP <erp@contoso.test>", to: "ben@example.org", subject: "facture n\u00ba 7",
    text: "ci-joint", attachments: [{ filename: "facture.pdf", content: Buffer.alloc(300000, 7) }],
  });
  fs.writeFileSync(built, invoice.message);
  await smtp.sendMail({ envelope: envelope("ben@example.org"), raw: invoice.message });
  smtp.close();
})().catch((error) => { console.error(error); process.exit(1); });
"#;

#[test]
fn nodemailer_sends_a_letter_and_an_invoice_with_an_attachment() {
    let tools = std::env::var_os("RELAIS_TOOLS")
        .map(PathBuf::from)
        .unwrap_or_default();
    let modules = tools.join("node_modules");
    if !is_installed("node") || !modules.join("nodemailer").is_dir() {
        eprintln!("SKIPPED: nodemailer is not in RELAIS_TOOLS");
        return;
    }
    let receiver = Receiver::start();
    let server = relay_to(receiver.address());
    let letter = letter("nodemailer");
    let file = write(&server, "letter", &letter);
    let script = write(&server, "send.cjs", NODE.as_bytes());
    let built = server.place.path("invoice");
    let (host, port) = (server.smtp.ip().to_string(), server.smtp.port().to_string());
    let arguments = [text(&script), host, port, text(&file), text(&built)];
    let mut node = command("node", &arguments);
    node.env("NODE_PATH", &modules);
    succeed(node, "");
    let arrival = receiver.wait_for_recipient("anna@example.org");
    arrival.expect_only_a_received_field_above(&letter);
    let invoice = fs::read(&built).expect("the script wrote it");
    let arrival = receiver.wait_for_recipient("ben@example.org");
    arrival.expect_only_a_received_field_above(&invoice);
}

/// Postfix's unpacked package; without it, or not as root, the test says so and ends.
fn postfix_package() -> Option<PathBuf> {
    let package = Postfix::package();
    if package.is_none() {
        eprintln!("SKIPPED: Postfix is not in RELAIS_TOOLS, or we are not root");
    }
    package
}

#[test]
fn postfix_receives_from_us() {
    let Some(package) = postfix_package() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let receives = Role::Receives("example.org");
    let postfix = Postfix::start(&package, folder.path(), receives).expect("Postfix starts");
    let server = relay_to(postfix.address());
    for number in ["one", "two"] {
        let letter = letter(number);
        submit(server.smtp, "erp@contoso.test", "anna@example.org", &letter);
        let mark = format!("<{number}@erp.contoso.test>");
        let Some(arrived) = postfix.wait_for(&mark, POSTFIX_PATIENCE) else {
            panic!("not delivered: {}", postfix.log());
        };
        // A maildir ends its lines with LF.
        let sent = String::from_utf8(letter)
            .expect("UTF-8")
            .replace("\r\n", "\n");
        assert!(arrived.ends_with(&sent), "{arrived}");
        assert!(arrived.contains("by relay.contoso.test"), "{arrived}");
    }
    let events = server
        .relais(&["--json", "trace", "event:recipient.delivered"])
        .expect(0);
    let replies: Vec<_> = events.json_lines();
    assert_eq!(replies.len(), 2, "{events:?}");
    for event in &replies {
        let reply = event["reply"].as_str().unwrap_or_default();
        assert!(reply.starts_with("250 2.0.0 Ok"), "{event}");
    }
}

#[test]
fn postfix_sends_through_us() {
    let Some(package) = postfix_package() else {
        return;
    };
    let receiver = Receiver::start();
    let server = relay_to(receiver.address());
    let folder = tempfile::tempdir().expect("a folder");
    let role = Role::SendsThrough(server.smtp);
    let postfix = Postfix::start(&package, folder.path(), role).expect("Postfix starts");
    let letter = letter("through");
    submit(
        postfix.address(),
        "erp@contoso.test",
        "anna@example.org",
        &letter,
    );
    let arrival = receiver.wait_for_recipient("anna@example.org");
    assert!(arrival.content.ends_with(&letter), "{}", arrival.text());
    assert!(
        arrival.text().contains("by mx.receiver.test (Postfix)"),
        "{}",
        arrival.text()
    );
    let events = server
        .relais(&["--json", "trace", "event:message.accepted"])
        .expect(0);
    assert_eq!(events.json_lines()[0]["client"]["helo"], "mx.receiver.test");
}

/// S4 of the reference procedure: somebody replies to a device's address that does not exist. Our
/// refusal at RCPT makes their own server tell them.
#[test]
fn a_reply_to_a_device_that_has_no_mailbox_ends_as_a_notice_of_the_repliers_own_postfix() {
    let Some(package) = postfix_package() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let mailboxes = Receiver::start();
    let server = Server::with_settings(&format!(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         mailbox_host = \"{}\"\n\
         [[organisation.recipient]]\naddress = \"anna@contoso.test\"\n",
        mailboxes.address()
    ));
    let role = Role::Writes("example.org", server.smtp);
    let postfix = Postfix::start(&package, folder.path(), role).expect("Postfix starts");
    let reply = letter("reply");
    submit(
        postfix.address(),
        "ben@example.org",
        "scan@contoso.test",
        &reply,
    );
    let Some(notice) = postfix.wait_for("Undelivered Mail Returned to Sender", POSTFIX_PATIENCE)
    else {
        panic!("nobody told the replier: {}", postfix.log());
    };
    assert!(
        notice.contains("Final-Recipient: rfc822; scan@contoso.test"),
        "{notice}"
    );
    assert!(notice.contains("Status: 5.1.1"), "{notice}");
    assert!(
        notice.contains("No such recipient (RCPT-UNKNOWN"),
        "{notice}"
    );
    // The relay accepted nothing, wrote nothing, and remembers the attempt.
    assert!(mailboxes.arrivals().is_empty());
    let attempts = server.relais(&["--json", "attempts", "list"]).expect(0).out;
    assert!(attempts.contains("RCPT-UNKNOWN"), "{attempts}");
}

/// Hands a message over, dots stuffed, as any client does.
#[track_caller]
fn submit(to: std::net::SocketAddr, from: &str, recipient: &str, content: &[u8]) {
    let mut session = crate::support::Session::open(to);
    let content = String::from_utf8(content.to_vec()).expect("UTF-8");
    let stuffed = content.replace("\r\n.", "\r\n..");
    for (line, code) in [
        ("EHLO erp.contoso.test".to_owned(), "250"),
        (format!("MAIL FROM:<{from}> BODY=8BITMIME"), "250"),
        (format!("RCPT TO:<{recipient}>"), "250"),
        ("DATA".to_owned(), "354"),
        (format!("{stuffed}."), "250"),
        ("QUIT".to_owned(), "221"),
    ] {
        let reply = session.say(&line);
        assert!(reply.starts_with(code), "{line}: {reply}");
    }
}

#[test]
fn smtp_source_of_postfix_keeps_many_sessions_busy() {
    let tools = std::env::var_os("RELAIS_TOOLS")
        .map(PathBuf::from)
        .unwrap_or_default();
    let source = tools.join("postfix/usr/sbin/smtp-source");
    if !source.is_file() {
        eprintln!("SKIPPED: smtp-source is not in RELAIS_TOOLS");
        return;
    }
    let receiver = Receiver::start();
    let server = relay_to(receiver.address());
    let target = format!("inet:{}", server.smtp);
    let mut smtp_source = Command::new(source);
    let libraries = tools.join("postfix/usr/lib/postfix");
    smtp_source
        .env("LD_LIBRARY_PATH", libraries)
        .stdout(Stdio::null());
    smtp_source.args([
        "-s",
        "10",
        "-m",
        "200",
        "-l",
        "3000",
        "-f",
        "erp@contoso.test",
    ]);
    smtp_source.args(["-N", "-t", "anna@example.org", &target]);
    succeed(smtp_source, "");
    let arrivals = receiver.wait_for_count(200);
    assert_eq!(arrivals.len(), 200, "none twice");
}
