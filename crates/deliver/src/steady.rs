//! The time by which lifetimes end: without jumps of the wall clock ahead
//! (`relais_net::clock::steady`). At the start the clock is believed, as after a long rest it must
//! be; but mail whose time ran out meanwhile gets its attempt first: nothing expires in the first
//! minute.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::steady::{DRIFT_MAX, SteadyTime};
use relais_net::clock::{Clock, Moment};
use relais_smtp::time::Timestamp;

/// After the start nothing expires for so long: one attempt for mail that waited through a rest.
const FIRST_ATTEMPT_TIME: Duration = Duration::from_secs(60);

/// See the head of this file. Shared by all who end lifetimes.
pub(crate) struct Steady {
    clock: Clock,
    /// Nothing expires before this.
    expiry_from: Moment,
    state: Mutex<SteadyTime>,
}

impl Steady {
    /// `newest` is when the newest queue id was given, or would be given now: ids grow always, so
    /// that one that lies ahead tells of a clock that was set back before we started.
    pub(crate) fn new(clock: Clock, newest: Timestamp) -> Self {
        let moment = clock.moment();
        let wall = clock.now();
        let is_ahead = newest.since(wall) > DRIFT_MAX;
        // As if it had been read before it was set back.
        let mut state = SteadyTime::new(if is_ahead { newest } else { wall }, moment);
        state.read(wall, moment);
        Self {
            expiry_from: moment + FIRST_ATTEMPT_TIME,
            clock,
            state: Mutex::new(state),
        }
    }

    /// The time, without jumps ahead.
    pub(crate) fn now(&self) -> Timestamp {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.read(self.clock.now(), self.clock.moment())
    }

    /// The time by which lifetimes end: before all of them in the first minute. The shortest
    /// lifetime is twelve hours, so that this concerns only mail from before the start.
    pub(crate) fn expiry_now(&self) -> Timestamp {
        if self.clock.moment() < self.expiry_from {
            return Timestamp::from_millis(0);
        }
        self.now()
    }

    /// Whether the wall clock went back since the last call: due times may lie too far ahead.
    pub(crate) fn take_went_back(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.read(self.clock.now(), self.clock.moment());
        state.take_went_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_514_400_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_id_from_the_future_tells_that_the_clock_went_back_before_we_started() {
        let begun = |newest| Steady::new(Clock::simulated(START), newest);
        assert!(!begun(START).take_went_back());
        assert!(!begun(START.after(seconds(20))).take_went_back());
        let steady = begun(START.after(DAY));
        assert!(steady.take_went_back());
        assert!(!steady.take_went_back(), "told once");
    }
}
