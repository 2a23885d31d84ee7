//! A second factor: codes that a telephone computes from a shared secret and the time (TOTP, RFC
//! 6238), and recovery codes for the day on which it is lost.
//!
//! Not here: where the secret is kept (`relais_store::secret`), and how often one may guess
//! (`people`).

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use relais_net::clock::Chance;
use relais_policy::password::new_password;
use relais_smtp::time::Timestamp;

use super::hash_of;

/// Octets of a secret: as many as SHA-1 gives. RFC 4226 §4.
pub(crate) const SECRET_OCTETS: usize = 20;
/// A code counts for so long. RFC 6238 §5.2.
const STEP_SECONDS: u64 = 30;
/// Steps before and after now that count too: clocks and fingers are slow. RFC 6238 §5.2.
const STEPS_AROUND: u64 = 1;
/// Digits of a code: what all authenticator apps show.
const DIGITS: usize = 6;
/// Recovery codes that are made at once.
const RECOVERY_CODES: usize = 10;

/// What is kept of a person's factor; the secret itself is elsewhere, encrypted.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Factor {
    /// RFC 3339.
    pub(crate) since: String,
    /// The step of the last code that counted: none counts twice. RFC 6238 §5.2.
    last_step: u64,
    /// Hashes of recovery codes that were not used yet.
    recovery: Vec<String>,
}

impl Factor {
    /// With new recovery codes, which are told this once.
    pub(crate) fn new(chance: &Chance, step: u64, now: Timestamp) -> (Self, Vec<String>) {
        let code = |_| new_password(|bound| chance.below(bound));
        let codes: Vec<String> = (0..RECOVERY_CODES).map(code).collect();
        let factor = Self {
            since: now.to_rfc3339(),
            last_step: step,
            recovery: codes.iter().map(|code| hash_of(code)).collect(),
        };
        (factor, codes)
    }

    /// How many recovery codes are left.
    pub(crate) fn codes_left(&self) -> usize {
        self.recovery.len()
    }

    /// The factor after this code was shown; `None`: it does not count.
    pub(crate) fn after(&self, secret: &[u8], typed: &str, now: Timestamp) -> Option<Self> {
        let typed = plain(typed);
        let mut after = self.clone();
        if let Some(step) = step_of(secret, &typed, now) {
            after.last_step = step;
            return (step > self.last_step).then_some(after);
        }
        let hash = hash_of(&typed);
        let is_it = |one: &String| bool::from(one.as_bytes().ct_eq(hash.as_bytes()));
        let at = self.recovery.iter().position(is_it)?;
        after.recovery.remove(at);
        Some(after)
    }
}

/// As it was meant: without the spaces that people type between digits.
fn plain(typed: &str) -> String {
    typed.chars().filter(|one| !one.is_whitespace()).collect()
}

/// The step of a code that is right now, or was a moment ago.
pub(crate) fn step_of(secret: &[u8], typed: &str, now: Timestamp) -> Option<u64> {
    let typed = plain(typed);
    let seconds = u64::try_from(now.as_millis() / 1_000).unwrap_or(0);
    let step = seconds / STEP_SECONDS;
    let around = step.saturating_sub(STEPS_AROUND)..=step + STEPS_AROUND;
    let is_right = |step: &u64| {
        let right = code(secret, *step);
        bool::from(right.as_bytes().ct_eq(typed.as_bytes()))
    };
    // All are computed, whichever is right.
    around.filter(is_right).fold(None, |_, step| Some(step))
}

/// RFC 4226 §5.3, over the step instead of a counter.
fn code(secret: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag.last().copied().unwrap_or(0) & 0x0f);
    let four = tag.get(at..at + 4).unwrap_or_default();
    let number = four
        .iter()
        .fold(0_u32, |all, one| (all << 8) | u32::from(*one))
        & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
        .chars()
        .take(DIGITS)
        .collect()
}

/// What a telephone reads. The form is Google Authenticator's, which all apps read.
pub(crate) fn address(place: &str, name: &str, secret: &[u8]) -> String {
    let encode = |text: &str| -> String {
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        encoded.replace('+', "%20")
    };
    let (label, issuer) = (encode(name), encode(&format!("Relais {place}")));
    format!(
        "otpauth://totp/{issuer}:{label}?secret={}&issuer={issuer}",
        base32(secret)
    )
}

/// RFC 4648 §6, without padding: what people type where no camera is.
pub(crate) fn base32(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digit = |five: &[u8]| {
        let bits = five
            .iter()
            .fold(0_usize, |all, bit| all << 1 | usize::from(*bit));
        char::from(ALPHABET[bits << (5 - five.len()) & 31])
    };
    let bits = octets
        .iter()
        .flat_map(|one| (0..8).rev().map(move |bit| one >> bit & 1));
    let bits: Vec<u8> = bits.collect();
    bits.chunks(5).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B.
    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, digits) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            assert_eq!(code(SECRET, seconds / 30), digits);
        }
    }

    #[test]
    fn the_code_of_the_step_before_counts_and_older_ones_do_not() {
        assert!(step_of(SECRET, "287082", at(59)).is_some());
        assert!(step_of(SECRET, "287 082", at(89)).is_some());
        assert!(step_of(SECRET, "287082", at(120)).is_none());
        assert!(step_of(SECRET, "", at(59)).is_none());
    }

    #[test]
    fn no_code_counts_twice_and_each_recovery_code_once() {
        let (factor, codes) = Factor::new(&Chance::seeded(1), 0, at(0));
        let after = factor.after(SECRET, "287082", at(59)).expect("it counts");
        assert!(after.after(SECRET, "287082", at(59)).is_none());
        let last = after.after(SECRET, &codes[3], at(60)).expect("it counts");
        assert_eq!(last.codes_left(), codes.len() - 1);
        assert!(last.after(SECRET, &codes[3], at(61)).is_none());
        assert!(last.after(SECRET, "guess", at(61)).is_none());
        let stored = format!("{factor:?}");
        assert!(codes.iter().all(|code| !stored.contains(code.as_str())));
    }

    #[test]
    fn base32_is_the_rfc_s() {
        for (plain, encoded) in [("f", "MY"), ("fo", "MZXQ"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(base32(plain.as_bytes()), encoded);
        }
        let address = address("relay.test", "anna@x", SECRET);
        assert!(address.starts_with("otpauth://totp/Relais%20relay.test:anna%40x?secret=GEZD"));
    }
}
