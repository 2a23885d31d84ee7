//! Reading a form into an object of the settings, key by key: each mistake beside its field.
//!
//! Not here: which keys there are (`inbound_form`, `outbound_form`).

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use relais_policy::settings::Scope;

use super::form::Form;
use crate::lang::Lang;
use crate::phrasebook::told_part;

/// What is wrong with a field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mistake {
    pub(super) field: &'static str,
    pub(super) words: String,
}

impl Mistake {
    pub(super) fn new(field: &'static str, words: String) -> Self {
        Self { field, words }
    }
}

/// Whether one of them is about this field.
pub(super) fn is_wrong(mistakes: &[Mistake], field: &str) -> bool {
    mistakes.iter().any(|one| one.field == field)
}

/// A list that may be one word: its key, the field of the choice beside it, its words.
pub(super) type ScopeField = (&'static str, &'static str, &'static [&'static str]);

/// The fields of a scope as they stand in the object.
pub(super) fn put_scope(
    pairs: &mut Vec<(String, String)>,
    (key, choice, words): ScopeField,
    value: &Value,
) {
    let text = lines(&value[key]);
    let word = words.iter().find(|word| **word == text);
    pairs.push((
        choice.to_owned(),
        word.map_or("list", |word| word).to_owned(),
    ));
    let listed = if word.is_some() { String::new() } else { text };
    pairs.push((key.to_owned(), listed));
}

/// A list, one entry a line.
pub(super) fn lines(list: &Value) -> String {
    let entries = list.as_array().into_iter().flatten();
    let entries: Vec<_> = entries.filter_map(Value::as_str).collect();
    entries.join("\n")
}

/// Entries of a list: people part them as they like.
fn entries(text: &str) -> Vec<&str> {
    let is_between = |one: char| one.is_whitespace() || one == ',' || one == ';';
    text.split(is_between)
        .filter(|one| !one.is_empty())
        .collect()
}

/// One form on its way into an object.
pub(super) struct Reading<'a> {
    lang: Lang,
    pub(super) form: &'a Form,
    /// The object as JSON.
    pub(super) value: Value,
    mistakes: Vec<Mistake>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(lang: Lang, form: &'a Form, value: Value) -> Self {
        Self {
            lang,
            form,
            value,
            mistakes: Vec::new(),
        }
    }

    /// The object, or all mistakes.
    pub(super) fn done<T: DeserializeOwned>(self) -> Result<T, Vec<Mistake>> {
        if !self.mistakes.is_empty() {
            return Err(self.mistakes);
        }
        serde_json::from_value(self.value).map_err(|error| {
            let said = error.to_string();
            let words = told_part(self.lang.0, &said);
            let words = self.lang.with("form-wrong", &words);
            vec![Mistake::new("name", words)]
        })
    }

    pub(super) fn text(&mut self, key: &str) {
        self.value[key] = json!(self.form.get(key));
    }

    /// Nothing chosen is the default.
    pub(super) fn optional(&mut self, key: &str) {
        let text = Some(self.form.get(key)).filter(|text| !text.is_empty());
        self.value[key] = json!(text);
    }

    pub(super) fn list(&mut self, key: &'static str, wrong: &str, is_right: fn(&str) -> bool) {
        let all = entries(self.form.raw(key));
        if let Some(bad) = all.iter().find(|one| !is_right(one)) {
            self.wrong(key, wrong, bad);
        }
        self.value[key] = json!(all);
    }

    /// A list of a table within, whose field has another name.
    pub(super) fn list_within(
        &mut self,
        (table, key): (&str, &str),
        field: &'static str,
        wrong: &str,
        is_right: fn(&str) -> bool,
    ) {
        let all = entries(self.form.raw(field));
        if let Some(bad) = all.iter().find(|one| !is_right(one)) {
            self.wrong(field, wrong, bad);
        }
        self.value[table][key] = json!(all);
    }

    pub(super) fn scope(&mut self, (key, choice, words): ScopeField) {
        let chosen = self.form.get(choice);
        if words.contains(&chosen) {
            self.value[key] = json!([chosen]);
            return;
        }
        self.some(key, "form-domain-wrong", |text| Scope::parse(text).is_ok());
    }

    /// A list that must not be empty.
    pub(super) fn some(&mut self, key: &'static str, wrong: &str, is_right: fn(&str) -> bool) {
        self.list(key, wrong, is_right);
        if entries(self.form.raw(key)).is_empty() {
            let words = self.lang.t("form-list-empty");
            self.mistakes.push(Mistake::new(key, words));
        }
    }

    /// A number of a table within; empty: none. What refuses today still does with another number.
    pub(super) fn number(&mut self, table: &str, key: &'static str) {
        let text = self.form.get(key);
        let number = match text.parse::<u64>() {
            _ if text.is_empty() => None,
            Ok(number) if number > 0 => Some(number),
            Ok(_) | Err(_) => return self.wrong(key, "form-number-wrong", text),
        };
        let Some(number) = number else {
            return self.forget(&[table], key);
        };
        let place = &mut self.value[table][key];
        if place["hard"] == true {
            place["value"] = json!(number);
        } else {
            *place = json!(number);
        }
    }

    /// A text of a table within; empty: none.
    pub(super) fn within(&mut self, tables: &[&str], key: &str, text: &str) {
        if text.is_empty() {
            return self.forget(tables, key);
        }
        let mut place = &mut self.value;
        for table in tables {
            place = &mut place[*table];
        }
        place[key] = json!(text);
    }

    fn forget(&mut self, tables: &[&str], key: &str) {
        let mut place = Some(&mut self.value);
        for table in tables {
            place = place.and_then(|place| place.get_mut(*table));
        }
        if let Some(keys) = place.and_then(Value::as_object_mut) {
            keys.remove(key);
        }
    }

    pub(super) fn wrong(&mut self, field: &'static str, words: &str, value: &str) {
        let words = self.lang.with(words, value);
        self.mistakes.push(Mistake::new(field, words));
    }
}
