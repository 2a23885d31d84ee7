//! The DKIM keys of a domain: where each stands, what a look into DNS means for it, and when the
//! next one is due. RFC 6376, RFC 8463; rotation as M3AAWG advises.
//!
//! ```text
//! generated ─► waiting ── DNS shows it ─► active ── its successor is active ─► retiring ─► retired
//! ```
//!
//! A key signs only while it is active, and becomes active only when DNS shows it. An active key
//! that vanishes from DNS goes on signing: an unsigned message fails everywhere, one with a key
//! that some caches still have does not. While it retires it must stay in DNS, as mail that it
//! signed is still under way; then its selector is free for the key after next.
//!
//! Not here: private keys (secrets of `relais-store`, made in `relais-net`), asking DNS, and which
//! domain signs a message ([`crate::signing`]).

mod record;

use std::collections::HashMap;
use std::time::Duration;

use relais_smtp::dkim::Algorithm;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::document::{Dkim, DkimAlgorithm};
use crate::proof::{Finding, ProofKey, Said, Sighting};

pub use self::record::{key_record, shows_key};

/// A key stays in DNS this long after its last signature: messages wait in queues for days.
pub const OVERLAP: Duration = Duration::from_secs(96 * 3_600);
/// Between two looks at keys that DNS shows.
const ACTIVE_PAUSE: Duration = Duration::from_secs(3_600);
/// Between the first looks for a key that waits; doubled with each.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// Octets of an account of a look.
const SEEN_OCTETS_MAX: usize = 1_000;
/// What is seen of a key that a person vouches for.
const BY_HAND: &str = "said by hand";
/// A look proves who has a domain for so long: twice the pause between two.
const PROOF_TIME: Duration = Duration::from_secs(2 * 3_600);
/// Letters of a domain's tag.
pub const TAG_LETTERS: usize = 4;

/// Where a key stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// DNS has not shown it yet: it does not sign.
    Waiting,
    /// It signs.
    Active,
    /// Its successor signs; it must stay in DNS for [`OVERLAP`].
    Retiring,
    /// It may be taken out of DNS.
    Retired,
}

impl KeyState {
    /// The word, for people and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }
}

/// One key, without its private half.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Key {
    /// Below `_domainkey`.
    pub selector: String,
    /// How it signs.
    pub algorithm: DkimAlgorithm,
    /// Its public half as it stands in `p=`.
    pub public: String,
    /// Where it stands.
    pub state: KeyState,
    /// Since when.
    #[serde(with = "millis")]
    pub since: Timestamp,
    /// When it was generated.
    #[serde(with = "millis")]
    pub made_at: Timestamp,
    /// An active key that DNS does not show any more: since when.
    #[serde(with = "optional_millis", default)]
    pub missing_since: Option<Timestamp>,
    /// What the last look saw, in words.
    #[serde(default)]
    pub seen: String,
}

impl Key {
    /// Just generated.
    pub fn new(selector: String, algorithm: DkimAlgorithm, public: String, now: Timestamp) -> Self {
        Self {
            selector,
            algorithm,
            public,
            state: KeyState::Waiting,
            since: now,
            made_at: now,
            missing_since: None,
            seen: String::new(),
        }
    }

    /// The TXT record that shows it.
    pub fn record(&self) -> String {
        key_record(self.algorithm.signing(), &self.public)
    }

    /// Whether DNS must show it: it signs, will sign, or has signed what is still under way.
    pub fn must_be_published(&self) -> bool {
        self.state != KeyState::Retired
    }
}

impl DkimAlgorithm {
    /// As signatures name it.
    pub fn signing(self) -> Algorithm {
        match self {
            Self::Rsa2048 => Algorithm::RsaSha256,
            Self::Ed25519 => Algorithm::Ed25519Sha256,
        }
    }

    /// As the settings name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::Ed25519 => "ed25519",
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Rsa2048 => 'r',
            Self::Ed25519 => 'e',
        }
    }
}

/// How a domain stands with its signing, as one word for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DkimStanding {
    /// The settings do not want it.
    Off,
    /// Wanted, and no key is active: mail leaves unsigned.
    Waiting,
    /// Mail is signed.
    Active,
    /// Mail is signed with a key that DNS does not show any more: receivers cannot check it.
    Missing,
    /// What was known of its keys cannot be read: mail waits until one is active.
    Damaged,
}

impl DkimStanding {
    /// The word, for people and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        }
    }
}

