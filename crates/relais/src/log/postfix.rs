//! Events in the phrases of Postfix, for fail2ban, pflogsumm and other readers of its log.
//!
//! Where Postfix has words of its own for what we refuse, they stand before ours, as other programs
//! look for them. The names of clients are `unknown`, as Postfix writes for addresses without a
//! verified name: nothing here waits for reverse DNS.

use relais_policy::adopt::{API_KEY, SIGN_IN};
use relais_smtp::reply::EnhancedStatus;
use relais_smtp::time::Timestamp;
use relais_store::trace::{Event, EventKind, To};

use crate::output::clean;

/// The lines of one event; none for events that Postfix does not know.
pub(super) fn lines(event: &Event, program: Program<'_>) -> Vec<String> {
    let line = |part: &str, text: String| format!("{} {text}", head(event.time, program, part));
    match event.kind {
        EventKind::ConnectionRefused => vec![line("/smtpd", refused("CONNECT", event))],
        EventKind::AttemptRefused => vec![line("/smtpd", refused(stage(event), event))],
        // Whoever bans addresses for wrong passwords of mail must not ban the printers that share
        // one with a person who mistypes: no words of Postfix.
        EventKind::AuthFailed if is_of_admin_centre(event) => {
            let text = format!("warning: {}: sign-in failed: {}", peer(event), reply(event));
            vec![line("/admin", text)]
        }
        EventKind::AuthFailed => {
            let text = format!(
                "warning: {}: SASL LOGIN authentication failed: {}",
                peer(event),
                reply(event)
            );
            vec![line("/smtpd", text)]
        }
        EventKind::MessageAccepted => vec![
            line("/smtpd", format!("{}: client={}", id(event), peer(event))),
            line("/qmgr", queued(event)),
        ],
        EventKind::RecipientDelivered => vec![line("/smtp", sent(event, "sent"))],
        EventKind::RecipientDeferred => vec![line("/smtp", sent(event, "deferred"))],
        EventKind::RecipientFailed => vec![line("/smtp", sent(event, "bounced"))],
        EventKind::RecipientExpired => {
            let from = clean(event.from.as_deref().unwrap_or_default()).into_owned();
            let text = format!(
                "{}: from=<{from}>, status=expired, returned to sender",
                id(event)
            );
            vec![line("/qmgr", text)]
        }
        EventKind::NoticeSent => {
            let text = format!("{}: sender non-delivery notification", id(event));
            vec![line("/bounce", text)]
        }
        EventKind::RecipientHeld | EventKind::RecipientDiscarded => {
            let word = if event.kind == EventKind::RecipientHeld {
                "hold"
            } else {
                "discard"
            };
            let text = format!("{}: {word}: {}", id(event), reply(event));
            vec![line("/cleanup", text)]
        }
        EventKind::MessageRepaired
        | EventKind::DeliveryAttempted
        | EventKind::NoticeReceived
        | EventKind::EntityRestricted
        | EventKind::EntityReleased
        | EventKind::CheckChanged
        | EventKind::AlertRaised
        | EventKind::SettingsChanged => Vec::new(),
    }
}

/// Our host, our name, our process.
pub(super) type Program<'a> = (&'a str, &'a str, u32);

/// `Nov 24 10:00:00 relay relais/smtpd[77]:`, RFC 3164 §4.1.2, in UTC. `part`: `/smtpd`, or empty.
pub(super) fn head(time: Timestamp, (hostname, name, process): Program<'_>, part: &str) -> String {
    // `Tue, 24 Nov 2026 10:00:00 +0000`
    let date = time.to_rfc5322();
    let (day, month) = (
        date.get(5..7).unwrap_or("01"),
        date.get(8..11).unwrap_or("Jan"),
    );
    let day = day
        .strip_prefix('0')
        .map_or_else(|| day.to_owned(), |digit| format!(" {digit}"));
    let clock = date.get(17..25).unwrap_or("00:00:00");
    let host = hostname.split('.').next().unwrap_or(hostname);
    format!("{month} {day} {clock} {host} {name}{part}[{process}]:")
}

fn id(event: &Event) -> String {
    event
        .queue_id
        .map_or_else(|| "NOQUEUE".to_owned(), |id| id.to_string())
}

