//! What the API, the crates below it and the terminal say to people has its French in a
//! phrasebook, and no phrasebook has a line that nobody says.

use std::collections::{BTreeMap, BTreeSet};

use relais_admin::phrasebook::{Phrasebook, SENTENCES, pairs};

use crate::tidy::{Source, files, none, sources};
use crate::typography::{is_french, texts};

/// Where each sentence is an answer to somebody.
const ANSWERS: [&str; 7] = [
    "crates/admin/src/api/",
    "crates/admin/src/api.rs",
    "crates/admin/src/access",
    "crates/admin/src/problem.rs",
    "crates/admin/src/signing_keys.rs",
    "crates/admin/src/context.rs",
    "crates/policy/src/adopt.rs",
];
/// Of these, what only programs read: the OpenAPI document, mail handed in, probes.
const FOR_PROGRAMS: [&str; 5] = [
    "crates/admin/src/api/operations.rs",
    "crates/admin/src/api/operations/parts.rs",
    "crates/admin/src/api/openapi.rs",
    "crates/admin/src/api/messages.rs",
    "crates/admin/src/api/probes.rs",
];
/// Where errors are put together without an attribute.
const ERRORS: [&str; 9] = [
    "crates/policy/src/settings",
    "crates/policy/src/document/value.rs",
    "crates/policy/src/migration",
    "crates/store/src/trace/query/",
    "crates/admin/src/scope.rs",
    "crates/admin/src/keys.rs",
    "crates/admin/src/webhooks.rs",
    "crates/relais/src/client.rs",
    "crates/relais/src/remote.rs",
];
/// Where the terminal speaks.
const TERMINAL: &str = "crates/relais/src/commands/";
/// Of these, what speaks both languages in its code, or to the log.
const SPEAKS_ITSELF: [&str; 5] = [
    "crates/relais/src/commands/demo",
    "crates/relais/src/commands/quickstart.rs",
    "crates/relais/src/commands/serve",
    "crates/relais/src/commands/reference_command.rs",
    "crates/relais/src/commands/connector/listen.rs",
];
/// Texts there that nobody is told, or that stand in the book of parts.
const NOT_SAID: [&str; 8] = [
    "{{ value = {}, hard = true }}",
    "The servers of the domain do not say the same of {names}.",
    "a number, or { value = 60, hard = true }",
    "texts and numbers can be written",
    "HMAC takes keys of any length",
    "a size: \"25 MiB\" or a number of octets",
    "a span of time with its unit, as \"90s\", \"1m\", \"4h\" or \"5d\"",
    "networks in sender_ip_addresses",
];
/// Parts of a book that no single text of the code says.
const PUT_TOGETHER: [&str; 2] = [
    "# Put together of parts",
    "# The reading of the command line",
];

/// A text without the names of its places.
fn bare(text: &str) -> String {
    let (mut bare, mut left) = (String::new(), text);
    while let Some((before, after)) = left.split_once('{') {
        let Some((_, rest)) = after.split_once('}') else {
            break;
        };
        bare.push_str(before);
        // Two places without anything between them are one to who looks from outside.
        if !bare.ends_with("{}") {
            bare.push_str("{}");
        }
        left = rest;
    }
    bare.push_str(left);
    bare
}

fn is_in(source: &Source, places: &[&str]) -> bool {
    places.iter().any(|place| source.path.starts_with(place))
}

fn words(text: &str) -> usize {
    let is_word = |word: &&str| word.chars().filter(|one| one.is_lowercase()).count() > 1;
    text.split(' ').filter(is_word).count()
}

/// `Nothing is there.`, `"{name}" is no address: {error}.`
fn is_sentence(text: &str) -> bool {
    let begins = |first: char| first.is_uppercase() || "\"{".contains(first);
    text.starts_with(begins) && text.ends_with('.') && words(text) > 1
}

/// Names of objects, which stand before what is wrong with them.
fn is_object(text: &str) -> bool {
    ["organisation {", "{object}, ", "inbound connector {"]
        .iter()
        .any(|beginning| text.starts_with(beginning))
}

