//! Reading a settings file with errors that a person can act on: line, column, one sentence,
//! the nearest known name.
//!
//! The text is parsed into a tree with places and compared with the [schema](super::schema); only
//! then is it turned into types, which cannot fail any more but for an error of our own.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::DocumentError;
use super::schema::{self, DefaultValue, Kind, Section, Setting, nearest};
use super::value::{self, ByteCount, LIMIT_VALUE_MAX, Span};

/// Largest settings file in octets: about 200,000 directory entries. Larger directories come by
/// `relais directory import`.
pub const FILE_OCTETS_MAX: usize = 16 * 1_024 * 1_024;

/// A fault with its place as an offset in octets.
struct Fault {
    at: usize,
    message: String,
}

impl Fault {
    fn new(place: &Range<usize>, message: String) -> Self {
        Self {
            at: place.start,
            message,
        }
    }
}

/// Checks keys, kinds and forms of a whole file; the first fault is reported.
pub(super) fn check(text: &str) -> Result<(), DocumentError> {
    if text.len() > FILE_OCTETS_MAX {
        return Err(DocumentError {
            line: 1,
            column: 1,
            message: format!(
                "the file has {} octets, at most {} MiB are read; bring large directories in with \
                 relais directory import",
                text.len(),
                FILE_OCTETS_MAX >> 20
            ),
        });
    }
    let root = DeTable::parse(text).map_err(|error| from_toml_error(text, &error))?;
    let Some(section) = schema::section("") else {
        return Ok(());
    };
    check_table(section, root.get_ref(), &root.span())
        .map_err(|fault| at_place(text, fault.at, fault.message))
}

/// What the TOML parser or the types say, with its place.
pub(super) fn from_toml_error(text: &str, error: &toml::de::Error) -> DocumentError {
    let at = error.span().map_or(0, |span| span.start);
    at_place(text, at, error.message().replace('\n', ", "))
}

/// Line and column from an offset; both from 1, the column in characters.
fn at_place(text: &str, offset: usize, message: String) -> DocumentError {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    DocumentError {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message,
    }
}

fn check_table(section: &Section, table: &DeTable<'_>, place: &Range<usize>) -> Result<(), Fault> {
    for (key, value) in table.iter() {
        let Some(setting) = section.key(key.get_ref()) else {
            return Err(Fault::new(&key.span(), unknown_key(section, key.get_ref())));
        };
        check_value(section, setting, value.get_ref(), &value.span())?;
    }
    for setting in section.keys {
        let missing = !table.keys().any(|key| key.get_ref() == setting.key);
        if missing && setting.default == DefaultValue::Required {
            let heading = section.heading();
            return Err(Fault::new(
                place,
                format!("{heading} has no {:?}; add it", setting.key),
            ));
        }
    }
    Ok(())
}

fn unknown_key(section: &Section, key: &str) -> String {
    let mut message = format!("unknown key {key:?} in {}", section.heading());
    if let Some(known) = nearest(key, section.keys.iter().map(|setting| setting.key)) {
        message.push_str(&format!("; did you mean {known:?}?"));
        return message;
    }
    // A key of another kind of object: written under the wrong heading.
    let elsewhere = schema::sections()
        .iter()
        .find(|other| other.key(key).is_some());
    match elsewhere {
        Some(other) => message.push_str(&format!("; it belongs to {}", other.heading())),
        None => {
            let known = section
                .keys
                .iter()
                .map(|s| s.key)
                .collect::<Vec<_>>()
                .join(", ");
            message.push_str(&format!("; known are {known}"));
        }
    }
    message
}

fn check_value(
    section: &Section,
    setting: &Setting,
    value: &DeValue<'_>,
    place: &Range<usize>,
) -> Result<(), Fault> {
    let name = Name { section, setting };
    match setting.kind {
        Kind::Text => name.text(value, place).map(|_| ()),
        Kind::Integer => name.integer(value, place, u64::from(u32::MAX)).map(|_| ()),
        Kind::Boolean => match value {
            DeValue::Boolean(_) => Ok(()),
            other => Err(name.wrong_kind(other, place, "true or false")),
        },
        Kind::Choice(choices) => name.choice(value, place, choices),
        Kind::TextList => name.each(value, place, "a list of texts", |item, at| {
            name.text(item, at).map(|_| ())
        }),
        Kind::ChoiceList(choices) => name.each(value, place, "a list of texts", |item, at| {
            name.choice(item, at, choices)
        }),
        Kind::Networks => name.each(
            value,
            place,
            "a list of addresses and networks",
            |item, at| {
                let text = name.text(item, at)?;
                value::parse_network(text).map_err(|error| name.fault(at, &error.to_string()))?;
                Ok(())
            },
        ),
        Kind::Limit => name.limit(value, place),
        Kind::Octets => name.octets(value, place),
        Kind::Span => match value {
            DeValue::String(text) => match text.parse::<Span>() {
                Ok(_) => Ok(()),
                Err(error) => Err(name.fault(place, &error.to_string())),
            },
            other => Err(name.wrong_kind(other, place, "a span of time, as \"90s\" or \"4h\"")),
        },
        Kind::Table => name.table(value, place),
        Kind::TextTable => match value {
            DeValue::Table(table) => table
                .iter()
                .try_for_each(|(_, item)| name.text(item.get_ref(), &item.span()).map(|_| ())),
            other => Err(name.wrong_kind(other, place, "a table of texts")),
        },
        Kind::Blocks => name.blocks(value, place),
    }
}

