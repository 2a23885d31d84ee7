//! The store as everybody sees it: one enum, a `match` per operation. The contract suite in
//! `tests/contract` runs against every variant.

mod restrictions;
mod heard;
mod reports;
mod grouped;
mod bounces;
mod contents;
mod secrets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use relais_policy::document::Document;
use relais_policy::restriction::Restrictions;
use relais_policy::settings::{Mode, ResolvedNames, Settings};
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use crate::backup;
use crate::bell::Bell;
use crate::dkim::DkimChange;
use crate::door::Via;
use crate::embedded::Embedded;
use crate::error::{CommitError, SettleError, StoreError};
use crate::known::BounceChange;
#[cfg(feature = "simulation")]
use crate::memory::Memory;
use crate::proof::ProofChange;
use crate::queue::{
    ActResult, Actor, Committed, Content, Criteria, DueQueue, Lease, Leased, ListedMessage,
    MessageFacts, NewMessage, QueueAct, QueueCount, QueueCounts, QueueKey, QueuePage, Settlement,
    WaitingQueue,
};
use crate::restriction::{EntityChange, IgnoredAttempts, ShownAgain};
use crate::settings::{AuditEntry, ChangeError, CredentialUse, SettingsChange, SettingsVersion};
use crate::shelf::{Shelf, ShelfChange, ShelfEntry};
use crate::suspension::{Suspension, SuspensionScope};
use crate::trace::{Event, TraceQuery, TraceRow};

pub use crate::bounces::{BounceKeyError, ListedSuppression, OldAddresses, SuppressionChange};
pub use crate::content::{ContentReader, ContentWriter};
#[cfg(feature = "broken-twins")]
pub use crate::options::BrokenTwin;
pub use crate::options::{Observer, OpenOptions};
pub use crate::trace::RefusedGroup;
pub use heard::{known_text, read_known};
use restrictions::Judged;
pub use restrictions::why_held;

/// Messages read at once where the index alone cannot say what fits.
const READ_AT_ONCE: usize = 1_000;

/// The store. Cheap to clone.
#[derive(Clone)]
pub enum Store {
    /// SQLite and spool files in a folder.
    Embedded(Arc<Embedded>),
    /// In memory, with faults on demand.
    #[cfg(feature = "simulation")]
    Memory(Arc<Memory>),
}

impl Store {
    /// Opens the embedded store: start-up is recovery. Fails if another process has it open, if
    /// its schema is newer than we know, or if the folder cannot be used.
    pub async fn open(options: OpenOptions) -> Result<Self, StoreError> {
        Embedded::open(options)
            .await
            .map(|store| Self::Embedded(Arc::new(store)))
    }

    /// Opens a store that breaks a promise on purpose: a gate that stays green on it is worthless.
    #[cfg(feature = "broken-twins")]
    pub async fn open_broken(options: OpenOptions, twin: BrokenTwin) -> Result<Self, StoreError> {
        Embedded::open_broken(options, twin)
            .await
            .map(|store| Self::Embedded(Arc::new(store)))
    }

    /// A store in memory on an empty disk, for tests. See [`Memory::open`] for one that survives a
    /// crash.
    #[cfg(feature = "simulation")]
    pub fn in_memory(options: crate::memory::MemoryOptions) -> Self {
        Self::Memory(Memory::open(options, crate::memory::Durable::default()))
    }

    /// Opens for reading only, beside no server: `relais trace`, `queue list` … when it is down.
    pub async fn open_for_reading(folder: PathBuf, mode: Mode) -> Result<Self, StoreError> {
        Embedded::open_for_reading(folder, mode)
            .await
            .map(|store| Self::Embedded(Arc::new(store)))
    }

    // ---- receiving -------------------------------------------------------------------------

    /// A new unique queue id; grows always, even when the clock jumps back.
    pub fn next_queue_id(&self, now: Timestamp) -> QueueId {
        match self {
            Self::Embedded(store) => store.next_queue_id(now),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.next_queue_id(now),
        }
    }