/// The keys of one domain of one organisation.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DomainKeys {
    /// Letters of chance in its selectors: another relay for the same domain has others.
    pub tag: String,
    /// All keys, retired ones until their selector is needed again.
    pub keys: Vec<Key>,
    /// The last look.
    #[serde(with = "optional_millis", default)]
    pub looked_at: Option<Timestamp>,
    /// Looks in a row that changed nothing while a key waits.
    #[serde(default)]
    pub fruitless: u32,
    /// What was known before could not be read. A key may have been active, so mail waits until one
    /// is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub damaged: bool,
}

/// A key to be generated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewKey {
    /// Below `_domainkey`.
    pub selector: String,
    /// How it will sign.
    pub algorithm: DkimAlgorithm,
}

/// What changed for people: each is `check.changed` and stands in the audit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyChange {
    /// DNS shows it: it signs from now on.
    Activated(String),
    /// Its successor signs.
    Retiring(String),
    /// Its overlap is over: its record may be removed, its private half is.
    Retired(String),
    /// It signs, and DNS does not show it any more.
    Vanished(String, String),
    /// DNS shows it again.
    Returned(String),
}

impl KeyChange {
    /// In words.
    pub fn describe(&self, domain: &Domain) -> String {
        match self {
            Self::Activated(selector) => {
                format!("DKIM of {domain}: {selector} is in DNS and signs from now on")
            }
            Self::Retiring(selector) => format!(
                "DKIM of {domain}: {selector} does not sign any more; its record must stay for 4 days"
            ),
            Self::Retired(selector) => {
                format!("DKIM of {domain}: {selector} is retired; its record may be removed")
            }
            Self::Vanished(selector, seen) => format!(
                "DKIM of {domain}: ALARM: the record of {selector}, which signs, has gone from DNS; \
                 publish it again ({seen})"
            ),
            Self::Returned(selector) => {
                format!("DKIM of {domain}: the record of {selector} is in DNS again")
            }
        }
    }
}

impl DomainKeys {
    /// None yet.
    pub fn new(tag: String) -> Self {
        Self {
            tag,
            ..Self::default()
        }
    }

    /// In place of what cannot be read.
    pub fn damaged() -> Self {
        Self {
            damaged: true,
            ..Self::default()
        }
    }

