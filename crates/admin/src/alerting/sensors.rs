//! What is measured for alerts: from events as they happen, and from the store, the settings and
//! the certificates every few seconds.
//!
//! What a rule for some mail only asks is measured of that mail alone, in windows of its own.
//! Each window and list has its bound; what is measured of one subject says nothing of another.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use relais_net::login::{Ends, LoginStanding};
use relais_net::tls::CertificateStore;
use relais_policy::alert::{Measure, Rule, RuleKind, Scope};
use relais_policy::check::Verdict;
use relais_policy::document::ConnectorState;
use relais_policy::limit::Whose;
use relais_policy::proof::{GRACE, ProofKey, Standing};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use relais_store::queue::{Criteria, ListedMessage, ListedRecipient, RecipientStateName};
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::trace::{ClientSummary, Event, EventKind, To};

use crate::alerts::fitting::Fitting;
use crate::checks;
use crate::context::AdminContext;
use crate::{keys, limits};

/// Deliveries of so long make the average. Issue: average over 60 s.
const DELIVERIES: Duration = Duration::from_secs(60);
/// Ended recipients of so long make the share of failures.
const ENDED: Duration = Duration::from_secs(15 * 60);
/// With fewer the share says nothing.
const ENDED_MIN: usize = 10;
/// Refused attempts of so long are counted.
const REFUSED: Duration = Duration::from_secs(10 * 60);
/// Moments of one window; more than that are old.
const WINDOW_MAX: usize = 50_000;
/// The same of a rule for some mail only.
pub(crate) const WINDOW_SCOPED_MAX: usize = 4_096;
/// Oldest messages that are looked at for the age of queues.
const MESSAGES_MAX: usize = 200;
/// The same for a rule for some mail only, whose oldest one may stand behind others.
const MESSAGES_SCOPED_MAX: usize = 1_000;
/// States of what waits by itself.
const WAITING: [RecipientStateName; 3] = [
    RecipientStateName::Queued,
    RecipientStateName::Active,
    RecipientStateName::Deferred,
];
/// Devices whose last message is known.
const DEVICES_MAX: usize = 2_000;
/// After so long a device does not "used to send" any more.
const FORGOTTEN: Duration = Duration::from_secs(30 * 86_400);
/// A device must have sent on so many days before its silence says something.
const DAYS_MIN: u32 = 3;
/// How often the devices are written down.
const KEEP_INTERVAL: Duration = Duration::from_secs(600);
const DEVICES: &str = "devices";
/// The self-check of that name.
const BLOCKLIST: &str = "blocklist";
const DAY_MS: i64 = 86_400_000;

/// A device, by its connector and address, and when it sent.
#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize)]
struct Seen {
    /// Milliseconds.
    last: i64,
    /// Days on which it sent, at least [`DAYS_MIN`] are counted.
    days: u32,
}

/// Windows over what happens to some mail.
#[derive(Debug)]
struct Windows {
    /// Moments of one.
    most: usize,
    /// With fewer ended recipients the share of failures says nothing.
    ended_min: usize,
    /// When, and how long each took in milliseconds.
    deliveries: VecDeque<(Timestamp, u64)>,
    /// When, and whether it failed.
    ended: VecDeque<(Timestamp, bool)>,
    refused: VecDeque<Timestamp>,
}

/// What is measured for rules of one scope.
#[derive(Debug)]
struct Scoped {
    scope: Scope,
    fitting: Fitting,
    windows: Windows,
    /// Whether a rule asks how long its mail waits: that is read from the queue each time.
    has_queue_age: bool,
}

/// Windows over what happens.
#[derive(Debug)]
pub(crate) struct Sensors {
    whole: Windows,
    scoped: Vec<Scoped>,
    devices: HashMap<String, Seen>,
    kept: Option<Timestamp>,
}

fn push<T>(window: &mut VecDeque<T>, most: usize, one: T) {
    if window.len() >= most {
        window.pop_front();
    }
    window.push_back(one);
}

