//! What is not delivered for a while: a destination, an organisation, or all; by a person, or by a
//! rule about a next hop's words. Kept on a shelf; the index leaves out what is suspended.
//!
//! Mail that waits expires all the same. Not here: holding single messages ([`crate::queue`]).

use std::fmt;
use std::sync::Arc;

use relais_smtp::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::door::Via;
use crate::queue::{Actor, BY_ITSELF, QueueKey};
use crate::shelf::{Shelf, ShelfAudit, ShelfChange, ShelfEntry};

/// Suspensions at the same time.
pub const SUSPENSIONS_MAX: usize = 10_000;
/// Characters of a reason; the rest is cut.
const REASON_CHARS_MAX: usize = 500;
/// Who ends what is over.
pub(crate) const THE_CLOCK: &str = "the clock";

/// Which mail is meant; what is not given: all.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SuspensionScope {
    /// Mail of this organisation only.
    pub organisation: Option<Arc<str>>,
    /// Mail to this domain, or address in brackets, only.
    pub destination: Option<Arc<str>>,
}

/// One suspension.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suspension {
    /// Which mail.
    pub scope: SuspensionScope,
    /// When delivery goes on by itself; `None`: when somebody says so.
    pub until: Option<Timestamp>,
    /// Why, in words; may be empty.
    pub reason: String,
    /// By whom.
    pub by: String,
    /// By which door they came, as long as it is not stored: then the audit knows.
    pub via: Via,
    /// Since when.
    pub since: Timestamp,
}

/// What is stored of it besides its scope.
#[derive(Deserialize, Serialize)]
struct Stored {
    organisation: Option<String>,
    destination: Option<String>,
    until: Option<i64>,
    reason: String,
    by: String,
}

impl SuspensionScope {
    /// Mail to this destination, whoever sends.
    pub fn destination(destination: &str) -> Self {
        Self {
            organisation: None,
            destination: Some(destination.into()),
        }
    }

    /// All scopes that cover a queue.
    pub(crate) fn covering(key: &QueueKey) -> [Self; 4] {
        let scope = |organisation: bool, destination: bool| Self {
            organisation: organisation.then(|| Arc::clone(&key.organisation)),
            destination: destination.then(|| Arc::clone(&key.destination)),
        };
        [
            scope(true, true),
            scope(false, true),
            scope(true, false),
            scope(false, false),
        ]
    }

    /// Whether a queue is meant.
    pub(crate) fn covers(&self, key: &QueueKey) -> bool {
        let fits = |wanted: &Option<Arc<str>>, found: &Arc<str>| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        fits(&self.organisation, &key.organisation) && fits(&self.destination, &key.destination)
    }

    /// Unique: neither name has a space in it.
    fn key(&self) -> String {
        let text = |name: &Option<Arc<str>>| name.as_deref().unwrap_or("*").to_owned();
        format!("{} {}", text(&self.organisation), text(&self.destination))
    }
}

impl fmt::Display for SuspensionScope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.organisation, &self.destination) {
            (None, None) => formatter.write_str("everything"),
            (None, Some(to)) => write!(formatter, "destination {to}"),
            (Some(of), None) => write!(formatter, "organisation {of}"),
            (Some(of), Some(to)) => write!(formatter, "destination {to} of organisation {of}"),
        }
    }
}

impl Suspension {
    /// Without an end and without a reason.
    pub fn new<'a>(scope: SuspensionScope, by: impl Into<Actor<'a>>, since: Timestamp) -> Self {
        let by = by.into();
        Self {
            scope,
            until: None,
            reason: String::new(),
            by: by.name.to_owned(),
            via: by.via,
            since,
        }
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Begins it, with its audit entry.
    pub(crate) fn begin(&self) -> ShelfChange {
        let reason: String = self.reason.chars().take(REASON_CHARS_MAX).collect();
        let mut detail = self.scope.to_string();
        if !reason.is_empty() {
            detail.push_str(&format!(": {reason}"));
        }
        if let Some(until) = self.until {
            detail.push_str(&format!("; until {}", until.to_rfc3339()));
        }
        let stored = Stored {
            organisation: self.scope.organisation.as_deref().map(str::to_owned),
            destination: self.scope.destination.as_deref().map(str::to_owned),
            until: self.until.map(Timestamp::as_millis),
            reason,
            by: self.by.clone(),
        };
        let by = Actor {
            name: &self.by,
            via: self.via,
        };
        let value = serde_json::to_string(&stored).expect("texts and numbers are JSON");
        ShelfChange::new(Shelf::Suspension, self.since)
            .put(self.scope.key(), value)
            .audited(audit(by, "queue.suspended", detail))
    }

    /// Reads one back; `None`: another hand wrote it.
    pub(crate) fn from_entry(entry: &ShelfEntry) -> Option<Self> {
        let stored: Stored = serde_json::from_str(&entry.value).ok()?;
        Some(Self {
            scope: SuspensionScope {
                organisation: stored.organisation.map(Into::into),
                destination: stored.destination.map(Into::into),
            },
            until: stored.until.map(Timestamp::from_millis),
            reason: stored.reason,
            by: stored.by,
            via: BY_ITSELF.into(),
            since: entry.since,
        })
    }

    /// One that was stored before suspensions had an end and a reason.
    pub(crate) fn of_old(destination: &str) -> Self {
        let scope = SuspensionScope::destination(destination);
        Self::new(scope, "", Timestamp::default())
    }
}

/// Ends one, with its audit entry.
pub(crate) fn end(scope: &SuspensionScope, actor: Actor<'_>, now: Timestamp) -> ShelfChange {
    ShelfChange::new(Shelf::Suspension, now)
        .take(scope.key())
        .audited(audit(actor, "queue.resumed", scope.to_string()))
}

fn audit(actor: Actor<'_>, act: &'static str, detail: String) -> ShelfAudit {
    ShelfAudit {
        actor: actor.name.to_owned(),
        via: actor.via,
        act,
        detail: vec![detail],
    }
}
