//! Tables of restricted entities and of ignored groups of refused attempts, and what is done with
//! them. Plain functions over a connection or transaction of whoever owns the database, so that a
//! change, its audit entry and its events share one transaction.
//!
//! Not here: what a restriction means (`relais_policy::restriction`), and swapping the snapshot.

use relais_policy::restriction::{
    Effect, Entity, EntityKind, RESTRICTIONS_MAX, Restriction, Restrictions,
};
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::settings_tables::{self, LIST_ROWS_MAX, NewAuditEntry};
use crate::describe;
use crate::door::Via;
use crate::error::StoreError;
use crate::restriction::{EntityChange, IgnoredAttempts, ShownAgain};
use crate::trace::{Event, EventKind, Released};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS restriction (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    since INTEGER NOT NULL,     -- milliseconds
    until INTEGER,              -- milliseconds; NULL: until it is released
    effect TEXT NOT NULL DEFAULT 'refuse',
    evidence TEXT NOT NULL DEFAULT '',  -- one thing a line
    PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ignored_attempts (
    address TEXT NOT NULL,
    token TEXT NOT NULL,
    actor TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    PRIMARY KEY (address, token)
) STRICT, WITHOUT ROWID;
";

/// What tables of before lack.
const NEW_COLUMNS: &[(&str, &str)] = &[
    (
        "effect",
        "ALTER TABLE restriction ADD COLUMN effect TEXT NOT NULL DEFAULT 'refuse'",
    ),
    (
        "evidence",
        "ALTER TABLE restriction ADD COLUMN evidence TEXT NOT NULL DEFAULT ''",
    ),
];

/// In the order of `restriction_of`.
const SELECT: &str =
    "SELECT kind, value, reason, actor, since, until, effect, evidence FROM restriction";

/// The same of a table of before, read by who may not change it.
const SELECT_OLD: &str =
    "SELECT kind, value, reason, actor, since, until, 'refuse', '' FROM restriction";

/// Who releases what is over.
const THE_CLOCK: &str = "the clock";

/// Makes the tables where they are absent.
pub(crate) fn create(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(SCHEMA).map_err(fault)?;
    for (name, add) in NEW_COLUMNS {
        if !has_column(connection, name)? {
            connection.execute_batch(add).map_err(fault)?;
        }
    }
    Ok(())
}

fn has_column(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM pragma_table_info('restriction') WHERE name = ?1";
    let count: i64 = connection
        .query_row(sql, [name], |row| row.get(0))
        .map_err(fault)?;
    Ok(count > 0)
}

/// Everything that is restricted. A folder that an older Relais left, read without a server, has
/// no such table yet.
pub(crate) fn load(connection: &Connection) -> Result<Restrictions, StoreError> {
    if !is_there(connection, "restriction")? {
        return Ok(Restrictions::default());
    }
    let sql = if has_column(connection, "effect")? {
        SELECT
    } else {
        SELECT_OLD
    };
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let rows = statement.query_map([], restriction_of).map_err(fault)?;
    let restrictions: Vec<_> = rows.collect::<Result<_, _>>().map_err(fault)?;
    Ok(Restrictions::build(restrictions.into_iter().flatten()))
}

/// Makes the change with its audit entry; how many entities it concerned, and its events.
pub(crate) fn change(
    transaction: &Transaction<'_>,
    change: &EntityChange,
    via: Via,
) -> Result<(usize, Vec<Event>), StoreError> {
    match change {
        EntityChange::Restrict(restriction) => restrict(transaction, restriction, via),
        EntityChange::Release { entity, by, time } => {
            let Some(found) = find(transaction, entity)? else {
                return Ok((0, Vec::new()));
            };
            release(transaction, &found, (by, via), *time).map(|event| (1, vec![event]))
        }
        EntityChange::Replace { seen, restriction } => {
            match find(transaction, &restriction.entity)? == *seen {
                true => restrict(transaction, restriction, via),
                false => Ok((0, Vec::new())),
            }
        }
        EntityChange::ReleaseSeen { seen, by, time } => {
            match find(transaction, &seen.entity)?.as_ref() == Some(seen) {
                true => release(transaction, seen, (by, via), *time).map(|event| (1, vec![event])),
                false => Ok((0, Vec::new())),
            }
        }
        EntityChange::Expire { time } => {
            let mut events = Vec::new();
            for ended in load(transaction)?.iter().filter(|one| one.is_over(*time)) {
                events.push(release(transaction, ended, (THE_CLOCK, via), *time)?);
            }
            Ok((events.len(), events))
        }
    }
}

fn restrict(
    transaction: &Transaction<'_>,
    restriction: &Restriction,
    via: Via,
) -> Result<(usize, Vec<Event>), StoreError> {
    let Restriction {
        entity,
        effect,
        reason,
        evidence,
        by,
        since,
        until,
    } = restriction;
    let count = "SELECT count(*) FROM restriction";
    let count: usize = transaction
        .query_row(count, [], |row| row.get(0))
        .map_err(fault)?;
    if count >= RESTRICTIONS_MAX {
        return Err(StoreError::Fault(format!(
            "{RESTRICTIONS_MAX} entities are restricted already: release some"
        )));
    }
    let sql =
        "INSERT OR REPLACE INTO restriction (kind, value, reason, actor, since, until, effect,
               evidence) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let values = params![
        entity.kind().name(),
        entity.value(),
        reason,
        by,
        since.as_millis(),
        until.map(Timestamp::as_millis),
        effect.name(),
        evidence.join("\n"),
    ];
    transaction.execute(sql, values).map_err(fault)?;
    let mut detail = format!("{entity}: {reason}");
    if *effect == Effect::Hold {
        detail.push_str("; its mail is held");
    }
    for line in evidence {
        detail.push_str(&format!("; {line}"));
    }
    if let Some(until) = until {
        detail.push_str(&format!("; until {}", until.to_rfc3339()));
    }
    audit(
        transaction,
        ("entity.restricted", &detail),
        (by, via),
        *since,
    )?;
    let event = entity_event(*since, EventKind::EntityRestricted, entity, &detail, by);
    Ok((1, vec![event]))
}

