//! Alerts: what was measured, held against rules, raises and clears them. Time is an argument.
//!
//! ```text
//! measures ─► over the threshold, long enough? ─► raised ─► note, with others of the same moment
//!                     │ no longer, long enough? ─► cleared ─► note, if people heard of it
//! ```
//!
//! In quiet hours notes wait until these are over, unless the rule is urgent; what was raised and
//! cleared meanwhile is told as both. A rule is judged per subject: one queue, one device, one
//! certificate. Beside the rule for everything there may be others of the same kind, each for some
//! mail only (`alert/scope.rs`).
//!
//! What a channel owes because it failed is in `alert/owed.rs`. Not here: measuring, and the way of
//! a note (`relais-admin`).

mod owed;
mod scope;

use std::collections::BTreeMap;

use relais_smtp::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::owed::{OWED_FOR, OWED_LINES_MAX, Owed, PAUSES};
pub use self::scope::{Scope, ScopePart};

/// What is watched.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleKind {
    /// Age of the oldest message of a queue, in seconds.
    QueueAge,
    /// Time of deliveries of the last minute, on average, in milliseconds.
    DeliveryTime,
    /// Failed among finished recipients of the last 15 minutes, in percent.
    FailureShare,
    /// Attempts refused in the last 10 minutes.
    RefusedAttempts,
    /// Seconds since a device that used to send did so last.
    Silence,
    /// Days until a certificate ends; raised below.
    CertificateExpiry,
    /// Days until a credential or a key of the API ends; raised below.
    CredentialExpiry,
    /// Days until a domain whose proof has gone is suspended; raised below.
    DomainExpiry,
    /// Faults in what a domain publishes.
    DnsDrift,
    /// DNS blocklists that have an address of ours, by address and list.
    Blocklist,
    /// Free space of the disk, in MB; raised below.
    Disk,
    /// Used part of a limit, in percent.
    Limit,
    /// Something is blocked by the program itself.
    RestrictedEntity,
    /// Recipients that were acknowledged and cannot be accounted for.
    Unaccounted,
}

impl RuleKind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::QueueAge,
        Self::DeliveryTime,
        Self::FailureShare,
        Self::RefusedAttempts,
        Self::Silence,
        Self::CertificateExpiry,
        Self::CredentialExpiry,
        Self::DomainExpiry,
        Self::DnsDrift,
        Self::Blocklist,
        Self::Disk,
        Self::Limit,
        Self::RestrictedEntity,
        Self::Unaccounted,
    ];

    /// `queue-age` …
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueAge => "queue-age",
            Self::DeliveryTime => "delivery-time",
            Self::FailureShare => "failure-share",
            Self::RefusedAttempts => "refused-attempts",
            Self::Silence => "silence",
            Self::CertificateExpiry => "certificate-expiry",
            Self::CredentialExpiry => "credential-expiry",
            Self::DomainExpiry => "domain-expiry",
            Self::DnsDrift => "dns-drift",
            Self::Blocklist => "blocklist",
            Self::Disk => "disk",
            Self::Limit => "limit",
            Self::RestrictedEntity => "restricted-entity",
            Self::Unaccounted => "unaccounted",
        }
    }

    /// The kind of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text)
    }

    /// What its numbers count.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::QueueAge | Self::Silence => "s",
            Self::DeliveryTime => "ms",
            Self::FailureShare | Self::Limit => "%",
            Self::Disk => "MB",
            Self::CertificateExpiry | Self::CredentialExpiry | Self::DomainExpiry => "d",
            Self::RefusedAttempts
            | Self::DnsDrift
            | Self::Blocklist
            | Self::RestrictedEntity
            | Self::Unaccounted => "",
        }
    }

    /// What its numbers can be narrowed by; nothing for what is no mail's.
    pub const fn scope_parts(self) -> &'static [ScopePart] {
        use ScopePart::{Client, Connector, From, Organisation, To};
        match self {
            Self::QueueAge | Self::DeliveryTime | Self::FailureShare | Self::RefusedAttempts => {
                &[Organisation, Connector, From, Client, To]
            }
            Self::Silence => &[Organisation, Connector, Client],
            Self::CertificateExpiry
            | Self::CredentialExpiry
            | Self::DomainExpiry
            | Self::DnsDrift
            | Self::Blocklist
            | Self::Disk
            | Self::Limit
            | Self::RestrictedEntity
            | Self::Unaccounted => &[],
        }
    }

    /// Whether little is bad.
    const fn is_raised_below(self) -> bool {
        matches!(
            self,
            Self::CertificateExpiry | Self::CredentialExpiry | Self::DomainExpiry | Self::Disk
        )
    }
}

/// One rule.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is watched.
    pub kind: RuleKind,
    /// Of which mail. One kind has one rule for each scope.
    #[serde(default, skip_serializing_if = "Scope::is_all")]
    pub scope: Scope,
    /// Judged at all.
    pub enabled: bool,
    /// From which value on; for what ends or runs out: up to which.
    pub threshold: u64,
    /// For so many seconds before it is raised, and before it is cleared.
    pub for_seconds: u32,
    /// Told in quiet hours too.
    pub urgent: bool,
}

