//! A connection to a site: takes the next message as long as there are any, keeps an idle session
//! for some seconds, says QUIT. Finds another host where one fails.
//!
//! A message for which no host of the site can be used is deferred, and the site rests.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use relais_net::clock::{Clock, Moment};
use relais_net::hop::{Opening, Transcript, Unused};
use relais_net::login::{Login, LoginFault};
use relais_policy::document::OutboundAuth;
use relais_policy::encryption::{Demand, TlsFault};
use relais_policy::outcome::Outcome;
use relais_policy::range::is_private_address;
use relais_policy::reply_rule::ReplyRules;
use relais_policy::route::is_public_destination;
use relais_policy::sts::{StsMode, StsPolicy};
use relais_smtp::address::Host;
use relais_smtp::client::{
    ClientConfig, Protocol, RecipientResult, Stage, Transaction, TransactionResult,
};
use relais_smtp::dsn::Cause;
use relais_smtp::envelope::Envelope;
use relais_smtp::time::Timestamp;
use relais_store::queue::{Lease, SettleError};
use relais_store::store::Store;
use relais_store::trace::TlsSummary;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Answer, Attempt, Finding, Next, Protection, Seen, host_finding};
use crate::context::{DeliverContext, LEASE_RENEW_AFTER, LEASE_TIME, RECIPIENTS_MAX};
use crate::current::Current;
use crate::destination::{Finder, NextHops, Origin, Target};
use crate::dialogue;
use crate::excuses::Excuses;
use crate::forwards::Forwards;
use crate::obey::obey;
use crate::outgoing;
use crate::results::{self, Begun};
use crate::sender;
use crate::session::Session;
use crate::settle::{By, Settler};
use crate::sign::ReadyKeys;
use crate::site::{Place, Site, Taken};
use crate::sources::Sources;
use crate::sts::StsPolicies;
use crate::tally::Tally;
use crate::wish::Wish;
use crate::work::{Ticket, Work};

/// RFC 5321 names no time for TCP; a SYN is sent four times within this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle session is kept this long: the next message of a device often follows at once.
const IDLE_KEEP: Duration = Duration::from_secs(5);
/// Messages of one session. Some receivers close after a hundred; they say so with 421 or LIMITS.
const MESSAGES_PER_SESSION_MAX: u32 = 1_000;
/// A session is ended after this, so that changes of DNS and of preference are followed.
const SESSION_AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// A session with a host of second choice is ended sooner: back to the first.
const FALLBACK_AGE_MAX: Duration = Duration::from_secs(60);
/// Addresses tried in one attempt.
const TARGETS_MAX: usize = 10;
/// All of an attempt's connecting, greeting and EHLO.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How often a message waits for the site's other connections instead of being deferred.
const PUT_BACK_MAX: u8 = 3;

/// What all connections, the scheduler and the sweep share.
pub(crate) struct Shared {
    pub(crate) context: DeliverContext,
    pub(crate) settler: Settler,
    /// Private keys that sign.
    pub(crate) keys: ReadyKeys,
    /// MTA-STS.
    pub(crate) policies: StsPolicies,
    /// For the reports on TLS.
    pub(crate) tally: Tally,
    /// What came back and was passed on lately.
    pub(crate) forwards: Forwards,
    /// Cancelled on drain: nothing new begins.
    pub(crate) stop: CancellationToken,
    /// For the watch over progress.
    pub(crate) excuses: Excuses,
    /// Egress addresses that rest.
    pub(crate) sources: Sources,
}

impl Shared {
    /// Does what the rules say that fitted the words of this target.
    async fn obey(&self, site: &Site, attempt: &mut Attempt, target: &Target) {
        let back = obey(&self.context, &self.sources, site, attempt, target).await;
        if let Some((works, until)) = back {
            self.give_back(works, until).await;
        }
    }

