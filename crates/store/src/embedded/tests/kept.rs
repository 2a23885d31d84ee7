//! Content that is kept after the last outcome: for whom that is said, for as long as that is said,
//! and never where mail needs the room.

use relais_policy::document::{Document, Organisation};

use super::*;
use crate::settings::SettingsChange;

const DAY: u64 = 86_400;

async fn with_days(store: &Embedded, version: u64, days: Option<u32>) {
    let organisation = Organisation {
        content_days: days,
        ..Organisation::new("contoso")
    };
    let change = SettingsChange {
        expected_version: version,
        document: Document {
            organisation: vec![organisation],
        },
        actor: "test".to_owned(),
        via: "socket".into(),
        summary: Vec::new(),
        time: NOW,
    };
    store.change_settings(change, None).await.unwrap();
}

/// Commits a message, and ends it at that time.
async fn send(store: &Embedded, octets: &[u8], ended: Timestamp) -> QueueId {
    let mut message = message(store.next_queue_id(NOW), "anna@example.org", b"");
    let mut writer = store.content_writer();
    writer.write(octets).await.unwrap();
    message.facts.size = octets.len() as u64;
    message.content = writer.finish().await.unwrap();
    let id = store.commit(message).await.unwrap().queue_id();
    let leased = lease(store, "example.org", NOW).await.remove(0);
    let mut settlement = done(&leased);
    settlement.events = vec![Event {
        queue_id: Some(id),
        ..Event::new(ended, EventKind::RecipientDelivered)
    }];
    store.settle(settlement).await.unwrap();
    id
}

async fn octets_of(store: &Embedded, id: QueueId) -> Option<Vec<u8>> {
    let kept = store.kept(id).await.unwrap()?;
    let mut reader = store.content_reader(&kept.content).await.unwrap();
    let mut all = Vec::new();
    loop {
        let piece = reader.next().await.unwrap();
        if piece.is_empty() {
            return Some(all);
        }
        all.extend_from_slice(&piece);
    }
}

#[tokio::test]
async fn content_is_kept_where_that_is_said_over_a_restart_and_until_its_days_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let large = vec![b'x'; 300_000];
    let before = send(&store, b"before", at(1)).await;
    with_days(&store, 0, Some(3)).await;
    let (small, big) = (
        send(&store, b"small", at(1)).await,
        send(&store, &large, at(2)).await,
    );
    assert_eq!(octets_of(&store, before).await, None, "nobody had said so");
    assert_eq!(
        octets_of(&store, small).await.as_deref(),
        Some(&b"small"[..])
    );
    assert_eq!(octets_of(&store, big).await.as_deref(), Some(&large[..]));
    assert_eq!(store.kept_count(Some("contoso")).await.unwrap().0, 2);
    assert_eq!(store.kept_count(Some("fabrikam")).await.unwrap().0, 0);
    close(store).await;
    let store = open(folder.path()).await;
    // The sweep of what belongs to no message leaves its file.
    super::super::opening::sweep(&store.shared).unwrap();
    assert_eq!(octets_of(&store, big).await.as_deref(), Some(&large[..]));
    let kept = store.kept(small).await.unwrap().unwrap();
    assert_eq!((kept.done, kept.until), (at(1), at(1 + 3 * DAY)));
    store.drop_old_content(at(3 * DAY)).await;
    assert!(octets_of(&store, small).await.is_some());
    store.drop_old_content(at(1 + 3 * DAY)).await;
    assert_eq!(octets_of(&store, small).await, None);
    assert!(octets_of(&store, big).await.is_some());
    // Said otherwise, it goes at once.
    with_days(&store, 1, Some(0)).await;
    store.drop_old_content(at(3)).await;
    assert_eq!(octets_of(&store, big).await, None);
    assert_eq!(store.kept_count(None).await.unwrap(), (0, 0));
}

#[tokio::test]
async fn below_the_reserve_the_oldest_content_goes_and_a_backup_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.keep_content(5);
    with_days(&store, 0, None).await;
    let secret = send(&store, b"a secret that is kept", at(1)).await;
    assert!(octets_of(&store, secret).await.is_some());
    // As a backup copies it.
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy.db");
    let original = Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
    let path = copy.to_str().unwrap();
    original.execute("VACUUM INTO ?1", [path]).unwrap();
    let has_it = || {
        let octets = std::fs::read(&copy).unwrap();
        octets.windows(8).any(|part| part == b"a secret")
    };
    assert!(has_it());
    let opened = Connection::open(&copy).unwrap();
    super::super::kept_table::clear_copy(&opened).unwrap();
    drop(opened);
    assert!(!has_it(), "a backup outlives the days");
    store.shared.health.set_no_room(true);
    let unkept = {
        store.make_room().await;
        store.kept(secret).await.unwrap()
    };
    assert!(unkept.is_none());
}
