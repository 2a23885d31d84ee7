//! How mail of an organisation leaves, as far as SPF is concerned: from our own addresses, or from
//! those of a smart host's provider.

use std::net::IpAddr;

use relais_smtp::address::Host;

use crate::document::{ConnectorState, OutboundConnector};
use crate::route::egress_addresses;
use crate::settings::{HostPort, SMTP_PORT, Scope, Settings};

/// Ends of smart hosts' names, with what their provider wants included (their own manuals).
const PROVIDERS: &[(&str, &str)] = &[
    ("mail.protection.outlook.com", "spf.protection.outlook.com"),
    ("mx.microsoft", "spf.protection.outlook.com"),
    ("smtp.office365.com", "spf.protection.outlook.com"),
    ("smtp-relay.gmail.com", "_spf.google.com"),
    ("smtp.gmail.com", "_spf.google.com"),
    ("amazonaws.com", "amazonses.com"),
    ("smtp2go.com", "spf.smtp2go.com"),
];

/// One way out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Way {
    /// The outbound connector; none: by MX without one.
    pub connector: Option<String>,
    /// The first smart host; none: by MX, from our own addresses.
    pub host: Option<String>,
    /// What its provider wants included in SPF, where that is known.
    pub include: Option<String>,
    /// From which of our addresses; empty: the server's.
    pub source_addresses: Vec<IpAddr>,
}

impl Way {
    /// By MX, from our own addresses: these are what SPF judges.
    pub fn is_direct(&self) -> bool {
        self.host.is_none()
    }

    /// For people: the connector's name, or `MX`.
    pub fn name(&self) -> &str {
        self.connector.as_deref().unwrap_or("MX")
    }
}

/// What a provider wants included, by the name of its host.
pub fn provider_include(host: &str) -> Option<&'static str> {
    let host = host.to_ascii_lowercase();
    let of_provider = |end: &str| {
        host.strip_suffix(end)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let known = PROVIDERS.iter().find(|(end, _)| of_provider(end));
    known.map(|(_, include)| *include)
}

/// All ways that mail of an organisation may take to other people.
pub fn ways(settings: &Settings, organisation: &str) -> Vec<Way> {
    let enabled = settings
        .organisation(organisation)
        .into_iter()
        .flat_map(|organisation| &organisation.outbound_connector)
        .filter(|connector| connector.state == ConnectorState::Enabled);
    let takes = |connector: &OutboundConnector, wanted: &Scope| {
        let texts = connector.recipient_domains.iter();
        texts
            .filter_map(|text| Scope::parse(text).ok())
            .any(|it| it == *wanted)
    };
    let only_own = |connector: &OutboundConnector| {
        connector.recipient_domains.iter().all(|text| text == "own")
    };
    let mut rest_goes_by_mx = true;
    let mut found = Vec::new();
    for connector in enabled {
        // What stays in the house is not judged by SPF.
        if only_own(connector) {
            continue;
        }
        if takes(connector, &Scope::Any) {
            rest_goes_by_mx = false;
        }
        found.push(by(connector));
    }
    if rest_goes_by_mx {
        found.push(Way {
            connector: None,
            host: None,
            include: None,
            source_addresses: Vec::new(),
        });
    }
    found
}

fn by(connector: &OutboundConnector) -> Way {
    let hosts = connector.smart_hosts.iter();
    let host = hosts
        .filter_map(|text| HostPort::parse(text, SMTP_PORT))
        .map(|it| match it.host {
            Host::Domain(domain) => domain.to_string(),
            Host::Literal(address) => address.to_string(),
        })
        .next();
    Way {
        connector: Some(connector.name.clone()),
        include: host
            .as_deref()
            .and_then(provider_include)
            .map(str::to_owned),
        host,
        source_addresses: egress_addresses(connector),
    }
}
