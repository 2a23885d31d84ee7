//! The settings as people write them: one document, in TOML for `relais apply` and `export`, in
//! JSON in the store. Every option exists once: here, with its default, bound and words.
//!
//! Reading gives precise errors (line, column, nearest name); checking what belongs together is
//! done by [`crate::settings::Settings::build`].

mod write;
mod read;
pub mod schema;
mod connector;
mod trigger;
mod content;
mod value;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use connector::{
    AuthMethod, CLIENT_SECRET_EXPIRES, ConnectorKind, ConnectorState, EnvelopeSender,
    HeaderFromPolicy, IdentifiedBy, InboundConnector, InboundTls, IpVersion, OutboundAuth,
    OutboundConnector, OutboundTls, Pace, PresetName, Retry, SenderReplaced, client_secret_end,
    is_day,
};
pub use content::{ContentPolicy, OnFault, OnFinding};
pub use read::FILE_OCTETS_MAX;
pub use trigger::{Trigger, TriggerMode, Triggers};
pub use value::{
    BYTE_COUNT_MAX, ByteCount, LIMIT_VALUE_MAX, Limit, Limits, SPAN_SECONDS_MAX, Span, ValueError,
    parse_network, write_network,
};
pub(crate) use write::{Defaults, Keep};

/// All settings. `[[organisation]]` …
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The organisations; in LAN mode at most one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organisation: Vec<Organisation>,
}

/// A set of accepted domains, connectors, credentials, recipients.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// `[a-z0-9-]`, 1 to 63 characters, unique.
    pub name: String,
    /// For people. Default: the name.
    #[serde(default)]
    pub display_name: String,
    /// Language of notices and alert mail.
    #[serde(default)]
    pub language: Language,
    /// Gets alerts, and notices that have no mailbox. Empty: such notices are discarded with an
    /// event.
    #[serde(default)]
    pub postmaster: String,
    /// Limits of the whole organisation.
    #[serde(default)]
    pub limits: Limits,
    /// Limits of each envelope sender.
    #[serde(default)]
    pub limits_per_sender: Limits,
    /// Seats for senders without a mailbox.
    #[serde(default)]
    pub licences: Licences,
    /// What makes mail be held by itself.
    #[serde(default)]
    pub triggers: Triggers,
    /// Who looks at what strangers send to its domains.
    #[serde(default)]
    pub inbound_content: ContentPolicy,
    /// Whether subjects are written down.
    #[serde(default)]
    pub subjects: Subjects,
    /// Days that content is kept after the last outcome; none: as the bootstrap file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_days: Option<u32>,
    /// Octets of content that are kept of all its mail.
    #[serde(default = "content_max")]
    pub content_max: ByteCount,
    /// Accepted domains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domain: Vec<AcceptedDomain>,
    /// The directory: recipients and people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipient: Vec<DirectoryEntry>,
    /// Who may send through us.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inbound_connector: Vec<InboundConnector>,
    /// How mail leaves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outbound_connector: Vec<OutboundConnector>,
    /// One per device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credential: Vec<Credential>,
}

impl Organisation {
    /// One of that name with every other key at its default.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            display_name: String::new(),
            language: Language::default(),
            postmaster: String::new(),
            limits: Limits::default(),
            limits_per_sender: Limits::default(),
            licences: Licences::default(),
            triggers: Triggers::default(),
            inbound_content: ContentPolicy::default(),
            subjects: Subjects::default(),
            content_days: None,
            content_max: CONTENT_MAX,
            domain: Vec::new(),
            recipient: Vec::new(),
            inbound_connector: Vec::new(),
            outbound_connector: Vec::new(),
            credential: Vec::new(),
        }
    }
}

/// `en` or `fr`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// French.
    #[serde(rename = "fr")]
    French,
}

/// Days that content is kept at most: a year.
pub const CONTENT_DAYS_MAX: u32 = 366;

/// `content_max` where nothing is said: a year of an office's scans, and a small part of a disk.
pub const CONTENT_MAX: ByteCount = ByteCount(10 << 30);

fn content_max() -> ByteCount {
    CONTENT_MAX
}

/// Default: shown.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subjects {
    /// Written down as they are, for whoever may read content.
    #[default]
    Shown,
    /// Never written down: neither queue nor trace, nor anybody who is told, has them.
    Masked,
}

