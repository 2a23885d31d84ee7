//! Proof of domains: tokens for those without, and looks into DNS, asked for by a person or made by
//! itself. What a look means is decided in `relais_policy::proof`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use relais_net::authority;
use relais_net::clock::Moment;
use relais_policy::document::Verification;
use relais_policy::proof::{Finding, Proof, ProofKey, ProofToken, Sighting, TOKEN_OCTETS, judge};
use relais_policy::settings::Settings;
use relais_smtp::time::Timestamp;
use relais_store::proof::ProofChange;
use relais_store::queue::StoreError;

use crate::context::{AdminContext, Caller, Dns};

/// Looks under way at the same time.
const LOOKS_MAX: usize = 16;
/// The longest rest between two looks into the diary, whatever it says.
const REST_MAX: Duration = Duration::from_secs(60);
/// The shortest: what could not be done at once is not tried without a pause.
const REST_MIN: Duration = Duration::from_secs(1);
/// A pause is longer or shorter by up to this part of it, so that looks spread over the day.
const JITTER: f64 = 0.1;
/// Until a look whose result could not be stored is made again.
const UNSTORED_PAUSE: Duration = Duration::from_secs(60);
/// How often a result is stored anew when another change comes between.
const CONFLICTS_MAX: usize = 5;

/// What a look came to.
pub(crate) struct Looked {
    /// What each server said.
    pub(crate) sightings: Vec<Sighting>,
    /// What that comes to.
    pub(crate) finding: Finding,
    /// The record is there, and another organisation has the domain.
    pub(crate) taken: bool,
    /// The proof afterwards.
    pub(crate) proof: Proof,
}

/// Makes tokens for domains that have none. They are wanted the moment that a person adds a domain.
pub(crate) async fn make_tokens(context: &AdminContext) -> Result<(), StoreError> {
    let settings = context.store.settings();
    let now = context.clock.now();
    let bare = settings.domains().map(|(key, _)| key);
    let bare = bare.filter(|key| settings.proof(&key.organisation, &key.domain).is_none());
    for key in bare.collect::<Vec<_>>() {
        let change = ProofChange {
            key,
            before: None,
            after: Proof::new(token(context), now),
            actor: "Relais".to_owned(),
            via: "start".into(),
            time: now,
        };
        // False: somebody else was faster, or the domain has gone.
        context.store.change_proof(change).await?;
    }
    Ok(())
}

fn token(context: &AdminContext) -> ProofToken {
    let mut octets = [0; TOKEN_OCTETS];
    for octet in &mut octets {
        *octet = u8::try_from(context.chance.below(256)).unwrap_or_default();
    }
    ProofToken::from_octets(octets)
}

/// Looks now, and stores what it came to. `None`: the domain has gone meanwhile.
pub(crate) async fn look(
    context: &AdminContext,
    dns: &Dns,
    key: &ProofKey,
    caller: &Caller,
) -> Result<Option<Looked>, StoreError> {
    let sightings = authority::texts(&dns.resolver, &key.domain, dns.authority).await;
    let mut conflicts = 0;
    loop {
        let settings = context.store.settings();
        let Some(before) = settings.proof(&key.organisation, &key.domain) else {
            return Ok(None);
        };
        let (mut finding, mut words) = judge(&before.token, &sightings);
        let now = context.clock.now();
        let keys = settings.dkim.get(&key.organisation, &key.domain);
        if finding != Finding::Present
            && let Some(shown) = keys.and_then(|keys| keys.proves(now))
        {
            finding = Finding::Present;
            words = format!("DNS shows the DKIM key {}; {words}", shown.selector);
        }
        let taken = finding == Finding::Present
            && !before.standing.is_in_force()
            && settings.is_taken(&key.organisation, &key.domain);
        if taken {
            words.push_str("; the domain is another organisation's as long as its proof holds");
        }
        let proof = before.after(finding, taken, &words, now);
        let stored = context.store.change_proof(ProofChange {
            key: key.clone(),
            before: Some(before.clone()),
            after: proof.clone(),
            actor: caller.actor.to_string(),
            via: caller.via,
            time: now,
        });
        if stored.await? {
            return Ok(Some(Looked {
                sightings,
                finding,
                taken,
                proof,
            }));
        }
        conflicts += 1;
        if conflicts == CONFLICTS_MAX {
            let because = format!("the proof of {} kept changing; try again", key.domain);
            return Err(StoreError::Fault(because));
        }
    }
}

