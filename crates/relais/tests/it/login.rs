//! Logging in, from the command that makes a credential to the letter that it sends; with foreign
//! clients, and in a flood of guesses.
//!
//! In clear text on loopback, which is a private address and permitted by `cleartext_auth`. Foreign
//! programs that are not installed are passed over.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::receiver::Receiver;
use crate::support::{PATIENCE, Place, Server, Session, is_installed, run};

/// A relay whose connector knows its clients by credential alone.
fn relay_to(smart_host: SocketAddr, more: &str) -> Server {
    let server = Place::new(more).serve();
    let settings = format!(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         [[organisation.inbound_connector]]\nname = \"Printers\"\ncleartext_auth = true\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{smart_host}\"]\n"
    );
    server.apply(&settings).expect(0);
    server
}

/// Makes a credential; its password.
#[track_caller]
fn credential(server: &Server, user: &str, more: &[&str]) -> String {
    let mut arguments = vec![
        "--json",
        "credential",
        "add",
        "--organisation",
        "contoso",
        "--connector",
        "Printers",
        "--user",
        user,
    ];
    arguments.extend(more);
    let made = server.relais(&arguments).expect(0).json();
    assert_eq!(made["user"], user);
    assert_eq!(made["inbound_connector"], "Printers");
    let password = made["password"].as_str().expect("a password");
    assert_eq!(password.len(), 20, "{made}");
    assert!(
        password.bytes().all(|octet| octet.is_ascii_alphanumeric()),
        "{made}"
    );
    password.to_owned()
}

fn plain(user: &str, password: &str) -> String {
    format!(
        "AUTH PLAIN {}",
        STANDARD.encode(format!("\0{user}\0{password}"))
    )
}

/// What EHLO is answered.
fn offer(server: &Server) -> String {
    guess(Ipv4Addr::LOCALHOST, server.smtp, "NOOP").expect("a connection")
}

#[test]
fn a_device_logs_in_and_sends_as_itself_and_as_nobody_else() {
    let receiver = Receiver::start();
    let server = relay_to(receiver.address(), "");
    let address = "scan-1@contoso.test";
    let password = credential(&server, "scan-1", &["--may-send-as", address]);
    let mut session = server.session();
    session.say("EHLO scan");
    let offer = offer(&server);
    assert!(offer.contains("AUTH PLAIN LOGIN SCRAM-SHA-256"), "{offer}");
    let refused = session.say(&plain("scan-1", "wrong"));
    assert!(
        refused.starts_with("535 5.7.8 Credentials invalid (AUTH-BAD "),
        "{refused}"
    );
    let unknown = session.say(&plain("nobody", &password));
    assert_eq!(refused[..40], unknown[..40]);
    assert_eq!(session.say("AUTH LOGIN"), "334 VXNlcm5hbWU6");
    assert_eq!(session.say(&STANDARD.encode("scan-1")), "334 UGFzc3dvcmQ6");
    let welcome = session.say(&STANDARD.encode(&password));
    assert!(welcome.starts_with("235 2.7.0 "), "{welcome}");
    let denied = session.say("MAIL FROM:<ceo@contoso.test>");
    assert!(
        denied.starts_with("550 5.7.1 Not allowed to send as ceo@contoso.test (FROM-DENIED "),
        "{denied}"
    );
    session.say(&format!("MAIL FROM:<{address}>"));
    session.say("RCPT TO:<anna@example.org>");
    session.say("DATA");
    let accepted = session.say(&format!(
        "From: {address}\r\nSubject: page\r\n\r\nhello\r\n."
    ));
    assert!(accepted.starts_with("250 2.0.0 Queued as "), "{accepted}");
    let arrival = receiver.wait_for_recipient("anna@example.org");
    let content = String::from_utf8_lossy(&arrival.content).into_owned();
    assert!(content.contains(" with ESMTPA "), "{content}");

    // What happened is in the trace, without any password.
    let answer = server
        .relais(&["--json", "trace", "event:auth.failed"])
        .expect(0);
    let tried: Vec<Value> = answer.json_lines();
    let users: Vec<_> = tried
        .iter()
        .map(|one| one["client"]["credential"].clone())
        .collect();
    assert_eq!(users, ["nobody", "scan-1"]);
    assert_eq!(tried[0]["token"], "AUTH-BAD");
    let all = server.relais(&["--json", "trace"]).expect(0);
    let encoded = STANDARD.encode(format!("\0nobody\0{password}"));
    for secret in [password.as_str(), "wrong", &encoded] {
        assert!(!all.out.contains(secret), "{}", all.out);
        assert!(!server.log.so_far().join("\n").contains(secret));
    }
    let attempts = server.relais(&["--json", "attempts", "list"]).expect(0);
    assert!(attempts.out.contains("AUTH-BAD"), "{}", attempts.out);
    let audit = server.relais(&["--json", "audit", "list"]).expect(0);
    assert!(!audit.out.contains("argon2id") && !audit.out.contains(&password));
}

