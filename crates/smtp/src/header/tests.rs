//! Header sections: what is read, what is changed, what stays to the octet.

use super::*;

#[test]
fn only_no_says_that_tls_is_not_required() {
    for (section, says) in [
        ("TLS-Required: No\r\n\r\n", true),
        ("Subject: x\r\ntls-required:\r\n no \r\n\r\n", true),
        ("TLS-Required: No\r\nTLS-Required: No\r\n\r\n", true),
        ("TLS-Required: No\r\nTLS-Required: Yes\r\n\r\n", false),
        ("TLS-Required: Yes\r\n\r\n", false),
        ("TLS-Required:\r\n\r\n", false),
        ("TLS-Required: Nothing\r\n\r\n", false),
        ("Subject: TLS-Required: No\r\n\r\n", false),
        ("Subject: x\r\n\r\nTLS-Required: No\r\n", false),
    ] {
        assert_eq!(
            says_tls_is_not_required(section.as_bytes()),
            says,
            "{section}"
        );
    }
}
use crate::identifier::QueueId;
use crate::time::Timestamp;

fn summary(section: &str) -> HeaderSummary {
    read(section.as_bytes())
}

/// The addresses of a From field, `None` where it cannot be read.
fn from(value: &str) -> Option<Vec<String>> {
    match summary(&format!("From: {value}\r\n\r\n")).from {
        FromField::Addresses(list) => Some(list.iter().map(ToString::to_string).collect()),
        FromField::Unreadable => None,
        FromField::Missing => panic!("there is a From field"),
    }
}

fn subject(value: &[u8]) -> String {
    let section = [b"Subject: ", value, b"\r\n\r\n"].concat();
    read(&section).subject.expect("there is a subject")
}

#[test]
fn a_mailbox_line_is_one_only_where_a_field_follows() {
    let cases: [(&str, MailboxLine); 12] = [
        ("From x Tue\r\nSubject: a\r\n", MailboxLine::Octets(12)),
        (">From x\r\nSubject : a\r\n", MailboxLine::Octets(9)),
        ("From x\r\nSubject: a", MailboxLine::Unknown),
        ("From x\r\n", MailboxLine::Unknown),
        ("From x", MailboxLine::Unknown),
        ("From x\r\nnot a field\r\n", MailboxLine::None),
        ("From x\r\n\r\nSubject: a\r\n", MailboxLine::None),
        ("From x\r\n Subject: a\r\n", MailboxLine::None),
        ("From: x\r\nSubject: a\r\n", MailboxLine::None),
        ("From : x\r\nSubject: a\r\n", MailboxLine::None),
        ("from x\r\nSubject: a\r\n", MailboxLine::None),
        ("", MailboxLine::None),
    ];
    for (content, expected) in cases {
        assert_eq!(mailbox_line(content.as_bytes()), expected, "{content:?}");
    }
}

#[test]
fn a_nul_hides_a_line_only_where_it_is_no_field() {
    for hidden in [
        "Fr\0om: x\r\n",
        "\0From: x\r\n",
        "From\0: x\r\n",
        "\0\r\n",
        "x\0\r\n",
    ] {
        let section = format!("Subject: a\r\n{hidden}\r\n");
        assert!(summary(&section).has_hidden_line, "{hidden:?}");
    }
    for fine in ["X: a\0b\r\n", "X: a\r\n b\0c\r\n", "no field\r\n", ""] {
        let section = format!("Subject: a\r\n{fine}\r\nbody\0\r\n");
        assert!(!summary(&section).has_hidden_line, "{fine:?}");
    }
}

#[test]
fn a_from_field_that_is_ambiguous_or_has_no_address_is_not_read() {
    let bad = [
        "",
        "scan",
        "<>",
        "<scan>",
        "<a@b.example",
        "a@b.example>",
        "<a@b.example> x",
        "<a@b.example> <c@d.example>",
        "a@b.example <c@d.example",
        "(a@b.example",
        "\"a@b.example",
        "a b@c.example",
        "a@b@c.example",
        "x:;",
        "a@b.example: c@d.example;",
        "a@b..example",
        "<<a@b.example>>",
        "a\\@b.example",
        "a@b.example, <x>",
        "\u{0}a@b.example",
        "a@[192.0.2.999]",
        "<@:a@b.example>",
    ];
    for value in bad {
        assert_eq!(from(value), None, "{value:?}");
    }
    let deep = format!("{}{} a@b.example", "(".repeat(40), ")".repeat(40));
    assert_eq!(from(&deep), None);
    let many: Vec<String> = (0..101).map(|n| format!("a{n}@b.example")).collect();
    assert_eq!(from(&many.join(",")), None);
    assert_eq!(from(&many[1..].join(",")).map(|list| list.len()), Some(100));
}

