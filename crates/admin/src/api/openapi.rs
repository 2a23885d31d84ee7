//! The OpenAPI document, written from the table of operations: what stands in it can be asked, and
//! what can be asked stands in it. OpenAPI 3.1.

use serde_json::{Map, Value, json};

use super::fields::{Body, Field, schema_of};
use super::operations::{OPERATIONS, Operation};
use crate::scope::Access;

/// Rows of a page that the door makes, at most, and where nothing is asked for.
pub(crate) const ROWS_MAX: usize = 1_000;

/// The document.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = format!("/api/v1{}", operation.path);
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[operation.method.to_ascii_lowercase()] = described(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Relais",
            "version": "1",
            "description": INTRODUCTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made with `relais api-key add`.",
                },
            },
            "schemas": { "Problem": problem() },
            "responses": {
                "Problem": {
                    "description": "No, and why. RFC 9457.",
                    "content": { "application/problem+json": {
                        "schema": { "$ref": "#/components/schemas/Problem" },
                    } },
                },
            },
        },
    })
}

const INTRODUCTION: &str = "The API of Relais. Each operation names the scope that a key needs; a \
    key that is bound to an organisation sees and changes nothing of another. Every error is a \
    problem of RFC 9457 with a `reference` that `relais why` and the log know. Lists come in \
    pages: `next_cursor` of one is `cursor` of the next. New fields may appear in answers.";

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "reference"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What to do, in a sentence." },
            "reference": { "type": "string" },
            "errors": { "type": "array", "items": { "type": "string" } },
        },
    })
}

fn described(operation: &Operation) -> Value {
    let scope = format!("{}:{}", operation.noun, operation.access.name());
    let whose = match operation.is_for_organisations {
        false => "A key that is bound to an organisation may not.",
        true => "A key that is bound to an organisation may, within it.",
    };
    let mut described = json!({
        "operationId": identifier(operation),
        "tags": [operation.noun],
        "summary": operation.summary,
        "description": format!("Scope `{scope}`. {whose}"),
        "responses": responses(operation),
    });
    let parameters = parameters(operation);
    if !parameters.is_empty() {
        described["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = body(operation) {
        described["requestBody"] = body;
    }
    if operation.access == Access::Read {
        described["x-relais-reading"] = json!(true);
    }
    described
}

/// `post-queue-act`.
fn identifier(operation: &Operation) -> String {
    let words = operation.path.split('/').skip(1);
    let words = words.map(|word| word.trim_matches(['{', '}']));
    let words: Vec<_> = words.collect();
    format!(
        "{}-{}",
        operation.method.to_ascii_lowercase(),
        words.join("-")
    )
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let in_path = operation.path_names().map(|name| {
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "schema": { "type": "string", "minLength": 1 },
        })
    });
    let in_query = operation.query.iter().map(in_query);
    let mut all: Vec<_> = in_path.chain(in_query).collect();
    if operation.list.is_some() {
        all.push(json!({
            "name": "limit",
            "in": "query",
            "required": false,
            "schema": { "type": "integer", "minimum": 1, "maximum": ROWS_MAX },
            "description": "Rows of a page at most.",
        }));
        all.push(json!({
            "name": "cursor",
            "in": "query",
            "required": false,
            "schema": { "type": "string" },
            "description": "`next_cursor` of the page before.",
        }));
    }
    if operation.has_tag && operation.method == "PUT" {
        all.push(json!({
            "name": "If-Match",
            "in": "header",
            "required": false,
            "schema": { "type": "string" },
            "description": "The `ETag` of what is replaced; 428 without it.",
        }));
    }
    if let Body::Message(_) = operation.body {
        all.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
            "description": "A repeat within 24 hours gets the same answer, and sends nothing.",
        }));
    }
    all
}

fn in_query(field: &Field) -> Value {
    json!({
        "name": field.name,
        "in": "query",
        "required": field.is_wanted,
        "schema": field.schema(),
        "description": field.words,
    })
}

fn body(operation: &Operation) -> Option<Value> {
    let schema = match operation.body {
        Body::None => return None,
        Body::Fields(fields) | Body::Message(fields) => schema_of(fields),
        Body::Settings => json!({
            "type": "object",
            "description": "As `relais schema settings` describes it.",
        }),
    };
    let mut content = json!({ "application/json": { "schema": schema } });
    if let Body::Message(_) = operation.body {
        content["message/rfc822"] = json!({ "schema": { "type": "string" } });
    }
    Some(json!({ "required": true, "content": content }))
}

fn responses(operation: &Operation) -> Value {
    let (form, schema) = if operation.is_stream {
        (super::STREAM_TYPE, json!({ "type": "string" }))
    } else {
        ("application/json", answer(operation))
    };
    let mut success = json!({
        "description": operation.summary,
        "content": { form: { "schema": schema } },
    });
    if operation.has_tag && operation.method == "GET" {
        success["headers"] = json!({ "ETag": { "schema": { "type": "string" } } });
    }
    let mut responses = Map::new();
    responses.insert(operation.success.to_string(), success);
    responses.insert(
        "default".to_owned(),
        json!({ "$ref": "#/components/responses/Problem" }),
    );
    Value::Object(responses)
}

fn answer(operation: &Operation) -> Value {
    let Some(list) = operation.list else {
        return json!({ "type": "object" });
    };
    json!({
        "type": "object",
        "required": [list, "next_cursor"],
        "properties": {
            list: { "type": "array", "items": { "type": "object" } },
            "next_cursor": { "type": ["string", "null"] },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::scope::NOUNS;

    #[test]
    fn every_operation_has_a_known_noun_a_sentence_and_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        for operation in OPERATIONS {
            assert!(NOUNS.contains(&operation.noun), "{operation:?}");
            assert!(!operation.summary.is_empty(), "{operation:?}");
            assert!(names.insert(identifier(operation)), "{operation:?}");
        }
    }

    #[test]
    fn what_must_stay_on_the_machine_is_not_in_the_document() {
        let text = document().to_string();
        for path in ["backup", "setup-link", "admins", "rotate-key"] {
            assert!(!text.contains(&format!("/api/v1/{path}")), "{path}");
        }
        assert!(text.contains("/api/v1/queue/{id}"));
    }
}
