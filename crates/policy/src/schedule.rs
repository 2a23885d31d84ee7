//! When to try again; concurrency by feedback; when to give up.

use std::time::Duration;

use relais_smtp::time::Timestamp;

use crate::document::Retry;

/// A delay is stretched by up to this part of itself, so that messages deferred together do not
/// come back together.
pub const STRETCH_MAX: f64 = 0.2;
/// A message waits this long before its sender is told that it is late. RFC 5321 §4.5.4.1 leaves
/// it to us.
pub const DELAY_NOTICE_AFTER: Duration = Duration::from_secs(4 * 3_600);
/// Connections that a new next hop gets at first: Postfix's `initial_destination_concurrency`, in
/// use for twenty years.
pub const WINDOW_START: u32 = 5;
/// Failures in a row, at least, before a site rests: one lost connection says little.
pub const FAILURES_BEFORE_REST: u32 = 2;

/// A number in [0, 1), made by the driver: randomness comes in as an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(pub f64);

impl Jitter {
    /// The number, whatever was put in: never below 0, never above 1.
    fn bounded(self) -> f64 {
        if self.0.is_nan() {
            0.0
        } else {
            self.0.clamp(0.0, 1.0)
        }
    }
}

/// When to try again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextAttempt {
    /// At this time, which may lie behind the end of the lifetime: the expiry sweep ends it.
    At(Timestamp),
    /// The message has run out of time.
    Expired,
}

/// Exponential from `first` to `max`, each delay stretched by up to a fifth at random.
/// `attempts` counts those made, at least 1.
pub fn next_attempt(
    retry: &Retry,
    attempts: u32,
    accepted_at: Timestamp,
    now: Timestamp,
    jitter: Jitter,
) -> NextAttempt {
    if now >= expires_at(retry, accepted_at) {
        return NextAttempt::Expired;
    }
    let delay = delay_after(retry, attempts);
    let stretch = delay.mul_f64(STRETCH_MAX * jitter.bounded());
    NextAttempt::At(now.after(delay.saturating_add(stretch)))
}

/// What is held has at least this long, whatever its connector's lifetime: it waits for a person,
/// over a long weekend too. As long as the longest lifetime that settings allow.
pub const HELD_LIFETIME: Duration = Duration::from_secs(5 * 86_400);
/// What was held has at least this long from its release: the default lifetime.
pub const RELEASED_LIFETIME: Duration = Duration::from_secs(86_400);
const DAY_MILLIS: i64 = 86_400_000;

/// When the time is up of what is held from now on: at the end of a day (UTC), so that what was
/// held together ends together, and is told in one notice.
pub fn held_until(now: Timestamp) -> Timestamp {
    let last = now.after(HELD_LIFETIME).as_millis();
    let rest = last.rem_euclid(DAY_MILLIS);
    Timestamp::from_millis(if rest == 0 {
        last
    } else {
        last - rest + DAY_MILLIS
    })
}

/// When the time is up, at the earliest, of what is released now.
pub fn released_until(now: Timestamp) -> Timestamp {
    now.after(RELEASED_LIFETIME)
}

/// When a message's time is up.
pub fn expires_at(retry: &Retry, accepted_at: Timestamp) -> Timestamp {
    accepted_at.after(Duration::from_secs(retry.lifetime.0))
}

/// `first`, doubled with each further attempt, at most `max`, at least a second.
fn delay_after(retry: &Retry, attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(63);
    let seconds = retry.first.0.max(1).saturating_mul(1_u64 << doublings);
    Duration::from_secs(seconds.min(retry.max.0).max(1))
}

/// How many connections a next hop gets: grows with success, shrinks with failure.
///
/// Additive both ways, as Postfix does: with `n` connections a success adds `1/n`, so that a whole
/// round of them adds one; a failure takes one away. A round of failures without a success between
/// them ([`FAILURES_BEFORE_REST`] at least) sends the site to rest. How long it rests is the
/// scheduler's to say: then [`Window::resume`] lets one connection try.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    max: u32,
    size: f64,
    /// The part of a round that failed since the last success.
    failed_round: f64,
    failures: u32,
    resting: bool,
}

impl Window {
    /// Starts small; `max` connections at most (from pace or our own bound), 1 at least.
    pub fn new(max: u32) -> Self {
        let max = max.max(1);
        let size = f64::from(WINDOW_START.min(max));
        Self {
            max,
            size,
            failed_round: 0.0,
            failures: 0,
            resting: false,
        }
    }

    /// Connections allowed now; 0 only while the site rests after repeated failure.
    pub fn limit(&self) -> u32 {
        if self.resting {
            return 0;
        }
        // The window is never above `max`, which is a u32.
        (self.size as u32).clamp(1, self.max)
    }

    /// Whether the site rests after repeated failure.
    pub fn is_resting(&self) -> bool {
        self.resting
    }

    /// The rest is over: one connection may try. A failure then is enough for the next rest.
    pub fn resume(&mut self) {
        if self.resting {
            self.resting = false;
            self.size = 1.0;
        }
    }

    /// A message was taken.
    pub fn succeeded(&mut self) {
        // One that was under way while the site went to rest proves that it lives.
        self.resume();
        self.failures = 0;
        self.failed_round = 0.0;
        self.size = (self.size + 1.0 / self.size).min(f64::from(self.max));
    }

    /// A session or host failed (not: a message or recipient was refused).
    pub fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.failed_round += 1.0 / self.size;
        self.size = (self.size - 1.0).max(1.0);
        if self.failures >= FAILURES_BEFORE_REST && self.failed_round >= 1.0 {
            self.resting = true;
        }
    }
}
