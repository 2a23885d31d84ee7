//! The index: for each key and batch, the list of events that have it.
//!
//! A row holds the offset of its first event in the segment, and of the others the differences to
//! the one before, each as LEB128 (seven bits an octet, low ones first, the high bit says that more
//! follow). A key may have several rows in a segment, one from each batch.

use std::collections::BTreeSet;

use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::trace::Event;
use crate::trace::terms::{Key, Keys};

/// Bits of a position within its segment: 65,536 events.
const SEGMENT_BITS: u32 = 16;

/// Positions of a segment, and the span of its events' times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) time_min: Timestamp,
    pub(super) time_max: Timestamp,
}

impl Segment {
    /// The lowest position that may be in it.
    pub(super) fn start(&self) -> u64 {
        self.number << SEGMENT_BITS
    }
}

/// Entries for which memory is kept from one batch to the next: 1 MiB.
const ENTRIES_KEPT: usize = 1 << 17;

/// What a batch adds to the index. Used again for the next one: each batch would otherwise fetch
/// half a megabyte anew from the system.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// See [`Entry`].
    entries: Vec<u64>,
    segments: Vec<Segment>,
    keys: Keys,
}

/// One event of one list, as a number of which the order is that of the rows: what is sorted most
/// often here is compared in one step.
struct Entry {
    /// Which of [`Collected::segments`].
    segment: usize,
    key: Key,
    offset: u16,
}

impl Entry {
    const OFFSET_BITS: u32 = SEGMENT_BITS;
    const LIST_BITS: u32 = Self::OFFSET_BITS + Key::BITS;

    fn packed(&self) -> u64 {
        // Segments of a batch are far fewer than the bits that are left can count.
        ((self.segment as u64) << Self::LIST_BITS)
            | (u64::from(self.key) << Self::OFFSET_BITS)
            | u64::from(self.offset)
    }

    fn of_packed(packed: u64) -> Self {
        Self {
            segment: (packed >> Self::LIST_BITS) as usize,
            // Truncation takes the parts.
            key: (packed >> Self::OFFSET_BITS) as Key,
            offset: packed as u16,
        }
    }

    /// Segment and key.
    fn list_of(packed: u64) -> u64 {
        packed >> Self::OFFSET_BITS
    }
}

impl Collected {
    /// To be called with growing positions for best effect, and never twice with one.
    pub(super) fn add(&mut self, position: u64, event: &Event) {
        let number = position >> SEGMENT_BITS;
        match self
            .segments
            .last_mut()
            .filter(|segment| segment.number == number)
        {
            Some(segment) => {
                segment.time_min = segment.time_min.min(event.time);
                segment.time_max = segment.time_max.max(event.time);
            }
            None => {
                self.segments.push(Segment {
                    number,
                    time_min: event.time,
                    time_max: event.time,
                });
            }
        }
        let segment = self.segments.len() - 1;
        let offset = offset_of(position);
        let entry = |key| Entry {
            segment,
            key,
            offset,
        };
        let entries = &mut self.entries;
        let keys = &mut self.keys;
        keys.of_event(event, &mut |key| entries.push(entry(key).packed()));
    }

    /// Forgets everything, for the next batch.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.entries.shrink_to(ENTRIES_KEPT);
        self.segments.clear();
    }

    pub(super) fn store(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        // Sorted, the rows of one batch go into neighbouring pages.
        self.entries.sort_unstable();
        self.entries.dedup();
        let mut insert = transaction.prepare_cached(
            "INSERT INTO posting (segment, key, first, further) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?;
        let mut further = Vec::new();
        let same_list = |a: &u64, b: &u64| Entry::list_of(*a) == Entry::list_of(*b);
        for list in self.entries.chunk_by(same_list) {
            let first = Entry::of_packed(list[0]);
            further.clear();
            for pair in list.windows(2) {
                // Of one list only the offsets differ.
                push_number(&mut further, (pair[1] - pair[0]) as u16);
            }
            let further = (!further.is_empty()).then_some(further.as_slice());
            let segment = self.segments[first.segment].number;
            insert.execute(params![segment, first.key, first.offset, further])?;
        }
        let mut span = transaction.prepare_cached(
            "INSERT INTO segment (number, time_min, time_max) VALUES (?1, ?2, ?3)
             ON CONFLICT (number) DO UPDATE SET
                 time_min = min(time_min, excluded.time_min),
                 time_max = max(time_max, excluded.time_max)",
        )?;
        for segment in &self.segments {
            let times = (segment.time_min.as_millis(), segment.time_max.as_millis());
            span.execute(params![segment.number, times.0, times.1])?;
        }
        Ok(())
    }
}

