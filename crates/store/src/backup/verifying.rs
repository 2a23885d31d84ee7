//! Whether a backup holds what it says: files against the manifest, databases against themselves,
//! rows against spool files, the audit against its chain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::manifest::{FORMAT, MANIFEST_NAME, MANIFEST_OCTETS_MAX, Manifest};
use super::{BackupError, LAYOUT, Layout, QUEUE_NAME, TRACE_FOLDER, counts, schema_version, shown};
use crate::embedded::settings_tables;
use crate::embedded::trace_database::immutable_uri;
use crate::files::{self, FileError};

/// Faults that are told; a broken disk has thousands.
const FAULTS_TOLD_MAX: usize = 20;

/// Depth of folders in a backup: `spool/ab/name`.
const DEPTH_MAX: usize = 4;

/// What a whole backup holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// By which version of Relais.
    pub version: String,
    /// Messages of the queue.
    pub messages: u64,
    /// Their recipients.
    pub recipients: u64,
    /// Queue ids without content: it was missing in the store already.
    pub without_content: Vec<String>,
    /// Version of the settings; 0: none.
    pub settings_version: u64,
    /// Days of trace.
    pub trace_days: u64,
    /// Secrets, by the master key that is needed for them and is not in the backup.
    pub secrets: BTreeMap<String, u64>,
    /// Files, all checked.
    pub files: u64,
    /// Octets of all files.
    pub octets: u64,
}

/// Checks a backup and changes nothing. Reads every octet of it.
///
/// Errors: [`BackupError::NotABackup`] without a readable manifest, [`BackupError::Damaged`] with
/// every fault found (at most 20).
pub fn verify(folder: &Path) -> Result<Verified, BackupError> {
    verify_with(&LAYOUT, folder).map(|manifest| Verified {
        messages: manifest.messages,
        recipients: manifest.recipients,
        settings_version: manifest.settings_version,
        trace_days: manifest.trace_days,
        secrets: manifest.secrets,
        files: manifest.files.len() as u64,
        octets: manifest.files.iter().map(|file| file.size).sum(),
        created_at: manifest.created_at,
        version: manifest.version,
        without_content: manifest.without_content,
    })
}

pub(super) fn verify_with(layout: &Layout, folder: &Path) -> Result<Manifest, BackupError> {
    let manifest = read_manifest(layout, folder)?;
    let mut faults = Vec::new();
    check_files(folder, &manifest, &mut faults)?;
    if faults.is_empty() {
        // Only what is as it was written is worth opening.
        let checked = check_queue(layout, folder, &manifest, &mut faults);
        faults.extend(checked.err().map(|error| format!("{QUEUE_NAME}: {error}")));
        for file in manifest
            .files
            .iter()
            .filter(|file| file.path.starts_with(TRACE_FOLDER))
        {
            if let Err(because) = open(&folder.join(&file.path)).and_then(|c| integrity(&c)) {
                faults.push(format!("{}: {because}", file.path));
            }
        }
    }
    if faults.is_empty() {
        return Ok(manifest);
    }
    let untold = faults.len().saturating_sub(FAULTS_TOLD_MAX);
    faults.truncate(FAULTS_TOLD_MAX);
    if untold > 0 {
        faults.push(format!("and {untold} more"));
    }
    Err(BackupError::Damaged(faults))
}

fn read_manifest(layout: &Layout, folder: &Path) -> Result<Manifest, BackupError> {
    let no_backup = |because: String| BackupError::NotABackup {
        folder: folder.to_owned(),
        because,
    };
    let content = files::read(&folder.join(MANIFEST_NAME), MANIFEST_OCTETS_MAX)
        .map_err(|error| no_backup(error.to_string()))?;
    let manifest: Manifest = serde_json::from_slice(&content)
        .map_err(|error| no_backup(format!("{MANIFEST_NAME}: {error}")))?;
    if manifest.format > FORMAT || manifest.schema_version > layout.schema_version {
        return Err(no_backup(format!(
            "it was made by a newer version, {}",
            manifest.version
        )));
    }
    if !manifest.files.iter().all(|file| file.stays_inside()) {
        return Err(no_backup(format!(
            "{MANIFEST_NAME} names a file outside the folder"
        )));
    }
    if !manifest.files.iter().any(|file| file.path == QUEUE_NAME) {
        return Err(no_backup(format!("{MANIFEST_NAME} names no {QUEUE_NAME}")));
    }
    Ok(manifest)
}

