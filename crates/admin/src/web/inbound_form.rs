//! The fields of an inbound connector, section by section: filled from it, read back into it, each
//! mistake beside its field. The wizard and the pages that change a connector share them.
//!
//! Not here: what belongs together across sections (the check of the settings, by the API).

use std::str::FromStr;

use serde_json::json;

use relais_policy::document::{ByteCount, InboundConnector, SenderReplaced, is_day, parse_network};
use relais_policy::hours::SendingHours;
use relais_policy::sender::is_pattern;
use relais_policy::settings::Scope;
use relais_policy::tls::Fingerprint;
use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;

use super::content_form;
use super::fields::{Mistake, Reading, ScopeField, lines, put_scope};
use super::form::Form;
use crate::lang::Lang;
use crate::plain::{typed_hours, typed_size};

/// Characters of a tag, as the settings have it.
const TAG_CHARACTERS_MAX: usize = 32;

/// One part of the fields.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Section {
    Identify,
    Senders,
    Recipients,
    Security,
    Delivery,
    State,
}

impl Section {
    pub(super) const ALL: [Self; 6] = [
        Self::Identify,
        Self::Senders,
        Self::Recipients,
        Self::Security,
        Self::Delivery,
        Self::State,
    ];

    /// In addresses and templates.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Senders => "senders",
            Self::Recipients => "recipients",
            Self::Security => "security",
            Self::Delivery => "delivery",
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
            Self::Delivery => lang.t("step-delivery"),
            Self::State => lang.t("step-state"),
        }
    }
}

/// Fields that are a text or a choice in the settings.
const TEXTS: [&str; 11] = [
    "tls_sender_certificate_name",
    "identified_by",
    "state",
    "tls",
    "preset",
    "header_from",
    "envelope_sender",
    "owner",
    "sender_replacement",
    "outbound_connector",
    "archive_address",
];
/// Lists, one entry a line.
const LISTS: [&str; 5] = [
    "sender_ip_addresses",
    "tls_sender_certificate_fingerprints",
    "sender_dns_names",
    "test_recipients",
    "sender_addresses",
];
/// A list that may be one word: the field of the choice beside it, and its words.
const RECIPIENTS: ScopeField = ("recipient_domains", "recipients", &["*", "own"]);
/// Numbers of `limits`.
const LIMITS: [&str; 5] = [
    "recipients_per_message",
    "messages_per_minute",
    "recipients_per_hour",
    "recipients_per_day",
    "connections",
];

/// All fields as they stand in the connector, for a reader of this language.
pub(super) fn fill(lang: Lang, connector: &InboundConnector) -> Vec<(String, String)> {
    let value = json!(connector);
    let mut pairs = Vec::new();
    put_scope(&mut pairs, RECIPIENTS, &value);
    let mut put = |name: &str, text: String| pairs.push((name.to_owned(), text));
    put("name", connector.name.clone());
    for key in TEXTS {
        put(key, value[key].as_str().unwrap_or_default().to_owned());
    }
    for key in LISTS {
        put(key, lines(&value[key]));
    }
    put("legacy_tls_until", connector.legacy_tls_until.clone());
    let is_allowed = !connector.legacy_tls_until.is_empty();
    put(
        "legacy_tls",
        if is_allowed { "yes" } else { "no" }.to_owned(),
    );
    put("sending_hours", lang.hours(&connector.sending_hours));
    put("tags", connector.tags.join(" "));
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
    let answer = Senders::of(connector);
    put("senders", answer.name().to_owned());
    let domains = match answer {
        Senders::Any => String::new(),
        _ => lines(&value["sender_domains"]),
    };
    put("sender_domains", domains);
    let replaces_local = connector.sender_replaced == SenderReplaced::Local
        && !connector.sender_replacement.is_empty();
    let ticks = [
        ("cleartext_auth", connector.cleartext_auth),
        ("replace_local", replaces_local),
        ("accept_null_sender", connector.accept_null_sender),
    ];
    for (name, _) in ticks.iter().filter(|(_, is_on)| *is_on) {
        put(name, "1".to_owned());
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
        Section::Senders => senders(&mut reading, Senders::of(connector)),
        Section::Recipients => recipients(&mut reading),
        Section::Security => {
            reading.text("tls");
            let is_on = form.get("cleartext_auth") == "1";
            reading.value["cleartext_auth"] = json!(is_on);
            old_tls(&mut reading);
            content_form::read(&mut reading, "content");
        }
        Section::Delivery => delivery(&mut reading),
        Section::State => {
            reading.text("state");
            reading.list("test_recipients", "form-address-wrong", is_address);
        }
    }
    reading.done()
}

