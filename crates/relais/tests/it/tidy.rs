//! The rules of the house that a text search can check: walls between crates, floors inside them,
//! hands only where hands may be, sizes, signs, references, links.
//!
//! Not here: what the compiler and clippy check (purity by `no_std`, unsafe code, unwrap).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::repository;

/// Longest file in lines, tests included.
const FILE_LINES_MAX: usize = 1_000;
/// Longest function in lines, from its signature to its closing brace. Tests are dialogues.
const FUNCTION_LINES_MAX: usize = 80;
/// Longest line in characters; texts that cannot be broken (a string, an address) may be longer.
const LINE_CHARACTERS_MAX: usize = 100;

/// What each crate may use of ours (ARCHITECTURE, the table of floors).
const WALLS: &[(&str, &[&str])] = &[
    ("smtp", &[]),
    ("policy", &["smtp"]),
    ("net", &["policy", "smtp"]),
    ("store", &["policy", "smtp"]),
    ("receive", &["store", "net", "policy", "smtp"]),
    ("deliver", &["store", "net", "policy", "smtp"]),
    ("admin", &["store", "net", "policy", "smtp"]),
    (
        "relais",
        &[
            "admin", "receive", "deliver", "store", "net", "policy", "smtp",
        ],
    ),
    (
        "testkit",
        &["receive", "deliver", "store", "net", "policy", "smtp"],
    ),
];

