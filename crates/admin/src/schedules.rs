//! Reports that are sent by e-mail: which, to whom, when next. On a shelf, so that a restart sends
//! nothing twice and makes up for what was missed, once.
//!
//! Not here: what is sent (`report_mail`).

use serde::{Deserialize, Serialize};

use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};
use relais_store::store::Store;

/// Schedules of one installation.
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
    /// Whose mail it tells of; empty: of all.
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
    use super::*;

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