fn release(
    transaction: &Transaction<'_>,
    restriction: &Restriction,
    (by, via): (&str, Via),
    time: Timestamp,
) -> Result<Event, StoreError> {
    let entity = &restriction.entity;
    let sql = "DELETE FROM restriction WHERE kind = ?1 AND value = ?2";
    transaction
        .execute(sql, [entity.kind().name(), entity.value()])
        .map_err(fault)?;
    let detail = format!("{entity}: was {}", restriction.reason);
    audit(transaction, ("entity.released", &detail), (by, via), time)?;
    let kind = EventKind::EntityReleased;
    let released = Released {
        entity: entity.clone(),
        by_person: by != THE_CLOCK,
    };
    Ok(Event {
        released: Some(released.into()),
        ..entity_event(time, kind, entity, &detail, by)
    })
}

fn entity_event(
    time: Timestamp,
    kind: EventKind,
    entity: &Entity,
    detail: &str,
    by: &str,
) -> Event {
    Event {
        organisation: entity.organisation().map(Into::into),
        inbound_connector: entity.inbound_connector().map(Into::into),
        detail: Some(format!("{detail}; {}", describe::by(by)).into()),
        ..Event::new(time, kind)
    }
}

fn find(connection: &Connection, entity: &Entity) -> Result<Option<Restriction>, StoreError> {
    let sql = format!("{SELECT} WHERE kind = ?1 AND value = ?2");
    let names = [entity.kind().name(), entity.value()];
    let found = connection.query_row(&sql, names, restriction_of);
    Ok(found.optional().map_err(fault)?.flatten())
}

