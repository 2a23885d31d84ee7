//! The relaxed forms against their texts in RFC 6376, and against a slow and simple model.

use proptest::prelude::*;

use super::*;
use crate::time::Timestamp;

/// RFC 6376 §3.4.4, word for word: line by line, then the end.
fn model(body: &[u8]) -> Vec<u8> {
    let text: String = body.iter().map(|octet| char::from(*octet)).collect();
    let mut lines: Vec<String> = Vec::new();
    for line in text.split("\r\n") {
        let mut relaxed = String::new();
        for character in line.chars() {
            match character {
                ' ' | '\t' if relaxed.ends_with(' ') => {}
                ' ' | '\t' => relaxed.push(' '),
                other => relaxed.push(other),
            }
        }
        lines.push(relaxed.trim_end_matches(' ').to_owned());
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let whole: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    whole.chars().map(|character| character as u8).collect()
}

fn hash(pieces: &[&[u8]]) -> BodyHash {
    let mut hasher = BodyHasher::new();
    pieces.iter().for_each(|piece| hasher.update(piece));
    hasher.finish()
}

fn terms(domain: &Domain, algorithm: Algorithm) -> Terms<'_> {
    Terms {
        domain,
        selector: "brisbane",
        algorithm,
        time: Timestamp::from_millis(1_795_514_400_123),
    }
}

#[test]
fn bodies_are_relaxed_as_the_rfc_says() {
    for (body, relaxed) in [
        (" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"),
        ("", ""),
        ("\r\n", ""),
        ("\r\n\r\n", ""),
        (" \t \r\n\t\r\n", ""),
        ("a", "a\r\n"),
        ("a ", "a\r\n"),
        ("a\r\n \r\n", "a\r\n"),
        ("a\r\n \r\nb", "a\r\n\r\nb\r\n"),
        ("a\rb\r", "a\rb\r\r\n"),
        ("a\nb \n", "a\nb \n\r\n"),
        (" \r", " \r\r\n"),
    ] {
        assert_eq!(
            relaxed_body(body.as_bytes()),
            relaxed.as_bytes(),
            "{body:?}"
        );
    }
}

#[test]
fn the_hash_of_no_body_is_the_one_that_everybody_knows() {
    let encoded = STANDARD.encode(hash(&[]).as_bytes());
    assert_eq!(encoded, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

#[test]
fn a_body_of_empty_lines_needs_no_memory_for_them() {
    let lines = b"\r\n".repeat(100_000);
    let hasher = {
        let mut hasher = BodyHasher::new();
        hasher.update(&lines);
        hasher.update(b"x");
        hasher
    };
    let whole = [&lines[..], b"x"].concat();
    assert_eq!(hasher.finish(), hash(&[&whole]));
    assert_eq!(relaxed_body(&whole), model(&whole));
}

#[test]
fn fields_are_relaxed_as_the_rfc_says() {
    for (field, relaxed) in [
        ("A: X\r\n", "a:X\r\n"),
        ("B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"),
        ("Subject:\r\n", "subject:\r\n"),
        ("Subject: \r\n \r\n", "subject:\r\n"),
        ("SUBJect:a\r\n \r\n\tb", "subject:a b\r\n"),
        ("X: a\rb", "x:a\rb\r\n"),
    ] {
        let mut out = Vec::new();
        relaxed_field(field.as_bytes(), &mut out);
        assert_eq!(out, relaxed.as_bytes(), "{field:?}");
    }
}

#[test]
fn from_and_its_friends_are_signed_once_more_than_they_are_there() {
    let domain = Domain::parse("contoso.test").unwrap();
    let section = b"Received: x\r\nFrom: a@contoso.test\r\nto: b@x.test\r\nTo: c@x.test\r\n\
                    List-Id: <l.contoso.test>\r\nX-Other: no\r\n\r\n";
    let one = unsigned(section, &hash(&[]), &terms(&domain, Algorithm::RsaSha256));
    let input = String::from_utf8(one.input().to_vec()).unwrap();
    assert!(
        input.starts_with("from:a@contoso.test\r\nto:c@x.test\r\nto:b@x.test\r\n"),
        "{input}"
    );
    let field = one.complete(b"signature").replace("\r\n", "");
    let (_, names) = field.split_once("h=").unwrap();
    let names = names.split(';').next().unwrap().replace(' ', "");
    let count = |name: &str| names.split(':').filter(|one| *one == name).count();
    for (name, expected) in [
        ("From", 2),
        ("To", 3),
        ("Subject", 1),
        ("List-Id", 2),
        ("List-Unsubscribe", 0),
        ("X-Other", 0),
        ("Received", 0),
    ] {
        assert_eq!(count(name), expected, "{name}: {names}");
    }
    assert!(!field.contains(" l="), "{field}");
}

#[test]
fn the_field_is_folded_and_its_own_form_ends_with_an_empty_b() {
    let domain = Domain::parse("a-rather-long-name-of-a-domain.contoso.test").unwrap();
    let one = unsigned(
        b"From: a\r\n",
        &hash(&[]),
        &terms(&domain, Algorithm::Ed25519Sha256),
    );
    assert!(
        one.input().ends_with(b"; b="),
        "{:?}",
        String::from_utf8_lossy(one.input())
    );
    let input = String::from_utf8(one.input().to_vec()).unwrap();
    assert!(
        input.contains("t=1795514400; h=From:From:Sender"),
        "{input}"
    );
    for length in [1, 64, 256] {
        let field = one.clone().complete(&vec![7; length]);
        assert!(
            field.ends_with("\r\n") && field.starts_with("DKIM-Signature: v=1; "),
            "{field}"
        );
        for line in field.trim_end().split("\r\n") {
            assert!(line.len() <= 78 && !line.trim().is_empty(), "{line:?}");
        }
        for line in field.trim_end().split("\r\n").skip(1) {
            assert!(line.starts_with(' '), "{line:?}");
        }
        let (_, signature) = field.split_once(" b=").unwrap();
        assert!(!signature.starts_with([' ', '\r']), "{field}");
        let signature = signature.replace(['\r', '\n', ' '], "");
        assert_eq!(STANDARD.decode(signature).unwrap(), vec![7; length]);
    }
}

proptest! {
    #[test]
    fn any_body_in_any_pieces_is_hashed_as_the_model_relaxes_it(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                &b"\r\n"[..], b"\r\n", b" ", b"\t", b"  ", b"\r", b"\n", b"a", b"bc", b"\xe9",
                b".\r\n",
            ]),
            0..60,
        ),
        cuts in proptest::collection::vec(0_usize..120, 0..6),
    ) {
        let body = words.concat();
        let relaxed = relaxed_body(&body);
        prop_assert_eq!(&relaxed, &model(&body));
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.push(body.len());
        cuts.sort_unstable();
        let mut hasher = BodyHasher::new();
        let mut begun = 0;
        for cut in cuts {
            hasher.update(&body[begun..cut]);
            begun = cut;
        }
        prop_assert_eq!(hasher.finish(), hash(&[&body]));
        // What is relaxed stays as it is.
        prop_assert_eq!(relaxed_body(&relaxed), relaxed);
    }
}
