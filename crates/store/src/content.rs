//! Content while it comes and goes: a writer that turns from memory to a spool file when content
//! grows, and a reader that gives pieces and checks the whole.

use std::sync::Arc;

use crate::checksum::Checksum;
use crate::disk::{self, DiskFile};
use crate::error::{CommitError, StoreError};
use crate::queue::{Content, INLINE_OCTETS_MAX, SpooledContent};
use crate::spool::{Spool, SpoolFile};

/// Octets gathered before they go to the file: 100 writers at once take 25 MB.
const WRITE_OCTETS: usize = 128 * 1_024;
/// Octets of one piece read.
const READ_OCTETS: usize = 64 * 1_024;

/// Collects content: in memory up to `INLINE_OCTETS_MAX`, then in a spool file, never whole in
/// memory. Dropped unfinished, it leaves nothing.
pub struct ContentWriter {
    spool: Arc<Spool>,
    size: u64,
    buffer: Vec<u8>,
    checksum: Checksum,
    file: Option<Writing>,
}

struct Writing {
    file: SpoolFile,
    open: Box<dyn DiskFile>,
}

/// Reads content piece by piece.
pub struct ContentReader(Reading);

enum Reading {
    Inline(Option<Arc<[u8]>>),
    Spooled {
        spooled: SpooledContent,
        open: Option<Box<dyn DiskFile>>,
        offset: u64,
        checksum: Checksum,
    },
}

impl ContentWriter {
    pub(crate) fn new(spool: Arc<Spool>) -> Self {
        Self {
            spool,
            size: 0,
            buffer: Vec::new(),
            checksum: Checksum::default(),
            file: None,
        }
    }

    /// Appends.
    pub async fn write(&mut self, mut piece: &[u8]) -> Result<(), CommitError> {
        self.size += piece.len() as u64;
        while !piece.is_empty() {
            let limit = if self.file.is_some() || self.size > INLINE_OCTETS_MAX as u64 {
                WRITE_OCTETS
            } else {
                INLINE_OCTETS_MAX
            };
            let count = piece.len().min(limit.saturating_sub(self.buffer.len()));
            self.buffer.extend_from_slice(&piece[..count]);
            piece = &piece[count..];
            if self.buffer.len() >= WRITE_OCTETS {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Octets so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The first octets while they are in memory: all of inline content. Empty once content has
    /// gone to a file.
    pub fn buffered(&self) -> &[u8] {
        if self.file.is_some() {
            &[]
        } else {
            &self.buffer
        }
    }

    /// Complete; a spool file is synced, folder included.
    pub async fn finish(mut self) -> Result<Content, CommitError> {
        if self.size <= INLINE_OCTETS_MAX as u64 {
            return Ok(Content::Inline(self.buffer.into()));
        }
        self.flush().await?;
        let Some(Writing { file, mut open }) = self.file.take() else {
            return Err(CommitError::Closed);
        };
        let spool = self.spool.clone();
        let synced = self.spool.run(move || {
            spool.sync(file.name(), &mut *open)?;
            Ok(file)
        });
        let file = synced.await.map_err(|error| failed(&self.spool, &error))?;
        Ok(Content::Spooled(SpooledContent {
            name: file.name().clone(),
            size: self.size,
            checksum: self.checksum.finish(),
            file: Arc::new(file),
        }))
    }

    /// Moves the buffer to the file.
    async fn flush(&mut self) -> Result<(), CommitError> {
        self.checksum.add(&self.buffer);
        let mut buffer = std::mem::take(&mut self.buffer);
        let writing = self.file.take();
        let spool = self.spool.clone();
        let written = self.spool.run(move || {
            let mut writing = match writing {
                Some(writing) => writing,
                None => {
                    let (file, open) = spool.create()?;
                    Writing { file, open }
                }
            };
            writing.open.append(&buffer)?;
            buffer.clear();
            Ok((writing, buffer))
        });
        let (writing, buffer) = written.await.map_err(|error| failed(&self.spool, &error))?;
        self.file = Some(writing);
        self.buffer = buffer;
        Ok(())
    }
}

/// What a failed write means: no room is nobody's fault, everything else seals the store.
fn failed(spool: &Spool, error: &std::io::Error) -> CommitError {
    if disk::is_full(error) {
        return CommitError::NoRoom;
    }
    let because = format!("a spool file could not be written: {error}");
    spool.health().seal(&because);
    CommitError::Sealed { because }
}

impl ContentReader {
    pub(crate) fn new(content: &Content) -> Self {
        Self(match content {
            Content::Inline(octets) => Reading::Inline(Some(octets.clone())),
            Content::Spooled(spooled) => Reading::Spooled {
                spooled: spooled.clone(),
                open: None,
                offset: 0,
                checksum: Checksum::default(),
            },
        })
    }

    /// The next piece, at most 64 KiB; empty at the end. Spooled content is checked on the way: if
    /// it is not what was written, the last call fails.
    pub async fn next(&mut self) -> Result<Arc<[u8]>, StoreError> {
        match &mut self.0 {
            Reading::Inline(octets) => Ok(octets.take().unwrap_or_default()),
            Reading::Spooled {
                spooled,
                open,
                offset,
                checksum,
            } => next_piece(spooled, open, offset, checksum).await,
        }
    }
}

async fn next_piece(
    spooled: &SpooledContent,
    open: &mut Option<Box<dyn DiskFile>>,
    offset: &mut u64,
    checksum: &mut Checksum,
) -> Result<Arc<[u8]>, StoreError> {
    let spool = spooled.file.spool().clone();
    let (file, name, from, size) = (open.take(), spooled.name.clone(), *offset, spooled.size);
    let worker = spool.clone();
    let read = spool.run(move || {
        let file = match file {
            Some(file) => file,
            None => worker.open(&name, size)?,
        };
        let rest = usize::try_from(size.saturating_sub(from)).unwrap_or(READ_OCTETS);
        let mut piece = vec![0; rest.min(READ_OCTETS)];
        let count = if piece.is_empty() {
            0
        } else {
            file.read_at(&mut piece, from)?
        };
        piece.truncate(count);
        Ok((file, piece))
    });
    let (file, piece) = read
        .await
        .map_err(|error| StoreError::Fault(format!("content cannot be read: {error}")))?;
    *open = Some(file);
    *offset += piece.len() as u64;
    checksum.add(&piece);
    // The check comes with the last piece, so that a damaged message never looks complete.
    let ended = piece.is_empty() || *offset == size;
    if ended && (*offset != size || checksum.clone().finish() != spooled.checksum) {
        return Err(StoreError::Fault(
            "content is not what was written".to_owned(),
        ));
    }
    Ok(piece.into())
}
