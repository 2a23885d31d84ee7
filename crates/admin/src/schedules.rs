//! Reports that are sent by e-mail: which, to whom, when next. On a shelf, so that a restart sends
//! nothing twice and makes up for what was missed, once.
//!
//! Not here: what is sent (`report_mail`).

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use relais_policy::document::{Document, Organisation};
use relais_policy::settings::{Mode, Settings};
use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};
use relais_store::store::Store;

use crate::problem::Problem;

/// Whoever reads schedules and writes what follows from it, one after the other.
pub(crate) static TURN: Mutex<()> = Mutex::const_new(());
/// Schedules of one organisation. None of all: one organisation could use it up.
pub(crate) const SCHEDULES_MAX: usize = 100;
/// Recipients of one.
pub(crate) const RECIPIENTS_MAX: usize = 20;
/// The reports that can be chosen, as their files are called.
pub(crate) const REPORTS: [&str; 8] = [
    "mail",
    "queue",
    "delay",
    "clients",
    "refusals",
    "security",
    "routes",
    "destinations",
];
/// They are made at six in the morning, UTC.
const HOUR: i64 = 6;
const HOUR_MILLIS: i64 = 3_600_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// How often.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Every {
    Day,
    /// On Mondays.
    Week,
    /// On the first.
    Month,
}

impl Every {
    /// What it covers, as the API of reports takes it.
    pub(crate) const fn since(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// When it is due next after a time.
    pub(crate) fn next_after(self, now: Timestamp) -> Timestamp {
        let today = now.as_millis().div_euclid(DAY_MILLIS);
        let at = |day: i64| Timestamp::from_millis(day * DAY_MILLIS + HOUR * HOUR_MILLIS);
        let is_due_on = |day: i64| match self {
            Self::Day => true,
            // The first of 1970 was a Thursday.
            Self::Week => (day + 3).rem_euclid(7) == 0,
            Self::Month => at(day).day().ends_with("-01"),
        };
        // A month has one first within 31 days, today among them.
        let mut days = today..=today + 32;
        let found = days.find(|day| is_due_on(*day) && at(*day) > now);
        at(found.unwrap_or(today + 1))
    }
}

/// One of them.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Schedule {
    pub(crate) id: String,
    /// Whose mail it tells of; empty: of the only one, and of what belongs to none.
    pub(crate) organisation: String,
    /// Some of [`REPORTS`].
    pub(crate) reports: Vec<String>,
    pub(crate) every: Every,
    pub(crate) to: Vec<String>,
    /// `en`, `fr`.
    pub(crate) language: String,
    /// In milliseconds.
    pub(crate) next: i64,
    /// When it was sent last, in milliseconds.
    #[serde(default)]
    pub(crate) sent: Option<i64>,
    /// Why it could not be, the last time.
    #[serde(default)]
    pub(crate) fault: Option<String>,
}

impl Schedule {
    /// Of the run that is due: the same whoever asks, so that nobody sends it twice.
    pub(crate) fn message_id(&self, hostname: &str) -> String {
        format!("report-{}-{}@{hostname}", self.id, self.next)
    }

    /// For sentences and the audit.
    pub(crate) fn told(&self) -> String {
        let whose = match self.organisation.as_str() {
            "" => String::new(),
            name => format!(" of {name}"),
        };
        format!("{}: {}{whose}", self.id, self.to.join(", "))
    }
}

/// All of them.
pub(crate) async fn list(store: &Store) -> Result<Vec<Schedule>, StoreError> {
    let entries = store.shelf(Shelf::ReportSchedule).await?.into_iter();
    let read = entries.filter_map(|entry| serde_json::from_str(&entry.value).ok());
    Ok(read.collect())
}

/// Who sends one: the organisation that it tells of, by that name or, without a name, the only
/// one; `None` while there is none at all. What a report tells of everybody may not become the
/// mail of one of several, whose people and smart host read it.
pub(crate) fn sender<'a>(
    settings: &'a Settings,
    name: &str,
) -> Result<Option<&'a Organisation>, Problem> {
    let all = &settings.document.organisation;
    match (name, all.len()) {
        ("", 0 | 1) if settings.mode == Mode::Lan => Ok(all.first()),
        ("", _) => Err(Problem::bad_request(
            "Name the organisation whose report it is: one of everybody would be the mail of one.",
        )),
        (name, _) => match settings.organisation(name) {
            Some(found) => Ok(Some(found)),
            None => Err(Problem::not_found(format!(
                "There is no organisation {name}."
            ))),
        },
    }
}

