//! The second part, for programs: `message/delivery-status` (RFC 3464 §2), or
//! `message/global-delivery-status` (RFC 6533 §4) where an address has characters beyond ASCII.

use alloc::format;
use alloc::string::{String, ToString};

use super::writing::{ascii, cut, field};
use super::{Action, DIAGNOSTIC_CHARACTERS_MAX, Notice, Part, RecipientStatus};

/// Writes fields in the character set that the part allows.
struct Fields {
    global: bool,
    out: String,
}

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        if self.global {
            field(name, value, &mut self.out);
        } else {
            field(name, &ascii(value), &mut self.out);
        }
    }
}

pub(super) fn part(notice: &Notice<'_>) -> Part {
    let global = notice.recipients.iter().any(needs_utf8);
    let mut fields = Fields {
        global,
        out: String::new(),
    };
    // RFC 3461 §6.3 (a): ENVID stands here decoded.
    if let Some(envid) = notice.envid {
        fields.add("Original-Envelope-Id", envid);
    }
    fields.add("Reporting-MTA", &format!("dns; {}", notice.hostname));
    fields.add("Arrival-Date", &notice.arrival.to_rfc5322());
    for recipient in notice.recipients {
        fields.out.push_str("\r\n");
        add_recipient(recipient, &mut fields);
    }
    let kind = match global {
        true => "message/global-delivery-status",
        false => "message/delivery-status",
    };
    Part::new(kind, "Delivery report", fields.out.into_bytes())
}

fn needs_utf8(recipient: &RecipientStatus) -> bool {
    let original_is_ascii = recipient
        .original_recipient
        .as_ref()
        .is_none_or(|original| original.address.is_ascii());
    !recipient.final_recipient.is_ascii() || !original_is_ascii
}

fn add_recipient(recipient: &RecipientStatus, fields: &mut Fields) {
    let is_atom = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if let Some(original) = recipient
        .original_recipient
        .as_ref()
        .filter(|original| is_atom(&original.address_type))
    {
        let value = format!("{}; {}", original.address_type, original.address);
        fields.add("Original-Recipient", &value);
    }
    let kind = if recipient.final_recipient.is_ascii() {
        "rfc822"
    } else {
        "utf-8"
    };
    fields.add(
        "Final-Recipient",
        &format!("{kind}; {}", recipient.final_recipient),
    );
    let action = match recipient.action {
        Action::Failed => "failed",
        Action::Delayed => "delayed",
        Action::Delivered => "delivered",
        Action::Relayed => "relayed",
    };
    fields.add("Action", action);
    fields.add("Status", &recipient.status.to_string());
    if let Some(server) = &recipient.remote_mta {
        fields.add("Remote-MTA", &format!("dns; {server}"));
    }
    match (&recipient.diagnostic, &recipient.explanation) {
        (Some(reply), _) => {
            let text = cut(&reply.to_string(), DIAGNOSTIC_CHARACTERS_MAX);
            fields.add("Diagnostic-Code", &format!("smtp; {text}"));
        }
        (None, Some(explanation)) => {
            let text = cut(explanation, DIAGNOSTIC_CHARACTERS_MAX);
            fields.add("Diagnostic-Code", &format!("X-Relais; {text}"));
        }
        (None, None) => {}
    }
    if let Some(time) = recipient.last_attempt {
        fields.add("Last-Attempt-Date", &time.to_rfc5322());
    }
    // RFC 3464 §2.3.9: only for delayed recipients.
    if let Some(time) = recipient
        .will_retry_until
        .filter(|_| recipient.action == Action::Delayed)
    {
        fields.add("Will-Retry-Until", &time.to_rfc5322());
    }
}
