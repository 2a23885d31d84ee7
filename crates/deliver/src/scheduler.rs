//! Hears the bell and the clock, asks the store what is due, leases it, and hands it to sites.
//!
//! Strategies, each in two sentences:
//! - **Scan**: the store names the queues with something due; a scan follows a ring, a due time or
//!   the end of a rest. It takes at most a twentieth of the time, so that a busy bell does not make
//!   a busy scheduler.
//! - **Lease by need**: a site asks for as many messages as it will soon send, one for a probe,
//!   fifty in full flow. So a dead destination holds one message, not its whole queue.
//! - **Turns**: sites take turns for leases and connections; within a site organisations take
//!   turns, and within an organisation its destinations.
//! - **Probes**: sites that failed share a quarter of all connections. A thousand dead destinations
//!   leave three quarters to the living.
//!
//! Nothing waits within the scheduler: look-ups, leases and scans run beside it, bounded in number.

mod find;
mod serve;
mod pace_keeper;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use relais_net::clock::Moment;
use relais_smtp::time::Timestamp;
use relais_store::queue::{
    Criteria, DueQueue, Leased, QueueAct, QueueKey, RecipientStateName, StoreError,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::Finding;
use crate::connection::Shared;
use crate::lanes::{Lane, LaneStage, Rota};
use crate::pace::Day;
use crate::settle::By;
use crate::site::{Site, SiteKey};
use crate::steady::Steady;
use crate::way::Way;
use crate::work::{Attention, Tickets, Work};

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
/// A lane's way is looked up again after this; DNS answers are cached by their TTL below us.
const WAY_AGE_MAX: Duration = Duration::from_secs(60);
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
        again: bool,
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
        finding: Option<Box<Finding>>,
        by: By,
    },
}

