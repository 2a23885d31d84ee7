//! Random histories with restarts between any two calls, checked against a ledger: what was
//! acknowledged is there, what was settled is gone, nothing else appears.

use std::collections::{BTreeMap, BTreeSet};

use relais_smtp::identifier::QueueId;
use relais_store::queue::{Criteria, Leased, QueueAct, RecipientChange, RecipientStateName};

use crate::world::{World, at, commit, deferred, key, settlement};

const STEPS: u64 = 150;
const SEEDS: u64 = 12;
const DESTINATIONS: [&str; 3] = ["example.org", "example.net", "example.com"];

/// What must be true of each recipient in the queue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Expected {
    attempts: u32,
    held: bool,
}

type Ledger = BTreeMap<(QueueId, u32), Expected>;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

async fn a_random_history_with_restarts_ends_as_the_ledger_says(mut world: World) {
    for seed in 0..SEEDS {
        // The clock goes on from one history to the next.
        play(&mut world, seed, seed * STEPS * 2).await;
    }
}

async fn play(world: &mut World, seed: u64, start: u64) {
    let mut random = Random(seed);
    let mut ledger = Ledger::new();
    let mut leases: Vec<Leased> = Vec::new();
    for step in 0..STEPS {
        let now = at(start + step);
        match random.below(10) {
            0..=2 => {
                let count = 1 + random.below(3) as usize;
                let to: Vec<String> = DESTINATIONS[..count]
                    .iter()
                    .map(|d| format!("a@{d}"))
                    .collect();
                let to: Vec<&str> = to.iter().map(String::as_str).collect();
                let id = commit(world.store(), &to, now).await;
                ledger.extend(
                    (0..)
                        .zip(&to)
                        .map(|(number, _)| ((id, number), Expected::default())),
                );
            }
            3..=4 => {
                let key = key(DESTINATIONS[random.below(3) as usize]);
                let leased = world
                    .store()
                    .lease(&key, 2, 2, now, at(start + step + 1_000))
                    .await;
                leases.extend(leased.unwrap());
            }
            5..=7 if !leases.is_empty() => {
                let leased = leases.swap_remove(random.below(leases.len() as u64) as usize);
                let change = match random.below(3) {
                    0 => deferred(now),
                    1 => RecipientChange::Returned { until: now },
                    _ => RecipientChange::Done,
                };
                world
                    .store()
                    .settle(settlement(&leased, &change, now))
                    .await
                    .unwrap();
                note(&mut ledger, &leased, &change);
            }
            8 => act(world, &mut random, &mut ledger, &leases, start + step).await,
            9 if random.below(3) == 0 => {
                world.restart(now).await;
                leases.clear();
            }
            _ => {}
        }
    }
    assert_eq!(found(world).await, ledger, "seed {seed}");
    world.restart(at(start + STEPS)).await;
    assert_eq!(found(world).await, ledger, "seed {seed}, after a restart");
    let now = at(start + STEPS);
    world
        .store()
        .act(QueueAct::Delete, &Criteria::default(), "anna", now)
        .await
        .unwrap();
    assert_eq!(found(world).await, Ledger::new());
}

fn note(ledger: &mut Ledger, leased: &Leased, change: &RecipientChange) {
    for recipient in &leased.recipients {
        let place = (leased.lease.queue_id, recipient.number);
        let entry = ledger
            .get_mut(&place)
            .expect("only what is in the queue is leased");
        match change {
            RecipientChange::Done => {
                ledger.remove(&place);
            }
            RecipientChange::Deferred { .. } => entry.attempts += 1,
            RecipientChange::Returned { .. }
            | RecipientChange::Prolonged { .. }
            | RecipientChange::Restricted { .. } => {}
        }
    }
}

async fn act(
    world: &World,
    random: &mut Random,
    ledger: &mut Ledger,
    leases: &[Leased],
    second: u64,
) {
    let active: BTreeSet<(QueueId, u32)> = leases
        .iter()
        .flat_map(|l| l.recipients.iter().map(|r| (l.lease.queue_id, r.number)))
        .collect();
    let place = random.below(3) as usize;
    let criteria = Criteria {
        destination: Some(DESTINATIONS[place].to_owned()),
        ..Criteria::default()
    };
    let number = u32::try_from(place).unwrap();
    let act =
        [QueueAct::Release, QueueAct::Hold, QueueAct::Delete][random.below(3) as usize].clone();
    // Active ones of a hold would be held later: left out, so that the ledger stays simple.
    if act == QueueAct::Hold && active.iter().any(|(_, leased)| *leased == number) {
        return;
    }
    world
        .store()
        .act(act.clone(), &criteria, "anna", at(second))
        .await
        .unwrap();
    let quiet = |place: &(QueueId, u32)| place.1 == number && !active.contains(place);
    match act {
        QueueAct::Hold => {
            ledger
                .iter_mut()
                .filter(|(p, _)| quiet(p))
                .for_each(|(_, e)| e.held = true);
        }
        QueueAct::Release => {
            ledger
                .iter_mut()
                .filter(|(p, _)| quiet(p))
                .for_each(|(_, e)| e.held = false);
        }
        _ => ledger.retain(|place, _| !quiet(place)),
    }
}

async fn found(world: &World) -> Ledger {
    let listed = world
        .store()
        .list(&Criteria::default(), None, 10_000)
        .await
        .unwrap();
    let mut found = Ledger::new();
    for message in listed {
        for recipient in message.recipients {
            let domain = recipient.to.split('@').next_back().unwrap();
            let place = DESTINATIONS.iter().position(|d| *d == domain).unwrap();
            let entry = Expected {
                attempts: recipient.attempts,
                held: recipient.state == RecipientStateName::Held,
            };
            found.insert((message.queue_id, u32::try_from(place).unwrap()), entry);
        }
    }
    found
}

rules! {
    a_random_history_with_restarts_ends_as_the_ledger_says,
}
