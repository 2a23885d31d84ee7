//! Which client is this? (address, certificate, credential) → exactly one inbound connector, or why
//! not. Never decided by the recipient, nor by the greeting name.
//!
//! Credential before certificate before address; of addresses, the longest prefix, where a
//! DNS name of `sender_dns_names` counts as the addresses that it leads to, behind networks of one
//! address and before wider ones; of a certificate, its SHA-256 before its names, and of the names
//! those that a connector bears as they are before those that a wildcard covers. A certificate that
//! proves nothing is no certificate, but where a connector names it by its SHA-256. A connector
//! with `identified_by = "all"` wants every factor that it gives, and where one is missing no
//! wider connector is tried. A draft never takes a client away from a connector in use: it is
//! found only where nothing else is, so that a person sees why.

use std::net::IpAddr;

use relais_smtp::domain::Domain;

use crate::document::{ConnectorState, IdentifiedBy, InboundConnector};
use crate::range::special_address;
use crate::settings::{Mode, OwnedConnector, Settings};
use crate::tls::{Certificate, Fingerprint, TlsVersion};

/// What is known of the client, all proved but the greeting name.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The peer's address after PROXY protocol, canonical (IPv4-mapped IPv6 is IPv4).
    pub address: IpAddr,
    /// The certificate that it presented, as judged.
    pub certificate: Option<Certificate>,
    /// The user it authenticated as.
    pub credential: Option<String>,
    /// The greeting name: a hint for the trace only.
    pub helo: Option<String>,
    /// The session is encrypted, by this version.
    pub tls: Option<TlsVersion>,
    /// The listener demands authentication.
    pub submission: bool,
}

impl Facts {
    /// A client of which only the address is known.
    pub fn of_address(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            certificate: None,
            credential: None,
            helo: None,
            tls: None,
            submission: false,
        }
    }

    /// The names that its certificate proves.
    pub fn certificate_names(&self) -> &[Box<str>] {
        self.certificate
            .as_ref()
            .map(Certificate::names)
            .unwrap_or_default()
    }
}

/// By which factor a connector was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Because {
    /// `ip 10.1.2.9 in 10.1.2.0/24`, longest prefix.
    Address {
        /// The network that matched.
        network: ipnet::IpNet,
        /// No other organisation's connector covers the address.
        exclusive: bool,
    },
    /// `ip 192.0.2.9 of copier.dyn.example`: a DNS name leads to it.
    DnsName {
        /// Which.
        name: Domain,
    },
    /// A name of the certificate.
    Certificate {
        /// Which.
        name: Box<str>,
    },
    /// The credential.
    Credential,
}

impl Because {
    /// The rule, for trace and `simulate`.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Address { .. } => "longest prefix",
            Self::DnsName { .. } => "DNS name",
            Self::Certificate { .. } => "certificate name",
            Self::Credential => "authenticated user",
        }
    }
}

/// The answer.
#[derive(Clone, Debug)]
pub enum Attribution<'a> {
    /// This connector, in whatever state it is.
    Connector {
        /// The connector and its organisation.
        found: OwnedConnector<'a>,
        /// By which factor.
        because: Because,
    },
    /// A connector matches, but a further factor that it demands is missing (SRC-SHARED).
    FactorMissing {
        /// The connector that demands it.
        found: OwnedConnector<'a>,
        /// `certificate`, `credential`, `address`, `DNS name`.
        missing: &'static str,
    },
    /// Nobody's client.
    Stranger,
}

impl<'a> Attribution<'a> {
    /// The connector, whether all its factors hold or not.
    pub fn connector(&self) -> Option<OwnedConnector<'a>> {
        match self {
            Self::Connector { found, .. } | Self::FactorMissing { found, .. } => Some(*found),
            Self::Stranger => None,
        }
    }

    /// What was found, in words: `ip 10.1.2.9 in 10.1.2.0/24`.
    pub fn describe(&self, facts: &Facts) -> String {
        match self {
            Self::Connector {
                because: Because::Address { network, .. },
                ..
            } => {
                format!("ip {} in {network}", facts.address)
            }
            Self::Connector {
                because: Because::DnsName { name },
                ..
            } => format!("ip {} of {name}", facts.address),
            Self::Connector {
                because: Because::Certificate { name },
                ..
            } => format!("certificate {name}"),
            Self::Connector {
                because: Because::Credential,
                ..
            } => {
                format!(
                    "credential {}",
                    facts.credential.as_deref().unwrap_or_default()
                )
            }
            Self::FactorMissing { missing, .. } => format!("{missing} missing"),
            Self::Stranger => format!("nobody's client: ip {}", facts.address),
        }
    }
}

