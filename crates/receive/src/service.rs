//! The listeners: accept loops, limits at connect, drain on shutdown.
//!
//! Each listener is one task that owns its sessions; the service owns the listeners. Nothing of it
//! outlives the service.
//!
//! Not here: what is said in a session (`session`); opening sockets (`relais_net::network`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use relais_net::network::{Accepted, Listener};
use relais_smtp::content::Preset;
use relais_smtp::domain::Domain;
use relais_smtp::refusal::Refusal;

use crate::identity::{Client, Identity};
use crate::limits::{Connections, Full};
use crate::refuse::{Refusals, say};
use crate::session::{self, Beginning, role_of};
use crate::shared::Shared;

pub use crate::shared::{ReceiveContext, ReceiveOptions};

/// Wait after a fault of the listening socket that does not pass by itself.
const BROKEN_LISTENER_PAUSE: Duration = Duration::from_secs(1);

/// One listener.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// Where.
    pub address: SocketAddr,
    /// `submission`: AUTH required.
    pub submission: bool,
    /// Default preset.
    pub preset: Preset,
}

/// The running listeners. Dropped without [`ReceiveService::drain`], it cuts every session.
pub struct ReceiveService {
    draining: CancellationToken,
    connections: Arc<Connections>,
    listeners: Vec<JoinHandle<()>>,
}

impl ReceiveService {
    /// Serves these listeners until drained.
    pub fn start(context: ReceiveContext, listeners: Vec<(Listener, ListenerOptions)>) -> Self {
        let draining = CancellationToken::new();
        let connections = Connections::new(&context.options);
        let ourselves = Domain::parse(&context.options.hostname)
            .into_iter()
            .collect();
        let shared = Arc::new(Shared {
            context,
            ourselves,
            draining: draining.clone(),
        });
        let serve = |(listener, options)| {
            let door = Door {
                shared: Arc::clone(&shared),
                connections: Arc::clone(&connections),
                options,
                sessions: JoinSet::new(),
            };
            tokio::spawn(door.serve(listener))
        };
        Self {
            draining,
            listeners: listeners.into_iter().map(serve).collect(),
            connections,
        }
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.connections.open()
    }

    /// Stops accepting; sessions finish their transaction, then get 421; after `within` the rest is
    /// cut.
    pub async fn drain(mut self, within: Duration) {
        self.draining.cancel();
        let ended = async {
            for listener in &mut self.listeners {
                if let Err(error) = listener.await {
                    tracing::error!(%error, "a listener ended badly");
                }
            }
        };
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::warn!(connections = self.connections.open(), "sessions are cut");
        }
    }
}

impl Drop for ReceiveService {
    fn drop(&mut self) {
        self.draining.cancel();
        for listener in &self.listeners {
            listener.abort();
        }
    }
}

/// One listener with its sessions.
struct Door {
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    options: ListenerOptions,
    sessions: JoinSet<()>,
}

impl Door {
    async fn serve(mut self, listener: Listener) {
        loop {
            // In order, so that a simulation with the same seed goes the same way; and first what
            // makes room, so that a flood of connections cannot keep what is over from ending.
            tokio::select! {
                biased;
                () = self.shared.draining.cancelled() => break,
                Some(ended) = self.sessions.join_next() => note(ended),
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => self.admit(accepted),
                    Err(error) => {
                        tracing::error!(%error, address = %self.options.address, "listener");
                        tokio::time::sleep(BROKEN_LISTENER_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        while let Some(ended) = self.sessions.join_next().await {
            note(ended);
        }
    }

    fn admit(&mut self, accepted: Accepted) {
        let settings = self.shared.context.store.settings();
        let role = role_of(self.options.submission);
        let identity = Identity::new(accepted.peer, role);
        let client = Client::find(settings, &identity);
        let bounds = client.connection_bounds(&identity);
        let now = self.shared.context.clock.moment();
        match self
            .connections
            .admit(identity.address(), client.standing, &bounds, now)
        {
            Ok(place) => {
                let session = session::run(Beginning {
                    shared: Arc::clone(&self.shared),
                    client,
                    identity,
                    listener_preset: self.options.preset,
                    stream: accepted.stream,
                    place,
                });
                self.sessions.spawn(session);
            }
            Err(Full { record }) => {
                let (context, refusal) = (&self.shared.context, Refusal::TooManyConnections);
                let reply = if record {
                    Refusals::default().connection(context, &client, &identity, &refusal)
                } else {
                    say(context, &refusal)
                };
                let mut octets = Vec::new();
                reply.write_to(&mut octets);
                // A new connection has room for one line; if not, closing says enough.
                let _ = accepted.stream.try_write(&octets);
            }
        }
    }
}

/// A session never ends with an error of its own; a panic is our fault and must be seen.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a session panicked; the others go on");
    }
}
