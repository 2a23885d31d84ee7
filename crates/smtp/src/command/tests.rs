//! Command lines, good and bad: what each becomes.

use super::*;
use crate::address::Mailbox;
use crate::envelope::{Body, Ret};

const ARGUMENTS: Refusal = Refusal::Syntax(SyntaxFault::Arguments);
const LINE: Refusal = Refusal::Syntax(SyntaxFault::Line);
const UNKNOWN: Refusal = Refusal::Syntax(SyntaxFault::UnknownCommand);

fn strict(line: &str) -> Result<Command, Refusal> {
    let parsed = parse(line.as_bytes(), Preset::Strict).map_err(|error| error.refusal)?;
    assert_eq!(parsed.repair, None, "strict repairs nothing: {line}");
    Ok(parsed.command)
}

fn tolerant(line: &str) -> Result<(Command, Option<Repair>), Refusal> {
    let parsed = parse(line.as_bytes(), Preset::Tolerant).map_err(|error| error.refusal)?;
    Ok((parsed.command, parsed.repair))
}

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a mailbox")
}

fn sender(line: &str) -> String {
    match strict(line) {
        Ok(Command::Mail { reverse_path, .. }) => reverse_path.to_string(),
        other => panic!("{line}: {other:?}"),
    }
}

fn recipient(line: &str) -> (Option<Notify>, Option<OriginalRecipient>) {
    match strict(line) {
        Ok(Command::Rcpt {
            notify, original, ..
        }) => (notify, original),
        other => panic!("{line}: {other:?}"),
    }
}

