//! The words of makers for the fields of a card: versioned data files (`crates/admin/cards`), each
//! label with its source and state. What nobody has verified is never printed.

use serde::Deserialize;

use crate::words::Language;

/// The files, in the order of the choice.
const FILES: [&str; 12] = [
    include_str!("../../cards/brother.toml"),
    include_str!("../../cards/canon.toml"),
    include_str!("../../cards/dell-2335.toml"),
    include_str!("../../cards/epson.toml"),
    include_str!("../../cards/hp.toml"),
    include_str!("../../cards/konica-minolta.toml"),
    include_str!("../../cards/kyocera.toml"),
    include_str!("../../cards/lexmark.toml"),
    include_str!("../../cards/ricoh.toml"),
    include_str!("../../cards/sharp.toml"),
    include_str!("../../cards/xerox-versalink.toml"),
    include_str!("../../cards/xerox-workcentre.toml"),
];

/// One maker, or one family of its devices.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Maker {
    pub(crate) version: u32,
    pub(crate) name: String,
    /// For whom the labels were seen.
    pub(crate) models: String,
    /// Where.
    pub(crate) source: String,
    /// On which day; empty: nowhere yet.
    pub(crate) seen: String,
    #[serde(default)]
    pub(crate) limits: FieldLimits,
    #[serde(default)]
    label: Vec<Label>,
    #[serde(default)]
    panel: Vec<Panel>,
}

/// Characters that its fields take.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldLimits {
    pub(crate) host: Option<usize>,
    pub(crate) user: Option<usize>,
    pub(crate) password: Option<usize>,
    pub(crate) sender: Option<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum State {
    Verified,
    Unverified,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    field: String,
    state: State,
    en: Option<String>,
    fr: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Panel {
    says: String,
    state: State,
    means_en: String,
    means_fr: String,
    do_en: String,
    do_fr: String,
}

impl Maker {
    /// What the device calls the field, in this language, where somebody has verified it.
    pub(crate) fn label(&self, field: &str, language: Language) -> Option<&str> {
        let mut labels = self.label.iter();
        let found = labels.find(|one| one.field == field && one.state == State::Verified)?;
        language.pick(found.en.as_deref(), found.fr.as_deref())
    }

    /// What its panel says, what that means, what to do.
    pub(crate) fn panel(&self, language: Language) -> impl Iterator<Item = [String; 3]> {
        let known = self.panel.iter().filter(|one| one.state == State::Verified);
        known.map(move |one| {
            let means = language.pick(&one.means_en, &one.means_fr);
            let act = language.pick(&one.do_en, &one.do_fr);
            [one.says.clone(), means.clone(), act.clone()]
        })
    }
}

/// All that can be read; a mistake in a file is found by the tests.
pub(crate) fn makers() -> Vec<Maker> {
    let read = FILES.iter().map(|text| toml::from_str(text));
    read.filter_map(Result::ok).collect()
}

/// The one of this name, in any case.
pub(crate) fn maker(name: &str) -> Option<Maker> {
    let mut all = makers().into_iter();
    all.find(|one| one.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields that a card has.
    const FIELDS: [&str; 9] = [
        "server",
        "port",
        "encryption",
        "authentication",
        "user",
        "password",
        "sender",
        "size",
        "pop",
    ];

    #[test]
    fn each_file_can_be_read_and_whoever_verified_says_where_and_when() {
        let all = makers();
        assert_eq!(all.len(), FILES.len());
        for maker in all {
            let is_verified = |state: State| state == State::Verified;
            let labels = maker.label.iter().any(|one| is_verified(one.state));
            let panels = maker.panel.iter().any(|one| is_verified(one.state));
            assert!(
                !maker.source.is_empty() && maker.version > 0,
                "{}",
                maker.name
            );
            assert_eq!(labels || panels, !maker.seen.is_empty(), "{}", maker.name);
            for label in &maker.label {
                assert!(FIELDS.contains(&label.field.as_str()), "{label:?}");
                assert!(label.en.is_some() || label.fr.is_some(), "{label:?}");
            }
        }
    }

    #[test]
    fn what_nobody_has_verified_in_that_language_is_not_printed() {
        let all = makers();
        let maker = |name: &str| all.iter().find(|one| one.name == name).expect("it");
        let epson = maker("Epson");
        let label = |language| epson.label("server", language);
        assert_eq!(label(Language::English), Some("SMTP Server Address"));
        assert_eq!(label(Language::French), None);
        assert_eq!(maker("Ricoh").label("server", Language::English), None);
        assert_eq!(maker("Canon").label("server", Language::English), None);
        assert_eq!(maker("Xerox VersaLink").panel(Language::French).count(), 1);
    }
}
