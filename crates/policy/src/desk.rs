//! The DNS desk: what a domain should publish so that receivers trust its mail, how that compares
//! with what DNS shows, and what receivers will make of it. Pure: what DNS says comes in as
//! [`Facts`]; [`assess`] gives back the questions that are open.
//!
//! Not here: the proof of ownership itself ([`crate::proof`]), asking (`relais-net`), how keys live
//! ([`crate::dkim`]).

mod alignment;
mod address;
mod zone;
mod receiving;
mod signing;
mod sending;
mod known;
mod record;
mod way;

use std::net::IpAddr;

use relais_smtp::address::Host;
use relais_smtp::domain::Domain;

use crate::dkim::Key;
use crate::document::{AcceptedDomain, ConnectorState, InboundConnector, Verification};
use crate::proof::{ProofKey, ProofToken};
use crate::range::is_private_address;
use crate::settings::{Scope, Settings};
use crate::spf::{Facts, OurTerm, Question};

pub use alignment::Prediction;
pub use record::{Differs, ProposedRecord, RecordKind, RecordState, TTL_SECONDS};
pub use way::{Way, provider_include, ways};
pub use zone::{ZoneEntry, zone_entries};

use known::Known;

/// Our label in the zone of our own: the SPF record that names our addresses.
const SPF_LABEL: &str = "spf";
/// The same: what bounce domains lead to.
const BOUNCE_LABEL: &str = "bounce";
/// The same: above the keys of all domains.
const DKIM_LABEL: &str = "dkim";
/// Longest name in DNS, in octets without the final dot. RFC 1035 §2.3.4.
const NAME_OCTETS_MAX: usize = 253;

/// A sentence in both languages.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Words {
    /// English.
    pub english: String,
    /// French.
    pub french: String,
}

impl Words {
    /// Both.
    pub fn new(english: impl Into<String>, french: impl Into<String>) -> Self {
        // French sets colon and semicolon apart, by a space at which no line breaks.
        let french: String = french.into();
        let french = french
            .replace(" : ", "\u{202f}: ")
            .replace(" ; ", "\u{202f}; ");
        Self {
            english: english.into(),
            french,
        }
    }

    fn push(&mut self, more: &Self) {
        for (text, more) in [
            (&mut self.english, &more.english),
            (&mut self.french, &more.french),
        ] {
            if !text.is_empty() && !more.is_empty() {
                text.push(' ');
            }
            text.push_str(more);
        }
    }
}

/// Who we are, to the rest of the world.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Site {
    /// In EHLO and MX records.
    pub hostname: String,
    /// `[deliver] source_addresses`; private ones do not count outside.
    pub source_addresses: Vec<IpAddr>,
    /// The delegated zone of our own, if we serve one.
    pub zone: Option<Domain>,
    /// We show policies of MTA-STS by HTTPS.
    pub shows_policies: bool,
}

impl Site {
    /// Addresses that others see.
    pub fn egress(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let addresses = self.source_addresses.iter().copied();
        addresses.filter(|address| !is_private_address(*address))
    }

    /// Where customers' SPF records include ours.
    pub fn spf_name(&self) -> Option<String> {
        self.in_zone(SPF_LABEL)
    }

    /// What customers' bounce domains are an alias of.
    pub fn bounce_name(&self) -> Option<String> {
        self.in_zone(BOUNCE_LABEL)
    }

    /// What a selector of a customer's domain is an alias of; none where that would be too long.
    pub fn dkim_name(&self, selector: &str, domain: &Domain) -> Option<String> {
        self.in_zone(&format!("{selector}.{domain}.{DKIM_LABEL}"))
    }

    /// What the record that customers include says: our addresses, and nobody else.
    pub fn spf_text(&self) -> String {
        let addresses: Vec<_> = self.egress().map(OurTerm::Address).collect();
        let terms = if addresses.is_empty() {
            vec![OurTerm::Host(self.hostname.clone())]
        } else {
            addresses
        };
        let terms = terms.iter().map(ToString::to_string);
        format!("v=spf1 {} -all", terms.collect::<Vec<_>>().join(" "))
    }

    fn in_zone(&self, labels: &str) -> Option<String> {
        let name = format!("{labels}.{}", self.zone.as_ref()?);
        (name.len() <= NAME_OCTETS_MAX).then_some(name)
    }
}

/// The domain that is looked at.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a Domain,
    /// Its settings.
    pub domain: &'a AcceptedDomain,
    /// Its proof's token, if it was made.
    pub token: Option<&'a ProofToken>,
    /// Who gets reports; may be empty.
    pub postmaster: &'a str,
    /// The DKIM keys that DNS must show.
    pub keys: Vec<Key>,
    /// How its mail leaves.
    pub ways: Vec<Way>,
    /// Inbound connectors that may send for it.
    pub connectors: Vec<String>,
    /// Who we are.
    pub site: &'a Site,
}

