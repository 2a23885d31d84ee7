//! Signed envelope senders: a reverse-path at the organisation's bounce domain that names the
//! message, and that nobody else can make. What comes back to it finds its message; what was never
//! sent by us finds nobody (backscatter).
//!
//! The local part is `b1-MESSAGE-DAY[-NUMBER]-MAC`, letters and digits of the queue id's alphabet,
//! in lower case and read in any (RFC 5321 §2.4 lets servers between change it): the queue id, the
//! last day on which it counts, the recipient's place in the message where the transaction had one
//! recipient only, and 80 bits of an HMAC-SHA-256 (RFC 2104) over all of that with the organisation
//! and the bounce domain. at most 44 octets, of the 64 of RFC 5321 §4.5.3.1.1.
//!
//! A transaction with several recipients stays one: to send each apart would cost the next hop the
//! content as often. Its notices name the recipient nearly always (RFC 3464 §2.3.2).
//!
//! Not here: where keys come from (`relais-store`), what is done with what comes back
//! (`relais-deliver`).

use std::fmt;
use std::time::Duration;

use hmac::{KeyInit as _, Mac as _};
use relais_smtp::address::{Host, Mailbox, ReversePath};
use relais_smtp::domain::Domain;
use relais_smtp::header::FromField;
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::document::{EnvelopeSender, PassedOnSender};
use crate::registered::belong_together;
use crate::settings::{BOUNCE_DOMAIN_OCTETS_MAX, OwnedDomain, Settings};

/// A key: as long as the hash. RFC 2104 §3.
pub const BOUNCE_KEY_OCTETS: usize = 32;
/// So long after the attempt something may come back: twice the longest lifetime of a queue (five
/// days, RFC 5321 §4.5.4.1), and the holidays of whoever reads reports by hand.
pub const TOKEN_DAYS: u16 = 35;

/// A key signs for so many days; what it signed then counts for [`TOKEN_DAYS`] more. As long as a
/// key of DKIM signs by default.
pub const ROTATE_DAYS: u16 = 180;

/// Version of the form; another form would bear another.
const PREFIX: &str = "b1-";
/// Octets of the MAC that the token bears: nobody guesses one of 2^80 at a server that counts.
const MAC_OCTETS: usize = 10;
/// The same in letters of five bits.
const MAC_LETTERS: usize = 16;
/// Three letters: days of 89 years.
const DAY_LETTERS: usize = 3;
/// Recipients of a message are fewer by far.
const NUMBER_LETTERS_MAX: usize = 6;
/// Letters of a queue id.
const MESSAGE_LETTERS: usize = 13;
/// Crockford's alphabet, as in queue ids, in lower case.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 2024-01-01T00:00:00Z: day 0.
const EPOCH_SECONDS: i64 = 1_704_067_200;
const DAY: Duration = Duration::from_secs(86_400);

/// The key of an organisation's tokens. Never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct BounceKey([u8; BOUNCE_KEY_OCTETS]);

impl BounceKey {
    /// From chance, or from the store.
    pub const fn new(octets: [u8; BOUNCE_KEY_OCTETS]) -> Self {
        Self(octets)
    }

    /// To be kept as a secret.
    pub const fn octets(&self) -> &[u8; BOUNCE_KEY_OCTETS] {
        &self.0
    }
}

impl fmt::Debug for BounceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BounceKey(…)")
    }
}

/// The keys of an organisation's tokens: one signs, and what the one before signed still counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BounceKeys {
    current: BounceKey,
    /// It signs since then.
    since: Timestamp,
    before: Option<BounceKey>,
}

impl BounceKeys {
    /// A first one.
    pub const fn new(current: BounceKey, now: Timestamp) -> Self {
        Self {
            current,
            since: now,
            before: None,
        }
    }

