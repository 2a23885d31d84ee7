//! Refused attempts: seen live, adopted, ignored, blocked.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{BEHIND_PROXY, CONTOSO, Lines, Place, Server, Session};
use crate::web::{audit, first, post_and_follow};

/// No connector covers it.
const DEVICE: &str = "10.1.3.7";

fn server() -> Server {
    let server = Place::new(BEHIND_PROXY).serve();
    let devices = CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]");
    server.apply(&devices).expect(0);
    server
}

/// MAIL and RCPT of this client; the last reply.
#[track_caller]
fn knock(server: &Server, client: &str, from: &str, to: &str) -> String {
    let mut session: Session = server.session_from(client);
    let banner = session.hear();
    if !banner.starts_with("220 ") {
        return banner;
    }
    session.say("EHLO scan.contoso.test");
    let reply = session.say(&format!("MAIL FROM:<{from}>"));
    if !reply.starts_with("250 ") {
        return reply;
    }
    session.say(&format!("RCPT TO:<{to}>"))
}

fn reference(reply: &str) -> String {
    let last = reply.trim_end_matches(')').rsplit(' ').next();
    last.expect("a reference").to_owned()
}

fn listed(server: &Server, more: &[&str]) -> Vec<Value> {
    let arguments = [&["--json", "attempts", "list"], more].concat();
    server.relais(&arguments).expect(0).json_lines()
}

#[test]
fn a_refused_device_is_adopted_tested_and_enabled() {
    let server = server();
    let refused = knock(&server, DEVICE, "scan@contoso.test", "b@example.org");
    assert!(refused.contains("(SRC-UNKNOWN "), "{refused}");
    let reference = reference(&refused);
    let adopt = ["attempts", "adopt", &reference, "--name", "Copiers"];

    let made = server
        .relais(&[&["--json"], &adopt[..]].concat())
        .expect(0)
        .json();
    assert_eq!(made["name"], "Copiers");
    assert_eq!(made["organisation"], "contoso");
    assert_eq!(made["state"], "observing");
    assert_eq!(made["sender_ip_addresses"], serde_json::json!(["10.1.3.7"]));
    assert_eq!(made["sender_domains"], serde_json::json!(["contoso.test"]));

    let reply = knock(&server, DEVICE, "scan@contoso.test", "b@example.org");
    assert!(
        reply.starts_with("550 5.7.1 Test mode: only test recipients (SANDBOX "),
        "{reply}"
    );
    let reply = knock(&server, DEVICE, "scan@contoso.test", "it@contoso.test");
    assert!(!reply.contains("(SANDBOX "), "{reply}");
    server
        .relais(&["connector", "inbound", "enable", "Copiers"])
        .expect(0);
    let reply = knock(&server, DEVICE, "scan@contoso.test", "b@example.org");
    assert!(reply.starts_with("250 "), "{reply}");

    let again = server.relais(&adopt).expect(0).out;
    assert!(again.contains("Nothing to change"), "{again}");
    let audit = server
        .relais(&["--json", "audit", "list"])
        .expect(0)
        .json_lines();
    let made = "created organisation contoso, inbound connector Copiers";
    assert!(
        audit.iter().any(|entry| entry["detail"][0] == made),
        "{audit:?}"
    );
}

#[test]
fn what_was_made_and_the_next_step_are_printed_and_a_dry_run_makes_nothing() {
    let server = server();
    let reference = reference(&knock(
        &server,
        DEVICE,
        "scan@contoso.test",
        "b@example.org",
    ));
    let adopt = ["attempts", "adopt", &reference, "--name", "Old copiers"];
    let dry = server
        .relais(&[&adopt[..], &["--dry-run"]].concat())
        .expect(0)
        .out;
    assert!(dry.contains("this was a dry run"), "{dry}");
    server
        .relais(&["connector", "inbound", "show", "Old copiers"])
        .expect(3);
    let made = server.relais(&adopt).expect(0).out;
    assert!(
        made.contains("+ organisation contoso, inbound connector Old copiers"),
        "{made}"
    );
    assert!(
        made.contains("relais connector inbound enable \"Old copiers\""),
        "{made}"
    );
}

#[test]
fn an_address_that_is_covered_already_and_an_unknown_reference_are_said_so() {
    let server = server();
    let refused = knock(&server, "10.1.2.9", "scan@fabrikam.test", "b@example.org");
    let covered = reference(&refused);
    let answer = server
        .relais(&["attempts", "adopt", &covered, "--name", "Copiers"])
        .expect(1);
    assert!(
        answer
            .err
            .contains("covered already by inbound connector Printers of contoso"),
        "{answer:?}"
    );
    for verb in [
        &["adopt", "22222", "--name", "x"][..],
        &["ignore", "22222"],
        &["block", "nonsense"],
    ] {
        server.relais(&[&["attempts"], verb].concat()).expect(3);
    }
}

