//! Keys that were kept, and what others signed.

mod vectors;

use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use relais_smtp::dkim::BodyHasher;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

use super::*;

const SECTION: &[u8] = b"From: a@contoso.test\r\nSubject: x\r\n\r\n";

#[test]
fn a_key_that_was_kept_signs_as_the_one_that_was_made() {
    let domain = Domain::parse("contoso.test").expect("a domain");
    let body = BodyHasher::new().finish();
    for algorithm in [Algorithm::RsaSha256, Algorithm::Ed25519Sha256] {
        let made = SigningKey::generate(algorithm).expect("a key");
        let kept = made.to_secret().expect("PKCS #8");
        let again = SigningKey::from_secret(algorithm, &kept).expect("the same key");
        assert_eq!(again.public(), made.public());
        let terms = Terms {
            domain: &domain,
            selector: "s",
            algorithm,
            time: Timestamp::from_millis(0),
        };
        let field = again.sign(SECTION, &body, &terms).expect("a signature");
        let (_, text) = field.split_once(" b=").expect("b=");
        let text: String = text.split_whitespace().collect();
        let signature = STANDARD.decode(text).expect("Base64");
        let input = unsigned(SECTION, &body, &terms).input().to_vec();
        let public = STANDARD
            .decode(made.public().expect("a key"))
            .expect("Base64");
        let verified = match algorithm {
            Algorithm::RsaSha256 => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
                .verify(&input, &signature),
            Algorithm::Ed25519Sha256 => {
                UnparsedPublicKey::new(&ED25519, public).verify(&Sha256::digest(&input), &signature)
            }
        };
        assert_eq!(verified, Ok(()), "{algorithm:?}");
    }
}

#[test]
fn a_key_of_another_kind_is_none() {
    let made = SigningKey::generate(Algorithm::Ed25519Sha256).expect("a key");
    let kept = made.to_secret().expect("PKCS #8");
    let algorithm = Algorithm::RsaSha256;
    let refused = SigningKey::from_secret(algorithm, &kept).map(|_| ());
    assert_eq!(refused, Err(SigningKeyError::NoKey(algorithm)));
    assert!(SigningKey::from_secret(algorithm, &Secret::default()).is_err());
}
