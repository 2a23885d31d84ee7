//! A next-hop site: the messages that wait for it, how many connections it gets, when it rests, and
//! its pace. Shared by the scheduler, which fills it, and the connections, which empty it.
//!
//! - **Window**: connections by feedback, from `policy::schedule`.
//! - **Rest**: after all hosts failed, nothing is tried until the rest ends; then one message goes
//!   ahead as a probe. A rest is short beside the retry schedule of messages, so that recovery is
//!   found soon, and costs one attempt. A person's retry ends it.
//! - **Slow**: a site that refuses message after message temporarily is asked by one connection,
//!   ten times a second, until it takes one: a hundred thousand refusals cost the others nothing.
//! - **Pace**: connections, messages per minute, recipients per day, as the connector says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_net::clock::{Clock, Moment};
use relais_policy::document::{Pace, Retry};
use relais_policy::encryption::Demand;
use relais_policy::schedule::Window;
use relais_smtp::client::Protocol;
use relais_store::queue::Content;
use tokio::sync::Notify;

use crate::attempt::Said;
use crate::context::RECIPIENTS_MAX;
use crate::destination::NextHops;
use crate::pace::Pacing;
use crate::sources::Egress;
use crate::turns::Turns;
use crate::work::{Attention, Work};

/// Connections to typed hosts (smart hosts, mailbox hosts) unless the pace says otherwise.
const TYPED_CONNECTIONS_MAX: u32 = 20;
/// Connections to MX hosts unless the pace says otherwise: many receivers frown at more.
const MX_CONNECTIONS_MAX: u32 = 10;
/// Messages leased at once.
const LEASE_MESSAGES_MAX: usize = 50;
/// Messages that wait at a site, leased.
const READY_MAX: usize = 2 * LEASE_MESSAGES_MAX;
/// Messages leased beyond that for organisations that have none here.
const NEWCOMERS_MAX: usize = LEASE_MESSAGES_MAX;
/// Messages leased for one of them at a time.
const NEWCOMER_MESSAGES: usize = 4;
/// Messages leased for a site that has not shown yet how fast it is.
const APPETITE_FIRST: usize = 4;
/// Octets of inline content leased at once, about.
const LEASE_OCTETS: usize = 1 << 20;
/// Temporary refusals in a row after which a site is slow.
const REFUSALS_IN_ROW: u32 = 20;
/// A rest may end early, for mail that newly became due, but not before this.
const REST_MIN: Duration = Duration::from_secs(10);
/// An address that failed is tried after the others for this long; then it has its place back.
const ADDRESS_REST: Duration = Duration::from_secs(60);
/// Addresses remembered as failed.
const ADDRESSES_REMEMBERED_MAX: usize = 64;
/// A pace that demands a longer wait sends the waiting messages back to the queue.
const PACE_WAIT_MAX: Duration = Duration::from_secs(60);

/// What makes mail share connections.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct SiteKey {
    /// Organisation and outbound connector; `None` for the built-in ways, which all share.
    pub(crate) connector: Option<(Arc<str>, Arc<str>)>,
    pub(crate) protocol: Protocol,
    pub(crate) hops: NextHops,
    /// What TLS must prove: a session of one demand is no good for another.
    pub(crate) demand: Demand,
}

/// What the settings say now about a site.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) connector: Option<Arc<str>>,
    pub(crate) pace: Pace,
    pub(crate) retry: Retry,
    pub(crate) egress: Egress,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) number: u64,
    pub(crate) key: SiteKey,
    state: Mutex<State>,
    bell: Notify,
    attention: Attention,
}

#[derive(Debug)]
struct State {
    terms: Arc<Terms>,
    window: Window,
    connections_max: u32,
    /// Organisations take turns.
    ready: Turns<Work>,
    /// Messages asked of the store and not here yet.
    asked: usize,
    appetite: usize,
    octets_mean: usize,
    /// Connections, those included that say QUIT.
    places: usize,
    /// Connections that take messages.
    workers: usize,
    /// Those of them that wait for a message.
    idle: usize,
    /// Those whose session is established.
    connected: usize,
    dismissed: usize,
    stopping: bool,
    failures: u32,
    failed_at: Option<Moment>,
    rest_until: Option<Moment>,
    /// A rule about its words wants it left alone until then, whatever it says to others.
    alone_until: Option<Moment>,
    /// The day's recipients are sent.
    paced_until: Option<Moment>,
    refusals: u32,
    pacing: Pacing,
    bad_addresses: HashMap<SocketAddr, Moment>,
    called: bool,
    used: Moment,
}

