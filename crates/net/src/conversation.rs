//! What is said on connections at this moment, for whoever listens: sessions tell, a person's
//! `connector inbound listen` hears. Bounded, never stored, and free while nobody listens.
//!
//! Not here: what may be told, and what must stay hidden (the sessions decide).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast;

use relais_smtp::time::Timestamp;

/// Lines that a listener may lag behind; more are lost to it, and it is told how many.
const LINES_MAX: usize = 1_024;

/// The hub. Cheap to clone; clones are the same hub.
#[derive(Clone, Debug)]
pub struct Conversations {
    lines: broadcast::Sender<Arc<Heard>>,
    sessions: Arc<AtomicU64>,
}

/// One line of one session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// Which session, a number of this process.
    pub session: u64,
    /// When.
    pub time: Timestamp,
    /// The client's address.
    pub client: IpAddr,
    /// The client's organisation, as far as it is known by now.
    pub organisation: Option<Arc<str>>,
    /// The client's inbound connector, as far as it is known by now.
    pub connector: Option<Arc<str>>,
    /// What was said.
    pub said: Said,
}

/// Who said what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    /// The listener began to hear the session.
    Began,
    /// A line of the client, without its end and without secrets.
    Client(Box<str>),
    /// A line of ours, without its end and without secrets.
    Server(Box<str>),
    /// What is no line: content, a handshake.
    Note(Box<str>),
    /// The session is over.
    Ended,
}

impl Default for Conversations {
    fn default() -> Self {
        Self {
            lines: broadcast::Sender::new(LINES_MAX),
            sessions: Arc::default(),
        }
    }
}

impl Conversations {
    /// Whether anybody listens: if not, nothing needs to be made.
    pub fn anybody_listens(&self) -> bool {
        self.lines.receiver_count() > 0
    }

    /// A number for a session.
    pub fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells everybody who listens.
    pub fn tell(&self, heard: Heard) {
        // Fails only where nobody listens any more.
        let _ = self.lines.send(Arc::new(heard));
    }

    /// Hears everything from here on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Heard>> {
        self.lines.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(session: u64) -> Heard {
        Heard {
            session,
            time: Timestamp::from_millis(0),
            client: [192, 0, 2, 1].into(),
            organisation: None,
            connector: None,
            said: Said::Began,
        }
    }

    #[tokio::test]
    async fn who_listens_hears_what_is_told_from_then_on() {
        let hub = Conversations::default();
        assert!(!hub.anybody_listens());
        hub.tell(heard(1));
        let mut listener = hub.listen();
        assert!(hub.clone().anybody_listens());
        hub.tell(heard(2));
        let first = listener.recv().await.expect("a line");
        assert_eq!(first.session, 2);
        drop(listener);
        assert!(!hub.anybody_listens());
    }

    #[tokio::test]
    async fn a_slow_listener_loses_lines_and_holds_nobody_up() {
        let hub = Conversations::default();
        let mut listener = hub.listen();
        for session in 0..2 * LINES_MAX as u64 {
            hub.tell(heard(session));
        }
        let lost = listener.recv().await;
        assert!(
            matches!(lost, Err(broadcast::error::RecvError::Lagged(n)) if n == LINES_MAX as u64),
            "{lost:?}"
        );
    }
}
