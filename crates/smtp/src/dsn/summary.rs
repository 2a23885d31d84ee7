//! One notice about many messages: held by the relay, released by nobody, and now their time is
//! up. A notice about each would be a flood, and say nothing more.
//!
//! Plain text, and no delivery status notification (RFC 3464): that is about one message. Which
//! messages is told line by line, up to a bound; the trace has all of it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::address::Mailbox;
use crate::domain::Domain;
use crate::safe;
use crate::time::Timestamp;

use super::writing::{cut, encoded_field, field, paragraph};
use super::{Language, identifier, sender_name};

/// Messages that are named one by one: more than anybody reads.
pub const SUMMARY_MESSAGES_MAX: usize = 100;
/// Of a subject or address in such a line, in characters.
const WORDS_CHARACTERS_MAX: usize = 60;

/// A message of it.
#[derive(Clone, Debug)]
pub struct Summarised {
    /// Its queue id, as text.
    pub queue_id: String,
    /// When it was accepted.
    pub arrival: Timestamp,
    /// From whom.
    pub from: String,
    /// Its first recipient whose time is up.
    pub to: String,
    /// How many others there are.
    pub others: usize,
    /// Its subject.
    pub subject: String,
}

/// Everything that it is made of.
#[derive(Clone, Debug)]
pub struct Summary<'a> {
    /// Our name.
    pub hostname: &'a str,
    /// The domain for From and Message-ID.
    pub from_domain: &'a Domain,
    /// Who gets it.
    pub to: &'a Mailbox,
    /// Language of the words.
    pub language: Language,
    /// Now.
    pub now: Timestamp,
    /// The queue id of this notice, as text.
    pub queue_id: &'a str,
    /// The messages, oldest first.
    pub messages: &'a [Summarised],
}

/// The content, CRLF line ends, without Received.
pub fn summarise(summary: &Summary<'_>) -> Vec<u8> {
    let body = words(summary);
    let mut out = String::new();
    let domain = summary.from_domain;
    let name = sender_name(summary.language);
    let id = identifier(summary.queue_id);
    field("Date", &summary.now.to_rfc5322(), &mut out);
    field("From", &format!("{name} <postmaster@{domain}>"), &mut out);
    field("To", &format!("<{}>", summary.to), &mut out);
    encoded_field("Subject", &subject(summary), &mut out);
    field("Message-ID", &format!("<{id}@{domain}>"), &mut out);
    // RFC 3834 §5: nobody answers this automatically.
    field("Auto-Submitted", "auto-generated", &mut out);
    field("MIME-Version", "1.0", &mut out);
    field("Content-Type", "text/plain; charset=utf-8", &mut out);
    if !body.is_ascii() {
        field("Content-Transfer-Encoding", "8bit", &mut out);
    }
    out.push_str("\r\n");
    out.push_str(&body);
    out.into_bytes()
}

fn subject(summary: &Summary<'_>) -> String {
    let count = summary.messages.len();
    match summary.language {
        Language::English => format!("Undeliverable: {count} messages that were held"),
        Language::French => format!("Non remis\u{202f}: {count} messages retenus"),
    }
}

fn words(summary: &Summary<'_>) -> String {
    let (server, count) = (safe::printable(summary.hostname), summary.messages.len());
    let more = count.saturating_sub(SUMMARY_MESSAGES_MAX);
    let (greeting, what, more, closing) = match summary.language {
        Language::English => (
            format!("This notice was written automatically by the mail server {server}."),
            format!(
                "{count} messages were held, because something about them was restricted or \
                 suspicious, or by a person. Nobody released them in time: they were not \
                 delivered, and will not be."
            ),
            format!("And {more} others."),
            "Your mail administrator can look up each of them by its identifier.",
        ),
        Language::French => (
            format!("Cet avis a été rédigé automatiquement par le serveur de messagerie {server}."),
            format!(
                "{count} messages étaient retenus, parce qu’une restriction ou un soupçon pesait \
                 sur eux, ou par une personne. Personne ne les a libérés à temps\u{202f}: ils \
                 n’ont pas été remis et ne le seront pas."
            ),
            format!("Et {more} autres."),
            "Votre administrateur de messagerie peut retrouver chacun d’eux par son identifiant.",
        ),
    };
    let mut text = String::new();
    paragraph("", &greeting, &mut text);
    text.push_str("\r\n");
    paragraph("", &what, &mut text);
    text.push_str("\r\n");
    for one in summary.messages.iter().take(SUMMARY_MESSAGES_MAX) {
        paragraph("    ", &line(one), &mut text);
    }
    if count > SUMMARY_MESSAGES_MAX {
        paragraph("    ", &more, &mut text);
    }
    text.push_str("\r\n");
    paragraph("", closing, &mut text);
    text
}

/// `2026-11-27T18:04:11.000Z 1B0TJC: a@b.test -> c@d.test (+2) "Invoice"`
fn line(one: &Summarised) -> String {
    let shown = |text: &str| cut(&safe::printable(text), WORDS_CHARACTERS_MAX);
    let others = match one.others {
        0 => String::new(),
        others => format!(" (+{others})"),
    };
    format!(
        "{} {}: {} -> {}{others} \"{}\"",
        one.arrival.to_rfc3339(),
        identifier(&one.queue_id),
        shown(&one.from),
        shown(&one.to),
        shown(&one.subject)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(language: Language, count: usize) -> String {
        let message = Summarised {
            queue_id: "1B0TJC".into(),
            arrival: Timestamp::from_millis(1_795_514_400_000),
            from: "scan@contoso.test".into(),
            to: "a@b.example".into(),
            others: 2,
            subject: "Fact\r\nBcc: x@y.example".into(),
        };
        let octets = summarise(&Summary {
            hostname: "relay.contoso.test",
            from_domain: &Domain::parse("relay.contoso.test").unwrap(),
            to: &Mailbox::parse("it@contoso.test").unwrap(),
            language,
            now: Timestamp::from_millis(1_796_000_000_000),
            queue_id: "2C",
            messages: &alloc::vec![message; count],
        });
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn each_message_has_a_line_up_to_a_bound_and_no_word_of_others_adds_a_field() {
        let english = summary(Language::English, 3);
        assert!(english.contains("Subject: Undeliverable: 3 messages that were held\r\n"));
        assert_eq!(english.matches("1B0TJC:").count(), 3);
        assert!(english.contains("scan@contoso.test -> a@b.example (+2)"));
        assert!(!english.contains("\nBcc:") && !english.contains("others."));
        let french = summary(Language::French, SUMMARY_MESSAGES_MAX + 7);
        assert_eq!(french.matches("1B0TJC:").count(), SUMMARY_MESSAGES_MAX);
        assert!(french.contains("Et 7 autres."), "{french}");
        assert!(french.lines().all(|line| line.len() <= 998));
    }
}
