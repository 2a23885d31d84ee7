//! Keys of the API: made for a program, shown once, kept as a hash. A key has scopes, perhaps an
//! organisation beyond which it sees nothing, perhaps an end, and perhaps the credential whose mail
//! it hands in.
//!
//! A key's secret has 256 bits of chance, so that a plain hash is enough and guessing is hopeless.
//! Not here: the door (`web/gate.rs`).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use relais_net::clock::Chance;
use relais_smtp::time::Timestamp;
use relais_store::door::Via;
use relais_store::queue::StoreError;
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};
use relais_store::store::Store;

use crate::people::{hash_of, hexadecimal};
use crate::scope::{Access, Scope};

/// Keys of one installation.
pub(crate) const KEYS_MAX: usize = 1_000;
/// Longest name of a key, in octets.
const NAME_OCTETS_MAX: usize = 64;
/// Scopes of one key: each noun twice, and some.
const SCOPES_MAX: usize = 64;
/// What a key begins with, so that scanners of repositories find one that was left there.
const PREFIX: &str = "relais_";
/// Octets of chance in the part that names a key.
const NAME_CHANCE_OCTETS: usize = 5;
/// Octets of chance in the part that proves it.
const SECRET_OCTETS: usize = 32;

/// A key as stored.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ApiKey {
    /// Ten hexadecimal digits: the second part of the key, and its name for commands.
    pub(crate) id: String,
    /// For people.
    pub(crate) name: String,
    /// SHA-256 of the whole key.
    hash: String,
    /// As [`Scope`]s.
    scopes: Vec<String>,
    /// Beyond it the key sees nothing.
    pub(crate) organisation: Option<String>,
    /// Mail handed in with it is this credential's.
    pub(crate) credential: Option<String>,
    /// RFC 3339.
    pub(crate) since: String,
    /// Milliseconds; none: no end.
    expires_ms: Option<i64>,
    /// Who made it.
    pub(crate) by: String,
}

/// What a new key is to be.
pub(crate) struct Wish {
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) organisation: Option<String>,
    pub(crate) credential: Option<String>,
    pub(crate) expires: Option<Timestamp>,
}

/// Why there is no key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum KeyError {
    /// The wish is none.
    #[error("{0}")]
    Wish(String),
    /// Too many.
    #[error("there are {KEYS_MAX} keys already; revoke some")]
    TooMany,
    /// No key of that name.
    #[error("there is no key {0}")]
    Unknown(String),
    /// Of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ApiKey {
    /// Whether its scopes let it do this.
    pub(crate) fn may(&self, noun: &str, access: Access) -> bool {
        let scopes = self.scopes.iter().filter_map(|text| text.parse().ok());
        scopes
            .into_iter()
            .any(|one: Scope| one.covers(noun, access))
    }

    pub(crate) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.expires_ms.map(Timestamp::from_millis)
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.expires().is_some_and(|end| end <= now)
    }
}

/// All keys, by name.
pub(crate) async fn list(store: &Store) -> Result<Vec<ApiKey>, KeyError> {
    let entries = store.shelf(Shelf::ApiKey).await?;
    let keys = entries.iter();
    let keys = keys.filter_map(|entry| serde_json::from_str::<ApiKey>(&entry.value).ok());
    let mut keys: Vec<_> = keys.collect();
    keys.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    Ok(keys)
}

/// Who did it, when.
pub(crate) struct By<'a> {
    pub(crate) actor: &'a str,
    pub(crate) via: Via,
    pub(crate) now: Timestamp,
}

impl By<'_> {
    fn audit(&self, act: &'static str, key: &ApiKey) -> ShelfAudit {
        let mut detail = vec![format!("{} ({})", key.name, key.id), key.scopes.join(" ")];
        let more = [
            ("organisation", &key.organisation),
            ("credential", &key.credential),
        ];
        for (word, value) in more {
            detail.extend(value.as_ref().map(|value| format!("{word} {value}")));
        }
        ShelfAudit {
            actor: self.actor.to_owned(),
            via: self.via,
            act,
            detail,
        }
    }
}

