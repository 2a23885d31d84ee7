//! Which way does a recipient's mail leave: mailbox host, smart hosts, or MX.
//!
//! Not here: asking DNS and shuffling hosts of equal preference (`relais-deliver`); whether the
//! client may send there ([`crate::permission`]).

mod source;

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use relais_smtp::address::Host;
use relais_smtp::client::Protocol;
use relais_smtp::domain::Domain;

use crate::document::{ConnectorState, IpVersion, OutboundConnector, Pace, Retry};
use crate::encryption::Demand;
use crate::range::special_address;
use crate::settings::{HostPort, MailboxHost, SMTP_PORT, Scope, Settings};

pub use source::RouteSource;

/// MX hosts that are tried at most; the worst are left out. RFC 5321 §5.1 asks for two at least,
/// large providers publish about ten.
pub const MX_HOSTS_MAX: usize = 32;

/// The way of one (organisation, recipient domain, source).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// The outbound connector's name; `None` for the built-in delivery by MX and mailbox hosts.
    pub outbound_connector: Option<String>,
    /// Where to.
    pub kind: RouteKind,
    /// Hosts are reached at public addresses only, though somebody typed them.
    pub public_only: bool,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// What TLS must prove at the next hop.
    pub tls: Demand,
    /// Pace of the connector.
    pub pace: Pace,
    /// Retry schedule.
    pub retry: Retry,
    /// Egress addresses of the connector; empty: the server's.
    pub source_addresses: Vec<IpAddr>,
    /// Which versions of IP; `None`: as the server does.
    pub ip_version: Option<IpVersion>,
    /// Why, in words.
    pub because: String,
}

/// Where to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RouteKind {
    /// In order; addresses as typed, private ones too unless [`Route::public_only`].
    Hosts(Vec<HostPort>),
    /// The MX hosts of this domain.
    Mx {
        /// Whose MX.
        domain: Domain,
        /// Leave out ourselves and worse preferences: always, because nothing else ends a loop
        /// where a domain's MX names us (RFC 5321 §5.1).
        without_ourselves: bool,
    },
    /// An address literal: refused unless [`literal_is_allowed`].
    Literal(IpAddr),
    /// Nowhere: what comes back to a bounce domain ends here.
    Bounces,
}

/// Chooses: nowhere for a bounce domain, whoever's it is; mailbox host of the accepted domain; the
/// outbound connector that the inbound one names, if it is enabled; else outbound connectors of the
/// organisation by exact domain, then `*.parent` (nearest first), then `own`, then `*`; else MX. Of
/// those that fit the domain equally well, one that asks for the message's inbound connector, then
/// for its sender's domain, before one for anybody; then the first in the settings. One that asks
/// for another source takes no part.
pub fn route(settings: &Settings, organisation: &str, host: &Host, source: &RouteSource) -> Route {
    if let Some(route) = to_bounce_domain(settings, host) {
        return route;
    }
    if let Some(route) = to_mailbox_host(settings, host) {
        return route;
    }
    if let Some(route) = by_wish(settings, organisation, (host, source)) {
        return route;
    }
    let is_own = settings.is_own(organisation, host);
    let best = settings
        .outbound_connectors(organisation)
        .filter(|(connector, _)| connector.state == ConnectorState::Enabled)
        .filter_map(|(connector, scopes)| {
            let fits = scopes.iter().filter(|scope| scope.covers(host, is_own));
            let rank = (fits.map(rank).min()?, source.rank(connector)?);
            Some((rank, connector))
        })
        // `min_by_key` keeps the first of equals.
        .min_by_key(|(rank, _)| *rank);
    match best {
        Some(((rank, source_rank), connector)) => {
            let because = format!("{}{}", rank.words(), source.words(source_rank));
            by_connector(connector, host, &because)
        }
        None => Route {
            outbound_connector: None,
            kind: direct(host),
            public_only: false,
            protocol: Protocol::Smtp,
            tls: Demand::default(),
            pace: Pace::default(),
            retry: Retry::default(),
            source_addresses: Vec::new(),
            ip_version: None,
            because: match host {
                Host::Domain(_) => "no outbound connector fits: by MX".to_owned(),
                Host::Literal(_) => "an address literal names its own host".to_owned(),
            },
        },
    }
}

