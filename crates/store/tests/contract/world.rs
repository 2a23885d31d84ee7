//! What every test of the suite needs: a store that can be opened again, and messages.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use relais_policy::settings::Mode;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::envelope::{EnvelopeRecipient, SenderParameters};
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use relais_store::backup::{RestoredQueue, restore};
use relais_store::disk::Disk;
use relais_store::memory::{Durable, Fault, FaultPlan, Memory, MemoryOptions};
use relais_store::queue::{
    Content, Criteria, Leased, MessageFacts, NewMessage, NewRecipient, QueueKey, RecipientChange,
    Settlement,
};
use relais_store::store::{OpenOptions, Store};
use relais_store::trace::{Event, EventKind, To};

/// Tuesday, 24 November 2026, ten o'clock.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

/// So many seconds after [`NOW`].
pub(crate) fn at(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

/// A store and what is beneath it.
pub(crate) struct World {
    store: Store,
    beneath: Beneath,
    observed: Arc<AtomicU64>,
    /// Octets; raised to have no room.
    reserve: u64,
}

enum Beneath {
    Memory,
    Folder(tempfile::TempDir),
}

impl World {
    pub(crate) async fn memory() -> Self {
        Self::new(Beneath::Memory).await
    }

    pub(crate) async fn embedded() -> Self {
        Self::new(Beneath::Folder(tempfile::tempdir().unwrap())).await
    }

    async fn new(beneath: Beneath) -> Self {
        let observed = Arc::new(AtomicU64::new(0));
        let store = Store::in_memory(MemoryOptions::new(NOW));
        let mut world = Self {
            store,
            beneath,
            observed,
            reserve: 0,
        };
        world.store = world.open(Durable::default(), NOW).await;
        world
    }

    async fn open(&self, durable: Durable, now: Timestamp) -> Store {
        let observed = self.observed.clone();
        let observer = Arc::new(move |_: &Event, _: &str| {
            observed.fetch_add(1, Ordering::Relaxed);
        });
        match &self.beneath {
            Beneath::Memory => {
                let disk_reserve = self.reserve;
                let options = MemoryOptions {
                    observer,
                    disk_reserve,
                    ..MemoryOptions::new(now)
                };
                Store::Memory(Memory::open(options, durable))
            }
            Beneath::Folder(folder) => {
                let options = OpenOptions {
                    folder: folder.path().to_path_buf(),
                    mode: Mode::Lan,
                    disk_reserve: self.reserve,
                    trace_days: 36_500,
                    observer,
                    now,
                };
                Store::open(options).await.unwrap()
            }
        }
    }

    /// A backup of this moment, restored on hold and opened at `now`. Of a store with a folder.
    pub(crate) async fn restored(&self, now: Timestamp) -> Self {
        let (kept, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let backup = kept.path().join("backup");
        self.store
            .backup(backup.clone(), "anna", NOW)
            .await
            .unwrap();
        restore(&backup, folder.path(), RestoredQueue::Held, "root", now).unwrap();
        let mut world = Self::new(Beneath::Folder(folder)).await;
        world.restart(now).await;
        world
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Events that the observer heard of, restarts included.
    pub(crate) fn observed(&self) -> &AtomicU64 {
        &self.observed
    }

    /// The process ends and starts again at `now`.
    pub(crate) async fn restart(&mut self, now: Timestamp) {
        self.damage(|_| {}, now).await;
    }

    /// The same, and something happens to the disk in between.
    pub(crate) async fn damage(&mut self, harm: impl FnOnce(&Self), now: Timestamp) {
        let durable = match &self.store {
            Store::Memory(memory) => memory.crash(),
            Store::Embedded(_) => {
                self.store.close(Duration::from_secs(10)).await;
                Durable::default()
            }
        };
        harm(self);
        self.store = self.open(durable, now).await;
        // A list waits until everything is known again; leases begin before.
        self.store
            .list(&Criteria::default(), None, 1)
            .await
            .unwrap();
    }

    /// Whether there is room on the disk from now on.
    pub(crate) async fn set_room(&mut self, room: bool) {
        self.reserve = if room { 0 } else { u64::MAX };
        if let Store::Memory(memory) = &self.store {
            memory.disk().set_capacity((!room).then_some(0));
        }
        self.restart(NOW).await;
        self.store.maintain(NOW).await;
    }

    /// The next write fails as a disk does.
    pub(crate) async fn break_disk(&self) {
        match &self.store {
            Store::Memory(memory) => memory.set_faults(FaultPlan {
                ordered: [Some(Fault::Fails)].into(),
                ..FaultPlan::default()
            }),
            Store::Embedded(embedded) => embedded.break_disk().await.unwrap(),
        }
    }

    fn spool_paths(&self) -> Vec<PathBuf> {
        match (&self.beneath, &self.store) {
            (Beneath::Folder(folder), _) => {
                let folders = std::fs::read_dir(folder.path().join("spool")).unwrap();
                let files = |folder: std::io::Result<std::fs::DirEntry>| {
                    std::fs::read_dir(folder.unwrap().path()).unwrap()
                };
                folders
                    .flat_map(files)
                    .map(|file| file.unwrap().path())
                    .collect()
            }
            (Beneath::Memory, Store::Memory(memory)) => memory.disk().files(),
            (Beneath::Memory, Store::Embedded(_)) => unreachable!(),
        }
    }

    pub(crate) fn spool_files(&self) -> usize {
        self.spool_paths().len()
    }

    pub(crate) async fn no_spool_files(&self) {
        self.spool_files_become(0).await;
    }

    /// Files are removed on a thread of their own: waits for it.
    pub(crate) async fn spool_files_become(&self, count: usize) {
        while self.spool_files() != count {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn remove_spool_files(&self) {
        for path in self.spool_paths() {
            match &self.store {
                Store::Memory(memory) => memory.disk().remove(&path).unwrap(),
                Store::Embedded(_) => std::fs::remove_file(path).unwrap(),
            }
        }
    }

    pub(crate) fn flip_bits_of_spool_files(&self) {
        for path in self.spool_paths() {
            match &self.store {
                Store::Memory(memory) => memory.disk().flip_bit(&path, 100_000),
                Store::Embedded(_) => {
                    let mut octets = std::fs::read(&path).unwrap();
                    octets[100_000] ^= 1;
                    std::fs::write(&path, octets).unwrap();
                }
            }
        }
    }
}

pub(crate) fn key(destination: &str) -> QueueKey {
    QueueKey::new("contoso", destination)
}

/// A message to some addresses, accepted at `now`, with a lifetime of a day.
pub(crate) fn message(store: &Store, to: &[&str], now: Timestamp) -> NewMessage {
    let queue_id = store.next_queue_id(now);
    message_with(
        queue_id,
        to,
        now,
        Content::Inline(content_of(queue_id).into()),
    )
}

/// Content that tells which message it is of.
pub(crate) fn content_of(queue_id: QueueId) -> Vec<u8> {
    format!("Subject: {queue_id}\r\n\r\nHello.\r\n").into_bytes()
}

pub(crate) fn message_with(
    queue_id: QueueId,
    to: &[&str],
    now: Timestamp,
    content: Content,
) -> NewMessage {
    let recipient = |address: &&str| {
        let mailbox = Mailbox::parse(address).unwrap();
        NewRecipient {
            key: key(&mailbox.host().to_string()),
            recipient: EnvelopeRecipient::new(mailbox),
            due: now,
            expires_at: now.after(Duration::from_secs(86_400)),
            is_restricted: false,
            held: false,
        }
    };
    let to_event = To::Many(to.iter().map(|to| Arc::from(*to)).collect());
    NewMessage {
        facts: MessageFacts {
            queue_id,
            organisation: "contoso".into(),
            inbound_connector: Some("Printers".into()),
            client: None,
            reverse_path: ReversePath::Mailbox(Mailbox::parse("scan@contoso.test").unwrap()),
            replaced: None,
            parameters: SenderParameters::default(),
            accepted_at: now,
            size: content.size(),
            eight_bit: false,
            utf8_header: false,
            header_from: Some("scan@contoso.test".into()),
            subject: Some(queue_id.to_string().into()),
            message_id: None,
            body_hash: None,
            is_notice: false,
        },
        recipients: to.iter().map(recipient).collect(),
        content,
        events: vec![Event {
            queue_id: Some(queue_id),
            to: Some(to_event),
            ..Event::new(now, EventKind::MessageAccepted)
        }],
    }
}

/// Commits a message to some addresses.
pub(crate) async fn commit(store: &Store, to: &[&str], now: Timestamp) -> QueueId {
    store
        .commit(message(store, to, now))
        .await
        .unwrap()
        .queue_id()
}

/// Leases one message of a queue for a minute.
pub(crate) async fn lease_one(store: &Store, destination: &str, now: Timestamp) -> Option<Leased> {
    let until = now.after(Duration::from_secs(60));
    let leased = store
        .lease(&key(destination), 1, 100, now, until)
        .await
        .unwrap();
    assert!(leased.len() <= 1);
    leased.into_iter().next()
}

/// The same change for all recipients of a lease.
pub(crate) fn settlement(leased: &Leased, change: &RecipientChange, now: Timestamp) -> Settlement {
    let kind = match change {
        RecipientChange::Done => EventKind::RecipientDelivered,
        RecipientChange::Deferred { .. }
        | RecipientChange::Returned { .. }
        | RecipientChange::Prolonged { .. } => EventKind::RecipientDeferred,
        RecipientChange::Restricted { .. } => EventKind::RecipientHeld,
    };
    let event = |to: Arc<str>| Event {
        queue_id: Some(leased.lease.queue_id),
        to: Some(To::One(to)),
        ..Event::new(now, kind)
    };
    let events = leased
        .recipients
        .iter()
        .map(|r| event(r.recipient.forward_path.to_string().into()));
    Settlement {
        lease: leased.lease.clone(),
        changes: leased
            .recipients
            .iter()
            .map(|r| (r.number, change.clone()))
            .collect(),
        events: events.collect(),
        notices: Vec::new(),
    }
}

pub(crate) fn deferred(until: Timestamp) -> RecipientChange {
    RecipientChange::Deferred {
        until,
        last_reply: "451 4.3.0 later".into(),
        delay_told: false,
    }
}

/// All of a message's content.
pub(crate) async fn read(store: &Store, content: &Content) -> Vec<u8> {
    let mut reader = store.content_reader(content).await.unwrap();
    let mut all = Vec::new();
    loop {
        let piece = reader.next().await.unwrap();
        if piece.is_empty() {
            return all;
        }
        assert!(piece.len() <= 64 * 1_024);
        all.extend_from_slice(&piece);
    }
}
