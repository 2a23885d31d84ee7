//! A server on a simulated network with the store in memory, and clients that talk to it.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use relais_net::clock::{Chance, Clock};

use relais_net::content_check::Checkers;
use relais_net::conversation::Conversations;
use relais_net::network::Network;
use relais_net::oidc::Issuers;
use relais_net::resolver::Resolver;
use relais_net::simulated_dns::SimulatedDns;
use relais_net::simulation::SimulatedNetwork;
use relais_net::stream::Stream;
use relais_net::tls::{OldClients, SeenCertificates};
use relais_net::zone::ZoneRecord;
use relais_policy::document::Document;
use relais_policy::restriction::{Effect, Entity, Restriction};
use relais_receive::service::{
    ListenerOptions, ListenerTls, ReceiveContext, ReceiveOptions, ReceiveService,
};
use relais_smtp::content::Preset;
use relais_smtp::time::Timestamp;
use relais_store::memory::{Durable, Fault, FaultPlan, Memory, MemoryOptions};
use relais_store::queue::{BY_ITSELF, Criteria, ListedMessage};
use relais_store::restriction::EntityChange;
use relais_store::settings::SettingsChange;
use relais_store::store::Store;
use relais_store::trace::{Event, TraceQuery};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_514_400_000);
/// A device of the connector *Printers* (tolerant).
pub(crate) const PRINTER: &str = "10.1.2.9";
/// An application of the connector *ERP* (strict).
pub(crate) const ERP: &str = "10.1.3.7";
/// Nobody's client.
pub(crate) const STRANGER: &str = "203.0.113.7";
const SERVER: &str = "198.51.100.1";

const SETTINGS: &str = r#"
[[organisation]]
name = "contoso"
postmaster = "it@contoso.test"

[[organisation.domain]]
name = "contoso.test"
verification = "assumed"
mailbox_host = "10.1.0.20:25"

[[organisation.recipient]]
address = "anna@contoso.test"

[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["10.1.2.0/24"]
preset = "tolerant"
limits = { message_size_max = "8 MiB" }

[[organisation.inbound_connector]]
name = "ERP"
sender_ip_addresses = ["10.1.3.0/24"]
preset = "strict"
header_from = "refuse"

[[organisation.outbound_connector]]
name = "All"
recipient_domains = ["*"]
smart_hosts = ["192.0.2.25:25"]
retry = { first = "1m", max = "1h", lifetime = "12h" }

[[organisation.outbound_connector]]
name = "By MX"
recipient_domains = ["*.mx.example"]
"#;

/// What a test wants different.
pub(crate) struct Wish {
    pub(crate) connections_max: usize,
    pub(crate) per_stranger_max: usize,
    pub(crate) message_size_max: u64,
    pub(crate) submission: bool,
    pub(crate) faults: FaultPlan,
    pub(crate) disk_reserve: u64,
    pub(crate) proxies: &'static [&'static str],
    pub(crate) tls: ListenerTls,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            connections_max: 100,
            per_stranger_max: 3,
            message_size_max: 64 * 1_024 * 1_024,
            submission: false,
            faults: FaultPlan::default(),
            disk_reserve: 0,
            proxies: &[],
            tls: ListenerTls::None,
        }
    }
}

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) memory: Arc<Memory>,
    pub(crate) dns: SimulatedDns,
    pub(crate) clock: Clock,
    service: Option<ReceiveService>,
    wire: SimulatedNetwork,
    resolver: Resolver,
}

pub(crate) async fn world() -> World {
    World::new(Wish::default()).await
}

/// These faults come first, one for each write.
pub(crate) fn faults(ordered: &[Option<Fault>]) -> FaultPlan {
    FaultPlan {
        ordered: ordered.iter().copied().collect::<VecDeque<_>>(),
        ..FaultPlan::default()
    }
}

