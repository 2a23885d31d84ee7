//! What checks found, kept on a shelf: the page shows it without looking again, and what changed
//! can be told after a restart too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use relais_policy::check::{Check, Group, Verdict};
use relais_policy::desk::Words;
use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;
use relais_store::trace::{Event, EventKind};

use super::safety::Evidence;
use super::{now, worst};
use crate::context::{AdminContext, Phase};
use crate::findings::{name_of_check, turned_in_french};
use crate::lang::Lang;
use crate::language::Language;

/// The evidence's key beside the checks.
const EVIDENCE_KEY: &str = "=open-relay-evidence";
/// The newest backup's.
const BACKUP_KEY: &str = "=backup";

/// A check as kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct KeptCheck {
    pub(crate) name: String,
    pub(crate) subject: String,
    group: String,
    verdict: String,
    /// The last one that was no silence.
    known: String,
    /// Since when the known verdict stands, in milliseconds since 1970.
    since_ms: i64,
    checked_ms: i64,
    words: [String; 2],
    why: [String; 2],
    fix: [String; 2],
}

impl KeptCheck {
    /// Against what was known of it.
    fn new(check: &Check, before: Option<&Self>, now: Timestamp) -> Self {
        let both = |words: &Words| [words.english.clone(), words.french.clone()];
        let verdict = check.verdict.name();
        let known = match before {
            Some(before) if check.verdict == Verdict::Unknown => before.known.clone(),
            _ => verdict.to_owned(),
        };
        let since = before.filter(|before| before.known == known);
        Self {
            name: check.name.to_owned(),
            subject: check.subject.clone(),
            group: check.group.name().to_owned(),
            verdict: verdict.to_owned(),
            since_ms: since.map_or(now.as_millis(), |before| before.since_ms),
            known,
            checked_ms: now.as_millis(),
            words: both(&check.words),
            why: both(&check.why),
            fix: both(&check.fix),
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::parse(&self.verdict).unwrap_or(Verdict::Unknown)
    }

    /// Whether this was its verdict when it last had one.
    pub(crate) fn is_known_to_be(&self, verdict: Verdict) -> bool {
        self.known == verdict.name()
    }

    pub(crate) fn group(&self) -> Option<Group> {
        Group::parse(&self.group)
    }

    pub(crate) fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.since_ms)
    }

    fn checked_at(&self) -> Timestamp {
        Timestamp::from_millis(self.checked_ms)
    }

    /// In the reader's language, 0 English and 1 French: the sentence, why, how to mend.
    pub(crate) fn texts(&self, language: usize) -> [&str; 3] {
        [&self.words, &self.why, &self.fix]
            .map(|both| both.get(language).map(String::as_str).unwrap_or_default())
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "check": self.name,
            "subject": self.subject,
            "group": self.group,
            "verdict": self.verdict,
            "since": self.since().to_rfc3339(),
            "checked_at": self.checked_at().to_rfc3339(),
            "detail": self.words[0], "detail_fr": self.words[1],
            "why": self.why[0], "why_fr": self.why[1],
            "fix": self.fix[0], "fix_fr": self.fix[1],
        })
    }
}

/// What is kept, read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) checks: Vec<KeptCheck>,
    pub(crate) evidence: Option<Evidence>,
}

impl Kept {
    /// The newest look.
    pub(crate) fn checked_at(&self) -> Option<Timestamp> {
        self.checks.iter().map(KeptCheck::checked_at).max()
    }

    /// The gravest of all.
    pub(crate) fn worst(&self) -> Verdict {
        worst(self.checks.iter().map(KeptCheck::verdict))
    }

    /// `{"verdict","checked_at","checks":[…],"evidence"}`
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "verdict": self.worst().name(),
            "checked_at": self.checked_at().map(Timestamp::to_rfc3339),
            "checks": self.checks.iter().map(KeptCheck::to_json).collect::<Vec<_>>(),
            "evidence": self.evidence,
        })
    }
}

/// From the shelf. What another version wrote is found out anew.
pub(crate) async fn kept(store: &Store) -> Result<Kept, StoreError> {
    let mut kept = Kept::default();
    for entry in store.shelf(Shelf::Check).await? {
        match entry.key.as_str() {
            BACKUP_KEY => {}
            EVIDENCE_KEY => kept.evidence = serde_json::from_str(&entry.value).ok(),
            _ => kept
                .checks
                .extend(serde_json::from_str::<KeptCheck>(&entry.value)),
        }
    }
    let place = |one: &KeptCheck| (one.group(), one.name.clone(), one.subject.clone());
    kept.checks.sort_by_key(place);
    Ok(kept)
}