    /// Whether a message could be stored now: asked at MAIL, before content is sent.
    pub fn may_commit(&self) -> Result<(), CommitError> {
        match self {
            Self::Embedded(store) => store.may_commit(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.may_commit(),
        }
    }

    /// Begins content.
    pub fn content_writer(&self) -> ContentWriter {
        match self {
            Self::Embedded(store) => store.content_writer(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.content_writer(),
        }
    }

    /// Makes a message durable, and only then returns the proof. Shares its sync with everything
    /// else that waits (group commit). Rings [`Store::bell`].
    pub async fn commit(&self, message: NewMessage) -> Result<Committed, CommitError> {
        let restricted = Judged::of(&message);
        let committed = match self {
            Self::Embedded(store) => store.commit(message).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.commit(message).await,
        };
        if let (Ok(_), Some(restricted)) = (&committed, restricted) {
            self.note_restricted(&restricted);
        }
        committed
    }

    /// Stores an event that belongs to no message. Rides with the next group; dropped (and
    /// counted) only when the store is far behind.
    pub fn record(&self, event: Event) {
        match self {
            Self::Embedded(store) => store.record(event),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.record(event),
        }
    }

    // ---- delivering ------------------------------------------------------------------------

    /// Rung when something may have become due.
    pub fn bell(&self) -> Bell {
        match self {
            Self::Embedded(store) => store.bell(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.bell(),
        }
    }

    /// Queues with something due and not under lease, oldest first, at most `limit`.
    pub async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<DueQueue>, StoreError> {
        match self {
            Self::Embedded(store) => store.due(now, limit).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.due(now, limit).await,
        }
    }

    /// Queues with something due or under lease, for a watch over progress: asking changes nothing.
    /// Looks at each queue: not for each message.
    pub async fn waiting(&self, now: Timestamp) -> Result<Vec<WaitingQueue>, StoreError> {
        match self {
            Self::Embedded(store) => store.waiting(now).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.waiting(now).await,
        }
    }

    /// When the next recipient that is not due yet becomes due or expires.
    pub async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        match self {
            Self::Embedded(store) => store.next_due(now).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.next_due(now).await,
        }
    }

    /// Leases up to `messages_max` messages with due recipients of one queue, oldest first; all
    /// due recipients of a message in that queue together, at most `recipients_max` each.
    pub async fn lease(
        &self,
        key: &QueueKey,
        messages_max: usize,
        recipients_max: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Leased>, StoreError> {
        match self {
            Self::Embedded(store) => {
                store
                    .lease(key, messages_max, recipients_max, now, until)
                    .await
            }
            #[cfg(feature = "simulation")]
            Self::Memory(store) => {
                store
                    .lease(key, messages_max, recipients_max, now, until)
                    .await
            }
        }
    }

    /// Leases recipients whose time is up, due or not; held ones too.
    pub async fn lease_expired(
        &self,
        messages_max: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Leased>, StoreError> {
        match self {
            Self::Embedded(store) => store.lease_expired(messages_max, now, until).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.lease_expired(messages_max, now, until).await,
        }
    }

    /// Prolongs a lease.
    pub async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<(), SettleError> {
        match self {
            Self::Embedded(store) => store.renew(lease, until).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.renew(lease, until).await,
        }
    }

    /// Stores the result of a lease with its events and notices, in one transaction.
    pub async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        let is_restricted = restrictions::holds(&settlement);
        let settled = match self {
            Self::Embedded(store) => store.settle(settlement).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.settle(settlement).await,
        };
        if is_restricted && settled.is_ok() {
            self.note_settled_as_restricted();
        }
        settled
    }

    /// Facts and content of a message in the queue, for a copy; none: there is no such message, or
    /// its content is damaged.
    pub async fn original(
        &self,
        queue_id: QueueId,
    ) -> Result<Option<(Arc<MessageFacts>, Content)>, StoreError> {
        match self {
            Self::Embedded(store) => store.original(queue_id).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.original(queue_id).await,
        }
    }

    /// Reads content.
    pub async fn content_reader(&self, content: &Content) -> Result<ContentReader, StoreError> {
        match self {
            Self::Embedded(store) => store.content_reader(content).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.content_reader(content).await,
        }
    }

    // ---- administering ---------------------------------------------------------------------

    /// Messages in the queue, oldest first, at most `limit` (bounded to 10,000), behind `after`.
    pub async fn list(
        &self,
        criteria: &Criteria,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<Vec<ListedMessage>, StoreError> {
        Ok(self.page(criteria, after, limit).await?.messages)
    }

    /// The same, with where the next page begins: a short page is not always the last one.
    pub async fn page(
        &self,
        criteria: &Criteria,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<QueuePage, StoreError> {
        if !criteria.needs_reading() {
            return self.list_page(criteria, after, limit).await;
        }
        let (mut messages, mut next) = (Vec::new(), after);
        loop {
            let page = self.list_page(criteria, next, READ_AT_ONCE).await?;
            next = page.next;
            for mut message in page.messages {
                if !criteria.narrow(&mut message) {
                    continue;
                }
                let queue_id = message.queue_id;
                messages.push(message);
                if messages.len() >= limit {
                    let next = Some(queue_id);
                    return Ok(QueuePage { messages, next });
                }
            }
            if next.is_none() {
                return Ok(QueuePage { messages, next });
            }
        }
    }

    async fn list_page(
        &self,
        criteria: &Criteria,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<QueuePage, StoreError> {
        match self {
            Self::Embedded(store) => store.list(criteria, after, limit).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.list(criteria, after, limit).await,
        }
    }

    /// How much fits, all of it, without reading more than must be read.
    pub async fn count(&self, criteria: &Criteria) -> Result<QueueCount, StoreError> {
        if !criteria.needs_reading() {
            return match self {
                Self::Embedded(store) => store.count(criteria).await,
                #[cfg(feature = "simulation")]
                Self::Memory(store) => Ok(store.count(criteria)),
            };
        }
        let (mut count, mut after) = (QueueCount::default(), None);
        loop {
            let page = self.page(criteria, after, READ_AT_ONCE).await?;
            for message in page.messages {
                count.messages += 1;
                count.recipients += message.recipients.len() as u64;
                count.newest = Some(message.queue_id);
            }
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Does something to entries; audited with `actor`.
    pub async fn act(
        &self,
        act: QueueAct,
        criteria: &Criteria,
        actor: impl Into<Actor<'_>>,
        now: Timestamp,
    ) -> Result<ActResult, StoreError> {
        let actor = actor.into();
        let criteria = self.narrowed(criteria).await?;
        match self {
            Self::Embedded(store) => store.act(act, &criteria, actor, now).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.act(act, &criteria, actor, now).await,
        }
    }

    /// With the recipients that fit what must be read.
    async fn narrowed(&self, criteria: &Criteria) -> Result<Criteria, StoreError> {
        let mut criteria = criteria.clone();
        if !criteria.needs_reading() {
            return Ok(criteria);
        }
        let (mut only, mut after) = (BTreeMap::new(), None);
        loop {
            let page = self.list_page(&criteria, after, READ_AT_ONCE).await?;
            after = page.next;
            for mut message in page.messages {
                if criteria.narrow(&mut message) {
                    let numbers = message.recipients.iter().map(|one| one.number);
                    only.insert(message.queue_id, numbers.collect());
                }
            }
            if after.is_none() {
                break;
            }
        }
        criteria.only = Some(Arc::new(only));
        Ok(criteria)
    }

    /// Stops leasing of what a suspension means, durably and audited; one of the same scope is
    /// replaced. [`Store::maintain`] ends those whose time is over.
    pub async fn suspend(&self, suspension: Suspension) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.suspend(suspension).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.suspend(suspension).await,
        }
    }

    /// Leasing goes on; audited. `false`: nothing of that scope was suspended.
    pub async fn resume(
        &self,
        scope: &SuspensionScope,
        actor: impl Into<Actor<'_>>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let actor = actor.into();
        match self {
            Self::Embedded(store) => store.resume(scope, actor, now).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.resume(scope, actor, now).await,
        }
    }

    /// What is suspended.
    pub async fn suspended(&self) -> Result<Vec<Suspension>, StoreError> {
        match self {
            Self::Embedded(store) => store.suspended().await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.suspended().await,
        }
    }

    /// Numbers, from memory: cheap.
    pub fn counts(&self) -> QueueCounts {
        match self {
            Self::Embedded(store) => store.counts(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.counts(),
        }
    }

    /// Recipients in the queue when it was opened. [`Store::counts`] knows them only once the index
    /// is filled, some seconds after the start of a store with a million messages.
    pub fn recipients_at_open(&self) -> u64 {
        match self {
            Self::Embedded(store) => store.recipients_at_open(),
            #[cfg(feature = "simulation")]
            Self::Memory(_) => 0,
        }
    }

    /// Whether [`Store::counts`] knows the whole queue.
    pub fn is_counted(&self) -> bool {
        match self {
            Self::Embedded(store) => store.is_counted(),
            #[cfg(feature = "simulation")]
            Self::Memory(_) => true,
        }
    }

    /// Events, newest first: the rows of [`Store::trace_page`].
    pub async fn trace(&self, query: &TraceQuery) -> Result<Vec<TraceRow>, StoreError> {
        self.trace_page(query).await.map(|page| page.rows)
    }

    /// Events as they are stored; a slow reader misses some and is told so by the channel.
    pub fn live(&self) -> tokio::sync::broadcast::Receiver<Arc<[Event]>> {
        match self {
            Self::Embedded(store) => store.live(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.live(),
        }
    }

    /// Refused attempts since a time, grouped by address and reason, newest first.
    pub async fn refused(
        &self,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<RefusedGroup>, StoreError> {
        match self {
            Self::Embedded(store) => store.refused(since, limit).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.refused(since, limit).await,
        }
    }

    // ---- settings --------------------------------------------------------------------------

    /// The snapshot in force. Cheap.
    pub fn settings(&self) -> Arc<Settings> {
        match self {
            Self::Embedded(store) => store.settings(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.settings(),
        }
    }

    /// Makes a new version, with its audit entry and `settings.changed`; swaps the snapshot.
    pub async fn change_settings(&self, change: SettingsChange) -> Result<u64, ChangeError> {
        self.change_settings_beside(change, None).await
    }

    /// The same, with what is put on a shelf in the same transaction.
    async fn change_settings_beside(
        &self,
        change: SettingsChange,
        beside: Option<ShelfChange>,
    ) -> Result<u64, ChangeError> {
        match self {
            Self::Embedded(store) => store.change_settings(change, beside).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.change_settings(change, beside).await,
        }
    }

    /// What is restricted. Cheap.
    pub fn restrictions(&self) -> Arc<Restrictions> {
        match self {
            Self::Embedded(store) => store.restrictions(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.restrictions(),
        }
    }

    /// Restricts or releases, with audit entry and event; in force when it returns. How many
    /// entities it concerned.
    pub async fn change_entities(
        &self,
        change: EntityChange,
        via: impl Into<Via>,
    ) -> Result<usize, StoreError> {
        let via = via.into();
        match self {
            Self::Embedded(store) => store.change_entities(change, via).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.change_entities(change, via).await,
        }
    }

    /// A group of refused attempts is not to be listed any more; audited.
    pub async fn ignore_attempts(
        &self,
        ignored: IgnoredAttempts,
        via: impl Into<Via>,
    ) -> Result<(), StoreError> {
        let via = via.into();
        match self {
            Self::Embedded(store) => store.ignore_attempts(ignored, via).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.ignore_attempts(ignored, via).await,
        }
    }

    /// Such a group is listed again; audited. `false`: it was not ignored.
    pub async fn show_attempts_again(
        &self,
        shown: ShownAgain,
        via: impl Into<Via>,
    ) -> Result<bool, StoreError> {
        let via = via.into();
        match self {
            Self::Embedded(store) => store.show_attempts_again(shown, via).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.show_attempts_again(shown, via).await,
        }
    }

    /// Groups of refused attempts that are not to be listed, whether their time is over or not.
    pub async fn ignored_attempts(&self) -> Result<Vec<IgnoredAttempts>, StoreError> {
        match self {
            Self::Embedded(store) => store.ignored_attempts().await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.ignored_attempts().await,
        }
    }

    /// Stores what a look into DNS showed of a domain; a domain that stands elsewhere afterwards
    /// makes `check.changed` and an audit entry. Swaps the snapshot, whose version stays. `false`:
    /// it does not fit any more (another change came between, the domain is gone, or somebody
    /// else has it now) and nothing was stored.
    pub async fn change_proof(&self, change: ProofChange) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(store) => store.change_proof(change).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.change_proof(change).await,
        }
    }

    /// Stores the DKIM keys of a domain. Swaps the snapshot, whose version stays. `false`: somebody
    /// changed them in between, or the domain is gone, and nothing was stored.
    pub async fn change_dkim(&self, change: DkimChange) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(store) => store.change_known(change).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.change_known(change).await,
        }
    }

    /// Stores what DNS shows of a bounce domain. Swaps the snapshot, whose version stays. `false`:
    /// the domain is gone, and nothing was stored.
    pub async fn change_bounce(&self, change: BounceChange) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(store) => store.change_known(change).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.change_known(change).await,
        }
    }

    /// Notes when credentials were last used. To be called now and then with many, not for each
    /// login: what is lost in a crash is a minute of a date.
    pub async fn note_credential_uses(&self, uses: Vec<CredentialUse>) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.note_credential_uses(uses).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.note_credential_uses(uses).await,
        }
    }

    /// When each credential was last used, by user.
    pub async fn credential_uses(&self) -> Result<Vec<CredentialUse>, StoreError> {
        match self {
            Self::Embedded(store) => store.credential_uses().await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.credential_uses().await,
        }
    }

    /// Puts things on a shelf and takes things from it, with what is told of it, in one
    /// transaction; durable when it returns.
    pub async fn change_shelf(&self, change: ShelfChange) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.change_shelf(change).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.change_shelf(change).await,
        }
    }

    /// Everything on a shelf, by key. Reads the database: not for each message.
    pub async fn shelf(&self, shelf: Shelf) -> Result<Vec<ShelfEntry>, StoreError> {
        match self {
            Self::Embedded(store) => store.shelf(shelf).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.shelf(shelf).await,
        }
    }

    /// One thing of a shelf. Reads the database: not for each message.
    pub async fn shelf_value(&self, shelf: Shelf, key: &str) -> Result<Option<String>, StoreError> {
        match self {
            Self::Embedded(store) => store.shelf_value(shelf, key).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.shelf_value(shelf, key).await,
        }
    }

    /// The names of clients lead to these addresses now: swaps the snapshot, whose version stays.
    /// Not stored: they are asked anew at start.
    pub async fn set_client_names(&self, names: ResolvedNames) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.set_client_names(names).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.set_client_names(names).await,
        }
    }

    /// Versions of the settings, newest first.
    pub async fn settings_versions(
        &self,
        limit: usize,
    ) -> Result<Vec<SettingsVersion>, StoreError> {
        match self {
            Self::Embedded(store) => store.settings_versions(limit).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.settings_versions(limit).await,
        }
    }

    /// The document of one version; none if it is kept no longer.
    pub async fn settings_document(&self, version: u64) -> Result<Option<Document>, StoreError> {
        match self {
            Self::Embedded(store) => store.settings_document(version).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.settings_document(version).await,
        }
    }

    /// Audit entries, newest first.
    pub async fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        match self {
            Self::Embedded(store) => store.audit(limit).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.audit(limit).await,
        }
    }

    /// Checks the hash chain; the number of the first entry that does not fit.
    pub async fn verify_audit(&self) -> Result<Option<u64>, StoreError> {
        match self {
            Self::Embedded(store) => store.verify_audit().await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.verify_audit().await,
        }
    }

    // ---- keeping house ---------------------------------------------------------------------

    /// To be called about once a second: measures free space, tries to recover a sealed store,
    /// drops trace of days past, ends what is restricted or suspended up to a time, sweeps orphans
    /// now and then.
    pub async fn maintain(&self, now: Timestamp) {
        self.maintain_by(now, now).await;
    }

    /// The same; what is restricted or suspended ends by `steady`, a time that a clock ahead for a
    /// moment does not move. Everything else goes by the clock that leases and due times go by.
    pub async fn maintain_by(&self, now: Timestamp, steady: Timestamp) {
        match self {
            Self::Embedded(store) => store.maintain(now, steady).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.maintain(now, steady).await,
        }
    }

    /// Why the store does not take messages now, in a bland sentence; cheap.
    pub fn unhealthy(&self) -> Option<String> {
        match self {
            Self::Embedded(store) => store.unhealthy(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.unhealthy(),
        }
    }

    /// Octets that are free on its disk, as measured last; `None`: not yet, or there is no disk.
    pub fn free_octets(&self) -> Option<u64> {
        match self {
            Self::Embedded(store) => store.free_octets(),
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.free_octets(),
        }
    }

    /// Copies a consistent state of everything into a new folder while mail goes on.
    pub async fn backup(
        &self,
        target: PathBuf,
        actor: impl Into<Actor<'_>>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let actor = actor.into();
        match self {
            Self::Embedded(store) => {
                let make = move |folder: &Path| backup::create(folder, &target, now);
                let made = store.beside(make).await?;
                let made = made.map_err(|error| StoreError::Fault(error.to_string()))?;
                let summary = format!(
                    "{} messages, {} recipients, {} days of trace, {} octets",
                    made.messages, made.recipients, made.trace_days, made.octets
                );
                store.note_backup(&[summary], actor, now).await
            }
            #[cfg(feature = "simulation")]
            Self::Memory(_) => {
                let _ = (target, actor, now);
                Err(StoreError::Fault(
                    "the store in memory has no backup".to_owned(),
                ))
            }
        }
    }

    /// Stores what waits, closes. Later calls fail with `Closed`. At most `within`.
    pub async fn close(&self, within: Duration) {
        match self {
            Self::Embedded(store) => store.close(within).await,
            #[cfg(feature = "simulation")]
            Self::Memory(store) => store.close(within).await,
        }
    }
}
