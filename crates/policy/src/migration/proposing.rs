//! A proposal that grows: names unique and within bounds, nothing that is there already, nothing
//! enabled, lists of findings that end.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use relais_smtp::domain::Domain;

use super::address::{Fate, Range};
use super::{FINDINGS_MAX, Finding, OBJECTS_MAX, Proposal, Report, Surroundings};
use crate::document::{
    AcceptedDomain, BYTE_COUNT_MAX, ByteCount, ConnectorState, DomainKind, InboundConnector,
    Organisation, OutboundConnector,
};
use crate::settings::{HostPort, Mode, SMART_HOSTS_MAX, SMTP_PORT};

/// Characters of a connector's name.
const NAME_CHARACTERS_MAX: usize = 64;
/// Characters of the old side that are repeated in a finding.
const QUOTED_CHARACTERS_MAX: usize = 120;
/// Recipients of one message: the server itself takes no more.
const RECIPIENTS_PER_MESSAGE_MAX: u64 = 1_000;
/// Networks of one connector that is proposed.
const NETWORKS_MAX: usize = 5_000;
/// Networks of one import: a range of a few letters can be hundreds of them.
const NETWORKS_OF_ALL_MAX: usize = 50_000;

pub(super) struct Proposing<'a> {
    around: &'a Surroundings<'a>,
    organisation: Organisation,
    report: Report,
    inbound_names: Names,
    outbound_names: Names,
    domain_names: HashSet<String>,
    domains_there: HashSet<Domain>,
    /// Networks that may still be proposed.
    networks_left: usize,
    /// Addresses of connectors in use, from and to, in their order and apart.
    held: Vec<(IpAddr, IpAddr)>,
    /// Whether a connector in use has names that lead to addresses.
    has_names: bool,
    /// Whether there is a connector in use at all.
    has_any: bool,
}

impl<'a> Proposing<'a> {
    pub(super) fn new(around: &'a Surroundings<'a>) -> Self {
        let in_use = || connectors_that_hold(around);
        let networks = in_use().flat_map(|one| &one.sender_ip_addresses);
        let into = around.organisation;
        let inbound = into.inbound_connector.iter().map(|one| &one.name);
        let outbound = into.outbound_connector.iter().map(|one| &one.name);
        let domains = into.domain.iter().map(|one| Domain::parse(&one.name));
        Self {
            around,
            organisation: Organisation::new(around.organisation.name.clone()),
            report: Report::default(),
            inbound_names: Names::beside(inbound),
            outbound_names: Names::beside(outbound),
            domain_names: HashSet::new(),
            domains_there: domains.flatten().collect(),
            networks_left: NETWORKS_OF_ALL_MAX,
            held: joined(networks),
            has_names: in_use().any(|one| !one.sender_dns_names.is_empty()),
            has_any: in_use().next().is_some(),
        }
    }

    pub(super) fn end(self) -> Proposal {
        Proposal {
            organisation: self.organisation,
            report: self.report,
        }
    }

    pub(super) fn created(&mut self, object: &str, message: &str) {
        find(&mut self.report.created, object, message);
    }

    pub(super) fn changed(&mut self, object: &str, message: impl AsRef<str>) {
        find(&mut self.report.changed, object, message.as_ref());
    }

    pub(super) fn unsupported(&mut self, object: &str, message: impl AsRef<str>) {
        find(&mut self.report.unsupported, object, message.as_ref());
    }

    pub(super) fn dangerous(&mut self, object: &str, message: impl AsRef<str>) {
        find(&mut self.report.dangerous, object, message.as_ref());
    }

