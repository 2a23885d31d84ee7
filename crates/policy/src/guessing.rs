//! Guessing passwords is slow; a good client is not locked out.
//!
//! Failures are counted for a user from a network, and for a network over all users; not for a user
//! from everywhere, or anybody could lock it out. An address from which the user has logged in
//! before is counted by itself: what happens elsewhere, or at its neighbours, does not touch it.
//! Who names no user (a token may do without) counts for its network alone: nobody is guessed, and
//! the nameless are not one user that some of them could lock out.
//! Users that do not exist count like all others, so nothing is learnt of who does.
//!
//! Memory is bounded: of what was long ago, the older half is forgotten at once. Time comes in.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Failures are counted for so long.
pub const WINDOW: Duration = Duration::from_secs(3_600);
/// Guesses of one user from one network in [`WINDOW`].
pub const PER_USER_AND_NETWORK: usize = 10;
/// Guesses from one network over all users: fifty devices with a wrong password each.
pub const PER_NETWORK: usize = 500;
/// Refusals of one user and network are recorded once in this time: a flood of guesses is no flood
/// of events.
pub const NEWS: Duration = Duration::from_secs(60);
/// Users and networks remembered in each of two halves.
const REMEMBERED_MAX: usize = 32_768;
/// Addresses remembered of one user from which it has logged in.
const GOOD_ADDRESSES_MAX: usize = 4;
/// Longest user that is told from others, in octets: no credential has one so long.
const USER_OCTETS_MAX: usize = 255;

/// The network that is one guesser: /24, of IPv6 /64.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Network(IpAddr);

impl Network {
    /// The one that an address lies in.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(four) => Ipv4Addr::from_bits(four.to_bits() & (u32::MAX << 8)).into(),
            IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64)).into(),
        })
    }
}

/// Who is counted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Guesser {
    UserFromNetwork(Box<str>, Network),
    UserFromGoodAddress(Box<str>, IpAddr),
    Network(Network),
}

/// What is known of who guesses.
pub struct Guesses {
    failures: Halves<Guesser, Failures>,
    /// When a refusal was last recorded, in seconds.
    told: Halves<(Box<str>, Network), Option<u32>>,
    good: Halves<Box<str>, Vec<IpAddr>>,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            failures: Halves::new(REMEMBERED_MAX),
            told: Halves::new(REMEMBERED_MAX),
            good: Halves::new(REMEMBERED_MAX),
        }
    }
}

/// Whether a guess may be looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MayGuess {
    /// Yes. `failures`: of its network lately; who has fewer goes first where many wait.
    Yes {
        /// 0 from an address where the user has logged in before.
        failures: usize,
    },
    /// No, whatever the password is (AUTH-THROTTLE).
    No {
        /// It should be recorded: no other of this user and network was within [`NEWS`].
        news: bool,
    },
}

impl Guesses {
    /// Before a password is looked at. `now` is steady time from any beginning.
    pub fn may_guess(&mut self, user: &str, address: IpAddr, now: Duration) -> MayGuess {
        let user = cut(user);
        let network = Network::of(address);
        if self.is_good(&user, address) {
            let own = Guesser::UserFromGoodAddress(user.clone(), address);
            return if self.count(&own, now) < PER_USER_AND_NETWORK {
                MayGuess::Yes { failures: 0 }
            } else {
                self.refuse(user, network, now)
            };
        }
        let of_network = self.count(&Guesser::Network(network), now);
        let is_slowed = of_network >= PER_NETWORK
            || (!user.is_empty()
                && self.count(&Guesser::UserFromNetwork(user.clone(), network), now)
                    >= PER_USER_AND_NETWORK);
        if is_slowed {
            self.refuse(user, network, now)
        } else {
            MayGuess::Yes {
                failures: of_network,
            }
        }
    }

    /// The password was wrong.
    pub fn failed(&mut self, user: &str, address: IpAddr, now: Duration) {
        let user = cut(user);
        if self.is_good(&user, address) {
            return self.add(Guesser::UserFromGoodAddress(user, address), now);
        }
        let network = Network::of(address);
        self.add(Guesser::Network(network), now);
        if !user.is_empty() {
            self.add(Guesser::UserFromNetwork(user, network), now);
        }
    }

    /// The password was right: this address is a good one from now on.
    pub fn succeeded(&mut self, user: &str, address: IpAddr) {
        let user = cut(user);
        if user.is_empty() {
            return;
        }
        self.failures.forget(&Guesser::UserFromNetwork(
            user.clone(),
            Network::of(address),
        ));
        self.failures
            .forget(&Guesser::UserFromGoodAddress(user.clone(), address));
        let good = self.good.entry(user);
        good.retain(|one| *one != address);
        good.truncate(GOOD_ADDRESSES_MAX - 1);
        good.insert(0, address);
    }

