//! Names and types as programs, and those who want to hide them, write them.

use proptest::prelude::*;

use super::*;

/// All parts, with the content in pieces of so many octets.
fn parts_in(content: &str, size: usize) -> (Vec<Part>, Structure) {
    let mut parts = Parts::default();
    for piece in content.replace('\n', "\r\n").as_bytes().chunks(size) {
        parts.take(piece);
    }
    parts.finish()
}

fn parts(content: &str) -> Vec<Part> {
    let (found, structure) = parts_in(content, 4_096);
    assert_eq!(structure, Structure::Seen);
    found
}

fn types(content: &str) -> Vec<String> {
    parts(content)
        .into_iter()
        .map(|part| part.content_type)
        .collect()
}

fn names(field: &str) -> Vec<String> {
    let content = format!("Content-Type: application/x\n{field}\n\nbody\n");
    parts(&content).remove(0).names
}

const NESTED: &str = "Subject: x\nContent-Type: multipart/mixed; boundary=\"a b\"\n\npreamble\n\
    --a b\nContent-Type: multipart/alternative; boundary=inner\n\n--inner\n\
    Content-Type: text/plain\n\nhello\n--inner\nContent-Type: text/html\n\n<p>\n--inner--\n\
    --a b\nContent-Type: message/rfc822\n\nSubject: within\n\
    Content-Type: multipart/mixed; boundary=deep\n\n--deep\nContent-Type: application/zip\n\
    Content-Disposition: attachment; filename=\"evil.zip\"\n\nPK\n--deep--\n--a b--\nepilogue\n";

#[test]
fn parts_are_seen_in_multiparts_and_in_messages_within() {
    assert_eq!(
        types(NESTED),
        [
            "multipart/mixed",
            "multipart/alternative",
            "text/plain",
            "text/html",
            "message/rfc822",
            "multipart/mixed",
            "application/zip"
        ]
    );
    assert_eq!(parts(NESTED)[6].names, ["evil.zip"]);
}

#[test]
fn every_way_to_write_a_name_is_read() {
    for field in [
        "Content-Disposition: attachment; filename=evil.exe",
        "Content-Disposition: attachment; filename=\"EVIL.EXE\"",
        "content-disposition: attachment;\n\tfilename=\"evil.exe\"; size=3",
        "Content-Disposition: attachment; filename=\"ev\\il.exe\"",
        "Content-Disposition: attachment; filename*=UTF-8''evil%2Eexe",
        "Content-Disposition: attachment; filename*0=ev; filename*1=\"il.exe\"",
        "Content-Disposition: attachment; filename*1*=il%2eexe; filename*0*=utf-8'en'ev",
        "Content-Disposition: attachment; filename*0=evil.exe; filename*0=ok.txt",
        "Content-Disposition: attachment; filename=\"=?utf-8?B?ZXZpbC5leGU=?=\"",
        "Content-Disposition: attachment; x=\"a;b\"; filename = evil.exe ",
        "Content-Disposition: attachment; filename=ok.txt; filename=evil.exe",
        "Content-Disposition: attachment; filename=ok.txt\nContent-Type: a/b; name=evil.exe",
    ] {
        let found = names(field);
        assert!(
            found.iter().any(|name| name == "evil.exe"),
            "{field}: {found:?}"
        );
    }
    assert_eq!(names("Content-Disposition: attachment"), [""; 0]);
}

#[test]
fn a_boundary_in_a_header_section_and_a_missing_end_hide_no_part() {
    let cut_off = "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\
        --x\nContent-Disposition: attachment; filename=evil.exe";
    let found = parts(cut_off);
    assert_eq!(found.len(), 3);
    assert_eq!(found[2].names, ["evil.exe"]);
}

#[test]
fn what_is_nested_or_parted_beyond_measure_is_said_to_be_unseen() {
    let mut deep = String::new();
    for depth in 0..100 {
        let line =
            alloc::format!("Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n");
        deep.push_str(&line);
    }
    assert_eq!(parts_in(&deep, 4_096).1, Structure::Unseen);
    let messages = "Content-Type: message/rfc822\n\n".repeat(100);
    assert_eq!(parts_in(&messages, 4_096).1, Structure::Unseen);
    let many = "--x\nContent-Type: text/plain\n\na\n".repeat(2_000);
    let many = alloc::format!("Content-Type: multipart/mixed; boundary=x\n\n{many}");
    let (found, structure) = parts_in(&many, 4_096);
    assert_eq!((found.len(), structure), (PARTS_MAX, Structure::Unseen));
    let long = alloc::format!(
        "Content-Type: a/b; x={}\n\n",
        "y".repeat(SECTION_OCTETS_MAX)
    );
    assert_eq!(parts_in(&long, 4_096).1, Structure::Unseen);
}