/// Credential, certificate, address (longest prefix), in this order.
pub fn attribute<'a>(settings: &'a Settings, facts: &Facts) -> Attribution<'a> {
    by_credential(settings, facts)
        .or_else(|| by_certificate(settings, facts))
        .or_else(|| by_address(settings, facts))
        .unwrap_or(Attribution::Stranger)
}

fn by_credential<'a>(settings: &'a Settings, facts: &Facts) -> Option<Attribution<'a>> {
    let (found, credential) = settings.credential(facts.credential.as_deref()?)?;
    if !credential.enabled {
        return None;
    }
    Some(choose(settings, facts, &[found], &Because::Credential)?.0)
}

/// The certificate itself before its names, the names before wildcards; a wildcard stands for one
/// label (RFC 9525 §6.3).
fn by_certificate<'a>(settings: &'a Settings, facts: &Facts) -> Option<Attribution<'a>> {
    let mut draft = None;
    match by_fingerprint(settings, facts) {
        Some((found, Standing::Real)) => return Some(found),
        Some((found, Standing::Draft)) => draft = Some(found),
        None => {}
    }
    let names = facts.certificate_names();
    let exact = names.iter().map(|name| (name, name.clone()));
    let wildcards = names.iter().filter_map(|name| {
        let (first, parent) = name.split_once('.')?;
        (!first.is_empty()).then(|| (name, format!("*.{parent}").into()))
    });
    for (name, pattern) in exact.chain(wildcards) {
        let mut candidates = settings.connectors_by_certificate(&pattern);
        // Nobody may claim the names of hosts in a domain that another organisation has proved.
        if let Some(owner) = owner_of_host(settings, name) {
            candidates.retain(|found| found.organisation.name == owner);
        }
        let because = Because::Certificate { name: name.clone() };
        match choose(settings, facts, &candidates, &because) {
            Some((found, Standing::Real)) => return Some(found),
            Some((found, Standing::Draft)) => draft = draft.or(Some(found)),
            None => {}
        }
    }
    draft
}

/// This very certificate. Where others share the server, whoever has seen a certificate can name
/// it: so not one that bears the name of a host in a domain that another organisation has proved,
/// nor one that comes from another organisation's network.
fn by_fingerprint<'a>(
    settings: &'a Settings,
    facts: &Facts,
) -> Option<(Attribution<'a>, Standing)> {
    let fingerprint = facts.certificate.as_ref()?.known_by()?;
    let mut candidates = settings.connectors_by_fingerprint(&fingerprint);
    let names = facts.certificate_names().iter();
    for owner in names.filter_map(|name| owner_of_host(settings, name)) {
        candidates.retain(|found| found.organisation.name == owner);
    }
    candidates.retain(|found| !is_in_others_network(settings, found, facts.address));
    let name = fingerprint.to_string().into();
    choose(settings, facts, &candidates, &Because::Certificate { name })
}

fn by_address<'a>(settings: &'a Settings, facts: &Facts) -> Option<Attribution<'a>> {
    let covering = settings
        .connectors_by_address(facts.address)
        .collect::<Vec<_>>();
    let is_single = |(network, _): &(ipnet::IpNet, OwnedConnector<'_>)| {
        network.prefix_len() == network.max_prefix_len()
    };
    let (single, wider): (Vec<_>, Vec<_>) = covering.into_iter().partition(is_single);
    let in_single = by_networks(settings, facts, &single);
    let found = match in_single {
        Some((found, Standing::Real)) => return Some(found),
        Some((draft, Standing::Draft)) => Some(draft),
        None => None,
    };
    if let Some(named) = by_dns_name(settings, facts) {
        return Some(named);
    }
    match by_networks(settings, facts, &wider) {
        Some((real, Standing::Real)) => Some(real),
        Some((draft, Standing::Draft)) => found.or(Some(draft)),
        None => found,
    }
}

