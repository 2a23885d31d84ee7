//! The thread between the queue and the trace: tells observer and live readers at once, writes the
//! day's database in larger batches, and says how far the outbox may be emptied.
//!
//! Events of committed messages are in the outbox until the trace has them on stable storage; if
//! this thread, the trace's disk or the process fails, they are written at the next start.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use relais_smtp::time::Timestamp;
use tokio::sync::broadcast;

use super::dialogue_database::{DialogueDatabases, DialogueWriter};
use super::trace_database::{TraceDatabases, TraceRecord, TraceWriter};
use crate::error::StoreError;
use crate::options::{Observer, STORES_TRACE};
use crate::trace::dialogue::Dialogue;
use crate::trace::tally::QueueSample;
use crate::trace::{Event, delta};

/// Messages to the thread that may wait. When it is full the writer waits: the trace sets the pace.
const WAITING_MAX: usize = 4_096;
/// Events that are written without waiting for more.
const BATCH_EVENTS_MAX: usize = 4_096;
/// Events kept in memory while the trace's disk fails; more are found in the outbox at the next
/// start, but for those that belong to no message.
const KEPT_EVENTS_MAX: usize = 16_384;
/// Conversations that wait to be written; more are lost.
const DIALOGUES_WAITING_MAX: usize = 512;
/// How long events wait for company: one sync of the trace for all of them. Who asks for the trace
/// does not wait: asking writes first.
const BATCH_DELAY: Duration = Duration::from_millis(250);

/// Events that follow each other, at least one.
#[derive(Debug)]
pub(super) struct Batch {
    /// Of the first one.
    pub(super) position: u64,
    pub(super) events: Arc<[Event]>,
    /// As [`delta::lines_of`] wrote them.
    pub(super) lines: String,
}

/// What becomes of days that are over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ageing {
    /// They go.
    Drops,
    /// They stay, for a legal hold.
    Rests,
}

enum Message {
    /// Of the outbox.
    Batch(Batch),
    /// Belongs to no message, and stands nowhere yet.
    Event(u64, Box<Event>),
    /// Answered with the events that could not be written.
    Flush(SyncSender<u64>),
    Purge(Timestamp, Ageing),
    Queue(QueueSample),
    Dialogue(Box<Dialogue>),
    SetAside(Vec<(String, String)>),
    Alone(Alone),
    Tick,
}

/// Work on what is stored, with nobody else writing; what waits is written before.
type Alone = Box<dyn FnOnce(Result<&mut TraceWriter, String>, &mut DialogueWriter) + Send>;

/// The way to the thread.
#[derive(Clone)]
pub(super) struct Feed {
    sender: Option<SyncSender<Message>>,
    dropped: Arc<AtomicU64>,
}

/// How the thread is started.
pub(super) struct Settings {
    pub(super) databases: TraceDatabases,
    pub(super) dialogues: DialogueDatabases,
    pub(super) observer: Observer,
    pub(super) live: broadcast::Sender<Arc<[Event]>>,
    pub(super) days: u32,
    pub(super) traced: Arc<AtomicU64>,
    /// The outbox has rows that the trace could not take at start: it is left alone.
    pub(super) gap: bool,
}

/// Events that are not written yet.
enum Waiting {
    Group(Batch),
    /// Not in the outbox.
    Single(u64, Arc<[Event]>),
}

impl Waiting {
    fn events(&self) -> &Arc<[Event]> {
        match self {
            Self::Group(batch) => &batch.events,
            Self::Single(_, event) => event,
        }
    }
}

struct Thread {
    settings: Settings,
    writer: Option<TraceWriter>,
    waiting: VecDeque<Waiting>,
    dialogues: Vec<Dialogue>,
    dialogue_writer: DialogueWriter,
    events: usize,
    /// A batch of the outbox was let go unwritten: `traced` must not pass it.
    gap: bool,
    /// The last write failed: the next try comes with the next tick, not with the next event.
    failing: bool,
}