#[test]
fn a_rotated_password_overlaps_and_a_revoked_credential_is_gone() {
    let receiver = Receiver::start();
    let server = relay_to(receiver.address(), "");
    let old = credential(&server, "scan-1", &["--may-send-as", "scan-1@contoso.test"]);
    let login = |password: &str| {
        let mut session = server.session();
        session.say("EHLO scan");
        session.say(&plain("scan-1", password))[..3].to_owned()
    };
    let rotate = |overlap: &str| {
        let arguments = [
            "--json",
            "credential",
            "rotate",
            "scan-1",
            "--overlap",
            overlap,
        ];
        let made = server.relais(&arguments).expect(0).json();
        made["password"].as_str().expect("a password").to_owned()
    };
    let new = rotate("24h");
    assert_ne!(old, new);
    assert_eq!([login(&old), login(&new)], ["235", "235"]);
    if is_installed("msmtp") {
        for (password, to) in [(&old, "old@example.org"), (&new, "new@example.org")] {
            send_with_msmtp(server.smtp, "scram-sha-256", password, to);
            receiver.wait_for_recipient(to);
        }
    }
    let newest = rotate("0s");
    assert_eq!(
        [login(&old), login(&new), login(&newest)],
        ["535", "535", "235"]
    );
    let again = [
        "credential",
        "add",
        "--connector",
        "Printers",
        "--user",
        "scan-1",
    ];
    let refused = server.relais(&again).expect(1);
    assert!(
        refused.err.contains("relais credential rotate scan-1"),
        "{}",
        refused.err
    );
    let elsewhere = [
        "credential",
        "add",
        "--connector",
        "Nowhere",
        "--user",
        "scan-2",
    ];
    let refused = server.relais(&elsewhere).expect(3);
    assert!(
        refused.err.contains("no inbound connector \"Nowhere\""),
        "{}",
        refused.err
    );
    server.relais(&["credential", "revoke", "scan-1"]).expect(0);
    assert_eq!(server.relais(&["credential", "revoke", "scan-1"]).code, 3);
    // With the last credential goes AUTH itself.
    let mut session = server.session();
    session.say("EHLO scan");
    assert!(!offer(&server).contains("AUTH"));
    assert!(session.say(&plain("scan-1", &newest)).starts_with("502 "));
}

#[test]
fn the_last_use_of_a_credential_is_known_when_the_server_is_down() {
    let receiver = Receiver::start();
    let server = relay_to(receiver.address(), "");
    let password = credential(&server, "scan-1", &[]);
    credential(&server, "scan-2", &[]);
    let mut session = server.session();
    session.say("EHLO scan");
    assert!(session.say(&plain("scan-1", &password)).starts_with("235 "));
    session.say("QUIT");
    let (status, place) = server.stop();
    assert!(status.success());
    let list = place.relais(&["--json", "credential", "list"]).expect(0);
    let list = list.json_lines();
    let of = |user: &str| {
        list.iter()
            .find(|one| one["user"] == user)
            .expect("it is listed")
    };
    assert_eq!(of("scan-1")["last_address"], "127.0.0.1");
    assert!(
        of("scan-1")["last_used"]
            .as_str()
            .is_some_and(|time| time.starts_with("20"))
    );
    assert!(of("scan-2")["last_used"].is_null());
    assert!(!list.iter().any(|one| one.to_string().contains("argon2")));
}