    /// Those that sign.
    pub fn active(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| key.state == KeyState::Active)
    }

    /// The key with that selector.
    pub fn key(&self, selector: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.selector == selector)
    }

    /// Where the domain stands.
    pub fn standing(&self, wanted: &Dkim) -> DkimStanding {
        if !wanted.enabled {
            return DkimStanding::Off;
        }
        let mut active = self.active().peekable();
        if active.peek().is_none() && self.damaged {
            DkimStanding::Damaged
        } else if active.peek().is_none() {
            DkimStanding::Waiting
        } else if active.any(|key| key.missing_since.is_some()) {
            DkimStanding::Missing
        } else {
            DkimStanding::Active
        }
    }

    /// Keys that should be there and are not: the first of each algorithm, and the successor of one
    /// that has signed for long enough. In place of damaged ones a person has them made: a backup
    /// may have the old ones, which DNS shows.
    pub fn due(&self, wanted: &Dkim, now: Timestamp) -> Vec<NewKey> {
        if !wanted.enabled || (self.damaged && self.keys.is_empty()) {
            return Vec::new();
        }
        let age_max = Duration::from_secs(u64::from(wanted.rotate_days) * 86_400);
        let is_due = |algorithm: &&DkimAlgorithm| {
            let of_it = || self.keys.iter().filter(|key| key.algorithm == **algorithm);
            let waits = of_it().any(|key| key.state == KeyState::Waiting);
            let mut active = of_it().filter(|key| key.state == KeyState::Active);
            !waits && active.all(|key| now.since(key.since) >= age_max)
        };
        let due = wanted.algorithms.iter().filter(is_due);
        due.filter_map(|algorithm| self.successor(*algorithm))
            .collect()
    }

    /// The next key of an algorithm, in the one of its two selectors that is free. `None`: both are
    /// taken until the older key has retired.
    pub fn successor(&self, algorithm: DkimAlgorithm) -> Option<NewKey> {
        let selectors = [1, 2].map(|n| format!("relais-{}-{}{n}", self.tag, algorithm.letter()));
        let is_free = |selector: &String| {
            self.key(selector)
                .is_none_or(|key| key.state == KeyState::Retired)
        };
        // After a retirement both may be free: the one that was used last rests longer.
        let last_used = |selector: &String| self.key(selector).map(|key| key.since);
        let free = selectors.into_iter().filter(is_free);
        let selector = free.min_by_key(last_used)?;
        Some(NewKey {
            selector,
            algorithm,
        })
    }

    /// With a key just generated, instead of a retired one of the same selector.
    #[must_use]
    pub fn with_key(&self, key: Key) -> Self {
        let mut after = self.clone();
        after.keys.retain(|one| one.selector != key.selector);
        after.keys.push(key);
        after
            .keys
            .sort_by(|one, other| one.selector.cmp(&other.selector));
        after.fruitless = 0;
        after.looked_at = None;
        after
    }

    /// After a look: what each server said at each selector.
    #[must_use]
    pub fn after_look(
        &self,
        sightings: &[(String, Vec<Sighting>)],
        wanted: &Dkim,
        now: Timestamp,
    ) -> (Self, Vec<KeyChange>) {
        let mut after = self.clone();
        let mut changes = Vec::new();
        for key in &mut after.keys {
            let of_key = sightings
                .iter()
                .find(|(selector, _)| *selector == key.selector);
            if let Some((_, sightings)) = of_key {
                let (finding, seen) = judge(key, sightings);
                key.seen = seen;
                key.look(finding, now, &mut changes);
            }
        }
        after.settle(wanted, now, &mut changes);
        let waits = after.keys.iter().any(|key| key.state == KeyState::Waiting);
        after.fruitless = if waits && changes.is_empty() {
            self.fruitless.saturating_add(1)
        } else {
            0
        };
        after.looked_at = Some(now);
        (after, changes)
    }

    /// A person says that DNS shows a key: for names that no DNS knows.
    #[must_use]
    pub fn activated_by_hand(
        &self,
        selector: &str,
        wanted: &Dkim,
        now: Timestamp,
    ) -> (Self, Vec<KeyChange>) {
        let mut after = self.clone();
        let mut changes = Vec::new();
        let key = after.keys.iter_mut().find(|key| key.selector == selector);
        if let Some(key) = key {
            key.seen = BY_HAND.to_owned();
            key.look(Finding::Present, now, &mut changes);
        }
        after.settle(wanted, now, &mut changes);
        (after, changes)
    }

    /// What follows from states and time alone.
    fn settle(&mut self, wanted: &Dkim, now: Timestamp, changes: &mut Vec<KeyChange>) {
        let newest = |algorithm: DkimAlgorithm| {
            let of_it = self.active().filter(move |key| key.algorithm == algorithm);
            of_it
                .max_by_key(|key| key.made_at)
                .map(|key| key.selector.clone())
        };
        let signing = [DkimAlgorithm::Rsa2048, DkimAlgorithm::Ed25519].map(newest);
        self.damaged &= signing.iter().all(Option::is_none);
        let unwanted = |key: &Key| !wanted.algorithms.contains(&key.algorithm);
        // The last key that signs stays, whatever the settings say of its algorithm.
        let others_sign = self.active().any(|key| !unwanted(key));
        for key in &mut self.keys {
            let is_newest = signing.iter().flatten().any(|one| *one == key.selector);
            let leaves = !is_newest || (unwanted(key) && others_sign);
            match key.state {
                KeyState::Active if leaves => {
                    key.enter(KeyState::Retiring, now);
                    changes.push(KeyChange::Retiring(key.selector.clone()));
                }
                KeyState::Retiring if now.since(key.since) >= OVERLAP => {
                    key.enter(KeyState::Retired, now);
                    changes.push(KeyChange::Retired(key.selector.clone()));
                }
                KeyState::Waiting | KeyState::Active | KeyState::Retiring | KeyState::Retired => {}
            }
        }
    }

    /// A person takes a key out of use. `None`: mail of the domain would leave unsigned.
    #[must_use]
    pub fn without(&self, selector: &str, now: Timestamp) -> Option<(Self, Vec<KeyChange>)> {
        let mut after = self.clone();
        let key = after.keys.iter_mut().find(|key| key.selector == selector)?;
        let (state, change) = match key.state {
            KeyState::Active => (KeyState::Retiring, KeyChange::Retiring(selector.to_owned())),
            KeyState::Waiting | KeyState::Retiring | KeyState::Retired => {
                (KeyState::Retired, KeyChange::Retired(selector.to_owned()))
            }
        };
        key.enter(state, now);
        let signed_before = self.active().next().is_some();
        let signs_still = after.active().next().is_some();
        (!signed_before || signs_still).then(|| (after, vec![change]))
    }

    /// A key that DNS has shown lately: whoever could publish it has the domain, as its selector
    /// and its text are ours alone.
    pub fn proves(&self, now: Timestamp) -> Option<&Key> {
        let looked_at = self.looked_at?;
        let is_fresh = now.since(looked_at) <= PROOF_TIME;
        let mut shown = self.active().filter(|key| {
            key.missing_since.is_none() && key.seen != BY_HAND && key.since <= looked_at
        });
        shown.next().filter(|_| is_fresh)
    }

    /// The pause between the last look and the next.
    pub fn pause(&self) -> Duration {
        let waits = self.keys.iter().any(|key| key.state == KeyState::Waiting);
        match (self.looked_at, waits) {
            (None, _) => Duration::ZERO,
            (Some(_), true) => {
                let doublings = self.fruitless.saturating_sub(1).min(16);
                FIRST_PAUSE.saturating_mul(1 << doublings).min(ACTIVE_PAUSE)
            }
            (Some(_), false) => ACTIVE_PAUSE,
        }
    }
}

