//! Events on their way to other programs: syslog over TLS, OpenTelemetry. Each follows what the
//! store tells live, and never makes mail wait: what it cannot keep up with is left out and
//! counted. The trace has everything. At a graceful end what was told goes out first, within
//! [`END_TIME_MAX`].
//!
//! Not here: standard output (`log`), webhooks (`relais-admin`).

mod otlp;
mod syslog;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use relais_admin::metrics::Metrics;
use relais_net::clock::Clock;
use relais_net::network::Network;
use relais_net::tls::ClientTls;
use relais_net::web::hooks::Hooks;
use relais_store::store::Store;
use relais_store::trace::Event;

use crate::config::Config;

/// Collectors get this long to take what they did not take yet; a part of the 30 seconds that an
/// end takes at most.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// Between two of the last tries.
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// What runs as long as it is kept.
pub(crate) struct Exports {
    ending: CancellationToken,
    tasks: TaskTracker,
    _running: DropGuard,
}

impl Exports {
    /// Nothing more will be told: what was told goes out, as far as collectors take it in time.
    pub(crate) async fn end(&self) {
        self.ending.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(END_TIME_MAX, self.tasks.wait()).await;
        if ended.is_err() {
            tracing::warn!("a collector did not take the last events: the trace has them");
        }
    }
}

/// What all of them need.
pub(crate) struct Surroundings {
    pub(crate) store: Store,
    pub(crate) network: Network,
    pub(crate) tls: ClientTls,
    pub(crate) hooks: Hooks,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
}

/// Starts those that the bootstrap file names.
pub(crate) fn start(config: &Config, around: &Surroundings) -> Exports {
    let (closing, ending) = (CancellationToken::new(), CancellationToken::new());
    let tasks = TaskTracker::new();
    if let Some(syslog) = &config.syslog {
        let collector = syslog::Collector {
            config: syslog.clone(),
            hostname: config.hostname.clone(),
            network: around.network.clone(),
            tls: around.tls.clone(),
            clock: around.clock.clone(),
        };
        let export = collector.run(Live::of(around, &ending));
        tasks.spawn(until(closing.clone(), export));
    }
    if let Some(endpoint) = &config.otlp {
        let collector = otlp::Collector {
            endpoint: endpoint.clone(),
            hostname: config.hostname.clone(),
            hooks: around.hooks.clone(),
            clock: around.clock.clone(),
        };
        let export = collector.run(Live::of(around, &ending));
        tasks.spawn(until(closing.clone(), export));
    }
    Exports {
        ending,
        tasks,
        _running: closing.drop_guard(),
    }
}

/// It ends with the server, done or not.
async fn until(closing: CancellationToken, export: impl Future<Output = ()>) {
    tokio::select! {
        () = closing.cancelled() => {}
        () = export => {}
    }
}

/// Events as they happen.
struct Live {
    events: Receiver<Arc<[Event]>>,
    ending: CancellationToken,
    metrics: Metrics,
}

impl Live {
    fn of(around: &Surroundings, ending: &CancellationToken) -> Self {
        Self {
            events: around.store.live(),
            ending: ending.clone(),
            metrics: around.metrics.clone(),
        }
    }

    /// Waits so long, or until the end: then the last tries follow each other quickly.
    async fn pause(&self, clock: &Clock, time: Duration) {
        if self.ending.is_cancelled() {
            return clock.sleep(time.min(LAST_PAUSE)).await;
        }
        tokio::select! {
            () = self.ending.cancelled() => {}
            () = clock.sleep(time) => {}
        }
    }

    /// The next ones; `None`: the server ends, and nothing is left of what was told.
    async fn next(&mut self) -> Option<Arc<[Event]>> {
        loop {
            let heard = tokio::select! {
                biased;
                heard = self.events.recv() => heard,
                () = self.ending.cancelled() => return None,
            };
            match heard {
                Ok(events) => return Some(events),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "a collector is too slow: events are left out");
                    self.metrics.count_dropped_log_lines(missed);
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