/// Whether mail to an address literal may leave: only where an inbound connector of the
/// organisation names it in `recipient_domains`. RFC 5321 §5.1 lets us refuse all others.
pub fn literal_is_allowed(settings: &Settings, organisation: &str, address: IpAddr) -> bool {
    let Some(organisation) = settings.organisation(organisation) else {
        return false;
    };
    let literal = Host::Literal(address);
    let mut texts = organisation
        .inbound_connector
        .iter()
        .flat_map(|c| &c.recipient_domains);
    texts.any(|text| Scope::parse(text).is_ok_and(|scope| scope.covers(&literal, false)))
}

/// How closely a scope fits; the least is the closest.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    Exact,
    /// With the labels that the scope does not name: the longest parent is the nearest.
    Below {
        octets_missing: usize,
    },
    Own,
    Any,
}

fn rank(scope: &Scope) -> Rank {
    match scope {
        Scope::Exact(_) | Scope::Literal(_) => Rank::Exact,
        // All scopes that cover a host are parents of it: the longer, the nearer.
        Scope::Below(parent) => Rank::Below {
            octets_missing: relais_smtp::domain::DOMAIN_OCTETS_MAX
                .saturating_sub(parent.as_str().len()),
        },
        Scope::Own => Rank::Own,
        Scope::Any => Rank::Any,
    }
}

impl Rank {
    fn words(self) -> &'static str {
        match self {
            Self::Exact => "names it",
            Self::Below { .. } => "names a parent of it",
            Self::Own => "takes all accepted domains",
            Self::Any => "takes every domain",
        }
    }
}

fn to_bounce_domain(settings: &Settings, host: &Host) -> Option<Route> {
    let Host::Domain(domain) = host else {
        return None;
    };
    let owned = settings.bounce_domain(domain)?;
    Some(Route {
        outbound_connector: None,
        kind: RouteKind::Bounces,
        public_only: false,
        protocol: Protocol::Smtp,
        tls: Demand::default(),
        pace: Pace::default(),
        retry: Retry::default(),
        source_addresses: Vec::new(),
        ip_version: None,
        because: format!("bounce domain of {}", owned.domain.name),
    })
}

/// Verified accepted domains with a mailbox host go there, whoever sends.
fn to_mailbox_host(settings: &Settings, host: &Host) -> Option<Route> {
    let Host::Domain(domain) = host else {
        return None;
    };
    let owned = settings.verified_domain(domain)?;
    let mailbox_host = MailboxHost::parse(&owned.domain.mailbox_host)?;
    Some(Route {
        outbound_connector: None,
        kind: RouteKind::Hosts(vec![mailbox_host.host]),
        public_only: owned.domain.public_hosts_only,
        protocol: mailbox_host.protocol,
        tls: Demand::default(),
        pace: Pace::default(),
        retry: Retry::default(),
        source_addresses: Vec::new(),
        ip_version: None,
        because: format!("mailbox host of {}", owned.domain.name),
    })
}

/// All that came by an inbound connector leaves as that says.
fn by_wish(
    settings: &Settings,
    organisation: &str,
    (host, source): (&Host, &RouteSource),
) -> Option<Route> {
    let name = source.inbound_connector()?;
    let owned = settings.inbound_connector(organisation, name)?;
    let wished = owned.connector.outbound_connector.as_str();
    let connector = settings.outbound_connector(organisation, wished)?;
    let is_enabled = connector.state == ConnectorState::Enabled;
    is_enabled.then(|| {
        let because = format!("is named by inbound connector {name}");
        by_connector(connector, host, &because)
    })
}

