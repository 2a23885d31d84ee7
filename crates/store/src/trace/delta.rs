//! Events at rest, those that follow each other as differences: the events of one message repeat
//! who, whence and whither, and those of one connector most of it.
//!
//! A group of events is a text with a line for each. A line is the JSON of an event, or begins with
//! `{"@":N`: an object with only the fields that differ from the event N lines before, `null` where
//! that one has more. Who wants a whole event lays the difference over the other ([`laid_over`]);
//! that one may be a difference, too, but no chain is longer than [`CHAIN_MAX`].
//!
//! Not here: where lines are stored (`embedded/group.rs`, `embedded/trace_database.rs`).

use super::{Event, EventKind, json};

/// Events over which another one may lie, one over the other: an event lies over the first one of
/// its message in the group, and that over the first one of its kind.
pub(crate) const CHAIN_MAX: usize = 2;

/// Lines that may stand between an event and the one that it is told by.
const BACK_MAX: usize = 4_095;

/// What a difference begins with.
const SIGN: &str = "{\"@\":";

/// Octets of a usual line.
const USUAL_OCTETS: usize = 512;

/// The lines of a group of events, with a line end after each.
pub(crate) fn lines_of<'a>(events: impl Iterator<Item = &'a Event>) -> String {
    let mut out = String::new();
    let mut told: Vec<&Event> = Vec::new();
    // Of one organisation: who erases what is theirs must not change what others read.
    let mut whole_of_kind: [Option<usize>; EventKind::ALL.len()] = [None; EventKind::ALL.len()];
    // The first event of the message that is being told.
    let mut first_of_message = 0;
    for (place, event) in events.enumerate() {
        let same_message = told.last().is_some_and(|before| {
            event.queue_id.is_some()
                && before.queue_id == event.queue_id
                && before.organisation == event.organisation
        });
        let kind = event.kind as usize;
        let like = if same_message {
            Some(first_of_message)
        } else {
            first_of_message = place;
            whole_of_kind[kind].filter(|like| told[*like].organisation == event.organisation)
        };
        out.reserve(USUAL_OCTETS);
        match like.filter(|like| place - like <= BACK_MAX) {
            Some(like) => {
                push_sign(&mut out, place - like);
                json::write_difference(&mut out, event, told[like]);
                out.push_str("}\n");
            }
            None => {
                whole_of_kind[kind] = Some(place);
                json::write_whole(&mut out, event);
                out.push('\n');
            }
        }
        told.push(event);
    }
    out
}

fn push_sign(out: &mut String, back: usize) {
    use std::fmt::Write as _;
    // Cannot fail: a String takes everything.
    let _ = write!(out, "{SIGN}{back}");
}

/// How many lines before this one the event stands that it differs from; `None`: it is whole.
pub(crate) fn back_of(line: &str) -> Option<u64> {
    let rest = line.strip_prefix(SIGN)?;
    let end = rest.find([',', '}'])?;
    rest[..end].parse().ok()
}

/// The whole events of a group's lines; those that cannot be told stay as they are.
pub(crate) fn whole_lines(lines: &str) -> Vec<String> {
    let mut whole: Vec<String> = Vec::new();
    for line in lines.lines() {
        let before = |back: u64| {
            let back = usize::try_from(back).ok()?;
            whole.get(whole.len().checked_sub(back)?)
        };
        let laid = back_of(line)
            .and_then(before)
            .and_then(|under| laid_over(under, line));
        whole.push(laid.unwrap_or_else(|| line.to_owned()));
    }
    whole
}

/// The fields in the order in which they are written, and from which on they may be absent.
const FIELDS: [&str; 27] = [
    "time",
    "event",
    "queue_id",
    "reference",
    "organisation",
    "inbound_connector",
    "client",
    "from",
    "header_from",
    "to",
    "subject",
    "size",
    "status",
    "token",
    "reply",
    "outbound_connector",
    "next_hop",
    "tls",
    "duration_ms",
    "repairs",
    "envelope_sender",
    "attempts",
    "next_attempt",
    "detail",
    "settings_version",
    "signed_by",
    "message_id",
];

/// The last one; apart, for arrays of this length have a default.
const LAST_FIELD: &str = "detail_fr";

/// From this one on a field is written only where it has a value.
const ADDITIONS_FROM: usize = 20;

const COUNT: usize = FIELDS.len() + 1;

/// Where the values of an event stand.
type Values<'a> = [Option<&'a str>; COUNT];

/// The whole event that a difference tells of; `under`: the JSON of the other event, whole. `None`:
/// one of them is no JSON of ours.
pub(crate) fn laid_over(under: &str, difference: &str) -> Option<String> {
    let mut values = [None; COUNT];
    take_values(under, &mut values)?;
    take_values(difference, &mut values)?;
    let mut out = String::with_capacity(under.len() + difference.len());
    out.push('{');
    for (place, value) in values.iter().enumerate() {
        let Some(value) = value.filter(|value| place < ADDITIONS_FROM || *value != "null") else {
            continue;
        };
        out.push_str(if out.len() == 1 { "\"" } else { ",\"" });
        out.push_str(FIELDS.get(place).copied().unwrap_or(LAST_FIELD));
        out.push_str("\":");
        out.push_str(value);
    }
    out.push('}');
    Some(out)
}

