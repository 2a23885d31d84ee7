//! What the terminal says, in the language of who sits there: sentences of our own, of the API and
//! of the reader of the command line. What scripts read is never looked up.

use std::borrow::Cow;
use std::sync::OnceLock;

use relais_admin::phrasebook::{PARTS, Phrasebook, SENTENCES};

pub(crate) use relais_admin::words::Language;

/// The terminal's own sentences, headings and labels.
const TERMINAL: &str = include_str!("../locales/terminal.fr.txt");
/// What stands within them.
const TERMINAL_PARTS: &str = include_str!("../locales/parts.fr.txt");

/// A line for who reads this language, its indent as it is; unchanged where there is no French.
pub(crate) fn told(language: Language, line: &str) -> Cow<'_, str> {
    static BOOK: OnceLock<Phrasebook> = OnceLock::new();
    if language == Language::English {
        return Cow::Borrowed(line);
    }
    let book =
        BOOK.get_or_init(|| Phrasebook::new(&[TERMINAL, SENTENCES], &[TERMINAL_PARTS, PARTS]));
    let sentence = line.trim_start();
    match book.french(sentence) {
        Some(french) => Cow::Owned(format!("{}{french}", &line[..line.len() - sentence.len()])),
        None => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_terminal_is_said_in_french_with_its_indent() {
        for (english, french) in [
            ("The queue is empty.", "La file est vide."),
            ("    type   TXT", "    type   TXT"),
            ("QUEUE ID", "ID DE FILE"),
            (
                "  ~ organisation contoso, credential copier",
                "  ~ organisation contoso, identifiant copier",
            ),
            (
                "There is no outbound connector yet: make one with `relais connector outbound add \
                 NAME`.",
                "Il n’y a pas encore de connecteur sortant\u{202f}: créez-en un avec `relais \
                 connector outbound add NOM`.",
            ),
            ("there is no key 7.", "il n’y a pas de clé 7."),
        ] {
            assert_eq!(told(Language::French, english), french);
            assert_eq!(told(Language::English, english), english);
        }
    }
}
