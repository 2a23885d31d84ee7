//! Certificates that clients showed lately, whoever issued them and whether they led anywhere: for
//! a person who waits for a device to show its own. In memory, bounded, forgotten at the end.
//!
//! Not here: what a certificate is worth (`client_certificate`), the end of those in use
//! (`expiry`).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::watch;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use relais_policy::tls::CertificateFault;
use relais_smtp::time::Timestamp;

use super::ClientChain;
use super::server_certificate::CertificateError;
use super::x509::{dns_names, fingerprint, not_after, not_before};

/// Certificates that are remembered: a person looks at the last few.
const PRESENTED_MAX: usize = 64;
/// Characters of a subject or an issuer that are told.
const NAME_CHARACTERS_MAX: usize = 200;
/// Issuers of a chain that are told: longer chains serve nobody.
const CHAIN_MAX: usize = 5;
/// Host names that are told.
const NAMES_MAX: usize = 10;

/// What a certificate says of itself. Nothing of it is proved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReadCertificate {
    /// Whose it is: `CN=scanner, O=Contoso`.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Subjects of the certificates behind it.
    pub chain: Vec<String>,
    /// DNS names in it.
    pub names: Vec<Box<str>>,
    /// The beginning of its time.
    pub not_before: Timestamp,
    /// The end of its time.
    pub not_after: Timestamp,
    /// SHA-256 in lower-case hexadecimal digits.
    pub fingerprint: Box<str>,
}

impl ReadCertificate {
    /// Out of PEM, its own certificate first; keys and whatever else is in it do not matter.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let unreadable =
            |error: &dyn std::fmt::Display| CertificateError::Unreadable(error.to_string());
        let chain = CertificateDer::pem_slice_iter(pem)
            .take(CHAIN_MAX + 1)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unreadable(&error))?;
        let own = chain.first().ok_or(CertificateError::NoCertificate)?;
        X509Certificate::from_der(own).map_err(|error| unreadable(&error))?;
        Self::of(&chain).ok_or(CertificateError::NoCertificate)
    }

    /// Of a chain that a client showed; `None`: it cannot be read.
    pub fn of_client(chain: &ClientChain) -> Option<Self> {
        Self::of(&chain.0)
    }

    fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (own, above) = chain.split_first()?;
        let (_, parsed) = X509Certificate::from_der(own).ok()?;
        let subjects = above.iter().take(CHAIN_MAX).filter_map(|one| {
            let (_, parsed) = X509Certificate::from_der(one).ok()?;
            Some(shown(parsed.subject()))
        });
        Some(Self {
            subject: shown(parsed.subject()),
            issuer: shown(parsed.issuer()),
            chain: subjects.collect(),
            names: dns_names(&parsed).into_iter().take(NAMES_MAX).collect(),
            not_before: not_before(&parsed),
            not_after: not_after(&parsed),
            fingerprint: fingerprint(own),
        })
    }
}

fn shown(name: &X509Name<'_>) -> String {
    name.to_string().chars().take(NAME_CHARACTERS_MAX).collect()
}

/// One that was shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PresentedCertificate {
    /// What it says.
    pub certificate: ReadCertificate,
    /// Why its names prove nothing, if so.
    pub fault: Option<CertificateFault>,
    /// Who showed it.
    pub client: IpAddr,
    /// Whose client that is, by whatever it was found.
    pub organisation: Option<Arc<str>>,
    /// By which inbound connector.
    pub connector: Option<Arc<str>>,
    /// When.
    pub time: Timestamp,
}

/// The last of them. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct PresentedCertificates {
    kept: Arc<Mutex<VecDeque<PresentedCertificate>>>,
    changed: watch::Sender<u64>,
}

impl Default for PresentedCertificates {
    fn default() -> Self {
        Self {
            kept: Arc::default(),
            changed: watch::Sender::new(0),
        }
    }
}

impl PresentedCertificates {
    /// It was shown; the same by the same client is told once, with its newest time.
    pub fn saw(&self, one: PresentedCertificate) {
        let mut kept = self.kept();
        let is_same = |known: &PresentedCertificate| {
            known.client == one.client
                && known.certificate.fingerprint == one.certificate.fingerprint
        };
        if let Some(at) = kept.iter().position(is_same) {
            kept.remove(at);
        } else if kept.len() >= PRESENTED_MAX {
            kept.pop_front();
        }
        kept.push_back(one);
        drop(kept);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Those since then, the newest first.
    pub fn since(&self, time: Timestamp) -> Vec<PresentedCertificate> {
        let kept = self.kept();
        let new = kept.iter().rev().filter(|one| one.time >= time);
        new.cloned().collect()
    }

    /// Hears of each.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<PresentedCertificate>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{KeyKind, self_signed};

    fn shown_by(host: u8, fingerprint: usize, time: i64) -> PresentedCertificate {
        PresentedCertificate {
            certificate: ReadCertificate {
                subject: "CN=scanner".into(),
                issuer: "CN=scanner".into(),
                chain: Vec::new(),
                names: Vec::new(),
                not_before: Timestamp::from_millis(0),
                not_after: Timestamp::from_millis(1),
                fingerprint: format!("{fingerprint:04}").into(),
            },
            fault: Some(CertificateFault::Untrusted),
            client: [10, 1, 2, host].into(),
            organisation: None,
            connector: None,
            time: Timestamp::from_millis(time),
        }
    }

    #[test]
    fn the_newest_stands_first_and_the_same_again_once() {
        let presented = PresentedCertificates::default();
        let mut changes = presented.changes();
        for (host, fingerprint, time) in [(1, 1, 10), (2, 2, 20), (1, 1, 30)] {
            presented.saw(shown_by(host, fingerprint, time));
        }
        assert!(changes.has_changed().expect("it lives"));
        changes.mark_unchanged();
        let all = presented.since(Timestamp::from_millis(0));
        let times: Vec<_> = all.iter().map(|one| one.time.as_millis()).collect();
        assert_eq!(times, [30, 20]);
        let new = presented.since(Timestamp::from_millis(21));
        assert_eq!(new.len(), 1, "what was shown before is not new");
        assert!(!changes.has_changed().expect("it lives"));
    }

    #[test]
    fn strangers_who_show_many_push_out_the_oldest_only() {
        let presented = PresentedCertificates::default();
        for fingerprint in 0..2 * PRESENTED_MAX {
            presented.saw(shown_by(1, fingerprint, 1));
        }
        let all = presented.since(Timestamp::from_millis(0));
        assert_eq!(all.len(), PRESENTED_MAX);
        let newest = format!("{:04}", 2 * PRESENTED_MAX - 1);
        assert_eq!(*all[0].certificate.fingerprint, *newest);
    }

    #[test]
    fn a_pasted_certificate_is_read_and_what_is_none_says_so() {
        let now = Timestamp::from_millis(1_795_514_400_000);
        let made = self_signed("scan.contoso.test", KeyKind::EcdsaP256, now);
        let (pem, _) = made.expect("made");
        let read = ReadCertificate::from_pem(pem.as_bytes()).expect("read");
        assert_eq!(read.names, ["scan.contoso.test".into()]);
        assert_eq!(read.subject, read.issuer);
        assert!(read.subject.contains("CN=scan.contoso.test"), "{read:?}");
        assert_eq!(read.fingerprint.len(), 64);
        let none = ReadCertificate::from_pem(b"hello");
        assert_eq!(none, Err(CertificateError::NoCertificate));
        let torn = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let torn = ReadCertificate::from_pem(torn);
        assert!(
            matches!(torn, Err(CertificateError::Unreadable(_))),
            "{torn:?}"
        );
    }
}
