//! The seeded simulation in `cargo test`: a few seeds must keep every promise, the same seed must
//! give the same run, and a store that breaks a promise must be noticed. `./ci` runs hundreds of
//! seeds with the `simulate` binary.

use relais_testkit::world::{BrokenTwin, Options, Report, play};

fn broken(twin: BrokenTwin) -> Options {
    Options {
        broken: Some(twin),
        ..Options::default()
    }
}

fn faults(report: &Report) -> String {
    format!(
        "seed {}:\n{}\n{}",
        report.seed,
        report.faults.join("\n"),
        report.story
    )
}

#[test]
fn every_promise_is_kept_whatever_goes_wrong() {
    for seed in 1..=6 {
        let report = play(seed, Options::default());
        assert!(report.faults.is_empty(), "{}", faults(&report));
        assert!(report.arrivals > 0, "seed {seed}: nothing was delivered");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let runs = [7, 7, 8].map(|seed| play(seed, Options::default()));
    assert_eq!(runs[0].fingerprint, runs[1].fingerprint);
    assert_eq!(runs[0].lines, runs[1].lines);
    assert_ne!(runs[0].fingerprint, runs[2].fingerprint);
}

/// Within so many seeds the ledger finds each broken promise.
const SEEDS_MAX: u64 = 8;

fn first_found(twin: BrokenTwin, wanted: &str) -> Option<u64> {
    (1..=SEEDS_MAX).find(|seed| {
        let report = play(*seed, broken(twin));
        report.faults.iter().any(|fault| fault.contains(wanted))
    })
}

#[test]
fn a_message_acknowledged_before_it_is_written_is_noticed() {
    let found = first_found(BrokenTwin::CommitEarly, "I1: answered 250 as");
    assert!(found.is_some(), "nothing was lost in {SEEDS_MAX} seeds");
}

#[test]
fn a_disk_that_is_not_synced_is_noticed() {
    let found = first_found(BrokenTwin::SyncDropped, "I1: answered 250 as");
    assert!(found.is_some(), "nothing was lost in {SEEDS_MAX} seeds");
}

#[test]
fn a_forgotten_lease_is_noticed() {
    let found = first_found(BrokenTwin::LeaseForgotten, "I4: ");
    assert!(found.is_some(), "nothing came twice in {SEEDS_MAX} seeds");
}
