//! Composing a delivery status notification. RFC 3464, RFC 3461 §6, RFC 6522, RFC 6533.
//!
//! Three parts: words for people, in English or French ([`Language`]); the same for programs; the
//! original header section, or all of the original. Replies, subjects, addresses and identifiers
//! were chosen by others: none of them can add a header field, a line of the report, or a part.
//!
//! The result has CRLF line ends, lines of at most 998 octets but for those of the original, and is
//! 7-bit unless a foreign text, or French, makes it 8-bit; then it says so in
//! `Content-Transfer-Encoding`. The notice needs SMTPUTF8 only if its recipient's address does.
//!
//! Not here: who gets it, and when (`relais-policy`, `notice`).

mod summary;
mod forwarded;
mod human;
mod advice;
mod report;
mod cause;
mod writing;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::address::Mailbox;
use crate::domain::Domain;
use crate::envelope::OriginalRecipient;
use crate::reply::{EnhancedStatus, Reply};
use crate::time::Timestamp;

use self::writing::{encoded_field, field};

pub use self::cause::{Cause, status_of};
pub use self::forwarded::{Forwarded, ForwardedRecipient, Last, forward};
pub use self::summary::{SUMMARY_MESSAGES_MAX, Summarised, Summary, summarise};
pub use self::writing::encoded_words;

/// Longest subject repeated in a notice, in characters.
pub const SUBJECT_CHARACTERS_MAX: usize = 200;
/// Longest reply repeated in a notice, in characters: four times the longest line of a reply
/// (RFC 5321 §4.5.3.1.5).
pub const DIAGNOSTIC_CHARACTERS_MAX: usize = 2_048;

/// RFC 3464 §2.3.3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// We gave up.
    Failed,
    /// Not delivered yet; we go on trying.
    Delayed,
    /// Delivered to a mailbox (LMTP).
    Delivered,
    /// Passed to a server that gives no notices itself.
    Relayed,
}

/// The language that the first part is written in.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// French.
    French,
}

/// What is told about one recipient. RFC 3464 §2.3.
#[derive(Clone, Debug)]
pub struct RecipientStatus {
    /// As we have it.
    pub final_recipient: Mailbox,
    /// As the sender first knew it.
    pub original_recipient: Option<OriginalRecipient>,
    /// What became of it.
    pub action: Action,
    /// RFC 3463 code. For an answer [`status_of`], without one [`Cause::status`].
    pub status: EnhancedStatus,
    /// The server that answered.
    pub remote_mta: Option<Box<str>>,
    /// Its answer, verbatim.
    pub diagnostic: Option<Reply>,
    /// Our own words for the cause, a whole sentence in the notice's language ([`Cause::text`]):
    /// where no server answered, or beside its last answer (expired).
    pub explanation: Option<Box<str>>,
    /// The last attempt.
    pub last_attempt: Option<Timestamp>,
    /// For delayed ones: until when we go on.
    pub will_retry_until: Option<Timestamp>,
}

/// Everything that a notice is made of.
#[derive(Clone, Debug)]
pub struct Notice<'a> {
    /// Our name.
    pub hostname: &'a str,
    /// The domain for From and Message-ID.
    pub from_domain: &'a Domain,
    /// Who gets it: the header To.
    pub to: &'a Mailbox,
    /// If it does not go to the reverse-path: the address that the message was sent from.
    pub on_behalf_of: Option<&'a Mailbox>,
    /// Language of the human part.
    pub language: Language,
    /// The sender's ENVID.
    pub envid: Option<&'a str>,
    /// When the message was accepted.
    pub arrival: Timestamp,
    /// Now: Date of the notice.
    pub now: Timestamp,
    /// The queue id of the original, and of the notice, as text.
    pub queue_ids: (&'a str, &'a str),
    /// The original's subject, for the human part.
    pub subject: Option<&'a str>,
    /// The original's Message-ID without brackets, for In-Reply-To and References.
    pub message_id: Option<&'a str>,
    /// Each recipient concerned; never empty.
    pub recipients: &'a [RecipientStatus],
    /// The original header section (always), or the whole content where RET=FULL asks and it is
    /// small enough.
    pub original: &'a [u8],
    /// Whether `original` is the whole content.
    pub original_is_full: bool,
}

/// The content of the notice, CRLF line ends, without Received.
pub fn compose(notice: &Notice<'_>) -> Vec<u8> {
    let parts = [
        human::part(notice),
        report::part(notice),
        original_part(notice),
    ];
    let boundary = boundary(notice.queue_ids, &parts);
    let eight_bit = parts.iter().any(|part| !part.body.is_ascii());

    let mut out = String::new();
    write_header(notice, &boundary, eight_bit, &mut out);
    let mut out = out.into_bytes();
    out.extend_from_slice(b"\r\nThis is a delivery status notification in MIME format.\r\n");
    write_parts(&boundary, &parts, &mut out);
    out
}

