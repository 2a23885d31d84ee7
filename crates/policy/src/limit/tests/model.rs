//! The book against a naive one: a list of everything that was ever counted, searched from one end
//! to the other for each question. Time is simulated; restarts and messages that were not taken in
//! after all come in between.

use std::sync::Arc;

use proptest::prelude::*;
use relais_smtp::address::Mailbox;
use relais_smtp::time::Timestamp;

use super::super::*;
use super::NOW;
use crate::document::Limit;

#[derive(Clone, Debug)]
struct Entry {
    message: usize,
    name: LimitName,
    at: Timestamp,
    count: u64,
}

/// Everything, in the order in which it came.
#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    recipients: Vec<(usize, RecipientKey)>,
}

fn bucket(key: LimitKey, at: Timestamp) -> i64 {
    at.as_millis().div_euclid(key.grain().0)
}

impl Model {
    /// What is in the window that ends at this time.
    fn used(&self, name: &LimitName, end: i64) -> u64 {
        let length = name.key.grain().1;
        let mut used = 0;
        for entry in &self.entries {
            let bucket = bucket(name.key, entry.at);
            if entry.name == *name && bucket >= end - length && bucket <= end {
                used += entry.count;
            }
        }
        used
    }

    /// Whether no window that this time is in would hold too much.
    fn fits(&self, name: &LimitName, limit: u64, at: Timestamp, count: u64) -> bool {
        let here = bucket(name.key, at);
        let others = self.entries.iter().filter(|entry| entry.name == *name);
        let ends = others.map(|entry| bucket(name.key, entry.at));
        let ends = ends.filter(|end| (here..=here + name.key.grain().1).contains(end));
        ends.chain([here]).all(|end| {
            let used = self.used(name, end);
            used == 0 || used + count <= limit
        })
    }

    fn weight(&self, recipients: &[(RecipientKey, bool)]) -> Weight {
        let mut weight = Weight::default();
        for (place, (key, external)) in recipients.iter().enumerate() {
            weight.recipients += 1;
            weight.external += u64::from(*external);
            let before = recipients[..place].iter().any(|(other, _)| other == key);
            let known = self.recipients.iter().any(|(_, other)| other == key);
            weight.new += u64::from(!before && !known);
        }
        weight
    }

    /// When it leaves; `None`: it does not come in.
    fn admit(
        &mut self,
        message: usize,
        applying: &Applying,
        recipients: &[(RecipientKey, bool)],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let weight = self.weight(recipients);
        let (hard, soft): (Vec<_>, Vec<_>) = applying.0.iter().partition(|(_, one)| one.hard);
        for (name, limit) in hard {
            let needed = name.key.needed(weight);
            if needed > 0 && self.used(name, bucket(name.key, now)) + needed > limit.value {
                return None;
            }
        }
        // A window has room only where something leaves it, or right behind what waits.
        let mut times = vec![now];
        for entry in &self.entries {
            let (millis, length) = entry.name.key.grain();
            let bucket = bucket(entry.name.key, entry.at);
            for after in [bucket + 1, bucket + length + 1] {
                times.push(Timestamp::from_millis(after * millis));
            }
        }
        times.retain(|time| *time >= now);
        times.sort_unstable();
        let due = times.into_iter().find(|time| {
            soft.iter().all(|(name, limit)| {
                let needed = name.key.needed(weight);
                needed == 0 || self.fits(name, limit.value, *time, needed)
            })
        })?;
        if due.since(now) > BACKLOG_MAX {
            return None;
        }
        for (name, limit) in &applying.0 {
            let (at, count) = (if limit.hard { now } else { due }, name.key.needed(weight));
            if count > 0 {
                let name = name.clone();
                self.entries.push(Entry {
                    message,
                    name,
                    at,
                    count,
                });
            }
        }
        for (key, _) in recipients {
            if !self.recipients.iter().any(|(_, other)| other == key) {
                self.recipients.push((message, *key));
            }
        }
        Some(due)
    }