impl<'a> Subject<'a> {
    /// A domain of the settings; none if it is not there.
    pub fn of(settings: &'a Settings, key: &'a ProofKey, site: &'a Site) -> Option<Self> {
        let (_, owned) = settings.domains().find(|(one, _)| one == key)?;
        let organisation = owned.organisation;
        let host = Host::Domain(key.domain.clone());
        let sends_for = |connector: &&InboundConnector| {
            let scopes = connector.sender_domains.iter();
            let mut scopes = scopes.filter_map(|text| Scope::parse(text).ok());
            let is_used = match connector.state {
                ConnectorState::Enabled | ConnectorState::Observing => true,
                ConnectorState::Draft | ConnectorState::Disabled => false,
            };
            is_used && scopes.any(|scope| scope.covers(&host, true))
        };
        let connectors = organisation.inbound_connector.iter().filter(sends_for);
        Some(Self {
            name: &key.domain,
            domain: owned.domain,
            token: settings
                .proof(&key.organisation, &key.domain)
                .map(|it| &it.token),
            postmaster: &organisation.postmaster,
            keys: published_keys(settings, key),
            ways: ways(settings, &key.organisation),
            connectors: connectors.map(|it| it.name.clone()).collect(),
            site,
        })
    }

    /// Proved by hand: a private name, that nobody outside needs to know.
    fn is_private(&self) -> bool {
        self.domain.verification == Verification::Assumed
    }

    fn bounce_domain(&self) -> Option<Domain> {
        Domain::parse(&self.domain.bounce_domain).ok()
    }

    fn is_direct(&self) -> bool {
        self.ways.iter().any(Way::is_direct)
    }
}

/// The keys of a domain that DNS must show: those that sign, will sign, or have signed what is
/// still under way.
pub fn published_keys(settings: &Settings, key: &ProofKey) -> Vec<Key> {
    let keys = settings.dkim.get(&key.organisation, &key.domain);
    let keys = keys.into_iter().flat_map(|keys| &keys.keys);
    keys.filter(|key| key.must_be_published())
        .cloned()
        .collect()
}

/// How a check turned out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// As it should be.
    Good,
    /// Nothing there.
    Absent,
    /// There, and wrong.
    Wrong,
    /// DNS did not say.
    Unknown,
}

impl Outcome {
    /// The word, for JSON and people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Absent => "absent",
            Self::Wrong => "wrong",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// `spf`, `dkim`, `dmarc` …
    pub name: &'static str,
    /// Mail suffers without it; else it is advice.
    pub needed: bool,
    /// How it turned out.
    pub outcome: Outcome,
    /// What was seen, and what to do.
    pub words: Words,
}

impl Check {
    /// Nothing to do, or nothing that must be done.
    pub fn is_ok(&self) -> bool {
        self.outcome == Outcome::Good || !self.needed
    }

    /// A private name need not be published; what is published must be right all the same.
    fn for_private(mut self) -> Self {
        self.needed &= self.outcome == Outcome::Wrong;
        self
    }
}

/// A file that must be served beside the records. RFC 8461 §3.2.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyFile {
    /// Where.
    pub address: String,
    /// What it says.
    pub text: String,
}

/// Everything about one domain.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Assessment {
    /// What to publish, complete.
    pub records: Vec<ProposedRecord>,
    /// What to publish that no record can be proposed for, as something is not known.
    pub notes: Vec<Words>,
    /// How that compares; without the proof.
    pub checks: Vec<Check>,
    /// What receivers will see.
    pub predictions: Vec<Prediction>,
    /// The file of MTA-STS, where we are the MX.
    pub policy_file: Option<PolicyFile>,
}

/// Compares what a domain should publish with what DNS shows.
///
/// # Errors
/// What must be asked first; ask, add the answers, and try again. Ends after as many rounds as SPF
/// records have look-ups.
pub fn assess(subject: &Subject<'_>, facts: &Facts) -> Result<Assessment, Vec<Question>> {
    let mut known = Known::new(Some(facts));
    let found = look(subject, &mut known);
    let open = known.into_open();
    if open.is_empty() {
        Ok(found)
    } else {
        Err(open)
    }
}

/// What a domain should publish as far as that can be said without asking DNS: a record that exists
/// is not merged.
pub fn propose(subject: &Subject<'_>) -> Assessment {
    look(subject, &mut Known::new(None))
}

fn look(subject: &Subject<'_>, known: &mut Known<'_>) -> Assessment {
    let mut found = Assessment::default();
    found.records.extend(subject.token.map(|token| {
        let text = token.record();
        let state = known.text_state(subject.name.as_str(), |known| token.is_shown_by(known));
        ProposedRecord {
            purpose: "verification",
            needed: !subject.is_private(),
            name: subject.name.to_string(),
            kind: RecordKind::Text(text),
            words: Words::new(
                "Proves that the domain is yours; must stay, as it is looked at every day.",
                "Prouve que le domaine est à vous\u{202f}; à laisser en place, car il est vérifié chaque jour.",
            ),
            state,
        }
    }));
    sending::look(subject, known, &mut found);
    signing::look(subject, known, &mut found);
    receiving::look(subject, known, &mut found);
    address::look(subject, known, &mut found);
    alignment::look(subject, known, &mut found);
    if subject.is_private() {
        found.checks = found.checks.into_iter().map(Check::for_private).collect();
        found.records.iter_mut().for_each(|it| it.needed = false);
    }
    found
}