    /// Returns what was not tried, not before a moment of the monotonic clock.
    pub(crate) async fn give_back(&self, works: Vec<Work>, until: Moment) {
        let clock = &self.context.clock;
        let wait = until.saturating_duration_since(clock.moment());
        let until = clock.now().after(wait);
        for work in works {
            self.settler.give_back(&work.leased, until).await;
        }
    }
}

/// A session, and with whom.
struct Connection {
    session: Session,
    target: Target,
    protection: Protection,
    /// What the message wished of TLS for which it was opened.
    wish: Wish,
    /// As what we came, by the settings of then.
    auth: Option<OutboundAuth>,
    since: Moment,
    /// The reverse-path of the last transaction, where it was not the message's own.
    sent_as: Option<Arc<String>>,
}

/// How the search for a host ended.
enum Found {
    Connected(Box<Connection>),
    /// No host is left.
    Exhausted,
    /// We are stopping.
    Stopped,
    /// The settings changed: its mail does not belong at this site any more.
    Moved,
}

/// Works for a site until nothing is left.
pub(crate) async fn run(mut place: Place, shared: Arc<Shared>) {
    let clock = shared.context.clock.clone();
    let mut connection: Option<Box<Connection>> = None;
    loop {
        if let Some(spent) = connection.take_if(|one| one.is_spent(clock.moment())) {
            place.set_connected(false);
            spent.session.quit().await;
        }
        let keep = if connection.is_some() {
            IDLE_KEEP
        } else {
            Duration::ZERO
        };
        match place.take(&clock, keep).await {
            Taken::Work(work) => {
                connection = deliver(&mut place, &shared, *work, connection).await;
                place.set_connected(connection.is_some());
            }
            Taken::GiveBack(works, until) => {
                shared.give_back(works, until).await;
                break;
            }
            Taken::Nothing => break,
        }
    }
    if let Some(connection) = connection {
        connection.session.quit().await;
    }
}

/// One attempt for one message; gives back the session if it is still good.
async fn deliver(
    place: &mut Place,
    shared: &Shared,
    mut work: Work,
    held: Option<Box<Connection>>,
) -> Option<Box<Connection>> {
    let context = &shared.context;
    if !is_still_ours(context, &mut work.leased.lease).await {
        return held;
    }
    let site = Arc::clone(&place.site);
    shared.settler.hold_restricted(&mut work.leased).await;
    if work.leased.recipients.is_empty() {
        return held;
    }
    let mut lease = work.leased.lease.clone();
    let mut attempt = Attempt::new(work.leased);
    let wish = prepare(shared, &mut attempt).await;
    let mut search = Search::new(&site, context, wish);
    let mut held = fitting(place, shared, held, wish).await;
    let (mut reached, mut ours) = (held.is_some(), false);
    while !attempt.open().is_empty() {
        let session = search.session(held.take(), place, (shared, &mut lease), &mut attempt);
        let mut connection = match session.await {
            Some(Found::Connected(connection)) => connection,
            Some(Found::Exhausted) => break,
            Some(Found::Stopped | Found::Moved) => {
                attempt.leased.lease = lease;
                shared.settler.settle_stopped(attempt, &by(&site)).await;
                return None;
            }
            None => return lost_during_attempt(&lease),
        };
        // Hosts that say nothing for minutes add up: the right must be fresh for what comes now.
        if !is_still_ours(context, &mut lease).await {
            return Some(connection);
        }
        place.set_connected(true);
        reached = true;
        hold_restricted(shared, &site, &mut attempt, &lease).await;
        if attempt.open().is_empty() {
            held = Some(connection);
            break;
        }
        let asked = connection.recipients(&attempt, &site);
        let begun = context.clock.moment();
        let Some(result) = connection
            .transact(&attempt, &asked, &mut lease, (context, site.key.protocol))
            .await
        else {
            return lost_during_attempt(&lease);
        };
        if search.may_try_again(&mut connection, &result) {
            place.set_connected(false);
            continue;
        }
        let duration = context.clock.moment().saturating_duration_since(begun);
        ours = connection.session.content_failed();
        let rules = context.reply_rules();
        let next = connection.fold(&mut attempt, &asked, result, (duration, &rules));
        shared.obey(&site, &mut attempt, &connection.target).await;
        if next != Next::Done {
            settle_certain(shared, &site, &mut attempt, &lease).await;
        }
        if next == Next::Elsewhere {
            site.session_failed();
            leave(place, connection).await;
            continue;
        }
        held = Some(connection).filter(|one| !one.session.is_closed());
    }
    let ended = Ended {
        attempt,
        reached,
        ours,
        lease,
    };
    close_attempt(shared, &site, ended, work.ticket, work.put_back).await;
    held
}

