//! What only this store has: files, a schema, a disk that fills or lies, an outbox, readers beside
//! it. What all stores promise is tested by `tests/contract`.

mod kept;
mod erasing;
mod legal_holds;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use relais_policy::settings::Mode;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::envelope::{EnvelopeRecipient, SenderParameters};
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, params};

use super::schema::DATABASE_FILE;
use super::{Embedded, QUESTIONS_MAX, group, record, schema};
use crate::checksum::Checksum;
use crate::error::{CommitError, SettleError, StoreError};
use crate::index::SlotState;
use crate::options::OpenOptions;
use crate::queue::{
    Content, Criteria, Leased, MessageFacts, NewMessage, NewRecipient, QueueAct, QueueKey,
    RecipientChange, RecipientStateName, Settlement,
};
use crate::suspension::{Suspension, SuspensionScope};
use crate::trace::{Event, EventKind, TraceQuery, delta};

const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

fn at(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn options(folder: &Path) -> OpenOptions {
    OpenOptions {
        folder: folder.to_path_buf(),
        mode: Mode::Lan,
        disk_reserve: 0,
        trace_days: 36_500,
        observer: Arc::new(|_, _| {}),
        now: NOW,
    }
}

/// Opens, and waits until everything is known.
async fn open(folder: &Path) -> Embedded {
    let store = Embedded::open(options(folder)).await.unwrap();
    store.index_complete().await.unwrap();
    store
}

async fn close(store: Embedded) {
    store.close(Duration::from_secs(10)).await;
}

fn key(destination: &str) -> QueueKey {
    QueueKey::new("contoso", destination)
}

fn facts(queue_id: QueueId, size: u64) -> MessageFacts {
    MessageFacts {
        queue_id,
        organisation: "contoso".into(),
        inbound_connector: None,
        client: None,
        reverse_path: ReversePath::Null,
        replaced: None,
        parameters: SenderParameters::default(),
        accepted_at: NOW,
        size,
        eight_bit: false,
        utf8_header: false,
        header_from: None,
        subject: None,
        message_id: None,
        body_hash: None,
        is_notice: false,
    }
}

async fn commit(store: &Embedded, to: &str, content: &[u8]) -> Result<QueueId, CommitError> {
    let message = message(store.next_queue_id(NOW), to, content);
    store.commit(message).await.map(|proof| proof.queue_id())
}

fn message(queue_id: QueueId, to: &str, content: &[u8]) -> NewMessage {
    let mailbox = Mailbox::parse(to).unwrap();
    NewMessage {
        facts: facts(queue_id, content.len() as u64),
        recipients: vec![NewRecipient {
            key: key(&mailbox.host().to_string()),
            recipient: EnvelopeRecipient::new(mailbox),
            due: NOW,
            expires_at: at(86_400),
            is_restricted: false,
            held: false,
        }],
        content: Content::Inline(content.into()),
        events: vec![Event {
            queue_id: Some(queue_id),
            ..Event::new(NOW, EventKind::MessageAccepted)
        }],
    }
}

async fn lease(store: &Embedded, destination: &str, now: Timestamp) -> Vec<Leased> {
    let until = now.after(Duration::from_secs(60));
    store
        .lease(&key(destination), 100, 100, now, until)
        .await
        .unwrap()
}

fn done(leased: &Leased) -> Settlement {
    Settlement {
        lease: leased.lease.clone(),
        changes: leased
            .recipients
            .iter()
            .map(|r| (r.number, RecipientChange::Done))
            .collect(),
        events: Vec::new(),
        notices: Vec::new(),
    }
}

async fn rows(store: &Embedded, text: &str) -> Vec<String> {
    let rows = store
        .trace_page(&TraceQuery::parse(text).unwrap())
        .await
        .unwrap()
        .rows;
    rows.into_iter().map(|row| row.json).collect()
}

fn change_database(folder: &Path, sql: &str) {
    let connection = Connection::open(folder.join(DATABASE_FILE)).unwrap();
    assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
}

#[tokio::test]
async fn questions_that_take_long_leave_threads_to_the_mail() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()).await);
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let asked: Vec<_> = (0..=QUESTIONS_MAX)
        .map(|_| {
            let (store, started, gate) = (store.clone(), started.clone(), gate.clone());
            tokio::spawn(async move {
                let question = move |_: &Path| {
                    started.send(()).unwrap();
                    let open = gate.0.lock().unwrap();
                    drop(gate.1.wait_while(open, |open| !*open).unwrap());
                };
                store.beside(question).await.unwrap();
            })
        })
        .collect();
    for _ in 0..QUESTIONS_MAX {
        starts.recv().await.unwrap();
    }
    // Mail goes on meanwhile, and no further question has begun.
    commit(&store, "anna@example.org", &[b'x'; 100_000])
        .await
        .unwrap();
    assert!(starts.try_recv().is_err());
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for one in asked {
        one.await.unwrap();
    }
    starts.recv().await.unwrap();
}

