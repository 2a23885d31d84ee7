//! A simulated network: hosts, ports and connections in memory, with seeded latency and scripted
//! faults. Deterministic on one thread under tokio's paused time.
//!
//! One [`SimulatedNetwork`] is the wire; `Network::simulated` gives each host its own view of it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::{Chance, Moment};
use crate::pipe::{self, Behaviour, Link};
use crate::stream::Stream;

pub use crate::pipe::Side;

/// Connections that wait for `accept`; more are refused. As the real listener's backlog.
const BACKLOG_MAX: usize = 4_096;
/// How long a dial waits that nobody answers: Linux gives up a SYN after about that.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(127);
/// First port given to a dialler, and to a listener on port 0.
const EPHEMERAL_PORT_FIRST: u16 = 49_152;

/// What happens to one connection. The default is a good connection with the network's latency.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// What the dial itself meets.
    pub connect: ConnectFault,
    /// The connection is reset once this side has sent that many octets; octets under way are
    /// lost.
    pub reset_after: Option<(Side, u64)>,
    /// Each read gives at most so many octets; 1: one octet at a time.
    pub octets_per_read_max: Option<usize>,
    /// Latency of this connection instead of the network's, from and to.
    pub latency: Option<(Duration, Duration)>,
}

/// What a dial meets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ConnectFault {
    /// The listener, if there is one.
    #[default]
    None,
    /// `ConnectionRefused`.
    Refused,
    /// No answer; `TimedOut` after 127 s if the caller waits that long.
    TimedOut,
    /// `HostUnreachable`.
    Unreachable,
}

/// One dial, as the plan of faults sees it.
#[derive(Clone, Copy, Debug)]
pub struct Dial {
    /// From.
    pub from: IpAddr,
    /// To.
    pub to: SocketAddr,
    /// Counts all dials of the network, from 0.
    pub number: u64,
}

/// Decides the faults of each dial. It draws from the chance given, so that a seed repeats it.
pub type Plan = Box<dyn FnMut(&Dial, &Chance) -> Faults + Send>;

/// The wire between simulated hosts. Cheap to clone.
#[derive(Clone)]
pub struct SimulatedNetwork(Arc<Shared>);

struct Shared {
    chance: Chance,
    wire: Mutex<Wire>,
}

struct Wire {
    latency: (Duration, Duration),
    plan: Option<Plan>,
    faults: BTreeMap<SocketAddr, Faults>,
    hosts: Vec<IpAddr>,
    listeners: BTreeMap<SocketAddr, Arc<Backlog>>,
    connections: Vec<Connection>,
    partitions: Vec<(IpAddr, IpAddr)>,
    healed: Arc<Notify>,
    dials: u64,
    port_next: u16,
}

struct Connection {
    from: IpAddr,
    to: IpAddr,
    link: Weak<Link>,
}

struct Backlog {
    waiting: Mutex<VecDeque<(Stream, SocketAddr, SocketAddr)>>,
    arrived: Notify,
}

/// A listening port of a simulated host. Dropped, it refuses.
pub(crate) struct SimulatedListener {
    network: SimulatedNetwork,
    keys: Vec<SocketAddr>,
    address: SocketAddr,
    backlog: Arc<Backlog>,
}

impl SimulatedNetwork {
    /// A wire with this latency, from and to, drawn for each write.
    pub fn new(chance: Chance, latency: (Duration, Duration)) -> Self {
        let wire = Wire {
            latency,
            plan: None,
            faults: BTreeMap::new(),
            hosts: Vec::new(),
            listeners: BTreeMap::new(),
            connections: Vec::new(),
            partitions: Vec::new(),
            healed: Arc::new(Notify::new()),
            dials: 0,
            port_next: EPHEMERAL_PORT_FIRST,
        };
        Self(Arc::new(Shared {
            chance,
            wire: Mutex::new(wire),
        }))
    }

    /// From now on every dial asks `plan`; `None`: no faults.
    pub fn set_plan(&self, plan: Option<Plan>) {
        self.lock().plan = plan;
    }

    /// Faults of every dial to this address, whatever the plan says; `None`: the plan again.
    pub fn set_faults(&self, to: SocketAddr, faults: Option<Faults>) {
        let mut wire = self.lock();
        match faults {
            Some(faults) => wire.faults.insert(to, faults),
            None => wire.faults.remove(&to),
        };
    }

    /// Between these two hosts nothing arrives any more, in either direction, until healed.
    pub fn partition(&self, one: IpAddr, other: IpAddr) {
        let mut wire = self.lock();
        wire.partitions.push((one, other));
        wire.stall(one, other, true);
    }

    /// Ends every partition: what was held back arrives.
    pub fn heal(&self) {
        let mut wire = self.lock();
        for (one, other) in std::mem::take(&mut wire.partitions) {
            wire.stall(one, other, false);
        }
        wire.healed.notify_waiters();
    }

    /// Breaks every connection of a host, as a crash of it does; its listeners stay until dropped.
    pub fn reset(&self, host: IpAddr) {
        let wire = self.lock();
        let concerned = wire
            .connections
            .iter()
            .filter(|one| one.from == host || one.to == host);
        for link in concerned.filter_map(|connection| connection.link.upgrade()) {
            link.reset();
        }
    }

    /// Dials made so far.
    pub fn dials(&self) -> u64 {
        self.lock().dials
    }

    pub(crate) fn add_host(&self, addresses: &[IpAddr]) {
        self.lock().hosts.extend_from_slice(addresses);
    }

