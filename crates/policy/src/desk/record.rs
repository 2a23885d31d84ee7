//! A record to publish, for people and for a zone file (RFC 1035 §5.1).

use std::fmt::Write as _;

use super::{Outcome, Words};

/// TTL that we propose, in seconds: people mend mistakes within the hour.
pub const TTL_SECONDS: u32 = 3_600;
/// Longest character string of a TXT record in octets. RFC 1035 §3.3.
const TEXT_STRING_OCTETS_MAX: usize = 255;

/// A record to publish.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProposedRecord {
    /// `verification`, `spf`, `dkim`, `dmarc`, `mx`, `bounce-mx`, `bounce-spf`, `bounce`,
    /// `mta-sts`, `tls-rpt`.
    pub purpose: &'static str,
    /// Mail suffers without it; else it is advice.
    pub needed: bool,
    /// Whole, without a final dot.
    pub name: String,
    /// Type and value.
    pub kind: RecordKind,
    /// Why.
    pub words: Words,
    /// How it stands in DNS.
    pub state: RecordState,
}

/// Type and value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RecordKind {
    /// TXT
    Text(String),
    /// CNAME
    Alias(String),
    /// MX
    Mx(u16, String),
}

/// How it stands in DNS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RecordState {
    /// It is there.
    Right,
    /// Nothing is there.
    Absent,
    /// Something else is there.
    Differs(Differs),
    /// DNS did not say, and why.
    Unknown(String),
}

/// What is there instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Differs(pub Vec<String>);

impl RecordState {
    /// The word, for JSON and people.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Absent => "absent",
            Self::Differs(_) => "differs",
            Self::Unknown(_) => "unknown",
        }
    }

    /// What is there instead.
    pub fn found(&self) -> &[String] {
        match self {
            Self::Differs(Differs(found)) => found,
            Self::Right | Self::Absent | Self::Unknown(_) => &[],
        }
    }

    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::Right => Outcome::Good,
            Self::Absent => Outcome::Absent,
            Self::Differs(_) => Outcome::Wrong,
            Self::Unknown(_) => Outcome::Unknown,
        }
    }
}

impl ProposedRecord {
    /// The type's name.
    pub const fn type_name(&self) -> &'static str {
        match self.kind {
            RecordKind::Text(_) => "TXT",
            RecordKind::Alias(_) => "CNAME",
            RecordKind::Mx(..) => "MX",
        }
    }

    /// The value as people type it into a registrar's form.
    pub fn value(&self) -> String {
        match &self.kind {
            RecordKind::Text(text) | RecordKind::Alias(text) => text.clone(),
            RecordKind::Mx(preference, host) => format!("{preference} {host}"),
        }
    }

    /// The value in a zone file: names whole, texts in strings of at most 255 octets.
    pub fn zone_data(&self) -> String {
        match &self.kind {
            RecordKind::Text(text) => zone_text(text),
            RecordKind::Alias(target) => format!("{target}."),
            RecordKind::Mx(preference, host) => format!("{preference} {host}."),
        }
    }
}

/// RFC 1035 §5.1: octets that are no printable ASCII as `\DDD`.
fn zone_text(text: &str) -> String {
    let strings = text
        .as_bytes()
        .chunks(TEXT_STRING_OCTETS_MAX)
        .map(|string| {
            let mut quoted = String::from("\"");
            for octet in string {
                match octet {
                    b'"' | b'\\' => {
                        quoted.push('\\');
                        quoted.push(char::from(*octet));
                    }
                    b' '..=b'~' => quoted.push(char::from(*octet)),
                    // Writing to a text cannot fail.
                    _ => drop(write!(quoted, "\\{octet:03}")),
                }
            }
            quoted.push('"');
            quoted
        });
    strings.collect::<Vec<_>>().join(" ")
}
