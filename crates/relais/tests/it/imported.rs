//! Taking over from a relay that was there before: its export is read, reported, added disabled,
//! and carries mail once somebody enables it.

use std::fs;

use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::support::{Answer, BEHIND_PROXY, Place, Server};
use crate::web::{audit, first, post, post_and_follow, post_file};

const EXPORT: &str = include_str!("../../../policy/tests/migration/exchange.json");

/// An organisation with its domain, and nobody who may send.
const BARE: &str = "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
                    [[organisation.domain]]\nname = \"contoso.test\"\n\
                    verification = \"assumed\"\n";

fn bare() -> Server {
    let server = Place::new(BEHIND_PROXY).serve();
    server.apply(BARE).expect(0);
    server
}

/// A file in the folder of the server.
fn file(server: &Server, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = server.place.path(name);
    fs::write(&path, content).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
}

fn states(server: &Server, kind: &str) -> Vec<(Value, Value)> {
    let list = server.relais(&["--json", "connector", kind, "list"]);
    let lines = list.expect(0).json_lines();
    let pair = |one: Value| (one["name"].clone(), one["state"].clone());
    lines.into_iter().map(pair).collect()
}

fn version(server: &Server) -> Value {
    let status = server.relais(&["--json", "status"]).expect(0).json();
    status["settings_version"].clone()
}

#[test]
fn a_postfix_is_taken_over_disabled_and_its_mail_passes_once_it_is_enabled() {
    let (server, receiver) = (bare(), Receiver::start());
    let port = receiver.address().port();
    let main = file(
        &server,
        "main.cf",
        format!(
            "mynetworks = 127.0.0.0/8, 10.1.2.0/24, 0.0.0.0/0\nrelayhost = [127.0.0.1]:{port}\n\
             message_size_limit = 26214400\nsmtp_sasl_auth_enable = no\n\
             transport_maps = hash:/etc/postfix/transport\nsmtp_tls_security_level = may\n"
        ),
    );
    file(&server, "transport", "old.test smtp:[192.0.2.25]\n");

    let before = version(&server);
    let report = server
        .relais(&["import", "postfix", &main, "--report"])
        .expect(0);
    for words in [
        "WOULD BE ADDED, DISABLED",
        "inbound connector Postfix mynetworks: added, disabled",
        "DANGEROUS AS IT WAS",
        "0.0.0.0/0 is every address there is, and is left out",
    ] {
        assert!(report.out.contains(words), "{words}: {report:?}");
    }
    assert_eq!(version(&server), before, "a report changes nothing");

    let asked = server.relais(&["import", "postfix", &main]).expect(2);
    assert!(asked.err.contains("say --yes"), "{asked:?}");
    assert_eq!(version(&server), before);

    server
        .relais(&["import", "postfix", &main, "--yes"])
        .expect(0);
    let disabled = |name: &str| (json!(name), json!("disabled"));
    assert_eq!(states(&server, "inbound"), [disabled("Postfix mynetworks")]);
    let ways = states(&server, "outbound");
    assert_eq!(
        ways,
        [
            disabled("Postfix relayhost"),
            disabled("Postfix [192.0.2.25]")
        ]
    );
    let reply = attempt(&server);
    assert!(reply.starts_with("550 "), "{reply}");

    for (kind, name) in [
        ("inbound", "Postfix mynetworks"),
        ("outbound", "Postfix relayhost"),
    ] {
        server
            .relais(&["connector", kind, "enable", name])
            .expect(0);
    }
    let reply = attempt(&server);
    assert!(reply.starts_with("250 2.0.0 Queued as "), "{reply}");
    let arrival = receiver.wait_for_recipient("anna@example.org");
    assert!(arrival.text().contains("Subject: taken over"));

    let again = server
        .relais(&["import", "postfix", &main, "--yes"])
        .expect(0);
    assert!(again.out.contains("There is nothing to add."), "{again:?}");
    assert!(
        again
            .out
            .contains("skipped: one of this name is there already"),
        "{again:?}"
    );
}

/// One message of a device of 10.1.2.0/24: the reply that ended it.
fn attempt(server: &Server) -> String {
    let mut device = server.session_from("10.1.2.9");
    device.hear();
    device.say("EHLO scan2");
    let mut reply = String::new();
    for line in [
        "MAIL FROM:<scan@contoso.test>",
        "RCPT TO:<anna@example.org>",
        "DATA",
        "From: scan@contoso.test\r\nSubject: taken over\r\n\r\nhello\r\n.",
    ] {
        reply = device.say(line);
        if !reply.starts_with(['2', '3']) {
            break;
        }
    }
    reply
}

