//! How mail leaves: TLS and logins at smart hosts that are other people's software, or another
//! relay of ours; and the walk that a person orders.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::authority::{Authority, Wanted, openssl_with};
use crate::receiver::Receiver;
use crate::support::{Answer, Lines, Place, Server};
use crate::tls::Encrypted;

/// A relay that takes mail from loopback and sends it out by a connector with these lines.
pub(crate) fn relay(outbound: &str, more: &str) -> Server {
    let place = Place::new(more);
    // Another name than the relay that it meets: nobody believes a client with its own.
    let file = place.path("relais.toml");
    let text = std::fs::read_to_string(&file).expect("a file");
    std::fs::write(file, text.replacen("relay.", "branch.", 1)).expect("a file");
    let server = place.serve();
    let settings = format!(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         [[organisation.inbound_connector]]\nname = \"Devices\"\n\
         sender_ip_addresses = [\"127.0.0.1\"]\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\n{outbound}\n"
    );
    server.apply(&settings).expect(0);
    server
}

pub(crate) fn send(server: &Server, to: &str) {
    let mut session = server.session();
    session.say("EHLO scan");
    session.say("MAIL FROM:<scan@contoso.test>");
    session.say(&format!("RCPT TO:<{to}>"));
    session.say("DATA");
    let accepted = session.say("From: scan@contoso.test\r\nSubject: page\r\n\r\nhello\r\n.");
    assert!(accepted.starts_with("250 2.0.0 Queued as "), "{accepted}");
}