/// An event was changed: it leaves the lists of what it has no more, and enters those of what it
/// has now.
pub(super) fn change(
    transaction: &Transaction<'_>,
    position: u64,
    (before, after): (&Event, &Event),
) -> rusqlite::Result<()> {
    let keys = |event: &Event| {
        let mut keys = BTreeSet::new();
        Keys::default().of_event(event, &mut |key| {
            keys.insert(key);
        });
        keys
    };
    let (before, after) = (keys(before), keys(after));
    let (segment, offset) = (position >> SEGMENT_BITS, offset_of(position));
    for key in before.difference(&after) {
        leave(transaction, (segment, *key), offset)?;
    }
    let sql = "INSERT INTO posting (segment, key, first) VALUES (?1, ?2, ?3)
               ON CONFLICT DO NOTHING";
    let mut insert = transaction.prepare_cached(sql)?;
    for key in after.difference(&before) {
        insert.execute(params![segment, key, offset])?;
    }
    Ok(())
}

/// Takes an event out of the lists of a key.
fn leave(
    transaction: &Transaction<'_>,
    (segment, key): (u64, Key),
    offset: u16,
) -> rusqlite::Result<()> {
    let sql = "SELECT first, further FROM posting WHERE segment = ?1 AND key = ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let rows: Vec<(u16, Option<Vec<u8>>)> = statement
        .query_map(params![segment, key], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (first, further) in rows {
        let mut offsets = Vec::new();
        push_offsets(&mut offsets, first, &further.unwrap_or_default());
        if !offsets.contains(&offset) {
            continue;
        }
        let sql = "DELETE FROM posting WHERE segment = ?1 AND key = ?2 AND first = ?3";
        transaction.execute(sql, params![segment, key, first])?;
        offsets.retain(|one| *one != offset);
        let Some(first) = offsets.first() else {
            continue;
        };
        let mut further = Vec::new();
        for pair in offsets.windows(2) {
            push_number(&mut further, pair[1] - pair[0]);
        }
        let further = (!further.is_empty()).then_some(further);
        let sql = "INSERT INTO posting (segment, key, first, further) VALUES (?1, ?2, ?3, ?4)";
        transaction.execute(sql, params![segment, key, first, further])?;
    }
    Ok(())
}

fn offset_of(position: u64) -> u16 {
    // Truncation takes the position within its segment.
    (position & ((1 << SEGMENT_BITS) - 1)) as u16
}

fn push_number(out: &mut Vec<u8>, mut number: u16) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// The newest segment below a position, if any.
pub(super) fn segment_below(
    connection: &Connection,
    position: u64,
) -> rusqlite::Result<Option<Segment>> {
    let Some(highest) = position.checked_sub(1) else {
        return Ok(None);
    };
    let sql = "SELECT number, time_min, time_max FROM segment
               WHERE number <= ?1 ORDER BY number DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let number = (highest >> SEGMENT_BITS).min(i64::MAX.unsigned_abs() >> SEGMENT_BITS);
    let found = statement.query_row([number], |row| {
        Ok(Segment {
            number: row.get(0)?,
            time_min: Timestamp::from_millis(row.get(1)?),
            time_max: Timestamp::from_millis(row.get(2)?),
        })
    });
    found.optional()
}

/// So few candidates are looked at rather than compared with a longer list.
const FEW: usize = 32;

/// Positions in a segment of events that have at least one key of each list, growing; where few
/// are left, perhaps not of the longest ones: whoever asks looks at the events anyway.
pub(super) fn candidates(
    connection: &Connection,
    segment: &Segment,
    lists: &[Vec<Key>],
) -> rusqlite::Result<Vec<u64>> {
    let mut by_length = Vec::new();
    for keys in lists {
        // Of one alone nothing is compared.
        let length = match lists.len() {
            1 => 1,
            _ => length_of(connection, segment, keys)?,
        };
        if length == 0 {
            return Ok(Vec::new());
        }
        by_length.push((length, keys));
    }
    by_length.sort_by_key(|(length, _)| *length);
    let mut candidates: Option<Vec<u16>> = None;
    for (_, keys) in by_length {
        let few = candidates.as_ref().is_some_and(|found| found.len() <= FEW);
        if few {
            break;
        }
        let mut offsets = offsets_of(connection, segment, keys)?;
        if let Some(others) = candidates {
            offsets.retain(|offset| others.binary_search(offset).is_ok());
        }
        candidates = Some(offsets);
    }
    let offsets = candidates.unwrap_or_default();
    Ok(offsets
        .into_iter()
        .map(|offset| segment.start() | u64::from(offset))
        .collect())
}

/// Octets of the lists of some keys: about the number of their events.
fn length_of(connection: &Connection, segment: &Segment, keys: &[Key]) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce(sum(1 + coalesce(length(further), 0)), 0) FROM posting
               WHERE segment = ?1 AND key = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut length = 0;
    for key in keys {
        length += statement.query_row(params![segment.number, key], |row| row.get::<_, u64>(0))?;
    }
    Ok(length)
}

