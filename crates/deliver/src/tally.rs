//! What is counted by day and domain for the reports on TLS: sessions, hosts that were never tried
//! because a policy forbade it, and policies that could not be had. RFC 8460 §4.
//!
//! Not here: what counts as what (`results`, `sts`), keeping and sending (`report`), the adding up
//! (`relais_policy::tls_report`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relais_policy::tls_report::{Failure, Policy, PolicyResults, count};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

/// Days and domains counted; those met beyond are not reported.
const DOMAINS_MAX: usize = 20_000;

/// A day and a domain.
pub(crate) type Key = (String, Domain);

/// See the head of this file. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) counted: BTreeMap<Key, Counted>,
    /// What was counted before a restart is in it.
    pub(crate) loaded: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Counted {
    pub(crate) results: Vec<PolicyResults>,
    /// Not yet on the shelf as it is.
    pub(crate) changed: bool,
}

impl Tally {
    /// Counts one of today.
    pub(crate) fn count(
        &self,
        now: Timestamp,
        domain: &Domain,
        policy: Policy,
        failure: Option<Failure>,
    ) {
        let key = (now.day(), domain.clone());
        let mut state = self.lock();
        if state.counted.len() >= DOMAINS_MAX && !state.counted.contains_key(&key) {
            return;
        }
        let counted = state.counted.entry(key).or_default();
        count(&mut counted.results, policy, failure);
        counted.changed = true;
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
