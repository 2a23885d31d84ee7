//! Networks and certificate names of inbound connectors: sizes and ranges where many share the
//! server, and that one client never belongs to two connectors.

use std::collections::HashMap;

use ipnet::IpNet;

use relais_smtp::domain::Domain;

use crate::document::{ConnectorState, Document, IdentifiedBy, InboundConnector, Organisation};
use crate::range::special_network;
use crate::tls::Fingerprint;

use super::super::Mode;
use super::super::index::{NetworkIndex, Place, is_in_use};
use super::Checker;

/// Widest networks in hosted mode: wider ones are nobody's alone.
const HOSTED_PREFIX_MIN_V4: u8 = 24;
const HOSTED_PREFIX_MIN_V6: u8 = 64;

pub(super) fn check(mode: Mode, document: &Document, checker: &mut Checker) {
    if mode == Mode::Hosted {
        hosted_ranges(document, checker);
    }
    overlaps(mode, document, checker);
    certificates(document, checker);
    client_names(document, checker);
}

fn hosted_ranges(document: &Document, checker: &mut Checker) {
    for organisation in &document.organisation {
        for connector in &organisation.inbound_connector {
            let object = object(organisation, connector);
            for network in &connector.sender_ip_addresses {
                if let Some(word) = special_network(network) {
                    let message = format!(
                        "{network} is {word}, so it says nothing of who sends; in hosted mode \
                         write the public address, or use a certificate or credential"
                    );
                    checker.error(&object, message);
                    continue;
                }
                let min = match network {
                    IpNet::V4(_) => HOSTED_PREFIX_MIN_V4,
                    IpNet::V6(_) => HOSTED_PREFIX_MIN_V6,
                };
                if network.prefix_len() < min {
                    let max = network.max_prefix_len();
                    let message = format!(
                        "{network} is too wide; in hosted mode write networks of /{min} to /{max}"
                    );
                    checker.error(&object, message);
                }
            }
        }
    }
}

/// Two connectors in use with equal networks are refused; in hosted mode, organisations may not
/// overlap at all unless both sides demand a second factor. There a disabled connector holds its
/// networks too: it refuses their clients, which must be nobody else's.
fn overlaps(mode: Mode, document: &Document, checker: &mut Checker) {
    let mut index = NetworkIndex::default();
    let holds = |state| match mode {
        Mode::Lan => is_in_use(state),
        Mode::Hosted => state != ConnectorState::Draft,
    };
    each(document, holds, |place, _, connector| {
        for network in &connector.sender_ip_addresses {
            index.insert(*network, place);
        }
    });
    let state_of = |place: Place| {
        let organisation = &document.organisation[place.organisation];
        organisation.inbound_connector[place.object].state
    };
    each(document, holds, |place, organisation, connector| {
        for network in &connector.sender_ip_addresses {
            for (wider, others) in index.holding(network.trunc()) {
                for other in others.iter().filter(|other| **other != place) {
                    let same_organisation = other.organisation == place.organisation;
                    let in_use = is_in_use(connector.state) && is_in_use(state_of(*other));
                    if same_organisation && !in_use {
                        continue;
                    }
                    let is_equal = wider.prefix_len() == network.prefix_len();
                    let message = match (same_organisation, is_equal, mode) {
                        (true, true, _) if other.object < place.object => {
                            let rival = &organisation.inbound_connector[other.object].name;
                            format!(
                                "{network} is also in inbound connector {rival}; leave it in one, \
                                 or disable one"
                            )
                        }
                        (true, ..) | (false, _, Mode::Lan) => continue,
                        (false, is_equal, Mode::Hosted) => {
                            let equal_later = is_equal && other.organisation > place.organisation;
                            if equal_later || both_demand_more(document, place, *other) {
                                continue;
                            }
                            format!(
                                "{network} overlaps a network of another organisation; an address \
                                 belongs to one, unless both connectors have identified_by = \
                                 \"all\" with a certificate or credential"
                            )
                        }
                    };
                    checker.error(&object(organisation, connector), message);
                }
            }
        }
    });
}