    /// Whether another one is to sign.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.since(self.since) >= DAY * u32::from(ROTATE_DAYS)
    }

    /// With another one that signs. What the last one signed is over long before the next time.
    pub fn rotated(self, fresh: BounceKey, now: Timestamp) -> Self {
        Self {
            current: fresh,
            since: now,
            before: Some(self.current),
        }
    }

    /// Until when what the key before signed counts; `None`: there is none, or it is over.
    pub fn before_counts_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.since.after(DAY * u32::from(TOKEN_DAYS));
        (self.before.is_some() && now < until).then_some(until)
    }

    /// To be kept as a secret: when, the key that signs, and the one before.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = self.since.as_millis().to_be_bytes().to_vec();
        octets.extend(self.current.0);
        octets.extend(self.before.iter().flat_map(|key| key.0));
        octets
    }

    /// As it was kept; `None`: it is damaged. A key alone is of an older version, and due.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        if let Ok(alone) = octets.try_into() {
            return Some(Self::new(BounceKey(alone), Timestamp::from_millis(0)));
        }
        let (since, keys) = octets.split_first_chunk()?;
        let (current, before) = keys.split_first_chunk()?;
        let before = match before {
            [] => None,
            before => Some(BounceKey(before.try_into().ok()?)),
        };
        Some(Self {
            current: BounceKey(*current),
            since: Timestamp::from_millis(i64::from_be_bytes(*since)),
            before,
        })
    }

    /// The address that bears a token; sent at `now`.
    pub fn sign(&self, token: BounceToken, place: Place<'_>, now: Timestamp) -> Mailbox {
        token.sign(&self.current, place, now)
    }

    /// Reads a local part that either key signed.
    pub fn read(
        &self,
        local: &str,
        place: Place<'_>,
        now: Timestamp,
    ) -> Result<BounceToken, TokenFault> {
        let read = BounceToken::read(local, &self.current, place, now);
        match (&read, &self.before) {
            (Err(TokenFault::Forged), Some(before)) => BounceToken::read(local, before, place, now),
            _ => read,
        }
    }
}

/// What a token says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BounceToken {
    /// The message that it was sent with.
    pub queue_id: QueueId,
    /// The recipient's place in the message, from 0; `None`: it was sent to several at once.
    pub recipient: Option<u32>,
}

/// Why a local part is no token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenFault {
    /// It has another form.
    #[error("it is no address of ours")]
    Form,
    /// We did not sign it.
    #[error("its signature is not ours")]
    Forged,
    /// Its time is over.
    #[error("its time is over")]
    Expired,
}

/// Whose token, and where: signed with it, so that it counts nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The organisation.
    pub organisation: &'a str,
    /// Its bounce domain.
    pub domain: &'a Domain,
}

impl BounceToken {
    /// The address that bears it; sent at `now`.
    pub fn sign(&self, key: &BounceKey, place: Place<'_>, now: Timestamp) -> Mailbox {
        let mut signed = format!(
            "{}-{}",
            self.queue_id,
            letters(u64::from(day(now).saturating_add(TOKEN_DAYS)), DAY_LETTERS)
        );
        if let Some(number) = self.recipient {
            signed.push('-');
            signed.push_str(&letters(u64::from(number), 1));
        }
        let signed = signed.to_ascii_lowercase();
        let local = format!("{PREFIX}{signed}-{}", mac(key, place, &signed));
        Mailbox::new(&local, Host::Domain(place.domain.clone()))
            .expect("letters, digits and hyphens, and a domain that was checked")
    }

    /// Reads a local part, in any case. The signature is compared in constant time.
    pub fn read(
        local: &str,
        key: &BounceKey,
        place: Place<'_>,
        now: Timestamp,
    ) -> Result<Self, TokenFault> {
        let (token, last_day, signed, signature) = parse(local)?;
        let right = mac(key, place, &signed);
        if !bool::from(right.as_bytes().ct_eq(signature.as_bytes())) {
            return Err(TokenFault::Forged);
        }
        if day(now) > last_day {
            return Err(TokenFault::Expired);
        }
        Ok(token)
    }
}

/// The token, its last day, what is signed of it, and the signature.
fn parse(local: &str) -> Result<(BounceToken, u16, String, String), TokenFault> {
    let local = local.to_ascii_lowercase();
    let rest = local.strip_prefix(PREFIX).ok_or(TokenFault::Form)?;
    let (signed, signature) = rest.rsplit_once('-').ok_or(TokenFault::Form)?;
    let mut parts = signed.split('-');
    let message = parts.next().filter(|text| text.len() == MESSAGE_LETTERS);
    let queue_id = message.and_then(|text| text.parse().ok());
    let last_day = parts.next().filter(|text| text.len() == DAY_LETTERS);
    let last_day = last_day
        .and_then(value)
        .and_then(|day| u16::try_from(day).ok());
    let recipient = match parts.next() {
        None => None,
        Some(text) if text.len() <= NUMBER_LETTERS_MAX => {
            let number = value(text).and_then(|number| u32::try_from(number).ok());
            Some(number.ok_or(TokenFault::Form)?)
        }
        Some(_) => return Err(TokenFault::Form),
    };
    let is_whole = parts.next().is_none() && signature.len() == MAC_LETTERS;
    match (queue_id, last_day) {
        (Some(queue_id), Some(last_day)) if is_whole => {
            let token = BounceToken {
                queue_id,
                recipient,
            };
            Ok((token, last_day, signed.to_owned(), signature.to_owned()))
        }
        _ => Err(TokenFault::Form),
    }
}

