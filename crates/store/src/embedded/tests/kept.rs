//! Content that is kept after the last outcome: for whom that is said, for as long as that is said,
//! and never where mail needs the room.

use relais_policy::document::{ByteCount, Document, Organisation};

use super::*;
use crate::embedded::{kept_content, kept_table};
use crate::settings::SettingsChange;

const DAY: u64 = 86_400;

async fn with_days(store: &Embedded, version: u64, days: Option<u32>) {
    let organisation = Organisation {
        content_days: days,
        ..Organisation::new("contoso")
    };
    set(store, version, organisation).await;
}

async fn set(store: &Embedded, version: u64, organisation: Organisation) {
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

/// From now on so many octets of contoso's are kept, for five days.
pub(super) async fn with_bound(store: &Embedded, version: u64, octets: u64) {
    let contoso = Organisation {
        content_days: Some(5),
        content_max: ByteCount(octets),
        ..Organisation::new("contoso")
    };
    set(store, version, contoso).await;
}

/// From now on everybody's is kept for so many days.
pub(super) async fn keep(store: &Embedded, days: u32) {
    store.keep_content(days);
    with_days(store, 0, None).await;
}

/// Commits a message, and ends it at that time.
pub(super) async fn send(store: &Embedded, octets: &[u8], ended: Timestamp) -> QueueId {
    let delivered = Event::new(ended, EventKind::RecipientDelivered);
    send_with(store, octets, delivered).await
}

/// The same; with what is told at its end.
pub(super) async fn send_with(store: &Embedded, octets: &[u8], end: Event) -> QueueId {
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
        ..end
    }];
    store.settle(settlement).await.unwrap();
    id
}

async fn octets_of(store: &Embedded, id: QueueId) -> Option<Vec<u8>> {
    octets_at(store, id, at(2)).await
}

async fn octets_at(store: &Embedded, id: QueueId, now: Timestamp) -> Option<Vec<u8>> {
    let kept = store.kept(id, now).await.unwrap()?;
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
    let kept = store.kept(small, at(2)).await.unwrap().unwrap();
    assert_eq!((kept.done, kept.until), (at(1), at(1 + 3 * DAY)));
    store.drop_old_content(at(3 * DAY)).await;
    assert!(octets_of(&store, small).await.is_some());
    // Over is over, though it is still there.
    assert!(octets_at(&store, small, at(3 * DAY)).await.is_some());
    assert_eq!(octets_at(&store, small, at(1 + 3 * DAY)).await, None);
    assert_eq!(store.kept_count(None).await.unwrap().0, 2);
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
    let copies = tempfile::tempdir().unwrap();
    // As a backup copies it.
    let copy = copies.path().join(DATABASE_FILE);
    let original = Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
    let path = copy.to_str().unwrap();
    original.execute("VACUUM INTO ?1", [path]).unwrap();
    assert!(stands_in(copies.path(), "a secret"));
    let copy = Connection::open(&copy).unwrap();
    kept_table::clear_copy(&copy).unwrap();
    assert_eq!(kept_table::count(&copy, None).unwrap(), (0, 0));
    store.shared.health.set_no_room(true);
    let unkept = {
        store.make_room(at(2)).await;
        store.kept(secret, at(2)).await.unwrap()
    };
    assert!(unkept.is_none());
}

/// Whether the queue's database, or its log, has a text.
pub(super) fn stands_in(folder: &Path, text: &str) -> bool {
    let files = [DATABASE_FILE, "queue.db-wal"].map(|name| folder.join(name));
    files.iter().filter(|file| file.exists()).any(|file| {
        let octets = std::fs::read(file).unwrap();
        octets
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    })
}

#[tokio::test]
async fn near_the_reserve_nothing_more_is_kept_and_mail_is_taken_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let free = crate::disk::Disk::free_octets(&crate::disk::RealDisk, folder.path()).unwrap();
    for (name, reserve, is_kept) in [("far", free / 4, true), ("near", free / 4 * 3, false)] {
        let folder = folder.path().join(name);
        let options = OpenOptions {
            disk_reserve: reserve,
            ..options(&folder)
        };
        let store = Embedded::open(options).await.unwrap();
        store.index_complete().await.unwrap();
        keep(&store, 5).await;
        store.maintain(at(1), at(1)).await;
        let id = send(&store, b"content", at(1)).await;
        assert_eq!(octets_of(&store, id).await.is_some(), is_kept, "{name}");
        close(store).await;
    }
}

