//! The fields of an inbound connector, section by section: filled from it, read back into it, each
//! mistake beside its field. The wizard and the pages that change a connector share them.
//!
//! Not here: what belongs together across sections (the check of the settings, by the API).

use std::str::FromStr;

use serde_json::{Value, json};

use relais_policy::document::{ByteCount, InboundConnector, parse_network};
use relais_policy::settings::Scope;
use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;

use super::form::Form;
use super::lang::Lang;

/// One part of the fields.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Section {
    Identify,
    Senders,
    Recipients,
    Security,
    State,
}

impl Section {
    pub(super) const ALL: [Self; 5] = [
        Self::Identify,
        Self::Senders,
        Self::Recipients,
        Self::Security,
        Self::State,
    ];

    /// In addresses and templates.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Senders => "senders",
            Self::Recipients => "recipients",
            Self::Security => "security",
            Self::State => "state",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    pub(super) fn title(self, lang: Lang) -> String {
        match self {
            Self::Identify => lang.t("step-identify"),
            Self::Senders => lang.t("step-senders"),
            Self::Recipients => lang.t("step-recipients"),
            Self::Security => lang.t("step-security"),
            Self::State => lang.t("step-state"),
        }
    }
}

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

/// Fields that are a text or a choice in the settings.
const TEXTS: [&str; 8] = [
    "tls_sender_certificate_name",
    "identified_by",
    "state",
    "tls",
    "preset",
    "header_from",
    "envelope_sender",
    "owner",
];
/// Lists, one entry a line.
const LISTS: [&str; 3] = ["sender_ip_addresses", "sender_dns_names", "test_recipients"];
/// Lists that may be one word: the field of the choice beside them, and its words.
const SCOPES: [(&str, &str, &[&str]); 2] = [
    ("sender_domains", "senders", &["*"]),
    ("recipient_domains", "recipients", &["*", "own"]),
];
/// Numbers of `limits`.
pub(super) const LIMITS: [&str; 4] = [
    "messages_per_minute",
    "recipients_per_hour",
    "recipients_per_day",
    "connections",
];

/// All fields as they stand in the connector.
pub(super) fn fill(connector: &InboundConnector) -> Vec<(String, String)> {
    let value = json!(connector);
    let mut pairs = Vec::new();
    let mut put = |name: &str, text: String| pairs.push((name.to_owned(), text));
    put("name", connector.name.clone());
    for key in TEXTS {
        put(key, value[key].as_str().unwrap_or_default().to_owned());
    }
    for key in LISTS {
        put(key, lines(&value[key]));
    }
    for (key, choice, words) in SCOPES {
        let text = lines(&value[key]);
        let word = words.iter().find(|word| **word == text);
        put(choice, word.map_or("list", |word| word).to_owned());
        put(key, if word.is_some() { String::new() } else { text });
    }
    for key in LIMITS {
        let limit = &value["limits"][key];
        let number = limit.as_u64().or(limit["value"].as_u64());
        put(key, number.map(|it| it.to_string()).unwrap_or_default());
    }
    let size = connector.limits.message_size_max;
    let size = size.map(|it| it.to_string()).unwrap_or_default();
    put("message_size_max", size);
    if connector.cleartext_auth {
        put("cleartext_auth", "1".to_owned());
    }
    pairs
}

fn lines(list: &Value) -> String {
    let entries = list.as_array().into_iter().flatten();
    let entries: Vec<_> = entries.filter_map(Value::as_str).collect();
    entries.join("\n")
}