/// `licences = { seats = 25, policy = "report" }`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Licences {
    /// How many.
    #[serde(default)]
    pub seats: u32,
    /// What happens beyond them.
    #[serde(default)]
    pub policy: LicencePolicy,
}

/// Default: off.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LicencePolicy {
    /// Nothing is counted.
    #[default]
    Off,
    /// Counted and shown.
    Report,
    /// Senders beyond the seats are refused.
    Enforce,
}

/// `[[organisation.domain]]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedDomain {
    /// A domain name; unique over all organisations.
    pub name: String,
    /// What happens to unknown recipients.
    #[serde(default)]
    pub kind: DomainKind,
    /// How ownership is proved.
    #[serde(default)]
    pub verification: Verification,
    /// Whether `x.contoso.test` is covered too.
    #[serde(default)]
    pub subdomains: bool,
    /// `host:port`, `[address]:port`, or `lmtp:host:port`: where mail for it goes, whoever sends;
    /// empty: by outbound connectors, then MX without ourselves.
    #[serde(default)]
    pub mailbox_host: String,
    /// The mailbox host is reached at public addresses only.
    #[serde(default)]
    pub public_hosts_only: bool,
    /// For signed envelope senders; empty: none.
    #[serde(default)]
    pub bounce_domain: String,
    /// The reverse-path of strangers' mail that is passed on.
    #[serde(default)]
    pub passed_on_sender: PassedOnSender,
    /// Strangers' mail that fails the policy of its author's domain.
    #[serde(default)]
    pub dmarc: DmarcPolicy,
    /// Signing.
    #[serde(default)]
    pub dkim: Dkim,
    /// What senders to this domain are to demand of TLS.
    #[serde(default)]
    pub mta_sts: MtaSts,
    /// Limits of all its senders together.
    #[serde(default)]
    pub limits: Limits,
}

impl AcceptedDomain {
    /// One of that name with every other key at its default: pending, authoritative.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: DomainKind::default(),
            verification: Verification::default(),
            subdomains: false,
            mailbox_host: String::new(),
            public_hosts_only: false,
            bounce_domain: String::new(),
            passed_on_sender: PassedOnSender::default(),
            dmarc: DmarcPolicy::default(),
            dkim: Dkim::default(),
            mta_sts: MtaSts::default(),
            limits: Limits::default(),
        }
    }
}

/// Default: authoritative.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DomainKind {
    /// Unknown recipients are refused.
    #[default]
    Authoritative,
    /// Unknown recipients are passed on to the mailbox host.
    InternalRelay,
}

/// Default: dns.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// A TXT record; the domain is pending until it is seen.
    #[default]
    Dns,
    /// By hand, over the local socket only; audited.
    Assumed,
}

/// Default: auto. Rewritten to a signed address at the bounce domain, so that the next server's SPF
/// check finds us and not the stranger; only where there is a bounce domain.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PassedOnSender {
    /// Rewritten where the next hop is beyond our own network.
    #[default]
    Auto,
    /// As it came.
    Kept,
    /// Rewritten wherever it goes.
    Rewritten,
}

/// Default: record.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DmarcPolicy {
    /// Taken, with the result in Authentication-Results: the mailbox host decides.
    #[default]
    Record,
    /// Refused where the author's domain asks for it.
    Reject,
}

/// `dkim = { … }`. Takes effect once DNS shows the key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Dkim {
    /// Whether to sign.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Which algorithms.
    #[serde(default = "both_algorithms")]
    pub algorithms: Vec<DkimAlgorithm>,
    /// Days between rotations.
    #[serde(default = "rotate_days")]
    pub rotate_days: u32,
}

/// `mta_sts = { … }`: the domain's own policy, which we show. RFC 8461 §3.2.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MtaSts {
    /// What is demanded.
    #[serde(default)]
    pub mode: MtaStsMode,
    /// How long senders keep it.
    #[serde(default = "policy_max_age")]
    pub max_age: Span,
    /// Patterns of mail exchangers; empty: this relay alone.
    #[serde(default)]
    pub mx: Vec<String>,
}

