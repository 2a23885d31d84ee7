//! The queue in groups: read page by page, up to a bound.

use super::{READ_AT_ONCE, Store};
use crate::error::StoreError;
use crate::grouping::{By, Grouped, READ_MAX, Sums};
use crate::queue::Criteria;

impl Store {
    /// What fits, in groups; the oldest [`READ_MAX`] messages are read.
    pub async fn groups(&self, by: By, criteria: &Criteria) -> Result<Grouped, StoreError> {
        let (mut sums, mut after) = (Sums::new(by), None);
        loop {
            let page = self.page(criteria, after, READ_AT_ONCE).await?;
            for message in &page.messages {
                sums.add(message);
            }
            after = page.next;
            if after.is_none() || sums.read() >= READ_MAX {
                return Ok(sums.done(after.is_some()));
            }
        }
    }
}
