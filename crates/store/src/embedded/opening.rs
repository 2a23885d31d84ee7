//! Opening is recovery: the lock, the tables, what the outbox still has, the index in the
//! background, then the sweep.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use relais_policy::restriction::Restrictions;
use relais_policy::settings::{Mode, Settings};
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{Semaphore, broadcast, watch};

use super::dialogue_database::DialogueDatabases;
use super::kept_table::Keeping;
use super::line::{self, Door};
use super::rebuild::{self, QueueNames};
use super::trace_database::TraceDatabases;
use super::trace_feed::{self, Feed};
use super::writer::{Op, Shared, Writer};
use super::{
    Embedded, LIVE_EVENTS_MAX, QUESTIONS_MAX, administering, group, proof_table,
    restriction_tables, schema, settings_tables, shelf_table,
};
use crate::bell::Bell;
use crate::bounces::Bounces;
use crate::cache::Cache;
use crate::describe;
use crate::disk::{Disk, DiskFile, RealDisk};
use crate::dkim;
use crate::error::StoreError;
use crate::health::Health;
use crate::identifiers::QueueIds;
use crate::index::Index;
use crate::known;
use crate::options::OpenOptions;
use crate::restriction::LookedThrough;
use crate::secret::Vault;
use crate::shelf::Shelf;
use crate::spool::{Spool, Workers};
use crate::suspension::Suspension;

/// The file that keeps other processes away.
const LOCK_FILE: &str = "lock";
/// The folder of large content.
pub(super) const SPOOL_FOLDER: &str = "spool";
/// The folder of the trace's databases.
pub(super) const TRACE_FOLDER: &str = "trace";

/// How far the remembered queue id may lag behind the last one given, as an id: about ten seconds
/// of time.
pub(super) const REMEMBER_STEP: i64 = 10_000 << 22;

/// What the tables say at start.
struct Start {
    names: QueueNames,
    last_message: i64,
    last_id: i64,
    suspended: Vec<Suspension>,
    outbox: Vec<(u64, String)>,
    settings: Arc<ArcSwap<Settings>>,
    restrictions: Arc<Restrictions>,
    recipients: u64,
}

/// Conversations beside the trace.
const DIALOGUE_FOLDER: &str = "dialogue";

/// What is told where a folder is only read: the configuration's default.
const TRACE_DAYS_DEFAULT: u32 = 90;

impl Embedded {
    pub(crate) async fn open(options: OpenOptions) -> Result<Self, StoreError> {
        let opened = tokio::task::spawn_blocking(move || open(options, |_| {})).await;
        opened.unwrap_or_else(|_| Err(StoreError::Fault("opening was cut off".to_owned())))
    }

    /// Opens a store that breaks a promise.
    #[cfg(feature = "broken-twins")]
    pub(crate) async fn open_broken(
        options: OpenOptions,
        twin: crate::options::BrokenTwin,
    ) -> Result<Self, StoreError> {
        let broken = move || open(options, |writer| writer.break_promise(twin));
        let opened = tokio::task::spawn_blocking(broken).await;
        opened.unwrap_or_else(|_| Err(StoreError::Fault("opening was cut off".to_owned())))
    }

    pub(crate) async fn open_for_reading(folder: PathBuf, mode: Mode) -> Result<Self, StoreError> {
        let opened = tokio::task::spawn_blocking(move || open_for_reading(&folder, mode)).await;
        opened.unwrap_or_else(|_| Err(StoreError::Fault("opening was cut off".to_owned())))
    }
}

