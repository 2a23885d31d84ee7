//! Now, sleep, time limits, randomness: the only source of time and chance.
//!
//! Durations and deadlines run on tokio's monotonic clock, which tests pause. The wall clock is
//! asked only for dates; it may jump, and nothing here trusts it to measure a wait.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
#[cfg(any(test, feature = "simulation"))]
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};

use relais_smtp::identifier::Reference;
use relais_smtp::time::Timestamp;

use self::steady::SteadyTime;

pub mod steady;

/// Longest single sleep while waiting for a wall-clock time: a clock that was set is noticed after
/// this.
const WALL_CLOCK_CHECK: Duration = Duration::from_secs(3_600);

/// The clock. Real, or tied to tokio's paused time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    /// Clones share it.
    steady: Arc<Mutex<SteadyTime>>,
}

#[derive(Clone, Debug)]
enum Source {
    System,
    #[cfg(any(test, feature = "simulation"))]
    Simulated {
        start: Timestamp,
        origin: Moment,
        /// Milliseconds by which the wall clock was set forward in all; clones share it.
        jumped: Arc<AtomicI64>,
    },
}

/// A time limit that is cheap to move forward: it moves with each request, and the timer behind it
/// only when it fires too early. One per session instead of one per wait.
#[derive(Debug)]
pub struct Deadline {
    at: Moment,
    timer: Pin<Box<tokio::time::Sleep>>,
}

/// Chance: from the system, or from a seed. Cheap to clone; clones share one sequence.
#[derive(Clone, Debug)]
pub struct Chance(Arc<Mutex<StdRng>>);

/// A moment of the monotonic clock, for durations and deadlines.
pub type Moment = tokio::time::Instant;

/// The time limit passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the time limit passed")]
pub struct Elapsed;

impl Source {
    fn now(&self) -> Timestamp {
        match self {
            Self::System => system_time(),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated {
                start,
                origin,
                jumped,
            } => {
                let jumped = jumped.load(Ordering::Relaxed);
                let now = start.after(origin.elapsed());
                Timestamp::from_millis(now.as_millis().saturating_add(jumped))
            }
        }
    }
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::of(Source::System)
    }

    /// Starts at `start` and runs with tokio's time, which tests pause. To be made inside the
    /// runtime whose time it follows.
    #[cfg(any(test, feature = "simulation"))]
    pub fn simulated(start: Timestamp) -> Self {
        Self::of(Source::Simulated {
            start,
            origin: Moment::now(),
            jumped: Arc::default(),
        })
    }

    /// Sets the wall clock, of this simulated clock and its clones, forward (or, if negative, back)
    /// by so many milliseconds. Waits under way are not changed, as with a real clock. Nothing
    /// happens to the system's.
    #[cfg(any(test, feature = "simulation"))]
    pub fn jump(&self, millis: i64) {
        if let Source::Simulated { jumped, .. } = &self.source {
            jumped.fetch_add(millis, Ordering::Relaxed);
        }
    }

    fn of(source: Source) -> Self {
        let wall = source.now();
        // Tokio's clock runs outside of a runtime too.
        let steady = SteadyTime::new(wall, Moment::now());
        Self {
            source,
            steady: Arc::new(Mutex::new(steady)),
        }
    }

    /// The wall-clock time.
    pub fn now(&self) -> Timestamp {
        self.source.now()
    }

    /// The wall-clock time without jumps ahead, by which what ends by itself ends: see [`steady`].
    pub fn steady_now(&self) -> Timestamp {
        let mut steady = self.steady.lock().unwrap_or_else(PoisonError::into_inner);
        steady.read(self.now(), self.moment())
    }

    /// The monotonic time.
    pub fn moment(&self) -> Moment {
        Moment::now()
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Waits until a moment.
    pub async fn sleep_until(&self, moment: Moment) {
        tokio::time::sleep_until(moment).await;
    }

    /// Waits until a wall-clock time, at most an hour at once, so that a clock that jumps is
    /// noticed.
    pub async fn sleep_until_time(&self, time: Timestamp) {
        loop {
            let left = time.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(WALL_CLOCK_CHECK)).await;
        }
    }

    /// The future's value, unless the moment comes first.
    pub async fn within<F: Future>(&self, until: Moment, future: F) -> Result<F::Output, Elapsed> {
        tokio::time::timeout_at(until, future)
            .await
            .map_err(|_| Elapsed)
    }
}

/// A clock before 1970 is broken; the epoch is as good as any other wrong date.
fn system_time() -> Timestamp {
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| passed.as_millis());
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

impl Deadline {
    /// Passes at `at`.
    pub fn new(at: Moment) -> Self {
        Self {
            at,
            timer: Box::pin(tokio::time::sleep_until(at)),
        }
    }

    /// Passes at `at` instead.
    pub fn set(&mut self, at: Moment) {
        self.at = at;
        if at < self.timer.deadline() {
            self.timer.as_mut().reset(at);
        }
    }

