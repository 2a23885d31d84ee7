//! Proof that an accepted domain is its organisation's: a TXT record with a token that only the
//! organisation was given. What a look into DNS means for the domain's standing, and when to look
//! again.
//!
//! A standing is changed by definite answers only: a DNS that fails says nothing. Days of grace
//! are counted between two looks that both found the record absent, and no look counts for more
//! than [`GRACE_COUNTED_MAX`], so that a clock that jumps or a server that was off suspends nobody.
//!
//! Not here: asking DNS (`relais-net`), keeping what was found (`relais-store`), and which domain
//! is in force where several organisations claim it ([`crate::settings`]).

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

/// What the record begins with.
pub const RECORD_PREFIX: &str = "relais-verification=";
/// Grace after the record has gone: mail goes on, people are told.
pub const GRACE: Duration = Duration::from_secs(7 * 86_400);
/// The most that one look adds to the grace used: twice the pause between two looks.
pub const GRACE_COUNTED_MAX: Duration = Duration::from_secs(2 * 3_600);
/// Between two looks at a proved domain.
const VERIFIED_PAUSE: Duration = Duration::from_secs(86_400);
/// Between two looks at a domain whose record has gone: it is back as soon as it is seen.
const LAPSED_PAUSE: Duration = Duration::from_secs(3_600);
/// Between the first looks at a domain that waits for its record, or after DNS failed; doubled
/// with each.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest such pause.
const LATER_PAUSE: Duration = Duration::from_secs(3_600);
/// After so many looks nobody waits beside it any more: about a week.
const WAITING_LOOKS_MAX: u32 = 180;
/// Octets of chance in a token: as many as no one guesses.
pub const TOKEN_OCTETS: usize = 16;
/// Longest account of a look that is kept, in octets.
const SEEN_OCTETS_MAX: usize = 1_000;

/// The secret half of the proof, random for each organisation and domain. Published, so no secret
/// afterwards; nobody can foretell it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProofToken(Box<str>);

impl ProofToken {
    /// From chance: 26 letters and digits that nobody confuses (RFC 4648 §6, in lower case).
    pub fn from_octets(octets: [u8; TOKEN_OCTETS]) -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let bits = u128::from_be_bytes(octets);
        let letter = |at: u32| {
            let five = match at {
                25 => (bits << 2) & 31,
                at => (bits >> (123 - 5 * at)) & 31,
            };
            char::from(LETTERS[usize::try_from(five).unwrap_or(0)])
        };
        Self((0..26).map(letter).collect::<String>().into_boxed_str())
    }

    /// As it was stored.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the TXT record says: `relais-verification=…`.
    pub fn record(&self) -> String {
        format!("{RECORD_PREFIX}{}", self.0)
    }

    /// Whether a TXT record is this proof: case does not count, nor spaces or quotes around it,
    /// which web forms of registrars add.
    pub fn is_shown_by(&self, text: &str) -> bool {
        let text = text.trim().trim_matches('"').trim();
        text.eq_ignore_ascii_case(&self.record())
    }
}

/// Where the proof of a domain stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Never seen.
    Pending,
    /// Seen when last answered.
    Verified,
    /// Seen once and absent since: still as if verified.
    Lapsing {
        /// Grace used.
        absent_for: Duration,
    },
    /// Absent for longer than [`GRACE`].
    Suspended,
}

impl Standing {
    /// The word, for people, JSON and the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Lapsing { .. } => "lapsing",
            Self::Suspended => "suspended",
        }
    }

    /// Whether the domain may be used.
    pub const fn is_in_force(self) -> bool {
        match self {
            Self::Verified | Self::Lapsing { .. } => true,
            Self::Pending | Self::Suspended => false,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a look into DNS came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Finding {
    /// The record is there.
    Present,
    /// DNS answered, and it is not there.
    Absent,
    /// DNS gave no answer that one could rely on.
    Unknown,
}

/// Whose word a sighting is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// A server that answers for the domain.
    Authoritative,
    /// The configured resolver, which may remember what was.
    Resolver,
}

/// What a server said when it was asked for the domain's TXT records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    /// These.
    Texts(Vec<String>),
    /// That there are none: a definite answer, in words.
    Nothing(String),
    /// Nothing one could rely on, and why.
    Failed(String),
}

