//! One immutable snapshot of the settings, checked and indexed. A mail transaction keeps the
//! snapshot with which it began; the trace notes its version.
//!
//! Not here: reading and writing ([`crate::document`]), what changes ([`crate::change`]).

mod warning;
mod check;
mod index;
mod scope;
mod host;

use std::net::IpAddr;
use std::sync::Arc;

use relais_smtp::address::{Host, Mailbox};
use relais_smtp::domain::Domain;

use crate::document::{
    AcceptedDomain, Credential, Document, DomainKind, InboundConnector, Organisation,
    OutboundConnector, Verification,
};

pub use check::{
    CREDENTIALS_MAX, DIRECTORY_ENTRIES_MAX, DOMAINS_MAX, ERRORS_MAX, INBOUND_CONNECTORS_MAX,
    NETWORKS_MAX, ORGANISATIONS_MAX, OUTBOUND_CONNECTORS_MAX, RETRY_LIFETIME_MAX,
    RETRY_LIFETIME_MIN, SMART_HOSTS_MAX,
};
pub use host::{HostPort, LMTP_PORT, MailboxHost, SMTP_PORT};
pub use scope::{ConnectorScopes, Scope};
pub use warning::SettingsWarning;

use index::{Indexes, Place, directory_key, is_in_use};

/// `lan` or `hosted`, from the bootstrap file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// One organisation.
    #[default]
    Lan,
    /// Many; addresses and domains belong to exactly one.
    Hosted,
}

/// The snapshot. Cheap to share, never changed.
#[derive(Debug)]
pub struct Settings {
    /// Grows by one with each change; 0: nothing was ever applied.
    pub version: u64,
    /// From the bootstrap file.
    pub mode: Mode,
    /// As written.
    pub document: Document,
    indexes: Indexes,
}

/// What is wrong with a document that can be read: each a sentence that names object, cause, fix.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{object}: {message}")]
pub struct SettingsError {
    /// `organisation contoso, inbound connector Printers`.
    pub object: String,
    /// Cause and fix.
    pub message: String,
}

/// Where an accepted domain stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DomainState {
    /// Not proved yet: affects nothing.
    Pending,
    /// Proved.
    Verified,
}

/// An accepted domain with the organisation it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct OwnedDomain<'a> {
    /// Its organisation.
    pub organisation: &'a Organisation,
    /// The domain's settings (of the parent where `subdomains` covers it).
    pub domain: &'a AcceptedDomain,
    /// Pending or verified.
    pub state: DomainState,
    /// How many mailboxes the directory lists in it; 0: its directory is empty.
    pub mailboxes: usize,
}

impl OwnedDomain<'_> {
    /// Whether it is proved: only then does it affect anything.
    pub fn is_verified(&self) -> bool {
        self.state == DomainState::Verified
    }

    /// Whether unknown recipients are refused.
    pub fn is_authoritative(&self) -> bool {
        match self.domain.kind {
            DomainKind::Authoritative => true,
            DomainKind::InternalRelay => false,
        }
    }
}

/// An inbound connector with the organisation it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct OwnedConnector<'a> {
    /// Its organisation.
    pub organisation: &'a Organisation,
    /// The connector.
    pub connector: &'a InboundConnector,
    /// Its scopes, read.
    pub scopes: &'a ConnectorScopes,
    /// A credential names it, so a credential is one of its factors.
    pub takes_credential: bool,
}

impl OwnedConnector<'_> {
    /// Enabled or observing: it takes clients.
    pub fn is_in_use(&self) -> bool {
        is_in_use(self.connector.state)
    }

    /// Whether both are the same connector of the same organisation.
    pub fn is_same(&self, other: &OwnedConnector<'_>) -> bool {
        std::ptr::eq(self.connector, other.connector)
    }
}

impl Settings {
    /// Checks the whole document and indexes it. All errors are reported, not only the first, up
    /// to [`ERRORS_MAX`].
    pub fn build(mode: Mode, version: u64, document: Document) -> Result<Self, Vec<SettingsError>> {
        check::check(mode, &document)?;
        let indexes = Indexes::build(&document);
        Ok(Self {
            version,
            mode,
            document,
            indexes,
        })
    }

    /// No organisation: everything is refused.
    pub fn empty(mode: Mode) -> Arc<Self> {
        let document = Document::default();
        Arc::new(Self {
            version: 0,
            mode,
            document,
            indexes: Indexes::default(),
        })
    }

    /// What is allowed but perhaps not meant: each a sentence that names object, cause, fix.
    pub fn warnings(&self) -> Vec<SettingsWarning> {
        warning::warnings(self)
    }

    /// The organisation of that name.
    pub fn organisation(&self, name: &str) -> Option<&Organisation> {
        self.document
            .organisation
            .iter()
            .find(|organisation| organisation.name == name)
    }

    /// The only organisation, in LAN mode, if there is one.
    pub fn only_organisation(&self) -> Option<&Organisation> {
        match self.mode {
            Mode::Lan => self.document.organisation.first(),
            Mode::Hosted => None,
        }
    }

