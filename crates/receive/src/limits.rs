//! How many connections there may be: in all, from one stranger, from one known client. Refuses at
//! connect with 421 (CONN-LIMIT).
//!
//! Not here: errors and junk commands inside a session (`relais_smtp::server`); rates and quotas.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_net::clock::Moment;

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
}

#[derive(Default)]
struct State {
    total: usize,
    /// One entry for each address with an open connection: never more than `total`.
    by_source: HashMap<Source, usize>,
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

/// The place of one open connection; dropped, it is free again.
pub(crate) struct Place {
    connections: Arc<Connections>,
    source: Source,
}

/// No place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Full {
    /// This refusal should be recorded: no other of this address was lately.
    pub(crate) record: bool,
}

impl Connections {
    pub(crate) fn new(options: &ReceiveOptions) -> Arc<Self> {
        Arc::new(Self {
            max: options.connections_max,
            per_stranger_max: options.connections_per_stranger_max,
            per_client_max: options.connections_per_client_max,
            state: Mutex::default(),
        })
    }

    /// A place for a new connection.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        standing: Standing,
        now: Moment,
    ) -> Result<Place, Full> {
        let (source, max) = match standing {
            Standing::Client => (Source::Client(address), self.per_client_max),
            Standing::Stranger => (Source::Stranger(network_of(address)), self.per_stranger_max),
        };
        let mut state = self.lock();
        let open = state.by_source.get(&source).copied().unwrap_or(0);
        if state.total >= self.max || open >= max {
            return Err(Full {
                record: state.is_news(source, now),
            });
        }
        state.total += 1;
        *state.by_source.entry(source).or_insert(0) += 1;
        Ok(Place {
            connections: Arc::clone(self),
            source,
        })
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

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.connections.lock();
        state.total -= 1;
        if let Entry::Occupied(mut open) = state.by_source.entry(self.source) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
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
        Connections::new(&ReceiveOptions {
            hostname: "relay.test".to_owned(),
            message_size_max: 1,
            connections_max: 5,
            connections_per_stranger_max: 2,
            connections_per_client_max: 3,
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_gets_no_more_than_its_number_of_connections_until_one_ends() {
        let connections = connections();
        let admit = || connections.admit(address("192.0.2.1"), Standing::Stranger, Moment::now());
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
            hosts.map(|host| connections.admit(host, Standing::Stranger, Moment::now()));
        assert_eq!(strangers.map(|place| place.is_ok()), [true, true, false]);
        let clients = hosts.map(|host| connections.admit(host, Standing::Client, Moment::now()));
        assert_eq!(clients.map(|place| place.is_ok()), [true, true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_get_no_more_than_the_server_has() {
        let connections = connections();
        let places: Vec<_> = (0..6)
            .map(|n| connections.admit([192, 0, 2, n].into(), Standing::Stranger, Moment::now()))
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
    async fn a_flood_from_one_address_is_recorded_once_a_minute() {
        let connections = connections();
        let now = Moment::now();
        let admit = |now| connections.admit(address("192.0.2.1"), Standing::Stranger, now);
        let _places = [admit(now), admit(now)];
        let seconds = Duration::from_secs;
        assert_eq!(admit(now).err(), Some(Full { record: true }));
        assert_eq!(admit(now + seconds(59)).err(), Some(Full { record: false }));
        assert_eq!(admit(now + seconds(60)).err(), Some(Full { record: true }));
    }
}
