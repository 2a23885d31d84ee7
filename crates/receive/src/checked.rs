//! Content checks: the administrator's own checkers look at a message between its last octet and
//! the 250, and what they say decides whether it is taken, held, or refused.
//!
//! A connector says which of them are asked about its clients' mail, an organisation which about
//! strangers'. The content is read back from the store, by each checker for itself, so that nothing
//! is held in memory; other sessions go on meanwhile. What comes back to a bounce domain is not
//! asked about: it is taken apart here, and proves itself by its address.
//!
//! Not here: sockets (`relais_net::content_check`), what follows from the answers
//! (`relais_policy::content`).

use std::sync::Arc;
use std::time::Duration;

use relais_net::clock::{Clock, Moment};
use relais_net::content_check::Content as Pieces;
use relais_policy::content::attachment::{forbidden_by_structure, forbidden_in};
use relais_policy::content::{
    Answer, CheckFacts, CheckFault, Conclusion, Fate, conclude, forbidden,
};
use relais_policy::document::ContentPolicy;
use relais_smtp::identifier::QueueId;
use relais_smtp::mime::{Part, Parts, Structure};
use relais_smtp::refusal::Refusal;
use relais_store::queue::Content;
use relais_store::store::{ContentReader, Store};

use crate::arrival::{Arrival, addresses_of};

/// What the checks leave behind at a message that is taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checked {
    /// For the trace; empty: nobody was asked.
    pub(crate) words: String,
    /// Header fields to put on top.
    pub(crate) fields: String,
    /// It waits for a person; why.
    pub(crate) held: Option<String>,
    /// A checker found it bad.
    pub(crate) is_bad: bool,
}

/// It is not taken.
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    /// What all of them said, for the trace.
    pub(crate) words: Arc<str>,
}

/// Has the content looked at, where the settings want it.
pub(crate) async fn check(
    arrival: &Arrival<'_>,
    queue_id: QueueId,
    content: &Content,
) -> Result<Checked, Box<Refused>> {
    let Some(policy) = policy_of(arrival) else {
        return Ok(Checked::default());
    };
    // Boxed: large, and rare.
    let Conclusion {
        fate,
        words,
        fields,
        is_bad,
    } = Box::pin(ask(arrival, policy, queue_id, content)).await;
    let held = match fate {
        Fate::Take => None,
        Fate::Hold(because) => Some(because),
        Fate::Refuse(refusal) => {
            let words = words.into();
            return Err(Box::new(Refused { refusal, words }));
        }
    };
    Ok(Checked {
        words,
        fields,
        held,
        is_bad,
    })
}

/// Who is to look at it; `None`: nobody.
fn policy_of<'a>(arrival: &Arrival<'a>) -> Option<&'a ContentPolicy> {
    let transaction = arrival.transaction;
    let settings = &arrival.client.settings;
    let organisation = transaction.organisation.as_deref()?;
    let policy = match transaction.inbound_connector.as_deref() {
        Some(connector) => {
            let found = settings.inbound_connector(organisation, connector)?;
            &found.connector.content
        }
        None if transaction.content_octets_max.is_some() => return None,
        None => &settings.organisation(organisation)?.inbound_content,
    };
    (!policy.is_empty()).then_some(policy)
}

/// Attachments first: they cost nobody else anything. All of it within the policy's time.
async fn ask(
    arrival: &Arrival<'_>,
    policy: &ContentPolicy,
    queue_id: QueueId,
    content: &Content,
) -> Conclusion {
    let (store, clock) = (&arrival.context.store, &arrival.context.clock);
    let until = clock.moment() + Duration::from_secs(policy.timeout.0);
    let judged = attachments_within(policy, StoredPieces::new(store, content), clock, until).await;
    if matches!(judged.fate, Fate::Refuse(_)) || policy.checks.is_empty() {
        return judged;
    }
    let facts = facts_of(arrival, queue_id, content);
    let time = until.saturating_duration_since(clock.moment());
    let read = || StoredPieces::new(store, content);
    let checkers = &arrival.context.checkers;
    let whose = (&arrival.organisation(), policy.checks.as_slice());
    let answers = checkers.ask(whose, &facts, time, read).await;
    judged.and(conclude(policy, &answers))
}

/// What the attachments say, as long as they can be seen in time.
async fn attachments_within(
    policy: &ContentPolicy,
    content: impl Pieces,
    clock: &Clock,
    until: Moment,
) -> Conclusion {
    let judged = judge_attachments(policy, content);
    let judged = clock.within(until, judged).await;
    judged.unwrap_or_else(|_| unjudged(policy, CheckFault::TimedOut))
}

