//! DKIM keys: made when a domain wants them, looked for in DNS, rotated and retired by themselves.
//! What a look means, and when the next key is due, is decided in `relais_policy::dkim`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use relais_net::authority;
use relais_net::clock::Moment;
use relais_net::dkim::{SigningKey, SigningKeyError};
use relais_policy::dkim::{DkimStanding, DomainKeys, Key, KeyChange, NewKey, TAG_LETTERS};
use relais_policy::document::Dkim;
use relais_policy::proof::{ProofKey, Said, Sighting, Source};
use relais_policy::settings::Settings;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use relais_store::dkim::DkimChange;
use relais_store::queue::StoreError;
use relais_store::secret::{SecretError, SecretKind, SecretName};
use relais_store::shelf::ShelfAudit;
use relais_store::trace::{Event, EventKind};

use crate::context::{AdminContext, Caller, Dns};
use crate::proving;

/// Between two rounds: a domain that was just added has its keys within this.
const ROUND: Duration = Duration::from_secs(1);
/// Looks under way at the same time.
const LOOKS_MAX: usize = 16;
/// Keys made in one round: an RSA key takes some 60 ms of a processor.
const KEYS_A_ROUND_MAX: usize = 32;
/// Until making a key that failed is tried again.
const FAILED_PAUSE: Duration = Duration::from_secs(60);
/// How often a result is stored anew when another change comes between.
const CONFLICTS_MAX: usize = 5;

/// Why keys cannot be made or changed now.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum KeysError {
    /// The domain is no accepted domain any more.
    #[error("The domain has just been removed.")]
    Gone,
    /// The settings do not want signatures.
    #[error("DKIM of {0} is switched off in the settings.")]
    Off(Domain),
    /// Both selectors of an algorithm are taken.
    #[error(
        "Both selectors are in use: the older key must stay in DNS for four days after its last \
         signature."
    )]
    NoSelector,
    /// Mail of the domain would leave unsigned.
    #[error(
        "It is the only key that signs mail of {0}: rotate first, or switch DKIM off in the settings."
    )]
    LastOne(Domain),
    /// There is no such key.
    #[error("There is no key with the selector {0}.")]
    NoKey(String),
    /// The private half cannot be kept.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// The store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Others kept changing the keys.
    #[error("The keys kept changing; try again.")]
    Conflict,
}

/// The keys of a domain and what the settings want of them.
pub(crate) struct Standing {
    pub(crate) keys: Option<DomainKeys>,
    pub(crate) wanted: Dkim,
}

/// Where a domain stands. `None`: it has gone.
pub(crate) fn standing(settings: &Settings, key: &ProofKey) -> Option<Standing> {
    let (_, owned) = settings.domains().find(|(one, _)| one == key)?;
    Some(Standing {
        keys: settings.dkim.get(&key.organisation, &key.domain).cloned(),
        wanted: owned.domain.dkim.clone(),
    })
}

/// How the signing of a domain stands, in a word.
pub(crate) fn standing_name(settings: &Settings, key: &ProofKey) -> &'static str {
    let standing = standing(settings, key);
    let of_keys = |one: Standing| one.keys.unwrap_or_default().standing(&one.wanted);
    standing.map_or(DkimStanding::Off, of_keys).name()
}

/// Makes these keys: private halves first, so that no key is listed that cannot sign.
pub(crate) async fn make(
    context: &AdminContext,
    of: &ProofKey,
    choose: impl Fn(&DomainKeys, &Dkim, Timestamp) -> Result<Vec<NewKey>, KeysError>,
    caller: &Caller,
) -> Result<Vec<Key>, KeysError> {
    for _ in 0..CONFLICTS_MAX {
        let now = context.clock.now();
        let Standing { keys, wanted } =
            standing(&context.store.settings(), of).ok_or(KeysError::Gone)?;
        let mut after = keys
            .clone()
            .unwrap_or_else(|| DomainKeys::new(tag(context)));
        if after.tag.is_empty() {
            // What stood here could not be read: other selectors than those of before.
            after.tag = tag(context);
        }
        let mut made = Vec::new();
        for new in choose(&after, &wanted, now)? {
            let key = generate(context, of, new, now).await?;
            after = after.with_key(key.clone());
            made.push(key);
        }
        if made.is_empty() {
            return Ok(made);
        }
        let lines = made
            .iter()
            .map(|key| format!("{} of {}", key.selector, of.domain));
        let change = DkimChange {
            key: of.clone(),
            before: keys,
            after: Some(after),
            time: now,
            audit: Some(audit(caller, "dkim.generated", of, lines)),
            events: Vec::new(),
        };
        if context.store.change_dkim(change).await? {
            return Ok(made);
        }
    }
    Err(KeysError::Conflict)
}

