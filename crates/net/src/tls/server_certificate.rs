//! What a server shows: a certificate with its key, made or read, and the store from which every
//! handshake takes the present one. A new certificate takes effect with the next handshake; no
//! session is touched.
//!
//! Certificates of a challenge (RFC 8737, TLS-ALPN-01) join in the store's `resolve`, which sees
//! the protocols that the client names. Not here: files.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use relais_smtp::time::Timestamp;

use super::x509::{dns_names, fingerprint, not_after, not_before};

/// How long a self-signed certificate is valid: two years, less than what clients refuse as too
/// long (825 days in some).
const SELF_SIGNED_VALIDITY: Duration = Duration::from_secs(2 * 365 * 24 * 3_600);
/// It begins a day early, so that a device whose clock is behind can use it.
const SELF_SIGNED_BEFORE: Duration = Duration::from_secs(24 * 3_600);

/// A certificate chain and its private key.
#[derive(Clone)]
pub struct ServerCertificate {
    certified: Arc<CertifiedKey>,
    /// For OpenSSL, which makes its own of it.
    #[cfg(feature = "legacy-tls")]
    key: Arc<PrivateKeyDer<'static>>,
    fingerprint: Box<str>,
    names: Vec<Box<str>>,
    not_before: Timestamp,
    not_after: Timestamp,
    is_self_signed: bool,
}

/// Why a certificate cannot be used; each names the fix.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// No PEM section of a certificate.
    #[error("it holds no certificate: the file must have a section -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// No PEM section of a key.
    #[error(
        "its private key is missing: put it beside the certificate as .key, in the same file, or name it with private_key (a key with a passphrase cannot be read)"
    )]
    NoKey,
    /// A section that cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// They do not belong together.
    #[error("certificate and private key do not belong together")]
    Mismatch,
}

impl ServerCertificate {
    /// Reads a chain, the server's own certificate first, and its key, both in PEM. They may be in
    /// one text.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let unreadable = |error: &dyn fmt::Display| CertificateError::Unreadable(error.to_string());
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unreadable(&error))?;
        let own = chain.first().ok_or(CertificateError::NoCertificate)?;
        let (_, parsed) = X509Certificate::from_der(own).map_err(|error| unreadable(&error))?;
        let (not_before, not_after) = (not_before(&parsed), not_after(&parsed));
        let names = dns_names(&parsed);
        let is_self_signed = parsed.issuer() == parsed.subject();
        let fingerprint = fingerprint(own);
        let key = match PrivateKeyDer::from_pem_slice(key) {
            Ok(key) => key,
            Err(rustls::pki_types::pem::Error::NoItemsFound) => {
                return Err(CertificateError::NoKey);
            }
            Err(error) => return Err(unreadable(&error)),
        };
        #[cfg(feature = "legacy-tls")]
        let kept_key = Arc::new(key.clone_key());
        let signer = super::provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| unreadable(&error))?;
        let certified = CertifiedKey::new(chain, signer);
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => return Err(CertificateError::Mismatch),
            Err(error) => return Err(unreadable(&error)),
        }
        Ok(Self {
            certified: Arc::new(certified),
            #[cfg(feature = "legacy-tls")]
            key: kept_key,
            fingerprint,
            names,
            not_before,
            not_after,
            is_self_signed,
        })
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    #[cfg(feature = "legacy-tls")]
    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    #[cfg(feature = "legacy-tls")]
    pub(super) fn key(&self) -> &PrivateKeyDer<'static> {
        &self.key
    }

    /// SHA-256 of the certificate in lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The DNS names that it bears.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The beginning of its time.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The end of its time.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// No authority vouches for it.
    pub fn is_self_signed(&self) -> bool {
        self.is_self_signed
    }

    /// Certificates of the chain that is shown, its own among them.
    pub fn chain_length(&self) -> usize {
        self.certified.cert.len()
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerCertificate({})", self.fingerprint)
    }
}

/// The key of a certificate that we make.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyKind {
    /// Small and quick; every client of the last fifteen years knows it.
    EcdsaP256,
    /// For old devices, some of which know nothing else.
    Rsa2048,
}

/// Makes a certificate for this name that signs itself: certificate and key in PEM.
pub fn self_signed(
    hostname: &str,
    kind: KeyKind,
    now: Timestamp,
) -> Result<(String, String), CertificateError> {
    let unreadable = |error: rcgen::Error| CertificateError::Unreadable(error.to_string());
    let key = match kind {
        KeyKind::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyKind::Rsa2048 => {
            KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        }
    };
    let key = key.map_err(unreadable)?;
    let mut params = CertificateParams::new(vec![hostname.to_owned()]).map_err(unreadable)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, hostname);
    params.distinguished_name = subject;
    let since_epoch = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or_default());
    let now = rcgen::date_time_ymd(1970, 1, 1) + since_epoch;
    params.not_before = now - SELF_SIGNED_BEFORE;
    params.not_after = now + SELF_SIGNED_VALIDITY;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key).map_err(unreadable)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// The certificate that a listener shows now; empty where none can be loaded. Cheap to clone;
/// clones share it.
#[derive(Clone, Default)]
pub struct CertificateStore(Arc<ArcSwapOption<ServerCertificate>>);

impl CertificateStore {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// From the next handshake on, this one.
    pub fn install(&self, certificate: ServerCertificate) {
        self.0.store(Some(Arc::new(certificate)));
    }

    /// What is shown now.
    pub fn current(&self) -> Option<Arc<ServerCertificate>> {
        self.0.load_full()
    }
}

impl fmt::Debug for CertificateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateStore")
            .field(&self.current())
            .finish()
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
            .map(|certificate| Arc::clone(&certificate.certified))
    }
}
