//! A simulated connection: two directions of octets in memory, with latency and faults on tokio's
//! (paused) time. Deterministic: the same calls in the same order give the same octets at the same
//! moments.
//!
//! Not here: addresses, listeners, who gets which fault (`simulation`).

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::Sleep;

use crate::clock::{Chance, Moment};

/// Octets under way in one direction before a writer has to wait: about a socket buffer.
const DIRECTION_OCTETS_MAX: usize = 64 * 1_024;

/// Which end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The one who dialled.
    Dialler,
    /// The one who listened.
    Listener,
}

/// How a connection behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// Between these, drawn for each write.
    pub(crate) latency: (Duration, Duration),
    /// Reset once this side has sent that many octets.
    pub(crate) reset_after: Option<(Side, u64)>,
    /// At most so many octets for each read.
    pub(crate) octets_per_read_max: Option<usize>,
}

/// Both directions of one connection; shared by its two ends and the simulated network.
pub(crate) struct Link {
    state: Mutex<State>,
    behaviour: Behaviour,
    chance: Chance,
}

#[derive(Default)]
struct State {
    /// Octets on their way, by the side that sent them.
    directions: [Direction; 2],
    reset: bool,
    /// Partitioned: nothing arrives until it heals.
    stalled: bool,
}

#[derive(Default)]
struct Direction {
    chunks: VecDeque<Chunk>,
    buffered: usize,
    sent: u64,
    /// The writer closed: end of file behind the chunks, at this moment.
    closed: Option<Moment>,
    /// The reader is gone: writing gives `BrokenPipe`.
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Chunk {
    arrives: Moment,
    octets: Vec<u8>,
    taken: usize,
}

/// What a reader finds.
enum Arrived {
    Octets,
    EndOfFile,
    Reset,
    /// Something is on its way until then.
    Later(Moment),
    Nothing,
}

/// One end of a simulated connection.
pub(crate) struct PipeEnd {
    link: Arc<Link>,
    side: Side,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Two ends without latency or faults.
pub(crate) fn pair() -> (PipeEnd, PipeEnd) {
    let (_, near, far) = connect(Behaviour::default(), Chance::seeded(0));
    (near, far)
}

/// A connection: the link, the dialler's end, the listener's end.
pub(crate) fn connect(behaviour: Behaviour, chance: Chance) -> (Arc<Link>, PipeEnd, PipeEnd) {
    let link = Arc::new(Link {
        state: Mutex::default(),
        behaviour,
        chance,
    });
    let end = |side| PipeEnd {
        link: Arc::clone(&link),
        side,
        timer: None,
    };
    let (dialler, listener) = (end(Side::Dialler), end(Side::Listener));
    (link, dialler, listener)
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Dialler => 0,
            Self::Listener => 1,
        }
    }
}

impl Link {
    /// Breaks the connection for both ends; octets under way are lost.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        state.reset = true;
        state.wake_all();
    }

    /// Holds back everything that is sent, or lets it go on.
    pub(crate) fn stall(&self, stalled: bool) {
        let mut state = self.lock();
        state.stalled = stalled;
        state.wake_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latency(&self) -> Duration {
        let (least, most) = self.behaviour.latency;
        let spread = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(self.chance.below(spread.saturating_add(1)))
    }
}

impl State {
    fn wake_all(&mut self) {
        for direction in &mut self.directions {
            wake(&mut direction.reader);
            wake(&mut direction.writer);
        }
    }

    fn arrived(&self, from: Side) -> Arrived {
        if self.reset {
            return Arrived::Reset;
        }
        if self.stalled {
            return Arrived::Nothing;
        }
        let direction = &self.directions[from.index()];
        let now = Moment::now();
        match (direction.chunks.front(), direction.closed) {
            (Some(chunk), _) if chunk.arrives <= now => Arrived::Octets,
            (Some(chunk), _) => Arrived::Later(chunk.arrives),
            (None, Some(closed)) if closed <= now => Arrived::EndOfFile,
            (None, Some(closed)) => Arrived::Later(closed),
            (None, None) => Arrived::Nothing,
        }
    }

    /// Takes what has arrived; the caller has seen `Arrived::Octets`.
    fn take(&mut self, from: Side, room: &mut [u8]) -> usize {
        let now = Moment::now();
        let direction = &mut self.directions[from.index()];
        let mut filled = 0;
        while filled < room.len()
            && let Some(chunk) = direction.chunks.front_mut()
            && chunk.arrives <= now
        {
            let count = (chunk.octets.len() - chunk.taken).min(room.len() - filled);
            room[filled..filled + count]
                .copy_from_slice(&chunk.octets[chunk.taken..chunk.taken + count]);
            chunk.taken += count;
            filled += count;
            if chunk.taken == chunk.octets.len() {
                direction.chunks.pop_front();
            }
        }
        direction.buffered -= filled;
        wake(&mut direction.writer);
        filled
    }
}