impl Windows {
    fn new(most: usize, ended_min: usize) -> Self {
        Self {
            most,
            ended_min,
            deliveries: VecDeque::new(),
            ended: VecDeque::new(),
            refused: VecDeque::new(),
        }
    }

    fn hear(&mut self, event: &Event) {
        match event.kind {
            EventKind::RecipientDelivered => {
                push(&mut self.ended, self.most, (event.time, false));
                if let Some(took) = event.duration_ms {
                    push(&mut self.deliveries, self.most, (event.time, took));
                }
            }
            EventKind::RecipientFailed | EventKind::RecipientExpired => {
                push(&mut self.ended, self.most, (event.time, true));
            }
            EventKind::ConnectionRefused | EventKind::AttemptRefused | EventKind::AuthFailed => {
                push(&mut self.refused, self.most, event.time);
            }
            _ => {}
        }
    }

    fn measure(&mut self, now: Timestamp, scope: &Scope, measures: &mut Vec<Measure>) {
        self.deliveries
            .retain(|(time, _)| now.since(*time) < DELIVERIES);
        self.ended.retain(|(time, _)| now.since(*time) < ENDED);
        self.refused.retain(|time| now.since(*time) < REFUSED);
        let count = self.deliveries.len() as u64;
        let sum: u64 = self.deliveries.iter().map(|(_, took)| took).sum();
        let average = sum.checked_div(count).unwrap_or_default();
        let failed = self.ended.iter().filter(|(_, failed)| *failed).count();
        let ended = self.ended.len();
        let share = if ended < self.ended_min.max(1) {
            0
        } else {
            failed * 100 / ended
        };
        let of_failures = format!("{failed} of {ended} in the last 15 minutes");
        let all = [
            (
                RuleKind::DeliveryTime,
                average,
                format!("{count} in the last minute"),
            ),
            (RuleKind::FailureShare, share as u64, of_failures),
            (
                RuleKind::RefusedAttempts,
                self.refused.len() as u64,
                "in the last 10 minutes".to_owned(),
            ),
        ];
        measures.extend(all.map(|(kind, value, detail)| Measure {
            scope: scope.clone(),
            ..measure(kind, "", value, detail)
        }));
    }
}

fn age_of(now: Timestamp, then: i64) -> Duration {
    now.since(Timestamp::from_millis(then))
}

