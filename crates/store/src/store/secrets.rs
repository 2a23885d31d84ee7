//! Secrets, kept on a shelf and encrypted: the same over every store.
//!
//! Not here: the cipher and the sources of master keys (`secret`).

use relais_smtp::secret::Secret;
use relais_smtp::time::Timestamp;

use super::Store;
use crate::error::StoreError;
use crate::secret::{
    self, KeyId, KeySource, KeySources, Keyring, MASTER_KEY_OCTETS, MasterKey, SecretEntry,
    SecretError, SecretKind, SecretName, Unlocked, Vault,
};
use crate::settings::{ChangeError, SettingsChange};
use crate::shelf::{Shelf, ShelfAudit, ShelfChange};

impl Store {
    /// Keeps a secret; one of that name is replaced. Durable when it returns. The audit names it
    /// where `audit` is given, and never its value.
    pub async fn put_secret(
        &self,
        name: &SecretName,
        value: &Secret,
        now: Timestamp,
        audit: Option<ShelfAudit>,
    ) -> Result<(), SecretError> {
        let _alone = self.vault().changing.lock().await;
        let keys = self.vault().keys().ok_or(SecretError::NoKey)?;
        let sealed = secret::seal(keys.first(), name, value)?;
        let mut change = ShelfChange::new(Shelf::Secret, now).put(name.key(), sealed);
        change.audit = audit;
        Ok(self.change_shelf(change).await?)
    }

    /// Changes the settings and keeps the secret that belongs to the change, in one transaction:
    /// whoever reads the new settings and then the secret has both or neither.
    pub async fn change_settings_with_secret(
        &self,
        settings: SettingsChange,
        (name, value): (&SecretName, &Secret),
        audit: Option<ShelfAudit>,
    ) -> Result<u64, ChangeError> {
        let _alone = self.vault().changing.lock().await;
        let keys = self.vault().keys().ok_or(SecretError::NoKey)?;
        let sealed = secret::seal(keys.first(), name, value)?;
        let mut beside = ShelfChange::new(Shelf::Secret, settings.time).put(name.key(), sealed);
        beside.audit = audit;
        beside.check()?;
        self.change_settings_beside(settings, Some(beside)).await
    }

    /// A secret, if there is one of that name. Reads the database: not for each message.
    pub async fn secret(&self, name: &SecretName) -> Result<Option<Secret>, SecretError> {
        let Some(stored) = self.shelf_value(Shelf::Secret, &name.key()).await? else {
            return Ok(None);
        };
        let keys = self.vault().keys().ok_or(SecretError::NoKey)?;
        secret::open(&keys, name, &stored).map(Some)
    }

    /// The same, and never between the storing of new settings with their secret and their coming
    /// into force: whoever reads settings after it has those that the secret belongs to, or later
    /// ones.
    pub async fn settled_secret(&self, name: &SecretName) -> Result<Option<Secret>, SecretError> {
        let _alone = self.vault().changing.lock().await;
        self.secret(name).await
    }

    /// Takes secrets away, from memory too; one that is not there is no fault. Needs no key.
    pub async fn forget_secrets(
        &self,
        names: &[SecretName],
        now: Timestamp,
        audit: Option<ShelfAudit>,
    ) -> Result<(), StoreError> {
        // In this order as where one is made: none is read again before it is gone.
        let mut bounce_keys = self.bounces().keys.lock().await;
        let _alone = self.vault().changing.lock().await;
        let mut change = ShelfChange::new(Shelf::Secret, now);
        change.taken = names.iter().map(SecretName::key).collect();
        change.audit = audit;
        self.change_shelf(change).await?;
        for name in names.iter().filter(|one| one.kind == SecretKind::BounceKey) {
            bounce_keys.remove(&*name.organisation);
        }
        Ok(())
    }

    /// Takes one away.
    pub async fn forget_secret(
        &self,
        name: &SecretName,
        now: Timestamp,
        audit: Option<ShelfAudit>,
    ) -> Result<(), StoreError> {
        self.forget_secrets(std::slice::from_ref(name), now, audit)
            .await
    }

    /// Which secrets there are, by name.
    pub async fn secrets(&self) -> Result<Vec<SecretEntry>, StoreError> {
        let keys = self.vault().keys();
        let kept = self.shelf(Shelf::Secret).await?;
        let entries = kept.into_iter().filter_map(|kept| {
            let key = secret::sealed_under(&kept.value)?;
            Some(SecretEntry {
                name: SecretName::of_key(&kept.key)?,
                since: kept.since,
                readable: keys.as_ref().is_some_and(|keys| keys.find(&key).is_some()),
                key,
            })
        });
        Ok(entries.collect())
    }

    /// The master key that encrypts, and where it comes from.
    pub fn master_key(&self) -> Option<(KeyId, KeySource)> {
        let keys = self.vault().keys()?;
        Some((keys.first().id().clone(), keys.source()))
    }