/// Makes one; the whole key is told this once.
pub(crate) async fn add(
    store: &Store,
    chance: &Chance,
    wish: Wish,
    by: &By<'_>,
) -> Result<(String, ApiKey), KeyError> {
    check(&wish, by.now)?;
    if list(store).await?.len() >= KEYS_MAX {
        return Err(KeyError::TooMany);
    }
    let id = hexadecimal(&chance.octets::<NAME_CHANCE_OCTETS>());
    let secret = hexadecimal(&chance.octets::<SECRET_OCTETS>());
    let whole = format!("{PREFIX}{id}_{secret}");
    let key = ApiKey {
        id,
        name: wish.name.trim().to_owned(),
        hash: hash_of(&whole),
        scopes: wish.scopes,
        organisation: wish.organisation,
        credential: wish.credential,
        since: by.now.to_rfc3339(),
        expires_ms: wish.expires.map(Timestamp::as_millis),
        by: by.actor.to_owned(),
    };
    let value = serde_json::to_string(&key).expect("texts and numbers can be written");
    let change = ShelfChange::new(Shelf::ApiKey, by.now)
        .put(&key.id, value)
        .audited(by.audit("api-key.added", &key));
    store.change_shelf(change).await?;
    Ok((whole, key))
}

fn check(wish: &Wish, now: Timestamp) -> Result<(), KeyError> {
    let no = |words: String| Err(KeyError::Wish(words));
    let name = wish.name.trim();
    if name.is_empty() || name.len() > NAME_OCTETS_MAX || name.chars().any(char::is_control) {
        return no(format!("a key's name has 1 to {NAME_OCTETS_MAX} octets"));
    }
    if wish.scopes.is_empty() || wish.scopes.len() > SCOPES_MAX {
        return no(format!("a key has 1 to {SCOPES_MAX} scopes"));
    }
    for scope in &wish.scopes {
        if let Err(error) = scope.parse::<Scope>() {
            return no(error.to_string());
        }
    }
    if wish.expires.is_some_and(|end| end <= now) {
        return no("a key's end must lie ahead".to_owned());
    }
    Ok(())
}

/// Takes one away, at once.
pub(crate) async fn revoke(store: &Store, id: &str, by: &By<'_>) -> Result<ApiKey, KeyError> {
    let key = find(store, id).await?;
    let key = key.ok_or_else(|| KeyError::Unknown(id.to_owned()))?;
    let change = ShelfChange::new(Shelf::ApiKey, by.now)
        .take(&key.id)
        .audited(by.audit("api-key.revoked", &key));
    store.change_shelf(change).await?;
    store
        .change_shelf(ShelfChange::new(Shelf::ApiKeyUse, by.now).take(&key.id))
        .await?;
    Ok(key)
}

/// Takes away those that hand in the mail of these credentials, each by organisation and user.
pub(crate) async fn revoke_of_credentials(
    store: &Store,
    gone: &BTreeSet<(String, String)>,
    by: &By<'_>,
) -> Result<(), KeyError> {
    for key in list(store).await? {
        let whose = key.organisation.clone().zip(key.credential.clone());
        if whose.is_some_and(|whose| gone.contains(&whose)) {
            revoke(store, &key.id, by).await?;
        }
    }
    Ok(())
}

async fn find(store: &Store, id: &str) -> Result<Option<ApiKey>, StoreError> {
    if id.is_empty() || id.len() > 2 * NAME_CHANCE_OCTETS {
        return Ok(None);
    }
    let value = store.shelf_value(Shelf::ApiKey, id).await?;
    Ok(value.and_then(|value| serde_json::from_str(&value).ok()))
}

/// The key that this is, if there is one and it is not over.
pub(crate) async fn recognise(
    store: &Store,
    whole: &str,
    now: Timestamp,
) -> Result<Option<ApiKey>, StoreError> {
    let named = whole
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('_'));
    let Some((id, _)) = named else {
        return Ok(None);
    };
    let found = find(store, id).await?;
    Ok(found.filter(|key| {
        let is_same: bool = hash_of(whole).as_bytes().ct_eq(key.hash.as_bytes()).into();
        is_same && !key.is_over(now)
    }))
}