/// The connector with what this section's form says, or what is wrong with it.
pub(super) fn read(
    lang: Lang,
    section: Section,
    form: &Form,
    connector: &InboundConnector,
) -> Result<InboundConnector, Vec<Mistake>> {
    let mut reading = Reading {
        lang,
        form,
        value: json!(connector),
        mistakes: Vec::new(),
    };
    match section {
        Section::Identify => reading.identify(),
        Section::Senders => reading.senders(),
        Section::Recipients => reading.recipients(),
        Section::Security => {
            reading.text("tls");
            let is_on = form.get("cleartext_auth") == "1";
            reading.value["cleartext_auth"] = json!(is_on);
        }
        Section::State => {
            reading.text("state");
            reading.list("test_recipients", "form-address-wrong", is_address);
        }
    }
    if !reading.mistakes.is_empty() {
        return Err(reading.mistakes);
    }
    serde_json::from_value(reading.value).map_err(|error| {
        vec![Mistake::new(
            "name",
            lang.with("form-wrong", &error.to_string()),
        )]
    })
}

struct Reading<'a> {
    lang: Lang,
    form: &'a Form,
    value: Value,
    mistakes: Vec<Mistake>,
}

fn is_address(text: &str) -> bool {
    Mailbox::parse(text).is_ok()
}

fn is_network(text: &str) -> bool {
    parse_network(text).is_ok()
}

fn is_domain(text: &str) -> bool {
    Domain::parse(text).is_ok()
}

fn is_scope(text: &str) -> bool {
    Scope::parse(text).is_ok()
}

/// Entries of a list: people part them as they like.
pub(super) fn entries(text: &str) -> Vec<&str> {
    let is_between = |one: char| one.is_whitespace() || one == ',' || one == ';';
    text.split(is_between)
        .filter(|one| !one.is_empty())
        .collect()
}

