//! Who was promised what, and what came of it: written by clients, hosts and faults, outside the
//! relay, on the monotonic time line of the simulation.
//!
//! Not here: judging it (`judge`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_net::clock::Moment;
use relais_smtp::identifier::QueueId;

use super::history::History;
use super::letter::Form;

/// What the client saw as answer to the end of data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// The end of data was never sent: nothing can have been accepted.
    Unfinished,
    /// It was sent, and the connection ended before the answer.
    Unknown,
    /// 4yz or 5yz.
    Refused(String),
    /// 250 with this queue id.
    Accepted(String),
}

/// One recipient as the client named it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    pub(super) address: String,
    /// What NOTIFY said.
    pub(super) notify: NotifyWish,
    /// RCPT was answered 250, as far as the client saw.
    pub(super) accepted: Option<bool>,
}

/// NOTIFY of one recipient. RFC 3461 §4.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NotifyWish {
    /// Nothing said.
    Default,
    /// NEVER.
    Never,
    /// SUCCESS,FAILURE.
    SuccessAndFailure,
    /// DELAY only.
    DelayOnly,
}

impl NotifyWish {
    /// Whether a failure is to be told.
    pub(super) fn wants_failure(self) -> bool {
        matches!(self, Self::Default | Self::SuccessAndFailure)
    }
}

/// A message as a client sent it, or began to.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// `None`: the null reverse-path.
    pub(super) from: Option<String>,
    /// In the header.
    pub(super) header_from: String,
    pub(super) form: Form,
    pub(super) recipients: Vec<Wanted>,
    pub(super) answer: Answer,
    /// When the answer was read, or the end was noticed.
    pub(super) answered_at: Duration,
}

/// Whether the relay has read the host's answer to the end of data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// It went on with the session.
    Surely,
    /// It was written; how the connection ended does not tell.
    Perhaps,
    /// It was not written, or too late.
    No,
}

/// A message that a host took.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) at: Duration,
    /// When the host had answered.
    pub(super) answered: Duration,
    pub(super) host: usize,
    pub(super) number: u64,
    pub(super) recipients: Vec<String>,
    pub(super) heard: Heard,
    /// The host did nothing wrong in this session.
    pub(super) honest: bool,
    pub(super) damage: Option<String>,
}

/// A notice that a host took.
#[derive(Clone, Debug)]
pub(super) struct NoticeArrival {
    pub(super) to: String,
    pub(super) message_id: String,
    /// Recipient and action.
    pub(super) about: Vec<(String, String)>,
}

/// Everything noted.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) history: History,
    pub(super) sent: BTreeMap<u64, Sent>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) notices: Vec<NoticeArrival>,
    /// What hosts said for good, word for word.
    pub(super) refusals: BTreeSet<String>,
    /// When the relay began to live, and whether the wall clock ran ahead then.
    pub(super) lives: Vec<(Duration, bool)>,
    /// When the relay died.
    pub(super) crashes: Vec<Duration>,
    /// When the relay was stopped in order, and when that was done.
    pub(super) stops: Vec<(Duration, Duration)>,
    /// When the store took nothing: from, to.
    pub(super) sealed: Vec<(Duration, Duration)>,
    /// When the way to a host was disturbed first.
    pub(super) disturbed: BTreeMap<usize, Duration>,
    /// Destinations whose DNS said no for a while or for ever.
    pub(super) gone: BTreeSet<String>,
    /// Acts of the administrator that end recipients.
    pub(super) deletes: u64,
    pub(super) bounces: u64,
    /// When messages were accepted, and recipients expired, on the monotonic time line.
    pub(super) accepted: BTreeMap<QueueId, Duration>,
    pub(super) expired: Vec<(QueueId, String, Duration)>,
}

/// Shared by everybody in the simulation.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    origin: Moment,
    pages: Arc<Mutex<Pages>>,
}

impl Ledger {
    /// Begins now.
    pub(super) fn new(origin: Moment) -> Self {
        Self {
            origin,
            pages: Arc::default(),
        }
    }

    /// Since the beginning.
    pub(super) fn now(&self) -> Duration {
        Moment::now().duration_since(self.origin)
    }

    /// A line of history; `message` is 0 where it concerns all.
    pub(super) fn note(&self, message: u64, text: impl Into<String>) {
        let at = self.now();
        self.pages().history.note(at, message, text.into());
    }

    pub(super) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the way to a host is not to be trusted.
    pub(super) fn disturbs(&self, host: usize) {
        let now = self.now();
        self.pages().disturbed.entry(host).or_insert(now);
    }

    /// A client begins with a message.
    pub(super) fn begins(&self, number: u64, sent: Sent) {
        self.pages().sent.insert(number, sent);
    }

    /// What became of it.
    pub(super) fn answered(&self, number: u64, recipients: Vec<Wanted>, answer: Answer) {
        let at = self.now();
        self.note(
            number,
            format!("client: message {number} answered {answer:?}"),
        );
        if let Some(sent) = self.pages().sent.get_mut(&number) {
            sent.recipients = recipients;
            sent.answer = answer;
            sent.answered_at = at;
        }
    }

    /// A host takes a message; gives the place for [`Ledger::heard`].
    pub(super) fn arrives(&self, arrival: Arrival) -> usize {
        let damage = arrival
            .damage
            .as_deref()
            .map_or(String::new(), |why| format!(" DAMAGED: {why}"));
        let text = format!(
            "host {}: takes message {} for {}{damage}",
            arrival.host,
            arrival.number,
            arrival.recipients.join(" ")
        );
        self.note(arrival.number, text);
        let mut pages = self.pages();
        pages.arrivals.push(arrival);
        pages.arrivals.len() - 1
    }

    /// What is known about the relay's having read the answer.
    pub(super) fn heard(&self, place: usize, heard: Heard) {
        let now = self.now();
        if let Some(arrival) = self.pages().arrivals.get_mut(place) {
            if heard == Heard::Perhaps {
                arrival.answered = now;
            }
            arrival.heard = heard;
        }
    }

    /// The content of a message as it must arrive.
    pub(super) fn content(&self, number: u64) -> Option<Vec<u8>> {
        let pages = self.pages();
        let sent = pages.sent.get(&number)?;
        Some(super::letter::canonical(
            number,
            &sent.header_from,
            sent.form,
        ))
    }
}
