//! Limits learnt from what was seen: of each owner the most that any window of the time held, and
//! twice that as a proposal. A day of twice the usual traffic passes; a hijacked device does not.
//!
//! Not here: reading what was seen (`relais-store`); setting a limit, which people do.

use std::collections::BTreeMap;
use std::sync::Arc;

use relais_smtp::time::Timestamp;

use super::apply::owners_of;
use super::{Coming, Known, LimitKey, Meter, Sending, Weight, Whose};
use crate::document::{Limits, Organisation};
use crate::settings::Settings;

/// A proposal is so many times the peak.
const HEADROOM: u64 = 2;
/// Owners that are looked at, 8 KB each; of more devices and senders the later ones are left out,
/// and what is proposed for each of them is what the others need.
const OWNERS_MAX: usize = 5_000;
/// Who is new is known after this part of the time: before, everybody is.
const WARM_UP_PART: u32 = 3;

/// What was seen of late.
#[derive(Debug)]
pub struct Observation {
    since: Timestamp,
    warm: Timestamp,
    known: Known,
    peaks: BTreeMap<(Arc<str>, Whose), [Peak; LimitKey::ALL.len()]>,
    /// By organisation.
    messages: BTreeMap<Arc<str>, u64>,
}

#[derive(Debug)]
struct Peak {
    meter: Meter,
    most: u64,
}

/// A limit that could be set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// Of which organisation.
    pub organisation: Arc<str>,
    /// Whose; of devices and senders: of each of them.
    pub whose: Whose,
    /// Which.
    pub key: LimitKey,
    /// What is set now.
    pub current: Option<u64>,
    /// How many messages of the organisation it is learnt from.
    pub messages: u64,
    /// The most that a window held.
    pub peak: u64,
    /// Twice that, rounded, and at least a usual device's need.
    pub proposed: u64,
}

impl Observation {
    /// Of this time.
    pub fn new(since: Timestamp, until: Timestamp) -> Self {
        Self {
            since,
            warm: since.after(until.since(since) / WARM_UP_PART),
            known: Known::default(),
            peaks: BTreeMap::new(),
            messages: BTreeMap::new(),
        }
    }

    /// One message, none older than the one before.
    pub fn add(
        &mut self,
        settings: &Settings,
        sending: &Sending<'_>,
        coming: Coming<'_>,
        time: Timestamp,
    ) {
        let messages = self.messages.entry(Arc::clone(coming.organisation));
        *messages.or_insert(0) += 1;
        let mut weight = Weight::default();
        for (key, is_external) in coming.recipients {
            let is_new = self.known.learn(coming.organisation, *key, time);
            weight.recipients += 1;
            weight.external += u64::from(*is_external);
            weight.new += u64::from(is_new && time >= self.warm);
        }
        for whose in owners_of(settings, sending) {
            let owner = (Arc::clone(coming.organisation), whose);
            if self.peaks.len() >= OWNERS_MAX && !self.peaks.contains_key(&owner) {
                continue;
            }
            let peaks = self.peaks.entry(owner);
            let peaks = peaks.or_insert_with(|| LimitKey::ALL.map(Peak::new));
            for peak in peaks {
                peak.count(weight, time);
            }
        }
    }

    /// Since when.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// What follows for those that sent: of devices and senders what the busiest one needs.
    pub fn proposals(&self, settings: &Settings) -> Vec<Proposal> {
        let mut most: BTreeMap<(Arc<str>, Whose, LimitKey), u64> = BTreeMap::new();
        for ((organisation, whose), peaks) in &self.peaks {
            let whose = whose.others().unwrap_or_else(|| whose.clone());
            for peak in peaks {
                let name = (Arc::clone(organisation), whose.clone(), peak.meter.key());
                let known = most.entry(name).or_insert(0);
                *known = peak.most.max(*known);
            }
        }
        let proposal = |((organisation, whose, key), peak): ((Arc<str>, Whose, LimitKey), u64)| {
            let limits = limits_of(settings, &organisation, &whose);
            let current = limits.and_then(|limits| key.of(limits));
            Proposal {
                messages: self.messages.get(&organisation).copied().unwrap_or(0),
                organisation,
                whose,
                key,
                current: current.map(|limit| limit.value),
                peak,
                proposed: rounded(peak.saturating_mul(HEADROOM)).max(least(key)),
            }
        };
        most.into_iter().map(proposal).collect()
    }
}

impl Peak {
    fn new(key: LimitKey) -> Self {
        let meter = Meter::new(key);
        Self { meter, most: 0 }
    }

    fn count(&mut self, weight: Weight, time: Timestamp) {
        let needed = self.meter.key().needed(weight);
        if needed > 0 {
            self.meter.tidy(time);
            self.meter.count(time, needed);
            self.most = self.most.max(self.meter.used(time));
        }
    }
}

/// Where a proposal would be set.
fn limits_of<'a>(settings: &'a Settings, organisation: &str, whose: &Whose) -> Option<&'a Limits> {
    let found = settings.organisation(organisation)?;
    match whose {
        Whose::Organisation => Some(&found.limits),
        Whose::Sender(_) => Some(&found.limits_per_sender),
        Whose::Connector(name) => {
            let owned = settings.inbound_connector(organisation, name)?;
            Some(&owned.connector.limits)
        }
        Whose::Device { connector, .. } => {
            let owned = settings.inbound_connector(organisation, connector)?;
            Some(&owned.connector.limits_per_device)
        }
        Whose::Credential(user) => settings.credential(user).map(|(_, one)| &one.limits),
        Whose::Domain(name) => {
            let domain = found.domain.iter().find(|one| one.name == **name);
            domain.map(|domain| &domain.limits)
        }
    }
}

/// Where a limit of this one is written; `None`: there is no such object.
pub fn place<'a>(organisation: &'a mut Organisation, whose: &Whose) -> Option<&'a mut Limits> {
    match whose {
        Whose::Organisation => Some(&mut organisation.limits),
        Whose::Sender(_) => Some(&mut organisation.limits_per_sender),
        Whose::Connector(name) => {
            let mut all = organisation.inbound_connector.iter_mut();
            let found = all.find(|one| one.name == **name)?;
            Some(&mut found.limits)
        }
        Whose::Device { connector, .. } => {
            let mut all = organisation.inbound_connector.iter_mut();
            let found = all.find(|one| one.name == **connector)?;
            Some(&mut found.limits_per_device)
        }
        Whose::Credential(user) => {
            let mut all = organisation.credential.iter_mut();
            let found = all.find(|one| one.user == **user)?;
            Some(&mut found.limits)
        }
        Whose::Domain(name) => {
            let mut all = organisation.domain.iter_mut();
            let found = all.find(|one| one.name == **name)?;
            Some(&mut found.limits)
        }
    }
}

/// Below this no limit is proposed: a quiet month is no reason to refuse the first busy day.
fn least(key: LimitKey) -> u64 {
    match key {
        LimitKey::MessagesPerMinute => 10,
        LimitKey::RecipientsPerHour | LimitKey::ExternalRecipientsPerHour => 50,
        LimitKey::RecipientsPerDay => 200,
        LimitKey::NewRecipientsPerDay => 20,
    }
}

/// Up to two digits and noughts, as people write limits.
fn rounded(value: u64) -> u64 {
    let digits = value.checked_ilog10().unwrap_or(0);
    let unit = 10_u64.pow(digits.saturating_sub(1));
    value.div_ceil(unit).saturating_mul(unit)
}
