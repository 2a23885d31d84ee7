//! Watches: measures (`alerting/sensors.rs`), has it judged, and tells people
//! (`alerting/channels.rs`), again and over restarts where a channel failed.

pub(crate) mod channels;
pub(crate) mod sensors;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use relais_net::web::hooks::Hooks;
use relais_policy::alert::{Told, Turn};
use relais_smtp::time::Timestamp;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::trace::{Event, EventKind};

use self::channels::{Note, Post};
use self::sensors::Sensors;
use crate::alerts::{Plan, STATE, words};
use crate::context::AdminContext;

/// How often everything is measured.
const INTERVAL: Duration = Duration::from_secs(5);

/// Measures, judges, tells; until the end of the server.
pub(crate) async fn run(context: AdminContext, hooks: Hooks, closing: CancellationToken) {
    let mut events = context.store.live();
    let now = context.clock.now();
    context.duties.alerts.load(&context.store, now).await;
    let mut sensors = Sensors::load(&context).await;
    match Plan::read(&context.store).await {
        Ok(plan) => sensors.watch(&plan.rules),
        Err(error) => tracing::warn!(%error, "the plan of alerts cannot be read"),
    }
    let mut next = context.clock.moment() + INTERVAL;
    loop {
        tokio::select! {
            () = closing.cancelled() => break,
            heard = events.recv() => match heard {
                Ok(batch) => batch.iter().for_each(|event| sensors.hear(event)),
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "alerts were too slow for what happened");
                }
                Err(RecvError::Closed) => break,
            },
            () = context.clock.sleep_until(next) => {
                next = context.clock.moment() + INTERVAL;
                round(&context, &hooks, &mut sensors).await;
            }
        }
    }
    sensors.keep(&context, true).await;
}

async fn round(context: &AdminContext, hooks: &Hooks, sensors: &mut Sensors) {
    let plan = match Plan::read(&context.store).await {
        Ok(plan) => plan,
        Err(error) => return tracing::warn!(%error, "the plan of alerts cannot be read"),
    };
    let now = context.clock.now();
    sensors.watch(&plan.rules);
    let measures = sensors.measure(context, now).await;
    let alerts = &context.duties.alerts;
    let (judged, state) = alerts.judge(&plan, &measures, now);
    // What is raised, and to whom that is owed, together: else a death in between keeps it secret.
    let mut change = ShelfChange::new(Shelf::Alert, now);
    if let Some(state) = state {
        let text = serde_json::to_string(&state).expect("texts and numbers can be written");
        change = change.put(STATE, text);
    }
    let turned = judged.turned.iter();
    change.events = turned.map(|told| event_of(told, now)).collect();
    change = alerts.owe(&plan, &judged.note, now, change);
    change = alerts.forgive(&plan, change);
    keep(context, change).await;
    tell(context, hooks, &plan, now).await;
    sensors.keep(context, false).await;
}

async fn keep(context: &AdminContext, change: ShelfChange) {
    if change.put.is_empty() && change.taken.is_empty() && change.events.is_empty() {
        return;
    }
    if let Err(error) = context.store.change_shelf(change).await {
        tracing::warn!(%error, "what is raised cannot be written down");
    }
}

/// For the trace: `alert.raised`, and `check.changed` when it is over.
fn event_of(told: &Told, now: Timestamp) -> Event {
    let kind = match told.turn {
        Turn::Raised => EventKind::AlertRaised,
        Turn::Cleared => EventKind::CheckChanged,
    };
    let mut event = Event::new(now, kind);
    event.detail = Some(words::line(told, crate::words::Language::English).into());
    event
}

/// All channels at the same time: one that hangs delays no other.
async fn tell(context: &AdminContext, hooks: &Hooks, plan: &Plan, now: Timestamp) {
    let due = context.duties.alerts.due(plan, now);
    let tries = due.into_iter().map(|(channel, owed)| async move {
        let note = Note::of(owed, now);
        let post = Post {
            context,
            hooks,
            channel: &channel,
        };
        let is_told = post.send(&note).await.is_ok();
        (channel, is_told)
    });
    let tries = join_all(tries).await;
    let mut change = ShelfChange::new(Shelf::Alert, context.clock.now());
    for (channel, is_told) in tries {
        change = context.duties.alerts.tried(&channel, is_told, change);
    }
    keep(context, change).await;
}
