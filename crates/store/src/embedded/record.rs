//! A message's envelope and facts as octets of one column: compact, with a version in front and a
//! checksum behind, so that a disk that returns other bits is found out.
//!
//! Numbers are LEB128 where they are small, eight octets little-endian where they are not; texts
//! have their length in front; an absent text is 0, a present one its length plus 1.

use std::net::IpAddr;
use std::sync::Arc;

use relais_smtp::address::{Host, Mailbox, ReversePath};
use relais_smtp::dkim::{BODY_HASH_OCTETS, BodyHash};
use relais_smtp::domain::Domain;
use relais_smtp::envelope::{
    Body, EnvelopeRecipient, Notify, OriginalRecipient, Ret, SenderParameters,
};
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use crate::checksum::Checksum;
use crate::queue::MessageFacts;
use crate::trace::ClientSummary;

/// Raised with each change of the form; older forms stay readable.
const FORM: u8 = 3;
/// Without what MAIL said where another address was put in its place.
const FORM_BEFORE_REPLACED: u8 = 2;
/// Without the hash of the body.
const FORM_BEFORE_DKIM: u8 = 1;

const EIGHT_BIT: u8 = 1;
const UTF8_HEADER: u8 = 2;
const IS_NOTICE: u8 = 4;
const BODY_8BIT: u8 = 8;
const SMTP_UTF8: u8 = 16;
const REQUIRE_TLS: u8 = 32;
const RET_FULL: u8 = 64;
const RET_HEADERS: u8 = 128;

const NOTIFY_GIVEN: u8 = 1;
const NOTIFY_SUCCESS: u8 = 2;
const NOTIFY_FAILURE: u8 = 4;
const NOTIFY_DELAY: u8 = 8;
const ORIGINAL_GIVEN: u8 = 16;
const IS_COPY: u8 = 32;

/// What the column holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Record {
    pub(crate) facts: MessageFacts,
    /// By number.
    pub(crate) recipients: Vec<EnvelopeRecipient>,
    /// Octets of the content, wherever it is.
    pub(crate) content_size: u64,
    /// Checksum over it.
    pub(crate) content_checksum: u64,
}

/// The octets are not what was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Damaged;

/// Writes the column.
pub(crate) fn encode<'a>(
    facts: &MessageFacts,
    recipients: impl ExactSizeIterator<Item = &'a EnvelopeRecipient>,
    content_size: u64,
    content_checksum: u64,
) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(256 + 48 * recipients.len()));
    out.octet(FORM);
    out.number(content_size);
    out.eight(content_checksum);
    out.facts(facts);
    out.body_hash(facts.body_hash.as_ref());
    out.replaced(facts.replaced.as_ref());
    out.number(recipients.len() as u64);
    for recipient in recipients {
        out.recipient(recipient);
    }
    let sum = Checksum::of(&out.0);
    out.eight(sum);
    out.0
}

/// Reads the column.
pub(crate) fn decode(queue_id: QueueId, octets: &[u8]) -> Result<Record, Damaged> {
    let (rest, sum) = octets.split_last_chunk::<8>().ok_or(Damaged)?;
    if Checksum::of(rest) != u64::from_le_bytes(*sum) {
        return Err(Damaged);
    }
    let mut reader = Reader(rest);
    let form = reader.octet()?;
    if !(FORM_BEFORE_DKIM..=FORM).contains(&form) {
        return Err(Damaged);
    }
    let content_size = reader.number()?;
    let content_checksum = reader.eight()?;
    let mut facts = reader.facts(queue_id)?;
    if form > FORM_BEFORE_DKIM {
        facts.body_hash = reader.body_hash()?;
    }
    if form > FORM_BEFORE_REPLACED {
        facts.replaced = reader.replaced()?;
    }
    let count = reader.number()?;
    let recipients = (0..count)
        .map(|_| reader.recipient())
        .collect::<Result<_, _>>()?;
    Ok(Record {
        facts,
        recipients,
        content_size,
        content_checksum,
    })
}

struct Writer(Vec<u8>);

