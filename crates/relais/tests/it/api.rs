//! The API by the real binary over HTTP: keys and their scopes, organisations that stay apart,
//! messages that programs hand in, the document that describes it all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::support::{CONTOSO, PATIENCE, Place, Server, is_installed, repository};

/// Adds a credential to [`CONTOSO`].
const APPLICATION: &str = r#"
[[organisation.credential]]
user = "erp"
inbound_connector = "Printers"
may_send_as = ["erp@contoso.test"]
"#;

/// Two organisations of which neither may see the other.
const HOSTED: &str = r#"
[[organisation]]
name = "contoso"
postmaster = "it@contoso.test"

[[organisation.domain]]
name = "contoso.test"
verification = "assumed"

[[organisation.inbound_connector]]
name = "Scanners"
sender_ip_addresses = ["192.175.48.7"]

[[organisation.credential]]
user = "contoso-erp"
inbound_connector = "Scanners"

[[organisation]]
name = "fabrikam"
postmaster = "it@fabrikam.test"

[[organisation.domain]]
name = "fabrikam.test"
verification = "assumed"

[[organisation.inbound_connector]]
name = "Cameras"
sender_ip_addresses = ["192.175.48.8"]

[[organisation.credential]]
user = "fabrikam-erp"
inbound_connector = "Cameras"
"#;

/// An answer.
struct Told {
    status: u16,
    head: String,
    body: String,
}

impl Told {
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(one, _)| one.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }
}

/// A program with a key.
struct Program<'a> {
    server: &'a Server,
    key: String,
}

impl<'a> Program<'a> {
    /// A new key with these scopes and more arguments of the command.
    #[track_caller]
    fn new(server: &'a Server, scopes: &[&str], more: &[&str]) -> Self {
        let mut arguments = vec!["--json", "api-key", "add", "program"];
        for scope in scopes {
            arguments.extend(["--scope", scope]);
        }
        arguments.extend(more);
        let made = server.relais(&arguments).expect(0).json();
        let key = made["key"].as_str().expect("the key").to_owned();
        Self { server, key }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Told {
        let mut all = vec![("Authorization", format!("Bearer {}", self.key))];
        all.extend(
            headers
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        ask(self.server, method, path, &all, body)
    }

    fn get(&self, path: &str) -> Told {
        self.ask("GET", path, &[], "")
    }

    fn post(&self, path: &str, body: &Value) -> Told {
        let json = [("Content-Type", "application/json")];
        self.ask("POST", path, &json, &body.to_string())
    }
}

fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, String)], body: &str) -> Told {
    let mut stream = TcpStream::connect(server.admin).expect("the listener answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers: String = headers.collect();
    write!(
        stream,
        "{method} /api/v1{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        server.admin,
        body.len()
    )
    .expect("written");
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).expect("an answer");
    let text = String::from_utf8(octets).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let is_chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    Told {
        status: status.expect("a status"),
        head: head.to_owned(),
        body: if is_chunked {
            unchunked(body)
        } else {
            body.to_owned()
        },
    }
}

fn unchunked(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).expect("a size");
        if size == 0 {
            break;
        }
        whole.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    whole
}

#[test]
fn a_program_without_a_key_gets_nothing_and_is_seen() {
    let server = Server::with_settings(CONTOSO);
    let refused = ask(&server, "GET", "/queue", &[], "").expect(401);
    assert!(
        refused
            .header("WWW-Authenticate")
            .is_some_and(|it| it.starts_with("Bearer"))
    );
    assert_eq!(
        refused.header("Content-Type"),
        Some("application/problem+json")
    );
    let reference = refused.json()["reference"]
        .as_str()
        .expect("one")
        .to_owned();
    server.log.wait_for("the event", |line| {
        line.contains("auth.failed") && line.contains(&reference)
    });
    let wrong = [(
        "Authorization",
        format!("Bearer relais_{:010}_{:064}", 0, 0),
    )];
    ask(&server, "GET", "/queue", &wrong, "").expect(401);
    ask(&server, "GET", "/nothing", &[], "").expect(401);
    let listed = ask(&server, "OPTIONS", "/queue", &[], "").expect(401);
    assert!(listed.header("Access-Control-Allow-Origin").is_none());
}

