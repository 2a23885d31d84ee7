//! What is made of a next hop's words beyond their code: rules that a person writes in a file, and
//! our own for the large receivers. The first rule that fits decides; a person's stand before ours.
//!
//! A rule may say that a reply is meant otherwise than its code says (a block of our address is no
//! word on the recipient), that the site wants to be left alone for a while, that nothing more is
//! to go to the destination, or that the egress address that was used should rest.
//!
//! Not here: what a reply means without a rule ([`crate::outcome`]), resting and suspending
//! (`relais-deliver`).

use std::sync::Arc;
use std::time::Duration;

use relais_smtp::client::Stage;
use relais_smtp::reply::{EnhancedStatus, Reply};
use serde::Deserialize;

use crate::document::Span;
use crate::outcome::{Judgement, Outcome};

/// Rules of one file.
pub const REPLY_RULES_MAX: usize = 1_000;
/// Patterns of one key of one rule.
pub const PATTERNS_MAX: usize = 64;
/// Octets of one pattern.
pub const PATTERN_OCTETS_MAX: usize = 256;
/// Octets of a reply's text that patterns are held against.
const TEXT_OCTETS_MAX: usize = 2_048;
/// A rest, or a suspension, lasts a week at most: longer is a person's to say.
const SPAN_MAX: Span = Span(7 * 86_400);

/// Our own rules. Data, so that they can be read, copied and overruled.
const OUR_OWN: &str = include_str!("reply_rule/rules.toml");

/// All rules in force, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplyRules(Vec<Arc<ReplyRule>>);

/// One rule.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ReplyRule {
    /// For people, in trace and log: 1 to 64 characters.
    pub name: String,
    /// Recipient domains; empty: all. `*` stands for any number of characters, `?` for one; case
    /// does not count.
    #[serde(default)]
    pub destination: Vec<String>,
    /// Names of mail exchangers and smart hosts; empty: all.
    #[serde(default)]
    pub next_hop: Vec<String>,
    /// The reply as the trace shows it: code, enhanced status code, text.
    pub reply: Vec<String>,
    /// At which steps of the conversation; empty: at all.
    #[serde(default)]
    pub stage: Vec<RuleStage>,
    /// Another meaning than the code's.
    #[serde(default)]
    pub treat_as: Option<TreatAs>,
    /// The site (hosts and connector) is left alone for this long.
    #[serde(default)]
    pub back_off: Option<Span>,
    /// Nothing more goes to the recipient domain for this long.
    #[serde(default)]
    pub suspend: Option<Span>,
    /// The egress address that was used is not used for this long, if there is another.
    #[serde(default)]
    pub rest_source: Option<Span>,
}

/// A step of the conversation, as rules name it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum RuleStage {
    /// Up to and with the answer to EHLO, STARTTLS and AUTH.
    Connect,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, and the content.
    Content,
}

impl RuleStage {
    /// The one that a stage of the client belongs to.
    pub fn of(stage: Stage) -> Self {
        match stage {
            Stage::Connect | Stage::Greeting | Stage::Hello | Stage::StartTls | Stage::Auth => {
                Self::Connect
            }
            Stage::Sender => Self::Mail,
            Stage::Recipient => Self::Rcpt,
            Stage::Data | Stage::Content => Self::Content,
        }
    }
}

/// What is said where, held against rules.
#[derive(Clone, Copy, Debug)]
pub struct Saying<'a> {
    /// The recipient domain.
    pub destination: &'a str,
    /// The host's name without port, or its address.
    pub next_hop: &'a str,
    /// At which step.
    pub stage: Stage,
    /// The words.
    pub reply: &'a Reply,
}

/// Another meaning than the code's.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum TreatAs {
    /// Tried again, whatever the code.
    Temporary,
    /// Given up now, whatever the code.
    Permanent,
}

/// The form of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// `false`: our own rules do not count.
    #[serde(default = "yes")]
    built_in: bool,
    #[serde(default)]
    rule: Vec<ReplyRule>,
}

fn yes() -> bool {
    true
}

/// Why a file holds no rules; one sentence with the place.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ReplyRuleError(String);

impl Default for ReplyRules {
    /// Our own alone.
    fn default() -> Self {
        Self(our_own())
    }
}

impl ReplyRules {
    /// No rule at all.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// A person's rules, and behind them our own, unless the file says `built_in = false`.
    ///
    /// # Errors
    /// If it is no TOML of this form, or out of bounds; nothing of it counts then.
    pub fn from_toml(text: &str) -> Result<Self, ReplyRuleError> {
        let (mut rules, built_in) = read(text)?;
        if built_in {
            rules.extend(our_own());
        }
        Ok(Self(rules))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &ReplyRule> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The first rule that fits.
    pub fn find(&self, saying: Saying<'_>) -> Option<Arc<ReplyRule>> {
        if self.0.is_empty() || saying.reply.code().is_positive() {
            return None;
        }
        let mut line = saying.reply.to_string();
        if line.len() > TEXT_OCTETS_MAX {
            line.truncate(line.floor_char_boundary(TEXT_OCTETS_MAX));
        }
        let stage = RuleStage::of(saying.stage);
        let named = |patterns: &[String], text| patterns.is_empty() || any_fits(patterns, text);
        let fits = |rule: &&Arc<ReplyRule>| {
            any_fits(&rule.reply, &line)
                && named(&rule.destination, saying.destination)
                && named(&rule.next_hop, saying.next_hop)
                && (rule.stage.is_empty() || rule.stage.contains(&stage))
        };
        self.0.iter().find(fits).cloned()
    }
}

impl ReplyRule {
    /// The judgement, as this rule wants it; nothing makes a delivery of it, or undoes one.
    pub fn apply(&self, judgement: Judgement) -> Judgement {
        let (outcome, class) = match (&judgement.outcome, self.treat_as) {
            (Outcome::Delivered, _) | (_, None) => return judgement,
            (_, Some(TreatAs::Temporary)) => (Outcome::Deferred, 4),
            (_, Some(TreatAs::Permanent)) => (Outcome::Failed, 5),
        };
        let EnhancedStatus {
            subject, detail, ..
        } = judgement.status;
        Judgement {
            outcome,
            status: EnhancedStatus::new(class, subject, detail),
            ..judgement
        }
    }

