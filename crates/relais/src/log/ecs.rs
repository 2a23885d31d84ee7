//! Events with the names of the Elastic Common Schema (ECS 8.11), for SIEMs that know them:
//! `email.*`, `source.*`, `tls.*`, `event.*`; what SMTP has and ECS has not stands below `relais.*`
//! with our own names.
//!
//! Not here: our own JSON (`relais_store::trace::Event::to_json`).

use relais_smtp::time::Timestamp;
use relais_store::trace::{Event, EventKind, To};
use serde_json::{Map, Value, json};

use crate::words;

/// The version whose names are used.
const ECS_VERSION: &str = "8.11.0";

/// One event, one line.
pub(super) fn line(event: &Event, hostname: &str) -> String {
    let mut root = head(event.time, hostname, "relais.trace");
    let mut put = |path: &[&str], value: Value| insert(&mut root, path, value);
    put(&["message"], json!(words::line(event)));
    put(&["event", "kind"], json!(kind(event.kind)));
    put(&["event", "category"], json!(categories(event.kind)));
    put(&["event", "action"], json!(event.kind.name()));
    put(&["event", "outcome"], json!(outcome(event.kind)));
    put(&["event", "code"], json!(event.token.as_deref()));
    put(&["event", "reason"], json!(event.reply.as_deref()));
    let nanos = event
        .duration_ms
        .map(|millis| millis.saturating_mul(1_000_000));
    put(&["event", "duration"], json!(nanos));
    of_message(event, &mut put);
    of_peers(event, &mut put);
    let own = [
        ("status", json!(event.kind.status())),
        (
            "reference",
            json!(event.reference.map(|one| one.to_string())),
        ),
        (
            "inbound_connector",
            json!(event.inbound_connector.as_deref()),
        ),
        (
            "outbound_connector",
            json!(event.outbound_connector.as_deref()),
        ),
        ("detail", json!(event.detail.as_deref())),
        ("attempts", json!(event.attempts)),
        (
            "next_attempt",
            json!(event.next_attempt.map(Timestamp::to_rfc3339)),
        ),
        ("settings_version", json!(event.settings_version)),
        ("repairs", list(event.repairs.iter().copied())),
        ("signed_by", list(event.signed_by.iter().map(|one| &**one))),
    ];
    for (name, value) in own {
        put(&["relais", name], value);
    }
    Value::Object(root).to_string()
}

/// What every line has; `dataset` says what kind of line it is.
pub(super) fn head(time: Timestamp, hostname: &str, dataset: &str) -> Map<String, Value> {
    let mut root = Map::new();
    for (path, value) in [
        (&["@timestamp"][..], json!(time.to_rfc3339())),
        (&["ecs", "version"], json!(ECS_VERSION)),
        (&["event", "module"], json!("relais")),
        (&["event", "dataset"], json!(dataset)),
        (&["observer", "product"], json!("Relais")),
        (&["observer", "type"], json!("mail-relay")),
        (&["observer", "version"], json!(env!("CARGO_PKG_VERSION"))),
        (&["observer", "hostname"], json!(hostname)),
    ] {
        insert(&mut root, path, value);
    }
    root
}

/// Below objects that are made on the way; what is not known is left out.
pub(super) fn insert(root: &mut Map<String, Value>, path: &[&str], value: Value) {
    let (Some((last, above)), false) = (path.split_last(), value.is_null()) else {
        return;
    };
    let mut place = root;
    for name in above {
        let inner = place.entry(*name).or_insert_with(|| json!({}));
        let Value::Object(inner) = inner else {
            return;
        };
        place = inner;
    }
    place.insert((*last).to_owned(), value);
}

fn of_message(event: &Event, put: &mut impl FnMut(&[&str], Value)) {
    put(
        &["email", "local_id"],
        json!(event.queue_id.map(|id| id.to_string())),
    );
    put(&["email", "subject"], json!(event.subject.as_deref()));
    let from = event.header_from.as_deref().map(|one| [one]);
    put(&["email", "from", "address"], json!(from));
    put(
        &["email", "sender", "address"],
        json!(event.from.as_deref()),
    );
    let to = match &event.to {
        Some(To::One(one)) => json!([&**one]),
        Some(To::Many(many)) => list(many.iter().map(|one| &**one)),
        None => Value::Null,
    };
    put(&["email", "to", "address"], to);
    put(&["network", "protocol"], json!("smtp"));
    put(&["network", "bytes"], json!(event.size));
    put(
        &["organization", "name"],
        json!(event.organisation.as_deref()),
    );
}

