//! Everybody can use the admin centre: axe-core finds nothing on any page that a link leads to,
//! texts a third longer and a window of 320 pixels break none, and the keyboard is enough.
//!
//! Without browser, playwright-core or axe-core the test is skipped, and says so.

use std::fs;

use serde_json::Value;

use crate::browser::{play, playwright, with_mail};
use crate::support::Server;

/// What the browser does.
const WALK: &str = include_str!("accessible.cjs");

/// Pages that links lead to, at least; a crawl that stops early shows nothing.
const PAGES_MIN: u64 = 25;

/// One of everything that pages list.
fn furnish(server: &Server) {
    let made: [&[&str]; 7] = [
        &[
            "credential",
            "add",
            "--user",
            "scan-lyon-2",
            "--connector",
            "Printers",
        ],
        &["api-key", "add", "erp", "--scope", "queue:read"],
        &["webhook", "add", "siem", "https://siem.example.org/relais"],
        &[
            "restricted",
            "block",
            "ip",
            "192.0.2.77",
            "--reason",
            "floods",
        ],
        &["suppression", "add", "gone@example.org", "--reason", "left"],
        &["admin", "add", "bert", "--role", "helpdesk"],
        &["doctor", "safety"],
    ];
    for arguments in made {
        server.relais(arguments).expect(0);
    }
}

#[test]
fn every_page_is_for_everybody_and_the_keyboard_is_enough() {
    let Some(modules) = playwright() else {
        return;
    };
    if !modules.join("axe-core").is_dir() {
        eprintln!("SKIPPED: axe-core in RELAIS_TOOLS is missing");
        return;
    }
    let server = with_mail();
    furnish(&server);
    let (walked, shots) = play(&server, &modules, WALK, &[]);
    let found: Value = serde_json::from_str(walked.out.trim())
        .unwrap_or_else(|error| panic!("{error}: {} {}", walked.out, walked.err));
    let wrong = found["wrong"].as_array().expect("a list");
    let lines: Vec<_> = wrong.iter().filter_map(Value::as_str).collect();
    assert!(wrong.is_empty(), "{}", lines.join("\n"));
    let pages = found["pages"].as_u64().expect("a number");
    assert!(pages >= PAGES_MIN, "{found}");
    // Each in English and French, wide, and narrow with longer texts.
    for begin in ["en_", "fr_", "narrow_en_", "narrow_fr_"] {
        let names = fs::read_dir(&shots).expect("a folder");
        let names = names.filter_map(|one| one.expect("a file").file_name().into_string().ok());
        let count = names.filter(|name| name.starts_with(begin)).count() as u64;
        assert!(count >= pages, "{count} pictures {begin} of {pages} pages");
    }
}
