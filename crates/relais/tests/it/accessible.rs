//! Everybody can use the admin centre: axe-core finds nothing on any page that a link leads to,
//! texts a third longer and a window of 320 pixels break none, and the keyboard is enough.
//!
//! Without browser, playwright-core or axe-core the test is skipped, and says so.

use std::env;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::browser::playwright;
use crate::support::{BEHIND_PROXY, CONTOSO, Place, run};

/// What the browser does.
const WALK: &str = include_str!("accessible.cjs");

/// Pages that links lead to, at least; a crawl that stops early shows nothing.
const PAGES_MIN: u64 = 25;

#[test]
fn every_page_is_for_everybody_and_the_keyboard_is_enough() {
    let Some(modules) = playwright() else {
        return;
    };
    if !modules.join("axe-core").is_dir() {
        eprintln!("SKIPPED: axe-core in RELAIS_TOOLS is missing");
        return;
    }
    let server = Place::new(BEHIND_PROXY).serve();
    let settings = CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]");
    server.apply(&settings).expect(0);
    for client in ["10.1.2.9", "10.1.3.7"] {
        let mut session = server.session_from(client);
        session.hear();
        session.say("EHLO scan");
        session.say("MAIL FROM:<scan@contoso.test>");
        session.say("RCPT TO:<b@example.invalid>");
        if client == "10.1.2.9" {
            session.say("DATA");
            let taken = session.say("Subject: Scan\r\nFrom: scan@contoso.test\r\n\r\nx\r\n.");
            let id = taken.rsplit(' ').next().expect("an id");
            server.await_event("message.accepted", id);
        }
    }
    let link = server.relais(&["setup-link"]).expect(0).out;
    let script = server.place.path("accessible.cjs");
    fs::write(&script, WALK).expect("written");
    let shots = env::var_os("RELAIS_SCREENSHOTS");
    let shots = shots.map_or_else(|| server.place.path("shots"), Into::into);
    fs::create_dir_all(&shots).expect("a folder");
    let mut walk = Command::new("node");
    walk.env("NODE_PATH", &modules)
        .arg(&script)
        .arg(link.trim())
        .arg(&shots);
    let walked = run(walk, "");
    let found: Value = serde_json::from_str(walked.out.trim())
        .unwrap_or_else(|error| panic!("{error}: {} {}", walked.out, walked.err));
    let wrong = found["wrong"].as_array().expect("a list");
    let lines: Vec<_> = wrong.iter().filter_map(Value::as_str).collect();
    assert!(wrong.is_empty(), "{}", lines.join("\n"));
    assert!(found["pages"].as_u64() >= Some(PAGES_MIN), "{found}");
}
