//! The value of each token, read once, and its test on events.

use std::borrow::Cow;
use std::net::IpAddr;

use relais_smtp::identifier::{QueueId, Reference};

use super::TraceQueryError;
use super::addresses;
use crate::trace::{Event, EventKind, PARTLY, STATUS_WORDS, To};

/// A checked condition on one event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::trace) enum Test {
    To(AddressPattern),
    From(AddressPattern),
    /// Whole addresses, folded: to or from one of them.
    Addresses(Vec<String>),
    Client(ClientTest),
    Connector(Pattern),
    Status(&'static str),
    Code(Pattern),
    Reference(Pattern),
    Token(Pattern),
    Size(Comparison, u64),
    Tls(TlsTest),
    /// In milliseconds.
    Delay(Comparison, u64),
    Subject(Pattern),
    Event(Pattern),
    Id(Pattern),
    /// Without brackets.
    MessageId(Pattern),
    Organisation(Pattern),
    Text(Pattern),
}

/// A folded text with the places where `*` stood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::trace) struct Pattern {
    pub(in crate::trace) text: String,
    pub(in crate::trace) open_start: bool,
    pub(in crate::trace) open_end: bool,
}

/// An address, or a part of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::trace) enum AddressPattern {
    /// `<>`.
    Null,
    /// With `@` or `*`: the whole address.
    Whole(Pattern),
    /// Without both: its domain or its local part.
    Part(String),
}

/// Who the client is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::trace) enum ClientTest {
    /// Its address lies in a network; a single address is a network of full length.
    Network(IpAddr, u8),
    /// Address as text, greeting name, user or certificate name.
    Name(Pattern),
}

/// How a number stands to the one given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::trace) enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

/// What is asked of TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::trace) enum TlsTest {
    /// A session in clear text.
    None,
    /// By version, major and minor.
    Version(Comparison, (u32, u32)),
    /// By how the peer was verified.
    Verified(&'static str),
}

impl Test {
    pub(super) fn read(field: &'static str, value: &str) -> Result<Self, TraceQueryError> {
        Ok(match field {
            "to" => Self::To(AddressPattern::read(field, value)?),
            "from" => Self::From(AddressPattern::read(field, value)?),
            "address" => Self::Addresses(addresses::read(value)?),
            "client" => Self::Client(ClientTest::read(value)?),
            "connector" => Self::Connector(Pattern::read(field, value)?),
            "status" => Self::Status(status(value)?),
            "code" => Self::Code(code(value)?),
            "ref" => Self::Reference(reference(value)?),
            "token" => Self::Token(Pattern::read(field, value)?),
            "size" => {
                let (comparison, number) = size(value)?;
                Self::Size(comparison, number)
            }
            "tls" => Self::Tls(TlsTest::read(value)?),
            "delay" => {
                let (comparison, millis) = delay(value)?;
                Self::Delay(comparison, millis)
            }
            "subject" => Self::Subject(Pattern::part(field, value)?),
            "event" => Self::Event(event(value)?),
            "id" => Self::Id(queue_id(value)?),
            "message-id" => {
                let bare = value.strip_prefix('<').unwrap_or(value);
                let bare = bare.strip_suffix('>').unwrap_or(bare);
                Self::MessageId(Pattern::read(field, bare)?)
            }
            "organisation" => Self::Organisation(Pattern::read(field, value)?),
            _free_text => Self::Text(Pattern::part(field, value)?),
        })
    }

    pub(in crate::trace) fn is_partly(&self) -> bool {
        matches!(self, Self::Status(word) if *word == PARTLY)
    }

    pub(super) fn fits(&self, event: &Event) -> bool {
        match self {
            Self::To(pattern) => recipients(event).any(|address| pattern.fits(address)),
            Self::From(pattern) => [&event.from, &event.header_from]
                .into_iter()
                .flatten()
                .any(|a| pattern.fits(a)),
            Self::Addresses(wanted) => {
                let senders = [&event.from, &event.header_from].into_iter().flatten();
                let mut all = recipients(event).chain(senders.map(AsRef::as_ref));
                all.any(|address| wanted.iter().any(|one| **one == *folded(address)))
            }
            Self::Client(test) => test.fits(event),
            Self::Connector(pattern) => {
                pattern.fits_some(event.inbound_connector.as_deref())
                    || pattern.fits_some(event.outbound_connector.as_deref())
            }
            Self::Status(word) => has_status(event.kind, word),
            Self::Code(pattern) => {
                let codes = ReplyCodes::of(event);
                pattern.fits_some(codes.code) || pattern.fits_some(codes.enhanced)
            }
            Self::Reference(pattern) => event
                .reference
                .is_some_and(|reference| pattern.fits(&reference.to_string())),
            Self::Token(pattern) => pattern.fits_some(event.token.as_deref()),
            Self::Size(comparison, number) => event
                .size
                .is_some_and(|size| comparison.holds(&size, number)),
            Self::Tls(test) => test.fits(event),
            Self::Delay(comparison, millis) => {
                delay_of(event).is_some_and(|delay| comparison.holds(&delay, millis))
            }
            Self::Subject(pattern) => pattern.fits_some(event.subject.as_deref()),
            Self::Event(pattern) => pattern.fits(event.kind.name()),
            Self::Id(pattern) => event
                .queue_id
                .is_some_and(|id| pattern.fits(&id.to_string())),
            Self::MessageId(pattern) => pattern.fits_some(event.message_id.as_deref()),
            Self::Organisation(pattern) => pattern.fits_some(event.organisation.as_deref()),
            Self::Text(pattern) => text_fits(pattern, event),
        }
    }
}

