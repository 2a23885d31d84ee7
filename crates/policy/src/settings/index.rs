//! The settings, indexed: longest prefix over networks, accepted domains, directory, names of
//! certificates, users. Built once with the snapshot, read by every decision.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use relais_smtp::address::{Host, Mailbox};
use relais_smtp::domain::Domain;

use crate::document::{ConnectorState, Document, InboundConnector};
use crate::hours::SendingHours;
use crate::tls::Fingerprint;

use super::scope::{ConnectorScopes, Scope, parse_all};

/// An object's place in the document: its organisation's place, and its own there.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    pub(crate) organisation: usize,
    pub(crate) object: usize,
}

/// All indexes of a snapshot.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    pub(super) networks: NetworkIndex,
    /// Who claims a domain, in the order of the document.
    pub(super) domains: HashMap<Domain, Vec<Place>>,
    /// Domains by their bounce domain.
    pub(super) bounce_domains: HashMap<Domain, Vec<Place>>,
    /// Mailboxes that the directory lists, by accepted domain.
    pub(super) mailboxes: HashMap<Place, usize>,
    /// By organisation's place and address: whether it has a mailbox.
    pub(super) directory: HashMap<(usize, Box<str>), bool>,
    /// Scopes of inbound and outbound connectors, in the order of the document.
    pub(super) inbound_scopes: Vec<Vec<ConnectorScopes>>,
    pub(super) outbound_scopes: Vec<Vec<Vec<Scope>>>,
    /// Inbound connectors by certificate name; `*.example` for wildcards.
    pub(super) certificates: HashMap<Box<str>, Vec<Place>>,
    /// Inbound connectors by SHA-256 of a certificate.
    pub(super) fingerprints: HashMap<Fingerprint, Vec<Place>>,
    /// Inbound connectors, drafts left out, by the names in `sender_dns_names`.
    pub(super) client_names: BTreeMap<Domain, Vec<Place>>,
    pub(super) credentials: HashMap<Box<str>, Place>,
    /// By an address of `may_send_as`; `None`: more than one credential lists it.
    pub(super) credentials_by_address: HashMap<Box<str>, Option<Place>>,
    /// A connector in use with `cleartext_auth` that has no factor but credentials.
    pub(super) cleartext_auth_by_credential: bool,
    /// Inbound connectors that a credential names: it is one of their factors.
    pub(super) with_credential: std::collections::HashSet<Place>,
}

impl Indexes {
    /// Of a document that was checked; what cannot be read is left out.
    pub(super) fn build(document: &Document) -> Self {
        let mut indexes = Self::default();
        for (organisation, object) in document.organisation.iter().enumerate() {
            for (at, domain) in object.domain.iter().enumerate() {
                let place = Place {
                    organisation,
                    object: at,
                };
                if let Ok(name) = Domain::parse(&domain.name) {
                    indexes.domains.entry(name).or_default().push(place);
                }
                if let Ok(name) = Domain::parse(&domain.bounce_domain) {
                    indexes.bounce_domains.entry(name).or_default().push(place);
                }
            }
            let inbound = object
                .inbound_connector
                .iter()
                .map(|connector| ConnectorScopes {
                    senders: parse_all(&connector.sender_domains),
                    recipients: parse_all(&connector.recipient_domains),
                    hours: SendingHours::parse(&connector.sending_hours).ok(),
                });
            indexes.inbound_scopes.push(inbound.collect());
            let outbound = &object.outbound_connector;
            let outbound = outbound
                .iter()
                .map(|c| parse_all(&c.recipient_domains))
                .collect();
            indexes.outbound_scopes.push(outbound);
            for (at, connector) in object.inbound_connector.iter().enumerate() {
                indexes.add_inbound(
                    connector,
                    Place {
                        organisation,
                        object: at,
                    },
                );
            }
            for (at, credential) in object.credential.iter().enumerate() {
                let place = Place {
                    organisation,
                    object: at,
                };
                indexes
                    .credentials
                    .insert(credential.user.as_str().into(), place);
                let addresses = credential.may_send_as.iter();
                for address in addresses.filter(|entry| !entry.trim().starts_with('*')) {
                    let address = address.trim().to_lowercase().into_boxed_str();
                    let known = indexes.credentials_by_address.entry(address);
                    known.and_modify(|one| *one = None).or_insert(Some(place));
                }
                let named = |c: &InboundConnector| c.name == credential.inbound_connector;
                if let Some(at) = object.inbound_connector.iter().position(named) {
                    let connector = &object.inbound_connector[at];
                    indexes.cleartext_auth_by_credential |= connector.cleartext_auth
                        && is_in_use(connector.state)
                        && connector.sender_ip_addresses.is_empty();
                    indexes.with_credential.insert(Place {
                        organisation,
                        object: at,
                    });
                }
            }
        }
        indexes.add_directory(document);
        indexes
    }