/// One server asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// Whose word.
    pub source: Source,
    /// `ns1.contoso.test (192.0.2.53:53)`.
    pub server: String,
    /// What it said.
    pub said: Said,
}

impl Sighting {
    /// What this one alone comes to.
    pub fn finding(&self, token: &ProofToken) -> Finding {
        match &self.said {
            Said::Texts(texts) if texts.iter().any(|text| token.is_shown_by(text)) => {
                Finding::Present
            }
            Said::Texts(_) | Said::Nothing(_) => Finding::Absent,
            Said::Failed(_) => Finding::Unknown,
        }
    }

    /// In words: `ns1.contoso.test (192.0.2.53:53) shows it`.
    pub fn describe(&self, token: &ProofToken) -> String {
        let server = &self.server;
        match &self.said {
            _ if self.finding(token) == Finding::Present => format!("{server} shows it"),
            Said::Texts(texts) => {
                let other =
                    |text: &&String| text.trim().to_ascii_lowercase().starts_with(RECORD_PREFIX);
                match texts.iter().find(other) {
                    Some(_) => format!("{server} shows another verification record"),
                    None => format!("{server} has {} TXT records, not this one", texts.len()),
                }
            }
            Said::Nothing(what) => format!("{server}: {what}"),
            Said::Failed(because) => format!("{server} failed: {because}"),
        }
    }
}

/// What all servers together come to, and in words. Present if any shows it: the others have not
/// heard yet. Absent if one says so and none shows it. Who failed has said nothing.
pub fn judge(token: &ProofToken, sightings: &[Sighting]) -> (Finding, String) {
    let any = |finding| sightings.iter().any(|one| one.finding(token) == finding);
    let finding = if any(Finding::Present) {
        Finding::Present
    } else if any(Finding::Absent) {
        Finding::Absent
    } else {
        Finding::Unknown
    };
    let words = sightings.iter().map(|one| one.describe(token));
    (finding, words.collect::<Vec<_>>().join("; "))
}

/// The proof of one domain for one organisation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// Its token.
    pub token: ProofToken,
    /// Where it stands.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
    /// The last look, whatever it came to.
    pub looked_at: Option<Timestamp>,
    /// The last look that DNS answered.
    pub answered_at: Option<Timestamp>,
    /// Looks in a row that left a pending domain pending, or that DNS did not answer.
    pub fruitless: u32,
    /// What the last look saw, in words; empty before the first.
    pub seen: String,
}

impl Proof {
    /// Of a domain just added.
    pub fn new(token: ProofToken, now: Timestamp) -> Self {
        Self {
            token,
            standing: Standing::Pending,
            since: now,
            looked_at: None,
            answered_at: None,
            fruitless: 0,
            seen: String::new(),
        }
    }

    /// After a look. `taken`: another organisation's claim to the domain is in force, which no
    /// record ends.
    #[must_use]
    pub fn after(&self, finding: Finding, taken: bool, seen: &str, now: Timestamp) -> Self {
        let standing = match finding {
            Finding::Unknown => self.standing,
            Finding::Present if taken && !self.standing.is_in_force() => self.standing,
            Finding::Present => Standing::Verified,
            Finding::Absent => self.without_record(now),
        };
        let is_same = standing.name() == self.standing.name();
        let waits = finding == Finding::Unknown || standing == Standing::Pending;
        Self {
            token: self.token.clone(),
            standing,
            since: if is_same { self.since } else { now },
            looked_at: Some(now),
            answered_at: match finding {
                Finding::Unknown => self.answered_at,
                Finding::Present | Finding::Absent => Some(now),
            },
            fruitless: if waits {
                self.fruitless.saturating_add(1)
            } else {
                0
            },
            seen: bounded(seen),
        }
    }

