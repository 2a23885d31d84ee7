//! Encrypted sessions as others open them: OpenSSL, swaks and Python, over STARTTLS and from the
//! first octet; and what nobody may do to them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::authority::{Authority, Pair, openssl_with};
use crate::receiver::Receiver;
use crate::support::{Answer, Place, Server, Session, run};

/// Two listeners, STARTTLS and implicit, with a certificate of an authority of our own.
pub(crate) struct Encrypted {
    pub(crate) server: Server,
    pub(crate) authority: Authority,
    pub(crate) own: Pair,
    /// The listener with TLS from the first octet.
    pub(crate) implicit: SocketAddr,
    /// The listener with STARTTLS.
    pub(crate) starttls: SocketAddr,
}

impl Encrypted {
    /// Mail goes to this smart host.
    pub(crate) fn start(connectors: &str, smart_host: SocketAddr) -> Self {
        let place = Place::new("");
        let authority = Authority::new(&place.path(""), "ca");
        let own = authority.server("tls");
        let listener = |tls: &str| {
            format!(
                "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"{tls}\"\ncertificate = {:?}\n\
                 client_ca = [{:?}]\n",
                own.certificate,
                authority.file()
            )
        };
        let text = format!(
            "hostname = \"relay.contoso.test\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [limits]\ndisk_reserve = \"1 MiB\"\n{}{}",
            listener("starttls"),
            listener("implicit")
        );
        fs::write(place.path("relais.toml"), text).expect("a file");
        let server = place.serve();
        server.apply(&settings(connectors, smart_host)).expect(0);
        let started = server
            .log
            .wait_for("started", |line| line.contains("\"started\""));
        let started: serde_json::Value = serde_json::from_str(&started).expect("JSON");
        let listeners = started["listeners"].as_str().expect("listeners");
        let mut listeners = listeners
            .split(' ')
            .map(|one| one.parse().expect("an address"));
        let (starttls, implicit) = (listeners.next(), listeners.next());
        Self {
            server,
            authority,
            own,
            implicit: implicit.expect("two listeners"),
            starttls: starttls.expect("two listeners"),
        }
    }

    /// A Python script with the standard library: `connect()` gives an SMTP session over TLS.
    #[track_caller]
    pub(crate) fn python(&self, client: Option<&Pair>, script: &str) -> Vec<String> {
        let file = self.server.place.path("client.py");
        fs::write(&file, format!("{PYTHON}{script}")).expect("a file");
        let mut python = Command::new("python3");
        python
            .arg(&file)
            .arg(self.starttls.port().to_string())
            .arg(self.implicit.port().to_string())
            .arg(self.authority.file());
        if let Some(client) = client {
            python.arg(&client.certificate).arg(&client.key);
        }
        let answer = run(python, "");
        assert_eq!(answer.code, 0, "{}\n{}", answer.out, answer.err);
        answer.out.lines().map(str::to_owned).collect()
    }

    pub(crate) fn s_client(&self, port: u16, arguments: &str, input: &str) -> Answer {
        openssl_with(
            &format!("s_client -connect 127.0.0.1:{port} -ign_eof {arguments}"),
            input,
        )
    }
}

/// What both ends of each Python test share.
const PYTHON: &str = r#"
import smtplib, socket, ssl, sys, os, time
starttls, implicit, ca = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

def context(version=None, identity=True):
    made = ssl.create_default_context(cafile=ca)
    if version:
        made.minimum_version = made.maximum_version = version
    if identity and len(sys.argv) > 4:
        made.load_cert_chain(sys.argv[4], sys.argv[5])
    return made

def connect(version=None, identity=True):
    session = smtplib.SMTP("127.0.0.1", starttls)
    session._host = "relay.contoso.test"
    session.starttls(context=context(version, identity))
    return session

def connect_implicit(version=None):
    plain = socket.create_connection(("127.0.0.1", implicit))
    return context(version).wrap_socket(plain, server_hostname="relay.contoso.test")

def fingerprint(sock):
    import hashlib
    return hashlib.sha256(sock.getpeercert(True)).hexdigest()

"#;

fn settings(connectors: &str, smart_host: SocketAddr) -> String {
    format!(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         [[organisation.recipient]]\naddress = \"anna@contoso.test\"\n{connectors}\
         [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{smart_host}\"]\n"
    )
}

/// Loopback is a known client.
pub(crate) const BY_ADDRESS: &str = "[[organisation.inbound_connector]]\nname = \"Loopback\"\n\
                          sender_ip_addresses = [\"127.0.0.1\"]\n";
const LETTER: &str =
    "From: erp@contoso.test\r\nTo: b@example.org\r\nSubject: sealed\r\n\r\nhello\r\n";

/// Nobody listens there.
pub(crate) fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