/// Where the page does not ask it, the connector stays as it is.
fn old_tls(reading: &mut Reading<'_>) {
    let day = match reading.form.get("legacy_tls") {
        "yes" => reading.form.get("legacy_tls_until"),
        "no" => "",
        _ => return,
    };
    if reading.form.get("legacy_tls") == "yes" && !is_day(day) {
        reading.wrong("legacy_tls_until", "form-day-wrong", day);
    }
    reading.value["legacy_tls_until"] = json!(day);
}

fn is_address(text: &str) -> bool {
    Mailbox::parse(text).is_ok()
}

/// An address that goes into envelopes for others: every server must take it.
fn plain_address(reading: &mut Reading<'_>, field: &'static str, given: &str) {
    match Mailbox::parse(given) {
        Ok(mailbox) if mailbox.is_ascii() => {}
        Ok(_) => reading.wrong(field, "form-address-ascii", given),
        Err(_) => reading.wrong(field, "form-address-wrong", given),
    }
}

fn is_network(text: &str) -> bool {
    parse_network(text).is_ok()
}

fn is_fingerprint(text: &str) -> bool {
    Fingerprint::parse(text).is_some()
}

fn is_scope(text: &str) -> bool {
    Scope::parse(text).is_ok()
}

fn is_domain(text: &str) -> bool {
    Domain::parse(text).is_ok()
}

fn is_word(text: &str) -> bool {
    text.chars().count() <= TAG_CHARACTERS_MAX && !text.chars().any(char::is_control)
}

/// The answers to: as whom may it send?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Senders {
    /// As any address of the verified domains.
    Any,
    /// As any address of some domains.
    Domains,
    /// As these addresses.
    Addresses,
    /// As one address, whatever it says.
    One,
}

impl Senders {
    const ALL: [Self; 4] = [Self::Any, Self::Domains, Self::Addresses, Self::One];

    /// In forms.
    const fn name(self) -> &'static str {
        match self {
            Self::Any => "*",
            Self::Domains => "list",
            Self::Addresses => "addresses",
            Self::One => "one",
        }
    }

    /// What the settings say.
    fn of(connector: &InboundConnector) -> Self {
        if connector.sender_replaced == SenderReplaced::All {
            return Self::One;
        }
        if !connector.sender_addresses.is_empty() {
            return Self::Addresses;
        }
        match connector.sender_domains.as_slice() {
            [only] if only == "*" => Self::Any,
            _ => Self::Domains,
        }
    }
}

