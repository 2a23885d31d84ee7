//! Reading typed values out of the tree: the mistake of one key never hides those of the others.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use relais_policy::document::{ByteCount, parse_network};
use relais_smtp::domain::Domain;

use super::keys::{self, Fallback, Form, Key, Kind, Section};
use super::tree::{Mistake, Node, Place, Tree, Value};

/// Mistakes found so far.
pub(crate) type Mistakes = RefCell<Vec<Mistake>>;

/// Unknown keys, and sections of the wrong form, of the whole file.
pub(crate) fn check_names(tree: &Tree, mistakes: &Mistakes) {
    let top = &keys::SECTIONS[0];
    for (name, place, node) in tree.keys() {
        if top.key(name).is_some() {
            continue;
        }
        let Some(section) = keys::section(name).filter(|section| !section.name.is_empty()) else {
            let known = keys::SECTIONS.iter().map(|section| section.name);
            let known = known.chain(top.keys.iter().map(|key| key.name));
            mistakes
                .borrow_mut()
                .push(unknown(name, place, keys::nearest(name, known)));
            continue;
        };
        check_section(section, node, mistakes);
    }
}

fn check_section(section: &'static Section, node: &Node, mistakes: &Mistakes) {
    let blocks = section.form == Form::Blocks;
    match &node.value {
        Value::Table(tree) if !blocks => check_keys(section, tree, mistakes),
        Value::List(items) if blocks => {
            for item in items {
                match &item.value {
                    Value::Table(tree) => check_keys(section, tree, mistakes),
                    Value::Text(_)
                    | Value::Integer(_)
                    | Value::Boolean(_)
                    | Value::List(_)
                    | Value::Other(_) => mistakes.borrow_mut().push(wrong_form(section, node)),
                }
            }
        }
        Value::Text(_)
        | Value::Integer(_)
        | Value::Boolean(_)
        | Value::List(_)
        | Value::Table(_)
        | Value::Other(_) => mistakes.borrow_mut().push(wrong_form(section, node)),
    }
}

fn wrong_form(section: &Section, node: &Node) -> Mistake {
    let message = format!("{} is written as {}", section.name, section.heading());
    Mistake {
        place: node.place.clone(),
        message,
    }
}

fn check_keys(section: &'static Section, tree: &Tree, mistakes: &Mistakes) {
    for (name, place, _) in tree.keys() {
        if section.key(name).is_none() {
            let near = keys::nearest(name, section.keys.iter().map(|key| key.name));
            mistakes.borrow_mut().push(unknown(name, place, near));
        }
    }
}

fn unknown(name: &str, place: &Place, near: Option<&str>) -> Mistake {
    let message = match near {
        Some(near) => format!("unknown key \"{name}\"; did you mean \"{near}\"?"),
        None => format!("unknown key \"{name}\"; see `relais schema config` for the known ones"),
    };
    Mistake {
        place: place.clone(),
        message,
    }
}

/// Reads the keys of one section.
pub(crate) struct Reader<'a> {
    section: &'static Section,
    tree: Option<&'a Tree>,
    mistakes: &'a Mistakes,
}

impl<'a> Reader<'a> {
    /// Of a section that stands once.
    pub(crate) fn table(tree: &'a Tree, name: &'static str, mistakes: &'a Mistakes) -> Self {
        let section = keys::section(name).expect("the name is one of the table in keys.rs");
        let own = if name.is_empty() {
            Some(tree)
        } else {
            tree.get(name).and_then(|node| match &node.value {
                Value::Table(tree) => Some(tree),
                Value::Text(_)
                | Value::Integer(_)
                | Value::Boolean(_)
                | Value::List(_)
                | Value::Other(_) => None,
            })
        };
        Self {
            section,
            tree: own,
            mistakes,
        }
    }

