//! What is owed to webhooks, written down before it is tried. More than `DELIVERIES_MAX` are not
//! owed at the same time: then new events are left out, and the log says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{Mutex, Notify};

use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;

use super::{Delivery, DeliveryState};

/// Deliveries that are kept, done or not.
const DELIVERIES_MAX: usize = 10_000;
/// Done ones are kept for so long, for people to see and send again.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What is owed, and the bell for new webhooks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// All that is kept, by key: hook, then time.
    deliveries: Mutex<BTreeMap<String, Delivery>>,
    changed: Notify,
}

impl Outbox {
    /// Something changed: a webhook, or a delivery is to be sent again.
    pub(crate) fn ring(&self) {
        self.0.changed.notify_one();
    }

    /// The newest of a webhook first.
    pub(crate) async fn of(&self, hook: &str, limit: usize) -> Vec<Delivery> {
        let all = self.0.deliveries.lock().await;
        let prefix = format!("{hook} ");
        let mine = all
            .range(prefix.clone()..)
            .take_while(|(key, _)| key.starts_with(&prefix));
        let mut mine: Vec<_> = mine.map(|(_, one)| one.clone()).collect();
        mine.reverse();
        mine.truncate(limit);
        mine
    }

    /// Sends one again, now; `false`: there is none.
    pub(crate) async fn again(
        &self,
        store: &Store,
        (hook, id): (&str, &str),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut all = self.0.deliveries.lock().await;
        let found = all
            .iter_mut()
            .find(|(_, one)| one.hook == hook && one.id == id);
        let Some((key, one)) = found else {
            return Ok(false);
        };
        one.state = DeliveryState::Waiting;
        one.next_ms = now.as_millis();
        one.tries.clear();
        let change = ShelfChange::new(Shelf::WebhookDelivery, now).put(key, one.to_json());
        store.change_shelf(change).await?;
        self.0.changed.notify_one();
        Ok(true)
    }

    /// Owes these to their webhooks.
    pub(crate) async fn owe(
        &self,
        store: &Store,
        owed: Vec<Delivery>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut all = self.0.deliveries.lock().await;
        let mut change = ShelfChange::new(Shelf::WebhookDelivery, now);
        for one in owed {
            if all.len() >= DELIVERIES_MAX && !make_room(&mut all, &mut change) {
                tracing::warn!(
                    hook = one.hook,
                    "too much waits for webhooks: an event is left out"
                );
                continue;
            }
            let key = format!("{} {:015} {}", one.hook, one.began_ms, one.id);
            change.put.push((key.clone(), one.to_json()));
            all.insert(key, one);
        }
        if change.put.is_empty() && change.taken.is_empty() {
            return Ok(());
        }
        store.change_shelf(change).await?;
        self.0.changed.notify_one();
        Ok(())
    }

    pub(crate) async fn load(&self, store: &Store) -> Result<(), StoreError> {
        let entries = store.shelf(Shelf::WebhookDelivery).await?;
        let mut all = self.0.deliveries.lock().await;
        for entry in entries {
            if let Ok(one) = serde_json::from_str(&entry.value) {
                all.insert(entry.key, one);
            }
        }
        Ok(())
    }

    pub(crate) async fn due(&self, now: Timestamp, most: usize) -> Vec<(String, Delivery)> {
        let all = self.0.deliveries.lock().await;
        let due = all.iter().filter(|(_, one)| {
            one.state == DeliveryState::Waiting && one.next_ms <= now.as_millis()
        });
        due.take(most)
            .map(|(key, one)| (key.clone(), one.clone()))
            .collect()
    }

    /// Rung by [`Outbox::ring`].
    pub(crate) fn rung(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// What came of a try.
    pub(crate) async fn keep(
        &self,
        store: &Store,
        (key, one): (String, Delivery),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut all = self.0.deliveries.lock().await;
        let change = ShelfChange::new(Shelf::WebhookDelivery, now).put(&key, one.to_json());
        all.insert(key, one);
        store.change_shelf(change).await
    }

    pub(crate) async fn sweep(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        let mut all = self.0.deliveries.lock().await;
        let mut change = ShelfChange::new(Shelf::WebhookDelivery, now);
        all.retain(|key, one| {
            let age = now.since(Timestamp::from_millis(one.began_ms));
            let is_old = one.state != DeliveryState::Waiting && age >= KEPT;
            if is_old {
                change.taken.push(key.clone());
            }
            !is_old
        });
        if change.taken.is_empty() {
            return Ok(());
        }
        store.change_shelf(change).await
    }
}

/// Takes the oldest that is done.
fn make_room(all: &mut BTreeMap<String, Delivery>, change: &mut ShelfChange) -> bool {
    let done = all
        .iter()
        .filter(|(_, one)| one.state != DeliveryState::Waiting);
    let oldest = done.min_by_key(|(_, one)| one.began_ms);
    let Some(key) = oldest.map(|(key, _)| key.clone()) else {
        return false;
    };
    all.remove(&key);
    change.taken.push(key);
    true
}