/// The newest event of this kind, waited for.
pub(crate) fn event(server: &Server, kind: &str) -> Value {
    let until = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        let term = format!("event:{kind}");
        let answer = server.relais(&["--json", "trace", &term]).expect(0);
        if let Some(found) = answer.json_lines().into_iter().next() {
            return found;
        }
        assert!(std::time::Instant::now() < until, "no {kind}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

pub(crate) fn walk(server: &Server) -> Answer {
    server.relais(&[
        "--json",
        "connector",
        "outbound",
        "test",
        "Out",
        "--to",
        "anna@example.org",
        "--from",
        "scan@contoso.test",
    ])
}

pub(crate) fn steps(report: &Value) -> Vec<String> {
    let steps = report["hosts"][0]["steps"].as_array().expect("steps");
    let word = |step: &Value| {
        let mark = if step["ok"] == true { "ok" } else { "failed" };
        format!("{} {mark}", step["step"].as_str().unwrap_or_default())
    };
    steps.iter().map(word).collect()
}

#[test]
fn one_relay_logs_in_at_another_over_tls_and_a_person_can_walk_the_way() {
    let receiver = Receiver::start();
    let upstream = Encrypted::start(
        "[[organisation.inbound_connector]]\nname = \"Branches\"\n",
        receiver.address(),
    );
    let made = upstream.server.relais(&[
        "--json",
        "credential",
        "add",
        "--organisation",
        "contoso",
        "--connector",
        "Branches",
        "--user",
        "branch-1",
    ]);
    let password = made.expect(0).json()["password"]
        .as_str()
        .expect("a password")
        .to_owned();
    let smart_host = upstream.starttls;
    let lines = format!(
        "smart_hosts = [\"{smart_host}\"]\ntls = \"domain-validation\"\n\
         tls_domain = \"relay.contoso.test\"\n\
         auth = {{ method = \"password\", user = \"branch-1\" }}"
    );
    let trusted = format!("[deliver]\nextra_ca = [{:?}]\n", upstream.authority.file());
    let server = relay(&lines, &trusted);

    // Nothing to log in with yet: it is said, and nothing is sent.
    let report = walk(&server).expect(4).json();
    assert_eq!(steps(&report), ["tcp ok", "auth failed"]);

    let set = |password: &str| {
        let arguments = ["connector", "outbound", "set", "Out", "--password-stdin"];
        server
            .place
            .relais_with(&arguments, &format!("{password}\n"))
            .expect(0)
    };
    set("wrong-password-000000");
    let report = walk(&server).expect(4).json();
    assert_eq!(
        steps(&report),
        ["tcp ok", "tls ok", "ehlo ok", "auth failed"],
        "{report:#}"
    );
    let refused = &report["hosts"][0]["steps"][3];
    assert!(
        refused["detail"]
            .as_str()
            .is_some_and(|text| text.contains("535 5.7.8")),
        "{refused}"
    );
    assert!(
        refused["fix"]["fr"]
            .as_str()
            .is_some_and(|text| text.starts_with("Corrigez"))
    );

    set(&password);
    let report = walk(&server).expect(0).json();
    assert_eq!(
        steps(&report),
        [
            "tcp ok", "tls ok", "ehlo ok", "auth ok", "mail ok", "rcpt ok", "rset ok"
        ]
    );
    let transcript = report["hosts"][0]["transcript"].to_string();
    assert!(
        transcript.contains("AUTH SCRAM-SHA-256-PLUS ..."),
        "{transcript}"
    );
    assert!(transcript.contains("TLS 1.3 ") && transcript.contains("verified: name"));
    assert!(receiver.arrivals().is_empty(), "a walk delivers nothing");

    send(&server, "anna@example.org");
    receiver.wait_for_recipient("anna@example.org");
    let delivered = event(&server, "recipient.delivered");
    assert_eq!(delivered["tls"]["version"], "1.3");
    assert_eq!(delivered["tls"]["verified"], "name");
    assert_eq!(delivered["outbound_connector"], "Out");
    for listed in [
        server.relais(&["--json", "trace"]).expect(0).out,
        server.relais(&["export"]).expect(0).out,
        server.relais(&["--json", "audit", "list"]).expect(0).out,
        server.log.so_far().join("\n"),
        transcript,
    ] {
        assert!(
            !listed.contains(&password) && !listed.contains("wrong-password"),
            "{listed}"
        );
    }
}

#[test]
fn what_is_demanded_and_not_there_waits_with_its_reason() {
    // It offers no STARTTLS.
    let receiver = Receiver::start();
    let address = receiver.address();
    let lines = format!("smart_hosts = [\"{address}\"]\ntls = \"encryption-only\"");
    let server = relay(&lines, "");
    send(&server, "anna@example.org");
    let deferred = event(&server, "recipient.deferred");
    let reply = deferred["reply"].as_str().expect("a reason");
    assert!(
        reply.contains("does not offer STARTTLS (demanded: TLS)"),
        "{reply}"
    );
    assert!(receiver.arrivals().is_empty());
    let report = walk(&server).expect(4).json();
    assert_eq!(steps(&report), ["tcp ok", "tls failed"]);
    // A person lowers the level, and has it tried again.
    server
        .relais(&[
            "connector",
            "outbound",
            "set",
            "Out",
            "--tls",
            "opportunistic",
        ])
        .expect(0);
    server
        .relais(&["queue", "retry", "--all", "--yes"])
        .expect(0);
    receiver.wait_for_recipient("anna@example.org");
    assert_eq!(event(&server, "recipient.delivered")["tls"], Value::Null);
}

/// A server with STARTTLS and this certificate, by Python; it prints its port.
pub(crate) struct OddServer(Child, SocketAddr);

impl OddServer {
    pub(crate) fn start(certificate: &str, key: &str) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", ODD_SERVER, certificate, key])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a port");
        let port: u16 = line.trim().parse().expect("a port");
        Self(child, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// A program that runs already, for as long as this lives.
    pub(crate) fn of(child: Child, address: SocketAddr) -> Self {
        Self(child, address)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.1
    }
}

impl Drop for OddServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const ODD_SERVER: &str = r#"
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.set_ciphers("DEFAULT@SECLEVEL=0")
context.load_cert_chain(sys.argv[1], sys.argv[2])
door = socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], flush=True)