    /// Looks for the master key, and makes one of `fresh` where there is none and no secret waits
    /// for it. Secrets under an older key that is at hand are encrypted anew: that also ends a
    /// change of the key that was cut off. Never fails for want of a key: mail flows without.
    pub async fn unlock_secrets(
        &self,
        sources: KeySources,
        fresh: [u8; MASTER_KEY_OCTETS],
        now: Timestamp,
    ) -> Result<Unlocked, StoreError> {
        let _alone = self.vault().changing.lock().await;
        let (mut ring, mut faults) = sources.read();
        let nothing_waits = self.shelf(Shelf::Secret).await?.is_empty();
        let mut made = false;
        if ring.is_none() && faults.is_empty() && nothing_waits {
            let key = MasterKey::new(fresh);
            match secret::write_key_file(&sources.folder, std::slice::from_ref(&key)) {
                Ok(()) => {
                    made = true;
                    ring = Some(Keyring::new(vec![key], KeySource::File));
                }
                Err(fault) => faults.push(fault),
            }
        }
        self.vault().unlock(ring);
        let mut encrypted_anew = 0;
        if let Some(keys) = self.vault().keys()
            && keys.all().len() > 1
        {
            encrypted_anew = self.seal_all_anew(&keys, now, None).await?;
            if keys.source() == KeySource::File {
                faults.extend(self.keep_only_the_first(&keys, &sources).err());
            }
        }
        self.vault().set_sources(sources);
        let entries = self.secrets().await?;
        Ok(Unlocked {
            key: self.master_key(),
            made,
            secrets: entries.len(),
            unreadable: unreadable(&entries),
            encrypted_anew,
            faults,
        })
    }

    /// Encrypts all secrets under a new master key, made of `fresh`. First the new key stands in
    /// the file before the old one, then all secrets change in one transaction, then the old key
    /// leaves the file: whenever this is cut off, all can be read, and the next start ends it.
    pub async fn change_master_key(
        &self,
        fresh: [u8; MASTER_KEY_OCTETS],
        now: Timestamp,
        audit: impl FnOnce(&KeyId, &KeyId) -> ShelfAudit,
    ) -> Result<(KeyId, usize), SecretError> {
        let _alone = self.vault().changing.lock().await;
        let keys = self.vault().keys().ok_or(SecretError::NoKey)?;
        let sources = self.vault().sources().ok_or(SecretError::NoKey)?;
        if keys.source() != KeySource::File {
            return Err(SecretError::ForeignKey(keys.source()));
        }
        let new = MasterKey::new(fresh);
        let id = new.id().clone();
        let mut all = vec![new];
        all.extend_from_slice(keys.all());
        secret::write_key_file(&sources.folder, &all)?;
        let ring = Keyring::new(all, KeySource::File);
        self.vault().unlock(Some(ring.clone()));
        let told = audit(keys.first().id(), &id);
        let count = self.seal_all_anew(&ring, now, Some(told)).await?;
        self.keep_only_the_first(&ring, &sources)?;
        Ok((id, count))
    }

    /// What can be read and is not under the first key is encrypted under it, in one transaction.
    async fn seal_all_anew(
        &self,
        keys: &Keyring,
        now: Timestamp,
        audit: Option<ShelfAudit>,
    ) -> Result<usize, StoreError> {
        let mut change = ShelfChange::new(Shelf::Secret, now);
        for kept in self.shelf(Shelf::Secret).await? {
            let under = secret::sealed_under(&kept.value);
            let Some(name) = SecretName::of_key(&kept.key) else {
                continue;
            };
            if under.as_ref() == Some(keys.first().id()) {
                continue;
            }
            // What cannot be read stays as it is, for the day its key comes back.
            if let Ok(value) = secret::open(keys, &name, &kept.value)
                && let Ok(sealed) = secret::seal(keys.first(), &name, &value)
            {
                change = change.put(kept.key, sealed);
            }
        }
        let count = change.put.len();
        change.audit = audit;
        if count > 0 || change.audit.is_some() {
            self.change_shelf(change).await?;
        }
        Ok(count)
    }

    /// The older keys have no secrets left: they leave the file.
    fn keep_only_the_first(
        &self,
        keys: &Keyring,
        sources: &KeySources,
    ) -> Result<(), secret::KeyError> {
        let first = vec![keys.first().clone()];
        secret::write_key_file(&sources.folder, &first)?;
        self.vault()
            .unlock(Some(Keyring::new(first, KeySource::File)));
        Ok(())
    }

    fn vault(&self) -> &Vault {
        match self {
            Self::Embedded(store) => store.vault(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.vault(),
        }
    }
}

fn unreadable(entries: &[SecretEntry]) -> Vec<(KeyId, usize)> {
    let mut keys: Vec<(KeyId, usize)> = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.readable) {
        match keys.iter_mut().find(|(key, _)| *key == entry.key) {
            Some((_, count)) => *count += 1,
            None => keys.push((entry.key.clone(), 1)),
        }
    }
    keys
}
