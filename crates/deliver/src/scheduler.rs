//! Hears the bell and the clock, asks the store what is due, leases it, and hands it to sites.
//!
//! Strategies, each in two sentences:
//! - **Scan**: the store names the queues with something due; a scan follows a ring, a due time or
//!   the end of a rest. It takes at most a twentieth of the time, so that a busy bell does not make
//!   a busy scheduler.
//! - **Lease by need**: a site asks for as many messages as it will soon send, one for a probe, fifty
//!   in full flow. So a dead destination holds one message, not its whole queue.
//! - **Turns**: sites take turns for leases and connections; within a site organisations take turns,
//!   and within an organisation its destinations.
//! - **Probes**: sites that failed share a quarter of all connections. A thousand dead destinations
//!   leave three quarters to the living.
//!
//! Nothing waits within the scheduler: look-ups, leases and scans run beside it, bounded in number.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use relais_net::clock::Moment;
use relais_policy::outcome::Outcome;
use relais_policy::route::route;
use relais_smtp::address::Host;
use relais_smtp::time::Timestamp;
use relais_store::queue::{
    Criteria, DueQueue, Leased, QueueAct, QueueKey, RecipientStateName, StoreError,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::{Attempt, Finding};
use crate::connection::{self, Shared};
use crate::context::{LEASE_TIME, RECIPIENTS_MAX};
use crate::destination::next_hops;
use crate::lanes::{Lane, LaneStage, Rota, Way};
use crate::settle::By;
use crate::site::{Attention, Site, SiteKey, Terms, Tickets, Work, rest};
use crate::steady::Steady;

/// Queues that a scan names, besides those that rest.
const SCAN_QUEUES_MAX: usize = 1_000;
/// Queues that the scheduler remembers: about 300 octets each.
const LANES_MAX: usize = 100_000;
/// Between scans, at least.
const SCAN_GAP_MIN: Duration = Duration::from_millis(5);
/// A scan may take this part of the time at most.
const SCAN_SHARE: u32 = 20;
/// A scan, whatever happens: a signal is a hint, the truth is in the store.
const SCAN_GAP_MAX: Duration = Duration::from_secs(60);
/// Look-ups of next hops at once.
const FINDS_MAX: usize = 64;
/// A lane's way is looked up again after this; DNS answers are cached by their TTL below us.
const WAY_AGE_MAX: Duration = Duration::from_secs(60);
/// Messages judged without an attempt, in one go.
const JUDGED_AT_ONCE: usize = 20;
/// Goes for a permanent judgement before other queues have their turn.
const JUDGED_GOES_MAX: usize = 50;
/// Messages under lease in all: some hundred mebibytes at worst, with 64 KiB each.
const LEASED_MAX: usize = 2_000;
/// After a fault of the store.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Sites and lanes without work are forgotten after this.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);
/// Ends of rests remembered; the sixty-second scan finds the others.
const WAKES_MAX: usize = 4_096;

/// What ran beside the scheduler.
enum Asked {
    Scanned {
        due: Result<Vec<DueQueue>, StoreError>,
        next: Option<Timestamp>,
        took: Duration,
    },
    Found {
        key: QueueKey,
        version: u64,
        way: Way,
    },
    Leased {
        key: QueueKey,
        site: u64,
        asked: usize,
        leased: Result<Vec<Leased>, StoreError>,
    },
    Judged {
        key: QueueKey,
        finding: Box<Finding>,
        by: By,
    },
}

struct Entry {
    site: Arc<Site>,
    rota: Rota,
}

/// One connection's place among all; given back when dropped.
struct Seat {
    seats: Arc<AtomicUsize>,
    probes: Option<Arc<AtomicUsize>>,
    attention: Attention,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.fetch_sub(1, Ordering::Relaxed);
        if let Some(probes) = &self.probes {
            probes.fetch_sub(1, Ordering::Relaxed);
        }
        self.attention.wake();
    }
}

