//! What the authentication of a stranger's mail says in all: DMARC over the results of SPF and DKIM
//! (RFC 7489), the field that records it (RFC 8601), and whether the mail is refused for it.
//!
//! Pure: what DNS says comes in as [`Facts`]. The policy is looked for from the author's domain up
//! to its organisational one (RFC 9989 §4.10, without asking public suffixes), which is the one
//! that others must belong to.
//!
//! Not here: SPF itself ([`crate::spf`]), signatures (`relais-net`).

use relais_smtp::domain::Domain;

use crate::document::DmarcPolicy;
use crate::registered::{belong_together, upwards};
use crate::spf::{Fact, Facts, Question, SpfResult};

/// What SPF said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SpfFinding {
    /// The result.
    pub result: SpfResult,
    /// Whose record was read: of the reverse-path, or of HELO where that is null.
    pub domain: String,
    /// The reverse-path is null, so HELO was asked.
    pub is_helo: bool,
}

/// What one signature said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignatureFinding {
    /// `pass`, `fail`, `neutral`, `temperror`, `permerror`. RFC 8601 §2.7.1.
    pub result: &'static str,
    /// `d=`; empty: it could not be read.
    pub domain: String,
    /// `s=`
    pub selector: String,
}

/// What DMARC said. RFC 8601 §2.7.5 and RFC 7489 §11.2.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DmarcFinding {
    /// `pass`, `fail`, `none`, `temperror`, `permerror`.
    pub result: &'static str,
    /// The author's domain, of several the one that counts; `None`: there is none to be read.
    pub from: Option<Domain>,
    /// `none`, `quarantine`, `reject`; empty without a policy.
    pub policy: &'static str,
}

/// All of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authentication {
    /// SPF.
    pub spf: SpfFinding,
    /// Each signature, in the order of the fields.
    pub dkim: Vec<SignatureFinding>,
    /// The chain of ARC: `pass`, `fail`, `none`. RFC 8617 §5.2.
    pub arc: &'static str,
    /// DMARC.
    pub dmarc: DmarcFinding,
}

impl Authentication {
    /// The field that records it, with its line end. Every value is a word, a domain, or cut and
    /// made harmless. RFC 8601 §2.2.
    pub fn field(&self, authserv_id: &str) -> String {
        let mut parts = vec![authserv_id.to_owned()];
        let property = if self.spf.is_helo {
            "smtp.helo"
        } else {
            "smtp.mailfrom"
        };
        let spf = self.spf.result.name();
        parts.push(format!("spf={spf} {property}={}", value(&self.spf.domain)));
        if self.dkim.is_empty() {
            parts.push("dkim=none".to_owned());
        }
        for one in &self.dkim {
            let mut part = format!("dkim={}", one.result);
            if !one.domain.is_empty() {
                part.push_str(&format!(" header.d={}", value(&one.domain)));
            }
            if !one.selector.is_empty() {
                part.push_str(&format!(" header.s={}", value(&one.selector)));
            }
            parts.push(part);
        }
        let mut dmarc = format!("dmarc={}", self.dmarc.result);
        if !self.dmarc.policy.is_empty() {
            dmarc.push_str(&format!(" policy.dmarc={}", self.dmarc.policy));
        }
        if let Some(from) = &self.dmarc.from {
            dmarc.push_str(&format!(" header.from={from}"));
        }
        parts.push(dmarc);
        parts.push(format!("arc={}", self.arc));
        format!("Authentication-Results: {}\r\n", parts.join(";\r\n\t"))
    }

    /// The same in short, for the trace.
    pub fn words(&self) -> String {
        let passes = |one: &&SignatureFinding| one.result == "pass";
        let dkim = match self.dkim.iter().find(passes).or(self.dkim.first()) {
            Some(one) if one.domain.is_empty() => one.result.to_owned(),
            Some(one) => format!("{} ({})", one.result, value(&one.domain)),
            None => "none".to_owned(),
        };
        let spf = self.spf.result.name();
        let (dmarc, arc) = (self.dmarc.result, self.arc);
        format!("spf={spf} dkim={dkim} dmarc={dmarc} arc={arc}")
    }

    /// Whether the mail is refused: its author's domain asks for it, and so does ours.
    pub fn refuses(&self, setting: DmarcPolicy) -> Option<&Domain> {
        let asked = self.dmarc.result == "fail" && self.dmarc.policy == "reject";
        match setting {
            DmarcPolicy::Reject if asked => self.dmarc.from.as_ref(),
            DmarcPolicy::Reject | DmarcPolicy::Record => None,
        }
    }
}

