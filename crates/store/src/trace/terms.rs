//! What of an event can be found through the index of the trace databases, and under which keys.
//!
//! A key is a hash of field and value; two values may share one, so what the index finds is always
//! checked with `TraceQuery::matches`. The rules for events ([`Keys::of_event`]) and for queries
//! ([`of_term`]) stand side by side because they must agree: what matches is never missed.
//!
//! The common outcomes (accepted, attempted, delivered, 2yz) have no keys: whoever asks for them
//! finds them by reading backwards, and they would fill the index.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use relais_smtp::identifier::{QueueId, Reference};

use super::query::values::{
    AddressPattern, ClientTest, Pattern, ReplyCodes, Test, folded, has_status, recipients,
};
use super::{ClientSummary, Event, EventKind, To, TraceTerm};

/// Hash of a field and a value. Stored: the function below must never change.
pub(crate) type Key = u32;

/// The fields that have keys. The numbers are stored.
#[derive(Clone, Copy)]
enum Field {
    Id = 1,
    Reference = 2,
    To = 3,
    From = 4,
    Client = 5,
    Connector = 6,
    Organisation = 7,
    Kind = 8,
    Code = 9,
    Token = 10,
    MessageId = 11,
}

/// FNV-1a (64 bits, folded to 32): short texts, stable for ever, no dependency. What is written to
/// it is hashed in lower case, without a copy: this runs a dozen times for each event.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

    fn of(field: Field) -> Self {
        Self(Self::OFFSET).octet(field as u8)
    }

    const fn octet(self, octet: u8) -> Self {
        Self((self.0 ^ octet as u64).wrapping_mul(Self::PRIME))
    }

    /// Letters of ASCII in lower case, everything else as it is.
    fn text(self, text: &str) -> Self {
        text.bytes()
            .fold(self, |hash, octet| hash.octet(octet.to_ascii_lowercase()))
    }

    fn key(self) -> Key {
        // Truncation is the folding.
        ((self.0 >> 32) ^ (self.0 & 0xffff_ffff)) as Key
    }
}

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        *self = self.text(text);
        Ok(())
    }
}

/// Of a text in the case in which it is looked for.
fn key(field: Field, value: &str) -> Key {
    let hash = value.bytes().fold(Hash::of(field), Hash::octet);
    hash.key()
}

/// Of a text in lower case.
fn key_folded(field: Field, value: &str) -> Key {
    if value.is_ascii() {
        Hash::of(field).text(value).key()
    } else {
        key(field, &folded(value))
    }
}

/// Of letters, digits and signs, in lower case.
fn key_shown(field: Field, value: &impl std::fmt::Display) -> Key {
    let mut hash = Hash::of(field);
    // Cannot fail: the hash takes everything.
    let _ = write!(hash, "{value}");
    hash.key()
}

/// The keys of a value, and that value: of the event before.
#[derive(Debug, Default)]
struct Known<T> {
    value: T,
    keys: Vec<Key>,
}

impl<T: Clone + Default + PartialEq> Known<T> {
    /// Calls `found` with the keys of a value, made only if it is another one than before.
    fn tell(&mut self, value: &T, found: &mut impl FnMut(Key), make: impl FnOnce(&mut Vec<Key>)) {
        if self.value != *value {
            self.value.clone_from(value);
            self.keys.clear();
            make(&mut self.keys);
        }
        self.keys.iter().copied().for_each(found);
    }
}

type OptionalText = Option<Arc<str>>;

/// Makes the keys of events. Those that follow each other mostly tell of the same message, device
/// and connectors: what was hashed for the one before is not hashed again.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    id: Known<Option<QueueId>>,
    to: Known<Option<To>>,
    from: Known<OptionalText>,
    header_from: Known<OptionalText>,
    client: Known<Option<Arc<ClientSummary>>>,
    inbound: Known<OptionalText>,
    outbound: Known<OptionalText>,
    organisation: Known<OptionalText>,
}

