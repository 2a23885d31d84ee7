//! A world from one seed: the real `receive`, store (in memory) and `deliver` in one thread, on a
//! simulated clock, network and DNS. Clients with all manners, hosts that lie, a store that fails,
//! a relay that dies and is restarted, an administrator at work; then all goes well, and the queue
//! must drain. A ledger outside judges the whole history.
//!
//! The same seed gives the same run, to the octet.

mod judge;
mod weather;
mod hijack;
mod relay;
mod client;
mod host;
mod plan;
mod notice;
mod ledger;
mod letter;
mod history;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use relais_net::clock::{Chance, Clock, Moment};
use relais_net::network::Network;
use relais_net::resolver::Resolver;
use relais_net::simulated_dns::SimulatedDns;
use relais_net::simulation::SimulatedNetwork;
use relais_smtp::time::Timestamp;
use relais_store::memory::{Durable, Fault, FaultPlan, Memory, MemoryOptions};
use relais_store::queue::{Criteria, ListedMessage, QueueAct};
use relais_store::store::Store;
use relais_store::suspension::{Suspension, SuspensionScope};
use relais_store::trace::{Event, TRACE_LIMIT_MAX, TraceQuery};
use tokio::task::JoinSet;

use self::client::{Sender, Whereabouts};
use self::host::{Mood, Running};
use self::judge::{Finding, judge};
use self::ledger::Ledger;
use self::plan::{Plan, RETRY_MAX};
use self::relay::{Relay, Surroundings};
use self::weather::{Act, forecast};

pub use self::hijack::{HijackReport, play_hijack};
pub use relais_store::store::BrokenTwin;

/// Tuesday, 24 November 2026, ten o'clock.
const START: Timestamp = Timestamp::from_millis(1_795_514_400_000);
/// The first client's messages are numbered from here, the second's from twice this, …
const NUMBERS_PER_CLIENT: u64 = 1_000;
/// How often the world looks whether something has come about.
const LOOK_GAP: Duration = Duration::from_secs(10);
/// How often it looks whether the relay has died in a write.
const DEATH_LOOK_GAP: Duration = Duration::from_millis(50);
/// The relay looks at the clock once a minute. One that dies between a jump and that look, or that
/// is down when the clock jumps, cannot know when it lives again that due times are wrong.
const SEEN_TIME: Duration = Duration::from_secs(65);
/// If no write comes in this time, the relay dies without one.
const DEATH_WAIT: Duration = Duration::from_secs(60);
/// When all goes well, clients end within this: 60 messages and pauses of half an hour.
const CLIENTS_TIME: Duration = Duration::from_secs(48 * 3_600);

/// How to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A fault built into the store: the ledger must notice.
    pub broken: Option<BrokenTwin>,
    /// Keep the whole history in the report.
    pub verbose: bool,
}

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Of the history: equal for equal runs.
    pub fingerprint: u64,
    /// Promises that were not kept.
    pub faults: Vec<String>,
    /// The history around the faults, or all of it.
    pub story: String,
    /// Messages begun by clients.
    pub messages: usize,
    /// Messages that arrived somewhere, repetitions included.
    pub arrivals: usize,
    /// Notices that arrived.
    pub notices: usize,
    /// Lives of the relay.
    pub lives: u16,
    /// Time that passed in the simulation.
    pub simulated: Duration,
    /// Lines of history.
    pub lines: usize,
}

/// Runs one seed in this thread.
///
/// # Panics
/// If the relay, or the simulation, panics.
pub fn play(seed: u64, options: Options) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets can be made");
    runtime.block_on(async move { World::make(seed, options).await.run().await })
}

struct World {
    seed: u64,
    options: Options,
    plan: Arc<Plan>,
    surroundings: Surroundings,
    chance: Chance,
    moods: Vec<Mood>,
    relay: Option<Relay>,
    life: u16,
    clients: JoinSet<()>,
    hosts: JoinSet<()>,
    /// By how much the wall clock is wrong now.
    jumped: i64,
    /// The relay may not die before: see [`SEEN_TIME`].
    seen_at: Moment,
    findings: Vec<Finding>,
}