/// The first attachment that the policy forbids, if there is one.
async fn judge_attachments(policy: &ContentPolicy, mut content: impl Pieces) -> Conclusion {
    if !policy.judges_attachments() {
        return conclude(policy, &[]);
    }
    let mut parts = Parts::default();
    let first = |found: Vec<Part>| found.iter().find_map(|part| forbidden_in(policy, part));
    while parts.structure() == Structure::Seen {
        let piece = match content.next().await {
            Ok(piece) => piece,
            Err(fault) => return unjudged(policy, fault),
        };
        if piece.is_empty() {
            break;
        }
        parts.take(&piece);
        if let Some(kind) = first(parts.found()) {
            return forbidden(policy, &kind);
        }
        // Content in memory is there at once: others have their turn all the same.
        tokio::task::yield_now().await;
    }
    let (found, structure) = parts.finish();
    let kind = first(found).or(forbidden_by_structure(structure).map(str::to_owned));
    match kind {
        Some(kind) => forbidden(policy, &kind),
        None => conclude(policy, &[]),
    }
}

/// What follows where attachments could not be looked at.
fn unjudged(policy: &ContentPolicy, fault: CheckFault) -> Conclusion {
    let (checker, said) = ("attachments".to_owned(), Err(fault));
    conclude(policy, &[Answer { checker, said }])
}

fn facts_of(arrival: &Arrival<'_>, queue_id: QueueId, content: &Content) -> CheckFacts {
    let facts = arrival.identity.facts();
    let to = addresses_of(&arrival.envelope.recipients);
    CheckFacts {
        address: arrival.identity.address(),
        helo: facts.helo.clone().unwrap_or_default(),
        hostname: arrival.context.options.hostname.clone(),
        queue_id: queue_id.to_string(),
        from: arrival.transaction.from.to_string(),
        to: to.iter().map(ToString::to_string).collect(),
        user: facts.credential.clone(),
        size: content.size(),
    }
}

/// Content read back from the store.
struct StoredPieces {
    store: Store,
    content: Content,
    reader: Option<ContentReader>,
}

impl StoredPieces {
    fn new(store: &Store, content: &Content) -> Self {
        Self {
            store: store.clone(),
            content: content.clone(),
            reader: None,
        }
    }
}

impl Pieces for StoredPieces {
    async fn next(&mut self) -> Result<Arc<[u8]>, CheckFault> {
        let unreadable = |_| CheckFault::Unreadable;
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                let opened = self.store.content_reader(&self.content).await;
                self.reader.insert(opened.map_err(unreadable)?)
            }
        };
        reader.next().await.map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicBool, Ordering};

    use relais_policy::document::OnFault;
    use relais_smtp::time::Timestamp;

    use super::*;

    /// So many pieces that are there at once, and then an end, or nothing any more.
    struct Few {
        left: usize,
        ends: bool,
    }

    impl Pieces for Few {
        async fn next(&mut self) -> Result<Arc<[u8]>, CheckFault> {
            if self.left == 0 && !self.ends {
                pending::<()>().await;
            }
            let piece: &[u8] = if self.left > 0 {
                b"Subject: x\r\n"
            } else {
                b""
            };
            self.left = self.left.saturating_sub(1);
            Ok(piece.into())
        }
    }

    fn policy() -> ContentPolicy {
        ContentPolicy {
            forbidden_extensions: vec!["exe".to_owned()],
            on_fault: OnFault::Hold,
            ..ContentPolicy::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attachments_that_are_not_seen_in_time_are_a_check_without_an_answer() {
        let (policy, clock) = (policy(), Clock::simulated(Timestamp::from_millis(0)));
        let slow = Few {
            left: 3,
            ends: false,
        };
        let conclusion = attachments_within(&policy, slow, &clock, clock.moment()).await;
        let because = "attachments: no answer in time".to_owned();
        assert_eq!(conclusion.fate, Fate::Hold(because));
    }

    #[tokio::test(start_paused = true)]
    async fn others_have_their_turn_while_attachments_are_judged() {
        let turn = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&turn);
        tokio::spawn(async move { other.store(true, Ordering::Relaxed) });
        let content = Few {
            left: 3,
            ends: true,
        };
        let conclusion = judge_attachments(&policy(), content).await;
        assert_eq!(conclusion.fate, Fate::Take);
        assert!(turn.load(Ordering::Relaxed));
    }
}
