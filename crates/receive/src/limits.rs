//! How many connections there may be: in all, from one stranger, from one known client; of one
//! connector, organisation, device and credential (`limits.connections`). Refuses with 421
//! (CONN-LIMIT): at connect, or when the client turns out to be another than its address said.
//!
//! Only a hard `limits.connections` refuses. A soft one is never a reason to turn a known client
//! away: what comes over it is bounded by the server's own numbers, and paced where it leaves.
//!
//! Not here: errors and junk commands inside a session (`relais_smtp::server`); rates and quotas.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_net::clock::Moment;
use relais_policy::limit::{Counts, Whose};

use crate::shared::ReceiveOptions;

/// A refused address is recorded once in this time: a flood of connections is no flood of events.
const RECORD_INTERVAL: Duration = Duration::from_secs(60);
/// Addresses remembered for [`RECORD_INTERVAL`]; more are forgotten all at once.
const RECORDED_ADDRESSES_MAX: usize = 1_024;

/// The open connections.
pub(crate) struct Connections {
    max: usize,
    per_stranger_max: usize,
    per_client_max: usize,
    state: Mutex<State>,
    /// Where people see how many there are.
    counts: Counts,
}

#[derive(Default)]
struct State {
    total: usize,
    /// One entry for each address with an open connection: never more than `total`.
    by_source: HashMap<Source, usize>,
    /// One entry for each connector, organisation, device and credential with an open connection.
    by_group: HashMap<Group, usize>,
    recorded: HashMap<Source, Moment>,
}

/// What is counted as one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Source {
    /// A known client: its very address, as many devices share a network.
    Client(IpAddr),
    /// A stranger: its address; of IPv6 the /64, which one host has for itself (RFC 6177 §2).
    Stranger(IpAddr),
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// A connector covers the address.
    Client,
    /// None does.
    Stranger,
}

/// Connections that are counted together, beside the source.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Group {
    /// The organisation's name.
    pub(crate) organisation: Arc<str>,
    /// Whose in it.
    pub(crate) whose: Whose,
}

/// A group, and how many connections it may have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct GroupBound {
    pub(crate) group: Group,
    /// The hard limit; `None`: there is none, and it is counted for the day when there is.
    pub(crate) max: Option<u64>,
}

/// The place of one open connection; dropped, it is free again.
pub(crate) struct Place {
    connections: Arc<Connections>,
    source: Source,
    groups: Box<[Group]>,
}

/// A connection of which it is not known yet whose it is; it counts in the total only.
pub(crate) struct Waiting(Arc<Connections>);

/// No place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Full {
    /// This refusal should be recorded: no other of this address was lately.
    pub(crate) record: bool,
}

impl Connections {
    pub(crate) fn new(options: &ReceiveOptions, counts: &Counts) -> Arc<Self> {
        Arc::new(Self {
            counts: counts.clone(),
            max: options.connections_max,
            per_stranger_max: options.connections_per_stranger_max,
            per_client_max: options.connections_per_client_max,
            state: Mutex::default(),
        })
    }

