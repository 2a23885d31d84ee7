//! Notices of the common programs, and of nobody.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn plain(body: &str) -> Returned {
    read(&crlf(&format!(
        "From: Mail Delivery System <mailer-daemon@example.org>\nSubject: failure\n\n{body}"
    )))
}

fn dsn(content_type: &str, report: &str) -> Returned {
    read(&crlf(&format!(
        "From: MAILER-DAEMON@example.org\nSubject: Undelivered\nAuto-Submitted: auto-replied\n\
         Content-Type: multipart/{content_type}; boundary=\"b 1\"\n\n\
         preamble\n--b 1\n\nSorry, it\ndid not work.\n\n--b 1\n\
         Content-Type: message/delivery-status\n\n{report}\n--b 1\n\
         Content-Type: text/rfc822-headers\n\nFrom: a@b.example\n\n--b 1--\n"
    )))
}

const STATUS: &str = "Reporting-MTA: dns; mx.example.org\n\n\
    Original-Recipient: rfc822;b@example.org\nFinal-Recipient: RFC822; <b@mail.example.org>\n\
    Action: failed\nStatus: 5.1.1 (no such user)\n\
    Diagnostic-Code: smtp; 550 5.1.1 <b@mail.example.org>:\n  unknown\n";

fn summary(returned: &Returned) -> String {
    let recipients = returned.recipients.iter().map(|one| {
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_string());
        format!(
            " {} {} {}",
            text(one.address.as_ref().map(ToString::to_string)),
            one.said.name(),
            text(one.status.map(|status| status.to_string())),
        )
    });
    let form = match returned.form {
        Form::Rule(name) => name.to_string(),
        other => format!("{other:?}"),
    };
    format!("{form}:{}", recipients.collect::<Vec<_>>().join(","))
}

#[test]
fn a_delivery_status_notification_is_read_in_each_type_of_report() {
    for kind in ["report; report-type=delivery-status", "mixed", "report"] {
        let returned = dsn(kind, STATUS);
        assert_eq!(returned.said, Said::Failure);
        assert_eq!(
            summary(&returned),
            "DeliveryStatus: b@example.org failure 5.1.1"
        );
        let one = &returned.recipients[0];
        let last = one.final_address.as_ref().map(ToString::to_string);
        assert_eq!(last.as_deref(), Some("b@mail.example.org"));
        let diagnostic = one.diagnostic.as_deref();
        assert_eq!(diagnostic, Some("550 5.1.1 <b@mail.example.org>: unknown"));
        assert_eq!(returned.reporter.as_deref(), Some("mx.example.org"));
        assert_eq!(returned.words.as_deref(), Some("Sorry, it did not work."));
    }
}

#[test]
fn each_recipient_of_a_report_counts_and_the_gravest_tells_what_the_whole_is() {
    let report = "Reporting-MTA: dns;mx\n\nFinal-Recipient: rfc822;a@x.example\nAction: delayed\n\
        Status: 4.4.1\n\nFinal-Recipient: rfc822;b@x.example\nAction: FAILED\nStatus: 5.0.0\n\n\
        Final-Recipient: rfc822;c@x.example\nAction: relayed\nStatus: 2.0.0\n";
    let returned = dsn("report", report);
    assert_eq!(returned.said, Said::Failure);
    let said = "DeliveryStatus: a@x.example delay 4.4.1, b@x.example failure 5.0.0, \
                c@x.example success 2.0.0";
    assert_eq!(summary(&returned), said);
}

#[test]
fn our_own_notices_are_read() {
    let text = include_str!("../../tests/golden/dsn/01-failed-english.out");
    let returned = read(&crlf(&text.replace("\r\n", "\n")));
    assert_eq!(returned.form, Form::DeliveryStatus);
    assert_eq!(returned.said, Said::Failure);
    assert!(!returned.recipients.is_empty());
}

#[test]
fn a_report_in_a_returned_message_says_nothing_of_ours() {
    let inner = String::from_utf8(crlf(STATUS)).unwrap();
    let returned = read(&crlf(&format!(
        "From: a@b.example\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nlook\n--x\n\
         Content-Type: message/rfc822\n\nContent-Type: multipart/report; boundary=y\n\n--y\n\
         Content-Type: message/delivery-status\n\n{inner}\n--y--\n--x--\n"
    )));
    assert_eq!((returned.said, returned.recipients.len()), (Said::Other, 0));
}