fn of_peers(event: &Event, put: &mut impl FnMut(&[&str], Value)) {
    if let Some(client) = event.client.as_deref() {
        put(&["source", "ip"], json!(client.address.to_string()));
        put(&["source", "domain"], json!(client.helo.as_deref()));
        put(&["user", "name"], json!(client.credential.as_deref()));
        put(
            &["tls", "client", "server_name"],
            json!(client.certificate.as_deref()),
        );
    }
    if let Some((host, address, port)) = event.next_hop.as_deref().and_then(next_hop) {
        put(&["destination", "domain"], json!(host));
        put(&["destination", "ip"], json!(address));
        put(&["destination", "port"], json!(port));
    }
    if let Some(tls) = event.tls.as_deref() {
        put(&["tls", "version"], json!(&*tls.version));
        put(&["tls", "version_protocol"], json!("tls"));
        put(&["tls", "cipher"], json!(&*tls.cipher));
        put(&["relais", "tls_verified"], json!(&*tls.verified));
    }
}

/// `mx.example.org[192.0.2.1]:25`
fn next_hop(text: &str) -> Option<(&str, &str, u16)> {
    let (host, rest) = text.split_once('[')?;
    let (address, port) = rest.rsplit_once("]:")?;
    Some((host, address, port.parse().ok()?))
}

/// Null where there is nothing.
fn list<'a>(values: impl Iterator<Item = &'a str>) -> Value {
    let values: Vec<_> = values.collect();
    if values.is_empty() {
        Value::Null
    } else {
        json!(values)
    }
}

/// `event.kind`.
const fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::AlertRaised => "alert",
        _ => "event",
    }
}

/// `event.category`.
const fn categories(kind: EventKind) -> &'static [&'static str] {
    match kind {
        EventKind::ConnectionRefused => &["network", "email"],
        EventKind::AuthFailed => &["authentication", "email"],
        EventKind::SettingsChanged | EventKind::EntityRestricted | EventKind::EntityReleased => {
            &["configuration"]
        }
        EventKind::CheckChanged | EventKind::AlertRaised => &["host"],
        _ => &["email"],
    }
}

/// `event.outcome`.
const fn outcome(kind: EventKind) -> &'static str {
    match kind {
        EventKind::MessageAccepted
        | EventKind::RecipientDelivered
        | EventKind::NoticeSent
        | EventKind::NoticeReceived
        | EventKind::MessageRepaired
        | EventKind::SettingsChanged
        | EventKind::EntityReleased => "success",
        EventKind::ConnectionRefused
        | EventKind::AttemptRefused
        | EventKind::AuthFailed
        | EventKind::RecipientDeferred
        | EventKind::RecipientFailed
        | EventKind::RecipientExpired
        | EventKind::RecipientDiscarded => "failure",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use relais_smtp::identifier::QueueId;
    use relais_store::trace::{ClientSummary, TlsSummary};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_123);

    #[test]
    fn what_ecs_has_a_name_for_bears_it_and_the_rest_stands_below_our_own() {
        let event = Event {
            queue_id: Some(QueueId::new(NOW, 0, 1)),
            organisation: Some("contoso".into()),
            client: Some(Arc::new(ClientSummary {
                address: "10.1.2.9".parse().expect("an address"),
                helo: Some("scan2".into()),
                credential: Some("scan-1".into()),
                certificate: None,
            })),
            from: Some("scan@contoso.test".into()),
            to: Some(To::One("b@example.org".into())),
            subject: Some("\u{1b}[2J".into()),
            size: Some(4_096),
            next_hop: Some("mx.example.org[2001:db8::1]:25".into()),
            tls: Some(Arc::new(TlsSummary {
                version: "1.3".into(),
                cipher: "TLS_AES_256_GCM_SHA384".into(),
                verified: "dane".into(),
            })),
            duration_ms: Some(41),
            reply: Some("250 2.0.0 ok".into()),
            ..Event::new(NOW, EventKind::RecipientDelivered)
        };
        let text = line(&event, "relay.contoso.test");
        assert!(!text.contains('\u{1b}') && !text.contains('\n'), "{text}");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        for (path, expected) in [
            ("/@timestamp", json!("2026-11-24T10:00:00.123Z")),
            ("/ecs/version", json!("8.11.0")),
            ("/event/action", json!("recipient.delivered")),
            ("/event/category/0", json!("email")),
            ("/event/outcome", json!("success")),
            ("/event/duration", json!(41_000_000)),
            ("/event/dataset", json!("relais.trace")),
            ("/email/sender/address", json!("scan@contoso.test")),
            ("/email/to/address/0", json!("b@example.org")),
            ("/source/ip", json!("10.1.2.9")),
            ("/user/name", json!("scan-1")),
            ("/destination/ip", json!("2001:db8::1")),
            ("/destination/port", json!(25)),
            ("/tls/version", json!("1.3")),
            ("/organization/name", json!("contoso")),
            ("/observer/hostname", json!("relay.contoso.test")),
            ("/relais/status", json!("delivered")),
            ("/relais/tls_verified", json!("dane")),
        ] {
            assert_eq!(value.pointer(path), Some(&expected), "{path}: {text}");
        }
        assert_eq!(
            value.pointer("/event/code"),
            None,
            "what is not known is absent"
        );
    }
}
