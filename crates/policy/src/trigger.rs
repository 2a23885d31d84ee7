//! Triggers: what a device does, held against what it usually does and against numbers that nobody
//! should reach. Who exceeds them is held, and blocked where it goes on.
//!
//! ```text
//! event ─► heard ─► counted for its device ─► over minimum, busiest hour, factor × usual? ─► found
//! ```
//!
//! Fed with events in order, whether they happen or are read from the trace: the same events find
//! the same. Time comes with the events. What is remembered is bounded for each organisation by
//! itself, so that one with many devices does not make another's be forgotten.
//!
//! Not here: making events heard, keeping this over restarts, restricting (`relais-receive`,
//! `relais-store`).

mod french;
pub mod rehearsal;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use relais_smtp::time::Timestamp;
use serde::{Deserialize, Serialize};

use self::series::Series;
use crate::document::{Trigger, TriggerMode, Triggers};
use crate::restriction::{Effect, Entity};

/// Days on which a device must have sent before its volume, and in whose name it writes, are
/// judged: who is new has no usual.
pub const LEARNT_DAYS_MIN: u32 = 3;
/// Devices and credentials of an organisation that are remembered; those not heard of for longest
/// are forgotten. Ours: a device takes some kilobytes.
pub const DEVICES_PER_ORGANISATION_MAX: usize = 5_000;
/// So many are forgotten at once, so that a flood of new ones does not search for each.
const FORGOTTEN_AT_ONCE: usize = 250;
/// Networks of a credential that are remembered.
const NETWORKS_MAX: usize = 16;
/// Messages or attempts named as evidence.
const SAMPLES_MAX: usize = 5;
/// A longer step of the time between two questions is a jump.
const STEP_MAX: Duration = Duration::from_secs(600);
/// As long as expiry doubts a jump of the clock.
const JUMP_BELIEVED_AFTER: Duration = Duration::from_secs(3_600);
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// What is watched.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerKind {
    /// `volume`
    Volume,
    /// `from-mismatch`
    FromMismatch,
    /// `unverified-domain`
    UnverifiedDomain,
    /// `unknown-recipients`
    UnknownRecipients,
    /// `complaints`
    Complaints,
    /// `new-network`
    NewNetwork,
    /// `content`
    Content,
}

impl TriggerKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Volume,
        Self::FromMismatch,
        Self::UnverifiedDomain,
        Self::UnknownRecipients,
        Self::Complaints,
        Self::NewNetwork,
        Self::Content,
    ];

    /// The word of the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::FromMismatch => "from-mismatch",
            Self::UnverifiedDomain => "unverified-domain",
            Self::UnknownRecipients => "unknown-recipients",
            Self::Complaints => "complaints",
            Self::NewNetwork => "new-network",
            Self::Content => "content",
        }
    }

    /// The kind of that word, written with `-` or `_`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.replace('_', "-");
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What is written of it.
    pub const fn written(self, triggers: &Triggers) -> Trigger {
        match self {
            Self::Volume => triggers.volume,
            Self::FromMismatch => triggers.from_mismatch,
            Self::UnverifiedDomain => triggers.unverified_domain,
            Self::UnknownRecipients => triggers.unknown_recipients,
            Self::Complaints => triggers.complaints,
            Self::NewNetwork => triggers.new_network,
            Self::Content => triggers.content,
        }
    }

    /// The place where it is written.
    pub const fn written_mut(self, triggers: &mut Triggers) -> &mut Trigger {
        match self {
            Self::Volume => &mut triggers.volume,
            Self::FromMismatch => &mut triggers.from_mismatch,
            Self::UnverifiedDomain => &mut triggers.unverified_domain,
            Self::UnknownRecipients => &mut triggers.unknown_recipients,
            Self::Complaints => &mut triggers.complaints,
            Self::NewNetwork => &mut triggers.new_network,
            Self::Content => &mut triggers.content,
        }
    }

    /// As it counts: what is not written has its default.
    pub fn terms(self, triggers: &Triggers) -> Terms {
        let (mode, minimum, factor) = match self {
            Self::Volume => (TriggerMode::Hold, 30, 4),
            Self::FromMismatch => (TriggerMode::Hold, 20, 4),
            Self::UnverifiedDomain => (TriggerMode::Hold, 20, 4),
            Self::UnknownRecipients => (TriggerMode::Hold, 25, 4),
            Self::Complaints => (TriggerMode::Hold, 3, 2),
            // Addresses of providers change by themselves.
            Self::NewNetwork => (TriggerMode::Off, 0, 1),
            Self::Content => (TriggerMode::Hold, 2, 1),
        };
        let written = self.written(triggers);
        Terms {
            mode: written.mode.unwrap_or(mode),
            minimum: written.minimum.unwrap_or(minimum),
            factor: written.factor.unwrap_or(factor),
        }
    }

    /// Milliseconds of the time over which it counts.
    const fn window(self) -> i64 {
        match self {
            Self::Complaints => DAY,
            Self::Volume
            | Self::FromMismatch
            | Self::UnverifiedDomain
            | Self::UnknownRecipients
            | Self::NewNetwork
            | Self::Content => 3_600_000,
        }
    }

    /// Whether a device must be known: who is new has no usual; what is bad is bad from the first
    /// day.
    const fn needs_learning(self) -> bool {
        matches!(self, Self::Volume | Self::FromMismatch)
    }

    /// What is counted, in words.
    const fn counted(self) -> &'static str {
        match self {
            Self::Volume => "recipients",
            Self::FromMismatch => "messages whose From is of a foreign domain",
            Self::UnverifiedDomain => "attempts to send as a domain that is not verified",
            Self::UnknownRecipients => "recipients that do not exist",
            Self::Complaints => "complaints of recipients",
            Self::NewNetwork => "messages from a network where this credential never was",
            Self::Content => "messages that a content check found bad",
        }
    }
}

