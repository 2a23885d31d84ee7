//! Signatures and chains of others, DNS that does not answer, and bodies of every end.

mod dkimpy;

use std::path::{Path, PathBuf};

use relais_smtp::address::Mailbox;
use relais_smtp::dkim::BodyHasher;
use relais_smtp::header::{header_section_end, read};
use relais_smtp::time::Timestamp;

use super::*;
use crate::clock::Clock;
use crate::simulated_dns::{DnsFault, SimulatedDns};
use crate::zone::ZoneRecord;

/// Vectors of others stay outside of the repository: `RELAIS_TESTDATA` names their folder.
fn vectors(folder: &str) -> Vec<(String, String)> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testdata");
    let root = std::env::var_os("RELAIS_TESTDATA").map_or_else(beside, PathBuf::from);
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
        eprintln!("SKIPPED: no test vectors at {folder} (RELAIS_TESTDATA names their folder)");
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "txt"))
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let octets = std::fs::read(&path).expect("a file");
            (name, String::from_utf8_lossy(&octets).into_owned())
        })
        .collect();
    found.sort();
    found
}

fn dns() -> SimulatedDns {
    SimulatedDns::new(Duration::from_millis(2))
}

async fn check(dns: &SimulatedDns, message: &[u8], from: &str) -> Authentication {
    let end = header_section_end(message).unwrap_or(message.len());
    let (section, body) = message.split_at(end);
    let mut checking = Checking::begin(section);
    let mut relaxed = BodyHasher::new();
    for piece in body.chunks(7) {
        checking.body(piece);
        relaxed.update(piece);
    }
    let reverse_path = match from {
        "" => ReversePath::Null,
        from => ReversePath::Mailbox(Mailbox::parse(from).expect("a mailbox")),
    };
    let sender = Sender {
        client: "192.0.2.1".parse().expect("an address"),
        helo: "mx.example.org",
        reverse_path: &reverse_path,
    };
    let clock = Clock::simulated(Timestamp::from_millis(1_795_910_400_000));
    let resolver = Resolver::simulated(dns);
    let (hash, summary) = (relaxed.finish(), read(section));
    checking
        .finish(&hash, &summary, sender, &resolver, &clock)
        .await
}

/// DNS lines, an empty line, the message.
fn parse(text: &str) -> (SimulatedDns, String) {
    let dns = dns();
    let text = text.replace("\r\n", "\n");
    let (records, message) = text.split_once("\n\n").expect("records first");
    for line in records.lines() {
        let (name, record) = line.split_once(' ').expect("a name");
        dns.set(name, vec![ZoneRecord::Text(record.to_owned())]);
    }
    (dns, message.replace('\n', "\r\n"))
}

/// Vectors that do not pass, each with the reason.
const DKIM_EXCEPTIONS: &[(&str, &str)] = &[("005.txt", "it expired in November 2022 (x=)")];

#[tokio::test(start_paused = true)]
async fn signatures_of_others_pass_and_a_changed_body_does_not() {
    let mut seen = 0;
    for (name, text) in vectors("dkim/mail-auth") {
        let (dns, message) = parse(&text);
        let found = check(&dns, message.as_bytes(), "a@example.org").await;
        let passes = !found.dkim.is_empty() && found.dkim.iter().all(|one| one.result == "pass");
        let excepted = DKIM_EXCEPTIONS.iter().any(|(one, _)| *one == name);
        assert_eq!(passes, !excepted, "{name}: {:?}", found.dkim);
        let changed = format!("{message}x\r\n");
        let found = check(&dns, changed.as_bytes(), "a@example.org").await;
        assert!(
            found.dkim.iter().all(|one| one.result != "pass"),
            "{name}: {:?}",
            found.dkim
        );
        seen += 1;
    }
    assert!(seen == 0 || seen == 6, "{seen}");
}

#[tokio::test(start_paused = true)]
async fn chains_of_others_pass_and_broken_ones_fail() {
    for (name, text) in vectors("arc/mail-auth") {
        let (dns, message) = parse(&text);
        assert_eq!(
            check(&dns, message.as_bytes(), "").await.arc,
            "pass",
            "{name}"
        );
        let changed = format!("{message}x\r\n");
        assert_eq!(
            check(&dns, changed.as_bytes(), "").await.arc,
            "fail",
            "{name}"
        );
    }
    let none = check(&dns(), b"From: a@example.org\r\n\r\nx\r\n", "").await;
    assert_eq!(none.arc, "none");
}

