//! What is known about a message beside its content, and what the store is told of it: its trace
//! field, its recipients with their queues, its events.
//!
//! Not here: the content and the promise (`accept`); what was decided (`questions`).

use std::collections::BTreeMap;
use std::sync::Arc;

use relais_policy::archive::Archive;
use relais_policy::limit::Counts;
use relais_policy::retention;
use relais_policy::route::{RouteSource, route};
use relais_policy::schedule::expires_at;
use relais_smtp::address::{Host, Mailbox, ReversePath};
use relais_smtp::content::{ContentSummary, Preset, Repair};
use relais_smtp::domain::Domain;
use relais_smtp::envelope::{Body, Envelope, EnvelopeRecipient};
use relais_smtp::header::Received;
use relais_smtp::identifier::QueueId;
use relais_smtp::refusal::Refusal;
use relais_smtp::time::Timestamp;
use relais_store::queue::{MessageFacts, NewRecipient, QueueKey};
use relais_store::trace::{Event, EventKind, To};

use crate::guarding::Guarding;
use crate::identity::{Client, Identity};
use crate::quotas::Counting;
use crate::seats::Senders;
use crate::shared::ReceiveContext;

/// A line longer than this is recorded. RFC 5322 §2.1.1.
const LINE_OCTETS_MAX: u64 = 998;

/// Everything about a message but its content.
pub(crate) struct Arrival<'a> {
    pub(crate) context: &'a ReceiveContext,
    pub(crate) counts: &'a Counts,
    pub(crate) senders: &'a Senders,
    pub(crate) guarding: &'a Guarding,
    pub(crate) client: &'a Client,
    pub(crate) identity: &'a Identity,
    pub(crate) transaction: &'a Transaction,
    pub(crate) envelope: &'a Envelope,
    /// `ESMTP` …, for Received.
    pub(crate) protocol: &'static str,
    /// Repairs of command syntax.
    pub(crate) command_repairs: &'a [Repair],
}

/// What was decided about the transaction under way.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    /// Reverse-path as text; empty for the null one.
    pub(crate) from: Arc<str>,
    /// What the message has, where its connector put another address in the place of MAIL's too.
    pub(crate) reverse_path: ReversePath,
    /// How many recipients it may have, and how many it has.
    pub(crate) recipients_max: Option<u32>,
    pub(crate) recipients: u32,
    /// What MAIL said, where that was replaced.
    pub(crate) replaced: Option<Mailbox>,
    /// For the content.
    pub(crate) preset: Preset,
    /// The client's; for strangers the first recipient's, `None` before it.
    pub(crate) organisation: Option<Arc<str>>,
    /// `None` for strangers.
    pub(crate) inbound_connector: Option<Arc<str>>,
    /// DNS did not answer in time once: it is not asked again for this transaction.
    pub(crate) dns_is_slow: bool,
    /// A bound on the content beside that of MAIL, where a recipient has one.
    pub(crate) content_octets_max: Option<u64>,
    /// Whether the sender's domain takes mail.
    pub(crate) sender_domain: SenderDomain,
    /// What limits know of it.
    pub(crate) counting: Box<Counting>,
}

impl Transaction {
    /// Whether a recipient is a signed address, to which what comes back is sent.
    pub(crate) fn is_to_bounces(&self) -> bool {
        // Nobody else bounds the content of a recipient.
        self.content_octets_max.is_some()
    }
}

/// What DNS says of the sender's domain: asked once, at the first recipient that policy lets.
#[derive(Clone, Debug)]
pub(crate) enum SenderDomain {
    /// Nothing against it, or nobody needs to know.
    Settled,
    /// Still to be asked.
    Open(Domain),
    /// Each recipient is refused with this.
    Refused(Refusal),
}

