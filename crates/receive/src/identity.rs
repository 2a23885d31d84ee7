//! Who is at the other end: the facts about the peer, its summary for the trace, and the client
//! that `relais_policy::attribution` finds in it.
//!
//! Not here: what follows from the facts (`relais_policy`).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use relais_policy::attribution::{Attribution, Facts, attribute};
use relais_policy::document::Limits;
use relais_policy::settings::Settings;
use relais_smtp::content::Preset;
use relais_smtp::domain::DOMAIN_OCTETS_MAX;
use relais_store::trace::ClientSummary;

use crate::limits::{Group, GroupBound, Standing};

/// The peer of one session.
pub(crate) struct Identity {
    facts: Facts,
    client: Arc<ClientSummary>,
}

/// Whether the listener demands authentication.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// Port 25.
    Relay,
    /// Port 587.
    Submission,
}

impl Identity {
    /// What is known at connect.
    pub(crate) fn new(peer: SocketAddr, role: Role) -> Self {
        let facts = Facts {
            address: peer.ip().to_canonical(),
            certificate: None,
            credential: None,
            helo: None,
            tls: None,
            submission: role == Role::Submission,
        };
        let client = Arc::new(summary(&facts));
        Self { facts, client }
    }

    /// The client greeted with this name.
    pub(crate) fn greeted(&mut self, name: &str) {
        self.greeted_as(Some(name));
    }

    /// Its name is this now; `None`: it has not greeted.
    pub(crate) fn greeted_as(&mut self, name: Option<&str>) {
        let cut = |name: &str| name[..name.floor_char_boundary(DOMAIN_OCTETS_MAX)].to_owned();
        self.facts.helo = name.map(cut);
        self.client = Arc::new(summary(&self.facts));
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.facts.address
    }

    /// For events and for the message.
    pub(crate) fn client(&self) -> &Arc<ClientSummary> {
        &self.client
    }
}

/// The client that the facts make, in one snapshot of the settings. Found at connect, and anew
/// before each transaction if the settings or the facts are others by then.
pub(crate) struct Client {
    pub(crate) settings: Arc<Settings>,
    pub(crate) standing: Standing,
    /// `None` for strangers.
    pub(crate) organisation: Option<Arc<str>>,
    /// The inbound connector's name; `None` for strangers.
    pub(crate) connector: Option<Arc<str>>,
    /// The connector's preset, if it names one.
    pub(crate) preset: Option<Preset>,
}

impl Client {
    pub(crate) fn find(settings: Arc<Settings>, identity: &Identity) -> Self {
        let found = attribute(&settings, &identity.facts).connector();
        Self {
            standing: if found.is_some() {
                Standing::Client
            } else {
                Standing::Stranger
            },
            organisation: found.map(|found| found.organisation.name.as_str().into()),
            connector: found.map(|found| found.connector.name.as_str().into()),
            preset: found
                .and_then(|found| found.connector.preset)
                .map(Preset::from),
            settings,
        }
    }

    /// Which connector, and by which factor. Looked up where it is needed: some table look-ups.
    pub(crate) fn attribution(&self, identity: &Identity) -> Attribution<'_> {
        attribute(&self.settings, &identity.facts)
    }

    /// `limits.connections` of its connector and its organisation; none for strangers.
    pub(crate) fn connection_bounds(&self, identity: &Identity) -> Vec<GroupBound> {
        let (Some(found), Some(organisation)) =
            (self.attribution(identity).connector(), &self.organisation)
        else {
            return Vec::new();
        };
        let hard = |limits: &Limits| {
            let limit = limits.connections.filter(|limit| limit.hard);
            limit.map(|limit| limit.value)
        };
        let group = |connector| Group {
            organisation: Arc::clone(organisation),
            connector,
        };
        vec![
            GroupBound {
                group: group(self.connector.clone()),
                max: hard(&found.connector.limits),
            },
            GroupBound {
                group: group(None),
                max: hard(&found.organisation.limits),
            },
        ]
    }
}

fn summary(facts: &Facts) -> ClientSummary {
    ClientSummary {
        address: facts.address,
        helo: facts.helo.as_deref().map(Into::into),
        credential: facts.credential.as_deref().map(Into::into),
        certificate: facts
            .certificate_names()
            .first()
            .map(|name| (**name).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(peer: &str) -> Identity {
        Identity::new(peer.parse().expect("an address"), Role::Relay)
    }

    #[test]
    fn an_ipv4_mapped_peer_is_its_ipv4_address() {
        assert_eq!(
            identity("[::ffff:10.1.2.9]:4000").address(),
            IpAddr::from([10, 1, 2, 9])
        );
    }

    #[test]
    fn a_long_greeting_name_is_cut_at_a_character() {
        let mut identity = identity("203.0.113.7:4000");
        identity.greeted(&"é".repeat(400));
        let helo = identity.client().helo.clone().expect("it greeted");
        assert!(helo.len() <= DOMAIN_OCTETS_MAX && helo.chars().all(|c| c == 'é'));
    }
}
