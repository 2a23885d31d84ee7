//! Changes of what is known beside the settings document and counts with it: kept on a shelf, part
//! of the snapshot, in force as soon as they are stored. Its version stays.

use relais_policy::proof::ProofKey;
use relais_policy::settings::{Settings, ShownBounces};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

use crate::error::StoreError;
use crate::shelf::{Shelf, ShelfChange, ShelfEntry};
use crate::trace::Event;

/// One such change.
pub(crate) trait KnownChange: Send + 'static {
    /// Whether it is still about what it was made from.
    fn fits(&self, settings: &Settings) -> bool;
    /// For the shelf.
    fn shelved(&self) -> Result<ShelfChange, StoreError>;
    /// For the trace.
    fn events(&self) -> &[Event];
    /// In force.
    fn applied(&self, settings: &Settings) -> Settings;
}

/// What DNS shows of a bounce domain.
#[derive(Clone, Debug)]
pub struct BounceChange {
    /// Of which accepted domain.
    pub key: ProofKey,
    /// The bounce domain that leads to us; `None`: none does.
    pub shown: Option<Domain>,
    /// When.
    pub time: Timestamp,
    /// For the trace.
    pub events: Vec<Event>,
}

impl KnownChange for BounceChange {
    fn fits(&self, settings: &Settings) -> bool {
        self.shown.is_none() || settings.has_domain(&self.key)
    }

    fn shelved(&self) -> Result<ShelfChange, StoreError> {
        let change = ShelfChange::new(Shelf::BounceDomain, self.time);
        let place = place(&self.key);
        Ok(match &self.shown {
            Some(shown) => change.put(place, shown.as_str()),
            None => change.take(place),
        })
    }

    fn events(&self) -> &[Event] {
        &self.events
    }

    fn applied(&self, settings: &Settings) -> Settings {
        let mut shown = (*settings.shown_bounces).clone();
        match &self.shown {
            Some(domain) => shown.insert(self.key.clone(), domain.clone()),
            None => shown.remove(&self.key),
        };
        settings.with_shown_bounces(shown)
    }
}

/// What the shelf holds. What cannot be read is looked for again: until then senders stay.
pub(crate) fn shown_bounces(entries: &[ShelfEntry]) -> ShownBounces {
    let read = |entry: &ShelfEntry| {
        let key = read_place(&entry.key)?;
        Some((key, Domain::parse(&entry.value).ok()?))
    };
    entries.iter().filter_map(read).collect()
}

/// `contoso contoso.test`.
pub(crate) fn place(key: &ProofKey) -> String {
    format!("{} {}", key.organisation, key.domain)
}

/// The other way.
pub(crate) fn read_place(text: &str) -> Option<ProofKey> {
    let (organisation, domain) = text.split_once(' ')?;
    Some(ProofKey::new(organisation, &Domain::parse(domain).ok()?))
}
