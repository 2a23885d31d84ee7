//! Meters against the meaning of a limit: no window of its length sees more leave. The whole book
//! against a naive one: `model`.

mod book;
mod model;

use std::sync::Arc;

use proptest::prelude::*;
use relais_smtp::time::Timestamp;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + millis)
}

/// The most that leaves in any window of that length: looked for from each departure, slowly.
fn most_within(departures: &[(Timestamp, u64)], window: i64) -> u64 {
    let begins = departures.iter().map(|(time, _)| time.as_millis());
    let sums = begins.map(|begin| {
        let inside = |time: &Timestamp| (begin..begin + window).contains(&time.as_millis());
        let counts = departures.iter().filter(|(time, _)| inside(time));
        counts.map(|(_, count)| count).sum()
    });
    sums.max().unwrap_or(0)
}

fn window(key: LimitKey) -> i64 {
    let (millis, buckets) = key.grain();
    millis * buckets
}

proptest! {
    #[test]
    fn no_window_ever_sees_more_leave_than_the_limit_and_nothing_leaves_before_it_came(
        key in prop::sample::select(LimitKey::ALL.to_vec()),
        limit in 1_u64..20,
        arrivals in prop::collection::vec((0_i64..10_000, 1_u64..5), 1..80),
    ) {
        let mut meter = Meter::new(key);
        let mut now = NOW;
        let mut departures = Vec::new();
        // Arrivals come some hundredths of the window apart.
        for (gap, count) in arrivals {
            now = Timestamp::from_millis(now.as_millis() + gap * window(key) / 100_000);
            let count = count.min(limit);
            let leaves = meter.earliest(limit, now, count);
            prop_assert!(leaves >= now);
            meter.count(leaves, count);
            departures.push((leaves, count));
        }
        let most = most_within(&departures, window(key));
        prop_assert!(most <= limit, "{most} of {limit}: {departures:?}");
    }

    #[test]
    fn the_earliest_time_is_the_one_that_looking_at_each_bucket_finds(
        limit in 1_u64..12,
        there in prop::collection::vec((-90_i64..400, 1_u64..6), 0..30),
        count in 1_u64..15,
    ) {
        let key = LimitKey::MessagesPerMinute;
        let mut meter = Meter::new(key);
        for (second, count) in &there {
            meter.count(at(second * 1_000), *count);
        }
        // Each window, begun at each second, that a message of this second would be in.
        let fits = |second: i64| {
            (second..=second + 60).all(|end| {
                let inside = there.iter().filter(|(one, _)| (end - 60..=end).contains(one));
                let used: u64 = inside.map(|(_, count)| count).sum();
                used == 0 || used + count <= limit
            })
        };
        let expected = (0..).find(|second| fits(*second)).unwrap();
        prop_assert_eq!(meter.earliest(limit, NOW, count), at(expected * 1_000));
    }

    #[test]
    fn a_forecast_comes_true_where_it_goes_on_like_this(
        limit in 1_u64..400,
        each_minute in 0_u64..9,
    ) {
        let mut meter = Meter::new(LimitKey::RecipientsPerHour);
        for minute in 0..10 {
            meter.count(at(-minute * 60_000), each_minute);
        }
        let forecast = meter.forecast(limit, NOW);
        prop_assert_eq!(forecast.at_this_pace, each_minute * 60);
        let mut reached = (meter.used(NOW) >= limit).then_some(NOW);
        for minute in 1..=60 {
            meter.count(at(minute * 60_000), each_minute);
            if reached.is_none() && meter.used(at(minute * 60_000)) >= limit {
                reached = Some(at(minute * 60_000));
            }
        }
        prop_assert_eq!(forecast.reached, reached);
    }

    #[test]
    fn what_is_written_is_read_back(
        counts in prop::collection::vec((0_i64..86_400, 1_u64..9), 0..40),
    ) {
        for key in LimitKey::ALL {
            let mut meter = Meter::new(key);
            for (second, count) in &counts {
                meter.count(at(-second * 1_000), *count);
            }
            meter.tidy(NOW);
            prop_assert_eq!(Meter::from_text(key, &meter.to_text(), NOW), meter);
        }
    }
}

