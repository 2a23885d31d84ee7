//! An address erased from what the embedded store keeps beside the queue: trace, conversations,
//! content that is kept. Mail in the queue, settings and audit stay as they are.
//!
//! Each part is durable when it is done; a crash between two leaves the rest, and the act is
//! repeated. So what is found through events goes before them, and the audit is told last, without
//! the address. The threads that write have mail's work in between.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::time::Timestamp;
use rusqlite::Connection;

use super::trace_database::{self, Places};
use super::trace_feed::Feed;
use super::writer::Writer;
use super::{Embedded, administering, dialogue_database, kept_table, schema};
use crate::error::StoreError;
use crate::queue::{Actor, MessageFacts};
use crate::trace::erase::{Erased, Erasure};
use crate::trace::{Event, delta};

/// How often a log is cut while readers are in the way, and how long they have in between: a
/// search lasts about two seconds.
const CUTS_MAX: u32 = 100;
const CUT_DELAY: Duration = Duration::from_millis(100);

/// Where an address stands.
#[derive(Debug, Default)]
struct Found {
    trace: Places,
    /// Rows of conversations, by day.
    conversations: Vec<(String, Vec<i64>)>,
    /// Queue ids of content that is kept.
    contents: Vec<i64>,
}

impl Embedded {
    /// What would be erased.
    pub(crate) async fn count_erasure(&self, wanted: &Erasure) -> Result<Erased, StoreError> {
        self.find_places(wanted).await.map(|(erased, _)| erased)
    }

    /// Erases. `tell`: what the audit is told of it.
    pub(crate) async fn erase(
        &self,
        wanted: &Erasure,
        tell: impl FnOnce(&Erased) -> Vec<String> + Send,
        actor: Actor<'_>,
        now: Timestamp,
    ) -> Result<Erased, StoreError> {
        let feed = self.feed.clone().ok_or_else(super::read_only)?;
        let (erased, found) = self.find_places(wanted).await?;
        for ids in found.contents.chunks(kept_table::DROPPED_MAX) {
            self.drop_content(ids.to_vec()).await?;
        }
        let wanted = wanted.clone();
        let erased = self.blocking(move || rewrite(&feed, &wanted, &found, erased));
        let erased = erased.await?;
        self.tell_erasure(tell(&erased), actor, now).await?;
        self.cut_log().await?;
        Ok(erased)
    }

    /// Everything that has it, with everything told before written.
    async fn find_places(&self, wanted: &Erasure) -> Result<(Erased, Found), StoreError> {
        let (databases, dialogues) = (self.databases.clone(), self.dialogues.clone());
        let (feed, shared, wanted) = (self.feed.clone(), self.shared.clone(), wanted.clone());
        self.events_handed_over().await;
        self.blocking(move || {
            let mut erased = Erased {
                unwritten: feed.map_or(0, |feed| feed.flush_counting()),
                ..Erased::default()
            };
            let traced = shared.traced.load(Ordering::Acquire);
            let trace = databases.places(&wanted, &mut erased);
            let trace = trace.map_err(administering::trace_fault)?;
            let keys = wanted.organisation.as_ref().map(|_| &trace.keys);
            let unread = &mut erased.unread_conversations;
            let conversations = dialogues.places(&wanted.eraser, keys, unread);
            let (untraced, contents) = shared.readers.ask_blocking(|connection| {
                let contents = contents(connection, &wanted, &trace.keys)?;
                Ok((untraced(connection, &wanted, traced)?, contents))
            })?;
            // Those in memory are in the outbox too, but for those that belong to no message.
            erased.unwritten = erased.unwritten.max(untraced);
            let count = |(_, rows): &(String, Vec<i64>)| rows.len() as u64;
            erased.conversations = conversations.iter().map(count).sum();
            erased.contents = contents.len() as u64;
            let found = Found {
                trace,
                conversations,
                contents,
            };
            Ok::<_, StoreError>((erased, found))
        })
        .await
    }

    /// Events of the outbox that the trace has go; the audit is told.
    async fn tell_erasure(
        &self,
        lines: Vec<String>,
        actor: Actor<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (name, via) = (actor.name.to_owned(), actor.via);
        let told = self.exclusively(move |writer: &mut Writer| {
            let traced = writer.traced();
            writer.clean(true)?;
            writer.transact(|transaction| {
                let sql = "DELETE FROM outbox WHERE position < ?1";
                transaction.execute(sql, [traced]).map_err(schema::fault)?;
                let actor = Actor { name: &name, via };
                administering::audit(transaction, "address.erased", &lines, actor, now)?;
                Ok::<_, StoreError>(((), Vec::new()))
            })
        });
        told.await?
    }

    /// What free pages and the log of the queue have of it goes.
    async fn cut_log(&self) -> Result<(), StoreError> {
        if !self.exclusively(Writer::leave_no_free_page).await?? {
            tracing::info!("free pages of the queue keep an erased address until mail needs them");
        }
        for _ in 0..CUTS_MAX {
            if self.exclusively(Writer::cut_log).await?? {
                return Ok(());
            }
            tokio::time::sleep(CUT_DELAY).await;
        }
        tracing::warn!("a reader keeps the queue's log: an erased address goes with its next turn");
        Ok(())
    }
}

