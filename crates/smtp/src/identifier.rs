//! The two identifiers that people read aloud: queue ids and references.
//!
//! Both use letters and digits that cannot be mistaken for one another. See ADR 0007.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::time::Timestamp;

/// Crockford's alphabet: no I, L, O, U. Its order is that of the values, so text sorts as time.
const QUEUE_ID_LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// No 0, O, 1, I: a reference is copied from the display of a device.
const REFERENCE_LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// 63 bits in groups of five.
const QUEUE_ID_LENGTH: usize = 13;
const REFERENCE_LENGTH: usize = 5;
/// 2024-01-01T00:00:00Z: 41 bits of milliseconds from here last until 2093.
const QUEUE_EPOCH_MILLIS: i64 = 1_704_067_200_000;
const SEQUENCE_BITS: u32 = 14;
const NODE_BITS: u32 = 8;

/// The unique, time-ordered name of an accepted message: 41 bits milliseconds, 8 bits node, 14 bits
/// sequence. Positive as `i64`, so that it is a SQLite row id.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QueueId(i64);

impl QueueId {
    /// The id for the `sequence`-th message (below 16,384) of millisecond `now` on `node`.
    pub fn new(now: Timestamp, node: u8, sequence: u16) -> Self {
        let millis = (now.as_millis() - QUEUE_EPOCH_MILLIS).clamp(0, (1 << 41) - 1);
        let sequence = i64::from(sequence) & ((1 << SEQUENCE_BITS) - 1);
        Self(
            (millis << (NODE_BITS + SEQUENCE_BITS)) | (i64::from(node) << SEQUENCE_BITS) | sequence,
        )
    }

    /// From its stored number; `None` if negative.
    pub const fn from_i64(number: i64) -> Option<Self> {
        if number < 0 { None } else { Some(Self(number)) }
    }

    /// As stored: never negative.
    pub const fn as_i64(self) -> i64 {
        self.0
    }

    /// When it was made, to the millisecond.
    pub const fn created_at(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> (NODE_BITS + SEQUENCE_BITS)) + QUEUE_EPOCH_MILLIS)
    }

    /// The id that follows on the same node, whatever the clock says: keeps ids unique when the
    /// clock jumps back.
    pub fn next(self) -> Self {
        let sequence = self.0 & ((1 << SEQUENCE_BITS) - 1);
        if sequence + 1 < (1 << SEQUENCE_BITS) {
            return Self(self.0 + 1);
        }
        let node = u8::try_from((self.0 >> SEQUENCE_BITS) & 0xff).unwrap_or(0);
        Self::new(
            Timestamp::from_millis(self.created_at().as_millis() + 1),
            node,
            0,
        )
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut letters = [b'0'; QUEUE_ID_LENGTH];
        let mut rest = self.0;
        for letter in letters.iter_mut().rev() {
            *letter = QUEUE_ID_LETTERS[usize::try_from(rest & 31).unwrap_or(0)];
            rest >>= 5;
        }
        formatter.write_str(core::str::from_utf8(&letters).unwrap_or_default())
    }
}

/// The text is not a queue id or reference.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "not an identifier: {QUEUE_ID_LENGTH} letters and digits for a queue id, \
     {REFERENCE_LENGTH} for a reference"
)]
pub struct IdentifierError;

impl FromStr for QueueId {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        if text.len() != QUEUE_ID_LENGTH {
            return Err(IdentifierError);
        }
        let number = text.bytes().try_fold(0_i64, |number, letter| {
            let value = QUEUE_ID_LETTERS
                .iter()
                .position(|l| *l == letter.to_ascii_uppercase())?;
            number
                .checked_mul(32)?
                .checked_add(i64::try_from(value).ok()?)
        });
        number.and_then(Self::from_i64).ok_or(IdentifierError)
    }
}

/// The short code in each refusal (`7F3K2`), searchable in trace, log and command line. 25 bits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reference(u32);

impl Reference {
    /// From any number; the low 25 bits count.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & ((1 << 25) - 1))
    }

    /// The 25 bits.
    pub const fn as_bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(REFERENCE_LENGTH);
        for group in (0..REFERENCE_LENGTH).rev() {
            let value = usize::try_from((self.0 >> (5 * group)) & 31).unwrap_or(0);
            text.push(char::from(REFERENCE_LETTERS[value]));
        }
        formatter.write_str(&text)
    }
}

impl FromStr for Reference {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        if text.len() != REFERENCE_LENGTH {
            return Err(IdentifierError);
        }
        text.bytes()
            .try_fold(0_u32, |bits, letter| {
                let value = REFERENCE_LETTERS
                    .iter()
                    .position(|l| *l == letter.to_ascii_uppercase())?;
                Some((bits << 5) | u32::try_from(value).ok()?)
            })
            .map(Self)
            .ok_or(IdentifierError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_queue_id_is_read_back_and_sorts_as_time() {
        let now = Timestamp::from_millis(1_795_514_400_123);
        let first = QueueId::new(now, 3, 7);
        let later = QueueId::new(Timestamp::from_millis(1_795_514_400_124), 0, 0);
        assert_eq!(first.to_string().parse(), Ok(first));
        assert_eq!(first.to_string().len(), 13);
        assert_eq!(first.created_at(), now);
        assert!(first < later && first.to_string() < later.to_string());
    }

    #[test]
    fn the_next_queue_id_follows_even_when_a_millisecond_is_full() {
        let now = Timestamp::from_millis(1_795_514_400_123);
        let full = QueueId::new(now, 9, (1 << 14) - 1);
        assert!(full.next() > full);
        assert_eq!(
            full.next(),
            QueueId::new(Timestamp::from_millis(1_795_514_400_124), 9, 0)
        );
    }

    #[test]
    fn a_reference_is_read_back_in_either_case() {
        let reference = Reference::from_bits(0x155_5555);
        assert_eq!(reference.to_string().parse(), Ok(reference));
        assert_eq!(reference.to_string().to_lowercase().parse(), Ok(reference));
        assert_eq!("7F3K".parse::<Reference>(), Err(IdentifierError));
        assert_eq!("7F3O2".parse::<Reference>(), Err(IdentifierError));
    }
}
