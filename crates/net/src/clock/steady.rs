//! The wall clock without its jumps ahead. What ends by itself at a time (lifetimes, restrictions)
//! ends by it, so that a clock that runs ahead for a while ends nothing.
//!
//! A jump forward counts only after it has lasted an hour, and a further one has an hour of its
//! own: a small error that is old must not let a great one in. A jump back counts at once, and is
//! told, because due times then lie too far ahead. At the start the clock is believed, as after a
//! long rest it must be.

use std::time::Duration;

use relais_smtp::time::Timestamp;

use super::Moment;

/// Differences up to this are ordinary corrections of a clock.
pub const DRIFT_MAX: Duration = Duration::from_secs(60);
/// A clock that has run ahead for this long is believed: it was wrong before, or the machine slept.
const JUMP_BELIEVED_AFTER: Duration = Duration::from_secs(3_600);

/// See the head of this file. To be read now and then: a jump shows between two readings.
#[derive(Debug)]
pub struct SteadyTime {
    /// At `moment` the wall clock showed `wall`, and it was believed.
    wall: Timestamp,
    moment: Moment,
    ahead_since: Option<Moment>,
    /// The latest reading: a jump back shows against it, even while a jump ahead is in doubt.
    last: (Timestamp, Moment),
    went_back: bool,
}

impl SteadyTime {
    /// The clock is believed.
    pub fn new(wall: Timestamp, moment: Moment) -> Self {
        Self {
            wall,
            moment,
            ahead_since: None,
            last: (wall, moment),
            went_back: false,
        }
    }

    /// What the wall clock would show without jumps ahead.
    pub fn read(&mut self, wall: Timestamp, moment: Moment) -> Timestamp {
        let (last_wall, last_moment) = std::mem::replace(&mut self.last, (wall, moment));
        let expected = last_wall.after(moment.saturating_duration_since(last_moment));
        self.went_back |= expected.since(wall) > DRIFT_MAX;
        let steady = self
            .wall
            .after(moment.saturating_duration_since(self.moment));
        if wall.since(steady) <= DRIFT_MAX {
            self.believe(wall, moment);
            return wall;
        }
        if wall.since(expected) > DRIFT_MAX {
            self.ahead_since = None;
        }
        let since = *self.ahead_since.get_or_insert(moment);
        if moment.saturating_duration_since(since) >= JUMP_BELIEVED_AFTER {
            self.believe(wall, moment);
            return wall;
        }
        steady
    }

    /// Whether the wall clock went back since this was asked last.
    pub fn take_went_back(&mut self) -> bool {
        std::mem::take(&mut self.went_back)
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
        let mut state = SteadyTime::new(START, zero);
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
        let mut state = SteadyTime::new(START, zero);
        let jumped = START.after(DAY);
        state.read(jumped, zero);
        let later = jumped.after(seconds(3_600));
        assert_eq!(state.read(later, zero + seconds(3_600)), later);
        assert!(!state.went_back);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_jump_that_is_taken_back_is_told_while_the_first_is_in_doubt() {
        let zero = Moment::now();
        let mut state = SteadyTime::new(START, zero);
        state.read(START.after(DAY), zero);
        state.read(START.after(DAY * 5), zero + seconds(60));
        assert!(!state.went_back);
        state.read(START.after(DAY + seconds(120)), zero + seconds(120));
        assert!(state.went_back);
        assert_eq!(
            state.read(START.after(DAY + seconds(180)), zero + seconds(180)),
            START.after(seconds(180)),
            "the first is still in doubt"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_jump_is_not_believed_because_the_first_has_lasted() {
        let zero = Moment::now();
        let mut state = SteadyTime::new(START, zero);
        let hour_ahead = START.after(seconds(3_600));
        state.read(hour_ahead, zero);
        let days_ahead = |second: u64| hour_ahead.after(DAY * 8 + seconds(second));
        state.read(days_ahead(1_800), zero + seconds(1_800));
        assert_eq!(
            state.read(days_ahead(3_700), zero + seconds(3_700)),
            START.after(seconds(3_700)),
            "half an hour after the second"
        );
        let believed = days_ahead(5_400);
        assert_eq!(state.read(believed, zero + seconds(5_400)), believed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_back_is_believed_at_once_and_told() {
        let zero = Moment::now();
        let mut state = SteadyTime::new(START, zero);
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