/// Queue ids of content that is kept of messages from or to the address, and of those whose events
/// had it.
fn contents(
    connection: &Connection,
    wanted: &Erasure,
    keys: &HashSet<i64>,
) -> Result<Vec<i64>, StoreError> {
    let organisation = wanted.organisation.as_deref();
    kept_table::fitting(connection, organisation, keys, |facts, recipients| {
        concerns(wanted, facts, recipients)
    })
}

/// Whether a message is from or to the address.
fn concerns(wanted: &Erasure, facts: &MessageFacts, recipients: &[EnvelopeRecipient]) -> bool {
    let header_from = facts.header_from.as_deref().unwrap_or_default();
    let replaced = facts.replaced.as_ref();
    wanted.eraser.is(&facts.reverse_path.to_string())
        || replaced.is_some_and(|mailbox| wanted.eraser.is(&mailbox.to_string()))
        || wanted.eraser.is(header_from)
        || recipients
            .iter()
            .any(|one| wanted.eraser.is(&one.forward_path.to_string()))
}

/// Events of the outbox that have the address, and that the trace has not.
fn untraced(connection: &Connection, wanted: &Erasure, traced: u64) -> Result<u64, StoreError> {
    let concerns = |line: &str| {
        let whose = Event::from_json(line).ok();
        // What cannot be read by itself may be of anybody.
        let is_own = wanted.organisation.is_none()
            || whose.is_none_or(|event| {
                event.organisation.as_deref() == wanted.organisation.as_deref()
            });
        is_own && wanted.eraser.is_in(line)
    };
    let look = || -> rusqlite::Result<u64> {
        let sql = "SELECT lines FROM outbox WHERE position >= ?1";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([traced])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let lines = delta::whole_lines(row.get_ref(0)?.as_str()?);
            count += lines.iter().filter(|line| concerns(line)).count() as u64;
        }
        Ok(count)
    };
    look().map_err(schema::fault)
}

/// Conversations, then events, turn by turn: the events of mail have theirs in between. What cannot
/// be written is named, and the rest goes on. Blocks. Gives what was erased.
fn rewrite(
    feed: &Feed,
    wanted: &Erasure,
    found: &Found,
    mut erased: Erased,
) -> Result<Erased, StoreError> {
    (erased.conversations, erased.events) = (0, 0);
    for (day, rows) in &found.conversations {
        let unread = &mut erased.unread_conversations;
        let count = &mut erased.conversations;
        or_named(
            rewrite_conversations(feed, wanted, (day, rows), count),
            day,
            unread,
        )?;
    }
    let wanted = Arc::new(wanted.clone());
    for (day, positions) in &found.trace.days {
        let unread = &mut erased.unread;
        let count = &mut erased.events;
        or_named(
            rewrite_events(feed, &wanted, (day, positions), count),
            day,
            unread,
        )?;
    }
    Ok(erased)
}

/// A day that fails is named; without the thread nothing goes on.
fn or_named(
    done: Result<(), StoreError>,
    day: &str,
    unread: &mut Vec<String>,
) -> Result<(), StoreError> {
    if let Err(StoreError::Fault(because)) = &done {
        tracing::error!(day, because, "an address could not be erased from a day");
        unread.push(day.to_owned());
        return Ok(());
    }
    done
}

fn rewrite_conversations(
    feed: &Feed,
    wanted: &Erasure,
    (day, rows): (&str, &[i64]),
    count: &mut u64,
) -> Result<(), StoreError> {
    for turn in dialogue_database::turns(rows) {
        let (day, turn, eraser) = (day.to_owned(), turn.to_vec(), wanted.eraser.clone());
        *count += feed.alone(move |_, dialogues| dialogues.erase(&day, &turn, &eraser))?;
    }
    cut(day, || {
        let day = day.to_owned();
        feed.alone(move |_, dialogues| dialogues.cut_log(&day))
    })
}

fn rewrite_events(
    feed: &Feed,
    wanted: &Arc<Erasure>,
    (day, positions): (&str, &[u64]),
    count: &mut u64,
) -> Result<(), StoreError> {
    for turn in trace_database::turns(positions) {
        let (day, turn, wanted) = (day.to_owned(), turn.to_vec(), Arc::clone(wanted));
        *count += feed.alone(move |trace, _| {
            let rewritten = trace.rewrite(&day, &turn, &wanted);
            rewritten.map_err(|error| error.to_string())
        })?;
    }
    cut(day, || {
        let (day, wanted) = (day.to_owned(), Arc::clone(wanted));
        feed.alone(move |trace, _| {
            let finished = trace.finish_rewriting(&day, &wanted);
            finished.map_err(|error| error.to_string())
        })
    })
}

/// Until no reader is in the way.
fn cut(day: &str, once: impl Fn() -> Result<bool, StoreError>) -> Result<(), StoreError> {
    for _ in 0..CUTS_MAX {
        if once()? {
            return Ok(());
        }
        std::thread::sleep(CUT_DELAY);
    }
    tracing::warn!(
        day,
        "a reader keeps a log: an erased address goes with its next turn"
    );
    Ok(())
}
