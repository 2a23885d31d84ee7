//! Groups of which nobody knows whether they are on the disk: the write or sync failed, everybody
//! was told so. After the database was opened again the disk says how it was, and the two are made
//! to agree.
//!
//! Messages that were refused to a client are taken out: they are the client's again. What was
//! settled stays settled, with its notices and events: the deliveries did happen.

use relais_smtp::identifier::QueueId;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::group;
use super::operation::{Prepared, Settle, Work};
use crate::index::Resolved;
use crate::queue::Lease;
use crate::trace::{Event, delta};

/// A group in doubt.
pub(super) struct Doubt {
    /// Position of its row in the outbox.
    position: u64,
    /// Messages that their clients were refused.
    refused: Vec<QueueId>,
    settlements: Vec<DoubtfulSettlement>,
}

/// A settlement whose caller was told that it failed.
pub(super) struct DoubtfulSettlement {
    pub(super) lease: Lease,
    pub(super) resolved: Vec<Resolved>,
    pub(super) notices: Vec<Prepared>,
    pub(super) told: Vec<Event>,
}

impl Doubt {
    /// Of the events at a position, with nothing else.
    pub(super) fn of_events(position: u64) -> Self {
        Self {
            position,
            refused: Vec::new(),
            settlements: Vec::new(),
        }
    }

    /// Its settlements, when it turned out to be on the disk.
    pub(super) fn into_settlements(self) -> (u64, Vec<DoubtfulSettlement>) {
        (self.position, self.settlements)
    }

    fn is_there(&self, transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
        let mut row = transaction.prepare_cached("SELECT 1 FROM outbox WHERE position = ?1")?;
        if row.exists([self.position])? {
            return Ok(true);
        }
        let mut message = transaction.prepare_cached("SELECT 1 FROM message WHERE id = ?1")?;
        let notices = self
            .settlements
            .iter()
            .flat_map(|settlement| &settlement.notices);
        for notice in notices {
            if message.exists([notice.message.facts.queue_id.as_i64()])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn make_agree(&self, transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
        let there = self.is_there(transaction)?;
        for queue_id in &self.refused {
            group::delete(transaction, *queue_id)?;
        }
        if there {
            // Without the events of what was refused.
            transaction.execute("DELETE FROM outbox WHERE position = ?1", [self.position])?;
            let told = self
                .settlements
                .iter()
                .flat_map(|settlement| &settlement.told);
            group::insert_outbox(transaction, self.position, &delta::lines_of(told))?;
        }
        Ok(there)
    }
}

/// Makes disk and promises agree, in one transaction that is a real write and sync: the disk works
/// again. Says of each group whether it was there.
pub(super) fn settle(
    connection: &mut Connection,
    doubts: &[Doubt],
    last_queue_id: i64,
) -> rusqlite::Result<Vec<bool>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let there = doubts.iter().map(|doubt| doubt.make_agree(&transaction));
    let there = there.collect::<rusqlite::Result<Vec<bool>>>()?;
    group::remember(&transaction, last_queue_id)?;
    transaction.commit()?;
    Ok(there)
}

/// The doubt about a group, and the group without what is needed for that.
pub(super) fn doubt(position: u64, group: &mut [Work], resolved: &[Vec<Resolved>]) -> Doubt {
    let mut doubt = Doubt::of_events(position);
    for (work, resolved) in group.iter_mut().zip(resolved) {
        match work {
            Work::Commit(commit) => doubt.refused.push(commit.prepared.message.facts.queue_id),
            Work::Settle(settle) => {
                let Settle {
                    lease,
                    notices,
                    told,
                    ..
                } = &mut **settle;
                doubt.settlements.push(DoubtfulSettlement {
                    lease: lease.clone(),
                    resolved: resolved.clone(),
                    notices: std::mem::take(notices),
                    told: std::mem::take(told),
                });
            }
        }
    }
    doubt
}
