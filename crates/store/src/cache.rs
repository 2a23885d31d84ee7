//! Messages that were just committed, still in memory: delivery takes them from here, so that the
//! happy path never reads back. A message leaves when it is settled, deferred, or old.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use crate::queue::{Content, MessageFacts};

/// Octets that the cache may take. What does not fit is read from the disk when it is leased; with
/// a backlog that is most of it, and 64 MiB of it are not.
const CACHE_OCTETS_MAX: usize = 64 * 1_024 * 1_024;
/// Octets counted for a message beside its content and recipients.
const MESSAGE_OCTETS: usize = 1_024;
/// Octets counted for a recipient.
const RECIPIENT_OCTETS: usize = 128;
/// Milliseconds after which a message leaves: its queue stands still, others need the room.
const AGE_MILLIS_MAX: i64 = 120_000;

/// A message as committed.
#[derive(Debug)]
pub(crate) struct FreshMessage {
    pub(crate) facts: Arc<MessageFacts>,
    /// By number.
    pub(crate) recipients: Vec<EnvelopeRecipient>,
    pub(crate) content: Content,
}

impl FreshMessage {
    fn octets(&self) -> usize {
        let content = match &self.content {
            Content::Inline(octets) => octets.len(),
            Content::Spooled(_) => 0,
        };
        MESSAGE_OCTETS + RECIPIENT_OCTETS * self.recipients.len() + content
    }
}

/// See the sign on the door.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<Messages>);

#[derive(Debug, Default)]
struct Messages {
    octets: usize,
    by_id: HashMap<QueueId, Arc<FreshMessage>>,
}

impl Cache {
    /// Takes messages in while there is room.
    pub(crate) fn insert(&self, messages: impl Iterator<Item = Arc<FreshMessage>>) {
        let mut cache = self.lock();
        for message in messages {
            let octets = message.octets();
            if cache.octets + octets > CACHE_OCTETS_MAX {
                return;
            }
            cache.octets += octets;
            if let Some(old) = cache.by_id.insert(message.facts.queue_id, message) {
                cache.octets -= old.octets();
            }
        }
    }

    /// The message, if it is here.
    pub(crate) fn get(&self, queue_id: QueueId) -> Option<Arc<FreshMessage>> {
        self.lock().by_id.get(&queue_id).cloned()
    }

    /// Lets messages go.
    pub(crate) fn remove(&self, queue_ids: impl Iterator<Item = QueueId>) {
        let mut cache = self.lock();
        for queue_id in queue_ids {
            if let Some(message) = cache.by_id.remove(&queue_id) {
                cache.octets -= message.octets();
            }
        }
    }

    /// Lets all go.
    pub(crate) fn clear(&self) {
        *self.lock() = Messages::default();
    }

    /// Lets those go that were accepted long ago.
    pub(crate) fn age(&self, now: Timestamp) {
        let mut cache = self.lock();
        let oldest = now.as_millis().saturating_sub(AGE_MILLIS_MAX);
        cache
            .by_id
            .retain(|_, message| message.facts.accepted_at.as_millis() >= oldest);
        cache.octets = cache.by_id.values().map(|message| message.octets()).sum();
    }

    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