/// Asked last before a transaction: the search for a host, and transactions before, take minutes.
async fn hold_restricted(shared: &Shared, site: &Site, attempt: &mut Attempt, lease: &Lease) {
    attempt.leased.lease = lease.clone();
    let settler = &shared.settler;
    settler.hold_restricted_open(attempt, &by(site)).await;
}

/// What is certain is stored while the attempt goes on.
async fn settle_certain(shared: &Shared, site: &Site, attempt: &mut Attempt, lease: &Lease) {
    attempt.leased.lease = lease.clone();
    shared.settler.settle_delivered(attempt, &by(site)).await;
}

/// What goes before the content, and what the message wishes of TLS.
async fn prepare(shared: &Shared, attempt: &mut Attempt) -> Wish {
    match outgoing::front(&shared.context, &shared.keys, &attempt.leased).await {
        Ok(front) => attempt.front = front,
        // Before any server is asked: nothing of it may leave so.
        Err(withheld) => attempt.judge_all(&Finding::withheld(withheld)),
    }
    Wish::of(&attempt.leased, &shared.context.store).await
}

/// The session, if it will do for a message with this wish and by the settings of now; else it is
/// left.
async fn fitting(
    place: &mut Place,
    shared: &Shared,
    mut held: Option<Box<Connection>>,
    wish: Wish,
) -> Option<Box<Connection>> {
    let settings = shared.context.store.settings();
    let connector = place.site.key.connector.as_ref();
    let connector = connector.and_then(|(of, name)| settings.outbound_connector(of, name));
    let auth = connector.map(|connector| &connector.auth);
    if let Some(unfit) = held.take_if(|one| !one.meets(wish) || one.auth.as_ref() != auth) {
        leave(place, unfit).await;
    }
    held
}

async fn leave(place: &mut Place, connection: Box<Connection>) {
    place.set_connected(false);
    connection.session.quit().await;
}

/// Somebody else has the message now: nothing of this attempt counts.
fn lost_during_attempt(lease: &Lease) -> Option<Box<Connection>> {
    tracing::warn!(queue_id = %lease.queue_id, "the lease was lost during an attempt");
    None
}

/// An attempt after its last transaction.
struct Ended {
    attempt: Attempt,
    /// A session was established.
    reached: bool,
    /// Our own store was the trouble.
    ours: bool,
    lease: Lease,
}

/// Tells the site, and settles.
async fn close_attempt(shared: &Shared, site: &Site, ended: Ended, ticket: Ticket, put_back: u8) {
    let Ended {
        mut attempt,
        reached,
        ours,
        lease,
    } = ended;
    attempt.leased.lease = lease;
    let context = &shared.context;
    let now = context.clock.moment();
    let mut returned = None;
    if attempt.lacks_host() && !ours {
        if !reached && site.is_connected() && put_back < PUT_BACK_MAX {
            // The site takes no more connections than it has: that is its window, not a failure.
            site.session_failed();
            let leased = attempt.leased;
            let work = Work {
                leased,
                ticket,
                put_back: put_back + 1,
            };
            if let Some((work, until)) = site.put_back(work, now) {
                shared.give_back(vec![work], until).await;
            }
            return;
        }
        returned = Some(site.fail(now, context.chance.fraction()));
    } else if let Some(said) = attempt.said() {
        site.answered(said, now);
    }
    shared.settler.settle(attempt, &by(site)).await;
    drop(ticket);
    if let Some((works, until)) = returned {
        shared.give_back(works, until).await;
    }
}