/// One Rust file: its path from the root of the repository, and its text.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Code that is shipped: no test, no bench, no test kit.
    pub(crate) fn is_shipped(&self) -> bool {
        let tests = ["/tests/", "/benches/", "crates/testkit/", "/tests.rs"];
        !tests.iter().any(|part| self.path.contains(part))
    }

    /// Lines with their numbers, without comments and without the tests at the bottom.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let shipped = self
            .text
            .split("\n#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        let numbered = shipped.lines().enumerate().map(|(at, line)| (at + 1, line));
        numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

pub(crate) fn files(folder: &str, ending: &str) -> Vec<Source> {
    let root = repository("");
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(ending) {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let path = path
                    .strip_prefix(&root)
                    .unwrap_or(&path)
                    .display()
                    .to_string();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has files");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

pub(crate) fn sources() -> Vec<Source> {
    files("crates", ".rs")
}

#[track_caller]
pub(crate) fn none(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn each_crate_uses_only_those_below_its_wall() {
    let mut faults = Vec::new();
    for (name, may_use) in WALLS {
        let path = repository(&format!("crates/{name}/Cargo.toml"));
        let manifest =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let mut section = "";
        for line in manifest.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let Some(rest) = line.strip_prefix("relais-") else {
                continue;
            };
            let used = rest.split([' ', '.', '=']).next().unwrap_or_default();
            let is_dev = section == "[dev-dependencies]";
            let testkit = used == "testkit" && is_dev && !["smtp", "policy"].contains(name);
            // A crate's own dev-dependency on itself switches features on.
            if !(may_use.contains(&used) || testkit || is_dev && used == *name) {
                faults.push(format!("{name} must not use {used} ({section})"));
            }
        }
    }
    none(&faults);
}

#[test]
fn smtp_and_policy_know_no_runtime_no_clock_and_no_disk() {
    let mut faults = Vec::new();
    for name in ["smtp", "policy"] {
        let manifest = fs::read_to_string(repository(&format!("crates/{name}/Cargo.toml")));
        let manifest = manifest.expect("a manifest");
        let normal = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let normal = normal.split("\n[").next().unwrap_or_default();
        for banned in ["tokio", "rand", "rusqlite", "rustix", "socket2"] {
            if normal.lines().any(|line| line.starts_with(banned)) {
                faults.push(format!("{name} depends on {banned}"));
            }
        }
    }
    for source in sources().iter().filter(|source| source.is_shipped()) {
        if !["crates/smtp/", "crates/policy/"]
            .iter()
            .any(|part| source.path.starts_with(part))
        {
            continue;
        }
        for (number, line) in source.code() {
            if line.contains("std::") && !line.contains("cfg_attr") {
                faults.push(format!("{}:{number}: {line}", source.path));
            }
        }
    }
    // `policy` documents read TOML, which needs std: there only the names count.
    faults.retain(|fault| {
        !fault.starts_with("crates/policy/")
            || [
                "std::fs",
                "std::net::Tcp",
                "std::net::Udp",
                "std::time::Instant",
                "std::time::SystemTime",
                "std::env",
                "std::thread",
            ]
            .iter()
            .any(|banned| fault.contains(banned))
    });
    none(&faults);
}

#[test]
fn modules_use_only_modules_below_them_in_the_floor_plan() {
    let mut faults = Vec::new();
    let all = sources();
    for (name, _) in WALLS {
        let root = format!("crates/{name}/src/");
        let Some(plan) = all
            .iter()
            .find(|source| source.path == format!("{root}lib.rs"))
        else {
            continue;
        };
        let floors: Vec<&str> = plan.text.lines().filter_map(module_of).collect();
        for source in all.iter().filter(|source| source.path.starts_with(&root)) {
            let own = source.path[root.len()..]
                .split(['/', '.'])
                .next()
                .unwrap_or_default();
            let Some(floor) = floors.iter().position(|module| *module == own) else {
                continue;
            };
            // Tests of the whole crate may enter anywhere.
            if own == "tests" {
                continue;
            }
            for (number, line) in source.code() {
                for used in line.split("crate::").skip(1) {
                    let used = used.split(|letter: char| !is_of_a_name(letter)).next();
                    let at = floors.iter().position(|module| Some(*module) == used);
                    if at.is_some_and(|at| at < floor) && !line.contains("pub(in crate::") {
                        faults.push(format!("{}:{number}: {}", source.path, line.trim()));
                    }
                }
            }
        }
    }
    none(&faults);
}

fn module_of(line: &str) -> Option<&str> {
    let rest = line
        .strip_prefix("pub ")
        .unwrap_or(line)
        .strip_prefix("mod ")?;
    rest.strip_suffix(';')
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Hands: what only certain files may name, and why just these.
const HANDS: &[(&[&str], &[&str])] = &[
    (
        &[
            "Instant::now",
            "SystemTime::now",
            "thread_rng",
            "rand::rng",
            "OsRng",
            "SysRng",
        ],
        // The log stamps the program's own messages, which have no clock at hand.
        &["crates/net/src/", "crates/relais/src/log/"],
    ),
    (
        &["TcpStream", "TcpListener", "UdpSocket"],
        &["crates/net/src/"],
    ),
    (
        // The control socket is a file of the data folder, not the network.
        &["UnixStream", "UnixListener"],
        &[
            "crates/admin/src/service.rs",
            "crates/relais/src/client.rs",
            // Two ends of a session within the process.
            "crates/net/src/stream.rs",
        ],
    ),
    (
        &[
            "std::fs",
            "tokio::fs",
            "File::open",
            "File::create",
            "OpenOptions::new",
        ],
        &[
            // The message path, and whole files for backup and trace.
            "crates/store/src/disk.rs",
            "crates/store/src/disk/",
            "crates/store/src/files.rs",
            // Configuration, what a person names on the command line, and the control socket.
            "crates/relais/src/",
            "crates/admin/src/service.rs",
            // What the kernel says of this machine, for the self-checks.
            "crates/admin/src/checks/machine.rs",
            "crates/admin/src/checks/ports.rs",
        ],
    ),
    (&["rusqlite::"], &["crates/store/src/"]),
];

#[test]
fn clock_chance_sockets_and_files_are_in_few_hands() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.is_shipped()) {
        for (names, places) in HANDS {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for (number, line) in source.code() {
                if names.iter().any(|name| line.contains(name)) {
                    faults.push(format!("{}:{number}: {}", source.path, line.trim()));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn the_250_that_promises_is_built_in_one_place() {
    let mut places = Vec::new();
    for source in sources().iter().filter(|source| source.is_shipped()) {
        for (_, line) in source.code() {
            if line.contains("Reply::accepted(") {
                places.push(source.path.clone());
            }
        }
    }
    assert_eq!(places, ["crates/receive/src/accept.rs"]);
}

#[test]
fn files_have_a_sign_and_are_not_too_long() {
    let mut faults = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            faults.push(format!("{}: {lines} lines", source.path));
        }
        if !source.text.starts_with("//!") {
            faults.push(format!("{}: no //! at its beginning", source.path));
        }
        for (number, line) in source.text.lines().enumerate() {
            let characters = line.chars().count();
            if characters > LINE_CHARACTERS_MAX && !cannot_be_broken(line) {
                faults.push(format!(
                    "{}:{}: {characters} characters",
                    source.path,
                    number + 1
                ));
            }
        }
    }
    none(&faults);
}

/// A line with a text or an address in it: the formatter leaves it alone, and so do we.
fn cannot_be_broken(line: &str) -> bool {
    line.contains('"') || line.contains("://")
}

#[test]
fn functions_fit_on_a_screen() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.is_shipped()) {
        let mut open: Option<(usize, usize, &str)> = None;
        for (number, line) in source.code() {
            let indent = line.len() - line.trim_start().len();
            let is_function = is_function(line.trim_start());
            if is_function && open.is_none_or(|(_, around, _)| indent <= around) {
                open = Some((number, indent, line.trim()));
            }
            let Some((begun, around, signature)) = open else {
                continue;
            };
            if line.trim_end() == format!("{}}}", " ".repeat(around)) {
                if number - begun + 1 > FUNCTION_LINES_MAX {
                    let length = number - begun + 1;
                    faults.push(format!(
                        "{}:{begun}: {length} lines: {signature}",
                        source.path
                    ));
                }
                open = None;
            }
        }
    }
    none(&faults);
}

fn is_function(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().take(5).collect();
    let at = words.iter().position(|word| *word == "fn");
    let before = |word: &&str| word.starts_with("pub") || ["async", "const"].contains(word);
    at.is_some_and(|at| words[..at].iter().all(before)) && !line.ends_with(';')
}

#[test]
fn nothing_is_left_half_done_and_no_lint_is_silenced_without_a_reason() {
    // Built from pieces, so that this file does not find itself.
    let banned = [
        ["FIX", "ME"],
        ["todo", "!("],
        ["dbg", "!("],
        ["unimplemented", "!("],
        ["#[al", "low("],
    ];
    let banned = banned.map(|pieces| pieces.concat());
    let mut faults = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            if banned.iter().any(|word| line.contains(word.as_str())) {
                faults.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    none(&faults);
}

/// RFCs named in a text: number, and whether the form is ours.
fn references(text: &str) -> Vec<(u32, bool)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("RFC") {
        let rest = &text[at + 3..];
        let digits = |text: &str| {
            let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u32>().ok()
        };
        if let Some(number) = rest.strip_prefix(' ').and_then(digits) {
            found.push((number, true));
        } else if let Some(number) = digits(rest.trim_start_matches(['-', '_', ' '])) {
            found.push((number, false));
        }
    }
    found
}

#[test]
fn rfcs_are_named_in_one_form_and_listed_in_protocols() {
    let listed = fs::read_to_string(repository("docs/protocols.md")).expect("the list");
    let listed: BTreeSet<u32> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .flat_map(|cell| cell.split(", "))
        .filter_map(|number| number.parse().ok())
        .collect();
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.is_shipped()) {
        let comments = source
            .text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.contains("//"));
        for (number, line) in comments {
            for (rfc, is_ours) in references(line) {
                if !is_ours {
                    faults.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
                }
                if !listed.contains(&rfc) {
                    faults.push(format!(
                        "{}:{}: RFC {rfc} is not listed",
                        source.path,
                        number + 1
                    ));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn every_refusal_of_the_catalogue_is_in_the_reference_and_in_a_test() {
    let reference = fs::read_to_string(repository("docs/reference/replies.md")).expect("replies");
    let tests: Vec<Source> = files("crates", "")
        .into_iter()
        .filter(|file| file.path.contains("/tests"))
        .chain(
            sources()
                .into_iter()
                .filter(|source| source.text.contains("#[cfg(test)]")),
        )
        .collect();
    let mut faults = Vec::new();
    for entry in relais_smtp::refusal::CATALOGUE {
        let token = entry.token();
        if !reference.contains(&format!("| `{token}` |")) {
            faults.push(format!("{token} is not in docs/reference/replies.md"));
        }
        if !tests.iter().any(|test| test.text.contains(token)) {
            faults.push(format!("{token} is in no test"));
        }
    }
    none(&faults);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut faults = Vec::new();
    let mut documents: Vec<Source> = files("docs", ".md");
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
    ] {
        let text = fs::read_to_string(repository(name)).unwrap_or_else(|_| panic!("{name}"));
        documents.push(Source {
            path: name.to_owned(),
            text,
        });
    }
    for document in &documents {
        let folder = Path::new(&document.path)
            .parent()
            .map(PathBuf::from)
            .unwrap_or_default();
        for link in document.text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            let is_outside = target.contains("://") || target.starts_with("mailto:");
            if target.is_empty() || is_outside {
                continue;
            }
            if !repository("").join(&folder).join(target).exists() {
                faults.push(format!("{}: {target}", document.path));
            }
        }
        for path in document
            .text
            .split('`')
            .filter(|text| text.starts_with("crates/"))
        {
            if !path.contains(['<', '*', ' ', '…'])
                && !path.contains("NN-")
                && !repository(path).exists()
            {
                faults.push(format!("{}: `{path}` does not exist", document.path));
            }
        }
    }
    none(&faults);
}

#[test]
fn every_numbered_case_says_why() {
    let mut faults = Vec::new();
    for case in files("crates", "") {
        let Some((stem, ending)) = case.path.rsplit_once('.') else {
            continue;
        };
        let name = stem.rsplit('/').next().unwrap_or_default();
        let is_case = case.path.contains("/tests/")
            && name.len() > 3
            && name.starts_with(|first: char| first.is_ascii_digit())
            && ["smtp", "in", "out"].contains(&ending);
        if is_case && !repository(&format!("{stem}.why")).exists() {
            faults.push(format!("{} has no .why", case.path));
        }
    }
    none(&faults);
}

#[test]
fn domains_and_addresses_in_files_are_those_for_documentation() {
    let real = ["gmail", "outlook", "hotmail", "yahoo"].map(|name| format!("@{name}.com"));
    let mut faults = Vec::new();
    for file in files("crates", ".rs").iter().chain(&files("docs", ".md")) {
        for (number, line) in file.text.lines().enumerate() {
            if real.iter().any(|domain| line.contains(domain.as_str())) {
                faults.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    none(&faults);
}
