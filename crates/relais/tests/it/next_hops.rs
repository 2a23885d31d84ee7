//! Postfix as the next hop: each level of TLS, each way of logging in, certificates of ours; and
//! what Postfix itself says of the session in the `Received` field that it writes.
//!
//! Without its unpacked package (`./ci`, `RELAIS_TOOLS`) the tests are skipped, and say so.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use relais_testkit::postfix::{Door, Postfix, Role, ServerTls};
use relais_testkit::sasl::Logins;
use serde_json::Value;
use tempfile::TempDir;

use crate::authority::{Authority, Wanted};
use crate::outbound::{relay, send, steps, walk};
use crate::support::{Lines, PATIENCE, Server};

/// The name in its certificate.
const NAME: &str = "mx.receiver.test";

/// Postfix with a certificate of an authority of its own.
struct Hop {
    folder: TempDir,
    authority: Authority,
    postfix: Postfix,
}

impl Hop {
    /// `None`, said loudly, where Postfix is missing.
    fn start(door: impl FnOnce(&Path, &Authority, ServerTls) -> Door) -> Option<Self> {
        let Some(package) = Postfix::package() else {
            eprintln!("SKIPPED: Postfix is not in RELAIS_TOOLS, or we are not root");
            return None;
        };
        let folder = TempDir::with_prefix("relais-hop-").expect("a folder");
        let authority = Authority::new(folder.path(), "ca");
        let wanted = Wanted {
            subject: "/CN=mx",
            names: "DNS:mx.receiver.test",
            usage: "serverAuth",
            days: 90,
        };
        let own = authority.issue("mx", &wanted);
        let tls = ServerTls {
            certificate: own.certificate,
            key: own.key,
        };
        let door = door(folder.path(), &authority, tls);
        let role = Role::ReceivesAll(door);
        let postfix = Postfix::start(&package, folder.path(), role).expect("Postfix starts");
        Some(Self {
            folder,
            authority,
            postfix,
        })
    }

    /// A relay whose outbound connector leads here, with these lines.
    fn relay(&self, lines: &str) -> Server {
        let address = self.postfix.address();
        let trusted = format!("[deliver]\nextra_ca = [{:?}]\n", self.authority.file());
        relay(&format!("smart_hosts = [\"{address}\"]\n{lines}"), &trusted)
    }

    /// What Postfix wrote above the message for this recipient, unfolded.
    #[track_caller]
    fn received(&self, to: &str) -> String {
        let mark = format!("Delivered-To: {to}");
        let Some(message) = self.postfix.wait_for(&mark, PATIENCE) else {
            panic!("{to} did not arrive: {}", self.postfix.log());
        };
        let begin = message.find("Received: ").expect("a trace field");
        let lines: Vec<_> = message[begin..].lines().collect();
        let end = lines[1..].iter().position(|line| !line.starts_with('\t'));
        lines[..=end.expect("more fields")]
            .join("")
            .replace('\t', " ")
    }
}

/// Changes the connector.
fn set(server: &Server, more: &[&str]) {
    let arguments = [&["connector", "outbound", "set", "Out"], more].concat();
    server.relais(&arguments).expect(0);
}

/// The newest event of this kind about a recipient, waited for.
#[track_caller]
fn event(server: &Server, kind: &str, to: &str) -> Value {
    let (event, recipient) = (format!("\"event\":\"{kind}\""), format!("\"to\":\"{to}\""));
    let fits = |line: &str| line.contains(&event) && line.contains(&recipient);
    server.log.wait_for(&format!("{kind} of {to}"), fits);
    let arguments = [
        "--json",
        "trace",
        &format!("event:{kind}"),
        &format!("to:{to}"),
    ];
    let events = server.relais(&arguments).expect(0).json_lines();
    events.into_iter().next().expect("it is in the log")
}

