//! The DNS desk at work: looks at what domains publish, by itself or because a person asks, keeps
//! what was found, and tells what changed. What is found is decided in `relais_policy::desk`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use relais_net::clock::Moment;
use relais_net::facts::{self, Found, LOOK_TIMEOUT};
use relais_policy::desk::{
    Assessment, Check, Outcome, Subject, Words, assess, propose, published_keys,
};
use relais_policy::dkim::Key;
use relais_policy::document::{AcceptedDomain, Verification};
use relais_policy::proof::ProofKey;
use relais_policy::settings::{DomainState, OwnedDomain, Settings};
use relais_smtp::domain::Domain;
use relais_store::known::BounceChange;
use relais_store::queue::StoreError;
use relais_store::shelf::{ShelfAudit, ShelfChange};
use relais_store::trace::{Event, EventKind};

use crate::context::{AdminContext, Caller, Dns};
use crate::language::Language;
use crate::phrasebook::told_part;

/// Looks under way at the same time: each asks about thirty questions.
const LOOKS_MAX: usize = 4;
/// Until a look whose result could not be stored is made again.
const UNSTORED_PAUSE: Duration = Duration::from_secs(3_600);
/// A pause is longer or shorter by up to this part of it, so that looks spread over the day.
const JITTER: f64 = 0.1;
/// Between two looks into the diary.
const ROUND: Duration = Duration::from_secs(10);

/// What a look came to.
pub(crate) struct Seen {
    pub(crate) assessment: Assessment,
    /// Names on which the domain's servers do not agree.
    pub(crate) differing: Vec<String>,
}

/// The set of records without asking anybody. `None`: the domain has gone.
pub(crate) fn propose_for(context: &AdminContext, key: &ProofKey) -> Option<Assessment> {
    let settings = context.store.settings();
    let subject = Subject::of(&settings, key, &context.site)?;
    Some(propose(&subject))
}

/// Looks now, for so long at most. `None`: the domain has gone.
pub(crate) async fn look(
    context: &AdminContext,
    dns: &Dns,
    key: &ProofKey,
    within: Duration,
) -> Option<Seen> {
    let settings = context.store.settings();
    let subject = Subject::of(&settings, key, &context.site)?;
    look_at(dns, &subject, within).await
}

/// The same, as if this inbound connector alone sent for the domain.
pub(crate) async fn look_for(
    context: &AdminContext,
    dns: &Dns,
    (key, connector): (&ProofKey, &str),
    within: Duration,
) -> Option<Seen> {
    let settings = context.store.settings();
    let mut subject = Subject::of(&settings, key, &context.site)?;
    subject.connectors = vec![connector.to_owned()];
    look_at(dns, &subject, within).await
}

async fn look_at(dns: &Dns, subject: &Subject<'_>, within: Duration) -> Option<Seen> {
    let judge = |facts: &_| assess(subject, facts);
    let found = facts::find(&dns.resolver, subject.name, dns.authority, within, judge).await?;
    let Found { value, differing } = found;
    Some(Seen {
        assessment: value,
        differing,
    })
}

/// The keys of all domains for our own zone: of those that are in force, and of those that wait for
/// their proof, which an alias to their keys is. Nobody takes the place of a proved domain's key.
pub(crate) fn shown_keys(settings: &Settings) -> Vec<(Domain, Vec<Key>)> {
    let (proved, others): (Vec<_>, Vec<_>) = settings
        .domains()
        .partition(|(_, owned)| owned.is_verified());
    let others = others.into_iter();
    let waiting = others.filter(|(_, owned)| owned.state == DomainState::Pending);
    let mut taken = HashSet::new();
    let mut shown = Vec::new();
    for (key, _) in proved.into_iter().chain(waiting) {
        let mut keys = published_keys(settings, &key);
        keys.retain(|one| taken.insert((key.domain.clone(), one.selector.clone())));
        if !keys.is_empty() {
            shown.push((key.domain, keys));
        }
    }
    shown
}