fn identify(reading: &mut Reading<'_>) {
    reading.list("tags", "form-tag-wrong", is_word);
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

/// Whoever gives another answer than before means that one alone.
fn senders(reading: &mut Reading<'_>, before: Senders) {
    let answer = reading.form.get("senders");
    let answer = Senders::ALL.into_iter().find(|one| one.name() == answer);
    let answer = answer.unwrap_or(before);
    if answer != before {
        reading.value["sender_domains"] = json!(["*"]);
        reading.value["sender_addresses"] = json!([]);
    }
    match answer {
        Senders::Any | Senders::One => {}
        Senders::Domains => reading.some("sender_domains", "form-domain-wrong", is_scope),
        Senders::Addresses => reading.some("sender_addresses", "form-pattern-wrong", is_pattern),
    }
    let is_all = answer == Senders::One;
    let is_local = reading.form.get("replace_local") == "1";
    let given = match is_all || is_local {
        true => reading.form.get("sender_replacement"),
        false => "",
    };
    if is_all || is_local {
        plain_address(reading, "sender_replacement", given);
    }
    reading.value["sender_replacement"] = json!(given);
    reading.value["sender_replaced"] = json!(if is_all { "all" } else { "local" });
    let takes_null = reading.form.get("accept_null_sender") == "1";
    reading.value["accept_null_sender"] = json!(takes_null);
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
    reading.scope(RECIPIENTS);
    let given = reading.form.get("sending_hours");
    let hours = typed_hours(given);
    if !hours.is_empty() && SendingHours::parse(&hours).is_err() {
        reading.wrong("sending_hours", "form-hours-wrong", given);
    }
    reading.value["sending_hours"] = json!(hours);
    for key in LIMITS {
        reading.number("limits", key);
    }
    let size = reading.form.get("message_size_max");
    match ByteCount::from_str(&typed_size(size)) {
        _ if size.is_empty() => reading.within(&["limits"], "message_size_max", ""),
        Ok(octets) => reading.within(&["limits"], "message_size_max", &octets.to_string()),
        Err(_) => reading.wrong("message_size_max", "form-size-wrong", size),
    }
}

fn delivery(reading: &mut Reading<'_>) {
    reading.text("outbound_connector");
    reading.text("archive_address");
    let archive = reading.form.get("archive_address");
    if !archive.is_empty() {
        plain_address(reading, "archive_address", archive);
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
        connector.sender_replacement = "scan@a.test".to_owned();
        connector.accept_null_sender = false;
        connector.sending_hours = "Mon-Fri 07:00-19:00 Europe/Paris".to_owned();
        connector.outbound_connector = "Microsoft 365".to_owned();
        connector.archive_address = "archive@a.test".to_owned();
        connector.tags = vec!["lyon".to_owned(), "étage-2".to_owned()];
        connector.limits.recipients_per_message = Some(20);
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
        let is_unchanged = |connector: &InboundConnector| {
            let filled = Form::of(fill(english(), connector));
            let mut read_back = connector.clone();
            for section in Section::ALL {
                read_back = read(english(), section, &filled, &read_back).expect("no mistake");
            }
            assert_eq!(read_back, *connector);
        };
        is_unchanged(&connector);
        connector.sender_addresses = vec!["scan-*@a.test".to_owned()];
        is_unchanged(&connector);
        connector.sender_replaced = SenderReplaced::All;
        is_unchanged(&connector);
    }

    #[test]
    fn who_answers_anew_as_whom_it_sends_means_that_answer_alone() {
        let before = InboundConnector::new("x");
        let answered = |before: &InboundConnector, pairs: &[(&str, &str)]| {
            let common = [("envelope_sender", "signed"), ("accept_null_sender", "1")];
            let typed = form(&[pairs, &common].concat());
            read(english(), Section::Senders, &typed, before)
        };
        let listed = [("senders", "list"), ("sender_domains", "a.test")];
        let listed = answered(&before, &listed).expect("right");
        assert_eq!(listed.sender_domains, ["a.test"]);
        let addresses = [
            ("senders", "addresses"),
            ("sender_domains", "a.test"),
            ("sender_addresses", "scan@a.test, scan-*@b.test"),
        ];
        let addresses = answered(&listed, &addresses).expect("right");
        assert_eq!(addresses.sender_addresses, ["scan@a.test", "scan-*@b.test"]);
        assert_eq!(addresses.sender_domains, ["*"]);
        let one = [("senders", "one"), ("sender_replacement", "nas@a.test")];
        let one = answered(&addresses, &one).expect("right");
        assert_eq!(one.sender_replaced, SenderReplaced::All);
        assert_eq!(one.sender_replacement, "nas@a.test");
        assert!(one.sender_addresses.is_empty());
        let local = [
            ("senders", "*"),
            ("replace_local", "1"),
            ("sender_replacement", "nas@a.test"),
        ];
        let local = answered(&one, &local).expect("right");
        assert_eq!(local.sender_replaced, SenderReplaced::Local);
        assert_eq!(local.sender_replacement, "nas@a.test");
        // What is not asked for is not kept: nobody would see it.
        let none = [("senders", "*"), ("sender_replacement", "nas@a.test")];
        let none = answered(&local, &none).expect("right");
        assert_eq!(none, before);
        for (pairs, field) in [
            (
                [("senders", "one"), ("sender_replacement", "")],
                "sender_replacement",
            ),
            (
                [("replace_local", "1"), ("sender_replacement", "nas")],
                "sender_replacement",
            ),
            (
                [("senders", "one"), ("sender_replacement", "numéro@a.test")],
                "sender_replacement",
            ),
            (
                [
                    ("senders", "addresses"),
                    ("sender_addresses", "a*b*@a.test"),
                ],
                "sender_addresses",
            ),
            (
                [("senders", "addresses"), ("sender_addresses", "")],
                "sender_addresses",
            ),
        ] {
            let mistakes = answered(&before, &pairs).expect_err(field);
            assert_eq!(mistakes[0].field, field);
        }
    }

    #[test]
    fn the_days_of_hours_stand_in_the_readers_language_and_are_read_back() {
        let french = Lang::of(Some("fr"), None);
        let mut connector = InboundConnector::new("x");
        connector.sending_hours = "Mon-Fri 07:00-19:00 Europe/Paris".to_owned();
        for (lang, shown) in [
            (english(), "Mon-Fri 07:00-19:00 Europe/Paris"),
            (french, "lun-ven 07:00-19:00 Europe/Paris"),
        ] {
            let filled = Form::of(fill(lang, &connector));
            assert_eq!(filled.get("sending_hours"), shown);
            let read = read(lang, Section::Recipients, &filled, &connector);
            assert_eq!(read.expect("right"), connector);
        }
    }

    #[test]
    fn hours_are_read_before_they_are_saved() {
        let before = InboundConnector::new("x");
        let hours = |text: &str| {
            let typed = form(&[("recipients", "*"), ("sending_hours", text)]);
            read(english(), Section::Recipients, &typed, &before)
        };
        let right = hours("Mon-Fri 07:00-19:00").expect("right");
        assert_eq!(right.sending_hours, "Mon-Fri 07:00-19:00");
        let french = hours("lun-ven 07:00-19:00").expect("right");
        assert_eq!(french, right);
        assert_eq!(hours("").expect("always"), before);
        let wrong = hours("in the morning").expect_err("wrong");
        assert_eq!(wrong[0].field, "sending_hours");
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

    #[test]
    fn the_day_for_old_tls_is_kept_where_it_is_not_asked_and_taken_away_where_it_is_denied() {
        let mut before = InboundConnector::new("x");
        before.legacy_tls_until = "2027-12-01".to_owned();
        let day = |pairs: &[(&str, &str)]| {
            let typed = form(&[&[("tls", "offered")], pairs].concat());
            let read = read(english(), Section::Security, &typed, &before);
            read.map(|one| one.legacy_tls_until)
        };
        assert_eq!(day(&[]).as_deref(), Ok("2027-12-01"));
        let no = [("legacy_tls", "no"), ("legacy_tls_until", "2027-12-01")];
        assert_eq!(day(&no).as_deref(), Ok(""));
        let later = [("legacy_tls", "yes"), ("legacy_tls_until", "2028-01-01")];
        assert_eq!(day(&later).as_deref(), Ok("2028-01-01"));
        let wrong = [("legacy_tls", "yes"), ("legacy_tls_until", "soon")];
        assert_eq!(day(&wrong).expect_err("wrong")[0].field, "legacy_tls_until");
    }
}