    fn refuse(&mut self, user: Box<str>, network: Network, now: Duration) -> MayGuess {
        let now = seconds(now);
        let told = self.told.entry((user, network));
        let news = told.is_none_or(|at| now.saturating_sub(at) >= seconds(NEWS));
        if news {
            *told = Some(now);
        }
        MayGuess::No { news }
    }

    fn is_good(&mut self, user: &str, address: IpAddr) -> bool {
        self.good
            .find(user)
            .is_some_and(|good| good.contains(&address))
    }

    fn count(&mut self, guesser: &Guesser, now: Duration) -> usize {
        self.failures
            .find(guesser)
            .map_or(0, |failures| failures.count(now))
    }

    fn add(&mut self, guesser: Guesser, now: Duration) {
        let most = match guesser {
            Guesser::UserFromNetwork(..) | Guesser::UserFromGoodAddress(..) => PER_USER_AND_NETWORK,
            Guesser::Network(_) => PER_NETWORK,
        };
        self.failures.entry(guesser).add(now, most);
    }
}

fn cut(user: &str) -> Box<str> {
    let user = user.trim().to_ascii_lowercase();
    user[..user.floor_char_boundary(USER_OCTETS_MAX)].into()
}

/// When the last failures were, in seconds, oldest first.
#[derive(Default)]
struct Failures(Vec<u32>);

impl Failures {
    fn add(&mut self, now: Duration, most: usize) {
        self.forget_old(now);
        if self.0.len() >= most {
            self.0.remove(0);
        }
        self.0.push(seconds(now));
    }

    fn count(&mut self, now: Duration) -> usize {
        self.forget_old(now);
        self.0.len()
    }