impl Arrival<'_> {
    /// The organisation that the message belongs to. Known since the first recipient.
    pub(crate) fn organisation(&self) -> Arc<str> {
        self.transaction
            .organisation
            .clone()
            .unwrap_or_else(|| "".into())
    }

    /// Everybody who gets the message: whom the client named, and who gets the copy.
    pub(crate) fn everybody(&self, archive: &Archive) -> Vec<EnvelopeRecipient> {
        let mut all = self.envelope.recipients.clone();
        if let Archive::To(mailbox) = archive {
            all.push(EnvelopeRecipient::copy(mailbox.clone()));
        }
        all
    }

    /// A subject as queue, trace and whoever is told may have it.
    pub(crate) fn written_subject(&self, subject: Option<Arc<str>>) -> Option<Arc<str>> {
        let settings = &self.client.settings;
        let (organisation, transaction) = (self.organisation(), self.transaction);
        let connector = transaction.inbound_connector.as_deref();
        let is_strangers_notice =
            connector.is_none() && transaction.reverse_path == ReversePath::Null;
        if transaction.is_to_bounces() || is_strangers_notice {
            return retention::returned_subject(settings, &organisation, subject);
        }
        retention::written_subject(settings, (&organisation, connector), subject)
    }

    /// The trace field that every relay must add. RFC 5321 §4.4.
    pub(crate) fn received(&self, queue_id: QueueId) -> Received<'_> {
        let recipient = match self.envelope.recipients.as_slice() {
            [only] => Some(&only.forward_path),
            // Recipients are not told of each other. RFC 5321 §7.6.
            _ => None,
        };
        Received {
            helo: self.identity.facts().helo.as_deref().unwrap_or_default(),
            address: self.identity.address(),
            hostname: &self.context.options.hostname,
            protocol: self.protocol,
            tls: self.identity.tls_words(),
            queue_id,
            recipient,
            time: self.context.clock.now(),
        }
    }

    /// Each recipient with its queue and the end of its time, which its route decides.
    pub(crate) fn recipients(
        &self,
        everybody: &[EnvelopeRecipient],
        organisation: &Arc<str>,
        accepted_at: Timestamp,
        due: Timestamp,
        held: bool,
    ) -> Vec<NewRecipient> {
        let settings = &self.client.settings;
        let source = RouteSource::of(
            settings,
            organisation,
            self.transaction.inbound_connector.as_deref(),
            self.transaction.reverse_path.domain(),
        );
        let mut ways: BTreeMap<&Host, (QueueKey, Timestamp)> = BTreeMap::new();
        let mut recipients = Vec::with_capacity(everybody.len());
        for recipient in everybody {
            let host = recipient.forward_path.host();
            let (key, expires_at) = ways.entry(host).or_insert_with(|| {
                let retry = route(settings, organisation, host, &source).retry;
                let key = QueueKey {
                    source: source.to_string().into(),
                    ..QueueKey::new(Arc::clone(organisation), host.to_string())
                };
                (key, expires_at(&retry, accepted_at))
            });
            recipients.push(NewRecipient {
                recipient: recipient.clone(),
                key: key.clone(),
                due,
                expires_at: *expires_at,
                is_restricted: false,
                held,
            });
        }
        recipients
    }

    /// Takes the seats that a client's sender, and the address that stands for it, need, if they
    /// need any; what a person should hear of it.
    pub(crate) fn seats(&self, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        if self.client.connector.is_none() {
            return Ok(Vec::new());
        }
        let organisation = self.transaction.organisation.as_ref();
        let settings = &self.client.settings;
        let own = self.transaction.reverse_path.mailbox();
        let senders = self.transaction.replaced.iter().chain(own);
        let taken = senders.map(|sender| self.senders.take(settings, organisation, sender, now));
        taken.filter_map(Result::transpose).collect()
    }

    /// Every repair of the message, in the order of [`Repair`], each once.
    pub(crate) fn repairs(
        &self,
        of_header: &[Repair],
        summary: ContentSummary,
    ) -> Vec<&'static str> {
        let undeclared = self.envelope.parameters.body == Body::SevenBit && summary.eight_bit;
        let of_content = [
            (summary.bare_lf_repaired > 0).then_some(Repair::BareLineFeed),
            self.transaction
                .replaced
                .is_some()
                .then_some(Repair::Sender),
            undeclared.then_some(Repair::Undeclared8Bit),
            (summary.line_octets_max > LINE_OCTETS_MAX).then_some(Repair::LongLine),
        ];
        let mut repairs: Vec<_> = self.command_repairs.to_vec();
        repairs.extend(of_header);
        repairs.extend(of_content.into_iter().flatten());
        repairs.sort_unstable();
        repairs.dedup();
        repairs.into_iter().map(Repair::name).collect()
    }

    /// `accepted` with all that is known, `message.repaired` where something was, and
    /// `recipient.held` for each where a content check has the message held.
    pub(crate) fn events(
        &self,
        facts: &MessageFacts,
        everybody: &[EnvelopeRecipient],
        mut accepted: Event,
        held: Option<&str>,
    ) -> Vec<Event> {
        accepted.queue_id = Some(facts.queue_id);
        accepted.organisation = Some(Arc::clone(&facts.organisation));
        accepted.inbound_connector = facts.inbound_connector.clone();
        accepted.client = facts.client.clone();
        accepted.tls = self.identity.tls().cloned();
        accepted.from = Some(Arc::clone(&self.transaction.from));
        accepted.header_from = facts.header_from.clone();
        accepted.to = Some(To::Many(addresses_of(everybody)));
        accepted.subject = facts.subject.clone();
        accepted.size = Some(facts.size);
        accepted.settings_version = Some(self.client.settings.version);
        let mut events = Vec::new();
        if !accepted.repairs.is_empty() {
            let mut repaired = accepted.clone();
            repaired.kind = EventKind::MessageRepaired;
            events.push(repaired);
        }
        accepted.message_id = facts.message_id.clone();
        if let Some(because) = held {
            let detail: Arc<str> = because.into();
            let of_one = |to: Arc<str>| Event {
                kind: EventKind::RecipientHeld,
                to: Some(To::One(to)),
                detail: Some(Arc::clone(&detail)),
                repairs: Vec::new(),
                duration_ms: None,
                ..accepted.clone()
            };
            events.extend(addresses_of(everybody).into_iter().map(of_one));
        }
        events.insert(0, accepted);
        events
    }
}

/// All recipients as text.
pub(crate) fn addresses_of(recipients: &[EnvelopeRecipient]) -> Vec<Arc<str>> {
    let text = |one: &EnvelopeRecipient| one.forward_path.to_string().into();
    recipients.iter().map(text).collect()
}