#[test]
fn plain_bounces_are_read_by_the_form_of_their_program() {
    for (body, expected) in [
        (
            "Hi. This is the qmail-send program at example.org.\nI'm afraid I wasn't able to \
             deliver your message to the following addresses.\n\n<b@example.org>:\nSorry, no \
             mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the \
             message.\n\nTo: c@example.org\n",
            "qmail: b@example.org failure 5.1.1",
        ),
        (
            "This message was created automatically by mail delivery software.\n\nA message that \
             you sent could not be delivered to one or more of its\nrecipients. This is a \
             permanent error.\n\n  b@example.org\n    host mx.example.org [192.0.2.1]:\n    550 \
             no such user here\n  c@example.org\n    mailbox is full: retry timeout exceeded\n\n\
             ------ This is a copy of the message, including all the headers. ------\n\nFrom: x@y.z\n",
            "exim: b@example.org failure 5.1.1, c@example.org failure 5.2.2",
        ),
        (
            "This is the Postfix program at host mx.example.org.\n\nI'm sorry to have to inform \
             you that the message returned\nbelow could not be delivered.\n\n<b@example.org>: \
             host mail.example.org[192.0.2.1] said: 554 rejected for\n    policy reasons\n",
            "postfix: b@example.org failure 5.0.0",
        ),
        (
            "Delivery to the following recipient failed permanently:\n\n     b@example.org\n\n\
             Technical details of permanent failure:\nThe error that the other server returned \
             was:\n550 5.7.1 blocked\n\n----- Original message -----\n\nTo: d@example.org\n",
            "gmail: b@example.org failure 5.7.1",
        ),
        (
            "Your message did not reach some or all of the intended recipients.\n\n      \
             Subject: Scan\n      Sent: 1/2/2026 10:00\n\nThe following recipient(s) could not be \
             reached:\n\n      b@example.org on 1/2/2026 10:01\n            The e-mail account \
             does not exist at the organization this message was sent to.\n            \
             <mail.example.org #5.1.1>\n",
            "exchange: b@example.org failure 5.1.1",
        ),
        (
            "   ----- The following addresses had permanent fatal errors -----\n<b@example.org>\n\
             \x20   (reason: 550 5.1.1 <b@example.org>... User unknown)\n",
            "sendmail: b@example.org failure 5.1.1",
        ),
        (
            "Sorry, we were unable to deliver your message to the following address.\n\n\
             <b@example.org>:\n554: delivery error: dd This user doesn't have a account\n",
            "yahoo: b@example.org failure 5.1.1",
        ),
        (
            "This message was created automatically by mail delivery software.\nA message that \
             you sent has not yet been delivered to one or more of its\nrecipients after more \
             than 24 hours on the queue.\n\n  b@example.org\n    Delay reason: timeout\n",
            "exim-delay: b@example.org delay -",
        ),
    ] {
        assert_eq!(summary(&plain(body)), expected, "{body}");
    }
}

#[test]
fn the_field_of_exim_and_gmail_names_recipients_too() {
    let returned = read(&crlf(
        "From: mailer-daemon@googlemail.com\nX-Failed-Recipients: b@example.org,\n c@example.org\n\
         Content-Type: text/html; charset=utf-8\n\n<html><body><h2>Address not found</h2>Your \
         message wasn't delivered to <b>b@example.org</b> because the address couldn't be found. \
         <p>550 5.1.1 The email account does not exist</p></body></html>\n",
    ));
    let said = "x-failed-recipients: b@example.org failure 5.1.1, c@example.org failure 5.1.1";
    assert_eq!(summary(&returned), said);
}

#[test]
fn automatic_replies_and_people_are_no_failures() {
    for (fields, said) in [
        (
            "Auto-Submitted: auto-replied (vacation)",
            Said::AutomaticReply,
        ),
        ("Auto-Submitted: no\nSubject: Out of office", Said::Other),
        ("X-Autoreply: yes", Said::AutomaticReply),
        ("Precedence: auto_reply", Said::AutomaticReply),
        (
            "Subject: =?utf-8?q?R=C3=A9ponse_automatique?= : Scan",
            Said::AutomaticReply,
        ),
        ("Subject: Re: Scan", Said::Other),
    ] {
        let returned = read(&crlf(&format!("From: b@example.org\n{fields}\n\nHello\n")));
        assert_eq!(returned.said, said, "{fields}");
        assert!(returned.recipients.is_empty());
        assert_eq!(returned.words.as_deref(), Some("Hello"));
    }
}

