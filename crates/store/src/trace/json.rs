//! The JSON of an event, written by hand and read with `serde_json`.
//!
//! Written for every event of every message, so it costs about a microsecond and one allocation.
//! Shape: [`EVENT_FIELDS`](super::EVENT_FIELDS). Escaping: RFC 8259 §7, and beyond it DEL, the C1
//! controls (U+0080 to U+009F), U+2028 and U+2029: text from strangers is printed on terminals and
//! pages, and these can move a cursor or end a line there.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use relais_smtp::content::Repair;
use relais_smtp::time::Timestamp;
use serde_json::{Map, Value};

use super::{ClientSummary, Event, EventKind, TlsSummary, To};

/// Octets of a usual event, so that one allocation is enough.
const USUAL_OCTETS: usize = 1_024;

/// The text is no event.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an event: {0}")]
pub struct EventReadError(Cow<'static, str>);

// ---- writing -----------------------------------------------------------------------------------

/// The whole event.
pub(super) fn write(event: &Event) -> String {
    let mut out = String::with_capacity(USUAL_OCTETS);
    write_whole(&mut out, event);
    out
}

/// The whole event, behind what stands there.
pub(super) fn write_whole(out: &mut String, event: &Event) {
    out.push('{');
    push_fields(out, event, None);
    out.push('}');
}

/// Only what differs from another event; see `delta.rs`.
pub(super) fn write_difference(out: &mut String, event: &Event, from: &Event) {
    push_fields(out, event, Some(from));
}

/// Writes fields with their commas; those in common with another event are left out.
struct Fields<'a> {
    out: &'a mut String,
    /// Whether something stands before the next one.
    begun: bool,
}

impl Fields<'_> {
    fn name(&mut self, name: &str) -> &mut String {
        self.out.push_str(if self.begun { ",\"" } else { "\"" });
        self.begun = true;
        self.out.push_str(name);
        self.out.push_str("\":");
        self.out
    }
}

fn push_fields(out: &mut String, event: &Event, from: Option<&Event>) {
    // Whether a field is written: whole events have all, differences what differs.
    macro_rules! differs {
        ($field:ident) => {
            from.is_none_or(|from| from.$field != event.$field)
        };
    }
    let mut fields = Fields {
        begun: from.is_some(),
        out,
    };
    macro_rules! texts {
        ($($field:ident),*) => {
            $(if differs!($field) {
                push_text_or_null(fields.name(stringify!($field)), event.$field.as_deref());
            })*
        };
    }
    if differs!(time) {
        push_time(fields.name("time"), event.time);
    }
    if differs!(kind) {
        let out = fields.name("event");
        out.push('"');
        out.push_str(event.kind.name());
        out.push('"');
    }
    if differs!(queue_id) {
        push_shown(fields.name("queue_id"), event.queue_id.as_ref());
    }
    if differs!(reference) {
        push_shown(fields.name("reference"), event.reference.as_ref());
    }
    texts!(organisation, inbound_connector);
    if differs!(client) {
        push_client(fields.name("client"), event.client.as_deref());
    }
    texts!(from, header_from);
    if differs!(to) {
        push_to(fields.name("to"), event.to.as_ref());
    }
    texts!(subject);
    if differs!(size) {
        push_number(fields.name("size"), event.size);
    }
    if from.is_none_or(|from| from.status() != event.status()) {
        push_text_or_null(fields.name("status"), event.status());
    }
    texts!(token, reply, outbound_connector, next_hop);
    if differs!(tls) {
        push_tls(fields.name("tls"), event.tls.as_deref());
    }
    if differs!(duration_ms) {
        push_number(fields.name("duration_ms"), event.duration_ms);
    }
    if differs!(repairs) {
        push_list(fields.name("repairs"), event.repairs.iter().copied());
    }
    push_additions(&mut fields, event, from);
}

