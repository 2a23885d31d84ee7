//! Listening and dialling: the real world, or the simulated one.
//!
//! Not here: what is said on a connection; TLS (`tls`); PROXY protocol (`proxy`).

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::resolver::Resolver;
#[cfg(any(test, feature = "simulation"))]
use crate::simulation::{SimulatedListener, SimulatedNetwork};
use crate::stream::Stream;

/// Connections that the kernel keeps until they are accepted. The kernel cuts it to
/// `net.core.somaxconn`, 4,096 on Linux.
const BACKLOG: i32 = 4_096;
/// A silent connection is probed after this time, so that peers that vanished do not stay until
/// the session's own time-out.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(120);
/// Between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// Wait after a fault of `accept` that only time heals (too many open files, no memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The network: sockets and DNS. Cheap to clone.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    transport: Transport,
    resolver: Resolver,
}

enum Transport {
    System,
    #[cfg(any(test, feature = "simulation"))]
    Simulated {
        wire: SimulatedNetwork,
        addresses: Vec<IpAddr>,
    },
}

/// A listening socket.
pub struct Listener(ListenerKind);

enum ListenerKind {
    Tcp(TcpListener),
    #[cfg(any(test, feature = "simulation"))]
    Simulated(SimulatedListener),
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The octets.
    pub stream: Stream,
    /// The peer's address, canonical: IPv4-mapped IPv6 is IPv4.
    pub peer: SocketAddr,
    /// Our address, canonical too.
    pub local: SocketAddr,
}

impl Network {
    /// Real sockets, and this resolver.
    pub fn system(resolver: Resolver) -> Self {
        Self(Arc::new(Inner {
            transport: Transport::System,
            resolver,
        }))
    }

    /// A host with these addresses on a simulated wire.
    #[cfg(any(test, feature = "simulation"))]
    pub fn simulated(wire: &SimulatedNetwork, addresses: Vec<IpAddr>, resolver: Resolver) -> Self {
        wire.add_host(&addresses);
        let transport = Transport::Simulated {
            wire: wire.clone(),
            addresses,
        };
        Self(Arc::new(Inner {
            transport,
            resolver,
        }))
    }

    /// DNS.
    pub fn resolver(&self) -> &Resolver {
        &self.0.resolver
    }

    /// Listens with a backlog of 4,096. `[::]` takes IPv4 too, unless another socket already
    /// listens on `0.0.0.0` with the same port: open IPv4 wildcards before IPv6 ones.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        match &self.0.transport {
            Transport::System => listen_tcp(address).map(|tcp| Listener(ListenerKind::Tcp(tcp))),
            #[cfg(any(test, feature = "simulation"))]
            Transport::Simulated { wire, addresses } => wire
                .listen(addresses, address)
                .map(|one| Listener(ListenerKind::Simulated(one))),
        }
    }

    /// Connects, from `source` if given, with TCP_NODELAY. The caller keeps the time.
    pub async fn dial(&self, to: SocketAddr, source: Option<IpAddr>) -> io::Result<Stream> {
        match &self.0.transport {
            Transport::System => dial_tcp(to, source).await.map(Stream::tcp),
            #[cfg(any(test, feature = "simulation"))]
            Transport::Simulated { wire, addresses } => {
                let fits = |own: &&IpAddr| match source {
                    Some(source) => **own == source,
                    None => own.is_ipv4() == to.is_ipv4(),
                };
                let Some(from) = addresses.iter().find(fits) else {
                    return Err(io::ErrorKind::AddrNotAvailable.into());
                };
                wire.dial(*from, to).await
            }
        }
    }

    /// Connects to a socket of this machine: a service beside us, the same in a simulated world.
    /// The caller keeps the time.
    pub async fn dial_local(&self, path: &Path) -> io::Result<Stream> {
        Stream::local(path).await
    }
}

impl Listener {
    /// The next connection. Passing faults (too many files, a peer that is gone again) are waited
    /// out inside; an error means that the socket itself is broken.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match &self.0 {
            ListenerKind::Tcp(listener) => accept_tcp(listener).await,
            #[cfg(any(test, feature = "simulation"))]
            ListenerKind::Simulated(listener) => {
                let (stream, peer, local) = listener.accept().await;
                Ok(Accepted {
                    stream,
                    peer,
                    local,
                })
            }
        }
    }

    /// Where it listens.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            ListenerKind::Tcp(listener) => listener.local_addr(),
            #[cfg(any(test, feature = "simulation"))]
            ListenerKind::Simulated(listener) => Ok(listener.address()),
        }
    }
}

/// An IPv4-mapped IPv6 address is the IPv4 address: one client, one name. RFC 4291 §2.5.5.2.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    if address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return bind(address, V6Only::Yes);
    }
    match bind(address, V6Only::No) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => bind(address, V6Only::Yes),
        result => result,
    }
}

/// Whether an IPv6 socket leaves IPv4 to others.
#[derive(Clone, Copy, Eq, PartialEq)]
enum V6Only {
    Yes,
    No,
}

fn bind(address: SocketAddr, v6_only: V6Only) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(v6_only == V6Only::Yes)?;
    }
    // A restart must not wait for connections of the old process in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<Accepted> {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => match prepare(&stream) {
                Ok(local) => {
                    let (peer, local) = (canonical(peer), canonical(local));
                    return Ok(Accepted {
                        stream: Stream::tcp(stream),
                        peer,
                        local,
                    });
                }
                Err(error) => tracing::debug!(%error, "a connection was gone before it began"),
            },
            Err(error) => match fault_of(&error) {
                AcceptFault::Connection => {}
                AcceptFault::Shortage => {
                    tracing::warn!(%error, "accepting connections must wait");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                AcceptFault::Listener => return Err(error),
            },
        }
    }
}

/// Whose fault a failed `accept` is.
enum AcceptFault {
    /// The one connection's: take the next. On Linux, `accept` also reports network errors of the
    /// new connection (accept(2), "Error handling").
    Connection,
    /// Ours for now: out of files or memory.
    Shortage,
    /// The listening socket's: it will not get better.
    Listener,
}

fn fault_of(error: &io::Error) -> AcceptFault {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::NotConnected => {
            AcceptFault::Listener
        }
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::Interrupted
        | io::ErrorKind::WouldBlock
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::TimedOut => AcceptFault::Connection,
        // EMFILE, ENFILE, ENOBUFS have no kind of their own; waiting is right for the unknown too.
        _ => AcceptFault::Shortage,
    }
}

fn prepare(stream: &TcpStream) -> io::Result<SocketAddr> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    stream.local_addr()
}

async fn dial_tcp(to: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(to).await?;
    prepare(&stream)?;
    Ok(stream)
}

#[cfg(test)]
mod tests;