impl World {
    pub(crate) async fn new(wish: Wish) -> Self {
        let clock = Clock::simulated(START);
        let wire = SimulatedNetwork::new(
            Chance::seeded(1),
            (Duration::ZERO, Duration::from_millis(2)),
        );
        let dns = SimulatedDns::new(Duration::from_millis(1));
        dns.set(
            "example.org",
            vec![ZoneRecord::Mx(10, "mail.example.org".into())],
        );
        let resolver = Resolver::simulated(&dns);
        let options = MemoryOptions {
            faults: FaultPlan::default(),
            disk_reserve: wish.disk_reserve,
            ..MemoryOptions::new(START)
        };
        let memory = Memory::open(options, Durable::default());
        let store = Store::Memory(Arc::clone(&memory));
        apply(&store, SETTINGS).await;
        memory.set_faults(wish.faults);
        let network = Network::simulated(&wire, vec![address(SERVER)], resolver.clone());
        let context = ReceiveContext {
            store: store.clone(),
            clock: clock.clone(),
            chance: Chance::seeded(2),
            network: network.clone(),
            certificates: SeenCertificates::new(),
            old_clients: OldClients::new(),
            issuers: Issuers::none(&clock),
            conversations: Conversations::default(),
            checkers: Checkers::new(Vec::new(), network.clone(), clock.clone()),
            counts: Default::default(),
            options: ReceiveOptions {
                hostname: "relay.contoso.test".to_owned(),
                message_size_max: wish.message_size_max,
                connections_max: wish.connections_max,
                connections_per_stranger_max: wish.per_stranger_max,
                connections_per_client_max: 50,
            },
        };
        let listener = network.listen(port_25()).await.expect("the port is free");
        let options = ListenerOptions {
            address: port_25(),
            submission: wish.submission,
            preset: Preset::Strict,
            bounds: None,
            proxies: wish.proxies.iter().map(|one| network_of(one)).collect(),
            tls: wish.tls,
        };
        let service = ReceiveService::start(context, vec![(listener, options)]);
        Self {
            store,
            memory,
            dns,
            clock,
            service: Some(service),
            wire,
            resolver,
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.service.as_ref().map_or(0, ReceiveService::connections)
    }

    pub(crate) fn take_service(&mut self) -> ReceiveService {
        self.service.take().expect("it was not taken before")
    }

    pub(crate) async fn is_unreachable(&self, from: &str) -> bool {
        let network = Network::simulated(&self.wire, vec![address(from)], self.resolver.clone());
        network.dial(port_25(), None).await.is_err()
    }

    /// A connection from this address, before the greeting.
    pub(crate) async fn connect(&self, from: &str) -> Client {
        let network = Network::simulated(&self.wire, vec![address(from)], self.resolver.clone());
        let stream = network
            .dial(port_25(), None)
            .await
            .expect("the server listens");
        Client {
            stream,
            unread: Vec::new(),
        }
    }

    /// A session from this address, after EHLO.
    pub(crate) async fn greeted(&self, from: &str) -> Client {
        let mut client = self.connect(from).await;
        assert!(
            client
                .reply()
                .await
                .starts_with("220 relay.contoso.test ESMTP Relais")
        );
        assert!(client.say("EHLO device.test").await.starts_with("250"));
        client
    }

    /// All events of this name so far, oldest first.
    pub(crate) async fn events(&self, name: &str) -> Vec<Event> {
        let query = TraceQuery {
            limit: 1_000,
            ..TraceQuery::default()
        };
        let rows = self
            .store
            .trace(&query)
            .await
            .expect("the trace can be read");
        let events = rows
            .iter()
            .rev()
            .map(|row| Event::from_json(&row.json).expect("our own"));
        events.filter(|event| event.kind.name() == name).collect()
    }

    pub(crate) async fn queue(&self) -> Vec<ListedMessage> {
        self.store
            .list(&Criteria::default(), None, 100)
            .await
            .expect("the queue can be read")
    }

    /// The content of the only message in the queue.
    pub(crate) async fn content(&self) -> String {
        let now = self.clock.now();
        let due = self
            .store
            .due(now, 10)
            .await
            .expect("the queue can be read");
        let [queue] = due.as_slice() else {
            panic!("one queue, not {due:?}")
        };
        let until = now.after(Duration::from_secs(60));
        let leased = self
            .store
            .lease(&queue.key, 10, 10, now, until)
            .await
            .expect("leased");
        let [message] = leased.as_slice() else {
            panic!("one message")
        };
        let mut reader = self
            .store
            .content_reader(&message.content)
            .await
            .expect("there");
        let mut content = Vec::new();
        loop {
            let piece = reader.next().await.expect("it can be read");
            if piece.is_empty() {
                return String::from_utf8_lossy(&content).into_owned();
            }
            content.extend_from_slice(&piece);
        }
    }

    pub(crate) async fn restrict(&self, entity: Entity, effect: Effect) {
        let change = EntityChange::Restrict(Restriction {
            entity,
            effect,
            reason: "to be looked at".to_owned(),
            evidence: Vec::new(),
            by: "anna".to_owned(),
            since: self.clock.now(),
            until: None,
        });
        assert_eq!(self.store.change_entities(change, BY_ITSELF).await, Ok(1));
    }

    pub(crate) async fn release(&self, entity: Entity) {
        let change = EntityChange::Release {
            entity,
            by: "anna".to_owned(),
            time: self.clock.now(),
        };
        assert_eq!(self.store.change_entities(change, BY_ITSELF).await, Ok(1));
    }

    /// Nothing of any message is anywhere.
    pub(crate) async fn assert_empty(&self) {
        assert!(self.queue().await.is_empty(), "the queue is empty");
        assert_eq!(self.memory.disk().files(), Vec::<std::path::PathBuf>::new());
        assert!(self.events("message.accepted").await.is_empty());
    }
}

pub(crate) async fn apply(store: &Store, toml: &str) {
    let document = Document::from_toml(toml).expect("the settings can be read");
    let change = SettingsChange {
        expected_version: store.settings().version,
        document,
        actor: "test".to_owned(),
        via: "socket".into(),
        summary: Vec::new(),
        time: START,
    };
    store
        .change_settings(change)
        .await
        .expect("the settings are valid");
}

pub(crate) fn settings_with(text: &str, instead: &str) -> String {
    assert!(SETTINGS.contains(text), "{text}");
    SETTINGS.replace(text, instead)
}

fn network_of(text: &str) -> ipnet::IpNet {
    text.parse().expect("a network")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn port_25() -> SocketAddr {
    SocketAddr::new(address(SERVER), 25)
}

/// An SMTP client as crude as a test needs it.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    unread: Vec<u8>,
}

impl Client {
    pub(crate) async fn send(&mut self, octets: &str) {
        self.stream
            .write_all(octets.as_bytes())
            .await
            .expect("the server is there");
    }

