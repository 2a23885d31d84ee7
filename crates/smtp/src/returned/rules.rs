//! Bounces in words alone: the common forms as a table. A form is known by a text that its program
//! writes in each notice; the recipients are the addresses that it names, each with the words after
//! it, up to where the returned message begins.
//!
//! A wrong address does no harm: only recipients that the message was sent to count.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::part::Walk;
use super::{
    DIAGNOSTIC_CHARACTERS_MAX, Form, Found, RECIPIENTS_MAX, ReturnedRecipient, Said, text,
};
use crate::address::Mailbox;
use crate::header;
use crate::reply::EnhancedStatus;

/// Lines of a text that are read.
const LINES_MAX: usize = 1_000;
/// Lines behind an address that may be its reason.
const REASON_LINES_MAX: usize = 12;

/// One form.
struct Rule {
    /// For the trace.
    name: &'static str,
    /// In lower case; every notice of this form holds it.
    mark: &'static str,
    /// What it means, unless its words say otherwise.
    said: Said,
}

const fn rule(name: &'static str, mark: &'static str, said: Said) -> Rule {
    Rule { name, mark, said }
}

/// The closer ones first.
const RULES: &[Rule] = &[
    rule("qmail", "this is the qmail-send program", Said::Failure),
    rule(
        "exim-delay",
        "message delivery has been delayed",
        Said::Delay,
    ),
    rule(
        "exim-delay",
        "a message that you sent has not yet been delivered",
        Said::Delay,
    ),
    rule(
        "exim",
        "this message was created automatically by mail delivery software",
        Said::Failure,
    ),
    rule(
        "sendmail-delay",
        "this is a warning message only",
        Said::Delay,
    ),
    rule(
        "sendmail",
        "the following addresses had permanent fatal errors",
        Said::Failure,
    ),
    rule(
        "sendmail-delay",
        "the following addresses had transient non-fatal errors",
        Said::Delay,
    ),
    rule(
        "gmail-delay",
        "delivery to the following recipient has been delayed",
        Said::Delay,
    ),
    rule("gmail-delay", "** delivery incomplete **", Said::Delay),
    rule(
        "gmail",
        "delivery to the following recipient failed permanently",
        Said::Failure,
    ),
    rule(
        "gmail",
        "delivery to the following recipients failed permanently",
        Said::Failure,
    ),
    rule("gmail", "** address not found **", Said::Failure),
    rule("gmail", "** message not delivered **", Said::Failure),
    rule("gmail", "** message blocked **", Said::Failure),
    rule(
        "exchange-delay",
        "delivery to the following recipients has been delayed",
        Said::Delay,
    ),
    rule(
        "exchange",
        "your message did not reach some or all of the intended recipients",
        Said::Failure,
    ),
    rule(
        "exchange",
        "delivery has failed to these recipients or",
        Said::Failure,
    ),
    rule(
        "exchange",
        "échec de la remise à ces destinataires ou",
        Said::Failure,
    ),
    rule(
        "exchange",
        "delivery to the following recipients failed",
        Said::Failure,
    ),
    rule("exchange", "votre message n'est pas parvenu", Said::Failure),
    rule("exchange", "couldn't be delivered to", Said::Failure),
    rule(
        "postfix",
        "this is the postfix program at host",
        Said::Failure,
    ),
    rule("postfix", "this is the mail system at host", Said::Failure),
    rule(
        "yahoo",
        "we were unable to deliver your message to the following address",
        Said::Failure,
    ),
    rule(
        "domino",
        "your message could not be delivered to the following recipients",
        Said::Failure,
    ),
    rule(
        "common",
        "your message could not be delivered",
        Said::Failure,
    ),
    rule(
        "common",
        "could not be delivered to the following",
        Said::Failure,
    ),
    rule("common", "undeliverable to the following", Said::Failure),
    rule(
        "common",
        "the following message could not be delivered",
        Said::Failure,
    ),
    rule(
        "common",
        "delivery to the following address failed",
        Said::Failure,
    ),
];

/// Where the returned message begins; in lower case.
const ENDS: &[&str] = &[
    "--- below this line is a copy of the message",
    "------ this is a copy of the message",
    "--- the header of the original message",
    "----- original message",
    "-----original message",
    "----- message header follows",
    "----- unsent message follows",
    "--- original message follows",
    "original message headers:",
    "diagnostic information for administrators:",
    "received: from ",
];

/// Words that say "not yet" where a form does not tell.
const DELAYS: &[&str] = &[
    "will be retried",
    "will keep trying",
    "no action is required",
    "not yet been",
];