struct Entry {
    site: Arc<Site>,
    rota: Rota,
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
    /// Sites without a connection for which there was no room.
    starving: BTreeSet<u64>,
    /// In turns: a flood of one organisation to many destinations does not hold up the others.
    to_find: Rota,
    to_find_again: Rota,
    finds: usize,
    finds_again: usize,
    /// Look-ups under way for each organisation.
    finds_of: HashMap<Arc<str>, usize>,
    asks: FuturesUnordered<BoxFuture<'static, Asked>>,
    wakes: BTreeSet<Moment>,
    resting: usize,
    scan: Scan,
    tidied: Moment,
    /// Recipients of the last day of each connector that counts them, by [`pace_keeper::name`].
    days: HashMap<String, Arc<Mutex<Day>>>,
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
            starving: BTreeSet::new(),
            to_find: Rota::default(),
            to_find_again: Rota::default(),
            finds: 0,
            finds_again: 0,
            finds_of: HashMap::new(),
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
            days: HashMap::new(),
            shared,
        }
    }

    fn now(&self) -> Moment {
        self.shared.context.clock.moment()
    }

    /// Works until stopped; then nothing waits at any site any more.
    pub(crate) async fn run(mut self) {
        self.days = pace_keeper::load(&self.shared.context).await;
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
        // Those that rest, or whose way is being looked for, are named again and again.
        let known = self.resting + self.to_find.len() + self.to_find_again.len() + self.finds;
        let limit = SCAN_QUEUES_MAX + known.min(LANES_MAX);
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
                // Until it is done: whatever waits with a wrong due time would wait for days.
                loop {
                    let now = context.clock.now();
                    let act = context.store.act(QueueAct::Retry, &criteria, "clock", now);
                    match act.await {
                        Ok(_) | Err(StoreError::Closed) => break,
                        Err(error) => tracing::warn!(%error, "due times could not be mended yet"),
                    }
                    context.clock.sleep(STORE_PAUSE).await;
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
        if let LaneStage::At(number) = lane.stage
            && queue.asked_for
            && let Some(entry) = self.sites.get(&number)
        {
            // Before its way is looked up again, or the wish would be forgotten.
            entry.site.end_rest();
        }
        match lane.stage {
            LaneStage::New => self.want_way(queue.key, version),
            LaneStage::At(_) if lane.settings_version != version => {
                self.want_way(queue.key, version);
            }
            LaneStage::At(number) => {
                if now >= lane.found_at + WAY_AGE_MAX {
                    self.want_way(queue.key.clone(), version);
                }
                let rests = self.sites.get(&number).and_then(|entry| {
                    if more {
                        entry.site.shorten_rest(now);
                    }
                    Some((entry.site.rests_until(now)?, entry.site.is_paced(now)))
                });
                if let Some((until, paced)) = rests {
                    self.resting += 1;
                    self.shared.excuses.note(&queue.key, until, paced);
                }
                self.line_up(&queue.key, number);
                self.make_hungry(number);
            }
            LaneStage::Resting(until)
                if until <= now || lane.settings_version != version || queue.asked_for =>
            {
                self.want_way(queue.key, version);
            }
            LaneStage::Resting(until) => {
                self.resting += 1;
                self.shared.excuses.note(&queue.key, until, false);
                self.wake_at(until);
            }
        }
    }

    fn wake_at(&mut self, at: Moment) {
        if self.wakes.len() < WAKES_MAX {
            self.wakes.insert(at);
        }
    }

    // ---- the rest ----------------------------------------------------------------------------

    fn take(&mut self, asked: Asked) {
        match asked {
            Asked::Scanned { due, next, took } => self.scanned(due, next, took),
            Asked::Found {
                key,
                again,
                version,
                way,
            } => {
                self.finds -= 1;
                self.finds_again -= usize::from(again);
                self.find_ended(&key.organisation);
                self.found(key, version, way);
            }
            Asked::Leased {
                key,
                site,
                asked,
                leased,
            } => self.leased(&key, site, asked, leased),
            Asked::Judged { key, finding, by } => self.judged(&key, finding.as_deref(), &by),
        }
    }

    fn tidy(&mut self, now: Moment) {
        if now < self.tidied + SCAN_GAP_MAX {
            return;
        }
        self.tidied = now;
        let (store, wall) = (
            self.shared.context.store.clone(),
            self.shared.context.clock.now(),
        );
        let paces = self.paces(now, wall);
        self.spawn(pace_keeper::save(store, paces, wall));
        let Some(since) = now.checked_sub(FORGOTTEN_AFTER) else {
            return;
        };
        self.lanes
            .retain(|_, lane| lane.busy || lane.finding || lane.in_rota || lane.seen >= since);
        let idle: Vec<_> = self
            .sites
            .iter()
            .filter(|(_, entry)| entry.rota.is_empty() && entry.site.is_idle_since(since))
            .filter(|(_, entry)| entry.site.rests_until(now).is_none())
            .map(|(number, entry)| (*number, entry.site.key.clone()))
            .collect();
        for (number, key) in idle {
            self.sites.remove(&number);
            self.starving.remove(&number);
            self.numbers.remove(&key);
            self.lanes
                .retain(|_, lane| !matches!(lane.stage, LaneStage::At(at) if at == number));
        }
    }

    /// The last day's recipients of each connector that counts them; those of whom nothing is left
    /// are forgotten.
    fn paces(&mut self, now: Moment, wall: Timestamp) -> Vec<(String, Option<String>)> {
        let mut paces = Vec::new();
        self.days.retain(|name, day| {
            let kept = pace_keeper::locked(day).kept(now, wall);
            let is_used = kept.is_some() || Arc::strong_count(day) > 1;
            if kept.is_some() || !is_used {
                paces.push((name.clone(), kept));
            }
            is_used
        });
        paces
    }

    /// No new leases; what waits goes back, what was just asked for too.
    async fn wind_up(mut self) {
        let now = self.now();
        for entry in self.sites.values() {
            self.give_back(entry.site.stop(), now);
        }
        let wall = self.shared.context.clock.now();
        let store = self.shared.context.store.clone();
        let paces = self.paces(now, wall);
        pace_keeper::save(store, paces, wall).await;
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
