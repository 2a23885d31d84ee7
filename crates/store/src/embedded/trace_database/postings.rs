//! The index: for each key and batch, the list of events that have it.
//!
//! A row holds the offset of its first event in the segment, and of the others the differences to
//! the one before, each as LEB128 (seven bits an octet, low ones first, the high bit says that more
//! follow). A key may have several rows in a segment, one from each batch.

use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::trace::Event;
use crate::trace::terms::{self, Key};

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

/// What a batch adds to the index.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// Segment, key, offset.
    entries: Vec<(u64, Key, u16)>,
    segments: Vec<Segment>,
}

impl Collected {
    /// To be called with growing positions for best effect, and never twice with one.
    pub(super) fn add(&mut self, position: u64, event: &Event) {
        let number = position >> SEGMENT_BITS;
        let offset = offset_of(position);
        terms::of_event(event, &mut |key| self.entries.push((number, key, offset)));
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
    }

    pub(super) fn store(mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        // Sorted, the rows of one batch go into neighbouring pages.
        self.entries.sort_unstable();
        self.entries.dedup();
        let mut insert = transaction.prepare_cached(
            "INSERT INTO posting (segment, key, first, further) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?;
        let mut further = Vec::new();
        for list in self.entries.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let (segment, key, first) = list[0];
            further.clear();
            for pair in list.windows(2) {
                push_number(&mut further, pair[1].2 - pair[0].2);
            }
            let further = (!further.is_empty()).then_some(further.as_slice());
            insert.execute(params![segment, key, first, further])?;
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
