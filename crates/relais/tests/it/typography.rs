//! French is set as French is: narrow no-break spaces before `; : ! ? »` and after `«`, and the
//! typographic apostrophe, in the catalogues of the admin centre and in the texts of the code.

use crate::tidy::{Source, files, none, sources};

/// Texts that must be as others write them.
const AS_OTHERS_WRITE: [(&str, &str); 3] = [
    ("crates/smtp/src/returned/", "words of other servers"),
    ("crates/smtp/src/dsn/writing.rs", "what is left in ASCII"),
    (
        "crates/relais/src/commands/demo/letters.rs",
        "mail of others",
    ),
];
/// A word of French and of no English sentence.
const WORDS: [&str; 12] = [
    " les ", " des ", " est ", " une ", " dans ", " sur ", " par ", " du ", " au ", " pas ",
    " pour ", " vos ",
];
const ACCENTED: &str = "àâçéèêëîïôùûœÀÉÊ";
const NARROW: char = '\u{202f}';

/// What is wrong with a French text, in words.
fn faults_of(text: &str) -> Vec<&'static str> {
    let letters: Vec<char> = text.chars().collect();
    let mut faults = Vec::new();
    let mut is_code = false;
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at)).copied();
        let after = letters.get(at + 1).copied();
        is_code ^= *letter == '`';
        if is_code {
            continue;
        }
        let is_end = after.is_none_or(|after| !after.is_ascii_alphanumeric());
        match letter {
            '\'' if is_letter(before) && is_letter(after) => faults.push("a straight apostrophe"),
            ';' | ':' | '!' | '?' | '»' if matches!(before, Some(' ' | '\u{a0}')) && is_end => {
                faults.push("a space before ; : ! ? or » that is wide or may break");
            }
            ';' | ':' | '!' | '?' if is_letter(before) && matches!(after, None | Some(' ')) => {
                faults.push("no space before ; : ! or ?");
            }
            '«' if after != Some(NARROW) => faults.push("« without a narrow space after it"),
            '»' if before != Some(NARROW) => faults.push("» without a narrow space before it"),
            '.' if text.contains("...") => faults.push("three points for …"),
            _ => {}
        }
    }
    faults.sort_unstable();
    faults.dedup();
    faults
}

fn is_letter(letter: Option<char>) -> bool {
    letter.is_some_and(char::is_alphabetic)
}

/// Has a French letter, a French word, or an article that is cut short.
pub(crate) fn is_french(text: &str) -> bool {
    let padded = format!(" {text} ");
    text.contains(|letter| ACCENTED.contains(letter))
        || WORDS.iter().any(|word| padded.contains(word))
        || "ldnscjm".chars().any(|article| {
            let cut = [format!(" {article}'"), format!(" {article}’")];
            cut.iter().any(|cut| padded.to_lowercase().contains(cut))
        })
}

/// Each text in double quotes of a file's code, with the number of its line.
pub(crate) fn texts(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in source.code() {
        let mut letters = line.chars().peekable();
        if let Some((_, text)) = &mut open {
            // A text goes on in the next line after a backslash; its indent is no part of it.
            *text = text.trim_end().to_owned() + " ";
            while letters.next_if(|letter| *letter == ' ').is_some() {}
        }
        let mut before = ' ';
        while let Some(letter) = letters.next() {
            match (&mut open, letter) {
                (Some((_, text)), '\\') => match letters.next() {
                    Some('u') => {
                        let code: String = letters.by_ref().take_while(|c| *c != '}').collect();
                        let code = u32::from_str_radix(code.trim_start_matches('{'), 16);
                        text.extend(code.ok().and_then(char::from_u32));
                    }
                    Some('n') => text.push('\n'),
                    Some(escaped) => text.push(escaped),
                    None => {}
                },
                (Some(_), '"') => found.extend(open.take()),
                (Some((_, text)), letter) => text.push(letter),
                // A quote in a character is no text.
                (None, '"') if before != '\'' && before != '\\' => {
                    open = Some((number, String::new()));
                }
                (None, '/') if before == '/' => break,
                (None, _) => {}
            }
            before = letter;
        }
    }
    found
}

#[test]
fn french_of_the_admin_centre_has_its_spaces_and_apostrophes() {
    let mut faults = Vec::new();
    for catalogue in files("crates/admin/locales/fr", ".ftl") {
        for (at, line) in catalogue.text.lines().enumerate() {
            let text = line.split_once(" = ").map_or(line, |(_, text)| text);
            for fault in faults_of(text.trim_start_matches("[other]")) {
                faults.push(format!("{}:{}: {fault}: {text}", catalogue.path, at + 1));
            }
        }
    }
    for card in files("crates/admin/cards", ".toml") {
        for line in card.text.lines().filter(|line| line.contains("_fr = ")) {
            for fault in faults_of(line.split('"').nth(1).unwrap_or_default()) {
                faults.push(format!("{}: {fault}: {line}", card.path));
            }
        }
    }
    none(&faults);
}

#[test]
fn french_of_help_and_phrasebooks_has_its_spaces_and_apostrophes() {
    let mut faults = Vec::new();
    let mut all = files("crates/relais/locales", ".txt");
    all.extend(files("crates/admin/locales", ".txt"));
    assert_eq!(all.len(), 7);
    for book in all {
        // Between lines that say what follows, each pair is English and French.
        let lines = book.text.lines().filter(|line| !line.starts_with("# "));
        let lines = lines.filter(|line| !line.is_empty());
        for text in lines.skip(1).step_by(2) {
            for fault in faults_of(text) {
                faults.push(format!("{fault}: {text}"));
            }
        }
    }
    none(&faults);
}

#[test]
fn french_of_the_code_has_its_spaces_and_apostrophes() {
    let mut faults = Vec::new();
    let mut count = 0;
    for source in sources().iter().filter(|source| source.is_shipped()) {
        if AS_OTHERS_WRITE
            .iter()
            .any(|(path, _)| source.path.starts_with(path))
        {
            continue;
        }
        for (line, text) in texts(source) {
            if !is_french(&text) {
                continue;
            }
            count += 1;
            for fault in faults_of(&text) {
                faults.push(format!("{}:{line}: {fault}: {text}", source.path));
            }
        }
    }
    none(&faults);
    assert!(count > 400, "only {count} texts were found to be French");
}

#[test]
fn a_wrong_space_or_apostrophe_is_seen() {
    for wrong in [
        "l'eau",
        "Oui : non",
        "Oui\u{a0}: non",
        "Oui: non",
        "« oui »",
        "Et...",
    ] {
        assert!(!faults_of(wrong).is_empty(), "{wrong}");
    }
    for right in [
        "l’eau",
        "Oui\u{202f}: non",
        "«\u{202f}oui\u{202f}»",
        "`a : b'c`",
        "10:30",
    ] {
        assert!(faults_of(right).is_empty(), "{right}");
    }
}
