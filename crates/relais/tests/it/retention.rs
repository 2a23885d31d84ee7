//! What is kept of mail: subjects masked everywhere, content kept for whoever may read it and no
//! longer than promised, an address erased from everything beside the queue.

use std::path::Path;

use serde_json::Value;

use crate::receiver::Receiver;
use crate::support::{BEHIND_PROXY, CONTOSO, Place, Server};
use crate::web::{Browser, first, post, post_and_follow};

const SUBJECT: &str = "Payroll of October";

/// Printers and servers, whose mail goes to a receiver of the test.
fn server(receiver: &Receiver, keys: &str, of_printers: &str) -> Server {
    let server = Place::new(BEHIND_PROXY).serve();
    let servers = "\n[[organisation.inbound_connector]]\nname = \"Servers\"\n\
                   sender_ip_addresses = [\"10.1.3.0/24\"]\nsubjects = \"shown\"\n";
    let settings = CONTOSO
        .replace(
            "name = \"contoso\"\n",
            &format!("name = \"contoso\"\n{keys}\n"),
        )
        .replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]")
        .replace(
            "preset = \"tolerant\"",
            &format!("preset = \"tolerant\"\n{of_printers}"),
        )
        .replace("127.0.0.1:9", &receiver.address().to_string());
    server.apply(&format!("{settings}{servers}")).expect(0);
    server
}

/// One message, to its end; its queue id.
fn send(server: &Server, client: &str, from: &str, to: &str, body: &str) -> String {
    let mut session = server.session_from(client);
    session.hear();
    session.say("EHLO scan");
    session.say(&format!("MAIL FROM:<{from}>"));
    let taken = session.say(&format!("RCPT TO:<{to}>"));
    assert!(taken.starts_with("250"), "{taken}");
    session.say("DATA");
    let taken = session.say(&format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {SUBJECT}\r\n\r\n{body}\r\n."
    ));
    session.say("QUIT");
    let id = taken
        .trim_end()
        .rsplit(' ')
        .next()
        .expect("an id")
        .to_owned();
    server.await_event("recipient.delivered", &id);
    id
}

fn trace(server: &Server, tokens: &str) -> Vec<Value> {
    let mut asked = vec!["--json", "trace"];
    asked.extend(tokens.split(' '));
    server.relais(&asked).expect(0).json_lines()
}

#[test]
fn a_masked_subject_is_nowhere_but_in_the_message() {
    let receiver = Receiver::start();
    let server = server(&receiver, "subjects = \"masked\"", "");
    let id = send(
        &server,
        "10.1.2.9",
        "scan@contoso.test",
        "b@example.org",
        "x",
    );
    let arrived = receiver.wait_for("the message", |_| true);
    assert!(arrived.text().contains(SUBJECT), "{}", arrived.text());
    let events = trace(&server, &format!("id:{id}"));
    assert!(events.len() >= 2, "{events:?}");
    for event in &events {
        let subject = &event["subject"];
        assert!(subject.is_null() || subject == "***", "{event}");
    }
    assert!(events.iter().any(|event| event["subject"] == "***"));
    assert_eq!(trace(&server, "subject:payroll"), Vec::<Value>::new());
    // Who may read content sees no more.
    let browser = first(&server, "en");
    for path in [
        format!("/trace/{id}"),
        "/trace".to_owned(),
        "/trace/export.csv".to_owned(),
        "/trace/export.json".to_owned(),
    ] {
        let page = browser.get(&path).expect(200);
        assert!(!page.body.contains("Payroll"), "{path}: {}", page.body);
    }
    let log = server.log.so_far().join("\n");
    assert!(!log.contains("Payroll"), "{log}");
    // A connector that says otherwise goes before its organisation.
    let id = send(
        &server,
        "10.1.3.9",
        "scan@contoso.test",
        "b@example.org",
        "x",
    );
    let events = trace(&server, &format!("id:{id} subject:payroll"));
    assert!(!events.is_empty());
}

