//! What checkers of content say of a message, and what follows: taken, held, or refused with its
//! reason. Pure: (policy, answers) → conclusion. The codecs of the checkers' protocols stand below,
//! octets in and octets out.
//!
//! Checkers are the administrator's own programs (Rspamd, ClamAV, a milter): what they say is
//! believed, and made harmless before it is shown, as they may repeat what the message says.
//!
//! Not here: the sockets (`relais_net::content_check`); when they are asked (`relais-receive`).

pub mod attachment;
pub mod clamd;
pub mod milter;
pub mod rspamd;

use std::fmt::Write as _;
use std::net::IpAddr;

use relais_smtp::dsn::encoded_words;
use relais_smtp::refusal::Refusal;

use crate::document::{ContentPolicy, OnFault, OnFinding};

/// Characters of a checker's words that are kept: a line of a page.
const WORDS_CHARACTERS_MAX: usize = 200;
/// Header fields that checkers may add to one message.
const FIELDS_MAX: usize = 32;
/// Octets of the value of an added field: two lines of RFC 5322 §2.1.1, where most have one.
const FIELD_OCTETS_MAX: usize = 1_996;
/// Of a line of one, in octets: RFC 5322 §2.1.1 allows 998, of which a name has 64 at most.
const LINE_OCTETS_MAX: usize = 900;

/// Which protocol a checker speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CheckerKind {
    /// Rspamd's worker by HTTP, `/checkv2`.
    Rspamd,
    /// ClamAV's clamd, `INSTREAM`.
    Clamav,
    /// A milter, version 6.
    Milter,
}

/// What a checker is told of a message beside its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckFacts {
    /// Who sent it.
    pub address: IpAddr,
    /// How it greeted; empty if not.
    pub helo: String,
    /// Our own name.
    pub hostname: String,
    /// The message's name.
    pub queue_id: String,
    /// Reverse-path, empty for the null one.
    pub from: String,
    /// Forward-paths.
    pub to: Vec<String>,
    /// The credential, if it logged in.
    pub user: Option<String>,
    /// Octets of the content.
    pub size: u64,
}

/// What a checker wants to be done, in order of gravity.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// Let it pass.
    Pass,
    /// Hold it for a person.
    Hold,
    /// Refuse it for now.
    Later,
    /// Refuse it.
    Refuse,
    /// Refuse it: malware of that name.
    Malware,
}

/// What a checker says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opinion {
    /// What is to be done.
    pub verdict: Verdict,
    /// Why, for people.
    pub words: String,
    /// Header fields to add, name and value.
    pub fields: Vec<(String, String)>,
}

impl Opinion {
    /// Nothing against it.
    pub fn pass(words: impl Into<String>) -> Self {
        Self::of(Verdict::Pass, words)
    }

    /// One without fields.
    pub fn of(verdict: Verdict, words: impl Into<String>) -> Self {
        Self {
            verdict,
            words: words.into(),
            fields: Vec::new(),
        }
    }
}

/// Why a checker gave no opinion.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckFault {
    /// The bootstrap file has none of that name.
    #[error("no such checker in relais.toml")]
    Unknown,
    /// Nobody answers there.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// It broke off.
    #[error("the connection broke off")]
    Broken,
    /// It said something else than its protocol has.
    #[error("{0}")]
    Protocol(String),
    /// The content could not be read back.
    #[error("the content cannot be read")]
    Unreadable,
}

/// What one checker said, or why it did not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Its name in the settings.
    pub checker: String,
    /// What it said.
    pub said: Result<Opinion, CheckFault>,
}

impl Answer {
    fn is_bad(&self) -> bool {
        self.said
            .as_ref()
            .is_ok_and(|opinion| match opinion.verdict {
                Verdict::Hold | Verdict::Refuse | Verdict::Malware => true,
                Verdict::Pass | Verdict::Later => false,
            })
    }
}

/// What becomes of the message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It is taken.
    Take,
    /// It is taken and waits for a person; why.
    Hold(String),
    /// It is not taken.
    Refuse(Refusal),
}

/// What all checkers together lead to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conclusion {
    /// What becomes of it.
    pub fate: Fate,
    /// What each of them said, for the trace.
    pub words: String,
    /// Header fields to put on top, complete with line ends; empty: none.
    pub fields: String,
    /// A checker found the content bad; not that it could not be asked.
    pub is_bad: bool,
}

impl Conclusion {
    /// The graver of two, with the words of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let rank = |fate: &Fate| match fate {
            Fate::Take => 0,
            Fate::Hold(_) => 1,
            Fate::Refuse(_) => 2,
        };
        let parts = [self.words, other.words];
        let parts: Vec<_> = parts.into_iter().filter(|one| !one.is_empty()).collect();
        Self {
            fate: if rank(&other.fate) > rank(&self.fate) {
                other.fate
            } else {
                self.fate
            },
            words: parts.join("; "),
            fields: self.fields + &other.fields,
            is_bad: self.is_bad || other.is_bad,
        }
    }
}