#[test]
fn postfix_sees_each_level_of_tls_as_the_trace_tells_it() {
    let Some(hop) = Hop::start(|_, _, tls| Door::with_tls(tls)) else {
        return;
    };
    let server = hop.relay("tls = \"none\"");
    let name = ["--tls", "domain-validation", "--tls-domain", NAME];
    for (level, verified) in [
        (&["--tls", "none"][..], None),
        (&["--tls", "opportunistic"], Some("no")),
        (&["--tls", "encryption-only"], Some("no")),
        (&["--tls", "certificate-validation"], Some("chain")),
        (&name, Some("name")),
        (&["--tls-domain", "*.receiver.test"], Some("name")),
    ] {
        set(&server, level);
        let to = format!("{}@example.org", level[1].trim_start_matches("*."));
        send(&server, &to);
        let delivered = event(&server, "recipient.delivered", &to);
        let received = hop.received(&to);
        match verified {
            None => {
                assert_eq!(delivered["tls"], Value::Null, "{level:?}");
                assert!(received.contains(" with ESMTP id"), "{received}");
            }
            Some(verified) => {
                assert_eq!(delivered["tls"]["verified"], verified, "{level:?}");
                assert_eq!(delivered["tls"]["version"], "1.3", "{level:?}");
                let cipher = delivered["tls"]["cipher"].as_str().expect("a cipher");
                assert!(
                    received.contains("(using TLSv1.3 with cipher "),
                    "{received}"
                );
                assert!(received.contains(" with ESMTPS id"), "{received}");
                assert!(cipher.starts_with("TLS_"), "{cipher}");
            }
        }
    }
    // Another name than its certificate bears: the mail waits, and goes when that is mended.
    set(&server, &["--tls-domain", "mx.other.test"]);
    send(&server, "late@example.org");
    let deferred = event(&server, "recipient.deferred", "late@example.org");
    let reply = deferred["reply"].as_str().expect("a reason");
    assert!(
        reply.contains("its certificate is for mx.receiver.test"),
        "{reply}"
    );
    let report = walk(&server).expect(4).json();
    assert_eq!(steps(&report), ["tcp ok", "tls failed"]);
    set(&server, &["--tls-domain", NAME]);
    server
        .relais(&["queue", "retry", "--all", "--yes"])
        .expect(0);
    let delivered = event(&server, "recipient.delivered", "late@example.org");
    assert_eq!(delivered["tls"]["verified"], "name");
}

#[test]
fn a_postfix_that_speaks_old_tls_only_gets_mail_in_clear_where_that_is_allowed_and_said() {
    let door = |_: &Path, _: &Authority, tls| Door {
        old_tls_only: true,
        ..Door::with_tls(tls)
    };
    let Some(hop) = Hop::start(door) else {
        return;
    };
    let server = hop.relay("tls = \"opportunistic\"");
    send(&server, "anna@example.org");
    let delivered = event(&server, "recipient.delivered", "anna@example.org");
    assert_eq!(delivered["tls"], Value::Null);
    let shown = server
        .relais(&["trace", "to:anna@example.org"])
        .expect(0)
        .out;
    assert!(
        shown.contains("in clear text: the TLS handshake failed"),
        "{shown}"
    );
    let received = hop.received("anna@example.org");
    assert!(received.contains(" with ESMTP id"), "{received}");
    // Who demands encryption waits, and hears why.
    set(&server, &["--tls", "encryption-only"]);
    send(&server, "ben@example.org");
    let deferred = event(&server, "recipient.deferred", "ben@example.org");
    let reply = deferred["reply"].as_str().expect("a reason");
    assert!(
        reply.contains("the TLS handshake failed") && reply.contains("(demanded: TLS)"),
        "{reply}"
    );
    assert_eq!(hop.postfix.messages().len(), 1);
}

#[test]
fn a_postfix_without_tls_gets_nothing_while_encryption_is_demanded() {
    let Some(hop) = Hop::start(|_, _, _| Door::default()) else {
        return;
    };
    let server = hop.relay("tls = \"certificate-validation\"");
    send(&server, "anna@example.org");
    let deferred = event(&server, "recipient.deferred", "anna@example.org");
    let reply = deferred["reply"].as_str().expect("a reason");
    let words = "does not offer STARTTLS (demanded: TLS with a certificate of a known authority)";
    assert!(reply.contains(words), "{reply}");
    set(&server, &["--tls", "opportunistic"]);
    server
        .relais(&["queue", "retry", "--all", "--yes"])
        .expect(0);
    let received = hop.received("anna@example.org");
    assert!(received.contains(" with ESMTP id"), "{received}");
}

