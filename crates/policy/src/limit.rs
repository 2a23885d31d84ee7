//! Limits over sliding windows: of organisations, inbound connectors, devices, credentials, domains
//! and senders; when a message may leave, or why it may not come in. Pure: time is an argument.
//!
//! ```text
//! who sends ─► the limits that apply ─► the book: room in each? ─► when it leaves, or the limit
//!                                            │                     that is reached, and until when
//!                                            └─► current use, forecast, what is kept over restarts
//! ```
//!
//! A **soft** limit never slows a known client: what exceeds it is accepted at once and becomes due
//! when the window has room, so that no window of that length ever sees more than the limit leave.
//! Only above a backlog of [`BACKLOG_MAX`] the client is told to wait. A **hard** limit refuses
//! what comes in beyond it. Notices never come here.
//!
//! Windows are counted in buckets, a sixtieth to a ninety-sixth of their length; the oldest bucket
//! counts whole, so that the limit is never exceeded by what it holds. Time that goes backwards
//! frees nothing.
//!
//! Not here: who shares the book between sessions and keeps it (`relais-receive`); connections at
//! the same time, which are no window (there too); sizes (`permission`); the pace of outbound
//! connectors, which belongs to the next hop.

mod propose;
mod overview;
mod book;
mod known;
mod apply;
mod whose;
mod meter;
mod share;

use std::time::Duration;

use crate::document::{Limit, Limits};

pub use self::apply::{Applying, Sending, connections, message_size_max, recipients_per_message};
pub use self::book::{
    Admitted, Book, Coming, Counts, Kept, METERS_MAX, METERS_PER_ORGANISATION_MAX, Reached, Use,
    Warning,
};
pub use self::known::{
    FORGOTTEN_DAYS, Known, RECIPIENTS_MAX, RECIPIENTS_PER_ORGANISATION_MAX, RecipientKey,
};
pub use self::meter::{Forecast, Meter};
pub use self::overview::{OpenConnections, open_connections, overview};
pub use self::propose::{Observation, Proposal, place};
pub use self::whose::{LimitName, Whose};

/// Above this much waiting a soft limit answers 450 (RATE): four hours, when the sender would be
/// told anyway that its mail is late.
pub const BACKLOG_MAX: Duration = Duration::from_secs(4 * 3_600);
/// A limit is told of when so many hundredths of it are used.
pub const WARNING_PERCENT: u64 = 80;

/// What is counted, and over which time.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LimitKey {
    /// `messages_per_minute`.
    MessagesPerMinute,
    /// `recipients_per_hour`.
    RecipientsPerHour,
    /// `external_recipients_per_hour`: outside the organisation's accepted domains.
    ExternalRecipientsPerHour,
    /// `recipients_per_day`.
    RecipientsPerDay,
    /// `new_recipients_per_day`: to whom the organisation did not write before.
    NewRecipientsPerDay,
}

impl LimitKey {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::MessagesPerMinute,
        Self::RecipientsPerHour,
        Self::ExternalRecipientsPerHour,
        Self::RecipientsPerDay,
        Self::NewRecipientsPerDay,
    ];

    /// As in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::MessagesPerMinute => "messages_per_minute",
            Self::RecipientsPerHour => "recipients_per_hour",
            Self::ExternalRecipientsPerHour => "external_recipients_per_hour",
            Self::RecipientsPerDay => "recipients_per_day",
            Self::NewRecipientsPerDay => "new_recipients_per_day",
        }
    }

    /// Reads it back.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The limit of that name, if there is one.
    pub fn of(self, limits: &Limits) -> Option<Limit> {
        match self {
            Self::MessagesPerMinute => limits.messages_per_minute,
            Self::RecipientsPerHour => limits.recipients_per_hour,
            Self::ExternalRecipientsPerHour => limits.external_recipients_per_hour,
            Self::RecipientsPerDay => limits.recipients_per_day,
            Self::NewRecipientsPerDay => limits.new_recipients_per_day,
        }
    }

    /// Its place among limits, to be set.
    pub fn place(self, limits: &mut Limits) -> &mut Option<Limit> {
        match self {
            Self::MessagesPerMinute => &mut limits.messages_per_minute,
            Self::RecipientsPerHour => &mut limits.recipients_per_hour,
            Self::ExternalRecipientsPerHour => &mut limits.external_recipients_per_hour,
            Self::RecipientsPerDay => &mut limits.recipients_per_day,
            Self::NewRecipientsPerDay => &mut limits.new_recipients_per_day,
        }
    }

    /// How much of it a message needs.
    pub fn needed(self, weight: Weight) -> u64 {
        match self {
            Self::MessagesPerMinute => 1,
            Self::RecipientsPerHour | Self::RecipientsPerDay => weight.recipients,
            Self::ExternalRecipientsPerHour => weight.external,
            Self::NewRecipientsPerDay => weight.new,
        }
    }

    /// The length of its window.
    pub fn window(self) -> Duration {
        let (millis, buckets) = self.grain();
        Duration::from_millis(u64::try_from(millis * buckets).unwrap_or_default())
    }

    /// Milliseconds of a bucket, and buckets of the window.
    fn grain(self) -> (i64, i64) {
        match self {
            Self::MessagesPerMinute => (1_000, 60),
            Self::RecipientsPerHour | Self::ExternalRecipientsPerHour => (60_000, 60),
            Self::RecipientsPerDay | Self::NewRecipientsPerDay => (900_000, 96),
        }
    }
}

/// What a message counts for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Weight {
    /// Its recipients.
    pub recipients: u64,
    /// Those of them outside the organisation's accepted domains.
    pub external: u64,
    /// Those of them to whom the organisation did not write before.
    pub new: u64,
}

#[cfg(test)]
mod tests;
