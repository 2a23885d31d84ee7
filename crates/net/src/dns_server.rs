//! A small authoritative DNS server on our own sockets (UDP and TCP): for the demo and for tests,
//! and the loops of that for a zone of our own. RFC 1035 §4.2, RFC 7766.
//!
//! Not here: what is answered (`zone`, `own_zone`). Unlike other places that open sockets this one
//! is never simulated: simulated worlds ask `SimulatedDns`.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
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
/// Of those, from one address.
const TCP_CONNECTIONS_PER_CLIENT_MAX: usize = 8;
/// A TCP client that asks nothing for so long is closed. RFC 7766 §6.2.3.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// Tries to find a port that is free for UDP and TCP.
const PORT_TRIES: usize = 16;
/// Wait after a fault of the socket.
const FAULT_PAUSE: Duration = Duration::from_millis(100);

/// A running server for tests and the demo; stops when dropped.
pub struct DnsServer(Running<Served>);

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
        let served = Served(RwLock::new(read(&records)?));
        Running::start(address, served).await.map(Self)
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
        let served = self.0.answers();
        *served.0.write().unwrap_or_else(PoisonError::into_inner) = zone;
        Ok(())
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

/// The zone, which may be another one the next time.
struct Served(RwLock<Zone>);

impl Answers for Served {
    fn answer(&self, question: &Message) -> Message {
        let zone = self.0.read().unwrap_or_else(PoisonError::into_inner);
        zone.answer(question)
    }
}

fn read(records: &[(String, ZoneRecord)]) -> io::Result<Zone> {
    Zone::new(records).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// What a server says.
pub(crate) trait Answers: Send + Sync + 'static {
    /// To a question.
    fn answer(&self, question: &Message) -> Message;

    /// Over UDP, where whoever asks may pretend to be another: how much of the answer they get.
    fn admit(&self, _client: IpAddr) -> Admission {
        Admission::Whole
    }
}

/// How much of an answer is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    /// All of it.
    Whole,
    /// That it is to be asked over TCP: no longer than the question.
    Cut,
    /// None.
    Nothing,
}

/// Sockets and their loops; stops when dropped.
pub(crate) struct Running<A> {
    address: SocketAddr,
    answers: Arc<A>,
    tasks: [JoinHandle<()>; 2],
}

impl<A: Answers> Running<A> {
    /// Port 0: any port that is free for UDP and TCP.
    pub(crate) async fn start(address: SocketAddr, answers: A) -> io::Result<Self> {
        let answers = Arc::new(answers);
        let (udp, tcp) = bind_both(address).await?;
        let address = tcp.local_addr()?;
        let tasks = [
            tokio::spawn(serve_udp(udp, Arc::clone(&answers))),
            tokio::spawn(serve_tcp(tcp, Arc::clone(&answers))),
        ];
        Ok(Self {
            address,
            answers,
            tasks,
        })
    }

    pub(crate) fn answers(&self) -> &A {
        &self.answers
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl<A> Drop for Running<A> {
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

async fn serve_udp<A: Answers>(socket: UdpSocket, answers: Arc<A>) {
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
        let transport = Transport::Udp(client.ip());
        let Some(answer) = answer(&*answers, &buffer[..length], transport) else {
            continue;
        };
        if let Err(error) = socket.send_to(&answer, client).await {
            tracing::debug!(%error, %client, "DNS over UDP");
        }
    }
}

async fn serve_tcp<A: Answers>(listener: TcpListener, answers: Arc<A>) {
    let room = Arc::new(Semaphore::new(TCP_CONNECTIONS_MAX));
    let clients = Arc::new(Clients::default());
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, client)) => {
                let Some(seat) = Clients::take(&clients, client.ip()) else {
                    continue;
                };
                let answers = Arc::clone(&answers);
                tokio::spawn(async move {
                    // The peer's trouble is the peer's: it asks again.
                    let _ = serve_connection(stream, &*answers).await;
                    drop((place, seat));
                });
            }
            Err(error) => {
                tracing::debug!(%error, "DNS over TCP");
                tokio::time::sleep(FAULT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(mut stream: TcpStream, answers: &impl Answers) -> io::Result<()> {
    let mut question = Vec::new();
    loop {
        let read = async {
            let length = stream.read_u16().await?;
            question.resize(usize::from(length), 0);
            stream.read_exact(&mut question).await
        };
        tokio::time::timeout(TCP_IDLE, read).await??;
        let Some(answer) = answer(answers, &question, Transport::Tcp) else {
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
    /// From where, as they say.
    Udp(IpAddr),
    Tcp,
}

fn answer(answers: &impl Answers, octets: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let question = Message::from_vec(octets).ok()?;
    // Two servers that answer each other's answers would never end.
    if question.metadata.message_type != MessageType::Query {
        return None;
    }
    let admission = match transport {
        Transport::Udp(client) => answers.admit(client),
        Transport::Tcp => Admission::Whole,
    };
    if admission == Admission::Nothing {
        return None;
    }
    let answer = answers.answer(&question);
    let whole = answer.to_vec().ok()?;
    let most = question
        .edns
        .as_ref()
        .map_or(UDP_OCTETS, |edns| edns.max_payload());
    let most = most.clamp(UDP_OCTETS, UDP_OCTETS_MAX);
    let fits = transport == Transport::Tcp || whole.len() <= usize::from(most);
    if admission == Admission::Whole && fits {
        return Some(whole);
    }
    answer.truncate().to_vec().ok()
}

/// Connections of each client: one that opens many leaves room for others.
#[derive(Default)]
struct Clients(Mutex<HashMap<IpAddr, usize>>);

/// A client's place, given back when dropped.
struct Seat {
    clients: Arc<Clients>,
    client: IpAddr,
}

impl Clients {
    fn take(clients: &Arc<Self>, client: IpAddr) -> Option<Seat> {
        let mut counts = clients.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_default();
        if *count == TCP_CONNECTIONS_PER_CLIENT_MAX {
            return None;
        }
        *count += 1;
        Some(Seat {
            clients: Arc::clone(clients),
            client,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = (self.clients.0)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(self.client).or_default();
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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
    async fn an_answer_is_not_answered_and_one_client_does_not_take_all_places() {
        let (server, _resolver) = resolver(Vec::new()).await;
        let served = Served(RwLock::new(Zone::default()));
        let mut message = Message::query();
        message.metadata.message_type = MessageType::Response;
        let octets = message.to_vec().expect("it can be written");
        let loopback = Ipv4Addr::LOCALHOST.into();
        assert_eq!(answer(&served, &octets, Transport::Udp(loopback)), None);

        let mut held = Vec::new();
        for _ in 0..TCP_CONNECTIONS_PER_CLIENT_MAX {
            let mut stream = TcpStream::connect(server.address()).await.expect("a place");
            let question = Message::query().to_vec().expect("it can be written");
            let length = u16::try_from(question.len()).expect("short");
            stream.write_u16(length).await.expect("it is read");
            stream.write_all(&question).await.expect("it is read");
            stream.read_u16().await.expect("it is answered");
            held.push(stream);
        }
        let mut one_more = TcpStream::connect(server.address())
            .await
            .expect("a backlog");
        let closed = one_more.read_u16().await;
        assert!(closed.is_err(), "it is closed at once");
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