#[tokio::test]
async fn a_data_folder_that_is_open_is_not_opened_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let second = Embedded::open(options(folder.path())).await.map(|_| ());
    assert!(matches!(&second, Err(StoreError::Fault(text)) if text.contains("another Relais")));
    close(store).await;
    close(open(folder.path()).await).await;
}

#[tokio::test]
async fn a_database_of_a_newer_relais_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    close(open(folder.path()).await).await;
    let connection = Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
    connection
        .pragma_update(None, "user_version", schema::SCHEMA_VERSION + 1)
        .unwrap();
    drop(connection);
    let before = std::fs::read(folder.path().join(DATABASE_FILE)).unwrap();
    let refused = Embedded::open(options(folder.path())).await.map(|_| ());
    assert!(matches!(&refused, Err(StoreError::Fault(text)) if text.contains("newer Relais")));
    let refused = Embedded::open_for_reading(folder.path().to_path_buf(), Mode::Lan).await;
    assert!(refused.is_err());
    assert_eq!(
        std::fs::read(folder.path().join(DATABASE_FILE)).unwrap(),
        before
    );
}

#[tokio::test]
async fn on_a_full_disk_messages_are_refused_and_settlements_pass() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    commit(&store, "a@example.org", &[b'x'; 60_000])
        .await
        .unwrap();
    let leased = lease(&store, "example.org", NOW).await.remove(0);
    store
        .exclusively(|writer| writer.limit_pages(1))
        .await
        .unwrap();
    let settlement = done(&leased);
    let (refused, settled) = tokio::join!(
        commit(&store, "b@example.org", &[b'y'; 60_000]),
        store.settle(settlement)
    );
    assert_eq!(refused, Err(CommitError::NoRoom));
    settled.unwrap();
    assert_eq!(store.may_commit(), Err(CommitError::NoRoom));
    store
        .exclusively(|writer| writer.limit_pages(1_000_000))
        .await
        .unwrap();
    store.maintain(at(1), at(1)).await;
    assert_eq!(store.may_commit(), Ok(()));
    commit(&store, "c@example.org", b"small").await.unwrap();
    close(store).await;
    let store = open(folder.path()).await;
    let left: Vec<_> = lease(&store, "example.org", NOW).await;
    assert_eq!(left.len(), 1);
    assert_eq!(
        left[0].recipients[0].recipient.forward_path.to_string(),
        "c@example.org"
    );
}

#[tokio::test]
async fn what_failed_and_was_written_all_the_same_is_made_to_agree_with_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    commit(&store, "a@example.org", b"first").await.unwrap();
    let leased = lease(&store, "example.org", NOW).await.remove(0);
    let notice_id = store.next_queue_id(NOW);
    let delivered = || Settlement {
        events: vec![Event::new(NOW, EventKind::RecipientFailed)],
        notices: vec![message(notice_id, "scan@contoso.test", b"notice")],
        ..done(&leased)
    };
    // The writer is kept busy until both wait for it: one group.
    let (go, wait) = std::sync::mpsc::channel();
    let busy = store.exclusively(move |writer| {
        writer.fail_after_commit();
        wait.recv()
    });
    let (_, refused, settled, _) = tokio::join!(
        busy,
        commit(&store, "b@example.org", b"second"),
        store.settle(delivered()),
        async { go.send(()) }
    );
    assert!(
        matches!(refused, Err(CommitError::Sealed { .. })),
        "{refused:?}"
    );
    assert!(
        matches!(settled, Err(SettleError::Store(StoreError::Sealed { .. }))),
        "{settled:?}"
    );
    store.maintain(at(1), at(1)).await;
    assert_eq!(store.may_commit(), Ok(()));
    let again = store.settle(delivered()).await;
    assert!(
        matches!(again, Err(SettleError::LeaseLost { .. })),
        "it is settled: {again:?}"
    );
    agrees(&store, notice_id).await;
    close(store).await;
    agrees(&open(folder.path()).await, notice_id).await;
}