/// A setting in its section, for messages.
#[derive(Clone, Copy)]
struct Name<'a> {
    section: &'a Section,
    setting: &'a Setting,
}

impl Name<'_> {
    fn fault(self, place: &Range<usize>, message: &str) -> Fault {
        let heading = self.section.heading();
        Fault::new(
            place,
            format!("{:?} in {heading}: {message}", self.setting.key),
        )
    }

    fn wrong_kind(self, value: &DeValue<'_>, place: &Range<usize>, expected: &str) -> Fault {
        let given = match value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let mut message = format!("takes {expected}, not {given}");
        if let (DeValue::String(text), true) = (value, self.takes_list()) {
            message.push_str(&format!("; write [{text:?}]"));
        }
        let heading = self.section.heading();
        Fault::new(
            place,
            format!("{:?} in {heading} {message}", self.setting.key),
        )
    }

    fn takes_list(self) -> bool {
        matches!(
            self.setting.kind,
            Kind::TextList | Kind::ChoiceList(_) | Kind::Networks
        )
    }

    fn text<'v>(self, value: &'v DeValue<'_>, place: &Range<usize>) -> Result<&'v str, Fault> {
        match value {
            DeValue::String(text) => Ok(text),
            other if self.takes_list() => {
                let expected = "a list of texts in quotes";
                Err(self.wrong_kind(other, place, expected))
            }
            other => Err(self.wrong_kind(other, place, "a text in quotes")),
        }
    }

    fn integer(self, value: &DeValue<'_>, place: &Range<usize>, max: u64) -> Result<u64, Fault> {
        let DeValue::Integer(number) = value else {
            return Err(self.wrong_kind(value, place, "a whole number"));
        };
        u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| *number <= max)
            .ok_or_else(|| self.fault(place, &format!("{number} is not from 0 to {max}")))
    }

    fn choice(
        self,
        value: &DeValue<'_>,
        place: &Range<usize>,
        choices: &[&str],
    ) -> Result<(), Fault> {
        let text = self.text(value, place)?;
        if choices.contains(&text) {
            return Ok(());
        }
        let quoted = choices
            .iter()
            .map(|choice| format!("{choice:?}"))
            .collect::<Vec<_>>();
        let hint = match nearest(text, choices.iter().copied()) {
            Some(known) => format!("did you mean {known:?}?"),
            None => format!("write {}", quoted.join(" or ")),
        };
        Err(self.fault(place, &format!("unknown value {text:?}; {hint}")))
    }

    fn each(
        self,
        value: &DeValue<'_>,
        place: &Range<usize>,
        expected: &str,
        check: impl Fn(&DeValue<'_>, &Range<usize>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let DeValue::Array(items) = value else {
            return Err(self.wrong_kind(value, place, expected));
        };
        items
            .iter()
            .try_for_each(|item| check(item.get_ref(), &item.span()))
    }

    fn limit(self, value: &DeValue<'_>, place: &Range<usize>) -> Result<(), Fault> {
        let DeValue::Table(table) = value else {
            if !matches!(value, DeValue::Integer(_)) {
                return Err(self.wrong_kind(
                    value,
                    place,
                    "a number, or { value = n, hard = true }",
                ));
            }
            return self.integer(value, place, LIMIT_VALUE_MAX).map(|_| ());
        };
        let mut has_value = false;
        for (key, item) in table.iter() {
            match (key.get_ref().as_ref(), item.get_ref()) {
                ("value", number) => {
                    self.integer(number, &item.span(), LIMIT_VALUE_MAX)?;
                    has_value = true;
                }
                ("hard", DeValue::Boolean(_)) => {}
                ("hard", other) => return Err(self.wrong_kind(other, &item.span(), "hard = true")),
                (other, _) => {
                    let message = format!("unknown key {other:?}; known are value, hard");
                    return Err(self.fault(&key.span(), &message));
                }
            }
        }
        if has_value {
            Ok(())
        } else {
            Err(self.fault(place, "has no \"value\"; add it"))
        }
    }

    fn octets(self, value: &DeValue<'_>, place: &Range<usize>) -> Result<(), Fault> {
        let text = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(_) => self.integer(value, place, u64::MAX)?.to_string(),
            other => return Err(self.wrong_kind(other, place, "a size, as \"25 MiB\"")),
        };
        match text.parse::<ByteCount>() {
            Ok(_) => Ok(()),
            Err(error) => Err(self.fault(place, &error.to_string())),
        }
    }

    fn table(self, value: &DeValue<'_>, place: &Range<usize>) -> Result<(), Fault> {
        let DeValue::Table(table) = value else {
            let expected = format!("a table: {} = {{ … }}", self.setting.key);
            return Err(self.wrong_kind(value, place, &expected));
        };
        match schema::section(&self.section.path_of(self.setting.key)) {
            Some(section) => check_table(section, table, place),
            None => Ok(()),
        }
    }

    fn blocks(self, value: &DeValue<'_>, place: &Range<usize>) -> Result<(), Fault> {
        let path = self.section.path_of(self.setting.key);
        let expected = format!("blocks headed [[{path}]]");
        let DeValue::Array(items) = value else {
            return Err(self.wrong_kind(value, place, &expected));
        };
        let Some(section) = schema::section(&path) else {
            return Ok(());
        };
        items.iter().try_for_each(|item| match item.get_ref() {
            DeValue::Table(table) => check_table(section, table, &item.span()),
            other => Err(self.wrong_kind(other, &item.span(), &expected)),
        })
    }
}