#[test]
fn at_postfix_with_cyrus_sasl_every_mechanism_in_common_logs_in() {
    let Some(program) = Logins::program() else {
        eprintln!("SKIPPED: saslpasswd2 is not in RELAIS_TOOLS");
        return;
    };
    let mechanisms = "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256";
    let user = ("relais", "a password, with blanks");
    let door = |folder: &Path, _: &Authority, tls| {
        let logins = Logins::make(&program, folder, mechanisms, user).expect("a file of users");
        Door {
            logins: Some(logins),
            ..Door::with_tls(tls)
        }
    };
    let Some(hop) = Hop::start(door) else {
        return;
    };
    let server = hop.relay(&format!(
        "tls = \"domain-validation\"\ntls_domain = \"{NAME}\"\n\
         auth = {{ method = \"password\", user = \"{}\" }}",
        user.0
    ));
    let password = |text: &str| {
        let arguments = ["connector", "outbound", "set", "Out", "--password-stdin"];
        server
            .place
            .relais_with(&arguments, &format!("{text}\n"))
            .expect(0)
    };
    password("another one");
    let report = walk(&server).expect(4).json();
    assert!(report.to_string().contains("535 5.7.8 "), "{report:#}");
    send(&server, "anna@example.org");
    let deferred = event(&server, "recipient.deferred", "anna@example.org");
    let reply = deferred["reply"].as_str().expect("a reason");
    assert!(
        reply.contains("535 5.7.8 Error: authentication failed"),
        "{reply}"
    );
    password(user.1);
    // The strongest of both.
    let report = walk(&server).expect(0).json();
    let transcript = report["hosts"][0]["transcript"].to_string();
    assert!(
        transcript.contains("AUTH SCRAM-SHA-256 ..."),
        "{transcript}"
    );
    server
        .relais(&["queue", "retry", "--all", "--yes"])
        .expect(0);
    let mut arrived = vec!["anna@example.org".to_owned()];
    for mechanism in ["scram-sha-256", "plain", "login"] {
        set(
            &server,
            &["--auth-parameter", &format!("mechanism={mechanism}")],
        );
        let transcript = walk(&server).expect(0).out;
        let said = format!("AUTH {} ...", mechanism.to_uppercase());
        assert!(transcript.contains(&said), "{transcript}");
        let to = format!("{mechanism}@example.org");
        send(&server, &to);
        arrived.push(to);
    }
    for to in &arrived {
        let received = hop.received(to);
        assert!(
            received.contains("(Authenticated sender: relais@receiver.test)")
                && received.contains(" with ESMTPSA id"),
            "{received}"
        );
    }
    let told = [
        server.log.so_far().join("\n"),
        server.relais(&["--json", "trace"]).expect(0).out,
        hop.postfix.log(),
    ]
    .concat();
    assert!(
        !told.contains(user.1) && !told.contains("another one"),
        "{told}"
    );
}

#[test]
fn a_postfix_that_takes_mail_by_certificate_only_knows_ours() {
    let door = |_: &Path, authority: &Authority, tls| Door {
        client_authority: Some(authority.file().to_owned()),
        ..Door::with_tls(tls)
    };
    let Some(hop) = Hop::start(door) else {
        return;
    };
    let server = hop.relay("tls = \"certificate-validation\"");
    send(&server, "anna@example.org");
    // Without one we are nobody; it says so for good, and the owner learns it.
    let failed = event(&server, "recipient.failed", "anna@example.org");
    let reply = failed["reply"].as_str().expect("a reply");
    assert!(reply.starts_with("554 5.7.1 "), "{reply}");
    let identity = |authority: &Authority, file: &str| {
        let wanted = Wanted {
            subject: "/CN=relay.contoso.test",
            ..Wanted::client("DNS:relay.contoso.test")
        };
        let own = authority.issue(file, &wanted);
        let certificate = format!("certificate={}", own.certificate.display());
        let key = format!("private_key={}", own.key.display());
        let method = ["--auth", "certificate", "--auth-parameter"];
        set(
            &server,
            &[&method[..], &[&certificate, "--auth-parameter", &key]].concat(),
        );
    };
    // One of an authority that it does not know.
    let stranger = TempDir::with_prefix("relais-stranger-").expect("a folder");
    identity(&Authority::new(stranger.path(), "other"), "stranger");
    let report = walk(&server).expect(4).json();
    let walked = steps(&report);
    assert!(walked.contains(&"rcpt failed".to_owned()), "{walked:?}");
    identity(&hop.authority, "own");
    walk(&server).expect(0);
    send(&server, "ben@example.org");
    let received = hop.received("ben@example.org");
    assert!(
        received.contains("(Client CN \"relay.contoso.test\", Issuer \"ca\" (verified OK))"),
        "{received}"
    );
    let delivered = event(&server, "recipient.delivered", "ben@example.org");
    assert_eq!(delivered["tls"]["verified"], "chain");
    drop(hop.folder);
}

