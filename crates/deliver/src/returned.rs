//! What came back to a bounce domain: it is read, matched to its message, told in the trace, taken
//! into account for suppression, and passed on to a person; what is about a stranger's message that
//! we passed on goes back to that stranger, as it came. RFC 3464, RFC 5965, RFC 3834.
//!
//! It came through the queue like all mail, so a crash loses nothing: until its settlement is
//! stored it is done again. The settlement stores events, forwarded notice and end together; the
//! suppression is stored before, and once more is the same.
//!
//! Never a loop: what is passed on has the null reverse-path and is a notice, so nobody is told of
//! its own failure. Never a flood: what is passed on is bounded for each message and each
//! organisation, and the rest is told in the trace alone.
//!
//! Not here: reading (`relais_smtp::returned`), who is told (`relais_policy::notice`), who may
//! write to a bounce domain (`relais-receive`).

mod back;
mod forward;
mod original;

use std::sync::Arc;
use std::time::Duration;

use relais_policy::bounce::{self, BounceToken};
use relais_policy::outcome::Outcome;
use relais_policy::retention::{returned_subject, written_subject};
use relais_policy::settings::Settings;
use relais_policy::suppression::{Cause, Suppression, cause_of};
use relais_smtp::address::Mailbox;
use relais_smtp::dsn::Cause as DsnCause;
use relais_smtp::identifier::QueueId;
use relais_smtp::reply::EnhancedStatus;
use relais_smtp::returned::{self, Form, RETURNED_OCTETS_MAX, Returned, Said};
use relais_smtp::time::Timestamp;
use relais_store::queue::{
    Leased, LeasedRecipient, NewMessage, QueueKey, RecipientChange, Settlement,
};
use relais_store::store::SuppressionChange;
use relais_store::trace::{Event, EventKind, To};

use self::original::Original;
use crate::attempt::Finding;
use crate::connection::Shared;
use crate::context::{LEASE_TIME, RECIPIENTS_MAX};
use crate::original::first_octets;
use crate::settle::By;

/// Messages taken in, in one go.
const TAKEN_AT_ONCE: usize = 20;
/// Goes before other queues have their turn.
const GOES_MAX: usize = 50;
/// After a fault of the store.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// What cannot be read or matched now is looked at again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Leases what came back to a bounce domain, and takes it in, until nothing is left.
pub(crate) async fn take_in_some(shared: &Shared, key: &QueueKey, by: &By) {
    let context = &shared.context;
    for _ in 0..GOES_MAX {
        let now = context.clock.now();
        let until = now.after(LEASE_TIME);
        let lease = context
            .store
            .lease(key, TAKEN_AT_ONCE, RECIPIENTS_MAX, now, until);
        let leased = match lease.await {
            Ok(leased) => leased,
            Err(error) => {
                tracing::warn!(%error, "the store leases nothing");
                context.clock.sleep(STORE_PAUSE).await;
                return;
            }
        };
        let count = leased.len();
        for one in leased {
            if let Err(because) = take_in(shared, one.clone(), by).await {
                tracing::warn!(queue_id = %one.lease.queue_id, because, "not taken in yet");
                let until = context.clock.now().after(AGAIN_AFTER);
                shared.settler.give_back(&one, until).await;
            }
        }
        if count < TAKEN_AT_ONCE || shared.stop.is_cancelled() {
            return;
        }
    }
}

/// What a recipient of a notice is called in our message, and what is known of it.
struct Concerned {
    /// As the message was sent; `None`: the notice names nobody of ours, and there were several.
    address: Option<Mailbox>,
    said: Said,
    status: Option<EnhancedStatus>,
    diagnostic: Option<Arc<str>>,
    /// Suppressed just now.
    suppressed: Option<Cause>,
}

/// One message that came back: what is stored of it. What it says at an address that is none of
/// ours, or that does not count any more, is told to its sender like any other failure; so nothing
/// is lost that was queued before the domain became one for bounces.
async fn take_in(shared: &Shared, mut leased: Leased, by: &By) -> Result<(), String> {
    let mut tokens = Vec::with_capacity(leased.recipients.len());
    for recipient in &leased.recipients {
        tokens.push(token_of(shared, recipient).await?);
    }
    let mut unknown = leased.clone();
    unknown.recipients.clear();
    let (mut ours, mut of) = (Vec::new(), Vec::new());
    for (recipient, token) in leased.recipients.drain(..).zip(tokens) {
        match token {
            Some(token) => {
                ours.push(recipient);
                of.push(token);
            }
            None => unknown.recipients.push(recipient),
        }
    }
    leased.recipients = ours;
    let settlement = match of.is_empty() {
        true => None,
        false => Some(tell_all(shared, &leased, of, by).await?),
    };
    if !unknown.recipients.is_empty() {
        let words = "no address that we signed, or its time is over";
        let finding = Finding::ours(Outcome::Failed, DsnCause::BounceAddressUnknown, words);
        shared.settler.fail(&unknown, &finding, by).await;
    }
    if let Some(settlement) = settlement {
        shared.settler.hand_over(settlement).await;
    }
    Ok(())
}

