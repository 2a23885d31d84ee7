//! A change of the settings taken back, where that is safe: what it changed is still as it left it.
//! What was changed since, elsewhere, stays.

use std::collections::BTreeSet;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use relais_policy::document::Document;

use super::settings::{Intent, change};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

/// Keys by which an object of a list is found again.
const NAMES: [&str; 3] = ["name", "address", "user"];

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/settings/revert", post(revert))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revert {
    /// The version that the change made.
    version: u64,
    #[serde(default)]
    dry_run: bool,
}

async fn revert(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Revert>,
) -> Result<Json<Value>, Problem> {
    let before = wanted.version.checked_sub(1);
    let before = before.ok_or_else(|| Problem::not_found("There is no version 0 of a change."))?;
    // Nobody takes back, nor is told, what they do not see.
    let seen = |mut document: Document| {
        document
            .organisation
            .retain(|one| caller.rights.sees(&one.name));
        json!(document)
    };
    let made = seen(document(&context, wanted.version).await?);
    let old = match before {
        0 => json!(Document::default()),
        before => seen(document(&context, before).await?),
    };
    let make = |current: &Document| {
        let now = seen(current.clone());
        let back = merge(&made, Some(&now), Some(&old), "settings");
        let back = back.map_err(|place| {
            let detail = format!(
                "{place} was changed again since version {}: change it by hand.",
                wanted.version
            );
            Problem::new(StatusCode::CONFLICT, detail)
        })?;
        serde_json::from_value(back.unwrap_or_default())
            .map_err(|error| Problem::bad_request(format!("It cannot be taken back: {error}.")))
    };
    let intent = Intent::dry_run(wanted.dry_run);
    let changed = change(&context, &caller, intent, None, make).await?;
    Ok(Json(changed.to_json()))
}

async fn document(context: &AdminContext, version: u64) -> Result<Document, Problem> {
    let found = context.store.settings_document(version).await?;
    found.ok_or_else(|| {
        let detail = format!("The settings of version {version} are kept no longer.");
        Problem::not_found(detail)
    })
}

/// What stands there when the step from `made` back to `old` is done on `current`; none: nothing
/// does. Errors: the place where `current` is no longer as it was made.
fn merge(
    made: &Value,
    current: Option<&Value>,
    old: Option<&Value>,
    place: &str,
) -> Result<Option<Value>, String> {
    let null = Value::Null;
    let (now, then) = (current.unwrap_or(&null), old.unwrap_or(&null));
    if made == then {
        return Ok(current.cloned());
    }
    if made == now {
        return Ok(old.cloned());
    }
    match (made, now, then) {
        (Value::Object(made), Value::Object(now), Value::Object(then)) => {
            objects(made, now, then, place).map(|all| Some(Value::Object(all)))
        }
        (Value::Array(made), Value::Array(now), Value::Array(then)) => {
            lists(made, now, then, place).map(|all| Some(Value::Array(all)))
        }
        _ => Err(place.to_owned()),
    }
}

fn objects(
    made: &Map<String, Value>,
    now: &Map<String, Value>,
    then: &Map<String, Value>,
    place: &str,
) -> Result<Map<String, Value>, String> {
    let keys: BTreeSet<&String> = made.keys().chain(now.keys()).chain(then.keys()).collect();
    let mut all = Map::new();
    for key in keys {
        let inner = format!("{place} {key}");
        let before = made.get(key).unwrap_or(&Value::Null);
        if let Some(value) = merge(before, now.get(key), then.get(key), &inner)? {
            all.insert(key.clone(), value);
        }
    }
    Ok(all)
}

/// Lists of objects with names, object by object; the order is that of now.
fn lists(made: &[Value], now: &[Value], then: &[Value], place: &str) -> Result<Vec<Value>, String> {
    let every = || made.iter().chain(now).chain(then);
    if !every().all(|one| name_of(one).is_some()) {
        return Err(place.to_owned());
    }
    let find = |all: &[Value], name: &str| {
        let mut all = all.iter();
        all.find(|one| name_of(one) == Some(name)).cloned()
    };
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    for name in now.iter().chain(then).filter_map(name_of) {
        if !seen.insert(name) {
            continue;
        }
        let (before, current, old) = (find(made, name), find(now, name), find(then, name));
        let before = before.unwrap_or_default();
        let inner = format!("{place} {name}");
        all.extend(merge(&before, current.as_ref(), old.as_ref(), &inner)?);
    }
    Ok(all)
}

fn name_of(value: &Value) -> Option<&str> {
    NAMES.iter().find_map(|key| value[*key].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(connectors: &Value) -> Value {
        json!({ "organisation": [{ "name": "contoso", "inbound_connector": connectors }] })
    }

    fn back(made: &Value, now: &Value, old: &Value) -> Result<Value, String> {
        let whole = merge(
            &settings(made),
            Some(&settings(now)),
            Some(&settings(old)),
            "",
        )?;
        Ok(whole.expect("settings")["organisation"][0]["inbound_connector"].clone())
    }

    #[test]
    fn a_change_is_taken_back_and_what_was_changed_since_elsewhere_stays() {
        let old = json!([{ "name": "A", "tls": "off" }]);
        let made = json!([{ "name": "A", "tls": "required" }]);
        let now = json!([{ "name": "A", "tls": "required", "owner": "x" }, { "name": "B" }]);
        let left = json!([{ "name": "A", "tls": "off", "owner": "x" }, { "name": "B" }]);
        assert_eq!(back(&made, &now, &old), Ok(left));
    }

    #[test]
    fn what_was_added_goes_and_what_was_removed_comes_back() {
        let (one, two) = (
            json!([{ "name": "A" }]),
            json!([{ "name": "A" }, { "name": "B" }]),
        );
        assert_eq!(back(&two, &two, &one), Ok(one.clone()));
        let now = json!([{ "name": "C" }, { "name": "A" }]);
        let left = json!([{ "name": "C" }, { "name": "A" }, { "name": "B" }]);
        assert_eq!(back(&one, &now, &two), Ok(left));
    }

    #[test]
    fn what_was_changed_again_is_not_taken_back_and_is_named() {
        let list = |tls: &str| json!([{ "name": "A", "tls": tls }]);
        let again = back(&list("required"), &list("offered"), &list("off"));
        assert_eq!(
            again,
            Err(" organisation contoso inbound_connector A tls".to_owned())
        );
        let gone = back(&list("required"), &json!([]), &list("off"));
        assert!(gone.is_err(), "{gone:?}");
        // Lists without names are one thing.
        let hosts = |all: &[&str]| json!([{ "name": "A", "hosts": all }]);
        assert!(back(&hosts(&["a", "b"]), &hosts(&["c"]), &hosts(&["a"])).is_err());
    }
}
