//! Alerts: which rules there are, what is raised, and by which channels people hear of it. Plan and
//! state are on a shelf, so that an alert is raised once, whatever restarts.
//!
//! Not here: the decisions (`relais_policy::alert`); measuring and telling (`alerting`).

pub(crate) mod words;
pub(crate) mod fitting;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relais_policy::alert::{Judged, Measure, Owed, QuietHours, Rule, RuleKind, Scope, State, Told};
use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::secret::{SecretKind, SecretName};
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};
use relais_store::store::Store;
use serde::{Deserialize, Serialize};

/// Channels of one installation.
pub(crate) const CHANNELS_MAX: usize = 50;
/// Rules for some mail only: each has windows of its own.
pub(crate) const SCOPED_RULES_MAX: usize = 50;
const PLAN: &str = "plan";
pub(crate) const STATE: &str = "state";
/// Of what a channel owes; its id follows.
const OWED: &str = "owed ";

/// How people hear of alerts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChannelKind {
    /// JSON with all of it.
    Webhook,
    /// `{"text"}`, as Slack, Mattermost, Rocket.Chat take it.
    Slack,
    /// A card, as Teams takes it.
    Teams,
    /// Text, as ntfy takes it.
    Ntfy,
    /// A mail, handed to a mail server of its own: not by the queue, which may be what fails.
    Mail,
}

impl ChannelKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Ntfy => "ntfy",
            Self::Mail => "mail",
        }
    }
}

/// One way to people. Its address is a secret: whoever has it may write there.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Channel {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: ChannelKind,
    /// The host of the address.
    pub(crate) host: String,
    /// Of mail.
    #[serde(default)]
    pub(crate) to: Vec<String>,
    pub(crate) enabled: bool,
    pub(crate) allow_private: bool,
    /// `en`, `fr`.
    pub(crate) language: String,
}

impl Channel {
    pub(crate) fn secret_name(&self) -> SecretName {
        SecretName::new(
            "",
            SecretKind::WebhookKey,
            format!("alert channel {}", self.id),
        )
    }
}

/// What a person wants.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Plan {
    pub(crate) rules: Vec<Rule>,
    pub(crate) quiet: Option<QuietHours>,
    pub(crate) channels: Vec<Channel>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            rules: RuleKind::ALL.into_iter().map(Rule::of).collect(),
            quiet: None,
            channels: Vec::new(),
        }
    }
}

impl Plan {
    pub(crate) async fn read(store: &Store) -> Result<Self, StoreError> {
        let text = store.shelf_value(Shelf::Alert, PLAN).await?;
        let kept: Option<Self> = text.and_then(|text| serde_json::from_str(&text).ok());
        let mut plan = kept.unwrap_or_default();
        // Rules that a later version knows.
        for kind in RuleKind::ALL {
            if !plan.rules.iter().any(|rule| rule.is(kind, &Scope::ALL)) {
                plan.rules.push(Rule::of(kind));
            }
        }
        Ok(plan)
    }

    pub(crate) async fn keep(
        &self,
        store: &Store,
        audit: ShelfAudit,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_string(self).expect("texts and numbers can be written");
        let change = ShelfChange::new(Shelf::Alert, now)
            .put(PLAN, text)
            .audited(audit);
        store.change_shelf(change).await
    }
}

/// What is raised, and how the channels did. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Alerts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    said: Mutex<HashMap<String, Said>>,
    /// By channel.
    owed: Mutex<BTreeMap<String, Owed>>,
    /// A plan is changed by one at a time.
    changing: tokio::sync::Mutex<()>,
}

/// What a channel came to the last time.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) at: Timestamp,
    /// None: it went well.
    pub(crate) fault: Option<String>,
}

impl Alerts {
    pub(crate) async fn alone(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.changing.lock().await
    }

    /// A copy of what is raised.
    pub(crate) fn state(&self) -> State {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }

    pub(crate) fn said(&self, channel: &str) -> Option<Said> {
        let said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(channel).cloned()
    }

    pub(crate) fn note_said(&self, channel: &str, said: Said) {
        let mut all = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < CHANNELS_MAX * 2 || all.contains_key(channel) {
            all.insert(channel.to_owned(), said);
        }
    }