    /// One whole reply, with all its lines; empty if the server closed.
    pub(crate) async fn reply(&mut self) -> String {
        loop {
            if let Some(end) = end_of_reply(&self.unread) {
                let reply = self.unread.drain(..end).collect::<Vec<_>>();
                return String::from_utf8(reply)
                    .expect("replies are ASCII")
                    .trim_end()
                    .to_owned();
            }
            if self.read().await.unwrap_or(0) == 0 {
                return String::new();
            }
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.unread).await
    }

    /// Sends a command line and waits for its reply.
    pub(crate) async fn say(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n")).await;
        self.reply().await
    }

    /// Says each line; its reply must begin so.
    pub(crate) async fn play(&mut self, lines: &[(&str, &str)]) {
        for (line, begins) in lines {
            let reply = self.say(line).await;
            assert!(reply.starts_with(begins), "{line} → {reply}, not {begins}");
        }
    }

    /// A transaction up to 354.
    pub(crate) async fn open(&mut self, from: &str, to: &str) {
        let (mail, rcpt) = (format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>"));
        self.play(&[(&mail, "250"), (&rcpt, "250"), ("DATA", "354")])
            .await;
    }

    /// A whole message; the reply to its end.
    pub(crate) async fn mail(&mut self, from: &str, to: &str, content: &str) -> String {
        self.open(from, to).await;
        self.send(content).await;
        self.say("\r\n.").await
    }

    /// The connection was closed by the server.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.read().await.unwrap_or(0) == 0
    }
}

/// Behind the first line of `octets` that is `NNN text`, not `NNN-text`.
fn end_of_reply(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        at += line.len();
        if line.ends_with(b"\r\n") && line.get(3) == Some(&b' ') {
            return Some(at);
        }
    }
    None
}

/// A message that needs no repair.
pub(crate) const GOOD: &str = "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n\
                        Message-ID: <1@contoso.test>\r\n\
                        From: Scan <scan@contoso.test>\r\n\
                        To: b@example.org\r\n\
                        Subject: Scan 7\r\n\r\nBody\r\n";
