//! The book: who is asked about, what is bounded, what is told.

use std::sync::Arc;

use relais_smtp::address::Mailbox;
use relais_smtp::time::Timestamp;

use super::super::share::Bounds;
use super::super::*;
use super::{NOW, at};
use crate::document::{Document, Limit};
use crate::settings::{Mode, Settings};

const SETTINGS: &str = r#"
[[organisation]]
name = "contoso"
limits = { recipients_per_day = 1000, message_size_max = "20 MiB" }
limits_per_sender = { messages_per_minute = 5 }
[[organisation.domain]]
name = "contoso.test"
verification = "assumed"
limits = { recipients_per_hour = 100, message_size_max = "10 MiB" }
[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["10.1.2.0/24"]
limits = { messages_per_minute = 60 }
[organisation.inbound_connector.limits_per_device]
messages_per_minute = 10
new_recipients_per_day = { value = 50, hard = true }
[[organisation.credential]]
user = "scan-1"
inbound_connector = "Printers"
limits = { messages_per_minute = 20, message_size_max = "1 MiB" }
"#;

fn settings() -> Settings {
    Settings::build(Mode::Lan, 1, Document::from_toml(SETTINGS).unwrap()).unwrap()
}

fn sending<'a>(credential: Option<&'a str>, sender: Option<&'a Mailbox>) -> Sending<'a> {
    Sending {
        organisation: "contoso",
        connector: "Printers",
        address: "10.1.2.9".parse().unwrap(),
        credential,
        sender,
    }
}

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

fn name(whose: Whose, key: LimitKey) -> LimitName {
    let organisation = "contoso".into();
    LimitName {
        organisation,
        whose,
        key,
    }
}

fn sender_limit(number: usize) -> Applying {
    let sender = Whose::Sender(Some(format!("s{number}@contoso.test").into()));
    let limit = Limit {
        value: 1,
        hard: true,
    };
    Applying(vec![(name(sender, LimitKey::RecipientsPerDay), limit)])
}

fn to(numbers: std::ops::Range<usize>) -> Vec<(RecipientKey, bool)> {
    let key = |number| RecipientKey::of(&mailbox(&format!("r{number}@example.org")));
    numbers.map(|number| (key(number), true)).collect()
}

fn coming<'a>(organisation: &'a Arc<str>, recipients: &'a [(RecipientKey, bool)]) -> Coming<'a> {
    Coming {
        organisation,
        recipients,
    }
}

#[test]
fn each_owner_of_limits_is_asked_and_a_credential_stands_for_its_device() {
    let (settings, sender) = (settings(), mailbox("Scan@Contoso.test"));
    let words = |credential, sender| {
        let applying = Applying::of(&settings, &sending(credential, sender));
        let words = applying.0.iter();
        let words = words.map(|(name, limit)| format!("{} is {}", name.words(), limit.value));
        words.collect::<Vec<_>>()
    };
    assert_eq!(
        words(None, Some(&sender)),
        [
            "messages_per_minute of connector Printers is 60",
            "recipients_per_day of organisation contoso is 1000",
            "messages_per_minute of device 10.1.2.9 is 10",
            "new_recipients_per_day of device 10.1.2.9 is 50",
            "messages_per_minute of sender scan@contoso.test is 5",
            "recipients_per_hour of domain contoso.test is 100",
        ]
    );
    let by_credential = words(Some("scan-1"), None);
    assert_eq!(
        by_credential[2..],
        [
            "messages_per_minute of credential scan-1 is 20",
            "new_recipients_per_day of credential scan-1 is 50",
        ]
    );
}

#[test]
fn the_smallest_size_that_applies_counts() {
    let (settings, sender) = (settings(), mailbox("scan@contoso.test"));
    let size = |credential, sender| message_size_max(&settings, &sending(credential, sender));
    assert_eq!(size(None, None), Some(20 << 20));
    assert_eq!(size(None, Some(&sender)), Some(10 << 20));
    assert_eq!(size(Some("scan-1"), Some(&sender)), Some(1 << 20));
}

#[test]
fn new_is_to_whom_the_organisation_did_not_write_for_ninety_days() {
    let organisation: Arc<str> = "contoso".into();
    let limit = Limit {
        value: 5,
        hard: true,
    };
    let key = LimitKey::NewRecipientsPerDay;
    let applying = Applying(vec![(name(Whose::Organisation, key), limit)]);
    let mut book = Book::default();
    let recipients = to(0..3);
    let mut admit = |recipients: &[_], now| {
        let admitted = book.admit(&applying, coming(&organisation, recipients), now);
        book.keep(now);
        admitted.map(|_| book.stands(&applying.0[0].0, limit, now).used)
    };
    assert_eq!(admit(&recipients, NOW), Ok(3));
    // Twice in one message is one, and who is known is not new.
    let again = [to(0..3), to(3..4), to(3..4)].concat();
    assert_eq!(admit(&again, NOW), Ok(4));
    assert_eq!(admit(&to(4..6), NOW).map_err(|no| no.limit), Err(limit));
    let day = 86_400_000;
    assert_eq!(admit(&recipients, at(80 * day)), Ok(0));
    assert_eq!(admit(&to(0..4), at(100 * day)), Ok(1));
    assert_eq!(admit(&recipients, at(200 * day)), Ok(3));
}

#[test]
fn who_invents_senders_without_end_has_one_limit_for_all_of_them() {
    let organisation: Arc<str> = "contoso".into();
    let (mut book, recipient) = (Book::default(), to(0..1));
    let bound = METERS_PER_ORGANISATION_MAX;
    let taken = (0..bound + 1_000).filter(|number| {
        let applying = sender_limit(*number);
        let admitted = book.admit(&applying, coming(&organisation, &recipient), NOW);
        admitted.is_ok()
    });
    // One for all others.
    assert_eq!(taken.count(), bound + 1);
    assert_eq!(book.names().count(), bound + 1);
    let no = book
        .check(&sender_limit(bound + 5), one(), NOW)
        .unwrap_err();
    assert_eq!(
        no.name.owner(),
        format!("sender s{}@contoso.test", bound + 5)
    );
    // Those with a count of their own keep it, and a day later there is room again.
    assert!(book.check(&sender_limit(3), one(), NOW).is_err());
    let kept = book.keep(at(2 * 86_400_000));
    assert_eq!(kept.taken.len(), bound + 1);
    assert_eq!(
        book.check(&sender_limit(bound + 5), one(), at(2 * 86_400_000)),
        Ok(())
    );
}

fn one() -> Weight {
    Weight {
        recipients: 1,
        external: 0,
        new: 0,
    }
}

#[test]
fn nobody_takes_the_share_of_another_organisation() {
    let bounds = Bounds { own: 50, all: 100 };
    assert!(bounds.have_room(49, 99, 3));
    assert!(!bounds.have_room(50, 50, 1));
    // All is taken: who has less than a third still gets one more.
    assert!(!bounds.have_room(33, 100, 3));
    assert!(bounds.have_room(32, 100, 3));
}

#[test]
fn an_organisation_forgets_recipients_of_the_longest_ago_and_never_those_of_today() {
    let organisation: Arc<str> = "contoso".into();
    let mut known = Known::default();
    let day = 86_400_000;
    let keys = |numbers: std::ops::Range<usize>| to(numbers).into_iter().map(|(key, _)| key);
    let max = RECIPIENTS_PER_ORGANISATION_MAX;
    for (number, key) in keys(0..max).enumerate() {
        let time = if number < max / 2 { at(-5 * day) } else { NOW };
        assert!(known.learn(&organisation, key, time));
    }
    let more = keys(max..max + max / 2 + 1).collect::<Vec<_>>();
    assert!(known.learn(&organisation, more[0], NOW));
    assert_eq!(known.count("contoso"), max / 2 + 1);
    let oldest = keys(0..1).next().unwrap();
    assert!(!known.is_known("contoso", oldest, NOW));
    for key in &more[1..] {
        known.learn(&organisation, *key, NOW);
    }
    // Today alone fills the bound: what comes then is not learnt.
    assert_eq!(known.count("contoso"), max);
    assert!(!known.is_known("contoso", more[max / 2], NOW));
    assert!(known.is_known("contoso", more[0], NOW));
}

#[test]
fn a_hard_limit_is_not_used_up_by_what_a_soft_one_holds_back() {
    let organisation: Arc<str> = "contoso".into();
    let soft = Limit {
        value: 1,
        hard: false,
    };
    let hard = Limit {
        value: 100,
        hard: true,
    };
    let connector = name(Whose::Connector("Slow".into()), LimitKey::RecipientsPerHour);
    let whole = name(Whose::Organisation, LimitKey::RecipientsPerHour);
    let slow = Applying(vec![(connector, soft), (whole.clone(), hard)]);
    let mut book = Book::default();
    let recipient = to(0..1);
    let mut dues = Vec::new();
    for _ in 0..3 {
        let admitted = book.admit(&slow, coming(&organisation, &recipient), NOW);
        dues.push(admitted.unwrap().due.since(NOW).as_secs() / 3_600);
    }
    assert_eq!(dues, [0, 1, 2]);
    let other = Applying(vec![(whole, hard)]);
    assert_eq!(book.check(&other, one(), NOW), Ok(()));
}

#[test]
fn a_hard_limit_by_the_minute_is_not_reached_by_a_backlog_of_hours() {
    let of = |whose, key, value, hard| (name(whose, key), Limit { value, hard });
    let soft = of(
        Whose::Organisation,
        LimitKey::RecipientsPerHour,
        1_000,
        false,
    );
    let connector = Whose::Connector("ERP".into());
    let hard = of(connector, LimitKey::MessagesPerMinute, 30, true);
    let applying = Applying(vec![soft, hard]);
    let (organisation, recipient) = ("contoso".into(), to(0..1));
    let mut book = Book::default();
    // Twenty a minute for two hours: four hundred of them wait for their hour in the end.
    for minute in 0..120 {
        for second in 0..20 {
            let now = at(minute * 60_000 + second * 3_000);
            let admitted = book.admit(&applying, coming(&organisation, &recipient), now);
            assert!(admitted.is_ok(), "{minute}:{second}: {admitted:?}");
        }
    }
    let (name, limit) = &applying.0[0];
    let waiting = book.stands(name, *limit, at(120 * 60_000)).waiting;
    assert!(waiting >= 300, "{waiting}");
}

#[test]
fn a_limit_says_what_how_much_and_until_when() {
    let organisation: Arc<str> = "contoso".into();
    let mut book = Book::default();
    let applying = sender_limit(1);
    let recipient = to(0..1);
    book.admit(&applying, coming(&organisation, &recipient), NOW)
        .unwrap();
    let no = book.check(&applying, one(), at(3_600_000)).unwrap_err();
    assert_eq!(
        no.name.words(),
        "recipients_per_day of sender s1@contoso.test"
    );
    assert_eq!(no.limit.value, 1);
    let until = no.until;
    assert!(book.check(&applying, one(), until).is_ok());
    let before = Timestamp::from_millis(until.as_millis() - 1);
    assert!(book.check(&applying, one(), before).is_err());
}

#[test]
fn at_four_fifths_it_is_told_once_an_hour() {
    let organisation: Arc<str> = "contoso".into();
    let limit = Limit {
        value: 10,
        hard: false,
    };
    let key = LimitKey::RecipientsPerDay;
    let applying = Applying(vec![(name(Whose::Organisation, key), limit)]);
    let (mut book, recipient) = (Book::default(), to(0..1));
    let mut told = Vec::new();
    for number in 1..=10_i64 {
        // Nine at once, the tenth an hour later.
        let now = at(if number == 10 { 3_600_000 } else { 0 });
        let admitted = book.admit(&applying, coming(&organisation, &recipient), now);
        told.extend(
            admitted
                .unwrap()
                .warnings
                .iter()
                .map(|one| (number, one.used.used)),
        );
    }
    assert_eq!(told, [(8, 8), (10, 10)]);
}

#[test]
fn a_proposal_is_twice_the_busiest_window_and_no_device_is_proposed_less_than_it_needs() {
    let (settings, organisation) = (settings(), "contoso".into());
    let mut seen = Observation::new(NOW, at(30 * 86_400_000));
    let sender = mailbox("scan@contoso.test");
    // 27 messages in one minute of the twentieth day, by one device; one a day before.
    let times = (0..20).chain(std::iter::repeat_n(20, 27));
    for (number, day) in times.enumerate() {
        let recipients = to(number..number + 1);
        let sending = sending(None, Some(&sender));
        let time = at(day * 86_400_000);
        seen.add(
            &settings,
            &sending,
            coming(&organisation, &recipients),
            time,
        );
    }
    let all = seen.proposals(&settings);
    let of = |kind: &str, key| {
        let mut found = all.iter();
        let found = found.find(|one| one.whose.kind() == kind && one.key == key);
        let found = found.unwrap();
        (found.peak, found.current, found.proposed)
    };
    let per_minute = LimitKey::MessagesPerMinute;
    assert_eq!(of("device", per_minute), (27, Some(10), 54));
    assert_eq!(of("connector", per_minute), (27, Some(60), 54));
    assert_eq!(of("sender", per_minute), (27, Some(5), 54));
    // Not those of the first days, when everybody is new; and what is little is rounded up.
    let new = LimitKey::NewRecipientsPerDay;
    assert_eq!(of("device", new), (28, Some(50), 56));
    let a_day = LimitKey::RecipientsPerDay;
    assert_eq!(of("organisation", a_day), (28, Some(1_000), 200));
    assert!(all.iter().all(|one| one.messages == 47), "{all:?}");
}