#[tokio::test(start_paused = true)]
async fn our_own_signatures_pass_whatever_the_body_ends_in() {
    use crate::dkim::SigningKey;
    use relais_smtp::dkim::{Algorithm, Terms};

    let domain = Domain::parse("example.org").expect("a domain");
    let key = SigningKey::generate(Algorithm::Ed25519Sha256).expect("a key");
    let dns = dns();
    let record = format!("v=DKIM1; k=ed25519; p={}", key.public().expect("a key"));
    dns.set("s._domainkey.example.org", vec![ZoneRecord::Text(record)]);
    dns.set(
        "_dmarc.example.org",
        vec![ZoneRecord::Text("v=DMARC1; p=reject".to_owned())],
    );
    // Lines of white space alone at the end are what mail-auth's own hash reads wrongly.
    for body in [
        "",
        "x",
        "x\r\n",
        "x \t\r\n \r\n\t\r\n",
        "\r\n\r\n",
        " \r\n",
        "x\r\n\r\n\r\n",
    ] {
        let section = b"From: a@example.org\r\nSubject: x\r\n\r\n";
        let mut hasher = BodyHasher::new();
        hasher.update(body.as_bytes());
        let terms = Terms {
            domain: &domain,
            selector: "s",
            algorithm: Algorithm::Ed25519Sha256,
            time: Timestamp::from_millis(1_795_910_400_000),
        };
        let field = key
            .sign(section, &hasher.finish(), &terms)
            .expect("a signature");
        let message = [field.as_bytes(), section, body.as_bytes()].concat();
        let found = check(&dns, &message, "a@other.example").await;
        assert_eq!(found.dkim[0].result, "pass", "{body:?}");
        assert_eq!((found.dmarc.result, found.dmarc.policy), ("pass", "reject"));
    }
}

#[tokio::test(start_paused = true)]
async fn dns_that_does_not_answer_is_a_temporary_error_in_bounded_time() {
    let (dns, message) = (
        dns(),
        "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s; \
        h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n\
        From: a@example.org\r\n\r\n",
    );
    for name in [
        "example.org",
        "s._domainkey.example.org",
        "_dmarc.example.org",
    ] {
        dns.set_fault(name, Some(DnsFault::Silence));
    }
    let began = tokio::time::Instant::now();
    let found = check(&dns, message.as_bytes(), "a@example.org").await;
    assert!(began.elapsed() <= AUTHENTICATION_TIMEOUT + Duration::from_secs(1));
    assert_eq!(found.spf.result, SpfResult::TempError);
    assert_eq!(found.dmarc.result, "temperror");
    assert!(
        found
            .refuses(relais_policy::document::DmarcPolicy::Reject)
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn spf_is_asked_of_the_reverse_path_or_of_helo() {
    let dns = dns();
    let record = |text: &str| vec![ZoneRecord::Text(text.to_owned())];
    dns.set("example.org", record("v=spf1 ip4:192.0.2.0/24 -all"));
    dns.set("mx.example.org", record("v=spf1 -all"));
    let message = b"From: a@example.org\r\n\r\nx\r\n";
    let found = check(&dns, message, "a@example.org").await;
    assert_eq!(
        (found.spf.result, found.spf.is_helo),
        (SpfResult::Pass, false)
    );
    let found = check(&dns, message, "").await;
    assert_eq!(
        (found.spf.result, found.spf.is_helo),
        (SpfResult::Fail, true)
    );
    assert_eq!(found.spf.domain, "mx.example.org");
}

#[tokio::test(start_paused = true)]
async fn a_bounce_is_aligned_by_the_name_in_helo() {
    let dns = dns();
    let record = |text: &str| vec![ZoneRecord::Text(text.to_owned())];
    dns.set("mx.example.org", record("v=spf1 ip4:192.0.2.0/24 -all"));
    dns.set("_dmarc.example.org", record("v=DMARC1; p=reject"));
    let message = b"From: mailer-daemon@mx.example.org\r\n\r\nx\r\n";
    let found = check(&dns, message, "").await;
    assert_eq!((found.dmarc.result, found.dmarc.policy), ("pass", "reject"));
}

#[tokio::test(start_paused = true)]
async fn of_several_authors_the_strictest_policy_counts() {
    let dns = dns();
    let record = |text: &str| vec![ZoneRecord::Text(text.to_owned())];
    dns.set("_dmarc.example.org", record("v=DMARC1; p=reject"));
    dns.set("_dmarc.other.example", record("v=DMARC1; p=none"));
    for from in [
        "ceo@example.org, x@other.example",
        "x@other.example, ceo@example.org",
        "x@unknown.example, ceo@example.org",
    ] {
        let message = format!("From: {from}\r\n\r\nx\r\n");
        let found = check(&dns, message.as_bytes(), "x@evil.example").await;
        let reject = relais_policy::document::DmarcPolicy::Reject;
        let author = found.refuses(reject).map(ToString::to_string);
        assert_eq!(author.as_deref(), Some("example.org"), "{from}");
    }
}

#[test]
fn the_simple_form_of_a_body_is_that_of_the_rfc() {
    for (body, canonical) in [
        ("", "\r\n"),
        ("\r\n\r\n", "\r\n"),
        ("a", "a\r\n"),
        ("a\r\n\r\n\r\n", "a\r\n"),
        ("a\r\n\r\n b \r\n", "a\r\n\r\n b \r\n"),
    ] {
        let mut simple = SimpleBody::default();
        for octet in body.as_bytes().chunks(1) {
            simple.update(octet);
        }
        assert_eq!(
            simple.finish(),
            Sha256::digest(canonical).to_vec(),
            "{body:?}"
        );
    }
}
