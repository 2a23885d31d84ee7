//! Licences: how many people without a mailbox may send through an organisation, as the relay of
//! Exchange Online counts them. A person of the directory without a mailbox needs a seat from the
//! first message on, and holds it until 30 days of silence. Devices and applications are senders
//! that the directory does not list: they are observed, shown, and never counted.
//!
//! Not here: who keeps what is observed over restarts (`relais-receive`).

use std::collections::BTreeMap;
use std::time::Duration;

use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::refusal::Refusal;
use relais_smtp::time::Timestamp;

use crate::document::{LicencePolicy, Licences};
use crate::settings::{DirectoryAnswer, Settings};

/// A seat is held, and a sender observed, for so many days after its last message.
pub const OBSERVED_DAYS: i64 = 30;
/// Senders observed of one organisation; the one that was silent longest gives way.
pub const OBSERVED_MAX: usize = 20_000;

const DAY: Duration = Duration::from_secs(86_400);

/// What a sender is for licences.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum SenderKind {
    /// A person of the directory without a mailbox: needs a seat.
    Person,
    /// Not in the directory: a device or an application, or somebody who should be listed.
    Unlisted,
    /// A mailbox of the directory: needs none here.
    Mailbox,
}

impl SenderKind {
    /// Of an address of that organisation.
    pub fn of(settings: &Settings, organisation: &str, mailbox: &Mailbox) -> Self {
        match settings.directory_of(organisation, mailbox) {
            Some(DirectoryAnswer::Person) => Self::Person,
            Some(DirectoryAnswer::Mailbox) => Self::Mailbox,
            None => Self::Unlisted,
        }
    }

    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Unlisted => "unlisted",
            Self::Mailbox => "mailbox",
        }
    }
}

/// Senders of one organisation, and the day of each one's last message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Observed(BTreeMap<String, i64>);

/// Seats at a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seats {
    /// How many there are.
    pub seats: u32,
    /// How many people hold one. May be more under `report`.
    pub used: usize,
}

impl Observed {
    /// May this sender send, and is there a seat if it needs one? Asks, and notes nothing.
    pub fn may_send(
        &self,
        settings: &Settings,
        organisation: &str,
        sender: &ReversePath,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (Some(licences), ReversePath::Mailbox(mailbox)) =
            (licences_of(settings, organisation), sender)
        else {
            return Ok(());
        };
        let needs_new_seat = licences.policy == LicencePolicy::Enforce
            && SenderKind::of(settings, organisation, mailbox) == SenderKind::Person
            && !self.holds(mailbox, now);
        if !needs_new_seat {
            return Ok(());
        }
        let seats = self.seats(settings, organisation, licences, now);
        if seats.used < licences.seats as usize {
            return Ok(());
        }
        Err(Refusal::SenderUnlicensed {
            address: mailbox.to_string().into(),
        })
    }

    /// Notes that this sender sent. `true`: it was not observed today before.
    pub fn note(&mut self, sender: &Mailbox, now: Timestamp) -> bool {
        let today = day(now);
        let key = key(sender);
        if self.0.get(&key).is_some_and(|last| *last >= today) {
            return false;
        }
        if self.0.len() >= OBSERVED_MAX && !self.0.contains_key(&key) {
            let silent = self.0.iter().min_by_key(|(_, last)| **last);
            if let Some(silent) = silent.map(|(address, _)| address.clone()) {
                self.0.remove(&silent);
            }
        }
        self.0.insert(key, today);
        true
    }

    /// What was kept of one sender; a later day that is known already stands.
    pub fn restore(&mut self, address: &str, last: i64) {
        if self.0.len() < OBSERVED_MAX {
            let known = self.0.entry(address.to_owned()).or_insert(last);
            *known = last.max(*known);
        }
    }

    /// Forgets who was silent for [`OBSERVED_DAYS`]; these.
    pub fn tidy(&mut self, now: Timestamp) -> Vec<String> {
        let oldest = day(now) - OBSERVED_DAYS;
        let silent = self.0.iter().filter(|(_, last)| **last < oldest);
        let silent: Vec<_> = silent.map(|(address, _)| address.clone()).collect();
        for address in &silent {
            self.0.remove(address);
        }
        silent
    }

    /// The day of the last message of an address as kept, in days since 1970.
    pub fn last(&self, address: &str) -> Option<i64> {
        self.0.get(address).copied()
    }

    /// Seats of an organisation now.
    pub fn seats(
        &self,
        settings: &Settings,
        organisation: &str,
        licences: &Licences,
        now: Timestamp,
    ) -> Seats {
        let people = self.observed(settings, organisation, now);
        let used = people.filter(|one| one.1 == SenderKind::Person).count();
        Seats {
            seats: licences.seats,
            used,
        }
    }

