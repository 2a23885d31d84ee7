//! Start, drain, stop.

use std::sync::Arc;
use std::time::Duration;

use relais_net::clock::Clock;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::connection::Shared;
use crate::excuses::Excuses;
use crate::expiry;
use crate::forwards::Forwards;
use crate::grants;
use crate::report;
use crate::scheduler::Scheduler;
use crate::settle::Settler;
use crate::sign::ReadyKeys;
use crate::sources::Sources;
use crate::steady::Steady;
use crate::sts::StsPolicies;
use crate::tally::Tally;
use crate::watch;

pub use crate::context::{DeliverContext, DeliverOptions};

/// After a panic.
const BEGIN_ANEW_AFTER: Duration = Duration::from_secs(1);

/// The running delivery. Dropped without [`DeliverService::drain`], it is cut off: what was under
/// way stays in the queue.
pub struct DeliverService {
    clock: Clock,
    tasks: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
    _cut_when_dropped: DropGuard,
}

impl DeliverService {
    /// Delivers until drained.
    pub fn start(context: DeliverContext) -> Self {
        let clock = context.clock.clone();
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let cut = CancellationToken::new();
        let newest = context.store.next_queue_id(clock.now()).created_at();
        let steady = Arc::new(Steady::new(clock.clone(), newest));
        let poked = Arc::new(Notify::new());
        let (settler, writer) = Settler::new(&context, Arc::clone(&steady));
        let tally = Tally::default();
        let policies = StsPolicies::new(
            context.store.clone(),
            context.clock.clone(),
            context.web.clone(),
            tally.clone(),
        );
        let shared = Arc::new(Shared {
            keys: ReadyKeys::default(),
            context,
            policies,
            tally,
            settler,
            forwards: Forwards::default(),
            stop: stop.clone(),
            excuses: Excuses::default(),
            sources: Sources::default(),
        });
        spawn(&tasks, &cut, writer);
        let (of_sweep, steadily, poke) =
            (Arc::clone(&shared), Arc::clone(&steady), Arc::clone(&poked));
        let sweep = move || {
            expiry::run(
                Arc::clone(&of_sweep),
                Arc::clone(&steadily),
                Arc::clone(&poke),
            )
        };
        spawn(&tasks, &cut, keep_up("expiry", clock.clone(), sweep));
        let of_reports = Arc::clone(&shared);
        let tell = move || report::run(Arc::clone(&of_reports));
        spawn(&tasks, &cut, keep_up("reports", clock.clone(), tell));
        let of_grants = Arc::clone(&shared);
        let look = move || grants::run(Arc::clone(&of_grants));
        spawn(&tasks, &cut, keep_up("grants", clock.clone(), look));
        let of_watch = Arc::clone(&shared);
        let look = move || watch::run(Arc::clone(&of_watch));
        spawn(&tasks, &cut, keep_up("watch", clock.clone(), look));
        let (beside, cut_beside) = (tasks.clone(), cut.clone());
        let schedule = move || {
            let scheduler = Scheduler::new(
                Arc::clone(&shared),
                Arc::clone(&steady),
                beside.clone(),
                cut_beside.clone(),
                Arc::clone(&poked),
            );
            scheduler.run()
        };
        spawn(&tasks, &cut, keep_up("scheduler", clock.clone(), schedule));
        let guard = cut.clone().drop_guard();
        Self {
            clock,
            tasks,
            stop,
            cut,
            _cut_when_dropped: guard,
        }
    }

    /// Takes no new leases; attempts under way end and are settled; after `within` the rest is cut
    /// and stays in the queue.
    pub async fn drain(self, within: Duration) {
        self.stop.cancel();
        self.tasks.close();
        let until = self.clock.moment() + within;
        if self.clock.within(until, self.tasks.wait()).await.is_ok() {
            return;
        }
        tracing::warn!(
            tasks = self.tasks.len(),
            "deliveries did not end in time and are cut off"
        );
        self.cut.cancel();
        self.tasks.wait().await;
    }
}

/// Runs what must always run. A panic is a fault of the program, but no reason to stop all mail: it
/// is told, and the work begins anew from the store, where the truth is.
async fn keep_up<F, W>(name: &'static str, clock: Clock, begin: F)
where
    F: Fn() -> W,
    W: Future<Output = ()> + Send + 'static,
{
    loop {
        // Aborted when dropped.
        let mut task = JoinSet::new();
        task.spawn(begin());
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(%error, "{name} broke and begins anew");
                clock.sleep(BEGIN_ANEW_AFTER).await;
            }
            Some(_) | None => return,
        }
    }
}

fn spawn(
    tasks: &TaskTracker,
    cut: &CancellationToken,
    work: impl Future<Output = ()> + Send + 'static,
) {
    let cut = cut.clone();
    tasks.spawn(async move {
        tokio::select! {
            biased;
            () = cut.cancelled() => {}
            () = work => {}
        }
    });
}