/// Fields that the first form of the contract did not have: written only where known, and in a
/// difference where the other event has what this one has not.
fn push_additions(fields: &mut Fields<'_>, event: &Event, from: Option<&Event>) {
    macro_rules! is_written {
        ($field:ident) => {
            match from {
                None => event.$field.is_some(),
                Some(from) => from.$field != event.$field,
            }
        };
    }
    if is_written!(envelope_sender) {
        let sender = event.envelope_sender.as_deref();
        push_text_or_null(fields.name("envelope_sender"), sender);
    }
    if is_written!(attempts) {
        push_number(fields.name("attempts"), event.attempts.map(u64::from));
    }
    if is_written!(next_attempt) {
        let out = fields.name("next_attempt");
        match event.next_attempt {
            None => out.push_str("null"),
            Some(time) => push_time(out, time),
        }
    }
    if is_written!(detail) {
        push_text_or_null(fields.name("detail"), event.detail.as_deref());
    }
    if is_written!(settings_version) {
        push_number(fields.name("settings_version"), event.settings_version);
    }
    let signs = match from {
        None => !event.signed_by.is_empty(),
        Some(from) => from.signed_by != event.signed_by,
    };
    if signs {
        let out = fields.name("signed_by");
        match event.signed_by.is_empty() {
            true => out.push_str("null"),
            false => push_list(out, event.signed_by.iter().map(AsRef::as_ref)),
        }
    }
    if is_written!(message_id) {
        push_text_or_null(fields.name("message_id"), event.message_id.as_deref());
    }
    if is_written!(detail_fr) {
        push_text_or_null(fields.name("detail_fr"), event.detail_fr.as_deref());
    }
}

fn push_client(out: &mut String, client: Option<&ClientSummary>) {
    let Some(client) = client else {
        out.push_str("null");
        return;
    };
    out.push_str("{\"address\":\"");
    // Cannot fail: a String takes everything.
    let _ = write!(out, "{}", client.address);
    out.push('"');
    push_text_field(out, ",\"helo\":", client.helo.as_deref());
    push_text_field(out, ",\"credential\":", client.credential.as_deref());
    push_text_field(out, ",\"certificate\":", client.certificate.as_deref());
    out.push('}');
}

fn push_tls(out: &mut String, tls: Option<&TlsSummary>) {
    let Some(tls) = tls else {
        out.push_str("null");
        return;
    };
    push_text_field(out, "{\"version\":", Some(&tls.version));
    push_text_field(out, ",\"cipher\":", Some(&tls.cipher));
    push_text_field(out, ",\"verified\":", Some(&tls.verified));
    out.push('}');
}

fn push_to(out: &mut String, to: Option<&To>) {
    match to {
        None => out.push_str("null"),
        Some(To::One(address)) => push_text(out, address),
        Some(To::Many(addresses)) => push_list(out, addresses.iter().map(AsRef::as_ref)),
    }
}

fn push_list<'a>(out: &mut String, texts: impl Iterator<Item = &'a str>) {
    out.push('[');
    for (number, text) in texts.enumerate() {
        if number > 0 {
            out.push(',');
        }
        push_text(out, text);
    }
    out.push(']');
}

fn push_shown<T: std::fmt::Display>(out: &mut String, value: Option<&T>) {
    match value {
        None => out.push_str("null"),
        // Identifiers are letters and digits: nothing to escape.
        Some(value) => {
            let _ = write!(out, "\"{value}\"");
        }
    }
}

fn push_text_field(out: &mut String, name: &str, text: Option<&str>) {
    out.push_str(name);
    push_text_or_null(out, text);
}

fn push_text_or_null(out: &mut String, text: Option<&str>) {
    match text {
        None => out.push_str("null"),
        Some(text) => push_text(out, text),
    }
}

fn push_number(out: &mut String, number: Option<u64>) {
    match number {
        None => out.push_str("null"),
        Some(number) => {
            let _ = write!(out, "{number}");
        }
    }
}

/// Octets that end a run which can be copied as it is: controls, quotation mark, reverse solidus,
/// DEL, and the first octets of C1 controls (C2) and of U+2028/2029 (E2).
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let mut octet = 0;
    while octet < 0x20 {
        stops[octet] = true;
        octet += 1;
    }
    stops[b'"' as usize] = true;
    stops[b'\\' as usize] = true;
    stops[0x7f] = true;
    stops[0xc2] = true;
    stops[0xe2] = true;
    stops
};