impl Feed {
    /// Starts the thread.
    pub(super) fn start(settings: Settings) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let gap = settings.gap;
        let (writer, waiting) = (None, VecDeque::new());
        let dialogue_writer = settings.dialogues.writer();
        let thread = Thread {
            settings,
            writer,
            waiting,
            dialogues: Vec::new(),
            dialogue_writer,
            events: 0,
            gap,
            failing: false,
        };
        std::thread::Builder::new()
            .name("trace".into())
            .spawn(move || thread.run(&receiver))
            .map_err(|error| StoreError::Fault(format!("the trace thread: {error}")))?;
        Ok(Self {
            sender: Some(sender),
            dropped: Arc::default(),
        })
    }

    /// Events of a committed group. Waits if the thread is far behind.
    pub(super) fn send(&self, batch: Batch) {
        if let Some(sender) = &self.sender {
            // Gone only after a panic of that thread: the outbox has them.
            let _ = sender.send(Message::Batch(batch));
        }
    }

    /// An event that belongs to no message; dropped if the thread is far behind.
    pub(super) fn try_send(&self, position: u64, event: Event) {
        let Some(sender) = &self.sender else { return };
        let message = Message::Event(position, Box::new(event));
        if let Err(TrySendError::Full(_)) = sender.try_send(message) {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            if dropped.is_power_of_two() {
                tracing::warn!(dropped, "events were dropped: the trace is far behind");
            }
        }
    }

    /// Waits until everything sent before is written, or cannot be. Blocks.
    pub(super) fn flush(&self) {
        self.flush_counting();
    }

    /// The same; how many events could not be written, and wait in memory.
    pub(super) fn flush_counting(&self) -> u64 {
        let Some(sender) = &self.sender else { return 0 };
        let (done, wait) = sync_channel(1);
        if sender.send(Message::Flush(done)).is_err() {
            return 0;
        }
        // An error means that the thread is gone: there is nothing to wait for.
        wait.recv().unwrap_or(0)
    }

    /// Has the thread do something with what is stored, and waits for the answer. Blocks.
    pub(super) fn alone<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&mut TraceWriter, &mut DialogueWriter) -> Result<T, String> + Send + 'static,
    {
        let sender = self.sender.as_ref().ok_or(StoreError::Closed)?;
        let (done, wait) = sync_channel(1);
        let alone: Alone = Box::new(move |writer: Result<&mut TraceWriter, String>, dialogues| {
            let answer = writer.and_then(|writer| work(writer, dialogues));
            // The one who asked may have gone.
            let _ = done.send(answer);
        });
        sender
            .send(Message::Alone(alone))
            .map_err(|_| StoreError::Closed)?;
        let answer = wait.recv().map_err(|_| StoreError::Closed)?;
        answer.map_err(StoreError::Fault)
    }

    /// About a second has passed: events that wait for company have waited enough.
    pub(super) fn tick(&self) {
        self.hint(Message::Tick);
    }

    /// Drops days whose time is up, unless that rests; one file a call.
    pub(super) fn purge(&self, now: Timestamp, ageing: Ageing) {
        self.hint(Message::Purge(now, ageing));
    }

    /// How the queue stands; lost if the thread is far behind.
    pub(super) fn note_queue(&self, sample: QueueSample) {
        self.hint(Message::Queue(sample));
    }

    /// A conversation; lost if the thread is far behind.
    pub(super) fn note_dialogue(&self, dialogue: Box<Dialogue>) {
        self.hint(Message::Dialogue(dialogue));
    }

    /// Days that a reader found damaged.
    pub(super) fn set_aside(&self, damaged: Vec<(String, String)>) {
        if !damaged.is_empty() {
            self.hint(Message::SetAside(damaged));
        }
    }

    /// Writes what waits, then no more.
    pub(super) fn close(&mut self) {
        self.flush();
        self.sender = None;
    }

    fn hint(&self, message: Message) {
        if let Some(sender) = &self.sender {
            // Full: the next hour, or the next reader, asks again.
            let _ = sender.try_send(message);
        }
    }
}