#[test]
fn from_fields_as_programs_and_devices_write_them_are_read() {
    let good: [(&str, &[&str]); 24] = [
        ("scan@contoso.test", &["scan@contoso.test"]),
        (" <scan@contoso.test> ", &["scan@contoso.test"]),
        ("Scanner <scan@contoso.test>", &["scan@contoso.test"]),
        (
            "\"Scanner, 2nd floor\" <scan@contoso.test>",
            &["scan@contoso.test"],
        ),
        (
            "\"a \\\" <x@y.example>\" <scan@contoso.test>",
            &["scan@contoso.test"],
        ),
        ("J. R. Smith <scan@contoso.test>", &["scan@contoso.test"]),
        ("Müller, Hans <scan@contoso.test>", &["scan@contoso.test"]),
        ("Copy [2] & Fax <scan@contoso.test>", &["scan@contoso.test"]),
        (
            "scan@contoso.test (Scanner (old) \\) x)",
            &["scan@contoso.test"],
        ),
        ("(x) scan (y) @ (z) contoso . test", &["scan@contoso.test"]),
        (
            "Scanner <scan (x) @contoso.test> (y)",
            &["scan@contoso.test"],
        ),
        (
            "=?utf-8?Q?M=C3=BCller?= <scan@contoso.test>",
            &["scan@contoso.test"],
        ),
        ("Scanner\r\n <scan@contoso.test>", &["scan@contoso.test"]),
        (
            "<@a.example,@b.example:scan@contoso.test>",
            &["scan@contoso.test"],
        ),
        ("\"a b\"@contoso.test", &["\"a b\"@contoso.test"]),
        ("scan@[192.0.2.1]", &["scan@[192.0.2.1]"]),
        ("zoë@bücher.example", &["zoë@xn--bcher-kva.example"]),
        (
            "a@b.example, C <c@d.example>,",
            &["a@b.example", "c@d.example"],
        ),
        (
            "Team: a@b.example, C <c@d.example>;",
            &["a@b.example", "c@d.example"],
        ),
        ("a@b.example; c@d.example", &["a@b.example", "c@d.example"]),
        // An address without quotes before the brackets could be shown: it counts.
        (
            "boss@bank.example <scan@contoso.test>",
            &["scan@contoso.test", "boss@bank.example"],
        ),
        (
            "scan@contoso.test <scan@contoso.test>",
            &["scan@contoso.test"],
        ),
        (
            "\"boss@bank.example\" <scan@contoso.test>",
            &["scan@contoso.test"],
        ),
        ("Foo @ Bar GmbH <scan@contoso.test>", &["scan@contoso.test"]),
    ];
    for (value, expected) in good {
        assert_eq!(
            from(value).as_deref(),
            Some(&*expected.map_to_strings()),
            "{value:?}"
        );
    }
    let latin1 = read(b"From: M\xfcller <scan@contoso.test>\r\n\r\n").from;
    assert!(matches!(latin1, FromField::Addresses(list) if list.len() == 1));
    assert_eq!(
        read(b"From: m\xfcller@contoso.test\r\n\r\n").from,
        FromField::Unreadable
    );
}

trait MapToStrings {
    fn map_to_strings(&self) -> Vec<String>;
}

