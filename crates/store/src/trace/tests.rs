//! Golden JSON of every kind of event, reading it back, and the tokens of a search.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use relais_smtp::identifier::{QueueId, Reference};
use relais_smtp::time::Timestamp;
use serde_json::Value;

use super::terms::Keys;
use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_123);

fn some(text: &str) -> Option<Arc<str>> {
    Some(Arc::from(text))
}

fn event(kind: EventKind) -> Event {
    Event::new(NOW, kind)
}

fn client(address: &str) -> Option<Arc<ClientSummary>> {
    Some(Arc::new(ClientSummary {
        address: address.parse().unwrap(),
        helo: some("scan2"),
        credential: None,
        certificate: None,
    }))
}

fn of_message(kind: EventKind) -> Event {
    Event {
        queue_id: Some(QueueId::new(NOW, 1, 7)),
        organisation: some("contoso"),
        inbound_connector: some("Printers"),
        client: client("10.1.2.9"),
        from: some("scan@contoso.test"),
        header_from: some("scan@contoso.test"),
        subject: some("Scan from floor 2"),
        size: Some(4_096),
        ..event(kind)
    }
}

fn of_recipient(kind: EventKind) -> Event {
    Event {
        to: Some(To::One(Arc::from("b@example.org"))),
        outbound_connector: some("Microsoft 365"),
        next_hop: some("mx.example.org[192.0.2.1]:25"),
        duration_ms: Some(41),
        attempts: Some(1),
        ..of_message(kind)
    }
}

fn tls(verified: &str) -> Option<Arc<TlsSummary>> {
    Some(Arc::new(TlsSummary {
        version: Arc::from("1.3"),
        cipher: Arc::from("TLS_AES_256_GCM_SHA384"),
        verified: Arc::from(verified),
    }))
}

fn refused(kind: EventKind, token: &str, reply: &str) -> Event {
    Event {
        reference: Some("7F3K2".parse().unwrap()),
        client: client("192.0.2.77"),
        token: some(token),
        reply: some(reply),
        ..event(kind)
    }
}