fn dialogue() -> String {
    format!(
        "EHLO erp.contoso.test\r\nMAIL FROM:<erp@contoso.test>\r\nRCPT TO:<b@example.org>\r\n\
         DATA\r\n{LETTER}.\r\nQUIT\r\n"
    )
}

#[test]
fn openssl_sends_by_starttls_and_from_the_first_octet_and_received_says_so() {
    let receiver = Receiver::start();
    let relay = Encrypted::start(BY_ADDRESS, receiver.address());
    let authority = relay.authority.file().display().to_string();
    for (port, arguments) in [
        (relay.starttls.port(), "-starttls smtp -tls1_2"),
        (relay.starttls.port(), "-starttls smtp -tls1_3"),
        (relay.implicit.port(), "-tls1_2"),
        (relay.implicit.port(), "-tls1_3"),
    ] {
        let arguments = format!(
            "{arguments} -CAfile {authority} -verify_return_error \
             -verify_hostname relay.contoso.test -crlf -quiet"
        );
        let input = dialogue().replace("\r\n", "\n");
        let answer = relay.s_client(port, &arguments, &input);
        assert!(answer.out.contains("250 2.0.0 Queued as "), "{answer:?}");
        assert!(!answer.out.contains("250-STARTTLS\r\n250-"), "{answer:?}");
    }
    let arrivals = receiver.wait_for_count(4);
    let of = |version: &str| {
        let field = format!("with ESMTPS (TLS{version} ");
        arrivals
            .iter()
            .filter(|one| one.text().contains(&field))
            .count()
    };
    assert_eq!((of("1.2"), of("1.3")), (2, 2));
    let events = relay
        .server
        .relais(&["--json", "trace", "event:message.accepted"])
        .expect(0);
    let tls = &events.json_lines()[0]["tls"];
    assert_eq!(tls["version"], "1.3");
    assert_eq!(tls["verified"], "no");
    assert!(
        tls["cipher"]
            .as_str()
            .expect("a cipher")
            .starts_with("TLS_AES_256"),
        "{tls}"
    );
}

#[test]
fn swaks_sends_over_tls() {
    if !has_swaks_with_tls() {
        return;
    }
    let receiver = Receiver::start();
    let relay = Encrypted::start(BY_ADDRESS, receiver.address());
    for (port, flag) in [
        (relay.starttls.port(), "--tls"),
        (relay.implicit.port(), "--tls-on-connect"),
    ] {
        let mut swaks = Command::new("swaks");
        swaks
            .env("HOME", "/nonexistent")
            .args([flag, "--tls-verify", "--tls-ca-path"]);
        swaks.arg(relay.authority.file());
        swaks.args(["--server", "127.0.0.1", "--port", &port.to_string()]);
        swaks.args(["--from", "erp@contoso.test", "--to", "b@example.org"]);
        let answer = run(swaks, "");
        assert_eq!(answer.code, 0, "{answer:?}");
        assert!(answer.out.contains("250 2.0.0 Queued as "), "{answer:?}");
    }
    assert_eq!(receiver.wait_for_count(2).len(), 2);
}

/// Whether swaks is there and can do TLS; a test without it says so and ends.
pub(crate) fn has_swaks_with_tls() -> bool {
    let mut swaks = Command::new("swaks");
    swaks.arg("--support").stdin(std::process::Stdio::null());
    let found = swaks
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("TLS supported"));
    if !found {
        eprintln!("SKIPPED: swaks with TLS (libnet-ssleay-perl) is not installed");
    }
    found
}

#[test]
fn commands_hidden_behind_starttls_are_thrown_away_and_nothing_said_before_counts() {
    let relay = Encrypted::start(BY_ADDRESS, nowhere());
    let said = relay.python(
        None,
        r#"
plain = socket.create_connection(("127.0.0.1", starttls))
plain.recv(1000)
plain.sendall(b"EHLO evil.test\r\nMAIL FROM:<evil@contoso.test>\r\n")
while b"250 2.1.0" not in plain.recv(4000):
    pass
plain.sendall(b"STARTTLS\r\nRCPT TO:<anna@contoso.test>\r\nRSET\r\nEHLO evil.test\r\n")
answer = plain.recv(4000)
assert answer == b"220 2.0.0 Ready to start TLS\r\n", answer
sealed = context().wrap_socket(plain, server_hostname="relay.contoso.test")
def say(text):
    sealed.sendall(text)
    print(sealed.recv(4000).decode().splitlines()[-1])
say(b"NOOP\r\n")
say(b"RCPT TO:<anna@contoso.test>\r\n")
say(b"MAIL FROM:<evil@contoso.test>\r\n")
say(b"EHLO good.test\r\n")
say(b"STARTTLS\r\n")
say(b"MAIL FROM:<erp@contoso.test>\r\n")
"#,
    );
    let codes: Vec<_> = said.iter().map(|line| &line[..9]).collect();
    let expected = [
        "250 2.0.0",
        "503 5.5.1",
        "503 5.5.1",
        "250 LIMIT",
        "503 5.5.1",
        "250 2.1.0",
    ];
    assert_eq!(codes, expected, "{said:?}");
}

