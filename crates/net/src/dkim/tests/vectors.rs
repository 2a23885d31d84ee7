//! Published signatures of others: what we relax and hash is what they signed. The vectors stay
//! outside of the repository: where their folder is missing, these tests say so and pass.
//! `RELAIS_TESTDATA` names the folder if it lies elsewhere.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use relais_smtp::arc::{Form, NotSealed, Sealing};
use relais_smtp::dkim::{Algorithm, BodyHasher, Terms, relaxed_field};
use relais_smtp::domain::Domain;
use relais_smtp::header::header_section_end;
use relais_smtp::time::Timestamp;
use sha2::{Digest, Sha256};

fn testdata(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testdata");
    let folder = std::env::var_os("RELAIS_TESTDATA").map_or_else(beside, PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        eprintln!("SKIPPED: no test vectors at {name} (RELAIS_TESTDATA names their folder)");
        return None;
    }
    Some(path)
}

/// Line ends as on the wire.
fn wire(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 256);
    for octet in text {
        if *octet == b'\n' && out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(*octet);
    }
    out
}

/// Fields with their line ends.
fn fields(section: &[u8]) -> Vec<&[u8]> {
    let mut fields: Vec<&[u8]> = Vec::new();
    let mut begun = 0;
    for (at, pair) in section.windows(2).enumerate() {
        let next = section.get(at + 2);
        if pair == b"\r\n" && !matches!(next, Some(b' ' | b'\t')) {
            fields.push(&section[begun..at + 2]);
            begun = at + 2;
        }
    }
    fields
}

fn is_named(field: &[u8], name: &str) -> bool {
    let colon = field.iter().position(|octet| *octet == b':');
    let own = field[..colon.unwrap_or(0)].trim_ascii_end();
    own.eq_ignore_ascii_case(name.trim().as_bytes())
}

/// Tags of a list, without white space.
fn tags(text: &str) -> HashMap<String, String> {
    let pairs = text.split(';').filter_map(|tag| tag.split_once('='));
    let bare = |text: &str| {
        text.chars()
            .filter(|c| !c.is_whitespace())
            .collect::<String>()
    };
    pairs
        .map(|(name, value)| (bare(name), bare(value)))
        .collect()
}

/// The field without the value of `b=`, in relaxed form, without line end.
fn unsigned_form(field: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(field).into_owned();
    let (name, value) = text.split_once(':').expect("a field");
    let emptied = value.split(';').map(|tag| match tag.split_once('=') {
        Some((name, _)) if name.trim() == "b" => format!("{name}="),
        _ => tag.to_owned(),
    });
    let emptied = emptied.collect::<Vec<_>>().join(";");
    let mut relaxed = Vec::new();
    relaxed_field(format!("{name}:{emptied}").as_bytes(), &mut relaxed);
    relaxed.truncate(relaxed.len() - 2);
    relaxed
}

/// What is signed, for relaxed header fields.
fn input(section: &[u8], signature: &[u8], names: &str) -> Vec<u8> {
    let all = fields(section);
    let mut taken = vec![false; all.len()];
    let mut input = Vec::new();
    for name in names.split(':') {
        let next = (0..all.len())
            .rev()
            .find(|at| !taken[*at] && is_named(all[*at], name));
        if let Some(at) = next {
            taken[at] = true;
            relaxed_field(all[at], &mut input);
        }
    }
    input.extend(unsigned_form(signature));
    input
}

fn verify(record: &str, algorithm: &str, input: &[u8], signature: &str) -> bool {
    let public = tags(record).get("p").and_then(|p| STANDARD.decode(p).ok());
    let signature = STANDARD.decode(signature).ok();
    let (Some(public), Some(signature)) = (public, signature) else {
        return false;
    };
    let verified = match algorithm {
        "ed25519-sha256" => {
            UnparsedPublicKey::new(&ED25519, public).verify(&Sha256::digest(input), &signature)
        }
        _ => UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, public)
            .verify(input, &signature),
    };
    verified.is_ok()
}

fn body_hash(body: &[u8]) -> String {
    let mut hasher = BodyHasher::new();
    hasher.update(body);
    STANDARD.encode(hasher.finish().as_bytes())
}

