//! A leased message on its way to a connection, the bound on their number, and the sites' calls to
//! the scheduler.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use relais_store::queue::Leased;
use tokio::sync::Notify;

/// Messages under lease in all: bounds memory. Each holds a ticket.
#[derive(Debug)]
pub(crate) struct Tickets {
    out: AtomicUsize,
    max: usize,
    attention: Attention,
}

/// One message's share of [`Tickets`].
#[derive(Debug)]
pub(crate) struct Ticket(Arc<Tickets>);

impl Tickets {
    pub(crate) fn new(max: usize, attention: Attention) -> Arc<Self> {
        Arc::new(Self {
            out: AtomicUsize::new(0),
            max,
            attention,
        })
    }

    /// How many messages more may be leased.
    pub(crate) fn left(&self) -> usize {
        self.max.saturating_sub(self.out.load(Ordering::Relaxed))
    }

    pub(crate) fn take(self: &Arc<Self>) -> Ticket {
        self.out.fetch_add(1, Ordering::Relaxed);
        Ticket(Arc::clone(self))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.0.out.fetch_sub(1, Ordering::Relaxed) == self.0.max {
            self.0.attention.wake();
        }
    }
}

/// A leased message on its way to a connection.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) leased: Leased,
    pub(crate) ticket: Ticket,
    /// How often a connection could not be made for it while others stood.
    pub(crate) put_back: u8,
}

/// Sites that want the scheduler to look at them: a set, so that it is bounded by their number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attention(Arc<Calls>);

#[derive(Debug, Default)]
struct Calls {
    sites: Mutex<BTreeSet<u64>>,
    heard: Notify,
}

impl Attention {
    /// A site wants to be looked at.
    pub(crate) fn call(&self, site: u64) {
        self.0
            .sites
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(site);
        self.0.heard.notify_one();
    }

    /// Room has come free.
    pub(crate) fn wake(&self) {
        self.0.heard.notify_one();
    }

    /// Waits for a call.
    pub(crate) async fn heard(&self) {
        self.0.heard.notified().await;
    }

    /// The sites that called since.
    pub(crate) fn take(&self) -> BTreeSet<u64> {
        std::mem::take(&mut *self.0.sites.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
