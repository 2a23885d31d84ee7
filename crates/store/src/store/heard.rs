//! Who did what an event tells of, for triggers: of a notice that came back, the client that sent
//! the message, which the trace knows; and what is usual for a device, as text for its shelf.

use relais_policy::trigger::{Heard, KnownDevice};
use relais_smtp::domain::Domain;

use super::Store;
use crate::trace::{Event, EventKind, TraceQuery, TraceTerm};

impl Store {
    /// What this event says to triggers. Reads the trace for notices that came back, only.
    pub async fn heard(&self, event: &Event) -> Option<Heard> {
        let Some(signal) = event.returned_signal() else {
            let settings = self.settings();
            return event.heard(|organisation, domain| {
                let domain = Domain::parse(domain);
                domain.is_ok_and(|domain| settings.is_verified_for(organisation, &domain))
            });
        };
        let id = event.queue_id?;
        let terms = [
            TraceTerm::new("id", &id.to_string()),
            TraceTerm::new("event", EventKind::MessageAccepted.name()),
        ];
        let query = TraceQuery {
            terms: terms.into_iter().collect::<Result<_, _>>().ok()?,
            limit: 1,
            ..TraceQuery::default()
        };
        let rows = self.trace(&query).await.ok()?;
        let accepted = Event::from_json(&rows.first()?.json).ok()?;
        event.heard_of(signal, accepted.client.as_deref()?)
    }
}

/// As it is kept.
pub fn known_text(known: &KnownDevice) -> String {
    serde_json::to_string(known).expect("texts and numbers can be written")
}

/// Reads it back; `None`: another hand wrote it.
pub fn read_known(text: &str) -> Option<KnownDevice> {
    serde_json::from_str(text).ok()
}
