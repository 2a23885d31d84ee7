//! The stored form of a secret: `1 <key id> <nonce and cipher text with tag, hexadecimal>`.
//!
//! AES-256-GCM with a nonce of 96 random bits: one key may seal 2^32 values (NIST SP 800-38D §8.3),
//! more than a shelf can ever see.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use relais_smtp::secret::Secret;
use zeroize::Zeroizing;

use super::keys::{KeyId, Keyring, MasterKey};
use super::{SecretError, SecretName};
use crate::digits::{hexadecimal, of_hexadecimal};

/// The form written today.
const FORM: &str = "1";

/// Encrypts for the shelf.
pub(crate) fn seal(
    key: &MasterKey,
    name: &SecretName,
    value: &Secret,
) -> Result<String, SecretError> {
    let damaged = |_| SecretError::Damaged(name.clone());
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map_err(damaged)?;
    let mut octets = Zeroizing::new(value.expose().to_vec());
    let nonce = cipher
        .seal_in_place_append_tag(Aad::from(associated(name)), &mut *octets)
        .map_err(damaged)?;
    let nonce = hexadecimal(nonce.as_ref());
    Ok(format!(
        "{FORM} {} {nonce}{}",
        key.id(),
        hexadecimal(&octets)
    ))
}

/// Decrypts from the shelf.
pub(crate) fn open(keys: &Keyring, name: &SecretName, stored: &str) -> Result<Secret, SecretError> {
    let damaged = || SecretError::Damaged(name.clone());
    let id = sealed_under(stored).ok_or_else(damaged)?;
    let key = keys.find(&id).ok_or_else(|| SecretError::OtherKey {
        name: name.clone(),
        key: id.clone(),
    })?;
    let text = stored.rsplit(' ').next().and_then(of_hexadecimal);
    let sealed = text.ok_or_else(damaged)?;
    let parts = sealed.expose().split_first_chunk::<NONCE_LEN>();
    let (nonce, cipher_text) = parts.ok_or_else(damaged)?;
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map_err(|_| damaged())?;
    let mut octets = Zeroizing::new(cipher_text.to_vec());
    let plain = cipher
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(associated(name)),
            &mut octets,
        )
        .map_err(|_| damaged())?;
    Ok(Secret::from(&*plain))
}

/// Under which key a stored secret is; none: it is no form that we know.
pub(crate) fn sealed_under(stored: &str) -> Option<KeyId> {
    let mut words = stored.split(' ');
    if words.next() != Some(FORM) {
        return None;
    }
    KeyId::parse(words.next()?)
}

/// What is authenticated with a secret; lengths keep the parts apart.
fn associated(name: &SecretName) -> Vec<u8> {
    let parts = [&name.organisation, name.kind.name(), &name.name];
    let mut octets = b"relais secret 1".to_vec();
    for part in parts {
        octets.extend((part.len() as u64).to_be_bytes());
        octets.extend(part.as_bytes());
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{KeySource, SecretKind};

    fn ring(octet: u8) -> Keyring {
        Keyring::new(vec![MasterKey::new([octet; 32])], KeySource::File)
    }

    fn name(of: &str) -> SecretName {
        SecretName::new(of, SecretKind::DkimKey, "contoso.test 1")
    }

    #[test]
    fn what_was_sealed_opens_with_its_key_and_its_name_only() {
        let (keys, value) = (ring(1), Secret::from("hunter2".to_owned()));
        let stored = seal(keys.first(), &name("contoso"), &value).expect("sealed");
        assert_eq!(open(&keys, &name("contoso"), &stored), Ok(value));
        assert_eq!(
            open(&keys, &name("fabrikam"), &stored),
            Err(SecretError::Damaged(name("fabrikam"))),
            "put in another's place"
        );
        assert_eq!(
            open(&ring(2), &name("contoso"), &stored),
            Err(SecretError::OtherKey {
                name: name("contoso"),
                key: keys.first().id().clone()
            })
        );
    }

    #[test]
    fn a_change_of_any_character_is_noticed() {
        let (keys, value) = (ring(1), Secret::from("hunter2".to_owned()));
        let stored = seal(keys.first(), &name("contoso"), &value).expect("sealed");
        for at in 0..stored.len() {
            let mut changed = stored.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(
                open(&keys, &name("contoso"), &changed).is_err(),
                "{at}: {changed}"
            );
        }
        assert!(open(&keys, &name("contoso"), "").is_err());
        assert!(open(&keys, &name("contoso"), &stored[..20]).is_err());
    }

    #[test]
    fn the_same_value_is_never_sealed_to_the_same_text() {
        let (keys, value) = (ring(1), Secret::from("hunter2".to_owned()));
        let seal = || seal(keys.first(), &name("contoso"), &value).expect("sealed");
        assert_ne!(seal(), seal());
        assert!(!seal().contains("hunter2"));
    }
}