/// Whether events of this kind have this status, or may have it where it is [`PARTLY`].
pub(in crate::trace) fn has_status(kind: EventKind, word: &str) -> bool {
    match kind {
        EventKind::RecipientFailed
        | EventKind::RecipientExpired
        | EventKind::RecipientDiscarded
            if word == PARTLY =>
        {
            true
        }
        _ => kind.status() == Some(word),
    }
}

/// Free text: in whatever a person may have read off a display, a log or a mail.
fn text_fits(pattern: &Pattern, event: &Event) -> bool {
    let texts = [
        &event.from,
        &event.header_from,
        &event.subject,
        &event.reply,
        &event.message_id,
    ];
    texts.into_iter().flatten().any(|text| pattern.fits(text))
        || recipients(event).any(|address| pattern.fits(address))
        || event
            .queue_id
            .is_some_and(|id| pattern.fits(&id.to_string()))
        || event
            .reference
            .is_some_and(|reference| pattern.fits(&reference.to_string()))
        || event
            .client
            .as_ref()
            .is_some_and(|client| pattern.fits(&client.address.to_string()))
}

/// How long a recipient's message was ours when this happened to it, in milliseconds: its queue id
/// says when it was accepted.
pub(in crate::trace) fn delay_of(event: &Event) -> Option<u64> {
    let is_of_recipient = matches!(event.to, Some(To::One(_)));
    let id = event.queue_id.filter(|_| is_of_recipient)?;
    u64::try_from(event.time.since(id.created_at()).as_millis()).ok()
}

/// The recipients of an event, one or many.
pub(in crate::trace) fn recipients(event: &Event) -> impl Iterator<Item = &str> {
    let addresses: &[_] = match &event.to {
        None => &[],
        Some(To::One(address)) => std::slice::from_ref(address),
        Some(To::Many(addresses)) => addresses,
    };
    addresses.iter().map(AsRef::as_ref)
}

/// Lower case, without a copy where there is nothing to change.
pub(in crate::trace) fn folded(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|octet| octet.is_ascii() && !octet.is_ascii_uppercase())
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.to_lowercase())
}

/// The reply code and the enhanced status code of an event's reply, as text.
pub(in crate::trace) struct ReplyCodes<'a> {
    pub(in crate::trace) code: Option<&'a str>,
    pub(in crate::trace) enhanced: Option<&'a str>,
}

impl<'a> ReplyCodes<'a> {
    pub(in crate::trace) fn of(event: &'a Event) -> Self {
        let mut words = event
            .reply
            .as_deref()
            .unwrap_or_default()
            .split_ascii_whitespace();
        let code = words
            .next()
            .filter(|word| word.len() == 3 && word.bytes().all(|octet| octet.is_ascii_digit()));
        let of_digits =
            |part: &str| matches!(part.len(), 1..=3) && part.bytes().all(|o| o.is_ascii_digit());
        // RFC 3463 §2: class, subject and detail.
        let enhanced = words
            .next()
            .filter(|word| word.split('.').count() == 3 && word.split('.').all(of_digits));
        Self {
            code,
            enhanced: if code.is_some() { enhanced } else { None },
        }
    }
}

impl Pattern {
    fn read(field: &str, value: &str) -> Result<Self, TraceQueryError> {
        let (open_start, middle) = value
            .strip_prefix('*')
            .map_or((false, value), |m| (true, m));
        let (open_end, middle) = middle
            .strip_suffix('*')
            .map_or((false, middle), |m| (true, m));
        if middle.contains('*') {
            return Err(TraceQueryError(format!(
                "{field}:{value}: the sign * may stand at the beginning and at the end only"
            )));
        }
        Ok(Self {
            text: folded(middle).into_owned(),
            open_start,
            open_end,
        })
    }

