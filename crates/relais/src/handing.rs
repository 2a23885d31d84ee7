//! What stands between the API, which takes messages of programs, and receiving, which makes them
//! durable: neither knows the other.

use relais_admin::entrance::{HandedIn, TakesMail, Taking};
use relais_receive::handed_in::{self, Entrance};
use relais_receive::service::ReceiveService;

/// Receiving, as the API sees it.
pub(crate) struct Inside(Entrance);

impl Inside {
    pub(crate) fn of(service: &ReceiveService) -> Self {
        Self(Entrance::beside(service))
    }
}

impl TakesMail for Inside {
    fn take(&self, handed: HandedIn) -> Taking {
        let entrance = self.0.clone();
        let handed = handed_in::HandedIn {
            address: handed.address,
            user: handed.user,
            is_protected: handed.is_protected,
            transaction: handed.transaction,
            content: handed.content,
        };
        Box::pin(async move { entrance.take(handed).await })
    }
}
