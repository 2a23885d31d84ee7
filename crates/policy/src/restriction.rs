//! Restricted entities: what may send nothing, or get nothing, until somebody releases it or its
//! time is over. An address of the network, an address of mail, a domain, a connector, a device, a
//! credential, a whole organisation; each with who, why, on what evidence and until when.
//!
//! What is **refused** gets no new mail in; what is **held** is answered as ever. In both cases the
//! mail of the entity that is in the queue waits there: nothing is lost, nothing leaves.
//!
//! Pure: the clock comes in with [`Restrictions::in_force`]. A restriction outweighs whatever the
//! settings permit. Not here: keeping them (`relais_store`); raising them automatically
//! ([`crate::trigger`]).

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;

use relais_smtp::address::{Host, Mailbox, ReversePath};
use relais_smtp::domain::Domain;
use relais_smtp::refusal::Refusal;
use relais_smtp::time::Timestamp;

use crate::attribution::{Attribution, Facts};
use crate::document::parse_network;

/// Restrictions at the same time. Ours: more is the work of a firewall.
pub const RESTRICTIONS_MAX: usize = 100_000;
/// Longest reason in octets.
pub const REASON_OCTETS_MAX: usize = 500;
/// In whose name triggers restrict.
pub const TRIGGERS: &str = "relais";
/// Lines of evidence. Ours: what a person reads before deciding.
pub const EVIDENCE_LINES_MAX: usize = 20;
/// Longest line of evidence in octets.
pub const EVIDENCE_OCTETS_MAX: usize = 500;

/// What kind of thing is restricted.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum EntityKind {
    /// `ip`: an address or network of clients.
    Ip,
    /// `address`: of mail, as sender or recipient.
    Address,
    /// `domain`: with all below it, of senders and recipients.
    Domain,
    /// `connector`: an inbound connector.
    Connector,
    /// `device`: one address of clients by one inbound connector.
    Device,
    /// `credential`: a user.
    Credential,
    /// `organisation`.
    Organisation,
}

impl EntityKind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[
        Self::Ip,
        Self::Address,
        Self::Domain,
        Self::Connector,
        Self::Device,
        Self::Credential,
        Self::Organisation,
    ];

    /// The word of the command line and the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Address => "address",
            Self::Domain => "domain",
            Self::Connector => "connector",
            Self::Device => "device",
            Self::Credential => "credential",
            Self::Organisation => "organisation",
        }
    }

    /// The kind of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// A thing that can be restricted, in one spelling: equal things are equal texts.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Entity {
    kind: EntityKind,
    value: Arc<str>,
}

/// The value is none of that kind.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{value}\" is no {what}")]
pub struct EntityError {
    value: String,
    what: &'static str,
}

impl Entity {
    /// `value` as people write it. A connector is `organisation/name`; the caller knows which
    /// organisation was meant.
    pub fn parse(kind: EntityKind, value: &str) -> Result<Self, EntityError> {
        let value = value.trim();
        let (spelled, what) = match kind {
            EntityKind::Ip => (spelled_network(value), "address or network, as 10.1.2.0/24"),
            EntityKind::Address => (spelled_address(value), "address of mail"),
            EntityKind::Domain => (Domain::parse(value).ok().map(|it| it.to_string()), "domain"),
            EntityKind::Connector => {
                let both = value.split_once('/');
                let whole = both.is_some_and(|(one, other)| !one.is_empty() && !other.is_empty());
                (
                    whole.then(|| value.to_owned()),
                    "connector, as organisation/name",
                )
            }
            EntityKind::Device => (
                spelled_device(value),
                "device, as organisation/connector/address",
            ),
            // Users are known in any case.
            EntityKind::Credential => (
                (!value.is_empty()).then(|| value.to_ascii_lowercase()),
                "user of a credential",
            ),
            EntityKind::Organisation => (
                (!value.is_empty()).then(|| value.to_owned()),
                "organisation",
            ),
        };
        match spelled {
            Some(spelled) => Ok(Self::new(kind, &spelled)),
            None => Err(EntityError {
                value: value.to_owned(),
                what,
            }),
        }
    }

