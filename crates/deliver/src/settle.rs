//! The only writer of results: findings → changes, events and notices, in one settlement.
//!
//! Connections do not wait for the disk: a settlement goes to one writer, which keeps a bounded
//! number of them under way, so that they share syncs. A settlement that the store refuses for a
//! fault is tried again until it is stored or its lease is lost: a delivered message must not be
//! delivered again because a disk was ill for a minute.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use relais_net::clock::{Chance, Clock};
use relais_policy::document::Retry;
use relais_policy::outcome::Outcome;
use relais_policy::schedule::{DELAY_NOTICE_AFTER, Jitter, NextAttempt, held_until, next_attempt};
use relais_smtp::client::Protocol;
use relais_smtp::dsn::{Action, Cause, status_of};
use relais_smtp::identifier::QueueId;
use relais_smtp::reply::EnhancedStatus;
use relais_smtp::time::Timestamp;
use relais_store::queue::{
    Leased, LeasedRecipient, MessageFacts, NewMessage, RecipientChange, SettleError, Settlement,
    StoreError, stored_reply,
};
use relais_store::store::{Store, why_held};
use relais_store::trace::{Event, EventKind, To};
use tokio::sync::mpsc;

use crate::archive::Archives;
use crate::attempt::{Answer, Attempt, Finding, Part, Protection, Try};
use crate::context::{DeliverContext, DeliverOptions};
use crate::notice::{self, Told};
use crate::steady::Steady;

/// Settlements under way at once. What is under way when the machine dies may be delivered twice
/// (RFC 1047), so it is not more than a few group commits can carry.
const SETTLEMENTS_MAX: usize = 256;
/// Between tries of a settlement that the store could not take.
const STORE_RETRY_MIN: Duration = Duration::from_millis(100);
/// The longest of these waits.
const STORE_RETRY_MAX: Duration = Duration::from_secs(5);
/// A failure of our own DNS or network says nothing about the next hop: next attempt within this,
/// whatever the schedule says. With jitter 12 minutes.
const OWN_TROUBLE_RETRY_MAX: Duration = Duration::from_secs(10 * 60);

/// By which terms an attempt was made.
#[derive(Clone, Debug)]
pub(crate) struct By {
    pub(crate) connector: Option<Arc<str>>,
    pub(crate) retry: Retry,
    pub(crate) protocol: Protocol,
}

/// A recipient who is not to get it for now.
struct Held {
    /// In the lease.
    place: usize,
    change: (u32, RecipientChange),
    event: Event,
}

/// Makes settlements and hands them to the writer. Shared.
pub(crate) struct Settler {
    store: Store,
    clock: Clock,
    chance: Chance,
    options: DeliverOptions,
    steady: Arc<Steady>,
    archives: Archives,
    writer: mpsc::Sender<Settlement>,
}

/// What is collected for one settlement.
struct Draft<'a> {
    leased: &'a Leased,
    by: &'a By,
    signed_by: Vec<Arc<str>>,
    note: Option<Arc<str>>,
    route: Option<Arc<str>>,
    now: Timestamp,
    /// Without jumps ahead: how long it waits.
    steady: Timestamp,
    /// By which lifetimes end.
    expiry_now: Timestamp,
    from: Arc<str>,
    changes: Vec<(u32, RecipientChange)>,
    events: Vec<Event>,
    failed: Vec<Told>,
    delayed: Vec<Told>,
    done: Vec<Told>,
}

impl Settler {
    /// The settler, and the writer's work, which ends when the settler is gone and all is stored.
    pub(crate) fn new(
        context: &DeliverContext,
        steady: Arc<Steady>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (writer, settlements) = mpsc::channel(SETTLEMENTS_MAX);
        let settler = Self {
            store: context.store.clone(),
            clock: context.clock.clone(),
            chance: context.chance.clone(),
            options: context.options.clone(),
            steady,
            archives: Archives::default(),
            writer,
        };
        let work = write(context.store.clone(), context.clock.clone(), settlements);
        (settler, work)
    }

    /// Applies the result of an attempt.
    pub(crate) async fn settle(&self, mut attempt: Attempt, by: &By) {
        let part = attempt.last_part();
        // Nothing is left where all of it is held meanwhile.
        if !part.findings.is_empty() || !part.tries.is_empty() {
            self.settle_part(&attempt.leased, &part, by).await;
        }
    }

