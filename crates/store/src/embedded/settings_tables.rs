//! Tables of the settings' versions and of the audit, and what is done with them.
//!
//! Plain functions over a connection or transaction of whoever owns the database, so that a change
//! of settings, its audit entry and its event share one transaction.
//!
//! The audit is a chain: each entry's hash covers the entry and the hash before it, so nobody can
//! change, insert or remove an entry in the middle unseen. It cannot show that the *last* entries
//! were cut off, nor stop somebody who rewrites the whole chain: for that, note the last hash
//! elsewhere.
//!
//! Not here: checking a document (`relais_policy::settings`), and swapping the snapshot in force.

use relais_policy::document::Document;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params, params};
use sha2::{Digest, Sha256};

use crate::digits::hexadecimal;
use crate::door::Via;
use crate::error::StoreError;
use crate::settings::{AuditEntry, ChangeError, CredentialUse, SettingsChange, SettingsVersion};

/// Documents of this many last versions are kept, to look at and go back to; of older versions only
/// who, when and what. Ours: a document of a large directory has some MB.
pub(crate) const DOCUMENTS_KEPT: u64 = 100;

/// Most rows of one list.
pub(crate) const LIST_ROWS_MAX: usize = 10_000;

/// The hash "before" the first entry.
const CHAIN_START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Read in place of the column that is not there.
const NO_SOURCE: &str = "NULL";

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS settings_version (
    version INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    via TEXT NOT NULL,
    summary TEXT NOT NULL,
    document TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    via TEXT NOT NULL,
    act TEXT NOT NULL,
    detail TEXT NOT NULL,
    settings_version INTEGER,
    hash TEXT NOT NULL,
    source TEXT                 -- the client's address; NULL: none, or by an older Relais
) STRICT;
CREATE TABLE IF NOT EXISTS credential_use (
    user TEXT PRIMARY KEY,
    time INTEGER NOT NULL,
    address TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_never_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
";

/// An entry to be appended. `detail` has one line per object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewAuditEntry<'a> {
    pub(crate) time: Timestamp,
    pub(crate) actor: &'a str,
    pub(crate) via: Via,
    /// `settings.changed`, `queue.deleted`, `backup.restored` …
    pub(crate) act: &'a str,
    pub(crate) detail: &'a [String],
    pub(crate) settings_version: Option<u64>,
}

/// Makes the tables where they are absent.
pub(crate) fn create(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(SCHEMA).map_err(fault)?;
    if source_column(connection)? == NO_SOURCE {
        let sql = "ALTER TABLE audit ADD COLUMN source TEXT";
        connection.execute_batch(sql).map_err(fault)?;
    }
    Ok(())
}

/// Where the address of an entry is read from: an older Relais made the table without it.
fn source_column(connection: &Connection) -> Result<&'static str, StoreError> {
    let sql = "SELECT 1 FROM pragma_table_info('audit') WHERE name = 'source'";
    let there: Option<i64> = connection
        .query_row(sql, [], |row| row.get(0))
        .optional()
        .map_err(fault)?;
    Ok(there.map_or(NO_SOURCE, |_| "source"))
}

// ---- versions ----------------------------------------------------------------------------------

/// The number of the version in force; 0: nothing was ever applied.
pub(crate) fn current_version(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(version), 0) FROM settings_version";
    connection
        .query_row(sql, [], |row| row.get(0))
        .map_err(fault)
}

/// The version in force and its document; version 0 and the empty document where there is none.
pub(crate) fn load_latest(connection: &Connection) -> Result<(u64, Document), StoreError> {
    let version = current_version(connection)?;
    if version == 0 {
        return Ok((0, Document::default()));
    }
    let document = load(connection, version)?;
    document.map(|document| (version, document)).ok_or_else(|| {
        StoreError::Fault(format!(
            "the document of settings version {version} is missing"
        ))
    })
}

/// The document of one version; `None` if there is no such version or it is kept no longer.
pub(crate) fn load(connection: &Connection, version: u64) -> Result<Option<Document>, StoreError> {
    let sql = "SELECT document FROM settings_version WHERE version = ?1";
    let text: Option<Option<String>> = connection
        .query_row(sql, [version], |row| row.get(0))
        .optional()
        .map_err(fault)?;
    let Some(text) = text.flatten() else {
        return Ok(None);
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        StoreError::Fault(format!(
            "settings version {version} cannot be read: {error}"
        ))
    })
}