fn by(site: &Site) -> By {
    let terms = site.terms();
    By {
        connector: terms.connector.clone(),
        retry: terms.retry.clone(),
        protocol: site.key.protocol,
    }
}

impl Connection {
    fn meets(&self, wish: Wish) -> bool {
        let verified = self.session.tls().map(|tls| tls.verified);
        wish.is_met_by(self.wish, verified)
    }

    fn is_spent(&self, now: Moment) -> bool {
        let most = self
            .session
            .extensions()
            .transactions_max
            .unwrap_or(MESSAGES_PER_SESSION_MAX);
        let age_max = if self.target.is_fallback {
            FALLBACK_AGE_MAX
        } else {
            SESSION_AGE_MAX
        };
        self.session.transactions() >= most.min(MESSAGES_PER_SESSION_MAX)
            || now.saturating_duration_since(self.since) >= age_max
    }

    /// Places of the recipients of the next transaction. RFC 9422, RCPTMAX; pace of the connector.
    fn recipients(&self, attempt: &Attempt, site: &Site) -> Vec<usize> {
        let offered = self.session.extensions().recipients_max;
        let paced = site.terms().pace.recipients_per_transaction;
        let most = [offered, paced]
            .into_iter()
            .flatten()
            .min()
            .map_or(RECIPIENTS_MAX, |most| {
                usize::try_from(most)
                    .unwrap_or(usize::MAX)
                    .clamp(1, RECIPIENTS_MAX)
            });
        // A copy leaves with an envelope sender of its own.
        let is_copy = |place: &usize| sender::is_copy(&attempt.leased, *place);
        let open = attempt.open();
        let first = open.first().is_some_and(is_copy);
        let together = open.iter().copied().filter(|place| is_copy(place) == first);
        together.take(most).collect()
    }

    /// `None`: the lease was lost meanwhile, and the connection is cut.
    async fn transact(
        &mut self,
        attempt: &Attempt,
        asked: &[usize],
        lease: &mut Lease,
        (context, protocol): (&DeliverContext, Protocol),
    ) -> Option<TransactionResult> {
        let leased = &attempt.leased;
        let facts = &leased.facts;
        let recipients = asked
            .iter()
            .filter_map(|place| leased.recipients.get(*place));
        let address = self.target.address.ip();
        let is_inside = protocol == Protocol::Lmtp || is_private_address(address);
        let reverse_path = sender::reverse_path(context, leased, asked, is_inside).await;
        self.sent_as = sender::shown(&facts.reverse_path, &reverse_path);
        let transaction = Transaction {
            envelope: Envelope {
                reverse_path,
                parameters: facts.parameters.clone(),
                recipients: recipients.map(|one| one.recipient.clone()).collect(),
            },
            size: facts.size + attempt.front.size(),
            eight_bit: facts.eight_bit,
            utf8_header: facts.utf8_header,
        };
        let front = attempt.front.octets();
        let conversation =
            self.session
                .transact(transaction, front, &leased.content, &context.store);
        let result = tokio::select! {
            biased;
            result = conversation => Some(result),
            () = keep(&context.store, &context.clock, lease) => None,
        };
        self.keep_words(context, attempt);
        result
    }

    /// What was said about a message goes to the trace.
    fn keep_words(&self, context: &DeliverContext, attempt: &Attempt) {
        let words = self.session.take_words();
        dialogue::keep(context, attempt, &self.target.hop, &words);
    }

    fn fold(
        &self,
        attempt: &mut Attempt,
        asked: &[usize],
        result: TransactionResult,
        (duration, rules): (Duration, &ReplyRules),
    ) -> Next {
        let trouble = self.session.trouble();
        let seen = Seen {
            hop: &self.target.hop,
            duration,
            dsn: self.session.extensions().dsn,
            trouble: trouble.as_deref().unwrap_or("it was closed"),
            protection: &self.protection,
            rules,
            sent_as: self.sent_as.as_ref(),
        };
        attempt.fold(asked, result.recipients, &seen)
    }
}