    /// An inbound connector.
    pub fn connector(organisation: &str, name: &str) -> Self {
        Self::new(EntityKind::Connector, &format!("{organisation}/{name}"))
    }

    /// One device of a connector.
    pub fn device(organisation: &str, connector: &str, address: IpAddr) -> Self {
        let address = address.to_canonical();
        let value = format!("{organisation}/{connector}/{address}");
        Self::new(EntityKind::Device, &value)
    }

    /// A credential.
    pub fn credential(user: &str) -> Self {
        Self::new(EntityKind::Credential, &user.to_ascii_lowercase())
    }

    /// Whose it is, as far as its name says: a connector and a device are of an organisation, and
    /// an organisation is itself.
    pub fn organisation(&self) -> Option<&str> {
        match self.kind {
            EntityKind::Organisation => Some(&self.value),
            EntityKind::Connector | EntityKind::Device => self
                .value
                .split_once('/')
                .map(|(organisation, _)| organisation),
            EntityKind::Ip | EntityKind::Address | EntityKind::Domain | EntityKind::Credential => {
                None
            }
        }
    }

    /// The inbound connector that it is, or is a device of.
    pub fn inbound_connector(&self) -> Option<&str> {
        let (_, rest) = self.value.split_once('/')?;
        match self.kind {
            EntityKind::Connector => Some(rest),
            EntityKind::Device => rest.rsplit_once('/').map(|(connector, _)| connector),
            EntityKind::Ip
            | EntityKind::Address
            | EntityKind::Domain
            | EntityKind::Credential
            | EntityKind::Organisation => None,
        }
    }

    fn new(kind: EntityKind, value: &str) -> Self {
        let value = value.into();
        Self { kind, value }
    }

    /// Its kind.
    pub fn kind(&self) -> EntityKind {
        self.kind
    }

    /// Its one spelling.
    pub fn value(&self) -> &str {
        &self.value
    }

    fn network(&self) -> Option<IpNet> {
        parse_network(&self.value).ok()
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.value)
    }
}

/// One address without `/32`, a network with its length.
fn spelled_network(value: &str) -> Option<String> {
    let network = parse_network(value).ok()?;
    Some(if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    })
}

/// A connector's name may have a slash in it, an organisation's and an address may not.
fn spelled_device(value: &str) -> Option<String> {
    let (organisation, rest) = value.split_once('/')?;
    let (connector, address) = rest.rsplit_once('/')?;
    let address: IpAddr = address.trim().parse().ok()?;
    let is_whole = !organisation.is_empty() && !connector.is_empty();
    is_whole.then(|| format!("{organisation}/{connector}/{}", address.to_canonical()))
}

fn spelled_address(value: &str) -> Option<String> {
    let bare = value.strip_prefix('<').and_then(|it| it.strip_suffix('>'));
    let mailbox = Mailbox::parse(bare.unwrap_or(value)).ok()?;
    Some(key_of(&mailbox))
}

/// Local parts without regard to case: who blocks `ceo@` means `CEO@` too.
fn key_of(mailbox: &Mailbox) -> String {
    let local_part = mailbox.local_part().as_str().to_lowercase();
    format!("{local_part}@{}", mailbox.host())
}

/// What becomes of new mail. Mail in the queue waits in both cases.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Effect {
    /// `refuse`: it is refused.
    #[default]
    Refuse,
    /// `hold`: it is accepted, and waits.
    Hold,
}

impl Effect {
    /// Both.
    pub const ALL: &'static [Self] = &[Self::Refuse, Self::Hold];

    /// The word of the command line and the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Hold => "hold",
        }
    }

    /// The effect of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }
}

/// A restricted entity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restriction {
    /// What.
    pub entity: Entity,
    /// What becomes of new mail.
    pub effect: Effect,
    /// Why, in the words of who did it.
    pub reason: String,
    /// What was seen: numbers, messages, addresses; one thing a line.
    pub evidence: Vec<String>,
    /// Who.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None`: until it is released.
    pub until: Option<Timestamp>,
}