/// A name that leads to the address. Where others share the server, whoever owns a name can lead
/// it anywhere: so not to an address that is none of the internet, nor to one that is in another
/// organisation's network, and where names of several organisations lead there, none is proof.
fn by_dns_name<'a>(settings: &'a Settings, facts: &Facts) -> Option<Attribution<'a>> {
    let address = facts.address;
    if settings.mode == Mode::Hosted && special_address(address).is_some() {
        return None;
    }
    let mut named = settings.connectors_by_name(address).collect::<Vec<_>>();
    named.retain(|(_, found)| !is_in_others_network(settings, found, address));
    let alone = named.iter().map(|(_, found)| *found);
    let alone = alone.filter(|found| !found.demands_second_factor());
    let alone = alone.collect::<Vec<_>>();
    if let Some(first) = alone.first() {
        let owner = &first.organisation.name;
        if alone.iter().any(|found| found.organisation.name != *owner) {
            let missing = "second factor";
            return Some(Attribution::FactorMissing {
                found: *first,
                missing,
            });
        }
        named.retain(|(_, found)| found.organisation.name == *owner);
    }
    let candidates = named.iter().map(|(_, found)| *found).collect::<Vec<_>>();
    let because = |name: &Domain| Because::DnsName { name: name.clone() };
    let (first, _) = named.first()?;
    let (chosen, _) = choose(settings, facts, &candidates, &because(first))?;
    let Attribution::Connector { found, .. } = chosen else {
        return Some(chosen);
    };
    let (name, _) = named.iter().find(|(_, one)| one.is_same(&found))?;
    let because = because(name);
    Some(Attribution::Connector { found, because })
}

fn is_in_others_network(settings: &Settings, found: &OwnedConnector<'_>, address: IpAddr) -> bool {
    let organisation = &found.organisation.name;
    let mut claims = settings.connectors_by_address(address);
    claims.any(|(_, claim)| {
        claim.organisation.name != *organisation && claim.connector.state != ConnectorState::Draft
    })
}

/// The longest prefix first.
fn by_networks<'a>(
    settings: &'a Settings,
    facts: &Facts,
    covering: &[(ipnet::IpNet, OwnedConnector<'a>)],
) -> Option<(Attribution<'a>, Standing)> {
    let mut draft = None;
    for level in covering.chunk_by(|one, other| one.0 == other.0) {
        let (network, first) = level[0];
        let candidates = level.iter().map(|(_, found)| *found).collect::<Vec<_>>();
        let organisation = &first.organisation.name;
        let exclusive = is_exclusive(settings, organisation, facts.address);
        let because = Because::Address { network, exclusive };
        match choose(settings, facts, &candidates, &because) {
            Some((found, Standing::Real)) => return Some((found, Standing::Real)),
            Some((found, Standing::Draft)) => draft = draft.or(Some(found)),
            None => {}
        }
    }
    draft.map(|found| (found, Standing::Draft))
}

/// Whether a candidate may end the search.
enum Standing {
    Real,
    /// Only a draft matched: a wider connector in use goes before it.
    Draft,
}

/// Of connectors that match equally well: one in use whose factors all hold, else one in use that
/// misses a factor, else a disabled one, else a draft.
fn choose<'a>(
    settings: &Settings,
    facts: &Facts,
    candidates: &[OwnedConnector<'a>],
    because: &Because,
) -> Option<(Attribution<'a>, Standing)> {
    let mut missing_factor = None;
    for found in candidates.iter().filter(|candidate| candidate.is_in_use()) {
        let Some(missing) = missing_factor_of(settings, found, facts) else {
            let because = because.clone();
            return Some((
                Attribution::Connector {
                    found: *found,
                    because,
                },
                Standing::Real,
            ));
        };
        missing_factor = missing_factor.or(Some((*found, missing)));
    }
    if let Some((found, missing)) = missing_factor {
        return Some((
            Attribution::FactorMissing { found, missing },
            Standing::Real,
        ));
    }
    let state_is = |state| candidates.iter().find(move |c| c.connector.state == state);
    let (found, standing) = match state_is(ConnectorState::Disabled) {
        Some(found) => (found, Standing::Real),
        None => (state_is(ConnectorState::Draft)?, Standing::Draft),
    };
    Some((
        Attribution::Connector {
            found: *found,
            because: because.clone(),
        },
        standing,
    ))
}

/// The first factor that a connector with `identified_by = "all"` gives and that does not hold.
pub(crate) fn missing_factor_of(
    settings: &Settings,
    found: &OwnedConnector<'_>,
    facts: &Facts,
) -> Option<&'static str> {
    let connector = found.connector;
    if connector.identified_by == IdentifiedBy::Any {
        return None;
    }
    let networks = &connector.sender_ip_addresses;
    if !networks.is_empty()
        && !networks
            .iter()
            .any(|network| network.contains(&facts.address))
    {
        return Some("address");
    }
    if connector.names_certificate() && !bears_certificate(connector, facts) {
        return Some("certificate");
    }
    let user = facts
        .credential
        .as_deref()
        .and_then(|user| settings.credential(user));
    if found.takes_credential
        && !user.is_some_and(|(named, one)| one.enabled && named.is_same(found))
    {
        return Some("credential");
    }
    let is_named = || {
        let mut named = settings.connectors_by_name(facts.address);
        named.any(|(_, named)| named.is_same(found))
    };
    (!connector.sender_dns_names.is_empty() && !is_named()).then_some("DNS name")
}

