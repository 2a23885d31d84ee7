//! The sweep that ends lifetimes: independent of attempts, so that mail which is never tried (held,
//! suspended, behind a dead next hop) expires all the same. RFC 5321 §4.5.4.1.
//!
//! Recipients whom a person gave up come the same way.

use std::sync::Arc;
use std::time::Duration;

use relais_policy::document::Retry;
use relais_smtp::client::Protocol;
use relais_smtp::time::Timestamp;
use relais_store::queue::{Leased, LeasedRecipient};
use tokio::sync::Notify;

use crate::connection::Shared;
use crate::context::LEASE_TIME;
use crate::held::Ending;
use crate::settle::By;
use crate::steady::Steady;

/// A sweep, whatever happens.
const SWEEP_GAP_MAX: Duration = Duration::from_secs(15);
/// Between sweeps, at least.
const SWEEP_GAP_MIN: Duration = Duration::from_secs(1);
/// What the pace holds gets this much more time, again and again.
const MORE_TIME: Duration = Duration::from_secs(6 * 3_600);
/// And this much in all: the longest lifetime that the settings allow.
const PACED_LIFETIME_MAX: Duration = Duration::from_secs(5 * 86_400);
/// Messages ended in one go.
const EXPIRED_AT_ONCE: usize = 50;

/// Sweeps until stopped; `poked` when something changed in the queue.
pub(crate) async fn run(shared: Arc<Shared>, steady: Arc<Steady>, poked: Arc<Notify>) {
    let clock = &shared.context.clock;
    loop {
        let swept = clock.moment();
        sweep(&shared, &steady).await;
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = poked.notified() => {}
            () = clock.sleep(SWEEP_GAP_MAX) => {}
        }
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = clock.sleep_until(swept + SWEEP_GAP_MIN) => {}
        }
    }
}

async fn sweep(shared: &Shared, steady: &Steady) {
    let context = &shared.context;
    let by = By {
        connector: None,
        retry: Retry::default(),
        protocol: Protocol::Smtp,
    };
    let mut ending = Ending::default();
    while !shared.stop.is_cancelled() {
        // A clock that has jumped ahead ends nothing until it is believed. What a person gave up
        // comes whatever the time.
        let now = steady.expiry_now();
        let until = context.clock.now().after(LEASE_TIME);
        let expired = match context
            .store
            .lease_expired(EXPIRED_AT_ONCE, now, until)
            .await
        {
            Ok(expired) => expired,
            Err(error) => {
                tracing::warn!(%error, "the store does not say whose time is up");
                break;
            }
        };
        let (count, settings) = (expired.len(), context.store.settings());
        for leased in expired {
            if let Some(expires_at) = more_time(shared, &leased, now) {
                shared.settler.prolong(&leased, expires_at).await;
            } else if let Some(leased) = ending.take(&settings, leased) {
                shared.settler.end(&leased, &by).await;
            }
        }
        if ending.is_full() {
            ending.end(shared, &by).await;
        }
        if count < EXPIRED_AT_ONCE {
            break;
        }
    }
    ending.end(shared, &by).await;
}

/// Mail that was never tried, because the pace of its connector holds it, waits on: the pace is
/// ours, not the destination's. Not beyond the longest lifetime that the settings allow.
fn more_time(shared: &Shared, leased: &Leased, now: Timestamp) -> Option<Timestamp> {
    let moment = shared.context.clock.moment();
    let held = shared.excuses.is_paced(&leased.key, moment);
    let untried = |one: &LeasedRecipient| one.attempts == 0 && !one.give_up;
    if !held || !leased.recipients.iter().all(untried) {
        return None;
    }
    let last = leased.facts.accepted_at.after(PACED_LIFETIME_MAX);
    let more = now.after(MORE_TIME).min(last);
    (more > now).then_some(more)
}