#[test]
fn kept_content_is_shown_to_who_may_read_it_each_look_is_written_down_and_it_goes_in_time() {
    let receiver = Receiver::start();
    let server = server(&receiver, "", "content_days = 3");
    let large = "0123456789abcdef\r\n".repeat(8_000);
    let small = send(
        &server,
        "10.1.2.9",
        "scan@contoso.test",
        "b@example.org",
        "little <b>",
    );
    let big = send(
        &server,
        "10.1.2.9",
        "scan@contoso.test",
        "b@example.org",
        &large,
    );
    let other = send(
        &server,
        "10.1.3.9",
        "scan@contoso.test",
        "b@example.org",
        "never",
    );
    let mut browser = first(&server, "en");
    let story = browser.get(&format!("/trace/{other}")).expect(200);
    assert!(!story.body.contains("Show the message"), "{}", story.body);
    post(&mut browser, &format!("/trace/{other}/content"), &[]).expect(404);
    for (id, text) in [(&small, "little &#60;b&#62;"), (&big, "0123456789abcdef")] {
        let story = browser.get(&format!("/trace/{id}")).expect(200);
        story.shows("Show the message");
        let page = post(&mut browser, &format!("/trace/{id}/content"), &[]).expect(200);
        page.shows(text);
        page.shows(&format!("Subject: {SUBJECT}"));
        let file = post(&mut browser, &format!("/trace/{id}/raw"), &[]).expect(200);
        assert_eq!(file.header("content-type"), Some("message/rfc822"));
        file.shows(&format!("Subject: {SUBJECT}"));
    }
    let file = post(&mut browser, &format!("/trace/{big}/raw"), &[]).expect(200);
    assert_eq!(file.body.matches("0123456789abcdef").count(), 8_000);
    let looks = ["--json", "audit", "list", "--act", "content.read"];
    let looks = server.relais(&looks).expect(0).json_lines();
    assert_eq!(looks.len(), 5, "{looks:?}");
    assert_eq!(looks[0]["actor"], "anna (web)");
    browser
        .get("/settings/retention")
        .expect(200)
        .shows("2 messages");
    // It survives a restart, and is not swept with what belongs to nobody.
    let (_, place) = server.stop();
    let server = place.serve();
    let mut browser = signed_in_again(&server);
    let page = post(&mut browser, &format!("/trace/{big}/content"), &[]).expect(200);
    page.shows("0123456789abcdef");
}

fn signed_in_again(server: &Server) -> Browser<'_> {
    let mut browser = Browser::new(server, "en");
    let page = browser.sign_in("anna", crate::web::PASSWORD);
    assert_eq!(page.status, 303, "{}", page.body);
    browser
}