def serve(sock):
    sock.sendall(b"220 odd.example ESMTP\r\n")
    lines, content, secure = sock.makefile("rb"), False, False
    while line := lines.readline():
        if content:
            if line == b".\r\n":
                content = False
                sock.sendall(b"250 2.0.0 taken\r\n")
            continue
        verb = line[:4].upper()
        if verb == b"EHLO":
            sock.sendall(b"250 odd.example\r\n" if secure else b"250-odd.example\r\n250 STARTTLS\r\n")
        elif verb == b"STAR":
            sock.sendall(b"220 go on\r\n")
            sock = context.wrap_socket(sock, server_side=True)
            lines, secure = sock.makefile("rb"), True
        elif verb == b"DATA":
            content = True
            sock.sendall(b"354 go on\r\n")
        elif verb == b"QUIT":
            sock.sendall(b"221 bye\r\n")
            return
        else:
            sock.sendall(b"250 ok\r\n")

while True:
    threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()
"#;

#[test]
fn old_and_odd_certificates_are_good_enough_for_encryption_and_for_nothing_else() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, make) in [("v1", "rsa:2048"), ("small", "rsa:1024")] {
        let (key, request, certificate) = (
            path(&format!("{name}.key")),
            path("csr"),
            path(&format!("{name}.pem")),
        );
        for command in [
            format!("req -newkey {make} -nodes -keyout {key} -out {request} -subj /CN=odd.example"),
            // Without extensions OpenSSL makes a certificate of version 1.
            format!("x509 -req -in {request} -signkey {key} -out {certificate} -days 1"),
        ] {
            let made = openssl_with(&command, "");
            assert_eq!(made.code, 0, "{made:?}");
        }
        let odd = OddServer::start(&certificate, &key);
        let host = odd.1;
        let server = relay(
            &format!("smart_hosts = [\"{host}\"]\ntls = \"encryption-only\""),
            "",
        );
        send(&server, "anna@example.org");
        let delivered = event(&server, "recipient.delivered");
        assert_eq!(delivered["tls"]["version"], "1.3", "{name}");
        assert_eq!(delivered["tls"]["verified"], "no");
        server
            .relais(&[
                "connector",
                "outbound",
                "set",
                "Out",
                "--tls",
                "certificate-validation",
            ])
            .expect(0);
        send(&server, "ben@example.org");
        let deferred = event(&server, "recipient.deferred");
        assert_eq!(deferred["to"], "ben@example.org");
        assert_eq!(walk(&server).expect(4).json()["ok"], false);
    }
}

#[test]
fn a_preset_is_a_connector_with_what_is_left_to_do() {
    let server = relay("state = \"disabled\"", "");
    let listed = server
        .relais(&["--json", "connector", "outbound", "presets"])
        .expect(0);
    assert_eq!(listed.json_lines().len(), 7);
    let added = server.relais(&[
        "connector",
        "outbound",
        "add",
        "Google",
        "--preset",
        "google-relay",
        "--recipients-per-day",
        "500",
    ]);
    let added = added.expect(0);
    assert!(
        added.out.contains("Still to do: Google Admin console"),
        "{}",
        added.out
    );
    let shown = server
        .relais(&["--json", "connector", "outbound", "show", "Google"])
        .expect(0)
        .json();
    assert_eq!(shown["smart_hosts"][0], "smtp-relay.gmail.com:587");
    assert_eq!(shown["tls"], "domain-validation");
    assert_eq!(shown["pace"]["recipients_per_day"], 500);
    server
        .relais(&["connector", "outbound", "add", "X", "--preset", "nobody"])
        .expect(2);
}

/// An issuer over HTTPS, by Python. How long the issuer's
/// tokens live comes from outside; each refresh token is good once and for five days; after the
/// last token the next one is refused.
const ISSUER: &str = r#"
import base64, json, socket, ssl, sys, threading, urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
lives = json.loads(sys.argv[3])
state = {"count": 0, "refresh": None, "asked": 0, "good": set()}

