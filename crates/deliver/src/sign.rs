//! DKIM, the last step before the wire. RFC 6376.
//!
//! Mail of a domain with an active key never leaves unsigned: while its key cannot be read it
//! waits. Which domain signs is decided in `relais_policy::signing`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use relais_net::dkim::SigningKey;
use relais_policy::dkim::Key;
use relais_policy::signing::{Signer, Signing, signing};
use relais_smtp::dkim::Terms;
use relais_smtp::domain::Domain;
use relais_store::queue::Leased;
use relais_store::secret::{SecretKind, SecretName};
use relais_store::store::Store;

use crate::context::DeliverContext;
use crate::front::Withheld;
use crate::original::section_and_body;

/// Keys kept ready at most; more domains than these sign a little slower.
const READY_KEYS_MAX: usize = 4_096;

/// What signing came to.
#[derive(Debug, Default)]
pub(crate) struct Signed {
    /// Fields with their line ends; empty: none.
    pub(crate) field: String,
    /// The domains in `d=`.
    pub(crate) by: Vec<Arc<str>>,
    /// Why there is none, where somebody wanted one.
    pub(crate) unsigned: Option<Arc<str>>,
}

/// Private keys, read from the store once each. By the public half too: a selector is used again.
#[derive(Default)]
pub(crate) struct ReadyKeys(Mutex<HashMap<(SecretName, String), Arc<SigningKey>>>);

/// Signs a message about to leave.
pub(crate) async fn sign(
    context: &DeliverContext,
    keys: &ReadyKeys,
    leased: &Leased,
) -> Result<Signed, Withheld> {
    let (settings, facts) = (context.store.settings(), &leased.facts);
    let signer = Signer {
        organisation: &facts.organisation,
        is_ours: facts.is_notice || facts.inbound_connector.is_some(),
        is_notice: facts.is_notice,
        header_from: facts.header_from.as_deref(),
        reverse_path: facts.reverse_path.domain(),
    };
    let withheld = |domain: &Domain, because: &str| {
        let words = format!("not sent, as it must be signed by {domain} and cannot be: {because}");
        Withheld(words.into())
    };
    let (domain, active) = match signing(&settings, &signer) {
        Signing::By { domain, keys } => (domain, keys),
        Signing::Withheld(domain) => {
            let because = "what is known of its keys cannot be read; restore a backup, or relais \
                           dkim generate";
            return Err(withheld(&domain, because));
        }
        Signing::Unsigned(unsigned) => {
            let wanted = unsigned.is_wanted();
            return Ok(Signed {
                unsigned: wanted.then(|| format!("unsigned: {}", unsigned.describe()).into()),
                ..Signed::default()
            });
        }
    };
    let withheld = |because: String| withheld(&domain, &because);
    let ready = keys.of(&context.store, &facts.organisation, &domain, &active);
    let ready = ready.await.map_err(withheld)?;
    let (section, body) = section_and_body(&context.store, leased)
        .await
        .map_err(withheld)?;
    let mut field = String::new();
    for (key, private) in ready {
        let terms = Terms {
            domain: &domain,
            selector: &key.selector,
            algorithm: private.algorithm(),
            time: context.clock.now(),
        };
        let one = private.sign(&section, &body, &terms);
        field.push_str(&one.map_err(|error| withheld(error.to_string()))?);
    }
    Ok(Signed {
        field,
        by: vec![domain.as_str().into()],
        unsigned: None,
    })
}

impl ReadyKeys {
    /// Those that can be read; `Err`: none can.
    pub(crate) async fn of<'a>(
        &self,
        store: &Store,
        organisation: &str,
        domain: &Domain,
        keys: &[&'a Key],
    ) -> Result<Vec<(&'a Key, Arc<SigningKey>)>, String> {
        let mut ready = Vec::with_capacity(keys.len());
        let mut fault = String::new();
        for key in keys {
            let name = secret_name(organisation, domain, key);
            let known = self.with(|kept| kept.get(&(name.clone(), key.public.clone())).cloned());
            let private = match known {
                Some(private) => Ok(private),
                None => self.load(store, name, key).await,
            };
            match private {
                Ok(private) => ready.push((*key, private)),
                Err(because) => fault = because,
            }
        }
        if ready.is_empty() {
            Err(fault)
        } else {
            Ok(ready)
        }
    }

    async fn load(
        &self,
        store: &Store,
        name: SecretName,
        key: &Key,
    ) -> Result<Arc<SigningKey>, String> {
        let kept = store
            .secret(&name)
            .await
            .map_err(|error| error.to_string())?;
        let kept = kept.ok_or_else(|| format!("there is no {name}"))?;
        let private = SigningKey::from_secret(key.algorithm.signing(), &kept);
        let private = private.map_err(|error| error.to_string())?;
        if private.public().as_deref() != Ok(key.public.as_str()) {
            return Err(format!("{name} is another key than DNS shows"));
        }
        let private = Arc::new(private);
        self.with(|kept| {
            if kept.len() >= READY_KEYS_MAX {
                kept.clear();
            }
            kept.insert((name, key.public.clone()), Arc::clone(&private));
        });
        Ok(private)
    }

    /// A map is whole whatever a panicking thread did with it.
    fn with<T>(
        &self,
        act: impl FnOnce(&mut HashMap<(SecretName, String), Arc<SigningKey>>) -> T,
    ) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the private half of a key is kept.
fn secret_name(organisation: &str, domain: &Domain, key: &Key) -> SecretName {
    let name = format!("{domain} {}", key.selector);
    SecretName::new(organisation, SecretKind::DkimKey, name)
}