impl Restriction {
    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Everything that is restricted: one immutable snapshot.
#[derive(Debug, Default)]
pub struct Restrictions {
    entries: HashMap<Entity, Restriction>,
    /// Of the networks among them.
    networks: Vec<(IpNet, Entity)>,
}

impl Restrictions {
    /// Of these; the later one of two for the same entity counts.
    pub fn build(restrictions: impl IntoIterator<Item = Restriction>) -> Self {
        let keyed = restrictions
            .into_iter()
            .map(|one| (one.entity.clone(), one));
        let entries: HashMap<_, _> = keyed.collect();
        let is_network = |entity: &Entity| {
            let network = entity.network().filter(|_| entity.kind == EntityKind::Ip)?;
            let wide = network.prefix_len() < network.max_prefix_len();
            wide.then(|| (network, entity.clone()))
        };
        let networks = entries.keys().filter_map(is_network).collect();
        Self { entries, networks }
    }

    /// All of them, in no order, whether their time is over or not.
    pub fn iter(&self) -> impl Iterator<Item = &Restriction> {
        self.entries.values()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is restricted.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The one of that entity, whether its time is over or not.
    pub fn get(&self, entity: &Entity) -> Option<&Restriction> {
        self.entries.get(entity)
    }

    /// What is refused at this time.
    pub fn in_force(&self, now: Timestamp) -> InForce<'_> {
        InForce {
            restrictions: self,
            now,
            only_refused: true,
        }
    }

    /// Whose mail waits in the queue at this time: that of what is refused, too.
    pub fn holding(&self, now: Timestamp) -> InForce<'_> {
        InForce {
            only_refused: false,
            ..self.in_force(now)
        }
    }
}

/// The restrictions at a time.
#[derive(Clone, Copy, Debug)]
pub struct InForce<'a> {
    restrictions: &'a Restrictions,
    now: Timestamp,
    only_refused: bool,
}

/// Whose a message is that is in the queue, or about to be.
#[derive(Clone, Copy, Debug)]
pub struct Queued<'a> {
    /// Organisation.
    pub organisation: &'a str,
    /// The inbound connector; `None` for strangers and what we made ourselves.
    pub connector: Option<&'a str>,
    /// The client's address; `None` for what we made ourselves.
    pub client: Option<IpAddr>,
    /// The user it logged in as.
    pub credential: Option<&'a str>,
    /// Where notices go.
    pub reverse_path: &'a ReversePath,
    /// What MAIL said, where the connector put another address in its place.
    pub replaced: Option<&'a Mailbox>,
}

impl<'a> InForce<'a> {
    /// The moment.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Of this entity.
    pub fn of(&self, entity: &Entity) -> Option<&'a Restriction> {
        self.restrictions
            .get(entity)
            .filter(|one| !one.is_over(self.now))
            .filter(|one| !self.only_refused || one.effect == Effect::Refuse)
    }

    /// Why a message is not to leave, whoever its recipients are: the widest first. What we made
    /// ourselves (notices, alerts) is nobody's misdeed and leaves.
    pub fn of_message(&self, message: &Queued<'_>) -> Option<&'a Restriction> {
        if self.restrictions.is_empty() {
            return None;
        }
        let client = message.client?;
        let organisation = message.organisation;
        let of_connector = message.connector.and_then(|name| {
            let connector = Entity::connector(organisation, name);
            self.of(&connector)
                .or_else(|| self.of(&Entity::device(organisation, name, client)))
        });
        self.named(EntityKind::Organisation, organisation)
            .or(of_connector)
            .or_else(|| message.credential.and_then(|user| self.of_credential(user)))
            .or_else(|| self.of_ip(client))
            .or_else(|| self.of_mailbox(message.reverse_path.mailbox()?))
            .or_else(|| self.of_mailbox(message.replaced?))
    }

    fn named(&self, kind: EntityKind, value: &str) -> Option<&'a Restriction> {
        // Most relays restrict nothing: no text is made then.
        if self.restrictions.is_empty() {
            return None;
        }
        self.of(&Entity::new(kind, value))
    }

    /// Of this client's address: its own, or that of a network around it.
    pub fn of_ip(&self, address: IpAddr) -> Option<&'a Restriction> {
        let address = address.to_canonical();
        let own = self.named(EntityKind::Ip, &address.to_string());
        own.or_else(|| {
            let networks = self.restrictions.networks.iter();
            networks
                .filter(|(network, _)| network.contains(&address))
                .find_map(|(_, entity)| self.of(entity))
        })
    }

    /// Of this user.
    pub fn of_credential(&self, user: &str) -> Option<&'a Restriction> {
        self.named(EntityKind::Credential, &user.to_ascii_lowercase())
    }

    /// Of this address of mail: its own, or that of its domain or of one above it.
    pub fn of_mailbox(&self, mailbox: &Mailbox) -> Option<&'a Restriction> {
        if self.restrictions.is_empty() {
            return None;
        }
        let own = self.named(EntityKind::Address, &key_of(mailbox));
        let Host::Domain(domain) = mailbox.host() else {
            return own;
        };
        let above = std::iter::successors(Some(domain.as_str()), |name| {
            name.split_once('.').map(|(_, rest)| rest)
        });
        own.or_else(|| {
            above
                .into_iter()
                .find_map(|name| self.named(EntityKind::Domain, name))
        })
    }
}