class Issuer(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        form = dict(urllib.parse.parse_qsl(body))
        print(self.path, form.get("grant_type", ""), form.get("refresh_token", ""), flush=True)
        self.answer(*self.decide(form))
    def decide(self, form):
        if self.path == "/device":
            return 200, {"device_code": "d", "user_code": "AB-CD", "interval": 1,
                         "expires_in": 60, "verification_uri": "https://issuer.test/device"}
        if form["grant_type"].endswith("device_code"):
            state["asked"] += 1
            if state["asked"] < 2:
                return 400, {"error": "authorization_pending"}
        elif form["refresh_token"] != state["refresh"] or state["count"] >= len(lives):
            return 400, {"error": "invalid_grant", "error_description": "sign in again"}
        state["count"] += 1
        token = "access-%d" % state["count"]
        state["refresh"] = "refresh-%d" % state["count"]
        state["good"].add(token)
        return 200, {"access_token": token, "expires_in": lives[state["count"] - 1],
                     "refresh_token": state["refresh"], "refresh_token_expires_in": 5 * 86400}
    def answer(self, code, value):
        octets = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("content-length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

issuer = HTTPServer(("127.0.0.1", 0), Issuer)
issuer.socket = context.wrap_socket(issuer.socket, server_side=True)
threading.Thread(target=issuer.serve_forever, daemon=True).start()
door = socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], issuer.server_port, flush=True)
"#;

/// The smart host, which takes the tokens that were given.
pub(crate) const SMART_HOST: &str = r#"
def serve(sock):
    sock = context.wrap_socket(sock, server_side=True)
    sock.sendall(b"220 relay.contoso.test ESMTP\r\n")
    lines, content = sock.makefile("rb"), False
    while line := lines.readline():
        verb = line[:4].upper()
        if content:
            if line == b".\r\n":
                content = False
                sock.sendall(b"250 2.0.0 taken\r\n")
        elif verb == b"EHLO":
            sock.sendall(b"250-relay.contoso.test\r\n250 AUTH XOAUTH2\r\n")
        elif verb == b"AUTH":
            said = base64.b64decode(line.split()[2]).decode()
            token = said.split("Bearer ")[1].split(chr(1))[0]
            print("login", said.split(chr(1))[0], token, flush=True)
            sock.sendall(b"235 ok\r\n" if token in state["good"] else b"535 5.7.8 no\r\n")
        elif verb == b"DATA":
            content = True
            sock.sendall(b"354 go on\r\n")
        elif verb == b"QUIT":
            sock.sendall(b"221 bye\r\n")
            return
        else:
            sock.sendall(b"250 ok\r\n")

while True:
    threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()
"#;

/// The issuer with its smart host, and a relay that has nothing to log in with yet.
struct Signing {
    server: Server,
    log: Lines,
    _child: OddServer,
    _folder: tempfile::TempDir,
}

impl Signing {
    /// `lives`: seconds that each token is good for, in JSON; `more`: parameters of auth.
    fn start(lives: &str, more: &str) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let authority = Authority::new(folder.path(), "ca");
        let own = authority.issue(
            "issuer",
            &Wanted {
                names: "DNS:relay.contoso.test,IP:127.0.0.1",
                usage: "serverAuth",
                ..Wanted::client("")
            },
        );
        let script = folder.path().join("issuer.py");
        std::fs::write(&script, format!("{ISSUER}{SMART_HOST}")).expect("a file");
        let mut python = Command::new("python3");
        python.arg(&script).arg(&own.certificate).arg(&own.key);
        let child = python.arg(lives).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("python3");
        let log = Lines::collect(child.stdout.take().expect("piped"));
        let ports = log.wait_for("ports", |line| !line.is_empty());
        let child = OddServer(child, SocketAddr::from(([127, 0, 0, 1], 9)));
        let (smtp, issuer) = ports.split_once(' ').expect("two ports");
        let lines = format!(
            "smart_hosts = [\"smtps://127.0.0.1:{smtp}\"]\ntls = \"domain-validation\"\n\
             tls_domain = \"relay.contoso.test\"\nauth = {{ method = \"xoauth2\", user = \
             \"scan@contoso.test\", parameters = {{ client_id = \"relais\", token_url = \
             \"https://127.0.0.1:{issuer}/token\", device_url = \
             \"https://127.0.0.1:{issuer}/device\"{more} }} }}"
        );
        let trusted = format!("[deliver]\nextra_ca = [{:?}]\n", authority.file());
        Self {
            server: relay(&lines, &trusted),
            log,
            _child: child,
            _folder: folder,
        }
    }

    fn restarted(self) -> Self {
        let (status, place) = self.server.stop();
        assert!(status.success());
        Self {
            server: place.serve(),
            ..self
        }
    }
}

