//! What is owed to webhooks, written down before it is tried. Each webhook has a share of its own:
//! when a receiver is down for long, its new events are left out, which the log says, and those of
//! others are not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{Mutex, Notify, watch};

use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;
use relais_store::trace::erase::Eraser;

use super::{Delivery, DeliveryState};

/// Deliveries of one webhook that are kept, done or not.
const DELIVERIES_EACH_MAX: usize = 1_000;
/// Deliveries of all.
const DELIVERIES_MAX: usize = 20_000;
/// Done ones are kept for so long, for people to see and send again.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What is owed, and the bell for new webhooks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// All that is kept, by key: hook, then time.
    deliveries: Mutex<BTreeMap<String, Delivery>>,
    /// Something may be due.
    owed: Notify,
    /// There are other webhooks.
    hooks: watch::Sender<()>,
}

impl Outbox {
    /// A webhook changed.
    pub(crate) fn ring(&self) {
        self.0.hooks.send_replace(());
    }

    /// Who wants to know of other webhooks, from now on.
    pub(crate) fn hooks_change(&self) -> watch::Receiver<()> {
        self.0.hooks.subscribe()
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

    /// Takes an address out of what was sent, and of what is owed.
    pub(crate) async fn erase(
        &self,
        store: &Store,
        eraser: &Eraser,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut all = self.0.deliveries.lock().await;
        let mut change = ShelfChange::new(Shelf::WebhookDelivery, now);
        for (key, one) in all.iter_mut() {
            if let Some(without) = eraser.replace(&one.body) {
                one.body = without;
                change = change.put(key, one.to_json());
            }
        }
        if change.put.is_empty() {
            return Ok(());
        }
        store.change_shelf(change).await
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
        self.0.owed.notify_one();
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
            if !make_room(&mut all, &one.hook, &mut change) {
                tracing::warn!(
                    hook = one.hook,
                    "too much waits for this webhook: an event is left out"
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
        self.0.owed.notify_one();
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

    /// What is to be tried now, the longest due first: at most `most` in all, and with those that
    /// are under way (`trying`, by key) at most `each` of a webhook.
    pub(crate) async fn due(
        &self,
        trying: &BTreeSet<String>,
        (most, each): (usize, usize),
        now: Timestamp,
    ) -> Vec<(String, Delivery)> {
        let all = self.0.deliveries.lock().await;
        let mut of_hook: BTreeMap<&str, usize> = BTreeMap::new();
        for one in trying.iter().filter_map(|key| all.get(key)) {
            *of_hook.entry(&one.hook).or_default() += 1;
        }
        let due = all.iter().filter(|(key, one)| {
            one.state == DeliveryState::Waiting
                && one.next_ms <= now.as_millis()
                && !trying.contains(*key)
        });
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|(_, one)| one.next_ms);
        due.retain(|(_, one)| {
            let count = of_hook.entry(&one.hook).or_default();
            *count += 1;
            *count <= each
        });
        let due = due.into_iter().take(most);
        due.map(|(key, one)| (key.clone(), one.clone())).collect()
    }

    /// Something was owed, or is to be sent again.
    pub(crate) fn owed(&self) -> Notified<'_> {
        self.0.owed.notified()
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

/// Makes room for one more of a webhook; `false`: there is none. First goes what is done: of this
/// webhook where its share is full, of any where all is. What waits of others is never taken.
fn make_room(all: &mut BTreeMap<String, Delivery>, hook: &str, change: &mut ShelfChange) -> bool {
    let own = all.values().filter(|one| one.hook == hook).count();
    let is_full = own >= DELIVERIES_EACH_MAX;
    if !is_full && all.len() < DELIVERIES_MAX {
        return true;
    }
    let done = all
        .iter()
        .filter(|(_, one)| one.state != DeliveryState::Waiting)
        .filter(|(_, one)| !is_full || one.hook == hook);
    let oldest = done.min_by_key(|(_, one)| one.began_ms);
    let Some(key) = oldest.map(|(key, _)| key.clone()) else {
        return false;
    };
    all.remove(&key);
    change.put.retain(|(put, _)| *put != key);
    change.taken.push(key);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(hook: &str, number: i64, state: DeliveryState) -> (String, Delivery) {
        let one = Delivery {
            id: format!("msg_{number}"),
            hook: hook.to_owned(),
            kind: "alert.raised".to_owned(),
            body: String::new(),
            state,
            began_ms: number,
            next_ms: number,
            tries: Vec::new(),
        };
        (format!("{hook} {number:015} {}", one.id), one)
    }

    #[test]
    fn a_receiver_that_is_down_takes_no_room_of_others() {
        let mut change = ShelfChange::new(Shelf::WebhookDelivery, Timestamp::from_millis(0));
        let each = i64::try_from(DELIVERIES_EACH_MAX).expect("small");
        let dead = (0..each).map(|number| delivery("dead", number, DeliveryState::Waiting));
        let mut all: BTreeMap<_, _> = dead.collect();
        assert!(!make_room(&mut all, "dead", &mut change));
        assert!(make_room(&mut all, "other", &mut change));
        all.extend([delivery("dead", 5_000, DeliveryState::Delivered)]);
        assert!(make_room(&mut all, "dead", &mut change));
        assert_eq!((all.len(), change.taken.len()), (DELIVERIES_EACH_MAX, 1));
    }

    #[tokio::test]
    async fn webhooks_take_turns_however_much_waits_for_one() {
        let outbox = Outbox::default();
        let mut all = outbox.0.deliveries.lock().await;
        all.extend((0..500).map(|number| delivery("a", number, DeliveryState::Waiting)));
        all.extend([delivery("b", 700, DeliveryState::Waiting)]);
        drop(all);
        let now = Timestamp::from_millis(1_000);
        let due = outbox.due(&BTreeSet::new(), (8, 2), now).await;
        let hooks: Vec<_> = due.iter().map(|(_, one)| one.hook.as_str()).collect();
        assert_eq!(hooks, ["a", "a", "b"]);
        let trying = due.into_iter().map(|(key, _)| key).collect();
        assert!(outbox.due(&trying, (8, 2), now).await.is_empty());
    }
}
