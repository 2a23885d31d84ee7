//! A wall clock that does not believe every jump: lifetimes end by it, so that a clock that runs
//! ahead for a while expires nothing.
//!
//! A jump forward counts only after it has lasted an hour; a jump back counts at once, and is told,
//! because due times then lie too far ahead.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::{Clock, Moment};
use relais_smtp::time::Timestamp;

/// Differences up to this are ordinary corrections of a clock.
const DRIFT_MAX: Duration = Duration::from_secs(60);
/// A clock that has run ahead for this long is believed: it was wrong before, or the machine slept.
const JUMP_BELIEVED_AFTER: Duration = Duration::from_secs(3_600);

/// See the head of this file. Shared by all who end lifetimes.
pub(crate) struct Steady {
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    /// At `moment` the wall clock showed `wall`, and it was believed.
    wall: Timestamp,
    moment: Moment,
    ahead_since: Option<Moment>,
    went_back: bool,
}

impl Steady {
    pub(crate) fn new(clock: Clock) -> Self {
        let state = State::new(clock.now(), clock.moment());
        Self {
            clock,
            state: Mutex::new(state),
        }
    }

    /// The time, without jumps ahead.
    pub(crate) fn now(&self) -> Timestamp {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.read(self.clock.now(), self.clock.moment())
    }

    /// Whether the wall clock went back since the last call: due times may lie too far ahead.
    pub(crate) fn take_went_back(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.read(self.clock.now(), self.clock.moment());
        std::mem::take(&mut state.went_back)
    }
}

impl State {
    fn new(wall: Timestamp, moment: Moment) -> Self {
        Self {
            wall,
            moment,
            ahead_since: None,
            went_back: false,
        }
    }

    fn read(&mut self, wall: Timestamp, moment: Moment) -> Timestamp {
        let steady = self
            .wall
            .after(moment.saturating_duration_since(self.moment));
        let ahead = wall.since(steady);
        if ahead <= DRIFT_MAX {
            let back = steady.since(wall) > DRIFT_MAX;
            self.went_back |= back || self.ahead_since.is_some();
            self.believe(wall, moment);
            return wall;
        }
        let since = *self.ahead_since.get_or_insert(moment);
        if moment.saturating_duration_since(since) >= JUMP_BELIEVED_AFTER {
            self.believe(wall, moment);
            return wall;
        }
        steady
    }

    fn believe(&mut self, wall: Timestamp, moment: Moment) {
        self.wall = wall;
        self.moment = moment;
        self.ahead_since = None;
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
    async fn a_jump_ahead_that_is_taken_back_never_shows_and_is_told_once() {
        let zero = Moment::now();
        let mut state = State::new(START, zero);
        let jumped = START.after(DAY * 10);
        assert_eq!(
            state.read(jumped, zero + seconds(5)),
            START.after(seconds(5))
        );
        assert_eq!(
            state.read(jumped.after(seconds(600)), zero + seconds(605)),
            START.after(seconds(605))
        );
        assert!(!state.went_back);
        let back = START.after(seconds(700));
        assert_eq!(state.read(back, zero + seconds(700)), back);
        assert!(state.went_back);
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_ahead_that_lasts_an_hour_is_believed() {
        let zero = Moment::now();
        let mut state = State::new(START, zero);
        let jumped = START.after(DAY);
        state.read(jumped, zero);
        let later = jumped.after(seconds(3_600));
        assert_eq!(state.read(later, zero + seconds(3_600)), later);
        assert!(!state.went_back);
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_back_is_believed_at_once_and_told() {
        let zero = Moment::now();
        let mut state = State::new(START, zero);
        let back = START.before(seconds(3_600));
        assert_eq!(state.read(back, zero + seconds(1)), back);
        assert!(state.went_back);
        state.went_back = false;
        assert_eq!(
            state.read(back.after(seconds(1)), zero + seconds(2)),
            back.after(seconds(1))
        );
        assert!(!state.went_back, "small corrections are not told");
    }
}
