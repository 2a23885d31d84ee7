//! Marks: small properties of an event (its kind, the class of its size, its TLS, three letters
//! that stand in it), of which the trace databases keep in which block of events each occurs. What
//! no list of events could hold, because it is too common or inside a word, is found by them.
//!
//! Marks only exclude: what a block lacks is not in it, what it has is looked at. As in `terms.rs`,
//! the rules for events ([`of_event`]) and for queries ([`of_term`]) must agree.

use std::sync::Arc;

use super::query::values::{
    AddressPattern, ClientTest, Comparison, Pattern, Test, TlsTest, delay_of, folded, has_status,
    recipients, tls_version,
};
use super::{Event, EventKind, TraceTerm};

/// A property. Stored: the numbers below must never change.
pub(crate) type Mark = u16;

/// How many there are.
pub(crate) const MARKS: usize = 1 << 15;

/// Three letters of one needle that are looked up; more exclude hardly more.
const LETTERS_MAX: usize = 12;

/// The order of the marks: kinds, TLS, how it was verified, sizes, delays, letters.
const KINDS: Mark = 0;
const TLS_CLEAR: Mark = 40;
const TLS_VERSIONS: [(&str, Mark); 4] = [("1.0", 41), ("1.1", 42), ("1.2", 43), ("1.3", 44)];
const TLS_OTHER: Mark = 45;
const VERIFIED: [(&str, Mark); 6] = [
    ("dane", 48),
    ("mta-sts", 49),
    ("name", 50),
    ("chain", 51),
    ("certificate", 52),
    ("no", 53),
];
const VERIFIED_OTHER: Mark = 54;
const SIZES: Mark = 64;
/// By doublings of seconds; the last one is open.
const DELAYS: Mark = 200;
const DELAYS_END: Mark = 240;
const LETTERS: Mark = 256;

/// In which text three letters stand.
#[derive(Clone, Copy)]
enum Text {
    /// The subject.
    Subject = 1,
    /// Any text that can be asked for.
    Any = 2,
}

/// Calls `found` with every mark of an event, some more than once, but for those of texts that it
/// has in common with one that was marked in the same block: events that follow each other mostly
/// tell of the same few devices and connectors.
pub(crate) fn of_event(event: &Event, marked: Option<&Event>, found: &mut impl FnMut(Mark)) {
    found(of_kind(event.kind));
    match &event.tls {
        None if event.client.is_some() || event.next_hop.is_some() => found(TLS_CLEAR),
        None => {}
        Some(tls) => {
            found(named(&TLS_VERSIONS, &tls.version).unwrap_or(TLS_OTHER));
            found(named(&VERIFIED, &tls.verified).unwrap_or(VERIFIED_OTHER));
        }
    }
    if let Some(size) = event.size {
        found(of_size(size));
    }
    if let Some(delay) = delay_of(event) {
        found(of_delay(delay));
    }
    of_texts(event, marked, found);
}

type OptionalText = Option<Arc<str>>;

/// Texts of an event in which three letters are looked for.
const TEXTS: [fn(&Event) -> &OptionalText; 7] = [
    |event| &event.message_id,
    |event| &event.from,
    |event| &event.reply,
    |event| &event.token,
    |event| &event.inbound_connector,
    |event| &event.outbound_connector,
    |event| &event.organisation,
];

fn of_texts(event: &Event, marked: Option<&Event>, found: &mut impl FnMut(Mark)) {
    let is_new = |text: &dyn Fn(&Event) -> &OptionalText| {
        marked.is_none_or(|marked| text(marked) != text(event))
    };
    if let Some(subject) = event
        .subject
        .as_ref()
        .filter(|_| is_new(&|event| &event.subject))
    {
        letters(Text::Subject, subject, found);
        letters(Text::Any, subject, found);
    }
    if marked.is_none_or(|marked| marked.to != event.to) {
        for address in recipients(event) {
            letters(Text::Any, address, found);
        }
    }
    for text in TEXTS.iter().filter(|text| is_new(text)) {
        if let Some(text) = text(event) {
            letters(Text::Any, text, found);
        }
    }
    if event.header_from != event.from
        && let Some(header_from) = &event.header_from
    {
        letters(Text::Any, header_from, found);
    }
    if let Some(client) = &event.client
        && marked.is_none_or(|marked| marked.client != event.client)
    {
        letters(Text::Any, &client.address.to_canonical().to_string(), found);
        for name in [&client.helo, &client.credential, &client.certificate]
            .into_iter()
            .flatten()
        {
            letters(Text::Any, name, found);
        }
    }
    if let Some(id) = event.queue_id
        && marked.is_none_or(|marked| marked.queue_id != event.queue_id)
    {
        letters(Text::Any, &id.to_string(), found);
    }
    if let Some(reference) = event.reference
        && marked.is_none_or(|marked| marked.reference != event.reference)
    {
        letters(Text::Any, &reference.to_string(), found);
    }
}

