//! To whom each organisation wrote of late: who is new to it. Recipients are kept as 64 bits of a
//! SHA-256 hash, so that neither memory nor disk holds a list of addresses, and nobody can make an
//! address that passes for a known one.
//!
//! Bounded: an organisation that writes to more than [`RECIPIENTS_PER_ORGANISATION_MAX`]
//! recipients, or to more than its share when [`RECIPIENTS_MAX`] are known in all, forgets those of
//! the longest ago; if it wrote to all of them today, further ones are not learnt and count as new
//! each time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use relais_smtp::address::Mailbox;
use relais_smtp::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::share::Bounds;
use crate::licence;

/// Recipients that one organisation remembers: 16 octets each, so about 4 MB.
pub const RECIPIENTS_PER_ORGANISATION_MAX: usize = 200_000;
/// Recipients that all organisations remember together, but for the share of each: about 32 MB.
pub const RECIPIENTS_MAX: usize = 2_000_000;
const RECIPIENTS: Bounds = Bounds {
    own: RECIPIENTS_PER_ORGANISATION_MAX,
    all: RECIPIENTS_MAX,
};
/// Who got nothing for so many days is new again: as long as a trace is kept by default.
pub const FORGOTTEN_DAYS: u32 = 90;
/// At a bound, so many in a hundred are forgotten at least, or nobody.
const FORGOTTEN_PERCENT: usize = 10;
/// Parts in which an organisation's recipients are kept: what changes in one is written anew.
const PARTS: u64 = 256;

const DAY_MS: i64 = 86_400_000;

/// A recipient's address, without regard to case, as a number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecipientKey(u64);

impl RecipientKey {
    /// Of this address.
    pub fn of(mailbox: &Mailbox) -> Self {
        let hash = Sha256::digest(licence::key(mailbox).as_bytes());
        let (first, _) = hash
            .as_slice()
            .split_first_chunk()
            .unwrap_or((&[0; 8], &[]));
        Self(u64::from_be_bytes(*first))
    }

    fn part(self) -> u64 {
        self.0 % PARTS
    }
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Known {
    organisations: HashMap<Arc<str>, Recipients>,
    total: usize,
}

#[derive(Debug, Default)]
struct Recipients {
    /// The day, since 1970, on which each got something last.
    days: HashMap<RecipientKey, u32>,
    /// Parts that were not kept since they changed.
    changed: BTreeSet<u64>,
}

impl Known {
    /// Whether the organisation wrote to this recipient before.
    pub fn is_known(&self, organisation: &str, key: RecipientKey, now: Timestamp) -> bool {
        let recipients = self.organisations.get(organisation);
        let last = recipients.and_then(|recipients| recipients.days.get(&key));
        last.is_some_and(|last| *last >= oldest_day(now))
    }

    /// How many recipients an organisation remembers.
    pub fn count(&self, organisation: &str) -> usize {
        let recipients = self.organisations.get(organisation);
        recipients.map_or(0, |recipients| recipients.days.len())
    }

    /// The organisation writes to this recipient; `true`: it is new, and known from now on.
    pub fn learn(&mut self, organisation: &Arc<str>, key: RecipientKey, now: Timestamp) -> bool {
        let today = day(now);
        let organisations = self.organisations.len();
        let recipients = self
            .organisations
            .entry(Arc::clone(organisation))
            .or_default();
        if let Some(last) = recipients.days.get_mut(&key) {
            let before = std::mem::replace(last, today.max(*last));
            if before < today {
                recipients.changed.insert(key.part());
            }
            return before < oldest_day(now);
        }
        if !RECIPIENTS.have_room(recipients.days.len(), self.total, organisations) {
            self.total -= recipients.forget_oldest(today);
            if !RECIPIENTS.have_room(recipients.days.len(), self.total, organisations) {
                return false;
            }
        }
        recipients.days.insert(key, today);
        recipients.changed.insert(key.part());
        self.total += 1;
        true
    }

    /// The message to a new recipient was not taken in after all.
    pub fn unlearn(&mut self, organisation: &str, key: RecipientKey) {
        let Some(recipients) = self.organisations.get_mut(organisation) else {
            return;
        };
        if recipients.days.remove(&key).is_some() {
            recipients.changed.insert(key.part());
            self.total -= 1;
        }
    }

    /// What changed since the last time, as key and text; an empty text is nothing to be kept. Who
    /// got nothing for long is forgotten first.
    pub fn changes(&mut self, now: Timestamp) -> Vec<(String, String)> {
        let oldest = oldest_day(now);
        let mut changes = Vec::new();
        for (organisation, recipients) in &mut self.organisations {
            self.total -= recipients.forget_before(oldest);
            if recipients.changed.is_empty() {
                continue;
            }
            let mut texts: HashMap<u64, String> = HashMap::new();
            for (key, day) in &recipients.days {
                let part = key.part();
                if recipients.changed.contains(&part) {
                    let line = format!("{:016x} {day}\n", key.0);
                    texts.entry(part).or_default().push_str(&line);
                }
            }
            for part in std::mem::take(&mut recipients.changed) {
                let text = texts.remove(&part).unwrap_or_default();
                changes.push((format!("{organisation} {part}"), text));
            }
        }
        self.organisations
            .retain(|_, recipients| !recipients.days.is_empty());
        changes
    }

    /// What was to be kept could not be.
    pub fn not_kept(&mut self, name: &str) {
        let read = name.split_once(' ');
        let read = read.and_then(|(organisation, part)| Some((organisation, part.parse().ok()?)));
        if let Some((organisation, part)) = read {
            let recipients = self.organisations.entry(organisation.into()).or_default();
            recipients.changed.insert(part);
        }
    }

    /// Reads back what was kept under that name.
    pub fn restore(&mut self, name: &str, text: &str) {
        let Some((organisation, _)) = name.split_once(' ') else {
            return;
        };
        let recipients = self.organisations.entry(organisation.into()).or_default();
        for line in text.lines() {
            let read = |line: &str| {
                let (key, day) = line.split_once(' ')?;
                let key = RecipientKey(u64::from_str_radix(key, 16).ok()?);
                Some((key, day.parse::<u32>().ok()?))
            };
            let Some((key, day)) = read(line) else {
                continue;
            };
            if recipients.days.len() >= RECIPIENTS_PER_ORGANISATION_MAX {
                return;
            }
            // Sessions may have been quicker.
            if recipients.days.contains_key(&key) {
                continue;
            }
            recipients.days.insert(key, day);
            self.total += 1;
        }
    }
}

impl Recipients {
    fn forget_before(&mut self, oldest: u32) -> usize {
        let before = self.days.len();
        let changed = &mut self.changed;
        self.days.retain(|key, day| {
            let stays = *day >= oldest;
            if !stays {
                changed.insert(key.part());
            }
            stays
        });
        before - self.days.len()
    }

    /// Makes room: whole days from the longest ago on, never today.
    fn forget_oldest(&mut self, today: u32) -> usize {
        let mut by_day: Vec<u32> = self.days.values().copied().collect();
        let place = by_day.len() * FORGOTTEN_PERCENT / 100;
        if place >= by_day.len() {
            return 0;
        }
        let (_, day, _) = by_day.select_nth_unstable(place);
        let until = day.saturating_add(1).min(today);
        self.forget_before(until)
    }
}

fn day(now: Timestamp) -> u32 {
    u32::try_from(now.as_millis().div_euclid(DAY_MS)).unwrap_or(0)
}

/// Who got something last before this day is forgotten.
fn oldest_day(now: Timestamp) -> u32 {
    day(now).saturating_sub(FORGOTTEN_DAYS)
}
