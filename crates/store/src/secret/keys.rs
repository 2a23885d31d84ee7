//! Master keys: their text, their names, and the ring of those that can be read with.
//!
//! Not here: where they come from (`sources`).

use std::fmt;

use relais_smtp::secret::Secret;
use sha2::{Digest, Sha256};

use crate::digits::{hexadecimal, of_hexadecimal};

/// Octets of a master key: AES-256.
pub const MASTER_KEY_OCTETS: usize = 32;

/// Keys at most in one source: the one in use, and those before it whose secrets wait.
const KEYS_MAX: usize = 8;

/// Digits of a key's name: enough to tell apart the keys that one person has.
const KEY_ID_OCTETS: usize = 4;

/// The name of a master key: the beginning of a hash of it. Tells nothing about the key.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(String);

impl KeyId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_one = text.len() == 2 * KEY_ID_OCTETS && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_one.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What all secrets are encrypted under. Cannot be printed.
#[derive(Clone, Debug)]
pub struct MasterKey {
    id: KeyId,
    octets: Secret,
}

impl MasterKey {
    /// Of these octets, which nobody can guess.
    pub fn new(octets: [u8; MASTER_KEY_OCTETS]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"relais master key");
        hash.update(octets);
        let id = hexadecimal(&hash.finalize()[..KEY_ID_OCTETS]);
        Self {
            id: KeyId(id),
            octets: Secret::from(octets.as_slice()),
        }
    }

    /// Its name.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.octets.expose()
    }

    /// As it stands in a key file.
    pub(super) fn text(&self) -> Secret {
        Secret::from(hexadecimal(self.octets.expose()))
    }

    fn parse(word: &str) -> Option<Self> {
        let octets = of_hexadecimal(word)?;
        Some(Self::new(octets.expose().try_into().ok()?))
    }
}

/// Where a key comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// `RELAIS_SECRET_KEY`.
    Environment,
    /// `$CREDENTIALS_DIRECTORY/relais-secret-key`, given by systemd.
    Credential,
    /// `secret.key` in the data folder.
    File,
}

impl fmt::Display for KeySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Environment => "the environment (RELAIS_SECRET_KEY)",
            Self::Credential => "the systemd credential relais-secret-key",
            Self::File => "secret.key in the data folder",
        })
    }
}

/// Why a source gives no key. Never says what stood there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read or written.
    #[error("{0}")]
    File(String),
    /// It holds something else.
    #[error("{0} does not hold keys of 64 hexadecimal digits")]
    Form(KeySource),
}

/// The keys at hand: the first encrypts, all read.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: Vec<MasterKey>,
    source: KeySource,
}

impl Keyring {
    /// These keys, the first of which comes from `source`.
    ///
    /// # Panics
    /// If there are none.
    pub fn new(keys: Vec<MasterKey>, source: KeySource) -> Self {
        assert!(!keys.is_empty(), "a ring has a key");
        Self { keys, source }
    }

    /// The one that encrypts.
    pub fn first(&self) -> &MasterKey {
        &self.keys[0]
    }

    /// Where that one comes from.
    pub fn source(&self) -> KeySource {
        self.source
    }

    pub(crate) fn all(&self) -> &[MasterKey] {
        &self.keys
    }

    pub(crate) fn find(&self, id: &KeyId) -> Option<&MasterKey> {
        self.keys.iter().find(|key| key.id == *id)
    }

    /// Adds keys to read with.
    pub(super) fn add(&mut self, keys: Vec<MasterKey>) {
        for key in keys {
            if self.find(&key.id).is_none() {
                self.keys.push(key);
            }
        }
    }
}

/// Keys in the text of a source: words of 64 hexadecimal digits, newest first; lines that begin
/// with `#` are remarks.
pub(super) fn parse_keys(text: &str, source: KeySource) -> Result<Vec<MasterKey>, KeyError> {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let words = lines.flat_map(|line| line.split([' ', '\t', ',', '\r']));
    let words = words.filter(|word| !word.is_empty());
    let keys: Option<Vec<_>> = words.map(MasterKey::parse).collect();
    match keys {
        Some(keys) if !keys.is_empty() && keys.len() <= KEYS_MAX => Ok(keys),
        Some(_) | None => Err(KeyError::Form(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_holds_keys_of_64_digits_and_remarks_and_nothing_else() {
        let one = "ab".repeat(32);
        let other = "CD".repeat(32);
        for bad in [
            "",
            "# none",
            "ab",
            &one[1..],
            &format!("{one}x"),
            &format!("{one} secret"),
        ] {
            let refused = parse_keys(bad, KeySource::File).map(|keys| keys.len());
            assert_eq!(refused, Err(KeyError::Form(KeySource::File)), "{bad}");
        }
        let text = format!("# a remark\r\n{one}, {other}\n");
        let keys = parse_keys(&text, KeySource::File).expect("two keys");
        assert_eq!(keys[0].expose(), [0xab; 32]);
        assert_eq!(keys[1].expose(), [0xcd; 32]);
        assert_eq!(keys[1].text().expose_text(), Some("cd".repeat(32).as_str()));
    }

    #[test]
    fn neither_a_key_nor_a_ring_nor_an_error_shows_the_key() {
        let digits = "5e".repeat(32);
        let keys = parse_keys(&digits, KeySource::File).expect("a key");
        let ring = Keyring::new(keys, KeySource::File);
        let error = parse_keys(&format!("{digits}0"), KeySource::File).expect_err("too long");
        for shown in [format!("{ring:?}"), format!("{error:?}"), error.to_string()] {
            assert!(!shown.contains("5e5e5e"), "{shown}");
            assert!(!shown.contains("94, 94"), "{shown}");
        }
    }
}