    fn without_record(&self, now: Timestamp) -> Standing {
        match self.standing {
            Standing::Pending => Standing::Pending,
            Standing::Suspended => Standing::Suspended,
            Standing::Verified => Standing::Lapsing {
                absent_for: Duration::ZERO,
            },
            Standing::Lapsing { absent_for } => {
                let last = self.answered_at.unwrap_or(now);
                let absent_for = absent_for + now.since(last).min(GRACE_COUNTED_MAX);
                if absent_for >= GRACE {
                    Standing::Suspended
                } else {
                    Standing::Lapsing { absent_for }
                }
            }
        }
    }

    /// The pause between the last look and the next.
    pub fn pause(&self) -> Duration {
        let doubled = |longest: Duration| {
            let doublings = self.fruitless.saturating_sub(1).min(16);
            FIRST_PAUSE.saturating_mul(1 << doublings).min(longest)
        };
        match (self.standing, self.fruitless) {
            _ if self.looked_at.is_none() => Duration::ZERO,
            (Standing::Pending, looks) if looks > WAITING_LOOKS_MAX => VERIFIED_PAUSE,
            (Standing::Pending, _) | (_, 1..) => doubled(LATER_PAUSE),
            (Standing::Verified, _) => VERIFIED_PAUSE,
            (Standing::Lapsing { .. } | Standing::Suspended, _) => LAPSED_PAUSE,
        }
    }

    /// Grace that is left to a lapsing domain.
    pub fn grace_left(&self) -> Option<Duration> {
        match self.standing {
            Standing::Lapsing { absent_for } => Some(GRACE.saturating_sub(absent_for)),
            Standing::Pending | Standing::Verified | Standing::Suspended => None,
        }
    }
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(SEEN_OCTETS_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// All proofs, by organisation and domain.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proofs(HashMap<ProofKey, Proof>);

/// Whose proof of what.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProofKey {
    /// The organisation's name.
    pub organisation: Box<str>,
    /// The domain.
    pub domain: Domain,
}

impl ProofKey {
    /// Of these two.
    pub fn new(organisation: &str, domain: &Domain) -> Self {
        Self {
            organisation: organisation.into(),
            domain: domain.clone(),
        }
    }
}

impl Proofs {
    /// That proof.
    pub fn get(&self, organisation: &str, domain: &Domain) -> Option<&Proof> {
        self.0.get(&ProofKey::new(organisation, domain))
    }

    /// Puts one in, instead of the one before.
    pub fn insert(&mut self, key: ProofKey, proof: Proof) {
        self.0.insert(key, proof);
    }

    /// Keeps only some.
    pub fn retain(&mut self, keep: impl Fn(&ProofKey) -> bool) {
        self.0.retain(|key, _| keep(key));
    }

    /// All, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&ProofKey, &Proof)> {
        self.0.iter()
    }
}

