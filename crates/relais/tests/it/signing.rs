//! DKIM as receivers see it: the real binary with a name server, checked by dkimpy, which `./ci`
//! puts into `RELAIS_TOOLS`. Without it the parts that need it are skipped, and say so.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use relais_net::clock::Chance;
use relais_net::dkim::SigningKey;
use relais_net::dns_server::{DnsServer, ZoneRecord};
use relais_smtp::dkim::{Algorithm, BodyHasher, Terms};
use relais_smtp::domain::Domain;
use relais_smtp::header::header_section_end;
use relais_smtp::time::Timestamp;

use crate::receiver::{Arrival, Receiver};
use crate::support::{Place, Server, Session, is_installed, run};
use crate::web::{first, post, post_and_follow};

/// Reads records (JSON) and messages (each with its length in front), and prints for each message
/// which of its signatures hold.
const VERIFY: &str = r#"
import json, struct, sys
import dkim
records = {name.lower().rstrip(".") + ".": text.encode() for name, text in json.load(open(sys.argv[1])).items()}
def ask(name, timeout=5):
    name = name.decode() if isinstance(name, bytes) else name
    return records.get(name.lower().rstrip(".") + ".")
data = open(sys.argv[2], "rb").read()
at = 0
while at < len(data):
    (size,) = struct.unpack(">I", data[at:at + 4])
    message = data[at + 4:at + 4 + size]
    at += 4 + size
    held = []
    one = dkim.DKIM(message)
    count = sum(1 for name, _ in one.headers if name.lower() == b"dkim-signature")
    for index in range(count):
        one = dkim.DKIM(message)
        try:
            good = one.verify(idx=index, dnsfunc=ask)
        except Exception as error:
            good = False
            print(error, file=sys.stderr)
        held.append(one.signature_fields.get(b"a", b"?").decode() if good else "BROKEN")
    print(",".join(held))
"#;

/// As above, for one message: what its chain of ARC is worth.
const VERIFY_CHAIN: &str = r#"
import json, sys
import dkim
records = {name.lower().rstrip(".") + ".": text.encode() for name, text in json.load(open(sys.argv[1])).items()}
def ask(name, timeout=5):
    name = name.decode() if isinstance(name, bytes) else name
    return records.get(name.lower().rstrip(".") + ".")
cv, results, reason = dkim.arc_verify(open(sys.argv[2], "rb").read(), dnsfunc=ask)
print(cv.decode(), len(results), reason)
"#;

/// The folder of Python's modules; without it the test says so.
fn dkimpy() -> Option<PathBuf> {
    let tools = std::env::var_os("RELAIS_TOOLS").map(PathBuf::from);
    let modules = tools.unwrap_or_default().join("python");
    if is_installed("python3") && modules.join("dkim").is_dir() && modules.join("nacl").is_dir() {
        return Some(modules);
    }
    eprintln!("SKIPPED: dkimpy and pynacl are not in RELAIS_TOOLS");
    None
}

/// The algorithms whose signatures hold, for each message.
#[track_caller]
fn verified(modules: &PathBuf, records: &Value, messages: &[Vec<u8>]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("verify.py"), VERIFY).expect("a file");
    fs::write(path("records.json"), records.to_string()).expect("a file");
    let mut file = fs::File::create(path("messages")).expect("a file");
    for message in messages {
        let size = u32::try_from(message.len()).expect("small");
        file.write_all(&size.to_be_bytes()).expect("written");
        file.write_all(message).expect("written");
    }
    let mut python = Command::new("python3");
    python
        .arg(path("verify.py"))
        .arg(path("records.json"))
        .arg(path("messages"));
    python.env("PYTHONPATH", modules);
    let answer = run(python, "").expect(0);
    let lines: Vec<_> = answer.out.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), messages.len(), "{}", answer.err);
    lines
}

/// What dkimpy says of the chain of a message.
#[track_caller]
fn chain(modules: &PathBuf, records: &Value, message: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("verify.py"), VERIFY_CHAIN).expect("a file");
    fs::write(path("records.json"), records.to_string()).expect("a file");
    fs::write(path("message"), message).expect("a file");
    let mut python = Command::new("python3");
    python
        .arg(path("verify.py"))
        .arg(path("records.json"))
        .arg(path("message"));
    python.env("PYTHONPATH", modules);
    run(python, "").expect(0).out
}

/// The name server of contoso.test, which is the configured resolver too.
struct Zone {
    server: DnsServer,
    _runtime: Runtime,
}