/// See the head of this file.
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
    steady: Arc<Steady>,
    tracker: TaskTracker,
    cut: CancellationToken,
    sweep: Arc<Notify>,
    attention: Attention,
    tickets: Arc<Tickets>,
    seats: Arc<AtomicUsize>,
    probes: Arc<AtomicUsize>,
    lanes: HashMap<QueueKey, Lane>,
    sites: BTreeMap<u64, Entry>,
    numbers: HashMap<SiteKey, u64>,
    number_next: u64,
    hungry: VecDeque<u64>,
    is_hungry: BTreeSet<u64>,
    to_find: VecDeque<QueueKey>,
    finds: usize,
    asks: FuturesUnordered<BoxFuture<'static, Asked>>,
    wakes: BTreeSet<Moment>,
    resting: usize,
    scan: Scan,
    tidied: Moment,
}

struct Scan {
    wanted: bool,
    under_way: bool,
    not_before: Moment,
    next: Moment,
}

impl Scheduler {
    pub(crate) fn new(
        shared: Arc<Shared>,
        steady: Arc<Steady>,
        tracker: TaskTracker,
        cut: CancellationToken,
        sweep: Arc<Notify>,
    ) -> Self {
        let attention = Attention::default();
        let now = shared.context.clock.moment();
        Self {
            steady,
            tracker,
            cut,
            sweep,
            tickets: Tickets::new(LEASED_MAX, attention.clone()),
            attention,
            seats: Arc::default(),
            probes: Arc::default(),
            lanes: HashMap::new(),
            sites: BTreeMap::new(),
            numbers: HashMap::new(),
            number_next: 0,
            hungry: VecDeque::new(),
            is_hungry: BTreeSet::new(),
            to_find: VecDeque::new(),
            finds: 0,
            asks: FuturesUnordered::new(),
            wakes: BTreeSet::new(),
            resting: 0,
            scan: Scan {
                wanted: true,
                under_way: false,
                not_before: now,
                next: now,
            },
            tidied: now,
            shared,
        }
    }

    fn now(&self) -> Moment {
        self.shared.context.clock.moment()
    }