impl World {
    async fn make(seed: u64, options: Options) -> Self {
        let chance = Chance::seeded(seed);
        let plan = Arc::new(Plan::draw(&chance.split()));
        let ledger = Ledger::new(Moment::now());
        let latency = (Duration::from_millis(1), Duration::from_millis(40));
        let dns = SimulatedDns::new(Duration::from_millis(5));
        for (name, records) in plan.zone() {
            dns.set(&name, records);
        }
        let mut store_options = MemoryOptions::new(START);
        store_options.broken = options.broken;
        let surroundings = Surroundings {
            wire: SimulatedNetwork::new(chance.split(), latency),
            dns,
            clock: Clock::simulated(START),
            chance: chance.split(),
            ledger,
            whereabouts: Whereabouts::default(),
            settings: plan.settings.clone(),
            options: store_options,
        };
        let mut world = Self {
            seed,
            options,
            moods: plan.hosts.iter().map(|_| Mood::default()).collect(),
            plan,
            surroundings,
            chance,
            relay: None,
            life: 0,
            clients: JoinSet::new(),
            hosts: JoinSet::new(),
            jumped: 0,
            seen_at: Moment::now(),
            findings: Vec::new(),
        };
        world.start_hosts();
        world.live(Durable::default()).await;
        world.start_clients();
        world
    }

    fn start_hosts(&mut self) {
        let Surroundings {
            wire, dns, ledger, ..
        } = &self.surroundings;
        for (number, host) in self.plan.hosts.iter().enumerate() {
            let network =
                Network::simulated(wire, host.addresses.clone(), Resolver::simulated(dns));
            self.hosts.spawn(Running::serve(
                network,
                number,
                host.clone(),
                self.moods[number].clone(),
                ledger.clone(),
                self.chance.split(),
            ));
        }
    }

    fn start_clients(&mut self) {
        let Surroundings {
            wire,
            dns,
            ledger,
            whereabouts,
            ..
        } = &self.surroundings;
        for (client, place) in self.plan.clients.iter().zip(1..) {
            let sender = Sender {
                plan: Arc::clone(&self.plan),
                client: client.clone(),
                first_number: place * NUMBERS_PER_CLIENT,
                network: Network::simulated(wire, vec![client.address], Resolver::simulated(dns)),
                whereabouts: whereabouts.clone(),
                ledger: ledger.clone(),
                chance: self.chance.split(),
            };
            self.clients.spawn(sender.run());
        }
    }

    async fn live(&mut self, durable: Durable) {
        let ledger = &self.surroundings.ledger;
        let now = ledger.now();
        ledger.pages().lives.push((now, self.jumped > 0));
        self.relay = Some(Relay::start(&self.surroundings, durable, self.life).await);
        self.life += 1;
    }

    async fn run(mut self) -> Report {
        let mut coming = forecast(&self.plan, &self.chance.split());
        while let Some(((at, _), act)) = coming.pop_first() {
            let wait = at.saturating_sub(self.surroundings.ledger.now());
            tokio::time::sleep(wait).await;
            self.surroundings
                .ledger
                .note(0, format!("weather: {act:?}"));
            self.perform(act).await;
        }
        self.drain().await;
        let events = self.rest().await;
        let pages = self.surroundings.ledger.pages();
        let mut findings = std::mem::take(&mut self.findings);
        findings.extend(judge(&self.plan, &pages, &events));
        let concerned: Vec<u64> = findings
            .iter()
            .flat_map(|finding| finding.messages.clone())
            .take(3)
            .collect();
        let story = match (self.options.verbose, findings.is_empty()) {
            (true, _) => format!("{}\n{}", self.plan.settings, pages.history.whole()),
            (false, true) => String::new(),
            (false, false) => pages.history.around(&concerned),
        };
        Report {
            seed: self.seed,
            fingerprint: pages.history.fingerprint(),
            faults: findings.into_iter().map(described).collect(),
            story,
            messages: pages.sent.len(),
            arrivals: pages.arrivals.len(),
            notices: pages.notices.len(),
            lives: self.life,
            simulated: self.surroundings.ledger.now(),
            lines: pages.history.len(),
        }
    }

    async fn perform(&mut self, act: Act) {
        let Surroundings {
            wire,
            dns,
            ledger,
            clock,
            ..
        } = &self.surroundings;
        match act {
            Act::Mood { host, percent } => self.moods[host].set(percent),
            Act::Dns { name, fault } => dns.set_fault(&name, fault),
            Act::Gone { destination, gone } => {
                let destination = &self.plan.destinations[destination];
                let records = if gone {
                    Vec::new()
                } else {
                    destination.records.clone()
                };
                ledger.pages().gone.insert(destination.domain.clone());
                dns.set(&destination.domain, records);
            }
            Act::Link { host, faults } => {
                ledger.disturbs(host);
                for address in &self.plan.hosts[host].addresses {
                    wire.set_faults(SocketAddr::new(*address, 25), faults.clone());
                }
            }
            Act::Door { faults } => {
                if let Some(relay) = &self.relay {
                    wire.set_faults(SocketAddr::new(relay.addresses[0], 25), faults);
                }
            }
            Act::Partition { host } => {
                ledger.disturbs(host);
                if let Some(relay) = &self.relay {
                    for address in &self.plan.hosts[host].addresses {
                        let ours = usize::from(address.is_ipv6());
                        wire.partition(relay.addresses[ours], *address);
                    }
                }
            }
            Act::Heal => wire.heal(),
            Act::Reset { host } => {
                ledger.disturbs(host);
                for address in &self.plan.hosts[host].addresses {
                    wire.reset(*address);
                }
            }
            Act::Crash { down } => self.crash(down).await,
            Act::DieInWrite { fault, down } => self.die_in_write(fault, down).await,
            Act::Restart { down } => self.restart(down).await,
            Act::FailWrite => self.order(Fault::Fails),
            Act::Syncs { work } => {
                if let Some(relay) = &self.relay {
                    relay.memory.disk().fail_syncs(!work);
                }
                if !work {
                    self.order(Fault::Fails);
                }
            }
            Act::Room { octets } => {
                if let Some(relay) = &self.relay {
                    relay.memory.disk().set_capacity(octets);
                }
            }
            Act::Jump { millis } => {
                clock.jump(millis);
                self.jumped += millis;
                self.seen_at = Moment::now() + SEEN_TIME;
            }
            Act::Queue { act, destination } => self.act(act, destination).await,
            Act::Suspend {
                destination,
                suspended,
            } => {
                self.suspend(destination, suspended).await;
            }
            Act::Calm => self.calm().await,
        }
    }

