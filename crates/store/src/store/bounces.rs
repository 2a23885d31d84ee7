//! Signed envelope senders and suppressed recipients over every store: both are kept on shelves.
//!
//! Not here: what stands in memory (`bounces`), what a token says (`relais_policy::bounce`), what
//! suppresses (`relais_policy::suppression`).

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use relais_policy::bounce::{BOUNCE_KEY_OCTETS, BounceKey, BounceKeys};
use relais_policy::suppression::Suppression;
use relais_smtp::address::Mailbox;
use relais_smtp::secret::Secret;
use relais_smtp::time::Timestamp;

use super::Store;
use crate::bounces::{
    BounceKeyError, Bounces, ListedSuppression, OldAddresses, SuppressionChange, key_of,
    who_gives_way,
};
use crate::error::StoreError;
use crate::secret::{SecretError, SecretKind, SecretName};
use crate::shelf::{Shelf, ShelfAudit, ShelfChange};

impl Store {
    /// The keys of an organisation's signed envelope senders; a first or another one is made of
    /// `fresh` where it is due.
    pub async fn bounce_keys(
        &self,
        organisation: &str,
        fresh: [u8; BOUNCE_KEY_OCTETS],
        now: Timestamp,
    ) -> Result<BounceKeys, SecretError> {
        // Held over the making: two keys would be one too many.
        let mut all = self.bounces().keys.lock().await;
        let name = name_of(organisation);
        let kept = match all.get(organisation) {
            Some(keys) => Some(keys.clone()),
            None => self.kept_bounce_keys(&name).await?,
        };
        let fresh = BounceKey::new(fresh);
        let keys = match kept {
            Some(keys) if !keys.is_due(now) => keys,
            Some(keys) => {
                let rotated = keys.clone().rotated(fresh, now);
                match self.put_bounce_keys(&name, &rotated, now, None).await {
                    Ok(()) => rotated,
                    // The old one signs on: the next message tries again.
                    Err(error) => {
                        tracing::warn!(%error, organisation, "no other key for envelope senders");
                        keys
                    }
                }
            }
            None => {
                let first = BounceKeys::new(fresh, now);
                self.put_bounce_keys(&name, &first, now, None).await?;
                first
            }
        };
        all.insert(organisation.into(), keys.clone());
        Ok(keys)
    }

    /// Another key of an organisation's envelope senders, because a person wants it; durable, and
    /// with it the audit's entry, when it returns.
    pub async fn rotate_bounce_keys(
        &self,
        organisation: &str,
        (fresh, old): ([u8; BOUNCE_KEY_OCTETS], OldAddresses),
        now: Timestamp,
        audit: ShelfAudit,
    ) -> Result<BounceKeys, BounceKeyError> {
        let mut all = self.bounces().keys.lock().await;
        let name = name_of(organisation);
        let fresh = BounceKey::new(fresh);
        let kept = match old {
            OldAddresses::Count => self.kept_bounce_keys(&name).await?,
            // Not even read: it may be damaged.
            OldAddresses::Revoked => None,
        };
        let until = kept.as_ref().and_then(|keys| keys.before_counts_until(now));
        if let Some(until) = until {
            return Err(BounceKeyError::TooSoon(until));
        }
        let keys = match kept {
            Some(keys) => keys.rotated(fresh, now),
            None => BounceKeys::new(fresh, now),
        };
        self.put_bounce_keys(&name, &keys, now, Some(audit)).await?;
        all.insert(organisation.into(), keys.clone());
        Ok(keys)
    }

    async fn kept_bounce_keys(&self, name: &SecretName) -> Result<Option<BounceKeys>, SecretError> {
        let Some(kept) = self.secret(name).await? else {
            return Ok(None);
        };
        let keys = BounceKeys::from_octets(kept.expose());
        keys.map(Some)
            .ok_or_else(|| SecretError::Damaged(name.clone()))
    }

    async fn put_bounce_keys(
        &self,
        name: &SecretName,
        keys: &BounceKeys,
        now: Timestamp,
        audit: Option<ShelfAudit>,
    ) -> Result<(), SecretError> {
        let secret = Secret::from(&*keys.to_octets());
        self.put_secret(name, &secret, now, audit).await
    }

    /// Whether an organisation sends nothing to a recipient, and why. From memory but for the
    /// first question.
    pub async fn suppression(
        &self,
        organisation: &str,
        recipient: &Mailbox,
    ) -> Result<Option<Suppression>, StoreError> {
        let all = self.suppressed().await?;
        let all = all.read().unwrap_or_else(PoisonError::into_inner);
        Ok(all.get(&key_of(organisation, recipient)).cloned())
    }

    /// The suppressed recipients, by organisation and address.
    pub async fn suppressions(&self) -> Result<Vec<ListedSuppression>, StoreError> {
        let kept = self.shelf(Shelf::Suppression).await?;
        let listed = kept.iter().filter_map(|entry| {
            let (organisation, address) = entry.key.split_once(' ')?;
            Some(ListedSuppression {
                organisation: organisation.to_owned(),
                address: address.to_owned(),
                suppression: serde_json::from_str(&entry.value).ok()?,
            })
        });
        Ok(listed.collect())
    }

    /// Changes who is suppressed; durable, and asked for by the next RCPT, when it returns. How
    /// many were released.
    pub async fn change_suppressions(
        &self,
        change: SuppressionChange,
    ) -> Result<usize, StoreError> {
        let _alone = self.bounces().changing.lock().await;
        let all = self.suppressed().await?;
        let organisation = &change.organisation;
        let mut shelf = ShelfChange::new(Shelf::Suppression, change.time);
        shelf.audit = change.audit;
        shelf.events = change.events;
        let mut put = Vec::new();
        for (recipient, suppression) in change.put {
            let value = serde_json::to_string(&suppression)
                .map_err(|error| StoreError::Fault(format!("a suppression: {error}")))?;
            let key = key_of(organisation, &recipient);
            shelf = shelf.put(key.clone(), value);
            put.push((key, suppression));
        }
        let mut taken: Vec<_> = change
            .taken
            .iter()
            .map(|one| key_of(organisation, one))
            .collect();
        {
            let all = all.read().unwrap_or_else(PoisonError::into_inner);
            taken.retain(|key| all.contains_key(key));
            taken.extend(who_gives_way(&all, organisation, put.len()));
        }
        shelf.taken.clone_from(&taken);
        self.change_shelf(shelf).await?;
        let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
        for key in &taken {
            all.remove(key);
        }
        all.extend(put);
        Ok(taken.len())
    }

    async fn suppressed(&self) -> Result<&RwLock<HashMap<String, Suppression>>, StoreError> {
        let read = async {
            let listed = self.suppressions().await?;
            let all = listed.into_iter().map(|one| {
                let key = format!("{} {}", one.organisation, one.address);
                (key, one.suppression)
            });
            Ok(RwLock::new(all.collect()))
        };
        self.bounces().suppressed.get_or_try_init(|| read).await
    }

    pub(super) fn bounces(&self) -> &Bounces {
        match self {
            Self::Embedded(store) => store.bounces(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.bounces(),
        }
    }
}

fn name_of(organisation: &str) -> SecretName {
    SecretName::new(organisation, SecretKind::BounceKey, "envelope-sender")
}
