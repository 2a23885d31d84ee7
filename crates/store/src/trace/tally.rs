//! What is counted of events for charts and reports: a few numbers an hour, kept beside the events
//! and written with them, so that no page reads millions of events.
//!
//! Not here: drawing (`admin`), and where the numbers stand (`embedded/trace_database/tallies.rs`).

use std::collections::HashMap;
use std::sync::Arc;

use relais_smtp::time::Timestamp;

use super::query::values::recipients;
use super::{Event, EventKind};

/// Finest step of time, in milliseconds: outcomes are counted in it.
pub const TALLY_STEP_MILLIS: i64 = 300_000;

/// Step of everything else.
const HOUR_MILLIS: i64 = 3_600_000;

/// Names of one measure in one step that are counted apart; more are counted under
/// [`TALLY_OTHERS`]. A stranger's thousand addresses must not fill the disk.
pub const TALLY_NAMES_MAX: usize = 2_000;

/// Where names beyond [`TALLY_NAMES_MAX`] are counted.
pub const TALLY_OTHERS: &str = "…";

/// Devices of one day.
pub const DEVICES_MAX: usize = 10_000;

/// What is counted, by which name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Measure {
    /// Outcomes, in steps of five minutes; no name.
    Outcome = 1,
    /// Accepted and refused, by client address.
    Client = 2,
    /// Refused, by token.
    Refusal = 3,
    /// Accepted, by TLS version, `none` for clear text.
    Tls = 4,
    /// Delivered, deferred, failed, expired, by outbound connector.
    Route = 5,
    /// The same, by the recipient's domain.
    Destination = 6,
    /// Delivered, by class of the time since acceptance: see [`delay_class`].
    Delay = 7,
    /// Accepted and refused, by inbound connector.
    Connector = 8,
    /// Octets accepted, by inbound connector.
    Volume = 9,
}

impl Measure {
    /// As stored.
    pub(crate) const fn number(self) -> i64 {
        self as i64
    }

    /// Its step, in milliseconds.
    pub const fn step(self) -> i64 {
        match self {
            Self::Outcome => TALLY_STEP_MILLIS,
            Self::Client
            | Self::Refusal
            | Self::Tls
            | Self::Route
            | Self::Destination
            | Self::Delay
            | Self::Connector
            | Self::Volume => HOUR_MILLIS,
        }
    }
}

/// One number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tally {
    /// What is counted.
    pub measure: Measure,
    /// Beginning of its step; of the whole time asked for where steps were added up.
    pub time: Timestamp,
    /// Whose; empty where nobody's.
    pub organisation: Arc<str>,
    /// By which name.
    pub name: Arc<str>,
    /// One of [`super::STATUS_WORDS`].
    pub outcome: &'static str,
    /// How many.
    pub count: u64,
}

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TallyQuery {
    /// Which measure.
    pub measure: Measure,
    /// Steps that begin not before.
    pub since: Timestamp,
    /// Steps that begin before; `None`: to the end.
    pub until: Option<Timestamp>,
    /// Of one organisation; `None`: of all together.
    pub organisation: Option<Arc<str>>,
    /// Each step apart.
    pub by_step: bool,
}

impl TallyQuery {
    /// Of all organisations, added up.
    pub fn new(measure: Measure, since: Timestamp) -> Self {
        Self {
            measure,
            since,
            until: None,
            organisation: None,
            by_step: false,
        }
    }

    /// First step, and the one behind the last.
    pub(crate) fn steps(&self) -> (i64, i64) {
        let step = self.measure.step();
        let first = self.since.as_millis().div_euclid(step);
        let end = |until: Timestamp| until.as_millis().div_euclid(step);
        (first, self.until.map_or(i64::MAX, end))
    }

    /// One number of the answer.
    pub(crate) fn tally(&self, key: TallyKey, count: u64) -> Tally {
        Tally {
            measure: key.measure,
            time: if self.by_step {
                Timestamp::from_millis(key.step * key.measure.step())
            } else {
                self.since
            },
            organisation: key.organisation,
            name: key.name,
            outcome: key.outcome,
            count,
        }
    }
}

/// The queue at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QueueSample {
    /// When.
    pub time: Timestamp,
    /// Recipients that wait for their first attempt.
    pub queued: u64,
    /// Those that wait for another.
    pub deferred: u64,
    /// Those that wait for a person.
    pub held: u64,
    /// Age of the oldest message in seconds.
    pub oldest_s: u64,
}

/// A device or application, as it was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    /// Its address.
    pub address: Arc<str>,
    /// Whose.
    pub organisation: Arc<str>,
    /// Recognised by this inbound connector.
    pub connector: Arc<str>,
    /// First seen, within the trace that is kept.
    pub first: Timestamp,
    /// Last seen.
    pub last: Timestamp,
    /// Messages accepted.
    pub accepted: u64,
    /// Commands and logins refused.
    pub refused: u64,
    /// Octets accepted.
    pub octets: u64,
    /// What it called itself last.
    pub helo: Option<Arc<str>>,
    /// As whom it logged in last.
    pub credential: Option<Arc<str>>,
    /// Its certificate's name.
    pub certificate: Option<Arc<str>>,
    /// Sender that it used last.
    pub sender: Option<Arc<str>>,
    /// TLS version of its last message; `none` in clear text.
    pub tls: Option<Arc<str>>,
}

