//! The client's side: the handshake with a next hop, and the judgement of its certificate.
//!
//! Three manners. Where the certificate must be good for nothing, any is taken and the server's
//! signature with it is believed unread: X.509 version 1 and 1,024-bit keys exist in the field, and
//! the alternative would be clear text. Where it must be good for something, the handshake proves
//! that the server holds the key, and the chain is judged behind it: against the authorities that
//! we know, the time, and the name. DANE has a third: the handshake proves the key alone, whatever
//! the form of its certificate, and the TLSA records are compared behind it (RFC 7672 §3.1). Each
//! manner resumes only its own sessions, and a resumed one is judged anew.
//!
//! Not here: what is demanded (`relais_policy::encryption`); STARTTLS (`relais_smtp::client`); time
//! (the caller).

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ResolvesClientCert, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError as ChainError, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest, Sha256, Sha512};
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use relais_policy::dane::{DaneRequirement, Matching, Selector, UsableTlsa, Usage};
use relais_policy::encryption::{CertificateName, Demand, TlsFault, Verified};
use relais_policy::tls::TlsVersion;
use relais_smtp::address::Host;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

use super::accept::{alert_words, registered_name};
use super::server_certificate::{CertificateError, ServerCertificate};
use super::x509::{bears_ip, dns_names};
use super::{EXPORTER_OCTETS, client_certificate, provider};
use crate::stream::Stream;

/// How we do TLS with next hops. Cheap to clone; clones share resumed sessions.
#[derive(Clone)]
pub struct ClientTls {
    /// Takes every certificate, and every signature with it.
    lenient: Arc<ClientConfig>,
    /// Takes every certificate whose key the server proves to hold: to be judged.
    strict: Arc<ClientConfig>,
    /// The same for keys in certificates of any form.
    by_key: Arc<ClientConfig>,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// What a finished handshake says of a next hop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HopTls {
    /// The version.
    pub version: TlsVersion,
    /// The cipher suite by its registered name.
    pub cipher: &'static str,
    /// How far the peer was verified.
    pub verified: Verified,
    /// Why the peer would not meet a demand that is only tested.
    pub failed_test: Option<TlsFault>,
    /// For authentication to bind to; with TLS 1.3 only. RFC 9266.
    pub exporter: Option<[u8; EXPORTER_OCTETS]>,
}

impl ClientTls {
    /// Believes these authorities, and the further ones in PEM, about next hops.
    pub fn new<'a>(
        mut roots: RootCertStore,
        further: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, CertificateError> {
        client_certificate::add_roots(&mut roots, further)?;
        let algorithms = provider().signature_verification_algorithms;
        Ok(Self {
            lenient: Arc::new(config(Manner::Lenient(algorithms), None)),
            strict: Arc::new(config(Manner::Strict(algorithms), None)),
            by_key: Arc::new(config(Manner::Key(algorithms), None)),
            roots: Arc::new(roots),
            algorithms,
        })
    }