    /// Applies what is certain while an attempt goes on.
    pub(crate) async fn settle_delivered(&self, attempt: &mut Attempt, by: &By) {
        if let Some(part) = attempt.delivered_part() {
            self.settle_part(&attempt.leased, &part, by).await;
        }
    }

    /// Applies what is certain, and returns the rest untried: we are stopping.
    pub(crate) async fn settle_stopped(&self, mut attempt: Attempt, by: &By) {
        let until = self.clock.now();
        let open = attempt.open().to_vec();
        let part = attempt.closed_part();
        let mut draft = self.drafted(&attempt.leased, &part, by);
        let open = open
            .into_iter()
            .filter_map(|place| attempt.leased.recipients.get(place));
        draft
            .changes
            .extend(open.map(|one| (one.number, RecipientChange::Returned { until })));
        self.finish(draft).await;
    }

    async fn settle_part(&self, leased: &Leased, part: &Part, by: &By) {
        let draft = self.drafted(leased, part, by);
        self.finish(draft).await;
    }

    fn drafted<'a>(&self, leased: &'a Leased, part: &Part, by: &'a By) -> Draft<'a> {
        let mut draft = self.draft(leased, by);
        draft.signed_by.clone_from(&part.signed_by);
        draft.note.clone_from(&part.note);
        draft.route.clone_from(&part.route);
        for one in &part.tries {
            draft.attempted(one);
        }
        for (place, finding) in &part.findings {
            if let Some(recipient) = leased.recipients.get(*place) {
                self.apply(&mut draft, recipient, finding);
            }
        }
        draft
    }

    /// Ends recipients whose time is up, or whom a person gave up.
    pub(crate) async fn end(&self, leased: &Leased, by: &By) {
        let mut draft = self.draft(leased, by);
        for recipient in &leased.recipients {
            if recipient.give_up {
                let words = "given up by an administrator";
                let finding = Finding::ours(Outcome::Failed, Cause::Administrator, words);
                draft.failed(recipient, &finding, recipient.attempts);
            } else {
                let last = last_finding(recipient);
                draft.expired(recipient, &last, recipient.attempts);
            }
        }
        self.finish(draft).await;
    }

    /// Ends all recipients without an attempt: they cannot get it.
    pub(crate) async fn fail(&self, leased: &Leased, finding: &Finding, by: &By) {
        let mut draft = self.draft(leased, by);
        for recipient in &leased.recipients {
            draft.failed(recipient, finding, recipient.attempts);
        }
        self.finish(draft).await;
    }

    /// Ends recipients whose time is up, of whom another notice tells: to whom, and its queue id.
    pub(crate) async fn end_told(
        &self,
        leased: &Leased,
        by: &By,
        (to, notice): (&Arc<str>, QueueId),
    ) {
        let mut draft = self.draft(leased, by);
        for recipient in &leased.recipients {
            draft.expired(recipient, &last_finding(recipient), recipient.attempts);
        }
        draft.failed.clear();
        let mut event = draft.event(EventKind::NoticeSent);
        event.to = Some(To::Many(vec![Arc::clone(to)]));
        event.detail = Some(format!("one notice for several messages, queued as {notice}").into());
        draft.events.push(event);
        self.finish(draft).await;
    }

    /// Holds the recipients that are not to get it because something about it is restricted, and
    /// takes them out of the lease. Asked last, so that what is leased already does not leave.
    pub(crate) async fn hold_restricted(&self, leased: &mut Leased) {
        let places: Vec<usize> = (0..leased.recipients.len()).collect();
        let held = self.restricted_among(leased, &places);
        if held.is_empty() {
            return;
        }
        let (mut changes, mut events) = (Vec::new(), Vec::new());
        for Held { change, event, .. } in held {
            changes.push(change);
            events.push(event);
        }
        let is_held = |one: &LeasedRecipient| changes.iter().any(|(held, _)| *held == one.number);
        leased.recipients.retain(|one| !is_held(one));
        self.hand_over(Settlement {
            lease: leased.lease.clone(),
            changes,
            events,
            notices: Vec::new(),
        })
        .await;
    }

    /// The same for the open recipients of an attempt under way: the search for a host and
    /// transactions with others take minutes.
    pub(crate) async fn hold_restricted_open(&self, attempt: &mut Attempt, by: &By) {
        let held = self.restricted_among(&attempt.leased, attempt.open());
        if held.is_empty() {
            return;
        }
        let places: Vec<usize> = held.iter().map(|one| one.place).collect();
        let part = attempt.set_aside(&places);
        let mut draft = self.drafted(&attempt.leased, &part, by);
        for Held { change, event, .. } in held {
            draft.changes.push(change);
            draft.events.push(event);
        }
        self.finish(draft).await;
    }

