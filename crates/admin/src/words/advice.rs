//! What to do about a refusal, found by the reply that a device shows.

use relais_smtp::refusal::{CATALOGUE, CatalogueEntry};

use super::Language;

/// `FROM-DOMAIN` of `… (FROM-DOMAIN 7F3K2)`.
pub fn token(reply: &str) -> Option<&str> {
    ending(reply).map(|(token, _)| token)
}

/// `7F3K2` of the same.
pub fn reference(reply: &str) -> Option<&str> {
    ending(reply).map(|(_, reference)| reference)
}

fn ending(reply: &str) -> Option<(&str, &str)> {
    let (_, ending) = reply.strip_suffix(')')?.rsplit_once('(')?;
    ending.split_once(' ')
}

/// What a token means: the first cause of the catalogue that has it.
pub fn meaning(token: &str, language: Language) -> Option<&'static str> {
    let entry = CATALOGUE.iter().find(|entry| entry.token() == token)?;
    Some(language.pick(entry.cause_en, entry.cause_fr))
}

/// Cause and fix of the catalogue, for a reply that ends with token and reference.
pub fn advice(reply: &str, language: Language) -> Option<(&'static str, &'static str)> {
    let token = token(reply)?;
    let code = reply.get(..3)?.parse::<u16>().ok()?;
    let fits = |entry: &&CatalogueEntry| entry.token() == token && entry.code().get() == code;
    let entries: Vec<_> = CATALOGUE.iter().filter(fits).collect();
    // Several causes may share a token and a code: then the words decide.
    let text = reply.splitn(3, ' ').nth(2).unwrap_or_default();
    let begins = |entry: &&&CatalogueEntry| {
        let pattern = entry.pattern();
        let head = pattern.split('<').next().unwrap_or(pattern);
        text.starts_with(head)
    };
    let entry = entries.iter().find(begins).or(entries.first())?;
    Some(language.pick(
        (entry.cause_en, entry.fix_en),
        (entry.cause_fr, entry.fix_fr),
    ))
}
