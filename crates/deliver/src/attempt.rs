//! One attempt for one lease: what became of each recipient so far, and what to do next. Pure.
//!
//! A result whose scope is the host or the session is provisional: another host, or another
//! session, may do better. Only when no host is left does it stand.

use std::sync::Arc;
use std::time::Duration;

use relais_policy::outcome::{
    Judgement, Outcome, Scope, judge_broken, judge_reply, judge_unsuited,
};
use relais_policy::reply_rule::{ReplyRule, ReplyRules, Saying};
use relais_smtp::client::{RecipientResult, Stage, Unsuited};
use relais_smtp::dsn::Cause;
use relais_smtp::reply::{EnhancedStatus, Reply};
use relais_store::queue::Leased;
use relais_store::trace::TlsSummary;

use crate::front::{Front, Withheld};

/// Who said why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// The next hop.
    Reply(Reply),
    /// We, in words for log and trace; the cause has words for notices.
    Ours {
        /// For the notice; `None`: the words serve there too.
        cause: Option<Cause>,
        /// One line that begins with a letter, so that it is never read back as a reply.
        words: Arc<str>,
    },
}

impl Answer {
    /// On one line, for the trace and the queue.
    pub(crate) fn line(&self) -> Arc<str> {
        match self {
            Self::Reply(reply) => reply.to_string().into(),
            Self::Ours { words, .. } => Arc::clone(words),
        }
    }
}

/// What one try at one next hop, or the lack of one, means for a recipient.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) outcome: Outcome,
    pub(crate) scope: Scope,
    pub(crate) status: EnhancedStatus,
    pub(crate) answer: Answer,
    /// At which step the next hop said it, where it said something.
    pub(crate) stage: Option<Stage>,
    /// `mx.example.org[192.0.2.1]:25`; `None` if no next hop was tried.
    pub(crate) hop: Option<Arc<str>>,
    pub(crate) duration: Duration,
    /// The connection broke between the end of content and its reply. RFC 1047.
    pub(crate) possible_duplicate: bool,
    /// The trouble is on our side (DNS, no network): the next attempt comes soon.
    pub(crate) ours: bool,
    /// The next hop took over the duty to send notices. RFC 3461 §5.2.1.
    pub(crate) dsn_passed_on: bool,
    /// How the conversation was protected.
    pub(crate) protection: Protection,
    /// The reverse-path that the next hop was given, where it was not the message's own. A thin
    /// pointer: findings are handed around by value.
    pub(crate) sent_as: Option<Arc<String>>,
}

/// How a conversation with a next hop was protected.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Protection {
    /// `None`: clear text.
    pub(crate) tls: Option<Arc<TlsSummary>>,
    /// Why it is clear text though the next hop offers TLS.
    pub(crate) note: Option<Arc<str>>,
}

impl Finding {
    /// As the rules want it; and the rule that fitted, which stands in the trace.
    fn ruled(mut self, rules: &ReplyRules, destination: &str) -> (Self, Option<Arc<ReplyRule>>) {
        let (Answer::Reply(reply), Some(hop), Some(stage)) = (&self.answer, &self.hop, self.stage)
        else {
            return (self, None);
        };
        let saying = Saying {
            destination,
            next_hop: host_of(hop),
            stage,
            reply,
        };
        let Some(rule) = rules.find(saying) else {
            return (self, None);
        };
        let judgement = rule.apply(Judgement {
            outcome: self.outcome,
            scope: self.scope,
            status: self.status,
        });
        self.outcome = judgement.outcome;
        self.scope = judgement.scope;
        self.status = judgement.status;
        let words = rule.words();
        self.protection.note = Some(match &self.protection.note {
            Some(note) => format!("{note}; {words}").into(),
            None => words.into(),
        });
        (self, Some(rule))
    }

    /// The message must not leave as it is, and the trouble is ours: it is tried again soon.
    /// RFC 3463 §3.8: a failure of cryptography.
    pub(crate) fn withheld(withheld: Withheld) -> Self {
        let answer = Answer::Ours {
            cause: None,
            words: withheld.0,
        };
        Self {
            status: EnhancedStatus::new(4, 7, 5),
            answer,
            ours: true,
            ..Self::ours(Outcome::Deferred, Cause::ConnectionLost, "")
        }
    }