fn by_connector(connector: &OutboundConnector, host: &Host, because: &str) -> Route {
    let hosts = connector.smart_hosts.iter();
    let hosts = hosts
        .filter_map(|text| HostPort::parse(text, SMTP_PORT))
        .collect::<Vec<_>>();
    Route {
        outbound_connector: Some(connector.name.clone()),
        kind: if hosts.is_empty() {
            direct(host)
        } else {
            RouteKind::Hosts(hosts)
        },
        public_only: connector.public_hosts_only,
        protocol: Protocol::Smtp,
        tls: Demand::of(connector),
        pace: connector.pace.clone(),
        retry: connector.retry.clone(),
        source_addresses: egress_addresses(connector),
        ip_version: connector.ip_version,
        because: format!("outbound connector {} {because}", connector.name),
    }
}

/// Those that can be read; `settings` refuses the others.
pub fn egress_addresses(connector: &OutboundConnector) -> Vec<IpAddr> {
    let addresses = connector.source_addresses.iter();
    addresses.filter_map(|text| text.parse().ok()).collect()
}

fn direct(host: &Host) -> RouteKind {
    match host {
        Host::Domain(domain) => RouteKind::Mx {
            domain: domain.clone(),
            without_ourselves: true,
        },
        Host::Literal(address) => RouteKind::Literal(address.to_canonical()),
    }
}

/// One MX record. RFC 5321 §5.1.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mx {
    /// Lower is better.
    pub preference: u16,
    /// The host; `None` is `.`, the root: this domain takes no mail (RFC 7505 §3).
    pub exchange: Option<Domain>,
}

/// The hosts to try, in groups of equal preference, best first; or why there are none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MxHosts {
    /// At least one group.
    Hosts(Vec<Vec<Domain>>),
    /// RFC 7505.
    NullMx,
    /// Only ourselves, or worse than ourselves: 5.4.6.
    OnlyOurselves,
}

/// Orders MX records; `ourselves` are our own names. An empty list means the domain itself
/// (RFC 5321 §5.1, implicit MX). A null record beside others counts for nothing (RFC 7505 §3). A
/// host named twice keeps its best preference; at most [`MX_HOSTS_MAX`] hosts are given.
pub fn mx_hosts(domain: &Domain, records: &[Mx], ourselves: &[Domain]) -> MxHosts {
    let implicit = [Mx {
        preference: 0,
        exchange: Some(domain.clone()),
    }];
    let records = if records.is_empty() {
        &implicit
    } else {
        records
    };
    let mut named = records
        .iter()
        .filter_map(|record| Some((record.preference, record.exchange.as_ref()?)))
        .collect::<Vec<_>>();
    if named.is_empty() {
        return MxHosts::NullMx;
    }
    // By name within a preference, so that equal answers give equal orders.
    named.sort();
    let is_ours = |(_, exchange): &&(u16, &Domain)| ourselves.contains(exchange);
    let our_preference = named
        .iter()
        .find(is_ours)
        .map(|(preference, _)| *preference);
    let mut seen = HashSet::new();
    let mut groups = BTreeMap::<u16, Vec<Domain>>::new();
    let better = named
        .into_iter()
        .filter(|(preference, _)| our_preference.is_none_or(|ours| *preference < ours))
        .filter(|(_, exchange)| seen.insert(*exchange))
        .take(MX_HOSTS_MAX);
    for (preference, exchange) in better {
        groups.entry(preference).or_default().push(exchange.clone());
    }
    if groups.is_empty() {
        return MxHosts::OnlyOurselves;
    }
    MxHosts::Hosts(groups.into_values().collect())
}

/// Whether mail found by MX may go to this address: never loopback, private, link-local,
/// multicast, unspecified, documentation or CGNAT ranges unless allowed.
pub fn is_public_destination(address: IpAddr) -> bool {
    special_address(address).is_none()
}
