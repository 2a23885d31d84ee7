//! The few file operations that the store uses, as a trait: the real disk, or the simulated one
//! that forgets what was not synced. The only file of the workspace that touches content files.
//!
//! All methods block; callers run them on threads that may (see `spool`).
//!
//! Not here: SQLite's own files.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

#[cfg(feature = "simulation")]
mod simulated;

#[cfg(feature = "simulation")]
pub use simulated::SimulatedDisk;

/// A disk. Paths are absolute or relative to the working folder, as the caller likes.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a folder (mode 0700) and its parents; one that exists is fine.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes a new empty file (mode 0600); one that exists is an error.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Makes the entries of a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names of the entries of a folder, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Octets that we may still write.
    fn free_octets(&self, path: &Path) -> io::Result<u64>;
    /// Takes the lock file: held until the answer is dropped; `WouldBlock` if another process has
    /// it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Writes behind what is there.
    fn append(&mut self, octets: &[u8]) -> io::Result<()>;
    /// Makes content and size durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Reads from `offset`; 0 at the end.
    fn read_at(&self, octets: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Octets.
    fn size(&self) -> io::Result<u64>;
}

/// The machine's disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = fs::OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        Ok(Box::new(RealFile { file, end: 0 }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = fs::File::open(path)?;
        let end = file.metadata()?.len();
        Ok(Box::new(RealFile { file, end }))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
        };
        fs::read_dir(path)?.map(name).collect()
    }

    fn free_octets(&self, path: &Path) -> io::Result<u64> {
        let numbers = rustix::fs::statvfs(path)?;
        // What root alone may use is not ours.
        Ok(numbers.f_bavail.saturating_mul(numbers.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = fs::OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(RealFile { file, end: 0 }))
    }
}

struct RealFile {
    file: fs::File,
    end: u64,
}

impl DiskFile for RealFile {
    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        self.file.write_all_at(octets, self.end)?;
        self.end += octets.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn read_at(&self, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(octets, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// Whether an error says that the disk is full, or the quota used up.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
