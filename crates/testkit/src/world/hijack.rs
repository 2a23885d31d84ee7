//! A played hijack on a simulated clock, with the real `receive`, store and `deliver`: two printers
//! send scans on some days; then one of them, from three in the morning, thousands of messages to
//! fresh recipients. What leaves, what waits, and what leaves once a person releases it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::{Chance, Clock, Moment};
use relais_net::network::Network;
use relais_net::resolver::Resolver;
use relais_net::simulated_dns::SimulatedDns;
use relais_net::simulation::SimulatedNetwork;
use relais_net::stream::Stream;
use relais_policy::restriction::Restriction;
use relais_smtp::time::Timestamp;
use relais_store::memory::{Durable, MemoryOptions};
use relais_store::queue::{Criteria, QueueAct};
use relais_store::restriction::EntityChange;
use relais_store::store::Store;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::client::Whereabouts;
use super::ledger::Ledger;
use super::relay::{Relay, Surroundings};

/// Monday, 2 November 2026, midnight.
const MIDNIGHT: Timestamp = Timestamp::from_millis(1_793_577_600_000);
/// Days of history before the night.
const DAYS: u64 = 5;
/// The hour at which it begins.
const NIGHT_HOURS: u64 = 3;
/// What the hijacker sends.
const BURST: usize = 5_000;
/// Where everything is delivered to.
const SMART_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 25));
const PRINTER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 9));
const NEIGHBOUR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 8));

/// What came of it.
#[derive(Debug)]
pub struct HijackReport {
    /// When the burst began.
    pub began: Timestamp,
    /// The hijacker's messages that were answered 250.
    pub accepted: usize,
    /// Of these, delivered before a person did anything.
    pub delivered: usize,
    /// Of these, waiting then.
    pub held: u64,
    /// What is restricted then.
    pub restricted: Vec<Restriction>,
    /// The neighbour's messages of that night: sent, delivered.
    pub neighbour: (usize, usize),
    /// The printer's own scan of that night, delivered once a person released it and deleted the
    /// rest.
    pub is_scan_delivered: bool,
    /// The hijacker's messages delivered in the end.
    pub delivered_in_the_end: usize,
}

/// Plays it; `triggers` is the organisation's setting of that name, in TOML.
///
/// # Panics
/// If the relay, or the simulation, panics.
pub fn play_hijack(triggers: &str) -> HijackReport {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets can be made");
    runtime.block_on(Night::play(triggers))
}

/// Recipients that the smart host took, in order.
type Taken = Arc<Mutex<Vec<String>>>;

struct Night {
    relay: Relay,
    surroundings: Surroundings,
    taken: Taken,
}

impl Night {
    async fn play(triggers: &str) -> HijackReport {
        let night = Self::begin(triggers).await;
        for day in 0..DAYS {
            night.sleep_until(day, 9).await;
            for device in [PRINTER, NEIGHBOUR] {
                let scans = (0..3).map(|scan| format!("anna{scan}@example.org"));
                night.send(device, scans).await;
            }
        }
        night.sleep_until(DAYS, NIGHT_HOURS).await;
        let began = night.surroundings.clock.now();
        let fresh = (0..BURST).map(|number| format!("fresh{number}@example.net"));
        let accepted = night.send(PRINTER, fresh).await;
        // The printer goes on scanning for its people, too: that is legitimate.
        night
            .send(PRINTER, ["scan@example.org".to_owned()].into_iter())
            .await;
        let boss = ["boss@example.org".to_owned()];
        let sent = night.send(NEIGHBOUR, boss.into_iter()).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        let store = night.store();
        let restricted: Vec<_> = store.restrictions().iter().cloned().collect();
        let (delivered, held) = (night.fresh(), store.counts().held);
        let of_neighbour = night.count("boss@example.org");
        night.clean_up(&restricted).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        HijackReport {
            began,
            accepted,
            delivered,
            held,
            restricted,
            neighbour: (sent, of_neighbour),
            is_scan_delivered: night.count("scan@example.org") == 1,
            delivered_in_the_end: night.fresh(),
        }
    }

    async fn begin(triggers: &str) -> Self {
        let chance = Chance::seeded(3);
        let dns = SimulatedDns::new(Duration::from_millis(5));
        let latency = (Duration::from_millis(1), Duration::from_millis(5));
        let surroundings = Surroundings {
            wire: SimulatedNetwork::new(chance.split(), latency),
            dns,
            clock: Clock::simulated(MIDNIGHT),
            chance: chance.split(),
            ledger: Ledger::new(Moment::now()),
            whereabouts: Whereabouts::default(),
            settings: settings(triggers),
            options: MemoryOptions::new(MIDNIGHT),
        };
        let taken = Taken::default();
        let network = network(&surroundings, SMART_HOST);
        tokio::spawn(serve(network, Arc::clone(&taken)));
        let relay = Relay::start(&surroundings, Durable::default(), 0).await;
        Self {
            relay,
            surroundings,
            taken,
        }
    }

