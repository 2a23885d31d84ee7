//! Whether the copy for a connector's archive is made. It is asked what other recipients are asked
//! at RCPT: whether it is blocked or suppressed, and whether there is room for it where it is held.
//! It is not asked whether the directory knows it: the settings name it, and warn of that.
//!
//! What keeps the copy from being made never keeps the message: the trace says why there is none.
//!
//! Not here: who the settings name (`relais_policy::archive`), what the copy counts for (`quotas`).

use relais_policy::archive::{Archive, archive};
use relais_policy::restriction;
use relais_smtp::refusal::Refusal;

use crate::arrival::Arrival;

/// Who gets a copy beside those whom the client named.
pub(crate) async fn of(arrival: &Arrival<'_>) -> Result<Archive, Refusal> {
    let settings = &arrival.client.settings;
    let attribution = arrival.client.attribution(arrival.identity);
    let Some(found) = attribution.connector() else {
        return Ok(Archive::Nobody);
    };
    let mailbox = match archive(settings, &found) {
        Archive::To(mailbox) => mailbox,
        other => return Ok(other),
    };
    let mut named = arrival.envelope.recipients.iter();
    if named.any(|one| one.forward_path == mailbox) {
        return Ok(Archive::Nobody);
    }
    let organisation = &found.organisation.name;
    let store = &arrival.context.store;
    let restrictions = store.restrictions();
    let now = arrival.context.clock.steady_now();
    let in_force = restrictions.in_force(now);
    if restriction::may_deliver_to(&in_force, organisation, &mailbox).is_err() {
        return Ok(Archive::withheld(mailbox, "it is blocked"));
    }
    let holding = restrictions.holding(now).of_mailbox(&mailbox);
    if holding.is_some_and(|found| arrival.guarding.is_full(found)) {
        return Ok(Archive::withheld(mailbox, "too much is held for it"));
    }
    match store.suppression(organisation, &mailbox).await {
        Ok(None) => Ok(Archive::To(mailbox)),
        Ok(Some(suppression)) => {
            let because = format!("it is suppressed after {}", suppression.cause.words());
            Ok(Archive::withheld(mailbox, because))
        }
        Err(error) => {
            tracing::warn!(%error, "who is suppressed cannot be read");
            Err(Refusal::Local)
        }
    }
}