/// A trigger with all its numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// What follows.
    pub mode: TriggerMode,
    /// So many are never too many.
    pub minimum: u32,
    /// So many times what is usual are not too many.
    pub factor: u32,
}

/// What happened, as far as triggers care.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// A message came in.
    Message {
        /// How many get it.
        recipients: u32,
        /// Its From is of another domain than its reverse-path, and that is none of its
        /// organisation's.
        from_differs: bool,
        /// A content check found it bad, and the settings had it taken in and held.
        has_bad_content: bool,
    },
    /// A domain that is not verified was tried as sender.
    UnverifiedDomain,
    /// A recipient does not exist: we, or the server that has its domain, said so.
    UnknownRecipient,
    /// A recipient does not exist, as a notice says that came back. Whoever got a message can write
    /// one.
    ReturnedRecipient,
    /// A recipient complained. Whoever got a message can do that.
    Complaint,
    /// A message was refused because a content check found it bad.
    BadContent,
}

/// Something that a client of an organisation did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// When.
    pub time: Timestamp,
    /// Whose client.
    pub organisation: String,
    /// By which inbound connector.
    pub connector: String,
    /// From which address.
    pub address: IpAddr,
    /// As which user.
    pub credential: Option<String>,
    /// What.
    pub signal: Signal,
    /// Which recipient it is about; `None`: several, or none.
    pub recipient: Option<String>,
    /// The message, or the reference of what was refused: for the evidence.
    pub sample: String,
}

impl Heard {
    /// What is held where this was too much: the credential, else the device.
    pub fn entity(&self) -> Entity {
        match &self.credential {
            Some(user) => Entity::credential(user),
            None => Entity::device(&self.organisation, &self.connector, self.address),
        }
    }
}

/// A trigger found something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Which.
    pub kind: TriggerKind,
    /// What is to be restricted.
    pub entity: Entity,
    /// How.
    pub effect: Effect,
    /// One sentence.
    pub reason: String,
    /// Numbers and messages, one a line.
    pub evidence: Vec<String>,
}

/// What is remembered of one device or credential.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct KnownDevice {
    /// When it was heard of last, in milliseconds.
    last: i64,
    series: BTreeMap<TriggerKind, Series>,
    /// Networks of a credential, and the day each was seen first.
    #[serde(default)]
    networks: Vec<(String, i64)>,
    /// Whether somebody keeps it, and must hear when it is forgotten.
    #[serde(skip)]
    is_kept: bool,
}

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    organisations: BTreeMap<String, BTreeMap<String, KnownDevice>>,
    /// Keys of devices that were forgotten and are kept elsewhere still.
    gone: BTreeSet<String>,
    /// When [`Guard::forget_before`] was asked last, and since when its time goes on in steps.
    asked: Option<(Timestamp, Timestamp)>,
}

/// A device is kept under this key.
fn key_of(entity: &Entity) -> String {
    entity.to_string()
}

impl Guard {
    /// Hears one event. `standing`: how the entity is restricted already. Only the first trigger
    /// that finds something speaks; the others find it too if it goes on.
    pub fn hear(
        &mut self,
        heard: &Heard,
        triggers: &Triggers,
        standing: Option<Effect>,
    ) -> Option<Found> {
        let entity = heard.entity();
        let device = self.device(&heard.organisation, &entity, heard.time);
        let mut found = None;
        for (kind, count) in counts_of(heard) {
            let terms = kind.terms(triggers);
            let series = device.series.entry(kind).or_default();
            if !series.is_news(kind, terms.minimum, heard) {
                continue;
            }
            series.count(kind.window(), heard.time, count, &heard.sample);
            if kind.needs_learning() && !device.is_learnt(heard.time) {
                continue;
            }
            let series = device.series.entry(kind).or_default();
            if let Some(over) = series.over(terms, heard.time) {
                let effect = next_step(terms.mode, standing);
                series.spoil(heard.time, &over);
                if let (Some(effect), None) = (effect, &found) {
                    found = Some(over.found(kind, entity.clone(), effect));
                }
            }
        }
        let is_new = device.is_new_network(heard);
        let mode = TriggerKind::NewNetwork.terms(triggers).mode;
        if let (true, None, Some(effect)) = (is_new, &found, next_step(mode, standing)) {
            found = Some(new_network(heard, entity, effect));
        }
        found
    }

