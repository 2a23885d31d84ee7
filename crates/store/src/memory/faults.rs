//! Faults on purpose: which write fails, and how. Drawn from a seed, or ordered one by one.

use std::collections::VecDeque;

/// What happens to one write (a commit, a settlement, an act).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The disk answers with an error: the caller is told so, the store is sealed until
    /// `maintain`. What was written may still be found after a crash that comes before that.
    Fails,
    /// The process dies before anything was written: this call and all later ones never return.
    DiesBefore,
    /// The process dies when all was written, before anybody was told.
    DiesAfter,
}

/// Which writes meet a fault.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    /// The same seed draws the same faults.
    pub seed: u64,
    /// Of 1,000 writes, so many fail.
    pub fails_per_mille: u16,
    /// Of 1,000 writes, so many are the last one of the process.
    pub dies_per_mille: u16,
    /// These come first, one a write; `None`: that write succeeds.
    pub ordered: VecDeque<Option<Fault>>,
}

impl FaultPlan {
    /// The fault of the next write.
    pub(super) fn draw(&mut self) -> Option<Fault> {
        if let Some(ordered) = self.ordered.pop_front() {
            return ordered;
        }
        if self.fails_per_mille == 0 && self.dies_per_mille == 0 {
            return None;
        }
        let drawn = self.number(1_000);
        let fails = u64::from(self.fails_per_mille);
        if drawn < fails {
            return Some(Fault::Fails);
        }
        let dies = drawn < fails + u64::from(self.dies_per_mille);
        let after = self.coin();
        dies.then_some(if after {
            Fault::DiesAfter
        } else {
            Fault::DiesBefore
        })
    }

    /// Heads or tails.
    pub(super) fn coin(&mut self) -> bool {
        self.number(2) == 0
    }

    /// SplitMix64, below `bound`.
    fn number(&mut self, bound: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