impl FromIterator<(ProofKey, Proof)> for Proofs {
    fn from_iter<I: IntoIterator<Item = (ProofKey, Proof)>>(proofs: I) -> Self {
        Self(proofs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);
    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(86_400);

    fn fresh() -> Proof {
        Proof::new(ProofToken::from_octets([7; TOKEN_OCTETS]), NOW)
    }

    fn verified() -> Proof {
        fresh().after(Finding::Present, false, "seen", NOW)
    }

    #[test]
    fn a_token_is_26_letters_that_tell_all_its_chance() {
        let ends = [[0; TOKEN_OCTETS], [0xff; TOKEN_OCTETS]];
        let ends = ends.map(|octets| ProofToken::from_octets(octets).as_str().to_owned());
        assert_eq!(ends[0], "a".repeat(26));
        assert_eq!(ends[1], format!("{}4", "7".repeat(25)));
        let all = (0..128).map(|bit| ProofToken::from_octets((1_u128 << bit).to_be_bytes()));
        let distinct = all
            .map(|token| token.0)
            .collect::<std::collections::HashSet<_>>();
        assert_eq!(distinct.len(), 128, "each bit counts");
    }

    #[test]
    fn only_its_own_record_shows_a_token() {
        let token = ProofToken::stored("abc234");
        for (text, shown) in [
            ("relais-verification=abc234", true),
            (" \"Relais-Verification=ABC234\" ", true),
            ("relais-verification=abc235", false),
            ("relais-verification=abc2345", false),
            ("relais-verification=", false),
            ("v=spf1 relais-verification=abc234", false),
            ("abc234", false),
            ("", false),
        ] {
            assert_eq!(token.is_shown_by(text), shown, "{text:?}");
        }
    }

    #[test]
    fn servers_are_judged_together() {
        use Finding::{Absent, Present, Unknown};
        let token = ProofToken::stored("abc234");
        let (shown, other) = ("relais-verification=abc234", "v=spf1 -all");
        let texts = |texts: &[&str]| Said::Texts(texts.iter().map(|it| (*it).to_owned()).collect());
        let nothing = || Said::Nothing("no TXT record".to_owned());
        let failed = || Said::Failed("no answer in time".to_owned());
        for (said, finding) in [
            (vec![], Unknown),
            (vec![failed()], Unknown),
            (vec![failed(), failed()], Unknown),
            (vec![nothing()], Absent),
            (vec![texts(&[other])], Absent),
            (vec![failed(), nothing()], Absent),
            (vec![texts(&[other]), failed()], Absent),
            (vec![texts(&[other, shown])], Present),
            (vec![nothing(), texts(&[shown])], Present),
            (
                vec![failed(), nothing(), texts(&[shown]), texts(&[other])],
                Present,
            ),
        ] {
            let sighting = |said: &Said| Sighting {
                source: Source::Authoritative,
                server: "ns".to_owned(),
                said: said.clone(),
            };
            let sightings = said.iter().map(sighting).collect::<Vec<_>>();
            assert_eq!(judge(&token, &sightings).0, finding, "{said:?}");
        }
        let said = [
            texts(&[shown]),
            texts(&["relais-verification=other"]),
            texts(&[other]),
            nothing(),
            failed(),
        ];
        let sightings = said.map(|said| Sighting {
            source: Source::Resolver,
            server: "ns".to_owned(),
            said,
        });
        assert_eq!(
            judge(&token, &sightings).1,
            "ns shows it; ns shows another verification record; ns has 1 TXT records, not this \
             one; ns: no TXT record; ns failed: no answer in time"
        );
    }

    #[test]
    fn a_standing_follows_definite_answers_only() {
        use Finding::{Absent, Present, Unknown};
        let lapsing = verified().after(Absent, false, "", NOW);
        let suspended = Proof {
            standing: Standing::Suspended,
            ..fresh()
        };
        for (before, finding, taken, after) in [
            (fresh(), Present, false, "verified"),
            (fresh(), Absent, false, "pending"),
            (fresh(), Unknown, false, "pending"),
            (fresh(), Present, true, "pending"),
            (verified(), Present, false, "verified"),
            (verified(), Absent, false, "lapsing"),
            (verified(), Unknown, false, "verified"),
            (verified(), Present, true, "verified"),
            (lapsing.clone(), Present, false, "verified"),
            (lapsing.clone(), Absent, false, "lapsing"),
            (lapsing, Unknown, false, "lapsing"),
            (suspended.clone(), Present, false, "verified"),
            (suspended.clone(), Present, true, "suspended"),
            (suspended.clone(), Absent, false, "suspended"),
            (suspended, Unknown, false, "suspended"),
        ] {
            let found = before.after(finding, taken, "", NOW.after(HOUR));
            assert_eq!(
                found.standing.name(),
                after,
                "{} {finding:?}",
                before.standing
            );
        }
    }

    #[test]
    fn seven_days_of_looks_suspend_and_the_record_brings_it_back() {
        let mut proof = verified();
        let mut now = NOW;
        let mut looks = 0;
        while proof.standing.is_in_force() {
            now = now.after(HOUR);
            proof = proof.after(Finding::Absent, false, "", now);
            looks += 1;
        }
        assert_eq!(looks, 1 + 7 * 24, "the first look begins the grace");
        assert_eq!(proof.standing, Standing::Suspended);
        assert_eq!(proof.since, now);
        let back = proof.after(Finding::Present, false, "", now.after(HOUR));
        assert_eq!(back.standing, Standing::Verified);
    }

    #[test]
    fn a_clock_that_jumps_or_a_server_that_was_off_suspends_nobody() {
        let lapsing = verified().after(Finding::Absent, false, "", NOW);
        for later in [DAY * 8, DAY * 4_000] {
            let found = lapsing.after(Finding::Absent, false, "", NOW.after(later));
            assert_eq!(
                found.standing,
                Standing::Lapsing {
                    absent_for: HOUR * 2
                }
            );
            assert_eq!(found.grace_left(), Some(GRACE - HOUR * 2));
        }
        let back = lapsing.after(Finding::Absent, false, "", NOW.before(DAY));
        let none = Standing::Lapsing {
            absent_for: Duration::ZERO,
        };
        assert_eq!(back.standing, none, "a jump back counts nothing");
        let mut failing = lapsing;
        for hour in 1..24 * 30 {
            failing = failing.after(Finding::Unknown, false, "", NOW.after(HOUR * hour));
        }
        assert_eq!(
            failing.standing, none,
            "a DNS that fails for a month is no absence"
        );
    }

    #[test]
    fn looks_come_often_while_somebody_waits_and_daily_once_proved() {
        let seconds = |proof: &Proof| proof.pause().as_secs();
        let mut waiting = fresh();
        assert_eq!(seconds(&waiting), 0, "the first look comes at once");
        let mut pauses = Vec::new();
        for _ in 0..11 {
            waiting = waiting.after(Finding::Absent, false, "", NOW);
            pauses.push(seconds(&waiting));
        }
        assert_eq!(
            pauses,
            [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600]
        );
        waiting.fruitless = WAITING_LOOKS_MAX + 1;
        assert_eq!(waiting.pause(), DAY, "nobody waits any more");
        assert_eq!(verified().pause(), DAY);
        let failed = verified().after(Finding::Unknown, false, "", NOW);
        assert_eq!(seconds(&failed), 10, "a failure is looked into again soon");
        let lapsing = failed.after(Finding::Absent, false, "", NOW);
        assert_eq!(lapsing.pause(), HOUR);
    }

    #[test]
    fn what_was_seen_is_bounded_at_a_character() {
        let proof = fresh().after(Finding::Absent, false, &"é".repeat(5_000), NOW);
        assert_eq!(proof.seen.len(), SEEN_OCTETS_MAX);
    }

    proptest! {
        /// Whatever happens, a domain is suspended only after 84 looks or more that DNS answered
        /// with no.
        #[test]
        fn nothing_is_suspended_without_many_definite_answers(
            looks in proptest::collection::vec((0_u8..3, -1_000_000_i64..10_000_000), 0..400),
        ) {
            let (mut proof, mut now, mut absences) = (verified(), NOW, 0);
            for (finding, seconds) in looks {
                now = Timestamp::from_millis(now.as_millis() + seconds * 1_000);
                let finding = match finding {
                    0 if seconds % 7 == 0 => Finding::Present,
                    1 => Finding::Unknown,
                    _ => Finding::Absent,
                };
                absences = match finding {
                    Finding::Present => 0,
                    Finding::Absent => absences + 1,
                    Finding::Unknown => absences,
                };
                proof = proof.after(finding, false, "", now);
                if proof.standing == Standing::Suspended {
                    prop_assert!(absences > 84);
                }
            }
        }
    }
}