    /// What was raised when the server stopped, none of which is told anew; and what people were
    /// not told yet.
    pub(crate) async fn load(&self, store: &Store, now: Timestamp) {
        let entries = match store.shelf(Shelf::Alert).await {
            Ok(entries) => entries,
            Err(error) => return tracing::warn!(%error, "what was raised cannot be read"),
        };
        for entry in entries {
            if entry.key == STATE
                && let Ok(state) = serde_json::from_str(&entry.value)
            {
                *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
            }
            if let Some(channel) = entry.key.strip_prefix(OWED)
                && let Ok(mut owed) = serde_json::from_str::<Owed>(&entry.value)
            {
                owed.begin_again(now);
                self.lock_owed().insert(channel.to_owned(), owed);
            }
        }
    }

    fn lock_owed(&self) -> MutexGuard<'_, BTreeMap<String, Owed>> {
        self.0.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines that this channel owes people.
    pub(crate) fn owed(&self, channel: &str) -> usize {
        let owed = self.lock_owed();
        owed.get(channel).map_or(0, |owed| owed.lines.len())
    }

    /// Each channel owes this note; what is to be kept of it.
    pub(crate) fn owe(
        &self,
        plan: &Plan,
        lines: &[Told],
        now: Timestamp,
        mut change: ShelfChange,
    ) -> ShelfChange {
        if lines.is_empty() {
            return change;
        }
        let urgent = |told: &Told| {
            let mut rules = plan.rules.iter();
            rules.any(|rule| rule.is(told.kind, &told.scope) && rule.urgent)
        };
        let is_urgent = lines.iter().any(urgent);
        let mut all = self.lock_owed();
        for channel in plan.channels.iter().filter(|channel| channel.enabled) {
            let owed = all.entry(channel.id.clone());
            let owed = owed.or_insert_with(|| Owed::new(now));
            owed.add(lines, is_urgent);
            change = kept(change, &channel.id, owed);
        }
        change
    }

    /// What is to be told now, by which channels.
    pub(crate) fn due(&self, plan: &Plan, now: Timestamp) -> Vec<(Channel, Owed)> {
        let all = self.lock_owed();
        let due = all.iter().filter(|(_, owed)| owed.is_due(plan.quiet, now));
        let due = due.filter_map(|(id, owed)| {
            let mut channels = plan.channels.iter();
            let channel = channels.find(|it| it.id == *id && it.enabled)?;
            Some((channel.clone(), owed.clone()))
        });
        due.collect()
    }

    /// A channel told what it owed, or not.
    pub(crate) fn tried(
        &self,
        channel: &Channel,
        is_told: bool,
        change: ShelfChange,
    ) -> ShelfChange {
        let mut all = self.lock_owed();
        let Some(owed) = all.get_mut(&channel.id) else {
            return change;
        };
        if !is_told {
            if owed.failed(change.time) {
                return kept(change, &channel.id, owed);
            }
            let (channel, lines) = (&channel.name, owed.lines.len());
            tracing::warn!(
                channel,
                lines,
                "alerts were never told: the channel failed for a week"
            );
        }
        all.remove(&channel.id);
        change.take(format!("{OWED}{}", channel.id))
    }

    /// Channels that are gone owe nothing.
    pub(crate) fn forgive(&self, plan: &Plan, mut change: ShelfChange) -> ShelfChange {
        let mut all = self.lock_owed();
        all.retain(|id, _| {
            let is_there = plan.channels.iter().any(|it| it.id == *id && it.enabled);
            if !is_there {
                change.taken.push(format!("{OWED}{id}"));
            }
            is_there
        });
        change
    }

    /// What follows from measures; with the new state if it is another one.
    pub(crate) fn judge(
        &self,
        plan: &Plan,
        measures: &[Measure],
        now: Timestamp,
    ) -> (Judged, Option<State>) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.clone();
        let judged = state.judge(&plan.rules, plan.quiet, measures, now);
        let changed = (*state != before).then(|| state.clone());
        (judged, changed)
    }
}

fn kept(change: ShelfChange, channel: &str, owed: &Owed) -> ShelfChange {
    let text = serde_json::to_string(owed).expect("texts and numbers can be written");
    change.put(format!("{OWED}{channel}"), text)
}