    /// The accepted domain that covers `domain`, exactly or as a parent with `subdomains`. A
    /// verified one wins over a pending one.
    pub fn accepted_domain(&self, domain: &Domain) -> Option<OwnedDomain<'_>> {
        let place = self.indexes.covering(&self.document, domain)?;
        let organisation = &self.document.organisation[place.organisation];
        let domain = &organisation.domain[place.object];
        let mailboxes = self.indexes.mailboxes.get(&place).copied().unwrap_or(0);
        Some(OwnedDomain {
            organisation,
            domain,
            state: state_of(domain),
            mailboxes,
        })
    }

    /// The accepted domain that covers `domain`, if it is verified.
    pub fn verified_domain(&self, domain: &Domain) -> Option<OwnedDomain<'_>> {
        self.accepted_domain(domain)
            .filter(OwnedDomain::is_verified)
    }

    /// Whether `domain` is covered by a verified domain of this organisation.
    pub fn is_verified_for(&self, organisation: &str, domain: &Domain) -> bool {
        self.verified_domain(domain)
            .is_some_and(|owned| owned.organisation.name == organisation)
    }

    /// The directory's entry for an address: local part without regard to case.
    pub fn directory(&self, mailbox: &Mailbox) -> Option<DirectoryAnswer> {
        self.indexes
            .directory
            .get(&directory_key(mailbox))
            .map(|has_mailbox| match has_mailbox {
                true => DirectoryAnswer::Mailbox,
                false => DirectoryAnswer::Person,
            })
    }

    /// The inbound connector of that name.
    pub fn inbound_connector(&self, organisation: &str, name: &str) -> Option<OwnedConnector<'_>> {
        let (at, found) = self.organisation_at(organisation)?;
        let object = found
            .inbound_connector
            .iter()
            .position(|c| c.name == name)?;
        Some(self.connector_at(Place {
            organisation: at,
            object,
        }))
    }

    /// The outbound connector of that name.
    pub fn outbound_connector(&self, organisation: &str, name: &str) -> Option<&OutboundConnector> {
        let connectors = &self.organisation(organisation)?.outbound_connector;
        connectors.iter().find(|connector| connector.name == name)
    }

    /// The outbound connectors of an organisation, each with its scopes.
    pub(crate) fn outbound_connectors(
        &self,
        organisation: &str,
    ) -> impl Iterator<Item = (&OutboundConnector, &[Scope])> {
        let found = self.organisation_at(organisation).into_iter();
        found.flat_map(|(at, organisation)| {
            let scopes = self.indexes.outbound_scopes[at].iter().map(Vec::as_slice);
            organisation.outbound_connector.iter().zip(scopes)
        })
    }

    /// The credential of that user, with the connector that it names.
    pub fn credential(&self, user: &str) -> Option<(OwnedConnector<'_>, &Credential)> {
        let place = *self.indexes.credentials.get(user)?;
        let organisation = &self.document.organisation[place.organisation];
        let credential = &organisation.credential[place.object];
        let named = |c: &InboundConnector| c.name == credential.inbound_connector;
        let object = organisation.inbound_connector.iter().position(named)?;
        Some((
            self.connector_at(Place {
                organisation: place.organisation,
                object,
            }),
            credential,
        ))
    }

    /// The inbound connectors that name this certificate name, to the letter; case does not
    /// count.
    pub(crate) fn connectors_by_certificate(&self, name: &str) -> Vec<OwnedConnector<'_>> {
        let places = self
            .indexes
            .certificates
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        places
            .iter()
            .map(|place| self.connector_at(*place))
            .collect()
    }

    /// The inbound connectors whose networks hold this address, longest prefix first.
    pub fn connectors_by_address(
        &self,
        address: IpAddr,
    ) -> impl Iterator<Item = (ipnet::IpNet, OwnedConnector<'_>)> {
        self.indexes
            .networks
            .covering(address)
            .flat_map(move |(network, places)| {
                places
                    .iter()
                    .map(move |place| (network, self.connector_at(*place)))
            })
    }

    /// Whether a recipient's host is a verified accepted domain of the organisation: `own`.
    pub(crate) fn is_own(&self, organisation: &str, host: &Host) -> bool {
        match host {
            Host::Domain(domain) => self.is_verified_for(organisation, domain),
            Host::Literal(_) => false,
        }
    }

    fn organisation_at(&self, name: &str) -> Option<(usize, &Organisation)> {
        self.document
            .organisation
            .iter()
            .enumerate()
            .find(|(_, object)| object.name == name)
    }

    fn connector_at(&self, place: Place) -> OwnedConnector<'_> {
        let organisation = &self.document.organisation[place.organisation];
        OwnedConnector {
            organisation,
            connector: &organisation.inbound_connector[place.object],
            scopes: &self.indexes.inbound_scopes[place.organisation][place.object],
            takes_credential: self.indexes.with_credential.contains(&place),
        }
    }
}

/// What the directory knows of an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DirectoryAnswer {
    /// A mailbox.
    Mailbox,
    /// A person without mailbox.
    Person,
}

/// Proof by DNS is not seen yet, whatever the zone says: nobody looks so far.
fn state_of(domain: &AcceptedDomain) -> DomainState {
    match domain.verification {
        Verification::Assumed => DomainState::Verified,
        Verification::Dns => DomainState::Pending,
    }
}

#[cfg(test)]
mod tests;
