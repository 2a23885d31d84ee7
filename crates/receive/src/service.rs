//! The listeners: accept loops, limits at connect, drain on shutdown.
//!
//! Each listener is one task that owns its sessions; the service owns the listeners. Nothing of it
//! outlives the service.
//!
//! A connection from a proxy (`proxy_protocol_from`) is nobody's until its header says whose it is:
//! limits, attribution and trace see the client's address only.
//!
//! Not here: what is said in a session (`session`); opening sockets (`relais_net::network`); the
//! form of the header (`relais_net::proxy`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use ipnet::IpNet;

use relais_net::network::{Accepted, Listener};
use relais_net::proxy::{HeaderFault, Proxied, read_header};
use relais_policy::old_tls::ListenerBounds;
use relais_policy::restriction::may_connect;
use relais_smtp::content::Preset;
use relais_smtp::domain::Domain;
use relais_smtp::refusal::Refusal;
use relais_smtp::reply::Reply;

use crate::guarding::Guarding;
use crate::identity::{Client, Identity};
use crate::limits::{Connections, Full, Waiting};
use crate::login::Logins;
use crate::quotas;
use crate::refuse::{About, Refusals, say};
use crate::returns::Returns;
use crate::seats::Senders;
use crate::session::{self, Beginning, role_of};
use crate::shared::Shared;
use crate::speaker::Speaker;
use crate::wire::{Linger, Wire};

pub use crate::shared::{ListenerTls, ReceiveContext, ReceiveOptions};

/// Wait after a fault of the listening socket that does not pass by itself.
const BROKEN_LISTENER_PAUSE: Duration = Duration::from_secs(1);

/// One listener.
#[derive(Clone)]
pub struct ListenerOptions {
    /// Where.
    pub address: SocketAddr,
    /// `submission`: AUTH required.
    pub submission: bool,
    /// Default preset.
    pub preset: Preset,
    /// `None`: everybody may use it, always.
    pub bounds: Option<ListenerBounds>,
    /// Peers that may, and must, say by the PROXY protocol who their client is.
    pub proxies: Vec<IpNet>,
    /// Whether and how sessions are encrypted.
    pub tls: ListenerTls,
}

impl ListenerOptions {
    fn is_proxy(&self, peer: SocketAddr) -> bool {
        let address = peer.ip();
        self.proxies
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// The running listeners. Dropped without [`ReceiveService::drain`], it cuts every session.
pub struct ReceiveService {
    draining: CancellationToken,
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    /// Its listeners, and the keeper of what logins leave.
    tasks: Vec<JoinHandle<()>>,
}

impl ReceiveService {
    /// Serves these listeners until drained.
    pub fn start(context: ReceiveContext, listeners: Vec<(Listener, ListenerOptions)>) -> Self {
        let draining = CancellationToken::new();
        let connections = Connections::new(&context.options, &context.counts);
        let ourselves = Domain::parse(&context.options.hostname)
            .into_iter()
            .collect();
        let shared = Arc::new(Shared {
            logins: Logins::new(&context.clock, &context.chance, context.issuers.clone()),
            senders: Senders::default(),
            guarding: Guarding::default(),
            context,
            ourselves,
            returns: Returns::default(),
            draining: draining.clone(),
        });
        let serve = |(listener, options)| {
            let door = Door {
                entry: Arc::new(Entry {
                    shared: Arc::clone(&shared),
                    connections: Arc::clone(&connections),
                    options,
                }),
                sessions: JoinSet::new(),
            };
            tokio::spawn(door.serve(listener))
        };
        let mut tasks: Vec<_> = listeners.into_iter().map(serve).collect();
        let keeper = Arc::clone(&shared);
        tasks.push(tokio::spawn(async move {
            let (store, ending) = (&keeper.context.store, &keeper.draining);
            keeper.logins.keep_uses(store, ending).await;
        }));
        let counter = Arc::clone(&shared);
        tasks.push(tokio::spawn(async move {
            let Shared { context, .. } = &*counter;
            let (store, clock) = (&context.store, &context.clock);
            let (counts, senders) = (&context.counts, &counter.senders);
            tokio::join!(
                quotas::keep(counts, store, clock, &counter.draining),
                senders.keep(store, clock, &counter.draining),
                counter.guarding.keep(store, clock, &counter.draining),
            );
        }));
        Self {
            draining,
            shared,
            tasks,
            connections,
        }
    }

    /// Its own sessions are counted among the connections.
    pub(crate) fn parts(&self) -> (&Arc<Shared>, &Arc<Connections>) {
        (&self.shared, &self.connections)
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
            for task in &mut self.tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a listener ended badly");
                }
            }
            // Of sessions that ended after the keepers.
            let context = &self.shared.context;
            self.shared.logins.store_uses(&context.store).await;
            let now = context.clock.now();
            quotas::save(&context.counts, &context.store, now).await;
            self.shared.senders.save(&context.store, now).await;
            self.shared.guarding.save(&context.store, now).await;
        };
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::warn!(connections = self.connections.open(), "sessions are cut");
        }
    }
}

