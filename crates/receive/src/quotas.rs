//! The limits of organisations and inbound connectors, counted for all sessions at once: when a
//! message may leave, or why it may not come in. Kept over restarts on a shelf, twice a minute and
//! at a graceful end.
//!
//! Only clients are counted: mail that strangers bring to our domains is not sent by the
//! organisation, and notices do not come in here at all.
//!
//! Not here: the windows themselves (`relais_policy::limit`); bounds on connections (`limits`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_net::clock::Clock;
use relais_policy::document::Limit;
use relais_policy::limit::{BACKLOG_MAX, LimitKey, LimitName, Meter, WARNING_PERCENT, Weight};
use relais_policy::settings::Settings;
use relais_smtp::refusal::Refusal;
use relais_smtp::time::Timestamp;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;
use relais_store::trace::{Event, EventKind};
use tokio_util::sync::CancellationToken;

/// Between two times that counts are kept.
const KEEP_EVERY: Duration = Duration::from_secs(30);
/// A limit that is nearly used is told of once in this time.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(3_600);
/// Rounds in which several limits agree on a time; each moves it on by a bucket at least, and the
/// backlog ends it long before.
const ROUNDS_MAX: usize = 10_000;

struct Counted {
    meter: Meter,
    told: Option<Timestamp>,
}

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Quotas(Mutex<BTreeMap<LimitName, Counted>>);

/// The limits that concern a client. Most have none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concerned(Vec<Named>);

/// A limit with its name.
type Named = (LimitName, Limit);

/// A message that was counted.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// When it may leave.
    pub(crate) due: Timestamp,
    /// Why not at once, in words for the trace.
    pub(crate) because: Option<String>,
    /// Limits of which a person should hear.
    pub(crate) events: Vec<Event>,
    counted: Vec<(LimitName, u64)>,
}

impl Concerned {
    /// Those of a connector and of its organisation.
    pub(crate) fn of(
        settings: &Settings,
        organisation: Option<&Arc<str>>,
        connector: Option<&Arc<str>>,
    ) -> Self {
        let (Some(organisation), Some(connector)) = (organisation, connector) else {
            return Self::default();
        };
        let Some(found) = settings.inbound_connector(organisation, connector) else {
            return Self::default();
        };
        let mut concerned = Vec::new();
        for (limits, owner) in [
            (&found.connector.limits, Some(connector)),
            (&found.organisation.limits, None),
        ] {
            let of_owner = LimitKey::ALL.into_iter().filter_map(|key| {
                let name = LimitName {
                    organisation: Arc::clone(organisation),
                    connector: owner.cloned(),
                    key,
                };
                Some((name, key.of(limits)?))
            });
            concerned.extend(of_owner);
        }
        Self(concerned)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Quotas {
    /// Whether a message of this weight could come in now.
    pub(crate) fn check(
        &self,
        concerned: &Concerned,
        weight: Weight,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if concerned.is_empty() {
            return Ok(());
        }
        self.lock().plan(concerned, weight, now).map(|_| ())
    }

    /// Counts a message.
    pub(crate) fn admit(
        &self,
        concerned: &Concerned,
        weight: Weight,
        now: Timestamp,
    ) -> Result<Admitted, Refusal> {
        let mut admitted = Admitted {
            due: now,
            because: None,
            events: Vec::new(),
            counted: Vec::new(),
        };
        if concerned.is_empty() {
            return Ok(admitted);
        }
        let mut meters = self.lock();
        let (due, slowest) = meters.plan(concerned, weight, now)?;
        admitted.due = due;
        admitted.because = slowest.filter(|_| due > now).map(|(name, limit)| {
            let until = due.to_rfc3339();
            format!("waits until {until}: {} is {}", name.words(), limit.value)
        });
        for (name, limit) in &concerned.0 {
            let needed = name.key.needed(weight);
            if needed == 0 {
                continue;
            }
            let counted = meters.of(name);
            counted.meter.count(due, needed);
            admitted.events.extend(counted.tell(name, *limit, now));
            admitted.counted.push((name.clone(), needed));
        }
        Ok(admitted)
    }

    /// The message was not taken in after all.
    pub(crate) fn take_back(&self, admitted: &Admitted) {
        let mut meters = self.lock();
        for (name, needed) in &admitted.counted {
            meters.of(name).meter.take_back(admitted.due, *needed);
        }
    }

    /// Reads what was kept, and keeps what is counted, until the end.
    pub(crate) async fn keep(&self, store: &Store, clock: &Clock, ending: &CancellationToken) {
        self.load(store, clock.now()).await;
        while !ending.is_cancelled() {
            tokio::select! {
                biased;
                () = ending.cancelled() => {}
                () = clock.sleep(KEEP_EVERY) => self.save(store, clock.now()).await,
            }
        }
    }

    async fn load(&self, store: &Store, now: Timestamp) {
        let entries = match store.shelf(Shelf::Limit).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "limits are counted anew");
                return;
            }
        };
        let mut meters = self.lock();
        for entry in entries {
            let Some(name) = LimitName::parse(&entry.key) else {
                continue;
            };
            let kept = Meter::from_text(name.key, &entry.value, now);
            // Sessions may have been quicker than the shelf.
            let mut counted = kept;
            if let Some(already) = meters.0.get(&name) {
                counted.add(&already.meter);
            }
            let told = None;
            let meter = counted;
            meters.0.insert(name, Counted { meter, told });
        }
    }

    /// Keeps what is counted.
    pub(crate) async fn save(&self, store: &Store, now: Timestamp) {
        let mut change = ShelfChange::new(Shelf::Limit, now);
        {
            let mut meters = self.lock();
            meters.0.retain(|name, counted| {
                let is_over = counted.meter.tidy(now);
                if is_over {
                    change.taken.push(name.to_text());
                } else {
                    let text = counted.meter.to_text();
                    change.put.push((name.to_text(), text));
                }
                !is_over
            });
        }
        if change.put.is_empty() && change.taken.is_empty() {
            return;
        }
        if let Err(error) = store.change_shelf(change).await {
            tracing::warn!(%error, "the counts of limits could not be kept");
        }
    }

    fn lock(&self) -> Meters<'_> {
        Meters(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Meters<'a>(MutexGuard<'a, BTreeMap<LimitName, Counted>>);

