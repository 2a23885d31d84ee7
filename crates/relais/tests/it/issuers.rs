//! Issuers of tokens as they are on bad days: a program's own right (client credentials) whose
//! tokens end at once, whose secret is refused, and that cannot be asked; and a person's sign-in
//! that is declined, comes too late, or finds the issuer gone for a moment.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::authority::{Authority, Wanted};
use crate::outbound::{OddServer, SMART_HOST, relay, send, walk};
use crate::support::{Lines, Server};

/// An issuer over HTTPS that does what a file says: a word for each answer about tokens, of which
/// the last one stays.
const ISSUER: &str = r#"
import base64, json, socket, ssl, sys, threading, urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
state = {"count": 0, "good": set()}
lock = threading.Lock()

def next_word():
    with lock:
        words = open(sys.argv[3]).read().split()
        if len(words) > 1:
            open(sys.argv[3], "w").write(" ".join(words[1:]))
        return words[0]

def refused(status, error, words=""):
    return status, json.dumps({"error": error, "error_description": words})

ANSWERS = {
    "busy": (429, '{"error": "too_many_requests"}'),
    "down": (503, "<html>down</html>"),
    "page": (200, "<html>a page</html>"),
    "secret": refused(401, "invalid_client", "the secret has ended"),
    "declined": refused(400, "access_denied", "no"),
    "late": refused(400, "expired_token"),
    "pending": refused(400, "authorization_pending"),
}

class Issuer(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        form = dict(urllib.parse.parse_qsl(body))
        status, text = self.decide(form)
        print(form.get("grant_type", "begin"), form.get("client_secret", "-"), status, flush=True)
        octets = text.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)
    def decide(self, form):
        if self.path == "/device":
            return 200, json.dumps({"device_code": "d", "user_code": "AB-CD", "interval": 1,
                "expires_in": 60, "verification_uri": "https://issuer.test/device"})
        word = next_word()
        if word in ANSWERS:
            return ANSWERS[word]
        state["count"] += 1
        token = "access-%d" % state["count"]
        state["good"].add(token)
        return 200, json.dumps({"access_token": token, "expires_in": int(word),
                                "refresh_token": "refresh-%d" % state["count"]})

issuer = HTTPServer(("127.0.0.1", 0), Issuer)
issuer.socket = context.wrap_socket(issuer.socket, server_side=True)
threading.Thread(target=issuer.serve_forever, daemon=True).start()
door = socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], issuer.server_port, flush=True)
"#;

/// An issuer, the smart host that takes its tokens, and a relay that leaves by it.
struct Day {
    server: Server,
    log: Lines,
    words: PathBuf,
    _child: OddServer,
    _folder: tempfile::TempDir,
}

impl Day {
    fn start(more: &str) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let authority = Authority::new(folder.path(), "ca");
        let wanted = Wanted {
            names: "DNS:relay.contoso.test,IP:127.0.0.1",
            usage: "serverAuth",
            ..Wanted::client("")
        };
        let own = authority.issue("issuer", &wanted);
        let (script, words) = (folder.path().join("issuer.py"), folder.path().join("words"));
        fs::write(&script, format!("{ISSUER}{SMART_HOST}")).expect("a file");
        fs::write(&words, "down").expect("a file");
        let mut python = Command::new("python3");
        python.arg(&script).arg(&own.certificate).arg(&own.key);
        let child = python.arg(&words).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("python3");
        let log = Lines::collect(child.stdout.take().expect("piped"));
        let ports = log.wait_for("ports", |line| !line.is_empty());
        let child = OddServer::of(child, SocketAddr::from(([127, 0, 0, 1], 9)));
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
            words,
            _child: child,
            _folder: folder,
        }
    }

    /// What the issuer answers from now on.
    fn say(&self, words: &str) {
        fs::write(&self.words, words).expect("a file");
    }

    /// Keeps a client secret, as a person does.
    fn keep_secret(&self, secret: &str) {
        let set = [
            "connector",
            "outbound",
            "set",
            "Out",
            "--client-secret-stdin",
        ];
        self.server.place.relais_with(&set, secret).expect(0);
    }

    /// Waits for a line of the issuer or the smart host that begins so.
    fn seen(&self, beginning: &str) {
        self.log
            .wait_for(beginning, |line| line.starts_with(beginning));
    }
}

#[test]
fn a_program_with_its_own_right_has_a_new_token_for_each_login_that_needs_one() {
    let day = Day::start(", grant = \"client-credentials\"");
    day.keep_secret("first-secret");
    // Good for no time at all: each login asks anew.
    day.say("0");
    send(&day.server, "one@example.org");
    day.seen("client_credentials first-secret 200");
    day.seen("login user=scan@contoso.test access-1");
    walk(&day.server).expect(0);
    day.seen("login user=scan@contoso.test access-2");
}

#[test]
fn an_issuer_that_cannot_be_asked_is_told_apart_from_one_that_refuses() {
    let day = Day::start(", grant = \"client-credentials\"");
    for (word, said) in [
        ("down", "503 Service Unavailable"),
        ("busy", "429 Too Many Requests"),
        ("page", "the answer is no JSON"),
    ] {
        day.say(word);
        // A failure is remembered for a while, but not beyond another secret.
        day.keep_secret(&format!("{word}-secret"));
        let report = walk(&day.server).expect(4).out;
        assert!(
            report.contains("the issuer cannot be asked"),
            "{word}: {report}"
        );
        assert!(report.contains(said), "{word}: {report}");
        assert!(!report.contains("the issuer refuses"), "{word}: {report}");
    }
    day.say("secret");
    day.keep_secret("old-secret");
    let report = walk(&day.server).expect(4).out;
    for words in [
        "the issuer refuses (invalid_client): the secret has ended",
        "--client-secret-stdin",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    send(&day.server, "one@example.org");
    let waits = crate::outbound::event(&day.server, "recipient.deferred");
    assert!(waits.to_string().contains("invalid_client"), "{waits}");

    // The person does as they are told, and the mail goes.
    day.say("3600");
    day.keep_secret("new-secret");
    day.server
        .relais(&["queue", "retry", "--all", "--yes"])
        .expect(0);
    day.seen("client_credentials new-secret 200");
    day.seen("login user=scan@contoso.test access-1");
    crate::outbound::event(&day.server, "recipient.delivered");
    let shown = day.server.log.so_far().join("\n");
    assert!(!shown.contains("new-secret"), "{shown}");
}

#[test]
fn a_sign_in_is_declined_or_late_in_words_and_outlives_a_moment_without_issuer() {
    let day = Day::start("");
    let login = ["connector", "outbound", "login", "Out"];
    for (word, code) in [("declined", "access_denied"), ("late", "expired_token")] {
        day.say(word);
        let answer = day.server.relais(&login);
        assert_ne!(answer.code, 0, "{word}");
        assert!(answer.err.contains(code), "{word}: {answer:?}");
    }
    day.say("pending down 3600");
    let answer = day.server.relais(&login).expect(0);
    assert!(answer.out.contains("Signed in"), "{}", answer.out);
}
