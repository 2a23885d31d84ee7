//! Notices: golden files in English and French, and a check that nothing foreign adds to their
//! form.
//!
//! A golden file has LF line ends; the notice has CRLF. After an intended change, run once with
//! `RELAIS_BLESS=1`, and read the difference.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;
use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;
use relais_smtp::dsn::{Action, Cause, Language, Notice, RecipientStatus, compose, status_of};
use relais_smtp::envelope::OriginalRecipient;
use relais_smtp::reply::{EnhancedStatus, Reply, ReplyCode};
use relais_smtp::time::Timestamp;

const ARRIVAL: Timestamp = Timestamp::from_millis(1_795_514_400_123);
const NOW: Timestamp = Timestamp::from_millis(1_795_518_000_456);
const LATER: Timestamp = Timestamp::from_millis(1_795_600_800_000);

const HEADER: &str = "Received: from scan2 (unknown [10.1.2.9])\r\n\tby relay.contoso.test with \
    ESMTP id 0ABCDEFGHJKMN;\r\n\tTue, 24 Nov 2026 10:00:00 +0000\r\nFrom: scan@contoso.test\r\nTo: \
    anna@example.org\r\nSubject: Scan of the third floor\r\nMessage-ID: <1@scan2.contoso.test>\r\n";

static DOMAIN: LazyLock<Domain> =
    LazyLock::new(|| Domain::parse("contoso.test").expect("a domain"));
static SENDER: LazyLock<Mailbox> = LazyLock::new(|| mailbox("scan@contoso.test"));
static OWNER: LazyLock<Mailbox> = LazyLock::new(|| mailbox("it@contoso.test"));

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a mailbox")
}

fn reply(text: &str) -> Reply {
    Reply::parse_stored(text).expect("a reply")
}

/// A recipient about which a server answered.
fn answered(address: &str, action: Action, answer: &str) -> RecipientStatus {
    let reply = reply(answer);
    RecipientStatus {
        final_recipient: mailbox(address),
        original_recipient: None,
        action,
        status: status_of(&reply),
        remote_mta: Some("mx.example.org".into()),
        diagnostic: Some(reply),
        explanation: None,
        last_attempt: Some(NOW),
        will_retry_until: (action == Action::Delayed).then_some(LATER),
    }
}

/// A recipient about which no server answered.
fn unanswered(address: &str, action: Action, cause: Cause, language: Language) -> RecipientStatus {
    RecipientStatus {
        final_recipient: mailbox(address),
        original_recipient: None,
        action,
        status: cause.status(),
        remote_mta: None,
        diagnostic: None,
        explanation: Some(cause.text(language).into()),
        last_attempt: Some(NOW),
        will_retry_until: (action == Action::Delayed).then_some(LATER),
    }
}

