//! The ledger's judgement over the whole history: the invariants I1–I6, I8 and I9 that every
//! promise must keep, whatever went wrong.
//!
//! The relay's own trace is believed only where it says what the relay meant to do; what really
//! happened is what clients and hosts noted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use relais_smtp::identifier::QueueId;
use relais_store::trace::{Event, EventKind, To};

use super::ledger::{Answer, Arrival, Heard, NotifyWish, Pages, Sent};
use super::plan::{HOME, OWNER, POSTMASTER, Plan};

/// A result that was known when the relay died had this long to become durable.
const SETTLE_TIME: Duration = Duration::from_secs(60);
/// An answer that was written is read, and its result stored, within this if nothing is wrong.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// The wall clock is set back by at most this in the simulation (twice an hour), and messages are
/// accepted meanwhile: they seem older than they are.
const CLOCK_ERROR: Duration = Duration::from_secs(2 * 3_600 + 60);

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// Messages concerned.
    pub(super) messages: Vec<u64>,
    /// Which invariant, and how.
    pub(super) text: String,
}

/// What the trace says of one message.
#[derive(Debug, Default)]
struct Told<'a> {
    number: Option<u64>,
    to: Vec<String>,
    /// Terminal events, by recipient.
    ends: BTreeMap<String, Vec<&'a Event>>,
    /// Notices about it, by their queue ids.
    notices: Vec<QueueId>,
}

struct Judge<'a> {
    plan: &'a Plan,
    pages: &'a Pages,
    told: BTreeMap<QueueId, Told<'a>>,
    by_number: BTreeMap<u64, Vec<QueueId>>,
    findings: Vec<Finding>,
}

/// Judges. `events` is the whole trace, oldest first.
pub(super) fn judge(plan: &Plan, pages: &Pages, events: &[Event]) -> Vec<Finding> {
    let told = read_trace(events);
    let mut by_number: BTreeMap<u64, Vec<QueueId>> = BTreeMap::new();
    for (id, told) in &told {
        if let Some(number) = told.number {
            by_number.entry(number).or_default().push(*id);
        }
    }
    let mut judge = Judge {
        plan,
        pages,
        told,
        by_number,
        findings: Vec::new(),
    };
    judge.every_recipient_ended_once();
    for (number, sent) in &pages.sent {
        judge.answer_was_kept(*number, sent);
    }
    for arrival in &pages.arrivals {
        judge.arrival_was_meant(arrival);
    }
    judge.duplicates_are_excused();
    judge.outcomes_are_true();
    judge.notices_are_right();
    judge.nobody_expired_early();
    judge.findings
}

fn read_trace(events: &[Event]) -> BTreeMap<QueueId, Told<'_>> {
    let mut all: BTreeMap<QueueId, Told<'_>> = BTreeMap::new();
    for event in events {
        let Some(id) = event.queue_id else { continue };
        let told = all.entry(id).or_default();
        match (event.kind, &event.to) {
            (EventKind::MessageAccepted, Some(To::Many(to))) => {
                let is_notice = event
                    .detail
                    .as_deref()
                    .is_some_and(|d| d.starts_with("notice "));
                let subject = event.subject.as_deref().unwrap_or_default();
                told.number = super::number_of_subject(subject).filter(|_| !is_notice);
                told.to.extend(to.iter().map(ToString::to_string));
            }
            (
                EventKind::RecipientDelivered
                | EventKind::RecipientFailed
                | EventKind::RecipientExpired
                | EventKind::RecipientDiscarded,
                Some(To::One(to)),
            ) => told.ends.entry(to.to_string()).or_default().push(event),
            (EventKind::NoticeSent, _) => {
                let detail = event.detail.as_deref().unwrap_or_default();
                let id: Option<QueueId> = detail.rsplit(' ').next().and_then(|id| id.parse().ok());
                told.notices.extend(id);
            }
            _ => {}
        }
    }
    all
}

