//! What the terminal says, in the language of who sits there: sentences of our own, of the API and
//! of the reader of the command line. What scripts read is never looked up.

use std::borrow::Cow;
use std::sync::OnceLock;

use relais_admin::phrasebook::{DETAILS, PARTS, Phrasebook, SENTENCES, WORDS};

pub(crate) use relais_admin::words::Language;

/// The terminal's own sentences, headings and labels.
const TERMINAL: &str = include_str!("../locales/terminal.fr.txt");
/// What stands within them.
const TERMINAL_PARTS: &str = include_str!("../locales/parts.fr.txt");

/// Columns of tables that hold words of ours, or what came of something. The others hold names of
/// people and things, and what is typed as an option.
const COLUMNS: [&str; 22] = [
    "BOUNCES",
    "BY",
    "CAUSE",
    "DETAIL",
    "DKIM",
    "DNS",
    "EFFECT",
    "ENABLED",
    "EVERY",
    "FAULT",
    "LAST",
    "LAST REPLY",
    "MAILBOX",
    "READABLE",
    "REASON",
    "ROLE",
    "SECOND FACTOR",
    "SEES",
    "STATE",
    "SUBJECT",
    "VERIFICATION",
    "WHY",
];

/// A cell below this heading, for who reads this language.
pub(crate) fn told_cell<'a>(language: Language, heading: &str, cell: &'a str) -> Cow<'a, str> {
    static BOOK: OnceLock<Phrasebook> = OnceLock::new();
    if language == Language::English || !COLUMNS.contains(&heading) {
        return Cow::Borrowed(cell);
    }
    let book = BOOK
        .get_or_init(|| Phrasebook::new(&[SENTENCES], &[WORDS, TERMINAL_PARTS, DETAILS, PARTS]));
    Cow::Owned(book.pieces(cell))
}

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
    use relais_policy::document::ConnectorState;
    use relais_store::queue::RecipientStateName;

    use super::*;

    #[test]
    fn cells_of_tables_are_told_where_they_hold_words_and_kept_where_they_hold_names() {
        for (heading, english, french) in [
            ("STATE", "enabled", "activé"),
            ("STATE", "pending", "à vérifier"),
            ("ROLE", "helpdesk", "assistance"),
            ("EFFECT", "hold", "retient"),
            ("NAME", "pending", "pending"),
            (
                "DETAIL",
                "80 used of 100, reached at 2026-12-01 at this pace",
                "80 utilisés sur 100, atteint le 2026-12-01 à ce rythme",
            ),
            (
                "FAULT",
                "no domain is verified that it could come from",
                "aucun domaine dont il pourrait venir n’est vérifié",
            ),
            (
                "REASON",
                "trigger volume: 500 recipients within an hour",
                "500 destinataires en une heure",
            ),
        ] {
            assert_eq!(told_cell(Language::French, heading, english), french);
            assert_eq!(told_cell(Language::English, heading, english), english);
        }
    }

    /// Every state that a table shows.
    #[test]
    fn every_state_has_its_word() {
        let json = |value: serde_json::Result<serde_json::Value>| value.expect("JSON");
        let states = [
            ConnectorState::Draft,
            ConnectorState::Observing,
            ConnectorState::Enabled,
            ConnectorState::Disabled,
        ];
        let states = states.map(|state| json(serde_json::to_value(state)));
        let states = states.iter().map(|state| state.as_str().expect("a word"));
        let roles = ["owner", "operator", "helpdesk", "auditor", "installer"];
        let held = [
            RecipientStateName::Queued,
            RecipientStateName::Active,
            RecipientStateName::Deferred,
            RecipientStateName::Held,
        ];
        let held = held.iter().map(|state| state.name());
        let others = [
            "pending",
            "verified",
            "lapsing",
            "suspended",
            "waiting",
            "retiring",
        ];
        for word in states.chain(roles).chain(held).chain(others) {
            let told = told_cell(Language::French, "STATE", word);
            assert_ne!(told, word);
        }
    }

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
