//! MTA-STS as destinations publish it: a web server with HTTPS and a certificate of its own, a name
//! server, a mail exchanger with STARTTLS; enforced, in testing, wrong, and kept over a restart.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use relais_net::dns_server::{DnsServer, ZoneRecord};
use relais_policy::settings::Mode;
use relais_store::shelf::Shelf;
use relais_store::store::Store;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::authority::{Authority, Pair, Wanted};
use crate::dane::SETTINGS;
use crate::outbound::OddServer;
use crate::support::{Lines, Place, Server};

/// The domains, and what their web servers say. The mail exchanger of `NAME` is `mx.NAME`; all
/// exchangers are one server, whose certificate is for `mx.right.test` and `mx.other.test`.
const POLICIES: [(&str, &str, &str); 5] = [
    ("right.test", "enforce", "mx.right.test"),
    ("wrong.test", "enforce", "*.wrong.test"),
    ("other.test", "enforce", "mx.right.test"),
    ("testing.test", "testing", "mx.testing.test"),
    // Its web server has no certificate for its name.
    ("unproven.test", "enforce", "mx.elsewhere.test"),
];

/// Serves each policy under its name; it prints its port, then what it is asked for.
const WEB: &str = r#"
import json, ssl, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
pages = json.loads(sys.argv[3])

