//! Whether the store takes messages now: sealed after a fault, without room, closing, or well.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{CommitError, StoreError};

/// Shared by all who write. The first fault is kept until recovery.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sealed: Option<String>,
    no_room: bool,
    /// Too near to the reserve to keep anything that mail does not need.
    is_near: bool,
    /// As measured last.
    free: Option<u64>,
    closed: bool,
}

impl Health {
    /// Whether a message may be committed.
    pub(crate) fn may_commit(&self) -> Result<(), CommitError> {
        let state = self.state();
        if state.closed {
            return Err(CommitError::Closed);
        }
        if let Some(because) = &state.sealed {
            return Err(CommitError::Sealed {
                because: because.clone(),
            });
        }
        if state.no_room {
            Err(CommitError::NoRoom)
        } else {
            Ok(())
        }
    }

    /// Whether anything may be written: what frees space may be, without room too.
    pub(crate) fn may_write(&self) -> Result<(), StoreError> {
        let state = self.state();
        if state.closed {
            return Err(StoreError::Closed);
        }
        match &state.sealed {
            Some(because) => Err(StoreError::Sealed {
                because: because.clone(),
            }),
            None => Ok(()),
        }
    }

    /// A write or sync failed: nothing is promised until [`Health::unseal`].
    pub(crate) fn seal(&self, because: &str) {
        let mut state = self.state();
        if state.sealed.is_none() {
            tracing::error!(
                because,
                "the store is sealed: no message is accepted until recovery"
            );
            state.sealed = Some(because.to_owned());
        }
    }

    /// Recovered.
    pub(crate) fn unseal(&self) {
        if self.state().sealed.take().is_some() {
            tracing::info!("the store has recovered and accepts messages again");
        }
    }

    /// The first fault since the last recovery.
    pub(crate) fn sealed(&self) -> Option<String> {
        self.state().sealed.clone()
    }

    /// Octets that are free on the disk.
    pub(crate) fn set_free(&self, free: u64) {
        self.state().free = Some(free);
    }

    /// The same, as measured last.
    pub(crate) fn free(&self) -> Option<u64> {
        self.state().free
    }

    /// The disk is below its reserve, or has room again.
    pub(crate) fn set_no_room(&self, no_room: bool) {
        let mut state = self.state();
        if state.no_room != no_room {
            tracing::warn!(no_room, "the disk crossed its reserve");
            state.no_room = no_room;
        }
    }

    /// The disk is near its reserve, or far from it again.
    pub(crate) fn set_near_reserve(&self, is_near: bool) {
        self.state().is_near = is_near;
    }

    /// Whether anything may be kept beyond what mail needs: far from the reserve only, so that
    /// keeping never brings the disk there.
    pub(crate) fn may_keep(&self) -> bool {
        let state = self.state();
        !(state.closed || state.sealed.is_some() || state.no_room || state.is_near)
    }

    /// For good.
    pub(crate) fn close(&self) {
        self.state().closed = true;
    }

    /// Whether [`Health::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// For `/readyz` and pages: bland, without paths.
    pub(crate) fn unhealthy(&self) -> Option<String> {
        let state = self.state();
        if state.closed {
            Some("the store is closed".to_owned())
        } else if state.sealed.is_some() {
            Some("the store refuses messages after a disk error".to_owned())
        } else if state.no_room {
            Some("the disk is below its reserve".to_owned())
        } else {
            None
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
