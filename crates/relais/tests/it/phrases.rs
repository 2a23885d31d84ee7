//! What the API, the crates below it and the terminal say to people has its French in a
//! phrasebook, and no phrasebook has a line that nobody says.

use std::collections::{BTreeMap, BTreeSet};

use relais_admin::phrasebook::{DETAILS, PARTS, Phrasebook, SENTENCES, pairs};

use crate::tidy::{Source, files, none, sources};
use crate::typography::{is_french, texts};

/// Where each sentence is an answer to somebody.
const ANSWERS: [&str; 8] = [
    "crates/admin/src/api/",
    "crates/admin/src/api.rs",
    "crates/admin/src/access",
    "crates/admin/src/problem.rs",
    "crates/admin/src/signing_keys.rs",
    "crates/admin/src/context.rs",
    "crates/policy/src/adopt.rs",
    "crates/policy/src/source.rs",
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
/// Where a fault is kept, and shown to people later.
const FAULTS: [&str; 1] = ["crates/admin/src/report_mail.rs"];
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
        let is_fault = is_in(source, &FAULTS) && line(*number).contains("ok_or(\"");
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
            || is_fault
            || is_told && (is_sentence(text) || is_heading)
        {
            found.push((*number, text.clone()));
        }
    }
    found
}

/// Where a statement begins that says what is kept of something: for audit, trace or an alert.
const KEPT: [&str; 6] = [
    "detail: ",
    "detail = ",
    "let detail",
    "let mut detail",
    "detail.push_str(",
    "let words = format!(",
];
/// Functions that say it for others.
const KEPT_BY: [(&str, &str); 10] = [
    ("crates/admin/src/api/retention.rs", "fn lines("),
    ("crates/admin/src/people.rs", "fn told("),
    ("crates/admin/src/people/coming.rs", "fn told("),
    ("crates/admin/src/people/issuer.rs", "fn told("),
    ("crates/admin/src/desk.rs", "fn follow_bounces("),
    ("crates/admin/src/alerting/sensors.rs", "fn of_"),
    ("crates/policy/src/dkim.rs", "fn describe("),
    ("crates/policy/src/proof.rs", "fn describe("),
    ("crates/policy/src/notice.rs", "fn "),
    ("crates/store/src/describe.rs", "fn criteria_lines("),
];
/// What `let words` says there is not kept, or is said in both languages.
const NOT_KEPT: [&str; 3] = [
    "crates/policy/",
    "crates/net/",
    "crates/relais/src/commands/",
];
/// Texts there that are put together with others before anybody is told, or that others wrote.
const PIECES: [&str; 14] = [
    " of {name}",
    "{address}: {} events, {} conversations, {} contents{whose}",
    "{} notice, queued as {queue_id}",
    "{} -> none",
    "{who}at the admin centre, {}",
    "{}; {} said{}: {answer}",
    "recipient {recipient} {words} by {}",
    ", delivery status notification",
    ", feedback report",
    ", by the rule {name}",
    " from {reporter}",
    ", received as {}",
    "{}{whose} connections",
    // The finding itself is said in English only where it is kept.
    "{}{subject} is {}, was {}: {words}",
];
/// What programs and the log read.
const NOT_FOR_PEOPLE: [&str; 6] = [
    "crates/admin/src/api/messages.rs",
    "crates/admin/src/web/gate",
    "crates/relais/src/client.rs",
    "crates/relais/src/commands/",
    "crates/relais/src/config",
    "crates/store/src/embedded/opening.rs",
];

/// What a source keeps for people, with the numbers of the lines.
fn kept(source: &Source) -> Vec<(usize, String)> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let functions: Vec<_> = KEPT_BY.iter().filter(|one| one.0 == source.path).collect();
    let (mut lines, mut within) = (BTreeSet::new(), None);
    for (number, line) in source.code() {
        let words = line.trim_start();
        let begins_function = functions.iter().any(|(_, name)| words.contains(name));
        let begins = begins_function
            || KEPT.iter().any(|beginning| words.contains(beginning))
                && !(words.contains("let words") && is_in(source, &NOT_KEPT));
        if begins && within.is_none() {
            within = Some((indent(line), begins_function));
        }
        let Some((least, is_function)) = within else {
            continue;
        };
        lines.insert(number);
        let ends = match is_function {
            true => words.starts_with('}'),
            false => words.ends_with([';', ',']) || words.starts_with('}'),
        };
        if ends && indent(line) <= least {
            within = None;
        }
    }
    let texts = texts(source).into_iter();
    texts.filter(|(number, _)| lines.contains(number)).collect()
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
fn everything_that_is_kept_for_people_has_its_french() {
    let books = [SENTENCES, PARTS, DETAILS].iter();
    let known: BTreeSet<_> = books
        .flat_map(|book| pairs(book))
        .map(|(english, _)| bare(english))
        .collect();
    let (mut lacking, mut count) = (BTreeSet::new(), 0);
    for source in sources().iter().filter(|source| source.is_shipped()) {
        if is_in(source, &NOT_FOR_PEOPLE) {
            continue;
        }
        for (line, text) in kept(source) {
            let text = text.trim_start_matches("; ");
            let is_one = words(&bare(text)) == 0 || !text.contains(' ');
            if is_one || is_french(text) || PIECES.contains(&text) {
                continue;
            }
            count += 1;
            if !known.contains(&bare(text)) {
                lacking.insert(format!("{}:{line}: {text}", source.path));
            }
        }
    }
    none(&lacking.into_iter().collect::<Vec<_>>());
    assert!(count > 100, "only {count} were found");
}

#[test]
fn no_phrasebook_has_a_line_that_nobody_says() {
    let sources = sources();
    let shipped = sources.iter().filter(|source| source.is_shipped());
    let said: BTreeSet<_> = shipped
        .flat_map(texts)
        .map(|(_, text)| bare(&text))
        .collect();
    let books = [SENTENCES.to_owned(), terminal(), DETAILS.to_owned()];
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
