//! When each credential was last used, until it is stored with those of others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use relais_smtp::time::Timestamp;
use relais_store::settings::CredentialUse;

/// One entry for each credential used since they were last stored: never more than there are
/// credentials.
#[derive(Default)]
pub(super) struct Uses(Mutex<HashMap<String, (Timestamp, IpAddr)>>);

impl Uses {
    pub(super) fn note(&self, user: &str, address: IpAddr, now: Timestamp) {
        self.lock().insert(user.to_owned(), (now, address));
    }

    pub(super) fn take(&self) -> Vec<CredentialUse> {
        let taken = std::mem::take(&mut *self.lock());
        taken
            .into_iter()
            .map(|(user, (time, address))| CredentialUse {
                user,
                time,
                address,
            })
            .collect()
    }

    /// What could not be stored; newer ones stay.
    pub(super) fn give_back(&self, uses: Vec<CredentialUse>) {
        let mut kept = self.lock();
        for one in uses {
            kept.entry(one.user).or_insert((one.time, one.address));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Timestamp, IpAddr)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