impl Rule {
    /// As long as nobody says otherwise.
    pub const fn of(kind: RuleKind) -> Self {
        let (threshold, for_seconds, urgent) = match kind {
            RuleKind::QueueAge => (3_600, 300, false),
            RuleKind::DeliveryTime => (30_000, 300, false),
            RuleKind::FailureShare => (20, 300, false),
            RuleKind::RefusedAttempts => (200, 0, false),
            RuleKind::Silence => (3 * 86_400, 0, false),
            RuleKind::CertificateExpiry | RuleKind::CredentialExpiry => (14, 0, false),
            RuleKind::DomainExpiry => (7, 0, true),
            RuleKind::DnsDrift => (1, 3_600, false),
            RuleKind::Blocklist => (1, 0, false),
            RuleKind::Disk => (2_000, 60, true),
            RuleKind::Limit => (80, 0, false),
            RuleKind::RestrictedEntity => (1, 0, true),
            RuleKind::Unaccounted => (1, 600, true),
        };
        Self {
            kind,
            scope: Scope::ALL,
            enabled: true,
            threshold,
            for_seconds,
            urgent,
        }
    }

    /// Whether it is the rule of this kind and scope.
    pub fn is(&self, kind: RuleKind, scope: &Scope) -> bool {
        self.kind == kind && self.scope == *scope
    }

    fn is_over(&self, value: u64) -> bool {
        if self.kind.is_raised_below() {
            value <= self.threshold
        } else {
            value >= self.threshold
        }
    }
}

/// When people are left alone, in minutes of the day (UTC); over midnight where the end is smaller.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// The first minute.
    pub from: u16,
    /// The first minute after.
    pub until: u16,
}

impl QuietHours {
    /// Whether this moment lies in them.
    pub fn has(self, now: Timestamp) -> bool {
        let minute = now.as_millis().div_euclid(60_000).rem_euclid(1_440);
        let (from, until) = (i64::from(self.from), i64::from(self.until));
        if from <= until {
            (from..until).contains(&minute)
        } else {
            minute >= from || minute < until
        }
    }
}

/// What was measured at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Measure {
    /// What.
    pub kind: RuleKind,
    /// Of which mail: that of the rule for which it was measured.
    pub scope: Scope,
    /// Of which queue, device, certificate; empty for the whole.
    pub subject: String,
    /// In the kind's unit.
    pub value: u64,
    /// For people: what stands behind the number.
    pub detail: String,
}

/// Whether it begins or ends.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// It is raised.
    Raised,
    /// It is over.
    Cleared,
}

/// One line of a note.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Told {
    /// Begins or ends.
    pub turn: Turn,
    /// What.
    pub kind: RuleKind,
    /// Of which mail.
    #[serde(default, skip_serializing_if = "Scope::is_all")]
    pub scope: Scope,
    /// Of what.
    pub subject: String,
    /// When it was raised.
    pub value: u64,
    /// For people.
    pub detail: String,
    /// Milliseconds.
    pub at: i64,
}

/// What is known of one subject.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// Since when it is as it is now, over or not; milliseconds.
    turned: i64,
    is_over: bool,
    /// Since when it is raised; milliseconds.
    pub raised: Option<i64>,
    /// As measured last.
    pub value: u64,
    /// For people.
    pub detail: String,
}

/// Everything that must survive a restart: an alert is raised once.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct State {
    /// By kind, scope and subject.
    #[serde(with = "entries")]
    standing: BTreeMap<Key, Standing>,
    /// What waits for the end of quiet hours.
    waiting: Vec<Told>,
}

/// Kind and scope of a rule, and the subject that it judged.
type Key = (RuleKind, Scope, String);

/// What waits for the end of quiet hours at most; a night has no more that a person reads.
const WAITING_MAX: usize = 200;
/// Subjects that are watched at the same time.
const SUBJECTS_MAX: usize = 10_000;

impl State {
    /// What is raised now.
    pub fn raised(&self) -> impl Iterator<Item = (RuleKind, &Scope, &str, &Standing)> {
        let raised = self.standing.iter().filter(|(_, it)| it.raised.is_some());
        raised.map(|((kind, scope, subject), it)| (*kind, scope, subject.as_str(), it))
    }