fn wake(slot: &mut Option<Waker>) {
    if let Some(waker) = slot.take() {
        waker.wake();
    }
}

fn reset_error() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl PipeEnd {
    /// Waits until a read gives something: octets, the end, or an error.
    pub(crate) async fn readable(&self) {
        let mut timer = None;
        poll_fn(|context| self.poll_arrival(context, &mut timer)).await;
    }

    pub(crate) fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut state = self.link.lock();
        match state.arrived(self.side.other()) {
            Arrived::Octets => {
                let most = self
                    .link
                    .behaviour
                    .octets_per_read_max
                    .unwrap_or(usize::MAX);
                let room_len = room.len().min(most);
                Ok(state.take(self.side.other(), &mut room[..room_len]))
            }
            Arrived::EndOfFile => Ok(0),
            Arrived::Reset => Err(reset_error()),
            Arrived::Later(_) | Arrived::Nothing => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut timer = self.timer.take();
        let arrival = self.poll_arrival(context, &mut timer);
        self.timer = timer;
        if arrival.is_pending() {
            return Poll::Pending;
        }
        let count = self.try_read(buffer.initialize_unfilled())?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }

    fn poll_arrival(
        &self,
        context: &mut Context<'_>,
        timer: &mut Option<Pin<Box<Sleep>>>,
    ) -> Poll<()> {
        loop {
            let later = {
                let mut state = self.link.lock();
                let later = match state.arrived(self.side.other()) {
                    Arrived::Octets | Arrived::EndOfFile | Arrived::Reset => {
                        return Poll::Ready(());
                    }
                    Arrived::Later(moment) => Some(moment),
                    Arrived::Nothing => None,
                };
                let direction = &mut state.directions[self.side.other().index()];
                direction.reader = Some(context.waker().clone());
                later
            };
            let Some(moment) = later else {
                *timer = None;
                return Poll::Pending;
            };
            let sleep = timer.insert(Box::pin(tokio::time::sleep_until(moment)));
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    pub(crate) fn try_write(&self, octets: &[u8]) -> io::Result<usize> {
        let mut state = self.link.lock();
        let direction = &mut state.directions[self.side.index()];
        let (closed, gone) = (direction.closed.is_some(), direction.reader_gone);
        let room = DIRECTION_OCTETS_MAX.saturating_sub(direction.buffered);
        if state.reset {
            return Err(reset_error());
        }
        if closed || gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if octets.is_empty() {
            return Ok(0);
        }
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(self.send(&mut state, &octets[..octets.len().min(room)]))
    }

    fn send(&self, state: &mut State, octets: &[u8]) -> usize {
        let arrives = Moment::now() + self.link.latency();
        let direction = &mut state.directions[self.side.index()];
        let before = direction.chunks.back().map(|chunk| chunk.arrives);
        direction.sent += octets.len() as u64;
        direction.buffered += octets.len();
        direction.chunks.push_back(Chunk {
            // Octets never overtake each other.
            arrives: before.map_or(arrives, |before| before.max(arrives)),
            octets: octets.to_vec(),
            taken: 0,
        });
        wake(&mut direction.reader);
        let sent = direction.sent;
        if self
            .link
            .behaviour
            .reset_after
            .is_some_and(|(side, most)| side == self.side && sent >= most)
        {
            state.reset = true;
            state.wake_all();
        }
        octets.len()
    }

    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.try_write(octets) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut state = self.link.lock();
                state.directions[self.side.index()].writer = Some(context.waker().clone());
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }

    /// Closes our direction: the peer reads the end of file behind what was sent.
    pub(crate) fn close(&self) {
        let arrives = Moment::now() + self.link.latency();
        let mut state = self.link.lock();
        let direction = &mut state.directions[self.side.index()];
        let last = direction
            .chunks
            .back()
            .map_or(arrives, |chunk| chunk.arrives.max(arrives));
        direction.closed.get_or_insert(last);
        wake(&mut direction.reader);
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.close();
        let mut state = self.link.lock();
        let incoming = &mut state.directions[self.side.other().index()];
        incoming.reader_gone = true;
        incoming.reader = None;
        wake(&mut incoming.writer);
    }
}

impl fmt::Debug for PipeEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PipeEnd")
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}