#[test]
fn within_the_limit_everything_leaves_at_once_and_the_rest_as_the_window_moves() {
    let mut meter = Meter::new(LimitKey::MessagesPerMinute);
    let mut waits = Vec::new();
    for _ in 0..25 {
        let leaves = meter.earliest(10, NOW, 1);
        meter.count(leaves, 1);
        waits.push(leaves.since(NOW).as_secs());
    }
    assert_eq!(waits[..10], [0; 10]);
    assert_eq!(waits[10..20], [61; 10]);
    assert_eq!(waits[20..], [122; 5]);
    assert_eq!((meter.used(NOW), meter.waiting(NOW)), (10, 15));
}

#[test]
fn a_message_with_more_recipients_than_the_limit_leaves_alone() {
    let mut meter = Meter::new(LimitKey::RecipientsPerHour);
    assert_eq!(meter.earliest(10, NOW, 50), NOW);
    meter.count(NOW, 50);
    let next = meter.earliest(10, NOW, 1);
    assert_eq!(next.since(NOW).as_secs().div_ceil(60), 61);
}

#[test]
fn what_was_not_taken_in_after_all_does_not_count() {
    let mut meter = Meter::new(LimitKey::RecipientsPerDay);
    meter.count(NOW, 5);
    meter.take_back(NOW, 5);
    assert_eq!(meter, Meter::new(LimitKey::RecipientsPerDay));
}

#[test]
fn a_count_from_a_clock_that_went_back_does_not_block_for_days() {
    let day = 86_400_000;
    let mut meter = Meter::new(LimitKey::RecipientsPerHour);
    meter.count(at(10 * day), 10);
    let read = Meter::from_text(meter.key(), &meter.to_text(), NOW);
    let next = read.earliest(10, NOW, 1);
    assert!(next.since(NOW) <= Duration::from_secs(62 * 60), "{next:?}");
    assert!(next > NOW);
}

#[test]
fn a_clock_that_was_ahead_for_a_moment_keeps_nobody_waiting_now_nor_when_its_time_comes() {
    let day = 86_400_000;
    for key in LimitKey::ALL {
        let mut meter = Meter::new(key);
        meter.count(at(10 * day), 10);
        assert_eq!(meter.earliest(10, NOW, 10), NOW, "{key:?}");
        meter.count(NOW, 1);
        assert!(!meter.tidy(NOW), "{key:?}");
        assert_eq!((meter.used(NOW), meter.waiting(NOW)), (11, 0), "{key:?}");
        assert_eq!(
            meter.earliest(10, at(10 * day), 10),
            at(10 * day),
            "{key:?}"
        );
    }
}

#[test]
fn what_waits_elsewhere_keeps_nobody_from_a_window_that_has_room() {
    let mut meter = Meter::new(LimitKey::RecipientsPerHour);
    meter.count(at(2 * 3_600_000), 10);
    assert_eq!(meter.earliest(10, NOW, 10), NOW);
    meter.count(NOW, 10);
    // Between the two there is room for nobody until the first has left the window.
    let next = meter.earliest(10, NOW, 1);
    let minutes = next.since(NOW).as_secs() / 60;
    assert!((61..120).contains(&minutes) || minutes >= 181, "{minutes}");
}

#[test]
fn names_are_read_back() {
    let connector: Arc<str> = "Scan to mail, first floor".into();
    for whose in [
        Whose::Organisation,
        Whose::Connector(Arc::clone(&connector)),
        Whose::Device {
            connector: Arc::clone(&connector),
            address: Some("2001:db8::7".parse().unwrap()),
        },
        Whose::Device {
            connector,
            address: None,
        },
        Whose::Credential("scan-1".into()),
        Whose::Domain("contoso.test".into()),
        Whose::Sender(Some("\"a b\"@contoso.test".into())),
        Whose::Sender(None),
    ] {
        let name = LimitName {
            organisation: "contoso".into(),
            whose,
            key: LimitKey::RecipientsPerDay,
        };
        assert_eq!(LimitName::parse(&name.to_text()), Some(name));
    }
}