/// The search for a host, over one attempt.
struct Search {
    finder: Finder,
    current: Current,
    wish: Wish,
    /// What we log in with, once it was asked for.
    login: Option<Option<Login>>,
    /// As the settings say it.
    auth: Option<OutboundAuth>,
    /// Once more: a reused session may have been closed before we spoke, or TLS failed and clear
    /// text will do.
    again: Option<Target>,
    again_used: bool,
    /// Those that failed lately come last.
    postponed: VecDeque<Target>,
    tried: usize,
    end: Moment,
}

impl Search {
    fn new(site: &Site, context: &DeliverContext, wish: Wish) -> Self {
        let follows = wish.follows_destination(&site.key.demand);
        Self {
            finder: Finder::new(&site.key.hops, follows, &context.chance),
            current: Current::default(),
            wish,
            login: None,
            auth: None,
            again: None,
            again_used: false,
            postponed: VecDeque::new(),
            tried: 0,
            end: context.clock.moment() + SEARCH_TIMEOUT,
        }
    }

    /// The session that is held, or the next host that greets us; `None`: the lease was lost.
    async fn session(
        &mut self,
        held: Option<Box<Connection>>,
        place: &mut Place,
        (shared, lease): (&Shared, &mut Lease),
        attempt: &mut Attempt,
    ) -> Option<Found> {
        let site = Arc::clone(&place.site);
        let found = match held {
            Some(connection) => Found::Connected(connection),
            None => self.connect_within(lease, &site, shared, attempt).await?,
        };
        match found {
            Found::Connected(connection) if !self.is_current(&site, shared, attempt) => {
                leave(place, connection).await;
                Some(Found::Moved)
            }
            found => Some(found),
        }
    }

    /// The next host that greets us, with the lease kept meanwhile; `None`: it was lost.
    async fn connect_within(
        &mut self,
        lease: &mut Lease,
        site: &Site,
        shared: &Shared,
        attempt: &mut Attempt,
    ) -> Option<Found> {
        let context = &shared.context;
        if !is_still_ours(context, lease).await {
            return None;
        }
        tokio::select! {
            biased;
            found = self.connect(site, shared, attempt) => Some(found),
            () = keep(&context.store, &context.clock, lease) => None,
        }
    }

    /// Whether the mail still belongs at this site.
    fn is_current(&mut self, site: &Site, shared: &Shared, attempt: &mut Attempt) -> bool {
        let settings = shared.context.store.settings();
        let is = self.current.is(&settings, &attempt.leased.key, &site.key);
        attempt.route = self.current.because();
        is
    }

    /// What to log in with at this site, if anything; `Err`: it should be, and cannot be had.
    async fn login(&mut self, site: &Site, context: &DeliverContext) -> Result<(), Finding> {
        if self.login.is_some() {
            return Ok(());
        }
        let mut login = None;
        if let Some((organisation, name)) = &site.key.connector {
            let settings = context.store.settings();
            if let Some(connector) = settings.outbound_connector(organisation, name) {
                self.auth = Some(connector.auth.clone());
                let found = context.logins.of(organisation, connector).await;
                login = found.map_err(|fault| {
                    let words = fault.to_string();
                    Finding::ours(Outcome::Deferred, Cause::LoginFailed, words)
                })?;
            }
        }
        self.login = Some(login);
        Ok(())
    }

