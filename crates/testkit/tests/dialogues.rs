//! Plays the dialogues of `crates/smtp/tests/dialogues` against the real receiving service: over
//! the simulated network, the same one octet at a time, and over TCP on loopback.
//!
//! The decisions that the pure machine's player makes by hand are made by settings here; dialogues
//! whose decisions no settings can make are left out, each with its reason.

#[path = "../../smtp/tests/dialogue/mod.rs"]
mod dialogue;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use relais_net::clock::{Chance, Clock};

use relais_net::content_check::Checkers;
use relais_net::conversation::Conversations;
use relais_net::network::Network;
use relais_net::oidc::Issuers;
use relais_net::resolver::Resolver;
use relais_net::simulated_dns::SimulatedDns;
use relais_net::simulation::{Faults, SimulatedNetwork};
use relais_net::stream::Stream;
use relais_net::tls::{OldClients, SeenCertificates};
use relais_policy::document::Document;
use relais_policy::password::store;
use relais_receive::service::{
    ListenerOptions, ListenerTls, ReceiveContext, ReceiveOptions, ReceiveService,
};
use relais_smtp::content::Preset;
use relais_smtp::time::Timestamp;
use relais_store::memory::MemoryOptions;
use relais_store::settings::SettingsChange;
use relais_store::store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::dialogue::{Dialogue, Turn, matches, octets};

const START: Timestamp = Timestamp::from_millis(1_795_514_400_000);
const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 25));
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Who may log in in clear text.
const PRIVATE_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 9));
/// A server that says nothing for so long will not say anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// What the pure machine's player announces, and what the service does.
const LIMITS: (&str, &str) = ("LIMITS RCPTMAX=100", "LIMITS RCPTMAX=1000");

/// By which way the octets go.
#[derive(Clone, Copy, Debug)]
enum Way {
    Simulated,
    OctetByOctet,
    Tcp,
}

fn all() -> Vec<Dialogue> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../smtp/tests/dialogues");
    Dialogue::read_all(&folder)
}

/// Why no settings can make the decisions of this dialogue.
fn left_out(dialogue: &Dialogue) -> Option<&'static str> {
    let decided =
        |key: &str, token: &str| dialogue.settings_of(key).any(|rule| rule.ends_with(token));
    if ["errors-max", "junk-commands-max", "recipients-max"]
        .iter()
        .any(|key| dialogue.setting(key).is_some())
    {
        return Some("the service's own limits are fixed and larger");
    }
    if dialogue.setting("starttls").is_some() {
        return Some("the file cannot say a handshake");
    }
    if dialogue.setting("auth") == Some("bearer") {
        return Some("tokens need an issuer");
    }
    if dialogue.name.contains("scram") {
        return Some("the nonce of the server is chance");
    }
    if decided("refuse-auth", "AUTH-THROTTLE") {
        return Some("guesses are counted, and the dialogue has none");
    }
    if decided("refuse-hello", "HELO-FORGED") {
        return Some("the forged name is refused to strangers, who may not send what follows");
    }
    if decided("refuse-content", "LOCAL") {
        return Some("the store does not fail between RCPT and DATA by settings");
    }
    if decided("refuse-message", "LOOP") {
        return Some("the content of the dialogue has no Received fields");
    }
    if decided("refuse-sender", "CONN-LIMIT") {
        return Some("connections are counted when they begin, not at MAIL");
    }
    if decided("refuse-sender", "FROM-NULL") {
        return Some("an address of one organisation alone may send with the null reverse-path");
    }
    None
}

#[tokio::test(start_paused = true)]
async fn every_dialogue_comes_out_over_the_simulated_network() {
    let mut played = 0;
    for dialogue in all().iter().filter(|one| left_out(one).is_none()) {
        play(dialogue, Way::Simulated).await;
        play(dialogue, Way::OctetByOctet).await;
        played += 1;
    }
    assert!(played >= 50, "only {played} dialogues were played");
}

#[tokio::test]
async fn every_dialogue_comes_out_over_tcp() {
    for dialogue in all().iter().filter(|one| left_out(one).is_none()) {
        play(dialogue, Way::Tcp).await;
    }
}

#[test]
fn what_is_left_out_has_its_reason_and_is_little() {
    let dialogues = all();
    let left_out = dialogues
        .iter()
        .filter(|one| left_out(one).is_some())
        .count();
    assert!(
        left_out * 5 <= dialogues.len(),
        "{left_out} of {} are left out",
        dialogues.len()
    );
}

async fn play(dialogue: &Dialogue, way: Way) {
    let store = Store::in_memory(MemoryOptions::new(START));
    apply(&store, dialogue).await;
    let (service, stream) = start(dialogue, &store, way).await;
    let mut player = Player {
        dialogue,
        way,
        stream,
        unread: Vec::new(),
        sent: Vec::new(),
        from_is_missing: false,
        queue_id: None,
        store,
    };
    for turn in &dialogue.turns {
        player.turn(turn).await;
    }
    drop(player);
    service.drain(PATIENCE).await;
}

