//! Inbound connectors (who may send through us) and outbound connectors (how mail leaves), as
//! people write them. Checks across keys stand in `settings`.

use std::collections::BTreeMap;

use ipnet::IpNet;
use relais_smtp::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Subjects;
use super::content::ContentPolicy;
use super::value::{Limits, Span};

/// `[[organisation.inbound_connector]]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InboundConnector {
    /// 1 to 64 characters, unique in the organisation.
    pub name: String,
    /// Only one kind so far.
    #[serde(default)]
    pub kind: ConnectorKind,
    /// Draft, observing, enabled, disabled. Default: enabled.
    #[serde(default)]
    pub state: ConnectorState,
    /// Addresses and networks. A single address may be written without prefix length.
    #[serde(default, with = "super::value::networks")]
    pub sender_ip_addresses: Vec<IpNet>,
    /// `relay.contoso.test` or `*.contoso.test`; empty: no certificate.
    #[serde(default)]
    pub tls_sender_certificate_name: String,
    /// SHA-256 of certificates that count whoever issued them: 64 hexadecimal digits, colons
    /// allowed.
    #[serde(default)]
    pub tls_sender_certificate_fingerprints: Vec<String>,
    /// Names re-resolved at TTL.
    #[serde(default)]
    pub sender_dns_names: Vec<String>,
    /// Any or all of the factors given.
    #[serde(default)]
    pub identified_by: IdentifiedBy,
    /// The only recipients while observing.
    #[serde(default)]
    pub test_recipients: Vec<String>,
    /// AUTH without TLS, private source addresses only.
    #[serde(default)]
    pub cleartext_auth: bool,
    /// `*`: every verified domain of the organisation; or a list, `*.example.org` allowed.
    #[serde(default = "any")]
    pub sender_domains: Vec<String>,
    /// `scan@contoso.test`, `scan-*@contoso.test`; empty: every address of `sender_domains`.
    #[serde(default)]
    pub sender_addresses: Vec<String>,
    /// The address that senders are replaced by; empty: none is replaced.
    #[serde(default)]
    pub sender_replacement: String,
    /// Which senders are replaced by it.
    #[serde(default)]
    pub sender_replaced: SenderReplaced,
    /// Whether the null reverse-path is taken from clients that are beyond doubt.
    #[serde(default = "yes")]
    pub accept_null_sender: bool,
    /// `*`, `own`, or a list, `*.example.org` allowed.
    #[serde(default = "any")]
    pub recipient_domains: Vec<String>,
    /// TLS of the session.
    #[serde(default)]
    pub tls: InboundTls,
    /// `2027-12-01`: to the end of this day its devices may use the listener for old TLS; empty:
    /// they may not.
    #[serde(default)]
    pub legacy_tls_until: String,
    /// Empty: the listener's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<PresetName>,
    /// Empty: refuse when hosted, flag in LAN mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_from: Option<HeaderFromPolicy>,
    /// Which reverse-path its mail leaves with.
    #[serde(default)]
    pub envelope_sender: EnvelopeSender,
    /// `Mon-Fri 07:00-19:00 Europe/Paris`; empty: always.
    #[serde(default)]
    pub sending_hours: String,
    /// By which outbound connector its mail leaves; empty: as the recipient's domain says.
    #[serde(default)]
    pub outbound_connector: String,
    /// Gets a copy of each message; empty: nobody.
    #[serde(default)]
    pub archive_address: String,
    /// Who looks at the content, and what follows.
    #[serde(default)]
    pub content: ContentPolicy,
    /// Whether subjects of its mail are written down; none: as the organisation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Subjects>,
    /// Days that content of its mail is kept; none: as the organisation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_days: Option<u32>,
    /// Limits of this connector.
    #[serde(default)]
    pub limits: Limits,
    /// Limits of each device: of each credential, else of each client address.
    #[serde(default)]
    pub limits_per_device: Limits,
    /// Gets notices for senders without a mailbox.
    #[serde(default)]
    pub owner: String,
    /// Words by which people find it.
    #[serde(default)]
    pub tags: Vec<String>,
}

