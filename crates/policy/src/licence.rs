//! Licences: how many people without a mailbox may send through an organisation, as the relay of
//! Exchange Online counts them. A person of the directory without a mailbox needs a seat from the
//! first message on, and holds it until 30 days of silence. Devices and applications are senders
//! that the directory does not list: they are observed, shown, and never counted.
//!
//! Not here: who keeps what is observed over restarts (`relais-receive`).

use std::collections::{BTreeMap, BTreeSet};
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

/// Senders of one organisation, and the day of each one's last message. How many of them hold a
/// seat is counted once for a directory and a day, and kept in step from then on: a message costs
/// the same however many senders there are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Observed {
    last: BTreeMap<String, i64>,
    /// The same by day: who was silent longest is first.
    by_day: BTreeSet<(i64, String)>,
    counted: Option<Counted>,
}

/// People that hold a seat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Counted {
    /// Of the settings, and with them of the directory.
    version: u64,
    /// The first day that counts.
    oldest: i64,
    people: usize,
}

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

    /// Notes that this sender sent. Whose day is to be kept anew: this one, and the one that gave
    /// way to it; nobody if it was observed today before.
    pub fn note(
        &mut self,
        settings: &Settings,
        organisation: &str,
        sender: &Mailbox,
        now: Timestamp,
    ) -> Vec<String> {
        let today = day(now);
        let key = key(sender);
        if self.last.get(&key).is_some_and(|last| *last >= today) {
            return Vec::new();
        }
        let mut counted = self.counted(settings, organisation, now);
        let mut anew = vec![key.clone()];
        if !self.holds(sender, now) && is_person(settings, organisation, &key) {
            counted.people = counted.people.saturating_add(1);
        }
        if self.last.len() >= OBSERVED_MAX
            && !self.last.contains_key(&key)
            && let Some((last, silent)) = self.by_day.pop_first()
        {
            if last >= counted.oldest && is_person(settings, organisation, &silent) {
                counted.people = counted.people.saturating_sub(1);
            }
            self.last.remove(&silent);
            anew.push(silent);
        }
        self.counted = Some(counted);
        self.put(key, today);
        anew
    }

    /// What was kept of one sender; a later day that is known already stands.
    pub fn restore(&mut self, address: &str, last: i64) {
        let known = self.last.get(address).copied();
        let has_room = known.is_some() || self.last.len() < OBSERVED_MAX;
        if has_room && known.is_none_or(|known| known < last) {
            self.put(address.to_owned(), last);
            self.counted = None;
        }
    }

    /// Forgets who was silent for [`OBSERVED_DAYS`]; these.
    pub fn tidy(&mut self, now: Timestamp) -> Vec<String> {
        let oldest = day(now) - OBSERVED_DAYS;
        let mut silent = Vec::new();
        while self.by_day.first().is_some_and(|(last, _)| *last < oldest) {
            let gone = self.by_day.pop_first();
            silent.extend(gone.map(|(_, address)| address));
        }
        for address in &silent {
            self.last.remove(address);
            // A clock that goes back would have counted them.
            self.counted = None;
        }
        silent
    }

    /// The day of the last message of an address as kept, in days since 1970.
    pub fn last(&self, address: &str) -> Option<i64> {
        self.last.get(address).copied()
    }

    /// Seats of an organisation now.
    pub fn seats(
        &self,
        settings: &Settings,
        organisation: &str,
        licences: &Licences,
        now: Timestamp,
    ) -> Seats {
        Seats {
            seats: licences.seats,
            used: self.counted(settings, organisation, now).people,
        }
    }

    /// Counts who holds a seat, so that it need not be counted for each message.
    pub fn keep_count(&mut self, settings: &Settings, organisation: &str, now: Timestamp) {
        self.counted = Some(self.counted(settings, organisation, now));
    }

    /// Each sender of the last [`OBSERVED_DAYS`] with what it is, and when it sent last.
    pub fn observed<'a>(
        &'a self,
        settings: &'a Settings,
        organisation: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a str, SenderKind, Timestamp)> {
        let oldest = day(now) - OBSERVED_DAYS;
        let lately = self.last.iter().filter(move |(_, last)| **last >= oldest);
        lately.filter_map(move |(address, last)| {
            let mailbox = Mailbox::parse(address).ok()?;
            let kind = SenderKind::of(settings, organisation, &mailbox);
            Some((address.as_str(), kind, beginning(*last)))
        })
    }

    fn holds(&self, sender: &Mailbox, now: Timestamp) -> bool {
        let last = self.last.get(&key(sender));
        last.is_some_and(|last| *last >= day(now) - OBSERVED_DAYS)
    }

    fn put(&mut self, address: String, last: i64) {
        if let Some(before) = self.last.insert(address.clone(), last) {
            self.by_day.remove(&(before, address.clone()));
        }
        self.by_day.insert((last, address));
    }

    /// The count that is kept, if it is one of this directory and day; else counted anew.
    fn counted(&self, settings: &Settings, organisation: &str, now: Timestamp) -> Counted {
        let (version, oldest) = (settings.version, day(now) - OBSERVED_DAYS);
        let kept = self
            .counted
            .filter(|counted| (counted.version, counted.oldest) == (version, oldest));
        kept.unwrap_or_else(|| Counted {
            version,
            oldest,
            people: self.people(settings, organisation, oldest),
        })
    }

    fn people(&self, settings: &Settings, organisation: &str, oldest: i64) -> usize {
        let lately = self.last.iter().filter(|(_, last)| **last >= oldest);
        let people = lately.filter(|(address, _)| is_person(settings, organisation, address));
        people.count()
    }
}