fn both_demand_more(document: &Document, one: Place, other: Place) -> bool {
    let demands_more = |place: Place| {
        let organisation = &document.organisation[place.organisation];
        let connector = &organisation.inbound_connector[place.object];
        demands_second_factor(organisation, connector)
    };
    demands_more(one) && demands_more(other)
}

/// Whether the address alone is not enough.
fn demands_second_factor(organisation: &Organisation, connector: &InboundConnector) -> bool {
    let by_credential = organisation
        .credential
        .iter()
        .any(|c| c.inbound_connector == connector.name);
    let by_certificate = connector.names_certificate();
    connector.identified_by == IdentifiedBy::All && (by_credential || by_certificate)
}

/// A certificate and its name lead to one connector in use, unless each demands more.
fn certificates(document: &Document, checker: &mut Checker) {
    let mut seen = HashMap::<String, Place>::new();
    each_in_use(document, |place, organisation, connector| {
        let name = connector
            .tls_sender_certificate_name
            .trim()
            .to_ascii_lowercase();
        if !name.is_empty() {
            let value = ("tls_sender_certificate_name", name);
            certificate(
                document,
                checker,
                &mut seen,
                (place, organisation, connector),
                value,
            );
        }
        let fingerprints = connector.tls_sender_certificate_fingerprints.iter();
        for one in fingerprints.filter_map(|text| Fingerprint::parse(text)) {
            let value = ("tls_sender_certificate_fingerprints", one.to_string());
            certificate(
                document,
                checker,
                &mut seen,
                (place, organisation, connector),
                value,
            );
        }
    });
}

fn certificate(
    document: &Document,
    checker: &mut Checker,
    seen: &mut HashMap<String, Place>,
    (place, organisation, connector): (Place, &Organisation, &InboundConnector),
    (key, value): (&str, String),
) {
    let Some(other) = seen.insert(value.clone(), place) else {
        return;
    };
    let rival = &document.organisation[other.organisation].inbound_connector[other.object];
    let is_all = |c: &InboundConnector| c.identified_by == IdentifiedBy::All;
    if other == place || (is_all(connector) && is_all(rival)) {
        return;
    }
    let owner = if other.organisation == place.organisation {
        format!("inbound connector {}", rival.name)
    } else {
        "a connector of another organisation".to_owned()
    };
    let message =
        format!("{key} {value:?} is also that of {owner}; leave it in one, or disable one");
    checker.error(&object(organisation, connector), message);
}

/// A DNS name leads to one connector in use, unless each demands more.
fn client_names(document: &Document, checker: &mut Checker) {
    let mut seen = HashMap::<Domain, Place>::new();
    each_in_use(document, |place, organisation, connector| {
        let names = connector.sender_dns_names.iter();
        for name in names.filter_map(|name| Domain::parse(name).ok()) {
            let Some(other) = seen.insert(name.clone(), place) else {
                continue;
            };
            if other == place || both_demand_more(document, place, other) {
                continue;
            }
            let rival = &document.organisation[other.organisation].inbound_connector[other.object];
            let owner = if other.organisation == place.organisation {
                format!("inbound connector {}", rival.name)
            } else {
                "a connector of another organisation".to_owned()
            };
            let message = format!(
                "sender_dns_names {name} is also that of {owner}; leave it in one, or disable one"
            );
            checker.error(&object(organisation, connector), message);
        }
    });
}

fn object(organisation: &Organisation, connector: &InboundConnector) -> String {
    format!(
        "organisation {}, inbound connector {}",
        organisation.name, connector.name
    )
}

fn each_in_use<'d>(
    document: &'d Document,
    visit: impl FnMut(Place, &'d Organisation, &'d InboundConnector),
) {
    each(document, is_in_use, visit);
}

fn each<'d>(
    document: &'d Document,
    wanted: impl Fn(ConnectorState) -> bool,
    mut visit: impl FnMut(Place, &'d Organisation, &'d InboundConnector),
) {
    for (organisation, object) in document.organisation.iter().enumerate() {
        for (at, connector) in object.inbound_connector.iter().enumerate() {
            if wanted(connector.state) {
                visit(
                    Place {
                        organisation,
                        object: at,
                    },
                    object,
                    connector,
                );
            }
        }
    }
}