    /// Of ranges as the old side writes them: the networks that may be taken over.
    pub(super) fn networks<'t>(
        &mut self,
        object: &str,
        ranges: impl IntoIterator<Item = &'t str>,
    ) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for text in ranges {
            if networks.len() > 2 * NETWORKS_MAX {
                networks.sort_unstable();
                networks.dedup();
                if networks.len() > NETWORKS_MAX {
                    break;
                }
            }
            self.network(object, text, &mut networks);
        }
        self.within_bounds(object, networks)
    }

    /// One range: into its networks, or into the report.
    fn network(&mut self, object: &str, text: &str, networks: &mut Vec<IpNet>) {
        let shown = quoted(text);
        let Some(range) = Range::parse(text) else {
            self.unsupported(
                object,
                format!("{shown} is no address and no range, and is left out"),
            );
            return;
        };
        match range.fate(self.around.mode) {
            Fate::Taken => networks.extend(range.networks()),
            Fate::Wide => {
                networks.extend(range.networks());
                self.dangerous(
                    object,
                    format!("{shown} is wide: every address in it could send"),
                );
            }
            Fate::Loopback => self.unsupported(
                object,
                format!(
                    "{shown} is the old machine itself: name it by its address where its \
                     programs send on"
                ),
            ),
            Fate::Everybody => self.dangerous(
                object,
                format!(
                    "{shown} is every address there is, and is left out: name the devices that \
                     used it"
                ),
            ),
            Fate::TooWide => self.dangerous(
                object,
                format!(
                    "{shown} reaches beyond a closed network, and is left out: add the part \
                     of it that is yours"
                ),
            ),
            Fate::Special => self.unsupported(
                object,
                format!(
                    "{shown} is no public address, and in hosted mode it says nothing of who \
                     sends: left out"
                ),
            ),
        }
    }

    /// Each once, and no more than one connector and one import may have.
    fn within_bounds(&mut self, object: &str, mut networks: Vec<IpNet>) -> Vec<IpNet> {
        networks.sort_unstable();
        networks.dedup();
        if networks.len() > NETWORKS_MAX {
            networks.truncate(NETWORKS_MAX);
            self.unsupported(
                object,
                format!("it has more than {NETWORKS_MAX} networks, and the others are left out"),
            );
        }
        if networks.len() > self.networks_left {
            networks.truncate(self.networks_left);
            self.unsupported(
                object,
                format!(
                    "one import adds {NETWORKS_OF_ALL_MAX} networks, and the others are left out; \
                     import the rest afterwards"
                ),
            );
        }
        self.networks_left -= networks.len();
        networks
    }

    /// A name that the old side gives, as a connector may have it.
    pub(super) fn name(given: &str) -> String {
        let shown: String = given.chars().filter(|one| !one.is_control()).collect();
        let cut: String = shown.trim().chars().take(NAME_CHARACTERS_MAX).collect();
        match cut.trim() {
            "" => "Imported".to_owned(),
            name => name.to_owned(),
        }
    }

    /// Adds an inbound connector, unless one of its name is there. It has at least one factor.
    pub(super) fn inbound(&mut self, mut connector: InboundConnector) {
        if self.organisation.inbound_connector.len() >= OBJECTS_MAX {
            let name = Self::name(&connector.name);
            return self.too_many(&format!("inbound connector {name}"));
        }
        connector.name = self.inbound_names.unique(&connector.name);
        let object = format!("inbound connector {}", connector.name);
        if self.inbound_names.is_there(&connector.name) {
            return self.skipped(&object);
        }
        connector.state = ConnectorState::Disabled;
        if self.would_take_clients(&connector) {
            connector.state = ConnectorState::Draft;
            self.changed(
                &object,
                "its addresses belong to a connector that is in use: added as a draft, so that it \
                 takes no client away",
            );
        }
        match connector.state {
            ConnectorState::Draft => self.created(&object, "added as a draft"),
            ConnectorState::Disabled | ConnectorState::Observing | ConnectorState::Enabled => {
                self.created(&object, "added, disabled");
            }
        }
        self.organisation.inbound_connector.push(connector);
    }

    /// Adds an outbound connector, unless one of its name is there.
    pub(super) fn outbound(&mut self, mut connector: OutboundConnector) {
        if !self.has_room_outbound() {
            let name = Self::name(&connector.name);
            return self.too_many(&format!("outbound connector {name}"));
        }
        connector.name = self.outbound_names.unique(&connector.name);
        let object = format!("outbound connector {}", connector.name);
        if self.outbound_names.is_there(&connector.name) {
            return self.skipped(&object);
        }
        connector.state = ConnectorState::Disabled;
        self.created(&object, "added, disabled");
        self.organisation.outbound_connector.push(connector);
    }

    /// Whether another outbound connector can be added.
    pub(super) fn has_room_outbound(&self) -> bool {
        self.organisation.outbound_connector.len() < OBJECTS_MAX / 4
    }

    /// Adds a domain that has to be verified, unless it is there. Nothing where the text is no
    /// domain.
    pub(super) fn domain(&mut self, text: &str, kind: DomainKind) -> Option<Domain> {
        let Ok(name) = Domain::parse(text.trim()) else {
            self.unsupported(&quoted(text), "this is no domain name, and is left out");
            return None;
        };
        if !self.domain_names.insert(name.to_string()) {
            return Some(name);
        }
        let object = format!("domain {name}");
        if self.domains_there.contains(&name) {
            self.skipped(&object);
        } else if self.organisation.domain.len() >= OBJECTS_MAX {
            self.too_many(&object);
        } else {
            self.organisation.domain.push(AcceptedDomain {
                kind,
                ..AcceptedDomain::new(name.to_string())
            });
            self.created(
                &object,
                "added; it counts once its record in DNS is published and seen",
            );
        }
        Some(name)
    }

    /// A smart host in its form here; brackets around a name are the old side's.
    pub(super) fn host(&mut self, object: &str, text: &str, port: Option<u16>) -> Option<HostPort> {
        let text = text.trim();
        let port = port.filter(|port| *port != 0).unwrap_or(SMTP_PORT);
        let host = HostPort::parse(text, port);
        if host.is_none() {
            let shown = quoted(text);
            self.unsupported(
                object,
                format!("{shown} is no host name and no address, and is left out"),
            );
        }
        host
    }

    /// Smart hosts in their order, as many as a connector has.
    pub(super) fn hosts(&mut self, object: &str, hosts: Vec<HostPort>) -> Vec<String> {
        let mut texts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        if texts.len() > SMART_HOSTS_MAX {
            texts.truncate(SMART_HOSTS_MAX);
            self.unsupported(
                object,
                format!(
                    "it has more than {SMART_HOSTS_MAX} smart hosts, and the others are left out"
                ),
            );
        }
        texts
    }

    /// A size in octets as a limit; none means none.
    pub(super) fn size(&mut self, object: &str, octets: Option<u64>) -> Option<ByteCount> {
        let octets = octets.filter(|octets| *octets > 0)?;
        if octets > BYTE_COUNT_MAX {
            self.unsupported(
                object,
                "its largest size is beyond every limit, and is left out",
            );
            return None;
        }
        Some(ByteCount(octets))
    }

    /// Recipients of one message; none means none.
    pub(super) fn recipients(&mut self, object: &str, count: Option<u64>) -> Option<u32> {
        let count = count.filter(|count| *count > 0)?;
        if count > RECIPIENTS_PER_MESSAGE_MAX {
            self.changed(
                object,
                format!(
                    "it took {count} recipients a message, and at most \
                     {RECIPIENTS_PER_MESSAGE_MAX} are taken here"
                ),
            );
        }
        u32::try_from(count.min(RECIPIENTS_PER_MESSAGE_MAX)).ok()
    }

    fn skipped(&mut self, object: &str) {
        self.unsupported(
            object,
            "skipped: one of this name is there already, and stays as it is",
        );
    }

    fn too_many(&mut self, object: &str) {
        self.unsupported(
            object,
            "left out: one import adds so many and no more; import the rest afterwards",
        );
    }

    /// A disabled connector refuses its clients, and would take them from a connector in use that
    /// knows them by a wider network, a name or their address.
    fn would_take_clients(&self, connector: &InboundConnector) -> bool {
        let is_single = |one: &IpNet| one.prefix_len() == one.max_prefix_len();
        let networks = &connector.sender_ip_addresses;
        networks.iter().any(|one| self.is_held(one))
            || self.has_names && networks.iter().any(is_single)
            || self.has_any && connector.names_certificate()
    }

    fn is_held(&self, network: &IpNet) -> bool {
        let at = self
            .held
            .partition_point(|(_, last)| *last < network.network());
        let next = self.held.get(at);
        next.is_some_and(|(first, _)| *first <= network.broadcast())
    }
}