fn key(name: &str, subject: &str) -> String {
    format!("{name} {subject}")
}

/// Keeps what a run over these groups found; what changed becomes an event each. Of a run that did
/// not end (`is_whole`) the rest stays as it was. Without a server nothing is kept.
pub(crate) async fn keep(
    context: &AdminContext,
    groups: &[Group],
    found: Vec<Check>,
    is_whole: bool,
) -> Result<Kept, StoreError> {
    let (store, time) = (&context.store, now(context));
    let before = kept(store).await?;
    let key_of = |one: &KeptCheck| key(&one.name, &one.subject);
    let known: BTreeMap<_, _> = before.checks.iter().map(|one| (key_of(one), one)).collect();
    let mut change = ShelfChange::new(Shelf::Check, time);
    // Two looks may tell the same, as the clock by a time server and by a mail server: the first.
    let mut fresh = BTreeMap::new();
    for check in &found {
        let name = key(check.name, &check.subject);
        let old = known.get(&name).copied();
        let new = KeptCheck::new(check, old, time);
        if fresh.contains_key(&name) && new.verdict() == Verdict::Unknown {
            continue;
        }
        fresh.insert(name, new);
    }
    for (name, new) in &fresh {
        let value = serde_json::to_string(new)
            .map_err(|error| StoreError::Fault(format!("a check cannot be written: {error}")))?;
        change
            .events
            .extend(known.get(name).and_then(|old| told(old, new, time)));
        change = change.put(name, value);
    }
    // What a whole look at its group did not find any more has gone: a listener, a domain.
    let missing: Vec<_> = before
        .checks
        .iter()
        .filter(|one| {
            one.group().is_none_or(|group| groups.contains(&group))
                && !fresh.contains_key(&key_of(one))
        })
        .cloned()
        .collect();
    for one in missing {
        if is_whole {
            change = change.take(key_of(&one));
        } else {
            fresh.insert(key_of(&one), one);
        }
    }
    if context.readiness.phase() != Phase::NotRunning {
        store.change_shelf(change).await?;
    }
    let evidence = kept(store).await?.evidence;
    let mut checks: Vec<_> = fresh.into_values().collect();
    checks.sort_by_key(|one| (one.group(), one.name.clone(), one.subject.clone()));
    Ok(Kept { checks, evidence })
}

/// `check.changed`; silence is no change.
fn told(old: &KeptCheck, new: &KeptCheck, time: Timestamp) -> Option<Event> {
    if old.known == new.known {
        return None;
    }
    let subject = match new.subject.as_str() {
        "" => String::new(),
        subject => format!(" {subject}"),
    };
    let [words, french] = &new.words;
    let detail = format!(
        "{}{subject} is {}, was {}: {words}",
        new.name, new.known, old.known
    );
    let lang = Lang::of(Some("fr"), None);
    let verdict = |known: &str| lang.t(&format!("verdict-{known}"));
    let turned = turned_in_french(&verdict(&old.known), &verdict(&new.known), french);
    let name = name_of_check(Language::French, &new.name);
    Some(Event {
        detail: Some(detail.into()),
        detail_fr: Some(format!("{name}{subject}{turned}").into()),
        ..Event::new(time, EventKind::CheckChanged)
    })
}

/// The evidence of the newest self-test.
pub(super) async fn keep_evidence(
    context: &AdminContext,
    evidence: &Evidence,
) -> Result<(), StoreError> {
    let value = serde_json::to_string(evidence)
        .map_err(|error| StoreError::Fault(format!("evidence cannot be written: {error}")))?;
    let change = ShelfChange::new(Shelf::Check, now(context)).put(EVIDENCE_KEY, value);
    context.store.change_shelf(change).await
}

/// A backup was made.
pub(crate) async fn note_backup(store: &Store, time: Timestamp) -> Result<(), StoreError> {
    let change = ShelfChange::new(Shelf::Check, time).put(BACKUP_KEY, time.to_rfc3339());
    store.change_shelf(change).await
}

/// When the newest was.
pub(super) async fn last_backup(store: &Store) -> Option<Timestamp> {
    let value = store.shelf_value(Shelf::Check, BACKUP_KEY).await.ok()?;
    Timestamp::parse_rfc3339(&value?)
}
