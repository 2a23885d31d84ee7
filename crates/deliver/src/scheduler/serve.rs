//! Leases and connections for the sites, in turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use relais_net::clock::Moment;
use relais_store::queue::{Leased, QueueKey, StoreError};

use super::{Asked, STORE_PAUSE, Scheduler};
use crate::connection;
use crate::context::LEASE_TIME;
use crate::lanes::LaneStage;
use crate::site::Site;
use crate::work::{Attention, Work};

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

impl Scheduler {
    pub(super) fn line_up(&mut self, key: &QueueKey, number: u64) {
        let (Some(lane), Some(entry)) = (self.lanes.get_mut(key), self.sites.get_mut(&number))
        else {
            return;
        };
        if lane.in_rota || lane.busy || lane.backlog == 0 {
            return;
        }
        lane.in_rota = true;
        entry.rota.push_back(&key.organisation, key.clone());
    }

    pub(super) fn make_hungry(&mut self, number: u64) {
        if self.is_hungry.insert(number) {
            self.hungry.push_back(number);
        }
    }

    pub(super) fn attend(&mut self, number: u64) {
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
    pub(super) fn serve_all(&mut self) {
        let now = self.now();
        for _ in 0..self.hungry.len() {
            let Some(number) = self.hungry.pop_front() else {
                return;
            };
            if self.serve(number, now) {
                self.hungry.push_back(number);
            } else {
                self.is_hungry.remove(&number);
            }
        }
    }

    /// Leases and connections for one site; `true` if it wants more than there is room for.
    fn serve(&mut self, number: u64, now: Moment) -> bool {
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
            if let Some((messages, recipients)) = site.ask(now, left) {
                self.lease_next(number, messages, recipients, |_| true);
                continue;
            }
            // The site has enough, but nothing of this organisation.
            if !self.has_newcomer(number) {
                break;
            }
            let Some((messages, recipients)) = site.ask_for_newcomer(now, left) else {
                break;
            };
            self.lease_next(number, messages, recipients, |name| !site.has_work_of(name));
        }
        while site.needs_connection(now) {
            let starves = site.standing().workers == 0;
            if self.seats.load(Ordering::Relaxed) >= self.shared.context.options.connections_max {
                if starves {
                    self.starving.insert(number);
                    self.make_room(number);
                }
                return true;
            }
            if !starves && !self.starving.is_empty() {
                // Whoever has one already waits for those who have none.
                return true;
            }
            self.starving.remove(&number);
            if !self.connect(&site, now) {
                break;
            }
        }
        self.starving.remove(&number);
        lacks_room
    }

    /// Whether a lane of the site waits for its turn; drops those that went elsewhere meanwhile.
    fn has_turn(&mut self, number: u64) -> bool {
        self.sites
            .get(&number)
            .is_some_and(|entry| !entry.rota.is_empty())
    }

    /// Whether a lane waits whose organisation has no work at the site.
    fn has_newcomer(&self, number: u64) -> bool {
        self.sites.get(&number).is_some_and(|entry| {
            let new = |name: &str| !entry.site.has_work_of(name);
            entry.rota.has_where(new)
        })
    }

    /// Leases of the next lane whose organisation fits.
    fn lease_next(
        &mut self,
        number: u64,
        messages: usize,
        recipients: usize,
        fits: impl Fn(&str) -> bool,
    ) {
        let now = self.now();
        let version = self.shared.context.store.settings().version;
        let Some(entry) = self.sites.get_mut(&number) else {
            return;
        };
        let mut next = None;
        let mut outdated = Vec::new();
        while let Some((_, key)) = entry.rota.pop_where(&fits) {
            let Some(lane) = self.lanes.get_mut(&key) else {
                continue;
            };
            if !matches!(lane.stage, LaneStage::At(at) if at == number) || lane.busy {
                continue;
            }
            lane.in_rota = false;
            if lane.settings_version != version {
                outdated.push(key);
                continue;
            }
            lane.busy = true;
            next = Some(key);
            break;
        }
        for key in outdated {
            self.want_way(key, version);
        }
        let Some(key) = next else {
            if let Some(entry) = self.sites.get(&number) {
                let _ = entry.site.offer(messages, Vec::new(), now);
            }
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

    pub(super) fn leased(
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
            lane.busy = lane.waits_for_way;
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

    pub(super) fn give_back(&self, works: Vec<Work>, until: Moment) {
        if works.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.spawn(async move { shared.give_back(works, until).await });
    }

    /// Runs beside the scheduler; ends when everything is cut off.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
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
    /// site that has most. Not more go than sites starve.
    fn make_room(&self, needy: u64) {
        let others = self.sites.iter().filter(|(number, _)| **number != needy);
        let standings: Vec<_> = others
            .map(|(_, entry)| (entry.site.standing(), entry))
            .collect();
        let going: usize = standings
            .iter()
            .map(|(standing, _)| standing.dismissed)
            .sum();
        if going >= self.starving.len() {
            return;
        }
        let victim = standings
            .into_iter()
            .filter(|(standing, _)| standing.idle > 0 || standing.workers > 1)
            .max_by_key(|(standing, _)| (standing.idle > 0, standing.workers));
        if let Some((_, entry)) = victim {
            entry.site.dismiss();
        }
    }
}