    /// Holds what was measured against the rules. `turned`: everything that was raised or cleared
    /// at this moment; `note`: what people are told now, one note for all of it.
    pub fn judge(
        &mut self,
        rules: &[Rule],
        quiet: Option<QuietHours>,
        measures: &[Measure],
        now: Timestamp,
    ) -> Judged {
        let mut turned = Vec::new();
        for rule in rules {
            self.judge_rule(rule, measures, now, &mut turned);
        }
        self.end_without_rule(rules, now, &mut turned);
        let is_quiet = quiet.is_some_and(|quiet| quiet.has(now));
        let is_urgent = |told: &Told| {
            let mut rules = rules.iter();
            rules.any(|rule| rule.is(told.kind, &told.scope) && rule.urgent)
        };
        let mut note = Vec::new();
        if is_quiet {
            for told in &turned {
                if is_urgent(told) {
                    note.push(told.clone());
                } else if self.waiting.len() < WAITING_MAX {
                    self.waiting.push(told.clone());
                }
            }
        } else {
            note.append(&mut self.waiting);
            note.extend(turned.iter().cloned());
        }
        Judged { turned, note }
    }

    fn judge_rule(
        &mut self,
        rule: &Rule,
        measures: &[Measure],
        now: Timestamp,
        turned: &mut Vec<Told>,
    ) {
        let mine = measures
            .iter()
            .filter(|measure| rule.is(measure.kind, &measure.scope));
        let mine: BTreeMap<&str, &Measure> = mine
            .map(|measure| (measure.subject.as_str(), measure))
            .collect();
        for (subject, measure) in &mine {
            let is_over = rule.enabled && rule.is_over(measure.value);
            let key = (rule.kind, rule.scope.clone(), String::from(*subject));
            if !is_over && !self.standing.contains_key(&key) {
                continue;
            }
            if !self.standing.contains_key(&key) && self.standing.len() >= SUBJECTS_MAX {
                continue;
            }
            let standing = self.standing.entry(key).or_insert(Standing {
                turned: now.as_millis(),
                is_over,
                raised: None,
                value: measure.value,
                detail: String::new(),
            });
            standing.value = measure.value;
            standing.detail.clone_from(&measure.detail);
            turned.extend(standing.turn(rule, subject, is_over, now));
        }
        // What is not measured any more is gone: a queue that is empty, a key that was revoked.
        for ((kind, scope, subject), standing) in &mut self.standing {
            if rule.is(*kind, scope) && !mine.contains_key(subject.as_str()) {
                turned.extend(standing.turn(rule, subject, false, now));
            }
        }
        self.standing.retain(|(kind, scope, _), standing| {
            !rule.is(*kind, scope) || standing.is_over || standing.raised.is_some()
        });
    }

    /// What a rule raised that was taken away is over at once.
    fn end_without_rule(&mut self, rules: &[Rule], now: Timestamp, turned: &mut Vec<Told>) {
        self.standing.retain(|(kind, scope, subject), standing| {
            let has_rule = rules.iter().any(|rule| rule.is(*kind, scope));
            if !has_rule && standing.raised.is_some() {
                turned.push(Told {
                    turn: Turn::Cleared,
                    kind: *kind,
                    scope: scope.clone(),
                    subject: subject.clone(),
                    value: standing.value,
                    detail: standing.detail.clone(),
                    at: now.as_millis(),
                });
            }
            has_rule
        });
    }
}

impl Standing {
    fn turn(&mut self, rule: &Rule, subject: &str, is_over: bool, now: Timestamp) -> Option<Told> {
        if self.is_over != is_over {
            self.is_over = is_over;
            self.turned = now.as_millis();
        }
        let lasted = now.since(Timestamp::from_millis(self.turned)).as_secs();
        if lasted < u64::from(rule.for_seconds) {
            return None;
        }
        let turn = match (is_over, self.raised) {
            (true, None) => {
                self.raised = Some(now.as_millis());
                Turn::Raised
            }
            (false, Some(_)) => {
                self.raised = None;
                Turn::Cleared
            }
            (true, Some(_)) | (false, None) => return None,
        };
        Some(Told {
            turn,
            kind: rule.kind,
            scope: rule.scope.clone(),
            subject: String::from(subject),
            value: self.value,
            detail: self.detail.clone(),
            at: now.as_millis(),
        })
    }
}

/// What followed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Judged {
    /// Raised and cleared at this moment.
    pub turned: Vec<Told>,
    /// To be told now.
    pub note: Vec<Told>,
}

/// JSON has no keys but texts.
mod entries {
    use super::{BTreeMap, Key, RuleKind, Scope, Standing};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize, Serialize)]
    struct Entry {
        kind: RuleKind,
        #[serde(default, skip_serializing_if = "Scope::is_all")]
        scope: Scope,
        subject: String,
        standing: Standing,
    }

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<Key, Standing>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let entries = map.iter().map(|((kind, scope, subject), standing)| Entry {
            kind: *kind,
            scope: scope.clone(),
            subject: subject.clone(),
            standing: standing.clone(),
        });
        entries.collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Key, Standing>, D::Error> {
        let entries = Vec::<Entry>::deserialize(deserializer)?;
        let entries = entries.into_iter();
        Ok(entries
            .map(|entry| ((entry.kind, entry.scope, entry.subject), entry.standing))
            .collect())
    }
}
