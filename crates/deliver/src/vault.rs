//! The secrets of outbound connectors: files that settings name, and what the store keeps.

use std::fs::File;
use std::io::Read;

use relais_net::clock::Clock;
use relais_net::login::{Coming, KeptName, Vault};
use relais_smtp::secret::Secret;
use relais_store::secret::{SecretKind, SecretName};
use relais_store::store::Store;

/// A vault over a store.
pub struct StoreVault {
    store: Store,
    clock: Clock,
}

impl StoreVault {
    /// Over this store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }
}

impl Vault for StoreVault {
    fn file<'a>(&'a self, path: &'a str, octets_max: usize) -> Coming<'a, Secret> {
        let file = path.to_owned();
        let read = tokio::task::spawn_blocking(move || read(&file, octets_max));
        Box::pin(async move { read.await.map_err(|error| format!("{path}: {error}"))? })
    }

    fn kept<'a>(&'a self, name: &'a KeptName) -> Coming<'a, Option<Secret>> {
        Box::pin(async move {
            let found = self.store.secret(&secret_name(name)?).await;
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

fn read(path: &str, octets_max: usize) -> Result<Secret, String> {
    let unreadable = |error: std::io::Error| format!("{path} cannot be read: {error}");
    let most = u64::try_from(octets_max).unwrap_or(u64::MAX);
    let mut octets = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let mut file = file.take(most.saturating_add(1));
    file.read_to_end(&mut octets).map_err(unreadable)?;
    if octets.len() > octets_max {
        return Err(format!("{path} has more than {octets_max} octets"));
    }
    Ok(octets.into())
}

fn secret_name(name: &KeptName) -> Result<SecretName, String> {
    let (kind, key) = name.place();
    let kind = SecretKind::parse(kind).ok_or_else(|| format!("there is no kind {kind}"))?;
    Ok(SecretName::new(&*name.organisation, kind, key))
}