/// Default: off.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MtaStsMode {
    /// No policy is shown.
    #[default]
    Off,
    /// Failures are reported, mail comes all the same.
    Testing,
    /// Mail comes to listed hosts with a certificate that holds, or waits at its sender.
    Enforce,
    /// The policy is taken back: to be shown as long as others may keep the last one.
    None,
}

impl Default for MtaSts {
    fn default() -> Self {
        Self {
            mode: MtaStsMode::default(),
            max_age: policy_max_age(),
            mx: Vec::new(),
        }
    }
}

/// A week: long enough to protect, short enough to change one's mind.
fn policy_max_age() -> Span {
    Span(7 * 86_400)
}

/// RFC 6376 and RFC 8463.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DkimAlgorithm {
    /// RSA with 2,048 bits.
    Rsa2048,
    /// Ed25519.
    Ed25519,
}

impl Default for Dkim {
    fn default() -> Self {
        Self {
            enabled: true,
            algorithms: both_algorithms(),
            rotate_days: rotate_days(),
        }
    }
}

fn yes() -> bool {
    true
}

fn both_algorithms() -> Vec<DkimAlgorithm> {
    vec![DkimAlgorithm::Rsa2048, DkimAlgorithm::Ed25519]
}

fn rotate_days() -> u32 {
    180
}

/// `[[organisation.recipient]]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryEntry {
    /// An address in an accepted domain.
    pub address: String,
    /// False: a person without mailbox.
    #[serde(default = "yes")]
    pub mailbox: bool,
}

/// `[[organisation.credential]]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// At most 20 characters of `[a-z0-9-]`.
    pub user: String,
    /// Argon2id, PHC form.
    #[serde(default)]
    pub password_hash: String,
    /// The SCRAM verifier; empty: SCRAM fails.
    #[serde(default)]
    pub scram_sha_256: String,
    /// The hash before the last rotation.
    #[serde(default)]
    pub previous_password_hash: String,
    /// The verifier before the last rotation.
    #[serde(default)]
    pub previous_scram_sha_256: String,
    /// Until when the previous password counts, RFC 3339; empty: no longer.
    #[serde(default)]
    pub previous_until: String,
    /// False: the right password is refused too.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// From when on it is refused, RFC 3339; empty: never.
    #[serde(default)]
    pub expires: String,
    /// Empty: from everywhere.
    #[serde(default, with = "value::networks")]
    pub source_addresses: Vec<IpNet>,
    /// none, 1.2, 1.3.
    #[serde(default = "tls_min")]
    pub tls_min: String,
    /// The connector it belongs to.
    pub inbound_connector: String,
    /// Addresses or `*@domain`; empty: any address of the connector's sender_domains.
    #[serde(default)]
    pub may_send_as: Vec<String>,
    /// Its own limits; a key that is absent here: as `limits_per_device` of its connector.
    #[serde(default)]
    pub limits: Limits,
}

impl Credential {
    /// One of that user for that connector with every other key at its default: no password.
    pub fn new(user: impl Into<String>, inbound_connector: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password_hash: String::new(),
            scram_sha_256: String::new(),
            previous_password_hash: String::new(),
            previous_scram_sha_256: String::new(),
            previous_until: String::new(),
            enabled: true,
            expires: String::new(),
            source_addresses: Vec::new(),
            tls_min: tls_min(),
            inbound_connector: inbound_connector.into(),
            may_send_as: Vec::new(),
            limits: Limits::default(),
        }
    }
}

fn tls_min() -> String {
    "1.2".to_owned()
}

/// Why a text is not a settings file; one sentence with line and column.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct DocumentError {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// Cause and fix, with the nearest known name for an unknown key.
    pub message: String,
}

impl Document {
    /// Reads the TOML of `relais apply`. The first fault is reported with its place.
    pub fn from_toml(text: &str) -> Result<Self, DocumentError> {
        read::check(text)?;
        toml::from_str(text).map_err(|error| read::from_toml_error(text, &error))
    }

    /// Writes the TOML of `relais export`, with keys in the order of this file; `from_toml` reads
    /// it back to an equal document.
    pub fn to_toml(&self) -> String {
        write::document(&self.to_table())
    }

    /// As a tree of plain values, for writing and comparing.
    pub(crate) fn to_table(&self) -> toml::Table {
        toml::Table::try_from(self).expect("each field is text, list, table, or a number in bounds")
    }
}

#[cfg(test)]
mod tests;
