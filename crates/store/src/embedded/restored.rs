//! What a restored queue needs before a server may start on it: recipients held, so that nothing
//! is sent twice unasked, and time left for a person to look.

use relais_smtp::time::Timestamp;
use rusqlite::{Transaction, params};

use super::{group, schema};
use crate::error::StoreError;
use crate::index::{GIVE_UP, HELD, PASSED, RESTRICTED, SlotState};

/// What is undone where all is held: what a person gave up before the backup was given up then,
/// too, which needs no second notice; and what a restriction held or a person let pass may have
/// left since then, so that it waits for a person like everything else.
const UNDONE: u8 = GIVE_UP | RESTRICTED | PASSED;

/// Rows changed at once: bounds memory, whatever the size of the queue.
const ROWS_MAX: usize = 10_000;

/// Makes a restored queue fit to be opened: with a reason, every recipient is held and says so;
/// none expires before `expires_min`. How many are held.
///
/// Rows whose checksum does not fit are left as they are: the next start tells of them.
pub(crate) fn after_restore(
    transaction: &Transaction<'_>,
    held_because: Option<&str>,
    expires_min: Timestamp,
) -> Result<u64, StoreError> {
    let mut held = 0;
    let mut after = (i64::MIN, 0);
    loop {
        let rows = read(transaction, after).map_err(schema::fault)?;
        let Some(last) = rows.last() else {
            return Ok(held);
        };
        after = (last.message, last.number);
        for row in rows.iter().filter(|row| row.sound) {
            change(transaction, row, held_because, expires_min).map_err(schema::fault)?;
            held += u64::from(held_because.is_some());
        }
    }
}

struct Row {
    message: i64,
    number: u32,
    queue: i64,
    state: SlotState,
    sound: bool,
}

fn read(transaction: &Transaction<'_>, after: (i64, u32)) -> rusqlite::Result<Vec<Row>> {
    let sql = "SELECT message, number, queue, due, expires, attempts, flags, checksum
               FROM recipient WHERE (message, number) > (?1, ?2)
               ORDER BY message, number LIMIT ?3";
    let mut statement = transaction.prepare_cached(sql)?;
    let rows = statement.query_map(params![after.0, after.1, ROWS_MAX], |row| {
        let (message, number, queue) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (attempts, flags): (i64, i64) = (row.get(5)?, row.get(6)?);
        let mut state = SlotState {
            due: row.get(3)?,
            expires: row.get(4)?,
            ..SlotState::default()
        };
        let small = u16::try_from(attempts).ok().zip(u8::try_from(flags).ok());
        (state.attempts, state.flags) = small.unwrap_or_default();
        let sum = group::row_checksum(message, number, queue, state);
        let sound = small.is_some() && row.get::<_, i64>(7)? == sum;
        Ok(Row {
            message,
            number,
            queue,
            state,
            sound,
        })
    })?;
    rows.collect()
}

fn change(
    transaction: &Transaction<'_>,
    row: &Row,
    held_because: Option<&str>,
    expires_min: Timestamp,
) -> rusqlite::Result<()> {
    let mut state = row.state.recovered();
    state.expires = state.expires.max(expires_min.as_millis());
    if held_because.is_some() {
        state.flags = (state.flags & !UNDONE) | HELD;
    }
    let sum = group::row_checksum(row.message, row.number, row.queue, state);
    let sql = "UPDATE recipient SET expires = ?3, flags = ?4, checksum = ?5,
                   last_reply = coalesce(?6, last_reply)
               WHERE message = ?1 AND number = ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    statement.execute(params![
        row.message,
        row.number,
        state.expires,
        state.flags,
        sum,
        held_because
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::DELAY_TOLD;

    const LATER: Timestamp = Timestamp::from_millis(5_000);

    /// Expiry, flags, last reply, and whether the checksum fits.
    type Found = (i64, u8, Option<String>, bool);

    /// Expiry, flags and last reply of each recipient afterwards, and whether its checksum fits.
    fn after(held_because: Option<&str>) -> (u64, Vec<Found>) {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = schema::open_writer(folder.path()).unwrap();
        let transaction = connection.transaction().unwrap();
        let states = [
            (2, 0, 0),
            (9_000, 3, DELAY_TOLD),
            (2, 0, GIVE_UP),
            (2, 0, HELD),
            (2, 0, 0),
            (2, 0, HELD | RESTRICTED),
            (2, 0, PASSED),
        ];
        for (number, (expires, attempts, flags)) in (0_u32..).zip(states) {
            let state = SlotState {
                due: 1,
                expires,
                attempts,
                flags,
            };
            let damage = i64::from(number == 4);
            let sum = group::row_checksum(7, number, 1, state) ^ damage;
            let sql = "INSERT INTO recipient
                           (message, number, queue, due, expires, attempts, flags, checksum)
                       VALUES (7, ?1, 1, ?2, ?3, ?4, ?5, ?6)";
            transaction
                .execute(sql, params![number, 1, expires, attempts, flags, sum])
                .unwrap();
        }
        let held = after_restore(&transaction, held_because, LATER).unwrap();
        let rows = read(&transaction, (i64::MIN, 0)).unwrap();
        let reply = |number: u32| {
            let sql = "SELECT last_reply FROM recipient WHERE number = ?1";
            transaction
                .query_row(sql, [number], |row| row.get(0))
                .unwrap()
        };
        let found = rows
            .iter()
            .map(|row| {
                (
                    row.state.expires,
                    row.state.flags,
                    reply(row.number),
                    row.sound,
                )
            })
            .collect();
        (held, found)
    }

    #[test]
    fn a_restored_queue_is_held_and_does_not_expire_and_damage_is_left_to_the_start() {
        let (held, found) = after(Some("restored"));
        let because = Some("restored".to_owned());
        assert_eq!(held, 6);
        assert_eq!(
            found,
            [
                (5_000, HELD, because.clone(), true),
                (9_000, HELD | DELAY_TOLD, because.clone(), true),
                (5_000, HELD, because.clone(), true),
                (5_000, HELD, because.clone(), true),
                (2, 0, None, false),
                (5_000, HELD, because.clone(), true),
                (5_000, HELD, because, true),
            ]
        );
    }

    #[test]
    fn a_queue_restored_for_release_keeps_what_persons_asked_for() {
        let (held, found) = after(None);
        assert_eq!(held, 0);
        let flags: Vec<_> = found
            .iter()
            .map(|(expires, flags, ..)| (*expires, *flags))
            .collect();
        assert_eq!(
            flags,
            [
                (5_000, 0),
                (9_000, DELAY_TOLD),
                (5_000, GIVE_UP),
                (5_000, HELD),
                (2, 0),
                (5_000, HELD | RESTRICTED),
                (5_000, PASSED)
            ]
        );
    }
}
