//! What an event says to triggers: who did what. The same for events that happen and for those read
//! from the trace.
//!
//! Not here: counting and judging (`relais_policy::trigger`).

use relais_policy::trigger::{Heard, Signal};

use super::{ClientSummary, Event, EventKind, To};

/// Tokens of refusals of domains that are not verified.
const DOMAIN_TOKENS: &[&str] = &["FROM-DOMAIN", "HDR-DOMAIN"];
/// Tokens of refusals of recipients that do not exist. Whom we suppress is our own list: no guess.
const RECIPIENT_TOKENS: &[&str] = &["RCPT-UNKNOWN", "RCPT-DNS"];
/// Token of what a content check found bad: of a refusal, and of a message that was taken in, and
/// held, all the same.
pub const BAD_CONTENT: &str = "CONTENT";
/// What a notice of a complaint begins with.
const COMPLAINT: &str = "complaint";
/// What a notice of a failure begins with.
const FAILURE: &str = "failure";

impl Event {
    /// What this event alone says; of notices [`Event::returned_signal`] and who sent the message.
    /// `is_own`: whether this organisation has verified this domain.
    pub fn heard(&self, is_own: impl Fn(&str, &str) -> bool) -> Option<Heard> {
        let signal = match self.kind {
            EventKind::MessageAccepted => Signal::Message {
                recipients: self.recipients(),
                from_differs: self.is_in_anothers_name(is_own),
                has_bad_content: self.token.as_deref().is_some_and(is_of_content),
            },
            EventKind::AttemptRefused => self.signal_of_refusal()?,
            EventKind::RecipientFailed if self.is_of_the_address() => Signal::UnknownRecipient,
            _ => return None,
        };
        self.heard_of(signal, self.client.as_deref()?)
    }

    /// What a notice that came back says of the message that it is about.
    pub fn returned_signal(&self) -> Option<Signal> {
        let detail = self.detail.as_deref()?;
        if self.kind != EventKind::NoticeReceived {
            return None;
        }
        if detail.starts_with(COMPLAINT) {
            return Some(Signal::Complaint);
        }
        let status = detail.strip_prefix(FAILURE)?.trim_start();
        is_status_of_address(status).then_some(Signal::ReturnedRecipient)
    }

    /// Said of the client that did it.
    pub fn heard_of(&self, signal: Signal, client: &ClientSummary) -> Option<Heard> {
        let reference = self.reference.map(|reference| reference.to_string());
        Some(Heard {
            time: self.time,
            organisation: self.organisation.as_deref()?.to_owned(),
            connector: self.inbound_connector.as_deref()?.to_owned(),
            address: client.address,
            credential: client.credential.as_deref().map(str::to_owned),
            signal,
            recipient: self.only_recipient(),
            sample: self
                .queue_id
                .map(|id| id.to_string())
                .or(reference)
                .unwrap_or_default(),
        })
    }

    fn only_recipient(&self) -> Option<String> {
        match &self.to {
            Some(To::One(only)) => Some(only.to_string()),
            Some(To::Many(all)) => match all.as_slice() {
                [only] => Some(only.to_string()),
                _ => None,
            },
            None => None,
        }
    }

    fn recipients(&self) -> u32 {
        match &self.to {
            Some(To::Many(all)) => u32::try_from(all.len()).unwrap_or(u32::MAX),
            Some(To::One(_)) => 1,
            None => 0,
        }
    }

    /// The null reverse-path and a missing From are of no domain. An application may have its
    /// failures sent to one domain of its organisation, and write as another.
    fn is_in_anothers_name(&self, is_own: impl Fn(&str, &str) -> bool) -> bool {
        let domain = |address: &Option<_>| -> Option<String> {
            let address: &std::sync::Arc<str> = address.as_ref()?;
            let (_, domain) = address.rsplit_once('@')?;
            Some(domain.to_ascii_lowercase())
        };
        let organisation = self.organisation.as_deref().unwrap_or_default();
        match (domain(&self.from), domain(&self.header_from)) {
            (Some(one), Some(other)) => one != other && !is_own(organisation, &other),
            (Some(_) | None, _) => false,
        }
    }

    fn signal_of_refusal(&self) -> Option<Signal> {
        let token = self.token.as_deref()?;
        if DOMAIN_TOKENS.contains(&token) {
            return Some(Signal::UnverifiedDomain);
        }
        if RECIPIENT_TOKENS.contains(&token) {
            return Some(Signal::UnknownRecipient);
        }
        (is_of_content(token) && !self.is_of_attachment()).then_some(Signal::BadContent)
    }

    /// The settings forbid this kind of attachment: a mistake, which a person makes again at once.
    /// What a checker finds is answered with 550.
    fn is_of_attachment(&self) -> bool {
        let reply = self.reply.as_deref().unwrap_or_default();
        reply.starts_with("554")
    }

    /// The next hop said that there is no such address.
    fn is_of_the_address(&self) -> bool {
        let reply = self.reply.as_deref().unwrap_or_default();
        let status = reply.get(4..).unwrap_or_default();
        reply.starts_with('5') && is_status_of_address(status)
    }
}

