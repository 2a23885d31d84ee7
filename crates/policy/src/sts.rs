//! MTA-STS: what a domain announces, what its policy says, and what follows for its mail
//! exchangers. RFC 8461. The policy that is kept counts until its time is over, whatever DNS or
//! the web server say meanwhile: hiding them must gain an attacker nothing (§5.1, §10.2).
//!
//! Not here: look-ups and fetching (`relais_net`), keeping (`relais-deliver`, `sts`), the
//! certificate (`relais_net::tls`).

use std::fmt;
use std::time::Duration;

use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

use crate::document::{MtaSts, MtaStsMode};

/// Longest policy that is read, in octets. RFC 8461 §3.3 suggests 64 KiB.
pub const POLICY_OCTETS_MAX: usize = 64 * 1024;
/// Patterns that we look at; a policy with more is none. Twice the mail exchangers that are tried.
pub const PATTERNS_MAX: usize = 64;
/// Octets of all patterns of a policy together; a policy with more is none.
pub const PATTERNS_OCTETS_MAX: usize = 4 * 1024;
/// Longest time that a policy is kept. RFC 8461 §3.2.
pub const MAX_AGE_SECONDS_MAX: u32 = 31_557_600;
/// After a failed fetch the same policy is not asked for before this. RFC 8461 §3.3: five minutes
/// or longer.
pub const FETCH_AGAIN_AFTER: Duration = Duration::from_secs(5 * 60);
/// The record is not looked up again before this: its own time to live would mostly say so too.
pub const RECORD_AGAIN_AFTER: Duration = Duration::from_secs(5 * 60);
/// A policy is fetched again when it is older than this, even if its id is the same: its time
/// begins anew. RFC 8461 §5.1 wants it refreshed before its end.
pub const REFRESH_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The version of a policy, as the record says it. RFC 8461 §3.1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StsId(Box<str>);

impl StsId {
    /// One to 32 letters and digits.
    pub fn parse(text: &str) -> Option<Self> {
        let fits =
            (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(text.into()))
    }

    /// As it stands in DNS.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a domain's TXT records at `_mta-sts` announce; `None`: no policy, or nothing that can be
/// understood. RFC 8461 §3.1.
pub fn read_records<'a>(records: impl IntoIterator<Item = &'a str>) -> Option<StsId> {
    let mut ours = records.into_iter().filter(|text| is_ours(text.trim_end()));
    let (Some(only), None) = (ours.next(), ours.next()) else {
        return None;
    };
    let mut id = None;
    for field in only.split(';').skip(1).map(str::trim) {
        if field.is_empty() {
            continue;
        }
        let (name, value) = field.split_once('=')?;
        if name.trim() == "id" && id.is_none() {
            id = Some(StsId::parse(value.trim())?);
        }
    }
    id
}

fn is_ours(text: &str) -> bool {
    let rest = text.strip_prefix("v=STSv1");
    rest.is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with(';'))
}

/// What a policy demands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StsMode {
    /// Mail goes to listed hosts with a certificate that holds, or waits.
    Enforce,
    /// Nothing; what would fail is reported.
    Testing,
    /// Nothing: the policy is being taken back.
    None,
}

impl StsMode {
    /// As in the policy.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// A name of mail exchangers, exact or with one label left open. RFC 8461 §4.1.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct MxPattern {
    any_first_label: bool,
    name: Domain,
}

impl MxPattern {
    /// Reads `mx.example.org` or `*.example.org`.
    pub fn parse(text: &str) -> Option<Self> {
        let (any_first_label, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let name = Domain::parse(name).ok()?;
        Some(Self {
            any_first_label,
            name,
        })
    }

    /// Whether it is the name of this host.
    pub fn covers(&self, host: &Domain) -> bool {
        if !self.any_first_label {
            return *host == self.name;
        }
        let rest = host.as_str().split_once('.').map(|(_, rest)| rest);
        rest == Some(self.name.as_str())
    }
}

impl fmt::Display for MxPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.any_first_label { "*." } else { "" };
        write!(f, "{open}{}", self.name)
    }
}

/// A policy. RFC 8461 §3.2.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct StsPolicy {
    /// What it demands.
    pub mode: StsMode,
    /// The mail exchangers.
    pub patterns: Vec<MxPattern>,
    /// How long it may be kept, in seconds.
    pub max_age: u32,
}

/// Why a text is no policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StsFault {
    /// Longer than [`POLICY_OCTETS_MAX`], or more than [`PATTERNS_MAX`] patterns, or
    /// [`PATTERNS_OCTETS_MAX`] of them.
    #[error("the policy is too long")]
    TooLong,
    /// Not `STSv1`.
    #[error("the policy is of no version that is known")]
    Version,
    /// None of the three.
    #[error("the policy names no mode that is known")]
    Mode,
    /// No number, or none at all.
    #[error("the policy does not say how long it holds")]
    MaxAge,
    /// No pattern, though there is a mode; or one that is no name.
    #[error("the policy names no mail exchanger, or one that cannot be a name")]
    Patterns,
    /// A line without a colon, or text that is no UTF-8.
    #[error("the policy has a line that is no field")]
    Syntax,
}