/// One example of each kind, and the name of its golden file.
fn example(kind: EventKind) -> (&'static str, Event) {
    let unknown = "550 5.7.1 Sender domain not verified: fabrikam.test (FROM-DOMAIN 7F3K2)";
    match kind {
        EventKind::ConnectionRefused => (
            "01-connection-refused",
            refused(
                kind,
                "CONN-RATE",
                "421 4.7.0 Too many connections (CONN-RATE 7F3K2)",
            ),
        ),
        EventKind::AttemptRefused => (
            "02-attempt-refused",
            Event {
                from: some("a@fabrikam.test"),
                to: Some(To::Many(vec![Arc::from("b@example.org")])),
                ..refused(kind, "FROM-DOMAIN", unknown)
            },
        ),
        EventKind::AuthFailed => (
            "03-auth-failed",
            refused(
                kind,
                "AUTH-BAD",
                "535 5.7.8 Wrong user or password (AUTH-BAD 7F3K2)",
            ),
        ),
        EventKind::MessageAccepted => (
            "04-message-accepted",
            Event {
                to: Some(To::Many(vec![
                    Arc::from("b@example.org"),
                    Arc::from("c@example.org"),
                ])),
                duration_ms: Some(12),
                settings_version: Some(3),
                ..of_message(kind)
            },
        ),
        EventKind::MessageRepaired => (
            "05-message-repaired",
            Event {
                to: Some(To::Many(vec![Arc::from("b@example.org")])),
                repairs: vec!["date", "message-id"],
                ..of_message(kind)
            },
        ),
        EventKind::DeliveryAttempted => (
            "06-delivery-attempted",
            Event {
                to: Some(To::Many(vec![
                    Arc::from("b@example.org"),
                    Arc::from("c@example.org"),
                ])),
                tls: tls("certificate"),
                attempts: None,
                signed_by: vec!["contoso.test".into()],
                ..of_recipient(kind)
            },
        ),
        EventKind::RecipientDelivered => (
            "07-recipient-delivered",
            Event {
                reply: some("250 2.0.0 ok"),
                tls: tls("dane"),
                ..of_recipient(kind)
            },
        ),
        EventKind::RecipientDeferred => (
            "08-recipient-deferred",
            Event {
                reply: some("451 4.7.1 \"Greylisted\"; try C:\\later"),
                next_attempt: Some(Timestamp::from_millis(NOW.as_millis() + 60_000)),
                ..of_recipient(kind)
            },
        ),
        EventKind::RecipientFailed => (
            "09-recipient-failed",
            Event {
                reply: some("550 5.1.1 No such user"),
                ..of_recipient(kind)
            },
        ),
        EventKind::RecipientExpired => (
            "10-recipient-expired",
            Event {
                detail: some("not delivered within 24 h"),
                ..of_recipient(kind)
            },
        ),
        EventKind::RecipientHeld => (
            "11-recipient-held",
            Event {
                detail: some("held by root"),
                next_hop: None,
                ..of_recipient(kind)
            },
        ),
        EventKind::RecipientDiscarded => (
            "12-recipient-discarded",
            Event {
                detail: some("deleted by root"),
                next_hop: None,
                ..of_recipient(kind)
            },
        ),
        EventKind::NoticeSent => (
            "13-notice-sent",
            Event {
                queue_id: Some(QueueId::new(NOW, 1, 8)),
                organisation: some("contoso"),
                from: some(""),
                to: Some(To::Many(vec![Arc::from("scan@contoso.test")])),
                subject: some("Non remis : numérisation"),
                ..event(kind)
            },
        ),
        EventKind::NoticeReceived => (
            "14-notice-received",
            Event {
                client: Some(Arc::new(ClientSummary {
                    address: "2001:db8::25".parse().unwrap(),
                    helo: some("mx.example.org"),
                    credential: None,
                    certificate: some("mx.example.org"),
                })),
                inbound_connector: None,
                from: some(""),
                to: Some(To::Many(vec![Arc::from("scan@contoso.test")])),
                ..of_message(kind)
            },
        ),
        EventKind::EntityRestricted => (
            "18-entity-restricted",
            Event {
                organisation: some("contoso"),
                inbound_connector: some("Printers"),
                detail: some("connector contoso/Printers: bulk mail; by uid 0 (root)"),
                ..event(kind)
            },
        ),
        EventKind::EntityReleased => (
            "19-entity-released",
            Event {
                detail: some("ip 203.0.113.7: was bulk mail; by the clock"),
                ..event(kind)
            },
        ),
        EventKind::CheckChanged => (
            "15-check-changed",
            Event {
                detail: some("disk is attention, was ok: 3.1 GB of 40.0 GB are free."),
                detail_fr: some(
                    "Disque, de «\u{202f}OK\u{202f}» à «\u{202f}Attention\u{202f}»\u{202f}: 3,1 Go sur 40,0 Go sont libres.",
                ),
                ..event(kind)
            },
        ),
        EventKind::AlertRaised => (
            "16-alert-raised",
            Event {
                detail: some("the oldest message waits 2 h"),
                ..event(kind)
            },
        ),
        EventKind::SettingsChanged => (
            "17-settings-changed",
            Event {
                detail: some("by root over socket\ninbound connector Printers: added"),
                settings_version: Some(4),
                ..event(kind)
            },
        ),
    }
}

fn golden(name: &str, ending: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/events");
    PathBuf::from(format!("{folder}/{name}.{ending}"))
}

#[test]
fn the_json_of_each_event_is_the_golden_one() {
    for kind in EventKind::ALL {
        let (name, event) = example(*kind);
        let json = format!("{}\n", event.to_json());
        let file = golden(name, "out");
        if std::env::var_os("RELAIS_WRITE_GOLDEN").is_some() {
            std::fs::write(&file, &json).unwrap();
        }
        let expected = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(json, expected, "{name}");
        let why = std::fs::read_to_string(golden(name, "why")).unwrap_or_default();
        assert!(!why.trim().is_empty(), "{name} has no .why");
    }
}

/// Keys of an object in the order of the text, objects inside with a dot.
fn keys_in_order(json: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut object = None;
    // The examples have no quotation marks inside values, so every second part is a text.
    for (number, part) in json.split('"').enumerate() {
        let is_key = number % 2 == 1 && json.contains(&format!("\"{part}\":"));
        if number % 2 == 0 && part.contains('}') {
            object = None;
        }
        if is_key {
            keys.push(
                object
                    .as_ref()
                    .map_or(part.to_owned(), |o: &String| format!("{o}.{part}")),
            );
        }
        if number % 2 == 0 && part.ends_with(":{") {
            object = keys.last().cloned();
        }
    }
    keys
}