#[test]
fn a_new_certificate_is_shown_to_new_sessions_and_the_old_ones_go_on() {
    let relay = Encrypted::start(BY_ADDRESS, nowhere());
    let fresh = relay.authority.server("fresh");
    let script = format!(
        r#"
old = connect()
first = fingerprint(old.sock)
os.replace({:?}, {:?})
os.replace({:?}, {:?})
for _ in range(600):
    new = connect()
    second = fingerprint(new.sock)
    if second != first:
        break
    new.quit()
    time.sleep(0.05)
assert second != first
old.ehlo_or_helo_if_needed()
print(old.mail("erp@contoso.test")[0], old.rcpt("b@example.org")[0], old.quit()[0])
"#,
        fresh.certificate, relay.own.certificate, fresh.key, relay.own.key
    );
    assert_eq!(relay.python(None, &script), ["250 250 221"]);
    fs::write(&relay.own.certificate, "no certificate").expect("a file");
    relay.server.signal("HUP");
    relay.server.log.wait_for("the reason", |line| {
        line.contains("it holds no certificate")
            && line.contains("the certificate until now is kept")
    });
    assert_eq!(relay.python(None, "print(connect().noop()[0])"), ["250"]);
}

#[test]
fn a_session_is_resumed_without_a_second_full_handshake() {
    let relay = Encrypted::start(BY_ADDRESS, nowhere());
    for version in ["TLSv1_2", "TLSv1_3"] {
        let script = format!(
            r#"
shared = context(ssl.TLSVersion.{version})
def visit(session=None):
    plain = socket.create_connection(("127.0.0.1", implicit))
    sealed = shared.wrap_socket(plain, server_hostname="relay.contoso.test", session=session)
    sealed.recv(1000)
    sealed.sendall(b"QUIT\r\n")
    sealed.recv(1000)
    return sealed
first = visit()
print(first.session_reused, visit(first.session).session_reused)
"#
        );
        assert_eq!(relay.python(None, &script), ["False True"], "{version}");
    }
}

#[test]
fn clear_text_on_the_implicit_port_is_closed_without_a_word() {
    let relay = Encrypted::start(BY_ADDRESS, nowhere());
    let mut session = Session::connect(relay.implicit);
    session.write(b"EHLO erp.contoso.test\r\n");
    assert_eq!(session.hear(), "");
    let attempts = wait_for_attempt(&relay.server, "TLS-OLD");
    assert_eq!(attempts["detail"].as_str().map(|_| ()), None, "{attempts}");
    let reply = attempts["reply"].as_str().expect("a reply");
    assert!(
        reply.contains("TLS not accepted: the client speaks no TLS"),
        "{reply}"
    );
}

#[test]
fn behind_a_proxy_tls_begins_after_its_header() {
    let place = Place::new("");
    let text = fs::read_to_string(place.path("relais.toml")).expect("a file");
    let implicit = "tls = \"implicit\"\nproxy_protocol_from = [\"127.0.0.1\"]";
    let text = text.replace("tls = \"none\"", implicit);
    fs::write(place.path("relais.toml"), text).expect("a file");
    let server = place.serve();
    let script = server.place.path("proxied.py");
    let text = r#"
import socket, ssl, sys
plain = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
plain.sendall(b"PROXY TCP4 192.0.2.9 192.0.2.1 4000 465\r\n")
made = ssl.create_default_context()
made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
sealed = made.wrap_socket(plain)
lines = sealed.makefile("rwb")
lines.write(b"EHLO a.test\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nQUIT\r\n")
lines.flush()
print(lines.read().decode().splitlines()[-2])
"#;
    fs::write(&script, text).expect("a file");
    let mut python = Command::new("python3");
    python.arg(&script).arg(server.smtp.port().to_string());
    let answer = run(python, "").expect(0);
    assert!(
        answer
            .out
            .starts_with("550 5.7.1 Not registered for relay: 192.0.2.9 (SRC-UNKNOWN"),
        "{answer:?}"
    );
}

/// The first refused attempt with this token.
fn wait_for_attempt(server: &Server, token: &str) -> serde_json::Value {
    let token = format!("\"token\":\"{token}\"");
    let line = server.log.wait_for(&token, |line| line.contains(&token));
    serde_json::from_str(&line).expect("JSON")
}