/// Stores a new version and its audit entry; the number of the version.
///
/// Errors: [`ChangeError::Conflict`] if `expected_version` is not the one in force; the
/// transaction has then changed nothing.
pub(crate) fn change(
    transaction: &Transaction<'_>,
    change: &SettingsChange,
) -> Result<u64, ChangeError> {
    let current = current_version(transaction)?;
    if change.expected_version != current {
        return Err(ChangeError::Conflict { current });
    }
    let version = current + 1;
    let document = serde_json::to_string(&change.document)
        .map_err(|error| StoreError::Fault(format!("the settings cannot be written: {error}")))?;
    let sql = "INSERT INTO settings_version (version, time, actor, via, summary, document)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let time = change.time.as_millis();
    let summary = lines_to_text(&change.summary);
    transaction
        .execute(
            sql,
            params![
                version,
                time,
                change.actor,
                change.via.door,
                summary,
                document
            ],
        )
        .map_err(fault)?;
    let sql = "UPDATE settings_version SET document = NULL
               WHERE version <= ?1 AND document IS NOT NULL";
    transaction
        .execute(sql, [version.saturating_sub(DOCUMENTS_KEPT)])
        .map_err(fault)?;
    let entry = NewAuditEntry {
        time: change.time,
        actor: &change.actor,
        via: change.via,
        act: "settings.changed",
        detail: &change.summary,
        settings_version: Some(version),
    };
    append_audit(transaction, &entry)?;
    Ok(version)
}

/// Versions, newest first, at most `limit` (bounded to [`LIST_ROWS_MAX`]).
pub(crate) fn versions(
    connection: &Connection,
    limit: usize,
) -> Result<Vec<SettingsVersion>, StoreError> {
    let sql = "SELECT version, time, actor, via, summary, document IS NOT NULL
               FROM settings_version ORDER BY version DESC LIMIT ?1";
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let rows = statement.query_map([limit.min(LIST_ROWS_MAX)], |row| {
        Ok(SettingsVersion {
            version: row.get(0)?,
            time: Timestamp::from_millis(row.get(1)?),
            actor: row.get(2)?,
            via: row.get(3)?,
            summary: text_to_lines(&row.get::<_, String>(4)?),
            document_kept: row.get(5)?,
        })
    });
    rows.and_then(Iterator::collect).map_err(fault)
}

// ---- credentials -------------------------------------------------------------------------------

/// Notes when credentials were used; what is older than what is known does not count. Users that
/// do not exist any more are forgotten.
pub(crate) fn note_uses(
    transaction: &Transaction<'_>,
    uses: &[CredentialUse],
    exists: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO credential_use (user, time, address) VALUES (?1, ?2, ?3)
               ON CONFLICT (user) DO UPDATE SET time = excluded.time, address = excluded.address
               WHERE excluded.time >= time";
    let mut statement = transaction.prepare_cached(sql).map_err(fault)?;
    for one in uses.iter().filter(|one| exists(&one.user)) {
        let (time, address) = (one.time.as_millis(), one.address.to_string());
        statement
            .execute(params![one.user, time, address])
            .map_err(fault)?;
    }
    drop(statement);
    for one in self::uses(transaction)? {
        if !exists(&one.user) {
            transaction
                .execute("DELETE FROM credential_use WHERE user = ?1", [&one.user])
                .map_err(fault)?;
        }
    }
    Ok(())
}

/// When each credential was last used; nothing where an older Relais made the tables.
pub(crate) fn uses(connection: &Connection) -> Result<Vec<CredentialUse>, StoreError> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE name = 'credential_use'";
    let there: Option<i64> = connection
        .query_row(sql, [], |row| row.get(0))
        .optional()
        .map_err(fault)?;
    if there.is_none() {
        return Ok(Vec::new());
    }
    let sql = "SELECT user, time, address FROM credential_use ORDER BY user";
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let rows = statement.query_map([], |row| {
        let address: String = row.get(2)?;
        Ok(CredentialUse {
            user: row.get(0)?,
            time: Timestamp::from_millis(row.get(1)?),
            address: address
                .parse()
                .unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into()),
        })
    });
    rows.and_then(Iterator::collect).map_err(fault)
}

// ---- audit -------------------------------------------------------------------------------------

