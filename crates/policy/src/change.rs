//! What `relais apply` would do: merging a file into the settings, and telling what changes.
//!
//! An applied object replaces the one of its name whole: keys that are absent take their
//! defaults. Objects that the file does not name stay, unless it prunes.
//!
//! Not here: whether the result is valid ([`crate::settings::Settings::build`]).

use std::collections::HashMap;
use std::fmt;

use toml::{Table, Value};

use crate::document::{
    AcceptedDomain, Credential, Defaults, DirectoryEntry, Document, InboundConnector, Keep,
    Organisation, OutboundConnector, schema,
};

/// What becomes of objects that an applied file does not name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Absent {
    /// They stay as they are.
    #[default]
    Keep,
    /// They are removed (`--prune`).
    Prune,
}

/// `current` with `applied` laid over it. Organisations are matched by name, domains and
/// connectors by name, recipients by address, credentials by user; case does not count. Two
/// objects of one name within `applied` are both kept, for the check to refuse.
pub fn merge(current: &Document, applied: &Document, absent: Absent) -> Document {
    if absent == Absent::Prune {
        return applied.clone();
    }
    let organisation = overlay(
        &current.organisation,
        &applied.organisation,
        merge_organisation,
    );
    Document { organisation }
}

fn merge_organisation(current: &Organisation, applied: &Organisation) -> Organisation {
    Organisation {
        domain: overlay(&current.domain, &applied.domain, replace),
        recipient: overlay(&current.recipient, &applied.recipient, replace),
        inbound_connector: overlay(
            &current.inbound_connector,
            &applied.inbound_connector,
            replace,
        ),
        outbound_connector: overlay(
            &current.outbound_connector,
            &applied.outbound_connector,
            replace,
        ),
        credential: overlay(&current.credential, &applied.credential, replace),
        ..applied.clone()
    }
}

fn replace<T: Clone>(_: &T, applied: &T) -> T {
    applied.clone()
}

/// An object that is found again by its name.
trait Named: Clone {
    fn key(&self) -> String;
}

macro_rules! named {
    ($($object:ty: $field:ident),*) => {$(
        impl Named for $object {
            fn key(&self) -> String {
                self.$field.trim().to_lowercase()
            }
        }
    )*};
}
named!(
    Organisation: name,
    AcceptedDomain: name,
    DirectoryEntry: address,
    InboundConnector: name,
    OutboundConnector: name,
    Credential: user
);

/// The list `current`, each object replaced by the first one of its name in `applied`; the others
/// of `applied` follow.
fn overlay<T: Named>(current: &[T], applied: &[T], join: impl Fn(&T, &T) -> T) -> Vec<T> {
    let mut first = HashMap::new();
    for (at, object) in applied.iter().enumerate() {
        first.entry(object.key()).or_insert(at);
    }
    let mut used = vec![false; applied.len()];
    let mut merged = Vec::with_capacity(current.len() + applied.len());
    for object in current {
        match first.get(&object.key()) {
            Some(at) if !used[*at] => {
                used[*at] = true;
                merged.push(join(object, &applied[*at]));
            }
            Some(_) | None => merged.push(object.clone()),
        }
    }
    let rest = applied.iter().zip(used).filter(|(_, used)| !used);
    merged.extend(rest.map(|(object, _)| object.clone()));
    merged
}

/// One object, and what becomes of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// `organisation contoso, inbound connector Printers`.
    pub object: String,
    /// What becomes of it.
    pub act: Act,
    /// Keys that differ, secrets masked. For a created or removed object: those that differ from
    /// their defaults. Empty for a kept one.
    pub keys: Vec<KeyChange>,
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Act {
    /// It is new.
    Created,
    /// Some of its keys change.
    Changed,
    /// It goes.
    Removed,
    /// It stays as it is.
    Kept,
}

impl Act {
    /// The word in difference and audit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Kept => "kept",
        }
    }
}

/// One key that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyChange {
    /// `state`, `limits.messages_per_minute`.
    pub key: String,
    /// As TOML; `None`: absent, so its default held.
    pub old: Option<String>,
    /// As TOML; `None`: absent, so its default holds.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    /// One line: `changed organisation contoso, inbound connector Printers: state "enabled" ->
    /// "disabled"`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.act.name(), self.object)?;
        if self.act == Act::Changed {
            for (number, key) in self.keys.iter().enumerate() {
                write!(formatter, "{} {key}", if number == 0 { ":" } else { "," })?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for KeyChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "(default)".to_owned());
        write!(
            formatter,
            "{} {} -> {}",
            self.key,
            show(&self.old),
            show(&self.new)
        )
    }
}

/// Every object of either document with what becomes of it, in the order of `new`, removed ones
/// last within their list.
pub fn diff(old: &Document, new: &Document) -> Vec<Change> {
    let mut comparison = Comparison {
        defaults: Defaults::new(),
        changes: Vec::new(),
    };
    comparison.list(
        "organisation",
        "",
        old.to_table().get("organisation"),
        new.to_table().get("organisation"),
    );
    comparison.changes
}