fn open(options: OpenOptions, adjust: impl FnOnce(&mut Writer)) -> Result<Embedded, StoreError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let OpenOptions {
        folder,
        mode,
        disk_reserve,
        trace_days,
        observer,
        now,
    } = options;
    let lock = lock(&*disk, &folder)?;
    let connection = schema::open_writer(&folder)?;
    let synced = disk.sync_folder(&folder);
    synced.map_err(|error| folder_fault(&error))?;
    let start = read_start(&connection, mode)?;
    let databases = TraceDatabases::new(folder.join(TRACE_FOLDER));
    let (position, gap) = replay(&databases, &start, &observer);
    let live = broadcast::Sender::new(LIVE_EVENTS_MAX);
    let traced = Arc::new(AtomicU64::new(if gap { 0 } else { position }));
    let dialogues = DialogueDatabases::new(folder.join(DIALOGUE_FOLDER));
    let feed = Feed::start(trace_feed::Settings {
        databases: databases.clone(),
        dialogues: dialogues.clone(),
        observer,
        live: live.clone(),
        days: trace_days,
        traced: traced.clone(),
        gap,
    })?;
    let workers = Workers::threads(disk.clone()).map_err(|error| folder_fault(&error))?;
    let shared = share(&disk, &folder, workers, now, &start, (position, traced))?;
    *shared.lock.lock().expect("nobody else has it yet") = Some(lock);

    let (ops, line) = line::line();
    let keys = start.names.iter().map(|(id, key)| (key.clone(), *id));
    let mut writer = Writer::new(shared.clone(), connection, feed.clone(), keys.collect());
    adjust(&mut writer);
    spawn("store", move || writer.run(&line))?;
    let (done, rebuilt) = watch::channel(false);
    let background = Background {
        shared: shared.clone(),
        ops: ops.clone(),
        now,
    };
    let Start {
        names,
        last_message,
        last_id,
        settings,
        restrictions,
        recipients,
        ..
    } = start;
    let rebuild = move || background.run(&names, last_message, &done);
    spawn("store-rebuild", rebuild)?;
    Ok(Embedded {
        shared,
        ops: Some(ops),
        feed: Some(feed),
        databases,
        dialogues,
        live,
        settings,
        looked_through: LookedThrough::since(Arc::clone(&restrictions)),
        restrictions: Arc::new(ArcSwap::new(restrictions)),
        vault: Vault::default(),
        bounces: Bounces::default(),
        questions: Semaphore::new(QUESTIONS_MAX),
        mode,
        disk,
        disk_reserve,
        trace_days,
        rebuilt,
        hourly: AtomicI64::new(now.as_millis()),
        sampled: AtomicI64::default(),
        remembered: AtomicI64::new(last_id),
        recipients_at_open: recipients,
        folder,
    })
}

fn open_for_reading(folder: &Path, mode: Mode) -> Result<Embedded, StoreError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let connection = schema::open_reader(folder)?;
    let start = read_start(&connection, mode)?;
    let traced = Arc::default();
    let shared = share(
        &disk,
        folder,
        Workers::Inline,
        Timestamp::default(),
        &start,
        (0, traced),
    )?;
    rebuild::fill(&shared, &start.names, i64::MAX, Timestamp::default())?;
    Ok(Embedded {
        shared,
        ops: None,
        feed: None,
        databases: TraceDatabases::new(folder.join(TRACE_FOLDER)),
        dialogues: DialogueDatabases::new(folder.join(DIALOGUE_FOLDER)),
        live: broadcast::Sender::new(1),
        settings: start.settings,
        looked_through: LookedThrough::since(Arc::clone(&start.restrictions)),
        restrictions: Arc::new(ArcSwap::new(start.restrictions)),
        vault: Vault::default(),
        bounces: Bounces::default(),
        questions: Semaphore::new(QUESTIONS_MAX),
        mode,
        disk,
        disk_reserve: 0,
        trace_days: TRACE_DAYS_DEFAULT,
        rebuilt: watch::channel(true).1,
        hourly: AtomicI64::default(),
        sampled: AtomicI64::default(),
        remembered: AtomicI64::default(),
        recipients_at_open: start.recipients,
        folder: folder.to_path_buf(),
    })
}

