//! Queues that are due and rightly wait, as the scheduler says: for the watch over progress.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use relais_net::clock::Moment;
use relais_store::queue::QueueKey;

/// Excuses remembered; without one a queue that rests raises an alarm too many.
const EXCUSES_MAX: usize = 100_000;

/// Queues that rightly wait, and until when.
#[derive(Debug, Default)]
pub(crate) struct Excuses(Mutex<HashMap<QueueKey, Moment>>);

impl Excuses {
    /// Nothing of this queue need be tried before then.
    pub(crate) fn note(&self, key: &QueueKey, until: Moment) {
        let mut excuses = self.lock();
        if excuses.len() < EXCUSES_MAX || excuses.contains_key(key) {
            excuses.insert(key.clone(), until);
        }
    }

    /// Whether it may wait.
    pub(crate) fn is_excused(&self, key: &QueueKey, now: Moment) -> bool {
        self.lock().get(key).is_some_and(|until| *until > now)
    }

    /// Forgets those that ran out.
    pub(crate) fn tidy(&self, now: Moment) {
        self.lock().retain(|_, until| *until > now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QueueKey, Moment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
