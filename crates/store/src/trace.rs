//! Every event, its name and fields: one enum for trace row, log line, counter, webhook.
//!
//! The names and the JSON are a contract with other people's scripts: fields may be added at the
//! end, never renamed, moved or left out. Written and read in `trace/json.rs`; searched with the
//! tokens of `trace/query.rs`.
//!
//! Not here: storing events (`embedded/trace_database.rs`), and deciding when one happens.

pub mod tally;
pub mod dialogue;
pub mod erase;
pub(crate) mod glance;
pub(crate) mod marks;
pub(crate) mod terms;
mod heard;
mod query;
pub(crate) mod delta;
mod json;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use relais_policy::restriction::Entity;
use relais_smtp::identifier::{QueueId, Reference};
use relais_smtp::time::Timestamp;

pub use self::heard::BAD_CONTENT;
pub use self::json::EventReadError;
pub use self::query::{
    ADDRESSES_MAX, QUERY_OCTETS_MAX, QUERY_TERMS_MAX, TRACE_LIMIT_DEFAULT, TRACE_LIMIT_MAX,
    TraceQuery, TraceQueryError, TraceTerm, addresses_in, parse_since, parse_until,
};

/// What happened.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum EventKind {
    /// `connection.refused`: a connection was turned away or ended by us.
    ConnectionRefused,
    /// `attempt.refused`: MAIL, RCPT or DATA was refused.
    AttemptRefused,
    /// `auth.failed`.
    AuthFailed,
    /// `message.accepted`: we have promised.
    MessageAccepted,
    /// `message.repaired`: accepted with repairs.
    MessageRepaired,
    /// `delivery.attempted`: one attempt for a message at one next hop.
    DeliveryAttempted,
    /// `recipient.delivered`: the next hop answered 2yz.
    RecipientDelivered,
    /// `recipient.deferred`: will be tried again.
    RecipientDeferred,
    /// `recipient.failed`: given up, a notice follows where one is due.
    RecipientFailed,
    /// `recipient.expired`: given up for time.
    RecipientExpired,
    /// `recipient.held`: waits for a person.
    RecipientHeld,
    /// `recipient.discarded`: dropped by a named rule or person.
    RecipientDiscarded,
    /// `notice.sent`: a notice was put into the queue.
    NoticeSent,
    /// `notice.received`.
    NoticeReceived,
    /// `entity.restricted`: blocked, by a person or a guard.
    EntityRestricted,
    /// `entity.released`: by a person, or because its time was over.
    EntityReleased,
    /// `check.changed`.
    CheckChanged,
    /// `alert.raised`.
    AlertRaised,
    /// `settings.changed`.
    SettingsChanged,
}