impl Zone {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime.block_on(DnsServer::start(address, Vec::new()));
        let zone = Self {
            server: server.expect("a free port"),
            _runtime: runtime,
        };
        zone.publish(&[]);
        zone
    }

    /// TXT records by name.
    fn publish(&self, texts: &[(String, String)]) {
        let own = |record| ("contoso.test".to_owned(), record);
        let mut records = vec![own(ZoneRecord::NameServer("ns.contoso.test".to_owned()))];
        let address = ZoneRecord::Address(Ipv4Addr::LOCALHOST.into());
        records.push(("ns.contoso.test".to_owned(), address));
        let texts = texts.iter().cloned();
        records.extend(texts.map(|(name, text)| (name, ZoneRecord::Text(text))));
        self.server.replace(&records).expect("names");
    }

    fn place(&self) -> Place {
        let address = self.server.address();
        Place::new(&format!(
            "[dns]\nnameservers = [\"{address}\"]\nauthoritative_port = {}\n",
            address.port()
        ))
    }
}

fn settings(receiver: &Receiver, verification: &str) -> String {
    format!(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"{verification}\"\n\
         [[organisation.inbound_connector]]\nname = \"Printers\"\n\
         sender_ip_addresses = [\"127.0.0.1\"]\npreset = \"tolerant\"\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{}\"]\n",
        receiver.address()
    )
}

/// The records to publish, once there are so many keys; they are made by themselves.
#[track_caller]
fn records(server: &Server, count: usize) -> Vec<(String, String)> {
    server
        .relais(&["dkim", "generate", "contoso.test"])
        .expect(0);
    let keys = server
        .relais(&["--json", "dkim", "list"])
        .expect(0)
        .json_lines();
    assert_eq!(keys.len(), count, "{keys:?}");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    keys.iter()
        .map(|key| (text(&key["name"]), text(&key["value"])))
        .collect()
}

fn signed_by(server: &Server) -> Value {
    let question = [
        "--json",
        "simulate",
        "--ip",
        "127.0.0.1",
        "--from",
        "scan@contoso.test",
    ];
    let question = [&question[..], &["--to", "b@example.org"]].concat();
    server.relais(&question).expect(0).json()["signed_by"].clone()
}

fn standing(server: &Server) -> Value {
    server
        .relais(&["--json", "domain", "list"])
        .expect(0)
        .json_lines()[0]["dkim"]
        .clone()
}

#[track_caller]
fn sent(server: &Server, receiver: &Receiver, to: &str) -> Arrival {
    server.send("scan@contoso.test", to);
    receiver.wait_for_recipient(to)
}

fn as_json(records: &[(String, String)]) -> Value {
    let all = records.iter();
    Value::Object(
        all.map(|(name, text)| (name.clone(), json!(text)))
            .collect(),
    )
}

fn is_signed(arrival: &Arrival) -> bool {
    arrival.content.starts_with(b"DKIM-Signature: ")
}

#[test]
fn keys_are_changed_on_the_page_of_their_domain() {
    let (zone, receiver) = (Zone::new(), Receiver::start());
    let server = zone.place().serve();
    server.apply(&settings(&receiver, "assumed")).expect(0);
    let published = records(&server, 2);
    let mut browser = first(&server, "en");
    let address = "/domains/contoso.test";
    let page = browser.get(address).expect(200);
    page.shows("Publish its record, below. The key signs by itself once DNS shows it.");
    page.shows(&published[0].0);
    page.shows("<a href=\"/connectors/inbound/contoso/Printers\">Printers</a>");
    assert!(
        !page.body.contains("Change the keys"),
        "one change at a time"
    );
    zone.publish(&published);
    let whose = [("organisation", "contoso")];
    let look = format!("{address}/keys/activate");
    post_and_follow(&mut browser, &look, &whose).shows("Mail is signed with it since ");
    assert_eq!(standing(&server), "active");

    let rotate = format!("{address}/keys/rotate");
    let asked = post(&mut browser, &rotate, &whose).expect(200);
    asked.shows("Make new keys for contoso.test?");
    asked.shows("relais dkim rotate contoso.test");
    records(&server, 2);
    let sure = [whose[0], ("confirmed", "1")];
    let page = post_and_follow(&mut browser, &rotate, &sure);
    page.shows("New keys are made.");
    page.shows("Publish its record, below.");
    page.shows("Look for them in DNS now");
    let all = records(&server, 4);
    zone.publish(&all);
    post_and_follow(&mut browser, &look, &whose)
        .shows("It signs no more. Leave its record in place until ");
    let signing: Vec<_> = server
        .relais(&["--json", "dkim", "list"])
        .expect(0)
        .json_lines();
    let signing = signing.iter().filter(|key| key["state"] == "active");
    let signing: Vec<_> = signing.map(|key| key["selector"].to_string()).collect();
    assert_eq!(signing.len(), 2, "{signing:?}");
    let retire = format!("{address}/keys/retire");
    let one = [whose[0], ("selector", signing[0].trim_matches('"'))];
    post(&mut browser, &retire, &one)
        .expect(200)
        .shows("out of use at once?");
    let sure = [&one[..], &[("confirmed", "1")]].concat();
    let page = post_and_follow(&mut browser, &retire, &sure);
    page.shows("The key is out of use.");
    assert!(
        !page.body.contains(">Take out of use"),
        "the last one stays"
    );
}