/// May this address connect? IP-BLOCKED.
pub fn may_connect(in_force: &InForce<'_>, address: IpAddr) -> Result<(), Refusal> {
    match in_force.of_ip(address) {
        Some(_) => Err(Refusal::AddressBlocked),
        None => Ok(()),
    }
}

/// May this client send at all? By address, organisation, connector, credential: the widest first.
pub fn may_use(
    in_force: &InForce<'_>,
    attribution: &Attribution<'_>,
    facts: &Facts,
) -> Result<(), Refusal> {
    may_connect(in_force, facts.address)?;
    if let Some(found) = attribution.connector() {
        let organisation = found.organisation.name.as_str();
        if in_force
            .named(EntityKind::Organisation, organisation)
            .is_some()
        {
            return Err(Refusal::OrganisationBlocked);
        }
        let connector = Entity::connector(organisation, &found.connector.name);
        if in_force.of(&connector).is_some() {
            return Err(Refusal::ConnectorBlocked);
        }
        let device = Entity::device(organisation, &found.connector.name, facts.address);
        if in_force.of(&device).is_some() {
            return Err(Refusal::AddressBlocked);
        }
    }
    match &facts.credential {
        Some(user) if in_force.of_credential(user).is_some() => Err(Refusal::CredentialDisabled),
        Some(_) | None => Ok(()),
    }
}

/// May this reverse-path send? FROM-BLOCKED.
pub fn may_send_as(in_force: &InForce<'_>, reverse_path: &ReversePath) -> Result<(), Refusal> {
    let restricted = reverse_path
        .mailbox()
        .and_then(|mailbox| in_force.of_mailbox(mailbox));
    match restricted {
        Some(_) => Err(Refusal::SenderBlocked),
        None => Ok(()),
    }
}

/// May this mailbox get mail, for this organisation? RCPT-BLOCKED, or TENANT-BLOCKED where a
/// stranger writes to an organisation that is suspended.
pub fn may_deliver_to(
    in_force: &InForce<'_>,
    organisation: &str,
    mailbox: &Mailbox,
) -> Result<(), Refusal> {
    if in_force
        .named(EntityKind::Organisation, organisation)
        .is_some()
    {
        return Err(Refusal::OrganisationBlocked);
    }
    match in_force.of_mailbox(mailbox) {
        Some(_) => Err(Refusal::RecipientBlocked),
        None => Ok(()),
    }
}

impl FromStr for EntityKind {
    type Err = EntityError;