impl Thread {
    fn run(mut self, receiver: &Receiver<Message>) {
        loop {
            let idle = self.waiting.is_empty() && self.dialogues.is_empty();
            let message = if idle || self.failing {
                receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                receiver.recv_timeout(BATCH_DELAY)
            };
            match message {
                Ok(Message::Batch(batch)) => self.take(Waiting::Group(batch)),
                Ok(Message::Event(position, event)) => {
                    self.take(Waiting::Single(position, Arc::from([*event])));
                }
                Ok(Message::Flush(done)) => {
                    self.write();
                    // The one who asked may have gone.
                    let _ = done.send(self.events as u64);
                }
                Ok(Message::Purge(now, ageing)) => self.purge(now, ageing),
                Ok(Message::Queue(sample)) => self.note_queue(&sample),
                Ok(Message::Dialogue(dialogue)) => self.take_dialogue(*dialogue),
                Ok(Message::SetAside(damaged)) => self.set_aside(&damaged),
                Ok(Message::Alone(work)) => {
                    self.write();
                    let writer = open(&mut self.writer, &self.settings.databases);
                    work(writer, &mut self.dialogue_writer);
                }
                Ok(Message::Tick) | Err(RecvTimeoutError::Timeout) => self.write(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.write();
                    return;
                }
            }
            if self.events >= BATCH_EVENTS_MAX && !self.failing {
                self.write();
            }
        }
    }

    fn take(&mut self, told: Waiting) {
        let events = told.events();
        for event in &**events {
            (self.settings.observer)(event, &event.to_json());
        }
        if self.settings.live.receiver_count() > 0 {
            // The last listener may leave this moment.
            let _ = self.settings.live.send(events.clone());
        }
        self.events += events.len();
        self.waiting.push_back(told);
        while self.events > KEPT_EVENTS_MAX
            && let Some(told) = self.waiting.pop_front()
        {
            self.events -= told.events().len();
            self.gap |= matches!(told, Waiting::Group(_));
        }
    }

    fn take_dialogue(&mut self, dialogue: Dialogue) {
        if self.dialogues.len() < DIALOGUES_WAITING_MAX {
            self.dialogues.push(dialogue);
        }
    }

    fn write_dialogues(&mut self) {
        let dialogues = std::mem::take(&mut self.dialogues);
        if let Err(error) = self.dialogue_writer.append(&dialogues) {
            tracing::warn!(error, "conversations could not be kept");
        }
    }

    fn write(&mut self) {
        self.write_dialogues();
        if self.waiting.is_empty() {
            return;
        }
        let result = if STORES_TRACE {
            append(&mut self.writer, &self.settings.databases, &self.waiting)
        } else {
            Ok(())
        };
        match result {
            Ok(()) => {
                let end = self.waiting.iter().rev().find_map(|told| match told {
                    Waiting::Group(batch) => Some(batch.position + batch.events.len() as u64),
                    Waiting::Single(..) => None,
                });
                if let Some(end) = end.filter(|_| !self.gap) {
                    self.settings.traced.fetch_max(end, Ordering::Release);
                }
                self.waiting.clear();
                self.events = 0;
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the trace is written again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        error,
                        "the trace cannot be written; mail goes on without it"
                    );
                }
                self.writer = None;
            }
        }
    }

    fn purge(&mut self, now: Timestamp, ageing: Ageing) {
        if ageing == Ageing::Drops {
            self.dialogue_writer.purge(now);
        }
        let days = self.settings.days;
        let Ok(writer) = open(&mut self.writer, &self.settings.databases) else {
            return;
        };
        if ageing == Ageing::Drops
            && let Err(error) = writer.purge(now, days)
        {
            tracing::warn!(%error, "old trace could not be dropped");
        }
        if let Err(error) = writer.catch_up(now) {
            tracing::warn!(%error, "yesterday's trace is searched without sketches");
        }
    }

    fn note_queue(&mut self, sample: &QueueSample) {
        let Ok(writer) = open(&mut self.writer, &self.settings.databases) else {
            return;
        };
        if let Err(error) = writer.note_queue(sample) {
            tracing::warn!(%error, "the state of the queue could not be noted");
        }
    }

    fn set_aside(&mut self, damaged: &[(String, String)]) {
        self.write();
        let Ok(writer) = open(&mut self.writer, &self.settings.databases) else {
            return;
        };
        for (day, because) in damaged {
            match writer.set_aside(day, because) {
                Ok(aside) => tracing::error!(day, name = aside.name, because, "trace set aside"),
                Err(error) => tracing::error!(day, %error, "damaged trace could not be set aside"),
            }
        }
    }
}

