//! The fields of an outbound connector, section by section: filled from it, read back into it.
//!
//! Not here: secrets, which are written and never read back (`outbound_edit`).

use serde_json::{Value, json};

use relais_policy::document::OutboundConnector;
use relais_policy::settings::{HostPort, Scope};

use super::fields::{Mistake, Reading, lines, put_scope};
use super::form::Form;
use crate::lang::Lang;

/// One part of the fields, in the order of the wizard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Section {
    Connect,
    Limits,
    Scope,
    State,
}

impl Section {
    pub(super) const ALL: [Self; 4] = [Self::Connect, Self::Limits, Self::Scope, Self::State];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Limits => "limits",
            Self::Scope => "scope",
            Self::State => "state",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    pub(super) fn title(self, lang: Lang) -> String {
        match self {
            Self::Connect => lang.t("route-connect"),
            Self::Limits => lang.t("route-limits"),
            Self::Scope => lang.t("route-scope"),
            Self::State => lang.t("step-state"),
        }
    }
}

/// Keys of `pace`.
const PACE: [&str; 4] = [
    "connections",
    "messages_per_minute",
    "recipients_per_day",
    "recipients_per_transaction",
];
/// Keys of `retry`.
const RETRY: [&str; 3] = ["first", "max", "lifetime"];
/// Keys of `auth.parameters` that have a field.
pub(super) const PARAMETERS: [&str; 4] = ["tenant", "client_id", "grant", "certificate"];
/// Inbound connectors that are ticked; names may have spaces.
pub(super) const CAME_BY: &str = "inbound_connectors";
/// Words of `recipient_domains`.
const WORDS: &[&str] = &["*", "own"];

/// All fields as they stand in the connector.
pub(super) fn fill(connector: &OutboundConnector) -> Vec<(String, String)> {
    let value = json!(connector);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut pairs = vec![
        ("state".to_owned(), text(&value["state"])),
        ("smart_hosts".to_owned(), lines(&value["smart_hosts"])),
        ("tls".to_owned(), text(&value["tls"])),
        ("tls_domain".to_owned(), text(&value["tls_domain"])),
        ("method".to_owned(), text(&value["auth"]["method"])),
        ("user".to_owned(), text(&value["auth"]["user"])),
    ];
    for key in PARAMETERS {
        pairs.push((key.to_owned(), text(&value["auth"]["parameters"][key])));
    }
    for key in PACE {
        let number = value["pace"][key].as_u64();
        let shown = number.map(|number| number.to_string());
        pairs.push((key.to_owned(), shown.unwrap_or_default()));
    }
    for key in RETRY {
        pairs.push((key.to_owned(), text(&value["retry"][key])));
    }
    put_scope(
        &mut pairs,
        ("recipient_domains", "recipients", WORDS),
        &value,
    );
    pairs.push(("sender_domains".to_owned(), lines(&value["sender_domains"])));
    let came_by = connector.inbound_connectors.iter();
    pairs.extend(came_by.map(|name| (CAME_BY.to_owned(), name.clone())));
    pairs
}

/// A domain, or all below one; all senders are meant by none at all.
fn is_of_senders(text: &str) -> bool {
    matches!(Scope::parse(text), Ok(Scope::Exact(_) | Scope::Below(_)))
}

fn is_host(text: &str) -> bool {
    HostPort::parse(text, 25).is_some()
}

/// The connector with what this section's form says, or what is wrong with it.
pub(super) fn read(
    lang: Lang,
    section: Section,
    form: &Form,
    connector: &OutboundConnector,
) -> Result<OutboundConnector, Vec<Mistake>> {
    let mut reading = Reading::new(lang, form, json!(connector));
    match section {
        Section::Connect => {
            reading.list("smart_hosts", "form-host-wrong", is_host);
            reading.text("tls");
            reading.text("tls_domain");
            reading.value["auth"]["method"] = json!(form.get("method"));
            reading.value["auth"]["user"] = json!(form.get("user"));
            for key in PARAMETERS {
                reading.within(&["auth", "parameters"], key, form.get(key));
            }
        }
        Section::Limits => {
            for key in PACE {
                reading.number("pace", key);
            }
            for key in RETRY {
                let text = form.get(key);
                if !text.is_empty() {
                    reading.value["retry"][key] = json!(text);
                }
            }
        }
        Section::Scope => {
            reading.scope(("recipient_domains", "recipients", WORDS));
            reading.list("sender_domains", "form-domain-wrong", is_of_senders);
            reading.value[CAME_BY] = json!(form.all(CAME_BY).collect::<Vec<_>>());
        }
        Section::State => reading.text("state"),
    }
    reading.done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use relais_policy::preset::outbound_presets;

    #[test]
    fn a_form_that_nobody_touched_changes_nothing() {
        for preset in outbound_presets() {
            let mut keys = preset.keys.clone();
            keys.insert("name".to_owned(), "x".into());
            let connector: OutboundConnector = keys.try_into().expect(&preset.name);
            let filled = Form::of(fill(&connector));
            let mut back = connector.clone();
            for section in Section::ALL {
                let lang = Lang::of(Some("en"), None);
                back = read(lang, section, &filled, &back).expect("no mistake");
            }
            assert_eq!(back, connector, "{}", preset.name);
        }
    }

    #[test]
    fn mistakes_name_their_field() {
        let form = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let owned = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Form::of(owned.collect())
        };
        let before = OutboundConnector::new("x");
        let lang = Lang::of(Some("en"), None);
        let wrong = form(&[
            ("smart_hosts", "smtp.example.net:99999"),
            ("method", "none"),
        ]);
        let mistakes = read(lang, Section::Connect, &wrong, &before).expect_err("wrong");
        assert_eq!(mistakes[0].field, "smart_hosts");
        let wrong = form(&[("connections", "many")]);
        let mistakes = read(lang, Section::Limits, &wrong, &before).expect_err("wrong");
        assert_eq!(mistakes[0].field, "connections");
        let wrong = form(&[("first", "soon")]);
        assert!(read(lang, Section::Limits, &wrong, &before).is_err());
    }
}