    fn add_inbound(&mut self, connector: &InboundConnector, place: Place) {
        for network in &connector.sender_ip_addresses {
            self.networks.insert(*network, place);
        }
        let names = connector.sender_dns_names.iter();
        let names = names.filter_map(|name| Domain::parse(name).ok());
        for name in names.filter(|_| connector.state != ConnectorState::Draft) {
            let places = self.client_names.entry(name).or_default();
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let certificate = connector
            .tls_sender_certificate_name
            .trim()
            .to_ascii_lowercase();
        if !certificate.is_empty() {
            let name = certificate.strip_suffix('.').unwrap_or(&certificate);
            self.certificates
                .entry(name.into())
                .or_default()
                .push(place);
        }
        let fingerprints = connector.tls_sender_certificate_fingerprints.iter();
        for one in fingerprints.filter_map(|text| Fingerprint::parse(text)) {
            let places = self.fingerprints.entry(one).or_default();
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }

    /// After the domains: an entry counts for its organisation's nearest domain that covers it.
    fn add_directory(&mut self, document: &Document) {
        for (organisation, object) in document.organisation.iter().enumerate() {
            for entry in &object.recipient {
                let Ok(mailbox) = Mailbox::parse(entry.address.trim()) else {
                    continue;
                };
                self.directory
                    .insert(directory_key(organisation, &mailbox), entry.mailbox);
                let place = mailbox.domain().and_then(|domain| {
                    self.covering(document, domain)
                        .find(|place| place.organisation == organisation)
                });
                if let (Some(place), true) = (place, entry.mailbox) {
                    *self.mailboxes.entry(place).or_default() += 1;
                }
            }
        }
    }

    /// Who claims this very domain.
    pub(super) fn claims(&self, domain: &Domain) -> &[Place] {
        self.domains
            .get(domain)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The accepted domains that cover a domain: itself before its parents, nearest first.
    pub(super) fn covering<'a>(
        &'a self,
        document: &'a Document,
        domain: &'a Domain,
    ) -> impl Iterator<Item = Place> + 'a {
        let whole = domain.as_str();
        let parent = |name: &&'a str| name.split_once('.').map(|(_, parent)| parent);
        let names = std::iter::successors(Some(whole), parent);
        names.flat_map(move |name| {
            let places = Domain::parse(name).ok().and_then(|d| self.domains.get(&d));
            let places = places
                .map(Vec::as_slice)
                .unwrap_or_default()
                .iter()
                .copied();
            places.filter(move |place| {
                let organisation = &document.organisation[place.organisation];
                name.len() == whole.len() || organisation.domain[place.object].subdomains
            })
        })
    }
}

/// Local parts are compared without regard to case: devices and people write them in any.
pub(super) fn directory_key(organisation: usize, mailbox: &Mailbox) -> (usize, Box<str>) {
    (organisation, address_key(mailbox))
}

/// The address as it is compared.
pub(super) fn address_key(mailbox: &Mailbox) -> Box<str> {
    let local = mailbox.local_part().as_str().to_lowercase();
    match mailbox.host() {
        Host::Domain(domain) => format!("{local}@{domain}").into_boxed_str(),
        literal @ Host::Literal(_) => format!("{local}@{literal}").into_boxed_str(),
    }
}

/// Whether a connector takes clients: it is enabled, or observing.
pub(super) fn is_in_use(state: ConnectorState) -> bool {
    match state {
        ConnectorState::Enabled | ConnectorState::Observing => true,
        ConnectorState::Draft | ConnectorState::Disabled => false,
    }
}

/// Networks by prefix length, longest first: one look into a table for each length that occurs,
/// so at most 33 for IPv4 and 129 for IPv6, whatever the number of networks.
#[derive(Debug, Default)]
pub(crate) struct NetworkIndex {
    four: Vec<Length>,
    six: Vec<Length>,
}

#[derive(Debug)]
struct Length {
    prefix: u8,
    networks: HashMap<IpNet, Vec<Place>>,
}

impl NetworkIndex {
    pub(crate) fn insert(&mut self, network: IpNet, place: Place) {
        let network = network.trunc();
        let lengths = match network {
            IpNet::V4(_) => &mut self.four,
            IpNet::V6(_) => &mut self.six,
        };
        let prefix = network.prefix_len();
        let at = match lengths.binary_search_by(|length| prefix.cmp(&length.prefix)) {
            Ok(at) => at,
            Err(at) => {
                lengths.insert(
                    at,
                    Length {
                        prefix,
                        networks: HashMap::new(),
                    },
                );
                at
            }
        };
        let places = lengths[at].networks.entry(network).or_default();
        if !places.contains(&place) {
            places.push(place);
        }
    }

