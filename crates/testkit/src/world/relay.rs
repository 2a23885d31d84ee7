//! The relay under test: the real `receive` and `deliver` on a store in memory, one life after the
//! other. Each life has its own network address, so that nothing of an earlier one can pass as a
//! later one's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use relais_deliver::service::{DeliverContext, DeliverOptions, DeliverService};
use relais_deliver::vault::StoreVault;
use relais_net::clock::{Chance, Clock};
use relais_net::content_check::Checkers;
use relais_net::conversation::Conversations;
use relais_net::login::Logins;
use relais_net::network::Network;
use relais_net::oidc::Issuers;
use relais_net::resolver::Resolver;
use relais_net::simulated_dns::SimulatedDns;
use relais_net::simulation::SimulatedNetwork;
use relais_net::tls::{ClientTls, OldClients, SeenCertificates};
use relais_net::web::{SimulatedWeb, Web};
use relais_policy::document::{Document, IpVersion};
use relais_receive::service::{
    ListenerOptions, ListenerTls, ReceiveContext, ReceiveOptions, ReceiveService,
};
use relais_smtp::content::Preset;
use relais_store::memory::{Durable, Memory, MemoryOptions};
use relais_store::settings::SettingsChange;
use relais_store::store::Store;
use relais_store::trace::{Event, EventKind, To};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::Whereabouts;
use super::ledger::Ledger;

/// Our name.
pub(super) const HOSTNAME: &str = "relay.contoso.test";
/// How often the store is maintained; the real relay does it every second.
const UPKEEP_GAP: Duration = Duration::from_secs(5);
/// As the real relay has for a stop in order.
pub(super) const DRAIN_TIME: Duration = Duration::from_secs(30);
/// Largest message.
const MESSAGE_OCTETS_MAX: u64 = 1 << 20;

/// What every life of the relay shares.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) wire: SimulatedNetwork,
    pub(super) dns: SimulatedDns,
    pub(super) clock: Clock,
    pub(super) chance: Chance,
    pub(super) ledger: Ledger,
    pub(super) whereabouts: Whereabouts,
    pub(super) settings: String,
    /// How the store is opened, broken twins included.
    pub(super) options: MemoryOptions,
}

/// One life.
pub(super) struct Relay {
    pub(super) memory: Arc<Memory>,
    pub(super) store: Store,
    pub(super) addresses: [IpAddr; 2],
    receive: Option<ReceiveService>,
    deliver: Option<DeliverService>,
    upkeep: JoinHandle<()>,
    surroundings: Surroundings,
}

