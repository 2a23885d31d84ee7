//! The file as a tree of values that know where they stand, with the environment's overrides laid
//! over it. What the keys mean is read by `read`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Form, Kind};

/// Blocks of one kind that environment variables may number (`RELAIS_LISTENER__15__ADDRESS`).
/// More listeners than that belong in a file.
const ENVIRONMENT_BLOCKS_MAX: usize = 16;

/// Where a value stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// In the file; both from 1.
    File {
        /// Line.
        line: usize,
        /// Column, in characters.
        column: usize,
    },
    /// In this variable.
    Environment(String),
    /// Nowhere: the default, or something that is missing altogether.
    Absent,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { line, column } => write!(formatter, "line {line}, column {column}: "),
            Self::Environment(name) => write!(formatter, "{name}: "),
            Self::Absent => Ok(()),
        }
    }
}

/// One mistake, as a sentence with its place.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{place}{message}")]
pub(crate) struct Mistake {
    /// Where.
    pub(crate) place: Place,
    /// Cause and fix.
    pub(crate) message: String,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What TOML can say.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Tree),
    /// Something that no key takes, by its name: a float, a bare date.
    Other(&'static str),
}

/// Keys with their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree(BTreeMap<String, (Place, Node)>);

impl Tree {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.0.get(key).map(|(_, node)| node)
    }

    /// All keys with their own places.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&str, &Place, &Node)> {
        self.0
            .iter()
            .map(|(key, (place, node))| (key.as_str(), place, node))
    }

    /// Reads TOML.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let lines = Lines { text };
        match DeTable::parse(text) {
            Ok(table) => Ok(lines.tree(table.get_ref())),
            Err(error) => Err(Mistake {
                place: lines.place(error.span().unwrap_or(0..0)),
                message: error.message().trim().replace('\n', " "),
            }),
        }
    }

    /// Lays `RELAIS_*` variables over the file; a sentence for each that means nothing.
    pub(crate) fn overlay(&mut self, variables: &[(String, String)]) -> Vec<String> {
        let mut unknown = Vec::new();
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix("RELAIS_") else {
                continue;
            };
            // The file itself, the master key, which must stand in no text, and what the command
            // line needs for a server elsewhere.
            let is_elsewhere = matches!(rest, "CONFIG" | "API_KEY" | "API_KEY_FILE");
            if is_elsewhere || name == crate::config::KEY_VARIABLE {
                continue;
            }
            let path = rest.to_ascii_lowercase();
            if !self.set(&path.split("__").collect::<Vec<_>>(), name, text) {
                unknown.push(format!(
                    "the environment variable {name} names no known key"
                ));
            }
        }
        unknown
    }

    fn set(&mut self, path: &[&str], variable: &str, text: &str) -> bool {
        let (section, index, name) = match path {
            [name] => ("", None, *name),
            [section, name] => (*section, None, *name),
            [section, index, name] => match index.parse::<usize>() {
                Ok(index) if index < ENVIRONMENT_BLOCKS_MAX => (*section, Some(index), *name),
                Ok(_) | Err(_) => return false,
            },
            _ => return false,
        };
        let Some(section) = keys::section(section) else {
            return false;
        };
        let Some(key) = section.key(name) else {
            return false;
        };
        if (section.form == Form::Blocks) != index.is_some() {
            return false;
        }
        let place = Place::Environment(variable.to_owned());
        let target = match (section.name, index) {
            ("", _) => Some(&mut *self),
            (section, None) => self.table(section, &place),
            (section, Some(index)) => self.block(section, index, &place),
        };
        let Some(target) = target else { return false };
        let node = Node {
            place: place.clone(),
            value: value_of(key.kind, text, &place),
        };
        target.0.insert(name.to_owned(), (place, node));
        true
    }

    fn table(&mut self, name: &str, place: &Place) -> Option<&mut Self> {
        let empty = || {
            let value = Value::Table(Self::default());
            (
                place.clone(),
                Node {
                    place: place.clone(),
                    value,
                },
            )
        };
        match &mut self.0.entry(name.to_owned()).or_insert_with(empty).1.value {
            Value::Table(tree) => Some(tree),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Boolean(_)
            | Value::List(_)
            | Value::Other(_) => None,
        }
    }

    fn block(&mut self, name: &str, index: usize, place: &Place) -> Option<&mut Self> {
        let empty = || {
            (
                place.clone(),
                Node {
                    place: place.clone(),
                    value: Value::List(vec![]),
                },
            )
        };
        let Value::List(blocks) = &mut self.0.entry(name.to_owned()).or_insert_with(empty).1.value
        else {
            return None;
        };
        while blocks.len() <= index {
            blocks.push(Node {
                place: place.clone(),
                value: Value::Table(Self::default()),
            });
        }
        match &mut blocks[index].value {
            Value::Table(tree) => Some(tree),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Boolean(_)
            | Value::List(_)
            | Value::Other(_) => None,
        }
    }
}

/// A variable's text as the value that its key takes; lists are separated by commas. What does not
/// fit stays text, so that the reader names the mistake.
fn value_of(kind: Kind, text: &str, place: &Place) -> Value {
    let as_text = || Value::Text(text.to_owned());
    match kind {
        Kind::Text | Kind::Name | Kind::Path | Kind::Socket | Kind::Choice(_) | Kind::Date => {
            as_text()
        }
        Kind::Integer(..) => text
            .trim()
            .parse()
            .map_or_else(|_| as_text(), Value::Integer),
        Kind::Boolean => text
            .trim()
            .parse()
            .map_or_else(|_| as_text(), Value::Boolean),
        Kind::Octets => text
            .trim()
            .parse()
            .map_or_else(|_| as_text(), Value::Integer),
        Kind::Paths
        | Kind::Servers
        | Kind::Targets
        | Kind::Names
        | Kind::Addresses
        | Kind::Networks => {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            let node = |part: &str| Node {
                place: place.clone(),
                value: Value::Text(part.to_owned()),
            };
            Value::List(parts.map(node).collect())
        }
    }
}

/// Finds line and column of octet positions.
struct Lines<'a> {
    text: &'a str,
}

impl Lines<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        let mut at = span.start.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place::File {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn tree(&self, table: &DeTable<'_>) -> Tree {
        let entries = table.iter().map(|(key, value)| {
            let place = self.place(key.span());
            (key.get_ref().to_string(), (place, self.node(value)))
        });
        Tree(entries.collect())
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Other("number out of range"), Value::Integer),
            DeValue::Boolean(truth) => Value::Boolean(*truth),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item)).collect())
            }
            DeValue::Table(table) => Value::Table(self.tree(table)),
            DeValue::Float(_) => Value::Other("number with a point"),
            DeValue::Datetime(_) => Value::Other("bare date (put it in quotes)"),
        };
        Node { place, value }
    }
}
