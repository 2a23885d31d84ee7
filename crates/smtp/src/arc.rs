//! Sets of ARC: the three fields that a relay puts on mail which it passes on, so that the next
//! server may believe what this one saw. RFC 8617.
//!
//! ```text
//! section with our Authentication-Results ─► Sealing ─► message_signature() ─► seal() ─► set()
//! ```
//!
//! Tags stand in the order of the alphabet, as in the published vectors, which are so reproduced to
//! the octet. A chain that failed is sealed once, by whom it reached so (§5.1.2), and never again.
//!
//! Not here: keys (`relais-net`), the judgement on a chain that comes in (there too), which mail is
//! sealed and by which domain (`relais_policy::signing`).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::dkim::{
    BodyHash, Folded, LINE_CHARACTERS_MAX, Signed, Terms, Unsigned, listed, relaxed_field, signed,
};
use crate::header::{Field, bears_results_of, fields};

/// Sets of one chain. RFC 8617 §4.2.1.
pub const ARC_SETS_MAX: u32 = 50;

const RESULTS: &str = "ARC-Authentication-Results";
const MESSAGE_SIGNATURE: &str = "ARC-Message-Signature";
const SEAL: &str = "ARC-Seal";

/// What became of the chain so far: `cv=`. RFC 8617 §4.4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Validation {
    /// There was none.
    None,
    /// It holds.
    Pass,
    /// It does not.
    Fail,
}

impl Validation {
    /// As in `cv=`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

/// Why a message gets no set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotSealed {
    /// It bears no results of ours.
    #[error("it was not checked when it came")]
    NotChecked,
    /// Its chain was sealed as broken already. RFC 8617 §5.1.
    #[error("its chain was broken before")]
    Broken,
    /// Its chain cannot grow.
    #[error("its chain is too long")]
    TooLong,
}

/// How fields are written.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// Names of the fields that are signed; `None`: those that we choose.
    pub names: Option<&'a [&'a str]>,
    /// Of a line, without its line end.
    pub line_characters_max: usize,
}

impl Default for Form<'_> {
    fn default() -> Self {
        Self {
            names: None,
            line_characters_max: LINE_CHARACTERS_MAX,
        }
    }
}

/// A set in the making.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sealing {
    instance: u32,
    validation: Validation,
    /// The field `ARC-Authentication-Results` with its line end.
    results: String,
    /// Relaxed forms of the sets before, where they are sealed too.
    before: Vec<u8>,
}

impl Sealing {
    /// Looks at a header section that bears what `authserv_id`, our name, found when it came.
    pub fn begin(section: &[u8], authserv_id: &str) -> Result<Self, NotSealed> {
        let found = results_of(section, authserv_id);
        let chain = Chain::read(section);
        if chain.has_ended() {
            return Err(NotSealed::Broken);
        }
        let said = found.iter().find_map(|part| part.strip_prefix("arc="));
        let word = said.and_then(|said| said.split([' ', '\t', '(']).next());
        let (validation, before) = match (word, chain.before()) {
            (None, _) => return Err(NotSealed::NotChecked),
            // It cannot even be counted.
            (Some("fail"), _) if chain.newest == 0 => return Err(NotSealed::Broken),
            (Some(_), _) if chain.newest == 0 => (Validation::None, Vec::new()),
            (Some("pass"), Some(before)) => (Validation::Pass, before),
            (Some(_), _) => (Validation::Fail, Vec::new()),
        };
        if chain.newest >= ARC_SETS_MAX {
            return Err(NotSealed::TooLong);
        }
        let instance = chain.newest + 1;
        let parts = found.join(";\r\n\t");
        Ok(Self {
            instance,
            validation,
            results: format!("{RESULTS}: i={instance}; {authserv_id};\r\n\t{parts}\r\n"),
            before,
        })
    }

    /// The field that repeats what we found, with its line end. RFC 8617 §4.1.1.
    pub fn results(&self) -> &str {
        &self.results
    }

    /// The signature over the message as it leaves. RFC 8617 §4.1.2.
    pub fn message_signature(
        &self,
        section: &[u8],
        body: &BodyHash,
        terms: &Terms<'_>,
        form: &Form<'_>,
    ) -> Unsigned {
        let Signed { names, canonical } = match form.names {
            Some(names) => listed(section, names),
            None => with_signatures(section),
        };
        let mut tail = behind_signature(form);
        tail.word(&format!(" bh={};", STANDARD.encode(body.as_bytes())));
        tail.word(" c=relaxed/relaxed;");
        tail.word(&format!(" d={};", terms.domain));
        tail.list(" h=", &names);
        self.end(&mut tail, terms);
        let line = self.begin_field(MESSAGE_SIGNATURE, terms, form);
        Unsigned::new(line, tail.into_text(), canonical)
    }