impl Sensors {
    /// With the devices of before.
    pub(crate) async fn load(context: &AdminContext) -> Self {
        let text = context.store.shelf_value(Shelf::Alert, DEVICES).await;
        let text = text.unwrap_or_default();
        let devices = text.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            whole: Windows::new(WINDOW_MAX, ENDED_MIN),
            scoped: Vec::new(),
            devices: devices.unwrap_or_default(),
            kept: None,
        }
    }

    /// From now on windows are kept for these rules, and no longer for others.
    pub(crate) fn watch(&mut self, rules: &[Rule]) {
        let scopes = rules.iter().map(|rule| &rule.scope);
        let scopes: BTreeSet<_> = scopes.filter(|scope| !scope.is_all()).collect();
        self.scoped.retain(|one| scopes.contains(&one.scope));
        for scope in scopes {
            let mut of_it = rules.iter().filter(|rule| rule.scope == *scope);
            let has_queue_age = of_it.any(|rule| rule.kind == RuleKind::QueueAge && rule.enabled);
            if let Some(known) = self.scoped.iter_mut().find(|one| one.scope == *scope) {
                known.has_queue_age = has_queue_age;
                continue;
            }
            // One that cannot be read was not taken by the API: of a later version.
            if let Ok(fitting) = Fitting::of(scope) {
                self.scoped.push(Scoped {
                    scope: scope.clone(),
                    fitting,
                    // Of one device or sender each failure says something.
                    windows: Windows::new(WINDOW_SCOPED_MAX, 1),
                    has_queue_age,
                });
            }
        }
    }

    /// Writes the devices down, now and then.
    pub(crate) async fn keep(&mut self, context: &AdminContext, now_or_never: bool) {
        let now = context.clock.now();
        let is_due = self
            .kept
            .is_none_or(|last| now.since(last) >= KEEP_INTERVAL);
        if !is_due && !now_or_never {
            return;
        }
        self.kept = Some(now);
        self.devices
            .retain(|_, seen| age_of(now, seen.last) < FORGOTTEN);
        let text = serde_json::to_string(&self.devices).unwrap_or_default();
        let change = ShelfChange::new(Shelf::Alert, now).put(DEVICES, text);
        if let Err(error) = context.store.change_shelf(change).await {
            tracing::debug!(%error, "who used to send is not written down");
        }
    }

    /// One event.
    pub(crate) fn hear(&mut self, event: &Event) {
        self.whole.hear(event);
        for one in &mut self.scoped {
            if one.fitting.has(event) {
                one.windows.hear(event);
            }
        }
        if event.kind == EventKind::MessageAccepted {
            self.hear_device(event);
        }
    }

    fn hear_device(&mut self, event: &Event) {
        let (Some(organisation), Some(connector), Some(client)) =
            (&event.organisation, &event.inbound_connector, &event.client)
        else {
            return;
        };
        let device = match &client.credential {
            Some(user) => format!("{organisation}/{connector}/{user}"),
            None => format!("{organisation}/{connector}/{}", client.address),
        };
        let time = event.time.as_millis();
        let has_room = self.devices.len() < DEVICES_MAX;
        match self.devices.get_mut(&device) {
            Some(seen) => {
                seen.days += u32::from(time / DAY_MS != seen.last / DAY_MS);
                seen.last = time;
            }
            None if has_room => {
                let seen = Seen {
                    last: time,
                    days: 1,
                };
                self.devices.insert(device, seen);
            }
            None => {}
        }
    }

    /// Everything that is known at this moment.
    pub(crate) async fn measure(&mut self, context: &AdminContext, now: Timestamp) -> Vec<Measure> {
        let mut measures = Vec::new();
        self.whole.measure(now, &Scope::ALL, &mut measures);
        self.measure_devices(context, now, &mut measures);
        let waiting = waiting(context, "", MESSAGES_MAX).await;
        of_queues(&waiting, now, None, &mut measures);
        // Read once for all scopes of an organisation.
        let mut listings = BTreeMap::new();
        for one in &mut self.scoped {
            one.windows.measure(now, &one.scope, &mut measures);
            if !one.has_queue_age {
                continue;
            }
            let organisation = one.scope.organisation.as_str();
            let listed = match listings.entry(organisation.to_owned()) {
                Entry::Occupied(listed) => listed.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(self::waiting(context, organisation, MESSAGES_SCOPED_MAX).await)
                }
            };
            of_queues(listed, now, Some((&one.scope, &one.fitting)), &mut measures);
        }
        of_certificates(context, now, &mut measures);
        of_credentials(context, now, &mut measures).await;
        of_logins(context, now, &mut measures);
        of_domains(context, &mut measures).await;
        of_limits(context, now, &mut measures).await;
        of_restrictions(context, now, &mut measures);
        of_checks(context, &mut measures).await;
        of_disk(context, &mut measures);
        let unaccounted = context.metrics.unaccounted(&context.store.counts());
        if context.store.is_counted() {
            measures.push(measure(
                RuleKind::Unaccounted,
                "",
                unaccounted,
                String::new(),
            ));
        }
        measures
    }

    /// Of connectors that are in use: a device of one that was switched off is silent by right.
    fn measure_devices(&self, context: &AdminContext, now: Timestamp, into: &mut Vec<Measure>) {
        let settings = context.store.settings();
        for (device, seen) in &self.devices {
            let age = age_of(now, seen.last);
            let mut parts = device.splitn(3, '/');
            let (organisation, connector) = (
                parts.next().unwrap_or_default(),
                parts.next().unwrap_or_default(),
            );
            let found = settings.inbound_connector(organisation, connector);
            let is_used = found.is_some_and(|it| it.connector.state == ConnectorState::Enabled);
            if is_used && seen.days >= DAYS_MIN && age < FORGOTTEN {
                let last = Timestamp::from_millis(seen.last).to_rfc3339();
                let detail = format!("last message {last}");
                let silence = measure(RuleKind::Silence, device, age.as_secs(), detail);
                let as_event = event_of_device(device);
                let scoped = self.scoped.iter().filter(|one| one.fitting.has(&as_event));
                into.extend(scoped.map(|one| Measure {
                    scope: one.scope.clone(),
                    ..silence.clone()
                }));
                into.push(silence);
            }
        }
    }
}

