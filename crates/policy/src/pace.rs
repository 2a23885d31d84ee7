//! Recipients that went out by a connector in the last day, as they are kept over restarts:
//! `milliseconds count` a line, one line for each quarter of an hour.
//!
//! Not here: counting and pacing (`relais-deliver`, `pace`).

use relais_smtp::time::Timestamp;

/// In milliseconds: providers count recipients by the day.
pub const DAY_MILLIS: i64 = 86_400_000;
/// Recipients are counted in quarters of an hour, in milliseconds.
pub const BUCKET_MILLIS: i64 = 900_000;

/// Time, in milliseconds, and count of each line that can be read.
pub fn lines(kept: &str) -> impl Iterator<Item = (i64, u64)> + '_ {
    kept.lines().filter_map(|line| {
        let (time, count) = line.split_once(' ')?;
        Some((time.parse().ok()?, count.parse().ok()?))
    })
}

/// Recipients that count against the day's limit now.
pub fn sent(kept: &str, now: Timestamp) -> u64 {
    let is_young = |(time, _): &(i64, u64)| *time + DAY_MILLIS + BUCKET_MILLIS > now.as_millis();
    let counts = lines(kept).filter(is_young).map(|(_, count)| count);
    counts.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_a_day_and_a_quarter_does_not_count() {
        let kept = "0 100\n1000000 20\nnonsense\n2000000 3\n12\n";
        let at = |millis| Timestamp::from_millis(millis);
        assert_eq!(sent(kept, at(2_000_000)), 123);
        assert_eq!(sent(kept, at(DAY_MILLIS + BUCKET_MILLIS)), 23);
        assert_eq!(sent(kept, at(3 * DAY_MILLIS)), 0);
        assert_eq!(sent("", at(0)), 0);
    }
}
