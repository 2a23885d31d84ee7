//! Legal holds: mail of an address, or of an inbound connector, of which nothing may be lost,
//! however old it is. While one stands no day of the trace and of its conversations is removed, of
//! anybody: they go by whole days. Content that is kept of mail that it covers stays beyond its
//! days, and when the disk runs short. Kept on a shelf.
//!
//! It keeps nothing that would not have been written down. Not here: an address that is to be
//! erased (the API refuses that).

use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::queue::MessageFacts;
use crate::shelf::ShelfEntry;

/// Holds at the same time: each is looked at for each message whose content would go.
pub const LEGAL_HOLDS_MAX: usize = 200;
/// Characters of a reason.
pub const LEGAL_HOLD_REASON_CHARS_MAX: usize = 500;

/// What a hold covers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Held {
    /// Mail from or to this address.
    Address(String),
    /// Mail that came by this inbound connector.
    Connector(String),
}

/// One of them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LegalHold {
    /// Only mail of this organisation; none: of all. A connector has one.
    pub organisation: Option<String>,
    /// What it covers.
    pub held: Held,
    /// Why.
    pub reason: String,
    /// Who placed it.
    pub by: String,
    /// When it ends by itself, in milliseconds since 1970; none: when somebody releases it.
    pub until: Option<i64>,
}

impl LegalHold {
    /// Reads one back; `None`: another hand wrote it.
    pub fn from_entry(entry: &ShelfEntry) -> Option<Self> {
        serde_json::from_str(&entry.value).ok()
    }

    /// As it is kept.
    pub fn to_value(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written")
    }

    /// Whether it has ended by itself.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now.as_millis())
    }

    /// Whether it is about mail of this organisation.
    pub fn concerns(&self, organisation: &str) -> bool {
        let own = self.organisation.as_deref();
        own.is_none_or(|own| own == organisation)
    }

    /// Whether it covers a message.
    pub(crate) fn covers(&self, facts: &MessageFacts, recipients: &[EnvelopeRecipient]) -> bool {
        if !self.concerns(&facts.organisation) {
            return false;
        }
        match &self.held {
            Held::Connector(name) => facts.inbound_connector.as_deref() == Some(name),
            Held::Address(address) => {
                let is_it = |text: &str| text.eq_ignore_ascii_case(address);
                let mut recipients = recipients.iter();
                let replaced = facts.replaced.as_ref();
                is_it(&facts.reverse_path.to_string())
                    || replaced.is_some_and(|mailbox| is_it(&mailbox.to_string()))
                    || facts.header_from.as_deref().is_some_and(is_it)
                    || recipients.any(|one| is_it(&one.forward_path.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_at_its_time_and_is_read_back() {
        let hold = LegalHold {
            organisation: Some("contoso".to_owned()),
            held: Held::Address("anna@contoso.test".to_owned()),
            reason: "a case".to_owned(),
            by: "uid 0 (root)".to_owned(),
            until: Some(10),
        };
        let at = Timestamp::from_millis;
        assert!(!hold.is_over(at(9)) && hold.is_over(at(10)));
        assert!(hold.concerns("contoso") && !hold.concerns("fabrikam"));
        let entry = ShelfEntry {
            key: "1".to_owned(),
            value: hold.to_value(),
            since: at(0),
        };
        assert_eq!(LegalHold::from_entry(&entry), Some(hold.clone()));
        let for_good = LegalHold {
            until: None,
            ..hold
        };
        assert!(!for_good.is_over(at(i64::MAX)));
    }
}
