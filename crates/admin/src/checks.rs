//! Self-checks at work: everything is looked at side by side, each within its time, all within
//! 15 s; what was found is judged in `relais_policy::check`, kept, and told when it changes.
//!
//! Asked for by `relais doctor`, the page *Health* and the first steps; once a day by themselves.

pub(crate) mod kept;
mod safety;
mod world;
mod way_out;
mod ports;
mod machine;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use relais_policy::check::{Check, Group, Needs, Verdict};
use relais_policy::desk::ways;
use relais_policy::settings::{HostPort, SMTP_PORT, Settings};
use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;

use crate::context::AdminContext;

pub(crate) use self::kept::{Kept, KeptCheck, kept, note_backup};
pub(crate) use self::machine::networks;
pub(crate) use self::world::listed;

/// All checks together.
pub(crate) const RUN_BUDGET: Duration = Duration::from_secs(15);
/// Each alone: what has not answered by then is told as such, within the whole.
const CHECK_BUDGET: Duration = Duration::from_secs(13);
/// Between two runs that nobody asks for.
const PAUSE: Duration = Duration::from_secs(86_400);
/// The first of them after a start: what is started often is not checked each time.
const FIRST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Checks of one kind, under way.
type Work<'a> = Pin<Box<dyn Future<Output = Vec<Check>> + Send + 'a>>;

/// Looks at everything of these groups now, and keeps what it came to. Who asks while a round is
/// under way waits for its turn.
pub(crate) async fn run(context: &AdminContext, groups: &[Group]) -> Result<Kept, StoreError> {
    let round = context.rounds.begin().await;
    let mut works = works(context, groups);
    let until = context.clock.moment() + RUN_BUDGET;
    let all = async {
        while let Some(found) = works.next().await {
            round.add(found);
        }
    };
    let is_whole = context.clock.within(until, all).await.is_ok();
    if !is_whole {
        tracing::warn!("the self-checks did not end in time");
    }
    kept::keep(context, groups, round.end(), is_whole).await
}

/// Begins a round that nobody waits for; nothing happens where one is under way.
pub(crate) fn begin(context: &AdminContext) {
    if !context.rounds.announce() {
        return;
    }
    let context = context.clone();
    tokio::spawn(async move {
        if let Err(error) = run(&context, &Group::ALL).await {
            tracing::warn!(%error, "what the self-checks found cannot be kept");
        }
    });
}

/// What the chosen ways out use.
fn needs(settings: &Settings) -> Needs {
    let organisations = settings.document.organisation.as_slice();
    let all: Vec<_> = organisations
        .iter()
        .flat_map(|one| ways(settings, &one.name))
        .collect();
    let is_25 =
        |text: &String| HostPort::parse(text, SMTP_PORT).is_some_and(|host| host.port == SMTP_PORT);
    let outbound = organisations.iter().flat_map(|one| &one.outbound_connector);
    Needs {
        // Nothing is chosen before there is an organisation: then nothing is broken either.
        by_mx: all.iter().any(relais_policy::desk::Way::is_direct),
        smart_host_25: outbound.flat_map(|one| &one.smart_hosts).any(is_25),
    }
}

fn works<'a>(context: &'a AdminContext, groups: &[Group]) -> FuturesUnordered<Work<'a>> {
    let needs = needs(&context.store.settings());
    let works = FuturesUnordered::new();
    let add = |group: Group, work: Work<'a>| {
        // What the world sees begins with what servers of the way out tell.
        let is_wanted =
            groups.contains(&group) || (group == Group::WayOut && groups.contains(&Group::World));
        if is_wanted {
            works.push(work);
        }
    };
    add(Group::Machine, Box::pin(machine::look(context)));
    add(Group::Machine, Box::pin(ports::look(context)));
    let wanted = groups.to_vec();
    add(
        Group::WayOut,
        Box::pin(async move {
            let mut found = world_and_port_25(context, needs).await;
            found.retain(|check| wanted.contains(&check.group));
            found
        }),
    );
    if groups.contains(&Group::WayOut) {
        add(Group::WayOut, Box::pin(way_out::names(context)));
        add(Group::WayOut, Box::pin(way_out::smart_hosts(context)));
    }
    add(Group::World, Box::pin(world::domains(context)));
    add(Group::Safety, Box::pin(safety::look(context)));
    works
}

/// Servers tell which address we come from; then DNS is asked about that address.
async fn world_and_port_25(context: &AdminContext, needs: Needs) -> Vec<Check> {
    let (mut found, told) = way_out::port_25(context, needs).await;
    found.extend(world::addresses(context, needs, &told).await);
    found
}

/// Runs once a day, until `closing`.
pub(crate) async fn watch(context: AdminContext, closing: CancellationToken) {
    loop {
        let last = kept(&context.store)
            .await
            .ok()
            .and_then(|kept| kept.checked_at());
        let passed = last.map(|last| context.clock.now().since(last));
        let left = passed.map_or(FIRST_PAUSE, |passed| PAUSE.saturating_sub(passed));
        tokio::select! {
            () = context.clock.sleep(left.max(FIRST_PAUSE)) => {}
            () = closing.cancelled() => return,
        }
        if let Err(error) = run(&context, &Group::ALL).await {
            tracing::warn!(%error, "what the self-checks found cannot be kept");
        }
    }
}

/// The gravest of all; nothing found is nothing known.
pub(crate) fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.min().unwrap_or(Verdict::Unknown)
}

/// Time of a run, for those who keep it.
fn now(context: &AdminContext) -> Timestamp {
    context.clock.now()
}
