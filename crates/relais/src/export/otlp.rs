//! Traces of OpenTelemetry, by OTLP over HTTP in JSON (opentelemetry-proto 1.3, *JSON Protobuf
//! Encoding*): one trace a message, one span for each stage that an event tells of. What had a
//! duration has one, the rest are points in time.
//!
//! No address, no subject and no name of a person leaves in a span: a collector is a place for
//! operators. Both ids follow from the queue id, so that every stage finds its trace, also after a
//! restart.

use std::time::Duration;

use relais_net::clock::Clock;
use relais_net::web::hooks::{HookRequest, Hooks};
use relais_store::trace::{Event, EventKind};
use serde_json::{Value, json};

use super::Live;

/// Spans of one post.
const BATCH_MAX: usize = 512;
/// Spans that wait for a collector that is not there; older ones are left out.
const WAITING_MAX: usize = 8_192;
/// How long a span waits for others.
const PAUSE: Duration = Duration::from_secs(2);
/// `SPAN_KIND_*`.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// Where they go.
pub(super) struct Collector {
    pub(super) endpoint: String,
    pub(super) hostname: String,
    pub(super) hooks: Hooks,
    pub(super) clock: Clock,
}

impl Collector {
    pub(super) async fn run(self, mut live: Live) {
        let (mut waiting, mut count) = (Vec::new(), 0);
        let mut next = self.clock.moment() + PAUSE;
        loop {
            tokio::select! {
                heard = live.next() => match heard {
                    Some(events) => {
                        waiting.extend(events.iter().filter_map(|event| span(event, &mut count)));
                        let excess = waiting.len().saturating_sub(WAITING_MAX);
                        waiting.drain(..excess);
                    }
                    None => return self.post(&mut waiting).await,
                },
                () = self.clock.sleep_until(next) => {
                    self.post(&mut waiting).await;
                    next = self.clock.moment() + PAUSE;
                }
            }
        }
    }

    /// All that waits, or as much as the collector takes.
    async fn post(&self, waiting: &mut Vec<Value>) {
        while !waiting.is_empty() {
            let count = waiting.len().min(BATCH_MAX);
            let request = HookRequest {
                address: self.endpoint.clone(),
                media_type: "application/json",
                headers: Vec::new(),
                body: self.request(&waiting[..count]).to_string().into_bytes(),
                // Who runs the machine names it; most collectors stand beside us.
                allow_private: true,
            };
            match self.hooks.post(request).await {
                Ok(answer) if (200..300).contains(&answer.status) => drop(waiting.drain(..count)),
                // It will never take these.
                Ok(answer) if (400..500).contains(&answer.status) && answer.status != 429 => {
                    let status = answer.status;
                    tracing::warn!(status, "the OTLP collector refuses spans");
                    waiting.drain(..count);
                }
                Ok(answer) => {
                    let status = answer.status;
                    return tracing::warn!(status, "the OTLP collector takes no spans now");
                }
                Err(error) => {
                    return tracing::warn!(%error, "the OTLP collector cannot be reached");
                }
            }
        }
    }

    fn request(&self, spans: &[Value]) -> Value {
        let resource = [
            text("service.name", "relais"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("host.name", &self.hostname),
        ];
        json!({"resourceSpans": [{
            "resource": {"attributes": resource},
            "scopeSpans": [{"scope": {"name": "relais"}, "spans": spans}]
        }]})
    }
}

/// The span of an event; `None`: it belongs to no message.
fn span(event: &Event, count: &mut u64) -> Option<Value> {
    let message = event.queue_id?.as_i64().cast_unsigned();
    let root = mixed(message);
    let id = if event.kind == EventKind::MessageAccepted {
        root
    } else {
        *count += 1;
        mixed(message ^ nanos(event).rotate_left(17) ^ *count)
    };
    let end = nanos(event);
    let took = event.duration_ms.unwrap_or(0).saturating_mul(1_000_000);
    let mut span = json!({
        "traceId": format!("{:016x}{:016x}", mixed(!message), mixed(message.rotate_left(32))),
        "spanId": format!("{id:016x}"),
        "name": event.kind.name(),
        "kind": kind(event.kind),
        "startTimeUnixNano": end.saturating_sub(took).to_string(),
        "endTimeUnixNano": end.to_string(),
        "attributes": attributes(event),
    });
    if id != root {
        span["parentSpanId"] = json!(format!("{root:016x}"));
    }
    if let Some(words) = failure(event) {
        span["status"] = json!({"code": ERROR, "message": words});
    }
    Some(span)
}

fn nanos(event: &Event) -> u64 {
    let millis = u64::try_from(event.time.as_millis()).unwrap_or(0);
    millis.saturating_mul(1_000_000)
}

/// Bits without order from bits in order: SplitMix64. Never zero, which is no id.
fn mixed(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)).max(1)
}

const fn kind(kind: EventKind) -> u8 {
    match kind {
        EventKind::MessageAccepted => SERVER,
        EventKind::DeliveryAttempted => CLIENT,
        _ => INTERNAL,
    }
}

/// Only the code: the words of a reply may name a person.
fn failure(event: &Event) -> Option<&str> {
    match event.kind {
        EventKind::RecipientFailed | EventKind::RecipientExpired | EventKind::RecipientDeferred => {
            Some(code(event).unwrap_or(event.kind.name()))
        }
        _ => None,
    }
}

fn code(event: &Event) -> Option<&str> {
    let code = event.reply.as_deref()?.get(..3)?;
    code.bytes()
        .all(|digit| digit.is_ascii_digit())
        .then_some(code)
}

fn attributes(event: &Event) -> Vec<Value> {
    let queue_id = event.queue_id.map(|id| id.to_string());
    let tls = event.tls.as_deref();
    let texts = [
        ("relais.queue_id", queue_id.as_deref()),
        ("relais.organisation", event.organisation.as_deref()),
        (
            "relais.inbound_connector",
            event.inbound_connector.as_deref(),
        ),
        (
            "relais.outbound_connector",
            event.outbound_connector.as_deref(),
        ),
        ("relais.token", event.token.as_deref()),
        ("server.address", event.next_hop.as_deref()),
        ("smtp.reply_code", code(event)),
        ("tls.protocol.version", tls.map(|tls| &*tls.version)),
    ];
    let known = texts.into_iter();
    let mut all: Vec<_> = known
        .filter_map(|(key, value)| Some(text(key, value?)))
        .collect();
    if let Some(size) = event.size {
        all.push(json!({"key": "relais.size", "value": {"intValue": size.to_string()}}));
    }
    all
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}
