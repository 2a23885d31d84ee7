//! All inbound connectors that a client fits, in the order in which they are tried, and why each
//! of them got it or not. Told to people beside one message; `attribution` alone decides.

use relais_smtp::domain::Domain;

use crate::attribution::{Attribution, Because, Facts, attribute, missing_factor_of};
use crate::document::ConnectorState;
use crate::settings::{OwnedConnector, Settings};
use crate::tls::Certificate;

/// A connector that the client fits.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Which.
    pub found: OwnedConnector<'a>,
    /// By what.
    pub by: By,
    /// What became of it.
    pub fate: Fate,
}

/// What of a client fits a connector, the strongest first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum By {
    /// It logged in as this user.
    Credential(String),
    /// Its certificate, by name or by SHA-256.
    Certificate(String),
    /// A DNS name leads to its address.
    DnsName(Domain),
    /// Its address lies in this network.
    Network(ipnet::IpNet),
}

/// Why a connector got the client, or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It got it.
    Won,
    /// It is the one, but this factor of its own is missing: no wider one is tried.
    Lacks(&'static str),
    /// A narrower network goes first.
    WiderThan(ipnet::IpNet),
    /// What fits the winner goes first: credential, certificate, one address, DNS name, network.
    Later,
    /// A draft takes no clients while another fits.
    Draft,
    /// Switched off.
    Disabled,
}

/// All of them, the strongest first; those of equal strength in the order of the settings.
pub fn candidates<'a>(settings: &'a Settings, facts: &Facts) -> Vec<Candidate<'a>> {
    let decided = attribute(settings, facts);
    let fitting = fitting(settings, facts);
    let fate = |found: &OwnedConnector<'_>, by: &By| fate(settings, facts, &decided, (found, by));
    let all = fitting.into_iter();
    all.map(|(found, by)| Candidate {
        found,
        fate: fate(&found, &by),
        by,
    })
    .collect()
}

/// Each connector once, by the strongest that fits it.
fn fitting<'a>(settings: &'a Settings, facts: &Facts) -> Vec<(OwnedConnector<'a>, By)> {
    let mut all: Vec<(OwnedConnector<'a>, By)> = Vec::new();
    if let Some(user) = facts.credential.as_deref()
        && let Some((found, credential)) = settings.credential(user)
        && credential.enabled
    {
        all.push((found, By::Credential(user.to_owned())));
    }
    if let Some(known) = facts.certificate.as_ref().and_then(Certificate::known_by) {
        let found = settings.connectors_by_fingerprint(&known);
        let by = By::Certificate(known.to_string());
        all.extend(found.into_iter().map(|found| (found, by.clone())));
    }
    for name in facts.certificate_names() {
        let wildcard = name
            .split_once('.')
            .map(|(_, parent)| format!("*.{parent}"));
        for pattern in [Some(name.to_string()), wildcard].into_iter().flatten() {
            let found = settings.connectors_by_certificate(&pattern);
            let by = By::Certificate(pattern);
            all.extend(found.into_iter().map(|found| (found, by.clone())));
        }
    }
    let is_single = |network: &ipnet::IpNet| network.prefix_len() == network.max_prefix_len();
    let covering: Vec<_> = settings.connectors_by_address(facts.address).collect();
    let (single, wider): (Vec<_>, Vec<_>) = covering
        .into_iter()
        .partition(|(network, _)| is_single(network));
    let networks = |(network, found)| (found, By::Network(network));
    all.extend(single.into_iter().map(networks));
    let named = settings.connectors_by_name(facts.address);
    all.extend(named.map(|(name, found)| (found, By::DnsName(name.clone()))));
    all.extend(wider.into_iter().map(networks));
    let mut each: Vec<(OwnedConnector<'a>, By)> = Vec::new();
    for one in all {
        if !each.iter().any(|(known, _)| known.is_same(&one.0)) {
            each.push(one);
        }
    }
    each
}

fn fate(
    settings: &Settings,
    facts: &Facts,
    decided: &Attribution<'_>,
    (found, by): (&OwnedConnector<'_>, &By),
) -> Fate {
    match decided {
        Attribution::FactorMissing {
            found: one,
            missing,
        } if one.is_same(found) => {
            return Fate::Lacks(missing);
        }
        Attribution::Connector { found: one, .. } if one.is_same(found) => return Fate::Won,
        _ => {}
    }
    match found.connector.state {
        ConnectorState::Draft => return Fate::Draft,
        ConnectorState::Disabled => return Fate::Disabled,
        ConnectorState::Enabled | ConnectorState::Observing => {}
    }
    match (decided, by) {
        (
            Attribution::Connector {
                because: Because::Address { network, .. },
                ..
            },
            By::Network(own),
        ) if own.prefix_len() < network.prefix_len() => Fate::WiderThan(*network),
        _ => match missing_factor_of(settings, found, facts) {
            Some(missing) => Fate::Lacks(missing),
            None => Fate::Later,
        },
    }
}