impl Device {
    /// What is known of the same device from another time.
    pub(crate) fn add(&mut self, other: Self) {
        if other.last >= self.last {
            let keep = |new: Option<Arc<str>>, old: &mut Option<Arc<str>>| {
                if new.is_some() {
                    *old = new;
                }
            };
            self.last = other.last;
            keep(other.helo, &mut self.helo);
            keep(other.credential, &mut self.credential);
            keep(other.certificate, &mut self.certificate);
            keep(other.sender, &mut self.sender);
            keep(other.tls, &mut self.tls);
        }
        self.first = self.first.min(other.first);
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.octets += other.octets;
    }
}

/// One key of the count.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct TallyKey {
    pub(crate) measure: Measure,
    /// Number of its step since 1970.
    pub(crate) step: i64,
    pub(crate) organisation: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) outcome: &'static str,
}

/// Address, organisation, connector.
pub(crate) type DeviceKey = (Arc<str>, Arc<str>, Arc<str>);

/// Counts that wait to be added up: those of a few devices and destinations.
const RECENT_MAX: usize = 32;

/// Numbers of some events.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    counts: HashMap<TallyKey, u64>,
    devices: HashMap<DeviceKey, Device>,
    /// Counts of the last events. Those that follow each other mostly count the same things: few
    /// keys are compared, instead of each hashed.
    recent: Vec<(TallyKey, u64)>,
    /// Names once made, so that a batch of one device's mail makes few.
    names: HashMap<String, Arc<str>>,
}

impl Tallies {
    /// What was counted.
    pub(crate) fn counts(&mut self) -> &HashMap<TallyKey, u64> {
        self.add_up();
        &self.counts
    }

    /// The devices seen.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }

    fn add_up(&mut self) {
        for (key, count) in self.recent.drain(..) {
            *self.counts.entry(key).or_default() += count;
        }
    }

    /// Counts an event.
    pub(crate) fn add(&mut self, event: &Event) {
        let Some(outcome) = event.status() else {
            return;
        };
        // A repaired message is told of by `message.accepted` too.
        if event.kind == EventKind::MessageRepaired {
            return;
        }
        self.count(event, Measure::Outcome, "", outcome, 1);
        match outcome {
            "accepted" | "refused" => self.add_client(event, outcome),
            "delivered" | "deferred" | "failed" | "expired" => self.add_delivery(event, outcome),
            _ => {}
        }
    }

    fn add_client(&mut self, event: &Event, outcome: &'static str) {
        if outcome == "refused" {
            let token = event.token.clone().unwrap_or_default();
            self.count(event, Measure::Refusal, &token, outcome, 1);
        }
        let Some(client) = &event.client else {
            return;
        };
        let address = client.address.to_canonical().to_string();
        self.count(event, Measure::Client, &address, outcome, 1);
        if let Some(connector) = event.inbound_connector.clone() {
            self.count(event, Measure::Connector, &connector, outcome, 1);
            if outcome == "accepted" {
                let octets = event.size.unwrap_or(0);
                self.count(event, Measure::Volume, &connector, outcome, octets);
            }
            self.add_device(event, &address, connector, outcome == "accepted");
        }
        if outcome == "accepted" {
            let version = event.tls.as_ref().map(|tls| tls.version.clone());
            let version = version.as_deref().unwrap_or("none");
            self.count(event, Measure::Tls, version, outcome, 1);
        }
    }

    fn add_device(&mut self, event: &Event, address: &str, connector: Arc<str>, accepted: bool) {
        let (Some(client), organisation) = (&event.client, event.organisation.clone()) else {
            return;
        };
        let organisation = organisation.unwrap_or_default();
        let address = self.name(address);
        let clear = || accepted.then(|| Arc::from("none"));
        let seen = Device {
            address: address.clone(),
            organisation: organisation.clone(),
            connector: connector.clone(),
            first: event.time,
            last: event.time,
            accepted: u64::from(accepted),
            refused: u64::from(!accepted),
            octets: event.size.filter(|_| accepted).unwrap_or(0),
            helo: client.helo.clone(),
            credential: client.credential.clone(),
            certificate: client.certificate.clone(),
            sender: event.from.clone().filter(|_| accepted),
            tls: event
                .tls
                .as_ref()
                .map(|tls| tls.version.clone())
                .or_else(clear),
        };
        let key = (address, organisation, connector);
        match self.devices.get_mut(&key) {
            Some(device) => device.add(seen),
            None => {
                self.devices.insert(key, seen);
            }
        }
    }