/// A JSON string with its quotation marks. RFC 8259 §7.
fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(stop) = rest.bytes().position(|octet| STOPS[usize::from(octet)]) {
        let (run, from_stop) = rest.split_at(stop);
        out.push_str(run);
        let mut characters = from_stop.chars();
        if let Some(character) = characters.next() {
            push_character(out, character);
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn push_character(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        }
        plain => out.push(plain),
    }
}

const DAY_MILLIS: i64 = 86_400_000;

/// As [`Timestamp::to_rfc3339`], without the general machinery of formats: a tenth of its time.
fn push_time(out: &mut String, time: Timestamp) {
    let millis = time.as_millis();
    let (year, month, day) = civil_of(millis.div_euclid(DAY_MILLIS));
    if !(0..=9_999).contains(&year) {
        push_text(out, &time.to_rfc3339());
        return;
    }
    let of_day = millis.rem_euclid(DAY_MILLIS);
    out.push('"');
    push_digits(out, year, 1_000);
    out.push('-');
    push_digits(out, month, 10);
    out.push('-');
    push_digits(out, day, 10);
    out.push('T');
    push_digits(out, of_day / 3_600_000, 10);
    out.push(':');
    push_digits(out, of_day / 60_000 % 60, 10);
    out.push(':');
    push_digits(out, of_day / 1_000 % 60, 10);
    out.push('.');
    push_digits(out, of_day % 1_000, 100);
    out.push_str("Z\"");
}

/// Decimal digits from the one worth `place` down.
fn push_digits(out: &mut String, number: i64, mut place: i64) {
    while place > 0 {
        let digit = u8::try_from(number / place % 10).unwrap_or(0);
        out.push(char::from(b'0' + digit));
        place /= 10;
    }
}

/// Year, month, day of a day counted from 1970-01-01, in the proleptic Gregorian calendar: eras of
/// 400 years (146,097 days) that begin on 1 March, so that the leap day is the last of a year.
fn civil_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

// ---- reading -----------------------------------------------------------------------------------

/// Every repair, so that its word can be read back.
const REPAIRS: [Repair; 12] = [
    Repair::BareLineFeed,
    Repair::Date,
    Repair::MessageId,
    Repair::MimeVersion,
    Repair::From,
    Repair::Sender,
    Repair::Undeclared8Bit,
    Repair::LongLine,
    Repair::PathSyntax,
    Repair::HeloSyntax,
    Repair::MailboxLine,
    Repair::ForgedResults,
];

pub(super) fn read(text: &str) -> Result<Event, EventReadError> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| EventReadError(error.to_string().into()))?;
    let Value::Object(fields) = value else {
        return Err(EventReadError("no object".into()));
    };
    if fields.contains_key("@") {
        return Err(EventReadError("the difference from another event".into()));
    }
    let time = time_of(&fields, "time")?.ok_or_else(|| wrong("time"))?;
    let kind = str_of(&fields, "event")?
        .and_then(EventKind::from_name)
        .ok_or_else(|| wrong("event"))?;
    Ok(Event {
        time,
        kind,
        queue_id: parsed_of(&fields, "queue_id")?,
        reference: parsed_of(&fields, "reference")?,
        organisation: text_of(&fields, "organisation")?,
        inbound_connector: text_of(&fields, "inbound_connector")?,
        client: client_of(&fields)?,
        from: text_of(&fields, "from")?,
        envelope_sender: text_of(&fields, "envelope_sender")?,
        header_from: text_of(&fields, "header_from")?,
        to: to_of(&fields)?,
        subject: text_of(&fields, "subject")?,
        message_id: text_of(&fields, "message_id")?,
        size: number_of(&fields, "size")?,
        token: text_of(&fields, "token")?,
        reply: text_of(&fields, "reply")?,
        outbound_connector: text_of(&fields, "outbound_connector")?,
        next_hop: text_of(&fields, "next_hop")?,
        tls: tls_of(&fields)?,
        duration_ms: number_of(&fields, "duration_ms")?,
        repairs: repairs_of(&fields)?,
        detail: text_of(&fields, "detail")?,
        detail_fr: text_of(&fields, "detail_fr")?,
        attempts: number_of(&fields, "attempts")?
            .map(|number| u32::try_from(number).map_err(|_| wrong("attempts")))
            .transpose()?,
        next_attempt: time_of(&fields, "next_attempt")?,
        settings_version: number_of(&fields, "settings_version")?,
        signed_by: texts_of(&fields, "signed_by")?,
        released: None,
    })
}

