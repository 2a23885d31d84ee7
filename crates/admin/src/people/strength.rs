//! Whether a password that a person chose would be guessed: zxcvbn, which knows the passwords that
//! leaks are full of, names, words, keyboard rows, dates and repetitions; and the words of this
//! place, which its guessers try first. ASVS 5.0 6.2.4, 6.2.11, 6.2.12.
//!
//! Not here: how passwords are stored.

use relais_policy::settings::Settings;
use zxcvbn::{Score, zxcvbn};

/// Characters that must be left of a password without the words of this place.
const OWN_CHARACTERS_MIN: usize = 8;
/// Shorter words of this place are in everything.
const WORD_CHARACTERS_MIN: usize = 4;
/// Words of this place that are looked at: with hundreds of organisations the first ones.
const WORDS_MAX: usize = 500;

/// The words of this place: the program, its organisations and their domains, the person.
pub(super) fn words_of_place(settings: &Settings, name: &str) -> Vec<String> {
    let organisations = settings.document.organisation.iter();
    let organisations = organisations.flat_map(|one| {
        let domains = one.domain.iter().map(|domain| domain.name.to_string());
        std::iter::once(one.name.clone()).chain(domains)
    });
    let fixed = ["relais", "relay", "postmaster", "password", "administrator"];
    let texts = fixed.map(str::to_owned).into_iter();
    let texts = texts.chain([name.to_owned()]);
    let mut words = Vec::new();
    for text in texts.chain(organisations).take(WORDS_MAX) {
        let parts = text.split(|one: char| !one.is_alphanumeric());
        let long = parts.filter(|part| part.chars().count() >= WORD_CHARACTERS_MIN);
        words.extend(long.map(str::to_lowercase));
    }
    words
}

/// Whether it would fall to whoever tries the usual things: fewer than 10^8 guesses, or hardly
/// anything but words of this place.
pub(super) fn is_guessable(password: &str, words: &[String]) -> bool {
    let inputs: Vec<&str> = words.iter().map(String::as_str).collect();
    if zxcvbn(password, &inputs).score() < Score::Three {
        return true;
    }
    let mut own = password.to_lowercase();
    for word in words {
        own = own.replace(word.as_str(), "");
    }
    let own = own.chars().filter(|one| one.is_alphanumeric());
    own.count() < OWN_CHARACTERS_MIN
}

#[cfg(test)]
mod tests {
    use relais_policy::document::Document;
    use relais_policy::settings::Mode;

    use super::*;

    fn words() -> Vec<String> {
        let settings = r#"
            [[organisation]]
            name = "contoso"
            postmaster = "it@contoso.test"

            [[organisation.domain]]
            name = "fabrikam.test"
            verification = "assumed"
        "#;
        let document = Document::from_toml(settings).expect("a document");
        let settings = Settings::build(Mode::Lan, 1, document).expect("settings");
        words_of_place(&settings, "anna.dupont")
    }

    #[test]
    fn what_leaks_are_full_of_is_refused_however_long() {
        for password in [
            "passwordpassword",
            "password1234567",
            "123456789012345",
            "qwertyuiopasdfgh",
            "aaaaaaaaaaaaaaaaaaaaaaa",
            "Sommer2026Sommer2026",
        ] {
            assert!(is_guessable(password, &words()), "{password}");
        }
    }

    #[test]
    fn words_of_this_place_do_not_count() {
        for password in [
            "Contoso Fabrikam Relais 26",
            "anna.dupont@fabrikam",
            "relais-contoso-postmaster",
            "fabrikam administrator!",
        ] {
            assert!(is_guessable(password, &words()), "{password}");
        }
    }

    #[test]
    fn a_sentence_is_good_also_with_the_name_of_the_house_in_it() {
        for password in [
            "correct horse battery",
            "je mange des pommes le lundi",
            "contoso buys seven green boats",
            "kX9!vTq2#mW8$pLz",
        ] {
            assert!(!is_guessable(password, &words()), "{password}");
        }
    }
}