impl MapToStrings for [&str] {
    fn map_to_strings(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[test]
fn several_from_fields_are_unreadable_and_none_is_missing() {
    let twice = "From: a@b.example\r\nTo: x\r\nfrom : a@b.example\r\n\r\n";
    assert_eq!(summary(twice).from, FromField::Unreadable);
    assert_eq!(
        summary("To: a@b.example\r\n\r\nFrom: a@b.example\r\n").from,
        FromField::Missing
    );
    assert_eq!(summary("").from, FromField::Missing);
    // Behind a line that is no field, some servers see fields and some do not: so do we.
    let hidden = "From: a@b.example\r\nno field\r\n continued\r\nFROM: c@d.example\r\n\r\n";
    assert_eq!(summary(hidden).from, FromField::Unreadable);
}

#[test]
fn the_rest_of_the_summary_is_read() {
    let section = "Received: a\r\nRECEIVED: b\r\n\tfolded\r\nSender: S <s@b.example>\r\n\
        Message-Id: <1@b.example>\r\n\
        Message-ID: <2@b.example>\r\nDate: x\r\nMime-Version: 1.0\r\nContent-type: text/plain\r\n\
        Auto-Submitted: auto-generated; x\r\nX-Received: c\r\n\r\nReceived: d\r\n";
    let summary = summary(section);
    assert_eq!(summary.received_count, 2);
    assert_eq!(
        summary.sender.map(|sender| sender.to_string()).as_deref(),
        Some("s@b.example")
    );
    assert_eq!(summary.message_id.as_deref(), Some("1@b.example"));
    assert!(summary.has_date && summary.has_mime_version && summary.has_mime_fields);
    assert!(summary.is_automatic);
}

#[test]
fn automatic_messages_are_told_from_others() {
    for (section, expected) in [
        ("Auto-Submitted: no\r\n", false),
        ("Auto-Submitted: No (really)\r\n", false),
        ("Auto-Submitted: auto-replied\r\n", true),
        ("Precedence: BULK\r\n", true),
        ("Precedence: list\r\n", true),
        ("Precedence: first-class\r\n", false),
        ("Subject: x\r\n", false),
    ] {
        assert_eq!(summary(section).is_automatic, expected, "{section}");
    }
}

#[test]
fn a_message_id_is_kept_without_brackets_or_not_at_all() {
    let id = |value: &str| summary(&format!("Message-ID: {value}\r\n")).message_id;
    assert_eq!(id(""), None);
    assert_eq!(id("<>"), None);
    assert_eq!(id("<a\u{7}b>"), None);
    assert_eq!(id(&format!("<{}>", "x".repeat(999))), None);
    assert_eq!(id("\r\n <a@b> (x)").as_deref(), Some("a@b"));
    assert_eq!(id("a@b").as_deref(), Some("a@b"));
    assert_eq!(id("<a@b").as_deref(), Some("a@b"));
}

#[test]
fn subjects_are_decoded_for_people() {
    let cases: [(&[u8], &str); 20] = [
        (b"Scan 1", "Scan 1"),
        (b"=?utf-8?Q?Num=C3=A9ris=C3=A9?=", "Numérisé"),
        (b"=?UTF-8?B?TnVtw6lyaXPDqQ==?= 2", "Numérisé 2"),
        (b"=?UTF-8?b?TnVtw6lyaXPDqQ?=", "Numérisé"),
        (b"=?iso-8859-1?q?Gr=FC=DFe_aus?= K=?", "Grüße aus K=?"),
        (b"=?windows-1252?Q?=80_5=96?=", "€ 5–"),
        (b"=?ISO-8859-15?Q?=A4?=", "€"),
        (b"=?utf-8*fr?Q?=C3=A9?=", "é"),
        (b"=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"),
        (b"=?utf-8?Q?a?=\r\n  =?iso-8859-1?Q?=E9?=", "aé"),
        (b"=?utf-8?Q?a_?= b", "a  b"),
        // One character, spread over two words.
        (b"=?utf-8?B?w4M=?= =?utf-8?Q?=C3?= =?utf-8?Q?=A9?=", "Ãé"),
        (b"=?koi8-r?Q?=C3?=", "=?koi8-r?Q?=C3?="),
        (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
        (b"=?utf-8?Q?=C?=", "=?utf-8?Q?=C?="),
        (b"=?utf-8?B?*?=", "=?utf-8?B?*?="),
        (b"=?utf-8?Q?=FF?=", "\u{fffd}"),
        (b"gr\xfc\xdfe", "grüße"),
        ("déjà".as_bytes(), "déjà"),
        (b"a\tb =?utf-8?Q?=0D=0A=00x?=", "a b    x"),
    ];
    for (value, expected) in cases {
        assert_eq!(
            subject(value),
            expected,
            "{:?}",
            String::from_utf8_lossy(value)
        );
    }
    assert_eq!(subject(&b"x".repeat(100_000)).len(), SUBJECT_CHARACTERS_MAX);
    assert_eq!(subject(b"folded\r\n\tsubject"), "folded subject");
}

#[test]
fn the_header_section_ends_at_the_empty_line() {
    let cases: [(&str, Option<usize>); 16] = [
        ("", None),
        ("\r", None),
        ("\r\n", Some(2)),
        ("\r\nFrom: x\r\n\r\n", Some(2)),
        ("From", None),
        ("From ", None),
        ("From: x", None),
        ("From: x\r\n", None),
        ("From: x\r\n\r", None),
        ("From: x\r\n\r\nbody", Some(11)),
        ("From : x\r\n\r\n", Some(12)),
        ("From x\r\n\r\n", Some(0)),
        ("Hello world\r\n\r\n", Some(0)),
        (" x: y\r\n", Some(0)),
        (": y\r\n", Some(0)),
        ("é: y\r\n", Some(0)),
    ];
    for (content, expected) in cases {
        assert_eq!(
            header_section_end(content.as_bytes()),
            expected,
            "{content:?}"
        );
    }
    assert_eq!(header_section_end(b"word\r\nFrom: x\r\n\r\n"), Some(0));
}

fn received(helo: &str, change: impl FnOnce(&mut Received<'_>)) -> String {
    let time = Timestamp::from_millis(1_795_514_400_123);
    let mut field = Received {
        helo,
        address: "192.0.2.9".parse().expect("an address"),
        hostname: "relay.contoso.test",
        protocol: "ESMTP",
        tls: None,
        queue_id: QueueId::new(time, 1, 1),
        recipient: None,
        time,
    };
    change(&mut field);
    let mut out = Vec::new();
    field.write_to(&mut out);
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn received_is_written_as_rfc_5321_has_it() {
    let anna = Mailbox::parse("anna@contoso.test").expect("a mailbox");
    let id = QueueId::new(Timestamp::from_millis(1_795_514_400_123), 1, 1);
    let field = received("scan2.contoso.test", |_| {});
    assert_eq!(
        field,
        format!(
            "Received: from scan2.contoso.test ([192.0.2.9])\r\n\t\
             by relay.contoso.test with ESMTP id {id};\r\n\t\
             Tue, 24 Nov 2026 10:00:00 +0000\r\n"
        )
    );
    let mut out = Vec::new();
    let full = Received {
        helo: "[IPv6:2001:db8::9]",
        address: "::ffff:192.0.2.9".parse().expect("an address"),
        hostname: "relay.contoso.test",
        protocol: "ESMTPS",
        tls: Some("TLS1.3 TLS_AES_256_GCM_SHA384"),
        queue_id: id,
        recipient: Some(&anna),
        time: Timestamp::from_millis(1_795_514_400_123),
    };
    full.write_to(&mut out);
    assert_eq!(
        String::from_utf8_lossy(&out),
        format!(
            "Received: from [IPv6:2001:db8::9] ([192.0.2.9])\r\n\t\
             by relay.contoso.test with ESMTPS \
             (TLS1.3 TLS_AES_256_GCM_SHA384) id {id}\r\n\t\
             for <anna@contoso.test>; \
             Tue, 24 Nov 2026 10:00:00 +0000\r\n"
        )
    );
}

#[test]
fn no_greeting_name_can_write_into_the_field() {
    for (helo, expected) in [
        ("", "unknown"),
        ("a b", "a-b"),
        ("x (evil)\r\nBcc: y", "x--evil---Bcc--y"),
        ("FE80::1", "FE80--1"),
        ("[192.0.2.9", "-192.0.2.9"),
        ("bücher.example", "b-cher.example"),
        ("scan_2", "scan_2"),
    ] {
        let field = received(helo, |_| {});
        assert!(
            field.starts_with(&format!("Received: from {expected} ([")),
            "{field}"
        );
        assert_eq!(field.matches("\r\n").count(), 3, "{field}");
    }
    assert!(
        received(&"x".repeat(100_000), |_| {})
            .lines()
            .all(|line| line.len() < 400)
    );
    let v6 = received("a", |field| {
        field.address = "2001:db8::9".parse().expect("an address")
    });
    assert!(v6.contains("([IPv6:2001:db8::9])"), "{v6}");
}

#[test]
fn a_recipient_in_utf8_is_shown_only_in_an_smtputf8_transaction() {
    let zoe = Mailbox::parse("zoë@contoso.test").expect("a mailbox");
    for (protocol, shown) in [("ESMTP", false), ("UTF8SMTP", true)] {
        let time = Timestamp::from_millis(0);
        let field = Received {
            helo: "a",
            address: "192.0.2.9".parse().expect("an address"),
            hostname: "b",
            protocol,
            tls: None,
            queue_id: QueueId::new(time, 1, 1),
            recipient: Some(&zoe),
            time,
        };
        let mut out = Vec::new();
        field.write_to(&mut out);
        assert_eq!(String::from_utf8_lossy(&out).contains("for <zoë@"), shown);
    }
}

fn changed(section: &str, changes: &[FieldChange<'_>]) -> String {
    String::from_utf8(change(section.as_bytes(), changes)).expect("UTF-8")
}

#[test]
fn changes_touch_nothing_but_their_fields() {
    let section = "From : a@b.example\r\n (x)\r\nno field\r\nTo:  c\r\nfrom: d\r\n\r\n";
    assert_eq!(changed(section, &[]), section);
    assert_eq!(
        changed(section, &[FieldChange::Remove("FROM")]),
        "no field\r\nTo:  c\r\n\r\n"
    );
    assert_eq!(
        changed(
            section,
            &[FieldChange::Rename {
                from: "From",
                to: "Reply-To"
            }]
        ),
        "Reply-To : a@b.example\r\n (x)\r\nno field\r\nTo:  c\r\nReply-To: d\r\n\r\n"
    );
    let both = [
        FieldChange::Add("From: e@f.example"),
        FieldChange::Remove("To"),
        FieldChange::Rename {
            from: "From",
            to: "X-From",
        },
        FieldChange::Add("Date: x"),
    ];
    assert_eq!(
        changed("To: c\r\nFrom: d\r\n", &both),
        "From: e@f.example\r\nDate: x\r\nX-From: d\r\n"
    );
}

#[test]
fn content_without_a_header_section_gets_one_that_ends() {
    assert_eq!(changed("", &[]), "\r\n");
    assert_eq!(
        changed("", &[FieldChange::Add("Date: x")]),
        "Date: x\r\n\r\n"
    );
    assert_eq!(
        changed("\r\n", &[FieldChange::Add("Date: x")]),
        "Date: x\r\n\r\n"
    );
}

proptest::proptest! {
    #[test]
    fn no_octets_make_the_reader_panic(
        octets in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        text in "(From|Subject|Sender|Message-ID): [ -~\r\n=?<>@,;:()\"\\\\é]{0,80}",
    ) {
        read(&octets);
        header_section_end(&octets);
        let expected = if octets.is_empty() { b"\r\n" } else { &*octets };
        proptest::prop_assert_eq!(&*change(&octets, &[]), expected);
        read(text.as_bytes());
    }

    #[test]
    fn an_address_between_brackets_is_read_whatever_its_display_name(
        name in "[ -~]{0,30}",
        local in "[a-z]{1,8}",
    ) {
        let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
        let value = format!("\"{escaped}\" <{local}@contoso.test>");
        proptest::prop_assert_eq!(from(&value), Some(vec![format!("{local}@contoso.test")]));
    }
}

#[test]
fn results_in_our_name_are_found_behind_comments_and_in_quotes() {
    for (value, is_ours) in [
        ("relay.contoso.test; dmarc=pass", true),
        (" RELAY.contoso.test/1; dmarc=pass", true),
        ("(x) relay.contoso.test; dmarc=pass", true),
        ("(a(b\\))c)\r\n (d)relay.contoso.test(e); dmarc=pass", true),
        ("\"relay.conto\\so.test\"; dmarc=pass", true),
        ("(relay.contoso.test) other.example; dmarc=pass", false),
        ("(never ends relay.contoso.test; dmarc=pass", false),
        ("relay.contoso.test.example; dmarc=pass", false),
    ] {
        let section = format!("Authentication-Results: {value}\r\nSubject: x\r\n\r\n");
        let left = without_results_of(section.as_bytes(), "relay.contoso.test");
        assert_eq!(left.is_some(), is_ours, "{value}");
    }
}