enum Take {
    Work(Box<Work>),
    Nothing,
    Wait(Moment),
    GiveBack(Vec<Work>, Moment),
    Leave,
}

/// What a connection gets when it asks for work.
pub(crate) enum Taken {
    /// A message.
    Work(Box<Work>),
    /// The pace forbids to go on before this moment: these go back; the connection has left.
    GiveBack(Vec<Work>, Moment),
    /// Nothing came, or it is not wanted any more: the connection has left.
    Nothing,
}

impl Site {
    pub(crate) fn new(
        number: u64,
        key: SiteKey,
        terms: Arc<Terms>,
        pacing: Pacing,
        (attention, now): (Attention, Moment),
    ) -> Self {
        let connections_max = connections_max(&key.hops, &terms.pace);
        let state = State {
            terms,
            window: Window::new(connections_max),
            connections_max,
            ready: Turns::default(),
            asked: 0,
            appetite: APPETITE_FIRST,
            octets_mean: 0,
            places: 0,
            workers: 0,
            idle: 0,
            connected: 0,
            dismissed: 0,
            stopping: false,
            failures: 0,
            failed_at: None,
            rest_until: None,
            alone_until: None,
            paced_until: None,
            refusals: 0,
            pacing,
            bad_addresses: HashMap::new(),
            called: false,
            used: now,
        };
        Self {
            number,
            key,
            state: Mutex::new(state),
            bell: Notify::new(),
            attention,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- asked by the scheduler --------------------------------------------------------------

    /// The settings changed, or were read again.
    pub(crate) fn set_terms(&self, terms: Arc<Terms>) {
        let mut state = self.lock();
        let connections_max = connections_max(&self.key.hops, &terms.pace);
        if connections_max != state.connections_max {
            state.connections_max = connections_max;
            state.window = Window::new(connections_max);
        }
        state.terms = terms;
    }

    /// The scheduler looks: calls from now on are news.
    pub(crate) fn attended(&self) {
        self.lock().called = false;
    }

    /// How many messages to lease for it now, and how many recipients each; counted as asked.
    pub(crate) fn ask(&self, now: Moment, left: usize) -> Option<(usize, usize)> {
        let mut state = self.lock();
        let messages = state.wants(now).min(left);
        if messages == 0 {
            return None;
        }
        Some(state.note_asked(messages, now))
    }

    /// The same for an organisation that has nothing here, at a site that has enough of others: so
    /// a flood of one costs another the time of a message, not of all that wait.
    pub(crate) fn ask_for_newcomer(&self, now: Moment, left: usize) -> Option<(usize, usize)> {
        let mut state = self.lock();
        let here = state.ready.len() + state.asked;
        let paced = state.terms.pace.messages_per_minute.is_some()
            || state.terms.pace.recipients_per_day.is_some();
        let troubled = state.failures > 0 || state.is_slow() || state.rests(now);
        if state.stopping || paced || troubled || here >= READY_MAX + NEWCOMERS_MAX {
            return None;
        }
        let messages = NEWCOMER_MESSAGES.min(left);
        (messages > 0).then(|| state.note_asked(messages, now))
    }

    /// Whether messages of an organisation wait here.
    pub(crate) fn has_work_of(&self, organisation: &str) -> bool {
        self.lock().ready.has(organisation)
    }

    /// The answer to [`Site::ask`]; gives back what cannot be used any more, and until when.
    pub(crate) fn offer(
        &self,
        asked: usize,
        works: Vec<Work>,
        now: Moment,
    ) -> Option<(Vec<Work>, Moment)> {
        let mut state = self.lock();
        state.asked = state.asked.saturating_sub(asked);
        if let Some(until) = state.rest_end(now)
            && !works.is_empty()
        {
            return Some((works, until));
        }
        if state.stopping {
            return Some((works, now));
        }
        if works.len() == asked && state.ready.is_empty() && state.failures == 0 {
            state.appetite = (state.appetite * 2).min(READY_MAX);
        }
        for work in works {
            state.note_octets(&work);
            let organisation = Arc::clone(&work.leased.key.organisation);
            state.ready.push_back(&organisation, work);
            self.bell.notify_one();
        }
        None
    }

    /// Counts one more connection if the site should have one.
    pub(crate) fn admit(self: &Arc<Self>, now: Moment) -> Option<Place> {
        let mut state = self.lock();
        if !state.needs_connection(now) {
            return None;
        }
        state.workers += 1;
        state.places += 1;
        Some(Place {
            site: Arc::clone(self),
            left: false,
            connected: false,
        })
    }

    /// Whether [`Site::admit`] would say yes.
    pub(crate) fn needs_connection(&self, now: Moment) -> bool {
        self.lock().needs_connection(now)
    }

    /// Connections it has; whether one of them is idle; whether its hosts failed last.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.lock();
        Standing {
            workers: state.workers.saturating_sub(state.dismissed),
            idle: state.idle.saturating_sub(state.dismissed),
            dismissed: state.dismissed,
            failing: state.failures > 0,
        }
    }

    /// One connection fewer, please: another site has none.
    pub(crate) fn dismiss(&self) {
        self.lock().dismissed += 1;
        self.bell.notify_one();
    }

    /// When its rest ends, if it rests.
    pub(crate) fn rests_until(&self, now: Moment) -> Option<Moment> {
        self.lock().rest_end(now)
    }

    /// Whether it rests because the day's recipients are sent.
    pub(crate) fn is_paced(&self, now: Moment) -> bool {
        self.lock().paced_until.is_some_and(|until| until > now)
    }

    /// Mail newly became due: a rest after failure ends, unless it has only begun.
    pub(crate) fn shorten_rest(&self, now: Moment) {
        let mut state = self.lock();
        let rested = state.failed_at.is_some_and(|at| now >= at + REST_MIN);
        if state.failures > 0 && rested {
            state.rest_until = None;
        }
    }

    /// A rule about its words wants it left alone: gives back what waits.
    pub(crate) fn leave_alone(&self, until: Moment) -> (Vec<Work>, Moment) {
        let mut state = self.lock();
        let until = state.alone_until.map_or(until, |before| before.max(until));
        state.alone_until = Some(until);
        self.attention.call(self.number);
        (state.ready.drain(), until)
    }

    /// A person wants mail tried now: a rest ends, however new it is. One message goes ahead all
    /// the same after a failure.
    pub(crate) fn end_rest(&self) {
        let mut state = self.lock();
        state.alone_until = None;
        if state.failures > 0 {
            state.rest_until = None;
        }
    }

    /// No more work; gives back what waits.
    pub(crate) fn stop(&self) -> Vec<Work> {
        let mut state = self.lock();
        state.stopping = true;
        self.bell.notify_waiters();
        state.ready.drain()
    }

    /// Nothing happened here since that moment, and nothing is under way.
    pub(crate) fn is_idle_since(&self, since: Moment) -> bool {
        let state = self.lock();
        state.workers == 0 && state.asked == 0 && state.ready.is_empty() && state.used < since
    }

    // ---- told by the connections -------------------------------------------------------------

    /// What the settings say now.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.lock().terms)
    }

