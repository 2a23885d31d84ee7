//! SIGTERM: what was promised is kept, nothing is sent twice, and it does not take long.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use relais_testkit::ledger::Ledger;
use relais_testkit::load::Load;
use relais_testkit::sink::Sink;

use crate::receiver::Receiver;
use crate::support::{CONTOSO, PATIENCE, Server};

/// As the product promises.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);
/// Parallel clients.
const CLIENTS: usize = 8;

fn settings(smart_host: std::net::SocketAddr) -> String {
    CONTOSO.replace("127.0.0.1:9", &smart_host.to_string())
}

#[test]
fn sigterm_under_load_loses_nothing_and_sends_nothing_twice() {
    let ledger = Arc::new(Ledger::default());
    let sink = Sink::start(Arc::clone(&ledger)).expect("a free port");
    let mut server = Server::with_settings(&settings(sink.address()));
    let numbers = Arc::new(AtomicU64::new(0));
    for round in 1..=3 {
        let load = Load::start(server.smtp, CLIENTS, &numbers, &ledger);
        ledger.wait_until(|verdict| verdict.acknowledged >= round * 100, PATIENCE);
        let begun = Instant::now();
        server.signal("TERM");
        let (status, place) = server.ended();
        assert_eq!(status.code(), Some(0));
        assert!(begun.elapsed() < DRAIN_TIME_MAX, "{:?}", begun.elapsed());
        load.stop();
        server = place.serve();
    }
    server
        .relais(&["queue", "retry", "--all", "--yes"])
        .expect(0);
    ledger.wait_until(|_| ledger.outstanding() == 0, PATIENCE);
    // Nothing is left over that could come later.
    let (status, place) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert_eq!(place.relais(&["--json", "queue", "list"]).expect(0).out, "");
    let verdict = ledger.judge(Duration::ZERO);
    assert!(
        verdict.is_clean() && verdict.duplicates_in_window == 0,
        "{verdict}"
    );
    assert!(verdict.acknowledged >= 300, "{verdict}");
}

#[test]
fn what_waits_at_the_end_is_delivered_once_after_the_next_start() {
    let receiver = Receiver::start();
    receiver.go_away(true);
    let server = Server::with_settings(&settings(receiver.address()));
    let names = ["one", "two", "three"].map(|name| format!("{name}@example.org"));
    let ids = names
        .each_ref()
        .map(|name| server.send("erp@contoso.test", name));
    server.await_event("recipient.deferred", &ids[0]);
    let (status, place) = server.stop();
    assert_eq!(status.code(), Some(0));
    receiver.go_away(false);
    let server = place.serve();
    server
        .relais(&["queue", "retry", "--all", "--yes"])
        .expect(0);
    for name in &names {
        receiver.wait_for_recipient(name);
    }
    let (status, place) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert_eq!(receiver.arrivals().len(), names.len());
    assert_eq!(place.relais(&["--json", "queue", "list"]).expect(0).out, "");
}
