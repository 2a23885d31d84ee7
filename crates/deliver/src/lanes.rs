//! The queues that have something due, as the scheduler sees them. Pure.
//!
//! A *lane* is one queue of the store: one organisation's mail for one destination. Lanes whose
//! mail leaves by the same next hops feed the same site, in a rota that is fair between
//! organisations first, and between the lanes of each then.

use relais_net::clock::Moment;
use relais_store::queue::QueueKey;

use crate::turns::Turns;

/// Whose turn it is.
pub(crate) type Rota = Turns<QueueKey>;

/// One queue.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) stage: LaneStage,
    /// Messages due and not leased, about.
    pub(crate) backlog: usize,
    /// What the store said at the last scan.
    pub(crate) due: usize,
    /// Settings by which its way was found.
    pub(crate) settings_version: u64,
    /// When its way was found.
    pub(crate) found_at: Moment,
    /// A lease or a judgement is under way, or a look-up without which nothing can be done.
    pub(crate) busy: bool,
    /// Its way is looked for.
    pub(crate) finding: bool,
    /// And nothing can be done before it is found: it is busy with that.
    pub(crate) waits_for_way: bool,
    /// It stands in a rota.
    pub(crate) in_rota: bool,
    /// How often its way could not be found, in a row.
    pub(crate) failures: u32,
    /// When the store last named it.
    pub(crate) seen: Moment,
}

/// Where a lane's mail goes.
#[derive(Debug)]
pub(crate) enum LaneStage {
    /// Not known yet.
    New,
    /// To this site.
    At(u64),
    /// Nowhere until then: DNS, or the settings, do not let it.
    Resting(Moment),
}

impl Lane {
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            stage: LaneStage::New,
            backlog: 0,
            due: 0,
            settings_version: 0,
            found_at: now,
            busy: false,
            finding: false,
            waits_for_way: false,
            in_rota: false,
            failures: 0,
            seen: now,
        }
    }
}