/// Words for a mailbox that does not exist; in lower case. They stand for 5.1.1.
const UNKNOWN: &[&str] = &[
    "user unknown",
    "unknown user",
    "unknown recipient",
    "recipient unknown",
    "no such user",
    "no such recipient",
    "no such mailbox",
    "no mailbox here by that name",
    "doesn't have a",
    "does not exist",
    "doesn't exist",
    "unrouteable address",
    "mailbox not found",
    "address not found",
    "wasn't found",
    "user not found",
    "recipient not found",
    "invalid recipient",
    "not a valid mailbox",
    "introuvable",
];
/// Words for a full mailbox. They stand for 5.2.2.
const FULL: &[&str] = &[
    "mailbox full",
    "mailbox is full",
    "over quota",
    "quota exceeded",
];

/// By the header field of Exim and Gmail, or by the words of a form.
pub(super) fn read(section: &[u8], parts: &Walk) -> Option<Found> {
    let text = parts.text().unwrap_or_default();
    let lower = text.to_lowercase();
    let rule = RULES.iter().find(|rule| lower.contains(rule.mark));
    let listed = listed(section);
    if rule.is_none() && listed.is_empty() {
        return None;
    }
    let (name, usual) = rule.map_or(("x-failed-recipients", Said::Failure), |rule| {
        (rule.name, rule.said)
    });
    let is_delay = usual == Said::Delay || DELAYS.iter().any(|words| lower.contains(words));
    let said = if is_delay { Said::Delay } else { Said::Failure };
    let mut recipients = named(&text, said);
    for address in listed {
        if recipients
            .iter()
            .all(|one| one.address.as_ref() != Some(&address))
        {
            let reason = reason(&lower);
            recipients.push(recipient(
                address,
                said,
                reason.as_deref().unwrap_or_default(),
            ));
        }
    }
    recipients.truncate(RECIPIENTS_MAX);
    Some(Found {
        said,
        form: Form::Rule(name),
        recipients,
        reporter: None,
    })
}

/// `X-Failed-Recipients: a@b, c@d`.
fn listed(section: &[u8]) -> Vec<Mailbox> {
    let value = header::first_field(section, "X-Failed-Recipients").unwrap_or_default();
    let addresses = value.split(',').filter_map(text::parse);
    addresses.take(RECIPIENTS_MAX).collect()
}

/// The addresses of a text up to the returned message, each with the words up to the next one.
fn named(text: &str, said: Said) -> Vec<ReturnedRecipient> {
    let mut recipients: Vec<ReturnedRecipient> = Vec::new();
    let mut open: Option<(Mailbox, String, usize)> = None;
    for line in text.lines().take(LINES_MAX) {
        let lower = line.trim_matches(['>', ' ', '\t']).to_lowercase();
        if ENDS.iter().any(|end| lower.starts_with(end)) {
            break;
        }
        if let Some(address) = text::address(line) {
            let known = recipients
                .iter()
                .any(|one| one.address.as_ref() == Some(&address));
            let again = open.as_ref().is_some_and(|(open, _, _)| *open == address);
            if !known && !again {
                if let Some((address, reason, _)) = open.take() {
                    recipients.push(recipient(address, said, &reason));
                }
                if recipients.len() >= RECIPIENTS_MAX {
                    break;
                }
                open = Some((address, String::new(), 0));
            }
        }
        if let Some((_, reason, lines)) = &mut open
            && *lines < REASON_LINES_MAX
        {
            *lines += 1;
            reason.push_str(line.trim());
            reason.push(' ');
        }
    }
    if let Some((address, reason, _)) = open {
        recipients.push(recipient(address, said, &reason));
    }
    recipients
}

fn recipient(address: Mailbox, said: Said, reason: &str) -> ReturnedRecipient {
    let lower = reason.to_lowercase();
    let holds = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    let status = text::status(reason).or_else(|| {
        if said != Said::Failure {
            return None;
        }
        if holds(FULL) {
            return Some(EnhancedStatus::new(5, 2, 2));
        }
        if holds(UNKNOWN) {
            return Some(EnhancedStatus::new(5, 1, 1));
        }
        text::code_class(reason).map(|class| EnhancedStatus::new(class, 0, 0))
    });
    let diagnostic = text::line(reason, DIAGNOSTIC_CHARACTERS_MAX);
    ReturnedRecipient {
        address: Some(address),
        final_address: None,
        said,
        status,
        diagnostic: (!diagnostic.is_empty()).then_some(diagnostic),
    }
}

/// The line of a text that looks most like a reason.
fn reason(lower: &str) -> Option<Box<str>> {
    let is_reason = |line: &&str| {
        text::status(line).is_some() || UNKNOWN.iter().chain(FULL).any(|words| line.contains(words))
    };
    let line = lower.lines().take(LINES_MAX).find(is_reason)?;
    Some(text::line(line, DIAGNOSTIC_CHARACTERS_MAX))
}