impl EventKind {
    /// All kinds, for the reference.
    pub const ALL: &'static [Self] = &[
        Self::ConnectionRefused,
        Self::AttemptRefused,
        Self::AuthFailed,
        Self::MessageAccepted,
        Self::MessageRepaired,
        Self::DeliveryAttempted,
        Self::RecipientDelivered,
        Self::RecipientDeferred,
        Self::RecipientFailed,
        Self::RecipientExpired,
        Self::RecipientHeld,
        Self::RecipientDiscarded,
        Self::NoticeSent,
        Self::NoticeReceived,
        Self::EntityRestricted,
        Self::EntityReleased,
        Self::CheckChanged,
        Self::AlertRaised,
        Self::SettingsChanged,
    ];

    /// The dotted name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectionRefused => "connection.refused",
            Self::AttemptRefused => "attempt.refused",
            Self::AuthFailed => "auth.failed",
            Self::MessageAccepted => "message.accepted",
            Self::MessageRepaired => "message.repaired",
            Self::DeliveryAttempted => "delivery.attempted",
            Self::RecipientDelivered => "recipient.delivered",
            Self::RecipientDeferred => "recipient.deferred",
            Self::RecipientFailed => "recipient.failed",
            Self::RecipientExpired => "recipient.expired",
            Self::RecipientHeld => "recipient.held",
            Self::RecipientDiscarded => "recipient.discarded",
            Self::NoticeSent => "notice.sent",
            Self::NoticeReceived => "notice.received",
            Self::EntityRestricted => "entity.restricted",
            Self::EntityReleased => "entity.released",
            Self::CheckChanged => "check.changed",
            Self::AlertRaised => "alert.raised",
            Self::SettingsChanged => "settings.changed",
        }
    }

    /// The kind of that dotted name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// One line for people: the reference of events and the metrics are written from it.
    pub const fn help(self) -> &'static str {
        match self {
            Self::ConnectionRefused => {
                "A connection was turned away, or ended by us before it was finished."
            }
            Self::AttemptRefused => {
                "MAIL, RCPT or the content was refused; the reference is in the reply."
            }
            Self::AuthFailed => "A login failed.",
            Self::MessageAccepted => {
                "We answered 250 to the content: the message is on stable storage, and ours."
            }
            Self::MessageRepaired => {
                "A message was accepted after repairs of its form; they are listed in repairs."
            }
            Self::DeliveryAttempted => {
                "One attempt for a message at one next hop ended; the recipients' results follow."
            }
            Self::RecipientDelivered => {
                "The next hop accepted the message for this recipient; it answers from there on."
            }
            Self::RecipientDeferred => {
                "Not delivered yet; will be tried again by itself at next_attempt."
            }
            Self::RecipientFailed => {
                "Given up: refused for good. The sender gets a notice where one is due."
            }
            Self::RecipientExpired => {
                "Given up: not delivered within its lifetime. The sender gets a notice where one \
                 is due."
            }
            Self::RecipientHeld => "Waits for a person to release it; detail says why.",
            Self::RecipientDiscarded => {
                "Dropped without notice by a named rule or person; detail says which."
            }
            Self::NoticeSent => "A notice (delivery status notification) was put into the queue.",
            Self::NoticeReceived => "A notice from another server about mail of ours came back.",
            Self::EntityRestricted => {
                "An address, domain, connector, credential or organisation was blocked; detail \
                 says which, why and by whom."
            }
            Self::EntityReleased => {
                "A blocked entity was released; detail says which, and by whom."
            }
            Self::CheckChanged => "The result of a self-check changed; detail says which and how.",
            Self::AlertRaised => "An alert was raised; detail says why.",
            Self::SettingsChanged => {
                "The settings have a new version; detail says who changed what."
            }
        }
    }

    /// `status` of an event of this kind: accepted, delivered, deferred, failed, refused, held,
    /// expired, discarded; `None` for events that are no outcome of mail.
    pub const fn status(self) -> Option<&'static str> {
        match self {
            Self::ConnectionRefused | Self::AttemptRefused | Self::AuthFailed => Some("refused"),
            Self::MessageAccepted | Self::MessageRepaired => Some("accepted"),
            Self::RecipientDelivered => Some("delivered"),
            Self::RecipientDeferred => Some("deferred"),
            Self::RecipientFailed => Some("failed"),
            Self::RecipientExpired => Some("expired"),
            Self::RecipientHeld => Some("held"),
            Self::RecipientDiscarded => Some("discarded"),
            Self::DeliveryAttempted
            | Self::NoticeSent
            | Self::NoticeReceived
            | Self::EntityRestricted
            | Self::EntityReleased
            | Self::CheckChanged
            | Self::AlertRaised
            | Self::SettingsChanged => None,
        }
    }
}

/// All words of `status`, in the order of a message's life.
pub const STATUS_WORDS: &[&str] = &[
    "accepted",
    "delivered",
    "deferred",
    "failed",
    "refused",
    "held",
    "expired",
    "discarded",
];

/// What `status:` may ask for beside [`STATUS_WORDS`]: a recipient who did not get a message that
/// another recipient got. No event says so by itself: the store looks at the others of its message.
pub const PARTLY: &str = "partly";

/// The client as the trace shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientSummary {
    /// Canonical address.
    pub address: IpAddr,
    /// Greeting name.
    pub helo: Option<Arc<str>>,
    /// User.
    pub credential: Option<Arc<str>>,
    /// Certificate name.
    pub certificate: Option<Arc<str>>,
}

/// TLS of a session, inbound or outbound.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsSummary {
    /// `1.3`.
    pub version: Arc<str>,
    /// Cipher suite.
    pub cipher: Arc<str>,
    /// How the peer was verified: `dane`, `mta-sts`, `name`, `chain`, `certificate` (a client's),
    /// `no`.
    pub verified: Arc<str>,
}

/// Who got it: one object per recipient, or all of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum To {
    /// `recipient.*`: a string.
    One(Arc<str>),
    /// Message-level events: an array.
    Many(Vec<Arc<str>>),
}

