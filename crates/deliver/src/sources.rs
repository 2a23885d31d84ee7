//! Egress addresses: which of them a next hop sees, and which rest because a next hop would not
//! hear them.
//!
//! One host sees one address for as long as that works: receivers judge an address by its history
//! with them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use relais_net::clock::Moment;
use relais_policy::document::IpVersion;

/// Addresses that rest at the same time, for each site.
const RESTING_MAX: usize = 16_384;

/// The egress of a site.
#[derive(Clone, Debug, Default)]
pub(crate) struct Egress {
    /// Those of its connector, else of the server; empty: the system chooses.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ip_version: IpVersion,
}

/// Those that rest, and until when: each for the site that would not hear it, as the words of one
/// destination are no reason to change how others see us.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<HashMap<(IpAddr, u64), Moment>>);

/// No egress address of the family of a destination.
pub(crate) struct NoSource;

impl Sources {
    /// An address rests; `true`: it did not before.
    pub(crate) fn rest(&self, address: (IpAddr, u64), now: Moment, until: Moment) -> bool {
        let mut resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        resting.retain(|_, until| *until > now);
        if resting.len() >= RESTING_MAX {
            return false;
        }
        match resting.insert(address, until) {
            Some(before) => {
                resting.insert(address, until.max(before));
                false
            }
            None => true,
        }
    }

    /// The egress address for a destination; `None` leaves it to the system, which private
    /// destinations always do. With all at rest, the one whose rest ends first.
    pub(crate) fn choose(
        &self,
        to: IpAddr,
        public: bool,
        (egress, site): (&Egress, u64),
        now: Moment,
    ) -> Result<Option<IpAddr>, NoSource> {
        if egress.addresses.is_empty() || !public {
            return Ok(None);
        }
        let fits = |one: &&IpAddr| one.is_ipv4() == to.is_ipv4();
        let mut addresses: Vec<_> = egress.addresses.iter().filter(fits).copied().collect();
        if addresses.is_empty() {
            return Err(NoSource);
        }
        let first = spread(to) % addresses.len();
        addresses.rotate_left(first);
        let resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rests_until = |one: &IpAddr| {
            resting
                .get(&(*one, site))
                .filter(|until| **until > now)
                .copied()
        };
        // `min_by_key` keeps the first of equals.
        Ok(addresses.into_iter().min_by_key(rests_until))
    }
}

/// Spreads destinations over addresses, each always to the same.
fn spread(to: IpAddr) -> usize {
    let octets = match to {
        IpAddr::V4(four) => four.octets().to_vec(),
        // Hosts of one network mostly belong to one receiver.
        IpAddr::V6(six) => six.octets()[..8].to_vec(),
    };
    // FNV-1a.
    let hash = octets
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
        });
    usize::try_from(hash >> 33).unwrap_or(0)
}

/// In the order in which they are tried: the families in turns, so that one without a way costs one
/// try, not all of them; or as the settings say.
pub(crate) fn in_order(addresses: Vec<IpAddr>, version: IpVersion) -> Vec<IpAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    match version {
        IpVersion::Any => in_turns(six, four),
        IpVersion::V4 => four,
        IpVersion::V6 => six,
        IpVersion::Prefer4 => [four, six].concat(),
        IpVersion::Prefer6 => [six, four].concat(),
    }
}

fn in_turns(six: Vec<IpAddr>, four: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = (six.next(), four.next());
        if pair == (None, None) {
            return mixed;
        }
        mixed.extend([pair.0, pair.1].into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use relais_net::clock::Clock;
    use relais_smtp::time::Timestamp;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn egress(addresses: &[&str]) -> Egress {
        Egress {
            addresses: addresses.iter().map(|one| ip(one)).collect(),
            ip_version: IpVersion::Any,
        }
    }

    #[tokio::test]
    async fn a_host_sees_one_address_until_that_one_rests() {
        let now = Clock::simulated(Timestamp::default()).moment();
        let sources = Sources::default();
        let egress = egress(&["198.51.100.1", "198.51.100.2", "2001:db8::1"]);
        let choose = |to: &str, at| {
            sources
                .choose(ip(to), true, (&egress, 1), at)
                .ok()
                .flatten()
        };
        let first = choose("192.0.2.1", now).unwrap();
        assert!(first.is_ipv4());
        assert_eq!(choose("192.0.2.1", now), Some(first));
        assert_eq!(choose("2001:db8:1::1", now), Some(ip("2001:db8::1")));
        let until = now + Duration::from_secs(60);
        assert!(sources.rest((first, 1), now, until));
        assert!(!sources.rest((first, 1), now, until));
        let second = choose("192.0.2.1", now).unwrap();
        assert_ne!(second, first);
        let elsewhere = sources.choose(ip("192.0.2.1"), true, (&egress, 2), now);
        assert_eq!(elsewhere.ok().flatten(), Some(first));
        // With both at rest the one whose rest ends first is used all the same.
        sources.rest((second, 1), now, until + Duration::from_secs(60));
        assert_eq!(choose("192.0.2.1", now), Some(first));
        assert_eq!(choose("192.0.2.1", until), Some(first));
    }

    #[tokio::test]
    async fn destinations_are_spread_over_all_addresses() {
        let now = Clock::simulated(Timestamp::default()).moment();
        let sources = Sources::default();
        let egress = egress(&["198.51.100.1", "198.51.100.2", "198.51.100.3"]);
        let mut seen = HashMap::new();
        for last in 0..=255 {
            let to = IpAddr::from([203, 0, 113, last]);
            let chosen = sources.choose(to, true, (&egress, 1), now).ok().flatten();
            *seen.entry(chosen.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 3);
        assert!(seen.values().all(|count| *count > 50), "{seen:?}");
    }

    #[test]
    fn families_are_tried_as_the_settings_say() {
        let all = || ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(ip).to_vec();
        let order = |version| {
            let order = in_order(all(), version);
            order.iter().map(IpAddr::is_ipv6).collect::<Vec<_>>()
        };
        assert_eq!(order(IpVersion::Any), [true, false, false]);
        assert_eq!(order(IpVersion::V4), [false, false]);
        assert_eq!(order(IpVersion::V6), [true]);
        assert_eq!(order(IpVersion::Prefer4), [false, false, true]);
        assert_eq!(order(IpVersion::Prefer6), [true, false, false]);
    }
}