/// The notice is queued, the message settled, the refused one unknown; the trace says the same.
async fn agrees(store: &Embedded, notice_id: QueueId) {
    let listed = store.list(&Criteria::default(), None, 10).await.unwrap();
    assert_eq!(
        listed
            .messages
            .iter()
            .map(|m| m.queue_id)
            .collect::<Vec<_>>(),
        [notice_id]
    );
    assert_eq!(rows(store, "event:recipient.failed").await.len(), 1);
    assert_eq!(
        rows(store, "event:message.accepted").await.len(),
        2,
        "first and notice"
    );
    assert_eq!(lease(store, "contoso.test", NOW).await.len(), 1);
    assert!(lease(store, "example.org", at(1_000)).await.is_empty());
}

/// Commits three messages, damages the second, opens again: the other two are delivered.
async fn with_damage(sql: &str) -> (tempfile::TempDir, Embedded, QueueId) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    commit(&store, "a@example.org", b"first").await.unwrap();
    let damaged = commit(&store, "b@example.org", b"second").await.unwrap();
    commit(&store, "c@example.org", b"third").await.unwrap();
    commit(&store, "d@example.net", b"fourth").await.unwrap();
    close(store).await;
    change_database(
        folder.path(),
        &sql.replace("DAMAGED", &damaged.as_i64().to_string()),
    );
    let store = open(folder.path()).await;
    let leased = lease(&store, "example.org", NOW).await;
    let to: Vec<_> = leased
        .iter()
        .map(|l| l.recipients[0].recipient.forward_path.to_string())
        .collect();
    assert_eq!(to, ["a@example.org", "c@example.org"]);
    assert_eq!(lease(&store, "example.net", NOW).await.len(), 1);
    let held = Criteria {
        state: Some(RecipientStateName::Held),
        ..Criteria::default()
    };
    let released = store
        .act(QueueAct::Delete, &Criteria::default(), "anna".into(), NOW)
        .await
        .unwrap();
    assert_eq!(released.changed, 1, "a person can get rid of it");
    assert!(
        store
            .list(&held, None, 10)
            .await
            .unwrap()
            .messages
            .is_empty()
    );
    (folder, store, damaged)
}

#[tokio::test]
async fn a_page_whose_messages_left_meanwhile_is_not_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let gone = commit(&store, "a@example.org", b"first").await.unwrap();
    let left = commit(&store, "b@example.org", b"second").await.unwrap();
    // Between the look into the index and the look into the database.
    let gone = gone.as_i64();
    change_database(
        folder.path(),
        &format!("DELETE FROM message WHERE id = {gone}"),
    );
    let all = Criteria::default();
    let first = store.list(&all, None, 1).await.unwrap();
    assert_eq!(first.messages, []);
    let second = store.list(&all, first.next, 1).await.unwrap();
    assert_eq!((second.messages[0].queue_id, second.next), (left, None));
}

#[tokio::test]
async fn a_damaged_envelope_is_held_and_told_and_the_others_go_on() {
    let sql = "UPDATE message SET envelope = CAST(substr(envelope, 1, 20) || x'aa'
               || substr(envelope, 22) AS BLOB) WHERE id = DAMAGED";
    let (_folder, store, damaged) = with_damage(sql).await;
    let told = rows(&store, "event:recipient.held").await;
    assert!(
        told[0].contains(&damaged.to_string()) && told[0].contains("damaged"),
        "{told:?}"
    );
}

