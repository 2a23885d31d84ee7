//! Who is at the other end: the facts about the peer, what TLS says of it, its summary for the
//! trace, and the client that `relais_policy::attribution` finds in it.
//!
//! Not here: what follows from the facts (`relais_policy`).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use relais_net::oidc::Issuers;
use relais_net::tls::{EXPORTER_OCTETS, JudgedCertificate, TlsSession};
use relais_policy::attribution::{Attribution, Because, Facts, attribute};
use relais_policy::document::InboundTls;
use relais_policy::limit::{Sending, connections};
use relais_policy::login::{LoginPlace, login_place};
use relais_policy::settings::Settings;
use relais_policy::tls::TlsVersion;
use relais_smtp::content::Preset;
use relais_smtp::domain::DOMAIN_OCTETS_MAX;
use relais_smtp::sasl::scram::ChannelBinding;
use relais_smtp::server::AuthOffer;
use relais_smtp::time::Timestamp;
use relais_store::trace::{ClientSummary, TlsSummary};

use crate::limits::{Group, GroupBound, Standing};

/// The peer of one session.
pub(crate) struct Identity {
    facts: Facts,
    client: Arc<ClientSummary>,
    tls: Option<Box<Tls>>,
}

/// What TLS says.
struct Tls {
    summary: Arc<TlsSummary>,
    /// For Received.
    words: String,
    /// The end of the certificate's time.
    not_after: Option<Timestamp>,
    /// For SCRAM to bind to.
    exporter: Option<[u8; EXPORTER_OCTETS]>,
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
        Self {
            facts,
            client,
            tls: None,
        }
    }

    /// The session is encrypted. Nothing that was said before counts. RFC 3207 §4.2.
    pub(crate) fn secured(&mut self, session: &TlsSession, judged: Option<JudgedCertificate>) {
        let (certificate, not_after) = match judged {
            Some(judged) => (Some(judged.certificate), judged.not_after),
            None => (None, None),
        };
        let is_verified = certificate
            .as_ref()
            .is_some_and(|one| one.fault().is_none());
        let (version, cipher) = (session.version, session.cipher);
        self.tls = Some(Box::new(Tls {
            summary: Arc::new(TlsSummary {
                version: version.name().into(),
                cipher: cipher.into(),
                verified: if is_verified { "certificate" } else { "no" }.into(),
            }),
            words: format!("TLS{version} {cipher}"),
            not_after,
            exporter: session.exporter,
        }));
        self.facts.tls = Some(version);
        self.facts.certificate = certificate;
        self.facts.credential = None;
        self.greeted_as(None);
    }

    /// For events.
    pub(crate) fn tls(&self) -> Option<&Arc<TlsSummary>> {
        self.tls.as_ref().map(|tls| &tls.summary)
    }

    /// `TLS1.3 TLS_AES_256_GCM_SHA384`, for Received.
    pub(crate) fn tls_words(&self) -> Option<&str> {
        self.tls.as_ref().map(|tls| &*tls.words)
    }

    /// The end of its certificate's time.
    pub(crate) fn certificate_ends(&self) -> Option<Timestamp> {
        self.tls.as_ref()?.not_after
    }

    /// What SCRAM binds to.
    pub(crate) fn channel(&self) -> ChannelBinding {
        ChannelBinding {
            tls_exporter: self.tls.as_ref().and_then(|tls| tls.exporter),
        }
    }

    /// The name by which it was found is told before the others of its certificate.
    pub(crate) fn found_by(&mut self, name: &str) {
        if self.client.certificate.as_deref() != Some(name) {
            self.client = Arc::new(ClientSummary {
                certificate: Some(name.into()),
                ..(*self.client).clone()
            });
        }
    }

    /// The client greeted with this name.
    pub(crate) fn greeted(&mut self, name: &str) {
        self.greeted_as(Some(name));
    }

    /// Its name is this now; `None`: it has not greeted.
    pub(crate) fn greeted_as(&mut self, name: Option<&str>) {
        let cut = |name: &str| name[..name.floor_char_boundary(DOMAIN_OCTETS_MAX)].to_owned();
        self.facts.helo = name.map(cut);
        let certificate = self.client.certificate.clone();
        let mut summary = summary(&self.facts);
        // It may be known by its SHA-256, though its names prove nothing.
        if self.facts.certificate.is_some() && certificate.is_some() {
            summary.certificate = certificate;
        }
        self.client = Arc::new(summary);
    }

    /// What it says came protected, though not by TLS of this session.
    pub(crate) fn protected(&mut self, version: TlsVersion) {
        self.facts.tls = Some(version);
    }

    /// The client authenticated as this user.
    pub(crate) fn authenticated(&mut self, user: String) {
        self.client = Arc::new(ClientSummary {
            credential: Some(user.as_str().into()),
            ..(*self.client).clone()
        });
        self.facts.credential = Some(user);
    }

    /// For the event of a failed login: with the user that was tried, at most as long as a name.
    pub(crate) fn having_tried(&self, user: &str) -> Arc<ClientSummary> {
        let user = &user[..user.floor_char_boundary(DOMAIN_OCTETS_MAX)];
        Arc::new(ClientSummary {
            credential: (!user.is_empty()).then(|| user.into()),
            ..(*self.client).clone()
        })
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
    /// Its connector does without TLS, so that STARTTLS is not offered.
    pub(crate) without_tls: bool,
    /// The name of its certificate by which it was found.
    pub(crate) certificate_name: Option<Box<str>>,
}

impl Client {
    pub(crate) fn find(settings: Arc<Settings>, identity: &Identity) -> Self {
        let attribution = attribute(&settings, &identity.facts);
        let found = attribution.connector();
        let certificate_name = match &attribution {
            Attribution::Connector {
                because: Because::Certificate { name },
                ..
            } => Some(name.clone()),
            _ => None,
        };
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
            without_tls: found.is_some_and(|found| found.connector.tls == InboundTls::Off),
            certificate_name,
            settings,
        }
    }

    /// Whether it may authenticate, and how.
    pub(crate) fn auth_offer(&self, identity: &Identity, issuers: &Issuers) -> AuthOffer {
        let place = login_place(&self.settings, &self.attribution(identity), &identity.facts);
        match place {
            LoginPlace::Nowhere => AuthOffer::None,
            LoginPlace::AfterTls => AuthOffer::AfterTls,
            LoginPlace::Here => AuthOffer::Now {
                channel_binding: identity.channel().tls_exporter.is_some(),
                bearer: !issuers.is_empty(),
            },
        }
    }

    /// Which connector, and by which factor. Looked up where it is needed: some table look-ups.
    pub(crate) fn attribution(&self, identity: &Identity) -> Attribution<'_> {
        attribute(&self.settings, &identity.facts)
    }

    /// `limits.connections` of its connector and its organisation, of the device or credential;
    /// none for strangers.
    pub(crate) fn connection_bounds(&self, identity: &Identity) -> Vec<GroupBound> {
        let (Some(organisation), Some(connector)) = (&self.organisation, &self.connector) else {
            return Vec::new();
        };
        let sending = Sending {
            organisation,
            connector,
            address: identity.address(),
            credential: identity.facts.credential.as_deref(),
            sender: None,
        };
        let bound = |(whose, max)| GroupBound {
            group: Group {
                organisation: Arc::clone(organisation),
                whose,
            },
            max,
        };
        let all = connections(&self.settings, &sending).into_iter();
        all.map(bound).collect()
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