#[test]
fn mail_is_signed_once_dns_shows_the_keys_and_never_unsigned_after_that() {
    let (zone, receiver) = (Zone::new(), Receiver::start());
    let server = zone.place().serve();
    server.apply(&settings(&receiver, "assumed")).expect(0);
    let published = records(&server, 2);
    assert_eq!(standing(&server), "waiting");
    assert_eq!(signed_by(&server), json!([]));
    assert!(!is_signed(&sent(&server, &receiver, "one@example.org")));
    let trace = server.relais(&["trace", "to:one@example.org"]).expect(0);
    assert!(
        trace.out.contains("unsigned: DKIM of contoso.test waits"),
        "{trace:?}"
    );
    server
        .relais(&["dkim", "activate", "contoso.test"])
        .expect(4);

    zone.publish(&published);
    server
        .relais(&["dkim", "activate", "contoso.test"])
        .expect(0);
    assert_eq!(standing(&server), "active");
    assert_eq!(signed_by(&server), json!(["contoso.test"]));
    let two = sent(&server, &receiver, "two@example.org");
    assert!(is_signed(&two), "{}", two.text());
    if let Some(modules) = dkimpy() {
        let records = as_json(&published);
        let found = verified(&modules, &records, std::slice::from_ref(&two.content));
        let mut found: Vec<_> = found[0].split(',').collect();
        found.sort_unstable();
        assert_eq!(found, ["ed25519-sha256", "rsa-sha256"], "{}", two.text());
    }

    zone.publish(&[]);
    server
        .relais(&["dkim", "activate", "contoso.test"])
        .expect(4);
    assert_eq!(standing(&server), "missing");
    let alarm = |line: &str| line.contains("check.changed") && line.contains("ALARM");
    server.log.wait_for("the alarm", alarm);
    assert!(is_signed(&sent(&server, &receiver, "three@example.org")));

    // Without the master key nothing of the domain leaves, and it leaves signed once it is back.
    let (_, place) = server.stop();
    let key = fs::read(place.data_dir().join("secret.key")).expect("a key");
    fs::remove_file(place.data_dir().join("secret.key")).expect("removed");
    let server = place.serve();
    let id = server.send("scan@contoso.test", "four@example.org");
    server.await_event("recipient.deferred", &id);
    let why = server
        .relais(&["trace", "to:four@example.org"])
        .expect(0)
        .out;
    assert!(why.contains("must be signed by contoso.test"), "{why}");
    server
        .log
        .wait_for("what is needed", |line| line.contains("their key is not"));
    let (_, place) = server.stop();
    fs::write(place.data_dir().join("secret.key"), key).expect("written");
    let server = place.serve();
    server.relais(&["queue", "retry", &id]).expect(0);
    assert!(is_signed(&receiver.wait_for_recipient("four@example.org")));
}

