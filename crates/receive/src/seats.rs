//! Who sent of late, for licences: asked at MAIL, noted when content is complete. Kept over
//! restarts on a shelf, twice a minute and at a graceful end.
//!
//! Not here: who needs a seat, and who has one (`relais_policy::licence`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_net::clock::Clock;
use relais_policy::licence::{Observed, licences_of};
use relais_policy::settings::Settings;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::refusal::Refusal;
use relais_smtp::time::Timestamp;
use relais_store::shelf::{SHELF_ENTRIES_MAX, Shelf, ShelfChange};
use relais_store::store::Store;
use relais_store::trace::{Event, EventKind};
use tokio_util::sync::CancellationToken;

/// Between two times that it is kept.
const KEEP_EVERY: Duration = Duration::from_secs(30);

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Senders(Mutex<State>);

#[derive(Default)]
struct State {
    by_organisation: BTreeMap<Arc<str>, Observed>,
    /// Organisation and address, of which the shelf does not know the day yet.
    news: BTreeSet<(Arc<str>, String)>,
}

impl Senders {
    /// Whether this sender may send: only people of the directory without a mailbox need a seat.
    pub(crate) fn may_send(
        &self,
        settings: &Settings,
        organisation: Option<&Arc<str>>,
        sender: &ReversePath,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(organisation) = organisation else {
            return Ok(());
        };
        if licences_of(settings, organisation).is_none() {
            return Ok(());
        }
        let mut state = self.lock();
        let observed = state.by_organisation.entry(Arc::clone(organisation));
        let observed = observed.or_default();
        observed.keep_count(settings, organisation, now);
        observed.may_send(settings, organisation, sender, now)
    }

    /// A client's message is complete: takes the seat, if there is still one; tells when there are
    /// more people than seats.
    pub(crate) fn take(
        &self,
        settings: &Settings,
        organisation: Option<&Arc<str>>,
        mailbox: &Mailbox,
        now: Timestamp,
    ) -> Result<Option<Event>, Refusal> {
        let Some(organisation) = organisation else {
            return Ok(None);
        };
        let Some(licences) = licences_of(settings, organisation) else {
            return Ok(None);
        };
        if !settings.is_own(organisation, mailbox.host()) {
            return Ok(None);
        }
        let mut state = self.lock();
        let observed = state.by_organisation.entry(Arc::clone(organisation));
        let observed = observed.or_default();
        observed.keep_count(settings, organisation, now);
        let sender = ReversePath::Mailbox(mailbox.clone());
        observed.may_send(settings, organisation, &sender, now)?;
        let before = observed.seats(settings, organisation, licences, now);
        let anew = observed.note(settings, organisation, mailbox, now);
        if anew.is_empty() {
            return Ok(None);
        }
        let after = observed.seats(settings, organisation, licences, now);
        let anew = anew.into_iter();
        let news = anew.map(|address| (Arc::clone(organisation), address));
        state.news.extend(news);
        let is_beyond = after.used > before.used && after.used > after.seats as usize;
        Ok(is_beyond.then(|| {
            let mut event = Event::new(now, EventKind::AlertRaised);
            event.organisation = Some(Arc::clone(organisation));
            let words = format!(
                "licences: {} people without a mailbox sent in the last 30 days, seats: {}; the \
                 last one is {mailbox}",
                after.used, after.seats
            );
            event.detail = Some(words.into());
            event
        }))
    }

    /// Reads what was kept, and keeps what is observed, until the end.
    pub(crate) async fn keep(&self, store: &Store, clock: &Clock, ending: &CancellationToken) {
        self.load(store).await;
        while !ending.is_cancelled() {
            tokio::select! {
                biased;
                () = ending.cancelled() => {}
                () = clock.sleep(KEEP_EVERY) => self.save(store, clock.now()).await,
            }
        }
    }

    async fn load(&self, store: &Store) {
        let entries = match store.shelf(Shelf::Sender).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "who sent of late cannot be read: seats are counted anew");
                return;
            }
        };
        let mut state = self.lock();
        for entry in entries {
            let read = entry.key.split_once(' ').zip(entry.value.parse().ok());
            if let Some(((organisation, address), last)) = read {
                let observed = state.by_organisation.entry(organisation.into());
                observed.or_default().restore(address, last);
            }
        }
    }

    /// Keeps what is observed.
    pub(crate) async fn save(&self, store: &Store, now: Timestamp) {
        let change = self.change(now);
        if change.put.is_empty() && change.taken.is_empty() {
            return;
        }
        let put = change.put.clone();
        if let Err(error) = store.change_shelf(change).await {
            tracing::warn!(%error, "who sent of late could not be kept");
            let mut state = self.lock();
            for (key, _) in put {
                if let Some((organisation, address)) = key.split_once(' ') {
                    state.news.insert((organisation.into(), address.to_owned()));
                }
            }
        }
    }

    fn change(&self, now: Timestamp) -> ShelfChange {
        let mut change = ShelfChange::new(Shelf::Sender, now);
        let mut state = self.lock();
        let mut news = std::mem::take(&mut state.news);
        for (organisation, observed) in &mut state.by_organisation {
            for address in observed.tidy(now) {
                change.taken.push(format!("{organisation} {address}"));
            }
        }
        while change.put.len() < SHELF_ENTRIES_MAX {
            let Some((organisation, address)) = news.pop_first() else {
                break;
            };
            let observed = state.by_organisation.get(&organisation);
            match observed.and_then(|observed| observed.last(&address)) {
                Some(last) => change
                    .put
                    .push((format!("{organisation} {address}"), last.to_string())),
                // It gave way to another.
                None => change.taken.push(format!("{organisation} {address}")),
            }
        }
        change
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