    /// Those at these places that are not to get it at this time.
    fn restricted_among(&self, leased: &Leased, places: &[usize]) -> Vec<Held> {
        if self.store.restrictions().is_empty() {
            return Vec::new();
        }
        let (now, steady) = (self.clock.now(), self.clock.steady_now());
        let expires_at = held_until(now);
        let held = |place: &usize| {
            let one = leased.recipients.get(*place).filter(|one| !one.passed)?;
            let to = &one.recipient;
            let found = self
                .store
                .restriction_of(&leased.facts, &to.forward_path, steady)?;
            Some(Held {
                place: *place,
                change: (one.number, RecipientChange::Restricted { expires_at }),
                event: leased.facts.held_event(to, why_held(&found), now),
            })
        };
        places.iter().filter_map(held).collect()
    }

    /// Gives more time to what only our own pace holds back.
    pub(crate) async fn prolong(&self, leased: &Leased, expires_at: Timestamp) {
        let prolonged = RecipientChange::Prolonged { expires_at };
        self.leave(leased, &prolonged).await;
    }

    /// Returns what was not tried.
    pub(crate) async fn give_back(&self, leased: &Leased, until: Timestamp) {
        let returned = RecipientChange::Returned { until };
        self.leave(leased, &returned).await;
    }

    async fn leave(&self, leased: &Leased, change: &RecipientChange) {
        let changes = leased.recipients.iter();
        let changes = changes.map(|one| (one.number, change.clone())).collect();
        self.hand_over(Settlement {
            lease: leased.lease.clone(),
            changes,
            events: Vec::new(),
            notices: Vec::new(),
        })
        .await;
    }

    fn draft<'a>(&self, leased: &'a Leased, by: &'a By) -> Draft<'a> {
        Draft {
            leased,
            by,
            signed_by: Vec::new(),
            note: None,
            route: None,
            now: self.clock.now(),
            steady: self.steady.now(),
            expiry_now: self.steady.expiry_now(),
            from: leased.facts.reverse_path.to_string().into(),
            changes: Vec::with_capacity(leased.recipients.len()),
            events: Vec::with_capacity(leased.recipients.len() + 1),
            failed: Vec::new(),
            delayed: Vec::new(),
            done: Vec::new(),
        }
    }

    fn apply(&self, draft: &mut Draft<'_>, recipient: &LeasedRecipient, finding: &Finding) {
        let attempts = recipient.attempts.saturating_add(1);
        match finding.outcome {
            Outcome::Delivered => draft.delivered(recipient, finding, attempts),
            Outcome::Failed => draft.failed(recipient, finding, attempts),
            Outcome::Deferred if draft.expiry_now >= recipient.expires_at => {
                draft.expired(recipient, finding, attempts);
            }
            Outcome::Deferred => {
                let until = self.next_attempt(draft, finding, attempts);
                draft.deferred(recipient, finding, attempts, until);
            }
        }
    }

    fn next_attempt(&self, draft: &Draft<'_>, finding: &Finding, attempts: u32) -> Timestamp {
        let mut retry = draft.by.retry.clone();
        if finding.ours {
            retry.max.0 = retry.max.0.min(OWN_TROUBLE_RETRY_MAX.as_secs());
            retry.first.0 = retry.first.0.min(retry.max.0);
        }
        let jitter = Jitter(self.chance.fraction());
        let accepted_at = draft.leased.facts.accepted_at;
        match next_attempt(&retry, attempts, accepted_at, draft.now, jitter) {
            NextAttempt::At(time) => time,
            // The recipient's own lifetime decides, and it is not over.
            NextAttempt::Expired => draft.now.after(Duration::from_secs(retry.max.0)),
        }
    }

    async fn finish(&self, mut draft: Draft<'_>) {
        self.tell_of_archives(&draft);
        let told = [
            (Action::Failed, std::mem::take(&mut draft.failed)),
            (Action::Delayed, std::mem::take(&mut draft.delayed)),
            (Action::Relayed, std::mem::take(&mut draft.done)),
        ];
        let mut notices = Vec::new();
        for (_, told) in told.into_iter().filter(|(_, told)| !told.is_empty()) {
            self.tell(&mut draft, told, &mut notices).await;
        }
        self.hand_over(Settlement {
            lease: draft.leased.lease.clone(),
            changes: draft.changes,
            events: draft.events,
            notices,
        })
        .await;
    }