class Policies(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_GET(self):
        host = self.headers["host"].split(":")[0]
        print(host, self.path, flush=True)
        found = self.path == "/.well-known/mta-sts.txt" and pages.get(host)
        octets = (found or "no").encode()
        self.send_response(200 if found else 404)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
web = ThreadingHTTPServer(("127.0.0.1", 0), Policies)
web.socket = context.wrap_socket(web.socket, server_side=True)
print(web.server_port, flush=True)
web.serve_forever()
"#;

struct Web {
    child: Child,
    log: Lines,
    port: String,
}

impl Web {
    fn start(own: &Pair) -> Self {
        let pages: BTreeMap<_, _> = POLICIES
            .iter()
            .map(|(domain, mode, mx)| {
                let text =
                    format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 604800\r\n");
                (format!("mta-sts.{domain}"), text)
            })
            .collect();
        let pages = serde_json::to_string(&pages).expect("JSON");
        let mut python = Command::new("python3");
        python.args(["-c", WEB]).arg(&own.certificate).arg(&own.key);
        let child = python.arg(pages).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("python3");
        let log = Lines::collect(child.stdout.take().expect("piped"));
        let port = log.wait_for("a port", |line| !line.is_empty());
        Self { child, log, port }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What DNS says, with the announcements of policies or without them.
fn records(announced: bool) -> Vec<(String, ZoneRecord)> {
    let here = || ZoneRecord::Address(Ipv4Addr::LOCALHOST.into());
    let mut records = Vec::new();
    for (domain, _, _) in POLICIES {
        let exchanger = format!("mx.{domain}");
        records.push((domain.to_owned(), ZoneRecord::Mx(10, exchanger.clone())));
        records.push((exchanger, here()));
        if announced {
            let text = ZoneRecord::Text("v=STSv1; id=20261130;".to_owned());
            records.push((format!("_mta-sts.{domain}"), text));
            records.push((format!("mta-sts.{domain}"), here()));
        }
    }
    records
}

/// What became of a message that is sent to this domain now: delivered, or waiting.
#[track_caller]
fn outcome(server: &Server, domain: &str) -> Value {
    let id = server.send("erp@contoso.test", &format!("anna@{domain}"));
    let mark = format!("\"queue_id\":\"{id}\"");
    let settled = |line: &str| {
        line.contains(&mark)
            && (line.contains("\"recipient.delivered\"") || line.contains("\"recipient.deferred\""))
    };
    server
        .log
        .wait_for(&format!("the fate of mail to {domain}"), settled);
    let to = format!("to:anna@{domain}");
    let shown = server.relais(&["--json", "trace", &to]).expect(0);
    let is_outcome = |event: &Value| {
        event["queue_id"] == id
            && (event["event"] == "recipient.delivered" || event["event"] == "recipient.deferred")
    };
    let found = shown.json_lines().into_iter().find(is_outcome);
    found.unwrap_or_else(|| panic!("{shown:?}"))
}

#[track_caller]
fn expect_waiting(server: &Server, domain: &str, words: &str) {
    let event = outcome(server, domain);
    let reply = event["reply"].as_str().unwrap_or_default();
    assert_eq!(event["event"], "recipient.deferred", "{event}");
    assert!(reply.contains(words), "{event}");
}

#[track_caller]
fn expect_delivered(server: &Server, domain: &str, verified: &str) {
    let event = outcome(server, domain);
    assert_eq!(event["event"], "recipient.delivered", "{event}");
    assert_eq!(event["tls"]["verified"], verified, "{event}");
}

/// What was counted for the report to a domain: policy type, result type, how often.
fn counted(place: &Place, domain: &str) -> Vec<(String, String, u64)> {
    let runtime = Runtime::new().expect("a runtime");
    let shelf = runtime.block_on(async {
        let store = Store::open_for_reading(place.data_dir(), Mode::Lan).await;
        store.expect("a store").shelf(Shelf::TlsReport).await
    });
    let mine = format!(" {domain}");
    let entries = shelf.expect("a shelf").into_iter();
    let mut found = Vec::new();
    for entry in entries.filter(|entry| entry.key.ends_with(&mine)) {
        let results: Vec<Value> = serde_json::from_str(&entry.value).expect("JSON");
        for result in results {
            let kind = result["policy"]["policy-type"].as_str().expect("a type");
            for failure in result["failure-details"].as_array().into_iter().flatten() {
                let named = failure["result-type"].as_str().expect("a type");
                let count = failure["failed-session-count"].as_u64().expect("a count");
                found.push((kind.to_owned(), named.to_owned(), count));
            }
        }
    }
    found
}

#[test]
fn policies_from_a_web_server_are_obeyed_counted_and_kept_over_a_restart() {
    let folder = TempDir::with_prefix("relais-sts-").expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let issue = |file: &str, names: &str| {
        authority.issue(
            file,
            &Wanted {
                usage: "serverAuth",
                ..Wanted::client(names)
            },
        )
    };
    let proven = POLICIES
        .iter()
        .filter(|(domain, _, _)| *domain != "unproven.test");
    let names: Vec<_> = proven
        .map(|(domain, _, _)| format!("DNS:mta-sts.{domain}"))
        .collect();
    let web = Web::start(&issue("web", &names.join(",")));
    let own = issue("mx", "DNS:mx.right.test,DNS:mx.other.test");
    let exchanger = OddServer::start(
        own.certificate.to_str().expect("UTF-8"),
        own.key.to_str().expect("UTF-8"),
    );
    let runtime = Runtime::new().expect("a runtime");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let dns = runtime.block_on(DnsServer::start(address, records(true)));
    let dns = dns.expect("a free port");
    let server = Place::new(&format!(
        "[dns]\nnameservers = [\"{}\"]\n[deliver]\nsmtp_port = {}\nhttps_port = {}\n\
         allow_private_destinations = true\nextra_ca = [{:?}]\n",
        dns.address(),
        exchanger.address().port(),
        web.port,
        authority.file()
    ))
    .serve();
    server.apply(SETTINGS).expect(0);

    let wrong = "its certificate is for mx.right.test, mx.other.test";
    let unlisted = "mail server mx.other.test is not in the domain's MTA-STS policy";
    expect_delivered(&server, "right.test", "sts");
    expect_waiting(&server, "wrong.test", wrong);
    expect_waiting(
        &server,
        "wrong.test",
        "TLS with a certificate for mx.wrong.test, by MTA-STS",
    );
    expect_waiting(&server, "other.test", unlisted);
    // Mail goes as if there were no policy.
    expect_delivered(&server, "testing.test", "no");
    expect_delivered(&server, "unproven.test", "no");
    let asked = web.log.so_far();
    let of_right = "mta-sts.right.test /.well-known/mta-sts.txt";
    assert_eq!(
        asked.iter().filter(|line| *line == of_right).count(),
        1,
        "{asked:?}"
    );

    // What is hidden from now on counts all the same, in another life of the server too.
    drop(web);
    dns.replace(&records(false)).expect("names");
    let (status, place) = server.stop();
    assert!(status.success());
    let one = |kind: &str, result: &str| vec![(kind.to_owned(), result.to_owned(), 1)];
    let testing = counted(&place, "testing.test");
    assert_eq!(testing, one("sts", "certificate-host-mismatch"));
    assert_eq!(
        counted(&place, "unproven.test"),
        one("sts", "sts-webpki-invalid")
    );
    let [(kind, result, count)] = &counted(&place, "other.test")[..] else {
        panic!("one kind of failure");
    };
    assert_eq!(
        (kind.as_str(), result.as_str()),
        ("sts", "validation-failure")
    );
    assert!(*count >= 1);
    assert!(counted(&place, "right.test").is_empty());

    let server = place.serve();
    expect_delivered(&server, "right.test", "sts");
    expect_waiting(&server, "wrong.test", wrong);
    expect_waiting(&server, "other.test", unlisted);
}
