//! A small mutation engine for fuzzing on the stable toolchain: seeds, a dictionary, and a few
//! cruel operations. The same seed gives the same inputs.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Longest input made, in octets.
const INPUT_OCTETS_MAX: usize = 16 * 1_024;
/// Octets that parsers stumble over.
const CRUEL: &[u8] = b"\r\n\0.<>@\"\\ \t:;,()[]=%+-{}\x7f\x80\xc3\xff";

/// Makes inputs out of seeds.
pub struct Mutator {
    random: StdRng,
    seeds: Vec<Vec<u8>>,
    dictionary: Vec<Vec<u8>>,
}

impl Mutator {
    /// `seeds` must not be empty.
    pub fn new(seed: u64, seeds: Vec<Vec<u8>>, dictionary: &[&[u8]]) -> Self {
        assert!(!seeds.is_empty(), "a mutator needs something to mutate");
        let dictionary = dictionary.iter().map(|word| word.to_vec()).collect();
        Self {
            random: StdRng::seed_from_u64(seed),
            seeds,
            dictionary,
        }
    }

    /// The next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let at = self.random.random_range(0..self.seeds.len());
        let mut input = self.seeds[at].clone();
        for _ in 0..self.random.random_range(1..8) {
            self.mutate(&mut input);
            input.truncate(INPUT_OCTETS_MAX);
        }
        input
    }

    /// A number below `bound`, for choices of the target itself.
    pub fn choice(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound.max(1))
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.random.random_range(0..=input.len());
        match self.random.random_range(0..9) {
            0 if at < input.len() => input[at] ^= 1 << self.random.random_range(0..8),
            1 => input.insert(at, CRUEL[self.random.random_range(0..CRUEL.len())]),
            2 if at < input.len() => drop(input.remove(at)),
            3 if !self.dictionary.is_empty() => {
                let word = self.random.random_range(0..self.dictionary.len());
                let word = self.dictionary[word].clone();
                drop(input.splice(at..at, word));
            }
            4 => {
                let other = self.random.random_range(0..self.seeds.len());
                let from = self.random.random_range(0..=self.seeds[other].len());
                input.truncate(at);
                input.extend_from_slice(&self.seeds[other][from..]);
            }
            5 if at < input.len() => {
                let end = (at + self.random.random_range(1..64)).min(input.len());
                let piece = input[at..end].to_vec();
                let times = self.random.random_range(1..40);
                drop(input.splice(at..at, piece.repeat(times)));
            }
            6 => input.truncate(at),
            7 if at < input.len() => {
                let end = (at + self.random.random_range(1..32)).min(input.len());
                drop(input.drain(at..end));
            }
            _ => {
                let length = self.random.random_range(1..16);
                let noise: Vec<u8> = (0..length).map(|_| self.random.random()).collect();
                drop(input.splice(at..at, noise));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs_and_inputs_differ() {
        let make = || Mutator::new(7, vec![b"MAIL FROM:<a@b.test>\r\n".to_vec()], &[b"SIZE="]);
        let (mut first, mut second) = (make(), make());
        let inputs: Vec<Vec<u8>> = (0..100).map(|_| first.next_input()).collect();
        assert!(inputs.iter().all(|input| *input == second.next_input()));
        let distinct: std::collections::HashSet<_> = inputs.into_iter().collect();
        assert!(
            distinct.len() > 80,
            "{} of 100 inputs differ",
            distinct.len()
        );
    }
}
