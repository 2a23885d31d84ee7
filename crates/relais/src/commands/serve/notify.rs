//! Telling systemd how we are (`sd_notify(3)`). Without systemd, nothing happens.

use sd_notify::{NotifyState, notify};

/// The program that started us, if it wants to know.
pub(super) struct Supervisor {
    watchdog: bool,
}

impl Supervisor {
    /// By `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    pub(super) fn of_this_process() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled().is_some(),
        }
    }

    /// Listeners are up.
    pub(super) fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// The configuration is read again; [`Supervisor::ready`] follows.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "no monotonic time for systemd"),
        }
    }

    /// The end begins.
    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// The store answered just now.
    pub(super) fn alive(&self) {
        if self.watchdog {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = notify(state) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
