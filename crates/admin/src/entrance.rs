//! Where the API hands mail in: the receiving half of the program, which this crate does not know.
//! Whoever wires the program says what stands here; until then no mail is taken.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use relais_smtp::client::{Transaction, TransactionResult};
use relais_smtp::reply::Reply;

/// One message, and whose it is.
pub struct HandedIn {
    /// From where the program asked.
    pub address: IpAddr,
    /// The credential whose mail it is.
    pub user: String,
    /// What the program said could not be read on its way.
    pub is_protected: bool,
    /// Envelope and size.
    pub transaction: Transaction,
    /// Header section and body.
    pub content: Vec<u8>,
}

/// The fate of each recipient, or the one reply that ended it before.
pub type Taken = Result<TransactionResult, Reply>;

/// What is still going on with one message.
pub type Taking = Pin<Box<dyn Future<Output = Taken> + Send>>;

/// Takes messages as a session of SMTP does.
pub trait TakesMail: Send + Sync {
    /// Begins. The message is durable where a recipient is accepted.
    fn take(&self, handed: HandedIn) -> Taking;
}

/// The entrance, once it is open. Cheap to clone.
#[derive(Clone, Default)]
pub struct Entrance(Arc<OnceLock<Box<dyn TakesMail>>>);

impl Entrance {
    /// Opens it; the first one counts.
    pub fn open(&self, by: impl TakesMail + 'static) {
        // Nobody opens it twice.
        let _ = self.0.set(Box::new(by));
    }

    /// What stands there; `None`: it is closed.
    pub(crate) fn take(&self, handed: HandedIn) -> Option<Taking> {
        self.0.get().map(|by| by.take(handed))
    }
}