impl Keys {
    /// Calls `found` with every key of an event; some more than once.
    pub(crate) fn of_event(&mut self, event: &Event, found: &mut impl FnMut(Key)) {
        self.id.tell(&event.queue_id, found, |keys| {
            keys.extend(event.queue_id.map(|id| key_shown(Field::Id, &id)));
        });
        self.to.tell(&event.to, found, |keys| {
            for address in recipients(event) {
                of_address(Field::To, address, &mut |key| keys.push(key));
            }
        });
        let sender = |sender: &OptionalText, keys: &mut Vec<Key>| {
            if let Some(address) = sender {
                of_address(Field::From, address, &mut |key| keys.push(key));
            }
        };
        self.from
            .tell(&event.from, found, |keys| sender(&event.from, keys));
        if event.header_from != event.from {
            self.header_from.tell(&event.header_from, found, |keys| {
                sender(&event.header_from, keys);
            });
        }
        self.client.tell(&event.client, found, |keys| {
            keys.extend(
                event
                    .client
                    .iter()
                    .flat_map(|client| keys_of_client(client)),
            );
        });
        let named = |field, name: &OptionalText, keys: &mut Vec<Key>| {
            keys.extend(name.iter().map(|name| key_folded(field, name)));
        };
        let (inbound, outbound) = (&event.inbound_connector, &event.outbound_connector);
        self.inbound.tell(inbound, found, |keys| {
            named(Field::Connector, inbound, keys);
        });
        self.outbound.tell(outbound, found, |keys| {
            named(Field::Connector, outbound, keys);
        });
        self.organisation.tell(&event.organisation, found, |keys| {
            named(Field::Organisation, &event.organisation, keys);
        });
        of_the_rest(event, found);
    }
}

fn keys_of_client(client: &ClientSummary) -> impl Iterator<Item = Key> {
    let address = key_shown(Field::Client, &client.address.to_canonical());
    let names = [&client.helo, &client.credential, &client.certificate];
    let names = names.into_iter().flatten();
    std::iter::once(address).chain(names.map(|name| key_folded(Field::Client, name)))
}

/// What hardly two events have in common.
fn of_the_rest(event: &Event, found: &mut impl FnMut(Key)) {
    if let Some(reference) = event.reference {
        found(key_shown(Field::Reference, &reference));
    }
    if has_kind_key(event.kind) {
        found(key(Field::Kind, event.kind.name()));
    }
    if let Some(token) = &event.token {
        found(key_folded(Field::Token, token));
    }
    if let Some(message_id) = &event.message_id {
        found(key_folded(Field::MessageId, message_id));
    }
    of_reply(event, found);
}

fn of_address(field: Field, address: &str, found: &mut impl FnMut(Key)) {
    let folded_address;
    let address = if address.is_ascii() {
        address
    } else {
        folded_address = folded(address);
        &folded_address
    };
    let Some((local, domain)) = address.rsplit_once('@') else {
        found(Hash::of(field).text(address).key());
        return;
    };
    // The hash of the local part is that of the address on its way.
    let of_local = Hash::of(field).text(local);
    found(of_local.key());
    found(of_local.text("@").text(domain).key());
    found(Hash::of(field).text(domain).key());
}

fn of_reply(event: &Event, found: &mut impl FnMut(Key)) {
    let codes = ReplyCodes::of(event);
    let negative = codes.code.filter(|code| !code.starts_with('2'));
    if let Some(code) = negative {
        found(key(Field::Code, code));
        found(key(Field::Code, &code[..1]));
    }
    let negative = codes.enhanced.filter(|code| !code.starts_with('2'));
    if let Some(enhanced) = negative {
        found(key(Field::Code, enhanced));
        found(key(Field::Code, subject_of(enhanced)));
        found(key(Field::Code, &enhanced[..1]));
    }
}

/// `5.7.` of `5.7.1`.
fn subject_of(enhanced: &str) -> &str {
    enhanced
        .rfind('.')
        .map_or(enhanced, |end| &enhanced[..=end])
}

const fn has_kind_key(kind: EventKind) -> bool {
    match kind {
        EventKind::MessageAccepted
        | EventKind::DeliveryAttempted
        | EventKind::RecipientDelivered => false,
        EventKind::ConnectionRefused
        | EventKind::AttemptRefused
        | EventKind::AuthFailed
        | EventKind::MessageRepaired
        | EventKind::RecipientDeferred
        | EventKind::RecipientFailed
        | EventKind::RecipientExpired
        | EventKind::RecipientHeld
        | EventKind::RecipientDiscarded
        | EventKind::NoticeSent
        | EventKind::NoticeReceived
        | EventKind::EntityRestricted
        | EventKind::EntityReleased
        | EventKind::CheckChanged
        | EventKind::AlertRaised
        | EventKind::SettingsChanged => true,
    }
}

