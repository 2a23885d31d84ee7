//! Reading what comes back: delivery status notifications (RFC 3464, also within the other types of
//! RFC 6522 and in UTF-8, RFC 6533), feedback reports (RFC 5965), plain bounces by rules, and
//! automatic replies (RFC 3834).
//!
//! Everything here was written by somebody else, and perhaps to harm: each octet is looked at a
//! bounded number of times, depth and number of parts are bounded, texts are cut and made
//! printable, and nothing that cannot be read is a fault: it is then less that is known.
//!
//! Not here: which message it is about (the address that it came to says so), and what follows
//! (`relais-policy`, `relais-deliver`).

mod report;
mod rules;
mod automatic;
mod text;
mod part;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::address::Mailbox;
use crate::header::{self, FromField};
use crate::reply::EnhancedStatus;

use self::part::{Kind, Walk};

/// Of a message that came back, this much is read: reports stand before what they return.
pub const RETURNED_OCTETS_MAX: usize = 256 * 1_024;
/// Recipients read of one notice: as many as one of our transactions has.
pub const RECIPIENTS_MAX: usize = 100;
/// Longest diagnostic that is kept, in characters: a reply of several lines.
pub const DIAGNOSTIC_CHARACTERS_MAX: usize = 500;
/// Longest name of a reporter that is kept, in characters.
const NAME_CHARACTERS_MAX: usize = 255;

/// What a notice says of a recipient, or in all.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Said {
    /// Delivered, relayed or expanded.
    Success,
    /// Not yet.
    Delay,
    /// A person's or program's answer: no failure. RFC 3834.
    AutomaticReply,
    /// None of these: perhaps a person's reply.
    Other,
    /// The recipient complains. RFC 5965.
    Complaint,
    /// Given up.
    Failure,
}

impl Said {
    /// The word, for trace and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Delay => "delay",
            Self::AutomaticReply => "automatic-reply",
            Self::Other => "reply",
            Self::Complaint => "complaint",
            Self::Failure => "failure",
        }
    }
}

/// By which form it was understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// RFC 3464.
    DeliveryStatus,
    /// RFC 5965.
    FeedbackReport,
    /// A rule for plain bounces, by name.
    Rule(&'static str),
    /// RFC 3834, or what programs did before it.
    AutomaticReply,
    /// Not understood.
    Unknown,
}

/// A message that came back, read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Returned {
    /// In all: the gravest of what is said of its recipients.
    pub said: Said,
    /// How it was understood.
    pub form: Form,
    /// Each recipient that it names; empty: it names none.
    pub recipients: Vec<ReturnedRecipient>,
    /// Who reports: the Reporting-MTA, or the User-Agent of a feedback report.
    pub reporter: Option<Box<str>>,
    /// First address of its header From.
    pub from: Option<Mailbox>,
    /// Its subject, decoded.
    pub subject: Option<String>,
    /// What the first text part says at its beginning, on one line: for whoever gets no more.
    pub words: Option<Box<str>>,
}

/// One recipient of a notice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReturnedRecipient {
    /// As it was sent by us, where the notice says so; else as the reporter knows it.
    pub address: Option<Mailbox>,
    /// As the reporter knows it, where that is another.
    pub final_address: Option<Mailbox>,
    /// What became of it.
    pub said: Said,
    /// RFC 3463.
    pub status: Option<EnhancedStatus>,
    /// What the last server said, on one line.
    pub diagnostic: Option<Box<str>>,
}

/// Reads a message that came back, or its beginning. Never fails.
pub fn read(content: &[u8]) -> Returned {
    let content = &content[..content.len().min(RETURNED_OCTETS_MAX)];
    let end = header::header_section_end(content).unwrap_or(content.len());
    let (section, body) = content.split_at(end);
    let summary = header::read(section);
    let parts = Walk::of_message(section, body);
    let found = by_report(&parts)
        .or_else(|| rules::read(section, &parts))
        .or_else(|| {
            automatic::is_automatic(section, summary.subject.as_deref()).then(|| Found {
                said: Said::AutomaticReply,
                form: Form::AutomaticReply,
                recipients: Vec::new(),
                reporter: None,
            })
        });
    let found = found.unwrap_or(Found {
        said: Said::Other,
        form: Form::Unknown,
        recipients: Vec::new(),
        reporter: None,
    });
    let from = match summary.from {
        FromField::Addresses(addresses) => addresses.into_iter().next(),
        FromField::Missing | FromField::Unreadable => None,
    };
    Returned {
        said: found.said,
        form: found.form,
        recipients: found.recipients,
        reporter: found.reporter,
        from,
        subject: summary.subject,
        words: parts.text().and_then(text::first_words),
    }
}

/// What one of the readers found.
struct Found {
    said: Said,
    form: Form,
    recipients: Vec<ReturnedRecipient>,
    reporter: Option<Box<str>>,
}

/// By a part for programs.
fn by_report(parts: &Walk) -> Option<Found> {
    let found = parts.find(Kind::DeliveryStatus).and_then(report::status);
    found.or_else(|| parts.find(Kind::FeedbackReport).and_then(report::feedback))
}

#[cfg(test)]
mod tests;