impl Key {
    fn look(&mut self, finding: Finding, now: Timestamp, changes: &mut Vec<KeyChange>) {
        match (self.state, finding) {
            (KeyState::Waiting, Finding::Present) => {
                self.enter(KeyState::Active, now);
                changes.push(KeyChange::Activated(self.selector.clone()));
            }
            (KeyState::Active, Finding::Absent) if self.missing_since.is_none() => {
                self.missing_since = Some(now);
                let (selector, seen) = (self.selector.clone(), self.seen.clone());
                changes.push(KeyChange::Vanished(selector, seen));
            }
            (KeyState::Active, Finding::Present) if self.missing_since.is_some() => {
                self.missing_since = None;
                changes.push(KeyChange::Returned(self.selector.clone()));
            }
            // A DNS that fails says nothing.
            _ => {}
        }
    }

    fn enter(&mut self, state: KeyState, now: Timestamp) {
        self.state = state;
        self.since = now;
        self.missing_since = None;
    }
}

/// What the servers together say of a key. Present if any shows it, as the others have not heard
/// yet, or stand before a CNAME; absent if one says so and none shows it.
fn judge(key: &Key, sightings: &[Sighting]) -> (Finding, String) {
    let one = |sighting: &Sighting| match &sighting.said {
        Said::Texts(texts) if texts.iter().any(|text| shows_key(text, key)) => {
            (Finding::Present, format!("{} shows it", sighting.server))
        }
        Said::Texts(texts) => (
            Finding::Absent,
            format!(
                "{} shows another text: {}",
                sighting.server,
                texts.join(" ")
            ),
        ),
        Said::Nothing(what) => (Finding::Absent, format!("{}: {what}", sighting.server)),
        Said::Failed(because) => (
            Finding::Unknown,
            format!("{} failed: {because}", sighting.server),
        ),
    };
    let said: Vec<_> = sightings.iter().map(one).collect();
    let any = |finding| said.iter().any(|(one, _)| *one == finding);
    let finding = if any(Finding::Present) {
        Finding::Present
    } else if any(Finding::Absent) {
        Finding::Absent
    } else {
        Finding::Unknown
    };
    let words: Vec<_> = said.iter().map(|(_, words)| words.as_str()).collect();
    let words = words.join("; ").chars().take(SEEN_OCTETS_MAX).collect();
    (finding, words)
}

/// The keys of all domains. Cheap to ask.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DkimTable(HashMap<ProofKey, DomainKeys>);

impl DkimTable {
    /// Those of a domain.
    pub fn get(&self, organisation: &str, domain: &Domain) -> Option<&DomainKeys> {
        self.0.get(&ProofKey::new(organisation, domain))
    }

    /// Puts in, instead of those before; `None` takes away.
    pub fn set(&mut self, key: ProofKey, keys: Option<DomainKeys>) {
        match keys {
            Some(keys) => self.0.insert(key, keys),
            None => self.0.remove(&key),
        };
    }

    /// All, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&ProofKey, &DomainKeys)> {
        self.0.iter()
    }
}

impl FromIterator<(ProofKey, DomainKeys)> for DkimTable {
    fn from_iter<I: IntoIterator<Item = (ProofKey, DomainKeys)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

/// Times as milliseconds.
mod millis {
    use relais_smtp::time::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(time.as_millis())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_millis)
    }
}

/// Times that may be absent.
mod optional_millis {
    use relais_smtp::time::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::as_millis).serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(from)?.map(Timestamp::from_millis))
    }
}

#[cfg(test)]
mod tests;