/// Settings under which the relay decides as the dialogue says.
fn settings(dialogue: &Dialogue) -> String {
    let refused = |token: &str| {
        dialogue
            .settings_of("refuse-recipient")
            .any(|rule| rule.ends_with(token))
    };
    let mut text = "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
        [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
        mailbox_host = \"mail.contoso.test:25\"\n"
        .to_owned();
    // With a directory, whoever is not in it does not exist.
    let kind = if refused("RCPT-UNKNOWN") {
        "authoritative"
    } else {
        "internal-relay"
    };
    text.push_str(&format!("kind = \"{kind}\"\n"));
    for name in ["anna", "bert", "a", "it"] {
        text.push_str(&format!(
            "[[organisation.recipient]]\naddress = \"{name}@contoso.test\"\n"
        ));
    }
    let address = if refused("SRC-UNKNOWN") {
        "203.0.113.7"
    } else {
        "192.0.2.1\", \"127.0.0.1\", \"10.1.2.9"
    };
    // Address literals are allowed only where they are named.
    let literals = "*\", \"[192.0.2.7]\", \"[IPv6:2001:db8::7]";
    let destinations = if refused("RCPT-SCOPE") {
        "own"
    } else {
        literals
    };
    let preset = dialogue.setting("preset").unwrap_or("strict");
    text.push_str(&format!(
        "[[organisation.inbound_connector]]\nname = \"Player\"\npreset = \"{preset}\"\n\
         sender_ip_addresses = [\"{address}\"]\nrecipient_domains = [\"{destinations}\"]\n"
    ));
    if let Some(limit) = dialogue.setting("sender-size-limit") {
        text.push_str(&format!(
            "limits = {{ message_size_max = \"{limit} B\" }}\n"
        ));
    }
    if dialogue.setting("auth") == Some("now") {
        text.push_str("cleartext_auth = true\n");
    }
    for credential in dialogue.settings_of("credential") {
        let (user, password) = credential.split_once(' ').expect("user and password");
        let hash = store(password, [[1; 16], [2; 16]]).password_hash;
        text.push_str(&format!(
            "[[organisation.credential]]\nuser = \"{user}\"\ninbound_connector = \"Player\"\n\
             password_hash = \"{hash}\"\n"
        ));
    }
    text.push_str(
        "[[organisation.outbound_connector]]\nname = \"All\"\nrecipient_domains = [\"*\"]\n\
         smart_hosts = [\"smart.contoso.test:25\"]\ntls = \"opportunistic\"\n",
    );
    text
}

async fn apply(store: &Store, dialogue: &Dialogue) {
    let text = settings(dialogue);
    let change = SettingsChange {
        expected_version: 0,
        document: Document::from_toml(&text).unwrap_or_else(|error| panic!("{error}:\n{text}")),
        actor: "test".to_owned(),
        via: "socket".into(),
        summary: vec!["test".to_owned()],
        time: START,
    };
    let changed = store.change_settings(change).await;
    changed.unwrap_or_else(|error| panic!("{}: {error}", dialogue.name));
}

async fn start(dialogue: &Dialogue, store: &Store, way: Way) -> (ReceiveService, Stream) {
    let resolver = Resolver::simulated(&SimulatedDns::new(Duration::from_millis(1)));
    let wire = SimulatedNetwork::new(
        Chance::seeded(1),
        (Duration::ZERO, Duration::from_millis(5)),
    );
    let (network, asked) = match way {
        Way::Simulated | Way::OctetByOctet => {
            let network = Network::simulated(&wire, vec![RELAY], resolver.clone());
            (network, SocketAddr::new(RELAY, 25))
        }
        Way::Tcp => (
            Network::system(resolver.clone()),
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        ),
    };
    let listener = network.listen(asked).await.expect("a free port");
    let address = listener.local_address().expect("it listens");
    if matches!(way, Way::OctetByOctet) {
        let faults = Faults {
            octets_per_read_max: Some(1),
            ..Faults::default()
        };
        wire.set_faults(address, Some(faults));
    }
    let limit = dialogue.setting("size-limit").unwrap_or("100000");
    let preset = match dialogue.setting("preset") {
        Some("tolerant") => Preset::Tolerant,
        _ => Preset::Strict,
    };
    let context = ReceiveContext {
        store: store.clone(),
        clock: Clock::simulated(START),
        chance: Chance::seeded(2),
        network: network.clone(),
        certificates: SeenCertificates::new(),
        old_clients: OldClients::new(),
        issuers: Issuers::none(&Clock::simulated(START)),
        conversations: Conversations::default(),
        counts: Default::default(),
        checkers: Checkers::new(Vec::new(), network.clone(), Clock::simulated(START)),
        options: ReceiveOptions {
            hostname: "relay.contoso.test".to_owned(),
            message_size_max: limit.parse().expect("a number"),
            connections_max: 10,
            connections_per_stranger_max: 10,
            connections_per_client_max: 10,
        },
    };
    let options = ListenerOptions {
        bounds: None,
        address,
        submission: false,
        preset,
        proxies: Vec::new(),
        tls: ListenerTls::None,
    };
    let service = ReceiveService::start(context, vec![(listener, options)]);
    let client = match dialogue.setting("auth") {
        Some(_) => PRIVATE_CLIENT,
        None => CLIENT,
    };
    let player = match way {
        Way::Simulated | Way::OctetByOctet => Network::simulated(&wire, vec![client], resolver),
        Way::Tcp => network,
    };
    (
        service,
        player.dial(address, None).await.expect("the relay answers"),
    )
}

struct Player<'a> {
    dialogue: &'a Dialogue,
    way: Way,
    stream: Stream,
    unread: Vec<u8>,
    /// By the client since the server last spoke.
    sent: Vec<u8>,
    /// The message was refused for want of a From field, which the dialogue leaves out.
    from_is_missing: bool,
    /// Of the message accepted last.
    queue_id: Option<String>,
    store: Store,
}