    /// The next host that greets us.
    async fn connect(&mut self, site: &Site, shared: &Shared, attempt: &mut Attempt) -> Found {
        let context = &shared.context;
        if let Err(finding) = self.login(site, context).await {
            attempt.gap(&finding);
            return Found::Exhausted;
        }
        loop {
            let target = tokio::select! {
                biased;
                () = shared.stop.cancelled() => return Found::Stopped,
                target = self.next(site, shared) => target,
            };
            self.note_untried(shared, attempt);
            let Some(target) = target else {
                if let Some(gap) = self.finder.take_gap() {
                    attempt.gap(&gap);
                }
                return Found::Exhausted;
            };
            self.tried += 1;
            // After the login was read: what is new in it is not for a host of before.
            if !self.is_current(site, shared, attempt) {
                return Found::Moved;
            }
            let login = self.login.clone().flatten();
            let opened = tokio::select! {
                biased;
                () = shared.stop.cancelled() => return Found::Stopped,
                opened = open(context, site, &target, (self.wish, login.as_ref())) => opened,
            };
            self.note(site, shared, attempt, &target, &opened);
            if let Err(failure) = &opened {
                dialogue::keep(context, attempt, &target.hop, &failure.words);
            }
            match opened {
                Ok(session) => {
                    site.address_works(target.address);
                    let since = context.clock.moment();
                    return Found::Connected(Box::new(Connection {
                        protection: protection(&session, &target),
                        wish: self.wish,
                        auth: self.auth.clone(),
                        session,
                        target,
                        since,
                        sent_as: None,
                    }));
                }
                Err(failure) => {
                    let rules = context.reply_rules();
                    attempt.host_failed(failure.finding, &rules);
                    shared.obey(site, attempt, &target).await;
                    if failure.is_verdict {
                        // Another host would say the same, and count it.
                        return Found::Exhausted;
                    }
                    match failure.clear_instead {
                        Some(why) => {
                            self.again = Some(Target {
                                clear_because: Some(why),
                                ..target
                            });
                        }
                        None => site.address_failed(target.address, context.clock.moment()),
                    }
                }
            }
        }
    }

    /// Counts the session for the owner of the destination, if what it publishes was followed.
    fn note(
        &self,
        site: &Site,
        shared: &Shared,
        attempt: &Attempt,
        target: &Target,
        opened: &Result<Session, Failure>,
    ) {
        let Some(first) = attempt.leased.recipients.first() else {
            return;
        };
        let fault = match opened {
            Ok(session) if session.tls().is_none() => {
                Some(session.clear_because().unwrap_or(TlsFault::NotOffered))
            }
            Ok(session) => session.tls().and_then(|tls| tls.failed_test.clone()),
            Err(Failure {
                tls: Some(fault), ..
            }) => Some(fault.clone()),
            // It never came to TLS.
            Err(Failure { tls: None, .. }) => return,
        };
        if !self.wish.follows_destination(&site.key.demand) {
            return;
        }
        let begun = Begun {
            hops: &site.key.hops,
            recipient: first.recipient.forward_path.host(),
            target,
            demand: target.demand.as_ref().unwrap_or(&site.key.demand),
            fault: fault.as_ref(),
        };
        results::note(&shared.tally, shared.context.clock.now(), &begun);
    }

    /// The same for hosts that may not even be tried.
    fn note_untried(&mut self, shared: &Shared, attempt: &Attempt) {
        let untried = self.finder.take_untried();
        let Some(first) = attempt.leased.recipients.first() else {
            return;
        };
        let (now, host) = (
            shared.context.clock.now(),
            first.recipient.forward_path.host(),
        );
        for one in &untried {
            results::note_untried(&shared.tally, now, host, one);
        }
    }

    async fn next(&mut self, site: &Site, shared: &Shared) -> Option<Target> {
        let context = &shared.context;
        if self.tried >= TARGETS_MAX || context.clock.moment() >= self.end {
            return None;
        }
        if let Some(target) = self.again.take() {
            return Some(target);
        }
        let terms = site.terms();
        let origin = Origin {
            context,
            egress: &terms.egress,
            site: site.number,
            sources: &shared.sources,
        };
        while let Some(target) = self.finder.next(&origin).await {
            if site.is_bad_address(target.address, context.clock.moment()) {
                self.postponed.push_back(target);
                continue;
            }
            return Some(target);
        }
        self.postponed.pop_front()
    }