/// What one golden file is made of.
struct Case {
    name: &'static str,
    recipients: Vec<RecipientStatus>,
    change: fn(&mut Notice<'_>),
}

/// Composes with `change` made to a plain notice.
fn notice_of<'a>(
    language: Language,
    recipients: &'a [RecipientStatus],
    change: impl FnOnce(&mut Notice<'a>),
) -> Vec<u8> {
    let mut notice = Notice {
        hostname: "relay.contoso.test",
        from_domain: &DOMAIN,
        to: &SENDER,
        on_behalf_of: None,
        language,
        envid: None,
        arrival: ARRIVAL,
        now: NOW,
        queue_ids: ("0ABCDEFGHJKMN", "0ABCDEFGHJKMP"),
        subject: Some("Scan of the third floor"),
        message_id: Some("1@scan2.contoso.test"),
        recipients,
        original: HEADER.as_bytes(),
        original_is_full: false,
    };
    change(&mut notice);
    compose(&notice)
}

fn original_recipient(kind: &str, address: &str) -> Option<OriginalRecipient> {
    Some(OriginalRecipient {
        address_type: kind.into(),
        address: address.into(),
    })
}

fn several(language: Language) -> Vec<RecipientStatus> {
    let full = "452 4.2.2 Mailbox full";
    let mut expired = answered("eve@example.net", Action::Failed, full);
    expired.remote_mta = Some("mx1.example.net".into());
    expired.explanation = Some(Cause::Expired.text(language).into());
    vec![
        answered(
            "anna@example.org",
            Action::Failed,
            "550 5.1.1 No such user here",
        ),
        answered(
            "carol@example.org",
            Action::Failed,
            "550 5.1.1 No such user here",
        ),
        unanswered(
            "bob@nowhere.example",
            Action::Failed,
            Cause::DomainNotFound,
            language,
        ),
        expired,
        unanswered(
            "dan@slow.example",
            Action::Delayed,
            Cause::ConnectionTimedOut,
            language,
        ),
    ]
}

fn international(language: Language) -> Vec<RecipientStatus> {
    let address = "jos\u{e9}@b\u{fc}cher.example";
    let mut first = unanswered(address, Action::Failed, Cause::SmtpUtf8, language);
    first.original_recipient = original_recipient("utf-8", "jos\u{e9}.old@b\u{fc}cher.example");
    vec![
        first,
        answered("anna@example.org", Action::Failed, "550 5.1.1 Inconnu ici"),
    ]
}

fn hostile() -> Vec<RecipientStatus> {
    let code = ReplyCode::new(550).expect("a code");
    let text = "5.7.1 no\r\n\r\n--=_0ABCDEFGHJKMN_0ABCDEFGHJKMP--\r\nBcc: all@example.org\r\n\
                \x1b[2J\u{202e}txet";
    let mut recipient = answered("\"a> \\\"b\"@example.org", Action::Failed, "550 5.7.1 no");
    recipient.diagnostic = Some(Reply::plain(
        code,
        vec![text.into(), "x".repeat(1_200).into()],
    ));
    recipient.remote_mta = Some("mx\r\nAction: delivered".into());
    recipient.original_recipient = original_recipient("rfc822", "b\r\n\r\nFinal-Recipient: x");
    vec![recipient]
}

fn make_hostile(notice: &mut Notice<'_>) {
    notice.subject = Some("=?utf-8?q?x?= \r\nBcc: all@example.org\r\n\r\n--=_0ABCDEFGHJKMN");
    notice.message_id = Some("1@x>\r\nBcc: all@example.org");
    notice.envid = Some("e\r\n\r\nAction: delivered");
    notice.hostname = "relay\r\nX-Evil: 1";
    notice.original =
        b"From: a@contoso.test\r\nSubject: \xe9\r\n\r\n--=_0ABCDEFGHJKMN_0ABCDEFGHJKMP\
        \r\nContent-Type: text/html\r\n\r\n<a>\n--=_0ABCDEFGHJKMN_0ABCDEFGHJKMP_1--\r";
    notice.original_is_full = true;
}

fn cases(language: Language) -> Vec<Case> {
    let unchanged: fn(&mut Notice<'_>) = |_| {};
    let mut plain = answered(
        "anna@example.org",
        Action::Failed,
        "550 5.1.1 No such user here",
    );
    plain.original_recipient = original_recipient("rfc822", "Anna@example.org");
    let case = |name, recipients, change| Case {
        name,
        recipients,
        change,
    };
    vec![
        case("failed", vec![plain.clone()], |notice| {
            notice.envid = Some("QQ+314159");
            if notice.language == Language::French {
                notice.subject =
                    Some("Num\u{e9}risation du troisi\u{e8}me \u{e9}tage \u{2014} page 1");
            }
        }),
        case(
            "delayed",
            vec![unanswered(
                "anna@example.org",
                Action::Delayed,
                Cause::ConnectionRefused,
                language,
            )],
            unchanged,
        ),
        case(
            "relayed",
            vec![answered(
                "anna@example.org",
                Action::Relayed,
                "250 2.0.0 Ok: queued as 4F1",
            )],
            unchanged,
        ),
        case(
            "delivered",
            vec![answered(
                "anna@example.org",
                Action::Delivered,
                "250 2.0.0 Saved",
            )],
            unchanged,
        ),
        case("several", several(language), unchanged),
        case("utf8-address", international(language), |notice| {
            notice.original =
                "From: scan@contoso.test\r\nTo: jos\u{e9}@b\u{fc}cher.example\r\n\r\n".as_bytes();
        }),
        case("hostile", hostile(), make_hostile),
        case("on-behalf-of", vec![plain], |notice| {
            notice.to = &OWNER;
            notice.on_behalf_of = Some(&SENDER);
            notice.subject = None;
            notice.message_id = None;
            notice.original = "From: scan@contoso.test\r\nMIME-Version: 1.0\r\nContent-Type: \
                text/plain; charset=utf-8\r\n\r\nd\u{e9}j\u{e0} vu\r\n"
                .as_bytes();
            notice.original_is_full = true;
        }),
    ]
}

#[test]
fn notices_are_as_in_the_golden_files() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dsn");
    let languages = [(Language::English, "english"), (Language::French, "french")];
    for (number, (language, tongue)) in languages.into_iter().enumerate() {
        for (place, case) in cases(language).into_iter().enumerate() {
            let name = format!("{:02}-{}-{tongue}", 1 + 2 * place + number, case.name);
            let notice = notice_of(language, &case.recipients, case.change);
            let form = Form::of(&notice);
            assert_eq!(form.recipients, case.recipients.len(), "{name}");
            let text = String::from_utf8_lossy(&notice).replace("\r\n", "\n");
            let path = folder.join(format!("{name}.out"));
            if std::env::var_os("RELAIS_BLESS").is_some() {
                fs::write(&path, &text).expect("written");
            }
            let golden = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(
                text, golden,
                "{name}: run with RELAIS_BLESS=1 if this is meant"
            );
            assert!(
                folder.join(format!("{name}.why")).exists(),
                "{name}.why is missing"
            );
        }
    }
}

/// The form of a notice, read back as strictly as it must be written.
#[derive(Debug, Eq, PartialEq)]
struct Form {
    fields: Vec<String>,
    kinds: Vec<String>,
    recipients: usize,
}

impl Form {
    fn of(notice: &[u8]) -> Self {
        let text = String::from_utf8_lossy(notice);
        assert_eq!(
            text.matches('\n').count(),
            text.matches("\r\n").count(),
            "bare LF"
        );
        assert_eq!(
            text.matches('\r').count(),
            text.matches("\r\n").count(),
            "bare CR"
        );
        let (header, body) = text.split_once("\r\n\r\n").expect("a header section");
        let boundary = header
            .split("boundary=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let boundary = boundary.expect("a boundary");
        assert!(boundary.len() <= 70);
        let (body, behind) = body
            .split_once(&format!("\r\n--{boundary}--\r\n"))
            .expect("the last boundary");
        assert_eq!(behind, "");
        let between = format!("\r\n--{boundary}\r\n");
        let mut parts = body.split(&between);
        assert_eq!(
            parts.next(),
            Some("This is a delivery status notification in MIME format.\r\n")
        );
        let parts: Vec<&str> = parts.collect();
        assert_eq!(parts.len(), 3, "{text}");
        for line in parts[..2]
            .iter()
            .chain([&header])
            .flat_map(|part| part.split("\r\n"))
        {
            assert!(line.len() <= 998, "long line");
        }
        let kind = |part: &&str| {
            let fields = part.split("\r\n\r\n").next().unwrap_or_default();
            let kind = fields.split("Content-Type: ").nth(1).expect("a type");
            kind.split(['\r', ';'])
                .next()
                .unwrap_or_default()
                .to_string()
        };
        let (_, report) = parts[1].split_once("\r\n\r\n").expect("a report");
        Self {
            fields: names(header),
            kinds: parts.iter().map(kind).collect(),
            recipients: check_report(report),
        }
    }
}

/// Field names; every other line must be a continuation.
fn names(fields: &str) -> Vec<String> {
    let lines = fields.split("\r\n").filter(|line| !line.starts_with(' '));
    lines
        .map(|line| {
            line.split_once(':')
                .unwrap_or_else(|| panic!("no field: {line}"))
                .0
                .to_string()
        })
        .collect()
}

/// Checks the fields of each group; gives the number of recipients.
fn check_report(report: &str) -> usize {
    let mut groups = report.trim_end_matches("\r\n").split("\r\n\r\n");
    let message = names(groups.next().unwrap_or_default());
    let known = ["Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"];
    assert!(
        message.iter().all(|name| known.contains(&name.as_str())),
        "{message:?}"
    );
    let known = [
        "Original-Recipient",
        "Final-Recipient",
        "Action",
        "Status",
        "Remote-MTA",
        "Diagnostic-Code",
        "Last-Attempt-Date",
        "Will-Retry-Until",
    ];
    let mut recipients = 0;
    for group in groups {
        let fields = names(group);
        for once in ["Final-Recipient", "Action", "Status"] {
            assert_eq!(
                fields.iter().filter(|name| *name == once).count(),
                1,
                "{group}"
            );
        }
        assert!(
            fields.iter().all(|name| known.contains(&name.as_str())),
            "{fields:?}"
        );
        assert!(fields.len() <= known.len());
        recipients += 1;
    }
    recipients
}

#[test]
fn what_is_returned_says_what_it_is() {
    let recipients = [answered("anna@example.org", Action::Failed, "550 5.1.1 No")];
    let header_8bit = "Subject: \u{e9}\r\n";
    let header_latin1: &[u8] = b"Subject: \xe9\r\n";
    let body_8bit = "Subject: x\r\n\r\n\u{e9}\r\n";
    for (original, full, kind, eight_bit) in [
        (HEADER.as_bytes(), false, "text/rfc822-headers", false),
        (
            header_8bit.as_bytes(),
            false,
            "message/global-headers",
            true,
        ),
        (header_latin1, false, "text/rfc822-headers", true),
        (HEADER.as_bytes(), true, "message/rfc822", false),
        (body_8bit.as_bytes(), true, "message/rfc822", true),
        (header_8bit.as_bytes(), true, "message/global", true),
        (b"", false, "text/rfc822-headers", false),
    ] {
        let notice = notice_of(Language::English, &recipients, |notice| {
            notice.original = original;
            notice.original_is_full = full;
        });
        assert_eq!(
            Form::of(&notice).kinds,
            ["text/plain", "message/delivery-status", kind]
        );
        let text = String::from_utf8_lossy(&notice);
        let declared = text.matches("Content-Transfer-Encoding: 8bit\r\n").count();
        assert_eq!(declared, if eight_bit { 2 } else { 0 }, "{kind}");
        assert_eq!(notice.is_ascii(), !eight_bit);
    }
}

#[test]
fn an_utf8_recipient_of_the_notice_stands_as_it_is() {
    let recipients = [answered("anna@example.org", Action::Failed, "550 5.1.1 No")];
    let to = mailbox("jos\u{e9}@b\u{fc}cher.example");
    let notice = notice_of(Language::French, &recipients, |notice| {
        notice.to = &to;
        notice.subject = None;
    });
    let text = String::from_utf8(notice).expect("UTF-8");
    assert!(
        text.contains("\r\nTo: <jos\u{e9}@xn--bcher-kva.example>\r\n"),
        "{text}"
    );
    assert!(text.contains("Subject: =?UTF-8?Q?Non_remis=E2=80=AF=3A_=28sans_objet=29?=\r\n"));
}

#[test]
fn a_status_of_every_kind_has_words_in_both_languages() {
    for language in [Language::English, Language::French] {
        for cause in Cause::ALL {
            let recipients = [unanswered(
                "anna@example.org",
                Action::Failed,
                cause,
                language,
            )];
            let notice = notice_of(language, &recipients, |_| {});
            let text = String::from_utf8(notice).expect("UTF-8");
            assert!(text.contains(&format!("Status: {}\r\n", cause.status())));
            // No server answered, so nobody is sent to look at its answer.
            assert!(
                !text.contains("below") && !text.contains("ci-dessous"),
                "{cause:?}: {text}"
            );
        }
    }
    assert_eq!(Cause::Expired.status(), EnhancedStatus::new(5, 4, 7));
}

/// Text that wants to break out of its place.
fn foreign() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("\r\n".to_string()),
        Just("\r\n\r\n--=_0ABCDEFGHJKMN_0ABCDEFGHJKMP".to_string()),
        Just("--=_0ABCDEFGHJKMN_0ABCDEFGHJKMP_1--".to_string()),
        Just("Action: delivered".to_string()),
        Just(" ".to_string()),
        Just("\u{2028}".to_string()),
        Just("x".repeat(1_200)),
        ".{0,12}",
    ];
    prop::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_foreign_adds_a_field_a_line_or_a_part(
        texts in prop::collection::vec(foreign(), 9),
        french: bool,
        full: bool,
        global: bool,
    ) {
        let code = ReplyCode::new(554).expect("a code");
        let address = if global { "jos\u{e9}@example.org" } else { "anna@example.org" };
        let mut recipient = answered(address, Action::Failed, "554 5.7.1 no");
        recipient.diagnostic = Some(Reply::plain(code, vec![texts[0].clone().into()]));
        recipient.explanation = Some(texts[1].as_str().into());
        recipient.remote_mta = Some(texts[2].as_str().into());
        recipient.original_recipient = original_recipient("rfc822", &texts[3]);
        let language = if french { Language::French } else { Language::English };
        let recipients = [recipient];
        let notice = notice_of(language, &recipients, |notice| {
            notice.subject = Some(&texts[4]);
            notice.message_id = Some(&texts[5]);
            notice.envid = Some(&texts[6]);
            notice.hostname = &texts[7];
            notice.original = texts[8].as_bytes();
            notice.original_is_full = full;
        });
        let form = Form::of(&notice);
        prop_assert_eq!(form.recipients, 1);
        let known = [
            "Date", "From", "To", "Subject", "Message-ID", "In-Reply-To", "References",
            "Auto-Submitted", "X-Relais-Queue-Id", "MIME-Version", "Content-Type",
            "Content-Transfer-Encoding",
        ];
        prop_assert!(form.fields.iter().all(|name| known.contains(&name.as_str())));
        let mut once = form.fields.clone();
        once.sort();
        once.dedup();
        prop_assert_eq!(once.len(), form.fields.len());
    }
}
