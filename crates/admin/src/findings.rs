//! What was found out about the DNS of domains, kept on a shelf of the store: what changed since
//! the last look can be told after a restart too.
//!
//! Not here: looking (`desk`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use relais_policy::desk::{Check, Outcome, Words};
use relais_policy::proof::ProofKey;
use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;

use crate::lang::Lang;
use crate::words::Language;

/// The name of a self-check for people; its own where there is none.
pub fn name_of_check(language: Language, check: &str) -> String {
    let lang = Lang::of(Some(language.pick("en", "fr")), None);
    let name = lang.t(&format!("check-name-{check}"));
    match name.starts_with('[') {
        true => check.to_owned(),
        false => name,
    }
}

/// Behind the name of a check: what it was, what it is, and the sentence about it.
pub(crate) fn turned_in_french(before: &str, after: &str, sentence: &str) -> String {
    let quoted = |word| format!("«\u{202f}{word}\u{202f}»");
    let (before, after) = (quoted(before), quoted(after));
    format!(", de {before} à {after}\u{202f}: {sentence}")
}

fn outcome_in_french(outcome: &str) -> &str {
    match outcome {
        "good" => "correct",
        "wrong" => "incorrect",
        "unknown" => "inconnu",
        other => other,
    }
}

/// Between two looks while all is well.
const PAUSE: Duration = Duration::from_secs(86_400);
/// Between two looks while something needed is wrong: it is mended soon, and seen soon.
const WRONG_PAUSE: Duration = Duration::from_secs(3_600);

/// What was found out about a domain the last time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// When, in milliseconds since 1970.
    looked_at: i64,
    /// Each check that was made.
    checks: Vec<KeptCheck>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct KeptCheck {
    check: String,
    needed: bool,
    finding: String,
    detail: String,
    #[serde(default)]
    detail_fr: String,
}

impl KeptCheck {
    /// What became of it, which was something else before.
    fn turned_from(&self, before: &str) -> Words {
        let english = format!(
            "{} is {}, was {before}: {}",
            self.check, self.finding, self.detail
        );
        let (was, is) = (outcome_in_french(before), outcome_in_french(&self.finding));
        let name = name_of_check(Language::French, &self.check);
        let turned = turned_in_french(was, is, &self.detail_fr);
        Words::new(english, format!("{name}{turned}"))
    }
}

impl Finding {
    pub(crate) const fn looked_at(&self) -> Timestamp {
        Timestamp::from_millis(self.looked_at)
    }

    /// What is needed and not good.
    pub(crate) fn wrong(&self) -> impl Iterator<Item = &str> {
        let checks = self.checks.iter();
        checks
            .filter(|check| check.needed && check.finding != Outcome::Good.name())
            .map(|check| check.check.as_str())
    }

    /// What was found of one record, good or not; none where it was not looked at.
    pub(crate) fn of(&self, record: &str) -> Option<Result<Words, Words>> {
        let mut named = self.checks.iter().filter(|check| check.check == record);
        let first = named.clone().next()?;
        let wrong = named.find(|check| check.finding != Outcome::Good.name());
        let found = wrong.unwrap_or(first);
        let french = match found.detail_fr.as_str() {
            "" => &found.detail,
            french => french,
        };
        let words = Words::new(&found.detail, french);
        Some(if wrong.is_some() {
            Err(words)
        } else {
            Ok(words)
        })
    }

    /// Until the next look.
    pub(crate) fn pause(&self) -> Duration {
        if self.wrong().next().is_some() {
            WRONG_PAUSE
        } else {
            PAUSE
        }
    }

