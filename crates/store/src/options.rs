//! How a store is opened.

use std::path::PathBuf;
use std::sync::Arc;

use relais_policy::settings::Mode;
use relais_smtp::time::Timestamp;

use crate::trace::Event;

/// Whether the trace is stored. Only a build that measures what storing it costs, made with
/// `RELAIS_BENCH_WITHOUT_TRACE=1`, leaves it out (`docs/performance.md`).
pub(crate) const STORES_TRACE: bool = option_env!("RELAIS_BENCH_WITHOUT_TRACE").is_none();

/// How to open the embedded store.
#[derive(Clone)]
pub struct OpenOptions {
    /// `data_dir`: made if absent, mode 0700.
    pub folder: PathBuf,
    /// For `Settings::build`.
    pub mode: Mode,
    /// Below this much free space, commits are refused (NoRoom). Octets.
    pub disk_reserve: u64,
    /// Days that the trace is kept.
    pub trace_days: u32,
    /// Called once for each stored event, in order, by the trace thread: log and counters.
    pub observer: Observer,
    /// Now: recovery dates things by it.
    pub now: Timestamp,
}

/// A store that breaks a promise on purpose: the gates must turn red.
#[cfg(feature = "broken-twins")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BrokenTwin {
    /// Nothing is synced.
    SyncDropped,
    /// A message is acknowledged before it is written.
    CommitEarly,
    /// A lease does not keep others away.
    LeaseForgotten,
}

/// See [`OpenOptions::observer`]: the event, and the same as [`Event::to_json`] wrote it.
pub type Observer = Arc<dyn Fn(&Event, &str) + Send + Sync>;