    fn store(&self) -> &Store {
        &self.relay.store
    }

    async fn sleep_until(&self, day: u64, hour: u64) {
        let until = MIDNIGHT.after(Duration::from_secs(day * 86_400 + hour * 3_600));
        let wait = until.since(self.surroundings.clock.now());
        tokio::time::sleep(wait).await;
    }

    /// One session with a message to each; how many were answered 250.
    async fn send(&self, device: IpAddr, to: impl Iterator<Item = String>) -> usize {
        let network = network(&self.surroundings, device);
        let port = SocketAddr::new(self.relay.addresses[0], 25);
        let stream = network.dial(port, None).await.expect("the relay listens");
        let mut session = BufReader::new(stream);
        reply(&mut session).await;
        say(&mut session, "EHLO scan\r\n").await;
        let mut accepted = 0;
        for address in to {
            say(&mut session, "MAIL FROM:<scan@contoso.test>\r\n").await;
            say(&mut session, &format!("RCPT TO:<{address}>\r\n")).await;
            say(&mut session, "DATA\r\n").await;
            let text = "From: scan@contoso.test\r\nSubject: scan\r\n\r\nhello\r\n.\r\n";
            accepted += usize::from(say(&mut session, text).await.starts_with("250 "));
        }
        say(&mut session, "QUIT\r\n").await;
        accepted
    }

    /// A person deletes what the hijacker sent, and releases the printer.
    async fn clean_up(&self, restricted: &[Restriction]) {
        let (store, now) = (self.store(), self.surroundings.clock.now());
        let criteria = Criteria {
            destination: Some("example.net".to_owned()),
            ..Criteria::default()
        };
        let deleted = store.act(QueueAct::Delete, &criteria, "anna", now).await;
        deleted.expect("the store is well");
        for one in restricted {
            let release = EntityChange::Release {
                entity: one.entity.clone(),
                by: "anna".to_owned(),
                time: now,
            };
            let released = store
                .change_entities(release, relais_store::queue::BY_ITSELF)
                .await;
            released.expect("the store is well");
        }
    }

    fn count(&self, address: &str) -> usize {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.iter().filter(|one| *one == address).count()
    }

    fn fresh(&self) -> usize {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken
            .iter()
            .filter(|one| one.ends_with("@example.net"))
            .count()
    }
}

fn settings(triggers: &str) -> String {
    format!(
        "[[organisation]]\nname = \"contoso\"\ntriggers = {triggers}\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         [[organisation.inbound_connector]]\nname = \"Printers\"\n\
         sender_ip_addresses = [\"10.1.2.0/24\"]\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\n\
         smart_hosts = [\"{SMART_HOST}:25\"]\ntls = \"none\"\n"
    )
}

fn network(surroundings: &Surroundings, address: IpAddr) -> Network {
    let resolver = Resolver::simulated(&surroundings.dns);
    Network::simulated(&surroundings.wire, vec![address], resolver)
}

/// The last line of the next reply.
async fn reply(session: &mut BufReader<Stream>) -> String {
    loop {
        let mut line = String::new();
        let read = session.read_line(&mut line).await;
        let is_last = line.as_bytes().get(3) != Some(&b'-');
        if is_last || read.is_err() {
            return line;
        }
    }
}

async fn say(session: &mut BufReader<Stream>, words: &str) -> String {
    let stream = session.get_mut();
    stream.write_all(words.as_bytes()).await.expect("open");
    stream.flush().await.expect("open");
    reply(session).await
}

/// A server that takes everything.
async fn serve(network: Network, taken: Taken) {
    let port = SocketAddr::new(SMART_HOST, 25);
    let listener = network.listen(port).await.expect("the port is free");
    while let Ok(accepted) = listener.accept().await {
        tokio::spawn(take(BufReader::new(accepted.stream), Arc::clone(&taken)));
    }
}

async fn take(mut session: BufReader<Stream>, taken: Taken) {
    let mut answer = "220 mx.example.org ESMTP\r\n";
    let (mut in_content, mut to) = (false, Vec::new());
    loop {
        let stream = session.get_mut();
        let written = stream.write_all(answer.as_bytes()).await;
        if written.is_err() || stream.flush().await.is_err() {
            return;
        }
        let mut line = String::new();
        loop {
            line.clear();
            match session.read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) if in_content && line != ".\r\n" => {}
                Ok(_) => break,
            }
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        answer = match verb.as_str() {
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                to.push(address.to_owned());
                "250 2.1.5 ok\r\n"
            }
            "DATA" => {
                in_content = true;
                "354 go on\r\n"
            }
            _ if in_content => {
                in_content = false;
                let mut all = taken.lock().unwrap_or_else(PoisonError::into_inner);
                all.append(&mut to);
                "250 2.0.0 ok\r\n"
            }
            _ => "250 2.0.0 ok\r\n",
        };
    }
}