    fn add_delivery(&mut self, event: &Event, outcome: &'static str) {
        if let Some(route) = event.outbound_connector.clone() {
            self.count(event, Measure::Route, &route, outcome, 1);
        }
        let domain = recipients(event)
            .next()
            .and_then(|to| to.rsplit_once('@'))
            .map(|(_, domain)| domain.to_ascii_lowercase());
        if let Some(domain) = domain {
            self.count(event, Measure::Destination, &domain, outcome, 1);
        }
        if outcome == "delivered"
            && let Some(id) = event.queue_id
        {
            let delay = event.time.since(id.created_at());
            let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            let class = format!("{:02}", delay_class(millis));
            self.count(event, Measure::Delay, &class, outcome, 1);
        }
    }

    fn count(
        &mut self,
        event: &Event,
        measure: Measure,
        name: &str,
        outcome: &'static str,
        add: u64,
    ) {
        let step = event.time.as_millis().div_euclid(measure.step());
        let organisation = event.organisation.as_deref().unwrap_or_default();
        let is_it = |(key, _): &&mut (TallyKey, u64)| {
            key.measure == measure
                && key.step == step
                && key.outcome == outcome
                && *key.name == *name
                && *key.organisation == *organisation
        };
        if let Some((_, count)) = self.recent.iter_mut().find(is_it) {
            *count += add;
            return;
        }
        if self.recent.len() == RECENT_MAX {
            self.add_up();
        }
        let key = TallyKey {
            measure,
            step,
            organisation: event.organisation.clone().unwrap_or_default(),
            name: self.name(name),
            outcome,
        };
        self.recent.push((key, add));
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let made: Arc<str> = name.into();
        self.names.insert(name.to_owned(), made.clone());
        made
    }
}

/// Class of a time in milliseconds: two for each doubling, 0 for none.
pub fn delay_class(millis: u64) -> u32 {
    let bits = u64::BITS - millis.leading_zeros();
    match bits {
        0 => 0,
        1 => 1,
        // The bit below the highest one.
        _ => bits * 2 - 2 + u32::from((millis >> (bits - 2)) & 1 == 1),
    }
}

/// The longest time of a class, in milliseconds.
pub fn delay_class_end(class: u32) -> u64 {
    match class {
        0 => 0,
        1 => 1,
        class => {
            let bits = (class + 2) / 2;
            let half = 1_u64.checked_shl(bits - 2).unwrap_or(u64::MAX);
            let begin = half.saturating_mul(2);
            if class.is_multiple_of(2) {
                begin.saturating_add(half) - 1
            } else {
                begin.saturating_mul(2).saturating_sub(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::trace::{ClientSummary, To};

    #[test]
    fn a_class_of_delay_ends_where_the_next_begins() {
        for millis in 0..5_000 {
            let class = delay_class(millis);
            assert!(millis <= delay_class_end(class), "{millis}");
            assert!(
                class == 0 || millis > delay_class_end(class - 1),
                "{millis}"
            );
        }
        assert!(delay_class(u64::MAX) < 130);
    }

    #[test]
    fn a_message_counts_once_for_each_thing_that_is_asked_of_it() {
        let accepted = Event {
            organisation: Some("contoso".into()),
            inbound_connector: Some("Printers".into()),
            client: Some(Arc::new(ClientSummary {
                address: [10, 1, 2, 9].into(),
                helo: Some("scan2".into()),
                credential: None,
                certificate: None,
            })),
            from: Some("scan@contoso.test".into()),
            size: Some(4_096),
            ..Event::new(
                Timestamp::from_millis(7_200_000),
                EventKind::MessageAccepted,
            )
        };
        let delivered = Event {
            to: Some(To::One("b@Example.org".into())),
            outbound_connector: Some("Direct".into()),
            kind: EventKind::RecipientDelivered,
            ..accepted.clone()
        };
        let repaired = Event {
            kind: EventKind::MessageRepaired,
            ..accepted.clone()
        };
        let mut tallies = Tallies::default();
        for event in [&accepted, &repaired, &delivered] {
            tallies.add(event);
        }
        let mut told: Vec<_> = tallies
            .counts()
            .iter()
            .map(|(key, count)| (key.measure, key.step, &*key.name, key.outcome, *count))
            .collect();
        told.sort_unstable();
        assert_eq!(
            told,
            [
                (Measure::Outcome, 24, "", "accepted", 1),
                (Measure::Outcome, 24, "", "delivered", 1),
                (Measure::Client, 2, "10.1.2.9", "accepted", 1),
                (Measure::Tls, 2, "none", "accepted", 1),
                (Measure::Route, 2, "Direct", "delivered", 1),
                (Measure::Destination, 2, "example.org", "delivered", 1),
                (Measure::Connector, 2, "Printers", "accepted", 1),
                (Measure::Volume, 2, "Printers", "accepted", 4_096),
            ]
        );
        let device = tallies.devices().next().unwrap();
        assert_eq!((device.accepted, device.octets), (1, 4_096));
        assert_eq!(device.tls.as_deref(), Some("none"));
    }
}