    fn order(&self, fault: Fault) {
        if let Some(relay) = &self.relay {
            let ordered = VecDeque::from([Some(fault)]);
            relay.memory.set_faults(FaultPlan {
                ordered,
                ..FaultPlan::default()
            });
        }
    }

    async fn crash(&mut self, down: Duration) {
        tokio::time::sleep_until(self.seen_at).await;
        if let Some(relay) = self.relay.take() {
            let durable = relay.crash();
            tokio::time::sleep(down).await;
            self.live(durable).await;
        }
    }

    async fn die_in_write(&mut self, fault: Fault, down: Duration) {
        tokio::time::sleep_until(self.seen_at).await;
        self.order(fault);
        let until = Moment::now() + DEATH_WAIT;
        while let Some(relay) = &self.relay
            && !relay.memory.is_dead()
            && Moment::now() < until
        {
            tokio::time::sleep(DEATH_LOOK_GAP).await;
        }
        self.crash(down).await;
    }

    async fn restart(&mut self, down: Duration) {
        tokio::time::sleep_until(self.seen_at).await;
        if let Some(relay) = self.relay.take() {
            let durable = relay.stop().await;
            tokio::time::sleep(down).await;
            self.live(durable).await;
        }
    }

    async fn act(&mut self, act: QueueAct, destination: Option<usize>) {
        let destination = destination.map(|place| self.plan.destinations[place].domain.clone());
        let criteria = Criteria {
            destination,
            ..Criteria::default()
        };
        let Surroundings { ledger, clock, .. } = &self.surroundings;
        match act {
            QueueAct::Delete => ledger.pages().deletes += 1,
            QueueAct::Bounce => ledger.pages().bounces += 1,
            QueueAct::Retry
            | QueueAct::Hold
            | QueueAct::Release
            | QueueAct::Restrict { .. }
            | QueueAct::Unrestrict => {}
        }
        if let Some(relay) = &self.relay {
            let done = relay.store.act(act, &criteria, "world", clock.now()).await;
            ledger.note(0, format!("administrator: {done:?}"));
        }
    }

    async fn suspend(&self, destination: usize, suspended: bool) {
        let Surroundings { ledger, clock, .. } = &self.surroundings;
        let domain = &self.plan.destinations[destination].domain;
        if let Some(relay) = &self.relay {
            let scope = SuspensionScope::destination(domain);
            let now = clock.now();
            let done = if suspended {
                relay
                    .store
                    .suspend(Suspension::new(scope, "world", now))
                    .await
            } else {
                relay.store.resume(&scope, "world", now).await.map(|_| ())
            };
            ledger.note(0, format!("administrator: {done:?}"));
        }
    }

    /// Whatever was wrong is right from now on.
    async fn calm(&mut self) {
        let Surroundings {
            wire, dns, clock, ..
        } = &self.surroundings;
        clock.jump(-self.jumped);
        self.jumped = 0;
        for (host, mood) in self.plan.hosts.iter().zip(&self.moods) {
            mood.set(0);
            dns.set_fault(&host.name, None);
            for address in &host.addresses {
                wire.set_faults(SocketAddr::new(*address, 25), None);
            }
        }
        for (name, records) in self.plan.zone() {
            dns.set_fault(&name, None);
            dns.set(&name, records);
        }
        wire.heal();
        if let Some(relay) = &self.relay {
            wire.set_faults(SocketAddr::new(relay.addresses[0], 25), None);
            relay.memory.set_faults(FaultPlan::default());
            relay.memory.disk().fail_syncs(false);
            relay.memory.disk().set_capacity(None);
            let clock = &self.surroundings.clock;
            let (now, steady) = (clock.now(), clock.steady_now());
            relay.store.maintain_by(now, steady).await;
            relay.store.follow_restrictions(steady).await;
        }
        for destination in 0..self.plan.destinations.len() {
            self.suspend(destination, false).await;
        }
        self.act(QueueAct::Release, None).await;
    }

