//! Times for people: `24 Nov 2026 14:05`, `24 nov. 2026 14:05`, by the clock of their zone.

use relais_smtp::time::Timestamp;

use super::lang::Lang;

const ENGLISH: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const FRENCH: [&str; 12] = [
    "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.",
    "déc.",
];

/// A time that may be wrong or absent is shown as a dash.
pub(super) fn shown(lang: Lang, rfc3339: Option<&str>) -> String {
    let found = rfc3339.and_then(Timestamp::parse_rfc3339);
    found.map_or_else(|| "–".to_owned(), |time| of(lang, time))
}

/// The same, and the zone, where no heading names it.
pub(super) fn full(lang: Lang, rfc3339: Option<&str>) -> String {
    let found = rfc3339.and_then(Timestamp::parse_rfc3339);
    found.map_or_else(|| "–".to_owned(), |time| zoned(lang, time))
}

/// With seconds left out; the page's `title` has them.
pub(super) fn of(lang: Lang, time: Timestamp) -> String {
    let text = lang.1.shift(time).to_rfc3339();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let month: usize = part(5..7).parse().unwrap_or(1);
    let names = lang.0.pick(&ENGLISH, &FRENCH);
    let name = names.get(month.saturating_sub(1)).copied();
    format!(
        "{} {} {} {}",
        part(8..10).trim_start_matches('0'),
        name.unwrap_or_default(),
        part(0..4),
        part(11..16)
    )
}

/// The same, and the zone.
pub(super) fn zoned(lang: Lang, time: Timestamp) -> String {
    format!("{} {}", of(lang, time), lang.1.name())
}

/// The time of the day.
pub(super) fn clock(lang: Lang, rfc3339: &str) -> String {
    let shown = shown(lang, Some(rfc3339));
    let clock = shown.rsplit_once(' ').map(|(_, clock)| clock.to_owned());
    clock.unwrap_or(shown)
}

/// The day only.
pub(super) fn date(lang: Lang, time: Timestamp) -> String {
    let whole = of(lang, time);
    let day = whole.rsplit_once(' ').map(|(day, _)| day.to_owned());
    day.unwrap_or(whole)
}

/// The ranges that are one press away, with the key of their words.
pub(super) const RANGES: [(&str, &str); 4] = [
    ("1h", "since-hour"),
    ("24h", "since-day"),
    ("7d", "since-week"),
    ("30d", "since-month"),
];

/// A span of seconds, in the largest unit that fits.
pub(super) fn span(lang: Lang, seconds: u64) -> String {
    match seconds {
        0..=119 => lang.n("span-seconds", seconds),
        120..=7_199 => lang.n("span-minutes", seconds / 60),
        7_200..=172_799 => lang.n("span-hours", seconds / 3_600),
        _ => lang.n("span-days", seconds / 86_400),
    }
}

/// Milliseconds in a unit that is chosen, one of `span`'s or a millisecond: beside a chart.
pub(super) fn in_unit(lang: Lang, millis: u64, unit: u64) -> String {
    let count = millis / unit.max(1);
    match unit {
        _ if count == 0 => "0".to_owned(),
        0..=999 => format!("{}\u{202f}ms", lang.number(count)),
        1_000..=59_999 => lang.n("span-seconds", count),
        60_000..=3_599_999 => lang.n("span-minutes", count),
        3_600_000..=86_399_999 => lang.n("span-hours", count),
        _ => lang.n("span-days", count),
    }
}

/// How far away a time is: `3 h ago`, `in 5 min`; a dash where there is none.
pub(super) fn relative(lang: Lang, now: Timestamp, rfc3339: Option<&str>) -> String {
    let Some(time) = rfc3339.and_then(Timestamp::parse_rfc3339) else {
        return "–".to_owned();
    };
    let (key, distance) = match time > now {
        true => ("time-ahead", time.since(now)),
        false => ("time-ago", now.since(time)),
    };
    lang.with(key, &span(lang, distance.as_secs()))
}

/// Day and month of a time: below a chart.
pub(super) fn day(lang: Lang, rfc3339: &str) -> String {
    let shown = shown(lang, Some(rfc3339));
    let mut words = shown.split(' ');
    match (words.next(), words.next()) {
        (Some(day), Some(month)) => format!("{day} {month}"),
        _ => shown,
    }
}

/// A time in milliseconds, in the unit that says most: `41 ms`, `1.2 s`, `3 minutes`.
pub(super) fn milliseconds(lang: Lang, millis: u64) -> String {
    match millis {
        0..=999 => format!("{millis}\u{202f}ms"),
        1_000..=59_999 => {
            let mark = lang.0.pick('.', ',');
            format!("{}{mark}{}\u{202f}s", millis / 1_000, millis % 1_000 / 100)
        }
        _ => span(lang, millis / 1_000),
    }
}