#[test]
fn an_export_of_windows_is_read_and_the_report_is_the_same_as_json() {
    let server = bare();
    let octets: Vec<u8> = [0xfeff_u16]
        .into_iter()
        .chain(EXPORT.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let export = file(&server, "exchange.json", octets);
    let told = server
        .relais(&["--json", "import", "exchange", &export, "--report"])
        .expect(0)
        .json();
    assert_eq!(
        (&told["dry_run"], &told["source"]),
        (&json!(true), &json!("exchange"))
    );
    for part in ["created", "changed", "unsupported", "dangerous"] {
        let lines = told["report"][part].as_array().expect(part);
        assert!(!lines.is_empty(), "{part}");
        assert!(
            lines
                .iter()
                .all(|one| one["object"].is_string() && one["message"].is_string())
        );
    }
    let proposed = &told["document"]["organisation"][0]["inbound_connector"];
    assert_eq!(proposed[0]["state"], "disabled");

    let done = server
        .relais(&["--json", "import", "exchange", &export, "--yes"])
        .expect(0)
        .json();
    assert_eq!(done["dry_run"], false);
    assert_eq!(done["version"], version(&server));
    let exported = server.relais(&["export"]).expect(0).out;
    server.apply(&exported).expect(0);
}

#[test]
fn what_is_no_export_is_refused_in_one_sentence_and_changes_nothing() {
    let server = bare();
    let before = version(&server);
    let wrong = file(&server, "wrong.txt", "Name : Relay\n");
    let one_line = |answer: &Answer, words: &str| {
        assert!(answer.err.contains(words), "{answer:?}");
        assert_eq!(answer.err.lines().count(), 1, "{answer:?}");
    };
    let answer = server
        .relais(&["import", "exchange", &wrong, "--yes"])
        .expect(1);
    one_line(&answer, "ConvertTo-Json");
    let binary = file(&server, "wrong.bin", [b'P', b'K', 3, 4, 0, 0, 0]);
    let answer = server
        .relais(&["import", "iis", &binary, "--yes"])
        .expect(1);
    one_line(&answer, "no text");
    let missing = server
        .relais(&["import", "csv", "/nowhere/list.csv"])
        .expect(1);
    one_line(&missing, "/nowhere/list.csv");
    server.relais(&["import", "sendmail", &wrong]).expect(2);
    let elsewhere = [
        "import",
        "csv",
        &wrong,
        "--organisation",
        "fabrikam",
        "--report",
    ];
    server.relais(&elsewhere).expect(3);
    assert_eq!(version(&server), before);

    let (_, place) = server.stop();
    place
        .relais(&["import", "exchange", &wrong, "--yes"])
        .expect(75);
}

#[test]
fn the_page_shows_what_would_be_added_and_adds_it_disabled_without_script() {
    let server = bare();
    let mut browser = first(&server, "en");
    let empty = browser.get("/connectors/inbound").expect(200);
    for address in [
        "/add-device?kind=printer",
        "/add-device?kind=application",
        "/settings/import",
    ] {
        empty.shows(&format!("<a href=\"{address}\"><strong>"));
    }
    let begun = browser.get("/add-device?kind=application").expect(200);
    begun.shows("value=\"application\" checked");
    let page = browser.get("/settings/import?from=postfix").expect(200);
    page.shows("<h1>Take over from the relay before</h1>");
    page.shows("postconf -n");
    let export = "mynetworks = 10.1.2.0/24, 0.0.0.0/0\r\nrelayhost = [smtp.provider.test]:587\r\n\
                  smtp_sasl_auth_enable = yes\r\n\
                  smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\r\n\
                  ==> sasl_passwd <==\r\n[smtp.provider.test]:587 relay-user:very-secret-word\r\n";
    let form = [("source", "postfix"), ("text", export)];
    let before = version(&server);
    let review = post(&mut browser, "/settings/import", &form).expect(200);
    review.shows("2 objects would be added, all disabled.");
    review.shows("Dangerous as it was");
    review.shows("0.0.0.0/0 is every address there is");
    review.shows("Not taken over");
    review.shows("state = &#34;disabled&#34;");
    assert!(!review.body.contains("very-secret-word"), "{}", review.body);
    assert_eq!(version(&server), before, "a review changes nothing");

    let chosen = [form[0], ("text", "")];
    let by_file = post_file(&mut browser, "/settings/import", &chosen, ("file", export));
    by_file.expect(200).shows("2 objects would be added");
    let neither = post_file(&mut browser, "/settings/import", &chosen, ("file", ""));
    neither
        .expect(400)
        .shows("Choose a file, or paste its contents.");
    let both = post_file(&mut browser, "/settings/import", &form, ("file", export));
    both.expect(400).shows("send one of them");

    let sure = [form[0], form[1], ("confirmed", "1")];
    post_and_follow(&mut browser, "/settings/import", &sure).shows("Added. The settings are at");
    let disabled = |name: &str| (json!(name), json!("disabled"));
    assert_eq!(states(&server, "inbound"), [disabled("Postfix mynetworks")]);
    assert_eq!(states(&server, "outbound"), [disabled("Postfix relayhost")]);
    let by_page = &audit(&server)[0];
    assert_eq!(by_page["via"], "web", "{by_page}");

    let wrong = [("source", "exchange"), ("text", "Name : Relay")];
    let page = post(&mut browser, "/settings/import", &wrong).expect(400);
    page.shows("The export cannot be read: this is no JSON");
    page.shows("Name : Relay");
}

#[test]
fn a_french_reader_is_told_in_french_what_an_export_becomes() {
    let server = bare();
    let mut browser = first(&server, "fr");
    let form = [("source", "exchange"), ("text", EXPORT)];
    let review = post(&mut browser, "/settings/import", &form).expect(200);
    review.shows("Dangereux tel quel");
    review.shows("connecteur de réception Anonymous Relay");
    review.shows("les mots de passe ne sont jamais repris");
    for english in [
        "is left out",
        "not taken over",
        "added, disabled",
        "never taken",
    ] {
        assert!(!review.body.contains(english), "{english}: {}", review.body);
    }
    let wrong = [("source", "iis"), ("text", "<html>")];
    let page = post(&mut browser, "/settings/import", &wrong).expect(400);
    page.shows("L’export n’a pas pu être lu");
}
