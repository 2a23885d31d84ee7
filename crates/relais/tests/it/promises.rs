//! What the security documents promise is there: each test that they name, each requirement of the
//! standard answered once, and no other program started by what is shipped.

use std::collections::BTreeSet;
use std::fs;

use crate::support::repository;
use crate::tidy::{files, none, sources};

/// Documents that name tests as evidence.
const EVIDENCE: [&str; 2] = ["docs/threat-model.md", "docs/asvs.md"];
/// Fewer underscores are words of settings and metrics, and tables.
const UNDERSCORES_MIN: usize = 3;
/// Section and number of its requirements of levels 1 and 2, ASVS 5.0.0. Those of level 3 come
/// after them in each section.
const REQUIREMENTS: &str = "1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 \
    3.4:6 3.5:5 3.7:2 4.1:3 4.2:1 4.3:2 4.4:4 5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 \
    6.5:5 6.6:3 6.8:4 7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2 8.1:2 8.2:3 8.3:1 8.4:1 9.1:3 9.2:4 \
    10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3 11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1 \
    12.1:3 12.2:2 12.3:4 13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7 \
    16.1:1 16.2:5 16.3:4 16.4:3 16.5:3 17.1:1 17.2:4 17.3:2";

fn text_of(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names of all functions that stand under `#[test]` or its like, and of the stores' contract,
/// which are made tests for each store.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in files("crates", ".rs") {
        let is_contract = source.path.contains("/tests/contract/");
        let mut is_test = false;
        for line in source.text.lines().map(str::trim) {
            if line.starts_with("#[") {
                is_test |= line.contains("test]") || line.contains("test(");
            } else if let Some((_, name)) = line
                .split_once("fn ")
                .filter(|_| is_test || is_contract && line.starts_with("async fn"))
            {
                let name = name.split(['(', '<']).next().unwrap_or_default();
                found.insert(name.to_owned());
                is_test = false;
            }
        }
    }
    found
}

#[test]
fn each_test_that_a_document_names_as_evidence_exists() {
    let tests = tests();
    assert!(tests.contains("each_test_that_a_document_names_as_evidence_exists"));
    let mut faults = Vec::new();
    for path in EVIDENCE {
        let text = text_of(path);
        let codes = text.split('`').skip(1).step_by(2);
        let is_name = |one: &str| {
            let fits =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            one.bytes().all(fits)
                && one.matches('_').count() >= UNDERSCORES_MIN
                && !one.starts_with("relais_")
        };
        for name in codes.filter(|one| is_name(one)) {
            if !tests.contains(name) {
                faults.push(format!("{path}: no test is called {name}"));
            }
        }
    }
    none(&faults);
}

#[test]
fn each_requirement_of_the_standard_is_answered_once() {
    let mut wanted = BTreeSet::new();
    for section in REQUIREMENTS.split_whitespace() {
        let (section, count) = section.split_once(':').expect("section and number");
        let count: usize = count.parse().expect("a number");
        wanted.extend((1..=count).map(|at| format!("{section}.{at}")));
    }
    assert_eq!(wanted.len(), 253);
    let text = text_of("docs/asvs.md");
    let mut faults = Vec::new();
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (ids, _, answer) = (cells.next(), cells.next(), cells.next());
        let ids = ids.unwrap_or_default().split(", ");
        for id in ids.filter(|id| id.starts_with(|first: char| first.is_ascii_digit())) {
            if !wanted.remove(id) {
                faults.push(format!("{id} is not asked for, or answered twice"));
            }
            let answer = answer.unwrap_or_default();
            if !answer.starts_with("met") && !answer.starts_with("n/a") {
                faults.push(format!("{id}: \"{answer}\" is no answer"));
            }
        }
    }
    faults.extend(wanted.into_iter().map(|id| format!("{id} is not answered")));
    none(&faults);
}

#[test]
fn nothing_shipped_starts_another_program() {
    let mut faults = Vec::new();
    let ways = [
        "process::Command",
        "Command::new(",
        "libc::exec",
        "posix_spawn",
    ];
    for source in sources().iter().filter(|source| source.is_shipped()) {
        for (at, line) in source.code() {
            // The command line's own parser has a type of that name.
            if ways.iter().any(|way| line.contains(way)) && !line.contains("clap::") {
                faults.push(format!("{}:{at} starts another program", source.path));
            }
        }
    }
    none(&faults);
}
