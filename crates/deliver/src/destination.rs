//! From a route to hosts, and from hosts to addresses. RFC 5321 §5.1, RFC 7505.
//!
//! Hosts found by MX are never reached at loopback or private addresses unless that is allowed;
//! smart hosts and mailbox hosts are as typed, unless the settings hold them to public addresses.
//!
//! Not here: DNS itself (`relais-net`, `resolver`), the order of MX records (`relais-policy`,
//! `route`), connecting (`connection`).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use relais_net::clock::Chance;
use relais_net::resolver::{DnsError, Resolver};
use relais_policy::encryption::Demand;
use relais_policy::outcome::Outcome;
use relais_policy::route::{
    MxHosts, Route, RouteKind, is_public_destination, literal_is_allowed, mx_hosts,
};
use relais_policy::settings::{HostPort, Settings};
use relais_smtp::address::Host;
use relais_smtp::domain::Domain;
use relais_smtp::dsn::Cause;

use crate::attempt::Finding;
use crate::context::{DeliverContext, DeliverOptions};
use crate::published::{Published, Untried};
use crate::sources::{Egress, Sources, in_order};
use crate::sts::StsPolicies;

/// Hosts considered in one attempt. More MX records than this are rare; the rest is for later
/// attempts, because equal preferences are shuffled.
const HOSTS_MAX: usize = 8;
/// Addresses considered for one host.
const ADDRESSES_PER_HOST_MAX: usize = 4;

/// The hosts of a next-hop site: mail whose hosts are equal shares connections.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum NextHops {
    /// In order of preference, as typed.
    Typed {
        hosts: Vec<HostPort>,
        /// Private addresses are not dialled.
        public_only: bool,
    },
    /// Groups of equal preference, best first, names in order; and what is published about them.
    Exchanges {
        groups: Vec<Vec<Domain>>,
        port: u16,
        published: Published,
    },
    /// An address literal that is allowed.
    Literal(IpAddr, u16),
}

/// One address of one host.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) source: Option<IpAddr>,
    /// `mx.example.org[192.0.2.1]:25`, or `[192.0.2.1]:25`.
    pub(crate) hop: Arc<str>,
    /// The host whose address it is, by the name that TLS asks for.
    pub(crate) host: Host,
    /// What must hold there instead of what the connector says.
    pub(crate) demand: Option<Demand>,
    /// TLS comes before everything else.
    pub(crate) implicit_tls: bool,
    /// TLS is not to be tried, and why: it failed a moment ago, and clear text will do.
    pub(crate) clear_because: Option<Arc<str>>,
    /// Not the first choice: a connection to it is not kept for long.
    pub(crate) is_fallback: bool,
}

/// The hosts of a route, or what becomes of its mail without any attempt.
pub(crate) async fn next_hops(
    context: &DeliverContext,
    policies: &StsPolicies,
    settings: &Settings,
    organisation: &str,
    route: &Route,
) -> Result<NextHops, Finding> {
    let options = &context.options;
    match &route.kind {
        RouteKind::Hosts(hosts) => Ok(NextHops::Typed {
            hosts: hosts.clone(),
            public_only: route.public_only,
        }),
        RouteKind::Literal(address) if literal_is_allowed(settings, organisation, *address) => {
            Ok(NextHops::Literal(*address, options.smtp_port))
        }
        RouteKind::Literal(address) => {
            let words = format!("address literal {address} is not delivered to");
            Err(Finding::ours(Outcome::Failed, Cause::AddressLiteral, words))
        }
        // It has no next hop; whoever asks for one all the same waits.
        RouteKind::Bounces => {
            let words = "what comes back is taken in here";
            Err(Finding::ours(Outcome::Deferred, Cause::Unreachable, words))
        }
        RouteKind::Mx {
            domain,
            without_ourselves: _,
        } => {
            let follows = route.tls.follows_destination();
            let policies = follows.then_some(policies);
            exchanges(context.network.resolver(), options, policies, domain).await
        }
    }
}