/// Whether a key is still what it was when it was recognised: neither revoked nor changed nor over.
/// A store that cannot be read is no reason to stop listening.
pub(crate) async fn is_valid(store: &Store, key: &ApiKey, now: Timestamp) -> bool {
    match find(store, &key.id).await {
        Ok(found) => found.is_some_and(|found| found.hash == key.hash && !found.is_over(now)),
        Err(_) => true,
    }
}

/// When each was used last.
pub(crate) async fn uses(store: &Store) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let entries = store.shelf(Shelf::ApiKeyUse).await?;
    let uses = entries.into_iter().map(|entry| (entry.key, entry.since));
    Ok(uses.collect())
}

/// A key was used. Beside the key itself: what is revoked meanwhile must not come back.
pub(crate) async fn note_use(store: &Store, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let change = ShelfChange::new(Shelf::ApiKeyUse, now).put(id, "");
    store.change_shelf(change).await
}

#[cfg(test)]
mod tests {
    use relais_store::memory::MemoryOptions;

    use super::*;

    fn wish(scopes: &[&str]) -> Wish {
        Wish {
            name: "monitoring".to_owned(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            organisation: None,
            credential: None,
            expires: Some(at(1_000)),
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    const BY: By<'_> = By {
        actor: "uid 0 (root)",
        via: Via::named("socket"),
        now: Timestamp::from_millis(10),
    };

    #[tokio::test]
    async fn a_key_is_known_until_it_ends_or_is_revoked_and_no_other_is() {
        let store = Store::in_memory(MemoryOptions::new(at(0)));
        let made = add(&store, &Chance::seeded(1), wish(&["queue:read"]), &BY).await;
        let (whole, key) = made.expect("a key");
        let known = async |text: &str, now| recognise(&store, text, now).await.expect("read");
        let found = known(&whole, at(999)).await.expect("the key");
        assert!(found.may("queue", Access::Read) && !found.may("trace", Access::Read));
        assert!(known(&whole, at(1_000)).await.is_none(), "its time is over");
        let mut other = whole.clone();
        other.replace_range(
            whole.len() - 1..,
            if whole.ends_with('0') { "1" } else { "0" },
        );
        for wrong in [other.as_str(), &whole[..20], "", "relais_", "relais__x"] {
            assert!(known(wrong, at(20)).await.is_none(), "{wrong}");
        }
        let kept = store.shelf_value(Shelf::ApiKey, &key.id).await;
        assert!(!kept.expect("read").expect("kept").contains(&whole[20..]));
        revoke(&store, &key.id, &BY).await.expect("revoked");
        assert!(known(&whole, at(20)).await.is_none(), "revoked");
    }

    #[tokio::test]
    async fn making_and_revoking_are_in_the_audit_without_the_secret() {
        let store = Store::in_memory(MemoryOptions::new(at(0)));
        let made = add(&store, &Chance::seeded(1), wish(&["*:read"]), &BY).await;
        let (whole, key) = made.expect("a key");
        revoke(&store, &key.id, &BY).await.expect("revoked");
        let entries = store.audit(10).await.expect("read");
        let acts: Vec<_> = entries.iter().map(|entry| entry.act.as_str()).collect();
        assert_eq!(acts, ["api-key.revoked", "api-key.added"]);
        let told = format!("{entries:?}");
        assert!(told.contains("*:read") && !told.contains(&whole[20..]));
    }

    #[tokio::test]
    async fn a_wish_without_name_scope_or_future_makes_no_key() {
        let store = Store::in_memory(MemoryOptions::new(at(0)));
        let nameless = Wish {
            name: " ".to_owned(),
            ..wish(&["queue:read"])
        };
        let past = Wish {
            expires: Some(at(10)),
            ..wish(&["queue:read"])
        };
        for wish in [nameless, past, wish(&[]), wish(&["queue"])] {
            let refused = add(&store, &Chance::seeded(1), wish, &BY).await;
            assert!(matches!(refused, Err(KeyError::Wish(_))), "{refused:?}");
        }
        assert!(store.shelf(Shelf::ApiKey).await.expect("read").is_empty());
    }
}