/// Lists of marks; every event that fits has at least one mark of each list.
pub(crate) fn of_term(term: &TraceTerm) -> Vec<Vec<Mark>> {
    match term.test() {
        Test::Status(word) => vec![of_kinds(|kind| has_status(kind, word))],
        Test::Event(pattern) => {
            let kinds: Vec<_> = pattern.kinds().collect();
            vec![of_kinds(|kind| kinds.contains(&kind))]
        }
        Test::Size(comparison, size) => {
            vec![compared(
                *comparison,
                of_size(*size),
                SIZES,
                of_size(u64::MAX),
            )]
        }
        Test::Delay(comparison, delay) => {
            vec![compared(*comparison, of_delay(*delay), DELAYS, DELAYS_END)]
        }
        Test::Tls(TlsTest::None) => vec![vec![TLS_CLEAR]],
        Test::Tls(TlsTest::Version(comparison, wanted)) => {
            let fits = |name: &str| {
                tls_version(name).is_some_and(|version| comparison.holds(&version, wanted))
            };
            let known = TLS_VERSIONS.iter().filter(|(name, _)| fits(name));
            let mut marks: Vec<_> = known.map(|(_, mark)| *mark).collect();
            marks.push(TLS_OTHER);
            vec![marks]
        }
        Test::Tls(TlsTest::Verified(word)) => {
            vec![vec![named(&VERIFIED, word).unwrap_or(VERIFIED_OTHER)]]
        }
        Test::Subject(pattern) => of_needle(Text::Subject, &pattern.text),
        Test::Client(ClientTest::Network(address, length)) => {
            of_needle(Text::Any, &beginning(*address, *length))
        }
        Test::To(AddressPattern::Part(part)) | Test::From(AddressPattern::Part(part)) => {
            of_needle(Text::Any, part)
        }
        Test::To(AddressPattern::Whole(pattern))
        | Test::From(AddressPattern::Whole(pattern))
        | Test::Client(ClientTest::Name(pattern))
        | Test::Connector(pattern)
        | Test::Code(pattern)
        | Test::Reference(pattern)
        | Test::Token(pattern)
        | Test::Id(pattern)
        | Test::MessageId(pattern)
        | Test::Organisation(pattern)
        | Test::Text(pattern) => of_pattern(pattern),
        // One of several: no one list of marks would say so.
        Test::Addresses(_) | Test::To(AddressPattern::Null) | Test::From(AddressPattern::Null) => {
            Vec::new()
        }
    }
}

fn of_pattern(pattern: &Pattern) -> Vec<Vec<Mark>> {
    of_needle(Text::Any, &pattern.text)
}

fn of_kind(kind: EventKind) -> Mark {
    let place = EventKind::ALL.iter().position(|one| *one == kind);
    // Places in a list of some twenty.
    KINDS + place.unwrap_or_default() as Mark
}

fn of_kinds(fits: impl Fn(EventKind) -> bool) -> Vec<Mark> {
    let kinds = EventKind::ALL.iter().copied().filter(|kind| fits(*kind));
    kinds.map(of_kind).collect()
}

fn named(names: &[(&str, Mark)], name: &str) -> Option<Mark> {
    names
        .iter()
        .find(|(one, _)| *one == name)
        .map(|(_, mark)| *mark)
}

/// Two classes for each doubling.
fn of_size(size: u64) -> Mark {
    let bits = u64::BITS - size.leading_zeros();
    let half = match bits {
        0 | 1 => 0,
        bits => (size >> (bits - 2)) & 1,
    };
    // At most 129.
    SIZES + (bits * 2) as Mark + half as Mark
}

fn of_delay(millis: u64) -> Mark {
    let seconds = millis / 1_000;
    // At most 54, cut below.
    let doublings = (u64::BITS - seconds.leading_zeros()) as Mark;
    (DELAYS + doublings).min(DELAYS_END)
}

/// The classes that a comparison with something of this class allows.
fn compared(comparison: Comparison, class: Mark, first: Mark, last: Mark) -> Vec<Mark> {
    match comparison {
        Comparison::Less | Comparison::AtMost => (first..=class).collect(),
        Comparison::Equal => vec![class],
        Comparison::AtLeast | Comparison::More => (class..=last).collect(),
    }
}

/// What the text of every address in a network begins with; empty where nothing is known.
fn beginning(network: std::net::IpAddr, length: u8) -> String {
    let std::net::IpAddr::V4(network) = network else {
        return String::new();
    };
    let whole = usize::from(length / 8);
    let mut text = String::new();
    for octet in network.octets().iter().take(whole) {
        text.push_str(&octet.to_string());
        text.push('.');
    }
    if whole == 4 {
        text.pop();
    }
    text
}

fn letters(text: Text, value: &str, found: &mut impl FnMut(Mark)) {
    let value = folded(value);
    for three in value.as_bytes().windows(3) {
        found(of_letters(text, three));
    }
}

/// Fibonacci hashing of text and letters.
fn of_letters(text: Text, three: &[u8]) -> Mark {
    let number = three.iter().fold(text as u32, |number, octet| {
        (number << 8) | u32::from(*octet)
    });
    let spread = number.wrapping_mul(0x9e37_79b1) ^ (number >> 15);
    let place = spread.wrapping_mul(0x85eb_ca6b) >> 13;
    // Below 2^15.
    LETTERS + (place % (MARKS as u32 - u32::from(LETTERS))) as Mark
}

/// Of the three letters in a needle, those that are likely the rarest: with digits and signs.
fn of_needle(text: Text, needle: &str) -> Vec<Vec<Mark>> {
    let needle = folded(needle);
    let mut threes: Vec<&[u8]> = needle.as_bytes().windows(3).collect();
    let is_letter = |octet: &&u8| octet.is_ascii_alphabetic();
    threes.sort_by_key(|three| three.iter().filter(is_letter).count());
    let mut marks: Vec<Mark> = Vec::new();
    for three in threes {
        let mark = of_letters(text, three);
        if !marks.contains(&mark) && marks.len() < LETTERS_MAX {
            marks.push(mark);
        }
    }
    marks.into_iter().map(|mark| vec![mark]).collect()
}