/// Whether an address as kept needs a seat.
fn is_person(settings: &Settings, organisation: &str, address: &str) -> bool {
    let mailbox = Mailbox::parse(address);
    mailbox.is_ok_and(|it| SenderKind::of(settings, organisation, &it) == SenderKind::Person)
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
    use proptest::prelude::*;

    use crate::document::Document;
    use crate::settings::Mode;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

    fn settings(policy: &str, seats: u32) -> Settings {
        directory(policy, seats, &["ann", "bob", "cleo"], 1)
    }

    fn directory(policy: &str, seats: u32, people: &[&str], version: u64) -> Settings {
        let person = |name: &&str| {
            format!(
                "[[organisation.recipient]]\naddress = \"{name}@contoso.test\"\nmailbox = false\n"
            )
        };
        let people: String = people.iter().map(person).collect();
        let text = format!(
            "[[organisation]]\nname = \"contoso\"\n\
             licences = {{ seats = {seats}, policy = \"{policy}\" }}\n\
             [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
             [[organisation.recipient]]\naddress = \"dora@contoso.test\"\n{people}"
        );
        let document = Document::from_toml(&text).unwrap();
        Settings::build(Mode::Lan, version, document).unwrap()
    }

    fn mailbox(name: &str) -> Mailbox {
        Mailbox::parse(&format!("{name}@contoso.test")).unwrap()
    }

    fn notes(observed: &mut Observed, settings: &Settings, name: &str, now: Timestamp) -> usize {
        let anew = observed.note(settings, "contoso", &mailbox(name), now);
        anew.len()
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
            assert_eq!(notes(&mut observed, &settings, name, NOW), 1);
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
        notes(&mut observed, &settings, "ann", NOW);
        let later = |days| NOW.after(DAY * days);
        assert!(!asks(&settings, &observed, "bob", later(30)));
        assert!(asks(&settings, &observed, "bob", later(31)));
        notes(&mut observed, &settings, "bob", later(31));
        assert_eq!(observed.tidy(later(31)), ["ann@contoso.test"]);
        assert!(!asks(&settings, &observed, "ann", later(31)));
    }

    #[test]
    fn a_report_counts_and_refuses_nobody_and_off_does_neither() {
        let mut observed = Observed::default();
        let report = settings("report", 1);
        for name in ["ann", "bob", "scan-2", "dora"] {
            notes(&mut observed, &report, name, NOW);
        }
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
        let settings = settings("report", 1);
        let mut observed = Observed::default();
        assert_eq!(notes(&mut observed, &settings, "ann", NOW), 1);
        assert_eq!(notes(&mut observed, &settings, "ANN", NOW), 0);
        let licences = licences_of(&settings, "contoso").unwrap();
        let used = |it: &Observed| {
            it.seats(&settings, "contoso", licences, NOW.after(DAY))
                .used
        };
        let mut anew = Vec::new();
        for number in 0..OBSERVED_MAX {
            assert_eq!(used(&observed), 1);
            let scanner = mailbox(&format!("scan{number}"));
            anew = observed.note(&settings, "contoso", &scanner, NOW.after(DAY));
        }
        let last = format!("scan{}@contoso.test", OBSERVED_MAX - 1);
        assert_eq!(
            anew,
            [last, "ann@contoso.test".to_owned()],
            "to be kept, and to be taken away"
        );
        assert_eq!(observed.last("ann@contoso.test"), None);
        assert_eq!(observed.last.len(), OBSERVED_MAX);
        assert_eq!(used(&observed), 0, "with her went her seat");
    }

    /// What happens to senders.
    #[derive(Clone, Debug)]
    enum Step {
        /// The one of that number sends.
        Sends(usize),
        /// What was kept of one, so many days ago.
        Restored(usize, i64),
        /// Days pass, or the clock goes back.
        Days(i64),
        Tidied,
        /// The directory is another one.
        Settings(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0_usize..6).prop_map(Step::Sends),
            2 => (0_usize..6, 0_i64..40).prop_map(|(who, ago)| Step::Restored(who, ago)),
            2 => (-3_i64..20).prop_map(Step::Days),
            1 => Just(Step::Tidied),
            1 => (0_usize..3).prop_map(Step::Settings),
        ];
        prop::collection::vec(step, 1..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn the_count_of_seats_that_is_kept_is_that_of_counting_them(steps in steps()) {
            let people = ["ann", "bob", "cleo"];
            let directories = [&people[..], &people[..2], &[]].map(|people| {
                let version = people.len() as u64;
                directory("report", 1, people, version)
            });
            let mut settings = &directories[0];
            let (mut observed, mut now) = (Observed::default(), NOW);
            for step in steps {
                let names = ["ann", "bob", "cleo", "dora", "scan-1", "scan-2"];
                match step {
                    Step::Sends(who) => {
                        let has_sent = notes(&mut observed, settings, names[who], now) > 0;
                        let kept = observed.counted.map(|kept| (kept.version, kept.oldest));
                        let of_now = (settings.version, day(now) - OBSERVED_DAYS);
                        prop_assert!(!has_sent || kept == Some(of_now), "nothing to count");
                    }
                    Step::Restored(who, ago) => {
                        observed.restore(&format!("{}@contoso.test", names[who]), day(now) - ago);
                    }
                    Step::Days(days) => {
                        now = Timestamp::from_millis(now.as_millis() + days * 86_400_000);
                    }
                    Step::Tidied => {
                        observed.tidy(now);
                        observed.keep_count(settings, "contoso", now);
                    }
                    Step::Settings(which) => settings = &directories[which],
                }
                let licences = licences_of(settings, "contoso").unwrap();
                let seats = observed.seats(settings, "contoso", licences, now);
                let anew = observed.people(settings, "contoso", day(now) - OBSERVED_DAYS);
                prop_assert_eq!(seats.used, anew);
            }
        }
    }
}
