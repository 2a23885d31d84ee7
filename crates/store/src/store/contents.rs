//! Content made of content. Each message owns its own.

use super::Store;
use crate::error::{CommitError, StoreError};
use crate::queue::Content;

impl Store {
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
