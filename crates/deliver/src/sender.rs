//! The reverse-path that a message leaves with: its own, or a signed address at the bounce domain
//! of its sender's domain.
//!
//! Not here: what comes back there (`returned`), the form of the address
//! (`relais_policy::bounce`).

use std::sync::Arc;

use relais_policy::bounce::{BounceToken, Place, bounce_place};
use relais_smtp::address::ReversePath;
use relais_store::queue::Leased;

use crate::context::DeliverContext;

/// For a transaction with the recipients at these places. Where the key cannot be had the
/// reverse-path stays: mail that arrives is better than mail that waits for a bounce address.
pub(crate) async fn reverse_path(
    context: &DeliverContext,
    leased: &Leased,
    asked: &[usize],
) -> ReversePath {
    let facts = &leased.facts;
    let settings = context.store.settings();
    let connector = facts.inbound_connector.as_deref();
    let place = bounce_place(
        &settings,
        &facts.organisation,
        connector,
        &facts.reverse_path,
    );
    let Some((organisation, domain)) = place else {
        return facts.reverse_path.clone();
    };
    let now = context.clock.now();
    let fresh = context.chance.octets();
    let key = match context.store.bounce_key(organisation, fresh, now).await {
        Ok(key) => key,
        Err(error) => {
            tracing::warn!(%error, queue_id = %facts.queue_id, "the envelope sender stays");
            return facts.reverse_path.clone();
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
    ReversePath::Mailbox(token.sign(&key, place, now))
}

/// As the trace shows it beside the message's own; `None`: it is the message's own.
pub(crate) fn shown(own: &ReversePath, sent: &ReversePath) -> Option<Arc<String>> {
    (own != sent).then(|| Arc::new(sent.to_string()))
}
