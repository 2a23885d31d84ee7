//! The octets of one session: reading without a buffer while nothing comes, writing, and the time
//! that each request may take (RFC 5321 §4.5.3.2).
//!
//! Time is kept for each request, not for each read: a client that sends one octet a minute is cut
//! as if it sent nothing. Not here: what the octets mean (`session`, `relais_smtp::server`).

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::WaitForCancellationFutureOwned;

use relais_net::clock::{Clock, Deadline, Moment};
use relais_net::stream::Stream;
use relais_net::tls::{HandshakeFault, ServerTls, TlsSession};
use relais_smtp::server::Wait;

use crate::shared::{
    COMMAND_TIMEOUT, CONTENT_BLOCK_OCTETS, CONTENT_TIMEOUT, HANDSHAKE_TIMEOUT, SESSION_TIMEOUT,
    WRITE_TIMEOUT,
};

/// Octets read at once. Allocated when something comes and freed when nothing is left: an idle
/// session has no buffer.
const READ_OCTETS: usize = 32 * 1_024;
/// Room for replies that an idle session keeps.
const IDLE_OUTPUT_OCTETS: usize = 512;
/// After a refusal we read what the peer still sends for so long, so that our last reply is not
/// lost by a reset of the connection. RFC 9112 §9.6 describes the same for HTTP.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// And no more than this.
const LINGER_OCTETS_MAX: usize = 1_024 * 1_024;

/// The octets of one session.
pub(crate) struct Wire {
    /// `None`: a handshake failed, and the connection is closed.
    stream: Option<Stream>,
    clock: Clock,
    /// Read, and not yet used from `used` on.
    unread: Vec<u8>,
    used: usize,
    deadline: Deadline,
    session_ends: Moment,
    /// What the deadline is for; `None`: a request ended, the next read begins another.
    request: Option<Wait>,
    /// Octets of the block of content under way.
    block: u64,
}

/// How a read ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReadEnd {
    /// There are more octets.
    Octets,
    /// The peer closed its direction.
    EndOfFile,
    /// The request took too long.
    TimedOut,
    /// The server ends.
    Draining,
    /// The connection is broken.
    Broken,
}

/// Why there is no TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NoTls {
    /// The handshake failed.
    Fault(HandshakeFault),
    /// It took too long.
    TimedOut,
}

/// The connection is broken, or the peer does not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct WireBroken;

impl Wire {
    pub(crate) fn new(stream: Stream, clock: Clock) -> Self {
        let session_ends = clock.moment() + SESSION_TIMEOUT;
        let deadline = Deadline::new(clock.moment() + COMMAND_TIMEOUT);
        Self {
            stream: Some(stream),
            clock,
            unread: Vec::new(),
            used: 0,
            deadline,
            session_ends,
            request: None,
            block: 0,
        }
    }

    /// Does the handshake; whatever was read before is thrown away. If it fails, the connection is
    /// closed.
    pub(crate) async fn start_tls(&mut self, tls: &ServerTls) -> Result<TlsSession, NoTls> {
        self.unread = Vec::new();
        self.used = 0;
        let stream = self.stream.take();
        let stream = stream.ok_or(NoTls::Fault(HandshakeFault::Silent))?;
        self.deadline
            .set((self.clock.moment() + HANDSHAKE_TIMEOUT).min(self.session_ends));
        let accepted = self.deadline.guard(tls.accept(stream)).await;
        let (stream, session) = accepted
            .map_err(|_| NoTls::TimedOut)?
            .map_err(NoTls::Fault)?;
        self.stream = Some(stream);
        self.request = None;
        Ok(session)
    }

