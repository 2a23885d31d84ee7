//! Everybody can use the admin centre: axe-core finds nothing on any page that a link leads to,
//! texts a third longer and a window of 320 pixels break none, and the keyboard is enough.
//!
//! Without browser, playwright-core or axe-core the test is skipped, and says so.

use serde_json::Value;

use crate::browser::{play, playwright, with_mail};

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
    let (walked, _) = play(&with_mail(), &modules, WALK, &[]);
    let found: Value = serde_json::from_str(walked.out.trim())
        .unwrap_or_else(|error| panic!("{error}: {} {}", walked.out, walked.err));
    let wrong = found["wrong"].as_array().expect("a list");
    let lines: Vec<_> = wrong.iter().filter_map(Value::as_str).collect();
    assert!(wrong.is_empty(), "{}", lines.join("\n"));
    assert!(found["pages"].as_u64() >= Some(PAGES_MIN), "{found}");
}