#[test]
fn every_field_is_written_in_the_order_of_the_reference() {
    let event = Event {
        reference: Some(Reference::from_bits(0)),
        token: some("T"),
        reply: some("R"),
        envelope_sender: some("b1-x@bounce.contoso.test"),
        next_attempt: Some(NOW),
        detail: some("D"),
        settings_version: Some(1),
        signed_by: vec!["contoso.test".into()],
        message_id: some("1@scanner.contoso.test"),
        detail_fr: some("D"),
        tls: tls("no"),
        ..of_recipient(EventKind::RecipientDeferred)
    };
    let expected: Vec<_> = EVENT_FIELDS
        .iter()
        .map(|field| field.name.to_owned())
        .collect();
    assert_eq!(keys_in_order(&event.to_json()), expected);
}

#[test]
fn an_empty_event_has_all_fields_of_the_contract_and_no_others() {
    let json = event(EventKind::CheckChanged).to_json();
    let Value::Object(fields) = serde_json::from_str(&json).unwrap() else {
        panic!("{json}")
    };
    let expected: Vec<_> = EVENT_FIELDS
        .iter()
        .filter(|f| f.presence == Presence::Always && !f.name.contains('.'))
        .map(|field| field.name)
        .collect();
    assert_eq!(fields.len(), expected.len());
    for name in expected {
        assert!(fields.contains_key(name), "{name}");
        let empty = match name {
            "time" | "event" => continue,
            "repairs" => Value::Array(Vec::new()),
            _ => Value::Null,
        };
        assert_eq!(fields[name], empty, "{name}");
    }
}

#[test]
fn what_is_no_event_is_refused() {
    let bad = [
        "",
        "[]",
        "{}",
        r#"{"time":"2026-11-24T10:00:00.123Z"}"#,
        r#"{"time":"yesterday","event":"alert.raised"}"#,
        r#"{"time":"2026-11-24T10:00:00.123Z","event":"message.eaten"}"#,
        r#"{"time":"2026-11-24T10:00:00.123Z","event":"alert.raised","size":-1}"#,
        r#"{"time":"2026-11-24T10:00:00.123Z","event":"alert.raised","to":7}"#,
        r#"{"time":"2026-11-24T10:00:00.123Z","event":"alert.raised","queue_id":"x"}"#,
        r#"{"time":"2026-11-24T10:00:00.123Z","event":"alert.raised","client":{}}"#,
    ];
    for text in bad {
        assert!(Event::from_json(text).is_err(), "{text}");
    }
}

#[test]
fn each_event_is_read_back_as_it_was() {
    for kind in EventKind::ALL {
        let (name, event) = example(*kind);
        assert_eq!(Event::from_json(&event.to_json()), Ok(event), "{name}");
        assert_eq!(EventKind::from_name(kind.name()), Some(*kind));
        assert!(
            kind.help().ends_with('.') && kind.help().len() < 120,
            "{name}"
        );
    }
}

#[test]
fn nothing_that_moves_a_cursor_is_written_raw() {
    let subject = "a\u{0}\u{1b}[2J\u{7f}\u{9b}31m\u{2028}\u{2029}\r\n\t\"\\é€😀\u{a0}";
    let event = Event {
        subject: some(subject),
        ..event(EventKind::MessageAccepted)
    };
    let json = event.to_json();
    assert!(
        json.contains(
            "a\\u0000\\u001b[2J\\u007f\\u009b31m\\u2028\\u2029\\r\\n\\t\\\"\\\\é€😀\u{a0}"
        )
    );
    assert!(
        !json
            .chars()
            .any(|c| c.is_control() || c == '\u{2028}' || c == '\u{2029}')
    );
    assert_eq!(
        Event::from_json(&json).unwrap().subject.as_deref(),
        Some(subject)
    );
}

proptest! {
    #[test]
    fn any_text_and_any_time_are_read_back(
        subject in ".*",
        reply in "\\PC*",
        millis in -62_135_596_800_000_i64..253_402_300_799_000,
    ) {
        let time = Timestamp::from_millis(millis);
        let event = Event {
            subject: some(&subject),
            reply: some(&reply),
            ..Event::new(time, EventKind::RecipientFailed)
        };
        let json = event.to_json();
        let expected = format!("{{\"time\":\"{}\",", time.to_rfc3339());
        prop_assert!(json.starts_with(&expected), "{}", json);
        prop_assert!(!json.contains(|c: char| c.is_control()));
        prop_assert_eq!(Event::from_json(&json), Ok(event));
    }
}

// ---- searching ---------------------------------------------------------------------------------

