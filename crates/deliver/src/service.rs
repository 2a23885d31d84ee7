//! Start, drain, stop.

use std::sync::Arc;
use std::time::Duration;

use relais_net::clock::Clock;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::connection::Shared;
use crate::expiry;
use crate::scheduler::Scheduler;
use crate::settle::Settler;
use crate::steady::Steady;

pub use crate::context::{DeliverContext, DeliverOptions};

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
        let steady = Arc::new(Steady::new(clock.clone()));
        let poked = Arc::new(Notify::new());
        let (settler, writer) = Settler::new(&context, Arc::clone(&steady));
        let shared = Arc::new(Shared {
            context,
            settler,
            stop: stop.clone(),
        });
        let scheduler = Scheduler::new(
            Arc::clone(&shared),
            Arc::clone(&steady),
            tasks.clone(),
            cut.clone(),
            Arc::clone(&poked),
        );
        spawn(&tasks, &cut, writer);
        spawn(&tasks, &cut, expiry::run(shared, steady, poked));
        spawn(&tasks, &cut, scheduler.run());
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
