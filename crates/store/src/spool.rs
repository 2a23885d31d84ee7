//! Large content on stable storage: write, sync file and folder, open, remove, sweep.
//!
//! The row is the message, the file is its content: a file without a row is swept, a row without a
//! file is held and raises an event. A file is named in a row only after file and folder are
//! synced, so a row never waits for its file.
//!
//! Files are `spool/<2 letters>/<name>`; the letters are the last two of the name. Names are never
//! used twice by one process, and made exclusively.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relais_smtp::time::Timestamp;

use crate::disk::{Disk, DiskFile};
use crate::health::Health;

/// File removals that may wait; more are left to the sweep.
const REMOVALS_MAX: usize = 4_096;

/// Where the spool does its blocking work.
pub(crate) enum Workers {
    /// On tokio's blocking threads; removals on a thread of their own.
    Threads(SyncSender<PathBuf>),
    /// On the spot: simulation runs in one thread, and who only reads
    /// has no spool work.
    Inline,
}

impl Workers {
    /// Starts the thread that removes files.
    pub(crate) fn threads(disk: Arc<dyn Disk>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<PathBuf>(REMOVALS_MAX);
        std::thread::Builder::new()
            .name("spool-remove".into())
            .spawn(move || {
                for path in receiver {
                    remove_quietly(&*disk, &path);
                }
            })?;
        Ok(Self::Threads(sender))
    }
}

fn remove_quietly(disk: &dyn Disk, path: &std::path::Path) {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "a spool file could not be removed; the sweep will try again");
        }
        Ok(()) | Err(_) => {}
    }
}

/// The folder of large content.
pub(crate) struct Spool {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    workers: Workers,
    health: Arc<Health>,
    /// Milliseconds of the opening: names of different processes differ.
    opened: i64,
    last: AtomicU64,
    /// Files that belong to no row yet.
    pending: Mutex<HashSet<Arc<str>>>,
    folders: Mutex<HashSet<String>>,
}

/// A file of the spool, whose row may or may not exist. Dropped before it is kept, it goes.
pub(crate) struct SpoolFile {
    spool: Arc<Spool>,
    name: Arc<str>,
    kept: AtomicBool,
}

impl Spool {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        workers: Workers,
        health: Arc<Health>,
        now: Timestamp,
    ) -> io::Result<Self> {
        disk.make_folder(&folder)?;
        Ok(Self {
            disk,
            folder,
            workers,
            health,
            opened: now.as_millis(),
            last: AtomicU64::new(0),
            pending: Mutex::default(),
            folders: Mutex::default(),
        })
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Runs blocking work where it may run.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        match &self.workers {
            Workers::Inline => work(),
            Workers::Threads(_) => tokio::task::spawn_blocking(work)
                .await
                .unwrap_or_else(|_| Err(io::Error::other("a file operation was cut off"))),
        }
    }

    /// Makes a new file. Blocks.
    pub(crate) fn create(self: &Arc<Self>) -> io::Result<(SpoolFile, Box<dyn DiskFile>)> {
        loop {
            let number = self.last.fetch_add(1, Ordering::Relaxed);
            let name: Arc<str> = format!("{:011x}{number:07x}", self.opened.max(0)).into();
            lock(&self.pending).insert(name.clone());
            let file = SpoolFile {
                spool: self.clone(),
                name,
                kept: AtomicBool::new(false),
            };
            self.make_folder_of(&file.name)?;
            match self.disk.create(&self.path(&file.name)) {
                Ok(open) => return Ok((file, open)),
                // The clock jumped back to an earlier start: not our file, the next name then.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => file.keep(),
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes a complete file durable: content first, then its name. Blocks.
    pub(crate) fn sync(&self, name: &str, file: &mut dyn DiskFile) -> io::Result<()> {
        file.sync()?;
        self.disk.sync_folder(&self.folder.join(letters(name)))
    }

    /// Opens a file and looks at its size. Blocks.
    pub(crate) fn open(&self, name: &str, size: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.open(&self.path(name))?;
        if file.size()? != size {
            return Err(io::Error::other(
                "the spool file has another size than its row says",
            ));
        }
        Ok(file)
    }

    /// Whether a file is there. Blocks.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.disk.open(&self.path(name)).is_ok()
    }

    /// A file that has a row.
    pub(crate) fn kept(self: &Arc<Self>, name: Arc<str>) -> SpoolFile {
        SpoolFile {
            spool: self.clone(),
            name,
            kept: AtomicBool::new(true),
        }
    }

    /// Removes a file soon; one that is forgotten here is found by the sweep.
    pub(crate) fn remove(&self, name: &str) {
        let path = self.path(name);
        match &self.workers {
            Workers::Inline => remove_quietly(&*self.disk, &path),
            Workers::Threads(removals) => {
                // Full or gone: the sweep finds it.
                let _ = removals.try_send(path);
            }
        }
    }

    /// Removes files that have no row; `names` asks for the names in rows *after* the files were
    /// listed, so that a file committed meanwhile is seen. Says how many went. Blocks.
    pub(crate) fn sweep<E>(
        &self,
        names: impl FnOnce() -> Result<HashSet<String>, E>,
    ) -> Result<u64, E> {
        let mut found = Vec::new();
        for letters in self.disk.list(&self.folder).unwrap_or_default() {
            let folder = self.folder.join(&letters);
            found.extend(self.disk.list(&folder).unwrap_or_default());
        }
        let pending = lock(&self.pending).clone();
        let rows = names()?;
        found.retain(|name| !pending.contains(&**name) && !rows.contains(name));
        for name in &found {
            remove_quietly(&*self.disk, &self.path(name));
        }
        Ok(found.len() as u64)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(letters(name)).join(name)
    }

    fn make_folder_of(&self, name: &str) -> io::Result<()> {
        if lock(&self.folders).contains(letters(name)) {
            return Ok(());
        }
        self.disk.make_folder(&self.folder.join(letters(name)))?;
        self.disk.sync_folder(&self.folder)?;
        lock(&self.folders).insert(letters(name).to_owned());
        Ok(())
    }
}

fn letters(name: &str) -> &str {
    name.get(name.len().saturating_sub(2)..).unwrap_or(name)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SpoolFile {
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }

    /// Its row is committed, or may be: dropping leaves the file alone from now on.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
        lock(&self.spool.pending).remove(&self.name);
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Relaxed) {
            self.spool.remove(&self.name);
            lock(&self.spool.pending).remove(&self.name);
        }
    }
}

impl std::fmt::Debug for SpoolFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SpoolFile({})", self.name)
    }
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Spool")
    }
}
