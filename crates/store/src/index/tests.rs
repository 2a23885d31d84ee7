//! The index against a model that is too simple to be wrong: a list of recipients, searched from
//! end to end at each question.

use proptest::prelude::*;
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use super::{GIVE_UP, HELD, Index, NewSlot, SlotState};
use crate::queue::{Criteria, QueueAct, QueueKey, RecipientChange};
use crate::suspension::{Suspension, SuspensionScope};

const DESTINATIONS: [&str; 3] = ["a.example", "b.example", "c.example"];

fn key(place: usize) -> QueueKey {
    QueueKey::new("contoso", DESTINATIONS[place])
}

fn id(number: i64) -> QueueId {
    QueueId::from_i64(number).unwrap()
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// What is done, with small numbers that often meet.
#[derive(Clone, Debug)]
enum Step {
    Insert {
        places: Vec<usize>,
        due: i64,
        lifetime: i64,
    },
    Lease {
        place: usize,
        messages: usize,
        recipients: usize,
        term: i64,
    },
    LeaseExpired {
        messages: usize,
        term: i64,
    },
    Renew {
        lease: usize,
        term: i64,
    },
    Settle {
        lease: usize,
        change: u8,
        delay: i64,
        fails: bool,
    },
    Act {
        act: QueueAct,
        place: Option<usize>,
        fails: bool,
    },
    Suspend {
        place: usize,
        suspended: bool,
    },
    Pass {
        millis: i64,
    },
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0..DESTINATIONS.len();
    let act = prop_oneof![
        Just(QueueAct::Retry),
        Just(QueueAct::Hold),
        Just(QueueAct::Release),
        Just(QueueAct::Bounce),
        Just(QueueAct::Delete),
    ];
    prop_oneof![
        4 => (prop::collection::vec(place.clone(), 1..4), 0..20_i64, 1..60_i64)
            .prop_map(|(places, due, lifetime)| Step::Insert { places, due, lifetime }),
        4 => (place.clone(), 0..4_usize, 0..3_usize, 1..20_i64).prop_map(
            |(place, messages, recipients, term)| Step::Lease { place, messages, recipients, term }
        ),
        2 => (0..3_usize, 1..20_i64)
            .prop_map(|(messages, term)| Step::LeaseExpired { messages, term }),
        1 => (0..8_usize, 1..30_i64).prop_map(|(lease, term)| Step::Renew { lease, term }),
        4 => (0..8_usize, 0..3_u8, 0..20_i64, prop::bool::weighted(0.2)).prop_map(
            |(lease, change, delay, fails)| Step::Settle { lease, change, delay, fails }
        ),
        2 => (act, prop::option::of(place.clone()), prop::bool::weighted(0.2))
            .prop_map(|(act, place, fails)| Step::Act { act, place, fails }),
        1 => (place, any::<bool>())
            .prop_map(|(place, suspended)| Step::Suspend { place, suspended }),
        3 => (1..15_i64).prop_map(|millis| Step::Pass { millis }),
        1 => Just(Step::Sweep),
    ]
}

#[derive(Clone, Debug)]
struct Recipient {
    id: i64,
    number: u32,
    place: usize,
    state: SlotState,
    /// Under which lease.
    lease: Option<u64>,
}

#[derive(Default)]
struct Model {
    recipients: Vec<Recipient>,
    /// Token and end.
    leases: Vec<(u64, i64)>,
    suspended: [bool; 3],
}

impl Model {
    fn lapse(&mut self, now: i64) {
        let lapsed: Vec<u64> = self
            .leases
            .iter()
            .filter(|(_, until)| *until <= now)
            .map(|(token, _)| *token)
            .collect();
        self.leases.retain(|(_, until)| *until > now);
        for recipient in &mut self.recipients {
            if recipient.lease.is_some_and(|token| lapsed.contains(&token)) {
                recipient.lease = None;
                recipient.state = recipient.state.recovered();
            }
        }
    }

    fn waits(recipient: &Recipient) -> bool {
        recipient.lease.is_none() && recipient.state.flags & (HELD | GIVE_UP) == 0
    }

    /// Due times of those that may be leased from a queue.
    fn due(&self, place: usize) -> Vec<(i64, i64, u32)> {
        let mut due: Vec<_> = self
            .recipients
            .iter()
            .filter(|r| r.place == place && Self::waits(r) && !self.suspended[place])
            .map(|r| (r.state.due, r.id, r.number))
            .collect();
        due.sort_unstable();
        due
    }

    fn leaves_at(recipient: &Recipient) -> i64 {
        let gives_up = recipient.state.has(GIVE_UP);
        if gives_up {
            i64::MIN
        } else {
            recipient.state.expires
        }
    }

    fn counts(&self) -> (u64, u64, u64) {
        let mut counts = (0, 0, 0);
        for recipient in &self.recipients {
            match (recipient.state.has(HELD), recipient.state.attempts) {
                (true, _) => counts.2 += 1,
                (false, 0) => counts.0 += 1,
                (false, _) => counts.1 += 1,
            }
        }
        counts
    }
}

/// Both, side by side.
#[derive(Default)]
struct Pair {
    index: Index,
    model: Model,
    now: i64,
    last_id: i64,
    /// Leases given, live or not: queue id, token, numbers not yet settled.
    given: Vec<(i64, u64, Vec<u32>)>,
}

impl Pair {
    fn run(&mut self, step: &Step) {
        match step {
            Step::Insert {
                places,
                due,
                lifetime,
            } => self.insert(places, *due, *lifetime),
            Step::Lease {
                place,
                messages,
                recipients,
                term,
            } => {
                self.lease(*place, *messages, *recipients, *term);
            }
            Step::LeaseExpired { messages, term } => self.lease_expired(*messages, *term),
            Step::Renew { lease, term } => self.renew(*lease, *term),
            Step::Settle {
                lease,
                change,
                delay,
                fails,
            } => {
                self.settle(*lease, *change, *delay, *fails);
            }
            Step::Act { act, place, fails } => self.act(act, *place, *fails),
            Step::Suspend { place, suspended } => {
                let scope = SuspensionScope::destination(DESTINATIONS[*place]);
                if *suspended {
                    self.index.suspend(Suspension::of_old(DESTINATIONS[*place]));
                } else {
                    self.index.resume(&scope);
                }
                self.model.suspended[*place] = *suspended;
            }
            Step::Pass { millis } => self.now += millis,
            Step::Sweep => self.index.sweep_queues(),
        }
        self.compare();
    }

    fn insert(&mut self, places: &[usize], due: i64, lifetime: i64) {
        self.last_id += 1;
        let state = SlotState::fresh(time(self.now + due), time(self.now + lifetime));
        let slots: Vec<NewSlot> = (0..)
            .zip(places)
            .map(|(number, place)| NewSlot {
                number,
                key: key(*place),
                state,
            })
            .collect();
        self.index.insert(id(self.last_id), &slots);
        let last_id = self.last_id;
        self.model
            .recipients
            .extend((0..).zip(places).map(|(number, place)| Recipient {
                id: last_id,
                number,
                place: *place,
                state,
                lease: None,
            }));
    }

    fn lease(&mut self, place: usize, messages: usize, recipients: usize, term: i64) {
        let until = self.now + term;
        let grants = self.index.lease(
            &key(place),
            messages,
            recipients,
            time(self.now),
            time(until),
        );
        self.model.lapse(self.now);
        if recipients == 0 {
            assert!(grants.is_empty());
            return;
        }
        for grant in &grants {
            let first = self.model.due(place)[0];
            assert!(first.0 <= self.now, "not due");
            assert_eq!(grant.queue_id.as_i64(), first.1, "the oldest first");
            assert_eq!(grant.key, key(place));
            let fits = self.model.due(place);
            let fits = fits
                .iter()
                .filter(|(due, id, _)| *due <= self.now && *id == first.1);
            assert_eq!(grant.slots.len(), fits.count().min(recipients));
            self.take(grant, until);
        }
        let left = self.model.due(place);
        let more = left.first().is_some_and(|(due, _, _)| *due <= self.now);
        assert!(grants.len() == messages || !more, "something due was left");
    }

    fn lease_expired(&mut self, messages: usize, term: i64) {
        let until = self.now + term;
        let grants = self
            .index
            .lease_expired(messages, time(self.now), time(until));
        self.model.lapse(self.now);
        for grant in &grants {
            let all_over = grant.slots.iter().all(|(number, _)| {
                let recipient = self.find(grant.queue_id.as_i64(), *number);
                Model::leaves_at(recipient) <= self.now
            });
            assert!(all_over, "its time is not up");
            self.take(grant, until);
        }
        let mut free = self.model.recipients.iter().filter(|r| r.lease.is_none());
        let more = free.any(|recipient| Model::leaves_at(recipient) <= self.now);
        assert!(
            grants.len() == messages || !more,
            "something expired was left"
        );
    }

    fn find(&self, id: i64, number: u32) -> &Recipient {
        let mut all = self.model.recipients.iter();
        all.find(|r| (r.id, r.number) == (id, number))
            .expect("the index knows no others")
    }

    fn take(&mut self, grant: &super::Grant, until: i64) {
        assert!(
            self.model
                .leases
                .iter()
                .all(|(token, _)| *token < grant.token),
            "tokens grow"
        );
        let id = grant.queue_id.as_i64();
        for (number, state) in &grant.slots {
            let mut all = self.model.recipients.iter_mut();
            let recipient = all.find(|r| (r.id, r.number) == (id, *number)).unwrap();
            assert_eq!(recipient.lease, None, "leased twice");
            assert_eq!(recipient.state, *state);
            recipient.lease = Some(grant.token);
        }
        self.model.leases.push((grant.token, until));
        let numbers = grant.slots.iter().map(|(number, _)| *number).collect();
        self.given.push((id, grant.token, numbers));
    }

    fn renew(&mut self, lease: usize, term: i64) {
        let Some((queue_id, token, _)) = self.given.get(lease).cloned() else {
            return;
        };
        let until = self.now + term;
        let renewed = self.index.renew(id(queue_id), token, time(until));
        let entry = self
            .model
            .leases
            .iter_mut()
            .find(|(live, _)| *live == token);
        assert_eq!(renewed, entry.is_some());
        // A lease is prolonged, never cut short.
        entry
            .into_iter()
            .for_each(|(_, end)| *end = until.max(*end));
    }

    fn settle(&mut self, lease: usize, change: u8, delay: i64, fails: bool) {
        let Some((queue_id, token, mut numbers)) = self.given.get(lease).cloned() else {
            return;
        };
        // One at a time, so that leases are settled in parts.
        numbers.truncate(1);
        let until = time(self.now + delay);
        let change = match change {
            0 => RecipientChange::Done,
            1 => RecipientChange::Returned { until },
            _ => RecipientChange::Deferred {
                until,
                last_reply: "".into(),
                delay_told: false,
            },
        };
        let live = self.model.leases.iter().any(|(live, _)| *live == token);
        let begun = self.index.begin_settle(id(queue_id), token, &numbers);
        assert_eq!(begun, live, "fencing");
        if !begun || numbers.is_empty() {
            return;
        }
        assert!(
            !self.index.begin_settle(id(queue_id), token, &numbers),
            "settled twice"
        );
        let changes: Vec<_> = numbers
            .iter()
            .map(|number| (*number, change.clone()))
            .collect();
        let resolved = self.index.resolve(id(queue_id), &changes);
        if fails {
            self.index.abandon_settle(token, &numbers);
            return;
        }
        self.index.finish_settle(id(queue_id), token, &resolved);
        self.given[lease].2.remove(0);
        self.apply(queue_id, &resolved);
        if self.given[lease].2.is_empty() {
            self.model.leases.retain(|(live, _)| *live != token);
        }
    }

    fn apply(&mut self, queue_id: i64, resolved: &[super::Resolved]) {
        for (number, state) in resolved {
            let place = (queue_id, *number);
            match state {
                None => self.model.recipients.retain(|r| (r.id, r.number) != place),
                Some(state) => {
                    let mut all = self.model.recipients.iter_mut();
                    let recipient = all.find(|r| (r.id, r.number) == place).unwrap();
                    recipient.state = *state;
                    recipient.lease = None;
                }
            }
        }
    }

    fn act(&mut self, act: &QueueAct, place: Option<usize>, fails: bool) {
        let criteria = Criteria {
            destination: place.map(|place| DESTINATIONS[place].to_owned()),
            ..Criteria::default()
        };
        let mut after = None;
        loop {
            let choice = self.index.choose(act, &criteria, after, time(self.now), 2);
            for chosen in &choice.chosen {
                for (number, _) in &chosen.slots {
                    let recipient = self.find(chosen.queue_id.as_i64(), *number);
                    assert_eq!(recipient.lease.is_some(), chosen.token == 0);
                    assert!(place.is_none_or(|place| place == recipient.place));
                }
                self.finish(chosen, fails);
            }
            after = choice.next;
            if after.is_none() {
                return;
            }
        }
    }

    fn finish(&mut self, chosen: &super::Chosen, fails: bool) {
        let numbers: Vec<u32> = chosen.slots.iter().map(|(number, _)| *number).collect();
        match (chosen.token, fails) {
            (0, true) => {}
            (0, false) => {
                self.index.finish_mark(chosen.queue_id, &chosen.slots);
                for (number, state) in &chosen.slots {
                    let place = (chosen.queue_id.as_i64(), *number);
                    let mut all = self.model.recipients.iter_mut();
                    all.find(|r| (r.id, r.number) == place).unwrap().state = state.unwrap();
                }
            }
            (token, true) => {
                self.index.abandon_settle(token, &numbers);
                self.index.release_lease(token);
            }
            (token, false) => {
                self.index
                    .finish_settle(chosen.queue_id, token, &chosen.slots);
                self.apply(chosen.queue_id.as_i64(), &chosen.slots);
            }
        }
    }

    fn compare(&mut self) {
        let due = self.index.due(time(self.now), 10);
        let next = self
            .index
            .next_due(time(self.now))
            .map(Timestamp::as_millis);
        self.model.lapse(self.now);
        let mut expected: Vec<(i64, QueueKey, usize)> = (0..DESTINATIONS.len())
            .filter_map(|place| {
                let due = self.model.due(place);
                let due: Vec<_> = due.iter().filter(|(due, _, _)| *due <= self.now).collect();
                Some((due.first()?.0, key(place), due.len()))
            })
            .collect();
        let mut found: Vec<_> = due
            .into_iter()
            .map(|q| (q.oldest.as_millis(), q.key, q.due))
            .collect();
        assert!(found.is_sorted_by_key(|(oldest, _, _)| *oldest));
        expected.sort();
        found.sort();
        assert_eq!(found, expected);

        let dues = (0..DESTINATIONS.len()).flat_map(|place| self.model.due(place));
        let ends = self.model.leases.iter().map(|(_, until)| *until);
        let free = self.model.recipients.iter().filter(|r| r.lease.is_none());
        let later = dues
            .map(|(due, _, _)| due)
            .chain(ends)
            .chain(free.map(Model::leaves_at))
            .filter(|at| *at > self.now);
        assert_eq!(next, later.min());

        let counts = self.index.counts();
        assert_eq!(
            (counts.queued, counts.deferred, counts.held),
            self.model.counts()
        );
        for recipient in &self.model.recipients {
            let view = self.index.view(id(recipient.id));
            let slot = view
                .iter()
                .find(|(number, _, _, _)| *number == recipient.number);
            let (_, found, state, active) = slot.expect("it is in the index");
            assert_eq!(
                (found, *state, *active),
                (
                    &key(recipient.place),
                    recipient.state,
                    recipient.lease.is_some()
                )
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_index_does_what_a_list_would_do(steps in prop::collection::vec(step(), 1..80)) {
        let mut pair = Pair::default();
        for step in &steps {
            pair.run(step);
        }
    }
}

#[test]
fn a_recipient_takes_little_memory() {
    assert!(
        size_of::<super::Slots>() <= 32,
        "{}",
        size_of::<super::Slots>()
    );
}

#[test]
fn a_lease_does_not_lapse_while_its_settlement_is_on_the_way() {
    let mut index = Index::default();
    let state = SlotState::fresh(time(0), time(1_000));
    index.insert(
        id(1),
        &[NewSlot {
            number: 0,
            key: key(0),
            state,
        }],
    );
    let grant = index.lease(&key(0), 1, 1, time(0), time(10)).remove(0);
    assert!(index.begin_settle(id(1), grant.token, &[0]));
    assert!(index.lease(&key(0), 1, 1, time(50), time(60)).is_empty());
    // It failed, after its time: now it is anybody's.
    index.abandon_settle(grant.token, &[0]);
    assert_eq!(index.lease(&key(0), 1, 1, time(50), time(60)).len(), 1);
    assert!(!index.begin_settle(id(1), grant.token, &[0]));
}

#[test]
fn what_lapses_after_the_clock_went_back_is_due_at_once() {
    let mut index = Index::default();
    let state = SlotState::fresh(time(900_000), time(2_000_000));
    index.insert(
        id(1),
        &[NewSlot {
            number: 0,
            key: key(0),
            state,
        }],
    );
    let leased = index.lease(&key(0), 1, 1, time(900_000), time(930_000));
    assert_eq!(leased.len(), 1);
    assert!(index.due(time(1_000), 10).is_empty());
    assert_eq!(index.due(time(31_000), 10).len(), 1);
}

#[test]
fn queues_without_recipients_are_forgotten_and_their_place_used_again() {
    let mut index = Index::default();
    let state = SlotState::fresh(time(0), time(1_000));
    for round in 0..100 {
        let key = QueueKey::new("o", format!("{round}"));
        index.insert(
            id(round),
            &[NewSlot {
                number: 0,
                key: key.clone(),
                state,
            }],
        );
        assert!(index.knows_queue(&key));
        index.remove_message(id(round));
        index.sweep_queues();
        assert!(!index.knows_queue(&key));
    }
    assert_eq!(index.queues.len(), 1);
}
