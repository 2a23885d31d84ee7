//! A change of the DKIM keys of a domain, as a value, and their place on the shelf. What the states
//! of keys mean is decided in `relais_policy::dkim`; the private halves are secrets.

use relais_policy::dkim::{DkimTable, DomainKeys};
use relais_policy::proof::ProofKey;
use relais_policy::settings::Settings;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

use crate::error::StoreError;
use crate::shelf::{Shelf, ShelfAudit, ShelfChange, ShelfEntry};
use crate::trace::Event;

/// A change to be made.
#[derive(Clone, Debug)]
pub struct DkimChange {
    /// Of whose domain.
    pub key: ProofKey,
    /// What it was made from; `None`: there were none.
    pub before: Option<DomainKeys>,
    /// What they become; `None`: they go, with the domain.
    pub after: Option<DomainKeys>,
    /// When.
    pub time: Timestamp,
    /// For the audit, if a person should find it there.
    pub audit: Option<ShelfAudit>,
    /// For the trace.
    pub events: Vec<Event>,
}

impl DkimChange {
    /// Whether nobody changed them in between, and the domain is there.
    pub(crate) fn fits(&self, settings: &Settings) -> bool {
        let (organisation, domain) = (&*self.key.organisation, &self.key.domain);
        settings.dkim.get(organisation, domain) == self.before.as_ref()
            && (self.after.is_none() || settings.has_domain(&self.key))
    }

    /// For the shelf.
    pub(crate) fn shelved(&self) -> Result<ShelfChange, StoreError> {
        let place = format!("{} {}", self.key.organisation, self.key.domain);
        let mut change = ShelfChange::new(Shelf::DkimKey, self.time);
        match &self.after {
            Some(after) => {
                let text = serde_json::to_string(after);
                let text = text.map_err(|error| StoreError::Fault(error.to_string()))?;
                change = change.put(place, text);
            }
            None => change = change.take(place),
        }
        change.audit.clone_from(&self.audit);
        Ok(change)
    }

    /// In force.
    pub(crate) fn applied(&self, settings: &Settings) -> Settings {
        let mut table = (*settings.dkim).clone();
        table.set(self.key.clone(), self.after.clone());
        settings.with_dkim(table)
    }
}

/// What the shelf holds. An entry that cannot be read is left out, and said: a domain without its
/// keys gets new ones, which do not sign before DNS shows them.
pub(crate) fn table(entries: &[ShelfEntry]) -> DkimTable {
    let read = |entry: &ShelfEntry| {
        let (organisation, domain) = entry.key.split_once(' ')?;
        let domain = Domain::parse(domain).ok()?;
        let keys = serde_json::from_str(&entry.value).ok()?;
        Some((ProofKey::new(organisation, &domain), keys))
    };
    let mut table = DkimTable::default();
    for entry in entries {
        match read(entry) {
            Some((key, keys)) => table.set(key, Some(keys)),
            None => tracing::error!(key = entry.key, "the DKIM keys of a domain cannot be read"),
        }
    }
    table
}