/// What is stored of a message whose recipients all bear a token.
async fn tell_all(
    shared: &Shared,
    leased: &Leased,
    tokens: Vec<(Arc<str>, BounceToken)>,
    by: &By,
) -> Result<Settlement, String> {
    let context = &shared.context;
    let content = first_octets(&context.store, &leased.content, RETURNED_OCTETS_MAX);
    let content = content.await.map_err(|error| error.to_string())?;
    let read = returned::read(&content);
    let mut settlement = Settlement {
        lease: leased.lease.clone(),
        changes: Vec::with_capacity(leased.recipients.len()),
        events: Vec::new(),
        notices: Vec::new(),
    };
    for (recipient, (organisation, token)) in leased.recipients.iter().zip(tokens) {
        let about = match_and_tell(shared, leased, &read, &organisation, token, &mut settlement);
        let about = about.await?;
        settlement
            .events
            .push(taken_in(shared, leased, recipient, about, by));
        settlement
            .changes
            .push((recipient.number, RecipientChange::Done));
    }
    Ok(settlement)
}

/// The token of the address that it came to, with its organisation; `None`: it is none, or its time
/// is over since. An error where the domain takes other mail by now: it goes another way.
async fn token_of(
    shared: &Shared,
    recipient: &LeasedRecipient,
) -> Result<Option<(Arc<str>, BounceToken)>, String> {
    let context = &shared.context;
    let mailbox = &recipient.recipient.forward_path;
    let settings = context.store.settings();
    let domain = mailbox.domain().ok_or("it has no domain")?;
    let owned = settings.bounce_domain(domain);
    let owned = owned.ok_or("its domain is no bounce domain any more")?;
    let organisation = owned.organisation.name.as_str();
    let now = context.clock.now();
    let fresh = context.chance.octets();
    let keys = context.store.bounce_keys(organisation, fresh, now).await;
    let keys = keys.map_err(|error| error.to_string())?;
    let place = bounce::Place {
        organisation,
        domain,
    };
    let token = keys.read(mailbox.local_part().as_str(), place, now);
    Ok(token.ok().map(|token| (organisation.into(), token)))
}

/// Tells of what came back about a message, and suppresses and forwards what is due.
async fn match_and_tell(
    shared: &Shared,
    leased: &Leased,
    read: &Returned,
    organisation: &Arc<str>,
    token: BounceToken,
    settlement: &mut Settlement,
) -> Result<QueueId, String> {
    let context = &shared.context;
    let original = Original::find(&context.store, organisation, token).await?;
    let mut concerned = original.concerned(read);
    suppress(shared, organisation, token.queue_id, &mut concerned).await;
    let forwarded = match original.stranger(&context.store.settings()) {
        _ if original.is_about_copy => Err("it is about the copy for the archive"),
        Some(stranger) => back::due(shared, leased, &original, &stranger).await?,
        None => forward::due(shared, leased, read, &original, &concerned).await,
    };
    let (message, told) = match forwarded {
        Ok((message, accepted, told)) => (Some((message, accepted)), told),
        Err(because) => (None, format!("not passed on: {because}")),
    };
    for one in &concerned {
        let event = received(
            &context.store.settings(),
            leased,
            read,
            &original,
            one,
            &told,
            context.clock.now(),
        );
        if let (true, Said::Failure, Some(to)) = (original.is_about_copy, one.said, &one.address) {
            let why = one.diagnostic.as_deref().unwrap_or_default();
            let to = to.to_string().into();
            shared.settler.archive_lost(&event, &to, why);
        }
        settlement.events.push(event);
    }
    if let Some((message, accepted)) = message {
        settlement.events.push(accepted);
        settlement.notices.push(message);
    }
    Ok(token.queue_id)
}

