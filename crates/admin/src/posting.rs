//! Posts events to webhooks: hears what happens, tries, tries again.
//!
//! Not here: what is owed (`webhooks/outbox.rs`); what a post is (`webhooks`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use relais_net::web::hooks::{HookRequest, Hooks};
use relais_store::trace::Event;

use crate::context::AdminContext;
use crate::people::hexadecimal;
use crate::webhooks::{Delivery, DeliveryState, Webhook, keys_of, list, put, signature};

/// Posts at the same time.
const POSTS_MAX: usize = 16;
/// Of them, to one webhook: a receiver that does not answer holds up itself.
const POSTS_EACH_MAX: usize = 2;
/// How often is looked what is due.
const TICK: Duration = Duration::from_secs(1);
/// How often old deliveries are taken away.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);
/// Octets of an event in a post. Standard Webhooks: below 20 kB.
const DATA_OCTETS_MAX: usize = 19 * 1_024;

/// Until the end of the server.
pub(crate) async fn run(context: AdminContext, hooks: Hooks, closing: CancellationToken) {
    // From now on: what happens while the rest is read is heard too.
    let events = context.store.live();
    if let Err(error) = context.duties.outbox.load(&context.store).await {
        tracing::warn!(%error, "what webhooks are owed cannot be read");
    }
    // Side by side: receivers that take their time must not keep us from hearing.
    let work = async { tokio::join!(listen(&context, events), post(&context, &hooks)) };
    tokio::select! {
        () = closing.cancelled() => {}
        _ = work => {}
    }
}

/// Writes down what is owed for what happens.
async fn listen(context: &AdminContext, mut events: broadcast::Receiver<Arc<[Event]>>) {
    let mut hooks_change = context.duties.outbox.hooks_change();
    let mut known = known_hooks(context).await;
    loop {
        tokio::select! {
            biased;
            // The sender lives as long as the outbox.
            _ = hooks_change.changed() => known = known_hooks(context).await,
            heard = events.recv() => match heard {
                Ok(batch) => hear(context, &known, &batch).await,
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "webhooks were too slow for what happened");
                }
                Err(RecvError::Closed) => return,
            },
        }
    }
}

/// Posts what is due.
async fn post(context: &AdminContext, hooks: &Hooks) {
    let outbox = &context.duties.outbox;
    let mut hooks_change = outbox.hooks_change();
    let mut known = known_hooks(context).await;
    let mut swept = context.clock.now();
    let (mut trying, mut tries) = (BTreeSet::new(), FuturesUnordered::new());
    loop {
        let now = context.clock.now();
        let room = (POSTS_MAX - trying.len(), POSTS_EACH_MAX);
        for (key, one) in outbox.due(&trying, room, now).await {
            let hook = known.iter().find(|hook| hook.id == one.hook).cloned();
            trying.insert(key.clone());
            tries.push(async move { (key, attempt(context, hooks, hook.as_ref(), one).await) });
        }
        if now.since(swept) >= SWEEP_INTERVAL {
            swept = now;
            if let Err(error) = outbox.sweep(&context.store, now).await {
                tracing::warn!(%error, "old deliveries of webhooks stay");
            }
        }
        tokio::select! {
            Some((key, one)) = tries.next() => {
                let is_gone = one.tries.last().and_then(|last| last.status) == Some(410);
                if let Some(hook) = known.iter_mut().find(|hook| is_gone && hook.id == one.hook) {
                    switch_off(context, hook).await;
                }
                trying.remove(&key);
                keep(context, key, one).await;
            }
            _ = hooks_change.changed() => known = known_hooks(context).await,
            () = outbox.owed() => {}
            () = context.clock.sleep(TICK) => {}
        }
    }
}

async fn known_hooks(context: &AdminContext) -> Vec<Webhook> {
    list(&context.store).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "webhooks cannot be read");
        Vec::new()
    })
}

async fn hear(context: &AdminContext, known: &[Webhook], batch: &[Event]) {
    let now = context.clock.now();
    let mut owed = Vec::new();
    for event in batch {
        for hook in known.iter().filter(|hook| hook.wants(event)) {
            let data = event.to_json();
            if data.len() > DATA_OCTETS_MAX {
                continue;
            }
            let id = format!("msg_{}", hexadecimal(&context.chance.octets::<12>()));
            owed.push(Delivery::new(hook, event.kind.name(), &data, id, now));
        }
    }
    if owed.is_empty() {
        return;
    }
    if let Err(error) = context.duties.outbox.owe(&context.store, owed, now).await {
        tracing::warn!(%error, "what webhooks are owed cannot be written down");
    }
}

/// The receiver said that it is gone. Standard Webhooks, "Handling failures".
async fn switch_off(context: &AdminContext, hook: &mut Webhook) {
    hook.enabled = false;
    hook.fault = Some("the receiver said 410 Gone".to_owned());
    if let Err(error) = put(&context.store, hook, context.clock.now(), None).await {
        tracing::warn!(%error, "a webhook that is gone cannot be switched off");
    }
    context.duties.outbox.ring();
}

async fn keep(context: &AdminContext, key: String, one: Delivery) {
    let now = context.clock.now();
    let kept = context.duties.outbox.keep(&context.store, (key, one), now);
    if let Err(error) = kept.await {
        tracing::warn!(%error, "a try of a webhook is not written down");
    }
}

async fn attempt(
    context: &AdminContext,
    hooks: &Hooks,
    hook: Option<&Webhook>,
    mut one: Delivery,
) -> Delivery {
    let now = context.clock.now();
    let Some(hook) = hook.filter(|hook| hook.enabled) else {
        one.state = DeliveryState::Failed;
        return one;
    };
    let jitter = context.chance.below(u64::from(u32::MAX));
    let keys = match keys_of(&context.store, hook, now).await {
        Ok(keys) => keys,
        Err(error) => {
            one.tried(None, &format!("no key to sign with: {error}"), jitter, now);
            return one;
        }
    };
    let seconds = now.as_millis().div_euclid(1_000);
    let request = HookRequest {
        address: hook.address.clone(),
        media_type: "application/json",
        headers: vec![
            ("webhook-id", one.id.clone()),
            ("webhook-timestamp", seconds.to_string()),
            (
                "webhook-signature",
                signature(&keys, &one.id, seconds, &one.body),
            ),
            ("user-agent", "Relais".to_owned()),
        ],
        body: one.body.clone().into_bytes(),
        allow_private: hook.allow_private,
    };
    match hooks.post(request).await {
        Ok(answer) => one.tried(Some(answer.status), &answer.text, jitter, now),
        Err(error) => one.tried(None, &error.to_string(), jitter, now),
    }
    one
}