    /// Of a copy that did not arrive nobody outside hears: somebody here must.
    fn tell_of_archives(&self, draft: &Draft<'_>) {
        let recipients = draft.leased.recipients.iter();
        for copy in recipients.filter(|one| one.recipient.is_copy) {
            if let Some(lost) = draft.lost(copy) {
                let why = lost.reply.as_deref().unwrap_or_default();
                self.archive_lost(lost, &address(copy), why);
            }
        }
    }

    /// The archive did not get a copy, as this event of the message says.
    pub(crate) fn archive_lost(&self, of: &Event, to: &Arc<str>, why: &str) {
        let (Some(organisation), Some(queue_id)) = (&of.organisation, of.queue_id) else {
            return;
        };
        let now = self.clock.moment();
        if !self.archives.is_news(organisation, to, now) {
            return;
        }
        let detail = format!("the archive {to} did not get the copy of {queue_id}: {why}");
        tracing::warn!(%organisation, "{detail}");
        let mut event = Event::new(of.time, EventKind::AlertRaised);
        event.organisation = Some(Arc::clone(organisation));
        event.inbound_connector.clone_from(&of.inbound_connector);
        event.detail = Some(detail.into());
        self.store.record(event);
    }

    async fn tell(&self, draft: &mut Draft<'_>, told: Vec<Told>, notices: &mut Vec<NewMessage>) {
        let facts = &draft.leased.facts;
        let made = notice::make(
            &self.store,
            &self.options,
            facts,
            &draft.leased.content,
            &told,
            draft.now,
        );
        match made.await {
            Ok(made) => {
                let mut event = draft.event(EventKind::NoticeSent);
                event.to = Some(To::Many(vec![Arc::clone(&made.to)]));
                event.detail = Some(made.detail.as_str().into());
                draft.events.push(event);
                draft.events.push(made.accepted);
                notices.push(made.message);
            }
            Err(because) => {
                let concerned: Vec<Arc<str>> = told.iter().map(|one| Arc::clone(&one.to)).collect();
                draft.note_silence(&concerned, because);
            }
        }
    }

    /// To the writer.
    pub(crate) async fn hand_over(&self, settlement: Settlement) {
        // The writer lives as long as there is a settler, but for a stop that cuts everything off:
        // then the leases run out, and the results are found again by trying.
        if let Err(lost) = self.writer.send(settlement).await {
            tracing::warn!(queue_id = %lost.0.lease.queue_id, "cut off before its result was stored");
        }
    }
}

/// One more thing to be told.
fn add(event: &mut Event, words: &Arc<str>) {
    event.detail = Some(match event.detail.take() {
        Some(detail) => format!("{detail}; {words}").into(),
        None => Arc::clone(words),
    });
}

