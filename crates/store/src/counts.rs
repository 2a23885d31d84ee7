//! Keeps the counts of limits: on a shelf now and then, without a part in any commit of mail; what
//! came since then is read in the trace at the next start, so that not even a crash forgets it.
//!
//! Not here: counting, and what is forgotten when there is too much (`relais_policy::limit`).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use relais_policy::limit::{Applying, Coming, Counts, Observation, RecipientKey, Sending};
use relais_policy::settings::Settings;
use relais_smtp::address::Mailbox;
use relais_smtp::time::Timestamp;

use crate::error::StoreError;
use crate::shelf::{Shelf, ShelfChange};
use crate::store::Store;
use crate::trace::{Event, EventKind, TRACE_LIMIT_MAX, To, TraceQuery, TraceTerm};

/// On the shelf of counts: until when they are complete. No count has such a name.
const COMPLETE_UNTIL: &str = "complete-until";
/// Nothing older is read in the trace: no window is longer.
const READ_BACK: Duration = Duration::from_secs(24 * 3_600);
/// Events read in the trace at most: half an hour at a hundred messages a second. More: a warning,
/// and the newest count.
const EVENTS_MAX: usize = 200_000;

/// Puts what was kept, and what came since then until `now`, into the book. Before anything else
/// is counted.
pub async fn load(store: &Store, counts: &Counts, now: Timestamp) -> Result<(), StoreError> {
    let kept = store.shelf(Shelf::Limit).await?;
    let recipients = store.shelf(Shelf::Recipient).await?;
    let mut complete_until = Timestamp::from_millis(0);
    {
        let mut book = counts.book();
        for entry in recipients {
            book.restore_recipients(&entry.key, &entry.value);
        }
        for entry in kept {
            if entry.key == COMPLETE_UNTIL {
                let read = Timestamp::parse_rfc3339(&entry.value);
                complete_until = read.unwrap_or(complete_until);
            } else {
                book.restore(&entry.key, &entry.value, now);
            }
        }
    }
    let since = complete_until.after(Duration::from_millis(1));
    let since = since.max(now.before(READ_BACK));
    let events = accepted(store, since, now).await?;
    let settings = store.settings();
    let mut book = counts.book();
    for event in events.iter().rev() {
        if let Some(message) = Message::of(event, &settings) {
            let applying = Applying::of(&settings, &message.sending());
            book.count_again(&applying, message.coming(), event.time);
        }
    }
    Ok(())
}

/// What clients sent since that time, for proposals.
pub async fn observe(
    store: &Store,
    since: Timestamp,
    now: Timestamp,
) -> Result<Observation, StoreError> {
    let events = accepted(store, since, now).await?;
    let settings = store.settings();
    // What was read may begin later than what was asked for.
    let first = events.last().map_or(since, |event| event.time);
    let mut observation = Observation::new(first.max(since), now);
    for event in events.iter().rev() {
        if let Some(message) = Message::of(event, &settings) {
            let sending = message.sending();
            observation.add(&settings, &sending, message.coming(), event.time);
        }
    }
    Ok(observation)
}

/// Keeps what changed.
pub async fn save(store: &Store, counts: &Counts, now: Timestamp) -> Result<(), StoreError> {
    let kept = counts.book().keep(now);
    if !kept.has_news && kept.put.is_empty() && kept.taken.is_empty() {
        return Ok(());
    }
    let mut of_limits = ShelfChange::new(Shelf::Limit, now).put(COMPLETE_UNTIL, now.to_rfc3339());
    of_limits.put.extend(kept.put.iter().cloned());
    of_limits.taken.clone_from(&kept.taken);
    let mut of_recipients = ShelfChange::new(Shelf::Recipient, now);
    for (key, text) in &kept.recipients {
        if text.is_empty() {
            of_recipients.taken.push(key.clone());
        } else {
            of_recipients.put.push((key.clone(), text.clone()));
        }
    }
    let is_about_recipients = !kept.recipients.is_empty();
    let all = async {
        // First: a recipient that is known too early is one that does not count as new, and it has
        // been counted; the other way round it would count twice.
        if is_about_recipients {
            store.change_shelf(of_recipients).await?;
        }
        store.change_shelf(of_limits).await
    };
    let done = all.await;
    if done.is_err() {
        counts.book().not_kept(&kept);
    }
    done
}

/// `message.accepted` from `since` on and before `until`, newest first.
async fn accepted(
    store: &Store,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<Event>, StoreError> {
    let Ok(kind) = TraceTerm::new("event", EventKind::MessageAccepted.name()) else {
        return Ok(Vec::new());
    };
    let mut query = TraceQuery {
        since: Some(since),
        until: Some(until),
        terms: vec![kind],
        limit: TRACE_LIMIT_MAX,
        ..TraceQuery::default()
    };
    let mut events = Vec::new();
    loop {
        let page = store.trace_page(&query).await?;
        let read = page.rows.iter();
        events.extend(read.filter_map(|row| Event::from_json(&row.json).ok()));
        if events.len() >= EVENTS_MAX {
            tracing::warn!(
                EVENTS_MAX,
                "more messages than are read: only the newest count"
            );
            return Ok(events);
        }
        match page.next {
            Some(next) => query.before = Some(next),
            None => return Ok(events),
        }
    }
}

/// A client's message, as the trace tells of it.
struct Message<'a> {
    organisation: &'a Arc<str>,
    connector: &'a str,
    address: IpAddr,
    credential: Option<&'a str>,
    sender: Option<Mailbox>,
    recipients: Vec<(RecipientKey, bool)>,
}

impl<'a> Message<'a> {
    fn of(event: &'a Event, settings: &Settings) -> Option<Self> {
        let organisation = event.organisation.as_ref()?;
        let client = event.client.as_deref()?;
        let to = match event.to.as_ref()? {
            To::One(one) => std::slice::from_ref(one),
            To::Many(many) => many,
        };
        let recipient = |text: &Arc<str>| {
            let mailbox = Mailbox::parse(text).ok()?;
            let is_external = !settings.is_own(organisation, mailbox.host());
            Some((RecipientKey::of(&mailbox), is_external))
        };
        Some(Self {
            organisation,
            connector: event.inbound_connector.as_deref()?,
            address: client.address,
            credential: client.credential.as_deref(),
            sender: event.from.as_deref().and_then(|it| Mailbox::parse(it).ok()),
            recipients: to.iter().filter_map(recipient).collect(),
        })
    }

    fn coming(&self) -> Coming<'_> {
        Coming {
            organisation: self.organisation,
            recipients: &self.recipients,
        }
    }

    fn sending(&self) -> Sending<'_> {
        Sending {
            organisation: self.organisation,
            connector: self.connector,
            address: self.address,
            credential: self.credential,
            sender: self.sender.as_ref(),
        }
    }
}