    fn forget_old(&mut self, now: Duration) {
        let now = seconds(now);
        let window = seconds(WINDOW);
        self.0.retain(|at| now.saturating_sub(*at) < window);
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// A bounded memory: when the younger half is full, it becomes the older one, and what was in that
/// is forgotten.
struct Halves<K, V> {
    max: usize,
    younger: HashMap<K, V>,
    older: HashMap<K, V>,
}

impl<K: Hash + Eq, V: Default> Halves<K, V> {
    fn new(max: usize) -> Self {
        Self {
            max,
            younger: HashMap::new(),
            older: HashMap::new(),
        }
    }

    fn find<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.younger.get_mut(key) {
            Some(value) => Some(value),
            None => self.older.get_mut(key),
        }
    }

    fn entry(&mut self, key: K) -> &mut V {
        if !self.younger.contains_key(&key) && self.younger.len() >= self.max {
            self.older = std::mem::take(&mut self.younger);
        }
        let kept = self.older.remove(&key);
        let entry = self.younger.entry(key).or_default();
        if let Some(kept) = kept {
            *entry = kept;
        }
        entry
    }

    fn forget(&mut self, key: &K) {
        self.younger.remove(key);
        self.older.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: MayGuess = MayGuess::Yes { failures: 0 };

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(60 * count)
    }

    /// Guesses until told to stop, at most `most`.
    fn guess(guesses: &mut Guesses, user: &str, from: &str, now: Duration, most: usize) -> usize {
        for done in 0..most {
            if let MayGuess::No { .. } = guesses.may_guess(user, address(from), now) {
                return done;
            }
            guesses.failed(user, address(from), now);
        }
        most
    }

    #[test]
    fn a_network_has_ten_guesses_of_a_user_in_any_hour() {
        let mut guesses = Guesses::default();
        assert_eq!(
            guess(&mut guesses, "scan-1", "203.0.113.1", minutes(0), 50),
            10
        );
        let neighbour = "203.0.113.200";
        assert_eq!(
            guess(&mut guesses, "Scan-1 ", neighbour, minutes(59), 50),
            0
        );
        assert_eq!(
            guess(&mut guesses, "scan-2", neighbour, minutes(59), 50),
            10
        );
        assert_eq!(
            guess(&mut guesses, "scan-1", neighbour, minutes(60), 50),
            10
        );
        let (one, two) = ("2001:db8::1", "2001:db8::2");
        assert_eq!(guess(&mut guesses, "scan-1", one, minutes(120), 50), 10);
        assert_eq!(guess(&mut guesses, "scan-1", two, minutes(121), 50), 0);
    }

    #[test]
    fn a_network_cannot_try_one_password_on_every_user() {
        let mut guesses = Guesses::default();
        let mut done = 0;
        for user in 0..1_000 {
            done += guess(
                &mut guesses,
                &format!("scan-{user}"),
                "203.0.113.1",
                minutes(0),
                1,
            );
        }
        assert_eq!(done, PER_NETWORK);
    }

    #[test]
    fn where_a_user_has_logged_in_the_failures_of_others_do_not_count() {
        let mut guesses = Guesses::default();
        let good = "192.0.2.7";
        for network in 0..=255 {
            let from = format!("198.18.{network}.1");
            assert_eq!(guess(&mut guesses, "scan-1", &from, minutes(0), 50), 10);
        }
        // Nowhere else is it locked out, the first time neither.
        assert_eq!(guesses.may_guess("scan-1", address(good), minutes(0)), YES);
        guesses.succeeded("scan-1", address(good));
        // A neighbour that guesses does not lock it out either.
        assert_eq!(
            guess(&mut guesses, "scan-2", "192.0.2.8", minutes(1), 200),
            10
        );
        let neighbour = "192.0.2.8";
        assert_eq!(guess(&mut guesses, "scan-1", neighbour, minutes(1), 50), 10);
        let refused = guesses.may_guess("scan-1", address(neighbour), minutes(1));
        assert_eq!(refused, MayGuess::No { news: false });
        assert_eq!(guesses.may_guess("scan-1", address(good), minutes(1)), YES);
        // Its own failures count.
        assert_eq!(guess(&mut guesses, "scan-1", good, minutes(1), 50), 10);
        assert_eq!(guesses.may_guess("scan-1", address(good), minutes(61)), YES);
    }

    #[test]
    fn a_success_wipes_out_the_failures_before_it() {
        let mut guesses = Guesses::default();
        let from = "203.0.113.1";
        assert_eq!(guess(&mut guesses, "scan-1", from, minutes(0), 9), 9);
        guesses.succeeded("scan-1", address(from));
        assert_eq!(guess(&mut guesses, "scan-1", from, minutes(0), 9), 9);
    }

    #[test]
    fn who_names_no_user_counts_for_its_network_alone() {
        let mut guesses = Guesses::default();
        let from = "203.0.113.1";
        assert_eq!(guess(&mut guesses, " ", from, minutes(0), 11), 11);
        let others = guesses.may_guess("scan-1", address(from), minutes(0));
        assert_eq!(others, MayGuess::Yes { failures: 11 });
        guesses.succeeded("", address(from));
        assert_eq!(
            guess(&mut guesses, "", from, minutes(0), 1_000),
            PER_NETWORK - 11
        );
    }

    #[test]
    fn refusals_of_one_guesser_are_news_once_a_minute() {
        let mut guesses = Guesses::default();
        guess(&mut guesses, "a", "203.0.113.1", minutes(0), 10);
        let news = |guesses: &mut Guesses, now| match guesses.may_guess(
            "a",
            address("203.0.113.2"),
            Duration::from_secs(now),
        ) {
            MayGuess::No { news } => news,
            MayGuess::Yes { .. } => panic!("it has guessed too often"),
        };
        let told = [0, 1, 59, 60, 61].map(|now| news(&mut guesses, now));
        assert_eq!(told, [true, false, false, true, false]);
    }

    #[test]
    fn who_has_failed_less_goes_first() {
        let mut guesses = Guesses::default();
        guess(&mut guesses, "a", "203.0.113.1", minutes(0), 3);
        let failures =
            |guesses: &mut Guesses, from| guesses.may_guess("b", address(from), minutes(0));
        assert_eq!(
            failures(&mut guesses, "203.0.113.2"),
            MayGuess::Yes { failures: 3 }
        );
        assert_eq!(failures(&mut guesses, "198.51.100.1"), YES);
    }

    #[test]
    fn memory_has_a_bound_and_good_addresses_too() {
        let mut guesses = Guesses::default();
        for number in 0..100_000_u32 {
            let from = IpAddr::from(Ipv4Addr::from_bits(number << 8));
            guesses.failed(&format!("user-{number}"), from, minutes(0));
        }
        assert!(guesses.failures.younger.len() <= REMEMBERED_MAX);
        assert!(guesses.failures.older.len() <= REMEMBERED_MAX);
        for host in 0..10 {
            guesses.succeeded("scan-1", IpAddr::from([192, 0, 2, host]));
        }
        assert_eq!(guesses.good.find("scan-1").map(|good| good.len()), Some(4));
        guesses.failed(&"é".repeat(10_000), address("192.0.2.1"), minutes(0));
    }
}