/// Keeps what a look came to, and tells what changed.
pub(crate) async fn keep(
    context: &AdminContext,
    key: &ProofKey,
    seen: &Seen,
    caller: &Caller,
) -> Result<(), StoreError> {
    let (store, now) = (&context.store, context.clock.now());
    let settings_version = store.settings().version;
    let tell = |mut change: ShelfChange, lines: Vec<Words>, is_grave: bool| {
        let (organisation, domain) = (&key.organisation, &key.domain);
        let what = format!("organisation {organisation}, domain {domain}");
        let whose = told_part(Language::French, &what).into_owned();
        let (english, french): (Vec<_>, Vec<_>) = lines
            .into_iter()
            .map(|line| (line.english, line.french))
            .unzip();
        let detail = [vec![what], english].concat();
        let in_french = [vec![whose], french].concat();
        change.events.push(Event {
            organisation: Some((**organisation).into()),
            detail: Some(detail.join("; ").into()),
            detail_fr: Some(in_french.join("\u{202f}; ").into()),
            settings_version: Some(settings_version),
            ..Event::new(now, EventKind::CheckChanged)
        });
        if !is_grave {
            return change;
        }
        change.audited(ShelfAudit {
            actor: caller.actor.to_string(),
            via: caller.via,
            act: "domain.dns-changed",
            detail,
        })
    };
    let checks = &seen.assessment.checks;
    context.findings.keep(store, key, checks, now, tell).await?;
    follow_bounces(context, key, checks).await
}

/// A bounce domain counts once DNS shows that it leads to us and lets us send, and until DNS shows
/// that it does not. Silence changes nothing.
async fn follow_bounces(
    context: &AdminContext,
    key: &ProofKey,
    checks: &[Check],
) -> Result<(), StoreError> {
    let (settings, time) = (context.store.settings(), context.clock.now());
    let Some(looked) = bounce_outcome(checks) else {
        return Ok(());
    };
    let before = settings.shown_bounces.get(key);
    let owned = settings.domains().find(|(one, _)| one == key);
    let wanted = owned.and_then(|(_, owned)| Domain::parse(&owned.domain.bounce_domain).ok());
    let shown = wanted.filter(|_| looked);
    if before == shown.as_ref() {
        return Ok(());
    }
    let domain = &key.domain;
    let line = match (&shown, before) {
        (Some(bounce), _) => {
            format!("{bounce} leads to us: mail of {domain} leaves with envelope senders there")
        }
        (None, Some(bounce)) => format!(
            "{bounce} does not lead to us any more: envelope senders of {domain} stay as they are"
        ),
        (None, None) => return Ok(()),
    };
    let event = Event {
        organisation: Some((*key.organisation).into()),
        detail: Some(line.into()),
        settings_version: Some(settings.version),
        ..Event::new(time, EventKind::CheckChanged)
    };
    let change = BounceChange {
        key: key.clone(),
        shown,
        time,
        events: vec![event],
    };
    context.store.change_bounce(change).await.map(|_| ())
}

/// Whether MX and SPF of the bounce domain are right; `None`: DNS did not say, or there is none.
fn bounce_outcome(checks: &[Check]) -> Option<bool> {
    let outcome = |name: &str| {
        let check = checks.iter().find(|check| check.name == name);
        check.map(|check| check.outcome)
    };
    match (outcome("bounce-mx")?, outcome("bounce-spf")?) {
        (Outcome::Good, Outcome::Good) => Some(true),
        (Outcome::Absent | Outcome::Wrong, _) | (_, Outcome::Absent | Outcome::Wrong) => {
            Some(false)
        }
        (Outcome::Unknown, _) | (_, Outcome::Unknown) => None,
    }
}

