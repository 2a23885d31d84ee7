//! One question to one DNS server that the caller names, past every cache: UDP, then TCP where the
//! answer is cut. RFC 1035 §4.2, RFC 5452 §9 (what an answer must match), RFC 7766.
//!
//! Not here: which server (`authority`, `resolver`), what the answer means (`dns_answer`).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use relais_smtp::domain::Domain;

use crate::clock::Chance;
use crate::dns_answer::DnsError;

/// Wait for an answer over UDP, each time.
const UDP_TIMEOUT: Duration = Duration::from_secs(3);
/// Times that a question is sent over UDP.
const UDP_TRIES: usize = 2;
/// The whole exchange over TCP.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer over UDP: what passes without fragments. RFC 9715 §3.1.
const UDP_OCTETS_MAX: u16 = 1_232;
/// Datagrams that do not match are passed over, at most so many.
const STRAY_DATAGRAMS_MAX: usize = 100;

/// Whom a server is to ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Recursion {
    /// Others, if it must: it is a resolver.
    Desired,
    /// The same, and it is to say whether the answer is proven (AD). RFC 6840 §5.7.
    Proven,
    /// Nobody: it is to answer of its own knowledge.
    None,
}

/// Asks; an answer with the same id and question comes back, whatever it says.
///
/// # Errors
/// Temporary, always: that there was no answer says nothing of the name.
pub(crate) async fn exchange(
    chance: &Chance,
    server: SocketAddr,
    domain: &Domain,
    record_type: RecordType,
    recursion: Recursion,
) -> Result<Message, DnsError> {
    let cannot = || DnsError::temporary(domain, "the name cannot be asked for");
    let mut name = Name::from_ascii(domain.as_str()).map_err(|_| cannot())?;
    name.set_fqdn(true);
    let question = question(chance, Query::query(name, record_type), recursion);
    let octets = question.to_vec().map_err(|_| cannot())?;
    // On the heap: a datagram's buffer is in it.
    Box::pin(put(server, &question, &octets))
        .await
        .map_err(|error| DnsError::temporary(domain, in_words(&error)))
}

/// Whether the server says that its knowledge of the root is proven.
///
/// # Errors
/// In words, where it does not answer.
pub(crate) async fn proves_root(chance: &Chance, server: SocketAddr) -> Result<bool, String> {
    let asked = Query::query(Name::root(), RecordType::NS);
    let question = question(chance, asked, Recursion::Proven);
    let octets = question.to_vec().map_err(|error| error.to_string())?;
    match Box::pin(put(server, &question, &octets)).await {
        Ok(answer) => Ok(answer.metadata.authentic_data),
        Err(error) => Err(in_words(&error)),
    }
}

async fn put(server: SocketAddr, question: &Message, octets: &[u8]) -> io::Result<Message> {
    match over_udp(server, question, octets).await {
        Ok(answer) if answer.metadata.truncation => over_tcp(server, question, octets).await,
        other => other,
    }
}

fn question(chance: &Chance, asked: Query, recursion: Recursion) -> Message {
    let id = u16::try_from(chance.below(1 << 16)).unwrap_or_default();
    let mut question = Message::new(id, MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = recursion != Recursion::None;
    question.metadata.authentic_data = recursion == Recursion::Proven;
    question.add_query(asked);
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_OCTETS_MAX);
    // Some servers show AD only to those who ask for signatures. RFC 6840 §5.8.
    edns.set_dnssec_ok(recursion == Recursion::Proven);
    question.set_edns(edns);
    question
}

