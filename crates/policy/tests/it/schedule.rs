//! When to try again, and how many connections.

use std::time::Duration;

use proptest::prelude::*;
use relais_policy::document::{Retry, Span};
use relais_policy::schedule::{
    FAILURES_BEFORE_REST, Jitter, NextAttempt, STRETCH_MAX, WINDOW_START, Window, expires_at,
    next_attempt,
};
use relais_smtp::time::Timestamp;

const ACCEPTED: Timestamp = Timestamp::from_millis(1_795_514_400_000);

fn delay(retry: &Retry, attempts: u32, jitter: f64) -> Option<Duration> {
    match next_attempt(retry, attempts, ACCEPTED, ACCEPTED, Jitter(jitter)) {
        NextAttempt::At(time) => Some(time.since(ACCEPTED)),
        NextAttempt::Expired => None,
    }
}

#[test]
fn delays_double_from_a_minute_to_an_hour() {
    let retry = Retry::default();
    for (attempts, minutes) in [
        (1, 1),
        (2, 2),
        (3, 4),
        (4, 8),
        (5, 16),
        (6, 32),
        (7, 60),
        (8, 60),
        (u32::MAX, 60),
    ] {
        assert_eq!(
            delay(&retry, attempts, 0.0),
            Some(Duration::from_secs(minutes * 60))
        );
    }
    assert_eq!(delay(&retry, 0, 0.0), Some(Duration::from_secs(60)));
    assert_eq!(delay(&retry, 1, 0.5), Some(Duration::from_secs(66)));
}

#[test]
fn jitter_that_is_no_number_does_no_harm() {
    let retry = Retry::default();
    for jitter in [f64::NAN, f64::NEG_INFINITY, -1.0] {
        assert_eq!(delay(&retry, 1, jitter), Some(Duration::from_secs(60)));
    }
    assert_eq!(
        delay(&retry, 1, f64::INFINITY),
        Some(Duration::from_secs(72))
    );
}

#[test]
fn a_message_expires_at_the_end_of_its_lifetime_and_not_before() {
    let retry = Retry::default();
    let end = expires_at(&retry, ACCEPTED);
    assert_eq!(end.since(ACCEPTED), Duration::from_secs(86_400));
    assert_eq!(
        next_attempt(&retry, 9, ACCEPTED, end, Jitter(0.0)),
        NextAttempt::Expired
    );
    let before = end.before(Duration::from_millis(1));
    assert!(matches!(
        next_attempt(&retry, 9, ACCEPTED, before, Jitter(0.0)),
        NextAttempt::At(_)
    ));
    // A clock that was set back keeps the message.
    let earlier = ACCEPTED.before(Duration::from_secs(3_600));
    assert!(matches!(
        next_attempt(&retry, 1, ACCEPTED, earlier, Jitter(0.0)),
        NextAttempt::At(_)
    ));
}

proptest! {
    #[test]
    fn the_next_attempt_lies_within_its_bounds(
        first in 1_u64..100_000,
        more in 0_u64..100_000,
        attempts in any::<u32>(),
        waited in 0_u64..86_400_000,
        jitter in 0.0_f64..1.0,
    ) {
        let retry = Retry { first: Span(first), max: Span(first + more), lifetime: Span(86_400) };
        let now = ACCEPTED.after(Duration::from_millis(waited));
        let next = |attempts| match next_attempt(&retry, attempts, ACCEPTED, now, Jitter(jitter)) {
            NextAttempt::At(time) => Ok(time),
            NextAttempt::Expired => Err(TestCaseError::fail("expired within its lifetime")),
        };
        let time = next(attempts)?;
        let delay = time.since(now).as_secs_f64();
        let longest = (first + more) as f64 * (1.0 + STRETCH_MAX);
        prop_assert!(delay >= first as f64 && delay <= longest, "{delay}");
        prop_assert!(next(attempts.saturating_add(1))? >= time, "delays never shrink");
    }

    #[test]
    fn a_window_stays_within_its_bounds(
        max in 0_u32..300,
        results in proptest::collection::vec(any::<bool>(), 0..600),
    ) {
        let mut window = Window::new(max);
        for succeeded in results {
            let resting = window.is_resting();
            if succeeded { window.succeeded() } else { window.failed() }
            prop_assert!(window.limit() <= max.max(1));
            prop_assert_eq!(window.limit() == 0, window.is_resting());
            prop_assert!(!(succeeded && window.is_resting()));
            if resting { window.resume() }
            prop_assert!(!resting || window.limit() >= 1);
        }
    }
}

#[test]
fn a_window_starts_small_and_grows_by_one_each_round() {
    let mut window = Window::new(20);
    assert_eq!(window.limit(), WINDOW_START);
    let mut taken = 0;
    while window.limit() == WINDOW_START {
        window.succeeded();
        taken += 1;
    }
    assert!(
        (WINDOW_START..=WINDOW_START + 1).contains(&taken),
        "{taken}"
    );
    (0..10_000).for_each(|_| window.succeeded());
    assert_eq!(window.limit(), 20);
}

#[test]
fn a_window_never_exceeds_the_pace() {
    let mut window = Window::new(3);
    assert_eq!(window.limit(), 3);
    (0..100).for_each(|_| window.succeeded());
    assert_eq!(window.limit(), 3);
    assert_eq!(Window::new(0).limit(), 1);
}

#[test]
fn single_failures_shrink_a_window_and_only_a_round_of_them_sends_it_to_rest() {
    let mut window = Window::new(20);
    for _ in 0..100 {
        window.failed();
        assert!(!window.is_resting());
        window.succeeded();
    }
    assert!(window.limit() >= 1);

    let mut window = Window::new(20);
    let mut failures = 0;
    while !window.is_resting() {
        window.failed();
        failures += 1;
    }
    assert!(
        (FAILURES_BEFORE_REST..=WINDOW_START).contains(&failures),
        "{failures}"
    );
    assert_eq!(window.limit(), 0);
}

#[test]
fn after_its_rest_one_connection_tries_and_decides() {
    let mut window = Window::new(20);
    (0..10).for_each(|_| window.failed());
    window.resume();
    assert_eq!(window.limit(), 1);
    window.failed();
    assert_eq!(window.limit(), 0);
    window.resume();
    window.succeeded();
    assert_eq!(window.limit(), 2);
    // One more failure is not a round any more.
    window.failed();
    assert_eq!(window.limit(), 1);
}

#[test]
fn a_single_lost_connection_does_not_rest_a_site_of_one() {
    let mut window = Window::new(1);
    window.failed();
    assert_eq!(window.limit(), 1);
    window.failed();
    assert_eq!(window.limit(), 0);
}
