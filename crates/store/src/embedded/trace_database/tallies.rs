//! The numbers of charts and reports at rest, in each day's database: written in the transaction of
//! the events that they count, so that no event counts twice and none is forgotten.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, btree_map};
use std::sync::Arc;

use relais_smtp::time::Timestamp;
use rusqlite::{Connection, Row, Rows, Transaction, params};

use super::{TraceDatabaseError, TraceDatabases, TraceWriter, day_of, fault};
use crate::trace::STATUS_WORDS;
use crate::trace::tally::{
    DEVICES_MAX, Device, DeviceKey, Measure, QueueSample, TALLY_NAMES_MAX, TALLY_OTHERS, Tallies,
    Tally, TallyKey, TallyQuery,
};

/// Numbers of one answer, all days together: ours.
const ROWS_MAX: usize = 200_000;

/// Added to the number of a measure: its sums over the whole day, once that is over.
const OF_DAY: i64 = 100;

/// Milliseconds of a day.
const DAY: i64 = super::DAY_MILLIS;

/// Beside the tables of the first version, as `sketches::TABLES`. A day's device is the sum of what
/// was seen of it that day.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS tally (
    measure INTEGER NOT NULL,
    step INTEGER NOT NULL,
    organisation TEXT NOT NULL,
    name TEXT NOT NULL,
    outcome TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (measure, step, organisation, name, outcome)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS device (
    address TEXT NOT NULL,
    organisation TEXT NOT NULL,
    connector TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    helo TEXT,
    credential TEXT,
    certificate TEXT,
    sender TEXT,
    tls TEXT,
    PRIMARY KEY (address, organisation, connector)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queue_sample (
    time INTEGER PRIMARY KEY,
    queued INTEGER NOT NULL,
    deferred INTEGER NOT NULL,
    held INTEGER NOT NULL,
    oldest_s INTEGER NOT NULL
) STRICT;
";

/// Adds what a batch counted.
pub(super) fn store(transaction: &Transaction<'_>, tallies: &mut Tallies) -> rusqlite::Result<()> {
    // A day that was over was not.
    let sums = "DELETE FROM tally WHERE measure > ?1";
    transaction.prepare_cached(sums)?.execute([OF_DAY])?;
    store_counts(transaction, tallies.counts())?;
    store_devices(transaction, tallies.devices())
}

/// Adds up a day that is over, so that a month is thirty sums of each name and not of each hour.
pub(super) fn add_up(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO tally (measure, step, organisation, name, outcome, count)
               SELECT measure + ?1, 0, organisation, name, outcome, sum(count) FROM tally
               WHERE measure < ?1 AND measure <> ?2
               GROUP BY measure, organisation, name, outcome";
    let outcome = Measure::Outcome.number();
    connection.execute(sql, [OF_DAY, outcome]).map(|_| ())
}

fn store_counts(
    transaction: &Transaction<'_>,
    counts: &HashMap<TallyKey, u64>,
) -> rusqlite::Result<()> {
    let mut add = transaction.prepare_cached(
        "UPDATE tally SET count = count + ?6 WHERE measure = ?1 AND step = ?2
         AND organisation = ?3 AND name = ?4 AND outcome = ?5",
    )?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO tally (measure, step, organisation, name, outcome, count)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET count = count + excluded.count",
    )?;
    // Sorted, the rows of one batch go into neighbouring pages.
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let mut names: HashMap<(Measure, i64), usize> = HashMap::new();
    for (key, count) in sorted {
        let number = key.measure.number();
        let values = params![
            number,
            key.step,
            key.organisation,
            key.name,
            key.outcome,
            count
        ];
        if add.execute(values)? > 0 {
            continue;
        }
        let step = (key.measure, key.step);
        let known = match names.get_mut(&step) {
            Some(known) => known,
            None => {
                let known = names_of(transaction, step)?;
                names.entry(step).or_insert(known)
            }
        };
        *known += 1;
        let name = if *known > TALLY_NAMES_MAX {
            TALLY_OTHERS
        } else {
            &key.name
        };
        insert.execute(params![
            number,
            key.step,
            key.organisation,
            name,
            key.outcome,
            count
        ])?;
    }
    Ok(())
}

fn names_of(
    transaction: &Transaction<'_>,
    (measure, step): (Measure, i64),
) -> rusqlite::Result<usize> {
    let sql = "SELECT count(*) FROM tally WHERE measure = ?1 AND step = ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    statement.query_row(params![measure.number(), step], |row| row.get(0))
}