    /// What it does, for trace and log: `rule gmail-rate: the site rests for 10m`.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        match self.treat_as {
            Some(TreatAs::Temporary) => parts.push("tried again".to_owned()),
            Some(TreatAs::Permanent) => parts.push("given up".to_owned()),
            None => {}
        }
        let span = |words: &str, span: &Option<Span>| span.map(|span| format!("{words} {span}"));
        parts.extend(span("the site rests for", &self.back_off));
        parts.extend(span("the destination is suspended for", &self.suspend));
        parts.extend(span("the egress address rests for", &self.rest_source));
        format!("rule {}: {}", self.name, parts.join(", "))
    }

    /// How long the site is left alone.
    pub fn backs_off(&self) -> Option<Duration> {
        self.back_off.map(|span| Duration::from_secs(span.0))
    }

    /// How long nothing more goes to the destination.
    pub fn suspends(&self) -> Option<Duration> {
        self.suspend.map(|span| Duration::from_secs(span.0))
    }

    /// How long the egress address is not used.
    pub fn rests_source(&self) -> Option<Duration> {
        self.rest_source.map(|span| Duration::from_secs(span.0))
    }

    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
            return Err("name: write 1 to 64 characters".to_owned());
        }
        if self.reply.is_empty() {
            return Err("reply: write at least one pattern, as \"421 4.7.28*\"".to_owned());
        }
        let keys = [
            ("destination", &self.destination),
            ("next_hop", &self.next_hop),
            ("reply", &self.reply),
        ];
        for (key, patterns) in keys {
            let too_long = |text: &String| text.is_empty() || text.len() > PATTERN_OCTETS_MAX;
            if patterns.len() > PATTERNS_MAX || patterns.iter().any(too_long) {
                return Err(format!(
                    "{key}: at most {PATTERNS_MAX} patterns of 1 to {PATTERN_OCTETS_MAX} octets"
                ));
            }
        }
        if self
            .reply
            .iter()
            .any(|text| text.trim_matches('*').is_empty())
        {
            return Err("reply: \"*\" alone would fit every answer; name a code".to_owned());
        }
        let spans = [
            ("back_off", self.back_off),
            ("suspend", self.suspend),
            ("rest_source", self.rest_source),
        ];
        for (key, span) in spans {
            if span.is_some_and(|span| span.0 == 0 || span > SPAN_MAX) {
                return Err(format!("{key}: write 1s to {SPAN_MAX}"));
            }
        }
        let acts = spans.iter().any(|(_, span)| span.is_some());
        if self.treat_as.is_none() && !acts {
            return Err(
                "it does nothing: write treat_as, back_off, suspend or rest_source".to_owned(),
            );
        }
        Ok(())
    }
}

fn our_own() -> Vec<Arc<ReplyRule>> {
    read(OUR_OWN).expect("our own rules are read in a test").0
}

fn read(text: &str) -> Result<(Vec<Arc<ReplyRule>>, bool), ReplyRuleError> {
    let file: File =
        toml::from_str(text).map_err(|error| ReplyRuleError(one_line(&error.to_string())))?;
    if file.rule.len() > REPLY_RULES_MAX {
        let words = format!(
            "{} rules are too many: at most {REPLY_RULES_MAX}",
            file.rule.len()
        );
        return Err(ReplyRuleError(words));
    }
    for (place, rule) in file.rule.iter().enumerate() {
        rule.check().map_err(|words| {
            ReplyRuleError(format!("rule {} \"{}\": {words}", place + 1, rule.name))
        })?;
    }
    Ok((file.rule.into_iter().map(Arc::new).collect(), file.built_in))
}

/// The library's message has a picture of the place on lines of its own.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let told = lines.filter(|line| {
        !line.is_empty() && !line.starts_with('|') && !line.contains(" | ") && !line.contains('^')
    });
    told.collect::<Vec<_>>().join(": ")
}

fn any_fits(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, text))
}

/// `*` any number of characters, `?` one; case of ASCII letters does not count. Linear but for the
/// last star, which is tried at each place: bounded by the product of both lengths.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(b'?') => {
                at += 1;
                place += 1;
            }
            Some(octet) if octet.eq_ignore_ascii_case(&text[place]) => {
                at += 1;
                place += 1;
            }
            Some(_) | None => {
                let Some((star_at, from)) = star else {
                    return false;
                };
                star = Some((star_at, from + 1));
                at = star_at + 1;
                place = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|octet| *octet == b'*')
}

#[cfg(test)]
mod tests;
