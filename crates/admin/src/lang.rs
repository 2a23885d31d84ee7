//! What pages say, in English and French: catalogues by Fluent, part of the program. The language
//! is the person's choice, else the browser's.

use std::sync::OnceLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use fluent_langneg::{NegotiationStrategy, negotiate_languages, parse_accepted_languages};
use unic_langid::LanguageIdentifier;

use crate::plain::heures;
use crate::words::Language;
use crate::zone::Zone;

/// Languages of one request that are looked at: browsers send fewer than ten.
const ACCEPTED_OCTETS_MAX: usize = 256;

/// What one area of the pages says, in both languages: part of the program.
pub(super) struct Catalogue {
    pub(super) english: &'static str,
    pub(super) french: &'static str,
}

/// The two files of an area.
macro_rules! catalogue {
    ($area:literal) => {
        Catalogue {
            english: include_str!(concat!("../locales/en/", $area, ".ftl")),
            french: include_str!(concat!("../locales/fr/", $area, ".ftl")),
        }
    };
}

/// All areas. A key stands in one of them only.
pub(super) const CATALOGUES: &[Catalogue] = &[
    catalogue!("centre"),
    catalogue!("names"),
    catalogue!("records"),
    catalogue!("trace"),
    catalogue!("reports"),
    catalogue!("limits"),
    catalogue!("alerts"),
    catalogue!("triggers"),
    catalogue!("wizard"),
    catalogue!("content"),
    catalogue!("route"),
    catalogue!("card"),
    catalogue!("health"),
    catalogue!("setup"),
    catalogue!("people"),
    catalogue!("pages"),
    catalogue!("retention"),
    catalogue!("standing"),
];

/// The language of one page, and the zone of its times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Lang(pub(super) Language, pub(super) Zone);

impl Lang {
    /// By the person's choice, else by `Accept-Language`.
    pub(super) fn of(chosen: Option<&str>, accepted: Option<&str>) -> Self {
        match chosen {
            Some("en") => return Self(Language::English, Zone::default()),
            Some("fr") => return Self(Language::French, Zone::default()),
            Some(_) | None => {}
        }
        let accepted = accepted.filter(|text| text.len() <= ACCEPTED_OCTETS_MAX);
        let requested = parse_accepted_languages(accepted.unwrap_or_default());
        let available = [identifier("en"), identifier("fr")];
        let default = &available[0];
        let strategy = NegotiationStrategy::Filtering;
        let found = negotiate_languages(&requested, &available, Some(default), strategy);
        let is_french = found.first().is_some_and(|first| **first == available[1]);
        let language = match is_french {
            true => Language::French,
            false => Language::English,
        };
        Self(language, Zone::default())
    }

    /// With the times of this zone.
    pub(super) const fn within(self, zone: Zone) -> Self {
        Self(self.0, zone)
    }

    /// `en`, `fr`: of the page, and of the choice.
    pub(super) fn code(self) -> &'static str {
        self.0.pick("en", "fr")
    }

    /// The text of a key.
    pub(super) fn t(self, key: &str) -> String {
        self.format(key, &[])
    }

    /// The text of a key with a number, that decides singular and plural.
    pub(super) fn n(self, key: &str, count: u64) -> String {
        let shown = self.number(count);
        self.format(key, &[("count", count.into()), ("shown", shown.into())])
    }

    /// The text of a key with a value in it.
    pub(super) fn with(self, key: &str, value: &str) -> String {
        self.format(key, &[("value", value.into())])
    }

    /// The text of a key with several values in it.
    pub(super) fn fill(self, key: &str, values: &[(&'static str, &str)]) -> String {
        let values = values.iter().map(|(name, value)| (*name, (*value).into()));
        self.format(key, &values.collect::<Vec<_>>())
    }

    fn format(self, key: &str, arguments: &[(&'static str, FluentValue<'_>)]) -> String {
        let bundle = self.bundle();
        let Some(pattern) = bundle.get_message(key).and_then(|found| found.value()) else {
            return format!("[{key}]");
        };
        let arguments: FluentArgs<'_> = arguments.iter().cloned().collect();
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(&arguments), &mut errors);
        text.into_owned()
    }

    /// `1,240` or `1 240`, with the narrow space of French.
    pub(super) fn number(self, number: u64) -> String {
        let digits = number.to_string();
        let mut text = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(self.0.pick(',', '\u{202f}'));
            }
            text.push(digit);
        }
        text
    }

    /// Hours of sending, with the days of the week in this language.
    pub(super) fn hours(self, settings: &str) -> String {
        match self.0 {
            Language::English => settings.to_owned(),
            Language::French => heures(settings),
        }
    }

    fn bundle(self) -> &'static FluentBundle<FluentResource> {
        static ENGLISH_BUNDLE: OnceLock<FluentBundle<FluentResource>> = OnceLock::new();
        static FRENCH_BUNDLE: OnceLock<FluentBundle<FluentResource>> = OnceLock::new();
        match self.0 {
            Language::English => ENGLISH_BUNDLE.get_or_init(|| read("en", |area| area.english)),
            Language::French => FRENCH_BUNDLE.get_or_init(|| read("fr", |area| area.french)),
        }
    }
}

fn identifier(code: &str) -> LanguageIdentifier {
    code.parse().expect("a code of ours")
}

/// A mistake in a catalogue is found by the tests: what can be read is used.
fn read(code: &str, text: fn(&Catalogue) -> &'static str) -> FluentBundle<FluentResource> {
    let mut bundle = FluentBundle::new_concurrent(vec![identifier(code)]);
    // Marks around values would stand in the page's text, and values are escaped by the templates.
    bundle.set_use_isolating(false);
    for area in CATALOGUES {
        let resource = match FluentResource::try_new(text(area).to_owned()) {
            Ok(resource) | Err((resource, _)) => resource,
        };
        let _ = bundle.add_resource(resource);
    }
    bundle
}
