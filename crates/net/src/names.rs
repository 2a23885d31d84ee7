//! Names by which clients with changing addresses are known (`sender_dns_names`): looked up by
//! itself, so that a session never waits for DNS, and kept over failures.
//!
//! Each name is asked once a minute; the resolver's cache answers until the TTL has run out, so the
//! world is asked at TTL, and not more often than once a minute. Not here: what a name proves
//! (`relais_policy::attribution`).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

use crate::clock::{Clock, Moment};
use crate::dns_answer::{Answer, DnsError};
use crate::resolver::Resolver;

/// Between two questions about one name: the least TTL that counts.
const PAUSE: Duration = Duration::from_secs(60);
/// The addresses before the last change still count for so long: caches and connections of the
/// client's side follow late.
pub const PREVIOUS_COUNTS: Duration = Duration::from_secs(3_600);
/// After so long without any answer the last one counts no more: the address may be somebody
/// else's by now.
pub const KEPT_WITHOUT_ANSWER: Duration = Duration::from_secs(6 * 3_600);
/// Names looked up at the same time.
const LOOKUPS_MAX: usize = 64;
/// Addresses of one name that count; a device has one or two.
const ADDRESSES_MAX: usize = 8;
/// Names in all; more are left out, in the order of the settings.
pub const NAMES_MAX: usize = 20_000;
/// What is known of the names. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct NameTable(Arc<RwLock<HashMap<Domain, KnownName>>>);

/// What is known of one name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KnownName {
    /// By the last answer.
    pub current: Vec<IpAddr>,
    /// By the answer before the last change.
    pub previous: Vec<IpAddr>,
    /// When they last changed.
    pub changed_at: Option<Timestamp>,
    /// When DNS last answered.
    pub answered_at: Option<Timestamp>,
    /// Why the last question had no answer; `None`: it had one.
    pub failure: Option<String>,
    asked: Option<Moment>,
    changed: Option<Moment>,
    answered: Option<Moment>,
}

impl KnownName {
    /// After a question. That there is no such name, or no address, is an answer: none counts.
    fn after(
        mut self,
        answer: Result<Answer<IpAddr>, DnsError>,
        moment: Moment,
        now: Timestamp,
    ) -> Self {
        self.asked = Some(moment);
        let mut addresses = match answer {
            Ok(answer) => answer.records,
            Err(DnsError::NoSuchDomain(_) | DnsError::NoRecords(_)) => Vec::new(),
            Err(error @ DnsError::Temporary { .. }) => {
                self.failure = Some(error.to_string());
                return self;
            }
        };
        addresses.iter_mut().for_each(|it| *it = it.to_canonical());
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(ADDRESSES_MAX);
        if addresses != self.current {
            self.previous = std::mem::replace(&mut self.current, addresses);
            (self.changed, self.changed_at) = (Some(moment), Some(now));
        }
        (self.answered, self.answered_at) = (Some(moment), Some(now));
        self.failure = None;
        self
    }

    /// The addresses that count now.
    pub fn addresses(&self, moment: Moment) -> impl Iterator<Item = IpAddr> {
        let within = |since: Option<Moment>, time| {
            since.is_some_and(|since| moment.saturating_duration_since(since) < time)
        };
        let is_known = within(self.answered, KEPT_WITHOUT_ANSWER);
        let is_recent = is_known && within(self.changed, PREVIOUS_COUNTS);
        let current = self.current.iter().filter(move |_| is_known);
        let previous = self.previous.iter().filter(move |_| is_recent);
        current.chain(previous).copied()
    }
}

