//! A notice of another server, passed on to a person: what came back about which message, in words,
//! and the notice itself as it came. RFC 2046 §5.2.1.
//!
//! Not a delivery status notification of ours: we do not vouch for what others write.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::address::Mailbox;
use crate::domain::Domain;
use crate::reply::EnhancedStatus;
use crate::returned::Said;
use crate::safe;
use crate::time::Timestamp;

use super::writing::{cut, encoded_field, field, paragraph, with_crlf};
use super::{
    DIAGNOSTIC_CHARACTERS_MAX, Language, Part, SUBJECT_CHARACTERS_MAX, boundary, identifier,
    sender_name, write_parts,
};

/// What is told of one recipient.
#[derive(Clone, Debug)]
pub struct ForwardedRecipient<'a> {
    /// The recipient, as the message was sent; `None`: the notice does not say which.
    pub address: Option<&'a str>,
    /// What became of it.
    pub said: Said,
    /// RFC 3463.
    pub status: Option<EnhancedStatus>,
    /// What the last server said.
    pub diagnostic: Option<&'a str>,
    /// Nothing more is sent to it, from now on or since earlier.
    pub suppressed: bool,
}

/// Until when nothing more is passed on, and of what. The trace has all of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Last {
    /// About this message.
    OfMessage(Timestamp),
    /// To this person.
    OfPerson(Timestamp),
}

/// Everything that it is made of.
#[derive(Clone, Debug)]
pub struct Forwarded<'a> {
    /// Our name.
    pub hostname: &'a str,
    /// The domain for From and Message-ID.
    pub from_domain: &'a Domain,
    /// Who gets it.
    pub to: &'a Mailbox,
    /// The address that the message was sent from, where it is known.
    pub sender: Option<&'a str>,
    /// Language of the words.
    pub language: Language,
    /// Now.
    pub now: Timestamp,
    /// The queue id of the original, and of this, as text.
    pub queue_ids: (&'a str, &'a str),
    /// The original's subject.
    pub subject: Option<&'a str>,
    /// What came back, in all.
    pub said: Said,
    /// It is the last one for now, though more came back.
    pub last: Option<Last>,
    /// Each recipient concerned.
    pub recipients: &'a [ForwardedRecipient<'a>],
    /// What came back: all of it, or its header section.
    pub returned: &'a [u8],
    /// Whether `returned` is the whole.
    pub returned_is_full: bool,
}

/// The content, CRLF line ends, without Received.
pub fn forward(forwarded: &Forwarded<'_>) -> Vec<u8> {
    let parts = [words(forwarded), returned(forwarded)];
    let boundary = boundary(forwarded.queue_ids, &parts);
    let eight_bit = parts.iter().any(|part| !part.body.is_ascii());
    let mut out = String::new();
    write_header(forwarded, &boundary, eight_bit, &mut out);
    let mut out = out.into_bytes();
    write_parts(&boundary, &parts, &mut out);
    out
}

fn write_header(forwarded: &Forwarded<'_>, boundary: &str, eight_bit: bool, out: &mut String) {
    let (original_id, own_id) = forwarded.queue_ids;
    let domain = forwarded.from_domain;
    let name = sender_name(forwarded.language);
    field("Date", &forwarded.now.to_rfc5322(), out);
    field("From", &format!("{name} <postmaster@{domain}>"), out);
    field("To", &format!("<{}>", forwarded.to), out);
    encoded_field("Subject", &subject(forwarded), out);
    field(
        "Message-ID",
        &format!("<{}@{domain}>", identifier(own_id)),
        out,
    );
    // RFC 3834 §5: nobody answers this automatically.
    field("Auto-Submitted", "auto-generated", out);
    field("X-Relais-Queue-Id", &identifier(original_id), out);
    field("MIME-Version", "1.0", out);
    field(
        "Content-Type",
        &format!("multipart/mixed; boundary=\"{boundary}\""),
        out,
    );
    if eight_bit {
        field("Content-Transfer-Encoding", "8bit", out);
    }
}

fn subject(forwarded: &Forwarded<'_>) -> String {
    let french = forwarded.language == Language::French;
    let prefix = match (forwarded.said, french) {
        (Said::Failure, false) => "Returned: ",
        (Said::Failure, true) => "Revenu\u{202f}: ",
        (Said::Complaint, false) => "Complaint: ",
        (Said::Complaint, true) => "Plainte\u{202f}: ",
        (Said::Success, false) => "Delivered: ",
        (Said::Success, true) => "Remis\u{202f}: ",
        (Said::Delay, false) => "Delayed: ",
        (Said::Delay, true) => "Retardé\u{202f}: ",
        (Said::AutomaticReply | Said::Other, false) => "Reply: ",
        (Said::AutomaticReply | Said::Other, true) => "Réponse\u{202f}: ",
    };
    let original = forwarded
        .subject
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let original = original.map(|text| cut(&safe::printable(text), SUBJECT_CHARACTERS_MAX));
    let none = if french {
        "(sans objet)"
    } else {
        "(no subject)"
    };
    format!("{prefix}{}", original.as_deref().unwrap_or(none))
}