    /// A next hop answered: the site lives, whatever it said.
    pub(crate) fn answered(&self, said: Said, now: Moment) {
        let mut state = self.lock();
        let slow = state.is_slow();
        let mut recovered = state.failures > 0;
        state.failures = 0;
        state.rest_until = None;
        state.used = now;
        match said {
            Said::Taken => {
                if slow {
                    // It comes back from an illness: few connections at first.
                    state.window = Window::new(state.connections_max);
                }
                state.window.succeeded();
                state.refusals = 0;
                recovered |= slow;
            }
            Said::RefusedForNow => state.refusals = state.refusals.saturating_add(1),
            Said::RefusedForGood => {}
        }
        if recovered {
            state.appetite = APPETITE_FIRST;
            if state.terms.pace.messages_per_minute.is_none() {
                state.pacing.go_on();
            }
            self.attention.call(self.number);
        }
    }

    /// A session broke or was refused; another one may do better.
    pub(crate) fn session_failed(&self) {
        self.lock().window.failed();
    }

    /// Every host failed: rests, and gives back what waits. `jitter` lies in [0, 1).
    pub(crate) fn fail(&self, now: Moment, jitter: f64) -> (Vec<Work>, Moment) {
        let mut state = self.lock();
        state.window.failed();
        if state.rest_until.is_none_or(|until| until <= now) {
            state.failures = state.failures.saturating_add(1);
            state.failed_at = Some(now);
            let rest = rest(&state.terms.retry, state.failures).mul_f64(1.0 - jitter / 5.0);
            state.rest_until = Some(now + rest);
        }
        state.appetite = 1;
        state.used = now;
        let until = state.rest_until.unwrap_or(now);
        let works = state.ready.drain();
        self.attention.call(self.number);
        (works, until)
    }