    /// Open at both ends, whether written or not.
    fn part(field: &str, value: &str) -> Result<Self, TraceQueryError> {
        let pattern = Self::read(field, value)?;
        Ok(Self {
            open_start: true,
            open_end: true,
            ..pattern
        })
    }

    /// The whole text, if nothing is open.
    pub(in crate::trace) fn exact(&self) -> Option<&str> {
        (!self.open_start && !self.open_end).then_some(&self.text)
    }

    fn fits(&self, text: &str) -> bool {
        let text = folded(text);
        match (self.open_start, self.open_end) {
            (false, false) => *text == self.text,
            (true, false) => text.ends_with(&self.text),
            (false, true) => text.starts_with(&self.text),
            (true, true) => text.contains(&self.text),
        }
    }

    fn fits_some(&self, text: Option<&str>) -> bool {
        text.is_some_and(|text| self.fits(text))
    }
}

impl AddressPattern {
    fn read(field: &str, value: &str) -> Result<Self, TraceQueryError> {
        if value == "<>" {
            return Ok(Self::Null);
        }
        // People copy addresses with their brackets.
        let bare = value
            .strip_prefix('<')
            .and_then(|v| v.strip_suffix('>'))
            .unwrap_or(value);
        let pattern = Pattern::read(field, bare)?;
        Ok(match pattern.exact() {
            Some(text) if text.starts_with('@') => Self::Part(text[1..].to_owned()),
            Some(text) if !text.contains('@') => Self::Part(text.to_owned()),
            _ => Self::Whole(pattern),
        })
    }

    fn fits(&self, address: &str) -> bool {
        match self {
            Self::Null => address.is_empty(),
            Self::Whole(pattern) => pattern.fits(address),
            Self::Part(part) => {
                let address = folded(address);
                let (local, domain) = address.rsplit_once('@').unwrap_or((&address, ""));
                local == part || (domain == part && !domain.is_empty())
            }
        }
    }
}

impl ClientTest {
    fn read(value: &str) -> Result<Self, TraceQueryError> {
        let (address, length) = match value.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (value, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Pattern::read("client", value).map(Self::Name);
        };
        let address = address.to_canonical();
        let full: u8 = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => full,
            Some(text) => text
                .parse()
                .ok()
                .filter(|length| *length <= full)
                .ok_or_else(|| {
                    TraceQueryError(format!(
                        "client:{value}: the prefix length must be 0 to {full}"
                    ))
                })?,
        };
        Ok(Self::Network(address, length))
    }

    fn fits(&self, event: &Event) -> bool {
        let Some(client) = &event.client else {
            return false;
        };
        match self {
            Self::Network(network, length) => within(client.address, *network, *length),
            Self::Name(pattern) => {
                pattern.fits(&client.address.to_string())
                    || pattern.fits_some(client.helo.as_deref())
                    || pattern.fits_some(client.credential.as_deref())
                    || pattern.fits_some(client.certificate.as_deref())
            }
        }
    }
}

pub(in crate::trace) fn within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            (address.to_bits() ^ network.to_bits()) & mask == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            (address.to_bits() ^ network.to_bits()) & mask == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

impl Comparison {
    /// The sign at the beginning of a value, and the rest.
    fn split(value: &str) -> (Self, &str) {
        let signs = [
            ("<=", Self::AtMost),
            (">=", Self::AtLeast),
            ("<", Self::Less),
            (">", Self::More),
            ("=", Self::Equal),
        ];
        signs
            .into_iter()
            .find_map(|(sign, comparison)| Some((comparison, value.strip_prefix(sign)?)))
            .unwrap_or((Self::Equal, value))
    }

    pub(in crate::trace) fn holds<T: Ord>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
            Self::AtLeast => left >= right,
            Self::More => left > right,
        }
    }
}

impl TlsTest {
    fn read(value: &str) -> Result<Self, TraceQueryError> {
        let words = ["dane", "mta-sts", "name", "chain", "certificate", "no"];
        if let Some(word) = words
            .into_iter()
            .find(|word| word.eq_ignore_ascii_case(value))
        {
            return Ok(Self::Verified(word));
        }
        if value.eq_ignore_ascii_case("none") {
            return Ok(Self::None);
        }
        let (comparison, version) = Comparison::split(value);
        tls_version(version)
            .map(|version| Self::Version(comparison, version))
            .ok_or_else(|| {
                TraceQueryError(format!(
                    "tls:{value} cannot be read; write tls:1.3, tls:<1.2, tls:none, or one of {}",
                    words.join(", ")
                ))
            })
    }