/// One event. Fields that an event does not have are `null` in JSON; `repairs` is then `[]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Of which message.
    pub queue_id: Option<QueueId>,
    /// The code in the refusal.
    pub reference: Option<Reference>,
    /// Of which organisation.
    pub organisation: Option<Arc<str>>,
    /// By which inbound connector.
    pub inbound_connector: Option<Arc<str>>,
    /// From which client.
    pub client: Option<Arc<ClientSummary>>,
    /// Reverse-path; empty for the null one.
    pub from: Option<Arc<str>>,
    /// Reverse-path that the next hop was given, where it is not `from`.
    pub envelope_sender: Option<Arc<str>>,
    /// First address of the header From.
    pub header_from: Option<Arc<str>>,
    /// Recipients.
    pub to: Option<To>,
    /// Subject, decoded.
    pub subject: Option<Arc<str>>,
    /// Message-ID without brackets, of `message.accepted`.
    pub message_id: Option<Arc<str>>,
    /// Octets of the content.
    pub size: Option<u64>,
    /// Token of a refusal.
    pub token: Option<Arc<str>>,
    /// Our reply (refusals) or the next hop's (deliveries), on one line.
    pub reply: Option<Arc<str>>,
    /// By which outbound connector.
    pub outbound_connector: Option<Arc<str>>,
    /// `mx.example.org[192.0.2.1]:25`.
    pub next_hop: Option<Arc<str>>,
    /// TLS of the session concerned.
    pub tls: Option<Arc<TlsSummary>>,
    /// How long the attempt, or the acceptance, took.
    pub duration_ms: Option<u64>,
    /// Repairs made.
    pub repairs: Vec<&'static str>,
    /// Free words for people: what changed, why held, when next. `detail` in JSON.
    pub detail: Option<Arc<str>>,
    /// `detail` in French, where it is made of sentences that no phrasebook could find again.
    pub detail_fr: Option<Arc<str>>,
    /// Attempts made so far, for `recipient.*`.
    pub attempts: Option<u32>,
    /// For deferred recipients.
    pub next_attempt: Option<Timestamp>,
    /// Settings version in force.
    pub settings_version: Option<u64>,
    /// Domains that signed what was sent.
    pub signed_by: Vec<Arc<str>>,
    /// Of `entity.released`: which, and by whom, for those who hear it here. Not written: people
    /// read it in `detail`.
    pub released: Option<Arc<Released>>,
}

/// An entity that is restricted no more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Released {
    /// Which.
    pub entity: Entity,
    /// Whether a person said so; else its time was over.
    pub by_person: bool,
}

impl Event {
    /// An event with nothing but time and kind.
    pub fn new(time: Timestamp, kind: EventKind) -> Self {
        Self {
            time,
            kind,
            queue_id: None,
            reference: None,
            organisation: None,
            inbound_connector: None,
            client: None,
            from: None,
            envelope_sender: None,
            header_from: None,
            to: None,
            subject: None,
            message_id: None,
            size: None,
            token: None,
            reply: None,
            outbound_connector: None,
            next_hop: None,
            tls: None,
            duration_ms: None,
            repairs: Vec::new(),
            detail: None,
            detail_fr: None,
            attempts: None,
            next_attempt: None,
            settings_version: None,
            signed_by: Vec::new(),
            released: None,
        }
    }

    /// See [`EventKind::status`].
    pub const fn status(&self) -> Option<&'static str> {
        self.kind.status()
    }

    /// The JSON object of `relais trace --json`, on one line, without line end. All fields of
    /// [`EVENT_FIELDS`] in that order.
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// Reads what [`Event::to_json`] wrote, now or in an older version: absent fields are `None`.
    ///
    /// Repairs that this version does not know are left out. Errors: no JSON object, a kind that
    /// is not known, a value of another type.
    pub fn from_json(text: &str) -> Result<Self, EventReadError> {
        json::read(text)
    }
}

/// One field of an event's JSON, for the reference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventField {
    /// Name; of a field inside an object, with a dot.
    pub name: &'static str,
    /// Whether it is written even where the event has no such value (then `null`).
    pub presence: Presence,
    /// One line for people.
    pub doc: &'static str,
}

/// Whether a field may be left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Presence {
    /// Always there.
    Always,
    /// Only where it has a value.
    WhereKnown,
}

