//! Meters against the meaning of a limit: no window of its length sees more leave.

use proptest::prelude::*;

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
        let in_order = departures.windows(2).all(|pair| pair[0].0 <= pair[1].0);
        prop_assert!(in_order, "{departures:?}");
        let most = most_within(&departures, window(key));
        prop_assert!(most <= limit, "{most} of {limit}: {departures:?}");
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
fn names_are_read_back() {
    for connector in [None, Some("Scan to mail, first floor".into())] {
        let name = LimitName {
            organisation: "contoso".into(),
            connector,
            key: LimitKey::RecipientsPerDay,
        };
        assert_eq!(LimitName::parse(&name.to_text()), Some(name));
    }
}