#[test]
fn a_submission_listener_demands_a_login_and_holds_it_to_its_addresses() {
    let receiver = Receiver::start();
    let more = "[[listener]]\naddress = \"127.0.0.1:0\"\nrole = \"submission\"\ntls = \"none\"\n";
    let server = relay_to(receiver.address(), more);
    let password = credential(&server, "anna", &["--may-send-as", "anna@contoso.test"]);
    let started = server
        .log
        .wait_for("started", |line| line.contains("\"started\""));
    let started: Value = serde_json::from_str(&started).expect("JSON");
    let listeners = started["listeners"].as_str().expect("addresses");
    let submission = listeners
        .split(' ')
        .nth(1)
        .and_then(|text| text.parse().ok());
    let mut session = Session::open(submission.expect("an address"));
    session.say("EHLO client");
    let refused = session.say("MAIL FROM:<anna@contoso.test>");
    assert!(
        refused.starts_with("530 5.7.0 Authentication required (AUTH-REQUIRED "),
        "{refused}"
    );
    assert!(session.say(&plain("anna", &password)).starts_with("235 "));
    session.say("MAIL FROM:<anna@contoso.test>");
    session.say("RCPT TO:<ben@example.org>");
    session.say("DATA");
    let refused = session.say("From: ceo@contoso.test\r\nSubject: x\r\n\r\nx\r\n.");
    assert!(
        refused.starts_with("550 5.7.1 Not allowed to send as ceo@contoso.test (FROM-DENIED "),
        "{refused}"
    );
}

// ---- foreign clients ---------------------------------------------------------------------------

#[track_caller]
fn succeed(program: &str, arguments: &[&str], input: &str) {
    let mut command = Command::new(program);
    command.env("HOME", "/nonexistent").args(arguments);
    let answer = run(command, input);
    assert_eq!(answer.code, 0, "{program}\n{}\n{}", answer.out, answer.err);
}

const LETTER: &str =
    "From: scan-1@contoso.test\r\nTo: anna@example.org\r\nSubject: x\r\n\r\nhello\r\n";

/// As `scan-1`.
#[track_caller]
fn send_with_msmtp(to: SocketAddr, method: &str, password: &str, recipient: &str) {
    let (host, port) = (
        format!("--host={}", to.ip()),
        format!("--port={}", to.port()),
    );
    let auth = format!("--auth={method}");
    let secret = format!("--passwordeval=echo {password}");
    succeed(
        "msmtp",
        &[
            "--file=/dev/null",
            &host,
            &port,
            "--tls=off",
            &auth,
            "--user=scan-1",
            &secret,
            "--from=scan-1@contoso.test",
            recipient,
        ],
        LETTER,
    );
}

const PYTHON: &str = r#"
import smtplib, sys
host, port, password = sys.argv[1:4]
letter = "From: scan-1@contoso.test\r\nSubject: x\r\n\r\nhello\r\n"
for mechanism in ("auth_plain", "auth_login"):
    client = smtplib.SMTP(host, int(port))
    client.ehlo()
    client.user, client.password = "scan-1", password
    code, _ = client.auth(mechanism[5:].upper(), getattr(client, mechanism))
    assert code == 235, code
    client.sendmail("scan-1@contoso.test", ["python@example.org"], letter)
    client.quit()
try:
    client = smtplib.SMTP(host, int(port))
    client.login("scan-1", "wrong")
except smtplib.SMTPAuthenticationError as error:
    assert error.smtp_code == 535, error
else:
    sys.exit("a wrong password was right")
"#;