async fn generate(
    context: &AdminContext,
    of: &ProofKey,
    new: NewKey,
    now: Timestamp,
) -> Result<Key, KeysError> {
    let algorithm = new.algorithm.signing();
    let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
    let private = made.unwrap_or(Err(SigningKeyError::Failed))?;
    let (kept, public) = (private.to_secret()?, private.public()?);
    let name = secret_name(of, &new.selector);
    context.store.put_secret(&name, &kept, now, None).await?;
    Ok(Key::new(new.selector, new.algorithm, public, now))
}

/// Where the private half of a key is kept.
fn secret_name(of: &ProofKey, selector: &str) -> SecretName {
    let name = format!("{} {selector}", of.domain);
    SecretName::new(&*of.organisation, SecretKind::DkimKey, name)
}

fn tag(context: &AdminContext) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let letter = |_| {
        let at = usize::try_from(context.chance.below(32)).unwrap_or_default();
        char::from(LETTERS[at])
    };
    (0..TAG_LETTERS).map(letter).collect()
}

fn audit(
    caller: &Caller,
    act: &'static str,
    of: &ProofKey,
    lines: impl Iterator<Item = String>,
) -> ShelfAudit {
    let what = format!("organisation {}, domain {}", of.organisation, of.domain);
    ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act,
        detail: [what].into_iter().chain(lines).collect(),
    }
}

/// Changes states, tells what changed, and forgets the private halves of retired keys.
pub(crate) async fn change(
    context: &AdminContext,
    of: &ProofKey,
    caller: &Caller,
    make: impl Fn(&DomainKeys, &Dkim, Timestamp) -> Result<(DomainKeys, Vec<KeyChange>), KeysError>,
) -> Result<Vec<KeyChange>, KeysError> {
    for _ in 0..CONFLICTS_MAX {
        let (settings, now) = (context.store.settings(), context.clock.now());
        let Standing { keys, wanted } = standing(&settings, of).ok_or(KeysError::Gone)?;
        let Some(before) = keys else {
            return Ok(Vec::new());
        };
        let (after, changes) = make(&before, &wanted, now)?;
        let lines: Vec<_> = changes.iter().map(|one| one.describe(&of.domain)).collect();
        let event = |line: &String| Event {
            organisation: Some((*of.organisation).into()),
            detail: Some(line.as_str().into()),
            settings_version: Some(settings.version),
            ..Event::new(now, EventKind::CheckChanged)
        };
        let events = lines.iter().map(event).collect();
        let told = audit(caller, "dkim.changed", of, lines.into_iter());
        let stored = context.store.change_dkim(DkimChange {
            key: of.clone(),
            before: Some(before),
            after: Some(after),
            time: now,
            audit: (!changes.is_empty()).then_some(told),
            events,
        });
        if stored.await? {
            let retired = changes.iter().filter_map(|change| match change {
                KeyChange::Retired(selector) => Some(secret_name(of, selector)),
                _ => None,
            });
            let retired: Vec<_> = retired.collect();
            if !retired.is_empty() {
                context.store.forget_secrets(&retired, now, None).await?;
            }
            return Ok(changes);
        }
    }
    Err(KeysError::Conflict)
}