/// Appends an entry; the entry with its number and hash.
pub(crate) fn append_audit(
    transaction: &Transaction<'_>,
    new: &NewAuditEntry<'_>,
) -> Result<AuditEntry, StoreError> {
    let sql = "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1";
    let last: Option<(u64, String)> = transaction
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(fault)?;
    let (number, before) = last.unwrap_or((0, CHAIN_START.to_owned()));
    let mut entry = AuditEntry {
        number: number + 1,
        time: new.time,
        actor: new.actor.to_owned(),
        via: new.via.door.to_owned(),
        from: new.via.from.map(|address| address.to_string()),
        act: new.act.to_owned(),
        detail: new.detail.to_vec(),
        settings_version: new.settings_version,
        hash: String::new(),
    };
    entry.hash = chained_hash(&before, &entry);
    let sql = "INSERT INTO audit (number, time, actor, via, act, detail, settings_version, hash,
                   source)
               VALUES (:number, :time, :actor, :via, :act, :detail, :settings_version, :hash,
                   :source)";
    let values = named_params! {
        ":number": entry.number,
        ":time": entry.time.as_millis(),
        ":actor": entry.actor,
        ":via": entry.via,
        ":act": entry.act,
        ":detail": lines_to_text(&entry.detail),
        ":settings_version": entry.settings_version,
        ":hash": entry.hash,
        ":source": entry.from,
    };
    transaction.execute(sql, values).map_err(fault)?;
    Ok(entry)
}

/// Entries, newest first, at most `limit` (bounded to [`LIST_ROWS_MAX`]).
pub(crate) fn audit(connection: &Connection, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
    let source = source_column(connection)?;
    let sql = format!(
        "SELECT number, time, actor, via, act, detail, settings_version, hash, {source}
         FROM audit ORDER BY number DESC LIMIT ?1"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
    let rows = statement.query_map([limit.min(LIST_ROWS_MAX)], entry_of);
    rows.and_then(Iterator::collect).map_err(fault)
}

/// Checks the chain from its start: the number of the first entry that does not fit, `None` if all
/// fit. An entry that is missing shows as the misfit of the one behind it.
pub(crate) fn verify_audit(connection: &Connection) -> Result<Option<u64>, StoreError> {
    let source = source_column(connection)?;
    let sql = format!(
        "SELECT number, time, actor, via, act, detail, settings_version, hash, {source}
         FROM audit ORDER BY number"
    );
    let mut statement = connection.prepare(&sql).map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    let mut before = CHAIN_START.to_owned();
    let mut expected = 1;
    while let Some(row) = rows.next().map_err(fault)? {
        let entry = entry_of(row).map_err(fault)?;
        if entry.number != expected || entry.hash != chained_hash(&before, &entry) {
            return Ok(Some(entry.number));
        }
        before = entry.hash;
        expected += 1;
    }
    Ok(None)
}

fn entry_of(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        number: row.get(0)?,
        time: Timestamp::from_millis(row.get(1)?),
        actor: row.get(2)?,
        via: row.get(3)?,
        act: row.get(4)?,
        detail: text_to_lines(&row.get::<_, String>(5)?),
        settings_version: row.get(6)?,
        hash: row.get(7)?,
        from: row.get(8)?,
    })
}

/// SHA-256 in lower-case hexadecimal over the hash before (64 letters) and the JSON array
/// `[number, time in ms, actor, via, act, [detail …], settings_version or null]` without spaces,
/// with the client's address at its end where the entry has one: anybody can check it with other
/// tools. Entries of an older Relais have none, and keep the hash that they have.
fn chained_hash(before: &str, entry: &AuditEntry) -> String {
    let mut covered = serde_json::json!([
        entry.number,
        entry.time.as_millis(),
        entry.actor,
        entry.via,
        entry.act,
        entry.detail,
        entry.settings_version,
    ]);
    if let (Some(from), Some(fields)) = (&entry.from, covered.as_array_mut()) {
        fields.push(from.as_str().into());
    }
    let digest = Sha256::new()
        .chain_update(before)
        .chain_update(covered.to_string())
        .finalize();
    hexadecimal(&digest)
}

/// A JSON array: a line may hold anything.
fn lines_to_text(lines: &[String]) -> String {
    serde_json::Value::from(lines).to_string()
}

fn text_to_lines(text: &str) -> Vec<String> {
    // What another hand wrote there is shown as it is; the chain of hashes tells of it.
    serde_json::from_str(text).unwrap_or_else(|_| vec![text.to_owned()])
}