    /// The seal over the chain and the message signature of this set. RFC 8617 §4.1.3, §5.1.1.
    pub fn seal(&self, message_signature: &str, terms: &Terms<'_>, form: &Form<'_>) -> Unsigned {
        let mut tail = behind_signature(form);
        tail.word(&format!(" cv={};", self.validation.name()));
        tail.word(&format!(" d={};", terms.domain));
        self.end(&mut tail, terms);
        let mut input = self.before.clone();
        relaxed_field(self.results.as_bytes(), &mut input);
        relaxed_field(message_signature.as_bytes(), &mut input);
        Unsigned::new(self.begin_field(SEAL, terms, form), tail.into_text(), input)
    }

    /// The whole set, to be put on top.
    pub fn set(&self, seal: &str, message_signature: &str) -> String {
        format!("{seal}{message_signature}{}", self.results)
    }

    fn begin_field(&self, name: &str, terms: &Terms<'_>, form: &Form<'_>) -> Folded {
        let mut line = Folded::new(&format!("{name}:"), form.line_characters_max);
        line.word(&format!(" a={};", terms.algorithm.name()));
        line.word(" b=");
        line
    }

    fn end(&self, tail: &mut Folded, terms: &Terms<'_>) {
        tail.word(&format!(" i={};", self.instance));
        tail.word(&format!(" s={};", terms.selector));
        tail.word(&format!(" t={}", terms.time.as_millis().max(0) / 1_000));
    }
}

/// For the trace: `i=2, cv=pass`.
impl fmt::Display for Sealing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (instance, validation) = (self.instance, self.validation.name());
        write!(formatter, "i={instance}, cv={validation}")
    }
}

/// A new line, so that it reads the same whatever the signature's length.
fn behind_signature(form: &Form<'_>) -> Folded {
    let mut tail = Folded::new(";", form.line_characters_max);
    tail.fold();
    tail
}

/// Our choice, and the signatures of those before: RFC 8617 §4.1.2 wants them covered. Others may
/// still be added, so none is signed that is not there.
fn with_signatures(section: &[u8]) -> Signed<'static> {
    let mut chosen = signed(section);
    for field in fields(section).collect::<Vec<_>>().iter().rev() {
        if field.name.eq_ignore_ascii_case(b"DKIM-Signature") {
            relaxed_field(field.whole, &mut chosen.canonical);
            chosen.names.push("DKIM-Signature");
        }
    }
    chosen
}

/// What our own name found, field by field, each result for itself.
fn results_of(section: &[u8], authserv_id: &str) -> Vec<String> {
    let ours = fields(section).filter(|field| bears_results_of(field, authserv_id));
    let mut parts = Vec::new();
    for field in ours {
        let text = field.text();
        let results = text.split(';').skip(1).map(str::trim);
        parts.extend(
            results
                .filter(|one| !one.is_empty())
                .map(ToString::to_string),
        );
    }
    parts
}

/// The fields of one instance.
#[derive(Clone, Default)]
struct Set<'a> {
    results: Vec<&'a [u8]>,
    message_signatures: Vec<&'a [u8]>,
    seals: Vec<&'a [u8]>,
    /// `cv=fail` in a seal.
    failed: bool,
}

/// The sets that are there.
struct Chain<'a> {
    sets: BTreeMap<u32, Set<'a>>,
    /// The highest instance; 0: there is none.
    newest: u32,
}

impl<'a> Chain<'a> {
    fn read(section: &'a [u8]) -> Self {
        let mut sets: BTreeMap<u32, Set<'a>> = BTreeMap::new();
        for field in fields(section) {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name.as_bytes());
            if !(is(RESULTS) || is(MESSAGE_SIGNATURE) || is(SEAL)) {
                continue;
            }
            let instance = tag(&field, "i").and_then(|text| text.parse::<u32>().ok());
            let Some(instance) = instance.filter(|instance| *instance > 0) else {
                continue;
            };
            let set = sets.entry(instance).or_default();
            if is(RESULTS) {
                set.results.push(field.whole);
            } else if is(MESSAGE_SIGNATURE) {
                set.message_signatures.push(field.whole);
            } else {
                set.seals.push(field.whole);
                set.failed |= tag(&field, "cv").is_some_and(|text| text == "fail");
            }
        }
        let newest = sets.keys().next_back().copied().unwrap_or(0);
        Self { sets, newest }
    }

    fn has_ended(&self) -> bool {
        self.sets.get(&self.newest).is_some_and(|set| set.failed)
    }

    /// All sets in relaxed form, in the order in which they are sealed (RFC 8617 §5.1.1); `None`:
    /// one is not whole.
    fn before(&self) -> Option<Vec<u8>> {
        let mut canonical = Vec::new();
        for instance in 1..=self.newest.min(ARC_SETS_MAX) {
            let set = self.sets.get(&instance)?;
            for fields in [&set.results, &set.message_signatures, &set.seals] {
                let [field] = fields.as_slice() else {
                    return None;
                };
                relaxed_field(field, &mut canonical);
            }
        }
        Some(canonical)
    }
}