    /// Whom it believes.
    pub fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }

    /// Believes nobody: demands for a certificate are never met.
    pub fn without_roots() -> Self {
        Self::new(RootCertStore::empty(), []).expect("there is nothing that could not be read")
    }

    /// The same, and shows this certificate to servers that ask for one. Shares no resumed session
    /// with the others.
    #[must_use]
    pub fn with_identity(&self, identity: &ClientIdentity) -> Self {
        let algorithms = self.algorithms;
        Self {
            lenient: Arc::new(config(Manner::Lenient(algorithms), Some(identity))),
            strict: Arc::new(config(Manner::Strict(algorithms), Some(identity))),
            by_key: Arc::new(config(Manner::Key(algorithms), Some(identity))),
            roots: Arc::clone(&self.roots),
            algorithms,
        }
    }

    /// Does the handshake on a connection that is ready for it; `host` is sent as the server's name
    /// (RFC 6066 §3). Whoever calls keeps the time.
    pub async fn connect(
        &self,
        stream: Stream,
        host: &Host,
        demand: &Demand,
        now: Timestamp,
    ) -> Result<(Stream, HopTls), TlsFault> {
        self.connect_and_test(stream, host, (demand, None), now)
            .await
    }

    /// The same, and tells whether it would meet another demand too, which nothing depends on.
    pub async fn connect_and_test(
        &self,
        stream: Stream,
        host: &Host,
        (demand, tested): (&Demand, Option<&Demand>),
        now: Timestamp,
    ) -> Result<(Stream, HopTls), TlsFault> {
        let config = match demand {
            Demand::Dane(_) => &self.by_key,
            _ if demand.judges_certificate() => &self.strict,
            _ => &self.lenient,
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let connecting = connector.connect(server_name(host), stream);
        let stream = connecting
            .await
            .map_err(|error| TlsFault::Handshake(words(&error)))?;
        let (_, connection) = stream.get_ref();
        let chain = connection.peer_certificates().unwrap_or_default();
        let verified = self.judge(chain, (demand, host), now)?;
        let failed_test = tested.and_then(|tested| self.judge(chain, (tested, host), now).err());
        let is_newest = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let exporter = is_newest
            .then(|| {
                let octets = [0; EXPORTER_OCTETS];
                connection.export_keying_material(octets, b"EXPORTER-Channel-Binding", None)
            })
            .and_then(Result::ok);
        let hop = HopTls {
            version: if is_newest {
                TlsVersion::V1_3
            } else {
                TlsVersion::V1_2
            },
            cipher: connection
                .negotiated_cipher_suite()
                .map_or("unknown", |suite| registered_name(suite.suite())),
            verified,
            failed_test,
            exporter,
        };
        Ok((Stream::tls(stream.into()), hop))
    }

    /// Whether a chain meets the demand.
    fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        (demand, host): (&Demand, &Host),
        now: Timestamp,
    ) -> Result<Verified, TlsFault> {
        match demand {
            Demand::Clear | Demand::Opportunistic | Demand::Encryption => Ok(Verified::No),
            Demand::Chain => {
                self.judge_chain(&self.roots, chain, now)?;
                Ok(Verified::Chain)
            }
            Demand::Host => {
                self.judge_chain(&self.roots, chain, now)?;
                match host {
                    Host::Domain(name) => bears_any(chain, [name])?,
                    Host::Literal(address) => bears_address(chain, *address)?,
                }
                Ok(Verified::Name)
            }
            Demand::Name(wanted) => {
                self.judge_chain(&self.roots, chain, now)?;
                bears(chain, |names| {
                    wanted.is_borne_by(names.iter().map(|name| &**name))
                })?;
                Ok(Verified::Name)
            }
            Demand::Sts(host) => {
                self.judge_chain(&self.roots, chain, now)?;
                bears_any(chain, [host])?;
                Ok(Verified::Sts)
            }
            Demand::Dane(required) if required.records.is_empty() => Ok(Verified::No),
            Demand::Dane(required) => self.judge_tlsa(required, chain, now),
        }
    }

    /// Any record that is met will do. RFC 7672 §3.1; RFC 7671 §5.1, §5.2.
    fn judge_tlsa(
        &self,
        required: &DaneRequirement,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<Verified, TlsFault> {
        let Some((own, _)) = chain.split_first() else {
            return Err(TlsFault::NotInTlsa);
        };
        let of = |usage: Usage| {
            required
                .records
                .iter()
                .filter(move |one| one.usage == usage)
        };
        if of(Usage::EndEntity).any(|record| matches(record, own)) {
            return Ok(Verified::Dane);
        }
        let mut fault = TlsFault::NotInTlsa;
        for record in of(Usage::TrustAnchor) {
            for anchor in anchors(record, chain) {
                let mut roots = RootCertStore::empty();
                if roots.add(anchor.into_owned()).is_err() {
                    continue;
                }
                let names = std::iter::once(&required.base).chain(&required.names);
                let judged = self.judge_chain(&roots, chain, now);
                match judged.and_then(|()| bears_any(chain, names)) {
                    Ok(()) => return Ok(Verified::Dane),
                    // Nearer than that no record speaks of any certificate.
                    Err(why) => fault = why,
                }
            }
        }
        Err(fault)
    }

    /// RFC 5280 §6, without revocation lists: hardly any authority of mail servers' certificates
    /// still publishes what could be asked in time.
    fn judge_chain(
        &self,
        roots: &RootCertStore,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<(), TlsFault> {
        let Some((own, intermediates)) = chain.split_first() else {
            return Err(TlsFault::Untrusted);
        };
        let own = ParsedCertificate::try_from(own).map_err(|error| fault_of(&error))?;
        let since_epoch = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or_default());
        let now = UnixTime::since_unix_epoch(since_epoch);
        let all = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&own, roots, intermediates, now, all)
            .map_err(|error| fault_of(&error))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("roots", &self.roots.len())
            .finish_non_exhaustive()
    }
}