fn check_files(
    folder: &Path,
    manifest: &Manifest,
    faults: &mut Vec<String>,
) -> Result<(), FileError> {
    let mut expected = BTreeSet::from([MANIFEST_NAME.to_owned()]);
    for file in &manifest.files {
        if !expected.insert(file.path.clone()) {
            faults.push(format!("{} is listed twice", file.path));
        }
        match files::fingerprint(&folder.join(&file.path)) {
            Err(error) if error.is_absent() => faults.push(format!("{} is missing", file.path)),
            Err(error) => faults.push(error.to_string()),
            Ok(found) if found.size != file.size => faults.push(format!(
                "{} has {} octets instead of {}",
                file.path, found.size, file.size
            )),
            Ok(found) if !file.is(&found) => {
                faults.push(format!("{} is not what was written", file.path));
            }
            Ok(_) => {}
        }
    }
    let mut found = Vec::new();
    walk(folder, "", DEPTH_MAX, &mut found)?;
    let unlisted = found.into_iter().filter(|path| !expected.contains(path));
    faults.extend(unlisted.map(|path| format!("{path} does not belong to the backup")));
    Ok(())
}

/// Files below a folder, as the manifest writes them.
fn walk(
    folder: &Path,
    within: &str,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<(), FileError> {
    for name in files::names(&folder.join(within))? {
        let path = if within.is_empty() {
            name
        } else {
            format!("{within}/{name}")
        };
        if depth > 1 && files::is_folder(&folder.join(&path)) {
            walk(folder, &path, depth - 1, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn check_queue(
    layout: &Layout,
    folder: &Path,
    manifest: &Manifest,
    faults: &mut Vec<String>,
) -> Result<(), String> {
    let told = |error: rusqlite::Error| error.to_string();
    let connection = open(&folder.join(QUEUE_NAME))?;
    integrity(&connection)?;
    let mut check = |is_so: bool, otherwise: &str| {
        if !is_so {
            faults.push(format!("{QUEUE_NAME}: {otherwise}"));
        }
    };
    let schema = schema_version(&connection).map_err(told)?;
    check(
        schema == manifest.schema_version,
        "its schema is not that of the manifest",
    );
    let counted = counts(layout, &connection).map_err(told)?;
    let said = (manifest.messages, manifest.recipients);
    check(
        counted == said,
        "it holds other numbers than the manifest says",
    );
    let (version, _document) =
        settings_tables::load_latest(&connection).map_err(|error| error.to_string())?;
    check(
        version == manifest.settings_version,
        "its settings are not those of the manifest",
    );
    let broken = settings_tables::verify_audit(&connection).map_err(|error| error.to_string())?;
    if let Some(number) = broken {
        check(
            false,
            &format!("the audit does not fit together from entry {number} on"),
        );
    }
    let listed: BTreeSet<_> = manifest
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    let mut named = BTreeSet::new();
    for (id, path) in super::spooled(layout, &connection).map_err(told)? {
        let known_absent = manifest.without_content.contains(&shown(id));
        check(
            listed.contains(path.as_str()) || known_absent,
            &format!("the content of {} is missing", shown(id)),
        );
        named.insert(path);
    }
    for path in listed {
        let is_content = path != QUEUE_NAME && !path.starts_with(TRACE_FOLDER);
        check(
            !is_content || named.contains(path),
            &format!("{path} belongs to no message"),
        );
    }
    Ok(())
}

/// Opens a database that nobody changes, without leaving anything beside it.
fn open(file: &Path) -> Result<Connection, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(immutable_uri(file), flags).map_err(|error| error.to_string())
}

fn integrity(connection: &Connection) -> Result<(), String> {
    let answer: Result<String, _> =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
    match answer {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(fault) => Err(fault),
        Err(error) => Err(error.to_string()),
    }
}