/// Reads what `json.rs` writes: no spaces, names without escapes.
fn take_values<'a>(json: &'a str, values: &mut Values<'a>) -> Option<()> {
    let mut rest = json.strip_prefix('{')?;
    let mut next = 0;
    loop {
        let (name, behind) = rest.strip_prefix('"')?.split_once("\":")?;
        let end = end_of_value(behind)?;
        let (value, behind) = behind.split_at(end);
        if name != "@" {
            // In their order, so that each is looked for from the one before on.
            let place = (next..COUNT).find(|place| match FIELDS.get(*place) {
                Some(field) => *field == name,
                None => name == LAST_FIELD,
            })?;
            values[place] = Some(value);
            next = place + 1;
        }
        match behind.as_bytes() {
            [b'}'] => return Some(()),
            [b',', ..] => rest = &behind[1..],
            _ => return None,
        }
    }
}

/// Octets of the value that a text begins with.
fn end_of_value(text: &str) -> Option<usize> {
    let octets = text.as_bytes();
    let (mut at, mut depth) = (0, 0_u32);
    loop {
        match octets.get(at)? {
            b'"' => {
                at = end_of_text(octets, at + 1)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b',' | b'}' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

/// The place behind the quotation mark that ends a text.
fn end_of_text(octets: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', octets.get(at..)?)?;
        if octets[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use relais_smtp::identifier::QueueId;
    use relais_smtp::time::Timestamp;

    use super::*;
    use crate::trace::{ClientSummary, EVENT_FIELDS, TlsSummary, To};

    const NOON: Timestamp = Timestamp::from_millis(1_796_032_800_000);

    fn event(message: u16, kind: EventKind) -> Event {
        let client = ClientSummary {
            address: [10, 1, 0, 42].into(),
            helo: Some(r#"a "name" \, {odd}"#.into()),
            credential: None,
            certificate: None,
        };
        Event {
            queue_id: Some(QueueId::new(NOON, 0, message)),
            organisation: Some("contoso".into()),
            inbound_connector: Some("Printers".into()),
            client: Some(Arc::new(client)),
            from: Some("scan@contoso.test".into()),
            to: Some(To::Many(vec!["anna@example.org".into()])),
            subject: Some(format!("Scan {message}: \\\"été\\\" }},{{\"size\":1").into()),
            size: Some(u64::from(message) * 100),
            ..Event::new(NOON.after(Duration::from_millis(message.into())), kind)
        }
    }

    /// Accepted, attempted and delivered, of some messages, and events of none.
    fn events() -> Vec<Event> {
        let mut events = Vec::new();
        for message in 0..5 {
            let mut accepted = event(message, EventKind::MessageAccepted);
            accepted.message_id = Some(format!("{message}@contoso.test").into());
            accepted.repairs = vec!["date"];
            events.push(accepted);
        }
        for message in 0..5 {
            let mut attempted = event(message, EventKind::DeliveryAttempted);
            attempted.reply = Some("250 2.0.0 \u{2028} ok \"x\" \\".into());
            attempted.tls = (message % 2 == 0).then(|| {
                Arc::new(TlsSummary {
                    version: "1.3".into(),
                    cipher: "TLS13_AES_128_GCM_SHA256".into(),
                    verified: "dane".into(),
                })
            });
            attempted.signed_by = vec!["contoso.test".into()];
            events.push(attempted.clone());
            for number in 0..3 {
                let mut delivered = attempted.clone();
                delivered.kind = EventKind::RecipientDelivered;
                delivered.to = Some(To::One(format!("r{number}@example.org").into()));
                delivered.attempts = Some(number);
                delivered.next_attempt = (number == 1).then_some(NOON);
                delivered.detail = (number == 2).then(|| "by hand".into());
                if number == 2 {
                    delivered.signed_by = Vec::new();
                }
                events.push(delivered);
            }
            events.push(Event::new(NOON, EventKind::AlertRaised));
        }
        events
    }

    #[test]
    fn a_group_is_read_back_letter_for_letter() {
        let events = events();
        let lines = lines_of(events.iter());
        let whole: Vec<_> = events.iter().map(Event::to_json).collect();
        assert_eq!(whole_lines(&lines), whole);
        assert!(
            lines.len() * 2 < whole.iter().map(String::len).sum(),
            "{lines}"
        );
    }

    #[test]
    fn no_chain_is_longer_than_told() {
        let lines = lines_of(events().iter());
        let backs: Vec<_> = lines.lines().map(back_of).collect();
        let length_of = |place: usize| {
            let below = |place: &usize| Some(place - usize::try_from(backs[*place]?).unwrap());
            std::iter::successors(below(&place), below).count()
        };
        let longest = (0..backs.len()).map(length_of).max().unwrap();
        assert_eq!(longest, CHAIN_MAX);
    }

    #[test]
    fn the_fields_are_those_of_the_events_in_their_order() {
        let names: Vec<_> = FIELDS.iter().copied().chain([LAST_FIELD]).collect();
        let told = EVENT_FIELDS.iter().map(|field| field.name);
        let told: Vec<_> = told.filter(|name| !name.contains('.')).collect();
        assert_eq!(names, told);
    }

    #[test]
    fn what_is_no_json_of_ours_is_told_so() {
        let whole = event(1, EventKind::MessageAccepted).to_json();
        for damaged in [
            "",
            "{",
            "{}",
            r#"{"@":1"#,
            r#"{"@":1,"#,
            r#"{"@":1,"time":"}"#,
            r#"{"@":1,"tomorrow":"1"}"#,
            r#"{"@":1,"size":2,"time":"1"}"#,
            r#"{"@":1,"size":2}x"#,
            "{\"@\":1,\"subject\":\"\\",
        ] {
            assert_eq!(laid_over(&whole, damaged), None, "{damaged}");
            assert_eq!(laid_over(damaged, &whole), None, "{damaged}");
        }
        assert_eq!(
            whole_lines("{\"@\":9,\"size\":1}\n"),
            [r#"{"@":9,"size":1}"#]
        );
    }
}