    /// Works until stopped; then nothing waits at any site any more.
    pub(crate) async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let clock = self.shared.context.clock.clone();
        let bell = self.shared.context.store.bell();
        let attention = self.attention.clone();
        while !stop.is_cancelled() {
            self.begin_scan();
            self.begin_finds();
            self.serve_all();
            let wake = self.wake();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(asked) = self.asks.next(), if !self.asks.is_empty() => self.take(asked),
                () = attention.heard() => {}
                () = bell.heard(), if !self.scan.wanted => self.scan.wanted = true,
                () = clock.sleep_until(wake) => self.scan.wanted = true,
            }
            for number in self.attention.take() {
                self.attend(number);
            }
        }
        self.wind_up().await;
    }

    /// When to look at the store again if nothing is heard.
    fn wake(&self) -> Moment {
        if self.scan.under_way {
            return self.now() + SCAN_GAP_MAX;
        }
        if self.scan.wanted {
            return self.scan.not_before;
        }
        let rested = self.wakes.first().copied().unwrap_or(self.scan.next);
        rested.min(self.scan.next).max(self.scan.not_before)
    }

    // ---- scanning ----------------------------------------------------------------------------

    fn begin_scan(&mut self) {
        let now = self.now();
        if !self.scan.wanted || self.scan.under_way || now < self.scan.not_before {
            return;
        }
        self.scan.wanted = false;
        self.scan.under_way = true;
        self.wakes = self.wakes.split_off(&(now + Duration::from_nanos(1)));
        self.sweep.notify_one();
        self.follow_clock();
        let limit = SCAN_QUEUES_MAX + self.resting.min(LANES_MAX);
        let context = self.shared.context.clone();
        self.asks.push(Box::pin(async move {
            let begun = context.clock.moment();
            let now = context.clock.now();
            let due = context.store.due(now, limit).await;
            let next = context.store.next_due(now).await.unwrap_or(None);
            let took = context.clock.moment().saturating_duration_since(begun);
            Asked::Scanned { due, next, took }
        }));
    }

    /// After the clock went back, due times lie too far ahead: everything is due now.
    fn follow_clock(&mut self) {
        if !self.steady.take_went_back() {
            return;
        }
        tracing::warn!("the clock went back: everything that waits is tried now");
        let context = self.shared.context.clone();
        self.spawn(async move {
            for state in [RecipientStateName::Queued, RecipientStateName::Deferred] {
                let criteria = Criteria {
                    state: Some(state),
                    ..Criteria::default()
                };
                let now = context.clock.now();
                let act = context
                    .store
                    .act(QueueAct::Retry, &criteria, "clock", now)
                    .await;
                if let Err(error) = act {
                    tracing::warn!(%error, "due times could not be mended");
                }
            }
        });
    }

    fn scanned(
        &mut self,
        due: Result<Vec<DueQueue>, StoreError>,
        next: Option<Timestamp>,
        took: Duration,
    ) {
        let clock = self.shared.context.clock.clone();
        let now = clock.moment();
        self.scan.under_way = false;
        let due = match due {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "the store does not say what is due");
                self.scan.wanted = true;
                self.scan.not_before = now + STORE_PAUSE;
                return;
            }
        };
        self.scan.not_before = now + (took * SCAN_SHARE).max(SCAN_GAP_MIN);
        // A millisecond more, because times are stored in whole ones.
        let until_next = next.map_or(SCAN_GAP_MAX, |next| next.since(clock.now()));
        self.scan.next = now + (until_next + Duration::from_millis(1)).min(SCAN_GAP_MAX);
        self.resting = 0;
        for queue in due {
            self.due(queue, now);
        }
        self.tidy(now);
    }

    /// One queue that the store named.
    fn due(&mut self, queue: DueQueue, now: Moment) {
        if self.lanes.len() >= LANES_MAX && !self.lanes.contains_key(&queue.key) {
            return;
        }
        let version = self.shared.context.store.settings().version;
        let lane = self
            .lanes
            .entry(queue.key.clone())
            .or_insert_with(|| Lane::new(now));
        let more = queue.due > lane.due;
        lane.seen = now;
        lane.due = queue.due;
        lane.backlog = queue.due;
        if lane.busy {
            return;
        }
        let stale = lane.settings_version != version || now >= lane.found_at + WAY_AGE_MAX;
        match lane.stage {
            LaneStage::New => self.want_way(queue.key),
            LaneStage::At(_) if stale => self.want_way(queue.key),
            LaneStage::At(number) => {
                let rests = self.sites.get(&number).is_some_and(|entry| {
                    if more {
                        entry.site.shorten_rest(now);
                    }
                    entry.site.rests_until(now).is_some()
                });
                self.resting += usize::from(rests);
                self.line_up(&queue.key, number);
                self.make_hungry(number);
            }
            LaneStage::Resting(until) if until <= now || lane.settings_version != version => {
                self.want_way(queue.key);
            }
            LaneStage::Resting(until) => {
                self.resting += 1;
                self.wake_at(until);
            }
        }
    }

    fn wake_at(&mut self, at: Moment) {
        if self.wakes.len() < WAKES_MAX {
            self.wakes.insert(at);
        }
    }

    // ---- finding the way ---------------------------------------------------------------------

    fn want_way(&mut self, key: QueueKey) {
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.busy = true;
            self.to_find.push_back(key);
        }
    }

    fn begin_finds(&mut self) {
        while self.finds < FINDS_MAX {
            let Some(key) = self.to_find.pop_front() else {
                return;
            };
            self.finds += 1;
            let shared = Arc::clone(&self.shared);
            self.asks.push(Box::pin(async move {
                let version = shared.context.store.settings().version;
                let way = find_way(&shared, &key).await;
                Asked::Found { key, version, way }
            }));
        }
    }

    fn found(&mut self, key: QueueKey, version: u64, way: Way) {
        self.finds -= 1;
        let now = self.now();
        let number = match way {
            Way::Site(site, terms) => self.site(*site, terms, now),
            Way::Judged(finding, by) => return self.judge(key, version, finding, by),
        };
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        if let LaneStage::At(before) = lane.stage
            && before != number
        {
            // Its place in the other site's rota is found empty when its turn comes.
            lane.in_rota = false;
        }
        lane.busy = false;
        lane.stage = LaneStage::At(number);
        lane.settings_version = version;
        lane.found_at = now;
        lane.failures = 0;
        self.line_up(&key, number);
        self.make_hungry(number);
    }

    fn site(&mut self, key: SiteKey, terms: Arc<Terms>, now: Moment) -> u64 {
        if let Some(number) = self.numbers.get(&key) {
            if let Some(entry) = self.sites.get(number) {
                entry.site.set_terms(terms);
            }
            return *number;
        }
        let number = self.number_next;
        self.number_next += 1;
        self.numbers.insert(key.clone(), number);
        let site = Arc::new(Site::new(number, key, terms, self.attention.clone(), now));
        self.sites.insert(
            number,
            Entry {
                site,
                rota: Rota::default(),
            },
        );
        number
    }

    /// Mail that needs no attempt to be judged: some of it now, by the side.
    fn judge(&mut self, key: QueueKey, version: u64, finding: Box<Finding>, by: By) {
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        lane.settings_version = version;
        let shared = Arc::clone(&self.shared);
        let cut = self.cut.clone();
        let task = self.tracker.spawn(async move {
            let work = judge_some(&shared, &key, &finding, &by);
            tokio::select! {
                biased;
                () = cut.cancelled() => {}
                () = work => {}
            }
            Asked::Judged { key, finding, by }
        });
        self.asks.push(Box::pin(async move {
            match task.await {
                Ok(asked) => asked,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }));
    }

    fn judged(&mut self, key: &QueueKey, finding: &Finding, by: &By) {
        let now = self.now();
        let jitter = self.shared.context.chance.fraction();
        self.scan.wanted = true;
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        lane.busy = false;
        if finding.outcome != Outcome::Deferred {
            lane.stage = LaneStage::New;
            return;
        }
        lane.failures = lane.failures.saturating_add(1);
        let until = now + rest(&by.retry, lane.failures).mul_f64(1.0 - jitter / 5.0);
        lane.stage = LaneStage::Resting(until);
        self.wake_at(until);
    }

    // ---- serving sites -----------------------------------------------------------------------

    fn line_up(&mut self, key: &QueueKey, number: u64) {
        let (Some(lane), Some(entry)) = (self.lanes.get_mut(key), self.sites.get_mut(&number))
        else {
            return;
        };
        if lane.in_rota || lane.busy || lane.backlog == 0 {
            return;
        }
        lane.in_rota = true;
        entry.rota.add(key);
    }

    fn make_hungry(&mut self, number: u64) {
        if self.is_hungry.insert(number) {
            self.hungry.push_back(number);
        }
    }

    fn attend(&mut self, number: u64) {
        let now = self.now();
        let Some(entry) = self.sites.get(&number) else {
            return;
        };
        entry.site.attended();
        if let Some(until) = entry.site.rests_until(now) {
            self.wake_at(until);
        }
        self.make_hungry(number);
    }

    /// Each hungry site has one turn; those that lack only room keep their place.
    fn serve_all(&mut self) {
        let now = self.now();
        let mut made_room = false;
        for _ in 0..self.hungry.len() {
            let Some(number) = self.hungry.pop_front() else {
                return;
            };
            if self.serve(number, now, &mut made_room) {
                self.hungry.push_back(number);
            } else {
                self.is_hungry.remove(&number);
            }
        }
    }

    /// Leases and connections for one site; `true` if it wants more than there is room for.
    fn serve(&mut self, number: u64, now: Moment, made_room: &mut bool) -> bool {
        let Some(site) = self.sites.get(&number).map(|entry| Arc::clone(&entry.site)) else {
            return false;
        };
        let standing = site.standing();
        let probes_max = (self.shared.context.options.connections_max / 4).max(1);
        if standing.failing
            && standing.workers == 0
            && self.probes.load(Ordering::Relaxed) >= probes_max
        {
            return true;
        }
        let mut lacks_room = false;
        while self.has_turn(number) {
            let left = self.tickets.left();
            if left == 0 {
                lacks_room = true;
                break;
            }
            let Some((messages, recipients)) = site.ask(now, left) else {
                break;
            };
            self.lease_next(number, messages, recipients);
        }
        while site.needs_connection(now) {
            if self.seats.load(Ordering::Relaxed) >= self.shared.context.options.connections_max {
                if standing.workers == 0 && !*made_room {
                    *made_room = self.make_room(number);
                }
                return true;
            }
            if !self.connect(&site, now) {
                break;
            }
        }
        lacks_room
    }

    /// Whether a lane of the site waits for its turn; drops those that went elsewhere meanwhile.
    fn has_turn(&mut self, number: u64) -> bool {
        self.sites
            .get(&number)
            .is_some_and(|entry| !entry.rota.is_empty())
    }

    fn lease_next(&mut self, number: u64, messages: usize, recipients: usize) {
        let now = self.now();
        let Some(entry) = self.sites.get_mut(&number) else {
            return;
        };
        let mut next = None;
        while let Some(key) = entry.rota.next() {
            let Some(lane) = self.lanes.get_mut(&key) else {
                continue;
            };
            if !matches!(lane.stage, LaneStage::At(at) if at == number) || lane.busy {
                continue;
            }
            lane.in_rota = false;
            lane.busy = true;
            next = Some(key);
            break;
        }
        let Some(key) = next else {
            let _ = entry.site.offer(messages, Vec::new(), now);
            return;
        };
        let context = self.shared.context.clone();
        self.asks.push(Box::pin(async move {
            let now = context.clock.now();
            let until = now.after(LEASE_TIME);
            let leased = context
                .store
                .lease(&key, messages, recipients, now, until)
                .await;
            Asked::Leased {
                key,
                site: number,
                asked: messages,
                leased,
            }
        }));
    }

    fn leased(
        &mut self,
        key: &QueueKey,
        number: u64,
        asked: usize,
        leased: Result<Vec<Leased>, StoreError>,
    ) {
        let now = self.now();
        let leased = leased.unwrap_or_else(|error| {
            tracing::warn!(%error, "the store leases nothing");
            self.scan.wanted = true;
            self.scan.not_before = now + STORE_PAUSE;
            Vec::new()
        });
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.busy = false;
            // A full answer says that there may be more; the next one will tell.
            lane.backlog = if leased.len() == asked {
                lane.backlog.saturating_sub(asked).max(1)
            } else {
                0
            };
        }
        let works: Vec<_> = leased
            .into_iter()
            .map(|leased| Work {
                leased,
                ticket: self.tickets.take(),
                put_back: 0,
            })
            .collect();
        let back = match self.sites.get(&number) {
            Some(entry) => entry.site.offer(asked, works, now),
            None => Some((works, now)),
        };
        if let Some((works, until)) = back {
            self.give_back(works, until);
        }
        self.line_up(key, number);
        self.make_hungry(number);
    }

    fn give_back(&self, works: Vec<Work>, until: Moment) {
        if works.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.spawn(async move { shared.give_back(works, until).await });
    }

    /// Runs beside the scheduler; ends when everything is cut off.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                biased;
                () = cut.cancelled() => {}
                () = work => {}
            }
        });
    }

    fn connect(&self, site: &Arc<Site>, now: Moment) -> bool {
        let failing = site.standing().failing;
        let Some(place) = site.admit(now) else {
            return false;
        };
        self.seats.fetch_add(1, Ordering::Relaxed);
        let probes = failing.then(|| Arc::clone(&self.probes));
        if let Some(probes) = &probes {
            probes.fetch_add(1, Ordering::Relaxed);
        }
        let seat = Seat {
            seats: Arc::clone(&self.seats),
            probes,
            attention: self.attention.clone(),
        };
        let shared = Arc::clone(&self.shared);
        let work = Box::pin(connection::run(place, shared));
        self.spawn(async move {
            let _seat = seat;
            work.await;
        });
        true
    }

    /// A site without connection needs one, and there is none left: an idle one goes, or one of the
    /// site that has most.
    fn make_room(&self, needy: u64) -> bool {
        let others = self.sites.iter().filter(|(number, _)| **number != needy);
        let standings = others.map(|(_, entry)| (entry.site.standing(), &entry.site));
        let victim = standings
            .filter(|(standing, _)| standing.idle > 0 || standing.workers > 1)
            .max_by_key(|(standing, _)| (standing.idle > 0, standing.workers));
        if let Some((_, site)) = victim {
            site.dismiss();
        }
        victim.is_some()
    }

    // ---- the rest ----------------------------------------------------------------------------

    fn take(&mut self, asked: Asked) {
        match asked {
            Asked::Scanned { due, next, took } => self.scanned(due, next, took),
            Asked::Found { key, version, way } => self.found(key, version, way),
            Asked::Leased {
                key,
                site,
                asked,
                leased,
            } => self.leased(&key, site, asked, leased),
            Asked::Judged { key, finding, by } => self.judged(&key, &finding, &by),
        }
    }

    fn tidy(&mut self, now: Moment) {
        if now < self.tidied + SCAN_GAP_MAX {
            return;
        }
        self.tidied = now;
        let Some(since) = now.checked_sub(FORGOTTEN_AFTER) else {
            return;
        };
        self.lanes
            .retain(|_, lane| lane.busy || lane.in_rota || lane.seen >= since);
        let idle: Vec<_> = self
            .sites
            .iter()
            .filter(|(_, entry)| entry.rota.is_empty() && entry.site.is_idle_since(since))
            .filter(|(_, entry)| entry.site.rests_until(now).is_none())
            .map(|(number, entry)| (*number, entry.site.key.clone()))
            .collect();
        for (number, key) in idle {
            self.sites.remove(&number);
            self.numbers.remove(&key);
            self.lanes
                .retain(|_, lane| !matches!(lane.stage, LaneStage::At(at) if at == number));
        }
    }

    /// No new leases; what waits goes back, what was just asked for too.
    async fn wind_up(mut self) {
        let now = self.now();
        for entry in self.sites.values() {
            self.give_back(entry.site.stop(), now);
        }
        while let Some(asked) = self.asks.next().await {
            if let Asked::Leased {
                leased: Ok(leased), ..
            } = asked
            {
                let works = leased.into_iter().map(|leased| Work {
                    leased,
                    ticket: self.tickets.take(),
                    put_back: 0,
                });
                self.give_back(works.collect(), now);
            }
        }
    }
}