#[test]
fn a_person_signs_in_by_the_page_that_shows_address_and_code() {
    let signing = Signing::start("[3600, 3600, 3600]", "");
    let server = &signing.server;
    let mut browser = crate::web::first(server, "fr");
    browser
        .get("/connectors/outbound/contoso/Out")
        .expect(200)
        .shows("/connectors/outbound/contoso/Out/login");
    let page = "/connectors/outbound/contoso/Out/login";
    browser.get(page).expect(200).shows("Commencer");
    let token = browser.token();
    let begun = browser.post(page, &[("form_token", &token)]).expect(200);
    begun.shows("https://issuer.test/device");
    begun.shows("AB-CD");
    let code = begun.field("device_code");
    let form = [
        ("form_token", &*token),
        ("device_code", &*code),
        ("user_code", "AB-CD"),
        ("verification_uri", "javascript:alert(1)"),
    ];
    // The issuer has not seen the person yet; then it has.
    let waits = browser.post(&format!("{page}/done"), &form).expect(200);
    waits.shows("role=\"status\"");
    assert!(!waits.body.contains("javascript:"), "{}", waits.body);
    let done = browser.post(&format!("{page}/done"), &form).expect(303);
    assert_eq!(
        done.header("location"),
        Some("/connectors/outbound/contoso/Out?done=1")
    );
    walk(server).expect(0);
}

#[test]
fn the_end_of_a_sign_in_is_told_ahead_and_its_loss_at_once() {
    let far = ", client_secret_expires = \"2099-12-31\"";
    let signing = Signing::start("[3600, 3600]", far);
    let login = ["connector", "outbound", "login", "Out"];
    signing.server.relais(&login).expect(0);
    // A relay that starts looks at once, mail or no mail.
    let signing = signing.restarted();
    let told = event(&signing.server, "check.changed");
    let words = told["detail"].as_str().expect("words");
    assert!(
        words.starts_with("the sign-in of connector \"Out\" ends on ")
            && words.contains(", within 7 days: ")
            && words.contains("relais connector outbound login"),
        "{told}"
    );
    let status = signing
        .server
        .relais(&["--json", "status"])
        .expect(0)
        .json();
    assert_eq!(status["logins"][0]["outbound_connector"], "Out");
    assert!(
        status["logins"][0]["days_left"]
            .as_u64()
            .is_some_and(|days| days <= 5)
    );
    let shown = signing.server.relais(&["status"]).expect(0).out;
    assert!(
        shown.contains("Logins     Out: the sign-in ends on "),
        "{shown}"
    );
    send(&signing.server, "one@example.org");
    signing.log.wait_for("a login", |line| {
        line == "login user=scan@contoso.test access-2"
    });
    // From now on the issuer wants the person again.
    let signing = signing.restarted();
    let lost =
        "connector \\\"Out\\\" has nothing to log in with: the issuer refuses (invalid_grant)";
    signing.server.log.wait_for("an alarm", |line| {
        line.contains("\"check.changed\"") && line.contains(lost)
    });
    let shown = signing.server.relais(&["status"]).expect(0).out;
    assert!(
        shown.contains("Logins     Out: the issuer refuses"),
        "{shown}"
    );
}