fn fault(error: rusqlite::Error) -> StoreError {
    StoreError::Fault(format!("settings: {error}"))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_123);

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        create(&connection).unwrap();
        create(&connection).unwrap();
        connection
    }

    fn document(name: &str) -> Document {
        serde_json::from_value(serde_json::json!({ "organisation": [{ "name": name }] })).unwrap()
    }

    fn apply(
        connection: &mut Connection,
        expected_version: u64,
        name: &str,
    ) -> Result<u64, ChangeError> {
        let transaction = connection.transaction().unwrap();
        let made = change(
            &transaction,
            &SettingsChange {
                expected_version,
                document: document(name),
                actor: "root".to_owned(),
                via: "socket".into(),
                summary: vec![format!("organisation {name}: added"), "a\nb\"".to_owned()],
                time: NOW,
            },
        );
        transaction.commit().unwrap();
        made
    }

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 9));

    fn append(connection: &mut Connection, act: &str) -> AuditEntry {
        append_from(connection, act, None)
    }

    fn append_from(connection: &mut Connection, act: &str, from: Option<IpAddr>) -> AuditEntry {
        let transaction = connection.transaction().unwrap();
        let new = NewAuditEntry {
            time: NOW,
            actor: "anna",
            via: Via::from("web").coming_from(from),
            act,
            detail: &["é".to_owned()],
            settings_version: None,
        };
        let entry = append_audit(&transaction, &new).unwrap();
        transaction.commit().unwrap();
        entry
    }

    #[test]
    fn without_a_version_the_document_is_empty() {
        let connection = database();
        assert_eq!(load_latest(&connection), Ok((0, Document::default())));
        assert_eq!(load(&connection, 1), Ok(None));
        assert_eq!(versions(&connection, 10), Ok(Vec::new()));
        assert_eq!(audit(&connection, 10), Ok(Vec::new()));
        assert_eq!(verify_audit(&connection), Ok(None));
    }

    #[test]
    fn a_change_from_an_old_version_is_a_conflict_and_leaves_no_trace() {
        let mut connection = database();
        assert_eq!(apply(&mut connection, 0, "contoso"), Ok(1));
        assert_eq!(
            apply(&mut connection, 0, "fabrikam"),
            Err(ChangeError::Conflict { current: 1 })
        );
        assert_eq!(
            apply(&mut connection, 7, "fabrikam"),
            Err(ChangeError::Conflict { current: 1 })
        );
        assert_eq!(load_latest(&connection), Ok((1, document("contoso"))));
        assert_eq!(audit(&connection, 10).unwrap().len(), 1);
        assert_eq!(apply(&mut connection, 1, "fabrikam"), Ok(2));
        assert_eq!(load_latest(&connection), Ok((2, document("fabrikam"))));
        assert_eq!(load(&connection, 1), Ok(Some(document("contoso"))));
    }

    #[test]
    fn a_change_is_listed_and_audited_with_who_and_what() {
        let mut connection = database();
        apply(&mut connection, 0, "contoso").unwrap();
        apply(&mut connection, 1, "fabrikam").unwrap();
        let listed = versions(&connection, 1).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(
            (listed[0].version, &*listed[0].actor, &*listed[0].via),
            (2, "root", "socket")
        );
        assert_eq!(
            listed[0].summary,
            ["organisation fabrikam: added", "a\nb\""]
        );
        let entries = audit(&connection, 10).unwrap();
        assert_eq!(entries.iter().map(|e| e.number).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(entries[0].act, "settings.changed");
        assert_eq!(entries[0].settings_version, Some(2));
        assert_eq!(entries[0].detail, listed[0].summary);
    }

    #[test]
    fn documents_of_the_last_hundred_versions_are_kept_and_every_version_is_listed() {
        let mut connection = database();
        for version in 0..DOCUMENTS_KEPT + 5 {
            apply(&mut connection, version, &format!("o{version}")).unwrap();
        }
        let listed = versions(&connection, usize::MAX).unwrap();
        assert_eq!(listed.len() as u64, DOCUMENTS_KEPT + 5);
        let kept: Vec<_> = listed
            .iter()
            .filter(|v| v.document_kept)
            .map(|v| v.version)
            .collect();
        assert_eq!(kept.len() as u64, DOCUMENTS_KEPT);
        assert_eq!(kept.last(), Some(&6));
        assert_eq!(load(&connection, 5), Ok(None));
        assert_eq!(load_latest(&connection), Ok((105, document("o104"))));
    }

    #[test]
    fn the_chain_is_the_documented_hash() {
        let mut connection = database();
        let first = append(&mut connection, "queue.deleted");
        let covered = r#"[1,1795514400123,"anna","web","queue.deleted",["é"],null]"#;
        let expected = Sha256::digest(format!("{CHAIN_START}{covered}"));
        assert_eq!(first.hash, hexadecimal(&expected));
        let second = append_from(&mut connection, "queue.held", Some(CLIENT));
        let covered = r#"[2,1795514400123,"anna","web","queue.held",["é"],null,"10.1.2.9"]"#;
        let expected = Sha256::digest(format!("{}{covered}", first.hash));
        assert_eq!(second.hash, hexadecimal(&expected));
    }

    /// As an older Relais made it, with two entries.
    fn old_database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        let old = SCHEMA.replace(
            "hash TEXT NOT NULL,\n    source TEXT                 -- the client's address; NULL: none, \
             or by an older Relais\n",
            "hash TEXT NOT NULL\n",
        );
        connection.execute_batch(&old).unwrap();
        assert_eq!(source_column(&connection), Ok(NO_SOURCE));
        let mut before = CHAIN_START.to_owned();
        for number in 1..=2 {
            let covered = format!(r#"[{number},1795514400123,"anna","web","a.b",["é"],null]"#);
            let hash = hexadecimal(&Sha256::digest(format!("{before}{covered}")));
            let sql = r#"INSERT INTO audit VALUES (?1, 1795514400123, 'anna', 'web', 'a.b',
                         '["é"]', NULL, ?2)"#;
            connection.execute(sql, params![number, hash]).unwrap();
            before = hash;
        }
        connection
    }

    #[test]
    fn a_chain_that_an_older_relais_began_goes_on_with_addresses() {
        let mut connection = old_database();
        // Read as it is by a program that does not own it.
        assert_eq!(verify_audit(&connection), Ok(None));
        assert_eq!(audit(&connection, 10).unwrap().len(), 2);
        create(&connection).unwrap();
        assert_eq!(verify_audit(&connection), Ok(None));
        append_from(&mut connection, "c.d", Some(CLIENT));
        append(&mut connection, "e.f");
        assert_eq!(verify_audit(&connection), Ok(None));
        let entries = audit(&connection, 10).unwrap();
        let from: Vec<_> = entries
            .iter()
            .rev()
            .map(|one| one.from.as_deref())
            .collect();
        assert_eq!(from, [None, None, Some("10.1.2.9"), None]);
        let triggers = "DROP TRIGGER audit_is_never_changed;
                        DROP TRIGGER audit_is_never_shortened;";
        connection.execute_batch(triggers).unwrap();
        for (sql, misfit) in [
            ("UPDATE audit SET source = '10.9.9.9' WHERE number = 2", 2),
            ("UPDATE audit SET source = '10.9.9.9' WHERE number = 3", 3),
            ("UPDATE audit SET source = NULL WHERE number = 3", 3),
            ("UPDATE audit SET source = '' WHERE number = 4", 4),
        ] {
            let transaction = connection.transaction().unwrap();
            transaction.execute(sql, []).unwrap();
            assert_eq!(verify_audit(&transaction), Ok(Some(misfit)), "{sql}");
        }
    }

    #[test]
    fn whatever_is_changed_in_the_audit_is_found() {
        let changes = [
            ("UPDATE audit SET actor = 'bob' WHERE number = 3", Some(3)),
            ("UPDATE audit SET time = time + 1 WHERE number = 1", Some(1)),
            (
                "UPDATE audit SET detail = '[\"e\"]' WHERE number = 2",
                Some(2),
            ),
            (
                "UPDATE audit SET settings_version = 9 WHERE number = 5",
                Some(5),
            ),
            (
                "UPDATE audit SET hash = upper(hash) WHERE number = 4",
                Some(4),
            ),
            ("DELETE FROM audit WHERE number = 2", Some(3)),
            ("DELETE FROM audit WHERE number = 1", Some(2)),
            ("UPDATE audit SET number = 9 WHERE number = 5", Some(9)),
            ("UPDATE audit SET actor = actor", None),
        ];
        for (sql, misfit) in changes {
            let mut connection = database();
            for number in 1..=5 {
                append(&mut connection, &format!("act.{number}"));
            }
            assert_eq!(verify_audit(&connection), Ok(None));
            assert!(
                connection.execute(sql, []).is_err(),
                "the tables let it through: {sql}"
            );
            let triggers = "DROP TRIGGER audit_is_never_changed;
                            DROP TRIGGER audit_is_never_shortened;";
            connection.execute_batch(triggers).unwrap();
            connection.execute(sql, []).unwrap();
            assert_eq!(verify_audit(&connection), Ok(misfit), "{sql}");
        }
    }

    #[test]
    fn a_document_that_cannot_be_read_is_a_fault_that_names_its_version() {
        let mut connection = database();
        apply(&mut connection, 0, "contoso").unwrap();
        connection
            .execute("UPDATE settings_version SET document = '{\"x\":1}'", [])
            .unwrap();
        let error = load_latest(&connection).unwrap_err().to_string();
        assert!(
            error.contains("settings version 1 cannot be read"),
            "{error}"
        );
    }
}
