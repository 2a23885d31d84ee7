//! Passwords that were right lately, so that a device that logs in for every page does not cost a
//! slow check each time.
//!
//! Only a keyed hash of hash and password is kept: a mark. It is made with the stored hash, so a
//! rotated or revoked credential is forgotten by itself. Failures are never remembered.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use relais_net::clock::Moment;
use relais_smtp::secret::Secret;
use sha2::Sha256;

/// A password is known again for so long after a slow check.
const LIFETIME: Duration = Duration::from_secs(300);
/// Marks kept; when there are more, all are forgotten, and the next logins are checked anew.
const MARKS_MAX: usize = 10_000;

/// What is kept of a password.
pub(super) type Mark = [u8; 32];

/// The marks.
pub(super) struct Remembered {
    /// Of this process alone: a mark means nothing elsewhere.
    key: Mark,
    marks: Mutex<HashMap<Mark, Moment>>,
}

impl Remembered {
    pub(super) fn new(key: Mark) -> Self {
        Self {
            key,
            marks: Mutex::default(),
        }
    }

    pub(super) fn mark(&self, hash: &str, password: &Secret) -> Mark {
        Hmac::<Sha256>::new_from_slice(&self.key)
            .expect("HMAC takes keys of any length")
            .chain_update(hash.as_bytes())
            .chain_update([0])
            .chain_update(password.expose())
            .finalize()
            .into_bytes()
            .into()
    }

    pub(super) fn knows(&self, mark: &Mark, now: Moment) -> bool {
        self.lock()
            .get(mark)
            .is_some_and(|at| now.duration_since(*at) < LIFETIME)
    }

    pub(super) fn keep(&self, mark: Mark, now: Moment) {
        let mut marks = self.lock();
        if marks.len() >= MARKS_MAX {
            marks.clear();
        }
        marks.insert(mark, now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Mark, Moment>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