/// From a queue to its site. RFC 5321 §5.1.
async fn find_way(shared: &Shared, key: &QueueKey) -> Way {
    let context = &shared.context;
    let settings = context.store.settings();
    let organisation = &key.organisation;
    let Ok(host) = Host::parse(&key.destination) else {
        // The store keeps what `Host` displays; this is a damaged row, and a person must see it.
        let words = format!("{} is no destination", key.destination);
        let finding = Finding::ours(
            Outcome::Failed,
            relais_smtp::dsn::Cause::DomainNotFound,
            words,
        );
        let by = By {
            connector: None,
            retry: relais_policy::document::Retry::default(),
            protocol: relais_smtp::client::Protocol::Smtp,
        };
        return Way::Judged(Box::new(finding), by);
    };
    let route = route(&settings, organisation, &host);
    let connector: Option<Arc<str>> = route.outbound_connector.as_deref().map(Into::into);
    match next_hops(context, &settings, organisation, &route).await {
        Ok(hops) => {
            let key = SiteKey {
                connector: connector
                    .clone()
                    .map(|name| (Arc::clone(organisation), name)),
                protocol: route.protocol,
                hops,
            };
            let terms = Terms {
                connector,
                pace: route.pace,
                retry: route.retry,
            };
            Way::Site(Box::new(key), Arc::new(terms))
        }
        Err(finding) => {
            let by = By {
                connector,
                retry: route.retry,
                protocol: route.protocol,
            };
            Way::Judged(Box::new(finding), by)
        }
    }
}

/// Leases and settles without any attempt: once for a temporary reason, until nothing is left for a
/// permanent one.
async fn judge_some(shared: &Shared, key: &QueueKey, finding: &Finding, by: &By) {
    let context = &shared.context;
    for _ in 0..JUDGED_GOES_MAX {
        let now = context.clock.now();
        let until = now.after(LEASE_TIME);
        let lease = context
            .store
            .lease(key, JUDGED_AT_ONCE, RECIPIENTS_MAX, now, until);
        let leased = match lease.await {
            Ok(leased) => leased,
            Err(error) => {
                tracing::warn!(%error, "the store leases nothing");
                context.clock.sleep(STORE_PAUSE).await;
                return;
            }
        };
        let count = leased.len();
        for one in leased {
            let mut attempt = Attempt::new(one);
            attempt.judge_all(finding);
            shared.settler.settle(attempt, by).await;
        }
        let temporary = finding.outcome == Outcome::Deferred;
        if temporary || count < JUDGED_AT_ONCE || shared.stop.is_cancelled() {
            return;
        }
    }
}
