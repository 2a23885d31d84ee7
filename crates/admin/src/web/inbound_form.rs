//! The fields of an inbound connector, section by section: filled from it, read back into it, each
//! mistake beside its field. The wizard and the pages that change a connector share them.
//!
//! Not here: what belongs together across sections (the check of the settings, by the API).

use std::str::FromStr;

use serde_json::json;

use relais_policy::document::{ByteCount, InboundConnector, parse_network};
use relais_policy::tls::Fingerprint;
use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;

use super::content_form;
use super::fields::{Mistake, Reading, ScopeField, lines, put_scope};
use super::form::Form;
use crate::lang::Lang;

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
const LISTS: [&str; 4] = [
    "sender_ip_addresses",
    "tls_sender_certificate_fingerprints",
    "sender_dns_names",
    "test_recipients",
];
/// Lists that may be one word: the field of the choice beside them, and its words.
const SCOPES: [ScopeField; 2] = [
    ("sender_domains", "senders", &["*"]),
    ("recipient_domains", "recipients", &["*", "own"]),
];
/// Numbers of `limits`.
const LIMITS: [&str; 4] = [
    "messages_per_minute",
    "recipients_per_hour",
    "recipients_per_day",
    "connections",
];

/// All fields as they stand in the connector.
pub(super) fn fill(connector: &InboundConnector) -> Vec<(String, String)> {
    let value = json!(connector);
    let mut pairs = Vec::new();
    for scope in SCOPES {
        put_scope(&mut pairs, scope, &value);
    }
    let mut put = |name: &str, text: String| pairs.push((name.to_owned(), text));
    put("name", connector.name.clone());
    for key in TEXTS {
        put(key, value[key].as_str().unwrap_or_default().to_owned());
    }
    for key in LISTS {
        put(key, lines(&value[key]));
    }
    for key in LIMITS {
        let limit = &value["limits"][key];
        let number = limit.as_u64().or(limit["value"].as_u64());
        put(key, number.map(|it| it.to_string()).unwrap_or_default());
    }
    for (field, text) in content_form::fill(&value["content"]) {
        put(field, text);
    }
    let size = connector.limits.message_size_max;
    let size = size.map(|it| it.to_string()).unwrap_or_default();
    put("message_size_max", size);
    if connector.cleartext_auth {
        put("cleartext_auth", "1".to_owned());
    }
    pairs
}

/// The connector with what this section's form says, or what is wrong with it.
pub(super) fn read(
    lang: Lang,
    section: Section,
    form: &Form,
    connector: &InboundConnector,
) -> Result<InboundConnector, Vec<Mistake>> {
    let mut reading = Reading::new(lang, form, json!(connector));
    match section {
        Section::Identify => identify(&mut reading),
        Section::Senders => senders(&mut reading),
        Section::Recipients => recipients(&mut reading),
        Section::Security => {
            reading.text("tls");
            let is_on = form.get("cleartext_auth") == "1";
            reading.value["cleartext_auth"] = json!(is_on);
            content_form::read(&mut reading, "content");
        }
        Section::State => {
            reading.text("state");
            reading.list("test_recipients", "form-address-wrong", is_address);
        }
    }
    reading.done()
}

fn is_address(text: &str) -> bool {
    Mailbox::parse(text).is_ok()
}

fn is_network(text: &str) -> bool {
    parse_network(text).is_ok()
}

fn is_fingerprint(text: &str) -> bool {
    Fingerprint::parse(text).is_some()
}

fn is_domain(text: &str) -> bool {
    Domain::parse(text).is_ok()
}

fn identify(reading: &mut Reading<'_>) {
    reading.list("sender_ip_addresses", "form-network-wrong", is_network);
    reading.text("tls_sender_certificate_name");
    reading.list(
        "tls_sender_certificate_fingerprints",
        "form-fingerprint-wrong",
        is_fingerprint,
    );
    reading.list("sender_dns_names", "form-domain-wrong", is_domain);
    reading.text("identified_by");
}

fn senders(reading: &mut Reading<'_>) {
    reading.scope(SCOPES[0]);
    reading.optional("header_from");
    reading.optional("preset");
    reading.text("envelope_sender");
    reading.text("owner");
    let owner = reading.form.get("owner");
    if !owner.is_empty() && !is_address(owner) {
        reading.wrong("owner", "form-address-wrong", owner);
    }
}

fn recipients(reading: &mut Reading<'_>) {
    reading.scope(SCOPES[1]);
    for key in LIMITS {
        reading.number("limits", key);
    }
    let size = reading.form.get("message_size_max");
    match ByteCount::from_str(size) {
        _ if size.is_empty() => reading.within(&["limits"], "message_size_max", ""),
        Ok(octets) => reading.within(&["limits"], "message_size_max", &octets.to_string()),
        Err(_) => reading.wrong("message_size_max", "form-size-wrong", size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relais_policy::document::{
        IdentifiedBy, InboundTls, Limit, OnFault, OnFinding, PresetName,
    };

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
        connector.content.checks = vec!["rspamd".to_owned(), "antivirus".to_owned()];
        connector.content.on_fault = OnFault::Hold;
        connector.content.on_finding = OnFinding::Hold;
        connector.content.forbidden_types = vec!["video/*".to_owned()];
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