impl Reading<'_> {
    fn identify(&mut self) {
        self.list("sender_ip_addresses", "form-network-wrong", is_network);
        self.text("tls_sender_certificate_name");
        self.list("sender_dns_names", "form-domain-wrong", is_domain);
        self.text("identified_by");
    }

    fn senders(&mut self) {
        self.scope(0);
        self.optional("header_from");
        self.optional("preset");
        self.text("envelope_sender");
        self.text("owner");
        let owner = self.form.get("owner");
        if !owner.is_empty() && !is_address(owner) {
            self.wrong("owner", "form-address-wrong", owner);
        }
    }

    fn recipients(&mut self) {
        self.scope(1);
        for key in LIMITS {
            self.limit(key);
        }
        let size = self.form.get("message_size_max").to_owned();
        match ByteCount::from_str(&size) {
            _ if size.is_empty() => self.forget_limit("message_size_max"),
            Ok(size) => self.value["limits"]["message_size_max"] = json!(size.to_string()),
            Err(_) => self.wrong("message_size_max", "form-size-wrong", &size),
        }
    }

    fn text(&mut self, key: &str) {
        self.value[key] = json!(self.form.get(key));
    }

    /// Nothing chosen is the default.
    fn optional(&mut self, key: &str) {
        let text = Some(self.form.get(key)).filter(|text| !text.is_empty());
        self.value[key] = json!(text);
    }

    fn list(&mut self, key: &'static str, wrong: &str, is_right: fn(&str) -> bool) {
        let all = entries(self.form.raw(key));
        if let Some(bad) = all.iter().find(|one| !is_right(one)) {
            self.wrong(key, wrong, bad);
        }
        self.value[key] = json!(all);
    }

    fn scope(&mut self, which: usize) {
        let (key, choice, words) = SCOPES[which];
        let chosen = self.form.get(choice);
        if words.contains(&chosen) {
            self.value[key] = json!([chosen]);
            return;
        }
        self.list(key, "form-domain-wrong", is_scope);
        if entries(self.form.raw(key)).is_empty() {
            let words = self.lang.t("form-list-empty");
            self.mistakes.push(Mistake::new(key, words));
        }
    }

    /// What refuses today still does with another number.
    fn limit(&mut self, key: &'static str) {
        let text = self.form.get(key).to_owned();
        if text.is_empty() {
            return self.forget_limit(key);
        }
        match text.parse::<u64>() {
            Ok(number) if number > 0 => {
                let limit = &mut self.value["limits"][key];
                if limit["hard"] == true {
                    limit["value"] = json!(number);
                } else {
                    *limit = json!(number);
                }
            }
            Ok(_) | Err(_) => self.wrong(key, "form-number-wrong", &text),
        }
    }

    fn forget_limit(&mut self, key: &str) {
        if let Some(limits) = self.value["limits"].as_object_mut() {
            limits.remove(key);
        }
    }

    fn wrong(&mut self, field: &'static str, words: &str, value: &str) {
        let words = self.lang.with(words, value);
        self.mistakes.push(Mistake::new(field, words));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relais_policy::document::{IdentifiedBy, InboundTls, Limit, PresetName};

    fn english() -> Lang {
        Lang::of(Some("en"), None)
    }

    fn form(pairs: &[(&str, &str)]) -> Form {
        let pairs = pairs.iter();
        let owned = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Form::of(owned.collect())
    }

    #[test]
    fn a_form_that_nobody_touched_changes_nothing() {
        let mut connector = InboundConnector::new("Printers");
        connector.sender_domains = vec!["a.test".to_owned(), "*.b.test".to_owned()];
        connector.recipient_domains = vec!["own".to_owned()];
        connector.preset = Some(PresetName::Tolerant);
        connector.identified_by = IdentifiedBy::All;
        connector.cleartext_auth = true;
        connector.limits.message_size_max = Some(ByteCount(25 << 20));
        connector.limits.connections = Some(Limit {
            value: 3,
            hard: true,
        });
        connector.sender_ip_addresses = vec![
            parse_network("10.1.2.0/24").expect("one"),
            parse_network("10.9.9.9").expect("one"),
        ];
        let filled = Form::of(fill(&connector));
        let mut read_back = connector.clone();
        for section in Section::ALL {
            read_back = read(english(), section, &filled, &read_back).expect("no mistake");
        }
        assert_eq!(read_back, connector);
    }

    #[test]
    fn lists_may_be_parted_as_people_like_and_each_mistake_names_its_field() {
        let before = InboundConnector::new("x");
        let typed = form(&[(
            "sender_ip_addresses",
            "10.1.2.3, 10.1.3.0/24\n  fd00::/64;10.1.2.9",
        )]);
        let typed = form(&[
            ("sender_ip_addresses", typed.get("sender_ip_addresses")),
            ("identified_by", "any"),
        ]);
        let connector = read(english(), Section::Identify, &typed, &before).expect("right");
        assert_eq!(connector.sender_ip_addresses.len(), 4);
        let wrong = form(&[
            ("sender_ip_addresses", "10.1.2.300"),
            ("sender_dns_names", "a..b"),
        ]);
        let mistakes = read(english(), Section::Identify, &wrong, &before).expect_err("wrong");
        let fields: Vec<_> = mistakes.iter().map(|one| one.field).collect();
        assert_eq!(fields, ["sender_ip_addresses", "sender_dns_names"]);
        assert!(mistakes[0].words.contains("10.1.2.300"), "{mistakes:?}");
        let wrong = form(&[
            ("recipients", "list"),
            ("message_size_max", "25 parsecs"),
            ("connections", "0"),
        ]);
        let mistakes = read(english(), Section::Recipients, &wrong, &before).expect_err("wrong");
        let fields: Vec<_> = mistakes.iter().map(|one| one.field).collect();
        assert_eq!(
            fields,
            ["recipient_domains", "connections", "message_size_max"]
        );
    }

    #[test]
    fn a_choice_that_is_not_there_is_refused() {
        let before = InboundConnector::new("x");
        let wrong = form(&[("tls", "sometimes")]);
        assert!(read(english(), Section::Security, &wrong, &before).is_err());
        let right = form(&[("tls", "required")]);
        let read = read(english(), Section::Security, &right, &before).expect("right");
        assert_eq!(
            (read.tls, read.cleartext_auth),
            (InboundTls::Required, false)
        );
    }
}