#[test]
fn boundaries_and_names_beyond_measure_are_said_to_be_unseen_and_cost_no_more_time() {
    let fields: String = (0..BOUNDARIES_MAX + 1)
        .map(|n| alloc::format!("Content-Type: multipart/a; boundary=b{n}\n"))
        .collect();
    let many = alloc::format!("{fields}\n--b1\nContent-Type: a/b; name=late.txt\n\n");
    let (found, structure) = parts_in(&many, 4_096);
    assert_eq!(structure, Structure::Unseen);
    // What comes behind is passed over: no line is compared with thousands of boundaries.
    assert_eq!(found.len(), 1);
    for field in [
        alloc::format!("Content-Type: multipart/a; boundary={}", "x".repeat(300)),
        alloc::format!("Content-Type: a/b; name={}.exe", "x".repeat(5_000)),
        alloc::format!("Content-Type: a/b; name={}", "=?a?Q? ".repeat(10_000)),
    ] {
        let content = alloc::format!("{field}\n\n");
        assert_eq!(
            parts_in(&content, 4_096).1,
            Structure::Unseen,
            "{field:.60}"
        );
    }
}

/// Whether an attachment with this name is found, or the message said to be unseen.
fn does_not_hide(content: &str) -> bool {
    let (found, structure) = parts_in(content, 4_096);
    let mut names = found.iter().flat_map(|part| &part.names);
    structure == Structure::Unseen || names.any(|name| name == "evil.exe")
}

const EVIL: &str = "Content-Disposition: attachment; filename=evil.exe\n\nMZ\n";

#[test]
fn a_boundary_in_any_form_parts_a_message() {
    for kind in [
        "multipart/mixed; boundary=abcd",
        "multipart/mixed; boundary*0=ab; boundary*1=cd",
        "multipart/mixed; boundary*0*=utf-8''ab; boundary*1*=%63d",
        "multipart/mixed; boundary*=utf-8''ab%63d",
        "multipart/mixed; boundary=other; boundary=abcd",
        "multipart/mixed; boundary=abcd; boundary=other",
        "multipart/mixed; boundary*0=ab; boundary*1=xx; boundary*1=cd",
        "multipart/mixed; boundary*0=ab; boundary*1=cd; boundary*1=xx",
        "(x) multipart/mixed; boundary=abcd",
        "(x (y\\)) \"z\") multipart/mixed; boundary=(a)abcd",
        "multipart / mixed; boundary=abcd",
        "multipart/mixed; boundary=abcd (x)",
    ] {
        let content = alloc::format!("Content-Type: {kind}\n\n--abcd\n{EVIL}--abcd--\n");
        let (found, structure) = parts_in(&content, 4_096);
        assert_eq!(structure, Structure::Seen, "{kind}");
        assert_eq!(found[1].names, ["evil.exe"], "{kind}");
    }
}

#[test]
fn what_others_may_read_and_we_do_not_is_said_to_be_unseen() {
    let dummies: String = (0..300).map(|n| alloc::format!(" x{n}=y;")).collect();
    for content in [
        alloc::format!("Content-Disposition: attachment;{dummies} filename=evil.exe\n\n"),
        alloc::format!("Content-Type: multipart/mixed;{dummies} boundary=ab\n\n--ab\n{EVIL}"),
        alloc::format!("Content-Type: multipart/mixed\n\n--ab\n{EVIL}"),
        alloc::format!("Content-Type: multipart/mixed; boundary=\"\"\n\n--\n{EVIL}"),
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: BASE64\n\nQ29u\n".into(),
        "Content-Transfer-Encoding: (x) quoted-printable\n\
         Content-Type: multipart/mixed; boundary=ab\n\n=2D-ab\n"
            .into(),
        "Content-Type: text/plain\nContent-Type: message/rfc822\n\
         Content-Transfer-Encoding: base64\n\nQ29u\n"
            .into(),
        alloc::format!(
            "Content-Type: multipart/mixed; boundary=ab\n\n--ab--{}x\n--ab\n{EVIL}",
            " ".repeat(400)
        ),
    ] {
        let structure = parts_in(&content, 4_096).1;
        assert_eq!(structure, Structure::Unseen, "{content:.80}");
        assert!(does_not_hide(&content));
    }
    for content in [
        alloc::format!("Content-Type: a/b\nContent-Type: message/rfc822\n\n{EVIL}"),
        "Content-Disposition: attachment; filename=evil.exe (a name)\n\n".into(),
        "Content-Disposition: (a) attachment; filename=(b)\"evil.exe\"\n\n".into(),
    ] {
        assert!(does_not_hide(&content), "{content}");
    }
    for encoding in ["7bit", "8BIT", "binary", " 7bit (plain) "] {
        let content = alloc::format!(
            "Content-Transfer-Encoding: {encoding}\n\
             Content-Type: multipart/mixed; boundary=ab\n\n--ab\n\nx\n"
        );
        assert_eq!(parts_in(&content, 4_096).1, Structure::Seen, "{encoding}");
    }
}

proptest! {
    #[test]
    fn the_size_of_the_pieces_changes_nothing(size in 1_usize..200) {
        prop_assert_eq!(parts_in(NESTED, size), parts_in(NESTED, 100_000));
    }

    #[test]
    fn no_content_makes_it_panic_or_hold_much(octets in prop::collection::vec(
        prop::sample::select(vec![
            &b"--x\r\n"[..], b"\r\n", b"Content-Type: multipart/a; ", b"boundary=x",
            b"message/rfc822", b"\xff;=\"'%*0", b"a",
        ]),
        0..200,
    )) {
        let mut parts = Parts::default();
        for piece in &octets {
            parts.take(piece);
        }
        let (found, _) = parts.finish();
        prop_assert!(found.len() <= PARTS_MAX);
    }
}