    /// Of each block of that name.
    pub(crate) fn blocks(tree: &'a Tree, name: &'static str, mistakes: &'a Mistakes) -> Vec<Self> {
        let section = keys::section(name).expect("the name is one of the table in keys.rs");
        let Some(Node {
            value: Value::List(items),
            ..
        }) = tree.get(name)
        else {
            return Vec::new();
        };
        let reader = |item: &'a Node| match &item.value {
            Value::Table(tree) => Some(Self {
                section,
                tree: Some(tree),
                mistakes,
            }),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Boolean(_)
            | Value::List(_)
            | Value::Other(_) => None,
        };
        items.iter().filter_map(reader).collect()
    }

    /// Of a block that holds only defaults.
    pub(crate) fn defaults(name: &'static str, mistakes: &'a Mistakes) -> Self {
        let section = keys::section(name).expect("the name is one of the table in keys.rs");
        Self {
            section,
            tree: None,
            mistakes,
        }
    }

    /// Whether the section stands in the file at all.
    pub(crate) fn present(&self) -> bool {
        self.tree.is_some()
    }

    /// Whether the key was written by somebody.
    pub(crate) fn given(&self, key: &str) -> bool {
        self.tree.is_some_and(|tree| tree.get(key).is_some())
    }

    /// A text; also for choices, which are checked here.
    pub(crate) fn text(&self, key: &'static str) -> String {
        self.read(key, |text, _| Ok(text)).unwrap_or_default()
    }

    /// A text that must be there, or found otherwise.
    pub(crate) fn text_or(&self, key: &'static str, found: impl FnOnce() -> String) -> String {
        if self.given(key) {
            self.text(key)
        } else {
            found()
        }
    }

    /// `address:port`; `None` if empty.
    pub(crate) fn socket(&self, key: &'static str) -> Option<SocketAddr> {
        let parse = |text: String, kind: Kind| {
            if text.is_empty() {
                return Ok(None);
            }
            text.parse::<SocketAddr>()
                .map(Some)
                .map_err(|_| wrong(&text, kind))
        };
        self.read(key, parse).flatten()
    }

    /// A number within the bounds of its kind.
    pub(crate) fn integer(&self, key: &'static str) -> u64 {
        let (found, node) = self.find(key);
        let Some(node) = node else { return 0 };
        let Kind::Integer(least, most) = found.kind else {
            return 0;
        };
        match node.value {
            Value::Integer(number) if (least..=most).contains(&number) => {
                u64::try_from(number).unwrap_or(0)
            }
            _ => self.complain(&node, found),
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, key: &'static str) -> bool {
        let (found, node) = self.find(key);
        let Some(node) = node else { return false };
        match node.value {
            Value::Boolean(truth) => truth,
            _ => self.complain(&node, found),
        }
    }

    /// A size in octets.
    pub(crate) fn octets(&self, key: &'static str) -> u64 {
        let (found, node) = self.find(key);
        let Some(node) = node else { return 0 };
        let read = match &node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) => text.parse::<ByteCount>().ok().map(|count| count.0),
            Value::Boolean(_) | Value::List(_) | Value::Table(_) | Value::Other(_) => None,
        };
        read.unwrap_or_else(|| self.complain(&node, found))
    }

    /// Paths.
    pub(crate) fn paths(&self, key: &'static str) -> Vec<PathBuf> {
        self.list(key, |text| Some(PathBuf::from(text)))
    }

    /// Addresses with or without port; `port` where none is written.
    pub(crate) fn servers(&self, key: &'static str, port: u16) -> Vec<SocketAddr> {
        self.list(key, |text| {
            let with_port = text.parse::<SocketAddr>().ok();
            with_port.or_else(|| {
                text.parse::<IpAddr>()
                    .ok()
                    .map(|ip| SocketAddr::new(ip, port))
            })
        })
    }

    /// `host:port`, as typed.
    pub(crate) fn targets(&self, key: &'static str) -> Vec<String> {
        self.list(key, |text| {
            let (host, port) = text.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let known = host.parse::<IpAddr>().is_ok() || Domain::parse(host).is_ok();
            (known && port.parse::<u16>().is_ok()).then(|| text.to_owned())
        })
    }

    /// Domain names.
    pub(crate) fn names(&self, key: &'static str) -> Vec<Domain> {
        self.list(key, |text| Domain::parse(text).ok())
    }

    /// Addresses.
    pub(crate) fn addresses(&self, key: &'static str) -> Vec<IpAddr> {
        self.list(key, |text| text.parse().ok())
    }

    /// Addresses and networks.
    pub(crate) fn networks(&self, key: &'static str) -> Vec<IpNet> {
        self.list(key, |text| parse_network(text).ok())
    }

    /// Records a mistake of a key.
    pub(crate) fn mistake(&self, key: &'static str, message: String) {
        let place = self
            .tree
            .and_then(|tree| tree.get(key))
            .map(|node| node.place.clone());
        let mistake = Mistake {
            place: place.unwrap_or(Place::Absent),
            message,
        };
        self.mistakes.borrow_mut().push(mistake);
    }

    fn list<T>(&self, key: &'static str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let (found, node) = self.find(key);
        let Some(node) = node else { return Vec::new() };
        let Value::List(items) = &node.value else {
            return self.complain(&node, found);
        };
        let mut values = Vec::new();
        for item in items {
            let value = match &item.value {
                Value::Text(text) => parse(text),
                Value::Integer(_)
                | Value::Boolean(_)
                | Value::List(_)
                | Value::Table(_)
                | Value::Other(_) => None,
            };
            match value {
                Some(value) => values.push(value),
                None => self.complain(item, found),
            }
        }
        values
    }

    fn read<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(String, Kind) -> Result<T, String>,
    ) -> Option<T> {
        let (found, node) = self.find(key);
        let node = node?;
        let Value::Text(text) = &node.value else {
            return self.complain(&node, found);
        };
        let checked = check_text(found.kind, text).and_then(|()| parse(text.clone(), found.kind));
        checked
            .map_err(|message| self.push(&node.place, key, &message))
            .ok()
    }

    /// The key's entry in the table, and its value: as written, or its default.
    fn find(&self, key: &'static str) -> (&'static Key, Option<Node>) {
        let found = self
            .section
            .key(key)
            .expect("the reader asks only for keys of the table");
        if let Some(node) = self.tree.and_then(|tree| tree.get(key)) {
            return (found, Some(node.clone()));
        }
        let fallback = match found.default {
            Fallback::Toml(text) => {
                let tree = Tree::parse(&format!("default = {text}"));
                tree.ok().and_then(|tree| tree.get("default").cloned())
            }
            Fallback::Found(_) => None,
            Fallback::Required => {
                let message = format!("{} needs the key \"{key}\"", self.section.heading());
                self.mistakes.borrow_mut().push(Mistake {
                    place: Place::Absent,
                    message,
                });
                None
            }
        };
        (found, fallback)
    }

    fn complain<T: Default>(&self, node: &Node, key: &Key) -> T {
        let message = match &node.value {
            Value::Text(text) => wrong(text, key.kind),
            Value::Integer(number) => wrong(&number.to_string(), key.kind),
            Value::Boolean(truth) => wrong(&truth.to_string(), key.kind),
            Value::List(_) => format!("a list does not fit: write {}", key.kind.describe()),
            Value::Table(_) => format!("a table does not fit: write {}", key.kind.describe()),
            Value::Other(what) => format!("a {what} does not fit: write {}", key.kind.describe()),
        };
        self.push(&node.place, key.name, &message);
        T::default()
    }

    fn push(&self, place: &Place, key: &str, message: &str) {
        let section = self.section.name;
        let path = if section.is_empty() {
            key.to_owned()
        } else {
            format!("{section}.{key}")
        };
        let message = format!("{path}: {message}");
        self.mistakes.borrow_mut().push(Mistake {
            place: place.clone(),
            message,
        });
    }
}

fn wrong(text: &str, kind: Kind) -> String {
    if let Kind::Choice(choices) = kind
        && let Some(near) = keys::nearest(text, choices.iter().copied())
    {
        return format!("\"{text}\" is not known; did you mean \"{near}\"?");
    }
    format!("\"{text}\" does not fit: write {}", kind.describe())
}

fn check_text(kind: Kind, text: &str) -> Result<(), String> {
    let fits = match kind {
        Kind::Choice(choices) => choices.contains(&text),
        Kind::Name => Domain::parse(text).is_ok(),
        Kind::Date => is_date(text),
        Kind::Text
        | Kind::Path
        | Kind::Paths
        | Kind::Socket
        | Kind::Servers
        | Kind::Targets
        | Kind::Names
        | Kind::Addresses
        | Kind::Networks
        | Kind::Integer(..)
        | Kind::Boolean
        | Kind::Octets => true,
    };
    if fits { Ok(()) } else { Err(wrong(text, kind)) }
}

/// `2027-12-31`, by its form and the calendar.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && relais_smtp::time::Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).is_some()
}