/// The MX hosts of a domain, or the domain itself. RFC 5321 §5.1.
async fn exchanges(
    resolver: &Resolver,
    options: &DeliverOptions,
    policies: Option<&StsPolicies>,
    domain: &Domain,
) -> Result<NextHops, Finding> {
    let (records, secure) = match resolver.mx(domain).await {
        Ok(answer) => (answer.records, answer.validation.is_secure()),
        // Then the address decides, which is proven only where this is. RFC 7672 §2.2.2.
        Err(DnsError::NoRecords(_)) => (Vec::new(), true),
        Err(DnsError::NoSuchDomain(_)) => {
            let words = format!("domain {domain} does not exist");
            return Err(Finding::ours(Outcome::Failed, Cause::DomainNotFound, words));
        }
        Err(error @ DnsError::Temporary { .. }) => return Err(dns_temporary(&error)),
    };
    let ourselves: Vec<_> = options.domain().into_iter().collect();
    match mx_hosts(domain, &records, &ourselves) {
        MxHosts::Hosts(groups) => {
            let sts = match policies {
                Some(policies) => policies.of(resolver, domain).await,
                None => None,
            };
            Ok(NextHops::Exchanges {
                published: Published::new(domain, &groups, secure, sts),
                groups,
                port: options.smtp_port,
            })
        }
        MxHosts::NullMx => {
            let words = format!("domain {domain} takes no mail (null MX)");
            Err(Finding::ours(Outcome::Failed, Cause::NullMx, words))
        }
        MxHosts::OnlyOurselves => {
            let words = format!("we are the best mail exchanger of {domain} ourselves");
            Err(Finding::ours(Outcome::Failed, Cause::NoRouteSelfMx, words))
        }
    }
}

fn dns_temporary(error: &DnsError) -> Finding {
    let mut finding = Finding::ours(Outcome::Deferred, Cause::DnsTemporary, error.to_string());
    finding.ours = true;
    finding
}

/// A host still to be looked up.
#[derive(Debug)]
struct Wanted {
    host: Host,
    port: u16,
    typed: bool,
    /// See [`NextHops::Typed`].
    public_only: bool,
    is_fallback: bool,
    implicit_tls: bool,
}

/// From where, and with what, hosts are sought.
pub(crate) struct Origin<'a> {
    pub(crate) context: &'a DeliverContext,
    pub(crate) egress: &'a Egress,
    /// The number of the site.
    pub(crate) site: u64,
    pub(crate) sources: &'a Sources,
}

/// Walks over hosts and addresses, looking each host up when its turn comes.
#[derive(Debug)]
pub(crate) struct Finder {
    hosts: VecDeque<Wanted>,
    found: VecDeque<Target>,
    /// What the destination publishes, if it is to be followed.
    published: Option<Published>,
    /// Why the latest host gave no address.
    gap: Option<Finding>,
    untried: Vec<Untried>,
}

impl Finder {
    /// Equal preferences are shuffled. RFC 5321 §5.1. `follows`: what the destination publishes
    /// about TLS counts.
    pub(crate) fn new(hops: &NextHops, follows: bool, chance: &Chance) -> Self {
        let mut hosts = VecDeque::new();
        let mut published = None;
        match hops {
            NextHops::Typed {
                hosts: typed,
                public_only,
            } => hosts.extend(typed.iter().map(|one| Wanted {
                host: one.host.clone(),
                port: one.port,
                typed: true,
                public_only: *public_only,
                is_fallback: false,
                implicit_tls: one.implicit_tls,
            })),
            NextHops::Literal(address, port) => hosts.push_back(Wanted {
                host: Host::Literal(*address),
                port: *port,
                typed: true,
                public_only: false,
                is_fallback: false,
                implicit_tls: false,
            }),
            NextHops::Exchanges {
                groups,
                port,
                published: theirs,
            } => {
                published = follows.then(|| theirs.clone());
                for (rank, group) in groups.iter().enumerate() {
                    let mut group = group.clone();
                    chance.shuffle(&mut group);
                    hosts.extend(group.into_iter().map(|domain| Wanted {
                        host: Host::Domain(domain),
                        port: *port,
                        typed: false,
                        public_only: true,
                        is_fallback: rank > 0,
                        implicit_tls: false,
                    }));
                }
            }
        }
        if let NextHops::Typed { .. } = hops {
            hosts
                .iter_mut()
                .skip(1)
                .for_each(|host| host.is_fallback = true);
        }
        hosts.truncate(HOSTS_MAX);
        Self {
            hosts,
            found: VecDeque::new(),
            published,
            gap: None,
            untried: Vec::new(),
        }
    }

    /// The next address to try.
    pub(crate) async fn next(&mut self, from: &Origin<'_>) -> Option<Target> {
        loop {
            if let Some(target) = self.found.pop_front() {
                return Some(target);
            }
            let wanted = self.hosts.pop_front()?;
            let published = self.published.as_ref();
            match addresses(&wanted, from, published, &mut self.untried).await {
                Ok(targets) => self.found.extend(targets),
                Err(finding) => self.note(finding),
            }
        }
    }

