//! How many notices reach a person: a thousand that come back about one broadcast, or a flood that
//! somebody makes of one address, must not fill a mailbox. The trace has them all, and the one that
//! passes a bound says so: nobody is left to believe that there was no more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::Moment;
use relais_smtp::address::Mailbox;
use relais_smtp::identifier::QueueId;

/// The time in which they are counted.
const PERIOD: Duration = Duration::from_secs(3_600);
/// About one message in this time.
const PER_MESSAGE_MAX: u32 = 5;
/// For one person in this time: one a minute.
const PER_PERSON_MAX: u32 = 60;
/// For all people of an organisation in this time.
const PER_ORGANISATION_MAX: u32 = 1_000;

/// What was passed on lately. Bounded by the organisations' own bounds, and their directories.
#[derive(Debug, Default)]
pub(crate) struct Forwards(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    began: Option<Moment>,
    messages: HashMap<QueueId, u32>,
    people: HashMap<Box<str>, Person>,
    organisations: HashMap<Box<str>, u32>,
}

#[derive(Debug, Default)]
struct Person {
    count: u32,
    /// That more comes than is passed on.
    told: bool,
}

/// Whether one more is passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    Yes,
    /// As the last one about its message, for so long.
    LastOfMessage(Duration),
    /// As the last one to this person, for so long.
    LastOfPerson(Duration),
    No,
}

impl Forwards {
    /// Counts one more.
    pub(crate) fn admit(
        &self,
        organisation: &str,
        to: &Mailbox,
        about: QueueId,
        now: Moment,
    ) -> Admission {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = counts
            .began
            .map_or(PERIOD, |began| now.saturating_duration_since(began));
        if passed >= PERIOD {
            *counts = Counts {
                began: Some(now),
                ..Counts::default()
            };
        }
        let left = PERIOD.saturating_sub(if passed >= PERIOD {
            Duration::ZERO
        } else {
            passed
        });
        counts.count(organisation, to, about, left)
    }
}

impl Counts {
    fn count(
        &mut self,
        organisation: &str,
        to: &Mailbox,
        about: QueueId,
        left: Duration,
    ) -> Admission {
        let of_message = self.messages.get(&about).copied().unwrap_or(0);
        if of_message > PER_MESSAGE_MAX {
            return Admission::No;
        }
        let of_organisation = self.organisations.get(organisation).copied().unwrap_or(0);
        let person = self.people.entry(to.to_string().into()).or_default();
        if person.told {
            return Admission::No;
        }
        person.count += 1;
        self.messages.insert(about, of_message + 1);
        self.organisations
            .insert(organisation.into(), of_organisation.saturating_add(1));
        if person.count > PER_PERSON_MAX || of_organisation >= PER_ORGANISATION_MAX {
            person.told = true;
            return Admission::LastOfPerson(left);
        }
        if of_message == PER_MESSAGE_MAX {
            return Admission::LastOfMessage(left);
        }
        Admission::Yes
    }
}

#[cfg(test)]
mod tests {
    use relais_smtp::time::Timestamp;

    use super::*;

    fn id(number: u16) -> QueueId {
        QueueId::new(Timestamp::from_millis(1_795_910_400_000), 0, number)
    }

    fn person(number: u32) -> Mailbox {
        Mailbox::parse(&format!("p{number}@contoso.test")).unwrap()
    }

    #[test]
    fn about_one_message_some_pass_and_the_one_behind_says_so() {
        let forwards = Forwards::default();
        let now = Moment::now();
        let admit = |at| forwards.admit("contoso", &person(1), id(1), at);
        assert!((0..5).all(|_| admit(now) == Admission::Yes));
        let later = now + PERIOD / 3;
        assert_eq!(admit(later), Admission::LastOfMessage(PERIOD - PERIOD / 3));
        assert!((0..9).all(|_| admit(later) == Admission::No));
        assert_eq!(admit(now + PERIOD), Admission::Yes);
    }

    #[test]
    fn a_person_gets_so_many_and_learns_once_that_there_are_more() {
        let forwards = Forwards::default();
        let now = Moment::now();
        let admitted: Vec<_> = (0..100)
            .map(|number| forwards.admit("contoso", &person(1), id(number), now))
            .collect();
        assert!(admitted[..60].iter().all(|one| *one == Admission::Yes));
        assert_eq!(admitted[60], Admission::LastOfPerson(PERIOD));
        assert!(admitted[61..].iter().all(|one| *one == Admission::No));
        // Others are not concerned.
        for (organisation, to) in [("contoso", person(2)), ("fabrikam", person(3))] {
            let other = forwards.admit(organisation, &to, id(200), now);
            assert_eq!(other, Admission::Yes);
        }
    }

    #[test]
    fn where_an_organisation_has_had_its_share_each_person_still_learns_that_there_is_more() {
        let forwards = Forwards::default();
        let now = Moment::now();
        let mut whole = 0;
        let mut message = 0;
        for number in 0..100 {
            let mut last = 0;
            for _ in 0..50 {
                message += 1;
                match forwards.admit("contoso", &person(number), id(message), now) {
                    Admission::Yes => whole += 1,
                    Admission::LastOfPerson(_) => last += 1,
                    Admission::LastOfMessage(_) | Admission::No => {}
                }
            }
            assert_eq!(last, u32::from(number >= 20), "{number}");
        }
        assert_eq!(whole, 1_000);
    }
}
