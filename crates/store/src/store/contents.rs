//! Content made of content. Each message owns its own.

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use super::Store;
use crate::error::{CommitError, StoreError};
use crate::legal_hold::LegalHold;
use crate::queue::{Content, KeptContent};
use crate::trace::erase::Eraser;

impl Store {
    /// Where the settings say nothing, content is kept for so many days after the last outcome;
    /// 0: not at all. The store in memory keeps none.
    pub fn keep_content(&self, days: u32) {
        match self {
            Self::Embedded(store) => store.keep_content(days),
            #[cfg(feature = "simulation")]
            Self::Memory(_) => {}
        }
    }

    /// The same, as it is.
    pub fn content_days(&self) -> u32 {
        match self {
            Self::Embedded(store) => store.content_days(),
            #[cfg(feature = "simulation")]
            Self::Memory(_) => 0,
        }
    }

    /// Days that conversations are kept.
    pub fn dialogue_days(&self) -> u32 {
        match self {
            Self::Embedded(store) => store.dialogue_days(),
            #[cfg(feature = "simulation")]
            Self::Memory(_) => 0,
        }
    }

    /// What is kept of a message that has left the queue, if its days are not over `now`.
    pub async fn kept(
        &self,
        queue_id: QueueId,
        now: Timestamp,
    ) -> Result<Option<KeptContent>, StoreError> {
        match self {
            Self::Embedded(store) => store.kept(queue_id, now).await,
            #[cfg(feature = "simulation")]
            Self::Memory(_) => {
                let _ = (queue_id, now);
                Ok(None)
            }
        }
    }

    /// Of how many messages content is kept, and its octets: of one organisation, or of all.
    pub async fn kept_count(&self, organisation: Option<&str>) -> Result<(u64, u64), StoreError> {
        match self {
            Self::Embedded(store) => store.kept_count(organisation).await,
            #[cfg(feature = "simulation")]
            Self::Memory(_) => {
                let _ = organisation;
                Ok((0, 0))
            }
        }
    }

    /// Whether content is kept of mail that a legal hold covers and that is from or to an address.
    pub async fn is_content_held(
        &self,
        hold: LegalHold,
        eraser: &Eraser,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(store) => store.is_content_held(hold, eraser).await,
            #[cfg(feature = "simulation")]
            Self::Memory(_) => {
                let _ = (hold, eraser);
                Ok(false)
            }
        }
    }

    /// A copy of content behind other octets, and its size.
    pub async fn copy_behind(
        &self,
        front: &[u8],
        content: &Content,
    ) -> Result<(Content, u64), CommitError> {
        let mut writer = self.content_writer();
        writer.write(front).await?;
        let mut reader = self.content_reader(content).await.map_err(unreadable)?;
        loop {
            let piece = reader.next().await.map_err(unreadable)?;
            if piece.is_empty() {
                let size = writer.size();
                return Ok((writer.finish().await?, size));
            }
            writer.write(&piece).await?;
        }
    }
}

fn unreadable(error: StoreError) -> CommitError {
    CommitError::Sealed {
        because: error.to_string(),
    }
}
