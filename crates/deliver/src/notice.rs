//! A notice becomes a new message with the null reverse-path, and goes the way of every other.
//! RFC 3464, RFC 3461 §6.
//!
//! One notice per settlement and kind names each recipient concerned. Never for the null
//! reverse-path, never about a notice.
//!
//! Not here: its text (`smtp::dsn`), its addressee (`policy::notice`).

use std::sync::Arc;

use relais_policy::document::Language;
use relais_policy::notice::{Addressee, addressee};
use relais_policy::route::{RouteSource, route};
use relais_policy::schedule::expires_at;
use relais_policy::settings::Settings;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::dkim::{BodyHash, BodyHasher};
use relais_smtp::domain::Domain;
use relais_smtp::dsn::{self, Action, Cause, Notice, RecipientStatus};
use relais_smtp::envelope::{Body, EnvelopeRecipient, Ret, SenderParameters};
use relais_smtp::header;
use relais_smtp::header::FromField;
use relais_smtp::identifier::QueueId;
use relais_smtp::reply::EnhancedStatus;
use relais_smtp::time::Timestamp;
use relais_store::queue::{
    Content, INLINE_OCTETS_MAX, MessageFacts, NewMessage, NewRecipient, QueueKey,
};
use relais_store::store::Store;
use relais_store::trace::{Event, EventKind, To};

use crate::attempt::Answer;
use crate::context::DeliverOptions;
use crate::original::first_octets;

/// Of the original's header section, this much is returned at most; longer ones are cut at a line.
const HEADER_OCTETS_MAX: usize = 16 * 1_024;
/// `RET=FULL` is honoured up to this size; larger content is returned as its header section.
/// RFC 3461 §4.3 allows that.
const FULL_OCTETS_MAX: u64 = 20 * 1_024;

/// Whether nobody may be told about a message. RFC 5321 §4.5.5, RFC 3464 §2.
fn is_untold(facts: &MessageFacts) -> bool {
    facts.is_notice || facts.reverse_path == ReversePath::Null
}

/// What is told about one recipient.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) to: Arc<str>,
    pub(crate) recipient: EnvelopeRecipient,
    pub(crate) action: Action,
    pub(crate) status: EnhancedStatus,
    pub(crate) answer: Answer,
    /// A cause beside the answer (expired).
    pub(crate) also: Option<Cause>,
    pub(crate) hop: Option<Arc<str>>,
    pub(crate) attempted: bool,
    pub(crate) expires_at: Timestamp,
}

/// A notice, ready to be committed.
pub(crate) struct Made {
    pub(crate) message: NewMessage,
    /// Its `message.accepted`: an event of the settlement, which commits it.
    pub(crate) accepted: Event,
    pub(crate) to: Arc<str>,
    /// For `notice.sent` of the original.
    pub(crate) detail: String,
}

/// Makes the notice about these recipients, who share an action; or says why there is none.
pub(crate) async fn make(
    store: &Store,
    options: &DeliverOptions,
    facts: &MessageFacts,
    content: &Content,
    told: &[Told],
    now: Timestamp,
) -> Result<Made, &'static str> {
    if is_untold(facts) {
        return Err("the message has no reverse-path");
    }
    let settings = store.settings();
    let (addressee, language) = addressee(
        &settings,
        &facts.organisation,
        facts.inbound_connector.as_deref(),
        &facts.reverse_path,
    );
    let (to, on_behalf_of) = match addressee {
        Addressee::ReversePath(mailbox) => (mailbox, None),
        Addressee::Owner(mailbox) | Addressee::Postmaster(mailbox) => {
            (mailbox, facts.reverse_path.mailbox())
        }
        Addressee::Nobody { because } => return Err(because),
    };
    // Content that may only go with TLS does not go with a notice, which goes as it can.
    let may_full = !facts.parameters.require_tls && facts.size <= FULL_OCTETS_MAX;
    let wants_full = facts.parameters.ret == Some(Ret::Full) && may_full;
    let returned = Returned {
        is_full: wants_full && told.iter().all(|one| one.action == Action::Failed),
        octets: Vec::new(),
    }
    .read(store, content)
    .await;
    let queue_id = store.next_queue_id(now);
    let text = Text {
        options,
        facts,
        to: &to,
        on_behalf_of,
        language,
        told,
        queue_id,
        now,
    };
    let mut octets = text.compose(&returned);
    if octets.len() > INLINE_OCTETS_MAX {
        octets = text.compose(&Returned {
            is_full: false,
            octets: Vec::new(),
        });
    }
    let message = message(&settings, &facts.organisation, &to, queue_id, octets, now);
    let accepted = accepted(&message.facts, to.to_string().into(), facts.queue_id);
    let detail = format!("{} notice, queued as {queue_id}", text.kind());
    Ok(Made {
        message,
        accepted,
        to: to.to_string().into(),
        detail,
    })
}

