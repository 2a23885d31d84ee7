//! Events on their way to other programs: syslog over TLS, OpenTelemetry. Each follows what the
//! store tells live, and never makes mail wait: what it cannot keep up with is left out and
//! counted. The trace has everything.
//!
//! Not here: standard output (`log`), webhooks (`relais-admin`).

mod otlp;
mod syslog;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::{CancellationToken, DropGuard};

use relais_admin::metrics::Metrics;
use relais_net::clock::Clock;
use relais_net::network::Network;
use relais_net::tls::ClientTls;
use relais_net::web::hooks::Hooks;
use relais_store::store::Store;
use relais_store::trace::Event;

use crate::config::Config;

/// What runs as long as it is kept.
pub(crate) struct Exports {
    _running: DropGuard,
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
    let closing = CancellationToken::new();
    if let Some(syslog) = &config.syslog {
        let collector = syslog::Collector {
            config: syslog.clone(),
            hostname: config.hostname.clone(),
            network: around.network.clone(),
            tls: around.tls.clone(),
            clock: around.clock.clone(),
        };
        spawn(&closing, collector.run(Live::of(around)));
    }
    if let Some(endpoint) = &config.otlp {
        let collector = otlp::Collector {
            endpoint: endpoint.clone(),
            hostname: config.hostname.clone(),
            hooks: around.hooks.clone(),
            clock: around.clock.clone(),
        };
        spawn(&closing, collector.run(Live::of(around)));
    }
    Exports {
        _running: closing.drop_guard(),
    }
}

/// Until the server ends.
fn spawn(closing: &CancellationToken, export: impl Future<Output = ()> + Send + 'static) {
    let closing = closing.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = closing.cancelled() => {}
            () = export => {}
        }
    });
}

/// Events as they happen.
struct Live {
    events: Receiver<Arc<[Event]>>,
    metrics: Metrics,
}

impl Live {
    fn of(around: &Surroundings) -> Self {
        Self {
            events: around.store.live(),
            metrics: around.metrics.clone(),
        }
    }

    /// The next ones; `None`: the server ends.
    async fn next(&mut self) -> Option<Arc<[Event]>> {
        loop {
            match self.events.recv().await {
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