/// So many rows of some owners, done then.
fn fill(folder: &Path, rows: usize, done: Timestamp) {
    let connection = Connection::open(folder.join(DATABASE_FILE)).unwrap();
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
               INSERT INTO kept (id, done, organisation, connector, size, envelope, content)
               SELECT i, ?2, iif(i % 2, 'contoso', 'fabrikam'),
                      iif(i % 3, 'scanners ' || i % 5, NULL), 1, x'00', x'00' FROM n";
    let values = params![rows, done.as_millis()];
    assert_eq!(connection.execute(sql, values).unwrap(), rows);
}

#[tokio::test]
async fn what_has_had_its_days_goes_each_second_while_there_is_more_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    keep(&store, 3).await;
    let kept = send(&store, b"for longer", at(100)).await;
    let a_round = kept_content::TURNS_MAX * kept_table::DROPPED_MAX;
    fill(folder.path(), a_round + 10, at(1));
    let over = |seconds: u64| at(1 + 3 * DAY + seconds);
    store.maintain(over(0), over(0)).await;
    assert_eq!(store.kept_count(None).await.unwrap().0, 11);
    store.maintain(over(1), over(1)).await;
    assert_eq!(store.kept_count(None).await.unwrap().0, 1);
    assert!(octets_of(&store, kept).await.is_some());
    // Nothing was left: only the next hour looks again.
    fill(folder.path(), 5, at(1));
    store.maintain(over(2), over(2)).await;
    assert_eq!(store.kept_count(None).await.unwrap().0, 6);
    store.maintain(over(3_600), over(3_600)).await;
    assert_eq!(store.kept_count(None).await.unwrap().0, 0);
}

#[tokio::test]
async fn what_has_had_its_days_is_found_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    close(open(folder.path()).await).await;
    let connection = Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
    for sql in kept_table::LOOKED_UP {
        let plan = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = connection.prepare(&plan).unwrap();
        let steps = statement.raw_query();
        let steps: Vec<String> = steps.mapped(|row| row.get(3)).map(Result::unwrap).collect();
        let is_search = |step: &String| step.starts_with("SEARCH") && step.contains("kept_");
        assert!(steps.iter().all(is_search), "{sql}: {steps:?}");
    }
}

#[tokio::test]
async fn on_a_full_disk_a_settlement_passes_though_its_content_cannot_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    keep(&store, 5).await;
    let id = commit(&store, "a@example.org", &[b'x'; 60_000])
        .await
        .unwrap();
    let leased = lease(&store, "example.org", NOW).await.remove(0);
    store
        .exclusively(|writer| writer.limit_pages(1))
        .await
        .unwrap();
    let settlement = Settlement {
        events: vec![Event::new(at(1), EventKind::RecipientDelivered)],
        ..done(&leased)
    };
    store.settle(settlement).await.unwrap();
    assert_eq!(octets_of(&store, id).await, None);
    assert_eq!(store.counts().queued, 0);
}

#[tokio::test]
async fn what_is_kept_no_longer_stands_in_no_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let long = b"a secret for paula ".repeat(2_000);
    keep(&store, 3).await;
    let kept = send(&store, &long, at(2)).await;
    assert!(octets_of(&store, kept).await.is_some());
    assert!(stands_in(folder.path(), "a secret"));
    store.drop_old_content(at(2 + 3 * DAY)).await;
    close(store).await;
    assert!(!stands_in(folder.path(), "a secret"));
}

/// Those of some messages that are kept.
async fn kept_of(store: &Embedded, ids: &[QueueId]) -> Vec<bool> {
    let mut kept = Vec::new();
    for id in ids {
        kept.push(octets_of(store, *id).await.is_some());
    }
    kept
}