    /// A result found without asking any next hop.
    pub(crate) fn ours(outcome: Outcome, cause: Cause, words: impl Into<Arc<str>>) -> Self {
        Self {
            outcome,
            scope: Scope::Message,
            status: cause.status(),
            answer: Answer::Ours {
                cause: Some(cause),
                words: words.into(),
            },
            stage: None,
            hop: None,
            duration: Duration::ZERO,
            possible_duplicate: false,
            ours: false,
            dsn_passed_on: false,
            protection: Protection::default(),
            sent_as: None,
        }
    }
}

/// A next hop as one try saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen<'a> {
    /// `mx.example.org[192.0.2.1]:25`.
    pub(crate) hop: &'a Arc<str>,
    pub(crate) duration: Duration,
    /// The next hop offers DSN.
    pub(crate) dsn: bool,
    /// What broke the conversation, in words, if it broke.
    pub(crate) trouble: &'a str,
    /// What is made of its words.
    pub(crate) rules: &'a ReplyRules,
    pub(crate) protection: &'a Protection,
    /// The reverse-path that it was given, where it was not the message's own.
    pub(crate) sent_as: Option<&'a Arc<String>>,
}

/// One try at one next hop, for `delivery.attempted`.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    pub(crate) hop: Arc<str>,
    pub(crate) duration: Duration,
    pub(crate) answer: Arc<str>,
    /// Places of the recipients concerned.
    pub(crate) recipients: Vec<usize>,
    pub(crate) possible_duplicate: bool,
    pub(crate) protection: Protection,
    /// The reverse-path that it was given, where it was not the message's own.
    pub(crate) sent_as: Option<Arc<String>>,
}

/// What next hops said to a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Said {
    /// Yes, for one recipient at least.
    Taken,
    /// Not now, for one at least, and yes for none.
    RefusedForNow,
    /// No, for all.
    RefusedForGood,
}

/// What to do after a transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// Every recipient has its result.
    Done,
    /// Another transaction with the rest, on the same session.
    AgainHere,
    /// Another session or host for the rest.
    Elsewhere,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) leased: Leased,
    /// What is sent before the content.
    pub(crate) front: Front,
    /// Why it leaves by its outbound connector, if by one.
    pub(crate) route: Option<Arc<str>>,
    /// One for each recipient, final or provisional; `None`: nothing known yet.
    findings: Vec<Option<Finding>>,
    /// Places of those without a final result.
    open: Vec<usize>,
    /// Places of those whose result was handed out.
    settled: Vec<bool>,
    pub(crate) tries: Vec<Try>,
    /// Rules that fitted and whose acts are still to be done, each once.
    rules: Vec<Arc<ReplyRule>>,
}

/// Results to be settled: what became of the recipients at these places, and what was tried since
/// the last part.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) findings: Vec<(usize, Finding)>,
    pub(crate) tries: Vec<Try>,
    /// Domains that signed what was sent.
    pub(crate) signed_by: Vec<Arc<str>>,
    /// Why nobody did, where somebody wanted it; or who sealed it.
    pub(crate) note: Option<Arc<str>>,
    /// Why that outbound connector.
    pub(crate) route: Option<Arc<str>>,
}