/// Looks for all keys of a domain now.
pub(crate) async fn look(
    context: &AdminContext,
    dns: &Dns,
    of: &ProofKey,
    caller: &Caller,
) -> Result<Vec<KeyChange>, KeysError> {
    let Standing { keys, .. } = standing(&context.store.settings(), of).ok_or(KeysError::Gone)?;
    let keys = keys.unwrap_or_default();
    let asked = keys.keys.iter().filter(|key| key.must_be_published());
    let asked = asked.map(|key| async {
        let name = Domain::parse(&format!("{}._domainkey.{}", key.selector, of.domain));
        let sightings = match name {
            Ok(name) => authority::texts(&dns.resolver, &name, dns.authority).await,
            Err(error) => vec![Sighting {
                source: Source::Resolver,
                server: key.selector.clone(),
                said: Said::Failed(error.to_string()),
            }],
        };
        (key.selector.clone(), sightings)
    });
    let sightings = futures_util::future::join_all(asked).await;
    let changes = change(context, of, caller, |before, wanted, now| {
        Ok(before.after_look(&sightings, wanted, now))
    });
    let changes = changes.await?;
    let settings = context.store.settings();
    let is_proved = (settings.domains()).any(|(key, owned)| key == *of && owned.is_verified());
    let is_news = changes
        .iter()
        .any(|one| matches!(one, KeyChange::Activated(_)));
    if is_news && !is_proved {
        // Whoever could publish our key has shown whose the domain is.
        proving::look(context, dns, of, caller).await?;
    }
    Ok(changes)
}

/// Makes, looks for, rotates and retires keys of all domains by itself, until `closing`.
pub(crate) async fn watch(context: AdminContext, dns: Dns, closing: CancellationToken) {
    let mut diary = Diary::default();
    let mut looks = JoinSet::new();
    loop {
        diary.tend(&context).await;
        let room = LOOKS_MAX.saturating_sub(looks.len());
        for key in diary.due(&context, room) {
            let (context, dns) = (context.clone(), dns.clone());
            looks.spawn(async move {
                if let Err(error) = look(&context, &dns, &key, &Caller::watch()).await {
                    tracing::warn!(%error, domain = %key.domain, "a look for DKIM keys is lost");
                }
                key
            });
        }
        tokio::select! {
            Some(done) = looks.join_next(), if !looks.is_empty() => {
                if let Ok(key) = done {
                    diary.done(&context, &key);
                }
            }
            () = context.clock.sleep(ROUND) => {}
            () = closing.cancelled() => return,
        }
    }
}

/// When each domain is looked at next, by steady time.
#[derive(Default)]
struct Diary {
    tended: Option<Arc<Settings>>,
    /// Not before: keys cannot be made now, or the next rotation is not due.
    tend_again: Option<Moment>,
    entries: HashMap<ProofKey, Entry>,
    /// Domains whose keys cannot be read, and an alarm was raised for it.
    damaged: HashSet<ProofKey>,
}

struct Entry {
    /// As they were when it was planned.
    keys: DomainKeys,
    at: Moment,
    is_under_way: bool,
}

/// How often it is asked whether a key is old enough to be followed by another.
const ROTATION_ROUND: Duration = Duration::from_secs(3_600);

impl Diary {
    /// Keys that are due are made, keys of domains that went are forgotten.
    async fn tend(&mut self, context: &AdminContext) {
        let (settings, now) = (context.store.settings(), context.clock.moment());
        let is_same = (self.tended.as_ref()).is_some_and(|tended| Arc::ptr_eq(tended, &settings));
        if is_same && self.tend_again.is_some_and(|again| again > now) {
            return;
        }
        let mut pause = ROTATION_ROUND;
        if let Err(error) = forget_gone(context, &settings).await {
            tracing::warn!(%error, "DKIM keys of domains that went stay");
            pause = FAILED_PAUSE;
        }
        self.alarm(context, &settings);
        let is_due = |key: &ProofKey| {
            standing(&settings, key).is_some_and(|standing| {
                let keys = standing.keys.unwrap_or_default();
                !keys.due(&standing.wanted, context.clock.now()).is_empty()
            })
        };
        let all = settings.domains().map(|(key, _)| key);
        let due: Vec<_> = all.filter(is_due).take(KEYS_A_ROUND_MAX).collect();
        let more = due.len() == KEYS_A_ROUND_MAX;
        for key in due {
            let choose = |keys: &DomainKeys, wanted: &Dkim, now| Ok(keys.due(wanted, now));
            if let Err(error) = make(context, &key, choose, &Caller::watch()).await {
                tracing::warn!(%error, domain = %key.domain, "no DKIM key can be made now");
                pause = FAILED_PAUSE;
            }
        }
        let settings = context.store.settings();
        self.plan(context, &settings);
        self.tended = Some(settings);
        self.tend_again = Some(now + if more { Duration::ZERO } else { pause });
    }

