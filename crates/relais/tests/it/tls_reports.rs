//! Reports on TLS (RFC 8460) and mail that may only go with TLS (RFC 8689), with the real binary
//! over real sockets: a day's sessions at a real mail exchanger are counted, and the reports that
//! leave by HTTPS and by mail are unpacked and read by Python; a message with REQUIRETLS goes to
//! whoever promises to keep it, and to nobody else.
//!
//! Here the day ends by moving what was counted to the day before, while the server is down.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use relais_net::clock::Clock;
use relais_net::dns_server::{DnsServer, ZoneRecord};
use relais_policy::settings::Mode;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::{OpenOptions, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::authority::{Authority, Pair, Wanted, openssl_with};
use crate::outbound::OddServer;
use crate::support::{Lines, Place, Server};

/// Mail exchangers with STARTTLS at 127.0.0.1, which offers REQUIRETLS, and at 127.0.0.2, which
/// does not; and a web server with policies that takes reports. It prints its ports, then a line of
/// JSON for each message and each report.
const DESTINATION: &str = r#"
import base64, email, json, socket, ssl, sys, threading, zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
says = threading.Lock()

def tell(**what):
    with says:
        print(json.dumps(what), flush=True)

def unpacked(octets):
    return json.loads(zlib.decompress(octets, 16 + zlib.MAX_WBITS))

def report_in(content):
    for part in email.message_from_bytes(content).walk():
        if part.get_content_type() == "application/tlsrpt+gzip":
            return unpacked(part.get_payload(decode=True))

class Pages(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def answer(self, octets):
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)
    def do_GET(self):
        domain = self.headers["host"].split(":")[0].removeprefix("mta-sts.")
        mode = "enforce" if domain == "right.test" else "testing"
        text = "version: STSv1\r\nmode: %s\r\nmx: mx.%s\r\nmax_age: 604800\r\n" % (mode, domain)
        self.answer(text.encode())
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.answer(b"")
        tell(what="post", path=self.path, media=self.headers["content-type"],
             report=unpacked(body))

def serve(sock, promises):
    sock.sendall(b"220 mx ESMTP\r\n")
    lines, secure, content, mail, to = sock.makefile("rb"), False, None, "", []
    while line := lines.readline():
        if content is not None:
            if line != b".\r\n":
                content += line[1:] if line.startswith(b"..") else line
                continue
            tell(what="mail", tls=secure, mail=mail, to=to, report=report_in(content),
                 text=content.decode("latin-1"))
            content, to = None, []
            sock.sendall(b"250 2.0.0 taken\r\n")
            continue
        text = line.decode("latin-1").strip()
        verb = text[:4].upper()
        if verb == "EHLO":
            more = [] if secure else ["STARTTLS"]
            more += ["REQUIRETLS"] if secure and promises else []
            said = ["mx", "PIPELINING", "8BITMIME"] + more
            lines_out = ["250-" + one for one in said[:-1]] + ["250 " + said[-1]]
            sock.sendall("".join(one + "\r\n" for one in lines_out).encode())
        elif verb == "STAR":
            sock.sendall(b"220 go on\r\n")
            sock = context.wrap_socket(sock, server_side=True)
            lines, secure = sock.makefile("rb"), True
        elif verb == "DATA":
            content = b""
            sock.sendall(b"354 go on\r\n")
        elif verb == "QUIT":
            sock.sendall(b"221 bye\r\n")
            return
        else:
            if verb == "MAIL":
                mail = text
            if verb == "RCPT":
                to.append(text)
            sock.sendall(b"250 ok\r\n")

def take(door, promises):
    while True:
        threading.Thread(target=serve, args=(door.accept()[0], promises), daemon=True).start()

doors = []
while len(doors) < 2:
    first = socket.create_server(("127.0.0.1", 0))
    try:
        doors = [first, socket.create_server(("127.0.0.2", first.getsockname()[1]))]
    except OSError:
        first.close()
for door, promises in zip(doors, [True, False]):
    threading.Thread(target=take, args=(door, promises), daemon=True).start()
web = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
web.socket = context.wrap_socket(web.socket, server_side=True)
print(doors[0].getsockname()[1], web.server_port, flush=True)
web.serve_forever()
"#;

/// Notices for `erp@contoso.test` go to the first exchanger.
const SETTINGS: &str = r#"
[[organisation]]
name = "contoso"
display_name = "Contoso SA"
postmaster = "it@contoso.test"

[[organisation.domain]]
name = "contoso.test"
verification = "assumed"
mailbox_host = "MAILBOXES"

[[organisation.recipient]]
address = "erp@contoso.test"

[[organisation.inbound_connector]]
name = "Loopback"
sender_ip_addresses = ["127.0.0.1"]
"#;

/// A relay, and everything that it meets.
struct World {
    place: Option<Place>,
    log: Lines,
    smtp_port: String,
    _dns: DnsServer,
    _runtime: Runtime,
    _child: OddServer,
    _folder: TempDir,
}

/// Exchangers by address; policies and reports of two domains.
fn records() -> Vec<(String, ZoneRecord)> {
    let mut records = Vec::new();
    let mut add = |name: &str, record| records.push((name.to_owned(), record));
    for (domain, last) in [("right.test", 1), ("testing.test", 1), ("bare.test", 2)] {
        let exchanger = format!("mx.{domain}");
        add(
            &exchanger,
            ZoneRecord::Address(Ipv4Addr::new(127, 0, 0, last).into()),
        );
        add(domain, ZoneRecord::Mx(10, exchanger.clone()));
    }
    for (domain, address) in [
        ("right.test", "https://mta-sts.right.test/reports"),
        ("testing.test", "mailto:tls@right.test"),
    ] {
        let here = ZoneRecord::Address(Ipv4Addr::LOCALHOST.into());
        add(&format!("mta-sts.{domain}"), here);
        let announced = ZoneRecord::Text("v=STSv1; id=20261130;".to_owned());
        add(&format!("_mta-sts.{domain}"), announced);
        let wanted = ZoneRecord::Text(format!("v=TLSRPTv1; rua={address}"));
        add(&format!("_smtp._tls.{domain}"), wanted);
    }
    records
}

impl World {
    /// The certificate is for all names but `mx.testing.test`.
    fn new() -> Self {
        let folder = TempDir::with_prefix("relais-tlsrpt-").expect("a folder");
        let authority = Authority::new(folder.path(), "ca");
        let names = "DNS:mx.right.test,DNS:mx.bare.test,DNS:mta-sts.right.test,\
                     DNS:mta-sts.testing.test";
        let Pair { certificate, key } = authority.issue(
            "destination",
            &Wanted {
                usage: "serverAuth",
                ..Wanted::client(names)
            },
        );
        let mut python = Command::new("python3");
        python.args(["-c", DESTINATION]).arg(certificate).arg(key);
        let mut child = python.stdout(Stdio::piped()).spawn().expect("python3");
        let log = Lines::collect(child.stdout.take().expect("piped"));
        let child = OddServer::of(child, (Ipv4Addr::LOCALHOST, 9).into());
        let ports = log.wait_for("ports", |line| !line.is_empty());
        let (smtp_port, https_port) = ports.split_once(' ').expect("two ports");
        let runtime = Runtime::new().expect("a runtime");
        let dns = DnsServer::start((Ipv4Addr::LOCALHOST, 0).into(), records());
        let dns = runtime.block_on(dns).expect("a free port");
        let place = Place::new(&format!(
            "[dns]\nnameservers = [\"{}\"]\n[deliver]\nsmtp_port = {smtp_port}\nhttps_port = \
             {https_port}\nallow_private_destinations = true\nextra_ca = [{:?}]\n[[listener]]\n\
             address = \"127.0.0.1:0\"\ntls = \"starttls\"\ncertificate = {:?}\n",
            dns.address(),
            authority.file(),
            authority.server("relay").certificate
        ));
        Self {
            place: Some(place),
            smtp_port: smtp_port.to_owned(),
            log,
            _dns: dns,
            _runtime: runtime,
            _child: child,
            _folder: folder,
        }
    }

    fn serve(&mut self) -> Server {
        let server = self.place.take().expect("it is down").serve();
        let host = format!("127.0.0.1:{}", self.smtp_port);
        server
            .apply(&SETTINGS.replace("MAILBOXES", &host))
            .expect(0);
        server
    }

    /// The line about what this says of it.
    #[track_caller]
    fn told(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let read = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_default();
        let line = self.log.wait_for(what, |line| fits(&read(line)));
        read(&line)
    }
}

/// Waits for the end of a message.
#[track_caller]
fn ended(server: &Server, id: &str) -> Value {
    let mark = format!("\"queue_id\":\"{id}\"");
    let kinds = ["\"recipient.delivered\"", "\"recipient.failed\""];
    let line = server.log.wait_for(&format!("the end of {id}"), |line| {
        line.contains(&mark) && kinds.iter().any(|kind| line.contains(kind))
    });
    serde_json::from_str(&line).expect("JSON")
}

/// What was counted today was counted yesterday. That day.
fn let_a_day_pass(place: &Place) -> String {
    let now = Clock::system().now();
    let yesterday = now.before(Duration::from_secs(86_400)).day();
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(OpenOptions {
            folder: place.data_dir(),
            mode: Mode::Lan,
            disk_reserve: 0,
            trace_days: 90,
            observer: Arc::new(|_, _| {}),
            now,
        });
        let store = store.await.expect("a store");
        let mut change = ShelfChange::new(Shelf::TlsReport, now);
        for entry in store.shelf(Shelf::TlsReport).await.expect("a shelf") {
            let (_, domain) = entry.key.split_once(' ').expect("day and domain");
            change = change.put(format!("{yesterday} {domain}"), entry.value.clone());
            change = change.take(entry.key.clone());
        }
        store.change_shelf(change).await.expect("it takes it");
        store.close(Duration::from_secs(10)).await;
    });
    yesterday
}