/// The kinds of objects within an organisation: path, words, the key that names one.
const KINDS: [(&str, &str, &str); 6] = [
    ("organisation", "organisation", "name"),
    ("organisation.domain", "domain", "name"),
    ("organisation.recipient", "recipient", "address"),
    (
        "organisation.inbound_connector",
        "inbound connector",
        "name",
    ),
    (
        "organisation.outbound_connector",
        "outbound connector",
        "name",
    ),
    ("organisation.credential", "credential", "user"),
];

/// Keys whose values are never shown. Files that hold secrets are named, not read.
const SECRETS: [&str; 5] = [
    "password_hash",
    "scram_sha_256",
    "previous_password_hash",
    "previous_scram_sha_256",
    "parameters",
];

struct Comparison {
    defaults: Defaults,
    changes: Vec<Change>,
}

impl Comparison {
    fn list(&mut self, path: &str, owner: &str, old: Option<&Value>, new: Option<&Value>) {
        let Some((_, words, name_key)) = KINDS.iter().find(|(kind, _, _)| *kind == path) else {
            return;
        };
        let (old, new) = (tables(old), tables(new));
        let name = |table: &Table| {
            table
                .get(*name_key)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let key = |table: &Table| name(table).unwrap_or_default().trim().to_lowercase();
        let before = old
            .iter()
            .map(|table| (key(table), *table))
            .collect::<HashMap<_, _>>();
        let after = new
            .iter()
            .map(|table| key(table))
            .collect::<std::collections::HashSet<_>>();
        let removed = old.iter().filter(|table| !after.contains(&key(table)));
        let pairs = new
            .iter()
            .map(|table| (before.get(&key(table)).copied(), Some(*table)))
            .chain(removed.map(|table| (Some(*table), None)));
        for (old, new) in pairs {
            let Some(shown) = new.or(old).and_then(name) else {
                continue;
            };
            let comma = if owner.is_empty() { "" } else { ", " };
            self.object(path, &format!("{owner}{comma}{words} {shown}"), old, new);
        }
    }

    fn object(&mut self, path: &str, object: &str, old: Option<&Table>, new: Option<&Table>) {
        let Some(section) = schema::section(path) else {
            return;
        };
        let plain = |table: Option<&Table>| {
            let mut keys = Vec::new();
            if let Some(table) = table {
                let kept = self
                    .defaults
                    .without_defaults(section, table, Keep::Nothing);
                flatten(&kept, "", &mut keys);
            }
            keys
        };
        let keys = compare(&plain(old), &plain(new));
        let act = match (old, new) {
            (None, _) => Act::Created,
            (Some(_), None) => Act::Removed,
            (Some(_), Some(_)) if keys.is_empty() => Act::Kept,
            (Some(_), Some(_)) => Act::Changed,
        };
        self.changes.push(Change {
            object: object.to_owned(),
            act,
            keys,
        });
        for (kind, _, _) in KINDS.iter().filter(|(kind, _, _)| is_within(kind, path)) {
            let key = kind.rsplit('.').next().unwrap_or(kind);
            let (old, new) = (old.and_then(|t| t.get(key)), new.and_then(|t| t.get(key)));
            self.list(kind, object, old, new);
        }
    }
}

fn is_within(kind: &str, path: &str) -> bool {
    kind.rsplit_once('.')
        .is_some_and(|(parent, _)| parent == path)
}

fn tables(list: Option<&Value>) -> Vec<&Table> {
    let items = list
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    items.iter().filter_map(Value::as_table).collect()
}

/// `limits.messages_per_minute` and its value as text and as it may be shown. Lists of objects
/// are left out.
fn flatten(table: &Table, prefix: &str, keys: &mut Vec<Flat>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        let is_blocks = value
            .as_array()
            .is_some_and(|a| a.iter().any(Value::is_table));
        match value {
            Value::Table(inner)
                if !SECRETS.contains(&key.as_str()) && !inner.contains_key("value") =>
            {
                flatten(inner, &format!("{name}."), keys);
            }
            Value::Array(_) if is_blocks => {}
            _ => keys.push(Flat {
                secret: SECRETS.contains(&key.as_str()),
                value: value.to_string(),
                key: name,
            }),
        }
    }
}

struct Flat {
    key: String,
    value: String,
    secret: bool,
}

impl Flat {
    fn shown(&self) -> String {
        if self.secret {
            "***".to_owned()
        } else {
            self.value.clone()
        }
    }
}