#[test]
fn signatures_in_the_field_are_over_what_we_relax() {
    let Some(folder) = testdata("dkim/mail-auth") else {
        return;
    };
    let (mut headers, mut bodies) = (0, 0);
    let files = fs::read_dir(folder).expect("a folder").flatten();
    for path in files.map(|entry| entry.path()) {
        let text = wire(&fs::read(&path).expect("a file"));
        // The records are no fields: the empty line behind them is looked for.
        let end = text.windows(4).position(|four| four == b"\r\n\r\n");
        let (records, message) = text.split_at(end.expect("records, then the message") + 4);
        let records = String::from_utf8_lossy(records).into_owned();
        let records: HashMap<_, _> = records
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        let (section, body) = message.split_at(header_section_end(message).expect("a body"));
        for field in fields(section)
            .into_iter()
            .filter(|field| is_named(field, "DKIM-Signature"))
        {
            let text = String::from_utf8_lossy(field).into_owned();
            let tags = tags(text.split_once(':').expect("a field").1);
            let forms = tags.get("c").map_or("simple", String::as_str);
            let (of_header, of_body) = forms.split_once('/').unwrap_or((forms, "simple"));
            let name = format!("{}._domainkey.{}", tags["s"], tags["d"]);
            if of_body == "relaxed" && !tags.contains_key("l") {
                assert_eq!(tags["bh"], body_hash(body), "{}: {name}", path.display());
                bodies += 1;
            }
            if let (Some(record), "relaxed") = (records.get(&*name), of_header) {
                let input = input(section, field, &tags["h"]);
                let good = verify(record, &tags["a"], &input, &tags["b"]);
                assert!(good, "{}: {name}", path.display());
                headers += 1;
            }
        }
    }
    assert!(
        headers >= 5 && bodies >= 2,
        "{headers} headers, {bodies} bodies"
    );
}

/// A block of the YAML of the ARC suite: its lines without their margin.
fn block<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> String {
    let mut text = String::new();
    while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with("      ")) {
        text.push_str(line.get(6..).unwrap_or_default());
        text.push_str("\r\n");
    }
    text
}

/// A test of the ARC suite: its blocks and values by name.
type Case = HashMap<String, String>;

/// The YAML of the suite as far as it needs to be read: what stands under each test.
fn cases(text: &str) -> Vec<(String, Case)> {
    let mut lines = text.lines().peekable();
    let mut cases: Vec<(String, Case)> = Vec::new();
    while let Some(line) = lines.next() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let depth = key.len() - key.trim_start().len();
        let (key, value) = (key.trim().to_owned(), value.trim());
        if depth == 2 && value.is_empty() {
            cases.push((key, Case::new()));
        } else if let (4, Some((_, case))) = (depth, cases.last_mut()) {
            let value = match value {
                "|" => block(&mut lines),
                value => value.trim_matches('"').to_owned(),
            };
            case.insert(key, value);
        }
    }
    cases
}

/// Every test of the suite that signs. Its key has 1,024 bits, with which nobody may sign any more
/// (RFC 8301 §3.2), so the signatures are not made: that those of the suite hold over what we would
/// sign says the same, to the octet. There is no exception.
#[test]
fn what_we_would_seal_is_what_the_arc_suite_signed() {
    let Some(file) = testdata("arc/arc-draft-sign-tests.yml") else {
        return;
    };
    let text = fs::read_to_string(file).expect("UTF-8");
    let begin = text.find("v=DKIM1; k=rsa;").expect("a record");
    let record = text[begin..].split("---").next().expect("a record");
    let record: String = record.split_whitespace().collect();
    let domain = Domain::parse("example.org").expect("a domain");
    let (mut sealed, mut left) = (0, 0);
    for (name, case) in cases(&text) {
        let message = &case["message"];
        let end = header_section_end(message.as_bytes()).unwrap_or(message.len());
        let (section, body) = message.as_bytes().split_at(end);
        let begun = Sealing::begin(section, &case["srv-id"]);
        if case["AS"].trim().is_empty() {
            assert_eq!(begun, Err(NotSealed::Broken), "{name}");
            left += 1;
            continue;
        }
        let sealing = begun.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut hasher = BodyHasher::new();
        hasher.update(body);
        let names: Vec<_> = case["sig-headers"].split(':').collect();
        let seconds: i64 = case["t"].parse().expect("a time");
        let terms = Terms {
            domain: &domain,
            selector: "dummy",
            algorithm: Algorithm::RsaSha256,
            time: Timestamp::from_millis(seconds * 1_000),
        };
        let form = Form {
            names: Some(&names),
            line_characters_max: usize::MAX,
        };
        let (expected, seal) = (tags(&case["AMS"]), tags(&case["AS"]));
        let signature = sealing.message_signature(section, &hasher.finish(), &terms, &form);
        let holds = |input: &[u8], b: &str| verify(&record, "rsa-sha256", input, b);
        assert!(holds(signature.input(), &expected["b"]), "{name}: AMS");
        let octets = STANDARD.decode(&expected["b"]).expect("Base64");
        let field = signature.complete(&octets);
        let own = field
            .strip_prefix("ARC-Message-Signature:")
            .expect("a field");
        assert_eq!(tags(own), expected, "{name}");
        let unsealed = sealing.seal(&field, &terms, &form);
        assert!(holds(unsealed.input(), &seal["b"]), "{name}: AS");
        let octets = STANDARD.decode(&seal["b"]).expect("Base64");
        let field = unsealed.complete(&octets);
        let own = field.strip_prefix("ARC-Seal:").expect("a field");
        assert_eq!(tags(own), seal, "{name}");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let results = sealing.results().split_once(':').expect("a field").1;
        assert_eq!(words(results), words(&case["AAR"]), "{name}");
        sealed += 1;
    }
    assert_eq!((sealed, left), (16, 1));
}
