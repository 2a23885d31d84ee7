//! Which domains are remembered, and how much they may weigh together.
//!
//! Whoever can have mail sent can have policies fetched, so both are bounded. What goes first: time
//! that is over, then domains without a policy, then policies that mail has not asked for the
//! longest. A policy in use is thus never lost to a crowd of others that are used once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

/// Domains remembered, those without a policy too.
const DOMAINS_MAX: usize = 50_000;
/// Octets of all policies together, on the shelf, and about that in memory: forty thousand policies
/// of usual length.
const OCTETS_MAX: usize = 16 << 20;
/// After a bound is passed this part of it is free again.
const ROOM_PART: usize = 10;
/// Policies whose time is over are looked for this often.
const SWEEP_AFTER: Duration = Duration::from_secs(3_600);

/// See the head of this file. `T` is what is known of a domain.
#[derive(Debug)]
pub(super) struct Cache<T> {
    domains: HashMap<Domain, Slot<T>>,
    octets: usize,
    swept: Timestamp,
    domains_max: usize,
    octets_max: usize,
}

#[derive(Debug)]
struct Slot<T> {
    known: Arc<T>,
    used: Timestamp,
    /// Of the policy that is kept; none weighs nothing.
    octets: usize,
    /// Its end.
    until: Option<Timestamp>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            domains: HashMap::new(),
            octets: 0,
            swept: Timestamp::default(),
            domains_max: DOMAINS_MAX,
            octets_max: OCTETS_MAX,
        }
    }
}

impl<T: Default> Cache<T> {
    /// What is known of a domain that mail goes to now.
    pub(super) fn entry(&mut self, domain: &Domain, now: Timestamp) -> Arc<T> {
        let new = || Slot {
            known: Arc::default(),
            used: now,
            octets: 0,
            until: None,
        };
        let slot = self.domains.entry(domain.clone()).or_insert_with(new);
        slot.used = slot.used.max(now);
        Arc::clone(&slot.known)
    }

    /// A policy of so many octets is kept for it, until then.
    pub(super) fn weigh(&mut self, domain: &Domain, octets: usize, until: Timestamp) {
        if let Some(slot) = self.domains.get_mut(domain) {
            self.octets = self.octets - slot.octets + octets;
            (slot.octets, slot.until) = (octets, Some(until));
        }
    }

    /// Forgets what is over, and what there is no room for. Gives the domains whose policy is to be
    /// taken off the shelf.
    pub(super) fn tidy(&mut self, now: Timestamp) -> Vec<Domain> {
        let is_full = self.octets > self.octets_max || self.domains.len() > self.domains_max;
        let is_time = now.since(self.swept) >= SWEEP_AFTER || now < self.swept;
        if !is_full && !is_time {
            return Vec::new();
        }
        self.swept = now;
        let mut order: Vec<_> = self
            .domains
            .iter()
            // Who is asked about now holds it.
            .filter(|(_, slot)| Arc::strong_count(&slot.known) == 1)
            .map(|(domain, slot)| (slot.rank(now), slot.used, domain.clone()))
            .collect();
        order.sort();
        let free = |max: usize| max - max / ROOM_PART;
        let mut taken = Vec::new();
        for (rank, _, domain) in order {
            let is_roomy = self.octets <= free(self.octets_max)
                && self.domains.len() <= free(self.domains_max);
            if rank != Rank::Over && (!is_full || is_roomy) {
                break;
            }
            let Some(slot) = self.domains.remove(&domain) else {
                continue;
            };
            self.octets -= slot.octets;
            if slot.until.is_some() {
                taken.push(domain);
            }
        }
        taken
    }
}

/// What goes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    Over,
    Nothing,
    Kept,
}

impl<T> Slot<T> {
    fn rank(&self, now: Timestamp) -> Rank {
        match self.until {
            Some(until) if until <= now => Rank::Over,
            Some(_) => Rank::Kept,
            None => Rank::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn domain(number: usize) -> Domain {
        Domain::parse(&format!("d{number}.example")).unwrap()
    }

    fn small(domains_max: usize, octets_max: usize) -> Cache<()> {
        Cache {
            domains_max,
            octets_max,
            swept: NOW,
            ..Cache::default()
        }
    }

    fn fetched(cache: &mut Cache<()>, number: usize, octets: usize, at: Timestamp) {
        drop(cache.entry(&domain(number), at));
        cache.weigh(&domain(number), octets, at.after(DAY));
    }

    #[test]
    fn policies_weigh_no_more_than_the_bound_and_those_in_use_stay() {
        let mut cache = small(1_000, 10_000);
        fetched(&mut cache, 0, 400, NOW);
        let mut taken = Vec::new();
        for number in 1..200 {
            let at = NOW.after(Duration::from_secs(u64::try_from(number).unwrap()));
            fetched(&mut cache, number, 400, at);
            // Mail goes there all the time.
            drop(cache.entry(&domain(0), at));
            taken.extend(cache.tidy(at));
            assert!(cache.octets <= 10_000, "{}", cache.octets);
        }
        assert_eq!(cache.octets, 400 * (200 - taken.len()));
        assert!(!taken.contains(&domain(0)) && taken.contains(&domain(1)));
        assert!(!taken.contains(&domain(199)));
    }

    #[test]
    fn domains_without_a_policy_go_before_those_with_one() {
        let mut cache = small(100, 10_000);
        for number in 0..50 {
            fetched(&mut cache, number, 10, NOW);
        }
        for number in 50..500 {
            drop(cache.entry(&domain(number), NOW.after(DAY / 2)));
            assert_eq!(cache.tidy(NOW.after(DAY / 2)), []);
            assert!(cache.domains.len() <= 100);
        }
        assert_eq!(cache.octets, 500);
    }

    #[test]
    fn what_is_over_is_taken_within_the_hour_unless_somebody_asks_about_it_now() {
        let mut cache = small(100, 10_000);
        fetched(&mut cache, 0, 10, NOW);
        fetched(&mut cache, 1, 10, NOW);
        assert_eq!(cache.tidy(NOW.after(DAY / 2)), []);
        let held = cache.entry(&domain(1), NOW);
        assert_eq!(cache.tidy(NOW.after(DAY)), [domain(0)]);
        drop(held);
        assert_eq!(cache.tidy(NOW.after(DAY + SWEEP_AFTER)), [domain(1)]);
        assert_eq!((cache.octets, cache.domains.len()), (0, 0));
    }

    #[test]
    fn a_policy_fetched_again_weighs_once() {
        let mut cache = small(100, 10_000);
        for octets in [10, 500, 20] {
            fetched(&mut cache, 0, octets, NOW);
        }
        assert_eq!(cache.octets, 20);
    }
}