/// The MAC as letters, cut.
fn mac(key: &BounceKey, place: Place<'_>, signed: &str) -> String {
    let mut mac =
        hmac::Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
    // Names have no NUL, so no two places read alike.
    for part in [
        "relais bounce",
        place.organisation,
        place.domain.as_str(),
        signed,
    ] {
        mac.update(part.as_bytes());
        mac.update(b"\0");
    }
    let octets = mac.finalize().into_bytes();
    let number = octets[..MAC_OCTETS]
        .iter()
        .fold(0_u128, |number, octet| (number << 8) | u128::from(*octet));
    let letter = |at: usize| LETTERS[usize::try_from((number >> (5 * at)) & 31).unwrap_or(0)];
    (0..MAC_LETTERS)
        .rev()
        .map(|at| char::from(letter(at)))
        .collect()
}

/// In base 32, with leading zeros up to `least` letters.
fn letters(mut value: u64, least: usize) -> String {
    let mut text = Vec::new();
    while value > 0 || text.len() < least {
        text.push(LETTERS[usize::try_from(value & 31).unwrap_or(0)]);
        value >>= 5;
    }
    text.iter()
        .rev()
        .map(|letter| char::from(*letter))
        .collect()
}

fn value(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0_u64, |number, letter| {
        let value = LETTERS.iter().position(|one| *one == letter)?;
        number
            .checked_mul(32)?
            .checked_add(u64::try_from(value).ok()?)
    })
}

/// Days since the epoch of tokens.
fn day(now: Timestamp) -> u16 {
    let seconds = now.as_millis() / 1_000 - EPOCH_SECONDS;
    let days = seconds / i64::try_from(DAY.as_secs()).unwrap_or(i64::MAX);
    u16::try_from(days.max(0)).unwrap_or(u16::MAX)
}

/// Where notices about a message are to come back, and under whose key: the bounce domain of the
/// accepted domain that its reverse-path lies in. `None`: the reverse-path stays. The null one
/// always does: there is nobody to tell (RFC 5321 §4.5.5).
pub fn bounce_place<'a>(
    settings: &'a Settings,
    organisation: &str,
    inbound_connector: Option<&str>,
    reverse_path: &ReversePath,
) -> Option<(&'a str, Domain)> {
    let owned = concerned(settings, organisation, inbound_connector, reverse_path)?;
    place_of(settings, organisation, &owned)
}

/// The bounce domain that such a message would leave by, and does not yet: DNS has not shown that
/// what comes back there comes to us. Until then its envelope sender stays.
pub fn bounce_waits(
    settings: &Settings,
    organisation: &str,
    inbound_connector: Option<&str>,
    reverse_path: &ReversePath,
) -> Option<Domain> {
    let owned = concerned(settings, organisation, inbound_connector, reverse_path)?;
    let bounce_domain = wanted_by(organisation, &owned)?;
    let is_shown = settings.is_bounce_domain_shown(&owned, &bounce_domain);
    (!is_shown).then_some(bounce_domain)
}

/// The accepted domain that a client's message is sent from, where the sender may be rewritten.
fn concerned<'a>(
    settings: &'a Settings,
    organisation: &str,
    inbound_connector: Option<&str>,
    reverse_path: &ReversePath,
) -> Option<OwnedDomain<'a>> {
    let domain = reverse_path.mailbox()?.domain()?;
    // Whoever claims to be ours and came as a stranger gets no signed address of ours, which would
    // pass every check of the next server.
    let connector = inbound_connector?;
    let keeps = settings
        .inbound_connector(organisation, connector)
        .is_some_and(|found| found.connector.envelope_sender == EnvelopeSender::Kept);
    if keeps {
        return None;
    }
    settings.verified_domain(domain)
}