fn words(forwarded: &Forwarded<'_>) -> Part {
    let french = forwarded.language == Language::French;
    let mut text = String::new();
    paragraph("", &opening(forwarded), &mut text);
    text.push_str("\r\n");
    let (original_id, _) = forwarded.queue_ids;
    let message = if french {
        format!("Le message porte le numéro {original_id}.")
    } else {
        format!("The message is number {original_id}.")
    };
    paragraph("", &message, &mut text);
    if let Some(sender) = forwarded.sender {
        let sender = safe::printable(sender);
        let sentence = if french {
            format!("Il a été envoyé depuis <{sender}>.")
        } else {
            format!("It was sent from <{sender}>.")
        };
        paragraph("", &sentence, &mut text);
    }
    for recipient in forwarded.recipients {
        text.push_str("\r\n");
        write_recipient(recipient, french, &mut text);
    }
    if let Some(last) = forwarded.last {
        text.push_str("\r\n");
        paragraph("", &no_more(last, forwarded, french), &mut text);
    }
    text.push_str("\r\n");
    let closing = if french {
        "Ce qui est revenu est joint, tel que le serveur l’a reçu\u{202f}: les mots ci-dessus en \
         sont tirés, et le serveur n’en répond pas."
    } else {
        "What came back is attached as the server got it: the words above are taken from it, and \
         the server does not vouch for them."
    };
    paragraph("", closing, &mut text);
    let mut part = Part::new(
        "text/plain; charset=utf-8",
        "Notification",
        text.into_bytes(),
    );
    field(
        "Content-Language",
        if french { "fr" } else { "en" },
        &mut part.header,
    );
    part
}

fn no_more(last: Last, forwarded: &Forwarded<'_>, french: bool) -> String {
    let (original_id, _) = forwarded.queue_ids;
    let (until, what) = match (last, french) {
        (Last::OfMessage(until), false) => (
            until,
            format!("More has come back about message {original_id}"),
        ),
        (Last::OfMessage(until), true) => (
            until,
            format!("Il est revenu plus d’avis à propos du message {original_id}"),
        ),
        (Last::OfPerson(until), false) => {
            (until, "More has come back about your messages".to_string())
        }
        (Last::OfPerson(until), true) => (
            until,
            "Il est revenu plus d’avis à propos de vos messages".to_string(),
        ),
    };
    let until = until.to_rfc5322();
    if french {
        format!(
            "{what} qu’il n’en est transmis en une heure. Jusqu’au {until}, les suivants sont \
             dans la trace seulement (relais trace event:notice.received)."
        )
    } else {
        format!(
            "{what} than is passed on in an hour. Until {until} what follows is in the trace only \
             (relais trace event:notice.received)."
        )
    }
}

fn opening(forwarded: &Forwarded<'_>) -> String {
    let server = safe::printable(forwarded.hostname);
    let french = forwarded.language == Language::French;
    let what = match (forwarded.said, french) {
        (Said::Failure, false) => {
            "A message that had left for its next server came back: it could not be delivered."
        }
        (Said::Failure, true) => {
            "Un message déjà transmis au serveur suivant est revenu\u{202f}: il n’a pas pu être \
             remis."
        }
        (Said::Complaint, false) => "A recipient complained of a message.",
        (Said::Complaint, true) => "Un destinataire s’est plaint d’un message.",
        (Said::Success, false) => "A message was delivered.",
        (Said::Success, true) => "Un message a été remis.",
        (Said::Delay, false) => "A message is delayed at another server.",
        (Said::Delay, true) => "Un message est retardé sur un autre serveur.",
        (Said::AutomaticReply | Said::Other, false) => {
            "Somebody answered a message at the address that only servers write to."
        }
        (Said::AutomaticReply | Said::Other, true) => {
            "Quelqu’un a répondu à un message à l’adresse réservée aux serveurs."
        }
    };
    if french {
        format!("Cet avis a été rédigé automatiquement par le serveur {server}. {what}")
    } else {
        format!("This notice was written automatically by the mail server {server}. {what}")
    }
}

