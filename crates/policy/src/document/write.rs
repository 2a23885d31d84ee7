//! Writing a settings file that a person likes to read: `[[organisation.domain]]` blocks, inline
//! tables within them, what equals its default left out except for the keys that one looks for.

use std::collections::HashMap;
use std::fmt::Write as _;

use toml::{Table, Value};

use super::schema::{self, DefaultValue, Kind, Section};

/// Lists longer than this, in characters, are written one item a line.
const LINE_CHARACTERS_MAX: usize = 90;

/// The TOML of a document given as a table.
pub(super) fn document(root: &Table) -> String {
    let mut writer = Writer {
        defaults: Defaults::new(),
        out: String::new(),
    };
    if let Some(section) = schema::section("") {
        writer.section(section, root);
    }
    writer.out
}

/// The default of every setting, by path.
pub(crate) struct Defaults(HashMap<String, Value>);

impl Defaults {
    /// Reads them from the schema.
    pub(crate) fn new() -> Self {
        let mut defaults = HashMap::new();
        for section in schema::sections() {
            for setting in section.keys {
                if let DefaultValue::Toml(text) = setting.default
                    && let Ok(value) = text.parse::<Value>()
                {
                    defaults.insert(section.path_of(setting.key), value);
                }
            }
        }
        Self(defaults)
    }

    /// Whether an absent key would be read as this value.
    pub(crate) fn is_default(&self, path: &str, value: &Value) -> bool {
        self.0.get(path) == Some(value)
    }

    /// An object without the keys that equal their defaults, tables within it too.
    pub(crate) fn without_defaults(&self, section: &Section, table: &Table, keep: Keep) -> Table {
        let mut kept = Table::new();
        for (key, value) in table {
            let path = section.path_of(key);
            let value = match (schema::section(&path), value) {
                (Some(inner), Value::Table(inner_table)) => {
                    Value::Table(self.without_defaults(inner, inner_table, keep))
                }
                _ => value.clone(),
            };
            let always = section.key(key).is_some_and(|s| s.always_written) && keep == Keep::Shown;
            if always || !self.is_default(&path, &value) {
                kept.insert(key.clone(), value);
            }
        }
        kept
    }
}

/// Which keys stay although they equal their defaults.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Keep {
    /// Those that the schema marks for export.
    Shown,
    /// None.
    Nothing,
}

struct Writer {
    defaults: Defaults,
    out: String,
}

impl Writer {
    /// The keys of one object, then the blocks within it.
    fn section(&mut self, section: &Section, table: &Table) {
        let kept = self.defaults.without_defaults(section, table, Keep::Shown);
        let is_block = |key: &str| section.key(key).is_some_and(|s| s.kind == Kind::Blocks);
        for (key, value) in kept.iter().filter(|(key, _)| !is_block(key)) {
            self.key(key, value);
        }
        for (key, value) in kept.iter().filter(|(key, _)| is_block(key)) {
            let path = section.path_of(key);
            let (Some(inner), Value::Array(items)) = (schema::section(&path), value) else {
                continue;
            };
            for item in items.iter().filter_map(Value::as_table) {
                if !self.out.is_empty() {
                    self.out.push('\n');
                }
                let _ = writeln!(self.out, "[[{path}]]");
                self.section(inner, item);
            }
        }
    }

    fn key(&mut self, key: &str, value: &Value) {
        let line = format!("{key} = {value}");
        match value {
            Value::Array(items) if line.chars().count() > LINE_CHARACTERS_MAX => {
                let _ = writeln!(self.out, "{key} = [");
                for item in items {
                    let _ = writeln!(self.out, "    {item},");
                }
                self.out.push_str("]\n");
            }
            _ => {
                self.out.push_str(&line);
                self.out.push('\n');
            }
        }
    }
}