/// Whether the client's certificate is one that the connector names, by itself or by its name.
fn bears_certificate(connector: &InboundConnector, facts: &Facts) -> bool {
    let known = facts.certificate.as_ref().and_then(Certificate::known_by);
    let fingerprints = connector.tls_sender_certificate_fingerprints.iter();
    let mut named = fingerprints.filter_map(|text| Fingerprint::parse(text));
    let pattern = connector.tls_sender_certificate_name.trim();
    let mut names = facts.certificate_names().iter();
    known.is_some_and(|known| named.any(|one| one == known))
        || (!pattern.is_empty() && names.any(|name| certificate_matches(pattern, name)))
}

/// `*.contoso.test` matches one label more, `relay.contoso.test` itself only.
fn certificate_matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let pattern = pattern.strip_suffix('.').unwrap_or(&pattern);
    match pattern.strip_prefix("*.") {
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(first, rest)| !first.is_empty() && rest == parent),
        None => pattern == name,
    }
}

/// Whether an address is of one of this organisation's connectors and of no other organisation's.
pub(crate) fn is_exclusive(settings: &Settings, organisation: &str, address: IpAddr) -> bool {
    let by_network = settings
        .connectors_by_address(address)
        .map(|(_, found)| found);
    let by_name = settings.connectors_by_name(address).map(|(_, found)| found);
    let mut claims = by_network
        .chain(by_name)
        .filter(|found| found.connector.state != ConnectorState::Draft)
        .peekable();
    claims.peek().is_some() && claims.all(|found| found.organisation.name == organisation)
}

/// Whether a name of the certificate lies in a verified domain of the organisation: the domain
/// itself, or a host below it.
pub(crate) fn certificate_lies_in_verified_domain(
    settings: &Settings,
    organisation: &str,
    facts: &Facts,
) -> bool {
    facts
        .certificate_names()
        .iter()
        .any(|name| lies_in_verified_domain(settings, organisation, name))
}

fn lies_in_verified_domain(settings: &Settings, organisation: &str, name: &str) -> bool {
    owner_of_host(settings, name) == Some(organisation)
}

/// The organisation in whose verified domain a certificate's name lies: the domain itself, or a
/// host below it, however deep.
fn owner_of_host<'a>(settings: &'a Settings, name: &str) -> Option<&'a str> {
    // A certificate for every host of a domain lies in it as each of them does.
    let name = name.strip_prefix("*.").unwrap_or(name);
    let name = Domain::parse(name).ok()?;
    let mut rest = Some(name.as_str());
    while let Some(parent) = rest {
        let domain = Domain::parse(parent).ok();
        if let Some(owned) = domain.and_then(|domain| settings.verified_domain(&domain)) {
            return Some(&owned.organisation.name);
        }
        rest = parent.split_once('.').map(|(_, above)| above);
    }
    None
}