impl DmarcFinding {
    /// How much it speaks against the mail: of several authors the strictest counts.
    /// RFC 7489 §6.6.1.
    pub fn severity(&self) -> u8 {
        match (self.result, self.policy) {
            ("fail", "reject") => 4,
            ("fail", "quarantine") => 3,
            ("fail", _) => 2,
            ("temperror" | "permerror", _) => 1,
            _ => 0,
        }
    }
}

/// What stands as a value: RFC 8601 §2.2 lets words be; everything else becomes `?`.
fn value(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let words = text.chars().take(255);
    words.map(|c| if is_word(c) { c } else { '?' }).collect()
}

/// DMARC of a message: whether SPF or a signature passes for a domain that belongs to the author's.
///
/// # Errors
/// The question whose answer is not among the facts.
pub fn dmarc(
    facts: &Facts,
    from: Option<&Domain>,
    spf: &SpfFinding,
    dkim: &[SignatureFinding],
) -> Result<DmarcFinding, Question> {
    let found = |result, policy| {
        Ok(DmarcFinding {
            result,
            from: from.cloned(),
            policy,
        })
    };
    let Some(author) = from else {
        return found("permerror", "");
    };
    let record = match policy_of(facts, author)? {
        Found::Record(record) => record,
        Found::Nothing => return found("none", ""),
        Found::Failed => return found("temperror", ""),
    };
    // What HELO names counts for the null reverse-path. RFC 7208 §2.4, RFC 7489 §3.1.2.
    let by_spf =
        spf.result == SpfResult::Pass && record.belongs(&spf.domain, author, record.strict_spf);
    let signed = |one: &SignatureFinding| {
        one.result == "pass" && record.belongs(&one.domain, author, record.strict_dkim)
    };
    if by_spf || dkim.iter().any(signed) {
        return found("pass", record.policy);
    }
    // It may have passed, had DNS answered: nobody is refused for that.
    let unsure =
        spf.result == SpfResult::TempError || dkim.iter().any(|one| one.result == "temperror");
    found(if unsure { "temperror" } else { "fail" }, record.policy)
}

enum Found {
    Record(PolicyRecord),
    Nothing,
    Failed,
}

/// A policy.
struct PolicyRecord {
    policy: &'static str,
    strict_spf: bool,
    strict_dkim: bool,
}

impl PolicyRecord {
    /// Whether a domain that passed counts for the author's. RFC 7489 §3.1.
    fn belongs(&self, domain: &str, author: &Domain, strict: bool) -> bool {
        let domain = Domain::parse(domain);
        domain.is_ok_and(|one| one == *author || (!strict && belong_together(&one, author)))
    }
}

fn policy_of(facts: &Facts, author: &Domain) -> Result<Found, Question> {
    for name in upwards(author) {
        let question = Question::Texts(format!("_dmarc.{name}"));
        match facts.get(&question) {
            None => return Err(question),
            Some(Fact::Failed(_)) => return Ok(Found::Failed),
            Some(Fact::Texts(texts)) => {
                let policies: Vec<_> = texts.iter().filter(|text| is_policy(text)).collect();
                // Two records are none. RFC 7489 §6.6.3.
                if let [text] = policies.as_slice()
                    && let Some(record) = read(text, name != author.as_str())
                {
                    return Ok(Found::Record(record));
                }
            }
            Some(Fact::Nothing | Fact::Addresses(_)) => {}
        }
    }
    Ok(Found::Nothing)
}

fn is_policy(text: &str) -> bool {
    let first = text.split(';').next().unwrap_or_default();
    let (name, value) = first.split_once('=').unwrap_or_default();
    name.trim() == "v" && value.trim() == "DMARC1"
}