fn fits(query: &str, event: &Event) -> bool {
    TraceQuery::parse(query)
        .unwrap_or_else(|error| panic!("{query}: {error}"))
        .matches(event)
}

#[test]
fn a_token_that_cannot_be_read_is_named_with_what_would_be_right() {
    let cases = [
        (
            "sender:a@b.test",
            "the token sender: is not known; known are to: from: address: client:",
        ),
        ("Re: hello", "put text with a colon into quotation marks"),
        ("to:", "the token to: has no value"),
        ("to:\"\"", "the token to: has no value"),
        ("subject:\"open", "a quotation mark is not closed"),
        ("to:a*b@example.org", "at the beginning and at the end only"),
        ("status:lost", "known are accepted, delivered, deferred"),
        ("event:message.eaten", "known are connection.refused"),
        ("code:abc", "write a reply code"),
        ("code:55", "write a reply code"),
        ("size:>big", "size:>10mb"),
        ("size:>99999999999gb", "size:>10mb"),
        ("tls:<old", "tls:none"),
        ("ref:7F3O2", "never 0, O, 1 or I"),
        ("id:123", "13 letters and digits"),
        ("client:10.0.0.0/33", "must be 0 to 32"),
    ];
    for (query, expected) in cases {
        let error = TraceQuery::parse(query).expect_err(query).to_string();
        assert!(error.contains(expected), "{query}: {error}");
    }
    assert!(TraceQuery::parse(&"x".repeat(QUERY_OCTETS_MAX + 1)).is_err());
    assert!(TraceQuery::parse(&"x ".repeat(QUERY_TERMS_MAX + 1)).is_err());
}

#[test]
fn each_token_fits_what_it_says() {
    let (_, delivered) = example(EventKind::RecipientDelivered);
    let (_, accepted) = example(EventKind::MessageAccepted);
    let (_, failed) = example(EventKind::RecipientFailed);
    let (_, refused) = example(EventKind::AttemptRefused);
    let (_, notice) = example(EventKind::NoticeSent);
    let named = Event {
        message_id: some("20261130.1@Scanner"),
        ..accepted.clone()
    };
    let id = delivered.queue_id.unwrap().to_string();
    let cases: &[(&str, &Event, bool)] = &[
        ("", &delivered, true),
        ("message-id:20261130.1@scanner", &named, true),
        ("message-id:<20261130.1@scanner>", &named, true),
        ("message-id:20261130.1", &named, false),
        ("message-id:20261130*", &named, true),
        ("message-id:20261130.1@scanner", &accepted, false),
        ("20261130.1@scanner", &named, true),
        ("to:b@example.org", &delivered, true),
        ("to:<B@Example.Org>", &delivered, true),
        ("to:c@example.org", &delivered, false),
        ("to:c@example.org", &accepted, true),
        ("to:example.org", &delivered, true),
        ("to:@example.org", &delivered, true),
        ("to:b", &delivered, true),
        ("to:ample.org", &delivered, false),
        ("to:*ample.org", &delivered, true),
        ("to:b@*", &delivered, true),
        ("to:*@exam*", &delivered, true),
        ("to:*", &refused, true),
        ("from:scan@contoso.test", &delivered, true),
        ("from:<>", &notice, true),
        ("from:<>", &delivered, false),
        ("client:10.1.2.9", &delivered, true),
        ("client:10.1.2.0/24", &delivered, true),
        ("client:10.1.3.0/24", &delivered, false),
        ("client:0.0.0.0/0", &delivered, true),
        ("client:::ffff:10.1.2.9", &delivered, true),
        ("client:scan2", &delivered, true),
        ("client:10.1.*", &delivered, true),
        ("client:10.1.2.9", &notice, false),
        ("connector:printers", &delivered, true),
        ("connector:\"microsoft 365\"", &delivered, true),
        ("connector:micro*", &accepted, false),
        ("status:delivered", &delivered, true),
        ("status:Failed", &delivered, false),
        ("status:refused", &refused, true),
        ("code:250", &delivered, true),
        ("code:2.0.0", &delivered, true),
        ("code:550", &failed, true),
        ("code:5.1.*", &failed, true),
        ("code:5.7.*", &failed, false),
        ("code:5.7.*", &refused, true),
        ("code:5*", &refused, true),
        ("ref:7F3K2", &refused, true),
        ("ref:7f3k", &refused, true),
        ("ref:7F3K3", &refused, false),
        ("token:from-domain", &refused, true),
        ("token:FROM-*", &refused, true),
        ("size:>4kb", &delivered, true),
        ("size:>4KiB", &delivered, false),
        ("size:>=4kib", &delivered, true),
        ("size:4096", &delivered, true),
        ("size:<10mb", &refused, false),
        ("tls:1.3", &delivered, true),
        ("tls:<1.3", &delivered, false),
        ("tls:>=1.2", &delivered, true),
        ("tls:dane", &delivered, true),
        ("tls:none", &refused, true),
        ("tls:none", &delivered, false),
        ("tls:<1.2", &refused, false),
        ("subject:FLOOR", &delivered, true),
        ("subject:\"from floor\"", &delivered, true),
        ("subject:NUMÉRISATION", &notice, true),
        ("event:recipient.*", &delivered, true),
        ("event:recipient.*", &accepted, false),
        ("organisation:contoso", &delivered, true),
        ("organisation:contoso", &refused, false),
        (&format!("id:{id}"), &delivered, true),
        (&format!("id:{}", id.to_lowercase()), &delivered, true),
        (&format!("id:{}*", &id[..6]), &delivered, true),
        // Free text.
        (&id, &delivered, true),
        ("7f3k2", &refused, true),
        ("7F3K2", &delivered, false),
        ("b@example.org", &delivered, true),
        ("\"from floor\"", &delivered, true),
        ("192.0.2.77", &refused, true),
        ("no such user", &failed, true),
        ("no such mouse", &failed, false),
        ("\"such no\"", &failed, false),
        ("to:example.org status:delivered floor", &delivered, true),
        ("to:example.org status:failed floor", &delivered, false),
    ];
    for (query, event, expected) in cases {
        assert_eq!(
            fits(query, event),
            *expected,
            "{query} on {}",
            event.to_json()
        );
    }
}