/// What goes back of the original.
pub(crate) struct Returned {
    pub(crate) is_full: bool,
    pub(crate) octets: Vec<u8>,
}

impl Returned {
    /// Reads what there is; a notice without the original is better than none.
    pub(crate) async fn read(mut self, store: &Store, content: &Content) -> Self {
        match first_octets(
            store,
            content,
            // As a notice is inline, so is what it returns.
            INLINE_OCTETS_MAX,
        )
        .await
        {
            Ok(first) if self.is_full => self.octets = first,
            Ok(first) => self.octets = header_section(first),
            Err(error) => {
                tracing::warn!(%error, "the original of a notice cannot be read");
                self.is_full = false;
            }
        }
        self
    }
}

/// The header section, cut at a line end if it is longer than we return.
fn header_section(mut first: Vec<u8>) -> Vec<u8> {
    if let Some(end) = header::header_section_end(&first) {
        first.truncate(end);
    }
    if first.len() > HEADER_OCTETS_MAX {
        first.truncate(HEADER_OCTETS_MAX);
    }
    if !first.ends_with(b"\n") {
        let end = first
            .iter()
            .rposition(|octet| *octet == b'\n')
            .map_or(0, |at| at + 1);
        first.truncate(end);
    }
    first
}

struct Text<'a> {
    options: &'a DeliverOptions,
    facts: &'a MessageFacts,
    to: &'a Mailbox,
    on_behalf_of: Option<&'a Mailbox>,
    language: Language,
    told: &'a [Told],
    queue_id: QueueId,
    now: Timestamp,
}

impl Text<'_> {
    fn compose(&self, returned: &Returned) -> Vec<u8> {
        let language = language(self.language);
        let recipients: Vec<_> = self
            .told
            .iter()
            .map(|one| one.status(language, self.now))
            .collect();
        let ids = (self.facts.queue_id.to_string(), self.queue_id.to_string());
        dsn::compose(&Notice {
            hostname: &self.options.hostname,
            from_domain: &sender_domain(self.options, self.to),
            to: self.to,
            on_behalf_of: self.on_behalf_of,
            language,
            envid: self.facts.parameters.envid.as_deref(),
            arrival: self.facts.accepted_at,
            now: self.now,
            queue_ids: (&ids.0, &ids.1),
            subject: self.facts.subject.as_deref(),
            message_id: self.facts.message_id.as_deref(),
            recipients: &recipients,
            original: &returned.octets,
            original_is_full: returned.is_full,
        })
    }

    fn kind(&self) -> &'static str {
        match self.told.first().map(|one| one.action) {
            Some(Action::Failed) | None => "failed",
            Some(Action::Delayed) => "delayed",
            Some(Action::Delivered) => "delivered",
            Some(Action::Relayed) => "relayed",
        }
    }
}

/// Our own name, or where that is none, the domain that a notice goes to.
pub(crate) fn sender_domain(options: &DeliverOptions, to: &Mailbox) -> Domain {
    let own = options.domain();
    own.or_else(|| to.domain().cloned())
        .unwrap_or_else(unknown_domain)
}

pub(crate) fn language(language: Language) -> dsn::Language {
    match language {
        Language::English => dsn::Language::English,
        Language::French => dsn::Language::French,
    }
}

fn unknown_domain() -> Domain {
    Domain::parse("localhost.invalid").expect("localhost.invalid is a domain name")
}