fn config(manner: Manner, identity: Option<&ClientIdentity>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has cipher suites for both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(manner));
    match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(Shown(identity.0.certified())))
        }
    }
}

/// A certificate and its key, for servers that ask who we are.
#[derive(Clone, Debug)]
pub struct ClientIdentity(ServerCertificate);

impl ClientIdentity {
    /// Reads a chain, our own certificate first, and its key, both in PEM. They may be in one text.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        ServerCertificate::from_pem(chain, key).map(Self)
    }

    /// The end of its time.
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after()
    }

    /// The DNS names that it bears.
    pub fn names(&self) -> &[Box<str>] {
        self.0.names()
    }
}

/// Shows one certificate to whoever asks.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// An address is no name to send: RFC 6066 §3 forbids it, and the library leaves it out.
fn server_name(host: &Host) -> ServerName<'static> {
    let unspecified = || ServerName::IpAddress(IpAddr::from([0, 0, 0, 0]).into());
    match host {
        Host::Literal(address) => ServerName::IpAddress((*address).into()),
        // Names with underscores, for one, are hosts in the field and no server names.
        Host::Domain(domain) => {
            ServerName::try_from(domain.as_str().to_owned()).unwrap_or_else(|_| unspecified())
        }
    }
}

/// Names that the server's own certificate bears.
fn names(chain: &[CertificateDer<'_>]) -> Vec<Box<str>> {
    let parsed = chain
        .first()
        .and_then(|own| X509Certificate::from_der(own).ok());
    parsed.map_or_else(Vec::new, |(_, parsed)| dns_names(&parsed))
}

/// Whether the server's own certificate bears a name that will do.
fn bears(
    chain: &[CertificateDer<'_>],
    will_do: impl FnOnce(&[Box<str>]) -> bool,
) -> Result<(), TlsFault> {
    let names = names(chain);
    if will_do(&names) {
        return Ok(());
    }
    Err(TlsFault::WrongName { names })
}

fn bears_any<'a>(
    chain: &[CertificateDer<'_>],
    wanted: impl IntoIterator<Item = &'a Domain>,
) -> Result<(), TlsFault> {
    let mut wanted = wanted.into_iter().cloned().map(CertificateName::Exact);
    bears(chain, |names| {
        wanted.any(|one| one.is_borne_by(names.iter().map(|name| &**name)))
    })
}

/// RFC 9525 §6.5: the address itself; a name that leads there is none.
fn bears_address(chain: &[CertificateDer<'_>], address: IpAddr) -> Result<(), TlsFault> {
    let parsed = chain
        .first()
        .and_then(|own| X509Certificate::from_der(own).ok());
    if parsed.is_some_and(|(_, parsed)| bears_ip(&parsed, address)) {
        return Ok(());
    }
    Err(TlsFault::WrongName {
        names: names(chain),
    })
}

/// The certificates that a record makes trust anchors: those of the chain above the server's own,
/// and one that the record itself holds. RFC 7671 §5.2.1.
fn anchors<'a>(
    record: &'a UsableTlsa,
    chain: &'a [CertificateDer<'a>],
) -> impl Iterator<Item = CertificateDer<'a>> {
    let whole = (record.selector, record.matching) == (Selector::Certificate, Matching::Full);
    let held = whole.then(|| CertificateDer::from(&*record.data));
    let above = chain.iter().skip(1).filter(|one| matches(record, one));
    above.cloned().chain(held)
}

