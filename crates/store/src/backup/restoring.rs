//! From a backup to a data folder that a server can start on.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use relais_smtp::time::Timestamp;
use rusqlite::Connection;

use super::manifest::Manifest;
use super::verifying::verify_with;
use super::{BackupError, LAYOUT, Layout, QUEUE_NAME, database, folders_of, parent_of};
use crate::embedded::settings_tables::{self, NewAuditEntry};
use crate::files;
use crate::secret::KEY_FILE_NAME;

/// Where the queue database waits until all else is there: a restore that was cut off leaves a
/// folder on which no server finds a queue.
const QUEUE_UNFINISHED: &str = "queue.db.restoring";

/// What was restored does not expire before a person can have looked at it, however old the backup
/// is. RFC 5321 §4.5.4.1 gives a message four to five days.
const TIME_LEFT_MIN: Duration = Duration::from_secs(5 * 86_400);

/// What becomes of the queue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RestoredQueue {
    /// Every recipient waits for a person: what was delivered after the backup is not sent twice.
    #[default]
    Held,
    /// Everything is tried again, at the price of duplicates.
    Released,
}

/// What was restored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restored {
    /// When the backup was made, RFC 3339.
    pub created_at: String,
    /// Messages of the queue.
    pub messages: u64,
    /// Their recipients.
    pub recipients: u64,
    /// How many of them are held now.
    pub held: u64,
    /// Version of the settings; 0: none.
    pub settings_version: u64,
    /// Days of trace.
    pub trace_days: u64,
    /// Secrets, by the master key that is needed for them and was not in the backup.
    pub secrets: BTreeMap<String, u64>,
}

impl Restored {
    /// What was done, in sentences for the person who asked.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "Restored the state of {}: settings version {}, {} messages with {} recipients, \
                 {} days of trace.",
            self.created_at, self.settings_version, self.messages, self.recipients, self.trace_days,
        )];
        if self.held > 0 {
            lines.push(format!(
                "{} recipients are held, because some may have been delivered after the backup. \
                 Look at them with \"relais queue list\", and let them go with \
                 \"relais queue release\".",
                self.held
            ));
        } else if self.recipients > 0 {
            lines.push(
                "The queue is tried again at the next start; what was delivered after the backup \
                 is sent twice."
                    .to_owned(),
            );
        }
        let keys = self.secrets.iter();
        lines.extend(keys.map(|(key, count)| secrets_line(key, *count)));
        lines
    }
}

/// What a restore of secrets needs, for whoever makes a backup and whoever restores it.
pub fn secrets_line(key: &str, count: u64) -> String {
    format!(
        "{count} secrets are in it encrypted; to read them, the data folder needs the {KEY_FILE_NAME} \
         with key {key}, which is not in the backup. Without it mail flows, and what needs a \
         secret waits."
    )
}

/// Checks a backup and copies it into `data_dir`, which must be absent or empty. The files belong
/// to the owner of that folder. `actor` is named in the audit, with the time `now`.
///
/// Errors before the first file is written leave the folder empty; a later one (disk full) leaves
/// files on which a server finds no queue: empty the folder and repeat.
pub fn restore(
    folder: &Path,
    data_dir: &Path,
    queue: RestoredQueue,
    actor: &str,
    now: Timestamp,
) -> Result<Restored, BackupError> {
    restore_with(&LAYOUT, folder, data_dir, queue, actor, now)
}

pub(super) fn restore_with(
    layout: &Layout,
    folder: &Path,
    data_dir: &Path,
    queue: RestoredQueue,
    actor: &str,
    now: Timestamp,
) -> Result<Restored, BackupError> {
    if !files::names(data_dir)?.is_empty() {
        return Err(BackupError::DataFolderNotEmpty(data_dir.to_owned()));
    }
    let manifest = verify_with(layout, folder)?;
    files::make_folder(data_dir)?;
    copy_files(folder, data_dir, &manifest)?;
    let unfinished = data_dir.join(QUEUE_UNFINISHED);
    let held = settle_queue(layout, &unfinished, queue, &manifest, actor, now)?;
    files::sync_file(&unfinished)?;
    files::sync_folder(data_dir)?;
    files::rename(&unfinished, &data_dir.join(QUEUE_NAME))?;
    files::sync_folder(data_dir)?;
    files::sync_folder(parent_of(data_dir))?;
    Ok(Restored {
        created_at: manifest.created_at,
        messages: manifest.messages,
        recipients: manifest.recipients,
        held,
        settings_version: manifest.settings_version,
        trace_days: manifest.trace_days,
        secrets: manifest.secrets,
    })
}

/// Copies everything but the manifest, to the owner of the folder, and syncs it.
fn copy_files(folder: &Path, data_dir: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let folders = folders_of(&manifest.files);
    for inner in &folders {
        files::make_folder(&data_dir.join(inner))?;
        files::give_to_owner_of(data_dir, &data_dir.join(inner))?;
    }
    for file in &manifest.files {
        let name = if file.path == QUEUE_NAME {
            QUEUE_UNFINISHED
        } else {
            &file.path
        };
        let target = data_dir.join(name);
        let copied = files::copy(&folder.join(&file.path), &target)?;
        if !file.is(&copied) {
            return Err(BackupError::Damaged(vec![format!(
                "{} changes while read",
                file.path
            )]));
        }
        files::give_to_owner_of(data_dir, &target)?;
    }
    for inner in &folders {
        files::sync_folder(&data_dir.join(inner))?;
    }
    Ok(())
}

/// Holds the queue, and writes into the audit that this is a restored state.
fn settle_queue(
    layout: &Layout,
    file: &Path,
    queue: RestoredQueue,
    manifest: &Manifest,
    actor: &str,
    now: Timestamp,
) -> Result<u64, BackupError> {
    let failed = database(QUEUE_NAME);
    let mut connection = Connection::open(file).map_err(&failed)?;
    // Synced once, with its name.
    connection
        .pragma_update(None, "synchronous", "OFF")
        .map_err(&failed)?;
    let transaction = connection.transaction().map_err(&failed)?;
    let because = format!(
        "restored from the backup of {}: may have been delivered since",
        manifest.created_at
    );
    let held_because = match queue {
        RestoredQueue::Held => Some(because.as_str()),
        RestoredQueue::Released => None,
    };
    let held = (layout.after_restore)(&transaction, held_because, now.after(TIME_LEFT_MIN))?;
    let detail = [
        format!(
            "backup of {}, version {}",
            manifest.created_at, manifest.version
        ),
        format!("{} recipients, {held} held", manifest.recipients),
    ];
    let entry = NewAuditEntry {
        time: now,
        actor,
        via: "command".into(),
        act: "backup.restored",
        detail: &detail,
        settings_version: None,
    };
    settings_tables::append_audit(&transaction, &entry)?;
    transaction.commit().map_err(&failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    Ok(held)
}
