//! What came back about a stranger's message that we passed on: on to that stranger, as it came.
//!
//! The signed address is a door to somebody outside, for whoever got the message. So only notices
//! (null reverse-path) go through it, and as few as reach a person here.

use std::sync::Arc;

use relais_policy::route::{RouteSource, route};
use relais_policy::schedule::expires_at;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::identifier::QueueId;
use relais_store::queue::{Content, Leased, MessageFacts, NewMessage, NewRecipient, QueueKey};

use super::{Original, Passed};
use crate::connection::Shared;
use crate::context::DeliverContext;
use crate::forwards::Admission;
use crate::notice;

/// The message to the stranger; inner `Err`: why there is none. Outer `Err`: the store cannot now.
pub(super) async fn due(
    shared: &Shared,
    leased: &Leased,
    original: &Original,
    to: &Mailbox,
) -> Result<Result<Passed, &'static str>, String> {
    let context = &shared.context;
    if leased.facts.reverse_path != ReversePath::Null {
        return Ok(Err("it is no notice, and its sender is a stranger"));
    }
    let moment = context.clock.moment();
    let of = &original.organisation;
    match shared.forwards.admit(of, to, original.queue_id, moment) {
        Admission::Yes => {}
        // It goes on as it came: there is no place to say that it is the last.
        Admission::LastOfMessage(_) | Admission::LastOfPerson(_) | Admission::No => {
            return Ok(Err("too many in an hour"));
        }
    }
    let copied = context.store.copy_behind(&[], &leased.content).await;
    let (content, _) = copied.map_err(|error| error.to_string())?;
    let queue_id = context.store.next_queue_id(context.clock.now());
    let message = message(context, leased, (queue_id, content), to);
    let to: Arc<str> = to.to_string().into();
    let accepted = notice::accepted(&message.facts, Arc::clone(&to), original.queue_id);
    Ok(Ok((
        message,
        accepted,
        format!("sent back to its sender {to} as {queue_id}"),
    )))
}

/// The null reverse-path stays, so nobody is told of its own failure.
fn message(
    context: &DeliverContext,
    leased: &Leased,
    (queue_id, content): (QueueId, Content),
    to: &Mailbox,
) -> NewMessage {
    let now = context.clock.now();
    let facts = MessageFacts {
        queue_id,
        accepted_at: now,
        // Whoever brought it, it is not theirs.
        inbound_connector: None,
        ..MessageFacts::clone(&leased.facts)
    };
    let source = RouteSource::default();
    let way = route(
        &context.store.settings(),
        &facts.organisation,
        to.host(),
        &source,
    );
    let recipient = NewRecipient {
        recipient: EnvelopeRecipient::new(to.clone()),
        key: QueueKey::new(Arc::clone(&facts.organisation), to.host().to_string()),
        due: now,
        expires_at: expires_at(&way.retry, now),
        is_restricted: false,
        held: false,
    };
    NewMessage {
        facts,
        recipients: vec![recipient],
        content,
        events: Vec::new(),
    }
}