fn wrong(field: &str) -> EventReadError {
    EventReadError(format!("field {field}").into())
}

fn value_of<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn str_of<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, EventReadError> {
    value_of(fields, name)
        .map(|value| value.as_str().ok_or_else(|| wrong(name)))
        .transpose()
}

fn text_of(fields: &Map<String, Value>, name: &str) -> Result<Option<Arc<str>>, EventReadError> {
    Ok(str_of(fields, name)?.map(Arc::from))
}

fn number_of(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, EventReadError> {
    value_of(fields, name)
        .map(|value| value.as_u64().ok_or_else(|| wrong(name)))
        .transpose()
}

fn parsed_of<T: std::str::FromStr>(
    fields: &Map<String, Value>,
    name: &str,
) -> Result<Option<T>, EventReadError> {
    str_of(fields, name)?
        .map(|text| text.parse().map_err(|_| wrong(name)))
        .transpose()
}

fn time_of(fields: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, EventReadError> {
    str_of(fields, name)?
        .map(|text| Timestamp::parse_rfc3339(text).ok_or_else(|| wrong(name)))
        .transpose()
}

fn object_of<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, EventReadError> {
    value_of(fields, name)
        .map(|value| value.as_object().ok_or_else(|| wrong(name)))
        .transpose()
}

fn client_of(fields: &Map<String, Value>) -> Result<Option<Arc<ClientSummary>>, EventReadError> {
    let Some(client) = object_of(fields, "client")? else {
        return Ok(None);
    };
    let address: IpAddr = parsed_of(client, "address")?.ok_or_else(|| wrong("client.address"))?;
    Ok(Some(Arc::new(ClientSummary {
        address,
        helo: text_of(client, "helo")?,
        credential: text_of(client, "credential")?,
        certificate: text_of(client, "certificate")?,
    })))
}

fn tls_of(fields: &Map<String, Value>) -> Result<Option<Arc<TlsSummary>>, EventReadError> {
    let Some(tls) = object_of(fields, "tls")? else {
        return Ok(None);
    };
    let part = |name| text_of(tls, name)?.ok_or_else(|| wrong("tls"));
    Ok(Some(Arc::new(TlsSummary {
        version: part("version")?,
        cipher: part("cipher")?,
        verified: part("verified")?,
    })))
}

fn to_of(fields: &Map<String, Value>) -> Result<Option<To>, EventReadError> {
    match value_of(fields, "to") {
        None => Ok(None),
        Some(Value::String(address)) => Ok(Some(To::One(Arc::from(address.as_str())))),
        Some(_) => texts_of(fields, "to").map(|addresses| Some(To::Many(addresses))),
    }
}

fn texts_of(fields: &Map<String, Value>, name: &str) -> Result<Vec<Arc<str>>, EventReadError> {
    let Some(value) = value_of(fields, name) else {
        return Ok(Vec::new());
    };
    let texts = value.as_array().ok_or_else(|| wrong(name))?.iter();
    texts
        .map(|text| text.as_str().map(Arc::from).ok_or_else(|| wrong(name)))
        .collect()
}

fn repairs_of(fields: &Map<String, Value>) -> Result<Vec<&'static str>, EventReadError> {
    let Some(value) = value_of(fields, "repairs") else {
        return Ok(Vec::new());
    };
    let words = value.as_array().ok_or_else(|| wrong("repairs"))?;
    let known = |word: &Value| {
        let word = word.as_str()?;
        REPAIRS
            .iter()
            .map(|repair| repair.name())
            .find(|name| *name == word)
    };
    Ok(words.iter().filter_map(known).collect())
}
