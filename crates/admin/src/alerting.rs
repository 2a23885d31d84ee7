//! Watches: measures (`alerting/sensors.rs`), has it judged, and tells people
//! (`alerting/channels.rs`), again where a channel failed.

pub(crate) mod channels;
pub(crate) mod sensors;

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use relais_net::web::hooks::Hooks;
use relais_policy::alert::{State, Told, Turn};
use relais_smtp::time::Timestamp;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::trace::{Event, EventKind};

use self::channels::{Note, Post};
use self::sensors::Sensors;
use crate::alerts::{Plan, STATE, words};
use crate::context::AdminContext;

/// How often everything is measured.
const INTERVAL: Duration = Duration::from_secs(5);
/// Notes that wait to be tried again.
const NOTES_MAX: usize = 500;
/// Pauses before a note is tried again by a channel that failed.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// Measures, judges, tells; until the end of the server.
pub(crate) async fn run(context: AdminContext, hooks: Hooks, closing: CancellationToken) {
    let mut events = context.store.live();
    context.duties.alerts.load(&context.store).await;
    let mut sensors = Sensors::load(&context).await;
    let mut waiting: Vec<Waiting> = Vec::new();
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
                round(&context, &hooks, &mut sensors, &mut waiting).await;
            }
        }
    }
    sensors.keep(&context, true).await;
}

/// A note that a channel owes.
struct Waiting {
    channel: String,
    note: Note,
    tries: usize,
    next: Timestamp,
}

async fn round(
    context: &AdminContext,
    hooks: &Hooks,
    sensors: &mut Sensors,
    waiting: &mut Vec<Waiting>,
) {
    let plan = match Plan::read(&context.store).await {
        Ok(plan) => plan,
        Err(error) => return tracing::warn!(%error, "the plan of alerts cannot be read"),
    };
    let now = context.clock.now();
    let measures = sensors.measure(context, now).await;
    let (judged, state) = context.duties.alerts.judge(&plan, &measures, now);
    if let Some(state) = state {
        keep_state(context, &state, &judged.turned, now).await;
    }
    if !judged.note.is_empty() {
        let urgent = |told: &Told| {
            plan.rules
                .iter()
                .any(|it| it.kind == told.kind && it.urgent)
        };
        let note = Note {
            is_urgent: judged.note.iter().any(urgent),
            lines: judged.note,
        };
        for channel in plan.channels.iter().filter(|channel| channel.enabled) {
            if waiting.len() < NOTES_MAX {
                waiting.push(Waiting {
                    channel: channel.id.clone(),
                    note: note.clone(),
                    tries: 0,
                    next: now,
                });
            }
        }
    }
    send_due(context, hooks, &plan, waiting).await;
    sensors.keep(context, false).await;
}

async fn keep_state(context: &AdminContext, state: &State, turned: &[Told], now: Timestamp) {
    let text = serde_json::to_string(state).expect("texts and numbers can be written");
    let mut change = ShelfChange::new(Shelf::Alert, now).put(STATE, text);
    change.events = turned.iter().map(|told| event_of(told, now)).collect();
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

async fn send_due(context: &AdminContext, hooks: &Hooks, plan: &Plan, waiting: &mut Vec<Waiting>) {
    let now = context.clock.now();
    let (due, later): (Vec<_>, Vec<_>) = waiting.drain(..).partition(|one| one.next <= now);
    *waiting = later;
    for mut one in due {
        let Some(channel) = plan.channels.iter().find(|it| it.id == one.channel) else {
            continue;
        };
        let post = Post {
            context,
            hooks,
            channel,
        };
        if post.send(&one.note).await.is_ok() {
            continue;
        }
        if let Some(pause) = PAUSES.get(one.tries) {
            one.tries += 1;
            one.next = now.after(*pause);
            waiting.push(one);
        }
    }
}
