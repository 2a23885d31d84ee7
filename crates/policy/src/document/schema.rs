//! Every setting as a list that a program can read: path, kind, default, bound, one line of words.
//!
//! The reference of settings is generated from it, the reader finds unknown keys and wrong values
//! by it, the writer and the difference leave out what equals its default. A test proves that it
//! has exactly the keys of the types beside it.

mod table;

/// The keys of one kind of object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Section {
    /// Where it stands: `organisation.domain`; empty for the top of the file.
    pub path: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Setting],
}

/// One setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setting {
    /// Its name in its section: `kind`.
    pub key: &'static str,
    /// What may be written.
    pub kind: Kind,
    /// How an absent key is read, as TOML.
    pub default: DefaultValue,
    /// What is allowed beyond the kind; empty: nothing to say.
    pub bound: &'static str,
    /// One line for people.
    pub doc: &'static str,
    /// Export writes it even where it equals its default.
    pub always_written: bool,
}

/// What may be written for a setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number, not negative.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A list of texts.
    TextList,
    /// A list of these texts.
    ChoiceList(&'static [&'static str]),
    /// A list of addresses and networks.
    Networks,
    /// A number, or `{ value = n, hard = true }`.
    Limit,
    /// `"25 MiB"` or a number.
    Octets,
    /// `"90s"`, `"4h"`.
    Span,
    /// `{ … }` with keys of its own, listed with longer paths.
    Table,
    /// `{ … }` with any keys, each with a text.
    TextTable,
    /// `[[…]]` blocks with keys of their own, listed with longer paths.
    Blocks,
}

impl Kind {
    /// For people: `text`, `"a" | "b"`, `list of texts` …
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Integer => "number".to_owned(),
            Self::Boolean => "true | false".to_owned(),
            Self::Choice(choices) => choices.join(" | "),
            Self::TextList => "list of texts".to_owned(),
            Self::ChoiceList(choices) => format!("list of {}", choices.join(" | ")),
            Self::Networks => "list of addresses and networks".to_owned(),
            Self::Limit => "number, or { value = n, hard = true }".to_owned(),
            Self::Octets => "size, as \"25 MiB\"".to_owned(),
            Self::Span => "span of time, as \"90s\" or \"4h\"".to_owned(),
            Self::Table | Self::TextTable => "table".to_owned(),
            Self::Blocks => "blocks".to_owned(),
        }
    }
}

/// How an absent key is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DefaultValue {
    /// The key must be there.
    Required,
    /// Nothing: no limit, or as the words say.
    Absent,
    /// This value, as TOML.
    Toml(&'static str),
}

impl DefaultValue {
    /// For people: the value as TOML, `required`, or `none`.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Absent => "none",
            Self::Toml(text) => text,
        }
    }
}

/// Every section with its keys, in the order of the reference.
pub fn sections() -> &'static [Section] {
    table::SECTIONS
}

/// The section of that path.
pub fn section(path: &str) -> Option<&'static Section> {
    table::SECTIONS.iter().find(|section| section.path == path)
}

impl Section {
    /// The setting of that name.
    pub fn key(&self, name: &str) -> Option<&'static Setting> {
        self.keys.iter().find(|setting| setting.key == name)
    }

    /// The path of one of its keys: `organisation.domain.kind`.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// As it is headed in the file: `[[organisation.domain]]`, or `dkim of
    /// [[organisation.domain]]` for a table within a block.
    pub fn heading(&self) -> String {
        if self.path.is_empty() {
            return "the settings file".to_owned();
        }
        let parent = self.path.rsplit_once('.').and_then(|(parent, key)| {
            let kind = section(parent)?.key(key)?.kind;
            (kind == Kind::Table).then_some((parent, key))
        });
        match parent {
            Some((parent, key)) => format!("{key} of [[{parent}]]"),
            None => format!("[[{}]]", self.path),
        }
    }
}

/// The known name nearest to a mistyped one, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong; more is another word.
    let distance_max = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
