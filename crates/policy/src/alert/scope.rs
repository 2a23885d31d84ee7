//! Of which mail a rule is: by connector, sender, client, recipient; what is left empty does not
//! matter. Values are written, and fit, as the tokens of the trace of these names.
//!
//! Not here: whether an event fits (`relais-admin`, by the trace's own tests).

use serde::{Deserialize, Serialize};

/// By what mail can be told apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScopePart {
    /// Organisation.
    Organisation,
    /// Inbound connector.
    Connector,
    /// Sender: an address or a domain.
    From,
    /// Client: its address, a network, or one of its names.
    Client,
    /// Recipient: an address or a domain.
    To,
}

impl ScopePart {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 5] = [
        Self::Organisation,
        Self::Connector,
        Self::From,
        Self::Client,
        Self::To,
    ];

    /// Its token.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Connector => "connector",
            Self::From => "from",
            Self::Client => "client",
            Self::To => "to",
        }
    }
}

/// Of which mail. All that is given must fit.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Organisation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub organisation: String,
    /// Inbound connector.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub connector: String,
    /// Sender.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// Client.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client: String,
    /// Recipient.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub to: String,
}

impl Scope {
    /// Everything.
    pub const ALL: Self = Self {
        organisation: String::new(),
        connector: String::new(),
        from: String::new(),
        client: String::new(),
        to: String::new(),
    };

    /// Whether it leaves nothing out.
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// What is given for a part; empty: any.
    pub fn get(&self, part: ScopePart) -> &str {
        match part {
            ScopePart::Organisation => &self.organisation,
            ScopePart::Connector => &self.connector,
            ScopePart::From => &self.from,
            ScopePart::Client => &self.client,
            ScopePart::To => &self.to,
        }
    }

    /// What is given.
    pub fn parts(&self) -> impl Iterator<Item = (ScopePart, &str)> {
        let parts = ScopePart::ALL.into_iter();
        let parts = parts.map(|part| (part, self.get(part)));
        parts.filter(|(_, value)| !value.is_empty())
    }

    /// Without what stands around each value, and in lower case where that never counts: two that
    /// mean the same are one.
    #[must_use]
    pub fn tidied(mut self) -> Self {
        let values = [
            &mut self.organisation,
            &mut self.connector,
            &mut self.from,
            &mut self.client,
            &mut self.to,
        ];
        for value in values {
            *value = value.trim().to_owned();
        }
        for value in [&mut self.from, &mut self.client, &mut self.to] {
            value.make_ascii_lowercase();
        }
        self
    }
}

/// As a search of the trace.
impl std::fmt::Display for Scope {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, (part, value)) in self.parts().enumerate() {
            let space = if place == 0 { "" } else { " " };
            let name = part.name();
            if value.contains(|c: char| c.is_whitespace() || c == '"' || c == '\\') {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                write!(out, "{space}{name}:\"{value}\"")?;
            } else {
                write!(out, "{space}{name}:{value}")?;
            }
        }
        Ok(())
    }
}
