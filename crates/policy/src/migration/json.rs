//! What `ConvertTo-Json` makes of the objects of a shell: one object instead of a list of one,
//! several documents in one file, values as texts, numbers, or objects of their own, depending on
//! the version of the shell and on whether it was a remote one.

use serde_json::{Map, Value};

use super::MigrationError;

/// How deep a value lies within objects that stand for it.
const DEPTH_MAX: usize = 4;
/// Entries of a list.
const ENTRIES_MAX: usize = 5_000;

/// One exported object.
pub(super) struct Object(Map<String, Value>);

/// All objects of a text, one after the other.
pub(super) fn objects(text: &str) -> Result<Vec<Object>, MigrationError> {
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let value = value.map_err(|error| {
            MigrationError::new(format!(
                "this is no JSON (line {}, column {}); run the command again with ConvertTo-Json \
                 at its end, and give all that it writes",
                error.line(),
                error.column()
            ))
        })?;
        collect(value, 0, &mut found);
    }
    if found.is_empty() {
        let message = "there is no object in it; run the command on the old side, and give the \
                       file that it writes";
        return Err(MigrationError::new(message));
    }
    Ok(found)
}

fn collect(value: Value, depth: usize, found: &mut Vec<Object>) {
    match value {
        Value::Array(all) if depth < DEPTH_MAX => {
            all.into_iter()
                .for_each(|one| collect(one, depth + 1, found));
        }
        Value::Object(mut map) => {
            let is_wrapped = map.len() == 2 && map.contains_key("Count");
            match map.remove("value").filter(|_| is_wrapped) {
                Some(all) if depth < DEPTH_MAX => collect(all, depth + 1, found),
                Some(_) => {}
                None => found.push(Object(map)),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
    }
}

impl Object {
    fn get(&self, key: &str) -> Option<&Value> {
        let found = self.0.get(key);
        found.or_else(|| {
            let mut all = self.0.iter();
            let (_, value) = all.find(|(name, _)| name.eq_ignore_ascii_case(key))?;
            Some(value)
        })
    }

    /// Whether it has such a property, whatever stands there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// A property as one text; empty: there is none.
    pub(super) fn text(&self, key: &str) -> String {
        self.get(key)
            .and_then(|value| word(value, 0))
            .unwrap_or_default()
    }

    /// A property as a list of texts; a single one is a list of one.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(value) = self.get(key) {
            gather(value, 0, &mut found);
        }
        found
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        match self.get(key) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => {
                matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "$true")
            }
            Some(Value::Number(number)) => number.as_u64() == Some(1),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
        }
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.text(key).trim().parse().ok()
    }

    /// Of an enumeration with flags: names with commas between them, or their sum.
    pub(super) fn flags(&self, key: &str, names: &[(&str, u64)]) -> u64 {
        let text = self.texts(key).join(",");
        if let Ok(sum) = text.trim().parse::<u64>() {
            return sum;
        }
        let given = text.split(',').map(str::trim);
        let bits = given.filter_map(|given| {
            let mut names = names.iter();
            let (_, bit) = names.find(|(name, _)| name.eq_ignore_ascii_case(given))?;
            Some(*bit)
        });
        bits.fold(0, |sum, bit| sum | bit)
    }

    /// Of an enumeration: its name, also where its number stands; empty: there is none.
    pub(super) fn choice<'n>(&self, key: &str, names: &[(&'n str, u64)]) -> &'n str {
        let text = self.text(key);
        let is_it = |name: &str, number: u64| {
            name.eq_ignore_ascii_case(text.trim()) || text.trim() == number.to_string()
        };
        let mut names = names.iter();
        let found = names.find(|(name, number)| is_it(name, *number));
        found.map_or("", |(name, _)| *name)
    }

    /// Octets of `36 MB (37,748,736 bytes)`, `36MB`, `37748736`; none: unlimited, or not there.
    pub(super) fn octets(&self, key: &str) -> Option<u64> {
        octets(&self.text(key))
    }
}

