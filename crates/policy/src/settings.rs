//! One immutable snapshot of the settings, checked and indexed. A mail transaction keeps the
//! snapshot with which it began; the trace notes its version.
//!
//! Not here: reading and writing ([`crate::document`]), what changes ([`crate::change`]).

mod warning;
mod returning;
mod check;
mod index;
mod scope;
mod host;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use relais_smtp::address::{Host, Mailbox};
use relais_smtp::domain::Domain;

use crate::dkim::DkimTable;
use crate::document::{
    AcceptedDomain, Credential, Document, DomainKind, IdentifiedBy, InboundConnector, Organisation,
    OutboundConnector, Verification,
};
use crate::proof::{Proof, ProofKey, Proofs, Standing};
use crate::tls::Fingerprint;

pub use check::{
    BOUNCE_DOMAIN_OCTETS_MAX, CREDENTIALS_MAX, DIRECTORY_ENTRIES_MAX, DOMAINS_MAX, ERRORS_MAX,
    INBOUND_CONNECTORS_MAX, NETWORKS_MAX, ORGANISATIONS_MAX, OUTBOUND_CONNECTORS_MAX,
    RETRY_LIFETIME_MAX, RETRY_LIFETIME_MIN, SMART_HOSTS_MAX,
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
#[derive(Clone, Debug)]
pub struct Settings {
    /// Grows by one with each change; 0: nothing was ever applied.
    pub version: u64,
    /// From the bootstrap file.
    pub mode: Mode,
    /// As written.
    pub document: Arc<Document>,
    /// What DNS showed of the accepted domains; changes without a new version.
    pub proofs: Arc<Proofs>,
    /// The DKIM keys of the accepted domains; change without a new version.
    pub dkim: Arc<DkimTable>,
    /// The bounce domains that DNS has shown to lead to us; change without a new version.
    pub shown_bounces: Arc<ShownBounces>,
    /// Where the names in `sender_dns_names` lead; changes without a new version.
    resolved: Arc<ResolvedNames>,
    client_names: Arc<ClientNames>,
    indexes: Arc<Indexes>,
}

/// By accepted domain: the bounce domain whose MX leads to us and whose SPF lets us send.
pub type ShownBounces = HashMap<ProofKey, Domain>;

/// Where names of clients lead.
pub type ResolvedNames = HashMap<Domain, Vec<IpAddr>>;

/// By address: the connectors that it is a client of by name, and by which.
type ClientNames = HashMap<IpAddr, Vec<(Place, Domain)>>;

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
    /// Proved once; its record has gone, and days of grace run: as if verified.
    Lapsing,
    /// Its record has been gone for longer than the grace: affects nothing.
    Suspended,
}

impl DomainState {
    /// The word, for people and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Lapsing => "lapsing",
            Self::Suspended => "suspended",
        }
    }

    /// Whether the domain may be used.
    pub const fn is_in_force(self) -> bool {
        match self {
            Self::Verified | Self::Lapsing => true,
            Self::Pending | Self::Suspended => false,
        }
    }
}

impl From<Standing> for DomainState {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Pending => Self::Pending,
            Standing::Verified => Self::Verified,
            Standing::Lapsing { .. } => Self::Lapsing,
            Standing::Suspended => Self::Suspended,
        }
    }
}

/// An accepted domain with the organisation it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct OwnedDomain<'a> {
    /// Its organisation.
    pub organisation: &'a Organisation,
    /// The domain's settings (of the parent where `subdomains` covers it).
    pub domain: &'a AcceptedDomain,
    /// Where it stands.
    pub state: DomainState,
    /// How many mailboxes the directory lists in it; 0: its directory is empty.
    pub mailboxes: usize,
}