#[test]
fn a_complaint_names_its_recipients_and_what_is_none_is_none() {
    let feedback = |kind: &str| {
        read(&crlf(&format!(
            "From: fbl@example.org\nContent-Type: multipart/report; boundary=x\n\n--x\n\nspam!\n\
             --x\nContent-Type: message/feedback-report\nContent-Transfer-Encoding: \
             quoted-printable\n\nFeedback-Type: {kind}\nUser-Agent: Gen/1.0\nVersion: 1\n\
             Original-Rcpt-To: <b@exa=6Dple.org>\nOriginal-Rcpt-To: b@example.org\n\n--x--\n"
        )))
    };
    let returned = feedback("abuse");
    assert_eq!(returned.said, Said::Complaint);
    assert_eq!(
        summary(&returned),
        "FeedbackReport: b@example.org complaint -"
    );
    assert_eq!(returned.reporter.as_deref(), Some("Gen/1.0"));
    assert_eq!(feedback("not-spam").said, Said::Other);
    assert_eq!(feedback("auth-failure").said, Said::Other);
}

#[test]
fn hostile_text_is_one_printable_line_of_bounded_length() {
    let long = "x".repeat(70_000);
    let report = format!(
        "Reporting-MTA: dns;mx\n\nFinal-Recipient: rfc822;b@example.org\nAction: failed\n\
         Status: 5.1.1\nDiagnostic-Code: smtp; 550 \x1b[31mred\u{202e}{long}\n"
    );
    let returned = dsn("report", &report);
    let diagnostic = returned.recipients[0].diagnostic.as_deref().unwrap();
    assert!(diagnostic.starts_with("550 [31mredxxx"), "{diagnostic}");
    assert_eq!(diagnostic.chars().count(), DIAGNOSTIC_CHARACTERS_MAX);
}

#[test]
fn nesting_parts_and_recipients_are_bounded() {
    let mut nested = String::new();
    for depth in 0..5_000 {
        nested.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n"
        ));
    }
    assert_eq!(read(&crlf(&nested)).said, Said::Other);
    let many = "--x\nContent-Type: text/plain\n\na\n".repeat(5_000);
    let flat = format!("Content-Type: multipart/mixed; boundary=x\n\n{many}");
    assert_eq!(read(&crlf(&flat)).said, Said::Other);
    let one =
        |n| format!("\nFinal-Recipient: rfc822;r{n}@x.example\nAction: failed\nStatus: 5.1.1\n");
    let report: String = (0..900).map(one).collect();
    let returned = dsn("report", &format!("Reporting-MTA: dns;mx\n{report}"));
    assert_eq!(returned.recipients.len(), RECIPIENTS_MAX);
}

proptest! {
    #[test]
    fn any_octets_are_read_without_harm(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&octets);
    }

    /// Pieces of notices in any order: what a fuzzer finds first.
    #[test]
    fn any_mixture_of_pieces_is_read_without_harm(
        pieces in proptest::collection::vec(0_usize..16, 0..40),
    ) {
        const PIECES: [&str; 16] = [
            "Content-Type: multipart/report; boundary=x\r\n", "\r\n", "--x\r\n", "--x--\r\n",
            "Content-Type: message/delivery-status\r\n", "Final-Recipient: rfc822;b@x.example\r\n",
            "Action: failed\r\n", "Status: 5.1.1\r\n", "Feedback-Type: abuse\r\n",
            "Content-Transfer-Encoding: base64\r\n", "<b@example.org>:\r\n", "=3D=\r\n",
            "This is the qmail-send program\r\n", "X-Failed-Recipients: ,,\r\n", "\u{e9}\"<>@;:=",
            "Content-Type: message/feedback-report\r\n",
        ];
        let text: String = pieces.iter().map(|at| PIECES[*at]).collect();
        let _ = read(text.as_bytes());
    }
}
