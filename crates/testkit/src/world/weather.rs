//! What goes wrong, and when: drawn from the seed before it begins, undone when its time is over.

use std::collections::BTreeMap;
use std::time::Duration;

use relais_net::clock::Chance;
use relais_net::simulated_dns::DnsFault;
use relais_net::simulation::{ConnectFault, Faults, Side};
use relais_store::memory::Fault;
use relais_store::queue::QueueAct;

use super::plan::Plan;

/// A forward jump of the wall clock is taken back within this: a longer one is believed, rightly.
const JUMP_TIME_MAX: u64 = 40 * 60;

/// Something that begins at a moment.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Of 100 sessions of a host, so many lie.
    Mood { host: usize, percent: u64 },
    /// Questions about a name; `None`: no fault.
    Dns {
        name: String,
        fault: Option<DnsFault>,
    },
    /// A destination's domain does not exist, or does again.
    Gone { destination: usize, gone: bool },
    /// Dials to a host.
    Link { host: usize, faults: Option<Faults> },
    /// Dials to the relay.
    Door { faults: Option<Faults> },
    /// Between relay and host nothing arrives.
    Partition { host: usize },
    /// Every partition ends.
    Heal,
    /// All connections of a host break.
    Reset { host: usize },
    /// The relay dies now, and lives again after this.
    Crash { down: Duration },
    /// The relay dies in the middle of its next write to the store.
    DieInWrite { fault: Fault, down: Duration },
    /// It is stopped in order, and started again.
    Restart { down: Duration },
    /// The next write to the store fails.
    FailWrite,
    /// Syncs of the disk fail from now on, or work again.
    Syncs { work: bool },
    /// So many octets fit on the disk; `None`: enough.
    Room { octets: Option<u64> },
    /// The wall clock is set by so many milliseconds.
    Jump { millis: i64 },
    /// An administrator's act on a destination, or on all.
    Queue {
        act: QueueAct,
        destination: Option<usize>,
    },
    /// Delivery to a destination is suspended, or goes on.
    Suspend { destination: usize, suspended: bool },
    /// All goes well from now on.
    Calm,
}

/// Acts in the order of time; those of the same moment in the order in which they were drawn.
pub(super) type Forecast = BTreeMap<(Duration, usize), Act>;

/// Draws everything that will happen.
pub(super) fn forecast(plan: &Plan, chance: &Chance) -> Forecast {
    let mut drawn = Drawn {
        plan,
        chance,
        forecast: Forecast::new(),
    };
    for host in 0..plan.hosts.len() {
        drawn.moods(host);
    }
    for _ in 0..chance.below(6) {
        drawn.dns();
    }
    for _ in 0..2 + chance.below(8) {
        drawn.links();
    }
    for _ in 0..chance.below(8) {
        drawn.lives();
    }
    for _ in 0..chance.below(6) {
        drawn.store();
    }
    for _ in 0..chance.below(3) {
        drawn.clock();
    }
    for _ in 0..chance.below(5) {
        drawn.administrator();
    }
    drawn.add(plan.storm, Act::Calm);
    drawn.forecast
}

struct Drawn<'a> {
    plan: &'a Plan,
    chance: &'a Chance,
    forecast: Forecast,
}