fn compare(old: &[Flat], new: &[Flat]) -> Vec<KeyChange> {
    let find = |list: &'_ [Flat], key: &str| list.iter().position(|flat| flat.key == key);
    let mut changes = Vec::new();
    for flat in old {
        let after = find(new, &flat.key).map(|at| &new[at]);
        if after.is_none_or(|after| after.value != flat.value) {
            let new = after.map(Flat::shown);
            changes.push(KeyChange {
                key: flat.key.clone(),
                old: Some(flat.shown()),
                new,
            });
        }
    }
    for flat in new.iter().filter(|flat| find(old, &flat.key).is_none()) {
        changes.push(KeyChange {
            key: flat.key.clone(),
            old: None,
            new: Some(flat.shown()),
        });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::from_toml(text).expect("the test's file is valid")
    }

    const CURRENT: &str = r#"
        [[organisation]]
        name = "contoso"
        postmaster = "it@contoso.test"
        limits = { messages_per_minute = 60 }
        [[organisation.domain]]
        name = "contoso.test"
        [[organisation.inbound_connector]]
        name = "Printers"
        sender_ip_addresses = ["192.0.2.0/24"]
        owner = "it@contoso.test"
        [[organisation.credential]]
        user = "scan-1"
        inbound_connector = "Printers"
        password_hash = "$argon2id$one"
    "#;

    const APPLIED: &str = r#"
        [[organisation]]
        name = "contoso"
        postmaster = "post@contoso.test"
        [[organisation.inbound_connector]]
        name = "printers"
        state = "disabled"
        sender_ip_addresses = ["192.0.2.0/24"]
        limits = { connections = { value = 3, hard = true } }
        [[organisation.outbound_connector]]
        name = "Everything"
        smart_hosts = ["mx.example.org"]
    "#;

    #[test]
    fn an_applied_object_replaces_the_one_of_its_name_whole_and_others_stay() {
        let merged = merge(&document(CURRENT), &document(APPLIED), Absent::Keep);
        let contoso = &merged.organisation[0];
        assert_eq!(contoso.postmaster, "post@contoso.test");
        assert_eq!(contoso.limits.messages_per_minute, None);
        assert_eq!(contoso.domain[0].name, "contoso.test");
        assert_eq!(contoso.inbound_connector.len(), 1);
        assert_eq!(contoso.inbound_connector[0].name, "printers");
        assert_eq!(contoso.inbound_connector[0].owner, "");
        assert_eq!(contoso.outbound_connector.len(), 1);
        assert_eq!(contoso.credential.len(), 1);
    }

    #[test]
    fn merging_twice_changes_nothing_more() {
        let once = merge(&document(CURRENT), &document(APPLIED), Absent::Keep);
        assert_eq!(merge(&once, &document(APPLIED), Absent::Keep), once);
    }

    #[test]
    fn pruning_leaves_exactly_the_file() {
        let applied = document(APPLIED);
        assert_eq!(merge(&document(CURRENT), &applied, Absent::Prune), applied);
    }

    #[test]
    fn two_applied_objects_of_one_name_stay_two_for_the_check_to_refuse() {
        let twice = document(
            "[[organisation]]\nname = \"contoso\"\n[[organisation]]\nname = \"contoso\"\n",
        );
        assert_eq!(
            merge(&document(CURRENT), &twice, Absent::Keep)
                .organisation
                .len(),
            2
        );
        assert_eq!(
            merge(&Document::default(), &twice, Absent::Keep)
                .organisation
                .len(),
            2
        );
    }

    #[test]
    fn the_difference_names_each_object_and_each_key() {
        let current = document(CURRENT);
        let merged = merge(&current, &document(APPLIED), Absent::Keep);
        let lines = diff(&current, &merged)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        assert_eq!(
            lines,
            [
                "changed organisation contoso: \
                 postmaster \"it@contoso.test\" -> \"post@contoso.test\", \
                 limits.messages_per_minute 60 -> (default)",
                "kept organisation contoso, domain contoso.test",
                "changed organisation contoso, inbound connector printers: \
                 name \"Printers\" -> \"printers\", owner \"it@contoso.test\" -> (default), \
                 state (default) -> \"disabled\", \
                 limits.connections (default) -> { value = 3, hard = true }",
                "created organisation contoso, outbound connector Everything",
                "kept organisation contoso, credential scan-1",
            ]
        );
    }

    #[test]
    fn secrets_are_masked_and_their_change_is_told() {
        let current = document(CURRENT);
        let mut changed = current.clone();
        changed.organisation[0].credential[0].password_hash = "$argon2id$two".to_owned();
        let changes = diff(&current, &changed);
        let text = format!(
            "{changes:?} {}",
            changes.iter().map(|c| c.to_string()).collect::<String>()
        );
        assert!(text.contains("password_hash *** -> ***"), "{text}");
        assert!(!text.contains("argon2id"), "{text}");
        let created = diff(&Document::default(), &current);
        assert!(!format!("{created:?}").contains("argon2id"), "{created:?}");
    }

    #[test]
    fn what_is_pruned_is_told_as_removed() {
        let current = document(CURRENT);
        let changes = diff(&current, &Document::default());
        assert_eq!(changes.len(), 4);
        assert!(
            changes.iter().all(|change| change.act == Act::Removed),
            "{changes:?}"
        );
    }
}