    /// Why hosts gave no address, if one did not: a temporary reason before a permanent one.
    pub(crate) fn take_gap(&mut self) -> Option<Finding> {
        self.gap.take()
    }

    /// Hosts that were passed over since this was last asked, because of what is published.
    pub(crate) fn take_untried(&mut self) -> Vec<Untried> {
        std::mem::take(&mut self.untried)
    }

    fn note(&mut self, finding: Finding) {
        let keep = self
            .gap
            .as_ref()
            .is_some_and(|gap| gap.outcome == Outcome::Deferred);
        if !keep {
            self.gap = Some(finding);
        }
    }
}

async fn addresses(
    wanted: &Wanted,
    from: &Origin<'_>,
    published: Option<&Published>,
    untried: &mut Vec<Untried>,
) -> Result<Vec<Target>, Finding> {
    let domain = match &wanted.host {
        Host::Literal(address) => {
            let hop = format!("{}:{}", Host::Literal(*address), wanted.port);
            let hop = hop.replace("IPv6:", "");
            return usable(wanted, vec![(*address, hop.into())], from);
        }
        Host::Domain(domain) => domain,
    };
    let resolver = from.context.network.resolver();
    let found = match resolver.addresses(domain).await {
        Ok(answer) => answer,
        Err(error @ DnsError::Temporary { .. }) => return Err(dns_temporary(&error)),
        Err(DnsError::NoRecords(_) | DnsError::NoSuchDomain(_)) if wanted.typed => {
            // A person typed it and can mend it; the mail is not lost over a slip.
            let words = format!("host {domain} has no address");
            return Err(Finding::ours(Outcome::Deferred, Cause::DnsTemporary, words));
        }
        Err(DnsError::NoRecords(_) | DnsError::NoSuchDomain(_)) => {
            let words = format!("mail server {domain} has no address");
            return Err(Finding::ours(Outcome::Failed, Cause::NoMailServer, words));
        }
    };
    let named = |address: IpAddr| {
        (
            address,
            format!("{domain}[{address}]:{}", wanted.port).into(),
        )
    };
    let demand = match published {
        Some(published) => {
            published
                .demand(resolver, domain, &found, (wanted.port, untried))
                .await?
        }
        None => None,
    };
    let found = in_order(found.records, from.egress.ip_version);
    if found.is_empty() {
        let words = format!("host {domain} has no address of the IP version that is wanted");
        return Err(Finding::ours(Outcome::Deferred, Cause::Unreachable, words));
    }
    let mut targets = usable(wanted, found.into_iter().map(named).collect(), from)?;
    for target in &mut targets {
        // The TLSA base domain is the server's name. RFC 7672 §8.1.
        if let Some(Demand::Dane(required)) = &demand {
            target.host = Host::Domain(required.base.clone());
        }
        target.demand.clone_from(&demand);
    }
    Ok(targets)
}

fn usable(
    wanted: &Wanted,
    addresses: Vec<(IpAddr, Arc<str>)>,
    from: &Origin<'_>,
) -> Result<Vec<Target>, Finding> {
    let mut targets = Vec::new();
    let mut has_public = false;
    for (address, hop) in addresses {
        let public = is_public_destination(address);
        if !(public || !wanted.public_only || from.context.options.allow_private_destinations) {
            continue;
        }
        has_public = true;
        let now = from.context.clock.moment();
        let Ok(source) = from
            .sources
            .choose(address, public, (from.egress, from.site), now)
        else {
            continue;
        };
        targets.push(Target {
            address: SocketAddr::new(address, wanted.port),
            source,
            hop,
            host: wanted.host.clone(),
            demand: None,
            implicit_tls: wanted.implicit_tls,
            clear_because: None,
            is_fallback: wanted.is_fallback,
        });
    }
    targets.truncate(ADDRESSES_PER_HOST_MAX);
    match (targets.is_empty(), has_public) {
        (false, _) => Ok(targets),
        (true, true) => {
            let words = format!("no egress address of the family of {}", wanted.host);
            Err(Finding::ours(Outcome::Deferred, Cause::Unreachable, words))
        }
        (true, false) if wanted.typed => {
            // As for one without an address: it can be mended.
            let words = format!(
                "host {} has private addresses only, which public_hosts_only forbids",
                wanted.host
            );
            Err(Finding::ours(Outcome::Deferred, Cause::Unreachable, words))
        }
        (true, false) => {
            let words = format!("mail server {} has private addresses only", wanted.host);
            Err(Finding::ours(
                Outcome::Failed,
                Cause::PrivateDestination,
                words,
            ))
        }
    }
}