impl InboundConnector {
    /// One of that name with every other key at its default.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: ConnectorKind::default(),
            state: ConnectorState::default(),
            sender_ip_addresses: Vec::new(),
            tls_sender_certificate_name: String::new(),
            tls_sender_certificate_fingerprints: Vec::new(),
            sender_dns_names: Vec::new(),
            identified_by: IdentifiedBy::default(),
            test_recipients: Vec::new(),
            cleartext_auth: false,
            sender_domains: any(),
            sender_addresses: Vec::new(),
            sender_replacement: String::new(),
            sender_replaced: SenderReplaced::default(),
            accept_null_sender: true,
            recipient_domains: any(),
            tls: InboundTls::default(),
            legacy_tls_until: String::new(),
            preset: None,
            header_from: None,
            envelope_sender: EnvelopeSender::default(),
            sending_hours: String::new(),
            outbound_connector: String::new(),
            archive_address: String::new(),
            content: ContentPolicy::default(),
            subjects: None,
            content_days: None,
            limits: Limits::default(),
            limits_per_device: Limits::default(),
            owner: String::new(),
            tags: Vec::new(),
        }
    }

    /// Whether a client certificate is one of its factors.
    pub fn names_certificate(&self) -> bool {
        !self.tls_sender_certificate_name.trim().is_empty()
            || !self.tls_sender_certificate_fingerprints.is_empty()
    }
}

fn any() -> Vec<String> {
    vec!["*".to_owned()]
}

fn yes() -> bool {
    true
}

/// Default: on-premises.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectorKind {
    /// A device or server of the organisation.
    #[default]
    OnPremises,
}

/// Default: enabled.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorState {
    /// Not in use.
    Draft,
    /// Explains; delivers only to test recipients.
    Observing,
    /// In use.
    #[default]
    Enabled,
    /// Switched off.
    Disabled,
}

/// Default: any.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentifiedBy {
    /// One factor is enough.
    #[default]
    Any,
    /// Every factor given must hold.
    All,
}

/// Default: offered.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InboundTls {
    /// Not offered.
    Off,
    /// Offered.
    #[default]
    Offered,
    /// TLS-REQUIRED without it.
    Required,
}

/// `strict` or `tolerant`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PresetName {
    /// For the internet.
    #[default]
    Strict,
    /// For known devices.
    Tolerant,
}

impl From<PresetName> for relais_smtp::content::Preset {
    fn from(name: PresetName) -> Self {
        match name {
            PresetName::Strict => Self::Strict,
            PresetName::Tolerant => Self::Tolerant,
        }
    }
}

/// What happens to a header From outside the verified domains.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderFromPolicy {
    /// HDR-DOMAIN.
    Refuse,
    /// Let pass, shown in the trace.
    Flag,
    /// From becomes the reverse-path, the original goes to Reply-To.
    Repair,
}

/// Default: local.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SenderReplaced {
    /// `root@` of any domain, and domains that mean nothing outside: `nas`, `nas.local`.
    #[default]
    Local,
    /// Every sender.
    All,
}

/// Default: signed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvelopeSender {
    /// A signed address at the bounce domain of the sender's domain, where that names one.
    #[default]
    Signed,
    /// As the client gave it: for lists and devices that recognise mail by it.
    Kept,
}

/// `[[organisation.outbound_connector]]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundConnector {
    /// 1 to 64 characters, unique in the organisation.
    pub name: String,
    /// Draft and disabled ones are not used. Default: enabled.
    #[serde(default)]
    pub state: ConnectorState,
    /// `*`, `own`, or a list, `*.example.org` allowed.
    #[serde(default = "any")]
    pub recipient_domains: Vec<String>,
    /// Only mail of senders in these domains: `example.org`, `*.example.org`; empty: of all.
    #[serde(default)]
    pub sender_domains: Vec<String>,
    /// Only what came by these inbound connectors; empty: by any.
    #[serde(default)]
    pub inbound_connectors: Vec<String>,
    /// `host:port` in order of preference; empty: by MX.
    #[serde(default)]
    pub smart_hosts: Vec<String>,
    /// Smart hosts and issuers of tokens are reached at public addresses only.
    #[serde(default)]
    pub public_hosts_only: bool,
    /// The level demanded.
    #[serde(default)]
    pub tls: OutboundTls,
    /// The name demanded by `domain-validation`, and by a login at the default level.
    #[serde(default)]
    pub tls_domain: String,
    /// How we identify ourselves.
    #[serde(default)]
    pub auth: OutboundAuth,
    /// Egress addresses of this connector; empty: the server's.
    #[serde(default)]
    pub source_addresses: Vec<String>,
    /// Which versions of IP; absent: as the server does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_version: Option<IpVersion>,
    /// How fast.
    #[serde(default)]
    pub pace: Pace,
    /// How long and how often.
    #[serde(default)]
    pub retry: Retry,
}