impl OwnedDomain<'_> {
    /// Whether it is proved, or was until a few days ago: only then does it affect anything.
    pub fn is_verified(&self) -> bool {
        self.state.is_in_force()
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

    /// Whether the address alone is not enough.
    pub fn demands_second_factor(&self) -> bool {
        let by_certificate = self.connector.names_certificate();
        self.connector.identified_by == IdentifiedBy::All
            && (self.takes_credential || by_certificate)
    }

    /// Whether both are the same connector of the same organisation.
    pub fn is_same(&self, other: &OwnedConnector<'_>) -> bool {
        std::ptr::eq(self.connector, other.connector)
    }
}

impl Settings {
    /// Checks the whole document and indexes it. All errors are reported, not only the first, up
    /// to [`ERRORS_MAX`]. Nothing is proved yet: see [`Settings::with_proofs`].
    pub fn build(mode: Mode, version: u64, document: Document) -> Result<Self, Vec<SettingsError>> {
        check::check(mode, &document, false)?;
        Ok(Self::of(mode, version, document))
    }

    /// The same for a document that an earlier Relais stored: rules that came later do not keep it
    /// from its work.
    pub fn build_stored(
        mode: Mode,
        version: u64,
        document: Document,
    ) -> Result<Self, Vec<SettingsError>> {
        check::check(mode, &document, true)?;
        Ok(Self::of(mode, version, document))
    }

    fn of(mode: Mode, version: u64, document: Document) -> Self {
        let indexes = Indexes::build(&document);
        Self {
            version,
            mode,
            document: Arc::new(document),
            proofs: Arc::default(),
            dkim: Arc::default(),
            shown_bounces: Arc::default(),
            resolved: Arc::default(),
            client_names: Arc::default(),
            indexes: Arc::new(indexes),
        }
    }

    /// The same settings with these proofs; those of domains that it does not have are left out.
    #[must_use]
    pub fn with_proofs(&self, mut proofs: Proofs) -> Self {
        proofs.retain(|key| self.has_domain(key));
        Self {
            proofs: Arc::new(proofs),
            ..self.clone()
        }
    }

    /// The same settings with these addresses for the names of clients; other names are left out.
    #[must_use]
    pub fn with_client_names(&self, resolved: Arc<ResolvedNames>) -> Self {
        let mut client_names = ClientNames::default();
        for (name, places) in &self.indexes.client_names {
            for address in resolved.get(name).into_iter().flatten() {
                let named = client_names.entry(address.to_canonical()).or_default();
                named.extend(places.iter().map(|place| (*place, name.clone())));
            }
        }
        client_names
            .values_mut()
            .for_each(|named| named.sort_unstable());
        Self {
            resolved,
            client_names: Arc::new(client_names),
            ..self.clone()
        }
    }

    /// The same settings with these DKIM keys.
    #[must_use]
    pub fn with_dkim(&self, dkim: DkimTable) -> Self {
        Self {
            dkim: Arc::new(dkim),
            ..self.clone()
        }
    }

    /// The same settings with these bounce domains in DNS.
    #[must_use]
    pub fn with_shown_bounces(&self, shown: ShownBounces) -> Self {
        Self {
            shown_bounces: Arc::new(shown),
            ..self.clone()
        }
    }

    /// The same settings with what DNS showed before.
    #[must_use]
    pub fn following(&self, before: &Self) -> Self {
        self.with_proofs((*before.proofs).clone())
            .with_dkim((*before.dkim).clone())
            .with_shown_bounces((*before.shown_bounces).clone())
            .with_client_names(before.resolved.clone())
    }

    /// The names in `sender_dns_names` of connectors that take clients, each once.
    pub fn client_names(&self) -> impl Iterator<Item = &Domain> {
        self.indexes.client_names.keys()
    }

    /// The same settings with this proof instead of the one before.
    #[must_use]
    pub fn with_proof(&self, key: ProofKey, proof: Proof) -> Self {
        let mut proofs = (*self.proofs).clone();
        proofs.insert(key, proof);
        self.with_proofs(proofs)
    }