    fn fits(&self, event: &Event) -> bool {
        match (self, &event.tls) {
            // Only what had a session can have had one in clear text.
            (Self::None, None) => event.client.is_some() || event.next_hop.is_some(),
            (Self::None, Some(_)) | (Self::Version(..) | Self::Verified(_), None) => false,
            (Self::Version(comparison, version), Some(tls)) => {
                tls_version(&tls.version).is_some_and(|found| comparison.holds(&found, version))
            }
            (Self::Verified(word), Some(tls)) => *word == &*tls.verified,
        }
    }
}

pub(in crate::trace) fn tls_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn delay(value: &str) -> Result<(Comparison, u64), TraceQueryError> {
    let (comparison, span) = Comparison::split(value);
    let millis = super::span_of(span.trim()).map(|span| span.as_millis());
    let millis = millis.and_then(|millis| u64::try_from(millis).ok());
    millis.map(|millis| (comparison, millis)).ok_or_else(|| {
        TraceQueryError(format!(
            "delay:{value} cannot be read; write a time with s, m, h, d or w, such as delay:>5m"
        ))
    })
}

fn status(value: &str) -> Result<&'static str, TraceQueryError> {
    let mut words = STATUS_WORDS.iter().chain(&[PARTLY]);
    let word = words.find(|word| word.eq_ignore_ascii_case(value));
    word.copied().ok_or_else(|| {
        TraceQueryError(format!(
            "status:{value} is not known; known are {}, {PARTLY}",
            STATUS_WORDS.join(", ")
        ))
    })
}

fn code(value: &str) -> Result<Pattern, TraceQueryError> {
    let pattern = Pattern::read("code", value)?;
    let form = pattern
        .text
        .bytes()
        .all(|octet| octet.is_ascii_digit() || octet == b'.');
    let whole = pattern
        .exact()
        .is_none_or(|text| text.len() == 3 || text.contains('.'));
    if form && whole {
        return Ok(pattern);
    }
    Err(TraceQueryError(format!(
        "code:{value} cannot be read; write a reply code (550, 5*) or an enhanced status code \
         (5.7.1, 5.7.*)"
    )))
}

/// A beginning is enough: references are read off displays that cut them.
fn reference(value: &str) -> Result<Pattern, TraceQueryError> {
    let pattern = Pattern::read("ref", value)?;
    let letters = pattern.text.chars().count();
    let whole = letters == Reference::from_bits(0).to_string().len();
    if whole && pattern.text.parse::<Reference>().is_err() {
        return Err(TraceQueryError(format!(
            "ref:{value} is no reference: five letters and digits, never 0, O, 1 or I"
        )));
    }
    Ok(Pattern {
        open_end: !whole || pattern.open_end,
        ..pattern
    })
}

fn queue_id(value: &str) -> Result<Pattern, TraceQueryError> {
    let pattern = Pattern::read("id", value)?;
    if pattern
        .exact()
        .is_some_and(|text| text.parse::<QueueId>().is_err())
    {
        return Err(TraceQueryError(format!(
            "id:{value} is no queue id: 13 letters and digits, never I, L, O or U"
        )));
    }
    Ok(pattern)
}

fn event(value: &str) -> Result<Pattern, TraceQueryError> {
    let pattern = Pattern::read("event", value)?;
    if EventKind::ALL.iter().any(|kind| pattern.fits(kind.name())) {
        return Ok(pattern);
    }
    let names: Vec<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
    Err(TraceQueryError(format!(
        "event:{value} is not known; known are {}",
        names.join(", ")
    )))
}

impl Pattern {
    /// The kinds of event whose names fit.
    pub(in crate::trace) fn kinds(&self) -> impl Iterator<Item = EventKind> {
        EventKind::ALL
            .iter()
            .copied()
            .filter(|kind| self.fits(kind.name()))
    }
}

/// `>10mb`: kB, MB, GB count by thousands, KiB, MiB, GiB by 1,024, as in the settings.
fn size(value: &str) -> Result<(Comparison, u64), TraceQueryError> {
    let (comparison, amount) = Comparison::split(value);
    let amount = amount.trim();
    let digits = amount
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(amount.len());
    let (number, unit) = amount.split_at(digits);
    let factor: Option<u64> = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" => Some(1_000),
        "m" | "mb" => Some(1_000_000),
        "g" | "gb" => Some(1_000_000_000),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        _ => None,
    };
    let octets = number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(n, f)| n.checked_mul(f));
    octets.map(|octets| (comparison, octets)).ok_or_else(|| {
        TraceQueryError(format!(
            "size:{value} cannot be read; write a number with b, kB, MB, GB, KiB, MiB or GiB, \
             such as size:>10mb"
        ))
    })
}
