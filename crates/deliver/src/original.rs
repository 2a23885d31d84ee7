//! The beginning of stored content, for whoever needs its header section.

use relais_store::queue::{Content, StoreError};
use relais_store::store::Store;

/// The first octets, at most `most`.
pub(crate) async fn first_octets(
    store: &Store,
    content: &Content,
    most: usize,
) -> Result<Vec<u8>, StoreError> {
    if let Content::Inline(octets) = content {
        return Ok(octets[..octets.len().min(most)].to_vec());
    }
    let mut reader = store.content_reader(content).await?;
    let mut first = Vec::new();
    while first.len() < most {
        let piece = reader.next().await?;
        if piece.is_empty() {
            break;
        }
        first.extend_from_slice(&piece[..piece.len().min(most - first.len())]);
    }
    Ok(first)
}