/// The value of a tag, in lower case.
fn tag(field: &Field<'_>, wanted: &str) -> Option<String> {
    let text = field.text();
    let mut tags = text.split(';').filter_map(|tag| tag.split_once('='));
    let (_, value) = tags.find(|(name, _)| name.trim() == wanted)?;
    Some(value.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dkim::{Algorithm, BodyHasher};
    use crate::domain::Domain;
    use crate::time::Timestamp;

    const CHECKED: &str = "Authentication-Results: mx.test;\r\n\tspf=pass;\r\n\tarc=";

    fn begun(arc: &str, chain: &str) -> Result<Sealing, NotSealed> {
        let section = format!("{CHECKED}{arc}\r\n{chain}From: a@example.org\r\n\r\n");
        Sealing::begin(section.as_bytes(), "mx.test")
    }

    fn sets(count: u32) -> String {
        (1..=count)
            .rev()
            .map(|i| {
                format!(
                    "ARC-Seal: i={i}; cv=pass; b=x\r\nARC-Message-Signature: a=x; i={i}\r\n\
                     ARC-Authentication-Results: i={i}; mx.example.org; arc=none\r\n"
                )
            })
            .collect()
    }

    #[test]
    fn a_set_has_the_next_number_and_says_what_became_of_the_chain() {
        for (arc, chain, expected) in [
            ("none", sets(0), Ok("i=1, cv=none")),
            ("pass", sets(1), Ok("i=2, cv=pass")),
            ("pass", sets(49), Ok("i=50, cv=pass")),
            ("pass", sets(50), Err(NotSealed::TooLong)),
            ("fail", sets(2), Ok("i=3, cv=fail")),
            ("fail", sets(0), Err(NotSealed::Broken)),
            (
                "fail",
                "ARC-Seal: i=x; b=\r\n".to_owned(),
                Err(NotSealed::Broken),
            ),
            // Who says `pass` over a set that is not whole did not look at this one.
            (
                "pass",
                "ARC-Seal: i=1; cv=none\r\n".to_owned(),
                Ok("i=2, cv=fail"),
            ),
            (
                "fail",
                "ARC-Seal: i=2; cv=fail\r\n".to_owned(),
                Err(NotSealed::Broken),
            ),
            (
                "pass",
                sets(2).replacen("i=2", "i=7", 1),
                Ok("i=8, cv=fail"),
            ),
            (
                "pass",
                format!("{}{}", sets(1), sets(1)),
                Ok("i=2, cv=fail"),
            ),
            (
                "fail",
                "ARC-Seal: i=4000000000\r\n".to_owned(),
                Err(NotSealed::TooLong),
            ),
        ] {
            let found = begun(arc, &chain).map(|one| one.to_string());
            assert_eq!(found, expected.map(str::to_owned), "{arc} {chain}");
        }
    }

    #[test]
    fn what_another_name_found_is_not_repeated() {
        let section = b"Authentication-Results: evil.test; arc=pass\r\nFrom: a\r\n\r\n";
        assert_eq!(
            Sealing::begin(section, "mx.test"),
            Err(NotSealed::NotChecked)
        );
        let sealing = begun("none", "Authentication-Results: mx.test; dkim=none\r\n").unwrap();
        assert_eq!(
            sealing.results(),
            "ARC-Authentication-Results: i=1; mx.test;\r\n\tspf=pass;\r\n\tarc=none;\r\n\t\
             dkim=none\r\n"
        );
    }

    #[test]
    fn a_broken_chain_is_sealed_for_itself_and_signatures_before_are_covered() {
        let domain = Domain::parse("contoso.test").unwrap();
        let terms = Terms {
            domain: &domain,
            selector: "s1",
            algorithm: Algorithm::RsaSha256,
            time: Timestamp::from_millis(1_795_514_400_000),
        };
        let section = b"DKIM-Signature: v=1; b=2\r\nDKIM-Signature: v=1; b=1\r\nFrom: a\r\n\r\n";
        let body = BodyHasher::new().finish();
        let broken = begun("fail", &sets(1)).unwrap();
        let signature = broken.message_signature(section, &body, &terms, &Form::default());
        let input = String::from_utf8(signature.input().to_vec()).unwrap();
        assert!(
            input.contains("dkim-signature:v=1; b=1\r\ndkim-signature:v=1; b=2\r\narc-message"),
            "{input}"
        );
        assert!(
            input.contains(": DKIM-Signature:DKIM-Signature; i=2;"),
            "{input}"
        );
        assert!(!input.contains("authentication-results"), "{input}");
        let signature = signature.complete(&[7; 256]);
        for line in signature.trim_end().split("\r\n") {
            assert!(line.len() <= 78, "{line}");
        }
        for (sealing, count) in [(broken, 1), (begun("pass", &sets(2)).unwrap(), 3)] {
            let seal = sealing.seal(&signature, &terms, &Form::default());
            let input = String::from_utf8(seal.input().to_vec()).unwrap();
            assert_eq!(input.matches("arc-seal:").count(), count, "{input}");
            assert!(
                input.ends_with(" s=s1; t=1795514400") && input.contains("b=; cv="),
                "{input}"
            );
        }
    }
}