#[test]
fn tokens_are_had_by_sign_in_renewed_ahead_of_their_end_rotated_and_refused_in_words() {
    let signing = Signing::start("[2, 2, 0]", "");
    let (server, log) = (&signing.server, &signing.log);
    let report = walk(server).expect(4).json();
    assert!(
        report.to_string().contains("nobody has signed in"),
        "{report}"
    );

    let signed_in = server
        .relais(&["connector", "outbound", "login", "Out"])
        .expect(0);
    assert!(
        signed_in.out.contains("https://issuer.test/device"),
        "{}",
        signed_in.out
    );
    assert!(signed_in.out.contains("AB-CD") && signed_in.out.contains("Signed in"));
    let audit = server.relais(&["--json", "audit", "list"]).expect(0);
    let audit = audit.json_lines();
    let kept = audit.iter().find(|one| one["act"] == "secret.kept");
    let kept = kept.expect("who signed in stands in the audit");
    let told = kept.to_string();
    assert!(
        told.contains("refresh-token Out") && told.contains("uid "),
        "{told}"
    );

    // refresh-1 gives access-2 and refresh-2; a second before its end, refresh-2 gives access-3.
    send(server, "one@example.org");
    log.wait_for("a login", |line| {
        line == "login user=scan@contoso.test access-2"
    });
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(walk(server).expect(0).json()["ok"], true);
    log.wait_for("a login", |line| {
        line == "login user=scan@contoso.test access-3"
    });
    assert!(
        log.so_far()
            .iter()
            .any(|line| line.ends_with("refresh_token refresh-2"))
    );
    // Its end has come already, and the issuer wants the person again: the mail waits, and says so.
    let report = walk(server).expect(4).json();
    assert!(report.to_string().contains("invalid_grant"), "{report}");
    assert!(
        report
            .to_string()
            .contains("relais connector outbound login"),
        "{report}"
    );
    let all = server.relais(&["--json", "trace"]).expect(0).out;
    let shown = format!("{all}{}", server.log.so_far().join("\n"));
    assert!(
        !shown.contains("access-") && !shown.contains("refresh-"),
        "{shown}"
    );
}

#[test]
fn a_way_that_is_asked_for_an_inbound_connector_is_taken_simulated_and_explained() {
    let (others, devices) = (Receiver::start(), Receiver::start());
    let lines = format!(
        "smart_hosts = [\"{}\"]\n[[organisation.outbound_connector]]\nname = \"Own\"\n\
         smart_hosts = [\"{}\"]\ninbound_connectors = [\"Devices\"]",
        others.address(),
        devices.address()
    );
    let server = relay(&lines, "");
    send(&server, "anna@example.org");
    devices.wait_for_recipient("anna@example.org");
    assert!(others.arrivals().is_empty());
    let because = "outbound connector Own takes every domain, for what came by inbound connector \
                   Devices";
    let attempted = event(&server, "delivery.attempted");
    let detail = attempted["detail"].as_str().expect("a detail");
    assert!(detail.ends_with(because), "{detail}");
    let queue_id = attempted["queue_id"].as_str().expect("an id").to_owned();
    let why = server.relais(&["why", &queue_id]).expect(0);
    assert!(why.out.contains(because), "{}", why.out);
    let simulated = server.relais(&[
        "--json",
        "simulate",
        "--ip",
        "127.0.0.1",
        "--from",
        "scan@contoso.test",
        "--to",
        "anna@example.org",
    ]);
    let simulated = simulated.expect(0).json();
    assert_eq!(simulated["outbound_connector"], "Own");
    let steps = simulated["steps"].as_array().expect("steps");
    let route = steps
        .iter()
        .find(|one| one["question"] == "route")
        .expect("a route");
    assert_eq!(route["because"], because);
    // A connector that is named must be there.
    let set = [
        "connector",
        "outbound",
        "set",
        "Own",
        "--inbound-connector",
        "Scanners",
    ];
    let refused = server.relais(&set);
    assert_eq!(refused.code, 1, "{refused:?}");
    server
        .relais(&[
            "connector",
            "outbound",
            "set",
            "Own",
            "--inbound-connector",
            "",
            "--sender-domain",
            "fabrikam.test",
        ])
        .expect(0);
    send(&server, "ben@example.org");
    others.wait_for_recipient("ben@example.org");
}
