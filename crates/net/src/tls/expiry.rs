//! The end of certificates: when somebody is told of it, and the client certificates seen lately.
//!
//! Not here: telling (the callers).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relais_smtp::time::Timestamp;

use super::presented::PresentedCertificates;

/// Days before its end at which somebody is told of a certificate.
pub const WARNING_DAYS: [u64; 3] = [30, 7, 1];
/// Client certificates that are remembered. An organisation has some dozens of devices with one;
/// those not seen for longest make room.
const SEEN_MAX: usize = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The last of [`WARNING_DAYS`] that is reached, if one is.
pub fn expires_within_days(not_after: Timestamp, now: Timestamp) -> Option<u64> {
    let left = not_after.since(now);
    let reached = |days: &&u64| left <= DAY * u32::try_from(**days).unwrap_or(u32::MAX);
    WARNING_DAYS.iter().rev().find(reached).copied()
}

/// Client certificates that led to a connector, since the start, and all that were shown lately.
/// Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct SeenCertificates(Arc<Mutex<HashMap<Box<str>, Seen>>>, PresentedCertificates);

/// One of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeenCertificate {
    /// The name by which the client was found.
    pub name: Box<str>,
    /// SHA-256.
    pub fingerprint: Box<str>,
    /// The end of its time.
    pub not_after: Timestamp,
    /// When it was presented last.
    pub last_seen: Timestamp,
}

#[derive(Debug)]
struct Seen {
    certificate: SeenCertificate,
    told: Option<u64>,
}

impl SeenCertificates {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// It was presented. Gives the days within which it ends where somebody is to be told now: once
    /// for each of [`WARNING_DAYS`].
    pub fn saw(&self, certificate: SeenCertificate) -> Option<u64> {
        let within = expires_within_days(certificate.not_after, certificate.last_seen);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= SEEN_MAX && !seen.contains_key(&certificate.fingerprint) {
            let oldest = seen
                .values()
                .map(|seen| &seen.certificate)
                .min_by_key(|seen| seen.last_seen)
                .map(|seen| seen.fingerprint.clone());
            oldest.and_then(|fingerprint| seen.remove(&fingerprint));
        }
        let entry = seen
            .entry(certificate.fingerprint.clone())
            .or_insert_with(|| Seen {
                certificate: certificate.clone(),
                told: None,
            });
        entry.certificate = certificate;
        let told = std::mem::replace(&mut entry.told, within);
        within.filter(|_| told != within)
    }

    /// All that were shown lately, whether they led anywhere or not.
    pub fn presented(&self) -> &PresentedCertificates {
        &self.1
    }

    /// All, the one that ends first in front.
    pub fn list(&self) -> Vec<SeenCertificate> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = seen.values().map(|seen| seen.certificate.clone()).collect();
        list.sort_by(|one, other| {
            (one.not_after, &one.fingerprint).cmp(&(other.not_after, &other.fingerprint))
        });
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Timestamp = Timestamp::from_millis(1_795_514_400_000);

    fn seen(fingerprint: usize, days_before: u32) -> SeenCertificate {
        SeenCertificate {
            name: "scan.contoso.test".into(),
            fingerprint: format!("{fingerprint:04}").into(),
            not_after: END,
            last_seen: END.before(DAY * days_before),
        }
    }

    #[test]
    fn each_warning_is_given_once() {
        let certificates = SeenCertificates::new();
        let told: Vec<_> = [40, 31, 30, 20, 7, 7, 2, 1, 0]
            .into_iter()
            .map(|days| certificates.saw(seen(1, days)))
            .collect();
        let expected = [
            None,
            None,
            Some(30),
            None,
            Some(7),
            None,
            None,
            Some(1),
            None,
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_one_not_seen_for_longest_makes_room() {
        let certificates = SeenCertificates::new();
        for number in 0..=SEEN_MAX {
            let days = u32::try_from(2_000 - number).expect("small");
            assert_eq!(certificates.saw(seen(number, days)), None);
        }
        let list = certificates.list();
        assert_eq!(list.len(), SEEN_MAX);
        assert_eq!(&*list[0].fingerprint, "0001");
    }
}
