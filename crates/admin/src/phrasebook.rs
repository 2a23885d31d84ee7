//! What the API says, in French: its answers are English whoever asks, and so are the errors of the
//! crates below; pages and terminal show them to people. A phrasebook has a line of English with
//! `{places}` and its French beneath. A test finds every such sentence in the sources, so that none
//! is forgotten and none stays that nobody says.
//!
//! In the French, `{place}` is what stood there, `{~place}` its French where there is some,
//! `{!place}` its French without which the line does not fit, and `{=place}` the same of a part of
//! a sentence.
//!
//! Not here: what pages say of themselves (`lang`). Nothing is decided by what a sentence says.

use std::borrow::Cow;
use std::sync::OnceLock;

use relais_policy::trigger;

use crate::language::Language;

/// What the API and the crates below say.
pub const SENTENCES: &str = include_str!("../locales/sentences.fr.txt");
/// What stands within a sentence, and what libraries and the operating system say there.
pub const PARTS: &str = include_str!("../locales/parts.fr.txt");
/// What is kept in English for whoever reads it later: what audit, trace and alerts tell.
pub const DETAILS: &str = include_str!("../locales/details.fr.txt");
/// States, and other words that stand alone in tables.
pub const WORDS: &str = include_str!("../locales/words.fr.txt");

/// Longest sentence that is looked up, in octets: ours have a few hundred.
const SENTENCE_OCTETS_MAX: usize = 4_096;
/// Sentences within a sentence: a role within a meaning of an issuer's value, before and after it
/// changed, is six.
const DEPTH_MAX: usize = 6;

/// What stands before the name of a place.
const MARKS: [char; 3] = ['~', '!', '='];

/// A sentence of the API for who reads this language; as it is where there is no French of it.
pub fn told(language: Language, sentence: &str) -> Cow<'_, str> {
    match language {
        Language::English => Cow::Borrowed(sentence),
        Language::French => either(sentence, book().french(sentence)),
    }
}

/// The same of what is no sentence by itself: what was found at a step, and why.
pub fn told_part(language: Language, part: &str) -> Cow<'_, str> {
    match language {
        Language::English => Cow::Borrowed(part),
        Language::French if part.len() > SENTENCE_OCTETS_MAX => Cow::Borrowed(part),
        Language::French => either(part, book().within(part, 1)),
    }
}

/// The same of what audit, trace and alerts tell: a whole, or several with `; ` between them, each
/// in French where there is some. What a server replied stays.
pub fn told_detail(language: Language, detail: &str) -> Cow<'_, str> {
    static BOOK: OnceLock<Phrasebook> = OnceLock::new();
    if language == Language::English {
        return Cow::Borrowed(detail);
    }
    let book = BOOK.get_or_init(|| Phrasebook::new(&[SENTENCES], &[DETAILS, PARTS]));
    Cow::Owned(book.pieces(detail))
}

/// The French of a word that stands alone in a table; `None`: English is wanted, or there is none.
pub fn told_word(language: Language, word: &str) -> Option<&'static str> {
    let mut words = pairs(WORDS).into_iter();
    let (english, french) = words.find(|(english, _)| *english == word)?;
    language.pick(None, (english != french).then_some(french))
}

/// The same of a line of the audit, which may be what was done, and whose it is.
pub fn told_audit(language: Language, line: &str) -> Cow<'_, str> {
    let told = told_detail(language, line);
    let whose = line.split_once(" of ").filter(|_| told == line);
    // A number and addresses are no words.
    let is_name = |word: &str| word.ends_with(':') || word.contains('@');
    let is_what = |what: &str| !what.contains(' ') || what.split(' ').all(is_name);
    match whose.filter(|(what, whose)| is_what(what) && !whose.contains(' ')) {
        Some((what, whose)) if language == Language::French => format!("{what} de {whose}").into(),
        _ => told,
    }
}

fn either(english: &str, french: Option<String>) -> Cow<'_, str> {
    french.map_or(Cow::Borrowed(english), Cow::Owned)
}

fn book() -> &'static Phrasebook {
    static BOOK: OnceLock<Phrasebook> = OnceLock::new();
    BOOK.get_or_init(|| Phrasebook::new(&[SENTENCES], &[PARTS]))
}

/// Sentences and their French.
pub struct Phrasebook {
    /// Those that say most first.
    phrases: Vec<Phrase>,
}

impl Phrasebook {
    /// Of these lines; those of `parts` only where they stand within another.
    pub fn new(sentences: &[&'static str], parts: &[&'static str]) -> Self {
        let of = |texts: &[&'static str], is_part| {
            let pairs = texts.iter().flat_map(|text| pairs(text));
            let phrases = pairs.map(|pair| Phrase::new(pair, is_part));
            phrases.collect::<Vec<_>>()
        };
        let mut phrases = of(sentences, false);
        phrases.extend(of(parts, true));
        phrases.sort_by_key(|phrase| std::cmp::Reverse((phrase.names_what(), phrase.weight())));
        Self { phrases }
    }

    /// The French of an English sentence.
    pub fn french(&self, sentence: &str) -> Option<String> {
        // With a narrow space in it, it is French already.
        let is_long = sentence.len() > SENTENCE_OCTETS_MAX;
        match is_long || sentence.contains('\u{202f}') {
            true => None,
            false => self.within(sentence, 0),
        }
    }