fn write_recipient(recipient: &ForwardedRecipient<'_>, french: bool, text: &mut String) {
    let address = match recipient.address {
        Some(address) => format!("<{}>", safe::printable(address)),
        None if french => "Destinataire inconnu".to_string(),
        None => "Recipient not known".to_string(),
    };
    let became = match (recipient.said, french) {
        (Said::Failure, false) => "not delivered",
        (Said::Failure, true) => "non remis",
        (Said::Complaint, false) => "complained",
        (Said::Complaint, true) => "plainte",
        (Said::Success, false) => "delivered",
        (Said::Success, true) => "remis",
        (Said::Delay, false) => "delayed",
        (Said::Delay, true) => "retardé",
        (Said::AutomaticReply | Said::Other, false) => "answered",
        (Said::AutomaticReply | Said::Other, true) => "réponse",
    };
    let status = recipient.status.map(|status| format!(" ({status})"));
    let colon = if french { "\u{202f}:" } else { ":" };
    let line = format!("{address}{colon} {became}{}", status.unwrap_or_default());
    paragraph("", &line, text);
    if let Some(diagnostic) = recipient.diagnostic {
        let diagnostic = cut(&safe::printable(diagnostic), DIAGNOSTIC_CHARACTERS_MAX);
        paragraph("    ", &diagnostic, text);
    }
    if recipient.suppressed {
        let sentence = if french {
            "Plus rien ne lui est envoyé tant que l’adresse n’est pas libérée (relais suppression \
             release)."
        } else {
            "Nothing more is sent to it until the address is released (relais suppression release)."
        };
        paragraph("    ", sentence, text);
    }
}

/// As it came, but for line ends.
fn returned(forwarded: &Forwarded<'_>) -> Part {
    let body = with_crlf(forwarded.returned);
    let end = memchr::memmem::find(&body, b"\r\n\r\n").unwrap_or(body.len());
    let header = &body[..end];
    // RFC 6532 §3.7; what is no UTF-8 exists too.
    let global = !header.is_ascii() && core::str::from_utf8(header).is_ok();
    let kind = match (forwarded.returned_is_full, global) {
        (true, true) => "message/global",
        (true, false) => "message/rfc822",
        (false, true) => "message/global-headers",
        (false, false) => "text/rfc822-headers",
    };
    Part::new(kind, "What came back", body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(language: Language, diagnostic: &str, subject: &str) -> String {
        let domain = Domain::parse("relay.test").unwrap();
        let to = Mailbox::parse("owner@contoso.test").unwrap();
        let recipients = [ForwardedRecipient {
            address: Some("b@example.org"),
            said: Said::Failure,
            status: EnhancedStatus::parse("5.1.1"),
            diagnostic: Some(diagnostic),
            suppressed: true,
        }];
        let octets = forward(&Forwarded {
            hostname: "relay.test",
            from_domain: &domain,
            to: &to,
            sender: Some("scan@contoso.test"),
            language,
            now: Timestamp::from_millis(1_795_910_400_000),
            queue_ids: ("0ABCDEFGHJKMN", "0ABCDEFGHJKMP"),
            subject: Some(subject),
            said: Said::Failure,
            last: Some(Last::OfPerson(Timestamp::from_millis(1_795_914_000_000))),
            recipients: &recipients,
            returned: b"Subject: Undelivered\n\nno\n",
            returned_is_full: true,
        });
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn a_person_reads_which_message_which_recipient_and_why() {
        let english = text(Language::English, "550 unknown", "Scan");
        for piece in [
            "Subject: Returned: Scan\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "The message is number 0ABCDEFGHJKMN.\r\nIt was sent from <scan@contoso.test>.\r\n",
            "<b@example.org>: not delivered (5.1.1)\r\n    550 unknown\r\n",
            "More has come back about your messages than is passed on",
            "Content-Type: message/rfc822\r\n\r\nSubject: Undelivered\r\n\r\nno\r\n",
        ] {
            assert!(english.contains(piece), "{piece}\n{english}");
        }
        let french = text(Language::French, "550 unknown", "Scan");
        assert!(
            french.contains("<b@example.org>\u{202f}: non remis (5.1.1)"),
            "{french}"
        );
    }

    #[test]
    fn foreign_text_adds_no_field_line_or_part() {
        let hostile = "x\r\n--=_0ABCDEFGHJKMN_0ABCDEFGHJKMP\r\nEvil: yes";
        let text = text(Language::English, hostile, hostile);
        assert!(!text.contains("\r\nEvil"), "{text}");
        assert_eq!(text.matches("\r\n--=_").count(), 3, "{text}");
    }
}