/// Every field of the JSON, in the order in which it is written.
pub const EVENT_FIELDS: &[EventField] = &[
    always("time", "When it happened: RFC 3339, UTC, milliseconds."),
    always(
        "event",
        "What happened: one of the names of this reference.",
    ),
    always(
        "queue_id",
        "The message, 13 letters and digits that sort as time.",
    ),
    always("reference", "The short code in the reply of a refusal."),
    always("organisation", "Name of the organisation."),
    always(
        "inbound_connector",
        "The connector by which the client was recognised.",
    ),
    always(
        "client",
        "The device or application, an object; null for our own notices.",
    ),
    always(
        "client.address",
        "Its IP address; IPv4-mapped IPv6 addresses are written as IPv4.",
    ),
    always(
        "client.helo",
        "The name in its HELO or EHLO: a hint, never a proof.",
    ),
    always("client.credential", "The user it logged in as."),
    always(
        "client.certificate",
        "The verified name of its certificate.",
    ),
    always(
        "from",
        "Reverse-path (MAIL FROM); empty for the null reverse-path of notices.",
    ),
    always("header_from", "First address of the header field From."),
    always(
        "to",
        "Forward-path: a string for recipient.* events, else an array.",
    ),
    always(
        "subject",
        "Header field Subject, decoded, cut at 256 characters.",
    ),
    always("size", "Octets of the content."),
    always(
        "status",
        "accepted, delivered, deferred, failed, refused, held, expired or discarded; null for \
         events that are no outcome of mail.",
    ),
    always(
        "token",
        "The token of a refusal, as in the reply and in the catalogue of replies.",
    ),
    always(
        "reply",
        "Our reply for refusals, the next hop's for deliveries; on one line.",
    ),
    always(
        "outbound_connector",
        "The connector by which it left, or will leave.",
    ),
    always(
        "next_hop",
        "Name, address and port of the server it was given to.",
    ),
    always(
        "tls",
        "TLS of the session concerned, an object; null for clear text.",
    ),
    always("tls.version", "1.0 to 1.3."),
    always("tls.cipher", "Cipher suite."),
    always(
        "tls.verified",
        "How the peer was verified: a next hop by dane, mta-sts, name or chain; a client by its \
         certificate; or no.",
    ),
    always(
        "duration_ms",
        "How long the attempt, or the acceptance, took; milliseconds.",
    ),
    always(
        "repairs",
        "Repairs made to the form of the message; an array, often empty.",
    ),
    where_known(
        "envelope_sender",
        "Reverse-path that the next hop was given, where it is not from: a signed address at the \
         bounce domain.",
    ),
    where_known("attempts", "Attempts made so far for this recipient."),
    where_known("next_attempt", "When a deferred recipient is tried again."),
    where_known(
        "detail",
        "Free words for people: what changed, why held, by whom.",
    ),
    where_known("settings_version", "Version of the settings in force."),
    where_known(
        "signed_by",
        "Domains whose DKIM signature was on top of what was sent, an array.",
    ),
    where_known(
        "message_id",
        "Header field Message-ID without its brackets, of message.accepted.",
    ),
    where_known(
        "detail_fr",
        "detail in French, of check.changed where a self-check or a look at DNS found it.",
    ),
];

const fn always(name: &'static str, doc: &'static str) -> EventField {
    EventField {
        name,
        presence: Presence::Always,
        doc,
    }
}

const fn where_known(name: &'static str, doc: &'static str) -> EventField {
    EventField {
        name,
        presence: Presence::WhereKnown,
        doc,
    }
}

/// A stored event: its position (grows with time of storing) and its JSON.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TraceRow {
    /// Cursor for paging.
    pub position: u64,
    /// As [`Event::to_json`] wrote it.
    pub json: String,
}

/// A page of stored events.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TraceAnswer {
    /// Newest first.
    pub rows: Vec<TraceRow>,
    /// [`TraceQuery::before`] of the next page; `None`: this was all. A page that is not full may
    /// have a next one: what is rare is looked for so far back at a time.
    pub next: Option<u64>,
    /// Of a page that ended by its bound and not by its rows: all from here on was looked at.
    pub searched_to: Option<Timestamp>,
}

/// One group of refused attempts: same client address and token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefusedGroup {
    /// The last one.
    pub last: Event,
    /// Its client's address.
    pub address: IpAddr,
    /// How many.
    pub count: u64,
}
