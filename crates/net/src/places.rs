//! Places at something slow that many organisations share: so many in all, fewer for each of them,
//! and those who wait have theirs in turns, one organisation after the other. So no organisation
//! keeps the others waiting longer than one of its messages takes.
//!
//! Not here: for how long somebody waits; who goes away leaves the line.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// See the head of this file.
pub(crate) struct Places {
    max: usize,
    of_one_max: usize,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    taken: usize,
    /// Organisations that wait, in the order of their turns; each once.
    turns: VecDeque<Arc<str>>,
    /// Those that wait or have places.
    organisations: HashMap<Arc<str>, Of>,
}

#[derive(Default)]
struct Of {
    taken: usize,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// A place; dropped, the next one has it. `None`: it was handed on.
pub(crate) struct Place(Option<(Arc<Places>, Arc<str>)>);

impl Places {
    pub(crate) fn new(max: usize, of_one_max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            of_one_max,
            line: Mutex::default(),
        })
    }

    /// Waits for a place.
    pub(crate) async fn wait(self: &Arc<Self>, organisation: &Arc<str>) -> Place {
        let waiting = {
            let mut line = self.lock();
            let (go, waiting) = oneshot::channel();
            let of = line.organisations.entry(Arc::clone(organisation));
            let of = of.or_default();
            of.waiting.push_back(go);
            if of.waiting.len() == 1 {
                line.turns.push_back(Arc::clone(organisation));
            }
            waiting
        };
        self.give();
        // The sender is in the line until it has sent.
        waiting.await.unwrap_or(Place(None))
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives what is free to those who wait.
    fn give(self: &Arc<Self>) {
        loop {
            let next = self.lock().next(self.max, self.of_one_max);
            let Some((organisation, go)) = next else {
                return;
            };
            let place = Place(Some((Arc::clone(self), organisation)));
            if let Err(mut place) = go.send(place)
                && let Some((_, organisation)) = place.0.take()
            {
                // It went away meanwhile.
                self.lock().leave(&organisation);
            }
        }
    }
}

impl Line {
    /// Takes a place for the next who may have one.
    fn next(&mut self, max: usize, of_one: usize) -> Option<(Arc<str>, oneshot::Sender<Place>)> {
        if self.taken >= max {
            return None;
        }
        let organisations = &self.organisations;
        let may = |name: &Arc<str>| organisations.get(name).is_some_and(|of| of.taken < of_one);
        let at = self.turns.iter().position(may)?;
        let organisation = self.turns.remove(at)?;
        let of = self.organisations.get_mut(&organisation)?;
        let go = of.waiting.pop_front()?;
        of.taken += 1;
        self.taken += 1;
        if !of.waiting.is_empty() {
            self.turns.push_back(Arc::clone(&organisation));
        }
        Some((organisation, go))
    }

    fn leave(&mut self, organisation: &Arc<str>) {
        self.taken -= 1;
        if let Some(of) = self.organisations.get_mut(organisation) {
            of.taken -= 1;
            if of.taken == 0 && of.waiting.is_empty() {
                self.organisations.remove(organisation);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((places, organisation)) = mem::take(&mut self.0) {
            places.lock().leave(&organisation);
            places.give();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Waiting = Pin<Box<dyn Future<Output = Place>>>;

    fn wait(places: &Arc<Places>, organisation: &str) -> Waiting {
        let (places, organisation) = (Arc::clone(places), Arc::from(organisation));
        Box::pin(async move { places.wait(&organisation).await })
    }

    fn poll(waiting: &mut Waiting) -> Option<Place> {
        match waiting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_organisation_leaves_places_to_others_and_turns_go_round() {
        let places = Places::new(3, 2);
        let mut of_one: Vec<_> = (0..5).map(|_| wait(&places, "slow")).collect();
        let mut taken: Vec<_> = of_one.iter_mut().filter_map(poll).collect();
        assert_eq!(taken.len(), 2);
        let other = poll(&mut wait(&places, "other")).expect("there is a place for others");
        let (mut second, mut third) = (wait(&places, "other"), wait(&places, "third"));
        assert!(poll(&mut second).is_none() && poll(&mut third).is_none());
        drop(taken.pop());
        // Its turn comes again behind theirs.
        assert!(poll(&mut of_one[2]).is_some_and(|place| {
            taken.push(place);
            true
        }));
        drop(taken.pop());
        let second = poll(&mut second).expect("its turn");
        drop(second);
        assert!(poll(&mut third).is_some());
        drop((other, taken, of_one));
        let line = places.lock();
        assert_eq!((line.taken, line.organisations.len()), (0, 0));
    }

    #[test]
    fn who_went_away_keeps_no_place() {
        let places = Places::new(1, 1);
        let first = poll(&mut wait(&places, "one")).expect("it is free");
        let (mut gone, mut stays) = (wait(&places, "one"), wait(&places, "two"));
        assert!(poll(&mut gone).is_none() && poll(&mut stays).is_none());
        drop(gone);
        drop(first);
        assert!(poll(&mut stays).is_some());
        assert!(places.lock().organisations.is_empty());
    }
}