fn share(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    workers: Workers,
    now: Timestamp,
    start: &Start,
    (position, traced): (u64, Arc<AtomicU64>),
) -> Result<Arc<Shared>, StoreError> {
    let health = Arc::new(Health::default());
    let spool = Spool::new(
        disk.clone(),
        folder.join(SPOOL_FOLDER),
        workers,
        health.clone(),
        now,
    );
    let spool = spool.map_err(|error| folder_fault(&error))?;
    let mut index = Index::default();
    let suspended = start.suspended.iter().cloned();
    suspended.for_each(|suspension| index.suspend(suspension));
    Ok(Arc::new(Shared {
        folder: folder.to_path_buf(),
        index: Mutex::new(index),
        cache: Cache::default(),
        keeping: Keeping::new(Arc::clone(&start.settings), Arc::clone(&health)),
        health,
        spool: Arc::new(spool),
        readers: super::readers::Readers::new(folder),
        bell: Bell::default(),
        ids: QueueIds::new(behind(start.last_id, now)),
        position: AtomicU64::new(position),
        traced,
        lock: Mutex::default(),
    }))
}

/// The last id that may have been given. A clock that went back says that the database may not
/// remember the last ones.
fn behind(last_id: i64, now: Timestamp) -> i64 {
    let by_clock = QueueId::new(now, 0, 0).as_i64();
    if by_clock > last_id {
        last_id
    } else {
        last_id.saturating_add(REMEMBER_STEP)
    }
}

fn lock(disk: &dyn Disk, folder: &Path) -> Result<Box<dyn DiskFile>, StoreError> {
    disk.make_folder(folder)
        .map_err(|error| folder_fault(&error))?;
    disk.lock(&folder.join(LOCK_FILE))
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => {
                StoreError::Fault("another Relais has this data folder open".to_owned())
            }
            _ => folder_fault(&error),
        })
}

fn folder_fault(error: &std::io::Error) -> StoreError {
    StoreError::Fault(format!("the data folder cannot be used: {error}"))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    let spawned = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work);
    spawned
        .map(|_| ())
        .map_err(|error| StoreError::Fault(format!("a thread: {error}")))
}

fn read_start(connection: &Connection, mode: Mode) -> Result<Start, StoreError> {
    let (version, document) = settings_tables::load_latest(connection)?;
    let settings = Settings::build_stored(mode, version, document).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        StoreError::Fault(format!("settings version {version}: {}", errors.join("; ")))
    })?;
    let restrictions = Arc::new(restriction_tables::load(connection)?);
    let settings = settings.with_proofs(proof_table::load(connection)?);
    let settings = settings.with_dkim(dkim::table(&shelf_table::all(connection, Shelf::DkimKey)?));
    let shown = shelf_table::all(connection, Shelf::BounceDomain)?;
    let settings = settings.with_shown_bounces(known::shown_bounces(&shown));
    let rows = || {
        let names = rebuild::queue_names(connection)?;
        let last: Option<i64> =
            connection.query_row("SELECT max(id) FROM message", [], |row| row.get(0))?;
        let remembered: Option<i64> = connection
            .query_row(
                "SELECT value FROM number WHERE name = ?1",
                [group::LAST_QUEUE_ID],
                |row| row.get(0),
            )
            .optional()?;
        let old_suspensions = schema::old_suspensions(connection)?;
        let mut statement =
            connection.prepare("SELECT position, lines FROM outbox ORDER BY position")?;
        let outbox = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let recipients =
            connection.query_row("SELECT count(*) FROM recipient", [], |row| row.get(0))?;
        let last_message = last.unwrap_or(0);
        let last_id = last_message.max(remembered.unwrap_or(0));
        Ok((
            names,
            last_message,
            last_id,
            old_suspensions,
            outbox,
            recipients,
        ))
    };
    let (names, last_message, last_id, old_suspensions, outbox, recipients) =
        rows().map_err(schema::fault)?;
    let kept = shelf_table::all(connection, Shelf::Suspension)?;
    let old = old_suspensions.iter().map(|name| Suspension::of_old(name));
    let suspended = old
        .chain(kept.iter().filter_map(Suspension::from_entry))
        .collect();
    Ok(Start {
        names,
        last_message,
        last_id,
        suspended,
        outbox,
        settings: Arc::new(ArcSwap::from_pointee(settings)),
        restrictions,
        recipients,
    })
}