fn store_devices<'a>(
    transaction: &Transaction<'_>,
    devices: impl Iterator<Item = &'a Device>,
) -> rusqlite::Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO device (address, organisation, connector, first, last, accepted, refused,
             octets, helo, credential, certificate, sender, tls)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT DO UPDATE SET
             first = min(first, excluded.first), last = max(last, excluded.last),
             accepted = accepted + excluded.accepted, refused = refused + excluded.refused,
             octets = octets + excluded.octets,
             helo = coalesce(excluded.helo, helo),
             credential = coalesce(excluded.credential, credential),
             certificate = coalesce(excluded.certificate, certificate),
             sender = coalesce(excluded.sender, sender), tls = coalesce(excluded.tls, tls)",
    )?;
    let count = "SELECT count(*) FROM device";
    let full: usize = transaction.query_row(count, [], |row| row.get(0))?;
    let known = "SELECT 1 FROM device WHERE address = ?1 AND organisation = ?2 AND connector = ?3";
    let mut known = transaction.prepare_cached(known)?;
    for one in devices {
        let key = params![one.address, one.organisation, one.connector];
        if full >= DEVICES_MAX && !known.exists(key)? {
            continue;
        }
        put.execute(params![
            one.address,
            one.organisation,
            one.connector,
            one.first.as_millis(),
            one.last.as_millis(),
            one.accepted,
            one.refused,
            one.octets,
            one.helo,
            one.credential,
            one.certificate,
            one.sender,
            one.tls,
        ])?;
    }
    Ok(())
}

impl TraceWriter {
    /// Notes how the queue stands.
    pub(crate) fn note_queue(&mut self, sample: &QueueSample) -> Result<(), TraceDatabaseError> {
        let day = day_of(sample.time);
        let day_open = self.connection(&day)?;
        let sql = "INSERT OR REPLACE INTO queue_sample (time, queued, deferred, held, oldest_s)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let noted = day_open.connection.execute(
            sql,
            params![
                sample.time.as_millis(),
                sample.queued,
                sample.deferred,
                sample.held,
                sample.oldest_s
            ],
        );
        noted.map(|_| ()).map_err(|error| fault(&day, &error))
    }
}

impl TraceDatabases {
    /// Numbers of each query; days that cannot be read are left out.
    pub(crate) fn tallies(
        &self,
        queries: &[TallyQuery],
    ) -> Result<Vec<Vec<Tally>>, TraceDatabaseError> {
        let since = queries.iter().map(|query| query.since).min();
        let mut sums: Vec<BTreeMap<TallyKey, u64>> = vec![BTreeMap::new(); queries.len()];
        self.each_day(since.unwrap_or_default(), |day, connection| {
            for (query, sums) in queries.iter().zip(&mut sums) {
                let rows = add_day(sums, (day, connection), query)?;
                if rows == 0 {
                    add_steps(sums, connection, query)?;
                }
            }
            Ok(())
        })?;
        let answer = |(query, sums): (&TallyQuery, BTreeMap<TallyKey, u64>)| {
            let tallies = sums.into_iter().map(|(key, count)| query.tally(key, count));
            tallies.collect()
        };
        Ok(queries.iter().zip(sums).map(answer).collect())
    }

    /// Devices seen since a time, the last seen first.
    pub(crate) fn devices(&self, since: Timestamp) -> Result<Vec<Device>, TraceDatabaseError> {
        let mut all: HashMap<DeviceKey, Device> = HashMap::new();
        self.each_day(since, |_, connection| add_devices(&mut all, connection))?;
        let mut devices: Vec<_> = all.into_values().collect();
        devices.sort_unstable_by_key(|device| std::cmp::Reverse(device.last));
        Ok(devices)
    }

    /// The queue over time, oldest first.
    pub(crate) fn queue_samples(
        &self,
        since: Timestamp,
    ) -> Result<Vec<QueueSample>, TraceDatabaseError> {
        let mut samples = Vec::new();
        self.each_day(since, |_, connection| {
            let sql = "SELECT time, queued, deferred, held, oldest_s FROM queue_sample
                       WHERE time >= ?1 ORDER BY time LIMIT 2000";
            let mut statement = connection.prepare_cached(sql)?;
            let read = |row: &Row<'_>| {
                Ok(QueueSample {
                    time: Timestamp::from_millis(row.get(0)?),
                    queued: row.get(1)?,
                    deferred: row.get(2)?,
                    held: row.get(3)?,
                    oldest_s: row.get(4)?,
                })
            };
            for sample in statement.query_map([since.as_millis()], read)? {
                samples.push(sample?);
            }
            Ok(())
        })?;
        samples.sort_unstable_by_key(|sample| sample.time);
        Ok(samples)
    }

    fn each_day(
        &self,
        since: Timestamp,
        mut read: impl FnMut(&str, &Connection) -> rusqlite::Result<()>,
    ) -> Result<(), TraceDatabaseError> {
        let first = day_of(since);
        for day in self.days()? {
            if day < first {
                break;
            }
            let done = self.open_for_reading(&day).and_then(|connection| {
                let Some(connection) = connection else {
                    return Ok(());
                };
                if are_there(&connection).map_err(|error| fault(&day, &error))? {
                    read(&day, &connection).map_err(|error| fault(&day, &error))?;
                }
                Ok(())
            });
            if let Err(error) = done {
                tracing::warn!(%error, "a day of the trace is not in the numbers");
            }
        }
        Ok(())
    }
}

