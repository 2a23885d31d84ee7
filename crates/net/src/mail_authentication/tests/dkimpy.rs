//! The vectors of dkimpy: what it signed holds here, what it refuses is refused here, and what we
//! sign of its messages with its keys holds under its records. Each exception stands with its
//! reason. The vectors stay outside of the repository: `RELAIS_TESTDATA` names their folder.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use relais_smtp::dkim::{Algorithm, Terms};
use relais_smtp::domain::Domain;
use relais_smtp::secret::Secret;

use super::*;
use crate::dkim::SigningKey;

/// RFC 8463, appendix A.2.
const BRISBANE: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// A file of the folder, and whether the folder is there.
fn file(name: &str) -> Option<Vec<u8>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testdata");
    let root = std::env::var_os("RELAIS_TESTDATA").map_or_else(beside, PathBuf::from);
    let folder = root.join("dkim/dkimpy");
    if !folder.exists() {
        eprintln!("SKIPPED: no dkim/dkimpy (RELAIS_TESTDATA names its folder)");
        return None;
    }
    Some(std::fs::read(folder.join(name)).expect("a file of the vectors"))
}

fn text(name: &str) -> Option<String> {
    file(name).map(|octets| String::from_utf8_lossy(&octets).trim().to_owned())
}

/// Line ends as on the wire.
fn message(name: &str) -> Option<Vec<u8>> {
    let octets = file(name)?;
    let mut wire = Vec::with_capacity(octets.len() + 256);
    for octet in octets {
        if octet == b'\n' && wire.last() != Some(&b'\r') {
            wire.push(b'\r');
        }
        wire.push(octet);
    }
    Some(wire)
}

async fn results(records: &[(&str, &str)], message: &[u8]) -> Vec<&'static str> {
    let dns = dns();
    for (name, text) in records {
        dns.set(name, vec![ZoneRecord::Text((*text).to_owned())]);
    }
    let found = check(&dns, message, "").await;
    found.dkim.iter().map(|one| one.result).collect()
}

#[tokio::test(start_paused = true)]
async fn what_dkimpy_signed_holds_and_what_it_refuses_does_not() {
    let (Some(rsa), Some(exim)) = (text("test.txt"), text("eximtest.dns")) else {
        return;
    };
    let football = "test._domainkey.football.example.com";
    let records = [
        ("brisbane._domainkey.football.example.com", BRISBANE),
        (football, &*rsa),
        ("sed._domainkey.test.ex", &*exim),
        ("test._domainkey.legitimate.com", &*rsa),
    ];
    for (name, expected) in [
        ("rfc6376.signed.msg", &["pass", "pass"][..]),
        ("rfc6376.signed.rsa.msg", &["pass"]),
        ("ed25519test2.msg", &["pass"]),
        // Its tags were changed after it was signed.
        ("rfc6376.signed.no_t.msg", &["fail"]),
        // A domain that hides another one in a comment: CVE-2020-12272.
        ("test.message.baddomain", &["permerror"]),
    ] {
        let message = message(name).expect("a message");
        assert_eq!(results(&records, &message).await, expected, "{name}");
        let changed = [&message[..], b"x\r\n"].concat();
        let changed = results(&records, &changed).await;
        assert!(
            changed.iter().all(|one| *one != "pass"),
            "{name}: {changed:?}"
        );
    }
    let signed = message("rfc6376.signed.rsa.msg").expect("a message");
    for (name, is_good) in [
        ("test.txt", true),
        ("test2.txt", true),
        ("badk.txt", false),
        ("badversion.txt", false),
        ("test_bad.txt", false),
        // A key for reports alone. RFC 8460 §3.
        ("test_tlsrpt.txt", false),
    ] {
        let record = text(name).expect("a record");
        let found = results(&[(football, &record)], &signed).await;
        assert_eq!(found == ["pass"], is_good, "{name}: {found:?}");
    }
}

/// Keys with 1,024 bits (`1024_testkey.key`, `test.private`, `test2.private`) sign nothing here:
/// RFC 8301 §3.2 forbids it, and the provider does. `2048_testkey.key` is PKCS #1: we keep PKCS #8
/// only, which the file beside it is.
#[tokio::test(start_paused = true)]
async fn what_we_sign_with_its_keys_of_its_messages_holds_under_its_records() {
    let (Some(pem), Some(rsa)) = (
        text("2048_testkey_PKCS8.key"),
        text("2048_testkey_PKCS8.key.pub.txt"),
    ) else {
        return;
    };
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    let der = STANDARD.decode(lines.collect::<String>()).expect("Base64");
    let mut keys = vec![(Algorithm::RsaSha256, Secret::from(&der[..]), rsa)];
    let exemplar = BRISBANE.to_owned();
    let own = text("ed25519test.dns").expect("a record");
    for (file, record) in [("ed25519test.key", own), ("rfc8032_7_1.key", exemplar)] {
        let seed = STANDARD.decode(text(file).expect("a key")).expect("Base64");
        // RFC 8410 §7: the seed as PKCS #8.
        let head = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        let der = [&head[..], &seed].concat();
        keys.push((Algorithm::Ed25519Sha256, Secret::from(&der[..]), record));
    }
    let domain = Domain::parse("example.com").expect("a domain");
    for (algorithm, kept, record) in keys {
        let key = SigningKey::from_secret(algorithm, &kept).expect("a key");
        let public = key.public().expect("a public half");
        assert!(record.contains(&public), "{record}: {public}");
        for name in [
            "test.message",
            "test2.message",
            "test_extra.message",
            "test_nofrom.message",
            "rfc6376.msg",
            "rfc6376.w1258.msg",
            "ed25519test.msg",
            "message.mbox",
        ] {
            let message = message(name).expect("a message");
            let (section, body) = message.split_at(header_section_end(&message).expect("a body"));
            let mut hasher = BodyHasher::new();
            hasher.update(body);
            let terms = Terms {
                domain: &domain,
                selector: "test",
                algorithm,
                time: Timestamp::from_millis(1_795_910_400_000),
            };
            let field = key.sign(section, &hasher.finish(), &terms);
            let signed = [field.expect("a signature").as_bytes(), &message].concat();
            let found = results(&[("test._domainkey.example.com", &record)], &signed).await;
            assert_eq!(found.first(), Some(&"pass"), "{name}: {found:?}");
        }
    }
}