/// A device as something that happened to it, for the tests of a scope.
fn event_of_device(device: &str) -> Event {
    let mut parts = device.splitn(3, '/');
    let mut part = || parts.next().unwrap_or_default();
    let (organisation, connector, who) = (part(), part(), part());
    let address = who.parse::<IpAddr>().ok();
    Event {
        organisation: Some(organisation.into()),
        inbound_connector: Some(connector.into()),
        client: Some(Arc::new(ClientSummary {
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            helo: None,
            credential: address.is_none().then(|| who.into()),
            certificate: None,
        })),
        ..Event::new(Timestamp::default(), EventKind::MessageAccepted)
    }
}

fn measure(kind: RuleKind, subject: impl Into<String>, value: u64, detail: String) -> Measure {
    Measure {
        kind,
        scope: Scope::ALL,
        subject: subject.into(),
        value,
        detail,
    }
}

/// The oldest messages of each state of what waits by itself: a restored queue, that is held as a
/// whole, must not hide what waits. Of an organisation; empty: of all.
async fn waiting(context: &AdminContext, organisation: &str, most: usize) -> Vec<ListedMessage> {
    let mut listed = Vec::new();
    for state in WAITING {
        let criteria = Criteria {
            state: Some(state),
            organisation: Some(organisation.to_owned()).filter(|name| !name.is_empty()),
            ..Criteria::default()
        };
        let found = context.store.list(&criteria, None, most).await;
        listed.extend(found.unwrap_or_default());
    }
    listed
}

/// Of each destination its oldest message that waits by itself: what a person held waits by right.
fn of_queues(
    listed: &[ListedMessage],
    now: Timestamp,
    whose: Option<(&Scope, &Fitting)>,
    into: &mut Vec<Measure>,
) {
    let mut oldest: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for message in listed {
        let age = now.since(message.accepted_at).as_secs();
        let waiting = message.recipients.iter();
        let waiting = waiting.filter(|one| one.state != RecipientStateName::Held);
        let is_its = |one: &&ListedRecipient| {
            whose.is_none_or(|(_, fitting)| fitting.has(&event_of_waiting(message, one)))
        };
        for recipient in waiting.filter(is_its) {
            let destination = recipient
                .to
                .rsplit_once('@')
                .map_or("", |(_, domain)| domain);
            let known = oldest
                .get(destination)
                .is_some_and(|(known, _)| *known >= age);
            if !known {
                let reply = recipient.last_reply.as_deref().unwrap_or_default();
                oldest.insert(destination.to_owned(), (age, reply.to_owned()));
            }
        }
    }
    let scope = whose.map_or(Scope::ALL, |(scope, _)| scope.clone());
    into.extend(
        oldest
            .into_iter()
            .map(|(destination, (age, reply))| Measure {
                scope: scope.clone(),
                ..measure(RuleKind::QueueAge, destination, age, reply)
            }),
    );
}

/// What waits as something that happened, for the tests of a scope.
fn event_of_waiting(message: &ListedMessage, recipient: &ListedRecipient) -> Event {
    Event {
        organisation: Some(message.organisation.as_str().into()),
        inbound_connector: message.inbound_connector.clone(),
        client: message.client.clone(),
        from: Some(message.from.as_str().into()),
        to: Some(To::One(recipient.to.as_str().into())),
        ..Event::new(message.accepted_at, EventKind::RecipientDeferred)
    }
}