    /// Whether a session that had served before broke before it took notice of this message: then
    /// the same host gets one more chance, with a new session, and nothing has failed.
    fn may_try_again(&mut self, connection: &mut Connection, result: &TransactionResult) -> bool {
        let unheard = result.recipients.iter().all(|one| match one {
            RecipientResult::Broken { maybe_accepted, .. } => !maybe_accepted,
            RecipientResult::Refused { reply, .. } => reply.code().get() == 421,
            RecipientResult::Accepted { .. } | RecipientResult::Unsuited(_) => false,
        });
        let reused = connection.session.transactions() > 1;
        let own = connection.session.content_failed();
        if own || self.again_used || !reused || !unheard || !connection.session.is_closed() {
            return false;
        }
        self.again_used = true;
        self.again = Some(connection.target.clone());
        true
    }
}

/// Why a host cannot be used.
struct Failure {
    finding: Finding,
    /// Its TLS failed, clear text will do, and a new connection is needed for it.
    clear_instead: Option<Arc<str>>,
    /// The server does not believe what we log in with.
    is_verdict: bool,
    /// What is wrong with its TLS, if that is it.
    tls: Option<TlsFault>,
    /// What was said, for the trace.
    words: Vec<String>,
}

impl From<Finding> for Failure {
    fn from(finding: Finding) -> Self {
        Self {
            finding,
            clear_instead: None,
            is_verdict: false,
            tls: None,
            words: Vec::new(),
        }
    }
}

/// Connects, and exchanges greeting, TLS and EHLO.
async fn open(
    context: &DeliverContext,
    site: &Site,
    target: &Target,
    (wish, login): (Wish, Option<&Login>),
) -> Result<Session, Failure> {
    let clock = &context.clock;
    let begun = clock.moment();
    let dial = context.network.dial(target.address, target.source);
    let stream = match clock.within(begun + CONNECT_TIMEOUT, dial).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(error.kind()),
        Err(_) => Err(io::ErrorKind::TimedOut),
    };
    let stream = stream.map_err(|kind| not_connected(kind, target, since(clock, begun)))?;
    let transcript = context.store.keeps_dialogues().then(Transcript::default);
    let demand = wish.demand(&site.key.demand, target);
    let tested = tested_demand(&site.key.hops, target, &demand);
    let identity = login.and_then(|login| login.identity.as_ref());
    let own_tls = identity.map(|identity| context.tls.with_identity(identity));
    let opening = Opening {
        config: ClientConfig {
            hostname: context.options.greeting_name(),
            protocol: site.key.protocol,
        },
        host: &target.host,
        demand: &demand,
        tested: tested.as_ref(),
        implicit_tls: target.implicit_tls,
        tls: own_tls.as_ref().unwrap_or(&context.tls),
        login,
        login_in_clear: site.key.demand == Demand::Clear
            && !is_public_destination(target.address.ip()),
        chance: &context.chance,
        port: target.address.port(),
        transcript: transcript.clone(),
    };
    let opened = Session::open(stream, &opening, clock.clone()).await;
    if let (Some(login), Some((organisation, connector))) = (login, &site.key.connector) {
        match &opened {
            Ok(_) => context.logins.believed(organisation, connector),
            Err(unused) => {
                if let Some(fault) = unused.login.as_ref().filter(|fault| fault.is_verdict()) {
                    context
                        .logins
                        .refused(organisation, connector, login, fault);
                }
            }
        }
    }
    opened.map_err(|unused| {
        let may_go_in_clear = *opening.demand == Demand::Opportunistic && !target.implicit_tls;
        let fault = unused.tls.as_ref().filter(|_| may_go_in_clear);
        let clear_instead = fault.map(|fault| format!("in clear text: {fault}").into());
        let tls = unused.tls.clone();
        let is_verdict = unused.login.as_ref().is_some_and(LoginFault::is_verdict);
        let finding = not_greeted(*unused, target, since(clock, begun));
        Failure {
            clear_instead,
            finding: if tls.is_some() {
                wish.without_tls(finding)
            } else {
                finding
            },
            is_verdict,
            tls,
            words: transcript.map(|one| one.take()).unwrap_or_default(),
        }
    })
}

