//! The server of a zone of our own, open to strangers: UDP and TCP, with a rate that keeps it from
//! being turned against others. What is asked too often is answered cut, so that a real resolver
//! comes back over TCP, where nobody can pretend to be another; or not at all.
//!
//! Not here: what is answered (`own_zone`), sockets' loops (`dns_server`).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::time::Instant;

use crate::dns_server::{Admission, Answers, Running};
use crate::own_zone::OwnZone;

/// Whole answers over UDP to one network in a second: caches ask once in a TTL.
const ANSWERS_PER_SECOND: u32 = 50;
/// Beyond it so many are cut, each second one; the rest gets nothing.
const CUT_PER_SECOND: u32 = 500;
/// Networks counted in a second; more are treated as if each had asked too often.
const NETWORKS_MAX: usize = 65_536;
/// For how long is counted.
const WINDOW: Duration = Duration::from_secs(1);

/// The running server; stops when dropped.
pub struct OwnDns(Running<Shared>);

impl OwnDns {
    /// Serves this zone. Port 0: any port that is free for UDP and TCP.
    ///
    /// # Errors
    /// The socket's.
    pub async fn start(address: SocketAddr, zone: OwnZone) -> io::Result<Self> {
        let shared = Shared {
            zone: RwLock::new(zone),
            rates: Mutex::new(Rates::new(Instant::now())),
        };
        Running::start(address, shared).await.map(Self)
    }

    /// Serves this zone instead, from the next question on.
    pub fn replace(&self, zone: OwnZone) {
        let shared = self.0.answers();
        *shared.zone.write().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

struct Shared {
    zone: RwLock<OwnZone>,
    rates: Mutex<Rates>,
}

impl Answers for Shared {
    fn answer(&self, question: &Message) -> Message {
        let zone = self.zone.read().unwrap_or_else(PoisonError::into_inner);
        zone.answer(question)
    }

    fn admit(&self, client: IpAddr) -> Admission {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.admit(client, Instant::now())
    }
}

/// Questions of each network in the current second.
struct Rates {
    began: Instant,
    counts: HashMap<u128, u32>,
}

impl Rates {
    fn new(now: Instant) -> Self {
        Self {
            began: now,
            counts: HashMap::new(),
        }
    }

    fn admit(&mut self, client: IpAddr, now: Instant) -> Admission {
        if now.saturating_duration_since(self.began) >= WINDOW {
            self.began = now;
            self.counts.clear();
        }
        let network = network(client);
        if self.counts.len() >= NETWORKS_MAX && !self.counts.contains_key(&network) {
            return Admission::Cut;
        }
        let count = self.counts.entry(network).or_default();
        *count = count.saturating_add(1);
        match *count {
            count if count <= ANSWERS_PER_SECOND => Admission::Whole,
            count if count <= CUT_PER_SECOND && count % 2 == 0 => Admission::Cut,
            _ => Admission::Nothing,
        }
    }
}

/// /24 of IPv4, /56 of IPv6: what one customer commonly has.
fn network(client: IpAddr) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits() >> 8),
        IpAddr::V6(address) => address.to_bits() >> 72 << 72,
    }
}

#[cfg(test)]
mod tests {
    use relais_smtp::domain::Domain;

    use super::*;
    use crate::resolver::{Resolver, ResolverOptions};
    use crate::zone::ZoneRecord;

    #[test]
    fn a_network_that_asks_too_much_is_cut_short_and_others_are_not() {
        let now = Instant::now();
        let mut rates = Rates::new(now);
        let stranger: IpAddr = "192.0.2.1".parse().expect("an address");
        let neighbour: IpAddr = "192.0.2.200".parse().expect("an address");
        let other: IpAddr = "2001:db8::1".parse().expect("an address");
        let mut seen = [0, 0, 0];
        for n in 0..1_000 {
            let client = if n % 2 == 0 { stranger } else { neighbour };
            match rates.admit(client, now) {
                Admission::Whole => seen[0] += 1,
                Admission::Cut => seen[1] += 1,
                Admission::Nothing => seen[2] += 1,
            }
        }
        assert_eq!(seen, [50, 225, 725]);
        assert_eq!(rates.admit(other, now), Admission::Whole);
        assert_eq!(rates.admit(stranger, now + WINDOW), Admission::Whole);
    }

    #[tokio::test]
    async fn a_real_resolver_finds_a_long_key_and_what_changes_at_once() {
        let origin = Domain::parse("r.test").expect("a domain");
        let zone = |text: String| {
            let records = [("k.r.test".to_owned(), ZoneRecord::Text(text))];
            OwnZone::new(&origin, &[], 1, &records).expect("names")
        };
        let long = "x".repeat(2_000);
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = OwnDns::start(loopback, zone(long.clone()))
            .await
            .expect("a free port");
        let resolver = Resolver::new(&ResolverOptions {
            nameservers: vec![server.address()],
            trusted: false,
        });
        let resolver = resolver.expect("a resolver");
        let name = Domain::parse("k.r.test").expect("a domain");
        let found = resolver.texts(&name).await.expect("over TCP");
        assert_eq!(found.records, [long]);
        server.replace(zone("short".to_owned()));
        let found = resolver.texts_at(server.address(), &name).await;
        assert_eq!(found.expect("it answers for it").records, ["short"]);
    }
}