    fn take_back(&mut self, message: usize) {
        self.entries.retain(|entry| entry.message != message);
        self.recipients.retain(|(other, _)| *other != message);
    }
}

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// A message of the sender with that number, with recipients by their numbers.
    Message {
        sender: usize,
        recipients: Vec<u8>,
        fails: bool,
    },
    /// Milliseconds pass.
    Time(i64),
    /// Everything is kept, and read by the next process.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let recipients = prop::collection::vec(0_u8..12, 1..4);
    let message = (0_usize..3, recipients, prop::bool::weighted(0.1));
    let step = prop_oneof![
        6 => message.prop_map(|(sender, recipients, fails)| Step::Message {
            sender,
            recipients,
            fails,
        }),
        3 => (0_i64..90_000).prop_map(Step::Time),
        1 => (0_i64..7_200_000).prop_map(Step::Time),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

fn limits() -> impl Strategy<Value = Vec<(usize, LimitKey, Limit)>> {
    let limit = (1_u64..9, any::<bool>()).prop_map(|(value, hard)| Limit { value, hard });
    let key = prop::sample::select(LimitKey::ALL.to_vec());
    prop::collection::vec((0_usize..4, key, limit), 0..6)
}

fn name(owner: usize, key: LimitKey) -> LimitName {
    LimitName {
        organisation: "contoso".into(),
        whose: match owner {
            3 => Whose::Organisation,
            number => Whose::Sender(Some(format!("s{number}@contoso.test").into())),
        },
        key,
    }
}

/// Of each sender its own limits and those of the organisation, each once.
fn applying(limits: &[(usize, LimitKey, Limit)], sender: usize) -> Applying {
    let mut all: Vec<(LimitName, Limit)> = Vec::new();
    for (owner, key, limit) in limits {
        let name = name(*owner, *key);
        let is_there = all.iter().any(|(other, _)| *other == name);
        if (*owner == sender || *owner == 3) && !is_there {
            all.push((name, *limit));
        }
    }
    Applying(all)
}

/// Recipients with an odd number are outside.
fn keys(numbers: &[u8]) -> Vec<(RecipientKey, bool)> {
    let key = |number: &u8| {
        let mailbox = Mailbox::parse(&format!("r{number}@example.org")).unwrap();
        (RecipientKey::of(&mailbox), number % 2 == 1)
    };
    numbers.iter().map(key).collect()
}

fn restarted(book: &mut Book, shelf: &mut Vec<(String, String)>, now: Timestamp) -> Book {
    let kept = book.keep(now);
    shelf.retain(|(key, _)| !kept.taken.contains(key));
    let puts = kept.put.iter().chain(&kept.recipients);
    for (key, text) in puts {
        shelf.retain(|(other, _)| other != key);
        shelf.push((key.clone(), text.clone()));
    }
    let mut next = Book::default();
    for (key, text) in shelf.iter() {
        if !next.restore(key, text, now) {
            next.restore_recipients(key, text);
        }
    }
    next
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_book_decides_as_a_list_of_everything_would(limits in limits(), steps in steps()) {
        let organisation: Arc<str> = "contoso".into();
        let (mut book, mut model, mut shelf) = (Book::default(), Model::default(), Vec::new());
        let mut now = NOW;
        for (message, step) in steps.into_iter().enumerate() {
            match step {
                Step::Time(millis) => now = Timestamp::from_millis(now.as_millis() + millis),
                Step::Restart => book = restarted(&mut book, &mut shelf, now),
                Step::Message { sender, recipients, fails } => {
                    let (applying, recipients) = (applying(&limits, sender), keys(&recipients));
                    let coming = Coming { organisation: &organisation, recipients: &recipients };
                    let admitted = book.admit(&applying, coming, now);
                    let expected = model.admit(message, &applying, &recipients, now);
                    prop_assert_eq!(admitted.as_ref().ok().map(|one| one.due), expected);
                    if let (Ok(admitted), true) = (&admitted, fails) {
                        book.take_back(admitted);
                        model.take_back(message);
                    }
                    if let Err(reached) = &admitted {
                        prop_assert!(reached.until >= now);
                    }
                }
            }
            for (owner, key, limit) in &limits {
                let name = name(*owner, *key);
                let used = book.stands(&name, *limit, now).used;
                prop_assert_eq!(used, model.used(&name, bucket(*key, now)), "{:?}", name);
            }
        }
    }
}
