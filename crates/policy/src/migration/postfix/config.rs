//! Names and values of `main.cf`, with `$names` in place, and the tables that they name.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::super::MigrationError;
use super::super::proposing::{Proposing, quoted};
use super::super::text::{files, last_part};

/// Settings that are read at most: Postfix has about 1,000.
const SETTINGS_MAX: usize = 3_000;
/// How deep `$names` may name each other.
const DEPTH_MAX: usize = 8;
/// Octets of a value with its `$names` in place.
const VALUE_OCTETS_MAX: usize = 256 << 10;
/// What putting one `$name` in place counts as.
const EXPANSION_OCTETS: usize = 16;
/// Lines of one table.
const LINES_MAX: usize = 20_000;
/// Tables that are texts, and so can be read.
const TEXTS: [&str; 8] = [
    "hash", "btree", "lmdb", "cdb", "dbm", "texthash", "cidr", "sdbm",
];
/// Settings that name tables which are read.
const TABLES: [&str; 10] = [
    "mynetworks",
    "relay_domains",
    "virtual_mailbox_domains",
    "virtual_alias_domains",
    "transport_maps",
    "sender_canonical_maps",
    "canonical_maps",
    "smtp_generic_maps",
    "sender_dependent_relayhost_maps",
    "smtp_sasl_password_maps",
];

pub(super) struct Config<'t> {
    values: BTreeMap<String, String>,
    files: BTreeMap<String, &'t str>,
}

/// Last parts of the names of the tables that are read from files.
pub fn maps_of(main: &str) -> BTreeSet<String> {
    let values = values(main);
    let config = Config {
        values,
        files: BTreeMap::new(),
    };
    let lists = TABLES.iter().flat_map(|key| config.list(key));
    lists
        .filter_map(|entry| Some(table_name(&entry)?.to_owned()))
        .collect()
}

/// Those of them that have passwords.
pub(in super::super) fn password_maps(main: &str) -> BTreeSet<String> {
    let config = Config {
        values: values(main),
        files: BTreeMap::new(),
    };
    let list = config.list("smtp_sasl_password_maps");
    list.iter()
        .filter_map(|entry| Some(table_name(entry)?.to_owned()))
        .collect()
}

/// `transport` of `hash:/etc/postfix/transport` and of `/etc/postfix/transport`.
fn table_name(entry: &str) -> Option<&str> {
    let entry = entry.trim_start_matches('!');
    let entry = entry.strip_prefix("proxy:").unwrap_or(entry);
    if entry.starts_with('/') {
        return Some(last_part(entry));
    }
    let (kind, path) = entry.split_once(':')?;
    (TEXTS.contains(&kind) && !path.is_empty()).then(|| last_part(path))
}

/// Lines with those that continue them.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let is_empty = line.trim().is_empty() || line.trim_start().starts_with('#');
        if is_empty {
            continue;
        }
        match lines.last_mut() {
            Some(last) if line.starts_with(char::is_whitespace) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            Some(_) | None => lines.push(line.trim().to_owned()),
        }
        if lines.len() > LINES_MAX {
            break;
        }
    }
    lines
}

fn values(main: &str) -> BTreeMap<String, String> {
    let lines = logical_lines(main);
    let pairs = lines.iter().filter_map(|line| line.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.trim(), value.trim()));
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    pairs
        .filter(|(name, _)| is_name(name))
        .take(SETTINGS_MAX)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