/// A server with STARTTLS that demands a certificate of its authority, and a login by it. It prints
/// its port, then who logged in by which certificate.
const EXTERNAL: &str = r#"
import base64, socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
context.load_verify_locations(sys.argv[3])
context.verify_mode = ssl.CERT_REQUIRED
door = socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], flush=True)

def serve(sock):
    sock.sendall(b"220 mx.receiver.test ESMTP\r\n")
    lines, secure, known, content = sock.makefile("rb"), False, False, False
    while line := lines.readline():
        verb = line[:4].upper()
        if content:
            if line == b".\r\n":
                content = False
                sock.sendall(b"250 2.0.0 taken\r\n")
        elif verb == b"EHLO":
            offer = b"AUTH EXTERNAL PLAIN" if secure else b"STARTTLS"
            sock.sendall(b"250-mx.receiver.test\r\n250 " + offer + b"\r\n")
        elif verb == b"STAR":
            sock.sendall(b"220 go on\r\n")
            sock = context.wrap_socket(sock, server_side=True)
            lines, secure = sock.makefile("rb"), True
        elif verb == b"AUTH":
            name = dict(part[0] for part in sock.getpeercert()["subject"])["commonName"]
            words = line.decode().split()
            said = "" if words[2] == "=" else base64.b64decode(words[2]).decode()
            print("login", words[1], repr(said), "by", name, flush=True)
            known = words[1] == "EXTERNAL"
            sock.sendall(b"235 2.7.0 welcome\r\n" if known else b"535 5.7.8 no\r\n")
        elif verb == b"MAIL" and not known:
            sock.sendall(b"530 5.7.0 Authentication required\r\n")
        elif verb == b"DATA":
            content = True
            sock.sendall(b"354 go on\r\n")
        elif verb == b"QUIT":
            sock.sendall(b"221 bye\r\n")
            return
        else:
            sock.sendall(b"250 ok\r\n")

def guarded(sock):
    try:
        serve(sock)
    except OSError:
        pass

while True:
    threading.Thread(target=guarded, args=(door.accept()[0],), daemon=True).start()
"#;

#[test]
fn a_server_that_demands_a_certificate_in_the_handshake_is_logged_in_to_by_it() {
    let folder = TempDir::with_prefix("relais-external-").expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let own = authority.issue(
        "mx",
        &Wanted {
            usage: "serverAuth",
            ..Wanted::client("DNS:mx.receiver.test")
        },
    );
    let mut python = Command::new("python3");
    python
        .args(["-c", EXTERNAL])
        .arg(&own.certificate)
        .arg(&own.key);
    let mut child = python
        .arg(authority.file())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let log = Lines::collect(child.stdout.take().expect("piped"));
    let _ended = Ended(child);
    let port = log.wait_for("a port", |line| !line.is_empty());
    let trusted = format!("[deliver]\nextra_ca = [{:?}]\n", authority.file());
    let lines = format!(
        "smart_hosts = [\"127.0.0.1:{port}\"]\ntls = \"domain-validation\"\n\
         tls_domain = \"{NAME}\""
    );
    let server = relay(&lines, &trusted);
    // Whoever shows no certificate is cut off.
    send(&server, "anna@example.org");
    let deferred = event(&server, "recipient.deferred", "anna@example.org");
    assert_eq!(deferred["tls"], Value::Null, "{deferred}");
    let client = authority.issue("client", &Wanted::client("DNS:relay.contoso.test"));
    for (user, said) in [("", "''"), ("branch", "'branch'")] {
        let certificate = format!("certificate={}", client.certificate.display());
        let key = format!("private_key={}", client.key.display());
        let arguments = ["--auth", "certificate", "--user", user, "--auth-parameter"];
        set(
            &server,
            &[&arguments[..], &[&certificate, "--auth-parameter", &key]].concat(),
        );
        let transcript = walk(&server).expect(0).out;
        assert!(transcript.contains("AUTH EXTERNAL ..."), "{transcript}");
        let login = format!("login EXTERNAL {said} by scanner");
        log.wait_for(&login, |line| line == login);
    }
    server
        .relais(&["queue", "retry", "--all", "--yes"])
        .expect(0);
    let delivered = event(&server, "recipient.delivered", "anna@example.org");
    assert_eq!(delivered["tls"]["verified"], "name");
}

/// Ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
