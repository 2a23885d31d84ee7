//! Content, small and large: streamed in, streamed out, never left behind.

use relais_smtp::time::Timestamp;
use relais_store::queue::{Content, INLINE_OCTETS_MAX, QueueAct, RecipientChange};
use relais_store::store::Store;

use crate::world::{NOW, World, at, commit, key, lease_one, message_with, read, settlement};

/// Octets that tell their place.
fn pattern(octets: usize) -> Vec<u8> {
    (0..octets).map(|place| (place / 7 % 251) as u8).collect()
}

async fn write(store: &Store, octets: &[u8], piece: usize) -> Content {
    let mut writer = store.content_writer();
    for piece in octets.chunks(piece) {
        writer.write(piece).await.unwrap();
    }
    assert_eq!(writer.size(), octets.len() as u64);
    writer.finish().await.unwrap()
}

async fn commit_content(store: &Store, content: Content, now: Timestamp) {
    let queue_id = store.next_queue_id(now);
    let message = message_with(queue_id, &["a@example.org"], now, content);
    store.commit(message).await.unwrap().queue_id();
}

async fn content_of_every_size_comes_out_as_it_went_in(mut world: World) {
    let sizes = [
        0,
        1,
        INLINE_OCTETS_MAX,
        INLINE_OCTETS_MAX + 1,
        300_000,
        1_048_577,
    ];
    for (second, size) in (0..).zip(sizes) {
        let content = write(world.store(), &pattern(size), 10_007).await;
        assert_eq!(
            matches!(content, Content::Inline(_)),
            size <= INLINE_OCTETS_MAX
        );
        assert_eq!(content.size(), size as u64);
        commit_content(world.store(), content, at(second)).await;
    }
    world.restart(at(100)).await;
    for size in sizes {
        let leased = lease_one(world.store(), "example.org", at(100))
            .await
            .unwrap();
        assert_eq!(
            read(world.store(), &leased.content).await,
            pattern(size),
            "{size}"
        );
    }
}

async fn content_that_is_still_in_memory_can_be_looked_at(world: World) {
    let mut writer = world.store().content_writer();
    writer.write(b"Subject: x\r\n").await.unwrap();
    writer.write(b"\r\n").await.unwrap();
    assert_eq!(writer.buffered(), b"Subject: x\r\n\r\n");
}

async fn large_content_leaves_no_file_behind(mut world: World) {
    let large = pattern(INLINE_OCTETS_MAX * 2);
    let store = world.store();
    // Never finished, finished and never committed, delivered, deleted.
    let mut unfinished = store.content_writer();
    unfinished.write(&large).await.unwrap();
    unfinished.write(&large).await.unwrap();
    unfinished.write(&large).await.unwrap();
    drop(unfinished);
    drop(write(store, &large, 65_536).await);
    commit_content(store, write(store, &large, 65_536).await, NOW).await;
    let leased = lease_one(store, "example.org", NOW).await.unwrap();
    assert_eq!(world.spool_files(), 1);
    assert_eq!(read(store, &leased.content).await, large);
    store
        .settle(settlement(&leased, &RecipientChange::Done, NOW))
        .await
        .unwrap();
    commit_content(store, write(store, &large, 65_536).await, NOW).await;
    store
        .act(QueueAct::Delete, &Default::default(), "anna", NOW)
        .await
        .unwrap();
    world.no_spool_files().await;
    // What a crash left is swept.
    let left = write(world.store(), &large, 65_536).await;
    commit_content(
        world.store(),
        write(world.store(), &large, 65_536).await,
        NOW,
    )
    .await;
    std::mem::forget(left);
    world.restart(at(1)).await;
    world.spool_files_become(1).await;
    let leased = lease_one(world.store(), "example.org", at(1))
        .await
        .unwrap();
    assert_eq!(read(world.store(), &leased.content).await, large);
}

async fn a_message_without_its_file_is_held_and_the_others_go_on(mut world: World) {
    let large = pattern(INLINE_OCTETS_MAX + 5);
    commit_content(
        world.store(),
        write(world.store(), &large, 9_999).await,
        NOW,
    )
    .await;
    commit(world.store(), &["b@example.org"], at(1)).await;
    world
        .damage(|world| world.remove_spool_files(), at(2))
        .await;
    let store = world.store();
    let leased = store
        .lease(&key("example.org"), 10, 10, at(2), at(60))
        .await
        .unwrap();
    assert_eq!(leased.len(), 1);
    assert_eq!(
        leased[0].recipients[0].recipient.forward_path.to_string(),
        "b@example.org"
    );
    let done = settlement(&leased[0], &RecipientChange::Done, at(3));
    store.settle(done).await.unwrap();
    assert_eq!(store.counts().held, 1);
    let rows = store
        .trace(&"event:recipient.held".parse_query())
        .await
        .unwrap();
    assert!(rows[0].json.contains("content is missing"), "{rows:?}");
    // It can still expire, with a notice.
    let expired = store
        .lease_expired(10, at(90_000), at(90_060))
        .await
        .unwrap();
    assert_eq!(expired.len(), 1);
    assert_eq!(
        expired[0].recipients[0].recipient.forward_path.to_string(),
        "a@example.org"
    );
}

async fn a_flipped_bit_in_a_file_never_looks_like_a_whole_message(mut world: World) {
    let large = pattern(INLINE_OCTETS_MAX * 3);
    commit_content(
        world.store(),
        write(world.store(), &large, 9_999).await,
        NOW,
    )
    .await;
    world
        .damage(|world| world.flip_bits_of_spool_files(), at(2))
        .await;
    let leased = lease_one(world.store(), "example.org", at(2))
        .await
        .unwrap();
    let mut reader = world.store().content_reader(&leased.content).await.unwrap();
    let mut octets = 0;
    let error = loop {
        match reader.next().await {
            Ok(piece) if piece.is_empty() => panic!("a damaged message looked whole"),
            Ok(piece) => octets += piece.len(),
            Err(error) => break error,
        }
    };
    assert!(octets < large.len(), "the last piece was given out");
    assert!(
        error.to_string().contains("not what was written"),
        "{error}"
    );
}

/// Reads a query as people type it.
trait ParseQuery {
    fn parse_query(&self) -> relais_store::trace::TraceQuery;
}

impl ParseQuery for str {
    fn parse_query(&self) -> relais_store::trace::TraceQuery {
        relais_store::trace::TraceQuery::parse(self).unwrap()
    }
}

rules! {
    content_of_every_size_comes_out_as_it_went_in,
    content_that_is_still_in_memory_can_be_looked_at,
    large_content_leaves_no_file_behind,
    a_message_without_its_file_is_held_and_the_others_go_on,
    a_flipped_bit_in_a_file_never_looks_like_a_whole_message,
}