/// The outbox into the trace. Without a trace that can be written mail goes on; the outbox then
/// keeps what it has. Gives the next position, and whether something was left.
fn replay(
    databases: &TraceDatabases,
    start: &Start,
    observer: &crate::options::Observer,
) -> (u64, bool) {
    let behind_outbox = |(first, lines): &(u64, String)| first + lines.lines().count() as u64;
    let end = start.outbox.last().map_or(0, behind_outbox);
    let replayed = trace_feed::replay(databases, &start.outbox, observer);
    let last = databases.last_position();
    let behind_trace = last
        .as_ref()
        .ok()
        .copied()
        .flatten()
        .map_or(0, |last| last + 1);
    // Positions start at 1.
    let next = end.max(behind_trace).max(1);
    match replayed {
        Ok(_) => (next, false),
        Err(error) => {
            tracing::error!(%error, "the trace cannot be written; mail goes on without it");
            (next, true)
        }
    }
}

/// What goes on behind the opening.
struct Background {
    shared: Arc<Shared>,
    ops: Door<Op>,
    now: Timestamp,
}

impl Background {
    fn run(self, names: &QueueNames, last: i64, done: &watch::Sender<bool>) {
        let damaged = match rebuild::fill(&self.shared, names, last, self.now) {
            Ok(damaged) => damaged,
            Err(error) => {
                // What is in the index goes on; the rest needs the disk to answer.
                tracing::error!(%error, "the queue could not be read to its end");
                self.shared.health.seal(&error.to_string());
                return;
            }
        };
        for queue_id in damaged {
            self.hold(queue_id, describe::ROW_DAMAGED);
        }
        done.send_replace(true);
        match sweep(&self.shared) {
            Ok(without_file) => {
                for queue_id in without_file {
                    self.hold(queue_id, describe::CONTENT_MISSING);
                }
            }
            Err(error) => tracing::warn!(%error, "the spool could not be swept"),
        }
    }

    fn hold(&self, queue_id: QueueId, detail: &'static str) {
        tracing::error!(%queue_id, detail, "a message is held");
        let now = self.now;
        let hold = Op::Exclusive(Box::new(move |writer: &mut Writer| {
            if let Err(error) = administering::hold_damaged(writer, queue_id, detail, now) {
                tracing::error!(%queue_id, %error, "the message could not be held");
            }
        }));
        // Closed already: the next start finds it again.
        let _ = self.ops.send_beside(hold);
    }
}

/// Removes files without a row; gives messages without a file. Blocks.
pub(super) fn sweep(shared: &Shared) -> Result<Vec<QueueId>, StoreError> {
    let rows = std::cell::RefCell::new(Vec::new());
    let swept = shared.spool.sweep(|| {
        let found = shared.readers.ask_blocking(|connection| {
            // At one moment: content that is kept goes from one table to the other.
            let sql = "SELECT spool, id, 0 FROM message WHERE spool IS NOT NULL
                       UNION ALL SELECT spool, id, 1 FROM kept WHERE spool IS NOT NULL";
            let mut statement = connection.prepare_cached(sql).map_err(schema::fault)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
            rows.and_then(Iterator::collect::<Result<Vec<(String, i64, bool)>, _>>)
                .map_err(schema::fault)
        })?;
        let names: HashSet<String> = found.iter().map(|(name, ..)| name.clone()).collect();
        *rows.borrow_mut() = found;
        Ok::<_, StoreError>(names)
    })?;
    if swept > 0 {
        tracing::info!(swept, "spool files without a message were removed");
    }
    let absent = |(name, id, is_kept): (String, i64, bool)| {
        let id = QueueId::from_i64(id).filter(|_| !is_kept)?;
        (!shared.spool.has(&name)).then_some(id)
    };
    Ok(rows.into_inner().into_iter().filter_map(absent).collect())
}