#[test]
fn foreign_clients_log_in() {
    let receiver = Receiver::start();
    let server = relay_to(receiver.address(), "");
    let password = credential(&server, "scan-1", &["--may-send-as", "scan-1@contoso.test"]);
    let (host, port) = (server.smtp.ip().to_string(), server.smtp.port().to_string());
    if is_installed("python3") {
        succeed("python3", &["-c", PYTHON, &host, &port, &password], "");
        receiver.wait_for_recipient("python@example.org");
    }
    if is_installed("swaks") {
        for mechanism in ["PLAIN", "LOGIN"] {
            let to = format!("swaks-{}@example.org", mechanism.to_lowercase());
            let address = server.smtp.to_string();
            succeed(
                "swaks",
                &[
                    "--server",
                    &address,
                    "--from",
                    "scan-1@contoso.test",
                    "--to",
                    &to,
                    "--auth",
                    mechanism,
                    "--auth-user",
                    "scan-1",
                    "--auth-password",
                    &password,
                ],
                "",
            );
            receiver.wait_for_recipient(&to);
        }
    }
    if is_installed("msmtp") {
        for method in ["plain", "login", "scram-sha-256"] {
            let to = format!("msmtp-{method}@example.org");
            send_with_msmtp(server.smtp, method, &password, &to);
            receiver.wait_for_recipient(&to);
        }
    }
    if is_installed("curl") {
        let url = format!("smtp://{host}:{port}/scan");
        let user = format!("scan-1:{password}");
        let letter = server.place.path("letter");
        std::fs::write(&letter, LETTER).expect("a file");
        let letter = letter.to_str().expect("UTF-8").to_owned();
        for option in ["AUTH=PLAIN", "AUTH=LOGIN"] {
            let to = format!("curl-{}@example.org", option[5..].to_lowercase());
            succeed(
                "curl",
                &[
                    "--silent",
                    "--show-error",
                    "--url",
                    &url,
                    "--user",
                    &user,
                    "--login-options",
                    option,
                    "--mail-from",
                    "scan-1@contoso.test",
                    "--mail-rcpt",
                    &to,
                    "--upload-file",
                    &letter,
                ],
                "",
            );
            receiver.wait_for_recipient(&to);
        }
    }
}

// ---- a flood of guesses ------------------------------------------------------------------------

/// Guesses, from so many addresses, in networks of their own. `RELAIS_LONG` asks for the whole
/// flood of the plan: 10,000 from 200.
fn flood_size() -> (usize, u8) {
    if std::env::var_os("RELAIS_LONG").is_some() {
        (10_000, 200)
    } else {
        (400, 40)
    }
}

/// One connection from this address of loopback; what is said after `AUTH PLAIN`.
fn guess(from: Ipv4Addr, to: SocketAddr, line: &str) -> std::io::Result<String> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(&to.into())?;
    let mut stream = TcpStream::from(socket);
    stream.write_all(format!("EHLO x\r\n{line}\r\nQUIT\r\n").as_bytes())?;
    let mut said = String::new();
    // Sent away with octets unread, the connection may be reset: what was said before counts.
    let _ = stream.read_to_string(&mut said);
    Ok(said)
}

#[test]
fn a_good_client_logs_in_within_a_second_whatever_is_guessed() {
    let receiver = Receiver::start();
    let server = relay_to(receiver.address(), "");
    let password = credential(&server, "scan-1", &[]);
    let (guesses, addresses) = flood_size();
    let (wrong, right) = (plain("scan-1", "wrong"), plain("scan-1", &password));
    let (next, over) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let refused = Arc::new(AtomicUsize::new(0));
    let guessers: Vec<_> = (0..8)
        .map(|_| {
            let (next, over, wrong) = (Arc::clone(&next), Arc::clone(&over), wrong.clone());
            let (refused, to) = (Arc::clone(&refused), server.smtp);
            std::thread::spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= guesses || over.load(Ordering::Relaxed) {
                        return;
                    }
                    let network = u8::try_from(number % usize::from(addresses)).expect("few");
                    let from = Ipv4Addr::new(127, 1, network, 1);
                    let said = guess(from, to, &wrong).expect("a connection");
                    assert!(!said.contains("235 "), "{said}");
                    let no = ["535 5.7.8", "421 4.7.0", "454 4.7.0"];
                    assert!(no.iter().any(|code| said.contains(code)), "{said}");
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let mut logins = 0;
    while guessers.iter().any(|guesser| !guesser.is_finished()) {
        let began = Instant::now();
        let from = Ipv4Addr::new(127, 0, 0, 1);
        let said = guess(from, server.smtp, &right).expect("a connection");
        assert!(said.contains("235 2.7.0"), "{said}");
        slowest = slowest.max(began.elapsed());
        logins += 1;
    }
    over.store(true, Ordering::Relaxed);
    guessers
        .into_iter()
        .for_each(|guesser| guesser.join().expect("no panic"));
    assert!(logins > 0 && refused.load(Ordering::Relaxed) == guesses);
    assert!(
        slowest < Duration::from_secs(1),
        "the slowest of {logins} took {slowest:?}"
    );
}
