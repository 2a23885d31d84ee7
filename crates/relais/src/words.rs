//! Events in plain words, in the terminal: the words themselves are those of the admin centre, and
//! here is only the colour.

use relais_store::trace::{Event, EventKind};

use crate::output::Tone;

pub(crate) use relais_admin::words::{
    Language, advice, line, of_dialogue, reference, sentence, token,
};

/// Whether an event is good news.
pub(crate) fn tone(event: &Event) -> Tone {
    match event.kind {
        EventKind::ConnectionRefused
        | EventKind::AttemptRefused
        | EventKind::AuthFailed
        | EventKind::RecipientFailed
        | EventKind::RecipientExpired
        | EventKind::RecipientDiscarded
        | EventKind::EntityRestricted
        | EventKind::AlertRaised => Tone::Bad,
        EventKind::RecipientDeferred | EventKind::RecipientHeld => Tone::Waiting,
        EventKind::MessageAccepted
        | EventKind::MessageRepaired
        | EventKind::DeliveryAttempted
        | EventKind::RecipientDelivered
        | EventKind::NoticeSent
        | EventKind::NoticeReceived
        | EventKind::EntityReleased
        | EventKind::CheckChanged
        | EventKind::SettingsChanged => Tone::Good,
    }
}
