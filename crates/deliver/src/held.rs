//! The end of what was held and released by nobody: one notice to each person about all of it. A
//! notice about each message would be a flood, as what is held is often thousands of one device.
//!
//! The notice is stored before the messages end: a crash between the two tells once more, never
//! less.

use std::collections::BTreeMap;
use std::sync::Arc;

use relais_policy::document::Language;
use relais_policy::notice::{Addressee, addressee};
use relais_policy::settings::Settings;
use relais_smtp::address::Mailbox;
use relais_smtp::dsn::{Summarised, Summary, summarise};
use relais_smtp::time::Timestamp;
use relais_store::queue::{Content, Leased, LeasedRecipient, NewMessage};

use crate::connection::Shared;
use crate::notice;
use crate::settle::By;

/// Messages of one notice, and held in memory until it is made; more are another notice's.
const MESSAGES_MAX: usize = 1_000;

/// Messages whose time is up, by who is told.
#[derive(Default)]
pub(crate) struct Ending {
    groups: BTreeMap<(Arc<str>, String), Group>,
    count: usize,
}

struct Group {
    to: Mailbox,
    language: Language,
    messages: Vec<Leased>,
}

impl Ending {
    /// Takes a message that was held; gives back one that was not, or that nobody is told about.
    pub(crate) fn take(&mut self, settings: &Settings, mut leased: Leased) -> Option<Leased> {
        let was_held = |one: &LeasedRecipient| one.held && !one.give_up;
        let mut recipients = leased.recipients.iter();
        if !recipients.all(was_held) || told(&leased).next().is_none() {
            return Some(leased);
        }
        let facts = &leased.facts;
        let (found, language) = addressee(
            settings,
            &facts.organisation,
            facts.inbound_connector.as_deref(),
            &facts.reverse_path,
        );
        let to = match found {
            Addressee::ReversePath(to) | Addressee::Owner(to) | Addressee::Postmaster(to) => to,
            Addressee::Nobody { .. } => return Some(leased),
        };
        if facts.is_notice {
            return Some(leased);
        }
        let key = (Arc::clone(&facts.organisation), to.to_string());
        let group = self.groups.entry(key).or_insert_with(|| Group {
            to,
            language,
            messages: Vec::new(),
        });
        if !group.messages.is_empty() {
            // Only a message alone is returned.
            leased.content = Content::Inline(Arc::default());
        }
        group.messages.push(leased);
        self.count += 1;
        None
    }

    /// Whether there are as many as one notice tells of.
    pub(crate) fn is_full(&self) -> bool {
        self.count >= MESSAGES_MAX
    }

    /// Tells, and ends them.
    pub(crate) async fn end(&mut self, shared: &Shared, by: &By) {
        self.count = 0;
        for ((organisation, _), group) in std::mem::take(&mut self.groups) {
            if let [alone] = group.messages.as_slice() {
                shared.settler.end(alone, by).await;
                continue;
            }
            let context = &shared.context;
            let now = context.clock.now();
            let message = group.notice(shared, &organisation, now);
            let (queue_id, to) = (message.facts.queue_id, Arc::from(group.to.to_string()));
            if let Err(error) = context.store.commit(message).await {
                // Their leases run out, and they come again.
                tracing::warn!(%error, "what was held cannot end yet: its notice is not stored");
                continue;
            }
            for leased in &group.messages {
                shared.settler.end_told(leased, by, (&to, queue_id)).await;
            }
        }
    }
}

/// Those of its recipients about whom somebody wants to know.
fn told(leased: &Leased) -> impl Iterator<Item = &LeasedRecipient> {
    let all = leased.recipients.iter();
    all.filter(|one| one.recipient.wants_failure_notice())
}

impl Group {
    fn notice(&self, shared: &Shared, organisation: &Arc<str>, now: Timestamp) -> NewMessage {
        let context = &shared.context;
        let queue_id = context.store.next_queue_id(now);
        let messages: Vec<_> = self.messages.iter().map(summarised).collect();
        let octets = summarise(&Summary {
            hostname: &context.options.hostname,
            from_domain: &notice::sender_domain(&context.options, &self.to),
            to: &self.to,
            language: notice::language(self.language),
            now,
            queue_id: &queue_id.to_string(),
            messages: &messages,
        });
        let settings = context.store.settings();
        let mut message = notice::message(&settings, organisation, &self.to, queue_id, octets, now);
        let to = self.to.to_string().into();
        let mut accepted = notice::accepted(&message.facts, to, queue_id);
        let words = format!("notice about {} messages that were held", messages.len());
        accepted.detail = Some(words.into());
        message.events.push(accepted);
        message
    }
}

fn summarised(leased: &Leased) -> Summarised {
    let facts = &leased.facts;
    let mut to = told(leased).map(|one| one.recipient.forward_path.to_string());
    Summarised {
        queue_id: facts.queue_id.to_string(),
        arrival: facts.accepted_at,
        from: facts.reverse_path.to_string(),
        to: to.next().unwrap_or_default(),
        others: to.count(),
        subject: facts.subject.as_deref().unwrap_or_default().to_owned(),
    }
}
