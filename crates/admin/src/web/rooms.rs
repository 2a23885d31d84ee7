//! Rooms in which one connector is listened to: what its devices and we say is kept for a while, so
//! that a page without script, one that was reloaded and a second reader see the same.
//!
//! Not here: what may be told (the sessions), and for whom (`api::listen`).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use relais_net::clock::{Clock, Moment};
use relais_smtp::time::Timestamp;
use relais_store::trace::{Event, EventKind};

/// Rooms at the same time: one for each person who stands beside a device.
const ROOMS_MAX: usize = 32;
/// Lines kept in a room: a message has about twenty.
const LINES_MAX: usize = 400;
/// Fates of messages kept in a room.
const FATES_MAX: usize = 200;
/// A room that nobody looks into is closed after this.
const UNSEEN_MAX: Duration = Duration::from_secs(15 * 60);
/// Between two looks whether somebody is still there.
const ROUND: Duration = Duration::from_secs(30);
/// Longest line of our own API, in octets.
const LINE_OCTETS_MAX: usize = 64 << 10;

/// All rooms. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Rooms(Arc<tokio::sync::Mutex<HashMap<Door, Room>>>);

/// Which room.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Door {
    pub(super) organisation: String,
    /// The inbound connector.
    pub(super) name: String,
    /// Whose code leads there: what was said before somebody came by it is not for them. Empty:
    /// the room of the admin centre.
    pub(super) code: String,
}

/// One of them. Cheap to clone.
#[derive(Clone)]
pub(super) struct Room(Arc<Shared>);

struct Shared {
    kept: Mutex<Kept>,
    /// Grows with each change.
    changed: watch::Sender<u64>,
    organisation: String,
}

struct Kept {
    lines: VecDeque<Value>,
    fates: VecDeque<Event>,
    looked_at: Moment,
    is_closed: bool,
}

impl Rooms {
    /// Goes in; from here on nothing that is said is missed. `listen` is asked where nobody is in
    /// there yet.
    pub(super) async fn enter<E>(
        &self,
        clock: &Clock,
        door: Door,
        live: impl FnOnce() -> Receiver<Arc<[Event]>>,
        listen: impl Future<Output = Result<Body, E>>,
    ) -> Result<Room, E> {
        let mut rooms = self.0.lock().await;
        rooms.retain(|_, room| !room.is_closed());
        if let Some(room) = rooms.get(&door) {
            room.kept().looked_at = clock.moment();
            return Ok(room.clone());
        }
        if rooms.len() >= ROOMS_MAX {
            let oldest = rooms.iter().min_by_key(|(_, room)| room.kept().looked_at);
            let oldest = oldest.map(|(key, _)| key.clone());
            if let Some(room) = oldest.and_then(|key| rooms.remove(&key)) {
                room.close();
            }
        }
        let live = live();
        let body = listen.await?;
        let room = Room::new(&door.organisation, clock.moment());
        rooms.insert(door, room.clone());
        tokio::spawn(record(room.clone(), body, live, clock.clone()));
        Ok(room)
    }
}

impl Room {
    fn new(organisation: &str, now: Moment) -> Self {
        Self(Arc::new(Shared {
            kept: Mutex::new(Kept {
                lines: VecDeque::new(),
                fates: VecDeque::new(),
                looked_at: now,
                is_closed: false,
            }),
            changed: watch::Sender::new(0),
            organisation: organisation.to_owned(),
        }))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was said so far, and what became of messages.
    pub(super) fn so_far(&self) -> (Vec<Value>, Vec<Event>) {
        let kept = self.kept();
        (
            kept.lines.iter().cloned().collect(),
            kept.fates.iter().cloned().collect(),
        )
    }

    /// The same from a time on.
    pub(super) fn since(&self, time: Timestamp) -> (Vec<Value>, Vec<Event>) {
        let (mut lines, fates) = self.so_far();
        let said = |line: &Value| Timestamp::parse_rfc3339(line["time"].as_str()?);
        lines.retain(|line| said(line).is_some_and(|said| said >= time));
        (lines, fates)
    }

    /// Hears of changes, until the room is closed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.kept().is_closed
    }

    /// Begins anew: what was said before is forgotten.
    pub(super) fn clear(&self) {
        let mut kept = self.kept();
        kept.lines.clear();
        kept.fates.clear();
        drop(kept);
        self.ring();
    }

    fn ring(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }

    fn close(&self) {
        self.kept().is_closed = true;
        self.ring();
    }

    fn hear(&self, line: Value) {
        let mut kept = self.kept();
        if kept.lines.len() >= LINES_MAX {
            kept.lines.pop_front();
        }
        kept.lines.push_back(line);
    }

    /// Fates of the organisation's messages: which of them were taken here is known later.
    fn learn(&self, event: &Event) -> bool {
        let is_fate = matches!(
            event.kind,
            EventKind::RecipientDelivered
                | EventKind::RecipientDeferred
                | EventKind::RecipientFailed
        );
        let is_ours = event.organisation.as_deref() == Some(&*self.0.organisation);
        if !is_fate || !is_ours {
            return false;
        }
        let mut kept = self.kept();
        if kept.fates.len() >= FATES_MAX {
            kept.fates.pop_front();
        }
        kept.fates.push_back(event.clone());
        true
    }
}

/// Until the server ends, or nobody has looked for long.
async fn record(room: Room, body: Body, mut live: Receiver<Arc<[Event]>>, clock: Clock) {
    let mut lines = Lines {
        body: body.into_data_stream(),
        rest: Vec::new(),
    };
    loop {
        tokio::select! {
            heard = lines.next() => match heard {
                Some(heard) => {
                    heard.into_iter().for_each(|line| room.hear(line));
                    room.ring();
                }
                None => break,
            },
            events = live.recv() => match events {
                Ok(events) => {
                    if events.iter().filter(|event| room.learn(event)).count() > 0 {
                        room.ring();
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
            () = clock.sleep(ROUND) => {}
        }
        let unseen = clock.moment().duration_since(room.kept().looked_at);
        let is_watched = room.0.changed.receiver_count() > 0;
        if room.is_closed() || (!is_watched && unseen >= UNSEEN_MAX) {
            break;
        }
    }
    room.close();
}

/// Lines of JSON out of a body.
struct Lines {
    body: BodyDataStream,
    rest: Vec<u8>,
}

impl Lines {
    /// The next ones; `None` at the end.
    async fn next(&mut self) -> Option<Vec<Value>> {
        let octets = self.body.next().await?.ok()?;
        self.rest.extend_from_slice(&octets);
        let mut lines = Vec::new();
        while let Some(end) = self.rest.iter().position(|octet| *octet == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            lines.extend(serde_json::from_slice(&line).ok());
        }
        if self.rest.len() > LINE_OCTETS_MAX {
            self.rest.clear();
        }
        Some(lines)
    }
}