/// Whether a record speaks of this certificate. RFC 6698 §2.1.
fn matches(record: &UsableTlsa, certificate: &CertificateDer<'_>) -> bool {
    let parsed;
    let part: &[u8] = match record.selector {
        Selector::Certificate => certificate,
        Selector::PublicKey => match X509Certificate::from_der(certificate) {
            Ok((_, certificate)) => {
                parsed = certificate;
                parsed.public_key().raw
            }
            Err(_) => return false,
        },
    };
    match record.matching {
        Matching::Full => *part == *record.data,
        Matching::Sha256 => Sha256::digest(part)[..] == *record.data,
        Matching::Sha512 => Sha512::digest(part)[..] == *record.data,
    }
}

/// See the head of this file.
#[derive(Debug)]
enum Manner {
    Lenient(WebPkiSupportedAlgorithms),
    Strict(WebPkiSupportedAlgorithms),
    Key(WebPkiSupportedAlgorithms),
}

/// The key of a certificate that need not be one that the library reads.
fn key_of<'a>(certificate: &'a CertificateDer<'_>) -> Result<SubjectPublicKeyInfo<'a>, Error> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|_| Error::InvalidCertificate(ChainError::BadEncoding))?;
    Ok(parsed.tbs_certificate.subject_pki)
}

/// By whichever algorithm of the scheme fits the key.
fn verify_by_key(
    message: &[u8],
    key: &SubjectPublicKeyInfo<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let of_scheme = algorithms
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signature.scheme);
    let mut candidates = of_scheme
        .iter()
        .flat_map(|(_, candidates)| candidates.iter());
    let bits = &*key.subject_public_key.data;
    if candidates.any(|one| {
        one.verify_signature(bits, message, signature.signature())
            .is_ok()
    }) {
        return Ok(HandshakeSignatureValid::assertion());
    }
    Err(Error::InvalidCertificate(ChainError::BadSignature))
}

impl ServerCertVerifier for Manner {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self {
            Self::Lenient(_) => Ok(HandshakeSignatureValid::assertion()),
            Self::Strict(algorithms) => {
                rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
            }
            Self::Key(algorithms) => {
                verify_by_key(message, &key_of(certificate)?, signature, algorithms)
            }
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self {
            Self::Lenient(_) => Ok(HandshakeSignatureValid::assertion()),
            Self::Strict(algorithms) => {
                rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
            }
            Self::Key(algorithms) => {
                let key = SubjectPublicKeyInfoDer::from(key_of(certificate)?.raw);
                verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let (Self::Lenient(algorithms) | Self::Strict(algorithms) | Self::Key(algorithms)) = self;
        algorithms.supported_schemes()
    }
}

fn fault_of(error: &rustls::Error) -> TlsFault {
    let rustls::Error::InvalidCertificate(error) = error else {
        return TlsFault::Unusable(error.to_string());
    };
    match error {
        ChainError::Expired | ChainError::ExpiredContext { .. } => TlsFault::Expired,
        ChainError::NotValidYet | ChainError::NotValidYetContext { .. } => TlsFault::NotYetValid,
        ChainError::UnknownIssuer | ChainError::BadSignature => TlsFault::Untrusted,
        ChainError::InvalidPurpose | ChainError::InvalidPurposeContext { .. } => {
            TlsFault::Unusable("it is not made for servers".to_owned())
        }
        other => TlsFault::Unusable(other.to_string()),
    }
}

/// In a few words. The library's errors come wrapped in those of the connection.
fn words(error: &io::Error) -> String {
    use rustls::Error;
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::AlertReceived(alert)) => format!("the server said {}", alert_words(*alert)),
        Some(Error::InvalidMessage(_)) => "the server answers with what is no TLS".to_owned(),
        Some(Error::PeerIncompatible(_)) => {
            "the server has no version or cipher suite in common with us".to_owned()
        }
        Some(other) => other.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server left during the handshake".to_owned()
        }
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests;
