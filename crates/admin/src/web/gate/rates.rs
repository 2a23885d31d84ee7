//! How much may be asked in a minute: a window for each who asks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::Moment;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(60);
/// Who is counted at the same time; strangers may be many, and what is over goes first.
const COUNTED_MAX: usize = 10_000;

/// What was asked of late.
#[derive(Default)]
pub(super) struct Rates(Mutex<HashMap<String, Window>>);

struct Window {
    began: Moment,
    count: u32,
}

impl Rates {
    /// One more; `Err`: too many, and how long to wait.
    pub(super) fn take(&self, who: &str, most: u32, now: Moment) -> Result<(), Duration> {
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