/// The bounce domain of an organisation's domain, once DNS has shown that it leads to us.
fn place_of<'a>(
    settings: &Settings,
    organisation: &str,
    owned: &OwnedDomain<'a>,
) -> Option<(&'a str, Domain)> {
    let bounce_domain = wanted_by(organisation, owned)?;
    let is_shown = settings.is_bounce_domain_shown(owned, &bounce_domain);
    is_shown.then_some((&owned.organisation.name, bounce_domain))
}

/// The bounce domain that the settings want for it.
fn wanted_by(organisation: &str, owned: &OwnedDomain<'_>) -> Option<Domain> {
    if owned.organisation.name != organisation || owned.domain.bounce_domain.is_empty() {
        return None;
    }
    let bounce_domain = Domain::parse(&owned.domain.bounce_domain).ok()?;
    if bounce_domain.as_str().len() > BOUNCE_DOMAIN_OCTETS_MAX {
        return None;
    }
    Some(bounce_domain)
}

/// A stranger's message on its way to a recipient of ours.
#[derive(Clone, Copy, Debug)]
pub struct PassedOn<'a> {
    /// Whose recipient it is.
    pub organisation: &'a str,
    /// The recipient's domain.
    pub recipient: &'a Domain,
    /// The stranger.
    pub reverse_path: &'a ReversePath,
    /// Whom readers see.
    pub authors: &'a FromField,
    /// The next hop belongs to our own network: it does not ask whether we may send for others.
    pub is_inside: bool,
}

