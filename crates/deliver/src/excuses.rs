//! Queues that are due and rightly wait, as the scheduler says: for the watch over progress,
//! and for the sweep that ends lifetimes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use relais_net::clock::Moment;
use relais_store::queue::QueueKey;

/// Excuses remembered; without one a queue that rests raises an alarm too many.
const EXCUSES_MAX: usize = 100_000;

/// Queues that rightly wait, and until when.
#[derive(Debug, Default)]
pub(crate) struct Excuses(Mutex<HashMap<QueueKey, Excuse>>);

#[derive(Clone, Copy, Debug)]
struct Excuse {
    until: Moment,
    /// It is our own pace that holds it.
    paced: bool,
}

impl Excuses {
    /// Nothing of this queue need be tried before then.
    pub(crate) fn note(&self, key: &QueueKey, until: Moment, paced: bool) {
        let mut excuses = self.lock();
        if excuses.len() < EXCUSES_MAX || excuses.contains_key(key) {
            excuses.insert(key.clone(), Excuse { until, paced });
        }
    }

    /// Whether it may wait.
    pub(crate) fn is_excused(&self, key: &QueueKey, now: Moment) -> bool {
        self.lock().get(key).is_some_and(|one| one.until > now)
    }

    /// Whether it waits for our own pace.
    pub(crate) fn is_paced(&self, key: &QueueKey, now: Moment) -> bool {
        let excuses = self.lock();
        excuses
            .get(key)
            .is_some_and(|one| one.paced && one.until > now)
    }

    /// Forgets those that ran out.
    pub(crate) fn tidy(&self, now: Moment) {
        self.lock().retain(|_, one| one.until > now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QueueKey, Excuse>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