#[test]
fn an_ipv6_address_is_text_or_a_client_but_never_a_token() {
    let (_, event) = example(EventKind::NoticeReceived);
    assert!(fits("client:2001:db8::25", &event));
    assert!(fits("client:2001:db8::/32", &event));
    assert!(!fits("client:fe80::/10", &event));
    assert!(!fits("fe::1", &event));
    assert!(fits("2001:db8::25", &event));
}

#[test]
fn time_bounds_hold_from_since_to_before_until() {
    let event = event(EventKind::AlertRaised);
    let at = |millis| Some(Timestamp::from_millis(NOW.as_millis() + millis));
    for (since, until, expected) in [
        (at(0), None, true),
        (at(1), None, false),
        (None, at(0), false),
        (None, at(1), true),
        (at(-5), at(5), true),
    ] {
        let query = TraceQuery {
            since,
            until,
            ..TraceQuery::default()
        };
        assert_eq!(query.matches(&event), expected, "{since:?} {until:?}");
    }
}

#[test]
fn since_is_a_span_a_day_or_a_time() {
    let hour = 3_600_000;
    let cases = [
        ("1h", Some(NOW.as_millis() - hour)),
        ("30m", Some(NOW.as_millis() - hour / 2)),
        ("90s", Some(NOW.as_millis() - 90_000)),
        ("7d", Some(NOW.as_millis() - 7 * 24 * hour)),
        ("2W", Some(NOW.as_millis() - 14 * 24 * hour)),
        ("2026-11-24", Some(1_795_478_400_000)),
        ("2026-11-24T10:00:00.123Z", Some(NOW.as_millis())),
        ("2026-11-24T11:00:00.123+01:00", Some(NOW.as_millis())),
        ("", None),
        ("h", None),
        ("1 fortnight", None),
        ("-1h", None),
        ("1é", None),
        ("yesterday", None),
        ("99999999999999999999d", None),
    ];
    for (text, expected) in cases {
        assert_eq!(
            parse_since(text, NOW).ok().map(Timestamp::as_millis),
            expected,
            "{text}"
        );
    }
}

