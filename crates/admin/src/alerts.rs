//! Alerts: which rules there are, what is raised, and by which channels people hear of it. Plan and
//! state are on a shelf, so that an alert is raised once, whatever restarts.
//!
//! Not here: the decisions (`relais_policy::alert`); measuring and telling (`alerting`).

pub(crate) mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use relais_policy::alert::{Judged, Measure, QuietHours, Rule, RuleKind, State};
use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::secret::{SecretKind, SecretName};
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};
use relais_store::store::Store;
use serde::{Deserialize, Serialize};

/// Channels of one installation.
pub(crate) const CHANNELS_MAX: usize = 50;
const PLAN: &str = "plan";
pub(crate) const STATE: &str = "state";

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
            if plan.rules.iter().all(|rule| rule.kind != kind) {
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

    /// What was raised when the server stopped: none of it is told anew.
    pub(crate) async fn load(&self, store: &Store) {
        let text = match store.shelf_value(Shelf::Alert, STATE).await {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(%error, "what was raised cannot be read");
                None
            }
        };
        if let Some(state) = text.and_then(|text| serde_json::from_str(&text).ok()) {
            *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        }
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
