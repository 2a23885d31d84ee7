//! Counters and gauges for Prometheus, fed by the store's observer: one call per stored event.
//!
//! No address and no name of a person is ever a label, and every label has a bounded set of values:
//! connectors, tokens, kinds of events.
//!
//! Not here: the address that serves them (`api/probes`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use relais_smtp::time::Timestamp;
use relais_store::queue::QueueCounts;
use relais_store::trace::{Event, EventKind, To};

/// Upper ends of the delivery histogram in seconds: from a LAN smart host to RFC 5321's
/// ten minutes after the end of data (§4.5.3.2.6).
const DURATION_SECONDS: [f64; 11] = [
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0,
];
/// Label where there is no connector: strangers' mail, our own notices.
const NO_CONNECTOR: &str = "none";
/// Label of delivery without an outbound connector: by MX, or to a mailbox host.
const BUILT_IN_ROUTE: &str = "built-in";
/// Label of results without an attempt: held or dropped by a person, expired.
const NO_ROUTE: &str = "none";

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ConnectorLabel {
    connector: Arc<str>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReasonLabel {
    reason: Arc<str>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DeliveryLabels {
    route: Arc<str>,
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct EventLabel {
    event: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct VersionLabel {
    version: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TlsLabels {
    direction: &'static str,
    version: Arc<str>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CheckLabel {
    check: Arc<str>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ListenerLabel {
    listener: String,
}

/// Whether the numbers of the queue are complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counted {
    /// Yes.
    Whole,
    /// The store was opened a moment ago, and still reads.
    Partly,
}

/// All counters of one server. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    accepted: Family<ConnectorLabel, Counter>,
    rejects: Family<ReasonLabel, Counter>,
    deliveries: Family<DeliveryLabels, Counter>,
    delivery_seconds: Histogram,
    events: Family<EventLabel, Counter>,
    queue: Family<StateLabel, Gauge>,
    oldest_age: Gauge<f64, AtomicU64>,
    connections: Gauge,
    certificate_ends: Family<ListenerLabel, Gauge>,
    tls: Family<TlsLabels, Counter>,
    auth_failures: Family<ReasonLabel, Counter>,
    checks: Family<CheckLabel, Gauge>,
    unaccounted: Gauge,
    log_lines_dropped: Counter,
    /// Events before this time were counted by the process before us.
    started: Timestamp,
    /// Recipients promised and not told the end of: in the queue at start, plus accepted, minus
    /// ended.
    owed: AtomicI64,
}

impl Metrics {
    /// All zero. `started`: now; older events that the store tells again after a crash do not count
    /// in the balance.
    pub fn new(started: Timestamp) -> Self {
        let mut registry = Registry::with_prefix("relais");
        let build = Family::<VersionLabel, Gauge>::default();
        build
            .get_or_create(&VersionLabel {
                version: env!("CARGO_PKG_VERSION"),
            })
            .set(1);
        registry.register("build_info", "The running version", build);
        let mut inner = Inner {
            registry: Registry::default(),
            accepted: Family::default(),
            rejects: Family::default(),
            deliveries: Family::default(),
            delivery_seconds: Histogram::new(DURATION_SECONDS),
            events: Family::default(),
            queue: Family::default(),
            oldest_age: Gauge::default(),
            connections: Gauge::default(),
            certificate_ends: Family::default(),
            tls: Family::default(),
            auth_failures: Family::default(),
            checks: Family::default(),
            unaccounted: Gauge::default(),
            log_lines_dropped: Counter::default(),
            started,
            owed: AtomicI64::new(0),
        };
        inner.register(&mut registry);
        inner.registry = registry;
        // Is there from the start, for the same reason as below.
        let reason = "AUTH-BAD".into();
        let _ = inner.auth_failures.get_or_create(&ReasonLabel { reason });
        for kind in EventKind::ALL {
            // Each kind is there from the start, so that a rate over it is never missing.
            let _ = inner
                .events
                .get_or_create(&EventLabel { event: kind.name() });
        }
        Self(Arc::new(inner))
    }

    /// The balance begins with what was in the queue when the store was opened: to be called once,
    /// right after.
    pub fn begin_balance(&self, recipients_at_open: u64) {
        let recipients = i64::try_from(recipients_at_open).unwrap_or(i64::MAX);
        self.0.owed.fetch_add(recipients, Ordering::Relaxed);
    }

    /// Counts an event. Never blocks, never fails.
    pub fn observe(&self, event: &Event) {
        let inner = &self.0;
        inner
            .events
            .get_or_create(&EventLabel {
                event: event.kind.name(),
            })
            .inc();
        match event.kind {
            EventKind::ConnectionRefused | EventKind::AttemptRefused | EventKind::AuthFailed => {
                let reason = event.token.clone().unwrap_or_else(|| NO_CONNECTOR.into());
                let label = ReasonLabel { reason };
                if event.kind == EventKind::AuthFailed {
                    inner.auth_failures.get_or_create(&label).inc();
                }
                inner.rejects.get_or_create(&label).inc();
            }
            EventKind::MessageAccepted => {
                let connector = event.inbound_connector.clone();
                let connector = connector.unwrap_or_else(|| NO_CONNECTOR.into());
                inner
                    .accepted
                    .get_or_create(&ConnectorLabel { connector })
                    .inc();
                inner.spoke(event, "in");
                inner.owe(event, recipients(event));
            }
            EventKind::DeliveryAttempted => {
                inner.spoke(event, "out");
                if let Some(millis) = event.duration_ms {
                    let millis = u32::try_from(millis).unwrap_or(u32::MAX);
                    inner.delivery_seconds.observe(f64::from(millis) / 1_000.0);
                }
            }
            EventKind::RecipientDelivered => inner.ended(event, "delivered"),
            EventKind::RecipientFailed => inner.ended(event, "failed"),
            EventKind::RecipientExpired => inner.ended(event, "expired"),
            EventKind::RecipientDiscarded => inner.ended(event, "discarded"),
            EventKind::RecipientDeferred => inner.result(event, "deferred"),
            EventKind::RecipientHeld => inner.result(event, "held"),
            // A notice is a message of its own, with its own `message.accepted`.
            EventKind::NoticeSent
            | EventKind::MessageRepaired
            | EventKind::NoticeReceived
            | EventKind::EntityRestricted
            | EventKind::EntityReleased
            | EventKind::CheckChanged
            | EventKind::AlertRaised
            | EventKind::SettingsChanged => {}
        }
    }

    /// SMTP connections open now.
    pub fn set_connections(&self, connections: usize) {
        self.0
            .connections
            .set(i64::try_from(connections).unwrap_or(i64::MAX));
    }

    /// When the certificate of this listener ends.
    pub fn set_certificate_end(&self, listener: SocketAddr, not_after: Timestamp) {
        let listener = listener.to_string();
        self.0
            .certificate_ends
            .get_or_create(&ListenerLabel { listener })
            .set(not_after.as_millis() / 1_000);
    }

    /// How the last self-checks came out: of each name the gravest.
    pub(crate) fn set_checks(&self, worst: impl IntoIterator<Item = (Arc<str>, i64)>) {
        self.0.checks.clear();
        for (check, state) in worst {
            let label = CheckLabel { check };
            self.0.checks.get_or_create(&label).set(state);
        }
    }

    /// Log lines that were dropped because standard output was too slow.
    pub fn count_dropped_log_lines(&self, lines: u64) {
        self.0.log_lines_dropped.inc_by(lines);
    }

    /// Recipients that were promised and are neither in the queue nor ended.
    pub(crate) fn unaccounted(&self, counts: &QueueCounts) -> u64 {
        let owed = self.0.owed.load(Ordering::Relaxed);
        owed.abs_diff(in_queue(counts))
    }

    /// The OpenMetrics text.
    pub fn render(&self, counts: &QueueCounts, counted: Counted, now: Timestamp) -> String {
        let inner = &self.0;
        for (state, number) in [
            ("queued", counts.queued),
            ("deferred", counts.deferred),
            ("held", counts.held),
        ] {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            inner.queue.get_or_create(&StateLabel { state }).set(number);
        }
        let age = counts
            .oldest
            .map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
        inner.oldest_age.set(age);
        // Before the whole queue is counted there is no balance to tell.
        if counted == Counted::Whole {
            let owed = inner.owed.load(Ordering::Relaxed);
            inner.unaccounted.set(owed - in_queue(counts));
        }
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &inner.registry);
        text
    }
}

impl Inner {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "messages_accepted",
            "Messages taken into the queue, by inbound connector; our own notices and strangers have none",
            self.accepted.clone(),
        );
        registry.register(
            "smtpd_rejects",
            "Refused connections and commands, by token of the reply",
            self.rejects.clone(),
        );
        registry.register(
            "deliveries",
            "Results per recipient, by outbound connector",
            self.deliveries.clone(),
        );
        registry.register(
            "delivery_duration_seconds",
            "How long an attempt took, from dialling to the last reply",
            self.delivery_seconds.clone(),
        );
        registry.register("events", "Trace events, by kind", self.events.clone());
        registry.register(
            "queue_messages",
            "Recipients in the queue, by state",
            self.queue.clone(),
        );
        registry.register(
            "queue_oldest_age_seconds",
            "Age of the oldest message in the queue",
            self.oldest_age.clone(),
        );
        registry.register(
            "connections",
            "SMTP connections open now",
            self.connections.clone(),
        );
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the certificate of a listener ends; absent where it has none",
            self.certificate_ends.clone(),
        );
        registry.register(
            "tls_sessions",
            "Messages taken (in) and attempts made (out), by version of TLS; none: in clear",
            self.tls.clone(),
        );
        registry.register(
            "auth_failures",
            "Failed logins, by token of the reply",
            self.auth_failures.clone(),
        );
        registry.register(
            "check_state",
            "Self-checks as they came out last: 0 unknown, 1 well, 2 advice, 3 wrong",
            self.checks.clone(),
        );
        registry.register(
            "unaccounted_recipients",
            "Accepted recipients that are neither in the queue nor ended: 0 whenever traffic rests",
            self.unaccounted.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Log lines dropped because standard output was too slow",
            self.log_lines_dropped.clone(),
        );
    }

    fn result(&self, event: &Event, result: &'static str) {
        let built_in = if event.next_hop.is_some() {
            BUILT_IN_ROUTE
        } else {
            NO_ROUTE
        };
        let route = event
            .outbound_connector
            .clone()
            .unwrap_or_else(|| built_in.into());
        self.deliveries
            .get_or_create(&DeliveryLabels { route, result })
            .inc();
    }

    fn spoke(&self, event: &Event, direction: &'static str) {
        let version = event.tls.as_ref().map(|tls| Arc::clone(&tls.version));
        let version = version.unwrap_or_else(|| "none".into());
        let label = TlsLabels { direction, version };
        self.tls.get_or_create(&label).inc();
    }

    fn ended(&self, event: &Event, result: &'static str) {
        self.result(event, result);
        self.owe(event, -recipients(event));
    }

    fn owe(&self, event: &Event, recipients: i64) {
        if event.time >= self.started {
            self.owed.fetch_add(recipients, Ordering::Relaxed);
        }
    }
}

fn recipients(event: &Event) -> i64 {
    match &event.to {
        Some(To::One(_)) => 1,
        Some(To::Many(many)) => i64::try_from(many.len()).unwrap_or(i64::MAX),
        None => 0,
    }
}

fn in_queue(counts: &QueueCounts) -> i64 {
    i64::try_from(counts.queued + counts.deferred + counts.held).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

    fn event(kind: EventKind, to: &[&str]) -> Event {
        let to = match to {
            [] => None,
            [one] => Some(To::One((*one).into())),
            many => Some(To::Many(many.iter().map(|one| (*one).into()).collect())),
        };
        Event {
            to,
            ..Event::new(NOW, kind)
        }
    }

    #[test]
    fn every_kind_of_event_is_counted_from_the_start() {
        let text = Metrics::new(NOW).render(&QueueCounts::default(), Counted::Whole, NOW);
        for kind in EventKind::ALL {
            let line = format!("relais_events_total{{event=\"{}\"}} 0", kind.name());
            assert!(text.contains(&line), "{line}\n{text}");
        }
        assert!(text.contains("relais_build_info{version="));
        assert!(text.contains("relais_connections 0"));
    }

    #[test]
    fn the_balance_of_promises_reads_zero_only_when_all_are_accounted_for() {
        let metrics = Metrics::new(NOW);
        metrics.begin_balance(1);
        metrics.observe(&event(
            EventKind::MessageAccepted,
            &["a@b.example", "c@b.example"],
        ));
        metrics.observe(&event(EventKind::RecipientDelivered, &["a@b.example"]));
        let counts = QueueCounts {
            queued: 1,
            deferred: 1,
            ..QueueCounts::default()
        };
        assert!(
            metrics
                .render(&counts, Counted::Whole, NOW)
                .contains("relais_unaccounted_recipients 0")
        );
        let lost = QueueCounts {
            deferred: 1,
            ..QueueCounts::default()
        };
        assert!(
            metrics
                .render(&lost, Counted::Whole, NOW)
                .contains("relais_unaccounted_recipients 1")
        );
    }

    #[test]
    fn events_of_the_process_before_do_not_count_in_the_balance() {
        let metrics = Metrics::new(NOW);
        let mut old = event(EventKind::MessageAccepted, &["a@b.example"]);
        old.time = Timestamp::from_millis(NOW.as_millis() - 1);
        metrics.observe(&old);
        let text = metrics.render(&QueueCounts::default(), Counted::Whole, NOW);
        assert!(text.contains("relais_unaccounted_recipients 0"));
        assert!(text.contains("relais_messages_accepted_total{connector=\"none\"} 1"));
    }

    #[test]
    fn results_refusals_and_durations_have_their_labels() {
        let metrics = Metrics::new(NOW);
        let mut refused = event(EventKind::AttemptRefused, &["a@b.example"]);
        refused.token = Some("SRC-UNKNOWN".into());
        metrics.observe(&refused);
        let mut delivered = event(EventKind::RecipientDelivered, &["a@b.example"]);
        delivered.outbound_connector = Some("Smart".into());
        metrics.observe(&delivered);
        let mut attempted = event(EventKind::DeliveryAttempted, &[]);
        attempted.duration_ms = Some(41);
        metrics.observe(&attempted);
        let text = metrics.render(&QueueCounts::default(), Counted::Whole, NOW);
        for line in [
            "relais_smtpd_rejects_total{reason=\"SRC-UNKNOWN\"} 1",
            "relais_deliveries_total{route=\"Smart\",result=\"delivered\"} 1",
            "relais_delivery_duration_seconds_bucket{le=\"0.05\"} 1",
            "relais_delivery_duration_seconds_sum 0.041",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("a@b.example"));
    }
}