#[test]
fn what_fits_a_query_is_never_missed_by_the_index() {
    let queries = [
        "to:b@example.org",
        "to:example.org",
        "to:b",
        "to:@example.org",
        "from:scan@contoso.test",
        "from:<>",
        "from:contoso.test",
        "client:10.1.2.9",
        "client:scan2",
        "client:192.0.2.77",
        "client:2001:db8::25",
        "client:mx.example.org",
        "connector:Printers",
        "connector:\"Microsoft 365\"",
        "status:refused",
        "status:accepted",
        "status:failed",
        "status:deferred",
        "status:held",
        "code:550",
        "code:5.1.1",
        "code:5.7.*",
        "code:5.7*",
        "code:5.*",
        "code:5*",
        "code:55*",
        "code:550*",
        "code:4*",
        "code:421",
        "code:250",
        "code:2.0.0",
        "code:2*",
        "ref:7F3K2",
        "token:FROM-DOMAIN",
        "token:auth-bad",
        "event:recipient.*",
        "event:recipient.failed",
        "event:notice.sent",
        "event:*.refused",
        "organisation:contoso",
    ];
    let mut found = 0;
    for text in queries {
        let query = TraceQuery::parse(text).unwrap();
        let Some(keys) = terms::of_term(&query.terms[0]) else {
            continue;
        };
        let mut fitting = 0;
        for kind in EventKind::ALL {
            let (name, event) = example(*kind);
            let mut has = false;
            Keys::default().of_event(&event, &mut |key| has |= keys.contains(&key));
            assert!(has || !query.matches(&event), "{text} misses {name}");
            fitting += usize::from(query.matches(&event));
        }
        assert!(fitting > 0, "{text} fits no example: nothing was tested");
        found += 1;
    }
    assert!(found >= 30, "only {found} of the queries use the index");
}

#[test]
fn text_that_identifies_is_looked_up_as_what_it_is() {
    let (_, delivered) = example(EventKind::RecipientDelivered);
    let (_, refused) = example(EventKind::AttemptRefused);
    let with_message_id = Event {
        message_id: some("1@scanner"),
        ..event(EventKind::MessageAccepted)
    };
    let id = delivered.queue_id.unwrap().to_string();
    for (text, event) in [
        (id.as_str(), &delivered),
        ("7F3K2", &refused),
        ("7f3k2", &refused),
        ("b@example.org", &delivered),
        ("10.1.2.9", &delivered),
        ("1@Scanner", &with_message_id),
    ] {
        let query = TraceQuery::parse(text).unwrap();
        let keys = terms::of_identifying_text(&query.terms[0]).expect(text);
        let mut has = false;
        Keys::default().of_event(event, &mut |key| has |= keys.contains(&key));
        assert!(has && query.matches(event), "{text}");
    }
    for text in [
        "hello",
        "scan",
        "*7F3K2",
        "@example.org",
        "to:b@example.org",
    ] {
        let query = TraceQuery::parse(text).unwrap();
        assert_eq!(terms::of_identifying_text(&query.terms[0]), None, "{text}");
    }
}

#[test]
fn a_term_is_written_as_it_is_read() {
    for text in [
        "to:anna@example.org",
        "\"out of paper\"",
        "subject:\"say \\\"no\\\" \\\\ x\"",
        "\"a:b\"",
        "10.1.2.9",
        "size:>10mb",
        "delay:>5m",
    ] {
        let query = TraceQuery::parse(text).unwrap();
        let words: Vec<_> = query.terms.iter().map(ToString::to_string).collect();
        let again = TraceQuery::parse(&words.join(" ")).unwrap();
        assert_eq!(again, query, "{text}");
    }
}

#[test]
fn the_delay_of_a_recipient_is_counted_from_acceptance() {
    let id = relais_smtp::identifier::QueueId::new(Timestamp::from_millis(1_795_521_600_000), 0, 1);
    let delivered = Event {
        queue_id: Some(id),
        to: Some(To::One("a@example.org".into())),
        ..Event::new(
            Timestamp::from_millis(1_795_522_000_000),
            EventKind::RecipientDelivered,
        )
    };
    let fits = |text: &str| TraceQuery::parse(text).unwrap().matches(&delivered);
    assert!(fits("delay:>5m") && fits("delay:<7m") && !fits("delay:>7m"));
    let accepted = Event {
        to: Some(To::Many(vec!["a@example.org".into()])),
        kind: EventKind::MessageAccepted,
        ..delivered.clone()
    };
    assert!(!TraceQuery::parse("delay:>5m").unwrap().matches(&accepted));
    assert!(TraceQuery::parse("delay:soon").is_err());
}

#[test]
fn today_begins_at_midnight() {
    let now = Timestamp::parse_rfc3339("2026-11-24T10:00:00Z").unwrap();
    let today = Timestamp::parse_rfc3339("2026-11-24T00:00:00Z");
    assert_eq!(parse_since("today", now).ok(), today);
}