impl Draft<'_> {
    fn event(&self, kind: EventKind) -> Event {
        let facts: &MessageFacts = &self.leased.facts;
        let mut event = Event::new(self.now, kind);
        event.queue_id = Some(facts.queue_id);
        event.organisation = Some(Arc::clone(&facts.organisation));
        event.inbound_connector.clone_from(&facts.inbound_connector);
        event.client.clone_from(&facts.client);
        event.from = Some(Arc::clone(&self.from));
        event.header_from.clone_from(&facts.header_from);
        event.subject.clone_from(&facts.subject);
        event.size = Some(facts.size);
        event.outbound_connector.clone_from(&self.by.connector);
        event
    }

    fn attempted(&mut self, one: &Try) {
        let mut event = self.event(EventKind::DeliveryAttempted);
        let recipients = &self.leased.recipients;
        let to = one
            .recipients
            .iter()
            .filter_map(|place| recipients.get(*place));
        event.to = Some(To::Many(to.map(address).collect()));
        event.next_hop = Some(Arc::clone(&one.hop));
        event.reply = Some(Arc::clone(&one.answer));
        event.duration_ms = Some(millis(one.duration));
        protected(&mut event, &one.protection, one.possible_duplicate);
        self.signed(&mut event);
        if let Some(route) = &self.route {
            add(&mut event, route);
        }
        event.envelope_sender = one.sent_as.as_ref().map(|sent| sent.as_str().into());
        self.events.push(event);
    }

    /// Who signed or sealed what was sent; or why nobody did, where somebody wanted it.
    fn signed(&self, event: &mut Event) {
        event.signed_by.clone_from(&self.signed_by);
        if let Some(note) = &self.note {
            add(event, note);
        }
    }

    fn recipient_event(
        &self,
        kind: EventKind,
        recipient: &LeasedRecipient,
        finding: &Finding,
        attempts: u32,
    ) -> Event {
        let mut event = self.event(kind);
        event.to = Some(To::One(address(recipient)));
        event.next_hop.clone_from(&finding.hop);
        event.reply = Some(finding.answer.line());
        event.duration_ms = finding.hop.is_some().then(|| millis(finding.duration));
        event.attempts = Some(attempts);
        protected(&mut event, &finding.protection, finding.possible_duplicate);
        if finding.hop.is_some() {
            self.signed(&mut event);
        }
        event.envelope_sender = finding.sent_as.as_ref().map(|sent| sent.as_str().into());
        event
    }

    fn delivered(&mut self, recipient: &LeasedRecipient, finding: &Finding, attempts: u32) {
        let event =
            self.recipient_event(EventKind::RecipientDelivered, recipient, finding, attempts);
        self.events.push(event);
        self.changes.push((recipient.number, RecipientChange::Done));
        if recipient.recipient.wants_success_notice() && !finding.dsn_passed_on {
            let action = match self.by.protocol {
                Protocol::Lmtp => Action::Delivered,
                Protocol::Smtp => Action::Relayed,
            };
            let told = self.told(recipient, finding, action, finding.status, None);
            self.done.push(told);
        }
    }

    fn failed(&mut self, recipient: &LeasedRecipient, finding: &Finding, attempts: u32) {
        let event = self.recipient_event(EventKind::RecipientFailed, recipient, finding, attempts);
        self.events.push(event);
        self.changes.push((recipient.number, RecipientChange::Done));
        if recipient.recipient.wants_failure_notice() {
            let told = self.told(recipient, finding, Action::Failed, finding.status, None);
            self.failed.push(told);
        }
    }

    /// Where a server answered meanwhile, its code is the better status. RFC 3463 §3.5.
    fn expired(&mut self, recipient: &LeasedRecipient, last: &Finding, attempts: u32) {
        let event = self.recipient_event(EventKind::RecipientExpired, recipient, last, attempts);
        self.events.push(event);
        self.changes.push((recipient.number, RecipientChange::Done));
        if recipient.recipient.wants_failure_notice() {
            let status = match &last.answer {
                Answer::Reply(reply) => status_of(reply),
                Answer::Ours { .. } => Cause::Expired.status(),
            };
            let told = self.told(
                recipient,
                last,
                Action::Failed,
                status,
                Some(Cause::Expired),
            );
            self.failed.push(told);
        }
    }

    fn deferred(
        &mut self,
        recipient: &LeasedRecipient,
        finding: &Finding,
        attempts: u32,
        until: Timestamp,
    ) {
        let mut event =
            self.recipient_event(EventKind::RecipientDeferred, recipient, finding, attempts);
        event.next_attempt = Some(until);
        let last_reply = event.reply.clone().unwrap_or_else(|| finding.answer.line());
        self.events.push(event);
        let waits = self.steady.since(self.leased.facts.accepted_at);
        let late = waits >= DELAY_NOTICE_AFTER && !recipient.delay_told;
        let change = RecipientChange::Deferred {
            until,
            last_reply,
            delay_told: recipient.delay_told || late,
        };
        self.changes.push((recipient.number, change));
        if late && recipient.recipient.wants_delay_notice() {
            let told = self.told(recipient, finding, Action::Delayed, finding.status, None);
            self.delayed.push(told);
        }
    }

    fn told(
        &self,
        recipient: &LeasedRecipient,
        finding: &Finding,
        action: Action,
        status: EnhancedStatus,
        also: Option<Cause>,
    ) -> Told {
        Told {
            to: address(recipient),
            recipient: recipient.recipient.clone(),
            action,
            status,
            answer: finding.answer.clone(),
            also,
            hop: finding.hop.clone(),
            attempted: finding.hop.is_some(),
            expires_at: recipient.expires_at,
        }
    }

    /// The event with which it ended for this recipient without having arrived.
    fn lost(&self, recipient: &LeasedRecipient) -> Option<&Event> {
        let to = Some(To::One(address(recipient)));
        let mut events = self.events.iter();
        events.find(|event| {
            let ended = matches!(
                event.kind,
                EventKind::RecipientFailed | EventKind::RecipientExpired
            );
            ended && event.to == to
        })
    }

    /// No notice goes out: the recipients' events say so, and why.
    fn note_silence(&mut self, concerned: &[Arc<str>], because: &'static str) {
        for event in &mut self.events {
            let ended = matches!(
                event.kind,
                EventKind::RecipientFailed | EventKind::RecipientExpired
            );
            let Some(To::One(to)) = &event.to else {
                continue;
            };
            if ended && concerned.contains(to) {
                event.detail = Some(format!("no notice: {because}").into());
            }
        }
    }
}

