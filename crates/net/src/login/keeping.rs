//! Refresh tokens that an issuer has changed and the store has not taken yet: the new one works
//! from memory, and is stored again and again until it stands, so that a restart does not lose it.
//! Until then that is told (`grants` in `relais-deliver`).
//!
//! Not here: asking the issuer ([`super::Logins`]).

use std::sync::{Arc, Weak};
use std::time::Duration;

use relais_smtp::secret::Secret;

use super::{Inner, KeptName, Tokens};

/// Between two tries to store it, at first; twice as long each time.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
/// The longest wait between two tries: a restart comes when it likes.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// A refresh token that the store has not taken.
#[derive(Clone)]
pub(super) struct Unkept {
    pub(super) refresh: Secret,
    /// What the store held when the issuer gave it. Something else there is a person's.
    pub(super) instead_of: Option<Secret>,
    /// Why the store did not take it.
    pub(super) because: String,
}

impl Tokens {
    /// Forgets what was not stored, if a person has kept or forgotten a token since.
    pub(super) fn yield_to(&mut self, kept: Option<&Secret>) {
        let is_replaced = |unkept: &Unkept| unkept.instead_of.as_ref() != kept;
        if self.unkept.as_ref().is_some_and(is_replaced) {
            self.unkept = None;
        }
    }

    /// What somebody should know while it lasts.
    pub(super) fn warning(&self) -> Option<String> {
        let because = &self.unkept.as_ref()?.because;
        Some(format!(
            "a new refresh token is not stored yet, and a restart would lose it: {because}"
        ))
    }
}

impl Inner {
    /// Stores a new refresh token; one that the store does not take works from memory.
    pub(super) async fn keep_refresh(
        self: &Arc<Self>,
        name: &KeptName,
        (refresh, instead_of): (Secret, Option<Secret>),
        tokens: &mut Tokens,
    ) {
        let Err(because) = self.vault.keep(name, refresh.clone()).await else {
            tokens.unkept = None;
            return;
        };
        tracing::error!("a new refresh token is not stored yet: {because}");
        let is_new = tokens.unkept.is_none();
        let instead_of = match tokens.unkept.take() {
            Some(before) => before.instead_of,
            None => instead_of,
        };
        tokens.unkept = Some(Unkept {
            refresh,
            instead_of,
            because,
        });
        if is_new {
            self.noticed.notify_one();
            tokio::spawn(keep_again(Arc::downgrade(self), name.clone()));
        }
    }

    /// Tries once more; whether nothing is left to do.
    async fn keep_once_more(&self, name: &KeptName) -> bool {
        let key = (Arc::clone(&name.organisation), Arc::clone(&name.connector));
        let tokens = self.all_tokens().get(&key).cloned();
        let Some(tokens) = tokens else {
            return true;
        };
        let mut tokens = tokens.lock().await;
        if let Ok(kept) = self.vault.kept(name).await {
            tokens.yield_to(kept.as_ref());
        }
        let Some(unkept) = tokens.unkept.clone() else {
            return true;
        };
        match self.vault.keep(name, unkept.refresh).await {
            Ok(()) => {
                tracing::info!("the new refresh token is stored");
                tokens.unkept = None;
                true
            }
            Err(because) => {
                if let Some(unkept) = &mut tokens.unkept {
                    unkept.because = because;
                }
                false
            }
        }
    }
}

/// Until it is stored, or nobody needs it any more.
async fn keep_again(inner: Weak<Inner>, name: KeptName) {
    let mut wait = AGAIN_FIRST;
    loop {
        let Some(clock) = inner.upgrade().map(|inner| inner.clock.clone()) else {
            return;
        };
        clock.sleep(wait).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        if inner.keep_once_more(&name).await {
            inner.noticed.notify_one();
            return;
        }
        wait = (wait * 2).min(AGAIN_MAX);
    }
}