    fn from_str(text: &str) -> Result<Self, EntityError> {
        Self::from_name(text).ok_or_else(|| EntityError {
            value: text.to_owned(),
            what: "kind: write ip, address, domain, connector, device, credential or organisation",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn restricted(kind: EntityKind, value: &str, until: Option<i64>) -> Restriction {
        Restriction {
            entity: Entity::parse(kind, value).expect("a value of its kind"),
            effect: Effect::Refuse,
            evidence: Vec::new(),
            reason: "spam".to_owned(),
            by: "uid 0 (root)".to_owned(),
            since: at(0),
            until: until.map(at),
        }
    }

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).expect("an address")
    }

    #[test]
    fn one_thing_has_one_spelling() {
        for (kind, written, spelled) in [
            (EntityKind::Ip, " 203.0.113.7 ", "203.0.113.7"),
            (EntityKind::Ip, "203.0.113.7/32", "203.0.113.7"),
            (EntityKind::Ip, "203.0.113.7/24", "203.0.113.0/24"),
            (EntityKind::Ip, "::ffff:203.0.113.7", "203.0.113.7"),
            (EntityKind::Ip, "2001:DB8:0::1", "2001:db8::1"),
            (
                EntityKind::Address,
                "<CEO@Contoso.Test>",
                "ceo@contoso.test",
            ),
            (EntityKind::Domain, "Fabrikam.Test.", "fabrikam.test"),
            (
                EntityKind::Connector,
                "contoso/Printers",
                "contoso/Printers",
            ),
            (
                EntityKind::Device,
                "contoso/Site A/B/::ffff:10.1.2.9",
                "contoso/Site A/B/10.1.2.9",
            ),
            (EntityKind::Credential, "Scan-1", "scan-1"),
            (EntityKind::Organisation, "contoso", "contoso"),
        ] {
            let entity = Entity::parse(kind, written).expect("a value of its kind");
            assert_eq!(entity.value(), spelled, "{written}");
        }
    }

    #[test]
    fn what_is_none_of_its_kind_is_named() {
        for (kind, written) in [
            (EntityKind::Ip, "fabrikam.test"),
            (EntityKind::Ip, "10.0.0.0/33"),
            (EntityKind::Address, "fabrikam.test"),
            (EntityKind::Domain, "a b"),
            (EntityKind::Connector, "Printers"),
            (EntityKind::Connector, "contoso/"),
            (EntityKind::Device, "contoso/10.1.2.9"),
            (EntityKind::Device, "contoso/Printers/scan2"),
            (EntityKind::Credential, " "),
            (EntityKind::Organisation, ""),
        ] {
            let error = Entity::parse(kind, written).expect_err(written);
            assert!(error.to_string().starts_with('"'), "{error}");
        }
        assert!("printer".parse::<EntityKind>().is_err());
    }

    #[test]
    fn an_address_is_restricted_by_itself_and_by_networks_around_it() {
        let all = Restrictions::build([
            restricted(EntityKind::Ip, "203.0.113.7", None),
            restricted(EntityKind::Ip, "198.51.100.0/24", None),
            restricted(EntityKind::Ip, "2001:db8::/32", None),
        ]);
        let in_force = all.in_force(at(1));
        for (address, blocked) in [
            ("203.0.113.7", true),
            ("::ffff:203.0.113.7", true),
            ("203.0.113.8", false),
            ("198.51.100.9", true),
            ("2001:db8:9::1", true),
            ("2001:db9::1", false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(in_force.of_ip(address).is_some(), blocked, "{address}");
            let verdict = may_connect(&in_force, address);
            assert_eq!(verdict.is_err(), blocked, "{address}");
        }
    }

    #[test]
    fn a_domain_is_restricted_with_all_below_it_and_an_address_in_any_case() {
        let all = Restrictions::build([
            restricted(EntityKind::Domain, "fabrikam.test", None),
            restricted(EntityKind::Address, "CEO@contoso.test", None),
        ]);
        let in_force = all.in_force(at(1));
        for (address, blocked) in [
            ("a@fabrikam.test", true),
            ("a@mail.Fabrikam.test", true),
            ("a@notfabrikam.test", false),
            ("ceo@contoso.test", true),
            ("Ceo@CONTOSO.test", true),
            ("it@contoso.test", false),
            ("a@[203.0.113.7]", false),
        ] {
            assert_eq!(
                in_force.of_mailbox(&mailbox(address)).is_some(),
                blocked,
                "{address}"
            );
        }
        let sender = ReversePath::Mailbox(mailbox("ceo@contoso.test"));
        assert_eq!(may_send_as(&in_force, &sender), Err(Refusal::SenderBlocked));
        assert_eq!(may_send_as(&in_force, &ReversePath::Null), Ok(()));
    }

    #[test]
    fn a_restriction_ends_at_its_time_and_not_before() {
        let all = Restrictions::build([restricted(EntityKind::Ip, "203.0.113.7", Some(60))]);
        let address = "203.0.113.7".parse().expect("an address");
        for (second, blocked) in [(0, true), (59, true), (60, false), (61, false)] {
            let in_force = all.in_force(at(second));
            assert_eq!(in_force.of_ip(address).is_some(), blocked, "{second}");
        }
    }

    #[test]
    fn an_ended_restriction_of_one_address_leaves_that_of_its_network() {
        let all = Restrictions::build([
            restricted(EntityKind::Ip, "203.0.113.7", Some(60)),
            restricted(EntityKind::Ip, "203.0.113.0/24", None),
        ]);
        let address = "203.0.113.7".parse().expect("an address");
        assert!(all.in_force(at(100)).of_ip(address).is_some());
    }

    /// One message of a device of `contoso`, logged in.
    fn message<'a>(reverse_path: &'a ReversePath, address: &str) -> Queued<'a> {
        Queued {
            organisation: "contoso",
            connector: Some("Printers"),
            client: Some(address.parse().expect("an address")),
            credential: Some("scan-1"),
            reverse_path,
            replaced: None,
        }
    }

