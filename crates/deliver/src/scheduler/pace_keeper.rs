//! Recipients of the last day over restarts. Saved once a minute and at a graceful end: a crash
//! forgets a minute's count.

use std::collections::HashMap;

use relais_smtp::time::Timestamp;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;

/// What was kept.
pub(super) async fn load(store: &Store) -> HashMap<String, String> {
    match store.shelf(Shelf::Pace).await {
        Ok(entries) => entries
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "the day's recipients of paced connectors are counted anew");
            HashMap::new()
        }
    }
}

/// Keeps these counts; those that are gone are taken away.
pub(super) async fn save(store: Store, paces: Vec<(String, Option<String>)>, now: Timestamp) {
    if paces.is_empty() {
        return;
    }
    let mut change = ShelfChange::new(Shelf::Pace, now);
    for (name, kept) in paces {
        match kept {
            Some(kept) => change.put.push((name, kept)),
            None => change.taken.push(name),
        }
    }
    if let Err(error) = store.change_shelf(change).await {
        tracing::warn!(%error, "the day's recipients of paced connectors could not be kept");
    }
}
