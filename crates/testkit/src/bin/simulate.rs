//! The seeded simulation, from the command line and in `./ci`.
//!
//! ```text
//! simulate [--seeds N] [--seed S] [--jobs J] [--broken TWIN] [--verbose]
//! ```
//!
//! Runs N seeds (default 100) from S on (default 1), J
//! at a time (default 2), each in a thread with its own runtime. A seed that fails is printed with
//! the history around the fault; `--seed S --seeds 1 --verbose` prints all of it. The first seed is
//! run twice: its two histories must be the same. Exit code 1 if a promise was not kept.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use relais_testkit::world::{BrokenTwin, Options, Report, play};

/// Seeds whose history is printed; of the others only the first fault.
const STORIES_MAX: usize = 3;
/// Faults printed of one seed.
const FAULTS_MAX: usize = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let number = |name: &str| value(name).and_then(|text| text.parse::<u64>().ok());
    let first = number("--seed").unwrap_or(1);
    let seeds = number("--seeds").unwrap_or(100);
    let jobs = number("--jobs").unwrap_or(2).clamp(1, 64);
    let broken = match value("--broken") {
        None => None,
        Some("sync-dropped") => Some(BrokenTwin::SyncDropped),
        Some("commit-early") => Some(BrokenTwin::CommitEarly),
        Some("lease-forgotten") => Some(BrokenTwin::LeaseForgotten),
        Some(other) => {
            eprintln!("simulate: no twin {other:?}: sync-dropped, commit-early, lease-forgotten");
            return ExitCode::from(2);
        }
    };
    let options = Options {
        broken,
        verbose: arguments.iter().any(|one| one == "--verbose"),
    };
    let passed = is_repeatable(first, options) && run(first, seeds, jobs, options);
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The same seed gives the same run.
fn is_repeatable(seed: u64, options: Options) -> bool {
    let quiet = Options {
        verbose: true,
        ..options
    };
    let (Some(first), Some(second)) = (guarded(seed, quiet), guarded(seed, quiet)) else {
        println!("simulate: seed {seed} PANICKED");
        return false;
    };
    if first.fingerprint == second.fingerprint {
        return true;
    }
    println!(
        "simulate: seed {seed} gave two histories ({} and {} lines)",
        first.lines, second.lines
    );
    let pairs = first.story.lines().zip(second.story.lines());
    for (one, other) in pairs.filter(|(one, other)| one != other).take(5) {
        println!("  first:  {one}\n  second: {other}");
    }
    false
}

fn guarded(seed: u64, options: Options) -> Option<Report> {
    catch_unwind(AssertUnwindSafe(|| play(seed, options))).ok()
}

fn run(first: u64, seeds: u64, jobs: u64, options: Options) -> bool {
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let (sender, reports) = mpsc::channel();
    let mut total = Total::default();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (next, sender) = (&next, sender.clone());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || sender.send((seed, guarded(seed, options))).is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (seed, report) in reports {
            total.add(seed, report, options);
        }
    });
    println!(
        "simulate: {seeds} seeds from {first}: {} failed; {} messages, {} arrivals, {} notices, {} \
         lives of the relay, {:.0} simulated hours in {:.1} s",
        total.failed,
        total.messages,
        total.arrivals,
        total.notices,
        total.lives,
        total.simulated.as_secs_f64() / 3_600.0,
        begun.elapsed().as_secs_f64()
    );
    total.failed == 0
}

#[derive(Default)]
struct Total {
    failed: usize,
    messages: usize,
    arrivals: usize,
    notices: usize,
    lives: u64,
    simulated: Duration,
}

impl Total {
    fn add(&mut self, seed: u64, report: Option<Report>, options: Options) {
        let Some(report) = report else {
            self.failed += 1;
            println!("simulate: seed {seed} PANICKED");
            return;
        };
        self.messages += report.messages;
        self.arrivals += report.arrivals;
        self.notices += report.notices;
        self.lives += u64::from(report.lives);
        self.simulated += report.simulated;
        if report.faults.is_empty() {
            if options.verbose {
                print!("{}", report.story);
            }
            return;
        }
        self.failed += 1;
        println!(
            "simulate: seed {seed} FAILED ({} faults):",
            report.faults.len()
        );
        for fault in report.faults.iter().take(FAULTS_MAX) {
            println!("  {fault}");
        }
        if self.failed <= STORIES_MAX {
            print!("{}", report.story);
        }
    }
}
