//! Times for people: `24 Nov 2026 14:05`, `24 nov. 2026 14:05`, in UTC.

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

/// With seconds left out; the page's `title` has them.
pub(super) fn of(lang: Lang, time: Timestamp) -> String {
    let text = time.to_rfc3339();
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

/// A span of seconds, in the largest unit that fits.
pub(super) fn span(lang: Lang, seconds: u64) -> String {
    match seconds {
        0..=119 => lang.n("span-seconds", seconds),
        120..=7_199 => lang.n("span-minutes", seconds / 60),
        7_200..=172_799 => lang.n("span-hours", seconds / 3_600),
        _ => lang.n("span-days", seconds / 86_400),
    }
}
