//! Who signs in, and who tries: the right ones in the audit, the wrong ones as events that nobody
//! makes a device of; and streams that end with the session that they were opened in.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::support::{CONTOSO, PATIENCE, Server};
use crate::web::{Browser, PASSWORD, audit, first};

/// Typed where the name belongs.
const TYPED_TOO_EARLY: &str = "hunter2 is my password!";

#[test]
fn a_wrong_sign_in_is_an_event_with_name_and_address_and_nobody_adopts_it() {
    let server = Server::with_settings(CONTOSO);
    let anna = first(&server, "en");
    let mut thief = Browser::new(&server, "en");
    thief.sign_in("Anna", "a guess of hers").expect(403);
    thief.sign_in(TYPED_TOO_EARLY, "").expect(403);
    thief.get("/setup?t=guess").expect(410);
    thief.get("/sign-in/back?state=1&code=2").expect(403);
    let guesses = (0..20).map(|_| thief.sign_in("anna", "another guess").status);
    assert!(guesses.into_iter().any(|status| status == 429));
    thief.get("/api/v1/queue").expect(401);
    let told = anna.get("/api/v1/trace?q=event:auth.failed&limit=100");
    let told = told.expect(200).body;
    let read: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let events = read["events"].as_array().expect("a list");
    let said = |words: &str| {
        let mut found = events.iter();
        found.find(|one| one["detail"].as_str().is_some_and(|it| it.contains(words)))
    };
    let wrong = said("anna at the admin centre, by password").expect("an event");
    let client = (&wrong["client"]["address"], &wrong["client"]["credential"]);
    assert_eq!(client, (&"127.0.0.1".into(), &"anna".into()));
    assert_eq!(wrong["token"], "SIGN-IN");
    assert!(
        said("by set-up link").is_some() && said("by an issuer").is_some(),
        "{told}"
    );
    let slowed = |one: &serde_json::Value| one["reply"] == "429 Too many wrong sign-ins";
    assert!(events.iter().any(slowed), "{told}");
    assert!(
        !told.contains("hunter2") && !told.contains("guess"),
        "{told}"
    );
    // Among refused attempts they are seen, and are no devices.
    let groups = server.relais(&["--json", "attempts", "list"]).expect(0);
    let groups = groups.json_lines();
    let page = anna.get("/attempts").expect(200);
    assert!(!page.body.contains("attempts-adopt") && !page.body.contains("id=\"adopt-"));
    for token in ["SIGN-IN", "API-KEY"] {
        let group = groups.iter().find(|one| one["token"] == token);
        let reference = group.expect(token)["reference"].as_str().expect("one");
        page.shows(&format!("/attempts/{reference}/ignore"));
        let adopt = ["attempts", "adopt", reference, "--name", "Device"];
        let no = server.relais(&adopt);
        assert!(no.code != 0 && no.err.contains("it sent no mail"), "{no:?}");
    }
    let form = anna.token();
    let mut anna = anna;
    let reference = groups[0]["reference"].as_str().expect("one");
    let adopt = [("form_token", &*form), ("attempt", reference)];
    anna.post("/add-device", &adopt).expect(400);
}

#[test]
fn who_comes_in_stands_in_the_audit_with_how_and_from_where() {
    let server = Server::with_settings(CONTOSO);
    drop(first(&server, "en"));
    Browser::new(&server, "en")
        .sign_in("anna", PASSWORD)
        .expect(303);
    let told = audit(&server);
    for how in ["by set-up link", "by password"] {
        let words = format!("anna (owner) from 127.0.0.1, {how}");
        let is_it = |one: &&serde_json::Value| one["detail"].to_string().contains(&words);
        let entry = told.iter().find(is_it);
        let entry = entry.unwrap_or_else(|| panic!("{how}: {told:?}"));
        let shown = (&entry["act"], &entry["actor"], &entry["via"]);
        let wanted = ("admin.signed-in", "anna (web)", "web");
        assert_eq!(
            shown,
            (&wanted.0.into(), &wanted.1.into(), &wanted.2.into())
        );
    }
    server.relais(&["audit", "verify"]).expect(0);
}

/// A stream of this path, opened in the browser's session, of which something was heard.
fn listening(server: &Server, browser: &Browser<'_>, path: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(server.admin).expect("the listener answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nConnection: close\r\n\
         Accept: text/event-stream\r\n\r\n",
        server.admin, browser.cookie
    )
    .expect("written");
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    reader.read_line(&mut status).expect("a line");
    assert!(status.contains(" 200 "), "{path}: {status}");
    reader
}

/// To its end, which must come.
#[track_caller]
fn ends(stream: BufReader<TcpStream>) {
    let lines = stream.lines().map(|line| line.expect("it goes on and on"));
    assert!(lines.count() > 0);
}

#[test]
fn what_is_listened_to_ends_with_the_session_and_with_another_role() {
    let server = Server::with_settings(CONTOSO);
    drop(first(&server, "en"));
    let added = server.relais(&["--json", "admin", "add", "hugo", "--role", "operator"]);
    let added = added.expect(0).json();
    let password = added["password"].as_str().expect("told");
    let paths = ["/trace/live", "/attempts/events", "/api/v1/attempts/live"];
    let changes: [&[&str]; 3] = [
        &["admin", "sign-out", "hugo"],
        &["admin", "role", "hugo", "auditor"],
        &["admin", "remove", "hugo"],
    ];
    for change in changes {
        let mut hugo = Browser::new(&server, "en");
        hugo.sign_in("hugo", password).expect(303);
        let streams = paths.map(|path| listening(&server, &hugo, path));
        server.relais(change).expect(0);
        streams.into_iter().for_each(ends);
        let again = hugo.get("/trace/live");
        assert_eq!(again.status, 303, "{change:?}");
    }
}
