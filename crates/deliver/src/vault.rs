//! The secrets of outbound connectors: files that settings name, and what the store keeps.

use relais_net::clock::Clock;
use relais_net::login::{Coming, KeptName, Vault};
use relais_smtp::secret::Secret;
use relais_store::secret::{SecretKind, SecretName};
use relais_store::store::Store;

/// A vault over a store.
pub struct StoreVault {
    store: Store,
    clock: Clock,
    read: ReadFile,
}

/// Reads a file of at most so many octets; the error is a sentence.
pub type ReadFile = fn(&str, usize) -> Result<Secret, String>;

impl StoreVault {
    /// Over this store, and these files.
    pub fn new(store: Store, clock: Clock, read: ReadFile) -> Self {
        Self { store, clock, read }
    }
}

impl Vault for StoreVault {
    fn file<'a>(&'a self, path: &'a str, octets_max: usize) -> Coming<'a, Secret> {
        let (file, read) = (path.to_owned(), self.read);
        let read = tokio::task::spawn_blocking(move || read(&file, octets_max));
        Box::pin(async move { read.await.map_err(|error| format!("{path}: {error}"))? })
    }

    fn kept<'a>(&'a self, name: &'a KeptName) -> Coming<'a, Option<Secret>> {
        Box::pin(async move {
            // Settings are asked for once more behind it, so that a new password never goes to an
            // old host.
            let found = self.store.settled_secret(&secret_name(name)?).await;
            found.map_err(|error| error.to_string())
        })
    }

    fn keep<'a>(&'a self, name: &'a KeptName, secret: Secret) -> Coming<'a, ()> {
        Box::pin(async move {
            let (name, now) = (secret_name(name)?, self.clock.now());
            let kept = self.store.put_secret(&name, &secret, now, None).await;
            kept.map_err(|error| error.to_string())
        })
    }
}

fn secret_name(name: &KeptName) -> Result<SecretName, String> {
    let (kind, key) = name.place();
    let kind = SecretKind::parse(kind).ok_or_else(|| format!("there is no kind {kind}"))?;
    Ok(SecretName::new(&*name.organisation, kind, key))
}
