//! Header sections as devices, programs and loops make them.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);
const GOOD: &str = "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@contoso.test>\r\n\
                    From: Scan <scan@contoso.test>\r\nSubject: Scan\r\n\r\n";

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("an address")
}

fn examine_as<'a>(
    section: &'a str,
    preset: Preset,
    standing: Standing,
    reverse_path: &ReversePath,
    verdict: HeaderFromVerdict,
) -> Result<Examined<'a>, Refusal> {
    let circumstances = Circumstances {
        preset,
        standing,
        reverse_path,
        queue_id: QueueId::new(NOW, 0, 1),
        hostname: "relay.test",
        now: NOW,
        body: b"",
    };
    examine(
        section.as_bytes(),
        header::read(section.as_bytes()),
        &circumstances,
        |_| verdict,
    )
}

/// A tolerant client whose reverse-path is `scan@contoso.test`, and policy has no objection.
fn tolerant(section: &str) -> Result<Examined<'_>, Refusal> {
    let reverse_path = ReversePath::Mailbox(mailbox("scan@contoso.test"));
    let permit = HeaderFromVerdict::Permit;
    examine_as(
        section,
        Preset::Tolerant,
        Standing::Client,
        &reverse_path,
        permit,
    )
}

fn strict(section: &str, standing: Standing) -> Result<Examined<'_>, Refusal> {
    let reverse_path = ReversePath::Mailbox(mailbox("scan@contoso.test"));
    examine_as(
        section,
        Preset::Strict,
        standing,
        &reverse_path,
        HeaderFromVerdict::Permit,
    )
}

fn refusal(examined: Result<Examined<'_>, Refusal>) -> Refusal {
    examined.err().expect("it is refused")
}

#[test]
fn what_is_complete_passes_unchanged() {
    let examined = tolerant(GOOD).expect("nothing is wrong");
    assert!(examined.added.is_empty() && examined.repairs.is_empty());
    assert_eq!(&*examined.section, GOOD.as_bytes());
}

#[test]
fn a_tolerant_client_gets_what_is_missing() {
    let examined = tolerant("Subject: Scan\r\nContent-Type: text/plain\r\n\r\n").expect("repaired");
    let id = QueueId::new(NOW, 0, 1);
    let added = format!(
        "From: <scan@contoso.test>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{id}@relay.test>\r\nMIME-Version: 1.0\r\n"
    );
    assert_eq!(examined.added, added);
    let repairs = [
        Repair::From,
        Repair::Date,
        Repair::MessageId,
        Repair::MimeVersion,
    ];
    assert_eq!(examined.repairs, repairs);
    assert_eq!(
        examined.summary.from,
        FromField::Addresses(vec![mailbox("scan@contoso.test")])
    );
    assert_eq!(
        examined.summary.message_id,
        Some(format!("{id}@relay.test").into())
    );
}

#[test]
fn a_from_that_cannot_be_read_is_kept_under_another_name() {
    let examined = tolerant("From: Scanner\r\nDate: x\r\nMessage-ID: <1@a.test>\r\n\r\n");
    let examined = examined.expect("repaired");
    assert_eq!(examined.added, "From: <scan@contoso.test>\r\n");
    let section = String::from_utf8_lossy(&examined.section).into_owned();
    assert!(
        section.starts_with("X-Original-From: Scanner\r\n"),
        "{section}"
    );
    assert_eq!(examined.repairs, [Repair::From]);
}

#[test]
fn a_strict_client_is_refused_without_from_and_gets_nothing_added() {
    for section in [
        "Subject: a\r\n\r\n",
        "From: Scanner\r\n\r\n",
        "From: a@b.test\r\nFrom: c@d.test\r\n\r\n",
    ] {
        assert_eq!(
            refusal(strict(section, Standing::Client)),
            Refusal::HeaderFrom,
            "{section}"
        );
    }
    let examined = strict("From: scan@contoso.test\r\n\r\n", Standing::Client).expect("enough");
    assert!(examined.added.is_empty() && examined.repairs.is_empty());
}

#[test]
fn a_null_reverse_path_gives_no_from() {
    let permit = HeaderFromVerdict::Permit;
    let section = "Subject: a\r\n\r\n";
    let examined = examine_as(
        section,
        Preset::Tolerant,
        Standing::Client,
        &ReversePath::Null,
        permit,
    );
    assert_eq!(refusal(examined), Refusal::HeaderFrom);
}

#[test]
fn a_strangers_from_is_not_ours_to_judge() {
    let examined = strict("Subject: a\r\n\r\n", Standing::Stranger).expect("it passes");
    assert_eq!(examined.summary.from, FromField::Missing);
}

