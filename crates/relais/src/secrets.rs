//! The master key of the secrets at rest: where a server looks for it, and what it says of what it
//! found. ADR 0015.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use relais_net::clock::{Chance, Clock};
use relais_smtp::secret::Secret;
use relais_store::secret::{KEY_FILE_NAME, KeyId, KeySources, Unlocked};
use relais_store::store::Store;

use crate::config::KEY_VARIABLE;

/// Where systemd puts credentials.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// The name of ours (`LoadCredential=relais-secret-key:…`).
const CREDENTIAL_NAME: &str = "relais-secret-key";

/// A file that the settings name, of at most so many octets; the error is a sentence.
pub(crate) fn read_file(path: &str, octets_max: usize) -> Result<Secret, String> {
    let unreadable = |error: std::io::Error| format!("{path} cannot be read: {error}");
    let most = u64::try_from(octets_max).unwrap_or(u64::MAX);
    let mut octets = Vec::new();
    let mut file = File::open(path)
        .map_err(unreadable)?
        .take(most.saturating_add(1));
    file.read_to_end(&mut octets).map_err(unreadable)?;
    if octets.len() > octets_max {
        return Err(format!("{path} has more than {octets_max} octets"));
    }
    Ok(octets.into())
}

/// Looks for the master key and says what it found. Mail flows whatever it is.
pub(crate) async fn unlock(store: &Store, folder: &Path, clock: &Clock, chance: &Chance) {
    let unlocked = store
        .unlock_secrets(sources(folder), chance.octets(), clock.now())
        .await;
    match unlocked {
        Ok(unlocked) => tell(&unlocked, folder),
        Err(error) => tracing::error!("secrets: {error}; whatever needs one waits"),
    }
}

fn sources(folder: &Path) -> KeySources {
    let given = std::env::var_os(CREDENTIALS_VARIABLE).map(PathBuf::from);
    KeySources {
        environment: std::env::var(KEY_VARIABLE).ok().map(Secret::from),
        credential: given.map(|given| given.join(CREDENTIAL_NAME)),
        folder: folder.to_owned(),
    }
}

fn tell(unlocked: &Unlocked, folder: &Path) {
    let file = folder.join(KEY_FILE_NAME);
    let file = file.display();
    for fault in &unlocked.faults {
        tracing::error!("secrets: {fault}");
    }
    match &unlocked.key {
        Some((key, _)) if unlocked.made => tracing::info!(
            %key,
            "secrets: a new key was made, {file}: keep a copy of it apart from the backups"
        ),
        Some((key, source)) => {
            tracing::debug!(%key, "secrets: {} under a key from {source}", unlocked.secrets);
        }
        None if unlocked.secrets > 0 => tracing::error!(
            "secrets: {} are here and their key is not; put {file} back and restart; until then \
             whatever needs one waits",
            unlocked.secrets
        ),
        None => tracing::error!("secrets: there is no key, and none can be kept"),
    }
    if unlocked.encrypted_anew > 0 {
        tracing::info!("secrets: {} were encrypted anew", unlocked.encrypted_anew);
    }
    if unlocked.key.is_some() && !unlocked.unreadable.is_empty() {
        tracing::error!(
            "secrets: {} cannot be read, their key is not here; put {file} with that key back and \
             restart; until then whatever needs one waits",
            shown(&unlocked.unreadable)
        );
    }
}

/// `3 under key 0a1b2c3d`.
fn shown(unreadable: &[(KeyId, usize)]) -> String {
    let each = unreadable
        .iter()
        .map(|(key, count)| format!("{count} under key {key}"));
    each.collect::<Vec<_>>().join(", ")
}