    /// I10: when the faults stop, everything that waits is gone within two retry intervals (one for
    /// its next attempt, one more for a grey list) and the notices about it; later mail likewise.
    async fn drain(&mut self) {
        let calm = self.surroundings.clock.now();
        self.wait_until_drained(calm).await;
        self.report_what_waits("accepted before the calm", calm)
            .await;
        let clients = async { while self.clients.join_next().await.is_some() {} };
        if tokio::time::timeout(CLIENTS_TIME, clients).await.is_err() {
            let text = "the simulation's clients do not come to an end".to_owned();
            self.findings.push(Finding {
                messages: Vec::new(),
                text,
            });
        }
        let end = self.surroundings.clock.now();
        self.wait_until_drained(end).await;
        self.report_what_waits("accepted after the calm", end).await;
    }

    /// Messages accepted before; dates from a clock that ran ahead count, too.
    async fn waiting(&self, before: Timestamp) -> Vec<ListedMessage> {
        let Some(relay) = &self.relay else {
            return Vec::new();
        };
        let limit = 10_000;
        let listed = relay.store.list(&Criteria::default(), None, limit).await;
        let now = self.surroundings.clock.now();
        let mut listed = listed.unwrap_or_default();
        listed.retain(|one| one.accepted_at < before || one.accepted_at > now);
        listed
    }

    async fn wait_until_drained(&self, before: Timestamp) {
        let bound = RETRY_MAX * 12 / 5 + Duration::from_secs(45 * 60);
        let until = Moment::now() + bound;
        while Moment::now() < until && !self.waiting(before).await.is_empty() {
            tokio::time::sleep(LOOK_GAP).await;
        }
    }

    async fn report_what_waits(&mut self, which: &str, before: Timestamp) {
        for message in self.waiting(before).await {
            let subject = message.subject.as_deref().unwrap_or_default();
            let number = number_of_subject(subject).unwrap_or(0);
            let text = format!("I10: {which}, and still waits: {message:?}");
            self.findings.push(Finding {
                messages: vec![number],
                text,
            });
        }
    }

    /// Stops the relay in order and looks at what is on its disk.
    async fn rest(&mut self) -> Vec<Event> {
        let Some(relay) = self.relay.take() else {
            return Vec::new();
        };
        let durable = relay.stop().await;
        let mut options = self.surroundings.options.clone();
        options.now = self.surroundings.clock.now();
        let memory = Memory::open(options, durable);
        let files = memory.disk().files();
        let store = Store::Memory(memory);
        let counts = store.counts();
        if counts.queued + counts.deferred + counts.held > 0 {
            let text = format!("I8: the queue is not empty at rest: {counts:?}");
            self.findings.push(Finding {
                messages: Vec::new(),
                text,
            });
        }
        if !files.is_empty() {
            let text = format!("I5: content without a queue entry: {files:?}");
            self.findings.push(Finding {
                messages: Vec::new(),
                text,
            });
        }
        self.read_trace(&store).await
    }

    /// All events, oldest first, as a reader of the trace gets them.
    async fn read_trace(&mut self, store: &Store) -> Vec<Event> {
        let mut events = Vec::new();
        let mut before = None;
        loop {
            let query = TraceQuery {
                limit: TRACE_LIMIT_MAX,
                before,
                ..TraceQuery::default()
            };
            let rows = store.trace(&query).await.unwrap_or_default();
            let Some(last) = rows.last() else { break };
            before = Some(last.position);
            for row in rows {
                match Event::from_json(&row.json) {
                    Ok(event) => events.push(event),
                    Err(error) => {
                        let text = format!("the trace cannot be read back: {error}: {}", row.json);
                        self.findings.push(Finding {
                            messages: Vec::new(),
                            text,
                        });
                    }
                }
            }
        }
        events.reverse();
        events
    }
}

fn described(finding: Finding) -> String {
    match finding.messages.as_slice() {
        [] | [0] => finding.text,
        messages => format!("message {messages:?}: {}", finding.text),
    }
}

/// `message 17` → 17.
fn number_of_subject(subject: &str) -> Option<u64> {
    subject.strip_prefix("message ")?.parse().ok()
}

/// `m17r0-grey@d1.example` → 17.
fn number_of_address(address: &str) -> Option<u64> {
    address.strip_prefix('m')?.split('r').next()?.parse().ok()
}
