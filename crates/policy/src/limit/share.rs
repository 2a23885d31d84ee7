//! A bound that organisations share, so that none takes another's part.

/// What one may hold, and what all together but for the share of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) own: usize,
    pub(super) all: usize,
}

impl Bounds {
    /// Whether an organisation that holds `held` of `total` may hold one more: up to its own bound,
    /// and beyond the bound of all only within its share.
    pub(super) fn have_room(self, held: usize, total: usize, organisations: usize) -> bool {
        held < self.own && (total < self.all || held < self.all / organisations.max(1))
    }
}
