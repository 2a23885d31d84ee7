//! How many notices reach a person: a thousand that come back about one broadcast, or a flood that
//! somebody makes of one address, must not fill a mailbox. The trace has them all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::Moment;
use relais_smtp::identifier::QueueId;

/// The time in which they are counted.
const PERIOD: Duration = Duration::from_secs(3_600);
/// About one message in this time.
const PER_MESSAGE_MAX: u32 = 5;
/// For one organisation in this time.
const PER_ORGANISATION_MAX: u32 = 60;

/// What was passed on lately. Bounded by the organisations' own bounds.
#[derive(Debug, Default)]
pub(crate) struct Forwards(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    began: Option<Moment>,
    messages: HashMap<QueueId, u32>,
    organisations: HashMap<Box<str>, u32>,
}

impl Forwards {
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
        let of_organisation = counts.organisations.get(organisation).copied().unwrap_or(0);
        let of_message = counts.messages.get(&about).copied().unwrap_or(0);
        if of_organisation >= PER_ORGANISATION_MAX || of_message >= PER_MESSAGE_MAX {
            return false;
        }
        counts
            .organisations
            .insert(organisation.into(), of_organisation + 1);
        counts.messages.insert(about, of_message + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use relais_smtp::time::Timestamp;

    use super::*;

    #[test]
    fn a_person_gets_a_bounded_number_for_a_message_and_in_all() {
        let forwards = Forwards::default();
        let now = Moment::now();
        let id = |number| QueueId::new(Timestamp::from_millis(1_795_910_400_000), 0, number);
        let about = |number| {
            (0..9)
                .filter(|_| forwards.admit("contoso", id(number), now))
                .count()
        };
        assert_eq!(about(1), 5);
        let more: usize = (2..40).map(about).sum();
        assert_eq!(5 + more, 60);
        assert!(forwards.admit("fabrikam", id(41), now));
        assert!(forwards.admit("contoso", id(1), now + PERIOD));
    }
}
