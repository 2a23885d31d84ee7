//! A small authoritative DNS server on our own sockets (UDP and TCP): for the demo and for tests,
//! later for delegated zones. RFC 1035 §4.2, RFC 7766.
//!
//! Not here: what is answered (`zone`). Unlike other places that open sockets this one is never
//! simulated: simulated worlds ask `SimulatedDns`.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::zone::Zone;

pub use crate::zone::ZoneRecord;

/// Longest message over UDP that we read or send unless the client offers more. RFC 1035 §4.2.1.
const UDP_OCTETS: u16 = 512;
/// Longest message over UDP at all: what passes without fragments. RFC 9715 §3.1.
const UDP_OCTETS_MAX: u16 = 1_232;
/// TCP connections at the same time; more wait.
const TCP_CONNECTIONS_MAX: usize = 64;
/// A TCP client that asks nothing for so long is closed. RFC 7766 §6.2.3.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// Tries to find a port that is free for UDP and TCP.
const PORT_TRIES: usize = 16;
/// Wait after a fault of the socket.
const FAULT_PAUSE: Duration = Duration::from_millis(100);

/// A running server; stops when dropped.
pub struct DnsServer {
    address: SocketAddr,
    zone: Arc<Served>,
    tasks: [JoinHandle<()>; 2],
}

impl DnsServer {
    /// Serves these (name, record) pairs with a TTL of 60 s; other names do not exist. Port 0: any
    /// port that is free for UDP and TCP.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is none; else the socket's.
    pub async fn start(
        address: SocketAddr,
        records: Vec<(String, ZoneRecord)>,
    ) -> io::Result<Self> {
        let zone = Arc::new(Served(RwLock::new(read(&records)?)));
        let (udp, tcp) = bind_both(address).await?;
        let address = tcp.local_addr()?;
        let tasks = [
            tokio::spawn(serve_udp(udp, Arc::clone(&zone))),
            tokio::spawn(serve_tcp(tcp, Arc::clone(&zone))),
        ];
        Ok(Self {
            address,
            zone,
            tasks,
        })
    }

    /// Serves these records instead, from the next question on.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is none; then everything stays as it was.
    pub fn replace(&self, records: &[(String, ZoneRecord)]) -> io::Result<()> {
        self.replace_signed(records, &[])
    }

