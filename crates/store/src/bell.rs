//! Wake-ups. A signal is a hint; the truth is in the store: a bell that is not heard costs time,
//! never a message.

use std::sync::Arc;

use tokio::sync::Notify;

/// Rung when something may have become due.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Wakes the one who waits, or the next one who will.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits for a ring.
    pub async fn heard(&self) {
        self.0.notified().await;
    }
}
