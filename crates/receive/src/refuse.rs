//! Saying no: every refusal gets a reference, its reply from the catalogue, and an event, so that
//! whoever reads the reply on a device's display finds it again.
//!
//! Not here: the reasons (`relais_policy`, `relais_smtp::server`, `accept`) and their texts
//! (`relais_smtp::refusal`).

use std::sync::Arc;

use relais_smtp::refusal::Refusal;
use relais_smtp::reply::Reply;
use relais_store::trace::{Event, EventKind, To};

use crate::identity::{Client, Identity};
use crate::login::NotLoggedIn;
use crate::shared::{ERRORS_MAX, ReceiveContext};

/// Events of refusals that one session may cause without getting a message through: one more than
/// the errors after which it is closed. More are answered all the same.
const EVENTS_MAX: u32 = ERRORS_MAX + 1;

/// The refusals of one session.
#[derive(Default)]
pub(crate) struct Refusals {
    recorded: u32,
}

/// Which mail a refusal is about, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// Reverse-path; empty for the null one.
    pub(crate) from: Option<Arc<str>>,
    /// The recipient, or all of them.
    pub(crate) to: Option<To>,
    /// First address of the header From.
    pub(crate) header_from: Option<Arc<str>>,
    /// Subject.
    pub(crate) subject: Option<Arc<str>>,
    /// Octets, declared or received.
    pub(crate) size: Option<u64>,
    /// Repairs of its commands.
    pub(crate) repairs: Vec<&'static str>,
    /// Why, in words that the reply does not say.
    pub(crate) detail: Option<Arc<str>>,
    /// The user that was tried in AUTH.
    pub(crate) user: Option<Box<str>>,
}

impl Refusals {
    /// MAIL, RCPT or DATA is refused: `attempt.refused`.
    pub(crate) fn attempt(
        &mut self,
        context: &ReceiveContext,
        client: &Client,
        identity: &Identity,
        refusal: &Refusal,
        about: About,
    ) -> Reply {
        self.record(
            context,
            client,
            identity,
            refusal,
            EventKind::AttemptRefused,
            about,
        )
    }

    /// The connection is turned away or ended by us: `connection.refused`.
    pub(crate) fn connection(
        &mut self,
        context: &ReceiveContext,
        client: &Client,
        identity: &Identity,
        refusal: &Refusal,
    ) -> Reply {
        self.connection_about(context, client, identity, refusal, About::default())
    }

    /// The same, with what the reply does not say.
    pub(crate) fn connection_about(
        &mut self,
        context: &ReceiveContext,
        client: &Client,
        identity: &Identity,
        refusal: &Refusal,
        about: About,
    ) -> Reply {
        self.record(
            context,
            client,
            identity,
            refusal,
            EventKind::ConnectionRefused,
            about,
        )
    }

    /// A login failed: `auth.failed`, with the user that was tried.
    pub(crate) fn login(
        &mut self,
        context: &ReceiveContext,
        client: &Client,
        identity: &Identity,
        no: &NotLoggedIn,
        user: &str,
    ) -> Reply {
        let about = About {
            user: Some(user.into()),
            detail: no.detail.as_deref().map(Into::into),
            ..About::default()
        };
        self.record(
            context,
            client,
            identity,
            &no.refusal,
            EventKind::AuthFailed,
            about,
        )
    }

    /// A message got through: the session has proved itself.
    pub(crate) fn message_accepted(&mut self) {
        self.recorded = 0;
    }

    fn record(
        &mut self,
        context: &ReceiveContext,
        client: &Client,
        identity: &Identity,
        refusal: &Refusal,
        kind: EventKind,
        about: About,
    ) -> Reply {
        let reference = context.chance.reference();
        let reply = refusal.reply(reference);
        if self.recorded >= EVENTS_MAX {
            return reply;
        }
        self.recorded += 1;
        let mut event = Event::new(context.clock.now(), kind);
        event.reference = Some(reference);
        event.organisation = client.organisation.clone();
        event.inbound_connector = client.connector.clone();
        event.client = Some(match &about.user {
            Some(user) => identity.having_tried(user),
            None => Arc::clone(identity.client()),
        });
        event.tls = identity.tls().cloned();
        event.from = about.from;
        event.to = about.to;
        event.header_from = about.header_from;
        event.subject = about.subject;
        event.size = about.size;
        event.repairs = about.repairs;
        event.detail = about.detail;
        event.token = Some(refusal.token().into());
        event.reply = Some(reply.to_string().into());
        event.settings_version = Some(client.settings.version);
        context.store.record(event);
        reply
    }
}

/// A refusal that is said and not recorded: of no command that concerns mail.
pub(crate) fn say(context: &ReceiveContext, refusal: &Refusal) -> Reply {
    refusal.reply(context.chance.reference())
}