    /// No organisation: everything is refused.
    pub fn empty(mode: Mode) -> Arc<Self> {
        Arc::new(Self {
            version: 0,
            mode,
            document: Arc::default(),
            proofs: Arc::default(),
            dkim: Arc::default(),
            shown_bounces: Arc::default(),
            resolved: Arc::default(),
            client_names: Arc::default(),
            indexes: Arc::default(),
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
    /// verified one wins over a pending one, whoever's they are.
    pub fn accepted_domain(&self, domain: &Domain) -> Option<OwnedDomain<'_>> {
        self.covering(domain, |_| true)
    }

    /// The accepted domain of that organisation that covers `domain`.
    pub fn accepted_domain_of(
        &self,
        organisation: &str,
        domain: &Domain,
    ) -> Option<OwnedDomain<'_>> {
        self.covering(domain, |place| {
            self.document.organisation[place.organisation].name == organisation
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

    /// The proof of an organisation's domain, if somebody has made its token.
    pub fn proof(&self, organisation: &str, domain: &Domain) -> Option<&Proof> {
        self.proofs.get(organisation, domain)
    }

    /// Whether another organisation's claim to this very domain is in force.
    pub fn is_taken(&self, organisation: &str, domain: &Domain) -> bool {
        let others = self.indexes.claims(domain).iter();
        let mut others = others
            .filter(|place| self.document.organisation[place.organisation].name != organisation);
        others.any(|place| self.claim(*place).is_in_force())
    }

    /// Every accepted domain with its organisation, in the order of the document.
    pub fn domains(&self) -> impl Iterator<Item = (ProofKey, OwnedDomain<'_>)> {
        let organisations = self.document.organisation.iter().enumerate();
        organisations.flat_map(move |(organisation, owner)| {
            let places = (0..owner.domain.len()).map(move |object| Place {
                organisation,
                object,
            });
            places.filter_map(move |place| {
                let name = Domain::parse(&owner.domain[place.object].name).ok()?;
                let key = ProofKey::new(&owner.name, &name);
                Some((key, self.owned_domain(place)))
            })
        })
    }

    /// The directory's entry for an address: local part without regard to case. Asked of the
    /// organisation whose domain it is.
    pub fn directory(&self, mailbox: &Mailbox) -> Option<DirectoryAnswer> {
        let owned = self.accepted_domain(mailbox.domain()?)?;
        self.directory_of(&owned.organisation.name, mailbox)
    }

    /// What that organisation's directory says of an address.
    pub(crate) fn directory_of(
        &self,
        organisation: &str,
        mailbox: &Mailbox,
    ) -> Option<DirectoryAnswer> {
        let (at, _) = self.organisation_at(organisation)?;
        self.indexes
            .directory
            .get(&directory_key(at, mailbox))
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

    /// Whether anybody could log in.
    pub fn has_credentials(&self) -> bool {
        !self.indexes.credentials.is_empty()
    }

    /// Whether some connector in use that knows its clients by credential alone lets them log in
    /// in clear text.
    pub fn has_cleartext_auth_by_credential(&self) -> bool {
        self.indexes.cleartext_auth_by_credential
    }

    /// The credential that a name of somebody means: its user, or an address that it alone lists
    /// under `may_send_as`.
    pub fn credential_by_name(&self, name: &str) -> Option<&Credential> {
        let name = name.trim().to_lowercase();
        if let Some((_, credential)) = self.credential(&name) {
            return Some(credential);
        }
        let place = (*self.indexes.credentials_by_address.get(&*name)?)?;
        Some(&self.document.organisation[place.organisation].credential[place.object])
    }

    /// The credential of that user, in any case, with the connector that it names.
    pub fn credential(&self, user: &str) -> Option<(OwnedConnector<'_>, &Credential)> {
        let lower = user.trim().to_ascii_lowercase();
        let place = *self.indexes.credentials.get(&*lower)?;
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
        self.connectors_at(self.indexes.certificates.get(name))
    }

    /// The inbound connectors that name this very certificate.
    pub(crate) fn connectors_by_fingerprint(&self, one: &Fingerprint) -> Vec<OwnedConnector<'_>> {
        self.connectors_at(self.indexes.fingerprints.get(one))
    }

    fn connectors_at(&self, places: Option<&Vec<Place>>) -> Vec<OwnedConnector<'_>> {
        let places = places.into_iter().flatten();
        places.map(|place| self.connector_at(*place)).collect()
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

    /// The inbound connectors one of whose names leads to this address now, in the order of the
    /// document, each with the name.
    pub fn connectors_by_name(
        &self,
        address: IpAddr,
    ) -> impl Iterator<Item = (&Domain, OwnedConnector<'_>)> {
        let named = self.client_names.get(&address.to_canonical());
        let named = named.map(Vec::as_slice).unwrap_or_default().iter();
        named.map(|(place, name)| (name, self.connector_at(*place)))
    }

    /// Whether a recipient's host is a verified accepted domain of the organisation: `own`.
    pub fn is_own(&self, organisation: &str, host: &Host) -> bool {
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

    /// A domain covers itself, and with `subdomains` what lies below; nearest first, those in
    /// force before others.
    fn covering(&self, domain: &Domain, may: impl Fn(Place) -> bool) -> Option<OwnedDomain<'_>> {
        let mut idle = None;
        for place in self.indexes.covering(&self.document, domain) {
            if !may(place) {
                continue;
            }
            let owned = self.owned_domain(place);
            if owned.is_verified() {
                return Some(owned);
            }
            idle = idle.or(Some(owned));
        }
        idle
    }

    fn owned_domain(&self, place: Place) -> OwnedDomain<'_> {
        let organisation = &self.document.organisation[place.organisation];
        let domain = &organisation.domain[place.object];
        OwnedDomain {
            organisation,
            domain,
            state: self.state_of(place),
            mailboxes: self.indexes.mailboxes.get(&place).copied().unwrap_or(0),
        }
    }

    /// Where a claim to a domain stands. Of several in force one counts: what somebody on the
    /// machine said before what DNS shows, then the older organisation's.
    fn state_of(&self, place: Place) -> DomainState {
        let claim = self.claim(place);
        if !claim.is_in_force() {
            return claim;
        }
        let name = &self.document.organisation[place.organisation].domain[place.object].name;
        let Ok(domain) = Domain::parse(name) else {
            return DomainState::Pending;
        };
        let claims = self.indexes.claims(&domain);
        let is_assumed = |place: &&Place| self.is_assumed(**place);
        let in_force = |place: &&Place| self.claim(**place).is_in_force();
        let holder = claims.iter().find(is_assumed);
        match holder.or_else(|| claims.iter().find(in_force)) {
            Some(holder) if *holder == place => claim,
            Some(_) | None => DomainState::Pending,
        }
    }

    /// Where a claim stands by itself.
    fn claim(&self, place: Place) -> DomainState {
        if self.is_assumed(place) {
            return DomainState::Verified;
        }
        let organisation = &self.document.organisation[place.organisation];
        let proof = Domain::parse(&organisation.domain[place.object].name)
            .ok()
            .and_then(|domain| self.proofs.get(&organisation.name, &domain));
        proof.map_or(DomainState::Pending, |proof| proof.standing.into())
    }

    fn is_assumed(&self, place: Place) -> bool {
        let organisation = &self.document.organisation[place.organisation];
        match organisation.domain[place.object].verification {
            Verification::Assumed => true,
            Verification::Dns => false,
        }
    }

    /// Whether that organisation has that very domain.
    pub fn has_domain(&self, key: &ProofKey) -> bool {
        let mut claims = self.indexes.claims(&key.domain).iter();
        claims
            .any(|place| *self.document.organisation[place.organisation].name == *key.organisation)
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

#[cfg(test)]
mod tests;