/// Looks at all domains by itself, as often as each needs it, until `closing`.
pub(crate) async fn watch(context: AdminContext, dns: Dns, closing: CancellationToken) {
    let mut diary = Diary::default();
    let mut looks = JoinSet::new();
    loop {
        if let Err(error) = make_tokens(&context).await {
            tracing::debug!(%error, "tokens of domains cannot be stored now");
        }
        let room = LOOKS_MAX - looks.len().min(LOOKS_MAX);
        for key in diary.due(&context, room) {
            let (context, dns) = (context.clone(), dns.clone());
            looks.spawn(async move {
                if let Err(error) = look(&context, &dns, &key, &Caller::watch()).await {
                    tracing::warn!(%error, domain = %key.domain, "a look cannot be stored");
                }
                key
            });
        }
        tokio::select! {
            Some(done) = looks.join_next(), if !looks.is_empty() => {
                if let Ok(key) = done {
                    diary.done(&key, context.clock.moment());
                }
            }
            () = context.clock.sleep(diary.rest(&context)) => {}
            () = dns.changed.notified() => {}
            () = closing.cancelled() => return,
        }
    }
}

/// When each domain is looked at next. By steady time: a clock that is set changes nothing.
#[derive(Default)]
struct Diary {
    planned: Option<Arc<Settings>>,
    entries: HashMap<ProofKey, Entry>,
    under_way: HashSet<ProofKey>,
    /// The earliest entry.
    next: Option<Moment>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The look that it comes after.
    looked_at: Option<Timestamp>,
    at: Moment,
}

impl Diary {
    /// What is to be looked at now, at most `room`; it is under way from then on.
    fn due(&mut self, context: &AdminContext, room: usize) -> Vec<ProofKey> {
        let settings = context.store.settings();
        let now = context.clock.moment();
        let is_same =
            (self.planned.as_ref()).is_some_and(|planned| Arc::ptr_eq(planned, &settings));
        if !is_same {
            self.plan(context, &settings);
            self.planned = Some(settings);
        }
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let due = self.entries.iter().filter(|(_, entry)| entry.at <= now);
        let due = due
            .map(|(key, _)| key)
            .filter(|key| !self.under_way.contains(*key));
        let due = due.take(room).cloned().collect::<Vec<_>>();
        self.under_way.extend(due.iter().cloned());
        due
    }

    /// How long nothing is due.
    fn rest(&self, context: &AdminContext) -> Duration {
        let now = context.clock.moment();
        let until = self
            .next
            .map_or(REST_MAX, |next| next.saturating_duration_since(now));
        until.clamp(REST_MIN, REST_MAX)
    }

    /// A look that could not be stored is made again after a while.
    fn done(&mut self, key: &ProofKey, now: Moment) {
        self.under_way.remove(key);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.at = now + UNSTORED_PAUSE;
        }
        self.next = self.entries.values().map(|entry| entry.at).min();
    }

    fn plan(&mut self, context: &AdminContext, settings: &Settings) {
        let mut entries = HashMap::new();
        for (key, owned) in settings.domains() {
            // Private names are said by hand: nobody outside needs to hear of them.
            if owned.domain.verification == Verification::Assumed {
                continue;
            }
            let Some(proof) = settings.proof(&key.organisation, &key.domain) else {
                continue;
            };
            let known = self.entries.get(&key).copied();
            let known = known.filter(|entry| entry.looked_at == proof.looked_at);
            let entry = known.unwrap_or_else(|| Entry {
                looked_at: proof.looked_at,
                at: context.clock.moment() + wait(context, proof),
            });
            entries.insert(key, entry);
        }
        self.next = entries.values().map(|entry| entry.at).min();
        self.entries = entries;
    }
}

/// How long until the next look; never longer than a whole pause, whatever the clock says.
fn wait(context: &AdminContext, proof: &Proof) -> Duration {
    let stretch = 1.0 - JITTER + 2.0 * JITTER * context.chance.fraction();
    let pause = proof.pause().mul_f64(stretch);
    let passed = (proof.looked_at).map_or(Duration::ZERO, |last| context.clock.now().since(last));
    pause.saturating_sub(passed)
}

#[cfg(test)]
pub(crate) mod tests;
