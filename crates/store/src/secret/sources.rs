//! Where master keys come from: the environment, a systemd credential, or a file in the data
//! folder. The first of these that is there encrypts; those behind it still read, so that a key
//! can move from one to the other.

use std::path::{Path, PathBuf};

use relais_smtp::secret::Secret;

use super::keys::{KeyError, KeySource, Keyring, MasterKey, parse_keys};
use crate::files;

/// In the data folder; in no backup.
pub const KEY_FILE_NAME: &str = "secret.key";

/// A key file while it is written.
const UNFINISHED_NAME: &str = "secret.key.unfinished";

/// Longest key file: remarks and eight keys.
const KEY_FILE_OCTETS_MAX: u64 = 16 * 1_024;

const REMARK: &str = "\
# The key of the secrets that Relais keeps in this data folder (DKIM keys, passwords, tokens).
# Backups hold the secrets encrypted and not this key: keep a copy of it apart from them.
";

/// Where to look.
#[derive(Clone, Debug)]
pub struct KeySources {
    /// What the environment gives.
    pub environment: Option<Secret>,
    /// The file that systemd gives.
    pub credential: Option<PathBuf>,
    /// The data folder.
    pub folder: PathBuf,
}

impl KeySources {
    /// All keys that there are, and what is wrong with those that cannot be read.
    pub(crate) fn read(&self) -> (Option<Keyring>, Vec<KeyError>) {
        let found = [
            (KeySource::Environment, self.environment()),
            (KeySource::Credential, self.credential()),
            (
                KeySource::File,
                read_file(&self.key_file(), KeySource::File),
            ),
        ];
        let mut ring: Option<Keyring> = None;
        let mut faults = Vec::new();
        for (source, keys) in found {
            match (keys, &mut ring) {
                (Ok(Some(keys)), Some(ring)) => ring.add(keys),
                (Ok(Some(keys)), none) => *none = Some(Keyring::new(keys, source)),
                (Ok(None), _) => {}
                (Err(fault), _) => faults.push(fault),
            }
        }
        (ring, faults)
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.join(KEY_FILE_NAME)
    }

    fn environment(&self) -> Result<Option<Vec<MasterKey>>, KeyError> {
        let Some(text) = &self.environment else {
            return Ok(None);
        };
        let text = text.expose_text().unwrap_or_default();
        parse_keys(text, KeySource::Environment).map(Some)
    }

    fn credential(&self) -> Result<Option<Vec<MasterKey>>, KeyError> {
        match &self.credential {
            Some(file) => read_file(file, KeySource::Credential),
            None => Ok(None),
        }
    }
}

fn read_file(file: &Path, source: KeySource) -> Result<Option<Vec<MasterKey>>, KeyError> {
    let octets = match files::read(file, KEY_FILE_OCTETS_MAX) {
        Ok(octets) => Secret::from(octets),
        Err(error) if error.is_absent() => return Ok(None),
        Err(error) => return Err(KeyError::File(error.to_string())),
    };
    parse_keys(octets.expose_text().unwrap_or_default(), source).map(Some)
}

/// Puts a key file in the place of the one that is there, whole or not at all; mode 0600, synced.
pub(crate) fn write_key_file(folder: &Path, keys: &[MasterKey]) -> Result<(), KeyError> {
    let mut text = zeroize::Zeroizing::new(REMARK.as_bytes().to_vec());
    // Enough for all, so that no copy is left behind by growing.
    text.reserve(keys.len() * 80);
    for key in keys {
        text.extend_from_slice(key.text().expose());
        text.push(b'\n');
    }
    let unfinished = folder.join(UNFINISHED_NAME);
    files::remove(&unfinished)
        .and_then(|()| files::write_new(&unfinished, &text))
        .and_then(|()| files::give_to_owner_of(folder, &unfinished))
        .and_then(|()| files::rename(&unfinished, &folder.join(KEY_FILE_NAME)))
        .and_then(|()| files::sync_folder(folder))
        .map_err(|error| KeyError::File(error.to_string()))
}