fn read(text: &str, is_parents: bool) -> Option<PolicyRecord> {
    let tag = |wanted: &str| {
        let mut tags = text.split(';').filter_map(|tag| tag.split_once('='));
        let found = tags.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    let own = tag("p")?;
    let asked = tag("sp").filter(|_| is_parents).unwrap_or(own);
    let known = ["none", "quarantine", "reject"];
    let policy = known.into_iter().find(|known| *known == asked)?;
    let strict = |name| tag(name).is_some_and(|mode| mode == "s");
    // A policy that is only tried asks for nothing. RFC 9989 §4.7.
    let is_tried = tag("t").is_some_and(|flag| flag == "y");
    Some(PolicyRecord {
        policy: if is_tried { "none" } else { policy },
        strict_spf: strict("aspf"),
        strict_dkim: strict("adkim"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn spf(result: SpfResult, domain: &str) -> SpfFinding {
        SpfFinding {
            result,
            domain: domain.to_owned(),
            is_helo: false,
        }
    }

    fn signed(domain: &str, result: &'static str) -> Vec<SignatureFinding> {
        vec![SignatureFinding {
            result,
            domain: domain.to_owned(),
            selector: "s".to_owned(),
        }]
    }

    fn facts(records: &[(&str, &str)]) -> Facts {
        let mut facts = Facts::new();
        for name in ["a.b.example.org", "b.example.org", "example.org"] {
            facts.insert(Question::Texts(format!("_dmarc.{name}")), Fact::Nothing);
        }
        for (name, text) in records {
            let fact = match *text {
                "" => Fact::Failed("no answer".to_owned()),
                text => Fact::Texts(vec![text.to_owned()]),
            };
            facts.insert(Question::Texts(format!("_dmarc.{name}")), fact);
        }
        facts
    }

    #[test]
    fn what_belongs_to_the_author_passes_and_the_rest_fails() {
        use SpfResult::{Fail, Pass, TempError};
        let relaxed = [("example.org", "v=DMARC1; p=reject")];
        let strict = [(
            "example.org",
            "v=DMARC1; p=reject; adkim=s; aspf=s; sp=quarantine",
        )];
        let tried = [("example.org", "v=DMARC1; p=reject; t=y")];
        let failed = [("b.example.org", "")];
        for (records, author, spf, dkim, expected) in [
            (
                &relaxed[..],
                "example.org",
                spf(Pass, "example.org"),
                vec![],
                "pass reject",
            ),
            (
                &relaxed,
                "example.org",
                spf(Pass, "bounce.example.org"),
                vec![],
                "pass reject",
            ),
            (
                &relaxed,
                "b.example.org",
                spf(Pass, "example.org"),
                vec![],
                "pass reject",
            ),
            (
                &relaxed,
                "example.org",
                spf(Pass, "example.net"),
                vec![],
                "fail reject",
            ),
            (
                &relaxed,
                "example.org",
                spf(Fail, "x"),
                signed("example.org", "pass"),
                "pass reject",
            ),
            (
                &relaxed,
                "example.org",
                spf(Fail, "x"),
                signed("example.org", "fail"),
                "fail reject",
            ),
            (
                &relaxed,
                "example.org",
                spf(Fail, "x"),
                signed("org", "pass"),
                "fail reject",
            ),
            (
                &relaxed,
                "example.org",
                spf(TempError, "x"),
                vec![],
                "temperror reject",
            ),
            (
                &relaxed,
                "b.example.org",
                spf(Pass, "a.example.org"),
                vec![],
                "pass reject",
            ),
            (
                &strict,
                "b.example.org",
                spf(Pass, "example.org"),
                vec![],
                "fail quarantine",
            ),
            (
                &strict,
                "b.example.org",
                spf(Pass, "b.example.org"),
                vec![],
                "pass quarantine",
            ),
            (&tried, "example.org", spf(Fail, "x"), vec![], "fail none"),
            (
                &failed,
                "a.b.example.org",
                spf(Pass, "example.org"),
                vec![],
                "temperror ",
            ),
            (
                &[],
                "a.b.example.org",
                spf(Pass, "example.org"),
                vec![],
                "none ",
            ),
        ] {
            let author = domain(author);
            let found = dmarc(&facts(records), Some(&author), &spf, &dkim).unwrap();
            let shown = format!("{} {}", found.result, found.policy);
            assert_eq!(shown, expected, "{author} {spf:?} {dkim:?}");
        }
    }

    #[test]
    fn a_public_suffix_vouches_for_nobody() {
        let author = domain("one.co.uk");
        let mut facts = Facts::new();
        let policy = Fact::Texts(vec!["v=DMARC1; p=reject".to_owned()]);
        facts.insert(Question::Texts("_dmarc.one.co.uk".to_owned()), policy);
        for (passed, expected) in [
            ("one.co.uk", "pass"),
            ("mail.one.co.uk", "pass"),
            ("two.co.uk", "fail"),
            ("co.uk", "fail"),
        ] {
            let spf = spf(SpfResult::Pass, passed);
            let found = dmarc(&facts, Some(&author), &spf, &[]).unwrap();
            assert_eq!(found.result, expected, "{passed}");
        }
    }

    #[test]
    fn the_field_has_harmless_values_only() {
        let authentication = Authentication {
            spf: spf(SpfResult::Pass, "a;b\r\nX: y"),
            dkim: signed("example.org", "pass"),
            arc: "none",
            dmarc: DmarcFinding {
                result: "pass",
                from: Some(domain("example.org")),
                policy: "none",
            },
        };
        assert_eq!(
            authentication.field("relay.test"),
            "Authentication-Results: relay.test;\r\n\tspf=pass smtp.mailfrom=a?b??X??y;\r\n\t\
             dkim=pass header.d=example.org header.s=s;\r\n\tdmarc=pass policy.dmarc=none \
             header.from=example.org;\r\n\tarc=none\r\n"
        );
        assert_eq!(
            authentication.words(),
            "spf=pass dkim=pass (example.org) dmarc=pass arc=none"
        );
    }
}
