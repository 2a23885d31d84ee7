//! Small things that must survive a restart and are no settings: what was learnt, counted or
//! sealed. A value is text of its owner's own form; the owner reads it back and gives a type to it.
//! Its table is in `embedded/shelf_table.rs`.
//!
//! Not here: anything that is asked for each message (its owner keeps it in memory), and anything
//! that can become large: [`SHELF_VALUE_OCTETS_MAX`].

use relais_smtp::time::Timestamp;

use crate::door::Via;
use crate::error::StoreError;
use crate::trace::Event;

/// Octets of one value.
pub const SHELF_VALUE_OCTETS_MAX: usize = 256 * 1024;
/// Octets of one key.
pub const SHELF_KEY_OCTETS_MAX: usize = 1_024;
/// Entries of one shelf: more is a fault of its owner.
pub const SHELF_ENTRIES_MAX: usize = 200_000;

/// Whose things.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Shelf {
    /// Secrets, encrypted.
    Secret,
    /// DKIM keys: their state; the key itself is a secret.
    DkimKey,
    /// Findings about the DNS of a domain.
    DnsFinding,
    /// MTA-STS policies. RFC 8461 §5.1 wants them kept.
    StsPolicy,
    /// Results of TLS, by day, for the reports of RFC 8460.
    TlsReport,
    /// What was sent when, for a connector's pace over a day.
    Pace,
    /// What organisations and connectors sent of late, for their limits.
    Limit,
    /// To whom organisations wrote of late, as hashes: who is new to them.
    Recipient,
    /// Who sent of late, for licences.
    Sender,
    /// Destinations that nothing goes to.
    Suspension,
    /// Recipients that an organisation sends nothing to.
    Suppression,
    /// Bounce domains that DNS shows to lead to us.
    BounceDomain,
    /// Findings of self-checks, the evidence of the open-relay self-test, the newest backup.
    Check,
    /// Progress of the first steps, as far as no setting tells it.
    FirstSteps,
    /// Local administrators.
    Administrator,
    /// The link that makes the next one, as a hash.
    SetupLink,
    /// Who is signed in at the admin centre, by the hash of a token.
    Session,
    /// How people sign in with an issuer.
    SignIn,
    /// What each person keeps of the trace page.
    TraceView,
    /// Connectors that a person has begun to set up.
    ConnectorDraft,
    /// Links to the page that waits for a connector's device, as a hash.
    WaitingLink,
    /// Keys of the API, as hashes.
    ApiKey,
    /// When each of them was used last.
    ApiKeyUse,
    /// Answers that a program may ask for again (`Idempotency-Key`).
    Idempotency,
    /// Where events are sent to.
    Webhook,
    /// What was sent there, and what waits.
    WebhookDelivery,
    /// Rules and channels of alerts, and what is raised.
    Alert,
    /// What devices usually do.
    Trigger,
    /// What people write about devices.
    Device,
    /// Reports that are sent by e-mail.
    ReportSchedule,
    /// Mail of which nothing may be lost.
    LegalHold,
}

impl Shelf {
    /// As stored.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::DkimKey => "dkim-key",
            Self::DnsFinding => "dns-finding",
            Self::StsPolicy => "sts-policy",
            Self::TlsReport => "tls-report",
            Self::Pace => "pace",
            Self::Limit => "limit",
            Self::Recipient => "recipient",
            Self::Sender => "sender",
            Self::Suspension => "suspension",
            Self::Suppression => "suppression",
            Self::BounceDomain => "bounce-domain",
            Self::Check => "check",
            Self::FirstSteps => "first-steps",
            Self::Administrator => "administrator",
            Self::SetupLink => "setup-link",
            Self::Session => "session",
            Self::SignIn => "sign-in",
            Self::TraceView => "trace-view",
            Self::ConnectorDraft => "connector-draft",
            Self::WaitingLink => "waiting-link",
            Self::ApiKey => "api-key",
            Self::ApiKeyUse => "api-key-use",
            Self::Idempotency => "idempotency",
            Self::Webhook => "webhook",
            Self::WebhookDelivery => "webhook-delivery",
            Self::Alert => "alert",
            Self::Trigger => "trigger",
            Self::Device => "device",
            Self::ReportSchedule => "report-schedule",
            Self::LegalHold => "legal-hold",
        }
    }
}

/// One thing on a shelf.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShelfEntry {
    /// Unique on its shelf.
    pub key: String,
    /// In its owner's form.
    pub value: String,
    /// When it was put there, or changed last.
    pub since: Timestamp,
}

/// Things put and taken, with what is told of it, in one transaction.
#[derive(Clone, Debug)]
pub struct ShelfChange {
    /// Whose.
    pub shelf: Shelf,
    /// Put there; one that was there is replaced.
    pub put: Vec<(String, String)>,
    /// Taken away; one that is not there is no fault.
    pub taken: Vec<String>,
    /// When.
    pub time: Timestamp,
    /// For the audit, if a person should find it there.
    pub audit: Option<ShelfAudit>,
    /// For the trace.
    pub events: Vec<Event>,
}

/// What the audit says of a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShelfAudit {
    /// Who.
    pub actor: String,
    /// `socket`, `api`, `web`; `start` for what happened without a person.
    pub via: Via,
    /// `dkim.generated`, `suppression.added` …
    pub act: &'static str,
    /// What, one line per object.
    pub detail: Vec<String>,
}

impl ShelfChange {
    /// Nothing yet.
    pub fn new(shelf: Shelf, time: Timestamp) -> Self {
        Self {
            shelf,
            put: Vec::new(),
            taken: Vec::new(),
            time,
            audit: None,
            events: Vec::new(),
        }
    }

    /// Puts one more.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.put.push((key.into(), value.into()));
        self
    }

    /// Takes one more.
    #[must_use]
    pub fn take(mut self, key: impl Into<String>) -> Self {
        self.taken.push(key.into());
        self
    }

    /// Told in the audit too.
    #[must_use]
    pub fn audited(mut self, audit: ShelfAudit) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Bounds.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let name = self.shelf.name();
        for (key, value) in &self.put {
            if key.len() > SHELF_KEY_OCTETS_MAX || value.len() > SHELF_VALUE_OCTETS_MAX {
                return Err(StoreError::Fault(format!(
                    "an entry of {name} is longer than {SHELF_VALUE_OCTETS_MAX} octets"
                )));
            }
        }
        Ok(())
    }
}