impl Writer {
    fn octet(&mut self, octet: u8) {
        self.0.push(octet);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn eight(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            None => self.octet(0),
            Some(text) => {
                self.number(text.len() as u64 + 1);
                self.0.extend_from_slice(text.as_bytes());
            }
        }
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                self.octet(4);
                self.0.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                self.octet(6);
                self.0.extend_from_slice(&address.octets());
            }
        }
    }

    fn mailbox(&mut self, mailbox: &Mailbox) {
        self.text(mailbox.local_part().as_str());
        match mailbox.host() {
            Host::Domain(domain) => self.optional(Some(domain.as_str())),
            Host::Literal(address) => {
                self.octet(0);
                self.address(*address);
            }
        }
    }

    fn facts(&mut self, facts: &MessageFacts) {
        let MessageFacts {
            queue_id: _,
            organisation,
            inbound_connector,
            client,
            reverse_path,
            replaced: _,
            parameters,
            accepted_at,
            size,
            eight_bit,
            utf8_header,
            header_from,
            subject,
            message_id,
            body_hash: _,
            is_notice,
        } = facts;
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let ret = match parameters.ret {
            None => 0,
            Some(Ret::Full) => RET_FULL,
            Some(Ret::Headers) => RET_HEADERS,
        };
        self.octet(
            flag(*eight_bit, EIGHT_BIT)
                | flag(*utf8_header, UTF8_HEADER)
                | flag(*is_notice, IS_NOTICE)
                | flag(parameters.body == Body::EightBitMime, BODY_8BIT)
                | flag(parameters.smtp_utf8, SMTP_UTF8)
                | flag(parameters.require_tls, REQUIRE_TLS)
                | ret,
        );
        // A declared size of 2⁶⁴ − 1 has no meaning that would be lost.
        self.number(parameters.size.map_or(0, |size| size.saturating_add(1)));
        self.optional(parameters.envid.as_deref());
        self.eight(accepted_at.as_millis().cast_unsigned());
        self.number(*size);
        self.text(organisation);
        self.optional(inbound_connector.as_deref());
        self.optional(header_from.as_deref());
        self.optional(subject.as_deref());
        self.optional(message_id.as_deref());
        match reverse_path {
            ReversePath::Null => self.octet(0),
            ReversePath::Mailbox(mailbox) => {
                self.octet(1);
                self.mailbox(mailbox);
            }
        }
        let Some(client) = client else {
            return self.octet(0);
        };
        self.address(client.address);
        self.optional(client.helo.as_deref());
        self.optional(client.credential.as_deref());
        self.optional(client.certificate.as_deref());
    }

    fn body_hash(&mut self, hash: Option<&BodyHash>) {
        match hash {
            None => self.octet(0),
            Some(hash) => {
                self.octet(1);
                self.0.extend_from_slice(hash.as_bytes());
            }
        }
    }

    fn replaced(&mut self, replaced: Option<&Mailbox>) {
        match replaced {
            None => self.octet(0),
            Some(mailbox) => {
                self.octet(1);
                self.mailbox(mailbox);
            }
        }
    }

    fn recipient(&mut self, recipient: &EnvelopeRecipient) {
        self.mailbox(&recipient.forward_path);
        let mut flags = 0;
        if let Some(notify) = recipient.notify {
            flags |= NOTIFY_GIVEN;
            flags |= if notify.success { NOTIFY_SUCCESS } else { 0 };
            flags |= if notify.failure { NOTIFY_FAILURE } else { 0 };
            flags |= if notify.delay { NOTIFY_DELAY } else { 0 };
        }
        flags |= if recipient.original.is_some() {
            ORIGINAL_GIVEN
        } else {
            0
        };
        flags |= if recipient.is_copy { IS_COPY } else { 0 };
        self.octet(flags);
        if let Some(original) = &recipient.original {
            self.text(&original.address_type);
            self.text(&original.address);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], Damaged> {
        let count = usize::try_from(count).map_err(|_| Damaged)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn octet(&mut self) -> Result<u8, Damaged> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            number |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damaged)
    }

    fn eight(&mut self) -> Result<u64, Damaged> {
        let octets = self.take(8)?.first_chunk::<8>().ok_or(Damaged)?;
        Ok(u64::from_le_bytes(*octets))
    }

    fn text(&mut self) -> Result<&'a str, Damaged> {
        let length = self.number()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Damaged)
    }

    fn optional(&mut self) -> Result<Option<&'a str>, Damaged> {
        let Some(length) = self.number()?.checked_sub(1) else {
            return Ok(None);
        };
        std::str::from_utf8(self.take(length)?)
            .map(Some)
            .map_err(|_| Damaged)
    }

    fn shared(&mut self) -> Result<Option<Arc<str>>, Damaged> {
        Ok(self.optional()?.map(Arc::from))
    }

    fn address(&mut self, kind: u8) -> Result<IpAddr, Damaged> {
        match kind {
            4 => Ok(IpAddr::from(
                *self.take(4)?.first_chunk::<4>().ok_or(Damaged)?,
            )),
            6 => Ok(IpAddr::from(
                *self.take(16)?.first_chunk::<16>().ok_or(Damaged)?,
            )),
            _ => Err(Damaged),
        }
    }

    fn mailbox(&mut self) -> Result<Mailbox, Damaged> {
        let local = self.text()?;
        let host = match self.optional()? {
            Some(domain) => Host::Domain(Domain::parse(domain).map_err(|_| Damaged)?),
            None => {
                let kind = self.octet()?;
                Host::Literal(self.address(kind)?)
            }
        };
        Mailbox::new(local, host).map_err(|_| Damaged)
    }

    fn facts(&mut self, queue_id: QueueId) -> Result<MessageFacts, Damaged> {
        let flags = self.octet()?;
        let has = |flag: u8| flags & flag != 0;
        let ret = match (has(RET_FULL), has(RET_HEADERS)) {
            (false, false) => None,
            (true, false) => Some(Ret::Full),
            (false, true) => Some(Ret::Headers),
            (true, true) => return Err(Damaged),
        };
        let parameters = SenderParameters {
            size: self.number()?.checked_sub(1),
            body: if has(BODY_8BIT) {
                Body::EightBitMime
            } else {
                Body::SevenBit
            },
            smtp_utf8: has(SMTP_UTF8),
            ret,
            envid: self.optional()?.map(Box::from),
            require_tls: has(REQUIRE_TLS),
        };
        Ok(MessageFacts {
            queue_id,
            parameters,
            accepted_at: Timestamp::from_millis(self.eight()?.cast_signed()),
            size: self.number()?,
            organisation: self.text()?.into(),
            inbound_connector: self.shared()?,
            header_from: self.shared()?,
            subject: self.shared()?,
            message_id: self.shared()?,
            reverse_path: match self.octet()? {
                0 => ReversePath::Null,
                _ => ReversePath::Mailbox(self.mailbox()?),
            },
            client: self.client()?,
            eight_bit: has(EIGHT_BIT),
            utf8_header: has(UTF8_HEADER),
            is_notice: has(IS_NOTICE),
            // Behind the facts, in newer forms.
            body_hash: None,
            replaced: None,
        })
    }

    fn body_hash(&mut self) -> Result<Option<BodyHash>, Damaged> {
        if self.octet()? == 0 {
            return Ok(None);
        }
        let octets = self.take(BODY_HASH_OCTETS as u64)?;
        let octets = octets.first_chunk().ok_or(Damaged)?;
        Ok(Some(BodyHash::from_bytes(*octets)))
    }

    fn replaced(&mut self) -> Result<Option<Mailbox>, Damaged> {
        match self.octet()? {
            0 => Ok(None),
            _ => self.mailbox().map(Some),
        }
    }

    fn client(&mut self) -> Result<Option<Arc<ClientSummary>>, Damaged> {
        let kind = self.octet()?;
        if kind == 0 {
            return Ok(None);
        }
        let address = self.address(kind)?;
        let (helo, credential, certificate) = (self.shared()?, self.shared()?, self.shared()?);
        Ok(Some(Arc::new(ClientSummary {
            address,
            helo,
            credential,
            certificate,
        })))
    }

    fn recipient(&mut self) -> Result<EnvelopeRecipient, Damaged> {
        let forward_path = self.mailbox()?;
        let flags = self.octet()?;
        let has = |flag: u8| flags & flag != 0;
        let notify = has(NOTIFY_GIVEN).then(|| Notify {
            success: has(NOTIFY_SUCCESS),
            failure: has(NOTIFY_FAILURE),
            delay: has(NOTIFY_DELAY),
        });
        let original = if has(ORIGINAL_GIVEN) {
            let address_type = self.text()?.into();
            Some(OriginalRecipient {
                address_type,
                address: self.text()?.into(),
            })
        } else {
            None
        };
        Ok(EnvelopeRecipient {
            forward_path,
            notify,
            original,
            is_copy: has(IS_COPY),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(full: bool) -> Record {
        let text = |text: &str| full.then(|| Arc::<str>::from(text));
        let mailbox = Mailbox::parse("\"a b\"@bücher.example").unwrap();
        let facts = MessageFacts {
            queue_id: QueueId::from_i64(77).unwrap(),
            organisation: "contoso".into(),
            inbound_connector: text("Printers"),
            client: full.then(|| {
                Arc::new(ClientSummary {
                    address: "2001:db8::1".parse().unwrap(),
                    helo: text("scan2"),
                    credential: None,
                    certificate: text(""),
                })
            }),
            reverse_path: if full {
                ReversePath::Mailbox(mailbox.clone())
            } else {
                ReversePath::Null
            },
            replaced: full.then(|| Mailbox::parse("root@nas.local").unwrap()),
            parameters: SenderParameters {
                size: full.then_some(4_096),
                body: if full {
                    Body::EightBitMime
                } else {
                    Body::SevenBit
                },
                smtp_utf8: full,
                ret: full.then_some(Ret::Headers),
                envid: full.then(|| "QQ314159".into()),
                require_tls: full,
            },
            accepted_at: Timestamp::from_millis(if full { 1_795_514_400_123 } else { -1 }),
            size: 70_000,
            eight_bit: full,
            utf8_header: !full,
            header_from: text("scan@contoso.test"),
            subject: text("Numérisation"),
            message_id: text("1@contoso.test"),
            is_notice: !full,
            body_hash: full.then(|| BodyHash::from_bytes([0xb0; BODY_HASH_OCTETS])),
        };
        let mut plain = EnvelopeRecipient::new(Mailbox::parse("anna@[192.0.2.1]").unwrap());
        let mut recipients = vec![plain.clone()];
        if full {
            plain.notify = Some(Notify {
                success: true,
                failure: false,
                delay: true,
            });
            plain.original = Some(OriginalRecipient {
                address_type: "rfc822".into(),
                address: "x@y.example".into(),
            });
            recipients.push(plain);
            recipients.push(EnvelopeRecipient::copy(mailbox));
        }
        Record {
            facts,
            recipients,
            content_size: 70_000,
            content_checksum: u64::MAX,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for full in [false, true] {
            let record = record(full);
            let octets = encode(&record.facts, record.recipients.iter(), 70_000, u64::MAX);
            assert_eq!(decode(record.facts.queue_id, &octets), Ok(record));
        }
    }

    /// As they were written before Relais signed, and before a connector replaced senders.
    #[test]
    fn a_record_of_a_form_before_is_read_and_has_nothing_that_came_later() {
        for (form, later) in [(FORM_BEFORE_DKIM, 2), (FORM_BEFORE_REPLACED, 1)] {
            let mut record = record(false);
            let mut old = encode(&record.facts, [].iter(), 70_000, 5);
            old.truncate(old.len() - 8);
            old[0] = form;
            // No recipients; before them no sender that was replaced, and no hash.
            assert_eq!(old.split_off(old.len() - 3), [0, 0, 0]);
            old.resize(old.len() + 3 - later, 0);
            old.extend_from_slice(&Checksum::of(&old).to_le_bytes());
            record.recipients.clear();
            record.content_checksum = 5;
            assert_eq!(decode(record.facts.queue_id, &old), Ok(record), "{form}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let record = record(true);
        let octets = encode(&record.facts, record.recipients.iter(), 70_000, 5);
        for place in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            assert_eq!(
                decode(record.facts.queue_id, &flipped),
                Err(Damaged),
                "bit {place}"
            );
        }
        for length in 0..octets.len() {
            assert_eq!(
                decode(record.facts.queue_id, &octets[..length]),
                Err(Damaged)
            );
        }
    }
}
