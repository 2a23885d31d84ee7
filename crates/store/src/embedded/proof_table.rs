//! The table of domain proofs. Plain functions over a connection or transaction of whoever owns
//! the database. A row is the proof of one domain for one organisation; it goes with the domain.

use std::time::Duration;

use relais_policy::proof::{Proof, ProofKey, ProofToken, Proofs, Standing};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params, params};

use crate::error::StoreError;
use crate::proof::ProofChange;

use super::settings_tables::{NewAuditEntry, append_audit};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS domain_proof (
    organisation TEXT NOT NULL,
    domain TEXT NOT NULL,
    token TEXT NOT NULL,
    standing TEXT NOT NULL,         -- pending, verified, lapsing, suspended
    absent_for INTEGER NOT NULL,    -- grace used, in milliseconds
    since INTEGER NOT NULL,         -- times in milliseconds
    looked_at INTEGER,
    answered_at INTEGER,
    fruitless INTEGER NOT NULL,
    seen TEXT NOT NULL,
    PRIMARY KEY (organisation, domain)
) STRICT, WITHOUT ROWID;
";

/// Makes the table where it is absent.
pub(crate) fn create(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(SCHEMA).map_err(fault)
}

/// All proofs. A database that no server has opened since proofs exist has none.
pub(crate) fn load(connection: &Connection) -> Result<Proofs, StoreError> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'domain_proof'";
    let exists = connection
        .query_row(sql, [], |_| Ok(()))
        .optional()
        .map_err(fault)?;
    if exists.is_none() {
        return Ok(Proofs::default());
    }
    let sql = "SELECT organisation, domain, token, standing, absent_for, since, looked_at,
                      answered_at, fruitless, seen FROM domain_proof";
    let mut statement = connection.prepare(sql).map_err(fault)?;
    let rows = statement.query_map([], proof_of).map_err(fault)?;
    let rows = rows.collect::<Result<Vec<_>, _>>().map_err(fault)?;
    Ok(rows.into_iter().flatten().collect())
}

/// Stores a change with its audit entry, where it has one.
pub(crate) fn change(
    transaction: &Transaction<'_>,
    change: &ProofChange,
    note: Option<&(&'static str, Vec<String>)>,
) -> Result<(), StoreError> {
    put(transaction, &change.key, &change.after)?;
    let Some((act, lines)) = note else {
        return Ok(());
    };
    let entry = NewAuditEntry {
        time: change.time,
        actor: &change.actor,
        via: change.via,
        act,
        detail: lines,
        settings_version: None,
    };
    append_audit(transaction, &entry).map(|_| ())
}

fn put(transaction: &Transaction<'_>, key: &ProofKey, proof: &Proof) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO domain_proof (organisation, domain, token, standing,
                   absent_for, since, looked_at, answered_at, fruitless, seen)
               VALUES (:organisation, :domain, :token, :standing, :absent_for, :since, :looked_at,
                   :answered_at, :fruitless, :seen)";
    let absent_for = match proof.standing {
        Standing::Lapsing { absent_for } => absent_for,
        Standing::Pending | Standing::Verified | Standing::Suspended => Duration::ZERO,
    };
    let values = named_params! {
        ":organisation": &*key.organisation,
        ":domain": key.domain.as_str(),
        ":token": proof.token.as_str(),
        ":standing": proof.standing.name(),
        ":absent_for": i64::try_from(absent_for.as_millis()).unwrap_or(i64::MAX),
        ":since": proof.since.as_millis(),
        ":looked_at": proof.looked_at.map(Timestamp::as_millis),
        ":answered_at": proof.answered_at.map(Timestamp::as_millis),
        ":fruitless": proof.fruitless,
        ":seen": proof.seen,
    };
    transaction.execute(sql, values).map_err(fault)?;
    Ok(())
}

/// Removes the proofs of domains that are gone: who adds one again proves it anew.
pub(crate) fn forget<'a>(
    transaction: &Transaction<'_>,
    keys: impl Iterator<Item = &'a ProofKey>,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM domain_proof WHERE organisation = ?1 AND domain = ?2";
    for key in keys {
        transaction
            .execute(sql, params![&*key.organisation, key.domain.as_str()])
            .map_err(fault)?;
    }
    Ok(())
}

/// `None`: a row that another hand wrote and that nobody can read. Its domain is pending then.
fn proof_of(row: &Row<'_>) -> rusqlite::Result<Option<(ProofKey, Proof)>> {
    let (organisation, domain): (String, String) = (row.get(0)?, row.get(1)?);
    let (token, standing): (String, String) = (row.get(2)?, row.get(3)?);
    let absent_for = Duration::from_millis(row.get::<_, i64>(4)?.try_into().unwrap_or(0));
    let time = |at| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(at)?.map(Timestamp::from_millis))
    };
    let standing = match standing.as_str() {
        "pending" => Standing::Pending,
        "verified" => Standing::Verified,
        "lapsing" => Standing::Lapsing { absent_for },
        "suspended" => Standing::Suspended,
        _ => return Ok(None),
    };
    let Ok(domain) = Domain::parse(&domain) else {
        return Ok(None);
    };
    let proof = Proof {
        token: ProofToken::stored(&token),
        standing,
        since: time(5)?.unwrap_or_default(),
        looked_at: time(6)?,
        answered_at: time(7)?,
        fruitless: row.get(8)?,
        seen: row.get(9)?,
    };
    Ok(Some((ProofKey::new(&organisation, &domain), proof)))
}

fn fault(error: rusqlite::Error) -> StoreError {
    StoreError::Fault(format!("domain proofs: {error}"))
}
