//! How much may come back: an address that we signed opens a door, to whoever got the message, for
//! weeks. So notices are bounded in size, for one message and for an organisation; who is over it
//! is told to try again later.
//!
//! Not here: whether the address is ours (`relais_policy::bounce`); how many of them reach a person
//! (`relais-deliver`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::Moment;
use relais_smtp::identifier::QueueId;

/// Octets of a notice. Some servers return all of what they got, with pictures.
pub(crate) const RETURN_OCTETS_MAX: u64 = 10 * 1_024 * 1_024;
/// What a client over the bounds is told, in seconds.
pub(crate) const RETURNS_RETRY_SECONDS: u32 = 3_600;
/// The time in which notices are counted.
const PERIOD: Duration = Duration::from_secs(3_600);
/// About one message in this time: a hundred recipients may come back one by one.
const PER_MESSAGE_MAX: u32 = 120;
/// To one organisation in this time: ten a second.
const PER_ORGANISATION_MAX: u32 = 36_000;
/// Messages counted at once. More in one period are counted for their organisation only.
const MESSAGES_MAX: usize = 50_000;

/// What came back lately.
#[derive(Debug, Default)]
pub(crate) struct Returns(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    began: Option<Moment>,
    messages: HashMap<QueueId, u32>,
    organisations: HashMap<Box<str>, u32>,
}

impl Returns {
    /// Counts one more; `false`: too many.
    pub(crate) fn admit(&self, organisation: &str, about: QueueId, now: Moment) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |began: Moment| now.saturating_duration_since(began) >= PERIOD;
        if counts.began.is_none_or(is_over) {
            *counts = Counts {
                began: Some(now),
                ..Counts::default()
            };
        }
        let of_message = counts.messages.get(&about).copied().unwrap_or(0);
        let of_organisation = counts.organisations.get(organisation).copied().unwrap_or(0);
        if of_message >= PER_MESSAGE_MAX || of_organisation >= PER_ORGANISATION_MAX {
            return false;
        }
        if of_message > 0 || counts.messages.len() < MESSAGES_MAX {
            counts.messages.insert(about, of_message + 1);
        }
        counts
            .organisations
            .insert(organisation.into(), of_organisation + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use relais_smtp::time::Timestamp;

    use super::*;

    #[test]
    fn a_message_and_an_organisation_have_a_bound_for_an_hour() {
        let returns = Returns::default();
        let now = Moment::now();
        let id = |number| QueueId::new(Timestamp::from_millis(1_795_910_400_000), 0, number);
        let admitted = (0..PER_MESSAGE_MAX + 5).filter(|_| returns.admit("contoso", id(1), now));
        assert_eq!(admitted.count(), 120);
        assert!(returns.admit("contoso", id(2), now), "another message");
        let mut all = 121;
        for number in 3..1_000 {
            for _ in 0..PER_MESSAGE_MAX {
                all += u32::from(returns.admit("contoso", id(number), now));
            }
        }
        assert_eq!(all, PER_ORGANISATION_MAX);
        assert!(
            returns.admit("fabrikam", id(1_001), now),
            "another organisation"
        );
        assert!(
            returns.admit("contoso", id(1), now + PERIOD),
            "an hour later"
        );
    }
}