/// Where bounces of a stranger's message are to come back: the bounce domain of the recipient's
/// domain, from which they go on to the stranger. `None`: the reverse-path stays.
///
/// A signed address passes SPF, and aligns for DMARC with every author in the same hands. So none
/// is lent to a message whose author or sender claims to be ours, or cannot be read.
pub fn passed_on_place<'a>(
    settings: &'a Settings,
    passed: &PassedOn<'_>,
) -> Option<(&'a str, Domain)> {
    let owned = settings.verified_domain(passed.recipient)?;
    match owned.domain.passed_on_sender {
        PassedOnSender::Kept => return None,
        PassedOnSender::Auto if passed.is_inside => return None,
        PassedOnSender::Auto | PassedOnSender::Rewritten => {}
    }
    let (organisation, bounce_domain) = place_of(settings, passed.organisation, &owned)?;
    let is_foreign = |domain: &Domain| {
        !belong_together(domain, &bounce_domain)
            && settings.verified_domain(domain).is_none()
            && settings.bounce_domain(domain).is_none()
    };
    let FromField::Addresses(authors) = passed.authors else {
        return None;
    };
    let authors = authors.iter().map(Mailbox::domain);
    let mut all = authors.chain([passed.reverse_path.domain()]);
    let all_foreign = all.all(|domain| domain.is_some_and(is_foreign));
    all_foreign.then_some((organisation, bounce_domain))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: BounceKey = BounceKey::new([7; BOUNCE_KEY_OCTETS]);
    /// 2026-11-29.
    const NOW: Timestamp = Timestamp::from_millis(1_795_910_400_000);

    fn domain() -> Domain {
        Domain::parse("bounce.contoso.test").unwrap()
    }

    fn place(domain: &Domain) -> Place<'_> {
        Place {
            organisation: "contoso",
            domain,
        }
    }

    fn token(recipient: Option<u32>) -> BounceToken {
        BounceToken {
            queue_id: QueueId::new(NOW, 1, 3),
            recipient,
        }
    }

    fn later(days: u16) -> Timestamp {
        NOW.after(DAY * u32::from(days))
    }

    #[test]
    fn a_token_is_read_back_in_any_case_until_its_time_is_over() {
        let domain = domain();
        let place = place(&domain);
        for recipient in [None, Some(0), Some(31), Some(u32::MAX >> 2)] {
            let mailbox = token(recipient).sign(&KEY, place, NOW);
            let local = mailbox.local_part().as_str();
            assert!(local.len() <= 44, "{local}");
            for text in [local.to_owned(), local.to_ascii_uppercase()] {
                let read = |now| BounceToken::read(&text, &KEY, place, now);
                assert_eq!(read(NOW), Ok(token(recipient)));
                assert_eq!(read(later(TOKEN_DAYS)), Ok(token(recipient)));
                assert_eq!(read(later(TOKEN_DAYS + 1)), Err(TokenFault::Expired));
            }
        }
    }

    #[test]
    fn a_token_counts_for_its_organisation_domain_and_key_alone() {
        let domain = domain();
        let mailbox = token(Some(2)).sign(&KEY, place(&domain), NOW);
        let local = mailbox.local_part().as_str();
        let other = Domain::parse("bounce.fabrikam.test").unwrap();
        let of_another = Place {
            organisation: "fabrikam",
            domain: &domain,
        };
        for (key, place) in [
            (KEY, of_another),
            (KEY, place(&other)),
            (BounceKey::new([8; BOUNCE_KEY_OCTETS]), place(&domain)),
        ] {
            let read = BounceToken::read(local, &key, place, NOW);
            assert_eq!(read, Err(TokenFault::Forged));
        }
    }

    #[test]
    fn a_key_never_prints() {
        assert_eq!(format!("{KEY:?}"), "BounceKey(…)");
        let keys = BounceKeys::new(KEY, NOW).rotated(KEY, NOW);
        let printed = format!("{keys:?}");
        assert_eq!(printed.matches("BounceKey(…)").count(), 2, "{printed}");
        assert!(!printed.contains("7, 7"), "{printed}");
    }

    #[test]
    fn what_the_key_before_signed_counts_and_the_one_before_that_is_forgotten() {
        let domain = domain();
        let place = place(&domain);
        let first = BounceKeys::new(KEY, NOW);
        assert!(!first.is_due(later(ROTATE_DAYS - 1)) && first.is_due(later(ROTATE_DAYS)));
        let rotation = later(ROTATE_DAYS);
        let second = first.clone().rotated(BounceKey::new([8; 32]), rotation);
        let third = second.clone().rotated(BounceKey::new([9; 32]), rotation);
        let old = first.sign(token(None), place, rotation);
        let old = old.local_part().as_str();
        assert_eq!(second.read(old, place, rotation), Ok(token(None)));
        assert_eq!(third.read(old, place, rotation), Err(TokenFault::Forged));
        assert_eq!(second.read("x", place, rotation), Err(TokenFault::Form));
        let new = second.sign(token(None), place, rotation);
        let new = new.local_part().as_str();
        assert_eq!(first.read(new, place, rotation), Err(TokenFault::Forged));
        assert!(second.read(new, place, rotation).is_ok());
        assert_eq!(first.before_counts_until(rotation), None);
        let until = rotation.after(DAY * u32::from(TOKEN_DAYS));
        assert_eq!(second.before_counts_until(rotation), Some(until));
        assert_eq!(second.before_counts_until(until), None);
    }

    #[test]
    fn keys_are_kept_and_read_back_and_one_of_an_older_version_is_due() {
        let first = BounceKeys::new(KEY, NOW);
        let second = first.clone().rotated(BounceKey::new([8; 32]), NOW);
        for keys in [&first, &second] {
            assert_eq!(
                BounceKeys::from_octets(&keys.to_octets()).as_ref(),
                Some(keys)
            );
        }
        let old = BounceKeys::from_octets(KEY.octets()).expect("a key");
        assert!(old.is_due(NOW) && old.current == KEY);
        for length in [0, 8, 31, 33, 39, 71, 73] {
            assert_eq!(BounceKeys::from_octets(&vec![1; length]), None, "{length}");
        }
    }

    proptest! {
        /// Whoever changes one letter has no token any more.
        #[test]
        fn no_letter_can_be_changed(at in 0_usize..40, letter in "[0-9a-z-]") {
            let domain = domain();
            let mailbox = token(Some(5)).sign(&KEY, place(&domain), NOW);
            let mut local = mailbox.local_part().as_str().to_owned();
            let at = at % local.len();
            prop_assume!(!local[at..].starts_with(&letter));
            local.replace_range(at..=at, &letter);
            prop_assert!(BounceToken::read(&local, &KEY, place(&domain), NOW).is_err());
        }

        #[test]
        fn any_text_is_read_without_harm(local in "\\PC{0,80}") {
            let domain = domain();
            prop_assert!(BounceToken::read(&local, &KEY, place(&domain), NOW).is_err());
        }
    }
}
