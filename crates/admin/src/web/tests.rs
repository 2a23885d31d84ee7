//! Catalogues are whole in both languages, and the door knows our own pages.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use fluent_bundle::FluentResource;
use relais_store::trace::EventKind;

use super::door::{is_from_our_page, local_path};
use super::names::{ACTS, key_of_act, key_of_event};
use crate::lang::{CATALOGUES, Catalogue, Lang};
use crate::times;

/// The keys of all areas in one language.
fn keys(language: fn(&Catalogue) -> &'static str) -> BTreeSet<String> {
    let keys: Vec<_> = CATALOGUES
        .iter()
        .flat_map(|area| keys_of(language(area)))
        .collect();
    let set: BTreeSet<_> = keys.iter().cloned().collect();
    assert_eq!(keys.len(), set.len(), "a key stands twice");
    set
}

fn keys_of(catalogue: &str) -> Vec<String> {
    let read = FluentResource::try_new(catalogue.to_owned());
    assert!(read.is_ok(), "{:?}", read.err().map(|(_, errors)| errors));
    let begins = |line: &&str| line.starts_with(|first: char| first.is_ascii_lowercase());
    let lines = catalogue.lines().filter(begins);
    lines
        .filter_map(|line| Some(line.split_once(" =")?.0.to_owned()))
        .collect()
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of the crate");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let (folders, paths): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let within = folders.iter().flat_map(|folder| files(folder, ending));
    let paths = paths.into_iter().chain(within);
    paths
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .filter(|path| path.file_stem().is_some_and(|name| name != "tests"))
        .collect()
}

/// All texts in quotes of templates and pages: keys are written as literals only.
fn literals() -> BTreeSet<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = files(&here.join("templates"), "html");
    all.extend(speaking(here));
    let mut found = BTreeSet::new();
    for path in all {
        let text = std::fs::read_to_string(path).expect("a file of the crate");
        found.extend(text.split('"').map(ToOwned::to_owned));
    }
    found.extend(check_names());
    found.extend(ACTS.iter().map(|act| key_of_act(act)));
    found.extend(EventKind::ALL.iter().map(|kind| key_of_event(kind.name())));
    found
}

#[test]
fn each_act_and_event_has_a_name_for_people() {
    let keys = keys(|area| area.english);
    let events = EventKind::ALL.iter().map(|kind| key_of_event(kind.name()));
    for key in ACTS.iter().map(|act| key_of_act(act)).chain(events) {
        assert!(keys.contains(&key), "{key}");
    }
    // An act of these areas that the sources write stands in the list.
    let areas: BTreeSet<_> = ACTS
        .iter()
        .filter_map(|act| act.split('.').next())
        .collect();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = files(&here.join("src"), "rs");
    sources.extend(files(&here.join("../store/src"), "rs"));
    sources.retain(|path| !path.ends_with("web/names.rs"));
    let mut seen = BTreeSet::new();
    for path in sources {
        let text = std::fs::read_to_string(&path).expect("a file of the workspace");
        let shipped = text
            .split("\n#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        for literal in shipped.split('"') {
            let Some((area, what)) = literal.split_once('.') else {
                continue;
            };
            let is_word = |one: char| one.is_ascii_lowercase() || one == '-';
            let is_file = ["html", "db", "db-wal", "md", "toml"].contains(&what);
            if is_file || !areas.contains(area) || what.is_empty() || !what.chars().all(is_word) {
                continue;
            }
            let is_act = ACTS.contains(&literal);
            assert!(
                is_act || NO_ACTS.contains(&literal),
                "{literal} of {} has no name",
                path.display()
            );
            seen.insert(literal.to_owned());
        }
    }
    let left: Vec<_> = ACTS.iter().filter(|act| !seen.contains(**act)).collect();
    assert!(left.is_empty(), "nobody writes {left:?}");
}

/// What looks like an act and is none: an event, and names of files.
const NO_ACTS: [&str; 4] = ["alert.raised", "card.pdf", "card.png", "secret.key"];

/// The keys of the self-checks' names, which `relais-policy` gives.
fn check_names() -> Vec<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut keys = Vec::new();
    for path in files(&here.join("../policy/src/check"), "rs") {
        let text = std::fs::read_to_string(path).expect("a file of the workspace");
        let names = text.split("    name: \"").skip(1);
        let names = names.filter_map(|rest| rest.split('"').next());
        keys.extend(names.map(|name| format!("check-name-{name}")));
    }
    assert!(!keys.is_empty());
    keys
}

#[test]
fn each_check_has_a_name_for_people() {
    let keys = keys(|area| area.english);
    for name in check_names() {
        assert!(keys.contains(&name), "{name}");
    }
}

/// The sources that say something to people by the catalogues.
fn speaking(here: &Path) -> Vec<std::path::PathBuf> {
    let mut all = files(&here.join("src/web"), "rs");
    all.extend(files(&here.join("src/card"), "rs"));
    let alone = ["src/web.rs", "src/card.rs", "src/times.rs"];
    all.extend(alone.map(|name| here.join(name)));
    all
}