impl Drawn<'_> {
    fn add(&mut self, at: Duration, act: Act) {
        self.forecast.insert((at, self.forecast.len()), act);
    }

    /// A moment of the storm; most things happen early, while there is traffic.
    fn moment(&self) -> Duration {
        let seconds = self.plan.storm.as_secs();
        let most = if self.chance.below(3) > 0 {
            seconds / 4
        } else {
            seconds
        };
        Duration::from_millis(self.chance.below(most * 1_000))
    }

    /// Short mostly, sometimes for hours.
    fn span(&self) -> Duration {
        let most = match self.chance.below(6) {
            0 => 8 * 3_600,
            1 | 2 => 3_600,
            _ => 300,
        };
        Duration::from_secs(1 + self.chance.below(most))
    }

    /// Begins, and ends before the calm.
    fn period(&mut self, begins: Act, ends: Act) {
        let from = self.moment();
        let to = (from + self.span()).min(self.plan.storm);
        self.add(from, begins);
        self.add(to, ends);
    }

    fn host(&self) -> usize {
        usize::try_from(self.chance.below(self.plan.hosts.len() as u64)).unwrap_or(0)
    }

    fn destination(&self) -> usize {
        usize::try_from(self.chance.below(self.plan.destinations.len() as u64)).unwrap_or(0)
    }

    fn moods(&mut self, host: usize) {
        let steady = [0, 10, 30, 60, 100][usize::try_from(self.chance.below(5)).unwrap_or(0)];
        self.add(
            Duration::ZERO,
            Act::Mood {
                host,
                percent: steady,
            },
        );
        for _ in 0..self.chance.below(4) {
            let percent = self.chance.below(101);
            self.period(
                Act::Mood { host, percent },
                Act::Mood {
                    host,
                    percent: steady,
                },
            );
        }
    }

    fn dns(&mut self) {
        let fault = match self.chance.below(4) {
            0 => DnsFault::Silence,
            1 => DnsFault::Slow(Duration::from_secs(1 + self.chance.below(28))),
            _ => DnsFault::ServFail,
        };
        let name = if self.chance.below(2) == 0 {
            self.plan.hosts[self.host()].name.clone()
        } else {
            self.plan.destinations[self.destination()].domain.clone()
        };
        if self.chance.below(5) == 0 {
            // Never home: its notices would end nowhere.
            let destination = self.destination().max(1);
            let [gone, back] = [true, false].map(|gone| Act::Gone { destination, gone });
            return self.period(gone, back);
        }
        let begins = Act::Dns {
            name: name.clone(),
            fault: Some(fault),
        };
        self.period(begins, Act::Dns { name, fault: None });
    }

    fn links(&mut self) {
        let host = self.host();
        let kind = self.chance.below(10);
        let side = if self.chance.below(2) == 0 {
            Side::Dialler
        } else {
            Side::Listener
        };
        let faults = match kind {
            0 => Faults {
                connect: ConnectFault::Refused,
                ..Faults::default()
            },
            1 => Faults {
                connect: ConnectFault::TimedOut,
                ..Faults::default()
            },
            2 => Faults {
                connect: ConnectFault::Unreachable,
                ..Faults::default()
            },
            3 | 4 => {
                let octets = self.chance.below(4_000);
                Faults {
                    reset_after: Some((side, octets)),
                    ..Faults::default()
                }
            }
            5 => Faults {
                octets_per_read_max: Some(1),
                ..Faults::default()
            },
            6 => {
                let latency = Some((Duration::from_millis(200), Duration::from_secs(4)));
                Faults {
                    latency,
                    ..Faults::default()
                }
            }
            7 => return self.period(Act::Partition { host }, Act::Heal),
            8 => {
                let at = self.moment();
                return self.add(at, Act::Reset { host });
            }
            _ => {
                let octets = self.chance.below(3_000);
                let faults = Faults {
                    reset_after: Some((side, octets)),
                    ..Faults::default()
                };
                return self.period(
                    Act::Door {
                        faults: Some(faults),
                    },
                    Act::Door { faults: None },
                );
            }
        };
        let begins = Act::Link {
            host,
            faults: Some(faults),
        };
        self.period(begins, Act::Link { host, faults: None });
    }

    fn lives(&mut self) {
        let down = Duration::from_secs(1 + self.chance.below(120));
        let act = match self.chance.below(8) {
            0 | 1 => Act::Crash { down },
            2 | 3 => Act::DieInWrite {
                fault: Fault::DiesBefore,
                down,
            },
            4 | 5 => Act::DieInWrite {
                fault: Fault::DiesAfter,
                down,
            },
            _ => Act::Restart { down },
        };
        let at = self.moment();
        self.add(at, act);
    }

    fn store(&mut self) {
        match self.chance.below(4) {
            0 => {
                self.period(Act::Syncs { work: false }, Act::Syncs { work: true });
            }
            1 => {
                let octets = self.chance.below(100_000);
                let begins = Act::Room {
                    octets: Some(octets),
                };
                self.period(begins, Act::Room { octets: None });
            }
            _ => {
                let at = self.moment();
                self.add(at, Act::FailWrite);
            }
        }
    }

    fn clock(&mut self) {
        let most = if self.chance.below(2) == 0 {
            3_600
        } else {
            10 * 86_400
        };
        let millis = i64::try_from(1_000 * (1 + self.chance.below(most))).unwrap_or(0);
        let forward = self.chance.below(2) == 0;
        let from = self.moment();
        let to = from + Duration::from_secs(1 + self.chance.below(JUMP_TIME_MAX));
        if to > self.plan.storm {
            return;
        }
        // Backwards only as far as a wrong summer time goes: due times must come again.
        let millis = if forward {
            millis
        } else {
            -millis.min(3_600_000)
        };
        self.add(from, Act::Jump { millis });
        self.add(to, Act::Jump { millis: -millis });
    }

    fn administrator(&mut self) {
        let destination = (self.chance.below(4) > 0).then(|| self.destination().max(1));
        let at = self.moment();
        let act = match self.chance.below(8) {
            0 | 1 => QueueAct::Retry,
            2 | 3 => {
                self.add(
                    at,
                    Act::Queue {
                        act: QueueAct::Hold,
                        destination,
                    },
                );
                let later = (at + self.span()).min(self.plan.storm);
                return self.add(
                    later,
                    Act::Queue {
                        act: QueueAct::Release,
                        destination,
                    },
                );
            }
            4 => QueueAct::Bounce,
            5 => QueueAct::Delete,
            _ => {
                let destination = self.destination();
                let [on, off] = [true, false].map(|suspended| Act::Suspend {
                    destination,
                    suspended,
                });
                return self.period(on, off);
            }
        };
        self.add(at, Act::Queue { act, destination });
    }
}