    /// Serves these records instead, and says of these domains and all below them what a resolver
    /// says that has checked signatures (AD).
    ///
    /// # Errors
    /// `InvalidInput` for a name that is none; then everything stays as it was.
    pub fn replace_signed(
        &self,
        records: &[(String, ZoneRecord)],
        domains: &[&str],
    ) -> io::Result<()> {
        let mut zone = read(records)?;
        domains.iter().for_each(|domain| zone.sign(domain));
        *self.zone.0.write().unwrap_or_else(PoisonError::into_inner) = zone;
        Ok(())
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The zone, which may be another one the next time.
struct Served(RwLock<Zone>);

impl Served {
    fn answer(&self, question: &Message) -> Message {
        let zone = self.0.read().unwrap_or_else(PoisonError::into_inner);
        zone.answer(question)
    }
}

fn read(records: &[(String, ZoneRecord)]) -> io::Result<Zone> {
    Zone::new(records).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn bind_both(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        let tcp = TcpListener::bind(address).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) if tries == 1 => return Err(error),
            Err(_) => tries -= 1,
        }
    }
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Served>) {
    let mut buffer = [0; UDP_OCTETS_MAX as usize];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "DNS over UDP");
                tokio::time::sleep(FAULT_PAUSE).await;
                continue;
            }
        };
        // Octets that are no question get no answer: an answer would only help amplification.
        let Some(answer) = answer(&zone, &buffer[..length], Transport::Udp) else {
            continue;
        };
        if let Err(error) = socket.send_to(&answer, client).await {
            tracing::debug!(%error, %client, "DNS over UDP");
        }
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Served>) {
    let room = Arc::new(Semaphore::new(TCP_CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let zone = Arc::clone(&zone);
                tokio::spawn(async move {
                    // The peer's trouble is the peer's: it asks again.
                    let _ = serve_connection(stream, &zone).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "DNS over TCP");
                tokio::time::sleep(FAULT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(mut stream: TcpStream, zone: &Served) -> io::Result<()> {
    let mut question = Vec::new();
    loop {
        let read = async {
            let length = stream.read_u16().await?;
            question.resize(usize::from(length), 0);
            stream.read_exact(&mut question).await
        };
        tokio::time::timeout(TCP_IDLE, read).await??;
        let Some(answer) = answer(zone, &question, Transport::Tcp) else {
            return Ok(());
        };
        let Ok(length) = u16::try_from(answer.len()) else {
            return Ok(());
        };
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&answer);
        tokio::time::timeout(TCP_IDLE, stream.write_all(&framed)).await??;
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Transport {
    Udp,
    Tcp,
}

fn answer(zone: &Served, octets: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let question = Message::from_vec(octets).ok()?;
    let answer = zone.answer(&question);
    let whole = answer.to_vec().ok()?;
    let most = question
        .edns
        .as_ref()
        .map_or(UDP_OCTETS, |edns| edns.max_payload());
    let most = most.clamp(UDP_OCTETS, UDP_OCTETS_MAX);
    if transport == Transport::Tcp || whole.len() <= usize::from(most) {
        return Some(whole);
    }
    answer.truncate().to_vec().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use relais_smtp::domain::Domain;

    use super::*;
    use crate::resolver::{DnsError, Dnssec, Resolver, ResolverOptions};

    async fn resolver(records: Vec<(String, ZoneRecord)>) -> (DnsServer, Resolver) {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = DnsServer::start(loopback, records)
            .await
            .expect("loopback works");
        let options = ResolverOptions {
            nameservers: vec![server.address()],
            trusted: false,
        };
        let resolver = Resolver::new(&options).expect("a resolver");
        (server, resolver)
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    #[tokio::test]
    async fn the_real_resolver_asks_the_real_server() {
        let records = vec![
            (
                "a.test".to_owned(),
                ZoneRecord::Mx(10, "mx.test".to_owned()),
            ),
            (
                "alias.test".to_owned(),
                ZoneRecord::Alias("a.test".to_owned()),
            ),
            ("null.test".to_owned(), ZoneRecord::Mx(0, ".".to_owned())),
            (
                "mx.test".to_owned(),
                ZoneRecord::Address([192, 0, 2, 1].into()),
            ),
            (
                "_dmarc.a.test".to_owned(),
                ZoneRecord::Text("v=DMARC1".to_owned()),
            ),
        ];
        let (_server, resolver) = resolver(records).await;
        let found = resolver.mx(&domain("a.test")).await.expect("it has an MX");
        assert_eq!(found.records[0].exchange, Some(domain("mx.test")));
        let alias = resolver.mx(&domain("alias.test")).await.expect("an alias");
        assert_eq!(alias.records, found.records, "aliases are followed");
        assert_eq!(alias.real_name, Some(domain("a.test")));
        let null = resolver
            .mx(&domain("null.test"))
            .await
            .expect("a null MX is a record");
        assert_eq!(null.records[0].exchange, None);
        let addresses = resolver
            .addresses(&domain("mx.test"))
            .await
            .expect("IPv4 is enough");
        assert_eq!(addresses.records, [IpAddr::from([192, 0, 2, 1])]);
        let nobody = resolver.mx(&domain("nobody.test")).await;
        assert_eq!(nobody, Err(DnsError::NoSuchDomain("nobody.test".into())));
        let none = resolver.addresses(&domain("a.test")).await;
        assert_eq!(none, Err(DnsError::NoRecords("a.test".into())));
        let below = resolver.mx(&domain("_dmarc.a.test")).await;
        assert_eq!(below, Err(DnsError::NoRecords("_dmarc.a.test".into())));
    }

    #[tokio::test]
    async fn records_that_are_replaced_are_served_at_once() {
        let text = |text: &str| vec![("a.test".to_owned(), ZoneRecord::Text(text.to_owned()))];
        let (server, resolver) = resolver(text("old")).await;
        for now in ["old", "new"] {
            server.replace(&text(now)).expect("it is a name");
            let found = resolver.texts(&domain("a.test")).await.expect("an answer");
            assert_eq!(found.records, [now], "past every cache");
        }
    }

    #[tokio::test]
    async fn an_answer_too_long_for_udp_comes_over_tcp() {
        let record = |n| {
            (
                "big.test".to_owned(),
                ZoneRecord::Address([192, 0, 2, n].into()),
            )
        };
        let (_server, resolver) = resolver((0..200).map(record).collect()).await;
        let found = resolver
            .addresses(&domain("big.test"))
            .await
            .expect("it is served over TCP");
        assert_eq!(found.records.len(), 64);
    }

    #[tokio::test]
    async fn only_servers_here_or_trusted_ones_are_believed() {
        let records = [
            ("a.test".to_owned(), ZoneRecord::Mx(10, "mx.a.test".into())),
            (".".to_owned(), ZoneRecord::NameServer("ns.a.test".into())),
        ];
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = DnsServer::start(loopback, Vec::new()).await.unwrap();
        server.replace_signed(&records, &["."]).unwrap();
        let servers = vec![server.address()];
        let here = Resolver::new(&ResolverOptions {
            nameservers: servers.clone(),
            trusted: false,
        })
        .unwrap();
        let found = here.mx(&domain("a.test")).await.unwrap();
        assert!(found.validation.is_secure());
        assert_eq!(here.dnssec().await, Dnssec::Validated);
        let elsewhere = Resolver::disbelieving(&servers).unwrap();
        let found = elsewhere.mx(&domain("a.test")).await.unwrap();
        assert_eq!(found.records.len(), 1);
        assert!(!found.validation.is_secure());
        assert_eq!(elsewhere.dnssec().await, Dnssec::NotBelieved);
        server.replace(&records).unwrap();
        assert_eq!(here.dnssec().await, Dnssec::NotValidated);
    }
}
