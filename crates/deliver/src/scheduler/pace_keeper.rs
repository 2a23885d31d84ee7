//! Recipients of the last day over restarts. Saved once a minute and at a graceful end: a crash
//! forgets a minute's count.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relais_smtp::time::Timestamp;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;

use crate::context::DeliverContext;
use crate::pace::Day;

/// Under which name a connector's count is kept.
pub(super) fn name(organisation: &str, connector: &str) -> String {
    format!("{organisation} {connector}")
}

/// The count itself.
pub(super) fn locked(day: &Mutex<Day>) -> MutexGuard<'_, Day> {
    day.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was kept.
pub(super) async fn load(context: &DeliverContext) -> HashMap<String, Arc<Mutex<Day>>> {
    let entries = match context.store.shelf(Shelf::Pace).await {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(%error, "the day's recipients of paced connectors are counted anew");
            return HashMap::new();
        }
    };
    let (now, wall) = (context.clock.moment(), context.clock.now());
    let days = entries.into_iter().map(|entry| {
        let day = Day::restore(&entry.value, now, wall);
        (entry.key, Arc::new(Mutex::new(day)))
    });
    days.collect()
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