    /// From a look. What DNS did not say stays as it was: silence is no change.
    fn new(checks: &[Check], before: Option<&Self>, now: Timestamp) -> Self {
        let mut left: Vec<_> = before.map(|it| it.checks.clone()).unwrap_or_default();
        let mut kept = |check: &Check| {
            let at = left.iter().position(|it| it.check == check.name);
            let known = at.map(|at| left.remove(at));
            match known {
                Some(known) if check.outcome == Outcome::Unknown => known,
                _ => KeptCheck {
                    check: check.name.to_owned(),
                    needed: check.needed,
                    finding: check.outcome.name().to_owned(),
                    detail: check.words.english.clone(),
                    detail_fr: check.words.french.clone(),
                },
            }
        };
        Self {
            looked_at: now.as_millis(),
            checks: checks.iter().map(&mut kept).collect(),
        }
    }

    /// What turned out otherwise than the last time, each in a line; and whether any of it is
    /// needed.
    fn changes(&self, before: &Self) -> (Vec<Words>, bool) {
        let mut left: Vec<_> = before.checks.iter().collect();
        let (mut lines, mut is_grave) = (Vec::new(), false);
        for check in &self.checks {
            let Some(at) = left.iter().position(|it| it.check == check.check) else {
                continue;
            };
            let was = left.remove(at);
            if was.finding == check.finding {
                continue;
            }
            is_grave |= check.needed || was.needed;
            lines.push(check.turned_from(&was.finding));
        }
        (lines, is_grave)
    }
}

/// What was found out, by domain; read from the store once. Cheap to clone.
#[derive(Clone, Default)]
pub struct Findings(Arc<Mutex<Option<HashMap<String, Finding>>>>);

impl Findings {
    /// Of one domain.
    pub(crate) async fn get(
        &self,
        store: &Store,
        key: &ProofKey,
    ) -> Result<Option<Finding>, StoreError> {
        let mut known = self.0.lock().await;
        Ok(read(&mut known, store).await?.get(&name(key)).cloned())
    }

    /// Keeps what a look came to. What changed since the last one is told by `tell`: its lines, and
    /// whether any of it is needed.
    pub(crate) async fn keep(
        &self,
        store: &Store,
        key: &ProofKey,
        checks: &[Check],
        now: Timestamp,
        tell: impl FnOnce(ShelfChange, Vec<Words>, bool) -> ShelfChange,
    ) -> Result<(), StoreError> {
        let mut known = self.0.lock().await;
        let known = read(&mut known, store).await?;
        let before = known.get(&name(key));
        let finding = Finding::new(checks, before, now);
        let value = serde_json::to_string(&finding)
            .map_err(|error| StoreError::Fault(format!("a finding cannot be written: {error}")))?;
        let mut change = ShelfChange::new(Shelf::DnsFinding, now).put(name(key), value);
        let (lines, is_grave) = before.map(|it| finding.changes(it)).unwrap_or_default();
        if !lines.is_empty() {
            change = tell(change, lines, is_grave);
        }
        store.change_shelf(change).await?;
        known.insert(name(key), finding);
        Ok(())
    }

    /// Domains that nobody has any more.
    pub(crate) async fn forget(
        &self,
        store: &Store,
        keys: &[ProofKey],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut known = self.0.lock().await;
        let known = read(&mut known, store).await?;
        let mut change = ShelfChange::new(Shelf::DnsFinding, now);
        for name in keys.iter().map(name) {
            known.remove(&name);
            change = change.take(name);
        }
        store.change_shelf(change).await
    }
}

async fn read<'a>(
    known: &'a mut Option<HashMap<String, Finding>>,
    store: &Store,
) -> Result<&'a mut HashMap<String, Finding>, StoreError> {
    if known.is_none() {
        let entries = store.shelf(Shelf::DnsFinding).await?.into_iter();
        // One that cannot be read is of another version: it is found out anew.
        let read = |value: &str| serde_json::from_str(value).ok();
        let found = entries.filter_map(|entry| Some((entry.key, read(&entry.value)?)));
        *known = Some(found.collect());
    }
    Ok(known.get_or_insert_default())
}

fn name(key: &ProofKey) -> String {
    format!("{} {}", key.organisation, key.domain)
}