    /// Each sender of the last [`OBSERVED_DAYS`] with what it is, and when it sent last.
    pub fn observed<'a>(
        &'a self,
        settings: &'a Settings,
        organisation: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a str, SenderKind, Timestamp)> {
        let oldest = day(now) - OBSERVED_DAYS;
        let lately = self.0.iter().filter(move |(_, last)| **last >= oldest);
        lately.filter_map(move |(address, last)| {
            let mailbox = Mailbox::parse(address).ok()?;
            let kind = SenderKind::of(settings, organisation, &mailbox);
            Some((address.as_str(), kind, beginning(*last)))
        })
    }

    fn holds(&self, sender: &Mailbox, now: Timestamp) -> bool {
        let last = self.0.get(&key(sender));
        last.is_some_and(|last| *last >= day(now) - OBSERVED_DAYS)
    }
}

/// The licences of an organisation, where they are counted.
pub fn licences_of<'a>(settings: &'a Settings, organisation: &str) -> Option<&'a Licences> {
    let licences = &settings.organisation(organisation)?.licences;
    (licences.policy != LicencePolicy::Off).then_some(licences)
}

/// The address as it is kept: the directory knows no case either.
pub fn key(sender: &Mailbox) -> String {
    sender.to_string().to_lowercase()
}

/// Days since 1970, UTC.
fn day(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(86_400_000)
}

fn beginning(day: i64) -> Timestamp {
    let days = u32::try_from(day).unwrap_or(0);
    Timestamp::from_millis(0).after(DAY.saturating_mul(days))
}

#[cfg(test)]
mod tests {
    use crate::document::Document;
    use crate::settings::Mode;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

    fn settings(policy: &str, seats: u32) -> Settings {
        let people = ["ann", "bob", "cleo"].map(|name| {
            format!(
                "[[organisation.recipient]]\naddress = \"{name}@contoso.test\"\nmailbox = false\n"
            )
        });
        let text = format!(
            "[[organisation]]\nname = \"contoso\"\n\
             licences = {{ seats = {seats}, policy = \"{policy}\" }}\n\
             [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
             [[organisation.recipient]]\naddress = \"dora@contoso.test\"\n{}",
            people.concat()
        );
        let document = Document::from_toml(&text).unwrap();
        Settings::build(Mode::Lan, 1, document).unwrap()
    }

    fn mailbox(name: &str) -> Mailbox {
        Mailbox::parse(&format!("{name}@contoso.test")).unwrap()
    }

    fn asks(settings: &Settings, observed: &Observed, name: &str, now: Timestamp) -> bool {
        let sender = ReversePath::Mailbox(mailbox(name));
        let answer = observed.may_send(settings, "contoso", &sender, now);
        answer.is_ok()
    }

    #[test]
    fn seats_go_to_people_without_a_mailbox_in_the_order_in_which_they_send() {
        let settings = settings("enforce", 2);
        let mut observed = Observed::default();
        for name in ["ann", "Bob"] {
            assert!(asks(&settings, &observed, name, NOW));
            assert!(observed.note(&mailbox(name), NOW));
        }
        assert!(!asks(&settings, &observed, "cleo", NOW));
        assert!(asks(&settings, &observed, "bob", NOW), "has a seat");
        assert!(asks(&settings, &observed, "dora", NOW), "has a mailbox");
        assert!(asks(&settings, &observed, "scan-2", NOW), "is a device");
        let sender = ReversePath::Null;
        assert!(
            observed
                .may_send(&settings, "contoso", &sender, NOW)
                .is_ok()
        );
    }

    #[test]
    fn a_seat_is_free_again_after_30_days_of_silence() {
        let settings = settings("enforce", 1);
        let mut observed = Observed::default();
        observed.note(&mailbox("ann"), NOW);
        let later = |days| NOW.after(DAY * days);
        assert!(!asks(&settings, &observed, "bob", later(30)));
        assert!(asks(&settings, &observed, "bob", later(31)));
        observed.note(&mailbox("bob"), later(31));
        assert_eq!(observed.tidy(later(31)), ["ann@contoso.test"]);
        assert!(!asks(&settings, &observed, "ann", later(31)));
    }

    #[test]
    fn a_report_counts_and_refuses_nobody_and_off_does_neither() {
        let mut observed = Observed::default();
        for name in ["ann", "bob", "scan-2", "dora"] {
            observed.note(&mailbox(name), NOW);
        }
        let report = settings("report", 1);
        assert!(asks(&report, &observed, "cleo", NOW));
        let licences = licences_of(&report, "contoso").unwrap();
        let seats = observed.seats(&report, "contoso", licences, NOW);
        assert_eq!(seats, Seats { seats: 1, used: 2 });
        assert!(licences_of(&settings("off", 1), "contoso").is_none());
        let kinds = observed.observed(&report, "contoso", NOW);
        let kinds: Vec<_> = kinds.map(|(_, kind, _)| kind.name()).collect();
        assert_eq!(kinds, ["person", "person", "mailbox", "unlisted"]);
    }

    #[test]
    fn a_day_is_noted_once_and_the_longest_silent_gives_way() {
        let mut observed = Observed::default();
        assert!(observed.note(&mailbox("ann"), NOW));
        assert!(!observed.note(&mailbox("ANN"), NOW));
        for number in 0..OBSERVED_MAX {
            observed.note(&mailbox(&format!("scan{number}")), NOW.after(DAY));
        }
        assert_eq!(observed.last("ann@contoso.test"), None);
        assert_eq!(observed.0.len(), OBSERVED_MAX);
    }
}