#[test]
fn a_day_s_sessions_are_reported_by_https_and_by_mail_and_both_can_be_read() {
    let mut world = World::new();
    let server = world.serve();
    for to in ["anna@right.test", "anna@testing.test"] {
        let id = server.send("erp@contoso.test", to);
        assert_eq!(ended(&server, &id)["event"], "recipient.delivered", "{to}");
    }
    let (status, place) = server.stop();
    assert!(status.success(), "{status}");
    let yesterday = let_a_day_pass(&place);
    world.place = Some(place);
    let server = world.serve();

    let posted = world.told("a report by HTTPS", |one| one["what"] == "post");
    assert_eq!(posted["path"], "/reports");
    assert_eq!(posted["media"], "application/tlsrpt+gzip");
    let is_report = |one: &Value| one["what"] == "mail" && one["report"].is_object();
    let mailed = world.told("a report by mail", is_report);
    assert_eq!(mailed["to"], json!(["RCPT TO:<tls@right.test>"]));
    assert!(
        mailed["mail"]
            .as_str()
            .expect("text")
            .starts_with("MAIL FROM:<>"),
        "{mailed}"
    );
    let text = mailed["text"].as_str().expect("text");
    for line in [
        "From: <it@contoso.test>\r\n",
        "TLS-Report-Domain: testing.test\r\n",
        "TLS-Report-Submitter: relay.contoso.test\r\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    for (report, domain, good, bad) in [
        (&posted["report"], "right.test", 1, 0),
        (&mailed["report"], "testing.test", 0, 1),
    ] {
        assert_eq!(report["organization-name"], "Contoso SA", "{report}");
        assert_eq!(report["contact-info"], "it@contoso.test");
        let range = json!({
            "start-datetime": format!("{yesterday}T00:00:00Z"),
            "end-datetime": format!("{yesterday}T23:59:59Z"),
        });
        assert_eq!(report["date-range"], range);
        let policies = report["policies"].as_array().expect("a list");
        let [one] = policies.as_slice() else {
            panic!("one policy: {report}");
        };
        assert_eq!(one["policy"]["policy-type"], "sts", "{one}");
        assert_eq!(one["policy"]["policy-domain"], domain);
        let counts = json!({
            "total-successful-session-count": good,
            "total-failure-session-count": bad,
        });
        assert_eq!(one["summary"], counts, "{one}");
        let failure = &one["failure-details"][0];
        if bad > 0 {
            assert_eq!(failure["result-type"], "certificate-host-mismatch");
            assert_eq!(failure["receiving-mx-hostname"], "mx.testing.test");
            assert_eq!(failure["receiving-ip"], "127.0.0.1");
        } else {
            assert!(failure.is_null(), "{one}");
        }
    }
    // Told once: nothing of that day is left.
    let (status, place) = server.stop();
    assert!(status.success(), "{status}");
    let runtime = Runtime::new().expect("a runtime");
    let left = runtime.block_on(async {
        let store = Store::open_for_reading(place.data_dir(), Mode::Lan).await;
        store.expect("a store").shelf(Shelf::TlsReport).await
    });
    let left = left.expect("a shelf");
    let of_then = |key: &str| key.starts_with(&*yesterday);
    assert!(!left.iter().any(|entry| of_then(&entry.key)), "{left:?}");
}