/// From a port of the system's choice, each time another (RFC 5452 §9.2).
async fn over_udp(server: SocketAddr, question: &Message, octets: &[u8]) -> io::Result<Message> {
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    // Then the kernel lets through only what comes from that server.
    socket.connect(server).await?;
    for _ in 0..UDP_TRIES {
        socket.send(octets).await?;
        match tokio::time::timeout(UDP_TIMEOUT, matching(&socket, question)).await {
            Ok(answer) => return answer,
            Err(_) => continue,
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

async fn matching(socket: &UdpSocket, question: &Message) -> io::Result<Message> {
    let mut buffer = [0; UDP_OCTETS_MAX as usize];
    for _ in 0..STRAY_DATAGRAMS_MAX {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = answer_to(question, &buffer[..length]) {
            return Ok(answer);
        }
    }
    Err(io::Error::other("only answers to other questions came"))
}

async fn over_tcp(server: SocketAddr, question: &Message, octets: &[u8]) -> io::Result<Message> {
    let talk = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(octets);
        stream.write_all(&framed).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        answer_to(question, &answer)
            .ok_or_else(|| io::Error::other("the answer is to another question"))
    };
    tokio::time::timeout(TCP_TIMEOUT, talk)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The octets as a message, if it answers this question (RFC 5452 §9.1).
fn answer_to(question: &Message, octets: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(octets).ok()?;
    let fits = answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.queries == question.queries;
    fits.then_some(answer)
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody answers there".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns_server::{DnsServer, ZoneRecord};

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    fn loopback() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }

    async fn ask(server: SocketAddr, name: &str) -> Result<Message, DnsError> {
        let chance = Chance::system();
        exchange(
            &chance,
            server,
            &domain(name),
            RecordType::TXT,
            Recursion::None,
        )
        .await
    }

    #[tokio::test]
    async fn a_server_is_asked_over_udp_and_for_long_answers_over_tcp() {
        let text = |n: usize| {
            (
                "big.test".to_owned(),
                ZoneRecord::Text(format!("{n}").repeat(200)),
            )
        };
        let mut records = (0..20).map(text).collect::<Vec<_>>();
        records.push((
            "a.test".to_owned(),
            ZoneRecord::Text("v=spf1 -all".to_owned()),
        ));
        let server = DnsServer::start(loopback(), records)
            .await
            .expect("loopback works");
        let small = ask(server.address(), "A.test").await.expect("an answer");
        assert_eq!(small.answers.len(), 1);
        assert!(small.metadata.authoritative);
        let big = ask(server.address(), "big.test")
            .await
            .expect("an answer over TCP");
        assert_eq!(big.answers.len(), 20);
    }

    #[tokio::test]
    async fn datagrams_that_answer_another_question_are_passed_over() {
        let liar = UdpSocket::bind(loopback()).await.expect("loopback works");
        let address = liar.local_addr().expect("it is bound");
        let answering = tokio::spawn(async move {
            let mut buffer = [0; 512];
            let (length, client) = liar.recv_from(&mut buffer).await.expect("a question");
            let question = Message::from_vec(&buffer[..length]).expect("a message");
            let good = question.clone().into_response();
            let mut other_id = good.clone();
            other_id.metadata.id = other_id.metadata.id.wrapping_add(1);
            let mut other_name = good.clone();
            other_name.queries[0].set_name(Name::from_ascii("evil.test.").expect("a name"));
            for wrong in [other_id, other_name, question] {
                liar.send_to(&wrong.to_vec().expect("octets"), client)
                    .await
                    .expect("sent");
            }
            liar.send_to(b"no message", client).await.expect("sent");
            let mut good = good;
            good.metadata.authoritative = true;
            liar.send_to(&good.to_vec().expect("octets"), client)
                .await
                .expect("sent");
        });
        let answer = ask(address, "a.test").await.expect("the good one");
        assert!(answer.metadata.authoritative);
        answering.await.expect("it said all");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_temporary() {
        let gone = UdpSocket::bind(loopback()).await.expect("loopback works");
        let address = gone.local_addr().expect("it is bound");
        drop(gone);
        let found = ask(address, "a.test").await;
        assert!(
            matches!(found, Err(DnsError::Temporary { .. })),
            "{found:?}"
        );
    }
}
