//! Mail of our own to one recipient, through the queue like every other: what a person asked for at
//! the admin centre. The sender is of a verified domain, as everybody's must be.

use std::sync::Arc;

use axum::http::StatusCode;

use relais_policy::document::Organisation;
use relais_policy::route::{RouteSource, route};
use relais_policy::schedule::expires_at;
use relais_policy::settings::Settings;
use relais_smtp::address::{Host, Mailbox, ReversePath};
use relais_smtp::dkim::BodyHasher;
use relais_smtp::envelope::{Body, EnvelopeRecipient, SenderParameters};
use relais_smtp::header::header_section_end;
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use relais_store::queue::{Content, MessageFacts, NewMessage, NewRecipient, QueueKey};
use relais_store::trace::{Event, EventKind, To};

use crate::context::AdminContext;
use crate::problem::Problem;

/// One message.
pub(super) struct OwnMail<'a> {
    pub(super) organisation: &'a Organisation,
    pub(super) from: &'a Mailbox,
    pub(super) to: &'a Mailbox,
    pub(super) queue_id: QueueId,
    pub(super) now: Timestamp,
    /// As people read it.
    pub(super) subject: &'a str,
    pub(super) message_id: &'a str,
    /// Header section and body.
    pub(super) octets: Vec<u8>,
    /// Why it is there, for the trace.
    pub(super) why: String,
}

/// The sender's domain must be verified, as for every other message.
pub(super) fn whose<'a>(
    settings: &'a Settings,
    from: &Mailbox,
) -> Result<&'a Organisation, Problem> {
    let Host::Domain(domain) = from.host() else {
        return Err(Problem::bad_request(
            "The sender must be of a verified domain.",
        ));
    };
    let found = settings.verified_domain(domain);
    found.map(|owned| owned.organisation).ok_or_else(|| {
        Problem::bad_request(format!(
            "{domain} is no verified domain: nobody may send from it."
        ))
    })
}

impl OwnMail<'_> {
    /// Puts it into the queue; it is on stable storage then.
    pub(super) async fn queue(self, context: &AdminContext) -> Result<QueueId, Problem> {
        let unavailable = |error: &dyn std::fmt::Display| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        };
        let store = &context.store;
        let mut writer = store.content_writer();
        let written = writer.write(&self.octets).await;
        written.map_err(|error| unavailable(&error))?;
        let content = writer.finish().await;
        let content = content.map_err(|error| unavailable(&error))?;
        let message = self.message(&store.settings(), content);
        let committed = store.commit(message).await;
        let committed = committed.map_err(|error| unavailable(&error))?;
        Ok(committed.queue_id())
    }

    fn message(self, settings: &Settings, content: Content) -> NewMessage {
        let utf8_header = !self.from.is_ascii() || !self.to.is_ascii();
        let mut hasher = BodyHasher::new();
        let body = header_section_end(&self.octets).unwrap_or(self.octets.len());
        hasher.update(&self.octets[body..]);
        let name: Arc<str> = self.organisation.name.as_str().into();
        let facts = MessageFacts {
            queue_id: self.queue_id,
            organisation: Arc::clone(&name),
            inbound_connector: None,
            client: None,
            reverse_path: ReversePath::Mailbox(self.from.clone()),
            replaced: None,
            parameters: SenderParameters {
                body: Body::SevenBit,
                smtp_utf8: utf8_header,
                ..SenderParameters::default()
            },
            accepted_at: self.now,
            size: u64::try_from(self.octets.len()).unwrap_or(u64::MAX),
            eight_bit: utf8_header,
            utf8_header,
            header_from: Some(self.from.to_string().into()),
            subject: Some(self.subject.into()),
            message_id: Some(self.message_id.into()),
            body_hash: Some(hasher.finish()),
            is_notice: false,
        };
        let source = RouteSource::of(settings, &name, None, self.from.domain());
        let way = route(settings, &name, self.to.host(), &source);
        let recipient = NewRecipient {
            recipient: EnvelopeRecipient::new(self.to.clone()),
            key: QueueKey {
                source: source.to_string().into(),
                ..QueueKey::new(name, self.to.host().to_string())
            },
            due: self.now,
            expires_at: expires_at(&way.retry, self.now),
            is_restricted: false,
            held: false,
        };
        NewMessage {
            events: vec![self.accepted(&facts)],
            facts,
            recipients: vec![recipient],
            content,
        }
    }

    /// `message.accepted`: from here on it is owed like any other.
    fn accepted(&self, facts: &MessageFacts) -> Event {
        Event {
            queue_id: Some(facts.queue_id),
            organisation: Some(Arc::clone(&facts.organisation)),
            from: facts.header_from.clone(),
            header_from: facts.header_from.clone(),
            to: Some(To::Many(vec![self.to.to_string().into()])),
            subject: facts.subject.clone(),
            size: Some(facts.size),
            detail: Some(self.why.as_str().into()),
            ..Event::new(facts.accepted_at, EventKind::MessageAccepted)
        }
    }
}