#[tokio::test]
async fn damaged_content_is_held_and_told_and_the_others_go_on() {
    let (_folder, store, _) =
        with_damage("UPDATE message SET content = x'736563316e64' WHERE id = DAMAGED").await;
    let told = rows(&store, "event:recipient.held").await;
    assert!(told[0].contains("b@example.org"), "{told:?}");
    assert!(
        told[0].contains("content is missing or damaged"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_damaged_row_is_never_sent_to_somebody_elses_server() {
    // As if the queue's number had flipped: to example.net.
    let sql =
        "UPDATE recipient SET queue = (SELECT id FROM queue WHERE destination = 'example.net')
               WHERE message = DAMAGED";
    let (_folder, store, _) = with_damage(sql).await;
    let told = rows(&store, "event:recipient.held").await;
    assert!(told[0].contains("b@example.org"), "{told:?}");
}

#[tokio::test]
async fn a_damaged_row_that_a_person_releases_goes_where_its_address_says() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    commit(&store, "b@example.org", b"second").await.unwrap();
    close(store).await;
    change_database(
        folder.path(),
        "UPDATE recipient SET queue = 77, due = due + 1",
    );
    let store = open(folder.path()).await;
    assert_eq!(store.counts().held, 1);
    assert!(lease(&store, "example.org", at(100_000)).await.is_empty());
    assert!(
        store
            .lease_expired(10, at(100_000), at(100_060))
            .await
            .unwrap()
            .is_empty()
    );
    store
        .act(QueueAct::Release, &Criteria::default(), "anna".into(), NOW)
        .await
        .unwrap();
    close(store).await;
    let store = open(folder.path()).await;
    assert_eq!(store.counts().held, 0, "the row is sound again");
    let leased = lease(&store, "example.org", NOW).await;
    assert_eq!(
        leased[0].recipients[0].recipient.forward_path.to_string(),
        "b@example.org"
    );
}

/// What a kill leaves: the files as they are this moment, without the lock.
fn snapshot(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in [DATABASE_FILE, "queue.db-wal"] {
        std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

#[tokio::test]
async fn events_that_the_trace_did_not_get_before_a_crash_are_written_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for _ in 0..5 {
        commit(&store, "a@example.org", b"x").await.unwrap();
    }
    // The trace's folder is not copied: as if nothing of it had reached the disk.
    let copy = snapshot(folder.path());
    let heard = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = heard.clone();
    let observer = Arc::new(move |_: &Event, _: &str| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    for round in 0..2 {
        let again = OpenOptions {
            observer: observer.clone(),
            ..options(copy.path())
        };
        let again = Embedded::open(again).await.unwrap();
        assert_eq!(
            rows(&again, "event:message.accepted").await.len(),
            5,
            "round {round}"
        );
        // Dropped, not closed: the outbox is as full as before at the next start.
        drop(again);
        let heard = heard.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(heard, 5, "told once, in round {round}");
        wait_for_lock(copy.path()).await;
    }
}

#[tokio::test]
async fn an_event_of_the_outbox_is_stored_though_the_one_that_it_is_told_by_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let queue_id = Some(store.next_queue_id(NOW));
    close(store).await;
    let events = [EventKind::DeliveryAttempted, EventKind::RecipientDelivered].map(|kind| Event {
        queue_id,
        ..Event::new(NOW, kind)
    });
    let lines = delta::lines_of(events.iter());
    assert_eq!(lines.lines().filter_map(delta::back_of).count(), 1);
    // As damage, or a version to come, would have it.
    let lines = lines.replace("delivery.attempted", "delivery.dreamt_of");
    let connection = Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
    let transaction = connection.unchecked_transaction().unwrap();
    group::insert_outbox(&transaction, 1, &lines).unwrap();
    transaction.commit().unwrap();
    let store = open(folder.path()).await;
    assert_eq!(
        rows(&store, "event:recipient.delivered").await,
        [events[1].to_json()]
    );
    close(store).await;
}

/// A store that was dropped ends in its own time.
async fn wait_for_lock(folder: &Path) {
    loop {
        let lock = crate::disk::Disk::lock(&crate::disk::RealDisk, &folder.join("lock"));
        if lock.is_ok() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn positions_of_the_trace_grow_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let store = open(folder.path()).await;
        commit(&store, "a@example.org", b"x").await.unwrap();
        store.record(Event::new(NOW, EventKind::AlertRaised));
        let rows = store.trace_page(&TraceQuery::default()).await.unwrap().rows;
        assert!(rows[1].position > last, "{} after {last}", rows[1].position);
        last = rows[0].position;
        close(store).await;
    }
}

#[tokio::test]
async fn a_reader_sees_everything_beside_a_running_store_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let id = commit(&store, "a@example.org", b"x").await.unwrap();
    let scope = SuspensionScope::destination("example.net");
    let suspension = Suspension::new(scope.clone(), "anna", NOW);
    store.suspend(suspension.clone()).await.unwrap();
    assert_eq!(rows(&store, "").await.len(), 1);
    for running in [true, false] {
        let reader = Embedded::open_for_reading(folder.path().to_path_buf(), Mode::Lan);
        let reader = reader.await.unwrap();
        let listed = reader.list(&Criteria::default(), None, 10).await.unwrap();
        let listed = listed.messages.iter().map(|m| m.queue_id);
        assert_eq!(listed.collect::<Vec<_>>(), [id]);
        assert_eq!(reader.counts().queued, 1);
        assert_eq!(
            reader.suspended().await.unwrap(),
            std::slice::from_ref(&suspension)
        );
        assert_eq!(rows(&reader, "").await.len(), 1);
        assert_eq!(reader.audit(10).await.unwrap().len(), 1);
        assert_eq!(
            commit(&reader, "b@example.org", b"y").await,
            Err(CommitError::Closed)
        );
        assert!(lease(&reader, "example.org", NOW).await.is_empty());
        assert!(reader.resume(&scope, "anna".into(), NOW).await.is_err());
        if running {
            commit(&store, "c@example.org", b"z").await.unwrap();
            assert_eq!(rows(&store, "").await.len(), 2);
            assert_eq!(
                rows(&reader, "").await.len(),
                2,
                "a reader sees what is written later"
            );
            let leased = lease(&store, "example.org", NOW).await;
            let later = leased
                .iter()
                .find(|leased| leased.lease.queue_id != id)
                .unwrap();
            store.settle(done(later)).await.unwrap();
            store.close(Duration::from_secs(10)).await;
            std::fs::remove_dir_all(folder.path().join("trace")).unwrap();
            let again = open(folder.path()).await;
            again.record(Event::new(NOW, EventKind::AlertRaised));
            close(again).await;
        }
    }
}

#[tokio::test]
async fn a_long_queue_is_found_whole_though_it_is_read_in_pieces() {
    const MESSAGES: i64 = 6_500;
    const RECIPIENTS: u32 = 7;
    let folder = tempfile::tempdir().unwrap();
    close(open(folder.path()).await).await;
    let mut connection = schema::open_writer(folder.path()).unwrap();
    let transaction = connection.transaction().unwrap();
    let queue = key("example.org");
    let sum = group::key_checksum(&queue);
    let sql = "INSERT INTO queue VALUES (1, 'contoso', 'example.org', ?1, '')";
    transaction.execute(sql, [sum]).unwrap();
    let recipient = EnvelopeRecipient::new(Mailbox::parse("a@example.org").unwrap());
    let recipients = vec![recipient; RECIPIENTS as usize];
    for id in 1..=MESSAGES {
        let facts = facts(QueueId::from_i64(id).unwrap(), 1);
        let envelope = record::encode(&facts, recipients.iter(), 1, Checksum::of(b"x"));
        let sql = "INSERT INTO message (id, envelope, content) VALUES (?1, ?2, x'78')";
        transaction
            .prepare_cached(sql)
            .unwrap()
            .execute(params![id, envelope])
            .unwrap();
        for number in 0..RECIPIENTS {
            let state = SlotState::fresh(NOW, at(86_400));
            let sum = group::row_checksum(id, number, 1, state);
            let sql = "INSERT INTO recipient VALUES (?1, ?2, 1, ?3, ?4, 0, 0, ?5, NULL)";
            let values = params![id, number, state.due, state.expires, sum];
            transaction
                .prepare_cached(sql)
                .unwrap()
                .execute(values)
                .unwrap();
        }
    }
    transaction.commit().unwrap();
    drop(connection);
    let store = Embedded::open(options(folder.path())).await.unwrap();
    // New mail does not wait for the old.
    commit(&store, "b@example.net", b"new").await.unwrap();
    assert_eq!(lease(&store, "example.net", NOW).await.len(), 1);
    store.index_complete().await.unwrap();
    assert_eq!(
        store.counts().queued,
        MESSAGES as u64 * u64::from(RECIPIENTS) + 1
    );
    assert_eq!(store.counts().held, 0);
    let leased = lease(&store, "example.org", NOW).await;
    assert!(
        leased
            .iter()
            .all(|leased| leased.recipients.len() == RECIPIENTS as usize)
    );
    close(store).await;
}

#[tokio::test]
async fn a_queue_that_nobody_needs_any_more_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    commit(&store, "a@gone.example", b"x").await.unwrap();
    commit(&store, "a@stays.example", b"x").await.unwrap();
    let leased = lease(&store, "gone.example", NOW).await.remove(0);
    store.settle(done(&leased)).await.unwrap();
    store.maintain(at(3_601), at(3_601)).await;
    commit(&store, "b@gone.example", b"x").await.unwrap();
    close(store).await;
    let store = open(folder.path()).await;
    assert_eq!(lease(&store, "gone.example", NOW).await.len(), 1);
    assert_eq!(lease(&store, "stays.example", NOW).await.len(), 1);
    assert_eq!(store.counts().held, 0);
    close(store).await;
    let connection = Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
    let sql = "SELECT group_concat(destination) FROM (SELECT destination FROM queue ORDER BY id)";
    let names: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(names, "stays.example,gone.example");
}
