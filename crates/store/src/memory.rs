//! The store in memory: the same contract, with faults on demand and a power switch. For
//! simulation: everything resolves at once, in the thread that asks; the same seed gives the same
//! run.
//!
//! [`Memory::crash`] gives what would be on the disk; [`Memory::open`] recovers from it.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use relais_policy::restriction::Restrictions;
use relais_policy::settings::{Mode, Settings};
use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::Connection;
use tokio::sync::broadcast;

use crate::bell::Bell;
use crate::bounces::Bounces;
use crate::content::{ContentReader, ContentWriter};
use crate::describe;
use crate::disk::{Disk, SimulatedDisk};
use crate::dkim;
use crate::embedded::{proof_table, restriction_tables, settings_tables, shelf_table};
use crate::error::{CommitError, StoreError};
use crate::health::Health;
use crate::identifiers::QueueIds;
use crate::index::{Index, NewSlot, Resolved, SlotState};
use crate::known;
#[cfg(feature = "broken-twins")]
use crate::options::BrokenTwin;
use crate::options::Observer;
use crate::queue::{
    Committed, Content, MessageFacts, NewMessage, QueueCounts, QueueKey, RecipientChange,
    SpooledContent,
};
use crate::restriction::LookedThrough;
use crate::secret::Vault;
use crate::shelf::Shelf;
use crate::spool::{Spool, Workers};
use crate::suspension::Suspension;
use crate::trace::Event;

mod administer;
mod reporting;
#[cfg(feature = "broken-twins")]
mod twin;
mod delivering;
mod faults;

pub use faults::{Fault, FaultPlan};

/// Events that a live reader may lag behind.
const LIVE_EVENTS_MAX: usize = 4_096;
/// Where the simulated disk has the spool.
const SPOOL_FOLDER: &str = "spool";

/// How to open a store in memory.
#[derive(Clone)]
pub struct MemoryOptions {
    /// For `Settings::build`.
    pub mode: Mode,
    /// Called for each stored event.
    pub observer: Observer,
    /// Below this much free space on the simulated disk, commits are refused. Octets.
    pub disk_reserve: u64,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// Which promise is broken on purpose.
    #[cfg(feature = "broken-twins")]
    pub broken: Option<BrokenTwin>,
    /// Now.
    pub now: Timestamp,
}

impl MemoryOptions {
    /// LAN mode, nobody watches, nothing goes wrong.
    pub fn new(now: Timestamp) -> Self {
        Self {
            mode: Mode::Lan,
            observer: Arc::new(|_, _| {}),
            disk_reserve: 0,
            faults: FaultPlan::default(),
            #[cfg(feature = "broken-twins")]
            broken: None,
            now,
        }
    }
}

/// What is on stable storage. The default is an empty disk.
#[derive(Debug, Default)]
pub struct Durable {
    messages: BTreeMap<i64, Stored>,
    events: Vec<Event>,
    tables: Option<Connection>,
    last_id: i64,
    disk: SimulatedDisk,
}

#[derive(Clone, Debug)]
struct Stored {
    facts: Arc<MessageFacts>,
    content: StoredContent,
    recipients: BTreeMap<u32, StoredRecipient>,
}

#[derive(Clone, Debug)]
enum StoredContent {
    Inline(Arc<[u8]>),
    Spooled {
        name: Arc<str>,
        size: u64,
        checksum: u64,
    },
}

#[derive(Clone, Debug)]
struct StoredRecipient {
    recipient: EnvelopeRecipient,
    key: QueueKey,
    state: SlotState,
    last_reply: Option<Arc<str>>,
}

/// The store in memory.
pub struct Memory {
    mode: Mode,
    observer: Observer,
    disk_reserve: u64,
    disk: SimulatedDisk,
    health: Arc<Health>,
    spool: Arc<Spool>,
    bell: Bell,
    live: broadcast::Sender<Arc<[Event]>>,
    settings: ArcSwap<Settings>,
    restrictions: ArcSwap<Restrictions>,
    looked_through: LookedThrough,
    vault: Vault,
    bounces: Bounces,
    ids: QueueIds,
    state: Mutex<State>,
}

