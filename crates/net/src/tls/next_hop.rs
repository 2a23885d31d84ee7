//! The client's side: the handshake with a next hop, and the judgement of its certificate.
//!
//! Two manners. Where the certificate must be good for nothing, any is taken and the server's
//! signature with it is believed unread: X.509 version 1 and 1,024-bit keys exist in the field, and
//! the alternative would be clear text. Where it must be good for something, the handshake proves
//! that the server holds the key, and the chain is judged behind it: against the authorities that
//! we know, the time, and the name. Each manner resumes only its own sessions, and a resumed one is
//! judged anew.
//!
//! Not here: what is demanded (`relais_policy::encryption`); STARTTLS (`relais_smtp::client`); time
//! (the caller).

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError as ChainError, DigitallySignedStruct, ProtocolVersion, RootCertStore,
    SignatureScheme,
};
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, X509Certificate};

use relais_policy::encryption::{Demand, TlsFault, Verified};
use relais_policy::tls::TlsVersion;
use relais_smtp::address::Host;
use relais_smtp::time::Timestamp;

use super::accept::{alert_words, registered_name};
use super::server_certificate::CertificateError;
use super::x509::dns_names;
use super::{EXPORTER_OCTETS, client_certificate, provider};
use crate::stream::Stream;

/// How we do TLS with next hops. Cheap to clone; clones share resumed sessions.
#[derive(Clone)]
pub struct ClientTls {
    /// Takes every certificate, and every signature with it.
    lenient: Arc<ClientConfig>,
    /// Takes every certificate whose key the server proves to hold: to be judged.
    strict: Arc<ClientConfig>,
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
            lenient: Arc::new(config(Manner::Lenient(algorithms))),
            strict: Arc::new(config(Manner::Strict(algorithms))),
            roots: Arc::new(roots),
            algorithms,
        })
    }

    /// Believes nobody: demands for a certificate are never met.
    pub fn without_roots() -> Self {
        Self::new(RootCertStore::empty(), []).expect("there is nothing that could not be read")
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
        let config = if demand.judges_certificate() {
            &self.strict
        } else {
            &self.lenient
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let connecting = connector.connect(server_name(host), stream);
        let stream = connecting
            .await
            .map_err(|error| TlsFault::Handshake(words(&error)))?;
        let (_, connection) = stream.get_ref();
        let chain = connection.peer_certificates().unwrap_or_default();
        let verified = self.judge(chain, demand, now)?;
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
            exporter,
        };
        Ok((Stream::tls(stream.into()), hop))
    }

    /// Whether a chain meets the demand.
    fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        demand: &Demand,
        now: Timestamp,
    ) -> Result<Verified, TlsFault> {
        match demand {
            Demand::Clear | Demand::Opportunistic | Demand::Encryption => Ok(Verified::No),
            Demand::Chain => self.judge_chain(chain, now).map(|()| Verified::Chain),
            Demand::Name(wanted) => {
                self.judge_chain(chain, now)?;
                let names = names(chain);
                if wanted.is_borne_by(names.iter().map(|name| &**name)) {
                    Ok(Verified::Name)
                } else {
                    Err(TlsFault::WrongName { names })
                }
            }
        }
    }

    /// RFC 5280 §6, without revocation lists: hardly any authority of mail servers' certificates
    /// still publishes what could be asked in time.
    fn judge_chain(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<(), TlsFault> {
        let Some((own, intermediates)) = chain.split_first() else {
            return Err(TlsFault::Untrusted);
        };
        let own = ParsedCertificate::try_from(own).map_err(|error| fault_of(&error))?;
        let since_epoch = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or_default());
        let now = UnixTime::since_unix_epoch(since_epoch);
        let all = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&own, &self.roots, intermediates, now, all)
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

fn config(manner: Manner) -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has cipher suites for both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(manner))
        .with_no_client_auth()
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

/// See the head of this file.
#[derive(Debug)]
enum Manner {
    Lenient(WebPkiSupportedAlgorithms),
    Strict(WebPkiSupportedAlgorithms),
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
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let (Self::Lenient(algorithms) | Self::Strict(algorithms)) = self;
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
