//! Client certificates: asked for, never demanded, and judged after the handshake.
//!
//! The handshake proves only that the client holds the key of the certificate that it shows. The
//! judgement then asks for a chain to an authority that we know, for the right usage, and for the
//! time; and reads the names: the DNS names of the extension (RFC 9525 §6.3), the subject's common
//! name only where there is no extension and the listener says so.
//!
//! Not here: which connector a name leads to (`relais_policy::attribution`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError as ChainError, DigitallySignedStruct, DistinguishedName, RootCertStore,
    SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use relais_policy::tls::{Certificate, CertificateFault};
use relais_smtp::time::Timestamp;

use super::server_certificate::CertificateError;
use super::x509::{dns_names, fingerprint, is_host, not_after, not_before};
use super::{ClientChain, provider};

/// Lets every client through that holds the key of its certificate, or has none.
#[derive(Debug)]
pub(super) struct AskAndNotJudge(WebPkiSupportedAlgorithms);

impl AskAndNotJudge {
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ClientCertVerifier for AskAndNotJudge {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: a client with several certificates chooses by itself, and none holds its own back.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Whom a listener believes about clients; by default nobody. Cheap to clone; clones share it.
#[derive(Clone, Default)]
pub struct ClientAuthorities(Arc<ArcSwap<Known>>);

#[derive(Clone, Default)]
struct Known {
    /// `None`: there is no authority at all, so that nobody is believed.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    common_name: bool,
}

/// What a certificate is worth.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JudgedCertificate {
    /// For decisions.
    pub certificate: Certificate,
    /// The end of its time; `None` where it cannot be read.
    pub not_after: Option<Timestamp>,
}

/// The authorities that this machine's system trusts, and what could not be read of them.
pub fn system_roots() -> (RootCertStore, Vec<String>) {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some systems carry certificates that no library reads; the others count.
    let _ = roots.add_parsable_certificates(found.certs);
    let errors = found.errors.iter().map(ToString::to_string).collect();
    (roots, errors)
}

/// Adds the authorities of these PEM texts; each must hold one at least.
pub(super) fn add_roots<'a>(
    roots: &mut RootCertStore,
    further: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), CertificateError> {
    for pem in further {
        let before = roots.len();
        for one in CertificateDer::pem_slice_iter(pem) {
            let unreadable =
                |error: &dyn fmt::Display| CertificateError::Unreadable(error.to_string());
            let one = one.map_err(|error| unreadable(&error))?;
            roots.add(one).map_err(|error| unreadable(&error))?;
        }
        if roots.len() == before {
            return Err(CertificateError::NoCertificate);
        }
    }
    Ok(())
}

impl ClientAuthorities {
    /// These roots and the further ones in PEM. With `common_name`, the subject's common name
    /// counts where a certificate has no alternative names.
    pub fn new<'a>(
        mut roots: RootCertStore,
        further: impl IntoIterator<Item = &'a [u8]>,
        common_name: bool,
    ) -> Result<Self, CertificateError> {
        add_roots(&mut roots, further)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .ok();
        let known = Known {
            verifier,
            common_name,
        };
        Ok(Self(Arc::new(ArcSwap::from_pointee(known))))
    }

    /// From now on, it and its clones believe whom the other believes.
    pub fn become_like(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    /// What a chain is worth at this time.
    pub fn judge(&self, chain: &ClientChain, now: Timestamp) -> JudgedCertificate {
        let Some((own, intermediates)) = chain.0.split_first() else {
            return JudgedCertificate {
                certificate: Certificate::faulty(CertificateFault::NoName),
                not_after: None,
            };
        };
        let parsed = X509Certificate::from_der(own)
            .ok()
            .map(|(_, parsed)| parsed);
        let known = self.0.load();
        let certificate = match &parsed {
            None => Certificate::faulty(CertificateFault::Untrusted),
            Some(parsed) => match known.fault(own, parsed, intermediates, now) {
                Some(fault) => Certificate::faulty(fault),
                None => {
                    let names = known.names(parsed);
                    Certificate::verified(names.iter().map(|name| &**name))
                }
            },
        };
        JudgedCertificate {
            certificate: certificate.with_fingerprint(&fingerprint(own)),
            not_after: parsed.as_ref().map(not_after),
        }
    }
}

impl Known {
    fn fault(
        &self,
        own: &CertificateDer<'_>,
        parsed: &X509Certificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Option<CertificateFault> {
        // Time first: whoever names this very certificate asks for nothing else.
        if now > not_after(parsed) {
            return Some(CertificateFault::Expired);
        }
        if now < not_before(parsed) {
            return Some(CertificateFault::NotYetValid);
        }
        // An authority that names itself as a client would be whoever it likes.
        if parsed.is_ca() {
            return Some(CertificateFault::WrongUsage);
        }
        let Some(verifier) = &self.verifier else {
            return Some(CertificateFault::Untrusted);
        };
        let since_epoch = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or_default());
        let now = UnixTime::since_unix_epoch(since_epoch);
        match verifier.verify_client_cert(own, intermediates, now) {
            Ok(_) => None,
            Err(rustls::Error::InvalidCertificate(error)) => Some(fault_of(&error)),
            Err(_) => Some(CertificateFault::Untrusted),
        }
    }

    fn names(&self, parsed: &X509Certificate<'_>) -> Vec<Box<str>> {
        let has_alternative = parsed.extensions().iter().any(|extension| {
            extension.oid == x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME
        });
        if has_alternative || !self.common_name {
            return dns_names(parsed);
        }
        let mut names = parsed.subject().iter_common_name();
        match (names.next(), names.next()) {
            // Of two common names nobody can say which is meant.
            (Some(only), None) => only.as_str().ok().filter(|name| is_host(name)).into_iter(),
            _ => None.into_iter(),
        }
        .map(Into::into)
        .collect()
    }
}

impl fmt::Debug for ClientAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuthorities")
            .field("common_name", &self.0.load().common_name)
            .finish_non_exhaustive()
    }
}

fn fault_of(error: &ChainError) -> CertificateFault {
    match error {
        ChainError::Expired | ChainError::ExpiredContext { .. } => CertificateFault::Expired,
        ChainError::NotValidYet | ChainError::NotValidYetContext { .. } => {
            CertificateFault::NotYetValid
        }
        ChainError::InvalidPurpose | ChainError::InvalidPurposeContext { .. } => {
            CertificateFault::WrongUsage
        }
        // Unknown issuers, wrong signatures, and whatever else makes a chain no chain.
        _ => CertificateFault::Untrusted,
    }
}