    /// It is restricted no more: it begins anew. Where a person said so, what it did was
    /// legitimate: it teaches what is usual, and the same triggers find nothing more until the day
    /// is over.
    pub fn release(&mut self, entity: &Entity, by_person: bool, now: Timestamp) {
        let key = key_of(entity);
        for devices in self.organisations.values_mut() {
            for series in devices.get_mut(&key).into_iter().flat_map(KnownDevice::all) {
                if by_person {
                    series.excuse(now);
                } else {
                    series.begin_anew();
                }
            }
        }
    }

    /// What is to be kept of a device, under which key; `None`: nothing is known.
    pub fn kept(&mut self, organisation: &str, entity: &Entity) -> Option<(String, &KnownDevice)> {
        let key = key_of(entity);
        let device = self.organisations.get_mut(organisation)?.get_mut(&key)?;
        device.is_kept = true;
        Some((kept_key(organisation, &key), device))
    }

    /// Takes back what was kept. What was heard meanwhile counts with it.
    pub fn restore(&mut self, key: &str, mut kept: KnownDevice) {
        let Some((organisation, name)) = key.split_once(' ') else {
            return;
        };
        kept.is_kept = true;
        let device = self.device_named(organisation, name);
        let heard = std::mem::replace(device, kept);
        device.absorb(heard);
    }

    /// These are kept still, though it was said that they are forgotten.
    pub fn remind(&mut self, keys: Vec<String>) {
        for key in keys {
            let known = key.split_once(' ').is_some_and(|(organisation, device)| {
                let devices = self.organisations.get(organisation);
                devices.is_some_and(|devices| devices.contains_key(device))
            });
            if !known {
                self.gone.insert(key);
            }
        }
    }

    /// Forgets devices not heard of for so many days. Keys of those that are kept and were
    /// forgotten, for this or for room. Asked every few minutes: a time that was jumped to is
    /// believed when it has gone on for an hour, so that a clock ahead for a moment forgets nobody.
    pub fn forget_before(&mut self, now: Timestamp) -> Vec<String> {
        if self.believes(now) {
            self.forget_old(now);
        }
        std::mem::take(&mut self.gone).into_iter().collect()
    }

    fn forget_old(&mut self, now: Timestamp) {
        let oldest = now.as_millis() - i64::from(series::REMEMBERED_DAYS) * DAY;
        for (organisation, devices) in &mut self.organisations {
            devices.retain(|key, device| {
                device.last = device.last.min(now.as_millis());
                let stays = device.last >= oldest;
                if !stays && device.is_kept {
                    self.gone.insert(kept_key(organisation, key));
                }
                stays
            });
        }
        self.organisations.retain(|_, devices| !devices.is_empty());
    }

    fn believes(&mut self, now: Timestamp) -> bool {
        let began = match self.asked {
            Some((last, began)) if last <= now && now.since(last) <= STEP_MAX => began,
            Some(_) | None => now,
        };
        self.asked = Some((now, began));
        now.since(began) >= JUMP_BELIEVED_AFTER
    }

    /// How many devices are remembered.
    pub fn devices(&self) -> usize {
        self.organisations.values().map(BTreeMap::len).sum()
    }

    fn device(&mut self, organisation: &str, entity: &Entity, now: Timestamp) -> &mut KnownDevice {
        let device = self.device_named(organisation, &key_of(entity));
        device.last = now.as_millis();
        device
    }

    fn device_named(&mut self, organisation: &str, key: &str) -> &mut KnownDevice {
        let devices = self
            .organisations
            .entry(organisation.to_owned())
            .or_default();
        if !devices.contains_key(key) {
            if devices.len() >= DEVICES_PER_ORGANISATION_MAX {
                let forgotten = forget_oldest(devices);
                let keys = forgotten.iter().map(|key| kept_key(organisation, key));
                self.gone.extend(keys);
            }
            self.gone.remove(&kept_key(organisation, key));
        }
        devices.entry(key.to_owned()).or_default()
    }
}

/// Under which key a device is kept, those of all organisations together.
fn kept_key(organisation: &str, device: &str) -> String {
    format!("{organisation} {device}")
}