    fn within(&self, sentence: &str, depth: usize) -> Option<String> {
        if depth > DEPTH_MAX {
            return None;
        }
        let phrases = || {
            let all = self.phrases.iter();
            all.filter(|phrase| depth > 0 || !phrase.is_part)
        };
        let found = phrases().find_map(|phrase| self.said(phrase, sentence, depth));
        // An error becomes a sentence by its full stop.
        found.or_else(|| {
            let bare = sentence.strip_suffix('.')?;
            let french = phrases().find_map(|phrase| self.said(phrase, bare, depth))?;
            Some(format!("{french}."))
        })
    }

    fn said(&self, phrase: &Phrase, sentence: &str, depth: usize) -> Option<String> {
        let found = phrase.found_in(sentence)?;
        let (between, places) = &phrase.french;
        let mut text = String::with_capacity(sentence.len() + 32);
        for (at, part) in between.iter().enumerate() {
            text.push_str(part);
            let Some(place) = places.get(at) else { break };
            let bare = place.trim_start_matches(MARKS);
            let number = phrase.places.iter().position(|name| *name == bare)?;
            let value = *found.get(number)?;
            match place.chars().next() {
                Some('~') => text.push_str(&self.listed(value, depth)),
                Some('!') => text.push_str(&self.within(value, depth + 1)?),
                Some('=') => text.push_str(&self.part(value)?),
                _ => text.push_str(value),
            }
        }
        Some(text)
    }

    /// The French of what never stands by itself.
    fn part(&self, value: &str) -> Option<String> {
        let mut parts = self.phrases.iter().filter(|phrase| phrase.is_part);
        parts.find_map(|phrase| self.said(phrase, value, DEPTH_MAX))
    }

    /// A part of a sentence, or several with `; ` between them, each by itself; what has no French
    /// stays as it is, and so does what a server replied, which begins with its code.
    pub fn pieces(&self, detail: &str) -> String {
        let is_reply = match detail.as_bytes() {
            [one, two, three] | [one, two, three, b' ' | b'-', ..] => {
                [one, two, three].iter().all(|digit| digit.is_ascii_digit())
            }
            _ => false,
        };
        if is_reply || detail.len() > SENTENCE_OCTETS_MAX {
            return detail.to_owned();
        }
        let is_several = |part: &&&str| part.contains("; ");
        let mut whole = self.phrases.iter();
        let whole = whole.find_map(|phrase| {
            phrase.between.iter().find(is_several)?;
            self.said(phrase, detail, 1)
        });
        if let Some(french) = whole {
            return french;
        }
        let pieces = detail.split("; ").map(|piece| self.listed(piece, 0));
        pieces.collect::<Vec<_>>().join("\u{202f}; ")
    }

    /// A value that is itself something to say, or several with `; ` between them.
    fn listed(&self, value: &str, depth: usize) -> String {
        let french = self.within(value, depth + 1);
        if let Some(french) = french.or_else(|| trigger::in_french(value)) {
            return french;
        }
        let parts = value.split("; ").map(|part| self.within(part, depth + 1));
        let french: Option<Vec<_>> = parts.collect();
        french.map_or_else(|| value.to_owned(), |parts| parts.join("\u{202f}; "))
    }
}

/// A line cut at its places: what stands between them, one more than these, and their names.
type Cut = (Vec<&'static str>, Vec<&'static str>);

/// One line of English, and its French.
struct Phrase {
    between: Vec<&'static str>,
    places: Vec<&'static str>,
    french: Cut,
    /// Of a sentence; never one by itself.
    is_part: bool,
}

impl Phrase {
    fn new((english, french): (&'static str, &'static str), is_part: bool) -> Self {
        let (between, places) = cut(english);
        Self {
            between,
            places,
            french: cut(french),
            is_part,
        }
    }

    /// Whether it begins with something that must be known: an object and what is wrong with it is
    /// never taken apart in another way.
    fn names_what(&self) -> bool {
        let (between, places) = &self.french;
        let begins = between.first().is_some_and(|part| part.is_empty());
        begins && places.first().is_some_and(|place| place.starts_with('='))
    }

    /// Letters that must be the same: of two phrases that fit, the one with more says it better.
    fn weight(&self) -> usize {
        self.between.iter().map(|part| part.len()).sum()
    }

    /// What stands at the places. Each part is looked for from the left: where the parts fit at
    /// all, they fit so.
    fn found_in<'a>(&self, sentence: &'a str) -> Option<Vec<&'a str>> {
        let (first, rest) = self.between.split_first()?;
        let mut left = sentence.strip_prefix(first)?;
        let Some((last, middle)) = rest.split_last() else {
            return left.is_empty().then(Vec::new);
        };
        let mut found = Vec::with_capacity(self.places.len());
        for part in middle {
            let (value, after) = left.split_once(part)?;
            found.push(value);
            left = after;
        }
        found.push(left.strip_suffix(last)?);
        Some(found)
    }
}

fn cut(line: &'static str) -> Cut {
    let (mut between, mut places, mut left) = (Vec::new(), Vec::new(), line);
    while let Some((before, after)) = left.split_once('{') {
        let Some((name, rest)) = after.split_once('}') else {
            break;
        };
        between.push(before);
        places.push(name);
        left = rest;
    }
    between.push(left);
    (between, places)
}

/// The lines of a book, two by two: English, and the French of it.
pub fn pairs(text: &'static str) -> Vec<(&'static str, &'static str)> {
    let lines = text.lines().filter(|line| !line.starts_with("# "));
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    let pairs = lines.chunks_exact(2);
    pairs
        .filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)))
        .collect()
}

#[cfg(test)]
mod tests;