impl Told {
    fn status(&self, language: dsn::Language, now: Timestamp) -> RecipientStatus {
        let (diagnostic, words) = match &self.answer {
            Answer::Reply(reply) => (Some(reply.clone()), None),
            Answer::Ours {
                cause: Some(cause), ..
            } => (None, Some(cause.text(language).into())),
            Answer::Ours { cause: None, words } => (None, Some((**words).into())),
        };
        let also = self.also.map(|cause| cause.text(language).into());
        RecipientStatus {
            final_recipient: self.recipient.forward_path.clone(),
            original_recipient: self.recipient.original.clone(),
            action: self.action,
            status: self.status,
            remote_mta: self.hop.as_deref().and_then(remote_mta),
            diagnostic,
            explanation: also.or(words),
            last_attempt: self.attempted.then_some(now),
            will_retry_until: (self.action == Action::Delayed).then_some(self.expires_at),
        }
    }
}

/// `mx.example.org[192.0.2.1]:25` → `mx.example.org`; `[192.0.2.1]:25` → `[192.0.2.1]`.
fn remote_mta(hop: &str) -> Option<Box<str>> {
    let name = match hop.split_once('[')? {
        ("", _) => hop.rsplit_once(':').map(|(host, _)| host)?,
        (name, _) => name,
    };
    Some(name.into())
}

pub(crate) fn message(
    settings: &Settings,
    organisation: &Arc<str>,
    to: &Mailbox,
    queue_id: QueueId,
    octets: Vec<u8>,
    now: Timestamp,
) -> NewMessage {
    let section = header::header_section_end(&octets).unwrap_or(octets.len());
    let summary = header::read(&octets[..section]);
    let from = match &summary.from {
        FromField::Addresses(addresses) => addresses.first().map(|one| one.to_string().into()),
        FromField::Missing | FromField::Unreadable => None,
    };
    let eight_bit = !octets.is_ascii();
    let facts = MessageFacts {
        queue_id,
        organisation: Arc::clone(organisation),
        inbound_connector: None,
        client: None,
        reverse_path: ReversePath::Null,
        replaced: None,
        parameters: SenderParameters {
            size: None,
            body: if eight_bit {
                Body::EightBitMime
            } else {
                Body::SevenBit
            },
            smtp_utf8: !to.is_ascii() || !octets[..section].is_ascii(),
            ret: None,
            envid: None,
            require_tls: false,
        },
        accepted_at: now,
        size: u64::try_from(octets.len()).unwrap_or(u64::MAX),
        eight_bit,
        utf8_header: !octets[..section].is_ascii(),
        header_from: from,
        subject: summary.subject.map(Into::into),
        message_id: summary.message_id.map(Into::into),
        body_hash: Some(hash_of(&octets[section..])),
        is_notice: true,
    };
    let way = route(settings, organisation, to.host(), &RouteSource::default());
    let recipient = NewRecipient {
        recipient: EnvelopeRecipient::new(to.clone()),
        key: QueueKey::new(Arc::clone(organisation), to.host().to_string()),
        due: now,
        expires_at: expires_at(&way.retry, now),
        is_restricted: false,
        held: false,
    };
    NewMessage {
        facts,
        recipients: vec![recipient],
        content: Content::Inline(octets.into()),
        events: Vec::new(),
    }
}

fn hash_of(body: &[u8]) -> BodyHash {
    let mut hasher = BodyHasher::new();
    hasher.update(body);
    hasher.finish()
}

/// `message.accepted` of the notice: from here on it is owed like any other.
pub(crate) fn accepted(facts: &MessageFacts, to: Arc<str>, about: QueueId) -> Event {
    let mut event = Event::new(facts.accepted_at, EventKind::MessageAccepted);
    event.queue_id = Some(facts.queue_id);
    event.organisation = Some(Arc::clone(&facts.organisation));
    event.from = Some("".into());
    event.header_from.clone_from(&facts.header_from);
    event.to = Some(To::Many(vec![to]));
    event.subject.clone_from(&facts.subject);
    event.size = Some(facts.size);
    event.detail = Some(format!("notice about {about}").into());
    event
}