impl NameTable {
    /// What is known of a name; `None`: it was not asked yet.
    pub fn get(&self, name: &Domain) -> Option<KnownName> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.get(name).cloned()
    }

    /// Where each name leads now, as far as it counts.
    pub fn resolved(&self, moment: Moment) -> HashMap<Domain, Vec<IpAddr>> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let resolved = names.iter().map(|(name, known)| {
            let mut addresses = known.addresses(moment).collect::<Vec<_>>();
            addresses.sort_unstable();
            addresses.dedup();
            (name.clone(), addresses)
        });
        resolved
            .filter(|(_, addresses)| !addresses.is_empty())
            .collect()
    }

    /// Looks up those of the names whose turn it is, some at a time; others than `wanted` are
    /// forgotten.
    pub async fn refresh(&self, resolver: &Resolver, clock: &Clock, mut wanted: Vec<Domain>) {
        wanted.truncate(NAMES_MAX);
        let moment = clock.moment();
        let due = {
            let wanted = wanted.iter().collect::<HashSet<_>>();
            let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
            names.retain(|name, _| wanted.contains(name));
            let is_due = |name: &&&Domain| {
                let last = names.get(**name).and_then(|known| known.asked);
                last.is_none_or(|last| moment.saturating_duration_since(last) >= PAUSE)
            };
            wanted
                .iter()
                .filter(is_due)
                .map(|name| (*name).clone())
                .collect::<Vec<_>>()
        };
        let lookups = due.into_iter().map(|name| async move {
            let answer = resolver.addresses(&name).await;
            (name, answer)
        });
        let mut lookups = stream::iter(lookups).buffer_unordered(LOOKUPS_MAX);
        while let Some((name, answer)) = lookups.next().await {
            self.learn(&name, answer, clock);
        }
    }

    fn learn(&self, name: &Domain, answer: Result<Answer<IpAddr>, DnsError>, clock: &Clock) {
        let (moment, now) = (clock.moment(), clock.now());
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = names.get(name).cloned().unwrap_or_default();
        let after = before.clone().after(answer, moment, now);
        if after.current != before.current {
            tracing::info!(%name, addresses = ?after.current, "a client's name leads elsewhere");
        }
        if let (Some(because), None) = (&after.failure, &before.failure) {
            tracing::warn!(%name, because, "a client's name is not answered");
        }
        names.insert(name.clone(), after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated_dns::{DnsFault, SimulatedDns};
    use crate::zone::ZoneRecord;

    const MINUTE: Duration = Duration::from_secs(60);

    fn name() -> Domain {
        Domain::parse("copier.dyn.example").expect("a name")
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    struct World {
        dns: SimulatedDns,
        table: NameTable,
        resolver: Resolver,
        clock: Clock,
    }

    impl World {
        fn new() -> Self {
            let dns = SimulatedDns::new(Duration::from_millis(1));
            Self {
                table: NameTable::default(),
                resolver: Resolver::simulated(&dns),
                clock: Clock::simulated(Timestamp::from_millis(0)),
                dns,
            }
        }

        async fn lead_to(&self, addresses: &[u8]) {
            let records = addresses
                .iter()
                .map(|last| ZoneRecord::Address(address(*last)));
            self.dns.set("copier.dyn.example", records.collect());
            self.pass(2 * MINUTE).await;
        }

        async fn pass(&self, time: Duration) {
            let end = self.clock.moment() + time;
            while self.clock.moment() < end {
                self.clock.sleep(Duration::from_secs(10)).await;
                let refreshed = self
                    .table
                    .refresh(&self.resolver, &self.clock, vec![name()]);
                refreshed.await;
            }
        }

        fn known(&self, last: u8) -> bool {
            let resolved = self.table.resolved(self.clock.moment());
            resolved
                .get(&name())
                .is_some_and(|all| all.contains(&address(last)))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_moves_is_followed_and_its_last_address_counts_for_an_hour() {
        let world = World::new();
        world.lead_to(&[1, 2]).await;
        assert!(world.known(1) && world.known(2) && !world.known(3));
        world.lead_to(&[3]).await;
        assert!(world.known(1) && world.known(3), "both last values");
        world.pass(PREVIOUS_COUNTS).await;
        assert!(!world.known(1) && world.known(3));
        world.lead_to(&[4]).await;
        world.lead_to(&[5]).await;
        assert!(
            !world.known(3) && world.known(4) && world.known(5),
            "two, not three"
        );
        world.lead_to(&[]).await;
        assert!(!world.known(4) && world.known(5));
        world.pass(PREVIOUS_COUNTS).await;
        assert!(!world.known(5), "that it is gone is an answer");
    }

    #[tokio::test(start_paused = true)]
    async fn dns_that_fails_keeps_the_last_addresses_for_some_hours_and_is_shown() {
        let world = World::new();
        world.lead_to(&[1]).await;
        let fault = |fault| world.dns.set_fault("copier.dyn.example", fault);
        fault(Some(DnsFault::ServFail));
        world.pass(KEPT_WITHOUT_ANSWER - 10 * MINUTE).await;
        assert!(world.known(1));
        let known = world.table.get(&name()).expect("it was asked");
        assert!(known.failure.is_some(), "{known:?}");
        world.pass(20 * MINUTE).await;
        assert!(!world.known(1));
        fault(None);
        world.pass(2 * MINUTE).await;
        assert!(world.known(1));
        assert_eq!(
            world.table.get(&name()).expect("it was asked").failure,
            None
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_asked_once_a_minute_and_forgotten_when_nobody_wants_it() {
        let world = World::new();
        world.lead_to(&[1]).await;
        let before = world.dns.questions();
        world.pass(10 * MINUTE).await;
        let asked = world.dns.questions() - before;
        assert!(
            (18..=22).contains(&asked),
            "{asked} questions, of two kinds"
        );
        world
            .table
            .refresh(&world.resolver, &world.clock, Vec::new())
            .await;
        assert!(!world.known(1));
        assert_eq!(world.table.get(&name()), None);
    }
}