/// One of them.
pub(crate) async fn get(store: &Store, id: &str) -> Result<Option<Schedule>, StoreError> {
    let value = store.shelf_value(Shelf::ReportSchedule, id).await?;
    Ok(value.and_then(|value| serde_json::from_str(&value).ok()))
}

/// Writes down what became of a run that was due at `next`, unless it was removed or asked for
/// anew in the meantime: sending takes seconds.
pub(crate) async fn settle(
    store: &Store,
    next: i64,
    after: &Schedule,
    now: Timestamp,
) -> Result<(), StoreError> {
    let _turn = TURN.lock().await;
    match get(store, &after.id).await? {
        Some(found) if found.next == next => put(store, after, now, None).await,
        _ => Ok(()),
    }
}

/// Ends those of organisations that are gone: a later one of that name is another.
pub(crate) async fn end_of_gone(
    store: &Store,
    after: &Document,
    now: Timestamp,
) -> Result<(), StoreError> {
    let _turn = TURN.lock().await;
    let is_there = |name: &str| after.organisation.iter().any(|one| one.name == name);
    let mut change = ShelfChange::new(Shelf::ReportSchedule, now);
    for one in list(store).await? {
        if !one.organisation.is_empty() && !is_there(&one.organisation) {
            change.taken.push(one.id);
        }
    }
    match change.taken.is_empty() {
        true => Ok(()),
        false => store.change_shelf(change).await,
    }
}

/// Puts one, new or changed.
pub(crate) async fn put(
    store: &Store,
    schedule: &Schedule,
    now: Timestamp,
    audit: Option<ShelfAudit>,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(schedule).expect("texts and numbers can be written");
    let mut change = ShelfChange::new(Shelf::ReportSchedule, now).put(&schedule.id, text);
    change.audit = audit;
    store.change_shelf(change).await
}

/// Takes one away.
pub(crate) async fn remove(
    store: &Store,
    id: &str,
    now: Timestamp,
    audit: ShelfAudit,
) -> Result<(), StoreError> {
    let change = ShelfChange::new(Shelf::ReportSchedule, now).take(id);
    store.change_shelf(change.audited(audit)).await
}

#[cfg(test)]
mod tests {
    use relais_store::memory::MemoryOptions;

    use super::*;

    #[tokio::test]
    async fn what_was_removed_or_asked_for_anew_while_it_was_sent_stays_so() {
        let now = Timestamp::from_millis(1_000);
        let store = Store::in_memory(MemoryOptions::new(now));
        let before = Schedule {
            id: "1".to_owned(),
            organisation: String::new(),
            reports: Vec::new(),
            every: Every::Day,
            to: vec!["b@example.org".to_owned()],
            language: "en".to_owned(),
            next: 10,
            sent: None,
            fault: None,
        };
        let at = |next| Schedule {
            next,
            ..before.clone()
        };
        let after = at(20);
        let nexts = async || {
            let all = list(&store).await.expect("the shelf");
            all.iter().map(|one| one.next).collect::<Vec<_>>()
        };
        settle(&store, 10, &after, now).await.expect("the shelf");
        assert_eq!(nexts().await, [0; 0], "it was removed");
        put(&store, &at(15), now, None).await.expect("the shelf");
        settle(&store, 10, &after, now).await.expect("the shelf");
        assert_eq!(nexts().await, [15], "it was asked for anew");
        put(&store, &before, now, None).await.expect("the shelf");
        settle(&store, 10, &after, now).await.expect("the shelf");
        assert_eq!(nexts().await, [20]);
    }

    #[test]
    fn each_is_due_in_the_morning_of_its_day_and_never_now() {
        for (every, now, next) in [
            (Every::Day, "2026-11-30T05:59:59Z", "2026-11-30T06:00:00"),
            (Every::Day, "2026-11-30T06:00:00Z", "2026-12-01T06:00:00"),
            // A Monday.
            (Every::Week, "2026-11-30T05:00:00Z", "2026-11-30T06:00:00"),
            (Every::Week, "2026-11-30T07:00:00Z", "2026-12-07T06:00:00"),
            (Every::Week, "2026-12-06T23:00:00Z", "2026-12-07T06:00:00"),
            (Every::Month, "2026-11-30T07:00:00Z", "2026-12-01T06:00:00"),
            (Every::Month, "2026-12-01T06:00:00Z", "2027-01-01T06:00:00"),
            (Every::Month, "2028-02-01T06:00:01Z", "2028-03-01T06:00:00"),
        ] {
            let now = Timestamp::parse_rfc3339(now).expect("a time");
            let due = every.next_after(now).to_rfc3339();
            assert!(due.starts_with(next), "{every:?} {now:?}: {due}");
        }
    }
}