/// What follows from the answers: the gravest of them decides.
pub fn conclude(policy: &ContentPolicy, answers: &[Answer]) -> Conclusion {
    let mut words = String::new();
    let mut fields = String::new();
    let mut gravest: Option<(Verdict, Fate)> = None;
    let mut count = 0;
    for answer in answers {
        let said = match &answer.said {
            Ok(opinion) => plain(&opinion.words),
            Err(fault) => plain(&fault.to_string()),
        };
        let separator = if words.is_empty() { "" } else { "; " };
        let _ = write!(words, "{separator}{}: {said}", answer.checker);
        let (verdict, fate) = judge(policy, answer, &said);
        if gravest.as_ref().is_none_or(|(known, _)| *known < verdict) {
            gravest = Some((verdict, fate));
        }
        let added = answer.said.iter().flat_map(|opinion| &opinion.fields);
        for (name, value) in added.take(FIELDS_MAX - count) {
            count += 1;
            push_field(&mut fields, name, value);
        }
    }
    Conclusion {
        fate: gravest.map_or(Fate::Take, |(_, fate)| fate),
        words,
        fields,
        is_bad: answers.iter().any(Answer::is_bad),
    }
}

/// What follows from an attachment that the policy forbids: its ending or type.
pub fn forbidden(policy: &ContentPolicy, kind: &str) -> Conclusion {
    let words = format!("attachment not allowed: {}", plain(kind));
    let fate = match policy.on_finding {
        OnFinding::Hold => Fate::Hold(words.clone()),
        OnFinding::Refuse => Fate::Refuse(Refusal::AttachmentType { kind: kind.into() }),
    };
    Conclusion {
        fate,
        words,
        fields: String::new(),
        is_bad: false,
    }
}

fn judge(policy: &ContentPolicy, answer: &Answer, said: &str) -> (Verdict, Fate) {
    let checker = &answer.checker;
    let because = format!("{checker}: {said}");
    match &answer.said {
        Ok(opinion) => match (opinion.verdict, policy.on_finding) {
            (Verdict::Pass, _) => (Verdict::Pass, Fate::Take),
            (Verdict::Hold, _) | (Verdict::Refuse | Verdict::Malware, OnFinding::Hold) => {
                (Verdict::Hold, Fate::Hold(because))
            }
            (Verdict::Later, _) => {
                let because = because.into();
                (
                    Verdict::Later,
                    Fate::Refuse(Refusal::ContentLater { because }),
                )
            }
            (Verdict::Refuse, OnFinding::Refuse) => {
                let because = because.into();
                (
                    Verdict::Refuse,
                    Fate::Refuse(Refusal::ContentRefused { because }),
                )
            }
            (Verdict::Malware, OnFinding::Refuse) => {
                let name = said.into();
                (Verdict::Malware, Fate::Refuse(Refusal::Malware { name }))
            }
        },
        Err(_) => match policy.on_fault {
            OnFault::Pass => (Verdict::Pass, Fate::Take),
            OnFault::Hold => (Verdict::Hold, Fate::Hold(because)),
            OnFault::Refuse => {
                let checker = checker.as_str().into();
                (
                    Verdict::Later,
                    Fate::Refuse(Refusal::ContentUnchecked { checker }),
                )
            }
        },
    }
}

/// One line without what could deceive, bounded.
fn plain(words: &str) -> String {
    let harmless = |c: char| if c.is_control() { ' ' } else { c };
    let words = words.trim().chars().map(harmless);
    words.take(WORDS_CHARACTERS_MAX).collect()
}

/// A field whose name and value cannot end it early: what is no name is left out, lines are folded
/// anew, and what no field may hold is dropped. RFC 5322 §2.2. It makes no message that others
/// refuse: lines are bounded, and what is not ASCII is in encoded words (RFC 2047), as nobody asked
/// for SMTPUTF8.
fn push_field(out: &mut String, name: &str, value: &str) {
    let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if !(1..=64).contains(&name.len()) || !name.bytes().all(is_name) {
        return;
    }
    let value = &value[..value.floor_char_boundary(FIELD_OCTETS_MAX)];
    let lines = value.split('\n').map(|line| {
        let shown = line.chars().filter(|c| *c == '\t' || !c.is_control());
        shown.collect::<String>().trim().to_owned()
    });
    let lines = lines.filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.flat_map(|line| short_lines(&line)).collect();
    let _ = write!(out, "{name}: {}\r\n", lines.join("\r\n\t"));
}