/// What a source says to people, with the numbers of the lines.
fn said(source: &Source) -> Vec<(usize, String)> {
    let lines: Vec<_> = source.text.lines().collect();
    let line = |number: usize| lines.get(number.wrapping_sub(1)).copied().unwrap_or("");
    let all = texts(source);
    let mut found = Vec::new();
    for (at, (number, text)) in all.iter().enumerate() {
        let has_french = all.get(at + 1).is_some_and(|(_, next)| is_french(next));
        if is_french(text) || has_french || NOT_SAID.contains(&text.as_str()) {
            continue;
        }
        let of_error = line(*number).contains("#[error(\"")
            || line(*number).trim_start().starts_with('"')
                && line(number - 1).ends_with("#[error(");
        let is_answer = is_in(source, &ANSWERS) && !is_in(source, &FOR_PROGRAMS);
        let is_error = is_in(source, &ERRORS) && words(text) > 2 && !is_object(text);
        let is_told = source.path.starts_with(TERMINAL) && !is_in(source, &SPEAKS_ITSELF);
        let is_heading = text.len() > 2
            && !text.starts_with(' ')
            && !line(*number).contains("value_name")
            && text
                .chars()
                .all(|one| one.is_ascii_uppercase() || one == ' ');
        if of_error && words(text) > 1
            || is_answer && is_sentence(text)
            || is_error
            || is_told && (is_sentence(text) || is_heading)
        {
            found.push((*number, text.clone()));
        }
    }
    found
}

/// The lines of a book by what they say, without the parts that are put together.
fn lines_of(book: &str) -> BTreeMap<String, String> {
    let mut part = "";
    let mut found = BTreeMap::new();
    let mut is_english = true;
    for line in book.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("# ") {
            part = line;
            continue;
        }
        if is_english && !PUT_TOGETHER.contains(&part) {
            found.insert(bare(line), line.to_owned());
        }
        is_english = !is_english;
    }
    found
}

fn terminal() -> String {
    let books = files("crates/relais/locales", "terminal.fr.txt");
    books.first().expect("a book").text.clone()
}

#[test]
fn everything_that_people_are_told_has_its_french() {
    let known: BTreeSet<_> = [SENTENCES, &terminal()]
        .iter()
        .flat_map(|book| lines_of(book).into_keys())
        .collect();
    let mut lacking = BTreeSet::new();
    let mut count = 0;
    for source in sources().iter().filter(|source| source.is_shipped()) {
        for (line, text) in said(source) {
            count += 1;
            if !known.contains(&bare(&text)) {
                lacking.insert(format!("{}:{line}: {text}", source.path));
            }
        }
    }
    none(&lacking.into_iter().collect::<Vec<_>>());
    assert!(count > 450, "only {count} sentences were found");
}

#[test]
fn no_phrasebook_has_a_line_that_nobody_says() {
    let sources = sources();
    let shipped = sources.iter().filter(|source| source.is_shipped());
    let said: BTreeSet<_> = shipped
        .flat_map(texts)
        .map(|(_, text)| bare(&text))
        .collect();
    let books = [SENTENCES.to_owned(), terminal()];
    let lines = books.iter().flat_map(|book| lines_of(book));
    let over: Vec<_> = lines
        .filter(|(bare, _)| !said.contains(bare))
        .map(|(_, line)| line)
        .collect();
    none(&over);
}

#[test]
fn each_sentence_of_the_book_is_found_by_itself() {
    let book = Phrasebook::new(&[SENTENCES], &[]);
    for (english, french) in pairs(SENTENCES) {
        // A place holds anything, its own name too; what must be known is not known here.
        if french.contains("{!") || french.contains("{=") {
            continue;
        }
        let spoken = english.replace(['{', '}'], "");
        let said = book.french(&spoken);
        assert!(said.is_some_and(|said| said != spoken), "{english}");
    }
}
