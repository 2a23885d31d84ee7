//! Content checks as fields: `content` of an inbound connector, `inbound_content` of an
//! organisation.

use relais_policy::document::ContentPolicy;
use serde_json::{Value, json};

use super::fields::{Reading, lines};
use super::records::{Input, Pick, Sheet};
use crate::lang::Lang;

/// The key of each list, and its field.
const LISTS: [(&str, &str); 3] = [
    ("checks", "content_checks"),
    ("forbidden_extensions", "content_extensions"),
    ("forbidden_types", "content_types"),
];
/// The key of each choice, and its field.
const CHOICES: [(&str, &str); 2] = [
    ("on_fault", "content_on_fault"),
    ("on_finding", "content_on_finding"),
];

/// The fields as they stand there.
pub(super) fn fill(policy: &Value) -> Vec<(&'static str, String)> {
    let list = |(key, field): (&str, &'static str)| {
        let text = lines(&policy[key]).replace('\n', " ");
        (field, text)
    };
    let choice = |(key, field): (&str, &'static str)| {
        let text = policy[key].as_str().unwrap_or_default();
        (field, text.to_owned())
    };
    let lists = LISTS.into_iter().map(list);
    lists.chain(CHOICES.into_iter().map(choice)).collect()
}

/// What the form says, into that table of the object.
pub(super) fn read(reading: &mut Reading<'_>, table: &str) {
    for (key, field) in LISTS {
        reading.list_within((table, key), field, "form-word-wrong", is_word);
    }
    for (key, field) in CHOICES {
        let chosen = reading.form.get(field).to_owned();
        if !chosen.is_empty() {
            reading.within(&[table], key, &chosen);
        }
    }
}

/// What may stand there the check of the settings says; here only that it is one word.
fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A form of its own, for what strangers send.
pub(super) fn of_strangers(lang: Lang, organisation: &str, policy: &ContentPolicy) -> Sheet {
    let filled = fill(&json!(policy));
    let value = |name: &str| {
        let found = filled.iter().find(|(field, _)| *field == name);
        found.map_or("", |(_, text)| text.as_str())
    };
    let pick = |field: &str, choice: &str, key: &str| {
        Pick::new(choice, lang.t(key), value(field) == choice)
    };
    let text = |field: &'static str, key: &str| Input::text(field, lang.t(key), value(field));
    let long = |field: &'static str, key: &str| Input::long(field, lang.t(key), value(field));
    let on_fault = vec![
        pick("content_on_fault", "refuse", "form-content-fault-refuse"),
        pick("content_on_fault", "hold", "form-content-hold"),
        pick("content_on_fault", "pass", "form-content-fault-pass"),
    ];
    let on_finding = vec![
        pick("content_on_finding", "refuse", "form-content-refuse"),
        pick("content_on_finding", "hold", "form-content-hold"),
    ];
    let checks = text("content_checks", "form-content-checks");
    let types = long("content_types", "form-content-types");
    Sheet::new("content", "/settings/content", lang.t("form-save"))
        .title(lang.with("settings-content", organisation))
        .words(lang.t("settings-content-words"))
        .hide("organisation", organisation)
        .input(checks.hint(lang.t("form-content-checks-hint")))
        .input(Input::choice(
            "content_on_fault",
            lang.t("form-content-fault"),
            on_fault,
        ))
        .input(Input::choice(
            "content_on_finding",
            lang.t("form-content-finding"),
            on_finding,
        ))
        .input(long("content_extensions", "form-content-extensions"))
        .input(types.hint(lang.t("form-content-types-hint")))
}
