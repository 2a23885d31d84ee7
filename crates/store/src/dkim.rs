//! A change of the DKIM keys of a domain, as a value, and their place on the shelf. What the states
//! of keys mean is decided in `relais_policy::dkim`; the private halves are secrets.

use relais_policy::dkim::{DkimTable, DomainKeys};
use relais_policy::proof::ProofKey;
use relais_policy::settings::Settings;
use relais_smtp::time::Timestamp;

use crate::error::StoreError;
use crate::known::{KnownChange, place, read_place};
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

impl KnownChange for DkimChange {
    /// Whether nobody changed them in between, and the domain is there.
    fn fits(&self, settings: &Settings) -> bool {
        let (organisation, domain) = (&*self.key.organisation, &self.key.domain);
        settings.dkim.get(organisation, domain) == self.before.as_ref()
            && (self.after.is_none() || settings.has_domain(&self.key))
    }

    fn shelved(&self) -> Result<ShelfChange, StoreError> {
        let place = place(&self.key);
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

    fn events(&self) -> &[Event] {
        &self.events
    }

    fn applied(&self, settings: &Settings) -> Settings {
        let mut table = (*settings.dkim).clone();
        table.set(self.key.clone(), self.after.clone());
        settings.with_dkim(table)
    }
}

/// What the shelf holds. Where an entry cannot be read nobody knows whether a key was active: its
/// domain is held to be damaged, and its mail waits.
pub(crate) fn table(entries: &[ShelfEntry]) -> DkimTable {
    let mut table = DkimTable::default();
    for entry in entries {
        let key = read_place(&entry.key);
        let keys = serde_json::from_str(&entry.value);
        if let Some(error) = keys.as_ref().err() {
            tracing::error!(key = entry.key, %error, "the DKIM keys of a domain cannot be read");
        }
        match key {
            Some(key) => table.set(key, Some(keys.unwrap_or_else(|_| DomainKeys::damaged()))),
            None => tracing::error!(key = entry.key, "DKIM keys are of no domain"),
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use relais_smtp::domain::Domain;

    use super::*;

    #[test]
    fn a_state_that_cannot_be_read_is_damaged_and_not_none() {
        let entry = |key: &str, value: &str| ShelfEntry {
            key: key.to_owned(),
            value: value.to_owned(),
            since: Timestamp::default(),
        };
        let domain = Domain::parse("contoso.test").unwrap();
        let whole = serde_json::to_string(&DomainKeys::new("k3f9".to_owned())).unwrap();
        for (value, damaged) in [
            (&*whole, false),
            (&whole[..whole.len() - 3], true),
            ("", true),
            ("null", true),
        ] {
            let table = table(&[entry("contoso contoso.test", value)]);
            let keys = table.get("contoso", &domain).unwrap();
            assert_eq!(keys.damaged, damaged, "{value}");
        }
    }
}