#[test]
fn a_key_does_what_its_scopes_say_until_it_is_revoked() {
    let server = Server::with_settings(CONTOSO);
    let program = Program::new(&server, &["queue:read", "suppression:write"], &[]);
    program.get("/queue").expect(200);
    program.get("/status").expect(403);
    let act = json!({ "act": "flush", "all": true });
    let refused = program.post("/queue/act", &act).expect(403).json();
    assert!(
        refused["detail"]
            .as_str()
            .is_some_and(|it| it.contains("queue:write"))
    );
    let added = json!({ "address": "b@example.org", "reason": "asked" });
    program.post("/suppression/add", &added).expect(200);
    let entry = server.relais(&["--json", "audit", "list"]).expect(0);
    let entry = entry.json_lines();
    let entry = entry.iter().find(|one| one["act"] == "suppression.added");
    let entry = entry.expect("an entry");
    assert_eq!(entry["via"], "api");
    assert!(
        entry["actor"]
            .as_str()
            .is_some_and(|it| it.starts_with("program (key "))
    );
    let keys = server
        .relais(&["--json", "api-key", "list"])
        .expect(0)
        .json_lines();
    assert!(keys[0]["last_used"].is_string(), "{keys:?}");
    assert!(!format!("{keys:?}").contains(&program.key[20..]));
    let id = keys[0]["id"].as_str().expect("an id").to_owned();
    server.relais(&["api-key", "revoke", &id]).expect(0);
    program.get("/queue").expect(401);
    server.relais(&["api-key", "revoke", &id]).expect(3);
}

#[test]
fn who_listens_hears_no_more_once_the_key_is_revoked() {
    let server = Server::with_settings(CONTOSO);
    let program = Program::new(&server, &["trace:read"], &[]);
    let mut stream = TcpStream::connect(server.admin).expect("the listener answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(
        stream,
        "GET /api/v1/trace/live HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        server.admin, program.key
    )
    .expect("written");
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200");
    let keys = server.relais(&["--json", "api-key", "list"]).expect(0);
    let keys = keys.json_lines();
    let id = keys[0]["id"].as_str().expect("an id");
    server.relais(&["api-key", "revoke", id]).expect(0);
    let mut rest = Vec::new();
    // Without an end this waits in vain, and fails.
    stream.read_to_end(&mut rest).expect("an end");
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("application/x-ndjson"), "{rest}");
}

#[test]
fn what_must_stay_on_the_machine_is_not_reached_with_any_key() {
    let server = Server::with_settings(CONTOSO);
    let program = Program::new(&server, &["*:write"], &[]);
    for path in [
        "/backup",
        "/setup-link",
        "/admins",
        "/api-keys/x/revoke",
        "/secrets/rotate-key",
        "/secrets/rotate-bounce-key",
    ] {
        program.post(path, &json!({})).expect(404);
    }
    program
        .post("/api-keys", &json!({ "name": "x", "scopes": ["*:write"] }))
        .expect(405);
    let assume = json!({ "assume": true });
    program
        .post("/domains/contoso.test/verify", &assume)
        .expect(400);
    let mut document = program.get("/settings").expect(200).json();
    let domains = document["organisation"][0]["domain"]
        .as_array_mut()
        .expect("domains");
    domains.push(json!({ "name": "fabrikam.test", "verification": "assumed" }));
    let body = json!({ "document": document });
    let refused = program.post("/apply", &body).expect(403).json();
    assert!(
        refused["detail"]
            .as_str()
            .is_some_and(|it| it.contains("fabrikam.test"))
    );
}