/// Suppresses whom the notice says to. What cannot be stored now is not worth losing the notice.
async fn suppress(
    shared: &Shared,
    organisation: &Arc<str>,
    queue_id: QueueId,
    concerned: &mut [Concerned],
) {
    let context = &shared.context;
    let (settings, now) = (context.store.settings(), context.clock.now());
    let mut change = SuppressionChange::new(&**organisation, now);
    for one in concerned.iter_mut() {
        let Some(address) = &one.address else {
            continue;
        };
        let Some(cause) = cause_of(&settings, organisation, address, one.said, one.status) else {
            continue;
        };
        let known = context.store.suppression(organisation, address).await;
        if known.is_ok_and(|known| known.is_some()) {
            continue;
        }
        let said = one.diagnostic.as_deref().unwrap_or_default();
        let suppression = Suppression::of_notice(cause, said, queue_id, now);
        let mut event = Event::new(now, EventKind::EntityRestricted);
        event.organisation = Some(Arc::clone(organisation));
        event.queue_id = Some(queue_id);
        event.to = Some(To::Many(vec![address.to_string().into()]));
        event.detail =
            Some(format!("recipient {address} suppressed after {}", cause.words()).into());
        change.events.push(event);
        change.put.push((address.clone(), suppression));
        one.suppressed = Some(cause);
    }
    if change.put.is_empty() {
        return;
    }
    if let Err(error) = context.store.change_suppressions(change).await {
        tracing::warn!(%error, %queue_id, "a recipient is not suppressed");
        for one in concerned {
            one.suppressed = None;
        }
    }
}

/// `notice.received`: an event of the message that it is about.
fn received(
    settings: &Settings,
    leased: &Leased,
    read: &Returned,
    original: &Original,
    one: &Concerned,
    told: &str,
    now: Timestamp,
) -> Event {
    let mut event = Event::new(now, EventKind::NoticeReceived);
    event.queue_id = Some(original.queue_id);
    event.organisation = Some(Arc::clone(&original.organisation));
    event
        .inbound_connector
        .clone_from(&original.inbound_connector);
    event.client.clone_from(&leased.facts.client);
    event.from = Some(leased.facts.reverse_path.to_string().into());
    event.header_from = read.from.as_ref().map(|from| from.to_string().into());
    event.to = one
        .address
        .as_ref()
        .map(|address| To::Many(vec![address.to_string().into()]));
    let organisation = &original.organisation;
    let subject = read.subject.as_deref().map(Into::into);
    event.subject = match original.inbound_connector.as_deref() {
        None => returned_subject(settings, organisation, subject),
        by => written_subject(settings, (organisation, by), subject),
    };
    event.size = Some(leased.facts.size);
    event.reply.clone_from(&one.diagnostic);
    let mut detail = one.said.name().to_owned();
    if let Some(status) = one.status {
        detail.push_str(&format!(" {status}"));
    }
    match read.form {
        Form::DeliveryStatus => detail.push_str(", delivery status notification"),
        Form::FeedbackReport => detail.push_str(", feedback report"),
        Form::Rule(name) => detail.push_str(&format!(", by the rule {name}")),
        Form::AutomaticReply | Form::Unknown => {}
    }
    if let Some(reporter) = &read.reporter {
        detail.push_str(&format!(" from {reporter}"));
    }
    detail.push_str(&format!(", received as {}", leased.facts.queue_id));
    if let Some(cause) = one.suppressed {
        detail.push_str(&format!("; recipient suppressed after {}", cause.words()));
    }
    detail.push_str(&format!("; {told}"));
    event.detail = Some(detail.into());
    event
}

/// The end of what came back, as a message of its own.
fn taken_in(
    shared: &Shared,
    leased: &Leased,
    recipient: &LeasedRecipient,
    about: QueueId,
    by: &By,
) -> Event {
    let facts = &leased.facts;
    let mut event = Event::new(shared.context.clock.now(), EventKind::RecipientDelivered);
    event.queue_id = Some(facts.queue_id);
    event.organisation = Some(Arc::clone(&facts.organisation));
    event.inbound_connector.clone_from(&facts.inbound_connector);
    event.client.clone_from(&facts.client);
    event.from = Some(facts.reverse_path.to_string().into());
    event.header_from.clone_from(&facts.header_from);
    event.to = Some(To::One(recipient.recipient.forward_path.to_string().into()));
    event.subject.clone_from(&facts.subject);
    event.size = Some(facts.size);
    event.attempts = Some(recipient.attempts.saturating_add(1));
    event.outbound_connector.clone_from(&by.connector);
    event.detail = Some(format!("taken in: it is about {about}").into());
    event
}

/// What is passed on, with its `message.accepted`, and what the trace says of it.
type Passed = (NewMessage, Event, String);