    /// A place for a new connection; `bounds` are those of its connector and organisation, empty
    /// for strangers.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        standing: Standing,
        bounds: &[GroupBound],
        now: Moment,
    ) -> Result<Place, Full> {
        let (source, max) = match standing {
            Standing::Client => (Source::Client(address), self.per_client_max),
            Standing::Stranger => (Source::Stranger(network_of(address)), self.per_stranger_max),
        };
        let mut state = self.lock();
        let open = state.by_source.get(&source).copied().unwrap_or(0);
        let is_full = bounds.iter().any(|bound| state.is_full(bound));
        if state.total >= self.max || open >= max || is_full {
            return Err(Full {
                record: state.is_news(source, now),
            });
        }
        state.total += 1;
        *state.by_source.entry(source).or_insert(0) += 1;
        let groups: Box<[Group]> = bounds.iter().map(|bound| bound.group.clone()).collect();
        state.open(&groups, &self.counts);
        Ok(Place {
            connections: Arc::clone(self),
            source,
            groups,
        })
    }

    /// A place in the total for a connection whose client is not known yet, if there is one.
    pub(crate) fn wait(self: &Arc<Self>) -> Option<Waiting> {
        let mut state = self.lock();
        if state.total >= self.max {
            return None;
        }
        state.total += 1;
        Some(Waiting(Arc::clone(self)))
    }

    /// Whether a refusal of this address should be recorded: no other was lately.
    pub(crate) fn is_news(&self, address: IpAddr, now: Moment) -> bool {
        self.lock().is_news(Source::Client(address), now)
    }

    /// Connections open now.
    pub(crate) fn open(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(&mut self, groups: &[Group], counts: &Counts) {
        let mut book = counts.book();
        for group in groups {
            *self.by_group.entry(group.clone()).or_insert(0) += 1;
            book.opened(&group.organisation, &group.whose);
        }
    }

    fn close(&mut self, groups: Box<[Group]>, counts: &Counts) {
        let mut book = counts.book();
        for group in groups {
            book.closed(&group.organisation, &group.whose);
            one_less(&mut self.by_group, group);
        }
    }

    fn is_full(&self, bound: &GroupBound) -> bool {
        let open = self.by_group.get(&bound.group).copied().unwrap_or(0);
        bound.max.is_some_and(|max| open as u64 >= max)
    }

    fn is_news(&mut self, source: Source, now: Moment) -> bool {
        let last = self.recorded.get(&source);
        if last.is_some_and(|last| now.duration_since(*last) < RECORD_INTERVAL) {
            return false;
        }
        if self.recorded.len() >= RECORDED_ADDRESSES_MAX {
            self.recorded.clear();
        }
        self.recorded.insert(source, now);
        true
    }
}

impl Place {
    /// Whether a refusal of this address should be recorded: no other was lately.
    pub(crate) fn is_news(&self, now: Moment) -> bool {
        self.connections.lock().is_news(self.source, now)
    }

    /// Whose connection it is has become another: by login, by certificate, by other settings. A
    /// limit that it is counted in already does not turn it away.
    pub(crate) fn regroup(&mut self, bounds: &[GroupBound], now: Moment) -> Result<(), Full> {
        let mut state = self.connections.lock();
        let mut others = bounds
            .iter()
            .filter(|bound| !self.groups.contains(&bound.group));
        if others.any(|bound| state.is_full(bound)) {
            return Err(Full {
                record: state.is_news(self.source, now),
            });
        }
        let groups: Box<[Group]> = bounds.iter().map(|bound| bound.group.clone()).collect();
        let counts = &self.connections.counts;
        state.open(&groups, counts);
        state.close(std::mem::replace(&mut self.groups, groups), counts);
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.lock().total -= 1;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.connections.lock();
        state.total -= 1;
        one_less(&mut state.by_source, self.source);
        state.close(std::mem::take(&mut self.groups), &self.connections.counts);
    }
}

