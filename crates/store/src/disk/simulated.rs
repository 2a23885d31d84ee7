//! A disk in memory that forgets what was not synced, and fails on demand. Deterministic.
//!
//! Model: a file's content is durable up to its last `sync`; its name is durable from the next
//! `sync_folder` of its folder, and so is its removal. Folders are durable at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};

/// EIO, the error of a disk that fails.
const EIO: i32 = 5;
/// ENOSPC, the error of a disk that is full.
const ENOSPC: i32 = 28;

/// Clones share the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    folders: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    files: BTreeMap<u64, Content>,
    last_file: u64,
    locks: BTreeSet<PathBuf>,
    syncs_fail: bool,
    capacity: Option<u64>,
    syncs: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    octets: Vec<u8>,
    synced: usize,
}

impl SimulatedDisk {
    /// The power fails: what was not synced is gone.
    pub fn cut(&self) {
        let mut state = self.state();
        state.names = state.durable_names.clone();
        state.locks.clear();
        let named: BTreeSet<u64> = state.names.values().copied().collect();
        state.files.retain(|number, _| named.contains(number));
        for content in state.files.values_mut() {
            content.octets.truncate(content.synced);
        }
    }

    /// From now on every sync fails with EIO, or works again.
    pub fn fail_syncs(&self, fail: bool) {
        self.state().syncs_fail = fail;
    }

    /// Whether syncs work.
    pub fn syncs_work(&self) -> bool {
        !self.state().syncs_fail
    }

    /// Octets that fit in all; `None`: no end.
    pub fn set_capacity(&self, octets: Option<u64>) {
        self.state().capacity = octets;
    }

    /// Syncs done so far, of files and folders.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Paths of all files.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// Turns one bit of a file over.
    pub fn flip_bit(&self, path: &Path, offset: usize) {
        let mut state = self.state();
        let number = state.names.get(path).copied();
        let content = number.and_then(|number| state.files.get_mut(&number));
        if let Some(octet) = content.and_then(|content| content.octets.get_mut(offset)) {
            *octet ^= 1;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn used(&self) -> u64 {
        self.files
            .values()
            .map(|content| content.octets.len() as u64)
            .sum()
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.syncs_fail {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.syncs += 1;
        Ok(())
    }
}

impl Disk for SimulatedDisk {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state
            .folders
            .extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !path
            .parent()
            .is_some_and(|folder| state.folders.contains(folder))
        {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.last_file += 1;
        let number = state.last_file;
        state.files.insert(number, Content::default());
        state.names.insert(path.to_path_buf(), number);
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            number,
            lock: None,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let number = self
            .state()
            .names
            .get(path)
            .copied()
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            number,
            lock: None,
        }))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.sync()?;
        let inside = |name: &PathBuf| name.parent() == Some(path);
        let names: Vec<_> = state
            .names
            .clone()
            .into_iter()
            .filter(|(n, _)| inside(n))
            .collect();
        state.durable_names.retain(|name, _| !inside(name));
        state.durable_names.extend(names);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state()
            .names
            .remove(path)
            .map(|_| ())
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let entries = state.names.keys().chain(&state.folders);
        let inside = entries.filter(|name| name.parent() == Some(path));
        let name = |path: &PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
        Ok(inside.filter_map(name).collect())
    }

    fn free_octets(&self, _path: &Path) -> io::Result<u64> {
        let state = self.state();
        Ok(state
            .capacity
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if !self.state().locks.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            number: 0,
            lock: Some(path.into()),
        }))
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    number: u64,
    lock: Option<PathBuf>,
}

impl SimulatedFile {
    fn with<T>(&self, work: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut state = self.disk.state();
        // An open file outlives its name, but not the power.
        state
            .files
            .get_mut(&self.number)
            .map(work)
            .ok_or(io::Error::from_raw_os_error(EIO))
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            self.disk.state().locks.remove(lock);
        }
    }
}

impl DiskFile for SimulatedFile {
    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        let state = self.disk.state();
        let full = state
            .capacity
            .is_some_and(|capacity| state.used() + octets.len() as u64 > capacity);
        drop(state);
        if full {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        self.with(|content| content.octets.extend_from_slice(octets))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.state().sync()?;
        self.with(|content| content.synced = content.octets.len())
    }

    fn read_at(&self, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|content| {
            let from = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(content.octets.len());
            let count = octets.len().min(content.octets.len() - from);
            octets[..count].copy_from_slice(&content.octets[from..from + count]);
            count
        })
    }

    fn size(&self) -> io::Result<u64> {
        self.with(|content| content.octets.len() as u64)
    }
}