impl Attempt {
    pub(crate) fn new(leased: Leased) -> Self {
        let count = leased.recipients.len();
        let findings = std::iter::repeat_with(|| None).take(count).collect();
        Self {
            leased,
            front: Front::default(),
            route: None,
            findings,
            open: (0..count).collect(),
            settled: vec![false; count],
            tries: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Places of those without a final result, in order.
    pub(crate) fn open(&self) -> &[usize] {
        &self.open
    }

    /// Every recipient ends with this finding, unless it has a final one.
    pub(crate) fn judge_all(&mut self, finding: &Finding) {
        for place in std::mem::take(&mut self.open) {
            self.findings[place] = Some(finding.clone());
        }
    }

    /// These open recipients are settled otherwise, with what was tried so far.
    pub(crate) fn set_aside(&mut self, places: &[usize]) -> Part {
        self.open.retain(|open| !places.contains(open));
        for place in places {
            self.settled[*place] = true;
        }
        self.part(Vec::new())
    }

    /// A host could not be reached, or refused the session: provisional for all that are open.
    pub(crate) fn host_failed(&mut self, finding: Finding, rules: &ReplyRules) {
        let (finding, rule) = finding.ruled(rules, &self.leased.key.destination);
        self.note_rule(rule);
        let finding = &finding;
        let Some(hop) = &finding.hop else {
            return;
        };
        self.tries.push(Try {
            hop: Arc::clone(hop),
            duration: finding.duration,
            answer: finding.answer.line(),
            recipients: self.open.clone(),
            possible_duplicate: false,
            protection: finding.protection.clone(),
            sent_as: None,
        });
        self.remember_all(finding);
    }

    /// A host has no usable address: the reason of those for whom no host gave a better one.
    pub(crate) fn gap(&mut self, finding: &Finding) {
        for place in &self.open {
            let slot = &mut self.findings[*place];
            let better = slot
                .as_ref()
                .is_some_and(|slot| slot.outcome == Outcome::Deferred);
            if !better {
                remember(slot, finding.clone());
            }
        }
    }

    /// Whether it ends without a host for somebody who will be tried again.
    pub(crate) fn lacks_host(&self) -> bool {
        self.open.iter().any(|place| {
            self.findings[*place]
                .as_ref()
                .is_none_or(|one| one.outcome == Outcome::Deferred)
        })
    }

    /// What the next hops said in all to the message.
    pub(crate) fn said(&self) -> Option<Said> {
        let mut said = None;
        for finding in self
            .findings
            .iter()
            .flatten()
            .filter(|one| one.hop.is_some())
        {
            said = match (finding.outcome.clone(), said) {
                (Outcome::Delivered, _) => return Some(Said::Taken),
                (Outcome::Deferred, _) | (Outcome::Failed, Some(Said::RefusedForNow)) => {
                    Some(Said::RefusedForNow)
                }
                (Outcome::Failed, _) => Some(Said::RefusedForGood),
            };
        }
        said
    }

    fn note_rule(&mut self, rule: Option<Arc<ReplyRule>>) {
        self.rules
            .extend(rule.filter(|rule| !self.rules.contains(rule)));
    }

    /// What the latest next hop answered.
    pub(crate) fn last_answer(&self) -> Option<Arc<str>> {
        self.tries.last().map(|one| Arc::clone(&one.answer))
    }

    /// Rules that fitted since this was asked last.
    pub(crate) fn take_rules(&mut self) -> Vec<Arc<ReplyRule>> {
        std::mem::take(&mut self.rules)
    }

    fn remember_all(&mut self, finding: &Finding) {
        for place in &self.open {
            remember(&mut self.findings[*place], finding.clone());
        }
    }

    /// Takes in the results of a transaction with the recipients at these places.
    pub(crate) fn fold(
        &mut self,
        asked: &[usize],
        results: Vec<RecipientResult>,
        seen: &Seen<'_>,
    ) -> Next {
        let before = self.open.len();
        // A session that gives no results is good for nothing.
        let mut elsewhere = results.len() < asked.len();
        let mut apart = Vec::new();
        let mut answer: Option<Arc<str>> = None;
        let mut possible_duplicate = false;
        for (place, result) in asked.iter().zip(results) {
            let finding = judge(result, seen);
            let (finding, rule) = finding.ruled(seen.rules, &self.leased.key.destination);
            self.note_rule(rule);
            possible_duplicate |= finding.possible_duplicate;
            answer.get_or_insert_with(|| finding.answer.line());
            let provisional = match finding.scope {
                Scope::Recipient | Scope::Message => false,
                Scope::RestOfTransaction => {
                    apart.push(*place);
                    true
                }
                Scope::Host | Scope::Session => {
                    // What may have been accepted is never sent again at once. RFC 1047.
                    elsewhere |= !finding.possible_duplicate;
                    !finding.possible_duplicate
                }
            };
            if !provisional {
                self.open.retain(|open| open != place);
                self.findings[*place] = Some(finding);
            } else {
                remember(&mut self.findings[*place], finding);
            }
        }
        self.tries.push(Try {
            hop: Arc::clone(seen.hop),
            duration: seen.duration,
            answer: answer.unwrap_or_else(|| "no recipients".into()),
            recipients: asked.to_vec(),
            possible_duplicate,
            protection: seen.protection.clone(),
            sent_as: seen.sent_as.cloned(),
        });
        if self.open.len() == before && !elsewhere {
            // The server took none of them: "too many" is then no reason to ask again at once.
            self.open.retain(|open| !apart.contains(open));
        }
        match (self.open.is_empty(), elsewhere) {
            (true, _) => Next::Done,
            (false, true) => Next::Elsewhere,
            (false, false) => Next::AgainHere,
        }
    }

    /// Those delivered so far, if the attempt goes on with others: they must not be at risk for as
    /// long as it takes. `None`: nobody new. Failures wait for the end, for one notice about all.
    pub(crate) fn delivered_part(&mut self) -> Option<Part> {
        let mut findings = Vec::new();
        for (place, finding) in self.findings.iter().enumerate() {
            if let Some(finding) = finding
                && finding.outcome == Outcome::Delivered
                && !std::mem::replace(&mut self.settled[place], true)
            {
                findings.push((place, finding.clone()));
            }
        }
        let is_news = !findings.is_empty();
        is_news.then(|| self.part(findings))
    }

    /// The end: one finding for each recipient that is left. Those that no host decided on are
    /// deferred.
    pub(crate) fn last_part(&mut self) -> Part {
        self.open.clear();
        let mut part = self.closed_part();
        let undecided = (0..self.settled.len()).filter(|place| !self.settled[*place]);
        let deferred = || Finding::ours(Outcome::Deferred, Cause::Unreachable, "no host was tried");
        part.findings
            .extend(undecided.map(|place| (place, deferred())));
        part
    }

    /// Those with a final finding that are left.
    pub(crate) fn closed_part(&mut self) -> Part {
        let mut findings = Vec::new();
        for (place, settled) in self.settled.iter_mut().enumerate() {
            if *settled || self.open.contains(&place) {
                continue;
            }
            if let Some(finding) = self.findings[place].take() {
                *settled = true;
                findings.push((place, finding));
            }
        }
        self.part(findings)
    }

    fn part(&mut self, findings: Vec<(usize, Finding)>) -> Part {
        Part {
            findings,
            tries: std::mem::take(&mut self.tries),
            signed_by: self.front.signed_by.clone(),
            note: self.front.note.clone(),
            route: self.route.clone(),
        }
    }
}

/// A temporary reason outlives a permanent one of another host: that host may do better next time.
fn remember(slot: &mut Option<Finding>, finding: Finding) {
    let keep = slot.as_ref().is_some_and(|earlier| {
        earlier.outcome == Outcome::Deferred && finding.outcome != Outcome::Deferred
    });
    if !keep {
        *slot = Some(finding);
    }
}

fn judge(result: RecipientResult, seen: &Seen<'_>) -> Finding {
    let stage = match &result {
        RecipientResult::Refused { stage, .. } => Some(*stage),
        RecipientResult::Accepted { .. }
        | RecipientResult::Unsuited(_)
        | RecipientResult::Broken { .. } => None,
    };
    let (judgement, answer, possible_duplicate) = match result {
        RecipientResult::Accepted { reply } => (accepted(&reply), Answer::Reply(reply), false),
        RecipientResult::Refused { stage, reply } => {
            (judge_reply(stage, &reply), Answer::Reply(reply), false)
        }
        RecipientResult::Unsuited(unsuited) => (
            judge_unsuited(unsuited),
            words_of_unsuited(unsuited, seen.hop),
            false,
        ),
        RecipientResult::Broken {
            stage,
            maybe_accepted,
        } => (judge_broken(stage), broken(seen), maybe_accepted),
    };
    Finding {
        outcome: judgement.outcome,
        scope: judgement.scope,
        status: judgement.status,
        answer,
        stage,
        hop: Some(Arc::clone(seen.hop)),
        duration: seen.duration,
        possible_duplicate,
        ours: false,
        dsn_passed_on: seen.dsn,
        protection: seen.protection.clone(),
        sent_as: seen.sent_as.cloned(),
    }
}

fn accepted(reply: &Reply) -> Judgement {
    Judgement {
        outcome: Outcome::Delivered,
        scope: Scope::Recipient,
        status: reply.status().unwrap_or(EnhancedStatus::new(2, 0, 0)),
    }
}

fn broken(seen: &Seen<'_>) -> Answer {
    let words = format!("conversation with {} broke off: {}", seen.hop, seen.trouble);
    Answer::Ours {
        cause: Some(Cause::ConnectionLost),
        words: words.into(),
    }
}

fn words_of_unsuited(unsuited: Unsuited, hop: &str) -> Answer {
    let (cause, words) = match unsuited {
        Unsuited::SmtpUtf8 => (
            Some(Cause::SmtpUtf8),
            format!("next hop {hop} does not offer SMTPUTF8"),
        ),
        Unsuited::EightBit => (None, format!("next hop {hop} does not offer 8BITMIME")),
        Unsuited::TooBig { limit } => (
            Some(Cause::TooBig),
            format!("next hop {hop} takes at most {limit} octets"),
        ),
        Unsuited::RequireTls => (
            Some(Cause::RequireTls),
            format!("next hop {hop} does not offer REQUIRETLS"),
        ),
    };
    Answer::Ours {
        cause,
        words: words.into(),
    }
}

/// The name in `mx.example.org[192.0.2.1]:25`, or the address where there is none.
fn host_of(hop: &str) -> &str {
    match hop.split_once('[') {
        Some(("", rest)) => rest.split(']').next().unwrap_or(rest),
        Some((name, _)) => name,
        None => hop.rsplit_once(':').map_or(hop, |(host, _)| host),
    }
}

/// A host that could not be used at all, judged for every recipient.
pub(crate) fn host_finding(
    stage: Stage,
    answer: Answer,
    hop: &Arc<str>,
    duration: Duration,
) -> Finding {
    let judgement = match &answer {
        Answer::Reply(reply) => judge_reply(stage, reply),
        Answer::Ours { .. } => judge_broken(stage),
    };
    let status = match &answer {
        Answer::Ours {
            cause: Some(cause), ..
        } => cause.status(),
        Answer::Ours { cause: None, .. } | Answer::Reply(_) => judgement.status,
    };
    Finding {
        outcome: judgement.outcome,
        scope: judgement.scope,
        status,
        answer,
        stage: Some(stage),
        hop: Some(Arc::clone(hop)),
        duration,
        possible_duplicate: false,
        ours: false,
        dsn_passed_on: false,
        protection: Protection::default(),
        sent_as: None,
    }
}

#[cfg(test)]
mod tests {
    use relais_smtp::address::{Mailbox, ReversePath};
    use relais_smtp::envelope::{EnvelopeRecipient, SenderParameters};
    use relais_smtp::identifier::QueueId;
    use relais_smtp::time::Timestamp;
    use relais_store::queue::{Content, Lease, LeasedRecipient, MessageFacts, QueueKey};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

    fn attempt(recipients: u32) -> Attempt {
        let queue_id = QueueId::new(NOW, 0, 1);
        let recipient = |number: u32| LeasedRecipient {
            number,
            recipient: EnvelopeRecipient::new(
                Mailbox::parse(&format!("r{number}@b.example")).unwrap(),
            ),
            attempts: 0,
            expires_at: NOW.after(Duration::from_secs(86_400)),
            delay_told: false,
            last_reply: None,
            give_up: false,
            passed: false,
            held: false,
        };
        Attempt::new(Leased {
            lease: Lease {
                queue_id,
                token: 1,
                until: NOW,
            },
            key: QueueKey::new("contoso", "b.example"),
            facts: Arc::new(MessageFacts {
                queue_id,
                organisation: "contoso".into(),
                inbound_connector: None,
                client: None,
                reverse_path: ReversePath::Null,
                replaced: None,
                parameters: SenderParameters::default(),
                accepted_at: NOW,
                size: 0,
                eight_bit: false,
                utf8_header: false,
                header_from: None,
                subject: None,
                message_id: None,
                body_hash: None,
                is_notice: false,
            }),
            recipients: (0..recipients).map(recipient).collect(),
            content: Content::Inline(Arc::from(&b""[..])),
        })
    }

    fn refused(stage: Stage, text: &str) -> RecipientResult {
        RecipientResult::Refused {
            stage,
            reply: Reply::parse_stored(text).unwrap(),
        }
    }

    fn accepted() -> RecipientResult {
        RecipientResult::Accepted {
            reply: Reply::parse_stored("250 2.0.0 ok").unwrap(),
        }
    }

    fn broken(stage: Stage, maybe_accepted: bool) -> RecipientResult {
        RecipientResult::Broken {
            stage,
            maybe_accepted,
        }
    }

    fn fold(attempt: &mut Attempt, results: Vec<RecipientResult>) -> Next {
        let asked: Vec<_> = attempt.open().iter().copied().take(results.len()).collect();
        let hop = "mx.b.example[192.0.2.1]:25".into();
        let seen = Seen {
            hop: &hop,
            duration: Duration::ZERO,
            dsn: false,
            trouble: "it closed",
            rules: &ReplyRules::none(),
            protection: &Protection::default(),
            sent_as: None,
        };
        attempt.fold(&asked, results, &seen)
    }

    #[test]
    fn results_lead_to_the_next_step() {
        let rcpt = |text| refused(Stage::Recipient, text);
        let many = "452 4.5.3 too many";
        let cases = [
            (vec![rcpt("550 5.1.1 no"), accepted()], Next::Done),
            (vec![rcpt("450 4.2.1 later"), rcpt("550 no")], Next::Done),
            (vec![accepted(), rcpt(many)], Next::AgainHere),
            (vec![rcpt(many), rcpt(many)], Next::Done),
            (
                vec![rcpt("421 4.3.2 bye"), rcpt("421 4.3.2 bye")],
                Next::Elsewhere,
            ),
            (
                vec![accepted(), broken(Stage::Recipient, false)],
                Next::Elsewhere,
            ),
            (
                vec![broken(Stage::Content, true), broken(Stage::Content, true)],
                Next::Done,
            ),
            (vec![accepted()], Next::AgainHere),
        ];
        for (results, expected) in cases {
            let mut attempt = attempt(2);
            assert_eq!(fold(&mut attempt, results.clone()), expected, "{results:?}");
        }
    }

    #[test]
    fn a_temporary_reason_of_one_host_outlives_a_permanent_one_of_another() {
        let hop: Arc<str> = "mx.b.example[192.0.2.1]:25".into();
        let mut attempt = attempt(1);
        let reply = Reply::parse_stored("421 4.3.2 busy").unwrap();
        let answer = Answer::Reply(reply);
        let finding = host_finding(Stage::Greeting, answer, &hop, Duration::ZERO);
        attempt.host_failed(finding, &ReplyRules::none());
        attempt.gap(&Finding::ours(
            Outcome::Failed,
            Cause::NoMailServer,
            "no address",
        ));
        assert!(attempt.lacks_host());
        let Part {
            findings, tries, ..
        } = attempt.last_part();
        assert_eq!(findings[0].1.outcome, Outcome::Deferred);
        assert_eq!(&*findings[0].1.answer.line(), "421 4.3.2 busy");
        assert_eq!(tries.len(), 1);
    }

    #[test]
    fn without_any_host_a_message_is_deferred() {
        let Part {
            findings, tries, ..
        } = attempt(2).last_part();
        assert_eq!(findings.len(), 2);
        assert!(
            findings
                .iter()
                .all(|(_, one)| one.outcome == Outcome::Deferred)
        );
        assert!(tries.is_empty());
    }
}
