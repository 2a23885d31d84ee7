//! What a header section must be before a message is accepted, and the named repairs that make it
//! so. Pure. RFC 5321 §6.3 and §6.4, RFC 6409 §8.
//!
//! The tolerant preset adds what is missing. The strict preset changes nothing: a relay passes on
//! what it got (RFC 5321 §6.4). In both, From of a known client must be readable in the end
//! (HDR-FROM) and is judged by policy; strangers' From is left to the recipient's own checks.

use std::borrow::Cow;

use relais_policy::permission::HeaderFromVerdict;
use relais_policy::sender::is_makeshift;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::content::{Preset, Repair};
use relais_smtp::header::{self, FieldChange, FromField, HeaderSummary, RECEIVED_FIELDS_MAX};
use relais_smtp::identifier::QueueId;
use relais_smtp::refusal::Refusal;
use relais_smtp::time::Timestamp;

use crate::limits::Standing;

/// Where a From that had to give way is kept if it cannot be Reply-To.
const ORIGINAL_FROM: &str = "X-Original-From";

/// What is known when a header section is judged.
pub(crate) struct Circumstances<'a> {
    pub(crate) preset: Preset,
    pub(crate) standing: Standing,
    pub(crate) reverse_path: &'a ReversePath,
    pub(crate) queue_id: QueueId,
    pub(crate) hostname: &'a str,
    pub(crate) now: Timestamp,
    /// The body as far as it has come: all of it, where the message is small.
    pub(crate) body: &'a [u8],
}

/// A header section that may pass.
pub(crate) struct Examined<'a> {
    /// What it says, after repairs.
    pub(crate) summary: HeaderSummary,
    /// Fields to put above it, each with CRLF.
    pub(crate) added: String,
    /// The section itself: its own octets, unless From had to be renamed.
    pub(crate) section: Cow<'a, [u8]>,
    /// Repairs made.
    pub(crate) repairs: Vec<Repair>,
    /// A domain of From that is not verified, let pass with a flag.
    pub(crate) flagged: Option<String>,
}

/// Judges and repairs; `summary` is what the section says. `judge_from` is policy's word on From.
pub(crate) fn examine<'a>(
    section: &'a [u8],
    summary: HeaderSummary,
    circumstances: &Circumstances<'_>,
    judge_from: impl FnOnce(&FromField) -> HeaderFromVerdict,
) -> Result<Examined<'a>, Refusal> {
    if summary.received_count > RECEIVED_FIELDS_MAX {
        return Err(Refusal::Loop);
    }
    if summary.has_hidden_line {
        return Err(Refusal::HeaderNul);
    }
    let mut examined = Examined {
        summary,
        added: String::new(),
        section: Cow::Borrowed(section),
        repairs: Vec::new(),
        flagged: None,
    };
    if circumstances.preset == Preset::Tolerant {
        examined.repair_from(circumstances.reverse_path);
    }
    match judge_from(&examined.summary.from) {
        HeaderFromVerdict::Permit => {}
        HeaderFromVerdict::Flag { domain } => examined.flagged = Some(domain),
        HeaderFromVerdict::Repair { from } => examined.replace_from(from),
        HeaderFromVerdict::Refuse(refusal) => return Err(refusal),
    }
    let readable = matches!(examined.summary.from, FromField::Addresses(_));
    if circumstances.standing == Standing::Client && !readable {
        return Err(Refusal::HeaderFrom);
    }
    if circumstances.preset == Preset::Tolerant {
        examined.add_missing(circumstances);
    }
    Ok(examined)
}

impl Examined<'_> {
    /// No From, or one that cannot be read, becomes the reverse-path. The null reverse-path names
    /// nobody: then there is nothing to repair with.
    fn repair_from(&mut self, reverse_path: &ReversePath) {
        let Some(mailbox) = reverse_path.mailbox() else {
            return;
        };
        match self.summary.from {
            FromField::Addresses(_) => return,
            FromField::Missing => {}
            FromField::Unreadable => self.rename_from(ORIGINAL_FROM),
        }
        self.set_from(mailbox.clone());
    }

    /// Policy's repair: From becomes the reverse-path, the original goes to Reply-To, where answers
    /// reach its author; a Reply-To that is there already says so itself.
    /// What nobody could read is no address to answer to.
    fn replace_from(&mut self, mailbox: Mailbox) {
        // Nor is what means nothing outside.
        let answerable = match &self.summary.from {
            FromField::Addresses(addresses) => !addresses.iter().any(is_makeshift),
            FromField::Missing | FromField::Unreadable => false,
        };
        let to = if !answerable || has_reply_to(&self.section) {
            ORIGINAL_FROM
        } else {
            "Reply-To"
        };
        self.rename_from(to);
        self.set_from(mailbox);
    }

    fn rename_from(&mut self, to: &str) {
        let rename = FieldChange::Rename { from: "From", to };
        self.section = Cow::Owned(header::change(&self.section, &[rename]));
    }

    fn set_from(&mut self, mailbox: Mailbox) {
        self.add("From", &format!("<{mailbox}>"), Repair::From);
        self.summary.from = FromField::Addresses(vec![mailbox]);
    }

    fn add_missing(&mut self, circumstances: &Circumstances<'_>) {
        if !self.summary.has_date {
            self.add("Date", &circumstances.now.to_rfc5322(), Repair::Date);
            self.summary.has_date = true;
        }
        if self.summary.message_id.is_none() {
            let id = format!("{}@{}", circumstances.queue_id, circumstances.hostname);
            self.add("Message-ID", &format!("<{id}>"), Repair::MessageId);
            self.summary.message_id = Some(id.into());
        }
        if self.summary.has_mime_fields && !self.summary.has_mime_version {
            self.add("MIME-Version", "1.0", Repair::MimeVersion);
            self.summary.has_mime_version = true;
        } else if !self.summary.has_mime_version && !circumstances.body.is_ascii() {
            self.add_mime(circumstances.body);
        }
    }

    /// 8-bit text without a word on what it is: without these fields each reader guesses. What is
    /// no UTF-8 is what old devices of western Europe send. RFC 2045 §4 and §6.2.
    fn add_mime(&mut self, body: &[u8]) {
        let is_utf8 = match std::str::from_utf8(body) {
            Ok(_) => true,
            // The piece may end within a character.
            Err(error) => error.error_len().is_none(),
        };
        let charset = if is_utf8 { "utf-8" } else { "windows-1252" };
        self.add("MIME-Version", "1.0", Repair::MimeVersion);
        let fields = format!(
            "Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n"
        );
        self.added.push_str(&fields);
        self.summary.has_mime_version = true;
        self.summary.has_mime_fields = true;
    }

    fn add(&mut self, name: &str, value: &str, repair: Repair) {
        self.added.push_str(name);
        self.added.push_str(": ");
        self.added.push_str(value);
        self.added.push_str("\r\n");
        self.repairs.push(repair);
    }
}

fn has_reply_to(section: &[u8]) -> bool {
    const NAME: &[u8] = b"reply-to";
    section.split(|octet| *octet == b'\n').any(|line| {
        let Some(rest) = line.get(NAME.len()..) else {
            return false;
        };
        line[..NAME.len()].eq_ignore_ascii_case(NAME) && rest.trim_ascii_start().starts_with(b":")
    })
}

#[cfg(test)]
mod tests;