/// What a policy in testing would demand of a host, were it enforced: told to its owner only.
fn tested_demand(hops: &NextHops, target: &Target, demand: &Demand) -> Option<Demand> {
    let NextHops::Exchanges { published, .. } = hops else {
        return None;
    };
    let is_tested = |sts: &&Arc<StsPolicy>| sts.mode == StsMode::Testing;
    let policy = published.sts.as_ref().filter(is_tested)?;
    let Host::Domain(host) = &target.host else {
        return None;
    };
    // DANE comes first.
    let open = matches!(demand, Demand::Opportunistic | Demand::Encryption);
    (open && policy.covers(host)).then(|| Demand::Sts(host.clone()))
}

/// What the trace says of the session's protection.
fn protection(session: &Session, target: &Target) -> Protection {
    let refused = session.clear_because();
    Protection {
        tls: session.tls().map(|tls| {
            Arc::new(TlsSummary {
                version: tls.version.name().into(),
                cipher: tls.cipher.into(),
                verified: tls.verified.word().into(),
            })
        }),
        note: match refused {
            Some(fault) => Some(format!("in clear text: {fault}").into()),
            None => target.clear_because.clone(),
        },
    }
}

fn since(clock: &Clock, begun: Moment) -> Duration {
    clock.moment().saturating_duration_since(begun)
}

fn not_connected(kind: io::ErrorKind, target: &Target, duration: Duration) -> Finding {
    let cause = match kind {
        io::ErrorKind::ConnectionRefused => Cause::ConnectionRefused,
        io::ErrorKind::TimedOut => Cause::ConnectionTimedOut,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Cause::ConnectionLost,
        _ => Cause::Unreachable,
    };
    let words = format!("connection to {} failed: {kind}", target.hop).into();
    let answer = Answer::Ours {
        cause: Some(cause),
        words,
    };
    let mut finding = host_finding(Stage::Connect, answer, &target.hop, duration);
    finding.ours = matches!(
        kind,
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable
    );
    finding
}

fn not_greeted(unused: Unused, target: &Target, duration: Duration) -> Finding {
    let answer = match unused.reply {
        Some(reply) => Answer::Reply(reply),
        None => {
            let words = format!("session with {} failed: {}", target.hop, unused.words);
            Answer::Ours {
                cause: Some(unused.cause),
                words: words.into(),
            }
        }
    };
    host_finding(unused.stage, answer, &target.hop, duration)
}

/// Renews a lease that has waited; `false` if it was lost.
async fn is_still_ours(context: &DeliverContext, lease: &mut Lease) -> bool {
    let now = context.clock.now();
    let left = lease.until.since(now);
    // More than a whole lease means that the clock went back: nobody knows how long it waited.
    if left + LEASE_RENEW_AFTER > LEASE_TIME && left <= LEASE_TIME {
        return true;
    }
    match renew(&context.store, lease, now).await {
        Ok(()) => true,
        Err(SettleError::LeaseLost { queue_id }) => {
            tracing::warn!(%queue_id, "the lease was lost before its attempt");
            false
        }
        // Still ours, if only for the rest of its time.
        Err(SettleError::Store(_)) => lease.until > now,
    }
}

async fn renew(store: &Store, lease: &mut Lease, now: Timestamp) -> Result<(), SettleError> {
    let until = now.after(LEASE_TIME);
    store.renew(lease, until).await?;
    lease.until = until;
    Ok(())
}

/// Renews a lease for as long as it is polled; ends only when the lease is lost.
async fn keep(store: &Store, clock: &Clock, lease: &mut Lease) {
    loop {
        clock.sleep(LEASE_RENEW_AFTER).await;
        match renew(store, lease, clock.now()).await {
            Ok(()) => {}
            Err(SettleError::LeaseLost { .. }) => return,
            Err(SettleError::Store(error)) => {
                tracing::warn!(queue_id = %lease.queue_id, %error, "a lease could not be renewed");
            }
        }
    }
}
