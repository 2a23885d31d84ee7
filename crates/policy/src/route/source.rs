//! Where a message comes from, as far as its way depends on it: outbound connectors may be for
//! senders in some domains (`sender_domains`), or for what came by some inbound connectors
//! (`inbound_connectors`); an inbound connector may name the one by which its mail leaves
//! (`outbound_connector`).
//!
//! It is decided when a message is taken in, and kept with its queue: only what some
//! connector asks for, so that mail is not scheduled apart without need.

use std::fmt;

use relais_smtp::address::Host;
use relais_smtp::domain::Domain;

use crate::document::OutboundConnector;
use crate::settings::{Scope, Settings};

/// See the head of this file. As text: `contoso.test Printers`, `-` for no domain; empty: nothing.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct RouteSource {
    sender_domain: Option<Domain>,
    inbound_connector: Option<Box<str>>,
}

/// How closely a connector asks for a source; the least is the closest.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum SourceRank {
    Both,
    InboundConnector,
    SenderDomain,
    Anybody,
}

impl RouteSource {
    /// Of a message. Senders count in verified domains of the organisation only: anybody can write
    /// others.
    pub fn of(
        settings: &Settings,
        organisation: &str,
        inbound_connector: Option<&str>,
        sender_domain: Option<&Domain>,
    ) -> Self {
        let mut source = Self::default();
        let named = |name: &&str| {
            let owned = settings.inbound_connector(organisation, name);
            owned.is_some_and(|owned| !owned.connector.outbound_connector.is_empty())
        };
        source.inbound_connector = inbound_connector.filter(named).map(Into::into);
        let domain = sender_domain.filter(|one| settings.is_verified_for(organisation, one));
        for (connector, _) in settings.outbound_connectors(organisation) {
            if let Some(domain) = domain
                && asks_for_sender(connector, domain)
            {
                source.sender_domain = Some(domain.clone());
            }
            if let Some(name) = inbound_connector
                && connector.inbound_connectors.iter().any(|one| one == name)
            {
                source.inbound_connector = Some(name.into());
            }
        }
        source
    }

    /// Reads what is written by `Display`; what cannot be read is nothing.
    pub fn parse(text: &str) -> Self {
        let Some((domain, connector)) = text.split_once(' ') else {
            return Self::default();
        };
        Self {
            sender_domain: Domain::parse(domain).ok(),
            inbound_connector: (!connector.is_empty()).then(|| connector.into()),
        }
    }

    /// By which it came, where its way depends on that.
    pub(super) fn inbound_connector(&self) -> Option<&str> {
        self.inbound_connector.as_deref()
    }

    /// Whether the connector takes mail from there, and how closely it asks for it.
    pub(super) fn rank(&self, connector: &OutboundConnector) -> Option<SourceRank> {
        let by_sender = !connector.sender_domains.is_empty();
        let by_connector = !connector.inbound_connectors.is_empty();
        let sender_fits = || {
            let domain = self.sender_domain.as_ref();
            domain.is_some_and(|domain| asks_for_sender(connector, domain))
        };
        let connector_fits = || {
            let name = self.inbound_connector.as_deref();
            name.is_some_and(|name| connector.inbound_connectors.iter().any(|one| one == name))
        };
        match (by_sender, by_connector) {
            (true, true) => (sender_fits() && connector_fits()).then_some(SourceRank::Both),
            (false, true) => connector_fits().then_some(SourceRank::InboundConnector),
            (true, false) => sender_fits().then_some(SourceRank::SenderDomain),
            (false, false) => Some(SourceRank::Anybody),
        }
    }

    /// In words, for what a connector of this rank asks; empty where it asks for nothing.
    pub(super) fn words(&self, rank: SourceRank) -> String {
        let sender = || {
            let domain = self.sender_domain.as_ref();
            domain.map(|domain| format!("senders in {domain}"))
        };
        let connector = || {
            let name = self.inbound_connector.as_ref();
            name.map(|name| format!("what came by inbound connector {name}"))
        };
        let parts = match rank {
            SourceRank::Both => [connector(), sender()],
            SourceRank::InboundConnector => [connector(), None],
            SourceRank::SenderDomain => [None, sender()],
            SourceRank::Anybody => [None, None],
        };
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        match parts.is_empty() {
            true => String::new(),
            false => format!(", for {}", parts.join(" and ")),
        }
    }
}

impl fmt::Display for RouteSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.sender_domain, &self.inbound_connector) {
            (None, None) => Ok(()),
            (Some(domain), None) => write!(f, "{domain} "),
            (None, Some(connector)) => write!(f, "- {connector}"),
            (Some(domain), Some(connector)) => write!(f, "{domain} {connector}"),
        }
    }
}

/// Whether the connector is for senders in this domain, which is the organisation's own.
fn asks_for_sender(connector: &OutboundConnector, domain: &Domain) -> bool {
    let host = Host::Domain(domain.clone());
    let scopes = connector.sender_domains.iter();
    let mut scopes = scopes.filter_map(|text| Scope::parse(text).ok());
    scopes.any(|scope| scope.covers(&host, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_back_as_it_was_written() {
        let domain = Domain::parse("contoso.test").ok();
        for (sender_domain, inbound_connector) in [
            (None, None),
            (domain.clone(), None),
            (None, Some("All printers")),
            (domain, Some("- x")),
        ] {
            let source = RouteSource {
                sender_domain,
                inbound_connector: inbound_connector.map(Into::into),
            };
            assert_eq!(RouteSource::parse(&source.to_string()), source);
        }
        assert_eq!(RouteSource::default().to_string(), "");
    }
}