#[test]
fn a_client_that_knows_only_old_tls_is_refused_and_a_person_sees_what_it_offered() {
    let relay = Encrypted::start(BY_ADDRESS, nowhere());
    let answer = relay.s_client(
        relay.starttls.port(),
        "-starttls smtp -tls1_1 -cipher ALL@SECLEVEL=0",
        "",
    );
    assert_ne!(answer.code, 0, "{answer:?}");
    let attempt = wait_for_attempt(&relay.server, "TLS-OLD");
    assert_eq!(attempt["event"], "attempt.refused");
    assert_eq!(attempt["inbound_connector"], "Loopback");
    let reply = attempt["reply"].as_str().expect("a reply");
    assert!(
        reply.contains("the client offers TLS 1.1 at most"),
        "{reply}"
    );
    let detail = attempt["detail"].as_str().expect("a detail");
    assert!(
        detail.starts_with("offered TLS 1.1; ciphers TLS_ECDHE"),
        "{detail}"
    );
    let reference = attempt["reference"].as_str().expect("a reference");
    let why = relay.server.relais(&["why", reference]).expect(0);
    assert!(why.out.contains("TLS 1.1"), "{why:?}");
}

#[test]
fn a_connector_requires_tls_or_does_without_it() {
    let connector = |tls: &str| format!("{BY_ADDRESS}tls = \"{tls}\"\n");
    let relay = Encrypted::start(&connector("required"), nowhere());
    let mut session = Session::open(relay.starttls);
    session.say("EHLO erp.contoso.test");
    let reply = session.say("MAIL FROM:<erp@contoso.test>");
    assert!(
        reply.starts_with("530 5.7.0 Must issue STARTTLS first (TLS-REQUIRED"),
        "{reply}"
    );
    let script = "s = connect(); s.ehlo_or_helo_if_needed(); print(s.mail('erp@contoso.test')[0])";
    assert_eq!(relay.python(None, script), ["250"]);
    let off = settings(&connector("off"), nowhere());
    relay.server.apply(&off).expect(0);
    let script = "s = smtplib.SMTP('127.0.0.1', starttls); s.ehlo('a.test')\n\
                  print(s.has_extn('starttls'), s.docmd('STARTTLS')[0])";
    assert_eq!(relay.python(None, script), ["False 502"]);
}

#[test]
fn without_a_certificate_that_can_be_read_starttls_is_454_and_mail_still_flows() {
    let place = Place::new("");
    let missing = place.path("missing.pem");
    let text = fs::read_to_string(place.path("relais.toml")).expect("a file");
    let tls = format!("tls = \"starttls\"\ncertificate = {missing:?}");
    fs::write(
        place.path("relais.toml"),
        text.replace("tls = \"none\"", &tls),
    )
    .expect("a file");
    let server = place.serve();
    server.apply(&settings(BY_ADDRESS, nowhere())).expect(0);
    server.log.wait_for("the reason", |line| {
        line.contains("missing.pem") && line.contains("TLS is not available there")
    });
    let mut session = server.session();
    session.say("EHLO erp.contoso.test");
    let reply = session.say("STARTTLS");
    assert!(
        reply.starts_with("454 4.7.0 TLS not available (TLS-TEMP"),
        "{reply}"
    );
    let reply = session.say("MAIL FROM:<erp@contoso.test>");
    assert!(reply.starts_with("250 2.1.0"), "{reply}");
    let status = server.relais(&["status"]).expect(0);
    assert!(
        status.out.contains("no certificate can be loaded"),
        "{status:?}"
    );
}

#[test]
fn without_a_named_certificate_one_is_made_and_its_fingerprint_told() {
    let place = Place::new("");
    let text = fs::read_to_string(place.path("relais.toml")).expect("a file");
    fs::write(
        place.path("relais.toml"),
        text.replace("tls = \"none\"", "tls = \"starttls\""),
    )
    .expect("a file");
    let server = place.serve();
    let told = server
        .told
        .wait_for("the fingerprint", |line| line.contains("SHA-256 "));
    let (_, fingerprint) = told.rsplit_once("SHA-256 ").expect("it stands there");
    let shown = openssl_fingerprint(&server.place.path("data/tls/self-signed.pem"));
    assert_eq!(fingerprint, shown);
    let (_, metrics) = server.http("/metrics");
    let metric = format!(
        "relais_certificate_expiry_timestamp_seconds{{listener=\"{}\"}} ",
        server.smtp
    );
    assert!(metrics.contains(&metric), "{metrics}");
    let (status, place) = server.stop();
    assert!(status.success());
    let again = place.serve();
    let told = again
        .told
        .wait_for("the fingerprint", |line| line.contains("SHA-256 "));
    assert!(told.ends_with(&shown), "kept: {told}");
}

pub(crate) fn openssl_fingerprint(file: &Path) -> String {
    let arguments = format!("x509 -noout -fingerprint -sha256 -in {}", file.display());
    let answer = openssl_with(&arguments, "").expect(0);
    let (_, fingerprint) = answer.out.trim().split_once('=').expect("a fingerprint");
    fingerprint.to_owned()
}
