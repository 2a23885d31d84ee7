//! Legal holds: what they cover stays beyond its days, and goes once none stands.

use super::kept::{keep, send, with_bound};
use super::*;
use crate::legal_hold::{Held, LegalHold};
use crate::shelf::{Shelf, ShelfChange};
use crate::trace::erase::Eraser;

const DAY: u64 = 86_400;

fn hold(organisation: &str, address: &str) -> LegalHold {
    LegalHold {
        organisation: Some(organisation.to_owned()),
        held: Held::Address(address.to_owned()),
        reason: "a case".to_owned(),
        by: "anna".to_owned(),
        until: None,
    }
}

async fn place(store: &Embedded, hold: &LegalHold) {
    let change = ShelfChange::new(Shelf::LegalHold, NOW).put("1", hold.to_value());
    store.change_shelf(change).await.unwrap();
}

async fn release(store: &Embedded) {
    let change = ShelfChange::new(Shelf::LegalHold, NOW).take("1");
    store.change_shelf(change).await.unwrap();
}

#[tokio::test]
async fn content_under_a_hold_stays_beyond_its_days_and_when_mail_needs_the_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    keep(&store, 3).await;
    let id = send(&store, b"evidence", at(1)).await;
    let over = at(1 + 3 * DAY);
    let whole = hold("contoso", "ANNA@example.org");
    let with_end = LegalHold {
        until: Some(at(20 * DAY).as_millis()),
        ..whole.clone()
    };
    place(&store, &with_end).await;
    store.drop_old_content(over).await;
    store.make_room(over).await;
    assert!(store.kept(id, over).await.unwrap().is_some());
    let eraser = Eraser::new("anna@example.org").unwrap();
    let other = Eraser::new("bob@example.org").unwrap();
    assert!(store.is_content_held(whole.clone(), &eraser).await.unwrap());
    assert!(!store.is_content_held(whole, &other).await.unwrap());
    // Another's address, another organisation, over: nothing is held.
    let past = LegalHold {
        until: Some(over.as_millis()),
        ..with_end
    };
    for released in [
        hold("contoso", "bob@example.org"),
        hold("fabrikam", "anna@example.org"),
        past,
    ] {
        place(&store, &released).await;
        assert!(
            store.kept(id, over).await.unwrap().is_none(),
            "{released:?}"
        );
    }
    assert_eq!(store.kept_count(None).await.unwrap().0, 1);
    store.drop_old_content(over).await;
    assert_eq!(store.kept_count(None).await.unwrap().0, 0);
}

#[test]
fn a_hold_covers_the_sender_whose_place_another_address_took() {
    let path = |address: &str| Mailbox::parse(address).unwrap();
    let facts = MessageFacts {
        replaced: Some(path("root@nas.local")),
        reverse_path: ReversePath::Mailbox(path("nas@contoso.test")),
        ..facts(QueueId::new(NOW, 0, 1), 0)
    };
    for (address, covers) in [
        ("ROOT@nas.local", true),
        ("nas@contoso.test", true),
        ("root@contoso.test", false),
    ] {
        let hold = hold("contoso", address);
        assert_eq!(hold.covers(&facts, &[]), covers, "{address}");
    }
}

#[tokio::test]
async fn content_under_a_hold_is_kept_beyond_the_bound_and_makes_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    with_bound(&store, 0, 1_000).await;
    place(&store, &hold("contoso", "anna@example.org")).await;
    let mut ids = Vec::new();
    for (seconds, octets) in [(1, 900), (2, 5_000), (3, 900)] {
        ids.push(send(&store, &vec![b'x'; octets], at(seconds)).await);
        store.drop_old_content(at(seconds)).await;
    }
    for id in &ids {
        assert!(store.kept(*id, at(4)).await.unwrap().is_some());
    }
    release(&store).await;
    store.drop_old_content(at(5)).await;
    assert_eq!(store.kept_count(None).await.unwrap(), (1, 900));
    assert!(store.kept(ids[2], at(5)).await.unwrap().is_some());
}

#[tokio::test]
async fn no_day_of_the_trace_goes_while_a_hold_stands_and_it_goes_after() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions {
        trace_days: 2,
        ..options(folder.path())
    };
    let store = Embedded::open(options).await.unwrap();
    store.index_complete().await.unwrap();
    let event = Event::new(NOW, EventKind::MessageAccepted);
    store.record(event);
    assert_eq!(rows(&store, "").await.len(), 1);
    place(&store, &hold("contoso", "anna@example.org")).await;
    let later = |hours: u64| at(10 * DAY + hours * 3_600);
    store.maintain(later(0), later(0)).await;
    assert_eq!(rows(&store, "").await.len(), 1, "a hold stands");
    release(&store).await;
    store.maintain(later(1), later(1)).await;
    assert_eq!(rows(&store, "").await.len(), 0, "none does");
    close(store).await;
}