impl Relay {
    /// Starts on what the life before left; `life` counts from 0.
    pub(super) async fn start(surroundings: &Surroundings, durable: Durable, life: u16) -> Self {
        let Surroundings {
            wire,
            dns,
            clock,
            chance,
            ledger,
            ..
        } = surroundings;
        let (upper, lower) = (life / 200, life % 200);
        let last = u8::try_from(lower).unwrap_or(0) + 1;
        let four = IpAddr::V4(Ipv4Addr::new(10, 0, u8::try_from(upper).unwrap_or(0), last));
        let six = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, life + 1));
        let network = Network::simulated(wire, vec![four, six], Resolver::simulated(dns));
        let mut options = surroundings.options.clone();
        options.now = clock.now();
        options.observer = {
            let ledger = ledger.clone();
            Arc::new(move |event, _| note_event(&ledger, event))
        };
        let memory = Memory::open(options, durable);
        let store = Store::Memory(Arc::clone(&memory));
        if life == 0 {
            apply(&store, clock, &surroundings.settings).await;
        }
        let address = SocketAddr::new(four, 25);
        let listener = network
            .listen(address)
            .await
            .expect("the port of a new life is free");
        let receive = ReceiveContext {
            store: store.clone(),
            clock: clock.clone(),
            chance: chance.split(),
            network: network.clone(),
            certificates: SeenCertificates::new(),
            old_clients: OldClients::new(),
            issuers: Issuers::none(clock),
            conversations: Conversations::default(),
            checkers: Checkers::new(Vec::new(), network.clone(), clock.clone()),
            counts: Default::default(),
            options: ReceiveOptions {
                hostname: HOSTNAME.to_owned(),
                message_size_max: MESSAGE_OCTETS_MAX,
                connections_max: 200,
                connections_per_stranger_max: 20,
                connections_per_client_max: 50,
            },
        };
        let listening = ListenerOptions {
            address,
            submission: false,
            preset: Preset::Strict,
            bounds: None,
            proxies: Vec::new(),
            tls: ListenerTls::None,
        };
        let deliver = DeliverContext {
            store: store.clone(),
            clock: clock.clone(),
            chance: chance.split(),
            network,
            tls: ClientTls::without_roots(),
            reply_rules: watch::channel(Arc::default()).1,
            web: Web::simulated(&SimulatedWeb::default()),
            logins: Logins::new(
                StoreVault::new(store.clone(), clock.clone(), |file, _| {
                    Err(format!("{file}: there are no files"))
                }),
                clock.clone(),
            ),
            options: DeliverOptions {
                hostname: HOSTNAME.to_owned(),
                smtp_port: 25,
                tls_reports: true,
                tls_report_organisation: String::new(),
                allow_private_destinations: true,
                source_addresses: Vec::new(),
                ip_version: IpVersion::default(),
                connections_max: 100,
            },
        };
        let relay = Self {
            receive: Some(ReceiveService::start(receive, vec![(listener, listening)])),
            deliver: Some(DeliverService::start(deliver)),
            upkeep: tokio::spawn(keep_house(store.clone(), clock.clone(), ledger.clone())),
            memory,
            store,
            addresses: [four, six],
            surroundings: surroundings.clone(),
        };
        ledger.note(0, format!("relay: life {life} begins"));
        surroundings.whereabouts.set(Some(address));
        relay
    }

    /// Dies at once; what is on the disk remains.
    pub(super) fn crash(mut self) -> Durable {
        let ledger = self.surroundings.ledger.clone();
        self.surroundings.whereabouts.set(None);
        let durable = self.memory.crash();
        drop(self.receive.take());
        drop(self.deliver.take());
        self.upkeep.abort();
        for address in self.addresses {
            self.surroundings.wire.reset(address);
        }
        ledger.note(0, "relay: dies");
        let at = ledger.now();
        ledger.pages().crashes.push(at);
        end_seal(&ledger);
        durable
    }

    /// Stops in order, as the real relay does on SIGTERM.
    pub(super) async fn stop(mut self) -> Durable {
        let ledger = self.surroundings.ledger.clone();
        let began = ledger.now();
        ledger.note(0, "relay: stops");
        self.surroundings.whereabouts.set(None);
        let receive = self.receive.take().map(|service| service.drain(DRAIN_TIME));
        let deliver = self.deliver.take().map(|service| service.drain(DRAIN_TIME));
        let receive = async {
            if let Some(drain) = receive {
                drain.await;
            }
        };
        let deliver = async {
            if let Some(drain) = deliver {
                drain.await;
            }
        };
        tokio::join!(receive, deliver);
        self.upkeep.abort();
        self.store.close(DRAIN_TIME).await;
        let durable = self.memory.crash();
        for address in self.addresses {
            self.surroundings.wire.reset(address);
        }
        ledger.note(0, "relay: has stopped");
        let ended = ledger.now();
        ledger.pages().stops.push((began, ended));
        end_seal(&ledger);
        durable
    }
}

/// As `relais serve` does, and notes when the store takes nothing.
async fn keep_house(store: Store, clock: Clock, ledger: Ledger) {
    let mut since = None;
    loop {
        clock.sleep(UPKEEP_GAP).await;
        store.maintain_by(clock.now(), clock.steady_now()).await;
        store.follow_restrictions(clock.steady_now()).await;
        match (store.unhealthy(), since) {
            (Some(because), None) => {
                ledger.note(0, format!("relay: takes nothing: {because}"));
                let now = ledger.now();
                since = Some(now);
                ledger.pages().sealed.push((now, Duration::MAX));
            }
            (None, Some(_)) => {
                ledger.note(0, "relay: takes messages again");
                since = None;
                end_seal(&ledger);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}

/// The store takes messages again, or its life is over.
fn end_seal(ledger: &Ledger) {
    let now = ledger.now();
    if let Some(last) = ledger.pages().sealed.last_mut() {
        last.1 = last.1.min(now);
    }
}

async fn apply(store: &Store, clock: &Clock, settings: &str) {
    let document =
        Document::from_toml(settings).expect("the plan writes settings that can be read");
    let change = SettingsChange {
        expected_version: 0,
        document,
        actor: "world".to_owned(),
        via: "socket".into(),
        summary: vec!["the plan".to_owned()],
        time: clock.now(),
    };
    store
        .change_settings(change)
        .await
        .expect("the plan writes valid settings");
}

/// One line of history for each event of the trace.
fn note_event(ledger: &Ledger, event: &Event) {
    let to = match &event.to {
        Some(To::One(to)) => to.to_string(),
        Some(To::Many(all)) => all.join(" "),
        None => String::new(),
    };
    let number = super::number_of_subject(event.subject.as_deref().unwrap_or_default());
    let text = format!(
        "trace: {} {} {to} {} {}",
        event.kind.name(),
        event.queue_id.map(|id| id.to_string()).unwrap_or_default(),
        event.reply.as_deref().unwrap_or_default(),
        event.detail.as_deref().unwrap_or_default()
    );
    ledger.note(number.unwrap_or(0), text);
    let (now, mut pages) = (ledger.now(), ledger.pages());
    match (event.kind, event.queue_id) {
        (EventKind::MessageAccepted, Some(id)) => drop(pages.accepted.insert(id, now)),
        (EventKind::RecipientExpired, Some(id)) => pages.expired.push((id, to, now)),
        _ => {}
    }
}