/// A person or a program at the admin listener, not a device that sends mail.
fn is_of_admin_centre(event: &Event) -> bool {
    matches!(event.token.as_deref(), Some(API_KEY | SIGN_IN))
}

fn peer(event: &Event) -> String {
    let address = event
        .client
        .as_deref()
        .map(|client| client.address.to_string());
    format!("unknown[{}]", address.as_deref().unwrap_or("unknown"))
}

fn reply(event: &Event) -> String {
    let words = event
        .reply
        .as_deref()
        .or(event.detail.as_deref())
        .unwrap_or_default();
    clean(words).into_owned()
}

fn stage(event: &Event) -> &'static str {
    match (&event.to, &event.from) {
        (Some(_), _) => "RCPT",
        (None, Some(_)) => "MAIL",
        (None, None) => "CONNECT",
    }
}

fn to(event: &Event) -> String {
    let address = match &event.to {
        Some(To::One(one)) => Some(one.clone()),
        Some(To::Many(many)) => many.first().cloned(),
        None => None,
    };
    clean(address.as_deref().unwrap_or_default()).into_owned()
}

fn refused(stage: &str, event: &Event) -> String {
    let mut text = format!(
        "NOQUEUE: reject: {stage} from {}: {};",
        peer(event),
        refusal(event)
    );
    if let Some(from) = event.from.as_deref() {
        text.push_str(&format!(" from=<{}>", clean(from)));
    }
    if event.to.is_some() {
        text.push_str(&format!(" to=<{}>", to(event)));
    }
    text.push_str(" proto=ESMTP");
    if let Some(helo) = event
        .client
        .as_deref()
        .and_then(|client| client.helo.as_deref())
    {
        text.push_str(&format!(" helo=<{}>", clean(helo)));
    }
    text
}

/// Our reply with Postfix's words behind the code: `550 5.7.1 <b@example.org>: Relay access denied:
/// Not registered for relay: …`.
fn refusal(event: &Event) -> String {
    let reply = reply(event);
    let words = match event.token.as_deref() {
        Some("SRC-UNKNOWN") => format!("<{}>: Relay access denied", to(event)),
        Some("RCPT-UNKNOWN") => {
            let to = to(event);
            format!("<{to}>: Recipient address rejected: User unknown")
        }
        Some("FROM-DNS") => {
            let from = clean(event.from.as_deref().unwrap_or_default()).into_owned();
            format!("<{from}>: Sender address rejected: Domain not found")
        }
        Some("IP-BLOCKED" | "CONN-LIMIT") => {
            format!("<{}>: Client host rejected", peer(event))
        }
        _ => return reply,
    };
    let is_status = |word: &str| EnhancedStatus::parse(word).is_some();
    let mut parts = reply.splitn(3, ' ');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(code), Some(status), Some(ours)) if is_status(status) => {
            format!("{code} {status} {words}: {ours}")
        }
        _ => reply,
    }
}

fn queued(event: &Event) -> String {
    let recipients = match &event.to {
        Some(To::One(_)) => 1,
        Some(To::Many(many)) => many.len(),
        None => 0,
    };
    format!(
        "{}: from=<{}>, size={}, nrcpt={recipients} (queue active)",
        id(event),
        clean(event.from.as_deref().unwrap_or_default()),
        event.size.unwrap_or(0)
    )
}