impl Player<'_> {
    async fn turn(&mut self, turn: &Turn) {
        match turn {
            Turn::Client(octets) => {
                let said = String::from_utf8_lossy(&self.unread).into_owned();
                assert_eq!(said, "", "{}: too early", self.place());
                self.sent.clone_from(octets);
                // A server that closes early leaves octets unread: its words are what counts.
                let _ = self.stream.write_all(octets).await;
            }
            Turn::Server(lines) => {
                for line in lines {
                    self.expect(line).await;
                }
            }
            Turn::Closed => {
                let line = self.line().await;
                assert_eq!(line, None, "{}: closed", self.place());
            }
            Turn::Message(key, value) => self.message(key, value).await,
        }
    }

    fn place(&self) -> String {
        format!("{} ({:?})", self.dialogue.name, self.way)
    }

    async fn expect(&mut self, pattern: &str) {
        let mut pattern = pattern.replace(LIMITS.0, LIMITS.1);
        if matches!(self.way, Way::Tcp) {
            pattern = pattern.replace(&CLIENT.to_string(), "127.0.0.1");
        }
        let Some(line) = self.line().await else {
            panic!("{}: closed instead of {pattern:?}", self.place());
        };
        if pattern.starts_with("250 2.0.0 Queued as") {
            self.queue_id = line.rsplit(' ').next().map(str::to_owned);
            // The machine does not read header fields; the relay refuses known clients' messages
            // without From, as RFC 5322 §3.6 has it.
            let sent = String::from_utf8_lossy(&self.sent).to_ascii_lowercase();
            self.from_is_missing = !sent.contains("from: ") && line.contains("(HDR-FROM ");
            if self.from_is_missing {
                return;
            }
        }
        assert!(
            matches(&pattern, &line),
            "{}: {pattern:?}, but: {line:?}",
            self.place()
        );
    }

    /// What the store has of the message accepted last.
    async fn message(&mut self, key: &str, value: &str) {
        let Some(id) = self.queue_id.as_ref().filter(|_| !self.from_is_missing) else {
            return;
        };
        let id = id.parse().expect("a queue id");
        let due = self.store.due(START, 100).await.expect("the store answers");
        let until = START.after(Duration::from_secs(1));
        if key == "content" {
            let expected = octets(value);
            for queue in due {
                let leased = self.store.lease(&queue.key, 10, 10, START, until).await;
                for one in leased.expect("the store answers") {
                    if one.facts.queue_id != id {
                        continue;
                    }
                    let mut reader = self
                        .store
                        .content_reader(&one.content)
                        .await
                        .expect("the store answers");
                    let mut content = Vec::new();
                    loop {
                        let piece = reader.next().await.expect("content as it was written");
                        if piece.is_empty() {
                            break;
                        }
                        content.extend_from_slice(&piece);
                    }
                    assert!(content.ends_with(&expected), "{}: {value}", self.place());
                    assert!(content.starts_with(b"Received: from "), "{}", self.place());
                }
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = String::from_utf8(line).expect("replies are UTF-8");
                let line = line.strip_suffix("\r\n").expect("replies end with CRLF");
                return Some(line.to_owned());
            }
            let mut buffer = [0; 4_096];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await;
            match read.unwrap_or_else(|_| panic!("{}: silence", self.place())) {
                // TCP resets where the server closed with octets unread.
                Ok(0) | Err(_) => return None,
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
            }
        }
    }
}