    /// Octets read and not yet used.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.unread[self.used..]
    }

    /// The first `count` of them are used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.used += count;
        debug_assert!(self.used <= self.unread.len(), "only what was read is used");
    }

    /// Waits for more octets within the time of the request. With `draining`, the end of the server
    /// ends the wait.
    pub(crate) async fn read(
        &mut self,
        wait: Wait,
        mut draining: Option<Pin<&mut WaitForCancellationFutureOwned>>,
    ) -> ReadEnd {
        self.begin(wait);
        self.unread.drain(..self.used);
        self.used = 0;
        let before = self.unread.len();
        let end = poll_fn(|context| self.poll_read(context, draining.as_mut())).await;
        self.count(wait, self.unread.len() - before);
        end
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        draining: Option<&mut Pin<&mut WaitForCancellationFutureOwned>>,
    ) -> Poll<ReadEnd> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(ReadEnd::Broken);
        };
        self.unread.reserve(READ_OCTETS);
        match pin!(stream.read_buf(&mut self.unread)).poll(context) {
            Poll::Ready(Ok(0)) => return Poll::Ready(ReadEnd::EndOfFile),
            Poll::Ready(Ok(_)) => return Poll::Ready(ReadEnd::Octets),
            Poll::Ready(Err(_)) => return Poll::Ready(ReadEnd::Broken),
            // The buffer is not kept while nothing comes; a line under way keeps its own octets.
            Poll::Pending => self.unread.shrink_to_fit(),
        }
        if draining.is_some_and(|draining| draining.as_mut().poll(context).is_ready()) {
            return Poll::Ready(ReadEnd::Draining);
        }
        self.deadline
            .poll_passed(context)
            .map(|()| ReadEnd::TimedOut)
    }

    /// Sets the time limit where a new request begins.
    fn begin(&mut self, wait: Wait) {
        if self.request == Some(wait) {
            return;
        }
        self.request = Some(wait);
        self.block = 0;
        self.limit(match wait {
            Wait::Command => COMMAND_TIMEOUT,
            Wait::Content => CONTENT_TIMEOUT,
        });
    }

    /// Each whole block of content gets its own time.
    fn count(&mut self, wait: Wait, octets: usize) {
        if wait != Wait::Content {
            return;
        }
        self.block += octets as u64;
        if self.block >= CONTENT_BLOCK_OCTETS {
            self.block %= CONTENT_BLOCK_OCTETS;
            self.limit(CONTENT_TIMEOUT);
        }
    }

    fn limit(&mut self, timeout: Duration) {
        self.deadline
            .set((self.clock.moment() + timeout).min(self.session_ends));
    }

    /// Sends all of `output` and empties it. What follows is a new request.
    pub(crate) async fn send(&mut self, output: &mut Vec<u8>) -> Result<(), WireBroken> {
        if output.is_empty() {
            return Ok(());
        }
        self.request = None;
        let stream = self.stream.as_mut().ok_or(WireBroken)?;
        let sent = match stream.try_write(output) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Err(WireBroken),
        };
        if sent < output.len() {
            self.deadline.set(self.clock.moment() + WRITE_TIMEOUT);
            let rest = async {
                stream.write_all(&output[sent..]).await?;
                stream.flush().await
            };
            self.deadline
                .guard(rest)
                .await
                .map_err(|_| WireBroken)?
                .map_err(|_| WireBroken)?;
        }
        output.clear();
        if output.capacity() > IDLE_OUTPUT_OCTETS {
            *output = Vec::new();
        }
        Ok(())
    }

    /// Closes after the last reply was sent.
    pub(crate) async fn close(mut self, linger: Linger) {
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        self.deadline.set(self.clock.moment() + LINGER_TIMEOUT);
        let farewell = self.deadline.guard(stream.shutdown()).await;
        if !matches!(farewell, Ok(Ok(()))) || linger == Linger::No {
            return;
        }
        let mut waste = Vec::with_capacity(READ_OCTETS);
        let mut total = 0;
        while total < LINGER_OCTETS_MAX {
            waste.clear();
            match self.deadline.guard(stream.read_buf(&mut waste)).await {
                Ok(Ok(count)) if count > 0 => total += count,
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// Whether the peer may still be sending when we close.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Linger {
    /// We end the session: wait a little for the peer to notice.
    Yes,
    /// The peer asked for the end.
    No,
}

#[cfg(test)]
mod tests;