#[test]
fn both_languages_have_the_same_keys_and_each_is_used() {
    for area in CATALOGUES {
        assert_eq!(
            keys_of(area.english),
            keys_of(area.french),
            "in the same order"
        );
    }
    let english = keys(|area| area.english);
    let literals = literals();
    let unused: Vec<_> = english.difference(&literals).collect();
    assert!(unused.is_empty(), "not used: {unused:?}");
}

#[test]
fn no_page_asks_for_a_key_that_is_missing() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = files(&here.join("templates"), "html");
    all.extend(speaking(here));
    let keys = keys(|area| area.english);
    let mut seen = 0;
    for path in all {
        let text = std::fs::read_to_string(&path).expect("a file of the crate");
        for call in [".t(\"", ".n(\"", ".with(\"", ".fill(\"", "Filter(\""] {
            for rest in text.split(call).skip(1) {
                let key = rest.split('"').next().unwrap_or_default();
                assert!(keys.contains(key), "{key} of {}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn french_has_its_narrow_spaces_and_its_apostrophe() {
    let texts = CATALOGUES.iter().flat_map(|area| area.french.lines());
    for line in texts.filter(|line| !line.starts_with('#')) {
        for mark in [" ;", " :", " !", " ?", "« ", " »", "'"] {
            assert!(!line.contains(mark), "{line}");
        }
        for mark in ["?", "!", ";"] {
            for (before, _) in line.match_indices(mark) {
                assert!(line[..before].ends_with('\u{202f}'), "{line}");
            }
        }
    }
}

#[test]
fn the_language_is_the_persons_choice_else_the_browsers() {
    for (chosen, accepted, code) in [
        (None, None, "en"),
        (None, Some("fr-CA,fr;q=0.9,en;q=0.8"), "fr"),
        (None, Some("de-DE,de;q=0.9"), "en"),
        (None, Some("de,fr;q=0.5"), "fr"),
        (Some("en"), Some("fr"), "en"),
        (Some("fr"), Some("en"), "fr"),
        (Some("xx"), Some("fr"), "fr"),
        (None, Some("\u{fffd};;,,=="), "en"),
    ] {
        let accepted = accepted.map(ToOwned::to_owned);
        assert_eq!(
            Lang::of(chosen, accepted.as_deref()).code(),
            code,
            "{chosen:?} {accepted:?}"
        );
    }
}

#[test]
fn numbers_dates_and_plurals_follow_the_language() {
    let (english, french) = (Lang::of(Some("en"), None), Lang::of(Some("fr"), None));
    assert_eq!(english.number(1_240_000), "1,240,000");
    assert_eq!(french.number(1_240), "1\u{202f}240");
    assert_eq!(english.n("home-in-queue", 1), "One recipient is waiting.");
    assert_eq!(
        french.n("home-in-queue", 1_240),
        "1\u{202f}240 destinataires attendent."
    );
    assert_eq!(french.n("done-hold", 0), "0 destinataire est retenu.");
    let time = Some("2026-11-24T14:05:09.000Z");
    assert_eq!(times::shown(english, time), "24 Nov 2026 14:05");
    assert_eq!(times::shown(french, time), "24 nov. 2026 14:05");
    assert_eq!(times::shown(french, Some("soon")), "–");
    assert_eq!(times::span(french, 7_300), "2\u{202f}h");
    assert_eq!(english.t("no-such-key"), "[no-such-key]");
}

#[test]
fn a_form_counts_only_from_our_own_page() {
    let headers = |pairs: &[(&'static str, &'static str)]| {
        let pairs = pairs.iter();
        let all = pairs.map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        all.collect::<HeaderMap>()
    };
    let host = ("host", "127.0.0.1:8025");
    let ours = ("origin", "http://127.0.0.1:8025");
    assert!(is_from_our_page(&headers(&[host, ours])));
    assert!(is_from_our_page(&headers(&[
        host,
        ours,
        ("sec-fetch-site", "same-origin")
    ])));
    assert!(is_from_our_page(&headers(&[
        host,
        ("sec-fetch-site", "same-origin")
    ])));
    for foreign in [
        vec![host],
        vec![host, ("origin", "null")],
        vec![host, ("origin", "http://evil.example")],
        vec![host, ("origin", "http://127.0.0.1:80251")],
        vec![host, ours, ("sec-fetch-site", "cross-site")],
        vec![host, ours, ("sec-fetch-site", "same-site")],
        vec![host, ("sec-fetch-site", "none")],
        vec![ours],
    ] {
        assert!(!is_from_our_page(&headers(&foreign)), "{foreign:?}");
    }
}

#[test]
fn nobody_is_led_elsewhere_after_signing_in() {
    for path in ["/", "/queue?state=held", "/trace/7F3K2"] {
        assert_eq!(local_path(path), path);
    }
    for path in [
        "",
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/a\r\nb",
        "queue",
    ] {
        assert_eq!(local_path(path), "/", "{path}");
    }
}
