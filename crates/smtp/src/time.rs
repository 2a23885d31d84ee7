//! A point in time as a plain value, and its two written forms.
//!
//! Not here: asking what time it is (`relais-net`, `clock`).

use alloc::string::{String, ToString};
use core::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment plus `duration`, saturating.
    pub fn after(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// This moment minus `duration`, saturating.
    pub fn before(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// Time passed since `earlier`; zero if `earlier` lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `Tue, 24 Nov 2026 10:00:00 +0000`, for header fields. RFC 5322 §3.3.
    pub fn to_rfc5322(self) -> String {
        jiff::fmt::strtime::format("%a, %d %b %Y %H:%M:%S +0000", self.zoned_utc())
            .unwrap_or_default()
    }

    /// Reads the form of [`Timestamp::to_rfc5322`], in any zone.
    pub fn parse_rfc5322(text: &str) -> Option<Self> {
        let parser = jiff::fmt::rfc2822::DateTimeParser::new();
        let time = parser.parse_timestamp(text).ok()?;
        Some(Self(time.as_millisecond()))
    }

    /// `2026-11-24T10:00:00.123Z`, for logs, JSON and pages. RFC 3339 §5.6.
    pub fn to_rfc3339(self) -> String {
        jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S.%3fZ", self.zoned_utc()).unwrap_or_default()
    }

    /// Reads the form of [`Timestamp::to_rfc3339`], and any other RFC 3339 time.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|time| Self(time.as_millisecond()))
    }

    /// `2026-11-24`, the day in UTC: names the trace database of that day.
    pub fn day(self) -> String {
        self.zoned_utc().date().to_string()
    }

    fn zoned_utc(self) -> jiff::civil::DateTime {
        // Out of jiff's range (years -9999 to 9999) means a broken clock; the epoch is as good.
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        jiff::tz::Offset::UTC.to_datetime(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_as_rfc5322_and_rfc3339() {
        let time = Timestamp::from_millis(1_795_514_400_123);
        assert_eq!(time.to_rfc5322(), "Tue, 24 Nov 2026 10:00:00 +0000");
        assert_eq!(time.to_rfc3339(), "2026-11-24T10:00:00.123Z");
        assert_eq!(time.day(), "2026-11-24");
        assert_eq!(Timestamp::parse_rfc3339(&time.to_rfc3339()), Some(time));
    }

    #[test]
    fn times_before_1970_and_after_2038_are_written_too() {
        assert_eq!(
            Timestamp::from_millis(-1).to_rfc3339(),
            "1969-12-31T23:59:59.999Z"
        );
        assert_eq!(
            Timestamp::from_millis(4_102_444_800_000).day(),
            "2100-01-01"
        );
    }
}