/// The events that have one of some keys, growing, each once.
fn offsets_of(
    connection: &Connection,
    segment: &Segment,
    keys: &[Key],
) -> rusqlite::Result<Vec<u16>> {
    let sql = "SELECT first, further FROM posting WHERE segment = ?1 AND key = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut offsets = Vec::new();
    for key in keys {
        let mut rows = statement.query(params![segment.number, key])?;
        while let Some(row) = rows.next()? {
            let further = row.get_ref(1)?.as_blob_or_null()?.unwrap_or_default();
            push_offsets(&mut offsets, row.get(0)?, further);
        }
    }
    offsets.sort_unstable();
    offsets.dedup();
    Ok(offsets)
}

/// Reads a list; what does not fit into a segment (a damaged row) is left out.
fn push_offsets(offsets: &mut Vec<u16>, first: u16, further: &[u8]) {
    offsets.push(first);
    let mut last = first;
    let mut difference = 0_u32;
    let mut shift = 0_u32;
    for octet in further {
        difference |= u32::from(octet & 0x7f).checked_shl(shift).unwrap_or(0);
        if octet & 0x80 != 0 {
            shift += 7;
            continue;
        }
        let Some(next) = u16::try_from(difference)
            .ok()
            .and_then(|d| last.checked_add(d))
        else {
            return;
        };
        offsets.push(next);
        last = next;
        difference = 0;
        shift = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_offsets_is_read_back() {
        let lists: [&[u16]; 4] = [
            &[7],
            &[0, 1, 2, 130, 16_600, 65_535],
            &[0, 65_535],
            &[65_534, 65_535],
        ];
        for list in lists {
            let mut further = Vec::new();
            for pair in list.windows(2) {
                push_number(&mut further, pair[1] - pair[0]);
            }
            let mut read = Vec::new();
            push_offsets(&mut read, list[0], &further);
            assert_eq!(read, list);
        }
    }

    #[test]
    fn a_damaged_list_ends_early_and_never_panics() {
        let damaged: [&[u8]; 4] = [
            &[0xff; 40],
            &[0xff, 0xff, 0x7f],
            &[0x80],
            &[1, 0xff, 0xff, 3],
        ];
        for further in damaged {
            let mut read = Vec::new();
            push_offsets(&mut read, 65_000, further);
            assert!(read.len() <= 2, "{further:?}");
        }
    }
}
