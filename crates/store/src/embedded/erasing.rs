//! An address erased from what the embedded store keeps beside the queue: trace, conversations,
//! content that is kept. Mail in the queue, settings and audit stay as they are.
//!
//! Each part is durable when it is done; a crash between two leaves the rest, and the act is
//! repeated. The audit is told last, without the address.

use std::sync::Arc;

use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::time::Timestamp;
use rusqlite::Connection;

use super::trace_database::Places;
use super::trace_feed::Feed;
use super::writer::Writer;
use super::{Embedded, administering, kept_table, schema};
use crate::error::StoreError;
use crate::queue::{Actor, MessageFacts};
use crate::trace::erase::{Erased, Erasure};

/// Events written anew in one turn of the trace's thread, which has mail's events to write too.
const EVENTS_AT_ONCE: usize = 500;

impl Embedded {
    /// What would be erased.
    pub(crate) async fn count_erasure(&self, wanted: &Erasure) -> Result<Erased, StoreError> {
        self.find_places(wanted).await.map(|(erased, _)| erased)
    }

    /// Erases. `lines`: for the audit.
    pub(crate) async fn erase(
        &self,
        wanted: &Erasure,
        lines: Vec<String>,
        actor: Actor<'_>,
        now: Timestamp,
    ) -> Result<Erased, StoreError> {
        let feed = self.feed.clone().ok_or_else(super::read_only)?;
        let (erased, places) = self.find_places(wanted).await?;
        let of_trace = wanted.clone();
        self.blocking(move || rewrite(&feed, &of_trace, places))
            .await?;
        self.drop_kept(wanted.clone(), lines, actor, now).await?;
        Ok(erased)
    }

    /// Everything that has it, with everything told before written.
    async fn find_places(&self, wanted: &Erasure) -> Result<(Erased, Places), StoreError> {
        let (databases, dialogues) = (self.databases.clone(), self.dialogues.clone());
        let (feed, of_trace) = (self.feed.clone(), wanted.clone());
        self.events_handed_over().await;
        let found = self.blocking(move || {
            feed.iter().for_each(|feed| feed.flush());
            let mut erased = Erased::default();
            let places = databases.places(&of_trace, &mut erased);
            let places = places.map_err(administering::trace_fault)?;
            let keys = of_trace.organisation.as_ref().map(|_| &places.keys);
            let count = dialogues.count(&of_trace.eraser, keys);
            erased.conversations = count.map_err(StoreError::Fault)?;
            Ok::<_, StoreError>((erased, places))
        });
        let (mut erased, places) = found.await?;
        let of_kept = wanted.clone();
        let count = move |connection: &Connection| {
            kept_table::fitting(connection, of_kept.organisation.as_deref(), |facts, to| {
                concerns(&of_kept, facts, to)
            })
        };
        erased.contents = self.shared.readers.ask(count).await?.len() as u64;
        Ok((erased, places))
    }

    /// Drops content that is kept of its messages, and events of the outbox that the trace has;
    /// tells the audit.
    async fn drop_kept(
        &self,
        wanted: Erasure,
        lines: Vec<String>,
        actor: Actor<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (name, via) = (actor.name.to_owned(), actor.via);
        let dropped = self.exclusively(move |writer: &mut Writer| {
            let traced = writer.traced();
            let files = writer.transact(|transaction| {
                let organisation = wanted.organisation.as_deref();
                let ids = kept_table::fitting(transaction, organisation, |facts, to| {
                    concerns(&wanted, facts, to)
                })?;
                let files = kept_table::drop_some(transaction, &ids).map_err(schema::fault)?;
                let sql = "DELETE FROM outbox WHERE position < ?1";
                transaction.execute(sql, [traced]).map_err(schema::fault)?;
                let actor = Actor { name: &name, via };
                administering::audit(transaction, "address.erased", &lines, actor, now)?;
                Ok::<_, StoreError>((files, Vec::new()))
            })?;
            files
                .iter()
                .for_each(|name| writer.shared.spool.remove(name));
            Ok(())
        });
        dropped.await?
    }
}

/// Whether a message is from or to the address.
fn concerns(wanted: &Erasure, facts: &MessageFacts, recipients: &[EnvelopeRecipient]) -> bool {
    let header_from = facts.header_from.as_deref().unwrap_or_default();
    wanted.eraser.is(&facts.reverse_path.to_string())
        || wanted.eraser.is(header_from)
        || recipients
            .iter()
            .any(|one| wanted.eraser.is(&one.forward_path.to_string()))
}

/// Turn by turn, so that the events of mail have theirs in between. Blocks.
fn rewrite(feed: &Feed, wanted: &Erasure, places: Places) -> Result<(), StoreError> {
    let Places { days, keys } = places;
    let wanted = Arc::new(wanted.clone());
    for (day, positions) in days {
        // Once without any: the devices of the day.
        let mut turns: Vec<Vec<u64>> = positions
            .chunks(EVENTS_AT_ONCE)
            .map(<[u64]>::to_vec)
            .collect();
        if turns.is_empty() {
            turns.push(Vec::new());
        }
        for positions in turns {
            let (day, wanted) = (day.clone(), Arc::clone(&wanted));
            feed.alone(move |trace, _| {
                let rewritten = trace.rewrite(&day, &positions, &wanted);
                rewritten.map_err(|error| error.to_string())
            })?;
        }
    }
    let keys = wanted.organisation.as_ref().map(|_| keys);
    let eraser = wanted.eraser.clone();
    feed.alone(move |_, dialogues| dialogues.erase(&eraser, keys.as_ref()))
        .map(|_| ())
}