#[test]
fn keys_are_rotated_with_an_overlap_and_the_last_one_is_not_retired() {
    let (zone, receiver) = (Zone::new(), Receiver::start());
    let server = zone.place().serve();
    server.apply(&settings(&receiver, "assumed")).expect(0);
    let first = records(&server, 2);
    zone.publish(&first);
    server
        .relais(&["dkim", "activate", "contoso.test"])
        .expect(0);
    let rotated = server
        .relais(&["--json", "dkim", "rotate", "contoso.test"])
        .expect(0)
        .json();
    let keys = rotated["keys"].as_array().expect("keys").clone();
    let of = |state: &str| {
        let keys = keys.iter().filter(|key| key["state"] == state);
        keys.map(|key| key["selector"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (of("active").len(), of("waiting").len()),
        (2, 2),
        "{rotated}"
    );
    server
        .relais(&["dkim", "retire", "contoso.test", &of("active")[0]])
        .expect(0);
    let refused = server
        .relais(&["dkim", "retire", "contoso.test", &of("active")[1]])
        .expect(1);
    assert!(refused.err.contains("only key that signs"), "{refused:?}");

    zone.publish(&records(&server, 4));
    server
        .relais(&["dkim", "activate", "contoso.test"])
        .expect(0);
    let arrival = sent(&server, &receiver, "one@example.org").text();
    for (selectors, signs) in [(of("waiting"), true), (of("active"), false)] {
        for selector in selectors {
            assert_eq!(
                arrival.contains(&format!(" s={selector};")),
                signs,
                "{arrival}"
            );
        }
    }
    server.relais(&["dkim", "rotate", "contoso.test"]).expect(1);
}

#[test]
fn a_key_of_ours_in_dns_proves_the_domain() {
    let (zone, receiver) = (Zone::new(), Receiver::start());
    let server = zone.place().serve();
    server.apply(&settings(&receiver, "dns")).expect(0);
    let published = records(&server, 2);
    let domains = || {
        server
            .relais(&["--json", "domain", "list"])
            .expect(0)
            .json_lines()
    };
    assert_eq!(domains()[0]["state"], "pending");
    zone.publish(&published[..1]);
    server
        .relais(&["dkim", "activate", "contoso.test"])
        .expect(0);
    assert_eq!(domains()[0]["state"], "verified", "{:?}", domains());
    server
        .relais(&["domain", "verify", "contoso.test"])
        .expect(0);
}

// ---- many messages ------------------------------------------------------------------------------

/// Messages generated; `RELAIS_LONG` asks for the whole figure.
fn messages() -> usize {
    match std::env::var_os("RELAIS_LONG") {
        Some(_) => 10_000,
        None => 500,
    }
}

/// A message of chance, with what breaks signatures elsewhere: folded, long and 8-bit fields, blank
/// lines and spaces at the ends, no end of line, no body, no empty line.
fn generated(chance: &Chance) -> Vec<u8> {
    let pick = |choices: &[&str]| {
        let at = chance.below(choices.len() as u64);
        choices[usize::try_from(at).expect("small")].to_owned()
    };
    let words = |count: u64| {
        let word = |_| {
            pick(&[
                "scan",
                "facture",
                "\u{e9}t\u{e9}",
                " ",
                "  ",
                "\t",
                ".",
                "=20",
                "b;d=x",
                "\r\n ",
                "\r\n\t ",
                "<a@b.test>",
                "\"q\"",
                ":",
                "x",
            ])
        };
        (0..count).map(word).collect::<String>()
    };
    let mut text = String::new();
    let names = [
        "From",
        "from",
        "To",
        "Cc",
        "Subject",
        "SUBJECT",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "Sender",
        "Reply-To",
        "References",
        "List-Unsubscribe",
        "X-Mailer",
        "Received",
    ];
    text.push_str("From: a@contoso.test\r\n");
    for _ in 0..chance.below(12) {
        let long = if chance.below(20) == 0 { 2_000 } else { 12 };
        let value = words(chance.below(long));
        text.push_str(&format!(
            "{}:{}x{value}\r\n",
            pick(&names),
            pick(&["", " ", "\t", "  "])
        ));
    }
    let mut message = text.into_bytes();
    if chance.below(12) == 0 {
        return message;
    }
    message.extend_from_slice(b"\r\n");
    for _ in 0..chance.below(10) {
        let line = pick(&[
            "",
            "hello",
            " ",
            "\t",
            "  two  words \t",
            ".",
            "..",
            "a ",
            "\u{fc}",
            "-- ",
            "x\u{0}y",
            "=3D",
        ]);
        message.extend_from_slice(line.as_bytes());
        message.extend_from_slice(b"\r\n");
    }
    for _ in 0..chance.below(5) {
        message.extend_from_slice(pick(&["\r\n", " \r\n", "\t \t\r\n"]).as_bytes());
    }
    if chance.below(4) == 0 {
        // Not white space: dkimpy keeps it before an end of line that is missing, against RFC 6376
        // §3.4.4, and differs there from what it says of the same message sent by DATA.
        message.extend_from_slice(pick(&["end", "two  words"]).as_bytes());
    }
    if chance.below(8) == 0 {
        message.push(0xe9);
    }
    message
}

#[test]
fn dkimpy_verifies_every_message_that_we_sign() {
    let Some(modules) = dkimpy() else {
        return;
    };
    let chance = Chance::seeded(6_376);
    let domain = Domain::parse("contoso.test").expect("a domain");
    let mut records = serde_json::Map::new();
    let keys =
        [("r", Algorithm::RsaSha256), ("e", Algorithm::Ed25519Sha256)].map(|(name, kind)| {
            let key = SigningKey::generate(kind).expect("a key");
            let public = key.public().expect("a key");
            let record = relais_policy::dkim::key_record(kind, &public);
            records.insert(format!("{name}._domainkey.contoso.test"), json!(record));
            (name, key)
        });
    let sign = |_| {
        let message = generated(&chance);
        let end = header_section_end(&message).unwrap_or(message.len());
        let mut hasher = BodyHasher::new();
        hasher.update(&message[end..]);
        let body = hasher.finish();
        let mut signed = Vec::new();
        for (selector, key) in &keys {
            let terms = Terms {
                domain: &domain,
                selector,
                algorithm: key.algorithm(),
                time: Timestamp::from_millis(1_795_514_400_000),
            };
            let field = key
                .sign(&message[..end], &body, &terms)
                .expect("a signature");
            signed.extend_from_slice(field.as_bytes());
        }
        signed.extend_from_slice(&message);
        signed
    };
    let signed: Vec<_> = (0..messages()).map(sign).collect();
    let found = verified(&modules, &Value::Object(records), &signed);
    for (message, found) in signed.iter().zip(found) {
        let text = message.escape_ascii();
        assert_eq!(found, "rsa-sha256,ed25519-sha256", "{text}");
    }
}

/// One message of a stranger, in a session of its own.
#[track_caller]
fn strangers(server: &Server, content: &str) {
    let mut session = Session::open(server.smtp);
    session.say("EHLO mx.example.org");
    session.say("MAIL FROM:<>");
    let reply = session.say("RCPT TO:<anna@contoso.test>");
    assert!(reply.starts_with("250 "), "{reply}");
    assert!(session.say("DATA").starts_with("354 "));
    let reply = session.say(&format!("{content}."));
    assert!(reply.starts_with("250 "), "{reply}");
}

#[test]
fn strangers_mail_is_passed_on_with_a_chain_that_dkimpy_verifies_from_relay_to_relay() {
    let (zone, receiver) = (Zone::new(), Receiver::start());
    let server = zone.place().serve();
    let settings = settings(&receiver, "assumed")
        .replace(
            "verification = ",
            &format!("mailbox_host = \"{}\"\nverification = ", receiver.address()),
        )
        .replace("127.0.0.1\"]\npreset", "10.9.9.9\"]\npreset")
        + "[[organisation.recipient]]\naddress = \"anna@contoso.test\"\n";
    server.apply(&settings).expect(0);
    let published = records(&server, 2);
    zone.publish(&published);
    server
        .relais(&["dkim", "activate", "contoso.test"])
        .expect(0);
    let first = "From: Ben <ben@example.org>\r\nSubject: first\r\n\r\nhello \r\n\r\n\r\n";
    strangers(&server, first);
    let once = receiver.wait_for("the first", |one| one.text().contains("Subject: first"));
    assert!(once.text().starts_with("ARC-Seal: "), "{}", once.text());
    assert!(once.text().ends_with(first), "{}", once.text());
    // It comes round again, as over a list, and unchanged.
    strangers(&server, &once.text());
    let twice = receiver.wait_for("the second", |one| one.text().contains("; i=2;"));
    let text = twice.text();
    assert!(text.contains(" cv=pass; d=contoso.test; i=2;"), "{text}");
    assert!(!text.contains("DKIM-Signature:"), "{text}");
    let trace = server.relais(&["trace", "to:anna@contoso.test"]).expect(0);
    assert!(
        trace.out.contains("sealed by contoso.test (i=2, cv=pass)"),
        "{trace:?}"
    );
    if let Some(modules) = dkimpy() {
        let records = as_json(&published);
        for (arrival, sets) in [(once, 1), (twice, 2)] {
            let found = chain(&modules, &records, &arrival.content);
            assert_eq!(
                found,
                format!("pass {sets} success\n"),
                "{}",
                arrival.text()
            );
            let changed = [&arrival.content[..], b"x\r\n"].concat();
            let found = chain(&modules, &records, &changed);
            assert!(found.starts_with("fail "), "{found}");
        }
    }
}
