//! Operations on whole files and folders: for the trace databases, which SQLite writes, and for
//! backups. What a message's way needs of the disk is in `disk.rs`, where faults are injected.
//!
//! Every error names the act and the file; nothing here is retried.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Octets read at once: large enough that the calls do not count, small beside any budget.
const PIECE_OCTETS: usize = 256 * 1_024;

/// Only the owner may look in.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// An operation on a file failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot {act} {}: {}", .path.display(), .because)]
pub(crate) struct FileError {
    act: &'static str,
    path: PathBuf,
    because: String,
    kind: io::ErrorKind,
}

impl FileError {
    fn new(act: &'static str, path: &Path, error: &io::Error) -> Self {
        Self {
            act,
            path: path.to_owned(),
            because: error.to_string(),
            kind: error.kind(),
        }
    }

    /// There is no such file.
    pub(crate) fn is_absent(&self) -> bool {
        self.kind == io::ErrorKind::NotFound
    }
}

/// SHA-256 and size of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fingerprint {
    pub(crate) sha256: [u8; 32],
    pub(crate) size: u64,
}

/// Makes a folder, and those above it, if absent; mode 0700.
pub(crate) fn make_folder(folder: &Path) -> Result<(), FileError> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder);
    made.map_err(|error| FileError::new("make folder", folder, &error))
}

/// Names in a folder, sorted; names that are not UTF-8 are not ours and left out. An absent folder
/// is an empty one.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, FileError> {
    let failed = |error: io::Error| FileError::new("list", folder, &error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

pub(crate) fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

pub(crate) fn exists(path: &Path) -> bool {
    // A name that cannot be looked at is better taken for one that is there.
    path.try_exists().unwrap_or(true)
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(|error| FileError::new("rename", from, &error))
}

/// Removes a file; an absent one is removed already.
pub(crate) fn remove(file: &Path) -> Result<(), FileError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::new("remove", file, &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes a folder with everything in it; an absent one is removed already.
pub(crate) fn remove_folder(folder: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::new("remove folder", folder, &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The names in a folder are on stable storage afterwards.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), FileError> {
    let synced = File::open(folder).and_then(|opened| opened.sync_all());
    synced.map_err(|error| FileError::new("sync folder", folder, &error))
}

/// The content of a file is on stable storage afterwards.
pub(crate) fn sync_file(file: &Path) -> Result<(), FileError> {
    let synced = File::open(file).and_then(|opened| opened.sync_all());
    synced.map_err(|error| FileError::new("sync", file, &error))
}

/// Makes a file that must not exist, with this content, synced; mode 0600.
pub(crate) fn write_new(file: &Path, content: &[u8]) -> Result<(), FileError> {
    let written = create_new(file).and_then(|mut created| {
        created.write_all(content)?;
        created.sync_all()
    });
    written.map_err(|error| FileError::new("write", file, &error))
}

/// Takes a file that another (SQLite) made from everybody but its owner.
pub(crate) fn keep_to_owner(file: &Path) -> Result<(), FileError> {
    fs::set_permissions(file, fs::Permissions::from_mode(FILE_MODE))
        .map_err(|error| FileError::new("change the mode of", file, &error))
}

/// Gives a file or folder to whoever owns that folder: what root puts there must be usable by the
/// server, which runs unprivileged.
pub(crate) fn give_to_owner_of(folder: &Path, path: &Path) -> Result<(), FileError> {
    let given = fs::metadata(folder).and_then(|owner| {
        let own = fs::metadata(path)?;
        if (own.uid(), own.gid()) == (owner.uid(), owner.gid()) {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
    });
    given.map_err(|error| FileError::new("change the owner of", path, &error))
}

/// A whole file of at most `octets_max`.
pub(crate) fn read(file: &Path, octets_max: u64) -> Result<Vec<u8>, FileError> {
    let failed = |error: io::Error| FileError::new("read", file, &error);
    let mut content = Vec::new();
    let opened = File::open(file).map_err(failed)?;
    opened
        .take(octets_max + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    if content.len() as u64 > octets_max {
        return Err(failed(io::Error::other(format!(
            "larger than {octets_max} octets"
        ))));
    }
    Ok(content)
}

/// SHA-256 of a file, read piece by piece.
pub(crate) fn fingerprint(file: &Path) -> Result<Fingerprint, FileError> {
    let read = File::open(file).and_then(|mut opened| pass(&mut opened, &mut io::sink()));
    read.map_err(|error| FileError::new("read", file, &error))
}

/// Copies a file to a name that must not exist, synced, mode 0600; what was copied.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<Fingerprint, FileError> {
    let mut source = File::open(from).map_err(|error| FileError::new("read", from, &error))?;
    let copied = create_new(to).and_then(|mut target| {
        let fingerprint = pass(&mut source, &mut target)?;
        target.sync_all()?;
        Ok(fingerprint)
    });
    copied.map_err(|error| FileError::new("write", to, &error))
}

/// A second name for a file that is never changed again, or a copy where the file system gives
/// none; what it holds.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> Result<Fingerprint, FileError> {
    match fs::hard_link(from, to) {
        Ok(()) => fingerprint(to),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(FileError::new("link", from, &error))
        }
        Err(_) => copy(from, to),
    }
}

fn create_new(file: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(file)
}

fn pass(source: &mut impl Read, target: &mut impl Write) -> io::Result<Fingerprint> {
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut piece = vec![0; PIECE_OCTETS];
    loop {
        let octets = match source.read(&mut piece) {
            Ok(0) => {
                return Ok(Fingerprint {
                    sha256: hash.finalize().into(),
                    size,
                });
            }
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(&piece[..octets]);
        target.write_all(&piece[..octets])?;
        size += octets as u64;
    }
}
