//! JSON Schema (draft 2020-12) of settings, bootstrap file and events, from the same tables.

use serde_json::{Map, Value, json};

use relais_policy::document::schema::{self, DefaultValue, Kind, Section, Setting};
use relais_store::trace::{EVENT_FIELDS, EventKind, Presence, STATUS_WORDS};

use crate::config::keys::{self, Fallback, Form};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Of the settings file.
pub(crate) fn settings() -> Value {
    let mut root = schema::section("")
        .map(settings_object)
        .unwrap_or_else(|| json!({}));
    root["$schema"] = json!(DIALECT);
    root["title"] = json!("Relais settings");
    root
}

fn settings_object(section: &Section) -> Value {
    let mut properties = Map::new();
    for setting in section.keys {
        properties.insert(setting.key.to_owned(), settings_property(section, setting));
    }
    let required: Vec<_> = section
        .keys
        .iter()
        .filter(|setting| setting.default == DefaultValue::Required)
        .map(|setting| setting.key)
        .collect();
    object(properties, &required)
}

fn settings_property(section: &Section, setting: &Setting) -> Value {
    let inner = || schema::section(&section.path_of(setting.key)).map(settings_object);
    let text = json!({ "type": "string" });
    let mut property = match setting.kind {
        Kind::Text | Kind::Span => text,
        Kind::Integer => json!({ "type": "integer", "minimum": 0 }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Choice(choices) => json!({ "enum": choices }),
        Kind::TextList | Kind::Networks => json!({ "type": "array", "items": text }),
        Kind::ChoiceList(choices) => json!({ "type": "array", "items": { "enum": choices } }),
        Kind::Limit => json!({ "oneOf": [
            { "type": "integer", "minimum": 1 },
            object(
                Map::from_iter([
                    ("value".to_owned(), json!({ "type": "integer", "minimum": 1 })),
                    ("hard".to_owned(), json!({ "type": "boolean" })),
                ]),
                &["value"],
            ),
        ] }),
        Kind::Octets => json!({ "type": ["integer", "string"] }),
        Kind::Table => inner().unwrap_or_else(|| json!({ "type": "object" })),
        Kind::TextTable => json!({ "type": "object", "additionalProperties": text }),
        Kind::Blocks => json!({ "type": "array", "items": inner() }),
    };
    let words = [setting.doc, setting.bound].join(" ");
    property["description"] = json!(words.trim());
    if let DefaultValue::Toml(text) = setting.default {
        add_default(&mut property, text);
    }
    property
}

/// Of `relais.toml`.
pub(crate) fn config() -> Value {
    let mut properties = Map::new();
    for section in keys::SECTIONS {
        if section.name.is_empty() {
            properties.extend(config_keys(section));
            continue;
        }
        let required: Vec<_> = section
            .keys
            .iter()
            .filter(|key| key.default == Fallback::Required)
            .map(|key| key.name)
            .collect();
        let inner = object(config_keys(section), &required);
        let mut property = match section.form {
            Form::Blocks => json!({ "type": "array", "items": inner }),
            Form::Table | Form::OptionalTable => inner,
        };
        property["description"] = json!(section.words);
        properties.insert(section.name.to_owned(), property);
    }
    let mut root = object(properties, &[]);
    root["$schema"] = json!(DIALECT);
    root["title"] = json!("Relais bootstrap file");
    root
}

fn config_keys(section: &keys::Section) -> Map<String, Value> {
    section
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), config_property(key)))
        .collect()
}

fn config_property(key: &keys::Key) -> Value {
    let text = json!({ "type": "string" });
    let mut property = match key.kind {
        keys::Kind::Text | keys::Kind::Name | keys::Kind::Path | keys::Kind::Socket => text,
        keys::Kind::Date => json!({ "type": "string", "format": "date" }),
        keys::Kind::Paths
        | keys::Kind::Servers
        | keys::Kind::Targets
        | keys::Kind::Names
        | keys::Kind::Addresses
        | keys::Kind::Networks => json!({ "type": "array", "items": text }),
        keys::Kind::Choice(choices) => json!({ "enum": choices }),
        keys::Kind::Integer(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        keys::Kind::Boolean => json!({ "type": "boolean" }),
        keys::Kind::Octets => json!({ "type": ["integer", "string"] }),
    };
    property["description"] = json!(key.words);
    if let Fallback::Toml(text) = key.default {
        add_default(&mut property, text);
    }
    property
}

/// Of one line of `relais trace --json`.
pub(crate) fn events() -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in EVENT_FIELDS {
        let mut property = match field.name {
            "event" => {
                let names: Vec<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
                json!({ "enum": names })
            }
            "status" => {
                let words = STATUS_WORDS
                    .iter()
                    .map(|word| json!(word))
                    .chain([Value::Null]);
                json!({ "enum": words.collect::<Vec<_>>() })
            }
            _ => json!({}),
        };
        property["description"] = json!(field.doc);
        match field.name.split_once('.') {
            None => {
                if field.presence == Presence::Always {
                    required.push(field.name);
                }
                properties.insert(field.name.to_owned(), property);
            }
            Some((outer, inner)) => {
                let outer = properties.entry(outer).or_insert_with(|| json!({}));
                outer["type"] = json!(["object", "null"]);
                outer["properties"][inner] = property;
            }
        }
    }
    json!({
        "$schema": DIALECT,
        "title": "Relais event",
        "type": "object",
        "properties": properties,
        "required": required,
    })
}

fn object(properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn add_default(property: &mut Value, toml: &str) {
    let read = toml::from_str::<Value>(&format!("default = {toml}"));
    if let Ok(mut read) = read {
        property["default"] = read["default"].take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_of_the_settings_is_in_the_schema() {
        let schema = settings();
        let organisation = &schema["properties"]["organisation"]["items"]["properties"];
        let inbound = &organisation["inbound_connector"]["items"]["properties"];
        assert_eq!(inbound["state"]["default"], json!("enabled"));
        assert!(inbound["limits"]["properties"]["message_size_max"].is_object());
        assert!(organisation["domain"]["items"]["properties"]["dkim"]["properties"].is_object());
    }

    #[test]
    fn the_schema_of_the_bootstrap_file_knows_defaults_and_bounds() {
        let schema = config();
        let limits = &schema["properties"]["limits"]["properties"];
        assert_eq!(limits["connections_max"]["default"], json!(10_000));
        let port = &schema["properties"]["deliver"]["properties"]["smtp_port"];
        assert_eq!(port["maximum"], json!(65_535));
    }

    #[test]
    fn the_schema_of_events_lists_names_and_status_words() {
        let schema = events();
        let names = schema["properties"]["event"]["enum"]
            .as_array()
            .expect("a list");
        assert_eq!(names.len(), EventKind::ALL.len());
        assert!(schema["properties"]["client"]["properties"]["address"].is_object());
    }
}
