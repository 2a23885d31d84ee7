//! Text from strangers made harmless, and sizes for people: for terminals, logs and pages.

use std::borrow::Cow;

/// Without characters that move a cursor, end a line or turn the direction of writing.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|one| if is_harmful(one) { '\u{fffd}' } else { one })
            .collect(),
    )
}

/// Moves a cursor, ends a line, or turns the direction of writing.
pub fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}'
        )
}

/// The units that people count octets in, and how many octets each is: as devices and providers do.
const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)];

/// Octets for people, never more than there are.
pub fn size(octets: u64) -> String {
    for (unit, factor) in UNITS {
        // What is set by people is whole.
        if octets >= factor && octets.is_multiple_of(factor) {
            return format!("{} {unit}", octets / factor);
        }
        if octets >= factor {
            let tenths = octets / (factor / 10);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{octets} B")
}

/// The same in French: multiples of the *octet*, and a decimal comma.
pub fn taille(octets: u64) -> String {
    let english = size(octets);
    match english.split_once(' ') {
        Some((number, "B")) => format!("{number}\u{202f}octets"),
        Some((number, unit)) => {
            let (number, prefix) = (number.replace('.', ","), unit.trim_end_matches('B'));
            format!("{number}\u{202f}{prefix}o")
        }
        None => english,
    }
}

/// Days of the week, as settings name them and as the French do.
const DAYS: [(&str, &str); 7] = [
    ("Mon", "lun"),
    ("Tue", "mar"),
    ("Wed", "mer"),
    ("Thu", "jeu"),
    ("Fri", "ven"),
    ("Sat", "sam"),
    ("Sun", "dim"),
];

/// Hours of sending as the French read them: `Mon-Fri 07:00-19:00` is `lun-ven 07:00-19:00`.
pub fn heures(text: &str) -> String {
    with_days(text, |word| {
        let day = DAYS
            .iter()
            .find(|(english, _)| english.eq_ignore_ascii_case(word));
        day.map(|(_, french)| *french)
    })
}

/// Hours of sending as they are typed in either language, as settings are written.
pub fn typed_hours(text: &str) -> String {
    with_days(text, |word| {
        let word = word.strip_suffix('.').unwrap_or(word);
        let day = DAYS
            .iter()
            .find(|(_, french)| french.eq_ignore_ascii_case(word));
        day.map(|(english, _)| *english)
    })
}

/// The days stand first, one or two of them; what is none stays.
fn with_days(text: &str, name: impl Fn(&str) -> Option<&'static str>) -> String {
    let text = text.trim();
    let (days, rest) = match text.split_once(char::is_whitespace) {
        Some((days, rest)) => (days, format!(" {}", rest.trim_start())),
        None => (text, String::new()),
    };
    let named = days.split('-').map(|word| name(word).unwrap_or(word));
    named.collect::<Vec<_>>().join("-") + &rest
}

/// A size as it is typed in either language, as settings are written: `25 Mo` is `25 MB`.
pub fn typed_size(text: &str) -> String {
    match text.trim().strip_suffix(['o', 'O']) {
        Some(rest) => format!("{rest}B"),
        None => text.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_typed_in_both_languages() {
        for (settings, french) in [
            (
                "Mon-Fri 07:00-19:00 Europe/Paris",
                "lun-ven 07:00-19:00 Europe/Paris",
            ),
            ("Tue 22:00-04:00", "mar 22:00-04:00"),
            ("Sat-Mon 00:00-24:00", "sam-lun 00:00-24:00"),
            ("07:00-19:00", "07:00-19:00"),
            ("", ""),
        ] {
            assert_eq!(heures(settings), french);
            assert_eq!(typed_hours(french), settings);
            assert_eq!(typed_hours(settings), settings);
        }
        assert_eq!(
            typed_hours(" Lun.-VEN.  07:00-19:00 "),
            "Mon-Fri 07:00-19:00"
        );
        assert_eq!(typed_hours("le matin"), "le matin");
    }
}