impl OutboundConnector {
    /// One of that name with every other key at its default.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: ConnectorState::default(),
            recipient_domains: any(),
            sender_domains: Vec::new(),
            inbound_connectors: Vec::new(),
            smart_hosts: Vec::new(),
            public_hosts_only: false,
            tls: OutboundTls::default(),
            tls_domain: String::new(),
            auth: OutboundAuth::default(),
            source_addresses: Vec::new(),
            ip_version: None,
            pace: Pace::default(),
            retry: Retry::default(),
        }
    }
}

/// Default: opportunistic.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutboundTls {
    /// Never.
    None,
    /// Encrypt if offered, do not verify; with a login: verify the chain and the host's name.
    #[default]
    Opportunistic,
    /// Encrypt, do not verify.
    EncryptionOnly,
    /// Verify the chain.
    CertificateValidation,
    /// Verify the chain and the name.
    DomainValidation,
}

/// Which versions of IP next hops are reached by. Default: any.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum IpVersion {
    /// Both, in turns.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// IPv4 only.
    #[serde(rename = "4")]
    V4,
    /// IPv6 only.
    #[serde(rename = "6")]
    V6,
    /// IPv4 first.
    #[serde(rename = "prefer-4")]
    Prefer4,
    /// IPv6 first.
    #[serde(rename = "prefer-6")]
    Prefer6,
}

impl IpVersion {
    /// Every way to write it, and what it means.
    pub const ALL: [(&'static str, Self); 5] = [
        ("any", Self::Any),
        ("4", Self::V4),
        ("6", Self::V6),
        ("prefer-4", Self::Prefer4),
        ("prefer-6", Self::Prefer6),
    ];
}

/// `auth = { method = "password", user = "u", password_file = "/run/secrets/p" }`
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundAuth {
    /// none, password, xoauth2, certificate.
    #[serde(default)]
    pub method: AuthMethod,
    /// User name.
    #[serde(default)]
    pub user: String,
    /// A file that holds the password.
    #[serde(default)]
    pub password_file: String,
    /// Further keys of later methods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// Whether it is a day: `2027-12-31`, and nothing else.
pub fn is_day(text: &str) -> bool {
    let parsed = Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"));
    parsed.is_some_and(|moment| moment.day() == text)
}

/// The key of `auth.parameters` that says when the client secret ends; no issuer says it.
pub const CLIENT_SECRET_EXPIRES: &str = "client_secret_expires";

/// The day on which the client secret ends, as the settings say it: `2027-01-31`.
pub fn client_secret_end(auth: &OutboundAuth) -> Option<Timestamp> {
    let day = auth.parameters.get(CLIENT_SECRET_EXPIRES)?.trim();
    Timestamp::parse_rfc3339(&format!("{day}T00:00:00Z"))
}

/// Default: none.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMethod {
    /// Nothing.
    #[default]
    None,
    /// PLAIN, LOGIN, SCRAM.
    Password,
    /// OAuth.
    Xoauth2,
    /// Client certificate.
    Certificate,
}

/// `pace = { connections = 3, messages_per_minute = 30, recipients_per_day = 10000 }`; absent: no
/// limit but our own.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Connections at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Messages per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_per_minute: Option<u32>,
    /// Recipients per sliding 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_per_day: Option<u32>,
    /// Recipients of one transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_per_transaction: Option<u32>,
}

/// `retry = { first = "1m", max = "1h", lifetime = "24h" }`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Delay before the second attempt.
    #[serde(default = "first")]
    pub first: Span,
    /// Longest delay.
    #[serde(default = "max")]
    pub max: Span,
    /// 12 hours to 5 days.
    #[serde(default = "lifetime")]
    pub lifetime: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: first(),
            max: max(),
            lifetime: lifetime(),
        }
    }
}

fn first() -> Span {
    Span(60)
}

fn max() -> Span {
    Span(3_600)
}

fn lifetime() -> Span {
    Span(86_400)
}
