//! Slow checks, a few at a time, in a fair order: who comes from a network with fewer failures goes
//! first, and of equals each network has one before any has two. So a flood of guesses cannot keep
//! a good client waiting, however many addresses it has.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relais_policy::guessing::Network;
use tokio::sync::oneshot;

/// Checks that wait, in all: some ten seconds of work. More are told to come again.
const WAITING_MAX: usize = 1_024;
/// Of one network: an office full of devices that are switched on together.
const WAITING_PER_NETWORK_MAX: usize = 64;

/// Checks under way: half of the machine, so that mail goes on whatever is guessed.
pub(super) fn running_max() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    (cores / 2).max(1)
}

/// Too many wait.
#[derive(Debug)]
pub(super) struct Busy;

/// The line of those who wait.
pub(super) struct Turns {
    running_max: usize,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    running: usize,
    /// By failures, place within the network, and time of coming.
    waiting: BTreeMap<(usize, usize, u64), Waiter>,
    /// Of each network that waits.
    by_network: HashMap<Network, usize>,
    came: u64,
}

struct Waiter {
    network: Network,
    go: oneshot::Sender<Turn>,
}

/// One check may run; dropped, the next one may. `None`: it was handed on.
pub(super) struct Turn(Option<Arc<Turns>>);

impl Turns {
    pub(super) fn new(running_max: usize) -> Arc<Self> {
        Arc::new(Self {
            running_max,
            line: Mutex::default(),
        })
    }

    /// Waits for a turn.
    pub(super) async fn wait(
        self: &Arc<Self>,
        network: Network,
        failures: usize,
    ) -> Result<Turn, Busy> {
        let waiting = {
            let mut line = self.lock();
            if line.running < self.running_max {
                line.running += 1;
                return Ok(Turn(Some(Arc::clone(self))));
            }
            line.join(network, failures)?
        };
        waiting.await.map_err(|_| Busy)
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn join(&mut self, network: Network, failures: usize) -> Result<oneshot::Receiver<Turn>, Busy> {
        let place = self.by_network.get(&network).copied().unwrap_or(0);
        if place >= WAITING_PER_NETWORK_MAX {
            return Err(Busy);
        }
        self.came += 1;
        let key = (failures, place, self.came);
        if self.waiting.len() >= WAITING_MAX {
            match self.waiting.last_key_value() {
                Some((last, _)) if *last > key => drop(self.leave(true)),
                Some(_) | None => return Err(Busy),
            }
        }
        let (go, waiting) = oneshot::channel();
        *self.by_network.entry(network).or_default() += 1;
        self.waiting.insert(key, Waiter { network, go });
        Ok(waiting)
    }

    /// Takes out the first, or the last.
    fn leave(&mut self, last: bool) -> Option<Waiter> {
        let (_, waiter) = if last {
            self.waiting.pop_last()?
        } else {
            self.waiting.pop_first()?
        };
        if let Some(waiting) = self.by_network.get_mut(&waiter.network) {
            *waiting -= 1;
            if *waiting == 0 {
                self.by_network.remove(&waiter.network);
            }
        }
        Some(waiter)
    }
}

impl Drop for Turn {
    /// Hands the turn to the first who still waits.
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        loop {
            let next = {
                let mut line = turns.lock();
                let next = line.leave(false);
                if next.is_none() {
                    line.running -= 1;
                }
                next
            };
            let Some(waiter) = next else { return };
            match waiter.go.send(Self(Some(Arc::clone(&turns)))) {
                Ok(()) => return,
                // It went away: its turn comes back, and goes to the next.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn network(number: u8) -> Network {
        Network::of([198, 18, number, 1].into())
    }

    type Waiting = std::pin::Pin<Box<dyn Future<Output = Result<Turn, Busy>>>>;

    fn wait(turns: &Arc<Turns>, network_number: u8, failures: usize) -> Waiting {
        let turns = Arc::clone(turns);
        Box::pin(async move { turns.wait(network(network_number), failures).await })
    }

    fn poll(waiting: &mut Waiting) -> Option<Result<Turn, Busy>> {
        match pin!(waiting)
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    /// Who gets the turn, one after the other.
    fn order(turns: &Arc<Turns>, mut waiting: Vec<(&'static str, Waiting)>) -> Vec<&'static str> {
        let mut turn = poll(&mut wait(turns, 0, 0));
        for (_, one) in &mut waiting {
            assert!(poll(one).is_none(), "there is one turn");
        }
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(turn.take());
            let next = waiting
                .iter_mut()
                .position(|(_, one)| {
                    turn = poll(one);
                    turn.is_some()
                })
                .expect("somebody has the turn");
            order.push(waiting.remove(next).0);
        }
        order
    }

    #[test]
    fn who_failed_less_goes_first_and_networks_take_turns() {
        let turns = Turns::new(1);
        let waiting = vec![
            ("guesser a, again", wait(&turns, 1, 5)),
            ("guesser b", wait(&turns, 2, 1)),
            ("flood 1", wait(&turns, 3, 0)),
            ("flood 2", wait(&turns, 3, 0)),
            ("good", wait(&turns, 4, 0)),
        ];
        assert_eq!(
            order(&turns, waiting),
            [
                "flood 1",
                "good",
                "flood 2",
                "guesser b",
                "guesser a, again"
            ]
        );
        assert_eq!(turns.lock().running, 0);
        assert!(turns.lock().by_network.is_empty());
    }

    #[test]
    fn who_went_away_loses_no_turn() {
        let turns = Turns::new(1);
        let first = poll(&mut wait(&turns, 0, 0)).expect("it is free");
        let (mut gone, mut stays) = (wait(&turns, 1, 0), wait(&turns, 2, 0));
        assert!(poll(&mut gone).is_none() && poll(&mut stays).is_none());
        drop(gone);
        drop(first);
        let turn = poll(&mut stays).expect("its turn has come");
        drop(turn);
        assert_eq!(turns.lock().running, 0);
        assert!(poll(&mut wait(&turns, 3, 0)).is_some_and(|turn| turn.is_ok()));
    }

    #[test]
    fn the_line_has_an_end_and_the_worst_makes_room() {
        let turns = Turns::new(1);
        let _running = poll(&mut wait(&turns, 0, 0)).expect("it is free");
        let mut of_one: Vec<_> = (0..WAITING_PER_NETWORK_MAX)
            .map(|_| wait(&turns, 1, 0))
            .collect();
        assert!(of_one.iter_mut().all(|one| poll(one).is_none()));
        assert!(poll(&mut wait(&turns, 1, 0)).is_some_and(|turn| turn.is_err()));
        let mut others = Vec::new();
        for number in 0..WAITING_MAX - WAITING_PER_NETWORK_MAX {
            let network = u8::try_from(2 + number / WAITING_PER_NETWORK_MAX).expect("few");
            let mut one = wait(&turns, network, 9);
            assert!(poll(&mut one).is_none());
            others.push(one);
        }
        assert!(poll(&mut wait(&turns, 200, 10)).is_some_and(|turn| turn.is_err()));
        let mut good = wait(&turns, 200, 0);
        assert!(
            poll(&mut good).is_none(),
            "it waits in the place of the last"
        );
        let away = others.iter_mut().filter_map(poll).count();
        assert_eq!(away, 1);
    }
}