fn parameters(text: &str) -> Result<SenderParameters, Refusal> {
    match strict(&format!("MAIL FROM:<a@b.example>{text}"))? {
        Command::Mail { parameters, .. } => Ok(parameters),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_that_are_no_command_are_refused() {
    for line in [
        "",
        " ",
        " NOOP",
        "XYZZY",
        "EHLOX a",
        "LHLO a.example",
        "STARTTLSX",
        "GET / HTTP/1.1",
        "É",
        "MAILFROM:<>",
    ] {
        assert_eq!(strict(line), Err(UNKNOWN), "{line:?}");
        assert_eq!(tolerant(line), Err(UNKNOWN), "{line:?}");
    }
    for line in ["NO\0OP", "NOOP\0", "NOOP a\rb", "NOOP\r", "NO\nOP"] {
        assert_eq!(strict(line), Err(LINE), "{line:?}");
        assert_eq!(tolerant(line), Err(LINE), "{line:?}");
    }
}

#[test]
fn commands_without_arguments_take_none() {
    for line in ["DATA x", "RSET x", "QUIT now", "STARTTLS x", "VRFY"] {
        assert_eq!(strict(line), Err(ARGUMENTS), "{line:?}");
    }
    assert_eq!(strict("dAtA"), Ok(Command::Data));
    assert_eq!(strict("QUIT \t "), Ok(Command::Quit));
    assert_eq!(strict("NOOP what ever"), Ok(Command::Noop));
    assert_eq!(strict("help"), Ok(Command::Help));
    assert_eq!(strict("VRFY anna"), Ok(Command::Vrfy));
    assert_eq!(strict("EXPN list"), Ok(Command::Expn));
    assert_eq!(strict("RSET"), Ok(Command::Rset));
    assert_eq!(strict("starttls"), Ok(Command::StartTls));
    let auth = |initial: Option<&str>| {
        let initial = initial.map(|text| Secret::from(text.as_bytes()));
        let mechanism = "PLAIN".into();
        Ok(Command::Auth { mechanism, initial })
    };
    assert_eq!(strict("AUTH PLAIN AGEAYg=="), auth(Some("AGEAYg==")));
    assert_eq!(strict("auth PLAIN "), auth(None));
    for line in [
        "AUTH",
        "AUTH PLAIN a b",
        "AUTH =PLAIN",
        "AUTH ABCDEFGHIJKLMNOPQRSTU",
    ] {
        assert_eq!(strict(line), Err(arguments_fault()), "{line}");
    }
}

#[test]
fn a_greeting_name_is_a_domain_or_an_address_literal() {
    let bad = [
        "",
        "a b",
        "-a.example",
        "a..b",
        "a/b",
        "[192.0.2]",
        "[IPv6:zz]",
        "FE80::1",
        "[tag:]",
        "[192.0.2.1",
        "ä.example",
        "[192.0.2.1] x",
    ];
    for name in bad {
        for verb in ["HELO", "EHLO"] {
            let line = format!("{verb} {name}");
            assert_eq!(strict(&line), Err(ARGUMENTS), "{line:?}");
            let (command, repair) = tolerant(&line).expect("any form");
            let expected = Command::Hello {
                name: name.into(),
                extended: verb == "EHLO",
            };
            assert_eq!(
                (command, repair),
                (expected, Some(Repair::HeloSyntax)),
                "{line:?}"
            );
        }
    }
    let good = [
        "localhost",
        "a.example",
        "a.example.",
        "scan_2",
        "[192.0.2.1]",
        "[IPv6:2001:db8::1]",
        "[tag:x]",
    ];
    for name in good {
        let expected = Command::Hello {
            name: name.into(),
            extended: true,
        };
        assert_eq!(strict(&format!("ehlo {name} ")), Ok(expected.clone()));
        assert_eq!(tolerant(&format!("EHLO {name}")), Ok((expected, None)));
    }
}

#[test]
fn a_greeting_name_that_is_not_utf8_is_taken_by_the_tolerant_preset_only() {
    assert!(parse(b"HELO b\xfcro", Preset::Strict).is_err());
    let parsed = parse(b"HELO b\xfcro", Preset::Tolerant).expect("any form");
    assert_eq!(
        parsed.command,
        Command::Hello {
            name: "b\u{fffd}ro".into(),
            extended: false
        }
    );
}

#[test]
fn paths_that_are_not_well_formed_are_refused_with_their_own_token() {
    let long_local = format!("<{}@b.example>", "l".repeat(245));
    let long_path = format!("<{}@{}>", "l".repeat(64), vec!["d".repeat(50); 4].join("."));
    let bad = [
        "",
        "a@b.example",
        " <a@b.example>",
        "<a@b.example",
        "a@b.example>",
        "<a@b.example>x",
        "<a>",
        "<@b.example>",
        "<a@>",
        "<a b@c.example>",
        "<a@b c>",
        "<a@b..example>",
        "<.a@b.example>",
        "<a.@b.example>",
        "<a@[192.0.2.300]>",
        "<a@[IPv6:192.0.2.1]>",
        "<a@-b.example>",
        "<<a@b.example>>",
        "<\"a@b.example>",
        "<\"a\"b@c.example>",
        "<@x:>",
        "<@x,y:a@b.example>",
        "<@x;a@b.example>",
        "<@:a@b.example>",
        "<a@b@c.example>",
        "<a(c)@b.example>",
        "<a\tb@c.example>",
        "< a@b.example>",
        "<a@b.example >",
        &long_local,
        &long_path,
    ];
    for path in bad {
        assert_eq!(
            strict(&format!("MAIL FROM:{path}")),
            Err(Refusal::SenderSyntax),
            "{path:?}"
        );
        assert_eq!(
            strict(&format!("RCPT TO:{path}")),
            Err(Refusal::RecipientSyntax),
            "{path:?}"
        );
    }
    for path in ["<a@192.0.2.1>", "<a@1>", "<a@b.example.１>", "<@x:a@0.1>"] {
        for refused in [
            strict(&format!("RCPT TO:{path}")),
            tolerant(&format!("RCPT TO:{path}")).map(|(command, _)| command),
        ] {
            assert_eq!(refused, Err(Refusal::RecipientSyntax), "{path:?}");
        }
    }
    assert_eq!(strict("RCPT TO:<>"), Err(Refusal::RecipientSyntax));
    assert_eq!(tolerant("RCPT TO: <>"), Err(Refusal::RecipientSyntax));
    assert_eq!(strict("MAIL FROM:<postmaster>"), Err(Refusal::SenderSyntax));
    for line in [
        "MAIL",
        "MAIL FROM",
        "MAIL FROM <a@b.example>",
        "MAIL TO:<a@b.example>",
        "RCPT FROM:<>",
        "RCPT",
    ] {
        assert_eq!(strict(line), Err(ARGUMENTS), "{line:?}");
        assert_eq!(tolerant(line), Err(ARGUMENTS), "{line:?}");
    }
    let latin1 = parse(b"MAIL FROM:<\xe9@b.example>", Preset::Tolerant).expect_err("not UTF-8");
    assert_eq!(
        latin1,
        CommandError {
            verb: Some(Verb::Mail),
            refusal: ARGUMENTS
        }
    );
}

#[test]
fn paths_are_read_and_local_parts_are_never_interpreted() {
    let good = [
        ("<>", ""),
        ("<a@b.example>", "a@b.example"),
        ("<A.b@B.Example.>", "A.b@b.example"),
        ("<a%b.test@c.example>", "a%b.test@c.example"),
        ("<x!y!a@c.example>", "x!y!a@c.example"),
        ("<\"a@b.test\"@c.example>", "\"a@b.test\"@c.example"),
        ("<\"a b\"@c.example>", "\"a b\"@c.example"),
        ("<\"a>b\\\"c\"@c.example>", "\"a>b\\\"c\"@c.example"),
        ("<\"plain\"@c.example>", "plain@c.example"),
        ("<a@[192.0.2.1]>", "a@[192.0.2.1]"),
        ("<a@[IPv6:2001:DB8::1]>", "a@[IPv6:2001:db8::1]"),
        ("<@x.test,@y.test:a@b.example>", "a@b.example"),
        ("<@x:\"a:b\"@b.example>", "\"a:b\"@b.example"),
        ("<a@single>", "a@single"),
    ];
    for (path, expected) in good {
        assert_eq!(sender(&format!("MAIL FROM:{path}")), expected);
        assert_eq!(sender(&format!("mail from:{path} ")), expected);
    }
    let local = "l".repeat(64);
    assert_eq!(
        sender(&format!("MAIL FROM:<{local}@b.example>")),
        format!("{local}@b.example")
    );
}

#[test]
fn the_tolerant_preset_forgives_blanks_and_missing_brackets() {
    let read = |line: &str| match tolerant(line) {
        Ok((
            Command::Mail {
                reverse_path,
                parameters,
                ..
            },
            repair,
        )) => (reverse_path.to_string(), parameters.size, repair),
        other => panic!("{line}: {other:?}"),
    };
    let repaired = Some(Repair::PathSyntax);
    let plain = "a@b.example".to_owned();
    assert_eq!(
        read("MAIL FROM: <a@b.example> SIZE=7"),
        (plain.clone(), Some(7), repaired)
    );
    assert_eq!(
        read("MAIL FROM:a@b.example SIZE=7"),
        (plain.clone(), Some(7), repaired)
    );
    assert_eq!(
        read("MAIL FROM : < a@b.example >  SIZE=7"),
        (plain.clone(), Some(7), repaired)
    );
    assert_eq!(
        read("MAIL FROM:\"a b\"@c.example"),
        ("\"a b\"@c.example".into(), None, repaired)
    );
    assert_eq!(read("MAIL FROM: <>"), (String::new(), None, repaired));
    assert_eq!(read("MAIL FROM:<a@b.example>"), (plain, None, None));
    assert_eq!(tolerant("MAIL FROM:"), Err(Refusal::SenderSyntax));
    assert_eq!(tolerant("MAIL FROM: SIZE=7"), Err(Refusal::SenderSyntax));
    assert_eq!(
        tolerant("MAIL FROM:<a@b.example"),
        Err(Refusal::SenderSyntax)
    );
}

#[test]
fn postmaster_needs_no_domain() {
    for line in ["RCPT TO:<Postmaster>", "rcpt to:<POSTMASTER>"] {
        let Ok(Command::Rcpt { forward_path, .. }) = strict(line) else {
            panic!("{line}")
        };
        assert_eq!(forward_path, ForwardPath::Postmaster);
    }
    let Ok(Command::Rcpt { forward_path, .. }) = strict("RCPT TO:<Postmaster@b.example>") else {
        panic!("has a domain")
    };
    assert_eq!(
        forward_path,
        ForwardPath::Mailbox(mailbox("Postmaster@b.example"))
    );
}

#[test]
fn utf8_in_an_address_is_told() {
    for (line, expected) in [
        ("MAIL FROM:<é@b.example> SMTPUTF8", true),
        ("MAIL FROM:<e@bücher.example> SMTPUTF8", true),
        ("MAIL FROM:<e@b.example> SMTPUTF8", false),
    ] {
        let Ok(Command::Mail {
            utf8, parameters, ..
        }) = strict(line)
        else {
            panic!("{line}")
        };
        assert_eq!((utf8, parameters.smtp_utf8), (expected, true), "{line}");
    }
    assert_eq!(
        sender("MAIL FROM:<é@bücher.example>"),
        "é@xn--bcher-kva.example"
    );
}

#[test]
fn parameters_not_known_get_555_and_bad_ones_501() {
    for (text, keyword) in [
        (" XVERP", "XVERP"),
        (" foo=bar", "FOO"),
        (" NOTIFY=NEVER", "NOTIFY"),
        (" BODY=BINARYMIME", "BODY=BINARYMIME"),
        (" SIZE=1 BY=120;R", "BY"),
    ] {
        assert_eq!(
            parameters(text),
            Err(Refusal::Parameter {
                keyword: keyword.into()
            }),
            "{text:?}"
        );
    }
    let long = format!(" ENVID={}", "e".repeat(101));
    let bad = [
        " SIZE",
        " SIZE=",
        " SIZE=-1",
        " SIZE=1x",
        " SIZE=+1",
        " SIZE=111111111111111111111",
        " SIZE=1 SIZE=1",
        " BODY=9BIT",
        " BODY",
        " BODY=7BIT BODY=7BIT",
        " SMTPUTF8=1",
        " SMTPUTF8 SMTPUTF8",
        " REQUIRETLS=yes",
        " RET=SOME",
        " RET=FULL RET=FULL",
        " ENVID=",
        " ENVID=+0D+0A",
        " ENVID=+G0",
        " ENVID=+4",
        " ENVID=a=b",
        " ENVID=é",
        " =x",
        " -X=1",
        " é=1",
        "  SIZE=1",
        " SIZE=1  BODY=7BIT",
        &long,
    ];
    for text in bad {
        assert_eq!(parameters(text), Err(ARGUMENTS), "{text:?}");
    }
    for text in [
        "ORCPT=a@b",
        "ORCPT=;a@b",
        "ORCPT=rfc822;",
        "ORCPT=rfc822;+0Aa",
        "ORCPT=utf-8;\\x{D800}",
        "ORCPT=utf-8;\\x{0A}",
        "ORCPT=utf-8;\\y",
        "ORCPT=rfc822;é@b",
        "NOTIFY=",
        "NOTIFY=NEVER,DELAY",
        "NOTIFY=NOW",
        "NOTIFY=DELAY NOTIFY=DELAY",
        "NOTIFY=DELAY,",
        "ORCPT=rf c822;a",
    ] {
        let line = format!("RCPT TO:<a@b.example> {text}");
        assert!(
            matches!(strict(&line), Err(ARGUMENTS | Refusal::Parameter { .. })),
            "{line}"
        );
    }
    let long = format!("RCPT TO:<a@b.example> ORCPT=rfc822;{}", "o".repeat(494));
    assert_eq!(strict(&long), Err(ARGUMENTS));
}

#[test]
fn parameters_of_mail_are_read() {
    let read =
        parameters(" size=1000 Body=8bitmime SMTPUTF8 RET=hdrs ENVID=QQ+2B314159 REQUIRETLS");
    let expected = SenderParameters {
        size: Some(1_000),
        body: Body::EightBitMime,
        smtp_utf8: true,
        ret: Some(Ret::Headers),
        envid: Some("QQ+314159".into()),
        require_tls: true,
    };
    assert_eq!(read, Ok(expected));
    assert_eq!(
        parameters(" SIZE=99999999999999999999").map(|p| p.size),
        Ok(Some(u64::MAX))
    );
    assert_eq!(
        parameters(" RET=FULL BODY=7BIT").map(|p| p.ret),
        Ok(Some(Ret::Full))
    );
    assert_eq!(parameters(""), Ok(SenderParameters::default()));
}

#[test]
fn parameters_of_rcpt_are_read() {
    let (notify, original) =
        recipient("RCPT TO:<a@b.example> NOTIFY=success,Delay ORCPT=RFC822;Bob+2Bx@b.example");
    assert_eq!(
        notify,
        Some(Notify {
            success: true,
            failure: false,
            delay: true
        })
    );
    let expected = OriginalRecipient {
        address_type: "rfc822".into(),
        address: "Bob+x@b.example".into(),
    };
    assert_eq!(original, Some(expected));
    assert_eq!(
        recipient("RCPT TO:<a@b.example> NOTIFY=never").0,
        Some(Notify::NEVER)
    );
    for (text, address) in [
        ("utf-8;\\x{E9}t\\x{E9}@b.example", "été@b.example"),
        ("utf-8;été+2Bx@b.example", "été+x@b.example"),
        ("UTF-8;\\x{1F4A1}@b.example", "💡@b.example"),
        ("utf-8;a\\x{5C}b@c.example", "a\\b@c.example"),
    ] {
        let (_, original) = recipient(&format!("RCPT TO:<a@b.example> ORCPT={text}"));
        let expected = OriginalRecipient {
            address_type: "utf-8".into(),
            address: address.into(),
        };
        assert_eq!(original, Some(expected), "{text}");
    }
}

#[test]
fn bdat_has_a_size_and_perhaps_last() {
    for line in [
        "BDAT",
        "BDAT x",
        "BDAT -1",
        "BDAT 1 FIRST",
        "BDAT LAST",
        "BDAT 1 LAST 2",
        "BDAT 0x10",
        "BDAT 111111111111111111111",
    ] {
        assert_eq!(strict(line), Err(ARGUMENTS), "{line:?}");
    }
    assert_eq!(
        strict("BDAT 0"),
        Ok(Command::Bdat {
            size: 0,
            last: false
        })
    );
    assert_eq!(
        strict("bdat 86 last"),
        Ok(Command::Bdat {
            size: 86,
            last: true
        })
    );
    assert_eq!(
        strict("BDAT 18446744073709551616"),
        Ok(Command::Bdat {
            size: u64::MAX,
            last: false
        })
    );
}

proptest::proptest! {
    #[test]
    fn no_line_makes_the_parser_panic(
        line in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
    ) {
        let _ = parse(&line, Preset::Strict);
        let _ = parse(&line, Preset::Tolerant);
    }

    #[test]
    fn what_strict_takes_tolerant_takes_alike(
        verb in "(MAIL FROM:|RCPT TO:|EHLO |BDAT )",
        rest in "[<>@a-c.:, \"\\\\\\[\\]é=+;0-9SIZE]{0,24}",
    ) {
        let line = format!("{verb}{rest}");
        if let Ok(command) = strict(&line) {
            proptest::prop_assert_eq!(tolerant(&line), Ok((command, None)));
        }
    }

    #[test]
    fn a_mailbox_is_read_back_as_written(local in "[ -~é]{1,20}") {
        let host = Host::parse("b.example").expect("a host");
        let written = Mailbox::new(&local, host).expect("no controls");
        proptest::prop_assert_eq!(Mailbox::parse(&written.to_string()), Ok(written));
    }
}