#[test]
fn settings_are_replaced_only_by_who_has_seen_them() {
    let server = Server::with_settings(CONTOSO);
    let program = Program::new(&server, &["settings:write"], &[]);
    let read = program.get("/settings").expect(200);
    let tag = read.header("ETag").expect("a tag").to_owned();
    program
        .ask("GET", "/settings", &[("If-None-Match", &tag)], "")
        .expect(304);
    let mut document = read.json();
    document["organisation"][0]["display_name"] = json!("Contoso SA");
    let put = |tag: &str| {
        let headers = [("If-Match", tag), ("Content-Type", "application/json")];
        program.ask("PUT", "/settings", &headers, &document.to_string())
    };
    put(&tag).expect(200);
    let late = put(&tag).expect(412).json();
    assert!(late["reference"].is_string(), "{late}");
    let json = [("Content-Type", "application/json")];
    program
        .ask("PUT", "/settings", &json, &document.to_string())
        .expect(428);
}

#[test]
fn a_connector_is_removed_by_the_revision_that_its_list_told() {
    let server = Server::with_settings(CONTOSO);
    let program = Program::new(&server, &["connectors:write"], &[]);
    for (noun, name) in [("inbound", "Printers"), ("outbound", "Nowhere")] {
        let list = program
            .get(&format!("/connectors/{noun}"))
            .expect(200)
            .json();
        let listed = list["connectors"].as_array().expect("a list");
        let known = listed.iter().find(|one| one["name"] == name);
        let revision = &known.expect("the connector")["revision"];
        let path = format!("/connectors/{noun}/remove");
        let other = json!({ "organisation": "contoso", "name": name, "revision": "0" });
        program.post(&path, &other).expect(412);
        let seen = json!({ "organisation": "contoso", "name": name, "revision": revision });
        program.post(&path, &seen).expect(200);
    }
}