#[test]
fn an_ignored_group_is_listed_again_for_another_reason_or_on_demand() {
    let server = server();
    let reference = reference(&knock(&server, DEVICE, "a@example.com", "b@example.org"));
    server.relais(&["attempts", "ignore", &reference]).expect(0);
    assert!(listed(&server, &[]).is_empty());
    assert_eq!(listed(&server, &["--all"])[0]["ignored"], true);
    let (_, place) = server.stop();
    let server = place.serve();
    knock(&server, DEVICE, "a@example.com", "c@example.org");
    assert!(listed(&server, &[]).is_empty(), "it outlives the server");
    knock(&server, DEVICE, "a@example.com", "nobody@contoso.test");
    let seen = listed(&server, &[]);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0]["token"], "RCPT-UNKNOWN");
    let audit = server
        .relais(&["--json", "audit", "list"])
        .expect(0)
        .json_lines();
    // Others are made without a person, as keys of a new domain.
    let of_people = audit.iter().find(|entry| entry["via"] != "start");
    assert_eq!(of_people.expect("one")["act"], "attempts.ignored");

    let ignored = ["--json", "attempts", "ignored"];
    let known = server.relais(&ignored).expect(0).json_lines();
    assert_eq!((&known[0]["address"], known.len()), (&DEVICE.into(), 1));
    let back = ["attempts", "unignore", DEVICE, "SRC-UNKNOWN"];
    server.relais(&back).expect(0);
    assert_eq!(listed(&server, &[]).len(), 2);
    assert!(server.relais(&ignored).expect(0).out.is_empty());
    server.relais(&back).expect(3);
}

#[test]
fn what_was_ignored_is_found_on_its_page_and_shown_again() {
    let server = server();
    let mut browser = first(&server, "fr");
    knock(&server, DEVICE, "a@example.com", "b@example.org");
    let other = knock(&server, "10.1.3.8", "a@example.com", "b@example.org");
    let page = browser.get("/attempts?q=10.1.3.8").expect(200);
    page.shows("<h2>10.1.3.8</h2>");
    assert!(!page.body.contains(DEVICE), "{}", page.body);
    let file = browser.get("/attempts.csv?q=10.1.3.8").expect(200).body;
    assert!(
        file.contains("10.1.3.8") && !file.contains(DEVICE),
        "{file}"
    );
    browser
        .get("/attempts?q=nirgends")
        .expect(200)
        .shows("Rien ne correspond à ce filtre.");

    let path = format!("/attempts/{}/ignore", reference(&other));
    let left = post_and_follow(&mut browser, &path, &[]);
    left.shows("<a href=\"/attempts/ignored\">Un groupe est ignoré</a>");
    assert!(!left.body.contains("<h2>10.1.3.8</h2>"), "{}", left.body);
    let page = browser.get("/attempts/ignored").expect(200);
    page.shows("<code>10.1.3.8</code>");
    page.shows("anna (web)");
    let group = [("address", "10.1.3.8"), ("token", "SRC-UNKNOWN")];
    let back = post_and_follow(&mut browser, "/attempts/ignored", &group);
    back.shows("Les tentatives de 10.1.3.8 sont de nouveau affichées.");
    back.shows("Rien n’est ignoré.");
    browser
        .get("/attempts")
        .expect(200)
        .shows("<h2>10.1.3.8</h2>");
    assert_eq!(audit(&server)[0]["act"], "attempts.shown");
}

#[test]
fn a_blocked_attempt_is_closed_at_connect() {
    let server = server();
    let reference = reference(&knock(
        &server,
        "203.0.113.7",
        "a@example.com",
        "b@example.org",
    ));
    let blocked = server
        .relais(&["attempts", "block", &reference, "--until", "7d"])
        .expect(0);
    assert!(
        blocked.out.starts_with("Blocked: ip 203.0.113.7, until "),
        "{blocked:?}"
    );
    let reply = knock(&server, "203.0.113.7", "a@example.com", "b@example.org");
    assert!(
        reply.starts_with("554 5.7.1 Client address blocked"),
        "{reply}"
    );
    let listed = server
        .relais(&["--json", "restricted", "list"])
        .expect(0)
        .json_lines();
    let reason = listed[0]["reason"].as_str().unwrap_or_default();
    assert_eq!(reason, format!("refused attempt {reference} (SRC-UNKNOWN)"));
}

#[test]
fn attempts_are_seen_live_and_ignored_ones_are_not() {
    let server = server();
    let ignored = reference(&knock(
        &server,
        "203.0.113.8",
        "a@example.com",
        "b@example.org",
    ));
    server.relais(&["attempts", "ignore", &ignored]).expect(0);
    let mut command = server
        .place
        .command(&["--json", "attempts", "list", "--live"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    let lines = Lines::collect(child.stdout.take().expect("piped"));
    // When it listens is not said: knock until it hears.
    let heard = std::thread::scope(|scope| {
        let (done, ended) = std::sync::mpsc::channel::<()>();
        let server = &server;
        scope.spawn(move || {
            while ended.try_recv().is_err() {
                knock(server, "203.0.113.8", "a@example.com", "b@example.org");
                knock(server, DEVICE, "scan@contoso.test", "b@example.org");
            }
        });
        let heard = lines.wait_for("an attempt", |line| line.contains(DEVICE));
        // The other thread waits for it.
        let _ = done.send(());
        heard
    });
    let heard: Value = serde_json::from_str(&heard).expect("JSON");
    assert_eq!(heard["token"], "SRC-UNKNOWN");
    assert_eq!(heard["from"], "scan@contoso.test");
    let ignored = lines
        .so_far()
        .iter()
        .any(|line| line.contains("203.0.113.8"));
    assert!(!ignored, "{:?}", lines.so_far());
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}