#[test]
fn policys_word_on_from_is_done() {
    let reverse_path = ReversePath::Mailbox(mailbox("scan@contoso.test"));
    let section = "From: boss@fabrikam.test\r\n\r\n";
    let judged = |section, verdict| {
        examine_as(
            section,
            Preset::Strict,
            Standing::Client,
            &reverse_path,
            verdict,
        )
    };
    let flag = HeaderFromVerdict::Flag {
        domain: "fabrikam.test".to_owned(),
    };
    let flagged = judged(section, flag).expect("it passes");
    assert_eq!(flagged.flagged.as_deref(), Some("fabrikam.test"));
    assert_eq!(&*flagged.section, section.as_bytes());

    let no = Refusal::HeaderDomain {
        domain: "fabrikam.test".into(),
    };
    assert_eq!(
        refusal(judged(section, HeaderFromVerdict::Refuse(no.clone()))),
        no
    );

    let repair = || HeaderFromVerdict::Repair {
        from: mailbox("scan@contoso.test"),
    };
    let repaired = judged(section, repair()).expect("repaired");
    assert_eq!(&*repaired.section, b"Reply-To: boss@fabrikam.test\r\n\r\n");
    assert_eq!(repaired.added, "From: <scan@contoso.test>\r\n");
    assert_eq!(repaired.repairs, [Repair::From]);

    let with_reply_to = "From: boss@fabrikam.test\r\nReply-to : it@contoso.test\r\n\r\n";
    let repaired = judged(with_reply_to, repair()).expect("repaired");
    assert_eq!(
        &*repaired.section,
        b"X-Original-From: boss@fabrikam.test\r\nReply-to : it@contoso.test\r\n\r\n"
    );
}

#[test]
fn policys_repair_gives_a_strict_client_the_from_that_it_left_out() {
    let reverse_path = ReversePath::Mailbox(mailbox("scan@contoso.test"));
    for (section, kept) in [
        ("Subject: a\r\n\r\n", "Subject: a\r\n\r\n"),
        ("From: Scanner\r\n\r\n", "X-Original-From: Scanner\r\n\r\n"),
    ] {
        let verdict = HeaderFromVerdict::Repair {
            from: mailbox("scan@contoso.test"),
        };
        let (preset, standing) = (Preset::Strict, Standing::Client);
        let repaired = examine_as(section, preset, standing, &reverse_path, verdict);
        let repaired = repaired.expect("repaired");
        assert_eq!(repaired.added, "From: <scan@contoso.test>\r\n");
        assert_eq!(&*repaired.section, kept.as_bytes());
    }
}

#[test]
fn loops_are_refused() {
    let received = "Received: from a.test by b.test; Tue, 24 Nov 2026 10:00:00 +0000\r\n";
    let looping = |count| received.repeat(count) + GOOD;
    let (enough, too_many) = (
        looping(RECEIVED_FIELDS_MAX),
        looping(RECEIVED_FIELDS_MAX + 1),
    );
    assert!(tolerant(&enough).is_ok());
    assert_eq!(refusal(tolerant(&too_many)), Refusal::Loop);
}

/// The MIME fields that a tolerant client's text gets.
fn mime_of(section: &str, body: &[u8]) -> String {
    let reverse_path = ReversePath::Mailbox(mailbox("scan@contoso.test"));
    let circumstances = Circumstances {
        preset: Preset::Tolerant,
        standing: Standing::Client,
        reverse_path: &reverse_path,
        queue_id: QueueId::new(NOW, 0, 1),
        hostname: "relay.test",
        now: NOW,
        body,
    };
    let summary = header::read(section.as_bytes());
    let permit = |_: &FromField| HeaderFromVerdict::Permit;
    let examined = examine(section.as_bytes(), summary, &circumstances, permit);
    examined.expect("it passes").added
}

#[test]
fn text_in_eight_bits_without_mime_fields_is_told_what_it_is() {
    let mime = |charset: &str| {
        format!(
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset={charset}\r\n\
             Content-Transfer-Encoding: 8bit\r\n"
        )
    };
    for (body, charset) in [
        ("März".as_bytes(), "utf-8"),
        (b"M\xe4rz", "windows-1252"),
        // The rest of the character is in the next piece.
        (b"M\xc3", "utf-8"),
    ] {
        assert_eq!(mime_of(GOOD, body), mime(charset), "{body:?}");
    }
    assert_eq!(mime_of(GOOD, b"plain"), "");
    let declared = GOOD.replace("Subject: Scan", "MIME-Version: 1.0");
    assert_eq!(mime_of(&declared, "März".as_bytes()), "");
    let typed = GOOD.replace("Subject: Scan", "Content-Type: text/html");
    assert_eq!(mime_of(&typed, "März".as_bytes()), "MIME-Version: 1.0\r\n");
}