/// Files of a folder that have these octets somewhere.
fn holding(folder: &Path, octets: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a name").path();
        let text = std::fs::read(&path).expect("a file").to_ascii_lowercase();
        if text.windows(octets.len()).any(|part| part == octets) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn an_erased_address_is_found_by_nobody_nor_in_any_file_beside_the_queue() {
    let receiver = Receiver::start();
    let server = server(&receiver, "content_days = 3", "");
    let erased = send(
        &server,
        "10.1.2.9",
        "scan@contoso.test",
        "Paula@Example.org",
        "x",
    );
    let kept = send(
        &server,
        "10.1.2.9",
        "scan@contoso.test",
        "xpaula@example.org",
        "x",
    );
    let mut refused = server.session_from("10.1.2.9");
    refused.hear();
    refused.say("EHLO scan");
    let no = refused.say("MAIL FROM:<paula@example.org>");
    assert!(no.starts_with("550"), "{no}");
    refused.say("QUIT");
    let data = server.place.data_dir();
    let before = trace(&server, "paula@example.org").len();
    assert!(before >= 4, "{before}");

    let dry = ["--json", "trace", "erase", "paula@example.org", "--dry-run"];
    let told = server.relais(&dry).expect(0).json();
    assert_eq!(
        (&told["events"], &told["contents"]),
        (&before.into(), &1.into()),
        "{told}"
    );
    assert_eq!(trace(&server, "paula@example.org").len(), before);
    let unasked = server.relais(&["trace", "erase", "paula@example.org"]);
    assert_eq!(unasked.code, 2, "{unasked:?}");

    let mut browser = first(&server, "en");
    let form = [("address", "paula@example.org")];
    let asked = post(&mut browser, "/settings/retention/erase", &form).expect(200);
    let events = format!("{before} events of the trace");
    asked.shows(&events);
    let wrong = [
        ("address", "paula@example.org"),
        ("typed", "paula@example.net"),
    ];
    let asked = post(&mut browser, "/settings/retention/erase", &wrong).expect(200);
    asked.shows("Nothing was erased.");
    let sure = [
        ("address", "paula@example.org"),
        ("typed", "PAULA@example.org"),
    ];
    let done = post_and_follow(&mut browser, "/settings/retention/erase", &sure);
    done.shows(&events);

    for tokens in ["to:paula@example.org", "from:paula@example.org", "to:paula"] {
        assert_eq!(trace(&server, tokens), Vec::<Value>::new(), "{tokens}");
    }
    // What is left has it as a part of another one.
    for event in trace(&server, "paula@example.org") {
        assert!(event.to_string().contains("xpaula@"), "{event}");
    }
    assert!(trace(&server, "xpaula@example.org").len() >= 2);
    assert!(!trace(&server, "to:erased@erased.invalid").is_empty());
    for id in [&erased, &kept] {
        browser.get(&format!("/trace/{id}")).expect(200);
    }
    post(&mut browser, &format!("/trace/{erased}/content"), &[]).expect(404);
    post(&mut browser, &format!("/trace/{kept}/content"), &[]).expect(200);
    let export = browser.get("/trace/export.json").expect(200);
    assert!(
        !export.body.to_lowercase().contains("\"paula@"),
        "{}",
        export.body
    );
    for folder in ["trace", "dialogue"] {
        let found = holding(&data.join(folder), b"\"paula@example.org");
        assert!(found.is_empty(), "{found:?}");
        let found = holding(&data.join(folder), b"<paula@example.org");
        assert!(found.is_empty(), "{found:?}");
    }
    let audit = ["--json", "audit", "list", "--act", "address.erased"];
    let audit = server.relais(&audit).expect(0).json_lines();
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(audit[0]["actor"], "anna (web)");
    assert!(
        !audit[0].to_string().to_lowercase().contains("paula"),
        "{audit:?}"
    );
    // After a restart too: nothing brings it back.
    let (_, place) = server.stop();
    let server = place.serve();
    assert_eq!(trace(&server, "to:paula@example.org"), Vec::<Value>::new());
}

#[test]
fn the_page_says_what_is_kept_and_changes_it_for_an_organisation_and_a_connector() {
    let receiver = Receiver::start();
    let server = server(&receiver, "", "");
    let mut browser = first(&server, "fr");
    let page = browser.get("/settings/retention").expect(200);
    page.shows("<h1>Conservation et confidentialité</h1>");
    page.shows("conservé 90 jours");
    page.shows("<code>GET /api/v1/retention</code>");
    assert!(!page.body.contains("[retention-"), "{}", page.body);
    let set = [
        ("organisation", "contoso"),
        ("subjects", "masked"),
        ("content_days", "2"),
    ];
    let page = post_and_follow(&mut browser, "/settings/retention", &set);
    page.shows("masqués");
    page.shows("2 jours");
    let set = [
        ("organisation", "contoso"),
        ("connector", "Printers"),
        ("subjects", ""),
        ("content_days", "5"),
    ];
    post_and_follow(&mut browser, "/settings/retention/connector", &set).shows("5 jours");
    let file = browser.get("/settings/retention.csv").expect(200);
    file.shows("contoso,Printers,masked,5,");
    file.shows("contoso,Servers,shown,2,");
    let wrong = [("organisation", "contoso"), ("content_days", "soon")];
    let page = post(&mut browser, "/settings/retention", &wrong).expect(400);
    page.shows("soon n’est pas un nombre de jours");
    let wrong = [
        ("organisation", "contoso"),
        ("subjects", "masked"),
        ("content_days", "367"),
    ];
    post(&mut browser, "/settings/retention", &wrong).expect(422);
}

#[test]
fn a_report_comes_by_mail_in_the_recipients_language_with_its_tables_as_files() {
    let receiver = Receiver::start();
    let server = server(&receiver, "", "");
    send(
        &server,
        "10.1.2.9",
        "scan@contoso.test",
        "b@example.org",
        "x",
    );
    let mut browser = first(&server, "fr");
    browser
        .get("/reports/schedules")
        .expect(200)
        .shows("Aucun rapport");
    let form = [
        ("reports", "mail"),
        ("reports", "clients"),
        ("every", "week"),
        ("to", "chief@example.org\r\nit@example.org"),
        ("language", "fr"),
    ];
    let page = post_and_follow(&mut browser, "/reports/schedules", &form);
    page.shows("chaque lundi");
    let listed = server
        .relais(&["--json", "report", "list"])
        .expect(0)
        .json();
    let id = listed["id"].as_str().expect("an id").to_owned();
    server.relais(&["report", "send", &id]).expect(0);
    let mail = receiver.wait_for("the report", |mail| mail.to.len() == 2);
    let text = mail.text();
    for part in [
        "Auto-Submitted: auto-generated",
        "From: Relais <it@contoso.test>",
        "To: chief@example.org",
        "filename=\"mail.csv\"",
        "filename=\"clients.csv\"",
        "multipart/alternative",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("routes.csv"), "{text}");
    server.relais(&["report", "remove", &id]).expect(0);
    let none = server.relais(&["report", "list"]).expect(0);
    assert!(none.out.contains("No report"), "{none:?}");
}

#[test]
fn settings_leave_as_a_file_and_come_back_after_what_changes_was_shown() {
    let receiver = Receiver::start();
    let server = server(&receiver, "", "");
    let mut browser = first(&server, "en");
    browser
        .get("/settings/file")
        .expect(200)
        .shows("<h1>Import / export</h1>");
    let file = browser.get("/settings/file.toml").expect(200);
    file.shows("[[organisation]]");
    let same = [("document", &*file.body), ("prune", "1")];
    let page = post(&mut browser, "/settings/file", &same).expect(200);
    page.shows("Nothing would change.");
    let changed = file.body.replace("language = \"en\"", "language = \"fr\"");
    assert_ne!(changed, file.body);
    let form = [("document", &*changed)];
    let page = post(&mut browser, "/settings/file", &form).expect(200);
    page.shows("One object would change.");
    page.shows("language: ");
    let sure = [("document", &*changed), ("confirmed", "1")];
    post_and_follow(&mut browser, "/settings/file", &sure).shows("Done. The settings are at");
    let owner = server
        .relais(&["--json", "organisation", "list"])
        .expect(0)
        .json();
    assert_eq!(owner["language"], "fr");
    let wrong = [("document", "[[organisation]]\nnme = 1\n")];
    let page = post(&mut browser, "/settings/file", &wrong).expect(400);
    page.shows("line 2");
}