fn open<'a>(
    writer: &'a mut Option<TraceWriter>,
    databases: &TraceDatabases,
) -> Result<&'a mut TraceWriter, String> {
    if writer.is_none() {
        *writer = Some(databases.writer().map_err(|error| error.to_string())?);
    }
    writer.as_mut().ok_or_else(|| "no writer".to_owned())
}

fn append(
    writer: &mut Option<TraceWriter>,
    databases: &TraceDatabases,
    waiting: &VecDeque<Waiting>,
) -> Result<(), String> {
    let singles: Vec<(u64, &Event)> = waiting
        .iter()
        .filter_map(|told| match told {
            Waiting::Group(_) => None,
            Waiting::Single(position, event) => Some((*position, event.first()?)),
        })
        .collect();
    // Those that follow each other repeat themselves as much as a message's: whoever knocks all the
    // time knocks alike.
    let singles: Vec<(&[(u64, &Event)], String)> = singles
        .chunk_by(|(one, _), (next, _)| one + 1 == *next)
        .map(|run| (run, delta::lines_of(run.iter().map(|(_, event)| *event))))
        .collect();
    let of_singles = singles.iter().flat_map(|(run, lines)| {
        let told = run.iter().zip(lines.lines());
        told.map(|((position, event), line)| (*position, line, *event))
    });
    let of_groups = waiting.iter().filter_map(|told| match told {
        Waiting::Group(batch) => Some(batch),
        Waiting::Single(..) => None,
    });
    let of_groups = of_groups.flat_map(|batch| {
        let events = batch.events.iter().zip(batch.position..);
        let told = events.zip(batch.lines.lines());
        told.map(|((event, position), line)| (position, line, event))
    });
    let mut records: Vec<TraceRecord<'_>> = of_groups
        .chain(of_singles)
        .map(|(position, line, event)| TraceRecord {
            position,
            line,
            event,
        })
        .collect();
    records.sort_by_key(|record| record.position);
    let appended = open(writer, databases)?
        .append(&records)
        .map_err(|error| error.to_string())?;
    for aside in appended.set_aside {
        let (day, name, because) = (&aside.day, &aside.name, &aside.because);
        tracing::error!(
            day,
            name,
            because,
            "a damaged day of the trace was set aside"
        );
    }
    Ok(())
}

/// Writes what the outbox still has, before anything new. Blocks. Gives the position behind it.
pub(super) fn replay(
    databases: &TraceDatabases,
    rows: &[(u64, String)],
    observer: &Observer,
) -> Result<u64, StoreError> {
    let fault = |error: &dyn std::fmt::Display| StoreError::Fault(error.to_string());
    let mut end = 0;
    let mut writer = databases.writer().map_err(|error| fault(&error))?;
    for (first, lines) in rows {
        let mut told = Vec::new();
        let whole = delta::whole_lines(lines);
        for ((line, whole), position) in lines.lines().zip(&whole).zip(*first..) {
            end = position + 1;
            match Event::from_json(whole) {
                Ok(event) => told.push((position, line, whole, event)),
                Err(error) => tracing::error!(%error, "an event of the outbox cannot be read"),
            }
        }
        // One that cannot be read is not stored, and no other one may be told by it.
        let is_cut = told.len() != whole.len();
        let records: Vec<TraceRecord<'_>> = told
            .iter()
            .map(|(position, line, whole, event)| TraceRecord {
                position: *position,
                line: if is_cut { whole } else { line },
                event,
            })
            .collect();
        let appended = writer.append(&records).map_err(|error| fault(&error))?;
        if appended.new > 0 {
            told.iter()
                .for_each(|(_, _, whole, event)| observer(event, whole));
        }
    }
    Ok(end)
}