fn days_until(now: Timestamp, end: Timestamp) -> u64 {
    end.since(now).as_secs() / 86_400
}

fn of_certificates(context: &AdminContext, now: Timestamp, into: &mut Vec<Measure>) {
    for (listener, store) in &context.certificates.of_listeners {
        if let Some(shown) = store.current() {
            let subject = format!("listener {listener}");
            let (days, end) = (days_until(now, shown.not_after()), shown.not_after());
            into.push(measure(
                RuleKind::CertificateExpiry,
                subject,
                days,
                end.to_rfc3339(),
            ));
        }
    }
    let of_centre = context.certificates.of_centre.as_ref();
    if let Some(shown) = of_centre.and_then(CertificateStore::current) {
        let (days, end) = (days_until(now, shown.not_after()), shown.not_after());
        let (kind, detail) = (RuleKind::CertificateExpiry, end.to_rfc3339());
        into.push(measure(kind, "admin centre", days, detail));
    }
    for seen in context.certificates.of_clients.list() {
        let subject = format!("client {}", seen.name);
        let days = days_until(now, seen.not_after);
        into.push(measure(
            RuleKind::CertificateExpiry,
            subject,
            days,
            seen.not_after.to_rfc3339(),
        ));
    }
}

async fn of_credentials(context: &AdminContext, now: Timestamp, into: &mut Vec<Measure>) {
    let settings = context.store.settings();
    for organisation in &settings.document.organisation {
        for one in organisation.credential.iter().filter(|one| one.enabled) {
            if let Some(end) = Timestamp::parse_rfc3339(&one.expires) {
                let subject = format!("credential {}", one.user);
                let days = days_until(now, end);
                into.push(measure(
                    RuleKind::CredentialExpiry,
                    subject,
                    days,
                    end.to_rfc3339(),
                ));
            }
        }
    }
    for key in keys::list(&context.store).await.unwrap_or_default() {
        if let Some(end) = key.expires() {
            let subject = format!("API key {} ({})", key.name, key.id);
            let days = days_until(now, end);
            into.push(measure(
                RuleKind::CredentialExpiry,
                subject,
                days,
                end.to_rfc3339(),
            ));
        }
    }
}

/// What we log in with at next hops: as the watch over logins saw it last.
fn of_logins(context: &AdminContext, now: Timestamp, into: &mut Vec<Measure>) {
    let Some(outbound) = &context.outbound else {
        return;
    };
    let logins = outbound.logins_in_use(&context.store.settings());
    into.extend(logins.iter().flat_map(|one| of_login(one, now)));
}

/// What ends, and what is over: there is nothing to log in with.
fn of_login(login: &LoginStanding, now: Timestamp) -> Vec<Measure> {
    let whose = format!("connector {}/{}", login.organisation, login.connector);
    let mut measures = Vec::new();
    if let Some((what, end)) = login.ends {
        let kind = match what {
            Ends::Certificate => RuleKind::CertificateExpiry,
            Ends::ClientSecret | Ends::SignIn => RuleKind::CredentialExpiry,
        };
        let subject = format!("{} of {whose}", what.words());
        let detail = format!("{}: {}", end.to_rfc3339(), what.fix());
        measures.push(measure(kind, subject, days_until(now, end), detail));
    }
    if let Some(fault) = &login.fault {
        let subject = format!("the login of {whose}");
        let kind = RuleKind::CredentialExpiry;
        measures.push(measure(kind, subject, 0, fault.clone()));
    }
    measures
}

