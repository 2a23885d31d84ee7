//! Backups of a small store: whole or not at all, checked to the octet, restored on hold.

use std::fs;
use std::path::PathBuf;

use rusqlite::params;
use tempfile::TempDir;

use super::restoring::restore_with;
use super::verifying::verify_with;
use super::*;
use crate::embedded::settings_tables::NewAuditEntry;
use crate::embedded::trace_database::TraceRecord;
use crate::trace::{Event, EventKind, TraceQuery};

const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_123);
const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

/// As the real one, with rows that are easy to look at.
const TEST: Layout = Layout {
    schema_version: 1,
    spooled: LAYOUT.spooled,
    exists: LAYOUT.exists,
    drop_message: LAYOUT.drop_message,
    counts: LAYOUT.counts,
    after_restore: |transaction, held_because, expires_min| {
        let sql = "UPDATE recipient SET held = ?1, expires = max(expires, ?2)";
        let changed = transaction
            .execute(sql, params![held_because, expires_min.as_millis()])
            .map_err(|error| StoreError::Fault(error.to_string()))?;
        Ok(if held_because.is_some() {
            changed as u64
        } else {
            0
        })
    },
};

struct World {
    folder: TempDir,
    queue: Connection,
}

impl World {
    /// Three messages, the second and third with spool files; two days of trace; an audit entry.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("spool/ab")).unwrap();
        let mut queue = Connection::open(data.join("queue.db")).unwrap();
        queue
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE message (id INTEGER PRIMARY KEY, spool TEXT);
                 CREATE TABLE recipient (message INTEGER, expires INTEGER, held TEXT);
                 PRAGMA user_version = 1;",
            )
            .unwrap();
        settings_tables::create(&queue).unwrap();
        let transaction = queue.transaction().unwrap();
        let entry = NewAuditEntry {
            time: NOW,
            actor: "root",
            via: "socket".into(),
            act: "queue.held",
            detail: &[],
            settings_version: None,
        };
        settings_tables::append_audit(&transaction, &entry).unwrap();
        transaction.commit().unwrap();
        let world = Self { folder, queue };
        world.add_message(1, None);
        world.add_message(2, Some("0002ab"));
        world.add_message(3, Some("0003ab"));
        let mut writer = TraceDatabases::new(world.data().join("trace"))
            .writer()
            .unwrap();
        for (position, days) in [(1, 1), (2, 0)] {
            let event = Event::new(NOW.before(24 * days * HOUR), EventKind::AlertRaised);
            let json = event.to_json();
            writer
                .append(&[TraceRecord {
                    position,
                    line: &json,
                    event: &event,
                }])
                .unwrap();
        }
        world
    }

    fn add_message(&self, id: i64, spool: Option<&str>) {
        self.queue
            .execute("INSERT INTO message VALUES (?1, ?2)", params![id, spool])
            .unwrap();
        for _ in 0..2 {
            let sql = "INSERT INTO recipient VALUES (?1, ?2, NULL)";
            self.queue
                .execute(sql, params![id, NOW.after(HOUR).as_millis()])
                .unwrap();
        }
        if let Some(name) = spool {
            fs::write(self.spool(name), format!("content of {id}")).unwrap();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn spool(&self, name: &str) -> PathBuf {
        self.data().join("spool/ab").join(name)
    }

    fn backup(&self) -> PathBuf {
        self.folder.path().join("backup")
    }

    fn create(&self) -> Created {
        create_with(&TEST, &self.data(), &self.backup(), NOW).unwrap()
    }

    fn verify(&self) -> Result<(), BackupError> {
        verify_with(&TEST, &self.backup()).map(|_| ())
    }

    fn restore(&self, queue: RestoredQueue, now: Timestamp) -> Result<Restored, BackupError> {
        restore_with(
            &TEST,
            &self.backup(),
            &self.folder.path().join("new"),
            queue,
            "root",
            now,
        )
    }

    fn restored(&self) -> Connection {
        Connection::open(self.folder.path().join("new/queue.db")).unwrap()
    }

    /// Every file below a folder with its content.
    fn everything(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                found.extend(Self::everything(&entry.path()));
            } else {
                found.push((entry.path(), fs::read(entry.path()).unwrap()));
            }
        }
        found.sort();
        found
    }
}