impl<'t> Config<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, MigrationError> {
        let (main, files) = files(text);
        let values = values(main);
        if values.is_empty() {
            let message = "there is no setting of Postfix in it; give what postconf -n writes";
            return Err(MigrationError::new(message));
        }
        Ok(Self { values, files })
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// With `$names` in place; empty: it is not set.
    pub(super) fn value(&self, key: &str) -> String {
        let value = self.values.get(key).map(String::as_str);
        let mut room = VALUE_OCTETS_MAX;
        self.expanded(value.unwrap_or_default(), 0, &mut room)
    }

    pub(super) fn is_yes(&self, key: &str) -> bool {
        self.value(key).eq_ignore_ascii_case("yes")
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.value(key).parse().ok()
    }

    /// Its entries: commas and spaces stand between them.
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        let value = self.value(key);
        let parts = value.split(|one: char| one == ',' || one.is_whitespace());
        let parts = parts.filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    /// `$name`, `${name}`, `$(name)`. `room`: octets that may still be written.
    fn expanded(&self, text: &str, depth: usize, room: &mut usize) -> String {
        let mut out = String::new();
        let mut left = text;
        while let Some((before, after)) = left.split_once('$')
            && *room > 0
        {
            put(&mut out, before, room);
            // Work counts as well as length.
            *room = room.saturating_sub(EXPANSION_OCTETS);
            let closing = match after.chars().next() {
                Some('{') => Some('}'),
                Some('(') => Some(')'),
                Some(_) | None => None,
            };
            let (name, rest) = match closing {
                Some(end) => after[1..].split_once(end).unwrap_or((&after[1..], "")),
                None => {
                    let is_of_name = |one: char| one.is_ascii_alphanumeric() || one == '_';
                    let end = after.find(|one| !is_of_name(one)).unwrap_or(after.len());
                    after.split_at(end)
                }
            };
            if let Some(value) = self.values.get(name).filter(|_| depth < DEPTH_MAX) {
                let value = self.expanded(value, depth + 1, room);
                out.push_str(&value);
            }
            left = rest;
        }
        put(&mut out, left, room);
        out.trim().to_owned()
    }

    /// Its entries, those of its tables in their place: the left sides.
    pub(super) fn names(&self, key: &str, proposing: &mut Proposing<'_>) -> Vec<String> {
        let mut names = Vec::new();
        for entry in each_once(self.list(key)) {
            if names.len() > LINES_MAX {
                let message =
                    format!("it names more than {LINES_MAX}, and the others are left out");
                proposing.unsupported(key, message);
                break;
            }
            let bare = entry.trim_start_matches('!');
            let is_table = bare.starts_with('/') || table_name(bare).is_some();
            let is_other = bare.contains(":/") || bare.contains('{') || bare.contains('}');
            if is_table || is_other {
                let exclusion = &entry[..entry.len() - bare.len()];
                let lines = self.lines(key, bare, proposing);
                names.extend(
                    lines
                        .into_iter()
                        .map(|(name, _)| format!("{exclusion}{name}")),
                );
            } else {
                names.push(entry);
            }
        }
        names
    }

    /// The lines of all tables of a setting: left side and right side.
    pub(super) fn table(&self, key: &str, proposing: &mut Proposing<'_>) -> Vec<(String, String)> {
        let entries = each_once(self.list(key));
        let lines = entries
            .iter()
            .flat_map(|entry| self.lines(key, entry, proposing));
        lines.take(LINES_MAX).collect()
    }

    fn lines(
        &self,
        key: &str,
        entry: &str,
        proposing: &mut Proposing<'_>,
    ) -> Vec<(String, String)> {
        let shown = quoted(entry);
        let Some(name) = table_name(entry) else {
            let message = format!("{shown} is no table of text, and is not read");
            proposing.unsupported(key, message);
            return Vec::new();
        };
        let Some(text) = self.files.get(name) else {
            let message = format!("{shown} is not there: give this file too, to take it over");
            proposing.unsupported(key, message);
            return Vec::new();
        };
        let lines = logical_lines(text);
        let pairs = lines.iter().map(|line| {
            let (left, right) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            (left.to_owned(), right.trim().to_owned())
        });
        pairs.collect()
    }
}

fn each_once(mut entries: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    entries.retain(|entry| seen.insert(entry.clone()));
    entries
}

/// Nothing of a text for which there is no room.
fn put(out: &mut String, text: &str, room: &mut usize) {
    match room.checked_sub(text.len()) {
        Some(left) => {
            *room = left;
            out.push_str(text);
        }
        None => *room = 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_within_values_are_put_in_place_and_never_without_end() {
        let text = "a = 10.0.0.0/8\nb = $a,\n  ${a} $(a)\n# c = 1\nloop = x $loop $loop\n\
                    big = $b$b$b$b$b$b$b$b\nbigger = $big$big$big$big$big$big$big$big\n";
        let config = Config::parse(text).ok().unwrap();
        assert_eq!(config.list("b"), ["10.0.0.0/8"; 3]);
        assert!(config.value("loop").starts_with("x x"));
        assert!(config.value("bigger").len() <= VALUE_OCTETS_MAX);
        assert_eq!(config.value("c"), "");
        assert!(Config::parse("no setting").is_err());
    }

    #[test]
    fn the_tables_that_are_files_are_known_by_name() {
        let text = "transport_maps = hash:/etc/postfix/transport, ldap:/etc/postfix/ldap.cf\n\
                    smtp_sasl_password_maps = proxy:lmdb:$config/sasl_passwd\n\
                    mynetworks = 10.0.0.0/8, cidr:/etc/postfix/nets, /etc/postfix/more\n";
        let all: Vec<_> = maps_of(text).into_iter().collect();
        assert_eq!(all, ["more", "nets", "sasl_passwd", "transport"]);
        assert!(password_maps(text).contains("sasl_passwd"));
    }
}