/// In lines that may stand in a header section: folded at white space, in ASCII.
fn short_lines(line: &str) -> Vec<String> {
    if !line.is_ascii() {
        return encoded_words(line);
    }
    let (mut lines, mut rest) = (Vec::new(), line);
    while rest.len() > LINE_OCTETS_MAX {
        let near = &rest[..LINE_OCTETS_MAX];
        // Without white space there is no better place than the bound.
        let end = near.rfind([' ', '\t']).unwrap_or(LINE_OCTETS_MAX);
        let (first, behind) = rest.split_at(end);
        lines.push(first.trim_end().to_owned());
        rest = behind.trim_start();
    }
    lines.push(rest.to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(checker: &str, said: Result<Opinion, CheckFault>) -> Answer {
        Answer {
            checker: checker.to_owned(),
            said,
        }
    }

    fn policy(on_fault: OnFault, on_finding: OnFinding) -> ContentPolicy {
        ContentPolicy {
            on_fault,
            on_finding,
            ..ContentPolicy::default()
        }
    }

    #[test]
    fn one_that_does_not_answer_does_what_the_connector_says() {
        let silent = [answer("av", Err(CheckFault::TimedOut))];
        let fate = |on_fault| conclude(&policy(on_fault, OnFinding::Refuse), &silent).fate;
        assert_eq!(fate(OnFault::Pass), Fate::Take);
        assert_eq!(
            fate(OnFault::Hold),
            Fate::Hold("av: no answer in time".to_owned())
        );
        let checker = "av".into();
        let refusal = Refusal::ContentUnchecked { checker };
        assert_eq!(fate(OnFault::Refuse), Fate::Refuse(refusal));
    }

    #[test]
    fn the_gravest_answer_decides_and_all_are_told() {
        let answers = [
            answer("rspamd", Ok(Opinion::pass("no action, 0.1 of 15"))),
            answer("av", Ok(Opinion::of(Verdict::Malware, "Eicar"))),
            answer("filter", Err(CheckFault::Broken)),
        ];
        let conclusion = conclude(&ContentPolicy::default(), &answers);
        let name = "Eicar".into();
        assert_eq!(conclusion.fate, Fate::Refuse(Refusal::Malware { name }));
        assert_eq!(
            conclusion.words,
            "rspamd: no action, 0.1 of 15; av: Eicar; filter: the connection broke off"
        );
        let held = conclude(&policy(OnFault::Pass, OnFinding::Hold), &answers);
        assert_eq!(held.fate, Fate::Hold("av: Eicar".to_owned()));
        assert!(held.is_bad);
    }

    #[test]
    fn a_lax_policy_about_faults_lets_no_finding_pass() {
        let answers = [
            answer("a", Err(CheckFault::Broken)),
            answer("b", Ok(Opinion::of(Verdict::Later, "greylisted"))),
        ];
        let fate = conclude(&policy(OnFault::Pass, OnFinding::Hold), &answers).fate;
        let because = "b: greylisted".into();
        assert_eq!(fate, Fate::Refuse(Refusal::ContentLater { because }));
    }

    #[test]
    fn no_added_field_can_forge_another_or_end_the_header() {
        let mut opinion = Opinion::pass("ok");
        opinion.fields = [
            ("X-Spam", "Yes\r\n\r\nBcc: all@example.org\r\nX: \u{7}y"),
            ("Bad name", "x"),
            ("Bad:name", "x"),
            ("", "x"),
            ("X-Folded", "one\n two\n\tthree"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        let fields = conclude(&ContentPolicy::default(), &[answer("a", Ok(opinion))]).fields;
        assert_eq!(
            fields,
            "X-Spam: Yes\r\n\tBcc: all@example.org\r\n\tX: y\r\n\
             X-Folded: one\r\n\ttwo\r\n\tthree\r\n"
        );
    }

    #[test]
    fn fields_without_end_are_cut_and_counted() {
        let mut opinion = Opinion::pass("ok");
        let field = ("X-Long".to_owned(), "é".repeat(10_000));
        opinion.fields = vec![field; 1_000];
        let fields = conclude(&ContentPolicy::default(), &[answer("a", Ok(opinion))]).fields;
        assert_eq!(fields.matches("X-Long: ").count(), FIELDS_MAX);
        // In encoded words, six octets for each that is not ASCII's, and what is around them.
        assert!(fields.len() <= FIELDS_MAX * 4 * FIELD_OCTETS_MAX);
    }

    #[test]
    fn added_fields_fit_into_lines_and_are_ascii() {
        let mut opinion = Opinion::pass("ok");
        opinion.fields = [
            ("X-Words", format!("{} ", "a".repeat(300)).repeat(6)),
            ("X-One", "b".repeat(1_900)),
            ("X-French", "élevé ".repeat(200)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        let fields = conclude(&ContentPolicy::default(), &[answer("a", Ok(opinion))]).fields;
        assert!(fields.is_ascii(), "{fields}");
        for line in fields.split("\r\n") {
            assert!(line.len() <= 998, "{}", line.len());
        }
        assert_eq!(fields.matches(&"a".repeat(300)).count(), 6);
        assert!(
            fields.contains("X-French: =?UTF-8?Q?=C3=A9lev=C3=A9_"),
            "{fields}"
        );
    }
}