    /// `addresses` are the host's own; an unspecified address listens on all of them.
    pub(crate) fn listen(
        &self,
        addresses: &[IpAddr],
        address: SocketAddr,
    ) -> io::Result<SimulatedListener> {
        let mut wire = self.lock();
        let port = if address.port() == 0 {
            wire.port()
        } else {
            address.port()
        };
        let own = addresses.iter().filter(|own| match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => own.is_ipv4(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
            one => **own == one,
        });
        let keys: Vec<_> = own.map(|own| SocketAddr::new(*own, port)).collect();
        if keys.is_empty() {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        if keys.iter().any(|key| wire.listeners.contains_key(key)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let backlog = Arc::new(Backlog {
            waiting: Mutex::default(),
            arrived: Notify::new(),
        });
        for key in &keys {
            wire.listeners.insert(*key, Arc::clone(&backlog));
        }
        let address = SocketAddr::new(address.ip(), port);
        Ok(SimulatedListener {
            network: self.clone(),
            keys,
            address,
            backlog,
        })
    }

    pub(crate) async fn dial(&self, from: IpAddr, to: SocketAddr) -> io::Result<Stream> {
        let (faults, latency) = self.lock().faults(from, to, &self.0.chance);
        let round_trip = latency.0 + latency.1;
        match faults.connect {
            ConnectFault::None => tokio::time::sleep(round_trip).await,
            ConnectFault::Refused => {
                tokio::time::sleep(round_trip).await;
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            ConnectFault::Unreachable => return Err(io::ErrorKind::HostUnreachable.into()),
            ConnectFault::TimedOut => {
                tokio::time::sleep(CONNECT_TIMEOUT).await;
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        self.wait_for_way(from, to.ip()).await?;
        let behaviour = Behaviour {
            latency,
            reset_after: faults.reset_after,
            octets_per_read_max: faults.octets_per_read_max,
        };
        self.lock().connect(from, to, behaviour, &self.0.chance)
    }

    /// A dial across a partition waits for it to heal, as long as a SYN is repeated.
    async fn wait_for_way(&self, from: IpAddr, to: IpAddr) -> io::Result<()> {
        let until = Moment::now() + CONNECT_TIMEOUT;
        loop {
            let healed = {
                let wire = self.lock();
                if !wire.is_partitioned(from, to) {
                    return Ok(());
                }
                Arc::clone(&wire.healed).notified_owned()
            };
            if tokio::time::timeout_at(until, healed).await.is_err() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    fn faults(
        &mut self,
        from: IpAddr,
        to: SocketAddr,
        chance: &Chance,
    ) -> (Faults, (Duration, Duration)) {
        let dial = Dial {
            from,
            to,
            number: self.dials,
        };
        self.dials += 1;
        let faults = match (self.faults.get(&to), &mut self.plan) {
            (Some(faults), _) => faults.clone(),
            (None, Some(plan)) => plan(&dial, chance),
            (None, None) => Faults::default(),
        };
        let latency = faults.latency.unwrap_or(self.latency);
        (faults, latency)
    }

    fn connect(
        &mut self,
        from: IpAddr,
        to: SocketAddr,
        behaviour: Behaviour,
        chance: &Chance,
    ) -> io::Result<Stream> {
        let Some(backlog) = self.listeners.get(&to).map(Arc::clone) else {
            let known = self.hosts.contains(&to.ip());
            let kind = if known {
                io::ErrorKind::ConnectionRefused
            } else {
                io::ErrorKind::HostUnreachable
            };
            return Err(kind.into());
        };
        let mut waiting = backlog
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= BACKLOG_MAX {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (link, dialler, listener) = pipe::connect(behaviour, chance.split());
        self.connections
            .retain(|connection| connection.link.strong_count() > 0);
        self.connections.push(Connection {
            from,
            to: to.ip(),
            link: Arc::downgrade(&link),
        });
        let peer = SocketAddr::new(from, self.port());
        waiting.push_back((Stream::simulated(listener), peer, to));
        drop(waiting);
        backlog.arrived.notify_one();
        Ok(Stream::simulated(dialler))
    }

    fn port(&mut self) -> u16 {
        let port = self.port_next;
        self.port_next = port.checked_add(1).unwrap_or(EPHEMERAL_PORT_FIRST);
        port
    }

    fn is_partitioned(&self, one: IpAddr, other: IpAddr) -> bool {
        self.partitions
            .iter()
            .any(|pair| *pair == (one, other) || *pair == (other, one))
    }

    fn stall(&self, one: IpAddr, other: IpAddr, stalled: bool) {
        let between = |connection: &&Connection| {
            (connection.from, connection.to) == (one, other)
                || (connection.from, connection.to) == (other, one)
        };
        for connection in self.connections.iter().filter(between) {
            if let Some(link) = connection.link.upgrade() {
                link.stall(stalled);
            }
        }
    }
}

impl Backlog {
    fn take(&self) -> Option<(Stream, SocketAddr, SocketAddr)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = waiting.pop_front();
        if !waiting.is_empty() {
            self.arrived.notify_one();
        }
        connection
    }
}

impl SimulatedListener {
    pub(crate) async fn accept(&self) -> (Stream, SocketAddr, SocketAddr) {
        loop {
            let arrived = self.backlog.arrived.notified();
            if let Some(connection) = self.backlog.take() {
                return connection;
            }
            arrived.await;
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SimulatedListener {
    fn drop(&mut self) {
        let mut wire = self.network.lock();
        for key in &self.keys {
            wire.listeners.remove(key);
        }
    }
}