async fn of_domains(context: &AdminContext, into: &mut Vec<Measure>) {
    let settings = context.store.settings();
    for organisation in &settings.document.organisation {
        for domain in &organisation.domain {
            let Ok(name) = Domain::parse(&domain.name) else {
                continue;
            };
            let proof = settings.proof(&organisation.name, &name);
            let left = match proof.map(|proof| proof.standing) {
                Some(Standing::Lapsing { absent_for }) => {
                    Some(GRACE.saturating_sub(absent_for).as_secs() / 86_400)
                }
                Some(Standing::Suspended) => Some(0),
                Some(Standing::Pending | Standing::Verified) | None => None,
            };
            if let Some(days) = left {
                let detail = proof.map(|proof| proof.seen.clone()).unwrap_or_default();
                into.push(measure(RuleKind::DomainExpiry, &domain.name, days, detail));
            }
            let key = ProofKey::new(&organisation.name, &name);
            if let Ok(Some(finding)) = context.findings.get(&context.store, &key).await {
                let wrong: Vec<_> = finding.wrong().collect();
                let (count, detail) = (wrong.len() as u64, wrong.join(", "));
                into.push(measure(RuleKind::DnsDrift, &domain.name, count, detail));
            }
        }
    }
}

async fn of_limits(context: &AdminContext, now: Timestamp, into: &mut Vec<Measure>) {
    for (name, used) in limits::overview(context, now).await.unwrap_or_default() {
        let organisation = &name.organisation;
        let whose = match &name.whose {
            Whose::Organisation => String::new(),
            Whose::Connector(connector) => format!("/{connector}"),
            _ => format!("/{}", name.owner()),
        };
        let subject = format!("{organisation}{whose} {}", name.key.name());
        let mut detail = format!("{} used of {}", used.used, used.limit.value);
        if let Some(reached) = used.forecast.reached.filter(|time| *time > now) {
            detail = format!("{detail}, reached at {} at this pace", reached.to_rfc3339());
        }
        into.push(measure(RuleKind::Limit, subject, used.percent(), detail));
    }
    for one in limits::connections(context) {
        let whose = match &one.whose {
            Whose::Organisation => String::new(),
            whose => format!("/{} {}", whose.kind(), whose.value()),
        };
        let subject = format!("{}{whose} connections", one.organisation);
        let detail = format!("{} used of {}", one.open, one.limit.value);
        into.push(measure(RuleKind::Limit, subject, one.percent(), detail));
    }
}

fn of_restrictions(context: &AdminContext, now: Timestamp, into: &mut Vec<Measure>) {
    let restrictions = context.store.restrictions();
    for one in restrictions.iter().filter(|one| !one.is_over(now)) {
        let subject = format!("{} {}", one.entity.kind().name(), one.entity.value());
        let detail = format!("{} ({})", one.reason, one.by);
        into.push(measure(RuleKind::RestrictedEntity, subject, 1, detail));
    }
}

/// By the last self-checks, which ask the lists daily: one that did not say changes nothing.
async fn of_checks(context: &AdminContext, into: &mut Vec<Measure>) {
    let kept = checks::kept(&context.store).await.unwrap_or_default();
    let mut worst: BTreeMap<&str, Verdict> = BTreeMap::new();
    for one in &kept.checks {
        let known = worst.entry(&one.name).or_insert(Verdict::Ok);
        *known = one.verdict().min(*known);
    }
    let worst = worst.into_iter();
    let states = worst.map(|(name, verdict)| (name.into(), state_of(verdict)));
    context.metrics.set_checks(states);
    let asked = kept.checks.iter().filter(|one| one.name == BLOCKLIST);
    for one in asked {
        let is_listed = one.is_known_to_be(Verdict::Advice);
        let [detail, ..] = one.texts(0);
        let value = u64::from(is_listed);
        into.push(measure(
            RuleKind::Blocklist,
            &one.subject,
            value,
            detail.to_owned(),
        ));
    }
}

/// For `relais_check_state`.
const fn state_of(verdict: Verdict) -> i64 {
    match verdict {
        Verdict::Unknown => 0,
        Verdict::Ok | Verdict::NotApplicable => 1,
        Verdict::Advice => 2,
        Verdict::Attention | Verdict::Broken => 3,
    }
}

fn of_disk(context: &AdminContext, into: &mut Vec<Measure>) {
    if let Some(free) = context.store.free_octets() {
        into.push(measure(
            RuleKind::Disk,
            "",
            free / 1_000_000,
            crate::plain::size(free),
        ));
    }
}

#[cfg(test)]
pub(crate) mod tests;