fn are_there(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE name = 'tally'";
    connection.prepare_cached(sql)?.exists([])
}

/// The sums of a day that is asked for as a whole; how many there are.
fn add_day(
    sums: &mut BTreeMap<TallyKey, u64>,
    (day, connection): (&str, &Connection),
    query: &TallyQuery,
) -> rusqlite::Result<usize> {
    let begin = Timestamp::parse_rfc3339(&format!("{day}T00:00:00Z"));
    let begin = begin.unwrap_or_default().as_millis();
    let (first, end) = query.steps();
    let step = query.measure.step();
    let is_whole = first * step <= begin && end.saturating_mul(step) >= begin + DAY;
    if query.by_step || !is_whole {
        return Ok(0);
    }
    let sql = "SELECT 0, organisation, name, outcome, count FROM tally WHERE measure = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query([query.measure.number() + OF_DAY])?;
    add_rows(sums, query, rows)
}

fn add_steps(
    sums: &mut BTreeMap<TallyKey, u64>,
    connection: &Connection,
    query: &TallyQuery,
) -> rusqlite::Result<()> {
    let sql = if query.by_step {
        "SELECT step, organisation, name, outcome, count FROM tally
         WHERE measure = ?1 AND step >= ?2 AND step < ?3"
    } else {
        "SELECT 0, organisation, name, outcome, sum(count) FROM tally
         WHERE measure = ?1 AND step >= ?2 AND step < ?3 GROUP BY organisation, name, outcome"
    };
    let (first, end) = query.steps();
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query(params![query.measure.number(), first, end])?;
    add_rows(sums, query, rows).map(|_| ())
}

fn add_rows(
    sums: &mut BTreeMap<TallyKey, u64>,
    query: &TallyQuery,
    mut rows: Rows<'_>,
) -> rusqlite::Result<usize> {
    let mut read = 0;
    while let Some(row) = rows.next()? {
        read += 1;
        let organisation: Arc<str> = row.get(1)?;
        if query
            .organisation
            .as_ref()
            .is_some_and(|one| *one != organisation)
        {
            continue;
        }
        let outcome = row.get_ref(3)?.as_str()?;
        let Some(outcome) = STATUS_WORDS.iter().find(|word| **word == outcome) else {
            continue;
        };
        let key = TallyKey {
            measure: query.measure,
            step: row.get(0)?,
            organisation: query.organisation.clone().unwrap_or_default(),
            name: row.get(2)?,
            outcome,
        };
        let count: u64 = row.get(4)?;
        let is_full = sums.len() >= ROWS_MAX;
        match sums.entry(key) {
            btree_map::Entry::Occupied(mut sum) => *sum.get_mut() += count,
            btree_map::Entry::Vacant(_) if is_full => {}
            btree_map::Entry::Vacant(place) => {
                place.insert(count);
            }
        }
    }
    Ok(read)
}

fn add_devices(
    all: &mut HashMap<DeviceKey, Device>,
    connection: &Connection,
) -> rusqlite::Result<()> {
    let sql = "SELECT address, organisation, connector, first, last, accepted, refused, octets,
                   helo, credential, certificate, sender, tls
               FROM device ORDER BY last DESC LIMIT ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([DEVICES_MAX])?;
    while let Some(row) = rows.next()? {
        let device = Device {
            address: row.get(0)?,
            organisation: row.get(1)?,
            connector: row.get(2)?,
            first: Timestamp::from_millis(row.get(3)?),
            last: Timestamp::from_millis(row.get(4)?),
            accepted: row.get(5)?,
            refused: row.get(6)?,
            octets: row.get(7)?,
            helo: row.get(8)?,
            credential: row.get(9)?,
            certificate: row.get(10)?,
            sender: row.get(11)?,
            tls: row.get(12)?,
        };
        let key = (
            device.address.clone(),
            device.organisation.clone(),
            device.connector.clone(),
        );
        let is_full = all.len() >= DEVICES_MAX;
        match all.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().add(device),
            Entry::Vacant(_) if is_full => {}
            Entry::Vacant(place) => {
                place.insert(device);
            }
        }
    }
    Ok(())
}