#[test]
fn lists_come_in_pages() {
    let server = Server::with_settings(CONTOSO);
    let program = Program::new(&server, &["suppression:write"], &[]);
    for number in 0..5 {
        let body = json!({ "address": format!("b{number}@example.org"), "reason": "asked" });
        program.post("/suppression/add", &body).expect(200);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = program
            .get(&format!("/suppression?limit=2{cursor}"))
            .expect(200)
            .json();
        let rows = page["suppressed"].as_array().expect("rows");
        assert!(rows.len() <= 2);
        seen.extend(rows.iter().map(|row| row["address"].to_string()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    program.get("/suppression?limit=0").expect(400);
    program.get("/suppression?cursor=x").expect(400);
    program.get("/suppression?unknown=1").expect(400);
    let twice = program.get("/suppression?limit=1&limit=2").expect(400);
    let detail = "The parameter \"limit\" is given more than once.";
    assert_eq!(twice.json()["detail"], detail);
}

#[test]
fn the_front_of_the_api_answers_as_all_of_it() {
    let server = Server::with_settings(CONTOSO);
    let program = Program::new(&server, &["status:read"], &[]);
    for path in ["", "/"] {
        let nothing = program.get(path).expect(404);
        let form = nothing.header("content-type");
        assert_eq!(form, Some("application/problem+json"), "{path:?}");
        assert!(nothing.json()["reference"].is_string());
    }
}

#[test]
fn a_key_of_an_organisation_sees_and_changes_nothing_of_another() {
    let server = Place::new("").with_mode("hosted").serve();
    server.apply(HOSTED).expect(0);
    let own = Program::new(&server, &["*:write"], &["--organisation", "contoso"]);
    let operator = Program::new(&server, &["*:write"], &[]);
    let paths = operator.get("/openapi.json").expect(200).json();
    let mut walked = 0;
    for (path, methods) in paths["paths"].as_object().expect("paths") {
        if !methods.as_object().is_some_and(|it| it.contains_key("get"))
            || path.ends_with("/live")
            || path.ends_with("/listen")
        {
            continue;
        }
        let path = path.trim_start_matches("/api/v1");
        let filled = path
            .replace("{name}", "fabrikam.test")
            .replace("{id}", "1")
            .replace("{address}", "192.175.48.8");
        let told = own.get(&filled);
        let body = told
            .body
            .replace("fabrikam.test", "")
            .replace("192.175.48.8", "");
        let names = filled.contains("fabrikam") && told.status >= 400;
        assert!(
            names || !told.body.contains("fabrikam"),
            "{filled}: {}",
            told.body
        );
        assert!(
            !body.contains("Cameras") && !body.contains("fabrikam-erp"),
            "{filled}: {body}"
        );
        let foreign = own.get(&format!("{filled}?organisation=fabrikam"));
        assert!(foreign.status >= 400, "{filled}: {}", foreign.body);
        walked += 1;
    }
    assert!(walked > 15, "{walked}");
    // What changes something, of a key that may change all, tells and does as little.
    let before = operator.get("/settings").expect(200).body;
    let mut changes = 0;
    for (path, methods) in paths["paths"].as_object().expect("paths") {
        if !methods
            .as_object()
            .is_some_and(|it| it.contains_key("post"))
        {
            continue;
        }
        let filled = path.trim_start_matches("/api/v1");
        let filled = filled
            .replace("{name}", "fabrikam.test")
            .replace("{domain}", "fabrikam.test")
            .replace("{user}", "fabrikam-erp")
            .replace("{id}", "1");
        for body in [
            json!({ "organisation": "fabrikam" }),
            json!({ "organisation": "fabrikam", "name": "Cameras", "address": "b@example.org" }),
            json!({ "selection": { "organisation": "fabrikam" }, "act": "delete" }),
        ] {
            let told = own.post(&filled, &body);
            assert!(told.status >= 400, "{filled}: {}", told.body);
            assert!(!told.body.contains("192.175.48"), "{filled}: {}", told.body);
        }
        changes += 1;
    }
    assert!(changes > 30, "{changes}");
    let after = operator.get("/settings").expect(200).body;
    assert_eq!(before, after);
    let listed = own.get("/domains").expect(200).json();
    assert_eq!(listed["domains"][0]["name"], "contoso.test");
    let rotated = own.post(
        "/credentials/contoso-erp/rotate",
        &json!({ "overlap": "1d" }),
    );
    assert!(rotated.expect(200).json()["password"].is_string());
    own.post("/credentials/fabrikam-erp/revoke", &json!({}))
        .expect(404);
    let other = json!({ "organisation": "fabrikam", "address": "a@b.example", "reason": "x" });
    own.post("/suppression/add", &other).expect(404);
    let other = json!({ "act": "hold", "selection": { "organisation": "fabrikam" } });
    own.post("/queue/act", &other).expect(404);
    own.post(
        "/restricted/block",
        &json!({ "kind": "ip", "value": "192.175.48.8", "reason": "x" }),
    )
    .expect(403);
    let added = json!({ "address": "a@b.example", "reason": "x" });
    own.post("/suppression/add", &added).expect(200);
    let rows = operator.get("/suppression").expect(200).json();
    assert_eq!(rows["suppressed"][0]["organisation"], "contoso");
}

#[test]
fn a_key_of_an_organisation_walks_to_no_private_address_that_is_typed() {
    let receiver = Receiver::start();
    let server = Place::new("").with_mode("hosted").serve();
    let host = receiver.address();
    let way_out = format!(
        "\n[[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{host}\"]\n"
    );
    // The last organisation's.
    server.apply(&(HOSTED.to_owned() + &way_out)).expect(0);
    let own = Program::new(
        &server,
        &["connectors:write"],
        &["--organisation", "fabrikam"],
    );
    let operator = Program::new(&server, &["connectors:write"], &[]);
    let walk = json!({ "organisation": "fabrikam", "name": "Out", "to": "b@example.org" });
    let path = "/connectors/outbound/test";
    let told = own.post(path, &walk).expect(200).json();
    assert_eq!(told["ok"], false, "{told}");
    let step = &told["hosts"][0]["steps"][0];
    assert!(
        step["detail"]
            .as_str()
            .is_some_and(|it| it.contains("may not be reached")),
        "{told}"
    );
    assert_eq!(told["hosts"][0]["transcript"], json!([]));
    let told = operator.post(path, &walk).expect(200).json();
    assert_eq!(told["ok"], true, "{told}");
}

/// A message in parts.
fn invoice(to: &[&str]) -> Value {
    json!({
        "from": "ERP <erp@contoso.test>",
        "to": to,
        "subject": "Facture n° 7",
        "text": "Bonjour",
        "html": "<p>Bonjour",
        "attachments": [{ "name": "7.pdf", "type": "application/pdf", "content": "JVBERg==" }],
    })
}

fn application(receiver: &Receiver) -> Server {
    let settings = CONTOSO.replace("127.0.0.1:9", &receiver.address().to_string()) + APPLICATION;
    Server::with_settings(&settings)
}

#[test]
fn a_program_hands_in_by_a_connector_that_demands_encryption() {
    let receiver = Receiver::start();
    let connector = "[[organisation.inbound_connector]]\n";
    let settings = CONTOSO.replace("127.0.0.1:9", &receiver.address().to_string()) + APPLICATION;
    let settings = settings.replace(connector, &format!("{connector}tls = \"required\"\n"));
    let server = Server::with_settings(&settings);
    let program = Program::new(&server, &["messages:write"], &["--credential", "erp"]);
    let told = program
        .post("/messages", &invoice(&["b@example.org"]))
        .expect(202)
        .json();
    server.await_event(
        "recipient.delivered",
        told["queue_id"].as_str().expect("an id"),
    );
}

#[test]
fn a_message_that_a_program_hands_in_is_delivered_and_told_like_any_other() {
    let receiver = Receiver::start();
    let server = application(&receiver);
    let program = Program::new(&server, &["messages:write"], &["--credential", "erp"]);
    let told = program
        .post("/messages", &invoice(&["b@example.org"]))
        .expect(202)
        .json();
    let id = told["queue_id"].as_str().expect("an id").to_owned();
    assert_eq!(told["recipients"][0]["accepted"], true);
    server.await_event("recipient.delivered", &id);
    let message = receiver.wait_for_count(1).remove(0);
    let text = String::from_utf8_lossy(&message.content).into_owned();
    for mark in [
        "Message-ID: ",
        "Date: ",
        "multipart/mixed",
        "JVBERg==",
        "=?utf-8?B?",
    ] {
        assert!(text.contains(mark), "{mark} in {text}");
    }
    let story = server.relais(&["--json", "why", &id]).expect(0).json();
    let first = &story["events"][0];
    assert_eq!(first["event"], "message.accepted");
    assert_eq!(first["client"]["credential"], "erp");
    assert_eq!(first["inbound_connector"], "Printers");
}

#[test]
fn a_program_may_no_more_than_its_credential() {
    let server = Server::with_settings(&(CONTOSO.to_owned() + APPLICATION));
    let program = Program::new(&server, &["messages:write"], &["--credential", "erp"]);
    let mut foreign = invoice(&["b@example.org"]);
    foreign["from"] = json!("boss@contoso.test");
    let refused = program.post("/messages", &foreign).expect(422).json();
    assert!(
        refused["detail"]
            .as_str()
            .is_some_and(|it| it.contains("FROM-")),
        "{refused}"
    );
    let reference = refused["reference"].as_str().expect("one").to_owned();
    let why = server
        .relais(&["--json", "why", &reference])
        .expect(0)
        .json();
    assert_eq!(why["kind"], "refusal");
    let suppressed = [
        "suppression",
        "add",
        "gone@example.org",
        "--reason",
        "asked",
    ];
    server.relais(&suppressed).expect(0);
    let some = program.post(
        "/messages",
        &invoice(&["gone@example.org", "b@example.org"]),
    );
    let some = some.expect(202).json();
    assert_eq!(some["recipients"][0]["accepted"], false, "{some}");
    assert_eq!(some["recipients"][1]["accepted"], true, "{some}");
    let none = program
        .post("/messages", &invoice(&["gone@example.org"]))
        .expect(422)
        .json();
    assert!(
        none["recipients"][0]["reply"]
            .as_str()
            .is_some_and(|it| it.starts_with("550"))
    );
    let block = [
        "restricted",
        "block",
        "credential",
        "erp",
        "--reason",
        "test",
    ];
    server.relais(&block).expect(0);
    let blocked = program
        .post("/messages", &invoice(&["b@example.org"]))
        .expect(422)
        .json();
    assert!(blocked["reference"].is_string(), "{blocked}");
    Program::new(&server, &["messages:write"], &[])
        .post("/messages", &invoice(&["b@example.org"]))
        .expect(403);
}

#[test]
fn a_repeated_request_sends_nothing_twice_even_after_a_restart() {
    let server = Server::with_settings(&(CONTOSO.to_owned() + APPLICATION));
    let key = {
        let program = Program::new(&server, &["messages:write"], &["--credential", "erp"]);
        program.key
    };
    let send = |server: &Server, to: &str| {
        let program = Program {
            server,
            key: key.clone(),
        };
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "invoice-7"),
        ];
        let body = invoice(&[to]).to_string();
        program.ask("POST", "/messages", &headers, &body)
    };
    let first = send(&server, "b@example.org").expect(202).json();
    let again = send(&server, "b@example.org").expect(202);
    assert_eq!(again.json(), first);
    assert_eq!(again.header("Idempotency-Replayed"), Some("true"));
    send(&server, "c@example.org").expect(422);
    let (_, place) = server.stop();
    let server = place.serve();
    let again = send(&server, "b@example.org").expect(202);
    assert_eq!(again.json(), first);
    let queued = server
        .relais(&["--json", "queue", "list"])
        .expect(0)
        .json_lines();
    assert_eq!(queued.len(), 1, "{queued:?}");
}

#[test]
fn octets_of_a_program_pass_as_they_are() {
    let receiver = Receiver::start();
    let server = application(&receiver);
    let program = Program::new(&server, &["messages:write"], &["--credential", "erp"]);
    let raw = "From: erp@contoso.test\r\nTo: b@example.org\r\nSubject: raw\r\n\
               Date: Mon, 30 Nov 2026 10:00:00 +0000\r\nMessage-ID: <7@contoso.test>\r\n\r\n\
               .a line with a dot\r\n..\r\nend\r\n";
    let form = [("Content-Type", "message/rfc822")];
    let path = "/messages?from=erp%40contoso.test&to=b%40example.org&to=c%40example.org";
    let told = program.ask("POST", path, &form, raw).expect(202).json();
    assert_eq!(told["recipients"].as_array().map(Vec::len), Some(2));
    let message = receiver.wait_for_count(1).remove(0);
    assert!(
        String::from_utf8_lossy(&message.content).ends_with(raw),
        "{raw}"
    );
    program
        .ask("POST", "/messages?to=b%40example.org", &form, raw)
        .expect(400);
    program
        .ask("POST", path, &[("Content-Type", "text/plain")], raw)
        .expect(415);
}

/// The tester, as `./ci` fetched it, or as it is installed.
fn schemathesis() -> Option<Command> {
    let tools = std::env::var_os("RELAIS_TOOLS").map(PathBuf::from);
    let folder = tools.map(|tools| tools.join("schemathesis"));
    if let Some(folder) = folder.filter(|folder| folder.join("schemathesis").is_dir()) {
        let mut command = Command::new("python3");
        command.args([
            "-c",
            "from schemathesis.cli import schemathesis; schemathesis()",
        ]);
        command.env("PYTHONPATH", folder);
        return Some(command);
    }
    is_installed("schemathesis").then(|| Command::new("schemathesis"))
}

#[test]
fn what_the_document_says_holds_against_a_tester_of_apis() {
    let Some(mut command) = schemathesis() else {
        eprintln!(
            "SKIPPED: schemathesis is not there: ./ci fetches it, RELAIS_TOOLS names the folder"
        );
        return;
    };
    let server = Server::with_settings(&(CONTOSO.to_owned() + APPLICATION));
    // Not the settings: a document without organisations would leave nothing to try.
    let nouns = [
        "alerts:write",
        "attempts:write",
        "connectors:write",
        "content:write",
        "credentials:write",
        "directory:write",
        "dkim:write",
        "domains:write",
        "messages:write",
        "queue:write",
        "restricted:write",
        "suppression:write",
        "webhooks:write",
        "*:read",
    ];
    let program = Program::new(&server, &nouns, &["--credential", "erp"]);
    command
        .current_dir(server.place.path(""))
        .args(["run", "--seed", "1", "--no-color"])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "3",
        ])
        .args(["--exclude-path-regex", "(live|listen)$"])
        .args(["--exclude-checks", "positive_data_acceptance"])
        .args(["--request-timeout", "20"])
        // How fast it thinks of requests is about the machine, not about our answers.
        .args(["--suppress-health-check", "too_slow"])
        .arg("--header")
        .arg(format!("Authorization: Bearer {}", program.key))
        .arg("--url")
        .arg(format!("http://{}", server.admin))
        .arg(repository("docs/reference/openapi.json"));
    let told = crate::support::run(command, "");
    assert_eq!(told.code, 0, "{}\n{}", told.out, told.err);
}