/// A value as one text: itself, or what the object that stands for it holds.
fn word(value: &Value, depth: usize) -> Option<String> {
    /// In the order in which they say most.
    const KEYS: [&str; 9] = [
        "Expression",
        "IPAddressToString",
        "DomainString",
        "SmtpDomain",
        "Domain",
        "Address",
        "UserName",
        "Value",
        "Name",
    ];
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Object(map) if depth < DEPTH_MAX => {
            let bound = |key: &str| word(map.get(key)?, depth + 1);
            if let (None, Some(low), Some(high)) = (
                map.get("Expression"),
                bound("LowerBound"),
                bound("UpperBound"),
            ) {
                return Some(format!("{low}-{high}"));
            }
            KEYS.iter()
                .filter_map(|key| map.get(*key))
                .find_map(|value| word(value, depth + 1).filter(|text| !text.is_empty()))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn gather(value: &Value, depth: usize, found: &mut Vec<String>) {
    if found.len() >= ENTRIES_MAX || depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Array(all) => all.iter().for_each(|one| gather(one, depth + 1, found)),
        Value::Object(map) if map.len() == 2 && map.contains_key("Count") => {
            if let Some(all) = map.get("value") {
                gather(all, depth + 1, found);
            }
        }
        // A list that lay too deep is one text with spaces or commas in it.
        Value::String(text) => {
            let parts = text.split([',', ' ', '\n', '\r']).map(str::trim);
            found.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
        }
        Value::Object(_) | Value::Number(_) | Value::Bool(_) => found.extend(word(value, 0)),
        Value::Null => {}
    }
}

/// See [`Object::octets`].
fn octets(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some((_, within)) = text.split_once('(') {
        let digits: String = within.chars().filter(char::is_ascii_digit).collect();
        return digits.parse().ok();
    }
    let end = text
        .find(|one: char| !one.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    let factor = match text[end..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_each_shell_writes_them() {
        for (text, size) in [
            ("36 MB (37,748,736 bytes)", Some(37_748_736)),
            ("36 Mo (37\u{a0}748\u{a0}736 octets)", Some(37_748_736)),
            ("36MB", Some(36 << 20)),
            ("512 KB", Some(512 << 10)),
            ("10", Some(10)),
            ("Unlimited", None),
            ("", None),
            ("99999999999 GB", None),
        ] {
            assert_eq!(octets(text), size, "{text}");
        }
    }

    #[test]
    fn one_value_is_read_in_every_form_of_it() {
        let text = r#"{"Ranges": {"value": ["10.0.0.1-10.0.0.9", {"LowerBound":
            {"IPAddressToString": "10.1.0.1"}, "UpperBound": {"IPAddressToString": "10.1.0.7"},
            "RangeFormat": 1}, {"Expression": "10.2.0.0/16", "LowerBound": "10.2.0.0"}],
            "Count": 3}, "Joined": "10.0.0.1 10.0.0.2", "enabled": "True",
            "Auth": 5, "AuthText": "Tls, BasicAuth", "Level": 2, "Size": {"IsUnlimited": false,
            "Value": "25 MB (26,214,400 bytes)"}, "Nothing": null}
            [{"Name": "b"}, [{"Name": "c"}]]"#;
        let all = objects(text).unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<_> = all.iter().map(|one| one.text("Name")).collect();
        assert_eq!(names, ["", "b", "c"]);
        let first = &all[0];
        let ranges = ["10.0.0.1-10.0.0.9", "10.1.0.1-10.1.0.7", "10.2.0.0/16"];
        assert_eq!(first.texts("Ranges"), ranges);
        assert_eq!(first.texts("Joined"), ["10.0.0.1", "10.0.0.2"]);
        assert!(first.flag("Enabled"));
        let names = [("Tls", 1), ("BasicAuth", 4)];
        assert_eq!(first.flags("Auth", &names), 5);
        assert_eq!(first.flags("AuthText", &names), 5);
        assert_eq!(first.choice("Level", &[("One", 1), ("Two", 2)]), "Two");
        assert_eq!(first.octets("Size"), Some(26_214_400));
        assert_eq!(first.text("Nothing"), "");
    }

    #[test]
    fn what_is_no_json_is_named_with_its_place() {
        let error = objects("[{\"Name\": \"a\"},\n  oops]").err();
        let message = error.map(|one| one.message).unwrap_or_default();
        assert!(message.contains("line 2"), "{message}");
        assert!(objects("[]").is_err());
        assert!(objects(&"[".repeat(100_000)).is_err());
    }
}