fn sent(event: &Event, status: &str) -> String {
    let relay = clean(event.next_hop.as_deref().unwrap_or("none")).into_owned();
    let accepted = event.queue_id.map_or(event.time, |id| id.created_at());
    let delay = event.time.since(accepted).as_millis();
    let words = reply(event);
    let class = match status {
        "sent" => 2,
        "deferred" => 4,
        _ => 5,
    };
    let status_code = words
        .split_ascii_whitespace()
        .nth(1)
        .and_then(EnhancedStatus::parse)
        .unwrap_or(EnhancedStatus::new(class, 0, 0));
    format!(
        "{}: to=<{}>, relay={relay}, delay={}.{:02}, dsn={status_code}, status={status} ({words})",
        id(event),
        to(event),
        delay / 1_000,
        delay % 1_000 / 10,
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use relais_smtp::identifier::QueueId;
    use relais_store::trace::ClientSummary;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_123);

    fn event(kind: EventKind) -> Event {
        Event {
            client: Some(Arc::new(ClientSummary {
                address: "10.1.2.9".parse().expect("an address"),
                helo: Some("scan2".into()),
                credential: None,
                certificate: None,
            })),
            from: Some("scan@contoso.test".into()),
            ..Event::new(NOW, kind)
        }
    }

    #[test]
    fn a_refusal_has_the_phrase_that_fail2ban_looks_for() {
        let refused = Event {
            to: Some(To::Many(vec!["b@example.org".into()])),
            token: Some("SRC-UNKNOWN".into()),
            reply: Some("550 5.7.1 Not registered for relay: 10.1.2.9 (SRC-UNKNOWN 7F3K2)".into()),
            ..event(EventKind::AttemptRefused)
        };
        assert_eq!(
            lines(&refused, ("relay.contoso.test", "relais", 77)),
            [
                "Nov 24 10:00:00 relay relais/smtpd[77]: NOQUEUE: reject: RCPT from unknown[10.1.2.9]: \
              550 5.7.1 <b@example.org>: Relay access denied: Not registered for relay: 10.1.2.9 \
              (SRC-UNKNOWN 7F3K2); \
              from=<scan@contoso.test> to=<b@example.org> proto=ESMTP helo=<scan2>"
            ]
        );
    }

    #[test]
    fn a_person_who_mistypes_is_no_device_that_fail2ban_bans() {
        let failed = |token: &str| Event {
            token: Some(token.into()),
            reply: Some("403 Name, password or code is wrong".into()),
            ..event(EventKind::AuthFailed)
        };
        for token in [SIGN_IN, API_KEY] {
            assert_eq!(
                lines(&failed(token), ("relay.contoso.test", "relais", 77)),
                [
                    "Nov 24 10:00:00 relay relais/admin[77]: warning: unknown[10.1.2.9]: sign-in failed: \
                  403 Name, password or code is wrong"
                ]
            );
        }
        let mail = lines(&failed("AUTH-FAILED"), ("relay.contoso.test", "relais", 77));
        assert!(
            mail[0].contains("SASL LOGIN authentication failed"),
            "{mail:?}"
        );
    }

    #[test]
    fn accepted_and_delivered_mail_has_the_lines_that_pflogsumm_counts() {
        let queue_id = QueueId::new(Timestamp::from_millis(NOW.as_millis() - 1_540), 0, 1);
        let accepted = Event {
            queue_id: Some(queue_id),
            to: Some(To::Many(vec![
                "b@example.org".into(),
                "c@example.org".into(),
            ])),
            size: Some(4_096),
            ..event(EventKind::MessageAccepted)
        };
        let head = "Nov 24 10:00:00 relay";
        assert_eq!(
            lines(&accepted, ("relay", "relais", 77)),
            [
                format!("{head} relais/smtpd[77]: {queue_id}: client=unknown[10.1.2.9]"),
                format!(
                    "{head} relais/qmgr[77]: {queue_id}: from=<scan@contoso.test>, size=4096, nrcpt=2 (queue active)"
                ),
            ]
        );
        let delivered = Event {
            queue_id: Some(queue_id),
            to: Some(To::One("b@example.org".into())),
            next_hop: Some("mx.example.org[192.0.2.1]:25".into()),
            reply: Some("250 2.0.0 ok".into()),
            ..event(EventKind::RecipientDelivered)
        };
        assert_eq!(
            lines(&delivered, ("relay", "relais", 77)),
            [format!(
                "{head} relais/smtp[77]: {queue_id}: to=<b@example.org>, relay=mx.example.org[192.0.2.1]:25, delay=1.54, dsn=2.0.0, status=sent (250 2.0.0 ok)"
            )]
        );
        let failed = Event {
            reply: Some("no answer".into()),
            ..delivered.clone()
        };
        let failed = Event {
            kind: EventKind::RecipientFailed,
            ..failed
        };
        assert!(
            lines(&failed, ("relay", "relais", 77))[0]
                .ends_with("dsn=5.0.0, status=bounced (no answer)")
        );
    }

    #[test]
    fn days_below_ten_are_padded_with_a_space() {
        let first = Timestamp::parse_rfc3339("2026-12-01T00:00:09Z").expect("a time");
        assert_eq!(
            head(first, ("relay", "relais", 1), ""),
            "Dec  1 00:00:09 relay relais[1]:"
        );
    }
}