    /// Ready once the moment has come; else the task is woken then.
    pub fn poll_passed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            if Moment::now() >= self.at {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.at);
        }
        Poll::Pending
    }

    /// The future's value, unless the moment comes first.
    ///
    /// # Errors
    /// [`Elapsed`] if it does.
    pub async fn guard<F: Future>(&mut self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(value));
            }
            self.poll_passed(context).map(|()| Err(Elapsed))
        })
        .await
    }
}

impl Chance {
    /// From the system: a generator that the operating system seeds once.
    ///
    /// # Panics
    /// If the operating system gives no random numbers; nothing can be done without them.
    pub fn system() -> Self {
        let generator = StdRng::try_from_rng(&mut rand::rngs::SysRng)
            .expect("the operating system gives random numbers");
        Self(Arc::new(Mutex::new(generator)))
    }

    /// From a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// A generator of its own, seeded from this one: what it draws does not depend on the order in
    /// which others draw.
    pub fn split(&self) -> Self {
        Self::seeded(self.with(Rng::next_u64))
    }

    /// A number in [0, 1).
    pub fn fraction(&self) -> f64 {
        self.with(|generator| generator.random::<f64>())
    }

    /// A number below `bound` (at least 1).
    pub fn below(&self, bound: u64) -> u64 {
        self.with(|generator| generator.random_range(0..bound.max(1)))
    }

    /// Octets that nobody can guess: nonces, salts, keys.
    pub fn octets<const COUNT: usize>(&self) -> [u8; COUNT] {
        let mut octets = [0; COUNT];
        self.with(|generator| generator.fill_bytes(&mut octets));
        octets
    }

    /// A fresh reference for a refusal.
    pub fn reference(&self) -> Reference {
        Reference::from_bits(self.with(Rng::next_u32))
    }

    /// Shuffles in place.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        self.with(|generator| items.shuffle(generator));
    }

    /// A generator is valid whatever a panicking thread did with it.
    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_514_400_000);

    #[tokio::test(start_paused = true)]
    async fn simulated_time_runs_only_with_sleep() {
        let clock = Clock::simulated(START);
        assert_eq!(clock.now(), START);
        clock.sleep(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), START.after(Duration::from_secs(90)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_wall_clock_is_set_for_all_its_clones_and_waits_go_on() {
        let clock = Clock::simulated(START);
        let other = clock.clone();
        let before = clock.moment();
        clock.jump(86_400_000);
        assert_eq!(other.now(), START.after(Duration::from_secs(86_400)));
        other.jump(-86_401_000);
        assert_eq!(clock.now(), START.before(Duration::from_secs(1)));
        assert_eq!(clock.moment(), before, "the monotonic time never jumps");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_date_ends_at_that_date() {
        let clock = Clock::simulated(START);
        let date = START.after(Duration::from_secs(5 * 3_600 + 7));
        clock.sleep_until_time(date).await;
        assert_eq!(clock.now(), date);
        clock.sleep_until_time(START).await;
        assert_eq!(clock.now(), date, "a date in the past is not waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_passes_cuts_the_future() {
        let clock = Clock::simulated(START);
        let until = clock.moment() + Duration::from_secs(1);
        assert_eq!(
            clock
                .within(until, clock.sleep(Duration::from_secs(2)))
                .await,
            Err(Elapsed)
        );
        assert_eq!(
            clock.within(until, async { 7 }).await,
            Ok(7),
            "what is ready counts"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_can_be_moved_either_way() {
        let clock = Clock::simulated(START);
        let begin = clock.moment();
        let seconds = Duration::from_secs;
        let mut deadline = Deadline::new(begin + seconds(10));
        deadline.set(begin + seconds(30));
        let wait = deadline.guard(clock.sleep(seconds(20))).await;
        assert_eq!(wait, Ok(()), "the first limit no longer holds");
        deadline.set(begin + seconds(25));
        assert_eq!(deadline.guard(clock.sleep(seconds(20))).await, Err(Elapsed));
        assert_eq!(begin.elapsed(), seconds(25));
    }

    #[test]
    fn the_same_seed_gives_the_same_chance() {
        let draw = |chance: &Chance| {
            let mut cards = [0, 1, 2, 3, 4, 5, 6, 7];
            chance.shuffle(&mut cards);
            (
                cards,
                chance.below(1_000),
                chance.fraction().to_bits(),
                chance.reference(),
            )
        };
        assert_eq!(draw(&Chance::seeded(7)), draw(&Chance::seeded(7)));
        assert_ne!(draw(&Chance::seeded(7)), draw(&Chance::seeded(8)));
        assert_eq!(
            draw(&Chance::seeded(7).split()),
            draw(&Chance::seeded(7).split())
        );
    }

    #[test]
    fn chance_keeps_within_its_bounds() {
        let chance = Chance::system();
        assert!((0..1_000).all(|_| chance.below(3) < 3));
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&chance.fraction())));
        assert_eq!(chance.below(1), 0);
        assert_eq!(chance.below(0), 0, "a bound of 0 counts as 1");
    }
}