    /// Whether other connections of the site are established: then it is not the site that fails.
    pub(crate) fn is_connected(&self) -> bool {
        self.lock().connected > 0
    }

    /// A message goes back to those that wait: another connection will take it.
    ///
    /// A site that rests by now gives it back, and until when.
    pub(crate) fn put_back(&self, work: Work, now: Moment) -> Option<(Work, Moment)> {
        let mut state = self.lock();
        if let Some(until) = state.rest_end(now) {
            return Some((work, until));
        }
        let organisation = Arc::clone(&work.leased.key.organisation);
        state.ready.push_front(&organisation, work);
        self.bell.notify_one();
        self.attention.call(self.number);
        None
    }

    /// An address failed: it comes last for a while.
    pub(crate) fn address_failed(&self, address: SocketAddr, now: Moment) {
        let mut state = self.lock();
        state.bad_addresses.retain(|_, until| *until > now);
        if state.bad_addresses.len() < ADDRESSES_REMEMBERED_MAX {
            state.bad_addresses.insert(address, now + ADDRESS_REST);
        }
    }

    /// An address works.
    pub(crate) fn address_works(&self, address: SocketAddr) {
        self.lock().bad_addresses.remove(&address);
    }

    /// Whether an address failed lately.
    pub(crate) fn is_bad_address(&self, address: SocketAddr, now: Moment) -> bool {
        self.lock()
            .bad_addresses
            .get(&address)
            .is_some_and(|until| *until > now)
    }
}

/// See [`Site::standing`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// Connections that stay.
    pub(crate) workers: usize,
    /// Those of them that wait.
    pub(crate) idle: usize,
    /// Connections asked to go that have not gone yet.
    pub(crate) dismissed: usize,
    pub(crate) failing: bool,
}

impl State {
    fn rests(&self, now: Moment) -> bool {
        self.rest_end(now).is_some()
    }

    fn rest_end(&self, now: Moment) -> Option<Moment> {
        let latest = self.rest_until.max(self.alone_until).max(self.paced_until);
        latest.filter(|until| *until > now)
    }

    fn is_slow(&self) -> bool {
        self.refusals >= REFUSALS_IN_ROW
    }

    fn note_asked(&mut self, messages: usize, now: Moment) -> (usize, usize) {
        self.asked += messages;
        self.used = now;
        let recipients = self.terms.pace.recipients_per_transaction;
        let recipients = recipients.map_or(RECIPIENTS_MAX, |most| {
            usize::try_from(most)
                .unwrap_or(usize::MAX)
                .clamp(1, RECIPIENTS_MAX)
        });
        (messages, recipients)
    }

    fn wants(&self, now: Moment) -> usize {
        if self.stopping || self.rests(now) {
            return 0;
        }
        let here = self.ready.len() + self.asked;
        let enough = if self.failures > 0 || self.terms.pace.recipients_per_day.is_some() {
            1
        } else if self.terms.pace.messages_per_minute.is_some() || self.is_slow() {
            2
        } else {
            self.appetite
        };
        if here * 2 > enough || here >= enough {
            return 0;
        }
        let by_size = LEASE_OCTETS / self.octets_mean.max(1);
        (enough - here).min(LEASE_MESSAGES_MAX).min(by_size.max(1))
    }

    fn needs_connection(&self, now: Moment) -> bool {
        if self.stopping || self.rests(now) || self.ready.len() <= self.idle {
            return false;
        }
        if self.pacing.waits(now) {
            return self.places == 0;
        }
        self.workers < self.connections_now()
            && self.places < usize::try_from(self.connections_max).unwrap_or(usize::MAX)
    }

