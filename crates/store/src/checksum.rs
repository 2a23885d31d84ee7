//! A checksum against disks that return other bits than were written. Not against people.
//!
//! Each step is a bijection of the state for a fixed word and of the word for a fixed state: a
//! change within one aligned word of eight octets is always seen, others with probability
//! 1 − 2⁻⁶⁴.

/// Odd, so that multiplication is a bijection; from the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Sum over octets that come in pieces; how they are cut does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checksum {
    state: u64,
    octets: u64,
    rest: [u8; 8],
    rest_length: usize,
}

impl Checksum {
    /// Over one piece.
    pub(crate) fn of(octets: &[u8]) -> u64 {
        let mut sum = Self::default();
        sum.add(octets);
        sum.finish()
    }

    /// The next piece.
    pub(crate) fn add(&mut self, mut octets: &[u8]) {
        self.octets += octets.len() as u64;
        if self.rest_length > 0 {
            let count = octets.len().min(8 - self.rest_length);
            self.rest[self.rest_length..self.rest_length + count].copy_from_slice(&octets[..count]);
            self.rest_length += count;
            octets = &octets[count..];
            if self.rest_length < 8 {
                return;
            }
            self.step(u64::from_le_bytes(self.rest));
            self.rest_length = 0;
        }
        let (words, rest) = octets.as_chunks::<8>();
        for word in words {
            self.step(u64::from_le_bytes(*word));
        }
        self.rest[..rest.len()].copy_from_slice(rest);
        self.rest_length = rest.len();
    }

    /// The sum so far.
    pub(crate) fn finish(mut self) -> u64 {
        self.rest[self.rest_length..].fill(0);
        self.step(u64::from_le_bytes(self.rest));
        self.step(self.octets);
        self.state ^ (self.state >> 32)
    }

    fn step(&mut self, word: u64) {
        self.state = (self.state ^ word).wrapping_mul(MULTIPLIER).rotate_left(29);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_single_bit_counts_and_the_cut_does_not() {
        let octets: Vec<u8> = (0..=200).collect();
        let sum = Checksum::of(&octets);
        for place in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            assert_ne!(Checksum::of(&flipped), sum, "bit {place}");
        }
        for cut in 0..octets.len() {
            let mut pieces = Checksum::default();
            pieces.add(&octets[..cut]);
            pieces.add(&octets[cut..]);
            assert_eq!(pieces.finish(), sum, "cut at {cut}");
        }
    }

    #[test]
    fn length_counts_even_when_the_rest_is_zero() {
        assert_ne!(Checksum::of(&[0; 8]), Checksum::of(&[0; 7]));
        assert_ne!(Checksum::of(&[]), Checksum::of(&[0]));
    }
}