/// Looks at all domains by itself, daily, hourly where something needed is wrong, until `closing`.
pub(crate) async fn watch(context: AdminContext, dns: Dns, closing: CancellationToken) {
    let mut diary = Diary::default();
    let mut looks = JoinSet::new();
    loop {
        if let Err(error) = diary.plan(&context).await {
            tracing::debug!(%error, "findings about domains cannot be read now");
        }
        let room = LOOKS_MAX.saturating_sub(looks.len());
        for key in diary.due(context.clock.moment(), room) {
            let (context, dns) = (context.clone(), dns.clone());
            looks.spawn(async move {
                if let Some(seen) = look(&context, &dns, &key, LOOK_TIMEOUT).await
                    && let Err(error) = keep(&context, &key, &seen, &Caller::watch()).await
                {
                    tracing::warn!(%error, domain = %key.domain, "a look cannot be stored");
                }
                key
            });
        }
        tokio::select! {
            Some(done) = looks.join_next(), if !looks.is_empty() => {
                if let Ok(key) = done {
                    let pause = match context.findings.get(&context.store, &key).await {
                        Ok(Some(finding)) => finding.pause(),
                        Ok(None) | Err(_) => UNSTORED_PAUSE,
                    };
                    let stretch = 1.0 - JITTER + 2.0 * JITTER * context.chance.fraction();
                    diary.done(&key, context.clock.moment() + pause.mul_f64(stretch));
                }
            }
            () = context.clock.sleep(ROUND) => {}
            () = closing.cancelled() => return,
        }
    }
}

/// When each domain is looked at next. By steady time: a clock that is set changes nothing.
#[derive(Default)]
struct Diary(HashMap<ProofKey, Entry>);

struct Entry {
    /// As it was when it was planned: another one is looked at anew.
    domain: AcceptedDomain,
    at: Moment,
    is_under_way: bool,
}

impl Diary {
    /// Domains that are new, or changed, are due at once; those that have gone are forgotten.
    async fn plan(&mut self, context: &AdminContext) -> Result<(), StoreError> {
        let settings = context.store.settings();
        let mut before = std::mem::take(&mut self.0);
        for (key, owned) in settings.domains() {
            // Private names are said by hand: nobody outside needs to hear of them.
            if owned.domain.verification == Verification::Assumed {
                continue;
            }
            let entry = match before.remove(&key) {
                Some(entry) if entry.is_under_way || entry.domain == *owned.domain => entry,
                changed => Entry {
                    domain: owned.domain.clone(),
                    at: match changed {
                        Some(_) => context.clock.moment(),
                        None if awaits_bounces(&settings, &owned) => context.clock.moment(),
                        None => first(context, &key).await?,
                    },
                    is_under_way: false,
                },
            };
            self.0.insert(key, entry);
        }
        let gone = before.into_keys().filter(|key| !settings.has_domain(key));
        let gone: Vec<_> = gone.collect();
        let now = context.clock.now();
        for key in gone
            .iter()
            .filter(|key| settings.shown_bounces.contains_key(key))
        {
            let forgotten = BounceChange {
                key: key.clone(),
                shown: None,
                time: now,
                events: Vec::new(),
            };
            context.store.change_bounce(forgotten).await?;
        }
        context.findings.forget(&context.store, &gone, now).await
    }

    fn due(&mut self, now: Moment, room: usize) -> Vec<ProofKey> {
        let waiting = self.0.iter_mut();
        let waiting = waiting.filter(|(_, entry)| !entry.is_under_way && entry.at <= now);
        let due = waiting.take(room).map(|(key, entry)| {
            entry.is_under_way = true;
            key.clone()
        });
        due.collect()
    }

    fn done(&mut self, key: &ProofKey, next: Moment) {
        if let Some(entry) = self.0.get_mut(key) {
            (entry.at, entry.is_under_way) = (next, false);
        }
    }
}

/// Whether a bounce domain is wanted that DNS has not shown yet.
fn awaits_bounces(settings: &Settings, owned: &OwnedDomain<'_>) -> bool {
    let bounce = Domain::parse(&owned.domain.bounce_domain);
    bounce.is_ok_and(|bounce| !settings.is_bounce_domain_shown(owned, &bounce))
}

/// After a start: when the rest of the pause is over; never longer than a whole one.
async fn first(context: &AdminContext, key: &ProofKey) -> Result<Moment, StoreError> {
    let finding = context.findings.get(&context.store, key).await?;
    let left = finding.map(|finding| {
        let passed = context.clock.now().since(finding.looked_at());
        finding.pause().saturating_sub(passed)
    });
    Ok(context.clock.moment() + left.unwrap_or_default())
}

#[cfg(test)]
mod tests;
