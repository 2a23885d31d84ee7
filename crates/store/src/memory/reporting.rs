//! The store in memory: pages, numbers and devices, counted from all events when asked.

use std::collections::{BTreeSet, HashMap};

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use super::Memory;
use crate::error::StoreError;
use crate::trace::tally::{Device, Tallies, Tally, TallyKey, TallyQuery};
use crate::trace::{Event, EventKind, TraceAnswer, TraceQuery, TraceRow};

impl Memory {
    pub(crate) fn trace_page(&self, query: &TraceQuery) -> Result<TraceAnswer, StoreError> {
        let state = self.state();
        let rows = state.durable.events.iter().enumerate().rev();
        let rows = rows.map(|(place, event)| (event, place as u64 + 1));
        let asks_for_partly = query.asks_for_partly();
        let rows = rows.filter(|(event, position)| {
            query.before.is_none_or(|before| *position < before)
                && query.matches(event)
                && (!asks_for_partly || has_delivered(&state.durable.events, event.queue_id))
        });
        let row = |(event, position): (&Event, u64)| TraceRow {
            position,
            json: event.to_json(),
        };
        let rows: Vec<_> = rows.take(query.limit_in_bounds()).map(row).collect();
        let is_full = rows.len() == query.limit_in_bounds();
        let next = rows.last().filter(|_| is_full).map(|row| row.position);
        Ok(TraceAnswer {
            rows,
            next,
            searched_to: None,
        })
    }

    pub(crate) fn delivered_in_part(&self, ids: Vec<QueueId>) -> BTreeSet<QueueId> {
        let state = self.state();
        let is_one = |id: &QueueId| has_delivered(&state.durable.events, Some(*id));
        ids.into_iter().filter(is_one).collect()
    }

    pub(crate) fn tallies(&self, queries: &[TallyQuery]) -> Vec<Vec<Tally>> {
        let mut all = Tallies::default();
        self.state()
            .durable
            .events
            .iter()
            .for_each(|event| all.add(event));
        let counts = all.counts();
        queries.iter().map(|query| answer(query, counts)).collect()
    }

    pub(crate) fn devices(&self, since: Timestamp) -> Vec<Device> {
        let mut all = Tallies::default();
        let state = self.state();
        let events = state.durable.events.iter();
        events
            .filter(|event| event.time >= since)
            .for_each(|event| all.add(event));
        let mut devices: Vec<_> = all.devices().cloned().collect();
        devices.sort_unstable_by_key(|device| std::cmp::Reverse(device.last));
        devices
    }
}

/// Whether some recipient of this message was delivered.
fn has_delivered(events: &[Event], id: Option<QueueId>) -> bool {
    let mut events = events.iter();
    let is_delivered =
        |event: &Event| event.queue_id == id && event.kind == EventKind::RecipientDelivered;
    id.is_some() && events.any(is_delivered)
}

fn answer(query: &TallyQuery, counts: &HashMap<TallyKey, u64>) -> Vec<Tally> {
    let mut sums = std::collections::BTreeMap::new();
    for (key, count) in counts {
        if !asks_for(query, key) {
            continue;
        }
        let key = TallyKey {
            step: if query.by_step { key.step } else { 0 },
            organisation: query.organisation.clone().unwrap_or_default(),
            ..key.clone()
        };
        *sums.entry(key).or_default() += count;
    }
    sums.into_iter()
        .map(|(key, count)| query.tally(key, count))
        .collect()
}

fn asks_for(query: &TallyQuery, key: &TallyKey) -> bool {
    let (first, end) = query.steps();
    let organisation = query.organisation.as_ref();
    query.measure == key.measure
        && (first..end).contains(&key.step)
        && organisation.is_none_or(|one| *one == key.organisation)
}