    /// The networks that hold an address, longest prefix first, with what was put there.
    pub(crate) fn covering(&self, address: IpAddr) -> impl Iterator<Item = (IpNet, &[Place])> {
        let address = address.to_canonical();
        let lengths = if address.is_ipv4() {
            &self.four
        } else {
            &self.six
        };
        lengths.iter().filter_map(move |length| {
            let network = IpNet::new(address, length.prefix).ok()?.trunc();
            length
                .networks
                .get(&network)
                .map(|places| (network, places.as_slice()))
        })
    }

    /// The networks that hold a network, itself among them, longest prefix first.
    pub(crate) fn holding(&self, network: IpNet) -> impl Iterator<Item = (IpNet, &[Place])> {
        self.covering(network.addr())
            .filter(move |(wider, _)| wider.prefix_len() <= network.prefix_len())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn place(object: usize) -> Place {
        Place {
            organisation: 0,
            object,
        }
    }

    #[test]
    fn the_longest_prefix_comes_first() {
        let mut index = NetworkIndex::default();
        for (object, network) in [
            "10.0.0.0/8",
            "10.1.2.0/24",
            "10.1.2.9/32",
            "2001:db8::/32",
            "0.0.0.0/0",
        ]
        .iter()
        .enumerate()
        {
            index.insert(network.parse().unwrap(), place(object));
        }
        let found = |address: &str| {
            let address = address.parse().unwrap();
            index
                .covering(address)
                .map(|(_, places)| places[0].object)
                .collect::<Vec<_>>()
        };
        assert_eq!(found("10.1.2.9"), [2, 1, 0, 4]);
        assert_eq!(found("::ffff:10.1.2.9"), [2, 1, 0, 4]);
        assert_eq!(found("10.1.2.8"), [1, 0, 4]);
        assert_eq!(found("11.0.0.1"), [4]);
        assert_eq!(found("2001:db8::1"), [3]);
        assert!(found("2001:db9::1").is_empty());
    }

    proptest! {
        /// Few address bits, so that networks nest and meet.
        #[test]
        fn longest_prefix_agrees_with_a_naive_search(
            networks in vec((0_u32..64, 24_u8..=32), 0..200),
            addresses in vec(0_u32..64, 20),
        ) {
            let networks = networks
                .into_iter()
                .map(|(low, length)| {
                    let address = Ipv4Addr::from(0x0a00_0000 | low);
                    IpNet::new(address.into(), length).unwrap().trunc()
                })
                .collect::<Vec<_>>();
            let mut index = NetworkIndex::default();
            for (object, network) in networks.iter().enumerate() {
                index.insert(*network, place(object));
            }
            for low in addresses {
                let address = IpAddr::from(Ipv4Addr::from(0x0a00_0000 | low));
                let mut naive =
                    networks.iter().filter(|n| n.contains(&address)).copied().collect::<Vec<_>>();
                naive.sort_by_key(|network| std::cmp::Reverse(network.prefix_len()));
                naive.dedup();
                let found = index.covering(address).map(|(network, _)| network).collect::<Vec<_>>();
                prop_assert_eq!(found, naive);
            }
        }
    }
}