    fn connections_now(&self) -> usize {
        let most = if self.failures > 0 || self.is_slow() {
            1
        } else {
            self.window.limit().clamp(1, self.connections_max)
        };
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    fn take(&mut self, now: Moment) -> Take {
        if self.stopping || self.dismissed > 0 || self.workers > self.connections_now() {
            return Take::Leave;
        }
        if self.rests(now) {
            return Take::Leave;
        }
        let Some(work) = self.ready.peek() else {
            return Take::Nothing;
        };
        let recipients = work.leased.recipients.len();
        if let Some(until) = self.pacing.until(&self.terms.pace, now, recipients) {
            if until.saturating_duration_since(now) <= PACE_WAIT_MAX {
                return Take::Wait(until);
            }
            self.paced_until = Some(until);
            return Take::GiveBack(self.ready.drain(), until);
        }
        let slow = self.is_slow();
        self.pacing.count(&self.terms.pace, slow, now, recipients);
        match self.ready.pop() {
            Some((_, work)) => Take::Work(Box::new(work)),
            None => Take::Nothing,
        }
    }

    fn note_octets(&mut self, work: &Work) {
        let octets = match &work.leased.content {
            Content::Inline(octets) => octets.len(),
            Content::Spooled(_) => 0,
        };
        self.octets_mean = (self.octets_mean * 7 + octets) / 8;
    }
}

fn connections_max(hops: &NextHops, pace: &Pace) -> u32 {
    let ours = match hops {
        NextHops::Typed { .. } | NextHops::Literal(..) => TYPED_CONNECTIONS_MAX,
        NextHops::Exchanges { .. } => MX_CONNECTIONS_MAX,
    };
    pace.connections.unwrap_or(ours).max(1)
}

/// A quarter of the first retry delay, doubled with each failure up to twice that delay: with the
/// default schedule 15 s, 30 s, 1 min, 2 min. So mail that never was tried is tried within its own
/// first delay and a minute after the hosts are back.
pub(crate) fn rest(retry: &Retry, failures: u32) -> Duration {
    let first = Duration::from_secs(retry.first.0.max(1));
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    (first / 4).saturating_mul(doubled).min(first * 2)
}

/// A connection's place at its site; leaves when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) site: Arc<Site>,
    left: bool,
    connected: bool,
}

impl Place {
    /// The next message, waiting for one up to `keep`.
    pub(crate) async fn take(&mut self, clock: &Clock, keep: Duration) -> Taken {
        let site = Arc::clone(&self.site);
        let end = clock.moment() + keep;
        loop {
            let heard = site.bell.notified();
            tokio::pin!(heard);
            heard.as_mut().enable();
            let until = match self.look(clock.moment(), end) {
                Ok(until) => until,
                Err(taken) => return taken,
            };
            // The end of the wait is no news: the loop looks again.
            let _ = clock.within(until, heard).await;
            site.lock().idle -= 1;
        }
    }

    /// One look at what waits: the answer, or until when to wait for a ring (then it is idle).
    fn look(&mut self, now: Moment, end: Moment) -> Result<Moment, Taken> {
        let site = Arc::clone(&self.site);
        let mut state = site.lock();
        let until = match state.take(now) {
            Take::Work(work) => {
                if !state.called && state.wants(now) > 0 {
                    state.called = true;
                    site.attention.call(site.number);
                }
                return Err(Taken::Work(work));
            }
            Take::GiveBack(works, until) => {
                self.leave(&mut state);
                return Err(Taken::GiveBack(works, until));
            }
            Take::Leave => {
                self.leave(&mut state);
                return Err(Taken::Nothing);
            }
            Take::Wait(until) => until,
            Take::Nothing if now >= end => {
                self.leave(&mut state);
                return Err(Taken::Nothing);
            }
            Take::Nothing => end,
        };
        state.idle += 1;
        Ok(until)
    }

    /// The session is established, or ended.
    pub(crate) fn set_connected(&mut self, connected: bool) {
        if self.connected == connected {
            return;
        }
        self.connected = connected;
        let mut state = self.site.lock();
        if connected {
            state.connected += 1;
        } else {
            state.connected = state.connected.saturating_sub(1);
        }
    }

    fn leave(&mut self, state: &mut State) {
        if self.left {
            return;
        }
        self.left = true;
        state.workers = state.workers.saturating_sub(1);
        state.dismissed = state.dismissed.saturating_sub(1).min(state.workers);
        if self.connected {
            self.connected = false;
            state.connected = state.connected.saturating_sub(1);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let site = Arc::clone(&self.site);
        let mut state = site.lock();
        self.leave(&mut state);
        state.places = state.places.saturating_sub(1);
        drop(state);
        site.attention.call(site.number);
    }
}