/// Those that take clients; where many share the server, also those of others that hold addresses.
fn connectors_that_hold<'a>(
    around: &Surroundings<'a>,
) -> impl Iterator<Item = &'a InboundConnector> {
    let (mode, own) = (around.mode, around.organisation.name.as_str());
    let all = around.settings.organisation.iter();
    all.flat_map(move |owner| {
        let is_other = owner.name != own;
        let connectors = owner.inbound_connector.iter();
        connectors.filter(move |one| match one.state {
            ConnectorState::Enabled | ConnectorState::Observing => true,
            ConnectorState::Disabled => is_other && mode == Mode::Hosted,
            ConnectorState::Draft => false,
        })
    })
}

/// Networks as spans that lie apart.
fn joined<'a>(networks: impl Iterator<Item = &'a IpNet>) -> Vec<(IpAddr, IpAddr)> {
    let mut spans: Vec<_> = networks
        .map(|one| (one.network(), one.broadcast()))
        .collect();
    spans.sort_unstable();
    let mut joined: Vec<(IpAddr, IpAddr)> = Vec::new();
    for (first, last) in spans {
        match joined.last_mut() {
            Some((_, end)) if first <= *end => *end = (*end).max(last),
            Some(_) | None => joined.push((first, last)),
        }
    }
    joined
}

