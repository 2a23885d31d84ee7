//! Who was promised what, and what arrived: kept outside the relay, on another file system.
//!
//! Checks the invariants I1, I2 and I4 over the whole history: every acknowledged recipient gets
//! its message; nothing that was refused arrives; more than once only in the window of RFC 1047.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What the client saw as answer to the end of data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// 250.
    Accepted,
    /// 4yz or 5yz.
    Refused,
    /// The connection ended first.
    None,
}

/// One delivery at the sink.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Instant,
    reply_written: bool,
}

#[derive(Default)]
struct Pages {
    answers: HashMap<u64, (Answer, u32)>,
    arrivals: HashMap<(u64, u32), Vec<Arrival>>,
    kills: Vec<Instant>,
    damaged: u64,
    down: bool,
}

/// The ledger. Shared by clients and sinks.
#[derive(Default)]
pub struct Ledger {
    pages: Mutex<Pages>,
}

/// The judgement over the whole history.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// Messages answered 250.
    pub acknowledged: u64,
    /// Recipients of those that never arrived. Must be 0.
    pub lost: u64,
    /// Recipients that arrived though the message was answered 4yz or 5yz. Must be 0.
    pub unwanted: u64,
    /// Arrivals beyond the first whose cause is a kill or a lost connection.
    pub duplicates_in_window: u64,
    /// Other arrivals beyond the first. Must be 0.
    pub duplicates: u64,
    /// Arrivals whose content was not what was sent. Must be 0.
    pub damaged: u64,
    /// Recipients that arrived.
    pub arrived: u64,
}

impl Verdict {
    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.unwanted == 0 && self.duplicates == 0 && self.damaged == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "acknowledged {}, arrived {}, lost {}, unwanted {}, damaged {}, duplicates {} (in the \
             window: {})",
            self.acknowledged,
            self.arrived,
            self.lost,
            self.unwanted,
            self.damaged,
            self.duplicates,
            self.duplicates_in_window
        )
    }
}

impl Ledger {
    /// Notes what a client saw; `recipients` were accepted at RCPT, numbered from 0.
    pub fn answered(&self, message: u64, recipients: u32, answer: Answer) {
        let mut pages = self.lock();
        // Where the power is gone, nobody sees a refusal: our process outlives it by a moment only
        // because the simulated cut takes the disk alone.
        let refused_in_the_dark = pages.down && answer == Answer::Refused;
        let answer = if refused_in_the_dark {
            Answer::None
        } else {
            answer
        };
        pages.answers.insert(message, (answer, recipients));
    }

    /// Notes a delivery at the sink, and whether its reply could be written.
    pub fn arrived(&self, message: u64, recipient: u32, intact: bool, reply_written: bool) {
        let mut pages = self.lock();
        let arrival = Arrival {
            at: Instant::now(),
            reply_written,
        };
        pages
            .arrivals
            .entry((message, recipient))
            .or_default()
            .push(arrival);
        if !intact {
            pages.damaged += 1;
        }
    }

    /// Notes that the relay is killed now.
    pub fn killed(&self) {
        let mut pages = self.lock();
        pages.kills.push(Instant::now());
        pages.down = true;
    }

    /// Notes that the relay runs again.
    pub fn restarted(&self) {
        self.lock().down = false;
    }

    /// Acknowledged recipients that have not arrived yet.
    pub fn outstanding(&self) -> usize {
        let pages = self.lock();
        let accepted = pages
            .answers
            .iter()
            .filter(|(_, (answer, _))| *answer == Answer::Accepted);
        accepted
            .flat_map(|(message, (_, recipients))| {
                (0..*recipients).map(|number| (*message, number))
            })
            .filter(|key| !pages.arrivals.contains_key(key))
            .count()
    }

