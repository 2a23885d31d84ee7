//! Requests that a program may repeat without doing anything twice: what was answered is kept for
//! a day, and before anything is done it is written down that it has begun.
//!
//! A repeat of a request of which only the beginning is known, because the server stopped in
//! between, is answered with neither: whoever asks must look.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;

use crate::people::{hash_of, hexadecimal};

/// For so long an answer is kept.
pub(crate) const ANSWER_LIFE: Duration = Duration::from_secs(24 * 3_600);
/// Longest key, in octets.
pub(crate) const KEY_OCTETS_MAX: usize = 255;
/// Answers kept at the same time: one a second.
const ANSWERS_MAX: usize = 100_000;
/// How often what is too old is taken away.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

/// What was answered.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

#[derive(Deserialize, Serialize)]
struct Kept {
    request: String,
    began_ms: i64,
    answer: Option<Answered>,
}

/// What to do with a request.
#[derive(Debug)]
pub(crate) enum Ticket {
    /// It is new: do it, then tell [`Begun::end`].
    New(Begun),
    /// It was answered.
    Again(Answered),
    /// It is under way at this moment.
    UnderWay,
    /// It had begun when the server stopped.
    Unknown,
    /// The key belongs to another request.
    Other,
    /// Too many are kept.
    Full,
}

/// Requests under way, and the sweep. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Idempotency(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    under_way: HashSet<String>,
    swept: Option<Timestamp>,
    is_full: bool,
}

/// A request that has begun; the place is free when it is dropped.
#[derive(Debug)]
pub(crate) struct Begun {
    place: String,
    request: String,
    began: Timestamp,
    all: Idempotency,
}

impl Idempotency {
    /// `whose`: the key of the API; `key`: the request's; `request`: all of what is asked.
    pub(crate) async fn begin(
        &self,
        store: &Store,
        (whose, key, request): (&str, &str, &[&[u8]]),
        now: Timestamp,
    ) -> Result<Ticket, StoreError> {
        self.sweep(store, now).await?;
        let place = format!("{whose} {}", hash_of(key));
        let request = request
            .iter()
            .map(|part| hexadecimal(&Sha256::digest(part)));
        let request = request.collect::<Vec<_>>().join(" ");
        {
            let mut inner = self.lock();
            if inner.is_full {
                return Ok(Ticket::Full);
            }
            if !inner.under_way.insert(place.clone()) {
                return Ok(Ticket::UnderWay);
            }
        }
        let begun = Begun {
            place,
            request,
            began: now,
            all: self.clone(),
        };
        let kept = store.shelf_value(Shelf::Idempotency, &begun.place).await?;
        let kept: Option<Kept> = kept.and_then(|text| serde_json::from_str(&text).ok());
        let kept =
            kept.filter(|kept| now.since(Timestamp::from_millis(kept.began_ms)) < ANSWER_LIFE);
        match kept {
            Some(kept) if kept.request != begun.request => Ok(Ticket::Other),
            Some(Kept {
                answer: Some(answer),
                ..
            }) => Ok(Ticket::Again(answer)),
            Some(Kept { answer: None, .. }) => Ok(Ticket::Unknown),
            None => {
                begun.put(store, None, now).await?;
                Ok(Ticket::New(begun))
            }
        }
    }

    async fn sweep(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        {
            let mut inner = self.lock();
            if inner
                .swept
                .is_some_and(|last| now.since(last) < SWEEP_INTERVAL)
            {
                return Ok(());
            }
            inner.swept = Some(now);
        }
        let kept = store.shelf(Shelf::Idempotency).await?;
        let is_old = |since: Timestamp| now.since(since) >= ANSWER_LIFE;
        let mut change = ShelfChange::new(Shelf::Idempotency, now);
        let old = kept.iter().filter(|entry| is_old(entry.since));
        change.taken = old.map(|entry| entry.key.clone()).collect();
        self.lock().is_full = kept.len() - change.taken.len() >= ANSWERS_MAX;
        if change.taken.is_empty() {
            return Ok(());
        }
        store.change_shelf(change).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    /// The answer; `None`: nothing was done, and it may be asked again.
    pub(crate) async fn end(
        self,
        store: &Store,
        answer: Option<Answered>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match answer {
            Some(answer) => self.put(store, Some(answer), now).await,
            None => {
                let change = ShelfChange::new(Shelf::Idempotency, now).take(&self.place);
                store.change_shelf(change).await
            }
        }
    }

    async fn put(
        &self,
        store: &Store,
        answer: Option<Answered>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let kept = Kept {
            request: self.request.clone(),
            began_ms: self.began.as_millis(),
            answer,
        };
        let value = serde_json::to_string(&kept).expect("texts and numbers can be written");
        store
            .change_shelf(ShelfChange::new(Shelf::Idempotency, now).put(&self.place, value))
            .await
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.all.lock().under_way.remove(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use relais_store::memory::MemoryOptions;
    use serde_json::json;

    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(hours * 3_600_000)
    }

    fn answer() -> Answered {
        Answered {
            status: 202,
            body: json!({ "queue_id": "x" }),
        }
    }

    #[tokio::test]
    async fn what_was_answered_is_answered_again_for_a_day_and_only_to_the_same_request() {
        let store = Store::in_memory(MemoryOptions::new(at(0)));
        let all = Idempotency::default();
        let ask = async |request: &[u8], now| {
            all.begin(&store, ("key", "1", &[request]), now)
                .await
                .expect("read")
        };
        let Ticket::New(begun) = ask(b"a", at(1)).await else {
            panic!("it is new");
        };
        assert!(matches!(ask(b"a", at(1)).await, Ticket::UnderWay));
        begun
            .end(&store, Some(answer()), at(1))
            .await
            .expect("kept");
        assert!(matches!(ask(b"a", at(24)).await, Ticket::Again(kept) if kept == answer()));
        assert!(matches!(ask(b"b", at(24)).await, Ticket::Other));
        assert!(matches!(ask(b"b", at(26)).await, Ticket::New(_)));
    }

    #[tokio::test]
    async fn a_request_that_the_server_did_not_finish_is_neither_done_again_nor_answered() {
        let store = Store::in_memory(MemoryOptions::new(at(0)));
        let begun = Idempotency::default()
            .begin(&store, ("key", "1", &[b"a"]), at(1))
            .await;
        drop(begun);
        let after = Idempotency::default()
            .begin(&store, ("key", "1", &[b"a"]), at(2))
            .await;
        assert!(matches!(after, Ok(Ticket::Unknown)), "{after:?}");
    }

    #[tokio::test]
    async fn a_request_that_did_nothing_may_be_asked_again() {
        let store = Store::in_memory(MemoryOptions::new(at(0)));
        let all = Idempotency::default();
        let Ok(Ticket::New(begun)) = all.begin(&store, ("key", "1", &[b"a"]), at(1)).await else {
            panic!("it is new");
        };
        begun.end(&store, None, at(1)).await.expect("forgotten");
        let again = all.begin(&store, ("key", "1", &[b"a"]), at(1)).await;
        assert!(matches!(again, Ok(Ticket::New(_))), "{again:?}");
    }
}