/// Keys of which every matching event has at least one; `None`: the index does not help.
pub(crate) fn of_term(term: &TraceTerm) -> Option<Vec<Key>> {
    match term.test() {
        Test::To(pattern) => of_address_pattern(Field::To, pattern),
        Test::From(pattern) => of_address_pattern(Field::From, pattern),
        Test::Client(ClientTest::Network(address, length)) => {
            let whole = *length == if address.is_ipv4() { 32 } else { 128 };
            whole.then(|| vec![key(Field::Client, &address.to_string())])
        }
        Test::Client(ClientTest::Name(pattern)) => exactly(Field::Client, pattern),
        Test::Connector(pattern) => exactly(Field::Connector, pattern),
        Test::Status(word) => of_kinds(
            EventKind::ALL
                .iter()
                .copied()
                .filter(|kind| has_status(*kind, word)),
        ),
        Test::Addresses(wanted) => {
            let keys = wanted
                .iter()
                .flat_map(|address| [Field::To, Field::From].map(|field| key(field, address)));
            Some(keys.collect())
        }
        Test::Event(pattern) => of_kinds(pattern.kinds()),
        Test::Code(pattern) => of_code(pattern),
        Test::Reference(pattern) => exactly(Field::Reference, pattern),
        Test::Token(pattern) => exactly(Field::Token, pattern),
        Test::Id(pattern) => exactly(Field::Id, pattern),
        Test::MessageId(pattern) => exactly(Field::MessageId, pattern),
        Test::Organisation(pattern) => exactly(Field::Organisation, pattern),
        Test::Size(..) | Test::Tls(_) | Test::Delay(..) | Test::Subject(_) | Test::Text(_) => None,
    }
}

/// Free text that is as a whole a queue id, a reference, an address, a Message-ID or an IP address:
/// the keys under which it stands as such. Where the index knows one, the person meant that.
pub(crate) fn of_identifying_text(term: &TraceTerm) -> Option<Vec<Key>> {
    let Test::Text(pattern) = term.test() else {
        return None;
    };
    // `*` typed by the person asks for more than the one.
    if term.value.contains('*') {
        return None;
    }
    let text = pattern.text.as_str();
    if text.parse::<QueueId>().is_ok() {
        return Some(vec![key(Field::Id, text)]);
    }
    if text.parse::<Reference>().is_ok() {
        return Some(vec![key(Field::Reference, text)]);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(vec![key(
            Field::Client,
            &address.to_canonical().to_string(),
        )]);
    }
    let (local, domain) = text.rsplit_once('@')?;
    let whole = !local.is_empty() && !domain.is_empty();
    let fields = [Field::To, Field::From, Field::MessageId];
    whole.then(|| fields.map(|field| key(field, text)).to_vec())
}

fn exactly(field: Field, pattern: &Pattern) -> Option<Vec<Key>> {
    pattern.exact().map(|text| vec![key(field, text)])
}

fn of_address_pattern(field: Field, pattern: &AddressPattern) -> Option<Vec<Key>> {
    match pattern {
        AddressPattern::Null => Some(vec![key(field, "")]),
        AddressPattern::Whole(pattern) => exactly(field, pattern),
        AddressPattern::Part(part) => Some(vec![key(field, part)]),
    }
}

fn of_kinds(kinds: impl Iterator<Item = EventKind>) -> Option<Vec<Key>> {
    kinds
        .map(|kind| has_kind_key(kind).then(|| key(Field::Kind, kind.name())))
        .collect()
}

fn of_code(pattern: &Pattern) -> Option<Vec<Key>> {
    if pattern.open_start || !pattern.text.starts_with(['3', '4', '5']) {
        return None;
    }
    let text = pattern.text.as_str();
    // What is open at its end has the key of the longest stored beginning.
    let stored = match (pattern.open_end, text.len(), text.matches('.').count()) {
        (false, ..) => text,
        (true, 1 | 2, 0 | 1) => &text[..1],
        (true, _, 2) => subject_of(text),
        (true, ..) => &text[..1],
    };
    Some(vec![key(Field::Code, stored)])
}
