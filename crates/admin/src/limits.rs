//! How limits stand, for the API, pages and alerts: from the book that sessions count in, or
//! without a server from what it kept last.
//!
//! Not here: counting (`relais_policy::limit`).

use relais_policy::limit::{
    Counts, LimitName, OpenConnections, Use, open_connections, overview as of_book,
};
use relais_smtp::time::Timestamp;
use relais_store::counts;
use relais_store::queue::StoreError;

use crate::context::AdminContext;

/// Every limit, and of devices and senders those that are in use.
pub(crate) async fn overview(
    context: &AdminContext,
    now: Timestamp,
) -> Result<Vec<(LimitName, Use)>, StoreError> {
    let settings = context.store.settings();
    if let Some(counts) = &context.counts {
        return Ok(of_book(&settings, &counts.book(), now));
    }
    let counts = Counts::default();
    counts::load(&context.store, &counts, now).await?;
    let book = counts.book();
    Ok(of_book(&settings, &book, now))
}

/// Every limit of connections, with how many are open; without a server there are none.
pub(crate) fn connections(context: &AdminContext) -> Vec<OpenConnections> {
    let settings = context.store.settings();
    let counts = context.counts.clone().unwrap_or_default();
    let book = counts.book();
    open_connections(&settings, &book)
}
