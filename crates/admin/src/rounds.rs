//! The round of self-checks under way, for pages that show what came in so far. Looking is in
//! `checks`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relais_policy::check::Check;

/// One round at a time. Cheap to clone.
#[derive(Clone, Default)]
pub struct Rounds(Arc<Shared>);

#[derive(Default)]
struct Shared {
    turn: tokio::sync::Mutex<()>,
    /// What the round under way has found; none: no round.
    so_far: Mutex<Option<Vec<Check>>>,
}

/// A round; it is over when dropped, also when whoever asked for it has gone.
pub(crate) struct Round<'a> {
    rounds: &'a Rounds,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

impl Rounds {
    /// Waits for its turn, and begins.
    pub(crate) async fn begin(&self) -> Round<'_> {
        let turn = self.0.turn.lock().await;
        *self.found() = Some(Vec::new());
        Round {
            rounds: self,
            _turn: turn,
        }
    }

    /// Says that a round is about to begin; false where one is under way.
    pub(crate) fn announce(&self) -> bool {
        let mut found = self.found();
        let is_free = found.is_none();
        found.get_or_insert_default();
        is_free
    }

    /// How many checks the round under way has made; none where there is no round.
    pub(crate) fn under_way(&self) -> Option<usize> {
        self.found().as_ref().map(Vec::len)
    }

    fn found(&self) -> MutexGuard<'_, Option<Vec<Check>>> {
        self.0.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Round<'_> {
    /// More was found.
    pub(crate) fn add(&self, found: Vec<Check>) {
        if let Some(so_far) = self.rounds.found().as_mut() {
            so_far.extend(found);
        }
    }

    /// Everything that was found.
    pub(crate) fn end(self) -> Vec<Check> {
        self.rounds.found().take().unwrap_or_default()
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        *self.rounds.found() = None;
    }
}
