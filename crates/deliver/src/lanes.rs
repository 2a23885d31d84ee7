//! The queues that have something due, as the scheduler sees them, and whose turn it is. Pure.
//!
//! A *lane* is one queue of the store: one organisation's mail for one destination. Lanes whose
//! mail leaves by the same next hops feed the same site. A [`Rota`] is fair between organisations
//! first, and between the lanes of each then.

use std::collections::VecDeque;
use std::sync::Arc;

use relais_net::clock::Moment;
use relais_store::queue::QueueKey;

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
    /// A look-up, a lease or a judgement is under way.
    pub(crate) busy: bool,
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
            in_rota: false,
            failures: 0,
            seen: now,
        }
    }
}

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Rota(VecDeque<(Arc<str>, VecDeque<Arc<str>>)>);

impl Rota {
    /// Puts a lane behind the others of its organisation.
    pub(crate) fn add(&mut self, key: &QueueKey) {
        let destination = Arc::clone(&key.destination);
        match self
            .0
            .iter_mut()
            .find(|(organisation, _)| *organisation == key.organisation)
        {
            Some((_, lanes)) => lanes.push_back(destination),
            None => self
                .0
                .push_back((Arc::clone(&key.organisation), [destination].into())),
        }
    }

    /// The next lane; its organisation goes behind the others.
    pub(crate) fn next(&mut self) -> Option<QueueKey> {
        let (organisation, mut lanes) = self.0.pop_front()?;
        let destination = lanes.pop_front();
        if !lanes.is_empty() {
            self.0.push_back((Arc::clone(&organisation), lanes));
        }
        destination.map(|destination| QueueKey {
            organisation,
            destination,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_with_many_lanes_gets_no_more_turns_than_one_with_few() {
        let mut rota = Rota::default();
        let key = |organisation: &str, destination: &str| QueueKey {
            organisation: organisation.into(),
            destination: destination.into(),
        };
        for destination in ["a.example", "b.example", "c.example"] {
            rota.add(&key("many", destination));
        }
        rota.add(&key("few", "x.example"));
        let mut turns = Vec::new();
        while let Some(next) = rota.next() {
            turns.push(format!("{} {}", next.organisation, next.destination));
            if &*next.organisation == "few" && turns.len() < 6 {
                rota.add(&next);
            }
        }
        assert_eq!(
            turns,
            [
                "many a.example",
                "few x.example",
                "many b.example",
                "few x.example",
                "many c.example",
                "few x.example",
            ]
        );
        assert!(rota.is_empty());
    }
}
