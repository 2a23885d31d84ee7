//! How much may be asked in a minute: a window for each who asks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::Moment;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(60);
/// Who is counted at the same time. Those known and strangers have a table each, so that the many
/// addresses of a stranger take no place of a key.
const COUNTED_MAX: usize = 10_000;

/// One stranger: a network, since whoever has one address of it has them all. RFC 6177 §2.
pub(crate) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// What was asked of late.
#[derive(Default)]
pub(crate) struct Rates(Mutex<HashMap<String, Window>>);

struct Window {
    began: Moment,
    count: u32,
}

impl Rates {
    /// One more; `Err`: too many, and how long to wait.
    pub(crate) fn take(&self, who: &str, most: u32, now: Moment) -> Result<(), Duration> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= COUNTED_MAX && !windows.contains_key(who) {
            windows.retain(|_, window| now.duration_since(window.began) < WINDOW);
            if windows.len() >= COUNTED_MAX {
                return Err(WINDOW);
            }
        }
        let window = windows.entry(who.to_owned());
        let window = window.or_insert(Window {
            began: now,
            count: 0,
        });
        let age = now.duration_since(window.began);
        if age >= WINDOW {
            *window = Window {
                began: now,
                count: 0,
            };
        }
        if window.count >= most {
            return Err(WINDOW.saturating_sub(age));
        }
        window.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_too_much_waits_until_the_minute_is_over_and_others_do_not() {
        let (rates, now) = (Rates::default(), Moment::now());
        assert!((0..3).all(|_| rates.take("a", 3, now).is_ok()));
        let later = now + Duration::from_secs(20);
        assert_eq!(rates.take("a", 3, later), Err(Duration::from_secs(40)));
        assert_eq!(rates.take("b", 3, later), Ok(()));
        assert_eq!(rates.take("a", 3, now + WINDOW), Ok(()));
    }

    #[test]
    fn the_addresses_of_one_network_are_one_stranger() {
        let of = |address: &str| network(address.parse().expect("an address"));
        assert_eq!(of("192.0.2.7"), of("192.0.2.200"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.9"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_strangers_does_not_fill_memory() {
        let (rates, now) = (Rates::default(), Moment::now());
        for number in 0..COUNTED_MAX {
            assert!(rates.take(&number.to_string(), 1, now).is_ok());
        }
        assert!(rates.take("one more", 1, now).is_err());
        assert!(rates.take("one more", 1, now + WINDOW).is_ok());
    }
}