#[tokio::test]
async fn the_oldest_content_of_an_organisation_makes_room_for_its_newest_within_its_bound() {
    const SMALL: usize = 1_000;
    const LARGE: usize = 300_000;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    with_bound(&store, 0, 700_000).await;
    let mut ids = Vec::new();
    for (seconds, size) in [(1, LARGE), (2, LARGE), (3, SMALL)] {
        ids.push(send(&store, &vec![b'x'; size], at(seconds)).await);
    }
    let used = (2 * LARGE + SMALL) as u64;
    assert_eq!(store.kept_count(Some("contoso")).await.unwrap(), (3, used));
    let spooled = store.kept(ids[0], at(2)).await.unwrap().unwrap();
    let Content::Spooled(spooled) = spooled.content else {
        panic!("large content stands in a file")
    };
    // The count is right over a restart.
    close(store).await;
    let store = open(folder.path()).await;
    ids.push(send(&store, &vec![b'y'; LARGE], at(4)).await);
    assert_eq!(kept_of(&store, &ids).await, [false, true, true, true]);
    assert_eq!(store.kept_count(Some("contoso")).await.unwrap(), (3, used));
    // Its file goes soon: a thread of its own removes it.
    let began = std::time::Instant::now();
    let spool = &store.shared.spool;
    while spool.open(&spooled.name, spooled.size).is_ok() {
        assert!(began.elapsed().as_secs() < 60, "its file stays");
        tokio::task::yield_now().await;
    }
    // What is larger than the bound takes nobody's place.
    ids.push(send(&store, &vec![b'z'; 700_001], at(5)).await);
    assert_eq!(
        kept_of(&store, &ids).await,
        [false, true, true, true, false]
    );
    // Set lower, it is held by the next round.
    with_bound(&store, 1, 400_000).await;
    store.drop_old_content(at(6)).await;
    assert_eq!(
        kept_of(&store, &ids).await,
        [false, false, true, true, false]
    );
    with_bound(&store, 2, 0).await;
    store.drop_old_content(at(7)).await;
    assert_eq!(store.kept_count(None).await.unwrap(), (0, 0));
}

#[tokio::test]
async fn small_content_that_makes_room_for_large_one_goes_in_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let rows = 2 * kept_table::DROPPED_MAX;
    with_bound(&store, 0, rows as u64).await;
    fill(folder.path(), 2 * rows, at(1));
    let large = vec![b'x'; kept_table::DROPPED_MAX + 100];
    let large = send(&store, &large, at(2)).await;
    // As many as go at once, and that is beyond the bound by less than the message.
    let (_, octets) = store.kept_count(Some("contoso")).await.unwrap();
    assert_eq!(octets, rows as u64 + 100);
    store.maintain(at(3), at(3)).await;
    let (_, octets) = store.kept_count(Some("contoso")).await.unwrap();
    assert_eq!(octets, (rows - rows / 16) as u64);
    assert!(octets_of(&store, large).await.is_some());
    // Fabrikam's, which is none of these, is not in its place.
    assert_eq!(store.kept_count(Some("fabrikam")).await.unwrap().0, 0);
}

#[tokio::test]
async fn what_an_older_relais_kept_is_counted_and_what_it_keeps_later_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    with_bound(&store, 0, 1 << 20).await;
    send(&store, &[b'x'; 400], at(1)).await;
    close(store).await;
    let connection = Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
    let older = "DROP TRIGGER kept_more; DROP TRIGGER kept_less; DROP TABLE kept_sum;";
    connection.execute_batch(older).unwrap();
    assert_eq!(kept_table::count(&connection, None).unwrap(), (1, 400));
    drop(connection);
    let store = open(folder.path()).await;
    assert_eq!(store.kept_count(Some("contoso")).await.unwrap(), (1, 400));
    fill(folder.path(), 2, at(1));
    assert_eq!(store.kept_count(None).await.unwrap(), (3, 402));
}

#[tokio::test]
async fn what_is_asked_of_a_full_organisation_is_found_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    close(open(folder.path()).await).await;
    let connection = Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
    for sql in kept_table::ASKED_WHEN_FULL {
        let plan = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = connection.prepare(&plan).unwrap();
        let steps = statement.raw_query();
        let steps: Vec<String> = steps.mapped(|row| row.get(3)).map(Result::unwrap).collect();
        let is_search = |step: &String| step.starts_with("SEARCH") && !step.contains("SORT");
        assert!(steps.iter().all(is_search), "{sql}: {steps:?}");
    }
}
