//! What legal holds keep of what the embedded store would drop: whether one stands, and whether
//! content that is kept is under it.

use std::collections::HashSet;

use relais_smtp::time::Timestamp;
use rusqlite::Connection;

use super::trace_feed::Ageing;
use super::{Embedded, kept_table, standing_holds};
use crate::error::StoreError;
use crate::legal_hold::{Held, LegalHold};
use crate::trace::erase::Eraser;

impl Embedded {
    /// What becomes of days of the trace that are over. As long as it is not known that no hold
    /// stands, they stay.
    pub(super) async fn ageing(&self, now: Timestamp) -> Ageing {
        let look = move |connection: &Connection| standing_holds::standing(connection, now);
        match self.shared.readers.ask(look).await {
            Ok(holds) if holds.is_empty() => Ageing::Drops,
            Ok(_) => Ageing::Rests,
            Err(error) => {
                tracing::warn!(%error, "legal holds cannot be read: no day of the trace goes");
                Ageing::Rests
            }
        }
    }

    /// Whether content is kept of mail that a hold covers and that is from or to an address.
    pub(crate) async fn is_content_held(
        &self,
        hold: LegalHold,
        eraser: &Eraser,
    ) -> Result<bool, StoreError> {
        let of_address = LegalHold {
            held: Held::Address(eraser.address().to_owned()),
            ..hold.clone()
        };
        let look = move |connection: &Connection| {
            let whose = hold.organisation.as_deref();
            kept_table::fitting(connection, whose, &HashSet::new(), |facts, to| {
                hold.covers(facts, to) && of_address.covers(facts, to)
            })
        };
        Ok(!self.shared.readers.ask(look).await?.is_empty())
    }
}