/// Entries of a directory: more than one page of a list has.
const MANY: usize = 1_500;

#[test]
fn commands_ask_a_server_elsewhere_with_a_key_and_say_what_is_done_on_its_machine_only() {
    let server = Server::with_settings(CONTOSO);
    let program = Program::new(&server, &["*:write"], &[]);
    let looker = Program::new(&server, &["checks:read"], &[]);
    looker.get("/checks").expect(200);
    looker.post("/checks", &json!({})).expect(403);
    let url = format!("http://{}", server.admin);
    let elsewhere = Place::new("");
    let ask = |arguments: &[&str], key: &str, input: &str| {
        let mut all = vec!["--server", &*url];
        all.extend(arguments);
        let mut command = elsewhere.command(&all);
        command.env("RELAIS_API_KEY", key);
        crate::support::run(command, input)
    };
    let key = &*program.key;
    let none = ask(&["domain", "list"], "", "");
    assert_eq!(none.code, 2, "{none:?}");
    assert!(none.err.contains("relais api-key add"), "{none:?}");
    let wrong = ask(&["domain", "list"], "relais_0000000000_00", "");
    assert_eq!(wrong.code, 1, "{wrong:?}");

    let domains = ask(&["--json", "domain", "list"], key, "").expect(0);
    assert_eq!(domains.json_lines()[0]["name"], "contoso.test");
    let set = [
        "connector",
        "outbound",
        "set",
        "Nowhere",
        "--tls",
        "encryption-only",
    ];
    ask(&set, key, "").expect(0);
    let shown = ask(
        &["--json", "connector", "outbound", "show", "Nowhere"],
        key,
        "",
    )
    .expect(0);
    assert_eq!(shown.json()["tls"], "encryption-only");
    ask(&["status"], key, "").expect(0);
    ask(&["trace"], key, "").expect(0);
    let looked = ask(&["--json", "doctor", "safety"], key, "");
    let looked = looked.json();
    assert!(looked["checks"].is_array(), "{looked}");
    let test = ["--json", "test", "--to", "anna@example.invalid"];
    let tested = ask(&test, key, "").expect(4).json();
    assert_eq!(tested["delivered"], false, "{tested}");
    ask(&["credential", "rotate", "nobody"], key, "").expect(3);

    // A list comes in pages, and whole.
    let csv: String = (0..MANY)
        .map(|number| format!("u{number}@contoso.test\n"))
        .collect();
    ask(&["directory", "import", "-"], key, &csv).expect(0);
    let listed = ask(&["--json", "directory", "list"], key, "").expect(0);
    assert_eq!(listed.json_lines().len(), MANY + 1);

    for only_there in [
        &["backup", "create", "/tmp/nowhere"][..],
        &["api-key", "add", "x", "--scope", "*:read"],
        &["setup-link"],
    ] {
        let refused = ask(only_there, key, "");
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            refused.err.contains("on the server's machine only"),
            "{refused:?}"
        );
    }
    let clear = elsewhere.relais(&["--server", "http://relay.contoso.test", "status"]);
    assert_eq!(clear.code, 2, "{clear:?}");
}