impl Drop for ReceiveService {
    fn drop(&mut self) {
        self.draining.cancel();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// One listener with its sessions.
struct Door {
    entry: Arc<Entry>,
    sessions: JoinSet<()>,
}

impl Door {
    async fn serve(mut self, listener: Listener) {
        let entry = Arc::clone(&self.entry);
        loop {
            // In order, so that a simulation with the same seed goes the same way; and first what
            // makes room, so that a flood of connections cannot keep what is over from ending.
            tokio::select! {
                biased;
                () = entry.shared.draining.cancelled() => break,
                Some(ended) = self.sessions.join_next() => note(ended),
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => self.take(accepted),
                    Err(error) => {
                        tracing::error!(%error, address = %entry.options.address, "listener");
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

    fn take(&mut self, accepted: Accepted) {
        let entry = &self.entry;
        if !entry.options.is_proxy(accepted.peer) {
            if let Some(beginning) = entry.admit(accepted) {
                self.sessions.spawn(session::run(Box::new(beginning)));
            }
            return;
        }
        match entry.connections.wait() {
            Some(waiting) => {
                self.sessions
                    .spawn(Arc::clone(entry).introduced(accepted, waiting));
            }
            None => {
                let reply = entry.refusal_of_proxy(&accepted, None);
                entry.last_words(&accepted, &reply);
            }
        }
    }
}

/// What the connections of one listener have in common.
pub(crate) struct Entry {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) options: ListenerOptions,
}

impl Entry {
    /// A connection from a proxy: nothing is counted, attributed or said before its header tells
    /// who the client is.
    async fn introduced(self: Arc<Self>, mut accepted: Accepted, waiting: Waiting) {
        let shared = &self.shared;
        let read = read_header(&mut accepted.stream, &shared.context.clock);
        let header = tokio::select! {
            biased;
            () = shared.draining.cancelled() => return,
            header = read => header,
        };
        match header {
            Ok(Proxied::Peer) => {}
            Ok(Proxied::Client {
                source,
                destination,
            }) => {
                accepted.peer = source;
                accepted.local = destination;
            }
            // Load balancers look every few seconds whether the port is open: no news.
            Err(HeaderFault::Silent) => return,
            Err(fault) => {
                let reply = self.refusal_of_proxy(&accepted, Some(fault));
                return self.part(accepted, &reply).await;
            }
        }
        // Its place is counted under the client's address from here on.
        drop(waiting);
        if let Some(beginning) = self.admit(accepted) {
            // Boxed: a session is the larger part of this future, which began without one.
            Box::pin(session::run(Box::new(beginning))).await;
        }
    }

    /// A place for the connection, or its refusal.
    pub(crate) fn admit(&self, accepted: Accepted) -> Option<Beginning> {
        let settings = self.shared.context.store.settings();
        let role = role_of(self.options.submission);
        let identity = Identity::new(accepted.peer, role);
        let client = Client::find(settings, &identity);
        let bounds = client.connection_bounds(&identity);
        let context = &self.shared.context;
        let restrictions = context.store.restrictions();
        let restricted = restrictions.in_force(context.clock.steady_now());
        let now = context.clock.moment();
        let bounded = match &self.options.bounds {
            Some(bounds) => {
                let now = context.clock.now();
                bounds.admit(&client.settings, identity.address(), now)
            }
            None => Ok(()),
        };
        let may = bounded.and_then(|()| may_connect(&restricted, identity.address()));
        if let Err(refusal) = may {
            let record = self.connections.is_news(identity.address(), now);
            self.refuse(&accepted, &client, &identity, &refusal, record);
            return None;
        }
        let admitted = self
            .connections
            .admit(identity.address(), client.standing, &bounds, now);
        match admitted {
            Ok(place) => Some(Beginning {
                shared: Arc::clone(&self.shared),
                client,
                identity,
                listener_preset: self.options.preset,
                tls: self.options.tls.clone(),
                stream: accepted.stream,
                place: Box::new(place),
            }),
            Err(Full { record }) => {
                let refusal = Refusal::TooManyConnections;
                self.refuse(&accepted, &client, &identity, &refusal, record);
                None
            }
        }
    }

    /// Says no to a new connection; `record`: and keeps it for people to see.
    fn refuse(
        &self,
        accepted: &Accepted,
        client: &Client,
        identity: &Identity,
        refusal: &Refusal,
        record: bool,
    ) {
        let context = &self.shared.context;
        let reply = if record {
            Refusals::default().connection(context, client, identity, refusal)
        } else {
            say(context, refusal)
        };
        let speaker = Speaker {
            context,
            client,
            identity,
        };
        speaker.tell_turned_away(&reply.to_string());
        self.last_words(accepted, &reply);
    }

    /// A proxy without a good header; without a fault, one too many of them. Its own address is
    /// all that is known, and a broken proxy is recorded once a minute.
    fn refusal_of_proxy(&self, accepted: &Accepted, fault: Option<HeaderFault>) -> Reply {
        let context = &self.shared.context;
        let refusal = match fault {
            Some(_) => Refusal::ProxyHeader,
            None => Refusal::TooManyConnections,
        };
        let address = accepted.peer.ip();
        if self.connections.is_news(address, context.clock.moment()) {
            let settings = context.store.settings();
            let identity = Identity::new(accepted.peer, role_of(self.options.submission));
            let client = Client::find(settings, &identity);
            let about = About {
                detail: fault.map(|fault| fault.to_string().into()),
                ..About::default()
            };
            Refusals::default().connection_about(context, &client, &identity, &refusal, about)
        } else {
            say(context, &refusal)
        }
    }

    /// A new connection has room for one line; if not, closing says enough.
    fn last_words(&self, accepted: &Accepted, reply: &Reply) {
        if self.speaks_only_tls() {
            return;
        }
        let mut octets = Vec::new();
        reply.write_to(&mut octets);
        let _ = accepted.stream.try_write(&octets);
    }

    /// Clear text would be noise to its clients.
    fn speaks_only_tls(&self) -> bool {
        matches!(self.options.tls, ListenerTls::Implicit(_))
    }

    /// The last reply to a peer that has said something already: it must be able to read it.
    async fn part(&self, accepted: Accepted, reply: &Reply) {
        if self.speaks_only_tls() {
            return;
        }
        let mut octets = Vec::new();
        reply.write_to(&mut octets);
        let mut wire = Wire::new(accepted.stream, self.shared.context.clock.clone());
        if wire.send(&mut octets).await.is_ok() {
            wire.close(Linger::Yes).await;
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