/// Delimiters, fields and bodies. RFC 2046 §5.1.1.
fn write_parts(boundary: &str, parts: &[Part], out: &mut Vec<u8>) {
    for part in parts {
        out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        out.extend_from_slice(part.header.as_bytes());
        if !part.body.is_ascii() {
            out.extend_from_slice(b"Content-Transfer-Encoding: 8bit\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&part.body);
    }
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
}

/// One part of the notice: its fields without Content-Transfer-Encoding, and its body with CRLF
/// line ends.
struct Part {
    header: String,
    body: Vec<u8>,
}

impl Part {
    fn new(content_type: &str, description: &str, body: Vec<u8>) -> Self {
        let mut header = String::new();
        field("Content-Description", description, &mut header);
        field("Content-Type", content_type, &mut header);
        Self { header, body }
    }
}

fn write_header(notice: &Notice<'_>, boundary: &str, eight_bit: bool, out: &mut String) {
    let (original_id, notice_id) = notice.queue_ids;
    let domain = notice.from_domain;
    let name = sender_name(notice.language);
    field("Date", &notice.now.to_rfc5322(), out);
    field("From", &format!("{name} <postmaster@{domain}>"), out);
    field("To", &format!("<{}>", notice.to), out);
    encoded_field("Subject", &human::subject(notice), out);
    field(
        "Message-ID",
        &format!("<{}@{domain}>", identifier(notice_id)),
        out,
    );
    if let Some(message_id) = notice.message_id.filter(|text| is_message_id(text)) {
        field("In-Reply-To", &format!("<{message_id}>"), out);
        field("References", &format!("<{message_id}>"), out);
    }
    // RFC 3834 §5: nobody answers this automatically.
    field("Auto-Submitted", "auto-replied", out);
    field("X-Relais-Queue-Id", &identifier(original_id), out);
    field("MIME-Version", "1.0", out);
    let multipart = "multipart/report; report-type=delivery-status;";
    field(
        "Content-Type",
        &format!("{multipart} boundary=\"{boundary}\""),
        out,
    );
    if eight_bit {
        field("Content-Transfer-Encoding", "8bit", out);
    }
}

/// The display name of our notices.
fn sender_name(language: Language) -> String {
    match language {
        Language::English => "\"Mail Delivery System\"".into(),
        Language::French => writing::encoded_words("Système de remise du courrier").join(" "),
    }
}

/// The original, returned as it is but for line ends: a lone CR or LF cannot leave us.
fn original_part(notice: &Notice<'_>) -> Part {
    let mut body = writing::with_crlf(notice.original);
    if !notice.original_is_full {
        while body.ends_with(b"\r\n\r\n") {
            body.truncate(body.len() - 2);
        }
    }
    let header_end = match notice.original_is_full {
        true => memchr::memmem::find(&body, b"\r\n\r\n").unwrap_or(body.len()),
        false => body.len(),
    };
    // RFC 6533 §4 (`global`) speaks of UTF-8 only; header sections in other sets exist too.
    let header = &body[..header_end];
    let global = !header.is_ascii() && core::str::from_utf8(header).is_ok();
    let (kind, description) = match (notice.original_is_full, global) {
        (true, true) => ("message/global", "Original message"),
        (true, false) => ("message/rfc822", "Original message"),
        (false, true) => ("message/global-headers", "Header of the original message"),
        (false, false) => ("text/rfc822-headers", "Header of the original message"),
    };
    Part::new(kind, description, body)
}

/// Made of the two queue ids, and numbered on until it occurs in no part. RFC 2046 §5.1.1.
fn boundary((original_id, notice_id): (&str, &str), parts: &[Part]) -> String {
    let base = format!("=_{}_{}", identifier(original_id), identifier(notice_id));
    let occurs = |text: &str| {
        parts
            .iter()
            .any(|part| memchr::memmem::find(&part.body, text.as_bytes()).is_some())
    };
    let mut boundary = base.clone();
    let mut number = 0_u32;
    while occurs(&boundary) {
        number += 1;
        boundary = format!("{base}_{number}");
    }
    boundary
}

/// A queue id as part of a Message-ID or boundary: letters and digits, at most 24.
fn identifier(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .take(24)
        .collect()
}

/// Something that can stand between `<` and `>` without ending them or the line. Not the full
/// grammar of RFC 5322 §3.6.4: foreign identifiers are repeated if they are harmless.
fn is_message_id(text: &str) -> bool {
    let harmless = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'<' | b'>');
    !text.is_empty() && text.len() <= 900 && text.bytes().all(harmless)
}