fn is_of_content(token: &str) -> bool {
    token == BAD_CONTENT
}

/// Bad mailbox, bad system, mailbox moved, disabled. RFC 3463 §3.2, §3.3.
fn is_status_of_address(text: &str) -> bool {
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit());
    let status = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    matches!(status, "5.1.1" | "5.1.2" | "5.1.6" | "5.1.10" | "5.2.1")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use relais_smtp::time::Timestamp;

    use super::*;

    fn event(kind: EventKind) -> Event {
        Event {
            organisation: Some("contoso".into()),
            inbound_connector: Some("Printers".into()),
            client: Some(Arc::new(ClientSummary {
                address: [10, 1, 2, 9].into(),
                helo: None,
                credential: None,
                certificate: None,
            })),
            from: Some("scan@contoso.test".into()),
            header_from: Some("scan@Contoso.test".into()),
            to: Some(To::Many(vec![
                "a@example.org".into(),
                "b@example.org".into(),
            ])),
            ..Event::new(Timestamp::from_millis(0), kind)
        }
    }

    #[test]
    fn a_message_counts_by_its_recipients_and_by_whose_name_it_bears() {
        let is_own = |organisation: &str, domain: &str| {
            organisation == "contoso" && domain.ends_with("contoso.test")
        };
        let signal = |event: &Event| event.heard(is_own).map(|heard| heard.signal);
        let mut accepted = event(EventKind::MessageAccepted);
        let expected = |from_differs| Signal::Message {
            recipients: 2,
            from_differs,
            has_bad_content: false,
        };
        assert_eq!(signal(&accepted), Some(expected(false)));
        accepted.header_from = Some("ceo@fabrikam.test".into());
        assert_eq!(signal(&accepted), Some(expected(true)));
        // An application has its failures sent to a domain of its own.
        accepted.from = Some("b+1@bounce.contoso.test".into());
        accepted.header_from = Some("sales@Contoso.test".into());
        assert_eq!(signal(&accepted), Some(expected(false)));
        accepted.header_from = Some("ceo@fabrikam.test".into());
        accepted.from = Some("".into());
        assert_eq!(signal(&accepted), Some(expected(false)));
        accepted.token = Some(BAD_CONTENT.into());
        let bad = Signal::Message {
            recipients: 2,
            from_differs: false,
            has_bad_content: true,
        };
        assert_eq!(signal(&accepted), Some(bad), "held, and found bad");
        accepted.inbound_connector = None;
        assert_eq!(signal(&accepted), None, "strangers have no device");
    }

    #[test]
    fn refusals_and_failures_count_by_what_they_say() {
        for (kind, token, reply, expected) in [
            (
                EventKind::AttemptRefused,
                "FROM-DOMAIN",
                "",
                Some(Signal::UnverifiedDomain),
            ),
            (
                EventKind::AttemptRefused,
                "RCPT-UNKNOWN",
                "",
                Some(Signal::UnknownRecipient),
            ),
            (EventKind::AttemptRefused, "RATE", "", None),
            (EventKind::AttemptRefused, "RCPT-SUPPRESSED", "", None),
            (
                EventKind::AttemptRefused,
                "CONTENT",
                "550 5.7.1 Malware found: Eicar (ref 1)",
                Some(Signal::BadContent),
            ),
            (
                EventKind::AttemptRefused,
                "CONTENT",
                "554 5.7.1 Attachment type not allowed: zip (ref 1)",
                None,
            ),
            (
                EventKind::RecipientFailed,
                "",
                "550 5.1.1 No such user",
                Some(Signal::UnknownRecipient),
            ),
            (
                EventKind::RecipientFailed,
                "",
                "550 5.1.10 No",
                Some(Signal::UnknownRecipient),
            ),
            (EventKind::RecipientFailed, "", "550 5.7.1 Spam", None),
            (EventKind::RecipientFailed, "", "", None),
            (EventKind::RecipientDeferred, "", "450 5.1.1 odd", None),
        ] {
            let mut event = event(kind);
            event.token = Some(token.into());
            event.reply = Some(reply.into());
            let signal = event.heard(|_, _| true).map(|heard| heard.signal);
            assert_eq!(signal, expected, "{kind:?} {token} {reply}");
        }
    }

    #[test]
    fn what_comes_back_is_a_complaint_or_speaks_of_the_address() {
        for (detail, expected) in [
            (
                "complaint, feedback report from fbl.example",
                Some(Signal::Complaint),
            ),
            (
                "failure 5.1.1, delivery status notification",
                Some(Signal::ReturnedRecipient),
            ),
            ("failure 5.2.2, delivery status notification", None),
            ("automatic-reply", None),
        ] {
            let mut event = event(EventKind::NoticeReceived);
            event.detail = Some(detail.into());
            assert_eq!(event.returned_signal(), expected, "{detail}");
        }
    }
}
