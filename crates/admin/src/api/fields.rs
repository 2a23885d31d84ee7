//! How the bodies and parameters of the API are described: names, kinds and a line each.

use serde_json::{Map, Value, json};

/// What stands in a field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    Number,
    Flag,
    Texts,
    Object,
    /// One text, or several.
    TextOrTexts,
    Objects,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_wanted: bool,
    pub(crate) words: &'static str,
}

/// What a request carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    None,
    /// An object with these fields, and no others.
    Fields(&'static [Field]),
    /// The settings document.
    Settings,
    /// A message: an object with these fields, or `message/rfc822`.
    Message(&'static [Field]),
}

pub(super) const fn text(name: &'static str, words: &'static str) -> Field {
    field(name, Kind::Text, words)
}

pub(super) const fn number(name: &'static str, words: &'static str) -> Field {
    field(name, Kind::Number, words)
}

pub(super) const fn flag(name: &'static str, words: &'static str) -> Field {
    field(name, Kind::Flag, words)
}

pub(super) const fn texts(name: &'static str, words: &'static str) -> Field {
    field(name, Kind::Texts, words)
}

pub(super) const fn object(name: &'static str, words: &'static str) -> Field {
    field(name, Kind::Object, words)
}

pub(super) const fn text_or_texts(name: &'static str, words: &'static str) -> Field {
    field(name, Kind::TextOrTexts, words)
}

pub(super) const fn objects(name: &'static str, words: &'static str) -> Field {
    field(name, Kind::Objects, words)
}

const fn field(name: &'static str, kind: Kind, words: &'static str) -> Field {
    Field {
        name,
        kind,
        is_wanted: false,
        words,
    }
}

/// The same, and it must be there.
pub(super) const fn wanted(mut field: Field) -> Field {
    field.is_wanted = true;
    field
}

impl Field {
    /// Whether a value of a body may stand in it; `null` is as if it were not there.
    pub(crate) fn fits(&self, value: &Value) -> bool {
        let is_text = |value: &Value| value.is_string();
        match self.kind {
            _ if value.is_null() => !self.is_wanted,
            Kind::Text => is_text(value),
            Kind::Number => value
                .as_u64()
                .is_some_and(|number| u32::try_from(number).is_ok()),
            Kind::Flag => value.is_boolean(),
            Kind::Texts => value.as_array().is_some_and(|all| all.iter().all(is_text)),
            Kind::TextOrTexts => {
                is_text(value) || value.as_array().is_some_and(|all| all.iter().all(is_text))
            }
            Kind::Object => value.is_object(),
            Kind::Objects => {
                let is_list = value.as_array();
                is_list.is_some_and(|all| all.iter().all(Value::is_object))
            }
        }
    }

    /// Whether a query may name it again, for one more.
    pub(crate) const fn is_list(&self) -> bool {
        matches!(self.kind, Kind::Texts)
    }

    /// Whether a value of a query may.
    pub(crate) fn fits_text(&self, text: &str) -> bool {
        match self.kind {
            Kind::Number => text.parse::<u32>().is_ok(),
            Kind::Flag => matches!(text, "true" | "false"),
            Kind::Text | Kind::Texts | Kind::TextOrTexts | Kind::Object | Kind::Objects => true,
        }
    }

    /// JSON Schema of its value.
    pub(super) fn schema(&self) -> Value {
        match self.kind {
            Kind::Text => json!({ "type": "string" }),
            Kind::Number => {
                json!({ "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32 })
            }
            Kind::Flag => json!({ "type": "boolean" }),
            Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Kind::Object => json!({ "type": "object" }),
            Kind::TextOrTexts => json!({ "oneOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ] }),
            Kind::Objects => json!({ "type": "array", "items": { "type": "object" } }),
        }
    }
}

/// JSON Schema of an object with these fields.
pub(super) fn schema_of(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut schema = field.schema();
        if !field.is_wanted {
            schema = json!({ "anyOf": [schema, { "type": "null" }] });
        }
        schema["description"] = json!(field.words);
        properties.insert(field.name.to_owned(), schema);
    }
    let required = fields.iter().filter(|field| field.is_wanted);
    let required: Vec<_> = required.map(|field| field.name).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}