    /// Judges. An extra arrival is excused if the arrival before it was followed by a kill within
    /// `window`, or if its reply could not be written.
    pub fn judge(&self, window: Duration) -> Verdict {
        let pages = self.lock();
        let mut verdict = Verdict {
            damaged: pages.damaged,
            ..Verdict::default()
        };
        for (message, (answer, recipients)) in &pages.answers {
            verdict.acknowledged += u64::from(*answer == Answer::Accepted);
            for number in 0..*recipients {
                let arrivals = pages.arrivals.get(&(*message, number));
                match answer {
                    Answer::Accepted if arrivals.is_none() => verdict.lost += 1,
                    Answer::Refused if arrivals.is_some() => verdict.unwanted += 1,
                    Answer::Accepted | Answer::Refused | Answer::None => {}
                }
            }
        }
        for arrivals in pages.arrivals.values() {
            verdict.arrived += 1;
            for pair in arrivals.windows(2) {
                let first = pair[0];
                let excused = !first.reply_written
                    || pages.kills.iter().any(|kill| {
                        kill.checked_duration_since(first.at)
                            .is_some_and(|gap| gap <= window)
                    });
                if excused {
                    verdict.duplicates_in_window += 1;
                } else {
                    verdict.duplicates += 1;
                }
            }
        }
        verdict
    }

    /// Waits until the history fits, at most `time`; the caller judges then.
    pub fn wait_until(&self, fits: impl Fn(&Verdict) -> bool, time: Duration) {
        let until = Instant::now() + time;
        while !fits(&self.judge(Duration::ZERO)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Acknowledged messages with a recipient that never arrived, for the report.
    pub fn lost_messages(&self) -> Vec<u64> {
        let pages = self.lock();
        let accepted = pages
            .answers
            .iter()
            .filter(|(_, (answer, _))| *answer == Answer::Accepted);
        let mut lost: Vec<u64> = accepted
            .filter(|(message, (_, recipients))| {
                (0..*recipients).any(|number| !pages.arrivals.contains_key(&(**message, number)))
            })
            .map(|(message, _)| *message)
            .collect();
        lost.sort_unstable();
        lost
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.pages
            .lock()
            .expect("no thread panics while it writes in the ledger")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_arrival_of_an_acknowledged_message_is_a_loss() {
        let ledger = Ledger::default();
        ledger.answered(1, 2, Answer::Accepted);
        ledger.arrived(1, 0, true, true);
        let verdict = ledger.judge(Duration::ZERO);
        assert_eq!((verdict.lost, verdict.is_clean()), (1, false));
        assert_eq!(ledger.lost_messages(), [1]);
    }

    #[test]
    fn a_refused_message_must_not_arrive_and_an_unanswered_one_may() {
        let ledger = Ledger::default();
        ledger.answered(1, 1, Answer::Refused);
        ledger.arrived(1, 0, true, true);
        ledger.answered(2, 1, Answer::None);
        ledger.arrived(2, 0, true, true);
        assert_eq!(ledger.judge(Duration::ZERO).unwanted, 1);
    }

    #[test]
    fn a_refusal_counts_only_while_the_power_is_there() {
        let ledger = Ledger::default();
        ledger.killed();
        ledger.answered(1, 1, Answer::Refused);
        ledger.restarted();
        ledger.answered(2, 1, Answer::Refused);
        ledger.arrived(1, 0, true, true);
        ledger.arrived(2, 0, true, true);
        assert_eq!(ledger.judge(Duration::ZERO).unwanted, 1);
    }

    #[test]
    fn a_second_arrival_is_excused_by_a_kill_only() {
        let ledger = Ledger::default();
        ledger.answered(1, 1, Answer::Accepted);
        ledger.arrived(1, 0, true, true);
        ledger.arrived(1, 0, true, true);
        assert_eq!(ledger.judge(Duration::from_secs(1)).duplicates, 1);
        ledger.killed();
        let verdict = ledger.judge(Duration::from_secs(1));
        assert_eq!((verdict.duplicates, verdict.duplicates_in_window), (0, 1));
    }
}
