//! Recipients that an organisation sends nothing to, because an earlier message came back or was
//! complained of: which notices make one, and what is known of it. A sender that goes on writing to
//! addresses that do not exist is taken for a spammer.
//!
//! Who is told: the client, at RCPT (RCPT-SUPPRESSED). Nothing is accepted and dropped.
//!
//! Not here: where they are kept (`relais-store`); reading notices (`relais_smtp::returned`).

use serde::{Deserialize, Serialize};

use relais_smtp::address::Mailbox;
use relais_smtp::identifier::QueueId;
use relais_smtp::refusal::Refusal;
use relais_smtp::reply::EnhancedStatus;
use relais_smtp::returned::Said;
use relais_smtp::time::Timestamp;

use crate::settings::Settings;

/// Suppressed recipients of one organisation; the oldest that no person added gives way.
pub const SUPPRESSIONS_PER_ORGANISATION_MAX: usize = 20_000;
/// Octets of the words that a person gives.
pub const REASON_OCTETS_MAX: usize = 500;

/// Why a recipient is suppressed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A server said after it had accepted the message that there is no such address.
    HardBounce,
    /// The recipient complained.
    Complaint,
    /// A person wants it so.
    Request,
}

impl Cause {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HardBounce => "hard-bounce",
            Self::Complaint => "complaint",
            Self::Request => "request",
        }
    }

    /// In a sentence: "suppressed after …".
    pub const fn words(self) -> &'static str {
        match self {
            Self::HardBounce => "hard bounce",
            Self::Complaint => "complaint",
            Self::Request => "request",
        }
    }
}

/// One suppressed recipient.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Suppression {
    /// Why.
    pub cause: Cause,
    /// What the notice, or the person, said.
    pub said: String,
    /// The message that came back, as text; empty: none.
    pub queue_id: String,
    /// `relais`, or the person who added it.
    pub by: String,
    /// Since when, in milliseconds.
    pub since: i64,
}

impl Suppression {
    /// After what came back about a message.
    pub fn of_notice(cause: Cause, said: &str, queue_id: QueueId, now: Timestamp) -> Self {
        Self {
            cause,
            said: said.to_owned(),
            queue_id: queue_id.to_string(),
            by: "relais".to_owned(),
            since: now.as_millis(),
        }
    }

    /// Since when.
    pub const fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.since)
    }

    /// What a client is told.
    pub fn refusal(&self) -> Refusal {
        Refusal::RecipientSuppressed {
            after: format!("{} on {}", self.cause.words(), self.since().day()).into(),
        }
    }
}

/// The address as it is kept and compared: in lower case.
pub fn address_key(mailbox: &Mailbox) -> String {
    mailbox.to_string().to_lowercase()
}

/// Whether what came back about a recipient suppresses it. Never one of the organisation's own
/// domains: its own mailbox host says each time what it knows, and who is new there tomorrow must
/// get mail.
pub fn cause_of(
    settings: &Settings,
    organisation: &str,
    recipient: &Mailbox,
    said: Said,
    status: Option<EnhancedStatus>,
) -> Option<Cause> {
    if settings.is_own(organisation, recipient.host()) {
        return None;
    }
    match said {
        Said::Complaint => Some(Cause::Complaint),
        Said::Failure if status.is_some_and(is_of_the_address) => Some(Cause::HardBounce),
        Said::Failure | Said::Success | Said::Delay | Said::AutomaticReply | Said::Other => None,
    }
}

/// Whether a status says for good that the address takes no mail. Full mailboxes, sizes, content
/// and policy say nothing of the address. RFC 3463 §3.2, §3.3.
fn is_of_the_address(status: EnhancedStatus) -> bool {
    let is = |subject, detail| status.subject == subject && status.detail == detail;
    status.class == 5
        // Bad mailbox, bad system, bad syntax, mailbox moved, null MX (RFC 7505); mailbox disabled.
        && (is(1, 1) || is(1, 2) || is(1, 3) || is(1, 6) || is(1, 10) || is(2, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Mode;

    #[test]
    fn only_what_speaks_of_the_address_suppresses() {
        let settings = Settings::empty(Mode::Lan);
        let recipient = Mailbox::parse("b@example.org").unwrap();
        let cause = |said, status: &str| {
            let status = EnhancedStatus::parse(status);
            cause_of(&settings, "contoso", &recipient, said, status)
        };
        for (said, status, expected) in [
            (Said::Failure, "5.1.1", Some(Cause::HardBounce)),
            (Said::Failure, "5.1.10", Some(Cause::HardBounce)),
            (Said::Failure, "5.2.1", Some(Cause::HardBounce)),
            (Said::Failure, "5.2.2", None),
            (Said::Failure, "5.7.1", None),
            (Said::Failure, "5.0.0", None),
            (Said::Failure, "4.4.7", None),
            (Said::Failure, "", None),
            (Said::Delay, "5.1.1", None),
            (Said::AutomaticReply, "5.1.1", None),
            (Said::Complaint, "", Some(Cause::Complaint)),
        ] {
            assert_eq!(cause(said, status), expected, "{said:?} {status}");
        }
    }

    #[test]
    fn the_refusal_tells_cause_and_day() {
        let now = Timestamp::parse_rfc3339("2026-11-29T10:00:00Z").unwrap();
        let queue_id = QueueId::new(now, 0, 1);
        let suppression = Suppression::of_notice(Cause::HardBounce, "no", queue_id, now);
        assert_eq!(
            suppression.refusal().text(),
            "Recipient suppressed after hard bounce on 2026-11-29"
        );
    }
}
