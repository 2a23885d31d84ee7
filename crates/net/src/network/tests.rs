//! The real network on loopback, and the simulated one.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::clock::{Chance, Moment};
use crate::simulated_dns::SimulatedDns;
use crate::simulation::{ConnectFault, Faults, Side};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const LATENCY: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(20));

fn world(seed: u64) -> (SimulatedNetwork, Network, Network) {
    let wire = SimulatedNetwork::new(Chance::seeded(seed), LATENCY);
    let resolver = Resolver::simulated(&SimulatedDns::new(Duration::ZERO));
    let client = Network::simulated(&wire, vec![CLIENT], resolver.clone());
    let server = Network::simulated(&wire, vec![SERVER], resolver);
    (wire, client, server)
}

fn port_25() -> SocketAddr {
    SocketAddr::new(SERVER, 25)
}

/// Sends back what it reads, until the peer closes.
async fn echo(mut accepted: Accepted) -> io::Result<()> {
    let mut buffer = [0; 1_024];
    loop {
        accepted.stream.readable().await?;
        let count = match accepted.stream.try_read(&mut buffer) {
            Ok(0) => return accepted.stream.shutdown().await,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        accepted.stream.write_all(&buffer[..count]).await?;
    }
}

/// Sends `octets`, closes its direction, and reads what comes back.
async fn round_trip(mut stream: Stream, octets: &[u8]) -> io::Result<Vec<u8>> {
    let mut back = Vec::new();
    stream.write_all(octets).await?;
    stream.shutdown().await?;
    stream.read_to_end(&mut back).await?;
    Ok(back)
}

#[tokio::test]
async fn the_real_network_carries_octets_both_ways_after_a_half_close() {
    let network = Network::system(Resolver::simulated(&SimulatedDns::new(Duration::ZERO)));
    let listener = network
        .listen((Ipv4Addr::LOCALHOST, 0).into())
        .await
        .expect("loopback");
    let address = listener.local_address().expect("it listens");
    let server = tokio::spawn(async move { echo(listener.accept().await?).await });
    let stream = network
        .dial(address, Some(Ipv4Addr::LOCALHOST.into()))
        .await
        .expect("it listens");
    assert_eq!(
        round_trip(stream, b"EHLO a.test\r\n")
            .await
            .expect("it echoes"),
        b"EHLO a.test\r\n"
    );
    server.await.expect("no panic").expect("no error");
}

#[tokio::test]
async fn an_ipv4_client_of_an_ipv6_socket_is_an_ipv4_client() {
    let network = Network::system(Resolver::simulated(&SimulatedDns::new(Duration::ZERO)));
    // A machine without IPv6 has nothing to canonicalise.
    let Ok(listener) = network.listen((Ipv6Addr::UNSPECIFIED, 0).into()).await else {
        return;
    };
    let port = listener.local_address().expect("it listens").port();
    let dial = network.dial((Ipv4Addr::LOCALHOST, port).into(), None);
    let (stream, accepted) = tokio::join!(dial, listener.accept());
    assert!(stream.is_ok());
    let accepted = accepted.expect("a connection");
    assert_eq!(accepted.peer.ip(), IpAddr::from(Ipv4Addr::LOCALHOST));
    assert_eq!(accepted.local.ip(), IpAddr::from(Ipv4Addr::LOCALHOST));
}

#[tokio::test]
async fn both_wildcards_can_listen_on_one_port() {
    let network = Network::system(Resolver::simulated(&SimulatedDns::new(Duration::ZERO)));
    let v4 = network
        .listen((Ipv4Addr::UNSPECIFIED, 0).into())
        .await
        .expect("IPv4 works");
    let port = v4.local_address().expect("it listens").port();
    let v6 = network.listen((Ipv6Addr::UNSPECIFIED, port).into()).await;
    assert!(
        v6.is_ok()
            || v6
                .as_ref()
                .is_err_and(|error| error.kind() != io::ErrorKind::AddrInUse)
    );
}

#[tokio::test(start_paused = true)]
async fn a_simulated_connection_takes_its_latency_and_loses_nothing() {
    let (_wire, client, server) = world(1);
    let listener = server
        .listen((Ipv4Addr::UNSPECIFIED, 25).into())
        .await
        .expect("free");
    let serving = tokio::spawn(async move { echo(listener.accept().await?).await });
    let before = Moment::now();
    let stream = client.dial(port_25(), None).await.expect("it listens");
    let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut read, mut write) = tokio::io::split(stream);
    let send = async {
        write.write_all(&sent).await?;
        write.shutdown().await
    };
    let mut back = Vec::new();
    let (sending, reading) = tokio::join!(send, read.read_to_end(&mut back));
    sending.expect("room comes as the peer reads");
    reading.expect("it echoes");
    assert!(back == sent, "octets arrive whole and in order");
    assert!(before.elapsed() >= Duration::from_millis(20));
    serving.await.expect("no panic").expect("no error");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_takes_the_same_time() {
    let mut times = Vec::new();
    for _ in 0..2 {
        let (_wire, client, server) = world(42);
        let listener = server.listen(port_25()).await.expect("free");
        let serving = tokio::spawn(async move { echo(listener.accept().await?).await });
        let before = Moment::now();
        let stream = client.dial(port_25(), None).await.expect("it listens");
        round_trip(stream, b"QUIT\r\n").await.expect("it echoes");
        times.push(before.elapsed());
        serving.await.expect("no panic").expect("no error");
    }
    assert_eq!(times[0], times[1]);
}

#[tokio::test(start_paused = true)]
async fn dials_meet_the_faults_that_are_set() {
    let (wire, client, server) = world(1);
    let kind = async || {
        client
            .dial(port_25(), None)
            .await
            .map(drop)
            .map_err(|e| e.kind())
    };
    assert_eq!(
        kind().await,
        Err(io::ErrorKind::ConnectionRefused),
        "nobody listens"
    );
    let elsewhere = client.dial("203.0.113.9:25".parse().unwrap(), None).await;
    assert_eq!(
        elsewhere.map_err(|e| e.kind()).err(),
        Some(io::ErrorKind::HostUnreachable)
    );
    let _listener = server.listen(port_25()).await.expect("free");
    for (connect, error) in [
        (ConnectFault::Refused, io::ErrorKind::ConnectionRefused),
        (ConnectFault::TimedOut, io::ErrorKind::TimedOut),
        (ConnectFault::Unreachable, io::ErrorKind::HostUnreachable),
    ] {
        wire.set_faults(
            port_25(),
            Some(Faults {
                connect,
                ..Faults::default()
            }),
        );
        assert_eq!(kind().await, Err(error));
    }
    wire.set_faults(port_25(), None);
    wire.set_plan(Some(Box::new(|dial, _| Faults {
        connect: if dial.number == 5 {
            ConnectFault::Refused
        } else {
            ConnectFault::None
        },
        ..Faults::default()
    })));
    assert_eq!(
        kind().await,
        Err(io::ErrorKind::ConnectionRefused),
        "the sixth dial"
    );
    assert_eq!(kind().await, Ok(()));
    let foreign = client.dial(port_25(), Some(SERVER)).await;
    assert_eq!(
        foreign.map_err(|e| e.kind()).err(),
        Some(io::ErrorKind::AddrNotAvailable)
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_breaks_after_the_octets_that_are_set() {
    let (wire, client, server) = world(1);
    let reset_after = Some((Side::Dialler, 10));
    wire.set_faults(
        port_25(),
        Some(Faults {
            reset_after,
            ..Faults::default()
        }),
    );
    let listener = server.listen(port_25()).await.expect("free");
    let mut stream = client.dial(port_25(), None).await.expect("it listens");
    let mut accepted = listener.accept().await.expect("a connection").stream;
    stream.write_all(b"12345").await.expect("not yet");
    let mut first = [0; 5];
    accepted.read_exact(&mut first).await.expect("not yet");
    stream.write_all(b"67890").await.expect("taken, and lost");
    let broken = |error: io::Error| error.kind() == io::ErrorKind::ConnectionReset;
    assert!(accepted.read_u8().await.is_err_and(broken));
    assert!(stream.write_all(b"!").await.is_err_and(broken));
}

#[tokio::test(start_paused = true)]
async fn octets_come_one_at_a_time_if_so_set() {
    let (wire, client, server) = world(1);
    let faults = Faults {
        octets_per_read_max: Some(1),
        ..Faults::default()
    };
    wire.set_faults(port_25(), Some(faults));
    let listener = server.listen(port_25()).await.expect("free");
    let mut stream = client.dial(port_25(), None).await.expect("it listens");
    let mut accepted = listener.accept().await.expect("a connection").stream;
    stream.write_all(b"NOOP").await.expect("room");
    let mut read = Vec::new();
    while read.len() < 4 {
        accepted.readable().await.expect("octets");
        let mut buffer = [0; 64];
        let count = accepted.try_read(&mut buffer).expect("readable");
        assert_eq!(count, 1);
        read.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(read, b"NOOP");
}

#[tokio::test(start_paused = true)]
async fn a_partition_holds_everything_back_until_it_heals() {
    let (wire, client, server) = world(1);
    let listener = server.listen(port_25()).await.expect("free");
    let mut stream = client.dial(port_25(), None).await.expect("it listens");
    let mut accepted = listener.accept().await.expect("a connection").stream;
    wire.partition(CLIENT, SERVER);
    stream.write_all(b"a").await.expect("room");
    let waiting = tokio::time::timeout(Duration::from_secs(60), accepted.read_u8()).await;
    assert!(waiting.is_err(), "nothing arrives");
    let dial = tokio::time::timeout(Duration::from_secs(60), client.dial(port_25(), None)).await;
    assert!(dial.is_err(), "nobody answers");
    wire.heal();
    assert_eq!(accepted.read_u8().await.expect("held back, not lost"), b'a');
    assert!(client.dial(port_25(), None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_crashes_breaks_its_connections() {
    let (wire, client, server) = world(1);
    let listener = server.listen(port_25()).await.expect("free");
    let mut stream = client.dial(port_25(), None).await.expect("it listens");
    let _accepted = listener.accept().await.expect("a connection");
    wire.reset(SERVER);
    assert!(stream.read_u8().await.is_err());
    drop(listener);
    let again = client.dial(port_25(), None).await;
    assert_eq!(
        again.map_err(|e| e.kind()).err(),
        Some(io::ErrorKind::ConnectionRefused)
    );
}