/// What the trace says of the conversation beside its result.
fn protected(event: &mut Event, protection: &Protection, possible_duplicate: bool) {
    event.tls.clone_from(&protection.tls);
    event.detail = match (possible_duplicate, &protection.note) {
        (false, note) => note.clone(),
        (true, None) => Some(POSSIBLE_DUPLICATE.into()),
        (true, Some(note)) => Some(format!("{POSSIBLE_DUPLICATE}; {note}").into()),
    };
}

const POSSIBLE_DUPLICATE: &str = "possible duplicate";

/// What the queue remembers of the last attempt.
fn last_finding(recipient: &LeasedRecipient) -> Finding {
    let Some(last) = &recipient.last_reply else {
        return Finding::ours(
            Outcome::Failed,
            Cause::Expired,
            "never tried within its lifetime",
        );
    };
    let mut finding = Finding::ours(Outcome::Failed, Cause::Expired, Arc::clone(last));
    if let Some(reply) = stored_reply(last) {
        finding.answer = Answer::Reply(reply);
    }
    finding
}

fn address(recipient: &LeasedRecipient) -> Arc<str> {
    recipient.recipient.forward_path.to_string().into()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The writer: see the head of this file.
async fn write(store: Store, clock: Clock, mut settlements: mpsc::Receiver<Settlement>) {
    let mut under_way = FuturesUnordered::new();
    let mut open = true;
    while open || !under_way.is_empty() {
        tokio::select! {
            biased;
            next = settlements.recv(), if open && under_way.len() < SETTLEMENTS_MAX => {
                match next {
                    Some(settlement) => under_way.push(store_one(&store, &clock, settlement)),
                    None => open = false,
                }
            }
            Some(()) = under_way.next(), if !under_way.is_empty() => {}
        }
    }
}

async fn store_one(store: &Store, clock: &Clock, mut settlement: Settlement) {
    let mut wait = STORE_RETRY_MIN;
    let (mut wall, mut moment) = (clock.now(), clock.moment());
    loop {
        match store.settle(copy(&settlement)).await {
            Ok(()) => return,
            Err(SettleError::LeaseLost { queue_id }) => {
                tracing::warn!(%queue_id, "the lease was lost before its result was stored");
                return;
            }
            Err(SettleError::Store(StoreError::Closed)) => {
                tracing::warn!(
                    queue_id = %settlement.lease.queue_id,
                    "the store closed before a result was stored"
                );
                return;
            }
            Err(SettleError::Store(error)) => {
                tracing::warn!(
                    queue_id = %settlement.lease.queue_id, %error,
                    "a result could not be stored yet"
                );
                clock.sleep(wait).await;
                wait = (wait * 2).min(STORE_RETRY_MAX);
                let expected = wall.after(clock.moment().saturating_duration_since(moment));
                (wall, moment) = (clock.now(), clock.moment());
                move_back(&mut settlement, expected.since(wall));
            }
        }
    }
}

/// The clock went back by so much while the store was ill: what is to be tried a minute later must
/// not wait for days.
fn move_back(settlement: &mut Settlement, by: Duration) {
    for (_, change) in &mut settlement.changes {
        match change {
            RecipientChange::Deferred { until, .. } | RecipientChange::Returned { until } => {
                *until = until.before(by);
            }
            RecipientChange::Prolonged { expires_at }
            | RecipientChange::Restricted { expires_at } => *expires_at = expires_at.before(by),
            RecipientChange::Done => {}
        }
    }
}

/// The store takes a settlement whole; we keep one until it is stored.
fn copy(settlement: &Settlement) -> Settlement {
    let notices = settlement.notices.iter().map(|notice| NewMessage {
        facts: notice.facts.clone(),
        recipients: notice.recipients.clone(),
        content: notice.content.clone(),
        events: notice.events.clone(),
    });
    Settlement {
        lease: settlement.lease.clone(),
        changes: settlement.changes.clone(),
        events: settlement.events.clone(),
        notices: notices.collect(),
    }
}