struct State {
    index: Index,
    durable: Durable,
    faults: FaultPlan,
    /// Writes that failed: found after a crash or not.
    doubtful: Vec<Doubtful>,
    dead: bool,
    #[cfg(feature = "broken-twins")]
    twin: twin::Twin,
}

/// A write that failed, with the events that belong to it.
struct Doubtful {
    messages: Vec<Stored>,
    settled: Option<(QueueId, Vec<Resolved>)>,
    events: Vec<Event>,
}

/// The process died during a write: nobody will ever be told.
struct Died;

impl Memory {
    /// Opens on what a crash left, or on an empty disk (`Durable::default()`).
    pub fn open(options: MemoryOptions, mut durable: Durable) -> Arc<Self> {
        let health = Arc::new(Health::default());
        let disk: Arc<dyn Disk> = Arc::new(durable.disk.clone());
        let folder = Path::new(SPOOL_FOLDER).to_path_buf();
        let spool = Spool::new(disk, folder, Workers::Inline, health.clone(), options.now)
            .expect("the simulated disk makes folders");
        let mut index = Index::default();
        #[cfg(feature = "broken-twins")]
        {
            index.forgets_leases = options.broken == Some(BrokenTwin::LeaseForgotten);
        }
        for (id, stored) in &durable.messages {
            let id = QueueId::from_i64(*id).expect("only queue ids are stored");
            index.insert(id, &slots_of(stored));
        }
        let tables = durable.tables.take().unwrap_or_else(new_tables);
        let (version, document) = settings_tables::load_latest(&tables).unwrap_or_default();
        let restrictions = restriction_tables::load(&tables).unwrap_or_default();
        let restrictions = Arc::new(restrictions);
        let proofs = proof_table::load(&tables).unwrap_or_default();
        let keys = shelf_table::all(&tables, Shelf::DkimKey).unwrap_or_default();
        let shown = shelf_table::all(&tables, Shelf::BounceDomain).unwrap_or_default();
        let kept = shelf_table::all(&tables, Shelf::Suspension).unwrap_or_default();
        let suspended = kept.iter().filter_map(Suspension::from_entry);
        suspended.for_each(|suspension| index.suspend(suspension));
        durable.tables = Some(tables);
        let settings = if version == 0 {
            Settings::empty(options.mode)
        } else {
            Settings::build_stored(options.mode, version, document)
                .map_or_else(|_| Settings::empty(options.mode), Arc::new)
        };
        let settings = settings.with_proofs(proofs).with_dkim(dkim::table(&keys));
        let settings = settings.with_shown_bounces(known::shown_bounces(&shown));
        let settings = Arc::new(settings);
        let last_id = durable.messages.keys().next_back().copied().unwrap_or(0);
        let ids = QueueIds::new(durable.last_id.max(last_id));
        let faults = options.faults;
        let store = Arc::new(Self {
            mode: options.mode,
            observer: options.observer,
            disk_reserve: options.disk_reserve,
            disk: durable.disk.clone(),
            health,
            spool: Arc::new(spool),
            bell: Bell::default(),
            live: broadcast::Sender::new(LIVE_EVENTS_MAX),
            settings: ArcSwap::new(settings),
            looked_through: LookedThrough::since(Arc::clone(&restrictions)),
            restrictions: ArcSwap::new(restrictions),
            vault: Vault::for_tests(),
            bounces: Bounces::default(),
            ids,
            state: Mutex::new(State {
                index,
                durable,
                faults,
                doubtful: Vec::new(),
                dead: false,
                #[cfg(feature = "broken-twins")]
                twin: twin::Twin::new(options.broken),
            }),
        });
        store.sweep();
        store
    }