    #[test]
    fn mail_in_the_queue_waits_for_each_kind_of_entity_and_for_no_other_of_its_kind() {
        let sender = ReversePath::Mailbox(mailbox("scan@contoso.test"));
        for (kind, value, other) in [
            (EntityKind::Organisation, "contoso", "fabrikam"),
            (EntityKind::Connector, "contoso/Printers", "contoso/ERP"),
            (
                EntityKind::Device,
                "contoso/Printers/10.1.2.9",
                "contoso/Printers/10.1.2.8",
            ),
            (EntityKind::Credential, "SCAN-1", "scan-2"),
            (EntityKind::Ip, "10.1.2.0/24", "10.1.3.0/24"),
            (EntityKind::Address, "scan@contoso.test", "erp@contoso.test"),
            (EntityKind::Domain, "contoso.test", "fabrikam.test"),
        ] {
            for effect in Effect::ALL {
                for (value, waits) in [(value, true), (other, false)] {
                    let one = Restriction {
                        effect: *effect,
                        ..restricted(kind, value, None)
                    };
                    let all = Restrictions::build([one]);
                    let found = all.holding(at(1)).of_message(&message(&sender, "10.1.2.9"));
                    assert_eq!(found.is_some(), waits, "{kind:?} {value}");
                }
            }
        }
    }

    #[test]
    fn mail_waits_for_the_sender_whose_place_another_address_took() {
        let (sender, author) = (ReversePath::Null, mailbox("Anna@contoso.test"));
        let of_anna = Queued {
            replaced: Some(&author),
            ..message(&sender, "10.1.2.9")
        };
        for (kind, value, waits) in [
            (EntityKind::Address, "anna@contoso.test", true),
            (EntityKind::Domain, "contoso.test", true),
            (EntityKind::Address, "bert@contoso.test", false),
        ] {
            let all = Restrictions::build([restricted(kind, value, None)]);
            let found = all.holding(at(1)).of_message(&of_anna);
            assert_eq!(found.is_some(), waits, "{kind:?} {value}");
        }
    }

    #[test]
    fn what_is_held_is_not_refused_and_what_we_made_ourselves_leaves() {
        let held = Restriction {
            effect: Effect::Hold,
            ..restricted(EntityKind::Organisation, "contoso", None)
        };
        let all = Restrictions::build([held]);
        let recipient = mailbox("anna@contoso.test");
        let refused = may_deliver_to(&all.in_force(at(1)), "contoso", &recipient);
        assert_eq!(refused, Ok(()));
        let sender = ReversePath::Null;
        let of_device = message(&sender, "10.1.2.9");
        assert!(all.holding(at(1)).of_message(&of_device).is_some());
        let ours = Queued {
            client: None,
            ..of_device
        };
        assert!(all.holding(at(1)).of_message(&ours).is_none());
    }
}
