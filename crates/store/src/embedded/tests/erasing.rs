//! An address erased: wherever it is found, in turns, and what it could not be erased from is told.

use super::kept::{keep, send_with, stands_in};
use super::*;
use crate::trace::erase::{Erased, Eraser, Erasure};

fn wanted(organisation: Option<&str>) -> Erasure {
    Erasure {
        eraser: Eraser::new("ann@x.test").unwrap(),
        organisation: organisation.map(ToOwned::to_owned),
    }
}

async fn erase(store: &Embedded, organisation: Option<&str>) -> Erased {
    let tell = |erased: &Erased| vec![format!("{} events", erased.events)];
    let wanted = wanted(organisation);
    let erased = store.erase(&wanted, tell, "anna".into(), NOW).await;
    erased.unwrap()
}

fn told_of_ann(time: Timestamp) -> Event {
    Event {
        organisation: Some("contoso".into()),
        detail: Some("was meant for ann@x.test".into()),
        ..Event::new(time, EventKind::RecipientDelivered)
    }
}

/// Events that have the address.
async fn left(store: &Embedded) -> usize {
    let all = rows(store, "").await;
    all.iter()
        .filter(|json| json.contains("ann@x.test"))
        .count()
}

#[tokio::test]
async fn kept_content_of_which_only_an_event_has_the_address_goes_and_leaves_no_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    keep(&store, 5).await;
    let long = b"a secret of ann ".repeat(2_000);
    let of_ann = send_with(&store, &long, told_of_ann(at(1))).await;
    let other = Event::new(at(1), EventKind::RecipientDelivered);
    let other = send_with(&store, b"of others", other).await;
    let found = store.count_erasure(&wanted(Some("contoso"))).await.unwrap();
    assert_eq!((found.events, found.contents), (1, 1));
    assert_eq!(erase(&store, Some("fabrikam")).await, Erased::default());
    assert!(stands_in(folder.path(), "a secret"));
    assert_eq!(erase(&store, Some("contoso")).await, found);
    assert!(store.kept(of_ann, at(2)).await.unwrap().is_none());
    assert!(store.kept(other, at(2)).await.unwrap().is_some());
    // While it runs: not in the log either.
    for text in ["a secret", "ann@x.test"] {
        assert!(!stands_in(folder.path(), text), "{text}");
    }
    let audit = store.audit(1).await.unwrap();
    assert_eq!(audit[0].detail, ["1 events"]);
}

#[tokio::test]
async fn a_day_that_cannot_be_read_or_written_is_named_and_the_others_are_erased() {
    const DAY: u64 = 86_400;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for day in 0..3 {
        store.record(told_of_ann(at(day * DAY)));
    }
    assert_eq!(left(&store).await, 3);
    let (trace, dialogue) = (folder.path().join("trace"), folder.path().join("dialogue"));
    let day = |day: u64| at(day * DAY).day();
    let second = Connection::open(trace.join(format!("{}.db", day(1)))).unwrap();
    let sql = "CREATE TRIGGER stubborn BEFORE UPDATE ON event
               BEGIN SELECT RAISE(ABORT, 'no'); END";
    second.execute_batch(sql).unwrap();
    std::fs::create_dir_all(&dialogue).unwrap();
    for folder in [&trace, &dialogue] {
        std::fs::write(folder.join("2026-10-01.db"), vec![b'x'; 8_192]).unwrap();
    }
    for name in ["2026-10-02.damaged", "2026-10-02.damaged-wal"] {
        std::fs::write(trace.join(name), "what is left").unwrap();
    }
    let erased = erase(&store, None).await;
    assert_eq!(erased.events, 2);
    let mut unread = erased.unread;
    unread.sort();
    let damaged = ["2026-10-01".to_owned(), "2026-10-02.damaged".to_owned()];
    assert_eq!(unread, [&damaged[..], &[day(1)]].concat());
    assert_eq!(erased.unread_conversations, ["2026-10-01"]);
    assert_eq!(left(&store).await, 1);
}

#[tokio::test]
async fn events_that_the_trace_could_not_take_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    // A folder where its file would be.
    let in_the_way = folder
        .path()
        .join("trace")
        .join(format!("{}.db", NOW.day()));
    std::fs::create_dir_all(&in_the_way).unwrap();
    let queue_id = store.next_queue_id(NOW);
    let message = NewMessage {
        events: vec![Event {
            queue_id: Some(queue_id),
            ..told_of_ann(NOW)
        }],
        ..message(queue_id, "a@example.org", b"x")
    };
    assert_eq!(store.commit(message).await.unwrap().queue_id(), queue_id);
    let erased = erase(&store, None).await;
    assert_eq!((erased.events, erased.unwritten), (0, 1));
    assert_eq!(erased.unread, [NOW.day()]);
    std::fs::remove_dir(&in_the_way).unwrap();
    store.maintain(at(1), at(1)).await;
    assert_eq!(left(&store).await, 1);
    let erased = erase(&store, None).await;
    assert_eq!((erased.events, erased.unwritten), (1, 0));
    assert_eq!(left(&store).await, 0);
}

#[tokio::test]
async fn what_was_delivered_before_an_erase_stands_in_no_page_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let long = b"a secret of ann ".repeat(2_000);
    send_with(&store, &long, told_of_ann(at(1))).await;
    assert!(
        stands_in(folder.path(), "a secret"),
        "or this shows nothing"
    );
    erase(&store, None).await;
    // While it runs: not in the log either.
    for text in ["a secret", "ann@x.test"] {
        assert!(!stands_in(folder.path(), text), "{text}");
    }
}