fn faults(result: Result<(), BackupError>) -> String {
    match result {
        Err(BackupError::Damaged(faults)) => faults.join("\n"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_backup_holds_queue_content_and_trace_and_verifies() {
    let world = World::new();
    let created = world.create();
    assert_eq!(
        (created.messages, created.recipients, created.trace_days),
        (3, 6, 2)
    );
    assert_eq!(
        (created.delivered_meanwhile, created.settings_version),
        (0, 0)
    );
    assert!(created.without_content.is_empty() && created.trace_damaged.is_empty());
    assert_eq!(world.verify(), Ok(()));
    let names: Vec<_> = World::everything(&world.backup())
        .iter()
        .map(|(path, _)| {
            path.strip_prefix(world.backup())
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    assert_eq!(
        names,
        [
            "manifest.json",
            "queue.db",
            "spool/ab/0002ab",
            "spool/ab/0003ab",
            "trace/2026-11-23.db",
            "trace/2026-11-24.db",
        ]
    );
    assert_eq!(
        fs::read(world.backup().join("spool/ab/0003ab")).unwrap(),
        b"content of 3"
    );
}

#[test]
fn what_was_taken_out_of_the_store_stands_in_no_page_of_a_backup() {
    let world = World::new();
    let queue = Connection::open(world.data().join("queue.db")).unwrap();
    queue.pragma_update(None, "secure_delete", false).unwrap();
    let long = "a secret for paula ".repeat(2_000);
    queue
        .execute_batch("CREATE TABLE gone (text TEXT)")
        .unwrap();
    queue
        .execute("INSERT INTO gone VALUES (?1)", [long])
        .unwrap();
    queue.execute_batch("DROP TABLE gone").unwrap();
    queue.close().unwrap();
    let has_it = |folder: &Path| {
        let files = World::everything(folder);
        let is_in = |octets: &[u8]| octets.windows(8).any(|part| part == b"a secret");
        files.iter().any(|(_, octets)| is_in(octets))
    };
    assert!(has_it(&world.data()));
    world.create();
    assert!(!has_it(&world.backup()));
    assert_eq!(world.verify(), Ok(()));
}

#[test]
fn only_the_owner_may_read_a_backup() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::new();
    world.create();
    let mode = |path: &str| {
        fs::metadata(world.backup().join(path))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("") & 0o777, 0o700);
    for file in ["manifest.json", "queue.db", "trace/2026-11-24.db"] {
        assert_eq!(mode(file) & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_backup_never_overwrites_and_leaves_nothing_when_it_fails() {
    let world = World::new();
    world.create();
    let before = World::everything(&world.backup());
    let again = create_with(&TEST, &world.data(), &world.backup(), NOW);
    assert_eq!(again, Err(BackupError::TargetExists(world.backup())));
    assert_eq!(World::everything(&world.backup()), before);
    let elsewhere = world.folder.path().join("other");
    let nothing = world.folder.path().join("no such folder");
    let failed = create_with(&TEST, &nothing, &elsewhere, NOW);
    assert!(
        matches!(failed, Err(BackupError::Database { .. })),
        "{failed:?}"
    );
    assert_eq!(
        files::names(world.folder.path()).unwrap(),
        ["backup", "data"]
    );
}

#[test]
fn a_message_delivered_while_copying_is_dropped_and_one_whose_content_is_lost_is_told() {
    let world = World::new();
    // The order of the store: the row goes, then the file. The copy still has the row.
    let source = open_source(&world.data().join(QUEUE_NAME)).unwrap();
    let folder = world.folder.path().join("partial");
    fs::create_dir(&folder).unwrap();
    let copy = copy_database(&source, &folder.join(QUEUE_NAME)).unwrap();
    world
        .queue
        .execute("DELETE FROM message WHERE id = 2", [])
        .unwrap();
    fs::remove_file(world.spool("0002ab")).unwrap();
    fs::remove_file(world.spool("0003ab")).unwrap();
    let mut listed = Vec::new();
    let spooled = copy_spool(&TEST, &world.data(), &folder, &source, &copy, &mut listed).unwrap();
    assert_eq!(spooled.delivered_meanwhile, 1);
    assert_eq!(spooled.without_content, [shown(3)]);
    assert_eq!(listed, []);
    assert_eq!(counts(&TEST, &copy), Ok((2, 4)));
    // A backup of a store that has lost content is still one.
    let created = world.create();
    assert_eq!(created.without_content, [shown(3)]);
    assert_eq!(world.verify(), Ok(()));
}

#[test]
fn a_backup_made_under_load_is_consistent() {
    let world = World::new();
    let data = world.data();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = Connection::open(data.join(QUEUE_NAME)).unwrap();
            writer
                .busy_timeout(std::time::Duration::from_secs(5))
                .unwrap();
            let mut id = 1_000;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // A message comes with its file and two recipients, the one before goes.
                fs::write(data.join(format!("spool/ab/{id}ab")), id.to_string()).unwrap();
                let transaction = writer.transaction().unwrap();
                let sql = "INSERT INTO message VALUES (?1, ?1 || 'ab')";
                transaction.execute(sql, [id]).unwrap();
                for _ in 0..2 {
                    let sql = "INSERT INTO recipient VALUES (?1, 0, NULL)";
                    transaction.execute(sql, [id]).unwrap();
                }
                for sql in TEST.drop_message {
                    transaction.execute(sql, [id - 3]).unwrap();
                }
                transaction.commit().unwrap();
                let _ = fs::remove_file(data.join(format!("spool/ab/{}ab", id - 3)));
                id += 1;
            }
        });
        for number in 0..20 {
            let target = world.folder.path().join(format!("backup-{number}"));
            let created = create_with(&TEST, &data, &target, NOW).unwrap();
            assert_eq!(created.recipients, created.messages * 2);
            verify_with(&TEST, &target).unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn every_change_to_a_backup_is_found() {
    type Change = fn(&Path);
    let cases: [(&str, Change, &str); 8] = [
        (
            "content changed",
            |folder| fs::write(folder.join("spool/ab/0002ab"), "content of 9").unwrap(),
            "spool/ab/0002ab is not what was written",
        ),
        (
            "content cut",
            |folder| fs::write(folder.join("spool/ab/0002ab"), "con").unwrap(),
            "spool/ab/0002ab has 3 octets instead of 12",
        ),
        (
            "content gone",
            |folder| fs::remove_file(folder.join("spool/ab/0002ab")).unwrap(),
            "spool/ab/0002ab is missing",
        ),
        (
            "a file added",
            |folder| fs::write(folder.join("spool/ab/0009ab"), "x").unwrap(),
            "spool/ab/0009ab does not belong to the backup",
        ),
        (
            "a log added",
            |folder| fs::write(folder.join("queue.db-wal"), "x").unwrap(),
            "queue.db-wal does not belong to the backup",
        ),
        (
            "one octet of the queue",
            |folder| {
                let mut content = fs::read(folder.join("queue.db")).unwrap();
                let last = content.len() - 1;
                content[last] ^= 1;
                fs::write(folder.join("queue.db"), content).unwrap();
            },
            "queue.db is not what was written",
        ),
        (
            "a day of trace gone",
            |folder| fs::remove_file(folder.join("trace/2026-11-23.db")).unwrap(),
            "trace/2026-11-23.db is missing",
        ),
        (
            "all of it",
            |folder| fs::remove_file(folder.join("queue.db")).unwrap(),
            "queue.db is missing",
        ),
    ];
    for (name, change, expected) in cases {
        let world = World::new();
        world.create();
        change(&world.backup());
        let found = faults(world.verify());
        assert_eq!(found, expected, "{name}");
        let refused = world.restore(RestoredQueue::Held, NOW);
        assert!(
            matches!(refused, Err(BackupError::Damaged(_))),
            "{name}: {refused:?}"
        );
        assert!(!world.folder.path().join("new").exists(), "{name}");
    }
}

/// Changes the queue database of a backup and lists it anew, as a clever hand would.
fn forge(folder: &Path, sql: &str) {
    let connection = Connection::open(folder.join(QUEUE_NAME)).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    let file = folder.join(MANIFEST_NAME);
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    for listed in &mut manifest.files {
        *listed = list(folder, &listed.path).unwrap();
    }
    fs::write(file, manifest.to_json()).unwrap();
}

#[test]
fn rows_files_and_audit_must_fit_together() {
    let cases = [
        (
            "UPDATE message SET spool = '0008ab' WHERE id = 2",
            &[
                "queue.db: the content of 0000000000002 is missing",
                "queue.db: spool/ab/0002ab belongs to no message",
            ][..],
        ),
        (
            "DELETE FROM recipient WHERE message = 1",
            &["queue.db: it holds other numbers"],
        ),
        (
            "DROP TRIGGER audit_is_never_changed; UPDATE audit SET actor = 'bob'",
            &["queue.db: the audit does not fit together from entry 1 on"],
        ),
        (
            "PRAGMA user_version = 0",
            &["queue.db: its schema is not that of the manifest"],
        ),
        ("DROP TABLE message", &["queue.db: no such table: message"]),
    ];
    for (sql, expected) in cases {
        let world = World::new();
        world.create();
        forge(&world.backup(), sql);
        let found = faults(world.verify());
        for expected in expected {
            assert!(found.contains(expected), "{sql}: {found}");
        }
    }
}

#[test]
fn what_is_no_backup_or_a_newer_one_is_refused_with_the_reason() {
    let world = World::new();
    let refusal = |world: &World| match world.verify() {
        Err(error @ BackupError::NotABackup { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(refusal(&world).contains("manifest.json"));
    world.create();
    let file = world.backup().join(MANIFEST_NAME);
    let whole = fs::read_to_string(&file).unwrap();
    let cases = [
        (
            whole.replace("\"format\": 1", "\"format\": 2"),
            "a newer version",
        ),
        (
            whole.replace("\"schema_version\": 1", "\"schema_version\": 9"),
            "a newer version",
        ),
        (
            whole.replace("spool/ab/0002ab", "../../etc/passwd"),
            "outside the folder",
        ),
        (
            whole.replace("spool/ab/0002ab", "/etc/passwd"),
            "outside the folder",
        ),
        (
            whole.replace("\"queue.db\"", "\"other.db\""),
            "names no queue.db",
        ),
        ("{".to_owned(), "manifest.json"),
        ("null".to_owned(), "manifest.json"),
    ];
    for (content, expected) in cases {
        assert_ne!(content, whole);
        fs::write(&file, content).unwrap();
        let because = refusal(&world);
        assert!(because.contains(expected), "{expected}: {because}");
    }
}

#[test]
fn a_restored_queue_is_held_has_time_left_and_says_so() {
    let world = World::new();
    world.create();
    let later = NOW.after(72 * HOUR);
    let restored = world.restore(RestoredQueue::default(), later).unwrap();
    assert_eq!(
        (restored.messages, restored.recipients, restored.held),
        (3, 6, 6)
    );
    assert_eq!(restored.trace_days, 2);
    let lines = restored.lines().join("\n");
    assert!(
        lines.contains("state of 2026-11-24T10:00:00.123Z"),
        "{lines}"
    );
    assert!(
        lines.contains("6 recipients are held") && lines.contains("queue release"),
        "{lines}"
    );
    let queue = world.restored();
    let sql = "SELECT count(*) FROM recipient WHERE held LIKE 'restored from the backup of %'
               AND expires >= ?1";
    let held: i64 = queue
        .query_row(sql, [later.after(5 * 24 * HOUR).as_millis()], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(held, 6);
    let audit = settings_tables::audit(&queue, 10).unwrap();
    assert_eq!(audit[0].act, "backup.restored");
    assert_eq!(settings_tables::verify_audit(&queue), Ok(None));
    let new = world.folder.path().join("new");
    assert_eq!(files::names(&new).unwrap(), ["queue.db", "spool", "trace"]);
    assert_eq!(
        fs::read(new.join("spool/ab/0002ab")).unwrap(),
        b"content of 2"
    );
    let trace = TraceDatabases::new(new.join("trace"));
    assert_eq!(trace.search(&TraceQuery::default()).unwrap().rows.len(), 2);
    // The backup itself is as it was, and restored content is a file of its own.
    assert_eq!(world.verify(), Ok(()));
    fs::write(new.join("spool/ab/0002ab"), "changed").unwrap();
    assert_eq!(world.verify(), Ok(()));
}

#[test]
fn a_queue_restored_for_release_is_not_held_and_warns_of_duplicates() {
    let world = World::new();
    world.create();
    let restored = world.restore(RestoredQueue::Released, NOW).unwrap();
    assert_eq!(restored.held, 0);
    assert!(restored.lines().join("\n").contains("sent twice"));
    let sql = "SELECT count(*) FROM recipient WHERE held IS NULL";
    assert_eq!(
        world
            .restored()
            .query_row(sql, [], |row| row.get::<_, i64>(0)),
        Ok(6)
    );
}

#[test]
fn a_folder_with_anything_in_it_is_not_restored_into() {
    let world = World::new();
    world.create();
    let new = world.folder.path().join("new");
    fs::create_dir(&new).unwrap();
    fs::write(new.join("lock"), "").unwrap();
    let refused = world.restore(RestoredQueue::Held, NOW);
    assert_eq!(refused, Err(BackupError::DataFolderNotEmpty(new.clone())));
    fs::remove_file(new.join("lock")).unwrap();
    assert!(world.restore(RestoredQueue::Held, NOW).is_ok());
    assert_eq!(
        world.restore(RestoredQueue::Held, NOW),
        Err(BackupError::DataFolderNotEmpty(new))
    );
}

#[test]
fn a_damaged_day_of_trace_does_not_stop_a_backup() {
    let world = World::new();
    fs::write(world.data().join("trace/2026-11-23.db"), [0xff; 9_000]).unwrap();
    let created = world.create();
    assert_eq!(created.trace_days, 1);
    assert_eq!(created.trace_damaged.len(), 1);
    assert_eq!(created.trace_damaged[0].0, "2026-11-23");
    assert_eq!(world.verify(), Ok(()));
}