/// Nothing is kept of what has no open connection.
fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut open) = counts.entry(key) {
        *open.get_mut() -= 1;
        if *open.get() == 0 {
            open.remove();
        }
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections() -> Arc<Connections> {
        let options = ReceiveOptions {
            hostname: "relay.test".to_owned(),
            message_size_max: 1,
            connections_max: 5,
            connections_per_stranger_max: 2,
            connections_per_client_max: 3,
        };
        Connections::new(&options, &Counts::default())
    }

    fn shown(connections: &Connections) -> Vec<(String, u64)> {
        let book = connections.counts.book();
        let open = book.open();
        let mut shown: Vec<_> = open
            .map(|(_, whose, count)| (format!("{} {}", whose.kind(), whose.value()), count))
            .collect();
        shown.sort_unstable();
        shown
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_gets_no_more_than_its_number_of_connections_until_one_ends() {
        let connections = connections();
        let admit =
            || connections.admit(address("192.0.2.1"), Standing::Stranger, &[], Moment::now());
        let one = admit();
        let _two = admit();
        assert!(one.is_ok() && admit().is_err());
        drop(one);
        assert!(admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_of_one_ipv6_network_are_one_and_known_clients_are_not() {
        let connections = connections();
        let hosts = ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(address);
        let strangers =
            hosts.map(|host| connections.admit(host, Standing::Stranger, &[], Moment::now()));
        assert_eq!(strangers.map(|place| place.is_ok()), [true, true, false]);
        let clients =
            hosts.map(|host| connections.admit(host, Standing::Client, &[], Moment::now()));
        assert_eq!(clients.map(|place| place.is_ok()), [true, true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_get_no_more_than_the_server_has() {
        let connections = connections();
        let places: Vec<_> = (0..6)
            .map(|n| {
                connections.admit(
                    [192, 0, 2, n].into(),
                    Standing::Stranger,
                    &[],
                    Moment::now(),
                )
            })
            .collect();
        assert!(places[..5].iter().all(Result::is_ok) && places[5].is_err());
        assert_eq!(connections.open(), 5);
        drop(places);
        assert_eq!(connections.open(), 0);
        assert!(
            connections.lock().by_source.is_empty(),
            "nothing is kept of closed connections"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_gets_no_more_than_its_hard_limit_whatever_its_addresses() {
        let connections = connections();
        let bound = |connector: Option<&str>, max| GroupBound {
            group: Group {
                organisation: "contoso".into(),
                whose: connector.map_or(Whose::Organisation, |it| Whose::Connector(it.into())),
            },
            max,
        };
        let admit = |n, connector, max| {
            let bounds = [bound(Some(connector), max), bound(None, Some(3))];
            let address = [192, 0, 2, n].into();
            connections.admit(address, Standing::Client, &bounds, Moment::now())
        };
        let (one, two) = (admit(1, "a", Some(2)), admit(2, "a", Some(2)));
        assert!(one.is_ok() && two.is_ok() && admit(3, "a", Some(2)).is_err());
        let three = admit(3, "b", None);
        assert!(three.is_ok(), "another connector has its own number");
        assert!(admit(4, "b", None).is_err(), "the organisation has three");
        drop(one);
        assert!(admit(4, "a", Some(2)).is_ok());
        drop((two, three));
        assert!(connections.lock().by_group.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_from_one_address_is_recorded_once_a_minute() {
        let connections = connections();
        let now = Moment::now();
        let admit = |now| connections.admit(address("192.0.2.1"), Standing::Stranger, &[], now);
        let _places = [admit(now), admit(now)];
        let seconds = Duration::from_secs;
        assert_eq!(admit(now).err(), Some(Full { record: true }));
        assert_eq!(admit(now + seconds(59)).err(), Some(Full { record: false }));
        assert_eq!(admit(now + seconds(60)).err(), Some(Full { record: true }));
    }

    #[tokio::test(start_paused = true)]
    async fn who_logs_in_counts_for_its_credential_and_no_longer_for_its_address() {
        let connections = connections();
        let of = |whose, max| GroupBound {
            group: Group {
                organisation: "contoso".into(),
                whose,
            },
            max,
        };
        let device = |n| Whose::Device {
            connector: "Printers".into(),
            address: Some([192, 0, 2, n].into()),
        };
        let credential = Whose::Credential("scan-1".into());
        let admit = |n| {
            let bounds = [of(device(n), Some(1))];
            connections.admit(
                [192, 0, 2, n].into(),
                Standing::Client,
                &bounds,
                Moment::now(),
            )
        };
        let mut first = admit(1).unwrap_or_else(|_| panic!("there is room"));
        assert!(admit(1).is_err());
        assert_eq!(shown(&connections), [("device 192.0.2.1".to_owned(), 1)]);
        let now = Moment::now();
        let bounds = [of(credential.clone(), Some(1))];
        assert_eq!(first.regroup(&bounds, now), Ok(()));
        let expected = [("credential scan-1".to_owned(), 1)];
        assert_eq!(shown(&connections), expected, "people see the same");
        // Its address is free again, its credential is not; it may stay what it is.
        let mut second = admit(1).unwrap_or_else(|_| panic!("there is room"));
        assert!(second.regroup(&bounds, now).is_err());
        assert_eq!(first.regroup(&bounds, now), Ok(()));
        drop(first);
        assert_eq!(second.regroup(&bounds, now), Ok(()));
        drop(second);
        assert_eq!(shown(&connections), []);
        assert!(connections.lock().by_group.is_empty());
    }
}
