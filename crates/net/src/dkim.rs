//! Keys of DKIM: made, kept as PKCS #8, and signed with. RFC 6376 §3.3, RFC 8463, RFC 8301.
//!
//! Not here: what is signed (`relais_smtp::dkim`), where keys are kept, and when one is used
//! (`relais_policy::dkim`).

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use relais_smtp::dkim::{Algorithm, BodyHash, Terms, Unsigned, unsigned};
use relais_smtp::secret::Secret;

/// Bits of an RSA key: RFC 8301 §3.2 wants 1,024 at least and advises this; a longer one does not
/// fit into one DNS packet everywhere.
const RSA_SIZE: KeySize = KeySize::Rsa2048;

/// The key is none, or the provider of cryptography failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SigningKeyError {
    /// What was kept is no such key.
    #[error("what is kept is no {} key", .0.key_type())]
    NoKey(Algorithm),
    /// Making a key, or a signature, failed.
    #[error("making a signature or key failed")]
    Failed,
}

/// A private key. Cannot be printed.
pub struct SigningKey(Kind);

enum Kind {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A new one. An RSA key takes some 60 ms, so not within a task that others wait for.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        let kind = match algorithm {
            Algorithm::RsaSha256 => RsaKeyPair::generate(RSA_SIZE).map(Kind::Rsa),
            Algorithm::Ed25519Sha256 => Ed25519KeyPair::generate().map(Kind::Ed25519),
        };
        kind.map(Self).map_err(|_| SigningKeyError::Failed)
    }

    /// From where it was kept.
    pub fn from_secret(algorithm: Algorithm, kept: &Secret) -> Result<Self, SigningKeyError> {
        let kind = match algorithm {
            Algorithm::RsaSha256 => RsaKeyPair::from_pkcs8(kept.expose()).map(Kind::Rsa),
            Algorithm::Ed25519Sha256 => {
                Ed25519KeyPair::from_pkcs8(kept.expose()).map(Kind::Ed25519)
            }
        };
        kind.map(Self)
            .map_err(|_| SigningKeyError::NoKey(algorithm))
    }

    /// To be kept: PKCS #8.
    pub fn to_secret(&self) -> Result<Secret, SigningKeyError> {
        match &self.0 {
            Kind::Rsa(pair) => {
                let der: Result<Pkcs8V1Der<'_>, _> = pair.as_der();
                der.map(|der| Secret::from(der.as_ref()))
            }
            Kind::Ed25519(pair) => pair.to_pkcs8().map(|der| Secret::from(der.as_ref())),
        }
        .map_err(|_| SigningKeyError::Failed)
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Kind::Rsa(_) => Algorithm::RsaSha256,
            Kind::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// The public half as it stands in `p=`: SubjectPublicKeyInfo for RSA (RFC 6376 §3.6.1 says
    /// RSAPublicKey, and everybody reads and writes this, erratum 3017), the bare key for Ed25519
    /// (RFC 8463 §4.2).
    pub fn public(&self) -> Result<String, SigningKeyError> {
        match &self.0 {
            Kind::Rsa(pair) => {
                let der: Result<PublicKeyX509Der<'_>, _> = pair.public_key().as_der();
                let der = der.map_err(|_| SigningKeyError::Failed)?;
                Ok(STANDARD.encode(der.as_ref()))
            }
            Kind::Ed25519(pair) => Ok(STANDARD.encode(pair.public_key().as_ref())),
        }
    }

    /// The field `DKIM-Signature` over a header section and a body, with its line end.
    pub fn sign(
        &self,
        section: &[u8],
        body: &BodyHash,
        terms: &Terms<'_>,
    ) -> Result<String, SigningKeyError> {
        let terms = Terms {
            algorithm: self.algorithm(),
            ..*terms
        };
        self.complete(unsigned(section, body, &terms))
    }

    /// A field with its signature and its line end.
    pub fn complete(&self, unsigned: Unsigned) -> Result<String, SigningKeyError> {
        let signature = match &self.0 {
            Kind::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, unsigned.input(), &mut signature)
                    .map_err(|_| SigningKeyError::Failed)?;
                signature
            }
            // The hash is what is signed. RFC 8463 §3.
            Kind::Ed25519(pair) => {
                let hash = Sha256::digest(unsigned.input());
                pair.sign(&hash).as_ref().to_vec()
            }
        };
        Ok(unsigned.complete(&signature))
    }
}

#[cfg(test)]
mod tests;