/// Reads the body of the policy file. Of fields that may stand once the first counts; unknown ones
/// are passed over. RFC 8461 §3.2.
///
/// # Errors
/// Why it is no policy.
pub fn read_policy(octets: &[u8]) -> Result<StsPolicy, StsFault> {
    if octets.len() > POLICY_OCTETS_MAX {
        return Err(StsFault::TooLong);
    }
    let text = str::from_utf8(octets).map_err(|_| StsFault::Syntax)?;
    let (mut version, mut mode, mut max_age) = (None, None, None);
    let mut patterns = Vec::new();
    let mut patterns_octets = 0;
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim().is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(StsFault::Syntax)?;
        let value = value.trim();
        match name.trim() {
            "version" => version = version.or(Some(value)),
            "mode" => mode = mode.or(Some(value)),
            "max_age" => max_age = max_age.or(Some(value)),
            "mx" => {
                let pattern = MxPattern::parse(value).ok_or(StsFault::Patterns)?;
                patterns_octets += value.len();
                patterns.push(pattern);
            }
            _ => {}
        }
        if patterns.len() > PATTERNS_MAX || patterns_octets > PATTERNS_OCTETS_MAX {
            return Err(StsFault::TooLong);
        }
    }
    if version != Some("STSv1") {
        return Err(StsFault::Version);
    }
    let mode = match mode {
        Some("enforce") => StsMode::Enforce,
        Some("testing") => StsMode::Testing,
        Some("none") => StsMode::None,
        Some(_) | None => return Err(StsFault::Mode),
    };
    let digits = max_age.ok_or(StsFault::MaxAge)?;
    let fits = (1..=10).contains(&digits.len()) && digits.bytes().all(|one| one.is_ascii_digit());
    let seconds: u64 = digits
        .parse()
        .ok()
        .filter(|_| fits)
        .ok_or(StsFault::MaxAge)?;
    if patterns.is_empty() && mode != StsMode::None {
        return Err(StsFault::Patterns);
    }
    let max_age = u32::try_from(seconds).unwrap_or(u32::MAX);
    Ok(StsPolicy {
        mode,
        patterns,
        max_age: max_age.min(MAX_AGE_SECONDS_MAX),
    })
}

impl StsPolicy {
    /// Whether the host is one of its mail exchangers.
    pub fn covers(&self, host: &Domain) -> bool {
        self.patterns.iter().any(|pattern| pattern.covers(host))
    }

    /// The text of a policy file that says this: what is kept, and what is reported.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            "version: STSv1".to_owned(),
            format!("mode: {}", self.mode.name()),
        ];
        lines.extend(self.patterns.iter().map(|one| format!("mx: {one}")));
        lines.push(format!("max_age: {}", self.max_age));
        lines
    }

    /// The file that says this.
    pub fn file(&self) -> String {
        format!("{}\n", self.lines().join("\n"))
    }

    /// Its version, for the record: another policy has another (RFC 8461 §3.1).
    pub fn id(&self) -> StsId {
        // FNV-1a, 64 bits: it tells texts apart, nothing hangs on it.
        let text = self.file();
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        });
        StsId(format!("{hash:016x}").into())
    }
}

/// The policy of one of our domains, for senders to it; `None`: it has none. `hostname` is ours.
pub fn own_policy(wanted: &MtaSts, hostname: &str) -> Option<StsPolicy> {
    let mode = match wanted.mode {
        MtaStsMode::Off => return None,
        MtaStsMode::Testing => StsMode::Testing,
        MtaStsMode::Enforce => StsMode::Enforce,
        MtaStsMode::None => StsMode::None,
    };
    let names = wanted.mx.iter().map(String::as_str);
    let mut patterns: Vec<_> = names.filter_map(MxPattern::parse).collect();
    if patterns.is_empty() {
        patterns.extend(MxPattern::parse(hostname));
    }
    // Without a name nobody could enforce it.
    let is_empty = patterns.is_empty() && mode != StsMode::None;
    let max_age = u32::try_from(wanted.max_age.0).unwrap_or(MAX_AGE_SECONDS_MAX);
    (!is_empty).then_some(StsPolicy {
        mode,
        patterns,
        max_age,
    })
}

/// A policy that was fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptPolicy {
    /// The version that the record announced then.
    pub id: StsId,
    /// What it says.
    pub policy: StsPolicy,
    /// When it was fetched.
    pub fetched: Timestamp,
}

impl KeptPolicy {
    /// The end of its time.
    pub fn until(&self) -> Timestamp {
        self.fetched
            .after(Duration::from_secs(self.policy.max_age.into()))
    }

    /// Whether its time is not over.
    pub fn holds(&self, now: Timestamp) -> bool {
        // A clock that went back must not end it.
        now.since(self.fetched) < Duration::from_secs(self.policy.max_age.into())
    }
}

/// What the record says now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Announced {
    /// This version.
    Id(StsId),
    /// None, or nothing that can be understood.
    Nothing,
    /// DNS gave no answer.
    Unknown,
}

/// Whether a policy must be fetched now. RFC 8461 §3.3, §5.1. `failed`: when a fetch failed last.
pub fn must_fetch(
    kept: Option<&KeptPolicy>,
    announced: &Announced,
    failed: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    let Announced::Id(id) = announced else {
        return false;
    };
    if failed.is_some_and(|failed| now.since(failed) < FETCH_AGAIN_AFTER && failed <= now) {
        return false;
    }
    match kept.filter(|kept| kept.holds(now)) {
        None => true,
        Some(kept) => {
            let half = Duration::from_secs(kept.policy.max_age.into()) / 2;
            kept.id != *id || now.since(kept.fetched) >= REFRESH_AFTER.min(half)
        }
    }
}

/// The policy that counts now; `None`: none does. RFC 8461 §5.1.
pub fn in_force(kept: Option<&KeptPolicy>, now: Timestamp) -> Option<&StsPolicy> {
    kept.filter(|kept| kept.holds(now))
        .map(|kept| &kept.policy)
        .filter(|policy| policy.mode != StsMode::None)
}