    /// Mail of domains whose keys cannot be read waits: a person must know.
    fn alarm(&mut self, context: &AdminContext, settings: &Settings) {
        let is_damaged = |key: &ProofKey| {
            standing(settings, key).is_some_and(|one| {
                one.keys.unwrap_or_default().standing(&one.wanted) == DkimStanding::Damaged
            })
        };
        let all = settings.dkim.iter().map(|(key, _)| key.clone());
        let damaged: HashSet<_> = all.filter(is_damaged).collect();
        for key in damaged.difference(&self.damaged) {
            let detail = format!(
                "what is known of the DKIM keys of {domain} cannot be read: its mail waits; restore \
                 a backup, or have new ones made: relais dkim generate {domain}",
                domain = key.domain
            );
            tracing::error!(organisation = %key.organisation, "{detail}");
            let mut event = Event::new(context.clock.now(), EventKind::AlertRaised);
            event.organisation = Some((*key.organisation).into());
            event.detail = Some(detail.into());
            context.store.record(event);
        }
        self.damaged = damaged;
    }

    fn plan(&mut self, context: &AdminContext, settings: &Settings) {
        let now = context.clock.moment();
        let mut entries = HashMap::new();
        for (key, keys) in settings.dkim.iter() {
            let wanted = standing(settings, key).is_some_and(|standing| standing.wanted.enabled);
            if !wanted {
                continue;
            }
            let known = self.entries.remove(key).filter(|entry| entry.keys == *keys);
            let entry = known.unwrap_or_else(|| Entry {
                keys: keys.clone(),
                at: now + wait(context, keys),
                is_under_way: false,
            });
            entries.insert(key.clone(), entry);
        }
        self.entries = entries;
    }

    fn due(&mut self, context: &AdminContext, room: usize) -> Vec<ProofKey> {
        let now = context.clock.moment();
        let due = self.entries.iter_mut();
        let due = due.filter(|(_, entry)| entry.at <= now && !entry.is_under_way);
        let begin = |(key, entry): (&ProofKey, &mut Entry)| {
            entry.is_under_way = true;
            key.clone()
        };
        due.take(room).map(begin).collect()
    }

    fn done(&mut self, context: &AdminContext, key: &ProofKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.is_under_way = false;
            entry.at = context.clock.moment() + FAILED_PAUSE;
        }
        let settings = context.store.settings();
        self.plan(context, &settings);
    }
}

/// How long until the next look; never longer than a whole pause, whatever the clock says.
fn wait(context: &AdminContext, keys: &DomainKeys) -> Duration {
    let passed = (keys.looked_at).map_or(Duration::ZERO, |last| context.clock.now().since(last));
    keys.pause().saturating_sub(passed)
}

async fn forget_gone(context: &AdminContext, settings: &Settings) -> Result<(), StoreError> {
    let gone = settings.dkim.iter();
    let gone = gone.filter(|(key, _)| standing(settings, key).is_none());
    for (key, keys) in gone {
        let now = context.clock.now();
        let forgotten = context.store.change_dkim(DkimChange {
            key: key.clone(),
            before: Some(keys.clone()),
            after: None,
            time: now,
            audit: None,
            events: Vec::new(),
        });
        if forgotten.await? {
            let names = keys.keys.iter().map(|one| secret_name(key, &one.selector));
            let names: Vec<_> = names.collect();
            context.store.forget_secrets(&names, now, None).await?;
        }
    }
    Ok(())
}