impl Meters<'_> {
    fn of(&mut self, name: &LimitName) -> &mut Counted {
        self.0.entry(name.clone()).or_insert_with(|| Counted {
            meter: Meter::new(name.key),
            told: None,
        })
    }

    fn earliest(&self, name: &LimitName, limit: Limit, from: Timestamp, needed: u64) -> Timestamp {
        match self.0.get(name) {
            Some(counted) => counted.meter.earliest(limit.value, from, needed),
            None => from,
        }
    }

    /// Hard limits are judged by what left of late and all that waits, whenever a soft one lets it
    /// leave: together that is within each window to come.
    fn fits_hard(
        &self,
        concerned: &Concerned,
        weight: Weight,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        for (name, limit) in concerned.0.iter().filter(|(_, limit)| limit.hard) {
            let needed = name.key.needed(weight);
            let counted = self.0.get(name).map_or(0, |counted| {
                let meter = &counted.meter;
                meter.used(now).saturating_add(meter.waiting(now))
            });
            if needed > 0 && counted.saturating_add(needed) > limit.value {
                let earliest = self.earliest(name, *limit, now, needed);
                return Err(refusal(name.key, earliest, now));
            }
        }
        Ok(())
    }

    /// When a message may leave, and the limit that decides.
    fn plan<'a>(
        &self,
        concerned: &'a Concerned,
        weight: Weight,
        now: Timestamp,
    ) -> Result<(Timestamp, Option<&'a Named>), Refusal> {
        self.fits_hard(concerned, weight, now)?;
        let soft = || concerned.0.iter().filter(|(_, limit)| !limit.hard);
        let mut due = now;
        let mut slowest = None;
        for _ in 0..ROUNDS_MAX {
            let before = due;
            for one in soft() {
                let (name, limit) = one;
                let needed = name.key.needed(weight);
                if needed == 0 {
                    continue;
                }
                let earliest = self.earliest(name, *limit, due, needed);
                if earliest > due {
                    (due, slowest) = (earliest, Some(one));
                }
            }
            if due.since(now) > BACKLOG_MAX {
                return Err(rate(due.since(now).saturating_sub(BACKLOG_MAX)));
            }
            if due == before {
                break;
            }
        }
        Ok((due, slowest))
    }
}

impl Counted {
    /// Once in a while, when most of a limit is used.
    fn tell(&mut self, name: &LimitName, limit: Limit, now: Timestamp) -> Option<Event> {
        let used = self.meter.used(now);
        let waiting = self.meter.waiting(now);
        let told_lately = self
            .told
            .is_some_and(|told| now < told.after(TOLD_AGAIN_AFTER));
        if used.saturating_mul(100) < limit.value.saturating_mul(WARNING_PERCENT) || told_lately {
            return None;
        }
        self.told = Some(now);
        let mut event = Event::new(now, EventKind::AlertRaised);
        event.organisation = Some(Arc::clone(&name.organisation));
        event.inbound_connector.clone_from(&name.connector);
        let words = name.words();
        event.detail = Some(
            format!(
                "{words}: {used} of {} are used, {waiting} wait",
                limit.value
            )
            .into(),
        );
        Some(event)
    }
}

fn refusal(key: LimitKey, earliest: Timestamp, now: Timestamp) -> Refusal {
    match key {
        LimitKey::MessagesPerMinute => rate(earliest.since(now)),
        LimitKey::RecipientsPerHour | LimitKey::ExternalRecipientsPerHour => Refusal::QuotaHour,
        LimitKey::RecipientsPerDay => Refusal::QuotaDay {
            until: earliest.to_rfc3339().into(),
        },
    }
}