/// Makes room; keys of those that are kept elsewhere.
fn forget_oldest(devices: &mut BTreeMap<String, KnownDevice>) -> Vec<String> {
    let mut ages: Vec<_> = devices.iter().map(|(key, one)| (one.last, key)).collect();
    ages.sort_unstable();
    let oldest = ages.into_iter().take(FORGOTTEN_AT_ONCE);
    let oldest: Vec<_> = oldest.map(|(_, key)| key.clone()).collect();
    let is_kept = |key: &String| devices.remove(key).is_some_and(|device| device.is_kept);
    oldest.into_iter().filter(is_kept).collect()
}

/// The first step is to hold; the second, where it goes on all the same and the settings want it,
/// to refuse.
fn next_step(mode: TriggerMode, standing: Option<Effect>) -> Option<Effect> {
    match (mode, standing) {
        (TriggerMode::Off, _) | (_, Some(Effect::Refuse)) => None,
        (TriggerMode::Hold | TriggerMode::Block, None) => Some(Effect::Hold),
        (TriggerMode::Block, Some(Effect::Hold)) => Some(Effect::Refuse),
        (TriggerMode::Hold, Some(Effect::Hold)) => None,
    }
}

/// What an event counts for.
fn counts_of(heard: &Heard) -> impl Iterator<Item = (TriggerKind, u32)> {
    let one = match heard.signal {
        Signal::Message { recipients, .. } => (TriggerKind::Volume, recipients),
        Signal::UnverifiedDomain => (TriggerKind::UnverifiedDomain, 1),
        Signal::UnknownRecipient | Signal::ReturnedRecipient => (TriggerKind::UnknownRecipients, 1),
        Signal::Complaint => (TriggerKind::Complaints, 1),
        Signal::BadContent => (TriggerKind::Content, 1),
    };
    let (differs, bad) = match heard.signal {
        Signal::Message {
            from_differs,
            has_bad_content,
            ..
        } => (from_differs, has_bad_content),
        _ => (false, false),
    };
    let differs = differs.then_some((TriggerKind::FromMismatch, 1));
    let bad = bad.then_some((TriggerKind::Content, 1));
    [Some(one), differs, bad].into_iter().flatten()
}

/// The French of a reason or of a line of evidence; none for what no trigger wrote.
pub fn in_french(line: &str) -> Option<String> {
    french::of(line)
}

fn new_network(heard: &Heard, entity: Entity, effect: Effect) -> Found {
    let network = network_of(heard.address);
    Found {
        kind: TriggerKind::NewNetwork,
        reason: format!("trigger new-network: {entity} was never used from {network} before"),
        entity,
        effect,
        evidence: vec![
            format!("from {}", heard.address),
            format!("last: {}", heard.sample),
        ],
    }
}

/// As wide as a provider or a country's part of one: a /16 of IPv4, a /32 of IPv6.
fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [one, two, ..] = address.octets();
            format!("{one}.{two}.0.0/16")
        }
        IpAddr::V6(address) => {
            let [one, two, ..] = address.segments();
            format!("{one:x}:{two:x}::/32")
        }
    }
}

impl KnownDevice {
    /// What was heard before this was taken back counts with it.
    fn absorb(&mut self, heard: Self) {
        self.last = self.last.max(heard.last);
        for (kind, series) in heard.series {
            self.series.entry(kind).or_default().absorb(series);
        }
        for (network, day) in heard.networks {
            if self.networks.iter().all(|(known, _)| *known != network) {
                self.networks.push((network, day));
            }
        }
        let excess = self.networks.len().saturating_sub(NETWORKS_MAX);
        self.networks.drain(..excess);
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Series> {
        self.series.values_mut()
    }

    /// Whether it sent on enough days.
    fn is_learnt(&self, now: Timestamp) -> bool {
        let messages = self.series.get(&TriggerKind::Volume);
        messages.is_some_and(|series| series.is_learnt(now))
    }

    /// Whether a credential is used from a network where it never was, though it is known for some
    /// days. The network is known from now on.
    fn is_new_network(&mut self, heard: &Heard) -> bool {
        let is_message = matches!(heard.signal, Signal::Message { .. });
        if heard.credential.is_none() || !is_message {
            return false;
        }
        let (network, day) = (
            network_of(heard.address),
            heard.time.as_millis().div_euclid(DAY),
        );
        for (_, first) in &mut self.networks {
            *first = day.min(*first);
        }
        if self.networks.iter().any(|(known, _)| *known == network) {
            return false;
        }
        let first = self.networks.iter().map(|(_, first)| *first).min();
        let is_learnt = first.is_some_and(|first| day - first >= i64::from(LEARNT_DAYS_MIN));
        if self.networks.len() >= NETWORKS_MAX {
            self.networks.remove(0);
        }
        self.networks.push((network, day));
        is_learnt
    }
}

#[cfg(test)]
mod tests;