/// Hands a message in over STARTTLS; its queue id.
#[track_caller]
fn require_tls(server: &Server, to: &str) -> String {
    let said = openssl_with(
        &format!(
            "s_client -connect {} -starttls smtp -crlf -ign_eof",
            server.listener(1)
        ),
        &format!(
            "EHLO erp\nMAIL FROM:<erp@contoso.test> REQUIRETLS\nRCPT TO:<{to}>\nDATA\n\
             From: erp@contoso.test\nSubject: payroll\n\nonly between us\n.\nQUIT\n"
        ),
    );
    assert!(said.out.contains("250-REQUIRETLS"), "{said:?}");
    let id = said.out.split("250 2.0.0 Queued as ").nth(1);
    let id = id.unwrap_or_else(|| panic!("{said:?}"));
    id.split_whitespace().next().expect("an id").to_owned()
}

#[test]
fn mail_with_requiretls_goes_to_who_promises_to_keep_it_and_else_comes_back() {
    let mut world = World::new();
    let server = world.serve();
    let id = require_tls(&server, "anna@right.test");
    let end = ended(&server, &id);
    assert_eq!(end["event"], "recipient.delivered", "{end}");
    let taken = world.told("the message", |one| {
        one["to"] == json!(["RCPT TO:<anna@right.test>"])
    });
    assert_eq!(taken["tls"], true, "{taken}");
    let mail = taken["mail"].as_str().expect("text");
    assert!(mail.split(' ').any(|word| word == "REQUIRETLS"), "{mail}");

    // A good certificate is not enough: it would be passed on without.
    let id = require_tls(&server, "anna@bare.test");
    let end = ended(&server, &id);
    assert_eq!(end["event"], "recipient.failed", "{end}");
    let reply = end["reply"].as_str().unwrap_or_default();
    assert!(reply.contains("does not offer REQUIRETLS"), "{end}");
    let notice = world.told("the notice", |one| {
        one["to"] == json!(["RCPT TO:<erp@contoso.test>"])
    });
    let text = notice["text"].as_str().expect("text");
    assert!(text.contains("Status: 5.7.30"), "{text}");
    assert!(!text.contains("only between us"), "{text}");
    let to_bare = |line: &String| {
        let taken: Value = serde_json::from_str(line).unwrap_or_default();
        taken["to"].to_string().contains("bare.test")
    };
    assert!(!world.log.so_far().iter().any(to_bare));
    // Without the wish it goes there.
    let id = server.send("erp@contoso.test", "ben@bare.test");
    assert_eq!(ended(&server, &id)["event"], "recipient.delivered");
}