    /// The power fails: what is durable comes out, this store never answers again.
    pub fn crash(&self) -> Durable {
        let mut state = self.state();
        state.dead = true;
        let state = &mut *state;
        for doubtful in std::mem::take(&mut state.doubtful) {
            if state.faults.coin() {
                apply_doubtful(&mut state.durable, doubtful);
            }
        }
        #[cfg(feature = "broken-twins")]
        if self.health.may_commit() != Err(CommitError::Closed) {
            state.twin.crash(&mut state.durable);
        }
        state.durable.last_id = state.durable.last_id.max(self.ids.last());
        self.disk.cut();
        std::mem::take(&mut state.durable)
    }

    /// Whether a fault ended the process: then call [`Memory::crash`].
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// The plan from now on.
    pub fn set_faults(&self, faults: FaultPlan) {
        self.state().faults = faults;
    }

    /// The disk beneath, to fill it or to make it fail.
    pub fn disk(&self) -> SimulatedDisk {
        self.disk.clone()
    }

    pub(crate) fn next_queue_id(&self, now: Timestamp) -> QueueId {
        self.ids.next(now)
    }

    pub(crate) fn may_commit(&self) -> Result<(), CommitError> {
        self.health.may_commit()
    }

    pub(crate) fn content_writer(&self) -> ContentWriter {
        ContentWriter::new(self.spool.clone())
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    pub(crate) async fn commit(&self, message: NewMessage) -> Result<Committed, CommitError> {
        match self.try_commit(message) {
            Ok(answer) => answer,
            Err(Died) => pending().await,
        }
    }

    fn try_commit(&self, message: NewMessage) -> Result<Result<Committed, CommitError>, Died> {
        let mut state = self.alive()?;
        if let Err(error) = self.health.may_commit() {
            return Ok(Err(error));
        }
        let queue_id = message.facts.queue_id;
        if !describe::is_complete(&message)
            || state.durable.messages.contains_key(&queue_id.as_i64())
        {
            let because = "a message without recipients or with a used queue id".to_owned();
            return Ok(Err(CommitError::Sealed { because }));
        }
        message.content.keep();
        let stored = stored_of(&message);
        match state.faults.draw() {
            None => {}
            Some(Fault::Fails) => {
                state.doubtful.push(Doubtful {
                    messages: vec![stored],
                    settled: None,
                    events: message.events,
                });
                let because = self.seal();
                return Ok(Err(CommitError::Sealed { because }));
            }
            Some(Fault::DiesBefore) => return Err(die(&mut state)),
            Some(Fault::DiesAfter) => {
                state.durable.messages.insert(queue_id.as_i64(), stored);
                state.durable.events.extend(message.events);
                return Err(die(&mut state));
            }
        }
        #[cfg(feature = "broken-twins")]
        state.note_write(Some(queue_id));
        enter(&mut state, stored);
        self.publish(&mut state, message.events);
        drop(state);
        self.bell.ring();
        Ok(Ok(Committed { queue_id }))
    }

    pub(crate) fn record(&self, event: Event) {
        if let Ok(mut state) = self.alive() {
            self.publish(&mut state, vec![event]);
        }
    }

    pub(crate) async fn content_reader(
        &self,
        content: &Content,
    ) -> Result<ContentReader, StoreError> {
        Ok(ContentReader::new(content))
    }

    pub(crate) fn counts(&self) -> QueueCounts {
        self.state().index.counts()
    }

    fn publish(&self, state: &mut State, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        events
            .iter()
            .for_each(|event| (self.observer)(event, &event.to_json()));
        state.durable.events.extend(events.iter().cloned());
        // Nobody listens: that is fine.
        let _ = self.live.send(events.into());
    }

    fn discard(&self, content: Option<StoredContent>) {
        if let Some(StoredContent::Spooled { name, .. }) = content {
            self.spool.remove(&name);
        }
    }

    /// The disk failed: gives the cause.
    fn seal(&self) -> String {
        let because = "the simulated disk failed".to_owned();
        self.health.seal(&because);
        because
    }

    fn sweep(&self) {
        let rows = || {
            let state = self.state();
            let name = |stored: &Stored| match &stored.content {
                StoredContent::Inline(_) => None,
                StoredContent::Spooled { name, .. } => Some(name.to_string()),
            };
            Ok::<_, StoreError>(state.durable.messages.values().filter_map(name).collect())
        };
        let swept = self.spool.sweep(rows).unwrap_or_default();
        tracing::debug!(swept, "spool swept");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> Result<MutexGuard<'_, State>, Died> {
        let state = self.state();
        if state.dead { Err(Died) } else { Ok(state) }
    }
}

fn die(state: &mut State) -> Died {
    state.dead = true;
    Died
}

fn new_tables() -> Connection {
    let tables = Connection::open_in_memory().expect("SQLite opens in memory");
    settings_tables::create(&tables).expect("SQLite makes tables in memory");
    restriction_tables::create(&tables).expect("SQLite makes tables in memory");
    proof_table::create(&tables).expect("SQLite makes tables in memory");
    shelf_table::create(&tables).expect("SQLite makes tables in memory");
    tables
}

fn stored_of(message: &NewMessage) -> Stored {
    let recipients = message
        .recipients
        .iter()
        .zip(0..)
        .map(|(recipient, number)| {
            let stored = StoredRecipient {
                recipient: recipient.recipient.clone(),
                key: recipient.key.clone(),
                state: describe::fresh_state(recipient),
                last_reply: None,
            };
            (number, stored)
        });
    let content = match &message.content {
        Content::Inline(octets) => StoredContent::Inline(octets.clone()),
        Content::Spooled(SpooledContent {
            name,
            size,
            checksum,
            ..
        }) => StoredContent::Spooled {
            name: name.clone(),
            size: *size,
            checksum: *checksum,
        },
    };
    Stored {
        facts: Arc::new(message.facts.clone()),
        content,
        recipients: recipients.collect(),
    }
}

fn slots_of(stored: &Stored) -> Vec<NewSlot> {
    let slot = |(number, recipient): (&u32, &StoredRecipient)| NewSlot {
        number: *number,
        key: recipient.key.clone(),
        state: recipient.state.recovered(),
    };
    stored.recipients.iter().map(slot).collect()
}

fn enter(state: &mut State, stored: Stored) {
    state
        .index
        .insert(stored.facts.queue_id, &slots_of(&stored));
    state
        .durable
        .messages
        .insert(stored.facts.queue_id.as_i64(), stored);
}

/// Changes what is durable; gives the content of a message that is gone with its last recipient.
fn apply(durable: &mut Durable, id: QueueId, resolved: &[Resolved]) -> Option<StoredContent> {
    let stored = durable.messages.get_mut(&id.as_i64())?;
    for (number, state) in resolved {
        match (state, stored.recipients.get_mut(number)) {
            (Some(state), Some(recipient)) => recipient.state = *state,
            (None, _) => {
                stored.recipients.remove(number);
            }
            (Some(_), None) => {}
        }
    }
    if !stored.recipients.is_empty() {
        return None;
    }
    durable
        .messages
        .remove(&id.as_i64())
        .map(|stored| stored.content)
}

fn note_reply(durable: &mut Durable, id: QueueId, number: u32, change: &RecipientChange) {
    let stored = durable.messages.get_mut(&id.as_i64());
    let recipient = stored.and_then(|stored| stored.recipients.get_mut(&number));
    if let (Some(recipient), RecipientChange::Deferred { last_reply, .. }) = (recipient, change) {
        recipient.last_reply = Some(last_reply.clone());
    }
}

fn apply_doubtful(durable: &mut Durable, doubtful: Doubtful) {
    let Doubtful {
        messages,
        settled,
        events,
    } = doubtful;
    let messages = messages
        .into_iter()
        .map(|message| (message.facts.queue_id.as_i64(), message));
    durable.messages.extend(messages);
    if let Some((id, resolved)) = settled {
        apply(durable, id, &resolved);
    }
    durable.events.extend(events);
}