impl Judge<'_> {
    fn find(&mut self, number: u64, text: String) {
        self.findings.push(Finding {
            messages: vec![number],
            text,
        });
    }

    /// I1, I8: accepted = delivered + failed + expired + discarded, for each recipient.
    fn every_recipient_ended_once(&mut self) {
        let mut findings = Vec::new();
        for (id, told) in &self.told {
            let number = told.number.unwrap_or(0);
            for to in &told.to {
                let ends = told.ends.get(to).map_or(0, Vec::len);
                if ends != 1 {
                    findings.push((number, format!("I1: {to} of {id} ended {ends} times")));
                }
            }
            for to in told.ends.keys().filter(|to| !told.to.contains(to)) {
                findings.push((
                    number,
                    format!("I5: {to} of {id} ended but was never accepted"),
                ));
            }
        }
        findings
            .into_iter()
            .for_each(|(number, text)| self.find(number, text));
    }

    /// I1, I2: what the client was told is what the relay did.
    fn answer_was_kept(&mut self, number: u64, sent: &Sent) {
        let ids = self.by_number.get(&number).cloned().unwrap_or_default();
        if ids.len() > 1 {
            self.find(
                number,
                format!("I4: one message was accepted {} times: {ids:?}", ids.len()),
            );
        }
        match &sent.answer {
            Answer::Accepted(said) => {
                let Some(id) = ids.first().filter(|id| id.to_string() == *said) else {
                    let text = format!("I1: answered 250 as {said}, but accepted as {ids:?}");
                    return self.find(number, text);
                };
                let wanted: BTreeSet<&str> = sent
                    .recipients
                    .iter()
                    .filter(|one| one.accepted == Some(true))
                    .map(|one| one.address.as_str())
                    .collect();
                let got: BTreeSet<&str> = self.told[id].to.iter().map(String::as_str).collect();
                if wanted != got {
                    let text = format!("I1: 250 was for {wanted:?}, accepted was {got:?}");
                    self.find(number, text);
                }
                self.never_during_a_seal(number, sent);
            }
            Answer::Unfinished if !ids.is_empty() => {
                self.find(
                    number,
                    format!("I2: accepted as {ids:?} without an end of data"),
                );
            }
            Answer::Refused(reply) if !ids.is_empty() && !self.may_be_found(reply, sent) => {
                self.find(
                    number,
                    format!("I2: answered {reply:?}, but accepted as {ids:?}"),
                );
            }
            Answer::Unfinished | Answer::Refused(_) | Answer::Unknown => {}
        }
    }

    /// A write that failed may have reached the disk all the same: if the relay died before it
    /// could take it back, the message is found, and its delivery is the lesser evil.
    fn may_be_found(&self, reply: &str, sent: &Sent) -> bool {
        let at = sent.answered_at;
        reply.starts_with("451")
            && self
                .pages
                .crashes
                .iter()
                .chain(self.pages.stops.iter().map(|(_, to)| to))
                .any(|crash| {
                    let sealed = |(from, to): &(Duration, Duration)| {
                        *from <= *crash && at <= to.saturating_add(SETTLE_TIME)
                    };
                    *crash + SETTLE_TIME >= at
                        && (*crash <= at + SETTLE_TIME || self.pages.sealed.iter().any(sealed))
                })
    }

    /// I9: no 250 while the store takes nothing (answers under way have a minute).
    fn never_during_a_seal(&mut self, number: u64, sent: &Sent) {
        let at = sent.answered_at;
        let sealed = |(from, to): &&(Duration, Duration)| *from + SETTLE_TIME < at && at < *to;
        if let Some((from, _)) = self.pages.sealed.iter().find(sealed) {
            let text =
                format!("I9: answered 250 at {at:?}, but the store took nothing from {from:?}");
            self.find(number, text);
        }
    }

    /// I2, I3, I5: what arrived was accepted, whole, for these recipients, at a host of theirs.
    fn arrival_was_meant(&mut self, arrival: &Arrival) {
        let number = arrival.number;
        if let Some(damage) = &arrival.damage {
            self.find(number, format!("I3: host {}: {damage}", arrival.host));
        }
        let ids = self.by_number.get(&number).cloned().unwrap_or_default();
        if ids.is_empty() {
            self.find(number, "I2: arrived, but was never accepted".to_owned());
        }
        for to in &arrival.recipients {
            if !ids.iter().any(|id| self.told[id].to.contains(to)) {
                self.find(
                    number,
                    format!("I5: arrived for {to}, who is no recipient of it"),
                );
            }
            let destination = self.plan.destination_of(to);
            if !destination.is_some_and(|one| one.hosts.contains(&arrival.host)) {
                let text = format!("I5: arrived for {to} at host {}, not theirs", arrival.host);
                self.find(number, text);
            }
        }
    }

    /// I4: more than once only where the relay died, or could not know.
    fn duplicates_are_excused(&mut self) {
        let mut seen: BTreeMap<&str, Vec<&Arrival>> = BTreeMap::new();
        for arrival in &self.pages.arrivals {
            for to in &arrival.recipients {
                seen.entry(to).or_default().push(arrival);
            }
        }
        let mut findings = Vec::new();
        for (to, arrivals) in seen {
            for pair in arrivals.windows(2) {
                if !self.may_come_again(pair[0]) {
                    let (first, second) = (pair[0].at, pair[1].at);
                    let text = format!("I4: {to} got it at {first:?} and again at {second:?}");
                    findings.push((pair[0].number, text));
                }
            }
        }
        findings
            .into_iter()
            .for_each(|(number, text)| self.find(number, text));
    }

    /// Whether the relay may not have known, or have lost the knowledge, that this arrived.
    fn may_come_again(&self, arrival: &Arrival) -> bool {
        let soon = arrival.answered + ANSWER_TIME;
        let died = |crash: &Duration| (arrival.at..=soon).contains(crash);
        let stopped = |(from, to): &(Duration, Duration)| *from <= soon && arrival.at <= *to;
        let sealed = |(from, to): &(Duration, Duration)| {
            *from <= soon + SETTLE_TIME && arrival.at <= to.saturating_add(SETTLE_TIME)
        };
        let disturbed = self
            .pages
            .disturbed
            .get(&arrival.host)
            .is_some_and(|from| *from <= soon);
        let doubtful = match arrival.heard {
            Heard::No => true,
            // The relay went away without another word: its own fault where nothing was wrong.
            Heard::Perhaps => disturbed || !arrival.honest || self.pages.stops.iter().any(stopped),
            Heard::Surely => false,
        };
        doubtful || self.pages.crashes.iter().any(died) || self.pages.sealed.iter().any(sealed)
    }

    /// I1: delivered means that it arrived; failed means that somebody said no for good.
    fn outcomes_are_true(&mut self) {
        let mut findings = Vec::new();
        for told in self.told.values() {
            let Some(number) = told.number else { continue };
            for (to, ends) in &told.ends {
                let Some(end) = ends.first() else { continue };
                let arrivals: Vec<_> = self
                    .pages
                    .arrivals
                    .iter()
                    .filter(|one| one.number == number && one.recipients.contains(to))
                    .collect();
                let text = match end.kind {
                    EventKind::RecipientDelivered if arrivals.is_empty() => {
                        Some(format!("I1: {to} is delivered, but nothing arrived"))
                    }
                    EventKind::RecipientDelivered => arrivals
                        .iter()
                        .all(|one| one.heard == Heard::No)
                        .then(|| format!("I1: {to} is delivered, but no host said so in time")),
                    EventKind::RecipientDiscarded if self.pages.deletes == 0 => {
                        Some(format!("I1: {to} was discarded, but nobody asked for it"))
                    }
                    EventKind::RecipientFailed | EventKind::RecipientExpired
                        if arrivals.iter().any(|one| !self.may_come_again(one)) =>
                    {
                        Some(format!("I1: {to} arrived, but is {}", end.kind.name()))
                    }
                    EventKind::RecipientFailed => self.cause_is_missing(to, end),
                    _ => None,
                };
                findings.extend(text.map(|text| (number, text)));
            }
        }
        findings
            .into_iter()
            .for_each(|(number, text)| self.find(number, text));
    }

    fn cause_is_missing(&self, to: &str, end: &Event) -> Option<String> {
        let reply = end.reply.as_deref().unwrap_or_default();
        if self.pages.refusals.contains(reply) {
            return None;
        }
        let destination = self.plan.destination_of(to)?;
        let gone = self.pages.gone.contains(&destination.domain) || destination.hosts.is_empty();
        let given_up = self.pages.bounces > 0 && reply.contains("administrator");
        let lacks = destination.hosts.iter().any(|host| {
            let offers = &self.plan.hosts[*host].offers;
            !offers.extended
                || !offers.eight_bit
                || !offers.smtp_utf8 && !to.is_ascii()
                || offers.size.is_some()
        });
        let unsuited = lacks && reply.starts_with("next hop");
        if gone || given_up || unsuited {
            return None;
        }
        Some(format!(
            "I1: {to} failed without anybody's having said no: {reply:?}"
        ))
    }

    /// I1, I6: who must be told is told once, at the right address; nobody else ever.
    fn notices_are_right(&mut self) {
        let mut told_of: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        let mut findings = Vec::new();
        for notice in &self.pages.notices {
            for (address, action) in &notice.about {
                let ids = told_of.entry((address, action)).or_default();
                ids.insert(&notice.message_id);
                let number = super::number_of_address(address).unwrap_or(0);
                let Some(sent) = self.pages.sent.get(&number) else {
                    findings.push((number, format!("I6: a notice about {address}, unknown")));
                    continue;
                };
                let expected = self.addressee(number, sent);
                if expected.as_deref() != Some(notice.to.as_str()) {
                    let text = format!(
                        "I6: {} was told of {address}; right: {expected:?}",
                        notice.to
                    );
                    findings.push((number, text));
                }
            }
        }
        for ((address, action), ids) in &told_of {
            if ids.len() > 1 {
                let number = super::number_of_address(address).unwrap_or(0);
                let text = format!("I6: {} {action} notices about {address}", ids.len());
                findings.push((number, text));
            }
        }
        for told in self.told.values() {
            let Some(number) = told.number else { continue };
            let Some(sent) = self.pages.sent.get(&number) else {
                continue;
            };
            for wanted in &sent.recipients {
                let count = |action| told_of.contains_key(&(wanted.address.as_str(), action));
                let Some(end) = told.ends.get(&wanted.address).and_then(|ends| ends.first()) else {
                    continue;
                };
                let failed = matches!(
                    end.kind,
                    EventKind::RecipientFailed | EventKind::RecipientExpired
                );
                let due = failed && sent.from.is_some() && wanted.notify.wants_failure();
                let text = match (due, count("failed")) {
                    (true, false) if !self.notice_was_lost_by_rule(told) => {
                        Some("I1: nobody was told that this failed")
                    }
                    (false, true) => Some("I6: somebody was told of a failure, wrongly"),
                    _ => None,
                };
                let relayed = (count("relayed") || count("delivered"))
                    && wanted.notify != NotifyWish::SuccessAndFailure;
                let relayed = relayed.then_some("I6: a success was told that nobody asked for");
                let delayed = count("delayed")
                    && !matches!(wanted.notify, NotifyWish::Default | NotifyWish::DelayOnly);
                let delayed = delayed.then_some("I6: a delay was told that nobody asked for");
                for text in [text, relayed, delayed].into_iter().flatten() {
                    findings.push((number, format!("{text}: {}", wanted.address)));
                }
            }
        }
        findings
            .into_iter()
            .for_each(|(number, text)| self.find(number, text));
    }

    /// A notice is mail: it may be refused by its host, or deleted by an administrator.
    fn notice_was_lost_by_rule(&self, told: &Told<'_>) -> bool {
        told.notices
            .iter()
            .filter_map(|id| self.told.get(id))
            .any(|notice| {
                notice.ends.values().flatten().any(|end| match end.kind {
                    EventKind::RecipientDiscarded => self.pages.deletes > 0,
                    EventKind::RecipientFailed => {
                        let reply = end.reply.as_deref().unwrap_or_default();
                        self.pages.refusals.contains(reply) || self.pages.bounces > 0
                    }
                    EventKind::RecipientExpired => true,
                    _ => false,
                })
            })
    }

    /// Where a notice about a message must go; `None`: nowhere.
    fn addressee(&self, number: u64, sent: &Sent) -> Option<String> {
        let from = sent.from.as_deref()?;
        if from.ends_with(&format!("@{HOME}")) && from.starts_with("user") {
            return Some(from.to_owned());
        }
        let client = usize::try_from(number / super::NUMBERS_PER_CLIENT).unwrap_or(0);
        let client = self.plan.clients.get(client.checked_sub(1)?)?;
        Some(if client.is_printer { OWNER } else { POSTMASTER }.to_owned())
    }

    /// F7: only real time makes a message expire. A clock that runs ahead already when the relay
    /// starts cannot be told from a long rest: what expires in such a life is excused.
    fn nobody_expired_early(&mut self) {
        let mut findings = Vec::new();
        for (id, to, at) in &self.pages.expired {
            let Some(accepted) = self.pages.accepted.get(id) else {
                continue;
            };
            let waited = at.saturating_sub(*accepted);
            let life = self.pages.lives.iter().rev().find(|(from, _)| from <= at);
            if life.is_some_and(|(_, ahead)| *ahead) {
                continue;
            }
            if waited + CLOCK_ERROR < self.plan.lifetime {
                let number = super::number_of_address(to).unwrap_or(0);
                findings.push((number, format!("F7: {to} expired after {waited:?} only")));
            }
        }
        findings
            .into_iter()
            .for_each(|(number, text)| self.find(number, text));
    }
}