/// Names of connectors, in lower case.
struct Names {
    there: HashSet<String>,
    /// Those given, each with the number that comes behind it next.
    given: HashMap<String, usize>,
}

impl Names {
    fn beside<'a>(there: impl Iterator<Item = &'a String>) -> Self {
        Self {
            there: there.map(|name| name.trim().to_lowercase()).collect(),
            given: HashMap::new(),
        }
    }

    fn is_there(&self, name: &str) -> bool {
        self.there.contains(&name.trim().to_lowercase())
    }

    /// The name, with a number behind it where it was given before.
    fn unique(&mut self, name: &str) -> String {
        let name = Proposing::name(name);
        let lower = name.to_lowercase();
        let Some(mut number) = self.given.get(&lower).copied() else {
            self.given.insert(lower, 2);
            return name;
        };
        loop {
            let end = format!(" ({number})");
            number += 1;
            let room = NAME_CHARACTERS_MAX - end.chars().count();
            let begin: String = name.chars().take(room).collect();
            let numbered = format!("{}{end}", begin.trim_end());
            let lower_numbered = numbered.to_lowercase();
            if !self.given.contains_key(&lower_numbered) {
                self.given.insert(lower_numbered, 2);
                self.given.insert(lower, number);
                return numbered;
            }
        }
    }
}

/// A text of the old side within a finding: one line, not long.
pub(super) fn quoted(text: &str) -> String {
    let one_line = text.trim().chars().map(|one| match one.is_control() {
        true => ' ',
        false => one,
    });
    let mut shown: String = one_line.take(QUOTED_CHARACTERS_MAX + 1).collect();
    if shown.chars().count() > QUOTED_CHARACTERS_MAX {
        shown = shown.chars().take(QUOTED_CHARACTERS_MAX).collect();
        shown.push('…');
    }
    shown
}

fn find(findings: &mut Vec<Finding>, object: &str, message: &str) {
    let finding = Finding {
        object: quoted(object),
        message: message.to_owned(),
    };
    if findings.len() < FINDINGS_MAX - 1 {
        if findings.last() != Some(&finding) {
            findings.push(finding);
        }
    } else if findings.len() == FINDINGS_MAX - 1 {
        findings.push(Finding {
            object: "report".to_owned(),
            message: "there is more of this, which is not listed; export less at once".to_owned(),
        });
    }
}
