//! The beginning of stored content, for whoever needs its header section.

use relais_smtp::dkim::{BodyHash, BodyHasher};
use relais_smtp::header::{HEADER_SECTION_OCTETS_MAX, header_section_end};
use relais_store::queue::{Content, Leased, StoreError};
use relais_store::store::Store;

/// The header section as it was taken, and our own fields above it.
const SECTION_OCTETS_MAX: usize = HEADER_SECTION_OCTETS_MAX + 16 * 1_024;

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

/// The header section, and the hash of the body: as it was made when the message came, or of the
/// content for one that an older version took.
pub(crate) async fn section_and_body(
    store: &Store,
    leased: &Leased,
) -> Result<(Vec<u8>, BodyHash), String> {
    let content = &leased.content;
    let mut section = first_octets(store, content, SECTION_OCTETS_MAX)
        .await
        .map_err(|error| format!("its content cannot be read ({error})"))?;
    let end = header_section_end(&section).unwrap_or(section.len());
    section.truncate(end);
    let body = match leased.facts.body_hash {
        Some(hash) => hash,
        None => hash_behind(store, content, end)
            .await
            .map_err(|error| format!("its content cannot be read ({error})"))?,
    };
    Ok((section, body))
}

async fn hash_behind(
    store: &Store,
    content: &Content,
    mut skip: usize,
) -> Result<BodyHash, StoreError> {
    let mut hasher = BodyHasher::new();
    let mut reader = store.content_reader(content).await?;
    loop {
        let piece = reader.next().await?;
        if piece.is_empty() {
            return Ok(hasher.finish());
        }
        let skipped = skip.min(piece.len());
        skip -= skipped;
        hasher.update(&piece[skipped..]);
    }
}
