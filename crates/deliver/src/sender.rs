//! The reverse-path that a message leaves with: its own, or a signed address at the bounce domain
//! of its sender's domain; for a stranger's message that is passed on, at that of its recipient's.
//! A copy for an archive leaves with the null one instead of its own: whatever becomes of it, its
//! next hop has nobody to tell.
//!
//! Not here: what comes back there (`returned`), the form of the address and who gets one
//! (`relais_policy::bounce`).

use std::sync::Arc;

use relais_policy::bounce::{
    BounceToken, PassedOn, Place, bounce_place, bounce_waits, passed_on_place,
};
use relais_policy::settings::Settings;
use relais_smtp::address::ReversePath;
use relais_smtp::domain::Domain;
use relais_smtp::header::{HEADER_SECTION_OCTETS_MAX, header_section_end, read};
use relais_store::queue::Leased;

use crate::context::DeliverContext;
use crate::original::first_octets;

/// Whether the recipient at this place gets a copy of which the sender hears nothing.
pub(crate) fn is_copy(leased: &Leased, place: usize) -> bool {
    let recipient = leased.recipients.get(place);
    recipient.is_some_and(|one| one.recipient.is_copy)
}

/// For a transaction with the recipients at these places, all copies or none, at a next hop in our
/// own network
/// (`is_inside`) or beyond. Where the key cannot be had the reverse-path stays: mail that arrives
/// is better than mail that waits for a bounce address.
pub(crate) async fn reverse_path(
    context: &DeliverContext,
    leased: &Leased,
    asked: &[usize],
    is_inside: bool,
) -> ReversePath {
    let facts = &leased.facts;
    let settings = context.store.settings();
    let connector = facts.inbound_connector.as_deref();
    let is_copy = asked.first().is_some_and(|place| is_copy(leased, *place));
    let own = || match is_copy {
        true => ReversePath::Null,
        false => facts.reverse_path.clone(),
    };
    let place = match connector {
        Some(_) => bounce_place(
            &settings,
            &facts.organisation,
            connector,
            &facts.reverse_path,
        ),
        None => of_stranger(context, &settings, leased, is_inside).await,
    };
    let Some((organisation, domain)) = place else {
        return own();
    };
    let now = context.clock.now();
    let fresh = context.chance.octets();
    let keys = match context.store.bounce_keys(organisation, fresh, now).await {
        Ok(keys) => keys,
        Err(error) => {
            tracing::warn!(%error, queue_id = %facts.queue_id, "the envelope sender stays");
            return own();
        }
    };
    let token = BounceToken {
        queue_id: facts.queue_id,
        recipient: match asked {
            [only] => leased.recipients.get(*only).map(|one| one.number),
            _ => None,
        },
    };
    let place = Place {
        organisation,
        domain: &domain,
    };
    ReversePath::Mailbox(keys.sign(token, place, now))
}

/// Where bounces of a stranger's message are to come back. Its authors are read only where it
/// matters.
async fn of_stranger<'a>(
    context: &DeliverContext,
    settings: &'a Settings,
    leased: &Leased,
    is_inside: bool,
) -> Option<(&'a str, Domain)> {
    let facts = &leased.facts;
    // A queue leads to one destination, so the first stands for all.
    let recipient = leased.recipients.first()?.recipient.forward_path.domain()?;
    let owned = settings.verified_domain(recipient)?;
    if owned.domain.bounce_domain.is_empty() || facts.reverse_path == ReversePath::Null {
        return None;
    }
    let section = first_octets(&context.store, &leased.content, HEADER_SECTION_OCTETS_MAX).await;
    let section = section.ok()?;
    let end = header_section_end(&section).unwrap_or(section.len());
    let summary = read(&section[..end]);
    let passed = PassedOn {
        organisation: &facts.organisation,
        recipient,
        reverse_path: &facts.reverse_path,
        authors: &summary.from,
        is_inside,
    };
    passed_on_place(settings, &passed)
}

/// Why a message leaves with its own reverse-path though a bounce domain is wanted, for the trace.
pub(crate) fn waits(context: &DeliverContext, leased: &Leased) -> Option<String> {
    let facts = &leased.facts;
    let bounce = bounce_waits(
        &context.store.settings(),
        &facts.organisation,
        facts.inbound_connector.as_deref(),
        &facts.reverse_path,
    )?;
    Some(format!(
        "envelope sender kept: DNS has not shown yet that {bounce} leads to us"
    ))
}

/// As the trace shows it beside the message's own; `None`: it is the message's own.
pub(crate) fn shown(own: &ReversePath, sent: &ReversePath) -> Option<Arc<String>> {
    (own != sent).then(|| Arc::new(sent.to_string()))
}
