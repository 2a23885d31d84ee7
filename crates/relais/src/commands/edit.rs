//! Changing settings from the command line: read, change, write back if nobody came between.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use relais_policy::document::{Document, Organisation};

use super::session::Session;
use crate::client::Api;
use crate::failure::Failure;
use crate::output::{Output, Tone, clean};

/// How often a change is made anew when somebody else's comes between.
const CONFLICTS_MAX: usize = 5;

/// Reads the settings, changes them, writes them back, shows what changed.
pub(super) async fn edit(
    session: &Session,
    dry_run: bool,
    change: impl Fn(&mut Document) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let api = session.api().await?;
    let mut conflicts = 0;
    loop {
        let (mut document, etag) = read(&api).await?;
        change(&mut document)?;
        let body = serde_json::to_value(&document)
            .map_err(|error| Failure::Failed(format!("the settings cannot be written: {error}")))?;
        let query = [("dry_run", dry_run.to_string())];
        match api.put("/settings", &query, &etag, &body).await {
            Ok(answer) => return show_changes(session.output, &answer.value),
            Err(Failure::Conflict(_)) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(failure) => return Err(failure),
        }
    }
}

/// The settings in force, and their version.
pub(super) async fn read(api: &Api) -> Result<(Document, String), Failure> {
    let answer = api.get("/settings", &[]).await?;
    let document = serde_json::from_value(answer.value).map_err(|error| {
        Failure::Failed(format!(
            "the server's settings cannot be read: {error}; is it another version?"
        ))
    })?;
    Ok((document, answer.etag.unwrap_or_default()))
}

/// What a change did, or would do.
pub(super) fn show_changes(output: Output, answer: &Value) -> Result<(), Failure> {
    if output.json {
        return output.value(answer);
    }
    let changes = answer["changes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let word = |value: &Value| clean(value.as_str().unwrap_or_default()).into_owned();
    for change in changes {
        let (tone, mark) = match change["act"].as_str() {
            Some("created") => (Tone::Good, '+'),
            Some("removed") => (Tone::Bad, '-'),
            _ => (Tone::Waiting, '~'),
        };
        output.line(&output.paint(tone, &format!("{mark} {}", word(&change["object"]))))?;
        let keys = change["keys"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for key in keys.iter().filter(|_| mark != '-') {
            let value = |side: &Value| {
                if side.is_null() {
                    "(default)".to_owned()
                } else {
                    word(side)
                }
            };
            let line = match mark {
                '+' => format!("    {} = {}", word(&key["key"]), value(&key["new"])),
                _ => format!(
                    "    {}: {} -> {}",
                    word(&key["key"]),
                    value(&key["old"]),
                    value(&key["new"])
                ),
            };
            output.line(&line)?;
        }
    }
    for warning in answer["warnings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        output.line(&output.paint(Tone::Waiting, &format!("Note: {}", clean(warning))))?;
    }
    let version = &answer["version"];
    match (
        changes.is_empty(),
        answer["dry_run"].as_bool().unwrap_or(false),
    ) {
        (true, _) => output.line(&format!(
            "Nothing to change; the settings stay at version {version}."
        )),
        (false, true) => output.line("Nothing was changed: this was a dry run."),
        (false, false) => output.line(&format!("Done; the settings are now at version {version}.")),
    }
}

/// The organisation meant: the one named, or the only one.
pub(super) fn organisation<'a>(
    document: &'a mut Document,
    name: Option<&str>,
) -> Result<&'a mut Organisation, Failure> {
    let known: Vec<_> = document
        .organisation
        .iter()
        .map(|one| one.name.clone())
        .collect();
    match name {
        Some(name) => document
            .organisation
            .iter_mut()
            .find(|organisation| organisation.name == name)
            .ok_or_else(|| Failure::NotFound(format!("there is no organisation {name}"))),
        None => match document.organisation.as_mut_slice() {
            [only] => Ok(only),
            [] => Err(Failure::NotFound(
                "there is no organisation yet: make one with `relais organisation add NAME`"
                    .to_owned(),
            )),
            _ => Err(Failure::Usage(format!(
                "there are several organisations ({}): name one with --organisation",
                known.join(", ")
            ))),
        },
    }
}

/// Keys that the command line gives, as they stand in the settings; those not given stay as they
/// are.
#[derive(Default)]
pub(super) struct Patch {
    keys: BTreeMap<&'static str, Value>,
    inner: BTreeMap<(&'static str, &'static str), Value>,
    /// Overwritten by the others.
    base: BTreeMap<String, Value>,
    /// Of `auth.parameters`; an empty text removes one.
    parameters: BTreeMap<String, String>,
}

impl Patch {
    /// A key, if it was given.
    pub(super) fn set<T: Serialize>(&mut self, key: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.keys.insert(key, json!(value));
        }
    }

    /// A list, if it was given; one empty text empties it.
    pub(super) fn list(&mut self, key: &'static str, values: &[String]) {
        if !values.is_empty() {
            let kept: Vec<_> = values.iter().filter(|value| !value.is_empty()).collect();
            self.keys.insert(key, json!(kept));
        }
    }

    /// A key of `limits`, if it was given.
    pub(super) fn limit<T: Serialize>(&mut self, key: &'static str, value: Option<T>) {
        self.within("limits", key, value);
    }

    /// A key of a table within, if it was given.
    pub(super) fn within<T: Serialize>(
        &mut self,
        table: &'static str,
        key: &'static str,
        value: Option<T>,
    ) {
        if let Some(value) = value {
            self.inner.insert((table, key), json!(value));
        }
    }

    /// A list of a table within, if it was given; one empty text empties it.
    pub(super) fn list_within(
        &mut self,
        table: &'static str,
        key: &'static str,
        values: &[String],
    ) {
        let kept: Vec<_> = values.iter().filter(|value| !value.is_empty()).collect();
        self.within(table, key, (!values.is_empty()).then_some(kept));
    }

    /// Keys that stand below those given: what a preset says.
    pub(super) fn beneath(&mut self, keys: &Value) {
        for (key, value) in keys.as_object().into_iter().flatten() {
            self.base.insert(key.clone(), value.clone());
        }
    }

    /// A key of `auth.parameters`.
    pub(super) fn parameter(&mut self, key: &str, value: &str) {
        self.parameters.insert(key.to_owned(), value.to_owned());
    }

    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        self.base.is_empty()
            && self.keys.is_empty()
            && self.inner.is_empty()
            && self.parameters.is_empty()
    }

    /// A new object: `name`, and what was given.
    pub(super) fn create<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        self.over(json!({ "name": name }))
    }

    /// The object with what was given.
    pub(super) fn apply<T: Serialize + DeserializeOwned>(&self, object: &T) -> Result<T, Failure> {
        let value = serde_json::to_value(object);
        self.over(value.map_err(|error| Failure::Failed(error.to_string()))?)
    }

    fn over<T: DeserializeOwned>(&self, mut value: Value) -> Result<T, Failure> {
        for (key, given) in &self.base {
            value[key] = given.clone();
        }
        for (key, given) in &self.keys {
            value[*key] = given.clone();
        }
        for ((table, key), given) in &self.inner {
            value[*table][*key] = given.clone();
        }
        for (key, given) in &self.parameters {
            let parameters = &mut value["auth"]["parameters"];
            match parameters.as_object_mut().filter(|_| given.is_empty()) {
                Some(parameters) => drop(parameters.remove(key)),
                None => parameters[key] = json!(given),
            }
        }
        serde_json::from_value(value).map_err(|error| Failure::Usage(error.to_string()))
    }
}
