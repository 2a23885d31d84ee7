//! The answers that a server may ask for while an order is under way. Nothing is answered at any
//! other time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use relais_smtp::domain::Domain;

use super::AcmeError;

/// Answers at the same time: an order has one name, and one challenge is answered for it.
const ANSWERS_MAX: usize = 8;

/// Shared between the order and the doors. Cheap to clone; clones share it.
#[derive(Clone, Default)]
pub struct ChallengeAnswers(Arc<Mutex<Answers>>);

#[derive(Default)]
struct Answers {
    http: HashMap<Box<str>, Box<str>>,
    alpn: HashMap<Box<str>, Arc<CertifiedKey>>,
}

/// Takes the answers away when the order is over, however it ends.
pub(super) struct Given<'a>(&'a ChallengeAnswers);

impl ChallengeAnswers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key authorization of a token: the body of
    /// `/.well-known/acme-challenge/{token}`, type `application/octet-stream`.
    pub fn http(&self, token: &str) -> Option<String> {
        self.with(|answers| answers.http.get(token).map(|answer| answer.to_string()))
    }

    pub(super) fn while_ordering(&self) -> Given<'_> {
        Given(self)
    }

    pub(super) fn give_http(&self, token: &str, answer: &str) {
        self.with(|answers| {
            if answers.http.len() < ANSWERS_MAX {
                answers.http.insert(token.into(), answer.into());
            }
        });
    }

    /// A certificate for the name that bears the digest. RFC 8737 §3.
    pub(super) fn give_alpn(&self, name: &Domain, digest: &[u8]) -> Result<(), AcmeError> {
        let fault = |error: &dyn std::fmt::Display| AcmeError::Refused(error.to_string());
        let digest: &[u8; 32] = digest.try_into().map_err(|error| fault(&error))?;
        let key = KeyPair::generate().map_err(|error| fault(&error))?;
        let mut params = CertificateParams::new(vec![name.as_str().to_owned()])
            .map_err(|error| fault(&error))?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&key).map_err(|error| fault(&error))?;
        let chain = vec![CertificateDer::from(certificate)];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let signer = provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| fault(&error))?;
        let certified = Arc::new(CertifiedKey::new(chain, signer));
        self.with(|answers| {
            if answers.alpn.len() < ANSWERS_MAX {
                answers.alpn.insert(name.as_str().into(), certified);
            }
        });
        Ok(())
    }

    pub(super) fn alpn(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        self.with(|answers| answers.alpn.get(name.as_str()).cloned())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Answers) -> T) -> T {
        // Nothing in between can be half done.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        self.0.with(|answers| *answers = Answers::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_answered_after_the_order() {
        let answers = ChallengeAnswers::new();
        let name = Domain::parse("relay.contoso.test").expect("a domain");
        {
            let _given = answers.while_ordering();
            answers.give_http("token", "token.print");
            answers.give_alpn(&name, &[7; 32]).expect("a certificate");
            assert_eq!(answers.http("token").as_deref(), Some("token.print"));
            assert_eq!(answers.http("other"), None);
            assert!(answers.alpn("RELAY.contoso.test").is_some());
            assert!(answers.alpn("other.contoso.test").is_none());
        }
        assert_eq!(answers.http("token"), None);
        assert!(answers.alpn("relay.contoso.test").is_none());
    }

    #[test]
    fn answers_are_bounded() {
        let answers = ChallengeAnswers::new();
        for number in 0..100 {
            answers.give_http(&number.to_string(), "answer");
        }
        assert!(answers.http("0").is_some() && answers.http("99").is_none());
    }
}