/// `None` for what a newer Relais wrote and this one cannot read.
fn restriction_of(row: &Row<'_>) -> rusqlite::Result<Option<Restriction>> {
    let (kind, value): (String, String) = (row.get(0)?, row.get(1)?);
    let kind = EntityKind::from_name(&kind);
    let Some(entity) = kind.and_then(|kind| Entity::parse(kind, &value).ok()) else {
        return Ok(None);
    };
    let (effect, evidence): (String, String) = (row.get(6)?, row.get(7)?);
    Ok(Some(Restriction {
        entity,
        // What is not known is taken for the stricter one.
        effect: Effect::from_name(&effect).unwrap_or_default(),
        evidence: evidence.lines().map(str::to_owned).collect(),
        reason: row.get(2)?,
        by: row.get(3)?,
        since: Timestamp::from_millis(row.get(4)?),
        until: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
    }))
}

/// From now on this group is not listed.
pub(crate) fn ignore(
    transaction: &Transaction<'_>,
    ignored: &IgnoredAttempts,
    via: Via,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM ignored_attempts WHERE until <= ?1";
    let since = ignored.since.as_millis();
    transaction.execute(sql, [since]).map_err(fault)?;
    let sql = "INSERT OR REPLACE INTO ignored_attempts (address, token, actor, since, until)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let address = ignored.address.to_string();
    let until = ignored.until.map(Timestamp::as_millis);
    let values = params![address, ignored.token, ignored.by, since, until];
    transaction.execute(sql, values).map_err(fault)?;
    let detail = format!("{address} {}", ignored.token);
    let what = ("attempts.ignored", detail.as_str());
    audit(transaction, what, (&ignored.by, via), ignored.since)
}

/// From now on this group is listed again; `false`: it is anyway.
pub(crate) fn show_again(
    transaction: &Transaction<'_>,
    shown: &ShownAgain,
    via: Via,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM ignored_attempts WHERE address = ?1 AND token = ?2";
    let address = shown.address.to_string();
    let values = params![address, shown.token];
    if transaction.execute(sql, values).map_err(fault)? == 0 {
        return Ok(false);
    }
    let detail = format!("{address} {}", shown.token);
    let what = ("attempts.shown", detail.as_str());
    audit(transaction, what, (&shown.by, via), shown.time)?;
    Ok(true)
}

/// The groups that are not listed, at most [`LIST_ROWS_MAX`].
pub(crate) fn ignored(connection: &Connection) -> Result<Vec<IgnoredAttempts>, StoreError> {
    if !is_there(connection, "ignored_attempts")? {
        return Ok(Vec::new());
    }
    let sql = "SELECT address, token, actor, since, until FROM ignored_attempts LIMIT ?1";
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let rows = statement.query_map([LIST_ROWS_MAX], |row| {
        let address = row.get::<_, String>(0)?.parse().ok();
        let (token, by, since, until) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(address.map(|address| IgnoredAttempts {
            address,
            token,
            by,
            since: Timestamp::from_millis(since),
            until: Option::<i64>::map(until, Timestamp::from_millis),
        }))
    });
    let rows = rows.map_err(fault)?.collect::<Result<Vec<_>, _>>();
    Ok(rows.map_err(fault)?.into_iter().flatten().collect())
}

fn audit(
    transaction: &Transaction<'_>,
    (act, detail): (&str, &str),
    (actor, via): (&str, Via),
    time: Timestamp,
) -> Result<(), StoreError> {
    let entry = NewAuditEntry {
        time,
        actor,
        via,
        act,
        detail: &[detail.to_owned()],
        settings_version: None,
    };
    settings_tables::append_audit(transaction, &entry).map(|_| ())
}

fn is_there(connection: &Connection, table: &str) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
    let count: i64 = connection
        .query_row(sql, [table], |row| row.get(0))
        .map_err(fault)?;
    Ok(count > 0)
}

fn fault(error: rusqlite::Error) -> StoreError {
    StoreError::Fault(format!("restrictions: {error}"))
}
