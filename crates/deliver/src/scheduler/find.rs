//! Finding the way of each queue, beside the scheduler.

use std::sync::Arc;

use relais_net::clock::Moment;
use relais_policy::outcome::Outcome;
use relais_store::queue::QueueKey;

use super::{Asked, Entry, Scheduler, pace_keeper};
use crate::attempt::Finding;
use crate::lanes::{LaneStage, Rota};
use crate::pace::Pacing;
use crate::returned::take_in_some;
use crate::settle::By;
use crate::site::{Site, SiteKey, Terms, rest};
use crate::way::{Way, find_way, judge_some};

/// Look-ups of next hops at once. Each is one or two DNS questions.
const FINDS_MAX: usize = 256;
/// Those of them for one organisation: slow name servers, or slow policies, of its destinations are
/// not to hold up the others.
const FINDS_OF_ONE_MAX: usize = FINDS_MAX / 4;
/// Those of them for destinations whose look-up failed before: silent name servers must not hold up
/// the others.
const FINDS_AGAIN_MAX: usize = FINDS_MAX / 2;

impl Scheduler {
    /// Looks for the way of a lane; one that has a way by these settings goes on by it meanwhile: a
    /// slow name server must not stop what flows.
    pub(super) fn want_way(&mut self, key: QueueKey, version: u64) {
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        if lane.finding {
            return;
        }
        lane.finding = true;
        // By other settings the way so far is no way any more.
        let goes_on = matches!(lane.stage, LaneStage::At(_)) && lane.settings_version == version;
        if !goes_on {
            lane.waits_for_way = true;
            lane.busy = true;
        }
        if lane.failures == 0 {
            self.to_find.push_back(&key.organisation.clone(), key);
        } else {
            self.to_find_again.push_back(&key.organisation.clone(), key);
        }
    }

    pub(super) fn begin_finds(&mut self) {
        while self.finds < FINDS_MAX {
            let of = &self.finds_of;
            let may = |name: &str| of.get(name).is_none_or(|count| *count < FINDS_OF_ONE_MAX);
            let fresh = self.to_find.pop_where(may);
            let again = fresh.is_none() && self.finds_again < FINDS_AGAIN_MAX;
            let key = if again {
                self.to_find_again.pop_where(may)
            } else {
                fresh
            };
            let Some((_, key)) = key else {
                return;
            };
            self.finds += 1;
            self.finds_again += usize::from(again);
            *self
                .finds_of
                .entry(Arc::clone(&key.organisation))
                .or_default() += 1;
            let shared = Arc::clone(&self.shared);
            self.asks.push(Box::pin(async move {
                let version = shared.context.store.settings().version;
                let way = find_way(&shared, &key).await;
                Asked::Found {
                    key,
                    again,
                    version,
                    way,
                }
            }));
        }
    }

    pub(super) fn find_ended(&mut self, organisation: &Arc<str>) {
        if let Some(count) = self.finds_of.get_mut(organisation) {
            *count -= 1;
            if *count == 0 {
                self.finds_of.remove(organisation);
            }
        }
    }

    pub(super) fn found(&mut self, key: QueueKey, version: u64, way: Way) {
        let now = self.now();
        let number = match way {
            Way::Site(site, terms) => self.site(*site, terms, now),
            Way::TakenIn(by) => return self.judge(key, version, None, by),
            Way::Judged(finding, by) => {
                if let Some(number) = self.way_so_far(&key, version, &finding) {
                    number
                } else {
                    return self.judge(key, version, Some(finding), by);
                }
            }
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
        lane.finding = false;
        if lane.waits_for_way {
            lane.waits_for_way = false;
            lane.busy = false;
        }
        lane.stage = LaneStage::At(number);
        lane.settings_version = version;
        lane.found_at = now;
        lane.failures = 0;
        self.line_up(&key, number);
        self.make_hungry(number);
    }

    /// While DNS is away, the way found before is still good: its sessions stand.
    fn way_so_far(&self, key: &QueueKey, version: u64, finding: &Finding) -> Option<u64> {
        let lane = self.lanes.get(key)?;
        match lane.stage {
            LaneStage::At(number) if finding.ours && lane.settings_version == version => {
                self.sites.contains_key(&number).then_some(number)
            }
            LaneStage::At(_) | LaneStage::New | LaneStage::Resting(_) => None,
        }
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
        let pacing = match &key.connector {
            Some((organisation, connector)) => {
                let name = pace_keeper::name(organisation, connector);
                Pacing::of(Arc::clone(self.days.entry(name).or_default()))
            }
            None => Pacing::default(),
        };
        let hearers = (self.attention.clone(), now);
        let site = Arc::new(Site::new(number, key, terms, pacing, hearers));
        self.sites.insert(
            number,
            Entry {
                site,
                rota: Rota::default(),
            },
        );
        number
    }

    /// Mail that needs no attempt to be judged, or that is taken in here (`None`): some of it now,
    /// by the side.
    fn judge(&mut self, key: QueueKey, version: u64, finding: Option<Box<Finding>>, by: By) {
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        lane.settings_version = version;
        lane.finding = false;
        lane.waits_for_way = false;
        lane.busy = true;
        let shared = Arc::clone(&self.shared);
        let cut = self.cut.clone();
        let task = self.tracker.spawn(async move {
            let work = async {
                match &finding {
                    Some(finding) => judge_some(&shared, &key, finding, &by).await,
                    None => take_in_some(&shared, &key, &by).await,
                }
            };
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

    pub(super) fn judged(&mut self, key: &QueueKey, finding: Option<&Finding>, by: &By) {
        let now = self.now();
        let jitter = self.shared.context.chance.fraction();
        self.scan.wanted = true;
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        lane.busy = false;
        if finding.is_none_or(|finding| finding.outcome != Outcome::Deferred) {
            lane.stage = LaneStage::New;
            return;
        }
        lane.failures = lane.failures.saturating_add(1);
        let until = now + rest(&by.retry, lane.failures).mul_f64(1.0 - jitter / 5.0);
        lane.stage = LaneStage::Resting(until);
        self.wake_at(until);
    }
}
