//! The parts for programs: `message/delivery-status` (RFC 3464 §2) and `message/feedback-report`
//! (RFC 5965 §3).

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{
    DIAGNOSTIC_CHARACTERS_MAX, Form, Found, NAME_CHARACTERS_MAX, RECIPIENTS_MAX, ReturnedRecipient,
    Said, text,
};
use crate::address::Mailbox;
use crate::reply::EnhancedStatus;

/// Lines of a report that are read.
const LINES_MAX: usize = 5_000;

/// The fields of one group, names in lower case.
type Group = Vec<(String, String)>;

/// Per-message fields, then one group of fields for each recipient.
pub(super) fn status(octets: &[u8]) -> Option<Found> {
    let groups = groups(&String::from_utf8_lossy(octets));
    let first = groups.first()?;
    let reporter = field(first, "reporting-mta").or_else(|| field(first, "reporting-ua"));
    let reporter = reporter.map(|value| text::line(of_type(value).1, NAME_CHARACTERS_MAX));
    // Programs that forget the per-message fields begin with a recipient.
    let recipients: Vec<_> = groups
        .iter()
        .filter_map(recipient)
        .take(RECIPIENTS_MAX)
        .collect();
    let said = recipients.iter().map(|one| one.said).max()?;
    Some(Found {
        said,
        form: Form::DeliveryStatus,
        recipients,
        reporter,
    })
}

fn recipient(group: &Group) -> Option<ReturnedRecipient> {
    let status = field(group, "status").and_then(read_status);
    let action = field(group, "action").map(|value| first_word(value).to_ascii_lowercase());
    let said = match action.as_deref() {
        Some("failed") => Said::Failure,
        Some("delayed") => Said::Delay,
        Some("delivered" | "relayed" | "expanded") => Said::Success,
        // Without Action the class of the status is the best word there is.
        Some(_) | None => match status.map(|status| status.class) {
            Some(5) => Said::Failure,
            Some(4) => Said::Delay,
            Some(2) => Said::Success,
            Some(_) | None => return None,
        },
    };
    let address = |name| field(group, name).and_then(mailbox);
    let (original, last) = (address("original-recipient"), address("final-recipient"));
    let diagnostic = field(group, "diagnostic-code").map(|value| {
        let (_, said) = of_type(value);
        text::line(said, DIAGNOSTIC_CHARACTERS_MAX)
    });
    let final_address = last
        .clone()
        .filter(|last| original.as_ref().is_some_and(|o| o != last));
    Some(ReturnedRecipient {
        address: original.or(last),
        final_address,
        said,
        status: status.or_else(|| diagnostic.as_deref().and_then(text::status)),
        diagnostic: diagnostic.filter(|text| !text.is_empty()),
    })
}

/// Who complains, about whom. RFC 5965 §3.1, §3.2.
pub(super) fn feedback(octets: &[u8]) -> Option<Found> {
    let groups = groups(&String::from_utf8_lossy(octets));
    let fields: Group = groups.into_iter().flatten().collect();
    let kind = first_word(field(&fields, "feedback-type")?).to_ascii_lowercase();
    let said = match kind.as_str() {
        // RFC 5965 §7.3: the recipient took a complaint back, or never made one.
        "not-spam" => Said::Other,
        // RFC 6591: a report about authentication, nobody's complaint.
        "auth-failure" | "dmarc" => Said::Other,
        // abuse, fraud, virus, other, opt-out, miscategorized …
        _ => Said::Complaint,
    };
    let diagnostic: Box<str> = text::line(&kind, NAME_CHARACTERS_MAX);
    let named = fields
        .iter()
        .filter(|(name, _)| name == "original-rcpt-to" || name == "removal-recipient")
        .filter_map(|(_, value)| mailbox(value));
    let mut recipients: Vec<ReturnedRecipient> = Vec::new();
    for address in named.take(RECIPIENTS_MAX) {
        if recipients
            .iter()
            .any(|one| one.address.as_ref() == Some(&address))
        {
            continue;
        }
        recipients.push(ReturnedRecipient {
            address: Some(address),
            final_address: None,
            said,
            status: None,
            diagnostic: Some(diagnostic.clone()),
        });
    }
    let reporter = field(&fields, "user-agent");
    Some(Found {
        said,
        form: Form::FeedbackReport,
        recipients,
        reporter: reporter.map(|value| text::line(value, NAME_CHARACTERS_MAX)),
    })
}

/// Fields in groups that empty lines separate; folded lines are joined. What is no field is passed
/// over.
fn groups(report: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut group = Group::new();
    for line in report.lines().take(LINES_MAX) {
        if line.trim().is_empty() {
            if !group.is_empty() {
                groups.push(core::mem::take(&mut group));
            }
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = group.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
            continue;
        }
        if let Some((name, value)) = line.split_once(':') {
            group.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

fn field<'a>(group: &'a Group, name: &str) -> Option<&'a str> {
    let mut fields = group.iter();
    fields
        .find(|(one, _)| one == name)
        .map(|(_, value)| value.as_str())
}

/// `rfc822; a@b` → (`rfc822`, `a@b`). Without a type the whole is the value.
fn of_type(value: &str) -> (&str, &str) {
    match value.split_once(';') {
        Some((kind, rest)) if !kind.contains(['@', ' ', '<']) => (kind.trim(), rest.trim()),
        Some(_) | None => ("", value.trim()),
    }
}

fn mailbox(value: &str) -> Option<Mailbox> {
    let (kind, address) = of_type(value);
    if kind.eq_ignore_ascii_case("x400") {
        return None;
    }
    text::parse(address).or_else(|| text::address(address))
}

/// `5.1.1 (bad address)`; some write `5.1.1.` or `#5.1.1`.
fn read_status(value: &str) -> Option<EnhancedStatus> {
    EnhancedStatus::parse(first_word(value)).or_else(|| text::status(value))
}

fn first_word(value: &str) -> &str {
    value
        .split([' ', '\t', ';', '(', ','])
        .next()
        .unwrap_or_default()
}