fn rate(wait: Duration) -> Refusal {
    Refusal::Rate {
        retry_seconds: u32::try_from(wait.as_secs().max(1)).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use relais_policy::document::Document;
    use relais_policy::settings::Mode;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

    fn concerned(limits: &str, of_organisation: &str) -> Concerned {
        let text = format!(
            "[[organisation]]\nname = \"contoso\"\nlimits = {of_organisation}\n\
             [[organisation.inbound_connector]]\nname = \"Printers\"\n\
             sender_ip_addresses = [\"10.1.2.0/24\"]\nlimits = {limits}\n"
        );
        let document = Document::from_toml(&text).unwrap();
        let settings = Settings::build(Mode::Lan, 1, document).unwrap();
        let (organisation, connector) = ("contoso".into(), "Printers".into());
        Concerned::of(&settings, Some(&organisation), Some(&connector))
    }

    fn weight(recipients: u64, external: u64) -> Weight {
        Weight {
            recipients,
            external,
        }
    }

    #[test]
    fn a_soft_limit_takes_everything_in_and_lets_it_leave_at_its_pace() {
        let quotas = Quotas::default();
        let concerned = concerned("{ messages_per_minute = 2 }", "{}");
        let admit = || quotas.admit(&concerned, weight(1, 1), NOW).unwrap();
        let waits: Vec<_> = (0..5).map(|_| admit().due.since(NOW).as_secs()).collect();
        assert_eq!(waits, [0, 0, 61, 61, 122]);
        let because = admit().because.unwrap();
        assert!(
            because.ends_with("messages_per_minute of connector Printers is 2"),
            "{because}"
        );
    }

    #[test]
    fn above_four_hours_of_backlog_a_client_is_told_to_wait() {
        let quotas = Quotas::default();
        let concerned = concerned("{ messages_per_minute = 1 }", "{}");
        let refused = (0..1_000).find_map(|_| quotas.admit(&concerned, weight(1, 0), NOW).err());
        assert!(matches!(refused, Some(Refusal::Rate { .. })), "{refused:?}");
        let waiting = quotas.lock().of(&concerned.0[0].0).meter.waiting(NOW);
        assert!((230..=240).contains(&waiting), "{waiting}");
    }

    #[test]
    fn a_hard_limit_refuses_and_says_until_when() {
        let quotas = Quotas::default();
        let hard = "{ recipients_per_day = { value = 3, hard = true } }";
        let concerned = concerned("{}", hard);
        quotas.admit(&concerned, weight(2, 0), NOW).unwrap();
        assert_eq!(quotas.check(&concerned, weight(1, 0), NOW), Ok(()));
        let no = quotas.check(&concerned, weight(2, 0), NOW).unwrap_err();
        let Refusal::QuotaDay { until } = no else {
            panic!("{no:?}")
        };
        assert!(&*until > NOW.after(Duration::from_secs(86_000)).to_rfc3339().as_str());
    }

    #[test]
    fn what_a_soft_limit_holds_back_is_no_reason_for_a_hard_one_to_refuse() {
        let soft = "{ messages_per_minute = 2 }";
        let hard = "{ recipients_per_day = { value = 5, hard = true } }";
        for concerned in [concerned(soft, hard), concerned(hard, soft)] {
            let quotas = Quotas::default();
            let taken = (0..9).filter(|_| quotas.admit(&concerned, weight(1, 1), NOW).is_ok());
            assert_eq!(
                taken.count(),
                5,
                "the hard limit counts what waits, and no more"
            );
        }
    }

    #[test]
    fn the_narrowest_limit_decides_and_what_was_not_taken_in_does_not_count() {
        let quotas = Quotas::default();
        let of_connector = "{ external_recipients_per_hour = 1, recipients_per_hour = 10 }";
        let concerned = concerned(of_connector, "{ messages_per_minute = 100 }");
        let first = quotas.admit(&concerned, weight(2, 1), NOW).unwrap();
        assert_eq!(first.due, NOW);
        let inside = quotas.admit(&concerned, weight(2, 0), NOW).unwrap();
        assert_eq!(inside.due, NOW);
        let outside = quotas.admit(&concerned, weight(2, 1), NOW).unwrap();
        assert!(outside.due > NOW.after(Duration::from_secs(3_500)));
        quotas.take_back(&outside);
        quotas.take_back(&first);
        assert_eq!(
            quotas.admit(&concerned, weight(1, 1), NOW).unwrap().due,
            NOW
        );
    }

    #[test]
    fn at_four_fifths_a_person_hears_of_it_once_an_hour() {
        let quotas = Quotas::default();
        let concerned = concerned("{ recipients_per_hour = 10 }", "{}");
        let mut told = Vec::new();
        for number in 1..=10 {
            let admitted = quotas.admit(&concerned, weight(1, 0), NOW).unwrap();
            told.extend(admitted.events.iter().map(|_| number));
        }
        assert_eq!(told, [8]);
    }

    #[test]
    fn two_sessions_never_take_the_last_place_both() {
        let quotas = Quotas::default();
        let hard = "{ recipients_per_hour = { value = 100, hard = true } }";
        let concerned = concerned(hard, "{}");
        let taken: usize = std::thread::scope(|scope| {
            let admit = || {
                let taken = (0..50).filter(|_| quotas.admit(&concerned, weight(1, 0), NOW).is_ok());
                taken.count()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(admit)).collect();
            threads.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(taken, 100);
    }
}
